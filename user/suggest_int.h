/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of suggest: judgement (suggest.c), single lines (suggest_line.c), output (suggest_out.c).
 * Nothing else includes this. */
#ifndef SW_SUGGEST_INT_H
#define SW_SUGGEST_INT_H

#include <arpa/inet.h>

#include "suggest.h"

#define SW_SUGGEST_NAME 33	/* useradd(8) takes up to 32 characters */

/* The account as the configuration takes it: its name, or the number where it has none or one that
 * would be read as something else. Returns buf. */
const char *sw_suggest_name(const struct sw_suggest_account *a, char buf[SW_SUGGEST_NAME]);

/* Returns buf. */
const char *sw_suggest_addr(const uint8_t addr[16], char buf[INET6_ADDRSTRLEN]);

/* Whether most attempts came from a container. */
bool sw_suggest_in_container(const struct sw_suggest_account *a);

/* Lines; empty when there is none that the configuration would take. A cgroup's is about the
 * service or container that the account's attempts came from. */
void sw_suggest_user_rule(const struct sw_suggest_dest *d, const struct sw_suggest_account *a,
			  char line[SW_SUGGEST_LINE]);
void sw_suggest_cgroup_rule(const struct sw_suggest_dest *d, const struct sw_suggest_account *a,
			    char line[SW_SUGGEST_LINE]);
void sw_suggest_cgroups(const struct sw_suggest_account *a, char line[SW_SUGGEST_LINE]);

/* A `users` line takes the place of the default, so it repeats that. */
void sw_suggest_users(const struct sw_suggest_seen *seen, const struct sw_suggest_account *a,
		      char line[SW_SUGGEST_LINE]);

#endif
