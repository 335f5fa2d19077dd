/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One account tries as fast as it can, with somebody reading the events and without. */
#include <arpa/inet.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "bench.h"
#include "gate.h"
#include "report.h"
#include "run.h"
#include "util.h"

#define QUIET_ATTEMPTS	10

/* Shared with the processes that flood and read. */
struct board {
	volatile int stop;
	volatile uint64_t attempts;
	volatile uint64_t quiet_events;
	volatile uint64_t flood_us;	/* CPU time of the flood */
	volatile uint64_t read_us;	/* of whoever reads, from its first poll on */
};

struct flood {
	struct gate gate;
	struct chain chain;
	struct board *board;
	double seconds;
	uint32_t quiet_uid;	/* another one each time: its burst is not used up */
};

struct outcome {
	double per_second;	/* of the CPU time it had: others may want the CPU too */
	double consumer_cpu;	/* percent of one CPU */
	uint64_t attempts, quiet_events, lost;
	uint64_t counted;	/* by the kernel, for the account that floods */
};

static void attempt(void)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(25) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* A namespace without a route: even a connect that got through would lead nowhere. */
	inet_pton(AF_INET, "192.0.2.1", &to.sin_addr);
	if (connect(fd, (void *)&to, sizeof(to)) == 0)
		_exit(1);
	close(fd);
}

static uint64_t cpu_us(void)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	return (uint64_t)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000000U +
	       (uint64_t)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec);
}

static _Noreturn void flooder(const struct flood *f)
{
	uint64_t n = 0, before;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_on_cpu(0);
	if (unshare(CLONE_NEWNET) < 0)
		_exit(1);
	run_as(BENCH_UID);
	before = cpu_us();
	while (!f->board->stop) {
		attempt();
		f->board->attempts = ++n;
	}
	f->board->flood_us = cpu_us() - before;
	_exit(0);
}

static _Noreturn void quiet(const struct flood *f)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_on_cpu(1);
	if (unshare(CLONE_NEWNET) < 0)
		_exit(1);
	run_as(f->quiet_uid);
	for (int i = 0; i < QUIET_ATTEMPTS; i++) {
		usleep((useconds_t)(f->seconds * 1e6 / QUIET_ATTEMPTS / 2));
		attempt();
	}
	_exit(0);
}

/* What a daemon does with an event at least: a line of text. */
static int on_event(void *ctx, void *data, size_t len)
{
	const struct sw_event *e = data;
	const struct flood *f = ctx;
	char line[512];

	if (len < sizeof(*e))
		return 0;
	snprintf(line, sizeof(line), "uid=%u pid=%u port=%u comm=%.16s cwd=%.256s", e->euid,
		 e->tgid, e->dport, e->where.comm, e->where.path + e->where.path_off % SW_PATH_LEN);
	f->board->quiet_events += e->euid == f->quiet_uid;
	return 0;
}

static _Noreturn void consumer(const struct flood *f)
{
	struct flood mine = *f;	/* callbacks take no const */
	struct ring_buffer *ring;
	uint64_t before;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	run_on_cpu(1);
	ring = ring_buffer__new(sw_kern_map_fd(&f->gate.kern, SW_MAP_EVENTS), on_event,
				&mine, NULL);
	before = cpu_us();
	while (ring && !f->board->stop)
		ring_buffer__poll(ring, 100);
	if (ring)
		ring_buffer__consume(ring);
	f->board->read_us = cpu_us() - before;
	_exit(ring ? 0 : 1);
}

static pid_t start(void (*run)(const struct flood *f), const struct flood *f)
{
	pid_t pid = fork();

	if (!pid)
		run(f);
	return pid;
}

