/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Allow rules in the kernel: who x destination x port, the longest prefix, and the order of user,
 * group, cgroup and any. What passes and by which reason, and what does not.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "caller.h"
#include "crowd.h"
#include "log.h"
#include "mapread.h"
#include "overhear.h"
#include "scene.h"
#include "util.h"

#define USER	61001
#define GROUP	61500
#define OTHER	61009

static struct wall wall;
static char inner[160], deep[192];	/* cgroups: wall/in and wall/in/deep */

static void apply(const char *policy)
{
	int r = sw_off(&wall.target);

	assert_true(r == 0 || r == -ENOENT);
	assert_int_equal(wall_apply(&wall, policy), 0);
}

static bool passes(const struct caller *c, const char *dest, uint16_t port)
{
	int r = caller_connect(c, dest, port);

	assert_true(r == wall_refusal() || caller_passed(r));
	return r != wall_refusal();
}

/* ---- one rule each ---- */

static const struct caller callers[] = {
	CALLER(USER, USER, wall.cgroup),	/* 0 */
	CALLER(USER, GROUP, wall.cgroup),
	CALLER(OTHER, GROUP, wall.cgroup),
	CALLER(OTHER, OTHER, wall.cgroup),	/* 3 */
	CALLER(OTHER, OTHER, inner),
	CALLER(OTHER, OTHER, deep),
};

/* One bit for each of `callers`. */
#define BY_USER		0x03
#define BY_GROUP	0x06
#define BY_CGROUP	0x30
#define BY_DEEP		0x20
#define BY_ANY		0x3f

/* Those of one set are in one policy: they do not meet. */
static const struct {
	int set;
	const char *rule;	/* %s: the cgroup */
	unsigned int who;
	const char *in, *out;	/* addresses inside and outside */
	uint16_t port, other;	/* port of the rule, and one that is none of it; 0: none */
} rules[] = {
	{ 0, "user 61001 to 198.19.100.1 port 25", BY_USER, "198.19.100.1", "198.19.100.0", 25,
	  2525 },
	{ 0, "user 61001 to 198.19.100.1 port 25", BY_USER, "::ffff:198.19.100.1",
	  "::ffff:198.19.100.3", 25, 2525 },
	{ 0, "user 61001 to 198.19.101.128/25 port 2525", BY_USER, "198.19.101.128",
	  "198.19.101.127", 2525, 25 },
	{ 0, "group 61500 to 198.19.102.0/24 port 25", BY_GROUP, "198.19.102.255", "198.19.103.0",
	  25, 2525 },
	{ 0, "user 61001 to 2001:db8::1 port 25", BY_USER, "2001:db8::1", "2001:db8::2", 25, 2525 },
	{ 0, "user 61001 to 2001:db8:8000::/33 port 25", BY_USER, "2001:db8:ffff::1",
	  "2001:db8:7fff::1", 25, 2525 },
	{ 0, "cgroup %s/in to 198.19.200.0/24 port 25", BY_CGROUP, "198.19.200.9", "198.19.199.9",
	  25, 2525 },
	{ 1, "group 61500 to 198.0.0.0/7 port 25", BY_GROUP, "199.255.255.255", "197.255.255.255",
	  25, 2525 },
	{ 1, "group 61500 to 2000::/3 port 25", BY_GROUP, "3fff::1", "4000::1", 25, 2525 },
	{ 1, "group 61500 to 2000::/3 port 25", BY_GROUP, "2001:db8::1", "100.66.113.1", 25, 2525 },
	{ 2, "any to 0.0.0.0/0 port 25", BY_ANY, "100.66.113.1", "2001:db8::1", 25, 2525 },
	{ 2, "any to 0.0.0.0/0 port 25", BY_ANY, "::ffff:100.66.113.1", "2001:db8::1", 25, 2525 },
	{ 3, "any to any port 2525", BY_ANY, "100.66.113.1", NULL, 2525, 25 },
	{ 3, "any to any port 2525", BY_ANY, "2001:db8::1", NULL, 2525, 25 },
	{ 4, "any to any", BY_ANY, "2001:db8::1", NULL, 25, 0 },
	{ 5, "cgroup %s/in/deep to any port 25", BY_DEEP, "2001:db8::9", NULL, 25, 2525 },
	{ 6, "cgroup %s/in to any", BY_CGROUP, "198.19.100.9", NULL, 2525, 0 },
};

