/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kept events: in order, filtered, no more than asked for, byte by byte, while they are written. */
#include "history_util.h"

#include <arpa/inet.h>
#include <sys/file.h>

#include "decide.h"
#include "policy.h"

#define EVIL	"/home/a\n\033[31m\xe2\x80\xae\xff/x"

/* Of event `i` what can be told from `i`. */
static struct sw_event event_of(unsigned int i, enum sw_verdict verdict)
{
	struct sw_event e = {
		.tgid = 100 + i, .ppid = 7, .ruid = 8, .euid = 9, .egid = 10, .loginuid = 11,
		.charged_uid = 1000 + i % 3, .charged_row = SW_ROW_UID, .dport = i % 2 ? 2525 : 25,
		.family = 4, .verdict = (__u8)verdict, .reason = SW_BY_POLICY,
		.daddr = { [10] = 0xff, 0xff, 203, 0, 113, (__u8)i },
		.where = { .argv = "php\0x.php\0--all", .argv_len = 16 },
	};

	memcpy(e.where.comm, "0123456789abcdef", SW_COMM_LEN);
	memcpy(e.parent_comm, "cron", 5);
	return e;
}

/* What the monitor would hand over of `e`. */
static void keep_event(struct sw_history *h, const struct sw_event *e, time_t when, const char *directory,
		       const char *domain)
{
	struct sw_event_view v = {
		.e = e, .time = when,
		.where = { .uid = e->charged_uid, .row = (enum sw_row)e->charged_row,
			   .directory = directory, .script = "x.php",
			   .cgroup = "/system.slice/php8.2-fpm.service" },
		.site = { .domain = domain, .user = domain ? "alice" : NULL, .source = domain, .sites = 3,
			  .one_of_several = true },
	};

	sw_event_destination(e, v.address, v.destination);
	assert_int_equal(sw_history_event(h, &v), 0);
}

static void keep_many(struct sw_history *h, unsigned int from, unsigned int to)
{
	for (unsigned int i = from; i < to; i++) {
		struct sw_event e = event_of(i, i % 5 ? SW_DENY : SW_LIMITED);

		keep_event(h, &e, T0 + i, i % 4 ? "/home/a" : EVIL, i % 2 ? "shop.example" : NULL);
	}
	assert_int_equal(sw_history_flush(h), 0);
}

struct seen {
	uint32_t pid[2048];
	size_t n, stop_after;
	struct sw_history *writer;	/* goes on while we read */
	struct sw_history_reader *reader;
};

static int see(void *data, const struct sw_event_view *v)
{
	struct seen *s = data;

	assert_true(s->n < ARRAY_SIZE(s->pid));
	s->pid[s->n++] = v->e->tgid;
	if (s->writer)
		keep_many(s->writer, 1000 + (unsigned int)s->n, 1001 + (unsigned int)s->n);
	return s->n == s->stop_after ? -ECANCELED : 0;
}

static struct sw_history_reader *open_reader(void)
{
	struct sw_history_reader *r = NULL;

	assert_int_equal(sw_history_reader_open(state_dir, &r), 0);
	return r;
}

static size_t count_of(const struct sw_history_filter *f)
{
	struct sw_history_reader *r = open_reader();
	struct seen s = {};
	int64_t after = 0;

	assert_int_equal(sw_history_events(r, f, &after, see, &s), 0);
	sw_history_reader_free(r);
	for (size_t i = 1; i < s.n; i++)
		assert_true(s.pid[i - 1] < s.pid[i]);
	return s.n;
}

static void test_order_and_filters(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	assert_int_equal(count_of(&(struct sw_history_filter){}), 0);
	keep_many(h, 0, 300);	/* several batches */
	assert_int_equal(count_of(&(struct sw_history_filter){}), 300);
	assert_int_equal(count_of(&(struct sw_history_filter){ .is_uid = true, .uid = 1001 }), 100);
	assert_int_equal(count_of(&(struct sw_history_filter){ .is_uid = true, .uid = 0 }), 0);
	assert_int_equal(count_of(&(struct sw_history_filter){ .is_uid = true, .uid = 1001,
							       .row = SW_ROW_KERNEL }), 0);
	assert_int_equal(count_of(&(struct sw_history_filter){ .port = 2525 }), 150);
	assert_int_equal(count_of(&(struct sw_history_filter){ .verdicts = 1U << SW_LIMITED }), 60);
	assert_int_equal(count_of(&(struct sw_history_filter){ .verdicts = 1U << SW_DENY | 1U << SW_LIMITED }),
			 300);
	assert_int_equal(count_of(&(struct sw_history_filter){ .verdicts = 1U << SW_OBSERVE }), 0);
	assert_int_equal(count_of(&(struct sw_history_filter){ .domain = "Shop.Example" }), 150);
	assert_int_equal(count_of(&(struct sw_history_filter){ .domain = "shop.exampl" }), 0);
	assert_int_equal(count_of(&(struct sw_history_filter){ .directory = EVIL }), 75);
	assert_int_equal(count_of(&(struct sw_history_filter){ .directory = "/HOME/A" }), 0);
	assert_int_equal(count_of(&(struct sw_history_filter){ .is_since = true, .since = T0 + 290 }), 10);
	assert_int_equal(count_of(&(struct sw_history_filter){ .port = 25, .is_uid = true, .uid = 1000 }), 50);
	sw_history_close(h);
}

