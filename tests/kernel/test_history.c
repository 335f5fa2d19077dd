/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * History of a real kernel: the writer killed again and again while accounts connect, maps made anew,
 * limits that go on after a boot, and state directories that cannot be written.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crowd.h"
#include "history.h"
#include "usage.h"
#include "util.h"

#define POLICY	"[policy]\nmode = enforce\n"
#define LIMIT	POLICY "[limit]\nuser 61001 = 20/hour 50/day\ndefault = 1000/day\n"

static struct wall wall;
static char state_dir[] = "/tmp/swhist-XXXXXX";
static const struct sw_history_limits keep = { .days = 90, .events = 1000 };

static void remove_history(void)
{
	static const char *const files[] = { "history.db", "history.db-wal", "history.db-shm", "" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/history/%s", state_dir, files[i]);
		if (unlink(path) < 0)
			(void)rmdir(path);
	}
}

static int begin(void **state)
{
	int r = sw_off(&wall.target);

	(void)state;
	assert_true(r == 0 || r == -ENOENT);
	remove_history();
	return wall_apply(&wall, POLICY);
}

/* One reading and roll. */
static int roll(struct sw_history *h)
{
	struct sw_stats s;
	struct sw_live live;
	int r;

	wall_live(&wall, &live);
	r = sw_stats_read(&live, &s);
	if (!r) {
		r = sw_history_roll(h, &live, &s, NULL);
		sw_stats_free(&s);
	}
	sw_live_close(&live);
	return r;
}

static struct sw_history *open_history(void)
{
	struct sw_history *h = NULL;

	assert_int_equal(sw_history_open(state_dir, &keep, &h), 0);
	return h;
}

