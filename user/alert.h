/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Alerts: whether what the kernel counts reaches a rule of [alerts], and telling it once.
 *
 * Nothing here waits or asks for the time: the caller samples the counters about once a second and
 * says what time it is. Lengths of time are those of CLOCK_MONOTONIC; only the hours and days of
 * rules are local time. Only accounts that did something lately take memory beyond a copy of
 * their counters, and everything is bounded; what did not fit is counted.
 *
 * Counting begins with the first sample. What the hour and the day had before it, and what was told
 * before, can be said afterwards: sw_alerts_seed(), sw_alerts_recall().
 */
#ifndef SW_ALERT_H
#define SW_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "alert_config.h"
#include "domains.h"
#include "feed.h"
#include "live.h"
#include "mapread.h"
#include "policy.h"
#include "runner.h"
#include "smtpwall_abi.h"

struct sw_alert_clock {
	uint64_t mono_ns;	/* CLOCK_MONOTONIC */
	time_t wall;		/* CLOCK_REALTIME */
};

/* Both of this moment. */
void sw_alert_clock_now(struct sw_alert_clock *ret);

/* Whose doing it is. Texts are malloc'd and untrusted bytes: escape them. NULL: not known. */
struct sw_alert_where {
	bool is_uid;
	uint32_t uid;
	char *user;		/* login of the UID */
	char *domain;
	char *source;		/* how the domain was found, as in reports */
	char *account;		/* login of the domain's owner */
	size_t others;		/* further sites of the account: `domain` is a guess then */
	char *directory, *script, *container;
	char *destination;	/* the last one, with its port */
	unsigned int destinations;	/* distinct ones since counting began; 0: not known */
	time_t first, last;	/* attempts of the account since counting began; 0: not known */
};

/* One alert. */
struct sw_alert {
	unsigned int refs;
	enum sw_alert_metric metric;
	enum sw_alert_scope scope;
	enum sw_alert_period period;
	uint32_t seconds;	/* of the period; 0: SW_PERIOD_LEVEL */
	uint64_t count;		/* in the period */
	uint64_t threshold;	/* that made the alert */
	double average;		/* an hour, SW_PERIOD_FACTOR only */
	uint32_t factor;	/* the same, in hundredths */
	char *rule;		/* in its canonical form */
	char *place;		/* file:line of the rule */
	time_t time, since;	/* of the alert; when the period began */
	struct sw_alert_where where;
};

struct sw_alert_ops {
	void *data;	/* handed to all of them */

	/* sw_runner_ask(): never waits, 0 and *id or -errno. */
	int (*run)(void *data, enum sw_run_kind kind, const void *payload, size_t len, uint32_t *id);

	/* Fills in what is NULL or 0 in `where` of each; once a sample at most. May be NULL. */
	void (*describe)(void *data, struct sw_alert *const *alerts, size_t n);

	/* The domain of an origin, good until the next call; NULL: not known. May be NULL. */
	const char *(*domain)(void *data, const struct sw_origin_key *k, const struct sw_origin *o);

	/* Each alert, at once: for the journal. May be NULL. */
	void (*log)(void *data, const struct sw_alert *alert);
};

struct sw_alerts;

/* Takes over rules and sinks of `p`, which is not referred to afterwards. `host`: the machine's
 * name. `templ`: text of mail_template, NULL for the built-in one. 0 or -ENOMEM. */
int sw_alerts_new(const struct sw_policy *p, const char *host, const char *templ,
		  const struct sw_alert_ops *ops, struct sw_alerts **ret);
void sw_alerts_free(struct sw_alerts *a);

/* Takes new ones. Rules that are in both keep what they counted and their cool-downs; alerts that
 * wait are still told. 0; -ENOMEM, then everything is as before. */
int sw_alerts_set_policy(struct sw_alerts *a, const struct sw_policy *p, const char *templ);

/*
 * Counts what is new in `uids` (sw_uid_stats) and `origins` (sw_origins), each of which may be
 * NULL, makes alerts, and hands out what is due. 0; -ENOMEM when something was not counted;
 * -EINVAL when a table has another layout.
 */
int sw_alerts_sample(struct sw_alerts *a, const struct sw_alert_clock *now,
		     const struct sw_map_dump *uids, const struct sw_map_dump *origins);

/* Whether the next sample should have sw_origins: a rule needs it, and some account has moved
 * since it was last seen. */
bool sw_alerts_wants_origins(const struct sw_alerts *a);

/* What is no counter but a height: SW_METRIC_QUEUE, the length of the mail queue. The first value
 * is where growth begins. */
void sw_alerts_gauge(struct sw_alerts *a, const struct sw_alert_clock *now,
		     enum sw_alert_metric metric, uint64_t value);

/* Remembers who an account was when it was last seen: a bounded number of accounts. */
void sw_alerts_event(struct sw_alerts *a, const struct sw_event_view *v);

