/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Temporary denies: after a limit, by hand and by several processes at once. Who is denied passes
 * nowhere, not even to this machine, until it is released or the time is up.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "caller.h"
#include "control.h"
#include "crowd.h"
#include "log.h"
#include "overhear.h"
#include "usage.h"
#include "util.h"

#define ALICE	61001
#define BOB	61002
#define NSEC	1000000000ULL
#define OPEN	"[policy]\nrefuse_with = permission\n"	/* no listener says that */

static struct wall wall;
static const struct caller alice = CALLER(ALICE, ALICE, wall.cgroup);
static const struct caller bob = CALLER(BOB, BOB, wall.cgroup);

/* ---- others at work in the middle of what is tested ---- */

static void (*meanwhile)(void);
static unsigned int moments;

static void other(void)
{
	void (*fn)(void) = meanwhile;

	meanwhile = NULL;	/* what it does itself is not disturbed */
	if (fn) {
		moments++;
		fn();
	}
	meanwhile = fn;
}

/* These take the place of libbpf's: the code under test calls them. */
int bpf_map_get_next_key(int fd, const void *key, void *next_key)
{
	union bpf_attr attr = { .map_fd = (__u32)fd, .key = (uintptr_t)key,
				.next_key = (uintptr_t)next_key };
	int r, error;

	other();
	r = (int)syscall(SYS_bpf, BPF_MAP_GET_NEXT_KEY, &attr, sizeof(attr));
	error = errno;
	other();
	errno = error;
	return r < 0 ? -error : r;
}

int bpf_map_lookup_and_delete_elem(int fd, const void *key, void *value)
{
	union bpf_attr attr = { .map_fd = (__u32)fd, .key = (uintptr_t)key,
				.value = (uintptr_t)value };
	int r, error;

	other();
	r = (int)syscall(SYS_bpf, BPF_MAP_LOOKUP_AND_DELETE_ELEM, &attr, sizeof(attr));
	error = errno;
	return r < 0 ? -error : r;
}

int bpf_map_delete_elem(int fd, const void *key)
{
	union bpf_attr attr = { .map_fd = (__u32)fd, .key = (uintptr_t)key };
	int r, error;

	other();
	r = (int)syscall(SYS_bpf, BPF_MAP_DELETE_ELEM, &attr, sizeof(attr));
	error = errno;
	other();
	errno = error;
	return r < 0 ? -error : r;
}

/* ---- what is asked and done ---- */

static void fresh(const char *policy)
{
	int r = sw_off(&wall.target);

	assert_true(r == 0 || r == -ENOENT);
	assert_int_equal(wall_apply(&wall, policy), 0);
}

static int deny(uint32_t uid, uint32_t seconds)
{
	struct sw_live live;
	int r;

	wall_live(&wall, &live);
	r = sw_deny_uid(&live, uid, seconds, SW_DENIED_BY_HAND);
	sw_live_close(&live);
	return r;
}

static int release(uint32_t uid)
{
	struct sw_live live;
	int r;

	wall_live(&wall, &live);
	r = sw_deny_release(&live, uid);
	sw_live_close(&live);
	return r;
}

static void reset(uint32_t uid)
{
	struct sw_live live;

	wall_live(&wall, &live);
	assert_int_equal(sw_usage_reset(&live, SW_KIND_UID, uid), 0);
	sw_live_close(&live);
}

static bool row_of(uint32_t uid, struct sw_denied *ret)
{
	struct sw_live live;
	int r;

	wall_live(&wall, &live);
	r = bpf_map_lookup_elem(live.map_fd[SW_MAP_DENIED], &uid, ret);
	sw_live_close(&live);
	return r == 0;
}

/* As if the time were up since so many seconds. */
static void run_out(uint32_t uid, uint64_t seconds)
{
	struct sw_denied d;
	struct sw_live live;
	struct timespec now;

	assert_true(row_of(uid, &d));
	clock_gettime(CLOCK_MONOTONIC, &now);
	d.until_ns = (uint64_t)now.tv_sec * NSEC + (uint64_t)now.tv_nsec - seconds * NSEC;
	wall_live(&wall, &live);
	assert_int_equal(bpf_map_update_elem(live.map_fd[SW_MAP_DENIED], &uid, &d, BPF_EXIST), 0);
	sw_live_close(&live);
}

