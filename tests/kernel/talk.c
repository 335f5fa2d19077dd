/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack_impl.h"
#include "attack_ring.h"
#include "netlab_impl.h"
#include "talk.h"
#include "util.h"

#define PROTO_MPTCP	262
#define WAIT_MS		5000

static struct wall *wall;
static struct netlab *lab;
static const struct attack_ctx *at;
static uint64_t syns_seen;
static int server[TALK_SERVERS] = { -1, -1 };
uint16_t talk_mail_port;

int talk_open(struct wall *w, struct netlab **l, struct attack_ctx *a)
{
	const struct netlab_opts opts = { .instance = -1, .port = 25, .control_port = 2500 };
	int r = netlab_open(&opts, l);

	if (r < 0) {
		fprintf(stderr, "no lab: %s\n", strerror(-r));
		return r == -EADDRINUSE ? 77 : 99;
	}
	netlab_context(*l, a);
	talk_mail_port = (uint16_t)(26700 + 2 * (*l)->opts.instance);
	wall_open(w);
	wall = w;
	lab = *l;
	at = a;
	return 0;
}

void talk_close(struct wall *w, struct netlab *l)
{
	talk_serve(false, false);
	wall_close(w);
	netlab_close(l);
}

/* ---- the local mail server ---- */

int talk_listen(const char *address, uint16_t port)
{
	const int one = 1;
	bool v6 = strchr(address, ':');
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
	if (v6) {
		assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)), 0);
		inet_pton(AF_INET6, address, &a6.sin6_addr);
		assert_int_equal(bind(fd, (struct sockaddr *)&a6, sizeof(a6)), 0);
	} else {
		inet_pton(AF_INET, address, &a4.sin_addr);
		assert_int_equal(bind(fd, (struct sockaddr *)&a4, sizeof(a4)), 0);
	}
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

void talk_serve(bool v4, bool v6)
{
	for (int i = 0; i < TALK_SERVERS; i++) {
		sw_closep(&server[i]);
		server[i] = -1;
	}
	if (v4)
		server[TALK_SERVER4] = talk_listen("127.0.0.1", talk_mail_port);
	if (v6)
		server[TALK_SERVER6] = talk_listen("::1", talk_mail_port);
}

void talk_take(int which, char text[16])
{
	struct pollfd p = { .fd = server[which], .events = POLLIN };
	ssize_t n;
	int fd;

	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	fd = accept4(server[which], NULL, NULL, SOCK_CLOEXEC);
	assert_true(fd >= 0);
	n = recv(fd, text, 15, 0);
	text[n > 0 ? n : 0] = '\0';
	close(fd);
}

unsigned int talk_waiting(int which)
{
	unsigned int n = 0;
	int fd;

	while (server[which] >= 0 && (fd = accept4(server[which], NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		close(fd);
		n++;
	}
	return n;
}

/* ---- programs that connect ---- */

static void map(struct in6_addr *to, const struct in_addr *v4)
{
	memset(to, 0, 10);
	memset(to->s6_addr + 10, 0xff, 2);
	memcpy(to->s6_addr + 12, v4, 4);
}

static socklen_t target(struct talk *t)
{
	struct sockaddr_in *a4 = (struct sockaddr_in *)&t->asked;
	struct sockaddr_in6 *a6 = &t->asked;
	uint16_t port = htons(t->how & TALK_CONTROL ? at->control_port : at->port);
	struct in_addr v4 = t->how & TALK_MPTCP ? at->mptcp4 : at->target4;

	if (t->port)
		port = htons(t->port);
	memset(a6, 0, sizeof(*a6));
	if (!(t->how & (TALK_V6 | TALK_MAPPED | TALK_LINKLOCAL))) {
		a4->sin_family = AF_INET;
		a4->sin_port = port;
		a4->sin_addr = v4;
		return sizeof(*a4);
	}
	a6->sin6_family = AF_INET6;
	a6->sin6_port = port;
	a6->sin6_addr = t->how & TALK_MPTCP ? at->mptcp6 : at->target6;
	if (t->how & TALK_MAPPED) {
		map(&a6->sin6_addr, &v4);
	} else if (t->how & TALK_LINKLOCAL) {
		a6->sin6_addr = at->linklocal6;
		a6->sin6_scope_id = at->scope;
	}
	return sizeof(*a6);
}

static int bind_to_link(int fd, unsigned int how)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = at->own6 };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_addr = at->own4 };

	if (how & TALK_MAPPED)
		map(&a6.sin6_addr, &at->own4);
	return how & (TALK_V6 | TALK_MAPPED) ? bind(fd, (struct sockaddr *)&a6, sizeof(a6)) :
					       bind(fd, (struct sockaddr *)&a4, sizeof(a4));
}

