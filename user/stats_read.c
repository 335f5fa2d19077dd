/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The tables as the kernel has them. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>

#include "stats.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000LL

static int read_counters(int fd, uint64_t ret[_SW_CTR_MAX])
{
	int n = libbpf_num_possible_cpus();
	_cleanup_free_ __u64 *cpu = n > 0 ? calloc((size_t)n, sizeof(*cpu)) : NULL;

	if (!cpu)
		return n > 0 ? -ENOMEM : n;
	for (__u32 i = 0; i < _SW_CTR_MAX; i++) {
		if (bpf_map_lookup_elem(fd, &i, cpu) < 0)
			return -errno;
		ret[i] = 0;
		for (int j = 0; j < n; j++)
			ret[i] += cpu[j];
	}
	return 0;
}

static int rows_max(int fd, uint64_t *ret)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	*ret = info.max_entries;
	return 0;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* What is not there yet is no error for the detail tables. */
static int dump_all(const struct sw_live *l, struct sw_stats_raw *raw)
{
	const struct { enum sw_map_id map; struct sw_map_dump *to; } all[] = {
		{ SW_MAP_UID_STATS, &raw->uids }, { SW_MAP_ORIGINS, &raw->origins },
		{ SW_MAP_HOURS, &raw->hours },	  { SW_MAP_DESTS, &raw->dests },
		{ SW_MAP_CGROUPS, &raw->cgroups }, { SW_MAP_OUTCOMES, &raw->outcomes },
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(all) && !r; i++)
		if (l->map_fd[all[i].map] >= 0)
			r = sw_map_dump(l->map_fd[all[i].map], all[i].to);
	return r;
}

static void free_raw(struct sw_stats_raw *raw)
{
	sw_map_dump_free(&raw->uids);
	sw_map_dump_free(&raw->origins);
	sw_map_dump_free(&raw->hours);
	sw_map_dump_free(&raw->dests);
	sw_map_dump_free(&raw->cgroups);
	sw_map_dump_free(&raw->outcomes);
}

int sw_stats_read(const struct sw_live *l, struct sw_stats *ret)
{
	struct sw_stats_raw raw = {};
	int r;

	if (l->map_fd[SW_MAP_UID_STATS] < 0 || l->map_fd[SW_MAP_ORIGINS] < 0 ||
	    l->map_fd[SW_MAP_COUNTERS] < 0)
		return -ENOENT;
	r = rows_max(l->map_fd[SW_MAP_UID_STATS], &raw.uid_rows_max);
	if (!r)
		r = rows_max(l->map_fd[SW_MAP_ORIGINS], &raw.origin_rows_max);
	if (r < 0)
		return r;
	raw.wall_ns = clock_ns(CLOCK_REALTIME);
	raw.mono_ns = clock_ns(CLOCK_MONOTONIC);
	r = dump_all(l, &raw);
	if (!r)
		r = read_counters(l->map_fd[SW_MAP_COUNTERS], raw.counters);
	if (!r)
		r = sw_stats_build(&raw, ret);
	free_raw(&raw);
	return r;
}
