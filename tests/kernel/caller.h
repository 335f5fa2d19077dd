/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Another process's sockets: made by a child with given ids in a given cgroup. Every connect is
 * non-blocking and bound to the loopback device, so no packet leaves the machine.
 */
#ifndef CALLER_H
#define CALLER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define CALLER_REMOTE4	"192.0.2.1"
#define CALLER_REMOTE6	"2001:db8::1"
#define CALLER_MAPPED	"::ffff:192.0.2.1"

struct caller {
	uint32_t ruid, euid, egid;
	const char *cgroup;	/* directory to enter first; NULL: the caller's own */
	bool container;		/* in a network namespace of its own */
};

/* One account with one id, or with a group of its own. */
#define CALLER(uid, gid, where) \
	{ .ruid = (uid), .euid = (uid), .egid = (gid), .cgroup = (where) }

/* What connect(2) said to the child: 0 or a positive errno. Negative: it could not be run. */
int caller_connect(const struct caller *c, const char *dest, uint16_t port);

/* The same for socket(2); the child keeps CAP_NET_RAW whatever its ids are. */
int caller_socket(const struct caller *c, int family, int type, int protocol);

/* Whether `err` can only mean that no hook refused the connect. */
bool caller_passed(int err);

#endif
