/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whole connections and whole refusals, in wall time, beside what packet filters make of them. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "bench.h"
#include "gate.h"
#include "lab.h"
#include "report.h"
#include "run.h"
#include "util.h"

#define OTHER_PORT	8080
#define SMTP_PORT	25
#define LEGACY		"iptables-legacy-restore"
#define NFT		"iptables-nft-restore"

/* Every measurement is one way through the network stack under one set of hooks and rules. */
struct way {
	const char *name;
	int client;		/* of the lab; < 0: not here */
	const int *prog;	/* one a family, or NULL for no hooks at all */
	struct sample ns;
};

struct cycle {
	const struct bench *b;
	struct lab lab;
	struct gate gate;
	int empty[_FAMILY_MAX];
	int listener, smtp;	/* listening sockets */
	struct chain chain[_FAMILY_MAX];
};

static void no_hooks(struct cycle *c)
{
	chain_close(&c->chain[V4]);
	chain_close(&c->chain[V6]);
}

static int set_hooks(struct cycle *c, const int *prog)
{
	int r = 0;

	if (!prog) {
		no_hooks(c);
		return 0;
	}
	for (enum family f = V4; f < _FAMILY_MAX && !r; f++)
		r = c->chain[f].n ? chain_set(&c->chain[f], prog[f]) :
				    chain_open(c->b->cgroup_fd, f, prog[f], 1, &c->chain[f]);
	return r;
}

static struct sockaddr_in server(const struct cycle *c, int client, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = c->lab.client[client].server,
	};
}

/* Connect, accept, and an abort instead of a close: so that nothing lingers in TIME_WAIT, where
 * thousands of them would slow down the search for a free port. */
static int one_connection(const struct sockaddr_in *to, int listener)
{
	const struct linger abort_it = { .l_onoff = 1 };
	int in, r = 0, out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (out < 0 || setsockopt(out, SOL_SOCKET, SO_LINGER, &abort_it, sizeof(abort_it)) < 0 ||
	    connect(out, (const void *)to, sizeof(*to)) < 0) {
		r = -errno;
		sw_closep(&out);
		return r;
	}
	in = accept(listener, NULL, NULL);
	if (in < 0)
		r = -errno;
	close(out);
	sw_closep(&in);
	return r;
}

/* 0 when it failed as it must. */
static int one_failure(const struct sockaddr_in *to, int error)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int r = connect(fd, (const void *)to, sizeof(*to)) < 0 && errno == error ? 0 : -EIO;

	close(fd);
	return r;
}

enum what { CONNECTIONS, SMTP_CONNECTIONS, REFUSALS, NO_ROUTE };

static int one(const struct cycle *c, enum what what, const struct sockaddr_in *to)
{
	if (what == REFUSALS || what == NO_ROUTE)
		return one_failure(to, what == REFUSALS ? ECONNREFUSED : ENETUNREACH);
	return one_connection(to, what == CONNECTIONS ? c->listener : c->smtp);
}

static int block(struct cycle *c, struct way *w, enum what what, unsigned int n)
{
	struct sockaddr_in to = server(c, w->client, what == CONNECTIONS ? OTHER_PORT : SMTP_PORT);
	int r = set_hooks(c, w->prog);
	uint64_t t0 = 0;

	if (!r)
		r = lab_enter(&c->lab, w->client);
	if (r < 0)
		return r;
	if (what == REFUSALS)
		run_as(BENCH_UID);
	for (unsigned int i = 0; i < n + n / 5 + 1 && !r; i++) {
		if (i == n / 5 + 1)
			t0 = now_ns();
		r = one(c, what, &to);
	}
	sample_add(&w->ns, (double)(now_ns() - t0) / n);
	if (what == REFUSALS)
		run_as_root();
	return lab_home(&c->lab) < 0 ? -EIO : r;
}

static int measure(struct cycle *c, struct way *w, size_t n, enum what what, unsigned int rounds,
		   unsigned int each)
{
	int r = 0;

	for (unsigned int i = 0; i <= rounds && !r; i++) {
		for (size_t k = 0; k < n && !r; k++) {
			struct way *one_way = &w[(i + k) % n];

			if (one_way->client >= 0)
				r = block(c, one_way, what, each);
			if (r < 0)
				fprintf(stderr, "bench: %s\n", one_way->name);
		}
		for (size_t k = 0; k < n && !i; k++)
			w[k].ns.n = 0;
	}
	no_hooks(c);
	return r;
}

static void ratio_row(const struct way *w, const struct way *base, const char *goal, double limit)
{
	struct spread x = sample_ratio(&w->ns, &base->ns), ns = sample_diff(&w->ns, &base->ns);

	if (w->client < 0) {
		row(w->name, NULL, R_ABSENT, "-");
	} else {
		figure(x, "x");
		row(w->name, goal, limit > 0 ? met(x.median <= limit) : R_INFO,
		    "%.3fx (%.3f-%.3f), %+.0f ns", x.median, x.low, x.high, ns.median);
	}
}

