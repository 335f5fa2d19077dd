/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <limits.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <string.h>

#include "mta.h"
#include "names.h"
#include "util.h"

#define TCP_LISTEN_STATE	10	/* TCP_LISTEN; <netinet/tcp.h> and <linux/tcp.h> clash */

struct socket {
	uint32_t inode;
	uid_t uid;
	bool found;		/* in a process */
};

struct search {
	unsigned int port;
	struct socket *socket;
	size_t n;
	struct sw_listener_list list;
};

static void close_netlink(struct mnl_socket **nl)
{
	if (*nl)
		mnl_socket_close(*nl);
}

static int on_socket(const struct nlmsghdr *nlh, void *data)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	struct search *s = data;
	struct socket *grown;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m) || ntohs(m->id.idiag_sport) != s->port)
		return MNL_CB_OK;
	grown = reallocarray(s->socket, s->n + 1, sizeof(*grown));
	if (!grown)
		return MNL_CB_ERROR;
	s->socket = grown;
	s->socket[s->n++] = (struct socket){ .inode = m->idiag_inode, .uid = m->idiag_uid };
	return MNL_CB_OK;
}

static int dump_family(struct mnl_socket *nl, uint8_t family, struct search *s)
{
	static unsigned int seq;
	char buf[8192];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *req;
	ssize_t n;
	int r = MNL_CB_OK;

	nlh->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = ++seq;
	req = mnl_nlmsg_put_extra_header(nlh, sizeof(*req));
	req->sdiag_family = family;
	req->sdiag_protocol = IPPROTO_TCP;
	req->idiag_states = 1U << TCP_LISTEN_STATE;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), on_socket, s);
	}
	return r < 0 ? -errno : 0;
}

static int dump_sockets(struct search *s)
{
	__attribute__((cleanup(close_netlink))) struct mnl_socket *nl = NULL;
	int r;

	nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
		return -errno;
	r = dump_family(nl, AF_INET, s);
	return r < 0 ? r : dump_family(nl, AF_INET6, s);
}

/* The program behind a process, as the administrator knows it: also after an upgrade. */
static char *program_of(int proc_fd)
{
	static const char deleted[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t n = readlinkat(proc_fd, "exe", path, sizeof(path) - 1);
	size_t len = n > 0 ? (size_t)n : 0;

	if (!len)
		return NULL;
	path[len] = '\0';
	if (len > sizeof(deleted) - 1 && !strcmp(path + len - (sizeof(deleted) - 1), deleted))
		path[len - (sizeof(deleted) - 1)] = '\0';
	return strdup(path);
}

static uid_t euid_of(int proc_fd, uid_t fallback)
{
	_cleanup_fclose_ FILE *f = NULL;
	char line[256];
	uid_t ruid, euid;
	int fd = openat(proc_fd, "status", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fallback;
	f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return fallback;
	}
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "Uid: %u %u", &ruid, &euid) == 2)
			return euid;
	return fallback;
}

/* Takes `exe`. Workers of one program that share the socket, and v4 beside v6, are one row. */
static int add_listener(struct search *s, pid_t pid, uid_t uid, char *exe)
{
	struct sw_listener_list *l = &s->list;
	struct sw_listener *grown;
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct sw_listener *w = &l->item[i];

		if (w->uid == uid && !w->pid == !pid && !w->exe == !exe &&
		    (!exe || !strcmp(w->exe, exe))) {
			free(exe);
			return 0;
		}
	}
	grown = reallocarray(l->item, l->n + 1, sizeof(*grown));
	if (!grown) {
		free(exe);
		return -ENOMEM;
	}
	l->item = grown;
	l->item[l->n++] = (struct sw_listener){ .pid = pid, .uid = uid, .exe = exe };
	return 0;
}

/* The socket that a link of /proc/PID/fd is, or NULL. */
static struct socket *socket_of_link(struct search *s, int dir, const char *name)
{
	char link[64];
	ssize_t n = readlinkat(dir, name, link, sizeof(link) - 1);
	unsigned int inode;
	size_t i;

	if (n <= 0)
		return NULL;
	link[n] = '\0';
	if (sscanf(link, "socket:[%u]", &inode) != 1)
		return NULL;
	for (i = 0; i < s->n; i++)
		if (s->socket[i].inode == inode)
			return &s->socket[i];
	return NULL;
}

/* A process that goes away or may not be looked into is passed over. */
static int scan_process(struct search *s, DIR *proc, const char *name)
{
	_cleanup_close_ int proc_fd = -1;
	uint32_t pid;
	const struct dirent *d;
	struct socket *found;
	DIR *dir;
	int fd, r;

	if (sw_id_parse(name, &pid) < 0)
		return 0;
	proc_fd = openat(dirfd(proc), name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = proc_fd < 0 ? -1 : openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (!dir) {	/* it looks at the directory, which ends with the process */
		r = errno == ENOMEM ? -ENOMEM : 0;
		close(fd);
		return r;
	}
	r = 0;
	while (r == 0 && (d = readdir(dir))) {
		found = socket_of_link(s, dirfd(dir), d->d_name);
		if (!found)
			continue;
		found->found = true;
		r = add_listener(s, (pid_t)pid, euid_of(proc_fd, found->uid), program_of(proc_fd));
	}
	closedir(dir);
	return r;
}

static int scan_processes(struct search *s)
{
	const struct dirent *d;
	DIR *proc;
	size_t i;
	int r = 0;

	if (!s->n)
		return 0;
	proc = opendir("/proc");
	if (!proc)
		return -errno;
	while (r == 0 && (d = readdir(proc)))
		r = scan_process(s, proc, d->d_name);
	closedir(proc);
	for (i = 0; i < s->n && r == 0; i++)
		if (!s->socket[i].found)
			r = add_listener(s, 0, s->socket[i].uid, NULL);
	return r;
}

int sw_listeners_find(unsigned int port, struct sw_listener_list *ret)
{
	struct search s = { .port = port };
	int r;

	r = dump_sockets(&s);
	if (r == 0)
		r = scan_processes(&s);
	free(s.socket);
	if (r < 0) {
		sw_listeners_free(&s.list);
		return r;
	}
	*ret = s.list;
	return 0;
}

void sw_listeners_free(struct sw_listener_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->item[i].exe);
	free(l->item);
	memset(l, 0, sizeof(*l));
}
