/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of the cgroups that offend: a container can then be named when it is long gone. */
#ifndef SW_CONTAINER_BPF_H
#define SW_CONTAINER_BPF_H

#include "where.bpf.h"

/* One name, and on to the parent. The root has none. */
static __always_inline struct cgroup_subsys_state *
sw_read_name(struct sw_cgroup_name *n, int i, struct cgroup_subsys_state *css)
{
	struct cgroup_subsys_state *parent = NULL;
	struct kernfs_node *kn = NULL;
	struct cgroup *cgrp = NULL;
	const char *name = NULL;

	bpf_core_read(&parent, sizeof(parent), &css->parent);
	if (!parent)
		return NULL;
	bpf_core_read(&cgrp, sizeof(cgrp), &css->cgroup);
	bpf_core_read(&kn, sizeof(kn), &cgrp->kn);
	bpf_core_read(&name, sizeof(name), &kn->name);
	bpf_probe_read_kernel_str(n->name[i], sizeof(n->name[i]), name);
	return parent;
}

/* Global: the verifier then looks at it once. Whoever inserts the row fills it in, in place. */
int sw_name_cgroup(__u64 id);
__noinline int sw_name_cgroup(__u64 id)
{
	struct cgroup_subsys_state *css;
	struct cgroup *cgrp = NULL;
	struct css_set *set = NULL;
	struct task_struct *task = (struct task_struct *)bpf_get_current_task();
	struct sw_cgroup_name *n;
	__u32 zero = 0;
	void *empty = bpf_map_lookup_elem(&sw_zero, &zero);

	_Static_assert(sizeof(struct sw_cgroup_name) <= sizeof(struct sw_origin), "sw_zero");
	if (!empty || bpf_map_update_elem(&sw_cgroups, &id, empty, BPF_NOEXIST))
		return 0;
	n = bpf_map_lookup_elem(&sw_cgroups, &id);
	if (!n)
		return 0;
	bpf_core_read(&set, sizeof(set), &task->cgroups);
	bpf_core_read(&cgrp, sizeof(cgrp), &set->dfl_cgrp);
	bpf_core_read(&n->level, sizeof(n->level), &cgrp->level);
	css = (void *)cgrp + sw_offset(cgroup, self);
	for (int i = 0; i < SW_CGROUP_NAMES && css; i++)
		css = sw_read_name(n, i, css);
	n->filled = 1;
	return 0;
}

static __always_inline void sw_remember_cgroup(void)
{
	__u64 id = bpf_get_current_cgroup_id();

	if (!bpf_map_lookup_elem(&sw_cgroups, &id))
		sw_name_cgroup(id);
}

#endif
