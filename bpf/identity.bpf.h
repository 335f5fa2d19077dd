/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who calls connect(2): the task's credentials at that moment, never the socket's creator. A
 * socket made by root and handed to an account is judged as the account's.
 */
#ifndef SW_IDENTITY_BPF_H
#define SW_IDENTITY_BPF_H

#include "exempt.bpf.h"
#include "maps.bpf.h"

struct sw_env {
	void *ctx;			/* of the hook: it names the socket's namespace */
	struct task_struct *task;
	__u32 hour;			/* of local time, once it was asked for */
	__u32 counted[5];		/* windows that counted this attempt, by enum sw_at */
};

SW_INLINE void sw_env_identify(struct sw_env *env, struct sw_ids *ids)
{
	const struct cred *cred = NULL;
	unsigned int flags;

	sw_read_or(flags, env->task, flags, PF_KTHREAD);
	ids->kthread = flags & PF_KTHREAD;

	/* cred is the subjective one: an io_uring personality or a kernel service overrides it. */
	sw_read(cred, env->task, cred);
	sw_read_or(ids->ruid, cred, uid.val, SW_NOBODY);
	sw_read_or(ids->euid, cred, euid.val, SW_NOBODY);
	sw_read_or(ids->egid, cred, egid.val, SW_NOBODY);
	if (sw_settings.identity_strict) {
		sw_read(cred, env->task, real_cred);
		sw_read_or(ids->real_ruid, cred, uid.val, SW_NOBODY);
	}
}

/* root and the mail server's users make most SMTP connects: a compare each instead of a lookup. */
SW_INLINE bool sw_hot_uid(__u32 uid)
{
	for (int i = 0; i < SW_HOT_UIDS; i++) {
		if (i >= sw_settings.n_hot_uids)
			break;
		if (uid == sw_settings.hot_uid[i])
			return true;
	}
	return false;
}

SW_INLINE bool sw_env_exempt(struct sw_env *env, __u32 kind, __u64 id)
{
	struct sw_exempt_key key = {
		.generation = sw_settings.generation,
		.kind = kind,
		.id = id,
	};

	if (kind == SW_KIND_UID && sw_hot_uid(id))
		return true;
	if (kind == SW_KIND_UID && sw_settings.only_hot_uids)
		return false;
	return bpf_map_lookup_elem(&sw_exempt, &key) != NULL;
}

SW_INLINE bool sw_env_own_address(struct sw_env *env, const struct sw_flow *f)
{
	struct sw_local_key key = {
		.generation = sw_settings.generation,
		.addr = { f->addr[0], f->addr[1], f->addr[2], f->addr[3] },
	};
	__u32 zero = 0, bit = sw_local_bit(f->addr);
	struct sw_control *c = bpf_map_lookup_elem(&sw_control, &zero);

	/* Nearly every destination is remote: one load instead of a lookup says so. */
	if (!c || !(c->local_filter[bit / 64 % SW_LOCAL_WORDS] & 1ULL << bit % 64))
		return false;
	return bpf_map_lookup_elem(&sw_local, &key) != NULL;
}

/* The cookie of the initial namespace differs between kernels (1, 3, 7 seen): never a constant.
 * A level that cannot be read counts as a container's. */
SW_INLINE bool sw_env_in_host(struct sw_env *env)
{
	struct pid *pid = NULL;
	unsigned int level;

#ifndef SW_TRACING	/* an execution has no socket */
	if (bpf_get_netns_cookie(env->ctx) != bpf_get_netns_cookie(NULL))
		return false;
#endif
	sw_read(pid, env->task, thread_pid);
	sw_read_or(level, pid, level, 1);
	return level == 0;
}

SW_INLINE bool sw_env_cgroup_exempt(struct sw_env *env)
{
	for (int level = 1; level <= SW_MAX_CGROUP_LEVELS; level++) {
		__u64 id;

		if (level > sw_settings.cgroup_levels)
			break;
		id = bpf_get_current_ancestor_cgroup_id(level);
		if (!id)
			break;	/* past the task's own cgroup */
		if (sw_env_exempt(env, SW_KIND_CGROUP, id))
			return true;
	}
	return false;
}

#endif
