/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Places and their texts. Each text is in the database once. */
#include <errno.h>
#include <string.h>

#include "history_int.h"
#include "util.h"

static int find(struct sw_history_db *d, sqlite3_stmt *st, int64_t *ret)
{
	int rc = sqlite3_step(st), r = sw_history_errno(d->db, rc);

	*ret = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_reset(st);
	return r;
}

/* 0 for NULL. */
static int text_id(struct sw_history_db *d, const char *text, int64_t *ret)
{
	sqlite3_stmt *st;
	int r;

	*ret = 0;
	if (!text)
		return 0;
	st = sw_history_statement(d, SW_HS_TEXT_FIND, &r);
	if (!st)
		return r;
	sqlite3_bind_blob(st, 1, text, (int)strlen(text), SQLITE_STATIC);
	r = find(d, st, ret);
	if (r < 0 || *ret)
		return r;
	st = sw_history_statement(d, SW_HS_TEXT_ADD, &r);
	if (!st)
		return r;
	sqlite3_bind_blob(st, 1, text, (int)strlen(text), SQLITE_STATIC);
	r = sw_history_run(d, st);
	*ret = sqlite3_last_insert_rowid(d->db);
	return r;
}

/* Everything that tells places apart, in the order of the columns. */
static int bind_place(struct sw_history_db *d, sqlite3_stmt *st, const struct sw_spot *p)
{
	const char *const texts[] = { p->user, p->account, p->domain, p->source, p->directory, p->script,
				      p->cgroup };
	static const int column[ARRAY_SIZE(texts)] = { 4, 5, 6, 7, 10, 11, 12 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(texts) && !r; i++) {
		int64_t id;

		r = text_id(d, texts[i], &id);
		sqlite3_bind_int64(st, column[i], id);
	}
	sqlite3_bind_int64(st, 1, p->uid);
	sqlite3_bind_int(st, 2, (int)p->row);
	sqlite3_bind_int(st, 3, (int)p->part);
	sqlite3_bind_int64(st, 8, (sqlite3_int64)p->sites);
	sqlite3_bind_int(st, 9, p->guess);
	return r;
}

int sw_history_place(struct sw_history_db *d, const struct sw_spot *p, time_t now, int64_t *ret)
{
	sqlite3_stmt *st;
	int r;

	st = sw_history_statement(d, SW_HS_PLACE_FIND, &r);
	if (!st)
		return r;
	r = bind_place(d, st, p) ?: find(d, st, ret);
	if (r < 0 || *ret)
		return r;
	st = sw_history_statement(d, SW_HS_PLACE_ADD, &r);
	if (!st)
		return r;
	r = bind_place(d, st, p);
	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 13, now);
	sqlite3_bind_int64(st, 14, now);
	r = sw_history_run(d, st);
	*ret = sqlite3_last_insert_rowid(d->db);
	return r;
}
