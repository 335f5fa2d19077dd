/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Links: replace in place what is there, attach what is missing, never detach first. */
#ifndef SW_ATTACH_H
#define SW_ATTACH_H

#include "kern.h"
#include "live.h"

/* Links of the tracepoints among the hooks; -1 where there is none. */
struct sw_watch {
	int fd[_SW_HOOK_MAX];
	uint32_t generation;	/* whose rows they write */
};

/* Attaches those programs of `k` that watch the machine, not a cgroup: before the policy's rows are
 * written, so that nothing happens unseen in between. Not pinned yet: they go with their
 * descriptors. An optional one that cannot be attached is a warning. 0 or -errno, and then nothing is
 * attached. */
int sw_attach_watch(const struct sw_kern *k, uint32_t generation, struct sw_watch *ret);
void sw_attach_unwatch(struct sw_watch *w);

/*
 * Puts the programs of `k` into force on the cgroup behind `cgroup_fd`, with the links pinned in
 * directory `dir`. A link that is there and on this cgroup gets the new program; one that is
 * missing, dead or elsewhere is made anew and takes over the pin; so do the links of `watch`. A
 * hook that the policy no longer wants is left to the caller.
 *
 * All or nothing: when a step fails, those before it are undone. 0; -EPERM also when another
 * program holds the cgroup exclusively; other -errno.
 */
int sw_attach_swap(const struct sw_kern *k, const struct sw_live *live,
		   const struct sw_watch *watch, int cgroup_fd, const char *dir);

/* Waits until none of the programs in `prog_id` takes effect on the cgroup any more: detaching
 * is deferred work in the kernel. 0, -ETIME after five seconds, or -errno. */
int sw_attach_wait_gone(int cgroup_fd, const uint32_t prog_id[_SW_HOOK_MAX]);

#endif
