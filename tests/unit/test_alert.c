/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alerts: what is counted, in which period, and when an alert comes of it. */
#include "alert_util.h"
#include "canary.h"

static struct fixture f;

static int setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	fx_policy(&f);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_stop(&f);
	return 0;
}

#define RULE(r, text) fx_rule(&f.p, (r), text)

/* Exactly at the threshold, in the sample that sees it; what was before the first sample is not
 * counted. */
static void test_threshold(void **state)
{
	(void)state;
	RULE(SLIDING(DENIED, 10, 90), "denied 10/90s per account");
	fx_start(&f);
	fx_count(&f, 1001, SW_N_DENIED, 5000);
	fx_sample(&f);
	fx_pass(&f, 5);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 1001, SW_N_DENIED, 9);
	fx_count(&f, 1001, SW_N_ALLOWED, 1000);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 1001, SW_N_DENIED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
	assert_int_equal(f.n_logged, 1);
	assert_string_equal(f.logged[0], "- uid (1001): 10 denied connects in the last 1 min 30 s (rule "
					 "denied 10/90s per account)");
}

/* An account that is new to the kernel counts from its first attempt on. */
static void test_new_account(void **state)
{
	(void)state;
	RULE(SLIDING(DENIED, 3, 60), "denied 3/60s per account");
	fx_start(&f);
	fx_sample(&f);
	fx_count(&f, 1001, SW_N_DENIED, 3);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
}