/* The newest so many of those that match, not of all. */
static void test_newest(void **state)
{
	struct sw_history *h = open_history();
	struct sw_history_reader *r;
	struct seen s = {};
	int64_t after = 0;

	(void)state;
	keep_many(h, 0, 300);
	r = open_reader();
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){ .newest = 3, .port = 25 }, &after,
					   see, &s), 0);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.pid[0], 100 + 294);
	assert_int_equal(s.pid[2], 100 + 298);
	assert_int_equal(after, 300);
	sw_history_reader_free(r);
	assert_int_equal(count_of(&(struct sw_history_filter){ .newest = 1000 }), 300);
	assert_int_equal(count_of(&(struct sw_history_filter){ .newest = 200 }), 200);
	assert_int_equal(count_of(&(struct sw_history_filter){ .newest = 5, .port = 26 }), 0);
	sw_history_close(h);
}

/* Each once, whenever it comes; what comes while we look is for the next time. */
static void test_going_on(void **state)
{
	struct sw_history *h = open_history();
	struct sw_history_reader *r;
	struct seen s = {};
	int64_t after = 0;

	(void)state;
	keep_many(h, 0, 100);
	r = open_reader();
	s.writer = h;
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){}, &after, see, &s), 0);
	assert_int_equal(s.n, 100);
	s.writer = NULL;
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){}, &after, see, &s), 0);
	assert_int_equal(s.n, 200);
	assert_int_equal(s.pid[199], 100 + 1100);
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){}, &after, see, &s), 0);
	assert_int_equal(s.n, 200);
	s.stop_after = 201;
	keep_many(h, 2000, 2010);
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){}, &after, see, &s), -ECANCELED);
	assert_int_equal(s.n, 201);
	sw_history_reader_free(r);
	sw_history_close(h);
}

/* A reader that shows them slowly does not keep the file from being cleaned up. */
static int checkpoint(void *data, const struct sw_event_view *v)
{
	struct seen *s = data;

	(void)v;
	if (!s->n++)
		assert_int_equal(ask("PRAGMA wal_checkpoint(TRUNCATE)"), 0);	/* 1: somebody is in the way */
	return 0;
}

static void test_holds_nothing(void **state)
{
	struct sw_history *h = open_history();
	struct sw_history_reader *r;
	struct seen s = {};
	int64_t after = 0;

	(void)state;
	keep_many(h, 0, 10);
	r = open_reader();
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){}, &after, checkpoint, &s), 0);
	assert_int_equal(s.n, 10);
	assert_int_equal(ask("PRAGMA wal_checkpoint(TRUNCATE)"), 0);
	sw_history_reader_free(r);
	sw_history_close(h);
}

static int look(void *data, const struct sw_event_view *v)
{
	struct seen *s = data;

	s->n++;
	assert_int_equal(v->time, T0);
	assert_int_equal(v->e->tgid, 100);
	assert_int_equal(v->e->ppid, 7);
	assert_int_equal(v->e->ruid, 8);
	assert_int_equal(v->e->euid, 9);
	assert_int_equal(v->e->egid, 10);
	assert_true(v->e->loginuid == UINT32_MAX);
	assert_int_equal(v->e->charged_uid, 1000);
	assert_int_equal(v->e->charged_row, SW_ROW_UID);
	assert_false(v->no_uid);
	assert_int_equal(v->e->dport, 25);
	assert_int_equal(v->e->family, 6);
	assert_int_equal(v->e->verdict, SW_DENY);
	assert_int_equal(v->e->reason, SW_BY_POLICY);
	assert_string_equal(v->address, "2001:db8::5");
	assert_string_equal(v->destination, "[2001:db8::5]:25");
	assert_string_equal(v->comm, "0123456789abcdef");
	assert_string_equal(v->parent, "cron");
	assert_string_equal(v->where.directory, EVIL);
	assert_string_equal(v->where.script, "x.php");
	assert_string_equal(v->where.cgroup, "/system.slice/php8.2-fpm.service");
	assert_string_equal(v->container, "unit php8.2-fpm.service");
	assert_int_equal(v->where.argv_len, 16);
	assert_memory_equal(v->where.argv, "php\0x.php\0--all", 16);
	assert_string_equal(v->site.domain, "shop.example");
	assert_string_equal(v->site.source, "shop.example");
	assert_string_equal(v->site.user, "alice");
	assert_null(v->site.account);
	assert_int_equal(v->site.sites, 3);
	assert_true(v->site.one_of_several);
	return 0;
}

