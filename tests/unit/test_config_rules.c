/* SPDX-License-Identifier: GPL-2.0-or-later */
/* [allow] and [limit]: text to rules and limits, and every way to write them wrongly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "config.h"
#include "config_util.h"
#include "util.h"


static void load(const char *text, struct sw_policy *p)
{
	struct sw_diag diag = { 0 };

	write_text("main.conf", text);
	assert_int_equal(sw_config_load(main_file, -1, p, &diag), 0);
	assert_int_equal(diag.n, 0);
}

/* The canonical text is what makes two rules the same. */
static void test_good_rules(void **state)
{
	static const struct {
		const char *text, *canonical;
		struct sw_quota quota;
		size_t n_ports;
		const char *host;
	} rows[] = {
		{ "any to 192.0.2.25 port 25", "any to ::ffff:192.0.2.25/128 port 25", { -1, -1 }, 1, NULL },
		{ "any to any", "any to ::/0", { -1, -1 }, 0, NULL },
		{ "user root to 203.0.113.77/24 port 25 587 limit 200/day",
		  "user 0 to ::ffff:203.0.113.0/120 port 25 port 587", { -1, 200 }, 2, NULL },
		{ "user 1001 to 2001:DB8::1 limit 5/hour 50/day", "user 1001 to 2001:db8::1/128",
		  { 5, 50 }, 0, NULL },
		{ "group root to 2001:db8:ffff::/33", "group 0 to 2001:db8:8000::/33", { -1, -1 }, 0, NULL },
		{ "any to SMTP.Example.Net port 587", "any to smtp.example.net port 587", { -1, -1 }, 1,
		  "smtp.example.net" },
		{ "any to 0.0.0.0/0", "any to ::ffff:0.0.0.0/96", { -1, -1 }, 0, NULL },
		{ "any to 2000::/3 limit none", "any to 2000::/3", { -1, -1 }, 0, NULL },
		{ "any to ::ffff:192.0.2.0/120", "any to ::ffff:192.0.2.0/120", { -1, -1 }, 0, NULL },
		{ "any to a_b.example.net ports 25, 587 limit 0/day",
		  "any to a_b.example.net port 25 port 587", { -1, 0 }, 2, "a_b.example.net" },
		{ "any to 1a", "any to 1a", { -1, -1 }, 0, "1a" },
	};
	struct sw_policy p;
	char text[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s\n", rows[i].text);
		snprintf(text, sizeof(text), "[policy]\ncount_ports = 465 587\n[allow]\nrule = %s\n",
			 rows[i].text);
		load(text, &p);
		assert_int_equal(p.n_rules, 1);
		assert_string_equal(p.rules[0].text, rows[i].canonical);
		assert_int_equal(p.rules[0].quota.per_hour, rows[i].quota.per_hour);
		assert_int_equal(p.rules[0].quota.per_day, rows[i].quota.per_day);
		assert_int_equal(p.rules[0].n_ports, rows[i].n_ports);
		assert_int_equal(p.rules[0].line, 4);
		assert_int_equal(p.rules[0].n_dest, rows[i].host ? 0 : 1);
		if (rows[i].host)
			assert_string_equal(p.rules[0].host, rows[i].host);
		sw_policy_free(&p);
	}
}

