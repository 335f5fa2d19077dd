/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "container.h"
#include "log.h"
#include "names.h"
#include "out.h"
#include "setup.h"
#include "stats.h"
#include "util.h"

enum { OPT_BY = SW_OPT_OWN, OPT_SORT, OPT_TOP, OPT_SINCE, OPT_UNTIL, OPT_ALL };

static const struct option own[] = {
	{ "by", required_argument, NULL, OPT_BY },
	{ "sort", required_argument, NULL, OPT_SORT },
	{ "top", required_argument, NULL, OPT_TOP },
	{ "since", required_argument, NULL, OPT_SINCE },
	{ "until", required_argument, NULL, OPT_UNTIL },
	{ "all", no_argument, NULL, OPT_ALL },
	{},
};

static const char usage[] =
	"Usage: smtpwall report [OPTION...]\n\n"
	"Who tried to speak SMTP past the mail server: the offenders, with exact counts, and what\n"
	"they ran in which directory. Reads the kernel and changes nothing.\n\n"
	"  --by uid|directory  one row an account (default), or one an account and directory.\n"
	"                      By uid, directory and script are those with most denied attempts\n"
	"  --sort KEY          denied (default: denied, would-be-denied, limited, redirected, then\n"
	"                      attempts), attempts, last or uid\n"
	"  --top N             only the first N rows\n"
	"  --all               also accounts that were never denied, limited or redirected\n"
	"  --since TIME        only rows whose last attempt is not older; counts stay totals since\n"
	"  --until TIME        'apply': no history is kept yet. TIME is RFC 3339, a date, today,\n"
	"                      or 90s, 30m, 1h, 2d, 1w ago\n\n"
	"The table fits the terminal, else COLUMNS, else 80: what has no room is cut or left out.\n"
	"The other formats are complete. Texts are escaped: \\xNN stands for one byte.\n"
	"csv quotes a cell that begins with = + - or @, but does not change it.\n"
	"Columns of tsv (no header) and csv, names of json:\n"
	"  uid user domain domains source directory script attempts allowed denied would_deny\n"
	"  limited redirected local sendmail destinations bytes_sent established failed first_seen\n"
	"  last_seen last_destination row container cgroup\n"
	"'destinations' is an estimate. 'row' is account, or for what belongs to no single one:\n"
	"kernel (its own threads), overflow (the table was full), more (further directories).\n";

/* The columns of every machine format, in their order for ever: new ones go at the end. */
enum field {
	F_UID, F_USER, F_DOMAIN, F_DOMAINS, F_SOURCE, F_DIRECTORY, F_SCRIPT, F_ATTEMPTS, F_ALLOWED,
	F_DENIED, F_WOULD_DENY, F_LIMITED, F_REDIRECTED, F_LOCAL, F_SENDMAIL, F_DESTINATIONS,
	F_BYTES_SENT, F_ESTABLISHED, F_FAILED, F_FIRST_SEEN, F_LAST_SEEN, F_LAST_DESTINATION, F_ROW,
	F_CONTAINER, F_CGROUP,
	_F_MAX,
};

static const struct {
	const char *name;
	bool number;
} fields[_F_MAX] = {
	[F_UID] = { "uid", true },		 [F_USER] = { "user", false },
	[F_DOMAIN] = { "domain", false },	 [F_DOMAINS] = { "domains", true },
	[F_SOURCE] = { "source", false },	 [F_DIRECTORY] = { "directory", false },
	[F_SCRIPT] = { "script", false },	 [F_ATTEMPTS] = { "attempts", true },
	[F_ALLOWED] = { "allowed", true },	 [F_DENIED] = { "denied", true },
	[F_WOULD_DENY] = { "would_deny", true }, [F_LIMITED] = { "limited", true },
	[F_REDIRECTED] = { "redirected", true }, [F_LOCAL] = { "local", true },
	[F_SENDMAIL] = { "sendmail", true },	 [F_DESTINATIONS] = { "destinations", true },
	[F_BYTES_SENT] = { "bytes_sent", true }, [F_ESTABLISHED] = { "established", true },
	[F_FAILED] = { "failed", true },	 [F_FIRST_SEEN] = { "first_seen", false },
	[F_LAST_SEEN] = { "last_seen", false },	 [F_LAST_DESTINATION] = { "last_destination", false },
	[F_ROW] = { "row", false },		 [F_CONTAINER] = { "container", false },
	[F_CGROUP] = { "cgroup", false },
};

/* One row, ready to be written in any format. The texts belong to others. */
struct line {
	const char *text[_F_MAX];	/* NULL: null */
	uint64_t number[_F_MAX];
	bool no_uid;			/* the uid is null too */
	char first[SW_TIME_LEN], last[SW_TIME_LEN];
	char container[SW_CONTAINER_LEN];
};

