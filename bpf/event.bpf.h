/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events: a bonus on top of the counters. They are throttled per account before anything is
 * reserved, so a flood by one account costs almost nothing and cannot push out the first event
 * of another. What is not sent is counted.
 */
#ifndef SW_EVENT_BPF_H
#define SW_EVENT_BPF_H

#include "count.bpf.h"

/*
 * Generic cell rate: `tat` is when the next event is due if the account had kept to its rate.
 * An event may come while that lies less than a burst ahead. One word, so that two CPUs that
 * race can at worst send one event more.
 */
static __always_inline bool sw_throttled(struct sw_uid_stats *account, __u64 now)
{
	__u32 zero = 0, tick = now >> SW_TICK_SHIFT, tat;
	struct sw_control *c = bpf_map_lookup_elem(&sw_control, &zero);

	if (!account || !c || !c->event_interval)
		return false;
	tat = account->event_tat;
	if ((__s32)(tat - tick) < 0)
		tat = tick;
	if (tat - tick >= c->event_burst * c->event_interval)
		return true;
	account->event_tat = tat + c->event_interval;
	return false;
}

static __always_inline void sw_event_caller(struct sw_event *e, struct task_struct *task)
{
	struct task_struct *leader = NULL, *parent = NULL;
	const struct cred *cred = NULL;

	sw_read(e->pid, task, pid);
	sw_read(e->tgid, task, tgid);
	sw_read(cred, task, cred);
	sw_read(e->ruid, cred, uid.val);
	sw_read(e->euid, cred, euid.val);
	sw_read(e->egid, cred, egid.val);
	sw_read(leader, task, group_leader);
	sw_read(parent, leader, real_parent);
	sw_read(e->ppid, parent, tgid);
	bpf_probe_read_kernel(e->parent_comm, sizeof(e->parent_comm), &parent->comm);
	e->loginuid = -1;
	if (bpf_core_field_exists(leader->loginuid))	/* a kernel with audit */
		bpf_core_read(&e->loginuid, sizeof(e->loginuid), &leader->loginuid);
	sw_read_cwd(task, &e->cwd_dev, &e->cwd_ino);
	e->cgroup_id = bpf_get_current_cgroup_id();
}

/* What the hook found, in one register: see sw_send_event(). */
static __always_inline __u64 sw_pack(const struct sw_decision *d, __u16 port, __u32 family)
{
	_Static_assert(_SW_VERDICT_MAX <= 8 && _SW_REASON_MAX <= 32, "three and five bits");
	return (__u64)d->charge.uid << 32 | (__u64)port << 16 | d->charge.row << 12 |
	       (d->channel & 3) << 9 |
	       (family == 6 ? 1 << 8 : 0) | d->reason << 3 | d->verdict;
}

static __always_inline void sw_unpack(struct sw_event *e, __u64 found)
{
	e->charged_uid = found >> 32;
	e->dport = found >> 16;
	e->charged_row = found >> 12 & 15;
	e->family = found >> 8 & 1 ? 6 : 4;
	e->reason = found >> 3 & 31;
	e->channel = found >> 9 & 3;
	e->verdict = found & 7;
}

/* Every byte is written, padding too: the ring still holds older records. The destination is left
 * to the caller. */
static __always_inline void sw_fill_event(struct sw_event *e, __u64 found)
{
	struct task_struct *task = sw_current();

	e->time_ns = bpf_ktime_get_ns();
	e->generation = sw_settings.generation;
	sw_unpack(e, found);
	e->pad = 0;
	sw_event_caller(e, task);
	e->where.pad = 0;
	sw_read_caller(task, &e->where);
}

#ifndef SW_TRACING
/* Global, with scalars only (all that 5.10 takes): the verifier then looks at the path walk
 * once, not once for each way that leads here. */
int sw_send_event(struct bpf_sock_addr *ctx, __u64 found, __u64 addr_high, __u64 addr_low);
__noinline int sw_send_event(struct bpf_sock_addr *ctx, __u64 found, __u64 addr_high,
			     __u64 addr_low)
{
	struct sw_event *e = bpf_ringbuf_reserve(&sw_events, sizeof(*e), 0);

	if (!e) {
		sw_bump(SW_CTR_EVENTS_LOST);
		return 0;
	}
	e->netns_cookie = bpf_get_netns_cookie(ctx);
	__builtin_memcpy(e->daddr, &addr_high, 8);
	__builtin_memcpy(e->daddr + 8, &addr_low, 8);
	sw_fill_event(e, found);
	bpf_ringbuf_submit(e, 0);
	sw_bump(SW_CTR_EVENTS_SENT);
	return 0;
}

static __always_inline void sw_report(struct bpf_sock_addr *ctx, const struct sw_flow *f,
				      const struct sw_decision *d, __u32 family)
{
	__u64 half[2];

	__builtin_memcpy(half, f->addr, sizeof(half));
	sw_send_event(ctx, sw_pack(d, f->port, family), half[0], half[1]);
}
#else
/* An execution has neither socket nor destination. */
int sw_send_exec(__u64 found);
__noinline int sw_send_exec(__u64 found)
{
	struct sw_event *e = bpf_ringbuf_reserve(&sw_events, sizeof(*e), 0);

	if (!e) {
		sw_bump(SW_CTR_EVENTS_LOST);
		return 0;
	}
	e->netns_cookie = 0;
	__builtin_memset(e->daddr, 0, sizeof(e->daddr));
	sw_fill_event(e, found);
	e->family = 0;
	bpf_ringbuf_submit(e, 0);
	sw_bump(SW_CTR_EVENTS_SENT);
	return 0;
}
#endif

#endif
