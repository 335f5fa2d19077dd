/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Limits of the three ways out and of their sum: exact in any interleaving, and what one of two
 * windows refuses uses up nothing of the other.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "decide.h"
#include "log.h"
#include "mailer.h"
#include "overhear.h"
#include "usage.h"
#include "util.h"

#define MSMTP	MAILER_BIN "/msmtp"
#define NOON	1907323200	/* 2030-06-10 12:00 UTC: no window turns during a test */
#define HEAD	"[policy]\nmode = enforce\nrefuse_with = permission\n[exempt]\nusers = root 61950\n[limit]\n"

static struct wall wall;

static void fresh(const char *limits)
{
	char text[400];
	int r = sw_off(&wall.target);

	assert_true(r == 0 || r == -ENOENT);
	snprintf(text, sizeof(text), HEAD "%s\n", limits);
	assert_int_equal(wall_apply(&wall, text), 0);
	overhear_set_clock(&wall, NOON);
}

static bool smtp(uint32_t uid, const char *dest, uint16_t port)
{
	const struct caller c = CALLER(uid, uid, wall.cgroup);
	int r = caller_connect(&c, dest, port);

	assert_true(r >= 0);
	return r != EPERM;
}

static bool direct(uint32_t uid)
{
	return smtp(uid, CALLER_REMOTE4, 587);
}

static bool local(uint32_t uid)
{
	return smtp(uid, "127.0.0.1", 25);
}

static bool sendmail(uint32_t uid)
{
	const char *argv[] = { MSMTP, "--mailer", "exit", NULL };
	const struct mailer_caller c = { .uid = uid };

	return mailer_exec(&wall, &c, argv) == 0;
}

static uint32_t used(enum sw_kind kind, enum sw_channel channel, uint64_t id)
{
	struct sw_usage u = {};
	struct sw_live live;

	wall_live(&wall, &live);
	sw_usage_get_channel(&live, kind, channel, id, &u);
	sw_live_close(&live);
	return u.day_used;
}

static unsigned int passes(bool (*way)(uint32_t uid), uint32_t uid, unsigned int n)
{
	unsigned int passed = 0;

	while (n--)
		passed += way(uid);
	return passed;
}

static void each_has_its_own(void **state)
{
	(void)state;
	fresh("user 61901 = 2/day local 3/day sendmail 1/day");
	assert_int_equal(passes(direct, 61901, 4), 2);
	assert_int_equal(passes(local, 61901, 5), 3);
	sendmail(61901);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_DIRECT, 61901), 2);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_LOCAL, 61901), 3);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_SENDMAIL, 61901), 1);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_ALL, 61901), 0);
	assert_int_equal(wall_uid(&wall, 61901, SW_N_LIMITED), 4);
	assert_int_equal(wall_uid(&wall, 61901, SW_N_LOCAL), 3);
	assert_int_equal(wall_uid(&wall, 61901, SW_N_SENDMAIL), 1);
}

static void bare_is_direct(void **state)
{
	(void)state;
	fresh("user 61902 = 1/day");
	assert_int_equal(passes(direct, 61902, 3), 1);
	assert_int_equal(passes(local, 61902, 5), 5);
}

static void the_sum(void **state)
{
	(void)state;
	fresh("user 61903 = all 5/day");
	assert_int_equal(passes(direct, 61903, 2), 2);
	assert_int_equal(passes(local, 61903, 2), 2);
	sendmail(61903);
	assert_int_equal(passes(direct, 61903, 2) + passes(local, 61903, 2), 0);
	/* Counted only; and more than all there is, it cannot use up. */
	sendmail(61903);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_ALL, 61903), 5);
	assert_int_equal(wall_uid(&wall, 61903, SW_N_SENDMAIL), 2);
}

/* One of two windows has nothing left: the other one stays as it was. */
static void give_back(void **state)
{
	(void)state;
	fresh("user 61904 = local 9/day all 2/day\nserver = local 3/day all 100/day");
	assert_int_equal(passes(local, 61904, 6), 2);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_LOCAL, 61904), 2);
	assert_int_equal(used(SW_KIND_SERVER, SW_CHANNEL_LOCAL, 0), 2);
	assert_int_equal(used(SW_KIND_SERVER, SW_CHANNEL_ALL, 0), 2);
	/* No limit of its own; the server has one left. */
	assert_int_equal(passes(local, 61905, 4), 1);
	assert_int_equal(used(SW_KIND_SERVER, SW_CHANNEL_ALL, 0), 3);

	fresh("user 61904 = local 9/day all 50/day\nserver = local 50/day all 2/day");
	assert_int_equal(passes(local, 61904, 5), 2);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_LOCAL, 61904), 2);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_ALL, 61904), 2);
	assert_int_equal(used(SW_KIND_SERVER, SW_CHANNEL_LOCAL, 0), 2);
}

static void who_comes_under_it(void **state)
{
	(void)state;
	fresh("default = local 1/day\ngroup 61907 = local 2/day");
	assert_int_equal(passes(local, 61906, 3), 1);
	assert_int_equal(passes(local, 61907, 4), 2);
	assert_int_equal(passes(local, 61950, 4), 4);	/* exempt */
	assert_int_equal(passes(direct, 61906, 3), 3);
	fresh("default = none all 0/day");
	assert_int_equal(passes(local, 61906, 2) + passes(direct, 61906, 2), 0);
	assert_int_equal(passes(local, 61950, 2), 2);
	fresh("server = local 0/day");
	assert_int_equal(passes(local, 61906, 2), 0);
	assert_int_equal(passes(local, 61950, 2), 2);
}

