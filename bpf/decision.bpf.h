/* SPDX-License-Identifier: GPL-2.0-only */
/* What a decision is. Like decide.bpf.h for the hooks, for `smtpwall` and for the unit tests. */
#ifndef SW_DECISION_BPF_H
#define SW_DECISION_BPF_H

#include "exempt.bpf.h"

struct sw_decision {
	__u8 verdict;		/* enum sw_verdict */
	__u8 reason;		/* enum sw_reason */
	__u8 slot;		/* enum sw_slot */
	__u8 channel;		/* enum sw_channel: the way out, */
	__u8 limit_channel;	/* and with a limit of account or server whether it is that one's, or
				 * SW_CHANNEL_ALL */
	bool exempt;
	struct sw_uid_key charge;
	struct sw_rule rule;	/* with SW_BY_RULE and SW_BY_RULE_LIMIT */
};

/* The two limits of an attempt: that of its channel, and that of all together. */
struct sw_pair {
	struct sw_quota own, all;
};

/* The limits of an account or group, if it has any of its own. */
SW_INLINE bool sw_env_limit(struct sw_env *env, __u32 kind, __u64 id, __u32 channel,
			    struct sw_pair *ret);
/* The windows that an attempt can be counted in, for what is remembered of each. */
enum sw_at { SW_AT_ACCOUNT, SW_AT_ACCOUNT_ALL, SW_AT_RULE, SW_AT_SERVER, SW_AT_SERVER_ALL, _SW_AT_MAX };
/* Uses up one of the quota; false when none is left. */
SW_INLINE bool sw_env_take(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id,
			   struct sw_quota quota);
/* Puts back one that was taken for the same attempt. */
SW_INLINE void sw_env_give_back(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id);

SW_INLINE __u32 sw_at_kind(enum sw_at at)
{
	return at <= SW_AT_ACCOUNT_ALL ? SW_KIND_UID : at == SW_AT_RULE ? SW_KIND_RULE : SW_KIND_SERVER;
}

SW_INLINE bool sw_is_unlimited(struct sw_quota q)
{
	return q.per_hour == SW_UNLIMITED && q.per_day == SW_UNLIMITED;
}

/* Is there any limit for local submission or sendmail that this caller comes under? Who is exempt
 * comes under none of these, for the mail server takes part in them all. */
SW_INLINE bool sw_is_limited_channel(struct sw_env *env, const volatile struct sw_settings *set,
				     const struct sw_ids *ids, struct sw_decision *d)
{
	if (!(set->limit_channels & (1 << d->channel | 1 << SW_CHANNEL_ALL)) || ids->kthread)
		return false;
	d->exempt = sw_identity_exempt(env, set, ids, &d->reason);
	return !d->exempt;
}

/* One limit of each kind. The index is hidden from the compiler, which else makes the address by a
 * bitwise or: the verifier takes additions only. */
SW_INLINE void sw_pick(const volatile struct sw_quotas *q, __u32 channel, struct sw_pair *ret)
{
	channel &= 3;
	_Static_assert(_SW_CHANNEL_MAX == 4, "the mask");
#ifdef __bpf__
	asm volatile("" : "+r"(channel));
#endif
	ret->own.per_hour = q->of[channel].per_hour;
	ret->own.per_day = q->of[channel].per_day;
	ret->all.per_hour = q->of[SW_CHANNEL_ALL].per_hour;
	ret->all.per_day = q->of[SW_CHANNEL_ALL].per_day;
}

/* The limits of the account that is charged: its own, else its group's, else the default, which
 * for direct connects is for the count ports. */
