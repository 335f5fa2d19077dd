/* SPDX-License-Identifier: GPL-2.0-or-later */
/* TCP Fast Open: the connection is opened by a send, and data travels in the SYN. */
#define _GNU_SOURCE
#include "attack_tfo.h"

#include <errno.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define H_SENDMSG	H_FREE(0)
#define H_SENDMMSG	H_FREE(1)
#define H_NO_COOKIE	H_FREE(2)
#define H_OPTION	H_FREE(3)	/* TCP_FASTOPEN_CONNECT, then write(2) */
#define H_DEFER		H_FREE(4)	/* the write is after a change of identity */

#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN	0x20000000
#endif
#define FAIL_DATA_NOT_ACKED	2	/* tcpi_fastopen_client_fail: data was sent, not taken */

static ssize_t do_sendmsg(int fd, struct sockaddr_storage *sa, socklen_t len, unsigned how)
{
	struct iovec iov = { (char *)AT_TFO_DATA, AT_TFO_LEN };
	struct mmsghdr m = { .msg_hdr = { .msg_name = sa, .msg_namelen = len, .msg_iov = &iov,
					  .msg_iovlen = 1 } };

	if (how & H_SENDMMSG)
		return sendmmsg(fd, &m, 1, MSG_FASTOPEN);
	return sendmsg(fd, &m.msg_hdr, MSG_FASTOPEN);
}

static int attempt(const struct attack_ctx *ctx, int fd, unsigned how)
{
	struct sockaddr_storage sa;
	socklen_t len = at_addr(ctx, how, &sa);
	ssize_t n;

	if (how & H_OPTION) {
		/* With a cookie this returns at once and the SYN leaves with the write. */
		if (connect(fd, (void *)&sa, len) < 0 && errno != EINPROGRESS)
			return -errno;
		n = send(fd, AT_TFO_DATA, AT_TFO_LEN, MSG_NOSIGNAL);
	} else if (how & (H_SENDMSG | H_SENDMMSG)) {
		n = do_sendmsg(fd, &sa, len, how);
	} else {
		n = sendto(fd, AT_TFO_DATA, AT_TFO_LEN, MSG_FASTOPEN, (void *)&sa, len);
	}
	if (n < 0)
		return errno == EINPROGRESS ? at_wait_connect(ctx, fd) : -errno;
	return 0;
}

int at_tfo_proof(const struct attack_ctx *ctx, int fd)
{
	struct tcp_info ti = { 0 };
	socklen_t len = sizeof(ti);
	int r = at_greeting(ctx, fd);

	if (r < 0 || !ctx->lab)
		return r;
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &ti, &len) < 0)
		return at_broken("TCP_INFO: %s", strerror(errno));
	if (!(ti.tcpi_options & TCPI_OPT_SYN_DATA) &&
	    ti.tcpi_fastopen_client_fail != FAIL_DATA_NOT_ACKED)
		return at_broken("connected, but without data in the SYN (reason %u)",
				 ti.tcpi_fastopen_client_fail);
	return 0;
}

int at_tfo_prime(const struct attack_ctx *ctx, unsigned how)
{
	unsigned plain = (how & (H_V6 | H_MAPPED | H_MPTCP | H_PLAIN_PEER)) | H_CONTROL;
	int fd = -1, r;

	if (!ctx->control_port)
		return 0;
	r = at_socket(ctx, plain, &fd);
	if (r > 0)
		return r;
	r = attempt(ctx, fd, plain);
	if (r == 0)
		r = at_greeting(ctx, fd);
	close(fd);
	if (r == -EOPNOTSUPP)
		return at_unsupported("no client Fast Open (sysctl tcp_fastopen, or protocol)");
	return r < 0 ? at_broken("control port: %s", strerror(-r)) : 0;
}

static int set_options(int fd, unsigned how)
{
	int one = 1;

	if ((how & H_NO_COOKIE) &&
	    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, &one, sizeof(one)) < 0)
		return at_setup_error("TCP_FASTOPEN_NO_COOKIE", errno);
	if ((how & H_OPTION) &&
	    setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof(one)) < 0)
		return at_setup_error("TCP_FASTOPEN_CONNECT", errno);
	return 0;
}

static int run_tfo(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, r = at_tfo_prime(ctx, how);

	if (r == 0)
		r = at_socket(ctx, how, &fd);
	if (r == 0)
		r = set_options(fd, how);
	if (r > 0)
		return r;
	r = -EINVAL;
	for (int i = 0; i < (how & H_RETRY ? AT_TRIES : 1) && r < 0; i++)
		r = attempt(ctx, fd, how);
	return r < 0 ? r : at_tfo_proof(ctx, fd);
}

static int run_tfo_threads(const struct attack_ctx *ctx, unsigned how)
{
	/* The first of them would find no cookie: one is fetched before they start. */
	int r = at_tfo_prime(ctx, how);

	return r > 0 ? r : at_threads(ctx, AT_THREADS, run_tfo, how);
}

