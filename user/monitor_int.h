/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker of the monitor, one part a file: what it follows (monitor_follow.c), and what it shows
 * (monitor_show.c) remembers (monitor_record.c) and tells (monitor_tell.c). Nothing else includes
 * this. */
#ifndef SW_MONITOR_INT_H
#define SW_MONITOR_INT_H

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "alert.h"
#include "control.h"
#include "domains.h"
#include "feed.h"
#include "history.h"
#include "http.h"
#include "journal.h"
#include "live.h"
#include "metrics.h"
#include "monitor.h"
#include "runner.h"

struct sw_worker {
	const struct sw_monitor_config *config;
	const struct sw_policy *policy;
	struct sw_live live;
	struct sw_control *control;
	bool idle;			/* nothing is in force: only that is shown */
	char *control_pin;		/* idle: what is there once something is in force */
	uint32_t applied, reopen;	/* of the control page when we opened */
	int orders;			/* from the supervisor, see monitor.h */
	int lock_fd;			/* -1: another process reads the events */
	struct sw_feed *feed;
	struct sw_domains *domains;
	struct sw_runner *runner;
	struct sw_runner_config run;
	const char **argv[_SW_RUN_MAX];	/* of `run` */
	sd_event *event;
	int address_fd;
	uint64_t second;		/* how many have passed */
	uint64_t refresh_at;		/* in these */
	bool refreshing, refresh_failed;
	struct sw_http *http;
	bool writing_textfile, textfile_failed;
	struct sw_metrics_monitor health;
	struct sw_history *history;	/* NULL: none wanted, or it cannot be written now */
	int record_error;		/* what was said last; 0: it works */
	uint64_t roll_at;		/* in seconds */
	struct sw_alerts *alerts;	/* NULL: there are no rules */
	struct sw_alert_kernel *alert_kernel;
	uint64_t alerts_kept;		/* alerts up to which it is written what was told */
	struct sw_journal *journal;	/* NULL: not wanted */
};

/* Lets the runner run `argv`, whose texts have to stay; before it starts. `leave`: what it leaves in
 * the background goes on. 0 or -ENOMEM. */
int sw_worker_may_run(struct sw_worker *w, enum sw_run_kind kind, const char *const *argv,
		      int timeout_s, bool leave);

/* Ends the loop. */
int sw_worker_finish(struct sw_worker *w, enum sw_monitor_end end);

/* ---- monitor_follow.c: what has to be kept up to date ---- */

/* Opens what it needs, as root. 0, or -errno after one error. */
int sw_worker_follow_open(struct sw_worker *w);

/* Begins, in the loop. 0 or -errno. */
int sw_worker_follow_start(struct sw_worker *w);
void sw_worker_follow_second(struct sw_worker *w);

/* Stores this machine's addresses for the generation in force. */
void sw_worker_follow_addresses(struct sw_worker *w);

/* The runner has answered a request for a refresh. */
void sw_worker_follow_answer(struct sw_worker *w, int status);

/* ---- monitor_record.c: the history ---- */

/* As root: makes room for it. What goes wrong is a warning, here and later. */
void sw_worker_record_open(struct sw_worker *w);

/* As the user that writes it. */
void sw_worker_record_start(struct sw_worker *w);
void sw_worker_record_event(struct sw_worker *w, const struct sw_event_view *v);
void sw_worker_record_second(struct sw_worker *w);

/* What was counted up to `s`, at once. 0 or -errno. */
int sw_worker_record_stats(struct sw_worker *w, const struct sw_stats *s);

/* Writes what is not written yet. */
void sw_worker_record_close(struct sw_worker *w);

/* ---- monitor_tell.c: alerts and the system's log ---- */

/* What the runner has to be able to do; before it starts. 0 or -ENOMEM. */
int sw_worker_tell_prepare(struct sw_worker *w);

/* 0, or -errno after one error. */
int sw_worker_tell_open(struct sw_worker *w);

/* Begins to count, with what the history has of this hour and day; after sw_worker_record_start(). */
void sw_worker_tell_start(struct sw_worker *w);
void sw_worker_tell_event(struct sw_worker *w, const struct sw_event_view *v);
void sw_worker_tell_second(struct sw_worker *w);
void sw_worker_tell_answer(struct sw_worker *w, uint32_t id, int status);

/* Whether nobody could be told lately, and why, as a sentence. */
bool sw_worker_tell_error(const struct sw_worker *w, char *ret, size_t size);
void sw_worker_tell_close(struct sw_worker *w);

/* ---- monitor_show.c: metrics ---- */

/* Listens where the configuration says; what cannot be had is a warning. */
void sw_worker_show_open(struct sw_worker *w);
int sw_worker_show_start(struct sw_worker *w);
void sw_worker_show_second(struct sw_worker *w);
void sw_worker_show_answer(struct sw_worker *w, int status);

#endif
