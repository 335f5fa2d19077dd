/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "netlab.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack.h"
#include "netlab_impl.h"

#define N_INSTANCES	32

struct in_addr netlab_addr4(const struct netlab *lab, enum netlab_host host)
{
	return (struct in_addr){ htonl(0xcb007100u + 8 * (unsigned)lab->opts.instance + host) };
}

/* /24 of addresses that the lab announces, one after the other. */
static struct in_addr join4(const struct netlab *lab)
{
	return (struct in_addr){ htonl(0xc6120000u + 256 * (unsigned)lab->opts.instance) };
}

static struct in6_addr lab6(const struct netlab *lab, enum netlab_host host)
{
	struct in6_addr a = { .s6_addr = { 0x20, 0x01, 0x0d, 0xb8, 0, 0x77, 0,
					   (uint8_t)lab->opts.instance } };

	a.s6_addr[15] = (uint8_t)host;
	return a;
}

static struct in6_addr link6(enum netlab_host host)
{
	struct in6_addr a = { .s6_addr = { 0xfe, 0x80 } };

	a.s6_addr[14] = 0x77;
	a.s6_addr[15] = (uint8_t)host;
	return a;
}

static struct in6_addr mapped(struct in_addr v4)
{
	struct in6_addr a = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	memcpy(a.s6_addr + 12, &v4, 4);
	return a;
}

int netlab_ip(const char *text, bool force)
{
	int fds[2], status;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		dup2(fds[0], 0);
		if (force)
			dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), 2);
		execlp("ip", "ip", force ? "-force" : "-batch", force ? "-batch" : "-",
		       force ? "-" : NULL, NULL);
		_exit(127);
	}
	close(fds[0]);
	status = pid < 0 || write(fds[1], text, strlen(text)) < 0 ? -1 : 0;
	close(fds[1]);
	if (pid > 0 && waitpid(pid, &status, 0) < 0)
		status = -1;
	return status == 0 || (force && pid > 0) ? 0 : -EIO;
}

int netlab_sysctl(const char *name, const char *value)
{
	char path[128];
	int fd, r = 0;

	snprintf(path, sizeof(path), "/proc/sys/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, value, strlen(value)) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* ---- the processes ---- */

void netlab_keep_only(int fd)
{
	/* Tests hold few descriptors; close_range(2) is not on every kernel we support. */
	for (int i = 3; i < 1024; i++)
		if (i != fd)
			close(i);
}

/* A child with a socket to the caller, in new namespaces `ns`; 0 in the child. */
static int helper_fork(struct netlab_helper *h, int ns)
{
	int fds[2];
	const struct timeval tv = { .tv_sec = 2 * NETLAB_WAIT_MS / 1000 };
	long pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	pid = syscall(SYS_clone, (unsigned long)ns | SIGCHLD, 0, 0, 0, 0);
	if (pid < 0) {
		int r = -errno;

		close(fds[0]);
		close(fds[1]);
		return r;
	}
	close(fds[pid ? 1 : 0]);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		h->cmd = fds[1];
		netlab_keep_only(h->cmd);
		return 0;
	}
	setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	h->cmd = fds[0];
	h->pid = (pid_t)pid;
	return h->pid;
}

static void helper_stop(struct netlab_helper *h)
{
	if (h->pid > 0) {
		kill(h->pid, SIGKILL);
		waitpid(h->pid, NULL, 0);
	}
	if (h->cmd >= 0)
		close(h->cmd);
	*h = (struct netlab_helper){ .cmd = -1 };
}

/* Waits for a helper's word that it is set up. */
static int helper_ready(const struct netlab_helper *h)
{
	struct netlab_rep rep;

	if (recv(h->cmd, &rep, sizeof(rep), 0) != (ssize_t)sizeof(rep))
		return -EPIPE;
	return rep.r;
}

/* ---- the lab ---- */

/* Lines for one end of the host's link; v6 without DAD, so that addresses work at once. */
static int link_up(const struct netlab *lab, const char *dev, enum netlab_host from,
		   enum netlab_host to)
{
	char text[1024], a[INET6_ADDRSTRLEN];
	size_t n = 0;

#define ADD(...) n += (size_t)snprintf(text + n, sizeof(text) - n, __VA_ARGS__)
	ADD("link set %s addrgenmode none\nlink set lo up\nlink set %s up\n", dev, dev);
	for (enum netlab_host h = from; h <= to; h++) {
		struct in_addr v4 = netlab_addr4(lab, h);
		struct in6_addr v6 = lab6(lab, h);

		ADD("addr add %s/29 dev %s\n", inet_ntop(AF_INET, &v4, a, sizeof(a)), dev);
		ADD("addr add %s/64 dev %s nodad\n", inet_ntop(AF_INET6, &v6, a, sizeof(a)), dev);
	}
	ADD("addr add fe80::77%02x/64 dev %s nodad\n", (unsigned)from, dev);
#undef ADD
	return netlab_ip(text, false);
}

/* The container's link, made in the lab: traffic of it never meets the host's stack. Without a
 * link-local address the lab could not ask for the container's neighbour again once it has
 * forgotten it, since the address that answers is on another link. */
static int box_link(const struct netlab *lab, pid_t box)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "link add lab1 type veth peer name eth0 netns %d\nlink set lab1 addrgenmode none\n"
		 "link set lab1 up\naddr add 198.51.100.%d/30 dev lab1\n"
		 "addr add 2001:db8:78:%x::1/64 dev lab1 nodad\n"
		 "addr add fe80::7801/64 dev lab1 nodad\n",
		 box, 4 * lab->opts.instance + 1, (unsigned)lab->opts.instance);
	return netlab_ip(text, false);
}

