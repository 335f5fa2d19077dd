/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The history: every attempt once, in the hour it was made, whatever happens to the writer. */
#include "history_util.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

static struct model m;

static int setup(void **state)
{
	m = (struct model){ .instance = 77, .now = T0 };
	return make_state(state);
}

/* ---- How many ---- */

static void expect_sums(int64_t accounts, int64_t origins)
{
	assert_int_equal(ask("SELECT sum(" ALL_SLOTS ")" ASK_JOIN("hour") ACCOUNTS), accounts);
	assert_int_equal(ask("SELECT sum(" ALL_SLOTS ")" ASK_JOIN("day") ACCOUNTS), accounts);
	assert_int_equal(ask("SELECT sum(" ALL_SLOTS ")" ASK_JOIN("hour") ORIGINS), origins);
	assert_int_equal(ask("SELECT sum(" ALL_SLOTS ")" ASK_JOIN("day") ORIGINS), origins);
}

static void test_differences(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	attempt(&m, 1001, 0, SW_N_DENIED, 5);
	attempt(&m, 1001, 1, SW_N_ALLOWED, 2);
	attempt(&m, 1002, 0, SW_N_LOCAL, 1);
	assert_int_equal(roll(h, &m), 0);
	expect_sums(8, 8);
	assert_int_equal(roll(h, &m), 0);
	expect_sums(8, 8);
	for (int i = 0; i < _SW_N_MAX; i++)
		attempt(&m, 1001, 0, (enum sw_slot)i, 100);
	assert_int_equal(roll(h, &m), 0);
	expect_sums(8 + 100 * _SW_N_MAX, 8 + 100 * _SW_N_MAX);
	assert_int_equal(ask("SELECT sum(denied)" ASK_JOIN("hour") ACCOUNTS " AND p.uid = 1001"), 105);
	assert_int_equal(ask("SELECT count(*) FROM hour"), 3);	/* an account's own row only if needed */
	sw_history_close(h);
}

static void test_restart(void **state)
{
	(void)state;
	for (int i = 1; i < 20; i++) {
		struct sw_history *h = open_history();

		attempt(&m, 1001, i % 3, SW_N_DENIED, 1);
		assert_int_equal(roll(h, &m), 0);
		sw_history_close(h);
		expect_sums(i, i);
	}
}

/* What is not on an origin is on the account, and the other way round. */
static void test_overflows(void **state)
{
	struct sw_history *h = open_history();
	struct sw_stat *s;

	(void)state;
	attempt(&m, 1001, 0, SW_N_DENIED, 5);
	/* The table of origins is full: 7 of the account are on the overflow row. */
	count(model_row(m.account, &m.n_accounts, 1001ULL << 32 | 1, 1001, SW_ROW_UID), SW_N_DENIED, 7, T0);
	s = model_row(m.origin, &m.n_origins, 3, 0, SW_ROW_OVERFLOW);
	count(s, SW_N_DENIED, 7, T0);
	/* That of accounts is: 9 of an account without a row. */
	s = model_row(m.account, &m.n_accounts, 4, 0, SW_ROW_OVERFLOW);
	count(s, SW_N_DENIED, 9, T0);
	count(model_row(m.origin, &m.n_origins, 5, 1002, SW_ROW_UID), SW_N_DENIED, 9, T0);
	/* Kernel threads. */
	count(model_row(m.account, &m.n_accounts, 6, 0, SW_ROW_KERNEL), SW_N_DENIED, 3, T0);
	count(model_row(m.origin, &m.n_origins, 7, 0, SW_ROW_KERNEL), SW_N_DENIED, 3, T0);
	assert_int_equal(roll(h, &m), 0);
	expect_sums(24, 24);
	assert_int_equal(ask("SELECT sum(denied)" ASK_JOIN("hour") ACCOUNTS " AND p.uid = 1001"), 12);
	assert_int_equal(ask("SELECT sum(denied)" ASK_JOIN("hour") ACCOUNTS " AND p.uid = 1002"), 0);
	assert_int_equal(ask("SELECT sum(denied)" ASK_JOIN("hour") ORIGINS " AND p.uid = 1002"), 9);
	sw_history_close(h);
}