/* A row can be seen before its first attempt is written to it. */
static void test_row_before_its_attempt(void **state)
{
	struct sw_uid_stats *s;

	(void)state;
	RULE(SLIDING(DENIED, 3, 60), "denied 3/60s per account");
	fx_start(&f);
	fx_sample(&f);
	s = fx_row(&f, 1001, SW_ROW_UID);
	s->first_ns = 0;
	fx_pass(&f, 1);
	s->first_ns = s->last_ns = f.now.mono_ns;
	s->n[SW_N_DENIED] = 1;
	fx_pass(&f, 1);
	fx_count(&f, 1001, SW_N_DENIED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 1001, SW_N_DENIED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
}

/* A second that is in the period counts, one that is not does not: at most a sixtieth more. */
static void test_sliding(void **state)
{
	static const struct { uint32_t seconds, apart; int want; } rows[] = {
		{ 5, 4, 1 }, { 5, 7, 0 }, { 59, 58, 1 }, { 59, 61, 0 }, { 60, 59, 1 }, { 60, 62, 0 },
		{ 90, 89, 1 }, { 90, 95, 0 }, { 3600, 3599, 1 }, { 3600, 3721, 0 },
		{ 86400, 86399, 1 }, { 86400, 89300, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		RULE(SLIDING(DENIED, 2, rows[i].seconds), "x");
		fx_start(&f);
		fx_sample(&f);
		fx_count(&f, 1001, SW_N_DENIED, 1);
		fx_pass(&f, 1);
		f.now.mono_ns += (rows[i].apart - 1) * NSEC_PER_SEC;
		f.now.wall += rows[i].apart - 1;
		fx_count(&f, 1001, SW_N_DENIED, 1);
		f.now.mono_ns += NSEC_PER_SEC;
		fx_sample(&f);
		assert_int_equal(fx_alerts(&f), rows[i].want);
		fx_stop(&f);
		fx_policy(&f);
	}
	fx_start(&f);
}

/* Low and slow: a window that never has the threshold in it never makes an alert. */
static void test_sliding_slow(void **state)
{
	(void)state;
	RULE(SLIDING(DENIED, 12, 60), "denied 12/60s per account");
	fx_start(&f);
	fx_sample(&f);
	for (int i = 0; i < 200; i++) {
		fx_count(&f, 1001, SW_N_DENIED, 1);
		fx_pass(&f, 6);
	}
	assert_int_equal(fx_alerts(&f), 0);
	for (int i = 0; i < 20; i++) {
		fx_count(&f, 1001, SW_N_DENIED, 1);
		fx_pass(&f, 5);
	}
	assert_int_equal(fx_alerts(&f), 1);
}

/* An account that was idle for long loses nothing of its first second. */
static void test_idle_then_burst(void **state)
{
	(void)state;
	RULE(SLIDING(DENIED, 100, 60), "denied 100/60s per account");
	fx_start(&f);
	for (uint32_t uid = 1000; uid < 1100; uid++)
		fx_count(&f, uid, SW_N_DENIED, 7);
	fx_sample(&f);
	fx_pass(&f, 200);
	fx_count(&f, 1050, SW_N_DENIED, 100);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
	fx_pass(&f, 100);
	assert_int_equal(fx_alerts(&f), 1);
}

/* Hours and days are those of local time, and begin anew at their full hour. */
static void test_calendar(void **state)
{
	(void)state;
	RULE(HOURLY(DENIED, 10), "denied 10/hour per account");
	RULE(DAILY(DENIED, 25), "denied 25/day per account");
	setenv("TZ", "IST-5:30", 1);	/* its hours begin at half past */
	tzset();
	fx_start(&f);
	f.now.wall = NOON + 29 * 60 + 50;
	fx_sample(&f);
	fx_count(&f, 1001, SW_N_DENIED, 9);
	fx_pass(&f, 9);
	assert_int_equal(fx_alerts(&f), 0);
	fx_pass(&f, 2);		/* 12:30:01 UTC is 18:00:01 there */
	fx_count(&f, 1001, SW_N_DENIED, 9);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 1001, SW_N_DENIED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
	assert_non_null(strstr(f.logged[0], "10 denied connects this hour (rule denied 10/hour"));
	fx_count(&f, 1001, SW_N_DENIED, 6);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
	assert_non_null(strstr(f.logged[1], "25 denied connects this day"));
}

/* One alert an hour, however often it is reached; the next hour may have its own. */
static void test_calendar_once(void **state)
{
	(void)state;
	RULE(HOURLY(DENIED, 10), "denied 10/hour per account");
	f.p.alerts.cooldown_s = 60;
	fx_start(&f);
	fx_sample(&f);
	for (int i = 0; i < 3000; i++) {
		fx_count(&f, 1001, SW_N_DENIED, 1);
		fx_pass(&f, 1);
	}
	assert_int_equal(fx_alerts(&f), 1);
	fx_pass(&f, 600);
	fx_count(&f, 1001, SW_N_DENIED, 10);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
}

/* The wall clock may jump: sliding periods do not see it, and an hour begins anew only when the
 * jump leaves it. */
static void test_clock_jumps(void **state)
{
	(void)state;
	RULE(SLIDING(DENIED, 10, 300), "denied 10/5m per account");
	RULE(HOURLY(ALLOWED, 10), "allowed 10/hour per account");
	fx_start(&f);
	fx_sample(&f);
	fx_count(&f, 1001, SW_N_DENIED, 5);
	fx_count(&f, 1001, SW_N_ALLOWED, 5);
	fx_pass(&f, 2);
	f.now.wall -= 1800;	/* back into the hour before */
	fx_count(&f, 1001, SW_N_DENIED, 5);
	fx_count(&f, 1001, SW_N_ALLOWED, 5);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
	f.now.wall += 10 * 86400;
	fx_count(&f, 1002, SW_N_DENIED, 5);
	fx_count(&f, 1002, SW_N_ALLOWED, 9);
	fx_pass(&f, 1);
	f.now.wall += 7200;
	fx_count(&f, 1002, SW_N_DENIED, 5);
	fx_count(&f, 1002, SW_N_ALLOWED, 9);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 3);
	f.now.wall -= 20 * 86400;
	fx_count(&f, 1002, SW_N_ALLOWED, 9);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 3);
	fx_count(&f, 1002, SW_N_ALLOWED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 4);
}

/* A change from summer time: the hour that comes twice is one window. */
static void test_summer_time_ends(void **state)
{
	(void)state;
	RULE(HOURLY(DENIED, 10), "denied 10/hour per account");
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	fx_start(&f);
	f.now.wall = 1792889999;	/* 2026-10-25 02:59:59 CEST */
	fx_sample(&f);
	fx_count(&f, 1001, SW_N_DENIED, 6);
	fx_sample(&f);
	fx_pass(&f, 2);			/* 02:00:01 CET */
	fx_count(&f, 1001, SW_N_DENIED, 4);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
}

