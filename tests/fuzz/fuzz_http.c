/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client of the metrics listener that sends arbitrary bytes; the first byte says which listener
 * (bit 0: one whose counters cannot be read) and whether the rest comes in two pieces (bit 1).
 * Whatever is asked, there is one answer at most, with a text that is ours to give.
 * clang -fsanitize=fuzzer,address,undefined; corpus/http holds the seeds.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "http.h"
#include "util.h"

#define METRICS	"smtpwall_up 1\n"
#define ANSWER	65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sw_http *listener[2];
static int place[2];

static int body(void *data, char **text, size_t *len)
{
	if (data)
		return -EIO;
	*text = strdup(METRICS);
	*len = strlen(METRICS);
	return *text ? 0 : -ENOMEM;
}

/* Nothing is left behind, however this ends: the sockets lose their names, not what they are. */
static void start(void)
{
	static char broken;

	for (int i = 0; i < 2; i++) {
		char name[64];

		snprintf(name, sizeof(name), "unix:/tmp/sw-fuzz-http-%d-%d", (int)getpid(), i);
		assert(sw_http_new(name, body, i ? &broken : NULL, &listener[i]) == 0);
		place[i] = open(name + strlen("unix:"), O_PATH | O_CLOEXEC);
		assert(place[i] >= 0 && unlink(name + strlen("unix:")) == 0);
	}
}

static int call(int which)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "/proc/self/fd/%d", place[which]);
	assert(fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

/* A listener that has had enough may hang up. */
static void tell(int fd, const uint8_t *data, size_t size)
{
	if (size)
		assert(send(fd, data, size, MSG_NOSIGNAL) > 0 || errno == EPIPE || errno == EAGAIN);
}

/* What comes until the other side closes. */
static size_t hear(int which, int fd, char answer[ANSWER])
{
	size_t len = 0;
	ssize_t n;

	for (int turns = 0; turns < 64; turns++) {
		assert(sw_http_run(listener[which]) == 0);
		while ((n = recv(fd, answer + len, ANSWER - 1 - len, 0)) > 0)
			len += (size_t)n;
		if (n == 0 || errno == ECONNRESET)
			break;
		assert(errno == EAGAIN);
	}
	answer[len] = '\0';
	assert(strlen(answer) == len);
	return len;
}

/* Texts of ours; other errors are the library's, which says them in HTML. */
static void check_body(int which, int status, const char *text)
{
	switch (status) {
	case 200:
		assert(!strcmp(text, "smtpwall: metrics are at /metrics\n") ||
		       (!which && !strcmp(text, METRICS)) || !*text);
		break;
	case 404:
		assert(!strcmp(text, "There is only /metrics.\n") || !*text);
		break;
	case 405:
		assert(!strcmp(text, "Only GET and HEAD are answered.\n"));
		break;
	case 503:
		assert(which && (!strcmp(text, "The counters cannot be read now.\n") || !*text));
		break;
	default:
		assert(status >= 400 && status < 600);
	}
}

static bool asks_for(const char *asked, size_t len, const char *word)
{
	for (size_t i = 0; i + strlen(word) <= len; i++)
		if (!strncasecmp(asked + i, word, strlen(word)))
			return true;
	return false;
}

static void check_answer(int which, const char *answer, const char *asked, size_t len)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const char *text;
	int status;

	if (!strncmp(answer, go_on, strlen(go_on)))
		answer += strlen(go_on);
	if (!*answer)
		return;
	text = strstr(answer, "\r\n\r\n");
	assert(text && sscanf(answer, "HTTP/1.%*1[01] %3d ", &status) == 1);
	check_body(which, status, text + 4);
	if (status != 200 && status != 404 && status != 405 && status != 503)
		return;
	assert(strcasestr(answer, "\r\nX-Content-Type-Options: nosniff\r\n"));
	assert(strcasestr(answer, "\r\nConnection: close\r\n"));
	if (strcasestr(answer, "openmetrics"))
		assert(asks_for(asked, len, "application/openmetrics-text"));
	assert(status == 405 || asks_for(asked, len, "GET") || asks_for(asked, len, "HEAD"));
	if (status == 405)
		assert(strncmp(asked, "GET ", 4) != 0 && strncmp(asked, "HEAD ", 5) != 0 &&
		       strcasestr(answer, "\r\nAllow: GET, HEAD\r\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char answer[ANSWER];
	_cleanup_free_ char *asked = NULL;
	_cleanup_close_ int fd = -1;
	size_t first;
	int which;

	if (!size--)
		return 0;
	if (!listener[0])
		start();
	which = *data & 1;
	first = *data++ & 2 ? size / 2 : size;
	asked = malloc(size + 1);
	assert(asked);
	memcpy(asked, data, size);
	asked[size] = '\0';
	fd = call(which);
	tell(fd, data, first);
	assert(sw_http_run(listener[which]) == 0);
	tell(fd, data + first, size - first);
	shutdown(fd, SHUT_WR);
	if (hear(which, fd, answer))
		check_answer(which, answer, asked, size);
	return 0;
}
