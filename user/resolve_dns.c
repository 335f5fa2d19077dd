/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "resolve_int.h"
#include "util.h"

/* Everything the resolver's threads may touch, in a block of its own: see give_up(). */
struct request {
	struct gaicb cb;
	struct addrinfo hints;
	char name[];
};

static struct request *make_request(const struct sw_lookup *l)
{
	size_t size = strlen(l->name) + 1;
	struct request *q = calloc(1, sizeof(*q) + size);

	if (!q)
		return NULL;
	memcpy(q->name, l->name, size);
	q->hints.ai_family = l->family;
	q->hints.ai_socktype = SOCK_STREAM;
	q->cb.ar_name = q->name;
	q->cb.ar_request = &q->hints;
	return q;
}

static struct request *request_of(struct gaicb *cb)
{
	return (struct request *)((char *)cb - offsetof(struct request, cb));
}

static int add_result(struct sw_lookup *l, const struct addrinfo *ai)
{
	const struct sockaddr_in *a4 = (const void *)ai->ai_addr;
	const struct sockaddr_in6 *a6 = (const void *)ai->ai_addr;

	if (ai->ai_family != l->family)
		return 0;
	return sw_resolve_add(&l->addrs, l->family, l->family == AF_INET ?
			      (const void *)&a4->sin_addr : &a6->sin6_addr);
}

/* Takes the answer over and frees the request. A request that never started has no result. */
static void collect(struct sw_lookup *l, struct gaicb *cb, int error)
{
	l->error = error ? error : cb->ar_result ? 0 : EAI_AGAIN;
	for (const struct addrinfo *ai = cb->ar_result; !l->error && ai; ai = ai->ai_next)
		if (add_result(l, ai) < 0)
			l->error = EAI_MEMORY;
	if (cb->ar_result)
		freeaddrinfo(cb->ar_result);
	free(request_of(cb));
}

/*
 * Time ran out. A request that a thread of the resolver works on cannot be cancelled: its memory
 * is left to that thread until the process ends. Waiting for it would outlive the deadline, by
 * minutes with some resolv.conf.
 */
static void give_up(struct sw_lookup *l, struct gaicb *cb)
{
	int r = gai_cancel(cb);

	if (r == EAI_ALLDONE) {
		collect(l, cb, gai_error(cb));
		return;
	}
	l->error = EAI_INPROGRESS;
	if (r == EAI_CANCELED)
		free(request_of(cb));
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Collects what is done; how many are not. */
static size_t collect_done(struct sw_lookup *l, struct gaicb **list, size_t n)
{
	size_t pending = 0;

	for (size_t i = 0; i < n; i++) {
		int error = list[i] ? gai_error(list[i]) : 0;

		if (error == EAI_INPROGRESS) {
			pending++;
		} else if (list[i]) {
			collect(&l[i], list[i], error);
			list[i] = NULL;
		}
	}
	return pending;
}

void sw_resolve_dns(void *arg, struct sw_lookup *l, size_t n, unsigned int timeout_ms)
{
	_cleanup_free_ struct gaicb **list = calloc(n, sizeof(struct gaicb *));
	int64_t until = now_ms() + timeout_ms, left;

	(void)arg;
	for (size_t i = 0; i < n; i++) {
		struct request *q = list ? make_request(&l[i]) : NULL;

		if (q)
			list[i] = &q->cb;
		else
			l[i].error = EAI_MEMORY;
	}
	if (!list)
		return;
	/* When it cannot start them all, those it did not start end up in collect(). */
	(void)getaddrinfo_a(GAI_NOWAIT, list, (int)n, NULL);
	while (collect_done(l, list, n) > 0 && (left = until - now_ms()) > 0) {
		struct timespec ts = { .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };

		(void)gai_suspend((const struct gaicb *const *)list, (int)n, &ts);
	}
	for (size_t i = 0; i < n; i++)
		if (list[i])
			give_up(&l[i], list[i]);
}
