/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Allow rules, limits, temporary denies and redirect in the decision function. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "decide.bpf.h"
#include "policy.h"
#include "util.h"

#define ALICE	1001
#define ROOT	0
#define DAEMON	1	/* exempt too */
#define GROUP	50
#define RULE_ID	77

/* Limits as the rows below write them; 0: there is no such rule or limit. */
#define FREE	(-1)	/* without a limit */
#define ZERO	(-2)	/* none allowed */

struct sw_env {
	uint32_t uid, ruid, gid;
	uint32_t real_ruid;		/* 0: the same as ruid */
	bool container, kthread, denied, mail_server, device;
	int user_rule, group_rule, cgroup_rule, any_rule;
	int user_limit, group_limit;
	unsigned int used_up;		/* 1 << kind: the window is full already */
	int taken[_SW_KIND_MAX];
	uint64_t taken_id[_SW_KIND_MAX];
	char asked[200];		/* letters, in order */
};

#define WHO(u)		.uid = (u), .ruid = (u), .gid = 1000

static void note(struct sw_env *env, char c)
{
	size_t n = strlen(env->asked);

	if (n + 1 < sizeof(env->asked))
		env->asked[n] = c;
}

static inline void sw_env_identify(struct sw_env *env, struct sw_ids *ids)
{
	*ids = (struct sw_ids){ .euid = env->uid, .egid = env->gid, .ruid = env->ruid,
				.real_ruid = env->real_ruid ?: env->ruid, .kthread = env->kthread };
}

static inline bool sw_env_exempt(struct sw_env *env, __u32 kind, __u64 id)
{
	(void)env;
	return kind == SW_KIND_UID && (id == ROOT || id == DAEMON);
}

static inline bool sw_env_own_address(struct sw_env *env, const struct sw_flow *f)
{
	(void)env;
	(void)f;
	return false;
}

static inline bool sw_env_in_host(struct sw_env *env)
{
	return !env->container;
}

static inline bool sw_env_cgroup_exempt(struct sw_env *env)
{
	(void)env;
	return false;
}

static inline bool sw_env_denied_now(struct sw_env *env, __u32 uid)
{
	return env->denied && uid == env->uid;
}

static uint32_t quota(int limit)
{
	return limit == FREE ? SW_UNLIMITED : limit == ZERO ? 0 : (uint32_t)limit;
}

static bool give(int limit, struct sw_rule *rule)
{
	*rule = (struct sw_rule){ .quota = { quota(limit), SW_UNLIMITED }, .id = RULE_ID };
	return limit != 0;
}

static inline bool sw_env_rule(struct sw_env *env, __u32 kind, __u32 who, const struct sw_flow *f,
			       struct sw_rule *rule)
{
	(void)f;
	switch (kind) {
	case SW_KIND_UID:
		note(env, 'u');
		assert_int_equal(who, env->uid);
		return give(env->user_rule, rule);
	case SW_KIND_GID:
		note(env, 'g');
		assert_int_equal(who, env->gid);
		return give(env->group_rule, rule);
	default:
		note(env, 'a');
		assert_int_equal(kind, SW_KIND_ANY);
		assert_int_equal(who, 0);
		return give(env->any_rule, rule);
	}
}

static inline bool sw_env_cgroup_rule(struct sw_env *env, const struct sw_flow *f,
				      struct sw_rule *rule)
{
	(void)f;
	note(env, 'c');
	return give(env->cgroup_rule, rule);
}

static inline bool sw_env_limit(struct sw_env *env, __u32 kind, __u64 id, __u32 channel,
				struct sw_pair *ret)
{
	int limit = kind == SW_KIND_UID ? env->user_limit : env->group_limit;

	assert_int_equal(id, kind == SW_KIND_UID ? env->uid : env->gid);
	if (!limit)
		return false;
	*ret = (struct sw_pair){ { SW_UNLIMITED, quota(limit) }, { SW_UNLIMITED, SW_UNLIMITED } };
	assert_int_equal(channel, SW_CHANNEL_DIRECT);
	return true;
}

static inline bool sw_env_take(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id,
			       struct sw_quota q)
{
	__u32 kind = sw_at_kind(at);
	uint32_t least = q.per_hour < q.per_day ? q.per_hour : q.per_day;

	(void)channel;
	env->taken_id[kind] = id;
	if (env->used_up & 1U << kind || (uint32_t)env->taken[kind] >= least)
		return false;
	env->taken[kind]++;
	return true;
}

