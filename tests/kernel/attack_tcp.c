/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Plain TCP: families, socket options, odd calls, sockets used again. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack_impl.h"
#include "netlab.h"

#ifndef IPV6_ADDRFORM
#define IPV6_ADDRFORM	1
#endif

#define H_IP_OPTIONS	H_FREE(0)
#define H_RTHDR		H_FREE(1)
#define H_LONG_ADDR	H_FREE(2)	/* length of a sockaddr_storage */
#define H_SHORT_ADDR	H_FREE(3)	/* without sin6_scope_id, as in RFC 2133 */

/* A segment routing header with the target as its only stop. */
static int set_rthdr(const struct attack_ctx *ctx, int fd)
{
	/* next header, length in words of 8, type, segments left, last entry, flags, tag */
	unsigned char srh[24] = { 0, 2, 4 };

	memcpy(srh + 8, &ctx->target6, sizeof(ctx->target6));
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_RTHDR, srh, sizeof(srh)) < 0)
		return at_setup_error("IPV6_RTHDR", errno);
	return 0;
}

static int run_header(const struct attack_ctx *ctx, unsigned how)
{
	static const unsigned char nops[8] = { 1, 1, 1, 1, 1, 1, 1, 1 };
	int fd = -1, r = at_socket(ctx, how, &fd);

	if (r > 0)
		return r;
	if (how & H_RTHDR)
		r = set_rthdr(ctx, fd);
	else if (setsockopt(fd, IPPROTO_IP, IP_OPTIONS, nops, sizeof(nops)) < 0)
		r = at_setup_error("IP_OPTIONS", errno);
	return r > 0 ? r : at_try(ctx, fd, how);
}

static int run_length(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_storage sa;
	int fd = -1, r = at_socket(ctx, how, &fd);

	if (r > 0)
		return r;
	at_addr(ctx, how, &sa);
	return at_connect(ctx, fd, &sa, (how & H_LONG_ADDR) ? sizeof(sa) : 24);
}

static int run_threads(const struct attack_ctx *ctx, unsigned how)
{
	return at_threads(ctx, AT_THREADS, at_run_connect, how);
}

static int connect_control(const struct attack_ctx *ctx, int fd, unsigned how)
{
	int r = at_try(ctx, fd, (how & ~H_RETRY) | H_CONTROL);

	return r < 0 ? at_broken("control port: %s", strerror(-r)) : 0;
}

static int disconnect(int fd)
{
	const struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	if (connect(fd, &unspec, sizeof(unspec)) < 0)
		return at_setup_error("connect AF_UNSPEC", errno);
	return 0;
}

/* A socket that has been connected elsewhere. */
static int run_reconnect(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, r = at_socket(ctx, how, &fd);

	if (r == 0)
		r = connect_control(ctx, fd, how);
	if (r == 0)
		r = disconnect(fd);
	return r > 0 ? r : at_try(ctx, fd, how);
}

/* A v6 socket that has turned into a v4 socket. */
static int run_addrform(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, family = AF_INET, r = at_socket(ctx, how, &fd);

	if (r == 0)
		r = connect_control(ctx, fd, how);
	if (r == 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_ADDRFORM, &family, sizeof(family)) < 0)
		r = at_setup_error("IPV6_ADDRFORM", errno);
	if (r == 0)
		r = disconnect(fd);
	return r > 0 ? r : at_try(ctx, fd, 0);
}

/* Both ends connect: our SYN is swallowed, the peer's SYN meets our half-open socket. */
static int run_simopen(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(ctx->port) };
	struct sockaddr_in me = { .sin_family = AF_INET, .sin_addr = ctx->own4 };
	socklen_t len = sizeof(me);
	int fd = -1, r;

	if (!ctx->lab)
		return at_unsupported("needs the lab at the other end");
	r = netlab_swallow(ctx->lab, ctx->port, &to.sin_addr);
	if (r < 0)
		return at_broken("the lab cannot swallow: %s", strerror(-r));
	r = at_socket(ctx, how, &fd);
	if (r > 0)
		return r;
	if (bind(fd, (void *)&me, len) < 0 || getsockname(fd, (void *)&me, &len) < 0)
		return at_broken("bind: %s", strerror(errno));
	if (connect(fd, (void *)&to, sizeof(to)) == 0)
		return at_broken("the spare address answered");
	if (errno != EINPROGRESS)
		return -errno;
	r = netlab_dial(ctx->lab, ctx->port, &me);
	if (r < 0)
		return at_broken("the lab could not connect back: %s", strerror(-r));
	r = at_wait_connect(ctx, fd);
	return r < 0 ? r : at_greeting(ctx, fd);
}

