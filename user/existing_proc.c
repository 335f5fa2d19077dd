/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cgroup.h"
#include "existing_int.h"
#include "names.h"
#include "util.h"

struct search {
	struct sw_conns *conns;
	const struct sw_existing_job *job;
	ino_t host_pid_ns;
	int cgroup_fd;
};

/* Process 2 is the father of all kernel threads, which have no program, or in a container just
 * another process. */
void sw_host_namespace(const char *proc, const char *kind, char path[SW_HOST_NS_LEN])
{
	static const char *const where[] = { "2", "1" };
	char exe[1];

	for (size_t i = 0; i < ARRAY_SIZE(where); i++) {
		snprintf(path, SW_HOST_NS_LEN, "%s/%s/exe", proc, where[i]);
		if (i == 0 && (readlink(path, exe, sizeof(exe)) >= 0 || errno != ENOENT))
			continue;
		snprintf(path, SW_HOST_NS_LEN, "%s/%s/ns/%s", proc, where[i], kind);
		if (access(path, F_OK) == 0)
			return;
	}
	snprintf(path, SW_HOST_NS_LEN, "/proc/self/ns/%s", kind);
}

int sw_pids_read(const char *proc, pid_t **ret, size_t *ret_n)
{
	_cleanup_free_ pid_t *pid = NULL;
	size_t n = 0, room = 0;
	const struct dirent *d;
	DIR *dir = opendir(proc);
	uint32_t number;
	int r = 0;

	if (!dir)
		return -errno;
	while ((d = readdir(dir))) {
		if (sw_id_parse(d->d_name, &number) < 0)
			continue;
		if (n == room) {
			pid_t *grown = reallocarray(pid, room * 2 + 1024, sizeof(*pid));

			if (!grown) {
				r = -ENOMEM;
				break;
			}
			room = room * 2 + 1024;
			pid = grown;
		}
		pid[n++] = (pid_t)number;
	}
	closedir(dir);
	if (r < 0)
		return r;
	*ret = TAKE_PTR(pid);
	*ret_n = n;
	return 0;
}

static FILE *open_file(int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "r");

	if (!f && fd >= 0)
		close(fd);
	return f;
}

/* Formats: proc(5). The program's name comes first there, with its line ends escaped. */
static int read_ids(int proc_fd, struct sw_query *q)
{
	_cleanup_fclose_ FILE *f = open_file(proc_fd, "status");
	bool uid = false, gid = false;
	char line[256];

	if (!f)
		return -errno;
	while (!(uid && gid) && fgets(line, sizeof(line), f)) {
		if (!uid)
			uid = sscanf(line, "Uid: %u %u", &q->ruid, &q->euid) == 2;
		if (!gid)
			gid = sscanf(line, "Gid: %*u %u", &q->egid) == 1;
	}
	return uid && gid ? 0 : -ESRCH;
}

static void read_comm(int proc_fd, char comm[SW_COMM_LEN])
{
	_cleanup_close_ int fd = openat(proc_fd, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, comm, SW_COMM_LEN - 1);

	comm[n > 0 ? n : 0] = '\0';
	if (n > 0 && comm[n - 1] == '\n')	/* other line ends are its name */
		comm[n - 1] = '\0';
}

/* Ids from level 1 down. What cannot be found ends the list, as if there were no more levels. */
static void find_cgroups(int root_fd, const char *path, struct sw_query *q)
{
	_cleanup_close_ int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
	int level = 0;

	while (fd >= 0 && level < SW_MAX_CGROUP_LEVELS && *(path += strspn(path, "/"))) {
		char name[NAME_MAX + 1];
		size_t len = strcspn(path, "/");
		int next;

		if (len >= sizeof(name))
			return;
		memcpy(name, path, len);
		name[len] = '\0';
		path += len;
		if (!strcmp(name, ".."))	/* outside of our cgroup namespace */
			return;
		next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		close(fd);
		fd = next;
		if (fd < 0 || sw_cgroup_id(fd, &q->cgroup[level++]) < 0)
			return;
	}
}

static void read_cgroups(int proc_fd, int root_fd, struct sw_query *q)
{
	_cleanup_fclose_ FILE *f = root_fd < 0 ? NULL : open_file(proc_fd, "cgroup");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	ssize_t n;

	while (f && (n = getline(&line, &size, f)) > 0) {
		if (line[n - 1] == '\n')
			line[n - 1] = '\0';
		if (!strncmp(line, "0::", 3)) {
			find_cgroups(root_fd, line + 3, q);
			return;
		}
	}
}

