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
	_SW_MAP_MAX,
};

enum sw_hook {
	SW_HOOK_CONNECT4,
	SW_HOOK_CONNECT6,
	SW_HOOK_SOCK_CREATE,	/* only with strict = yes */
	_SW_HOOK_MAX,
};

struct sw_hook_info {
	const char *name;	/* in status and JSON */
	const char *prog;	/* name of the program */
	const char *pin;	/* name of its link's pin */
	enum bpf_attach_type attach;
};

extern const struct sw_hook_info sw_hooks[_SW_HOOK_MAX];
extern const char *const sw_map_names[_SW_MAP_MAX];	/* in the kernel and as pins */

struct sw_load {
	struct sw_settings settings;
	int map_fd[_SW_MAP_MAX];	/* a map to use, or -1 to make a new one */
	uint32_t max_entries[_SW_MAP_MAX];	/* of new ones; 0 keeps the built-in size */
};

struct sw_kern {
	struct sw_connect_bpf *connect;
	struct sw_sock_create_bpf *sock_create;	/* NULL unless settings.strict_raw */
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