/* A change to summer time: the hour that is left out is none, and the next one begins anew. */
static void test_summer_time_begins(void **state)
{
	(void)state;
	RULE(HOURLY(DENIED, 10), "denied 10/hour per account");
	RULE(DAILY(DENIED, 14), "denied 14/day per account");
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	fx_start(&f);
	f.now.wall = 1774745995;	/* 2026-03-29 01:59:55 CET */
	fx_sample(&f);
	fx_count(&f, 1001, SW_N_DENIED, 8);
	fx_pass(&f, 2);
	fx_pass(&f, 5);			/* 03:00:02 CEST */
	fx_count(&f, 1001, SW_N_DENIED, 5);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 1001, SW_N_DENIED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);	/* of the day */
	assert_non_null(strstr(f.logged[0], "14 denied connects this day"));
	fx_count(&f, 1001, SW_N_DENIED, 4);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
}

/* A time zone that is changed: sliding periods do not see it, the hour is that of the new zone, and
 * a clock that seems to go back by less than an hour gives no second quota. */
static void test_change_of_zone(void **state)
{
	(void)state;
	RULE(SLIDING(DENIED, 10, 300), "denied 10/5m per account");
	RULE(HOURLY(ALLOWED, 10), "allowed 10/hour per account");
	fx_start(&f);
	f.now.wall = NOON + 600;
	fx_sample(&f);
	fx_count(&f, 1001, SW_N_DENIED, 5);
	fx_count(&f, 1001, SW_N_ALLOWED, 5);
	fx_pass(&f, 1);
	setenv("TZ", "XST0:30", 1);	/* 11:40 there */
	tzset();
	fx_count(&f, 1001, SW_N_DENIED, 5);
	fx_count(&f, 1001, SW_N_ALLOWED, 5);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
	setenv("TZ", "IST-5:30", 1);	/* 17:40 there: another hour */
	tzset();
	fx_count(&f, 1002, SW_N_ALLOWED, 9);
	fx_count(&f, 1002, SW_N_DENIED, 9);
	fx_pass(&f, 1);
	setenv("TZ", "UTC-9", 1);	/* 21:10 there */
	tzset();
	fx_count(&f, 1002, SW_N_ALLOWED, 9);
	fx_count(&f, 1002, SW_N_DENIED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 3);
	assert_non_null(strstr(f.logged[2], "10 denied connects in the last 5 min"));
}

/* off and apply: new rows begin at nothing, whatever the old ones had. */
static void test_reset(void **state)
{
	struct sw_uid_stats *s;

	(void)state;
	RULE(SLIDING(DENIED, 100, 60), "denied 100/60s per account");
	fx_start(&f);
	fx_count(&f, 1001, SW_N_DENIED, 50);
	fx_count(&f, 1002, SW_N_DENIED, 900);
	fx_count(&f, 1003, SW_N_DENIED, 900);
	fx_sample(&f);
	fx_row(&f, 1003, SW_ROW_UID)->n[SW_N_DENIED] = 5;	/* back by itself: no huge number */
	fx_count(&f, 1003, SW_N_DENIED, 0);
	fx_pass(&f, 10);
	assert_int_equal(fx_alerts(&f), 0);
	f.uids.n = 0;
	fx_pass(&f, 1);
	assert_int_equal(f.a->accounts.n, 0);
	/* Fewer, as many and more than before: each counts as what it is. */
	fx_count(&f, 1002, SW_N_DENIED, 60);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 1002, SW_N_DENIED, 40);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
	/* The same, between two samples. */
	s = fx_row(&f, 1001, SW_ROW_UID);
	s->n[SW_N_DENIED] = 60;
	s->last_ns = f.now.mono_ns;
	fx_pass(&f, 1);
	s->first_ns = s->last_ns = f.now.mono_ns;	/* a new row, which has more than the old one */
	s->n[SW_N_DENIED] = 70;
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
}

