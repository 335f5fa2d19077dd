/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reports as TSV, CSV, JSON and table. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "container.h"
#include "out.h"
#include "policy.h"
#include "report.h"
#include "util.h"

#define NSEC_PER_SEC 1000000000ULL

/* The columns of every machine format, in their order for ever: new ones go at the end. */
enum field {
	F_UID, F_USER, F_DOMAIN, F_DOMAINS, F_SOURCE, F_DIRECTORY, F_SCRIPT, F_ATTEMPTS, F_ALLOWED,
	F_DENIED, F_WOULD_DENY, F_LIMITED, F_REDIRECTED, F_LOCAL, F_SENDMAIL, F_DESTINATIONS,
	F_BYTES_SENT, F_ESTABLISHED, F_FAILED, F_FIRST_SEEN, F_LAST_SEEN, F_LAST_DESTINATION, F_ROW,
	F_CONTAINER, F_CGROUP, F_ACCOUNT, F_REFUSED, F_TIMED_OUT, F_BYTES_RECEIVED, F_SECONDS,
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
	[F_CGROUP] = { "cgroup", false },	 [F_ACCOUNT] = { "account", false },
	[F_REFUSED] = { "refused", true },	 [F_TIMED_OUT] = { "timed_out", true },
	[F_BYTES_RECEIVED] = { "bytes_received", true }, [F_SECONDS] = { "seconds", true },
};

/* One row, ready to be written in any format. The texts belong to others. */
struct line {
	const char *text[_F_MAX];	/* NULL: null */
	uint64_t number[_F_MAX];
	bool no_uid;			/* the uid is null too */
	char first[SW_TIME_LEN], last[SW_TIME_LEN];
	char container[SW_CONTAINER_LEN];
};

/* Who it is: number, names, and how that is known. */
static void fill_site(const struct sw_report_row *row, struct line *l)
{
	static const char *const special[] = {
		[SW_ROW_KERNEL] = "(kernel)", [SW_ROW_OVERFLOW] = "(table full)",
	};
	const struct sw_report_site *site = &row->site;
	enum sw_row kind = row->sum.row;

	l->no_uid = kind == SW_ROW_KERNEL || kind == SW_ROW_OVERFLOW;
	l->number[F_UID] = row->sum.uid;
	l->text[F_USER] = l->no_uid ? special[kind] : site->user;
	l->text[F_DOMAIN] = site->domain;
	l->number[F_DOMAINS] = site->sites;
	l->text[F_SOURCE] = site->source;
	l->text[F_ACCOUNT] = site->account;
}

