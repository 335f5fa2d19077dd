/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "cgroup.h"
#include "config.h"
#include "log.h"
#include "monitor.h"
#include "outside.h"
#include "util.h"

#define USEC_PER_SEC	1000000ULL
#define RESTART_AFTER	USEC_PER_SEC		/* of a worker that failed, doubled each time */
#define RESTART_MAX	(60 * USEC_PER_SEC)
#define APPLY_S		120

struct supervisor {
	const struct sw_monitor_config *config;
	struct sw_policy policy;	/* the last good configuration */
	bool has_policy;
	sd_event *event;
	sd_event_source *timer;		/* when the next worker starts */
	pid_t worker, apply;		/* 0: none */
	int orders;			/* to the worker; -1: there is none */
	uint64_t delay;			/* before the next start */
	bool stopping;
};

static void load_policy(struct supervisor *s)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int cgroup_fd = -1;
	struct sw_diag diag = {};
	struct sw_policy p;

	if (sw_cgroup_open(NULL, &cgroup_fd, &path) < 0)
		cgroup_fd = -1;
	if (sw_config_load(s->config->o->config, cgroup_fd, &p, &diag) == 0) {
		if (s->has_policy)
			sw_policy_free(&s->policy);
		s->policy = p;
		s->has_policy = true;
	}
	for (size_t i = 0; i < diag.n; i++)
		log_err(0, "%s", diag.text[i]);
	if (diag.n && s->has_policy)
		log_warn("the monitor goes on with the configuration it had");
	sw_diag_free(&diag);
}

/* ---- Processes ---- */

static int on_worker(sd_event_source *src, const siginfo_t *si, void *data);

/* In the child: none of the supervisor's signals, nothing of its loop. */
static void __attribute__((noreturn)) be_worker(struct supervisor *s, int orders)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	_exit(sw_monitor_work(s->config, &s->policy, orders));
}

/* Not by a signal: that takes a right that the unit of the monitor does not have. */
static void give_order(const struct supervisor *s, char order)
{
	(void)!write(s->orders, &order, 1);
}

static int start_worker(struct supervisor *s)
{
	int pair[2];

	load_policy(s);
	if (!s->has_policy)
		return -EINVAL;
	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	s->worker = fork();
	if (s->worker == 0) {
		close(pair[1]);
		be_worker(s, pair[0]);
	}
	close(pair[0]);
	if (s->worker < 0) {
		close(pair[1]);
		s->worker = 0;
		return -errno;
	}
	s->orders = pair[1];
	return sd_event_add_child(s->event, NULL, s->worker, WEXITED, on_worker, s);
}

static int on_time(sd_event_source *src, uint64_t now, void *data)
{
	struct supervisor *s = data;
	int r = 0;

	(void)src;
	(void)now;
	if (!s->worker && !s->stopping)
		r = start_worker(s);
	return r < 0 ? sd_event_exit(s->event, r) : 0;
}

static int start_later(struct supervisor *s, uint64_t usec)
{
	if (s->timer) {
		sd_event_source_set_time_relative(s->timer, usec);
		return sd_event_source_set_enabled(s->timer, SD_EVENT_ONESHOT);
	}
	return sd_event_add_time_relative(s->event, &s->timer, CLOCK_MONOTONIC, usec, 0, on_time, s);
}

static int on_worker(sd_event_source *src, const siginfo_t *si, void *data)
{
	struct supervisor *s = data;
	bool exited = si->si_code == CLD_EXITED;

	(void)src;
	s->worker = 0;
	sw_closep(&s->orders);
	s->orders = -1;
	if (s->stopping)
		return s->apply ? 0 : sd_event_exit(s->event, 0);
	if (exited && si->si_status == SW_MONITOR_REOPEN) {
		s->delay = 0;
		return start_later(s, 0);
	}
	s->delay = s->delay ? s->delay * 2 : RESTART_AFTER;
	if (s->delay > RESTART_MAX)
		s->delay = RESTART_MAX;
	log_warn("the monitor's worker ended %s %d; another one starts in %llu s; enforcement is not "
		 "touched", exited ? "with status" : "by signal", si->si_status,
		 (unsigned long long)(s->delay / USEC_PER_SEC));
	return start_later(s, s->delay);
}

