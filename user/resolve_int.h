/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the name lookup. Only resolve*.c and its tests include this. */
#ifndef SW_RESOLVE_INT_H
#define SW_RESOLVE_INT_H

#include <stdio.h>

#include "resolve.h"

/* The last good answer for a name. */
struct sw_recalled {
	struct sw_addrs addrs;	/* none: nothing is remembered */
	time_t found;
};

/*
 * The file STATE_DIR/names holds one line a name: NAME TIME ADDRESS..., TIME in seconds since
 * 1970, separated by blanks. A line that is anything else is passed over.
 */

/* Reads what the file says about `names` into as many entries of `ret`, which come zeroed.
 * 0, -ENOENT without a file, -EPERM when it is not to be trusted, else -errno. */
int sw_recall(const char *state_dir, const char *const *names, size_t n, struct sw_recalled *ret);

/* Replaces the file in one step. 0 or -errno. */
int sw_remember(const char *state_dir, const char *const *names, size_t n,
		const struct sw_resolved *what);

/* The parser of sw_recall(). */
void sw_recall_stream(FILE *f, const char *const *names, size_t n, struct sw_recalled *ret);

/* Sorts, and leaves each address once. */
void sw_resolve_sort(struct sw_addrs *a);

/* Adds one address of 4 or 16 bytes. 0 or -ENOMEM. */
int sw_resolve_add(struct sw_addrs *a, int family, const void *addr);

#endif
