/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of an apply: order (apply.c), maps and programs (apply_maps.c), rows (apply_rows.c), a
 * policy on trial (trial.c). Nothing else includes this. */
#ifndef SW_APPLY_INT_H
#define SW_APPLY_INT_H

#include "apply.h"
#include "attach.h"
#include "kern.h"
#include "live.h"
#include "locals.h"
#include "pins.h"
#include "probe.h"

#define SW_APPLY_SMALL_MAP	4096	/* entries; a larger map is replaced, not cleaned */

/* Everything one apply works on. */
struct sw_session {
	const struct sw_policy *policy;
	struct sw_pins pins;
	struct sw_live live;
	struct sw_features features;
	uint32_t over;		/* the generation that has to be in force; 0: any, or none */
	struct sw_settings settings;
	struct sw_kern kern;
	struct sw_watch watch;
	int root_fd;		/* of the v2 hierarchy, for cgroups of the policy; -1: none named */
	int cgroup_fd;
	char *cgroup_path;
	char *staged;		/* directory to be published, or NULL: pins.dir is there */
	struct sw_addrs locals;
	bool replaced[_SW_MAP_MAX];	/* a larger map takes the place of the pinned one */
};

/* Maps whose rows belong to a generation. */
#define SW_APPLY_N_KEYED	6
extern const enum sw_map_id sw_apply_keyed[SW_APPLY_N_KEYED];

/* Decides whether each of these maps can be used on or is replaced by a larger one. */
void sw_apply_plan_maps(struct sw_session *s);

/* Loads the programs on the maps. 0, or -errno after an error was logged. */
int sw_apply_load(struct sw_session *s);

/* Writes the new generation completely and reads it back, while nothing looks at it yet. 0 or
 * -errno. */
int sw_apply_write_rows(const struct sw_session *s);

/* Deletes the rows of the new generation (`keep` false) or of all others (`keep` true). 0 or
 * -errno. */
int sw_apply_delete_rows(const struct sw_session *s, bool keep);

/* Deletes the rows of applies that were killed before they came into force, or before they
 * removed the old ones. 0 or -errno. */
int sw_apply_delete_strays(const struct sw_session *s);

/* Returns when no program looks at rows any more that were out of force before. 0 or -errno. */
int sw_apply_grace(void);

/* An empty one for `p`, which may be closed. */
void sw_apply_init(struct sw_session *s, const struct sw_policy *p);

/* Everything beside the running policy, which is not touched: programs loaded, rows written. 0, or
 * -errno after an error was logged. */
int sw_apply_prepare(const struct sw_target *t, struct sw_session *s);

/* The new policy comes into force, with everything of the old one still there; or all is as
 * before: 0, or -errno after an error was logged. */
int sw_apply_switch(struct sw_session *s);

/* Gives the pins of maps that were replaced by larger ones to these. 0 or -errno. */
int sw_apply_pin_replaced(const struct sw_session *s);

/* Removes what is left of the old policy. Whatever fails is a warning. */
void sw_apply_finish(struct sw_session *s);
void sw_apply_close(struct sw_session *s);

#endif
