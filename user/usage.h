/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Windows of limits and temporary denies in the kernel: how much is used, who is denied until
 * when, and letting go of both. The kernel counts under the lock of each row; so does everything
 * here.
 */
#ifndef SW_USAGE_H
#define SW_USAGE_H

#include "live.h"
#include "policy.h"

/* The hour of local time as the programs reckon it: hours since 1970. 0 when it cannot be read. */
uint32_t sw_usage_hour(const struct sw_live *l);

/* Moves `u` to the window of `hour` as the kernel does at the next connect. Pure. */
void sw_usage_turn(struct sw_usage *u, uint32_t hour);

/* Makes the windows of the whole server and of the policy's rules, which must not want for room
 * when accounts have filled the table. 0 or -errno. */
int sw_usage_make(int fd, const struct sw_policy *p);

/* Removes the windows of rules that `p` has not. 0 or -errno. */
int sw_usage_prune(int fd, const struct sw_policy *p);

/* How much of a channel's limit is used; see below. */
int sw_usage_get_channel(const struct sw_live *l, enum sw_kind kind, enum sw_channel channel,
			 uint64_t id, struct sw_usage *ret);

/* How much of the limit of direct is used. 0, -ENOENT when nothing was ever used, other -errno. */
int sw_usage_get(const struct sw_live *l, enum sw_kind kind, uint64_t id, struct sw_usage *ret);

/* Empties the windows of (kind, id), of all channels. 0, also when there are none; -errno. */
int sw_usage_reset(const struct sw_live *l, enum sw_kind kind, uint64_t id);

/* Denies `uid` for so many seconds from now on, with 0 until it is released. 0; -E2BIG when the table is full; other -errno. */
int sw_deny_uid(const struct sw_live *l, uint32_t uid, uint32_t seconds, enum sw_denied_by by);

/* Takes a temporary deny back. 0; -ENOENT when there was none; other -errno. */
int sw_deny_release(const struct sw_live *l, uint32_t uid);

/* A temporary deny that has not run out. */
struct sw_denied_row {
	uint32_t uid;
	uint64_t left_s;	/* until it runs out; UINT64_MAX: it does not */
	enum sw_denied_by by;
};

/* All of them, in no order; malloc'd. 0 or -errno. */
int sw_denied_list(const struct sw_live *l, struct sw_denied_row **ret, size_t *ret_n);

/* Forgets denies that ran out more than an hour ago. 0 or -errno. */
int sw_denied_prune(const struct sw_live *l);

#endif
