/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Namespaces, links and servers. The connects are in csf_probe.c. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "csf_lab.h"
#include "netlab_impl.h"
#include "util.h"

#define LOCK_NAME	"smtpwall-csf-lab"
#define LOCK_WAIT_MS	60000

const uint16_t csf_port[CSF_PORTS] = { 25, 465, 587, 26 };

static const char remote_up[] =
	"link set lo up\nlink set r0 up\nlink set r1 up\n"
	"addr add 198.51.100.200/32 dev lo\naddr add 198.51.100.201/32 dev lo\n"
	"addr add 198.51.100.202/32 dev lo\n"
	"addr add 2001:db8:c5f::200/128 dev lo nodad\naddr add 2001:db8:c5f::201/128 dev lo nodad\n"
	"addr add 2001:db8:c5f::202/128 dev lo nodad\n"
	"addr add 198.51.100.209/30 dev r0\naddr add 2001:db8:c5f:1::1/64 dev r0 nodad\n"
	"addr add 198.51.100.213/30 dev r1\naddr add 2001:db8:c5f:2::1/64 dev r1 nodad\n"
	"route add 198.51.100.216/30 via 198.51.100.210\n"
	"route add 2001:db8:c5f:3::/64 via 2001:db8:c5f:1::2\n";

static const char rules_up[] =
	"link set lo up\nlink set c0 up\nlink set c1 up\n"
	"addr add 198.51.100.210/30 dev c0\naddr add 2001:db8:c5f:1::2/64 dev c0 nodad\n"
	"addr add 198.51.100.217/30 dev c1\naddr add 2001:db8:c5f:3::1/64 dev c1 nodad\n"
	"route add 198.51.100.200/29 via 198.51.100.209\n"
	"route add 2001:db8:c5f::/64 via 2001:db8:c5f:1::1\n"
	"route add local 198.51.100.220/32 dev c0\n";

static const char container_up[] =
	"link set lo up\nlink set x0 up\n"
	"addr add 198.51.100.218/30 dev x0\naddr add 2001:db8:c5f:3::2/64 dev x0 nodad\n"
	"route add default via 198.51.100.217\nroute add default via 2001:db8:c5f:3::1\n";

static const char host_up[] =
	"link set swcsf0 up\n"
	"addr add 198.51.100.214/30 dev swcsf0\naddr add 2001:db8:c5f:2::2/64 dev swcsf0 nodad\n"
	"route add 198.51.100.200/29 via 198.51.100.213 dev swcsf0\n"
	"route add 2001:db8:c5f::/64 via 2001:db8:c5f:2::1 dev swcsf0\n"
	"route add local 198.51.100.220/32 dev swcsf0\n";

/* ---- servers ---- */

static int listen_on(const struct in6_addr *addr, uint16_t port)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_port = htons(port),
				  .sin6_addr = *addr };
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (void *)&a, sizeof(a)) < 0 || listen(fd, 1024) < 0) {
		sw_closep(&fd);
		return -1;
	}
	return fd;
}

/* Greets everybody with one letter, and keeps no connection. */
static void __attribute__((noreturn)) serve(const int *fd, size_t n, char letter)
{
	struct pollfd p[CSF_PORTS + 1];

	for (size_t i = 0; i < n; i++)
		p[i] = (struct pollfd){ .fd = fd[i], .events = POLLIN };
	for (;;) {
		if (poll(p, n, -1) < 0)
			_exit(1);
		for (size_t i = 0; i < n; i++) {
			int c = accept4(p[i].fd, NULL, NULL, SOCK_CLOEXEC);

			if (c < 0)
				continue;
			(void)!write(c, &letter, 1);
			close(c);
		}
	}
}

static void __attribute__((noreturn)) serve_all_ports(char letter)
{
	int fd[CSF_PORTS];

	for (size_t i = 0; i < CSF_PORTS; i++) {
		fd[i] = listen_on(&in6addr_any, csf_port[i]);
		if (fd[i] < 0)
			_exit(1);
	}
	serve(fd, CSF_PORTS, letter);
}

/* The host's mail server: on both loopback addresses, at the same port. */
static int start_mail_server(struct csf_lab *lab, int ready)
{
	const struct in6_addr mapped = { .s6_addr = { [10] = 0xff, [11] = 0xff, [12] = 127,
						       [15] = 1 } };
	struct sockaddr_in6 a;
	socklen_t len = sizeof(a);
	int fd[2] = { listen_on(&in6addr_loopback, 0), -1 };

	if (fd[0] < 0 || getsockname(fd[0], (void *)&a, &len) < 0)
		return -EIO;
	lab->mail_port = ntohs(a.sin6_port);
	fd[1] = listen_on(&mapped, lab->mail_port);
	if (fd[1] < 0)
		return -EADDRINUSE;
	if (write(ready, &lab->mail_port, sizeof(lab->mail_port)) < 0)
		return -errno;
	serve(fd, 2, 'L');
}

/* ---- processes ---- */

