/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in force, as the kernel tells it: pins, links, the programs behind them, their maps
 * and read-only data. Nothing here is remembered from an earlier run.
 */
#ifndef SW_LIVE_H
#define SW_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "kern.h"

struct sw_live_link {
	int fd;			/* -1: no pin */
	bool attached;		/* the kernel still has it on a cgroup */
	bool ours;		/* its program has our name and our read-only data */
	uint64_t cgroup_id;	/* 0: detached, the cgroup is gone, or it is a tracepoint's */
	uint32_t link_id;
	uint32_t prog_id;
	uint8_t tag[BPF_TAG_SIZE];
	struct sw_settings settings;	/* of the program; valid when `ours` */
};

struct sw_live {
	bool exists;		/* the pin directory is there */
	struct sw_live_link link[_SW_HOOK_MAX];
	int map_fd[_SW_MAP_MAX];	/* -1: nowhere to be found */
	bool map_pinned[_SW_MAP_MAX];	/* and the pin is the map the programs use */
	struct sw_settings settings;	/* of the newest program */
	bool in_force;		/* every required hook is attached, by our programs, one generation */
};

/* An empty one, which may be closed. */
void sw_live_init(struct sw_live *l);

/*
 * Reads everything below the pin directory `dir`. A map whose pin is missing or foreign is
 * taken from a running program instead, so that its counters are not lost. A directory that
 * does not exist is an empty `ret` and success.
 * 0; -EPERM without privilege; other -errno. Free `ret` with sw_live_close().
 */
int sw_live_open(const char *dir, struct sw_live *ret);
void sw_live_close(struct sw_live *l);

/* Program ids that take effect in the cgroup behind `fd`, in the order they run. The number of
 * ids written to `ids` (room for `max`), or -errno. */
int sw_live_effective(int cgroup_fd, enum bpf_attach_type attach, uint32_t *ids, int max);

#endif
