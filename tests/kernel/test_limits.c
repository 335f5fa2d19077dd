/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits are exact: with any number of threads never one more than N passes, and with more than
 * N attempts never one less. For every kind of limit, alone and together. Windows and clocks are
 * test_windows.c's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "caller.h"
#include "crowd.h"
#include "log.h"
#include "overhear.h"
#include "usage.h"
#include "util.h"

#define N	1000
#define ATTEMPTS 1600
#define NOON	1907323200	/* 2030-06-10 12:00 UTC: no window turns during a test */
#define GROUP	61500

static struct wall wall;

static void fresh(const char *policy)
{
	int r = sw_off(&wall.target);

	assert_true(r == 0 || r == -ENOENT);
	assert_int_equal(wall_apply(&wall, policy), 0);
	overhear_set_clock(&wall, NOON);
}

static struct sw_usage used(enum sw_kind kind, uint64_t id)
{
	struct sw_usage u = {};
	struct sw_live live;
	int r;

	wall_live(&wall, &live);
	r = sw_usage_get(&live, kind, id, &u);
	sw_live_close(&live);
	assert_true(r == 0 || r == -ENOENT);
	return u;
}

/* The window of an allow rule of a valid policy. */
static uint64_t rule_id(const char *policy, size_t i)
{
	struct sw_policy p;
	uint64_t id;

	wall_policy(&wall, policy, &p);
	assert_true(i < p.n_rules);
	id = p.rules[i].id;
	sw_policy_free(&p);
	return id;
}

/* ---- one limit, 32 threads of one account ---- */

static const struct limited {
	const char *name;
	const char *rule, *limit;	/* lines that end where the amount goes */
	struct crowd_opts who;
	uint32_t charged;
	enum sw_reason reason;
} limited[] = {
	{ "user, count port", NULL, "user 61001 = ", { .uid = 61001, .port = 587 }, 61001,
	  SW_BY_ACCOUNT_LIMIT },
	{ "user, exempt", NULL, "user 61002 = ",
	  { .uid = 61002, .port = 25, .dest = "2001:db8::1" }, 61002, SW_BY_ACCOUNT_LIMIT },
	{ "user, by a rule", "user 61003 to 198.19.100.1 port 25\n", "user 61003 = ",
	  { .uid = 61003, .port = 25, .dest = "198.19.100.1" }, 61003, SW_BY_ACCOUNT_LIMIT },
	{ "real user of a set-uid program", NULL, "user 61004 = ",
	  { .uid = 61009, .ruid = 61004, .port = 25 }, 61004, SW_BY_ACCOUNT_LIMIT },
	{ "member of a group", NULL, "group 61500 = ", { .uid = 61005, .gid = GROUP, .port = 465 },
	  61005, SW_BY_ACCOUNT_LIMIT },
	{ "default", NULL, "default = ", { .uid = 61006, .port = 587, .dest = "::ffff:192.0.2.1" },
	  61006, SW_BY_ACCOUNT_LIMIT },
	{ "rule", "any to 198.19.100.0/24 port 25 limit ", NULL,
	  { .uid = 61007, .port = 25, .dest = "198.19.100.7" }, 61007, SW_BY_RULE_LIMIT },
	{ "rule, v6", "group 61501 to 2001:db8::/32 port 25 limit ", NULL,
	  { .uid = 61008, .gid = 61501, .port = 25, .dest = "2001:db8::1" }, 61008,
	  SW_BY_RULE_LIMIT },
};

/* All of them in one policy: they do not meet. */
static void limit_all(const char *amount, char *ret, size_t size)
{
	size_t n = (size_t)snprintf(ret, size, "[exempt]\nusers = root 61002 61009\n[allow]\n");

	for (size_t i = 0; i < ARRAY_SIZE(limited); i++)
		if (limited[i].rule)
			n += (size_t)snprintf(ret + n, size - n, "rule = %s%s", limited[i].rule,
					      limited[i].limit ? "" : amount);
	n += (size_t)snprintf(ret + n, size - n, "[limit]\n");
	for (size_t i = 0; i < ARRAY_SIZE(limited); i++)
		if (limited[i].limit)
			n += (size_t)snprintf(ret + n, size - n, "%s%s", limited[i].limit, amount);
	assert_true(n < size);
}

