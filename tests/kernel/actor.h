/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process with an identity of its own that connects when it is told to. Destinations that are
 * not of this machine are multicast addresses: TCP refuses them right after the hooks, so nothing
 * is sent, and what a connect says tells whether a hook refused it.
 */
#ifndef ACTOR_H
#define ACTOR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define ACTOR_ERRNO_MAX	134
#define ACTOR_TARGETS	8

/* Who. The supplementary groups are empty. */
struct actor_opts {
	uint32_t ruid, euid, egid;
	const char *cgroup;	/* directory to enter first; NULL: stay */
	bool new_net, new_pid;	/* in namespaces of its own */
};

/* Where to. IPv4 as v4-mapped. */
struct actor_target {
	uint8_t addr[16];
	uint16_t port;
	bool v6_socket;		/* an IPv4 destination from an IPv6 socket */
	bool bound;		/* to the device lo */
	bool wait;		/* until the connection is there, or not */
};

/* What came of one connect. */
struct actor_saw {
	int32_t error;		/* of connect(2): 0 or a positive errno; negative: it was not made */
	bool connected;		/* in the end, of one that was waited for */
	bool peer_is_target;	/* getpeername(2) shows what was asked for; only when connected */
};

/* What a hammer saw of one target; shared memory, written by the actor alone. */
struct actor_count {
	uint64_t passed;			/* ENETUNREACH: it went past the hooks */
	uint64_t refused[ACTOR_ERRNO_MAX];	/* by errno */
};

struct actor {
	pid_t pid;
	int cmd;
	struct actor_count *count;	/* ACTOR_TARGETS of them */
};

/* Takes on user and group ids for good, and ends with its parent. 0 or -errno. */
int actor_become(uint32_t ruid, uint32_t euid, uint32_t egid);

/* Fails the test program when it cannot. */
void actor_start(const struct actor_opts *o, struct actor *ret);

/* Ends it, and gives what it saw as a hammer unless `saw` is NULL. */
void actor_stop(struct actor *a, struct actor_count saw[ACTOR_TARGETS]);

/* One connect. */
void actor_connect(const struct actor *a, const struct actor_target *t, struct actor_saw *ret);

/* Connects to these (ACTOR_TARGETS at most; not bound) in turn as fast as it can, until it is
 * stopped. Returns when it has been once round. */
void actor_hammer(const struct actor *a, const struct actor_target *t, size_t n);

#endif