static struct sw_accounts names;

/* Rows chosen for the report; they belong to the statistics. */
struct rows {
	const struct sw_stat **row;
	size_t n;
};

static int descending(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static const struct sw_stat *at(const void *p)
{
	return *(const struct sw_stat *const *)p;
}

static int by_uid(const void *a, const void *b)
{
	if (at(a)->row != at(b)->row)
		return at(a)->row < at(b)->row ? -1 : 1;
	if (at(a)->uid != at(b)->uid)
		return at(a)->uid < at(b)->uid ? -1 : 1;
	return strcmp(at(a)->directory ?: "", at(b)->directory ?: "");
}

static int by_attempts(const void *a, const void *b)
{
	return descending(sw_stat_attempts(at(a)), sw_stat_attempts(at(b))) ?: by_uid(a, b);
}

static int by_denied(const void *a, const void *b)
{
	return descending(sw_stat_offences(at(a)), sw_stat_offences(at(b))) ?: by_attempts(a, b);
}

static int by_last(const void *a, const void *b)
{
	return descending(at(a)->last_ns, at(b)->last_ns) ?: by_denied(a, b);
}

static int take_sort(const char *arg, struct sw_report *f)
{
	static const char *const keys[_SW_SORT_MAX] = {
		[SW_SORT_DENIED] = "denied", [SW_SORT_ATTEMPTS] = "attempts",
		[SW_SORT_LAST] = "last", [SW_SORT_UID] = "uid",
	};

	for (int i = 0; i < _SW_SORT_MAX; i++) {
		if (!strcmp(arg, keys[i])) {
			f->sort = (enum sw_report_sort)i;
			return 0;
		}
	}
	return log_err(SW_EXIT_USAGE, "cannot sort by '%s'; use denied, attempts, last or uid", arg);
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

static int take(int val, const char *arg, void *data)
{
	struct sw_report *f = data;

	switch (val) {
	case OPT_BY:
		f->by_directory = !strcmp(arg, "directory");
		if (f->by_directory || !strcmp(arg, "uid"))
			return 0;
		return log_err(SW_EXIT_USAGE, "cannot report by '%s'; use uid or directory", arg);
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
	default:
		f->all = true;
		return 0;
	}
}

static bool in_period(const struct sw_report *f, const struct sw_stat *s)
{
	return (!f->is_since || s->last >= f->since) && (!f->is_until || s->last <= f->until);
}

/* Picks and sorts; ret->row is malloc'd. */
static int choose(const struct sw_report *f, const struct sw_stats *s, struct rows *ret)
{
	static int (*const compare[_SW_SORT_MAX])(const void *a, const void *b) = {
		[SW_SORT_DENIED] = by_denied, [SW_SORT_ATTEMPTS] = by_attempts,
		[SW_SORT_LAST] = by_last, [SW_SORT_UID] = by_uid,
	};
	const struct sw_stat *from = f->by_directory ? s->origins : s->accounts;
	size_t n = f->by_directory ? s->n_origins : s->n_accounts;
	const struct sw_stat **row = calloc(n + 1, sizeof(const struct sw_stat *));

	if (!row)
		return -ENOMEM;
	*ret = (struct rows){ .row = row };
	for (size_t i = 0; i < n; i++)
		if (in_period(f, &from[i]) && (f->all || sw_stat_offences(&from[i])))
			row[ret->n++] = &from[i];
	qsort(row, ret->n, sizeof(const struct sw_stat *), compare[f->sort]);
	if (f->top && ret->n > f->top)
		ret->n = f->top;
	return 0;
}

/* What the row's UID says: number, name, and whether the directory is in its home. */
static void fill_account(const struct sw_stat *s, struct line *l)
{
	static const char *const special[] = {
		[SW_ROW_KERNEL] = "(kernel)", [SW_ROW_OVERFLOW] = "(table full)",
	};
	const struct sw_account *account;

	l->text[F_SOURCE] = "none";
	if (s->row == SW_ROW_KERNEL || s->row == SW_ROW_OVERFLOW) {
		l->no_uid = true;
		l->text[F_USER] = special[s->row];
		return;
	}
	l->number[F_UID] = s->uid;
	account = sw_account_get(&names, s->uid);
	l->text[F_USER] = account->user;
	if (s->row == SW_ROW_UID && s->directory && sw_account_has_home(account, s->directory))
		l->text[F_SOURCE] = "home";
}

static void fill_line(const struct sw_stat *s, struct line *l)
{
	static const char *const row_names[] = {
		[SW_ROW_UID] = "account", [SW_ROW_KERNEL] = "kernel",
		[SW_ROW_OVERFLOW] = "overflow", [SW_ROW_MORE] = "more",
	};

	_Static_assert(F_LOCAL - F_ALLOWED == SW_N_LOCAL, "counters are columns in the same order");
	*l = (struct line){};
	fill_account(s, l);
	for (int i = 0; i < _SW_N_MAX; i++)
		l->number[F_ALLOWED + i] = s->n[i];
	l->number[F_ATTEMPTS] = sw_stat_attempts(s);
	l->number[F_DESTINATIONS] = s->destinations;
	if (s->cgroup) {
		sw_container_describe(s->cgroup, l->container, sizeof(l->container));
		l->text[F_CONTAINER] = l->container;
		l->text[F_CGROUP] = s->cgroup;
	}
	l->text[F_DIRECTORY] = s->directory;
	l->text[F_SCRIPT] = s->script;
	if (s->first)
		l->text[F_FIRST_SEEN] = sw_time_format(s->first, l->first);
	if (s->last)
		l->text[F_LAST_SEEN] = sw_time_format(s->last, l->last);
	if (*s->last_destination)
		l->text[F_LAST_DESTINATION] = s->last_destination;
	l->text[F_ROW] = (size_t)s->row < ARRAY_SIZE(row_names) ? row_names[s->row] : NULL;
}

/* TSV, and CSV with its header. */
static int print_lines(const struct rows *rows, int (*print)(FILE *, const char *const *, size_t),
		       bool header)
{
	const char *cells[_F_MAX];
	char number[_F_MAX][24];
	struct line l;
	int r = 0;

	for (int i = 0; i < _F_MAX; i++)
		cells[i] = fields[i].name;
	if (header)
		r = print(stdout, cells, _F_MAX);
	for (size_t n = 0; n < rows->n && !r; n++) {
		fill_line(rows->row[n], &l);
		for (int i = 0; i < _F_MAX; i++) {
			snprintf(number[i], sizeof(number[i]), "%" PRIu64, l.number[i]);
			cells[i] = fields[i].number ? number[i] : l.text[i];
		}
		if (l.no_uid)
			cells[F_UID] = NULL;
		r = print(stdout, cells, _F_MAX);
	}
	return r;
}

static struct json_object *json_line(const struct sw_stat *s)
{
	struct json_object *o = json_object_new_object();
	struct line l;

	fill_line(s, &l);
	for (int i = 0; i < _F_MAX; i++)
		json_object_object_add(o, fields[i].name, i == F_UID && l.no_uid ? NULL :
				       fields[i].number ?
				       json_object_new_int64((int64_t)l.number[i]) :
				       sw_json_text(l.text[i]));
	return o;
}

/* When the first attempt of all was made; 0: there was none. */
static time_t first_attempt(const struct sw_stats *s)
{
	time_t first = 0;

	for (size_t i = 0; i < s->n_accounts; i++)
		if (s->accounts[i].first && (!first || s->accounts[i].first < first))
			first = s->accounts[i].first;
	return first;
}

static int print_json(const struct sw_report *f, const struct sw_stats *s, const struct rows *rows)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	time_t since = f->is_since ? f->since : first_attempt(s);
	char text[SW_TIME_LEN];
	int r;

	json_object_object_add(o, "since", since ? sw_json_text(sw_time_format(since, text)) : NULL);
	json_object_object_add(o, "until",
			       sw_json_text(sw_time_format(f->is_until ? f->until : s->now, text)));
	json_object_object_add(o, "live", json_object_new_boolean(true));
	json_object_object_add(o, "events_lost",
			       json_object_new_int64((int64_t)s->counters[SW_CTR_EVENTS_LOST]));
	for (size_t i = 0; i < rows->n; i++)
		json_object_array_add(list, json_line(rows->row[i]));
	json_object_object_add(o, "rows", list);
	r = sw_json_print(stdout, o);
	json_object_put(o);
	return r;
}

static const struct sw_column columns[] = {
	{ .title = "USER" },
	{ .title = "UID", .right = true },
	{ .title = "DENIED", .right = true, .loud = true },
	{ .title = "WOULD DENY", .right = true, .loud = true, .hide_empty = true },
	{ .title = "LIMITED", .right = true, .loud = true, .hide_empty = true },
	{ .title = "REDIRECTED", .right = true, .hide_empty = true, .drop = 1 },
	{ .title = "ALLOWED", .right = true, .drop = 1 },
	{ .title = "LOCAL", .right = true, .hide_empty = true, .drop = 3 },
	{ .title = "DESTS", .right = true, .drop = 4 },
	{ .title = "LAST SEEN", .right = true, .drop = 2 },
	{ .title = "LAST DESTINATION", .drop = 5 },
	{ .title = "RUNS IN", .min = 12, .hide_empty = true, .drop = 6 },
	{ .title = "DIRECTORY", .min = 18 },
	{ .title = "SCRIPT", .min = 14 },
};

static int add_table_row(struct sw_table *t, const struct sw_stat *s, time_t now)
{
	static const enum field counts[] = {
		F_DENIED, F_WOULD_DENY, F_LIMITED, F_REDIRECTED, F_ALLOWED, F_LOCAL,
	};
	char number[ARRAY_SIZE(counts)][SW_NUMBER_LEN];
	char uid[16], dests[SW_NUMBER_LEN + 1] = ">", ago[SW_TIME_LEN];
	const char *cells[ARRAY_SIZE(columns)];
	struct line l;
	size_t n = 0;

	fill_line(s, &l);
	snprintf(uid, sizeof(uid), "%u", s->uid);
	sw_number(s->destinations, dests + 1);	/* behind the ">" */
	cells[n++] = l.text[F_USER] ?: "-";
	cells[n++] = l.no_uid ? "-" : uid;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		cells[n++] = sw_number(l.number[counts[i]], number[i]);
	cells[n++] = s->destinations_full ? dests : dests + 1;
	cells[n++] = s->last ? sw_time_ago(s->last, now, ago) : "-";
	cells[n++] = l.text[F_LAST_DESTINATION] ?: "-";
	cells[n++] = l.text[F_CONTAINER] ?: "-";
	cells[n++] = l.text[F_DIRECTORY] ?: "-";
	cells[n++] = l.text[F_SCRIPT] ?: "-";
	return sw_table_add(t, cells);
}

/* What was looked at, when nobody is to blame. */
static void print_nobody(const struct sw_report *f, const struct sw_stats *s)
{
	char accounts[SW_NUMBER_LEN], attempts[SW_NUMBER_LEN], when[SW_TIME_LEN];
	uint64_t n = 0, sum = 0;
	bool filtered = f->is_since || f->is_until;

	for (size_t i = 0; i < s->n_accounts; i++) {
		if (in_period(f, &s->accounts[i])) {
			n++;
			sum += sw_stat_attempts(&s->accounts[i]);
		}
	}
	if (!n) {
		printf("no offenders: no SMTP connect was seen%s\n", filtered ? " in this period" : "");
		return;
	}
	printf("no offenders: %s account%s%s made %s SMTP connect%s since %s, none was denied\n",
	       sw_number(n, accounts), n == 1 ? "" : "s", filtered ? " of this period" : "",
	       sw_number(sum, attempts), sum == 1 ? "" : "s",
	       sw_time_format(first_attempt(s), when));
}

static int print_table(const struct sw_report *f, bool color, const struct sw_stats *s,
		       const struct rows *rows)
{
	struct sw_table t = { .columns = columns, .n_columns = ARRAY_SIZE(columns) };
	int r = 0;

	if (!rows->n) {
		print_nobody(f, s);
		return 0;
	}
	sw_screen_get(color, &t.screen);
	for (size_t i = 0; i < rows->n && !r; i++)
		r = add_table_row(&t, rows->row[i], s->now);
	if (!r)
		sw_table_print(stdout, &t);
	sw_table_free(&t);
	return r;
}

int sw_report_print(const struct sw_report *what, enum sw_format format, bool color,
		    const struct sw_stats *s)
{
	struct rows rows = {};
	int r = choose(what, s, &rows);

	if (!r && format == SW_FORMAT_JSON)
		r = print_json(what, s, &rows);
	else if (!r && format == SW_FORMAT_TSV)
		r = print_lines(&rows, sw_tsv_row, false);
	else if (!r && format == SW_FORMAT_CSV)
		r = print_lines(&rows, sw_csv_row, true);
	else if (!r)
		r = print_table(what, color, s, &rows);
	free(rows.row);
	sw_accounts_free(&names);
	return r ? r : sw_out_flush(stdout);
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
	r = sw_setup_live(&o, &live);
	if (r)
		return r;
	if (!live.exists) {
		sw_live_close(&live);
		return log_err(SW_EXIT_KERNEL, "nothing is in force in %s, so nothing was counted; start "
			       "with 'smtpwall apply'", o.target.pin_dir);
	}
	if (!live.in_force)
		log_warn("enforcement is not whole; see 'smtpwall status'");
	r = sw_stats_read(&live, &s);
	sw_live_close(&live);
	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot read the counters in %s: %s; 'smtpwall apply' "
			       "repairs what is missing", o.target.pin_dir, strerror(-r));
	r = sw_report_print(&f, o.format, o.color, &s);
	if (r < 0)
		log_err(SW_EXIT_KERNEL, "cannot write the report: %s", strerror(-r));
	else
		note_losses(&s);
	sw_stats_free(&s);
	return r < 0 ? SW_EXIT_KERNEL : SW_EXIT_GOOD;
}