static void check_limited(const struct limited *l, enum sw_kind kind, uint64_t id)
{
	struct crowd_opts who = l->who;
	struct crowd_seen seen;
	struct sw_usage u;

	who.attempts = ATTEMPTS;
	seen = crowd_run(&wall, &who);
	u = used(kind, id);
	if (seen.passed != N || seen.refused[wall_refusal()] != ATTEMPTS - N || u.hour_used != N ||
	    u.day_used != N)
		fail_msg("%s: %llu passed, %llu refused, %u and %u used", l->name,
			 (unsigned long long)seen.passed,
			 (unsigned long long)seen.refused[wall_refusal()], u.hour_used, u.day_used);
	assert_int_equal(wall_uid(&wall, l->charged, SW_N_ALLOWED), N);
	assert_int_equal(wall_uid(&wall, l->charged, SW_N_LIMITED), ATTEMPTS - N);
	assert_int_equal(overhear_reason(&wall, l->charged), l->reason);
}

static void check_all(const char *amount)
{
	char policy[1024];
	size_t rule = 0;

	limit_all(amount, policy, sizeof(policy));
	fresh(policy);
	for (size_t i = 0; i < ARRAY_SIZE(limited); i++) {
		uint64_t id = limited[i].rule ? rule_id(policy, rule++) : 0;

		if (limited[i].limit)
			check_limited(&limited[i], SW_KIND_UID, limited[i].charged);
		else
			check_limited(&limited[i], SW_KIND_RULE, id);
	}
}

static void exactly_n_an_hour(void **state)
{
	(void)state;
	check_all("1000/hour\n");
}

static void exactly_n_a_day(void **state)
{
	(void)state;
	check_all("1000/day\n");
}

/* Those who are exempt are counted too. */
static void exactly_n_of_the_server(void **state)
{
	static const struct limited server[] = {
		{ "server, count port", NULL, NULL, { .uid = 61001, .port = 587 }, 61001,
		  SW_BY_SERVER_LIMIT },
		{ "server, exempt", NULL, NULL, { .uid = 61002, .port = 25 }, 61002,
		  SW_BY_SERVER_LIMIT },
	};

	(void)state;
	fresh("[exempt]\nusers = root 61002\n[limit]\nserver = 1000/hour\n");
	check_limited(&server[0], SW_KIND_SERVER, 0);
	fresh("[exempt]\nusers = root 61002\n[limit]\nserver = 1000/day\n");
	check_limited(&server[1], SW_KIND_SERVER, 0);
}

/* Many more: two CPUs have to meet in a few nanoseconds to miscount. */
static void exactly_very_many(void **state)
{
	const struct crowd_opts o = { .uid = 61001, .port = 587, .attempts = 40000 };
	struct crowd_seen seen;

	(void)state;
	fresh("[limit]\nuser 61001 = 35000/hour\nserver = 30000/day\n");
	seen = crowd_run(&wall, &o);
	assert_int_equal(seen.passed, 30000);
	assert_int_equal(seen.refused[wall_refusal()], 10000);
	assert_int_equal(used(SW_KIND_UID, 61001).hour_used, 30000);
	assert_int_equal(used(SW_KIND_SERVER, 0).day_used, 30000);
}

/* Of two amounts the smaller one decides; both are counted. */
static void hour_and_day_together(void **state)
{
	struct crowd_opts o = { .uid = 61001, .port = 587, .attempts = 300 };

	(void)state;
	fresh("[limit]\nuser 61001 = 200/hour 90/day\n");
	assert_int_equal(crowd_run(&wall, &o).passed, 90);
	fresh("[limit]\nuser 61001 = 90/hour 200/day\n");
	assert_int_equal(crowd_run(&wall, &o).passed, 90);
}

/* ---- which limit is whose ---- */

static uint64_t passed(uint32_t uid, uint32_t gid, const char *dest, uint16_t port)
{
	const struct crowd_opts o = { .uid = uid, .gid = gid, .dest = dest, .port = port,
				      .threads = 4, .attempts = 40 };

	return crowd_run(&wall, &o).passed;
}

static void own_limit_before_group_before_default(void **state)
{
	(void)state;
	fresh("[exempt]\nusers = root 61006\n"
	      "[allow]\nrule = user 61007 to 198.19.100.1 port 25 587\n"
	      "[limit]\ndefault = 7/hour\nuser 61001 = 11/hour\nuser 61002 = none\n"
	      "user 61003 = 0/day\ngroup 61500 = 13/hour\ngroup 61501 = none\n");
	assert_int_equal(passed(61001, GROUP, NULL, 587), 11);
	assert_int_equal(passed(61002, GROUP, NULL, 587), 40);
	assert_int_equal(passed(61003, GROUP, NULL, 587), 0);
	/* Each member on its own. */
	assert_int_equal(passed(61004, GROUP, NULL, 587), 13);
	assert_int_equal(passed(61005, GROUP, NULL, 587), 13);
	assert_int_equal(passed(61008, 61501, NULL, 587), 40);
	/* The default is for the count ports: neither for those who are exempt nor for rules. */
	assert_int_equal(passed(61009, 61009, NULL, 465), 7);
	assert_int_equal(passed(61009, 61009, NULL, 587), 0);	/* all count ports together */
	assert_int_equal(passed(61006, 61006, NULL, 587), 40);
	assert_int_equal(passed(61007, 61007, "198.19.100.1", 587), 40);
	assert_int_equal(passed(61007, 61007, "198.19.100.1", 25), 40);
	assert_int_equal(passed(61007, 61007, "198.19.100.2", 587), 7);
	/* A limit allows nothing. */
	assert_int_equal(passed(61001, GROUP, NULL, 25), 0);
	assert_int_equal(wall_uid(&wall, 61001, SW_N_DENIED), 40);
	assert_int_equal(wall_uid(&wall, 61003, SW_N_LIMITED), 40);
}