/* Origins are read after the accounts, while attempts go on. */
static void test_torn_reading(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct model torn;

		attempt(&m, 1001, 0, SW_N_DENIED, 10);
		torn = m;
		count(&torn.origin[0], SW_N_DENIED, 3, T0);
		assert_int_equal(roll(h, &torn), 0);
		expect_sums(10 * i + 13, 10 * i + 13);
		if (i == 2) {
			sw_history_close(h);
			h = open_history();
		}
	}
	attempt(&m, 1001, 0, SW_N_DENIED, 3);
	assert_int_equal(roll(h, &m), 0);
	expect_sums(53, 53);
	sw_history_close(h);
}

static void test_maps_made_anew(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	attempt(&m, 1001, 0, SW_N_DENIED, 50);
	assert_int_equal(roll(h, &m), 0);
	/* Counters that went on beyond where the old ones stood are new attempts all the same. */
	m = (struct model){ .instance = 99, .now = T0 + 10 };
	attempt(&m, 1001, 0, SW_N_DENIED, 60);
	assert_int_equal(roll(h, &m), 0);
	expect_sums(110, 110);
	sw_history_close(h);
	m = (struct model){ .instance = 1000, .now = T0 + 20 };
	attempt(&m, 1001, 0, SW_N_DENIED, 1);
	h = open_history();
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(roll(h, &m), 0);
	expect_sums(111, 111);
	sw_history_close(h);
}

/* Up to the last number that a counter of the kernel and a column can hold. */
static void test_large_counters(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	attempt(&m, 4294967294U, 0, SW_N_DENIED, INT64_MAX - 5);
	assert_int_equal(roll(h, &m), 0);
	attempt(&m, 4294967294U, 0, SW_N_DENIED, 5);
	assert_int_equal(roll(h, &m), 0);
	assert_true(ask("SELECT denied FROM hour") == INT64_MAX);
	assert_int_equal(ask("SELECT uid FROM place"), 4294967294U);
	sw_history_close(h);
}

/* ---- In which hour ---- */

static int64_t in_hour(time_t start)
{
	char sql[256];
	int n = snprintf(sql, sizeof(sql), "SELECT sum(" ALL_SLOTS ")" ASK_JOIN("hour") ACCOUNTS
			 " AND start = %lld", (long long)start);

	assert_true(n < (int)sizeof(sql));
	return ask(sql);
}

static void test_hours(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	for (int i = 0; i < 30; i++) {
		m.now = T0 + i * HOUR + 1800;
		attempt(&m, 1001, 0, SW_N_DENIED, 1);
		assert_int_equal(roll(h, &m), 0);
	}
	for (int i = 0; i < 30; i++)
		assert_int_equal(in_hour(T0 + i * HOUR), 1);
	assert_int_equal(ask("SELECT count(*) FROM day"), 2);
	assert_int_equal(ask("SELECT denied FROM day WHERE start = 1907280000"), 12);
	sw_history_close(h);
}

/* A roll over the full hour: what the kernel has counted in the new one belongs there. */
static void test_roll_over_the_hour(void **state)
{
	struct sw_history *h = open_history();
	uint32_t k = T0 / HOUR;

	(void)state;
	m.now = T0 + 3590;
	attempt(&m, 1001, 0, SW_N_DENIED, 10);
	hour_count(&m, 1001, k, k, 10);
	assert_int_equal(roll(h, &m), 0);
	m.now = T0 + 3605;
	attempt(&m, 1001, 0, SW_N_DENIED, 7);
	attempt(&m, 1001, 1, SW_N_LIMITED, 3);
	hour_count(&m, 1001, k + 1, k, 14);
	hour_count(&m, 1001, k + 1, k + 1, 6);
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(in_hour(T0), 14);
	assert_int_equal(in_hour(T0 + HOUR), 6);
	expect_sums(20, 20);
	sw_history_close(h);
}