static const char *below_root(void)
{
	return strrchr(wall.cgroup, '/');
}

static void apply_set(int set)
{
	char policy[1024];
	size_t n = (size_t)snprintf(policy, sizeof(policy),
				    "[policy]\ndeny_ports = 25 2525\n[allow]\n");

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		char rule[128];

		if (rules[i].set != set || (i && !strcmp(rules[i].rule, rules[i - 1].rule)))
			continue;
		/* NOLINTNEXTLINE(*nonliteral*) */
		snprintf(rule, sizeof(rule), rules[i].rule, below_root());
		n += (size_t)snprintf(policy + n, sizeof(policy) - n, "rule = %s\n", rule);
	}
	assert_int_equal(wall_apply(&wall, policy), 0);
}

static void check_rule(size_t i)
{
	for (size_t c = 0; c < ARRAY_SIZE(callers); c++) {
		bool want = rules[i].who & 1u << c;

		if (passes(&callers[c], rules[i].in, rules[i].port) != want)
			fail_msg("%s: caller %zu to %s", rules[i].rule, c, rules[i].in);
		if (!want)
			continue;
		if (rules[i].out && passes(&callers[c], rules[i].out, rules[i].port))
			fail_msg("%s: caller %zu to %s", rules[i].rule, c, rules[i].out);
		if (rules[i].other && passes(&callers[c], rules[i].in, rules[i].other))
			fail_msg("%s: caller %zu to port %u", rules[i].rule, c, rules[i].other);
	}
}

static void who_where_and_port(void **state)
{
	(void)state;
	apply("[policy]\n");
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		if (!i || rules[i].set != rules[i - 1].set)
			apply_set(rules[i].set);
		check_rule(i);
	}
}

/* ---- several rules ---- */

static uint64_t passed(uint32_t uid, uint32_t gid, const char *dest, const char *cgroup)
{
	const struct crowd_opts o = { .uid = uid, .gid = gid, .dest = dest, .port = 25,
				      .threads = 2, .attempts = 30, .cgroup = cgroup };

	return crowd_run(&wall, &o).passed;
}

/* Limits tell which rule it was: each has its own. */
static void longest_prefix_wins(void **state)
{
	(void)state;
	apply("[allow]\n"
	      "rule = any to any port 25 limit 1/day\n"
	      "rule = any to 0.0.0.0/0 port 25 limit 2/day\n"
	      "rule = any to 198.19.0.0/16 port 25 limit 3/day\n"
	      "rule = any to 198.19.100.7 port 25 limit 4/day\n"
	      "rule = any to 198.19.100.0/24 port 25 limit 5/day\n"
	      "rule = any to 2001:db8::/32 port 25 limit 6/day\n"
	      "rule = any to 2001:db8::7 port 25 limit 7/day\n");
	assert_int_equal(passed(USER, USER, "198.19.100.7", NULL), 4);
	/* Used up, it decides all the same: a shorter one does not step in. */
	assert_int_equal(passed(OTHER, OTHER, "::ffff:198.19.100.7", NULL), 0);
	assert_int_equal(overhear_reason(&wall, OTHER), SW_BY_RULE_LIMIT);
	assert_int_equal(passed(USER, USER, "198.19.100.8", NULL), 5);
	assert_int_equal(passed(USER, USER, "198.19.99.7", NULL), 3);
	assert_int_equal(passed(USER, USER, "100.66.113.7", NULL), 2);
	assert_int_equal(passed(USER, USER, "2001:db8::7", NULL), 7);
	assert_int_equal(passed(USER, USER, "2001:db8::8", NULL), 6);
	assert_int_equal(passed(USER, USER, "2001:db9::8", NULL), 1);
}