/* Rows of no account count for the server only, the canary's for nobody. */
static void test_special_rows(void **state)
{
	(void)state;
	RULE(SLIDING(DENIED, 10, 60), "denied 10/60s per account");
	fx_rule(&f.p, (struct sw_alert_rule){ .metric = SW_METRIC_DENIED, .scope = SW_SCOPE_SERVER,
		.period = SW_PERIOD_SLIDING, .seconds = 60, .threshold = 20 },
		"denied 20/60s per server");
	fx_start(&f);
	fx_sample(&f);
	fx_count(&f, SW_CANARY_UID, SW_N_DENIED, 1000);
	fx_row(&f, 0, SW_ROW_KERNEL)->n[SW_N_DENIED] = 12;
	fx_row(&f, 0, SW_ROW_KERNEL)->last_ns = f.now.mono_ns;
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 0, SW_N_DENIED, 8);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
	assert_string_equal(f.logged[0], "the whole server: 20 denied connects in the last 1 min (rule "
					 "denied 20/60s per server)");
}

/* A sliding rule's own period is a cool-down, and a longer cool-down holds. */
static void test_cooldown(void **state)
{
	static const struct { uint32_t cooldown, seconds, want; } rows[] = {
		{ 0, 60, 10 }, { 60, 60, 10 }, { 120, 60, 5 }, { 600, 60, 1 }, { 60, 300, 2 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		RULE(SLIDING(DENIED, 5, rows[i].seconds), "x");
		f.p.alerts.cooldown_s = rows[i].cooldown;
		fx_start(&f);
		fx_sample(&f);
		for (int t = 0; t < 600; t++) {
			fx_count(&f, 1001, SW_N_DENIED, 5);
			fx_pass(&f, 1);
		}
		assert_int_equal(fx_alerts(&f), rows[i].want);
		/* Another account has its own. */
		fx_count(&f, 1002, SW_N_DENIED, 5);
		fx_pass(&f, 1);
		assert_int_equal(fx_alerts(&f), rows[i].want + 1);
		fx_stop(&f);
		fx_policy(&f);
	}
	fx_start(&f);
}

/* One account's alert does not wait for anything of another. */
static void test_storm(void **state)
{
	struct sw_alerts_state s;

	(void)state;
	RULE(SLIDING(DENIED, 3, 60), "denied 3/60s per account");
	f.p.alerts.mail = fx_list("root");
	f.p.alerts.digest_s = 300;
	fx_start(&f);
	for (uint32_t uid = 0; uid < 10000; uid++) {
		/* By hand: looking each up would take the longest part of the test. */
		struct sw_uid_key key = { .uid = 10000 + uid };
		struct sw_uid_stats row = { .first_ns = 1, .last_ns = 1 };

		fx_grow(&f.uids, &f.uid_room);
		memcpy(f.uids.keys + f.uids.n * sizeof(key), &key, sizeof(key));
		memcpy(f.uids.values + f.uids.n++ * sizeof(row), &row, sizeof(row));
	}
	fx_sample(&f);
	for (size_t i = 0; i < 10000; i++) {
		struct sw_uid_stats *row = (void *)(f.uids.values + i * sizeof(*row));

		row->n[SW_N_DENIED] = 5;
		row->last_ns = f.now.mono_ns;
	}
	fx_pass(&f, 1);
	assert_int_equal(f.n_runs, 1);	/* the first mail goes at once */
	sw_alerts_result(f.a, &f.now, f.run[0].id, 0);
	/* The others follow, although nobody moves any more. */
	fx_pass(&f, 30);
	sw_alerts_state(f.a, &s);
	assert_int_equal(s.alerts, 10000);
	assert_int_equal(s.uncounted, 0);
	assert_true(s.bytes < SW_SUBJECT_BYTES);
	assert_int_equal(s.mail.waiting, SW_QUEUE_MAX);
	assert_int_equal(s.mail.waiting + s.mail.dropped + SW_FIRE_MAX, 10000);
	assert_true(f.n_logged + s.unlogged == 10000);
	assert_int_equal(f.n_runs, 1);
	fx_pass(&f, 300);
	assert_int_equal(f.n_runs, 2);
	sw_alerts_result(f.a, &f.now, f.run[1].id, 0);
	assert_non_null(strstr(f.run[1].payload, "9500 alerts, first: "));
	assert_non_null(strstr(f.run[1].payload, "And 9300 more"));
	fx_pass(&f, 4000);
	assert_int_equal(f.n_runs, 2);
	sw_alerts_state(f.a, &s);
	assert_int_equal(s.subjects, 0);	/* and nothing of it stays */
	assert_int_equal(s.bytes, 0);
}

/* More accounts than there is room for: those that fit are watched, the others are counted. */
static void test_memory(void **state)
{
	struct sw_alerts_state s;

	(void)state;
	for (int i = 0; i < 8; i++) {
		char text[32];

		snprintf(text, sizeof(text), "rule %d", i);
		RULE(SLIDING(DENIED, 1000000, 3600 + i), text);
	}
	fx_start(&f);
	fx_sample(&f);
	for (uint32_t uid = 0; uid < 20000; uid++) {
		struct sw_uid_key key = { .uid = 10000 + uid };
		struct sw_uid_stats row = { .first_ns = 1, .last_ns = f.now.mono_ns,
					    .n[SW_N_DENIED] = 1 };

		fx_grow(&f.uids, &f.uid_room);
		memcpy(f.uids.keys + f.uids.n * sizeof(key), &key, sizeof(key));
		memcpy(f.uids.values + f.uids.n++ * sizeof(row), &row, sizeof(row));
	}
	fx_pass(&f, 1);
	sw_alerts_state(f.a, &s);
	assert_true(s.bytes <= SW_SUBJECT_BYTES && s.bytes > SW_SUBJECT_BYTES / 2);
	assert_int_equal(s.subjects + s.uncounted, 20000);
	f.now.mono_ns += 7200 * NSEC_PER_SEC;
	fx_pass(&f, 2);
	sw_alerts_state(f.a, &s);
	assert_int_equal(s.subjects, 0);
}

/* Per domain: directories of one domain add up, whoever runs in them. */
static void test_domains(void **state)
{
	(void)state;
	fx_rule(&f.p, (struct sw_alert_rule){ .metric = SW_METRIC_DENIED, .scope = SW_SCOPE_DOMAIN,
		.period = SW_PERIOD_SLIDING, .seconds = 60, .threshold = 10 },
		"denied 10/60s per domain");
	fx_start(&f);
	fx_origin(&f, 33, 1, "a.example", SW_N_DENIED, 100, 0, 0);
	fx_sample(&f);
	assert_false(sw_alerts_wants_origins(f.a));
	fx_pass(&f, 1);
	assert_false(sw_alerts_wants_origins(f.a));
	fx_origin(&f, 33, 1, "a.example", SW_N_DENIED, 4, 0, 0);
	fx_origin(&f, 33, 2, "b.example", SW_N_DENIED, 9, 0, 0);
	fx_origin(&f, 34, 3, "", SW_N_DENIED, 50, 0, 0);
	fx_pass(&f, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_origin(&f, 1005, 4, "a.example", SW_N_DENIED, 6, 0, 0);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 1);
	assert_non_null(strstr(f.logged[0], "a.example uid (1005): 10 denied connects"));
	/* off and apply */
	f.uids.n = f.origins.n = 0;
	fx_origin(&f, 33, 2, "b.example", SW_N_DENIED, 1, 0, 0);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 2);
}

