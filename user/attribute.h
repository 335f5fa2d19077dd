/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whose connect was it? From what the kernel recorded at that moment to an account and a domain.
 *
 * Facts and guesses are kept apart by `source`. The kernel vouches for the UID and the directory;
 * the process title is written by the caller, who may name somebody else's site in it: it is
 * asked only where the directory says nothing, and never gives a domain of another account,
 * except for a UID that many sites share; then the program has to be called what the title says.
 */
#ifndef SW_ATTRIBUTE_H
#define SW_ATTRIBUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "domains.h"
#include "smtpwall_abi.h"

struct sw_attribute_query {
	uint32_t uid;
	enum sw_row row;		/* those of no single account have no answer */
	const char *directory;		/* plain path, "..." in front where that is cut off;
					 * NULL: not known */
	const char *argv;		/* as the kernel has it: NUL between arguments */
	size_t argv_len;
	const char *comm;		/* what the program is called, up to SW_COMM_LEN bytes */
};

struct sw_attribution {
	const char *domain;		/* NULL: not known */
	unsigned int others;		/* further sites of the account */
	const char *source;		/* how the domain was found, see below; never NULL */
	const char *user;		/* login of the UID; NULL: there is none */
	const char *account;		/* login of the domain's owner; NULL: not known */
	const char *directory;		/* the query's */
	char *script;			/* as of sw_script(); malloc'd */
};

/*
 * Values of `source`, best first:
 *   docroot        the directory lies below this domain's document root
 *   pool-name      the process title names a php-fpm pool
 *   process-title  it names a script, or the arguments of an interpreter do
 *   trueuserdomains, userdomains, domainowners, plesk, hestia, ... (the source of the domain)
 *                  the account's only or main domain; with `others` it may be one of those
 *   home           the directory lies below the home of `account`
 *   none           nothing is known
 */

/*
 * `d` has to be refreshed first; it may read further sources. Texts of `ret` belong to `d` and are
 * good until its next refresh, except `script`: sw_attribution_free(). 0 or -ENOMEM.
 */
int sw_attribute(struct sw_domains *d, const struct sw_attribute_query *q,
		 struct sw_attribution *ret);
void sw_attribution_free(struct sw_attribution *a);

/* Where in `path` the path begins as seen from within a jail (CageFS, jailkit, virtfs) whose place
 * is known; NULL: it is in none. */
const char *sw_attribute_in_jail(const char *path);

/* The path of a script that `title` (of `len` bytes) says is run, into `ret`; *cut when its front
 * is missing. Relative ones are taken from `directory` (may be NULL). False: it says nothing. */
bool sw_attribute_script(const char *title, size_t len, const char *script, const char *directory,
			 char *ret, size_t size, bool *cut);

/* Whether a program called `comm` (up to SW_COMM_LEN bytes, may be NULL) can have the title. What
 * an interpreter was told to run is taken as it is: more than one call is needed to change it. */
bool sw_attribute_agrees(const char *title, size_t len, const char *comm);

#endif
