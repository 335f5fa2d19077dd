/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "commands.h"
#include "log.h"
#include "names.h"
#include "out.h"
#include "report.h"
#include "report_past.h"
#include "report_setup.h"
#include "util.h"

enum {
	OPT_BY = SW_OPT_OWN, OPT_SORT, OPT_TOP, OPT_SINCE, OPT_UNTIL, OPT_ALL, OPT_UID, OPT_DOMAIN,
	OPT_PATH, OPT_PERIOD, OPT_LIVE, OPT_CHANNEL,
};

static const struct option own[] = {
	{ "by", required_argument, NULL, OPT_BY },
	{ "sort", required_argument, NULL, OPT_SORT },
	{ "top", required_argument, NULL, OPT_TOP },
	{ "since", required_argument, NULL, OPT_SINCE },
	{ "until", required_argument, NULL, OPT_UNTIL },
	{ "all", no_argument, NULL, OPT_ALL },
	{ "uid", required_argument, NULL, OPT_UID },
	{ "domain", required_argument, NULL, OPT_DOMAIN },
	{ "path", required_argument, NULL, OPT_PATH },
	{ "period", required_argument, NULL, OPT_PERIOD },
	{ "live", no_argument, NULL, OPT_LIVE },
	{ "channel", required_argument, NULL, OPT_CHANNEL },
	{},
};

static const char usage[] =
	"Usage: smtpwall report [OPTION...]\n\n"
	"Who tried to speak SMTP past the mail server: the offenders, with exact counts, the domain,\n"
	"and what they ran in which directory. Reads the kernel, or for a period the history that\n"
	"'smtpwall monitor' keeps, and changes nothing.\n\n"
	"  --by uid|domain|directory   one row an account (default), a domain, or an account and\n"
	"                      directory. Of several directories the one with most denied attempts\n"
	"                      is shown, with its domain and script\n"
	"  --sort KEY          denied (default: denied, would-be-denied, limited, redirected, then\n"
	"                      attempts), attempts, last, uid, domain or destinations\n"
	"  --top N             only the first N rows\n"
	"  --channel direct|local|sendmail|all   whose rows, and in which order: offenders (default),\n"
	"                      who speaks SMTP to this machine, who hands mail to sendmail, or who\n"
	"                      does most of all three\n"
	"  --all               also accounts that were never denied, limited or redirected\n"
	"  --uid UID|USER      only this account\n"
	"  --domain NAME       only what is attributed to this domain\n"
	"  --path DIRECTORY    only what was run there or below\n"
	"  --since TIME        what was counted from then on, by whole hours, with the names of\n"
	"  --until TIME        that time. TIME is RFC 3339, a date, today, or 90s, 30m, 1h, 2d, 1w\n"
	"                      ago. Without a history: rows whose last attempt lies in between,\n"
	"                      with their totals since 'apply'\n"
	"  --period PERIOD     the same: today, yesterday, week, month, or how long: 12h, 30d\n"
	"  --live              totals since 'apply' even where there is a history\n\n"
	"The table fits the terminal, else COLUMNS, else 80: what has no room is cut or left out.\n"
	"'shop.example +2' is a guess: the account is sure, and it has two more sites.\n"
	"The other formats are complete. Texts are escaped: \\xNN stands for one byte.\n"
	"csv quotes a cell that begins with = + - or @, but does not change it.\n"
	"Columns of tsv (no header) and csv, names of json:\n"
	"  uid user domain domains source directory script attempts allowed denied would_deny\n"
	"  limited redirected local sendmail destinations bytes_sent established failed first_seen\n"
	"  last_seen last_destination row container cgroup account refused timed_out bytes_received\n"
	"  seconds\n"
	"'domains' counts the sites of the account. 'source' says how the domain was found: docroot,\n"
	"pool-name and process-title name one site; any other names the account's main domain; home\n"
	"and none are what is left. 'destinations' is an estimate. 'account' owns the domain. 'row'\n"
	"is account, or for what belongs to no single one: kernel (its own threads), overflow (the\n"
	"table was full), more (further directories).\n";

static int take_by(const char *arg, struct sw_report *f)
{
	static const char *const keys[] = {
		[SW_REPORT_BY_UID] = "uid", [SW_REPORT_BY_DOMAIN] = "domain",
		[SW_REPORT_BY_DIRECTORY] = "directory",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (!strcmp(arg, keys[i])) {
			f->by = (enum sw_report_by)i;
			return 0;
		}
	}
	return log_err(SW_EXIT_USAGE, "cannot report by '%s'; use uid, domain or directory", arg);
}

static int take_sort(const char *arg, struct sw_report *f)
{
	static const char *const keys[_SW_SORT_MAX] = {
		[SW_SORT_DENIED] = "denied", [SW_SORT_ATTEMPTS] = "attempts",
		[SW_SORT_LAST] = "last",     [SW_SORT_UID] = "uid",
		[SW_SORT_DOMAIN] = "domain", [SW_SORT_DESTINATIONS] = "destinations",
	};

	for (int i = 0; i < _SW_SORT_MAX; i++) {
		if (!strcmp(arg, keys[i])) {
			f->sort = (enum sw_report_sort)i;
			return 0;
		}
	}
	return log_err(SW_EXIT_USAGE, "cannot sort by '%s'; use denied, attempts, last, uid, domain or "
		       "destinations", arg);
}

