/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A policy on trial, for administrators who sit on the machine's far side. Until it is confirmed
 * the old programs, their rows and maps stay, held by a process that waits for the deadline. It
 * holds no link: 'off' has to be able to end everything. Whoever confirms leaves a word in the
 * control page; who applies another policy makes another generation; both are found there when
 * the time has come.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <syslog.h>
#include <time.h>

#include "apply_int.h"
#include "cgroup.h"
#include "control.h"
#include "log.h"
#include "mapread.h"
#include "rows.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000ULL
#define LOCK_TRIES	600	/* of 100 ms: another loader takes less than a second */

struct trial {
	const struct sw_target *target;
	struct sw_session session;
	int old_prog[_SW_HOOK_MAX];	/* -1: nothing of ours was attached */
	uint64_t deadline_ns;		/* CLOCK_MONOTONIC */
};

static uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Before anything is changed: what may have to come back. */
static int remember(struct trial *t, const struct sw_live *before)
{
	for (int i = 0; i < _SW_HOOK_MAX; i++) {
		const struct sw_live_link *k = &before->link[i];

		if (!before->in_force || !sw_hook_wanted(&before->settings, (enum sw_hook)i))
			continue;
		t->old_prog[i] = bpf_prog_get_fd_by_id(k->prog_id);
		if (t->old_prog[i] < 0)
			return -errno;
	}
	return 0;
}

static void forget(struct trial *t)
{
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		sw_closep(&t->old_prog[i]);
	sw_apply_close(&t->session);
}

/* The words that say what comes back, and when. */
static int set_deadline(const struct trial *t)
{
	const struct sw_live *before = &t->session.live;
	struct sw_control *c = sw_control_map(sw_kern_map_fd(&t->session.kern, SW_MAP_CONTROL));

	if (!c)
		return -errno;
	__atomic_store_n(&c->guardian, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->before, before->in_force ? before->settings.generation : 0,
			 __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->revert_ns, t->deadline_ns, __ATOMIC_SEQ_CST);
	sw_control_unmap(c);
	return 0;
}

static void name_guardian(const struct trial *t, pid_t pid)
{
	struct sw_control *c = sw_control_map(sw_kern_map_fd(&t->session.kern, SW_MAP_CONTROL));

	if (!c)
		return;
	__atomic_store_n(&c->guardian, (uint32_t)pid, __ATOMIC_SEQ_CST);
	sw_control_unmap(c);
}

static uint64_t deadline_of(const struct sw_live *l)
{
	struct sw_control *c;
	uint64_t ns;

	if (!l->in_force || !(c = sw_control_map(l->map_fd[SW_MAP_CONTROL])))
		return 0;
	ns = __atomic_load_n(&c->revert_ns, __ATOMIC_SEQ_CST);
	sw_control_unmap(c);
	return ns;
}

static bool is_confirmed(const struct sw_live *l)
{
	struct sw_control *c = sw_control_map(l->map_fd[SW_MAP_CONTROL]);
	bool yes;

	if (!c)
		return false;
	yes = __atomic_load_n(&c->confirmed, __ATOMIC_SEQ_CST) == l->settings.generation;
	sw_control_unmap(c);
	return yes;
}

/* Whether the programs in force are those that this trial put there. A generation does not tell:
 * after an 'off' they are counted from the beginning. Our programs keep their ids while we hold
 * them. */
static bool is_ours(const struct trial *t, const struct sw_live *now)
{
	for (int i = 0; i < _SW_HOOK_MAX; i++) {
		int fd = sw_kern_prog_fd(&t->session.kern, (enum sw_hook)i);
		struct bpf_prog_info info = {};
		__u32 len = sizeof(info);

		if (fd >= 0 && now->link[i].ours && bpf_obj_get_info_by_fd(fd, &info, &len) == 0 &&
		    info.id == now->link[i].prog_id)
			return true;
	}
	return false;
}

/* One hook's old program back into its link, or a link for it. */
static int put_back(const struct trial *t, const struct sw_live *now, enum sw_hook hook)
{
	const struct sw_hook_info *h = &sw_hooks[hook];
	const struct sw_live_link *k = &now->link[hook];
	_cleanup_close_ int fd = -1;

	if (t->old_prog[hook] < 0) {
		if (k->attached && !h->tracepoint)
			bpf_link_detach(k->fd);
		return sw_pins_remove(t->session.pins.dir, h->pin);
	}
	if (h->tracepoint)
		fd = bpf_raw_tracepoint_open(sw_hook_tracepoint(hook), t->old_prog[hook]);
	else if (k->attached)
		return bpf_link_update(k->fd, t->old_prog[hook], NULL) < 0 ? -errno : 0;
	else
		fd = bpf_link_create(t->old_prog[hook], t->session.cgroup_fd, h->attach, NULL);
	return fd < 0 ? -errno : sw_pins_put(t->session.pins.dir, h->pin, fd);
}

