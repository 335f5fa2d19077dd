/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Escaping, formats and times, and the report made of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <cmocka.h>

#include "out.h"
#include "stats.h"
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

/* 1: worst. 2: busy, never denied. 3: would be denied, latest. Then a kernel thread. */
static struct sw_stat accounts[] = {
	{ .uid = 4100000001U, .n = { 1, 5, 0, 0, 0, 2 }, .first = 1000000, .last = 2000000,
	  .last_ns = 1, .last_destination = "[2001:db8::1]:25", .destinations = 1411,
	  .destinations_full = true, .directory = "/x\033", .script = "m.php" },
	{ .uid = 4100000002U, .n = { 90 }, .first = 1000001, .last = 2000001, .last_ns = 2 },
	{ .uid = 4100000003U, .n = { 0, 0, 3 }, .first = 1000002, .last = 2000003, .last_ns = 4 },
	{ .row = SW_ROW_KERNEL, .n = { 0, 4 }, .first = 1000003, .last = 2000002, .last_ns = 3 },
};
static struct sw_stat origins[] = {
	{ .uid = 4100000007U, .row = SW_ROW_MORE, .n = { 0, 1 }, .directory = "(more directories)" },
};

/* What the report prints to standard output, malloc'd. */
static char *report(const struct sw_report *f, enum sw_format format, size_t n_accounts)
{
	const struct sw_stats s = { .accounts = accounts, .n_accounts = n_accounts,
				    .origins = origins, .n_origins = ARRAY_SIZE(origins),
				    .counters = { [SW_CTR_EVENTS_LOST] = 3 }, .now = 2000060 };
	int saved = dup(STDOUT_FILENO), fd = memfd_create("out", 0);
	char *text = calloc(1, 65536);

	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	assert_int_equal(sw_report_print(f, format, false, &s), 0);
	dup2(saved, STDOUT_FILENO);
	assert_true(pread(fd, text, 65535, 0) >= 0);
	close(saved);
	close(fd);
	return text;
}

