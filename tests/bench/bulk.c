/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A large policy of both kinds: exempt accounts and allow rules. Time and memory. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bench.h"
#include "gate.h"
#include "lab.h"
#include "live.h"
#include "pins.h"
#include "report.h"
#include "run.h"
#include "util.h"

#define N_USERS	100000
#define N_RULES	10000
#define LINE	180	/* characters: what the parser of the file takes, with some room */
#define MIB	(1024.0 * 1024.0)

static const char *const files[] = { "smtpwall.conf", "conf.d/users.conf", "conf.d/rules.conf" };

/* ---- the configuration, in files: more than one may hold ---- */

static void file_path(const char *scratch, const char *name, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/bulk/%s", scratch, name);
}

void bench_bulk_remove(const char *scratch)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		file_path(scratch, files[i], path);
		unlink(path);
	}
	file_path(scratch, "conf.d", path);
	rmdir(path);
	file_path(scratch, "", path);
	rmdir(path);
}

static void write_users(FILE *f)
{
	int col = fprintf(f, "[exempt]\nusers =");

	for (uint32_t i = 0; i < N_USERS; i++) {
		if (col > LINE - 8)
			col = fprintf(f, "\n\t");
		col += fprintf(f, " %u", BENCH_EXEMPT + i);
	}
	fputc('\n', f);
}

static void write_rules(FILE *f)
{
	fprintf(f, "[allow]\n");
	for (uint32_t i = 0; i < N_RULES; i++)
		fprintf(f, "rule = user %u to 198.51.100.%u port 25\n",
			BENCH_EXEMPT + N_USERS + i, i % 256);
}

static void write_head(FILE *f)
{
	fprintf(f, "[exempt]\nmta = none\nusers = root\n");
}

static int write_config(const char *scratch)
{
	static void (*const write[])(FILE *) = { write_head, write_users, write_rules };
	char path[PATH_MAX];

	file_path(scratch, "", path);
	if (mkdir(path, 0755) < 0)
		return -errno;
	file_path(scratch, "conf.d", path);
	if (mkdir(path, 0755) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		FILE *f;

		file_path(scratch, files[i], path);
		f = fopen(path, "we");
		if (!f)
			return -errno;
		write[i](f);
		if (fclose(f) != 0)
			return -errno;
	}
	return 0;
}

/* ---- what loads it ---- */

/* Somebody who brings as many rules into force. */
struct loader {
	const char *name;
	const char *argv[12];
	int in;			/* its rules; -1: none */
	int client;		/* namespace it works in; -1: the host */
	bool absent;
	struct sample ms;
	long peak_kib;		/* of the process */
	double kernel_mib;
};

/* Kernel memory of the whole machine: tables of any kind are in one of these. */
static double kernel_mib(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/meminfo", "re");
	unsigned long long sum = 0, kib;
	char line[128];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Slab: %llu", &kib) == 1 ||
		    sscanf(line, "VmallocUsed: %llu", &kib) == 1 ||
		    sscanf(line, "Percpu: %llu", &kib) == 1)
			sum += kib;
	return (double)sum / 1024;
}

static int enter(const struct lab *lab, const struct loader *l)
{
	return l->client < 0 ? 0 : lab_enter(lab, l->client);
}

/* Once for the memory, which the first time takes. */
static int load_first(const struct lab *lab, struct loader *l, bool timed)
{
	double before = kernel_mib();
	uint64_t t0 = now_ns();
	int r = enter(lab, l);

	if (!r)
		r = run_peak(l->argv, l->in, &l->peak_kib);
	if (!r && timed)
		sample_add(&l->ms, (double)(now_ns() - t0) / 1e6);
	if (lab_home(lab) < 0)
		return -EIO;
	l->kernel_mib = kernel_mib() - before;
	return r;
}

static int load_again(const struct lab *lab, struct loader *l)
{
	struct run_cost c;
	int r = enter(lab, l);

	if (!r)
		r = run_command(l->argv, l->in, &c);
	if (lab_home(lab) < 0)
		return -EIO;
	if (!r)
		sample_add(&l->ms, c.wall_ms);
	return r;
}