SW_INLINE void sw_account_quota(struct sw_env *env, const volatile struct sw_settings *set,
				const struct sw_ids *ids, const struct sw_decision *d,
				struct sw_pair *ret)
{
	ret->own.per_hour = ret->own.per_day = ret->all.per_hour = ret->all.per_day = SW_UNLIMITED;
	if (set->limits & 1 << SW_KIND_UID &&
	    sw_env_limit(env, SW_KIND_UID, d->charge.uid, d->channel, ret))
		return;
	if (set->limits & 1 << SW_KIND_GID &&
	    sw_env_limit(env, SW_KIND_GID, ids->egid, d->channel, ret))
		return;
	if (d->reason == SW_BY_RULE || d->exempt)
		return;
	/* With `unknown`, every account that is known has the default in a row of its own. */
	if (set->limit_unknown &&
	    (sw_env_limit(env, SW_KIND_ANY, d->charge.uid, d->channel, ret) ||
	     sw_env_limit(env, SW_KIND_ANY, SW_NOBODY, d->channel, ret)))
		return;
	sw_pick(&set->default_quota, d->channel, ret);
}

SW_INLINE bool sw_take_one(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id,
			   struct sw_quota quota)
{
	return sw_is_unlimited(quota) || sw_env_take(env, at, channel, id, quota);
}

SW_INLINE void sw_put_one(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id,
			  struct sw_quota quota)
{
	if (!sw_is_unlimited(quota))
		sw_env_give_back(env, at, channel, id);
}

/* One of the channel's window and one of that of all, or none of either. */
SW_INLINE bool sw_take_pair(struct sw_env *env, const volatile struct sw_settings *set,
			    enum sw_at own, enum sw_at all, __u64 id, const struct sw_pair *q,
			    struct sw_decision *d)
{
	d->limit_channel = d->channel;
	if (!sw_take_one(env, own, d->channel, id, q->own))
		return false;
	if (!(set->limit_channels & 1 << SW_CHANNEL_ALL) ||
	    sw_take_one(env, all, SW_CHANNEL_ALL, id, q->all))
		return true;
	sw_put_one(env, own, d->channel, id, q->own);
	d->limit_channel = SW_CHANNEL_ALL;
	return false;
}

/*
 * Whether an allowed attempt keeps within every limit that is for it. What it took from one is put
 * back when another has nothing left: no limit is ever exceeded, and nothing is used up by what did
 * not pass. (While it is taken, an attempt on another CPU may find the limit used up.) A function of
 * its own in the hooks too: all that is inlined has to fit the 512 bytes of their stack.
 */
SW_OUTLINE bool sw_within_limits(struct sw_env *env, const volatile struct sw_settings *set,
				const struct sw_ids *ids, struct sw_decision *d)
{
	struct sw_pair account, server;
	bool by_rule = d->reason == SW_BY_RULE && !sw_is_unlimited(d->rule.quota);
	__u8 reason;

	sw_account_quota(env, set, ids, d, &account);
	sw_pick(&set->server_quota, d->channel, &server);
	if (!sw_take_pair(env, set, SW_AT_ACCOUNT, SW_AT_ACCOUNT_ALL, d->charge.uid, &account, d)) {
		d->reason = SW_BY_ACCOUNT_LIMIT;
		return false;
	}
	reason = SW_BY_RULE_LIMIT;
	if (!by_rule || sw_env_take(env, SW_AT_RULE, SW_CHANNEL_DIRECT, d->rule.id, d->rule.quota)) {
		reason = SW_BY_SERVER_LIMIT;
		if (sw_take_pair(env, set, SW_AT_SERVER, SW_AT_SERVER_ALL, 0, &server, d))
			return true;
		if (by_rule)
			sw_env_give_back(env, SW_AT_RULE, SW_CHANNEL_DIRECT, d->rule.id);
	}
	sw_put_one(env, SW_AT_ACCOUNT, d->channel, d->charge.uid, account.own);
	if (set->limit_channels & 1 << SW_CHANNEL_ALL)
		sw_put_one(env, SW_AT_ACCOUNT_ALL, SW_CHANNEL_ALL, d->charge.uid, account.all);
	d->reason = reason;
	return false;
}

/* Mode observe lets through whatever is refused otherwise. */
SW_INLINE void sw_refuse(const volatile struct sw_settings *set, struct sw_decision *d,
			 enum sw_verdict verdict, enum sw_slot slot)
{
	bool observe = set->mode == SW_MODE_OBSERVE;

	d->verdict = observe ? SW_OBSERVE : verdict;
	d->slot = observe ? SW_N_WOULD_DENY : slot;
}

#endif
