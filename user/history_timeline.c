/* SPDX-License-Identifier: GPL-2.0-or-later */
/* When an account of the history did what it did. */
#include <errno.h>
#include <string.h>

#include "history_read.h"
#include "util.h"

#define MAX_DAYS	400
#define MAX_PLACES	512	/* of one account; what is beyond does not show in the picture */

/* ---- Bars ---- */

static time_t next_day(time_t t)
{
	struct tm tm;

	localtime_r(&t, &tm);
	tm.tm_mday++;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return mktime(&tm);
}

static time_t begin_of_day(time_t t)
{
	struct tm tm;

	localtime_r(&t, &tm);
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return mktime(&tm);
}

static int make_bars(time_t since, time_t until, struct sw_timeline *t)
{
	size_t room = MAX_DAYS > SW_TIMELINE_HOURS ? MAX_DAYS : SW_TIMELINE_HOURS;

	*t = (struct sw_timeline){ .by_day = until - since > SW_TIMELINE_HOURS * SW_HISTORY_HOUR };
	t->start = calloc(room, sizeof(*t->start));
	t->count = calloc(room, sizeof(*t->count));
	if (!t->start || !t->count)
		return -ENOMEM;
	if (t->by_day && until - since > (MAX_DAYS - 2) * SW_HISTORY_DAY)
		since = until - (MAX_DAYS - 2) * SW_HISTORY_DAY;
	for (time_t at = t->by_day ? begin_of_day(since) : since; at <= until && t->n < room;
	     at = t->by_day ? next_day(at) : at + SW_HISTORY_HOUR)
		t->start[t->n++] = at;
	return 0;
}

static void add_count(struct sw_timeline *t, time_t when, uint64_t n)
{
	size_t low = 0, high = t->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->start[middle] <= when)
			low = middle + 1;
		else
			high = middle;
	}
	if (low && n <= INT64_MAX)
		t->count[low - 1] += n;
}

/* ---- Counts ---- */

struct places {
	int64_t id[MAX_PLACES];
	size_t n;
};

static bool is_of(sqlite3_stmt *st, const char *user)
{
	const void *name = sqlite3_column_blob(st, 1);
	size_t len = (size_t)sqlite3_column_bytes(st, 1);

	if (!user || sqlite3_column_type(st, 1) == SQLITE_NULL)
		return !user && sqlite3_column_type(st, 1) == SQLITE_NULL;
	return len == strlen(user) && (!len || !memcmp(name, user, len));
}

static int find_places(struct sw_history_db *d, const struct sw_stat *a, struct places *p)
{
	const char *user = a->site ? a->site->user : NULL;
	sqlite3_stmt *st;
	int r, rc;

	p->n = 0;
	st = sw_history_query(d, "SELECT p.id, t.value FROM place p LEFT JOIN text t ON t.id = p.user WHERE"
			      " p.uid = ? AND p.part < 2 AND p.row IN (?, ?)", &r);
	if (!st)
		return r;
	sqlite3_bind_int64(st, 1, a->uid);
	sqlite3_bind_int(st, 2, (int)a->row);
	sqlite3_bind_int(st, 3, a->row == SW_ROW_UID ? SW_ROW_MORE : (int)a->row);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		if (p->n < MAX_PLACES && is_of(st, user))
			p->id[p->n++] = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return sw_history_errno(d->db, rc);
}

static int add_hour(struct sw_history_db *d, sqlite3_stmt *st, time_t start, const struct places *p,
		    struct sw_timeline *t)
{
	int rc = SQLITE_DONE;

	for (size_t i = 0; i < p->n && (rc == SQLITE_DONE || rc == SQLITE_ROW); i++) {
		sqlite3_bind_int64(st, 1, start);
		sqlite3_bind_int64(st, 2, p->id[i]);
		rc = sqlite3_step(st);
		if (rc == SQLITE_ROW)
			add_count(t, start, (uint64_t)sqlite3_column_int64(st, 0));
		sqlite3_reset(st);
	}
	return sw_history_errno(d->db, rc);
}

/* From one hour that has rows to the next, and in each to the account's: both are steps down the
 * key, where passing over everybody's rows would take as long as there are accounts. */
static int add_source(struct sw_history_db *d, const struct sw_stat *a, time_t since, time_t until,
		      struct sw_timeline *t)
{
	sqlite3_stmt *next = NULL, *one = NULL;
	struct places places;
	time_t at = since - 1;
	int r = find_places(d, a, &places), rc = SQLITE_DONE;

	if (!r)
		next = sw_history_query(d, "SELECT min(start) FROM hour WHERE start > ?", &r);
	if (!r)
		one = sw_history_query(d, "SELECT %O FROM hour WHERE start = ? AND place = ?", &r);
	while (!r && places.n) {
		sqlite3_bind_int64(next, 1, at);
		rc = sqlite3_step(next);
		if (rc != SQLITE_ROW || sqlite3_column_type(next, 0) == SQLITE_NULL)
			break;
		at = (time_t)sqlite3_column_int64(next, 0);
		sqlite3_reset(next);
		if (at > until)
			break;
		r = add_hour(d, one, at, &places, t);
	}
	sqlite3_finalize(next);
	sqlite3_finalize(one);
	return r ?: sw_history_errno(d->db, rc);
}

int sw_history_timeline(struct sw_history_reader *h, const struct sw_stat *a, time_t since,
			time_t until, struct sw_timeline *ret)
{
	struct sw_timeline t;
	int r;

	sw_history_whole_hours(&since, &until);
	r = make_bars(since, until, &t);
	if (!r)
		r = add_source(&h->file, a, since, until, &t);
	if (!r && h->has_live)
		r = add_source(&h->live.d, a, since, until, &t);
	if (r < 0)
		sw_timeline_free(&t);
	else
		*ret = t;
	return r;
}

void sw_timeline_free(struct sw_timeline *t)
{
	free(t->start);
	free(t->count);
	*t = (struct sw_timeline){};
}
