/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the tests of existing connections share: a network of their own, and a policy that denies
 * one account of theirs, so that the search, which goes through the whole machine, closes nothing
 * of anybody else.
 */
#ifndef EXISTING_LAB_H
#define EXISTING_LAB_H

#include <stdbool.h>
#include <sys/types.h>

#include "client.h"
#include "existing.h"

/* Of no other test: whatever else these have on this machine would be closed. */
#define DENIED	61771
#define OTHER	61772

/* Addresses that nothing answers at, on a wire. */
#define SILENT4	"198.51.100.9"
#define SILENT6	"2001:db8:1::9"

#define WHO(real, effective, address, at) \
	.ruid = (real), .euid = (effective), .to = (address), .port = (at)

#define LAB_ASKED_MAX 64

/* What the policy was asked about accounts of the test in the last run. */
extern struct sw_query lab_asked[LAB_ASKED_MAX];
extern size_t lab_n_asked;
extern pid_t lab_victim;	/* killed when the policy is asked next */

/* Network and mount namespace of its own: 203.0.113.0/24 and 2001:db8::/64 are local, /run is
 * empty. 0 or -1. */
int lab_set_up(void);

/* For ports 25 and 587. */
struct sw_existing_job lab_job(bool closing);

/* Runs that job; nothing may be missed but what this machine hides from root. */
void lab_run(bool closing, struct sw_existing_list *l);

/* The row of a connection, or NULL. */
const struct sw_existing *lab_row(const struct sw_existing_list *l, const struct client *c);

/* The peer got a reset, the owner ECONNABORTED. */
void lab_assert_cut(const struct client *c);

ino_t lab_inode(const char *path);

#endif
