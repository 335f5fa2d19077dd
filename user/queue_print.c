/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The queue as TSV, CSV, JSON and table. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "out.h"
#include "queue.h"
#include "util.h"

/* The columns of every machine format, in their order for ever: new ones go at the end. */
enum field {
	F_UID, F_USER, F_DOMAIN, F_DOMAINS, F_SOURCE, F_ACCOUNT, F_AUTH, F_SCRIPT, F_SENDER, F_VIA,
	F_MESSAGES, F_RECIPIENTS, F_SIZE, F_FROZEN, F_BOUNCES, F_BACKSCATTER, F_OLDEST, F_NEWEST,
	F_MTA, F_MESSAGE,
	_F_MAX,
};

static const struct {
	const char *name;
	bool number;
} fields[_F_MAX] = {
	[F_UID] = { "uid", true },		 [F_USER] = { "user", false },
	[F_DOMAIN] = { "domain", false },	 [F_DOMAINS] = { "domains", true },
	[F_SOURCE] = { "source", false },	 [F_ACCOUNT] = { "account", false },
	[F_AUTH] = { "auth", false },		 [F_SCRIPT] = { "script", false },
	[F_SENDER] = { "sender", false },	 [F_VIA] = { "via", false },
	[F_MESSAGES] = { "messages", true },	 [F_RECIPIENTS] = { "recipients", true },
	[F_SIZE] = { "size", true },		 [F_FROZEN] = { "frozen", true },
	[F_BOUNCES] = { "bounces", true },	 [F_BACKSCATTER] = { "backscatter", true },
	[F_OLDEST] = { "oldest", false },	 [F_NEWEST] = { "newest", false },
	[F_MTA] = { "mta", false },		 [F_MESSAGE] = { "message", false },
};

/* One row, ready to be written in any format. The texts belong to others. */
struct line {
	const char *text[_F_MAX];	/* NULL: null */
	uint64_t number[_F_MAX];
	bool no_uid;
	char oldest[SW_TIME_LEN], newest[SW_TIME_LEN];
};

static void fill_sum(const struct sw_queue_sum *s, struct line *l)
{
	l->number[F_MESSAGES] = s->messages;
	l->number[F_RECIPIENTS] = s->recipients;
	l->number[F_SIZE] = s->size;
	l->number[F_FROZEN] = s->frozen;
	l->number[F_BOUNCES] = s->bounces;
	l->number[F_BACKSCATTER] = s->backscatter;
	if (s->oldest)
		l->text[F_OLDEST] = sw_time_format(s->oldest, l->oldest);
	if (s->newest)
		l->text[F_NEWEST] = sw_time_format(s->newest, l->newest);
}

static void fill_line(const struct sw_queue_row *row, struct line *l)
{
	const struct sw_queue_group *g = row->most;

	*l = (struct line){ .no_uid = g->uid == SW_UID_NONE };
	fill_sum(&row->sum, l);
	l->number[F_UID] = g->uid;
	l->text[F_USER] = row->site.user;
	l->text[F_DOMAIN] = row->site.domain;
	l->number[F_DOMAINS] = row->site.sites;
	l->text[F_SOURCE] = row->site.source;
	l->text[F_ACCOUNT] = row->site.account;
	l->text[F_AUTH] = g->auth;
	l->text[F_SCRIPT] = g->script;
	l->text[F_SENDER] = g->sender && !*g->sender ? "<>" : g->sender;
	l->text[F_VIA] = sw_queue_via_names[g->via];
	l->text[F_MTA] = sw_queue_mta_names[row->oldest->mta];
	l->text[F_MESSAGE] = row->oldest->message;
}

/* ---- For programs ---- */

static int print_lines(const struct sw_queue_rows *rows,
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

static void add_field(struct json_object *o, const struct line *l, int i)
{
	json_object_object_add(o, fields[i].name, fields[i].number ?
			       json_object_new_int64((int64_t)l->number[i]) :
			       sw_json_text(l->text[i]));
}

static void add_sum(struct json_object *o, const struct sw_queue_sum *s)
{
	struct line l = {};

	fill_sum(s, &l);
	for (int i = F_MESSAGES; i <= F_NEWEST; i++)
		add_field(o, &l, i);
}

static void add_number(struct json_object *o, const char *name, uint64_t n)
{
	json_object_object_add(o, name, json_object_new_int64((int64_t)n));
}

static struct json_object *json_spool(const struct sw_queue_spool *s)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "mta", sw_json_text(sw_queue_mta_names[s->mta]));
	json_object_object_add(o, "path", sw_json_text(s->path));
	add_sum(o, &s->sum);
	add_number(o, "vanished", s->vanished);
	add_number(o, "incomplete", s->incomplete);
	add_number(o, "unreadable", s->unreadable);
	add_number(o, "strange", s->strange);
	return o;
}

