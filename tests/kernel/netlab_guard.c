/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "netlab_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netlab_impl.h"

static void limits_set(const struct netlab_limits *l)
{
	char text[96];

	snprintf(text, sizeof(text), "mptcp limits set subflows %d add_addr_accepted %d\n",
		 l->subflows, l->accepted);
	netlab_ip(text, true);
}

static void clean(unsigned instance)
{
	char text[256];

	/* Fast Open cookies are remembered by address, in the host's table. */
	snprintf(text, sizeof(text),
		 "link del swlab%u\ntcp_metrics flush 203.0.113.%u/29\n"
		 "tcp_metrics flush 198.18.%u.0/24\ntcp_metrics flush 2001:db8:77:%x::/64\n",
		 instance, 8 * instance, instance, instance);
	netlab_ip(text, true);
}

static _Noreturn void guard_main(int fd, unsigned instance)
{
	struct netlab_limits l, owed = { -1, -1 };
	int null = open("/dev/null", O_RDWR);

	/* Out of reach of Ctrl-C and of a runner that kills the group. */
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	/* Whoever reads our output must not wait for this process. */
	dup2(null, 0);
	dup2(null, 1);
	dup2(null, 2);
	netlab_keep_only(fd);
	while (recv(fd, &l, sizeof(l), 0) == (ssize_t)sizeof(l)) {
		owed = l;
		(void)!send(fd, &l, sizeof(l), MSG_NOSIGNAL);
	}
	if (owed.subflows >= 0)
		limits_set(&owed);
	clean(instance);
	_exit(0);
}

int netlab_guard_start(struct netlab_guard *g, unsigned instance)
{
	int fds[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		guard_main(fds[1], instance);
	}
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return -EAGAIN;
	}
	g->pid = pid;
	g->fd = fds[0];
	return 0;
}

void netlab_guard_stop(struct netlab_guard *g)
{
	netlab_guard_limits_restore(g);
	if (g->fd >= 0) {
		shutdown(g->fd, SHUT_RDWR);
		close(g->fd);
	}
	if (g->pid > 0)
		waitpid(g->pid, NULL, 0);
	*g = (struct netlab_guard)NETLAB_GUARD_NONE;
}

static int limits_get(struct netlab_limits *ret)
{
	struct netlab_limits l = { -1, -1 };
	FILE *f = popen("ip mptcp limits show 2>/dev/null", "re");
	char word[32];
	int value;

	if (!f)
		return -errno;
	while (fscanf(f, "%31s %d", word, &value) == 2) {
		if (word[0] == 's')
			l.subflows = value;
		else if (word[0] == 'a')
			l.accepted = value;
	}
	pclose(f);
	if (l.subflows < 0 || l.accepted < 0)
		return -ENOTSUP;
	*ret = l;
	return 0;
}

/* The guard has noted what it owes before anything is changed. */
static int tell(struct netlab_guard *g, const struct netlab_limits *l)
{
	struct netlab_limits echo;

	if (send(g->fd, l, sizeof(*l), MSG_NOSIGNAL) < 0)
		return -errno;
	return recv(g->fd, &echo, sizeof(echo), 0) == (ssize_t)sizeof(echo) ? 0 : -EPIPE;
}

int netlab_guard_limits_raise(struct netlab_guard *g)
{
	const struct netlab_limits high = { 8, 8 };
	int r;

	/* One lab at a time: the second would save what the first has raised. */
	g->lock = open("/run", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (g->lock < 0 || flock(g->lock, LOCK_EX) < 0)
		return -errno;
	r = limits_get(&g->saved);
	if (r == 0)
		r = tell(g, &g->saved);
	if (r == 0)
		limits_set(&high);
	else
		netlab_guard_limits_restore(g);
	return r;
}

void netlab_guard_limits_restore(struct netlab_guard *g)
{
	const struct netlab_limits none = { -1, -1 };

	if (g->saved.subflows >= 0) {
		limits_set(&g->saved);
		tell(g, &none);
	}
	g->saved = none;
	if (g->lock >= 0)
		close(g->lock);
	g->lock = -1;
}
