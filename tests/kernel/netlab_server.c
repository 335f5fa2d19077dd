/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The listening process of a lab: greets whoever connects, echoes datagrams, counts, and plays
 * the far end of simultaneous opens and MPTCP joins. One thread, driven by epoll.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "netlab_impl.h"

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING	23
#endif

enum source { S_LISTEN, S_UDP, S_PEER, S_PACKET };

struct port {
	uint16_t port;
	uint64_t accepted;
	uint64_t syns;
	/* Bits of addresses announced last, where a join has begun, and has ended. */
	unsigned joining;
	unsigned joined;
};

struct server {
	const struct netlab_server *cfg;
	int ep;
	int packet;
	int swallow;
	int listeners[16];
	unsigned n_listeners;
	struct port ports[2];
	struct in_addr join4[2];	/* announced last; the kernel itself listens there */
	unsigned joins;
	bool lost;	/* the packet socket overflowed: SYN counts are not exact */
};

static struct port *port_find(struct server *s, uint16_t port)
{
	for (unsigned i = 0; i < 2; i++)
		if (port && s->ports[i].port == port)
			return &s->ports[i];
	return NULL;
}

static int watch_fd(struct server *s, int fd, enum source what)
{
	struct epoll_event ev = { .events = EPOLLIN };

	ev.data.u64 = (uint64_t)what << 32 | (unsigned)fd;

	return epoll_ctl(s->ep, EPOLL_CTL_ADD, fd, &ev) < 0 ? -errno : 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- listening ---- */

static int bound_fd(const struct netlab_listen *at, uint16_t port, int type)
{
	struct sockaddr_in6 addr = at->addr;
	int fd = -1, one = 1, zero = 0;

	type |= SOCK_CLOEXEC | SOCK_NONBLOCK;
	if (at->mptcp && (type & 0xf) == SOCK_STREAM)
		fd = socket(AF_INET6, type, NETLAB_MPTCP);
	if (fd < 0)	/* without MPTCP its cases find out by themselves */
		fd = socket(AF_INET6, type, 0);
	if (fd < 0)
		return -errno;
	addr.sin6_port = htons(port);
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof(zero));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (void *)&addr, sizeof(addr)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

static int open_listener(struct server *s, const struct netlab_listen *at, uint16_t port)
{
	int fd = bound_fd(at, port, SOCK_STREAM), queue = 64;

	if (fd < 0)
		return fd;
	s->listeners[s->n_listeners++] = fd;
	if (listen(fd, 512) < 0)
		return -errno;
	/* MPTCP sockets of older kernels refuse it: then only that combination is missing. */
	setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &queue, sizeof(queue));
	return watch_fd(s, fd, S_LISTEN);
}

static int open_echo(struct server *s, const struct netlab_listen *at, uint16_t port)
{
	int fd = bound_fd(at, port, SOCK_DGRAM);

	return fd < 0 ? fd : watch_fd(s, fd, S_UDP);
}

