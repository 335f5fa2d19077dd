/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "log.h"
#include "monitor_int.h"
#include "outside.h"
#include "pins.h"
#include "setup.h"
#include "util.h"

#define USEC_PER_SEC	1000000ULL
#define APPLY_S		120	/* an apply may wait for resolvers */
#define WRITE_S		20
#define GRACE_S		5	/* for who runs it outside, to end it first */

int sw_worker_finish(struct sw_worker *w, enum sw_monitor_end end)
{
	return sd_event_exit(w->event, end);
}

/* ---- Events ---- */

static int take_event(void *data, const struct sw_event *e)
{
	struct sw_worker *w = data;
	struct sw_event_view v;

	w->health.events++;
	if (sw_event_view(e, w->live.map_fd[SW_MAP_CGROUPS], w->domains, &v) < 0)
		return 0;
	sw_worker_record_event(w, &v);
	sw_worker_tell_event(w, &v);
	sw_event_view_free(&v);
	return 0;
}

static int on_feed(sd_event_source *s, int fd, uint32_t events, void *data)
{
	struct sw_worker *w = data;

	(void)s;
	(void)fd;
	(void)events;
	(void)sw_feed_drain(w->feed);
	return 0;
}

/* Somebody may be looking at them with 'smtpwall events': then later. */
static void open_feed(struct sw_worker *w)
{
	if (w->lock_fd < 0)
		w->lock_fd = sw_feed_lock(w->config->o->target.pin_dir, NULL);
	if (w->lock_fd < 0 || w->feed)
		return;
	if (sw_feed_open(&w->live, take_event, w, &w->feed) < 0)
		return;
	if (sd_event_add_io(w->event, NULL, sw_feed_fd(w->feed), EPOLLIN, on_feed, w) < 0) {
		sw_feed_free(w->feed);
		w->feed = NULL;
	}
}

/* ---- The loop ---- */

static int on_answer(sd_event_source *s, int fd, uint32_t events, void *data)
{
	struct sw_worker *w = data;
	enum sw_run_kind kind;
	uint32_t id;
	int r, status;

	(void)s;
	(void)fd;
	(void)events;
	while ((r = sw_runner_take(w->runner, &id, &kind, &status)) > 0) {
		if (kind == SW_RUN_REFRESH)
			sw_worker_follow_answer(w, status);
		else if (kind == SW_RUN_TEXTFILE)
			sw_worker_show_answer(w, status);
		else
			sw_worker_tell_answer(w, id, status);
	}
	/* Without it nothing is refreshed and nobody is told: better to begin anew. */
	return r < 0 ? sw_worker_finish(w, SW_MONITOR_REOPEN) : 0;
}

/* Whether what we opened is still what is in force. Another generation of the same configuration,
 * as a refresh makes it, is: alerts would forget what they have counted if we began anew. */
static bool is_current(struct sw_worker *w)
{
	uint32_t applied = __atomic_load_n(&w->control->applied, __ATOMIC_SEQ_CST);

	if (__atomic_load_n(&w->control->reopen, __ATOMIC_SEQ_CST) != w->reopen ||
	    (w->lock_fd >= 0 && !sw_feed_is_current(w->lock_fd, w->config->o->target.pin_dir)))
		return false;
	if (applied == w->applied)
		return true;
	log_info("generation %u is in force now", applied);
	sd_notifyf(0, "STATUS=watching generation %u", applied);
	w->applied = applied;
	w->live.settings.generation = applied;
	/* An address that came between the switch and now went to the rows of the old one. */
	sw_worker_follow_addresses(w);
	return true;
}

/* Whether there is something to watch by now: bpffs tells nobody. Not access(2), which would forget
 * that we may read everywhere. */
static bool is_there(const struct sw_worker *w)
{
	struct stat st;

	return stat(w->control_pin, &st) == 0;
}

static void watch_second(struct sw_worker *w)
{
	if (!w->feed)
		open_feed(w);
	sw_worker_follow_second(w);
	sw_worker_record_second(w);
	sw_worker_tell_second(w);
}

