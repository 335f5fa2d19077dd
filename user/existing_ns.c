/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/vfs.h>

#include "existing_int.h"
#include "util.h"

struct collect {
	const uint16_t *ports;
	size_t n_ports;
	struct sw_netns_list *ns;
	struct sw_conns *conns;
	struct stat own;	/* the namespace of the caller */
	int r;
};

static bool is_known(const struct sw_netns_list *l, const struct stat *st)
{
	for (size_t i = l->n; i > 0; i--)
		if (l->item[i - 1].ino == st->st_ino && l->item[i - 1].dev == st->st_dev)
			return true;
	return false;
}

static struct sw_netns *add_namespace(struct sw_netns_list *l, const struct stat *st)
{
	struct sw_netns *grown;

	if (l->n == l->room) {
		grown = reallocarray(l->item, l->room * 2 + 16, sizeof(*grown));
		if (!grown)
			return NULL;
		l->item = grown;
		l->room = l->room * 2 + 16;
	}
	l->item[l->n] = (struct sw_netns){ .dev = st->st_dev, .ino = st->st_ino };
	return &l->item[l->n++];
}

static void miss(struct sw_netns_list *l, int r)
{
	l->missed++;
	if (!l->error)
		l->error = r;
}

/* Leaves the socket open when there is something in question. */
static int dump_namespace(struct collect *c, struct sw_netns *ns)
{
	struct sw_diag_dump d = {
		.ports = c->ports, .n_ports = c->n_ports, .ns = (uint32_t)(ns - c->ns->item),
	};
	const size_t before = c->conns->n;
	struct mnl_socket *nl;
	int r = sw_diag_open(&nl);

	if (r < 0)
		return r;
	r = sw_diag_dump(nl, &d, c->conns);
	d.mptcp = true;
	if (r == 0)
		r = sw_diag_dump(nl, &d, c->conns);
	if (r == 0 && c->conns->n > before && c->ns->n_open >= SW_EXISTING_MAX_OPEN)
		r = -EMFILE;
	if (r == 0 && c->conns->n > before) {
		ns->diag = nl;
		c->ns->n_open++;
		return 0;
	}
	c->conns->n = before;
	mnl_socket_close(nl);
	return r;
}

/* -ENOMEM ends the search; any other failure costs this namespace. */
static int visit(struct collect *c, int fd, const struct stat *st)
{
	struct sw_netns *ns;
	struct statfs fs;
	int r = 0;

	if (c->ns->n >= SW_EXISTING_MAX_NETNS) {
		miss(c->ns, -EMFILE);
		return 0;
	}
	if (fstatfs(fd, &fs) < 0 || fs.f_type != NSFS_MAGIC)
		return 0;	/* an ordinary file in /run/netns */
	ns = add_namespace(c->ns, st);
	if (!ns)
		return -ENOMEM;
	if (setns(fd, CLONE_NEWNET) < 0 &&
	    (st->st_ino != c->own.st_ino || st->st_dev != c->own.st_dev))
		r = -errno;
	if (r == 0)
		r = dump_namespace(c, ns);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		miss(c->ns, r);
	else
		c->ns->n_read++;
	return 0;
}

/* What is gone by now has no connection left that a later look would not find elsewhere. */
static int visit_at(struct collect *c, int dir, const char *path)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (fstatat(dir, path, &st, 0) < 0) {
		c->ns->processes_missed += errno == EACCES || errno == EPERM;
		return 0;
	}
	if (is_known(c->ns, &st))
		return 0;
	fd = openat(dir, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || is_known(c->ns, &st))
		return 0;
	return visit(c, fd, &st);
}

/* Namespaces with a name; "." and ".." are no namespaces. */
static int visit_named(struct collect *c)
{
	const struct dirent *d;
	DIR *dir = opendir("/run/netns");
	int r = 0;

	if (!dir)
		return 0;
	while (r == 0 && (d = readdir(dir)))
		r = visit_at(c, dirfd(dir), d->d_name);
	closedir(dir);
	return r;
}

static int visit_processes(struct collect *c)
{
	_cleanup_free_ pid_t *pid = NULL;
	char path[32];
	size_t n = 0;
	int r = sw_pids_read("/proc", &pid, &n);

	for (size_t i = 0; i < n && r == 0; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/net", pid[i]);
		r = visit_at(c, AT_FDCWD, path);
	}
	return r;
}

/* The host's first, so that nobody can use up the bounds before it with namespaces of his own. */
static void *collect_main(void *arg)
{
	struct collect *c = arg;
	char host[SW_HOST_NS_LEN];

	sw_host_namespace("/proc", "net", host);
	c->r = visit_at(c, AT_FDCWD, "/proc/self/ns/net");
	if (c->r == 0)
		c->r = visit_at(c, AT_FDCWD, host);
	if (c->r == 0)
		c->r = visit_named(c);
	if (c->r == 0)
		c->r = visit_processes(c);
	return NULL;
}

/* In a thread of its own, which ends in the last namespace it entered. No signal goes there. */
int sw_netns_collect(const uint16_t *ports, size_t n_ports, struct sw_netns_list *ns,
		     struct sw_conns *conns)
{
	struct collect c = { .ports = ports, .n_ports = n_ports, .ns = ns, .conns = conns };
	sigset_t all, before;
	pthread_t thread;
	int r;

	if (stat("/proc/self/ns/net", &c.own) < 0)
		return -errno;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&thread, NULL, collect_main, &c);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	pthread_join(thread, NULL);
	return c.r;
}

void sw_netns_free(struct sw_netns_list *ns)
{
	for (size_t i = 0; i < ns->n; i++)
		if (ns->item[i].diag)
			mnl_socket_close(ns->item[i].diag);
	free(ns->item);
	memset(ns, 0, sizeof(*ns));
}
