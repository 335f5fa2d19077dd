/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counters as they were last seen. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert_int.h"
#include "util.h"

#define BASES_MIN	1024

static uint32_t *slot_of(const struct sw_bases *b, uint64_t key)
{
	for (size_t i = sw_mix(key);; i++) {
		uint32_t *slot = &b->index[i & (b->n_index - 1)];

		if (!*slot || b->row[*slot - 1].key == key)
			return slot;
	}
}

static void index_all(struct sw_bases *b)
{
	memset(b->index, 0, b->n_index * sizeof(*b->index));
	for (size_t i = 0; i < b->n; i++)
		*slot_of(b, b->row[i].key) = (uint32_t)i + 1;
}

static int make_room(struct sw_bases *b)
{
	size_t room = b->room ? b->room * 2 : BASES_MIN;
	struct sw_base *row;
	uint32_t *fresh;

	if (b->n < b->room)
		return 0;
	row = reallocarray(b->row, room, sizeof(*row));
	if (!row)
		return -ENOMEM;
	b->row = row;
	fresh = calloc(room * 2, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	free(b->index);
	b->index = fresh;
	b->n_index = room * 2;
	b->room = room;
	index_all(b);
	return 0;
}

struct sw_base *sw_bases_get(struct sw_bases *b, uint64_t key, bool *fresh)
{
	uint32_t *slot = b->n_index ? slot_of(b, key) : NULL;

	*fresh = false;
	if (slot && *slot)
		return &b->row[*slot - 1];
	if (make_room(b) < 0)
		return NULL;
	*fresh = true;
	b->row[b->n++] = (struct sw_base){ .key = key };
	*slot_of(b, key) = (uint32_t)b->n;
	return &b->row[b->n - 1];
}

void sw_bases_prune(struct sw_bases *b, uint32_t epoch)
{
	size_t kept = 0;

	for (size_t i = 0; i < b->n; i++)
		if (b->row[i].epoch == epoch)
			b->row[kept++] = b->row[i];
	if (kept == b->n)
		return;
	b->n = kept;
	index_all(b);
}

void sw_bases_free(struct sw_bases *b)
{
	free(b->row);
	free(b->index);
	*b = (struct sw_bases){};
}
