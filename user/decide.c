/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "decide.h"
#include "decide.bpf.h"
#include "rows.h"
#include "usage.h"

#define NSEC_PER_SEC	1000000000ULL

/* Either the live maps or a policy. */
struct sw_env {
	const struct sw_query *q;
	const struct sw_live *live;
	const struct sw_policy *policy;
	const struct sw_addrs *local;
	struct sw_settings settings;
	struct sw_exempt_key hit;	/* the exempt row that was found last, */
	struct sw_exempt_val hit_val;
	struct sw_limit limit;		/* the limit, */
	enum sw_kind limit_kind;
	struct sw_allow_key allow;	/* and the key that found an allow rule */
	int error;
};

static inline void sw_env_identify(struct sw_env *env, struct sw_ids *ids)
{
	ids->euid = env->q->euid;
	ids->egid = env->q->egid;
	ids->ruid = env->q->ruid;
	ids->real_ruid = env->q->ruid;
}

/* One row of a live map; what cannot be read is remembered as an error. */
static bool look_up(struct sw_env *env, enum sw_map_id map, const void *key, void *val)
{
	if (bpf_map_lookup_elem(env->live->map_fd[map], key, val) == 0)
		return true;
	if (errno != ENOENT)
		env->error = -errno;
	return false;
}

static const struct sw_policy_cgroup *find_cgroup(const struct sw_policy *p, uint64_t id)
{
	for (size_t i = 0; i < p->n_cgroups; i++)
		if (p->cgroups[i].id == id && id)
			return &p->cgroups[i];
	return NULL;
}

static bool policy_exempt(const struct sw_env *env, const struct sw_exempt_key *key,
			  struct sw_exempt_val *val)
{
	const struct sw_policy_cgroup *c = find_cgroup(env->policy, key->id);
	const struct sw_exempt *e;

	switch (key->kind) {
	case SW_KIND_CGROUP:
		if (c && c->exempt)
			*val = (struct sw_exempt_val){ c->source, c->line };
		return c && c->exempt;
	case SW_KIND_CGROUP_RULE:
		if (c && c->who)
			*val = (struct sw_exempt_val){ c->who, 0 };
		return c && c->who;
	default:
		e = sw_policy_find(env->policy, (enum sw_kind)key->kind, key->id);
		if (e)
			*val = (struct sw_exempt_val){ e->source, e->line };
		return e != NULL;
	}
}

