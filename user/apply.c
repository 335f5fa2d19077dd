/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "apply.h"
#include "attach.h"
#include "cgroup.h"
#include "control.h"
#include "kern.h"
#include "live.h"
#include "locals.h"
#include "log.h"
#include "pins.h"
#include "probe.h"
#include "rows.h"
#include "usage.h"
#include "util.h"

#define SMALL_MAP	4096	/* entries; a larger one is replaced, not cleaned */

/* Everything one apply works on. */
struct session {
	const struct sw_policy *policy;
	struct sw_pins pins;
	struct sw_live live;
	struct sw_features features;
	struct sw_settings settings;
	struct sw_kern kern;
	struct sw_watch watch;
	int root_fd;		/* of the v2 hierarchy, for cgroups of the policy; -1: none named */
	int cgroup_fd;
	char *cgroup_path;
	char *staged;		/* directory to be published, or NULL: pins.dir is there */
	struct sw_addrs locals;
	bool replaced[_SW_MAP_MAX];	/* a larger map takes the place of the pinned one */
};

/* Maps whose rows belong to a generation. */
static const enum sw_map_id keyed[] = { SW_MAP_EXEMPT, SW_MAP_ALLOW, SW_MAP_LIMITS,
					SW_MAP_CGROUP_PATHS, SW_MAP_SOURCES, SW_MAP_LOCAL };

static void close_session(struct session *s)
{
	sw_attach_unwatch(&s->watch);
	sw_kern_free(&s->kern);
	sw_closep(&s->root_fd);
	sw_live_close(&s->live);
	sw_closep(&s->cgroup_fd);
	free(s->cgroup_path);
	free(s->locals.item);
	free(s->staged);
	sw_pins_close(&s->pins);
}

/* Paths of the policy begin at the root of the hierarchy, wherever the programs are attached. */
static int open_root(struct session *s)
{
	_cleanup_free_ char *path = NULL;
	int r = sw_cgroup_open(NULL, &s->root_fd, &path);

	return r < 0 ? log_err(r, "cannot open the cgroup v2 root, where the policy's cgroups are") : 0;
}

static int open_cgroup(const struct sw_target *t, struct session *s)
{
	int r = sw_cgroup_open(t->cgroup, &s->cgroup_fd, &s->cgroup_path);

	if (r == -EXDEV)
		return log_err(-EINVAL, "only a container's view of the cgroup tree is in sight, not "
			       "the root of the hierarchy; run on the host, or name a cgroup on "
			       "purpose with --cgroup");
	if (r == -ENOTSUP)
		return log_err(-EINVAL, "%s is not on a cgroup v2 file system; give a directory below "
			       "the cgroup2 mount to --cgroup", t->cgroup);
	if (r < 0)
		return log_err(r, "cannot open cgroup %s", t->cgroup ?: "v2 root");
	return s->policy->n_cgroups ? open_root(s) : 0;
}

static int open_pins(const struct sw_target *t, struct sw_pins *pins)
{
	int r = sw_pins_open(t->pin_dir, true, pins);

	if (r == -EAGAIN)
		return log_err(r, "another smtpwall is changing %s right now; nothing was changed, try "
			       "again when it is done", t->pin_dir);
	if (r == -ENOTSUP)
		return log_err(r, "%s is not on a BPF file system; mount one with 'mount -t bpf bpf "
			       "/sys/fs/bpf' or give a directory on one to --pin-dir", t->pin_dir);
	if (r == -EEXIST)
		return log_err(r, "others own the pin directory %s or may write to it, and could undo the "
			       "policy; find out who made it, and remove it", t->pin_dir);
	if (r == -EPERM && strchr(t->pin_dir, '.'))
		return log_err(r, "cannot use the pin directory %s: a BPF file system takes no names with "
			       "dots", t->pin_dir);
	if (r == -EPERM || r == -EACCES)
		return log_err(r, "cannot use the pin directory %s; run as root", t->pin_dir);
	if (r < 0)
		return log_err(r, "cannot open the pin directory %s", t->pin_dir);
	return 0;
}

static int probe(const struct sw_target *t, const struct sw_policy *p, struct sw_features *ret)
{
	const struct sw_feature *missing;
	int r = sw_features_probe(t->disable, ret);

	if (r == -EPERM)
		return log_err(r, "not allowed to load BPF programs; run as root on the host");
	if (r == -EINVAL)
		return log_err(r, "SMTPWALL_DISABLE names an unknown feature: %s", t->disable);
	if (r < 0)
		return log_err(r, "cannot find out what this kernel can do");
	missing = sw_features_missing(ret);
	if (missing)
		return log_err(-EOPNOTSUPP, "this kernel lacks %s: %s; Linux 5.10 or EL 8.10 is needed",
			       missing->name, missing->lost);
	if (p->mode == SW_MODE_REDIRECT && !ret->f[SW_FEAT_SOCKET_STORAGE].present)
		return log_err(-EOPNOTSUPP, "mode = redirect needs the kernel feature socket_storage, which "
			       "is missing; set mode = enforce");
	if (p->n_cgroups && !ret->f[SW_FEAT_CGROUP_EVENTS].present)
		return log_err(-EOPNOTSUPP, "cgroups in the policy need the kernel feature cgroup_events, "
			       "which is missing; take them out");
	if (p->strict && !ret->f[SW_FEAT_RAW_SOCKET_HOOK].present)
		return log_err(-EOPNOTSUPP, "strict = yes needs the kernel feature raw_socket_hook, which "
			       "is missing; set strict = no");
	return 0;
}

