/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading the history: periods, names of their time, what is not written yet. */
#include "history_util.h"

#include <stdio.h>

#include "history_read.h"

static struct model m;
static char root[64];

static void put(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/etc/%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	char path[128];

	m = (struct model){ .instance = 77, .now = T0 };
	assert_int_equal(make_state(state), 0);
	snprintf(root, sizeof(root), "/tmp/swroot-XXXXXX");
	assert_non_null(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/etc", root);
	return mkdir(path, 0755);
}

static int teardown(void **state)
{
	static const char *const files[] = { "/etc/passwd", "/etc/trueuserdomains", "/etc", "" };
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s%s", root, files[i]);
		if (unlink(path) < 0)
			(void)rmdir(path);
	}
	return remove_state(state);
}

static struct sw_domains *domains(void)
{
	const struct sw_domains_config c = { .root = root };
	struct sw_domains *d = NULL;

	assert_int_equal(sw_domains_new(&c, &d), 0);
	assert_int_equal(sw_domains_refresh(d), 0);
	return d;
}

/* With `live`, what `m` has more is in it. */
static struct sw_history_reader *open_reader(bool live)
{
	struct sw_stats s = {
		.accounts = m.account, .n_accounts = m.n_accounts, .origins = m.origin,
		.n_origins = m.n_origins, .now = m.now,
	};
	const struct sw_history_reading r = { .s = &s, .instance = { m.instance, m.instance + 1 } };
	struct sw_history_reader *h = NULL;

	assert_int_equal(sw_history_reader_open(state_dir, &h), 0);
	if (live)
		assert_int_equal(sw_history_reader_add(h, &r, NULL), 0);
	return h;
}

struct sums {
	uint64_t accounts, origins;
};

static struct sums sums_of(const struct sw_stats *s)
{
	struct sums sum = {};

	for (size_t i = 0; i < s->n_accounts; i++)
		sum.accounts += sw_stat_attempts(&s->accounts[i]);
	for (size_t i = 0; i < s->n_origins; i++)
		sum.origins += sw_stat_attempts(&s->origins[i]);
	return sum;
}

static uint64_t count_between(time_t since, time_t until, bool live)
{
	struct sw_history_reader *h = open_reader(live);
	struct sw_stats s;
	struct sums sum;

	assert_int_equal(sw_history_read(h, since, until, &s), 0);
	sum = sums_of(&s);
	assert_int_equal(sum.accounts, sum.origins);
	sw_stats_free(&s);
	sw_history_reader_free(h);
	return sum.accounts;
}

/* Every pair of hours of five days gives what was counted between them. */
static void test_periods(void **state)
{
	struct sw_history *h = open_history();
	uint64_t until[5 * 24 + 1] = {};

	(void)state;
	for (int i = 0; i < 5 * 24; i++) {
		m.now = T0 + i * HOUR + 60 * (i % 60);
		attempt(&m, 1001 + (unsigned int)i % 3, (unsigned int)i % 5, SW_N_DENIED, (uint64_t)i + 1);
		until[i + 1] = until[i] + (uint64_t)i + 1;
		assert_int_equal(roll(h, &m), 0);
	}
	for (int a = 0; a < 5 * 24; a += 7)
		for (int b = a; b < 5 * 24; b += 5) {
			assert_int_equal(count_between(T0 + a * HOUR + 61, T0 + b * HOUR + 1, false),
					 until[b + 1] - until[a]);
			assert_int_equal(count_between(T0 + a * HOUR, T0 + b * HOUR, false),
					 until[b] - until[a]);
		}
	assert_int_equal(count_between(0, T0 + 1000 * DAY, false), until[5 * 24]);
	assert_int_equal(count_between(T0 + 6 * DAY, T0 + 1000 * DAY, false), 0);
	sw_history_close(h);
}

