// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cgroups named by path. The hooks know cgroups by id, and a service that is restarted gets a
 * new one. The id is written into sw_exempt the moment a cgroup is made under such a path, and
 * taken out when it is removed; a connect costs nothing more, and no daemon is needed.
 */
#include "maps.bpf.h"

static __always_inline bool sw_find_path(const char *path, const struct cgroup *cgrp,
					 struct sw_cgroup_path *ret, __u64 *id)
{
	struct sw_cgroup_path_key key = { .generation = sw_settings.generation };
	struct cgroup_root *root = NULL;
	struct kernfs_node *kn = NULL;
	struct sw_cgroup_path *found;
	int hierarchy = -1;
	long len;

	/* Hierarchies of version 1 send the same event; that of version 2 is number 0. */
	bpf_core_read(&root, sizeof(root), &cgrp->root);
	bpf_core_read(&hierarchy, sizeof(hierarchy), &root->hierarchy_id);
	if (hierarchy != 0)
		return false;
	len = bpf_probe_read_kernel_str(key.path, sizeof(key.path), path);
	if (len <= 0 || len >= (long)sizeof(key.path))
		return false;	/* no path of the policy is that long */
	found = bpf_map_lookup_elem(&sw_cgroup_paths, &key);
	if (!found)
		return false;
	bpf_core_read(&kn, sizeof(kn), &cgrp->kn);
	if (bpf_core_read(id, sizeof(*id), &kn->id))
		return false;
	*ret = *found;
	return true;
}

static __always_inline void sw_put(__u32 kind, __u64 id, __u32 source, __u32 line)
{
	struct sw_exempt_key key = {
		.generation = sw_settings.generation,
		.kind = kind,
		.id = id,
	};
	struct sw_exempt_val val = { .source = source, .line = line };

	if (bpf_map_update_elem(&sw_exempt, &key, &val, BPF_ANY))
		sw_bump(SW_CTR_CGROUP_FULL);
}

static __always_inline void sw_drop(__u32 kind, __u64 id)
{
	struct sw_exempt_key key = {
		.generation = sw_settings.generation,
		.kind = kind,
		.id = id,
	};

	bpf_map_delete_elem(&sw_exempt, &key);
}

SEC("raw_tp/cgroup_mkdir")
int sw_cgroup_mkdir(struct bpf_raw_tracepoint_args *ctx)
{
	struct sw_cgroup_path path = {};
	__u64 id = 0;

	if (!sw_find_path((const char *)ctx->args[1], (const struct cgroup *)ctx->args[0], &path,
			  &id))
		return 0;
	if (path.exempt)
		sw_put(SW_KIND_CGROUP, id, path.source, path.line);
	if (path.who)
		sw_put(SW_KIND_CGROUP_RULE, id, path.who, 0);
	return 0;
}

SEC("raw_tp/cgroup_rmdir")
int sw_cgroup_rmdir(struct bpf_raw_tracepoint_args *ctx)
{
	struct sw_cgroup_path path = {};
	__u64 id = 0;

	if (!sw_find_path((const char *)ctx->args[1], (const struct cgroup *)ctx->args[0], &path,
			  &id))
		return 0;
	sw_drop(SW_KIND_CGROUP, id);
	sw_drop(SW_KIND_CGROUP_RULE, id);
	return 0;
}

char _license[] SEC("license") = "GPL";
