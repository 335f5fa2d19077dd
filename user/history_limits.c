/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Windows of limits and temporary denies, so that a boot gives nobody a second quota. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "history_int.h"
#include "mapread.h"
#include "usage.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000LL
#define HOURS_A_DAY	24
#define MAX_ROWS	1000000	/* more than any table holds: the file may be anybody's */

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* ---- From the kernel ---- */

/* Each row is read under its lock: a window is never half of one hour and half of the next. */
static int read_windows(int fd, struct sw_history_reading *r)
{
	struct sw_history_window *w;
	struct sw_map_dump d;
	int e = sw_map_dump(fd, &d);

	if (e < 0)
		return e;
	w = calloc(d.n + 1, sizeof(*w));
	for (size_t i = 0; w && i < d.n; i++) {
		struct sw_usage u;

		memcpy(&w[r->n_windows].key, sw_map_key(&d, i), sizeof(w->key));
		if (bpf_map_lookup_elem_flags(fd, &w[r->n_windows].key, &u, BPF_F_LOCK) < 0)
			continue;
		w[r->n_windows].hour = u.hour;
		w[r->n_windows].hour_used = u.hour_used;
		w[r->n_windows++].day_used = u.day_used;
	}
	sw_map_dump_free(&d);
	r->window = w;
	return w ? 0 : -ENOMEM;
}

static int read_denies(int fd, struct sw_history_reading *r)
{
	int64_t mono = clock_ns(CLOCK_MONOTONIC), wall = clock_ns(CLOCK_REALTIME);
	struct sw_history_deny *all;
	struct sw_map_dump d;
	int e = sw_map_dump(fd, &d);

	if (e < 0)
		return e;
	all = calloc(d.n + 1, sizeof(*all));
	for (size_t i = 0; all && i < d.n; i++) {
		struct sw_denied k;

		memcpy(&k, sw_map_value(&d, i), sizeof(k));
		if (k.until_ns <= (uint64_t)mono)
			continue;
		memcpy(&all[r->n_denies].uid, sw_map_key(&d, i), sizeof(uint32_t));
		all[r->n_denies].by = k.by;
		/* To the nearest second, so that the same moment is the same number each time. */
		all[r->n_denies++].until = k.until_ns > INT64_MAX ? SW_HISTORY_FOREVER :
			((int64_t)k.until_ns - mono + wall + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
	}
	sw_map_dump_free(&d);
	r->deny = all;
	return all ? 0 : -ENOMEM;
}

int sw_history_read_limits(const struct sw_live *l, struct sw_history_reading *r)
{
	int e = 0;

	if (l->map_fd[SW_MAP_USAGE] >= 0)
		e = read_windows(l->map_fd[SW_MAP_USAGE], r);
	if (!e && l->map_fd[SW_MAP_DENIED] >= 0)
		e = read_denies(l->map_fd[SW_MAP_DENIED], r);
	return e;
}

void sw_history_free_limits(struct sw_history_reading *r)
{
	free((void *)r->window);
	free((void *)r->deny);
	r->window = NULL;
	r->deny = NULL;
	r->n_windows = r->n_denies = 0;
}

/* ---- Into the database ---- */

static int save_windows(struct sw_history *h, const struct sw_history_reading *r)
{
	sqlite3_stmt *st;
	int e = 0;

	for (size_t i = 0; i < r->n_windows && !e; i++) {
		const struct sw_history_window *w = &r->window[i];

		st = sw_history_statement(&h->d, SW_HS_WINDOW_SET, &e);
		if (!st)
			return e;
		sqlite3_bind_int64(st, 1, w->key.kind);
		sqlite3_bind_int64(st, 2, (sqlite3_int64)w->key.id);
		sqlite3_bind_int64(st, 3, w->key.channel);
		sqlite3_bind_int64(st, 4, w->hour);
		sqlite3_bind_int64(st, 5, w->hour_used);
		sqlite3_bind_int64(st, 6, w->day_used);
		e = sw_history_run(&h->d, st);
	}
	return e;
}

static uint64_t hash_denies(const struct sw_history_reading *r)
{
	uint64_t sum = 1;

	/* In any order. */
	for (size_t i = 0; i < r->n_denies; i++) {
		const struct sw_history_deny *d = &r->deny[i];
		uint64_t one = (uint64_t)d->uid << 32 ^ (uint64_t)d->until ^ d->by;

		sum += (one ^ one >> 31) * 0x9e3779b97f4a7c15ULL;
	}
	return sum ?: 1;
}

static int save_denies(struct sw_history *h, const struct sw_history_reading *r)
{
	uint64_t hash = hash_denies(r);
	sqlite3_stmt *st;
	int e;

	if (hash == h->denies)
		return 0;
	e = sw_history_exec(&h->d, "DELETE FROM denied");
	for (size_t i = 0; i < r->n_denies && !e; i++) {
		st = sw_history_statement(&h->d, SW_HS_DENIED_ADD, &e);
		if (!st)
			return e;
		sqlite3_bind_int64(st, 1, r->deny[i].uid);
		sqlite3_bind_int64(st, 2, r->deny[i].by);
		if (r->deny[i].until == SW_HISTORY_FOREVER)
			sqlite3_bind_null(st, 3);
		else
			sqlite3_bind_int64(st, 3, r->deny[i].until);
		e = sw_history_run(&h->d, st);
	}
	h->denies = hash;
	return e;
}

int sw_history_save_limits(struct sw_history *h, const struct sw_history_reading *r, bool anew)
{
	int e = anew ? sw_history_exec(&h->d, "DELETE FROM window") : 0;

	if (anew)
		h->denies = 0;
	return e ?: save_windows(h, r) ?: save_denies(h, r);
}

/* ---- Back into the kernel ---- */

/* A window of today: one of an earlier hour still has what was used of the day. */
static bool is_of_today(uint32_t hour, uint32_t now)
{
	return hour <= now + 1 && hour / HOURS_A_DAY >= now / HOURS_A_DAY;
}

static int restore_windows(struct sw_history_db *d, const struct sw_live *l)
{
	uint32_t now = sw_usage_hour(l);
	sqlite3_stmt *st;
	int r, rc, n = 0;

	st = sw_history_query(d, "SELECT kind, id, channel, hour, hour_used, day_used FROM window", &r);
	if (!st)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && !r && n < MAX_ROWS) {
		struct sw_usage_key key = {
			.kind = (uint32_t)sqlite3_column_int64(st, 0),
			.id = (uint64_t)sqlite3_column_int64(st, 1),
			.channel = (uint32_t)sqlite3_column_int64(st, 2),
		};
		struct sw_usage u = {
			.hour = (uint32_t)sqlite3_column_int64(st, 3),
			.hour_used = (uint32_t)sqlite3_column_int64(st, 4),
			.day_used = (uint32_t)sqlite3_column_int64(st, 5),
		};

		if (!is_of_today(u.hour, now) || key.channel >= _SW_CHANNEL_MAX)
			continue;
		if (bpf_map_update_elem(l->map_fd[SW_MAP_USAGE], &key, &u, BPF_ANY) < 0)
			r = -errno;
		n += !r;
	}
	sqlite3_finalize(st);
	return r ? r : rc == SQLITE_ROW ? n : sw_history_errno(d->db, rc) ?: n;
}

