/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the programs told about an account, and the clock they go by. */
#ifndef OVERHEAR_H
#define OVERHEAR_H

#include <stdbool.h>
#include <stdint.h>

#include "wall.h"

/* The last event charged to `uid`; false when there is none since the last call for anybody. */
bool overhear(const struct wall *w, uint32_t uid, struct sw_event *ret);

/* Its reason; SW_BY_NONE without an event. */
enum sw_reason overhear_reason(const struct wall *w, uint32_t uid);

/* Sets the programs' clock: seconds since 1970, UTC, as of now. An apply sets it right again. */
void overhear_set_clock(const struct wall *w, int64_t utc_s);

#endif