static int open_listeners(struct server *s)
{
	for (unsigned p = 0; p < 2; p++) {
		for (unsigned i = 0; s->cfg->ports[p] && i < s->cfg->n_at; i++) {
			const struct netlab_listen *at = &s->cfg->at[i];
			int r = open_listener(s, at, s->cfg->ports[p]);

			if (r == 0 && s->cfg->watch)
				r = open_echo(s, at, s->cfg->ports[p]);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int open_packet(struct server *s)
{
	int one = 1, room = 8 << 20;

	s->packet = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL));
	if (s->packet < 0)
		return -errno;
	setsockopt(s->packet, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	setsockopt(s->packet, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return watch_fd(s, s->packet, S_PACKET);
}

/* ---- counting segments ---- */

/* The TCP header of an IPv6 packet: routing headers and the like come before it. */
static const uint8_t *tcp_of_v6(const uint8_t *p, size_t len, size_t *left)
{
	size_t at = sizeof(struct ip6_hdr);
	uint8_t next;

	if (len < at)
		return NULL;
	next = p[6];
	while (next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS) {
		if (at + 8 > len)
			return NULL;
		next = p[at];
		at += ((size_t)p[at + 1] + 1) * 8;
	}
	if (next != IPPROTO_TCP || at > len)
		return NULL;
	*left = len - at;
	return p + at;
}

static const uint8_t *tcp_of(const uint8_t *p, size_t len, size_t *left)
{
	size_t at;

	if (len < sizeof(struct iphdr))
		return NULL;
	if (p[0] >> 4 == 6)
		return tcp_of_v6(p, len, left);
	at = (size_t)(p[0] & 15) * 4;
	if (p[0] >> 4 != 4 || p[9] != IPPROTO_TCP || at > len)
		return NULL;
	*left = len - at;
	return p + at;
}

/* Nobody accepts a join: the third segment of its handshake is what shows it. */
static void join_segment(struct port *port, unsigned bit, uint8_t flags)
{
	port->joining |= bit;
	if ((flags & (TH_SYN | TH_ACK | TH_RST)) == TH_ACK && !(port->joined & bit)) {
		port->joined |= bit;
		port->accepted++;
	}
}

static void segment(struct server *s, const uint8_t *p, size_t len)
{
	size_t left = 0;
	const uint8_t *th = tcp_of(p, len, &left);
	struct port *port;

	if (!th || left < sizeof(struct tcphdr))
		return;
	port = port_find(s, (uint16_t)(th[2] << 8 | th[3]));
	if (!port)
		return;
	if ((th[13] & (TH_SYN | TH_ACK)) == TH_SYN)
		port->syns++;
	for (unsigned i = 0; i < 2 && p[0] >> 4 == 4; i++)
		if (memcmp(p + 16, &s->join4[i], 4) == 0)
			join_segment(port, 1u << i, th[13]);
}

static void drain_packets(struct server *s)
{
	uint8_t buf[256];
	struct tpacket_stats st;
	socklen_t len = sizeof(st);
	ssize_t n;

	if (s->packet < 0)
		return;
	while ((n = recv(s->packet, buf, sizeof(buf), 0)) >= 0)
		segment(s, buf, (size_t)n);
	if (getsockopt(s->packet, SOL_PACKET, PACKET_STATISTICS, &st, &len) == 0 && st.tp_drops)
		s->lost = true;
}

/* ---- serving ---- */

static void greet(struct server *s, int fd)
{
	if (send(fd, NETLAB_GREETING, sizeof(NETLAB_GREETING) - 1, MSG_NOSIGNAL) < 0 ||
	    watch_fd(s, fd, S_PEER) < 0)
		close(fd);
}

static void drain_accepts(struct server *s, int listener)
{
	struct sockaddr_in6 me;
	socklen_t len = sizeof(me);
	struct port *port;
	int fd;

	if (getsockname(listener, (void *)&me, &len) < 0)
		return;
	port = port_find(s, ntohs(me.sin6_port));
	while ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		port->accepted++;
		greet(s, fd);
	}
}

static void echo(int fd)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);
	char buf[64];
	ssize_t n;

	while ((n = recvfrom(fd, buf, sizeof(buf), 0, (void *)&from, &len)) >= 0) {
		/* A lost answer is asked for again by the sender. */
		(void)!sendto(fd, buf, (size_t)n, 0, (void *)&from, len);
		len = sizeof(from);
	}
}

/* The connection stays until the client ends it: an MPTCP client may join late. */
static void peer(int fd)
{
	char buf[256];
	ssize_t n;

	while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
		(void)!send(fd, NETLAB_GREETING, sizeof(NETLAB_GREETING) - 1, MSG_NOSIGNAL);
	if (n == 0 || errno != EAGAIN)
		close(fd);
}

static void serve_events(struct server *s)
{
	struct epoll_event ev[32];
	int n = epoll_wait(s->ep, ev, 32, 0);

	for (int i = 0; i < n; i++) {
		int fd = (int)(uint32_t)ev[i].data.u64;

		switch ((enum source)(ev[i].data.u64 >> 32)) {
		case S_LISTEN:
			drain_accepts(s, fd);
			break;
		case S_UDP:
			echo(fd);
			break;
		case S_PEER:
			peer(fd);
			break;
		case S_PACKET:
			drain_packets(s);
			break;
		}
	}
}

/* ---- requests ---- */

static void query(struct server *s, const struct netlab_req *req, struct netlab_rep *rep)
{
	const struct port *port = port_find(s, req->port);

	for (unsigned i = 0; i < s->n_listeners; i++)
		drain_accepts(s, s->listeners[i]);
	drain_packets(s);
	rep->r = !port ? -ENOENT : s->lost ? -EOVERFLOW : 0;
	rep->count = port ? port->accepted : 0;
	rep->syns = port ? port->syns : 0;
}

static int spare_socket(struct server *s, uint16_t port)
{
	struct sockaddr_in me = { .sin_family = AF_INET, .sin_addr = s->cfg->spare4,
				  .sin_port = htons(port) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1;

	if (fd < 0)
		return -errno;
	/* The swallowing listener and the dialling socket share the port. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
	if (bind(fd, (void *)&me, sizeof(me)) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

/* A listener whose socket filter drops all: no SYN-ACK, and no RST either. */
static int swallow(struct server *s, uint16_t port)
{
	struct sock_filter none[] = { { BPF_RET | BPF_K, 0, 0, 0 } };
	const struct sock_fprog prog = { 1, none };
	int fd = spare_socket(s, port);

	if (fd < 0)
		return fd;
	if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ||
	    listen(fd, 8) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	if (s->swallow >= 0)
		close(s->swallow);
	s->swallow = fd;
	return 0;
}

static int dialled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0;

	if (poll(&p, 1, NETLAB_WAIT_MS) <= 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len) < 0)
		return -errno;
	return -err;
}