static inline void sw_env_give_back(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id)
{
	__u32 kind = sw_at_kind(at);

	(void)channel;
	assert_int_equal(id, env->taken_id[kind]);
	env->taken[kind]--;
}

static inline bool sw_env_mail_server(struct sw_env *env, __u32 uid)
{
	assert_int_equal(uid, env->uid);
	return env->mail_server;
}

static inline bool sw_env_bound_to_device(struct sw_env *env)
{
	return env->device;
}

#define ALL_RULES	(1 << SW_KIND_UID | 1 << SW_KIND_GID | 1 << SW_KIND_CGROUP | 1 << SW_KIND_ANY)
#define ALL_LIMITS	(ALL_RULES | 1 << SW_KIND_RULE | 1 << SW_KIND_SERVER)

static const struct sw_settings defaults = {
	.mode = SW_MODE_ENFORCE, .allow_local = 1, .ports = { 25, 26, 587 }, .n_deny_ports = 2,
	.n_ports = 3, .rules = ALL_RULES, .rule_cgroup_levels = 1, .limits = ALL_LIMITS,
	.default_quota = SW_QUOTAS_NONE, .server_quota = SW_QUOTAS_NONE,
};

static struct sw_decision ask(struct sw_env *env, const struct sw_settings *set, const char *dest,
			      uint16_t port)
{
	struct sw_flow f = { .port = port, .addr = { 0, 0, htonl(0xffff), inet_addr(dest) } };
	struct sw_decision d = { .verdict = 0xff, .reason = 0xff, .slot = 0xff };

	sw_decide(env, set, &f, sw_port_kind(set, port), &d);
	return d;
}

#define assert_decision(d, v, r, s) do {		\
	assert_int_equal((d).reason, r);		\
	assert_int_equal((d).verdict, v);		\
	assert_int_equal((d).slot, s);			\
} while (0)

