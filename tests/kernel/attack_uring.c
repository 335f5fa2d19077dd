/* SPDX-License-Identifier: GPL-2.0-or-later */
/* io_uring: the connect is no system call, and may run in a thread that the program never made. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "attack_ring.h"
#include "attack_tfo.h"

#define H_ASYNC		H_FREE(0)
#define H_SQPOLL	H_FREE(1)
#define H_ROOT_RING	H_FREE(2)	/* root made the ring, then became the user */
#define H_PERSONALITY	H_FREE(3)	/* root registered its credentials with it */
#define H_ZEROCOPY	H_FREE(4)

/* In io_uring.h since 5.19 and 6.1; the numbers are ABI. */
#define OP_SOCKET	45
#define OP_SENDMSG_ZC	48

static unsigned setup_flags(unsigned how)
{
	return (how & H_SQPOLL) ? IORING_SETUP_SQPOLL : 0;
}

static void request(struct io_uring_sqe *sqe, uint8_t op, int fd, const void *addr, unsigned how)
{
	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->fd = fd;
	sqe->addr = (uint64_t)(uintptr_t)addr;
	sqe->flags = (how & H_ASYNC) ? IOSQE_ASYNC : 0;
}

static int ring_connect(const struct attack_ctx *ctx, struct at_ring *ring, int fd, unsigned how,
			unsigned personality)
{
	struct sockaddr_storage sa;
	struct io_uring_sqe sqe;
	int r = -EINVAL;

	request(&sqe, IORING_OP_CONNECT, fd, &sa, how);
	sqe.off = at_addr(ctx, how, &sa);
	sqe.personality = (uint16_t)personality;
	for (int i = 0; i < (how & H_RETRY ? AT_TRIES : 1) && r < 0; i++)
		r = at_ring_do(ring, &sqe);
	if (r == -EINPROGRESS)	/* a non-blocking socket before 6.0 */
		r = at_wait_connect(ctx, fd);
	return r < 0 ? r : at_greeting(ctx, fd);
}

static int run_uring(const struct attack_ctx *ctx, unsigned how)
{
	struct at_ring ring;
	int fd = -1, r = at_ring_open(&ring, setup_flags(how));

	if (r == 0)
		r = at_socket(ctx, how, &fd);
	return r > 0 ? r : ring_connect(ctx, &ring, fd, how, 0);
}

/* The ring is root's; the socket and the request are the user's. */
static int run_root_ring(const struct attack_ctx *ctx, unsigned how)
{
	struct at_ring ring;
	int fd = -1, id = 0, r = at_ring_open(&ring, setup_flags(how));

	if (r > 0)
		return r;
	if (how & H_PERSONALITY)
		id = at_ring_register(&ring, IORING_REGISTER_PERSONALITY, NULL, 0);
	if (id < 0)
		return at_setup_error("IORING_REGISTER_PERSONALITY", -id);
	r = at_drop(ctx);
	if (r < 0)
		return at_broken("setuid: %s", strerror(-r));
	r = at_socket(ctx, how, &fd);
	return r > 0 ? r : ring_connect(ctx, &ring, fd, how, (unsigned)id);
}

static int direct_greeting(const struct attack_ctx *ctx, struct at_ring *ring)
{
	struct io_uring_sqe sqe;
	char buf[64];
	int r;

	if (!ctx->greeting)
		return 0;
	request(&sqe, IORING_OP_RECV, 0, buf, 0);
	sqe.len = sizeof(buf);
	sqe.flags = IOSQE_FIXED_FILE;
	r = at_ring_do(ring, &sqe);
	if (r < 0)
		return r;
	return r >= 3 && !memcmp(buf, "220", 3) ? 0 : -ECONNRESET;
}

/* The socket never has a file descriptor: only a slot in the ring's own table. */
static int run_direct(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_storage sa;
	struct io_uring_sqe sqe;
	struct at_ring ring;
	int slots[1] = { -1 }, r = at_ring_open(&ring, 0);

	if (r > 0)
		return r;
	r = at_ring_register(&ring, IORING_REGISTER_FILES, slots, 1);
	if (r < 0)
		return at_setup_error("IORING_REGISTER_FILES", -r);
	request(&sqe, OP_SOCKET, (how & H_V6) ? AF_INET6 : AF_INET, NULL, 0);
	sqe.off = SOCK_STREAM;
	sqe.splice_fd_in = 1;	/* the file index, from 1 */
	r = at_ring_do(&ring, &sqe);
	if (r < 0)
		return r == -EINVAL ? at_unsupported("io_uring makes no sockets here") :
				      at_setup_error("IORING_OP_SOCKET", -r);
	request(&sqe, IORING_OP_CONNECT, 0, &sa, how);
	sqe.off = at_addr(ctx, how, &sa);
	sqe.flags |= IOSQE_FIXED_FILE;
	r = at_ring_do(&ring, &sqe);
	return r < 0 ? r : direct_greeting(ctx, &ring);
}

