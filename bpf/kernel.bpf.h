/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel fields that are read, and no others. libbpf relocates every offset at load time
 * (CO-RE), so order and size here do not matter and no vmlinux.h is needed.
 */
#ifndef SW_KERNEL_BPF_H
#define SW_KERNEL_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#ifndef IPPROTO_TCP
#define IPPROTO_TCP	6
#endif
#define SW_SOCK_RAW	3
#define PF_KTHREAD	0x00200000

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
	__u32 val;
} kuid_t;

typedef struct {
	__u32 val;
} kgid_t;

struct cred {
	kuid_t uid;
	kgid_t gid;
	kuid_t euid;
	kgid_t egid;
};

struct pid {
	unsigned int level;
};

struct super_block {
	__u32 s_dev;
};

struct inode {
	unsigned long i_ino;
	struct super_block *i_sb;
};

struct qstr {
	__u32 len;
	const unsigned char *name;
};

struct dentry {
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
};

struct vfsmount {
	struct dentry *mnt_root;
};

struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};

struct fs_struct {
	struct path pwd;
};

struct file {
	struct inode *f_inode;
};

struct sock_common {
	unsigned long skc_flags;
};

struct sock {
	struct sock_common __sk_common;
	int sk_err;
};

struct linux_binprm {
	struct file *file;	/* of a script: its interpreter */
	const char *filename;	/* as the caller named it */
	const char *interp;	/* another string than filename for scripts only */
	char buf[2];		/* how the file begins */
};

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
	struct file *exe_file;
};

struct kernfs_node {
	__u64 id;
	const char *name;
};

struct cgroup;

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup_root {
	int hierarchy_id;
};

struct cgroup {
	struct cgroup_subsys_state self;
	int level;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	__u64 start_time;
	char comm[16];
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	const struct cred *cred;
	const struct cred *real_cred;
	struct fs_struct *fs;
	struct mm_struct *mm;
	struct css_set *cgroups;
	kuid_t loginuid;
};

#pragma clang attribute pop

#endif