/* The nearest identity decides, and only what the policy has is asked for. */
static void test_rule_order(void **state)
{
	static const struct {
		const char *what;
		struct sw_env env;
		uint8_t rules;
		bool strict, allowed;
		const char *asked;
	} rows[] = {
		{ "no rule matches", { WHO(ALICE) }, ALL_RULES, false, false, "ugca" },
		{ "user", { WHO(ALICE), .user_rule = FREE }, ALL_RULES, false, true, "u" },
		{ "group", { WHO(ALICE), .group_rule = FREE }, ALL_RULES, false, true, "ug" },
		{ "cgroup", { WHO(ALICE), .cgroup_rule = FREE }, ALL_RULES, false, true, "ugc" },
		{ "any", { WHO(ALICE), .any_rule = FREE }, ALL_RULES, false, true, "ugca" },
		{ "no user rules", { WHO(ALICE), .user_rule = FREE }, ALL_RULES & ~(1 << SW_KIND_UID),
		  false, false, "gca" },
		{ "no group rules", { WHO(ALICE), .group_rule = FREE },
		  ALL_RULES & ~(1 << SW_KIND_GID), false, false, "uca" },
		{ "no rules for any", { WHO(ALICE), .any_rule = FREE },
		  ALL_RULES & ~(1 << SW_KIND_ANY), false, false, "ugc" },
		{ "no rules", { WHO(ALICE), .user_rule = FREE, .any_rule = FREE }, 0, false, false, "" },
		{ "container: user and group do not count",
		  { WHO(ALICE), .user_rule = FREE, .group_rule = FREE, .container = true }, ALL_RULES,
		  false, false, "ca" },
		{ "container: cgroup", { WHO(ALICE), .cgroup_rule = FREE, .container = true },
		  ALL_RULES, false, true, "c" },
		{ "container: any", { WHO(ALICE), .any_rule = FREE, .container = true }, ALL_RULES,
		  false, true, "ca" },
		{ "set-uid program of another", { .uid = ALICE, .ruid = 1002, .gid = 1000,
		  .user_rule = FREE }, ALL_RULES, false, true, "u" },
		{ "the same, strict", { .uid = ALICE, .ruid = 1002, .gid = 1000,
		  .user_rule = FREE }, ALL_RULES, true, false, "ca" },
		{ "the same by an io_uring personality", { WHO(ALICE), .real_ruid = 1002,
		  .user_rule = FREE }, ALL_RULES, true, false, "ca" },
		{ "set-uid program of root, strict", { .uid = ALICE, .ruid = ROOT, .gid = 1000,
		  .user_rule = FREE }, ALL_RULES, true, true, "u" },
		{ "and by the personality of another exempt one", { .uid = ALICE, .ruid = ROOT,
		  .real_ruid = DAEMON, .gid = 1000, .user_rule = FREE }, ALL_RULES, true, true, "u" },
		{ "root is exempt before any rule", { WHO(ROOT), .user_rule = FREE }, ALL_RULES, false,
		  true, "" },
		{ "kernel threads have no rules", { WHO(ROOT), .any_rule = FREE, .kthread = true },
		  ALL_RULES, false, false, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_settings set = defaults;
		struct sw_env env = rows[i].env;
		struct sw_decision d;

		set.rules = rows[i].rules;
		set.identity_strict = rows[i].strict;
		d = ask(&env, &set, "192.0.2.1", 25);
		print_message("# %s\n", rows[i].what);
		assert_int_equal(d.verdict, rows[i].allowed ? SW_ALLOW : SW_DENY);
		assert_string_equal(env.asked, rows[i].asked);
	}
}

static void test_limits(void **state)
{
	static const struct {
		const char *what;
		struct sw_env env;
		uint16_t port;
		struct sw_quota by_default, server;
		enum sw_verdict verdict;
		enum sw_reason reason;
	} rows[] = {
		{ "no limit", { WHO(ALICE) }, 587, { -1, -1 }, { -1, -1 }, SW_ALLOW, SW_BY_COUNT_PORT },
		{ "default", { WHO(ALICE) }, 587, { 5, -1 }, { -1, -1 }, SW_ALLOW, SW_BY_COUNT_PORT },
		{ "default of none allowed", { WHO(ALICE) }, 587, { -1, 0 }, { -1, -1 }, SW_LIMITED,
		  SW_BY_ACCOUNT_LIMIT },
		{ "default is for count ports only", { WHO(ALICE), .user_rule = FREE }, 25, { 0, 0 },
		  { -1, -1 }, SW_ALLOW, SW_BY_RULE },
		{ "default is for no exempt identity", { WHO(ROOT) }, 587, { 0, 0 }, { -1, -1 },
		  SW_ALLOW, SW_BY_EXEMPT_UID },
		{ "own limit before default", { WHO(ALICE), .user_limit = 5 }, 587, { 0, 0 },
		  { -1, -1 }, SW_ALLOW, SW_BY_COUNT_PORT },
		{ "own limit of none allowed", { WHO(ALICE), .user_limit = ZERO }, 587, { -1, -1 },
		  { -1, -1 }, SW_LIMITED, SW_BY_ACCOUNT_LIMIT },
		{ "unlimited by name", { WHO(ALICE), .user_limit = FREE, .group_limit = ZERO }, 587,
		  { 0, 0 }, { -1, -1 }, SW_ALLOW, SW_BY_COUNT_PORT },
		{ "own limit before that of the group", { WHO(ALICE), .user_limit = 5,
		  .group_limit = ZERO }, 587, { -1, -1 }, { -1, -1 }, SW_ALLOW, SW_BY_COUNT_PORT },
		{ "limit of the group", { WHO(ALICE), .group_limit = ZERO }, 587, { -1, -1 },
		  { -1, -1 }, SW_LIMITED, SW_BY_ACCOUNT_LIMIT },
		{ "own limit holds for rules too", { WHO(ALICE), .user_limit = ZERO, .user_rule = FREE },
		  25, { -1, -1 }, { -1, -1 }, SW_LIMITED, SW_BY_ACCOUNT_LIMIT },
		{ "and for who is exempt", { WHO(ROOT), .user_limit = ZERO }, 25, { -1, -1 },
		  { -1, -1 }, SW_LIMITED, SW_BY_ACCOUNT_LIMIT },
		{ "rule", { WHO(ALICE), .user_rule = 5 }, 25, { -1, -1 }, { -1, -1 }, SW_ALLOW,
		  SW_BY_RULE },
		{ "rule used up: not another rule's turn", { WHO(ALICE), .user_rule = 5,
		  .any_rule = FREE, .used_up = 1 << SW_KIND_RULE }, 25, { -1, -1 }, { -1, -1 },
		  SW_LIMITED, SW_BY_RULE_LIMIT },
		{ "rule on a count port used up", { WHO(ALICE), .user_rule = 5,
		  .used_up = 1 << SW_KIND_RULE }, 587, { -1, -1 }, { -1, -1 }, SW_LIMITED,
		  SW_BY_RULE_LIMIT },
		{ "server", { WHO(ALICE) }, 587, { -1, -1 }, { -1, 0 }, SW_LIMITED,
		  SW_BY_SERVER_LIMIT },
		{ "server: the mail server too", { WHO(ROOT) }, 25, { -1, -1 }, { -1, 0 },
		  SW_LIMITED, SW_BY_SERVER_LIMIT },
		{ "who is denied uses nothing up", { WHO(ALICE), .user_limit = ZERO }, 25, { -1, -1 },
		  { -1, 0 }, SW_DENY, SW_BY_POLICY },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_settings set = defaults;
		struct sw_env env = rows[i].env;
		struct sw_decision d;

		print_message("# %s\n", rows[i].what);
		set.default_quota.of[SW_CHANNEL_DIRECT] = rows[i].by_default;
		set.server_quota.of[SW_CHANNEL_DIRECT] = rows[i].server;
		d = ask(&env, &set, "192.0.2.1", rows[i].port);
		assert_decision(d, rows[i].verdict, rows[i].reason,
				rows[i].verdict == SW_ALLOW ? SW_N_ALLOWED :
				rows[i].verdict == SW_DENY ? SW_N_DENIED : SW_N_LIMITED);
		/* What did not pass used nothing up. */
		for (int k = 0; k < _SW_KIND_MAX && rows[i].verdict != SW_ALLOW; k++)
			assert_int_equal(env.taken[k], 0);
		/* Under observe the same is let through and counted. */
		set.mode = SW_MODE_OBSERVE;
		env = rows[i].env;
		d = ask(&env, &set, "192.0.2.1", rows[i].port);
		if (rows[i].verdict != SW_ALLOW)
			assert_decision(d, SW_OBSERVE, rows[i].reason, SW_N_WOULD_DENY);
	}
}

/* Each of the three limits used up in turn: what was taken before goes back. */
static void test_give_back(void **state)
{
	static const struct {
		enum sw_kind empty;
		enum sw_reason reason;
	} rows[] = {
		{ SW_KIND_UID, SW_BY_ACCOUNT_LIMIT }, { SW_KIND_RULE, SW_BY_RULE_LIMIT },
		{ SW_KIND_SERVER, SW_BY_SERVER_LIMIT },
	};
	struct sw_settings set = defaults;
	struct sw_decision d;

	(void)state;
	set.server_quota.of[SW_CHANNEL_DIRECT] = (struct sw_quota){ 10, 10 };
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_env env = { WHO(ALICE), .user_rule = 5, .user_limit = 5 };

		env.used_up = 1U << rows[i].empty;
		d = ask(&env, &set, "192.0.2.1", 25);
		assert_decision(d, SW_LIMITED, rows[i].reason, SW_N_LIMITED);
		for (int k = 0; k < _SW_KIND_MAX; k++)
			assert_int_equal(env.taken[k], 0);
		env.used_up = 0;
		d = ask(&env, &set, "192.0.2.1", 25);
		assert_decision(d, SW_ALLOW, SW_BY_RULE, SW_N_ALLOWED);
		assert_int_equal(env.taken[SW_KIND_UID], 1);
		assert_int_equal(env.taken[SW_KIND_RULE], 1);
		assert_int_equal(env.taken[SW_KIND_SERVER], 1);
		assert_int_equal(env.taken_id[SW_KIND_UID], ALICE);
		assert_int_equal(env.taken_id[SW_KIND_RULE], RULE_ID);
	}
}