static int box_up(const struct netlab *lab)
{
	char text[512];
	unsigned n = (unsigned)lab->opts.instance;

	snprintf(text, sizeof(text),
		 "link set lo up\nlink set eth0 addrgenmode none\nlink set eth0 up\n"
		 "addr add 198.51.100.%u/30 dev eth0\nroute add default via 198.51.100.%u\n"
		 "addr add 2001:db8:78:%x::2/64 dev eth0 nodad\n"
		 "route add default via 2001:db8:78:%x::1\n",
		 4 * n + 2, 4 * n + 1, n, n);
	/* Joins are tried from here as well; without MPTCP that case says so. */
	netlab_ip("mptcp limits set subflows 8 add_addr_accepted 8\n", true);
	return netlab_ip(text, false);
}

static void lab_sysctls(void)
{
	static const char *const set[][2] = {
		{ "net/ipv4/tcp_fastopen", "3" },
		{ "net/ipv6/conf/all/seg6_enabled", "1" },	/* routing headers are honoured */
		{ "net/ipv6/conf/lab0/seg6_enabled", "1" },
		{ "net/mptcp/enabled", "1" },	/* off by default on EL */
	};

	/* What a kernel does not have, the case that needs it reports. */
	for (size_t i = 0; i < sizeof(set) / sizeof(set[0]); i++)
		netlab_sysctl(set[i][0], set[i][1]);
}

