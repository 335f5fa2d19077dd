/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "top.h"
#include "util.h"

#define NSEC_PER_SEC	1e9
#define SEC_PER_MIN	60

static int compare_count(const void *a, const void *b)
{
	const struct sw_top_count *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static void forget(struct sw_top_history *h, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(h->snapshot[i].count);
	h->n -= n;
	memmove(h->snapshot, h->snapshot + n, h->n * sizeof(*h->snapshot));
}

static void add(struct sw_top_snapshot *to, const struct sw_stat *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct sw_top_count *c = &to->count[to->n++];

		c->id = s[i].id;
		for (int j = 0; j < _SW_CHANNEL_MAX; j++)
			c->n[j] = sw_stat_by(&s[i], (enum sw_channel)j);
	}
}

int sw_top_history_add(struct sw_top_history *h, const struct sw_stats *s, uint64_t now_ns)
{
	struct sw_top_snapshot new = { .time_ns = now_ns };
	size_t old = 0;

	new.count = calloc(s->n_accounts + s->n_origins + 1, sizeof(*new.count));
	if (!new.count)
		return -ENOMEM;
	add(&new, s->accounts, s->n_accounts);
	add(&new, s->origins, s->n_origins);
	qsort(new.count, new.n, sizeof(*new.count), compare_count);
	/* One that is as old as the window stays: rates are measured from it. */
	while (old + 1 < h->n && now_ns - h->snapshot[old + 1].time_ns >= SW_TOP_WINDOW_NS)
		old++;
	if (h->n - old == SW_TOP_SNAPSHOTS)
		old++;
	forget(h, old);
	h->snapshot[h->n++] = new;
	return 0;
}

void sw_top_history_free(struct sw_top_history *h)
{
	forget(h, h->n);
}

static uint64_t sum_of(const struct sw_top_snapshot *s, const uint64_t *id, size_t n,
		       enum sw_channel channel)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++) {
		const struct sw_top_count key = { .id = id[i] };
		const struct sw_top_count *found = bsearch(&key, s->count, s->n, sizeof(key),
							   compare_count);

		/* A row that was not there yet had counted nothing. */
		sum += found ? found->n[channel] : 0;
	}
	return sum;
}

/* Per second between two readings. Counters only grow, unless everything was taken down between. */
static double rate_between(const struct sw_top_snapshot *from, const struct sw_top_snapshot *to,
			   const uint64_t *id, size_t n, enum sw_channel channel)
{
	uint64_t a = sum_of(from, id, n, channel), b = sum_of(to, id, n, channel);

	if (b <= a || to->time_ns <= from->time_ns)
		return 0;
	return (double)(b - a) * NSEC_PER_SEC / (double)(to->time_ns - from->time_ns);
}

struct sw_top_rate sw_top_rate(const struct sw_top_history *h, const uint64_t *id, size_t n,
			       enum sw_channel channel)
{
	const struct sw_top_snapshot *last = h->snapshot + h->n - 1;

	if (h->n < 2)
		return (struct sw_top_rate){};
	return (struct sw_top_rate){
		.known = true,
		.per_second = rate_between(last - 1, last, id, n, channel),
		.per_minute = SEC_PER_MIN * rate_between(h->snapshot, last, id, n, channel),
	};
}
