/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that make one connection to a lab and say what they saw, and the local mail server that
 * mode = redirect sends them to instead. Traffic stays on loopback and the lab's veth pair.
 */
#ifndef TALK_H
#define TALK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "attack.h"
#include "netlab.h"
#include "wall.h"

#define TALK_TEXT	"HELO x\r\n"

#define TALK_V6		0x0001u
#define TALK_MAPPED	0x0002u
#define TALK_MPTCP	0x0004u
#define TALK_NONBLOCK	0x0008u
#define TALK_SENDTO	0x0010u	/* MSG_FASTOPEN */
#define TALK_DEFERRED	0x0020u	/* TCP_FASTOPEN_CONNECT */
#define TALK_URING	0x0040u
#define TALK_ASYNC	0x0080u	/* by a worker of the ring */
#define TALK_BIND	0x0100u	/* to the address of the link to the lab */
#define TALK_DEVICE	0x0200u	/* to the link */
#define TALK_NETNS	0x0400u	/* in the container of the lab */
#define TALK_UDP	0x0800u
#define TALK_CONTROL	0x1000u	/* to the control port of the lab */
#define TALK_LINKLOCAL	0x2000u
#define TALK_NO_COOKIE	0x4000u	/* data in the SYN without asking for a cookie */
#define TALK_V6ONLY	0x8000u

struct talk {
	unsigned int how;
	uint32_t uid;			/* 0: 61001 */
	uint16_t port;			/* 0: the lab's port, or its control port */
	int error;			/* of connecting; 0: connected, and the text is sent */
	int skipped;			/* errno that says what this kernel lacks */
	struct sockaddr_in6 asked, peer, name;	/* or struct sockaddr_in at the same place */
};

/* Opens the wall and the lab: 25 is the port, 2500 the control port. 0, or an exit status for
 * main() after the reason was printed. */
int talk_open(struct wall *w, struct netlab **lab, struct attack_ctx *at);
void talk_close(struct wall *w, struct netlab *lab);

/* Runs one talk, in a child in the wall. */
void talk_run(struct talk *t);

/* Pieces of it, for programs that make more of one socket. In the child: a socket, or -errno; the
 * connect with what is sent: 0 or a positive errno; the names that the socket tells. */
int talk_socket(unsigned int how);
int talk_connect(struct talk *t, int fd);
void talk_names(struct talk *t, int fd);

/* Runs `fn` in a child in the wall as account `uid`; what it returns. */
int talk_child(uint32_t uid, int (*fn)(struct talk *), struct talk *t);

bool talk_same(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b);

/* Packets that reached the peer that was asked for, answered or not: since the last call. */
uint64_t talk_escaped(void);

/* The local mail server, in the test itself: on 127.0.0.1, on ::1. Its port, and the next one, are
 * this lab's own. */
extern uint16_t talk_mail_port;
enum { TALK_SERVER4, TALK_SERVER6, TALK_SERVERS };
void talk_serve(bool v4, bool v6);
int talk_listen(const char *address, uint16_t port);

/* Takes one connection that has to come; the text that came with it. */
void talk_take(int which, char text[16]);

/* How many connections wait; they are taken. */
unsigned int talk_waiting(int which);

#endif
