/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listener for metrics, for an event loop of somebody else's: one descriptor to wait for, one
 * function to call. It never blocks, has no thread, and holds a bounded amount of memory whatever
 * clients do: so many connections, so long each, one request each, a request so large, and one
 * text for all who ask within a second.
 *
 * Answers GET and HEAD of /metrics, as OpenMetrics to whoever prefers that and as Prometheus text
 * to others, and of / with a line for people; else 404 and 405.
 */
#ifndef SW_HTTP_H
#define SW_HTTP_H

#include <stddef.h>
#include <stdint.h>

#define SW_HTTP_CONNECTIONS	32	/* at a time; others wait to be accepted */
#define SW_HTTP_LIFE_MS		3000	/* of a connection, from accept to the end */
#define SW_HTTP_REQUEST_BYTES	8192	/* of a request's head, and of all else a connection needs */
#define SW_HTTP_AGE_MS		1000	/* of a text that is given out again */

struct sw_http;

/* Makes the text: 0 and *text (malloc'd) with its length, or -errno, which clients see as 503. */
typedef int (*sw_http_body_fn)(void *data, char **text, size_t *len);

/*
 * Listens at `listen`, see sw_http_listen_parse(). 0; -EINVAL: it is none; errors as of
 * sw_http_listen(). `ret` is written on success only; free it with sw_http_free().
 */
int sw_http_new(const char *listen, sw_http_body_fn body, void *data, struct sw_http **ret);

/* Closes everything; a Unix socket is taken away where that is allowed. NULL is harmless. */
void sw_http_free(struct sw_http *h);

/* Readable whenever sw_http_run() has something to do, a timeout included. */
int sw_http_fd(const struct sw_http *h);

/* Does what can be done at once. 0 or -errno: then it is of no more use. */
int sw_http_run(struct sw_http *h);

/* Answers with metrics so far. */
uint64_t sw_http_scrapes(const struct sw_http *h);

#endif
