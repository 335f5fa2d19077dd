/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The database: its tables, its statements, and what its errors mean. */
#include <errno.h>
#include <string.h>

#include "history_int.h"
#include "util.h"

#define BUSY_MS		5000
#define MAX_WAL		"16777216"	/* what a reader that took long may leave */
#define MAX_VALUE	(1024 * 1024)	/* more than anything we write */

const char *const sw_history_slots[_SW_HISTORY_MAX] = {
	[SW_N_ALLOWED] = "allowed", [SW_N_DENIED] = "denied",	      [SW_N_WOULD_DENY] = "would_deny",
	[SW_N_LIMITED] = "limited", [SW_N_REDIRECTED] = "redirected", [SW_N_LOCAL] = "local",
	[SW_N_SENDMAIL] = "sendmail", [SW_HISTORY_ESTABLISHED] = "established",
	[SW_HISTORY_REFUSED] = "refused", [SW_HISTORY_TIMED_OUT] = "timed_out",
	[SW_HISTORY_FAILED] = "failed", [SW_HISTORY_SENT] = "bytes_sent",
	[SW_HISTORY_RECEIVED] = "bytes_received", [SW_HISTORY_DURATION] = "duration_ns",
};

/* %C columns, %D their definitions, %V a parameter for each, %A each added to what is there, %X
 * each in place of what is there, %S their sums, %O the sum of what makes an offender. */

