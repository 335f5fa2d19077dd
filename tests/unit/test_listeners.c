/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <cmocka.h>

#include "mta.h"
#include "util.h"

static int fail_with;	/* what fdopendir(3) fails with; 0: it works */

/* In place of the C library's: a process can end between any two system calls. */
DIR *fdopendir(int fd)
{
	DIR *(*real)(int) = (DIR *(*)(int))dlsym(RTLD_NEXT, "fdopendir");

	if (!fail_with)
		return real(fd);
	errno = fail_with;
	return NULL;
}

/* A socket of this process on `port` (0: any free one) of the loopback; skips without IPv6. */
static int open_socket(int family, bool listening, unsigned int *port)
{
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)*port) };
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)*port) };
	struct sockaddr *a = family == AF_INET ? (void *)&a4 : (void *)&a6;
	socklen_t len = family == AF_INET ? sizeof(a4) : sizeof(a6);
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a6.sin6_addr = in6addr_loopback;
	if (fd < 0 || bind(fd, a, len) < 0) {
		if (fd >= 0)
			close(fd);
		return -1;
	}
	if (listening)
		assert_int_equal(listen(fd, 5), 0);
	assert_int_equal(getsockname(fd, a, &len), 0);
	*port = ntohs(family == AF_INET ? a4.sin_port : a6.sin6_port);
	return fd;
}

static void assert_is_me(const struct sw_listener_list *l)
{
	int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char exe[PATH_MAX];
	ssize_t n = readlinkat(self, "exe", exe, sizeof(exe) - 1);

	close(self);
	assert_true(n > 0);
	exe[n] = '\0';
	assert_int_equal(l->n, 1);
	assert_int_equal(l->item[0].pid, getpid());
	assert_int_equal(l->item[0].uid, geteuid());
	assert_string_equal(l->item[0].exe, exe);
}

static void test_families(void **state)
{
	static const int rows[] = { AF_INET, AF_INET6 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_listener_list l;
		unsigned int port = 0;
		int fd = open_socket(rows[i], true, &port);

		if (fd < 0 && rows[i] == AF_INET6)
			continue;	/* IPv6 is off here */
		assert_true(fd >= 0);
		assert_int_equal(sw_listeners_find(port, &l), 0);
		assert_is_me(&l);
		sw_listeners_free(&l);
		close(fd);
		assert_int_equal(sw_listeners_find(port, &l), 0);
		assert_int_equal(l.n, 0);
		sw_listeners_free(&l);
	}
}

/* v4 and v6 sockets of one program, and a child that shares them, are one listener. */
static void test_one_row(void **state)
{
	struct sw_listener_list l;
	unsigned int port = 0;
	int v4 = open_socket(AF_INET, true, &port), v6 = open_socket(AF_INET6, true, &port);
	int hold[2];
	pid_t pid;
	char c;

	(void)state;
	assert_true(v4 >= 0);
	assert_int_equal(pipe(hold), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		_exit(read(hold[0], &c, 1) > 0);
	}
	assert_int_equal(sw_listeners_find(port, &l), 0);
	assert_int_equal(l.n, 1);
	assert_true(l.item[0].pid == getpid() || l.item[0].pid == pid);
	sw_listeners_free(&l);
	close(hold[0]);
	close(hold[1]);
	waitpid(pid, NULL, 0);
	close(v4);
	if (v6 >= 0)
		close(v6);
}

/* Bound, or connected, is not listening. */
static void test_not_listening(void **state)
{
	struct sw_listener_list l;
	unsigned int port = 0, other = 0;
	int server = open_socket(AF_INET, true, &port), bound = open_socket(AF_INET, false, &other);
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };

	(void)state;
	assert_true(server >= 0 && bound >= 0);
	assert_int_equal(sw_listeners_find(other, &l), 0);
	assert_int_equal(l.n, 0);
	sw_listeners_free(&l);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(connect(bound, (void *)&to, sizeof(to)), 0);
	assert_int_equal(sw_listeners_find(other, &l), 0);
	assert_int_equal(l.n, 0);
	sw_listeners_free(&l);
	close(server);
	close(bound);
}