/* Above whatever a program or a row still has. Each generation has rows in sw_sources, which is
 * small. */
static uint32_t next_generation(const struct sw_live *l)
{
	uint32_t newest = l->settings.generation, rows = 0;

	if (l->map_fd[SW_MAP_SOURCES] >= 0)
		rows = sw_rows_newest(l->map_fd[SW_MAP_SOURCES]);
	return (rows > newest ? rows : newest) + 1;
}

/* How many rows of a map the policy needs, at most. A cgroup has up to two, and while its service
 * is restarted twice as many. */
static size_t rows_of(const struct session *s, enum sw_map_id map)
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
static void plan_map(struct session *s, enum sw_map_id map, size_t rows)
{
	uint32_t need = (uint32_t)rows + 1, have;

	if (s->live.map_fd[map] < 0)
		return;
	have = map_size(s->live.map_fd[map]);
	s->replaced[map] = have < need * 2 || have > SMALL_MAP;
}

static void size_map(const struct session *s, struct sw_load *l, enum sw_map_id map, size_t rows)
{
	uint32_t need = (uint32_t)rows + 1;

	l->max_entries[map] = need * 4 < SMALL_MAP ? SMALL_MAP : need * 4;
	if (s->replaced[map])
		l->map_fd[map] = -1;
}

static int load(struct session *s)
{
	struct sw_load l = { .settings = s->settings };
	int r;

	memcpy(l.map_fd, s->live.map_fd, sizeof(l.map_fd));
	for (size_t i = 0; i < ARRAY_SIZE(keyed); i++)
		size_map(s, &l, keyed[i], rows_of(s, keyed[i]));
	l.max_entries[SW_MAP_UID_STATS] = s->policy->max_uids;
	l.max_entries[SW_MAP_USAGE] = s->policy->max_uids;
	l.max_entries[SW_MAP_DENIED] = s->policy->max_uids;
	l.max_entries[SW_MAP_ORIGINS] = s->policy->max_origins;
	l.max_entries[SW_MAP_DESTS] = s->policy->max_origins;
	l.max_entries[SW_MAP_EVENTS] = s->policy->event_buffer;
	r = sw_kern_load(&l, &s->kern);
	if (r == -EINVAL && s->live.exists)
		return log_err(r, "the programs do not load on the maps in %s, which another build may "
			       "have made; the running policy stays; 'smtpwall off' and 'smtpwall apply' "
			       "start afresh", s->pins.dir);
	if (r < 0)
		return log_err(r, "the kernel does not accept the programs; run with -v for its reasons");
	return 0;
}

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

static int write_exempt(const struct session *s, int fd)
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
static int write_rows(const struct session *s, enum sw_map_id map,
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
static int write_cgroups(const struct session *s)
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
static int write_policy(const struct session *s)
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
		r = sw_control_write(sw_kern_map_fd(&s->kern, SW_MAP_CONTROL), s->policy);
	return r;
}

/* Deletes the rows of the new generation (`keep` false) or of all others (`keep` true). */
static int delete_rows(const struct session *s, bool keep)
{
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(keyed); i++) {
		int one;

		if (s->replaced[keyed[i]])
			continue;	/* it has no rows but ours, or goes as a whole */
		one = sw_rows_delete(sw_kern_map_fd(&s->kern, keyed[i]),
				     &s->settings.generation, 1, keep);

		if (one < 0)
			r = one;
	}
	return r;
}

/* Rows of applies that were killed before they came into force, or before they removed the old
 * ones. Left alone they would fill the tables, and no apply could write its own any more. */