/* Known accounts have the default, others another one; neither is for who has a line of his own. */
static void accounts_without_a_domain(void **state)
{
	const struct sw_quotas three = { { { SW_UNLIMITED, 3 }, { SW_UNLIMITED, 3 },
					   { SW_UNLIMITED, SW_UNLIMITED }, { SW_UNLIMITED, SW_UNLIMITED } } };
	struct sw_policy_limit known = { .kind = SW_KIND_ANY, .id = 61920 };
	struct sw_policy_limit others = { .kind = SW_KIND_ANY, .id = UINT32_MAX, .quotas = three };
	struct sw_policy p;
	int r = sw_off(&wall.target);

	(void)state;
	assert_true(r == 0 || r == -ENOENT);
	wall_policy(&wall, HEAD "default = 1/day local 1/day\ngroup 61922 = 2/day\n", &p);
	known.quotas = p.default_quota;
	assert_int_equal(sw_policy_add_limit(&p, &known), 0);
	assert_int_equal(sw_policy_add_limit(&p, &others), 0);
	assert_int_equal(sw_apply(&wall.target, &p), 0);
	sw_policy_free(&p);
	overhear_set_clock(&wall, NOON);
	assert_int_equal(passes(direct, 61920, 5), 1);
	assert_int_equal(passes(local, 61920, 5), 1);
	assert_int_equal(passes(direct, 61921, 5), 3);
	assert_int_equal(passes(local, 61921, 5), 3);
	assert_int_equal(passes(direct, 61923, 5), 3);	/* each on its own */
	assert_int_equal(passes(direct, 61922, 5), 2);
	assert_int_equal(passes(local, 61950, 5), 5);	/* exempt */
}

static void release_and_explain(void **state)
{
	struct sw_query q = { .euid = 61908, .egid = 61908, .ruid = 61908, .port = 25,
			      .addr = { [10] = 0xff, 0xff, 127, 0, 0, 1 } };
	struct sw_answer a;
	struct sw_live live;

	(void)state;
	fresh("user 61908 = local 5/day all 1/day");
	assert_int_equal(passes(local, 61908, 3), 1);
	wall_live(&wall, &live);
	assert_int_equal(sw_decide_live(&live, &q, &a), 0);
	assert_int_equal(a.verdict, SW_LIMITED);
	assert_int_equal(a.reason, SW_BY_ACCOUNT_LIMIT);
	assert_int_equal(a.channel, SW_CHANNEL_LOCAL);
	assert_int_equal(a.limit_channel, SW_CHANNEL_ALL);
	assert_int_equal(sw_usage_reset(&live, SW_KIND_UID, 61908), 0);
	assert_int_equal(sw_decide_live(&live, &q, &a), 0);
	assert_int_equal(a.verdict, SW_ALLOW);
	sw_live_close(&live);
	assert_int_equal(passes(local, 61908, 3), 1);
}

/* Sixteen processes, the three ways in turn, each beginning at another one. */
static void any_interleaving(void **state)
{
	static bool (*const way[])(uint32_t) = { direct, local, sendmail };
	uint64_t smtp_passed;
	pid_t pid[16];

	(void)state;
	for (unsigned int ways = 2; ways <= 3; ways++) {
		uint32_t uid = 61910 + ways;

		fresh(ways == 2 ? "user 61912 = all 20/day" : "user 61913 = all 20/day");
		for (unsigned int i = 0; i < 16; i++) {
			pid[i] = fork();
			assert_true(pid[i] >= 0);
			for (unsigned int k = 0; !pid[i] && k < 6; k++)
				way[(i + k) % ways](uid);
			if (!pid[i])
				_exit(0);
		}
		for (unsigned int i = 0; i < 16; i++)
			waitpid(pid[i], NULL, 0);
		smtp_passed = wall_uid(&wall, uid, SW_N_ALLOWED) + wall_uid(&wall, uid, SW_N_LOCAL);
		assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_ALL, uid), 20);
		assert_int_equal(smtp_passed + wall_uid(&wall, uid, SW_N_LIMITED) +
				 wall_uid(&wall, uid, SW_N_SENDMAIL), 96);
		if (ways == 2)
			assert_int_equal(smtp_passed, 20);
		else
			assert_true(smtp_passed <= 20 &&
				    smtp_passed + wall_uid(&wall, uid, SW_N_SENDMAIL) >= 20);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_has_its_own),    cmocka_unit_test(bare_is_direct),
		cmocka_unit_test(the_sum),	       cmocka_unit_test(give_back),
		cmocka_unit_test(accounts_without_a_domain), cmocka_unit_test(who_comes_under_it),  cmocka_unit_test(release_and_explain),
		cmocka_unit_test(any_interleaving),
	};
	int failed;

	mailer_main(argc, argv);
	sw_log_max = SW_LOG_ERROR;
	mailer_world();
	mailer_install(MSMTP, 0755);
	wall_open(&wall);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed;
}
