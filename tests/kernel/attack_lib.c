/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack_impl.h"

#ifndef AF_SMC
#define AF_SMC	43
#endif
#define PROTO_SMC	256
#define PROTO_MPTCP	262

struct at_page *at_page;

int at_unsupported(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(at_page->why, sizeof(at_page->why), fmt, ap);	/* NOLINT(*-valist.*) */
	va_end(ap);
	return ATTACK_UNSUPPORTED;
}

int at_broken(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(at_page->why, sizeof(at_page->why), fmt, ap);	/* NOLINT(*-valist.*) */
	va_end(ap);
	return ATTACK_BROKEN;
}

int at_setup_error(const char *what, int err)
{
	static const int lacking[] = { ENOSYS, EOPNOTSUPP, EPROTONOSUPPORT, EAFNOSUPPORT,
				       ENOPROTOOPT, ESOCKTNOSUPPORT };

	for (size_t i = 0; i < ARRAY_LEN(lacking); i++)
		if (err == lacking[i])
			return at_unsupported("%s: %s", what, strerror(err));
	return at_broken("%s: %s", what, strerror(err));
}

static struct in_addr target4(const struct attack_ctx *ctx, unsigned how)
{
	bool multi = (how & H_MPTCP) && !(how & H_PLAIN_PEER) && ctx->mptcp4.s_addr;

	return multi ? ctx->mptcp4 : ctx->target4;
}

static void target6(const struct attack_ctx *ctx, unsigned how, struct sockaddr_in6 *ret)
{
	bool multi = (how & H_MPTCP) && !(how & H_PLAIN_PEER) && ctx->mptcp4.s_addr;
	struct in_addr v4 = target4(ctx, how);

	ret->sin6_addr = multi ? ctx->mptcp6 : ctx->target6;
	if (how & H_MAPPED) {
		ret->sin6_addr = (struct in6_addr){ .s6_addr = { [10] = 0xff, [11] = 0xff } };
		memcpy(ret->sin6_addr.s6_addr + 12, &v4, 4);
	} else if (how & H_LINKLOCAL) {
		ret->sin6_addr = ctx->linklocal6;
		ret->sin6_scope_id = ctx->scope;
	}
}

socklen_t at_addr_port(const struct attack_ctx *ctx, unsigned how, uint16_t port,
		       struct sockaddr_storage *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (how & (H_V6 | H_MAPPED | H_LINKLOCAL)) {
		struct sockaddr_in6 *sin6 = (void *)ret;

		sin6->sin6_family = AF_INET6;
		sin6->sin6_port = htons(port);
		target6(ctx, how, sin6);
		return sizeof(*sin6);
	}
	*(struct sockaddr_in *)(void *)ret = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = target4(ctx, how),
	};
	return sizeof(struct sockaddr_in);
}

socklen_t at_addr(const struct attack_ctx *ctx, unsigned how, struct sockaddr_storage *ret)
{
	return at_addr_port(ctx, how, (how & H_CONTROL) ? ctx->control_port : ctx->port, ret);
}

static int bind_any(int fd, bool v6)
{
	struct sockaddr_in6 any6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in any4 = { .sin_family = AF_INET };

	return v6 ? bind(fd, (void *)&any6, sizeof(any6)) : bind(fd, (void *)&any4, sizeof(any4));
}

static int protocol_of(unsigned how, bool v6)
{
	if (how & H_MPTCP)
		return PROTO_MPTCP;
	if (how & H_SMC)
		return v6;	/* SMCPROTO_SMC and SMCPROTO_SMC6 */
	if (how & H_SMC_PROTO)
		return PROTO_SMC;
	if (how & H_SCTP)
		return IPPROTO_SCTP;
	return (how & H_IPPROTO) ? IPPROTO_TCP : 0;
}

int at_socket(const struct attack_ctx *ctx, unsigned how, int *ret)
{
	bool v6 = how & (H_V6 | H_MAPPED | H_LINKLOCAL);
	int type = SOCK_STREAM | SOCK_CLOEXEC | (how & H_NONBLOCK ? SOCK_NONBLOCK : 0), fd;

	if ((how & H_LINKLOCAL) && !ctx->scope)
		return at_unsupported("no link-local address given");
	if ((how & H_DEVICE) && !ctx->device)
		return at_unsupported("no device given");
	fd = socket(how & H_SMC ? AF_SMC : v6 ? AF_INET6 : AF_INET, type, protocol_of(how, v6));
	if (fd < 0)
		return at_setup_error("socket", errno);
	if ((how & H_DEVICE) && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, ctx->device,
					   (socklen_t)strlen(ctx->device)) < 0) {
		close(fd);
		return errno == EPERM ? at_unsupported("SO_BINDTODEVICE needs CAP_NET_RAW here") :
					at_setup_error("SO_BINDTODEVICE", errno);
	}
	if ((how & H_BIND) && bind_any(fd, v6) < 0) {
		close(fd);
		return at_setup_error("bind", errno);
	}
	*ret = fd;
	return 0;
}