static _Noreturn void server_main(const struct netlab *lab, int cmd)
{
	struct netlab_server cfg = {
		.cmd = cmd, .watch = true, .n_at = 5,
		.ports = { lab->opts.port, lab->opts.control_port },
		.join4 = join4(lab), .spare4 = netlab_addr4(lab, NETLAB_SPARE),
	};
	const struct in6_addr at[] = {
		mapped(netlab_addr4(lab, NETLAB_LAB)), lab6(lab, NETLAB_LAB), link6(NETLAB_LAB),
		mapped(netlab_addr4(lab, NETLAB_MULTI)), lab6(lab, NETLAB_MULTI),
	};
	struct netlab_rep rep = { 0 };
	pid_t box;

	(void)!send(cmd, &rep, sizeof(rep), 0);
	if (recv(cmd, &box, sizeof(box), 0) != (ssize_t)sizeof(box))
		_exit(1);
	rep.r = link_up(lab, "lab0", NETLAB_LAB, NETLAB_SPARE);
	if (rep.r == 0)
		rep.r = box_link(lab, box);
	if (rep.r < 0) {
		(void)!send(cmd, &rep, sizeof(rep), 0);
		_exit(1);
	}
	lab_sysctls();
	for (unsigned i = 0; i < cfg.n_at; i++) {
		cfg.at[i].addr.sin6_family = AF_INET6;
		cfg.at[i].addr.sin6_addr = at[i];
		cfg.at[i].mptcp = i > 2;
	}
	cfg.at[2].addr.sin6_scope_id = if_nametoindex("lab0");
	netlab_serve(&cfg);
}

static _Noreturn void local_main(const struct netlab *lab, int cmd)
{
	struct netlab_server cfg = { .cmd = cmd, .n_at = 5, .ports = { lab->opts.local_port } };
	const struct in6_addr at[] = {
		mapped((struct in_addr){ htonl(0x7f000001) }), IN6ADDR_LOOPBACK_INIT,
		mapped((struct in_addr){ htonl(0x7f090909) }), lab6(lab, NETLAB_HOST),
		mapped(netlab_addr4(lab, NETLAB_HOST)),
	};

	for (unsigned i = 0; i < cfg.n_at; i++) {
		cfg.at[i].addr.sin6_family = AF_INET6;
		cfg.at[i].addr.sin6_addr = at[i];
	}
	netlab_serve(&cfg);
}

