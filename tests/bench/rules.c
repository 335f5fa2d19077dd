/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What allow rules, limits and redirects cost a connect. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"
#include "hook.h"
#include "run.h"
#include "util.h"

#define TARGET		0xe0000001U	/* 224.0.0.1: what the hooks are asked for, see hook.h */
#define ELSEWHERE	0xe0000002U
#define RULE_UID	(BENCH_EXEMPT - 1)	/* has a rule of its own */
#define N_SIZES		3
#define PEER_CALLS	20000

#define DEEPER_NS	150	/* what 10,000 rules may cost more than 10: a trie is a little deeper */

static const uint32_t sizes[N_SIZES] = { 10, 1000, 10000 };

/* ---- policies ---- */

static int add_rule(struct sw_policy *p, enum sw_kind kind, uint32_t who, uint32_t addr)
{
	struct sw_allow_rule r = {
		.kind = kind, .who = who, .port = { 25 }, .n_ports = 1, .n_dest = 1,
		.quota = { SW_UNLIMITED, SW_UNLIMITED },
	};
	size_t other;
	int err;

	r.dest = calloc(1, sizeof(*r.dest));
	if (!r.dest || asprintf(&r.text, "%d %u %x", (int)kind, who, addr) < 0) {
		free(r.dest);
		return -ENOMEM;
	}
	addr = htonl(addr);
	r.dest->addr[10] = r.dest->addr[11] = 0xff;
	memcpy(r.dest->addr + 12, &addr, sizeof(addr));
	r.dest->len = 128;
	err = sw_policy_add_rule(p, &r, &other);
	if (err < 0)
		sw_allow_rule_free(&r);
	return err;
}

/* So many rules of one kind. The one that matches is the last: RULE_UID's, or everybody's for
 * TARGET. The others are for other accounts, or other addresses. */
static int make_policy(uint32_t n, enum sw_kind kind, struct sw_policy *ret)
{
	int r = sw_policy_default(ret);

	for (uint32_t i = 1; i < n && !r; i++)
		r = kind == SW_KIND_UID ? add_rule(ret, kind, BENCH_EXEMPT + i, TARGET) :
					  add_rule(ret, kind, 0, TARGET + 1 + i * 7919);
	if (!r)
		r = add_rule(ret, kind, kind == SW_KIND_UID ? RULE_UID : 0, TARGET);
	return r;
}

static int open_gate(uint32_t n, enum sw_kind kind, struct gate *ret)
{
	struct sw_policy p = { 0 };
	int r = make_policy(n, kind, &p);

	if (!r)
		r = gate_open_policy(&p, ret);
	if (!r)
		gate_throttle(ret, 1, 0);	/* no events: they have a section of their own */
	sw_policy_free(&p);
	return r;
}

/* ---- how many rules ---- */

static void row_against(const char *what, double limit_ns, const struct sample *a,
			const struct sample *b)
{
	struct spread x = sample_ratio(a, b), ns = sample_diff(a, b);
	char goal[32];

	snprintf(goal, sizeof(goal), "<= +%.0f ns", limit_ns);
	figure(x, "x");
	row(what, limit_ns > 0 ? goal : NULL, limit_ns > 0 ? met(ns.median <= limit_ns) : R_INFO,
	    "%.2fx (%.2f-%.2f), %+.1f ns", x.median, x.low, x.high, ns.median);
}

/* Hit: allowed by the last rule. Miss: denied, since no rule is for this account or address. */
static int many(struct hook_run *h, const struct gate *g, int empty, enum sw_kind kind, bool hit)
{
	struct hook_case c[N_SIZES + 1] = { { .name = "empty", .prog = empty, .port = 25 } };
	char what[64];
	int r;

	for (int i = 0; i < N_SIZES; i++)
		c[i + 1] = (struct hook_case){
			.name = "rules", .prog = g[i].prog[V4], .port = 25,
			.uid = kind == SW_KIND_ANY || !hit ? BENCH_UID : RULE_UID,
			.denied = !hit,
		};
	r = hook_measure(h, c, N_SIZES + 1);
	if (r < 0)
		return r;
	snprintf(what, sizeof(what), "%s rules, %s, 10 of them", kind == SW_KIND_UID ? "user" : "any",
		 hit ? "one matches" : "none matches");
	row_against(what, 0, &c[1].ns, &c[0].ns);
	for (int i = 1; i < N_SIZES; i++) {
		snprintf(what, sizeof(what), "  %u rules against 10", sizes[i]);
		row_against(what, DEEPER_NS, &c[i + 1].ns, &c[1].ns);
	}
	return 0;
}

