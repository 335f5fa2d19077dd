/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "policy.h"
#include "top.h"
#include "util.h"

#define RATE_LEN 32

/* ---- Cells ---- */

static const char *rate_cell(bool known, double rate, char buf[RATE_LEN])
{
	if (!known)
		return "-";
	if (rate > 0 && rate < 100)
		snprintf(buf, RATE_LEN, "%.1f", rate < 0.1 ? 0.1 : rate);
	else
		sw_number((uint64_t)(rate + 0.5), buf);
	return buf;
}

/* A domain that is only the first of several is shown as such. */
static const char *domain_cell(const struct sw_report_site *site, char *buf, size_t size)
{
	if (!site->domain)
		return "-";
	if (!site->one_of_several)
		return site->domain;
	snprintf(buf, size, "%s +%zu", site->domain, site->sites - 1);
	return buf;
}

static const char *user_cell(const struct sw_report_row *row, char uid[16])
{
	if (row->sum.row == SW_ROW_KERNEL)
		return "(kernel)";
	if (row->sum.row == SW_ROW_OVERFLOW)
		return "(table full)";
	snprintf(uid, 16, "%u", row->sum.uid);
	return row->site.user ?: uid;
}

/* ---- Tables ---- */

static const struct sw_column ranking[] = {
	{ .title = "DOMAIN", .min = 14 },
	{ .title = "USER", .min = 8 },
	{ .title = "/SEC", .right = true, .loud = true },
	{ .title = "/MIN", .right = true },
	{ .title = "TOTAL", .right = true },
	{ .title = "LOCAL", .right = true, .hide_empty = true, .drop = 2 },
	{ .title = "SENDMAIL", .right = true, .hide_empty = true, .drop = 2 },
	{ .title = "DESTS", .right = true, .drop = 3 },
	{ .title = "LAST SEEN", .right = true, .drop = 1 },
	{ .title = "DIRECTORY", .min = 10 },
	{ .title = "SCRIPT", .min = 8, .drop = 4 },
};

static int add_ranking(struct sw_table *t, const struct sw_top_line *l, enum sw_channel channel,
		       time_t now)
{
	const struct sw_stat *s = &l->row->sum;
	char uid[16], domain[300], sec[RATE_LEN], min[RATE_LEN], total[SW_NUMBER_LEN];
	char dests[SW_NUMBER_LEN], ago[SW_TIME_LEN], local[SW_NUMBER_LEN], sendmail[SW_NUMBER_LEN];

	return sw_table_add(t, (const char *[]){
		domain_cell(&l->row->site, domain, sizeof(domain)), user_cell(l->row, uid),
		rate_cell(l->rate.known, l->rate.per_second, sec),
		rate_cell(l->rate.known, l->rate.per_minute, min),
		sw_number(sw_stat_by(s, channel), total), sw_number(s->n[SW_N_LOCAL], local),
		sw_number(s->n[SW_N_SENDMAIL], sendmail), sw_number(s->destinations, dests),
		s->last ? sw_time_ago(s->last, now, ago) : "-", s->directory ?: "-",
		s->script ?: "-" });
}

static const struct sw_column directories[] = {
	{ .title = "DOMAIN", .min = 14 },
	{ .title = "/SEC", .right = true, .loud = true },
	{ .title = "/MIN", .right = true },
	{ .title = "TOTAL", .right = true },
	{ .title = "LOCAL", .right = true, .hide_empty = true, .drop = 2 },
	{ .title = "SENDMAIL", .right = true, .hide_empty = true, .drop = 2 },
	{ .title = "LAST SEEN", .right = true, .drop = 1 },
	{ .title = "LAST DESTINATION", .drop = 4 },
	{ .title = "DIRECTORY", .min = 14 },
	{ .title = "SCRIPT", .min = 10, .drop = 3 },
};

static int add_directory(struct sw_table *t, const struct sw_top_line *l, enum sw_channel channel,
			 time_t now)
{
	const struct sw_stat *o = l->origin;
	char domain[300], sec[RATE_LEN], min[RATE_LEN], total[SW_NUMBER_LEN], ago[SW_TIME_LEN];
	char local[SW_NUMBER_LEN], sendmail[SW_NUMBER_LEN];

	return sw_table_add(t, (const char *[]){
		domain_cell(&l->site, domain, sizeof(domain)),
		rate_cell(l->rate.known, l->rate.per_second, sec),
		rate_cell(l->rate.known, l->rate.per_minute, min),
		sw_number(sw_stat_by(o, channel), total), sw_number(o->n[SW_N_LOCAL], local),
		sw_number(o->n[SW_N_SENDMAIL], sendmail), o->last ? sw_time_ago(o->last, now, ago) : "-",
		*o->last_destination ? o->last_destination : "-", o->directory ?: "-",
		o->script ?: "-" });
}

static const struct sw_column events[] = {
	{ .title = "TIME" },
	{ .title = "VERDICT" },
	{ .title = "DESTINATION" },
	{ .title = "PID", .right = true, .drop = 2 },
	{ .title = "SCRIPT", .min = 10 },
	{ .title = "REASON", .drop = 1 },
};

