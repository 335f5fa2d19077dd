/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <strings.h>

#include "commands.h"
#include "decide.h"
#include "feed.h"
#include "log.h"
#include "names.h"
#include "out.h"
#include "policy.h"
#include "report_setup.h"
#include "setup.h"
#include "util.h"

#define LOOK_AGAIN_MS	2000	/* is what we follow still in force? */

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
	"The events that wait in the kernel's buffer, oldest first: one line a denied, limited or\n"
	"redirected connect, with who, what, from where and to where. Each is shown once: what was\n"
	"read is gone from the buffer, also where a filter hides it. So only one process reads at a\n"
	"time, and 'smtpwall run' is one that does. Events are throttled for each account, and lost\n"
	"when the buffer is full; 'smtpwall report' has the exact counts.\n\n"
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
	bool is_uid, is_since;
	uint32_t uid;
	time_t since;
	const char *domain;
	uint32_t verdicts;	/* bits of enum sw_verdict; 0: all */
	uint32_t port;		/* 0: all */
};

struct events {
	struct filter f;
	const struct sw_options *o;
	struct sw_live live;
	struct sw_domains *domains;
	struct sw_feed *feed;
	char *domain;		/* what f.domain is attributed to */
	int lock_fd;
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
		f->verdicts |= 1U << v;
		word += len + (word[len] == ',');
	}
	return f->verdicts ? 0 : log_err(SW_EXIT_USAGE, "--verdict needs at least one verdict");
}

static int take_since(const char *arg, struct filter *f)
{
	f->is_since = true;
	if (sw_time_parse(arg, time(NULL), &f->since) == 0)
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
		f->is_uid = true;
		if (sw_user_resolve(arg, &f->uid, NULL) == 0)
			return 0;
		return log_err(SW_EXIT_USAGE, "--uid '%s' is no account; use its login or its number",
			       arg);
	case OPT_DOMAIN:
		f->domain = arg;
		return *arg ? 0 : log_err(SW_EXIT_USAGE, "--domain needs the name of a domain");
	case OPT_VERDICT:
		return take_verdicts(arg, f);
	case OPT_PORT:
		if (sw_id_parse(arg, &f->port) == 0 && f->port && f->port <= UINT16_MAX)
			return 0;
		return log_err(SW_EXIT_USAGE, "--port '%s' is no port", arg);
	default:
		return take_since(arg, f);
	}
}

/* What the record itself tells, before anything is looked up for it. */
static bool is_wanted(const struct filter *f, const struct sw_event *e)
{
	if (f->is_uid && (e->charged_uid != f->uid || e->charged_row != SW_ROW_UID))
		return false;
	return (!f->verdicts || f->verdicts & 1U << e->verdict) && (!f->port || e->dport == f->port);
}

static bool is_wanted_view(const struct events *ev, const struct sw_event_view *v)
{
	if (ev->f.is_since && v->time < ev->f.since)
		return false;
	return !ev->domain || (v->site.domain && !strcasecmp(v->site.domain, ev->domain));
}

/* The columns, in their order for ever: new ones go at the end. */
enum field {
	F_TIME, F_UID, F_USER, F_EUID, F_RUID, F_GID, F_LOGINUID, F_PID, F_PPID, F_COMM, F_PARENT,
	F_DESTINATION, F_PORT, F_FAMILY, F_VERDICT, F_REASON, F_DIRECTORY, F_SCRIPT, F_ARGV, F_CGROUP,
	F_CONTAINER, F_DOMAIN, F_SOURCE, F_ACCOUNT,
	_F_MAX,
};

static const char *const names[_F_MAX] = {
	[F_TIME] = "time", [F_UID] = "uid", [F_USER] = "user", [F_EUID] = "euid", [F_RUID] = "ruid",
	[F_GID] = "gid", [F_LOGINUID] = "loginuid", [F_PID] = "pid", [F_PPID] = "ppid",
	[F_COMM] = "comm", [F_PARENT] = "parent", [F_DESTINATION] = "destination",
	[F_PORT] = "port", [F_FAMILY] = "family", [F_VERDICT] = "verdict", [F_REASON] = "reason",
	[F_DIRECTORY] = "directory", [F_SCRIPT] = "script", [F_ARGV] = "argv",
	[F_CGROUP] = "cgroup", [F_CONTAINER] = "container", [F_DOMAIN] = "domain",
	[F_SOURCE] = "source", [F_ACCOUNT] = "account",
};

/* One event; texts belong to others. */
struct line {
	const char *text[_F_MAX];	/* NULL: null, or a number */
	char number[_F_MAX][12];	/* empty: null, or a text */
	char time[SW_TIME_LEN];
	char title[SW_ARGV_LEN];
};

static void set_number(struct line *l, enum field f, uint32_t n)
{
	snprintf(l->number[f], sizeof(l->number[f]), "%" PRIu32, n);
}

/* The arguments with blanks between. */
static void join_title(const struct sw_stat *w, char title[SW_ARGV_LEN])
{
	size_t len = w->argv_len < SW_ARGV_LEN ? w->argv_len : SW_ARGV_LEN - 1;

	while (len && !w->argv[len - 1])
		len--;
	for (size_t i = 0; i < len; i++)
		title[i] = w->argv[i] ? w->argv[i] : ' ';
	title[len] = '\0';
}