/* Stronger than everything else, local destinations included. */
static void test_denied_now(void **state)
{
	static const struct {
		const char *dest;
		uint16_t port;
		uint32_t uid;
	} rows[] = {
		{ "192.0.2.1", 25, ALICE }, { "192.0.2.1", 587, ALICE }, { "127.0.0.1", 25, ALICE },
		{ "192.0.2.1", 25, ROOT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_env env = { WHO(rows[i].uid), .denied = true, .user_rule = FREE };
		struct sw_settings set = defaults;
		struct sw_decision d;

		for (int mode = 0; mode < _SW_MODE_MAX; mode++) {
			bool observe = mode == SW_MODE_OBSERVE;

			set.mode = (uint32_t)mode;
			d = ask(&env, &set, rows[i].dest, rows[i].port);
			assert_decision(d, observe ? SW_OBSERVE : SW_DENY, SW_BY_DENIED_NOW,
					observe ? SW_N_WOULD_DENY : SW_N_DENIED);
		}
	}
}

static void test_redirect(void **state)
{
	static const struct {
		const char *what;
		struct sw_env env;
		uint16_t port;
		enum sw_verdict verdict;
		enum sw_reason reason;
		enum sw_slot slot;
	} rows[] = {
		{ "ordinary", { WHO(ALICE) }, 25, SW_REDIRECT, SW_BY_POLICY, SW_N_REDIRECTED },
		{ "another deny port", { WHO(ALICE) }, 26, SW_DENY, SW_BY_POLICY, SW_N_DENIED },
		{ "count port", { WHO(ALICE) }, 587, SW_ALLOW, SW_BY_COUNT_PORT, SW_N_ALLOWED },
		{ "exempt", { WHO(ROOT) }, 25, SW_ALLOW, SW_BY_EXEMPT_UID, SW_N_ALLOWED },
		{ "allowed by a rule", { WHO(ALICE), .user_rule = FREE }, 25, SW_ALLOW, SW_BY_RULE,
		  SW_N_ALLOWED },
		{ "limit used up", { WHO(ALICE), .user_rule = 5, .used_up = 1 << SW_KIND_RULE }, 25,
		  SW_LIMITED, SW_BY_RULE_LIMIT, SW_N_LIMITED },
		{ "the mail server itself", { WHO(ALICE), .mail_server = true }, 25, SW_DENY,
		  SW_BY_LOOP, SW_N_DENIED },
		{ "bound to a device", { WHO(ALICE), .device = true }, 25, SW_DENY, SW_BY_DEVICE,
		  SW_N_DENIED },
		{ "another namespace", { WHO(ALICE), .container = true }, 25, SW_DENY, SW_BY_POLICY,
		  SW_N_DENIED },
		{ "root of another namespace", { WHO(ROOT), .container = true }, 25, SW_DENY,
		  SW_BY_CONTAINER, SW_N_DENIED },
		{ "kernel thread", { WHO(ROOT), .kthread = true }, 25, SW_DENY, SW_BY_KTHREAD,
		  SW_N_DENIED },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_settings set = defaults;
		struct sw_env env = rows[i].env;
		struct sw_decision d;

		print_message("# %s\n", rows[i].what);
		set.mode = SW_MODE_REDIRECT;
		set.redirect4 = htonl(INADDR_LOOPBACK);
		d = ask(&env, &set, "192.0.2.1", rows[i].port);
		assert_decision(d, rows[i].verdict, rows[i].reason, rows[i].slot);
		/* A mail server that only IPv6 reaches. */
		set.redirect4 = 0;
		env = rows[i].env;
		d = ask(&env, &set, "192.0.2.1", rows[i].port);
		if (rows[i].verdict == SW_REDIRECT)
			assert_decision(d, SW_DENY, rows[i].reason, SW_N_DENIED);
	}
}

/* IPv6 goes to a mail server that only IPv6 reaches; what comes mapped is IPv4. */
static void test_redirect6(void **state)
{
	static const char *const to[] = { "2001:db8::7", "0:0:1::7", "::1:203.0.113.7" };
	struct sw_settings set = defaults;

	(void)state;
	set.mode = SW_MODE_REDIRECT;
	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		struct sw_env env = { WHO(ALICE) };
		struct sw_flow f = { .port = 25 };
		struct sw_decision d = {};

		assert_int_equal(inet_pton(AF_INET6, to[i], f.addr), 1);
		sw_decide(&env, &set, &f, SW_PORT_DENY, &d);
		assert_decision(d, SW_REDIRECT, SW_BY_POLICY, SW_N_REDIRECTED);
	}
}

/* A kernel thread comes under no limit of local submission; everybody else does. */
static void test_local_limit(void **state)
{
	struct sw_settings set = defaults;
	struct sw_env env = { WHO(ROOT), .kthread = true };
	struct sw_decision d;

	(void)state;
	set.limit_channels = 1 << SW_CHANNEL_LOCAL;
	set.default_quota.of[SW_CHANNEL_LOCAL] = (struct sw_quota){ 0, 0 };
	d = ask(&env, &set, "127.0.0.1", 25);
	assert_decision(d, SW_ALLOW, SW_BY_LOCAL, SW_N_LOCAL);
	env = (struct sw_env){ WHO(ALICE) };
	d = ask(&env, &set, "127.0.0.1", 25);
	assert_decision(d, SW_LIMITED, SW_BY_ACCOUNT_LIMIT, SW_N_LIMITED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule_order), cmocka_unit_test(test_limits),
		cmocka_unit_test(test_give_back), cmocka_unit_test(test_denied_now),
		cmocka_unit_test(test_redirect), cmocka_unit_test(test_redirect6),
		cmocka_unit_test(test_local_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