/* Neither were those of cgroups that were made since. */
static int refresh_cgroups(const struct trial *t)
{
	const struct sw_live *l = &t->session.live;
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int root = -1;
	struct sw_map_dump d;
	int r;

	if (!l->settings.watch_cgroups)
		return 0;
	r = sw_cgroup_open(NULL, &root, &path);
	if (!r)
		r = sw_map_dump(l->map_fd[SW_MAP_CGROUP_PATHS], &d);
	if (r < 0)
		return r;
	for (size_t i = 0; i < d.n && !r; i++) {
		const struct sw_cgroup_path_key *k = sw_map_key(&d, i);
		const struct sw_cgroup_path *v = sw_map_value(&d, i);
		const struct sw_policy_cgroup c = {
			.exempt = v->exempt, .who = v->who, .source = v->source, .line = v->line,
		};
		uint64_t id;

		if (k->generation != l->settings.generation || sw_cgroup_find(root, k->path, &id) < 0)
			continue;
		r = sw_rows_store_cgroup(l->map_fd[SW_MAP_EXEMPT], k->generation, &c, id);
	}
	sw_map_dump_free(&d);
	return r;
}

/* Addresses may have come and gone since; the rows of the old generation were not kept up. */
static void refresh_locals(const struct trial *t)
{
	struct sw_addrs a = {};

	if (sw_locals_read(&a) == 0)
		sw_locals_store(t->session.live.map_fd[SW_MAP_LOCAL],
				t->session.live.map_fd[SW_MAP_CONTROL],
				t->session.live.settings.generation, &a);
	free(a.item);
}

static int put_back_all(const struct trial *t, const struct sw_live *now, bool watch)
{
	int r = 0;

	for (int i = 0; i < _SW_HOOK_MAX; i++) {
		int one = watch == !!sw_hooks[i].tracepoint ? put_back(t, now, (enum sw_hook)i) : 0;

		if (one < 0)
			r = one;
	}
	return r;
}

static int revert(struct trial *t, const struct sw_live *now)
{
	struct sw_session *s = &t->session;
	int r, connects;

	refresh_locals(t);
	/* First who watches the cgroups, then a look at all of them: none is missed. */
	r = put_back_all(t, now, true);
	if (!r)
		r = refresh_cgroups(t);
	connects = put_back_all(t, now, false);
	sw_control_count_execs(s->live.map_fd[SW_MAP_CONTROL], s->live.settings.generation);
	if (!r)
		r = connects;
	sw_control_set_applied(s->live.map_fd[SW_MAP_CONTROL], s->live.settings.generation, true);
	sw_control_end_trial(s->live.map_fd[SW_MAP_CONTROL]);
	for (int i = 0; i < _SW_MAP_MAX; i++)
		if (s->replaced[i])
			sw_pins_put(s->pins.dir, sw_map_names[i], s->live.map_fd[i]);
	if (!r)
		r = sw_apply_grace();
	return r ?: sw_apply_delete_rows(s, false);
}

/* The lock is somebody else's for a moment only. */
static int lock_pins(const struct sw_target *target, struct sw_pins *ret)
{
	int r = -EAGAIN;

	for (int i = 0; i < LOCK_TRIES && r == -EAGAIN; i++) {
		r = sw_pins_open(target->pin_dir, true, ret);
		if (r == -EAGAIN)
			poll(NULL, 0, 100);
	}
	return r;
}

/* The time has come. */
static void judge(struct trial *t)
{
	struct sw_session *s = &t->session;
	struct sw_live now;
	bool before = s->live.in_force;
	int r;

	if (lock_pins(t->target, &s->pins) < 0 || sw_live_open(s->pins.dir, &now) < 0) {
		syslog(LOG_ERR, "cannot look at %s: the policy on trial stays", t->target->pin_dir);
		return;
	}
	if (!is_ours(t, &now)) {
		sw_live_close(&now);	/* off, or another policy: not ours to judge */
		sw_pins_close(&s->pins);
		return;
	}
	if (is_confirmed(&now)) {
		memcpy(s->live.link, now.link, sizeof(s->live.link));
		for (int i = 0; i < _SW_HOOK_MAX; i++)
			now.link[i].fd = -1;
		sw_apply_finish(s);
		sw_live_close(&now);
		return;
	}
	if (before) {
		r = revert(t, &now);
		sw_live_close(&now);
	} else {
		sw_live_close(&now);
		sw_pins_close(&s->pins);
		r = sw_off(t->target);
	}
	if (r < 0)
		syslog(LOG_ERR, "the policy was not confirmed and could not be taken back: %s; run "
		       "'smtpwall status'", strerror(-r));
	else
		syslog(LOG_WARNING, "the policy was not confirmed: %s", before ?
		       "the one before is in force again" : "nothing is enforced, as before");
}