/* The order of rows is read from their first word: UID, or - of the kernel. */
static void test_choose(void **state)
{
	static const struct { struct sw_report f; const char *want; } rows[] = {
		{ { .sort = SW_SORT_DENIED }, "1-3" },
		{ { .sort = SW_SORT_DENIED, .all = true }, "1-32" },
		{ { .sort = SW_SORT_DENIED, .top = 1 }, "1" },
		{ { .sort = SW_SORT_ATTEMPTS, .all = true }, "21-3" },
		{ { .sort = SW_SORT_LAST }, "3-1" },
		{ { .sort = SW_SORT_UID, .all = true }, "123-" },
		{ { .sort = SW_SORT_UID, .all = true, .is_since = true, .since = 2000002 }, "3-" },
		{ { .sort = SW_SORT_UID, .all = true, .is_until = true, .until = 2000001 }, "12" },
		{ { .sort = SW_SORT_UID, .by_directory = true }, "7" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = report(&rows[i].f, SW_FORMAT_TSV, ARRAY_SIZE(accounts));
		char got[8] = "", *line = text, *p = got;

		for (; *line; line = strchr(line, '\n') + 1)
			*p++ = *line == '\t' ? '-' : line[strcspn(line, "\t") - 1];
		assert_string_equal(got, rows[i].want);
	}
}

static void test_report_machine(void **state)
{
	const struct sw_report f = { .sort = SW_SORT_DENIED, .top = 2 };
	_cleanup_free_ char *tsv = report(&f, SW_FORMAT_TSV, 4), *csv = report(&f, SW_FORMAT_CSV, 4);

	(void)state;
	set_zone("UTC0");
	free(tsv);
	tsv = report(&f, SW_FORMAT_TSV, 4);
	assert_string_equal(tsv,
		"4100000001\t\t\t0\tnone\t/x\\x1b\tm.php\t8\t1\t5\t0\t0\t0\t2\t0\t1411\t0\t0\t0\t"
		"1970-01-12T13:46:40Z\t1970-01-24T03:33:20Z\t[2001:db8::1]:25\taccount\t\t\n"
		"\t(kernel)\t\t0\tnone\t\t\t4\t0\t4\t0\t0\t0\t0\t0\t0\t0\t0\t0\t"
		"1970-01-12T13:46:43Z\t1970-01-24T03:33:22Z\t\tkernel\t\t\n");
	assert_int_equal(strncmp(csv, "uid,user,domain,domains,source,directory,script,attempts,"
		"allowed,denied,would_deny,limited,redirected,local,sendmail,destinations,"
		"bytes_sent,established,failed,first_seen,last_seen,last_destination,row,"
		"container,cgroup\r\n"
		"4100000001,,,0,none,/x\\x1b,m.php,8,1,5,", 240), 0);
}

static void test_report_json(void **state)
{
	const struct sw_report f = { .sort = SW_SORT_DENIED, .top = 2 };
	_cleanup_free_ char *text = NULL;

	(void)state;
	set_zone("UTC0");
	text = report(&f, SW_FORMAT_JSON, 4);
	assert_string_equal(text,
		"{\"since\":\"1970-01-12T13:46:40Z\",\"until\":\"1970-01-24T03:34:20Z\",\"live\":true,"
		"\"events_lost\":3,\"rows\":[{\"uid\":4100000001,\"user\":null,\"domain\":null,"
		"\"domains\":0,\"source\":\"none\",\"directory\":\"/x\\u001b\",\"script\":\"m.php\","
		"\"attempts\":8,\"allowed\":1,\"denied\":5,\"would_deny\":0,\"limited\":0,"
		"\"redirected\":0,\"local\":2,\"sendmail\":0,\"destinations\":1411,\"bytes_sent\":0,"
		"\"established\":0,\"failed\":0,\"first_seen\":\"1970-01-12T13:46:40Z\","
		"\"last_seen\":\"1970-01-24T03:33:20Z\",\"last_destination\":\"[2001:db8::1]:25\","
		"\"row\":\"account\",\"container\":null,\"cgroup\":null},{\"uid\":null,\"user\":\"(kernel)\",\"domain\":null,"
		"\"domains\":0,\"source\":\"none\",\"directory\":null,\"script\":null,\"attempts\":4,"
		"\"allowed\":0,\"denied\":4,\"would_deny\":0,\"limited\":0,\"redirected\":0,"
		"\"local\":0,\"sendmail\":0,\"destinations\":0,\"bytes_sent\":0,\"established\":0,"
		"\"failed\":0,\"first_seen\":\"1970-01-12T13:46:43Z\","
		"\"last_seen\":\"1970-01-24T03:33:22Z\",\"last_destination\":null,"
		"\"row\":\"kernel\",\"container\":null,\"cgroup\":null}]}\n");
}

static void test_report_table(void **state)
{
	const struct sw_report f = { .sort = SW_SORT_DENIED, .top = 1 };
	const struct sw_report later = { .sort = SW_SORT_DENIED, .is_since = true, .since = 3000000 };
	_cleanup_free_ char *text = NULL, *none = NULL, *one = NULL;

	(void)state;
	setenv("COLUMNS", "200", 1);
	setenv("LC_ALL", "C", 1);
	text = report(&f, SW_FORMAT_TABLE, 4);
	assert_string_equal(text,
		"USER         UID  DENIED  ALLOWED  LOCAL   DESTS  LAST SEEN  LAST DESTINATION  "
		"DIRECTORY  SCRIPT\n"
		"-     4100000001       5        1      2  >1,411    60s ago  [2001:db8::1]:25  "
		"/x\\x1b     m.php\n");
	none = report(&later, SW_FORMAT_TABLE, 4);
	assert_string_equal(none, "no offenders: no SMTP connect was seen in this period\n");
	free(none);
	none = report(&f, SW_FORMAT_TABLE, 0);
	assert_string_equal(none, "no offenders: no SMTP connect was seen\n");
	accounts[0] = accounts[1];
	set_zone("UTC0");
	one = report(&f, SW_FORMAT_TABLE, 1);
	assert_string_equal(one, "no offenders: 1 account made 90 SMTP connects since "
			    "1970-01-12T13:46:41Z, none was denied\n");
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
		cmocka_unit_test(test_choose),
		cmocka_unit_test(test_report_machine),
		cmocka_unit_test(test_report_json),
		cmocka_unit_test(test_report_table),
		cmocka_unit_test(test_flush),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
