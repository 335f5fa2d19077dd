/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who it was: what the events of an account told last. */
#include <stdlib.h>
#include <string.h>

#include "alert_int.h"
#include "util.h"

#define MAX_AGE_NS	(600 * NSEC_PER_SEC)

struct sw_hint {
	uint64_t time_ns;
	struct sw_alert_where where;
};

void sw_alert_where_free(struct sw_alert_where *w)
{
	free(w->user);
	free(w->domain);
	free(w->source);
	free(w->account);
	free(w->directory);
	free(w->script);
	free(w->container);
	free(w->destination);
	*w = (struct sw_alert_where){};
}

static char *copy(const char *text)
{
	return text && *text ? strdup(text) : NULL;
}

void sw_alerts_event(struct sw_alerts *a, const struct sw_event_view *v)
{
	struct sw_hint *h, **slot;

	if (v->no_uid || !a->config.n_rules)
		return;
	if (!a->hints)
		a->hints = calloc(SW_HINTS, sizeof(void *));
	slot = a->hints ? &a->hints[v->e->charged_uid % SW_HINTS] : NULL;
	h = slot && !*slot ? calloc(1, sizeof(*h)) : slot ? *slot : NULL;
	if (!h)
		return;	/* an alert without it still has the counters */
	*slot = h;
	sw_alert_where_free(&h->where);
	h->time_ns = v->e->time_ns;
	h->where = (struct sw_alert_where){
		.is_uid = true,
		.uid = v->e->charged_uid,
		.user = copy(v->site.user),
		.domain = copy(v->site.domain),
		.source = copy(v->site.source),
		.account = copy(v->site.account),
		.others = v->site.one_of_several ? v->site.sites - 1 : 0,
		.directory = copy(v->where.directory),
		.script = copy(v->where.script),
		.container = copy(v->container),
		.destination = copy(v->destination),
	};
}

void sw_alerts_hint(const struct sw_alerts *a, const struct sw_subject *s, struct sw_alert *alert)
{
	const struct sw_hint *h = a->hints ? a->hints[s->uid % SW_HINTS] : NULL;
	struct sw_alert_where *w = &alert->where;

	if (!h || h->where.uid != s->uid || h->time_ns + MAX_AGE_NS < a->now.mono_ns)
		return;
	if (s->scope == SW_SCOPE_SERVER)
		return;
	if (s->domain && (!h->where.domain || strcmp(s->domain, h->where.domain) != 0))
		return;
	w->user = copy(h->where.user);
	if (!w->domain)
		w->domain = copy(h->where.domain);
	w->source = copy(h->where.source);
	w->account = copy(h->where.account);
	w->others = h->where.others;
	w->directory = copy(h->where.directory);
	w->script = copy(h->where.script);
	w->container = copy(h->where.container);
	w->destination = copy(h->where.destination);
}

void sw_alerts_free_hints(struct sw_alerts *a)
{
	for (size_t i = 0; a->hints && i < SW_HINTS; i++) {
		if (a->hints[i])
			sw_alert_where_free(&a->hints[i]->where);
		free(a->hints[i]);
	}
	free(a->hints);
	a->hints = NULL;
}

void sw_alert_ref(struct sw_alert *alert)
{
	alert->refs++;
}

void sw_alert_unref(struct sw_alert *alert)
{
	if (!alert || --alert->refs)
		return;
	free(alert->rule);
	free(alert->place);
	sw_alert_where_free(&alert->where);
	free(alert);
}
