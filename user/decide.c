/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "decide.h"
#include "decide.bpf.h"
#include "rows.h"

/* Either the live maps or a policy; `hit` remembers the row that was found last. */
struct sw_env {
	const struct sw_query *q;
	const struct sw_live *live;
	const struct sw_policy *policy;
	const struct sw_addrs *local;
	struct sw_settings settings;
	struct sw_exempt_key hit;
	struct sw_exempt_val hit_val;
	int error;
};

static inline void sw_env_identify(struct sw_env *env, struct sw_ids *ids)
{
	ids->euid = env->q->euid;
	ids->egid = env->q->egid;
	ids->ruid = env->q->ruid;
	ids->real_ruid = env->q->ruid;
}

static bool live_exempt(struct sw_env *env, const struct sw_exempt_key *key,
			struct sw_exempt_val *val)
{
	if (bpf_map_lookup_elem(env->live->map_fd[SW_MAP_EXEMPT], key, val) == 0)
		return true;
	if (errno != ENOENT)
		env->error = -errno;
	return false;
}

static bool policy_exempt(const struct sw_env *env, const struct sw_exempt_key *key,
			  struct sw_exempt_val *val)
{
	const struct sw_exempt *e = sw_policy_find(env->policy, (enum sw_kind)key->kind, key->id);

	if (!e)
		return false;
	*val = (struct sw_exempt_val){ e->source, e->line };
	return true;
}

static inline bool sw_env_exempt(struct sw_env *env, __u32 kind, __u64 id)
{
	struct sw_exempt_key key = { env->settings.generation, kind, id };
	struct sw_exempt_val val;

	if (env->live ? !live_exempt(env, &key, &val) : !policy_exempt(env, &key, &val))
		return false;
	env->hit = key;
	env->hit_val = val;
	return true;
}

static int compare_addr(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sw_addr));
}

static inline bool sw_env_own_address(struct sw_env *env, const struct sw_flow *f)
{
	struct sw_local_key key = { .generation = env->settings.generation };
	__u32 one;

	if (!env->live)
		return bsearch(f->addr, env->local->item, env->local->n, sizeof(struct sw_addr),
			       compare_addr) != NULL;
	memcpy(key.addr, f->addr, sizeof(key.addr));
	return bpf_map_lookup_elem(env->live->map_fd[SW_MAP_LOCAL], &key, &one) == 0;
}

static inline bool sw_env_in_host(struct sw_env *env)
{
	return !env->q->in_container;
}

static inline bool sw_env_cgroup_exempt(struct sw_env *env)
{
	for (int i = 0; i < env->settings.cgroup_levels && env->q->cgroup[i]; i++)
		if (sw_env_exempt(env, SW_KIND_CGROUP, env->q->cgroup[i]))
			return true;
	return false;
}

static bool by_exempt_row(enum sw_reason reason)
{
	return reason == SW_BY_EXEMPT_UID || reason == SW_BY_EXEMPT_GID ||
	       reason == SW_BY_EXEMPT_CGROUP;
}

/* The text of a row's source, or of a reserved one. */
static void find_source(const struct sw_env *env, uint32_t source, struct sw_place at,
			struct sw_answer *a)
{
	struct sw_source_key key = { env->settings.generation, source };
	struct sw_source text = {};

	if (!env->live)
		sw_rows_place(env->policy, at, &text);
	else
		bpf_map_lookup_elem(env->live->map_fd[SW_MAP_SOURCES], &key, &text);
	memcpy(a->source, text.text, sizeof(a->source));
	a->source[sizeof(a->source) - 1] = '\0';
}

/* The row that decided is looked up once more: deciding may have asked for others since. */
static void name_row(struct sw_env *env, struct sw_answer *a)
{
	if (a->reason == SW_BY_EXEMPT_CGROUP)
		sw_env_cgroup_exempt(env);
	else if (a->reason == SW_BY_EXEMPT_UID)
		sw_env_exempt(env, SW_KIND_UID, env->q->euid);
	else
		sw_env_exempt(env, SW_KIND_GID, env->q->egid);
	a->kind = (enum sw_kind)env->hit.kind;
	a->id = env->hit.id;
	a->line = env->hit_val.line;
	find_source(env, env->hit_val.source, (struct sw_place){ env->hit_val.source, 0 }, a);
}

