/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The listener for metrics: where it listens, what it answers, and what clients can do to it. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "http.h"
#include "http_listen.h"
#include "util.h"

#define BODY_LEN	(256 * 1024)
#define CROWD		1000
#define WAIT_MS		30000

/* What the process of the listener tells. */
struct shared {
	int bodies;		/* texts that were made */
	int fail;		/* make none */
	int runs;
	int64_t slowest_us;	/* a run of the loop, sanitizers and all */
	int fds;		/* highest descriptor that was seen */
};

static struct shared *shared;
static char dir[] = "/tmp/sw-http-XXXXXX";
static char unix_listen[64], *unix_path = unix_listen + 5;

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- Where ---- */

static void test_listen_parse(void **state)
{
	static const struct { const char *text, *wrong; } rows[] = {
		{ "unix:/run/smtpwall/metrics", NULL },
		{ "127.0.0.1:9825", NULL },
		{ "127.255.0.9:65535", NULL },
		{ "[::1]:1", NULL },
		{ "", "neither" },
		{ "9825", "neither" },
		{ ":9825", "neither" },
		{ "localhost:9825", "neither" },
		{ "*:9825", "neither" },
		{ "127.0.0.1", "neither" },
		{ "127.0.0.1:", "neither" },
		{ "127.1:80", "neither" },
		{ "127.0.0.1:http", "neither" },
		{ "::1:9825", "neither" },
		{ "[127.0.0.1]:9825", "neither" },
		{ "[::1]9825", "neither" },
		{ "[::1:9825", "neither" },
		{ "[]:9825", "neither" },
		{ "127.0.0.1:0", "port" },
		{ "127.0.0.1:65536", "port" },
		{ "0.0.0.0:9825", "loopback" },
		{ "128.0.0.1:9825", "loopback" },
		{ "[::]:9825", "loopback" },
		{ "[2001:db8::1]:9825", "loopback" },
		{ "[::ffff:127.0.0.1]:9825", "loopback" },
		{ "unix:", "absolute" },
		{ "unix:run/x", "absolute" },
		{ "unix:@abstract", "absolute" },
		{ "/run/smtpwall/metrics", "neither" },
		{ "unix:/0123456789012345678901234567890123456789012345678901234567890123456789"
		  "01234567890123456789012345678901234567", "longer" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_http_listen l;
		const char *wrong = sw_http_listen_parse(rows[i].text, &l);

		if (!rows[i].wrong != !wrong || (wrong && !strstr(wrong, rows[i].wrong)))
			fail_msg("'%s': %s", rows[i].text, wrong ?: "good");
	}
}

/* ---- A listener in a process of its own ---- */

static int body(void *data, char **text, size_t *len)
{
	(void)data;
	shared->bodies++;
	if (shared->fail)
		return -EIO;
	*text = malloc(BODY_LEN + 1);
	if (!*text)
		return -ENOMEM;
	memset(*text, '#', BODY_LEN);
	for (size_t i = 79; i < BODY_LEN; i += 80)
		(*text)[i] = '\n';
	snprintf(*text, 32, "x %d", shared->bodies);
	(*text)[strlen(*text)] = '\n';
	*len = BODY_LEN;
	return 0;
}

static void serve(const char *listen, int ready)
{
	struct sw_http *h = NULL;
	int r;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	r = sw_http_new(listen, body, NULL, &h);
	if (write(ready, &r, sizeof(r)) != sizeof(r) || r < 0)
		_exit(1);
	for (;;) {
		struct pollfd p = { .fd = sw_http_fd(h), .events = POLLIN };
		int64_t start, took;

		if (poll(&p, 1, -1) < 0)
			_exit(2);
		start = now_us();
		if (sw_http_run(h) < 0)
			_exit(3);
		took = now_us() - start;
		shared->runs++;
		if (took > shared->slowest_us)
			shared->slowest_us = took;
		r = dup(0);
		if (r > shared->fds)
			shared->fds = r;
		close(r);
	}
}

struct server {
	pid_t pid;
	char listen[64];
	struct sw_http_listen at;
};

/* What sw_http_new() says. */
static int start(const char *listen, struct server *s)
{
	int ready[2], r = -EPIPE;

	memset(shared, 0, sizeof(*shared));
	assert_int_equal(pipe(ready), 0);
	s->pid = fork();
	if (!s->pid) {
		close(ready[0]);
		serve(listen, ready[1]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &r, sizeof(r)), sizeof(r));
	close(ready[0]);
	if (r < 0)
		waitpid(s->pid, NULL, 0);
	else
		assert_null(sw_http_listen_parse(listen, &s->at));
	return r;
}

static void stop(struct server *s)
{
	int status;

	assert_int_equal(waitpid(s->pid, &status, WNOHANG), 0);	/* it did not end by itself */
	kill(s->pid, SIGTERM);
	waitpid(s->pid, NULL, 0);
}

/* On a port of 127.0.0.1 that is free. */
static void start_inet(struct server *s)
{
	int r = -EADDRINUSE;

	for (int i = 0; i < 50 && r == -EADDRINUSE; i++) {
		snprintf(s->listen, sizeof(s->listen), "127.0.0.1:%d",
			 20000 + (getpid() * 7 + i * 131) % 12000);
		r = start(s->listen, s);
	}
	assert_int_equal(r, 0);
}

static int connect_to(const struct server *s, int flags)
{
	int fd = socket(s->at.addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

	assert_true(fd >= 0);
	if (connect(fd, (const struct sockaddr *)&s->at.addr, s->at.len) < 0 &&
	    errno != EINPROGRESS) {
		int e = errno;

		close(fd);
		errno = e;
		return -1;
	}
	return fd;
}

/* Everything until the other end closes; malloc'd. -1 in *len: it did not close in time. */
static char *read_all(int fd, ssize_t *len)
{
	char *text = calloc(1, BODY_LEN + 8192);
	size_t n = 0;

	*len = -1;
	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t r;

		if (poll(&p, 1, WAIT_MS) != 1)
			return text;
		r = read(fd, text + n, BODY_LEN + 8191 - n);
		if (r <= 0)
			break;
		n += (size_t)r;
	}
	*len = (ssize_t)n;
	return text;
}

/* The answer to `request`; malloc'd. */
static char *ask(const struct server *s, const char *request, size_t request_len)
{
	int fd = connect_to(s, 0);
	ssize_t len;
	char *text;

	assert_true(fd >= 0);
	(void)!send(fd, request, request_len, MSG_NOSIGNAL);
	text = read_all(fd, &len);
	assert_true(len >= 0);
	close(fd);
	return text;
}

static char *ask_text(const struct server *s, const char *request)
{
	return ask(s, request, strlen(request));
}

/* ---- What is answered ---- */

#define H "Host: x\r\n"

static void test_answers(void **state)
{
	static const char om[] = "Content-Type: application/openmetrics-text; version=1.0.0",
			  prom[] = "Content-Type: text/plain; version=0.0.4";
	static const struct { const char *request, *status, *want; } rows[] = {
		{ "GET /metrics HTTP/1.1\r\n" H "\r\n", "200", prom },
		{ "GET /metrics HTTP/1.0\r\n\r\n", "200", prom },
		{ "GET /metrics?x=y HTTP/1.1\r\n" H "\r\n", "200", prom },
		{ "GET /metrics HTTP/1.1\r\n" H "Accept: application/openmetrics-text;"
		  "version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
		  "text/plain;version=0.0.4;q=0.5,*/*;q=0.1\r\n\r\n", "200", om },
		{ "GET /metrics HTTP/1.1\r\n" H "Accept: text/html, Application/OpenMetrics-Text\r\n\r\n",
		  "200", om },
		{ "GET /metrics HTTP/1.1\r\n" H "Accept: text/plain, application/openmetrics-text;q=0"
		  "\r\n\r\n", "200", prom },
		{ "GET /metrics HTTP/1.1\r\n" H "Accept: application/openmetrics-text;q=0.00, */*\r\n\r\n",
		  "200", prom },
		{ "GET /metrics HTTP/1.1\r\n" H "Accept: application/openmetrics-text;q=0.01\r\n\r\n",
		  "200", om },
		{ "GET /metrics HTTP/1.1\r\n" H "Accept: ,,, ,\r\n\r\n", "200", prom },
		{ "GET / HTTP/1.1\r\n" H "\r\n", "200", "metrics are at /metrics" },
		{ "GET /metrics HTTP/1.1\r\n" H "\r\n", "200", "Connection: close" },
		{ "GET /metrics/ HTTP/1.1\r\n" H "\r\n", "404", "only /metrics" },
		{ "GET //metrics HTTP/1.1\r\n" H "\r\n", "404", "" },
		{ "GET /../metrics HTTP/1.1\r\n" H "\r\n", "404", "" },
		{ "GET /METRICS HTTP/1.1\r\n" H "\r\n", "404", "" },
		{ "GET /metrics%00x HTTP/1.1\r\n" H "\r\n", "200", "" },
		{ "POST /metrics HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", "405",
		  "Allow: GET, HEAD" },
		{ "PUT /metrics HTTP/1.1\r\n" H "Content-Length: 999999999999\r\n\r\nabc", "405", "" },
		{ "DELETE /metrics HTTP/1.1\r\n" H "\r\n", "405", "" },
		{ "OPTIONS * HTTP/1.1\r\n" H "\r\n", "405", "" },
		{ "get /metrics HTTP/1.1\r\n" H "\r\n", "405", "" },
		{ "PATCH / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n5\r\nabc", "405", "" },
	};
	struct server s;

	(void)state;
	start_inet(&s);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = ask_text(&s, rows[i].request);

		if (strncmp(text, "HTTP/1.", 7) != 0 || strncmp(text + 9, rows[i].status, 3) != 0 ||
		    !strstr(text, rows[i].want))
			fail_msg("%s: %.400s", rows[i].request, text);
	}
	stop(&s);
}

