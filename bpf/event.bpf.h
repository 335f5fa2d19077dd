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

static __noinline int sw_send_event(struct bpf_sock_addr *ctx, const struct sw_flow *f,
				    const struct sw_decision *d, __u32 family)
{
	struct sw_event *e = bpf_ringbuf_reserve(&sw_events, sizeof(*e), 0);
	struct task_struct *task = sw_current();

	if (!e) {
		sw_bump(SW_CTR_EVENTS_LOST);
		return 0;
	}
	/* Every byte is written, padding too: the ring still holds older records. */
	e->time_ns = bpf_ktime_get_ns();
	e->netns_cookie = bpf_get_netns_cookie(ctx);
	e->generation = sw_settings.generation;
	e->charged_uid = d->charge.uid;
	e->charged_row = d->charge.row;
	e->verdict = d->verdict;
	e->reason = d->reason;
	e->family = family;
	e->dport = f->port;
	e->pad[0] = e->pad[1] = 0;
	__builtin_memcpy(e->daddr, f->addr, sizeof(e->daddr));
	sw_event_caller(e, task);
	e->where.pad = 0;
	sw_read_where(task, &e->where);
	bpf_ringbuf_submit(e, 0);
	sw_bump(SW_CTR_EVENTS_SENT);
	return 0;
}

#endif