static void test_not_written_yet(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	attempt(&m, 1001, 0, SW_N_DENIED, 5);
	assert_int_equal(roll(h, &m), 0);
	for (int i = 1; i < 5; i++) {
		m.now = T0 + i * HOUR;
		attempt(&m, 1001, 0, SW_N_DENIED, 10);
		attempt(&m, 1002, 0, SW_N_LIMITED, 1);
		assert_int_equal(count_between(0, m.now + 1, false), 5 + 11 * (i - 1));
		assert_int_equal(count_between(0, m.now + 1, true), 5 + 11 * i);
		assert_int_equal(count_between(m.now, m.now + 1, true), 11);
		assert_int_equal(roll(h, &m), 0);
		assert_int_equal(count_between(0, m.now + 1, true), 5 + 11 * i);
	}
	/* Other maps: nothing of theirs is written. */
	m = (struct model){ .instance = 5, .now = m.now };
	attempt(&m, 1001, 0, SW_N_DENIED, 3);
	assert_int_equal(count_between(0, m.now + 1, true), 49 + 3);
	assert_int_equal(count_between(0, m.now + 1, true), 49 + 3);	/* the file has not changed */
	sw_history_close(h);
}

/* While somebody writes it is one moment that is seen. */
static void test_snapshot(void **state)
{
	struct sw_history *h = open_history();
	struct sw_history_reader *reader;
	struct sw_stats s;

	(void)state;
	attempt(&m, 1001, 0, SW_N_DENIED, 5);
	assert_int_equal(roll(h, &m), 0);
	reader = open_reader(false);
	attempt(&m, 1001, 0, SW_N_DENIED, 7);
	assert_int_equal(roll(h, &m), 0);
	sw_history_reader_free(reader);
	reader = open_reader(false);
	attempt(&m, 1001, 0, SW_N_DENIED, 7);
	assert_int_equal(roll(h, &m), 0);
	{
		struct sw_stats now = {
			.accounts = m.account, .n_accounts = 1, .origins = m.origin, .n_origins = 1,
			.now = m.now,
		};
		const struct sw_history_reading r = { .s = &now, .instance = { 77, 78 } };

		assert_int_equal(sw_history_reader_add(reader, &r, NULL), 0);
	}
	assert_int_equal(sw_history_read(reader, 0, m.now + 1, &s), 0);
	assert_int_equal(sums_of(&s).accounts, 19);
	sw_stats_free(&s);
	sw_history_reader_free(reader);
	sw_history_close(h);
}

static const struct sw_stat *account(const struct sw_stats *s, uint32_t uid, const char *user)
{
	for (size_t i = 0; i < s->n_accounts; i++)
		if (s->accounts[i].uid == uid && s->accounts[i].site && s->accounts[i].site->user &&
		    !strcmp(s->accounts[i].site->user, user))
			return &s->accounts[i];
	return NULL;
}

/* An account is deleted, and its UID given to another one: each keeps its name and domain. */
static void test_names_of_the_time(void **state)
{
	struct sw_history *h = open_history();
	struct sw_history_reader *reader;
	struct sw_report what = { .by = SW_REPORT_BY_UID, .all = true };
	struct sw_report_rows rows;
	const struct sw_stat *a;
	struct sw_domains *d;
	struct sw_stats s;

	(void)state;
	put("passwd", "alice:x:1001:1001::/home/alice:/bin/sh\n");
	put("trueuserdomains", "shop.example: alice\n");
	d = domains();
	attempt(&m, 1001, 0, SW_N_DENIED, 5);
	assert_int_equal(roll_with(h, &m, d), 0);
	put("passwd", "bob:x:1001:1001::/home/bob:/bin/sh\n#\n");
	put("trueuserdomains", "other.example: bob\n#\n");
	assert_int_equal(sw_domains_refresh(d), 0);
	attempt(&m, 1001, 0, SW_N_DENIED, 7);
	assert_int_equal(roll_with(h, &m, d), 0);
	put("passwd", "#\n");
	put("trueuserdomains", "#\n");
	assert_int_equal(sw_domains_refresh(d), 0);
	attempt(&m, 1001, 0, SW_N_DENIED, 2);
	assert_int_equal(roll_with(h, &m, d), 0);
	reader = open_reader(false);
	assert_int_equal(sw_history_read(reader, 0, m.now + 1, &s), 0);
	assert_int_equal(s.n_accounts, 3);
	a = account(&s, 1001, "alice");
	assert_non_null(a);
	assert_int_equal(a->n[SW_N_DENIED], 5);
	assert_string_equal(a->site->domain, "shop.example");
	a = account(&s, 1001, "bob");
	assert_non_null(a);
	assert_int_equal(a->n[SW_N_DENIED], 7);
	assert_string_equal(a->site->domain, "other.example");
	/* And in the rows of a report, whatever the domains of now say. */
	assert_int_equal(sw_report_build(&what, &s, d, &rows), 0);
	assert_int_equal(rows.n, 3);
	assert_string_equal(rows.row[0].site.user, "bob");
	assert_string_equal(rows.row[0].site.domain, "other.example");
	assert_int_equal(rows.row[0].n_origins, 1);
	assert_string_equal(rows.row[1].site.user, "alice");
	assert_null(rows.row[2].site.user);
	sw_report_free(&rows);
	what.domain = "shop.example";
	assert_int_equal(sw_report_build(&what, &s, d, &rows), 0);
	assert_int_equal(rows.n, 1);
	assert_int_equal(rows.row[0].sum.n[SW_N_DENIED], 5);
	sw_report_free(&rows);
	sw_stats_free(&s);
	sw_history_reader_free(reader);
	sw_domains_free(d);
	sw_history_close(h);
}

