/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Host names: what becomes of every kind of answer. */
#include "resolve_util.h"

/* ---- every kind of answer ---- */

#define SINCE	"2020-09-13T12:26:40Z"

static const struct {
	const char *last;	/* what is remembered of it */
	struct script s;
	enum sw_resolve_status status;
	const char *addrs;
	time_t found;
	const char *message;	/* behind "x.test: " */
	const char *stays;	/* what is remembered afterwards */
} rows[] = {
	/* answered */
	{ NULL, { "x.test", { 0, 0 }, { "203.0.113.5", "2001:db8::5" } }, SW_RESOLVE_FOUND,
	  "::ffff:203.0.113.5 2001:db8::5", NOW, NULL,
	  "x.test 1700000000 203.0.113.5 2001:db8::5\n" },
	{ "203.0.113.9", { "x.test", { 0, NO }, { "203.0.113.5", NULL } }, SW_RESOLVE_FOUND,
	  "::ffff:203.0.113.5", NOW, NULL, "x.test 1700000000 203.0.113.5\n" },
	{ "203.0.113.9", { "x.test", { EAI_NODATA, 0 }, { NULL, "2001:db8::5" } },
	  SW_RESOLVE_FOUND, "2001:db8::5", NOW, NULL, "x.test 1700000000 2001:db8::5\n" },
	{ NULL, { "x.test", { 0, EAI_ADDRFAMILY }, { "203.0.113.5", NULL } }, SW_RESOLVE_FOUND,
	  "::ffff:203.0.113.5", NOW, NULL, "x.test 1700000000 203.0.113.5\n" },
	{ NULL, { "x.test", { 0, 0 },
		  { "203.0.113.9 203.0.113.5 203.0.113.9", "::ffff:203.0.113.5 2001:db8::1" } },
	  SW_RESOLVE_FOUND, "::ffff:203.0.113.5 ::ffff:203.0.113.9 2001:db8::1", NOW, NULL,
	  "x.test 1700000000 203.0.113.5 203.0.113.9 2001:db8::1\n" },
	/* half an answer: what is known of the other half stays */
	{ NULL, { "x.test", { 0, T }, { "203.0.113.5", NULL } }, SW_RESOLVE_FOUND,
	  "::ffff:203.0.113.5", NOW,
	  "DNS does not answer for its IPv6 addresses (Temporary failure in name resolution)",
	  "x.test 1700000000 203.0.113.5\n" },
	{ "203.0.113.9 2001:db8::9", { "x.test", { 0, T }, { "203.0.113.5", NULL } },
	  SW_RESOLVE_FOUND, "::ffff:203.0.113.5 2001:db8::9", LAST,
	  "DNS does not answer for its IPv6 addresses (Temporary failure in name resolution); the "
	  "last ones, of " SINCE ", stay", "x.test 1600000000 203.0.113.5 2001:db8::9\n" },
	{ "203.0.113.9 2001:db8::9", { "x.test", { EAI_FAIL, 0 }, { NULL, "2001:db8::5" } },
	  SW_RESOLVE_FOUND, "::ffff:203.0.113.9 2001:db8::5", LAST,
	  "DNS does not answer for its IPv4 addresses (Non-recoverable failure in name "
	  "resolution); the last ones, of " SINCE ", stay",
	  "x.test 1600000000 203.0.113.9 2001:db8::5\n" },
	/* no answer */
	{ NULL, { "x.test", { T, T }, {} }, SW_RESOLVE_UNKNOWN, "", 0,
	  "DNS does not answer (Temporary failure in name resolution); no address of it is known, "
	  "so its rules allow nothing yet", "" },
	{ "203.0.113.9", { "x.test", { T, T }, {} }, SW_RESOLVE_KEPT, "::ffff:203.0.113.9", LAST,
	  "DNS does not answer (Temporary failure in name resolution); its last addresses, of "
	  SINCE ", stay", "x.test 1600000000 203.0.113.9\n" },
	{ "2001:db8::9", { "x.test", { NO, T }, {} }, SW_RESOLVE_KEPT, "2001:db8::9", LAST,
	  "DNS does not answer (Temporary failure in name resolution); its last addresses, of "
	  SINCE ", stay", "x.test 1600000000 2001:db8::9\n" },
	{ NULL, { "x.test", { T, NO }, {} }, SW_RESOLVE_UNKNOWN, "", 0,
	  "DNS does not answer (Temporary failure in name resolution); no address of it is known, "
	  "so its rules allow nothing yet", "" },
	{ "203.0.113.9", { "x.test", { EAI_INPROGRESS, EAI_INPROGRESS }, {} }, SW_RESOLVE_KEPT,
	  "::ffff:203.0.113.9", LAST,
	  "DNS does not answer (no answer within 10 s); its last addresses, of " SINCE ", stay",
	  "x.test 1600000000 203.0.113.9\n" },
	{ NULL, { "x.test", { EAI_FAIL, EAI_FAIL }, {} }, SW_RESOLVE_UNKNOWN, "", 0,
	  "DNS does not answer (Non-recoverable failure in name resolution); no address of it is "
	  "known, so its rules allow nothing yet", "" },
	/* no such name */
	{ NULL, { "x.test", { NO, NO }, {} }, SW_RESOLVE_INVALID, "", 0,
	  "no such host, or it has no address", "" },
	{ NULL, { "x.test", { EAI_NODATA, EAI_NODATA }, {} }, SW_RESOLVE_INVALID, "", 0,
	  "no such host, or it has no address", "" },
	{ NULL, { "x.test", { 0, 0 }, {} }, SW_RESOLVE_INVALID, "", 0,
	  "no such host, or it has no address", "" },
	{ "203.0.113.9", { "x.test", { NO, EAI_NODATA }, {} }, SW_RESOLVE_KEPT,
	  "::ffff:203.0.113.9", LAST,
	  "no such host, or it has no address; its last addresses, of " SINCE ", stay",
	  "x.test 1600000000 203.0.113.9\n" },
};

