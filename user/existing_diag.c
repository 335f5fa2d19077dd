/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "existing_int.h"
#include "util.h"

#define PROTO_MPTCP	262	/* IPPROTO_MPTCP; older headers lack it */
#define BUFFER_SIZE	(32 * 1024)	/* as much as the kernel gives at once */

/* All that can still send: the last three send what was written before a shutdown. */
#define STATES	(1U << TCP_SYN_SENT | 1U << TCP_ESTABLISHED | 1U << TCP_CLOSE_WAIT | \
		 1U << TCP_FIN_WAIT1 | 1U << TCP_CLOSING | 1U << TCP_LAST_ACK)

/* Lengths of commands of the filter, in bytes. */
#define COMPARE	(2 * sizeof(struct inet_diag_bc_op))
#define JUMP	sizeof(struct inet_diag_bc_op)

struct dump {
	const struct sw_diag_dump *what;
	struct sw_conns *conns;
};

/* Compares the destination port; its number is in a word of its own. */
static void put_compare(struct inet_diag_bc_op *op, unsigned char code, size_t no, uint16_t port)
{
	op[0] = (struct inet_diag_bc_op){ .code = code, .yes = COMPARE,
					  .no = (unsigned short)no };
	op[1] = (struct inet_diag_bc_op){ .no = port };
}

/*
 * For each port: not below it, not above it, and to the end, which accepts. One word beyond the
 * end rejects. The kernel takes only jumps to places that "yes" leads to from the beginning.
 */
size_t sw_diag_filter(const uint16_t *ports, size_t n, struct inet_diag_bc_op *ret)
{
	const size_t each = 2 * COMPARE + JUMP;
	size_t left = n ? n * each - JUMP : 0;	/* from here to the end */
	struct inet_diag_bc_op *at = ret;

	for (size_t i = 0; i < n; i++) {
		bool last = i + 1 == n;
		size_t next = last ? left + JUMP : each;

		put_compare(at, INET_DIAG_BC_D_GE, next, ports[i]);
		put_compare(at + 2, INET_DIAG_BC_D_LE, next - COMPARE, ports[i]);
		at += 4;
		if (last)
			break;
		*at++ = (struct inet_diag_bc_op){ .code = INET_DIAG_BC_JMP, .yes = JUMP,
						  .no = (unsigned short)(left - 2 * COMPARE) };
		left -= each;
	}
	return (size_t)(at - ret) * sizeof(*ret);
}

int sw_diag_open(struct mnl_socket **ret)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	int r;

	if (!nl)
		return -errno;
	if (mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0) {
		r = -errno;
		mnl_socket_close(nl);
		return r;
	}
	*ret = nl;
	return 0;
}

void sw_conn_peer(const struct sw_conn *c, uint8_t addr[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (c->family == AF_INET) {
		memcpy(addr, mapped, sizeof(mapped));
		memcpy(addr + 12, c->id.idiag_dst, 4);
	} else {
		memcpy(addr, c->id.idiag_dst, 16);
	}
}

/* Raw sockets come where the kernel does not know what MPTCP is; only they have this. */
static bool is_raw(const struct nlmsghdr *nlh)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct inet_diag_msg))
		if (mnl_attr_get_type(attr) == INET_DIAG_PROTOCOL)
			return true;
	return false;
}

static bool is_wanted(const struct sw_diag_dump *what, const struct inet_diag_msg *m)
{
	return m->idiag_inode && (!what->inodes || sw_conns_find(what->inodes, m->idiag_inode));
}

static int on_socket(const struct nlmsghdr *nlh, void *data)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(nlh);
	const struct dump *d = data;
	struct sw_conn c = { .ns = d->what->ns, .mptcp = d->what->mptcp };
	int r;

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*m) || !is_wanted(d->what, m) ||
	    (c.mptcp && is_raw(nlh)))
		return MNL_CB_OK;
	c.id = m->id;
	c.family = m->idiag_family;
	c.inode = m->idiag_inode;
	c.socket_uid = m->idiag_uid;
	r = sw_conns_add(d->conns, &c);
	errno = -r;
	return r < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static struct nlmsghdr *put_request(char *buf, uint16_t type, uint16_t flags, uint8_t family,
				    struct inet_diag_req_v2 **req)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = 1;	/* one request at a time */
	*req = mnl_nlmsg_put_extra_header(nlh, sizeof(**req));
	(*req)->sdiag_family = family;
	(*req)->sdiag_protocol = IPPROTO_TCP;
	return nlh;
}

