/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From what was observed to what is suggested: the judgement. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "suggest_util.h"

/* One account, and what is suggested first. */
struct row {
	const char *name;
	struct sw_suggest_account a;
	uint16_t port;
	size_t n;		/* destinations */
	bool more;
	enum sw_confidence confidence;
	const char *line, *other;	/* "" none; NULL: not looked at */
	bool active;
};

static void check(const struct row *row)
{
	struct sw_suggestions s;

	begin(NULL);
	add(row->a.uid, row->port, row->n);
	if (row->more)
		add(row->a.uid, 0, 1)->more = true;
	s = suggest(&row->a, 1);
	print_message("# %s: %s\n", row->name, s.item[0].line);
	assert_int_equal(s.item[0].confidence, row->confidence);
	assert_string_equal(s.item[0].line, row->line);
	if (row->other)
		assert_string_equal(s.item[0].other, row->other);
	assert_int_equal(s.item[0].active, row->active);
	assert_int_equal(s.n, row->active && row->line[0] == 'r' ? row->n : 1);
	sw_suggestions_free(&s);
}

#define HIGH	SW_CONFIDENCE_HIGH
#define LOW	SW_CONFIDENCE_LOW
#define NO	SW_CONFIDENCE_NO
#define ROOT(in)	{ .uid = 0, .user = "root", .system = true, .cgroup = (in) }
#define MAIL(server)	{ .uid = 8, .user = "mail", .system = true, .mta = (server) }
#define WEB(in)		{ .uid = 33, .user = "www-data", .system = true, .cgroup = (in) }
#define NOBODY		{ .uid = 99, .user = "nobody", .system = true }
#define ALICE(in)	{ .uid = 1001, .user = "alice", .cgroup = (in) }
#define USER(name)	"rule = user " name " to 192.0.2.1 port 25"
#define CGROUP(path)	"rule = cgroup " path " to 192.0.2.1 port 25"
#define ID		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define SCOPE		"/docker-" ID ".scope"
#define DOCKER		"/system.slice" SCOPE
#define PHP		"/system.slice/php8.2-fpm.service"
#define LONG		ID ID ID

