/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "http_listen.h"
#include "names.h"
#include "util.h"

#define UNIX_PREFIX	"unix:"
#define UNIX_MODE	0660
#define BACKLOG		32

static const char *parse_unix(const char *path, struct sw_http_listen *ret)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len = strlen(path);

	if (*path != '/')
		return "is no absolute path behind unix:";
	if (len >= sizeof(un.sun_path))
		return "is longer than the path of a socket may be (107 bytes)";
	memcpy(un.sun_path, path, len);
	*ret = (struct sw_http_listen){ .len = sizeof(un) };
	memcpy(&ret->addr, &un, sizeof(un));
	return NULL;
}

/* Text in front of the port, without the brackets of IPv6. */
static bool split(const char *text, char host[INET6_ADDRSTRLEN], uint32_t *port)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	bool v6 = len > 2 && text[0] == '[' && text[len - 1] == ']';

	if (v6) {
		text++;
		len -= 2;
	}
	if (!len || len >= INET6_ADDRSTRLEN || (!v6 && memchr(text, ':', len)))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	return sw_id_parse(colon + 1, port) == 0;
}

const char *sw_http_listen_parse(const char *text, struct sw_http_listen *ret)
{
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	char host[INET6_ADDRSTRLEN];
	uint32_t port;

	if (!strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)))
		return parse_unix(text + strlen(UNIX_PREFIX), ret);
	if (!split(text, host, &port))
		return "is neither unix:/PATH nor an address and port such as 127.0.0.1:9825";
	if (!port || port > UINT16_MAX)
		return "has no port from 1 to 65535";
	v4.sin_port = v6.sin6_port = htons((uint16_t)port);
	*ret = (struct sw_http_listen){};
	if (*text != '[' && inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
		if (ntohl(v4.sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
			return "is no loopback address; metrics name accounts and are not for the network";
		ret->len = sizeof(v4);
		memcpy(&ret->addr, &v4, sizeof(v4));
		return NULL;
	}
	if (*text != '[' || inet_pton(AF_INET6, host, &v6.sin6_addr) != 1)
		return "is neither unix:/PATH nor an address and port such as 127.0.0.1:9825";
	if (!IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr))
		return "is no loopback address; metrics name accounts and are not for the network";
	ret->len = sizeof(v6);
	memcpy(&ret->addr, &v6, sizeof(v6));
	return NULL;
}

/* Whether nobody listens behind the socket at `un`: 0; -EADDRINUSE: somebody does; -EEXIST: it is
 * no socket; -ENOENT: it is not there. */
static int is_stale(const struct sockaddr_un *un)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(un->sun_path, &st) < 0)
		return -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 || errno == EAGAIN)
		return -EADDRINUSE;
	return errno == ECONNREFUSED ? 0 : -errno;
}

static int bind_unix(int fd, const struct sw_http_listen *l)
{
	struct sockaddr_un un;
	mode_t mask;
	int r;

	memcpy(&un, &l->addr, sizeof(un));
	r = is_stale(&un);
	if (!r && unlink(un.sun_path) < 0 && errno != ENOENT)
		r = -errno;
	if (r < 0 && r != -ENOENT)
		return r;
	/* The mode is right from the start: a chmod afterwards could meet another file. */
	mask = umask(0777 & ~UNIX_MODE);
	r = bind(fd, (const struct sockaddr *)&un, sizeof(un)) < 0 ? -errno : 0;
	umask(mask);
	return r;
}

static int bind_inet(int fd, const struct sw_http_listen *l)
{
	int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, (const struct sockaddr *)&l->addr, l->len) < 0)
		return -errno;
	return 0;
}

int sw_http_listen(const struct sw_http_listen *l)
{
	_cleanup_close_ int fd = -1;
	int r;

	fd = socket(l->addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	r = l->addr.ss_family == AF_UNIX ? bind_unix(fd, l) : bind_inet(fd, l);
	if (r < 0)
		return r;
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	return TAKE_FD(fd);
}