static void local_connects_use_nothing_up(void **state)
{
	(void)state;
	fresh("[limit]\ndefault = 3/hour\nserver = 5/hour\n");
	for (int i = 0; i < 10; i++)
		caller_connect(&(struct caller)CALLER(61001, 61001, wall.cgroup), "127.0.0.1", 587);
	assert_int_equal(wall_uid(&wall, 61001, SW_N_LOCAL), 10);
	assert_int_equal(used(SW_KIND_UID, 61001).hour_used, 0);
	assert_int_equal(used(SW_KIND_SERVER, 0).hour_used, 0);
	assert_int_equal(passed(61001, 61001, NULL, 587), 3);
	assert_int_equal(used(SW_KIND_SERVER, 0).hour_used, 3);
}

/* ---- several limits on one connect ---- */

#define CROWDS	4

/* Several accounts at once; what each of them got through. */
static void run_together(const struct crowd_opts *o, uint64_t got[CROWDS])
{
	struct crowd c[CROWDS];

	for (int i = 0; i < CROWDS; i++)
		crowd_gather(&wall, &o[i], &c[i]);
	for (int i = 0; i < CROWDS; i++)
		crowd_go(&c[i]);
	for (int i = 0; i < CROWDS; i++)
		got[i] = crowd_end(&c[i], true).passed;
}

/* What did not pass used nothing up: each window holds exactly what passed through it. */
static void accounts_share_the_server_limit(void **state)
{
	static const struct crowd_opts o[CROWDS] = {
		{ .uid = 61001, .port = 587, .threads = 8, .attempts = 900 },
		{ .uid = 61002, .port = 587, .threads = 8, .attempts = 900, .dest = "2001:db8::1" },
		{ .uid = 61003, .port = 25, .threads = 8, .attempts = 900 },
		{ .uid = 61004, .port = 465, .threads = 8, .attempts = 900 },
	};
	uint64_t got[CROWDS], sum = 0;

	(void)state;
	fresh("[exempt]\nusers = root 61003\n"
	      "[limit]\ndefault = 200/hour\nuser 61001 = 300/hour\nuser 61002 = 250/day\n"
	      "server = 700/hour\n");
	run_together(o, got);
	for (int i = 0; i < CROWDS; i++)
		sum += got[i];
	assert_int_equal(sum, 700);
	assert_int_equal(used(SW_KIND_SERVER, 0).hour_used, 700);
	assert_true(got[0] <= 300 && got[1] <= 250 && got[3] <= 200);
	assert_int_equal(used(SW_KIND_UID, 61001).hour_used, got[0]);
	assert_int_equal(used(SW_KIND_UID, 61002).day_used, got[1]);
	assert_int_equal(used(SW_KIND_UID, 61003).hour_used, 0);
	assert_int_equal(used(SW_KIND_UID, 61004).hour_used, got[3]);
}

static void account_rule_and_server_together(void **state)
{
	static const char policy[] =
		"[exempt]\nusers = root 61004\n"
		"[allow]\nrule = group 61500 to 198.19.100.0/24 port 25 limit 500/day\n"
		"[limit]\nuser 61001 = 400/hour\nuser 61002 = 350/day\nserver = 650/hour\n";
	static const struct crowd_opts o[CROWDS] = {
		{ .uid = 61001, .gid = GROUP, .port = 25, .dest = "198.19.100.1", .threads = 8,
		  .attempts = 700 },
		{ .uid = 61002, .gid = GROUP, .port = 25, .dest = "198.19.100.2", .threads = 8,
		  .attempts = 700 },
		{ .uid = 61002, .gid = GROUP, .port = 587, .threads = 8, .attempts = 700 },
		{ .uid = 61004, .port = 25, .threads = 4, .attempts = 100 },
	};
	uint64_t got[CROWDS], by_rule, id = rule_id(policy, 0);

	(void)state;
	fresh(policy);
	run_together(o, got);
	by_rule = got[0] + got[1];
	assert_true(by_rule <= 500 && got[0] <= 400 && got[1] + got[2] <= 350);
	assert_int_equal(used(SW_KIND_RULE, id).day_used, by_rule);
	assert_int_equal(used(SW_KIND_UID, 61001).hour_used, got[0]);
	assert_int_equal(used(SW_KIND_UID, 61002).day_used, got[1] + got[2]);
	assert_int_equal(used(SW_KIND_SERVER, 0).hour_used, by_rule + got[2] + got[3]);
	assert_true(by_rule + got[2] + got[3] <= 650);
	/* Whatever came first, something is used up that all of them need. */
	assert_true(by_rule == 500 || by_rule + got[2] + got[3] == 650);
}

