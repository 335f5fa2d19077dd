/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rows of an apply: the new generation's are written, others deleted. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "apply_int.h"
#include "cgroup.h"
#include "control.h"
#include "rows.h"
#include "usage.h"
#include "util.h"

/* Rows that have to be there before the first connect: where a full table counts. */
static int write_overflow_rows(const struct sw_kern *k)
{
	const struct sw_uid_key uid = { .uid = 0, .row = SW_ROW_OVERFLOW };
	const struct sw_origin_key origin = { .dev = SW_DEV_NONE, .ino = SW_ROW_OVERFLOW };
	const struct sw_uid_stats stats = {};
	const struct sw_origin zero = {};

	if (bpf_map_update_elem(sw_kern_map_fd(k, SW_MAP_UID_STATS), &uid, &stats, BPF_NOEXIST) < 0 &&
	    errno != EEXIST)
		return -errno;
	if (bpf_map_update_elem(sw_kern_map_fd(k, SW_MAP_ORIGINS), &origin, &zero, BPF_NOEXIST) < 0 &&
	    errno != EEXIST)
		return -errno;
	return 0;
}

static int write_exempt(const struct sw_session *s, int fd)
{
	_cleanup_free_ struct sw_exempt_key *key = NULL;
	_cleanup_free_ struct sw_exempt_val *val = NULL;
	uint32_t generation = s->settings.generation;
	int r = sw_rows_exempt(s->policy, generation, &key, &val);

	if (!r)
		r = sw_rows_write(fd, key, val, sizeof(*key), sizeof(*val), s->policy->n_exempt);
	return r ?: sw_rows_verify_exempt(fd, s->policy, generation);
}

/* Rows of one of the other maps: written, and read back. */
static int write_rows(const struct sw_session *s, enum sw_map_id map,
		      int (*make)(const struct sw_policy *, uint32_t, struct sw_rows *))
{
	int fd = sw_kern_map_fd(&s->kern, map), r;
	struct sw_rows rows;

	r = make(s->policy, s->settings.generation, &rows);
	if (r < 0)
		return r;
	r = sw_rows_store(fd, &rows);
	if (!r)
		r = sw_rows_verify(fd, &rows, s->settings.generation);
	sw_rows_free(&rows);
	return r;
}

/* Cgroups that are there. Those that come from now on are seen by the programs of s->watch. */
static int write_cgroups(const struct sw_session *s)
{
	int fd = sw_kern_map_fd(&s->kern, SW_MAP_EXEMPT), r = 0;

	for (size_t i = 0; i < s->policy->n_cgroups && !r; i++) {
		const struct sw_policy_cgroup *c = &s->policy->cgroups[i];
		uint64_t id = 0;

		r = sw_cgroup_find(s->root_fd, c->path, &id);
		if (r == -ENOENT)
			r = 0;
		else if (!r)
			r = sw_rows_store_cgroup(fd, s->settings.generation, c, id);
	}
	return r;
}

/* Writes the new generation completely and reads it back, while nothing looks at it yet. */
int sw_apply_write_rows(const struct sw_session *s)
{
	int fd = sw_kern_map_fd(&s->kern, SW_MAP_EXEMPT);
	uint32_t generation = s->settings.generation;
	int r;

	r = write_exempt(s, fd);
	if (!r)
		r = write_rows(s, SW_MAP_ALLOW, sw_rows_allow);
	if (!r)
		r = write_rows(s, SW_MAP_LIMITS, sw_rows_limits);
	if (!r)
		r = write_rows(s, SW_MAP_CGROUP_PATHS, sw_rows_cgroup_paths);
	if (!r)
		r = write_cgroups(s);
	if (!r)
		r = sw_rows_write_sources(sw_kern_map_fd(&s->kern, SW_MAP_SOURCES), s->policy,
					  generation);
	if (!r)
		r = sw_locals_store(sw_kern_map_fd(&s->kern, SW_MAP_LOCAL),
				    sw_kern_map_fd(&s->kern, SW_MAP_CONTROL), generation,
				    &s->locals);
	if (!r)
		r = write_overflow_rows(&s->kern);
	if (!r)
		r = sw_usage_make(sw_kern_map_fd(&s->kern, SW_MAP_USAGE), s->policy);
	if (!r)
		r = sw_control_write(sw_kern_map_fd(&s->kern, SW_MAP_CONTROL));
	return r;
}

/* Deletes the rows of the new generation (`keep` false) or of all others (`keep` true). */
int sw_apply_delete_rows(const struct sw_session *s, bool keep)
{
	int r = 0;

	for (size_t i = 0; i < SW_APPLY_N_KEYED; i++) {
		int one;

		if (s->replaced[sw_apply_keyed[i]])
			continue;	/* it has no rows but ours, or goes as a whole */
		one = sw_rows_delete(sw_kern_map_fd(&s->kern, sw_apply_keyed[i]),
				     &s->settings.generation, 1, keep);

		if (one < 0)
			r = one;
	}
	return r;
}

/* While a policy is on trial: the generation that may come back. 0: none. */
static uint32_t held_generation(const struct sw_live *l)
{
	struct sw_control *c = sw_control_map(l->map_fd[SW_MAP_CONTROL]);
	uint32_t held = 0;

	if (!c)
		return 0;
	if (__atomic_load_n(&c->revert_ns, __ATOMIC_SEQ_CST))
		held = __atomic_load_n(&c->before, __ATOMIC_SEQ_CST);
	sw_control_unmap(c);
	return held;
}

/* Rows of applies that were killed before they came into force, or before they removed the old
 * ones. Left alone they would fill the tables, and no apply could write its own any more. */
int sw_apply_delete_strays(const struct sw_session *s)
{
	const struct sw_live *l = &s->live;
	uint32_t used[_SW_HOOK_MAX + 1], held = held_generation(l);
	size_t n = 0;
	int r = 0;

	for (int i = 0; i < _SW_HOOK_MAX; i++)
		if (l->link[i].ours)
			used[n++] = l->link[i].settings.generation;
	if (n && held)
		used[n++] = held;
	for (size_t i = 0; i < SW_APPLY_N_KEYED && !r; i++) {
		int fd = l->map_fd[sw_apply_keyed[i]];

		if (fd < 0 || s->replaced[sw_apply_keyed[i]])
			continue;
		/* With no link of ours in sight a program may still run on any rows: all stay for
		 * now, but those in our own way. */
		if (n)
			r = sw_rows_delete(fd, used, n, true);
		else
			r = sw_rows_delete(fd, &s->settings.generation, 1, false);
	}
	return r;
}

/* The old generation's rows may only go when no program still looks at them. Updating a map in
 * a map waits for all programs that run, and knows no exceptions. */
int sw_apply_grace(void)
{
	_cleanup_close_ int inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "sw_grace_in", 4, 4, 1, NULL);
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (__u32)inner);
	_cleanup_close_ int outer = -1;
	__u32 zero = 0;

	if (inner < 0)
		return -errno;
	outer = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "sw_grace", 4, 4, 1, &opts);
	if (outer < 0 || bpf_map_update_elem(outer, &zero, &inner, BPF_ANY) < 0)
		return -errno;
	return 0;
}
