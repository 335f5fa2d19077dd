/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An alert as a sentence, as JSON, and what to do about it. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "alert_int.h"
#include "out.h"
#include "util.h"
#include "when.h"

#define JSON_VERSION 1

const char *sw_alert_what(const struct sw_alert *a)
{
	static const char *const words[_SW_METRIC_MAX] = {
		[SW_METRIC_DENIED] = "denied connects",
		[SW_METRIC_LIMITED] = "connects beyond a limit",
		[SW_METRIC_WOULD_DENY] = "connects that would be denied",
		[SW_METRIC_REDIRECTED] = "redirected connects",
		[SW_METRIC_ALLOWED] = "allowed connects",
		[SW_METRIC_LOCAL] = "connects to the local mail server",
		[SW_METRIC_SENDMAIL] = "mails to the sendmail binary",
		[SW_METRIC_DESTINATIONS] = "new destinations",
		[SW_METRIC_QUEUE] = "mails in the queue",
	};

	if (a->metric == SW_METRIC_QUEUE && a->period != SW_PERIOD_LEVEL)
		return "more mails in the queue";
	return a->metric < _SW_METRIC_MAX ? words[a->metric] : "events";
}

const char *sw_alert_period_text(const struct sw_alert *a, char *buf, size_t len)
{
	char length[SW_DURATION_LEN];

	switch (a->period) {
	case SW_PERIOD_HOUR:
		snprintf(buf, len, "this hour");
		break;
	case SW_PERIOD_DAY:
		snprintf(buf, len, "this day");
		break;
	case SW_PERIOD_FACTOR:
		snprintf(buf, len, "in the last hour, usually %.3g", a->average);
		break;
	case SW_PERIOD_LEVEL:
		snprintf(buf, len, "now");
		break;
	default:
		snprintf(buf, len, "in the last %s", sw_duration(a->seconds, length));
	}
	return buf;
}

char *sw_alert_line(const char *text)
{
	return text && *text ? sw_escape(text, true) : strdup("-");
}

static void write_who(const struct sw_alert *a, FILE *f)
{
	const struct sw_alert_where *w = &a->where;

	if (!w->is_uid) {
		fprintf(f, "the whole server");
		return;
	}
	fprintf(f, "%s", w->domain ?: "-");
	if (w->others && a->scope != SW_SCOPE_DOMAIN)
		fprintf(f, " +%zu", w->others);
	fprintf(f, " %s (%" PRIu32 ")", w->user ?: "uid", w->uid);
}

char *sw_alert_sentence(const struct sw_alert *a, bool utf8)
{
	char period[64], count[SW_NUMBER_LEN];
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	write_who(a, f);
	fprintf(f, ": %s %s %s", sw_number(a->count, count), sw_alert_what(a),
		sw_alert_period_text(a, period, sizeof(period)));
	if (a->where.directory)
		fprintf(f, ", in %s", a->where.directory);
	if (a->where.script)
		fprintf(f, " by %s", a->where.script);
	if (a->where.container)
		fprintf(f, " of %s", a->where.container);
	if (a->where.destination)
		fprintf(f, ", last to %s", a->where.destination);
	fprintf(f, " (rule %s)", a->rule);
	if (fclose(f) != 0)
		return NULL;
	return sw_escape(text, utf8);
}

/* ---- What next ---- */

#define NEXT(...)							\
	do {								\
		if (n < max && asprintf(&ret[n], __VA_ARGS__) >= 0)	\
			n++;						\
	} while (0)

size_t sw_alert_next_steps(const struct sw_alert *a, char **ret, size_t max)
{
	uint32_t uid = a->where.uid;
	bool refused = a->metric == SW_METRIC_DENIED || a->metric == SW_METRIC_LIMITED;
	size_t n = 0;

	if (!a->where.is_uid) {
		if (a->metric == SW_METRIC_QUEUE)
			NEXT("look at the mail server's queue: exim -bp, or postqueue -p");
		NEXT("smtpwall report --sort attempts --all --top 10");
		return n;
	}
	NEXT("smtpwall report --uid %" PRIu32 " --by directory", uid);
	NEXT("smtpwall events --uid %" PRIu32 " --since 1h", uid);
	if (refused)
		NEXT("the connects were refused already; look for the script in the directory and "
		     "remove it");
	else if (a->metric == SW_METRIC_WOULD_DENY)
		NEXT("mode observe lets them through: set mode = enforce and run smtpwall apply");
	else
		NEXT("smtpwall deny %" PRIu32 " --for 2h", uid);
	if (refused)
		NEXT("if it is wanted mail: smtpwall suggest");
	return n;
}

/* ---- JSON ---- */

