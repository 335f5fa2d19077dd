/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "observer.h"

static void __attribute__((noreturn)) give_up(const char *what)
{
	fprintf(stderr, "cannot read %s\n", what);
	exit(99);
}

static int on_event(void *arg, void *data, size_t len)
{
	struct observer *o = arg;

	if (len == sizeof(o->event)) {
		memcpy(&o->event, data, len);
		o->n_events++;
	}
	return 0;
}

void observer_open(const struct sw_live *live, struct observer *ret)
{
	struct sw_control *c = sw_control_map(live->map_fd[SW_MAP_CONTROL]);

	if (!c)
		give_up("sw_control");
	c->event_interval = 0;
	sw_control_unmap(c);
	*ret = (struct observer){ .live = live };
	ret->ring = ring_buffer__new(live->map_fd[SW_MAP_EVENTS], on_event, ret, NULL);
	if (!ret->ring)
		give_up("sw_events");
	if (sw_map_dump(live->map_fd[SW_MAP_UID_STATS], &ret->rows) < 0)
		give_up("sw_uid_stats");
}

void observer_close(struct observer *o)
{
	sw_map_dump_free(&o->rows);
	ring_buffer__free(o->ring);
}

void observer_begin(struct observer *o)
{
	ring_buffer__consume(o->ring);
	o->n_events = 0;
}

static void find_row(const struct sw_map_dump *d, const struct sw_uid_key *key,
		     struct sw_uid_stats *ret)
{
	*ret = (struct sw_uid_stats){};
	for (size_t i = 0; i < d->n; i++)
		if (!memcmp(sw_map_key(d, i), key, sizeof(*key)))
			memcpy(ret, sw_map_value(d, i), sizeof(*ret));
}

void observer_end(struct observer *o, struct observed *ret)
{
	struct sw_map_dump now;

	ring_buffer__consume(o->ring);
	*ret = (struct observed){};
	if (sw_map_dump(o->live->map_fd[SW_MAP_UID_STATS], &now) < 0)
		give_up("sw_uid_stats");
	for (size_t i = 0; i < now.n; i++) {
		struct sw_uid_stats was, is;
		struct sw_uid_key key;

		memcpy(&key, sw_map_key(&now, i), sizeof(key));
		memcpy(&is, sw_map_value(&now, i), sizeof(is));
		find_row(&o->rows, &key, &was);
		for (int slot = 0; slot < _SW_N_MAX; slot++) {
			if (is.n[slot] == was.n[slot])
				continue;
			ret->n += (unsigned int)(is.n[slot] - was.n[slot]);
			ret->slot = (enum sw_slot)slot;
			ret->uid = key.row == SW_ROW_UID ? key.uid : UINT32_MAX;
		}
	}
	sw_map_dump_free(&o->rows);
	o->rows = now;
}
