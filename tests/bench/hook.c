/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "hook.h"
#include "run.h"
#include "util.h"

#define EVICT_BYTES	(24U << 20)	/* more than the second-level cache of any server core */

union address {
	struct sockaddr sa;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static socklen_t make_address(enum family family, uint16_t port, union address *a)
{
	memset(a, 0, sizeof(*a));
	if (family == V4) {
		a->v4.sin_family = AF_INET;
		a->v4.sin_port = htons(port);
		inet_pton(AF_INET, "224.0.0.1", &a->v4.sin_addr);
		return sizeof(a->v4);
	}
	a->v6.sin6_family = AF_INET6;
	a->v6.sin6_port = htons(port);
	inet_pton(AF_INET6, "ff0e::1", &a->v6.sin6_addr);
	return sizeof(a->v6);
}

int hook_open(int cgroup_fd, enum family family, int empty, int links, struct hook_run *ret)
{
	struct hook_run h = { .sock = -1 };
	int r;

	h.sock = socket(family == V4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (h.sock < 0)
		return -errno;
	if (setsockopt(h.sock, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0)
		r = -errno;
	else
		r = chain_open(cgroup_fd, family, empty, links, &h.chain);
	if (r < 0) {
		close(h.sock);
		return r;
	}
	*ret = h;
	return 0;
}

void hook_close(struct hook_run *h)
{
	chain_close(&h->chain);
	sw_closep(&h->sock);
}

static void evict(void)
{
	static volatile unsigned char *buf;

	if (!buf)
		buf = calloc(1, EVICT_BYTES);
	for (size_t i = 0; buf && i < EVICT_BYTES; i += 64)
		buf[i]++;
}

/* The error of the last connect, or 0 when one succeeded: that must not be. */
static int connect_block(const struct hook_run *h, const struct hook_case *c, unsigned int n)
{
	union address a;
	socklen_t len = make_address(h->chain.family, c->port, &a);

	for (unsigned int i = 0; i < n; i++) {
		if (h->cold)
			evict();
		if (connect(h->sock, &a.sa, len) == 0)
			return 0;
	}
	return errno;
}

static int one_block(const struct hook_run *h, struct hook_case *c)
{
	struct prog_time before, after;
	int r, error;

	r = chain_set(&h->chain, c->prog);
	if (r < 0)
		return r;
	if (c->uid)
		run_as(c->uid);
	if (!h->cold)
		connect_block(h, c, h->connects / 10 + 1);
	r = prog_time(c->prog, &before);
	error = connect_block(h, c, h->connects);
	if (!r)
		r = prog_time(c->prog, &after);
	if (c->uid)
		run_as_root();
	if (c->drain)
		gate_drain(c->drain);
	if (r < 0)
		return r;
	if ((error == ENETUNREACH) == c->denied || after.runs == before.runs) {
		fprintf(stderr, "bench: %s: connect said: %s\n", c->name, strerror(error));
		return -EIO;
	}
	sample_add(&c->ns, (double)(after.ns - before.ns) / (double)(after.runs - before.runs));
	return 0;
}

int hook_measure(const struct hook_run *h, struct hook_case *c, unsigned int n)
{
	_cleanup_close_ int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	int r = stats < 0 ? -errno : 0;

	/* The order turns, so that nobody always comes after the same other. */
	for (unsigned int i = 0; i <= h->rounds && !r; i++) {
		for (unsigned int k = 0; k < n && !r; k++)
			r = one_block(h, &c[(i + k) % n]);
		for (unsigned int k = 0; k < n && !i; k++)
			c[k].ns.n = 0;	/* the first round only warms up */
	}
	return r;
}