static int delete_strays(const struct session *s)
{
	const struct sw_live *l = &s->live;
	uint32_t used[_SW_HOOK_MAX];
	size_t n = 0;
	int r = 0;

	for (int i = 0; i < _SW_HOOK_MAX; i++)
		if (l->link[i].ours)
			used[n++] = l->link[i].settings.generation;
	for (size_t i = 0; i < ARRAY_SIZE(keyed) && !r; i++) {
		int fd = l->map_fd[keyed[i]];

		if (fd < 0 || s->replaced[keyed[i]])
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

/* Where the pins of this apply go: the directory that is there, or one to be published. */
static const char *pin_place(const struct session *s)
{
	return s->staged ?: s->pins.dir;
}

/* A larger map gets the pin once the programs that use it are in force. */
static int pin_maps(const struct session *s)
{
	for (int i = 0; i < _SW_MAP_MAX; i++) {
		int r;

		if (s->live.map_pinned[i] || s->replaced[i])
			continue;
		r = sw_pins_put(pin_place(s), sw_map_names[i],
				sw_kern_map_fd(&s->kern, (enum sw_map_id)i));
		if (r < 0)
			return r;
	}
	return 0;
}

/* The old generation's rows may only go when no program still looks at them. Updating a map in
 * a map waits for all programs that run, and knows no exceptions. */
static int wait_for_running_programs(void)
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

static int prepare(const struct sw_target *t, struct session *s)
{
	int r = open_cgroup(t, s);

	if (!r)
		r = probe(t, s->policy, &s->features);
	if (!r)
		r = open_pins(t, &s->pins);
	if (r < 0)
		return r;
	r = sw_live_open(s->pins.dir, &s->live);
	if (r < 0)
		return log_err(r, "cannot read what is pinned in %s", s->pins.dir);
	sw_rows_settings(s->policy, &s->features, next_generation(&s->live), &s->settings);
	r = sw_locals_read(&s->locals);
	if (r < 0)
		return log_err(r, "cannot read the addresses of this machine");
	for (size_t i = 0; i < ARRAY_SIZE(keyed); i++)
		plan_map(s, keyed[i], rows_of(s, keyed[i]));
	/* The apply that was killed may have just swapped its programs in. */
	if (s->live.exists)
		r = wait_for_running_programs();
	if (!r)
		r = delete_strays(s);
	if (r < 0)
		return log_err(r, "cannot remove what an interrupted apply left in %s", s->pins.dir);
	r = load(s);
	if (r < 0)
		return r;
	r = sw_attach_watch(&s->kern, &s->watch);
	if (r < 0)
		return log_err(r, "cannot watch the machine's cgroups; the running policy stays");
	r = write_policy(s);
	if (r < 0) {
		delete_rows(s, false);
		return log_err(r, "cannot write the policy to the kernel; the running policy stays");
	}
	return 0;
}

/* The new policy comes into force, or everything is as before. */
static int switch_over(struct session *s)
{
	int r = 0;

	if (!s->pins.exists)
		r = sw_pins_stage(&s->pins, &s->staged);
	if (!r)
		r = pin_maps(s);
	if (!r)
		r = sw_attach_swap(&s->kern, &s->live, &s->watch, s->cgroup_fd, pin_place(s));
	if (!r && s->staged)
		r = sw_pins_publish(&s->pins, s->staged);
	/* Only what this apply made: the directory of another ABI may be in force. */
	if (r < 0 && s->staged)
		sw_pins_discard(s->staged);
	return r;
}

/* A hook that the policy no longer wants: before its rows go, for without them it would refuse
 * exempt identities too. */
static int remove_hook(struct session *s, enum sw_hook hook)
{
	const struct sw_live_link *k = &s->live.link[hook];

	if (sw_hook_wanted(&s->settings, hook))
		return 0;
	if (k->ours && k->attached && !sw_hooks[hook].tracepoint)
		bpf_link_detach(k->fd);
	return sw_pins_remove(s->pins.dir, sw_hooks[hook].pin);
}

/* Nothing in here may undo the policy: it is in force. */
static void clean_up(struct session *s)
{
	int r = 0;

	for (int i = 0; i < _SW_MAP_MAX && !r; i++)
		if (s->replaced[i])
			r = sw_pins_put(s->pins.dir, sw_map_names[i],
					sw_kern_map_fd(&s->kern, (enum sw_map_id)i));
	for (int i = 0; i < _SW_HOOK_MAX && !r; i++)
		r = remove_hook(s, (enum sw_hook)i);
	if (!r)
		r = sw_pins_sweep(&s->pins, s->pins.dir);
	if (r < 0)
		log_warn("the policy is in force, but the pins in %s could not be tidied: %s; apply again",
			 s->pins.root, strerror(-r));
	if (s->live.map_fd[SW_MAP_DENIED] >= 0)
		sw_denied_prune(&s->live);
	r = wait_for_running_programs();
	if (!r)
		r = delete_rows(s, true);
	if (r < 0)
		log_warn("the policy is in force, but rows of the old one could not be removed: %s",
			 strerror(-r));
}

int sw_apply(const struct sw_target *t, const struct sw_policy *p)
{
	struct session s = { .policy = p, .cgroup_fd = -1, .root_fd = -1, .pins.lock_fd = -1 };
	int r;

	sw_live_init(&s.live);
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		s.watch.fd[i] = -1;
	r = prepare(t, &s);
	if (!r) {
		r = switch_over(&s);
		if (r < 0) {
			delete_rows(&s, false);
			log_err(r, "cannot bring the policy into force on cgroup %s%s; %s", s.cgroup_path,
				r == -EPERM ? ": another program is attached there or above in the exclusive "
					      "way; find it with 'bpftool cgroup tree'" : "",
				s.live.in_force ? "the running policy stays" : "nothing is in force");
		}
	}
	if (!r)
		clean_up(&s);
	close_session(&s);
	return r;
}
