/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Accounts by name or number, and what counts as a system account. */
#ifndef SW_NAMES_H
#define SW_NAMES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Decimal digits only. 0; -EINVAL when it is no number; -ERANGE when no UID or GID can have it
 * (4294967295 means "no such account" to the kernel). */
int sw_id_parse(const char *text, uint32_t *ret);

/* A name or a number; a number needs no account. `name` (may be NULL) receives the account's
 * name, or the number as text where there is none; the caller frees it.
 * 0; -ENOENT: no such name; -EINVAL: empty; -ERANGE: impossible number; else -errno. */
int sw_user_resolve(const char *text, uid_t *ret, char **name);
int sw_group_resolve(const char *text, gid_t *ret, char **name);

/* UID_MIN of ROOT/etc/login.defs, 1000 where it is not set: accounts of people begin here. */
uint32_t sw_uid_min(const char *root);
bool sw_uid_is_system(uid_t uid);

#endif