static int on_second(sd_event_source *s, uint64_t now, void *data)
{
	struct sw_worker *w = data;
	int r;

	(void)now;
	w->second++;
	if (w->idle ? is_there(w) : !is_current(w))
		return sw_worker_finish(w, SW_MONITOR_REOPEN);
	if (!w->idle)
		watch_second(w);
	sw_worker_show_second(w);
	r = sd_event_source_set_time_relative(s, USEC_PER_SEC);
	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *data)
{
	(void)s;
	return sw_worker_finish(data, si->ssi_signo == SIGHUP ? SW_MONITOR_REOPEN : SW_MONITOR_DONE);
}

/* From the supervisor; the end of the pipe is its end. */
static int on_order(sd_event_source *s, int fd, uint32_t events, void *data)
{
	char order = SW_MONITOR_ORDER_END;
	ssize_t n = read(fd, &order, 1);

	(void)s;
	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	return sw_worker_finish(data, order == SW_MONITOR_ORDER_REOPEN ? SW_MONITOR_REOPEN :
									 SW_MONITOR_DONE);
}

static int watch_signals(struct sw_worker *w)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	sigset_t set;
	int r = 0;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_SIZE(signals) && r >= 0; i++)
		r = sd_event_add_signal(w->event, NULL, signals[i], on_signal, w);
	return r;
}

static int start_loop(struct sw_worker *w)
{
	int r = watch_signals(w);

	if (r >= 0)
		r = sd_event_add_io(w->event, NULL, w->orders, EPOLLIN, on_order, w);
	if (r >= 0)
		r = sd_event_add_io(w->event, NULL, sw_runner_fd(w->runner), EPOLLIN, on_answer, w);
	if (r >= 0)
		r = sd_event_add_time_relative(w->event, NULL, CLOCK_MONOTONIC, USEC_PER_SEC, 0,
					       on_second, w);
	if (r >= 0)
		r = sw_worker_show_start(w);
	unsetenv("WATCHDOG_PID");	/* it names the supervisor */
	if (r >= 0)
		r = sd_event_set_watchdog(w->event, true);
	if (r < 0 || w->idle)
		return r;
	sw_worker_record_start(w);
	sw_worker_tell_start(w);
	open_feed(w);
	return sw_worker_follow_start(w);
}

/* ---- From root to the loop ---- */

static int open_domains(struct sw_worker *w)
{
	const struct sw_domains_config c = { .root = w->policy->domain_root,
					     .sources = w->policy->domain_sources };
	int r = sw_domains_new(&c, &w->domains);

	return r < 0 ? r : sw_domains_refresh(w->domains);
}

int sw_worker_may_run(struct sw_worker *w, enum sw_run_kind kind, const char *const *argv,
		      int timeout_s, bool leave)
{
	struct sw_runner_config *c = &w->run;

	w->argv[kind] = sw_outside_argv(argv, timeout_s, leave);
	if (!w->argv[kind])
		return -ENOMEM;
	c->argv[kind] = w->argv[kind];
	c->program[kind] = argv[0];
	c->leave[kind] = leave;
	c->timeout_s[kind] = timeout_s + GRACE_S;
	return 0;
}

static int start_runner(struct sw_worker *w)
{
	_cleanup_free_ const char **refresh = sw_monitor_apply(w->config, "--refresh");
	const char *file = w->policy->metrics_textfile;
	const char *const textfile[] = { w->config->self, "metrics", "--textfile", file, "--input",
					 NULL };
	int r = refresh ? sw_worker_may_run(w, SW_RUN_REFRESH, refresh, APPLY_S, false) : -ENOMEM;

	if (!r && file)
		r = sw_worker_may_run(w, SW_RUN_TEXTFILE, textfile, WRITE_S, false);
	if (!r)
		r = sw_worker_tell_prepare(w);
	return r < 0 ? r : sw_runner_start(&w->run, &w->runner);
}

