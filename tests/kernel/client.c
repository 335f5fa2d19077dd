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
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client.h"

#define PROTO_MPTCP	262
#define WAIT_MS		5000	/* for what should come */
#define MOMENT_MS	200	/* for what should not */

/* What a client says about itself, with its descriptors beside it. */
struct hello {
	uint64_t cookie;
	uint16_t local_port;
};

#define CHECK(x)	do { if (!(x)) die(#x, __LINE__); } while (0)

static _Noreturn void die(const char *what, int line)
{
	fprintf(stderr, "# client.c:%d: %s: %s\n", line, what, strerror(errno));
	_exit(99);
}

/* With a descriptor, unless `fd` is negative. */
static void send_fd(int to, const void *data, size_t len, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control = { .head = { .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS,
				.cmsg_len = CMSG_LEN(sizeof(int)) } };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
	}
	CHECK(sendmsg(to, &msg, 0) == (ssize_t)len);
}

static void recv_fd(int from, void *data, size_t len, int *fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr head;
	} control;
	struct iovec iov = { .iov_base = data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	const struct cmsghdr *c;

	CHECK(recvmsg(from, &msg, MSG_CMSG_CLOEXEC) == (ssize_t)len);
	c = CMSG_FIRSTHDR(&msg);
	CHECK(!c == !fd);
	if (fd)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
}

static socklen_t make_address(const struct client_opts *o, struct sockaddr_storage *a)
{
	struct sockaddr_in *a4 = (struct sockaddr_in *)a;
	struct sockaddr_in6 *a6 = (struct sockaddr_in6 *)a;

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, o->to, &a4->sin_addr) == 1) {
		a4->sin_family = AF_INET;
		a4->sin_port = htons(o->port);
		return sizeof(*a4);
	}
	CHECK(inet_pton(AF_INET6, o->to, &a6->sin6_addr) == 1);
	a6->sin6_family = AF_INET6;
	a6->sin6_port = htons(o->port);
	return sizeof(*a6);
}

static int make_listener(const struct client_opts *o, const struct sockaddr_storage *a,
			 socklen_t len)
{
	const int one = 1;
	int fd = socket(a->ss_family, SOCK_STREAM | SOCK_CLOEXEC,
			o->mptcp && !o->plain_peer ? PROTO_MPTCP : 0);

	CHECK(fd >= 0);
	CHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0);
	CHECK(bind(fd, (const struct sockaddr *)a, len) == 0);
	CHECK(listen(fd, 1) == 0);
	return fd;
}

static void become(uint32_t ruid, uint32_t euid)
{
	CHECK(setgroups(0, NULL) == 0);
	CHECK(setresgid(euid, euid, euid) == 0);
	CHECK(setresuid(ruid, euid, euid) == 0);
	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
}

static void loopback_up(const char *address)
{
	char command[256];

	snprintf(command, sizeof(command), "ip link set lo up && ip addr add %s/%s dev lo%s",
		 address,
		 strchr(address, ':') ? "128" : "32", strchr(address, ':') ? " nodad" : "");
	CHECK(system(command) == 0);
}