/* An account that makes directories without end gets its share of rows and one for the rest. */
static void test_share_of_places(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	for (unsigned int i = 0; i < 300; i++)
		attempt(&m, 1001, i, SW_N_DENIED, 1);
	attempt(&m, 1002, 0, SW_N_DENIED, 1);
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(ask("SELECT count(*) FROM hour"), SW_HISTORY_MAX_PLACES + 2);
	assert_int_equal(count_between(0, m.now + 1, false), 301);
	/* Those that have a row keep it, also after a restart; the rest goes on in one. */
	sw_history_close(h);
	h = open_history();
	for (unsigned int i = 0; i < 300; i++)
		attempt(&m, 1001, i, SW_N_DENIED, 1);
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(ask("SELECT count(*) FROM hour"), SW_HISTORY_MAX_PLACES + 2);
	assert_int_equal(ask("SELECT count(*) FROM hour WHERE denied = 2"), SW_HISTORY_MAX_PLACES);
	assert_int_equal(count_between(0, m.now + 1, false), 601);
	m.now += HOUR;
	attempt(&m, 1001, 299, SW_N_DENIED, 1);
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(count_between(0, m.now + 1, false), 602);
	assert_int_equal(ask("SELECT count(*) FROM hour"), SW_HISTORY_MAX_PLACES + 3);
	sw_history_close(h);
}

static void test_hostile_texts(void **state)
{
	static char texts[][600] = { "/a'; DROP TABLE hour; --", "/\xff\xfe\x01\n\t\"", "", "/%s%n",
				     "/\xf0\x9f\x92\xa9" };
	struct sw_history *h = open_history();
	struct sw_history_reader *reader;
	struct sw_stats s;
	char longest[520];

	(void)state;
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	for (unsigned int i = 0; i < ARRAY_SIZE(texts) + 1; i++) {
		attempt(&m, 1001, i, SW_N_DENIED, 1);
		m.origin[m.n_origins - 1].directory = i < ARRAY_SIZE(texts) ? texts[i] : longest;
		m.origin[m.n_origins - 1].script = i ? "same" : NULL;
	}
	assert_int_equal(roll(h, &m), 0);
	reader = open_reader(true);
	assert_int_equal(sw_history_read(reader, 0, m.now + 1, &s), 0);
	assert_int_equal(s.n_origins, ARRAY_SIZE(texts) + 1);
	for (size_t i = 0; i < ARRAY_SIZE(texts) + 1; i++) {
		const char *want = i < ARRAY_SIZE(texts) ? texts[i] : longest;
		bool found = false;

		for (size_t j = 0; j < s.n_origins; j++)
			found |= s.origins[j].directory && !strcmp(s.origins[j].directory, want);
		assert_true(found);
	}
	sw_stats_free(&s);
	sw_history_reader_free(reader);
	sw_history_close(h);
}