static int restore_denies(struct sw_history_db *d, const struct sw_live *l)
{
	int64_t now = clock_ns(CLOCK_REALTIME) / NSEC_PER_SEC;
	sqlite3_stmt *st;
	int r, rc, n = 0;

	st = sw_history_query(d, "SELECT uid, by, until FROM denied", &r);
	if (!st)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && !r && n < MAX_ROWS) {
		bool forever = sqlite3_column_type(st, 2) == SQLITE_NULL;
		int64_t left = forever ? 0 : sqlite3_column_int64(st, 2) - now;

		if ((left <= 0 && !forever) || left > UINT32_MAX)
			continue;
		r = sw_deny_uid(l, (uint32_t)sqlite3_column_int64(st, 0), (uint32_t)left,
				(enum sw_denied_by)sqlite3_column_int(st, 1));
		n += !r;
	}
	sqlite3_finalize(st);
	return r ? r : rc == SQLITE_ROW ? n : sw_history_errno(d->db, rc) ?: n;
}

int sw_history_restore(const char *state_dir, const struct sw_live *l)
{
	_cleanup_free_ char *path = NULL;
	struct sw_history_db d = {};
	int r, windows = 0, denies = 0;

	r = sw_history_path(state_dir, &path);
	if (r < 0)
		return r;
	r = sw_history_db_read(path, &d);
	if (!r)
		r = windows = restore_windows(&d, l);
	if (r >= 0)
		r = denies = restore_denies(&d, l);
	sw_history_db_close(&d);
	return r < 0 ? r : windows + denies;
}
