/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel counted, by the hour, in the state directory: history/history.db, an SQLite database
 * in WAL mode. The kernel's counters stay the truth; the database holds what was read of them,
 * up to a baseline that is written in the same transaction. So nothing is counted twice and
 * nothing that was committed is lost, whenever the writer dies.
 */
#ifndef SW_HISTORY_H
#define SW_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "domains.h"
#include "feed.h"
#include "live.h"
#include "report.h"
#include "stats.h"

#define SW_HISTORY_DIR	"history"	/* in the state directory */
#define SW_HISTORY_FILE	"history.db"	/* in there, and beside it what SQLite needs: -wal and -shm */

struct sw_history;

/* What to do about an error of the functions below, to be put behind its text: begins with "; ".
 * Never NULL. */
const char *sw_history_hint(int r);

struct sw_history_limits {
	uint32_t days;		/* counters older than that are forgotten; 0: nothing is kept */
	uint32_t events;	/* the newest so many events are kept */
};

/*
 * As root, before privilege is given up: makes the state directory, which the group `gid` may then
 * pass through but not list, and in it the directory of the history, 0750, `uid`'s and `gid`'s, with
 * what root may have written there so far. SQLite makes and removes files beside the database at any
 * time, so the directory has to be the writer's; nothing else of the state directory is.
 * 0; -EPERM: others own one of them or may write to it; other -errno.
 */
int sw_history_prepare(const char *state_dir, uid_t uid, gid_t gid);

/*
 * Opens or makes the database for writing, as the user that goes on writing, and migrates an older
 * one. 0; -EBUSY: another writer has it; -ENOTSUP: a newer version wrote it; -EBADMSG: it is no
 * database of ours, or broken; -EPERM: others could have made it; -EROFS, -ENOSPC, other -errno.
 * What cannot be opened now can be tried again later: the kernel goes on counting. `ret` is written
 * on success only; close it with sw_history_close().
 */
int sw_history_open(const char *state_dir, const struct sw_history_limits *limits,
		    struct sw_history **ret);
void sw_history_close(struct sw_history *h);

/*
 * Adds what was counted since the last roll to the hour of `s->now`, with the names and domains of
 * now, and the windows and temporary denies of `l`, all in one transaction. 0; -errno when nothing
 * was written: the next roll makes up for it.
 */
int sw_history_roll(struct sw_history *h, const struct sw_live *l, const struct sw_stats *s,
		    struct sw_domains *d);

/*
 * Keeps a copy of an event; written with the next flush or roll. 0; -ENOMEM; -ENOBUFS: the many that
 * wait could not be written either, and this one is lost.
 */
int sw_history_event(struct sw_history *h, const struct sw_event_view *v);

/* Writes them. 0, or -errno and they go on waiting. */
int sw_history_flush(struct sw_history *h);

/* How many events were lost like that. */
uint64_t sw_history_dropped(const struct sw_history *h);

/* Forgets what is too old, a bounded amount of work: call it now and then. 0 or -errno. */
int sw_history_trim(struct sw_history *h, time_t now);

/*
 * The average an hour of each account over the last `days` days and what has passed of this one
 * (days of UTC), up to the hour that `now` lies in; an account that is younger is averaged over the
 * hours it is known for, and one that is known for less than one has no average. `fn` returns 0 or
 * -errno to stop. 0 or -errno.
 */
int sw_history_averages(struct sw_history *h, unsigned int days, time_t now,
			int (*fn)(void *data, uint32_t uid, const double n[_SW_N_MAX]), void *data);

/* A sum of sw_history_counted(). */
struct sw_history_count {
	uint32_t uid;
	enum sw_row row;
	bool is_origin;		/* by directory; else by account: an attempt is counted once in each */
	const char *domain;	/* of an origin; NULL: not known. Good during the call. */
	uint64_t n[_SW_N_MAX];
};

/*
 * What the database has of the hours of local time that began from `since` to `until`, summed by
 * account and domain: `fn` may be called several times for one of them. 0 or -errno.
 */
int sw_history_counted(struct sw_history *h, time_t since, time_t until,
		       void (*fn)(void *data, const struct sw_history_count *c), void *data);

/*
 * Puts windows and temporary denies that the database has back into a kernel that has none yet: its
 * maps were made anew. What has passed or run out meanwhile is left out. `l` needs the maps of
 * control, usage and denies. The number of rows, or -errno; -ENOENT: there is no database.
 */
int sw_history_restore(const char *state_dir, const struct sw_live *l);

/* ---- Reading ---- */

struct sw_history_reader;

/*
 * Opens the database to be read, as it is at this moment, while others write it or nobody does;
 * nothing in it is changed. 0; -ENOENT: there is none; else as of sw_history_open(). `ret` is written
 * on success only; free it with sw_history_reader_free().
 */
int sw_history_reader_open(const char *state_dir, struct sw_history_reader **ret);
void sw_history_reader_free(struct sw_history_reader *h);

/* Whether somebody writes the history of `state_dir` now; `pid` then receives who, 0 where that
 * cannot be told. */
bool sw_history_has_writer(const char *state_dir, pid_t *pid);

/* Adds what the kernel has counted beyond that, once. `s` was read from `l` after the reader was
 * opened; else attempts could be missing. 0 or -errno. */
int sw_history_reader_add_live(struct sw_history_reader *h, const struct sw_live *l,
			       const struct sw_stats *s, struct sw_domains *d);

/* Makes both ends those of the hours of local time that they lie in. */
void sw_history_whole_hours(time_t *since, time_t *until);

/*
 * What was counted in the hours from that of `since` to that of `until`, with the names of that
 * time. `destinations` are those that were new then, by whole days. 0 or -errno; `ret` is written on
 * success only, free it with sw_stats_free().
 */
int sw_history_read(struct sw_history_reader *h, time_t since, time_t until, struct sw_stats *ret);

/* Which of the kept events. All zero: all of them. */
struct sw_history_filter {
	bool is_uid, is_since;
	uint32_t uid;
	enum sw_row row;	/* with `uid`: what it has to be charged to */
	const char *domain;	/* as of then, in any case of letters; NULL: all */
	const char *directory;	/* byte by byte; NULL: all */
	uint32_t verdicts;	/* bits of enum sw_verdict; 0: all */
	uint32_t port;		/* 0: all */
	time_t since;
	uint32_t newest;	/* no more than the newest so many of them; 0: all */
};

/*
 * Hands kept events to `fn`, oldest first: those that were written after event `*after` (0: all)
 * and match `f`, with the names and domains of their time. `*after` becomes the last one there is.
 * It is the file of now that is read, and nothing of it is held while `fn` runs, or until the next
 * call: what is read of `h` afterwards is as of then. `fn` returns 0, or another value to stop.
 * 0, -errno, or what `fn` returned.
 */
int sw_history_events(struct sw_history_reader *h, const struct sw_history_filter *f, int64_t *after,
		      int (*fn)(void *data, const struct sw_event_view *v), void *data);

/* Offences of an account, by the hour or by the day of local time. */
struct sw_timeline {
	bool by_day;
	size_t n;
	time_t *start;
	uint64_t *count;
};

#define SW_TIMELINE_HOURS	96	/* of longer periods each day is one */

/* Of the account of `a`, a row of sw_history_read(). 0 or -errno; free with sw_timeline_free(). */
int sw_history_timeline(struct sw_history_reader *h, const struct sw_stat *a, time_t since,
			time_t until, struct sw_timeline *ret);
void sw_timeline_free(struct sw_timeline *t);

#endif
