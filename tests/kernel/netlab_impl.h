/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between netlab.c (builds the lab), netlab_call.c (asks it), netlab_server.c (listens in it). */
#ifndef NETLAB_IMPL_H
#define NETLAB_IMPL_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "netlab.h"
#include "netlab_guard.h"

#define NETLAB_MPTCP	262	/* IPPROTO_MPTCP; older headers lack it */
#define NETLAB_GREETING	"220 lab.example ESMTP\r\n"
#define NETLAB_WAIT_MS	5000	/* for anything the lab waits for itself */

/* Last part of the addresses on the veth between host and lab; the same in v4 and v6. */
enum netlab_host {
	NETLAB_HOST = 1,
	NETLAB_LAB,	/* plain TCP listeners */
	NETLAB_MULTI,	/* MPTCP listeners */
	NETLAB_SPARE,	/* nothing: swallows, and dials from */
};

enum netlab_op {
	NETLAB_QUERY,	/* count = accepted, syns = SYN segments */
	NETLAB_SWALLOW,
	NETLAB_DIAL,
	NETLAB_ANNOUNCE,
	NETLAB_JOINED,	/* count = 1 if joined at req.port */
};

struct netlab_req {
	uint64_t id;	/* comes back in the answer: a caller may die between the two */
	uint32_t op;
	uint16_t port;
	struct sockaddr_in to;
};

struct netlab_rep {
	uint64_t id;
	int32_t r;
	uint64_t count;
	uint64_t syns;
};

struct netlab_listen {
	struct sockaddr_in6 addr;	/* v4 as mapped, without the port */
	bool mptcp;
};

struct netlab_server {
	int cmd;			/* requests come from here; its end ends the server */
	uint16_t ports[2];		/* port, control port (0: none) */
	struct netlab_listen at[6];
	unsigned n_at;
	bool watch;			/* count SYN segments too: needs a namespace of its own */
	struct in_addr join4;	/* network of addresses to announce to MPTCP clients */
	struct in_addr spare4;
};

/* Listens, says so on cmd, serves until cmd is closed. Does not return. */
_Noreturn void netlab_serve(const struct netlab_server *cfg);

/* A process of the lab and the socket it answers on. */
struct netlab_helper {
	pid_t pid;
	int cmd;
};

struct netlab {
	struct netlab_opts opts;
	int lock;
	unsigned scope;
	char ifname[IF_NAMESIZE];
	struct netlab_guard guard;
	struct netlab_helper server;	/* in the lab */
	struct netlab_helper local;	/* on the host */
	struct netlab_helper box;	/* first process of the container */
};

/* An address on the link between host and lab. */
struct in_addr netlab_addr4(const struct netlab *lab, enum netlab_host host);

/* Runs `ip -batch` on the text; `force` goes on after a line that fails. */
int netlab_ip(const char *text, bool force);

/* -errno of a write of one value under /proc/sys. */
int netlab_sysctl(const char *name, const char *value);

#endif
