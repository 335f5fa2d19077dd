/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The policy as user space holds it: text already parsed and resolved, no BPF, no root. */
#ifndef SW_POLICY_H
#define SW_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "alert_config.h"
#include "smtpwall_abi.h"

enum sw_refuse { SW_REFUSE_REFUSED, SW_REFUSE_PERMISSION, SW_REFUSE_UNREACHABLE };
enum sw_mta_choice { SW_MTA_AUTO, SW_MTA_NONE };

/* One exempt identity and where it was written. */
struct sw_exempt {
	enum sw_kind kind;
	uint64_t id;		/* UID or GID; cgroups are in sw_policy.cgroups */
	char *name;		/* as people know it: user or group */
	uint32_t source;	/* index into sw_policy.sources */
	uint32_t line;		/* 0: the source as a whole */
};

/* A cgroup that the policy names by path; it need not be there yet. */
struct sw_policy_cgroup {
	char *path;		/* below the v2 root, without empty components */
	uint64_t id;		/* 0: there is none under this path now */
	bool exempt;
	uint32_t who;		/* its number in allow rules, 1 and up; 0: it has none */
	uint8_t level;		/* depth below the root, 1 and up */
	uint32_t source, line;	/* of the exemption */
};

struct sw_prefix {
	uint8_t addr[16];	/* IPv4 as v4-mapped; nothing set beyond `len` */
	uint8_t len;		/* 0 to 128; of an IPv4 prefix 96 more than people write */
};

/* An allow rule. */
struct sw_allow_rule {
	enum sw_kind kind;	/* SW_KIND_UID, _GID, _CGROUP, _ANY */
	uint32_t who;		/* UID, GID, sw_policy_cgroup.who, 0 */
	struct sw_prefix *dest;	/* malloc'd; of a host name: its addresses, none before they are known */
	size_t n_dest;
	char *host;		/* the destination as a host name, or NULL */
	uint16_t port[SW_MAX_PORTS];
	size_t n_ports;		/* 0: every port of the policy */
	struct sw_quota quota;
	char *text;		/* the rule in its canonical form, without the limit */
	uint64_t id;		/* hash of `text`: its window survives an apply */
	uint32_t source, line;
};

/*
 * The limit of an account, or of each member of a group. With `unknown` also those of kind
 * SW_KIND_ANY: of SW_UID_NONE that of accounts which are not known, and of each known one the default.
 */
struct sw_policy_limit {
	enum sw_kind kind;	/* SW_KIND_UID, SW_KIND_GID, SW_KIND_ANY */
	uint32_t id;
	struct sw_quotas quotas;
	bool by_group;		/* an account's, because it is a member of a group that has it */
	uint32_t source, line;
};

/* The limit of the account that owns a domain: no limit yet before sw_limit_known(). */
struct sw_domain_limit {
	char *domain;
	struct sw_quotas quotas;
	uint32_t source, line;
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
	bool outcomes;		/* what becomes of SMTP connections is counted */

	uint32_t max_uids;	/* rows of the per-account table */
	uint32_t max_origins;	/* rows of the per-directory table */
	uint32_t event_buffer;	/* bytes, a power of two and at least a page */

	struct sw_place deny_at, count_at, local_at;	/* of deny_ports, count_ports, allow_local */
	struct sw_place default_at, server_at;		/* of [limit] default and server */

	struct sw_quotas default_quota, server_quota;
	struct sw_quotas unknown_quota;	/* where unknown_at.line is not 0 */
	struct sw_place unknown_at;
	uint32_t deny_for_s;	/* 0: exceeding a limit denies nobody */
	uint32_t redirect4;	/* network order; 0: not chosen */
	uint8_t redirect6[16];	/* all zero: not chosen */
	uint16_t redirect_port;
	char *domain_sources;	/* [domains] sources; NULL: auto */
	char *domain_root;	/* [domains] root; NULL: this machine */

	/* What the monitor does; nothing of it changes a verdict. */
	uint32_t history_days;	/* how long counters by the hour are kept; 0: no history */
	uint32_t history_events;	/* how many events are kept */
	char *metrics_listen;	/* unix:/PATH, or a loopback address and port; NULL: nothing listens */
	char *metrics_textfile;	/* for the node exporter; NULL: none */
	uint32_t metrics_top;	/* offenders with series of their own */
	struct sw_alert_config alerts;

