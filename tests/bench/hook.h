/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exact time of a program: the kernel's own run-time statistics, read around a block of
 * connects. Each goes from a socket bound to lo to a multicast address, which TCP refuses right
 * after the hook: nothing is sent, and the socket can try again.
 */
#ifndef BENCH_HOOK_H
#define BENCH_HOOK_H

#include "gate.h"
#include "report.h"

struct hook_case {
	const char *name;
	int prog;
	uint32_t uid;		/* of the caller; 0: root */
	uint16_t port;
	bool denied;		/* what connect must say */
	const struct gate *drain;	/* whose events to throw away between blocks */
	struct sample ns;
};

struct hook_run {
	struct chain chain;
	int sock;
	bool cold;		/* push everything out of the caches before each connect */
	unsigned int connects;	/* in a block */
	unsigned int rounds;
};

/*
 * `links` programs run for each connect. With one, the figure includes what the machine does at
 * every system call (under some hypervisors the TLB is empty after it); with CHAIN_MAX it is
 * that of a hot program. -EAFNOSUPPORT where there is no IPv6.
 */
int hook_open(int cgroup_fd, enum family family, int empty, int links, struct hook_run *ret);
void hook_close(struct hook_run *h);

/* Fills c[i].ns, one value a round, in turns. -EIO when a connect did not end as it must. */
int hook_measure(const struct hook_run *h, struct hook_case *c, unsigned int n);

#endif