static void test_good_limits(void **state)
{
	const struct sw_policy_limit *l;
	struct sw_policy p;

	(void)state;
	load("[limit]\ndefault = 50/hour 200/day\nuser 1001 = none\nuser 0=0/day\n"
	     "group 0 = 7/hour\nserver = 1000/day\ndeny_for = 90m\n", &p);
	assert_int_equal(p.default_quota.of[0].per_hour, 50);
	assert_int_equal(p.default_quota.of[0].per_day, 200);
	assert_int_equal(p.default_at.line, 2);
	assert_int_equal(p.server_quota.of[0].per_hour, SW_UNLIMITED);
	assert_int_equal(p.server_quota.of[0].per_day, 1000);
	assert_int_equal(p.server_at.line, 6);
	assert_int_equal(p.deny_for_s, 5400);
	l = sw_policy_find_limit(&p, SW_KIND_UID, 1001);
	assert_int_equal(l->quotas.of[0].per_hour & l->quotas.of[0].per_day, SW_UNLIMITED);
	l = sw_policy_find_limit(&p, SW_KIND_UID, 0);
	assert_int_equal(l->quotas.of[0].per_day, 0);
	assert_int_equal(l->line, 4);
	l = sw_policy_find_limit(&p, SW_KIND_GID, 0);
	assert_int_equal(l->quotas.of[0].per_hour, 7);
	sw_policy_free(&p);

	load("[limit]\nuser 7 = local 50/hour 60/day sendmail none all 100/day\n"
	     "default = 9/day local 0/day\n", &p);
	l = sw_policy_find_limit(&p, SW_KIND_UID, 7);
	assert_int_equal(l->quotas.of[SW_CHANNEL_DIRECT].per_day, SW_UNLIMITED);
	assert_int_equal(l->quotas.of[SW_CHANNEL_LOCAL].per_hour, 50);
	assert_int_equal(l->quotas.of[SW_CHANNEL_LOCAL].per_day, 60);
	assert_int_equal(l->quotas.of[SW_CHANNEL_SENDMAIL].per_day, SW_UNLIMITED);
	assert_int_equal(l->quotas.of[SW_CHANNEL_ALL].per_hour, SW_UNLIMITED);
	assert_int_equal(l->quotas.of[SW_CHANNEL_ALL].per_day, 100);
	assert_int_equal(p.default_quota.of[SW_CHANNEL_DIRECT].per_day, 9);
	assert_int_equal(p.default_quota.of[SW_CHANNEL_LOCAL].per_day, 0);
	sw_policy_free(&p);

	load("", &p);
	assert_int_equal(p.default_quota.of[0].per_day & p.server_quota.of[0].per_hour, SW_UNLIMITED);
	assert_int_equal(p.deny_for_s, 0);
	sw_policy_free(&p);
}

static void test_bad_rules(void **state)
{
	static const struct {
		const char *text, *want[MAX_WANT];
	} rows[] = {
		{ "rule =\n", { "main.conf:2: a rule begins with user, group, cgroup or any, not with ''" } },
		{ "rule = alice to any\n", { "main.conf:2: a rule begins with user, group, cgroup or any" } },
		{ "rule = user\n", { "main.conf:2: the rule ends where a user should be named" } },
		{ "rule = user no-such-user to any\n",
		  { "main.conf:2: unknown user 'no-such-user' in the rule" } },
		{ "rule = group no-such-group to any\n", { "main.conf:2: unknown group" } },
		{ "rule = cgroup /x to any\n", { "main.conf:2: there is no cgroup v2 hierarchy" } },
		{ "rule = any\n", { "main.conf:2: 'to' should stand where the rule has ''" } },
		{ "rule = any 192.0.2.1\n", { "main.conf:2: 'to' should stand where the rule has '192.0.2.1'" } },
		{ "rule = any to\n", { "main.conf:2: '' is no address, prefix or host name" } },
		{ "rule = any to 192.0.2.300\n", { "main.conf:2: '192.0.2.300' is no address" } },
		{ "rule = any to 192.0.2.0/33\n", { "main.conf:2: '192.0.2.0/33' is no address" } },
		{ "rule = any to 2001:db8::/129\n", { "main.conf:2: '2001:db8::/129' is no address" } },
		{ "rule = any to 192.0.2.0/\n", { "main.conf:2: is no address" } },
		{ "rule = any to 1.2.3\n", { "main.conf:2: '1.2.3' is no address" } },
		{ "rule = any to -a.example\n", { "main.conf:2: is no address" } },
		{ "rule = any to a..example\n", { "main.conf:2: is no address" } },
		{ "rule = any to a.example-\n", { "main.conf:2: is no address" } },
		{ "rule = any to a$b.example\n", { "main.conf:2: is no address" } },
		{ "rule = any to ::/0\n", { "main.conf:2: '::/0' covers IPv4 addresses too; write any" } },
		{ "rule = any to any port\n", { "main.conf:2: 'port' is followed by no port" } },
		{ "rule = any to any port smtp\n", { "main.conf:2: 'smtp' is no port" } },
		{ "rule = any to any port 0\n", { "main.conf:2: '0' is no port" } },
		{ "rule = any to any port 2525\n",
		  { "main.conf:2: port 2525 of the rule is in neither deny_ports nor count_ports" } },
		{ "rule = any to any limit\n", { "main.conf:2: is no limit" } },
		{ "rule = any to any limit 5\n", { "main.conf:2: is no limit" } },
		{ "rule = any to any limit 5/week\n", { "main.conf:2: is no limit" } },
		{ "rule = any to any limit 5/day 6/day\n", { "main.conf:2: is no limit" } },
		{ "rule = any to any limit none 6/day\n", { "main.conf:2: is no limit" } },
		{ "rule = any to any limit 4294967295/day\n", { "main.conf:2: is no limit" } },
		{ "rule = any to any only\n", { "main.conf:2: 'only' should be port or limit" } },
		{ "rule = any to 192.0.2.1\nrule = user root to any\nrule = any to 192.0.2.1/32\n",
		  { "main.conf:4: the same rule as in", } },
		{ "rule = any to any\n  port 25\n",
		  { "main.conf:3: 'rule' takes one value" } },
		{ "rule = any to 1.2.3\nrule = nobody to any\nrule = any to any port 1\n",
		  { "main.conf:2: '1.2.3'", "main.conf:3: a rule begins", "main.conf:4: port 1 of" } },
		{ "rules = any to any\n", { "main.conf:2: unknown key 'rules' in [allow]; known keys: rule" } },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s", rows[i].text);
		snprintf(text, sizeof(text), "[allow]\n%s", rows[i].text);
		write_text("main.conf", text);
		assert_errors_fd(-1, rows[i].want);
	}
}

