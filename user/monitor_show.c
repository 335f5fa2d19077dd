/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "log.h"
#include "monitor_int.h"
#include "monitor_state.h"
#include "stats.h"
#include "util.h"

#define TEXTFILE_S	15	/* between two versions of the node exporter's file */

static int make_text(void *data, char **text, size_t *len)
{
	struct sw_worker *w = data;
	struct sw_stats stats = {};
	struct sw_metrics m = { .live = &w->live, .stats = &stats, .domains = w->domains,
				.monitor = &w->health, .top = w->policy->metrics_top };
	int r = w->live.exists ? sw_stats_read(&w->live, &stats) : 0;

	if (r < 0)
		return r;
	w->health.scrapes = w->http ? sw_http_scrapes(w->http) : 0;
	if (w->domains)
		r = sw_domains_refresh(w->domains);
	if (!r)
		r = sw_metrics_text(&m, text, len);
	sw_stats_free(&stats);
	return r;
}

static int on_http(sd_event_source *s, int fd, uint32_t events, void *data)
{
	struct sw_worker *w = data;
	int r = sw_http_run(w->http);

	(void)fd;
	(void)events;
	if (r < 0) {
		log_warn("metrics are not served any more: %s", strerror(-r));
		sd_event_source_set_enabled(s, SD_EVENT_OFF);
	}
	return 0;
}

void sw_worker_show_open(struct sw_worker *w)
{
	const char *listen = w->policy->metrics_listen;
	int r = listen ? sw_http_new(listen, make_text, w, &w->http) : 0;

	if (r < 0)
		log_warn("cannot serve metrics at %s: %s; nothing else depends on it", listen,
			 strerror(-r));
}

int sw_worker_show_start(struct sw_worker *w)
{
	int r = 0;

	w->health.started = time(NULL);
	if (w->http)
		r = sd_event_add_io(w->event, NULL, sw_http_fd(w->http), EPOLLIN, on_http, w);
	return r < 0 ? r : 0;
}

/* The directory is root's: the runner writes it. */
static int write_textfile(struct sw_worker *w)
{
	_cleanup_free_ char *text = NULL;
	uint32_t id;
	size_t len;
	int r = make_text(w, &text, &len);

	return r < 0 ? r : sw_runner_ask(w->runner, SW_RUN_TEXTFILE, text, len, &id);
}

/* For status, which is told once when it cannot be told. */
static void write_state(struct sw_worker *w)
{
	struct sw_monitor_state s = { .pid = getpid(), .updated = time(NULL), .health = w->health };

	if (w->record_error)
		snprintf(s.error, sizeof(s.error), "the history cannot be written: %s",
			 strerror(-w->record_error));
	else if (w->refresh_failed)
		snprintf(s.error, sizeof(s.error), "the policy in force cannot be brought up to date: "
			 "'smtpwall apply --refresh' says why");
	else if (w->textfile_failed)
		snprintf(s.error, sizeof(s.error), "the metrics cannot be written to %s",
			 w->policy->metrics_textfile);
	else
		(void)sw_worker_tell_error(w, s.error, sizeof(s.error));
	(void)sw_monitor_state_write(w->config->o->state_dir, &s);
}

void sw_worker_show_second(struct sw_worker *w)
{
	if (w->second % SW_MONITOR_STATE_EVERY == 1)
		write_state(w);
	if (!w->policy->metrics_textfile || w->writing_textfile || w->second % TEXTFILE_S != 1)
		return;
	w->writing_textfile = write_textfile(w) == 0;
	if (!w->writing_textfile)
		sw_worker_show_answer(w, -1);
}

/* Said once when it begins to fail. */
void sw_worker_show_answer(struct sw_worker *w, int status)
{
	w->writing_textfile = false;
	if (status && !w->textfile_failed)
		log_warn("cannot write the metrics to %s; nothing else depends on it",
			 w->policy->metrics_textfile);
	w->textfile_failed = status != 0;
}