/* The first loader is ours: without it there is nothing to compare. In a quick run the others
 * load once. */
static int measure(const struct bench *b, const struct lab *lab, struct loader *l, size_t n)
{
	int r = 0;

	for (size_t i = 0; i < n && !r; i++) {
		int one = load_first(lab, &l[i], b->quick && i);

		l[i].absent = one < 0;
		r = i ? 0 : one;
	}
	for (int round = 0; round < (b->quick ? 1 : 3) && !r; round++)
		for (size_t i = 0; i < (b->quick ? 1 : n) && !r; i++)
			if (!l[i].absent)
				r = load_again(lab, &l[i]);
	return r;
}

static double maps_mib(const struct bench *b)
{
	struct sw_pins pins;
	struct sw_live live;
	uint64_t sum = 0;
	int r = sw_pins_open(b->pin_dir, false, &pins);

	if (r < 0)
		return 0;
	r = sw_live_open(pins.dir, &live);
	sw_pins_close(&pins);
	if (r < 0)
		return 0;
	for (int i = 0; i < _SW_MAP_MAX; i++)
		if (live.map_fd[i] >= 0)
			sum += bench_map_bytes(live.map_fd[i]);
	sw_live_close(&live);
	return (double)sum / MIB;
}

static void report(const struct bench *b, const struct loader *l, size_t n)
{
	char what[64];

	for (size_t i = 0; i < n; i++) {
		if (l[i].absent) {
			row(l[i].name, NULL, R_ABSENT, "-");
			continue;
		}
		row(l[i].name, NULL, R_INFO, "%.0f ms", sample_spread(&l[i].ms).median);
		snprintf(what, sizeof(what), "  its process, at most");
		row(what, NULL, R_INFO, "%.0f MiB", (double)l[i].peak_kib / 1024);
		snprintf(what, sizeof(what), "  kernel memory afterwards, about");
		row(what, NULL, R_INFO, "%.0f MiB", l[i].kernel_mib);
		if (!i) {
			row("  of it maps, as the kernel accounts them", NULL, R_INFO, "%.1f MiB",
			    maps_mib(b));
			continue;
		}
		row("  smtpwall against it, time", NULL, R_INFO, "%.3fx",
		    sample_ratio(&l[0].ms, &l[i].ms).median);
	}
}

static int compare(const struct bench *b, struct lab *lab)
{
	char path[PATH_MAX];
	struct loader l[] = {
		{ .name = "smtpwall apply, policy in force before", .in = -1, .client = -1,
		  .argv = { b->program, "apply", "--force", "--config", path, "--cgroup", b->cgroup,
			    "--pin-dir", b->pin_dir } },
		{ .name = "iptables-legacy-restore, as many owner rules",
		  .argv = { "iptables-legacy-restore" } },
		{ .name = "iptables-nft-restore", .argv = { "iptables-nft-restore" } },
	};
	size_t n = b->quick ? 2 : ARRAY_SIZE(l);
	int r;

	file_path(b->scratch, files[0], path);
	for (size_t i = 1; i < n; i++) {
		l[i].in = lab_rules_text(&(struct lab_ruleset){
			.kind = LAB_OWNERS, .accounts = N_USERS + N_RULES, .reject = "" });
		l[i].client = lab_alone(lab);
		if (l[i].in < 0 || l[i].client < 0)
			return -EIO;
	}
	r = measure(b, lab, l, n);
	if (!r)
		report(b, l, n);
	for (size_t i = 1; i < n; i++)
		sw_closep(&l[i].in);
	return r;
}

int bench_bulk(const struct bench *b)
{
	const char *const off[] = { b->program, "off", "--cgroup", b->cgroup, "--pin-dir",
				    b->pin_dir, NULL };
	struct lab lab;
	int r = write_config(b->scratch);

	if (!r)
		r = lab_open(&lab);
	if (r < 0)
		return r;
	section("13. 100,000 exempt accounts and 10,000 allow rules in force");
	r = compare(b, &lab);
	run_command(off, -1, NULL);
	lab_close(&lab);
	bench_bulk_remove(b->scratch);
	return r;
}