static const char schema[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE text(id INTEGER PRIMARY KEY, value BLOB NOT NULL UNIQUE);"
	/* Texts by id, 0: not known. */
	"CREATE TABLE place(id INTEGER PRIMARY KEY, uid INTEGER NOT NULL, row INTEGER NOT NULL,"
	" part INTEGER NOT NULL, user INTEGER NOT NULL, account INTEGER NOT NULL,"
	" domain INTEGER NOT NULL, source INTEGER NOT NULL, sites INTEGER NOT NULL,"
	" guess INTEGER NOT NULL, directory INTEGER NOT NULL, script INTEGER NOT NULL,"
	" cgroup INTEGER NOT NULL, first INTEGER NOT NULL, seen INTEGER NOT NULL,"
	" last INTEGER NOT NULL DEFAULT 0, destination TEXT,"
	" UNIQUE(uid, directory, script, row, part, user, account, domain, source, sites, guess,"
	" cgroup));"
	/* first and last: seconds after start. */
	"CREATE TABLE hour(start INTEGER NOT NULL, place INTEGER NOT NULL, first INTEGER NOT NULL,"
	" last INTEGER NOT NULL, %D, PRIMARY KEY(start, place)) WITHOUT ROWID;"
	"CREATE TABLE day(start INTEGER NOT NULL, place INTEGER NOT NULL, first INTEGER NOT NULL,"
	" last INTEGER NOT NULL, sketch BLOB, %D, PRIMARY KEY(start, place)) WITHOUT ROWID;"
	/* What of the kernel's rows is in here. */
	"CREATE TABLE base(part INTEGER NOT NULL, id INTEGER NOT NULL, sketch BLOB, %D,"
	" PRIMARY KEY(part, id)) WITHOUT ROWID;"
	"CREATE TABLE event(id INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
	" place INTEGER NOT NULL, verdict INTEGER NOT NULL, reason INTEGER NOT NULL, address TEXT,"
	" port INTEGER, family INTEGER, pid INTEGER, ppid INTEGER, euid INTEGER, ruid INTEGER,"
	" gid INTEGER, loginuid INTEGER, comm BLOB, parent BLOB, argv BLOB);"
	"CREATE TABLE window(kind INTEGER NOT NULL, id INTEGER NOT NULL, channel INTEGER NOT NULL,"
	" hour INTEGER NOT NULL, hour_used INTEGER NOT NULL, day_used INTEGER NOT NULL,"
	" PRIMARY KEY(kind, id, channel)) WITHOUT ROWID;"
	"CREATE TABLE denied(uid INTEGER PRIMARY KEY, by INTEGER NOT NULL, until INTEGER);";

/* From each version to the next; the first one makes everything. */
static const char *const migration[SW_HISTORY_VERSION] = { schema };

static const char *const statement[_SW_HS_MAX] = {
	[SW_HS_TEXT_FIND] = "SELECT id FROM text WHERE value = ?",
	[SW_HS_TEXT_ADD] = "INSERT INTO text(value) VALUES(?)",
	[SW_HS_PLACE_FIND] = "SELECT id FROM place WHERE uid = ? AND row = ? AND part = ? AND user = ?"
			     " AND account = ? AND domain = ? AND source = ? AND sites = ?"
			     " AND guess = ? AND directory = ? AND script = ? AND cgroup = ?",
	[SW_HS_PLACE_ADD] = "INSERT INTO place(uid, row, part, user, account, domain, source, sites,"
			    " guess, directory, script, cgroup, first, seen)"
			    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[SW_HS_PLACE_TOUCH] = "UPDATE place SET seen = max(seen, ?1), last = max(last, ?2),"
			      " destination = coalesce(?3, destination) WHERE id = ?4",
	[SW_HS_HOUR_ADD] = "INSERT INTO hour(start, place, first, last, %C) VALUES(?, ?, ?, ?, %V)"
			   " ON CONFLICT(start, place) DO UPDATE SET first = min(first, excluded.first),"
			   " last = max(last, excluded.last), %A",
	[SW_HS_HOUR_HAS] = "SELECT 1 FROM hour WHERE start = ? AND place = ?",
	[SW_HS_DAY_ADD] = "INSERT INTO day(start, place, first, last, sketch, %C)"
			  " VALUES(?, ?, ?, ?, ?, %V)"
			  " ON CONFLICT(start, place) DO UPDATE SET first = min(first, excluded.first),"
			  " last = max(last, excluded.last), sketch = sw_or(sketch, excluded.sketch), %A",
	[SW_HS_BASE_SET] = "INSERT INTO base(part, id, sketch, %C) VALUES(?, ?, ?, %V)"
			   " ON CONFLICT(part, id) DO UPDATE SET sketch = excluded.sketch, %X",
	[SW_HS_META_SET] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)",
	[SW_HS_EVENT_ADD] = "INSERT INTO event(time, place, verdict, reason, address, port, family, pid,"
			    " ppid, euid, ruid, gid, loginuid, comm, parent, argv)"
			    " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	/* A window that has not changed is not written. */
	[SW_HS_WINDOW_SET] = "INSERT INTO window(kind, id, channel, hour, hour_used, day_used)"
			     " VALUES(?, ?, ?, ?, ?, ?) ON CONFLICT(kind, id, channel) DO UPDATE SET"
			     " hour = excluded.hour, hour_used = excluded.hour_used,"
			     " day_used = excluded.day_used WHERE hour != excluded.hour"
			     " OR hour_used != excluded.hour_used OR day_used != excluded.day_used",
	[SW_HS_DENIED_ADD] = "INSERT INTO denied(uid, by, until) VALUES(?, ?, ?)",
	[SW_HS_COUNT_PLACES] = "SELECT p.uid, count(*) FROM hour h JOIN place p ON p.id = h.place"
			       " WHERE h.start = ? AND p.row = 0 AND p.part = 0 GROUP BY p.uid",
};

int sw_history_errno(sqlite3 *db, int rc)
{
	int system = db ? sqlite3_system_errno(db) : 0;

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_NOTADB:
	case SQLITE_CORRUPT:
	case SQLITE_ERROR:	/* the tables are not those that we make */
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
		return -EBADMSG;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EPERM;
	case SQLITE_CANTOPEN:
		return system > 0 ? -system : -EACCES;
	default:
		return system > 0 ? -system : -EIO;
	}
}

int sw_history_exec(struct sw_history_db *d, const char *sql)
{
	return sw_history_errno(d->db, sqlite3_exec(d->db, sql, NULL, NULL, NULL));
}

