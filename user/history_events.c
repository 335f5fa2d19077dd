/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events out of the database, as they were seen: for whoever must not take them from the kernel's
 * buffer, because the monitor does. A batch at a time, so that who is slow to show them neither
 * holds a moment of the file, which then could only grow, nor all of them in memory.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "decide.h"
#include "history_read.h"
#include "policy.h"
#include "util.h"

#define BATCH		64
#define MAX_TEXT	4096	/* what is longer we have not written */

/* What the parameters of `conditions` are. */
enum { P_AFTER = 1, P_END, P_UID, P_ROW, P_VERDICTS, P_PORT, P_SINCE, P_DOMAIN, P_DIRECTORY, P_LIMIT };

#define TEXT_OF(column)	"(SELECT value FROM text WHERE id = p." column ")"
#define CONDITIONS \
	" FROM event e CROSS JOIN place p ON p.id = e.place WHERE e.id > ?1 AND e.id <= ?2" \
	" AND (?3 IS NULL OR (p.uid = ?3 AND p.row = ?4))" \
	" AND (?5 = 0 OR ((?5 >> e.verdict) & 1) = 1)" \
	" AND (?6 = 0 OR e.port = ?6)" \
	" AND (?7 IS NULL OR e.time >= ?7)" \
	" AND (?8 IS NULL OR lower(CAST(" TEXT_OF("domain") " AS TEXT)) = lower(?8))" \
	" AND (?9 IS NULL OR " TEXT_OF("directory") " = ?9)"

enum {
	C_ID, C_TIME, C_VERDICT, C_REASON, C_ADDRESS, C_PORT, C_FAMILY, C_PID, C_PPID, C_EUID, C_RUID,
	C_GID, C_LOGINUID, C_COMM, C_PARENT, C_ARGV, C_UID, C_ROW, C_SITES, C_GUESS, C_DIRECTORY,
	C_SCRIPT, C_CGROUP, C_USER, C_ACCOUNT, C_DOMAIN, C_SOURCE,
};

static const char select_events[] =
	"SELECT e.id, e.time, e.verdict, e.reason, e.address, e.port, e.family, e.pid, e.ppid, e.euid,"
	" e.ruid, e.gid, e.loginuid, e.comm, e.parent, e.argv, p.uid, p.row, p.sites, p.guess, "
	TEXT_OF("directory") ", " TEXT_OF("script") ", " TEXT_OF("cgroup") ", " TEXT_OF("user") ", "
	TEXT_OF("account") ", " TEXT_OF("domain") ", " TEXT_OF("source")
	CONDITIONS " ORDER BY e.id LIMIT ?10";

/* The oldest of the newest so many. */
static const char select_first[] =
	"SELECT min(id) FROM (SELECT e.id AS id" CONDITIONS " ORDER BY e.id DESC LIMIT ?10)";

struct kept {
	struct sw_event e;
	struct sw_event_view v;
	char *site[4];		/* what v.site points to */
};

struct batch {
	struct kept event[BATCH];
	size_t n;		/* of `event` */
	int64_t last;		/* event up to which was looked */
};

/* ---- A row ---- */

static char *get_text(sqlite3_stmt *st, int column)
{
	const char *bytes = sqlite3_column_blob(st, column);
	int len = sqlite3_column_bytes(st, column);

	return strndup(bytes ?: "", bytes && len > 0 ? (size_t)(len < MAX_TEXT ? len : MAX_TEXT) : 0);
}

/* NULL in the database is not known; that is no error. 0 or -ENOMEM. */
static int get_known(sqlite3_stmt *st, int column, const char **ret)
{
	*ret = NULL;
	if (sqlite3_column_type(st, column) == SQLITE_NULL)
		return 0;
	*ret = get_text(st, column);
	return *ret ? 0 : -ENOMEM;
}

/* At most `max` bytes. */
static size_t get_bytes(sqlite3_stmt *st, int column, char *buf, size_t max)
{
	const void *bytes = sqlite3_column_blob(st, column);
	int n = sqlite3_column_bytes(st, column);
	size_t len = bytes && n > 0 ? (size_t)n < max ? (size_t)n : max : 0;

	if (len)
		memcpy(buf, bytes, len);
	return len;
}

