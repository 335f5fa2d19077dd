/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Bringing policies into force: many accounts at once, the default policy, one link update. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bench.h"
#include "config.h"
#include "gate.h"
#include "lab.h"
#include "probe.h"
#include "report.h"
#include "rows.h"
#include "run.h"
#include "util.h"

#define N_ACCOUNTS	100000
#define LINE		180	/* characters: what the parser of the file takes, with some room */

struct cost_samples {
	struct sample wall, cpu;
};

static void add_cost(struct cost_samples *s, const struct run_cost *c)
{
	sample_add(&s->wall, c->wall_ms);
	sample_add(&s->cpu, c->cpu_ms);
}

/* A policy of root and `n` numeric accounts, in a file in memory. */
static int write_config(uint32_t n)
{
	_cleanup_close_ int fd = memfd_create("conf", 0);
	FILE *f = fd < 0 ? NULL : fdopen(dup(fd), "w");
	int col = 0;

	if (!f)
		return -errno;
	fprintf(f, "[exempt]\nmta = none\nusers = root");
	for (uint32_t i = 0; i < n; i++) {
		if (i == 0 || col > LINE - 8)
			col = fprintf(f, "\n\t");
		col += fprintf(f, " %u", BENCH_EXEMPT + i);
	}
	fprintf(f, "\n");
	return fclose(f) ? -errno : TAKE_FD(fd);
}

/* By its path in our /proc: the descriptor itself does not pass to the command. */
static void config_path(int fd, char *buf, size_t size)
{
	snprintf(buf, size, "/proc/%d/fd/%d", (int)getpid(), fd);
}

static int apply(const struct bench *b, int config_fd, struct run_cost *cost)
{
	char path[64];
	const char *const argv[] = {
		b->program, "apply", "--force", "--config", path, "--cgroup", b->cgroup,
		"--pin-dir", b->pin_dir, NULL,
	};

	config_path(config_fd, path, sizeof(path));
	return run_command(argv, -1, cost);
}

static int turn_off(const struct bench *b)
{
	const char *const argv[] = { b->program, "off", "--cgroup", b->cgroup, "--pin-dir",
				     b->pin_dir, NULL };

	return run_command(argv, -1, NULL);
}

/* One of the others, loading as many accounts into a namespace that nobody uses. */
struct incumbent {
	const char *name;
	struct lab_ruleset rules;
	double limit;		/* of smtpwall's time against it; 0: no goal */
	const char *goal;
	int text;
	int client;
	bool absent;
	struct cost_samples cost;
};

static int load_incumbent(const struct lab *lab, struct incumbent *x)
{
	const char *const nft[] = { "nft", "-f", "-", NULL };
	const char *const restore[] = { x->rules.command, NULL };
	bool set = x->rules.kind == LAB_SET;
	struct run_cost c;
	int r = lab_enter(lab, x->client);

	/* The same set again needs the old one out of the way, outside the measurement. */
	if (!r && set) {
		const char *const flush[] = { "nft", "flush", "ruleset", NULL };

		run_command(flush, -1, NULL);
	}
	if (!r)
		r = run_command(set ? nft : restore, x->text, &c);
	if (!r)
		add_cost(&x->cost, &c);
	return lab_home(lab) < 0 ? -EIO : r;
}

static void cost_row(const char *name, const struct cost_samples *c)
{
	row(name, NULL, R_INFO, "%.0f ms (%.0f ms CPU)", sample_spread(&c->wall).median,
	    sample_spread(&c->cpu).median);
}

static void compare_row(const struct incumbent *x, const struct cost_samples *ours)
{
	struct spread r = sample_ratio(&ours->wall, &x->cost.wall);
	char what[64];

	cost_row(x->name, &x->cost);
	snprintf(what, sizeof(what), "smtpwall against it");
	row(what, x->goal, x->limit > 0 ? met(r.median <= x->limit) : R_INFO,
	    "%.3fx (CPU %.3fx)", r.median, sample_ratio(&ours->cpu, &x->cost.cpu).median);
}

/* Rounds of everybody once; the first apply of all makes the maps and is left out. */
static int many_rounds(const struct bench *b, const struct lab *lab, int config,
		       struct incumbent *x, size_t n, struct cost_samples *ours)
{
	struct run_cost c;
	int r = apply(b, config, &c);

	for (int i = 0; i < (b->quick ? 1 : 3) && !r; i++) {
		r = apply(b, config, &c);
		if (!r)
			add_cost(ours, &c);
		for (size_t k = 0; k < n && !r; k++)
			x[k].absent = x[k].absent || load_incumbent(lab, &x[k]) < 0;
	}
	return r;
}

static int many(const struct bench *b, struct lab *lab)
{
	struct incumbent x[] = {
		{ .name = "iptables-legacy-restore", .limit = 0.1, .goal = "<= 0.1x",
		  .rules = { LAB_OWNERS, "iptables-legacy-restore", N_ACCOUNTS, "" } },
		{ .name = "nft, one set", .limit = 0.15, .goal = "<= 0.15x",
		  .rules = { LAB_SET, "nft", N_ACCOUNTS, "" } },
		{ .name = "iptables-nft-restore",
		  .rules = { LAB_OWNERS, "iptables-nft-restore", N_ACCOUNTS, "" } },
	};
	size_t n = b->quick ? 2 : ARRAY_SIZE(x);
	_cleanup_close_ int config = write_config(N_ACCOUNTS);
	struct cost_samples ours = { 0 };
	int r = config < 0 ? config : 0;

	for (size_t i = 0; i < n; i++) {
		x[i].text = lab_rules_text(&x[i].rules);
		x[i].client = lab_alone(lab);
		if (x[i].text < 0 || x[i].client < 0)
			r = -EIO;
	}
	if (!r)
		r = many_rounds(b, lab, config, x, n, &ours);
	if (r == -ETIME) {
		row("smtpwall apply", "<= 0.1x", R_MISSED, "more than a minute");
	} else if (!r) {
		cost_row("smtpwall apply, policy in force before", &ours);
		for (size_t i = 0; i < n; i++) {
			if (x[i].absent)
				row(x[i].name, NULL, R_ABSENT, "-");
			else
				compare_row(&x[i], &ours);
		}
	}
	for (size_t i = 0; i < n; i++)
		sw_closep(&x[i].text);
	return r;
}