static void test_bad_limits(void **state)
{
	static const struct {
		const char *text, *want[MAX_WANT];
	} rows[] = {
		{ "default =\n", { "main.conf:2: '' is no limit; write none, N/hour, N/day or both" } },
		{ "default = 200\n", { "main.conf:2: '200' is no limit" } },
		{ "default = -1/day\n", { "main.conf:2: '-1/day' is no limit" } },
		{ "server = none none\n", { "main.conf:2: is no limit" } },
		{ "user = 5/day\n", { "main.conf:2: 'user' should be user and one name" } },
		{ "user root mail = 5/day\n", { "main.conf:2: should be user and one name" } },
		{ "user no-such-user = 5/day\n", { "main.conf:2: unknown user 'no-such-user' in [limit]" } },
		{ "group no-such-group = 5/day\n", { "main.conf:2: unknown group" } },
		{ "user root = 5/day\nuser 0 = 6/day\n",
		  { "main.conf:3: the limit of this user is set already, in" } },
		{ "group 0 = 5/day\ngroup root = 6/day\n",
		  { "main.conf:3: the limit of this group is set already" } },
		{ "default = 5/day\ndefault = 6/day\n", { "main.conf:3: 'default' is set twice" } },
		{ "deny_for = 30\n", { "main.conf:2: deny_for = '30' is neither none nor a time" } },
		{ "deny_for = 0m\n", { "main.conf:2: is neither none nor a time" } },
		{ "deny_for = 400d\n", { "main.conf:2: is neither none nor a time" } },
		{ "alice = 5/day\n",
		  { "main.conf:2: unknown key 'alice' in [limit]; known keys: default server unknown "
		    "deny_for 'user NAME' 'group NAME' 'domain NAME'" } },
	};
	char text[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s", rows[i].text);
		snprintf(text, sizeof(text), "[limit]\n%s", rows[i].text);
		write_text("main.conf", text);
		assert_errors_fd(-1, rows[i].want);
	}
}

static void test_redirect(void **state)
{
	static const uint8_t loopback[16] = { [15] = 1 }, v4[4] = { 127, 0, 0, 5 };
	struct sw_policy p;

	(void)state;
	load("[policy]\nmode = redirect\nredirect_to = ::1 127.0.0.5\nredirect_port = 2525\n", &p);
	assert_int_equal(p.mode, SW_MODE_REDIRECT);
	assert_memory_equal(p.redirect6, loopback, 16);
	assert_memory_equal(&p.redirect4, v4, 4);
	assert_int_equal(p.redirect_port, 2525);
	sw_policy_free(&p);
	load("[domains]\nsources = cpanel home\nroot = /srv/image\n", &p);
	assert_string_equal(p.domain_sources, "cpanel home");
	assert_string_equal(p.domain_root, "/srv/image");
	assert_int_equal(p.redirect_port, 25);
	sw_policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good_rules, empty_dir),
		cmocka_unit_test_setup(test_good_limits, empty_dir),
		cmocka_unit_test_setup(test_bad_rules, empty_dir),
		cmocka_unit_test_setup(test_bad_limits, empty_dir),
		cmocka_unit_test_setup(test_redirect, empty_dir),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