/* A socket in flight between processes belongs to none; it is still a listener. */
static void test_no_process(void **state)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = { 0 } };
	struct iovec iov = { .iov_base = (char[]){ 'x' }, .iov_len = 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			      .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	struct sw_listener_list l;
	unsigned int port = 0;
	int fd = open_socket(AF_INET, true, &port), pair[2];

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	assert_int_equal(sendmsg(pair[0], &msg, 0), 1);
	close(fd);

	assert_int_equal(sw_listeners_find(port, &l), 0);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.item[0].pid, 0);
	assert_int_equal(l.item[0].uid, geteuid());
	assert_null(l.item[0].exe);
	sw_listeners_free(&l);
	close(pair[0]);
	close(pair[1]);
}

/* A child that has `fd` alone, as `uid` and running `program` (NULL: this one). */
static pid_t start_child(int fd, uid_t uid, const char *program, int *stop)
{
	int hold[2], ready[2];
	pid_t pid;
	char c;

	assert_int_equal(pipe(hold), 0);
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		close(hold[1]);
		if (setresuid(uid, uid, uid) < 0 || dup2(hold[0], 0) < 0 || dup(fd) < 0)
			_exit(1);
		if (program) {
			execl(program, program, (char *)NULL);
			_exit(1);
		}
		close(ready[0]);
		close(ready[1]);
		_exit(read(0, &c, 1) > 0);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 0);	/* it runs what it should */
	close(ready[0]);
	close(hold[0]);
	close(fd);
	*stop = hold[1];
	return pid;
}

static void stop_child(pid_t pid, int stop)
{
	close(stop);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

/* The effective UID of the process counts, not that of the socket's maker. */
static void test_effective_uid(void **state)
{
	struct sw_listener_list l;
	unsigned int port = 0;
	int fd, stop;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	fd = open_socket(AF_INET, true, &port);
	assert_true(fd >= 0);
	pid = start_child(fd, 65534, NULL, &stop);
	assert_int_equal(sw_listeners_find(port, &l), 0);
	stop_child(pid, stop);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.item[0].pid, pid);
	assert_int_equal(l.item[0].uid, 65534);
	sw_listeners_free(&l);
}

/* After an upgrade the old program still runs; the kernel says "PATH (deleted)". */
static void test_deleted_program(void **state)
{
	char path[] = "/tmp/sw-listeners-XXXXXX", command[128];
	struct sw_listener_list l;
	unsigned int port = 0;
	int fd = open_socket(AF_INET, true, &port), stop;
	pid_t pid;

	(void)state;
	assert_true(fd >= 0);
	close(mkstemp(path));
	snprintf(command, sizeof(command), "cp /bin/cat %s && chmod 700 %s", path, path);
	assert_int_equal(system(command), 0);
	pid = start_child(fd, geteuid(), path, &stop);
	unlink(path);
	assert_int_equal(sw_listeners_find(port, &l), 0);
	stop_child(pid, stop);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.item[0].pid, pid);
	assert_string_equal(l.item[0].exe, path);
	sw_listeners_free(&l);
}

/* Processes that end meanwhile are passed over; what they listened on is still a listener. */
static void test_processes_end(void **state)
{
	static const int errors[] = { ENOENT, ESRCH, EACCES };
	struct sw_listener_list l;
	unsigned int port = 0;
	int fd = open_socket(AF_INET, true, &port);

	(void)state;
	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		fail_with = errors[i];
		assert_int_equal(sw_listeners_find(port, &l), 0);
		fail_with = 0;
		assert_int_equal(l.n, 1);
		assert_int_equal(l.item[0].pid, 0);
		sw_listeners_free(&l);
	}
	fail_with = ENOMEM;
	assert_int_equal(sw_listeners_find(port, &l), -ENOMEM);
	fail_with = 0;
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_one_row),
		cmocka_unit_test(test_not_listening),
		cmocka_unit_test(test_no_process),
		cmocka_unit_test(test_effective_uid),
		cmocka_unit_test(test_deleted_program),
		cmocka_unit_test(test_processes_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
