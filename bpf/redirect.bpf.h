/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * mode = redirect: a denied connect to port 25 goes to this machine's mail server instead. The
 * peer its owner asked for is kept with the socket, for getpeername. For MPTCP the kernel asks
 * with another socket: there getpeername tells the mail server's address.
 */
#ifndef SW_REDIRECT_BPF_H
#define SW_REDIRECT_BPF_H

#include "decide.bpf.h"
#include "identity.bpf.h"

SW_INLINE bool sw_env_mail_server(struct sw_env *env, __u32 uid)
{
	struct sw_exempt_key key = {
		.generation = sw_settings.generation,
		.kind = SW_KIND_MAIL_UID,
		.id = uid,
	};

	return bpf_map_lookup_elem(&sw_exempt, &key) != NULL;
}

/* A SYN to loopback would leave through the device. */
SW_INLINE bool sw_env_bound_to_device(struct sw_env *env)
{
	struct bpf_sock *sk = ((struct bpf_sock_addr *)env->ctx)->sk;

	return !sk || sk->bound_dev_if;
}

/* A socket may connect a second time: what it asked for before is forgotten. */
static __always_inline void sw_forget_peer(struct bpf_sock_addr *ctx)
{
	if (ctx->sk)
		bpf_sk_storage_delete(&sw_peers, ctx->sk);
}

/* False when it could not be kept: deny. */
static __always_inline bool sw_keep_peer(struct bpf_sock_addr *ctx, const struct sw_peer *p)
{
	struct sw_peer *kept;

	if (!ctx->sk)
		return false;
	kept = bpf_sk_storage_get(&sw_peers, ctx->sk, (void *)p, BPF_SK_STORAGE_GET_F_CREATE);
	if (!kept)
		return false;
	*kept = *p;
	return true;
}

static __always_inline bool sw_redirect4(struct bpf_sock_addr *ctx, const struct sw_flow *f)
{
	struct sw_peer peer = {
		.asked = { 0, 0, bpf_htonl(0xffff), f->addr[3] },
		.asked_port = ctx->user_port,
		.given = { 0, 0, bpf_htonl(0xffff), sw_settings.redirect4 },
		.given_port = bpf_htons(sw_settings.redirect_port),
	};

	if (!sw_settings.redirect4 || !sw_keep_peer(ctx, &peer))
		return false;
	ctx->user_ip4 = peer.given[3];
	ctx->user_port = peer.given_port;
	return true;
}

/* IPv4 in an IPv6 socket stays IPv4: such a socket may be bound to a v4-mapped address. */
static __always_inline bool sw_redirect6(struct bpf_sock_addr *ctx, const struct sw_flow *f)
{
	bool mapped = !f->addr[0] && !f->addr[1] && f->addr[2] == bpf_htonl(0xffff);
	struct sw_peer peer = {
		.asked = { f->addr[0], f->addr[1], f->addr[2], f->addr[3] },
		.asked_port = ctx->user_port,
		.given = { 0, 0, bpf_htonl(0xffff), sw_settings.redirect4 },
		.given_port = bpf_htons(sw_settings.redirect_port),
	};

	if (!mapped) {
		peer.given[0] = sw_settings.redirect6[0];
		peer.given[1] = sw_settings.redirect6[1];
		peer.given[2] = sw_settings.redirect6[2];
		peer.given[3] = sw_settings.redirect6[3];
	}
	if ((mapped && !sw_settings.redirect4) || !sw_keep_peer(ctx, &peer))
		return false;
	ctx->user_ip6[0] = peer.given[0];
	ctx->user_ip6[1] = peer.given[1];
	ctx->user_ip6[2] = peer.given[2];
	ctx->user_ip6[3] = peer.given[3];
	ctx->user_port = peer.given_port;
	return true;
}

#endif