/* The writer was away for hours: the kernel knows when offences were made, and when the last attempt
 * of any kind was. */
static void test_catching_up(void **state)
{
	struct sw_history *h = open_history();
	uint32_t k = T0 / HOUR;

	(void)state;
	m.now = T0 + 60;
	attempt(&m, 1001, 0, SW_N_DENIED, 1);
	attempt(&m, 1002, 0, SW_N_ALLOWED, 1);
	hour_count(&m, 1001, k, k, 1);
	assert_int_equal(roll(h, &m), 0);
	sw_history_close(h);
	m.now = T0 + 2 * HOUR + 60;
	attempt(&m, 1002, 0, SW_N_ALLOWED, 5);
	m.now = T0 + 5 * HOUR + 60;
	attempt(&m, 1001, 0, SW_N_DENIED, 15);
	hour_count(&m, 1001, k + 4, k, 3);	/* 2 of them after the last roll */
	hour_count(&m, 1001, k + 4, k + 2, 4);
	hour_count(&m, 1001, k + 4, k + 4, 9);
	h = open_history();
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(in_hour(T0), 4);
	assert_int_equal(in_hour(T0 + HOUR), 0);
	assert_int_equal(in_hour(T0 + 2 * HOUR), 9);
	assert_int_equal(in_hour(T0 + 3 * HOUR), 0);
	assert_int_equal(in_hour(T0 + 4 * HOUR), 9);
	assert_int_equal(in_hour(T0 + 5 * HOUR), 0);
	expect_sums(22, 22);
	sw_history_close(h);
}

/* The first roll of maps that have counted for longer than the kernel keeps hours. */
static void test_first_roll(void **state)
{
	struct sw_history *h = open_history();
	uint32_t k = T0 / HOUR;

	(void)state;
	m.now = T0 - 100 * HOUR;
	attempt(&m, 1001, 0, SW_N_DENIED, 40);
	m.now = T0;
	attempt(&m, 1001, 0, SW_N_DENIED, 2);
	hour_count(&m, 1001, k, k, 2);
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(in_hour(T0), 2);
	assert_int_equal(in_hour(T0 - 100 * HOUR), 40);
	sw_history_close(h);
}

/* Hours of local time, each once: also those that a change of it repeats or leaves out. */
static void test_zones(void **state)
{
	static const struct { const char *zone; time_t t, start; } rows[] = {
		{ "UTC", T0 + 1799, T0 },
		{ "IST-5:30", T0 + 1799, T0 - 1800 }, { "IST-5:30", T0 + 1800, T0 + 1800 },
		{ "NST3:30", T0, T0 - 1800 }, { "XXX-5:45", T0, T0 - 2700 },
		/* 31 March 2030 01:00 UTC, 27 October 01:00 UTC */
		{ "CET-1CEST,M3.5.0,M10.5.0/3", 1901149199, 1901145600 },
		{ "CET-1CEST,M3.5.0,M10.5.0/3", 1901149200, 1901149200 },
		{ "CET-1CEST,M3.5.0,M10.5.0/3", 1919293199, 1919289600 },
		{ "CET-1CEST,M3.5.0,M10.5.0/3", 1919293200, 1919293200 },
		/* Lord Howe: half an hour, on 6 April 2030 15:00 UTC */
		{ "LHST-10:30LHDT-11,M10.1.0,M4.1.0", 1901717999, 1901714400 },
		{ "LHST-10:30LHDT-11,M10.1.0,M4.1.0", 1901718000, 1901716200 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(setenv("TZ", rows[i].zone, 1), 0);
		tzset();
		assert_int_equal(sw_history_hour(rows[i].t), rows[i].start);
	}
}

static void test_change_of_local_time(void **state)
{
	const time_t change[] = { 1901149200, 1919293200 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(change); i++) {
		struct sw_history *h;

		assert_int_equal(setup(state), 0);
		assert_int_equal(setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1), 0);
		tzset();
		h = open_history();
		for (time_t t = change[i] - 2 * HOUR; t < change[i] + 2 * HOUR; t += 600) {
			m.now = t;
			attempt(&m, 1001, 0, SW_N_DENIED, 1);
			assert_int_equal(roll(h, &m), 0);
		}
		for (time_t t = change[i] - 2 * HOUR; t < change[i] + 2 * HOUR; t += HOUR)
			assert_int_equal(in_hour(t), 6);
		expect_sums(24, 24);
		sw_history_close(h);
		remove_state(state);
	}
	assert_int_equal(setup(state), 0);
}

