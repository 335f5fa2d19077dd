/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Is the policy really in force? Measured, never remembered. */
#ifndef SW_HEALTH_H
#define SW_HEALTH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "apply.h"
#include "live.h"

struct sw_texts {
	char **item;
	size_t n;
};

/* Adds one sentence; out of memory loses it and counts in nothing. */
void sw_texts_add(struct sw_texts *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void sw_texts_free(struct sw_texts *t);

struct sw_health {
	struct sw_texts problems;	/* none: healthy */
	char *cgroup_path;
	int cgroup_fd;			/* -1: could not be opened, which is a problem too */
};

/*
 * Judges `l` for target `t`: pins, links, programs, maps, the cgroup's effective programs. When
 * a foreign program runs after ours it could change our verdict, and the canary is sent to see.
 * Always fills `ret`; free it with sw_health_free().
 */
void sw_health_check(const struct sw_target *t, const struct sw_live *l, struct sw_health *ret);
void sw_health_free(struct sw_health *h);

/*
 * Sends the canary and judges its answers, adding a problem for each connect that was not
 * treated as the mode of `l` says: refused with the chosen errno and counted, or in observe
 * mode let through and counted.
 */
void sw_health_canary(const struct sw_live *l, int cgroup_fd, struct sw_texts *problems);

/* Other tools on this machine that handle outgoing SMTP too: CSF, cPanel, Imunify360, CSM. `root`
 * is "" for this machine. */
void sw_conflicts_find(const char *root, struct sw_texts *ret);

#endif
