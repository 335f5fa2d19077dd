/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "gate.h"
#include "lab.h"
#include "run.h"
#include "util.h"

#define HOST_LINK	"swbench0"
#define HOST_NET	0xcb0071f8U	/* 203.0.113.248/30 */
#define CLIENT_NET	0xc6336400U	/* 198.51.100.0, a /30 for each client */

static int new_namespace(const struct lab *lab)
{
	int fd;

	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	if (lab_home(lab) < 0 && fd >= 0) {
		close(fd);
		return -EIO;
	}
	return fd;
}

static int enter(int ns)
{
	return setns(ns, CLONE_NEWNET) < 0 ? -errno : 0;
}

/* `ip -batch` on the text, in namespace `ns`. */
static int ip_batch(const struct lab *lab, int ns, const char *text)
{
	_cleanup_close_ int in = memfd_create("ip", MFD_CLOEXEC);
	const char *const argv[] = { "ip", "-batch", "-", NULL };
	int r;

	if (in < 0 || dprintf(in, "%s", text) < 0)
		return -errno;
	r = enter(ns);
	if (!r)
		r = run_command(argv, in, NULL);
	if (lab_home(lab) < 0)
		return -EIO;
	return r;
}

int lab_open(struct lab *ret)
{
	struct lab lab = { .home = -1, .listener = -1 };
	int r;

	lab.home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (lab.home < 0)
		return -errno;
	lab.listener = new_namespace(&lab);
	r = lab.listener < 0 ? lab.listener : ip_batch(&lab, lab.listener, "link set lo up\n");
	if (r < 0) {
		lab_close(&lab);
		return r;
	}
	*ret = lab;
	return 0;
}

/* The namespaces go with their last descriptor, but at some later time: the host's end of the
 * link is removed at once. */
static void remove_host_link(const struct lab *lab)
{
	char text[] = "link del " HOST_LINK "\n";

	for (int i = 0; i < lab->n; i++)
		if (lab->client[i].ns < 0)
			ip_batch(lab, lab->home, text);
}

void lab_close(struct lab *lab)
{
	remove_host_link(lab);
	for (int i = 0; i < lab->n; i++)
		sw_closep(&lab->client[i].ns);
	sw_closep(&lab->listener);
	sw_closep(&lab->home);
}

/* A veth pair between the listener and namespace `ns`, called `name` in the latter. */
static int join(const struct lab *lab, int ns, const char *name, uint32_t net)
{
	struct in_addr a = { htonl(net + 1) }, b = { htonl(net + 2) };
	char text[512], here[INET_ADDRSTRLEN];
	int r;

	inet_ntop(AF_INET, &a, here, sizeof(here));
	snprintf(text, sizeof(text),
		 "link add c%x type veth peer name %s netns /proc/%d/fd/%d\n"
		 "link set c%x up\naddr add %s/30 dev c%x\n",
		 net & 0xffff, name, (int)getpid(), ns, net & 0xffff, here, net & 0xffff);
	r = ip_batch(lab, lab->listener, text);
	if (r < 0)
		return r;
	inet_ntop(AF_INET, &b, here, sizeof(here));
	snprintf(text, sizeof(text), "link set %s up\naddr add %s/30 dev %s\n", name, here, name);
	return ip_batch(lab, ns, text);
}

static int add_client(struct lab *lab, int ns, uint32_t net)
{
	lab->client[lab->n].ns = ns;
	lab->client[lab->n].server = htonl(net + 1);
	return lab->n++;
}

static int load_rules(const struct lab *lab, int ns, const struct lab_ruleset *rules)
{
	bool set = rules->kind == LAB_SET;
	const char *const argv[] = { rules->command, set ? "-f" : NULL, "-", NULL };
	_cleanup_close_ int in = -1;
	int r;

	if (rules->kind == LAB_NONE)
		return 0;
	in = lab_rules_text(rules);
	if (in < 0)
		return in;
	r = enter(ns);
	if (!r)
		r = run_command(argv, in, NULL);
	return lab_home(lab) < 0 ? -EIO : r;
}