static int serve(int cmd, int fd)
{
	static const char block[65536];
	char what, byte = 'x';
	int r;

	while (recv(cmd, &what, 1, 0) == 1) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		r = 0;
		if ((what == 'r' || what == 'm') &&
		    poll(&p, 1, what == 'r' ? WAIT_MS : MOMENT_MS) == 0)
			r = ETIMEDOUT;
		else if ((what == 'r' || what == 'm') && read(fd, &byte, 1) < 0)
			r = errno;
		else if (what == 'w' && send(fd, &byte, 1, MSG_NOSIGNAL) < 0)
			r = errno;
		else if (what == 'f') {
			while (send(fd, block, sizeof(block), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
				;
			r = shutdown(fd, SHUT_WR) < 0 ? errno : 0;
		}
		if (send(cmd, &r, sizeof(r), 0) != sizeof(r))
			break;
	}
	return 0;
}

static int connect_as_told(const struct client_opts *o, int home, int *far)
{
	struct sockaddr_storage a;
	socklen_t len = make_address(o, &a);
	int listener = o->half_open ? -1 : make_listener(o, &a, len), fd;

	if (!o->by_root)
		become(o->ruid, o->euid);
	fd = socket(a.ss_family, SOCK_STREAM | SOCK_CLOEXEC | (o->half_open ? SOCK_NONBLOCK : 0),
		    o->mptcp ? PROTO_MPTCP : 0);
	CHECK(fd >= 0);
	CHECK(connect(fd, (struct sockaddr *)&a, len) == 0 ||
	      (o->half_open && errno == EINPROGRESS));
	if (!o->half_open) {
		*far = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		CHECK(*far >= 0);
		if (!o->mptcp || o->plain_peer)	/* further subflows come to it */
			close(listener);
	}
	if (o->leaves)
		CHECK(setns(home, CLONE_NEWNET) == 0);
	if (o->by_root)
		become(o->ruid, o->euid);
	return fd;
}

/* Another process with the same table of descriptors, whatever comes into it later. It ends with
 * the first, which may have no right to send it a signal, not even by its death. */
static void start_second(const struct client_opts *o)
{
	struct pollfd first = { .events = POLLIN };
	long pid = syscall(SYS_clone, (unsigned long)CLONE_FILES | SIGCHLD, 0, 0, 0, 0);

	CHECK(pid >= 0);
	if (pid > 0)
		return;
	first.fd = (int)syscall(SYS_pidfd_open, getppid(), 0);
	CHECK(first.fd >= 0);
	become(o->second_ruid, o->second_euid);
	(void)poll(&first, 1, -1);
	_exit(0);
}

static void put_in_flight(int fd)
{
	int pair[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	send_fd(pair[0], "x", 1, fd);
	close(fd);
}

static _Noreturn void client_main(const struct client_opts *o, int cmd)
{
	struct sockaddr_in6 local;
	socklen_t len = sizeof(local);
	struct hello h = { 0 };
	int fd, far = -1, home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	if (o->own_net) {
		CHECK(unshare(CLONE_NEWNET) == 0);
		loopback_up(o->to);
	}
	if (o->leaves)
		CHECK(mount("/proc/self/ns/net", o->leaves, NULL, MS_BIND, NULL) == 0);
	if (o->shared)
		start_second(o);
	fd = connect_as_told(o, home, &far);
	CHECK(getsockname(fd, (struct sockaddr *)&local, &len) == 0);
	h.local_port = ntohs(local.sin6_port);	/* at the same place in both families */
	len = sizeof(h.cookie);
	(void)getsockopt(fd, SOL_SOCKET, SO_COOKIE, &h.cookie, &len);
	send_fd(cmd, &h, sizeof(h), far);
	if (far >= 0)
		close(far);
	if (o->in_flight)
		put_in_flight(fd);
	_exit(serve(cmd, fd));
}

static pid_t start(int flags, int pair[2])
{
	pid_t pid;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	fflush(NULL);
	pid = (pid_t)syscall(SYS_clone, (unsigned long)flags | SIGCHLD, 0, 0, 0, 0);
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
	} else {
		close(pair[1]);
	}
	return pid;
}

void client_start(const struct client_opts *o, struct client *ret)
{
	struct client c = { .far = -1 };
	struct hello h;
	int pair[2];

	c.pid = start(o->own_pid ? CLONE_NEWPID : 0, pair);
	if (c.pid == 0)
		client_main(o, pair[1]);
	c.cmd = pair[0];
	recv_fd(c.cmd, &h, sizeof(h), o->half_open ? NULL : &c.far);
	c.cookie = h.cookie;
	c.local_port = h.local_port;
	*ret = c;
}

/* Returns when nobody holds the near end any more. */
void client_stop(struct client *c)
{
	char block[65536];
	struct pollfd p = { .fd = c->far, .events = POLLIN };

	if (c->pid > 0) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, NULL, 0);
		close(c->cmd);
	}
	while (c->far >= 0 && poll(&p, 1, WAIT_MS) > 0 && read(c->far, block, sizeof(block)) > 0)
		;
	if (c->far >= 0)
		close(c->far);
	*c = (struct client){ .cmd = -1, .far = -1 };
}

static int tell(const struct client *c, char what)
{
	int r;

	CHECK(send(c->cmd, &what, 1, 0) == 1);
	CHECK(recv(c->cmd, &r, sizeof(r), 0) == sizeof(r));
	return r;
}

int client_read(const struct client *c)
{
	return tell(c, 'r');
}

int client_write(const struct client *c)
{
	return tell(c, 'w');
}

void client_fill_and_shut(const struct client *c)
{
	CHECK(tell(c, 'f') == 0);
}

bool client_works(const struct client *c)
{
	char byte = 'y';

	return send(c->far, &byte, 1, MSG_NOSIGNAL) == 1 && tell(c, 'r') == 0 &&
	       tell(c, 'w') == 0 && client_far_read(c) == 0;
}

bool client_is_cut(const struct client *c)
{
	struct pollfd p = { .fd = c->far, .events = POLLIN };
	char byte = 'y';

	(void)!send(c->far, &byte, 1, MSG_NOSIGNAL);
	(void)tell(c, 'w');
	return tell(c, 'm') != 0 &&
	       (poll(&p, 1, MOMENT_MS) == 0 || read(c->far, &byte, 1) < 0);
}

int client_far_read(const struct client *c)
{
	struct pollfd p = { .fd = c->far, .events = POLLIN };
	char byte;

	if (poll(&p, 1, WAIT_MS) == 0)
		return ETIMEDOUT;
	return read(c->far, &byte, 1) < 0 ? errno : 0;
}