static int run_sendmsg(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_storage sa;
	struct iovec iov = { (char *)AT_TFO_DATA, AT_TFO_LEN };
	struct msghdr m = { .msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1 };
	struct io_uring_sqe sqe;
	struct at_ring ring;
	int fd = -1, r = at_tfo_prime(ctx, how);

	if (r == 0)
		r = at_ring_open(&ring, setup_flags(how));
	if (r == 0)
		r = at_socket(ctx, how, &fd);
	if (r > 0)
		return r;
	m.msg_namelen = at_addr(ctx, how, &sa);
	request(&sqe, (how & H_ZEROCOPY) ? OP_SENDMSG_ZC : IORING_OP_SENDMSG, fd, &m, how);
	sqe.len = 1;
	sqe.msg_flags = MSG_FASTOPEN;
	r = at_ring_do(&ring, &sqe);
	if ((how & H_ZEROCOPY) && (r == -EINVAL || r == -EOPNOTSUPP))
		return at_unsupported("no zero-copy send with Fast Open");
	return r < 0 ? r : at_tfo_proof(ctx, fd);
}

#define ONE	(ATTACK_TCP | ATTACK_N(1))
#define TRIES	(ATTACK_TCP | ATTACK_N2(AT_TRIES, 1))
#define ID	(ATTACK_IDENTITY | ATTACK_AS_ROOT | ATTACK_N(1) | ATTACK_PASS_EFFECTIVE)

const struct attack attack_uring_cases[] = {
	{ "uring4-connect", "io_uring connect", run_uring, ONE, 0 },
	{ "uring6-connect", "io_uring connect, v6", run_uring, ONE, H_V6 },
	{ "uring6-mapped", "io_uring connect, mapped", run_uring, ONE, H_MAPPED },
	{ "uring4-nonblock", "io_uring connect, non-blocking socket", run_uring, ONE, H_NONBLOCK },
	{ "uring4-async", "in a worker thread", run_uring, ONE, H_ASYNC },
	{ "uring6-async", "in a worker thread, v6", run_uring, ONE, H_ASYNC | H_V6 },
	{ "uring4-sqpoll", "by the polling thread", run_uring, ONE, H_SQPOLL },
	{ "uring4-sqpoll-async", "polling thread, then worker", run_uring, ONE,
	  H_SQPOLL | H_ASYNC },
	{ "uring6-sqpoll", "by the polling thread, v6", run_uring, ONE, H_SQPOLL | H_V6 },
	{ "uring4-retry", "three tries on one socket", run_uring, TRIES, H_RETRY },
	{ "uring4-mptcp", "MPTCP", run_uring, ONE, H_MPTCP },
	{ "uring4-mptcp-async", "MPTCP in a worker thread", run_uring, ONE, H_MPTCP | H_ASYNC },
	{ "uring4-direct", "a socket without a descriptor", run_direct, ONE, 0 },
	{ "uring6-direct", "a socket without a descriptor, v6", run_direct, ONE, H_V6 },
	{ "uring4-direct-async", "the same in a worker thread", run_direct, ONE, H_ASYNC },
	{ "uring4-tfo", "sendmsg with MSG_FASTOPEN", run_sendmsg, ONE, 0 },
	{ "uring6-tfo", "sendmsg with MSG_FASTOPEN, v6", run_sendmsg, ONE, H_V6 },
	{ "uring4-tfo-async", "the same in a worker thread", run_sendmsg, ONE, H_ASYNC },
	{ "uring4-tfo-sqpoll", "the same by the polling thread", run_sendmsg, ONE, H_SQPOLL },
	{ "uring4-tfo-zerocopy", "zero-copy sendmsg with MSG_FASTOPEN", run_sendmsg, ONE,
	  H_ZEROCOPY },
	{ "uring4-mptcp-tfo", "MPTCP, sendmsg with MSG_FASTOPEN", run_sendmsg, ONE, H_MPTCP },
	{ "uring4-smc", "AF_SMC", run_uring, ONE, H_SMC },
	/* Without a polling thread the ring's maker does not matter: the submitter's ids do. */
	{ "uring4-root-ring", "root's ring, worker thread", run_root_ring,
	  ONE | ATTACK_AS_ROOT, H_ROOT_RING | H_ASYNC },
	{ "id-uring-sqpoll-root", "root's polling thread, used by the user", run_root_ring,
	  ID | ATTACK_PASS_STRICT | ATTACK_ROW_ROOT, H_ROOT_RING | H_SQPOLL },
	{ "id-uring-personality", "root's registered credentials, used by the user", run_root_ring,
	  ID | ATTACK_ROW_REAL, H_ROOT_RING | H_PERSONALITY },
	{ "id-uring-personality-async", "the same in a worker thread", run_root_ring,
	  ID | ATTACK_ROW_REAL, H_ROOT_RING | H_PERSONALITY | H_ASYNC },
};
const size_t attack_uring_cases_n = ARRAY_LEN(attack_uring_cases);
