/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the files of the history: the database (history_db.c), who writes it (history.c), from
 * counters to rows (history_roll.c), limits (history_limits.c), reading (history_read.c). Nothing
 * else includes this but their tests.
 *
 * What is counted lies in rows of (hour, place) and again, summed, of (day, place). A place is
 * whoever did it, under the names of that time, and where. `start` is the second since 1970 at
 * which the hour of local time began, so that a change of the time zone leaves no hour twice; a
 * day of the database is that of UTC, a block of hours and nothing people see.
 */
#ifndef SW_HISTORY_INT_H
#define SW_HISTORY_INT_H

#include <sqlite3.h>

#include "history.h"

#define SW_HISTORY_VERSION	1	/* PRAGMA user_version */
#define SW_HISTORY_HOUR		3600
#define SW_HISTORY_DAY		86400
#define SW_HISTORY_MAX_PLACES	64	/* directories of one account in one hour; the rest is one row */

/* What is counted: the slots of the kernel, then what became of connects. */
enum sw_history_slot {
	SW_HISTORY_ESTABLISHED = _SW_N_MAX, SW_HISTORY_REFUSED, SW_HISTORY_TIMED_OUT, SW_HISTORY_FAILED,
	SW_HISTORY_SENT, SW_HISTORY_RECEIVED, SW_HISTORY_DURATION,
	_SW_HISTORY_MAX,
};

/* Their columns, in their order. A column that a database lacks is added to it. */
extern const char *const sw_history_slots[_SW_HISTORY_MAX];

enum sw_history_statement {
	SW_HS_TEXT_FIND, SW_HS_TEXT_ADD, SW_HS_PLACE_FIND, SW_HS_PLACE_ADD, SW_HS_PLACE_TOUCH,
	SW_HS_HOUR_ADD, SW_HS_HOUR_HAS, SW_HS_DAY_ADD, SW_HS_BASE_SET, SW_HS_META_SET, SW_HS_EVENT_ADD,
	SW_HS_WINDOW_SET, SW_HS_DENIED_ADD, SW_HS_COUNT_PLACES,
	_SW_HS_MAX,
};

/* A connection and its statements, prepared when first used. */
struct sw_history_db {
	sqlite3 *db;
	sqlite3_stmt *st[_SW_HS_MAX];
};

/* In which of the two views a place takes part: an attempt is counted once in each. */
enum sw_place_part {
	SW_PLACE_BOTH,		/* an origin of an account */
	SW_PLACE_ACCOUNT,	/* what an account's origins have not counted */
	SW_PLACE_ORIGIN,	/* an origin whose account has no row of its own */
};

/* Texts may be NULL: not known. */
struct sw_spot {
	uint32_t uid;
	enum sw_row row;
	enum sw_place_part part;
	const char *user, *account, *domain, *source;
	size_t sites;
	bool guess;		/* the domain is only one of several */
	const char *directory, *script, *cgroup;
};

/* What the database has of a row of the kernel. */
struct sw_base {
	uint64_t id;		/* sw_stat.id; 0: a free slot */
	uint64_t n[_SW_HISTORY_MAX];
	uint64_t sketch[SW_SKETCH_WORDS];
	/* Not in the database: */
	int64_t place;		/* where it was counted last; 0: nowhere yet */
	uint64_t names;		/* hash of that place */
	time_t hour;		/* in which it has a row for certain */
	bool changed;
};

enum sw_base_of { SW_BASE_ACCOUNTS, SW_BASE_ORIGINS, _SW_BASE_MAX };

struct sw_bases {
	struct sw_base *slot;	/* hash table by id, `size` of them, a power of two */
	size_t n, size;
	uint64_t instance;	/* of the map that they are rows of; 0: none yet */
};

/* Directories of an account in one hour. */
struct sw_place_count {
	bool used;
	uint32_t uid, n;
};

struct sw_queued_event;

struct sw_history {
	struct sw_history_db d;
	int lock_fd;
	struct sw_history_limits limits;
	struct sw_bases base[_SW_BASE_MAX];
	time_t rolled;		/* time of the last roll; 0: none of these maps */
	bool stale;		/* the base has to be read again */
	struct sw_place_count *count;	/* hash table by UID, count_size of them */
	size_t n_count, count_size;
	time_t count_hour;
	uint64_t denies;	/* hash of what table denied holds; 0: not known */
	struct sw_queued_event *event;
	size_t n_events;
	uint64_t events_dropped;
};

struct sw_history_window {
	struct sw_usage_key key;
	uint32_t hour, hour_used, day_used;
};

#define SW_HISTORY_FOREVER INT64_MAX

struct sw_history_deny {
	uint32_t uid, by;
	int64_t until;		/* second since 1970; SW_HISTORY_FOREVER: until released */
};

/* One reading of the kernel. */
struct sw_history_reading {
	const struct sw_stats *s;
	uint64_t instance[_SW_BASE_MAX];	/* another number: another map, begun at 0 */
	const struct sw_history_window *window;
	size_t n_windows;
	const struct sw_history_deny *deny;
	size_t n_denies;
};

