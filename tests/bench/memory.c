/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernel memory of all maps, as the kernel accounts it, with many active accounts. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "gate.h"
#include "report.h"
#include "rows.h"
#include "util.h"

#define MIB	(1024.0 * 1024.0)

/* memlock of a descriptor's fdinfo; kernels before 6.4 give an estimate for a full table. */
uint64_t bench_map_bytes(int fd)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long n = 0;
	char path[64], line[128];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &n) == 1)
			break;
	return n;
}

static double total_mib(const struct gate *g)
{
	uint64_t sum = 0;

	for (int i = 0; i < _SW_MAP_MAX; i++)
		sum += bench_map_bytes(sw_kern_map_fd(&g->kern, (enum sw_map_id)i));
	return (double)sum / MIB;
}

static int fill(int fd, size_t key_size, size_t value_size, uint32_t n,
		void (*make_key)(void *key, uint32_t uid))
{
	_cleanup_free_ char *keys = calloc(n, key_size);
	_cleanup_free_ char *values = calloc(n, value_size);

	if (!keys || !values)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		make_key(keys + i * key_size, BENCH_EXEMPT + i);
	return sw_rows_write(fd, keys, values, key_size, value_size, n);
}

static void account_key(void *key, uint32_t uid)
{
	*(struct sw_uid_key *)key = (struct sw_uid_key){ .uid = uid, .row = SW_ROW_UID };
}

static void origin_key(void *key, uint32_t uid)
{
	*(struct sw_origin_key *)key = (struct sw_origin_key){ .uid = uid, .dev = 1, .ino = uid };
}

/* The default tables where they are large enough for the accounts. */
static int measure(uint32_t n, uint32_t max_uids, double limit, const char *goal)
{
	struct sw_policy p;
	struct gate g;
	uint32_t origins;
	char what[64];
	int r = gate_open(&(struct gate_opts){ .n_exempt = 10, .max_uids = max_uids }, &g);

	if (r < 0)
		return r;
	r = fill(sw_kern_map_fd(&g.kern, SW_MAP_UID_STATS), sizeof(struct sw_uid_key),
		 sizeof(struct sw_uid_stats), n, account_key);
	snprintf(what, sizeof(what), "%u active accounts", n);
	row(what, goal, met(total_mib(&g) <= limit), "%.2f MiB", total_mib(&g));

	if (!r)
		r = sw_policy_default(&p);
	if (r < 0) {
		gate_close(&g);
		return r;
	}
	origins = n < p.max_origins ? n : p.max_origins;
	sw_policy_free(&p);
	r = fill(sw_kern_map_fd(&g.kern, SW_MAP_ORIGINS), sizeof(struct sw_origin_key),
		 sizeof(struct sw_origin), origins, origin_key);
	snprintf(what, sizeof(what), "and %u directories", origins);
	row(what, NULL, R_INFO, "%.2f MiB", total_mib(&g));
	gate_close(&g);
	return r;
}

int bench_memory(const struct bench *b)
{
	struct gate g;
	int r = gate_open(&(struct gate_opts){ .n_exempt = 10 }, &g);

	(void)b;
	if (r < 0)
		return r;
	section("10. Kernel memory of all maps, event buffer included");
	row("nobody has sent yet", NULL, R_INFO, "%.2f MiB", total_mib(&g));
	gate_close(&g);
	r = measure(1000, 0, 2, "<= 2 MiB");
	return r < 0 ? r : measure(100000, 131072, 16, "<= 16 MiB");
}
