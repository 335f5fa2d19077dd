/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a connect to any other port runs, read from the program the kernel made of ours. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>

#include "bench.h"
#include "gate.h"
#include "report.h"
#include "util.h"

struct path {
	unsigned int insns, calls, maps;
};

static int read_program(int prog, struct bpf_insn **ret, size_t *n)
{
	_cleanup_free_ struct bpf_insn *insn = NULL;
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info), bytes;

	if (bpf_obj_get_info_by_fd(prog, &info, &len) < 0)
		return -errno;
	bytes = info.xlated_prog_len;
	insn = calloc(1, bytes);
	if (!insn)
		return -ENOMEM;
	info = (struct bpf_prog_info){
		.xlated_prog_len = bytes,
		.xlated_prog_insns = (uintptr_t)insn,
	};
	len = sizeof(info);
	if (bpf_obj_get_info_by_fd(prog, &info, &len) < 0)
		return -errno;
	if (!info.xlated_prog_insns)	/* the kernel hides programs from us */
		return -EPERM;
	*n = bytes / sizeof(*insn);
	*ret = TAKE_PTR(insn);
	return 0;
}

/* Where the program goes from `at` when no compare holds. */
static size_t next_insn(const struct bpf_insn *insn, size_t at)
{
	if (insn[at].code == (BPF_JMP | BPF_JA))
		return at + 1 + (size_t)insn[at].off;
	return at + (insn[at].code == (BPF_LD | BPF_IMM | BPF_DW) ? 2 : 1);
}

/* Follows the program to the first exit. -EINVAL when there is none. */
static int follow(const struct bpf_insn *insn, size_t n, struct path *ret)
{
	struct path p = { 0 };

	for (size_t i = 0; i < n && p.insns < n; i = next_insn(insn, i)) {
		p.insns++;
		p.calls += insn[i].code == (BPF_JMP | BPF_CALL);
		/* The only way to a map or its values is an address in the instruction. */
		p.maps += insn[i].code == (BPF_LD | BPF_IMM | BPF_DW);
		if (insn[i].code == (BPF_JMP | BPF_EXIT)) {
			*ret = p;
			return 0;
		}
	}
	return -EINVAL;
}

static int measure(const struct gate *g, enum family family, unsigned int ports)
{
	_cleanup_free_ struct bpf_insn *insn = NULL;
	char what[64], goal[32];
	struct path p = { 0 };
	size_t n = 0;
	int r = read_program(g->prog[family], &insn, &n);

	if (!r)
		r = follow(insn, n, &p);
	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "connect%d, %u port%s", family == V4 ? 4 : 6, ports,
		 ports == 1 ? "" : "s");
	snprintf(goal, sizeof(goal), "<= %u, 0, 0", ports + 5);
	row(what, goal, exactly(p.insns <= ports + 5 && !p.calls && !p.maps),
	    "%u instructions, %u calls, %u maps", p.insns, p.calls, p.maps);
	return 0;
}

int bench_insns(const struct bench *b)
{
	static const uint16_t ports[] = { 0, 1, SW_MAX_PORTS };

	(void)b;
	section("1. Any other port: instructions, helper calls and map accesses on the way out");
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		struct gate g;
		int r = gate_open(&(struct gate_opts){ .n_exempt = 1, .n_ports = ports[i] }, &g);

		for (enum family f = V4; f < _FAMILY_MAX && !r; f++)
			r = measure(&g, f, ports[i] ? ports[i] : 3);
		if (r < 0)
			return r;
		gate_close(&g);
	}
	return 0;
}