/* ---- history_db.c ---- */

/* -errno of what SQLite says: -ENOSPC, -EROFS, -EBADMSG (no database, or a broken one), ... */
int sw_history_errno(sqlite3 *db, int rc);

/* Runs statements that give no rows. 0 or -errno. */
int sw_history_exec(struct sw_history_db *d, const char *sql);

/* The statement, ready to be bound; NULL with *r set. Only one use of it at a time. */
sqlite3_stmt *sw_history_statement(struct sw_history_db *d, enum sw_history_statement which, int *r);

/* Runs a bound statement that gives no rows. 0 or -errno. */
int sw_history_run(struct sw_history_db *d, sqlite3_stmt *st);

/*
 * Prepares `sql` in which %C are the slots' columns, %S their sums and %O the sum of those that
 * make an offender, as far as the database has them (others: 0). NULL with *r set.
 */
sqlite3_stmt *sw_history_query(struct sw_history_db *d, const char *sql, int *r);

/* Binds or reads _SW_HISTORY_MAX counts from the parameter or column `at` on. */
void sw_history_bind_slots(sqlite3_stmt *st, int at, const uint64_t n[_SW_HISTORY_MAX]);
void sw_history_get_slots(sqlite3_stmt *st, int at, int64_t n[_SW_HISTORY_MAX]);

/* All that is counted of a row, and back. */
void sw_history_counts(const struct sw_stat *s, uint64_t ret[_SW_HISTORY_MAX]);
void sw_history_set_counts(const uint64_t n[_SW_HISTORY_MAX], struct sw_stat *s);

/* For writing, made or migrated; `path` is that of the file. For reading; nothing is made. One in
 * memory with the same tables. 0 or -errno; close with sw_history_db_close() in any case. */
int sw_history_db_write(const char *path, struct sw_history_db *d);
int sw_history_db_read(const char *path, struct sw_history_db *d);
int sw_history_db_memory(struct sw_history_db *d);
void sw_history_db_close(struct sw_history_db *d);

/* A number of table meta; 0 when it is not there. 0 or -errno. */
int sw_history_meta(struct sw_history_db *d, const char *key, int64_t *ret);
int sw_history_set_meta(struct sw_history_db *d, const char *key, int64_t value);

/* ---- history_place.c ---- */

/* The id of a place, made at first sight. 0 or -errno. */
int sw_history_place(struct sw_history_db *d, const struct sw_spot *p, time_t now, int64_t *ret);

/* ---- history.c ---- */

/* The path of the file, malloc'd, after a look at whose it is. 0; -ENOENT; -EPERM when somebody
 * else could have made it; other -errno. */
int sw_history_path(const char *state_dir, char **ret);

/* ---- history_base.c ---- */

/* Reads what `h` needs to know of database `d`. 0 or -errno. */
int sw_history_load_base(struct sw_history *h, struct sw_history_db *d);
void sw_history_free_base(struct sw_history *h);

/* The base of a row, made at first sight, all 0. NULL without memory. Good until the next call. */
struct sw_base *sw_history_base(struct sw_bases *b, uint64_t id);

/* Forgets the base of maps that are not those of `instance`; *anew when there were such. 0 or
 * -errno. */
int sw_history_begin_base(struct sw_history *h, const uint64_t instance[_SW_BASE_MAX], bool *anew);

/* Writes what has changed, and when. 0 or -errno. */
int sw_history_save_base(struct sw_history *h, time_t now);

/* ---- history_roll.c ---- */

/* Adds what `r` has more than the base, within a transaction of the caller's, who has to read the
 * base again when that fails. 0 or -errno. */
int sw_history_add(struct sw_history *h, const struct sw_history_reading *r, struct sw_domains *d);

/* The same, in a transaction of its own. */
int sw_history_roll_reading(struct sw_history *h, const struct sw_history_reading *r,
			    struct sw_domains *d);

/* When the hour of local time began that `t` lies in. */
time_t sw_history_hour(time_t t);

/* The numbers of the maps of `l`. 0 or -errno. */
int sw_history_instance(const struct sw_live *l, uint64_t ret[_SW_BASE_MAX]);

/* ---- history_limits.c ---- */

/* Windows and denies of `l`, malloc'd, for `r`. 0 or -errno. */
int sw_history_read_limits(const struct sw_live *l, struct sw_history_reading *r);
void sw_history_free_limits(struct sw_history_reading *r);

/* Writes them; `anew` when those of other maps are there. 0 or -errno. */
int sw_history_save_limits(struct sw_history *h, const struct sw_history_reading *r, bool anew);

/* ---- history_event.c ---- */

/* Writes those that wait, within a transaction of the caller's, who drops them once that is
 * committed. 0 or -errno. */
int sw_history_write_events(struct sw_history *h);
void sw_history_drop_events(struct sw_history *h);

#endif
