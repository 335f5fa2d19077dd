/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "control.h"
#include "domains.h"
#include "feed.h"
#include "live.h"
#include "locals.h"
#include "log.h"
#include "monitor.h"
#include "runner.h"
#include "setup.h"
#include "usage.h"
#include "util.h"

#define USEC_PER_SEC	1000000ULL
#define NSEC_PER_SEC	1000000000LL
#define REFRESH_S	300	/* host names, accounts, mail servers */
#define REFRESH_SOON_S	5	/* after a file of accounts has changed */
#define CLOCK_SLACK_NS	100000000LL	/* the clock was set, not disciplined */
#define APPLY_S		120

struct worker {
	const struct sw_monitor_config *config;
	const struct sw_policy *policy;
	struct sw_live live;
	struct sw_control *control;
	uint32_t applied;		/* control->applied when we opened */
	int lock_fd;			/* -1: another process reads the events */
	struct sw_feed *feed;
	struct sw_domains *domains;
	struct sw_runner *runner;
	struct sw_runner_config run;
	const char **refresh_argv;
	sd_event *event;
	sd_event_source *feed_source;
	int address_fd;
	uint64_t second;		/* how many have passed */
	uint64_t refresh_at;		/* in these */
	bool refreshing, refresh_failed;
};

static int finish(struct worker *w, enum sw_monitor_end end)
{
	return sd_event_exit(w->event, end);
}

/* ---- Events ---- */

static int take_event(void *data, const struct sw_event *e)
{
	struct worker *w = data;
	struct sw_event_view v;

	if (sw_event_view(e, w->live.map_fd[SW_MAP_CGROUPS], w->domains, &v) < 0)
		return 0;
	sw_event_view_free(&v);
	return 0;
}

static int on_feed(sd_event_source *s, int fd, uint32_t events, void *data)
{
	struct worker *w = data;

	(void)s;
	(void)fd;
	(void)events;
	(void)sw_feed_drain(w->feed);
	return 0;
}

/* Somebody may be looking at them with 'smtpwall events': then later. */
static void open_feed(struct worker *w)
{
	if (w->lock_fd < 0)
		w->lock_fd = sw_feed_lock(w->config->o->target.pin_dir, NULL);
	if (w->lock_fd < 0 || w->feed)
		return;
	if (sw_feed_open(&w->live, take_event, w, &w->feed) < 0)
		return;
	if (sd_event_add_io(w->event, &w->feed_source, sw_feed_fd(w->feed), EPOLLIN, on_feed, w) < 0) {
		sw_feed_free(w->feed);
		w->feed = NULL;
	}
}

/* ---- What has to be kept up to date ---- */

static int on_addresses(sd_event_source *s, int fd, uint32_t events, void *data)
{
	struct worker *w = data;
	int r = sw_locals_refresh(fd, w->live.map_fd[SW_MAP_LOCAL], w->live.map_fd[SW_MAP_CONTROL],
				  w->live.settings.generation);

	(void)s;
	(void)events;
	if (r < 0)
		log_warn("this machine's addresses changed and could not be stored: %s; run 'smtpwall "
			 "apply'", strerror(-r));
	return 0;
}

/* Windows of limits follow local time: the clock may be set, the time zone changed. */
static void follow_clock(struct worker *w)
{
	struct timespec real, mono;
	int64_t offset, known = (int64_t)__atomic_load_n(&w->control->wall_offset_ns, __ATOMIC_ACQUIRE);
	struct sw_zone zone[SW_ZONES];

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	offset = (real.tv_sec - mono.tv_sec) * NSEC_PER_SEC + real.tv_nsec - mono.tv_nsec;
	tzset();
	if (llabs(offset - known) < CLOCK_SLACK_NS) {
		if (w->second % 60)
			return;
		sw_control_zones(real.tv_sec, zone);
		if (!memcmp(zone, w->control->zone, sizeof(zone)))
			return;
	}
	sw_control_set_clock(w->control);
}

static void ask_for_refresh(struct worker *w)
{
	uint32_t id;

	w->refresh_at = w->second + REFRESH_S;
	if (!w->refreshing)
		w->refreshing = sw_runner_ask(w->runner, SW_RUN_REFRESH, "", 0, &id) == 0;
}

/* Said once when it begins to fail, and once when it works again. */
static void note_refresh(struct worker *w, int status)
{
	bool failed = status != 0;

	w->refreshing = false;
	if (failed && !w->refresh_failed)
		log_warn("cannot bring the policy in force up to date; it stays as it is ('smtpwall apply "
			 "--refresh' says why)");
	else if (!failed && w->refresh_failed)
		log_info("the policy in force is up to date again");
	w->refresh_failed = failed;
}

static int on_answer(sd_event_source *s, int fd, uint32_t events, void *data)
{
	struct worker *w = data;
	enum sw_run_kind kind;
	uint32_t id;
	int r, status;

	(void)s;
	(void)fd;
	(void)events;
	while ((r = sw_runner_take(w->runner, &id, &kind, &status)) > 0)
		if (kind == SW_RUN_REFRESH)
			note_refresh(w, status);
	/* Without it nothing is refreshed and nobody is told: better to begin anew. */
	return r < 0 ? finish(w, SW_MONITOR_REOPEN) : 0;
}

static int on_accounts(sd_event_source *s, const struct inotify_event *e, void *data)
{
	static const char *const files[] = { "passwd", "group", "hosts", "localtime" };
	struct worker *w = data;

	(void)s;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (e->len && !strcmp(e->name, files[i]) && w->refresh_at > w->second + REFRESH_SOON_S)
			w->refresh_at = w->second + REFRESH_SOON_S;
	return 0;
}