static int owners_by(struct cycle *c, const char *command, uint32_t n)
{
	return lab_client(&c->lab, &(struct lab_ruleset){ .kind = LAB_OWNERS, .command = command,
							  .accounts = n,
							  .reject = "--reject-with tcp-reset" });
}

static int owners(struct cycle *c, uint32_t n, const char *reject)
{
	static const char *const commands[] = { "iptables-legacy-restore", "iptables-restore" };
	struct lab_ruleset rules = { .kind = LAB_OWNERS, .accounts = n, .reject = reject };
	int client = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(commands) && client < 0; i++) {
		rules.command = commands[i];
		client = lab_client(&c->lab, &rules);
	}
	return client;
}

static int nft_set(struct cycle *c, const char *reject)
{
	return lab_client(&c->lab, &(struct lab_ruleset){ .kind = LAB_SET, .command = "nft",
							  .accounts = 1000, .reject = reject });
}

static double noise_of(const struct way *again, const struct way *base)
{
	double x = sample_ratio(&again->ns, &base->ns).median;

	return x > 1 ? x - 1 : 1 - x;
}

/* A connection to any other port, through nothing but hooks. */
static int other_port(struct cycle *c, int client)
{
	struct way w[] = {
		{ .name = "no hooks", .client = client },
		{ .name = "no hooks again (A/A)", .client = client },
		{ .name = "empty programs", .client = client, .prog = c->empty },
		{ .name = "smtpwall", .client = client, .prog = c->gate.prog },
	};
	int r = measure(c, w, ARRAY_SIZE(w), CONNECTIONS, c->b->quick ? 80 : 400, 40);

	if (r < 0)
		return r;
	section("4. A connection to another port: socket, connect, accept, close");
	row(w[0].name, NULL, R_INFO, "%.2f us", sample_spread(&w[0].ns).median / 1e3);
	ratio_row(&w[1], &w[0], NULL, 0);
	ratio_row(&w[2], &w[0], NULL, 0);
	ratio_row(&w[3], &w[0], "<= 1.01x + A/A", 1.01 + noise_of(&w[1], &w[0]));
	return 0;
}

/* The same through packet filters that do the same job. */
static int other_port_filters(struct cycle *c, int client)
{
	struct way w[] = {
		{ .name = "no rules", .client = client },
		{ .name = "iptables-legacy, SMTP_BLOCK layout, 5 accounts",
		  .client = owners_by(c, LEGACY, 5) },
		{ .name = "iptables-legacy, 50 accounts", .client = owners_by(c, LEGACY, 50) },
		{ .name = "iptables-legacy, 500 accounts", .client = owners_by(c, LEGACY, 500) },
		{ .name = "iptables-nft, 5 accounts", .client = owners_by(c, NFT, 5) },
		{ .name = "iptables-nft, 50 accounts", .client = owners_by(c, NFT, 50) },
		{ .name = "iptables-nft, 500 accounts", .client = owners_by(c, NFT, 500) },
		{ .name = "nft, one rule and a set", .client = nft_set(c, "with tcp reset") },
	};
	int r = measure(c, w, ARRAY_SIZE(w), CONNECTIONS, c->b->quick ? 25 : 100, 40);

	for (size_t i = 1; i < ARRAY_SIZE(w) && !r; i++)
		ratio_row(&w[i], &w[0], NULL, 0);
	return r;
}

/* A mail server's own connection. From the host: exemptions hold nowhere else. */
static int allowed(struct cycle *c, int host)
{
	struct way w[] = {
		{ .name = "no hooks", .client = host },
		{ .name = "no hooks again (A/A)", .client = host },
		{ .name = "smtpwall", .client = host, .prog = c->gate.prog },
	};
	int r = measure(c, w, ARRAY_SIZE(w), SMTP_CONNECTIONS, c->b->quick ? 80 : 400, 40);

	if (r < 0)
		return r;
	section("5. An SMTP connection of root, host to another namespace");
	row(w[0].name, NULL, R_INFO, "%.2f us", sample_spread(&w[0].ns).median / 1e3);
	ratio_row(&w[1], &w[0], NULL, 0);
	ratio_row(&w[2], &w[0], "<= 1.02x + A/A", 1.02 + noise_of(&w[1], &w[0]));
	return 0;
}

/* The first attempt alone, as a script makes it. */
static int first_attempt(struct cycle *c, struct way *w, unsigned int n)
{
	int r = 0;

	w->ns.n = 0;
	for (unsigned int i = 0; i < n && !r; i++) {
		struct sockaddr_in to = server(c, w->client, SMTP_PORT);
		uint64_t t0;

		r = set_hooks(c, w->prog);
		if (!r)
			r = lab_enter(&c->lab, w->client);
		if (r < 0)
			return r;
		run_as(BENCH_UID);
		t0 = now_ns();
		r = one_failure(&to, ECONNREFUSED);
		sample_add(&w->ns, (double)(now_ns() - t0));
		run_as_root();
		if (lab_home(&c->lab) < 0)
			r = -EIO;
	}
	no_hooks(c);
	return r;
}

