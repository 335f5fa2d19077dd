/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Events on their way into the database. */
#include <errno.h>
#include <string.h>

#include "history_int.h"
#include "util.h"

#define MAX_QUEUED	2048

/* All of it is ours: what the view points to is gone when it is written. */
struct sw_queued_event {
	struct sw_event e;
	time_t time;
	struct sw_spot place;
	char *text[7];		/* for `place` */
	char address[SW_ADDRESS_LEN];
};

static void free_event(struct sw_queued_event *q)
{
	for (size_t i = 0; i < ARRAY_SIZE(q->text); i++)
		free(q->text[i]);
}

static int copy_event(const struct sw_event_view *v, struct sw_queued_event *q)
{
	const char *const texts[ARRAY_SIZE(q->text)] = {
		v->site.user, v->site.account, v->site.domain, v->site.source, v->where.directory,
		v->where.script, v->where.cgroup,
	};

	*q = (struct sw_queued_event){ .e = *v->e, .time = v->time };
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		q->text[i] = texts[i] ? strdup(texts[i]) : NULL;
		if (texts[i] && !q->text[i]) {
			free_event(q);
			return -ENOMEM;
		}
	}
	q->place = (struct sw_spot){
		.uid = v->where.uid, .row = v->where.row, .part = SW_PLACE_BOTH, .user = q->text[0],
		.account = q->text[1], .domain = q->text[2], .source = q->text[3],
		.sites = v->site.sites, .guess = v->site.one_of_several, .directory = q->text[4],
		.script = q->text[5], .cgroup = q->text[6],
	};
	memcpy(q->address, v->address, sizeof(q->address));
	return 0;
}

int sw_history_event(struct sw_history *h, const struct sw_event_view *v)
{
	int r;

	if (!h->limits.events)
		return 0;
	if (!h->event) {
		h->event = calloc(MAX_QUEUED, sizeof(*h->event));
		if (!h->event)
			return -ENOMEM;
	}
	if (h->n_events == MAX_QUEUED && sw_history_flush(h) < 0) {
		h->events_dropped++;
		return -ENOBUFS;
	}
	r = copy_event(v, &h->event[h->n_events]);
	h->n_events += !r;
	return r;
}

static int write_event(struct sw_history *h, const struct sw_queued_event *q)
{
	const struct sw_event *e = &q->e;
	const int64_t number[] = { e->dport, e->family, e->tgid, e->ppid, e->euid, e->ruid, e->egid,
				   e->loginuid };
	size_t argv_len = e->where.argv_len < SW_ARGV_LEN ? e->where.argv_len : SW_ARGV_LEN - 1;
	sqlite3_stmt *st;
	int64_t place;
	int at = 0, r;

	r = sw_history_place(&h->d, &q->place, q->time, &place);
	if (r < 0)
		return r;
	st = sw_history_statement(&h->d, SW_HS_EVENT_ADD, &r);
	if (!st)
		return r;
	sqlite3_bind_int64(st, ++at, q->time);
	sqlite3_bind_int64(st, ++at, place);
	sqlite3_bind_int(st, ++at, e->verdict);
	sqlite3_bind_int(st, ++at, e->reason);
	sqlite3_bind_text(st, ++at, q->address, -1, SQLITE_STATIC);
	for (size_t i = 0; i < ARRAY_SIZE(number); i++)
		sqlite3_bind_int64(st, ++at, number[i]);
	sqlite3_bind_blob(st, ++at, e->where.comm, (int)strnlen(e->where.comm, SW_COMM_LEN), SQLITE_STATIC);
	sqlite3_bind_blob(st, ++at, e->parent_comm, (int)strnlen(e->parent_comm, SW_COMM_LEN),
			  SQLITE_STATIC);
	sqlite3_bind_blob(st, ++at, e->where.argv, (int)argv_len, SQLITE_STATIC);
	return sw_history_run(&h->d, st);
}

int sw_history_write_events(struct sw_history *h)
{
	int r = 0;

	for (size_t i = 0; i < h->n_events && !r; i++)
		r = write_event(h, &h->event[i]);
	return r;
}

void sw_history_drop_events(struct sw_history *h)
{
	for (size_t i = 0; i < h->n_events; i++)
		free_event(&h->event[i]);
	h->n_events = 0;
}
