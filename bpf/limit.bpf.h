/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allow rules, limits and temporary denies: what the decision asks beyond identity. A limit is
 * counted in calendar windows of local time under the lock of its row, so that with any number
 * of CPUs never one more than it says gets through. What cannot be found out falls towards deny.
 */
#ifndef SW_LIMIT_BPF_H
#define SW_LIMIT_BPF_H

#include "decide.bpf.h"
#include "take.bpf.h"

SW_INLINE bool sw_env_rule(struct sw_env *env, __u32 kind, __u32 who, const struct sw_flow *f,
			   struct sw_rule *rule)
{
	struct sw_allow_key key = {
		.prefixlen = SW_ALLOW_BITS + 128,
		.generation = sw_settings.generation,
		.kind = kind,
		.port = f->port,
		.who = who,
		.addr = { f->addr[0], f->addr[1], f->addr[2], f->addr[3] },
	};
	struct sw_rule *found = bpf_map_lookup_elem(&sw_allow, &key);

	if (!found)
		return false;
	*rule = *found;
	return true;
}

/* The nearest cgroup that has rules decides; a rule further up is for those that have none. */
SW_INLINE bool sw_env_cgroup_rule(struct sw_env *env, const struct sw_flow *f,
				  struct sw_rule *rule)
{
	struct sw_exempt_key key = {
		.generation = sw_settings.generation,
		.kind = SW_KIND_CGROUP_RULE,
	};
	bool any = false;

	/* From the top down, so that the last hit is the nearest. */
	for (int level = 1; level <= SW_MAX_CGROUP_LEVELS; level++) {
		struct sw_exempt_val *v;

		if (level > sw_settings.rule_cgroup_levels)
			break;
		key.id = bpf_get_current_ancestor_cgroup_id(level);
		if (!key.id)
			break;
		v = bpf_map_lookup_elem(&sw_exempt, &key);
		if (v && sw_env_rule(env, SW_KIND_CGROUP, v->source, f, rule))
			any = true;
	}
	return any;
}

/* Nearly always nobody is denied for a time: one load says so. */
SW_INLINE bool sw_env_denied_now(struct sw_env *env, __u32 uid)
{
	__u32 zero = 0;
	struct sw_control *c = bpf_map_lookup_elem(&sw_control, &zero);
	struct sw_denied *d;

	if (c && c->denies == c->denies_gone)
		return false;
	d = bpf_map_lookup_elem(&sw_denied, &uid);
	return d && bpf_ktime_get_ns() < d->until_ns;
}

#endif
