/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads what suggestions are made from. Changes nothing. */
#ifndef SW_SUGGEST_READ_H
#define SW_SUGGEST_READ_H

#include "live.h"
#include "stats.h"
#include "suggest.h"

struct sw_suggest_reading {
	struct sw_suggest_seen seen;	/* with `since` and `top` to be set by the caller */
	struct sw_suggest_dest *dests;
	struct sw_suggest_account *accounts;
	char *default_users;
	struct sw_stats stats;		/* owns the texts of the accounts */
};

/* From the tables of `l`, whose policy is asked about each destination, and from this machine's
 * accounts and mail servers. 0; -ENOENT when a table is missing; other -errno. `ret` is empty
 * unless it returns 0; free it with sw_suggest_reading_free(). */
int sw_suggest_read(const struct sw_live *l, struct sw_suggest_reading *ret);
void sw_suggest_reading_free(struct sw_suggest_reading *r);

#endif