static int cold_attempts(struct cycle *c, int client)
{
	struct way gate = { .name = "smtpwall, single cold attempts", .client = client,
			    .prog = c->gate.prog };
	struct way icmp = { .name = "iptables REJECT as CSF has it (icmp)",
			    .client = owners(c, 5, "") };
	int r = first_attempt(c, &gate, 20);

	if (r < 0)
		return r;
	row(gate.name, "<= 50 us", met(sample_spread(&gate.ns).median <= 50000), "%.1f us",
	    sample_spread(&gate.ns).median / 1e3);
	if (icmp.client < 0 || first_attempt(c, &icmp, 1) < 0)
		row(icmp.name, NULL, R_ABSENT, "-");
	else
		row(icmp.name, NULL, R_INFO, "%.0f us", sample_spread(&icmp.ns).median / 1e3);
	return 0;
}

static int refused(struct cycle *c, int client)
{
	struct way ok = { .name = "a connection that succeeds", .client = client };
	struct way floor = { .name = "one that finds no route, no hooks",
			     .client = lab_alone(&c->lab) };
	struct way w[] = {
		{ .name = "smtpwall, against one that succeeds", .client = client,
		  .prog = c->gate.prog },
		{ .name = "iptables REJECT with tcp-reset",
		  .client = owners(c, 5, "--reject-with tcp-reset") },
		{ .name = "nft reject with tcp reset", .client = nft_set(c, "with tcp reset") },
	};
	unsigned int rounds = c->b->quick ? 8 : 20;
	int r = 0;

	/* Alternating, since what succeeds is another loop. */
	for (unsigned int i = 0; i < rounds && !r; i++) {
		r = block(c, &ok, CONNECTIONS, 60);
		if (!r)
			r = floor.client < 0 ? floor.client : block(c, &floor, NO_ROUTE, 200);
		for (size_t k = 0; k < ARRAY_SIZE(w) && !r; k++)
			if (w[k].client >= 0)
				r = block(c, &w[k], REFUSALS, 200);
	}
	no_hooks(c);
	if (r < 0)
		return r;
	section("6. A denied attempt: socket, connect, close");
	row(ok.name, NULL, R_INFO, "%.2f us", sample_spread(&ok.ns).median / 1e3);
	row(floor.name, NULL, R_INFO, "%.2f us", sample_spread(&floor.ns).median / 1e3);
	row("smtpwall", NULL, R_INFO, "%.2f us", sample_spread(&w[0].ns).median / 1e3);
	ratio_row(&w[0], &ok, "<= 0.20x", 0.20);
	w[0].name = "smtpwall, against the one without a route";
	ratio_row(&w[0], &floor, NULL, 0);
	for (size_t i = 1; i < ARRAY_SIZE(w); i++) {
		struct spread us = sample_spread(&w[i].ns);
		char what[64];

		if (w[i].client < 0) {
			row(w[i].name, NULL, R_ABSENT, "-");
			continue;
		}
		row(w[i].name, NULL, R_INFO, "%.2f us", us.median / 1e3);
		snprintf(what, sizeof(what), "smtpwall against it");
		w[0].name = what;
		ratio_row(&w[0], &w[i], "<= 0.5x", 0.5);
	}
	return cold_attempts(c, client);
}

static int open_cycle(struct cycle *c)
{
	int r = lab_open(&c->lab);

	if (!r)
		r = gate_open(&(struct gate_opts){ .n_exempt = 10 }, &c->gate);
	if (r < 0)
		return r;
	for (enum family f = V4; f < _FAMILY_MAX; f++)
		c->empty[f] = gate_empty_prog(f);
	c->listener = lab_listen(&c->lab, OTHER_PORT);
	c->smtp = lab_listen(&c->lab, SMTP_PORT);
	if (c->empty[V4] < 0 || c->empty[V6] < 0 || c->listener < 0 || c->smtp < 0)
		return -EIO;
	return 0;
}

static void close_cycle(struct cycle *c)
{
	no_hooks(c);
	sw_closep(&c->listener);
	sw_closep(&c->smtp);
	sw_closep(&c->empty[V4]);
	sw_closep(&c->empty[V6]);
	gate_close(&c->gate);
	lab_close(&c->lab);
}

int bench_cycle(const struct bench *b)
{
	struct cycle c = {
		.b = b, .empty = { -1, -1 }, .listener = -1, .smtp = -1,
		.lab = { .home = -1, .listener = -1 },
	};
	int client, host, r = open_cycle(&c);

	if (!r) {
		client = lab_client(&c.lab, &(struct lab_ruleset){ .kind = LAB_NONE });
		host = lab_host(&c.lab);
		r = client < 0 ? client : host < 0 ? host : other_port(&c, client);
	}
	if (!r)
		r = other_port_filters(&c, client);
	if (!r)
		r = allowed(&c, host);
	if (!r)
		r = refused(&c, client);
	close_cycle(&c);
	return r;
}
