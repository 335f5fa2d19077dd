/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What becomes of SMTP connections, for every way in which one ends: established or why not, bytes
 * without those that TCP counts for itself, duration. On the loopback device.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>

#include "log.h"
#include "mapread.h"
#include "stats.h"
#include "util.h"
#include "wall.h"

#define PORT	32525
#define OTHER	32526	/* not of the policy */
#define POLICY	"[policy]\ndeny_ports = 32525\ncount_ports =\n"
#define SENT	3000
#define ANSWER	1200

static struct wall wall;
static uint32_t next_uid = 61800;
static int listener = -1, other_listener = -1;

static struct sockaddr_in address(uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return a;
}

static int listen_on(uint16_t port, int backlog)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	struct sockaddr_in a = address(port);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, backlog) < 0) {
		perror("listen");
		exit(99);
	}
	return fd;
}

static int dial(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = address(port);

	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -1 : fd;
}

static void pass(int fd, size_t n, bool send_it)
{
	char buf[SENT] = "";
	ssize_t r;

	for (; n; n -= (size_t)r) {
		r = send_it ? send(fd, buf, n, MSG_NOSIGNAL) : recv(fd, buf, n, 0);
		if (r <= 0)
			_exit(1);
	}
}

static void reset(int fd)
{
	struct linger l = { .l_onoff = 1 };

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
	close(fd);
}

static bool at_end(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) <= 0;
}

/* ---- the caller's half, in a child of the account; what it returns is its exit status ---- */

static int talk(void)
{
	int fd = dial(PORT);

	if (fd < 0)
		_exit(1);
	pass(fd, SENT, true);
	pass(fd, ANSWER, false);
	return fd;
}

static int closes_first(void)
{
	close(talk());
	return 0;
}

static int closes_last(void)
{
	int fd = talk();

	if (!at_end(fd))
		return 1;
	close(fd);
	return 0;
}

static int resets(void)
{
	reset(talk());
	return 0;
}

static int is_reset(void)
{
	return at_end(talk()) ? 0 : 1;
}

static int is_killed(void)
{
	talk();
	return raise(SIGKILL);
}

static int is_refused(void)
{
	return dial(PORT) < 0 && errno == ECONNREFUSED ? 0 : 1;
}

static int times_out(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), ms = 300;
	struct sockaddr_in a = address(PORT);

	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
	return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == ETIMEDOUT ? 0 : 1;
}

static int gives_up(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in a = address(PORT);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno != EINPROGRESS)
		return 1;
	close(fd);
	return 0;
}

static int twice_with_one_socket(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct sockaddr_in a = address(PORT);
	int fd = talk();

	if (connect(fd, &none, sizeof(none)) < 0 ||
	    connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return 1;
	pass(fd, SENT, true);
	pass(fd, ANSWER, false);
	close(fd);
	return 0;
}

static int elsewhere(void)
{
	int fd = dial(OTHER);

	if (fd < 0)
		return 1;
	pass(fd, SENT, true);
	close(fd);
	return 0;
}

/* ---- the server's half, in the test ---- */

static int take(void)
{
	struct timeval limit = { .tv_sec = 30 };
	int fd = accept(listener, NULL, NULL);

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	pass(fd, SENT, false);
	pass(fd, ANSWER, true);
	return fd;
}

static void waits_for_end(void)
{
	int fd = take();

	at_end(fd);
	close(fd);
}

static void ends(void)
{
	close(take());
}

static void ends_hard(void)
{
	reset(take());
}

static void waits_twice(void)
{
	waits_for_end();
	waits_for_end();
}

static pid_t call(uint32_t uid, int (*fn)(void))
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid)
		return pid;
	wall_enter(&wall);
	if (setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0 || chdir("/usr") < 0)
		_exit(98);
	_exit(fn());
}

static struct sw_outcome outcome(struct sw_origin_key key)
{
	struct sw_outcome o = {};
	struct sw_live live;

	wall_live(&wall, &live);
	bpf_map_lookup_elem(live.map_fd[SW_MAP_OUTCOMES], &key, &o);
	sw_live_close(&live);
	return o;
}

static struct sw_outcome of_account(uint32_t uid)
{
	return outcome((struct sw_origin_key){ .uid = uid, .dev = SW_DEV_NONE });
}

static uint64_t ended(const struct sw_outcome *o)
{
	return (o->duration_ns ? o->established : 0) + o->refused + o->timed_out + o->failed;
}

/* The last packets take a moment, and there is no event to wait for. */
static struct sw_outcome settled(uint32_t uid, uint64_t bytes)
{
	struct sw_outcome o = of_account(uid);

	for (int i = 0; i < 3000 && (!ended(&o) || o.bytes_sent < bytes); i++) {
		poll(NULL, 0, 1);
		o = of_account(uid);
	}
	return o;
}

static const struct ending {
	const char *name;
	int (*caller)(void);
	void (*server)(void);
	struct sw_outcome want;
} endings[] = {
	{ "caller closes first", closes_first, waits_for_end,
	  { .established = 1, .bytes_sent = SENT, .bytes_received = ANSWER } },
	{ "server closes first", closes_last, ends,
	  { .established = 1, .bytes_sent = SENT, .bytes_received = ANSWER } },
	{ "caller resets", resets, waits_for_end,
	  { .established = 1, .bytes_sent = SENT, .bytes_received = ANSWER } },
	{ "server resets", is_reset, ends_hard,
	  { .established = 1, .bytes_sent = SENT, .bytes_received = ANSWER } },
	{ "caller is killed", is_killed, waits_for_end,
	  { .established = 1, .bytes_sent = SENT, .bytes_received = ANSWER } },
	{ "one socket, two connections", twice_with_one_socket, waits_twice,
	  { .established = 2, .bytes_sent = 2 * SENT, .bytes_received = 2 * ANSWER } },
	{ "another port", elsewhere, NULL, { .established = 0 } },
};

