/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The connects of one identity: all at once, since a packet filter's refusal takes a second. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "csf_lab.h"
#include "util.h"

#define WAIT_MS		3500	/* the refusal of a packet filter comes with the second SYN */
#define ORDINARY	61001U
#define N		(_CSF_DEST_MAX * CSF_PORTS)

static const struct {
	const char *name, *addr[_CSF_PLACE_MAX];
} dests[_CSF_DEST_MAX] = {
	[CSF_LOOPBACK4] = { "127.0.0.1", { "127.0.0.1", "127.0.0.1" } },
	[CSF_LOOPBACK6] = { "::1", { "::1", "::1" } },
	[CSF_OWN4] = { "own IPv4", { "198.51.100.210", "198.51.100.214" } },
	[CSF_OWN6] = { "own IPv6", { "2001:db8:c5f:1::2", "2001:db8:c5f:2::2" } },
	[CSF_ROUTED4] = { "routed here", { "198.51.100.220", "198.51.100.220" } },
	[CSF_REMOTE4] = { "remote IPv4", { "198.51.100.200", "198.51.100.200" } },
	[CSF_REMOTE6] = { "remote IPv6", { "2001:db8:c5f::200", "2001:db8:c5f::200" } },
	[CSF_MAPPED] = { "v4-mapped", { "::ffff:198.51.100.200", "::ffff:198.51.100.200" } },
	[CSF_SECOND4] = { "second IPv4", { CSF_SECOND4_TEXT, CSF_SECOND4_TEXT } },
	[CSF_SECOND6] = { "second IPv6", { CSF_SECOND6_TEXT, CSF_SECOND6_TEXT } },
	[CSF_THIRD4] = { "third IPv4", { CSF_THIRD4_TEXT, CSF_THIRD4_TEXT } },
	[CSF_THIRD6] = { "third IPv6", { CSF_THIRD6_TEXT, CSF_THIRD6_TEXT } },
};

bool csf_dest_is_v6(enum csf_dest d)
{
	return d != CSF_MAPPED && strchr(dests[d].addr[CSF_RULES], ':');
}

bool csf_dest_is_local(enum csf_dest d)
{
	return d <= CSF_ROUTED4;
}

const char *csf_dest_name(enum csf_dest d)
{
	return dests[d].name;
}

const char *csf_end_name(enum csf_end e)
{
	static const char *const names[] = { "not tried", "remote", "local", "refused", "silent" };

	return names[e];
}

/* ---- who ---- */

static int join(pid_t pid, const char *ns, int type)
{
	char path[64];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, ns);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 || setns(fd, type) < 0 ? -errno : 0;
}

static int enter(const char *cgroup)
{
	char path[256];
	_cleanup_close_ int fd = -1;

	if (!cgroup)
		return 0;
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 || write(fd, "0", 1) != 1 ? -errno : 0;
}

