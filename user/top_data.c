/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From a reading to the lines of a view. */
#include <errno.h>
#include <string.h>

#include "decide.h"
#include "policy.h"
#include "top.h"
#include "util.h"

static void drop_lines(struct sw_top_data *d)
{
	free(d->line);
	d->line = NULL;
	d->n_lines = 0;
}

int sw_top_take(struct sw_top_data *d, struct sw_stats *s, const struct sw_top *t, uint64_t now_ns)
{
	const struct sw_report what = { .by = t->by_uid ? SW_REPORT_BY_UID : SW_REPORT_BY_DOMAIN,
					.channel = t->channel };
	int r;

	drop_lines(d);
	sw_report_free(&d->rows);
	sw_stats_free(&d->stats);
	d->stats = *s;
	*s = (struct sw_stats){};
	r = sw_top_history_add(&d->history, &d->stats, now_ns);
	return r ? r : sw_report_build(&what, &d->stats, d->domains, &d->rows);
}

static void free_event(struct sw_top_event *e)
{
	free(e->verdict);
	free(e->destination);
	free(e->script);
	free(e->reason);
}

void sw_top_forget_events(struct sw_top_data *d)
{
	drop_lines(d);
	for (size_t i = 0; i < d->n_events; i++)
		free_event(&d->event[i]);
	d->n_events = 0;
}

void sw_top_data_free(struct sw_top_data *d)
{
	sw_top_forget_events(d);
	sw_report_free(&d->rows);
	sw_stats_free(&d->stats);
	sw_top_history_free(&d->history);
	free(d->event);
	free(d->event_problem);
}

int sw_top_add_event(struct sw_top_data *d, const struct sw_event_view *v)
{
	const struct sw_origin_key key = { v->e->charged_uid, v->e->cwd_dev, v->e->cwd_ino };
	struct sw_top_event e = {
		.time = v->time,
		.origin = sw_origin_id(&key),
		.verdict = strdup(sw_verdict_name((enum sw_verdict)v->e->verdict)),
		.destination = strdup(v->destination),
		.script = strdup(v->where.script),
		.reason = strdup(sw_reason_name((enum sw_reason)v->e->reason)),
		.pid = v->e->tgid,
	};

	if (!d->event)
		d->event = calloc(SW_TOP_EVENTS_MAX, sizeof(*d->event));
	if (!d->event || !e.verdict || !e.destination || !e.script || !e.reason) {
		free_event(&e);
		return -ENOMEM;
	}
	if (d->n_events == SW_TOP_EVENTS_MAX) {
		free_event(&d->event[0]);
		memmove(d->event, d->event + 1, --d->n_events * sizeof(*d->event));
	}
	d->event[d->n_events++] = e;
	return 0;
}

/* ---- Lines ---- */

/* The same for the same domain or account in every reading, whichever directory is its worst. */
static uint64_t row_id(const struct sw_report_row *row, bool by_uid)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	if (!by_uid && row->site.domain) {
		for (const char *s = row->site.domain; *s; s++)
			h = (h ^ (unsigned char)*s) * 0x100000001b3ULL;
		return h ^ row->site.one_of_several;
	}
	return (uint64_t)row->sum.row << 32 | row->sum.uid;
}

/* Rates of an account are its own; those of a domain are summed from its directories. */
static int rate_row(const struct sw_top_data *d, const struct sw_report_row *row,
		    const struct sw_top *t, struct sw_top_rate *ret)
{
	_cleanup_free_ uint64_t *id = NULL;

	if (t->by_uid) {
		*ret = sw_top_rate(&d->history, &row->sum.id, 1, t->channel);
		return 0;
	}
	id = calloc(row->n_origins + 1, sizeof(*id));
	if (!id)
		return -ENOMEM;
	for (size_t i = 0; i < row->n_origins; i++)
		id[i] = row->origin[i]->id;
	*ret = sw_top_rate(&d->history, id, row->n_origins, t->channel);
	return 0;
}

static bool holds(const char *text, const char *filter)
{
	return text && strcasestr(text, filter);
}