/* New destinations: one relay a thousand times is one, many servers are many; what was seen before
 * the first sample is not new. */
static void test_destinations(void **state)
{
	(void)state;
	RULE(SLIDING(DESTINATIONS, 20, 60), "destinations 20/60s per account");
	fx_start(&f);
	fx_origin(&f, 1001, 1, "", SW_N_ALLOWED, 500, 0, 100);
	fx_sample(&f);
	fx_origin(&f, 1001, 1, "", SW_N_ALLOWED, 500, 0, 100);
	fx_origin(&f, 1001, 2, "", SW_N_ALLOWED, 500, 0, 100);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 0);
	fx_origin(&f, 1001, 3, "", SW_N_ALLOWED, 1, 0, 5);	/* a directory that has seen few */
	fx_pass(&f, 2);
	fx_origin(&f, 1001, 1, "", SW_N_ALLOWED, 1, 0, 0);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 0);
	fx_origin(&f, 1001, 2, "", SW_N_ALLOWED, 40, 100, 40);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 1);
	/* A new account. */
	fx_origin(&f, 1002, 5, "", SW_N_ALLOWED, 1000, 7, 1);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 1);
	fx_origin(&f, 1002, 5, "", SW_N_ALLOWED, 30, 0, 30);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 2);
}

/* Times its own average, and silent as long as there are none. */
static void test_factor(void **state)
{
	double n[_SW_N_MAX] = {};

	(void)state;
	RULE(FACTOR(ALLOWED, 5, 20), "allowed 5x min 20 per account");
	fx_start(&f);
	assert_true(sw_alerts_wants_averages(f.a));
	fx_sample(&f);
	fx_count(&f, 1001, SW_N_ALLOWED, 1000);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	sw_alerts_averages_begin(f.a);
	n[SW_N_ALLOWED] = 300;
	assert_int_equal(sw_alerts_average(f.a, 1002, n), 0);
	n[SW_N_ALLOWED] = 10.5;
	assert_int_equal(sw_alerts_average(f.a, 1001, n), 0);
	sw_alerts_averages_end(f.a, true);
	fx_pass(&f, 3700);
	fx_count(&f, 1001, SW_N_ALLOWED, 52);
	fx_count(&f, 1002, SW_N_ALLOWED, 1500);
	fx_count(&f, 1003, SW_N_ALLOWED, 19);	/* no average: the floor holds */
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 1001, SW_N_ALLOWED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
	assert_non_null(strstr(f.logged[0], "(1001): 53 allowed connects in the last hour, usually 10.5"));
	fx_count(&f, 1002, SW_N_ALLOWED, 1);
	fx_count(&f, 1003, SW_N_ALLOWED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 3);
	/* What could not be read changes nothing. */
	sw_alerts_averages_begin(f.a);
	sw_alerts_averages_end(f.a, false);
	assert_int_equal(f.a->n_average, 2);
}

