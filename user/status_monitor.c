/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What `status` says about the daemon. Enforcement does not need it, so nothing here is a problem. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>

#include "out.h"
#include "status.h"
#include "util.h"
#include "when.h"

static void add_count(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)n));
}

static void add_time(struct json_object *o, const char *key, time_t t)
{
	char text[SW_TIME_LEN];

	json_object_object_add(o, key, t ? json_object_new_string(sw_time_format(t, text)) : NULL);
}

struct json_object *sw_status_monitor_json(const struct sw_status *s)
{
	const struct sw_monitor_state *m = &s->monitor;
	struct json_object *o;

	if (!s->has_monitor)
		return NULL;
	o = json_object_new_object();
	json_object_object_add(o, "running",
			       json_object_new_boolean(sw_monitor_state_is_running(m, time(NULL))));
	json_object_object_add(o, "pid", json_object_new_int64(m->pid));
	add_time(o, "started", m->health.started);
	add_time(o, "updated", m->updated);
	add_time(o, "recorded", m->health.rolled);
	add_count(o, "events", m->health.events);
	add_count(o, "history_bytes", m->health.history_bytes);
	add_count(o, "alerts_sent", m->health.alerts_sent);
	add_count(o, "alerts_failed", m->health.alerts_failed);
	add_count(o, "alerts_held", m->health.alerts_held);
	json_object_object_add(o, "error", m->error[0] ? sw_json_text(m->error) : NULL);
	return o;
}

void sw_status_monitor_print(const struct sw_status *s)
{
	const struct sw_monitor_state *m = &s->monitor;
	_cleanup_free_ char *error = sw_escape(m->error, true);
	time_t now = time(NULL);
	char ago[SW_TIME_LEN];

	if (!s->has_monitor) {
		printf("monitor     never ran here: no history, no alerts\n");
		return;
	}
	if (!sw_monitor_state_is_running(m, now))
		printf("monitor     not running; last seen %s\n", sw_time_ago(m->updated, now, ago));
	else
		printf("monitor     running as process %d\n", (int)m->pid);
	if (m->health.rolled)
		printf("%-12shistory is up to %s\n", "", sw_time_ago(m->health.rolled, now, ago));
	if (m->health.alerts_sent || m->health.alerts_failed)
		printf("%-12salerts: %" PRIu64 " sent, %" PRIu64 " failed\n", "", m->health.alerts_sent,
		       m->health.alerts_failed);
	if (m->error[0])
		printf("%-12s%s\n", "", error ?: "");
}