static uint64_t passes(const struct caller *c, const char *dest, uint16_t port, int n)
{
	uint64_t passed = 0;

	for (int i = 0; i < n; i++) {
		int r = caller_connect(c, dest, port);

		assert_true(r == EPERM || r == ECONNREFUSED || caller_passed(r));
		passed += r != EPERM;
	}
	return passed;
}

/* Every way out, and every way in. */
static const struct {
	const char *dest;
	uint16_t port;
} ways[] = { { CALLER_REMOTE4, 25 }, { CALLER_REMOTE4, 587 }, { CALLER_REMOTE6, 465 },
	     { CALLER_MAPPED, 587 }, { "127.0.0.1", 25 }, { "127.0.0.1", 587 }, { "::1", 25 },
	     { "::ffff:127.0.0.1", 465 }, { "0.0.0.0", 25 } };

static void assert_denied_everywhere(const struct caller *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		if (caller_connect(c, ways[i].dest, ways[i].port) != EPERM)
			fail_msg("%s port %u", ways[i].dest, ways[i].port);
}

/* ---- after a limit ---- */

static void after_a_limit(void **state)
{
	struct sw_denied d;
	uint64_t denied;

	(void)state;
	fresh(OPEN "[limit]\ndefault = 5/hour\ndeny_for = 30m\n");
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 587, 5), 5);
	assert_false(row_of(ALICE, &d));
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 465, 1), 0);
	assert_int_equal(overhear_reason(&wall, ALICE), SW_BY_ACCOUNT_LIMIT);
	assert_int_equal(wall_uid(&wall, ALICE, SW_N_LIMITED), 1);
	assert_true(row_of(ALICE, &d));
	assert_int_equal(d.by, SW_DENIED_BY_LIMIT);
	assert_int_equal(d.until_ns - d.since_ns, 1800 * NSEC);
	denied = wall_uid(&wall, ALICE, SW_N_DENIED);
	assert_denied_everywhere(&alice);
	assert_int_equal(overhear_reason(&wall, ALICE), SW_BY_DENIED_NOW);
	assert_int_equal(wall_uid(&wall, ALICE, SW_N_DENIED) - denied, ARRAY_SIZE(ways));
	assert_int_equal(wall_uid(&wall, ALICE, SW_N_LIMITED), 1);
	/* Ports that are none of ours, and others. */
	assert_int_not_equal(caller_connect(&alice, "127.0.0.1", 26), EPERM);
	assert_int_equal(passes(&bob, CALLER_REMOTE4, 587, 5), 5);
	assert_int_not_equal(caller_connect(&bob, "127.0.0.1", 25), EPERM);

	/* The time is up: limited again, and with that denied again. */
	run_out(ALICE, 0);
	assert_int_not_equal(caller_connect(&alice, "127.0.0.1", 25), EPERM);
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 587, 1), 0);
	assert_int_equal(wall_uid(&wall, ALICE, SW_N_LIMITED), 2);
	assert_denied_everywhere(&alice);
	/* Released, with an empty window. */
	assert_int_equal(release(ALICE), 0);
	reset(ALICE);
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 587, 5), 5);
}

static void released_by_itself(void **state)
{
	struct timespec second = { .tv_sec = 1, .tv_nsec = 50000000 };

	(void)state;
	fresh(OPEN "[allow]\nrule = any to 192.0.2.1 port 25 limit 1/hour\n"
	      "[limit]\ndeny_for = 1s\n");
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 25, 2), 1);
	assert_int_equal(overhear_reason(&wall, ALICE), SW_BY_RULE_LIMIT);
	assert_denied_everywhere(&alice);
	nanosleep(&second, NULL);
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 587, 1), 1);
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 25, 1), 0);	/* the rule's, still */
}

