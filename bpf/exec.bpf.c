// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts mail that is handed to the mail server by executing its programs. Every execution of the
 * machine comes through here: one lookup says that it is none of ours. An object of its own, so that
 * a kernel that does not take it still gets the gate.
 */
#include "exec.bpf.h"

static __always_inline void sw_read_caller(struct task_struct *task, struct sw_where *w)
{
	sw_read_where(task, w);
	sw_read_sender(sw_parent_of(task), w);
}

/* Has refuse.bpf.c counted this execution? */
static __always_inline bool sw_was_counted(__u64 self)
{
	__u64 key = sw_counted_key(self);

	return !bpf_map_delete_elem(&sw_chains, &key);
}

/* What cannot be refused uses up the limits all the same: connects of the same account are limited by
 * what is left. */
static __always_inline void sw_count_mail(struct task_struct *task, struct sw_decision *d, __u64 now)
{
	struct sw_origin_key origin;

	if (sw_settings.limit_sendmail)
		sw_keeps_within(task, d);
	sw_count(task, NULL, d, &origin, now);
}

static __noinline int sw_mailed(__u32 flags)
{
	struct task_struct *task = sw_current();
	struct sw_decision d = { .slot = SW_N_SENDMAIL };
	__u64 now = sw_coarse_now(), self;
	struct sw_uid_stats *account;
	__u32 one = 1;

	if (!sw_is_our_turn() || !sw_in_scope())
		return 0;
	d.charge.uid = sw_real_uid(task);
	if (sw_is_mail_user(d.charge.uid) || sw_is_delivery(task, d.charge.uid) ||
	    sw_is_chained(task, true))
		return 0;
	/* Both programs may see the turn change: then the first one has counted. */
	self = sw_process_id(task);
	account = sw_uid_row(&d.charge, now);
	if (account && account->last_exec == self)
		return 0;
	if (account)
		account->last_exec = self;
	if (!sw_was_counted(self))
		sw_count_mail(task, &d, now);
	if (flags & SW_MAILER_CHAIN)
		bpf_map_update_elem(&sw_chains, &self, &one, BPF_ANY);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int sw_exec(__u64 *ctx)
{
	__u32 flags = sw_find_mailer((struct linux_binprm *)ctx[2]);

	if (flags)
		sw_mailed(flags);
	return 0;
}

char _license[] SEC("license") = "GPL";