static int on_error(const struct nlmsghdr *nlh, void *data)
{
	const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

	(void)data;
	errno = mnl_nlmsg_get_payload_len(nlh) < sizeof(*e) ? EBADMSG : -e->error;
	return errno ? MNL_CB_ERROR : MNL_CB_STOP;
}

/* A dump that cannot begin ends at once with an error: a module that is missing, for one. Older
 * versions of libmnl do not look at it, and nothing would seem to be connected. */
static int on_done(const struct nlmsghdr *nlh, void *data)
{
	const int *error = mnl_nlmsg_get_payload(nlh);

	(void)data;
	errno = mnl_nlmsg_get_payload_len(nlh) >= sizeof(*error) && *error < 0 ? -*error : 0;
	return errno ? MNL_CB_ERROR : MNL_CB_STOP;
}

/* Sends, and reads until the end of the answer. */
static int transact(struct mnl_socket *nl, const struct nlmsghdr *nlh, mnl_cb_t cb, void *data)
{
	mnl_cb_t control[] = { [NLMSG_ERROR] = on_error, [NLMSG_DONE] = on_done };
	_cleanup_free_ char *buf = malloc(BUFFER_SIZE);
	int r = MNL_CB_OK;
	ssize_t n;

	if (!buf)
		return -ENOMEM;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		n = mnl_socket_recvfrom(nl, buf, BUFFER_SIZE);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		r = mnl_cb_run2(buf, (size_t)n, 1, mnl_socket_get_portid(nl), cb, data, control,
				ARRAY_SIZE(control));
	}
	return r < 0 ? -errno : 0;
}

static int dump_family(struct mnl_socket *nl, uint8_t family, struct dump *d)
{
	struct inet_diag_bc_op filter[SW_DIAG_FILTER_MAX];
	char buf[1024];
	struct inet_diag_req_v2 *req;
	struct nlmsghdr *nlh = put_request(buf, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family, &req);
	size_t len = sw_diag_filter(d->what->ports, d->what->n_ports, filter);

	_Static_assert(sizeof(filter) + 256 < sizeof(buf), "request does not fit");
	req->idiag_states = STATES;
	if (len)
		mnl_attr_put(nlh, INET_DIAG_REQ_BYTECODE, len, filter);
	if (d->what->mptcp) {
		/* The number is too large for the field; the attribute is read instead of it. */
		req->sdiag_protocol = IPPROTO_RAW;
		mnl_attr_put_u32(nlh, INET_DIAG_REQ_PROTOCOL, PROTO_MPTCP);
	}
	return transact(nl, nlh, on_socket, d);
}

int sw_diag_dump(struct mnl_socket *nl, const struct sw_diag_dump *d, struct sw_conns *ret)
{
	struct dump dump = { .what = d, .conns = ret };
	int v4 = dump_family(nl, AF_INET, &dump), v6;

	if (v4 < 0)
		return d->mptcp && v4 != -ENOMEM ? 0 : v4;
	v6 = dump_family(nl, AF_INET6, &dump);
	return v6 == -ENOENT || (d->mptcp && v6 != -ENOMEM) ? 0 : v6;	/* no IPv6 */
}

int sw_diag_destroy(struct mnl_socket *nl, const struct sw_conn *c)
{
	struct inet_diag_req_v2 *req;
	char buf[256];
	struct nlmsghdr *nlh = put_request(buf, SOCK_DESTROY, NLM_F_ACK, c->family, &req);

	req->id = c->id;	/* with the cookie: another socket in its place is not met */
	return transact(nl, nlh, NULL, NULL);
}