static int take_time(const char *option, const char *arg, time_t *ret, bool *given)
{
	int r = sw_time_parse(arg, time(NULL), ret);

	*given = true;
	if (r < 0)
		return log_err(SW_EXIT_USAGE, "--%s '%s' is no time; use 2026-02-14T10:00:00Z, 2026-02-14, "
			       "today, or how long ago: 30m, 1h, 2d", option, arg);
	return 0;
}

static int take_uid(const char *arg, struct sw_report *f)
{
	f->is_uid = true;
	if (sw_user_resolve(arg, &f->uid, NULL) == 0)
		return 0;
	return log_err(SW_EXIT_USAGE, "--uid '%s' is no account; use its login or its number", arg);
}

/* The midnight that `now` lies behind, and so many days before it. */
static time_t midnight(time_t now, int days)
{
	struct tm tm;

	localtime_r(&now, &tm);
	tm.tm_mday -= days;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return mktime(&tm);
}

static int take_period(const char *arg, struct sw_report *f)
{
	time_t now = time(NULL);
	uint32_t seconds;

	f->is_since = true;
	f->is_until = !strcmp(arg, "yesterday");
	if (f->is_until) {
		f->since = midnight(now, 1);
		f->until = midnight(now, 0);
	} else if (!strcmp(arg, "today")) {
		f->since = midnight(now, 0);
	} else if (!strcmp(arg, "week")) {
		f->since = midnight(now, 7);
	} else if (!strcmp(arg, "month")) {
		f->since = midnight(now, 30);
	} else if (sw_duration_parse(arg, &seconds) == 0) {
		f->since = now - (time_t)seconds;
	} else {
		return log_err(SW_EXIT_USAGE, "--period '%s' is none; use today, yesterday, week, month, or "
			       "how long: 12h, 30d", arg);
	}
	return 0;
}

struct want {
	struct sw_report f;
	bool live;
};

static int take(int val, const char *arg, void *data)
{
	struct want *w = data;
	struct sw_report *f = &w->f;

	switch (val) {
	case OPT_BY:
		return take_by(arg, f);
	case OPT_SORT:
		return take_sort(arg, f);
	case OPT_TOP:
		if (sw_id_parse(arg, &f->top) == 0 && f->top)
			return 0;
		return log_err(SW_EXIT_USAGE, "--top '%s' is no number of rows", arg);
	case OPT_SINCE:
		return take_time("since", arg, &f->since, &f->is_since);
	case OPT_UNTIL:
		return take_time("until", arg, &f->until, &f->is_until);
	case OPT_UID:
		return take_uid(arg, f);
	case OPT_CHANNEL:
		return sw_report_take_channel(arg, &f->channel);
	case OPT_DOMAIN:
		f->domain = arg;
		return *arg ? 0 : log_err(SW_EXIT_USAGE, "--domain needs the name of a domain");
	case OPT_PERIOD:
		return take_period(arg, f);
	case OPT_LIVE:
		w->live = true;
		return 0;
	case OPT_PATH:
		f->path = arg;
		return *arg == '/' ? 0 : log_err(SW_EXIT_USAGE, "--path '%s' is no absolute path", arg);
	default:
		f->all = true;
		return 0;
	}
}

/* What the reader should know about the numbers. */
static void note_losses(const struct sw_stats *s)
{
	char n[SW_NUMBER_LEN];

	if (s->counters[SW_CTR_EVENTS_LOST])
		log_warn("%s events were lost; the counts are exact all the same",
			 sw_number(s->counters[SW_CTR_EVENTS_LOST], n));
	if (s->uid_overflow)
		log_warn("the account table was full: %s attempts are counted together as (table full); "
			 "raise 'uids' in [tables]", sw_number(s->uid_overflow, n));
	if (s->origin_overflow)
		log_warn("the directory table was full: %s attempts are counted together as (table "
			 "full); raise 'origins' in [tables]", sw_number(s->origin_overflow, n));
	if (s->counters[SW_CTR_UNCOUNTED])
		log_warn("%s attempts found no row to be counted on",
			 sw_number(s->counters[SW_CTR_UNCOUNTED], n));
}

static int print(const struct sw_report *f, const struct sw_options *o, const struct sw_stats *s,
		 const struct sw_report_setup *setup)
{
	int r = sw_report_print(f, o, s, setup->domains, &setup->about);

	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot write the report: %s", strerror(-r));
	note_losses(s);
	return SW_EXIT_GOOD;
}

/* The counters since apply. */
static int report_live(const struct sw_report *f, const struct sw_options *o)
{
	struct sw_report_setup setup;
	struct sw_live live;
	struct sw_stats s;
	int r = sw_report_read(o, &live, &s);

	if (r)
		return r;
	r = sw_report_setup(o, &live, &setup);
	if (!r) {
		r = print(f, o, &s, &setup);
		sw_report_setup_free(&setup);
	}
	sw_live_close(&live);
	sw_stats_free(&s);
	return r;
}

static int report_period(struct sw_report *f, const struct sw_options *o)
{
	struct sw_report_past past;
	int r = sw_report_past_read(o, f, &past);

	if (r)
		return r;
	if (!past.history)
		return report_live(f, o);
	r = print(f, o, &past.s, &past.setup);
	sw_report_past_free(&past);
	return r;
}

int cmd_report(int argc, char **argv)
{
	struct want w = {};
	struct sw_report *f = &w.f;
	struct sw_options o;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &w, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "report takes no argument '%s'", argv[optind]);
	if (f->is_since && f->is_until && f->since > f->until)
		return log_err(SW_EXIT_USAGE, "--since lies after --until: no time is in between");
	return (f->is_since || f->is_until) && !w.live ? report_period(f, &o) : report_live(f, &o);
}
