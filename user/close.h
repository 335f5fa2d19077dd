/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Connections that were made before the policy (or a temporary deny) that now denies them. */
#ifndef SW_CLOSE_H
#define SW_CLOSE_H

#include "live.h"

/*
 * Looks for established SMTP connections of identities that `l` denies, below the cgroup it is
 * attached to and in every network namespace that can be reached, closes them where `close` is true, and logs one line for each
 * account. What could not be looked at is a warning. 0 or -errno; the policy is in force in any
 * case.
 */
int sw_close_denied(const struct sw_live *l, bool close);

#endif