/* Waits without a terminal, and outlives the session that started it. */
static void wait_and_judge(struct trial *t)
{
	const struct itimerspec at = {
		.it_value = { (time_t)(t->deadline_ns / NSEC_PER_SEC),
			      (long)(t->deadline_ns % NSEC_PER_SEC) },
	};
	_cleanup_close_ int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	_cleanup_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint64_t expired;

	setsid();
	signal(SIGHUP, SIG_IGN);
	prctl(PR_SET_NAME, "smtpwall-trial");
	for (int fd = 0; fd <= STDERR_FILENO && null >= 0; fd++)
		dup2(null, fd);
	if (chdir("/") < 0)
		return;
	openlog("smtpwall", LOG_PID, LOG_DAEMON);
	if (timer < 0 || timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL) < 0)
		return;
	while (read(timer, &expired, sizeof(expired)) < 0 && errno == EINTR)
		;
	judge(t);
}

/* What the waiting process must not hold: the lock, and anything that keeps a link alive. */
static void let_go(struct sw_session *s)
{
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		sw_closep(&s->live.link[i].fd);
	sw_attach_unwatch(&s->watch);
	sw_pins_close(&s->pins);
}

static int leave_behind(struct trial *t)
{
	pid_t pid;

	let_go(&t->session);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		wait_and_judge(t);
		_exit(0);
	}
	name_guardian(t, pid);
	return 0;
}

/* Everything is ready beside the policy in force: may a trial of it begin? */
static int begin(struct trial *t)
{
	struct sw_session *s = &t->session;
	int r;

	if (deadline_of(&s->live) > mono_ns()) {
		log_err(0, "a policy is on trial already; keep it with 'smtpwall apply --confirm', wait "
			"until it takes itself back, or apply this one for good");
		r = -EINVAL;
	} else if ((r = remember(t, &s->live)) < 0) {
		log_err(r, "cannot hold on to the programs in force; nothing was changed");
	}
	if (r < 0)
		sw_apply_delete_rows(s, false);
	return r;
}

int sw_apply_trial(const struct sw_target *target, const struct sw_policy *p, uint32_t seconds)
{
	struct trial t = { .target = target };
	struct sw_session *s = &t.session;
	int r;

	for (int i = 0; i < _SW_HOOK_MAX; i++)
		t.old_prog[i] = -1;
	sw_apply_init(s, p);
	r = sw_apply_prepare(target, s);
	if (!r)
		r = begin(&t);
	if (!r)
		r = sw_apply_switch(s);
	if (!r) {
		t.deadline_ns = mono_ns() + seconds * NSEC_PER_SEC;
		r = sw_apply_pin_replaced(s);
		if (!r)
			r = set_deadline(&t);
		if (!r)
			r = leave_behind(&t);
		if (r < 0)
			log_err(r, "the policy is in force, but will not take itself back");
	}
	forget(&t);
	return r;
}

/* 0; -ENOENT when none is on trial; -errno. */
static int confirm(const struct sw_live *l)
{
	struct sw_control *c;
	int r = -ENOENT;

	if (!l->in_force || l->map_fd[SW_MAP_CONTROL] < 0)
		return r;
	c = sw_control_map(l->map_fd[SW_MAP_CONTROL]);
	if (!c)
		return -errno;
	if (c->revert_ns) {
		__atomic_store_n(&c->confirmed, l->settings.generation, __ATOMIC_SEQ_CST);
		__atomic_store_n(&c->revert_ns, 0, __ATOMIC_SEQ_CST);
		r = 0;
	}
	sw_control_unmap(c);
	return r;
}

int sw_apply_confirm(const struct sw_target *target)
{
	struct sw_pins pins = { .lock_fd = -1 };
	struct sw_live l;
	int r;

	sw_live_init(&l);
	r = sw_pins_open(target->pin_dir, true, &pins);
	if (!r)
		r = sw_live_open(pins.dir, &l);
	if (!r)
		r = confirm(&l);
	sw_live_close(&l);
	sw_pins_close(&pins);
	if (r == -ENOENT)
		log_err(0, "no policy is on trial in %s; see 'smtpwall status'", target->pin_dir);
	else if (r < 0)
		log_err(r, "cannot confirm the policy in %s", target->pin_dir);
	return r;
}
