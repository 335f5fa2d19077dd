/* SPDX-License-Identifier: GPL-2.0-or-later */
/* MPTCP: by the program, and by a kernel worker that joins an address the peer announced. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "attack_impl.h"
#include "attack_ns.h"
#include "netlab.h"

#define H_BOX	H_FREE(0)	/* from the container's network namespace */

#define SOL_MPTCP_	284
#define MPTCP_INFO_	1
#define INFO_FALLBACK	1u	/* in mptcpi_flags */

/* 1 when the connection has fallen back to plain TCP, where the kernel can tell. */
static bool fell_back(int fd)
{
	struct { unsigned char counters[8]; uint32_t flags; char rest[256]; } info = { .flags = 0 };
	socklen_t len = sizeof(info);

	return getsockopt(fd, SOL_MPTCP_, MPTCP_INFO_, &info, &len) == 0 &&
	       info.flags & INFO_FALLBACK;
}

static int run_mptcp(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, r = at_socket(ctx, how, &fd);

	if (r > 0)
		return r;
	r = at_try(ctx, fd, how);
	if (r == 0 && ctx->lab && !(how & H_PLAIN_PEER) && fell_back(fd))
		return at_broken("connected, but not by MPTCP");
	return r;
}

static int run_threads(const struct attack_ctx *ctx, unsigned how)
{
	return at_threads(ctx, AT_THREADS, run_mptcp, how);
}

/*
 * The program only talks to the control port; the kernel joins the announced port as uid 0.
 * No program hears how that went: the lab tells whether the join arrived.
 */
static int run_join(const struct attack_ctx *ctx, unsigned how)
{
	bool joined = false;
	int fd = -1, r;

	if (!ctx->lab)
		return at_unsupported("needs the lab at the other end");
	r = (how & H_BOX) ? at_ns_enter(ctx, AT_NS_NET) : 0;
	if (r == 0)
		r = at_drop(ctx);
	if (r < 0)
		return at_broken("identity: %s", strerror(-r));
	r = at_socket(ctx, how, &fd);
	if (r > 0)
		return r;
	r = netlab_announce(ctx->lab, ctx->port);
	if (r < 0)
		return at_unsupported("the lab cannot announce an address (ip mptcp endpoint)");
	r = at_try(ctx, fd, how | H_CONTROL);
	if (r < 0)
		return at_broken("control port: %s", strerror(-r));
	r = netlab_joined(ctx->lab, ctx->port, &joined);
	if (r == -ETIMEDOUT)
		return at_unsupported("this kernel did not join even the control port");
	if (r < 0)
		return at_broken("the lab: %s", strerror(-r));
	return joined ? 0 : -ECONNREFUSED;
}

#define ONE	(ATTACK_TCP | ATTACK_N(1))
#define TRIES	(ATTACK_TCP | ATTACK_N2(AT_TRIES, 1))
#define THREADS	(ATTACK_TCP | ATTACK_N(AT_THREADS))
#define JOIN	(ATTACK_TCP | ATTACK_N(1) | ATTACK_AS_ROOT | ATTACK_ROW_KERNEL | ATTACK_NO_ERRNO)

const struct attack attack_mptcp_cases[] = {
	{ "mptcp4", "MPTCP", run_mptcp, ONE, H_MPTCP },
	{ "mptcp6", "MPTCP, v6", run_mptcp, ONE, H_MPTCP | H_V6 },
	{ "mptcp6-mapped", "MPTCP, mapped", run_mptcp, ONE, H_MPTCP | H_MAPPED },
	{ "mptcp4-bind", "MPTCP, bound first", run_mptcp, ONE, H_MPTCP | H_BIND },
	{ "mptcp4-nonblock", "MPTCP, non-blocking", run_mptcp, ONE, H_MPTCP | H_NONBLOCK },
	{ "mptcp6-nonblock", "MPTCP, non-blocking, v6", run_mptcp, ONE,
	  H_MPTCP | H_V6 | H_NONBLOCK },
	{ "mptcp4-device", "MPTCP, SO_BINDTODEVICE", run_mptcp, ONE, H_MPTCP | H_DEVICE },
	{ "mptcp4-plainpeer", "MPTCP to a peer that speaks TCP", run_mptcp, ONE,
	  H_MPTCP | H_PLAIN_PEER },
	{ "mptcp6-plainpeer", "the same, v6", run_mptcp, ONE, H_MPTCP | H_PLAIN_PEER | H_V6 },
	{ "mptcp4-retry", "MPTCP, three tries on one socket", run_mptcp, TRIES, H_MPTCP | H_RETRY },
	{ "mptcp4-threads", "MPTCP, 32 threads at once", run_threads, THREADS, H_MPTCP },
	{ "mptcp4-join", "a kernel worker joins the announced port", run_join,
	  JOIN | ATTACK_MPTCP_LIMITS, H_MPTCP },
	{ "mptcp4-join-netns", "the same in another network namespace", run_join,
	  JOIN | ATTACK_NETNS, H_MPTCP | H_BOX },
};
const size_t attack_mptcp_cases_n = ARRAY_LEN(attack_mptcp_cases);