static struct json_object *json_row(const struct sw_queue_row *row)
{
	struct json_object *o = json_object_new_object();
	struct line l;

	fill_line(row, &l);
	for (int i = 0; i < _F_MAX; i++) {
		if (i == F_UID && l.no_uid)
			json_object_object_add(o, fields[i].name, NULL);
		else
			add_field(o, &l, i);
	}
	return o;
}

static int print_json(const struct sw_queue *q, const struct sw_queue_rows *rows)
{
	struct json_object *o = json_object_new_object();
	struct json_object *spools = json_object_new_array(), *list = json_object_new_array();
	char now[SW_TIME_LEN];
	int r;

	json_object_object_add(o, "time", sw_json_text(sw_time_format(q->now, now)));
	add_sum(o, &q->sum);
	for (size_t i = 0; i < q->n_spools; i++)
		json_object_array_add(spools, json_spool(&q->spool[i]));
	json_object_object_add(o, "spools", spools);
	for (size_t i = 0; i < rows->n; i++)
		json_object_array_add(list, json_row(&rows->row[i]));
	json_object_object_add(o, "rows", list);
	r = sw_json_print(stdout, o);
	json_object_put(o);
	return r;
}

/* ---- For people ---- */

/* In 80 columns at least the site, who it was, how much, and how old remain. */
static const struct sw_column columns[] = {
	{ .title = "DOMAIN", .min = 14 },
	{ .title = "USER", .min = 8 },
	{ .title = "UID", .right = true, .drop = 3 },
	{ .title = "MESSAGES", .right = true, .loud = true },
	{ .title = "RCPTS", .right = true },
	{ .title = "FROZEN", .right = true, .hide_empty = true },
	{ .title = "BOUNCES", .right = true, .hide_empty = true, .drop = 2 },
	{ .title = "BACKSCATTER", .right = true, .hide_empty = true, .drop = 6 },
	{ .title = "SIZE", .right = true, .drop = 5 },
	{ .title = "OLDEST", .right = true },
	{ .title = "NEWEST", .right = true, .drop = 8 },
	{ .title = "VIA", .hide_empty = true, .drop = 4 },
	{ .title = "AUTH", .min = 10, .hide_empty = true, .drop = 7 },
	{ .title = "SENDER", .min = 12, .hide_empty = true, .drop = 9 },
	{ .title = "SCRIPT", .min = 10, .hide_empty = true, .drop = 10 },
	{ .title = "MESSAGE", .drop = 11 },
};

enum { COLUMN_AUTH = 12, COLUMN_SENDER, COLUMN_SCRIPT };

/* "1.4M": so many bytes. */
static const char *format_size(uint64_t n, char *buf, size_t size)
{
	static const char units[] = "BKMGTPE";
	size_t unit = 0;
	double value = (double)n;

	for (; value >= 1000 && units[unit + 1]; unit++)
		value /= 1024;
	snprintf(buf, size, unit && value < 10 ? "%.1f%c" : "%.0f%c", value, units[unit]);
	return buf;
}

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

static int add_table_row(struct sw_table *t, const struct sw_queue_row *row, time_t now)
{
	static const enum field counts[] = {
		F_MESSAGES, F_RECIPIENTS, F_FROZEN, F_BOUNCES, F_BACKSCATTER,
	};
	char number[ARRAY_SIZE(counts)][SW_NUMBER_LEN];
	char uid[16], size[16], oldest[SW_TIME_LEN], newest[SW_TIME_LEN];
	_cleanup_free_ char *domain = domain_cell(&row->site);
	const char *cells[ARRAY_SIZE(columns)];
	struct line l;
	size_t n = 0;

	if (!domain)
		return -ENOMEM;
	fill_line(row, &l);
	snprintf(uid, sizeof(uid), "%u", row->most->uid);
	cells[n++] = domain;
	cells[n++] = l.text[F_USER] ?: l.no_uid ? "-" : uid;
	cells[n++] = l.no_uid ? "-" : uid;
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++)
		cells[n++] = sw_number(l.number[counts[i]], number[i]);
	cells[n++] = format_size(row->sum.size, size, sizeof(size));
	cells[n++] = row->sum.oldest ? sw_time_ago(row->sum.oldest, now, oldest) : "-";
	cells[n++] = row->sum.newest ? sw_time_ago(row->sum.newest, now, newest) : "-";
	cells[n++] = l.text[F_VIA] ?: "-";
	cells[n++] = l.text[F_AUTH] ?: "-";
	cells[n++] = l.text[F_SENDER] ?: "-";
	cells[n++] = l.text[F_SCRIPT] ?: "-";
	cells[n++] = l.text[F_MESSAGE];
	return sw_table_add(t, cells);
}