/* A child in new namespaces; 0 in the child. It ends with its parent. */
static pid_t start(unsigned long ns)
{
	pid_t pid;

	fflush(NULL);
	pid = (pid_t)syscall(SYS_clone, ns | SIGCHLD, 0, 0, 0, 0);
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void stop(pid_t pid)
{
	if (pid <= 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A namespace and what runs in it once its links are there. */
static pid_t hold(unsigned long ns, const char *up, char letter, int go, int done)
{
	pid_t pid = start(ns);
	char c = 0;

	if (pid)
		return pid;
	if (read(go, &c, 1) != 1 || netlab_ip(up, false) < 0)
		_exit(1);
	netlab_sysctl("net/ipv4/ip_forward", "1");
	netlab_sysctl("net/ipv6/conf/all/forwarding", "1");
	/* Hundreds of refusals at once. */
	netlab_sysctl("net/ipv4/icmp_ratemask", "0");
	netlab_sysctl("net/ipv6/icmp/ratelimit", "0");
	if (write(done, &c, 1) != 1)
		_exit(1);
	if (letter)
		serve_all_ports(letter);
	for (;;)
		pause();
}

/* One such lab at a time: its host link has a fixed name and fixed addresses. */
static int take_lock(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path + 1, LOCK_NAME, sizeof(LOCK_NAME));
	for (int i = 0; fd >= 0 && i < LOCK_WAIT_MS / 100; i++) {
		if (bind(fd, (void *)&a, offsetof(struct sockaddr_un, sun_path) + 1 +
			 sizeof(LOCK_NAME)) == 0)
			return fd;
		poll(NULL, 0, 100);
	}
	sw_closep(&fd);
	return -1;
}

static int make_links(const struct csf_lab *lab)
{
	char text[512];

	snprintf(text, sizeof(text), "link del swcsf0\n");
	netlab_ip(text, true);	/* of a lab that is on its way out */
	snprintf(text, sizeof(text),
		 "link add c0 netns %d type veth peer name r0 netns %d\n"
		 "link add swcsf0 type veth peer name r1 netns %d\n"
		 "link add x0 netns %d type veth peer name c1 netns %d\n",
		 lab->rules, lab->remote, lab->remote, lab->container, lab->rules);
	return netlab_ip(text, false);
}

static int bring_up(const struct csf_lab *lab, int go, int done)
{
	char c[3] = { 0 };
	int r = make_links(lab);

	if (r < 0)
		return r;
	if (write(go, c, 3) != 3)
		return -EIO;
	for (int i = 0; i < 3; i++)
		if (read(done, c, 1) != 1)
			return -EIO;
	return netlab_ip(host_up, false);
}

/* Its child of its own, since it stays in the host. */
static int start_host_server(struct csf_lab *lab, pid_t *ret)
{
	int fds[2], r = 0;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = start(0);
	if (!pid)
		_exit(start_mail_server(lab, fds[1]) < 0);
	close(fds[1]);
	if (pid < 0 || read(fds[0], &lab->mail_port, sizeof(lab->mail_port)) !=
		       (ssize_t)sizeof(lab->mail_port))
		r = -EIO;
	close(fds[0]);
	*ret = pid;
	return r;
}

int csf_lab_open(struct csf_lab *ret)
{
	struct csf_lab lab = { .lock = take_lock() };
	int go[2], done[2], r;

	if (lab.lock < 0)
		return -ETIME;
	if (pipe2(go, O_CLOEXEC) < 0 || pipe2(done, O_CLOEXEC) < 0)
		return -errno;
	lab.remote = hold(CLONE_NEWNET, remote_up, 'R', go[0], done[1]);
	lab.rules = hold(CLONE_NEWNET, rules_up, 'L', go[0], done[1]);
	lab.container = hold(CLONE_NEWNET | CLONE_NEWPID, container_up, 0, go[0], done[1]);
	close(go[0]);
	close(done[1]);
	r = lab.remote < 0 || lab.rules < 0 || lab.container < 0 ? -EAGAIN :
	    bring_up(&lab, go[1], done[0]);
	close(go[1]);
	close(done[0]);
	if (!r)
		r = start_host_server(&lab, &lab.mail_server);
	if (r < 0) {
		csf_lab_close(&lab);
		return r;
	}
	*ret = lab;
	return 0;
}

void csf_lab_close(struct csf_lab *lab)
{
	stop(lab->mail_server);
	stop(lab->container);
	stop(lab->rules);
	stop(lab->remote);
	/* Its other end goes with its namespace, but at some later time. */
	netlab_ip("link del swcsf0\n", true);
	sw_closep(&lab->lock);
}

int csf_lab_run(const struct csf_lab *lab, const char *command, int in)
{
	char path[64];
	pid_t pid = start(0);
	int status, ns;

	if (!pid) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)lab->rules);
		ns = open(path, O_RDONLY | O_CLOEXEC);
		if (ns < 0 || setns(ns, CLONE_NEWNET) < 0 || dup2(in, 0) < 0)
			_exit(126);
		execlp(command, command, NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}
