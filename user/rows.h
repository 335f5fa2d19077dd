/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy as rows of the generation-keyed maps, and its settings as read-only data. */
#ifndef SW_ROWS_H
#define SW_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "policy.h"
#include "probe.h"

/* Policy and kernel features to what the programs are loaded with. Pure. */
void sw_rows_settings(const struct sw_policy *p, const struct sw_features *f,
		      uint32_t generation, struct sw_settings *ret);

/* Whether any limit is of executions of sendmail. */
bool sw_limits_sendmail(const struct sw_settings *s);

/* Refusal a denied program sees, as a positive errno. */
int sw_refuse_errno(enum sw_refuse refuse);

/* Rows of sw_exempt for `generation`, in the policy's order. Both arrays are malloc'd and have
 * p->n_exempt entries. 0 or -ENOMEM. Pure. */
int sw_rows_exempt(const struct sw_policy *p, uint32_t generation, struct sw_exempt_key **ret_key,
		   struct sw_exempt_val **ret_val);

/* All rows of one map: keys and values as arrays, malloc'd. */
struct sw_rows {
	void *key, *val;
	size_t key_size, value_size;
	size_t n;
};

void sw_rows_free(struct sw_rows *r);

/* The allow rules as rows of sw_allow for `generation`: one each destination and port. Sorted by
 * key; where two rules have the same key the first in the policy is there. 0 or -ENOMEM. Pure. */
int sw_rows_allow(const struct sw_policy *p, uint32_t generation, struct sw_rows *ret);

/* The limits of accounts and groups as rows of sw_limits, sorted by key. 0 or -ENOMEM. Pure. */
int sw_rows_limits(const struct sw_policy *p, uint32_t generation, struct sw_rows *ret);

/* The cgroups of the policy as rows of sw_cgroup_paths, sorted by key. 0 or -ENOMEM. Pure. */
int sw_rows_cgroup_paths(const struct sw_policy *p, uint32_t generation, struct sw_rows *ret);

/* Writes all of `r` into the map. 0 or -errno. */
int sw_rows_store(int map_fd, const struct sw_rows *r);

/* Reads the map back: 0 when its rows of `generation` are exactly `r`, which is sorted by key;
 * -EIO otherwise. */
int sw_rows_verify(int map_fd, const struct sw_rows *r, uint32_t generation);

/* Rows of sw_exempt for the cgroup `id`, which stands under the path of `c`. 0 or -errno. */
int sw_rows_store_cgroup(int exempt_fd, uint32_t generation, const struct sw_policy_cgroup *c,
			 uint64_t id);

/* Writes `n` rows in one call where the kernel can. 0 or -errno. */
int sw_rows_write(int map_fd, const void *keys, const void *values, size_t key_size,
		  size_t value_size, size_t n);

/* Reads the map back and compares: 0 when every row of `generation` written by
 * sw_rows_exempt() is there, unchanged, and no other row of that generation but those of
 * cgroups, which come and go; -EIO otherwise. */
int sw_rows_verify_exempt(int map_fd, const struct sw_policy *p, uint32_t generation);

/* The texts that rows refer to. 0 or -errno. */
int sw_rows_write_sources(int map_fd, const struct sw_policy *p, uint32_t generation);

/* A place as text for people: "FILE:LINE", or the source alone. Pure. */
void sw_rows_place(const struct sw_policy *p, struct sw_place at, struct sw_source *ret);

/* Deletes all rows whose generation is none of the `n` generations (`keep` true) or is one of
 * them (`keep` false), in a map keyed by generation. 0 or -errno. */
int sw_rows_delete(int map_fd, const uint32_t *generation, size_t n, bool keep);

/* Where the generation lies in the keys of a map: a trie's begin with their prefix length. */
size_t sw_rows_generation_at(int map_fd);

/* Highest generation any row of the map belongs to; 0 for an empty map. */
uint32_t sw_rows_newest(int map_fd);

#endif