/* Without a row it is a setting that decides. */
static void name_setting(const struct sw_env *env, struct sw_answer *a)
{
	static const struct sw_place none;
	const struct sw_policy *p = env->policy;

	if (a->reason == SW_BY_LOCAL)
		find_source(env, SW_SOURCE_ALLOW_LOCAL, p ? p->local_at : none, a);
	else if (a->reason == SW_BY_COUNT_PORT)
		find_source(env, SW_SOURCE_COUNT_PORTS, p ? p->count_at : none, a);
	else
		find_source(env, SW_SOURCE_DENY_PORTS, p ? p->deny_at : none, a);
}

static void decide(struct sw_env *env, struct sw_answer *ret)
{
	enum sw_port_kind kind = sw_port_kind(&env->settings, env->q->port);
	struct sw_flow f = { .port = env->q->port };
	struct sw_answer a = { .verdict = SW_ALLOW, .reason = SW_BY_NONE };
	struct sw_decision d = {};

	memcpy(f.addr, env->q->addr, sizeof(f.addr));
	if (kind != SW_PORT_OTHER) {
		sw_decide(env, &env->settings, &f, kind, &d);
		a.smtp = true;
		a.verdict = (enum sw_verdict)d.verdict;
		a.reason = (enum sw_reason)d.reason;
		if (by_exempt_row(a.reason))
			name_row(env, &a);
		else
			name_setting(env, &a);
	}
	*ret = a;
}

int sw_decide_live(const struct sw_live *l, const struct sw_query *q, struct sw_answer *ret)
{
	struct sw_env env = { .q = q, .live = l, .settings = l->settings };
	struct sw_answer a;

	decide(&env, &a);
	if (env.error)
		return env.error;
	*ret = a;
	return 0;
}

void sw_decide_policy(const struct sw_policy *p, const struct sw_addrs *local,
		      const struct sw_query *q, struct sw_answer *ret)
{
	struct sw_env env = { .q = q, .policy = p, .local = local };
	const struct sw_features none = {};

	sw_rows_settings(p, &none, 0, &env.settings);
	decide(&env, ret);
}

static const struct {
	const char *name, *text;
} reasons[_SW_REASON_MAX] = {
	[SW_BY_NONE] = { "other-port", "the port is in no list; smtpwall does not look at it" },
	[SW_BY_LOCAL] = { "local", "the destination is this machine, and allow_local = yes" },
	[SW_BY_KTHREAD] = { "kernel-thread", "a kernel thread is never exempt" },
	[SW_BY_EXEMPT_UID] = { "exempt-uid", "the effective UID is exempt" },
	[SW_BY_EXEMPT_GID] = { "exempt-gid", "the effective primary group is exempt" },
	[SW_BY_EXEMPT_CGROUP] = { "exempt-cgroup", "the cgroup, or one above it, is exempt" },
	[SW_BY_RULE] = { "allow-rule", "an allow rule matches" },
	[SW_BY_COUNT_PORT] = { "count-port", "connects to this port are counted, not denied" },
	[SW_BY_POLICY] = { "policy", "nothing exempts this identity" },
	[SW_BY_CONTAINER] = { "container", "the identity is exempt on the host, but not inside a "
			      "container or another namespace" },
	[SW_BY_REAL_UID] = { "real-uid", "identity = strict, and the real UID is not exempt" },
};

const char *sw_reason_text(enum sw_reason reason)
{
	return reason < _SW_REASON_MAX && reasons[reason].text ? reasons[reason].text : "unknown";
}

const char *sw_reason_name(enum sw_reason reason)
{
	return reason < _SW_REASON_MAX && reasons[reason].name ? reasons[reason].name : "unknown";
}
