/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the database has of the kernel's rows: in memory, as the table base has it. */
#include <errno.h>
#include <string.h>

#include "history_int.h"
#include "util.h"

#define MIN_SLOTS	256

static const char *const instance_key[_SW_BASE_MAX] = { "account_map", "origin_map" };

/* The slot of `id`, or the free one where it would be. Ids are mixed well already. */
static struct sw_base *slot_of(const struct sw_bases *b, uint64_t id)
{
	size_t i = (size_t)id & (b->size - 1);

	while (b->slot[i].id && b->slot[i].id != id)
		i = (i + 1) & (b->size - 1);
	return &b->slot[i];
}

static int grow(struct sw_bases *b)
{
	struct sw_bases larger = { .size = b->size ? b->size * 2 : MIN_SLOTS, .n = b->n,
				   .instance = b->instance };

	larger.slot = calloc(larger.size, sizeof(*larger.slot));
	if (!larger.slot)
		return -ENOMEM;
	for (size_t i = 0; i < b->size; i++)
		if (b->slot[i].id)
			*slot_of(&larger, b->slot[i].id) = b->slot[i];
	free(b->slot);
	*b = larger;
	return 0;
}

struct sw_base *sw_history_base(struct sw_bases *b, uint64_t id)
{
	struct sw_base *slot;

	id = id ?: 1;
	if (b->n * 2 >= b->size && grow(b) < 0)
		return NULL;
	slot = slot_of(b, id);
	if (!slot->id) {
		*slot = (struct sw_base){ .id = id };
		b->n++;
	}
	return slot;
}

static void empty(struct sw_bases *b)
{
	free(b->slot);
	*b = (struct sw_bases){};
}

void sw_history_free_base(struct sw_history *h)
{
	for (int i = 0; i < _SW_BASE_MAX; i++)
		empty(&h->base[i]);
	free(h->count);
	h->count = NULL;
	h->n_count = h->count_size = 0;
	h->count_hour = 0;
}

/* ---- From and to the database ---- */

static int load_row(struct sw_history *h, sqlite3_stmt *st)
{
	int part = sqlite3_column_int(st, 0);
	const void *sketch = sqlite3_column_blob(st, 2);
	struct sw_base *b;
	int64_t n[_SW_HISTORY_MAX];

	if (part < 0 || part >= _SW_BASE_MAX)
		return 0;
	b = sw_history_base(&h->base[part], (uint64_t)sqlite3_column_int64(st, 1));
	if (!b)
		return -ENOMEM;
	sw_history_get_slots(st, 3, n);
	memcpy(b->n, n, sizeof(b->n));
	if (sketch && sqlite3_column_bytes(st, 2) == sizeof(b->sketch))
		memcpy(b->sketch, sketch, sizeof(b->sketch));
	return 0;
}

static int load_rows(struct sw_history *h, struct sw_history_db *d)
{
	sqlite3_stmt *st;
	int r, rc;

	st = sw_history_query(d, "SELECT part, id, sketch, %C FROM base", &r);
	if (!st)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && !r)
		r = load_row(h, st);
	sqlite3_finalize(st);
	return r ?: sw_history_errno(d->db, rc);
}

int sw_history_load_base(struct sw_history *h, struct sw_history_db *d)
{
	int64_t number;
	int r = 0;

	sw_history_free_base(h);
	h->denies = 0;
	for (int i = 0; i < _SW_BASE_MAX && !r; i++) {
		r = sw_history_meta(d, instance_key[i], &number);
		h->base[i].instance = r ? 0 : (uint64_t)number;
	}
	if (!r)
		r = sw_history_meta(d, "rolled", &number);
	if (!r) {
		h->rolled = (time_t)number;
		r = load_rows(h, d);
	}
	h->stale = r < 0;
	return r;
}

int sw_history_begin_base(struct sw_history *h, const uint64_t instance[_SW_BASE_MAX], bool *anew)
{
	static const char *const forget[_SW_BASE_MAX] = { "DELETE FROM base WHERE part = 0",
							  "DELETE FROM base WHERE part = 1" };
	int r = 0;

	*anew = false;
	for (int i = 0; i < _SW_BASE_MAX && !r; i++) {
		if (h->base[i].instance == instance[i])
			continue;
		empty(&h->base[i]);
		h->base[i].instance = instance[i];
		h->rolled = 0;
		*anew = true;
		r = sw_history_exec(&h->d, forget[i]);
		if (!r)
			r = sw_history_set_meta(&h->d, instance_key[i], (int64_t)instance[i]);
	}
	return r;
}

static int save_row(struct sw_history *h, int part, const struct sw_base *b)
{
	sqlite3_stmt *st;
	int r;

	st = sw_history_statement(&h->d, SW_HS_BASE_SET, &r);
	if (!st)
		return r;
	sqlite3_bind_int(st, 1, part);
	sqlite3_bind_int64(st, 2, (sqlite3_int64)b->id);
	if (part == SW_BASE_ORIGINS)
		sqlite3_bind_blob(st, 3, b->sketch, sizeof(b->sketch), SQLITE_STATIC);
	else
		sqlite3_bind_null(st, 3);
	sw_history_bind_slots(st, 4, b->n);
	return sw_history_run(&h->d, st);
}

int sw_history_save_base(struct sw_history *h, time_t now)
{
	int r = 0;

	for (int i = 0; i < _SW_BASE_MAX; i++)
		for (size_t n = 0; n < h->base[i].size && !r; n++) {
			struct sw_base *b = &h->base[i].slot[n];

			if (b->changed)
				r = save_row(h, i, b);
			b->changed = false;
		}
	if (!r)
		r = sw_history_set_meta(&h->d, "rolled", now);
	h->rolled = now;
	return r;
}
