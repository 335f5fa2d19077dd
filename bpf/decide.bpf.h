/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The decision, as plain functions. The same text is compiled three times: into the connect
 * hooks, into `smtpwall explain`, and into the unit tests. What it needs to know about the
 * world it asks through the sw_env_* functions, which the includer defines. Each question is
 * asked only when its answer matters: in the kernel they cost a lookup each.
 */
#ifndef SW_DECIDE_BPF_H
#define SW_DECIDE_BPF_H

#include "exempt.bpf.h"

struct sw_decision {
	__u8 verdict;		/* enum sw_verdict */
	__u8 reason;		/* enum sw_reason */
	__u8 slot;		/* enum sw_slot */
	bool exempt;
	struct sw_uid_key charge;
	struct sw_rule rule;	/* with SW_BY_RULE and SW_BY_RULE_LIMIT */
};

/* Is the account denied for the time being? */
SW_INLINE bool sw_env_denied_now(struct sw_env *env, __u32 uid);
/* The allow rule with the longest prefix of this address, for one identity and port. */
SW_INLINE bool sw_env_rule(struct sw_env *env, __u32 kind, __u32 who, const struct sw_flow *f,
			   struct sw_rule *rule);
/* The same for the task's cgroup or the nearest one above it that has a rule. */
SW_INLINE bool sw_env_cgroup_rule(struct sw_env *env, const struct sw_flow *f,
				  struct sw_rule *rule);
/* The limit of an account or group, if it has one of its own. */
SW_INLINE bool sw_env_limit(struct sw_env *env, __u32 kind, __u64 id, struct sw_quota *quota);
/* Uses up one of the quota; false when none is left. */
SW_INLINE bool sw_env_take(struct sw_env *env, __u32 kind, __u64 id, struct sw_quota quota);
/* Puts back one that was taken for the same connect. */
SW_INLINE void sw_env_give_back(struct sw_env *env, __u32 kind, __u64 id);
/* Mode redirect: is it the mail server that connects, or a socket that cannot reach it? */
SW_INLINE bool sw_env_mail_server(struct sw_env *env, __u32 uid);
SW_INLINE bool sw_env_bound_to_device(struct sw_env *env);

enum sw_port_kind { SW_PORT_OTHER, SW_PORT_DENY, SW_PORT_COUNT };

SW_INLINE enum sw_port_kind sw_port_kind(const volatile struct sw_settings *set, __u16 port)
{
	for (int i = 0; i < SW_MAX_PORTS; i++) {
		if (i >= set->n_ports)
			break;
		if (port == set->ports[i])
			return i < set->n_deny_ports ? SW_PORT_DENY : SW_PORT_COUNT;
	}
	return SW_PORT_OTHER;
}

/* The hook sees the address before the kernel turns "any" into loopback, so 0.0.0.0 and ::
 * count as this machine too. */
SW_INLINE bool sw_flow_is_loopback(const struct sw_flow *f)
{
	if (f->addr[0] || f->addr[1])
		return false;
	if (f->addr[2] == sw_htonl(0xffff))
		return !f->addr[3] ||
		       (f->addr[3] & sw_htonl(0xff000000)) == sw_htonl(0x7f000000);
	return !f->addr[2] && (!f->addr[3] || f->addr[3] == sw_htonl(1));
}

/* Group and user rules hold where exemptions of users and groups hold: in the host. */
SW_INLINE bool sw_rules_of_ids(struct sw_env *env, const volatile struct sw_settings *set,
			       const struct sw_ids *ids, const struct sw_flow *f,
			       struct sw_rule *rule)
{
	if (!(set->rules & (1 << SW_KIND_UID | 1 << SW_KIND_GID)))
		return false;
	if (!set->containers_exempt && !sw_env_in_host(env))
		return false;
	if (set->identity_strict && (ids->ruid != ids->euid || ids->real_ruid != ids->euid) &&
	    !sw_real_exempt(env, ids))
		return false;
	if (set->rules & 1 << SW_KIND_UID && sw_env_rule(env, SW_KIND_UID, ids->euid, f, rule))
		return true;
	return set->rules & 1 << SW_KIND_GID && sw_env_rule(env, SW_KIND_GID, ids->egid, f, rule);
}

/* The allow rule for this connect: that of the user, then of the group, of the cgroup, of
 * everybody; of each the one with the longest prefix. The first that matches decides, also when
 * its limit is used up. */
SW_INLINE bool sw_find_rule(struct sw_env *env, const volatile struct sw_settings *set,
			    const struct sw_ids *ids, const struct sw_flow *f,
			    struct sw_rule *rule)
{
	if (!set->rules)
		return false;
	if (sw_rules_of_ids(env, set, ids, f, rule))
		return true;
	if (set->rule_cgroup_levels && sw_env_cgroup_rule(env, f, rule))
		return true;
	return set->rules & 1 << SW_KIND_ANY && sw_env_rule(env, SW_KIND_ANY, 0, f, rule);
}

SW_INLINE bool sw_is_unlimited(struct sw_quota q)
{
	return q.per_hour == SW_UNLIMITED && q.per_day == SW_UNLIMITED;
}

/* The limit of the account that is charged: its own, else its group's, else the default, which
 * is for the count ports. */