/* When the hour or day of local time that runs in the last sample began; 0: no rule is about one. */
time_t sw_alerts_seed_since(const struct sw_alerts *a, enum sw_alert_period period);

/*
 * After the first sample: adds what was counted before it in the hour or day that runs, of an account
 * (SW_SCOPE_ACCOUNT: also of what is no account's, which has no `uid` but the server's sum), or of a
 * domain. sw_alerts_seeded() when that was all: what is reached by now, and was not told, is told with
 * the next sample.
 */
struct sw_alerts_seed {
	enum sw_alert_period period;
	enum sw_alert_scope scope;	/* not SW_SCOPE_SERVER */
	bool is_uid;
	uint32_t uid;
	const char *domain;		/* SW_SCOPE_DOMAIN */
	const uint64_t *n;		/* _SW_N_MAX of them */
};

void sw_alerts_seed(struct sw_alerts *a, const struct sw_alerts_seed *seed);
void sw_alerts_seeded(struct sw_alerts *a);

/*
 * What was told and may not be told again yet, as text to be kept; malloc'd, NULL without memory. And
 * the way back, after the first sample: rules that are not there any more are left out, and nothing
 * is held for longer than the rule itself would. 0, -EBADMSG, -ENOMEM.
 */
char *sw_alerts_remember(const struct sw_alerts *a);
int sw_alerts_recall(struct sw_alerts *a, const char *text);

/*
 * The averages an hour that factors multiply, about once an hour: begin, then each account, then
 * end. sw_alerts_average() is made for sw_history_averages(). With `good` false the earlier ones
 * stay. Until there are any, rules with a factor are silent; an account without one has 0.
 */
bool sw_alerts_wants_averages(const struct sw_alerts *a);
void sw_alerts_averages_begin(struct sw_alerts *a);
int sw_alerts_average(void *alerts, uint32_t uid, const double n[_SW_N_MAX]);
void sw_alerts_averages_end(struct sw_alerts *a, bool good);

/* The end of a run that was asked for: what sw_runner_take() said. Other ids are ignored. */
void sw_alerts_result(struct sw_alerts *a, const struct sw_alert_clock *now, uint32_t id,
		      int status);

/* ---- For status ---- */

struct sw_alerts_sink_state {
	bool configured;
	uint64_t sent, failed;	/* runs: good ones; those that were given up */
	uint64_t retried;
	uint64_t lost;		/* alerts in runs that were given up */
	uint64_t dropped;	/* alerts that found no room in the queue */
	size_t waiting;		/* alerts */
	int last_status;	/* of the last failure: exit status, or -errno; 0: there was none */
	time_t last_failure;	/* 0: never */
};

struct sw_alerts_state {
	uint64_t alerts;	/* that were made */
	uint64_t suppressed;	/* samples that found a rule reached again before it may be told */
	uint64_t uncounted;	/* accounts or domains that found no room: not watched */
	uint64_t unlogged;	/* alerts that were too many at once for the journal */
	size_t rules;
	size_t subjects;	/* accounts and domains with something in a window */
	size_t bytes;		/* memory of windows */
	time_t last_alert;	/* 0: never */
	struct sw_alerts_sink_state command, mail;
};

void sw_alerts_state(const struct sw_alerts *a, struct sw_alerts_state *ret);

/* ---- An alert as text ---- */

/* One line for people, the domain first; escaped, malloc'd. NULL without memory. */
char *sw_alert_sentence(const struct sw_alert *a, bool utf8);

/* What to do next: up to `max` commands and hints for a terminal, malloc'd. The number. */
size_t sw_alert_next_steps(const struct sw_alert *a, char **ret, size_t max);

/* As in smtpwall(8). NULL without memory; json_object_put() it. */
struct json_object *sw_alert_json(const struct sw_alert *a);

void sw_alert_where_free(struct sw_alert_where *w);

/* ---- The kernel's side (alert_kernel.c) ---- */

struct sw_alert_kernel;

/* Reads the tables of `l` for samples. Both have to live as long; `d` may be NULL. 0 or -ENOMEM. */
int sw_alert_kernel_new(const struct sw_live *l, struct sw_domains *d,
			struct sw_alert_kernel **ret);
void sw_alert_kernel_free(struct sw_alert_kernel *k);

/* After `l` was opened again, or there is another `d`. */
void sw_alert_kernel_set(struct sw_alert_kernel *k, const struct sw_live *l, struct sw_domains *d);

/* Reads and samples. Origins are read as seldom as their size asks for: at most a fiftieth of the
 * time goes into it. 0 or -errno. */
int sw_alert_kernel_sample(struct sw_alert_kernel *k, struct sw_alerts *a);

/* `domain` and `describe` of struct sw_alert_ops, with a struct sw_alert_kernel as data. */
const char *sw_alert_kernel_domain(void *kernel, const struct sw_origin_key *k,
				   const struct sw_origin *o);
void sw_alert_kernel_describe(void *kernel, struct sw_alert *const *alerts, size_t n);

#endif
