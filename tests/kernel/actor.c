/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor.h"

#define CONNECT_MS	2000	/* to a server on this machine */

struct command {
	bool hammer;
	uint32_t n;
	struct actor_target target[ACTOR_TARGETS];
};

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static void __attribute__((noreturn)) give_up(const char *what)
{
	perror(what);
	exit(99);
}

int actor_become(uint32_t ruid, uint32_t euid, uint32_t egid)
{
	if (setgroups(0, NULL) < 0 || setresgid(egid, egid, egid) < 0 ||
	    setresuid(ruid, euid, euid) < 0)
		return -errno;
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* only now: changing ids clears it */
	return 0;
}

static bool is_v4(const struct actor_target *t)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(t->addr, mapped, sizeof(mapped)) && !t->v6_socket;
}

static socklen_t make_address(const struct actor_target *t, union address *a)
{
	memset(a, 0, sizeof(*a));
	if (is_v4(t)) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons(t->port);
		memcpy(&a->v4.sin_addr, t->addr + 12, 4);
		return sizeof(a->v4);
	}
	a->v6.sin6_family = AF_INET6;
	a->v6.sin6_port = htons(t->port);
	memcpy(&a->v6.sin6_addr, t->addr, 16);
	return sizeof(a->v6);
}

static int make_socket(const struct actor_target *t)
{
	int fd = socket(is_v4(t) ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
			0);

	if (fd >= 0 && t->bound && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* A connection that is on its way: did it come about, and with whom? */
static void wait_for(int fd, const union address *asked, socklen_t len, struct actor_saw *saw)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	union address peer;
	socklen_t n = sizeof(peer);
	int error = 0;
	socklen_t error_len = sizeof(error);

	if (saw->error == EINPROGRESS && poll(&p, 1, CONNECT_MS) != 1)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len) < 0 || error)
		return;
	saw->connected = true;
	memset(&peer, 0, sizeof(peer));
	saw->peer_is_target = getpeername(fd, &peer.sa, &n) == 0 && n == len &&
			      !memcmp(&peer, asked, len);
}

static void one(const struct actor_target *t, struct actor_saw *saw)
{
	union address a;
	socklen_t len = make_address(t, &a);
	int fd = make_socket(t);

	*saw = (struct actor_saw){ .error = -EIO };
	if (fd < 0)
		return;
	saw->error = connect(fd, &a.sa, len) < 0 ? errno : 0;
	if (t->wait && (saw->error == 0 || saw->error == EINPROGRESS))
		wait_for(fd, &a, len, saw);
	close(fd);
}

/* A socket that was refused can be used again. */
static void __attribute__((noreturn)) hammer(const struct command *c, struct actor_count *count,
					     int ready)
{
	union address a[ACTOR_TARGETS];
	socklen_t len[ACTOR_TARGETS];
	int fd[ACTOR_TARGETS];
	const struct actor_saw saw = {};

	for (uint32_t i = 0; i < c->n; i++) {
		len[i] = make_address(&c->target[i], &a[i]);
		fd[i] = make_socket(&c->target[i]);
		if (fd[i] < 0)
			_exit(1);
	}
	for (uint64_t round = 0;; round++) {
		for (uint32_t i = 0; i < c->n; i++) {
			int r = connect(fd[i], &a[i].sa, len[i]) < 0 ? errno : 0;

			if (r == ENETUNREACH)
				count[i].passed++;
			else
				count[i].refused[r < ACTOR_ERRNO_MAX ? r : 0]++;
		}
		if (!round && send(ready, &saw, sizeof(saw), MSG_NOSIGNAL) < 0)
			_exit(1);
	}
}

static void __attribute__((noreturn)) serve(int cmd, struct actor_count *count)
{
	struct command c;
	struct actor_saw saw;

	while (recv(cmd, &c, sizeof(c), 0) == (ssize_t)sizeof(c)) {
		if (c.hammer) {
			if (nice(10) < 0 && errno)	/* whoever changes the policy has its turn */
				_exit(1);
			hammer(&c, count, cmd);
		}
		one(&c.target[0], &saw);
		if (send(cmd, &saw, sizeof(saw), MSG_NOSIGNAL) < 0)
			break;
	}
	_exit(0);
}

static int enter(const char *cgroup)
{
	char path[256];
	int fd, r = 0;

	if (!cgroup)
		return 0;
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, "0", 1) != 1)
		r = -errno;
	close(fd);
	return r;
}

void actor_start(const struct actor_opts *o, struct actor *ret)
{
	unsigned long ns = (o->new_net ? CLONE_NEWNET : 0) | (o->new_pid ? CLONE_NEWPID : 0);
	size_t size = ACTOR_TARGETS * sizeof(*ret->count);
	int fds[2];

	ret->count = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ret->count == MAP_FAILED)
		give_up("mmap");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		give_up("socketpair");
	fflush(NULL);
	ret->pid = (pid_t)syscall(SYS_clone, ns | SIGCHLD, 0, 0, 0, 0);
	if (ret->pid < 0)
		give_up("clone");
	if (!ret->pid) {
		close(fds[0]);
		if (enter(o->cgroup) < 0 || actor_become(o->ruid, o->euid, o->egid) < 0)
			_exit(1);
		serve(fds[1], ret->count);
	}
	close(fds[1]);
	ret->cmd = fds[0];
}

void actor_stop(struct actor *a, struct actor_count saw[ACTOR_TARGETS])
{
	kill(a->pid, SIGKILL);
	waitpid(a->pid, NULL, 0);
	close(a->cmd);
	if (saw)
		memcpy(saw, a->count, ACTOR_TARGETS * sizeof(*saw));
	munmap(a->count, ACTOR_TARGETS * sizeof(*a->count));
}

static void ask(const struct actor *a, const struct command *c, struct actor_saw *ret)
{
	if (send(a->cmd, c, sizeof(*c), MSG_NOSIGNAL) < 0 ||
	    recv(a->cmd, ret, sizeof(*ret), 0) != (ssize_t)sizeof(*ret)) {
		fprintf(stderr, "an actor is gone\n");
		exit(99);
	}
}

void actor_connect(const struct actor *a, const struct actor_target *t, struct actor_saw *ret)
{
	struct command c = { .n = 1, .target = { *t } };

	ask(a, &c, ret);
}

void actor_hammer(const struct actor *a, const struct actor_target *t, size_t n)
{
	struct command c = { .hammer = true, .n = (uint32_t)n };
	struct actor_saw saw;

	memcpy(c.target, t, n * sizeof(*t));
	ask(a, &c, &saw);
}
