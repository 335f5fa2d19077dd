/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "monitor_int.h"
#include "stats.h"
#include "util.h"

#define FLUSH_S		2	/* between two writes of events */
#define ROLL_S		10	/* between two readings of the counters into the history */
#define ROLL_SHARE	50	/* or so many times what the last one took */
#define TRIM_S		60
#define AGAIN_S		30	/* after it could not be written */

static bool wanted(const struct sw_worker *w)
{
	return w->policy->history_days > 0;
}

/* Said once when it begins to fail, and once when it works again. */
static void note(struct sw_worker *w, int r)
{
	if (r < 0 && r != w->record_error)
		log_warn("cannot write the history in %s: %s%s; the kernel goes on counting, and nothing is "
			 "lost meanwhile", w->config->o->state_dir, strerror(-r), sw_history_hint(r));
	else if (!r && w->record_error)
		log_info("the history is written again");
	w->record_error = r;
}

void sw_worker_record_open(struct sw_worker *w)
{
	note(w, sw_history_prepare(w->config->o->state_dir, w->config->uid, w->config->gid));
}

static void open_history(struct sw_worker *w)
{
	const struct sw_history_limits limits = { w->policy->history_days, w->policy->history_events };

	note(w, sw_history_open(w->config->o->state_dir, &limits, &w->history));
}

void sw_worker_record_start(struct sw_worker *w)
{
	if (wanted(w))
		open_history(w);
	w->roll_at = 1;	/* what was counted while nobody looked */
}

void sw_worker_record_event(struct sw_worker *w, const struct sw_event_view *v)
{
	if (w->history)
		(void)sw_history_event(w->history, v);
}

int sw_worker_record_stats(struct sw_worker *w, const struct sw_stats *s)
{
	int r = w->domains ? sw_domains_refresh(w->domains) : 0;

	return r ?: sw_history_roll(w->history, &w->live, s, w->domains);
}

static int roll(struct sw_worker *w)
{
	struct sw_stats stats;
	int r = sw_stats_read(&w->live, &stats);

	if (r < 0)
		return r;
	r = sw_worker_record_stats(w, &stats);
	sw_stats_free(&stats);
	return r;
}

/* A large machine is not read so often that reading becomes its work. */
static void roll_and_plan(struct sw_worker *w)
{
	struct timespec a, b;
	uint64_t took_ms;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &a);
	r = roll(w);
	clock_gettime(CLOCK_MONOTONIC, &b);
	took_ms = (uint64_t)(b.tv_sec - a.tv_sec) * 1000 + (uint64_t)((b.tv_nsec - a.tv_nsec) / 1000000);
	w->roll_at = w->second + ROLL_S + took_ms * ROLL_SHARE / 1000;
	note(w, r);
	if (r < 0) {
		w->health.rolls_failed++;
		w->roll_at = w->second + AGAIN_S;
		return;
	}
	w->health.rolls++;
	w->health.rolled = time(NULL);
}

static uint64_t size_of(const struct sw_worker *w, const char *suffix)
{
	_cleanup_free_ char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s/%s/%s%s", w->config->o->state_dir, SW_HISTORY_DIR, SW_HISTORY_FILE,
		     suffix) < 0) {
		path = NULL;
		return 0;
	}
	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void sw_worker_record_second(struct sw_worker *w)
{
	int r = 0;

	if (!wanted(w))
		return;
	if (!w->history && w->second % AGAIN_S == 0)
		open_history(w);
	if (!w->history)
		return;
	if (w->second >= w->roll_at)
		roll_and_plan(w);
	else if (w->second % FLUSH_S == 0)
		r = sw_history_flush(w->history);
	if (!r && w->second % TRIM_S == 0) {
		r = sw_history_trim(w->history, time(NULL));
		w->health.history_bytes = size_of(w, "") + size_of(w, "-wal");
	}
	if (r < 0)
		note(w, r);
}

void sw_worker_record_close(struct sw_worker *w)
{
	if (!w->history)
		return;
	if (w->live.exists)
		note(w, roll(w));
	sw_history_close(w->history);
	w->history = NULL;
}
