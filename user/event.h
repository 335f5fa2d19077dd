/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Event records as lines for people. */
#ifndef SW_EVENT_H
#define SW_EVENT_H

#include <stdbool.h>
#include <stddef.h>

#include "smtpwall_abi.h"

/* Whether `len` bytes can be an event of this ABI: size, enums, and that all text ends inside. */
bool sw_event_valid(const void *record, size_t len);

/*
 * One line without a newline: time, verdict, account, directory, script, destination, process,
 * the container or service where `cgroup` (a path, or NULL) says so, and why. All foreign text is
 * escaped. `e` must be valid. malloc'd; NULL without memory.
 */
char *sw_event_line(const struct sw_event *e, const char *cgroup, bool utf8);

#endif
