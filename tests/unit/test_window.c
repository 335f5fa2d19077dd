/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The window of a limit: as many as it says, in every order in which CPUs may come to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "util.h"
#include "window.bpf.h"

#define H	(24 * 20000u + 12)	/* some noon */
#define MANY	SW_UNLIMITED

static unsigned int pass(struct sw_usage *u, uint32_t per_hour, uint32_t per_day, uint32_t hour)
{
	unsigned int n = 0;

	while (n < 100 && sw_window_take(u, per_hour, per_day, hour))
		n++;
	return n;
}

static void hours_and_days(void **state)
{
	struct sw_usage u = {};

	(void)state;
	assert_int_equal(pass(&u, 5, 12, H), 5);
	assert_int_equal(pass(&u, 5, 12, H), 0);
	assert_int_equal(pass(&u, 5, 12, H + 1), 5);
	assert_int_equal(pass(&u, 5, 12, H + 3), 2);
	assert_int_equal(pass(&u, 5, 12, H + 12), 5);	/* the next day */
	assert_int_equal(pass(&u, 0, MANY, H + 13), 0);
	assert_int_equal(pass(&u, MANY, 0, H + 13), 0);
	assert_int_equal(pass(&u, MANY, MANY, H + 13), 100);
}

/* A late CPU, or a clock that is set back: one hour is no other window, more is. */
static void backwards(void **state)
{
	struct sw_usage u = {};

	(void)state;
	assert_int_equal(pass(&u, 5, 12, H), 5);
	assert_int_equal(pass(&u, 5, 12, H - 1), 0);
	assert_int_equal(u.hour, H);
	assert_int_equal(pass(&u, 5, 12, H - 2), 5);
	assert_int_equal(u.hour, H - 2);
	assert_int_equal(pass(&u, 5, 12, H), 2);	/* it is the same day */
	u = (struct sw_usage){};
	assert_int_equal(pass(&u, 5, 5, H + 12), 5);
	assert_int_equal(pass(&u, 5, 5, H + 11), 0);	/* also over midnight */
	assert_int_equal(pass(&u, 5, 5, H - 12), 5);	/* by a day: anew */
	assert_int_equal(pass(&u, 5, 5, H + 12), 5);
}

static void given_back(void **state)
{
	static const uint32_t clock[] = { H, H - 1 };	/* the second lies behind the window */
	struct sw_usage u = {};

	(void)state;
	assert_int_equal(pass(&u, 5, 12, H), 5);
	for (size_t i = 0; i < ARRAY_SIZE(clock); i++) {
		uint32_t counted = sw_window_take(&u, 6, 12, clock[i]);

		assert_int_equal(u.hour_used, 6);
		sw_window_give_back(&u, counted);
		assert_int_equal(u.hour_used, 5);
		assert_int_equal(u.day_used, 5);
	}
}

/* The window turns while somebody has one in his hands: it is not taken out of the next. */
static void given_back_too_late(void **state)
{
	struct sw_usage u = {};
	uint32_t counted = sw_window_take(&u, 5, 20, H);

	(void)state;
	assert_int_equal(pass(&u, 5, 20, H + 1), 5);
	sw_window_give_back(&u, counted);
	assert_int_equal(pass(&u, 5, 20, H + 1), 0);
	assert_int_equal(u.day_used, 5);	/* the day is the same, and it had counted */

	u = (struct sw_usage){};
	counted = sw_window_take(&u, 5, 5, H + 11);
	assert_int_equal(pass(&u, 5, 5, H + 12), 5);
	sw_window_give_back(&u, counted);
	assert_int_equal(pass(&u, 5, 5, H + 12), 0);
	assert_int_equal(u.day_used, 5);
	sw_window_give_back(&u, 0);		/* nothing was taken */
	assert_int_equal(u.hour_used, 5);
	assert_int_equal(u.day_used, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hours_and_days),
		cmocka_unit_test(backwards),
		cmocka_unit_test(given_back),
		cmocka_unit_test(given_back_too_late),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