static int64_t ask(const char *sql)
{
	_cleanup_free_ char *path = NULL;
	sqlite3_stmt *st = NULL;
	sqlite3 *db = NULL;
	int64_t n = 0;

	assert_true(asprintf(&path, "%s/history/history.db", state_dir) > 0);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

#define SUM(part)	"SELECT sum(x.allowed + x.denied + x.would_deny + x.limited + x.redirected + "\
			"x.local) FROM hour x JOIN place p ON p.id = x.place WHERE p.part " part

static void expect_kernel(uint64_t before)
{
	assert_int_equal(ask(SUM("< 2")), before + wall_total(&wall));
	assert_int_equal(ask(SUM("!= 1")), before + wall_total_origins(&wall));
}

/* ---- Killed ---- */

static void __attribute__((noreturn)) write_on(void)
{
	struct sw_history *h = NULL;

	if (sw_history_open(state_dir, &keep, &h) < 0)
		_exit(1);
	while (roll(h) == 0)
		;
	_exit(2);
}

static void killed_while_they_connect(void **state)
{
	const struct crowd_opts denied = { .uid = 61001, .port = 25, .threads = 2, .nice = 10 };
	const struct crowd_opts counted = { .uid = 61002, .port = 587, .threads = 2, .nice = 10 };
	struct crowd c, d;
	unsigned int seed = 25;
	struct sw_history *h;

	(void)state;
	crowd_gather(&wall, &denied, &c);
	crowd_gather(&wall, &counted, &d);
	crowd_go(&c);
	crowd_go(&d);
	for (int i = 0; i < 200; i++) {
		pid_t pid = fork();
		int status;

		assert_true(pid >= 0);
		if (!pid)
			write_on();
		usleep((useconds_t)(rand_r(&seed) % 30000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));	/* no roll failed */
	}
	crowd_end(&c, false);
	crowd_end(&d, false);
	h = open_history();
	assert_int_equal(roll(h), 0);
	expect_kernel(0);
	assert_true(wall_total(&wall) > 1000);
	assert_int_equal(ask("SELECT sum(denied) FROM hour x JOIN place p ON p.id = x.place WHERE "
			     "p.uid = 61001 AND p.part < 2"), wall_uid(&wall, 61001, SW_N_DENIED));
	sw_history_close(h);
}

/* Off and apply: other maps, other counters, and the history goes on. */
static void maps_made_anew(void **state)
{
	const struct crowd_opts o = { .uid = 61001, .port = 25, .threads = 2, .attempts = 300 };
	struct sw_history *h = open_history();
	uint64_t before;

	(void)state;
	crowd_run(&wall, &o);
	assert_int_equal(roll(h), 0);
	expect_kernel(0);
	before = wall_total(&wall);
	assert_int_equal(wall_apply(&wall, LIMIT), 0);	/* the same maps */
	assert_int_equal(roll(h), 0);
	expect_kernel(0);
	assert_int_equal(sw_off(&wall.target), 0);
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	crowd_run(&wall, &o);
	crowd_run(&wall, &o);
	assert_int_equal(roll(h), 0);
	assert_int_equal(roll(h), 0);
	expect_kernel(before);
	sw_history_close(h);
}

/* ---- Limits ---- */

static struct sw_usage usage_of(uint32_t uid)
{
	struct sw_usage u = {};
	struct sw_live live;

	wall_live(&wall, &live);
	if (sw_usage_get(&live, SW_KIND_UID, uid, &u) < 0)
		u = (struct sw_usage){};
	sw_live_close(&live);
	return u;
}

static uint64_t passed(void)
{
	const struct crowd_opts o = { .uid = 61001, .port = 587, .threads = 2, .attempts = 30 };

	return crowd_run(&wall, &o).passed;
}

static void deny(uint32_t uid, uint32_t seconds)
{
	struct sw_live live;

	wall_live(&wall, &live);
	assert_int_equal(sw_deny_uid(&live, uid, seconds, SW_DENIED_BY_HAND), 0);
	sw_live_close(&live);
}

/* Seconds until it runs out, UINT64_MAX for ever, 0: not denied. */
static uint64_t denied_for(uint32_t uid)
{
	struct sw_denied_row *row;
	struct sw_live live;
	uint64_t left = 0;
	size_t n;

	wall_live(&wall, &live);
	assert_int_equal(sw_denied_list(&live, &row, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (row[i].uid == uid)
			left = row[i].left_s;
	free(row);
	sw_live_close(&live);
	return left;
}

static void save_and_boot(const char *policy)
{
	struct sw_history *h = open_history();

	assert_int_equal(roll(h), 0);
	sw_history_close(h);
	assert_int_equal(sw_off(&wall.target), 0);
	assert_int_equal(wall_apply(&wall, policy), 0);
}

static void limits_go_on(void **state)
{
	(void)state;
	/* Never near the end of an hour. */
	while (time(NULL) % 3600 > 3540)
		usleep(100000);
	assert_int_equal(wall_apply(&wall, LIMIT), 0);
	assert_int_equal(passed(), 20);
	deny(61003, 3600);
	deny(61004, 0);
	deny(61005, 1);
	save_and_boot(LIMIT);
	assert_int_equal(usage_of(61001).hour_used, 20);
	assert_int_equal(usage_of(61001).day_used, 20);
	assert_int_equal(passed(), 0);
	assert_in_range(denied_for(61003), 3000, 3601);
	assert_true(denied_for(61004) == UINT64_MAX);
	for (int i = 0; i < 100 && denied_for(61005); i++)
		usleep(50000);
	assert_int_equal(denied_for(61005), 0);
	/* What ran out or passed meanwhile is not put back. */
	deny(61005, 1);
	{
		struct sw_history *h = open_history();

		assert_int_equal(roll(h), 0);
		sw_history_close(h);
	}
	assert_int_equal(sw_off(&wall.target), 0);
	ask("UPDATE denied SET until = strftime('%s', 'now') - 1 WHERE uid = 61003");
	ask("UPDATE window SET hour = hour - 24");
	assert_int_equal(wall_apply(&wall, LIMIT), 0);
	assert_int_equal(denied_for(61003), 0);
	assert_true(denied_for(61004) == UINT64_MAX);
	assert_int_equal(usage_of(61001).hour, 0);
	assert_int_equal(passed(), 20);
}

/* An earlier hour of today: what was used of the day still counts. */
static void the_day_goes_on(void **state)
{
	(void)state;
	while (time(NULL) % 3600 > 3540)
		usleep(100000);
	assert_int_equal(setenv("TZ", "XXX-2", 1), 0);	/* not within two hours of midnight */
	tzset();
	if ((time(NULL) / 3600 + 2) % 24 == 0) {
		assert_int_equal(setenv("TZ", "XXX-6", 1), 0);
		tzset();
	}
	assert_int_equal(wall_apply(&wall, LIMIT), 0);
	assert_int_equal(passed(), 20);
	save_and_boot(POLICY);
	assert_int_equal(sw_off(&wall.target), 0);
	ask("UPDATE window SET hour = hour - 1, day_used = 45");
	assert_int_equal(wall_apply(&wall, LIMIT), 0);
	assert_int_equal(passed(), 5);
}

/* Released is released, also after a boot. */
static void released_limits(void **state)
{
	struct sw_live live;

	(void)state;
	while (time(NULL) % 3600 > 3540)
		usleep(100000);
	assert_int_equal(wall_apply(&wall, LIMIT), 0);
	assert_int_equal(passed(), 20);
	deny(61003, 0);
	save_and_boot(LIMIT);
	assert_int_equal(passed(), 0);
	wall_live(&wall, &live);
	assert_int_equal(sw_usage_reset(&live, SW_KIND_UID, 61001), 0);
	assert_int_equal(sw_deny_release(&live, 61003), 0);
	sw_live_close(&live);
	save_and_boot(LIMIT);
	assert_int_equal(denied_for(61003), 0);
	assert_int_equal(passed(), 20);
}

/* An apply must not depend on the history. */
static void broken_history(void **state)
{
	_cleanup_free_ char *path = NULL;
	struct sw_history *h = open_history();
	FILE *f;

	(void)state;
	sw_history_close(h);
	assert_true(asprintf(&path, "%s/history/history.db", state_dir) > 0);
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 1000; i++)
		fputs("not a database ", f);
	fclose(f);
	assert_int_equal(sw_off(&wall.target), 0);
	assert_int_equal(wall_apply(&wall, LIMIT), 0);
	assert_int_equal(passed(), 20);
}

/* ---- No room, no right ---- */

/* In the child an assertion would go on with the next test. */
#define MUST(x)	do { if (!(x)) { fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x); _exit(1); } } while (0)

static bool is_exact(void)
{
	return ask(SUM("< 2")) == (int64_t)wall_total(&wall) &&
	       ask(SUM("!= 1")) == (int64_t)wall_total_origins(&wall);
}

/* In a mount namespace of its own: a small state directory that runs full, then has room. */
static void on_a_full_disk(void)
{
	const struct crowd_opts o = { .uid = 61001, .port = 25, .threads = 2, .attempts = 100 };
	struct sw_history *h = NULL;
	char file[128];
	FILE *f;
	int r;

	MUST(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	MUST(mount("none", state_dir, "tmpfs", 0, "size=1m") == 0);
	MUST(sw_history_open(state_dir, &keep, &h) == 0);
	crowd_run(&wall, &o);
	MUST(roll(h) == 0);
	snprintf(file, sizeof(file), "%s/filler", state_dir);
	f = fopen(file, "w");
	MUST(f);
	while (fputs("no room is left for anything that anybody would like to write", f) >= 0 &&
	       fflush(f) == 0)
		;
	(void)fclose(f);
	crowd_run(&wall, &o);
	for (int i = 0; i < 3; i++) {
		r = roll(h);
		MUST(r == 0 || r == -ENOSPC);	/* a little room may be in the log */
	}
	sw_history_close(h);
	r = sw_history_open(state_dir, &keep, &h);
	MUST(r == 0 || r == -ENOSPC);
	if (!r) {
		crowd_run(&wall, &o);
		MUST(roll(h) == -ENOSPC);
		sw_history_close(h);
	}
	MUST(unlink(file) == 0);
	MUST(sw_history_open(state_dir, &keep, &h) == 0);
	crowd_run(&wall, &o);
	MUST(roll(h) == 0 && is_exact());
	sw_history_close(h);
	MUST(mount(NULL, state_dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
	MUST(sw_history_open(state_dir, &keep, &h) == -EROFS);
	MUST(mount(NULL, state_dir, NULL, MS_REMOUNT, NULL) == 0);
	crowd_run(&wall, &o);
	MUST(sw_history_open(state_dir, &keep, &h) == 0);
	MUST(roll(h) == 0 && is_exact());
	sw_history_close(h);
	_exit(0);
}

static void full_disk(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (!pid)
		on_a_full_disk();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* As the monitor does: root prepares, somebody without any right writes. */
static void written_without_privilege(void **state)
{
	struct stat st;
	char path[128];
	pid_t pid;
	int status;

	(void)state;
	assert_int_equal(sw_history_prepare(state_dir, 61020, 61020), 0);
	assert_int_equal(stat(state_dir, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(st.st_gid, 61020);
	assert_int_equal(st.st_mode & 07777, 0710);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		struct sw_live live;
		struct sw_history *h;
		struct sw_stats s;
		int r;

		wall_live(&wall, &live);
		if (sw_stats_read(&live, &s) < 0 || setgid(61020) < 0 || setuid(61020) < 0)
			_exit(90);
		r = sw_history_open(state_dir, &keep, &h);
		if (r < 0)
			_exit(-r);
		/* Whether it may use the maps is another question. */
		sw_history_close(h);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(path, sizeof(path), "%s/history/history.db", state_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 61020);
	assert_int_equal(st.st_mode & 07777, 0640);
	/* A second time nothing is given away any more. */
	assert_int_equal(chown(path, 0, 0), 0);
	assert_int_equal(sw_history_prepare(state_dir, 61020, 61020), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_uid, 0);
	assert_int_equal(sw_history_prepare(state_dir, 61021, 61021), -EPERM);
}

static int open_wall(void **state)
{
	(void)state;
	wall_open(&wall);
	assert_non_null(mkdtemp(state_dir));
	wall.target.state_dir = state_dir;
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	tzset();
	return 0;
}

static int close_wall(void **state)
{
	(void)state;
	wall_close(&wall);
	remove_history();
	assert_int_equal(rmdir(state_dir), 0);
	return 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, begin)
	const struct CMUnitTest tests[] = {
		T(killed_while_they_connect), T(maps_made_anew), T(limits_go_on), T(the_day_goes_on),
		T(released_limits), T(broken_history), T(full_disk), T(written_without_privilege),
	};

	return cmocka_run_group_tests(tests, open_wall, close_wall);
}