const char **sw_monitor_apply(const struct sw_monitor_config *c, const char *extra)
{
	const struct sw_options *o = c->o;
	const struct { const char *name, *value; } option[] = {
		{ "--config", o->config },	   { "--cgroup", o->target.cgroup },
		{ "--pin-dir", o->target.pin_dir }, { "--state-dir", o->state_dir },
	};
	const char **argv = calloc(2 * ARRAY_SIZE(option) + 4, sizeof(*argv));
	size_t n = 0;

	if (!argv)
		return NULL;
	argv[n++] = c->self;
	argv[n++] = "apply";
	for (size_t i = 0; i < ARRAY_SIZE(option); i++) {
		if (!option[i].value)
			continue;
		argv[n++] = option[i].name;
		argv[n++] = option[i].value;
	}
	if (extra)
		argv[n++] = extra;
	return argv;
}

/* The worker reads its own part of the configuration anew, and then tells systemd what it does. */
static int end_reload(struct supervisor *s)
{
	s->apply = 0;
	if (s->stopping)
		return s->worker ? 0 : sd_event_exit(s->event, 0);
	sd_notify(0, "READY=1\nSTATUS=reading the configuration");
	if (!s->worker)
		return start_later(s, 0);
	give_order(s, SW_MONITOR_ORDER_REOPEN);
	return 0;
}

static int on_applied(sd_event_source *src, const siginfo_t *si, void *data)
{
	(void)src;
	if (si->si_code != CLD_EXITED || si->si_status != 0)
		log_warn("apply failed; the policy that was in force stays");
	return end_reload(data);
}

static int on_hangup(sd_event_source *src, const struct signalfd_siginfo *si, void *data)
{
	struct supervisor *s = data;
	_cleanup_free_ const char **apply = NULL, **argv = NULL;
	sigset_t none;

	(void)src;
	(void)si;
	if (s->apply)
		return 0;
	apply = sw_monitor_apply(s->config, NULL);
	argv = apply ? sw_outside_argv(apply, APPLY_S, false) : NULL;
	if (!argv)
		return 0;
	sd_notifyf(0, "RELOADING=1\nSTATUS=applying");
	s->apply = fork();
	if (s->apply == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	if (s->apply < 0) {
		log_warn("cannot start 'smtpwall apply': %s", strerror(errno));
		return end_reload(s);
	}
	return sd_event_add_child(s->event, NULL, s->apply, WEXITED, on_applied, s);
}

static int on_stop(sd_event_source *src, const struct signalfd_siginfo *si, void *data)
{
	struct supervisor *s = data;

	(void)src;
	(void)si;
	s->stopping = true;
	sd_notify(0, "STOPPING=1");
	if (s->worker)
		give_order(s, SW_MONITOR_ORDER_END);
	if (!s->worker && !s->apply)
		return sd_event_exit(s->event, 0);
	return 0;
}

static int watch_signals(struct supervisor *s)
{
	sigset_t set;
	int r;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	signal(SIGPIPE, SIG_IGN);
	r = sd_event_add_signal(s->event, NULL, SIGTERM, on_stop, s);
	if (r >= 0)
		r = sd_event_add_signal(s->event, NULL, SIGINT, on_stop, s);
	if (r >= 0)
		r = sd_event_add_signal(s->event, NULL, SIGHUP, on_hangup, s);
	return r;
}

int sw_monitor_supervise(const struct sw_monitor_config *c)
{
	struct supervisor s = { .config = c, .orders = -1 };
	int r = sd_event_default(&s.event);

	if (r >= 0)
		r = watch_signals(&s);
	if (r >= 0)
		r = start_worker(&s);
	if (r >= 0)
		r = sd_event_loop(s.event);
	if (s.has_policy)
		sw_policy_free(&s.policy);
	s.timer = sd_event_source_unref(s.timer);
	sd_event_unref(s.event);
	if (r == -EINVAL)
		return SW_EXIT_USAGE;
	return r < 0 ? log_err(SW_EXIT_KERNEL, "the monitor cannot go on: %s", strerror(-r)) :
		       SW_EXIT_GOOD;
}
