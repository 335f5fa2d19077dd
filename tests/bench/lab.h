/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Network namespaces of our own. One listens, the others connect to it over veth pairs:
 *
 *	client N 198.51.100.{4N+2} ==== 198.51.100.{4N+1} listener
 *	host 203.0.113.250 ==== 203.0.113.249 listener
 *
 * They live by their descriptors and end with the process that holds them. Nothing else of the
 * host's network is touched.
 */
#ifndef BENCH_LAB_H
#define BENCH_LAB_H

#include <stddef.h>
#include <stdint.h>

#define LAB_CLIENTS	16

enum lab_rules {
	LAB_NONE,	/* no rules at all */
	LAB_OWNERS,	/* the chain of SMTP_BLOCK, one owner rule an account */
	LAB_SET,	/* one nft rule and a set of accounts */
};

struct lab_ruleset {
	enum lab_rules kind;
	const char *command;	/* that takes the rules on standard input */
	uint32_t accounts;	/* BENCH_EXEMPT and up */
	const char *reject;	/* arguments of REJECT, or of nft's reject */
};

struct lab_client {
	int ns;			/* -1: the host */
	uint32_t server;	/* of the listener for this client, network order */
};

struct lab {
	int home;		/* where we came from */
	int listener;
	struct lab_client client[LAB_CLIENTS];
	int n;
};

/* 0 or -errno. */
int lab_open(struct lab *ret);
void lab_close(struct lab *lab);

/* A namespace without any link, as a client that reaches nobody. */
int lab_alone(struct lab *lab);

/* A further client namespace under these rules; its index, or -errno: -ENOENT when the command
 * is not here or its kernel part is missing. */
int lab_client(struct lab *lab, const struct lab_ruleset *rules);

/* The host itself as a client; its index or -errno. */
int lab_host(struct lab *lab);

/* Moves the process into a client's namespace; lab_home() takes it back. 0 or -errno. */
int lab_enter(const struct lab *lab, int client);
int lab_home(const struct lab *lab);

/* A listening socket in the listener's namespace, all addresses, or -errno. */
int lab_listen(const struct lab *lab, uint16_t port);

/* The text of the rules, in a file in memory; a descriptor or -errno. */
int lab_rules_text(const struct lab_ruleset *rules);

#endif
