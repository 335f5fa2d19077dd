/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Maps and programs of an apply. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "apply_int.h"
#include "log.h"
#include "util.h"

const enum sw_map_id sw_apply_keyed[SW_APPLY_N_KEYED] = { SW_MAP_EXEMPT, SW_MAP_ALLOW, SW_MAP_LIMITS,
							     SW_MAP_CGROUP_PATHS, SW_MAP_SOURCES, SW_MAP_LOCAL };

/* How many rows of a map the policy needs, at most. A cgroup has up to two, and while its service
 * is restarted twice as many. */
static size_t rows_of(const struct sw_session *s, enum sw_map_id map)
{
	const struct sw_policy *p = s->policy;
	size_t n = 0, ports = p->n_deny_ports + p->n_count_ports;

	switch (map) {
	case SW_MAP_EXEMPT:
		return p->n_exempt + 4 * p->n_cgroups;
	case SW_MAP_SOURCES:
		return p->n_sources;
	case SW_MAP_LOCAL:
		return s->locals.n;
	case SW_MAP_ALLOW:
		for (size_t i = 0; i < p->n_rules; i++)
			n += p->rules[i].n_dest * (p->rules[i].n_ports ?: ports);
		return n;
	case SW_MAP_LIMITS:
		return p->n_limits;
	case SW_MAP_CGROUP_PATHS:
		return p->n_cgroups;
	default:
		return 0;
	}
}

static uint32_t map_size(int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	return bpf_obj_get_info_by_fd(fd, &info, &len) < 0 ? 0 : info.max_entries;
}

/* Room for two generations, since both are there while programs are swapped, and as much again
 * to grow. A pinned map that is too small is left to the running programs. So is a large one:
 * the kernel drops a map of 100,000 rows at once, and taking them out one by one costs more than
 * all the rest of an apply. */
static void plan_map(struct sw_session *s, enum sw_map_id map, size_t rows)
{
	uint32_t need = (uint32_t)rows + 1, have;

	if (s->live.map_fd[map] < 0)
		return;
	have = map_size(s->live.map_fd[map]);
	s->replaced[map] = have < need * 2 || have > SW_APPLY_SMALL_MAP;
}

void sw_apply_plan_maps(struct sw_session *s)
{
	for (size_t i = 0; i < SW_APPLY_N_KEYED; i++)
		plan_map(s, sw_apply_keyed[i], rows_of(s, sw_apply_keyed[i]));
}

static void size_map(const struct sw_session *s, struct sw_load *l, enum sw_map_id map, size_t rows)
{
	uint32_t need = (uint32_t)rows + 1;

	l->max_entries[map] = need * 4 < SW_APPLY_SMALL_MAP ? SW_APPLY_SMALL_MAP : need * 4;
	if (s->replaced[map])
		l->map_fd[map] = -1;
}

/* What the kernel does not take although the features for it are there is left out, and named: it
 * must not keep the gate down. */
static int load_programs(struct sw_session *s, struct sw_load *l)
{
	enum sw_object failed;
	int r;

	for (;;) {
		l->settings = s->settings;
		r = sw_kern_load(l, &s->kern, &failed);
		if (r >= 0 || !sw_kern_do_without(&s->settings, failed))
			return r;
		log_warn("the kernel does not accept the programs for %s: %s; the gate is not affected, "
			 "but this is lost; run with -v for the kernel's reasons",
			 sw_kern_object_name(failed), strerror(-r));
	}
}

int sw_apply_load(struct sw_session *s)
{
	struct sw_load l = { .cgroup_fd = s->cgroup_fd };
	int r;

	memcpy(l.map_fd, s->live.map_fd, sizeof(l.map_fd));
	for (size_t i = 0; i < SW_APPLY_N_KEYED; i++)
		size_map(s, &l, sw_apply_keyed[i], rows_of(s, sw_apply_keyed[i]));
	l.max_entries[SW_MAP_UID_STATS] = s->policy->max_uids;
	/* Of each account a window for each channel that has a limit, and those of the whole server. */
	l.max_entries[SW_MAP_USAGE] = s->policy->max_uids *
				      (uint32_t)(__builtin_popcount(s->settings.limit_channels) ?: 1) +
				      (uint32_t)s->policy->n_rules + _SW_CHANNEL_MAX;
	l.max_entries[SW_MAP_DENIED] = s->policy->max_uids;
	l.max_entries[SW_MAP_HOURS] = s->policy->max_uids;
	l.max_entries[SW_MAP_ORIGINS] = s->policy->max_origins;
	l.max_entries[SW_MAP_DESTS] = s->policy->max_origins;
	/* Most accounts connect to nobody: only who may has an outcome. */
	l.max_entries[SW_MAP_OUTCOMES] = 2 * s->policy->max_origins;
	l.max_entries[SW_MAP_EVENTS] = s->policy->event_buffer;
	r = load_programs(s, &l);
	if (r == -EINVAL && s->live.exists)
		return log_err(r, "the programs do not load on the maps in %s, which another build may "
			       "have made; the running policy stays; 'smtpwall off' and 'smtpwall apply' "
			       "start afresh", s->pins.dir);
	if (r < 0)
		return log_err(r, "the kernel does not accept the programs; run with -v for its reasons");
	return 0;
}
