/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Making a policy the one in force: load beside, verify, swap, wait, clean up. */
#ifndef SW_APPLY_H
#define SW_APPLY_H

#include <stdint.h>

#include "policy.h"

/* Which instance: everything a command needs to find it. */
struct sw_target {
	const char *pin_dir;
	const char *cgroup;	/* NULL: the root of the v2 hierarchy */
	const char *disable;	/* features forced off, or NULL */
	const char *state_dir;	/* where windows of limits come from after a boot; NULL: nowhere */
};

/*
 * Makes `p` the policy in force on the target. What is not loaded is loaded, what is partly
 * there is repaired, and running programs are replaced in place: every connect sees wholly the
 * old or wholly the new policy. On any failure the running policy stays and one error is logged.
 * 0; -EINVAL and -EAGAIN are the caller's mistakes (bad target, second loader); other -errno.
 */
int sw_apply(const struct sw_target *t, const struct sw_policy *p);

/* The same, but only while `generation` is in force: -ESTALE when another one is, or none. */
int sw_apply_over(const struct sw_target *t, const struct sw_policy *p, uint32_t generation);

/*
 * The same on trial: unless sw_apply_confirm() is called or another policy is applied within
 * `seconds`, a process of its own that is left behind puts back what was in force before, or
 * turns everything off when nothing was. 0 or an error as above.
 */
int sw_apply_trial(const struct sw_target *t, const struct sw_policy *p, uint32_t seconds);

/* Keeps a policy that is on trial. 0; -ENOENT when none is; other -errno. Logs one error. */
int sw_apply_confirm(const struct sw_target *t);

/*
 * Turns the target off: links and maps unpinned, and waits until its programs are gone from the
 * cgroup. 0; -ENOENT when nothing is in force; other -errno. Logs one error on failure.
 */
int sw_off(const struct sw_target *t);

#endif
