/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decision over a policy that is not in force, as explain --config asks it: every row that may
 * decide, and where that is written. */
#include <arpa/inet.h>

#include "config_util.h"
#include "decide.h"

#define REMOTE	"203.0.113.7"

struct row {
	uint32_t uid;
	const char *to;
	uint16_t port;
	uint64_t cgroup[2];
	enum sw_verdict verdict;
	enum sw_reason reason;
	uint32_t line;		/* 0: nobody's line */
};

static void load(const char *text, struct sw_policy *ret)
{
	struct sw_diag diag = {};

	write_text("main.conf", text);
	if (sw_config_load(main_file, -1, ret, &diag) < 0)
		fail_msg("%s", diag.n ? diag.text[0] : "no word");
	sw_diag_free(&diag);
}

static void map_address(const char *text, uint8_t addr[16])
{
	char mapped[64];

	snprintf(mapped, sizeof(mapped), strchr(text, ':') ? "%s" : "::ffff:%s", text);
	assert_int_equal(inet_pton(AF_INET6, mapped, addr), 1);
}

static void ask(const char *what, const struct sw_policy *p, const struct row *row, size_t n)
{
	struct sw_addr address;
	const struct sw_addrs own = { .item = &address, .n = 1 };

	map_address("198.51.100.77", (uint8_t *)&address);
	for (size_t i = 0; i < n; i++) {
		const struct row *r = &row[i];
		struct sw_query q = { .euid = r->uid, .egid = 5000, .ruid = r->uid, .port = r->port,
				      .cgroup = { r->cgroup[0], r->cgroup[1] } };
		struct sw_answer a;

		map_address(r->to, q.addr);
		sw_decide_policy(p, &own, &q, &a);
		if (a.verdict != r->verdict || a.reason != r->reason || a.line != r->line)
			fail_msg("%s row %zu: verdict %d, %s, line %u", what, i, a.verdict,
				 sw_reason_name(a.reason), a.line);
	}
}

/* Destinations by prefix: whole bytes, and the bits that are left. */
static void test_rules(void **state)
{
	static const struct row rows[] = {
		{ 1002, "203.0.113.127", 25, {}, SW_ALLOW, SW_BY_RULE, 5 },
		{ 1002, "203.0.113.128", 25, {}, SW_DENY, SW_BY_POLICY, 0 },
		{ 1002, "203.0.112.1", 25, {}, SW_DENY, SW_BY_POLICY, 0 },
		{ 1002, "198.51.100.9", 25, {}, SW_ALLOW, SW_BY_RULE, 6 },
		{ 1002, "198.51.100.10", 25, {}, SW_DENY, SW_BY_POLICY, 0 },
		{ 1003, "203.0.113.127", 25, {}, SW_DENY, SW_BY_POLICY, 0 },
		{ 1001, "2001:db8::1", 25, {}, SW_ALLOW, SW_BY_EXEMPT_UID, 2 },
		{ 1002, "2001:db8::1", 25, {}, SW_DENY, SW_BY_POLICY, 0 },
		{ 1002, "198.51.100.77", 25, {}, SW_ALLOW, SW_BY_LOCAL, 0 },
		{ 1002, REMOTE, 80, {}, SW_ALLOW, SW_BY_NONE, 0 },
	};
	struct sw_policy p;

	(void)state;
	load("[exempt]\nusers = root 1001\nmta = none\n[allow]\n"
	     "rule = user 1002 to 203.0.113.0/25 port 25\n"
	     "rule = user 1002 to 198.51.100.9 port 25\n", &p);
	ask("", &p, rows, ARRAY_SIZE(rows));
	sw_policy_free(&p);
}

