/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is asked of a running lab. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "netlab.h"
#include "netlab_impl.h"

static int call(const struct netlab_helper *h, struct netlab_req *req, struct netlab_rep *rep)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	req->id = ((uint64_t)getpid() << 44) + (uint64_t)ts.tv_sec * 1000000000u +
		  (uint64_t)ts.tv_nsec;
	if (h->cmd < 0)
		return -ENOTCONN;
	if (send(h->cmd, req, sizeof(*req), MSG_NOSIGNAL) < 0)
		return -errno;
	do
		if (recv(h->cmd, rep, sizeof(*rep), 0) != (ssize_t)sizeof(*rep))
			return -EPIPE;
	while (rep->id != req->id);
	return rep->r;
}

/* An echo over the same link: what the lab was sent before has arrived when it comes back. */
static int barrier(struct netlab *lab)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = netlab_addr4(lab, NETLAB_LAB),
				  .sin_port = htons(lab->opts.control_port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = -ETIMEDOUT;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char c = 0;

	if (fd < 0)
		return -errno;
	for (int i = 0; i < 25 && r < 0; i++) {
		if (sendto(fd, &c, 1, 0, (void *)&to, sizeof(to)) == 1 && poll(&p, 1, 200) == 1 &&
		    recv(fd, &c, 1, 0) == 1)
			r = 0;
	}
	close(fd);
	return r;
}

static int query(struct netlab *lab, uint16_t port, struct netlab_rep *rep)
{
	struct netlab_req req = { .op = NETLAB_QUERY, .port = port };
	int r = barrier(lab);

	return r < 0 ? r : call(&lab->server, &req, rep);
}

int netlab_accepted(struct netlab *lab, uint16_t port, uint64_t *ret)
{
	struct netlab_rep rep;
	int r = query(lab, port, &rep);

	if (r < 0)
		return r;
	*ret = rep.count;
	return 0;
}

int netlab_syns(struct netlab *lab, uint16_t port, uint64_t *ret)
{
	struct netlab_rep rep;
	int r = query(lab, port, &rep);

	if (r < 0)
		return r;
	*ret = rep.syns;
	return 0;
}

/* Loopback delivers within the sender's system call: no barrier is needed. */
int netlab_local_accepted(struct netlab *lab, uint64_t *ret)
{
	struct netlab_req req = { .op = NETLAB_QUERY, .port = lab->opts.local_port };
	struct netlab_rep rep;
	int r = call(&lab->local, &req, &rep);

	if (r < 0)
		return r;
	*ret = rep.count;
	return 0;
}

pid_t netlab_container(const struct netlab *lab)
{
	return lab->box.pid;
}

pid_t netlab_server(const struct netlab *lab)
{
	return lab->server.pid;
}

int netlab_swallow(struct netlab *lab, uint16_t port, struct in_addr *ret)
{
	struct netlab_req req = { .op = NETLAB_SWALLOW, .port = port };
	struct netlab_rep rep;
	int r = call(&lab->server, &req, &rep);

	if (r == 0)
		*ret = netlab_addr4(lab, NETLAB_SPARE);
	return r;
}

int netlab_dial(struct netlab *lab, uint16_t port, const struct sockaddr_in *to)
{
	struct netlab_req req = { .op = NETLAB_DIAL, .port = port, .to = *to };
	struct netlab_rep rep;

	return call(&lab->server, &req, &rep);
}

int netlab_announce(struct netlab *lab, uint16_t port)
{
	struct netlab_req req = { .op = NETLAB_ANNOUNCE, .port = port };
	struct netlab_rep rep;

	return call(&lab->server, &req, &rep);
}

int netlab_joined(struct netlab *lab, uint16_t port, bool *ret)
{
	struct netlab_req req = { .op = NETLAB_JOINED, .port = port };
	struct netlab_rep rep;
	int r = call(&lab->server, &req, &rep);

	if (r == 0)
		*ret = rep.count != 0;
	return r;
}

int netlab_limits_raise(struct netlab *lab)
{
	return netlab_guard_limits_raise(&lab->guard);
}

void netlab_limits_restore(struct netlab *lab)
{
	netlab_guard_limits_restore(&lab->guard);
}