/* The system call numbers of the x32 interface. */
static int run_x32(const struct attack_ctx *ctx, unsigned how)
{
#ifdef __x86_64__
	struct sockaddr_storage sa;
	socklen_t len = at_addr(ctx, how, &sa);
	int fd = -1, r = at_socket(ctx, how, &fd);

	if (r > 0)
		return r;
	if (syscall(0x40000000L | SYS_connect, fd, &sa, len) < 0)
		return errno == ENOSYS ? at_unsupported("no x32 system calls") : -errno;
	return at_greeting(ctx, fd);
#else
	(void)ctx;
	(void)how;
	return at_unsupported("x86-64 only");
#endif
}

#define ONE	(ATTACK_TCP | ATTACK_N(1))
#define TRIES	(ATTACK_TCP | ATTACK_N2(AT_TRIES, 1))
#define THREADS	(ATTACK_TCP | ATTACK_N(AT_THREADS))

const struct attack attack_tcp_cases[] = {
	{ "tcp4", "connect, IPv4", at_run_connect, ONE, 0 },
	{ "tcp6", "connect, IPv6", at_run_connect, ONE, H_V6 },
	{ "tcp4-ipproto", "IPPROTO_TCP spelled out", at_run_connect, ONE, H_IPPROTO },
	{ "tcp6-mapped", "IPv6 socket to a mapped IPv4 address", at_run_connect, ONE, H_MAPPED },
	{ "tcp6-linklocal", "link-local IPv6 with scope", at_run_connect, ONE, H_LINKLOCAL },
	{ "tcp4-bind", "bound first", at_run_connect, ONE, H_BIND },
	{ "tcp6-bind", "bound first, v6", at_run_connect, ONE, H_V6 | H_BIND },
	{ "tcp6-mapped-bind", "bound first, mapped", at_run_connect, ONE, H_MAPPED | H_BIND },
	{ "tcp4-nonblock", "non-blocking", at_run_connect, ONE, H_NONBLOCK },
	{ "tcp6-nonblock", "non-blocking, v6", at_run_connect, ONE, H_V6 | H_NONBLOCK },
	{ "tcp6-mapped-nonblock", "non-blocking, mapped", at_run_connect, ONE,
	  H_MAPPED | H_NONBLOCK },
	{ "tcp4-device", "SO_BINDTODEVICE", at_run_connect, ONE, H_DEVICE },
	{ "tcp6-device", "SO_BINDTODEVICE, v6", at_run_connect, ONE, H_V6 | H_DEVICE },
	{ "tcp4-longaddr", "address length 128", run_length, ONE, H_LONG_ADDR },
	{ "tcp6-longaddr", "address length 128, v6", run_length, ONE, H_V6 | H_LONG_ADDR },
	{ "tcp6-addr24", "address length 24", run_length, ONE, H_V6 | H_SHORT_ADDR },
	{ "tcp6-mapped-addr24", "address length 24, mapped", run_length, ONE,
	  H_MAPPED | H_SHORT_ADDR },
	{ "tcp4-ipoptions", "IP options in the header", run_header, ONE, H_IP_OPTIONS },
	{ "tcp6-rthdr", "IPv6 routing header", run_header, ONE, H_V6 | H_RTHDR },
	{ "tcp4-x32", "connect by its x32 number", run_x32, ONE, 0 },
	{ "tcp4-threads", "32 threads at once", run_threads, THREADS, 0 },
	{ "tcp6-threads", "32 threads at once, v6", run_threads, THREADS, H_V6 },
	{ "tcp4-retry", "three tries on one socket", at_run_connect, TRIES, H_RETRY },
	{ "tcp6-retry", "three tries on one socket, v6", at_run_connect, TRIES, H_V6 | H_RETRY },
	{ "tcp4-reconnect", "connected elsewhere, AF_UNSPEC, connect", run_reconnect, ONE, 0 },
	{ "tcp6-reconnect", "the same, v6", run_reconnect, ONE, H_V6 },
	{ "tcp6-mapped-reconnect", "the same, mapped", run_reconnect, ONE, H_MAPPED },
	{ "mptcp4-reconnect", "the same, MPTCP", run_reconnect, ONE, H_MPTCP },
	{ "tcp6-addrform", "IPv6 socket turned into IPv4, then connect", run_addrform, ONE,
	  H_MAPPED },
	{ "tcp4-simopen", "simultaneous open", run_simopen, ONE, H_NONBLOCK },
};
const size_t attack_tcp_cases_n = ARRAY_LEN(attack_tcp_cases);