static void test_head(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct server s;

	(void)state;
	start_inet(&s);
	text = ask_text(&s, "HEAD /metrics HTTP/1.1\r\n" H "\r\n");
	assert_non_null(strstr(text, " 200 "));
	assert_non_null(strstr(text, "Content-Length: 262144\r\n"));
	assert_string_equal(text + strlen(text) - 4, "\r\n\r\n");
	stop(&s);
}

/* Many readers within a second cost one reading. */
static void test_one_text_for_all(void **state)
{
	int64_t start;
	struct server s;
	int n = 0;

	(void)state;
	start_inet(&s);
	for (start = now_us(); now_us() - start < 2500000; n++) {
		_cleanup_free_ char *text = ask_text(&s, "GET /metrics HTTP/1.1\r\n" H "\r\n");

		assert_non_null(strstr(text, " 200 "));
		assert_true(strlen(text) > BODY_LEN);
	}
	print_message("# %d answers in 2.5 s from %d texts\n", n, shared->bodies);
	assert_true(n > 10);
	assert_in_range(shared->bodies, 2, 4);
	stop(&s);
}

static void test_no_text(void **state)
{
	struct server s;

	(void)state;
	start_inet(&s);
	shared->fail = 1;
	for (int i = 0; i < 20; i++) {
		_cleanup_free_ char *text = ask_text(&s, "GET /metrics HTTP/1.1\r\n" H "\r\n");

		assert_non_null(strstr(text, " 503 "));
	}
	assert_in_range(shared->bodies, 1, 5);	/* failures are remembered too */
	stop(&s);
}