static int wait_for(const struct attack_ctx *ctx, int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	/* Somewhat less than the whole case, so that its end is ours to tell. */
	do
		n = poll(&p, 1, (ctx->timeout_ms > 0 ? ctx->timeout_ms : 5000) * 9 / 10);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n == 0 ? -ETIMEDOUT : 0;
}

int at_wait_connect(const struct attack_ctx *ctx, int fd)
{
	socklen_t len = sizeof(int);
	int err = 0, r = wait_for(ctx, fd, POLLOUT);

	if (r < 0)
		return r;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

int at_greeting(const struct attack_ctx *ctx, int fd)
{
	char buf[64];
	ssize_t n;
	int r;

	if (!ctx->greeting)
		return 0;
	/*
	 * The listener greets again when spoken to: with MPTCP and Fast Open (seen on 6.18) what
	 * it sends before the handshake ends is now and then held back for good.
	 */
	(void)!send(fd, "NOOP\r\n", 6, MSG_NOSIGNAL);
	r = wait_for(ctx, fd, POLLIN);
	if (r < 0)
		return r;
	n = recv(fd, buf, sizeof(buf), 0);
	if (n < 0)
		return -errno;
	return n >= 3 && !memcmp(buf, "220", 3) ? 0 : -ECONNRESET;
}

int at_connect(const struct attack_ctx *ctx, int fd, const void *sa, socklen_t len)
{
	int r = 0;

	if (connect(fd, sa, len) < 0)
		r = errno == EINPROGRESS ? at_wait_connect(ctx, fd) : -errno;
	return r < 0 ? r : at_greeting(ctx, fd);
}

int at_try(const struct attack_ctx *ctx, int fd, unsigned how)
{
	struct sockaddr_storage sa;
	socklen_t len = at_addr(ctx, how, &sa);
	int r = -EINVAL;

	for (int i = 0; i < (how & H_RETRY ? AT_TRIES : 1) && r < 0; i++)
		r = at_connect(ctx, fd, &sa, len);
	return r;
}

int at_run_connect(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, r = at_socket(ctx, how, &fd);

	if (r == 0) {
		r = at_try(ctx, fd, how);
		close(fd);
	}
	return r;
}

void at_after_setuid(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 1);
}

int at_become(uid_t uid, gid_t gid)
{
	if (geteuid() != 0 && geteuid() == uid)
		return 0;
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
		return -errno;
	at_after_setuid();
	return 0;
}

int at_drop(const struct attack_ctx *ctx)
{
	return at_become(ctx->uid, ctx->gid);
}

int at_fork(const struct attack_ctx *ctx, int (*fn)(const struct attack_ctx *, unsigned),
	    unsigned how)
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return at_broken("fork: %s", strerror(errno));
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		at_page->r = fn(ctx, how);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		return at_broken("a child of the case died");
	return at_page->r;
}

struct crew {
	const struct attack_ctx *ctx;
	int (*fn)(const struct attack_ctx *, unsigned);
	unsigned how;
	pthread_barrier_t start;
};

struct member {
	struct crew *crew;
	pthread_t thread;
	int r;
};

static void *member_main(void *arg)
{
	struct member *m = arg;

	pthread_barrier_wait(&m->crew->start);
	m->r = m->crew->fn(m->crew->ctx, m->crew->how);
	return NULL;
}

int at_threads(const struct attack_ctx *ctx, unsigned n,
	       int (*fn)(const struct attack_ctx *, unsigned), unsigned how)
{
	struct crew crew = { ctx, fn, how, { { 0 } } };
	struct member members[AT_THREADS];
	bool connected = false, mixed = false;

	pthread_barrier_init(&crew.start, NULL, n);
	for (unsigned i = 0; i < n; i++) {
		members[i] = (struct member){ .crew = &crew };
		if (pthread_create(&members[i].thread, NULL, member_main, &members[i]))
			return at_broken("cannot make %u threads", n);
	}
	for (unsigned i = 0; i < n; i++) {
		pthread_join(members[i].thread, NULL);
		connected |= members[i].r == 0;
		mixed |= members[i].r != members[0].r;
	}
	pthread_barrier_destroy(&crew.start);
	if (connected)
		return 0;	/* one is enough for an attacker */
	return mixed ? at_broken("the threads were answered differently") : members[0].r;
}