static void test_details(void **state)
{
	struct sw_history *h = open_history();
	struct sw_history_reader *reader;
	struct sw_stats s;

	(void)state;
	m.now = T0 + 600;
	attempt(&m, 1001, 0, SW_N_DENIED, 1);
	m.origin[0].sketch[1] = 0xf0;
	snprintf(m.origin[0].last_destination, SW_DESTINATION_LEN, "203.0.113.1:25");
	assert_int_equal(roll(h, &m), 0);
	m.now = T0 + 1200;
	attempt(&m, 1001, 0, SW_N_DENIED, 1);
	m.origin[0].sketch[1] = 0xff;
	assert_int_equal(roll(h, &m), 0);
	m.now = T0 + 3 * DAY;
	attempt(&m, 1001, 0, SW_N_DENIED, 1);
	m.origin[0].sketch[2] = 0x1;
	snprintf(m.origin[0].last_destination, SW_DESTINATION_LEN, "[2001:db8::1]:25");
	assert_int_equal(roll(h, &m), 0);
	reader = open_reader(false);
	assert_int_equal(sw_history_read(reader, T0, T0 + HOUR, &s), 0);
	assert_int_equal(s.n_accounts, 1);
	assert_int_equal(s.accounts[0].first, T0 + 600);
	assert_int_equal(s.accounts[0].last, T0 + 1200);
	assert_int_equal(s.accounts[0].destinations, 8);
	assert_string_equal(s.accounts[0].directory, "/home/u1001/d0");
	assert_string_equal(s.accounts[0].last_destination, "");	/* of later on */
	sw_stats_free(&s);
	assert_int_equal(sw_history_read(reader, T0, m.now + 1, &s), 0);
	assert_int_equal(s.accounts[0].last, T0 + 3 * DAY);
	assert_int_equal(s.accounts[0].destinations, 9);
	assert_string_equal(s.accounts[0].last_destination, "[2001:db8::1]:25");
	sw_stats_free(&s);
	sw_history_reader_free(reader);
	sw_history_close(h);
}

/* ---- Timelines ---- */

static void test_timeline(void **state)
{
	struct sw_history *h = open_history();
	struct sw_history_reader *reader;
	struct sw_timeline t;
	struct sw_stats s;

	(void)state;
	for (int i = 0; i < 10 * 24; i++) {
		m.now = T0 + i * HOUR;
		attempt(&m, 1001, (unsigned int)i % 2, SW_N_DENIED, 1);
		attempt(&m, 1001, 0, SW_N_ALLOWED, 7);
		attempt(&m, 1002, 0, SW_N_DENIED, 100);
		if (i < 10 * 24 - 1)
			assert_int_equal(roll(h, &m), 0);
	}
	reader = open_reader(true);
	assert_int_equal(sw_history_read(reader, 0, m.now + 1, &s), 0);
	assert_int_equal(s.n_accounts, 2);
	assert_int_equal(sw_history_timeline(reader, &s.accounts[0], T0, T0 + 48 * HOUR, &t), 0);
	assert_false(t.by_day);
	assert_int_equal(t.n, 48);
	for (size_t i = 0; i < t.n; i++) {
		assert_int_equal(t.start[i], T0 + (time_t)i * HOUR);
		assert_int_equal(t.count[i], 1);
	}
	sw_timeline_free(&t);
	assert_int_equal(sw_history_timeline(reader, &s.accounts[0], T0, m.now + 1, &t), 0);
	assert_true(t.by_day);
	assert_int_equal(t.n, 11);
	assert_int_equal(t.count[0], 12);
	assert_int_equal(t.count[1], 24);
	assert_int_equal(t.count[10], 12);	/* the last one is not in the file */
	sw_timeline_free(&t);
	sw_stats_free(&s);
	sw_history_reader_free(reader);
	sw_history_close(h);
}

/* ---- Averages ---- */

struct told {
	double denied[2];
	int n, stop;
};

static int tell(void *data, uint32_t uid, const double n[_SW_N_MAX])
{
	struct told *t = data;

	t->n++;
	t->denied[uid == 1002] = n[SW_N_DENIED];
	return t->stop;
}

