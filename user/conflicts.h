/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Rules of packet filters that decide by owner about SMTP, as other tools leave them. Beside the
 * hooks they are a second policy: what smtpwall lets through they may still drop, a little later,
 * when the packet leaves.
 *
 * Sources of the formats: iptables-save(8) and iptables-extensions(8) (owner, tcp, multiport);
 * nft(8), "list ruleset"; CSF's chain name from what `csf -l` shows.
 */
#ifndef SW_CONFLICTS_H
#define SW_CONFLICTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health.h"

#define SW_CHAIN_NAME	64
#define SW_CHAIN_RULE	160	/* what is shown of a rule */

/* Who printed it. */
enum sw_filter {
	SW_FILTER_IPTABLES,
	SW_FILTER_IP6TABLES,
	SW_FILTER_LEGACY,
	SW_FILTER_LEGACY6,
	SW_FILTER_NFT,
	_SW_FILTER_MAX,
};

struct sw_chain {
	enum sw_filter filter;
	char family[8];			/* as nft calls it: ip, ip6, inet */
	char table[SW_CHAIN_NAME], name[SW_CHAIN_NAME];
	bool base;			/* the kernel calls it */
	bool output;			/* for packets that leave */
	bool called;			/* another chain does */
	unsigned int rules;		/* all */
	unsigned int owner_rules;	/* that decide by owner about a port of the policy */
	char first[SW_CHAIN_RULE];	/* of those, as it was printed: any bytes */
};

/* Found so far. A chain is there once: nft shows those of iptables, too. */
struct sw_chains {
	struct sw_chain *item;
	size_t n, room;
	const uint16_t *ports;	/* of the policy */
	size_t n_ports;
};

/* Adds the chains of what iptables-save(8) and its like, or `nft list ruleset`, printed. Chains that
 * are there from before are left alone. 0 or -ENOMEM. */
int sw_chains_add(struct sw_chains *c, enum sw_filter filter, const char *text);
void sw_chains_free(struct sw_chains *c);

/* One sentence for each chain that is in the way. */
void sw_chains_tell(const struct sw_chains *c, struct sw_texts *ret);

/* The same for this network namespace, from the programs that are installed here. One that is
 * missing or fails has no rules. No kernel module is loaded for it. */
void sw_conflicts_rules(const uint16_t *ports, size_t n_ports, struct sw_texts *ret);

#endif
