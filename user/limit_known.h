/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Limits that take what domain sources know: [limit] domain and unknown. */
#ifndef SW_LIMIT_KNOWN_H
#define SW_LIMIT_KNOWN_H

#include "domains.h"
#include "policy.h"

/*
 * Gives the account of each domain with a limit that limit, unless the account has one of its own; of
 * several domains the lowest. With `unknown` every account that owns a domain gets a row that says it
 * is known. What leads to no account is a warning: customers take domains away, and that must not keep
 * the policy from coming into force.
 *
 * `d` is fresh (sw_domains_refresh_all()). 0 or -ENOMEM. sw_limit_known_needed() says whether there is
 * anything to do, and sw_limit_known_read() opens the sources that the policy names and does it.
 */
int sw_limit_known(struct sw_policy *p, struct sw_domains *d);
bool sw_limit_known_needed(const struct sw_policy *p);
int sw_limit_known_read(struct sw_policy *p);

#endif
