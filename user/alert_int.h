/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the alerts: windows (alert_window.c), tables (alert_table.c,
 * alert_subject.c), origins (alert_origin.c), who did it (alert_where.c), rules (alert_rule.c), over a restart (alert_seed.c),
 * sinks (alert_sink.c), text (alert_text.c, alert_mail.c). Nothing else includes this. */
#ifndef SW_ALERT_INT_H
#define SW_ALERT_INT_H

#include "alert.h"

#define NSEC_PER_SEC	1000000000ULL

/* ---- How much in a period: alert_window.c ---- */

#define SW_RING_BUCKETS	61	/* a sixtieth of the period each, and the one being filled */

/* A period that moves with time, of at least its length and at most a sixtieth more. */
struct sw_ring {
	uint64_t tick;		/* of the bucket being filled */
	int32_t n[SW_RING_BUCKETS];
};

struct sw_window {
	uint64_t cool_until_ns;	/* no alert before */
	int64_t count;		/* in the period */
	struct sw_ring *ring;	/* sliding periods, once something was counted */
	uint32_t index;		/* of the calendar window that `count` is of */
	uint32_t fired;		/* that had its alert, + 1; SW_PERIOD_LEVEL: 1 while it stays up */
	bool due;		/* an alert that did not fit in its sample */
};

/* Where a sample is in both kinds of time. */
struct sw_moment {
	uint64_t mono_ns;
	time_t wall;
	uint32_t hour;		/* of local time since 1970 */
	long offset_s;		/* local time - UTC */
};

void sw_moment_set(struct sw_moment *m, const struct sw_alert_clock *now);

/* Moves the window of `r` to `m`: forgets what is no longer in the period. */
void sw_window_move(struct sw_window *w, const struct sw_alert_rule *r, const struct sw_moment *m);

/* Adds, in the moment that it was moved to. False: no memory for the ring. */
bool sw_window_add(struct sw_window *w, const struct sw_alert_rule *r, int64_t n);

/* Whether forgetting it would change nothing. It has to be moved. */
bool sw_window_is_idle(const struct sw_window *w, const struct sw_moment *m);

/* When the period that ends now began. */
time_t sw_window_since(const struct sw_alert_rule *r, const struct sw_moment *m);

/* ---- Counters and who is watched: alert_table.c, alert_subject.c ---- */

static inline uint64_t sw_mix(uint64_t h)
{
	h *= 0x9e3779b97f4a7c15ULL;
	return h ^ h >> 32;
}

/* Counters of a row as they were last seen. */
struct sw_base {
	uint64_t key;
	uint64_t first_ns;	/* of the row: another one is another row */
	uint64_t n[_SW_N_MAX];
	uint64_t sketch[SW_SKETCH_WORDS];
	uint32_t epoch;		/* of the full pass that saw it */
	uint32_t domain;	/* of an origin: index of its name + 1; 0: none */
};

struct sw_bases {
	struct sw_base *row;
	size_t n, room;
	uint32_t *index;	/* positions + 1; 0: free */
	size_t n_index;		/* a power of two, at least twice `n` */
};

/* The row of `key`, made when it is not there (all zero but the key, *fresh). NULL: no memory. */
struct sw_base *sw_bases_get(struct sw_bases *b, uint64_t key, bool *fresh);

/* Forgets rows that the pass `epoch` did not see. */
void sw_bases_prune(struct sw_bases *b, uint32_t epoch);
void sw_bases_free(struct sw_bases *b);

/* An account, a domain, or the server: whatever rules are about. */
struct sw_subject {
	struct sw_subject *next;
	enum sw_alert_scope scope;
	uint32_t uid;		/* SW_SCOPE_ACCOUNT; of a domain: who moved last */
	uint32_t hash;
	char *domain;
	struct sw_window w[];	/* one a rule of this scope, in their order */
};

#define SW_SUBJECT_BUCKETS	16384
#define SW_SUBJECT_BYTES	(24 << 20)	/* of all windows together */
#define SW_FIRE_MAX		500		/* alerts of one sample; the others wait for the next */
#define SW_HINTS		1024

struct sw_hint;

/* ---- Telling: alert_sink.c ---- */

#define SW_QUEUE_MAX	4096
#define SW_RUN_BYTES	(200 * 1024)	/* of the alerts in one run */

struct sw_sink {
	enum sw_run_kind kind;
	struct sw_alert **queue;	/* malloc'd, SW_QUEUE_MAX */
	size_t n;
	uint64_t dropped_now;	/* since the last message: it says so */
	uint64_t next_ns;	/* end of the digest */
	char *payload;		/* being told; NULL: nothing is */
	size_t len;
	size_t n_payload;	/* alerts in it */
	bool running;		/* and `id` is the answer that is waited for */
	uint32_t id;
	unsigned int tries;
	uint64_t since_ns;	/* when it was made, or asked for while running */
	uint64_t retry_ns;
	struct sw_alerts_sink_state state;
};

struct sw_average {
	uint32_t uid;
	float n[_SW_N_MAX];
};

struct sw_alerts {
	struct sw_alert_config config;
	char **places;		/* of the rules: "file:line" */
	size_t slot_of[SW_ALERT_RULES_MAX];	/* of each rule in sw_subject.w */
	size_t n_scope[_SW_SCOPE_MAX];		/* rules of each scope */
	bool need_origins, need_sketch, need_averages;
	uint32_t metrics;	/* bits of those that rules are about */
	char *host, *templ;
	struct sw_alert_ops ops;

