/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections a second, how long a connect takes at worst, and what goes through one connection:
 * with smtpwall, and through packet filters that do the same job. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "bench.h"
#include "gate.h"
#include "lab.h"
#include "report.h"
#include "util.h"

#define PORT		8080
#define EACH		50		/* connections in a block */
#define CHUNK		65536
#define CHUNKS		200		/* in a block */
#define LATENCIES	(BENCH_ROUNDS * EACH)

struct way {
	const char *name;
	int client;			/* of the lab; < 0: not here */
	bool hooks;
	int out, in;			/* of one connection that stays */
	struct sample rate;		/* connections a second */
	struct sample bulk;		/* bytes a second */
	uint32_t *ns;			/* of every connect */
	size_t n_ns;
};

struct rate {
	const struct bench *b;
	struct lab lab;
	struct gate gate;
	struct chain chain[_FAMILY_MAX];
	int listener;
};

static int set_hooks(struct rate *c, bool on)
{
	int r = 0;

	for (enum family f = V4; f < _FAMILY_MAX && !r; f++) {
		if (!on)
			chain_close(&c->chain[f]);
		else if (!c->chain[f].n)
			r = chain_open(c->b->cgroup_fd, f, c->gate.prog[f], 1, &c->chain[f]);
	}
	return r;
}

/* A connected pair; *ns is what connect took. 0 or -errno. */
static int join(const struct rate *c, const struct way *w, int *out, int *in, uint32_t *ns)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(PORT),
		.sin_addr.s_addr = c->lab.client[w->client].server,
	};
	const struct linger abort_it = { .l_onoff = 1 };
	uint64_t t0;

	*out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*out < 0 || setsockopt(*out, SOL_SOCKET, SO_LINGER, &abort_it, sizeof(abort_it)) < 0)
		return -errno;
	t0 = now_ns();
	if (connect(*out, (const void *)&to, sizeof(to)) < 0)
		return -errno;
	*ns = (uint32_t)(now_ns() - t0);
	*in = accept(c->listener, NULL, NULL);
	return *in < 0 ? -errno : 0;
}

static int connections(struct rate *c, struct way *w)
{
	uint64_t t0 = now_ns();
	int r = 0;

	for (int i = 0; i < EACH && !r; i++) {
		int out = -1, in = -1;
		uint32_t ns = 0;

		r = join(c, w, &out, &in, &ns);
		if (w->n_ns < LATENCIES)
			w->ns[w->n_ns++] = ns;
		sw_closep(&out);
		sw_closep(&in);
	}
	sample_add(&w->rate, EACH * 1e9 / (double)(now_ns() - t0));
	return r;
}

static int bulk(struct way *w)
{
	static char buf[CHUNK];
	uint64_t t0 = now_ns();

	for (int i = 0; i < CHUNKS; i++)
		if (send(w->out, buf, CHUNK, 0) != CHUNK ||
		    recv(w->in, buf, CHUNK, MSG_WAITALL) != CHUNK)
			return -EIO;
	sample_add(&w->bulk, (double)CHUNKS * CHUNK * 1e9 / (double)(now_ns() - t0));
	return 0;
}

static int one(struct rate *c, struct way *w)
{
	uint32_t ns;
	int r = set_hooks(c, w->hooks);

	if (!r)
		r = lab_enter(&c->lab, w->client);
	if (!r)
		r = w->out >= 0 ? 0 : join(c, w, &w->out, &w->in, &ns);
	if (!r)
		r = connections(c, w);
	if (!r)
		r = bulk(w);
	return lab_home(&c->lab) < 0 ? -EIO : r;
}