	struct sw_exempt *exempt;
	size_t n_exempt;
	uint32_t *exempt_index;	/* hash table of positions in exempt + 1; 0: free */
	size_t n_index;		/* its slots, a power of two, at least twice n_exempt */
	struct sw_policy_cgroup *cgroups;
	size_t n_cgroups;
	struct sw_allow_rule *rules;
	size_t n_rules;
	uint32_t *rule_index;	/* by id; like exempt_index */
	size_t n_rule_index;
	struct sw_policy_limit *limits;
	size_t n_limits;
	uint32_t *limit_index;	/* like exempt_index */
	struct sw_domain_limit *domain_limits;
	size_t n_domain_limits;
	size_t n_limit_index;
	char **sources;		/* [0] is "built-in default" */
	size_t n_sources;

	uint64_t config_digest;	/* of the files it was read from */
	bool forced;		/* it may cut a mail server off */
};

/* The built-in default: deny 25, count 465 and 587, root and mail exempt (mail only where it is
 * a system account). `ret` is initialised; 0, or -ENOMEM and then nothing needs freeing. */
int sw_policy_default(struct sw_policy *ret);

/* The same for two policies that decide alike, wherever their parts are written: what resolvers,
 * user databases and mail servers say today is in it. */
uint64_t sw_policy_digest(const struct sw_policy *p);

/* Frees everything `p` owns and leaves it empty; harmless when called twice. */
void sw_policy_free(struct sw_policy *p);

/* Adds text to p->sources; its index, or -ENOMEM. Text that is there already is reused. */
int sw_policy_add_source(struct sw_policy *p, const char *text);

/* Adds a user or group; one that is there already (same kind and id) is left as it was.
 * `name` is copied. 0 or -ENOMEM. */
int sw_policy_add_exempt(struct sw_policy *p, enum sw_kind kind, uint64_t id, const char *name,
			 uint32_t source, uint32_t line);

/* Takes out every identity that `source` exempts. */
void sw_policy_drop_source(struct sw_policy *p, uint32_t source);

/* The entry that exempts (kind, id), or NULL. Owned by `p`. */
const struct sw_exempt *sw_policy_find(const struct sw_policy *p, enum sw_kind kind, uint64_t id);

/*
 * The entry of a cgroup path, made at first sight (exempt and who unset); NULL without memory.
 * Good until the next call. `id` is 0 where there is no such cgroup now.
 */
struct sw_policy_cgroup *sw_policy_cgroup(struct sw_policy *p, const char *path, uint64_t id);

/* Gives an entry its number in allow rules, once, and returns it. */
uint32_t sw_policy_cgroup_who(struct sw_policy *p, struct sw_policy_cgroup *c);

/* Takes over `r` with all it owns; computes its id. 0; -EEXIST when a rule with the same text is
 * there (its index in *ret_other); -ENOMEM. On failure `r` stays the caller's. */
int sw_policy_add_rule(struct sw_policy *p, const struct sw_allow_rule *r, size_t *ret_other);
void sw_allow_rule_free(struct sw_allow_rule *r);

/* The rule with this id, or NULL. Owned by `p`. */
const struct sw_allow_rule *sw_policy_find_rule(const struct sw_policy *p, uint64_t id);

/* Gives rule `i`, whose destination is a host name, its addresses. 0 or -ENOMEM. */
int sw_policy_set_addresses(struct sw_policy *p, size_t i, const uint8_t (*addr)[16], size_t n);

/* Adds a limit; one that is there (same kind and id) is replaced only when it was by_group and
 * the new one is not. 0, -EEXIST when it was left, -ENOMEM. */
int sw_policy_add_limit(struct sw_policy *p, const struct sw_policy_limit *l);
const struct sw_policy_limit *sw_policy_find_limit(const struct sw_policy *p, enum sw_kind kind,
						   uint32_t id);

#define SW_QUOTAS_NONE { { { SW_UNLIMITED, SW_UNLIMITED }, { SW_UNLIMITED, SW_UNLIMITED }, \
			   { SW_UNLIMITED, SW_UNLIMITED }, { SW_UNLIMITED, SW_UNLIMITED } } }

/* Whether there is a limit at all: of one, and of any of the channels. */
bool sw_quota_limits(struct sw_quota q);
bool sw_quotas_limit(const struct sw_quotas *q);

/* direct, local, sendmail, all: as the configuration has it; never NULL. */
const char *sw_channel_name(enum sw_channel channel);

/* Words of the configuration file for an enum value, and for reports; never NULL. */
const char *sw_mode_name(enum sw_mode mode);
const char *sw_kind_name(enum sw_kind kind);	/* user, group, cgroup, any, ... */
const char *sw_verdict_name(enum sw_verdict verdict);	/* allow deny observe limited redirect */

#endif
