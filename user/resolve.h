/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Host names of allow rules. All names of a policy are looked up at once, IPv4 and IPv6, within
 * one deadline; a name that gets no answer keeps the addresses of its last good one, which the
 * state directory remembers.
 */
#ifndef SW_RESOLVE_H
#define SW_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "locals.h"

#define SW_RESOLVE_TIMEOUT_MS	10000
#define SW_RESOLVE_MAX_ADDRS	64	/* of one name */

enum sw_resolve_status {
	SW_RESOLVE_FOUND,	/* answered; a message says what is missing from the answer */
	SW_RESOLVE_KEPT,	/* no usable answer: the last addresses stay. Warn */
	SW_RESOLVE_UNKNOWN,	/* no answer, and none is remembered: no address. Warn */
	SW_RESOLVE_INVALID,	/* does not exist, or cannot be used. An error of the policy */
	_SW_RESOLVE_MAX,
};

struct sw_resolved {
	enum sw_resolve_status status;
	struct sw_addrs addrs;	/* sorted, each once, at most SW_RESOLVE_MAX_ADDRS */
	time_t found;		/* when the oldest of them was given; 0 without any */
	char *message;		/* one sentence that begins with the name, or NULL */
};

struct sw_resolved_list {
	struct sw_resolved *item;	/* as many as names, in their order */
	size_t n;
	char *warning;		/* why nothing could be remembered or recalled, or NULL */
};

/* One question: the addresses of one family. */
struct sw_lookup {
	const char *name;
	int family;		/* AF_INET or AF_INET6 */
	int error;		/* answer: 0, EAI_*, or EAI_INPROGRESS when time ran out */
	struct sw_addrs addrs;	/* answer: any order, malloc'd; freed by whoever asked */
};

struct sw_resolver {
	const char *state_dir;	/* made when it is missing; NULL: remember nothing */
	bool remember;		/* write what was found; else the state directory is only read */
	unsigned int timeout_ms;	/* for all names together; 0: SW_RESOLVE_TIMEOUT_MS */
	time_t now;		/* of the answers; 0: the time of the call */

	/* Answers all `n` questions, no later than after timeout_ms. NULL: sw_resolve_dns(). */
	void (*lookup)(void *arg, struct sw_lookup *l, size_t n, unsigned int timeout_ms);
	void *arg;
};

/*
 * Looks up `n` names. What the state directory holds afterwards (with `remember`) is what this
 * call returned, no other name. 0, or -ENOMEM and then `ret` is untouched; whatever goes wrong
 * with a name or with the directory is said in `ret`. The caller frees it.
 */
int sw_resolve(const struct sw_resolver *how, const char *const *names, size_t n,
	       struct sw_resolved_list *ret);
void sw_resolved_free(struct sw_resolved_list *l);

/* Whether the text can be a host name: letters, digits, dash, underscore and dot, and not an
 * address in any of the notations that resolvers take for one ("10.1", "0x7f000001"). */
bool sw_resolve_is_name(const char *text);

/* The lookup by the system's resolver, some 30 questions at a time; `arg` is not used. Threads that
 * wait for a server when time runs out go on until it answers, or the process ends. */
void sw_resolve_dns(void *arg, struct sw_lookup *l, size_t n, unsigned int timeout_ms);

#endif
