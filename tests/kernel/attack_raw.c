/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A SYN made by the program itself, with CAP_NET_RAW: no connect, so no connect hook. A case
 * has got through when the listener's SYN-ACK comes back.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "attack_impl.h"

#define H_HDRINCL	H_FREE(0)
#define H_PACKET	H_FREE(1)

#define WAIT_MS		2000

struct probe {
	struct iphdr ip;
	struct tcphdr tcp;
};

/* The user of ctx with one capability more than usual. */
static int drop_to_net_raw(const struct attack_ctx *ctx)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { .effective = 1u << CAP_NET_RAW,
						 .permitted = 1u << CAP_NET_RAW,
						 .inheritable = 1u << CAP_NET_RAW } };
	int r;

	if (prctl(PR_SET_KEEPCAPS, 1) < 0)
		return -errno;
	r = at_drop(ctx);
	if (r < 0)
		return r;
	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

static uint32_t sum(const void *data, size_t len, uint32_t s)
{
	const uint8_t *p = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		s += (uint32_t)(p[i] << 8 | p[i + 1]);
	return s;
}

static uint16_t fold(uint32_t s)
{
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return htons((uint16_t)~s);
}

static void make_syn(const struct attack_ctx *ctx, uint16_t sport, struct probe *p)
{
	*p = (struct probe){
		.ip = { .version = 4, .ihl = 5, .tot_len = htons(sizeof(*p)), .ttl = 64,
			.protocol = IPPROTO_TCP, .saddr = ctx->own4.s_addr,
			.daddr = ctx->target4.s_addr },
		.tcp = { .th_sport = htons(sport), .th_dport = htons(ctx->port), .th_off = 5,
			 .th_flags = TH_SYN, .th_win = htons(65535) },
	};
	p->ip.check = fold(sum(&p->ip, sizeof(p->ip), 0));
	p->tcp.check = fold(sum(&p->tcp, sizeof(p->tcp),
				sum(&p->ip.saddr, 8, IPPROTO_TCP + sizeof(p->tcp))));
}

/* Our port and the listener's, with SYN and ACK. */
static bool is_answer(const struct attack_ctx *ctx, const struct tcphdr *th, uint16_t sport)
{
	return th->th_sport == htons(ctx->port) && th->th_dport == htons(sport) &&
	       (th->th_flags & (TH_SYN | TH_ACK)) == (TH_SYN | TH_ACK);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* `headers`: IPv4 headers come with the segment; a raw IPv6 socket gives the segment alone. */
static int wait_answer(const struct attack_ctx *ctx, int fd, uint16_t sport, bool headers)
{
	int64_t end = now_ms() + WAIT_MS, left;
	uint8_t buf[256];

	while ((left = end - now_ms()) > 0) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		struct tcphdr th;
		size_t at;
		ssize_t n;

		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
		at = headers ? (size_t)(buf[0] & 15) * 4 : 0;
		if (n < (ssize_t)(at + sizeof(th)))
			continue;
		memcpy(&th, buf + at, sizeof(th));
		if (is_answer(ctx, &th, sport))
			return 0;
	}
	return -ETIMEDOUT;
}

static uint16_t some_port(void)
{
	return (uint16_t)(20000 + (unsigned)getpid() % 10000);
}

static int prepare(const struct attack_ctx *ctx)
{
	int r;

	if (!ctx->own4.s_addr || !ctx->greeting)
		return at_unsupported("needs the lab at the other end");
	r = drop_to_net_raw(ctx);
	return r < 0 ? at_broken("CAP_NET_RAW: %s", strerror(-r)) : 0;
}

static int run_raw4(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = ctx->target4 };
	bool own_header = how & H_HDRINCL;
	struct probe p;
	int fd, in, r = prepare(ctx);

	if (r > 0)
		return r;
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, own_header ? IPPROTO_RAW : IPPROTO_TCP);
	if (fd < 0)
		return -errno;	/* strict mode refuses it here */
	/* IPPROTO_RAW only sends. */
	in = own_header ? socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP) : fd;
	if (in < 0)
		return -errno;
	make_syn(ctx, some_port(), &p);
	r = own_header ? (int)sendto(fd, &p, sizeof(p), 0, (void *)&to, sizeof(to)) :
			 (int)sendto(fd, &p.tcp, sizeof(p.tcp), 0, (void *)&to, sizeof(to));
	return r < 0 ? -errno : wait_answer(ctx, in, some_port(), true);
}

static int run_raw6(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_addr = ctx->target6 };
	int fd, at = 16, r = prepare(ctx);	/* where the checksum is */
	struct probe p;

	(void)how;
	if (r > 0)
		return r;
	fd = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, IPPROTO_IPV6, IPV6_CHECKSUM, &at, sizeof(at)) < 0)
		return at_setup_error("IPV6_CHECKSUM", errno);
	make_syn(ctx, some_port(), &p);
	p.tcp.check = 0;
	if (sendto(fd, &p.tcp, sizeof(p.tcp), 0, (void *)&to, sizeof(to)) < 0)
		return -errno;
	return wait_answer(ctx, fd, some_port(), false);
}

/* The listener's hardware address: the kernel knows it once it has sent anything there. */
static int resolve(const struct attack_ctx *ctx, struct sockaddr_ll *ret)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = ctx->target4,
				  .sin_port = htons(ctx->control_port) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct arpreq arp = { .arp_flags = 0 };

	memcpy(&arp.arp_pa, &to, sizeof(to));
	strncpy(arp.arp_dev, ctx->device, sizeof(arp.arp_dev) - 1);
	if (sendto(fd, "x", 1, 0, (void *)&to, sizeof(to)) < 0 || poll(&p, 1, WAIT_MS) != 1 ||
	    ioctl(fd, SIOCGARP, &arp) < 0) {
		close(fd);
		return -EHOSTUNREACH;
	}
	close(fd);
	*ret = (struct sockaddr_ll){ .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP),
				     .sll_ifindex = (int)if_nametoindex(ctx->device),
				     .sll_halen = ETH_ALEN };
	memcpy(ret->sll_addr, arp.arp_ha.sa_data, ETH_ALEN);
	return 0;
}

static int run_packet(const struct attack_ctx *ctx, unsigned how)
{
	struct sockaddr_ll to;
	struct probe p;
	int fd, r = prepare(ctx);

	(void)how;
	if (r > 0)
		return r;
	if (!ctx->device)
		return at_unsupported("no device given");
	r = resolve(ctx, &to);
	if (r < 0)
		return at_broken("no hardware address: %s", strerror(-r));
	fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_IP));
	if (fd < 0)
		return -errno;
	make_syn(ctx, some_port(), &p);
	if (sendto(fd, &p, sizeof(p), 0, (void *)&to, sizeof(to)) < 0)
		return -errno;
	return wait_answer(ctx, fd, some_port(), true);
}

#define LIMIT	(ATTACK_LIMIT | ATTACK_AS_ROOT | ATTACK_N(0))

const struct attack attack_raw_cases[] = {
	{ "raw4", "raw IP socket, IP_HDRINCL", run_raw4, LIMIT, H_HDRINCL },
	{ "raw4-tcp", "raw IP socket of protocol TCP", run_raw4, LIMIT, 0 },
	{ "raw6-tcp", "raw IPv6 socket of protocol TCP", run_raw6, LIMIT, 0 },
	{ "packet4", "packet socket", run_packet, LIMIT, H_PACKET },
};
const size_t attack_raw_cases_n = ARRAY_LEN(attack_raw_cases);