/* In turns, each round in another order; the first round warms up. */
static int measure(struct rate *c, struct way *w, size_t n)
{
	unsigned int rounds = c->b->quick ? 30 : 200;
	int r = 0;

	for (size_t k = 0; k < n && !r; k++) {
		w[k].ns = calloc(LATENCIES, sizeof(*w[k].ns));
		r = w[k].ns ? 0 : -ENOMEM;
	}
	for (unsigned int i = 0; i <= rounds && !r; i++) {
		for (size_t k = 0; k < n && !r; k++)
			if (w[(i + k) % n].client >= 0)
				r = one(c, &w[(i + k) % n]);
		for (size_t k = 0; k < n && !i; k++)
			w[k].rate.n = w[k].bulk.n = w[k].n_ns = 0;
	}
	set_hooks(c, false);
	return r;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double percentile(const struct way *w, unsigned int per_mille)
{
	size_t at = (w->n_ns - 1) * per_mille / 1000;

	return w->n_ns ? (double)w->ns[at] / 1e3 : 0;
}

static void latency_row(struct way *w)
{
	char what[64];

	snprintf(what, sizeof(what), "connect: %s", w->name);
	qsort(w->ns, w->n_ns, sizeof(*w->ns), compare);
	row(what, NULL, R_INFO, "%.1f / %.1f / %.1f / %.1f us", percentile(w, 500),
	    percentile(w, 900), percentile(w, 990), percentile(w, 999));
}

/* Of rates: more is better, unlike in the sections before. */
static void ratio_row(const char *of, const struct way *w, const struct sample *a,
		      const struct sample *base, double unit, const char *name)
{
	struct spread x = sample_ratio(a, base);
	char what[64];

	snprintf(what, sizeof(what), "%s: %s", of, w->name);
	if (w->client < 0) {
		row(what, NULL, R_ABSENT, "-");
		return;
	}
	figure(x, "x");
	row(what, NULL, R_INFO, "%.3fx (%.3f-%.3f), %.1f %s", x.median, x.low, x.high,
	    sample_spread(a).median / unit, name);
}

static void print(struct way *w, size_t n)
{
	section("14. Connections to another port, connect in percentiles, one connection in bulk");
	for (size_t i = 0; i < n; i++)
		ratio_row("connections", &w[i], &w[i].rate, &w[0].rate, 1e3, "k/s");
	row("connect", NULL, R_INFO, "50 %% / 90 %% / 99 %% / 99.9 %%");
	for (size_t i = 0; i < n; i++)
		if (w[i].client >= 0)
			latency_row(&w[i]);
	for (size_t i = 0; i < n; i++)
		ratio_row("bulk", &w[i], &w[i].bulk, &w[0].bulk, 1e6, "MB/s");
}

static int owners(struct rate *c, const char *command, uint32_t accounts)
{
	return lab_client(&c->lab, &(struct lab_ruleset){ .kind = LAB_OWNERS, .command = command,
							  .accounts = accounts,
							  .reject = "--reject-with tcp-reset" });
}

static int run(struct rate *c)
{
	int client = lab_client(&c->lab, &(struct lab_ruleset){ .kind = LAB_NONE });
	struct way w[] = {
		{ .name = "no hooks", .client = client },
		{ .name = "no hooks again (A/A)", .client = client },
		{ .name = "smtpwall", .client = client, .hooks = true },
		{ .name = "iptables-legacy, 50 accounts",
		  .client = owners(c, "iptables-legacy-restore", 50) },
		{ .name = "iptables-nft, 50 accounts",
		  .client = owners(c, "iptables-nft-restore", 50) },
		{ .name = "nft, a set of 1000",
		  .client = lab_client(&c->lab, &(struct lab_ruleset){
				.kind = LAB_SET, .command = "nft", .accounts = 1000,
				.reject = "with tcp reset" }) },
	};
	int r;

	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		w[i].out = w[i].in = -1;
	r = client < 0 ? client : measure(c, w, ARRAY_SIZE(w));
	if (!r)
		print(w, ARRAY_SIZE(w));
	for (size_t i = 0; i < ARRAY_SIZE(w); i++) {
		sw_closep(&w[i].out);
		sw_closep(&w[i].in);
		free(w[i].ns);
	}
	return r;
}

int bench_rate(const struct bench *b)
{
	struct rate c = { .b = b, .listener = -1, .lab = { .home = -1, .listener = -1 } };
	int r = lab_open(&c.lab);

	if (!r)
		r = gate_open(&(struct gate_opts){ .n_exempt = 10 }, &c.gate);
	if (!r) {
		c.listener = lab_listen(&c.lab, PORT);
		r = c.listener < 0 ? c.listener : run(&c);
	}
	set_hooks(&c, false);
	sw_closep(&c.listener);
	gate_close(&c.gate);
	lab_close(&c.lab);
	return r;
}