/* A miss of rules for everybody needs an address that is in none of them. */
static int miss_any(struct hook_run *h, int empty)
{
	struct gate g[N_SIZES] = { { .ring = NULL } };
	int r = 0;

	for (int i = 0; i < N_SIZES && !r; i++) {
		struct sw_policy p = { 0 };

		r = sw_policy_default(&p);
		for (uint32_t k = 0; k < sizes[i] && !r; k++)
			r = add_rule(&p, SW_KIND_ANY, 0, TARGET + 1 + k * 7919);
		if (!r)
			r = gate_open_policy(&p, &g[i]);
		if (!r)
			gate_throttle(&g[i], 1, 0);
		sw_policy_free(&p);
	}
	if (!r)
		r = many(h, g, empty, SW_KIND_ANY, false);
	for (int i = 0; i < N_SIZES; i++)
		gate_close(&g[i]);
	return r;
}

static int of_kind(struct hook_run *h, int empty, enum sw_kind kind)
{
	struct gate g[N_SIZES] = { { .ring = NULL } };
	int r = 0;

	for (int i = 0; i < N_SIZES && !r; i++)
		r = open_gate(sizes[i], kind, &g[i]);
	if (!r)
		r = many(h, g, empty, kind, true);
	if (!r && kind == SW_KIND_UID)
		r = many(h, g, empty, kind, false);
	for (int i = 0; i < N_SIZES; i++)
		gate_close(&g[i]);
	return r < 0 || kind == SW_KIND_UID ? r : miss_any(h, empty);
}

/* ---- limits ---- */

/* With one rule: without a limit, with one, and with those of account and server as well. */
static int open_limited(int level, struct gate *ret)
{
	const struct sw_quota plenty = { SW_UNLIMITED, SW_UNLIMITED - 1 };
	const struct sw_quota none = { SW_UNLIMITED, SW_UNLIMITED };
	struct sw_policy p = { 0 };
	int r = make_policy(1, SW_KIND_UID, &p);

	if (!r && level > 0)
		p.rules[0].quota = plenty;
	if (!r && level > 1) {
		p.server_quota.of[0] = plenty;
		r = sw_policy_add_limit(&p, &(struct sw_policy_limit){ .kind = SW_KIND_UID,
								       .id = RULE_UID,
								       .quotas = { { plenty, none, none, none } } });
	}
	if (!r)
		r = gate_open_policy(&p, ret);
	sw_policy_free(&p);
	return r;
}

static int limits(struct hook_run *h)
{
	static const char *const names[] = { "no limit", "its limit", "all limits" };
	struct gate g[3] = { { .ring = NULL } };
	struct hook_case c[3];
	int r = 0;

	for (int i = 0; i < 3 && !r; i++) {
		r = open_limited(i, &g[i]);
		c[i] = (struct hook_case){ .name = names[i], .prog = g[i].prog[V4], .port = 25,
					   .uid = RULE_UID };
	}
	if (!r)
		r = hook_measure(h, c, 3);
	if (!r) {
		row_against("a rule's limit against none", 0, &c[1].ns, &c[0].ns);
		row_against("limits of rule, account and server", 0, &c[2].ns, &c[0].ns);
	}
	for (int i = 0; i < 3; i++)
		gate_close(&g[i]);
	return r;
}

/* ---- redirect ---- */

static int open_redirect(uint32_t to, uint16_t port, struct gate *ret)
{
	struct sw_policy p = { 0 };
	int r = sw_policy_default(&p);

	p.mode = SW_MODE_REDIRECT;
	p.redirect4 = htonl(to);
	p.redirect_port = port;
	if (!r)
		r = gate_open_policy(&p, ret);
	if (!r)
		gate_throttle(ret, 1, 0);
	sw_policy_free(&p);
	return r;
}

/* To a multicast address too, so that the socket can try again; one that is bound to a device
 * would not be redirected. */
