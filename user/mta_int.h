/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the search for mail servers. Only mta*.c and its tests include this. */
#ifndef SW_MTA_INT_H
#define SW_MTA_INT_H

#include <stdbool.h>

#include "mta.h"

/* Whether `exe` (as /proc/PID/exe names it) is a program of mail server `m`. */
bool sw_mta_has_program(const struct sw_mta *m, const char *exe);

#define SW_ASK_TIMEOUT_MS	5000
#define SW_ASK_MAX		4096	/* bytes of an answer */

/*
 * Runs argv[0] (an absolute path) with an empty environment and takes the first line it
 * prints. Only a program that root owns and nobody else can write is run; what does not end
 * in time is killed with everything it started.
 *
 * 0; -EPERM: not to be trusted; -ETIMEDOUT; -EPROTO: it failed or said nothing; else -errno.
 */
int sw_mta_ask(const char *const *argv, int timeout_ms, char **ret);

#endif