/* Judged when root connects; the SYN leaves with the first write, by the user. */
static int run_defer(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_storage sa;
	int fd = -1, r = at_tfo_prime(ctx, how);

	if (r == 0)
		r = at_socket(ctx, how, &fd);
	if (r == 0)
		r = set_options(fd, how);
	if (r > 0)
		return r;
	if (connect(fd, (void *)&sa, at_addr(ctx, how, &sa)) < 0)
		return -errno;
	r = at_drop(ctx);
	if (r < 0)
		return at_broken("setuid: %s", strerror(-r));
	if (send(fd, AT_TFO_DATA, AT_TFO_LEN, MSG_NOSIGNAL) < 0)
		return -errno;
	return at_tfo_proof(ctx, fd);
}

#define ONE	(ATTACK_TCP | ATTACK_N(1))
#define TRIES	(ATTACK_TCP | ATTACK_N2(AT_TRIES, 1))
#define THREADS	(ATTACK_TCP | ATTACK_N(AT_THREADS))
#define DEFER	(ATTACK_IDENTITY | ATTACK_AS_ROOT | ATTACK_ROW_ROOT | ATTACK_N(1) | \
		 ATTACK_PASS_EFFECTIVE | ATTACK_PASS_STRICT)

const struct attack attack_tfo_cases[] = {
	{ "tfo4-sendto", "sendto with MSG_FASTOPEN", run_tfo, ONE, 0 },
	{ "tfo4-sendmsg", "sendmsg with MSG_FASTOPEN", run_tfo, ONE, H_SENDMSG },
	{ "tfo4-sendmmsg", "sendmmsg with MSG_FASTOPEN", run_tfo, ONE, H_SENDMMSG },
	{ "tfo4-nocookie", "TCP_FASTOPEN_NO_COOKIE", run_tfo, ONE, H_NO_COOKIE },
	{ "tfo4-nonblock", "non-blocking sendto with MSG_FASTOPEN", run_tfo, ONE, H_NONBLOCK },
	{ "tfo4-bind", "bound first", run_tfo, ONE, H_BIND },
	{ "tfo4-retry", "three tries on one socket", run_tfo, TRIES, H_RETRY },
	{ "tfo4-threads", "32 threads at once", run_tfo_threads, THREADS, 0 },
	{ "tfo4-connect", "TCP_FASTOPEN_CONNECT, then write", run_tfo, ONE, H_OPTION },
	{ "tfo4-connect-nonblock", "the same, non-blocking", run_tfo, ONE, H_OPTION | H_NONBLOCK },
	{ "tfo6-sendto", "sendto with MSG_FASTOPEN, v6", run_tfo, ONE, H_V6 },
	{ "tfo6-sendmsg", "sendmsg with MSG_FASTOPEN, v6", run_tfo, ONE, H_V6 | H_SENDMSG },
	{ "tfo6-sendmmsg", "sendmmsg with MSG_FASTOPEN, v6", run_tfo, ONE, H_V6 | H_SENDMMSG },
	{ "tfo6-nocookie", "TCP_FASTOPEN_NO_COOKIE, v6", run_tfo, ONE, H_V6 | H_NO_COOKIE },
	{ "tfo6-connect", "TCP_FASTOPEN_CONNECT, then write, v6", run_tfo, ONE, H_V6 | H_OPTION },
	{ "tfo6-mapped", "sendto with MSG_FASTOPEN, mapped", run_tfo, ONE, H_MAPPED },
	{ "tfo6-mapped-connect", "TCP_FASTOPEN_CONNECT, mapped", run_tfo, ONE,
	  H_MAPPED | H_OPTION },
	{ "mptcp4-tfo", "MPTCP, sendto with MSG_FASTOPEN", run_tfo, ONE, H_MPTCP },
	{ "mptcp4-tfo-sendmsg", "MPTCP, sendmsg with MSG_FASTOPEN", run_tfo, ONE,
	  H_MPTCP | H_SENDMSG },
	{ "mptcp4-tfo-nonblock", "MPTCP, the same, non-blocking", run_tfo, ONE,
	  H_MPTCP | H_SENDMSG | H_NONBLOCK },
	{ "mptcp4-tfo-retry", "MPTCP, three tries on one socket", run_tfo, TRIES,
	  H_MPTCP | H_SENDMSG | H_RETRY },
	{ "mptcp4-tfo-connect", "MPTCP, TCP_FASTOPEN_CONNECT", run_tfo, ONE, H_MPTCP | H_OPTION },
	{ "mptcp6-tfo", "MPTCP, sendto with MSG_FASTOPEN, v6", run_tfo, ONE, H_MPTCP | H_V6 },
	{ "mptcp6-tfo-mapped", "MPTCP, sendto with MSG_FASTOPEN, mapped", run_tfo, ONE,
	  H_MPTCP | H_MAPPED },
	{ "id-tfo-defer", "root connects (deferred), the user writes", run_defer, DEFER, H_OPTION },
};
const size_t attack_tfo_cases_n = ARRAY_LEN(attack_tfo_cases);
