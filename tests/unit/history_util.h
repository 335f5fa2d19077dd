/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of the history: a kernel whose counters the test moves, and a look into the file. */
#ifndef HISTORY_UTIL_H
#define HISTORY_UTIL_H

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "history_int.h"
#include "util.h"

#define T0		1907323200	/* 2030-06-10 12:00 UTC, a Monday */
#define HOUR		3600
#define DAY		86400
#define MODEL_MAX	600
#define TEXT_MAX	64

/* As sw_stats_build() leaves it: accounts and origins in order. */
struct model {
	struct sw_stat account[MODEL_MAX], origin[MODEL_MAX];
	struct sw_hours hours[8];
	char directory[MODEL_MAX][TEXT_MAX];
	size_t n_accounts, n_origins, n_hours;
	uint64_t instance;
	time_t now;
};

static char state_dir[64], db_path[128];
static const struct sw_history_limits keep = { .days = 90, .events = 1000 };

static inline int make_state(void **state)
{
	(void)state;
	snprintf(state_dir, sizeof(state_dir), "/tmp/swhist-XXXXXX");
	assert_non_null(mkdtemp(state_dir));
	snprintf(db_path, sizeof(db_path), "%s/history/history.db", state_dir);
	assert_int_equal(setenv("TZ", "UTC", 1), 0);
	tzset();
	return 0;
}

static inline int remove_state(void **state)
{
	static const char *const files[] = { "/history/history.db", "/history/history.db-wal",
					     "/history/history.db-shm", "/history/x", "/history", "" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s%s", state_dir, files[i]);
		if (unlink(path) < 0 && rmdir(path) < 0)
			continue;
	}
	return 0;
}

static inline struct sw_stat *model_row(struct sw_stat *rows, size_t *n, uint64_t id, uint32_t uid,
					enum sw_row row)
{
	size_t at = 0;

	for (size_t i = 0; i < *n; i++)
		if (rows[i].id == id)
			return &rows[i];
	assert_true(*n < MODEL_MAX);
	rows[*n] = (struct sw_stat){ .uid = uid, .row = row };
	while (at < *n && sw_stat_compare_account(&rows[at], &rows[*n]) <= 0)
		at++;
	memmove(&rows[at + 1], &rows[at], (*n - at) * sizeof(*rows));
	rows[at] = (struct sw_stat){ .id = id, .uid = uid, .row = row };
	++*n;
	return &rows[at];
}

static inline void count(struct sw_stat *s, enum sw_slot slot, uint64_t n, time_t when)
{
	s->n[slot] += n;
	s->last = when;
	s->last_ns = (uint64_t)when;
	if (!s->first)
		s->first = when;
}

/* An attempt as the kernel counts it, on the account and on directory `dir` of it. */
static inline void attempt(struct model *m, uint32_t uid, unsigned int dir, enum sw_slot slot, uint64_t n)
{
	struct sw_stat *s = model_row(m->account, &m->n_accounts, (uint64_t)uid << 32 | 1, uid, SW_ROW_UID);

	count(s, slot, n, m->now);
	s = model_row(m->origin, &m->n_origins, (uint64_t)uid << 32 | (dir + 2), uid, SW_ROW_UID);
	count(s, slot, n, m->now);
	if (s->directory)
		return;
	for (size_t i = 0; i < MODEL_MAX && !s->directory; i++) {
		if (m->directory[i][0])
			continue;
		snprintf(m->directory[i], TEXT_MAX, "/home/u%u/d%u", uid, dir);
		s->directory = m->directory[i];
		s->script = "mail.php";
	}
}

/* Offences by the hour of an account that is there. */
static inline void hour_count(struct model *m, uint32_t uid, uint32_t newest, uint32_t hour, uint32_t n)
{
	struct sw_stat *s = model_row(m->account, &m->n_accounts, (uint64_t)uid << 32 | 1, uid, SW_ROW_UID);

	if (!s->hours)
		s->hours = &m->hours[m->n_hours++];
	((struct sw_hours *)s->hours)->newest = newest;
	((struct sw_hours *)s->hours)->n[hour % SW_HOURS] = n;
}

static inline int roll_with(struct sw_history *h, struct model *m, struct sw_domains *d)
{
	struct sw_stats s = {
		.accounts = m->account, .n_accounts = m->n_accounts, .origins = m->origin,
		.n_origins = m->n_origins, .now = m->now,
	};
	const struct sw_history_reading r = { .s = &s, .instance = { m->instance, m->instance + 1 } };

	return sw_history_roll_reading(h, &r, d);
}

static inline int roll(struct sw_history *h, struct model *m)
{
	return roll_with(h, m, NULL);
}

static inline struct sw_history *open_history(void)
{
	struct sw_history *h = NULL;

	assert_int_equal(sw_history_open(state_dir, &keep, &h), 0);
	return h;
}

/* A number out of the file, by a connection of its own. */
static inline int64_t ask(const char *sql)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	int64_t n = 0;

	assert_int_equal(sqlite3_open_v2(db_path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	sqlite3_busy_timeout(db, 10000);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	if (sqlite3_step(st) == SQLITE_ROW)
		n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

#define ASK_JOIN(table)	" FROM " table " x JOIN place p ON p.id = x.place "
#define ALL_SLOTS	"allowed + denied + would_deny + limited + redirected + local + sendmail"
#define ACCOUNTS	"WHERE p.part < 2"
#define ORIGINS		"WHERE p.part != 1"

#endif
