/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The live ranking: rates, keys, what is shown. No terminal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "top.h"
#include "util.h"

#define SEC 1000000000ULL

/* ---- Rates ---- */

static void read_counts(struct sw_top_history *h, uint64_t at_s, uint64_t a, uint64_t b)
{
	struct sw_stat rows[] = {
		{ .id = 7, .n = { [SW_N_DENIED] = a, [SW_N_ALLOWED] = 99 } },
		{ .id = 3, .n = { [SW_N_WOULD_DENY] = b } },
	};
	const struct sw_stats s = { .accounts = rows, .n_accounts = 1, .origins = rows + 1,
				    .n_origins = 1 };

	assert_int_equal(sw_top_history_add(h, &s, at_s * SEC), 0);
}

static void check_rate(const struct sw_top_history *h, uint64_t id, double second, double minute)
{
	struct sw_top_rate r = sw_top_rate(h, &id, 1, SW_CHANNEL_DIRECT);

	assert_true(r.known);
	assert_float_equal(r.per_second, second, 1e-9);
	assert_float_equal(r.per_minute, minute, 1e-9);
}

static void test_rates(void **state)
{
	static const uint64_t both[] = { 3, 7 };
	struct sw_top_history h = {};

	(void)state;
	assert_false(sw_top_rate(&h, both, 2, SW_CHANNEL_DIRECT).known);
	read_counts(&h, 100, 10, 0);
	assert_false(sw_top_rate(&h, both, 2, SW_CHANNEL_DIRECT).known);
	read_counts(&h, 102, 30, 1);
	check_rate(&h, 7, 10, 600);
	check_rate(&h, 3, 0.5, 30);
	check_rate(&h, 99, 0, 0);
	assert_float_equal(sw_top_rate(&h, both, 2, SW_CHANNEL_DIRECT).per_second, 10.5, 1e-9);
	read_counts(&h, 112, 30, 1);	/* nothing for ten seconds */
	check_rate(&h, 7, 0, 100);	/* 20 in twelve seconds */
	read_counts(&h, 114, 20, 1);	/* taken down and counted anew */
	check_rate(&h, 7, 0, 60.0 * 10 / 14);
	sw_top_history_free(&h);
	assert_int_equal(h.n, 0);
}

/* What is older than the window counts no more, however often there is a reading. */
static void test_window(void **state)
{
	struct sw_top_history h = {};

	(void)state;
	read_counts(&h, 1, 0, 0);
	read_counts(&h, 2, 1000, 0);
	for (uint64_t s = 3; s < 300; s++)
		read_counts(&h, s, 1000 + s, 0);
	assert_true(h.n <= SW_TOP_SNAPSHOTS);
	check_rate(&h, 7, 1, 60);
	sw_top_history_free(&h);
	read_counts(&h, 1, 0, 0);
	for (uint64_t s = 10; s < 200; s += 10)
		read_counts(&h, s, 1000 + s, 0);
	check_rate(&h, 7, 1, 60);
	sw_top_history_free(&h);
}

/* ---- Keys ---- */

static struct sw_top press(struct sw_top t, const char *keys)
{
	for (; *keys; keys++)
		sw_top_press(&t, *keys == '\n' ? SW_KEY_ENTER : *keys == '<' ? SW_KEY_BACK :
				 *keys == '!' ? SW_KEY_ESCAPE : *keys == 'v' ? SW_KEY_DOWN :
				 *keys == '^' ? SW_KEY_UP : *keys == 'V' ? SW_KEY_PAGE_DOWN :
				 *keys == 'A' ? SW_KEY_PAGE_UP : *keys == 'E' ? SW_KEY_END :
				 *keys == 'H' ? SW_KEY_HOME : *keys);
	return t;
}

