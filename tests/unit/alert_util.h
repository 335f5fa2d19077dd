/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alerts with tables, clocks and a runner of the test's own. */
#ifndef SW_TEST_ALERT_UTIL_H
#define SW_TEST_ALERT_UTIL_H

#include <errno.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "alert.h"
#include "alert_int.h"
#include "util.h"

#define MAX_RUNS 64
#define MAX_LOGGED 8192
#define NOON 1767268800		/* 2026-01-01 12:00:00 UTC, a Thursday */

struct fixture {
	struct sw_policy p;
	struct sw_alerts *a;
	struct sw_alert_clock now;
	struct sw_map_dump uids, origins;
	size_t uid_room, origin_room;

	/* What was told. */
	int run_result;		/* of the next asks */
	struct {
		enum sw_run_kind kind;
		uint32_t id;
		char *payload;
	} run[MAX_RUNS];
	size_t n_runs;
	char *logged[MAX_LOGGED];
	size_t n_logged;
};

static int fx_run(void *data, enum sw_run_kind kind, const void *payload, size_t len, uint32_t *id)
{
	struct fixture *f = data;

	assert_true(len <= SW_RUN_MAX_PAYLOAD);
	if (f->run_result)
		return f->run_result;
	assert_true(f->n_runs < MAX_RUNS);
	f->run[f->n_runs].kind = kind;
	f->run[f->n_runs].id = *id = (uint32_t)f->n_runs + 100;
	f->run[f->n_runs].payload = strndup(payload, len);
	assert_int_equal(strlen(f->run[f->n_runs].payload), len);
	f->n_runs++;
	return 0;
}

static void fx_log(void *data, const struct sw_alert *alert)
{
	struct fixture *f = data;

	assert_true(f->n_logged < MAX_LOGGED);
	f->logged[f->n_logged++] = sw_alert_sentence(alert, true);
}

/* The domain is the title of the process. */
static inline const char *fx_domain(void *data, const struct sw_origin_key *k,
				    const struct sw_origin *o)
{
	(void)data;
	(void)k;
	return o->where.comm[0] ? o->where.comm : NULL;
}

/* Adds a rule: text only for comparison, the numbers are what counts. */
static inline void fx_rule(struct sw_policy *p, struct sw_alert_rule r, const char *text)
{
	struct sw_alert_config *c = &p->alerts;

	c->rules = reallocarray(c->rules, c->n_rules + 1, sizeof(*c->rules));
	r.text = strdup(text);
	r.line = (uint32_t)c->n_rules + 2;
	r.source = 0;
	c->rules[c->n_rules++] = r;
}

#define FX(...)			((struct sw_alert_rule){ __VA_ARGS__ })
#define SLIDING(m, n, s)	FX(.metric = SW_METRIC_##m, .period = SW_PERIOD_SLIDING, \
				   .seconds = (s), .threshold = (n))
#define HOURLY(m, n)		FX(.metric = SW_METRIC_##m, .period = SW_PERIOD_HOUR, \
				   .threshold = (n))
#define DAILY(m, n)		FX(.metric = SW_METRIC_##m, .period = SW_PERIOD_DAY, \
				   .threshold = (n))
#define FACTOR(m, x, n)		FX(.metric = SW_METRIC_##m, .period = SW_PERIOD_FACTOR, \
				   .seconds = 3600, .factor = (x) * SW_ALERT_FACTOR_ONE, \
				   .threshold = (n))

static inline void fx_policy(struct fixture *f)
{
	sw_alert_config_default(&f->p.alerts);
	f->p.sources = calloc(1, sizeof(*f->p.sources));
	f->p.sources[0] = strdup("test.conf");
	f->p.n_sources = 1;
}

static inline void fx_free_policy(struct sw_policy *p)
{
	sw_alert_config_free(&p->alerts);
	free(p->sources[0]);
	free(p->sources);
}

static inline char **fx_list(const char *one)
{
	char **list = calloc(2, sizeof(*list));

	list[0] = strdup(one);
	return list;
}

static inline void fx_start(struct fixture *f)
{
	const struct sw_alert_ops ops = {
		.data = f, .run = fx_run, .domain = fx_domain, .log = fx_log,
	};

	f->now = (struct sw_alert_clock){ .mono_ns = 1000 * NSEC_PER_SEC, .wall = NOON };
	f->uids.key_size = sizeof(struct sw_uid_key);
	f->uids.value_size = sizeof(struct sw_uid_stats);
	f->origins.key_size = sizeof(struct sw_origin_key);
	f->origins.value_size = sizeof(struct sw_origin);
	assert_int_equal(sw_alerts_new(&f->p, "host.example.com", NULL, &ops, &f->a), 0);
}