static int one_run(const struct flood *f, bool with_consumer, struct outcome *ret)
{
	uint64_t lost = gate_counter(&f->gate, SW_CTR_EVENTS_LOST), before;
	struct outcome o = { 0 };
	pid_t reader = 0, other = 0, pid;
	struct sw_uid_stats row_of;
	int r;

	memset(f->board, 0, sizeof(*f->board));
	gate_drain(&f->gate);
	gate_account(&f->gate, BENCH_UID, &row_of);
	before = row_of.n[SW_N_DENIED];
	if (with_consumer) {
		reader = start(consumer, f);
		other = start(quiet, f);
	}
	pid = start(flooder, f);
	usleep((useconds_t)(f->seconds * 1e6));
	f->board->stop = 1;
	r = run_wait(pid);
	if (f->board->flood_us)
		o.per_second = (double)f->board->attempts * 1e6 / (double)f->board->flood_us;
	if (other && run_wait(other) < 0)
		r = -EIO;
	if (reader && run_wait(reader) < 0)
		r = -EIO;
	o.consumer_cpu = (double)f->board->read_us / (f->seconds * 1e6) * 100;
	o.attempts = f->board->attempts;
	o.quiet_events = f->board->quiet_events;
	o.lost = gate_counter(&f->gate, SW_CTR_EVENTS_LOST) - lost;
	gate_account(&f->gate, BENCH_UID, &row_of);
	o.counted = row_of.n[SW_N_DENIED] - before;
	*ret = o;
	return r;
}

struct totals {
	struct sample silent, alone, read;	/* attempts a CPU second */
	double cpu;
	uint64_t attempts, counted, lost, quiet;
	unsigned int rounds;
};

static int rounds(const struct bench *b, struct flood *f, struct totals *t)
{
	struct outcome o;
	int r = 0;

	for (t->rounds = 0; t->rounds < (b->quick ? 3U : 9U) && !r; t->rounds++) {
		gate_throttle(&f->gate, 1, 0);
		r = one_run(f, false, &o);
		sample_add(&t->silent, o.per_second);
		gate_throttle(&f->gate, BENCH_INTERVAL, BENCH_BURST);
		if (!r)
			r = one_run(f, false, &o);
		sample_add(&t->alone, o.per_second);
		f->quiet_uid = BENCH_QUIET_UID + t->rounds;
		if (!r)
			r = one_run(f, true, &o);
		sample_add(&t->read, o.per_second);
		t->cpu += o.consumer_cpu;
		t->attempts += o.attempts;
		t->counted += o.counted;
		t->lost += o.lost;
		t->quiet += o.quiet_events;
	}
	return r;
}

static void print(const struct totals *t)
{
	struct spread x = sample_ratio(&t->read, &t->silent);
	unsigned int quiet_goal = QUIET_ATTEMPTS * t->rounds;
	char goal[32];

	row("attempts a CPU second, no events at all", NULL, R_INFO, "%.0f k",
	    sample_spread(&t->silent).median / 1e3);
	row("events, nobody reads them", NULL, R_INFO, "%.0f k",
	    sample_spread(&t->alone).median / 1e3);
	row("events, a consumer reads them", NULL, R_INFO, "%.0f k",
	    sample_spread(&t->read).median / 1e3);
	row("read against no events", ">= 0.95x", met(x.median >= 0.95), "%.2fx (%.2f-%.2f)",
	    x.median, x.low, x.high);
	x = sample_ratio(&t->read, &t->alone);
	row("read against not read", NULL, R_INFO, "%.2fx (%.2f-%.2f)", x.median, x.low, x.high);
	row("CPU of the consumer", "<= 1 %", met(t->cpu / t->rounds <= 1), "%.1f %%",
	    t->cpu / t->rounds);
	row("events lost", "0", met(!t->lost), "%llu", (unsigned long long)t->lost);
	snprintf(goal, sizeof(goal), "%u of %u", quiet_goal, quiet_goal);
	row("events of a quiet account", goal, met(t->quiet == quiet_goal), "%llu",
	    (unsigned long long)t->quiet);
	row("counted less attempted", "0", exactly(t->counted == t->attempts), "%lld of %llu",
	    (long long)(t->counted - t->attempts), (unsigned long long)t->attempts);
}

int bench_flood(const struct bench *b)
{
	struct flood f = { .seconds = b->quick ? 0.5 : 1 };
	struct totals t = { 0 };
	int r;

	f.board = mmap(NULL, sizeof(*f.board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (f.board == MAP_FAILED)
		return -errno;
	section("11. One account floods one CPU, another tries ten times beside it");
	r = gate_open(&(struct gate_opts){ .n_exempt = 10 }, &f.gate);
	if (!r)
		r = chain_open(b->cgroup_fd, V4, f.gate.prog[V4], 1, &f.chain);
	if (!r)
		r = rounds(b, &f, &t);
	if (!r)
		print(&t);
	chain_close(&f.chain);
	gate_close(&f.gate);
	munmap(f.board, sizeof(*f.board));
	return r;
}
