/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The control page: what the programs read and user space changes without an apply. */
#ifndef SW_CONTROL_H
#define SW_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "smtpwall_abi.h"

/* Maps the page of the sw_control map for reading and writing; NULL with errno set. Give it back
 * with sw_control_unmap(). Several processes write it: word by word, each its own. */
struct sw_control *sw_control_map(int fd);
void sw_control_unmap(struct sw_control *c);

/* Clock, local time and event rate. 0 or -errno. */
int sw_control_write(int fd);

/* Another generation is in force. `reopen`: readers have to open everything anew, or read the
 * configuration. */
void sw_control_set_applied(int fd, uint32_t generation, bool reopen);

/* The number that tells the maps beside this one from those of another boot, or before an off; it
 * is chosen by whoever asks first. 0 or -errno. */
int sw_control_instance(int fd, uint64_t *ret);

/* From now on the programs of this generation count executions. */
void sw_control_count_execs(int fd, uint32_t generation);

/* No policy is on trial any more. */
void sw_control_end_trial(int fd);

/* Where the clock stands and when local time changes next: after the clock was set, or the time
 * zone. */
void sw_control_set_clock(struct sw_control *c);

/* The changes of local time from `now` on, SW_ZONES at most; the first entry holds from the
 * beginning of time. Pure but for the time zone of the process. */
void sw_control_zones(int64_t now, struct sw_zone zone[SW_ZONES]);

#endif
