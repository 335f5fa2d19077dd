/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 5,000 accounts for 90 days, each of which does something in every hour of them: the file stays
 * below 500 MB, a month's report takes less than a second, and so does a roll or a trim. With
 * sanitizers a small one, whose figures say nothing.
 */
#include "history_util.h"

#include <stdio.h>
#include <time.h>

#include "history_read.h"

#ifdef __SANITIZE_ADDRESS__
#define N_ACCOUNTS	200
#define N_DAYS		4
#define MONTH_DAYS	2
#define SLOWER		50
#else
#define N_ACCOUNTS	5000
#ifndef N_DAYS
#define N_DAYS		90
#endif
#define MONTH_DAYS	30
#define SLOWER		1
#endif

static struct sw_stat accounts[N_ACCOUNTS], origins[N_ACCOUNTS * 2];
static char directory[N_ACCOUNTS * 2][64];

/* Of the processor: others may be at work here. */
static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static struct sw_history_reader *reader(void)
{
	struct sw_history_reader *h = NULL;

	assert_int_equal(sw_history_reader_open(state_dir, &h), 0);
	return h;
}

static void make_rows(void)
{
	for (size_t i = 0; i < N_ACCOUNTS; i++) {
		accounts[i] = (struct sw_stat){ .uid = (uint32_t)(1000 + i), .id = 1 + i * 16 };
		for (size_t j = 0; j < 2; j++) {
			struct sw_stat *o = &origins[i * 2 + j];

			snprintf(directory[i * 2 + j], sizeof(directory[0]), "/home/u%zu/public_html/d%zu",
				 i, j);
			*o = (struct sw_stat){ .uid = (uint32_t)(1000 + i), .id = 2 + j + i * 16,
					       .directory = directory[i * 2 + j], .script = "mail.php" };
			snprintf(o->last_destination, sizeof(o->last_destination), "203.0.113.%zu:25",
				 i % 250);
		}
	}
}

/* One directory in most hours, now and then another. */
static void count_hour(unsigned int hour)
{
	for (size_t i = 0; i < N_ACCOUNTS; i++) {
		struct sw_stat *o = &origins[i * 2 + ((i + hour) % 16 == 0)];
		enum sw_slot slot = (i + hour) % 10 ? SW_N_ALLOWED : SW_N_DENIED;
		uint64_t n = 1 + (i * 7 + hour * 13) % 300;
		time_t when = T0 + (time_t)hour * HOUR + (time_t)((i * 31 + hour) % HOUR);

		count(&accounts[i], slot, n, when);
		count(o, slot, n, when);
	}
}

static int roll_at(struct sw_history *h, time_t now)
{
	struct sw_stats s = {
		.accounts = accounts, .n_accounts = N_ACCOUNTS, .origins = origins,
		.n_origins = ARRAY_SIZE(origins), .now = now,
	};
	const struct sw_history_reading r = { .s = &s, .instance = { 1, 2 } };

	return sw_history_roll_reading(h, &r, NULL);
}

static void fill(struct sw_history *h)
{
	double before = now_s();

	for (unsigned int hour = 0; hour < N_DAYS * 24; hour++) {
		count_hour(hour);
		assert_int_equal(roll_at(h, T0 + (time_t)hour * HOUR + HOUR - 1), 0);
	}
	print_message("# %d days of %d accounts: rolls of %.0f ms\n", N_DAYS, N_ACCOUNTS,
		      (now_s() - before) * 1000 / (N_DAYS * 24));
	assert_true(now_s() - before < N_DAYS * 24 * 0.5 * SLOWER);
}

static uint64_t month(struct sw_history_reader *h, time_t until, double *took)
{
	struct sw_report what = { .by = SW_REPORT_BY_UID, .top = 20 };
	double before = now_s();
	struct sw_report_rows rows;
	uint64_t sum = 0;
	struct sw_stats s;

	/* Not at the edge of days. */
	assert_int_equal(sw_history_read(h, until - MONTH_DAYS * DAY - 11 * HOUR, until, &s), 0);
	assert_int_equal(sw_report_build(&what, &s, NULL, &rows), 0);
	for (size_t i = 0; i < rows.n; i++) {
		struct sw_timeline t;

		assert_int_equal(sw_history_timeline(h, &rows.row[i].sum, until - MONTH_DAYS * DAY, until,
						     &t), 0);
		sw_timeline_free(&t);
	}
	for (int i = 0; i < _SW_N_MAX; i++)
		sum += rows.total[i];
	sw_report_free(&rows);
	sw_stats_free(&s);
	*took = now_s() - before;
	return sum;
}

static int tell(void *data, uint32_t uid, const double n[_SW_N_MAX])
{
	(void)uid;
	(void)n;
	++*(int *)data;
	return 0;
}

static void test_scale(void **state)
{
	time_t end = T0 + N_DAYS * DAY;
	struct sw_history *h = open_history();
	struct sw_history_reader *r;
	double took, before;
	struct stat st;
	int told = 0;

	(void)state;
	make_rows();
	fill(h);
	assert_int_equal(stat(db_path, &st), 0);
	print_message("# %.0f MB\n", (double)st.st_size / 1e6);
	assert_true(st.st_size < 500000000);
	for (int i = 0; i < 3; i++) {	/* the last one counts */
		r = reader();
		assert_true(month(r, end - HOUR, &took) > 0);
		sw_history_reader_free(r);
		print_message("# a month with the timelines of 20: %.2f s\n", took);
	}
	assert_true(took < 1 * SLOWER);
	before = now_s();
	assert_int_equal(sw_history_averages(h, 7, end, tell, &told), 0);
	print_message("# averages of %d accounts: %.0f ms\n", told, (now_s() - before) * 1000);
	assert_int_equal(told, N_ACCOUNTS);
	assert_true(now_s() - before < 0.2 * SLOWER);
	before = now_s();
	assert_int_equal(sw_history_trim(h, end + DAY), 0);
	print_message("# a trim that forgets a day: %.0f ms\n", (now_s() - before) * 1000);
	assert_true(now_s() - before < 2 * SLOWER);
	before = now_s();
	assert_int_equal(sw_history_trim(h, end + DAY), 0);
	print_message("# one that forgets nothing: %.0f ms\n", (now_s() - before) * 1000);
	assert_true(now_s() - before < 0.2 * SLOWER);
	before = now_s();
	assert_int_equal(roll_at(h, end), 0);
	print_message("# a roll of nothing: %.1f ms\n", (now_s() - before) * 1000);
	sw_history_close(h);
	before = now_s();
	h = open_history();
	print_message("# opening: %.0f ms\n", (now_s() - before) * 1000);
	sw_history_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_scale, make_state, remove_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
