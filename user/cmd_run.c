/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>

#include "canary.h"
#include "commands.h"
#include "event.h"
#include "feed.h"
#include "locals.h"
#include "log.h"
#include "options.h"
#include "setup.h"
#include "stats.h"
#include "util.h"

enum { OPT_OBSERVE = SW_OPT_OWN, OPT_FORCE };

static const struct option own[] = {
	{ "observe", no_argument, NULL, OPT_OBSERVE },
	{ "force", no_argument, NULL, OPT_FORCE },
	{},
};

static const char usage[] =
	"Usage: smtpwall run [--observe] [--force]\n\n"
	"Applies the policy, shows every denied connect as it happens, and takes everything down on\n"
	"Ctrl-C. For a first look: with --observe nothing is denied, only shown and counted.\n"
	"To enforce for good use 'smtpwall apply'.\n\n"
	"  --observe         mode observe, whatever the configuration says\n"
	"  --force           enforce even if a mail server would be cut off\n";

struct flags {
	bool observe, force;
};

static int take(int val, const char *arg, void *data)
{
	struct flags *f = data;

	(void)arg;
	if (val == OPT_OBSERVE)
		f->observe = true;
	else
		f->force = true;
	return 0;
}

struct feed {
	const struct sw_options *o;
	struct sw_live live;
	struct ring_buffer *ring;
	int signal_fd;
	int address_fd;
	int lock_fd;		/* the right to read events */
	bool utf8;
	bool broken;		/* nobody reads our output any more */
};

static int on_event(void *data, void *record, size_t len)
{
	const struct sw_event *e = record;
	struct feed *f = data;
	_cleanup_free_ char *line = NULL, *cgroup = NULL;
	struct sw_cgroup_name names;

	if (!sw_event_valid(record, len) || e->charged_uid == SW_CANARY_UID)
		return 0;
	if (bpf_map_lookup_elem(f->live.map_fd[SW_MAP_CGROUPS], &e->cgroup_id, &names) == 0)
		cgroup = sw_cgroup_path(&names);
	line = sw_event_line(e, cgroup, f->utf8);
	if (line && (puts(line) < 0 || fflush(stdout) < 0))
		f->broken = true;
	return 0;
}

/* Signals become readable; a reader of our output that goes away must not kill us before
 * everything is taken down. */
static int watch_signals(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static void refresh_addresses(struct feed *f)
{
	int r = sw_locals_refresh(f->address_fd, f->live.map_fd[SW_MAP_LOCAL],
				  f->live.map_fd[SW_MAP_CONTROL], f->live.settings.generation);

	if (r < 0)
		log_warn("this machine's addresses changed and could not be stored: %s; run 'smtpwall "
			 "apply'", strerror(-r));
}

static int follow(struct feed *f)
{
	struct pollfd fds[] = {
		{ .fd = ring_buffer__epoll_fd(f->ring), .events = POLLIN },
		{ .fd = f->signal_fd, .events = POLLIN },
		{ .fd = f->address_fd, .events = POLLIN },
	};

	while (!f->broken) {
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[0].revents & POLLIN)
			ring_buffer__consume(f->ring);
		if (fds[1].revents & POLLIN)
			return 0;
		if (fds[2].revents & POLLIN)
			refresh_addresses(f);
	}
	return 0;
}

static void say_goodbye(const struct feed *f)
{
	struct sw_stats s;
	uint64_t denied = 0, would = 0, all = 0;

	if (sw_stats_read(&f->live, &s) < 0)
		return;
	for (size_t i = 0; i < s.n_accounts; i++) {
		if (s.accounts[i].row == SW_ROW_UID && s.accounts[i].uid == SW_CANARY_UID)
			continue;
		denied += s.accounts[i].n[SW_N_DENIED];
		would += s.accounts[i].n[SW_N_WOULD_DENY];
		all += sw_stat_attempts(&s.accounts[i]);
	}
	printf("\n%llu SMTP connects seen, %llu denied, %llu would be denied\n",
	       (unsigned long long)all, (unsigned long long)denied, (unsigned long long)would);
	fflush(stdout);
	sw_stats_free(&s);
}

static int open_feed(struct feed *f)
{
	int r = sw_setup_live(f->o, &f->live);

	if (r)
		return r;
	f->address_fd = sw_locals_watch();
	if (f->address_fd < 0)
		return log_err(SW_EXIT_KERNEL, "cannot watch this machine's addresses: %s",
			       strerror(-f->address_fd));
	f->lock_fd = sw_feed_lock(f->o->target.pin_dir, NULL);
	if (f->lock_fd < 0)
		return log_err(SW_EXIT_KERNEL, "cannot have the events of %s: %s", f->o->target.pin_dir,
			       f->lock_fd == -EBUSY ? "another process reads them" :
						      strerror(-f->lock_fd));
	f->ring = ring_buffer__new(f->live.map_fd[SW_MAP_EVENTS], on_event, f, NULL);
	if (!f->ring)
		return log_err(SW_EXIT_KERNEL, "cannot read events: %s", strerror(errno));
	setlocale(LC_CTYPE, "");
	f->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	return 0;
}

static void close_feed(struct feed *f)
{
	ring_buffer__free(f->ring);
	sw_live_close(&f->live);
	sw_closep(&f->address_fd);
	sw_closep(&f->lock_fd);
	sw_closep(&f->signal_fd);
}

/* What is in force for good is not ours to take down. */
static int refuse_if_in_force(const struct sw_options *o)
{
	struct sw_live live;
	bool exists;
	int r = sw_setup_live(o, &live);

	if (r)
		return r;
	exists = live.exists;
	sw_live_close(&live);
	if (exists)
		return log_err(SW_EXIT_BAD, "a policy is in force already in %s, and run would end it; "
			       "look with 'smtpwall status' and 'smtpwall report', or 'smtpwall off' "
			       "first", o->target.pin_dir);
	return 0;
}

static int run(const struct sw_options *o, const struct sw_policy *p)
{
	struct feed f = { .o = o, .signal_fd = -1, .address_fd = -1, .lock_fd = -1 };
	int r, off;

	sw_live_init(&f.live);
	r = refuse_if_in_force(o);
	if (r)
		return r;
	f.signal_fd = watch_signals();
	if (f.signal_fd < 0)
		return log_err(SW_EXIT_KERNEL, "cannot watch signals: %s", strerror(-f.signal_fd));
	r = sw_apply(&o->target, p);
	if (r < 0) {
		sw_closep(&f.signal_fd);
		return sw_exit_status(r);
	}
	r = open_feed(&f);
	if (!r) {
		printf("in force: mode %s; denied connects follow, Ctrl-C takes everything down\n",
		       sw_mode_name(p->mode));
		fflush(stdout);
		r = sw_exit_status(follow(&f));
		ring_buffer__consume(f.ring);
		say_goodbye(&f);
	}
	close_feed(&f);
	off = sw_off(&o->target);
	if (off < 0 && off != -ENOENT)
		return sw_exit_status(off);
	log_info("everything is taken down, port 25 is open to everybody");
	return r;
}

int cmd_run(int argc, char **argv)
{
	struct sw_options o;
	struct flags f = {};
	struct sw_policy p;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &f, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "run takes no argument '%s'", argv[optind]);
	r = sw_setup_policy(&o, f.force || f.observe, true, &p);
	if (r < 0)
		return sw_exit_status(r);
	if (f.observe)
		p.mode = SW_MODE_OBSERVE;
	r = run(&o, &p);
	sw_policy_free(&p);
	return r;
}