/* A time zone that is changed while it is written: hours that overlap, and nothing lost or twice. */
static void test_change_of_zone(void **state)
{
	static const char *const zones[] = { "UTC", "IST-5:30", "CET-1", "NST3:30", "UTC" };
	struct sw_history *h = open_history();
	int64_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(zones); i++) {
		assert_int_equal(setenv("TZ", zones[i], 1), 0);
		tzset();
		for (int j = 0; j < 4; j++) {
			int64_t before;

			m.now += 1200;
			before = in_hour(sw_history_hour(m.now));
			attempt(&m, 1001, 0, SW_N_DENIED, 1);
			assert_int_equal(roll(h, &m), 0);
			assert_int_equal(in_hour(sw_history_hour(m.now)), before + 1);
			expect_sums(n + 1, n + 1);
			n++;
		}
	}
	sw_history_close(h);
}

/* A clock that is set counts what comes where it stands then; nothing is lost, nothing twice. */
static void test_clock_jumps(void **state)
{
	static const int64_t jump[] = { -HOUR, -30 * DAY, 60 * DAY, -1, HOUR, -29 * DAY };
	struct sw_history *h = open_history();

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(jump); i++) {
		time_t start;
		int64_t before;

		m.now += (time_t)jump[i];
		start = sw_history_hour(m.now);
		before = in_hour(start);
		attempt(&m, 1001, 0, SW_N_DENIED, 1);
		assert_int_equal(roll(h, &m), 0);
		assert_int_equal(in_hour(start), before + 1);
		expect_sums((int64_t)i + 1, (int64_t)i + 1);
	}
	sw_history_close(h);
}

/* ---- What goes wrong ---- */

static void exec_on(struct sw_history *h, const char *sql)
{
	assert_int_equal(sw_history_exec(&h->d, sql), 0);
}

/* A disk that is full, then not: nothing is lost. Cut off after every number of pages. */
static void test_disk_full(void **state)
{
	struct sw_history *h = open_history();
	char sql[64];
	int failed = 0;

	(void)state;
	attempt(&m, 1001, 0, SW_N_DENIED, 1);
	assert_int_equal(roll(h, &m), 0);
	for (int pages = 0; pages < 25; pages++) {
		int r;

		for (unsigned int i = 0; i < 20; i++)
			attempt(&m, 2000 + (unsigned int)pages, i, SW_N_DENIED, 1);
		snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %lld",
			 (long long)ask("PRAGMA page_count") + pages % 3);
		exec_on(h, sql);
		r = roll(h, &m);
		if (r < 0) {
			assert_int_equal(r, -ENOSPC);
			failed++;
		}
		exec_on(h, "PRAGMA max_page_count = 1000000");
		if (pages % 4)
			continue;
		assert_int_equal(roll(h, &m), 0);
		expect_sums(1 + 20 * (pages + 1), 1 + 20 * (pages + 1));
	}
	assert_true(failed > 5);
	sw_history_close(h);
}

static void test_read_only(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	exec_on(h, "PRAGMA query_only = 1");
	attempt(&m, 1001, 0, SW_N_DENIED, 4);
	assert_int_equal(roll(h, &m), -EROFS);
	assert_int_equal(roll(h, &m), -EROFS);
	exec_on(h, "PRAGMA query_only = 0");
	assert_int_equal(roll(h, &m), 0);
	expect_sums(4, 4);
	sw_history_close(h);
}

