/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a policy means, written down a second time from the documentation: one list after the
 * other, no maps, no indexes, nothing shared with the decision that runs in the kernel.
 */
#ifndef ORACLE_H
#define ORACLE_H

#include "model.h"

#define ORACLE_WINDOWS	64

struct oracle_who {
	uint32_t ruid, euid, egid;
	bool container;
	bool cgroup[MODEL_CGROUPS];	/* it is in this one, or below it */
};

/* What was used of each limit in this hour, and who is denied for a time. */
struct oracle_state {
	struct {
		char key[MODEL_KEY];
		uint32_t used;		/* the hour is as old as the day here */
	} window[ORACLE_WINDOWS];
	size_t n;
	uint32_t denied[MODEL_LIST];
	size_t n_denied;
};

struct oracle_answer {
	bool smtp;		/* false: nothing else is set */
	enum sw_verdict verdict;
	enum sw_reason reason;
	uint32_t charged;
	int rule;		/* index of the allow rule that was found; -1: none */
};

/* `m` has come into force: windows of rules with a limit that it has not are forgotten. */
void oracle_applied(const struct model *m, struct oracle_state *s);

/* Decides, and remembers in `s` what that used up. */
void oracle_decide(const struct model *m, struct oracle_state *s, const struct oracle_who *who,
		   const struct model_world *w, const uint8_t addr[16], uint16_t port, bool bound,
		   struct oracle_answer *ret);

/* Whether the address has the first `len` bits of the IPv6 network `net`. */
bool oracle_in_network(const uint8_t addr[16], const char *net, unsigned int len);
bool oracle_is_local(const struct model_world *w, const uint8_t addr[16]);
bool oracle_denied(const struct oracle_state *s, uint32_t uid);

#endif
