/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <strings.h>

#include "commands.h"
#include "decide.h"
#include "event_line.h"
#include "feed.h"
#include "history.h"
#include "log.h"
#include "names.h"
#include "out.h"
#include "policy.h"
#include "report_setup.h"
#include "setup.h"
#include "util.h"

#define LOOK_AGAIN_MS	2000	/* is what we follow still in force? */
#define KEPT_MS		500	/* has the monitor written more? */
#define NEWEST		1000	/* of what it has kept; the usage says so */

enum {
	OPT_FOLLOW = SW_OPT_OWN, OPT_ONCE, OPT_UID, OPT_DOMAIN, OPT_VERDICT, OPT_PORT, OPT_SINCE,
};

static const struct option own[] = {
	{ "follow", no_argument, NULL, OPT_FOLLOW },
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "uid", required_argument, NULL, OPT_UID },
	{ "domain", required_argument, NULL, OPT_DOMAIN },
	{ "verdict", required_argument, NULL, OPT_VERDICT },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "since", required_argument, NULL, OPT_SINCE },
	{},
};

static const char usage[] =
	"Usage: smtpwall events [OPTION...]\n\n"
	"Events, oldest first: one line a denied, limited or redirected connect, with who, what, from\n"
	"where and to where. While the monitor runs and keeps a history, they come from there, with the\n"
	"names and domains of their time, about two seconds late and as often as you ask: the newest\n"
	"1000 that match, or with --since all of them. Else they are those that wait in the kernel's\n"
	"buffer. Each of these is shown once: what was read is gone, also where a filter hides it. So\n"
	"only one process reads them at a time, and 'smtpwall run' is one that does. Events are\n"
	"throttled for each account, and lost when the buffer is full; 'smtpwall report' has the exact\n"
	"counts.\n\n"
	"  --once              what is there now, without waiting (default)\n"
	"  --follow            then what comes, until interrupted or until nothing is in force\n"
	"  --uid UID|USER      only events charged to this account\n"
	"  --domain NAME       only what is attributed to this domain\n"
	"  --verdict LIST      only these, with commas between: deny observe limited redirect allow\n"
	"  --port PORT         only connects to this port\n"
	"  --since TIME        only what is not older; TIME as for 'smtpwall report'\n\n"
	"--format table is one sentence a line, json one object a line. Columns of tsv (no header)\n"
	"and csv, names of json:\n"
	"  time uid user euid ruid gid loginuid pid ppid comm parent destination port family\n"
	"  verdict reason directory script argv cgroup container domain source account\n"
	"'uid' is the account that the connect was charged to. json has argv as a list.\n";

struct filter {
	bool follow, once;
	struct sw_history_filter h;	/* what is wanted; `domain` as it was given */
};

struct events {
	struct filter f;
	const struct sw_options *o;
	struct sw_live live;
	struct sw_domains *domains;
	struct sw_feed *feed;
	struct sw_history_reader *kept;	/* read instead of the feed, which the monitor reads */
	int64_t after;		/* the last one that was shown of them */
	pid_t reader;		/* the monitor; 0: cannot be told */
	char *domain;		/* what f.domain is attributed to */
	int lock_fd;		/* when reading what is kept without the lock, but of the same */
	bool utf8;
};

static int take_verdicts(const char *arg, struct filter *f)
{
	for (const char *word = arg; *word;) {
		size_t len = strcspn(word, ",");
		int v = 0;

		while (v < _SW_VERDICT_MAX &&
		       (strlen(sw_verdict_name((enum sw_verdict)v)) != len ||
			strncmp(sw_verdict_name((enum sw_verdict)v), word, len) != 0))
			v++;
		if (v == _SW_VERDICT_MAX)
			return log_err(SW_EXIT_USAGE, "unknown verdict '%.*s'; use deny, observe, limited, "
				       "redirect or allow", (int)len, word);
		f->h.verdicts |= 1U << v;
		word += len + (word[len] == ',');
	}
	return f->h.verdicts ? 0 : log_err(SW_EXIT_USAGE, "--verdict needs at least one verdict");
}

static int take_since(const char *arg, struct filter *f)
{
	f->h.is_since = true;
	if (sw_time_parse(arg, time(NULL), &f->h.since) == 0)
		return 0;
	return log_err(SW_EXIT_USAGE, "--since '%s' is no time; use 2026-02-14T10:00:00Z, 2026-02-14, "
		       "today, or how long ago: 30m, 1h, 2d", arg);
}

