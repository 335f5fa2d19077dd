/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <string.h>

#include "kern.h"
#include "probe.h"
#include "refusal.h"
#include "util.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"

static const struct sw_feature table[_SW_FEAT_MAX] = {
	[SW_FEAT_BTF] = { "btf", "nothing works without kernel type information (CONFIG_DEBUG_INFO_BTF)",
			  true, false },
	[SW_FEAT_CONNECT_HOOKS] = { "connect_hooks", "nothing works without cgroup connect hooks",
				    true, false },
	[SW_FEAT_CGROUP_LINK] = { "cgroup_link", "enforcement could not outlive the loader", true,
				  false },
	[SW_FEAT_RING_BUFFER] = { "ring_buffer", "events could not be reported", true, false },
	[SW_FEAT_NETNS_COOKIE] = { "netns_cookie", "root of a container would count as root", true,
				   false },
	[SW_FEAT_CUSTOM_ERRNO] = { "custom_errno",
				   "refuse_with has no effect: a denied program sees EPERM", false,
				   false },
	[SW_FEAT_TASK_BTF] = { "task_btf", "an SMTP connect costs some tens of ns more", false, false },
	[SW_FEAT_COARSE_CLOCK] = { "coarse_clock", "an SMTP connect costs some tens of ns more", false,
				   false },
	[SW_FEAT_SOCKET_STORAGE] = { "socket_storage", "mode = redirect is not available", false, false },
	[SW_FEAT_CGROUP_EVENTS] = { "cgroup_events", "the policy may name no cgroups", false, false },
	[SW_FEAT_OUTCOMES] = { "outcomes", "what becomes of SMTP connections is not counted", false,
			       false },
	[SW_FEAT_SENDMAIL_COUNT] = { "sendmail_count", "mail handed to the sendmail program is not "
				     "counted", false, false },
	[SW_FEAT_SENDMAIL_LIMIT] = { "sendmail_limit", "mail handed to the sendmail program uses up no "
				     "limit", false, false },
	[SW_FEAT_SENDMAIL_REFUSAL] = { "sendmail_refusal", "mail handed to the sendmail program beyond a "
				       "limit is counted, not refused", false, false },
	[SW_FEAT_RAW_SOCKET_HOOK] = { "raw_socket_hook", "strict = yes is not available", false,
				      false },
};

static int load(enum bpf_prog_type type, enum bpf_attach_type attach, const struct bpf_insn *insn,
		size_t n)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach);
	int fd = bpf_prog_load(type, "sw_probe", "GPL", insn, n, &opts);

	return fd < 0 ? -errno : fd;
}

#define CALL(helper)	{ .code = BPF_JMP | BPF_CALL, .imm = (helper) }
#define RET_ONE		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 1 }, \
			{ .code = BPF_JMP | BPF_EXIT }

/* Loads a connect4 program that calls `helper` with the context (r1) as its only argument,
 * which those that take none ignore. */
static int load_helper(enum bpf_func_id helper)
{
	const struct bpf_insn insn[] = { CALL(helper), RET_ONE };

	return load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, insn,
		    ARRAY_SIZE(insn));
}

static int load_set_retval(void)
{
	const struct bpf_insn insn[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 1, .imm = -ECONNREFUSED },
		CALL(BPF_FUNC_set_retval),
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};

	return load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, insn,
		    ARRAY_SIZE(insn));
}

static int load_empty(enum bpf_prog_type type, enum bpf_attach_type attach)
{
	const struct bpf_insn insn[] = { RET_ONE };

	return load(type, attach, insn, ARRAY_SIZE(insn));
}

static int load_both_hooks(void)
{
	_cleanup_close_ int v4 = load_empty(BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
					    BPF_CGROUP_INET4_CONNECT);

	if (v4 < 0)
		return v4;
	return load_empty(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT);
}

/* A link to a cgroup that is no descriptor: EBADF says that the kernel got as far as looking. */
static int try_link(void)
{
	_cleanup_close_ int prog = load_empty(BPF_PROG_TYPE_CGROUP_SOCK_ADDR,
					      BPF_CGROUP_INET4_CONNECT);
	int fd;

	if (prog < 0)
		return prog;
	fd = bpf_link_create(prog, -1, BPF_CGROUP_INET4_CONNECT, NULL);
	if (fd >= 0)
		return fd;
	return errno == EBADF ? dup(prog) : -errno;
}

static int make_ring(void)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "sw_probe", 0, 0,
				(unsigned int)sysconf(_SC_PAGESIZE), NULL);

	return fd < 0 ? -errno : fd;
}