/* The queue: its length, told once while it stays up and again after the cool-down, and growth. */
static void test_queue(void **state)
{
	static const struct { uint64_t value; int want; } rows[] = {
		{ 1990, 0 }, { 2000, 1 }, { 2100, 1 }, { 5, 1 }, { 1999, 1 }, { 2000, 1 }, { 2001, 1 },
	};

	(void)state;
	fx_rule(&f.p, (struct sw_alert_rule){ .metric = SW_METRIC_QUEUE, .scope = SW_SCOPE_SERVER,
		.period = SW_PERIOD_LEVEL, .threshold = 2000 }, "queue 2000 per server");
	fx_rule(&f.p, (struct sw_alert_rule){ .metric = SW_METRIC_QUEUE, .scope = SW_SCOPE_SERVER,
		.period = SW_PERIOD_SLIDING, .seconds = 600, .threshold = 500000 },
		"queue 500000/10m per server");
	fx_start(&f);
	fx_sample(&f);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		sw_alerts_gauge(f.a, &f.now, SW_METRIC_QUEUE, rows[i].value);
		fx_pass(&f, 60);
		assert_int_equal(fx_alerts(&f), rows[i].want);
	}
	assert_string_equal(f.logged[0], "the whole server: 2,000 mails in the queue now (rule queue 2000 "
					 "per server)");
	fx_pass(&f, 3600);
	sw_alerts_gauge(f.a, &f.now, SW_METRIC_QUEUE, 2500);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
	/* It grows by a million, is emptied by half of that, and grows again. */
	sw_alerts_gauge(f.a, &f.now, SW_METRIC_QUEUE, 502000);
	fx_pass(&f, 1);
	sw_alerts_gauge(f.a, &f.now, SW_METRIC_QUEUE, 300000);
	fx_pass(&f, 1);
	sw_alerts_gauge(f.a, &f.now, SW_METRIC_QUEUE, 502000);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
	sw_alerts_gauge(f.a, &f.now, SW_METRIC_QUEUE, 502001);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 3);
	assert_non_null(strstr(f.logged[2], "500,000 more mails in the queue in the last 10 min"));
}