/* What it is ranked by is never left out. */
static void order_columns(enum sw_queue_by by, struct sw_column *ret)
{
	size_t key = by == SW_QUEUE_BY_AUTH ? COLUMN_AUTH : by == SW_QUEUE_BY_SENDER ?
		COLUMN_SENDER : by == SW_QUEUE_BY_SCRIPT ? COLUMN_SCRIPT : 0;

	memcpy(ret, columns, sizeof(columns));
	if (key) {
		ret[key].drop = 0;
		ret[key].hide_empty = false;
		ret[2].drop = 12;
	}
}

struct count {
	uint64_t n;
	const char *what;
};

/* "  title: 1 this, 2 that", of what there is; else nothing. */
static void print_counts(const char *title, const struct count *c, size_t n_counts)
{
	char n[SW_NUMBER_LEN];
	bool begun = false;

	for (size_t i = 0; i < n_counts; i++) {
		if (!c[i].n)
			continue;
		printf("%s%s %s", begun ? ", " : title, sw_number(c[i].n, n), c[i].what);
		begun = true;
	}
	if (begun)
		printf("\n");
}

static int print_spool(const struct sw_queue_spool *s)
{
	const struct count counts[] = {
		{ s->sum.frozen, "frozen" }, { s->sum.bounces, "bounces" },
		{ s->sum.backscatter, "backscatter" },
	};
	const struct count others[] = {
		{ s->vanished, "vanished" }, { s->incomplete, "incomplete" },
		{ s->unreadable, "unreadable" }, { s->strange, "strange" },
	};
	_cleanup_free_ char *path = sw_escape(s->path, false);
	char n[SW_NUMBER_LEN], recipients[SW_NUMBER_LEN];

	if (!path)
		return -ENOMEM;
	printf("%s in %s: %s message%s for %s recipient%s\n", sw_queue_mta_names[s->mta], path,
	       sw_number(s->sum.messages, n), s->sum.messages == 1 ? "" : "s",
	       sw_number(s->sum.recipients, recipients), s->sum.recipients == 1 ? "" : "s");
	print_counts("  of them ", counts, ARRAY_SIZE(counts));
	print_counts("  not counted: ", others, ARRAY_SIZE(others));
	return 0;
}

static int print_table(const struct sw_queue_rank *what, bool color, const struct sw_queue *q,
		       const struct sw_queue_rows *rows)
{
	struct sw_column ordered[ARRAY_SIZE(columns)];
	struct sw_table t = { .columns = ordered, .n_columns = ARRAY_SIZE(ordered) };
	int r = 0;

	_Static_assert(ARRAY_SIZE(columns) <= SW_COLUMNS_MAX, "they fit a table");
	order_columns(what->by, ordered);
	sw_screen_get(color, &t.screen);
	for (size_t i = 0; i < rows->n && !r; i++)
		r = add_table_row(&t, &rows->row[i], q->now);
	if (!r && rows->n)
		sw_table_print(stdout, &t);
	else if (!r)
		printf("the queue is empty; looked at:\n");
	for (size_t i = 0; i < q->n_spools && !r; i++)
		r = print_spool(&q->spool[i]);
	sw_table_free(&t);
	return r;
}

int sw_queue_print(const struct sw_queue_rank *what, const struct sw_options *o,
		   const struct sw_queue *q, struct sw_domains *d)
{
	struct sw_queue_rows rows;
	int r = sw_queue_rank(what, q, d, &rows);

	if (r < 0)
		return r;
	switch (o->format) {
	case SW_FORMAT_JSON:
		r = print_json(q, &rows);
		break;
	case SW_FORMAT_TSV:
		r = print_lines(&rows, sw_tsv_row, false);
		break;
	case SW_FORMAT_CSV:
		r = print_lines(&rows, sw_csv_row, true);
		break;
	default:
		r = print_table(what, o->color, q, &rows);
	}
	free(rows.row);
	return r ? r : sw_out_flush(stdout);
}
