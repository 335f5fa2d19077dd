/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the cases share. Functions here run in the child that attack_run() made. */
#ifndef ATTACK_IMPL_H
#define ATTACK_IMPL_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "attack.h"

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

/* Variants of a case: address family first, then how the socket is made and used. */
#define H_V6		0x00000001u
#define H_MAPPED	0x00000002u	/* a v6 socket to ::ffff:target4 */
#define H_LINKLOCAL	0x00000004u
#define H_MPTCP		0x00000008u
#define H_PLAIN_PEER	0x00000010u	/* MPTCP, but the listener speaks plain TCP */
#define H_SMC		0x00000020u	/* AF_SMC */
#define H_SMC_PROTO	0x00000040u	/* AF_INET with IPPROTO_SMC */
#define H_SCTP		0x00000080u
#define H_IPPROTO	0x00000100u	/* IPPROTO_TCP spelled out */
#define H_NONBLOCK	0x00000200u
#define H_BIND		0x00000400u	/* bind(2) to any address first */
#define H_DEVICE	0x00000800u
#define H_RETRY		0x00001000u	/* three tries on one socket */
#define H_CONTROL	0x00002000u	/* to the control port */
#define H_FREE(n)	(0x00010000u << (n))	/* of each file: n = 0 to 15 */

#define AT_TRIES	3
#define AT_THREADS	32

/* The outcome of a case, shared with its grandchildren. */
struct at_page {
	int r;
	bool done;
	char why[ATTACK_WHY];
};

extern struct at_page *at_page;

/* Notes why, and returns the result of that name. */
int at_unsupported(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int at_broken(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/*
 * Errors of a preparation step never look like a refusal: "the kernel lacks it" for the errnos
 * that say so, else broken.
 */
int at_setup_error(const char *what, int err);

/* The target of a variant as a socket address; returns its length. */
socklen_t at_addr(const struct attack_ctx *ctx, unsigned how, struct sockaddr_storage *ret);
socklen_t at_addr_port(const struct attack_ctx *ctx, unsigned how, uint16_t port,
		       struct sockaddr_storage *ret);

/* A socket of a variant, with its options set and bound if asked: 0 or a result > 0. */
int at_socket(const struct attack_ctx *ctx, unsigned how, int *ret);

/* connect(2), the wait of a non-blocking one, the greeting: 0 or -errno. */
int at_connect(const struct attack_ctx *ctx, int fd, const void *sa, socklen_t len);
/* at_addr() and at_connect(), as often as the variant says. */
int at_try(const struct attack_ctx *ctx, int fd, unsigned how);
/* After EINPROGRESS: the outcome of the handshake. */
int at_wait_connect(const struct attack_ctx *ctx, int fd);
/* A connected socket counts once the listener has spoken. */
int at_greeting(const struct attack_ctx *ctx, int fd);

/* Takes an identity, with no supplementary groups. */
int at_become(uid_t uid, gid_t gid);
int at_drop(const struct attack_ctx *ctx);
/* What a change of credentials undid: death with the parent, access to our own /proc. */
void at_after_setuid(void);

/* Runs fn in a child and returns its result. */
int at_fork(const struct attack_ctx *ctx, int (*fn)(const struct attack_ctx *, unsigned),
	    unsigned how);

/* n threads call fn at the same moment: 0 if any connected, else their common -errno. */
int at_threads(const struct attack_ctx *ctx, unsigned n,
	       int (*fn)(const struct attack_ctx *, unsigned), unsigned how);

/* The plain case: a socket of the variant, connected. Other files build on it. */
int at_run_connect(const struct attack_ctx *ctx, unsigned how);

#define ATTACK_TABLE(name) \
	extern const struct attack name[]; \
	extern const size_t name##_n

ATTACK_TABLE(attack_tcp_cases);
ATTACK_TABLE(attack_compat32_cases);
ATTACK_TABLE(attack_tfo_cases);
ATTACK_TABLE(attack_mptcp_cases);
ATTACK_TABLE(attack_uring_cases);
ATTACK_TABLE(attack_handover_cases);
ATTACK_TABLE(attack_ns_cases);
ATTACK_TABLE(attack_cgroup_cases);
ATTACK_TABLE(attack_smc_cases);
ATTACK_TABLE(attack_id_cases);
ATTACK_TABLE(attack_local_cases);
ATTACK_TABLE(attack_control_cases);
ATTACK_TABLE(attack_raw_cases);

#endif
