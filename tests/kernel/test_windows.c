/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The windows of limits: calendar hours and days of local time. They turn when the clock does, and
 * by nothing else: no apply, no killed loader, no clock that is set back a little.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "control.h"
#include "crowd.h"
#include "log.h"
#include "overhear.h"
#include "usage.h"
#include "util.h"

#define HOUR	3600
#define DAY	(24 * HOUR)
#define MONDAY	1907280000	/* 2030-06-10 00:00 UTC */
#define N	20
#define LIMIT	"[limit]\nuser 61001 = 20/hour 50/day\n"

static struct wall wall;
static int64_t shift_s;		/* of the wall clock, for this program and its children */

/* The loader asks for the time too: everything in here lives at another one. */
int clock_gettime(clockid_t id, struct timespec *ts)	/* NOLINT(*-parameter-name) */
{
	int r = (int)syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_REALTIME)
		ts->tv_sec += shift_s;
	return r;
}

/* For applies from now on; the programs go on with what they were told. */
static void live_at(int64_t utc_s)
{
	struct timespec ts;

	shift_s = 0;
	clock_gettime(CLOCK_REALTIME, &ts);
	shift_s = utc_s - ts.tv_sec;
}

static void fresh(const char *policy, const char *zone, int64_t utc_s)
{
	int r = sw_off(&wall.target);

	assert_true(r == 0 || r == -ENOENT);
	assert_int_equal(setenv("TZ", zone, 1), 0);
	tzset();
	live_at(utc_s);
	assert_int_equal(wall_apply(&wall, policy), 0);
}

/* Empty windows in another time zone, as whoever watches the clock sets it: without an apply. */
static void start_anew(const char *zone)
{
	struct sw_control *c;
	struct sw_live live;

	assert_int_equal(setenv("TZ", zone, 1), 0);
	wall_live(&wall, &live);
	assert_int_equal(sw_usage_reset(&live, SW_KIND_UID, 61001), 0);
	c = sw_control_map(live.map_fd[SW_MAP_CONTROL]);
	assert_non_null(c);
	sw_control_set_clock(c);
	sw_control_unmap(c);
	sw_live_close(&live);
}

/* How many of more than enough attempts pass, with the programs' clock at `utc_s`. */
static uint64_t passed_at(int64_t utc_s)
{
	const struct crowd_opts o = { .uid = 61001, .port = 587, .threads = 4, .attempts = 80 };

	overhear_set_clock(&wall, utc_s);
	return crowd_run(&wall, &o).passed;
}

static struct sw_usage usage_of(uint32_t uid)
{
	struct sw_usage u = {};
	struct sw_live live;

	wall_live(&wall, &live);
	assert_int_equal(sw_usage_get(&live, SW_KIND_UID, uid, &u), 0);
	sw_live_close(&live);
	return u;
}

/* ---- the calendar ---- */

static void hours_and_midnight(void **state)
{
	struct sw_live live;

	(void)state;
	fresh(LIMIT, "UTC", MONDAY);
	assert_int_equal(passed_at(MONDAY + 20 * HOUR), N);
	assert_int_equal(passed_at(MONDAY + 21 * HOUR - 5), 0);
	assert_int_equal(passed_at(MONDAY + 21 * HOUR), N);
	assert_int_equal(passed_at(MONDAY + 23 * HOUR), 10);	/* 50 a day */
	assert_int_equal(passed_at(MONDAY + 24 * HOUR - 5), 0);
	assert_int_equal(passed_at(MONDAY + 24 * HOUR), N);
	assert_int_equal(usage_of(61001).day_used, N);
	assert_int_equal(usage_of(61001).hour, (MONDAY + DAY) / HOUR);
	wall_live(&wall, &live);
	assert_int_equal(sw_usage_hour(&live), (MONDAY + DAY) / HOUR);
	sw_live_close(&live);
	/* Days without a connect. */
	assert_int_equal(passed_at(MONDAY + 400 * DAY), N);
}

/* A clock that is set back gives no window a second time, unless it was wrong by far. */
static void clock_set_back(void **state)
{
	int64_t noon = MONDAY + 12 * HOUR;

	(void)state;
	fresh(LIMIT, "UTC", noon);
	assert_int_equal(passed_at(noon + 1800), N);
	assert_int_equal(passed_at(noon - 1800), 0);
	assert_int_equal(passed_at(noon + 1800), 0);
	assert_int_equal(passed_at(noon + HOUR + 1800), N);
	assert_int_equal(passed_at(noon - 1), N - 10);	/* by two: the hour anew, not the day */
	assert_int_equal(passed_at(noon + 1800), 0);
	/* Over midnight, by minutes. */
	assert_int_equal(passed_at(MONDAY + DAY + 60), N);
	assert_int_equal(passed_at(MONDAY + DAY - 60), 0);
	assert_int_equal(passed_at(MONDAY + DAY + 120), 0);
	/* By a day: anew, and once more when it is right again. */
	assert_int_equal(passed_at(noon), N);
	assert_int_equal(passed_at(noon + DAY), N);
}