int lab_client(struct lab *lab, const struct lab_ruleset *rules)
{
	uint32_t net = CLIENT_NET + 4 * (uint32_t)lab->n;
	int ns = lab->n < LAB_CLIENTS ? new_namespace(lab) : -ENFILE;
	int r;

	if (ns < 0)
		return ns;
	r = ip_batch(lab, ns, "link set lo up\n");
	if (!r)
		r = join(lab, ns, "eth0", net);
	if (!r && load_rules(lab, ns, rules) < 0)
		r = -ENOENT;
	if (r < 0) {
		close(ns);
		return r;
	}
	return add_client(lab, ns, net);
}

int lab_alone(struct lab *lab)
{
	int ns = lab->n < LAB_CLIENTS ? new_namespace(lab) : -ENFILE;

	return ns < 0 ? ns : add_client(lab, ns, CLIENT_NET);
}

int lab_host(struct lab *lab)
{
	int r = lab->n < LAB_CLIENTS ? join(lab, lab->home, HOST_LINK, HOST_NET) : -ENFILE;

	return r < 0 ? r : add_client(lab, -1, HOST_NET);
}

int lab_enter(const struct lab *lab, int client)
{
	int ns = lab->client[client].ns;

	return enter(ns < 0 ? lab->home : ns);
}

int lab_home(const struct lab *lab)
{
	return enter(lab->home);
}

int lab_listen(const struct lab *lab, uint16_t port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = -1, one = 1, r = enter(lab->listener);

	if (r < 0)
		return r;
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(fd, (void *)&a, sizeof(a)) < 0 || listen(fd, 128) < 0)
		r = -errno;
	if (lab_home(lab) < 0)
		r = -EIO;
	if (r < 0) {
		sw_closep(&fd);
		return r;
	}
	return fd;
}

/* What SMTP_BLOCK makes: every packet walks it, and every rule looks at the ports again. */
static void write_owners(FILE *f, const struct lab_ruleset *rules)
{
	static const char smtp[] = "-A SMTPOUTPUT -p tcp -m multiport --dports 25,465,587";

	fprintf(f, "*filter\n:OUTPUT ACCEPT [0:0]\n:SMTPOUTPUT - [0:0]\n-A OUTPUT -j SMTPOUTPUT\n");
	fprintf(f, "%s -o lo -j ACCEPT\n", smtp);
	for (uint32_t i = 0; i < rules->accounts; i++)
		fprintf(f, "%s -m owner --uid-owner %u -j ACCEPT\n", smtp, BENCH_EXEMPT + i);
	fprintf(f, "%s -m owner --uid-owner 0 -j ACCEPT\n", smtp);
	fprintf(f, "%s -j REJECT %s\nCOMMIT\n", smtp, rules->reject);
}

static void write_set(FILE *f, const struct lab_ruleset *rules)
{
	fprintf(f, "table inet smtp {\n\tset ok {\n\t\ttype uid\n\t\telements = { 0");
	for (uint32_t i = 0; i < rules->accounts; i++)
		fprintf(f, ",%s%u", i % 16 ? " " : "\n\t\t\t", BENCH_EXEMPT + i);
	fprintf(f,
		" }\n\t}\n\tchain out {\n\t\ttype filter hook output priority 0; policy accept;\n"
		"\t\ttcp dport { 25, 465, 587 } meta skuid != @ok reject %s\n\t}\n}\n",
		rules->reject);
}

int lab_rules_text(const struct lab_ruleset *rules)
{
	_cleanup_close_ int fd = memfd_create("rules", MFD_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(dup(fd), "w");

	if (!f)
		return -errno;
	if (rules->kind == LAB_OWNERS)
		write_owners(f, rules);
	else
		write_set(f, rules);
	if (fclose(f) != 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -errno;
	return TAKE_FD(fd);
}