static void test_judgement(void **state)
{
	static const struct row rows[] = {
		{ "system account", WEB(NULL), 25, 1, false, HIGH, USER("www-data"), "", true },
		{ "as many as are few", WEB(NULL), 25, 4, false, HIGH, USER("www-data"), "", true },
		{ "ordinary account", ALICE(NULL), 25, 4, false, LOW, USER("alice"), "", true },
		{ "one more", ALICE(NULL), 25, 5, false, NO, "", "", false },
		{ "and more", ALICE(NULL), 25, 1, true, NO, "", "", false },
		{ "like a mail server", MAIL(NULL), 25, 5, false, LOW, "users = mail", "", false },
		{ "on another port", MAIL(NULL), 587, 5, false, NO, "", "", false },
		{ "shared by sites", WEB(NULL), 25, 5, false, NO, "", "", false },
		{ "shared by sites", NOBODY, 25, 300, false, NO, "", "", false },
		{ "a mail server", MAIL("exim"), 25, 1, false, HIGH, "users = mail", "", true },
		{ "a mail server", MAIL("exim"), 25, 300, true, HIGH, "users = mail", "", true },
		{ "service", WEB(PHP), 25, 1, false, HIGH, USER("www-data"), CGROUP(PHP), true },
		{ "below a service", WEB(PHP "/x"), 25, 1, false, HIGH, USER("www-data"),
		  CGROUP(PHP), true },
		{ "no end of a name", WEB(PHP "x"), 25, 1, false, HIGH, USER("www-data"),
		  CGROUP(PHP "x"), true },
		{ "service of an ordinary account", ALICE(PHP), 25, 1, false, LOW, USER("alice"), "",
		  true },
		{ "what a user calls a service", WEB("/user.slice/user@33.service/x.service"), 25, 1,
		  false, HIGH, USER("www-data"), "", true },
		{ "container", ROOT(DOCKER), 25, 1, false, LOW, CGROUP(DOCKER), USER("root"), true },
		{ "container with many", ROOT(DOCKER), 25, 300, false, LOW, "cgroups = " DOCKER, "",
		  false },
		{ "what a user calls a container", ALICE("/user.slice" SCOPE), 25, 300, false, NO, "",
		  "", false },
		{ "no word", ROOT("/lxc.payload.a b"), 25, 1, false, NO, "", "", false },
		{ "no word", ROOT("/lxc.payload.a,b"), 25, 1, false, NO, "", "", false },
		{ "too long", ROOT("/lxc.payload." LONG), 25, 1, false, NO, "", "", false },
		{ "without its top", WEB(".../system.slice/x.service"), 25, 1, false, HIGH,
		  USER("www-data"), "", true },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check(&rows[i]);
}

static void test_names(void **state)
{
	static const char *const rows[][2] = {
		{ "alice", "alice" }, { "a.b-c_d9", "a.b-c_d9" }, { "_apt", "_apt" }, { NULL, "1001" },
		{ "1234", "1001" }, { "-x", "1001" }, { "a b", "1001" }, { "a;b", "1001" },
		{ "#a", "1001" }, { "a\nb", "1001" }, { "a,b", "1001" }, { "a=b", "1001" },
		{ "b\xc3\xb6" "b", "1001" }, { "", "1001" }, { "[allow]", "1001" },
		{ "a123456789012345678901234567890", "a123456789012345678901234567890" },
		{ "a123456789012345678901234567890123", "1001" },
	};
	char line[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct row row = { .name = "name", .a = { .uid = 1001, .user = rows[i][0] }, .port = 25,
				   .n = 1, .confidence = LOW, .line = line, .active = true };

		snprintf(line, sizeof(line), "rule = user %s to 192.0.2.1 port 25", rows[i][1]);
		check(&row);
	}
}

static void test_per_day(void **state)
{
	static const struct {
		uint64_t n;
		time_t days;
		uint32_t want;
	} rows[] = {
		{ 0, 1, 0 }, { 1, 0, 10 }, { 3, 0, 10 }, { 4, 0, 50 }, { 16, 0, 50 }, { 17, 0, 100 },
		{ 33, 0, 100 }, { 34, 0, 500 }, { 34, 1, 100 }, { 67, 1, 500 }, { 100, 9, 50 },
		{ 1000000, 0, 5000000 }, { 300000000, 0, 1000000000 }, { 2000000000, 0, 0 },
		{ UINT64_MAX, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(sw_suggest_per_day(rows[i].n, NOW, NOW + rows[i].days * DAY),
				 rows[i].want);
	assert_int_equal(sw_suggest_per_day(1, NOW, NOW - DAY), 10);	/* the clock was set back */
}

/* Accounts, ports, v4 and v6 side by side; the order; what --top leaves out. */
static void test_order(void **state)
{
	static const struct sw_suggest_account accounts[] = {
		{ .uid = 33, .user = "www-data", .system = true },
		{ .uid = 102, .user = "postfix", .system = true, .mta = "postfix" },
		{ .uid = 120, .user = "backup", .system = true },
		{ .uid = 121, .user = "mailman", .system = true },
		{ .uid = 1001, .user = "alice" },
		{ .uid = 1002, .user = "bob" },
		{ .uid = 65534, .user = "nobody", .system = true },
	};
	static const char *const want[] = {
		"users = postfix",
		"rule = user backup to 192.0.2.1 port 25",
		"rule = user www-data to 192.0.2.2 port 25",
		"rule = user www-data to 192.0.2.1 port 25",
		"rule = user www-data to 2001:db8::25 port 587",
		"rule = user alice to 192.0.2.1 port 25",
		"users = mailman",
		"",	/* nobody */
		"",	/* bob */
	};
	struct sw_suggest_dest *d;
	struct sw_suggestions s;

	(void)state;
	add(1002, 25, 9);
	add(65534, 25, 9);
	add(121, 25, 9);
	add(1001, 25, 1)->attempts = 5000;
	d = add(33, 25, 2);
	d[1].attempts = 7;
	d = add(33, 587, 2);
	inet_pton(AF_INET6, "2001:db8::25", d->addr);
	d[1].now = SW_NOW_ALLOWED;
	add(102, 25, 300);
	add(120, 25, 1);
	s = suggest(accounts, ARRAY_SIZE(accounts));
	/* Of one account with two ports that with fewer destinations is the better one. */
	assert_int_equal(s.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < s.n; i++)
		print_message("# %s\n", s.item[i].line);
	assert_string_equal(s.item[0].line, want[0]);
	assert_string_equal(s.item[1].line, want[4]);
	assert_string_equal(s.item[2].line, want[1]);
	assert_string_equal(s.item[3].line, want[2]);
	assert_string_equal(s.item[4].line, want[3]);
	for (size_t i = 5; i < s.n; i++)
		assert_string_equal(s.item[i].line, want[i]);
	assert_int_equal(s.item[7].account->uid, 65534);
	assert_int_equal(s.item[0].attempts, 300);
	assert_int_equal(s.item[0].destinations, 300);
	sw_suggestions_free(&s);

	seen.top = 3;
	s = suggest(accounts, ARRAY_SIZE(accounts));
	assert_int_equal(s.n, 3);
	assert_int_equal(s.n_left_out, ARRAY_SIZE(want) - 3);
	sw_suggestions_free(&s);
}

/* What needs nothing, and what was too long ago. */
static void test_left_out(void **state)
{
	static const struct sw_suggest_account a = { .uid = 1001, .user = "alice" };
	struct sw_suggest_dest *d;
	struct sw_suggestions s;
	char *text;

	(void)state;
	d = add(1001, 25, 2);
	d[0].now = d[1].now = SW_NOW_ALLOWED;
	s = suggest(&a, 1);
	assert_int_equal(s.n, 0);
	assert_int_equal(s.n_looked_at, 2);
	text = as_conf(&s);
	assert_string_equal(text, "");
	free(text);
	sw_suggestions_free(&s);

	d[0].now = d[1].now = SW_NOW_DENIED;
	d[0].last = NOW - 3600;
	seen.since = NOW - 600;
	s = suggest(&a, 1);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.n_looked_at, 1);
	assert_string_equal(s.item[0].line, "rule = user alice to 192.0.2.2 port 25");
	sw_suggestions_free(&s);

	/* What is too old does not make many of few, nor what is allowed by now. */
	for (size_t i = 0; i < 20; i++)
		add(1001, 25, 1)->last = NOW - 3600;
	dests[seen.n_dests++] = (struct sw_suggest_dest){
		.uid = 1001, .more = true, .attempts = 9, .last = NOW, .now = SW_NOW_ALLOWED,
	};
	s = suggest(&a, 1);
	assert_string_equal(s.item[0].line, "rule = user alice to 192.0.2.2 port 25");
	sw_suggestions_free(&s);

	d[1].now = SW_NOW_BY_HAND;
	s = suggest(&a, 1);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.item[0].line, "");
	assert_non_null(strstr(s.item[0].reason, "smtpwall release"));
	sw_suggestions_free(&s);
}

/* What two ports have in common; a line that has no room for a limit. */
static void test_details(void **state)
{
	static const struct sw_suggest_account alice = ALICE(NULL), box = ROOT("/lxc.payload." ID ID);
	struct sw_suggestions s;

	(void)state;
	add(1001, 25, 5);
	add(1001, 587, 6);
	s = suggest(&alice, 1);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.item[0].port, 0);
	assert_int_equal(s.item[0].destinations, 11);
	sw_suggestions_free(&s);

	begin(state);
	add(0, 25, 1);
	s = suggest(&box, 1);
	assert_string_equal(s.item[0].line, CGROUP("/lxc.payload." ID ID));
	assert_int_equal(s.item[0].per_day, 0);
	sw_suggestions_free(&s);
}

