/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A private smtpwall: its own cgroup, pin directory and configuration, for one test program. */
#ifndef WALL_H
#define WALL_H

#include <stdint.h>
#include <sys/types.h>

#include "apply.h"
#include "live.h"
#include "policy.h"
#include "probe.h"
#include "smtpwall_abi.h"

/* Everything that is pinned while a plain policy is in force, sorted. */
#define WALL_PINS	"link_connect4 link_connect6 link_exec link_outcome sw_allow " \
			"sw_cgroup_paths sw_cgroups sw_chains sw_conns sw_control " \
			"sw_counters sw_denied sw_dests sw_events sw_exempt sw_hours " \
			"sw_limits sw_local sw_mailer_names sw_mailers sw_origins " \
			"sw_outcomes sw_peers sw_sources sw_uid_stats sw_usage "

#define WALL_STR2(x)	#x
#define WALL_STR(x)	WALL_STR2(x)
#define WALL_DIR	"v" WALL_STR(SW_ABI_VERSION)

struct wall {
	char cgroup[128];
	char pin_dir[64];
	char config[64];	/* file written by wall_policy() */
	struct sw_target target;
};

/*
 * Makes the cgroup; nothing is in force yet. Fails the test program when it cannot. Features that
 * SMTPWALL_DISABLE names are taken for missing, as on a lesser kernel.
 */
void wall_open(struct wall *w);

/* Takes everything down and removes the cgroup. */
void wall_close(struct wall *w);

/* Whether a policy applied here can count on the feature. */
bool wall_has(enum sw_feature_id feature);

/* What a denied connect ends with: ECONNREFUSED, the default of the configuration, or EPERM where
 * the kernel leaves no choice. */
int wall_refusal(void);

/* Parses `text` as a configuration file; must be valid. The caller frees `ret`. */
void wall_policy(struct wall *w, const char *text, struct sw_policy *ret);

/* Parses and applies; the result of sw_apply(). */
int wall_apply(struct wall *w, const char *text);

/* Reads what is in force; the caller closes it. */
void wall_live(const struct wall *w, struct sw_live *ret);

/* One account's row, all zero when there is none. */
void wall_row(const struct wall *w, struct sw_uid_key key, struct sw_uid_stats *ret);
uint64_t wall_uid(const struct wall *w, uint32_t uid, enum sw_slot slot);

/* Sum of all slots of all account rows, and of all origin rows. */
uint64_t wall_total(const struct wall *w);
uint64_t wall_total_origins(const struct wall *w);
uint64_t wall_counter(const struct wall *w, enum sw_counter which);

/* Moves the caller into the wall's cgroup. For children: the test itself stays outside. */
void wall_enter(const struct wall *w);

#endif