static int add_event(struct sw_table *t, const struct sw_top_line *l)
{
	const struct sw_top_event *e = l->event;
	char when[SW_TIME_LEN], pid[16];

	snprintf(pid, sizeof(pid), "%u", e->pid);
	return sw_table_add(t, (const char *[]){ sw_time_format(e->time, when), e->verdict,
						 e->destination, pid, e->script, e->reason });
}

int sw_top_print(FILE *f, const struct sw_top_data *d, const struct sw_top *t,
		 const struct sw_screen *screen)
{
	static const struct { const struct sw_column *columns; size_t n; } tables[] = {
		[SW_TOP_RANKING] = { ranking, ARRAY_SIZE(ranking) },
		[SW_TOP_DIRECTORIES] = { directories, ARRAY_SIZE(directories) },
		[SW_TOP_EVENTS] = { events, ARRAY_SIZE(events) },
	};
	struct sw_table table = { .columns = tables[t->view].columns, .screen = *screen,
				  .n_columns = tables[t->view].n };
	int r = 0;

	for (size_t i = t->first; i < d->n_lines && i < t->first + t->height && !r; i++) {
		const struct sw_top_line *l = &d->line[i];

		if (l->row)
			r = add_ranking(&table, l, t->channel, d->stats.now);
		else if (l->origin)
			r = add_directory(&table, l, t->channel, d->stats.now);
		else
			r = add_event(&table, l);
	}
	if (!r)
		sw_table_print(f, &table);
	sw_table_free(&table);
	return r;
}

/* ---- Above and below ---- */

char *sw_top_headline(const struct sw_top_data *d, const struct sw_top *t, bool utf8)
{
	const struct sw_report_about *about = d->about;
	_cleanup_free_ char *text = NULL;
	char clock[16], sec[RATE_LEN], n[SW_NUMBER_LEN];
	struct sw_top_rate all = {};
	struct tm tm;

	for (size_t i = 0; t->view == SW_TOP_RANKING && i < d->n_lines; i++) {
		all.known = d->line[i].rate.known;
		all.per_second += d->line[i].rate.per_second;
	}
	localtime_r(&d->stats.now, &tm);
	strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	if (asprintf(&text, "%s  %s  mode %s  %s %s%s  %s/s%s", about->host ?: "smtpwall", clock,
		     about->generation ? sw_mode_name(about->mode) : "(not whole)",
		     sw_number(d->rows.n_all, n),
		     t->channel == SW_CHANNEL_DIRECT ? "offender" : "sender",
		     d->rows.n_all == 1 ? "" : "s",
		     t->view == SW_TOP_RANKING ? rate_cell(all.known, all.per_second, sec) : "-",
		     t->paused ? "  PAUSED" : "") < 0) {
		text = NULL;
		return NULL;
	}
	return sw_escape(text, utf8);
}

char *sw_top_crumbs(const struct sw_top_data *d, const struct sw_top *t, bool utf8)
{
	_cleanup_free_ char *text = NULL;
	static const char *const views[] = {
		[SW_TOP_RANKING] = "", [SW_TOP_DIRECTORIES] = " > directories",
		[SW_TOP_EVENTS] = " > directories > events",
	};
	const char *note = t->view == SW_TOP_EVENTS && d->event_problem ? d->event_problem : "";

	if (asprintf(&text, "%s%s%s%s  sorted by %s%s%s%s%s%s", t->by_uid ? "accounts" : "domains",
		     t->channel == SW_CHANNEL_DIRECT ? "" : "  channel ",
		     t->channel == SW_CHANNEL_DIRECT ? "" : sw_channel_name(t->channel),
		     views[t->view], t->view == SW_TOP_EVENTS ? "time" : sw_top_sort_name(t->sort),
		     *t->filter ? "  with '" : "", t->filter, *t->filter ? "'" : "", *note ? "  " : "",
		     note) < 0) {
		text = NULL;
		return NULL;
	}
	return sw_escape(text, utf8);
}

char *sw_top_helpline(const struct sw_top *t, bool utf8)
{
	_cleanup_free_ char *text = NULL;

	if (!t->typing)
		return strdup(t->view == SW_TOP_EVENTS ?
			      "q quit  Backspace back  / filter  p pause  ? help" :
			      "q quit  Enter open  Backspace back  s sort  c channel  / filter  b by  ? help");
	if (asprintf(&text, "filter: %s_", t->typed) < 0) {
		text = NULL;
		return NULL;
	}
	return sw_escape(text, utf8);
}

const char *const sw_top_help[] = {
	"Up Down j k PgUp PgDn Home End  select a line",
	"Enter        open: domain, then its directories, then their latest events",
	"Backspace    back; in the ranking: no filter",
	"r m d l n    sort by rate, by minute, denied, last seen, name;  s  the next one",
	"/            show only lines with a text: type it, then Enter (Escape: leave it)",
	"b            rank domains or accounts",
	"c            the next way out: direct (offenders), local, sendmail, all of them",
	"+ -          read less or more often",
	"Space        read now             p  pause            q  quit",
	"",
	"/SEC and /MIN are attempts that were denied, limited or redirected, or would be,",
	"since the reading before, and over the last minute. TOTAL is since they are counted.",
	"With another channel they are SMTP to this machine, mail handed to sendmail, or all.",
	"'shop.example +2': the account is sure, and it has two more sites.",
	NULL,
};
