/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What became of connects, for the rows of a reading. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"
#include "util.h"

/* By the number of the row that they belong to. */
struct place {
	uint64_t id;
	const struct sw_outcome *outcome;
};

static int compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

void sw_outcome_add(struct sw_outcome *sum, const struct sw_outcome *o)
{
	sum->established += o->established;
	sum->refused += o->refused;
	sum->timed_out += o->timed_out;
	sum->failed += o->failed;
	sum->bytes_sent += o->bytes_sent;
	sum->bytes_received += o->bytes_received;
	sum->duration_ns += o->duration_ns;
}

static void look_up(const struct place *p, size_t n, uint64_t id, struct sw_stat *s)
{
	const struct place key = { .id = id }, *found = bsearch(&key, p, n, sizeof(key), compare);

	if (found)
		memcpy(&s->outcome, found->outcome, sizeof(s->outcome));
}

int sw_outcomes_join(const struct sw_map_dump *d, struct sw_stats *s)
{
	_cleanup_free_ struct place *p = calloc(d->n + 1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++)
		p[i] = (struct place){ sw_origin_id(sw_map_key(d, i)), sw_map_value(d, i) };
	qsort(p, d->n, sizeof(*p), compare);
	for (size_t i = 0; i < s->n_origins; i++)
		look_up(p, d->n, s->origins[i].id, &s->origins[i]);
	for (size_t i = 0; i < s->n_accounts; i++) {
		struct sw_stat *a = &s->accounts[i];
		const struct sw_origin_key key = { .uid = a->uid, .dev = SW_DEV_NONE, .ino = a->row };

		look_up(p, d->n, sw_origin_id(&key), a);
	}
	return 0;
}
