/* SPDX-License-Identifier: GPL-2.0-only */
/* Local time, and counting by the hour of it. */
#ifndef SW_HOURS_BPF_H
#define SW_HOURS_BPF_H

#include "maps.bpf.h"

#define SW_HOUR_S	3600
#define SW_NSEC_PER_SEC	1000000000ULL

/* Hours of local time since 1970. The control page knows the changes of local time to come. */
static __always_inline __u32 sw_local_hour(void)
{
	__u64 now = bpf_ktime_get_ns(), offset = 0;
	__u32 zero = 0;
	struct sw_control *c = bpf_map_lookup_elem(&sw_control, &zero);

	if (!c)
		return 0;
	now = (now + c->wall_offset_ns) / SW_NSEC_PER_SEC;
	for (int i = 0; i < SW_ZONES; i++)
		if (now >= c->zone[i].from_s)
			offset = c->zone[i].offset_s;
	return (now + offset) / SW_HOUR_S;
}

/*
 * One more in the hour it is now. Hours that went by without an attempt are emptied on the way; a
 * clock that is set back counts where it stood. Global, with scalars only: verified once.
 */
#if !defined(SW_TRACING) || defined(SW_LSM)
int sw_count_hour(__u32 uid);
__noinline int sw_count_hour(__u32 uid)
{
	__u32 hour = sw_local_hour(), next;
	struct sw_hours *h = bpf_map_lookup_elem(&sw_hours, &uid);

	if (!h) {
		__u32 zero = 0;
		void *empty = bpf_map_lookup_elem(&sw_zero, &zero);

		if (!empty)
			return 0;
		bpf_map_update_elem(&sw_hours, &uid, empty, BPF_NOEXIST);
		h = bpf_map_lookup_elem(&sw_hours, &uid);
		if (!h)
			return 0;	/* the table is full; the account's counters are complete */
	}
	bpf_spin_lock(&h->lock);
	if (h->newest < hour) {
		/* From far behind all are emptied, whatever they are called. */
		next = hour - h->newest > SW_HOURS ? hour - SW_HOURS + 1 : h->newest + 1;
		for (int i = 0; i < SW_HOURS && next + i <= hour; i++)
			h->n[(next + i) & (SW_HOURS - 1)] = 0;
		h->newest = hour;
	}
	h->n[h->newest & (SW_HOURS - 1)]++;
	bpf_spin_unlock(&h->lock);
	return 0;
}
#endif

#endif
