/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "monitor_int.h"
#include "queue.h"
#include "util.h"

#define COMMAND_S	60
#define MAIL_S		60
#define AVERAGE_DAYS	7
#define QUEUE_S		60
#define MAX_TEMPLATE	65536

/* ---- What the engine of alerts wants ---- */

static int run(void *data, enum sw_run_kind kind, const void *payload, size_t len, uint32_t *id)
{
	struct sw_worker *w = data;

	return sw_runner_ask(w->runner, kind, payload, len, id);
}

static void describe(void *data, struct sw_alert *const *alerts, size_t n)
{
	struct sw_worker *w = data;

	sw_alert_kernel_describe(w->alert_kernel, alerts, n);
}

static const char *domain(void *data, const struct sw_origin_key *k, const struct sw_origin *o)
{
	struct sw_worker *w = data;

	return sw_alert_kernel_domain(w->alert_kernel, k, o);
}

static void log_alert(void *data, const struct sw_alert *alert)
{
	struct sw_worker *w = data;
	_cleanup_free_ char *line = sw_alert_sentence(alert, true);

	if (w->journal && w->policy->alerts.syslog)
		(void)sw_journal_alert(w->journal, alert);
	else if (line)
		log_warn("%s", line);
}

/* ---- From root to the loop ---- */

int sw_worker_tell_prepare(struct sw_worker *w)
{
	static const char *const sendmail[] = { "/usr/sbin/sendmail", "-t", "-i", NULL };
	const struct sw_alert_config *c = &w->policy->alerts;
	int r = 0;

	if (c->command)
		r = sw_worker_may_run(w, SW_RUN_COMMAND, (const char *const *)c->command, COMMAND_S, false);
	if (!r && c->mail)	/* it delivers in the background */
		r = sw_worker_may_run(w, SW_RUN_MAIL, sendmail, MAIL_S, true);
	return r;
}

/* malloc'd; NULL after a warning. */
static char *read_template(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *text = calloc(1, MAX_TEMPLATE + 1);
	struct stat st;
	ssize_t n = -1;

	if (fd >= 0 && text && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= MAX_TEMPLATE)
		n = read(fd, text, MAX_TEMPLATE);
	if (n >= 0)
		return TAKE_PTR(text);
	log_warn("cannot read mail_template %s; alerts are sent with the built-in text", path);
	return NULL;
}

int sw_worker_tell_open(struct sw_worker *w)
{
	const struct sw_alert_config *c = &w->policy->alerts;
	const struct sw_alert_ops ops = { .data = w, .run = run, .describe = describe,
					  .domain = domain, .log = log_alert };
	_cleanup_free_ char *templ = NULL;
	char host[256] = "localhost";
	int r = 0;

	if (c->syslog || c->csf_log)
		r = sw_journal_open(NULL, NULL, &w->journal);
	if (r < 0)
		log_warn("cannot write to the system's log: %s", strerror(-r));
	if (!c->n_rules)
		return 0;
	(void)gethostname(host, sizeof(host) - 1);
	if (c->mail_template)
		templ = read_template(c->mail_template);
	r = sw_alert_kernel_new(&w->live, w->domains, &w->alert_kernel);
	if (!r)
		r = sw_alerts_new(w->policy, host, templ, &ops, &w->alerts);
	if (!r)
		r = sw_alert_kernel_sample(w->alert_kernel, w->alerts);	/* counting begins here */
	return r < 0 ? log_err(r, "cannot watch for alerts") : 0;
}

void sw_worker_tell_event(struct sw_worker *w, const struct sw_event_view *v)
{
	if (w->journal && w->policy->alerts.syslog)
		(void)sw_journal_event(w->journal, v);
	if (w->journal && w->policy->alerts.csf_log)
		(void)sw_journal_csf(w->journal, v);
	if (w->alerts)
		sw_alerts_event(w->alerts, v);
}

static void learn_averages(struct sw_worker *w)
{
	sw_alerts_averages_begin(w->alerts);
	sw_alerts_averages_end(w->alerts, sw_history_averages(w->history, AVERAGE_DAYS, time(NULL),
							      sw_alerts_average, w->alerts) == 0);
}

static bool watches_queue(const struct sw_worker *w)
{
	const struct sw_alert_config *c = &w->policy->alerts;

	for (size_t i = 0; i < c->n_rules; i++)
		if (c->rules[i].metric == SW_METRIC_QUEUE)
			return true;
	return false;
}

static void look_at_queue(struct sw_worker *w)
{
	const struct sw_queue_config all = {};
	uint64_t n[_SW_QUEUE_MTA_MAX], sum = 0;
	struct sw_alert_clock now;

	if (sw_queue_count(&all, n) < 0)
		return;
	for (int i = 0; i < _SW_QUEUE_MTA_MAX; i++)
		sum += n[i];
	sw_alert_clock_now(&now);
	sw_alerts_gauge(w->alerts, &now, SW_METRIC_QUEUE, sum);
}

void sw_worker_tell_second(struct sw_worker *w)
{
	struct sw_alerts_state s;

	if (!w->alerts)
		return;
	if (w->history && sw_alerts_wants_averages(w->alerts))
		learn_averages(w);
	(void)sw_alert_kernel_sample(w->alert_kernel, w->alerts);
	if (w->second % QUEUE_S == 1 && watches_queue(w))
		look_at_queue(w);
	sw_alerts_state(w->alerts, &s);
	w->health.alerts_sent = s.command.sent + s.mail.sent;
	w->health.alerts_failed = s.command.failed + s.mail.failed;
	w->health.alerts_held = s.suppressed;
}

void sw_worker_tell_answer(struct sw_worker *w, uint32_t id, int status)
{
	struct sw_alert_clock now;

	if (!w->alerts)
		return;
	sw_alert_clock_now(&now);
	sw_alerts_result(w->alerts, &now, id, status);
}

bool sw_worker_tell_error(const struct sw_worker *w, char *ret, size_t size)
{
	const struct sw_alerts_sink_state *sink;
	struct sw_alerts_state s;

	if (!w->alerts)
		return false;
	sw_alerts_state(w->alerts, &s);
	sink = s.mail.last_failure > s.command.last_failure ? &s.mail : &s.command;
	if (!sink->last_failure || (!sink->waiting && sink->last_failure < time(NULL) - 86400))
		return false;
	snprintf(ret, size, "the alert %s failed: %s %d", sink == &s.mail ? "mail" : "command",
		 sink->last_status < 0 ? strerror(-sink->last_status) : "exit status",
		 sink->last_status);
	return true;
}

void sw_worker_tell_close(struct sw_worker *w)
{
	sw_alerts_free(w->alerts);
	sw_alert_kernel_free(w->alert_kernel);
	sw_journal_close(w->journal);
}
