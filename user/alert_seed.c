/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What alerts knew before they were started: what the running hour and day had counted, and what was
 * told. */
#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "alert_int.h"
#include "util.h"

#define REMEMBER_MAX	4096	/* what was told and is kept */

static bool is_calendar(const struct sw_alert_rule *r)
{
	return r->period == SW_PERIOD_HOUR || r->period == SW_PERIOD_DAY;
}

/* ---- What was counted ---- */

/* Midnight of local time: the day that has begun may have had another offset. */
static time_t day_began(time_t now)
{
	struct tm tm;

	if (!localtime_r(&now, &tm))
		return now - now % 86400;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_isdst = -1;
	return mktime(&tm);
}

/* Of the hour that comes twice, when summer time ends, both are one window. */
static time_t hour_began(const struct sw_moment *m)
{
	const struct sw_alert_clock before = { .wall = m->wall - 3600 };
	time_t began = m->wall - (m->wall + m->offset_s) % 3600;
	struct sw_moment earlier;

	sw_moment_set(&earlier, &before);
	return earlier.hour == m->hour ? began - 3600 : began;
}

time_t sw_alerts_seed_since(const struct sw_alerts *a, enum sw_alert_period period)
{
	for (size_t i = 0; i < a->config.n_rules; i++)
		if (a->config.rules[i].period == period && is_calendar(&a->config.rules[i]))
			return period == SW_PERIOD_DAY ? day_began(a->now.wall) : hour_began(&a->now);
	return 0;
}

static void seed_scope(struct sw_alerts *a, const struct sw_alerts_seed *seed,
		       enum sw_alert_scope scope)
{
	struct sw_subject *s = NULL;

	for (size_t i = 0; i < a->config.n_rules; i++) {
		const struct sw_alert_rule *r = &a->config.rules[i];
		int slot = sw_alert_metric_slot(r->metric);
		struct sw_window *w;

		if (r->scope != scope || r->period != seed->period || slot < 0 || !seed->n[slot])
			continue;
		s = s ?: sw_subject_get(a, scope, seed->uid, seed->domain);
		if (!s)
			return;
		s->uid = seed->uid;
		w = &s->w[a->slot_of[i]];
		sw_window_move(w, r, &a->now);
		w->count += seed->n[slot] > INT32_MAX ? INT32_MAX : (int64_t)seed->n[slot];
	}
}

void sw_alerts_seed(struct sw_alerts *a, const struct sw_alerts_seed *seed)
{
	if (seed->scope == SW_SCOPE_DOMAIN || seed->is_uid)
		seed_scope(a, seed, seed->scope);
	if (seed->scope == SW_SCOPE_ACCOUNT)
		seed_scope(a, seed, SW_SCOPE_SERVER);
}

void sw_alerts_seeded(struct sw_alerts *a)
{
	a->seeded = true;
	for (size_t b = 0; b < SW_SUBJECT_BUCKETS; b++)
		for (struct sw_subject *s = a->bucket[b]; s; s = s->next)
			for (size_t i = 0; i < a->config.n_rules; i++)
				if (a->config.rules[i].scope == s->scope && is_calendar(&a->config.rules[i]))
					sw_alerts_judge_calendar(a, s, i);
}

/* ---- What was told ---- */

static struct json_object *remember(const struct sw_alerts *a, const struct sw_subject *s, size_t i)
{
	const struct sw_alert_rule *r = &a->config.rules[i];
	const struct sw_window *w = &s->w[a->slot_of[i]];
	bool cooling = w->cool_until_ns > a->now.mono_ns;
	struct json_object *o;

	if (!cooling && (!w->fired || (is_calendar(r) && w->fired != w->index + 1)))
		return NULL;
	o = json_object_new_object();
	json_object_object_add(o, "rule", json_object_new_string(r->text));
	json_object_object_add(o, "uid", json_object_new_int64(s->uid));
	if (s->domain)
		json_object_object_add(o, "domain", json_object_new_string(s->domain));
	if (cooling)
		json_object_object_add(o, "until", json_object_new_int64(a->now.wall + (int64_t)
				       ((w->cool_until_ns - a->now.mono_ns) / NSEC_PER_SEC)));
	if (w->fired)
		json_object_object_add(o, "fired", json_object_new_int64(w->fired));
	return o;
}

char *sw_alerts_remember(const struct sw_alerts *a)
{
	struct json_object *list = json_object_new_array(), *o;
	char *text;

	for (size_t b = 0; b < SW_SUBJECT_BUCKETS; b++)
		for (const struct sw_subject *s = a->bucket[b]; s; s = s->next)
			for (size_t i = 0; i < a->config.n_rules; i++) {
				if (a->config.rules[i].scope != s->scope ||
				    json_object_array_length(list) >= REMEMBER_MAX)
					continue;
				o = remember(a, s, i);
				if (o)
					json_object_array_add(list, o);
			}
	text = strdup(json_object_to_json_string_ext(list, JSON_C_TO_STRING_PLAIN));
	json_object_put(list);
	return text;
}

static const char *text_of(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_string(v) : NULL;
}

static int64_t number_of(struct json_object *o, const char *name)
{
	struct json_object *v;

	return json_object_object_get_ex(o, name, &v) ? json_object_get_int64(v) : 0;
}

static void recall(struct sw_alerts *a, struct json_object *o, size_t i)
{
	const struct sw_alert_rule *r = &a->config.rules[i];
	int64_t left = number_of(o, "until") - (int64_t)a->now.wall, longest = sw_alerts_cooldown(a, r);
	const char *domain = text_of(o, "domain");
	struct sw_subject *s;
	struct sw_window *w;

	if (r->scope == SW_SCOPE_DOMAIN && !domain)
		return;
	s = sw_subject_get(a, r->scope, (uint32_t)number_of(o, "uid"), domain);
	if (!s)
		return;
	w = &s->w[a->slot_of[i]];
	sw_window_move(w, r, &a->now);
	left = left < longest ? left : longest;
	if (left > 0)
		w->cool_until_ns = a->now.mono_ns + (uint64_t)left * NSEC_PER_SEC;
	if (is_calendar(r) || r->period == SW_PERIOD_LEVEL)
		w->fired = (uint32_t)number_of(o, "fired");
}

int sw_alerts_recall(struct sw_alerts *a, const char *text)
{
	struct json_object *list = json_tokener_parse(text);
	size_t n;

	if (!json_object_is_type(list, json_type_array)) {
		json_object_put(list);
		return -EBADMSG;
	}
	n = json_object_array_length(list);
	for (size_t j = 0; j < n && j < REMEMBER_MAX; j++) {
		struct json_object *o = json_object_array_get_idx(list, j);
		const char *rule = json_object_is_type(o, json_type_object) ? text_of(o, "rule") : NULL;

		for (size_t i = 0; rule && i < a->config.n_rules; i++)
			if (!strcmp(rule, a->config.rules[i].text))
				recall(a, o, i);
	}
	json_object_put(list);
	return 0;
}