static void test_averages(void **state)
{
	struct sw_history *h = open_history();
	struct told t = {};

	(void)state;
	for (int i = 0; i < 20 * 24; i++) {
		m.now = T0 + i * HOUR;
		attempt(&m, 1001, 0, SW_N_DENIED, i < 12 * 24 ? 1000 : 10);
		if (i >= 20 * 24 - 10)
			attempt(&m, 1002, 0, SW_N_DENIED, 6);
		assert_int_equal(roll(h, &m), 0);
	}
	attempt(&m, 1001, 0, SW_N_DENIED, 5000);	/* this hour does not count */
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(sw_history_averages(h, 7, m.now, tell, &t), 0);
	assert_int_equal(t.n, 2);
	assert_true(t.denied[0] == 10.0);
	assert_true(t.denied[1] == 6.0);
	t.n = 0;
	t.stop = -E2BIG;
	assert_int_equal(sw_history_averages(h, 7, m.now, tell, &t), -E2BIG);
	assert_int_equal(t.n, 1);
	sw_history_close(h);
}

struct counted {
	uint64_t account[2], origin[2];	/* denied, of 1001 and 1002 */
};

static void add_counted(void *data, const struct sw_history_count *c)
{
	struct counted *t = data;

	assert_in_range(c->uid, 1001, 1002);
	(c->is_origin ? t->origin : t->account)[c->uid - 1001] += c->n[SW_N_DENIED];
	assert_true(c->is_origin || !c->domain);
}

/* Of some hours: both views are whole, and what is before and after is left out. */
static void test_counted(void **state)
{
	struct sw_history *h = open_history();
	struct counted t = {};

	(void)state;
	for (int i = 0; i < 6; i++) {
		m.now = T0 + i * HOUR;
		attempt(&m, 1001, 0, SW_N_DENIED, 1 << 4 * i);
		attempt(&m, 1001, 1, SW_N_DENIED, 1 << 4 * i);
		attempt(&m, 1002, 0, SW_N_ALLOWED, 7);
		assert_int_equal(roll(h, &m), 0);
	}
	assert_int_equal(sw_history_counted(h, T0 + 2 * HOUR, T0 + 4 * HOUR + 59, add_counted, &t), 0);
	assert_int_equal(t.account[0], 0x22200);
	assert_int_equal(t.origin[0], 0x22200);
	assert_int_equal(t.account[1] + t.origin[1], 0);
	sw_history_close(h);
}

/* ---- Forgetting ---- */

static void test_trim(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	for (int i = 0; i < 100; i++) {
		m.now = T0 + i * DAY;
		attempt(&m, 1001, (unsigned int)i, SW_N_DENIED, 1);
		assert_int_equal(roll(h, &m), 0);
	}
	assert_int_equal(count_between(0, m.now + 1, false), 100);
	for (int i = 0; i < 3; i++)
		assert_int_equal(sw_history_trim(h, m.now), 0);
	/* 99 days ago was the first one; whole days are left. */
	assert_int_equal(count_between(0, m.now + 1, false), 91);
	assert_int_equal(ask("SELECT count(*) FROM day"), 91);
	assert_in_range(ask("SELECT count(*) FROM place"), 90, 92);
	assert_in_range(ask("SELECT count(*) FROM text WHERE CAST(value AS TEXT) LIKE '%/home/u1001/%'"), 90, 92);
	/* What the base has stays: nothing comes back. */
	assert_int_equal(roll(h, &m), 0);
	attempt(&m, 1001, 3, SW_N_DENIED, 1);
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(count_between(0, m.now + 1, false), 92);
	assert_int_equal(sw_history_trim(h, m.now + 400 * DAY), 0);
	assert_int_equal(sw_history_trim(h, m.now + 400 * DAY), 0);
	assert_int_equal(sw_history_trim(h, m.now + 400 * DAY), 0);
	assert_int_equal(ask("SELECT count(*) FROM hour"), 0);
	assert_int_equal(ask("SELECT count(*) FROM text"), 0);
	sw_history_close(h);
}

/* ---- Events ---- */

