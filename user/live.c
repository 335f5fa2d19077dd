/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <fcntl.h>
#include <errno.h>
#include <string.h>

#include "live.h"
#include "pins.h"
#include "util.h"

#define SETTINGS_MAP	".rodata.setting"	/* as the kernel cuts it */
#define MAX_PROG_MAPS	32

struct prog_maps {
	int fd[MAX_PROG_MAPS];
	struct bpf_map_info info[MAX_PROG_MAPS];
	int n;
};

static void close_maps(struct prog_maps *m)
{
	for (int i = 0; i < m->n; i++)
		close(m->fd[i]);
	m->n = 0;
}

static int prog_info(uint32_t id, struct bpf_prog_info *info, __u32 *ids, unsigned int n_ids)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	__u32 len = sizeof(*info);

	if (fd < 0)
		return -errno;
	memset(info, 0, sizeof(*info));
	info->nr_map_ids = n_ids;
	info->map_ids = (uintptr_t)ids;
	return bpf_obj_get_info_by_fd(fd, info, &len) < 0 ? -errno : 0;
}

/* Opens the maps a program uses. */
static int open_prog_maps(uint32_t prog_id, struct bpf_prog_info *info, struct prog_maps *ret)
{
	__u32 ids[MAX_PROG_MAPS] = { 0 };
	int r = prog_info(prog_id, info, ids, MAX_PROG_MAPS);

	ret->n = 0;
	if (r < 0)
		return r;
	for (unsigned int i = 0; i < info->nr_map_ids && i < MAX_PROG_MAPS; i++) {
		__u32 len = sizeof(ret->info[0]);
		int fd = bpf_map_get_fd_by_id(ids[i]);

		if (fd < 0)
			continue;
		memset(&ret->info[ret->n], 0, len);
		if (bpf_obj_get_info_by_fd(fd, &ret->info[ret->n], &len) < 0) {
			close(fd);
			continue;
		}
		ret->fd[ret->n++] = fd;
	}
	return 0;
}

static bool read_settings(const struct prog_maps *m, struct sw_settings *ret)
{
	__u32 zero = 0;

	for (int i = 0; i < m->n; i++)
		if (!strcmp(m->info[i].name, SETTINGS_MAP) &&
		    m->info[i].value_size == sizeof(*ret) &&
		    bpf_map_lookup_elem(m->fd[i], &zero, ret) == 0)
			return true;
	return false;
}

/* Replaces a pinned map by the one the program really uses, when they differ. */
static void adopt_maps(struct sw_live *l, const struct prog_maps *m)
{
	for (int i = 0; i < m->n; i++) {
		for (int j = 0; j < _SW_MAP_MAX; j++) {
			struct bpf_map_info pinned = {};
			__u32 len = sizeof(pinned);

			if (strcmp(m->info[i].name, sw_map_names[j]) != 0)
				continue;
			if (l->map_fd[j] >= 0 &&
			    bpf_obj_get_info_by_fd(l->map_fd[j], &pinned, &len) == 0 &&
			    pinned.id == m->info[i].id)
				continue;
			if (l->map_fd[j] >= 0)
				close(l->map_fd[j]);
			l->map_fd[j] = fcntl(m->fd[i], F_DUPFD_CLOEXEC, 3);
			l->map_pinned[j] = false;
		}
	}
}

static bool is_link_of(const struct bpf_link_info *info, enum sw_hook hook)
{
	if (hook == SW_HOOK_EXEC_REFUSE)
		return info->type == BPF_LINK_TYPE_TRACING;
	if (sw_hooks[hook].tracepoint)
		return info->type == BPF_LINK_TYPE_RAW_TRACEPOINT;
	return info->type == BPF_LINK_TYPE_CGROUP &&
	       info->cgroup.attach_type == sw_hooks[hook].attach;
}

