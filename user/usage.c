/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "control.h"
#include "mapread.h"
#include "usage.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000ULL
#define HOUR		3600

static uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint32_t sw_usage_hour(const struct sw_live *l)
{
	struct sw_control *c = sw_control_map(l->map_fd[SW_MAP_CONTROL]);
	int64_t offset = 0;
	uint64_t now;

	if (!c)
		return 0;
	now = (mono_ns() + c->wall_offset_ns) / NSEC_PER_SEC;
	for (int i = 0; i < SW_ZONES; i++)
		if (now >= c->zone[i].from_s)
			offset = c->zone[i].offset_s;
	sw_control_unmap(c);
	return (uint32_t)((now + (uint64_t)offset) / HOUR);
}

void sw_usage_turn(struct sw_usage *u, uint32_t hour)
{
	if (hour == u->hour || hour + 1 == u->hour)
		return;
	if (hour / 24 != u->hour / 24)
		u->day_used = 0;
	u->hour_used = 0;
	u->hour = hour;
}

int sw_usage_get(const struct sw_live *l, enum sw_kind kind, uint64_t id, struct sw_usage *ret)
{
	const struct sw_usage_key key = { id, kind, SW_CHANNEL_DIRECT };

	return bpf_map_lookup_elem_flags(l->map_fd[SW_MAP_USAGE], &key, ret, BPF_F_LOCK) < 0 ? -errno : 0;
}

int sw_usage_reset(const struct sw_live *l, enum sw_kind kind, uint64_t id)
{
	const struct sw_usage_key key = { id, kind, SW_CHANNEL_DIRECT };
	const struct sw_usage empty = {};

	if (bpf_map_update_elem(l->map_fd[SW_MAP_USAGE], &key, &empty, BPF_EXIST | BPF_F_LOCK) < 0)
		return errno == ENOENT ? 0 : -errno;
	return 0;
}

/* First the row, then the word that says there is one. */
int sw_deny_uid(const struct sw_live *l, uint32_t uid, uint32_t seconds, enum sw_denied_by by)
{
	struct sw_control *c = sw_control_map(l->map_fd[SW_MAP_CONTROL]);
	struct sw_denied d = { .since_ns = mono_ns(), .by = by };

	if (!c)
		return -errno;
	d.until_ns = d.since_ns + seconds * NSEC_PER_SEC;
	if (bpf_map_update_elem(l->map_fd[SW_MAP_DENIED], &uid, &d, BPF_ANY) < 0) {
		int r = -errno;

		sw_control_unmap(c);
		return r;
	}
	__atomic_store_n(&c->any_denied, 1, __ATOMIC_SEQ_CST);
	sw_control_unmap(c);
	return 0;
}

/* The word is cleared before the map is looked at once more: a deny that comes meanwhile sets it
 * again, or is found here. */
static int clear_word(const struct sw_live *l)
{
	struct sw_control *c = sw_control_map(l->map_fd[SW_MAP_CONTROL]);
	uint32_t uid;

	if (!c)
		return -errno;
	__atomic_store_n(&c->any_denied, 0, __ATOMIC_SEQ_CST);
	if (bpf_map_get_next_key(l->map_fd[SW_MAP_DENIED], NULL, &uid) == 0 || errno != ENOENT)
		__atomic_store_n(&c->any_denied, 1, __ATOMIC_SEQ_CST);
	sw_control_unmap(c);
	return 0;
}

int sw_deny_release(const struct sw_live *l, uint32_t uid)
{
	uint32_t first;

	if (bpf_map_delete_elem(l->map_fd[SW_MAP_DENIED], &uid) < 0)
		return -errno;
	if (bpf_map_get_next_key(l->map_fd[SW_MAP_DENIED], NULL, &first) == 0)
		return 0;
	return clear_word(l);
}

int sw_denied_list(const struct sw_live *l, struct sw_denied_row **ret, size_t *ret_n)
{
	struct sw_denied_row *row;
	uint64_t now = mono_ns();
	struct sw_map_dump d;
	size_t n = 0;
	int r = sw_map_dump(l->map_fd[SW_MAP_DENIED], &d);

	if (r < 0)
		return r;
	row = calloc(d.n + 1, sizeof(*row));
	for (size_t i = 0; row && i < d.n; i++) {
		struct sw_denied denied;
		uint32_t uid;

		memcpy(&uid, sw_map_key(&d, i), sizeof(uid));
		memcpy(&denied, sw_map_value(&d, i), sizeof(denied));
		if (denied.until_ns <= now)
			continue;
		row[n++] = (struct sw_denied_row){
			.uid = uid,
			.left_s = (denied.until_ns - now + NSEC_PER_SEC - 1) / NSEC_PER_SEC,
			.by = (enum sw_denied_by)denied.by,
		};
	}
	sw_map_dump_free(&d);
	if (!row)
		return -ENOMEM;
	*ret = row;
	*ret_n = n;
	return 0;
}

int sw_denied_prune(const struct sw_live *l)
{
	uint64_t now = mono_ns();
	struct sw_map_dump d;
	size_t gone = 0;
	int r = sw_map_dump(l->map_fd[SW_MAP_DENIED], &d);

	if (r < 0)
		return r;
	for (size_t i = 0; i < d.n; i++) {
		struct sw_denied denied;

		memcpy(&denied, sw_map_value(&d, i), sizeof(denied));
		if (denied.until_ns + HOUR * NSEC_PER_SEC >= now)
			continue;
		if (bpf_map_delete_elem(l->map_fd[SW_MAP_DENIED], sw_map_key(&d, i)) == 0)
			gone++;
	}
	r = gone && gone == d.n ? clear_word(l) : 0;
	sw_map_dump_free(&d);
	return r;
}