static void add_event(struct sw_history *h, unsigned int i)
{
	struct sw_event e = { .charged_uid = 1001, .dport = 25, .family = 4, .verdict = SW_DENY,
			      .reason = SW_BY_POLICY, .tgid = i };
	struct sw_event_view v = {
		.e = &e, .time = m.now, .where = { .uid = 1001, .directory = "/home/x", .script = "y.php" },
		.site = { .source = "none" },
	};

	snprintf(v.address, sizeof(v.address), "203.0.113.%u", i % 250);
	memcpy(e.where.argv, "a\0b", 3);
	e.where.argv_len = 3;
	assert_int_equal(sw_history_event(h, &v), 0);
}

static void test_events(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	for (unsigned int i = 1; i <= 5000; i++)
		add_event(h, i);
	assert_in_range(ask("SELECT count(*) FROM event"), 2048, 4999);	/* the queue is bounded */
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(ask("SELECT count(*) FROM event"), 5000);
	assert_int_equal(ask("SELECT count(DISTINCT place) FROM event"), 1);
	assert_int_equal(ask("SELECT length(argv) FROM event LIMIT 1"), 3);
	assert_int_equal(sw_history_trim(h, m.now), 0);
	assert_int_equal(ask("SELECT count(*) FROM event"), keep.events);
	assert_int_equal(ask("SELECT min(pid) FROM event"), 5001 - keep.events);
	/* Nowhere to go to: kept, up to a bound. */
	assert_int_equal(sw_history_exec(&h->d, "PRAGMA query_only = 1"), 0);
	for (unsigned int i = 0; i < 2048; i++)
		add_event(h, i);
	{
		struct sw_event e = {};
		const struct sw_event_view v = { .e = &e, .site = { .source = "none" } };

		assert_int_equal(sw_history_event(h, &v), -ENOBUFS);
	}
	assert_int_equal(sw_history_flush(h), -EROFS);
	assert_int_equal(sw_history_dropped(h), 1);
	assert_int_equal(sw_history_exec(&h->d, "PRAGMA query_only = 0"), 0);
	assert_int_equal(sw_history_flush(h), 0);
	assert_int_equal(ask("SELECT count(*) FROM event"), keep.events + 2048);
	/* Old events keep their place. */
	m.now += 200 * DAY;
	assert_int_equal(sw_history_trim(h, m.now), 0);
	assert_int_equal(ask("SELECT count(*) FROM event e JOIN place p ON p.id = e.place JOIN text t ON "
			     "t.id = p.directory WHERE t.value = CAST('/home/x' AS BLOB)"), keep.events);
	sw_history_close(h);
}

/* ---- The three ways out, and what became of connects ---- */

/* As the kernel has it once a connect of that directory ended: on the account and on the origin. */
static void became(uint32_t uid, unsigned int dir, const struct sw_outcome *o)
{
	const uint64_t id = (uint64_t)uid << 32;

	sw_outcome_add(&model_row(m.account, &m.n_accounts, id | 1, uid, SW_ROW_UID)->outcome, o);
	sw_outcome_add(&model_row(m.origin, &m.n_origins, id | (dir + 2), uid, SW_ROW_UID)->outcome, o);
}

/* The first of the rows that has the directory (NULL: of the accounts). */
static struct sw_stat between(time_t since, time_t until, bool live, const char *directory)
{
	struct sw_history_reader *h = open_reader(live);
	struct sw_stat found = {};
	struct sw_stats s;

	assert_int_equal(sw_history_read(h, since, until, &s), 0);
	for (size_t i = 0; i < (directory ? s.n_origins : s.n_accounts); i++) {
		const struct sw_stat *one = directory ? &s.origins[i] : &s.accounts[i];

		if (!directory || (one->directory && !strcmp(one->directory, directory)))
			found = *one;
	}
	found.directory = found.script = found.cgroup = found.argv = NULL;
	sw_stats_free(&s);
	sw_history_reader_free(h);
	return found;
}