static int take(int val, const char *arg, void *data)
{
	struct filter *f = data;

	switch (val) {
	case OPT_FOLLOW:
		f->follow = true;
		return 0;
	case OPT_ONCE:
		f->once = true;
		return 0;
	case OPT_UID:
		f->h.is_uid = true;
		if (sw_user_resolve(arg, &f->h.uid, NULL) == 0)
			return 0;
		return log_err(SW_EXIT_USAGE, "--uid '%s' is no account; use its login or its number",
			       arg);
	case OPT_DOMAIN:
		f->h.domain = arg;
		return *arg ? 0 : log_err(SW_EXIT_USAGE, "--domain needs the name of a domain");
	case OPT_VERDICT:
		return take_verdicts(arg, f);
	case OPT_PORT:
		if (sw_id_parse(arg, &f->h.port) == 0 && f->h.port && f->h.port <= UINT16_MAX)
			return 0;
		return log_err(SW_EXIT_USAGE, "--port '%s' is no port", arg);
	default:
		return take_since(arg, f);
	}
}

/* What the record itself tells, before anything is looked up for it. */
static bool is_wanted(const struct filter *f, const struct sw_event *e)
{
	if (f->h.is_uid && (e->charged_uid != f->h.uid || e->charged_row != SW_ROW_UID))
		return false;
	return (!f->h.verdicts || f->h.verdicts & 1U << e->verdict) && (!f->h.port || e->dport == f->h.port);
}

static bool is_wanted_view(const struct events *ev, const struct sw_event_view *v)
{
	if (ev->f.h.is_since && v->time < ev->f.h.since)
		return false;
	return !ev->domain || (v->site.domain && !strcasecmp(v->site.domain, ev->domain));
}

static int print(const struct events *ev, const struct sw_event_view *v)
{
	return sw_event_show(stdout, v, ev->o->format, ev->utf8);
}

/* ---- From the kernel ---- */

static int show(void *data, const struct sw_event *e)
{
	struct events *ev = data;
	struct sw_event_view v;
	int r;

	if (!is_wanted(&ev->f, e))
		return 0;
	r = sw_event_view(e, ev->live.map_fd[SW_MAP_CGROUPS], ev->domains, &v);
	if (r < 0)
		return r;
	if (is_wanted_view(ev, &v))
		r = print(ev, &v);
	sw_event_view_free(&v);
	return r;
}

static int drain(struct events *ev)
{
	int r = sw_feed_drain(ev->feed);

	return r ? r : sw_out_flush(stdout);
}

static int say_gone(const struct events *ev)
{
	return log_err(1, "what was in force in %s is gone; no more events will come",
		       ev->o->target.pin_dir);
}

static int follow(struct events *ev)
{
	struct pollfd fd = { .fd = sw_feed_fd(ev->feed), .events = POLLIN };
	int r = 0, n;

	while (!r) {
		n = poll(&fd, 1, LOOK_AGAIN_MS);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n && !sw_feed_is_current(ev->lock_fd, ev->o->target.pin_dir))
			return say_gone(ev);
		if (n > 0)
			r = sw_domains_refresh(ev->domains) ?: drain(ev);
	}
	return r;
}

static int read_live(struct events *ev)
{
	int r = sw_feed_open(&ev->live, show, ev, &ev->feed);

	r = r ?: drain(ev);
	return r || !ev->f.follow ? r : follow(ev);
}

/* ---- From the history ---- */

static int show_kept(void *data, const struct sw_event_view *v)
{
	return print(data, v);
}

static int drain_kept(struct events *ev, uint32_t newest)
{
	struct sw_history_filter h = ev->f.h;
	int r;

	h.domain = ev->domain;
	h.newest = newest;
	r = sw_history_events(ev->kept, &h, &ev->after, show_kept, ev);
	return r ? r : sw_out_flush(stdout);
}

/* Said once: it may come back, and then we go on. */
static void look_for_monitor(const struct events *ev, unsigned int *missing)
{
	if (!ev->reader || sw_feed_holder(ev->lock_fd))
		*missing = 0;
	else if (++*missing == 3)
		log_warn("the monitor has ended; events wait in the kernel's buffer until it runs again");
}