/* Refused by the last of three: the first two are as they were, and serve somebody else. */
static void what_did_not_pass_is_given_back(void **state)
{
#define GIVEN \
	"[allow]\nrule = any to 198.19.100.1 port 25 limit 30/hour\n" \
	"[limit]\nuser 61001 = 20/day\n"
	uint64_t id = rule_id(GIVEN, 0);

	(void)state;
	fresh(GIVEN "server = 0/day\n");
	assert_int_equal(passed(61001, 61001, "198.19.100.1", 25), 0);
	assert_int_equal(overhear_reason(&wall, 61001), SW_BY_SERVER_LIMIT);
	assert_int_equal(used(SW_KIND_UID, 61001).hour_used, 0);
	assert_int_equal(used(SW_KIND_UID, 61001).day_used, 0);
	assert_int_equal(used(SW_KIND_RULE, id).hour_used, 0);
	assert_int_equal(used(SW_KIND_RULE, id).day_used, 0);
	/* The same windows under a policy without the server limit. */
	assert_int_equal(wall_apply(&wall, GIVEN), 0);
	overhear_set_clock(&wall, NOON);
	assert_int_equal(passed(61001, 61001, "198.19.100.1", 25), 20);
	assert_int_equal(passed(61002, 61002, "198.19.100.1", 25), 10);
}

/* ---- observe, and no room ---- */

static void observed_limits_refuse_nobody(void **state)
{
	(void)state;
	fresh("[policy]\nmode = observe\n[limit]\ndefault = 10/hour\n");
	assert_int_equal(passed(61001, 61001, NULL, 587), 40);
	assert_int_equal(wall_uid(&wall, 61001, SW_N_ALLOWED), 10);
	assert_int_equal(wall_uid(&wall, 61001, SW_N_WOULD_DENY), 30);
	assert_int_equal(used(SW_KIND_UID, 61001).hour_used, 10);
}

/* An account without a window cannot be counted: it is limited, and that is told. */
static void no_room_for_a_window(void **state)
{
	(void)state;
	fresh("[limit]\ndefault = 10/hour\n[tables]\nuids = 16\n");
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(passed(61100 + i, 61100, NULL, 587), 10);
	assert_int_equal(wall_counter(&wall, SW_CTR_USAGE_FULL), 0);
	assert_int_equal(passed(61200, 61200, NULL, 587), 0);
	assert_int_equal(wall_counter(&wall, SW_CTR_USAGE_FULL), 40);
	assert_int_equal(passed(61200, 61200, NULL, 25), 0);
	assert_int_equal(hammer_once(&wall, 0, 25, false), 0);	/* no limit is for root */
}

/* The server's own limit has its window also where accounts have taken all the room before. */
static void room_for_the_server(void **state)
{
	(void)state;
	fresh("[limit]\ndefault = 10/hour\n[tables]\nuids = 16\n");
	for (uint32_t i = 0; i < 17; i++)
		passed(61100 + i, 61100, NULL, 587);
	assert_true(wall_counter(&wall, SW_CTR_USAGE_FULL) > 0);
	assert_int_equal(wall_apply(&wall, "[limit]\ndefault = 10/hour\nserver = 30/hour\n"
					   "[tables]\nuids = 16\n"), 0);
	overhear_set_clock(&wall, NOON);
	assert_int_equal(passed(0, 0, NULL, 25), 30);
	assert_int_equal(used(SW_KIND_SERVER, 0).hour_used, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exactly_n_an_hour),
		cmocka_unit_test(exactly_n_a_day),
		cmocka_unit_test(exactly_n_of_the_server),
		cmocka_unit_test(exactly_very_many),
		cmocka_unit_test(hour_and_day_together),
		cmocka_unit_test(own_limit_before_group_before_default),
		cmocka_unit_test(local_connects_use_nothing_up),
		cmocka_unit_test(accounts_share_the_server_limit),
		cmocka_unit_test(account_rule_and_server_together),
		cmocka_unit_test(what_did_not_pass_is_given_back),
		cmocka_unit_test(observed_limits_refuse_nobody),
		cmocka_unit_test(no_room_for_a_window),
		cmocka_unit_test(room_for_the_server),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
