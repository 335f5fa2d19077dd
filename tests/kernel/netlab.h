/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A private network: a namespace with listeners, joined to the host by a veth pair, and a
 * container (net, PID and mount namespaces) behind it. Nothing else of the host is touched, and
 * a guard process removes everything even when the caller is killed.
 *
 *	host 203.0.113.{8N+1} swlabN ==== lab0 203.0.113.{8N+2..4} lab, 198.18.N.0/24 behind it
 *	container eth0 198.51.100.{4N+2} ==== lab1 198.51.100.{4N+1} lab
 */
#ifndef NETLAB_H
#define NETLAB_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct attack_ctx;
struct netlab;

struct netlab_opts {
	int instance;		/* 0 to 31; -1: the first that is free */
	uint16_t port;		/* listened on in the lab, TCP and UDP */
	uint16_t control_port;	/* likewise */
	uint16_t local_port;	/* listened on by the host, own addresses only; 0: not */
};

/* Builds the lab; needs root. -EADDRINUSE: the instance, or local_port, is taken. */
int netlab_open(const struct netlab_opts *opts, struct netlab **ret);

/* Removes everything. NULL is ignored. */
void netlab_close(struct netlab *lab);

/* Fills addresses, ports and lab; the identity becomes 61001, mail 8. The rest is zeroed. */
void netlab_context(struct netlab *lab, struct attack_ctx *ret);

/*
 * Connections accepted so far on a port of the lab. Every connection whose handshake ended
 * before the call is included (an echo over the same link comes first: no TCP, so no hook runs).
 * -ENOENT: nobody listens on that port.
 */
int netlab_accepted(struct netlab *lab, uint16_t port, uint64_t *ret);

/* TCP segments with SYN and without ACK that reached the lab for a port, answered or not. */
int netlab_syns(struct netlab *lab, uint16_t port, uint64_t *ret);

/* The same count for the host's listener on local_port. */
int netlab_local_accepted(struct netlab *lab, uint64_t *ret);

/* First process of the container, for /proc/PID/ns and setns(2). */
pid_t netlab_container(const struct netlab *lab);
pid_t netlab_server(const struct netlab *lab);

/* Helpers of single cases, one at a time: the far end of them runs in the lab. */

/* Silently swallows SYNs to the spare address, so that a connect to it stays half open. */
int netlab_swallow(struct netlab *lab, uint16_t port, struct in_addr *ret);

/*
 * The lab connects from `port` of its spare address to `to`, and waits for the outcome; counted
 * as accepted on `port` while netlab_swallow is in force. Ends the swallowing.
 */
int netlab_dial(struct netlab *lab, uint16_t port, const struct sockaddr_in *to);

/* MPTCP connections to the lab are told of `port`, and of the control port, elsewhere. */
int netlab_announce(struct netlab *lab, uint16_t port);

/* Waits until the client has joined at the control port: whether it also joined at `port`. */
int netlab_joined(struct netlab *lab, uint16_t port, bool *ret);

/* Host-side MPTCP limits: raised for a join, and put back (by the guard if the caller dies). */
int netlab_limits_raise(struct netlab *lab);
void netlab_limits_restore(struct netlab *lab);

#endif
