/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The system's resolver, in a namespace that reaches nothing but a name server of our own. */
#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <sanitizer/lsan_interface.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "resolve.h"
#include "util.h"

#define QUERY_MAX	512
#define LATE_MS		500	/* that an answer takes to late.test */

static char scratch[] = "/tmp/sw-resolve-XXXXXX";

static const char *text_of(const struct sw_addrs *a)
{
	static char text[SW_RESOLVE_MAX_ADDRS * INET6_ADDRSTRLEN];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < a->n; i++) {
		char one[INET6_ADDRSTRLEN];

		inet_ntop(AF_INET6, a->item[i].b, one, sizeof(one));
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "",
					 one);
	}
	return text;
}

/* The name in a question as text; the offset behind it. */
static size_t read_name(const unsigned char *q, size_t len, char *name)
{
	size_t at = 12, used = 0;

	while (at < len && q[at]) {
		for (unsigned int n = q[at++]; n > 0 && at < len && used < 250; n--)
			name[used++] = (char)q[at++];
		name[used++] = '.';
	}
	name[used] = '\0';
	return at + 1;
}

static size_t add_record(unsigned char *a, bool v6)
{
	static const unsigned char head[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4 };
	size_t len = v6 ? 16 : 4;

	memcpy(a, head, sizeof(head));
	a[3] = v6 ? 28 : 1;
	a[11] = (unsigned char)len;
	inet_pton(v6 ? AF_INET6 : AF_INET, v6 ? "2001:db8::5" : "203.0.113.5", a + sizeof(head));
	return sizeof(head) + len;
}

/* Turns a question into its answer; 0: none is given. */
static size_t answer_query(unsigned char *q, size_t len)
{
	char name[256];
	size_t end = read_name(q, len, name) + 4;
	bool v6 = q[end - 3] == 28, found = false;
	unsigned char code = 0;

	if (!strncmp(name, "slow", 4))
		return 0;
	if (!strcmp(name, "late.test."))
		(void)poll(NULL, 0, LATE_MS);
	if (!strcmp(name, "both.test.") || !strcmp(name, "late.test.") ||
	    (!strcmp(name, "v4.test.") && !v6) ||
	    (!strcmp(name, "half.test.") && !v6))
		found = true;
	else if (!strcmp(name, "fail.test.") || !strcmp(name, "half.test."))
		code = 2;	/* SERVFAIL */
	else if (strcmp(name, "v4.test.") != 0)
		code = 3;	/* NXDOMAIN */
	q[2] = 0x81;
	q[3] = 0x80 | code;
	memset(q + 6, 0, 6);
	q[7] = found;
	return found ? end + add_record(q + end, v6) : end;
}

static int bind_server(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(53) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0 ? fd : -1;
}

static _Noreturn void serve_names(int fd)
{
	unsigned char q[QUERY_MAX + 64];

	for (;;) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof(from);
		ssize_t n = recvfrom(fd, q, QUERY_MAX, 0, (struct sockaddr *)&from, &from_len);
		size_t len = n < 17 ? 0 : answer_query(q, (size_t)n);

		if (len)
			(void)sendto(fd, q, len, 0, (struct sockaddr *)&from, from_len);
	}
}

static bool put_file(const char *over, const char *text)
{
	char path[160];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", scratch, strrchr(over, '/') + 1);
	f = fopen(path, "we");
	if (!f)
		return false;
	fputs(text, f);
	fclose(f);
	return mount(path, over, NULL, MS_BIND, NULL) == 0;
}

