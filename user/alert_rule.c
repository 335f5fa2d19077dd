/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a rule is reached, and the alert that it makes. */
#include <stdlib.h>
#include <string.h>

#include "alert_int.h"
#include "util.h"

/* From how many on `r` is reached. */
static uint64_t needed(const struct sw_alerts *a, const struct sw_alert_rule *r, uint32_t uid,
		       double *usual)
{
	uint64_t more;

	*usual = 0;
	if (r->period != SW_PERIOD_FACTOR)
		return r->threshold;
	if (!a->have_averages)
		return UINT64_MAX;
	*usual = sw_alerts_usual(a, r, uid);
	more = (uint64_t)(*usual * r->factor / SW_ALERT_FACTOR_ONE) + 1;
	return more > r->threshold ? more : r->threshold;
}

static struct sw_alert *make_alert(const struct sw_alerts *a, const struct sw_subject *s, size_t i)
{
	const struct sw_alert_rule *r = &a->config.rules[i];
	const struct sw_window *w = &s->w[a->slot_of[i]];
	struct sw_alert *alert = calloc(1, sizeof(*alert));

	if (!alert)
		return NULL;
	*alert = (struct sw_alert){
		.refs = 1,
		.metric = r->metric,
		.scope = r->scope,
		.period = r->period,
		.seconds = r->period == SW_PERIOD_HOUR ? 3600 :
			   r->period == SW_PERIOD_DAY ? 86400 : r->seconds,
		.factor = r->factor,
		.rule = strdup(r->text),
		.place = strdup(a->places[i]),
		.time = a->now.wall,
		.since = sw_window_since(r, &a->now),
	};
	alert->threshold = needed(a, r, s->uid, &alert->average);
	/* One that had to wait may be below it by now. */
	alert->count = w->count > 0 && (uint64_t)w->count > alert->threshold ? (uint64_t)w->count :
									       alert->threshold;
	if (a->started > alert->since &&
	    !(a->seeded && (r->period == SW_PERIOD_HOUR || r->period == SW_PERIOD_DAY)))
		alert->since = a->started;
	alert->where.is_uid = s->scope != SW_SCOPE_SERVER;
	alert->where.uid = s->uid;
	if (s->domain)
		alert->where.domain = strdup(s->domain);
	if (!alert->rule || !alert->place || (s->domain && !alert->where.domain)) {
		sw_alert_unref(alert);
		return NULL;
	}
	sw_alerts_hint(a, s, alert);
	return alert;
}

/* A rule's own period is a cool-down too, or the same attempts would be told twice. */
uint32_t sw_alerts_cooldown(const struct sw_alerts *a, const struct sw_alert_rule *r)
{
	uint32_t s = r->period == SW_PERIOD_SLIDING || r->period == SW_PERIOD_FACTOR ? r->seconds : 0;

	return s < a->config.cooldown_s ? a->config.cooldown_s : s;
}

static void fire(struct sw_alerts *a, struct sw_subject *s, size_t i)
{
	struct sw_window *w = &s->w[a->slot_of[i]];
	struct sw_alert *alert = a->n_fired < SW_FIRE_MAX ? make_alert(a, s, i) : NULL;

	if (!alert) {
		a->n_due += !w->due;
		w->due = true;
		return;
	}
	a->n_due -= w->due;
	w->due = false;
	w->cool_until_ns = a->now.mono_ns +
			   sw_alerts_cooldown(a, &a->config.rules[i]) * NSEC_PER_SEC;
	w->fired = a->config.rules[i].period == SW_PERIOD_SLIDING ||
		   a->config.rules[i].period == SW_PERIOD_FACTOR ? 0 : w->index + 1;
	a->fired[a->n_fired++] = alert;
	a->n_alerts++;
	a->last_alert = a->now.wall;
}

