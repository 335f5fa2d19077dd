/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mail handed to the mail server by executing one of its programs, as PHP's mail() does. What
 * counts is the program's file, whatever it is called, and the account that started it: its real
 * UID, since the program may be set-uid. A mail server executes itself too, for deliveries and
 * vacation notices: those are no submissions.
 */
#ifndef SW_EXEC_BPF_H
#define SW_EXEC_BPF_H

#define SW_TRACING	/* neither sockets nor all helpers of the other hooks */

#include "count.bpf.h"
#include "take.bpf.h"

/* The cgroup that the connect hooks are attached to, where that is not the root of all: these
 * hooks see the whole machine. Filled in between load and attach. */
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sw_scope SEC(".maps");

static __always_inline void sw_file_key(struct file *file, struct sw_mailer_key *key)
{
	struct super_block *sb = NULL;
	struct inode *inode = NULL;
	unsigned long number = 0;

	sw_read(inode, file, f_inode);
	sw_read(number, inode, i_ino);
	sw_read(sb, inode, i_sb);
	sw_read(key->dev, sb, s_dev);
	key->ino = number;
}

/* Does the process run one of the mailers? */
static __always_inline bool sw_runs_mailer(struct task_struct *task)
{
	struct sw_mailer_key key = {};
	struct mm_struct *mm = NULL;
	struct file *file = NULL;

	sw_read(mm, task, mm);
	sw_read(file, mm, exe_file);
	sw_file_key(file, &key);
	return bpf_map_lookup_elem(&sw_mailers, &key) != NULL;
}

static __always_inline struct task_struct *sw_parent_of(struct task_struct *task)
{
	struct task_struct *leader = NULL, *parent = NULL;

	sw_read(leader, task, group_leader);
	sw_read(parent, leader, real_parent);
	return parent;
}

static __always_inline __u32 sw_real_uid(struct task_struct *task)
{
	const struct cred *cred = NULL;
	__u32 uid;

	sw_read(cred, task, cred);
	sw_read_or(uid, cred, uid.val, SW_NOBODY);
	return uid;
}

/* No two processes have the same as long as both are remembered. */
static __always_inline __u64 sw_process_id(struct task_struct *task)
{
	struct task_struct *leader = NULL;
	__u64 start = 0;
	__u32 tgid = 0;

	sw_read(leader, task, group_leader);
	sw_read(start, leader, start_time);
	sw_read(tgid, leader, tgid);
	return start ^ (__u64)tgid << 40;
}

/* Its own user: what Exim runs as when it starts itself to deliver. root is nobody's own. */
static __always_inline bool sw_is_mail_user(__u32 uid)
{
	struct sw_mailer_key key = { .ino = uid, .dev = SW_DEV_NONE };

	return uid && bpf_map_lookup_elem(&sw_mailers, &key);
}

/*
 * Does the mail server execute itself on an account's behalf, as Exim does for vacation notices? It
 * came there from another user, which nobody but a mail server does: an account that has a mailer
 * run a command for it is the same user all along, and is counted.
 */
static __always_inline bool sw_is_delivery(struct task_struct *task, __u32 uid)
{
	struct task_struct *parent = sw_parent_of(task), *above;

	if (!sw_runs_mailer(parent))
		return false;
	if (sw_real_uid(parent) != uid)
		return true;
	above = sw_parent_of(parent);
	return sw_runs_mailer(above) && sw_real_uid(above) != uid;
}

/* Was this mail counted already, when the program that now starts another one was started? One
 * mail is one execution: what was remembered is used up by the second one. */
static __always_inline bool sw_is_chained(struct task_struct *task, bool forget)
{
	__u64 self = sw_process_id(task), parent = sw_process_id(sw_parent_of(task));

	if (bpf_map_lookup_elem(&sw_chains, &self)) {
		if (forget)
			bpf_map_delete_elem(&sw_chains, &self);
		return true;
	}
	if (bpf_map_lookup_elem(&sw_chains, &parent)) {
		if (forget)
			bpf_map_delete_elem(&sw_chains, &parent);
		return true;
	}
	return false;
}

/* Whether an execution keeps within the limits, of which it uses up one each. Where the table of
 * limits has no row left it does not, like a connect: else whoever fills the table has no limit. */
