/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exact time of the hooks: other ports, allowed and denied SMTP, events. */
#include <errno.h>
#include <stdio.h>

#include "bench.h"
#include "hook.h"
#include "util.h"

#define N_USUAL	4	/* root and the users of a mail server */
#define N_LISTS	5

/* Exempt accounts; the first list is what others are compared with. */
static const uint32_t lists[N_LISTS] = { 10, 1, 1000, 100000, 1000000 };

/* Settings of the loaded programs differ, so each kind of measurement has its own. */
struct gates {
	struct gate plain;	/* as apply makes it */
	struct gate bare;	/* without origins */
	struct gate list[N_LISTS];	/* without origins, so many exempt accounts */
	int empty[_FAMILY_MAX], empty2[_FAMILY_MAX];
};

static const char *ip(enum family f)
{
	return f == V4 ? "IPv4" : "IPv6";
}

static int open_gates(struct gates *g)
{
	int r = gate_open(&(struct gate_opts){ .n_exempt = N_USUAL }, &g->plain);

	if (!r)
		r = gate_open(&(struct gate_opts){ .n_exempt = N_USUAL, .no_origins = true },
			      &g->bare);
	for (int i = 0; i < N_LISTS && !r; i++)
		r = gate_open(&(struct gate_opts){ .n_exempt = lists[i], .no_origins = true },
			      &g->list[i]);
	for (enum family f = V4; f < _FAMILY_MAX && !r; f++) {
		g->empty[f] = gate_empty_prog(f);
		g->empty2[f] = gate_empty_prog(f);
		if (g->empty[f] < 0 || g->empty2[f] < 0)
			r = -EIO;
	}
	return r;
}

static void close_gates(struct gates *g)
{
	gate_close(&g->plain);
	gate_close(&g->bare);
	for (int i = 0; i < N_LISTS; i++)
		gate_close(&g->list[i]);
	for (enum family f = V4; f < _FAMILY_MAX; f++) {
		sw_closep(&g->empty[f]);
		sw_closep(&g->empty2[f]);
	}
}

static void ratio_row(const char *what, const char *goal, double limit, const struct sample *a,
		      const struct sample *b)
{
	struct spread x = sample_ratio(a, b), ns = sample_diff(a, b);

	figure(x, "x");
	row(what, goal, limit > 0 ? met(x.median <= limit) : R_INFO, "%.2fx (%.2f-%.2f), %+.1f ns",
	    x.median, x.low, x.high, ns.median);
}

/* Nothing but the port is looked at. A limit of 0 is no goal. */
static int other_port(const struct gates *g, struct hook_run *h, enum family f, double limit)
{
	struct hook_case c[] = {
		{ .name = "empty", .prog = g->empty[f], .port = 80 },
		{ .name = "copy of empty", .prog = g->empty2[f], .port = 80 },
		{ .name = "other port", .prog = g->plain.prog[f], .port = 80 },
	};
	int r = hook_measure(h, c, ARRAY_SIZE(c));
	char what[64], goal[16];

	if (r < 0)
		return r;
	snprintf(goal, sizeof(goal), "<= %.2fx", limit);
	snprintf(what, sizeof(what), "%s: an empty program%s", ip(f), h->cold ? ", cold" : "");
	row(what, NULL, R_INFO, "%.1f ns", sample_spread(&c[0].ns).median);
	snprintf(what, sizeof(what), "%s: a copy of it (A/A)%s", ip(f), h->cold ? ", cold" : "");
	ratio_row(what, NULL, 0, &c[1].ns, &c[0].ns);
	snprintf(what, sizeof(what), "%s: another port%s", ip(f), h->cold ? ", cold" : "");
	ratio_row(what, limit > 0 ? goal : NULL, limit, &c[2].ns, &c[0].ns);
	return 0;
}

static int allowed(const struct gates *g, struct hook_run *h, enum family f)
{
	struct hook_case c[] = {
		{ .name = "empty", .prog = g->empty[f], .port = 25 },
		{ .name = "allowed", .prog = g->bare.prog[f], .port = 25 },
		{ .name = "allowed, origins", .prog = g->plain.prog[f], .port = 25 },
	};
	int r = hook_measure(h, c, ARRAY_SIZE(c));
	struct spread x, ns;
	char what[64];

	if (r < 0)
		return r;
	x = sample_ratio(&c[1].ns, &c[0].ns);
	ns = sample_diff(&c[1].ns, &c[0].ns);
	snprintf(what, sizeof(what), "%s: allowed, counted by account", ip(f));
	row(what, h->chain.n > 1 ? "<= 2.4x or +35 ns" : NULL,
	    h->chain.n > 1 ? met(x.median <= 2.4 || ns.median <= 35) : R_INFO,
	    "%.2fx (%.2f-%.2f), %+.1f ns", x.median, x.low, x.high, ns.median);
	snprintf(what, sizeof(what), "%s: and by directory", ip(f));
	ratio_row(what, NULL, 0, &c[2].ns, &c[0].ns);
	ns = sample_diff(&c[2].ns, &c[1].ns);
	snprintf(what, sizeof(what), "%s: so counting by directory costs", ip(f));
	row(what, NULL, R_INFO, "%+.1f ns (%.1f-%.1f)", ns.median, ns.low, ns.high);
	return 0;
}

/* The last account of each list: whatever comes first may have a shorter way. A million are more
 * than a configuration may name, so their table is as large as it has to be. */