static int dial(struct server *s, const struct netlab_req *req)
{
	struct port *port = port_find(s, req->port);
	int fd = spare_socket(s, req->port), r = 0;

	if (fd < 0)
		return fd;
	if (connect(fd, (const void *)&req->to, sizeof(req->to)) < 0)
		r = errno == EINPROGRESS ? dialled(fd) : -errno;
	if (r == 0) {
		if (port && s->swallow >= 0)
			port->accepted++;
		greet(s, fd);
	} else {
		close(fd);
	}
	if (s->swallow >= 0)
		close(s->swallow);
	s->swallow = -1;
	return r;
}

/*
 * Three addresses, joined one after the other in this order or in the reverse, depending on the
 * kernel: the one in the middle is over when both others are there.
 */
static int announce(struct server *s, uint16_t port)
{
	char text[512], addr[2][INET_ADDRSTRLEN];
	unsigned control = s->cfg->ports[1];

	/* New addresses each time: connections in TIME-WAIT keep the port of the old ones busy. */
	for (unsigned i = 0; i < 2; i++) {
		s->join4[i].s_addr = s->cfg->join4.s_addr + htonl(1 + s->joins++ % 254);
		inet_ntop(AF_INET, &s->join4[i], addr[i], sizeof(addr[i]));
		s->ports[i].joining = s->ports[i].joined = 0;
	}
	snprintf(text, sizeof(text),
		 "addr replace %s/32 dev lo\naddr replace %s/32 dev lo\n"
		 "mptcp limits set subflows 8\nmptcp endpoint flush\n"
		 "mptcp endpoint add %s id 1 port %u signal\n"
		 "mptcp endpoint add %s id 2 port %u signal\n"
		 "mptcp endpoint add %s id 3 port %u signal\n",
		 addr[0], addr[1], addr[0], control, addr[0], port, addr[1], control);
	return netlab_ip(text, false);
}

static int joined(struct server *s, const struct netlab_req *req, struct netlab_rep *rep)
{
	const struct port *port = port_find(s, req->port), *control = &s->ports[1];
	int64_t end = now_ms() + NETLAB_WAIT_MS / 2;
	int64_t left;

	if (!port)
		return -ENOENT;
	/* A handshake that has begun may end later than the ones begun after it. */
	while ((control->joined != 3 || port->joining != port->joined) &&
	       (left = end - now_ms()) > 0) {
		struct pollfd p = { .fd = s->ep, .events = POLLIN };

		poll(&p, 1, (int)left);
		serve_events(s);
	}
	netlab_ip("mptcp endpoint flush\n", true);
	rep->count = port->joined != 0;
	return control->joined == 3 ? 0 : -ETIMEDOUT;
}

static void request(struct server *s, const struct netlab_req *req)
{
	struct netlab_rep rep = { .id = req->id };

	switch ((enum netlab_op)req->op) {
	case NETLAB_QUERY:
		query(s, req, &rep);
		break;
	case NETLAB_SWALLOW:
		rep.r = swallow(s, req->port);
		break;
	case NETLAB_DIAL:
		rep.r = dial(s, req);
		break;
	case NETLAB_ANNOUNCE:
		rep.r = announce(s, req->port);
		break;
	case NETLAB_JOINED:
		rep.r = joined(s, req, &rep);
		break;
	default:
		rep.r = -EINVAL;
	}
	(void)!send(s->cfg->cmd, &rep, sizeof(rep), MSG_NOSIGNAL);
}

_Noreturn void netlab_serve(const struct netlab_server *cfg)
{
	struct server s = { .cfg = cfg, .packet = -1, .swallow = -1,
			    .ports = { { .port = cfg->ports[0] }, { .port = cfg->ports[1] } } };
	struct netlab_rep rep = { 0 };
	struct netlab_req req;

	s.ep = epoll_create1(EPOLL_CLOEXEC);
	rep.r = s.ep < 0 ? -errno : open_listeners(&s);
	if (rep.r == 0 && cfg->watch)
		rep.r = open_packet(&s);
	(void)!send(cfg->cmd, &rep, sizeof(rep), MSG_NOSIGNAL);

	while (rep.r == 0) {
		struct pollfd p[2] = { { .fd = s.ep, .events = POLLIN },
				       { .fd = cfg->cmd, .events = POLLIN } };

		if (poll(p, 2, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			serve_events(&s);
		if (!p[1].revents)
			continue;
		if (recv(cfg->cmd, &req, sizeof(req), 0) != (ssize_t)sizeof(req))
			break;
		request(&s, &req);
	}
	_exit(rep.r == 0 ? 0 : 1);
}
