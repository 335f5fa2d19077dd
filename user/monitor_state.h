/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the monitor says about itself, in a small file of the state directory, for `status`. */
#ifndef SW_MONITOR_STATE_H
#define SW_MONITOR_STATE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "metrics.h"

struct sw_monitor_state {
	pid_t pid;
	time_t updated;
	struct sw_metrics_monitor health;
	char error[256];	/* what does not work; empty: everything does */
};

#define SW_MONITOR_STATE_EVERY	10	/* seconds between two writes */

#define SW_MONITOR_FILE_MAX	(1 << 20)

/* A file beside the history, the monitor user's: written in one step, and read as a whole (malloc'd,
 * NUL behind it). 0; -ENOENT: there is none; -EBADMSG: it is no such file; other -errno. */
int sw_monitor_file_write(const char *state_dir, const char *name, const char *text);
int sw_monitor_file_read(const char *state_dir, const char *name, char **ret);

/* In one step: a reader sees the old file or the new one. 0 or -errno. */
int sw_monitor_state_write(const char *state_dir, const struct sw_monitor_state *s);

/*
 * The file is the monitor user's, who may be anybody's by now: its text has to be escaped, and what
 * is no such file is none. 0; -ENOENT: there is none; -EBADMSG; other -errno.
 */
int sw_monitor_state_read(const char *state_dir, struct sw_monitor_state *ret);

/* Whether the process that wrote it is there and has written lately. */
bool sw_monitor_state_is_running(const struct sw_monitor_state *s, time_t now);

#endif
