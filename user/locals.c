/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>

#include "locals.h"
#include "smtpwall_abi.h"
#include "util.h"

static int add(struct sw_addrs *a, const struct sw_addr *addr)
{
	struct sw_addr *item = reallocarray(a->item, a->n + 1, sizeof(*item));

	if (!item)
		return -ENOMEM;
	a->item = item;
	a->item[a->n++] = *addr;
	return 0;
}

/* IFA_LOCAL is this end of a point-to-point link; IFA_ADDRESS then is the other one. */
static int on_address(const struct nlmsghdr *nlh, void *data)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const void *local = NULL, *address = NULL;
	struct sw_addr addr = { .b = { [10] = 0xff, [11] = 0xff } };
	size_t len = ifa->ifa_family == AF_INET ? 4 : 16;
	struct nlattr *attr;

	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, nlh, sizeof(*ifa)) {
		if (mnl_attr_get_payload_len(attr) < len)
			continue;
		if (mnl_attr_get_type(attr) == IFA_LOCAL)
			local = mnl_attr_get_payload(attr);
		else if (mnl_attr_get_type(attr) == IFA_ADDRESS)
			address = mnl_attr_get_payload(attr);
	}
	if (!local)
		local = address;
	if (!local)
		return MNL_CB_OK;
	memcpy(addr.b + 16 - len, local, len);
	return add(data, &addr) < 0 ? MNL_CB_ERROR : MNL_CB_OK;
}

static int dump(struct mnl_socket *nl, struct sw_addrs *a)
{
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	unsigned int seq = (unsigned int)time(NULL);
	struct rtgenmsg *g;
	ssize_t n;
	int r;

	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	nlh->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	g->rtgen_family = AF_UNSPEC;
	if (mnl_socket_sendto(nl, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	do {
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0)
			return -errno;
		r = mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(nl), on_address, a);
	} while (r > MNL_CB_STOP);
	return r < 0 ? -errno : 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sw_addr));
}

/* Two interfaces may have the same address (link-local ones often do). */
static void sort_unique(struct sw_addrs *a)
{
	size_t kept = 0;

	if (a->n)
		qsort(a->item, a->n, sizeof(*a->item), compare);
	for (size_t i = 0; i < a->n; i++)
		if (!kept || compare(&a->item[kept - 1], &a->item[i]) != 0)
			a->item[kept++] = a->item[i];
	a->n = kept;
}

int sw_locals_read(struct sw_addrs *ret)
{
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	struct sw_addrs a = {};
	int r;

	if (!nl)
		return -errno;
	r = mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 ? -errno : dump(nl, &a);
	mnl_socket_close(nl);
	if (r < 0) {
		free(a.item);
		return r;
	}
	sort_unique(&a);
	*ret = a;
	return 0;
}

int sw_locals_watch(void)
{
	struct sockaddr_nl addr = {
		.nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR,
	};
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
					NETLINK_ROUTE);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return TAKE_FD(fd);
}

int sw_locals_drain(int fd)
{
	char buf[8192];

	while (recv(fd, buf, sizeof(buf), 0) >= 0 || errno == ENOBUFS || errno == EINTR)
		;
	return errno == EAGAIN ? 0 : -errno;
}

static void make_key(struct sw_local_key *key, uint32_t generation, const struct sw_addr *a)
{
	key->generation = generation;
	memcpy(key->addr, a->b, sizeof(key->addr));
}

static int remove_others(int map_fd, uint32_t generation, const struct sw_addrs *a)
{
	struct sw_local_key key, next;
	int r = bpf_map_get_next_key(map_fd, NULL, &next);

	while (!r) {
		struct sw_addr addr;

		key = next;
		r = bpf_map_get_next_key(map_fd, &key, &next);
		memcpy(addr.b, key.addr, sizeof(addr.b));
		if (key.generation != generation ||
		    (a->n && bsearch(&addr, a->item, a->n, sizeof(addr), compare)))
			continue;
		if (bpf_map_delete_elem(map_fd, &key) < 0 && errno != ENOENT)
			return -errno;
	}
	return 0;
}

static void make_filter(uint64_t filter[SW_LOCAL_WORDS], const struct sw_addrs *a)
{
	memset(filter, 0, SW_LOCAL_WORDS * sizeof(*filter));
	for (size_t i = 0; i < a->n; i++) {
		struct sw_local_key key;
		__u32 bit;

		make_key(&key, 0, &a->item[i]);
		bit = sw_local_bit(key.addr);
		filter[bit / 64 % SW_LOCAL_WORDS] |= 1ULL << bit % 64;
	}
}

static int write_rows(int map_fd, uint32_t generation, const struct sw_addrs *a)
{
	__u32 one = 1;

	for (size_t i = 0; i < a->n; i++) {
		struct sw_local_key key;

		make_key(&key, generation, &a->item[i]);
		if (bpf_map_update_elem(map_fd, &key, &one, BPF_ANY) < 0)
			return -errno;
	}
	return remove_others(map_fd, generation, a);
}

int sw_locals_store(int map_fd, int control_fd, uint32_t generation, const struct sw_addrs *a)
{
	uint64_t filter[SW_LOCAL_WORDS];
	struct sw_control *c;
	int r;

	/* Mapped, so that the other words of the page are left alone. */
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED, control_fd, 0);
	if (c == MAP_FAILED)
		return -errno;
	make_filter(filter, a);
	for (int i = 0; i < SW_LOCAL_WORDS; i++)
		__atomic_fetch_or(&c->local_filter[i], filter[i], __ATOMIC_SEQ_CST);
	r = write_rows(map_fd, generation, a);
	for (int i = 0; i < SW_LOCAL_WORDS && !r; i++)
		__atomic_store_n(&c->local_filter[i], filter[i], __ATOMIC_SEQ_CST);
	munmap(c, sizeof(*c));
	return r;
}

int sw_locals_refresh(int watch_fd, int map_fd, int control_fd, uint32_t generation)
{
	struct sw_addrs a = {};
	int r = sw_locals_drain(watch_fd);

	if (!r)
		r = sw_locals_read(&a);
	if (!r)
		r = sw_locals_store(map_fd, control_fd, generation, &a);
	free(a.item);
	return r;
}
