/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alerts over a restart: what the hour and the day had counted before, and what was told before. */
#include "alert_util.h"

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

static void seed(enum sw_alert_period period, enum sw_alert_scope scope, uint32_t uid,
		 const char *domain, uint64_t denied)
{
	const uint64_t n[_SW_N_MAX] = { [SW_N_DENIED] = denied };
	const struct sw_alerts_seed s = { .period = period, .scope = scope, .is_uid = true, .uid = uid,
					  .domain = domain, .n = n };

	sw_alerts_seed(f.a, &s);
}

/* Half before and half after. */
static void test_halves(void **state)
{
	(void)state;
	RULE(HOURLY(DENIED, 10), "denied 10/hour per account");
	RULE(DAILY(DENIED, 30), "denied 30/day per account");
	RULE(SLIDING(DENIED, 8, 600), "denied 8/10m per account");
	fx_start(&f);
	fx_sample(&f);
	seed(SW_PERIOD_HOUR, SW_SCOPE_ACCOUNT, 1001, NULL, 3);
	seed(SW_PERIOD_HOUR, SW_SCOPE_ACCOUNT, 1001, NULL, 2);
	seed(SW_PERIOD_DAY, SW_SCOPE_ACCOUNT, 1001, NULL, 24);
	seed(SW_PERIOD_HOUR, SW_SCOPE_ACCOUNT, 1002, NULL, 9);
	sw_alerts_seeded(f.a);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 1001, SW_N_DENIED, 4);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 1001, SW_N_DENIED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
	assert_non_null(strstr(f.logged[0], "10 denied connects this hour"));
	fx_count(&f, 1001, SW_N_DENIED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
	assert_non_null(strstr(f.logged[1], "30 denied connects this day"));
	f.now.wall += 3600;	/* what was before belongs to its hour */
	fx_count(&f, 1002, SW_N_DENIED, 5);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
}

/* Reached while nobody looked: told, once, and with the whole count. */
static void test_reached_meanwhile(void **state)
{
	(void)state;
	RULE(HOURLY(DENIED, 10), "denied 10/hour per account");
	fx_start(&f);
	fx_sample(&f);
	for (int i = 0; i < 5; i++)
		seed(SW_PERIOD_HOUR, SW_SCOPE_ACCOUNT, 1001, NULL, 8);
	sw_alerts_seeded(f.a);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
	assert_non_null(strstr(f.logged[0], "40 denied connects this hour"));
	fx_count(&f, 1001, SW_N_DENIED, 1);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 1);
}

/* Domains and the server have theirs; what is no account's is the server's alone. */
static void test_scopes(void **state)
{
	struct sw_alert_rule domain = HOURLY(DENIED, 10), server = HOURLY(DENIED, 100);
	const uint64_t kernel[_SW_N_MAX] = { [SW_N_DENIED] = 50 };
	const struct sw_alerts_seed no_account = { .period = SW_PERIOD_HOUR,
						   .scope = SW_SCOPE_ACCOUNT, .n = kernel };

	(void)state;
	domain.scope = SW_SCOPE_DOMAIN;
	server.scope = SW_SCOPE_SERVER;
	RULE(domain, "denied 10/hour per domain");
	RULE(server, "denied 100/hour per server");
	RULE(HOURLY(DENIED, 45), "denied 45/hour per account");
	fx_start(&f);
	fx_sample(&f);
	seed(SW_PERIOD_HOUR, SW_SCOPE_DOMAIN, 1001, "shop.example", 9);
	seed(SW_PERIOD_HOUR, SW_SCOPE_ACCOUNT, 1001, NULL, 40);
	sw_alerts_seed(f.a, &no_account);
	sw_alerts_seeded(f.a);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 0);
	fx_origin(&f, 1001, 5, "shop.example", SW_N_DENIED, 1, 0, 0);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 1);
	assert_non_null(strstr(f.logged[0], "shop.example"));
	fx_count(&f, 1002, SW_N_DENIED, 9);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
	assert_non_null(strstr(f.logged[1], "100/hour per server"));
}