static inline void fx_stop(struct fixture *f)
{
	sw_alerts_free(f->a);
	fx_free_policy(&f->p);
	sw_map_dump_free(&f->uids);
	sw_map_dump_free(&f->origins);
	for (size_t i = 0; i < f->n_runs; i++)
		free(f->run[i].payload);
	for (size_t i = 0; i < f->n_logged; i++)
		free(f->logged[i]);
	*f = (struct fixture){};
}

static inline void fx_grow(struct sw_map_dump *d, size_t *room)
{
	if (d->n < *room)
		return;
	*room = *room ? *room * 2 : 16;
	d->keys = reallocarray(d->keys, *room, d->key_size);
	d->values = reallocarray(d->values, *room, d->value_size);
	assert_true(d->keys && d->values);
}

/* The row of an account, made when it is not there. */
static inline struct sw_uid_stats *fx_row(struct fixture *f, uint32_t uid, enum sw_row row)
{
	struct sw_uid_key key = { .uid = uid, .row = row };
	struct sw_uid_stats fresh = { .first_ns = f->now.mono_ns };

	for (size_t i = 0; i < f->uids.n; i++)
		if (!memcmp(sw_map_key(&f->uids, i), &key, sizeof(key)))
			return (void *)(f->uids.values + i * f->uids.value_size);
	fx_grow(&f->uids, &f->uid_room);
	memcpy(f->uids.keys + f->uids.n * sizeof(key), &key, sizeof(key));
	memcpy(f->uids.values + f->uids.n * sizeof(fresh), &fresh, sizeof(fresh));
	return (void *)(f->uids.values + f->uids.n++ * sizeof(fresh));
}

/* An account's counters go up. */
static inline void fx_count(struct fixture *f, uint32_t uid, enum sw_slot slot, uint64_t n)
{
	struct sw_uid_stats *s = fx_row(f, uid, SW_ROW_UID);

	s->n[slot] += n;
	s->last_ns = f->now.mono_ns;
}

/* The same in a directory, which belongs to `domain`; `n_dest` cells of its sketch, from `dest` on,
 * are set. */
static inline void fx_origin(struct fixture *f, uint32_t uid, uint64_t ino, const char *domain,
			     enum sw_slot slot, uint64_t n, int dest, int n_dest)
{
	struct sw_origin_key key = { .uid = uid, .dev = 1, .ino = ino };
	struct sw_origin fresh = { .first_ns = f->now.mono_ns }, *o = NULL;

	for (size_t i = 0; i < f->origins.n && !o; i++)
		if (!memcmp(sw_map_key(&f->origins, i), &key, sizeof(key)))
			o = (void *)(f->origins.values + i * f->origins.value_size);
	if (!o) {
		fx_grow(&f->origins, &f->origin_room);
		memcpy(f->origins.keys + f->origins.n * sizeof(key), &key, sizeof(key));
		o = (void *)(f->origins.values + f->origins.n++ * sizeof(fresh));
		snprintf(fresh.where.comm, SW_COMM_LEN, "%s", domain);
		memcpy(o, &fresh, sizeof(fresh));
	}
	for (int i = dest; i < dest + n_dest; i++)
		o->sketch[i / 64 % SW_SKETCH_WORDS] |= 1ULL << i % 64;
	o->n[slot] += n;
	o->last_ns = f->now.mono_ns;
	fx_count(f, uid, slot, n);
}

static inline void fx_sample(struct fixture *f)
{
	assert_int_equal(sw_alerts_sample(f->a, &f->now, &f->uids,
					  sw_alerts_wants_origins(f->a) ? &f->origins : NULL), 0);
}

/* Time goes on by so many seconds, with a sample each. */
static inline void fx_pass(struct fixture *f, unsigned int seconds)
{
	while (seconds--) {
		f->now.mono_ns += NSEC_PER_SEC;
		f->now.wall++;
		fx_sample(f);
	}
}

/* How many alerts there were until now. */
static inline uint64_t fx_alerts(const struct fixture *f)
{
	struct sw_alerts_state s;

	sw_alerts_state(f->a, &s);
	return s.alerts;
}

#endif
