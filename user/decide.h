/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's decision function, run in user space: over the live maps, or over a policy that
 * is not in force. The answer is what the hook would do, with the row that decides.
 */
#ifndef SW_DECIDE_H
#define SW_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

#include "live.h"
#include "locals.h"
#include "policy.h"

/* Who asks for what. */
struct sw_query {
	uint32_t euid, egid, ruid;
	uint8_t addr[16];	/* IPv4 as v4-mapped */
	uint16_t port;
	bool in_container;	/* another network or PID namespace than the host's */
	bool bound_to_device;
	uint32_t hour;		/* of local time, for windows of limits; 0: now */
	uint64_t cgroup[SW_MAX_CGROUP_LEVELS];	/* ids from level 1 down; 0 ends the list */
};

struct sw_answer {
	enum sw_verdict verdict;
	enum sw_reason reason;
	enum sw_channel channel;	/* the way out */
	enum sw_channel limit_channel;	/* with the limit of account or server: of this channel, or all */
	bool smtp;		/* false: the port is in no list, the hook leaves at once */
	enum sw_kind kind;	/* of the exempt row or allow rule that decided; 0 without one */
	uint64_t id;
	uint32_t line;
	char source[sizeof(((struct sw_source *)0)->text)];	/* "" when no row decided */
};

/* Over what is in force. 0, or -errno when a map cannot be read. */
int sw_decide_live(const struct sw_live *l, const struct sw_query *q, struct sw_answer *ret);

/* Over a policy and the addresses of this machine; touches no kernel object. */
void sw_decide_policy(const struct sw_policy *p, const struct sw_addrs *local,
		      const struct sw_query *q, struct sw_answer *ret);

/* One sentence for people; never NULL. */
const char *sw_reason_text(enum sw_reason reason);

/* Short stable word for machines: local, kernel-thread, exempt-uid, ...; never NULL. */
const char *sw_reason_name(enum sw_reason reason);

#endif
