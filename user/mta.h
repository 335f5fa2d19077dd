/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mail servers of this machine: which are installed, and as which user each delivers mail. */
#ifndef SW_MTA_H
#define SW_MTA_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "policy.h"

struct sw_mta {
	const char *name;	/* "exim", "postfix", ...: static text */
	char *binary;		/* the file that was found */
	char *user;		/* delivery user, or NULL when none could be determined */
	uid_t uid;		/* of `user`; (uid_t)-1 without one */
	char *group;		/* of a server that delivers as its caller, with this group (dma) */
	gid_t gid;
	char *problem;		/* why it is not usable (ordinary account, no user), or NULL */
};

struct sw_mta_list {
	struct sw_mta *item;
	size_t n;
};

/*
 * Finds the mail servers installed below `root` ("" for this machine). The delivery user comes
 * from the mail server itself where it can say so (exim -bP exim_user, postconf -h mail_owner),
 * else from its packager's well-known names. A user is only ever taken when it is a system
 * account (below UID_MIN of login.defs) - an ordinary account that happens to be called
 * "postfix" gets `problem` instead. 0 or -errno; the caller frees `ret`.
 */
int sw_mta_find(const char *root, struct sw_mta_list *ret);
void sw_mta_free(struct sw_mta_list *l);

/* Adds each usable delivery user (or group) as an exempt identity, with a source such as
 * "delivery user of exim (/usr/sbin/exim4)". 0 or -ENOMEM. */
int sw_mta_exempt(const struct sw_mta_list *l, struct sw_policy *p);

/* A program that listens on TCP port 25 of this network namespace. */
struct sw_listener {
	pid_t pid;		/* 0 when its process could not be found */
	uid_t uid;		/* effective UID of the process; of the socket when pid is 0 */
	char *exe;		/* resolved path of its program, or NULL */
};

struct sw_listener_list {
	struct sw_listener *item;
	size_t n;
};

/* Listeners on `port` of any family, by sock_diag and /proc. 0 or -errno; caller frees. */
int sw_listeners_find(unsigned int port, struct sw_listener_list *ret);
void sw_listeners_free(struct sw_listener_list *l);

/*
 * Would enforcing `p` cut off a mail server? True when a server of `l` has no exempt delivery
 * user, or when a listener's program is no server of `l` and the user it runs as is not exempt,
 * or it is an unknown program under root (whose delivery user cannot be known) while p->mta is
 * SW_MTA_AUTO. `why` (may be NULL) then receives one sentence with the next step, malloc'd.
 */
bool sw_mta_would_be_denied(const struct sw_policy *p, const struct sw_mta_list *l,
			    const struct sw_listener_list *listeners, char **why);

#endif