/* Midnight and the hour are those of local time. */
static void zones_of_half_hours(void **state)
{
	static const struct {
		const char *zone;
		int64_t offset_s;
	} zones[] = { { "IST-5:30", 5 * HOUR + 1800 }, { "NST3:30", -3 * HOUR - 1800 },
		      { "XXX-14", 14 * HOUR }, { "YYY12", -12 * HOUR } };

	(void)state;
	fresh(LIMIT, "UTC", MONDAY);
	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		int64_t midnight = MONDAY - zones[i].offset_s;

		start_anew(zones[i].zone);
		assert_int_equal(passed_at(midnight - 2 * HOUR), N);
		assert_int_equal(passed_at(midnight - HOUR - 5), 0);
		assert_int_equal(passed_at(midnight - HOUR), N);
		assert_int_equal(passed_at(midnight - 5), 0);
		assert_int_equal(passed_at(midnight), N);
		assert_int_equal(usage_of(61001).day_used, N);
	}
}

/* The programs know the changes to come: nothing is applied in between. */
static void changes_of_local_time(void **state)
{
	static const char zone[] = "CET-1CEST,M3.5.0,M10.5.0/3";
	const int64_t spring = 1901149200, autumn = 1919293200;	/* 31 March, 27 October: 01:00 */

	(void)state;
	fresh(LIMIT, zone, spring - 40 * DAY);
	assert_int_equal(passed_at(spring - 5), N);		/* 01:59:55 */
	assert_int_equal(usage_of(61001).hour % 24, 1);
	assert_int_equal(passed_at(spring), N);			/* 03:00 */
	assert_int_equal(usage_of(61001).hour % 24, 3);
	assert_int_equal(passed_at(spring + 21 * HOUR - 5), 10);	/* 23:59:55 */
	assert_int_equal(passed_at(spring + 21 * HOUR), N);
	/* Two hours of the same name are one window. */
	assert_int_equal(passed_at(autumn - HOUR), N);		/* 02:00 the first time */
	assert_int_equal(passed_at(autumn - 5), 0);
	assert_int_equal(passed_at(autumn), 0);			/* 02:00 the second time */
	assert_int_equal(passed_at(autumn + HOUR - 5), 0);
	assert_int_equal(passed_at(autumn + HOUR), N);		/* 03:00 */
	/* And those after them, for years. */
	assert_int_equal(passed_at(spring + 364 * DAY), N);	/* 2031-03-30 01:00 UTC */
	assert_int_equal(usage_of(61001).hour % 24, 3);
}

/* ---- while they connect ---- */

static uint64_t so_far(const struct crowd *c)
{
	return __atomic_load_n(&c->seen->passed, __ATOMIC_RELAXED);
}

/* A real clock that reaches the hour, then midnight. */
static void turns_under_load(void **state)
{
	const struct crowd_opts o = { .uid = 61001, .port = 587, .threads = 16 };
	struct crowd c;

	(void)state;
	fresh("[limit]\nuser 61001 = 500/hour 1200/day\n", "UTC", MONDAY);
	overhear_set_clock(&wall, MONDAY + 22 * HOUR - 1);
	crowd_gather(&wall, &o, &c);
	crowd_go(&c);
	for (int i = 0; i < 5000 && so_far(&c) < 1000; i++)
		usleep(1000);
	crowd_round(&c, 1);
	assert_int_equal(so_far(&c), 1000);
	overhear_set_clock(&wall, MONDAY + DAY - 1);
	for (int i = 0; i < 5000 && so_far(&c) < 1700; i++)
		usleep(1000);
	crowd_round(&c, 1);
	/* 200 in the last second of the day, 500 in the first of the next. */
	assert_int_equal(crowd_end(&c, false).passed, 1700);
}

/* Also where the clock lies behind the window it counts in. */
static void what_did_not_pass_is_given_back(void **state)
{
	static const char policy[] = "[allow]\nrule = any to 198.19.100.1 port 25 limit 0/day\n"
				     "[limit]\nuser 61001 = 20/hour\n";
	const struct crowd_opts in_vain = { .uid = 61001, .port = 25, .dest = "198.19.100.1",
					    .threads = 2, .attempts = 30 };

	(void)state;
	fresh(policy, "UTC", MONDAY);
	overhear_set_clock(&wall, MONDAY + HOUR);
	assert_int_equal(crowd_run(&wall, &in_vain).passed, 0);
	assert_int_equal(usage_of(61001).hour_used, 0);
	overhear_set_clock(&wall, MONDAY);
	assert_int_equal(crowd_run(&wall, &in_vain).passed, 0);
	assert_int_equal(usage_of(61001).hour_used, 0);
	assert_int_equal(usage_of(61001).day_used, 0);
	assert_int_equal(passed_at(MONDAY), N);
	assert_int_equal(crowd_run(&wall, &in_vain).passed, 0);
	assert_int_equal(usage_of(61001).hour_used, N);
	assert_int_equal(usage_of(61001).day_used, N);
}

