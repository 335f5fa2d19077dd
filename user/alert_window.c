/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Periods that move with time, and hours and days of local time. */
#include <stdlib.h>

#include "alert_int.h"
#include "util.h"

void sw_moment_set(struct sw_moment *m, const struct sw_alert_clock *now)
{
	struct tm tm;

	*m = (struct sw_moment){ .mono_ns = now->mono_ns, .wall = now->wall };
	if (localtime_r(&now->wall, &tm))
		m->offset_s = tm.tm_gmtoff;
	m->hour = (uint32_t)((now->wall + m->offset_s) / 3600);
}

/* Seconds of a bucket. */
static uint64_t grain(const struct sw_alert_rule *r)
{
	return (r->seconds + SW_RING_BUCKETS - 2) / (SW_RING_BUCKETS - 1);
}

/* Buckets that make the period, with the one being filled. */
static uint64_t buckets(const struct sw_alert_rule *r)
{
	return (r->seconds + grain(r) - 1) / grain(r) + 1;
}

static void move_ring(struct sw_window *w, const struct sw_alert_rule *r, uint64_t mono_ns)
{
	uint64_t tick = mono_ns / NSEC_PER_SEC / grain(r), n = buckets(r);
	struct sw_ring *ring = w->ring;

	if (tick <= ring->tick)
		return;
	for (uint64_t i = 0; i < n && i < tick - ring->tick; i++) {
		int32_t *old = &ring->n[(tick - i) % n];

		w->count -= *old;
		*old = 0;
	}
	ring->tick = tick;
}

/* A clock that was set back by less than one window begins no new one, as with limits. */
static void move_calendar(struct sw_window *w, uint32_t index)
{
	if (index == w->index || w->index - index == 1)
		return;
	w->index = index;
	w->count = 0;
}

void sw_window_move(struct sw_window *w, const struct sw_alert_rule *r, const struct sw_moment *m)
{
	if (r->period == SW_PERIOD_HOUR)
		move_calendar(w, m->hour);
	else if (r->period == SW_PERIOD_DAY)
		move_calendar(w, m->hour / 24);
	else if (w->ring)
		move_ring(w, r, m->mono_ns);
}

bool sw_window_add(struct sw_window *w, const struct sw_alert_rule *r, int64_t n)
{
	int64_t sum;
	int32_t *to;

	if (r->period == SW_PERIOD_HOUR || r->period == SW_PERIOD_DAY) {
		w->count += n;
		return true;
	}
	if (!w->ring)
		return false;
	to = &w->ring->n[w->ring->tick % buckets(r)];
	sum = *to + n;
	sum = sum > INT32_MAX ? INT32_MAX : sum < INT32_MIN ? INT32_MIN : sum;
	w->count += sum - *to;
	*to = (int32_t)sum;
	return true;
}

bool sw_window_is_idle(const struct sw_window *w, const struct sw_moment *m)
{
	if (w->due || w->count || w->cool_until_ns > m->mono_ns)
		return false;
	return !w->fired || w->fired != w->index + 1;
}

time_t sw_window_since(const struct sw_alert_rule *r, const struct sw_moment *m)
{
	time_t local = m->wall + m->offset_s;

	switch (r->period) {
	case SW_PERIOD_HOUR:
		return m->wall - local % 3600;
	case SW_PERIOD_DAY:
		return m->wall - local % 86400;
	case SW_PERIOD_LEVEL:
		return m->wall;
	default:
		return m->wall - (time_t)r->seconds;
	}
}