static void test_channels(void **state)
{
	const struct sw_outcome one = { 1, 2, 3, 4, 500, 60, 7000000000 }, end = { .bytes_sent = 9 };
	struct sw_history *h = open_history();
	struct sw_stat a, o;

	(void)state;
	attempt(&m, 1001, 0, SW_N_LOCAL, 5);
	attempt(&m, 1001, 1, SW_N_SENDMAIL, 7);
	became(1001, 0, &one);
	assert_int_equal(roll(h, &m), 0);
	assert_int_equal(roll(h, &m), 0);
	sw_history_close(h);
	h = open_history();	/* the base is that of the file */
	became(1001, 0, &one);
	assert_int_equal(roll(h, &m), 0);
	m.now = T0 + HOUR + 5;
	attempt(&m, 1001, 1, SW_N_LOCAL, 1);
	became(1001, 1, &end);
	for (int written = 0; written < 2; written++) {
		a = between(0, m.now + 1, true, NULL);
		assert_int_equal(a.n[SW_N_LOCAL], 6);
		assert_int_equal(a.n[SW_N_SENDMAIL], 7);
		assert_int_equal(a.outcome.established, 2);
		assert_int_equal(a.outcome.refused, 4);
		assert_int_equal(a.outcome.timed_out, 6);
		assert_int_equal(a.outcome.failed, 8);
		assert_int_equal(a.outcome.bytes_sent, 1009);
		assert_int_equal(a.outcome.bytes_received, 120);
		assert_int_equal(a.outcome.duration_ns, 14000000000);
		o = between(0, m.now + 1, true, "/home/u1001/d0");
		assert_int_equal(o.n[SW_N_LOCAL], 5);
		assert_int_equal(o.outcome.bytes_sent, 1000);
		o = between(0, m.now + 1, true, "/home/u1001/d1");
		assert_int_equal(o.n[SW_N_SENDMAIL], 7);
		assert_int_equal(o.outcome.bytes_sent, 9);
		/* Of the second hour alone. */
		a = between(m.now, m.now + 1, true, NULL);
		assert_int_equal(a.n[SW_N_LOCAL], 1);
		assert_int_equal(a.n[SW_N_SENDMAIL], 0);
		assert_int_equal(a.outcome.bytes_sent, 9);
		assert_int_equal(a.outcome.established, 0);
		assert_int_equal(roll(h, &m), 0);
	}
	sw_history_close(h);
}

/* A file that has no such columns yet gets them, and goes on from there. */
static void test_channels_migrated(void **state)
{
	static const char *const tables[] = { "hour", "day", "base" };
	const struct sw_outcome one = { .established = 1, .duration_ns = 5 };
	struct sw_history *h = open_history();

	(void)state;
	attempt(&m, 1001, 0, SW_N_LOCAL, 5);
	assert_int_equal(roll(h, &m), 0);
	sw_history_close(h);
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++)
		for (int slot = _SW_N_MAX; slot < _SW_HISTORY_MAX; slot++) {
			char sql[128];

			snprintf(sql, sizeof(sql), "ALTER TABLE %s DROP COLUMN %s", tables[i],
				 sw_history_slots[slot]);
			ask(sql);
		}
	became(1001, 0, &one);
	assert_int_equal(between(0, m.now + 1, true, NULL).outcome.established, 1);
	assert_int_equal(between(0, m.now + 1, false, NULL).outcome.established, 0);
	h = open_history();
	assert_int_equal(roll(h, &m), 0);
	sw_history_close(h);
	assert_int_equal(between(0, m.now + 1, false, NULL).outcome.established, 1);
	assert_int_equal(between(0, m.now + 1, false, NULL).n[SW_N_LOCAL], 5);
	assert_int_equal(ask("SELECT sum(duration_ns) FROM day"), 5);
}

/* ---- Files ---- */

static void test_no_file(void **state)
{
	struct sw_history_reader *h = NULL;
	char directory[128];

	(void)state;
	assert_int_equal(sw_history_reader_open("/nonexistent", &h), -ENOENT);
	assert_int_equal(sw_history_reader_open(state_dir, &h), -ENOENT);
	snprintf(directory, sizeof(directory), "%s/history", state_dir);
	assert_int_equal(mkdir(directory, 0700), 0);
	assert_int_equal(sw_history_reader_open(state_dir, &h), -ENOENT);
	assert_int_equal(access(db_path, F_OK), -1);	/* nothing was made */
	sw_history_close(open_history());
	ask("PRAGMA user_version = 9");
	assert_int_equal(sw_history_reader_open(state_dir, &h), -ENOTSUP);
	ask("PRAGMA user_version = 1");
	ask("DROP TABLE meta");
	assert_int_equal(sw_history_reader_open(state_dir, &h), -EBADMSG);
}