/* An account without a single row: the table was full, or it offended too long ago. */
static void test_not_recorded(void **state)
{
	struct sw_suggest_account a = { .uid = 1001, .user = "alice", .offences = 7, .last = NOW };
	struct sw_suggestions s = suggest(&a, 1);

	(void)state;
	assert_int_equal(s.n, 1);
	assert_string_equal(s.item[0].line, "");
	assert_int_equal(s.item[0].attempts, 7);
	sw_suggestions_free(&s);

	seen.since = NOW + 1;
	s = suggest(&a, 1);
	assert_int_equal(s.n, 0);
	sw_suggestions_free(&s);
	seen.since = 0;
	a.offences = 0;
	s = suggest(&a, 1);
	assert_int_equal(s.n, 0);
	sw_suggestions_free(&s);
}

static void test_limit(void **state)
{
	struct sw_suggest_account a = {
		.uid = 1001, .user = "alice", .passed = 50, .limited = 4,
		.first = NOW - DAY - 60, .last = NOW,
	};
	struct sw_suggest_dest *d;
	struct sw_suggestions s;

	(void)state;
	d = add(1001, 587, 2);
	d[0].now = d[1].now = SW_NOW_LIMITED;
	d[0].attempts = 89;
	s = suggest(&a, 1);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.item[0].section, SW_SUGGEST_LIMIT);
	assert_false(s.item[0].active);
	assert_int_equal(s.item[0].attempts, 90);
	/* 140 attempts on two days, times 3. */
	assert_string_equal(s.item[0].line, "user alice = 500/day");
	sw_suggestions_free(&s);

	/* The limit of an allow rule, which has room again by now. */
	d[0].now = d[1].now = SW_NOW_ALLOWED;
	s = suggest(&a, 1);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.item[0].attempts, 4);
	sw_suggestions_free(&s);

	/* No higher limit for what looks like a hacked site. */
	add(1001, 25, 10);
	s = suggest(&a, 1);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.item[0].line, "");
	sw_suggestions_free(&s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, begin)
	const struct CMUnitTest tests[] = {
		TEST(test_judgement), TEST(test_names),	   TEST(test_per_day),
		TEST(test_order),     TEST(test_left_out), TEST(test_not_recorded),
		TEST(test_limit),     TEST(test_details),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