/* ---- Statements ---- */

static bool has_column(sqlite3 *db, const char *table, const char *column)
{
	return sqlite3_table_column_metadata(db, NULL, table, column, NULL, NULL, NULL, NULL, NULL) ==
	       SQLITE_OK;
}

static bool is_offence(int slot)
{
	return slot == SW_N_DENIED || slot == SW_N_WOULD_DENY || slot == SW_N_LIMITED ||
	       slot == SW_N_REDIRECTED;
}

static void print_slot(FILE *f, sqlite3 *db, char how, int slot, bool first)
{
	const char *name = sw_history_slots[slot];
	/* Which all tables have, or none: migrate(). */
	const char *column = how != 'S' && how != 'O' && how != 'C' ? name :
			     has_column(db, "hour", name) ? name : "0";
	const char *comma = first ? "" : how == 'O' ? " + " : ", ";

	if (how == 'D')
		fprintf(f, "%s%s INTEGER NOT NULL DEFAULT 0", comma, name);
	else if (how == 'V')
		fprintf(f, "%s?", comma);
	else if (how == 'A')
		fprintf(f, "%s%s = %s + excluded.%s", comma, name, name, name);
	else if (how == 'X')
		fprintf(f, "%s%s = excluded.%s", comma, name, name);
	else if (how == 'S')
		fprintf(f, "%ssum(%s)", comma, column);
	else
		fprintf(f, "%s%s", comma, column);
}

/* malloc'd; NULL without memory. */
static char *expand(sqlite3 *db, const char *sql)
{
	char *text = NULL;
	bool first;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f)
		return NULL;
	for (; *sql; sql++) {
		if (*sql != '%') {
			fputc(*sql, f);
			continue;
		}
		sql++;
		first = true;
		for (int i = 0; i < _SW_HISTORY_MAX; i++) {
			if (*sql == 'O' && !is_offence(i))
				continue;
			print_slot(f, db, *sql, i, first);
			first = false;
		}
	}
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

sqlite3_stmt *sw_history_query(struct sw_history_db *d, const char *sql, int *r)
{
	_cleanup_free_ char *text = expand(d->db, sql);
	sqlite3_stmt *st = NULL;

	*r = text ? sw_history_errno(d->db, sqlite3_prepare_v2(d->db, text, -1, &st, NULL)) : -ENOMEM;
	return st;
}

sqlite3_stmt *sw_history_statement(struct sw_history_db *d, enum sw_history_statement which, int *r)
{
	*r = 0;
	if (!d->st[which])
		d->st[which] = sw_history_query(d, statement[which], r);
	return d->st[which];
}

int sw_history_run(struct sw_history_db *d, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st), r = sw_history_errno(d->db, rc);

	sqlite3_reset(st);
	return r;
}

void sw_history_bind_slots(sqlite3_stmt *st, int at, const uint64_t n[_SW_HISTORY_MAX])
{
	for (int i = 0; i < _SW_HISTORY_MAX; i++)
		sqlite3_bind_int64(st, at + i, (sqlite3_int64)n[i]);
}

void sw_history_get_slots(sqlite3_stmt *st, int at, int64_t n[_SW_HISTORY_MAX])
{
	for (int i = 0; i < _SW_HISTORY_MAX; i++)
		n[i] = sqlite3_column_int64(st, at + i);
}

void sw_history_counts(const struct sw_stat *s, uint64_t ret[_SW_HISTORY_MAX])
{
	const struct sw_outcome *o = &s->outcome;

	memcpy(ret, s->n, sizeof(s->n));
	ret[SW_HISTORY_ESTABLISHED] = o->established;
	ret[SW_HISTORY_REFUSED] = o->refused;
	ret[SW_HISTORY_TIMED_OUT] = o->timed_out;
	ret[SW_HISTORY_FAILED] = o->failed;
	ret[SW_HISTORY_SENT] = o->bytes_sent;
	ret[SW_HISTORY_RECEIVED] = o->bytes_received;
	ret[SW_HISTORY_DURATION] = o->duration_ns;
}

