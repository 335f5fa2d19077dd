/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files that read the history. Nothing else includes this but their tests. */
#ifndef SW_HISTORY_READ_H
#define SW_HISTORY_READ_H

#include "history_int.h"

struct sw_history_reader {
	struct sw_history_db file;
	struct sw_history live;		/* in memory: what is not in the file yet */
	bool has_live;
};

/* What a place has in a period. */
struct sw_place_sum {
	bool used;
	int64_t place;
	uint64_t n[_SW_HISTORY_MAX];
	uint64_t sketch[SW_SKETCH_WORDS];
	time_t first, last;
};

struct sw_place_sums {
	struct sw_place_sum *slot;	/* hash table by place, `size` of them, a power of two */
	size_t n, size;
};

/* Adds up what lies in hours that begin at `from` or later and before `to`, with the destinations of
 * the days that they lie in. 0 or -errno; free t->slot in any case. */
int sw_history_sum(struct sw_history_db *d, time_t from, time_t to, struct sw_place_sums *t);

/* NULL: there is none. */
const struct sw_place_sum *sw_history_find_sum(const struct sw_place_sums *t, int64_t place);

/* Adds what a reading has more than the file. 0 or -errno. */
int sw_history_reader_add(struct sw_history_reader *h, const struct sw_history_reading *reading,
			  struct sw_domains *d);

#endif
