/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Points in time and lengths of time, as people and programs write them. */
#ifndef SW_WHEN_H
#define SW_WHEN_H

#include <stdint.h>
#include <time.h>

#define SW_TIME_LEN 32		/* 2026-02-14T10:00:00+01:00 */

/* RFC 3339 in local time; "Z" where that is UTC. Returns buf. */
const char *sw_time_format(time_t t, char buf[SW_TIME_LEN]);

/* How long before `now`: "3s ago" to "4d ago". Returns buf. */
const char *sw_time_ago(time_t t, time_t now, char buf[SW_TIME_LEN]);

#define SW_DURATION_LEN 32

/* So many seconds in words of at most two units: "45 s", "2 h", "1 h 30 min", "3 d 2 h". Returns
 * buf. */
const char *sw_duration(uint64_t seconds, char buf[SW_DURATION_LEN]);

/*
 * A point in time as people write it: RFC 3339, also without an offset (then local) or without a
 * time of day (then its midnight); "90s", "30m", "1h", "2d", "1w" before `now`; "today", which is
 * the last midnight. 0; -EINVAL when it is none of these; -ERANGE when it lies before 1970.
 */
int sw_time_parse(const char *text, time_t now, time_t *ret);

/* A length of time such as 90s, 30m, 2h or 1d, in seconds: 0; -EINVAL; -ERANGE beyond 366 days. */
int sw_duration_parse(const char *text, uint32_t *ret);

#endif