/* Process 1 of the container: its own /proc, then idle until the lab goes. */
static _Noreturn void box_main(const struct netlab *lab, int cmd)
{
	struct netlab_rep rep = { 0 };
	pid_t dummy;

	if (mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		rep.r = -errno;
	(void)!send(cmd, &rep, sizeof(rep), 0);
	if (recv(cmd, &dummy, sizeof(dummy), 0) != (ssize_t)sizeof(dummy))
		_exit(1);
	rep.r = box_up(lab);
	(void)!send(cmd, &rep, sizeof(rep), 0);
	/* Cases leave orphans behind when they are killed: nobody else reaps them here. */
	signal(SIGCHLD, SIG_IGN);
	while (recv(cmd, &dummy, sizeof(dummy), 0) > 0)
		;
	_exit(0);
}

static int start_helpers(struct netlab *lab)
{
	int r = helper_fork(&lab->box, CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWNS);

	if (r == 0)
		box_main(lab, lab->box.cmd);
	if (r > 0)
		r = helper_ready(&lab->box);
	if (r < 0)
		return r;
	r = helper_fork(&lab->server, CLONE_NEWNET);
	if (r == 0)
		server_main(lab, lab->server.cmd);
	return r < 0 ? r : helper_ready(&lab->server);
}

static int route_joins(const struct netlab *lab)
{
	char text[128], net[INET_ADDRSTRLEN], via[INET_ADDRSTRLEN];
	struct in_addr to = join4(lab), gw = netlab_addr4(lab, NETLAB_LAB);

	inet_ntop(AF_INET, &to, net, sizeof(net));
	inet_ntop(AF_INET, &gw, via, sizeof(via));
	snprintf(text, sizeof(text), "route add %s/24 via %s dev %s\n", net, via, lab->ifname);
	return netlab_ip(text, false);
}

static int start_links(struct netlab *lab)
{
	char text[128];
	int r;

	snprintf(text, sizeof(text), "link add %s type veth peer name lab0 netns %d\n", lab->ifname,
		 lab->server.pid);
	r = netlab_ip(text, false);
	if (r == 0)
		r = link_up(lab, lab->ifname, NETLAB_HOST, NETLAB_HOST);
	if (r == 0)
		r = route_joins(lab);
	if (r < 0)
		return r;
	lab->scope = if_nametoindex(lab->ifname);
	if (send(lab->server.cmd, &lab->box.pid, sizeof(pid_t), MSG_NOSIGNAL) < 0)
		return -errno;
	r = helper_ready(&lab->server);
	if (r < 0)
		return r;
	if (send(lab->box.cmd, &lab->box.pid, sizeof(pid_t), MSG_NOSIGNAL) < 0)
		return -errno;
	return helper_ready(&lab->box);
}

static int start_local(struct netlab *lab)
{
	int r;

	if (!lab->opts.local_port)
		return 0;
	r = helper_fork(&lab->local, 0);
	if (r == 0)
		local_main(lab, lab->local.cmd);
	return r < 0 ? r : helper_ready(&lab->local);
}

/* An abstract socket name is gone with its owner: a lock that cannot be left behind. */
static int take_instance(struct netlab *lab)
{
	struct sockaddr_un { sa_family_t family; char path[32]; } sun = { .family = AF_UNIX };
	int first = lab->opts.instance < 0 ? 0 : lab->opts.instance;
	int last = lab->opts.instance < 0 ? N_INSTANCES - 1 : first;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	for (int i = first; i <= last && i < N_INSTANCES; i++) {
		int n = snprintf(sun.path + 1, sizeof(sun.path) - 1, "smtpwall-netlab-%d", i);

		if (bind(fd, (void *)&sun, (socklen_t)(offsetof(struct sockaddr_un, path) + 1) +
			 (socklen_t)n) == 0) {
			lab->opts.instance = i;
			lab->lock = fd;
			return 0;
		}
	}
	close(fd);
	return -EADDRINUSE;
}

int netlab_open(const struct netlab_opts *opts, struct netlab **ret)
{
	struct netlab *lab = calloc(1, sizeof(*lab));
	char text[64];
	int r;

	if (!lab)
		return -ENOMEM;
	lab->opts = *opts;
	lab->lock = lab->server.cmd = lab->local.cmd = lab->box.cmd = -1;
	lab->guard = (struct netlab_guard)NETLAB_GUARD_NONE;
	r = take_instance(lab);
	if (r == 0) {
		snprintf(lab->ifname, sizeof(lab->ifname), "swlab%d", lab->opts.instance);
		/* The instance is ours: a link of that name is a leftover on its way out. */
		snprintf(text, sizeof(text), "link del %s\n", lab->ifname);
		netlab_ip(text, true);
		r = netlab_guard_start(&lab->guard, (unsigned)lab->opts.instance);
	}
	if (r == 0)
		r = start_helpers(lab);
	if (r == 0)
		r = start_links(lab);
	if (r == 0)
		r = start_local(lab);
	if (r < 0) {
		netlab_close(lab);
		return r;
	}
	*ret = lab;
	return 0;
}

void netlab_close(struct netlab *lab)
{
	if (!lab)
		return;
	helper_stop(&lab->local);
	helper_stop(&lab->box);
	helper_stop(&lab->server);
	netlab_guard_stop(&lab->guard);
	if (lab->lock >= 0)
		close(lab->lock);
	free(lab);
}

void netlab_context(struct netlab *lab, struct attack_ctx *ret)
{
	*ret = (struct attack_ctx){
		.target4 = netlab_addr4(lab, NETLAB_LAB), .target6 = lab6(lab, NETLAB_LAB),
		.linklocal6 = link6(NETLAB_LAB), .scope = lab->scope, .device = lab->ifname,
		.mptcp4 = netlab_addr4(lab, NETLAB_MULTI), .mptcp6 = lab6(lab, NETLAB_MULTI),
		.own4 = netlab_addr4(lab, NETLAB_HOST), .own6 = lab6(lab, NETLAB_HOST),
		.port = lab->opts.port, .control_port = lab->opts.control_port,
		.local_port = lab->opts.local_port,
		.uid = 61001, .gid = 61001, .mail_uid = 8, .mail_gid = 8,
		.lab = lab, .greeting = true,
	};
}