int sw_holder_read(int proc_fd, ino_t host_pid_ns, int cgroup_fd, struct sw_holder *ret)
{
	struct sw_holder h = {};
	struct stat st;
	int r = read_ids(proc_fd, &h.query);

	if (r < 0)
		return r;
	read_comm(proc_fd, h.comm);
	read_cgroups(proc_fd, cgroup_fd, &h.query);
	h.query.in_container = host_pid_ns && fstatat(proc_fd, "ns/pid", &st, 0) == 0 &&
			       st.st_ino != host_pid_ns;
	*ret = h;
	return 0;
}

static bool is_denied(const struct sw_conn *c, const struct sw_query *who,
		      const struct sw_existing_job *job)
{
	struct sw_query q = *who;

	sw_conn_peer(c, q.addr);
	q.port = ntohs(c->id.idiag_dport);
	q.in_container |= c->other_netns;
	if (job->denied(job->arg, &q))
		return true;
	if (q.ruid == q.euid || q.ruid != c->socket_uid)
		return false;
	q.euid = q.ruid;
	return job->denied(job->arg, &q);
}

void sw_conn_judge(struct sw_conn *c, const struct sw_holder *h, const struct sw_existing_job *job)
{
	if (!c->held) {
		c->held = true;
		c->uid = h->query.euid;
		c->pid = h->pid;
		c->in_container |= h->query.in_container;
		memcpy(c->comm, h->comm, sizeof(c->comm));
	}
	if (!c->spared)
		c->spared = !is_denied(c, &h->query, job);
}

/* The inode of the socket that a link of /proc/PID/fd is, or 0. */
static uint32_t socket_of_link(int dir, const char *name)
{
	char link[64];
	ssize_t n = readlinkat(dir, name, link, sizeof(link) - 1);
	unsigned int inode;

	if (n <= 0)
		return 0;
	link[n] = '\0';
	return sscanf(link, "socket:[%u]", &inode) == 1 ? inode : 0;
}

static void judge_process(struct search *s, int proc_fd, DIR *fds, pid_t pid)
{
	struct sw_holder h = {};
	const struct dirent *d;
	bool known = false;

	while ((d = readdir(fds))) {
		uint32_t inode = socket_of_link(dirfd(fds), d->d_name);
		struct sw_conn *c = inode ? sw_conns_find(s->conns, inode) : NULL;

		if (c && !known) {
			if (sw_holder_read(proc_fd, s->host_pid_ns, s->cgroup_fd, &h) < 0)
				return;
			h.pid = pid;
			known = true;
		}
		for (; c && c < s->conns->item + s->conns->n && c->inode == inode; c++)
			sw_conn_judge(c, &h, s->job);
	}
}

/* A process that goes away or may not be looked into is passed over. */
static int scan_process(struct search *s, int proc, pid_t pid)
{
	_cleanup_close_ int proc_fd = -1;
	char name[16];
	DIR *dir;
	int fd, r;

	snprintf(name, sizeof(name), "%d", pid);
	proc_fd = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fd = proc_fd < 0 ? -1 : openat(proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	dir = fdopendir(fd);
	if (!dir) {
		r = errno == ENOMEM ? -ENOMEM : 0;	/* ENOENT: gone by now */
		close(fd);
		return r;
	}
	judge_process(s, proc_fd, dir, pid);
	closedir(dir);
	return 0;
}

static int scan_processes(struct search *s, const char *proc)
{
	_cleanup_close_ int dir = open(proc, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_free_ pid_t *pid = NULL;
	size_t n = 0;
	int r = dir < 0 ? -errno : sw_pids_read(proc, &pid, &n);

	for (size_t i = 0; i < n && r == 0; i++)
		r = scan_process(s, dir, pid[i]);
	return r;
}

static void judge_by_uid(struct sw_conn *c, const struct sw_existing_job *job)
{
	const struct sw_query q = {
		.euid = c->socket_uid, .ruid = c->socket_uid, .egid = SW_EXISTING_NO_ID,
	};

	c->uid = c->socket_uid;
	c->spared = !is_denied(c, &q, job);
}

int sw_conns_judge(const char *proc, struct sw_conns *conns, const struct sw_existing_job *job)
{
	struct search s = { .conns = conns, .job = job, .cgroup_fd = -1 };
	_cleanup_free_ char *root = NULL;
	char host[SW_HOST_NS_LEN];
	struct stat st;
	int r;

	if (!conns->n)
		return 0;
	sw_host_namespace(proc, "pid", host);
	if (stat(host, &st) == 0)
		s.host_pid_ns = st.st_ino;
	if (sw_cgroup_open(NULL, &s.cgroup_fd, &root) < 0)
		s.cgroup_fd = -1;
	r = scan_processes(&s, proc);
	sw_closep(&s.cgroup_fd);
	for (size_t i = 0; i < conns->n && r == 0; i++)
		if (!conns->item[i].held)
			judge_by_uid(&conns->item[i], job);
	return r;
}