/* The server's limit is nobody's fault; who is exempt is limited, and that is all. */
static void who_is_not_denied(void **state)
{
	const struct caller set_uid = { .ruid = BOB, .euid = ALICE, .egid = 1,
					.cgroup = wall.cgroup };
	struct sw_denied d;

	(void)state;
	fresh(OPEN "[exempt]\nusers = root 61001\n"
	      "[limit]\nuser 61001 = 2/hour\nuser 61002 = 1/hour\nserver = 5/hour\n"
	      "deny_for = 1h\n");
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 25, 4), 2);
	assert_int_equal(overhear_reason(&wall, ALICE), SW_BY_ACCOUNT_LIMIT);
	assert_false(row_of(ALICE, &d));
	assert_int_not_equal(caller_connect(&alice, "127.0.0.1", 25), EPERM);
	/* An exempt program is charged to who runs it, and denies nobody either. */
	assert_int_equal(passes(&set_uid, CALLER_REMOTE4, 25, 2), 1);
	assert_false(row_of(BOB, &d));
	assert_int_equal(passes(&(struct caller)CALLER(61003, 61003, wall.cgroup), CALLER_REMOTE4,
				587, 4), 2);
	assert_int_equal(overhear_reason(&wall, 61003), SW_BY_SERVER_LIMIT);
	assert_false(row_of(61003, &d));

	fresh(OPEN "mode = observe\n[limit]\ndefault = 1/hour\ndeny_for = 1h\n");
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 587, 3), 3);
	assert_false(row_of(ALICE, &d));
	fresh(OPEN "[limit]\ndefault = 1/hour\n");
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 587, 3), 1);
	assert_false(row_of(ALICE, &d));
}

static void no_room_for_a_deny(void **state)
{
	struct sw_denied d;

	(void)state;
	fresh(OPEN "[limit]\nuser 61300 = 0/day\ndeny_for = 1h\n[tables]\nuids = 16\n");
	for (uint32_t i = 0; i < 16; i++)
		assert_int_equal(deny(61100 + i, 3600), 0);
	assert_int_equal(deny(61200, 3600), -E2BIG);
	assert_int_equal(wall_counter(&wall, SW_CTR_DENIED_FULL), 0);
	assert_int_equal(passes(&(struct caller)CALLER(61300, 61300, wall.cgroup), CALLER_REMOTE4,
				587, 2), 0);
	assert_int_equal(wall_counter(&wall, SW_CTR_DENIED_FULL), 2);
	assert_false(row_of(61300, &d));
}

/* ---- by hand ---- */

static int deny_alice(void *arg)
{
	(void)arg;
	return deny(ALICE, 7200) == 0 ? 0 : 1;
}