static int follow_kept(struct events *ev)
{
	unsigned int missing = 0;
	bool gone = false;
	int r = 0;

	for (unsigned int i = 1; !r && !gone; i++) {
		poll(NULL, 0, KEPT_MS);
		if (i % (LOOK_AGAIN_MS / KEPT_MS) == 0) {
			look_for_monitor(ev, &missing);
			gone = !sw_feed_is_current(ev->lock_fd, ev->o->target.pin_dir);
		}
		if (gone)	/* what it still had will be there by then */
			poll(NULL, 0, LOOK_AGAIN_MS);
		r = drain_kept(ev, 0);
	}
	return r ? r : say_gone(ev);
}

static int read_kept(struct events *ev)
{
	int r = drain_kept(ev, ev->f.h.is_since ? 0 : NEWEST);

	return r || !ev->f.follow ? r : follow_kept(ev);
}

/* ---- From where ---- */

static int read_events(struct events *ev)
{
	int r = sw_event_show_head(stdout, ev->o->format);

	r = r ?: ev->kept ? read_kept(ev) : read_live(ev);
	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot show events: %s", strerror(-r));
	return r ? SW_EXIT_BAD : SW_EXIT_GOOD;
}

static int say_busy(const struct events *ev)
{
	const char *pin_dir = ev->o->target.pin_dir;

	if (ev->reader)
		return log_err(SW_EXIT_KERNEL, "process %d reads the events of %s already, and each event can "
			       "be read only once; end it first", (int)ev->reader, pin_dir);
	return log_err(SW_EXIT_KERNEL, "another process reads the events of %s already, and each "
		       "event can be read only once; end it first", pin_dir);
}

/* Only who reads the events can have kept them: not 'run', or another one of us. */
static int open_kept(struct events *ev)
{
	const char *state_dir = ev->o->state_dir;
	pid_t writer;
	int r;

	if (!sw_history_has_writer(state_dir, &writer) ||
	    (writer && ev->reader && writer != ev->reader))
		return say_busy(ev);
	ev->lock_fd = sw_feed_directory(ev->o->target.pin_dir);
	r = ev->lock_fd < 0 ? ev->lock_fd : sw_history_reader_open(state_dir, &ev->kept);
	if (r == -ENOENT)
		return say_busy(ev);
	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "the monitor reads the events, and what it has kept in %s "
			       "cannot be read: %s%s", state_dir, strerror(-r), sw_history_hint(r));
	log_info("the monitor reads the events; these are the ones that it has kept");
	return SW_EXIT_GOOD;
}

static int lock(struct events *ev)
{
	ev->lock_fd = sw_feed_lock(ev->o->target.pin_dir, &ev->reader);
	if (ev->lock_fd == -EBUSY)
		return open_kept(ev);
	if (ev->lock_fd >= 0)
		return SW_EXIT_GOOD;
	return log_err(SW_EXIT_KERNEL, "cannot lock the events of %s: %s", ev->o->target.pin_dir,
		       strerror(-ev->lock_fd));
}

static int open_events(struct events *ev)
{
	struct sw_screen screen;
	int r = sw_setup_live(ev->o, &ev->live);

	if (r)
		return r;
	sw_screen_get(false, &screen);
	ev->utf8 = screen.utf8;
	if (!ev->live.exists || ev->live.map_fd[SW_MAP_EVENTS] < 0)
		r = log_err(SW_EXIT_KERNEL, "nothing is in force in %s, so there are no events; start with "
			    "'smtpwall apply'", ev->o->target.pin_dir);
	r = r ?: lock(ev);
	r = r ?: sw_report_domains(ev->o, &ev->domains);
	if (r || !ev->f.h.domain)
		return r;
	ev->domain = strdup(sw_report_domain(ev->domains, ev->f.h.domain));
	return ev->domain ? SW_EXIT_GOOD : log_err(SW_EXIT_KERNEL, "no memory");
}

int cmd_events(int argc, char **argv)
{
	struct events ev = { .lock_fd = -1 };
	struct sw_options o;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &ev.f, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "events takes no argument '%s'", argv[optind]);
	if (ev.f.follow && ev.f.once)
		return log_err(SW_EXIT_USAGE, "--once and --follow exclude each other");
	ev.o = &o;
	sw_live_init(&ev.live);
	r = open_events(&ev) ?: read_events(&ev);
	sw_history_reader_free(ev.kept);
	sw_feed_free(ev.feed);
	sw_domains_free(ev.domains);
	free(ev.domain);
	sw_closep(&ev.lock_fd);
	sw_live_close(&ev.live);
	return r;
}
