/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events with everything that is known about them, and as sentences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "event.h"
#include "feed.h"
#include "util.h"

static struct sw_event make(const char *path, const char *title, size_t title_len)
{
	struct sw_event e = {
		.charged_uid = 4100000001U, .ruid = 1, .euid = 2, .tgid = 812, .dport = 25,
		.verdict = SW_DENY, .reason = SW_BY_POLICY, .family = 4,
	};
	size_t len = strlen(path) + 1;

	memset(e.daddr + 10, 0xff, 2);
	memcpy(e.daddr + 12, "\xcb\x00\x71\x07", 4);	/* 203.0.113.7 */
	e.where.path_off = (uint16_t)(SW_PATH_LEN - len);
	memcpy(e.where.path + SW_PATH_LEN - len, path, len);
	memcpy(e.where.argv, title, title_len);
	e.where.argv_len = (uint16_t)title_len;
	memset(e.where.comm, 'c', SW_COMM_LEN);		/* no NUL at its end */
	memset(e.parent_comm, 'p', SW_COMM_LEN);
	return e;
}

static void test_view(void **state)
{
	struct sw_event e = make("/srv", "php\0m.php", 9);
	struct sw_event_view v;

	(void)state;
	e.where.flags = SW_PATH_CUT;
	assert_int_equal(sw_event_view(&e, -1, NULL, &v), 0);
	assert_string_equal(v.address, "203.0.113.7");
	assert_string_equal(v.destination, "203.0.113.7:25");
	assert_string_equal(v.comm, "cccccccccccccccc");
	assert_string_equal(v.parent, "pppppppppppppppp");
	assert_string_equal(v.where.directory, ".../srv");
	assert_string_equal(v.where.script, "m.php");
	assert_int_equal(v.where.argv_len, 9);
	assert_null(v.where.cgroup);
	assert_string_equal(v.container, "");
	assert_string_equal(v.site.source, "none");
	assert_false(v.no_uid);
	sw_event_view_free(&v);
	memset(e.daddr, 0, sizeof(e.daddr));
	e.daddr[15] = 1;
	assert_int_equal(sw_event_view(&e, -1, NULL, &v), 0);
	assert_string_equal(v.destination, "[::1]:25");
	sw_event_view_free(&v);
	e.time_ns = UINT64_MAX / 2;		/* no clock says that, and it is no overflow */
	assert_int_equal(sw_event_view(&e, -1, NULL, &v), 0);
	sw_event_view_free(&v);
}

/* Time has gone by since the event, and the clock that it was stamped with is not the wall's. */
static void test_time(void **state)
{
	struct sw_event e = make("/", "x", 1);
	struct sw_event_view v;
	struct timespec mono;
	time_t now = time(NULL);

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &mono);
	e.time_ns = (uint64_t)mono.tv_sec * 1000000000ULL + (uint64_t)mono.tv_nsec;
	assert_int_equal(sw_event_view(&e, -1, NULL, &v), 0);
	assert_in_range(v.time, now - 2, now + 2);
	sw_event_view_free(&v);
	e.time_ns -= 3600 * 1000000000ULL;
	assert_int_equal(sw_event_view(&e, -1, NULL, &v), 0);
	assert_in_range(v.time, now - 3602, now - 3598);
	sw_event_view_free(&v);
}

static void check_sentence(const struct sw_event *e, const char *domain, bool guess, const char *want)
{
	_cleanup_free_ char *text = NULL;
	struct sw_event_view v;

	assert_int_equal(sw_event_view(e, -1, NULL, &v), 0);
	v.time = 1000000;
	v.site.domain = domain;
	v.site.one_of_several = guess;
	v.site.sites = 3;
	text = sw_event_sentence(&v, false);
	assert_string_equal(text, want);
	sw_event_view_free(&v);
}

static void test_sentence(void **state)
{
	struct sw_event e = make("/srv/a\nb", "\033]0;x\a", 6);

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	check_sentence(&e, NULL, false,
		       "- 1970-01-12T13:46:40Z DENIED uid 4100000001 to 203.0.113.7:25 in "
		       "/srv/a\\x0ab by \\x1b]0;x\\x07, pid 812: policy");
	check_sentence(&e, "shop.example", false,
		       "shop.example 1970-01-12T13:46:40Z DENIED uid 4100000001 to 203.0.113.7:25 in "
		       "/srv/a\\x0ab by \\x1b]0;x\\x07, pid 812: policy");
	e.verdict = SW_OBSERVE;
	e.charged_row = SW_ROW_KERNEL;
	e.where.argv_len = 0;
	check_sentence(&e, "shop.example", true,
		       "shop.example +2 1970-01-12T13:46:40Z WOULD DENY (kernel) to 203.0.113.7:25 in "
		       "/srv/a\\x0ab by [cccccccccccccccc], pid 812: policy");
}

/* An execution of sendmail went to no address. */
static void test_sendmail(void **state)
{
	struct sw_event e = make("/srv", "x", 1);
	_cleanup_free_ char *line = NULL;

	(void)state;
	setenv("TZ", "UTC0", 1);
	tzset();
	e.channel = SW_CHANNEL_SENDMAIL;
	e.verdict = SW_LIMITED;
	e.reason = SW_BY_ACCOUNT_LIMIT;
	e.where.flags = SW_WHERE_EXEC;
	memset(e.daddr, 0, sizeof(e.daddr));
	e.dport = 0;
	check_sentence(&e, "shop.example", false,
		       "shop.example 1970-01-12T13:46:40Z LIMITED uid 4100000001 to sendmail in /srv by "
		       "[cccccccccccccccc] x, pid 812: account-limit");
	line = sw_event_line(&e, NULL, false);
	assert_non_null(strstr(line, " LIMITED uid 4100000001 to sendmail in /srv by "));
}

static void test_lock_nowhere(void **state)
{
	pid_t pid = 77;

	(void)state;
	assert_true(sw_feed_lock("/nonexistent/smtpwall", &pid) < 0);
	assert_int_equal(pid, 77);
	assert_false(sw_feed_is_current(0, "/nonexistent/smtpwall"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_view),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_sentence),
		cmocka_unit_test(test_sendmail),
		cmocka_unit_test(test_lock_nowhere),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
