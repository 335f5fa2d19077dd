/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What one connect did in the kernel: which counter it added to, and which event it sent. */
#ifndef OBSERVER_H
#define OBSERVER_H

#include <bpf/libbpf.h>

#include "live.h"
#include "mapread.h"
#include "smtpwall_abi.h"

struct observer {
	const struct sw_live *live;
	struct ring_buffer *ring;
	struct sw_map_dump rows;	/* of sw_uid_stats, after the last connect */
	unsigned int n_events;		/* since observer_begin() */
	struct sw_event event;		/* the last one */
};

/* What was counted, in all rows together. */
struct observed {
	unsigned int n;
	enum sw_slot slot;
	uint32_t uid;		/* of the row; UINT32_MAX: of no account */
};

/* Turns the throttle off, so that every event is sent. Fails the test program when it cannot.
 * `live` has to stay open. */
void observer_open(const struct sw_live *live, struct observer *ret);
void observer_close(struct observer *o);

/* Around a connect. */
void observer_begin(struct observer *o);
void observer_end(struct observer *o, struct observed *ret);

#endif
