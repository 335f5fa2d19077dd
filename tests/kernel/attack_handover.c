/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sockets made by one identity and connected by another: the one that connects is judged. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "attack_impl.h"

#define H_BY_MAIL	H_FREE(0)	/* made by mail instead of root */
#define H_TO_MAIL	H_FREE(1)	/* connected by mail instead of root */

static int send_fd(int via, int fd)
{
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int))]; } c = { .room = { 0 } };
	struct iovec iov = { "", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };

	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&c.h), &fd, sizeof(fd));
	return sendmsg(via, &m, 0) == 1 ? 0 : -errno;
}

static int recv_fd(int via)
{
	union { struct cmsghdr h; char room[CMSG_SPACE(sizeof(int))]; } c;
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c,
			    .msg_controllen = sizeof(c) };
	int fd;

	if (recvmsg(via, &m, MSG_CMSG_CLOEXEC) != 1 || m.msg_controllen < CMSG_LEN(sizeof(int)))
		return -EPROTO;
	memcpy(&fd, CMSG_DATA(&c.h), sizeof(fd));
	return fd;
}

/* Both ends of the way, for the two functions that run on either side of a fork. */
static int way[2];

static int make_and_send(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, r = 0;

	if (how & H_BY_MAIL)
		r = at_become(ctx->mail_uid, ctx->mail_gid);
	if (r == 0)
		r = at_socket(ctx, how, &fd);
	if (r == 0)
		r = send_fd(way[0], fd);
	return r < 0 ? at_broken("sending a socket: %s", strerror(-r)) : r;
}

static int make_as_user_and_send(const struct attack_ctx *ctx, unsigned how)
{
	int r = at_drop(ctx);

	return r < 0 ? at_broken("setuid: %s", strerror(-r)) : make_and_send(ctx, how);
}

static int receive_and_connect(const struct attack_ctx *ctx, unsigned how, uid_t uid, gid_t gid)
{
	int fd, r = at_become(uid, gid);

	if (r < 0)
		return at_broken("setuid: %s", strerror(-r));
	fd = recv_fd(way[1]);
	return fd < 0 ? at_broken("receiving a socket: %s", strerror(-fd)) : at_try(ctx, fd, how);
}

static int run_scm(const struct attack_ctx *ctx, unsigned how)
{
	int r;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, way) < 0)
		return at_broken("socketpair: %s", strerror(errno));
	r = at_fork(ctx, make_and_send, how);
	return r > 0 ? r : receive_and_connect(ctx, how, ctx->uid, ctx->gid);
}

/* The other way round: the user makes the socket, an exempt identity decides to connect it. */
static int run_scm_back(const struct attack_ctx *ctx, unsigned how)
{
	int r;

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, way) < 0)
		return at_broken("socketpair: %s", strerror(errno));
	r = at_fork(ctx, make_as_user_and_send, how);
	if (r > 0)
		return r;
	return (how & H_TO_MAIL) ? receive_and_connect(ctx, how, ctx->mail_uid, ctx->mail_gid) :
				 receive_and_connect(ctx, how, 0, 0);
}

static int run_setuid(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, r = at_socket(ctx, how, &fd);

	if (r > 0)
		return r;
	r = at_drop(ctx);
	return r < 0 ? at_broken("setuid: %s", strerror(-r)) : at_try(ctx, fd, how);
}

/* The socket's owner is changed; who connects it is not. */
static int run_chown(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, r = at_socket(ctx, how, &fd);

	if (r > 0)
		return r;
	if (fchown(fd, ctx->uid, ctx->gid) < 0)
		return at_broken("fchown: %s", strerror(errno));
	return at_try(ctx, fd, how);
}

static int run_saved(const struct attack_ctx *ctx, unsigned how)
{
	if (setresgid(ctx->gid, ctx->gid, 0) < 0 || setresuid(ctx->uid, ctx->uid, 0) < 0)
		return at_broken("setresuid: %s", strerror(errno));
	at_after_setuid();
	return at_run_connect(ctx, how);
}

/* The C library changes all threads; the kernel changes one. */
static int as_user_thread(const struct attack_ctx *ctx, unsigned how)
{
	if (syscall(SYS_setresgid, ctx->gid, ctx->gid, ctx->gid) < 0 ||
	    syscall(SYS_setresuid, ctx->uid, ctx->uid, ctx->uid) < 0)
		return at_broken("setresuid: %s", strerror(errno));
	return at_run_connect(ctx, how);
}

static int run_thread(const struct attack_ctx *ctx, unsigned how)
{
	return at_threads(ctx, 1, as_user_thread, how);
}

#define TCP	(ATTACK_TCP | ATTACK_AS_ROOT | ATTACK_N(1))
#define PASS	(ATTACK_IDENTITY | ATTACK_AS_ROOT | ATTACK_N(1) | ATTACK_PASS_EFFECTIVE | \
		 ATTACK_PASS_STRICT)

const struct attack attack_handover_cases[] = {
	{ "scm-from-root", "root's socket, received by the user", run_scm, TCP, 0 },
	{ "scm-from-root6", "root's socket, received by the user, v6", run_scm, TCP, H_V6 },
	{ "scm-from-mail", "mail's socket, received by the user", run_scm, TCP, H_BY_MAIL },
	{ "scm-mptcp", "root's MPTCP socket, received by the user", run_scm, TCP, H_MPTCP },
	{ "rootsock-setuid", "made by root, who becomes the user", run_setuid, TCP, 0 },
	{ "rootsock-setuid6", "made by root, who becomes the user, v6", run_setuid, TCP, H_V6 },
	{ "rootsock-mptcp", "an MPTCP socket made by root", run_setuid, TCP, H_MPTCP },
	{ "id-saved-root", "the user with saved uid 0", run_saved, TCP, 0 },
	{ "id-thread", "one thread has the user's ids, the process is root's", run_thread, TCP, 0 },
	{ "id-scm-to-root", "the user's socket, connected by root", run_scm_back,
	  PASS | ATTACK_ROW_ROOT, 0 },
	{ "id-scm-to-mail", "the user's socket, connected by mail", run_scm_back,
	  PASS | ATTACK_ROW_MAIL, H_TO_MAIL },
	{ "id-fchown", "root's socket, given to the user, connected by root", run_chown,
	  PASS | ATTACK_ROW_ROOT, 0 },
};
const size_t attack_handover_cases_n = ARRAY_LEN(attack_handover_cases);
