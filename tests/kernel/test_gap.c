/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No gap, no mix. Connects are hammered on all CPUs while the policy is applied again, changes
 * between two, and the loader is killed at random points. Ten seconds; SMTPWALL_TEST_LONG=1
 * makes it a minute.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hammer.h"
#include "log.h"

#define UID_A		61001	/* exempt under policy A only */
#define UID_B		61002	/* exempt under policy B only */
#define UID_NEVER	61003
#define UID_ALWAYS	61004

static const char policy_a[] = "[policy]\nrefuse_with = refused\n[exempt]\nusers = 61001 61004\n";
static const char policy_b[] = "[policy]\nrefuse_with = permission\n[exempt]\nusers = 61002 61004\n";

static struct wall wall;

#define MIN_ROUNDS	12	/* also on a machine that is busy with other things */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Time is up, and enough was done to mean something. */
static bool finished(double began, unsigned int rounds)
{
	double want = getenv("SMTPWALL_TEST_LONG") ? 20 : 3.4;

	return now() - began >= want && rounds >= MIN_ROUNDS;
}

static void start(uint32_t uid, bool v6, struct hammer *h)
{
	hammer_start(&wall, &(struct hammer_opts){ .uid = uid, .port = 25, .v6 = v6 }, h);
}

static void same_policy_again(void **state)
{
	struct hammer h[3];
	struct hammer_seen seen;
	uint64_t attempts = 0;
	unsigned int applies = 0;

	(void)state;
	assert_int_equal(wall_apply(&wall, policy_a), 0);
	start(UID_NEVER, false, &h[0]);
	start(UID_NEVER, true, &h[1]);
	start(UID_ALWAYS, false, &h[2]);
	for (double began = now(); !finished(began, applies); applies++)
		assert_int_equal(wall_apply(&wall, policy_a), 0);
	for (int i = 0; i < 2; i++) {
		seen = hammer_stop(&h[i], false);
		assert_int_equal(seen.passed, 0);
		assert_true(seen.refused[wall_refusal()] + 1 >= seen.attempts);
		attempts += seen.attempts;
	}
	seen = hammer_stop(&h[2], false);
	assert_int_equal(seen.refused[ECONNREFUSED] + seen.refused[EPERM], 0);
	assert_true(seen.passed > 100);
	assert_true(attempts > 1000);
	print_message("# %u applies, %llu denied and %llu allowed connects, none wrong\n", applies,
		      (unsigned long long)attempts, (unsigned long long)seen.attempts);
}

/* A verdict belongs wholly to one policy: who is exempt is a row, what a refusal looks like is
 * in the program. The errno of one with the rows of the other would be a mix. */
static void two_policies_alternate(void **state)
{
	struct hammer a, b, never, always;
	struct hammer_seen seen;
	unsigned int applies = 0;

	(void)state;
	assert_int_equal(wall_apply(&wall, policy_a), 0);
	start(UID_A, false, &a);
	start(UID_B, true, &b);
	start(UID_NEVER, false, &never);
	start(UID_ALWAYS, true, &always);
	for (double began = now(); !finished(began, applies); applies++)
		assert_int_equal(wall_apply(&wall, applies & 1 ? policy_a : policy_b), 0);

	seen = hammer_stop(&a, false);
	assert_int_equal(seen.refused[ECONNREFUSED], 0);	/* A's refusal, B's rows */
	assert_true(seen.passed > 0 && seen.refused[EPERM] > 0);
	seen = hammer_stop(&b, false);
	if (wall_refusal() == ECONNREFUSED)
		assert_int_equal(seen.refused[EPERM], 0);	/* B's refusal, A's rows */
	assert_true(seen.passed > 0 && seen.refused[wall_refusal()] > 0);
	seen = hammer_stop(&never, false);
	assert_int_equal(seen.passed, 0);
	assert_true(seen.refused[EPERM] > 0 && seen.refused[wall_refusal()] > 0);
	seen = hammer_stop(&always, false);
	assert_int_equal(seen.refused[EPERM] + seen.refused[ECONNREFUSED], 0);
}

static pid_t fork_apply(const char *policy)
{
	pid_t pid = fork();

	if (pid == 0) {
		sw_log_max = SW_LOG_ERROR;
		_exit(wall_apply(&wall, policy) < 0 ? 1 : 0);
	}
	return pid;
}

/* Killed anywhere between its first and its last step, the loader leaves the old or the new
 * policy in force, and the next apply puts everything in order. */
static void loader_is_killed(void **state)
{
	struct hammer never, always;
	struct hammer_seen seen;
	unsigned int kills = 0;
	struct sw_live live;
	double longest = 0.05;
	int status;

	(void)state;
	assert_int_equal(wall_apply(&wall, policy_a), 0);
	start(UID_NEVER, false, &never);
	start(UID_ALWAYS, true, &always);
	srand(7);	/* fixed: the points differ by the machine's timing anyway */
	for (double start_time = now(); !finished(start_time, kills);) {
		double began = now();
		pid_t pid = fork_apply(kills & 1 ? policy_a : policy_b);

		usleep((useconds_t)(longest * 1e6 * rand() / RAND_MAX));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		if (WIFSIGNALED(status))
			kills++;
		else if (now() - began > longest)
			longest = now() - began;
	}
	seen = hammer_stop(&never, false);
	assert_int_equal(seen.passed, 0);
	seen = hammer_stop(&always, false);
	assert_int_equal(seen.refused[EPERM] + seen.refused[ECONNREFUSED], 0);

	assert_int_equal(wall_apply(&wall, policy_a), 0);
	wall_live(&wall, &live);
	assert_true(live.in_force);
	sw_live_close(&live);
	assert_int_equal(hammer_once(&wall, UID_NEVER, 25, false), wall_refusal());
	assert_int_equal(hammer_once(&wall, UID_A, 25, false), 0);
	assert_int_equal(hammer_once(&wall, UID_B, 25, true), wall_refusal());
	print_message("# the loader was killed %u times\n", kills);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_policy_again),
		cmocka_unit_test(two_policies_alternate),
		cmocka_unit_test(loader_is_killed),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
