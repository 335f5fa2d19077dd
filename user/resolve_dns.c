/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Threads that call getaddrinfo(3). getaddrinfo_a(3) would be the same with less code, but
 * gai_suspend() leaves entries of its stack behind when a request ends at the wrong moment, and
 * the C library then writes there (glibc bug 20874; seen to crash with 2.36).
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "resolve_int.h"
#include "util.h"

#define MAX_THREADS 32

struct question {
	char *name;
	int family;
	bool done;
	int error;
	struct sw_addrs addrs;
};

/* Shared by the caller and its threads; whoever is the last to leave frees it. A thread cannot be
 * stopped while it waits for a server, and that may take minutes after the caller has gone. */
struct pool {
	pthread_mutex_t lock;
	pthread_cond_t all_done;
	unsigned int users;
	size_t n, next, n_done;
	bool closed;		/* the caller has gone: no further question is begun */
	struct question q[];
};

static void free_pool(struct pool *p)
{
	for (size_t i = 0; i < p->n; i++) {
		free(p->q[i].name);
		free(p->q[i].addrs.item);
	}
	pthread_cond_destroy(&p->all_done);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* With the lock held, which is given back. */
static void leave(struct pool *p)
{
	bool last = --p->users == 0;

	pthread_mutex_unlock(&p->lock);
	if (last)
		free_pool(p);
}

static struct pool *make_pool(const struct sw_lookup *l, size_t n)
{
	struct pool *p = calloc(1, sizeof(*p) + n * sizeof(p->q[0]));
	pthread_condattr_t attr;
	bool whole = true;

	if (!p)
		return NULL;
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&p->all_done, &attr);
	pthread_condattr_destroy(&attr);
	p->users = 1;
	p->n = n;
	for (size_t i = 0; i < n; i++) {
		p->q[i].family = l[i].family;
		p->q[i].name = strdup(l[i].name);
		whole &= p->q[i].name != NULL;
	}
	if (whole)
		return p;
	free_pool(p);
	return NULL;
}

static int add_result(struct sw_addrs *addrs, int family, const struct addrinfo *ai)
{
	const struct sockaddr_in *a4 = (const void *)ai->ai_addr;
	const struct sockaddr_in6 *a6 = (const void *)ai->ai_addr;

	if (ai->ai_family != family)
		return 0;
	return sw_resolve_add(addrs, family, family == AF_INET ? (const void *)&a4->sin_addr :
								 &a6->sin6_addr);
}

static int ask(const char *name, int family, struct sw_addrs *addrs)
{
	const struct addrinfo hints = { .ai_family = family, .ai_socktype = SOCK_STREAM };
	struct addrinfo *result = NULL;
	int error = getaddrinfo(name, NULL, &hints, &result);

	if (error)
		return error;
	for (const struct addrinfo *ai = result; ai && !error; ai = ai->ai_next)
		if (add_result(addrs, family, ai) < 0)
			error = EAI_MEMORY;
	freeaddrinfo(result);
	return error;
}

static void *thread_main(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	while (!p->closed && p->next < p->n) {
		struct question *q = &p->q[p->next++];
		struct sw_addrs addrs = {};
		int error;

		pthread_mutex_unlock(&p->lock);
		error = ask(q->name, q->family, &addrs);
		pthread_mutex_lock(&p->lock);
		q->error = error;
		q->addrs = addrs;
		q->done = true;
		if (++p->n_done == p->n)
			pthread_cond_signal(&p->all_done);
	}
	leave(p);
	return NULL;
}

/* With the lock held. Fewer threads than wanted only take longer. Signals are the caller's. */
static void start_threads(struct pool *p)
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (size_t i = 0; i < p->n && i < MAX_THREADS; i++) {
		if (pthread_create(&thread, &attr, thread_main, p) != 0)
			break;
		p->users++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
}

static void wait_until(struct pool *p, const struct timespec *until)
{
	int r = 0;

	while (p->users > 1 && p->n_done < p->n && r == 0)
		r = pthread_cond_timedwait(&p->all_done, &p->lock, until);
}

static struct timespec later(unsigned int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += ms / 1000;
	ts.tv_nsec += ms % 1000 * 1000000L;
	if (ts.tv_nsec >= 1000000000L) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000L;
	}
	return ts;
}

void sw_resolve_dns(void *arg, struct sw_lookup *l, size_t n, unsigned int timeout_ms)
{
	const struct timespec until = later(timeout_ms);
	struct pool *p = make_pool(l, n);
	bool started;

	(void)arg;
	for (size_t i = 0; i < n; i++)
		l[i].error = EAI_MEMORY;
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	start_threads(p);
	started = p->users > 1;
	wait_until(p, &until);
	p->closed = true;
	for (size_t i = 0; i < n; i++) {
		l[i].error = p->q[i].done ? p->q[i].error : started ? EAI_INPROGRESS : EAI_AGAIN;
		if (p->q[i].done) {
			l[i].addrs = p->q[i].addrs;
			p->q[i].addrs = (struct sw_addrs){};
		}
	}
	leave(p);
}
