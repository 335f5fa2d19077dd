/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy as user space holds it: text already parsed and resolved, no BPF, no root. */
#ifndef SW_POLICY_H
#define SW_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "smtpwall_abi.h"

enum sw_refuse { SW_REFUSE_REFUSED, SW_REFUSE_PERMISSION, SW_REFUSE_UNREACHABLE };
enum sw_mta_choice { SW_MTA_AUTO, SW_MTA_NONE };

/* One exempt identity and where it was written. */
struct sw_exempt {
	enum sw_kind kind;
	uint64_t id;		/* UID, GID or cgroup id */
	char *name;		/* as people know it: user, group, cgroup path */
	uint32_t source;	/* index into sw_policy.sources */
	uint32_t line;		/* 0: the source as a whole */
	uint8_t level;		/* cgroups only: depth below the root, 1 and up */
};

/* Where a setting was written. */
struct sw_place {
	uint32_t source;	/* index into sw_policy.sources; 0: the built-in default */
	uint32_t line;		/* 0: the source as a whole */
};

struct sw_policy {
	enum sw_mode mode;
	uint16_t deny_ports[SW_MAX_PORTS];
	uint16_t count_ports[SW_MAX_PORTS];
	size_t n_deny_ports, n_count_ports;
	enum sw_refuse refuse_with;
	enum sw_mta_choice mta;
	bool allow_local;
	bool existing_close;
	bool containers_exempt;
	bool strict;
	bool identity_strict;

	uint32_t max_uids;	/* rows of the per-account table */
	uint32_t max_origins;	/* rows of the per-directory table */
	uint32_t event_buffer;	/* bytes, a power of two and at least a page */

	struct sw_place deny_at, count_at, local_at;	/* of deny_ports, count_ports, allow_local */

	struct sw_exempt *exempt;
	size_t n_exempt;
	uint32_t *exempt_index;	/* hash table of positions in exempt + 1; 0: free */
	size_t n_index;		/* its slots, a power of two, at least twice n_exempt */
	char **sources;		/* [0] is "built-in default" */
	size_t n_sources;
};

/* The built-in default: deny 25, count 465 and 587, root and mail exempt (mail only where it is
 * a system account). `ret` is initialised; 0, or -ENOMEM and then nothing needs freeing. */
int sw_policy_default(struct sw_policy *ret);

/* Frees everything `p` owns and leaves it empty; harmless when called twice. */
void sw_policy_free(struct sw_policy *p);

/* Adds text to p->sources; its index, or -ENOMEM. Text that is there already is reused. */
int sw_policy_add_source(struct sw_policy *p, const char *text);

/* Adds an identity; one that is there already (same kind and id) is left as it was.
 * `name` is copied. 0 or -ENOMEM. */
int sw_policy_add_exempt(struct sw_policy *p, enum sw_kind kind, uint64_t id, const char *name,
			 uint32_t source, uint32_t line);

/* Takes out every identity that `source` exempts. */
void sw_policy_drop_source(struct sw_policy *p, uint32_t source);

/* The entry that exempts (kind, id), or NULL. Owned by `p`. */
const struct sw_exempt *sw_policy_find(const struct sw_policy *p, enum sw_kind kind, uint64_t id);

/* Words of the configuration file for an enum value, and for reports; never NULL. */
const char *sw_mode_name(enum sw_mode mode);
const char *sw_kind_name(enum sw_kind kind);	/* user, group, cgroup */
const char *sw_verdict_name(enum sw_verdict verdict);	/* allow deny observe limited redirect */

#endif
