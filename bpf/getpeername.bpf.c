// SPDX-License-Identifier: GPL-2.0-only
/*
 * mode = redirect: a program that asks for its peer is told the one it connected to. An object of
 * its own, attached only in that mode; without it the program sees the mail server's address.
 */
#include "maps.bpf.h"

#define SW_HOOK_PASS	1

static __always_inline struct sw_peer *sw_peer_of(struct bpf_sock_addr *ctx)
{
	return ctx->sk ? bpf_sk_storage_get(&sw_peers, ctx->sk, NULL, 0) : NULL;
}

/* Only the peer the socket was sent to is translated: by now it may have another one. */
SEC("cgroup/getpeername4")
int sw_getpeername4(struct bpf_sock_addr *ctx)
{
	struct sw_peer *peer = sw_peer_of(ctx);

	if (peer && ctx->user_ip4 == peer->given[3] && ctx->user_port == peer->given_port) {
		ctx->user_ip4 = peer->asked[3];
		ctx->user_port = peer->asked_port;
	}
	return SW_HOOK_PASS;
}

SEC("cgroup/getpeername6")
int sw_getpeername6(struct bpf_sock_addr *ctx)
{
	struct sw_peer *peer = sw_peer_of(ctx);

	if (!peer || ctx->user_port != peer->given_port || ctx->user_ip6[0] != peer->given[0] ||
	    ctx->user_ip6[1] != peer->given[1] || ctx->user_ip6[2] != peer->given[2] ||
	    ctx->user_ip6[3] != peer->given[3])
		return SW_HOOK_PASS;
	ctx->user_ip6[0] = peer->asked[0];
	ctx->user_ip6[1] = peer->asked[1];
	ctx->user_ip6[2] = peer->asked[2];
	ctx->user_ip6[3] = peer->asked[3];
	ctx->user_port = peer->asked_port;
	return SW_HOOK_PASS;
}

char _license[] SEC("license") = "GPL";
