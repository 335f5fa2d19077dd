/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Everything `status` shows, gathered from the kernel in one go. */
#ifndef SW_STATUS_H
#define SW_STATUS_H

#include "health.h"
#include "log.h"
#include "monitor_state.h"
#include "options.h"
#include "policy.h"
#include "probe.h"
#include "stats.h"
#include "usage.h"

struct sw_status_exempt {
	enum sw_kind kind;
	uint64_t id;	/* 0: a cgroup that is not there now */
	char *name;	/* of a cgroup its path; NULL: no such account any more */
	char *why;	/* "FILE:LINE" or the source as a sentence */
};

struct sw_status {
	struct sw_live live;
	struct sw_health health;
	struct sw_features features;
	struct sw_texts conflicts;
	struct sw_status_exempt *exempt;
	size_t n_exempt;
	struct sw_stats stats;	/* empty when nothing is in force */
	size_t n_rules;		/* rows of allow rules: one each address and port */
	size_t n_limits;	/* accounts and groups with a limit of their own */
	struct sw_quotas unknown;	/* of accounts without a domain; the default where none is set */
	struct sw_usage server[_SW_CHANNEL_MAX];	/* how much of the whole server's limits is used */
	struct sw_denied_row *denied;	/* temporary denies */
	size_t n_denied;
	bool has_monitor;	/* it ran here, and says so in `monitor` */
	struct sw_monitor_state monitor;
	uint64_t revert_s;	/* the policy takes itself back in so many seconds; 0: it stays */
};

/* SW_EXIT_GOOD and `ret` (free it with sw_status_free()), or an exit status after one error was
 * logged. An unhealthy state is no error: it is in ret->health. */
int sw_status_read(const struct sw_options *o, struct sw_status *ret);
void sw_status_free(struct sw_status *s);

/* Of the daemon: an object that the caller owns, or NULL; lines of the table. */
struct json_object *sw_status_monitor_json(const struct sw_status *s);
void sw_status_monitor_print(const struct sw_status *s);

#endif
