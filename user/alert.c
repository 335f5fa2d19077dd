/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The life of the alerts, and what a sample of the counters brings. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert_int.h"
#include "canary.h"
#include "util.h"

/* Programs write the time of a row beside its counters, not at once with them, and with a clock
 * that may be a tick old: a row is looked at that much longer than it says it moved. */
#define SLACK_NS	(2 * NSEC_PER_SEC)
#define LOG_MAX		256	/* alerts of one sample that go to the journal */
#define FULL_NS		(60 * NSEC_PER_SEC)	/* and now and then all of them are */

void sw_alert_clock_now(struct sw_alert_clock *ret)
{
	struct timespec mono;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	*ret = (struct sw_alert_clock){
		.mono_ns = (uint64_t)mono.tv_sec * NSEC_PER_SEC + (uint64_t)mono.tv_nsec,
		.wall = time(NULL),
	};
}

/* ---- Life ---- */

static void free_places(char **places, size_t n)
{
	for (size_t i = 0; places && i < n; i++)
		free(places[i]);
	free(places);
}

static char **make_places(const struct sw_policy *p)
{
	const struct sw_alert_config *c = &p->alerts;
	char **places = calloc(c->n_rules + 1, sizeof(*places));

	for (size_t i = 0; places && i < c->n_rules; i++)
		if (asprintf(&places[i], "%s:%u", p->sources[c->rules[i].source],
			     c->rules[i].line) < 0) {
			places[i] = NULL;
			free_places(places, c->n_rules);
			return NULL;
		}
	return places;
}

static void number_windows(const struct sw_alert_config *c, size_t slot[SW_ALERT_RULES_MAX],
			   size_t n_scope[_SW_SCOPE_MAX])
{
	memset(n_scope, 0, _SW_SCOPE_MAX * sizeof(n_scope[0]));
	for (size_t i = 0; i < c->n_rules; i++)
		slot[i] = n_scope[c->rules[i].scope]++;
}

/* What the rules need beyond the counters of accounts. */
static void note_needs(struct sw_alerts *a)
{
	bool had_origins = a->need_origins, had_sketch = a->need_sketch;

	a->need_origins = a->need_sketch = a->need_averages = false;
	a->metrics = 0;
	for (size_t i = 0; i < a->config.n_rules; i++) {
		const struct sw_alert_rule *r = &a->config.rules[i];

		a->metrics |= 1U << r->metric;
		a->need_sketch = a->need_sketch || r->metric == SW_METRIC_DESTINATIONS;
		a->need_origins = a->need_origins || r->scope == SW_SCOPE_DOMAIN ||
				  r->metric == SW_METRIC_DESTINATIONS;
		a->need_averages = a->need_averages || r->period == SW_PERIOD_FACTOR;
	}
	if (!had_origins || (a->need_sketch && !had_sketch))
		a->origins_primed = false;
}

int sw_alerts_set_policy(struct sw_alerts *a, const struct sw_policy *p, const char *templ)
{
	size_t slot[SW_ALERT_RULES_MAX], n_scope[_SW_SCOPE_MAX];
	struct sw_alert_config c = {};
	char **places = make_places(p);
	char *copy = templ ? strdup(templ) : NULL;

	number_windows(&p->alerts, slot, n_scope);
	if (!places || (templ && !copy) || sw_alert_config_copy(&p->alerts, &c) < 0 ||
	    sw_subjects_remap(a, &c, slot, n_scope) < 0) {
		free_places(places, p->alerts.n_rules);
		sw_alert_config_free(&c);
		free(copy);
		return -ENOMEM;
	}
	free_places(a->places, a->config.n_rules);
	sw_alert_config_free(&a->config);
	free(a->templ);
	a->config = c;
	a->places = places;
	a->templ = copy;
	memcpy(a->slot_of, slot, sizeof(slot));
	memcpy(a->n_scope, n_scope, sizeof(n_scope));
	sw_subjects_measure(a);
	note_needs(a);
	return 0;
}

