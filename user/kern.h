/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loading the BPF objects. The only module that knows the skeletons. */
#ifndef SW_KERN_H
#define SW_KERN_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
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
	SW_MAP_MAILERS,
	SW_MAP_MAILER_NAMES,
	SW_MAP_CHAINS,
	SW_MAP_CONNS,
	SW_MAP_OUTCOMES,
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
	SW_HOOK_OUTCOME,	/* optional: what becomes of SMTP connections */
	SW_HOOK_EXEC,		/* optional: executions of mailers */
	SW_HOOK_EXEC_REFUSE,	/* optional: and those beyond a limit, where there is one of them */
	_SW_HOOK_MAX,
};

/* Object files; each hook's program is in one of them. */
enum sw_object {
	SW_OBJECT_CONNECT,
	SW_OBJECT_SOCK_CREATE,
	SW_OBJECT_GETPEERNAME,
	SW_OBJECT_CGROUP_WATCH,
	SW_OBJECT_OUTCOME,
	SW_OBJECT_EXEC,
	SW_OBJECT_REFUSE,
	_SW_OBJECT_MAX,
};

struct sw_hook_info {
	const char *name;	/* in status and JSON */
	const char *prog;	/* name of the program */
	const char *pin;	/* name of its link's pin */
	enum sw_object object;
	enum bpf_attach_type attach;	/* to a cgroup */
	const char *tracepoint;	/* or to this tracepoint or LSM hook, for the whole machine */
	bool typed;		/* the program itself names the tracepoint, not who attaches it */
	const char *lost;	/* an optional hook: what is lost without it. NULL: a required one */
};

/* Whether the programs loaded with `s` include this hook's. */
bool sw_hook_wanted(const struct sw_settings *s, enum sw_hook hook);

extern const struct sw_hook_info sw_hooks[_SW_HOOK_MAX];
extern const char *const sw_map_names[_SW_MAP_MAX];	/* in the kernel and as pins */

struct sw_load {
	struct sw_settings settings;
	int map_fd[_SW_MAP_MAX];	/* a map to use, or -1 to make a new one */
	uint32_t max_entries[_SW_MAP_MAX];	/* of new ones; 0 keeps the built-in size */
	int cgroup_fd;		/* with settings.scoped: what the hooks of the machine are held to */
};

struct sw_kern {
	struct bpf_object *obj[_SW_OBJECT_MAX];	/* NULL: not wanted */
};

/* The name that bpf_raw_tracepoint_open(2) wants for the program of such a hook. */
static inline const char *sw_hook_tracepoint(enum sw_hook hook)
{
	return sw_hooks[hook].typed ? NULL : sw_hooks[hook].tracepoint;
}

/*
 * Takes the programs of an optional object out of `s`: the kernel does not take them. False when the
 * object is no optional one.
 */
bool sw_kern_do_without(struct sw_settings *s, enum sw_object object);

/* What an object's programs are for, for messages. */
const char *sw_kern_object_name(enum sw_object object);

/*
 * Loads the programs for `l->settings` on the given maps. Nothing is attached or pinned.
 * 0; -EINVAL when a given map has another layout; other -errno from libbpf, with the object that did
 * not load in *failed (may be NULL). `ret` is written on success only; free it with sw_kern_free().
 * The descriptors in `l` stay the caller's.
 */
int sw_kern_load(const struct sw_load *l, struct sw_kern *ret, enum sw_object *failed);
void sw_kern_free(struct sw_kern *k);

/* Whether this kernel takes a tiny program of a kind that has to be compiled; bpf/probe.bpf.c. */
enum sw_try { SW_TRY_EXEC, SW_TRY_EXEC_LOCK, SW_TRY_OUTCOME, SW_TRY_REFUSE };
bool sw_kern_try(enum sw_try what);

/* Attaches the program that refuses to execute the file `file`. A descriptor that it lives by, which
 * the caller closes; -errno where the kernel does not take it. */
int sw_kern_try_refuse(const struct sw_mailer_key *file);

/* Descriptors owned by `k`; -1 where there is none. */
int sw_kern_prog_fd(const struct sw_kern *k, enum sw_hook hook);
int sw_kern_map_fd(const struct sw_kern *k, enum sw_map_id map);

#endif