static bool get_address(sqlite3_stmt *st, struct sw_event *e)
{
	char text[SW_ADDRESS_LEN] = "";
	struct in_addr v4;

	get_bytes(st, C_ADDRESS, text, sizeof(text) - 1);
	if (!strcmp(text, sw_channel_name(SW_CHANNEL_SENDMAIL))) {
		e->channel = SW_CHANNEL_SENDMAIL;
		return true;
	}
	if (inet_pton(AF_INET6, text, e->daddr) == 1)
		return true;
	if (inet_pton(AF_INET, text, &v4) != 1)
		return false;
	memset(e->daddr, 0, 10);
	memset(e->daddr + 10, 0xff, 2);
	memcpy(e->daddr + 12, &v4, sizeof(v4));
	return true;
}

/* Numbers of the event; false: no event of ours has such ones. */
static bool get_numbers(sqlite3_stmt *st, struct sw_event *e)
{
	int64_t verdict = sqlite3_column_int64(st, C_VERDICT), reason = sqlite3_column_int64(st, C_REASON);
	int64_t row = sqlite3_column_int64(st, C_ROW);

	if (verdict < 0 || verdict >= _SW_VERDICT_MAX || reason < 0 || reason >= _SW_REASON_MAX ||
	    row < 0 || row > SW_ROW_MORE)
		return false;
	e->verdict = (__u8)verdict;
	e->reason = (__u8)reason;
	e->charged_row = (__u8)row;
	e->charged_uid = (uint32_t)sqlite3_column_int64(st, C_UID);
	e->dport = (uint16_t)sqlite3_column_int64(st, C_PORT);
	e->family = (__u8)sqlite3_column_int64(st, C_FAMILY);
	e->pid = e->tgid = (uint32_t)sqlite3_column_int64(st, C_PID);
	e->ppid = (uint32_t)sqlite3_column_int64(st, C_PPID);
	e->euid = (uint32_t)sqlite3_column_int64(st, C_EUID);
	e->ruid = (uint32_t)sqlite3_column_int64(st, C_RUID);
	e->egid = (uint32_t)sqlite3_column_int64(st, C_GID);
	e->loginuid = (uint32_t)sqlite3_column_int64(st, C_LOGINUID);
	return get_address(st, e);
}

static int get_where(sqlite3_stmt *st, struct sw_event_view *v)
{
	struct sw_stat *w = &v->where;
	char *argv;
	int r;

	w->uid = v->e->charged_uid;
	w->row = (enum sw_row)v->e->charged_row;
	w->directory = get_text(st, C_DIRECTORY);
	w->script = get_text(st, C_SCRIPT);
	w->argv = argv = calloc(1, SW_ARGV_LEN);
	if (!w->directory || !w->script || !argv)
		return -ENOMEM;
	w->argv_len = get_bytes(st, C_ARGV, argv, SW_ARGV_LEN - 1);
	memcpy(w->comm, v->comm, SW_COMM_LEN);
	r = get_known(st, C_CGROUP, &w->cgroup);
	if (!r && w->cgroup)
		(void)sw_container_describe(w->cgroup, v->container, sizeof(v->container));
	return r;
}

/* The names of that time. */
static int get_site(sqlite3_stmt *st, struct kept *k)
{
	static const int column[ARRAY_SIZE(k->site)] = { C_USER, C_ACCOUNT, C_DOMAIN, C_SOURCE };
	int64_t sites = sqlite3_column_int64(st, C_SITES);
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(column) && !r; i++)
		r = get_known(st, column[i], (const char **)&k->site[i]);
	k->v.site.user = k->site[0];
	k->v.site.account = k->site[1];
	k->v.site.domain = k->site[2];
	k->v.site.source = k->site[3];
	k->v.site.sites = sites > 0 ? (size_t)sites : 1;
	k->v.site.one_of_several = sqlite3_column_int(st, C_GUESS) != 0;
	return r;
}

static void free_kept(struct kept *k)
{
	sw_event_view_free(&k->v);
	for (size_t i = 0; i < ARRAY_SIZE(k->site); i++)
		free(k->site[i]);
}

/* 1; 0: no event of ours, left out; -ENOMEM. */
static int get_event(sqlite3_stmt *st, struct kept *k)
{
	struct sw_event_view *v = &k->v;
	int r;

	*k = (struct kept){ .v.e = &k->e };
	if (!get_numbers(st, &k->e))
		return 0;
	v->time = (time_t)sqlite3_column_int64(st, C_TIME);
	v->no_uid = k->e.charged_row == SW_ROW_KERNEL || k->e.charged_row == SW_ROW_OVERFLOW;
	sw_event_destination(&k->e, v->address, v->destination);
	get_bytes(st, C_COMM, v->comm, SW_COMM_LEN);
	get_bytes(st, C_PARENT, v->parent, SW_COMM_LEN);
	r = get_where(st, v);
	if (!r)
		r = get_site(st, k);
	if (r < 0)
		free_kept(k);
	return r ?: 1;
}