static __always_inline bool sw_keeps_within(struct task_struct *task, struct sw_decision *d)
{
	struct sw_env env = { .task = task };
	const struct cred *cred = NULL;
	struct sw_ids ids = {};

	sw_read(cred, task, cred);
	sw_read_or(ids.egid, cred, gid.val, SW_NOBODY);
	ids.euid = ids.ruid = ids.real_ruid = d->charge.uid;
	d->channel = SW_CHANNEL_SENDMAIL;
	if (!sw_is_limited_channel(&env, &sw_settings, &ids, d))
		return true;
	d->reason = SW_BY_SENDMAIL;
	return sw_within_limits(&env, &sw_settings, &ids, d);
}

/* An execution that was counted and has paid before the program ran is in sw_chains until it does,
 * under a number that is no process's. */
static __always_inline __u64 sw_counted_key(__u64 process_id)
{
	return ~process_id;
}

/* Old and new programs run side by side for a moment during an apply: this word says whose turn it
 * is. */
static __always_inline bool sw_is_our_turn(void)
{
	__u32 zero = 0;
	struct sw_control *c = bpf_map_lookup_elem(&sw_control, &zero);

	return c && c->exec_generation == sw_settings.generation;
}

/* The same before the program runs. The kernel asks the newer program first: were it to wait for its
 * turn and the older one to have lost it, nobody would look. */
static __always_inline bool sw_is_our_turn_or_was(void)
{
	__u32 zero = 0;
	struct sw_control *c = bpf_map_lookup_elem(&sw_control, &zero);

	return c && (__s32)(c->exec_generation - sw_settings.generation) >= 0;
}

static __always_inline bool sw_in_scope(void)
{
	return !sw_settings.scoped || bpf_current_task_under_cgroup(&sw_scope, 0) == 1;
}

static __always_inline bool sw_has_bit(const __u64 filter[SW_MAILER_WORDS], __u32 bit)
{
	return filter[bit / 64 & (SW_MAILER_WORDS - 1)] & 1ULL << (bit & 63);
}

/* Nearly every execution is none of a mailer: a page that is loaded says so, for a lookup takes
 * several times as long here, where all caches are cold. */
static __always_inline __u32 sw_find_file(struct sw_control *c, struct linux_binprm *bprm)
{
	struct sw_mailer_key key = { .ino = bprm->file->f_inode->i_ino };
	__u32 *flags = NULL;

	key.dev = bprm->file->f_inode->i_sb->s_dev;
	if (sw_has_bit(c->mailer_filter, sw_mailer_bit(key.ino, key.dev)))
		flags = bpf_map_lookup_elem(&sw_mailers, &key);
	return flags ? *flags : 0;
}

static __always_inline __u32 sw_find_name(struct sw_control *c, struct linux_binprm *bprm)
{
	struct sw_mailer_name name = {};
	__u32 *flags;

	if (bpf_probe_read_kernel_str(name.path, sizeof(name.path), bprm->filename) < 0 ||
	    !sw_has_bit(c->name_filter, sw_mailer_name_bit(&name)))
		return 0;
	flags = bpf_map_lookup_elem(&sw_mailer_names, &name);
	return flags ? *flags : 0;
}

/* Flags of the mailer that was started, or 0. */
static __always_inline __u32 sw_find_mailer(struct linux_binprm *bprm)
{
	__u32 zero = 0, flags;
	struct sw_control *c = bpf_map_lookup_elem(&sw_control, &zero);

	if (!c)
		return 0;
	flags = sw_find_file(c, bprm);
	/* Of a script the file is its interpreter. */
	return flags || bprm->interp == bprm->filename ? flags : sw_find_name(c, bprm);
}

static __always_inline bool sw_is_shell(const char *c)
{
	if (c[0] == 's' && c[1] == 'h' && !c[2])
		return true;
	return (c[0] == 'd' || c[0] == 'b') && c[1] == 'a' && c[2] == 's' && c[3] == 'h' && !c[4];
}

/* Who handed the mail over: the nearest process from `task` up that is no shell. */
static __always_inline void sw_read_sender(struct task_struct *task, struct sw_where *w)
{
	for (int i = 0; i < 3; i++) {
		bpf_probe_read_kernel_str(w->comm, sizeof(w->comm), &task->comm);
		if (!sw_is_shell(w->comm))
			break;
		task = sw_parent_of(task);
	}
	w->flags |= SW_WHERE_EXEC;
}

#endif
