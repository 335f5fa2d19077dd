/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The daemon. Enforcement does not need it: it tells, remembers and keeps up to date.
 *
 *   supervisor   root; starts the worker, applies on SIGHUP, starts the worker anew when another
 *                policy came into force or the worker died
 *   worker       opens everything as root, then is a system user with next to no privilege
 *   runner       root; runs what the worker may ask for (runner.h)
 */
#ifndef SW_MONITOR_H
#define SW_MONITOR_H

#include <sys/types.h>

#include "options.h"
#include "policy.h"

#define SW_MONITOR_USER "smtpwall"

struct sw_monitor_config {
	const struct sw_options *o;
	const char *user;	/* what the worker becomes */
	uid_t uid;
	gid_t gid;
	const char *self;	/* the program, for apply */
	pid_t supervisor;
};

/* Runs until SIGTERM or SIGINT. An exit status. */
int sw_monitor_supervise(const struct sw_monitor_config *c);

/* ---- Between the files of the monitor ---- */

/* How a worker ends; anything else is a failure. */
enum sw_monitor_end {
	SW_MONITOR_DONE = 0,		/* it was told to */
	SW_MONITOR_REOPEN = 10,		/* another policy is in force, or none */
};

/* What the supervisor writes to the pipe that its worker reads; the end of it is an order, too. */
#define SW_MONITOR_ORDER_REOPEN	'r'
#define SW_MONITOR_ORDER_END	'e'

/* The worker, from opening to its end, in a process of its own. `p` says what it has to do. While
 * nothing is in force it waits, and shows just that. */
int sw_monitor_work(const struct sw_monitor_config *c, const struct sw_policy *p, int orders);

/* The command line of `smtpwall apply` with the options of this process, `extra` (may be NULL)
 * behind it; malloc'd, its strings are not. NULL without memory. */
const char **sw_monitor_apply(const struct sw_monitor_config *c, const char *extra);

/*
 * Gives up root for good: the process becomes `uid` and keeps the right to read files (the
 * sources of domains are often root's), on kernels before 5.19 also CAP_BPF, without which no map
 * can be read there (control_fd, of sw_control, is tried; -1: there is none to be read); no other
 * right, and no way to new ones. 0 or -errno.
 */
int sw_monitor_drop(uid_t uid, gid_t gid, int control_fd);

#endif
