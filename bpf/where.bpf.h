/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where the caller is and what it runs: current directory, command name, process title. Read
 * inside the kernel at the moment of the connect, so a script that lives for 20 ms is named as
 * surely as one that stays. The result is written straight into a map row or an event record
 * that only this caller owns: scratch per CPU is corrupted by preemption in these hooks.
 */
#ifndef SW_WHERE_BPF_H
#define SW_WHERE_BPF_H

#include "maps.bpf.h"

#define SW_PATH_STEPS	64	/* components and mount crossings of one walk */
#define SW_NAME_MASK	255	/* longest component; the slack after the path must hold it */

_Static_assert(SW_ARGV_LEN > SW_NAME_MASK, "the walk may spill a whole component past the path");

#define sw_offset(type, field)	bpf_core_field_offset(struct type, field)
#define sw_probe(dst, addr)	bpf_probe_read_kernel(&(dst), sizeof(dst), (void *)(addr))

/* What a walk needs of a dentry, as it lies in every kernel so far: one read instead of three.
 * Kernels that lay it out otherwise are noticed below. */
struct sw_dentry {
	__u64 parent;
	__u32 hash;
	__u32 len;
	__u64 name;
};

static __always_inline void sw_read_dentry(struct sw_dentry *d, __u64 from)
{
	const __u32 at = sw_offset(dentry, d_parent);

	/* Constants once libbpf has relocated them: only one branch is ever loaded. */
	if (sw_offset(dentry, d_name.len) == at + __builtin_offsetof(struct sw_dentry, len) &&
	    sw_offset(dentry, d_name.name) == at + __builtin_offsetof(struct sw_dentry, name)) {
		sw_probe(*d, from + at);
		return;
	}
	sw_probe(d->parent, from + at);
	sw_probe(d->len, from + sw_offset(dentry, d_name.len));
	sw_probe(d->name, from + sw_offset(dentry, d_name.name));
}

/* From the root of a mount to the directory it is mounted on; false at the root of all. */
static __always_inline bool sw_walk_cross(struct sw_walk *w)
{
	__u64 up = 0, mnt = 0, root = 0;

	sw_probe(mnt, w->mnt + sw_offset(mount, mnt_parent));
	if (!mnt || mnt == w->mnt)
		return false;
	sw_probe(up, w->mnt + sw_offset(mount, mnt_mountpoint));
	sw_probe(root, mnt + sw_offset(mount, mnt.mnt_root));
	w->mnt = mnt;
	w->mnt_root = root;
	w->dentry = up;
	return true;
}

/* Writes one name in front of the path; false when it does not fit. */
static __always_inline bool sw_walk_prepend(struct sw_where *w, __u32 len, __u64 name)
{
	__u32 off = w->walk.off;

	len &= SW_NAME_MASK;
	if (off < len + 1)
		return false;
	off = (off - len - 1) & (SW_PATH_LEN - 1);
	w->path[off] = '/';
	/* Exactly the name: the slash that follows it is there already. */
	bpf_probe_read_kernel(w->path + off + 1, len, (void *)name);
	w->walk.off = off;
	return true;
}

/* The caller's own mount, by plain loads: that is most of the path, and a third of the time.
 * True when the root of the mount was reached. */
static __always_inline bool sw_walk_typed(struct sw_where *w, struct dentry *d)
{
	for (int i = 0; i < SW_PATH_STEPS; i++) {
		struct dentry *parent = d->d_parent;

		if ((__u64)d == w->walk.mnt_root || d == parent)
			return true;
		if (!sw_walk_prepend(w, d->d_name.len, (__u64)d->d_name.name))
			return false;
		d = parent;
	}
	return false;
}