/* ---- What clients can do ---- */

/* No answer but an error or the end of the connection, and the next client is served. */
static void test_malformed(void **state)
{
	static char huge[64 * 1024];
	static const struct { const char *text; size_t len; } rows[] = {
		{ "\r\n\r\n", 4 },
		{ "GET\r\n\r\n", 7 },
		{ "GET /metrics\r\n\r\n", 16 },
		{ "GET /metrics HTTP/9.9\r\n\r\n", 25 },
		{ "GET /metrics HTTP/1.1\r\n\r\n", 25 },	/* no Host */
		{ "\0\0\0\0\0\0\0\0\r\n\r\n", 12 },
		{ "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15 },	/* TLS */
		{ "GET /%%%zz%f HTTP/1.1\r\n" H "\r\n", 34 },
		{ "GET /metrics HTTP/1.1\r\n: x\r\n\r\n", 30 },
		{ "GET /metrics HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", 54 },
		{ "GET /metrics HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 66 },
		{ "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24 },
		{ huge, sizeof(huge) },				/* a line without an end */
	};
	static const char good[] = "GET / HTTP/1.1\r\n" H "\r\n";
	struct server s;

	(void)state;
	memset(huge, 'A', sizeof(huge));
	memcpy(huge, "GET /", 5);
	start_inet(&s);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		int fd = connect_to(&s, 0);
		_cleanup_free_ char *text = NULL, *next = NULL;
		ssize_t len;

		(void)!send(fd, rows[i].text, rows[i].len, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		text = read_all(fd, &len);
		if (len < 0)
			fail_msg("row %zu: the connection stays open: %.200s", i, text);
		close(fd);
		next = ask_text(&s, good);
		assert_non_null(strstr(next, " 200 "));
	}
	stop(&s);
}

/* Who sends a byte now and then is gone after SW_HTTP_LIFE_MS, and so is who never reads. */
static void test_slow(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\n" H "\r\n";
	int64_t begin = now_us();
	struct server s;
	int drip, idle, deaf, ended = 0;

	(void)state;
	start_inet(&s);
	drip = connect_to(&s, 0);
	idle = connect_to(&s, 0);
	deaf = connect_to(&s, 0);
	(void)!send(deaf, request, strlen(request), MSG_NOSIGNAL);
	while (!ended && now_us() - begin < WAIT_MS * 1000LL) {
		struct pollfd p = { .fd = drip, .events = POLLIN };

		(void)!send(drip, "G", 1, MSG_NOSIGNAL);
		ended = poll(&p, 1, 300) == 1 && recv(drip, (char[64]){}, 64, 0) <= 0;
	}
	assert_true(ended);
	assert_in_range((now_us() - begin) / 1000, SW_HTTP_LIFE_MS - 500, WAIT_MS);
	assert_true(recv(idle, (char[64]){}, 64, 0) <= 0);
	close(drip);
	close(idle);
	close(deaf);
	stop(&s);
}

static long resident_kb(pid_t pid)
{
	char path[64], line[256];
	_cleanup_fclose_ FILE *f = NULL;
	long kb = -1;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kb) == 1)
			break;
	return kb;
}

/*
 * A thousand connections that are held: few are accepted, memory stays where it was, and no run
 * of the loop takes long. Afterwards somebody is served again.
 */
static void test_crowd(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\n" H "\r\n";
	_cleanup_free_ char *first = NULL, *last = NULL;
	static int fd[CROWD];
	long before, after;
	struct server s;

	(void)state;
	start_inet(&s);
	first = ask_text(&s, request);
	assert_non_null(strstr(first, " 200 "));
	before = resident_kb(s.pid);
	for (int i = 0; i < CROWD; i++) {
		fd[i] = connect_to(&s, SOCK_NONBLOCK);
		if (fd[i] >= 0)
			(void)!send(fd[i], request, i % 3 ? strlen(request) : 7, MSG_NOSIGNAL);
	}
	last = ask_text(&s, request);	/* in its turn: behind many that are ended */
	after = resident_kb(s.pid);
	print_message("# %d runs, the slowest %lld us, %ld KB more, highest descriptor %d\n",
		      shared->runs, (long long)shared->slowest_us, after - before, shared->fds);
	assert_non_null(strstr(last, " 200 "));
	assert_true(after - before < 32 * 1024);
	assert_true(shared->fds < SW_HTTP_CONNECTIONS + 24);
	assert_true(shared->slowest_us < 1000000);
	for (int i = 0; i < CROWD; i++)
		sw_closep(&fd[i]);
	stop(&s);
}

/* ---- The Unix socket ---- */

static void test_unix(void **state)
{
	_cleanup_free_ char *text = NULL;
	struct server s, other;
	struct stat st;

	(void)state;
	umask(0);
	assert_int_equal(start(unix_listen, &s), 0);
	assert_int_equal(stat(unix_path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 07777, 0660);
	text = ask_text(&s, "GET /metrics HTTP/1.1\r\n" H "\r\n");
	assert_non_null(strstr(text, " 200 "));
	/* Somebody listens: he keeps it. */
	assert_int_equal(start(unix_listen, &other), -EADDRINUSE);
	free(text);
	text = ask_text(&s, "GET / HTTP/1.1\r\n" H "\r\n");
	assert_non_null(strstr(text, " 200 "));
	stop(&s);	/* killed: the socket is left */
	assert_int_equal(stat(unix_path, &st), 0);
	umask(0077);
	assert_int_equal(start(unix_listen, &s), 0);
	assert_int_equal(stat(unix_path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	umask(0022);
	stop(&s);
	unlink(unix_path);
}

/* What is no socket is not ours to take away. */
static void test_unix_in_the_way(void **state)
{
	struct server s;
	struct stat st;
	int fd;

	(void)state;
	fd = open(unix_path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "precious", 8), 8);
	close(fd);
	assert_int_equal(start(unix_listen, &s), -EEXIST);
	assert_int_equal(stat(unix_path, &st), 0);
	assert_int_equal(st.st_size, 8);
	unlink(unix_path);
	assert_int_equal(symlink("/nonexistent", unix_path), 0);
	assert_int_equal(start(unix_listen, &s), -EEXIST);
	unlink(unix_path);
	assert_int_equal(start("unix:/nonexistent/x", &s), -ENOENT);
	assert_int_equal(start("192.0.2.1:80", &s), -EINVAL);
}

/* It is taken away at the end, but not another one's. */
static void test_gone(void **state)
{
	struct sw_http *h = NULL;
	struct stat st;
	int fds = dup(0);

	(void)state;
	close(fds);
	assert_int_equal(sw_http_new(unix_listen, body, NULL, &h), 0);
	assert_int_equal(sw_http_run(h), 0);
	sw_http_free(h);
	assert_int_equal(stat(unix_path, &st), -1);
	assert_int_equal(sw_http_new(unix_listen, body, NULL, &h), 0);
	unlink(unix_path);
	fclose(fopen(unix_path, "we"));
	sw_http_free(h);
	assert_int_equal(stat(unix_path, &st), 0);
	unlink(unix_path);
	sw_http_free(NULL);
	assert_int_equal(dup(0), fds);	/* nothing is left open */
	close(fds);
}

static int set_up(void **state)
{
	struct rlimit files = { 4096, 4096 };

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	(void)setrlimit(RLIMIT_NOFILE, &files);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || !mkdtemp(dir))
		return -1;
	snprintf(unix_listen, sizeof(unix_listen), "unix:%s/s", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_listen_parse),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_one_text_for_all),
		cmocka_unit_test(test_no_text),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_crowd),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_unix_in_the_way),
		cmocka_unit_test(test_gone),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
