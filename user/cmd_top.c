/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "history.h"
#include "log.h"
#include "pins.h"
#include "report_setup.h"
#include "setup.h"
#include "top.h"
#include "top_screen.h"
#include "util.h"

#define NSEC_PER_SEC		1000000000ULL
#define NSEC_PER_MS		1000000ULL
#define INTERVAL_DEFAULT_MS	2000
#define DOMAINS_NS		(30 * NSEC_PER_SEC)	/* domains are read again that often */

enum { OPT_ONCE = SW_OPT_OWN, OPT_INTERVAL, OPT_BY, OPT_SORT, OPT_FILTER, OPT_CHANNEL };

static const struct option own[] = {
	{ "once", no_argument, NULL, OPT_ONCE },
	{ "interval", required_argument, NULL, OPT_INTERVAL },
	{ "by", required_argument, NULL, OPT_BY },
	{ "sort", required_argument, NULL, OPT_SORT },
	{ "filter", required_argument, NULL, OPT_FILTER },
	{ "channel", required_argument, NULL, OPT_CHANNEL },
	{},
};

static const char usage[] =
	"Usage: smtpwall top [OPTION...]\n\n"
	"Offenders as they are at it: a ranking of domains with attempts a second and a minute, and\n"
	"from a domain to its directories and their latest events. '?' shows the keys.\n"
	"Looking at events reads them, unless the monitor does: see 'smtpwall events --help'.\n\n"
	"  --interval SECONDS  read so often (default 2; 0.25 to 60)\n"
	"  --by domain|uid     rank domains (default) or accounts\n"
	"  --channel direct|local|sendmail|all   rank offenders (default), who speaks SMTP to this\n"
	"                      machine, who hands mail to sendmail, or all three together\n"
	"  --sort KEY          rate (default), minute, denied, last or name\n"
	"  --filter TEXT       only lines with this text in domain, user, directory or script\n"
	"  --once              print one ranking as plain text, with rates over one interval, and end\n";

struct top {
	struct sw_top t;
	struct sw_top_data data;
	struct sw_report_setup setup;
	struct sw_live live;
	struct sw_feed *feed;
	struct sw_history_reader *kept;	/* read instead of the feed, which the monitor reads */
	int64_t kept_after;
	uint64_t kept_of;	/* the directory whose events were read */
	const struct sw_options *o;
	bool once;
	int lock_fd;
	uint64_t domains_read;
};

static volatile sig_atomic_t stop;

