/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits of domains, and of accounts without one: whose they are. */
#include "test_domain_util.h"

#include "config.h"
#include "decide.h"
#include "limit_known.h"
#include "log.h"

#define PASSWD	PASSWD_HEAD "alice:x:1001:1001::/home/alice:/bin/bash\n" \
		"bob:x:1002:1002::/home/bob:/bin/bash\n" \
		"carol:x:1003:1003::/home/carol:/bin/bash\n"

/* The policy of these lines, with what the sources below the root know. */
static void load(const char *text, struct sw_policy *p)
{
	struct sw_diag diag = {};
	struct sw_domains *d;

	put("/etc/passwd", PASSWD);
	put("/etc/trueuserdomains", "shop.example: alice\nbob.example: bob\nweb.example: www-data\n");
	put("/etc/userdomains", "shop.example: alice\nlow.example: alice\nbob.example: bob\n");
	put("/smtpwall.conf", text);
	assert_int_equal(sw_config_load(below("/smtpwall.conf"), -1, p, &diag), 0);
	assert_true(sw_limit_known_needed(p));
	d = open_domains(root, NULL);
	assert_int_equal(sw_domains_refresh_all(d), 0);
	assert_int_equal(sw_limit_known(p, d), 0);
	sw_domains_free(d);
}

static struct sw_quotas of_user(const struct sw_policy *p, uint32_t uid)
{
	const struct sw_policy_limit *l = sw_policy_find_limit(p, SW_KIND_UID, uid);

	return l ? l->quotas : (struct sw_quotas)SW_QUOTAS_NONE;
}

/* Of each quota the lowest, and an account's own line before all. */
static void test_domains(void **state)
{
	struct sw_quotas q;
	struct sw_policy p;

	(void)state;
	load("[limit]\nuser 1002 = 8/day\ndomain Shop.Example. = 5/hour 9/day\n"
	     "domain low.example = direct 7/hour 3/day local 1/day\ndomain bob.example = 1/day\n"
	     "domain gone.example = 1/day\ndomain web.example = 1/day\n", &p);
	q = of_user(&p, 1001);
	assert_int_equal(q.of[SW_CHANNEL_DIRECT].per_hour, 5);
	assert_int_equal(q.of[SW_CHANNEL_DIRECT].per_day, 3);
	assert_int_equal(q.of[SW_CHANNEL_LOCAL].per_day, 1);
	assert_int_equal(q.of[SW_CHANNEL_LOCAL].per_hour, SW_UNLIMITED);
	assert_int_equal(of_user(&p, 1002).of[SW_CHANNEL_DIRECT].per_day, 8);
	assert_int_equal(p.n_limits, 2);	/* shared by sites, or nobody's: for nobody */
	sw_policy_free(&p);
}

static enum sw_verdict verdict(const struct sw_policy *p, uint32_t uid, const char *dest, char *line)
{
	struct sw_query q = { .euid = uid, .egid = uid, .ruid = uid, .port = 587,
			      .addr = { [10] = 0xff, 0xff, 203, 0, 113, 7 } };
	struct sw_addr own = { .b = { [10] = 0xff, 0xff, 203, 0, 113, 1 } };
	const struct sw_addrs local = { .item = &own, .n = 1 };
	struct sw_answer a;

	if (dest)
		q.addr[15] = 9;
	sw_decide_policy(p, &local, &q, &a);
	if (line)
		snprintf(line, 8, "%u", a.line);
	return a.verdict;
}

/* In the place of the default, for those of whom no domain is known. */
static void test_unknown(void **state)
{
	struct sw_policy p;
	char line[8];

	(void)state;
	load("[exempt]\nusers = 1005\n[allow]\nrule = any to 203.0.113.9 port 587\n[limit]\n"
	     "default = none\nunknown = 0/day\nuser 1006 = 1/day\ngroup 1007 = 1/day\n", &p);
	assert_int_equal(verdict(&p, 1001, NULL, NULL), SW_ALLOW);
	assert_int_equal(verdict(&p, 1002, NULL, NULL), SW_ALLOW);
	assert_int_equal(verdict(&p, 1003, NULL, line), SW_LIMITED);
	assert_string_equal(line, "7");
	assert_int_equal(verdict(&p, 33, NULL, NULL), SW_LIMITED);	/* many sites, nobody's */
	assert_int_equal(verdict(&p, 1005, NULL, NULL), SW_ALLOW);	/* what default leaves alone */
	assert_int_equal(verdict(&p, 1006, NULL, NULL), SW_ALLOW);
	assert_int_equal(verdict(&p, 1007, NULL, NULL), SW_ALLOW);
	assert_int_equal(verdict(&p, 1003, "9", NULL), SW_ALLOW);
	sw_policy_free(&p);

	load("[limit]\ndefault = 0/day\nunknown = none\n", &p);
	assert_int_equal(verdict(&p, 1001, NULL, line), SW_LIMITED);
	assert_string_equal(line, "2");
	assert_int_equal(verdict(&p, 1003, NULL, NULL), SW_ALLOW);
	sw_policy_free(&p);
}

static void test_errors(void **state)
{
	static const struct { const char *text, *error; } rows[] = {
		{ "domain a..b = 1/day", ":2: 'a..b' is no domain name" },
		{ "domain = 1/day", ":2: 'domain' should be domain and one name" },
		{ "domain a.example b.example = 1/day", "should be domain and one name" },
		{ "domain a.example = many", "is no limit" },
		{ "domain a.example = 1/day\ndomain A.example = 2/day", ":3: the limit of this domain is set" },
		{ "unknown = few", "is no limit" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_diag diag = {};
		struct sw_policy p;
		char text[256];

		snprintf(text, sizeof(text), "[limit]\n%s\n", rows[i].text);
		put("/smtpwall.conf", text);
		assert_int_equal(sw_config_load(below("/smtpwall.conf"), -1, &p, &diag), -EINVAL);
		assert_int_equal(diag.n, 1);
		if (!strstr(diag.text[0], rows[i].error))
			fail_msg("%s", diag.text[0]);
		sw_diag_free(&diag);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
	const struct CMUnitTest tests[] = { TEST(test_domains), TEST(test_unknown), TEST(test_errors) };

	sw_log_max = SW_LOG_ERROR;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
