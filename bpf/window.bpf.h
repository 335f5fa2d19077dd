/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The window of a limit: an hour and its day, in local time. Like decide.bpf.h compiled into the
 * hooks, into `smtpwall` and into the unit tests. In the hooks under the lock of its row.
 */
#ifndef SW_WINDOW_BPF_H
#define SW_WINDOW_BPF_H

#include "smtpwall_abi.h"

/* No call may be made while the lock is held. */
#define SW_WINDOW	static inline __attribute__((always_inline))

/* Moves the window to `hour`. It goes forward, and never back by one hour: a clock that is set back
 * a little must not give a window a second time. A clock that was wrong by more starts anew. */
SW_WINDOW void sw_window_turn(struct sw_usage *u, __u32 hour)
{
	if (hour == u->hour || hour + 1 == u->hour)
		return;
	if (hour / 24 != u->hour / 24)
		u->day_used = 0;
	u->hour_used = 0;
	u->hour = hour;
}

/* Uses up one: the window it was counted in (its hour + 1), or 0 when none is left. */
SW_WINDOW __u32 sw_window_take(struct sw_usage *u, __u32 per_hour, __u32 per_day, __u32 hour)
{
	sw_window_turn(u, hour);
	if (u->hour_used >= per_hour || u->day_used >= per_day)
		return 0;
	u->hour_used++;
	u->day_used++;
	return u->hour + 1;
}

/* Puts one back, only into the window it was counted in: somebody may have turned it since. */
SW_WINDOW void sw_window_give_back(struct sw_usage *u, __u32 counted)
{
	if (u->hour + 1 == counted && u->hour_used)
		u->hour_used--;
	if (u->hour / 24 == (counted - 1) / 24 && u->day_used)
		u->day_used--;
}

#endif
