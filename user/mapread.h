/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading a whole hash map in few system calls. */
#ifndef SW_MAPREAD_H
#define SW_MAPREAD_H

#include <stddef.h>

struct sw_map_dump {
	size_t n;
	size_t key_size, value_size;
	char *keys;	/* n keys, one after the other */
	char *values;	/* n values, in the same order */
};

/* Reads every row of the hash map or trie `fd`. Rows that come or go meanwhile may be missed or not;
 * those that stay are there exactly once. 0 or -errno; free with sw_map_dump_free(). */
int sw_map_dump(int fd, struct sw_map_dump *ret);

/* The same for a hash map that is read again and again: what `d` has (all zero at first) is reused,
 * *room is how many rows fit. On failure `d` has no meaning but can be freed or used again. */
int sw_map_dump_again(int fd, struct sw_map_dump *d, size_t *room);

void sw_map_dump_free(struct sw_map_dump *d);

static inline const void *sw_map_key(const struct sw_map_dump *d, size_t i)
{
	return d->keys + i * d->key_size;
}

static inline const void *sw_map_value(const struct sw_map_dump *d, size_t i)
{
	return d->values + i * d->value_size;
}

#endif
