/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Large configurations, as files: thousands of allow rules and exempt accounts, more than fit
 * into one file.
 */
#ifndef BIG_POLICY_H
#define BIG_POLICY_H

#include <stdint.h>

#include "policy.h"

#define BIG_FIRST_UID	200000U	/* of the exempt accounts */

struct big_opts {
	const char *head;	/* text of the main file */
	uint32_t users;		/* exempt, from BIG_FIRST_UID on */
	uint32_t rules;		/* beside those in `head` */
	uint32_t turn;		/* other rules for each number */
};

/* Writes them into a new directory, reads them back as a configuration and removes them. Fails
 * the program when it cannot. `ret_ms` is how long reading took. */
void big_policy(const struct big_opts *o, struct sw_policy *ret, double *ret_ms);

#endif
