/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that puts the host back in order when the lab ends, however it ends. */
#ifndef NETLAB_GUARD_H
#define NETLAB_GUARD_H

#include <sys/types.h>

struct netlab_limits {
	int subflows;	/* -1: nothing to restore */
	int accepted;
};

struct netlab_guard {
	pid_t pid;
	int fd;		/* its end tells the guard to clean up */
	int lock;	/* held while the host's limits are raised */
	struct netlab_limits saved;
};

#define NETLAB_GUARD_NONE { .fd = -1, .lock = -1, .saved = { -1, -1 } }

/* The guard will remove the link of the instance, and what TCP has learned about its peers. */
int netlab_guard_start(struct netlab_guard *g, unsigned instance);

/* Waits until all is removed. */
void netlab_guard_stop(struct netlab_guard *g);

int netlab_guard_limits_raise(struct netlab_guard *g);
void netlab_guard_limits_restore(struct netlab_guard *g);

/* Closes every descriptor above standard error but this one. */
void netlab_keep_only(int fd);

#endif