/* The mounts above it. True when the root of all was reached. */
static __always_inline bool sw_walk_probed(struct sw_where *w)
{
	for (int i = 0; i < SW_PATH_STEPS; i++) {
		bool top = w->walk.dentry == w->walk.mnt_root;
		struct sw_dentry d = {};

		if (!top)
			sw_read_dentry(&d, w->walk.dentry);
		if (top || d.parent == w->walk.dentry) {
			if (!sw_walk_cross(&w->walk))
				return true;
			continue;
		}
		if (!sw_walk_prepend(w, d.len, d.name))
			return false;
		w->walk.dentry = d.parent;
	}
	return false;
}

static __noinline int sw_walk_path(struct sw_where *w, struct dentry *dentry)
{
	bool whole = true;

	w->walk.off = SW_PATH_LEN - 1;
	w->path[SW_PATH_LEN - 1] = '\0';
	if (sw_settings.has_task_btf && dentry) {
		whole = sw_walk_typed(w, dentry);
		w->walk.dentry = w->walk.mnt_root;
	}
	w->flags = whole && sw_walk_probed(w) ? 0 : SW_PATH_CUT;
	if (w->walk.off == SW_PATH_LEN - 1) {	/* the root itself */
		w->walk.off = SW_PATH_LEN - 2;
		w->path[SW_PATH_LEN - 2] = '/';
	}
	w->path_off = w->walk.off;
	return 0;
}

/* Process title. argv is the caller's own memory, often rewritten (php-fpm: pool NAME): text to
 * show, never to trust. A page that is not there leaves it empty. */
static __always_inline void sw_read_argv(struct task_struct *task, struct sw_where *w)
{
	unsigned long start = 0, end = 0;
	struct mm_struct *mm = NULL;
	__u64 len;

	sw_read(mm, task, mm);
	sw_read(start, mm, arg_start);
	sw_read(end, mm, arg_end);
	len = end - start;
	if (len > SW_ARGV_LEN - 1)
		len = SW_ARGV_LEN - 1;
	asm volatile("" : "+r"(len));	/* keep the mask below: old verifiers need it */
	len &= SW_ARGV_LEN - 1;
	if (bpf_probe_read_user(w->argv, len, (void *)start))
		len = 0;
	w->argv_len = len;
	w->argv[len & (SW_ARGV_LEN - 1)] = '\0';
}

/* Fills all of `w`. The directory may be changed by another thread meanwhile; the reads cannot
 * fault, and at worst one row shows a path that never was. */
static __always_inline void sw_read_where(struct task_struct *task, struct sw_where *w)
{
	struct task_struct *leader = NULL;
	struct vfsmount *vfsmnt = NULL;
	struct dentry *dentry = NULL;
	struct fs_struct *fs = NULL;

	sw_read(leader, task, group_leader);
	bpf_probe_read_kernel(w->comm, sizeof(w->comm), &leader->comm);
	sw_read(fs, task, fs);
	sw_read(vfsmnt, fs, pwd.mnt);
	sw_read(dentry, fs, pwd.dentry);
	w->walk.dentry = (__u64)dentry;
	/* struct vfsmount is the public part inside struct mount. */
	w->walk.mnt = (__u64)vfsmnt - sw_offset(mount, mnt);
	w->walk.mnt_root = 0;
	sw_probe(w->walk.mnt_root, (__u64)vfsmnt + sw_offset(vfsmount, mnt_root));
	w->walk.pad = 0;
	sw_walk_path(w, dentry);
	sw_read_argv(task, w);	/* after the path, which may have spilled into argv */
}

/* Device and inode of the current directory. */
static __always_inline void sw_read_cwd(struct task_struct *task, __u32 *dev, __u64 *ino)
{
	struct super_block *sb = NULL;
	struct dentry *dentry = NULL;
	struct fs_struct *fs = NULL;
	struct inode *inode = NULL;
	unsigned long number = 0;

	sw_read(fs, task, fs);
	sw_read(dentry, fs, pwd.dentry);
	sw_read(inode, dentry, d_inode);
	sw_read(number, inode, i_ino);
	sw_read(sb, inode, i_sb);
	sw_read(*dev, sb, s_dev);
	*ino = number;
}

#endif
