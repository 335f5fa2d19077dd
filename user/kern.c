/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "kern.h"
#include "log.h"
#include "portpatch.h"
#include "util.h"

#include "connect.skel.h"
#include "sock_create.skel.h"

const struct sw_hook_info sw_hooks[_SW_HOOK_MAX] = {
	[SW_HOOK_CONNECT4] = { "connect4", "sw_connect4", "link_connect4",
			       BPF_CGROUP_INET4_CONNECT },
	[SW_HOOK_CONNECT6] = { "connect6", "sw_connect6", "link_connect6",
			       BPF_CGROUP_INET6_CONNECT },
	[SW_HOOK_SOCK_CREATE] = { "sock_create", "sw_sock_create", "link_sock_create",
				  BPF_CGROUP_INET_SOCK_CREATE },
};

const char *const sw_map_names[_SW_MAP_MAX] = {
	[SW_MAP_EXEMPT] = "sw_exempt",	     [SW_MAP_SOURCES] = "sw_sources",
	[SW_MAP_LOCAL] = "sw_local",	     [SW_MAP_UID_STATS] = "sw_uid_stats",
	[SW_MAP_ORIGINS] = "sw_origins",     [SW_MAP_EVENTS] = "sw_events",
	[SW_MAP_COUNTERS] = "sw_counters",   [SW_MAP_CONTROL] = "sw_control",
};

/* libbpf's words are details for -v: users see our own first. */
static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_DEBUG || sw_log_max < SW_LOG_DEBUG)
		return 0;
	return vfprintf(stderr, fmt, ap);	/* a verifier log has many lines */
}

static bool same_layout(const struct bpf_map *m, const struct bpf_map_info *info)
{
	return info->type == bpf_map__type(m) && info->key_size == bpf_map__key_size(m) &&
	       info->value_size == bpf_map__value_size(m) &&
	       info->map_flags == bpf_map__map_flags(m);
}

static int use_map(struct bpf_map *m, int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (!same_layout(m, &info))
		return -EINVAL;
	return bpf_map__reuse_fd(m, fd);
}

/* Gives each map of `obj` its descriptor or its size. An object need not use all of them. */
static int prepare_maps(struct bpf_object *obj, const struct sw_load *l)
{
	for (int i = 0; i < _SW_MAP_MAX; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(obj, sw_map_names[i]);
		int r = 0;

		if (!m)
			continue;
		if (l->map_fd[i] >= 0)
			r = use_map(m, l->map_fd[i]);
		else if (l->max_entries[i])
			r = bpf_map__set_max_entries(m, l->max_entries[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int patch(struct bpf_program *prog, const struct sw_settings *s)
{
	size_t n = bpf_program__insn_cnt(prog);
	_cleanup_free_ struct bpf_insn *insn = malloc(n * sizeof(*insn));
	int r;

	if (!insn)
		return -ENOMEM;
	memcpy(insn, bpf_program__insns(prog), n * sizeof(*insn));
	r = sw_patch_ports(insn, n, s->ports, s->n_ports);
	return r < 0 ? r : bpf_program__set_insns(prog, insn, n);
}

static int load_connect(const struct sw_load *l, struct sw_connect_bpf **ret)
{
	struct sw_connect_bpf *skel = sw_connect_bpf__open();
	int r;

	if (!skel)
		return -errno;
	memcpy((void *)&skel->rodata_settings->sw_settings, &l->settings, sizeof(l->settings));
	r = prepare_maps(skel->obj, l);
	if (!r)
		r = patch(skel->progs.sw_connect4, &l->settings);
	if (!r)
		r = patch(skel->progs.sw_connect6, &l->settings);
	if (!r)
		r = sw_connect_bpf__load(skel);
	if (r < 0) {
		sw_connect_bpf__destroy(skel);
		return r;
	}
	*ret = skel;
	return 0;
}

/* Runs on the maps that the connect object has: it must see the same exempt rows. */
static int load_sock_create(const struct sw_load *l, const struct sw_connect_bpf *connect,
			    struct sw_sock_create_bpf **ret)
{
	struct sw_sock_create_bpf *skel = sw_sock_create_bpf__open();
	struct sw_load mine = *l;
	int r;

	if (!skel)
		return -errno;
	for (int i = 0; i < _SW_MAP_MAX; i++)
		mine.map_fd[i] = bpf_object__find_map_fd_by_name(connect->obj, sw_map_names[i]);
	memcpy((void *)&skel->rodata_settings->sw_settings, &l->settings, sizeof(l->settings));
	r = prepare_maps(skel->obj, &mine);
	if (!r)
		r = sw_sock_create_bpf__load(skel);
	if (r < 0) {
		sw_sock_create_bpf__destroy(skel);
		return r;
	}
	*ret = skel;
	return 0;
}

int sw_kern_load(const struct sw_load *l, struct sw_kern *ret)
{
	struct sw_kern k = {};
	int r;

	libbpf_set_print(print_libbpf);
	r = load_connect(l, &k.connect);
	if (!r && l->settings.strict_raw)
		r = load_sock_create(l, k.connect, &k.sock_create);
	if (r < 0) {
		sw_kern_free(&k);
		return r;
	}
	*ret = k;
	return 0;
}

void sw_kern_free(struct sw_kern *k)
{
	if (k->connect)
		sw_connect_bpf__destroy(k->connect);
	if (k->sock_create)
		sw_sock_create_bpf__destroy(k->sock_create);
	*k = (struct sw_kern){};
}

int sw_kern_prog_fd(const struct sw_kern *k, enum sw_hook hook)
{
	switch (hook) {
	case SW_HOOK_CONNECT4:
		return bpf_program__fd(k->connect->progs.sw_connect4);
	case SW_HOOK_CONNECT6:
		return bpf_program__fd(k->connect->progs.sw_connect6);
	case SW_HOOK_SOCK_CREATE:
		return k->sock_create ? bpf_program__fd(k->sock_create->progs.sw_sock_create) : -1;
	default:
		return -1;
	}
}

int sw_kern_map_fd(const struct sw_kern *k, enum sw_map_id map)
{
	return bpf_object__find_map_fd_by_name(k->connect->obj, sw_map_names[map]);
}