static void check_row(size_t i)
{
	static const char *const name[] = { "x.test" };
	const struct sw_resolver how = resolver(true);
	struct sw_resolved_list l;
	char text[256], want[256];

	script = &rows[i].s;
	n_script = 1;
	remove_state();
	if (rows[i].last) {
		snprintf(text, sizeof(text), "x.test %d %s\n", LAST, rows[i].last);
		write_state(text);
	}
	assert_int_equal(sw_resolve(&how, name, 1, &l), 0);
	assert_int_equal(l.n, 1);
	assert_null(l.warning);
	assert_int_equal(l.item[0].status, rows[i].status);
	assert_string_equal(text_of(&l.item[0].addrs), rows[i].addrs);
	assert_int_equal(l.item[0].found, rows[i].found);
	snprintf(want, sizeof(want), "x.test: %s", rows[i].message ? rows[i].message : "");
	if (rows[i].message)
		assert_string_equal(l.item[0].message, want);
	else
		assert_null(l.item[0].message);
	assert_string_equal(read_state(), rows[i].stays);
	sw_resolved_free(&l);
}

static void test_answers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		check_row(i);
	}
}

static void test_too_many(void **state)
{
	static const struct { unsigned int n; const char *last; enum sw_resolve_status want; }
	rows2[] = {
		{ 64, NULL, SW_RESOLVE_FOUND }, { 65, NULL, SW_RESOLVE_INVALID },
		{ 200, NULL, SW_RESOLVE_INVALID }, { 65, "203.0.113.250", SW_RESOLVE_KEPT },
	};
	static const char *const name[] = { "x.test" };
	char text[8192], last[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows2); i++) {
		const struct sw_resolver how = resolver(true);
		const struct script s = { "x.test", { 0, T }, { text, NULL } };
		struct sw_resolved_list l;

		make_many(text, sizeof(text), rows2[i].n);
		script = &s;
		n_script = 1;
		remove_state();
		snprintf(last, sizeof(last), "x.test %d %s\n", LAST, rows2[i].last);
		if (rows2[i].last)
			write_state(last);
		assert_int_equal(sw_resolve(&how, name, 1, &l), 0);
		assert_int_equal(l.item[0].status, rows2[i].want);
		assert_int_equal(l.item[0].addrs.n, rows2[i].want == SW_RESOLVE_FOUND ? 64 :
				 rows2[i].want == SW_RESOLVE_KEPT ? 1 : 0);
		assert_int_equal(!l.item[0].found, !l.item[0].addrs.n);
		if (rows2[i].want != SW_RESOLVE_FOUND)
			assert_non_null(strstr(l.item[0].message, " addresses, more than the 64 "));
		sw_resolved_free(&l);
	}
}