/* Without a cool-down it is told again when it was down in between, and only then. */
static void test_queue_level(void **state)
{
	static const struct { uint64_t value; int want; } rows[] = {
		{ 2000, 1 }, { 2100, 1 }, { 1999, 1 }, { 2000, 2 }, { 2000, 2 },
	};

	(void)state;
	fx_rule(&f.p, (struct sw_alert_rule){ .metric = SW_METRIC_QUEUE, .scope = SW_SCOPE_SERVER,
		.period = SW_PERIOD_LEVEL, .threshold = 2000 }, "queue 2000 per server");
	f.p.alerts.cooldown_s = 0;
	fx_start(&f);
	fx_sample(&f);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		sw_alerts_gauge(f.a, &f.now, SW_METRIC_QUEUE, rows[i].value);
		fx_pass(&f, 1);
		assert_int_equal(fx_alerts(&f), rows[i].want);
	}
}

/* A new configuration: rules that stay keep what they counted and their cool-downs. */
static void test_set_policy(void **state)
{
	struct fixture other = {};

	(void)state;
	RULE(SLIDING(DENIED, 10, 60), "denied 10/60s per account");
	RULE(SLIDING(ALLOWED, 10, 60), "allowed 10/60s per account");
	fx_start(&f);
	fx_sample(&f);
	fx_count(&f, 1001, SW_N_DENIED, 10);
	fx_count(&f, 1002, SW_N_DENIED, 5);
	fx_count(&f, 1002, SW_N_ALLOWED, 5);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
	fx_policy(&other);
	fx_rule(&other.p, HOURLY(DENIED, 100), "denied 100/hour per account");
	fx_rule(&other.p, SLIDING(LOCAL, 10, 60), "local 10/60s per account");
	fx_rule(&other.p, SLIDING(DENIED, 10, 60), "denied 10/60s per account");
	assert_int_equal(sw_alerts_set_policy(f.a, &other.p, NULL), 0);
	fx_free_policy(&other.p);
	fx_pass(&f, 1);
	fx_count(&f, 1001, SW_N_DENIED, 50);
	fx_count(&f, 1002, SW_N_DENIED, 5);
	fx_count(&f, 1002, SW_N_ALLOWED, 50);
	fx_count(&f, 1003, SW_N_LOCAL, 10);
	fx_count(&f, 1002, SW_N_LOCAL, 9);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 3);
	assert_non_null(strstr(f.logged[1], "(1002): 10 denied connects in the last 1 min"));
	assert_non_null(strstr(f.logged[2], "(1003): 10 connects to the local mail server"));
	fx_count(&f, 1002, SW_N_LOCAL, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 4);
	assert_int_equal(f.a->bytes > 0, true);
}

/* Tables of another layout are not read. */
static void test_layout(void **state)
{
	(void)state;
	RULE(SLIDING(DENIED, 10, 60), "denied 10/60s per account");
	fx_start(&f);
	fx_count(&f, 1001, SW_N_DENIED, 10);
	f.uids.value_size += 8;
	f.uids.n = 0;
	assert_int_equal(sw_alerts_sample(f.a, &f.now, &f.uids, NULL), -EINVAL);
	assert_int_equal(sw_alerts_sample(f.a, &f.now, NULL, NULL), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_threshold), TEST(test_new_account), TEST(test_row_before_its_attempt),
		TEST(test_sliding), TEST(test_sliding_slow), TEST(test_idle_then_burst),
		TEST(test_calendar), TEST(test_calendar_once), TEST(test_clock_jumps),
		TEST(test_summer_time_ends), TEST(test_summer_time_begins),
		TEST(test_change_of_zone), TEST(test_reset), TEST(test_special_rows),
		TEST(test_cooldown), TEST(test_storm), TEST(test_memory), TEST(test_domains),
		TEST(test_destinations), TEST(test_factor), TEST(test_queue), TEST(test_queue_level), TEST(test_set_policy),
		TEST(test_layout),
	};

	return cmocka_run_group_tests_name("alert", tests, NULL, NULL);
}
