/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What waits in the mail queue, and who put it there: read from the spools of exim, postfix and
 * qmail themselves. Nothing is written, no lock is taken, no symbolic link is followed.
 *
 * The mail server vouches for the UID, the authenticated user and the sender; the script is what
 * a header of the message says, which whoever runs sendmail by hand may write as well. Spools
 * change while they are read: a file that is gone or only half there is counted as that. All texts
 * that come out of here may have been chosen by customers: escape them.
 */
#ifndef SW_QUEUE_H
#define SW_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "domains.h"
#include "options.h"
#include "report.h"

enum sw_queue_mta { SW_QUEUE_EXIM, SW_QUEUE_POSTFIX, SW_QUEUE_QMAIL, _SW_QUEUE_MTA_MAX };

extern const char *const sw_queue_mta_names[_SW_QUEUE_MTA_MAX];

/* How a message came into the queue. */
enum sw_queue_via {
	SW_QUEUE_VIA_UNKNOWN,
	SW_QUEUE_SENDMAIL,	/* by the sendmail program */
	SW_QUEUE_LOCAL,		/* by SMTP from this machine */
	SW_QUEUE_AUTH,		/* by SMTP of an authenticated user */
	SW_QUEUE_REMOTE,	/* by SMTP from elsewhere */
	SW_QUEUE_SERVER,	/* made by the mail server: bounces, warnings */
	_SW_QUEUE_VIA_MAX,
};

/* As in JSON; NULL for SW_QUEUE_VIA_UNKNOWN. */
extern const char *const sw_queue_via_names[_SW_QUEUE_VIA_MAX];

struct sw_queue_config {
	const char *spool;	/* NULL: that of each mail server found on this machine */
	bool one_mta;		/* only `mta`; else all, or with `spool` the one it looks like */
	enum sw_queue_mta mta;
	bool frozen, bounces;	/* only frozen messages, only bounces */
	/* For `backscatter`, refreshed: whose domains are this machine's. NULL: only its name. */
	struct sw_domains *domains;
};

struct sw_queue_sum {
	uint64_t messages;
	uint64_t recipients;	/* still waiting */
	uint64_t size;		/* bytes of the files that hold the messages */
	uint64_t frozen;	/* on hold in postfix; qmail has nothing like it */
	uint64_t bounces;	/* with the null sender */
	uint64_t backscatter;	/* those of them made here for somebody elsewhere */
	time_t oldest, newest;	/* when they were received; 0: there are none */
};

/* Messages of the same origin. Texts are cut at SW_QUEUE_TEXT_MAX bytes, then "..." ends them. */
struct sw_queue_group {
	uint32_t uid;		/* that handed it in; SW_UID_NONE: not known, or nobody here */
	enum sw_queue_via via;
	char *auth;		/* authenticated user; NULL: none */
	char *script;		/* as the header says; NULL: none */
	char *sender;		/* envelope sender; "": null sender; NULL: not known */
	struct sw_queue_sum sum;
	enum sw_queue_mta mta;	/* of the oldest message */
	char message[32];	/* its id */
};

#define SW_QUEUE_TEXT_MAX 512

/* Beyond so many groups further messages are summed by UID and `via` only. */
#define SW_QUEUE_GROUPS_MAX (1U << 17)

struct sw_queue_spool {
	enum sw_queue_mta mta;
	char *path;
	struct sw_queue_sum sum;
	/* Messages that are not in `sum`: gone before they were read; still being written, or
	 * broken; not to be opened. And names that no message has, and what is no plain file. */
	uint64_t vanished, incomplete, unreadable, strange;
};

struct sw_queue {
	struct sw_queue_spool *spool;
	size_t n_spools;
	struct sw_queue_sum sum;
	struct sw_queue_group *group;
	size_t n_groups;
	time_t now;		/* when the scan began */
};

/*
 * Reads all spools. 0 and `ret`, to be freed with sw_queue_free(); -ENOENT: there is no spool, or
 * `spool` is none; -EACCES and the like: the only one cannot be opened; -ENOMEM. `ret` is written
 * on success only.
 */
int sw_queue_scan(const struct sw_queue_config *c, struct sw_queue *ret);
void sw_queue_free(struct sw_queue *q);

/* How many messages each mail server has, by reading directories only: for whoever wants to know
 * often. Of `c` the filters are ignored. Same results as sw_queue_scan(). */
int sw_queue_count(const struct sw_queue_config *c, uint64_t ret[_SW_QUEUE_MTA_MAX]);

/* ---- Ranking: queue_rank.c ---- */

enum sw_queue_by {
	SW_QUEUE_BY_UID, SW_QUEUE_BY_DOMAIN, SW_QUEUE_BY_SENDER, SW_QUEUE_BY_SCRIPT,
	SW_QUEUE_BY_AUTH, _SW_QUEUE_BY_MAX,
};

enum sw_queue_sort {
	SW_QUEUE_SORT_MESSAGES, SW_QUEUE_SORT_RECIPIENTS,
	SW_QUEUE_SORT_AGE,	/* that with the oldest message first */
	SW_QUEUE_SORT_SIZE, _SW_QUEUE_SORT_MAX,
};

struct sw_queue_rank {
	enum sw_queue_by by;
	enum sw_queue_sort sort;
	uint32_t top;		/* 0: no limit */
};

struct sw_queue_row {
	struct sw_queue_sum sum;
	const struct sw_queue_group *most;	/* of what was summed, that with most messages */
	const struct sw_queue_group *oldest;	/* and that with the oldest one */
	struct sw_report_site site;		/* of `most` */
};

struct sw_queue_rows {
	struct sw_queue_row *row;
	size_t n;
	size_t n_all;		/* before `top` cut them */
};

/* Whose a group is. Values of `source` beside those of sw_attribute(): auth (the authenticated
 * user's domain), script (what the header says, never of another account), sender (its domain is
 * one of the account's, or the client is not known otherwise). 0 or -ENOMEM. */
int sw_queue_attribute(struct sw_domains *d, const struct sw_queue_group *g,
		       struct sw_report_site *ret);

/* Sums and sorts. `ret`, written on success only, refers to `q` and `d` (NULL: no domain is
 * known); free its `row`. 0 or -ENOMEM. */
int sw_queue_rank(const struct sw_queue_rank *what, const struct sw_queue *q, struct sw_domains *d,
		  struct sw_queue_rows *ret);

/* Prints a ranking on standard output. 0; -errno when not all could be written. */
int sw_queue_print(const struct sw_queue_rank *what, const struct sw_options *o,
		   const struct sw_queue *q, struct sw_domains *d);

#endif
