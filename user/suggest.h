/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From what was observed to the lines of smtpwall.conf that would let it through: rows of the
 * kernel in, lines with their evidence out. Pure but for memory: it looks at nothing else.
 *
 * The judgement. The few destinations of an account become an allow rule each; those of a system
 * account come first, for they are seldom what a hacked site does. A mail server is exempted as a
 * whole: one that is known as such at once, a system account that looks like one only as a comment.
 * Many destinations of an ordinary account, or of one that sites share, look like a hacked site:
 * nothing is suggested, and the account is named instead. In a container user rules do not hold:
 * its cgroup is named there. What the policy in force allows by now needs nothing.
 */
#ifndef SW_SUGGEST_H
#define SW_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

/* Different addresses of one account and port that still get rules. A relay has one or two, also
 * with IPv6; spam goes to the mail servers of its recipients, which are soon more. */
#define SW_SUGGEST_FEW		4

/* A limit behind a rule: what was seen on an average day, times this, up to the next round number.
 * How much the busiest day had is not known. */
#define SW_SUGGEST_SPARE	3

/* What the policy in force says to a destination now. */
enum sw_suggest_now {
	SW_NOW_DENIED,		/* or redirected, or it would be denied */
	SW_NOW_ALLOWED,
	SW_NOW_LIMITED,		/* allowed up to a limit that it exceeded */
	SW_NOW_BY_HAND,		/* the account is denied for the time being */
};

/* One row of sw_dests. */
struct sw_suggest_dest {
	uint32_t uid;
	bool more;		/* further destinations of the account, counted together */
	uint16_t port;		/* 0 with `more` */
	uint8_t addr[16];	/* IPv4 as v4-mapped; means nothing with `more` */
	uint64_t attempts;	/* that were not simply allowed */
	time_t first, last;
	enum sw_suggest_now now;
};

/* An account that has such rows. The texts belong to the caller; directory and script are any
 * bytes of any program. */
struct sw_suggest_account {
	uint32_t uid;
	const char *user;	/* NULL: none has this UID */
	const char *mta;	/* the mail server that delivers as it, or NULL */
	bool system;		/* its UID is below UID_MIN */
	const char *directory, *script, *cgroup;	/* where most attempts came from, or NULL */
	uint64_t passed, limited;	/* direct attempts that were let through; over a limit */
	uint64_t offences;	/* that were not simply allowed */
	time_t first, last;
};

struct sw_suggest_seen {
	const struct sw_suggest_dest *dests;
	size_t n_dests;
	const struct sw_suggest_account *accounts;	/* ordered by UID; of each in `dests` */
	size_t n_accounts;
	const char *default_users;	/* exempt by default, with blanks between: a `users` line
					 * takes the place of the default */
	time_t since;		/* of the last attempt of a row; 0: all */
	time_t now;
	uint32_t top;		/* rows to be suggested at most; 0: all */
};

enum sw_suggest_section { SW_SUGGEST_EXEMPT, SW_SUGGEST_ALLOW, SW_SUGGEST_LIMIT, SW_SUGGEST_NONE };
enum sw_confidence { SW_CONFIDENCE_HIGH, SW_CONFIDENCE_LOW, SW_CONFIDENCE_NO };

#define SW_SUGGEST_LINE	190	/* what smtpwall.conf takes on one line, and the NUL */

struct sw_suggestion {
	const struct sw_suggest_account *account;
	enum sw_suggest_section section;
	enum sw_confidence confidence;
	const char *reason;		/* static text */
	bool active;			/* else only a comment */
	char line[SW_SUGGEST_LINE];	/* empty with SW_SUGGEST_NONE */
	char other[SW_SUGGEST_LINE];	/* another line for the same, or empty */
	const char *other_for;		/* for whom: static text */
	uint32_t per_day;		/* a limit that leaves room; 0: none */
	bool has_addr;			/* it is about one destination */
	uint8_t addr[16];
	uint16_t port;			/* 0: several, or not known */
	uint64_t attempts;
	unsigned int destinations;	/* different ones; 0: not known */
	bool more_destinations;		/* and more that were counted together */
	time_t first, last;
};

struct sw_suggestions {
	struct sw_suggestion *item;	/* best first */
	size_t n, n_left_out;		/* by `top` */
	size_t n_looked_at;		/* rows of `dests` in the period */
};

/* 0 or -ENOMEM. `ret` refers to the accounts of `seen`; free it with sw_suggestions_free(). */
int sw_suggest(const struct sw_suggest_seen *seen, struct sw_suggestions *ret);
void sw_suggestions_free(struct sw_suggestions *s);

/* Attempts within these days, times SW_SUGGEST_SPARE, rounded up to 10, 50, 100, 500 and so on; 0
 * when there is no sensible limit. */
uint32_t sw_suggest_per_day(uint64_t attempts, time_t first, time_t last);

/* A piece of smtpwall.conf, ASCII: whatever a text of `s` holds, it stays on its comment line. 0 or
 * -ENOMEM. */
int sw_suggest_print_conf(FILE *f, const struct sw_suggest_seen *seen,
			  const struct sw_suggestions *s);

/* The same as JSON, see smtpwall(8). 0 or -ENOMEM. */
int sw_suggest_print_json(FILE *f, const struct sw_suggest_seen *seen,
			  const struct sw_suggestions *s);

#endif