static int redirected_connect(struct hook_run *h, const struct gate *denies)
{
	struct hook_case c[2] = { { .name = "denied", .prog = denies->prog[V4], .port = 25,
				    .uid = BENCH_UID, .denied = true } };
	struct gate g = { .ring = NULL };
	int bound = h->sock, r = open_redirect(ELSEWHERE, 25, &g);

	if (r < 0)
		return r;
	c[1] = (struct hook_case){ .name = "redirected", .prog = g.prog[V4], .port = 25,
				   .uid = BENCH_UID };
	h->sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	r = h->sock < 0 ? -errno : hook_measure(h, c, 2);
	sw_closep(&h->sock);
	h->sock = bound;
	gate_close(&g);
	if (!r)
		row_against("redirected, the same socket again, to denied", 0, &c[1].ns,
			    &c[0].ns);
	return r;
}

/* One connection to the mail server, by way of another address. */
static int connect_redirected(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(TARGET) },
				 .sin_port = htons(25) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return -errno;
	run_as(BENCH_UID);
	if (connect(fd, (void *)&a, sizeof(a)) < 0)
		r = -errno;
	run_as_root();
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

static double ask_peer(int fd, struct sockaddr_in *peer)
{
	uint64_t t0 = now_ns();

	for (int i = 0; i < PEER_CALLS; i++) {
		socklen_t len = sizeof(*peer);

		if (getpeername(fd, (void *)peer, &len) < 0)
			return -1;
	}
	return (double)(now_ns() - t0) / PEER_CALLS;
}

/* The call itself with and without the hook, in turns. */
static int compare_peer(const struct bench *b, int fd, int prog)
{
	struct sample with = { 0 }, without = { 0 };
	struct sockaddr_in peer = { 0 };

	for (int i = 0; i < 10; i++) {
		int link = bpf_link_create(prog, b->cgroup_fd, BPF_CGROUP_INET4_GETPEERNAME, NULL);

		if (link < 0)
			return -errno;
		sample_add(&with, ask_peer(fd, &peer));
		bpf_link_detach(link);
		close(link);
		if (peer.sin_addr.s_addr != htonl(TARGET))
			return -EIO;
		sample_add(&without, ask_peer(fd, &peer));
	}
	row_against("getpeername of a redirected socket", 0, &with, &without);
	return 0;
}

static int redirected_peer(const struct bench *b, struct hook_run *h)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(a);
	_cleanup_close_ int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd = -1;
	struct gate g = { .ring = NULL };
	int r;

	if (listener < 0 || bind(listener, (void *)&a, len) < 0 || listen(listener, 8) < 0 ||
	    getsockname(listener, (void *)&a, &len) < 0)
		return -errno;
	r = open_redirect(INADDR_LOOPBACK, ntohs(a.sin_port), &g);
	if (r < 0)
		return r;
	r = chain_set(&h->chain, g.prog[V4]);
	if (!r)
		fd = connect_redirected();
	if (!r)
		r = fd < 0 ? fd : compare_peer(b, fd, sw_kern_prog_fd(&g.kern, SW_HOOK_GETPEERNAME4));
	gate_close(&g);
	return r;
}

/* One program for each connect: a second one would redirect what the first redirected. */
static int redirects(const struct bench *b, int empty)
{
	struct gate denies = { .ring = NULL };
	struct hook_run h;
	int r = hook_open(b->cgroup_fd, V4, empty, 1, &h);

	if (r < 0)
		return r;
	h.connects = 1500;
	h.rounds = b->quick ? 12 : 60;
	r = gate_open(&(struct gate_opts){ .n_exempt = 4 }, &denies);
	if (!r) {
		gate_throttle(&denies, 1, 0);
		r = redirected_connect(&h, &denies);
	}
	if (!r)
		r = redirected_peer(b, &h);
	gate_close(&denies);
	hook_close(&h);
	return r;
}

int bench_rules(const struct bench *b)
{
	int empty = gate_empty_prog(V4), r;
	struct hook_run h;

	if (empty < 0)
		return empty;
	r = hook_open(b->cgroup_fd, V4, empty, CHAIN_MAX, &h);
	if (r < 0) {
		close(empty);
		return r;
	}
	h.connects = 200;
	h.rounds = b->quick ? 12 : 60;
	section("12. Allow rules and limits (hot), redirect (single); rules against an empty program");
	r = of_kind(&h, empty, SW_KIND_UID);
	if (!r)
		r = of_kind(&h, empty, SW_KIND_ANY);
	if (!r)
		r = limits(&h);
	hook_close(&h);
	if (!r)
		r = redirects(b, empty);
	close(empty);
	return r;
}
