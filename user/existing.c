/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <string.h>
#include <sys/ioctl.h>

#include "existing_int.h"
#include "util.h"

#define MPTCP_ROUNDS	8	/* looks for subflows that came while others were closed */

int sw_conns_add(struct sw_conns *c, const struct sw_conn *conn)
{
	struct sw_conn *grown;

	if (c->n >= SW_EXISTING_MAX_CONNS) {
		c->missed++;
		return 0;
	}
	if (c->n == c->room) {
		grown = reallocarray(c->item, c->room * 2 + 64, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		c->item = grown;
		c->room = c->room * 2 + 64;
	}
	c->item[c->n++] = *conn;
	return 0;
}

/* The connection as a whole before its subflows. */
static int compare(const void *a, const void *b)
{
	const struct sw_conn *x = a, *y = b;

	if (x->inode != y->inode)
		return x->inode < y->inode ? -1 : 1;
	return y->mptcp - x->mptcp;
}

void sw_conns_sort(struct sw_conns *c)
{
	size_t kept = 0;

	if (c->n)
		qsort(c->item, c->n, sizeof(*c->item), compare);
	for (size_t i = 0; i < c->n; i++) {
		const struct sw_conn *last = kept ? &c->item[kept - 1] : NULL;

		if (!last || !last->mptcp || last->inode != c->item[i].inode)
			c->item[kept++] = c->item[i];
	}
	c->n = kept;
}

struct sw_conn *sw_conns_find(const struct sw_conns *c, uint32_t inode)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->item[mid].inode < inode)
			low = mid + 1;
		else
			high = mid;
	}
	return low < c->n && c->item[low].inode == inode ? &c->item[low] : NULL;
}

/* The hooks take the socket's network namespace, not its process's. */
static void mark_containers(struct sw_conns *conns, const struct sw_netns_list *ns)
{
	char host[SW_HOST_NS_LEN];
	struct stat st;

	sw_host_namespace("/proc", "net", host);
	if (stat(host, &st) < 0)
		return;
	for (size_t i = 0; i < conns->n; i++) {
		struct sw_conn *c = &conns->item[i];

		c->other_netns = ns->item[c->ns].ino != st.st_ino ||
				 ns->item[c->ns].dev != st.st_dev;
		c->in_container = c->other_netns;
	}
}

static uint64_t cookie_of(const struct sw_conn *c)
{
	return c->mptcp ? 0 : (uint64_t)c->id.idiag_cookie[1] << 32 | c->id.idiag_cookie[0];
}

static struct sw_existing row_of(const struct sw_conn *c, const struct sw_netns_list *ns)
{
	struct sw_existing e = {
		.port = ntohs(c->id.idiag_dport), .local_port = ntohs(c->id.idiag_sport),
		.uid = c->uid, .pid = c->pid, .netns = ns->item[c->ns].ino,
		.cookie = cookie_of(c), .in_container = c->in_container,
	};

	sw_conn_peer(c, e.addr);
	memcpy(e.comm, c->comm, sizeof(e.comm));
	return e;
}

/* Where the caller can: sock_diag cannot. */
static int destroy_otherwise(const struct sw_existing_job *job, struct mnl_socket *nl,
			     const struct sw_existing *e)
{
	_cleanup_close_ int fd = -1;

	if (!job->destroy)
		return -EOPNOTSUPP;
	fd = ioctl(mnl_socket_get_fd(nl), SIOCGSKNS);
	return fd < 0 ? -errno : job->destroy(job->arg, fd, e);
}

static int destroy(const struct sw_existing_job *job, struct mnl_socket *nl,
		   const struct sw_netns_list *ns, const struct sw_conn *c)
{
	const struct sw_existing e = row_of(c, ns);
	int r = job->no_sock_destroy ? -EOPNOTSUPP : sw_diag_destroy(nl, c);

	return r == -EOPNOTSUPP ? destroy_otherwise(job, nl, &e) : r;
}