/* The saved UID stays what it has to be for the file system UID. */
static int become(const struct csf_who *w)
{
	gid_t member = w->member;
	uid_t saved = w->fsuid == CSF_NO_ID ? w->euid : w->fsuid;

	if (setgroups(w->member == CSF_NO_ID ? 0 : 1, &member) < 0 ||
	    setresgid(w->rgid, w->egid, w->egid) < 0 || setresuid(w->ruid, w->euid, saved) < 0)
		return -errno;
	if (w->fsuid != CSF_NO_ID) {
		setfsuid(w->fsuid);
		if (setfsuid(w->fsuid) != (int)w->fsuid)
			return -EPERM;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* only now: changing ids clears it */
	return 0;
}

/* ---- what ---- */

struct attempt {
	int fd;
	bool local;		/* of the host: no server has to be there */
	uint8_t *end;
};

static bool is_tried(const struct csf_who *w, enum csf_dest d)
{
	return !w->container || !csf_dest_is_local(d);	/* it has addresses of its own */
}

static int make_socket(enum csf_place place, enum csf_dest d)
{
	bool v6 = strchr(dests[d].addr[place], ':');

	return socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int make_sockets(enum csf_place place, struct attempt a[N], struct csf_result *res)
{
	for (size_t i = 0; i < N; i++) {
		enum csf_dest d = (enum csf_dest)(i / CSF_PORTS);

		a[i] = (struct attempt){
			.fd = make_socket(place, d),
			.local = place == CSF_HOST && csf_dest_is_local(d),
			.end = &res->end[d][i % CSF_PORTS],
		};
		if (a[i].fd < 0)
			return -errno;
	}
	return 0;
}

/* By whom the sockets are made, and by whom they are used. */
static int prepare(enum csf_place place, const struct csf_who *w, struct attempt a[N],
		   struct csf_result *res)
{
	int r = 0;

	if (w->socket == CSF_SOCKET_OF_ROOT)
		r = make_sockets(place, a, res);
	if (w->socket == CSF_SOCKET_OF_ORDINARY) {
		if (seteuid(ORDINARY) < 0)
			return -errno;
		r = make_sockets(place, a, res);
		if (seteuid(0) < 0)
			return -errno;
	}
	if (!r)
		r = become(w);
	if (!r && w->socket == CSF_SOCKET_OWN)
		r = make_sockets(place, a, res);
	return r;
}

static void begin(enum csf_place place, size_t i, struct attempt *a)
{
	const char *text = dests[i / CSF_PORTS].addr[place];
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6,
				   .sin6_port = htons(csf_port[i % CSF_PORTS]) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = a6.sin6_port };
	bool v6 = inet_pton(AF_INET6, text, &a6.sin6_addr) == 1;
	int r;

	if (!v6)
		inet_pton(AF_INET, text, &a4.sin_addr);
	r = connect(a->fd, v6 ? (void *)&a6 : (void *)&a4, v6 ? sizeof(a6) : sizeof(a4));
	if (r == 0 || errno == EINPROGRESS)
		*a->end = a->local ? CSF_LOCAL : CSF_SILENT;
	else
		*a->end = a->local && errno != EPERM ? CSF_LOCAL : CSF_REFUSED;
}

/* The letter of the server that answered, or an error. */
static void look(struct attempt *a)
{
	char letter;
	ssize_t n = read(a->fd, &letter, 1);

	if (n == 1)
		*a->end = letter == 'R' ? CSF_REMOTE : CSF_LOCAL;
	else if (n == 0 || errno != EAGAIN)
		*a->end = CSF_REFUSED;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void wait_for_all(struct attempt a[N])
{
	int64_t end = now_ms() + WAIT_MS, left;

	while ((left = end - now_ms()) > 0) {
		struct pollfd p[N];
		size_t open = 0, which[N];

		for (size_t i = 0; i < N; i++) {
			if (*a[i].end != CSF_SILENT)
				continue;
			p[open] = (struct pollfd){ .fd = a[i].fd, .events = POLLIN };
			which[open++] = i;
		}
		if (!open || poll(p, open, (int)left) <= 0)
			return;
		for (size_t i = 0; i < open; i++)
			if (p[i].revents)
				look(&a[which[i]]);
	}
}

static int probe(enum csf_place place, const struct csf_who *w, struct csf_result *res)
{
	struct attempt a[N];
	int r = prepare(place, w, a, res);

	if (r < 0)
		return r;
	for (size_t i = 0; i < N; i++)
		if (is_tried(w, (enum csf_dest)(i / CSF_PORTS)))
			begin(place, i, &a[i]);
	wait_for_all(a);
	return 0;
}

static int go_there(const struct csf_lab *lab, enum csf_place place, const struct csf_who *w,
		    const char *cgroup)
{
	int r = 0;

	if (w->container)
		r = join(lab->container, "net", CLONE_NEWNET);
	else if (place == CSF_RULES)
		r = join(lab->rules, "net", CLONE_NEWNET);
	return r ? r : enter(cgroup);
}

void csf_probe_start(const struct csf_lab *lab, enum csf_place place, const struct csf_who *who,
		     const char *cgroup, struct csf_probe *ret)
{
	struct csf_result res = { 0 };
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		exit(99);
	fflush(NULL);
	ret->pid = fork();
	if (ret->pid < 0)
		exit(99);
	if (!ret->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (go_there(lab, place, who, cgroup) < 0 || probe(place, who, &res) < 0)
			_exit(1);
		_exit(write(fds[1], &res, sizeof(res)) != (ssize_t)sizeof(res));
	}
	close(fds[1]);
	ret->out = fds[0];
}

bool csf_probe_end(struct csf_probe *p, struct csf_result *ret)
{
	bool good = read(p->out, ret, sizeof(*ret)) == (ssize_t)sizeof(*ret);

	close(p->out);
	waitpid(p->pid, NULL, 0);
	return good;
}
