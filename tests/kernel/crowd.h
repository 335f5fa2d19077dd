/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Many threads of one account that connect at the same moment, and count what they saw. Their
 * sockets are bound to the loopback device: a connect that passes the hooks goes nowhere.
 */
#ifndef CROWD_H
#define CROWD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hammer.h"

#define CROWD_MAX	32	/* threads */

struct crowd_opts {
	uint32_t uid, gid;	/* gid 0: the same number as uid */
	uint32_t ruid;		/* 0: the same as uid */
	const char *dest;	/* address of either family; NULL: 192.0.2.1 */
	uint16_t port;
	unsigned int threads;	/* 0: CROWD_MAX */
	uint64_t attempts;	/* of all threads together; 0: until stopped */
	const char *cgroup;	/* directory; NULL: the wall's */
	int nice;		/* the less, the more of the machine it gets */
	unsigned int dests;	/* the last byte of an IPv4 `dest` goes round so many; 0: not */
};

/* Shared memory, written by the crowd. */
struct crowd_seen {
	uint64_t passed;
	uint64_t refused[HAMMER_ERRNO_MAX];	/* by errno */
	uint64_t done[CROWD_MAX];		/* attempts of each thread */
	uint64_t left;				/* attempts that nobody has begun */
	uint32_t ready, go;
};

struct crowd {
	pid_t pid;
	unsigned int threads;
	struct crowd_seen *seen;
};

/* Starts the process; its threads wait until crowd_go(). */
void crowd_gather(const struct wall *w, const struct crowd_opts *o, struct crowd *ret);
void crowd_go(const struct crowd *c);

/* Ends it (or, with a number of attempts, waits for it) and returns what it saw. */
struct crowd_seen crowd_end(struct crowd *c, bool wait);

/* All of it. */
struct crowd_seen crowd_run(const struct wall *w, const struct crowd_opts *o);

/* Waits until every thread has made `n` more attempts, none of which began before the call. */
void crowd_round(const struct crowd *c, uint64_t n);

#endif