static void in_a_child(int (*fn)(void *))
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(fn(NULL));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void by_hand_and_by_others(void **state)
{
	struct sw_denied_row *row;
	struct sw_live live;
	size_t n;

	(void)state;
	fresh(OPEN "[exempt]\nusers = root 61001\n");
	in_a_child(deny_alice);
	assert_denied_everywhere(&alice);	/* also who is exempt */
	assert_int_equal(overhear_reason(&wall, ALICE), SW_BY_DENIED_NOW);
	assert_int_equal(passes(&bob, CALLER_REMOTE4, 587, 1), 1);
	wall_live(&wall, &live);
	assert_int_equal(sw_denied_list(&live, &row, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(row[0].uid, ALICE);
	assert_in_range(row[0].left_s, 7190, 7200);
	assert_int_equal(row[0].by, SW_DENIED_BY_HAND);
	free(row);
	sw_live_close(&live);
	/* It is no row of a generation. */
	assert_int_equal(wall_apply(&wall, OPEN), 0);
	assert_denied_everywhere(&alice);
	assert_int_equal(release(BOB), -ENOENT);
	assert_int_equal(release(ALICE), 0);
	assert_int_equal(release(ALICE), -ENOENT);
	assert_int_equal(passes(&alice, CALLER_REMOTE4, 587, 1), 1);
}

/* ---- at the same time ---- */

static bool alice_is_denied, alice_passed;
static unsigned int late;	/* so many moments pass first */

static void deny_alice_late(void)
{
	if (late) {
		late--;
		return;
	}
	if (!alice_is_denied && deny(ALICE, 3600) == 0)
		alice_is_denied = true;
	if (caller_connect(&alice, CALLER_REMOTE4, 587) != EPERM)
		alice_passed = true;
}

/* From now on, after so many moments. */
static void let_others_deny(unsigned int after)
{
	alice_is_denied = alice_passed = false;
	moments = 0;
	late = after;
	meanwhile = deny_alice_late;
}

/* Nobody is denied any more, or so it seems, when another process denies somebody: at each moment
 * in turn. */
static void release_meets_deny(void **state)
{
	unsigned int n = 1;

	(void)state;
	fresh(OPEN);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(deny(BOB, 3600), 0);
		let_others_deny(i);
		assert_int_equal(release(BOB), 0);
		meanwhile = NULL;
		n = moments;
		assert_true(alice_is_denied && !alice_passed);
		assert_int_equal(caller_connect(&alice, CALLER_REMOTE4, 587), EPERM);
		assert_int_equal(release(ALICE), 0);
	}
	assert_true(n > 1);
}

/* Denies that ran out long ago may be forgotten, and none that is new. */
static void prune_meets_deny(void **state)
{
	unsigned int n = 1;
	struct sw_live live;
	int r;

	(void)state;
	fresh(OPEN);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(deny(ALICE, 10), 0);
		assert_int_equal(deny(BOB, 10), 0);
		run_out(ALICE, 7200);
		run_out(BOB, 7200);
		wall_live(&wall, &live);
		let_others_deny(i);
		r = sw_denied_prune(&live);
		meanwhile = NULL;
		sw_live_close(&live);
		n = moments;
		assert_int_equal(r, 0);
		assert_true(alice_is_denied);
		assert_int_equal(caller_connect(&alice, CALLER_REMOTE4, 587), EPERM);
	}
	assert_true(n > 1);
}

static _Noreturn void deny_and_release_for_ever(uint32_t uid, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	for (;;)
		if (deny(uid, 3600) < 0 || release(uid) < 0)
			_exit(1);
}

#define ROUNDS	60

/* Two processes deny and release others all the time, the kernel denies a third account. */
static void denied_under_load(void **state)
{
	const struct crowd_opts o = { .uid = ALICE, .port = 587, .threads = 2 };
	const struct crowd_opts third = { .uid = 61005, .port = 587, .threads = 1, .nice = 10 };
	pid_t parent = getpid(), pid[2];
	struct crowd c, limited;

	(void)state;
	fresh(OPEN "[limit]\nuser 61005 = 0/day\ndeny_for = 1s\n");
	crowd_gather(&wall, &o, &c);
	crowd_gather(&wall, &third, &limited);
	crowd_go(&c);
	crowd_go(&limited);
	for (uint32_t i = 0; i < 2; i++) {
		pid[i] = fork();
		if (pid[i] == 0)
			deny_and_release_for_ever(61010 + i, parent);
	}
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t passed;

		assert_int_equal(deny(ALICE, 3600), 0);
		crowd_round(&c, 1);
		passed = c.seen->passed;
		crowd_round(&c, 20);
		assert_int_equal(c.seen->passed, passed);
		assert_int_equal(release(ALICE), 0);
		crowd_round(&c, 1);
		assert_true(c.seen->passed > passed);
	}
	for (int i = 0; i < 2; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	assert_int_equal(crowd_end(&limited, false).passed, 0);
	crowd_end(&c, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(after_a_limit),
		cmocka_unit_test(released_by_itself),
		cmocka_unit_test(who_is_not_denied),
		cmocka_unit_test(no_room_for_a_deny),
		cmocka_unit_test(by_hand_and_by_others),
		cmocka_unit_test(release_meets_deny),
		cmocka_unit_test(prune_meets_deny),
		cmocka_unit_test(denied_under_load),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