static int many_accounts(const struct gates *g, struct hook_run *h)
{
	struct hook_case c[N_LISTS];
	char what[64];
	int r;

	for (int i = 0; i < N_LISTS; i++)
		c[i] = (struct hook_case){ .name = "list", .prog = g->list[i].prog[V4], .port = 25,
					   .uid = lists[i] > 1 ? BENCH_EXEMPT + lists[i] - 1 : 0 };
	r = hook_measure(h, c, N_LISTS);
	for (int i = 1; i < N_LISTS && !r; i++) {
		snprintf(what, sizeof(what), "%u exempt accounts against 10", lists[i]);
		ratio_row(what, lists[i] == 100000 ? "<= 1.10x" : NULL,
			  lists[i] == 100000 ? 1.10 : 0, &c[i].ns, &c[0].ns);
	}
	return r;
}

/*
 * Without events cannot be had for a denied connect, since the throttle is what keeps them back.
 * A count-only port is the same way without it: identity looked up in vain, everything counted.
 * It sets no error either, so the ratio is a little on the strict side.
 */
static int suppressed(const struct gates *g, struct hook_run *h, enum family f)
{
	struct hook_case c[] = {
		{ .name = "empty", .prog = g->empty[f], .port = 25, .uid = BENCH_UID },
		{ .name = "counted", .prog = g->plain.prog[f], .port = 587, .uid = BENCH_UID },
		{ .name = "suppressed", .prog = g->plain.prog[f], .port = 25, .uid = BENCH_UID,
		  .denied = true },
	};
	char what[64];
	int r;

	gate_throttle(&g->plain, 1, 0);
	r = hook_measure(h, c, ARRAY_SIZE(c));
	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "%s: no exemption, counted, no event path", ip(f));
	ratio_row(what, NULL, 0, &c[1].ns, &c[0].ns);
	snprintf(what, sizeof(what), "%s: denied, event suppressed", ip(f));
	ratio_row(what, NULL, 0, &c[2].ns, &c[0].ns);
	snprintf(what, sizeof(what), "%s: suppressed against no event path", ip(f));
	ratio_row(what, "<= 1.25x", 1.25, &c[2].ns, &c[1].ns);
	return 0;
}

static int event(const struct gates *g, struct hook_run *h, enum family f)
{
	struct hook_case c[] = {
		{ .name = "empty", .prog = g->empty[f], .port = 25, .uid = BENCH_UID },
		{ .name = "event", .prog = g->plain.prog[f], .port = 25, .uid = BENCH_UID,
		  .denied = true, .drain = &g->plain },
	};
	unsigned int connects = h->connects;
	struct spread ns;
	char what[64];
	int r;

	/* A block's records have to fit into the ring, those of the warming up too. */
	h->connects = 384 / (unsigned int)h->chain.n;
	gate_throttle(&g->plain, 0, 0);
	r = hook_measure(h, c, ARRAY_SIZE(c));
	h->connects = connects;
	if (r < 0)
		return r;
	ns = sample_diff(&c[1].ns, &c[0].ns);
	snprintf(what, sizeof(what), "%s: denied, full event", ip(f));
	row(what, h->chain.n > 1 ? "<= +400 ns" : NULL,
	    h->chain.n > 1 ? met(ns.median <= 400) : R_INFO, "%+.0f ns (%.0f-%.0f)", ns.median,
	    ns.low, ns.high);
	snprintf(what, sizeof(what), "%s: so in total, hard limit", ip(f));
	row(what, "<= 2 us", met(sample_spread(&c[1].ns).median <= 2000), "%.2f us",
	    sample_spread(&c[1].ns).median / 1e3);
	return 0;
}

static int hot(const struct gates *g, struct hook_run *h, enum family f)
{
	int r;

	section("2. Hot: %d programs run for each connect, in turn (%s)", h->chain.n, ip(f));
	r = other_port(g, h, f, 1.05);
	if (!r)
		r = allowed(g, h, f);
	if (!r && f == V4)
		r = many_accounts(g, h);
	if (!r)
		r = suppressed(g, h, f);
	return r < 0 ? r : event(g, h, f);
}

/* One program, as a connect really runs it: with whatever the system call left in the caches. */
static int single(const struct gates *g, struct hook_run *h, enum family f)
{
	int r;

	section("3. One program for each connect: what a system call leaves in the caches (%s)",
		ip(f));
	h->connects = 1500;
	r = other_port(g, h, f, 0);
	if (!r)
		r = allowed(g, h, f);
	if (!r)
		r = suppressed(g, h, f);
	if (!r)
		r = event(g, h, f);
	h->cold = true;
	h->connects = h->rounds > 20 ? 50 : 25;
	h->rounds = h->rounds > 20 ? 14 : 5;
	if (!r)
		r = other_port(g, h, f, 1.25);
	return r;
}

static int measure(const struct bench *b, const struct gates *g, enum family f)
{
	struct hook_run h;
	int r = hook_open(b->cgroup_fd, f, g->empty[f], CHAIN_MAX, &h);

	if (r == -EAFNOSUPPORT) {
		row("IPv6", NULL, R_ABSENT, "no IPv6 on this machine");
		return 0;
	}
	if (r < 0)
		return r;
	h.connects = 200;
	h.rounds = b->quick ? 20 : 80;
	r = hot(g, &h, f);
	hook_close(&h);
	if (r < 0 || (b->quick && f == V6))
		return r;
	r = hook_open(b->cgroup_fd, f, g->empty[f], 1, &h);
	if (r < 0)
		return r;
	h.rounds = b->quick ? 20 : 80;
	r = single(g, &h, f);
	hook_close(&h);
	return r;
}

int bench_exact(const struct bench *b)
{
	struct gates g = { .empty = { -1, -1 }, .empty2 = { -1, -1 } };
	int r = open_gates(&g);

	for (enum family f = V4; f < _FAMILY_MAX && !r; f++)
		r = measure(b, &g, f);
	close_gates(&g);
	return r;
}