/* Of two rules for one destination that of the closer identity decides, whatever their prefixes. */
static void user_group_cgroup_any(void **state)
{
	char policy[512];

	(void)state;
	snprintf(policy, sizeof(policy),
		 "[allow]\nrule = any to 198.19.100.7 port 25 limit 2/day\n"
		 "rule = cgroup %s/in to 198.19.100.0/24 port 25 limit 3/day\n"
		 "rule = cgroup %s/in/deep to 198.19.0.0/16 port 25 limit 4/day\n"
		 "rule = group 61500 to 198.0.0.0/8 port 25 limit 5/day\n"
		 "rule = user 61001 to any port 25 limit 6/day\n", below_root(), below_root());
	apply(policy);
	assert_int_equal(passed(USER, GROUP, "198.19.100.7", deep), 6);
	assert_int_equal(passed(OTHER, GROUP, "198.19.100.7", deep), 5);
	assert_int_equal(passed(OTHER, OTHER, "198.19.100.7", deep), 4);
	assert_int_equal(passed(OTHER, OTHER, "198.19.100.7", inner), 3);
	assert_int_equal(passed(OTHER, OTHER, "198.19.100.7", NULL), 2);
	/* The nearest that has a rule for the destination. */
	apply(policy);
	assert_int_equal(passed(OTHER, OTHER, "198.19.99.1", deep), 4);
	assert_int_equal(passed(OTHER, OTHER, "198.19.99.1", inner), 0);
	assert_int_equal(wall_uid(&wall, OTHER, SW_N_DENIED), 30);
}

/* An exemption comes first, a rule before the count port; what no rule names is denied. */
static void beside_exemptions_and_count_ports(void **state)
{
	const struct caller user = CALLER(USER, USER, wall.cgroup);
	const struct caller root = CALLER(0, 0, wall.cgroup);

	(void)state;
	apply("[allow]\nrule = user 61001 to 198.19.100.0/24 port 587 limit 1/day\n"
	      "rule = user 0 to 198.19.100.0/24 port 25 limit 1/day\n[limit]\ndefault = 2/day\n");
	for (int i = 0; i < 3; i++)
		assert_true(passes(&root, "198.19.100.1", 25));
	assert_true(passes(&user, "198.19.100.1", 587));
	assert_false(passes(&user, "198.19.100.1", 587));
	assert_int_equal(overhear_reason(&wall, USER), SW_BY_RULE_LIMIT);
	/* Elsewhere the default counts, from the beginning. */
	assert_true(passes(&user, "198.19.101.1", 587) && passes(&user, "198.19.101.1", 587));
	assert_false(passes(&user, "198.19.101.1", 587));
	assert_int_equal(overhear_reason(&wall, USER), SW_BY_ACCOUNT_LIMIT);
	assert_false(passes(&user, "198.19.100.1", 25));
	assert_int_equal(overhear_reason(&wall, USER), SW_BY_POLICY);
	assert_int_equal(wall_uid(&wall, USER, SW_N_ALLOWED), 3);
	assert_int_equal(wall_uid(&wall, USER, SW_N_LIMITED), 2);
	assert_int_equal(wall_uid(&wall, USER, SW_N_DENIED), 1);
}

/* ---- whose rules hold where ---- */

#define HOST_RULES \
	"rule = user 61001 to 198.19.100.1 port 25\nrule = group 61500 to 198.19.100.2 port 25\n" \
	"rule = any to 198.19.100.3 port 25\n"

/* In another network namespace user and group are somebody else's; cgroups and any are not. */
static void in_a_container(void **state)
{
	struct caller c = CALLER(USER, GROUP, inner);
	char policy[512];

	(void)state;
	c.container = true;
	for (int exempt = 0; exempt < 2; exempt++) {
		snprintf(policy, sizeof(policy), "[policy]\ncontainers = %s\n[allow]\n" HOST_RULES
			 "rule = cgroup %s/in to 198.19.100.4 port 25\n",
			 exempt ? "exempt" : "deny", below_root());
		apply(policy);
		assert_int_equal(passes(&c, "198.19.100.1", 25), exempt);
		assert_int_equal(passes(&c, "198.19.100.2", 25), exempt);
		assert_true(passes(&c, "198.19.100.3", 25));
		assert_true(passes(&c, "198.19.100.4", 25));
		assert_false(passes(&c, "198.19.100.5", 25));
	}
}

