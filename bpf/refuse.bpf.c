// SPDX-License-Identifier: GPL-2.0-only
/*
 * Refuses the execution of a mailer whose account has used up its limit. It looks before the program
 * runs, counts and tells exec.bpf.c so. The kernel leaves out a tracing or LSM program that the same CPU
 * was in when it turned to another task: what one of the two misses, the other counts. An object of
 * its own: few kernels run LSM programs.
 */
#define SW_LSM

#include "exec.bpf.h"

#include "container.bpf.h"
#include "event.bpf.h"

/* What this hook returns: the opposite of what those of connects do. */
#define SW_LSM_PASS	0
#define SW_LSM_REFUSE	(-1)	/* -EPERM */

/* The caller has not become the mailer yet. */
static __always_inline void sw_read_caller(struct task_struct *task, struct sw_where *w)
{
	sw_read_where(task, w);
	sw_read_sender(task, w);
}

/* The kernel comes here with a script first, and then with the interpreter of the same execution.
 * It is a mailer when exec.bpf.c will say so. */
static __always_inline __u32 sw_find_first(struct linux_binprm *bprm)
{
	__u32 zero = 0;
	struct sw_control *c;

	if (bprm->interp != bprm->filename)
		return 0;
	c = bpf_map_lookup_elem(&sw_control, &zero);
	if (!c)
		return 0;
	return bprm->buf[0] == '#' && bprm->buf[1] == '!' ? sw_find_name(c, bprm) :
							     sw_find_file(c, bprm);
}

static __always_inline void sw_count_judged(struct task_struct *task, struct sw_decision *d)
{
	__u64 now = sw_coarse_now();
	struct sw_origin_key origin;
	struct sw_uid_stats *account;

	account = sw_count(task, NULL, d, &origin, now);
	if (d->verdict == SW_ALLOW)
		return;
	sw_after_limit(d);
	sw_count_hour(d->charge.uid);
	sw_remember_cgroup();
	if (sw_throttled(account, now))
		sw_bump(SW_CTR_EVENTS_THROTTLED);
	else
		sw_send_exec(sw_pack(d, 0, 0));
}

/* Not 0: it is refused. */
static __noinline int sw_judge(void)
{
	struct task_struct *task = sw_current();
	struct sw_decision d = { .slot = SW_N_SENDMAIL };
	__u32 one = 1;
	__u64 key;

	if (!sw_is_our_turn_or_was() || !sw_in_scope())
		return 0;
	d.charge.uid = sw_real_uid(task);
	if (sw_is_mail_user(d.charge.uid) || sw_is_delivery(task, d.charge.uid) ||
	    sw_is_chained(task, false))
		return 0;
	/* Another generation's program looked first, or it failed otherwise and is tried again. */
	key = sw_counted_key(sw_process_id(task));
	if (bpf_map_lookup_elem(&sw_chains, &key))
		return 0;
	if (!sw_keeps_within(task, &d))
		sw_refuse(&sw_settings, &d, SW_LIMITED, SW_N_LIMITED);
	sw_count_judged(task, &d);
	if (d.verdict == SW_LIMITED)
		return 1;
	bpf_map_update_elem(&sw_chains, &key, &one, BPF_ANY);
	return 0;
}

/* Newer verifiers look at what is returned: constants only. */
SEC("lsm/bprm_check_security")
int sw_exec_refuse(__u64 *ctx)
{
	if (sw_find_first((struct linux_binprm *)ctx[0]) && sw_judge())
		return SW_LSM_REFUSE;
	return SW_LSM_PASS;
}

char _license[] SEC("license") = "GPL";
