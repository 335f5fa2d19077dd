/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "log.h"
#include "monitor_int.h"
#include "monitor_state.h"
#include "queue.h"
#include "stats.h"
#include "util.h"

#define COMMAND_S	60
#define MAIL_S		60
#define AVERAGE_DAYS	7
#define QUEUE_S		60
#define MAX_TEMPLATE	65536
#define TOLD_FILE	"alerts.json"	/* beside the history */

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
	return r < 0 ? log_err(r, "cannot watch for alerts") : 0;
}

/* ---- Over a restart ---- */

struct seeding {
	struct sw_worker *w;
	enum sw_alert_period period;
};

static void seed(void *data, const struct sw_history_count *c)
{
	const struct seeding *x = data;
	const struct sw_alerts_seed s = {
		.period = x->period, .scope = c->is_origin ? SW_SCOPE_DOMAIN : SW_SCOPE_ACCOUNT,
		.is_uid = c->row == SW_ROW_UID || c->row == SW_ROW_MORE, .uid = c->uid,
		.domain = c->domain, .n = c->n,
	};

	if (!c->is_origin || (c->domain && s.is_uid))
		sw_alerts_seed(x->w->alerts, &s);
}

/* The hour and the day that run did not begin with us. */
static void seed_all(struct sw_worker *w)
{
	static const enum sw_alert_period periods[] = { SW_PERIOD_HOUR, SW_PERIOD_DAY };

	for (size_t i = 0; i < ARRAY_SIZE(periods); i++) {
		struct seeding x = { w, periods[i] };
		time_t since = sw_alerts_seed_since(w->alerts, periods[i]);

		if (since)
			(void)sw_history_counted(w->history, since, time(NULL), seed, &x);
	}
	sw_alerts_seeded(w->alerts);
}

static void recall(struct sw_worker *w)
{
	_cleanup_free_ char *text = NULL;

	if (sw_monitor_file_read(w->config->o->state_dir, TOLD_FILE, &text) == 0)
		(void)sw_alerts_recall(w->alerts, text);
}

/* So that who dies now tells nobody twice. What waits for a digest or a sink is not told yet. */
static void keep_told(struct sw_worker *w, const struct sw_alerts_state *s)
{
	_cleanup_free_ char *text = NULL;

	if (s->alerts == w->alerts_kept || s->command.waiting || s->mail.waiting)
		return;
	text = sw_alerts_remember(w->alerts);
	if (text && sw_monitor_file_write(w->config->o->state_dir, TOLD_FILE, text) == 0)
		w->alerts_kept = s->alerts;
}

void sw_worker_tell_start(struct sw_worker *w)
{
	struct sw_stats stats;
	bool known;

	if (!w->alerts)
		return;
	known = w->history && sw_stats_read(&w->live, &stats) == 0;
	(void)sw_alert_kernel_sample(w->alert_kernel, w->alerts);	/* counting begins here */
	recall(w);
	if (!known)
		return;
	if (sw_worker_record_stats(w, &stats) == 0)
		seed_all(w);
	sw_stats_free(&stats);
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
	keep_told(w, &s);
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