/* A network and mount namespace of our own; false where that is not allowed. */
static bool enter_namespace(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd;

	if (unshare((geteuid() ? CLONE_NEWUSER : 0) | CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0)
		return false;
	close(fd);
	return put_file("/etc/resolv.conf",
			"nameserver 127.0.0.1\noptions timeout:30 attempts:5\n") &&
	       put_file("/etc/nsswitch.conf", "hosts: files dns\n") &&
	       put_file("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n");
}

static int n_wrong;

static void expect(const char *name, const struct sw_resolved *r, enum sw_resolve_status status,
		   const char *addrs)
{
	if (r->status == status && !strcmp(text_of(&r->addrs), addrs))
		return;
	n_wrong++;
	fprintf(stderr, "# %s: status %d, '%s', %s\n", name, r->status, text_of(&r->addrs),
		r->message ? r->message : "no message");
}

static long elapsed_ms(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (now.tv_sec - since->tv_sec) * 1000 + (now.tv_nsec - since->tv_nsec) / 1000000;
}

static void without_server(void)
{
	static const char *const names[] = { "localhost", "x.invalid" };
	const struct sw_resolver how = {};
	struct sw_resolved_list l;

	if (sw_resolve(&how, names, 2, &l) < 0)
		_exit(3);
	expect(names[0], &l.item[0], SW_RESOLVE_FOUND, "::1 ::ffff:127.0.0.1");
	expect(names[1], &l.item[1], SW_RESOLVE_UNKNOWN, "");
	sw_resolved_free(&l);
}

static void with_server(void)
{
	static const struct { const char *name; enum sw_resolve_status status; const char *addrs; }
	want[] = {
		{ "both.test", SW_RESOLVE_FOUND, "::ffff:203.0.113.5 2001:db8::5" },
		{ "v4.test", SW_RESOLVE_FOUND, "::ffff:203.0.113.5" },
		{ "half.test", SW_RESOLVE_FOUND, "::ffff:203.0.113.5" },
		{ "none.test", SW_RESOLVE_INVALID, "" },
		{ "fail.test", SW_RESOLVE_UNKNOWN, "" },
	};
	const struct sw_resolver how = {};
	const char *names[ARRAY_SIZE(want)];
	struct sw_resolved_list l;
	struct timespec since;

	clock_gettime(CLOCK_MONOTONIC, &since);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		names[i] = want[i].name;
	if (sw_resolve(&how, names, ARRAY_SIZE(want), &l) < 0)
		_exit(3);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		expect(names[i], &l.item[i], want[i].status, want[i].addrs);
	if (!strstr(l.item[2].message, "its IPv6 addresses"))
		n_wrong++;
	if (elapsed_ms(&since) >= SW_RESOLVE_TIMEOUT_MS) {
		fprintf(stderr, "# waited although all had answered\n");
		n_wrong++;
	}
	sw_resolved_free(&l);
}

/* One name that is not answered holds up no other. */
static void beside_a_slow_one(void)
{
	static const char *const names[] = { "slow.test", "both.test" };
	const struct sw_resolver how = { .timeout_ms = 1500 };
	struct sw_resolved_list l;

	if (sw_resolve(&how, names, 2, &l) < 0)
		_exit(3);
	expect(names[0], &l.item[0], SW_RESOLVE_UNKNOWN, "");
	expect(names[1], &l.item[1], SW_RESOLVE_FOUND, "::ffff:203.0.113.5 2001:db8::5");
	sw_resolved_free(&l);
}

/* More questions than the resolver has threads, none of them answered. */
static void within_the_deadline(void)
{
	const struct sw_resolver how = { .timeout_ms = 300 };
	struct sw_resolved_list l;
	struct timespec since;
	char text[60][16];
	const char *names[60];
	long ms;

	for (int i = 0; i < 60; i++) {
		snprintf(text[i], sizeof(text[i]), "slow%d.test", i);
		names[i] = text[i];
	}
	clock_gettime(CLOCK_MONOTONIC, &since);
	if (sw_resolve(&how, names, 60, &l) < 0)
		_exit(3);
	ms = elapsed_ms(&since);
	for (int i = 0; i < 60; i++)
		expect(names[i], &l.item[i], SW_RESOLVE_UNKNOWN, "");
	if (!strstr(l.item[0].message, "(no answer within 0.3 s)"))
		n_wrong++;
	if (ms < 300 || ms > 20000) {		/* without a deadline: minutes */
		fprintf(stderr, "# took %ld ms\n", ms);
		n_wrong++;
	}
	sw_resolved_free(&l);
}

static bool is_alone(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) == 0 && st.st_nlink == 3;
}

/* An answer that comes when nobody waits for it any more does no harm, and its thread ends. */
static void after_the_deadline(void)
{
	static const char *const names[] = { "late.test" };
	const struct sw_resolver how = { .timeout_ms = 50 };
	struct sw_resolved_list l;

	if (sw_resolve(&how, names, 1, &l) < 0)
		_exit(3);
	expect(names[0], &l.item[0], SW_RESOLVE_UNKNOWN, "");
	sw_resolved_free(&l);
	for (int i = 0; i < 2000 && !is_alone(); i++)
		(void)poll(NULL, 0, 10);
	if (!is_alone()) {
		fprintf(stderr, "# a thread stays\n");
		n_wrong++;
	}
	n_wrong += __lsan_do_recoverable_leak_check() != 0;
}

static void test_real_resolver(void **state)
{
	pid_t pid, self, server;
	int status, fd;

	(void)state;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (!enter_namespace())
			_exit(77);
		without_server();
		self = getpid();
		fd = bind_server();
		server = fd < 0 ? -1 : fork();
		if (server < 0)
			_exit(4);
		if (server == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != self)
				_exit(0);
			serve_names(fd);
		}
		with_server();
		after_the_deadline();
		beside_a_slow_one();
		within_the_deadline();
		kill(server, SIGKILL);
		_exit(n_wrong ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* In this process, whose end finds what was not freed. No DNS is asked for this name. */
static void test_nothing_leaked(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		struct sw_lookup l = { .name = "localhost", .family = AF_INET };

		sw_resolve_dns(NULL, &l, 1, 5000);
		assert_int_equal(!l.error, l.addrs.n > 0);
		free(l.addrs.item);
	}
}

static int tidy_up(void **state)
{
	static const char *const files[] = { "resolv.conf", "nsswitch.conf", "hosts" };
	char path[160];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", scratch, files[i]);
		unlink(path);
	}
	return rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_real_resolver),
		cmocka_unit_test(test_nothing_leaked),
	};

	if (!mkdtemp(scratch))
		return 99;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, tidy_up);
}
