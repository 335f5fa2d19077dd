// SPDX-License-Identifier: GPL-2.0-only
/* Tiny programs that tell what this kernel takes. Never pinned; gone with the process. */
#include "kernel.bpf.h"
#include "smtpwall_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, int);
} sw_try_map SEC(".maps");

/* What bpf/outcome.bpf.c needs. */
SEC("sockops")
int sw_try_outcome(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (sk && bpf_sk_storage_get(&sw_try_map, sk, NULL, 0) && bpf_skc_to_tcp_sock(sk))
		return ctx->bytes_acked == 1;
	return 1;
}

struct sw_try_lock {
	struct bpf_spin_lock lock;
	__u32 n;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sw_try_lock);
} sw_try_locks SEC(".maps");

/* A lock, which limits are counted under. */
SEC("tp_btf/sched_process_exec")
int sw_try_exec_lock(__u64 *ctx)
{
	__u32 zero = 0;
	struct sw_try_lock *l = bpf_map_lookup_elem(&sw_try_locks, &zero);

	if (!l)
		return 0;
	bpf_spin_lock(&l->lock);
	l->n++;
	bpf_spin_unlock(&l->lock);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int sw_try_exec(__u64 *ctx)
{
	return 0;
}

/* What bpf/refuse.bpf.c needs. It refuses one file, which user space made for this. */
const volatile struct sw_mailer_key sw_try_file SEC(".rodata.try") = {};

SEC("lsm/bprm_check_security")
int sw_try_refuse(__u64 *ctx)
{
	struct linux_binprm *bprm = (struct linux_binprm *)ctx[0];
	__u32 zero = 0;
	struct sw_try_lock *l = bpf_map_lookup_elem(&sw_try_locks, &zero);

	if (!l || bprm->file->f_inode->i_ino != sw_try_file.ino ||
	    bprm->file->f_inode->i_sb->s_dev != sw_try_file.dev)
		return 0;
	bpf_spin_lock(&l->lock);
	l->n++;
	bpf_spin_unlock(&l->lock);
	return -1;
}

char _license[] SEC("license") = "GPL";
