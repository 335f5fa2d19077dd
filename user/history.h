/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel counted, by the hour, in the state directory: history.db, an SQLite database
 * in WAL mode. The kernel's counters stay the truth; the database holds what was read of them,
 * up to a baseline that is written in the same transaction. So nothing is counted twice and
 * nothing that was committed is lost, whenever the writer dies.
 */
#ifndef SW_HISTORY_H
#define SW_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "domains.h"
#include "feed.h"
#include "live.h"
#include "report.h"
#include "stats.h"

#define SW_HISTORY_FILE "history.db"

struct sw_history;

struct sw_history_limits {
	uint32_t days;		/* counters older than that are forgotten; 0: nothing is kept */
	uint32_t events;	/* the newest so many events are kept */
};

/*
 * Opens or makes `state_dir`/history.db for writing, migrates an older schema. 0; -ENOTSUP: a
 * newer version wrote it; -EROFS, -ENOSPC, other -errno. One writer at a time: -EBUSY. `ret` is
 * written on success only; close it with sw_history_close().
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

/* Keeps an event; written with the next flush or roll. 0 or -ENOMEM. */
int sw_history_event(struct sw_history *h, const struct sw_event_view *v);
int sw_history_flush(struct sw_history *h);

/* Forgets what is too old, a bounded amount of work: call it now and then. 0 or -errno. */
int sw_history_trim(struct sw_history *h, time_t now);

/* The average an hour of each account over the last `days` whole days; an account that is younger
 * is averaged over the time it is known. `fn` returns 0 or -errno to stop. 0 or -errno. */
int sw_history_averages(struct sw_history *h, unsigned int days, time_t now,
			int (*fn)(void *data, uint32_t uid, const double n[_SW_N_MAX]), void *data);

/*
 * Puts windows and temporary denies that the database knows back into a kernel that has none yet
 * (after a boot). Windows that have passed are left out. The number of rows, or -errno; -ENOENT:
 * there is no database.
 */
int sw_history_restore(const char *state_dir, const struct sw_live *l);

#endif