void sw_history_set_counts(const uint64_t n[_SW_HISTORY_MAX], struct sw_stat *s)
{
	memcpy(s->n, n, sizeof(s->n));
	s->outcome = (struct sw_outcome){
		.established = n[SW_HISTORY_ESTABLISHED], .refused = n[SW_HISTORY_REFUSED],
		.timed_out = n[SW_HISTORY_TIMED_OUT], .failed = n[SW_HISTORY_FAILED],
		.bytes_sent = n[SW_HISTORY_SENT], .bytes_received = n[SW_HISTORY_RECEIVED],
		.duration_ns = n[SW_HISTORY_DURATION],
	};
}

/* ---- Opening ---- */

/* Cells of two sketches together; NULL has none. */
static void sql_or(sqlite3_context *c, int n, sqlite3_value **v)
{
	uint64_t sum[SW_SKETCH_WORDS] = {}, one[SW_SKETCH_WORDS];
	bool any = false;

	for (int i = 0; i < n; i++) {
		const void *blob = sqlite3_value_blob(v[i]);

		if (!blob || sqlite3_value_bytes(v[i]) != sizeof(one))
			continue;
		memcpy(one, blob, sizeof(one));
		for (int j = 0; j < SW_SKETCH_WORDS; j++)
			sum[j] |= one[j];
		any = true;
	}
	if (any)
		sqlite3_result_blob(c, sum, sizeof(sum), SQLITE_TRANSIENT);
}

/* The file may have been written by an account that was taken over: nothing in its schema runs. */
static int connect_db(const char *path, int flags, struct sw_history_db *d)
{
	int rc, yes;

	*d = (struct sw_history_db){};
#ifdef SQLITE_OPEN_NOFOLLOW
	flags |= SQLITE_OPEN_NOFOLLOW;
#endif
	rc = sqlite3_open_v2(path, &d->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (!d->db)
		return -ENOMEM;
	sqlite3_extended_result_codes(d->db, 1);
	sqlite3_busy_timeout(d->db, BUSY_MS);
	sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH, MAX_VALUE);
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, &yes);
#ifdef SQLITE_DBCONFIG_TRUSTED_SCHEMA
	if (rc == SQLITE_OK)
		rc = sqlite3_db_config(d->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, &yes);
#endif
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function(d->db, "sw_or", 2, SQLITE_UTF8 | SQLITE_DETERMINISTIC, NULL,
					     sql_or, NULL, NULL);
	if (rc != SQLITE_OK)
		return sw_history_errno(d->db, rc);
	return sw_history_exec(d, "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY");
}

static int get_number(struct sw_history_db *d, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st;
	int r, rc;

	st = sw_history_query(d, sql, &r);
	if (!st)
		return r;
	rc = sqlite3_step(st);
	*ret = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return sw_history_errno(d->db, rc);
}

static int check_version(struct sw_history_db *d, int64_t *version)
{
	int r = get_number(d, "PRAGMA user_version", version);

	if (r < 0)
		return r;
	return *version < 0 ? -EBADMSG : *version > SW_HISTORY_VERSION ? -ENOTSUP : 0;
}

static int add_column(struct sw_history_db *d, const char *table, const char *column)
{
	_cleanup_free_ char *sql = NULL;

	if (has_column(d->db, table, column))
		return 0;
	if (asprintf(&sql, "ALTER TABLE %s ADD COLUMN %s INTEGER NOT NULL DEFAULT 0", table, column) < 0) {
		sql = NULL;
		return -ENOMEM;
	}
	return sw_history_exec(d, sql);
}