static void test_is_name(void **state)
{
	static const struct { const char *text; bool want; } names[] = {
		{ "smtp.example.net", true }, { "localhost", true }, { "a", true },
		{ "smtp.example.net.", true }, { "_dmarc.x-1.test", true }, { "3com.test", true },
		{ "1.2.3.4.test", true }, { "xn--bcher-kva.test", true },
		{ "", false }, { ".", false }, { ".test", false }, { "a..test", false },
		{ "-a.test", false }, { "a b", false }, { "a\tb", false }, { "a\nb", false },
		{ "a/b", false }, { "a:b", false }, { "*.test", false },
		{ "b\xc3\xbc" "cher.test", false },
		{ "1.2.3.4", false }, { "10.1", false }, { "10", false }, { "0x7f000001", false },
		{ "017700000001", false }, { "1.2.3.4.", true },	/* asked for as a name */
	};
	char text[260];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		print_message("# '%s'\n", names[i].text);
		assert_int_equal(sw_resolve_is_name(names[i].text), names[i].want);
	}
	memset(text, 'a', sizeof(text));
	text[253] = '\0';
	assert_true(sw_resolve_is_name(text));
	text[253] = 'a';
	text[254] = '\0';
	assert_false(sw_resolve_is_name(text));
}

/* One call of the resolver for all; the order of the names; what is no name is not asked for. */
static void test_many_names(void **state)
{
	static const struct script s[] = {
		{ "a.test", { 0, NO }, { "203.0.113.1", NULL } },
		{ "b.test", { NO, 0 }, { NULL, "2001:db8::b" } },
		{ "c.test", { NO, NO }, {} },
	};
	static const char *const names[] = { "a.test", "1.2", "b.test", "x y", "c.test", "a.test" };
	static const struct { enum sw_resolve_status status; const char *addrs; } want[] = {
		{ SW_RESOLVE_FOUND, "::ffff:203.0.113.1" }, { SW_RESOLVE_INVALID, "" },
		{ SW_RESOLVE_FOUND, "2001:db8::b" }, { SW_RESOLVE_INVALID, "" },
		{ SW_RESOLVE_INVALID, "" }, { SW_RESOLVE_FOUND, "::ffff:203.0.113.1" },
	};
	struct sw_resolver how = resolver(true);
	struct sw_resolved_list l;

	(void)state;
	script = s;
	n_script = ARRAY_SIZE(s);
	remove_state();
	how.timeout_ms = 1234;
	assert_int_equal(sw_resolve(&how, names, ARRAY_SIZE(names), &l), 0);
	assert_int_equal(n_calls, 1);
	assert_int_equal(n_questions, 8);
	assert_int_equal(seen_timeout, 1234);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++) {
		assert_int_equal(l.item[i].status, want[i].status);
		assert_string_equal(text_of(&l.item[i].addrs), want[i].addrs);
	}
	assert_string_equal(l.item[1].message, "1.2: is no host name");
	assert_string_equal(read_state(), "a.test 1700000000 203.0.113.1\nb.test 1700000000 "
			    "2001:db8::b\na.test 1700000000 203.0.113.1\n");
	sw_resolved_free(&l);
}

/* Without names nothing is asked, read or written; without a name that is one neither. */
static void test_nothing_to_do(void **state)
{
	static const char *const names[] = { "1.2" };
	struct sw_resolver how = resolver(true);
	struct sw_resolved_list l;

	(void)state;
	write_state("x.test 1600000000 203.0.113.9\n");
	assert_int_equal(sw_resolve(&how, NULL, 0, &l), 0);
	assert_int_equal(l.n, 0);
	assert_null(l.warning);
	assert_string_equal(read_state(), "x.test 1600000000 203.0.113.9\n");
	sw_resolved_free(&l);
	assert_int_equal(sw_resolve(&how, names, 1, &l), 0);
	assert_int_equal(n_calls, 0);
	sw_resolved_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_is_name),
		cmocka_unit_test(test_many_names),
		cmocka_unit_test(test_nothing_to_do),
	};

	return enter_scratch() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, leave_scratch);
}
