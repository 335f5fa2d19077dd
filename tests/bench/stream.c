/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An established connection: no program of ours may run for its messages. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

#include "bench.h"
#include "gate.h"
#include "lab.h"
#include "report.h"
#include "util.h"

#define SMTP_PORT	25
#define MESSAGES	10000
#define SIZE		64

struct stream {
	int out, in;
	struct gate gate;
	struct chain chain[_FAMILY_MAX];
};

static bool pass(int from, int to, char *buf)
{
	return send(from, buf, SIZE, 0) == SIZE && recv(to, buf, SIZE, MSG_WAITALL) == SIZE;
}

/* There and back, both ends in this process. */
static int request_response(const struct stream *s, unsigned int n)
{
	char buf[SIZE] = "250 2.0.0 Ok\r\n";

	for (unsigned int i = 0; i < n; i++)
		if (!pass(s->out, s->in, buf) || !pass(s->in, s->out, buf))
			return -EIO;
	return 0;
}

static int attach(const struct bench *b, struct stream *s)
{
	int r = 0;

	for (enum family f = V4; f < _FAMILY_MAX && !r; f++)
		r = chain_open(b->cgroup_fd, f, s->gate.prog[f], 1, &s->chain[f]);
	return r;
}

static void detach(struct stream *s)
{
	chain_close(&s->chain[V4]);
	chain_close(&s->chain[V6]);
}

static uint64_t runs(const struct stream *s)
{
	struct prog_time v4 = { 0 }, v6 = { 0 };

	if (prog_time(s->gate.prog[V4], &v4) < 0 || prog_time(s->gate.prog[V6], &v6) < 0)
		return UINT64_MAX / 2;
	return v4.runs + v6.runs;
}

/* The hooks are counted by the kernel, and the connect shows that they are there. */
static int open_stream(const struct bench *b, const struct lab *lab, int client, struct stream *s,
		       uint64_t *connect_runs)
{
	_cleanup_close_ int listener = lab_listen(lab, SMTP_PORT);
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(SMTP_PORT),
		.sin_addr.s_addr = lab->client[client].server,
	};
	int one = 1, r = listener < 0 ? listener : attach(b, s);
	uint64_t before = runs(s);

	if (r < 0)
		return r;
	s->out = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s->out < 0 || connect(s->out, (void *)&to, sizeof(to)) < 0)
		return -errno;
	s->in = accept(listener, NULL, NULL);
	if (s->in < 0)
		return -errno;
	setsockopt(s->out, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(s->in, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	*connect_runs = runs(s) - before;
	return 0;
}

static int count_runs(const struct bench *b, const struct lab *lab, int client, struct stream *s)
{
	_cleanup_close_ int stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	uint64_t at_connect = 0, before;
	int r = stats < 0 ? -errno : open_stream(b, lab, client, s, &at_connect);

	if (r < 0)
		return r;
	before = runs(s);
	r = request_response(s, MESSAGES / 2);
	row("program runs for the connect", "1", exactly(at_connect == 1), "%llu",
	    (unsigned long long)at_connect);
	row("program runs for 10,000 messages", "0", exactly(runs(s) == before), "%llu",
	    (unsigned long long)(runs(s) - before));
	return r;
}

static int timed(const struct stream *s, unsigned int n, struct sample *ret)
{
	int r = request_response(s, n / 10);
	uint64_t t0 = now_ns();

	if (!r)
		r = request_response(s, n);
	sample_add(ret, (double)(now_ns() - t0) / n);
	return r;
}

static int latency(const struct bench *b, struct stream *s)
{
	struct sample none = { 0 }, again = { 0 }, gate = { 0 };
	unsigned int rounds = b->quick ? 80 : 400, n = 100;
	struct spread x;
	double noise;
	int r = 0;

	for (unsigned int i = 0; i < rounds && !r; i++) {
		detach(s);
		r = timed(s, n, &none);
		if (!r)
			r = timed(s, n, &again);
		if (!r)
			r = attach(b, s);
		if (!r)
			r = timed(s, n, &gate);
	}
	if (r < 0)
		return r;
	row("64 bytes there and back, no hooks", NULL, R_INFO, "%.2f us",
	    sample_spread(&none).median / 1e3);
	x = sample_ratio(&again, &none);
	row("no hooks again (A/A)", NULL, R_INFO, "%.3fx (%.3f-%.3f)", x.median, x.low, x.high);
	noise = x.median > 1 ? x.median - 1 : 1 - x.median;
	x = sample_ratio(&gate, &none);
	row("smtpwall", "<= 1.01x + A/A", met(x.median <= 1.01 + noise), "%.3fx (%.3f-%.3f)",
	    x.median, x.low, x.high);
	return 0;
}

int bench_stream(const struct bench *b)
{
	struct stream s = { .out = -1, .in = -1 };
	struct lab lab;
	int host, r = lab_open(&lab);

	if (r < 0)
		return r;
	section("7. An established SMTP connection of root");
	host = lab_host(&lab);
	r = host < 0 ? host : gate_open(&(struct gate_opts){ .n_exempt = 10 }, &s.gate);
	if (!r)
		r = count_runs(b, &lab, host, &s);
	if (!r)
		r = latency(b, &s);
	detach(&s);
	sw_closep(&s.out);
	sw_closep(&s.in);
	gate_close(&s.gate);
	lab_close(&lab);
	return r;
}