static int read_link(struct sw_live *l, const char *dir, enum sw_hook hook)
{
	struct sw_live_link *k = &l->link[hook];
	struct bpf_link_info info = {};
	struct bpf_prog_info prog;
	__u32 len = sizeof(info);
	struct prog_maps maps;
	int r;

	r = sw_pins_get(dir, sw_hooks[hook].pin);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	k->fd = r;
	/* Something else pinned under our name is as good as missing. */
	if (bpf_obj_get_info_by_fd(k->fd, &info, &len) < 0 || !is_link_of(&info, hook))
		return 0;
	k->link_id = info.id;
	k->prog_id = info.prog_id;
	k->cgroup_id = sw_hooks[hook].tracepoint ? 0 : info.cgroup.cgroup_id;
	k->attached = sw_hooks[hook].tracepoint || info.cgroup.cgroup_id != 0;
	if (open_prog_maps(info.prog_id, &prog, &maps) < 0)
		return 0;
	memcpy(k->tag, prog.tag, sizeof(k->tag));
	k->ours = !strcmp(prog.name, sw_hooks[hook].prog) && read_settings(&maps, &k->settings);
	if (k->ours)
		adopt_maps(l, &maps);
	close_maps(&maps);
	return 0;
}

static int open_pinned_maps(struct sw_live *l, const char *dir)
{
	for (int i = 0; i < _SW_MAP_MAX; i++) {
		struct bpf_map_info info = {};
		__u32 len = sizeof(info);
		int fd = sw_pins_get(dir, sw_map_names[i]);

		if (fd == -ENOENT)
			continue;
		if (fd < 0)
			return fd;
		if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0 ||
		    strcmp(info.name, sw_map_names[i]) != 0) {
			close(fd);
			continue;
		}
		l->map_fd[i] = fd;
		l->map_pinned[i] = true;
	}
	return 0;
}

static bool hook_in_force(const struct sw_live_link *k, uint32_t generation)
{
	return k->attached && k->ours && k->settings.generation == generation;
}

static void judge(struct sw_live *l)
{
	const struct sw_live_link *v4 = &l->link[SW_HOOK_CONNECT4];
	const struct sw_live_link *v6 = &l->link[SW_HOOK_CONNECT6];

	if (v4->ours)
		l->settings = v4->settings;
	if (v6->ours && v6->settings.generation >= l->settings.generation)
		l->settings = v6->settings;
	l->in_force = true;
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		if (sw_hook_wanted(&l->settings, (enum sw_hook)i) && !sw_hooks[i].lost &&
		    !hook_in_force(&l->link[i], l->settings.generation))
			l->in_force = false;
}

void sw_live_init(struct sw_live *l)
{
	*l = (struct sw_live){};
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		l->link[i].fd = -1;
	for (int i = 0; i < _SW_MAP_MAX; i++)
		l->map_fd[i] = -1;
}

int sw_live_open(const char *dir, struct sw_live *ret)
{
	struct sw_live l;
	int r;

	sw_live_init(&l);
	if (access(dir, F_OK) < 0) {
		if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
		*ret = l;
		return 0;
	}
	l.exists = true;
	r = open_pinned_maps(&l, dir);
	for (int i = 0; i < _SW_HOOK_MAX && !r; i++)
		r = read_link(&l, dir, (enum sw_hook)i);
	if (r < 0) {
		sw_live_close(&l);
		return r;
	}
	judge(&l);
	*ret = l;
	return 0;
}

void sw_live_close(struct sw_live *l)
{
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		sw_closep(&l->link[i].fd);
	for (int i = 0; i < _SW_MAP_MAX; i++)
		sw_closep(&l->map_fd[i]);
	sw_live_init(l);
}

int sw_live_effective(int cgroup_fd, enum bpf_attach_type attach, uint32_t *ids, int max)
{
	__u32 n = (__u32)max, flags = 0;

	if (bpf_prog_query(cgroup_fd, attach, BPF_F_QUERY_EFFECTIVE, &flags, ids, &n) < 0)
		return -errno;
	return (int)n;
}