static inline bool sw_env_exempt(struct sw_env *env, __u32 kind, __u64 id)
{
	struct sw_exempt_key key = { env->settings.generation, kind, id };
	struct sw_exempt_val val;

	if (env->live ? !look_up(env, SW_MAP_EXEMPT, &key, &val) : !policy_exempt(env, &key, &val))
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
	return look_up(env, SW_MAP_LOCAL, &key, &one);
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

static inline bool sw_env_denied_now(struct sw_env *env, __u32 uid)
{
	struct sw_denied d;
	struct timespec now;

	if (!env->live || !look_up(env, SW_MAP_DENIED, &uid, &d))
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec < d.until_ns;
}

/* Whether the first `len` bits of both are the same. */
static bool in_prefix(const struct sw_prefix *p, const __u32 addr[4])
{
	const uint8_t *a = (const uint8_t *)addr;
	unsigned int bytes = p->len / 8, rest = p->len % 8;

	return !memcmp(p->addr, a, bytes) &&
	       (!rest || !((p->addr[bytes] ^ a[bytes]) >> (8 - rest)));
}

static bool has_port(const struct sw_allow_rule *r, uint16_t port)
{
	for (size_t i = 0; i < r->n_ports; i++)
		if (r->port[i] == port)
			return true;
	return !r->n_ports;
}

/* The longest prefix; of equal ones the first rule, as in the rows. */
static const struct sw_allow_rule *policy_rule(const struct sw_policy *p, __u32 kind, __u32 who,
					       const struct sw_flow *f)
{
	const struct sw_allow_rule *best = NULL;
	int longest = -1;

	for (size_t i = 0; i < p->n_rules; i++) {
		const struct sw_allow_rule *r = &p->rules[i];

		if (r->kind != kind || r->who != who || !has_port(r, f->port))
			continue;
		for (size_t j = 0; j < r->n_dest; j++) {
			if (r->dest[j].len > longest && in_prefix(&r->dest[j], f->addr)) {
				longest = r->dest[j].len;
				best = r;
			}
		}
	}
	return best;
}

static inline bool sw_env_rule(struct sw_env *env, __u32 kind, __u32 who, const struct sw_flow *f,
			       struct sw_rule *rule)
{
	struct sw_allow_key key = {
		.prefixlen = SW_ALLOW_BITS + 128,
		.generation = env->settings.generation,
		.kind = (__u16)kind,
		.port = f->port,
		.who = who,
	};
	const struct sw_allow_rule *r;

	memcpy(key.addr, f->addr, sizeof(key.addr));
	if (env->live) {
		if (!look_up(env, SW_MAP_ALLOW, &key, rule))
			return false;
	} else {
		r = policy_rule(env->policy, kind, who, f);
		if (!r)
			return false;
		*rule = (struct sw_rule){ r->quota, r->id, r->source, r->line };
	}
	env->allow = key;
	return true;
}

static inline bool sw_env_cgroup_rule(struct sw_env *env, const struct sw_flow *f,
				      struct sw_rule *rule)
{
	bool any = false;

	for (int i = 0; i < env->settings.rule_cgroup_levels && env->q->cgroup[i]; i++)
		if (sw_env_exempt(env, SW_KIND_CGROUP_RULE, env->q->cgroup[i]) &&
		    sw_env_rule(env, SW_KIND_CGROUP, env->hit_val.source, f, rule))
			any = true;
	return any;
}

static inline bool sw_env_limit(struct sw_env *env, __u32 kind, __u64 id, __u32 channel,
				struct sw_pair *ret)
{
	const struct sw_limit_key key = { env->settings.generation, kind, id };
	const struct sw_policy_limit *l;

	if (env->live) {
		if (!look_up(env, SW_MAP_LIMITS, &key, &env->limit))
			return false;
	} else {
		l = sw_policy_find_limit(env->policy, (enum sw_kind)kind, (uint32_t)id);
		if (!l)
			return false;
		env->limit = (struct sw_limit){ l->quotas, l->source, l->line };
	}
	env->limit_kind = (enum sw_kind)kind;
	sw_pick(&env->limit.quotas, channel, ret);
	return true;
}

/* Only asks whether one is left: explaining uses nothing up. */
static inline bool sw_env_take(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id,
			       struct sw_quota quota)
{
	const struct sw_usage_key key = { id, sw_at_kind(at), channel };
	struct sw_usage u = {};

	if (env->live && look_up(env, SW_MAP_USAGE, &key, &u))
		sw_usage_turn(&u, env->q->hour);
	return u.hour_used < quota.per_hour && u.day_used < quota.per_day;
}

static inline void sw_env_give_back(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id)
{
	(void)env;
	(void)at;
	(void)channel;
	(void)id;
}

static inline bool sw_env_mail_server(struct sw_env *env, __u32 uid)
{
	return sw_env_exempt(env, SW_KIND_MAIL_UID, uid);
}

static inline bool sw_env_bound_to_device(struct sw_env *env)
{
	return env->q->bound_to_device;
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

static void name_place(const struct sw_env *env, uint32_t source, uint32_t line,
		       struct sw_answer *a)
{
	a->line = line;
	find_source(env, source, (struct sw_place){ source, 0 }, a);
}

/* The row that decided is looked up once more: deciding may have asked for others since. */
static void name_exempt(struct sw_env *env, struct sw_answer *a)
{
	if (a->reason == SW_BY_EXEMPT_CGROUP)
		sw_env_cgroup_exempt(env);
	else if (a->reason == SW_BY_EXEMPT_UID)
		sw_env_exempt(env, SW_KIND_UID, env->q->euid);
	else
		sw_env_exempt(env, SW_KIND_GID, env->q->egid);
	a->kind = (enum sw_kind)env->hit.kind;
	a->id = env->hit.id;
	name_place(env, env->hit_val.source, env->hit_val.line, a);
}

static void name_setting(const struct sw_env *env, uint32_t source, struct sw_answer *a)
{
	const struct sw_policy *p = env->policy;
	struct sw_place at = {};

	if (p && source == SW_SOURCE_ALLOW_LOCAL)
		at = p->local_at;
	else if (p && source == SW_SOURCE_COUNT_PORTS)
		at = p->count_at;
	else if (p && source == SW_SOURCE_DEFAULT_LIMIT)
		at = p->default_at;
	else if (p && source == SW_SOURCE_SERVER_LIMIT)
		at = p->server_at;
	else if (p)
		at = p->deny_at;
	find_source(env, source, at, a);
}

/* Where it is written: a row's place, or that of the setting which decides without a row. */
static void name_decider(struct sw_env *env, const struct sw_decision *d, struct sw_answer *a)
{
	switch (a->reason) {
	case SW_BY_EXEMPT_UID:
	case SW_BY_EXEMPT_GID:
	case SW_BY_EXEMPT_CGROUP:
		name_exempt(env, a);
		break;
	case SW_BY_RULE:
	case SW_BY_RULE_LIMIT:
		a->kind = (enum sw_kind)env->allow.kind;
		a->id = env->allow.who;
		name_place(env, d->rule.source, d->rule.line, a);
		break;
	case SW_BY_ACCOUNT_LIMIT:
		if (env->limit_kind)
			name_place(env, env->limit.source, env->limit.line, a);
		else
			name_setting(env, SW_SOURCE_DEFAULT_LIMIT, a);
		break;
	case SW_BY_SERVER_LIMIT:
		name_setting(env, SW_SOURCE_SERVER_LIMIT, a);
		break;
	case SW_BY_LOCAL:
		name_setting(env, SW_SOURCE_ALLOW_LOCAL, a);
		break;
	case SW_BY_COUNT_PORT:
		name_setting(env, SW_SOURCE_COUNT_PORTS, a);
		break;
	case SW_BY_DENIED_NOW:
		break;	/* by nobody's configuration */
	default:
		name_setting(env, SW_SOURCE_DENY_PORTS, a);
	}
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
		a.channel = (enum sw_channel)d.channel;
		a.limit_channel = (enum sw_channel)d.limit_channel;
		name_decider(env, &d, &a);
	}
	*ret = a;
}

int sw_decide_live(const struct sw_live *l, const struct sw_query *q, struct sw_answer *ret)
{
	struct sw_query asked = *q;
	struct sw_env env = { .q = &asked, .live = l, .settings = l->settings };
	struct sw_answer a;

	if (!asked.hour)
		asked.hour = sw_usage_hour(l);
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
