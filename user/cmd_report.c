/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "commands.h"
#include "log.h"
#include "names.h"
#include "out.h"
#include "report.h"
#include "report_setup.h"
#include "setup.h"
#include "util.h"

enum {
	OPT_BY = SW_OPT_OWN, OPT_SORT, OPT_TOP, OPT_SINCE, OPT_UNTIL, OPT_ALL, OPT_UID, OPT_DOMAIN,
	OPT_PATH,
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
	{},
};

static const char usage[] =
	"Usage: smtpwall report [OPTION...]\n\n"
	"Who tried to speak SMTP past the mail server: the offenders, with exact counts, the domain,\n"
	"and what they ran in which directory. Reads the kernel and changes nothing.\n\n"
	"  --by uid|domain|directory   one row an account (default), a domain, or an account and\n"
	"                      directory. Of several directories the one with most denied attempts\n"
	"                      is shown, with its domain and script\n"
	"  --sort KEY          denied (default: denied, would-be-denied, limited, redirected, then\n"
	"                      attempts), attempts, last, uid, domain or destinations\n"
	"  --top N             only the first N rows\n"
	"  --all               also accounts that were never denied, limited or redirected\n"
	"  --uid UID|USER      only this account\n"
	"  --domain NAME       only what is attributed to this domain\n"
	"  --path DIRECTORY    only what was run there or below\n"
	"  --since TIME        only rows whose last attempt is not older; counts stay totals since\n"
	"  --until TIME        'apply': no history is kept yet. TIME is RFC 3339, a date, today,\n"
	"                      or 90s, 30m, 1h, 2d, 1w ago\n\n"
	"The table fits the terminal, else COLUMNS, else 80: what has no room is cut or left out.\n"
	"'shop.example +2' is a guess: the account is sure, and it has two more sites.\n"
	"The other formats are complete. Texts are escaped: \\xNN stands for one byte.\n"
	"csv quotes a cell that begins with = + - or @, but does not change it.\n"
	"Columns of tsv (no header) and csv, names of json:\n"
	"  uid user domain domains source directory script attempts allowed denied would_deny\n"
	"  limited redirected local sendmail destinations bytes_sent established failed first_seen\n"
	"  last_seen last_destination row container cgroup account\n"
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

static int take(int val, const char *arg, void *data)
{
	struct sw_report *f = data;

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
	case OPT_DOMAIN:
		f->domain = arg;
		return *arg ? 0 : log_err(SW_EXIT_USAGE, "--domain needs the name of a domain");
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

static int print(const struct sw_report *f, const struct sw_options *o, const struct sw_live *live,
		 const struct sw_stats *s)
{
	struct sw_report_setup setup;
	int r = sw_report_setup(o, live, &setup);

	if (r)
		return r;
	r = sw_report_print(f, o, s, setup.domains, &setup.about);
	if (r < 0)
		log_err(SW_EXIT_KERNEL, "cannot write the report: %s", strerror(-r));
	else
		note_losses(s);
	sw_report_setup_free(&setup);
	return r < 0 ? SW_EXIT_KERNEL : SW_EXIT_GOOD;
}

int cmd_report(int argc, char **argv)
{
	struct sw_report f = {};
	struct sw_options o;
	struct sw_stats s;
	struct sw_live live;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &f, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "report takes no argument '%s'", argv[optind]);
	if (f.is_since && f.is_until && f.since > f.until)
		return log_err(SW_EXIT_USAGE, "--since lies after --until: no time is in between");
	r = sw_report_read(&o, &live, &s);
	if (r)
		return r;
	r = print(&f, &o, &live, &s);
	sw_live_close(&live);
	sw_stats_free(&s);
	return r;
}
