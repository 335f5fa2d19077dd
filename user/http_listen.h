/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where the listener for metrics listens: a Unix socket, or a port of this machine alone. */
#ifndef SW_HTTP_LISTEN_H
#define SW_HTTP_LISTEN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct sw_http_listen {
	struct sockaddr_storage addr;
	socklen_t len;
};

/*
 * `text`: "unix:/PATH", or a loopback address and port such as "127.0.0.1:9825" or "[::1]:9825".
 * NULL and `ret`, or what is wrong with it, to be put behind "listen = 'TEXT' ".
 */
const char *sw_http_listen_parse(const char *text, struct sw_http_listen *ret);

/*
 * Binds and listens. A Unix socket has mode 0660; one that is there already is replaced only when
 * nobody listens on it. The socket (not blocking, CLOEXEC); -EADDRINUSE; -EEXIST: the path is no
 * socket; other -errno.
 */
int sw_http_listen(const struct sw_http_listen *l);

#endif
