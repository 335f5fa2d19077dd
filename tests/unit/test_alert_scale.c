/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Alerts: what a sample costs, once a second. Goals are those of a build without sanitizers (make
 * check-scale); with them everything takes several times as long, and so do the goals.
 */
#include "alert_util.h"

#ifdef __SANITIZE_ADDRESS__
#define SLOWER 12
#else
#define SLOWER 1
#endif

static struct fixture f;

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void add_rows(uint32_t n)
{
	for (uint32_t uid = 0; uid < n; uid++) {
		struct sw_uid_key key = { .uid = 10000 + uid };
		struct sw_uid_stats row = { .first_ns = 1, .last_ns = 1, .n[SW_N_DENIED] = uid };

		fx_grow(&f.uids, &f.uid_room);
		memcpy(f.uids.keys + f.uids.n * sizeof(key), &key, sizeof(key));
		memcpy(f.uids.values + f.uids.n++ * sizeof(row), &row, sizeof(row));
	}
}

/* One in `each` accounts moves in every second; the median of 20 samples. */
static double cost(size_t each)
{
	double took[20];

	for (size_t i = 0; i < ARRAY_SIZE(took); i++) {
		double before;

		f.now.mono_ns += NSEC_PER_SEC;
		f.now.wall++;
		for (size_t j = i; j < f.uids.n; j += each) {
			struct sw_uid_stats *row = (void *)(f.uids.values + j * sizeof(*row));

			row->n[SW_N_ALLOWED]++;
			row->last_ns = f.now.mono_ns;
		}
		before = seconds();
		fx_sample(&f);
		took[i] = seconds() - before;
		for (size_t j = i; j && took[j] < took[j - 1]; j--) {
			double other = took[j];

			took[j] = took[j - 1];
			took[j - 1] = other;
		}
	}
	return took[ARRAY_SIZE(took) / 2] * 1000;
}

static void test_scale(void **state)
{
	static const struct { uint32_t accounts; size_t each; double goal_ms; } rows[] = {
		{ 5000, 20, 1 }, { 5000, 1, 5 }, { 100000, 1000, 30 }, { 100000, 20, 30 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		double ms;

		fx_policy(&f);
		fx_rule(&f.p, HOURLY(DENIED, 100), "denied 100/hour per account");
		fx_rule(&f.p, SLIDING(ALLOWED, 1000, 600), "allowed 1000/10m");
		fx_rule(&f.p, DAILY(LIMITED, 100), "limited 100/day per account");
		fx_start(&f);
		add_rows(rows[i].accounts);
		fx_sample(&f);
		ms = cost(rows[i].each);
		print_message("# %u accounts, one in %zu moves: %.3f ms a sample\n", rows[i].accounts,
			      rows[i].each, ms);
		assert_true(ms < rows[i].goal_ms * SLOWER);
		fx_stop(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_scale),
	};

	return cmocka_run_group_tests_name("alert_scale", tests, NULL, NULL);
}
