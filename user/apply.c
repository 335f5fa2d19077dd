/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "apply_int.h"
#include "cgroup.h"
#include "control.h"
#include "history.h"
#include "log.h"
#include "mailers.h"
#include "rows.h"
#include "usage.h"
#include "util.h"

void sw_apply_init(struct sw_session *s, const struct sw_policy *p)
{
	*s = (struct sw_session){
		.policy = p, .cgroup_fd = -1, .root_fd = -1, .pins.lock_fd = -1,
	};
	sw_live_init(&s->live);
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		s->watch.fd[i] = -1;
}

void sw_apply_close(struct sw_session *s)
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
static int open_root(struct sw_session *s)
{
	_cleanup_free_ char *path = NULL;
	int r = sw_cgroup_open(NULL, &s->root_fd, &path);

	return r < 0 ? log_err(r, "cannot open the cgroup v2 root, where the policy's cgroups are") : 0;
}

static int open_cgroup(const struct sw_target *t, struct sw_session *s)
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

/* Where the pins of this apply go: the directory that is there, or one to be published. */
static const char *pin_place(const struct sw_session *s)
{
	return s->staged ?: s->pins.dir;
}

/* A larger map gets the pin once the programs that use it are in force. */
static int pin_maps(const struct sw_session *s)
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

/* New maps, after a boot or an off: limits go on where they were. Before the programs are attached,
 * so that no window is counted in from 0 first. */
static void restore_limits(const struct sw_target *t, const struct sw_session *s)
{
	static const enum sw_map_id needed[] = { SW_MAP_CONTROL, SW_MAP_USAGE, SW_MAP_DENIED };
	struct sw_live l;
	int r;

	if (!t->state_dir || s->live.map_fd[SW_MAP_USAGE] >= 0 || s->live.map_fd[SW_MAP_DENIED] >= 0)
		return;
	sw_live_init(&l);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++)
		l.map_fd[needed[i]] = sw_kern_map_fd(&s->kern, needed[i]);	/* not ours to close */
	r = sw_history_restore(t->state_dir, &l);
	if (r > 0)
		log_debug("%d windows of limits and temporary denies are back", r);
	if (r < 0 && r != -ENOENT)
		log_warn("cannot read %s/%s/%s, so limits and temporary denies begin anew: %s%s", t->state_dir,
			 SW_HISTORY_DIR, SW_HISTORY_FILE, strerror(-r), sw_history_hint(r));
}

/* The gate does not wait for them. */
static int find_mailers(const struct sw_session *s)
{
	int r = 0;

	if (s->settings.count_sendmail)
		r = sw_mailers_refresh(sw_kern_map_fd(&s->kern, SW_MAP_MAILERS),
				       sw_kern_map_fd(&s->kern, SW_MAP_MAILER_NAMES),
				       sw_kern_map_fd(&s->kern, SW_MAP_CONTROL));
	if (r < 0)
		log_warn("cannot write down which programs hand mail to the mail server: %s; what is "
			 "handed to new ones is not counted", strerror(-r));
	return 0;
}

int sw_apply_prepare(const struct sw_target *t, struct sw_session *s)
{
	uint64_t cgroup_id;
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
	if (s->over && (!s->live.in_force || s->live.settings.generation != s->over))
		return -ESTALE;
	sw_rows_settings(s->policy, &s->features, next_generation(&s->live), &s->settings);
	r = sw_cgroup_id(s->cgroup_fd, &cgroup_id);
	if (r < 0)
		return log_err(r, "cannot tell which cgroup %s is", s->cgroup_path);
	s->settings.scoped = cgroup_id != SW_CGROUP_ROOT_ID;
	r = sw_locals_read(&s->locals);
	if (r < 0)
		return log_err(r, "cannot read the addresses of this machine");
	sw_apply_plan_maps(s);
	/* The apply that was killed may have just swapped its programs in. */
	if (s->live.exists)
		r = sw_apply_grace();
	if (!r)
		r = sw_apply_delete_strays(s);
	if (r < 0)
		return log_err(r, "cannot remove what an interrupted apply left in %s", s->pins.dir);
	r = sw_apply_load(s);
	if (r < 0)
		return r;
	r = sw_attach_watch(&s->kern, s->settings.generation, &s->watch);
	if (r < 0)
		return log_err(r, "cannot watch the machine's cgroups; the running policy stays");
	r = sw_apply_write_rows(s);
	if (r < 0) {
		sw_apply_delete_rows(s, false);
		return log_err(r, "cannot write the policy to the kernel%s; the running policy stays",
			       r == -E2BIG ? ": a table is full; raise [tables] uids and start afresh "
					     "with 'smtpwall off' and 'smtpwall apply'" : "");
	}
	restore_limits(t, s);
	return find_mailers(s);
}

