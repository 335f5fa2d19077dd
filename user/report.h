/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Offenders: the counters of a reading, summed by account, domain or directory, each row with the
 * site it belongs to. Whoever only looks at what the kernel counted is in stats.h.
 */
#ifndef SW_REPORT_H
#define SW_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "domains.h"
#include "options.h"
#include "stats.h"

struct sw_history_reader;

enum sw_report_by { SW_REPORT_BY_UID, SW_REPORT_BY_DOMAIN, SW_REPORT_BY_DIRECTORY };

enum sw_report_sort {
	SW_SORT_DENIED,		/* sw_stat_by() of the channel, then offences, then attempts */
	SW_SORT_ATTEMPTS,
	SW_SORT_LAST,		/* newest first */
	SW_SORT_UID,
	SW_SORT_DOMAIN,		/* by name; rows without one at the end */
	SW_SORT_DESTINATIONS,	/* most distinct addresses first */
	_SW_SORT_MAX,
};

/* Which rows of a reading, and in which order. All zero: every offender by UID, worst first. */
struct sw_report {
	enum sw_report_by by;
	bool all;		/* also rows that have nothing by `channel` */
	enum sw_channel channel;	/* whose attempts make a row and say which origin is worst */
	enum sw_report_sort sort;
	uint32_t top;		/* 0: no limit */
	bool is_since, is_until;	/* of the last attempt; both ends count */
	time_t since, until;
	bool is_uid;
	uint32_t uid;
	/* Only what was done on this domain, in this directory or below it; NULL: anywhere. Rows by
	 * account are then summed from those of their directories that fit. */
	const char *domain;
	const char *path;
};

/* Whose a row is. The texts belong to the domains and to the statistics. */
struct sw_report_site {
	const char *domain;	/* NULL: not known */
	bool one_of_several;	/* the account is sure, the domain is its main one: a guess */
	size_t sites;		/* how many sites the account has */
	const char *source;	/* as of sw_attribute(); never NULL */
	const char *user;	/* login of the UID; NULL: there is none */
	const char *account;	/* login of the domain's owner; NULL: not known */
};

struct sw_report_row {
	/* Sums and times. Of several directories `worst` is the one with most by the channel; directory,
	 * script and cgroup are that one's, and so is the uid of a domain's row. */
	struct sw_stat sum;
	struct sw_report_site site;	/* that of `worst` */
	const struct sw_stat *const *origin;	/* what was summed, worst first */
	size_t n_origins;
};

struct sw_report_rows {
	struct sw_report_row *row;
	size_t n;
	size_t n_all;		/* before `top` cut them */
	uint64_t total[_SW_N_MAX];	/* of those */
	const struct sw_stat **origins;	/* for sw_report_row.origin */
};

/* Whose an origin is, or an account as a whole where `s` has no directory. 0 or -ENOMEM. */
int sw_report_attribute(struct sw_domains *d, const struct sw_stat *s, struct sw_report_site *ret);

/* The name that origins of domain `name` are attributed to: the result may be `name` itself, or be
 * good until the next refresh of `d` (which may be NULL). */
const char *sw_report_domain(struct sw_domains *d, const char *name);

/*
 * Picks, sums, attributes and sorts. `d` has to be refreshed; NULL: every domain is unknown. `ret`
 * is written on success only and refers to `s` and `d`; free it with sw_report_free(). 0 or
 * -ENOMEM.
 */
int sw_report_build(const struct sw_report *what, const struct sw_stats *s, struct sw_domains *d,
		    struct sw_report_rows *ret);
void sw_report_free(struct sw_report_rows *r);

/* What a report says about itself besides its rows. */
struct sw_report_about {
	const char *host;	/* NULL: not known */
	const char *hooks;	/* names of those attached, blanks between; NULL: not known */
	enum sw_mode mode;
	uint32_t generation;	/* 0: not known, and neither are mode and `applied` */
	time_t applied;		/* when that generation came into force; 0: not known */
	struct sw_history_reader *history;	/* what was read; NULL: the counters since apply */
	bool not_live;		/* and nothing but that: nothing is in force */
};

/* Prints a report on standard output. 0; -errno when not all could be written. */
int sw_report_print(const struct sw_report *what, const struct sw_options *o,
		    const struct sw_stats *s, struct sw_domains *d,
		    const struct sw_report_about *about);

/* ---- Between the files of the report ---- */

/* When the first attempt of all was made; 0: there was none. */
time_t sw_report_first_attempt(const struct sw_stats *s);

/* Names of the domain sources that gave something, blanks between; malloc'd. NULL: no memory. */
char *sw_report_sources(const struct sw_domains *d);

/* The page for a browser: report_html.c. 0 or -errno. */
int sw_report_print_html(const struct sw_report *what, const struct sw_stats *s,
			 struct sw_domains *d, const struct sw_report_about *about,
			 const struct sw_report_rows *rows);

#endif