static void test_every_field(void **state)
{
	struct sw_event e = event_of(0, SW_DENY);
	struct sw_history *h = open_history();
	struct sw_history_reader *r;
	struct seen s = {};
	int64_t after = 0;

	(void)state;
	e.loginuid = UINT32_MAX;
	e.family = 6;
	assert_int_equal(inet_pton(AF_INET6, "2001:db8::5", e.daddr), 1);
	keep_event(h, &e, T0, EVIL, "shop.example");
	assert_int_equal(sw_history_flush(h), 0);
	r = open_reader();
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){}, &after, look, &s), 0);
	assert_int_equal(s.n, 1);
	sw_history_reader_free(r);
	sw_history_close(h);
}

static int look_at_sendmail(void *data, const struct sw_event_view *v)
{
	struct seen *s = data;

	s->n++;
	assert_int_equal(v->e->channel, SW_CHANNEL_SENDMAIL);
	assert_int_equal(v->e->family, 0);
	assert_string_equal(v->address, "sendmail");
	assert_string_equal(v->destination, "sendmail");
	return 0;
}

/* An execution of sendmail has no address, and is told from a connect all the same. */
static void test_sendmail(void **state)
{
	struct sw_event e = event_of(0, SW_LIMITED);
	struct sw_history *h = open_history();
	struct sw_history_reader *r;
	struct seen s = {};
	int64_t after = 0;

	(void)state;
	e.channel = SW_CHANNEL_SENDMAIL;
	e.family = 0;
	e.dport = 0;
	keep_event(h, &e, T0, "/srv", "shop.example");
	assert_int_equal(sw_history_flush(h), 0);
	r = open_reader();
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){}, &after, look_at_sendmail, &s), 0);
	assert_int_equal(s.n, 1);
	sw_history_reader_free(r);
	sw_history_close(h);
}

static int look_at_nonsense(void *data, const struct sw_event_view *v)
{
	struct seen *s = data;

	s->n++;
	assert_true(strlen(v->where.directory) <= 4096);
	assert_string_equal(v->where.script, "");
	assert_true(v->where.argv_len < SW_ARGV_LEN);
	assert_int_equal(v->where.argv[v->where.argv_len], '\0');
	assert_true(strlen(v->comm) <= SW_COMM_LEN);
	return 0;
}

/* The file is the monitor user's, who may be anybody's by now. */
static void test_nonsense(void **state)
{
	struct sw_history *h = open_history();
	struct sw_history_reader *r;
	struct seen s = {};
	int64_t after = 0;

	(void)state;
	keep_many(h, 0, 6);
	sw_history_close(h);
	ask("UPDATE place SET script = 0, row = 0");
	ask("UPDATE text SET value = CAST(zeroblob(100000) AS TEXT) WHERE value = CAST('shop.example' AS BLOB)");
	ask("UPDATE text SET value = replace(hex(zeroblob(50000)), '0', 'x')"
	    " WHERE value = CAST('/home/a' AS BLOB)");
	ask("UPDATE event SET comm = replace(hex(zeroblob(500)), '0', 'y'), parent = NULL, argv ="
	    " replace(hex(zeroblob(50000)), '0', 'z'), pid = -1, port = 1e300, time = 'x'");
	ask("UPDATE event SET verdict = -1 WHERE id = 1");
	ask("UPDATE event SET reason = 255 WHERE id = 2");
	ask("UPDATE event SET address = 'nowhere' WHERE id = 3");
	ask("UPDATE event SET address = zeroblob(100000) WHERE id = 4");
	ask("UPDATE event SET id = 9223372036854775807 WHERE id = 5");
	r = open_reader();
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){}, &after, look_at_nonsense, &s), 0);
	assert_int_equal(s.n, 2);
	assert_true(after == INT64_MAX);
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){ .newest = 1 }, &after,
					   look_at_nonsense, &s), 0);
	assert_int_equal(s.n, 2);
	sw_history_reader_free(r);
	ask("DROP TABLE event");
	r = open_reader();
	after = 0;
	assert_int_equal(sw_history_events(r, &(struct sw_history_filter){}, &after, see, &s), -EBADMSG);
	sw_history_reader_free(r);
}

static void test_writer(void **state)
{
	struct sw_history *h = open_history();
	pid_t pid = 5;

	(void)state;
	assert_true(sw_history_has_writer(state_dir, &pid));
	assert_true(!pid || pid == getpid());
	sw_history_close(h);
	assert_false(sw_history_has_writer(state_dir, &pid));
	assert_int_equal(pid, 0);
	assert_false(sw_history_has_writer("/nonexistent", &pid));
	h = open_history();	/* nothing of it was kept */
	sw_history_close(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order_and_filters, make_state, remove_state),
		cmocka_unit_test_setup_teardown(test_newest, make_state, remove_state),
		cmocka_unit_test_setup_teardown(test_going_on, make_state, remove_state),
		cmocka_unit_test_setup_teardown(test_holds_nothing, make_state, remove_state),
		cmocka_unit_test_setup_teardown(test_every_field, make_state, remove_state),
		cmocka_unit_test_setup_teardown(test_sendmail, make_state, remove_state),
		cmocka_unit_test_setup_teardown(test_nonsense, make_state, remove_state),
		cmocka_unit_test_setup_teardown(test_writer, make_state, remove_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