int sw_alerts_new(const struct sw_policy *p, const char *host, const char *templ,
		  const struct sw_alert_ops *ops, struct sw_alerts **ret)
{
	struct sw_alerts *a = calloc(1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	a->ops = *ops;
	a->host = strdup(host && *host ? host : "localhost");
	sw_sink_init(&a->command, SW_RUN_COMMAND);
	sw_sink_init(&a->mail, SW_RUN_MAIL);
	if (!a->host || sw_alerts_set_policy(a, p, templ) < 0) {
		sw_alerts_free(a);
		return -ENOMEM;
	}
	*ret = a;
	return 0;
}

void sw_alerts_free(struct sw_alerts *a)
{
	if (!a)
		return;
	for (size_t i = 0; i < a->n_fired; i++)
		sw_alert_unref(a->fired[i]);
	sw_subjects_free(a);
	free_places(a->places, a->config.n_rules);
	sw_alert_config_free(&a->config);
	sw_bases_free(&a->accounts);
	sw_bases_free(&a->origins);
	sw_alerts_forget_domains(a);
	sw_alerts_free_hints(a);
	sw_sink_free(&a->command);
	sw_sink_free(&a->mail);
	free(a->average);
	free(a->fresh);
	free(a->host);
	free(a->templ);
	free(a);
}

/* ---- Samples ---- */

/* What a row has counted since it was last seen; the row of a table made anew began at nothing. */
static void count_row(struct sw_alerts *a, struct sw_base *b, const struct sw_uid_key *k,
		      const struct sw_uid_stats *s)
{
	bool same = b->first_ns == s->first_ns;

	for (int m = 0; m < _SW_METRIC_MAX; m++) {
		int slot = sw_alert_metric_slot((enum sw_alert_metric)m);
		uint64_t before, more;

		if (slot < 0 || !(a->metrics & 1U << m))
			continue;
		before = same && b->n[slot] <= s->n[slot] ? b->n[slot] : 0;
		more = s->n[slot] - before;
		if (!more || !a->primed)
			continue;
		if (more > INT32_MAX)
			more = INT32_MAX;
		if (k->row == SW_ROW_UID)
			sw_alerts_count(a, SW_SCOPE_ACCOUNT, k->uid, NULL, (enum sw_alert_metric)m,
					(int64_t)more);
		sw_alerts_count(a, SW_SCOPE_SERVER, 0, NULL, (enum sw_alert_metric)m, (int64_t)more);
	}
	if (!same)
		memset(b->sketch, 0, sizeof(b->sketch));
	b->first_ns = s->first_ns;
	memcpy(b->n, s->n, sizeof(b->n));
}

static int take_row(struct sw_alerts *a, const struct sw_uid_key *k, const struct sw_uid_stats *s)
{
	bool fresh;
	struct sw_base *b = sw_bases_get(&a->accounts, (uint64_t)k->row << 32 | k->uid, &fresh);

	if (!b)
		return -ENOMEM;
	b->epoch = a->epoch;
	if (!fresh && b->first_ns == s->first_ns && !memcmp(b->n, s->n, sizeof(b->n)))
		return 0;
	a->moved = true;
	/* It can be seen before its first attempt is written to it: that is then its time. */
	if (!b->first_ns && s->first_ns && !memcmp(b->n, (uint64_t[_SW_N_MAX]){}, sizeof(b->n)))
		b->first_ns = s->first_ns;
	count_row(a, b, k, s);
	return 0;
}

static int count_accounts(struct sw_alerts *a, const struct sw_map_dump *d)
{
	bool full = !a->primed || a->now.mono_ns - a->full_ns >= FULL_NS ||
		    d->n < a->accounts.n;
	uint64_t since = a->last_ns > SLACK_NS ? a->last_ns - SLACK_NS : 0;
	int r = 0, err;

	if (d->key_size != sizeof(struct sw_uid_key) || d->value_size != sizeof(struct sw_uid_stats))
		return -EINVAL;
	if (full)
		a->epoch++;
	for (size_t i = 0; i < d->n; i++) {
		const struct sw_uid_stats *s = sw_map_value(d, i);
		const struct sw_uid_key *k = sw_map_key(d, i);

		if (!full && s->last_ns < since && s->last_ns)
			continue;
		if (k->row == SW_ROW_UID && k->uid == SW_CANARY_UID)
			continue;
		err = take_row(a, k, s);
		r = r ?: err;
	}
	if (full) {
		sw_bases_prune(&a->accounts, a->epoch);
		a->full_ns = a->now.mono_ns;
	}
	a->primed = true;
	return r;
}

static void tell(struct sw_alerts *a)
{
	if (a->n_fired && a->ops.describe)
		a->ops.describe(a->ops.data, a->fired, a->n_fired);
	for (size_t i = 0; i < a->n_fired; i++) {
		struct sw_alert *alert = a->fired[i];

		if (a->ops.log && a->config.syslog && i < LOG_MAX)
			a->ops.log(a->ops.data, alert);
		else if (a->ops.log && a->config.syslog)
			a->unlogged++;
		if (a->config.command)
			sw_sink_put(&a->command, alert);
		if (a->config.mail)
			sw_sink_put(&a->mail, alert);
		sw_alert_unref(alert);
	}
	a->n_fired = 0;
	sw_sinks_run(a);
}

bool sw_alerts_wants_origins(const struct sw_alerts *a)
{
	return a->need_origins && (!a->origins_primed || a->moved);
}

int sw_alerts_sample(struct sw_alerts *a, const struct sw_alert_clock *now,
		     const struct sw_map_dump *uids, const struct sw_map_dump *origins)
{
	int r = 0, err = 0;
	bool sweep;

	sw_moment_set(&a->now, now);
	if (!a->started)
		a->started = now->wall;
	sw_alerts_fire_due(a);
	sweep = uids && a->primed && a->now.mono_ns - a->full_ns >= FULL_NS;
	if (uids && a->config.n_rules)
		r = count_accounts(a, uids);
	if (origins && a->need_origins) {
		err = sw_alerts_count_origins(a, origins);
		a->moved = false;
	}
	if (uids)
		a->last_ns = now->mono_ns;
	if (sweep)
		sw_subjects_sweep(a);
	tell(a);
	return r ?: err;
}

static void sink_state(const struct sw_sink *s, bool configured, struct sw_alerts_sink_state *ret)
{
	*ret = s->state;
	ret->configured = configured;
	ret->waiting = s->n + (s->payload ? s->n_payload : 0);
}

void sw_alerts_state(const struct sw_alerts *a, struct sw_alerts_state *ret)
{
	*ret = (struct sw_alerts_state){
		.alerts = a->n_alerts,
		.suppressed = a->suppressed,
		.uncounted = a->uncounted,
		.unlogged = a->unlogged,
		.rules = a->config.n_rules,
		.subjects = a->n_subjects,
		.bytes = a->bytes,
		.last_alert = a->last_alert,
	};
	sink_state(&a->command, a->config.command, &ret->command);
	sink_state(&a->mail, a->config.mail, &ret->mail);
}