static void test_one_writer(void **state)
{
	struct sw_history *h = open_history(), *other = NULL;

	(void)state;
	assert_int_equal(sw_history_open(state_dir, &keep, &other), -EBUSY);
	assert_null(other);
	sw_history_close(h);
	sw_history_close(open_history());
}

static void write_file(const char *text)
{
	FILE *f = fopen(db_path, "w");

	assert_non_null(f);
	for (int i = 0; i < 100; i++)
		assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void test_foreign_files(void **state)
{
	struct sw_history *h = open_history();
	char other[128], directory[128];

	(void)state;
	sw_history_close(h);
	ask("PRAGMA user_version = 1000");
	assert_int_equal(sw_history_open(state_dir, &keep, &h), -ENOTSUP);
	write_file("this is no database, but a text that is long enough for one");
	assert_int_equal(sw_history_open(state_dir, &keep, &h), -EBADMSG);
	assert_int_equal(chmod(db_path, 0660), 0);
	assert_int_equal(sw_history_open(state_dir, &keep, &h), -EPERM);
	snprintf(other, sizeof(other), "%s/history/x", state_dir);
	assert_int_equal(rename(db_path, other), 0);
	assert_int_equal(symlink(other, db_path), 0);
	assert_int_equal(sw_history_open(state_dir, &keep, &h), -EPERM);
	assert_int_equal(unlink(db_path), 0);
	assert_int_equal(link(other, db_path), 0);
	assert_int_equal(chmod(db_path, 0640), 0);
	assert_int_equal(sw_history_open(state_dir, &keep, &h), -EPERM);
	assert_int_equal(unlink(db_path), 0);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(mkfifo(db_path, 0600), 0);
	assert_int_equal(sw_history_open(state_dir, &keep, &h), -EPERM);
	assert_int_equal(unlink(db_path), 0);
	snprintf(directory, sizeof(directory), "%s/history", state_dir);
	assert_int_equal(chmod(directory, 0770), 0);
	assert_int_equal(sw_history_open(state_dir, &keep, &h), -EPERM);
	assert_int_equal(rmdir(directory), 0);
	assert_int_equal(symlink("/tmp", directory), 0);
	assert_int_equal(sw_history_open(state_dir, &keep, &h), -EPERM);
	assert_int_equal(unlink(directory), 0);
	sw_history_close(open_history());
}

/* Broken in every page, one after the other: an error, or what is right; never a crash. */
static void test_damaged(void **state)
{
	struct sw_history *h = open_history();
	_cleanup_free_ char *whole = NULL;
	long size;
	FILE *f;

	(void)state;
	for (unsigned int i = 0; i < 200; i++)
		attempt(&m, 1001 + i % 50, i, SW_N_DENIED, 1);
	assert_int_equal(roll(h, &m), 0);
	sw_history_close(h);
	f = fopen(db_path, "r");
	assert_non_null(f);
	assert_int_equal(fseek(f, 0, SEEK_END), 0);
	size = ftell(f);
	rewind(f);
	whole = malloc((size_t)size);
	assert_int_equal(fread(whole, 1, (size_t)size, f), size);
	fclose(f);
	for (long at = 0; at < size; at += 512) {
		f = fopen(db_path, "r+");
		assert_non_null(f);
		assert_int_equal(fseek(f, at, SEEK_SET), 0);
		for (int i = 0; i < 64; i++)
			fputc(0xa5, f);
		fclose(f);
		if (sw_history_open(state_dir, &keep, &h) == 0) {
			m.now += HOUR;
			attempt(&m, 1001, 0, SW_N_DENIED, 1);
			(void)roll(h, &m);
			(void)sw_history_trim(h, m.now + 200 * DAY);
			sw_history_close(h);
		}
		f = fopen(db_path, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(whole, 1, (size_t)size, f), size);
		fclose(f);
	}
}

static void test_migration(void **state)
{
	struct sw_history *h;

	(void)state;
	h = open_history();
	attempt(&m, 1001, 0, SW_N_DENIED, 3);
	assert_int_equal(roll(h, &m), 0);
	sw_history_close(h);
	assert_int_equal(ask("PRAGMA user_version"), SW_HISTORY_VERSION);
	/* Of an older version, which knew fewer kinds of attempts. */
	ask("ALTER TABLE hour DROP COLUMN local");
	ask("ALTER TABLE day DROP COLUMN local");
	ask("ALTER TABLE base DROP COLUMN local");
	h = open_history();
	attempt(&m, 1001, 0, SW_N_LOCAL, 4);
	assert_int_equal(roll(h, &m), 0);
	expect_sums(7, 7);
	sw_history_close(h);
	/* Of a newer one that only added kinds: older ones go on using it. */
	ask("ALTER TABLE hour ADD COLUMN later INTEGER NOT NULL DEFAULT 0");
	h = open_history();
	attempt(&m, 1001, 0, SW_N_LOCAL, 1);
	assert_int_equal(roll(h, &m), 0);
	expect_sums(8, 8);
	sw_history_close(h);
}

/* Killed while it makes the file. */
static void test_half_made(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	sw_history_close(h);
	assert_int_equal(truncate(db_path, 0), 0);
	h = open_history();
	attempt(&m, 1001, 0, SW_N_DENIED, 3);
	assert_int_equal(roll(h, &m), 0);
	expect_sums(3, 3);
	sw_history_close(h);
}

static void test_modes(void **state)
{
	static const char *const files[] = { "history.db", "history.db-wal", "history.db-shm" };
	struct sw_history *h;
	mode_t before = umask(0);
	struct stat st;
	char path[128];

	(void)state;
	h = open_history();
	attempt(&m, 1001, 0, SW_N_DENIED, 3);
	assert_int_equal(roll(h, &m), 0);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/history/%s", state_dir, files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0640);
	}
	sw_history_close(h);
	umask(before);
}