static int set_up(int fd, unsigned int how)
{
	const struct {
		unsigned int how;
		int level, option;
	} options[] = {
		{ TALK_DEFERRED, IPPROTO_TCP, TCP_FASTOPEN_CONNECT },
		{ TALK_NO_COOKIE, IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE },
		{ TALK_V6ONLY, IPPROTO_IPV6, IPV6_V6ONLY },
	};
	const int one = 1;

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (how & options[i].how &&
		    setsockopt(fd, options[i].level, options[i].option, &one, sizeof(one)) < 0)
			return -errno;
	if (how & TALK_BIND && bind_to_link(fd, how) < 0)
		return -errno;
	if (how & TALK_DEVICE && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, at->device,
					    (socklen_t)strlen(at->device)) < 0)
		return -errno;
	return 0;
}

int talk_socket(unsigned int how)
{
	bool v6 = how & (TALK_V6 | TALK_MAPPED | TALK_LINKLOCAL);
	int fd = socket(v6 ? AF_INET6 : AF_INET,
			(how & TALK_UDP ? SOCK_DGRAM : SOCK_STREAM) |
			(how & TALK_NONBLOCK ? SOCK_NONBLOCK : 0),
			how & TALK_MPTCP ? PROTO_MPTCP : 0);
	int r = fd < 0 ? -errno : set_up(fd, how);

	if (fd >= 0 && r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

static int uring_connect(int fd, const struct talk *t, socklen_t len)
{
	const struct io_uring_sqe sqe = { .opcode = IORING_OP_CONNECT, .fd = fd,
					  .addr = (uintptr_t)&t->asked, .off = len,
					  .flags = t->how & TALK_ASYNC ? IOSQE_ASYNC : 0 };
	struct at_page why = { 0 };
	struct at_ring ring;

	at_page = &why;
	return at_ring_open(&ring, 0) > 0 ? -ENOSYS : at_ring_do(&ring, &sqe);
}

int talk_connect(struct talk *t, int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = target(t), size = sizeof(int);
	const void *to = &t->asked;
	int r, error = 0;

	if (t->how & TALK_URING)
		r = uring_connect(fd, t, len);
	else if (t->how & TALK_SENDTO)
		r = sendto(fd, TALK_TEXT, strlen(TALK_TEXT), MSG_FASTOPEN, to, len) < 0 ? -errno :
											  0;
	else
		r = connect(fd, to, len) < 0 ? -errno : 0;
	if (r == -EINPROGRESS && poll(&p, 1, WAIT_MS) == 1 &&
	    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0)
		r = -error;
	if (r == 0 && !(t->how & TALK_SENDTO) &&
	    send(fd, TALK_TEXT, strlen(TALK_TEXT), MSG_NOSIGNAL) < 0)
		r = -errno;
	return -r;
}

void talk_names(struct talk *t, int fd)
{
	socklen_t size = sizeof(t->peer);

	memset(&t->peer, 0, sizeof(t->peer));
	memset(&t->name, 0, sizeof(t->name));
	(void)getpeername(fd, (struct sockaddr *)&t->peer, &size);
	size = sizeof(t->name);
	(void)getsockname(fd, (struct sockaddr *)&t->name, &size);
}

static int talk_once(struct talk *t)
{
	int fd = talk_socket(t->how);

	if (fd < 0) {
		t->skipped = -fd;
		return 0;
	}
	t->error = talk_connect(t, fd);
	if (t->error == ENOSYS || t->error == EOPNOTSUPP)
		t->skipped = t->error;
	talk_names(t, fd);
	close(fd);
	return 0;
}

static void enter_container(void)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)netlab_container(lab));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		_exit(99);
	close(fd);
}

static int child_main(uint32_t uid, int (*fn)(struct talk *), struct talk *t, pid_t parent)
{
	wall_enter(wall);
	if (t->how & TALK_NETNS)
		enter_container();
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return 99;
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* only now: changing ids clears it */
	return getppid() == parent ? fn(t) : 99;
}

int talk_child(uint32_t uid, int (*fn)(struct talk *), struct talk *t)
{
	struct talk *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t parent = getpid(), pid;
	int status;

	assert_true(page != MAP_FAILED);
	*page = *t;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(child_main(uid, fn, page, parent));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	*t = *page;
	munmap(page, sizeof(*page));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 99);
	return WEXITSTATUS(status);
}

void talk_run(struct talk *t)
{
	talk_child(t->uid ?: at->uid, talk_once, t);
}

bool talk_same(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
	const struct sockaddr_in *a4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in *b4 = (const struct sockaddr_in *)b;

	if (a->sin6_family != b->sin6_family || a->sin6_port != b->sin6_port)
		return false;
	return a->sin6_family == AF_INET ? a4->sin_addr.s_addr == b4->sin_addr.s_addr :
					   !memcmp(&a->sin6_addr, &b->sin6_addr, 16);
}

uint64_t talk_escaped(void)
{
	uint64_t before = syns_seen;

	assert_int_equal(netlab_syns(lab, at->port, &syns_seen), 0);
	return syns_seen - before;
}