static void fill_line(const struct sw_event_view *v, struct line *l)
{
	const struct sw_event *e = v->e;

	*l = (struct line){};
	l->text[F_TIME] = sw_time_format(v->time, l->time);
	if (!v->no_uid)
		set_number(l, F_UID, e->charged_uid);
	set_number(l, F_EUID, e->euid);
	set_number(l, F_RUID, e->ruid);
	set_number(l, F_GID, e->egid);
	if (e->loginuid != UINT32_MAX)
		set_number(l, F_LOGINUID, e->loginuid);
	set_number(l, F_PID, e->tgid);
	set_number(l, F_PPID, e->ppid);
	set_number(l, F_PORT, e->dport);
	set_number(l, F_FAMILY, e->family);
	l->text[F_USER] = v->no_uid ? "(kernel)" : v->site.user;
	l->text[F_COMM] = v->comm;
	l->text[F_PARENT] = v->parent;
	l->text[F_DESTINATION] = v->address;
	l->text[F_VERDICT] = sw_verdict_name((enum sw_verdict)e->verdict);
	l->text[F_REASON] = sw_reason_name((enum sw_reason)e->reason);
	l->text[F_DIRECTORY] = v->where.directory;
	l->text[F_SCRIPT] = v->where.script;
	join_title(&v->where, l->title);
	l->text[F_ARGV] = l->title;
	l->text[F_CGROUP] = v->where.cgroup;
	l->text[F_CONTAINER] = *v->container ? v->container : NULL;
	l->text[F_DOMAIN] = v->site.domain;
	l->text[F_SOURCE] = v->site.source;
	l->text[F_ACCOUNT] = v->site.account;
}

static struct json_object *json_argv(const struct sw_stat *w)
{
	struct json_object *list = json_object_new_array();
	size_t len = w->argv_len;

	while (len && !w->argv[len - 1])
		len--;
	for (size_t at = 0; at < len; at += strlen(w->argv + at) + 1)
		json_object_array_add(list, sw_json_text(w->argv + at));
	return list;
}

static int print_json(const struct sw_event_view *v, const struct line *l)
{
	struct json_object *o = json_object_new_object();
	int r;

	for (int i = 0; i < _F_MAX; i++)
		json_object_object_add(o, names[i], i == F_ARGV ? json_argv(&v->where) :
				       *l->number[i] ?
				       json_object_new_int64(strtoll(l->number[i], NULL, 10)) :
				       sw_json_text(l->text[i]));
	r = sw_json_print(stdout, o);
	json_object_put(o);
	return r;
}

static int print_cells(const struct line *l, int (*print)(FILE *, const char *const *, size_t))
{
	const char *cells[_F_MAX];

	for (int i = 0; i < _F_MAX; i++)
		cells[i] = *l->number[i] ? l->number[i] : l->text[i];
	return print(stdout, cells, _F_MAX);
}

static int print_sentence(const struct sw_event_view *v, bool utf8)
{
	_cleanup_free_ char *text = sw_event_sentence(v, utf8);

	if (!text)
		return -ENOMEM;
	puts(text);
	return 0;
}

static int show(void *data, const struct sw_event *e)
{
	struct events *ev = data;
	struct sw_event_view v;
	struct line l;
	int r;

	if (!is_wanted(&ev->f, e))
		return 0;
	r = sw_event_view(e, ev->live.map_fd[SW_MAP_CGROUPS], ev->domains, &v);
	if (r < 0)
		return r;
	if (is_wanted_view(ev, &v)) {
		fill_line(&v, &l);
		switch (ev->o->format) {
		case SW_FORMAT_JSON:
			r = print_json(&v, &l);
			break;
		case SW_FORMAT_TSV:
			r = print_cells(&l, sw_tsv_row);
			break;
		case SW_FORMAT_CSV:
			r = print_cells(&l, sw_csv_row);
			break;
		default:
			r = print_sentence(&v, ev->utf8);
		}
	}
	sw_event_view_free(&v);
	return r;
}

static int drain(struct events *ev)
{
	int r = sw_feed_drain(ev->feed);

	return r ? r : sw_out_flush(stdout);
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
			return log_err(1, "what was in force in %s is gone; no more events will come",
				       ev->o->target.pin_dir);
		if (n > 0)
			r = sw_domains_refresh(ev->domains) ?: drain(ev);
	}
	return r;
}

static int read_events(struct events *ev)
{
	int r = sw_feed_open(&ev->live, show, ev, &ev->feed);

	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot read events: %s", strerror(-r));
	if (ev->o->format == SW_FORMAT_CSV)
		r = sw_csv_row(stdout, names, _F_MAX);
	r = r ?: drain(ev);
	if (!r && ev->f.follow)
		r = follow(ev);
	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot show events: %s", strerror(-r));
	return r ? SW_EXIT_BAD : SW_EXIT_GOOD;
}

static int lock(struct events *ev)
{
	const char *pin_dir = ev->o->target.pin_dir;
	pid_t pid = 0;

	ev->lock_fd = sw_feed_lock(pin_dir, &pid);
	if (ev->lock_fd >= 0)
		return SW_EXIT_GOOD;
	if (ev->lock_fd == -EBUSY && pid)
		return log_err(SW_EXIT_KERNEL, "process %d reads the events of %s already, and each event can "
			       "be read only once; end it first", (int)pid, pin_dir);
	if (ev->lock_fd == -EBUSY)
		return log_err(SW_EXIT_KERNEL, "another process reads the events of %s already, and each "
			       "event can be read only once; end it first", pin_dir);
	return log_err(SW_EXIT_KERNEL, "cannot lock the events of %s: %s", pin_dir,
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
	if (r || !ev->f.domain)
		return r;
	ev->domain = strdup(sw_report_domain(ev->domains, ev->f.domain));
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
	sw_feed_free(ev.feed);
	sw_domains_free(ev.domains);
	free(ev.domain);
	sw_closep(&ev.lock_fd);
	sw_live_close(&ev.live);
	return r;
}
