/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <microhttpd.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/stat.h>
#include <time.h>

#include "http.h"
#include "http_listen.h"
#include "util.h"

#define TYPE_OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TYPE_PROMETHEUS	 "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_PLAIN	 "text/plain; charset=utf-8"

/* A connection, which libmicrohttpd would keep for as long as its client sends a byte now and
 * then. */
struct client {
	int fd;			/* -1: free */
	int64_t until_ms;
};

struct sw_http {
	struct MHD_Daemon *daemon;
	int fd;			/* epoll, of the daemon's epoll and of `timer` */
	int timer;
	struct sw_http_listen at;
	dev_t dev;		/* of a Unix socket: what we made */
	ino_t ino;
	sw_http_body_fn body;
	void *data;
	struct client client[SW_HTTP_CONNECTIONS];
	struct MHD_Response *fresh[2];	/* of /metrics: Prometheus, OpenMetrics */
	int64_t fresh_until_ms;		/* also of NULLs: the text could not be made */
	uint64_t scrapes;
};

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- Answers ---- */

/* Whether the list `accept` names OpenMetrics, and does not refuse it. */
static bool wants_openmetrics(const char *accept)
{
	static const char type[] = "application/openmetrics-text";

	while (accept && *accept) {
		size_t len = strcspn(accept, ","), skip = strspn(accept, " \t");
		const char *q, *item = accept + skip;

		if (skip < len && !strncasecmp(item, type, sizeof(type) - 1)) {
			q = memmem(item, len - skip, "q=", 2);
			if (!q || q[2] != '0' || (q[3] == '.' && strspn(q + 4, "0") <
					strspn(q + 4, "0123456789")))
				return true;
		}
		accept += len;
		accept += *accept == ',';
	}
	return false;
}

/* Takes `text`. One request a connection: so its life is that of a request. NULL: no memory. */
static struct MHD_Response *make(char *text, size_t len, enum MHD_ResponseMemoryMode mode,
				 const char *type)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(len, text, mode);

	if (!r)
		return NULL;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONNECTION, "close");
	MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	return r;
}

static enum MHD_Result say(struct MHD_Connection *c, unsigned int status, const char *text)
{
	struct MHD_Response *r = make((char *)text, strlen(text), MHD_RESPMEM_PERSISTENT, TYPE_PLAIN);
	enum MHD_Result ok;

	if (!r)
		return MHD_NO;
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	ok = MHD_queue_response(c, status, r);
	MHD_destroy_response(r);
	return ok;
}

static void forget(struct sw_http *h)
{
	for (size_t i = 0; i < ARRAY_SIZE(h->fresh); i++) {
		if (h->fresh[i])
			MHD_destroy_response(h->fresh[i]);
		h->fresh[i] = NULL;
	}
}

/* Clients that still read the old text keep it. */
static void refresh(struct sw_http *h)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;

	if (now_ms() < h->fresh_until_ms)
		return;
	forget(h);
	if (h->body(h->data, &text, &len) == 0) {
		h->fresh[0] = make(text, len, MHD_RESPMEM_MUST_COPY, TYPE_PROMETHEUS);
		h->fresh[1] = make(text, len, MHD_RESPMEM_MUST_COPY, TYPE_OPENMETRICS);
	}
	h->fresh_until_ms = now_ms() + SW_HTTP_AGE_MS;
}

static enum MHD_Result answer_metrics(struct sw_http *h, struct MHD_Connection *c)
{
	const char *accept = MHD_lookup_connection_value(c, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_ACCEPT);
	struct MHD_Response *r;

	refresh(h);
	r = h->fresh[wants_openmetrics(accept)];
	if (!r)
		return say(c, MHD_HTTP_SERVICE_UNAVAILABLE, "The counters cannot be read now.\n");
	h->scrapes++;
	return MHD_queue_response(c, MHD_HTTP_OK, r);
}

static enum MHD_Result answer(void *data, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_len, void **state)
{
	(void)version;
	(void)upload;
	(void)upload_len;
	(void)state;
	if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
		return say(c, MHD_HTTP_METHOD_NOT_ALLOWED, "Only GET and HEAD are answered.\n");
	if (!strcmp(url, "/metrics"))
		return answer_metrics(data, c);
	if (!strcmp(url, "/"))
		return say(c, MHD_HTTP_OK, "smtpwall: metrics are at /metrics\n");
	return say(c, MHD_HTTP_NOT_FOUND, "There is only /metrics.\n");
}

/* ---- Connections ---- */

static void on_connection(void *data, struct MHD_Connection *c, void **socket_state,
			  enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *info;
	struct sw_http *h = data;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*socket_state)
			((struct client *)*socket_state)->fd = -1;
		return;
	}
	info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
	for (size_t i = 0; info && i < ARRAY_SIZE(h->client); i++) {
		if (h->client[i].fd >= 0)
			continue;
		h->client[i] = (struct client){ info->connect_fd, now_ms() + SW_HTTP_LIFE_MS };
		*socket_state = &h->client[i];
		return;
	}
}

/* Ends what lives too long: libmicrohttpd then sees that the client is gone, and closes. Returns
 * when the next one has to be looked at, -1: there is none. */
