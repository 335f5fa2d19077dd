// SPDX-License-Identifier: GPL-2.0-only
/*
 * mode = redirect: a program that asks for its peer is told the one it connected to. An object of
 * its own, attached only in that mode; without it the program sees the mail server's address.
 */
#include "maps.bpf.h"

#define SW_HOOK_PASS	1

static __always_inline struct sw_peer *sw_asked(struct bpf_sock_addr *ctx)
{
	return ctx->sk ? bpf_sk_storage_get(&sw_peers, ctx->sk, NULL, 0) : NULL;
}

SEC("cgroup/getpeername4")
int sw_getpeername4(struct bpf_sock_addr *ctx)
{
	struct sw_peer *peer = sw_asked(ctx);

	if (peer) {
		ctx->user_ip4 = peer->addr[3];
		ctx->user_port = peer->port;
	}
	return SW_HOOK_PASS;
}

SEC("cgroup/getpeername6")
int sw_getpeername6(struct bpf_sock_addr *ctx)
{
	struct sw_peer *peer = sw_asked(ctx);

	if (peer) {
		ctx->user_ip6[0] = peer->addr[0];
		ctx->user_ip6[1] = peer->addr[1];
		ctx->user_ip6[2] = peer->addr[2];
		ctx->user_ip6[3] = peer->addr[3];
		ctx->user_port = peer->port;
	}
	return SW_HOOK_PASS;
}

char _license[] SEC("license") = "GPL";