/* A writer for ever: the kernel counts one more before each roll. */
static void __attribute__((noreturn)) write_on(uint64_t *seen)
{
	struct sw_history *h = open_history();

	for (;;) {
		uint64_t n = __atomic_add_fetch(seen, 1, __ATOMIC_SEQ_CST);

		attempt(&m, 1001, 0, SW_N_DENIED, n - (m.n_origins ? m.origin[0].n[SW_N_DENIED] : 0));
		m.now += 60;
		if (roll(h, &m) < 0)
			_exit(1);
	}
}

/* Killed at any moment; tests/kernel/test_history.c does it with a real kernel. */
static void test_killed(void **state)
{
	uint64_t *seen = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sw_history *h;
	unsigned int seed = 25;

	(void)state;
	assert_ptr_not_equal(seen, MAP_FAILED);
	for (int i = 0; i < 60; i++) {
		uint64_t until = *seen + (uint64_t)(rand_r(&seed) % 4);
		pid_t pid = fork();

		assert_true(pid >= 0);
		if (!pid)
			write_on(seen);
		for (int n = 0; n < 20000 && __atomic_load_n(seen, __ATOMIC_SEQ_CST) < until; n++)
			usleep(100);
		usleep((useconds_t)(rand_r(&seed) % 3000));
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
	}
	attempt(&m, 1001, 0, SW_N_DENIED, *seen);
	h = open_history();
	assert_int_equal(roll(h, &m), 0);
	expect_sums((int64_t)*seen, (int64_t)*seen);
	assert_true(*seen > 60);
	sw_history_close(h);
	munmap(seen, 4096);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, remove_state)
	const struct CMUnitTest tests[] = {
		T(test_differences), T(test_restart), T(test_overflows), T(test_torn_reading),
		T(test_maps_made_anew), T(test_large_counters), T(test_hours),
		T(test_roll_over_the_hour), T(test_catching_up), T(test_first_roll), T(test_zones),
		T(test_change_of_local_time), T(test_change_of_zone), T(test_clock_jumps), T(test_disk_full), T(test_read_only),
		T(test_one_writer), T(test_foreign_files), T(test_damaged), T(test_migration),
		T(test_half_made), T(test_modes), T(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
