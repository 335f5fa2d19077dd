/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Random policies: as a structure for an oracle that knows nothing of smtpwall's own code, and as
 * the text of a configuration file. Few accounts and addresses, so that rules meet each other.
 */
#ifndef MODEL_H
#define MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy.h"

#define MODEL_LIST	12
#define MODEL_CGROUPS	5
#define MODEL_PORTS	4	/* of each list */
#define MODEL_DESTS	3	/* addresses of a host name */
#define MODEL_KEY	96
#define MODEL_TEXT	16384

/* A fixed sequence for each seed. */
struct dice {
	uint64_t state;
};

uint32_t dice_below(struct dice *d, uint32_t n);	/* 0 to n - 1 */
bool dice_percent(struct dice *d, uint32_t percent);

struct model_rule {
	enum sw_kind kind;
	uint32_t who;			/* UID, GID, index of the cgroup, 0 */
	char host[32];			/* "" unless the destination is a host name */
	uint8_t addr[MODEL_DESTS][16];	/* IPv4 as v4-mapped; bits beyond `len` may be set */
	uint8_t len[MODEL_DESTS];
	size_t n_dest;
	uint16_t port[MODEL_PORTS];
	size_t n_ports;			/* 0: every port */
	struct sw_quota quota;
	char key[MODEL_KEY];		/* tells it from all others, in any policy */
};

struct model_limit {
	enum sw_kind kind;
	uint32_t id;
	struct sw_quota quota;
};

struct model {
	enum sw_mode mode;
	enum sw_refuse refuse_with;
	bool allow_local, strict, containers_exempt;
	uint16_t deny_port[MODEL_PORTS], count_port[MODEL_PORTS];
	size_t n_deny, n_count;
	bool redirect4, redirect6;	/* redirect_to names an address of this family */
	uint16_t redirect_port;
	uint32_t uid[MODEL_LIST], gid[MODEL_LIST];	/* exempt */
	size_t n_uids, n_gids;
	bool cgroup[MODEL_CGROUPS];	/* exempt */
	uint32_t mail_uid;		/* never redirected; 0: nobody */
	struct model_rule rule[MODEL_LIST];
	size_t n_rules;
	struct model_limit limit[MODEL_LIST];
	size_t n_limits;
	struct sw_quota by_default, server;
	bool deny_for;			/* who exceeds a limit is denied for a time */
};

/* What policies are made of. */
struct model_world {
	const uint32_t *uid, *gid;
	size_t n_uids, n_gids;
	const char *cgroup[MODEL_CGROUPS];	/* paths below the v2 root; the last is not there */
	const uint8_t (*own)[16];		/* addresses of this machine */
	size_t n_own;
	uint16_t redirect_port;
	bool no_redirect, no_cgroups;		/* this kernel cannot do them */
};

void model_roll(struct dice *d, const struct model_world *w, struct model *ret);

/* An address to ask for: of this machine, in or near the destination of a rule, or any other. */
void model_roll_address(struct dice *d, const struct model_world *w, const struct model *m,
			uint8_t ret[16]);
uint16_t model_roll_port(struct dice *d, const struct model *m);

/* The policy as smtpwall.conf; host names get their addresses with model_resolve(). */
void model_write(const struct model *m, const struct model_world *w, char text[MODEL_TEXT]);

/* What is in no configuration file: the addresses of host names, the user of the mail server. */
void model_resolve(const struct model *m, struct sw_policy *p);

#endif
