/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whom rules watch: accounts and domains that did something lately, and the server. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert_int.h"
#include "util.h"

#define RING_BYTES	sizeof(struct sw_ring)

static uint32_t hash_subject(enum sw_alert_scope scope, uint32_t uid, const char *domain)
{
	uint64_t h = (uint64_t)scope << 32;

	if (scope == SW_SCOPE_ACCOUNT)
		return (uint32_t)sw_mix(h | uid);
	for (const char *p = domain; p && *p; p++)
		h = (h ^ (unsigned char)*p) * 0x100000001b3ULL;
	return (uint32_t)sw_mix(h);
}

static bool is_subject(const struct sw_subject *s, enum sw_alert_scope scope, uint32_t uid,
		       const char *domain)
{
	return s->scope == scope && (scope == SW_SCOPE_ACCOUNT ? s->uid == uid :
				     scope == SW_SCOPE_SERVER || !strcmp(s->domain, domain));
}

static size_t bytes_of(const struct sw_alerts *a, const struct sw_subject *s)
{
	size_t n = sizeof(*s) + a->n_scope[s->scope] * sizeof(s->w[0]);

	for (size_t i = 0; i < a->n_scope[s->scope]; i++)
		n += s->w[i].ring ? RING_BYTES : 0;
	return n + (s->domain ? strlen(s->domain) + 1 : 0);
}

static void free_subject(struct sw_alerts *a, struct sw_subject *s)
{
	a->bytes -= bytes_of(a, s);
	a->n_subjects--;
	for (size_t i = 0; i < a->n_scope[s->scope]; i++)
		free(s->w[i].ring);
	free(s->domain);
	free(s);
}

/* A ring for every rule of this scope that needs one. */
static int make_rings(struct sw_alerts *a, struct sw_subject *s)
{
	for (size_t i = 0; i < a->config.n_rules; i++) {
		const struct sw_alert_rule *r = &a->config.rules[i];
		struct sw_window *w = &s->w[a->slot_of[i]];

		if (r->scope != s->scope || w->ring ||
		    (r->period != SW_PERIOD_SLIDING && r->period != SW_PERIOD_FACTOR))
			continue;
		w->ring = calloc(1, RING_BYTES);
		if (!w->ring)
			return -ENOMEM;
	}
	return 0;
}

static struct sw_subject *make_subject(struct sw_alerts *a, enum sw_alert_scope scope,
				       uint32_t uid, const char *domain)
{
	struct sw_subject *s = calloc(1, sizeof(*s) + a->n_scope[scope] * sizeof(s->w[0]));

	if (!s)
		return NULL;
	s->scope = scope;
	s->uid = uid;
	s->domain = domain ? strdup(domain) : NULL;
	if (make_rings(a, s) < 0 || (domain && !s->domain) ||
	    a->bytes + bytes_of(a, s) > SW_SUBJECT_BYTES) {
		a->bytes += bytes_of(a, s);
		a->n_subjects++;
		free_subject(a, s);
		return NULL;
	}
	a->bytes += bytes_of(a, s);
	a->n_subjects++;
	return s;
}

struct sw_subject *sw_subject_get(struct sw_alerts *a, enum sw_alert_scope scope, uint32_t uid,
				  const char *domain)
{
	uint32_t hash = hash_subject(scope, uid, domain);
	struct sw_subject **at = &a->bucket[hash % SW_SUBJECT_BUCKETS], *s;

	for (s = *at; s; s = s->next)
		if (s->hash == hash && is_subject(s, scope, uid, domain))
			return s;
	s = make_subject(a, scope, uid, domain);
	if (!s) {
		a->uncounted++;
		return NULL;
	}
	s->hash = hash;
	s->next = *at;
	*at = s;
	return s;
}

static bool is_idle(struct sw_alerts *a, struct sw_subject *s)
{
	bool idle = true;

	for (size_t i = 0; i < a->config.n_rules; i++) {
		const struct sw_alert_rule *r = &a->config.rules[i];
		struct sw_window *w = &s->w[a->slot_of[i]];

		if (r->scope != s->scope)
			continue;
		sw_window_move(w, r, &a->now);
		idle = idle && sw_window_is_idle(w, &a->now);
	}
	return idle && s->scope != SW_SCOPE_SERVER;
}

