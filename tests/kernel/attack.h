/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Every way of opening TCP to a port, one named case each. A kernel test runs the table against
 * a listener it owns: without a policy each supported case connects and the listener accepts;
 * with the policy each case of kind ATTACK_TCP is refused and the listener gets nothing.
 */
#ifndef ATTACK_H
#define ATTACK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct netlab;

/* Exactly one kind per case. */
#define ATTACK_TCP		0x00001000u	/* refused for an identity that is not exempt */
#define ATTACK_LOCAL		0x00002000u	/* port ctx->local_port of this machine */
#define ATTACK_CONTROL		0x00004000u	/* must pass, must not be counted */
#define ATTACK_IDENTITY		0x00008000u	/* mixed identities: see ATTACK_PASS_* */
#define ATTACK_LIMIT		0x00010000u	/* documented as out of reach: passes, uncounted */
#define ATTACK_KINDS		0x0001f000u

/* Which row is charged; none of these means the row of ctx->uid. */
#define ATTACK_ROW_KERNEL	0x00020000u	/* the kernel threads' own row */
#define ATTACK_ROW_ROOT		0x00040000u	/* uid 0 */
#define ATTACK_ROW_MAIL		0x00080000u	/* ctx->mail_uid */
#define ATTACK_ROW_REAL		0x10000000u	/* uid 0; under identity = strict ctx->uid */

/* Where it runs. */
#define ATTACK_NETNS		0x00100000u	/* the socket is of another network namespace */
#define ATTACK_CONTAINER	0x00200000u	/* the task is in another PID namespace */

/*
 * Expected verdict of an ATTACK_IDENTITY case when uid 0 and ctx->mail_uid are exempt. A case
 * with ATTACK_GROUP passes only if the group ctx->mail_gid is exempt too.
 */
#define ATTACK_PASS_EFFECTIVE	0x00400000u	/* allowed under identity = effective */
#define ATTACK_PASS_STRICT	0x00800000u	/* allowed under identity = strict */
#define ATTACK_GROUP		0x01000000u

/* No errno reaches any program (a kernel worker connects): refused is -ECONNREFUSED always. */
#define ATTACK_NO_ERRNO		0x02000000u
/* Starts as root and takes the identity of ctx itself. Of interest to the runner only. */
#define ATTACK_AS_ROOT		0x04000000u
/* The host's MPTCP limits are raised while it runs, and put back. Runner only. */
#define ATTACK_MPTCP_LIMITS	0x08000000u

/*
 * How many attempts on the port the hook sees in one run: first when all are refused, then when
 * they get through. The second is also how many connections the listener accepts.
 */
#define ATTACK_N2(refused, open) ((unsigned)(refused) | (unsigned)(open) << 6)
#define ATTACK_N(n)		ATTACK_N2(n, n)

struct attack_ctx {
	struct in_addr target4;		/* listener that speaks plain TCP */
	struct in6_addr target6;
	struct in6_addr linklocal6;	/* the same machine; unused when scope is 0 */
	unsigned scope;			/* interface index towards it */
	const char *device;		/* its name; NULL: no SO_BINDTODEVICE cases */
	struct in_addr mptcp4;		/* listener that speaks MPTCP; 0: as target4 */
	struct in6_addr mptcp6;
	uint16_t port;			/* the port under test, host order */
	uint16_t control_port;		/* another port of the same listeners, never denied */
	uint16_t local_port;		/* ATTACK_LOCAL: listener in the caller's namespace */
	struct in_addr own4;		/* an address of this machine that is not loopback */
	struct in6_addr own6;
	uid_t uid;			/* who attacks */
	gid_t gid;
	uid_t mail_uid;			/* another identity, exempt in the usual policy */
	gid_t mail_gid;
	const char *cgroup;		/* cgroup v2 directory entered first; NULL: stay */
	struct netlab *lab;		/* helper at the other end; NULL: cases needing it skip */
	bool greeting;			/* the listener greets: connected means greeted */
	int timeout_ms;			/* for a whole case; 0: 5000 */
};

struct attack {
	const char *name;
	const char *what;		/* one line for people */
	int (*run)(const struct attack_ctx *ctx, unsigned how);
	unsigned flags;
	unsigned how;			/* the variant of run */
};

/* Results of attack_run besides 0 (connected) and -errno (refused). */
#define ATTACK_UNSUPPORTED	1	/* this kernel or this context lacks it */
#define ATTACK_BROKEN		2	/* the case itself failed: says nothing about the policy */

#define ATTACK_WHY	160

size_t attack_count(void);
const struct attack *attack_at(size_t i);
const struct attack *attack_find(const char *name);

static inline unsigned attack_n_refused(const struct attack *a)
{
	return a->flags & 0x3fu;
}

static inline unsigned attack_n_open(const struct attack *a)
{
	return a->flags >> 6 & 0x3fu;
}

/* The row that ATTACK_ROW_* names; (uid_t)-1 is the kernel threads' row. */
uid_t attack_row(const struct attack *a, const struct attack_ctx *ctx);

/*
 * Runs one case in a child of its own. `why` gets the reason for the two positive results and
 * is empty otherwise. Nothing of the case outlives the call.
 */
int attack_run(const struct attack *a, const struct attack_ctx *ctx, char why[ATTACK_WHY]);

#endif