static void fill_line(const struct sw_report_row *row, struct line *l)
{
	static const char *const row_names[] = {
		[SW_ROW_UID] = "account", [SW_ROW_KERNEL] = "kernel",
		[SW_ROW_OVERFLOW] = "overflow", [SW_ROW_MORE] = "more",
	};
	const struct sw_stat *s = &row->sum;

	_Static_assert(F_SENDMAIL - F_ALLOWED == SW_N_SENDMAIL, "counters are columns in the same order");
	*l = (struct line){};
	fill_site(row, l);
	for (int i = 0; i < _SW_N_MAX; i++)
		l->number[F_ALLOWED + i] = s->n[i];
	l->number[F_ATTEMPTS] = sw_stat_attempts(s);
	l->number[F_DESTINATIONS] = s->destinations;
	l->number[F_BYTES_SENT] = s->outcome.bytes_sent;
	l->number[F_ESTABLISHED] = s->outcome.established;
	l->number[F_FAILED] = s->outcome.refused + s->outcome.timed_out + s->outcome.failed;
	l->number[F_REFUSED] = s->outcome.refused;
	l->number[F_TIMED_OUT] = s->outcome.timed_out;
	l->number[F_BYTES_RECEIVED] = s->outcome.bytes_received;
	l->number[F_SECONDS] = s->outcome.duration_ns / NSEC_PER_SEC;
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
static int print_lines(const struct sw_report_rows *rows,
		       int (*print)(FILE *, const char *const *, size_t), bool header)
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
		fill_line(&rows->row[n], &l);
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

static struct json_object *json_line(const struct sw_report_row *row)
{
	struct json_object *o = json_object_new_object();
	struct line l;

	fill_line(row, &l);
	for (int i = 0; i < _F_MAX; i++)
		json_object_object_add(o, fields[i].name, i == F_UID && l.no_uid ? NULL :
				       fields[i].number ?
				       json_object_new_int64((int64_t)l.number[i]) :
				       sw_json_text(l.text[i]));
	return o;
}

static int print_json(const struct sw_report *f, const struct sw_stats *s,
		      const struct sw_report_about *about, const struct sw_report_rows *rows)
{
	struct json_object *o = json_object_new_object(), *list = json_object_new_array();
	time_t since = f->is_since ? f->since : sw_report_first_attempt(s);
	char text[SW_TIME_LEN];
	int r;

	json_object_object_add(o, "since", since ? sw_json_text(sw_time_format(since, text)) : NULL);
	json_object_object_add(o, "until",
			       sw_json_text(sw_time_format(f->is_until ? f->until : s->now, text)));
	json_object_object_add(o, "live", json_object_new_boolean(!about->not_live));
	json_object_object_add(o, "events_lost",
			       json_object_new_int64((int64_t)s->counters[SW_CTR_EVENTS_LOST]));
	for (size_t i = 0; i < rows->n; i++)
		json_object_array_add(list, json_line(&rows->row[i]));
	json_object_object_add(o, "rows", list);
	r = sw_json_print(stdout, o);
	json_object_put(o);
	return r;
}

/* In 80 columns at least the site, who it was, what was done and from where remain. */
static const struct sw_column columns[] = {
	{ .title = "DOMAIN", .min = 14 },
	{ .title = "USER", .min = 8 },
	{ .title = "UID", .right = true, .drop = 6 },
	{ .title = "DENIED", .right = true, .loud = true, .hide_empty = true },
	{ .title = "WOULD DENY", .right = true, .loud = true, .hide_empty = true },
	{ .title = "LIMITED", .right = true, .loud = true, .hide_empty = true },
	{ .title = "REDIRECTED", .right = true, .loud = true, .hide_empty = true, .drop = 5 },
	{ .title = "ALLOWED", .right = true, .hide_empty = true, .drop = 4 },
	{ .title = "LOCAL", .right = true, .hide_empty = true, .drop = 3 },
	{ .title = "SENDMAIL", .right = true, .hide_empty = true, .drop = 3 },
	{ .title = "DESTS", .right = true, .hide_empty = true, .drop = 7 },
	{ .title = "LAST SEEN", .right = true, .drop = 2 },
	{ .title = "LAST DESTINATION", .hide_empty = true, .drop = 9 },
	{ .title = "RUNS IN", .min = 12, .hide_empty = true, .drop = 10 },
	{ .title = "FOUND BY", .hide_empty = true, .drop = 8 },
	{ .title = "DIRECTORY", .min = 10, .hide_empty = true },
	{ .title = "SCRIPT", .min = 8, .hide_empty = true, .drop = 1 },
};

/* A domain that is only the first of several is shown as such. malloc'd. */
static char *domain_cell(const struct sw_report_site *site)
{
	char *text;

	if (!site->domain)
		return strdup("-");
	if (!site->one_of_several)
		return strdup(site->domain);
	if (asprintf(&text, "%s +%zu", site->domain, site->sites > 1 ? site->sites - 1 : 1) < 0)
		return NULL;
	return text;
}

static int add_table_row(struct sw_table *t, const struct sw_report_row *row, time_t now)
{
	static const enum field counts[] = {
		F_DENIED, F_WOULD_DENY, F_LIMITED, F_REDIRECTED, F_ALLOWED, F_LOCAL, F_SENDMAIL,
	};
	char number[ARRAY_SIZE(counts)][SW_NUMBER_LEN];
	char uid[16], dests[SW_NUMBER_LEN + 1] = ">", ago[SW_TIME_LEN];
	_cleanup_free_ char *domain = domain_cell(&row->site);
	const struct sw_stat *s = &row->sum;
	const char *cells[ARRAY_SIZE(columns)];
	struct line l;
	size_t n = 0;

	if (!domain)
		return -ENOMEM;
	fill_line(row, &l);
	snprintf(uid, sizeof(uid), "%u", s->uid);
	sw_number(s->destinations, dests + 1);	/* behind the ">" */
	cells[n++] = domain;
	cells[n++] = l.text[F_USER] ?: l.no_uid ? "-" : uid;
	cells[n++] = l.no_uid ? "-" : uid;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		cells[n++] = sw_number(l.number[counts[i]], number[i]);
	cells[n++] = s->destinations_full ? dests : dests + 1;
	cells[n++] = s->last ? sw_time_ago(s->last, now, ago) : "-";
	cells[n++] = l.text[F_LAST_DESTINATION] ?: "-";
	cells[n++] = l.text[F_CONTAINER] ?: "-";
	cells[n++] = strcmp(l.text[F_SOURCE], "none") != 0 ? l.text[F_SOURCE] : "-";
	cells[n++] = l.text[F_DIRECTORY] ?: "-";
	cells[n++] = l.text[F_SCRIPT] ?: "-";
	return sw_table_add(t, cells);
}

char *sw_report_sources(const struct sw_domains *d)
{
	struct sw_domain_source_state state;
	char *text = strdup("");

	for (size_t i = 0; d && text && sw_domains_source(d, i, &state); i++) {
		_cleanup_free_ char *before = text;

		if (!state.loaded || !state.records) {
			before = NULL;
			continue;
		}
		if (asprintf(&text, "%s%s%s", before, *before ? " " : "", state.name) < 0)
			text = NULL;
	}
	return text;
}

/* What was looked at: an answer of nothing is as good as that. */
static int print_looked_at(struct sw_domains *d, const struct sw_report_about *about)
{
	_cleanup_free_ char *sources = sw_report_sources(d);
	char when[SW_TIME_LEN];

	if (!sources)
		return -ENOMEM;
	printf("looked at: hooks %s", about->hooks ?: "(unknown)");
	if (about->generation)
		printf(", mode %s, generation %u", sw_mode_name(about->mode), about->generation);
	if (about->applied)
		printf(" in force since %s", sw_time_format(about->applied, when));
	printf("; domains by %s\n", *sources ? sources : "no source: none was found here");
	return 0;
}

static bool has_filter(const struct sw_report *f)
{
	return f->is_since || f->is_until || f->is_uid || f->domain || f->path;
}

/* When nobody is to blame. */
static int print_nobody(const struct sw_report *f, const struct sw_stats *s, struct sw_domains *d,
			const struct sw_report_about *about)
{
	struct sw_report everybody = *f;
	char accounts[SW_NUMBER_LEN], attempts[SW_NUMBER_LEN], when[SW_TIME_LEN];
	struct sw_report_rows rows;
	uint64_t sum = 0;
	int r;

	if (f->channel != SW_CHANNEL_DIRECT) {
		printf("nobody: nothing was sent by %s\n", f->channel == SW_CHANNEL_LOCAL ?
		       "SMTP to this machine" : f->channel == SW_CHANNEL_SENDMAIL ? "sendmail" :
		       "any way");
		return print_looked_at(d, about);
	}
	everybody.all = true;
	everybody.top = 0;
	everybody.by = SW_REPORT_BY_UID;
	r = sw_report_build(&everybody, s, d, &rows);
	if (r < 0)
		return r;
	for (size_t i = 0; i < rows.n; i++)
		sum += sw_stat_attempts(&rows.row[i].sum);
	if (!rows.n)
		printf("no offenders: no SMTP connect was seen%s\n",
		       has_filter(f) ? " of what was asked for" : "");
	else
		printf("no offenders: %s account%s%s made %s SMTP connect%s since %s, none was denied\n",
		       sw_number(rows.n, accounts), rows.n == 1 ? "" : "s",
		       has_filter(f) ? " of what was asked for" : "", sw_number(sum, attempts),
		       sum == 1 ? "" : "s", sw_time_format(sw_report_first_attempt(s), when));
	sw_report_free(&rows);
	return print_looked_at(d, about);
}

static int print_table(const struct sw_report *f, bool color, const struct sw_stats *s,
		       struct sw_domains *d, const struct sw_report_about *about,
		       const struct sw_report_rows *rows)
{
	struct sw_table t = { .columns = columns, .n_columns = ARRAY_SIZE(columns) };
	int r = 0;

	_Static_assert(ARRAY_SIZE(columns) <= SW_COLUMNS_MAX, "they fit a table");
	if (!rows->n)
		return print_nobody(f, s, d, about);
	sw_screen_get(color, &t.screen);
	for (size_t i = 0; i < rows->n && !r; i++)
		r = add_table_row(&t, &rows->row[i], s->now);
	if (!r)
		sw_table_print(stdout, &t);
	sw_table_free(&t);
	return r;
}

int sw_report_print(const struct sw_report *what, const struct sw_options *o,
		    const struct sw_stats *s, struct sw_domains *d,
		    const struct sw_report_about *about)
{
	struct sw_report_rows rows = {};
	int r = sw_report_build(what, s, d, &rows);

	if (r < 0)
		return r;
	switch (o->format) {
	case SW_FORMAT_JSON:
		r = print_json(what, s, about, &rows);
		break;
	case SW_FORMAT_TSV:
		r = print_lines(&rows, sw_tsv_row, false);
		break;
	case SW_FORMAT_CSV:
		r = print_lines(&rows, sw_csv_row, true);
		break;
	case SW_FORMAT_HTML:
		r = sw_report_print_html(what, s, d, about, &rows);
		break;
	default:
		r = print_table(what, o->color, s, d, about, &rows);
	}
	sw_report_free(&rows);
	return r ? r : sw_out_flush(stdout);
}
