/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who is exempt: the part of the decision that knows nothing of rules and limits. Like
 * decide.bpf.h it is compiled into the hooks, into `smtpwall explain` and into the unit tests,
 * and asks its questions through sw_env_* functions, which the includer defines.
 */
#ifndef SW_EXEMPT_BPF_H
#define SW_EXEMPT_BPF_H

#include "smtpwall_abi.h"

#ifdef __bpf__
#include "kernel.bpf.h"
#define sw_htonl(x)	bpf_htonl(x)
#define SW_INLINE	static __always_inline
#define SW_OUTLINE	static __noinline
#else
#include <arpa/inet.h>
#define sw_htonl(x)	htonl(x)
#define SW_INLINE	static inline
#define SW_OUTLINE	static inline
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

#endif
