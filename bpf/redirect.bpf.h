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

/* False when the destination could not be kept or the mail server is not known: deny. */
static __always_inline bool sw_keep_peer(struct bpf_sock_addr *ctx, const struct sw_flow *f)
{
	struct sw_peer *peer, asked = {
		.addr = { f->addr[0], f->addr[1], f->addr[2], f->addr[3] },
		.port = ctx->user_port,
	};

	if (!ctx->sk)
		return false;
	peer = bpf_sk_storage_get(&sw_peers, ctx->sk, &asked, BPF_SK_STORAGE_GET_F_CREATE);
	if (!peer)
		return false;
	*peer = asked;	/* a socket may connect a second time */
	return true;
}

static __always_inline bool sw_redirect4(struct bpf_sock_addr *ctx, const struct sw_flow *f)
{
	__u32 zero = 0;
	struct sw_control *c = bpf_map_lookup_elem(&sw_control, &zero);

	if (!c || !c->redirect4 || !sw_keep_peer(ctx, f))
		return false;
	ctx->user_ip4 = c->redirect4;
	ctx->user_port = bpf_htons(c->redirect_port);
	return true;
}

/* IPv4 in an IPv6 socket stays IPv4: such a socket may be bound to a v4-mapped address. */
static __always_inline bool sw_redirect6(struct bpf_sock_addr *ctx, const struct sw_flow *f)
{
	__u32 zero = 0;
	struct sw_control *c = bpf_map_lookup_elem(&sw_control, &zero);
	bool mapped = !f->addr[0] && !f->addr[1] && f->addr[2] == bpf_htonl(0xffff);

	if (!c || (mapped && !c->redirect4) || !sw_keep_peer(ctx, f))
		return false;
	if (mapped) {
		ctx->user_ip6[3] = c->redirect4;
	} else {
		ctx->user_ip6[0] = c->redirect6[0];
		ctx->user_ip6[1] = c->redirect6[1];
		ctx->user_ip6[2] = c->redirect6[2];
		ctx->user_ip6[3] = c->redirect6[3];
	}
	ctx->user_port = bpf_htons(c->redirect_port);
	return true;
}

#endif
