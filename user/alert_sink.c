/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Telling: each sink has one run at a time and a bounded queue behind it. The first alert goes out
 * at once; those that come before the digest ends, or while a run is under way, go together.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert_int.h"
#include "util.h"

#define MAX_TRIES	3
#define RETRY_NS	(10 * NSEC_PER_SEC)	/* then twice that, ... */
#define ANSWER_NS	(300 * NSEC_PER_SEC)	/* the runner ends what takes longer than it may */
#define BUSY_NS		(300 * NSEC_PER_SEC)	/* how long it is asked again while it is busy */

void sw_sink_init(struct sw_sink *s, enum sw_run_kind kind)
{
	*s = (struct sw_sink){ .kind = kind };
}

static void drop_payload(struct sw_sink *s)
{
	free(s->payload);
	s->payload = NULL;
	s->len = s->n_payload = 0;
	s->tries = 0;
	s->running = false;
}

void sw_sink_free(struct sw_sink *s)
{
	drop_payload(s);
	for (size_t i = 0; i < s->n; i++)
		sw_alert_unref(s->queue[i]);
	free(s->queue);
	s->queue = NULL;
	s->n = 0;
}

void sw_sink_put(struct sw_sink *s, struct sw_alert *alert)
{
	if (!s->queue)
		s->queue = calloc(SW_QUEUE_MAX, sizeof(void *));
	if (!s->queue || s->n == SW_QUEUE_MAX) {
		s->state.dropped++;
		s->dropped_now++;
		return;
	}
	sw_alert_ref(alert);
	s->queue[s->n++] = alert;
}

static void give_up(struct sw_sink *s)
{
	s->state.failed++;
	s->state.lost += s->n_payload;
	drop_payload(s);
}

static void failed(struct sw_sink *s, const struct sw_moment *now, int status)
{
	s->running = false;
	s->state.last_status = status;
	s->state.last_failure = now->wall;
	/* What is not configured or too big will be so the next time. */
	if (++s->tries >= MAX_TRIES || status == -ENOTSUP || status == -E2BIG) {
		give_up(s);
		return;
	}
	s->state.retried++;
	s->retry_ns = now->mono_ns + (RETRY_NS << (s->tries - 1));
}

static void ask(struct sw_alerts *a, struct sw_sink *s)
{
	uint32_t id = 0;
	int r = a->ops.run(a->ops.data, s->kind, s->payload, s->len, &id);

	if (r == 0) {
		s->running = true;
		s->id = id;
		s->since_ns = a->now.mono_ns;
	} else if (r == -EAGAIN && a->now.mono_ns - s->since_ns < BUSY_NS) {
		s->retry_ns = a->now.mono_ns + NSEC_PER_SEC;
	} else {
		failed(s, &a->now, r);
	}
}

/* Makes a message of what waits. False: no memory, later. */
static bool fill(struct sw_alerts *a, struct sw_sink *s)
{
	size_t taken = s->n;

	if (s->kind == SW_RUN_MAIL)
		s->payload = sw_alert_mail(a, s->queue, s->n, s->dropped_now, &s->len);
	else
		s->payload = sw_alert_command_input(a, s->queue, s->n, s->dropped_now, &s->len,
						    &taken);
	if (!s->payload)
		return false;
	for (size_t i = 0; i < taken; i++)
		sw_alert_unref(s->queue[i]);
	memmove(s->queue, s->queue + taken, (s->n - taken) * sizeof(void *));
	s->n -= taken;
	s->n_payload = taken;
	s->dropped_now = 0;
	s->since_ns = a->now.mono_ns;
	s->retry_ns = 0;
	return true;
}

static void run(struct sw_alerts *a, struct sw_sink *s, bool configured, uint32_t digest_s)
{
	uint64_t now = a->now.mono_ns;

	if (s->running && now - s->since_ns >= ANSWER_NS)
		failed(s, &a->now, -ETIMEDOUT);
	if (s->running || !a->ops.run)
		return;
	if (!s->payload && s->n && configured && now >= s->next_ns && fill(a, s))
		s->next_ns = now + digest_s * NSEC_PER_SEC;
	if (s->payload && now >= s->retry_ns)
		ask(a, s);
}

void sw_sinks_run(struct sw_alerts *a)
{
	run(a, &a->command, a->config.command, a->config.command_digest_s);
	run(a, &a->mail, a->config.mail, a->config.digest_s);
}

void sw_alerts_result(struct sw_alerts *a, const struct sw_alert_clock *now, uint32_t id,
		      int status)
{
	struct sw_sink *s = a->command.running && a->command.id == id ? &a->command :
			    a->mail.running && a->mail.id == id ? &a->mail : NULL;

	if (!s)
		return;
	sw_moment_set(&a->now, now);
	if (status) {
		failed(s, &a->now, status);
	} else {
		s->state.sent++;
		drop_payload(s);
	}
	sw_sinks_run(a);
}