/* Within a transaction: all of it or nothing. */
static int migrate_within(struct sw_history_db *d, int64_t version)
{
	static const char *const counting[] = { "hour", "day", "base" };
	_cleanup_free_ char *number = NULL;
	int r = 0;

	for (int64_t v = version; v < SW_HISTORY_VERSION && !r; v++) {
		_cleanup_free_ char *sql = expand(d->db, migration[v]);

		r = sql ? sw_history_exec(d, sql) : -ENOMEM;
	}
	for (size_t i = 0; i < ARRAY_SIZE(counting) && !r; i++)
		for (int slot = 0; slot < _SW_HISTORY_MAX && !r; slot++)
			r = add_column(d, counting[i], sw_history_slots[slot]);
	if (r < 0)
		return r;
	if (version == SW_HISTORY_VERSION)
		return 0;
	if (asprintf(&number, "PRAGMA user_version = %d", SW_HISTORY_VERSION) < 0) {
		number = NULL;
		return -ENOMEM;
	}
	return sw_history_exec(d, number);
}

static int migrate(struct sw_history_db *d)
{
	int64_t version;
	int r = sw_history_exec(d, "BEGIN IMMEDIATE");

	if (!r)
		r = check_version(d, &version);
	if (!r)
		r = migrate_within(d, version);
	if (!r)
		return sw_history_exec(d, "COMMIT");
	sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
	return r;
}

int sw_history_db_write(const char *path, struct sw_history_db *d)
{
	int64_t version;
	int r = connect_db(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, d);

	if (!r)
		r = check_version(d, &version);
	/* The kernel has the counters until they are committed: what a power cut may take with the
	 * last commits it takes from there too. */
	if (!r)
		r = sw_history_exec(d, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;"
				    "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = " MAX_WAL);
	return r ?: migrate(d);
}

int sw_history_db_memory(struct sw_history_db *d)
{
	int r = connect_db(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, d);

	return r ?: migrate(d);
}

/* Where nobody writes and nothing can be made beside the file, it can only be read like that. */
static int read_immutable(const char *path, struct sw_history_db *d)
{
	char *uri = sqlite3_mprintf("file:%s?immutable=1", path);
	int r;

	if (!uri)
		return -ENOMEM;
	r = connect_db(uri, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, d);
	sqlite3_free(uri);
	return r;
}

static bool has_wal(const char *path)
{
	_cleanup_free_ char *wal = NULL;

	if (asprintf(&wal, "%s-wal", path) < 0) {
		wal = NULL;
		return true;
	}
	return access(wal, F_OK) == 0;
}

int sw_history_db_read(const char *path, struct sw_history_db *d)
{
	int64_t version;
	int r = connect_db(path, SQLITE_OPEN_READONLY, d);

	if (!r)
		r = check_version(d, &version);
	if ((r == -EROFS || r == -EACCES || r == -ENOENT || r == -EPERM) && !has_wal(path) &&
	    !strpbrk(path, "?#%")) {
		sw_history_db_close(d);
		r = read_immutable(path, d) ?: check_version(d, &version);
	}
	if (!r)
		r = sw_history_exec(d, "PRAGMA cache_size = -32768");	/* a report looks here and there */
	/* Made, but not filled yet. */
	return !r && !version ? -ENOENT : r;
}

void sw_history_db_close(struct sw_history_db *d)
{
	for (int i = 0; i < _SW_HS_MAX; i++)
		sqlite3_finalize(d->st[i]);
	sqlite3_close(d->db);
	*d = (struct sw_history_db){};
}

/* ---- Small things by name ---- */

int sw_history_meta(struct sw_history_db *d, const char *key, int64_t *ret)
{
	sqlite3_stmt *st;
	int r, rc;

	st = sw_history_query(d, "SELECT value FROM meta WHERE key = ?", &r);
	if (!st)
		return r;
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	rc = sqlite3_step(st);
	*ret = rc == SQLITE_ROW ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return sw_history_errno(d->db, rc);
}

int sw_history_set_meta(struct sw_history_db *d, const char *key, int64_t value)
{
	sqlite3_stmt *st;
	int r;

	st = sw_history_statement(d, SW_HS_META_SET, &r);
	if (!st)
		return r;
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, value);
	return sw_history_run(d, st);
}