static struct json_object *json_time(time_t t)
{
	char buf[SW_TIME_LEN];

	return t ? json_object_new_string(sw_time_format(t, buf)) : NULL;
}

static void add(struct json_object *o, const char *name, struct json_object *value)
{
	json_object_object_add(o, name, value);
}

static const char *period_word(enum sw_alert_period p)
{
	static const char *const words[] = {
		[SW_PERIOD_SLIDING] = "sliding", [SW_PERIOD_HOUR] = "hour",
		[SW_PERIOD_DAY] = "day",	 [SW_PERIOD_FACTOR] = "factor",
		[SW_PERIOD_LEVEL] = "level",
	};

	return words[p];
}

static void add_where(struct json_object *o, const struct sw_alert_where *w)
{
	add(o, "uid", w->is_uid ? json_object_new_int64(w->uid) : NULL);
	add(o, "user", sw_json_text(w->user));
	add(o, "domain", sw_json_text(w->domain));
	add(o, "other_domains", json_object_new_int64((int64_t)w->others));
	add(o, "source", sw_json_text(w->source));
	add(o, "account", sw_json_text(w->account));
	add(o, "directory", sw_json_text(w->directory));
	add(o, "script", sw_json_text(w->script));
	add(o, "container", sw_json_text(w->container));
	add(o, "last_destination", sw_json_text(w->destination));
	add(o, "destinations", w->destinations ? json_object_new_int64(w->destinations) : NULL);
	add(o, "first_seen", json_time(w->first));
	add(o, "last_seen", json_time(w->last));
}

static void add_next(struct json_object *o, const struct sw_alert *a)
{
	struct json_object *list = json_object_new_array();
	char *step[8] = {};
	size_t n = sw_alert_next_steps(a, step, ARRAY_SIZE(step));

	for (size_t i = 0; i < n; i++) {
		json_object_array_add(list, sw_json_text(step[i]));
		free(step[i]);
	}
	add(o, "next", list);
}

struct json_object *sw_alert_json(const struct sw_alert *a)
{
	struct json_object *o = json_object_new_object();
	_cleanup_free_ char *sentence = sw_alert_sentence(a, true);
	char average[64];

	if (!o)
		return NULL;
	add(o, "time", json_time(a->time));
	add(o, "summary", sw_json_text(sentence));
	add(o, "rule", sw_json_text(a->rule));
	add(o, "line", sw_json_text(a->place));
	add(o, "metric", sw_json_text(sw_alert_metric_name(a->metric)));
	add(o, "scope", sw_json_text(sw_alert_scope_name(a->scope)));
	add(o, "count", json_object_new_int64((int64_t)a->count));
	add(o, "threshold", json_object_new_int64((int64_t)a->threshold));
	add(o, "period", sw_json_text(period_word(a->period)));
	add(o, "seconds", a->seconds ? json_object_new_int64(a->seconds) : NULL);
	add(o, "since", json_time(a->since));
	snprintf(average, sizeof(average), "%.3f", a->average);
	add(o, "average", a->period == SW_PERIOD_FACTOR ?
			  json_object_new_double_s(a->average, average) : NULL);
	add_where(o, &a->where);
	add_next(o, a);
	return o;
}

static struct json_object *begin_input(const struct sw_alerts *a, uint64_t dropped)
{
	struct json_object *o = json_object_new_object();

	if (!o)
		return NULL;
	add(o, "version", json_object_new_int(JSON_VERSION));
	add(o, "program", sw_json_text("smtpwall " SW_VERSION));
	add(o, "host", sw_json_text(a->host));
	add(o, "time", json_time(a->now.wall));
	add(o, "dropped", json_object_new_int64((int64_t)dropped));
	return o;
}

char *sw_alert_command_input(const struct sw_alerts *a, struct sw_alert *const *list, size_t n,
			     uint64_t dropped, size_t *len, size_t *taken)
{
	struct json_object *o = begin_input(a, dropped), *alerts = json_object_new_array();
	size_t i, bytes = 0;
	char *text = NULL;
	int r = 0;
	FILE *f;

	for (i = 0; o && alerts && i < n && bytes < SW_RUN_BYTES - 32 * 1024; i++) {
		struct json_object *one = sw_alert_json(list[i]);

		bytes += one ? strlen(json_object_to_json_string(one)) : 0;
		json_object_array_add(alerts, one);
	}
	if (o)
		add(o, "alerts", alerts);
	f = o && alerts ? open_memstream(&text, len) : NULL;
	if (f)
		r = sw_json_print(f, o);
	if (f && (fclose(f) != 0 || r < 0)) {
		free(text);
		text = NULL;
	}
	json_object_put(o);
	*taken = i;
	return text;
}