/* Where hour and day began, whatever the time zone makes of them. */
static void test_since(void **state)
{
	static const struct { const char *zone; time_t now, hour, day; } rows[] = {
		{ "UTC", NOON + 1830, NOON, NOON - 12 * 3600 },
		{ "IST-5:30", NOON + 1830, NOON + 1800, NOON - 63000 },
		/* 2026-10-25, 02:30 CET: the hour from 02:00 CEST on, the day from 00:00 CEST on. */
		{ "CET-1CEST,M3.5.0,M10.5.0/3", 1792891800, 1792886400, 1792879200 },
		/* 2026-03-29, 03:30 CEST, an hour after 01:30 CET: the day from 00:00 CET on. */
		{ "CET-1CEST,M3.5.0,M10.5.0/3", 1774747800, 1774746000, 1774738800 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		setenv("TZ", rows[i].zone, 1);
		tzset();
		RULE(SLIDING(DENIED, 10, 60), "x");
		fx_start(&f);
		f.now.wall = rows[i].now;
		fx_sample(&f);
		assert_int_equal(sw_alerts_seed_since(f.a, SW_PERIOD_HOUR), 0);
		assert_int_equal(sw_alerts_seed_since(f.a, SW_PERIOD_SLIDING), 0);
		fx_stop(&f);
		fx_policy(&f);
		RULE(HOURLY(DENIED, 10), "h");
		RULE(DAILY(DENIED, 10), "d");
		fx_start(&f);
		f.now.wall = rows[i].now;
		fx_sample(&f);
		assert_int_equal(sw_alerts_seed_since(f.a, SW_PERIOD_HOUR), rows[i].hour);
		assert_int_equal(sw_alerts_seed_since(f.a, SW_PERIOD_DAY), rows[i].day);
		fx_stop(&f);
		fx_policy(&f);
	}
	fx_start(&f);
}

static void fill_rules(void)
{
	struct sw_alert_rule domain = SLIDING(DENIED, 10, 600);

	domain.scope = SW_SCOPE_DOMAIN;
	RULE(HOURLY(DENIED, 10), "denied 10/hour per account");
	RULE(SLIDING(DENIED, 10, 60), "denied 10/60s per account");
	RULE(domain, "denied 10/10m per domain");
	f.p.alerts.cooldown_s = 900;
}

/* Another process, later by so many seconds, that knows what this one has told. */
static void restart(unsigned int later, long clock)
{
	struct sw_alert_clock now = f.now;
	_cleanup_free_ char *text = sw_alerts_remember(f.a);

	assert_non_null(text);
	fx_stop(&f);
	fx_policy(&f);
	fill_rules();
	fx_start(&f);
	f.now.wall = now.wall + later + clock;
	f.now.mono_ns = now.mono_ns / 2 + later * NSEC_PER_SEC;	/* of another boot, perhaps */
	fx_sample(&f);
	assert_int_equal(sw_alerts_recall(f.a, text), 0);
}

static void test_told(void **state)
{
	(void)state;
	fill_rules();
	fx_start(&f);
	fx_sample(&f);
	fx_origin(&f, 1001, 5, "shop \"x\".example", SW_N_DENIED, 10, 0, 0);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 3);
	restart(60, 0);
	seed(SW_PERIOD_HOUR, SW_SCOPE_ACCOUNT, 1001, NULL, 10);
	sw_alerts_seeded(f.a);
	fx_origin(&f, 1001, 5, "shop \"x\".example", SW_N_DENIED, 100, 0, 0);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 0);
	fx_count(&f, 1002, SW_N_DENIED, 10);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);	/* others are none of it */
	f.now.wall += 900;
	f.now.mono_ns += 900 * NSEC_PER_SEC;
	fx_origin(&f, 1001, 5, "shop \"x\".example", SW_N_DENIED, 100, 0, 0);
	fx_pass(&f, 2);
	assert_int_equal(fx_alerts(&f), 4);	/* of the sliding ones; the hour was told */
}

/* A clock that went wrong in between holds nothing back for long. */
static void test_told_before_a_jump(void **state)
{
	(void)state;
	fill_rules();
	fx_start(&f);
	fx_sample(&f);
	fx_count(&f, 1001, SW_N_DENIED, 10);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
	restart(0, -30 * 86400);
	fx_pass(&f, 901);
	fx_count(&f, 1001, SW_N_DENIED, 10);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
}

static void test_nonsense(void **state)
{
	static const char *const rows[] = {
		"", "x", "{}", "null", "[", "[1, null, \"x\", {}, [[]]]",
		"[{\"rule\": 7}, {\"rule\": \"denied 10/10m per domain\", \"until\": 99999999999}]",
		"[{\"rule\": \"denied 10/hour per account\", \"uid\": -5, \"fired\": \"x\", \"until\": -1}]",
	};

	(void)state;
	fill_rules();
	fx_start(&f);
	fx_sample(&f);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(sw_alerts_recall(f.a, rows[i]), i < 5 ? -EBADMSG : 0);
	fx_count(&f, 1001, SW_N_DENIED, 10);
	fx_pass(&f, 1);
	assert_int_equal(fx_alerts(&f), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_halves), TEST(test_reached_meanwhile), TEST(test_scopes), TEST(test_since),
		TEST(test_told), TEST(test_told_before_a_jump), TEST(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