	struct sw_moment now;
	time_t started;		/* the first sample's time */
	bool seeded;		/* calendar windows are whole */
	bool primed, origins_primed, moved;
	uint64_t last_ns;	/* of the last sample */
	uint64_t full_ns;	/* of the last full pass */
	uint32_t epoch;
	struct sw_bases accounts, origins;
	char **domains;		/* names that origins belong to */
	size_t n_domains;
	uint64_t domains_ns;	/* when they were asked for */

	struct sw_subject *bucket[SW_SUBJECT_BUCKETS];
	size_t n_subjects, bytes, n_due;
	bool gauge_known;
	uint64_t gauge;

	struct sw_average *average, *fresh;	/* ordered by UID */
	size_t n_average, n_fresh, fresh_room;
	double server_average[_SW_N_MAX];
	bool have_averages, averages_bad;

	struct sw_hint **hints;	/* SW_HINTS, by UID */
	struct sw_alert *fired[SW_FIRE_MAX];
	size_t n_fired;
	struct sw_sink command, mail;
	uint64_t serial;	/* of mails */
	uint64_t n_alerts, suppressed, uncounted, unlogged;
	time_t last_alert;
};

/* When the rule may fire again at the latest, in seconds: its own period is a cool-down too. */
uint32_t sw_alerts_cooldown(const struct sw_alerts *a, const struct sw_alert_rule *r);

/* The subject, made when it is not there; NULL: no room, which is counted. */
struct sw_subject *sw_subject_get(struct sw_alerts *a, enum sw_alert_scope scope, uint32_t uid,
				  const char *domain);

/* Forgets subjects that nothing is known about any more. */
void sw_subjects_sweep(struct sw_alerts *a);
void sw_subjects_free(struct sw_alerts *a);

/* After a change of rules: makes the rings that are missing, reckons a->bytes anew. */
void sw_subjects_measure(struct sw_alerts *a);

/* Gives every subject the windows of the rules of `c`: those that are in both keep theirs. 0 or
 * -ENOMEM, then nothing has changed. */
int sw_subjects_remap(struct sw_alerts *a, const struct sw_alert_config *c,
		      const size_t slot_of[SW_ALERT_RULES_MAX],
		      const size_t n_scope[_SW_SCOPE_MAX]);

/* Adds to every rule of `metric` and this subject, and fires those that are reached. */
void sw_alerts_count(struct sw_alerts *a, enum sw_alert_scope scope, uint32_t uid,
		     const char *domain, enum sw_alert_metric metric, int64_t n);

/* The alert of a window that was reached, unless it was told. */
void sw_alerts_judge_calendar(struct sw_alerts *a, struct sw_subject *s, size_t i);

/* Those that had to wait. */
void sw_alerts_fire_due(struct sw_alerts *a);

/* What is new in sw_origins: alert_origin.c. 0, -ENOMEM, -EINVAL. */
int sw_alerts_count_origins(struct sw_alerts *a, const struct sw_map_dump *d);
void sw_alerts_forget_domains(struct sw_alerts *a);

/* The average an hour of what `r` counts. */
double sw_alerts_usual(const struct sw_alerts *a, const struct sw_alert_rule *r, uint32_t uid);

/* From what events told: alert_where.c. */
void sw_alerts_hint(const struct sw_alerts *a, const struct sw_subject *s, struct sw_alert *alert);
void sw_alerts_free_hints(struct sw_alerts *a);

void sw_alert_ref(struct sw_alert *alert);
void sw_alert_unref(struct sw_alert *alert);

void sw_sink_init(struct sw_sink *s, enum sw_run_kind kind);
void sw_sink_free(struct sw_sink *s);
void sw_sink_put(struct sw_sink *s, struct sw_alert *alert);

/* Hands out what is due. */
void sw_sinks_run(struct sw_alerts *a);

/* The standard input of a run, from the first alerts of `list`; *taken: how many went into it.
 * `dropped`: that never found room. malloc'd, NULL without memory. */
char *sw_alert_command_input(const struct sw_alerts *a, struct sw_alert *const *list, size_t n,
			     uint64_t dropped, size_t *len, size_t *taken);
char *sw_alert_mail(struct sw_alerts *a, struct sw_alert *const *list, size_t n, uint64_t dropped,
		    size_t *len);

/* Text for one line of a mail: escaped UTF-8, "-" where there is none; malloc'd, NULL: no memory. */
char *sw_alert_line(const char *text);

/* "denied connects", and "in the last 10 min", "this hour", ... */
const char *sw_alert_what(const struct sw_alert *a);
const char *sw_alert_period_text(const struct sw_alert *a, char *buf, size_t len);

/* Writes `templ` for `a`: its header lines (only Subject, From and To count) into those that are
 * not NULL, its body into `body`. alert_template.c. 0 or -ENOMEM. */
struct sw_template_headers {
	char *subject, *from, *to;	/* malloc'd, one line; NULL: not in it */
};
int sw_alert_template(const char *templ, const char *host, const struct sw_alert *a,
		      struct sw_template_headers *headers, FILE *body);

#endif