static void test_moving(void **state)
{
	static const struct { const char *keys; size_t selected, first; } rows[] = {
		{ "", 0, 0 },	{ "^", 0, 0 },	{ "v", 1, 0 },	{ "vvv", 3, 0 },
		{ "vvvv", 4, 1 },	{ "vvvv^", 3, 1 },	{ "vvvv^^^", 1, 1 },
		{ "vvvv^^^^", 0, 0 },	{ "V", 4, 1 },	{ "VV", 8, 5 },	{ "VVV", 9, 6 },
		{ "VVVVVv", 9, 6 },	{ "E", 9, 6 },	{ "EA", 5, 5 },	{ "EAA", 1, 1 },
		{ "EH", 0, 0 },	{ "jjk", 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_top t = press((struct sw_top){ .n_lines = 10, .height = 4 }, rows[i].keys);

		if (t.selected != rows[i].selected || t.first != rows[i].first)
			fail_msg("%s: %zu from %zu", rows[i].keys, t.selected, t.first);
	}
}

static void test_clamp(void **state)
{
	struct sw_top t = { .selected = 9, .first = 6 };

	(void)state;
	sw_top_clamp(&t, 5, 4);		/* rows went */
	assert_int_equal(t.selected, 4);
	assert_int_equal(t.first, 1);
	sw_top_clamp(&t, 5, 20);	/* the screen grew */
	assert_int_equal(t.first, 0);
	sw_top_clamp(&t, 0, 20);
	assert_int_equal(t.selected, 0);
	sw_top_clamp(&t, 3, 0);		/* no room at all */
	assert_int_equal(t.selected, 0);
	assert_int_equal(press(t, "V").selected, 1);
}

static void test_keys(void **state)
{
	const struct sw_top t = { .n_lines = 3, .height = 3, .interval_ms = 2000 };
	struct sw_top x;

	(void)state;
	assert_int_equal(press(t, "s").sort, SW_TOP_BY_MINUTE);
	assert_int_equal(press(t, "sssss").sort, SW_TOP_BY_SECOND);
	assert_int_equal(press(t, "d").sort, SW_TOP_BY_DENIED);
	assert_int_equal(press(t, "l").sort, SW_TOP_BY_LAST);
	assert_int_equal(press(t, "n").sort, SW_TOP_BY_NAME);
	assert_int_equal(press(t, "nr").sort, SW_TOP_BY_SECOND);
	assert_int_equal(press(t, "+").interval_ms, 4000);
	assert_int_equal(press(t, "++++++++++").interval_ms, 60000);
	assert_int_equal(press(t, "----------").interval_ms, 250);
	assert_true(press(t, "p").paused);
	assert_false(press(t, "pp").paused);
	assert_true(press(t, "b").by_uid);
	assert_true(press(t, "?").help);
	x = press(t, "?n");	/* any key closes it and does nothing else */
	assert_false(x.help);
	assert_int_equal(x.sort, SW_TOP_BY_SECOND);
	x = t;
	assert_int_equal(sw_top_press(&x, 'q'), SW_TOP_QUIT);
	assert_int_equal(sw_top_press(&x, SW_KEY_ENTER), SW_TOP_OPEN);
	assert_int_equal(sw_top_press(&x, ' '), SW_TOP_READ);
	assert_int_equal(sw_top_press(&x, 'b'), SW_TOP_READ);
	x.view = SW_TOP_EVENTS;
	assert_int_equal(sw_top_press(&x, SW_KEY_ENTER), SW_TOP_NOTHING);
	assert_int_equal(press(x, "<").view, SW_TOP_DIRECTORIES);
	assert_int_equal(press(x, "<<").view, SW_TOP_RANKING);
	assert_int_equal(press(x, "!!!").view, SW_TOP_RANKING);
	x.n_lines = 0;
	x.view = SW_TOP_RANKING;
	assert_int_equal(sw_top_press(&x, SW_KEY_ENTER), SW_TOP_NOTHING);
}

static void test_filter(void **state)
{
	static const struct { const char *keys, *filter; bool typing; } rows[] = {
		{ "/shop\n", "shop", false },	{ "/shop", "", true },
		{ "/shop!", "", false },	{ "/shop<<\n", "sh", false },
		{ "/<<a\n", "a", false },	{ "/q\n", "q", false },
		{ "/a\n/b\n", "ab", false },	{ "/a\n/<\n", "", false },
		{ "/a\n<", "", false },		{ "/a\n!", "", false },
		{ "/a\t\x01" "b\n", "ab", false },
	};
	char many[200] = "/";
	struct sw_top t;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		t = press((struct sw_top){}, rows[i].keys);
		if (strcmp(t.filter, rows[i].filter) != 0 || t.typing != rows[i].typing)
			fail_msg("%s: '%s'", rows[i].keys, t.filter);
	}
	memset(many + 1, 'x', sizeof(many) - 3);
	many[sizeof(many) - 2] = '\n';
	t = press((struct sw_top){}, many);
	assert_int_equal(strlen(t.filter), SW_TOP_FILTER_LEN - 1);
}

/* ---- What is shown ---- */

static struct sw_stats *make_stats(uint64_t n)
{
	static struct sw_stats s;
	struct sw_stat *o = calloc(4, sizeof(*o)), *a = calloc(4, sizeof(*a));