/* A file of an older version, whose writer still runs, lacks columns; they count 0. */
static void test_older_columns(void **state)
{
	struct sw_history *h = open_history();

	(void)state;
	attempt(&m, 1001, 0, SW_N_DENIED, 3);
	assert_int_equal(roll(h, &m), 0);
	sw_history_close(h);
	ask("ALTER TABLE hour DROP COLUMN local");
	ask("ALTER TABLE day DROP COLUMN local");
	ask("ALTER TABLE base DROP COLUMN local");
	attempt(&m, 1001, 0, SW_N_LOCAL, 2);
	assert_int_equal(count_between(0, m.now + 1, true), 5);
	assert_int_equal(count_between(0, m.now + 1, false), 3);
}

/* Numbers, types and rows that nobody of us wrote: an answer or an error, nothing else. */
static void test_nonsense(void **state)
{
	static const char *const sql[] = {
		"UPDATE hour SET denied = -5", "UPDATE hour SET denied = 'x'",
		"UPDATE day SET sketch = zeroblob(3)", "UPDATE place SET row = 99",
		"UPDATE place SET user = -1, domain = 9223372036854775807",
		"UPDATE place SET sites = -9223372036854775807", "UPDATE place SET part = 77",
		"UPDATE base SET denied = -1", "UPDATE base SET part = 5", "DELETE FROM text",
		"UPDATE hour SET place = 9223372036854775807",
		"UPDATE hour SET first = 9223372036854775807, last = -9223372036854775807",
		"UPDATE meta SET value = -1", "DELETE FROM place",
		("INSERT INTO hour(start, place, first, last, denied) SELECT 0, place, 0, 0, "
		 "9223372036854775807 FROM hour"), "UPDATE hour SET denied = 9223372036854775807",
		"DROP TABLE text", "CREATE TABLE text(id, value)",
	};
	struct sw_history *h = open_history();

	(void)state;
	attempt(&m, 1001, 0, SW_N_DENIED, 3);
	attempt(&m, 1001, 1, SW_N_DENIED, 3);
	assert_int_equal(roll(h, &m), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sql); i++) {
		struct sw_stats now = {
			.accounts = m.account, .n_accounts = m.n_accounts, .origins = m.origin,
			.n_origins = m.n_origins, .now = m.now,
		};
		const struct sw_history_reading r = { .s = &now, .instance = { 77, 78 } };
		struct sw_history_reader *reader;
		struct sw_timeline t;
		struct told told = {};
		struct sw_stats s;

		ask(sql[i]);
		attempt(&m, 1001, 0, SW_N_DENIED, 1);
		if (sw_history_reader_open(state_dir, &reader) == 0) {
			(void)sw_history_reader_add(reader, &r, NULL);
			if (sw_history_read(reader, 0, m.now + 1, &s) == 0) {
				for (size_t j = 0; j < s.n_accounts; j++)
					if (sw_history_timeline(reader, &s.accounts[j], 0, m.now, &t) == 0)
						sw_timeline_free(&t);
				sw_stats_free(&s);
			}
			sw_history_reader_free(reader);
		}
		(void)sw_history_averages(h, 7, m.now, tell, &told);
		(void)roll(h, &m);
		(void)sw_history_trim(h, m.now);
	}
	sw_history_close(h);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_periods), T(test_not_written_yet), T(test_snapshot), T(test_names_of_the_time),
		T(test_share_of_places), T(test_hostile_texts), T(test_details), T(test_timeline),
		T(test_averages), T(test_counted), T(test_trim), T(test_events), T(test_channels),
		T(test_channels_migrated), T(test_no_file), T(test_older_columns), T(test_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