static void every_ending(void **state)
{
	const struct ending *e = *state;
	uint32_t uid = next_uid++;
	struct sw_outcome o;
	int status;
	pid_t pid;

	pid = call(uid, e->caller);
	if (e->server)
		e->server();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(status == 0 || (WIFSIGNALED(status) && e->caller == is_killed));
	o = e->want.established ? settled(uid, e->want.bytes_sent) : of_account(uid);
	assert_int_equal(!o.duration_ns, !e->want.established);
	assert_true(o.duration_ns < 60000000000ULL);
	o.duration_ns = 0;
	assert_memory_equal(&o, &e->want, sizeof(o));
}

static void nobody_listens(void **state)
{
	uint32_t uid = next_uid++;
	struct sw_outcome o;
	int status;

	(void)state;
	close(listener);
	waitpid(call(uid, is_refused), &status, 0);
	listener = listen_on(PORT, 64);
	assert_int_equal(status, 0);
	o = settled(uid, 0);
	assert_int_equal(o.refused, 1);
	assert_int_equal(o.established + o.failed + o.timed_out, 0);
}

/* A queue that is full: what comes next gets no answer. */
static void nobody_answers(void **state)
{
	uint32_t uid = next_uid++, second = next_uid++;
	int filler[8], n = 0, status;
	struct sw_outcome o;

	(void)state;
	close(listener);
	listener = listen_on(PORT, 0);
	for (; n < 8; n++) {
		struct sockaddr_in a = address(PORT);

		filler[n] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)!connect(filler[n], (struct sockaddr *)&a, sizeof(a));
	}
	waitpid(call(uid, times_out), &status, 0);
	assert_int_equal(status, 0);
	waitpid(call(second, gives_up), &status, 0);
	assert_int_equal(status, 0);
	while (n)
		close(filler[--n]);
	close(listener);
	listener = listen_on(PORT, 64);
	o = settled(uid, 0);
	assert_int_equal(o.timed_out, 1);
	assert_int_equal(o.established + o.failed + o.refused, 0);
	o = settled(second, 0);
	assert_int_equal(o.failed, 1);
	assert_int_equal(o.established + o.timed_out + o.refused, 0);
}

#define MANY	200

static int makes_many(void)
{
	for (int i = 0; i < MANY; i++)
		close(talk());
	return 0;
}

/* Exact in any number and while policies are applied; by account and by directory alike; the
 * reports have it. */
static void many_at_once(void **state)
{
	uint32_t uid = next_uid++;
	pid_t pid[4], server;
	struct sw_stats s;
	struct sw_live live;
	struct sw_outcome o;
	int status;

	(void)state;
	server = fork();
	if (!server)
		for (;;)
			waits_for_end();
	for (int i = 0; i < 4; i++)
		pid[i] = call(uid, makes_many);
	for (int i = 0; i < 4; i++)
		assert_int_equal(wall_apply(&wall, POLICY), 0);
	for (int i = 0; i < 4; i++) {
		waitpid(pid[i], &status, 0);
		assert_int_equal(status, 0);
	}
	o = settled(uid, 4ULL * MANY * SENT);
	kill(server, SIGKILL);
	waitpid(server, NULL, 0);
	assert_int_equal(o.established, 4 * MANY);
	assert_int_equal(o.bytes_sent, 4 * MANY * SENT);
	assert_int_equal(o.bytes_received, 4 * MANY * ANSWER);

	wall_live(&wall, &live);
	assert_int_equal(sw_stats_read(&live, &s), 0);
	sw_live_close(&live);
	for (size_t i = 0; i < s.n_accounts; i++)
		if (s.accounts[i].uid == uid)
			assert_memory_equal(&s.accounts[i].outcome, &o, sizeof(o));
	for (size_t i = 0; i < s.n_origins; i++)
		if (s.origins[i].uid == uid) {
			assert_string_equal(s.origins[i].directory, "/usr");
			assert_memory_equal(&s.origins[i].outcome, &o, sizeof(o));
		}
	sw_stats_free(&s);
}

static void left_out(void **state)
{
	uint32_t uid = next_uid++;
	struct sw_live live;
	pid_t pid;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY "outcomes = no\n"), 0);
	wall_live(&wall, &live);
	assert_int_equal(live.link[SW_HOOK_OUTCOME].fd, -1);
	assert_true(live.in_force);
	sw_live_close(&live);
	pid = call(uid, closes_first);
	waits_for_end();
	waitpid(pid, NULL, 0);
	assert_int_equal(wall_uid(&wall, uid, SW_N_LOCAL), 1);
	assert_int_equal(of_account(uid).established, 0);
	assert_int_equal(wall_apply(&wall, POLICY), 0);
}

int main(void)
{
	struct CMUnitTest tests[ARRAY_SIZE(endings) + 4];
	size_t n = 0;
	int failed;

	sw_log_max = SW_LOG_ERROR;
	wall_open(&wall);
	listener = listen_on(PORT, 64);
	other_listener = listen_on(OTHER, 64);
	if (wall_apply(&wall, POLICY) < 0)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
		tests[n++] = (struct CMUnitTest){ .name = endings[i].name, .test_func = every_ending,
						  .initial_state = (void *)&endings[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(nobody_listens);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(nobody_answers);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(many_at_once);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(left_out);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed;
}