/* Whether somebody who looks at what was in force sees it no longer. */
static bool wants_reopening(const struct sw_session *s)
{
	for (int i = 0; i < _SW_MAP_MAX; i++)
		if (s->replaced[i])
			return true;
	return s->settings.config_digest != s->live.settings.config_digest;
}

int sw_apply_switch(struct sw_session *s)
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
	if (!r)
		sw_control_set_applied(sw_kern_map_fd(&s->kern, SW_MAP_CONTROL), s->settings.generation,
				       wants_reopening(s));
	/* Only what this apply made: the directory of another ABI may be in force. */
	if (r < 0 && s->staged)
		sw_pins_discard(s->staged);
	if (r < 0) {
		sw_apply_delete_rows(s, false);
		log_err(r, "cannot bring the policy into force on cgroup %s%s; %s", s->cgroup_path,
			r == -EPERM ? ": another program is attached there or above in the exclusive "
				      "way; find it with 'bpftool cgroup tree'" : "",
			s->live.in_force ? "the running policy stays" : "nothing is in force");
	}
	return r;
}

/* A hook that the policy no longer wants: before its rows go, for without them it would refuse
 * exempt identities too. */
static int remove_hook(struct sw_session *s, enum sw_hook hook)
{
	struct sw_live_link *k = &s->live.link[hook];

	if (sw_hook_wanted(&s->settings, hook))
		return 0;
	if (k->ours && k->attached && !sw_hooks[hook].tracepoint)
		bpf_link_detach(k->fd);
	if (sw_hooks[hook].tracepoint) {	/* detached with its last descriptor and pin */
		sw_closep(&k->fd);
		k->fd = -1;
	}
	return sw_pins_remove(s->pins.dir, sw_hooks[hook].pin);
}

int sw_apply_pin_replaced(const struct sw_session *s)
{
	int r = 0;

	for (int i = 0; i < _SW_MAP_MAX && !r; i++)
		if (s->replaced[i])
			r = sw_pins_put(s->pins.dir, sw_map_names[i],
					sw_kern_map_fd(&s->kern, (enum sw_map_id)i));
	return r;
}

/* Nothing in here may undo the policy: it is in force. */
void sw_apply_finish(struct sw_session *s)
{
	int r;

	sw_control_end_trial(sw_kern_map_fd(&s->kern, SW_MAP_CONTROL));
	r = sw_apply_pin_replaced(s);
	for (int i = 0; i < _SW_HOOK_MAX && !r; i++)
		r = remove_hook(s, (enum sw_hook)i);
	if (!r)
		r = sw_pins_sweep(&s->pins, s->pins.dir);
	if (r < 0)
		log_warn("the policy is in force, but the pins in %s could not be tidied: %s; apply again",
			 s->pins.root, strerror(-r));
	if (s->live.map_fd[SW_MAP_DENIED] >= 0 && s->live.map_fd[SW_MAP_CONTROL] >= 0)
		sw_denied_prune(&s->live);
	sw_usage_prune(sw_kern_map_fd(&s->kern, SW_MAP_USAGE), s->policy);
	r = sw_apply_grace();
	if (!r)
		r = sw_apply_delete_rows(s, true);
	if (r < 0)
		log_warn("the policy is in force, but rows of the old one could not be removed: %s",
			 strerror(-r));
}

static int apply(const struct sw_target *t, const struct sw_policy *p, uint32_t over)
{
	struct sw_session s;
	int r;

	sw_apply_init(&s, p);
	s.over = over;
	r = sw_apply_prepare(t, &s);
	if (!r)
		r = sw_apply_switch(&s);
	if (!r)
		sw_apply_finish(&s);
	sw_apply_close(&s);
	return r;
}

int sw_apply(const struct sw_target *t, const struct sw_policy *p)
{
	return apply(t, p, 0);
}

int sw_apply_over(const struct sw_target *t, const struct sw_policy *p, uint32_t generation)
{
	return apply(t, p, generation);
}