static int64_t end_old(struct sw_http *h)
{
	int64_t now = now_ms(), next = -1;

	for (size_t i = 0; i < ARRAY_SIZE(h->client); i++) {
		struct client *c = &h->client[i];

		if (c->fd < 0)
			continue;
		if (c->until_ms <= now) {
			shutdown(c->fd, SHUT_RDWR);
			c->until_ms = now + SW_HTTP_LIFE_MS;
		}
		if (next < 0 || c->until_ms < next)
			next = c->until_ms;
	}
	return next;
}

/* Wakes the loop when libmicrohttpd wants to, or when the next connection is too old. */
static int set_timer(struct sw_http *h, int64_t next)
{
	struct itimerspec t = {};
	unsigned MHD_LONG_LONG wait;
	int64_t ms = next < 0 ? -1 : next - now_ms();

	if (MHD_get_timeout(h->daemon, &wait) == MHD_YES && (ms < 0 || wait < (uint64_t)ms))
		ms = (int64_t)wait;
	else if (next >= 0 && ms < 0)
		ms = 0;
	if (ms >= 0) {
		t.it_value.tv_sec = ms / 1000;
		t.it_value.tv_nsec = ms % 1000 * 1000000 + 1;	/* all zero would be never */
	}
	return timerfd_settime(h->timer, 0, &t, NULL) < 0 ? -errno : 0;
}

static size_t count_clients(const struct sw_http *h)
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(h->client); i++)
		n += h->client[i].fd >= 0;
	return n;
}

int sw_http_run(struct sw_http *h)
{
	uint64_t expired;
	size_t before;

	(void)!read(h->timer, &expired, sizeof(expired));
	(void)end_old(h);
	/* With all connections in use libmicrohttpd does not wait for new ones, and begins to again
	 * only in the run after the one in which some ended. */
	do {
		before = count_clients(h);
		if (MHD_run(h->daemon) != MHD_YES)
			return -EIO;
	} while (count_clients(h) < before);
	return set_timer(h, end_old(h));
}

int sw_http_fd(const struct sw_http *h)
{
	return h->fd;
}

uint64_t sw_http_scrapes(const struct sw_http *h)
{
	return h->scrapes;
}

/* ---- Start and end ---- */

static int start_daemon(struct sw_http *h)
{
	_cleanup_close_ int fd = sw_http_listen(&h->at);
	struct stat st;

	if (fd < 0)
		return fd;
	if (h->at.addr.ss_family == AF_UNIX &&
	    stat(((const struct sockaddr_un *)&h->at.addr)->sun_path, &st) == 0) {
		h->dev = st.st_dev;
		h->ino = st.st_ino;
	}
	h->daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, answer, h,
				     MHD_OPTION_LISTEN_SOCKET, fd,
				     MHD_OPTION_CONNECTION_LIMIT, (unsigned int)SW_HTTP_CONNECTIONS,
				     MHD_OPTION_CONNECTION_MEMORY_LIMIT,
				     (size_t)SW_HTTP_REQUEST_BYTES,
				     MHD_OPTION_CONNECTION_TIMEOUT,
				     (unsigned int)SW_HTTP_LIFE_MS / 1000,
				     MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
				     MHD_OPTION_END);
	if (!h->daemon)
		return -ENOMEM;
	(void)TAKE_FD(fd);
	return 0;
}

static int watch(struct sw_http *h, int fd)
{
	struct epoll_event e = { .events = EPOLLIN };

	return epoll_ctl(h->fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

static int start(struct sw_http *h)
{
	const union MHD_DaemonInfo *info;
	int r;

	h->fd = epoll_create1(EPOLL_CLOEXEC);
	h->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (h->fd < 0 || h->timer < 0)
		return -errno;
	r = start_daemon(h);
	if (r < 0)
		return r;
	info = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || info->epoll_fd < 0)
		return -ENOTSUP;
	r = watch(h, info->epoll_fd);
	if (!r)
		r = watch(h, h->timer);
	return r;
}

int sw_http_new(const char *listen, sw_http_body_fn body, void *data, struct sw_http **ret)
{
	struct sw_http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->fd = h->timer = -1;
	h->body = body;
	h->data = data;
	for (size_t i = 0; i < ARRAY_SIZE(h->client); i++)
		h->client[i].fd = -1;
	r = sw_http_listen_parse(listen, &h->at) ? -EINVAL : start(h);
	if (r < 0)
		sw_http_free(h);
	else
		*ret = h;
	return r;
}

/* Only what we made: another one may listen there by now. */
static void remove_socket(const struct sw_http *h)
{
	const char *path = ((const struct sockaddr_un *)&h->at.addr)->sun_path;
	struct stat st;

	if (h->ino && lstat(path, &st) == 0 && st.st_dev == h->dev && st.st_ino == h->ino)
		unlink(path);
}

void sw_http_free(struct sw_http *h)
{
	if (!h)
		return;
	if (h->daemon) {
		remove_socket(h);
		MHD_stop_daemon(h->daemon);
	}
	forget(h);
	sw_closep(&h->timer);
	sw_closep(&h->fd);
	free(h);
}