static void on_signal(int number)
{
	stop = number;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static int take_interval(const char *arg, struct sw_top *t)
{
	char *end;
	double seconds = strtod(arg, &end);

	if (*arg && !*end && seconds >= 0.25 && seconds <= 60) {
		t->interval_ms = (uint32_t)(seconds * 1000);
		return 0;
	}
	return log_err(SW_EXIT_USAGE, "--interval '%s' is no number of seconds from 0.25 to 60", arg);
}

static int take_sort(const char *arg, struct sw_top *t)
{
	for (int i = 0; i < _SW_TOP_SORT_MAX; i++) {
		if (!strcmp(arg, sw_top_sort_name((enum sw_top_sort)i))) {
			t->sort = (enum sw_top_sort)i;
			return 0;
		}
	}
	return log_err(SW_EXIT_USAGE, "cannot sort by '%s'; use rate, minute, denied, last or name", arg);
}

static int take(int val, const char *arg, void *data)
{
	struct top *top = data;

	switch (val) {
	case OPT_ONCE:
		top->once = true;
		return 0;
	case OPT_INTERVAL:
		return take_interval(arg, &top->t);
	case OPT_SORT:
		return take_sort(arg, &top->t);
	case OPT_CHANNEL:
		return sw_report_take_channel(arg, &top->t.channel);
	case OPT_BY:
		top->t.by_uid = !strcmp(arg, "uid");
		if (top->t.by_uid || !strcmp(arg, "domain"))
			return 0;
		return log_err(SW_EXIT_USAGE, "cannot rank by '%s'; use domain or uid", arg);
	default:
		if (strlen(arg) < SW_TOP_FILTER_LEN) {
			snprintf(top->t.filter, sizeof(top->t.filter), "%s", arg);
			return 0;
		}
		return log_err(SW_EXIT_USAGE, "--filter takes up to %d characters",
			       SW_TOP_FILTER_LEN - 1);
	}
}

/* ---- Reading ---- */

/* What is in force may have changed, or be gone: then counters stand still. 0; -ENOLINK; -errno. */
static int look_again(struct top *top)
{
	struct sw_live live;
	struct sw_pins pins;
	int r = sw_pins_open(top->o->target.pin_dir, false, &pins);

	if (r < 0)
		return r == -ENOENT ? -ENOLINK : r;
	r = sw_live_open(pins.dir, &live);
	sw_pins_close(&pins);
	if (r < 0)
		return r;
	sw_report_describe(&live, &top->setup);
	r = live.exists ? 0 : -ENOLINK;
	sw_live_close(&live);
	return r;
}

/* Everything that rows refer to is read in one go, and they are made anew. 0 or -errno. */
static int read_all(struct top *top)
{
	struct sw_stats s;
	uint64_t now = now_ns();
	int r = look_again(top);

	r = r ?: sw_stats_read(&top->live, &s);
	if (!r && now - top->domains_read >= DOMAINS_NS) {
		top->domains_read = now;
		r = sw_domains_refresh(top->data.domains);
		if (r < 0)
			sw_stats_free(&s);
	}
	return r ? r : sw_top_take(&top->data, &s, &top->t, now);
}

static int take_event(void *data, const struct sw_event *e)
{
	struct top *top = data;
	struct sw_event_view v;
	int r = sw_event_view(e, -1, NULL, &v);

	if (r < 0)
		return r;
	r = sw_top_add_event(&top->data, &v);
	sw_event_view_free(&v);
	return r;
}

static int take_kept(void *data, const struct sw_event_view *v)
{
	struct top *top = data;
	int r = sw_top_add_event(&top->data, v);

	if (!r)	/* the history has no numbers of directories */
		top->data.event[top->data.n_events - 1].origin = top->kept_of;
	return r;
}

static const struct sw_stat *find_origin(const struct top *top, uint64_t id)
{
	for (size_t i = 0; i < top->data.stats.n_origins; i++)
		if (top->data.stats.origins[i].id == id)
			return &top->data.stats.origins[i];
	return NULL;
}

/* Events of the directory that is looked at, which is another one than before or has more. */
static int read_kept(struct top *top)
{
	const struct sw_stat *s = find_origin(top, top->t.opened[1]);
	struct sw_history_filter f = { .is_uid = true, .newest = SW_TOP_EVENTS_MAX };
	int r;

	if (!s || !s->directory)
		return 0;
	if (top->kept_of != s->id) {
		sw_top_forget_events(&top->data);
		top->kept_of = s->id;
		top->kept_after = 0;
	}
	f.uid = s->uid;
	f.row = s->row;
	f.directory = s->directory;
	r = sw_history_events(top->kept, &f, &top->kept_after, take_kept, top);
	if (r >= 0 || r == -ENOMEM)
		return r;
	sw_history_reader_free(top->kept);
	top->kept = NULL;
	if (asprintf(&top->data.event_problem, "the history cannot be read: %s", strerror(-r)) < 0) {
		top->data.event_problem = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* Only who reads the events can have kept them. */
static bool open_kept(struct top *top, pid_t reader)
{
	pid_t writer;

	return sw_history_has_writer(top->o->state_dir, &writer) &&
	       (!writer || !reader || writer == reader) &&
	       sw_history_reader_open(top->o->state_dir, &top->kept) == 0;
}

/* Only when somebody wants to see them: whoever reads events takes them away from others. */
static int start_events(struct top *top)
{
	pid_t pid = 0;

	if (top->feed || top->kept || top->data.event_problem)
		return 0;
	top->lock_fd = sw_feed_lock(top->o->target.pin_dir, &pid);
	if (top->lock_fd >= 0)
		return sw_feed_open(&top->live, take_event, top, &top->feed);
	if (open_kept(top, pid))
		return 0;
	if (asprintf(&top->data.event_problem, "not read here: process %d reads them", (int)pid) < 0) {
		top->data.event_problem = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int update_lines(struct top *top)
{
	int r = top->feed ? sw_feed_drain(top->feed) : 0;

	if (top->kept && top->t.view == SW_TOP_EVENTS)
		r = read_kept(top);
	r = r ?: sw_top_lines(&top->data, &top->t);
	if (!r)
		sw_top_clamp(&top->t, top->data.n_lines, top->once ? SIZE_MAX / 2 : sw_top_screen_height());
	return r;
}

/* ---- Showing ---- */

static int print_once(struct top *top)
{
	const uint64_t ns = top->t.interval_ms * NSEC_PER_MS;
	const struct timespec wait = { .tv_sec = (time_t)(ns / NSEC_PER_SEC),
				       .tv_nsec = (long)(ns % NSEC_PER_SEC) };
	struct sw_screen screen;
	_cleanup_free_ char *head = NULL;
	int r = read_all(top);

	if (!r && clock_nanosleep(CLOCK_MONOTONIC, 0, &wait, NULL) == 0)
		r = read_all(top);
	r = r ?: update_lines(top);
	if (r < 0)
		return r;
	sw_screen_get(top->o->color, &screen);
	head = sw_top_headline(&top->data, &top->t, screen.utf8);
	if (!head)
		return -ENOMEM;
	puts(head);
	return sw_top_print(stdout, &top->data, &top->t, &screen);
}

static int open_selected(struct top *top)
{
	uint64_t id = top->data.line[top->t.selected].id;

	top->t.opened[top->t.view] = id;
	top->t.view = (enum sw_top_view)(top->t.view + 1);
	top->t.selected = top->t.first = 0;
	return top->t.view == SW_TOP_EVENTS ? start_events(top) : 0;
}

enum { TIME_IS_OVER, READ_NOW, THE_END };

/* Keys until it is time to read again: one of these, or -errno. */
static int handle_keys(struct top *top)
{
	uint64_t due = now_ns() + top->t.interval_ms * NSEC_PER_MS, now;
	enum sw_top_action action = SW_TOP_NOTHING;
	int key, r = 0;

	while (!r && !stop && action != SW_TOP_READ && (now = now_ns()) < due) {
		key = sw_top_screen_key((int)((due - now) / NSEC_PER_MS) + 1);
		if (key == -EIO)
			return THE_END;
		action = key > 0 ? sw_top_press(&top->t, key) : SW_TOP_NOTHING;
		if (action == SW_TOP_QUIT)
			return THE_END;
		if (action == SW_TOP_OPEN)
			r = open_selected(top);
		if (r < 0 || !key || action == SW_TOP_READ)
			continue;
		r = update_lines(top);
		r = r ?: sw_top_screen_draw(&top->data, &top->t);
	}
	return r < 0 ? r : action == SW_TOP_READ ? READ_NOW : TIME_IS_OVER;
}

static int loop(struct top *top)
{
	int r = READ_NOW;

	while (r >= 0 && r != THE_END && !stop) {
		r = r == READ_NOW || !top->t.paused ? read_all(top) : 0;
		r = r ?: update_lines(top);
		r = r ?: sw_top_screen_draw(&top->data, &top->t);
		r = r ?: handle_keys(top);
	}
	return r < 0 ? r : 0;
}

static int show(struct top *top)
{
	const struct sigaction act = { .sa_handler = on_signal };
	int r = sw_top_screen_open(top->o->color);

	if (r == -ENOTTY)
		return log_err(SW_EXIT_USAGE, "top needs a terminal; use --once, or 'smtpwall report'");
	if (r < 0)
		return log_err(SW_EXIT_USAGE, "top cannot use a terminal of the kind TERM=%s; use --once",
			       getenv("TERM") ?: "");
	sigaction(SIGINT, &act, NULL);
	sigaction(SIGTERM, &act, NULL);
	sigaction(SIGHUP, &act, NULL);
	r = loop(top);
	sw_top_screen_close();
	return r;
}

static int run(struct top *top)
{
	int r = sw_setup_live(top->o, &top->live);

	if (r)
		return r;
	if (!top->live.exists)
		return log_err(SW_EXIT_KERNEL, "nothing is in force in %s, so nothing was counted; start "
			       "with 'smtpwall apply'", top->o->target.pin_dir);
	r = sw_report_setup(top->o, &top->live, &top->setup);
	if (r)
		return r;
	top->data.domains = top->setup.domains;
	top->data.about = &top->setup.about;
	top->domains_read = now_ns();
	r = top->once ? print_once(top) : show(top);
	if (r == -ENOLINK)
		return log_err(SW_EXIT_BAD, "what was in force in %s is gone; nothing is counted any more",
			       top->o->target.pin_dir);
	return r < 0 ? log_err(SW_EXIT_KERNEL, "cannot show offenders: %s", strerror(-r)) : r;
}

int cmd_top(int argc, char **argv)
{
	struct top top = { .t.interval_ms = INTERVAL_DEFAULT_MS, .lock_fd = -1 };
	struct sw_options o;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &top, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "top takes no argument '%s'", argv[optind]);
	if (o.format != SW_FORMAT_TABLE)
		return log_err(SW_EXIT_USAGE, "top shows a table only; 'smtpwall report' has other formats");
	top.o = &o;
	sw_live_init(&top.live);
	r = run(&top);
	sw_top_data_free(&top.data);
	sw_feed_free(top.feed);
	sw_history_reader_free(top.kept);
	sw_report_setup_free(&top.setup);
	sw_closep(&top.lock_fd);
	sw_live_close(&top.live);
	return r;
}
