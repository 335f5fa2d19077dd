// SPDX-License-Identifier: GPL-2.0-only
/*
 * strict = yes: raw IP sockets are refused to identities that are not exempt. Such a socket can
 * carry a hand-made TCP handshake that no connect hook sees. It is judged once, when it is made;
 * nothing is done per packet. An object of its own, so that a kernel without the hook still
 * gets the gate.
 */
#include "identity.bpf.h"

#define SW_HOOK_DENY	0
#define SW_HOOK_PASS	1
#define SW_AF_INET	2
#define SW_AF_INET6	10

/* IPPROTO_ICMP is no exception: with IP_HDRINCL any raw socket sends any protocol. */
static __noinline int sw_raw(struct bpf_sock *ctx)
{
	struct sw_env env = { .ctx = ctx, .task = sw_current() };
	struct sw_ids ids = {};
	__u8 reason;

	if (ctx->family != SW_AF_INET && ctx->family != SW_AF_INET6)
		return SW_HOOK_PASS;
	sw_env_identify(&env, &ids);
	/* The kernel's own raw sockets (ICMP, neighbour discovery of a new namespace) send no
	 * mail, and refusing them would break the namespace. */
	if (ids.kthread || sw_identity_exempt(&env, &sw_settings, &ids, &reason)) {
		sw_bump(SW_CTR_RAW_ALLOWED);
		return SW_HOOK_PASS;
	}
	if (sw_settings.mode == SW_MODE_OBSERVE) {
		sw_bump(SW_CTR_RAW_ALLOWED);
		return SW_HOOK_PASS;
	}
	sw_bump(SW_CTR_RAW_DENIED);
	return SW_HOOK_DENY;
}

SEC("cgroup/sock_create")
int sw_sock_create(struct bpf_sock *ctx)
{
	if (ctx->type != SW_SOCK_RAW)
		return SW_HOOK_PASS;
	return sw_raw(ctx);
}

char _license[] SEC("license") = "GPL";