/* A cgroup may be exempt, have rules, or neither, at its level; 0 is none. */
static void test_cgroups(void **state)
{
	static const struct row rows[] = {
		{ 1002, REMOTE, 25, { 11 }, SW_ALLOW, SW_BY_EXEMPT_CGROUP, 7 },
		{ 1002, REMOTE, 25, { 12, 21 }, SW_ALLOW, SW_BY_RULE, 8 },
		{ 1002, "198.51.100.1", 25, { 12, 21 }, SW_DENY, SW_BY_POLICY, 0 },
		{ 1002, REMOTE, 25, { 12, 22 }, SW_DENY, SW_BY_POLICY, 0 },
		{ 1002, REMOTE, 25, { 13, 11 }, SW_DENY, SW_BY_POLICY, 0 },	/* not its level */
		{ 1002, REMOTE, 25, {}, SW_DENY, SW_BY_POLICY, 0 },
	};
	struct sw_allow_rule rule = { .kind = SW_KIND_CGROUP, .port = { 25 }, .n_ports = 1,
				      .n_dest = 1, .line = 8,
				      .quota = { SW_UNLIMITED, SW_UNLIMITED } };
	struct sw_policy_cgroup *c;
	struct sw_policy p;
	size_t other;

	(void)state;
	load("[exempt]\nusers = root\nmta = none\n", &p);
	c = sw_policy_cgroup(&p, "/exempt.slice", 11);
	assert_non_null(c);
	c->exempt = true;
	c->line = 7;
	c = sw_policy_cgroup(&p, "/web.slice/rules.service", 21);
	assert_non_null(c);
	rule.who = sw_policy_cgroup_who(&p, c);
	assert_non_null(sw_policy_cgroup(&p, "/web.slice/gone.service", 0));
	rule.text = strdup("cgroup");
	rule.dest = calloc(1, sizeof(*rule.dest));
	assert_true(rule.text && rule.dest);
	map_address(REMOTE, rule.dest->addr);
	rule.dest->len = 128;
	assert_int_equal(sw_policy_add_rule(&p, &rule, &other), 0);
	ask("", &p, rows, ARRAY_SIZE(rows));
	sw_policy_free(&p);
}

/* Nothing is used up by asking: only a limit of none at all decides. */
static void test_limits(void **state)
{
	static const char head[] = "[exempt]\nusers = root\nmta = none\n[allow]\n"
				   "rule = user 1002 to any\nrule = user 1003 to any limit 5/hour\n"
				   "[limit]\n";
	static const struct {
		const char *limits;
		struct row row;
	} cases[] = {
		{ "default = 5/hour\n", { 1002, REMOTE, 25, {}, SW_ALLOW, SW_BY_RULE, 5 } },
		{ "default = local 0/day\n", { 1002, "127.0.0.1", 25, {}, SW_LIMITED,
					      SW_BY_ACCOUNT_LIMIT, 0 } },
		{ "user 1002 = 0/hour\n", { 1002, REMOTE, 25, {},
						 SW_LIMITED, SW_BY_ACCOUNT_LIMIT, 8 } },
		{ "user 1002 = 0/hour\n", { 1003, REMOTE, 25, {}, SW_ALLOW, SW_BY_RULE, 6 } },
		{ "server = 0/hour\n", { 1003, REMOTE, 25, {},
					      SW_LIMITED, SW_BY_SERVER_LIMIT, 0 } },
		{ "user 1002 = all 0/day\n", { 1002, REMOTE, 25, {},
						 SW_LIMITED, SW_BY_ACCOUNT_LIMIT, 8 } },
		{ "server = all 0/day\n", { 1003, REMOTE, 25, {},
					      SW_LIMITED, SW_BY_SERVER_LIMIT, 0 } },
		{ "user 1002 = local 0/hour\n", { 1002, "127.0.0.1", 25, {}, SW_LIMITED,
						  SW_BY_ACCOUNT_LIMIT, 8 } },
		{ "user 1002 = local 0/hour\n", { 0, "127.0.0.1", 25, {}, SW_ALLOW,
						  SW_BY_LOCAL, 0 } },
		{ "user 1002 = sendmail 0/hour\n", { 1002, "127.0.0.1", 25, {}, SW_ALLOW,
						     SW_BY_LOCAL, 0 } },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct sw_policy p;

		snprintf(text, sizeof(text), "%s%s", head, cases[i].limits);
		load(text, &p);
		ask(cases[i].limits, &p, &cases[i].row, 1);
		sw_policy_free(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_cgroups),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests_name("decide_policy", tests, setup_group, teardown_group);
}