/* Whether it may be told: not again in the same calendar window, nor before the cool-down ends. */
static bool may_fire(const struct sw_alerts *a, const struct sw_alert_rule *r,
		     const struct sw_window *w)
{
	if (w->cool_until_ns > a->now.mono_ns)
		return false;
	if (r->period == SW_PERIOD_HOUR || r->period == SW_PERIOD_DAY)
		return w->fired != w->index + 1;
	return r->period != SW_PERIOD_LEVEL || !w->fired || a->config.cooldown_s;
}

/* The window has just grown. */
static void judge(struct sw_alerts *a, struct sw_subject *s, size_t i)
{
	const struct sw_alert_rule *r = &a->config.rules[i];
	struct sw_window *w = &s->w[a->slot_of[i]];
	double usual;

	if (w->due || w->count < 0 || (uint64_t)w->count < needed(a, r, s->uid, &usual))
		return;
	if (may_fire(a, r, w))
		fire(a, s, i);
	else
		a->suppressed++;
}

void sw_alerts_judge_calendar(struct sw_alerts *a, struct sw_subject *s, size_t i)
{
	const struct sw_alert_rule *r = &a->config.rules[i];
	struct sw_window *w = &s->w[a->slot_of[i]];

	if (!w->due && w->count > 0 && (uint64_t)w->count >= r->threshold && may_fire(a, r, w))
		fire(a, s, i);
}

void sw_alerts_count(struct sw_alerts *a, enum sw_alert_scope scope, uint32_t uid,
		     const char *domain, enum sw_alert_metric metric, int64_t n)
{
	struct sw_subject *s = NULL;

	for (size_t i = 0; i < a->config.n_rules; i++) {
		const struct sw_alert_rule *r = &a->config.rules[i];
		struct sw_window *w;

		if (r->scope != scope || r->metric != metric || r->period == SW_PERIOD_LEVEL)
			continue;
		s = s ?: sw_subject_get(a, scope, uid, domain);
		if (!s)
			return;
		s->uid = uid;
		w = &s->w[a->slot_of[i]];
		sw_window_move(w, r, &a->now);
		if (!sw_window_add(w, r, n))
			a->uncounted++;
		else if (n > 0)
			judge(a, s, i);
	}
}

static void judge_level(struct sw_alerts *a, size_t i, uint64_t value)
{
	const struct sw_alert_rule *r = &a->config.rules[i];
	struct sw_subject *s = sw_subject_get(a, SW_SCOPE_SERVER, 0, NULL);
	struct sw_window *w = s ? &s->w[a->slot_of[i]] : NULL;

	if (!w)
		return;
	w->count = value > INT64_MAX ? INT64_MAX : (int64_t)value;
	if (value < r->threshold)
		w->fired = 0;
	else
		judge(a, s, i);
}

void sw_alerts_gauge(struct sw_alerts *a, const struct sw_alert_clock *now,
		     enum sw_alert_metric metric, uint64_t value)
{
	sw_moment_set(&a->now, now);
	for (size_t i = 0; i < a->config.n_rules; i++)
		if (a->config.rules[i].metric == metric &&
		    a->config.rules[i].period == SW_PERIOD_LEVEL)
			judge_level(a, i, value);
	if (a->gauge_known && value != a->gauge)
		sw_alerts_count(a, SW_SCOPE_SERVER, 0, NULL, metric,
				(int64_t)value - (int64_t)a->gauge);
	a->gauge = value;
	a->gauge_known = true;
}

void sw_alerts_fire_due(struct sw_alerts *a)
{
	for (size_t b = 0; a->n_due && a->n_fired < SW_FIRE_MAX && b < SW_SUBJECT_BUCKETS; b++)
		for (struct sw_subject *s = a->bucket[b]; s; s = s->next)
			for (size_t i = 0; i < a->config.n_rules; i++) {
				const struct sw_alert_rule *r = &a->config.rules[i];

				if (r->scope != s->scope || !s->w[a->slot_of[i]].due)
					continue;
				sw_window_move(&s->w[a->slot_of[i]], r, &a->now);
				fire(a, s, i);
			}
}
