/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The unit of the monitor takes away most of what a process may do. What the monitor has done for
 * it as root (apply, the alert command, sendmail) needs more, and each something else: a panel's
 * own commands write to /etc and /usr, sendmail regains its rights by its set-uid bit and delivers
 * in the background. So these run outside, each as a service of its own.
 */
#ifndef SW_OUTSIDE_H
#define SW_OUTSIDE_H

#include <stdbool.h>

#define SW_OUTSIDE_ENV	"SMTPWALL_JOBS"	/* "systemd-run": the monitor's unit wants it so */

/*
 * The command line that has systemd-run(1) run `argv` for `timeout_s` at most: standard input is
 * handed on, the exit status comes back. With `leave` what it left in the background goes on
 * afterwards. Where the environment does not ask for it, or there is no bus to ask systemd
 * through, it is `argv` itself.
 *
 * An array with NULL at its end, to be freed; its texts are those of `argv`, or static, or behind
 * the array. NULL: no memory.
 */
const char **sw_outside_argv(const char *const *argv, int timeout_s, bool leave);

#endif