/* ---- Rows ---- */

/* Whatever is read from here on is the file as it is by then. */
static int let_go(struct sw_history_db *d)
{
	if (!sqlite3_get_autocommit(d->db))
		(void)sw_history_exec(d, "ROLLBACK");
	return sw_history_exec(d, "BEGIN");
}

static void bind_filter(sqlite3_stmt *st, const struct sw_history_filter *f, int64_t after, int64_t end,
			int64_t limit)
{
	sqlite3_bind_int64(st, P_AFTER, after);
	sqlite3_bind_int64(st, P_END, end);
	if (f->is_uid)
		sqlite3_bind_int64(st, P_UID, f->uid);
	sqlite3_bind_int(st, P_ROW, (int)f->row);
	sqlite3_bind_int64(st, P_VERDICTS, f->verdicts);
	sqlite3_bind_int64(st, P_PORT, f->port);
	if (f->is_since)
		sqlite3_bind_int64(st, P_SINCE, f->since);
	if (f->domain)
		sqlite3_bind_text(st, P_DOMAIN, f->domain, -1, SQLITE_STATIC);
	if (f->directory)
		sqlite3_bind_blob(st, P_DIRECTORY, f->directory, (int)strlen(f->directory), SQLITE_STATIC);
	sqlite3_bind_int64(st, P_LIMIT, limit);
}

/* A number that `st` gives, 0 for NULL; ends it. */
static int take_number(struct sw_history_db *d, sqlite3_stmt *st, int64_t *ret)
{
	int rc = sqlite3_step(st);

	*ret = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return sw_history_errno(d->db, rc);
}

/* What is wanted lies behind event *after (which only grows), up to *end. */
static int find_ends(struct sw_history_db *d, const struct sw_history_filter *f, int64_t *after,
		     int64_t *end)
{
	int64_t first = 0;
	sqlite3_stmt *st;
	int r;

	st = sw_history_query(d, "SELECT max(id) FROM event", &r);
	r = st ? take_number(d, st, end) : r;
	if (r < 0 || !f->newest || *after >= *end)
		return r;
	st = sw_history_query(d, select_first, &r);
	if (!st)
		return r;
	bind_filter(st, f, *after, *end, f->newest);
	r = take_number(d, st, &first);
	*after = first > *after ? first - 1 : *end;	/* none: no need to look again */
	return r;
}

static int read_batch(struct sw_history_db *d, const struct sw_history_filter *f, int64_t after,
		      int64_t end, struct batch *b)
{
	sqlite3_stmt *st;
	int r, rc;

	b->n = 0;
	b->last = end;
	st = sw_history_query(d, select_events, &r);
	if (!st)
		return r;
	bind_filter(st, f, after, end, BATCH);
	for (size_t i = 0; (rc = sqlite3_step(st)) == SQLITE_ROW && r >= 0; i++) {
		r = get_event(st, &b->event[b->n]);
		b->n += r > 0;
		if (i + 1 == BATCH)
			b->last = sqlite3_column_int64(st, C_ID);
	}
	sqlite3_finalize(st);
	return r < 0 ? r : sw_history_errno(d->db, rc);
}

static int tell_batch(struct batch *b, int (*fn)(void *data, const struct sw_event_view *v), void *data)
{
	int r = 0;

	for (size_t i = 0; i < b->n && !r; i++)
		r = fn(data, &b->event[i].v);
	return r;
}

int sw_history_events(struct sw_history_reader *h, const struct sw_history_filter *f, int64_t *after,
		      int (*fn)(void *data, const struct sw_event_view *v), void *data)
{
	_cleanup_free_ struct batch *b = calloc(1, sizeof(*b));
	int64_t at = *after, end = 0;
	int r = b ? let_go(&h->file) : -ENOMEM;

	if (!r)
		r = find_ends(&h->file, f, &at, &end);
	while (!r && at < end) {
		int error = read_batch(&h->file, f, at, end, b);

		r = let_go(&h->file);
		if (!r)
			r = error;
		if (!r)
			r = tell_batch(b, fn, data);
		for (size_t i = 0; i < b->n; i++)
			free_kept(&b->event[i]);
		at = b->last;
	}
	if (r)
		return r;
	*after = at;
	return let_go(&h->file);
}