static bool is_wanted(const struct sw_top_line *l, const char *filter)
{
	const struct sw_stat *s = l->row ? &l->row->sum : l->origin;

	if (!*filter)
		return true;
	if (l->event)
		return holds(l->event->destination, filter) || holds(l->event->script, filter);
	return holds(l->site.domain, filter) || holds(l->site.user, filter) ||
	       holds(l->site.account, filter) || holds(s->directory, filter) ||
	       holds(s->script, filter);
}

static const struct sw_stat *stat_of(const struct sw_top_line *l)
{
	return l->row ? &l->row->sum : l->origin;
}

static int descending(double a, double b)
{
	return a > b ? -1 : a < b;
}

static int compare_name(const struct sw_top_line *a, const struct sw_top_line *b)
{
	if (!a->site.domain || !b->site.domain)
		return a->site.domain ? -1 : b->site.domain ? 1 : 0;
	return strcmp(a->site.domain, b->site.domain);
}

static int compare(const void *a, const void *b, void *top)
{
	const struct sw_top_line *x = a, *y = b;
	const struct sw_stat *p = stat_of(x), *q = stat_of(y);
	const struct sw_top *t = top;
	int r = 0;

	switch (t->sort) {
	case SW_TOP_BY_SECOND:
		r = descending(x->rate.per_second, y->rate.per_second) ?:
		    descending(x->rate.per_minute, y->rate.per_minute);
		break;
	case SW_TOP_BY_MINUTE:
		r = descending(x->rate.per_minute, y->rate.per_minute);
		break;
	case SW_TOP_BY_LAST:
		r = descending((double)p->last_ns, (double)q->last_ns);
		break;
	case SW_TOP_BY_NAME:
		r = compare_name(x, y);
		break;
	default:
		break;
	}
	r = r ?: descending((double)sw_stat_by(p, t->channel), (double)sw_stat_by(q, t->channel));
	return r ?: x->id < y->id ? -1 : x->id > y->id;
}

static void keep(struct sw_top_data *d, const struct sw_top_line *l, const struct sw_top *t)
{
	if (is_wanted(l, t->filter))
		d->line[d->n_lines++] = *l;
}

static int list_ranking(struct sw_top_data *d, const struct sw_top *t)
{
	int r = 0;

	for (size_t i = 0; i < d->rows.n && !r; i++) {
		struct sw_top_line l = { .row = &d->rows.row[i], .site = d->rows.row[i].site };

		l.id = row_id(l.row, t->by_uid);
		r = rate_row(d, l.row, t, &l.rate);
		keep(d, &l, t);
	}
	return r;
}

static int list_directories(struct sw_top_data *d, const struct sw_top *t)
{
	const struct sw_report_row *row = NULL;
	int r = 0;

	for (size_t i = 0; i < d->rows.n && !row; i++)
		if (row_id(&d->rows.row[i], t->by_uid) == t->opened[0])
			row = &d->rows.row[i];
	for (size_t i = 0; row && i < row->n_origins && !r; i++) {
		struct sw_top_line l = { .origin = row->origin[i], .id = row->origin[i]->id };

		if (!sw_stat_by(l.origin, t->channel))
			break;	/* worst first */
		r = sw_report_attribute(d->domains, l.origin, &l.site);
		l.rate = sw_top_rate(&d->history, &l.id, 1, t->channel);
		keep(d, &l, t);
	}
	return r;
}

/* Newest first. */
static void list_events(struct sw_top_data *d, const struct sw_top *t)
{
	for (size_t i = d->n_events; i-- > 0;) {
		const struct sw_top_line l = { .event = &d->event[i], .id = i };

		if (d->event[i].origin == t->opened[1])
			keep(d, &l, t);
	}
}

int sw_top_lines(struct sw_top_data *d, const struct sw_top *t)
{
	size_t room = d->rows.n + d->stats.n_origins + d->n_events;
	int r = 0;

	drop_lines(d);
	d->line = calloc(room + 1, sizeof(*d->line));
	if (!d->line)
		return -ENOMEM;
	if (t->view == SW_TOP_RANKING)
		r = list_ranking(d, t);
	else if (t->view == SW_TOP_DIRECTORIES)
		r = list_directories(d, t);
	else
		list_events(d, t);
	if (t->view != SW_TOP_EVENTS)
		qsort_r(d->line, d->n_lines, sizeof(*d->line), compare, (void *)t);
	return r;
}
