/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"

bool caller_passed(int err)
{
	return err == 0 || err == EINPROGRESS || err == ENETUNREACH || err == EADDRNOTAVAIL;
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

static int keep_net_raw(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = 1u << CAP_NET_RAW, .permitted = 1u << CAP_NET_RAW },
	};

	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

static int become(const struct caller *c)
{
	int r = enter(c->cgroup);

	if (r < 0)
		return r;
	if (c->container && unshare(CLONE_NEWNET) < 0)
		return -errno;
	prctl(PR_SET_KEEPCAPS, 1);
	if (setgroups(0, NULL) < 0 || setresgid(c->egid, c->egid, c->egid) < 0 ||
	    setresuid(c->ruid, c->euid, c->euid) < 0)
		return -errno;
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* only now: changing ids clears it */
	return 0;
}

struct request {
	const char *dest;	/* NULL: only make a socket */
	int family, type, protocol;
	uint16_t port;
};

static int connect_on(int fd, const struct request *q)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(q->port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(q->port) };

	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0)
		return errno;
	if (q->family == AF_INET) {
		inet_pton(AF_INET, q->dest, &a4.sin_addr);
		return connect(fd, (struct sockaddr *)&a4, sizeof(a4)) < 0 ? errno : 0;
	}
	inet_pton(AF_INET6, q->dest, &a6.sin6_addr);
	return connect(fd, (struct sockaddr *)&a6, sizeof(a6)) < 0 ? errno : 0;
}

static int perform(const struct request *q)
{
	int fd = socket(q->family, q->type | SOCK_NONBLOCK | SOCK_CLOEXEC, q->protocol);
	int r = 0;

	if (fd < 0)
		return errno;
	if (q->dest)
		r = connect_on(fd, q);
	close(fd);
	return r;
}

/* The answer comes through a pipe: an exit status has no room for an error of the set-up too. */
static int run(const struct caller *c, const struct request *q)
{
	int out[2], r;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		r = become(c);
		if (!r && !q->dest)
			r = keep_net_raw();
		if (!r)
			r = perform(q);
		_exit(write(out[1], &r, sizeof(r)) == sizeof(r) ? 0 : 1);
	}
	close(out[1]);
	if (pid < 0 || read(out[0], &r, sizeof(r)) != sizeof(r))
		r = -EIO;
	close(out[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return r;
}

int caller_connect(const struct caller *c, const char *dest, uint16_t port)
{
	struct request q = {
		.dest = dest, .family = strchr(dest, ':') ? AF_INET6 : AF_INET,
		.type = SOCK_STREAM, .protocol = IPPROTO_TCP, .port = port,
	};

	return run(c, &q);
}

int caller_socket(const struct caller *c, int family, int type, int protocol)
{
	struct request q = { .family = family, .type = type, .protocol = protocol };

	return run(c, &q);
}