/* ---- where the time of apply goes ---- */

static void step_row(const char *what, uint64_t *t)
{
	uint64_t now = now_ns();

	row(what, NULL, R_INFO, "%.0f ms", (double)(now - *t) / 1e6);
	*t = now;
}

/* Rows of so many identities go into a table of their own. */
static int row_steps(int fd, const struct sw_policy *p)
{
	_cleanup_free_ struct sw_exempt_key *key = NULL;
	_cleanup_free_ struct sw_exempt_val *val = NULL;
	const uint32_t generation = 2;
	uint64_t t = now_ns();
	int r;

	r = sw_rows_exempt(p, generation, &key, &val);
	if (!r)
		r = sw_rows_write(fd, key, val, sizeof(*key), sizeof(*val), p->n_exempt);
	step_row("  writing the rows", &t);
	if (!r)
		r = sw_rows_verify_exempt(fd, p, generation);
	step_row("  reading them back", &t);
	return r;
}

/* An update of a map in a map waits until no program looks at the old one. */
static int grace_step(void)
{
	_cleanup_close_ int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "bench_in", 4, 4, 1, NULL);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (__u32)inner);
	_cleanup_close_ int outer = -1;
	uint64_t t = now_ns();
	__u32 zero = 0;

	if (inner >= 0)
		outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "bench", 4, 4, 1, &opts);
	if (outer < 0 || bpf_map_update_elem(outer, &zero, &inner, BPF_ANY) < 0)
		return -errno;
	step_row("  waiting for programs that run", &t);
	return 0;
}

static int steps(uint32_t n)
{
	_cleanup_close_ int config = write_config(n);
	struct sw_diag diag = { 0 };
	struct sw_policy p = { 0 };
	struct gate g = { 0 };
	uint64_t t = now_ns();
	char path[64];
	int r;

	config_path(config, path, sizeof(path));
	r = sw_config_load(path, -1, &p, &diag);
	sw_diag_free(&diag);
	if (r < 0)
		return r;
	step_row("  reading the configuration", &t);
	r = gate_open(&(struct gate_opts){ .n_exempt = 1, .max_exempt = n }, &g);
	step_row("  probing features, loading programs", &t);
	if (!r)
		r = row_steps(sw_kern_map_fd(&g.kern, SW_MAP_EXEMPT), &p);
	if (!r)
		r = grace_step();
	gate_close(&g);
	sw_policy_free(&p);
	return r;
}

/* ---- the small ones ---- */

static int default_policy(const struct bench *b)
{
	const char *const empty[] = { b->program, "--version", NULL };
	_cleanup_close_ int config = write_config(0);
	struct cost_samples ours = { 0 }, none = { 0 };
	struct run_cost c;
	int r = config < 0 ? config : apply(b, config, &c);

	for (int i = 0; i < (b->quick ? 5 : 15) && !r; i++) {
		r = apply(b, config, &c);
		add_cost(&ours, &c);
		if (!r)
			r = run_command(empty, -1, &c);
		add_cost(&none, &c);
	}
	if (r < 0)
		return r;
	cost_row("a command that does nothing", &none);
	cost_row("apply of a small policy, one in force before", &ours);
	return 0;
}

static int link_update(const struct bench *b)
{
	struct sample us = { 0 };
	struct gate g[2];
	struct chain c;
	int r = gate_open(&(struct gate_opts){ .n_exempt = 1 }, &g[0]);

	if (!r)
		r = gate_open(&(struct gate_opts){ .n_exempt = 1 }, &g[1]);
	if (!r)
		r = chain_open(b->cgroup_fd, V4, g[0].prog[V4], 1, &c);
	if (r < 0)
		return r;
	for (int i = 0; i < BENCH_ROUNDS && !r; i++) {
		uint64_t t0 = now_ns();

		r = chain_set(&c, g[i % 2].prog[V4]);
		sample_add(&us, (double)(now_ns() - t0) / 1e3);
	}
	chain_close(&c);
	gate_close(&g[0]);
	gate_close(&g[1]);
	row("replacing a program (link update)", NULL, R_INFO, "%.1f us (%.1f-%.1f)",
	    sample_spread(&us).median, sample_spread(&us).low, sample_spread(&us).high);
	return r;
}

int bench_scale(const struct bench *b)
{
	struct lab lab;
	int r = lab_open(&lab);

	if (r < 0)
		return r;
	section("8. 100,000 identities in force");
	r = many(b, &lab);
	if (!r) {
		row("where such an apply spends its time:", NULL, R_INFO, " ");
		r = steps(N_ACCOUNTS);
	}
	turn_off(b);
	lab_close(&lab);
	section("9. Small changes");
	if (!r || r == -ETIME)
		r = default_policy(b);
	turn_off(b);
	return r < 0 ? r : link_update(b);
}
