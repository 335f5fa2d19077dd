/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the command line to a policy that may be brought into force. */
#ifndef SW_SETUP_H
#define SW_SETUP_H

#include <stdbool.h>

#include "live.h"
#include "options.h"
#include "policy.h"

/*
 * Reads the configuration, adds the delivery users of the mail servers of this machine, and
 * makes sure that enforcing would not cut one of them off. With `force` the last is a warning.
 * With `remember` root keeps addresses of host names in the state directory: for a policy that is
 * meant to come into force. All errors are logged. 0 and `ret` (to be freed), or -errno.
 */
int sw_setup_policy(const struct sw_options *o, bool force, bool remember, struct sw_policy *ret);

/*
 * Opens what is in force on the target, for commands that only look. SW_EXIT_GOOD and `ret` (to
 * be closed; it may be empty), or the exit status after one error was logged.
 */
int sw_setup_live(const struct sw_options *o, struct sw_live *ret);

/* The same for commands that need a policy in force: without one that is an error too. */
int sw_setup_in_force(const struct sw_options *o, struct sw_live *ret);

#endif
