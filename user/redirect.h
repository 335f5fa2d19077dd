/* SPDX-License-Identifier: GPL-2.0-or-later */
/* mode = redirect: where to, and who must not be sent there. */
#ifndef SW_REDIRECT_H
#define SW_REDIRECT_H

#include "mta.h"
#include "policy.h"

/*
 * Completes a policy of mode redirect. Where it names no IPv6 address, that is ::1 when a mail
 * server listens there or on all addresses, and IPv4 in v4-mapped form otherwise. The delivery
 * users of the mail servers and the accounts of the listeners are marked: a mail server that is
 * not exempt is denied, not sent to itself. 0 or -ENOMEM.
 */
int sw_redirect_complete(struct sw_policy *p, const struct sw_mta_list *mtas,
			 const struct sw_listener_list *listeners);

/* Whether `table` (the format of /proc/net/tcp6, see proc_net_tcp in the kernel's documentation)
 * has a listener on `port` that ::1 reaches. Pure. */
bool sw_redirect_listens_v6(const char *table, unsigned int port);

#endif