static int make_storage(void)
{
	/* The kernel wants to know the types: int and int. */
	static const struct {
		struct btf_header h;
		__u32 types[4];
		char strings[5];
	} __attribute__((packed)) btf = {
		.h = { .magic = BTF_MAGIC, .version = 1, .hdr_len = sizeof(btf.h),
		       .type_len = sizeof(btf.types), .str_off = sizeof(btf.types), .str_len = 5 },
		.types = { 1, BTF_KIND_INT << 24, 4, BTF_INT_SIGNED << 24 | 32 },
		.strings = "\0int",
	};
	_cleanup_close_ int types = bpf_btf_load(&btf, sizeof(btf), NULL);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC,
		    .btf_fd = (__u32)types, .btf_key_type_id = 1, .btf_value_type_id = 1);
	int fd;

	if (types < 0)
		return -errno;
	fd = bpf_map_create(BPF_MAP_TYPE_SK_STORAGE, "sw_probe", 4, 4, 0, &opts);
	return fd < 0 ? -errno : fd;
}

/* Storage with sockets, and the hook that reads it again. */
static int load_getpeername(void)
{
	_cleanup_close_ int storage = make_storage();

	if (storage < 0)
		return storage;
	return load_empty(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_GETPEERNAME);
}

static int try_cgroup_events(void)
{
	_cleanup_close_ int prog = load_empty(BPF_PROG_TYPE_RAW_TRACEPOINT, 0);
	int fd;

	if (prog < 0)
		return prog;
	fd = bpf_raw_tracepoint_open("cgroup_mkdir", prog);
	return fd < 0 ? -errno : fd;
}

/* A descriptor when the feature works, else -errno. */
static int try_feature(enum sw_feature_id id)
{
	switch (id) {
	case SW_FEAT_CONNECT_HOOKS:
		return load_both_hooks();
	case SW_FEAT_CGROUP_LINK:
		return try_link();
	case SW_FEAT_RING_BUFFER:
		return make_ring();
	case SW_FEAT_NETNS_COOKIE:
		return load_helper(BPF_FUNC_get_netns_cookie);
	case SW_FEAT_CUSTOM_ERRNO:
		return load_set_retval();
	case SW_FEAT_TASK_BTF:
		return load_helper(BPF_FUNC_get_current_task_btf);
	case SW_FEAT_COARSE_CLOCK:
		return load_helper(BPF_FUNC_ktime_get_coarse_ns);
	case SW_FEAT_SOCKET_STORAGE:
		return load_getpeername();
	case SW_FEAT_CGROUP_EVENTS:
		return try_cgroup_events();
	case SW_FEAT_RAW_SOCKET_HOOK:
		return load_empty(BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET_SOCK_CREATE);
	default:
		return -ENOSYS;
	}
}

static bool works(enum sw_feature_id id)
{
	_cleanup_close_ int fd = -1;

	if (id == SW_FEAT_BTF)
		return access(BTF_PATH, R_OK) == 0;
	if (id == SW_FEAT_OUTCOMES)
		return sw_kern_try(SW_TRY_OUTCOME);
	if (id == SW_FEAT_SENDMAIL_COUNT)
		return sw_kern_try(SW_TRY_EXEC);
	if (id == SW_FEAT_SENDMAIL_LIMIT)
		return sw_kern_try(SW_TRY_EXEC_LOCK);
	if (id == SW_FEAT_SENDMAIL_REFUSAL)
		return sw_refusal_works();
	fd = try_feature(id);
	return fd >= 0;
}

/* Index of the feature called name[0..len), or -1. */
static int find(const char *name, size_t len)
{
	for (int i = 0; i < _SW_FEAT_MAX; i++)
		if (strlen(table[i].name) == len && !strncmp(table[i].name, name, len))
			return i;
	return -1;
}

static int parse_disabled(const char *list, bool off[_SW_FEAT_MAX])
{
	while (list && *list) {
		size_t len = strcspn(list, ",");
		int i = find(list, len);

		if (len && i < 0)
			return -EINVAL;
		if (i >= 0)
			off[i] = true;
		list += len + (list[len] == ',');
	}
	return 0;
}

int sw_features_probe(const char *disable, struct sw_features *ret)
{
	struct sw_features f;
	bool off[_SW_FEAT_MAX] = { false };
	int r, fd;

	r = parse_disabled(disable, off);
	if (r < 0)
		return r;
	fd = load_empty(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT);
	if (fd == -EPERM)
		return fd;
	if (fd >= 0)
		close(fd);
	memcpy(f.f, table, sizeof(table));
	for (int i = 0; i < _SW_FEAT_MAX; i++)
		f.f[i].present = !off[i] && works((enum sw_feature_id)i);
	/* Only what is counted and uses up limits can be refused beyond them. */
	if (!f.f[SW_FEAT_SENDMAIL_COUNT].present || !f.f[SW_FEAT_SENDMAIL_LIMIT].present)
		f.f[SW_FEAT_SENDMAIL_REFUSAL].present = false;
	*ret = f;
	return 0;
}

const struct sw_feature *sw_features_missing(const struct sw_features *f)
{
	for (int i = 0; i < _SW_FEAT_MAX; i++)
		if (f->f[i].required && !f->f[i].present)
			return &f->f[i];
	return NULL;
}
