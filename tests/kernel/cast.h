/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who acts under random policies: accounts and set-uid programs, in cgroups of a wall and in
 * namespaces of their own, and the mail server that they may be redirected to.
 */
#ifndef CAST_H
#define CAST_H

#include "actor.h"
#include "decide.h"
#include "oracle.h"
#include "wall.h"

#define CAST_MEMBERS	15

struct cast {
	struct actor actor[CAST_MEMBERS];
	struct oracle_who who[CAST_MEMBERS];
	char cgroup[MODEL_CGROUPS][64];		/* paths below the v2 root */
	uint64_t cgroup_id[MODEL_CGROUPS];	/* 0: not there */
	int mail_server;			/* listens on every address */
};

/* Starts all of them; fills `world` but for the addresses of this machine. Fails the test program
 * when it cannot. */
void cast_open(const struct wall *w, struct cast *ret, struct model_world *world);
void cast_close(const struct wall *w, struct cast *c);

/* Takes the connections off the mail server's hands. */
void cast_drain(const struct cast *c);

/* Who asks, as explain wants to know it. */
void cast_query(const struct cast *c, unsigned int member, struct sw_query *ret);
const char *cast_describe(const struct cast *c, unsigned int member, char *text, size_t size);

#endif
