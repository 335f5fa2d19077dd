/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "foreign.h"

#define MOV(reg, value)	{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = (reg), .imm = (value) }
#define CALL(helper)	{ .code = BPF_JMP | BPF_CALL, .imm = (helper) }
#define EXIT		{ .code = BPF_JMP | BPF_EXIT }

static int sys_bpf(int cmd, union bpf_attr *attr)
{
	int r = (int)syscall(SYS_bpf, cmd, attr, sizeof(*attr));

	return r < 0 ? -errno : r;
}

static int load(enum bpf_attach_type attach, const char *name, const struct bpf_insn *insn,
		unsigned int n)
{
	union bpf_attr attr = {
		.prog_type = attach == BPF_CGROUP_INET_SOCK_CREATE ? BPF_PROG_TYPE_CGROUP_SOCK :
								     BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
		.expected_attach_type = attach,
		.insns = (uintptr_t)insn,
		.insn_cnt = n,
		.license = (uintptr_t)"GPL",
	};

	snprintf(attr.prog_name, sizeof(attr.prog_name), "%s", name);
	return sys_bpf(BPF_PROG_LOAD, &attr);
}

int foreign_load(enum bpf_attach_type attach, enum foreign_kind kind, const char *name)
{
	const struct bpf_insn plain[] = { MOV(0, kind != FOREIGN_REFUSE), EXIT };
	const struct bpf_insn clear[] = {
		MOV(1, 0), CALL(BPF_FUNC_set_retval), MOV(0, 1), EXIT,
	};

	if (kind == FOREIGN_CLEAR)
		return load(attach, name, clear, sizeof(clear) / sizeof(clear[0]));
	return load(attach, name, plain, sizeof(plain) / sizeof(plain[0]));
}

static int with_cgroup(int cmd, union bpf_attr *attr, __u32 *target, const char *cgroup)
{
	int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	if (fd < 0)
		return -errno;
	*target = (__u32)fd;
	r = sys_bpf(cmd, attr);
	close(fd);
	return r;
}

int foreign_link(int prog_fd, const char *cgroup, enum bpf_attach_type attach)
{
	union bpf_attr attr = {
		.link_create = { .prog_fd = (__u32)prog_fd, .attach_type = attach },
	};

	return with_cgroup(BPF_LINK_CREATE, &attr, &attr.link_create.target_fd, cgroup);
}

int foreign_attach_exclusive(int prog_fd, const char *cgroup, enum bpf_attach_type attach)
{
	union bpf_attr attr = { .attach_bpf_fd = (__u32)prog_fd, .attach_type = attach };

	return with_cgroup(BPF_PROG_ATTACH, &attr, &attr.target_fd, cgroup);
}

int foreign_detach(int prog_fd, const char *cgroup, enum bpf_attach_type attach)
{
	union bpf_attr attr = { .attach_bpf_fd = (__u32)prog_fd, .attach_type = attach };

	return with_cgroup(BPF_PROG_DETACH, &attr, &attr.target_fd, cgroup);
}
