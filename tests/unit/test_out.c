/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Escaping, formats and times. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "out.h"
#include "util.h"

static void test_escape(void **state)
{
	static const struct { const char *in, *utf8, *ascii; } rows[] = {
		{ "", "", "" },
		{ "/home/a b/~", "/home/a b/~", "/home/a b/~" },
		{ "\033[31m", "\\x1b[31m", "\\x1b[31m" },
		{ "a\tb\nc\rd\x7f", "a\\x09b\\x0ac\\x0dd\\x7f", "a\\x09b\\x0ac\\x0dd\\x7f" },
		{ "\\x1b", "\\x5cx1b", "\\x5cx1b" },	/* no text looks like an escape */
		{ "caf\xc3\xa9", "caf\xc3\xa9", "caf\\xc3\\xa9" },
		{ "\xf0\x9f\x93\xa7", "\xf0\x9f\x93\xa7", "\\xf0\\x9f\\x93\\xa7" },
		{ "\xc2\x9b" "31m", "\\xc2\\x9b31m", "\\xc2\\x9b31m" },	/* C1: CSI */
		{ "\x9b" "31m", "\\x9b31m", "\\x9b31m" },
		{ "\xc2\xa0", "\xc2\xa0", "\\xc2\\xa0" },	/* first after C1 */
		{ "a\xe2\x80\xaephp.", "a\\xe2\\x80\\xaephp.", "a\\xe2\\x80\\xaephp." },
		{ "\xff", "\\xff", "\\xff" },
		{ "\xc3", "\\xc3", "\\xc3" },			/* cut short */
		{ "\xe2\x82" "A", "\\xe2\\x82A", "\\xe2\\x82A" },
		{ "\xc0\xaf", "\\xc0\\xaf", "\\xc0\\xaf" },	/* overlong / */
		{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf", "\\xe0\\x80\\xaf" },
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80", "\\xed\\xa0\\x80" },	/* surrogate */
		{ "\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80", "\\xf4\\x90\\x80\\x80" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *utf8 = sw_escape(rows[i].in, true);
		_cleanup_free_ char *ascii = sw_escape(rows[i].in, false);

		assert_string_equal(utf8, rows[i].utf8);
		assert_string_equal(ascii, rows[i].ascii);
	}
}

static void test_json_text(void **state)
{
	static const struct { const char *in, *printed; } rows[] = {
		{ "/a/b", "\"/a/b\"\n" },
		{ "\033[31m\n", "\"\\u001b[31m\\n\"\n" },
		{ "\x7f", "\"\\u007f\"\n" },
		{ "\xc2\x9b", "\"\\u009b\"\n" },
		{ "\xe2\x80\xae", "\"\\u202e\"\n" },
		{ "caf\xc3\xa9", "\"caf\xc3\xa9\"\n" },
		{ "\xff\"", "\"\\\\xff\\\"\"\n" },
		{ "a\\b", "\"a\\\\b\"\n" },
	};
	char printed[64];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct json_object *o = sw_json_text(rows[i].in), *again;
		FILE *f = fmemopen(printed, sizeof(printed), "w");

		assert_int_equal(sw_json_print(f, o), 0);
		fclose(f);
		assert_string_equal(printed, rows[i].printed);
		again = json_tokener_parse(printed);
		assert_string_equal(json_object_get_string(again), json_object_get_string(o));
		json_object_put(o);
		json_object_put(again);
	}
	assert_null(sw_json_text(NULL));
}

static void test_rows(void **state)
{
	static const char *const cells[] = {
		"plain", NULL, "a,b", "say \"x\"", "=1+1", "+1", "-1", "@x", "a=b", "tab\there", "",
	};
	char text[256];
	FILE *f = fmemopen(text, sizeof(text), "w");

	(void)state;
	assert_int_equal(sw_csv_row(f, cells, ARRAY_SIZE(cells)), 0);
	fclose(f);
	assert_string_equal(text, "plain,,\"a,b\",\"say \"\"x\"\"\",\"=1+1\",\"+1\",\"-1\",\"@x\","
			    "a=b,tab\\x09here,\r\n");
	f = fmemopen(text, sizeof(text), "w");
	assert_int_equal(sw_tsv_row(f, cells, ARRAY_SIZE(cells)), 0);
	fclose(f);
	assert_string_equal(text, "plain\t\ta,b\tsay \"x\"\t=1+1\t+1\t-1\t@x\ta=b\ttab\\x09here\t\n");
}

static void test_table(void **state)
{
	static const struct sw_column cols[] = {
		{ .title = "USER" },
		{ .title = "N", .right = true, .loud = true },
		{ .title = "ZERO", .right = true, .hide_empty = true },
		{ .title = "MAYBE", .drop = 1 },
		{ .title = "FIRST", .drop = 2 },
		{ .title = "PATH", .min = 8 },
		{ .title = "TEXT", .min = 8 },
	};
	static const char *const cells[] = {
		"al", "1,234", "0", "m", "f", "/home/alice/html", "php-fpm: pool x",
	};
	static const char *const second[] = {
		"bob", "0", "0", "", "\xe6\x97\xa5", "/a\033", "tex\033\033",
	};
	static const struct { struct sw_screen screen; const char *want; } rows[] = {
		{ { .width = 0, .utf8 = true },
		  "USER      N  MAYBE  FIRST  PATH              TEXT\n"
		  "al    1,234  m      f      /home/alice/html  php-fpm: pool x\n"
		  "bob       0         \xe6\x97\xa5     /a\\x1b            tex\\x1b\\x1b\n" },
		{ { .width = 57, .utf8 = true },	/* cut first */
		  "USER      N  MAYBE  FIRST  PATH            TEXT\n"
		  "al    1,234  m      f      .../alice/html  php-fpm: po...\n"
		  "bob       0         \xe6\x97\xa5     /a\\x1b          tex\\x1b\\x1b\n" },
		{ { .width = 40, .utf8 = true },	/* then the highest number is left out */
		  "USER      N  MAYBE  PATH       TEXT\n"
		  "al    1,234  m      ...e/html  php-fp...\n"
		  "bob       0         /a\\x1b     tex...\n" },
		{ { .width = 10, .color = true, .utf8 = true },	/* as narrow as it gets */
		  "\033[1mUSER\033[0m      \033[1mN\033[0m  \033[1mPATH\033[0m      \033[1mTEXT\033[0m\n"
		  "al    \033[31m1,234\033[0m  .../html  php-f...\n"
		  "bob       0  /a\\x1b    tex...\n" },
	};
	char text[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_table t = { .columns = cols, .n_columns = ARRAY_SIZE(cols),
				      .screen = rows[i].screen };
		FILE *f = fmemopen(text, sizeof(text), "w");

		assert_int_equal(sw_table_add(&t, cells), 0);
		assert_int_equal(sw_table_add(&t, second), 0);
		sw_table_print(f, &t);
		fclose(f);
		sw_table_free(&t);
		assert_string_equal(text, rows[i].want);
	}
}

static void test_numbers(void **state)
{
	static const struct { uint64_t n; const char *want; } rows[] = {
		{ 0, "0" }, { 999, "999" }, { 1000, "1,000" }, { 123456, "123,456" },
		{ 1234567, "1,234,567" }, { UINT64_MAX, "18,446,744,073,709,551,615" },
	};
	char buf[SW_NUMBER_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(sw_number(rows[i].n, buf), rows[i].want);
}

static void set_zone(const char *tz)
{
	setenv("TZ", tz, 1);
	tzset();
}

static void test_time_format(void **state)
{
	static const struct { const char *tz; time_t t; const char *want; } rows[] = {
		{ "UTC0", 1735689600, "2025-01-01T00:00:00Z" },
		{ "CET-1CEST,M3.5.0,M10.5.0/3", 1735689600, "2025-01-01T01:00:00+01:00" },
		{ "CET-1CEST,M3.5.0,M10.5.0/3", 1751320800, "2025-07-01T00:00:00+02:00" },
		{ "NST3:30", 1735689600, "2024-12-31T20:30:00-03:30" },
	};
	static const struct { time_t ago; const char *want; } ages[] = {
		{ 0, "0s ago" }, { -5, "0s ago" }, { 119, "119s ago" }, { 120, "2m ago" },
		{ 7199, "119m ago" }, { 7200, "2h ago" }, { 2 * 86400, "2d ago" },
	};
	char buf[SW_TIME_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		set_zone(rows[i].tz);
		assert_string_equal(sw_time_format(rows[i].t, buf), rows[i].want);
	}
	for (size_t i = 0; i < ARRAY_SIZE(ages); i++)
		assert_string_equal(sw_time_ago(1000000 - ages[i].ago, 1000000, buf), ages[i].want);
}

static void test_time_parse(void **state)
{
	static const struct { const char *in; int want; time_t t; } rows[] = {
		{ "2025-01-01T00:00:00Z",	0, 1735689600 },
		{ "2025-01-01t00:00:00z",	0, 1735689600 },
		{ "2025-01-01 00:00:00.250Z",	0, 1735689600 },
		{ "2025-01-01T01:30:00+01:30",	0, 1735689600 },
		{ "2024-12-31T20:30:00-03:30",	0, 1735689600 },
		{ "2025-01-01T01:00:00",	0, 1735689600 },	/* local: CET */
		{ "2025-07-01",			0, 1751320800 },	/* CEST */
		{ "2024-02-29",			0, 1709161200 },
		{ "today",			0, 1735686000 },	/* of 12:00 CET */
		{ "90s",			0, 1735729200 - 90 },
		{ "30m",			0, 1735729200 - 1800 },
		{ "1h",				0, 1735729200 - 3600 },
		{ "2d",				0, 1735729200 - 172800 },
		{ "1w",				0, 1735729200 - 604800 },
		{ "99999d",			-ERANGE, 0 },
		{ "99999999999999999999s",	-ERANGE, 0 },
		{ "1969-12-31T00:00:00Z",	-ERANGE, 0 },
		{ "", -EINVAL, 0 },		{ "yesterday", -EINVAL, 0 },
		{ "1", -EINVAL, 0 },		{ "h", -EINVAL, 0 },
		{ "-1h", -EINVAL, 0 },		{ "1hour", -EINVAL, 0 },
		{ "2025-02-29", -EINVAL, 0 },	{ "2025-13-01", -EINVAL, 0 },
		{ "2025-04-31", -EINVAL, 0 },	{ "2025-01-00", -EINVAL, 0 },
		{ "2025-00-01", -EINVAL, 0 },	{ "2025-1-1", -EINVAL, 0 },
		{ "2025-01-01T", -EINVAL, 0 },	{ "2025-01-01T10:00", -EINVAL, 0 },
		{ "2025-01-01Z", -EINVAL, 0 },	{ "2025-01-01+01:00", -EINVAL, 0 },
		{ "2025-01-01T24:00:00Z", -EINVAL, 0 },
		{ "2025-01-01T10:60:00Z", -EINVAL, 0 },
		{ "2025-01-01T10:00:60Z", -EINVAL, 0 },
		{ "2025-01-01T10:00:00ZZ", -EINVAL, 0 },
		{ "2025-01-01T10:00:00.Z", -EINVAL, 0 },
		{ "2025-01-01T10:00:00+1", -EINVAL, 0 },
		{ "2025-01-01T10:00:00+25:00", -EINVAL, 0 },
		{ "2025-01-01T10:00:00+01:00x", -EINVAL, 0 },
	};

	(void)state;
	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		time_t t = 77;
		int r = sw_time_parse(rows[i].in, 1735729200, &t);

		if (r != rows[i].want || t != (r ? 77 : rows[i].t))
			fail_msg("'%s': %d, %lld", rows[i].in, r, (long long)t);
	}
}

static void test_flush(void **state)
{
	FILE *full = fopen("/dev/full", "we");

	(void)state;
	assert_non_null(full);
	fputs("text", full);
	assert_int_equal(sw_out_flush(full), -ENOSPC);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_json_text),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_time_format),
		cmocka_unit_test(test_time_parse),
		cmocka_unit_test(test_flush),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
