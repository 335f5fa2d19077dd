/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The decision, as plain functions. The same text is compiled three times: into the connect
 * hooks, into `smtpwall explain`, and into the unit tests. What it needs to know about the
 * world it asks through the sw_env_* functions, which the includer defines. Each question is
 * asked only when its answer matters: in the kernel they cost a lookup each.
 */
#ifndef SW_DECIDE_BPF_H
#define SW_DECIDE_BPF_H

#include "decision.bpf.h"

/* Is the account denied for the time being? */
SW_INLINE bool sw_env_denied_now(struct sw_env *env, __u32 uid);
/* The allow rule with the longest prefix of this address, for one identity and port. */
SW_INLINE bool sw_env_rule(struct sw_env *env, __u32 kind, __u32 who, const struct sw_flow *f,
			   struct sw_rule *rule);
/* The same for the task's cgroup or the nearest one above it that has a rule. */
SW_INLINE bool sw_env_cgroup_rule(struct sw_env *env, const struct sw_flow *f,
				  struct sw_rule *rule);
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
	bool allowed = true, limited = set->limits;
	struct sw_ids ids = {};

	sw_env_identify(env, &ids);
	d->charge.uid = ids.kthread ? 0 : sw_charged_uid(env, set, &ids);
	d->charge.row = ids.kthread ? SW_ROW_KERNEL : SW_ROW_UID;
	d->verdict = SW_ALLOW;
	d->slot = SW_N_ALLOWED;
	d->channel = SW_CHANNEL_DIRECT;
	d->exempt = false;

	if (!ids.kthread && sw_env_denied_now(env, d->charge.uid)) {
		d->reason = SW_BY_DENIED_NOW;
		sw_refuse(set, d, SW_DENY, SW_N_DENIED);
		return;
	}
	if (set->allow_local && (sw_flow_is_loopback(f) || sw_env_own_address(env, f))) {
		d->channel = SW_CHANNEL_LOCAL;
		limited = sw_is_limited_channel(env, set, &ids, d);
		d->reason = SW_BY_LOCAL;
		d->slot = SW_N_LOCAL;
	} else if (ids.kthread) {
		d->reason = SW_BY_KTHREAD;
		allowed = false;
	} else if (sw_identity_exempt(env, set, &ids, &d->reason)) {
		d->exempt = true;
	} else if (sw_find_rule(env, set, &ids, f, &d->rule)) {
		d->reason = SW_BY_RULE;
	} else if (kind == SW_PORT_COUNT) {
		d->reason = SW_BY_COUNT_PORT;
	} else {
		allowed = false;
	}
	if (allowed) {
		if (limited && !sw_within_limits(env, set, &ids, d))
			sw_refuse(set, d, SW_LIMITED, SW_N_LIMITED);
		return;
	}
	if (set->mode == SW_MODE_REDIRECT && sw_may_redirect(env, set, &ids, f, d)) {
		d->verdict = SW_REDIRECT;
		d->slot = SW_N_REDIRECTED;
		return;
	}
	sw_refuse(set, d, SW_DENY, SW_N_DENIED);
}

#endif
