/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/libbpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "control.h"
#include "overhear.h"

#define NSEC_PER_SEC	1000000000ULL

struct listener {
	uint32_t uid;
	bool heard;
	struct sw_event *event;
};

static int on_event(void *data, void *record, size_t len)
{
	struct listener *l = data;
	const struct sw_event *e = record;

	if (len == sizeof(*e) && e->charged_uid == l->uid && e->charged_row == SW_ROW_UID) {
		*l->event = *e;
		l->heard = true;
	}
	return 0;
}

bool overhear(const struct wall *w, uint32_t uid, struct sw_event *ret)
{
	struct listener l = { .uid = uid, .event = ret };
	struct ring_buffer *ring;
	struct sw_live live;

	wall_live(w, &live);
	ring = ring_buffer__new(live.map_fd[SW_MAP_EVENTS], on_event, &l, NULL);
	if (!ring || ring_buffer__consume(ring) < 0) {
		fprintf(stderr, "cannot read the events\n");
		exit(99);
	}
	ring_buffer__free(ring);
	sw_live_close(&live);
	return l.heard;
}

enum sw_reason overhear_reason(const struct wall *w, uint32_t uid)
{
	struct sw_event e;

	return overhear(w, uid, &e) ? (enum sw_reason)e.reason : SW_BY_NONE;
}

void overhear_set_clock(const struct wall *w, int64_t utc_s)
{
	struct sw_control *c;
	struct timespec mono;
	struct sw_live live;

	wall_live(w, &live);
	c = sw_control_map(live.map_fd[SW_MAP_CONTROL]);
	if (!c || clock_gettime(CLOCK_MONOTONIC, &mono) < 0) {
		fprintf(stderr, "cannot write the control page\n");
		exit(99);
	}
	__atomic_store_n(&c->wall_offset_ns,
			 (uint64_t)(utc_s - mono.tv_sec) * NSEC_PER_SEC - (uint64_t)mono.tv_nsec,
			 __ATOMIC_RELEASE);
	sw_control_unmap(c);
	sw_live_close(&live);
}