/* The subflows there are now, whatever port they go to: how many, or -errno. */
static int destroy_subflows(const struct sw_existing_job *job, struct mnl_socket *nl,
			    const struct sw_netns_list *ns, const struct sw_conn *c)
{
	const struct sw_conns one = { .item = (struct sw_conn *)c, .n = 1 };
	const struct sw_diag_dump d = { .inodes = &one, .ns = c->ns };
	struct sw_conns flows = {};
	int r = sw_diag_dump(nl, &d, &flows);

	for (size_t i = 0; i < flows.n && r == 0 && job->close; i++) {
		r = destroy(job, nl, ns, &flows.item[i]);
		if (r == -ENOENT)
			r = 0;
	}
	free(flows.item);
	return r < 0 ? r : (int)flows.n;
}

/* Until none is left: the kernel may be about to open another one, and to a port that no policy
 * denies. -ENOENT when there was none: such a connection is dead, though the kernel keeps it for
 * a minute. */
static int end_mptcp(const struct sw_existing_job *job, struct mnl_socket *nl,
		     const struct sw_netns_list *ns, const struct sw_conn *c)
{
	int r = destroy_subflows(job, nl, ns, c);

	if (r <= 0 || !job->close)
		return r < 0 ? r : r == 0 ? -ENOENT : 0;
	for (int i = 0; i < MPTCP_ROUNDS && r > 0; i++)
		r = destroy_subflows(job, nl, ns, c);
	return r > 0 ? -EBUSY : r;
}

static int add_row(struct sw_existing_list *l, const struct sw_existing *e)
{
	struct sw_existing *grown = reallocarray(l->item, l->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	l->item = grown;
	l->item[l->n++] = *e;
	l->n_closed += e->closed;
	return 0;
}

/* Closes what is denied, if that is wanted, and lists it. What ended by itself is no row. */
static int close_denied(const struct sw_existing_job *job, const struct sw_conns *conns,
			const struct sw_netns_list *ns, struct sw_existing_list *l)
{
	int r = 0;

	for (size_t i = 0; i < conns->n && r == 0; i++) {
		const struct sw_conn *c = &conns->item[i];
		struct mnl_socket *nl = ns->item[c->ns].diag;
		struct sw_existing e;

		if (c->spared)
			continue;
		e = row_of(c, ns);
		if (c->mptcp)
			e.error = end_mptcp(job, nl, ns, c);
		else if (job->close)
			e.error = destroy(job, nl, ns, c);
		if (e.error == -ENOENT)
			continue;
		e.closed = job->close && !e.error;
		l->cannot_close |= e.error == -EOPNOTSUPP;
		r = add_row(l, &e);
	}
	return r;
}

int sw_existing_run(const struct sw_existing_job *job, struct sw_existing_list *ret)
{
	struct sw_existing_list l = {};
	struct sw_netns_list ns = {};
	struct sw_conns conns = {};
	int r;

	if (job->n_ports > SW_MAX_PORTS)
		return -EINVAL;
	if (!job->n_ports) {
		*ret = l;
		return 0;
	}
	r = sw_netns_collect(job->ports, job->n_ports, &ns, &conns);
	if (r == 0 && !ns.n_read)
		r = ns.error ? ns.error : -ENOENT;
	if (r == 0) {
		sw_conns_sort(&conns);
		mark_containers(&conns, &ns);
		r = sw_conns_judge("/proc", &conns, job);
	}
	if (r == 0)
		r = close_denied(job, &conns, &ns, &l);
	l.netns_missed = ns.missed;
	l.processes_missed = ns.processes_missed;
	l.conns_missed = conns.missed;
	sw_netns_free(&ns);
	free(conns.item);
	if (r < 0)
		sw_existing_free(&l);
	else
		*ret = l;
	return r;
}

void sw_existing_free(struct sw_existing_list *l)
{
	free(l->item);
	memset(l, 0, sizeof(*l));
}
