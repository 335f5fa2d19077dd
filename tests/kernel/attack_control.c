/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a policy on TCP to a port must neither touch nor count. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "attack_impl.h"
#include "attack_tfo.h"
#include "netlab.h"

#define H_CONNECTED	H_FREE(0)

/* Datagrams get lost by rights: asked again a few times. */
static int echoed(const struct attack_ctx *ctx, int fd, const struct sockaddr_storage *sa,
		  socklen_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c;

	for (int i = 0; i < 10; i++) {
		if (sendto(fd, "x", 1, 0, (const void *)sa, len) < 0)
			return -errno;
		if (!ctx->greeting)
			return 0;
		if (poll(&p, 1, 300) == 1)
			return recv(fd, &c, 1, 0) == 1 ? 0 : -errno;
	}
	return -ETIMEDOUT;
}

static int run_udp(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_storage sa;
	socklen_t len = at_addr(ctx, how, &sa);
	int family = (how & (H_V6 | H_MAPPED)) ? AF_INET6 : AF_INET;
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return at_setup_error("socket", errno);
	if (!(how & H_CONNECTED))
		return echoed(ctx, fd, &sa, len);
	if (connect(fd, (void *)&sa, len) < 0)
		return -errno;
	return echoed(ctx, fd, NULL, 0);
}

/* An unprivileged echo request socket, connected "to a port". */
static int run_ping(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_storage sa;
	socklen_t len = at_addr(ctx, how, &sa);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP);

	if (fd < 0)
		return errno == EACCES ? at_unsupported("ping_group_range excludes the user") :
					 at_setup_error("socket", errno);
	return connect(fd, (void *)&sa, len) < 0 ? -errno : 0;
}

static int run_unix(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(sa);
	int l = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)ctx;
	(void)how;
	/* Bound to nothing in particular: the kernel picks an abstract name. */
	if (l < 0 || fd < 0 || bind(l, (void *)&sa, sizeof(sa_family_t)) < 0 || listen(l, 1) < 0 ||
	    getsockname(l, (void *)&sa, &len) < 0)
		return at_setup_error("unix socket", errno);
	return connect(fd, (void *)&sa, len) < 0 ? -errno : 0;
}

static int run_control_port(const struct attack_ctx *ctx, unsigned how)
{
	if (!ctx->control_port)
		return at_unsupported("no control port given");
	return at_run_connect(ctx, how | H_CONTROL);
}

static int run_control_tfo(const struct attack_ctx *ctx, unsigned how)
{
	if (!ctx->control_port)
		return at_unsupported("no control port given");
	return at_tfo_prime(ctx, how);
}

/* A connection that comes in from the port: we answer, we do not connect. */
static int run_inbound(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_in me = { .sin_family = AF_INET, .sin_addr = ctx->own4 };
	socklen_t len = sizeof(me);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd, r;

	(void)how;
	if (!ctx->lab)
		return at_unsupported("needs the lab at the other end");
	if (l < 0 || bind(l, (void *)&me, len) < 0 || listen(l, 1) < 0 ||
	    getsockname(l, (void *)&me, &len) < 0)
		return at_setup_error("listen", errno);
	r = netlab_dial(ctx->lab, ctx->port, &me);
	if (r < 0)
		return r;
	fd = accept4(l, NULL, NULL, SOCK_CLOEXEC);
	return fd < 0 ? -errno : at_greeting(ctx, fd);
}

#define CONTROL	(ATTACK_CONTROL | ATTACK_N(0))

const struct attack attack_control_cases[] = {
	{ "ok-udp4", "UDP, sendto", run_udp, CONTROL, 0 },
	{ "ok-udp6", "UDP, sendto, v6", run_udp, CONTROL, H_V6 },
	{ "ok-udp4-connect", "UDP, connected", run_udp, CONTROL, H_CONNECTED },
	{ "ok-udp6-connect", "UDP, connected, v6", run_udp, CONTROL, H_V6 | H_CONNECTED },
	{ "ok-udp6-mapped", "UDP, connected, mapped", run_udp, CONTROL, H_MAPPED | H_CONNECTED },
	{ "ok-ping4", "ICMP echo socket, connected", run_ping, CONTROL, 0 },
	{ "ok-unix", "Unix socket", run_unix, CONTROL, 0 },
	{ "ok-port4", "TCP to the control port", run_control_port, CONTROL, 0 },
	{ "ok-port6", "TCP to the control port, v6", run_control_port, CONTROL, H_V6 },
	{ "ok-port6-mapped", "TCP to the control port, mapped", run_control_port, CONTROL,
	  H_MAPPED },
	{ "ok-mptcp4", "MPTCP to the control port", run_control_port, CONTROL, H_MPTCP },
	{ "ok-tfo4", "Fast Open to the control port", run_control_tfo, CONTROL, 0 },
	{ "ok-inbound", "TCP coming in from the port", run_inbound, CONTROL, 0 },
};
const size_t attack_control_cases_n = ARRAY_LEN(attack_control_cases);