/* ---- The loop ---- */

static int on_second(sd_event_source *s, uint64_t now, void *data)
{
	struct worker *w = data;
	int r;

	(void)now;
	w->second++;
	if (__atomic_load_n(&w->control->applied, __ATOMIC_SEQ_CST) != w->applied)
		return finish(w, SW_MONITOR_REOPEN);
	if (w->lock_fd >= 0 && !sw_feed_is_current(w->lock_fd, w->config->o->target.pin_dir))
		return finish(w, SW_MONITOR_REOPEN);
	follow_clock(w);
	if (!w->feed)
		open_feed(w);
	if (w->second >= w->refresh_at)
		ask_for_refresh(w);
	if (w->second % 60 == 0)
		(void)sw_denied_prune(&w->live);
	r = sd_event_source_set_time_relative(s, USEC_PER_SEC);
	return r < 0 ? r : sd_event_source_set_enabled(s, SD_EVENT_ONESHOT);
}

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *data)
{
	(void)s;
	return finish(data, si->ssi_signo == SIGHUP ? SW_MONITOR_REOPEN : SW_MONITOR_DONE);
}

static int watch(struct worker *w)
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
	if (r >= 0)
		r = sd_event_add_io(w->event, NULL, w->address_fd, EPOLLIN, on_addresses, w);
	if (r >= 0)
		r = sd_event_add_io(w->event, NULL, sw_runner_fd(w->runner), EPOLLIN, on_answer, w);
	if (r >= 0)
		r = sd_event_add_time_relative(w->event, NULL, CLOCK_MONOTONIC, USEC_PER_SEC, 0,
					       on_second, w);
	if (r >= 0)
		(void)sd_event_add_inotify(w->event, NULL, "/etc", IN_CLOSE_WRITE | IN_MOVED_TO,
					   on_accounts, w);
	unsetenv("WATCHDOG_PID");	/* it names the supervisor */
	if (r >= 0)
		r = sd_event_set_watchdog(w->event, true);
	return r;
}

static int open_domains(struct worker *w)
{
	const struct sw_domains_config c = { .root = w->policy->domain_root,
					     .sources = w->policy->domain_sources };
	int r = sw_domains_new(&c, &w->domains);

	return r < 0 ? r : sw_domains_refresh(w->domains);
}

static int start_runner(struct worker *w)
{
	w->refresh_argv = sw_monitor_apply(w->config, "--refresh");
	if (!w->refresh_argv)
		return -ENOMEM;
	w->run.argv[SW_RUN_REFRESH] = w->refresh_argv;
	w->run.timeout_s[SW_RUN_REFRESH] = APPLY_S;
	return sw_runner_start(&w->run, &w->runner);
}

/* Everything that needs root. */
static int open_all(struct worker *w)
{
	int r = sd_event_new(&w->event);

	if (r >= 0)
		r = start_runner(w);
	if (r < 0)
		return log_err(r, "cannot start the monitor");
	w->control = sw_control_map(w->live.map_fd[SW_MAP_CONTROL]);
	if (!w->control)
		return log_err(-errno, "cannot map the control page");
	w->applied = w->control->applied;
	w->address_fd = sw_locals_watch();
	if (w->address_fd < 0)
		return log_err(w->address_fd, "cannot watch this machine's addresses");
	on_addresses(NULL, w->address_fd, 0, w);	/* they may have changed while nobody looked */
	r = open_domains(w);
	if (r < 0)
		log_warn("cannot find out which domains there are: %s", strerror(-r));
	return 0;
}

static void close_all(struct worker *w)
{
	w->feed_source = sd_event_source_unref(w->feed_source);
	sw_feed_free(w->feed);
	sw_closep(&w->lock_fd);
	sw_closep(&w->address_fd);
	sw_runner_free(w->runner);
	free(w->refresh_argv);
	sw_domains_free(w->domains);
	if (w->control)
		sw_control_unmap(w->control);
	sw_live_close(&w->live);
	sd_event_unref(w->event);
}

static int work(struct worker *w)
{
	int r = open_all(w);

	if (r < 0)
		return r;
	open_feed(w);
	r = watch(w);
	if (r < 0)
		return log_err(r, "cannot start the monitor");
	r = sw_monitor_drop(w->config->uid, w->config->gid, w->live.map_fd[SW_MAP_CONTROL]);
	if (r < 0)
		return log_err(r, "cannot become user %s and still read the counters", w->config->user);
	/* The change of user forgot it. Who was the parent's child before is not any more. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != w->config->supervisor)
		return SW_MONITOR_DONE;
	log_info("watching generation %u, mode %s, as user %s", w->live.settings.generation,
		 sw_mode_name((enum sw_mode)w->live.settings.mode), w->config->user);
	sd_notifyf(0, "READY=1\nSTATUS=watching generation %u", w->live.settings.generation);
	w->refresh_at = REFRESH_SOON_S;
	return sd_event_loop(w->event);
}

int sw_monitor_work(const struct sw_monitor_config *c, const struct sw_policy *p)
{
	struct worker w = { .config = c, .policy = p, .lock_fd = -1, .address_fd = -1 };
	int r;

	sw_live_init(&w.live);
	if (sw_setup_live(c->o, &w.live) != SW_EXIT_GOOD)
		return SW_EXIT_KERNEL;
	if (!w.live.exists || w.live.map_fd[SW_MAP_CONTROL] < 0) {
		sw_live_close(&w.live);
		return SW_MONITOR_NOTHING;
	}
	r = work(&w);
	close_all(&w);
	return r < 0 ? SW_EXIT_KERNEL : r;
}