	for (uint32_t i = 0; i < 3; i++) {
		o[i] = (struct sw_stat){ .uid = 4100000001U + i, .id = 10 + i, .n = { 0, n * (i + 1) },
					 .last_ns = 100 - i, .last = 1000,
					 .directory = strdup(i ? "/srv/b" : "/srv/a\033"),
					 .script = strdup("m.php") };
		a[i] = o[i];
		a[i].id = 20 + i;
		a[i].worst = &o[i];
	}
	s = (struct sw_stats){ .accounts = a, .n_accounts = 3, .origins = o, .n_origins = 3,
			       .now = 1060 };
	return &s;
}

static char *page(const struct sw_top_data *d, const struct sw_top *t, unsigned int width)
{
	const struct sw_screen screen = { .width = width };
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(sw_top_print(f, d, t, &screen), 0);
	fclose(f);
	return text;
}

static void test_pages(void **state)
{
	const struct sw_report_about about = { .host = "srv1\033", .generation = 1 };
	struct sw_top_data d = { .about = &about };
	struct sw_top t = { .height = 10 };
	_cleanup_free_ char *text = NULL, *head = NULL;

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	for (uint64_t i = 0; i < 2; i++) {
		assert_int_equal(sw_top_take(&d, make_stats(5 * (i + 1)), &t, (i + 1) * 2 * SEC), 0);
		assert_int_equal(sw_top_lines(&d, &t), 0);
	}
	text = page(&d, &t, 0);
	assert_string_equal(text,
		"DOMAIN  USER        /SEC  /MIN  TOTAL  DESTS  LAST SEEN  DIRECTORY   SCRIPT\n"
		"-       4100000003   7.5   450     30      0    60s ago  /srv/b      m.php\n"
		"-       4100000002   5.0   300     20      0    60s ago  /srv/b      m.php\n"
		"-       4100000001   2.5   150     10      0    60s ago  /srv/a\\x1b  m.php\n");
	head = sw_top_headline(&d, &t, false);
	assert_string_equal(head, "srv1\\x1b  00:17:40  mode enforce  3 offenders  15.0/s");

	t.sort = SW_TOP_BY_LAST;
	snprintf(t.filter, sizeof(t.filter), "SRV/B");
	assert_int_equal(sw_top_lines(&d, &t), 0);
	assert_int_equal(d.n_lines, 2);
	assert_int_equal(d.line[0].row->sum.uid, 4100000002U);

	t.opened[0] = d.line[1].id;
	t.view = SW_TOP_DIRECTORIES;
	assert_int_equal(sw_top_lines(&d, &t), 0);
	assert_int_equal(d.n_lines, 1);
	assert_int_equal(d.line[0].id, 12);
	free(text);
	text = page(&d, &t, 60);
	assert_non_null(strstr(text, " 7.5   450     30  "));
	t.opened[0] = 77;	/* gone */
	assert_int_equal(sw_top_lines(&d, &t), 0);
	assert_int_equal(d.n_lines, 0);
	sw_top_data_free(&d);
}

/* Accounts with as many direct, local and sendmail each as their digit says. */
static struct sw_stats *make_senders(uint64_t scale)
{
	static const uint64_t of[][3] = { { 1, 5, 0 }, { 0, 2, 9 }, { 3, 0, 1 } };
	static struct sw_stats s;
	struct sw_stat *o = calloc(4, sizeof(*o)), *a = calloc(4, sizeof(*a));

	for (uint32_t i = 0; i < 3; i++) {
		o[i] = (struct sw_stat){ .uid = 4100000001U + i, .id = 10 + i, .directory = strdup("/srv"),
					 .script = strdup("m.php"), .last = 1000 };
		o[i].n[SW_N_DENIED] = of[i][0] * scale;
		o[i].n[SW_N_LOCAL] = of[i][1] * scale;
		o[i].n[SW_N_SENDMAIL] = of[i][2] * scale;
		a[i] = o[i];
		a[i].id = 20 + i;
		a[i].worst = &o[i];
	}
	s = (struct sw_stats){ .accounts = a, .n_accounts = 3, .origins = o, .n_origins = 3, .now = 1060 };
	return &s;
}

static void show_channel(struct sw_top *t, struct sw_top_data *d, const char *want)
{
	_cleanup_free_ char *text = NULL;

	for (uint64_t i = 1; i < 3; i++)
		assert_int_equal(sw_top_take(d, make_senders(i * 10), t, i * 2 * SEC), 0);
	assert_int_equal(sw_top_lines(d, t), 0);
	text = page(d, t, 0);
	assert_string_equal(text, want);
	sw_top_history_free(&d->history);
}