/* What is to be watched, as root. */
static int open_watched(struct sw_worker *w)
{
	int r;

	w->control = sw_control_map(w->live.map_fd[SW_MAP_CONTROL]);
	if (!w->control)
		return log_err(-errno, "cannot map the control page");
	w->applied = w->control->applied;
	w->reopen = w->control->reopen;
	r = open_domains(w);
	if (r < 0)
		log_warn("cannot find out which domains there are: %s", strerror(-r));
	r = sw_worker_follow_open(w);
	if (!r)
		r = sw_worker_tell_open(w);
	if (!r)
		sw_worker_record_open(w);
	return r;
}

/* Everything that needs root. The runner first: it shall inherit nothing. */
static int open_all(struct sw_worker *w)
{
	int r = sd_event_new(&w->event);

	if (r >= 0)
		r = start_runner(w);
	if (r < 0)
		return log_err(r, "cannot start the monitor");
	if (!w->idle)
		r = open_watched(w);
	if (!r)
		sw_worker_show_open(w);
	return r;
}

static void close_all(struct sw_worker *w)
{
	if (w->feed)
		(void)sw_feed_drain(w->feed);
	sw_worker_record_close(w);
	sw_worker_tell_close(w);
	sw_http_free(w->http);
	sw_feed_free(w->feed);
	sw_closep(&w->lock_fd);
	sw_closep(&w->address_fd);
	sw_runner_free(w->runner);
	for (int i = 0; i < _SW_RUN_MAX; i++)
		free(w->argv[i]);
	sw_domains_free(w->domains);
	if (w->control)
		sw_control_unmap(w->control);
	sw_live_close(&w->live);
	free(w->control_pin);
	sd_event_unref(w->event);
}

static void tell_ready(const struct sw_worker *w)
{
	if (w->idle) {
		log_info("nothing is in force; waiting for 'smtpwall apply'");
		sd_notify(0, "READY=1\nSTATUS=nothing is in force: waiting for smtpwall apply");
		return;
	}
	log_info("watching generation %u, mode %s, as user %s", w->live.settings.generation,
		 sw_mode_name((enum sw_mode)w->live.settings.mode), w->config->user);
	sd_notifyf(0, "READY=1\nSTATUS=watching generation %u", w->live.settings.generation);
}

static int work(struct sw_worker *w)
{
	int r = open_all(w);

	if (r < 0)
		return r;
	r = sw_monitor_drop(w->config->uid, w->config->gid, w->live.map_fd[SW_MAP_CONTROL]);
	if (r < 0)
		return log_err(r, "cannot become user %s and still read the counters", w->config->user);
	/* The change of user would have undone it. Who has lost its supervisor by now ends, too. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != w->config->supervisor)
		return SW_MONITOR_DONE;
	r = start_loop(w);
	if (r < 0)
		return log_err(r, "cannot start the monitor");
	tell_ready(w);
	return sd_event_loop(w->event);
}

/* Nothing is in force: what is left of it, if anything, is not to be shown. */
static int prepare_idle(struct sw_worker *w)
{
	struct sw_pins pins;
	int r = sw_pins_open(w->config->o->target.pin_dir, false, &pins);

	if (r < 0)
		return log_err(r, "cannot look at %s", w->config->o->target.pin_dir);
	if (asprintf(&w->control_pin, "%s/%s", pins.dir, sw_map_names[SW_MAP_CONTROL]) < 0) {
		w->control_pin = NULL;
		r = log_err(-ENOMEM, "cannot start the monitor");
	}
	sw_pins_close(&pins);
	sw_live_close(&w->live);
	return r;
}

int sw_monitor_work(const struct sw_monitor_config *c, const struct sw_policy *p, int orders)
{
	struct sw_worker w = { .config = c, .policy = p, .orders = orders, .lock_fd = -1,
			       .address_fd = -1 };
	int r;

	sw_live_init(&w.live);
	if (sw_setup_live(c->o, &w.live) != SW_EXIT_GOOD)
		return SW_EXIT_KERNEL;
	w.idle = !w.live.exists || w.live.map_fd[SW_MAP_CONTROL] < 0;
	r = w.idle ? prepare_idle(&w) : 0;
	if (!r)
		r = work(&w);
	close_all(&w);
	return r < 0 ? SW_EXIT_KERNEL : r;
}