/* ---- whatever the loader does ---- */

static pid_t fork_apply(const char *policy)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(wall_apply(&wall, policy) < 0 ? 1 : 0);
	assert_true(pid > 0);
	return pid;
}

#define APPLIES	4
#define KILLS	8
#define MANY	"[limit]\nuser 61001 = 1000/hour\nserver = 1500/day\n"

/* Other limits of the policy may come and go meanwhile. */
static void applies_reset_nothing(void **state)
{
	const struct crowd_opts o = { .uid = 61001, .port = 587, .threads = 8, .nice = 10 };
	int64_t noon = MONDAY + 12 * HOUR;
	struct crowd c;
	int status;

	(void)state;
	fresh(MANY, "UTC", noon);
	assert_int_equal(passed_at(noon), 80);
	crowd_gather(&wall, &o, &c);
	crowd_go(&c);
	for (int i = 0; i < APPLIES; i++)
		assert_int_equal(wall_apply(&wall, i & 1 ? MANY : MANY "user 61002 = 5/hour\n"), 0);
	srand(11);
	for (int i = 0; i < KILLS; i++) {
		pid_t pid = fork_apply(i & 1 ? MANY : MANY "user 61002 = 5/hour\n");

		usleep((useconds_t)(rand() % 200000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	assert_int_equal(wall_apply(&wall, MANY), 0);
	crowd_round(&c, 1);
	assert_int_equal(crowd_end(&c, false).passed, 1000 - 80);
	assert_int_equal(usage_of(61001).hour_used, 1000);
	assert_int_equal(passed_at(noon), 0);
	/* Twice as many an hour: the rest of them. */
	assert_int_equal(wall_apply(&wall, "[limit]\nuser 61001 = 1010/hour\n"), 0);
	assert_int_equal(passed_at(noon), 10);
}

/* ---- the table of changes, store by store ---- */

#if defined(__x86_64__) && defined(REG_EFL)
#define TRAP_FLAG 0x100

static struct sw_control *page;
static uint32_t want_hour, stores, wrong;

/* As sw_local_hour() in the programs and sw_usage_hour() have it. */
static uint32_t hour_of(const struct sw_control *c, uint64_t now)
{
	int64_t offset = 0;

	for (int i = 0; i < SW_ZONES; i++)
		if (now >= c->zone[i].from_s)
			offset = c->zone[i].offset_s;
	return (uint32_t)((now + (uint64_t)offset) / HOUR);
}

/* Each store to the page faults; it is let through, and the next instruction traps. */
static void on_store(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)info;
	if (sig == SIGSEGV) {
		mprotect(page, sizeof(*page), PROT_READ | PROT_WRITE);
		u->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
		return;
	}
	u->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
	stores++;
	wrong += hour_of(page, MONDAY + 180 * DAY) != want_hour;
	mprotect(page, sizeof(*page), PROT_READ);
}

/* The first apply after a change: what was to come is what there is. At no moment between two
 * stores may local time be another: every window would turn, and turn again. */
static void table_is_right_at_every_moment(void **state)
{
	const struct sigaction act = { .sa_sigaction = on_store, .sa_flags = SA_SIGINFO };
	struct sigaction segv, trap;

	(void)state;
	assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
	tzset();
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	assert_true(page != MAP_FAILED);
	live_at(MONDAY);
	sw_control_set_clock(page);
	want_hour = hour_of(page, MONDAY + 180 * DAY);	/* December: CET */
	assert_int_equal(want_hour, (MONDAY + 180 * DAY + HOUR) / HOUR);
	live_at(MONDAY + 180 * DAY);
	sigaction(SIGSEGV, &act, &segv);
	sigaction(SIGTRAP, &act, &trap);
	mprotect(page, sizeof(*page), PROT_READ);
	sw_control_set_clock(page);
	mprotect(page, sizeof(*page), PROT_READ | PROT_WRITE);
	sigaction(SIGSEGV, &segv, NULL);
	sigaction(SIGTRAP, &trap, NULL);
	assert_int_equal(hour_of(page, MONDAY + 180 * DAY), want_hour);
	munmap(page, sizeof(*page));
	assert_true(stores > 2 * SW_ZONES);
	assert_int_equal(wrong, 0);
}
#else
static void table_is_right_at_every_moment(void **state)
{
	(void)state;
	print_message("# single steps are x86-64's\n");
	skip();
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hours_and_midnight),
		cmocka_unit_test(clock_set_back),
		cmocka_unit_test(zones_of_half_hours),
		cmocka_unit_test(changes_of_local_time),
		cmocka_unit_test(turns_under_load),
		cmocka_unit_test(what_did_not_pass_is_given_back),
		cmocka_unit_test(applies_reset_nothing),
		cmocka_unit_test(table_is_right_at_every_moment),
	};
	int failed;

	sw_log_max = SW_LOG_ERROR;
	wall_open(&wall);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
