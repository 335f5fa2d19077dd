/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Limits: a limit is counted in calendar windows of local time under the lock of its row, so that
 * with any number of CPUs never one more than it says gets through.
 */
#ifndef SW_TAKE_BPF_H
#define SW_TAKE_BPF_H

#include "decision.bpf.h"
#include "hours.bpf.h"
#include "identity.bpf.h"
#include "window.bpf.h"

/* Linux 5.10 has no locks for tracing programs: there executions are counted and use up no limit.
 * LSM programs are only used where they have them. */
#if defined(SW_TRACING) && !defined(SW_LSM)
#define SW_NO_LOCKS	(!sw_settings.limit_sendmail)
#else
#define SW_NO_LOCKS	false
#endif

SW_INLINE bool sw_env_limit(struct sw_env *env, __u32 kind, __u64 id, __u32 channel,
			    struct sw_pair *ret)
{
	struct sw_limit_key key = {
		.generation = sw_settings.generation,
		.kind = kind,
		.id = id,
	};
	struct sw_limit *limit = bpf_map_lookup_elem(&sw_limits, &key);

	if (!limit)
		return false;
	sw_pick(&limit->quotas, channel, ret);
	return true;
}

/* Kind and channel of a window, in one register. */
static __always_inline __u32 sw_window(__u32 kind, __u32 channel)
{
	return kind | channel << 16;
}

/* The row of a limit's window, made at first sight. */
static __always_inline struct sw_usage *sw_usage_row(__u32 window, __u64 id)
{
	struct sw_usage_key key = { .id = id, .kind = window & 0xffff, .channel = window >> 16 };
	struct sw_usage fresh = {};
	struct sw_usage *u = bpf_map_lookup_elem(&sw_usage, &key);

	if (u)
		return u;
	/* -EEXIST only says that another CPU was first. */
	bpf_map_update_elem(&sw_usage, &key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&sw_usage, &key);
}

/*
 * Uses up one: what sw_window_take() says. Global, with scalars only (all that 5.10 takes): verified
 * once. No function may be called while the lock is held.
 */
int sw_take(__u32 window, __u64 id, __u32 per_hour, __u32 per_day, __u32 hour);
__noinline int sw_take(__u32 window, __u64 id, __u32 per_hour, __u32 per_day, __u32 hour)
{
	struct sw_usage *u;
	__u32 counted;

	if (SW_NO_LOCKS)	/* verified also where nobody calls it */
		return 0;
	u = sw_usage_row(window, id);
	if (!u) {
		sw_bump(SW_CTR_USAGE_FULL);
		return 0;
	}
	bpf_spin_lock(&u->lock);
	counted = sw_window_take(u, per_hour, per_day, hour);
	bpf_spin_unlock(&u->lock);
	return counted;
}

int sw_give_back(__u32 window, __u64 id, __u32 counted);
__noinline int sw_give_back(__u32 window, __u64 id, __u32 counted)
{
	struct sw_usage *u;

	if (SW_NO_LOCKS || !counted)
		return 0;
	u = sw_usage_row(window, id);
	if (!u)
		return 0;
	bpf_spin_lock(&u->lock);
	sw_window_give_back(u, counted);
	bpf_spin_unlock(&u->lock);
	return 0;
}

/* One look at the clock for all windows of a connect. */
SW_INLINE __u32 sw_env_hour(struct sw_env *env)
{
	if (!env->hour)
		env->hour = sw_local_hour();
	return env->hour;
}

SW_INLINE bool sw_env_take(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id,
			   struct sw_quota quota)
{
	env->counted[at] = sw_take(sw_window(sw_at_kind(at), channel), id, quota.per_hour,
				   quota.per_day, sw_env_hour(env));
	return env->counted[at] != 0;
}

SW_INLINE void sw_env_give_back(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id)
{
	sw_give_back(sw_window(sw_at_kind(at), channel), id, env->counted[at]);
}

/* Who exceeded a limit is denied for a time. First the row, then the word that says there is one. */
static __always_inline void sw_deny_for_a_time(__u32 uid)
{
	__u32 zero = 0;
	__u64 now = bpf_ktime_get_ns();
	struct sw_control *c = bpf_map_lookup_elem(&sw_control, &zero);
	struct sw_denied d = {
		.since_ns = now,
		.until_ns = now + sw_settings.deny_for_s * SW_NSEC_PER_SEC,
		.by = SW_DENIED_BY_LIMIT,
	};

	if (bpf_map_update_elem(&sw_denied, &uid, &d, BPF_ANY))
		sw_bump(SW_CTR_DENIED_FULL);
	else if (c)
		__sync_fetch_and_add(&c->denies, 1);
}

/* An exempt mail server that has a limit of its own is limited, never denied for a time. */
static __always_inline void sw_after_limit(const struct sw_decision *d)
{
	if (!sw_settings.deny_for_s || d->exempt || d->verdict != SW_LIMITED)
		return;
	if (d->reason == SW_BY_ACCOUNT_LIMIT || d->reason == SW_BY_RULE_LIMIT)
		sw_deny_for_a_time(d->charge.uid);
}

#endif
