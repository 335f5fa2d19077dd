/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that hold one connection and do with it what they are told. Each makes both ends
 * itself, between two addresses of its network namespace; the far end goes to the caller.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct client_opts {
	uint32_t ruid, euid;	/* while it runs; egid is euid */
	const char *to;		/* address to connect to, of either family */
	uint16_t port;
	bool by_root;		/* socket and connection are made before the identity is taken */
	bool mptcp;
	bool plain_peer;	/* with mptcp: the far end does not speak it */
	bool half_open;		/* nobody listens there: does not wait for the connect */
	bool own_net;		/* in a network namespace of its own, loopback only */
	const char *leaves;	/* names its network namespace so (a file that is there), and goes
				 * home with the connection; with by_root and own_net */
	bool own_pid;		/* in a PID namespace of its own */
	bool in_flight;		/* its descriptor is sent, but nobody has received it */
	bool shared;		/* a second process has its descriptors too, with these ids */
	uint32_t second_ruid, second_euid;
};

struct client {
	pid_t pid;
	int cmd;
	int far;		/* the other end of its connection; -1: half open */
	uint64_t cookie;	/* of its socket */
	uint16_t local_port;
};

/* Returns when the connection is there; fails the test program when it cannot. */
void client_start(const struct client_opts *o, struct client *ret);
void client_stop(struct client *c);

/* The errno of its next read (0: it read something, or the end), and of a write. */
int client_read(const struct client *c);
int client_write(const struct client *c);

/* Shuts down its sending side after filling what the kernel takes. */
void client_fill_and_shut(const struct client *c);

/* Whether a byte gets through in both directions; in either, within a moment. */
bool client_works(const struct client *c);
bool client_is_cut(const struct client *c);

/* errno of a read at the far end: ECONNRESET once it was closed. */
int client_far_read(const struct client *c);

#endif
