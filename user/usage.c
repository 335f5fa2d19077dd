/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "control.h"
#include "mapread.h"
#include "usage.h"
#include "util.h"
#include "window.bpf.h"

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
	sw_window_turn(u, hour);
}

static int make(int fd, enum sw_kind kind, enum sw_channel channel, uint64_t id)
{
	const struct sw_usage_key key = { id, kind, channel };
	const struct sw_usage empty = {};

	return bpf_map_update_elem(fd, &key, &empty, BPF_NOEXIST) < 0 && errno != EEXIST ? -errno : 0;
}

static bool is_limited(const struct sw_allow_rule *r)
{
	return sw_quota_limits(r->quota);
}

int sw_usage_make(int fd, const struct sw_policy *p)
{
	int r = 0;

	for (int i = 0; i < _SW_CHANNEL_MAX && !r; i++)
		r = make(fd, SW_KIND_SERVER, (enum sw_channel)i, 0);
	for (size_t i = 0; i < p->n_rules && !r; i++)
		if (is_limited(&p->rules[i]))
			r = make(fd, SW_KIND_RULE, SW_CHANNEL_DIRECT, p->rules[i].id);
	return r;
}

static bool has_rule(const struct sw_policy *p, uint64_t id)
{
	const struct sw_allow_rule *r = sw_policy_find_rule(p, id);

	return r && is_limited(r);
}

int sw_usage_prune(int fd, const struct sw_policy *p)
{
	struct sw_map_dump d;
	int r = sw_map_dump(fd, &d);

	if (r < 0)
		return r;
	for (size_t i = 0; i < d.n && !r; i++) {
		struct sw_usage_key key;

		memcpy(&key, sw_map_key(&d, i), sizeof(key));
		if (key.kind == SW_KIND_RULE && !has_rule(p, key.id) &&
		    bpf_map_delete_elem(fd, &key) < 0 && errno != ENOENT)
			r = -errno;
	}
	sw_map_dump_free(&d);
	return r;
}

int sw_usage_get_channel(const struct sw_live *l, enum sw_kind kind, enum sw_channel channel,
			 uint64_t id, struct sw_usage *ret)
{
	const struct sw_usage_key key = { id, kind, channel };

	return bpf_map_lookup_elem_flags(l->map_fd[SW_MAP_USAGE], &key, ret, BPF_F_LOCK) < 0 ? -errno : 0;
}

int sw_usage_get(const struct sw_live *l, enum sw_kind kind, uint64_t id, struct sw_usage *ret)
{
	return sw_usage_get_channel(l, kind, SW_CHANNEL_DIRECT, id, ret);
}

int sw_usage_reset(const struct sw_live *l, enum sw_kind kind, uint64_t id)
{
	const struct sw_usage empty = {};

	for (int i = 0; i < _SW_CHANNEL_MAX; i++) {
		const struct sw_usage_key key = { id, kind, (enum sw_channel)i };

		if (bpf_map_update_elem(l->map_fd[SW_MAP_USAGE], &key, &empty, BPF_EXIST | BPF_F_LOCK) < 0 &&
		    errno != ENOENT)
			return -errno;
	}
	return 0;
}

/* First the row, then the word that says there is one: see clear_word(). */
int sw_deny_uid(const struct sw_live *l, uint32_t uid, uint32_t seconds, enum sw_denied_by by)
{
	struct sw_control *c = sw_control_map(l->map_fd[SW_MAP_CONTROL]);
	struct sw_denied d = { .since_ns = mono_ns(), .by = by };

	if (!c)
		return -errno;
	d.until_ns = seconds ? d.since_ns + seconds * NSEC_PER_SEC : UINT64_MAX;
	if (bpf_map_update_elem(l->map_fd[SW_MAP_DENIED], &uid, &d, BPF_ANY) < 0) {
		int r = -errno;

		sw_control_unmap(c);
		return r;
	}
	__atomic_fetch_add(&c->denies, 1, __ATOMIC_SEQ_CST);
	sw_control_unmap(c);
	return 0;
}

/* `before` was read from c->denies before the map was looked at, and whoever denies writes the row
 * first and then adds to that word. So a deny that came meanwhile leaves the two words different,
 * and one that was read is seen in the map. Storing an old value only costs lookups. */
static int clear_word(struct sw_control *c, int fd, uint32_t before)
{
	uint32_t uid;

	if (bpf_map_get_next_key(fd, NULL, &uid) == 0)
		return 0;
	if (errno != ENOENT)
		return -errno;
	__atomic_store_n(&c->denies_gone, before, __ATOMIC_SEQ_CST);
	return 0;
}

int sw_deny_release(const struct sw_live *l, uint32_t uid)
{
	struct sw_control *c = sw_control_map(l->map_fd[SW_MAP_CONTROL]);
	int fd = l->map_fd[SW_MAP_DENIED], r;
	uint32_t before;

	if (!c)
		return -errno;
	before = __atomic_load_n(&c->denies, __ATOMIC_SEQ_CST);
	r = bpf_map_delete_elem(fd, &uid) < 0 ? -errno : clear_word(c, fd, before);
	sw_control_unmap(c);
	return r;
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
			.left_s = denied.until_ns == UINT64_MAX ? UINT64_MAX :
				  (denied.until_ns - now + NSEC_PER_SEC - 1) / NSEC_PER_SEC,
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

static bool is_old(const struct sw_denied *d, uint64_t now)
{
	return d->until_ns < now && now - d->until_ns > HOUR * NSEC_PER_SEC;
}

/* A deny may come while its old row is taken out: then it goes in again. */
static int remove_row(int fd, uint32_t uid, uint64_t now)
{
	struct sw_denied gone;

	if (bpf_map_lookup_and_delete_elem(fd, &uid, &gone) < 0)
		return errno == ENOENT ? 0 : -errno;
	if (!is_old(&gone, now) && bpf_map_update_elem(fd, &uid, &gone, BPF_NOEXIST) < 0 &&
	    errno != EEXIST)
		return -errno;
	return 0;
}

int sw_denied_prune(const struct sw_live *l)
{
	struct sw_control *c = sw_control_map(l->map_fd[SW_MAP_CONTROL]);
	int fd = l->map_fd[SW_MAP_DENIED], r;
	uint64_t now = mono_ns();
	struct sw_map_dump d = {};
	uint32_t before;

	if (!c)
		return -errno;
	before = __atomic_load_n(&c->denies, __ATOMIC_SEQ_CST);
	r = before != c->denies_gone ? sw_map_dump(fd, &d) : 1;
	for (size_t i = 0; !r && i < d.n; i++) {
		struct sw_denied denied;
		uint32_t uid;

		memcpy(&denied, sw_map_value(&d, i), sizeof(denied));
		memcpy(&uid, sw_map_key(&d, i), sizeof(uid));
		if (is_old(&denied, now))
			r = remove_row(fd, uid, now);
	}
	sw_map_dump_free(&d);
	if (!r)
		r = clear_word(c, fd, before);
	sw_control_unmap(c);
	return r > 0 ? 0 : r;
}
