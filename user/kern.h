/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading the BPF objects. The only module that knows the skeletons. */
#ifndef SW_KERN_H
#define SW_KERN_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stdint.h>

#include "smtpwall_abi.h"

/* The maps that outlive a load: pinned, and handed from one generation to the next. */
enum sw_map_id {
	SW_MAP_EXEMPT,
	SW_MAP_SOURCES,
	SW_MAP_LOCAL,
	SW_MAP_UID_STATS,
	SW_MAP_ORIGINS,
	SW_MAP_EVENTS,
	SW_MAP_COUNTERS,
	SW_MAP_CONTROL,
	SW_MAP_DESTS,
	SW_MAP_HOURS,
	SW_MAP_CGROUPS,
	SW_MAP_ALLOW,
	SW_MAP_LIMITS,
	SW_MAP_USAGE,
	SW_MAP_DENIED,
	SW_MAP_CGROUP_PATHS,
	SW_MAP_PEERS,
	_SW_MAP_MAX,
};

enum sw_hook {
	SW_HOOK_CONNECT4,
	SW_HOOK_CONNECT6,
	SW_HOOK_SOCK_CREATE,	/* only with strict = yes */
	SW_HOOK_GETPEERNAME4,	/* only with mode = redirect */
	SW_HOOK_GETPEERNAME6,
	SW_HOOK_CGROUP_MKDIR,	/* only with cgroups in the policy */
	SW_HOOK_CGROUP_RMDIR,
	_SW_HOOK_MAX,
};

/* Object files; each hook's program is in one of them. */
enum sw_object {
	SW_OBJECT_CONNECT,
	SW_OBJECT_SOCK_CREATE,
	SW_OBJECT_GETPEERNAME,
	SW_OBJECT_CGROUP_WATCH,
	_SW_OBJECT_MAX,
};

struct sw_hook_info {
	const char *name;	/* in status and JSON */
	const char *prog;	/* name of the program */
	const char *pin;	/* name of its link's pin */
	enum sw_object object;
	enum bpf_attach_type attach;	/* to a cgroup */
	const char *tracepoint;	/* or to this raw tracepoint, for the whole machine */
};

/* Whether the programs loaded with `s` include this hook's. */
bool sw_hook_wanted(const struct sw_settings *s, enum sw_hook hook);

extern const struct sw_hook_info sw_hooks[_SW_HOOK_MAX];
extern const char *const sw_map_names[_SW_MAP_MAX];	/* in the kernel and as pins */

struct sw_load {
	struct sw_settings settings;
	int map_fd[_SW_MAP_MAX];	/* a map to use, or -1 to make a new one */
	uint32_t max_entries[_SW_MAP_MAX];	/* of new ones; 0 keeps the built-in size */
};

struct sw_kern {
	struct bpf_object *obj[_SW_OBJECT_MAX];	/* NULL: not wanted */
};

/*
 * Loads the programs for `l->settings` on the given maps. Nothing is attached or pinned.
 * 0; -EINVAL when a given map has another layout; other -errno from libbpf. `ret` is written on
 * success only; free it with sw_kern_free(). The descriptors in `l` stay the caller's.
 */
int sw_kern_load(const struct sw_load *l, struct sw_kern *ret);
void sw_kern_free(struct sw_kern *k);

/* Descriptors owned by `k`; -1 where there is none. */
int sw_kern_prog_fd(const struct sw_kern *k, enum sw_hook hook);
int sw_kern_map_fd(const struct sw_kern *k, enum sw_map_id map);

#endif
