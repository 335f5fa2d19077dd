/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The decision, as plain functions. The same text is compiled three times: into the connect
 * hooks, into `smtpwall explain`, and into the unit tests. What it needs to know about the
 * world it asks through the sw_env_* functions, which the includer defines. Each question is
 * asked only when its answer matters: in the kernel they cost a lookup each.
 */
#ifndef SW_DECIDE_BPF_H
#define SW_DECIDE_BPF_H

#include "smtpwall_abi.h"

#ifdef __bpf__
#include "kernel.bpf.h"
#define sw_htonl(x)	bpf_htonl(x)
#define SW_INLINE	static __always_inline
#else
#include <arpa/inet.h>
#define sw_htonl(x)	htonl(x)
#define SW_INLINE	static inline
#endif
#include <stdbool.h>

struct sw_flow {
	__u32 addr[4];		/* network order, IPv4 as v4-mapped */
	__u16 port;		/* host order */
};

/* (uid_t)-1: no account can have it and no row is ever written for it, so what cannot be read
 * falls towards deny. */
#define SW_NOBODY	0xffffffffU

/* All in the initial user namespace. */
struct sw_ids {
	__u32 euid;
	__u32 egid;		/* effective primary group; supplementary groups never count */
	__u32 ruid;
	__u32 real_ruid;	/* of real_cred: differs under an io_uring personality */
	bool kthread;
};

struct sw_decision {
	__u8 verdict;		/* enum sw_verdict */
	__u8 reason;		/* enum sw_reason */
	__u8 slot;		/* enum sw_slot */
	struct sw_uid_key charge;
};

/* The world, as the includer sees it. */
struct sw_env;

/* Who is connecting; an id that cannot be found out becomes SW_NOBODY. */
SW_INLINE void sw_env_identify(struct sw_env *env, struct sw_ids *ids);
/* Is there a row in the policy's generation? */
SW_INLINE bool sw_env_exempt(struct sw_env *env, __u32 kind, __u64 id);
/* Is it an address of this machine, other than loopback? */
SW_INLINE bool sw_env_own_address(struct sw_env *env, const struct sw_flow *f);
/* Is the socket in the host's network namespace and the task in the initial PID namespace? */
SW_INLINE bool sw_env_in_host(struct sw_env *env);
/* Is the task's cgroup, or one above it, exempt? */
SW_INLINE bool sw_env_cgroup_exempt(struct sw_env *env);

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

/* The row an attempt is counted on: the first of (effective, real) that is not exempt. */
SW_INLINE __u32 sw_charged_uid(struct sw_env *env, const volatile struct sw_settings *set,
			       const struct sw_ids *ids)
{
	bool same_real = !set->identity_strict || ids->real_ruid == ids->euid;

	if (ids->ruid == ids->euid && same_real)
		return ids->euid;
	if (!sw_env_exempt(env, SW_KIND_UID, ids->euid))
		return ids->euid;
	if (ids->ruid != ids->euid && !sw_env_exempt(env, SW_KIND_UID, ids->ruid))
		return ids->ruid;
	if (!same_real && !sw_env_exempt(env, SW_KIND_UID, ids->real_ruid))
		return ids->real_ruid;
	return ids->euid;
}

/* identity = strict: the real UID, in cred and in real_cred, must be exempt as well. */
SW_INLINE bool sw_real_exempt(struct sw_env *env, const struct sw_ids *ids)
{
	if (!sw_env_exempt(env, SW_KIND_UID, ids->ruid))
		return false;
	return ids->real_ruid == ids->ruid || sw_env_exempt(env, SW_KIND_UID, ids->real_ruid);
}

/* Whether an exemption covers this caller. True with the step that found it in `reason`; false
 * with the reason a denial would have. UIDs and groups hold in the host's namespaces only. */
SW_INLINE bool sw_identity_exempt(struct sw_env *env, const volatile struct sw_settings *set,
				  const struct sw_ids *ids, __u8 *reason)
{
	bool found = false;

	*reason = SW_BY_POLICY;
	if (sw_env_exempt(env, SW_KIND_UID, ids->euid)) {
		*reason = SW_BY_EXEMPT_UID;
		found = true;
	} else if (set->has_gids && sw_env_exempt(env, SW_KIND_GID, ids->egid)) {
		*reason = SW_BY_EXEMPT_GID;
		found = true;
	}
	if (found && !set->containers_exempt && !sw_env_in_host(env)) {
		*reason = SW_BY_CONTAINER;
		found = false;
	} else if (found && set->identity_strict && !sw_real_exempt(env, ids)) {
		*reason = SW_BY_REAL_UID;
		found = false;
	}
	if (!found && set->cgroup_levels && sw_env_cgroup_exempt(env)) {
		*reason = SW_BY_EXEMPT_CGROUP;
		found = true;
	}
	return found;
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

	if (set->allow_local && (sw_flow_is_loopback(f) || sw_env_own_address(env, f))) {
		d->reason = SW_BY_LOCAL;
		d->slot = SW_N_LOCAL;
		return;
	}
	if (ids.kthread) {
		d->reason = SW_BY_KTHREAD;
	} else {
		if (sw_identity_exempt(env, set, &ids, &d->reason))
			return;
		/* Allow rules and limits take their place here. */
		if (kind == SW_PORT_COUNT) {
			d->reason = SW_BY_COUNT_PORT;
			return;
		}
	}
	if (set->mode == SW_MODE_OBSERVE) {
		d->verdict = SW_OBSERVE;
		d->slot = SW_N_WOULD_DENY;
	} else {
		d->verdict = SW_DENY;
		d->slot = SW_N_DENIED;
	}
}

#endif