void sw_subjects_sweep(struct sw_alerts *a)
{
	for (size_t i = 0; i < SW_SUBJECT_BUCKETS; i++)
		for (struct sw_subject **at = &a->bucket[i]; *at;) {
			struct sw_subject *s = *at;

			if (!is_idle(a, s)) {
				at = &s->next;
				continue;
			}
			*at = s->next;
			free_subject(a, s);
		}
}

void sw_subjects_free(struct sw_alerts *a)
{
	for (size_t i = 0; i < SW_SUBJECT_BUCKETS; i++)
		for (struct sw_subject *s; (s = a->bucket[i]);) {
			a->bucket[i] = s->next;
			free_subject(a, s);
		}
}

/* ---- New rules ---- */

/* The rule of `old` that says the same as `r`; NULL: none. */
static const struct sw_alert_rule *same_rule(const struct sw_alert_config *old,
					     const struct sw_alert_rule *r)
{
	for (size_t i = 0; i < old->n_rules; i++)
		if (!strcmp(old->rules[i].text, r->text))
			return &old->rules[i];
	return NULL;
}

/* `s` with the windows that the new rules keep; those stay the old one's until it is freed. */
static struct sw_subject *remap(struct sw_alerts *a, const struct sw_subject *s,
				const struct sw_alert_config *c,
				const size_t slot_of_new[SW_ALERT_RULES_MAX], size_t n)
{
	struct sw_subject *to = calloc(1, sizeof(*to) + n * sizeof(to->w[0]));

	if (!to)
		return NULL;
	memcpy(to, s, sizeof(*s));
	for (size_t i = 0; i < c->n_rules; i++) {
		const struct sw_alert_rule *old = same_rule(&a->config, &c->rules[i]);

		if (old && old->scope == s->scope)
			to->w[slot_of_new[i]] = s->w[a->slot_of[old - a->config.rules]];
	}
	return to;
}

static void drop_windows(struct sw_alerts *a, struct sw_subject *s, const struct sw_alert_config *c)
{
	for (size_t i = 0; i < a->config.n_rules; i++) {
		struct sw_window *w = &s->w[a->slot_of[i]];

		if (a->config.rules[i].scope != s->scope || same_rule(c, &a->config.rules[i]))
			continue;
		a->n_due -= w->due;
		free(w->ring);
	}
	free(s);
}

int sw_subjects_remap(struct sw_alerts *a, const struct sw_alert_config *c,
		      const size_t slot_of_new[SW_ALERT_RULES_MAX],
		      const size_t n_scope[_SW_SCOPE_MAX])
{
	size_t n = 0;
	_cleanup_free_ struct sw_subject **fresh = calloc(a->n_subjects + 1, sizeof(void *));

	for (size_t i = 0; fresh && i < SW_SUBJECT_BUCKETS; i++)
		for (struct sw_subject *s = a->bucket[i]; s; s = s->next) {
			fresh[n] = remap(a, s, c, slot_of_new, n_scope[s->scope]);
			if (fresh[n++])
				continue;
			while (n)
				free(fresh[--n]);
			return -ENOMEM;
		}
	if (!fresh)
		return -ENOMEM;
	n = 0;
	for (size_t i = 0; i < SW_SUBJECT_BUCKETS; i++)
		for (struct sw_subject **at = &a->bucket[i]; *at; at = &(*at)->next) {
			struct sw_subject *old = *at;

			*at = fresh[n++];
			drop_windows(a, old, c);
		}
	return 0;
}

void sw_subjects_measure(struct sw_alerts *a)
{
	a->bytes = 0;
	for (size_t i = 0; i < SW_SUBJECT_BUCKETS; i++)
		for (struct sw_subject *s = a->bucket[i]; s; s = s->next) {
			(void)make_rings(a, s);	/* what has none is counted when it moves */
			a->bytes += bytes_of(a, s);
		}
}