SW_INLINE struct sw_quota sw_account_quota(struct sw_env *env,
					   const volatile struct sw_settings *set,
					   const struct sw_ids *ids, const struct sw_decision *d)
{
	struct sw_quota q = { SW_UNLIMITED, SW_UNLIMITED };

	if (set->limits & 1 << SW_KIND_UID && sw_env_limit(env, SW_KIND_UID, d->charge.uid, &q))
		return q;
	if (set->limits & 1 << SW_KIND_GID && sw_env_limit(env, SW_KIND_GID, ids->egid, &q))
		return q;
	if (d->reason == SW_BY_COUNT_PORT) {
		q.per_hour = set->default_quota.per_hour;
		q.per_day = set->default_quota.per_day;
	}
	return q;
}

/*
 * Whether an allowed connect keeps within every limit that is for it. What it took from one is
 * put back when another has nothing left: no limit is ever exceeded, and nothing is used up by
 * what did not pass. (While it is taken, a connect on another CPU may find the limit used up.)
 */
SW_INLINE bool sw_within_limits(struct sw_env *env, const volatile struct sw_settings *set,
				const struct sw_ids *ids, struct sw_decision *d)
{
	struct sw_quota account = sw_account_quota(env, set, ids, d);
	struct sw_quota server = { set->server_quota.per_hour, set->server_quota.per_day };
	bool by_rule = d->reason == SW_BY_RULE && !sw_is_unlimited(d->rule.quota);
	__u8 reason;

	if (!sw_is_unlimited(account) && !sw_env_take(env, SW_KIND_UID, d->charge.uid, account)) {
		d->reason = SW_BY_ACCOUNT_LIMIT;
		return false;
	}
	reason = SW_BY_RULE_LIMIT;
	if (!by_rule || sw_env_take(env, SW_KIND_RULE, d->rule.id, d->rule.quota)) {
		reason = SW_BY_SERVER_LIMIT;
		if (sw_is_unlimited(server) || sw_env_take(env, SW_KIND_SERVER, 0, server))
			return true;
		if (by_rule)
			sw_env_give_back(env, SW_KIND_RULE, d->rule.id);
	}
	if (!sw_is_unlimited(account))
		sw_env_give_back(env, SW_KIND_UID, d->charge.uid);
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

SW_INLINE bool sw_flow_is_v4(const struct sw_flow *f)
{
	return !f->addr[0] && !f->addr[1] && f->addr[2] == sw_htonl(0xffff);
}

/* Mode redirect, and nothing allows this connect: only port 25, and only where the mail server
 * can be reached. IPv4 stays IPv4, so a mail server with an IPv6 address alone is not there. */
SW_INLINE bool sw_may_redirect(struct sw_env *env, const volatile struct sw_settings *set,
			       const struct sw_ids *ids, const struct sw_flow *f,
			       struct sw_decision *d)
{
	if (f->port != 25 || d->reason == SW_BY_KTHREAD || !sw_env_in_host(env))
		return false;
	if (sw_env_mail_server(env, ids->euid)) {
		d->reason = SW_BY_LOOP;
		return false;
	}
	if (sw_env_bound_to_device(env)) {
		d->reason = SW_BY_DEVICE;
		return false;
	}
	return set->redirect4 || !sw_flow_is_v4(f);
}

/*
 * The verdict for one TCP connect to a port of the set, and the row it is counted on. Whatever
 * cannot be found out falls towards deny. `kind` must not be SW_PORT_OTHER.
 */
SW_INLINE void sw_decide(struct sw_env *env, const volatile struct sw_settings *set,
			 const struct sw_flow *f, enum sw_port_kind kind, struct sw_decision *d)
{
	struct sw_ids ids = {};

	sw_env_identify(env, &ids);
	d->charge.uid = ids.kthread ? 0 : sw_charged_uid(env, set, &ids);
	d->charge.row = ids.kthread ? SW_ROW_KERNEL : SW_ROW_UID;
	d->verdict = SW_ALLOW;
	d->slot = SW_N_ALLOWED;
	d->exempt = false;

	if (!ids.kthread && sw_env_denied_now(env, d->charge.uid)) {
		d->reason = SW_BY_DENIED_NOW;
		sw_refuse(set, d, SW_DENY, SW_N_DENIED);
		return;
	}
	if (set->allow_local && (sw_flow_is_loopback(f) || sw_env_own_address(env, f))) {
		d->reason = SW_BY_LOCAL;
		d->slot = SW_N_LOCAL;
		return;
	}
	if (ids.kthread) {
		d->reason = SW_BY_KTHREAD;
	} else {
		bool allowed = true;

		if (sw_identity_exempt(env, set, &ids, &d->reason))
			d->exempt = true;
		else if (sw_find_rule(env, set, &ids, f, &d->rule))
			d->reason = SW_BY_RULE;
		else if (kind == SW_PORT_COUNT)
			d->reason = SW_BY_COUNT_PORT;
		else
			allowed = false;
		if (allowed) {
			if (set->limits && !sw_within_limits(env, set, &ids, d))
				sw_refuse(set, d, SW_LIMITED, SW_N_LIMITED);
			return;
		}
	}
	if (set->mode == SW_MODE_REDIRECT && sw_may_redirect(env, set, &ids, f, d)) {
		d->verdict = SW_REDIRECT;
		d->slot = SW_N_REDIRECTED;
		return;
	}
	sw_refuse(set, d, SW_DENY, SW_N_DENIED);
}

#endif
