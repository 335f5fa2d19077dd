/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes that connect as fast as they can, and count what they saw. */
#ifndef HAMMER_H
#define HAMMER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "wall.h"

#define HAMMER_ERRNO_MAX 134

/* What one hammer saw; shared memory, written by the hammer only. */
struct hammer_seen {
	uint64_t passed;			/* connects that went past the hooks */
	uint64_t refused[HAMMER_ERRNO_MAX];	/* by errno */
	uint64_t attempts;
};

struct hammer {
	pid_t pid;
	struct hammer_seen *seen;
};

struct hammer_opts {
	uint32_t uid;
	uint16_t port;
	uint64_t attempts;	/* 0: until stopped */
	bool v6;		/* v6, else alternately v4 and v4-mapped */
	const char *cwd;	/* NULL: stay */
};

/*
 * Starts one in the wall's cgroup. Its sockets are bound to the loopback device and aim at
 * documentation addresses: a connect that passes the hooks goes nowhere. Returns when it has
 * made its first attempt.
 */
void hammer_start(const struct wall *w, const struct hammer_opts *o, struct hammer *ret);

/* Ends it (or, with a number of attempts, waits for it) and returns what it saw. */
struct hammer_seen hammer_stop(struct hammer *h, bool wait);

/* One connect by `uid`, in a child: 0 when it passed, else the errno it was refused with. */
int hammer_once(const struct wall *w, uint32_t uid, uint16_t port, bool v6);

#endif