static void test_channels(void **state)
{
	const struct sw_report_about about = { .host = "srv1", .generation = 1 };
	struct sw_top_data d = { .about = &about };
	struct sw_top t = { .height = 10, .by_uid = true };
	_cleanup_free_ char *head = NULL, *crumbs = NULL;

	(void)state;
	show_channel(&t, &d,
		"DOMAIN  USER        /SEC  /MIN  TOTAL  LOCAL  SENDMAIL  DESTS  LAST SEEN  DIRECTORY  SCRIPT\n"
		"-       4100000003  15.0   900     60      0        20      0    60s ago  /srv       m.php\n"
		"-       4100000001   5.0   300     20    100         0      0    60s ago  /srv       m.php\n");
	assert_int_equal(sw_top_press(&t, 'c'), SW_TOP_READ);
	show_channel(&t, &d,
		"DOMAIN  USER        /SEC   /MIN  TOTAL  LOCAL  SENDMAIL  DESTS  LAST SEEN  DIRECTORY  SCRIPT\n"
		"-       4100000001  25.0  1,500    100    100         0      0    60s ago  /srv       m.php\n"
		"-       4100000002  10.0    600     40     40       180      0    60s ago  /srv       m.php\n");
	t.view = SW_TOP_DIRECTORIES;	/* what is opened is ranked by the channel, too */
	t.opened[0] = d.line[1].id;
	assert_int_equal(sw_top_lines(&d, &t), 0);
	assert_int_equal(d.n_lines, 1);
	assert_int_equal(sw_top_press(&t, 'c'), SW_TOP_READ);
	assert_int_equal(t.view, SW_TOP_RANKING);
	show_channel(&t, &d,
		"DOMAIN  USER        /SEC   /MIN  TOTAL  LOCAL  SENDMAIL  DESTS  LAST SEEN  DIRECTORY  SCRIPT\n"
		"-       4100000002  45.0  2,700    180     40       180      0    60s ago  /srv       m.php\n"
		"-       4100000003   5.0    300     20      0        20      0    60s ago  /srv       m.php\n");
	head = sw_top_headline(&d, &t, false);
	assert_non_null(strstr(head, "  2 senders  "));
	crumbs = sw_top_crumbs(&d, &t, false);
	assert_string_equal(crumbs, "accounts  channel sendmail  sorted by rate");
	sw_top_press(&t, 'c');
	assert_int_equal(t.channel, SW_CHANNEL_ALL);
	sw_top_press(&t, 'c');
	assert_int_equal(t.channel, SW_CHANNEL_DIRECT);
	sw_top_data_free(&d);
}

static struct sw_event event(uint32_t pid, uint64_t ino)
{
	struct sw_event e = { .charged_uid = 1001, .tgid = pid, .cwd_dev = 5, .cwd_ino = ino,
			      .verdict = SW_DENY, .reason = SW_BY_POLICY, .dport = 25 };

	memset(e.daddr + 10, 0xff, 2);
	e.where.path_off = SW_PATH_LEN - 2;
	e.where.path[SW_PATH_LEN - 2] = '/';
	memcpy(e.where.comm, "sh\033", 3);
	return e;
}

static void test_events(void **state)
{
	const struct sw_origin_key key = { 1001, 5, 9 };
	struct sw_top_data d = {};
	struct sw_top t = { .view = SW_TOP_EVENTS, .height = 3, .opened = { 0, sw_origin_id(&key) } };
	_cleanup_free_ char *text = NULL;

	(void)state;
	for (uint32_t i = 0; i < 2 * SW_TOP_EVENTS_MAX + 2; i++) {
		const struct sw_event e = event(i, i % 2 ? 9 : 8);
		struct sw_event_view v;

		assert_int_equal(sw_event_view(&e, -1, NULL, &v), 0);
		assert_int_equal(sw_top_add_event(&d, &v), 0);
		sw_event_view_free(&v);
	}
	assert_int_equal(d.n_events, SW_TOP_EVENTS_MAX);
	assert_int_equal(sw_top_lines(&d, &t), 0);
	assert_int_equal(d.n_lines, SW_TOP_EVENTS_MAX / 2);
	text = page(&d, &t, 0);
	assert_non_null(strstr(text, "deny     0.0.0.0:25   1001  [sh\\x1b]  policy\n"));
	assert_non_null(strstr(text, " 999 "));
	assert_null(strstr(text, " 995 "));		/* below the screen */
	sw_top_data_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_moving),
		cmocka_unit_test(test_clamp),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_pages),
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_events),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