/* identity = strict: who runs a set-uid program does not get what its owner may. */
static void strict_identity(void **state)
{
	const struct caller plain = CALLER(USER, GROUP, wall.cgroup);
	const struct caller set_uid = { .ruid = OTHER, .euid = USER, .egid = GROUP,
					.cgroup = wall.cgroup };
	const struct caller by_root = { .ruid = 0, .euid = USER, .egid = GROUP,
					.cgroup = wall.cgroup };

	(void)state;
	for (int strict = 0; strict < 2; strict++) {
		char policy[256];

		snprintf(policy, sizeof(policy), "[policy]\nidentity = %s\n[allow]\n" HOST_RULES,
			 strict ? "strict" : "effective");
		apply(policy);
		for (int i = 1; i < 3; i++) {
			const char *dest = i == 1 ? "198.19.100.1" : "198.19.100.2";

			assert_true(passes(&plain, dest, 25));
			assert_int_equal(passes(&set_uid, dest, 25), !strict);
			assert_true(passes(&by_root, dest, 25));	/* root is exempt */
		}
		assert_true(passes(&set_uid, "198.19.100.3", 25));
		assert_false(passes(&set_uid, "198.19.100.4", 25));
	}
}

#define ONE_RULE "[allow]\nrule = user 61001 to 198.19.100.1 port 25\n"

/* Thousands of rules, two generations of them, and none left behind. */
static void many_rules(void **state)
{
	static char policy[400000];
	const struct caller user = CALLER(USER, USER, wall.cgroup);
	struct sw_map_dump d;
	struct sw_live live;
	size_t n = 0;

	(void)state;
	n += (size_t)snprintf(policy, sizeof(policy), "[allow]\n");
	for (int i = 0; i < 3000; i++)
		n += (size_t)snprintf(policy + n, sizeof(policy) - n,
				      "rule = user 61001 to 100.%d.%d.0/25 port 25 587\n",
				      64 + i / 200, i % 200);
	apply(ONE_RULE);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(wall_apply(&wall, policy), 0);
		assert_true(passes(&user, "100.64.0.127", 25));
		assert_true(passes(&user, "100.78.199.1", 587));
		assert_false(passes(&user, "100.78.199.128", 25));
		assert_false(passes(&user, "100.79.0.1", 25));
		assert_false(passes(&user, "198.19.100.1", 25));
		wall_live(&wall, &live);
		assert_int_equal(sw_map_dump(live.map_fd[SW_MAP_ALLOW], &d), 0);
		assert_int_equal(d.n, 6000);
		sw_map_dump_free(&d);
		sw_live_close(&live);
	}
	assert_int_equal(wall_apply(&wall, ONE_RULE), 0);
	assert_true(passes(&user, "198.19.100.1", 25));
	assert_false(passes(&user, "100.64.0.127", 25));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_where_and_port),
		cmocka_unit_test(longest_prefix_wins),
		cmocka_unit_test(user_group_cgroup_any),
		cmocka_unit_test(beside_exemptions_and_count_ports),
		cmocka_unit_test(in_a_container),
		cmocka_unit_test(strict_identity),
		cmocka_unit_test(many_rules),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	snprintf(inner, sizeof(inner), "%s/in", wall.cgroup);
	snprintf(deep, sizeof(deep), "%s/deep", inner);
	if (mkdir(inner, 0755) < 0 || mkdir(deep, 0755) < 0)
		return 99;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	scene_rmdir(deep);
	scene_rmdir(inner);
	wall_close(&wall);
	return failed ? 1 : 0;
}
