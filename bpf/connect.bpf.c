// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two connect hooks. Every TCP connect of the machine comes through here: plain, Fast Open,
 * MPTCP (as TCP), SMC (its inner TCP socket), io_uring, from every cgroup and namespace. IPv4
 * in an IPv6 socket (v4-mapped) comes to connect6 only.
 */
#include "container.bpf.h"
#include "event.bpf.h"
#include "limit.bpf.h"
#include "redirect.bpf.h"

/* What these hooks return. Never bare 0 and 1: LSM hooks use the opposite. */
#define SW_HOOK_DENY	0
#define SW_HOOK_PASS	1

static __always_inline void sw_read_caller(struct task_struct *task, struct sw_where *w)
{
	sw_read_where(task, w);
}

/* For the sockops program, which tells what becomes of it. A socket may connect a second time. */
static __noinline int sw_keep_conn(struct bpf_sock_addr *ctx, const struct sw_uid_key *account,
				   const struct sw_origin_key *origin)
{
	struct sw_watched conn = { .origin = *origin, .account = *account }, *kept;

	if (!ctx->sk)
		return 0;
	kept = bpf_sk_storage_get(&sw_conns, ctx->sk, &conn, BPF_SK_STORAGE_GET_F_CREATE);
	if (kept)
		*kept = conn;
	return 0;
}

static __always_inline bool sw_redirect(struct bpf_sock_addr *ctx, const struct sw_flow *f,
					__u32 family)
{
	return family == 4 ? sw_redirect4(ctx, f) : sw_redirect6(ctx, f);
}

static __always_inline int sw_connect(struct bpf_sock_addr *ctx, const struct sw_flow *f,
				      __u32 family)
{
	struct sw_env env = { .ctx = ctx, .task = sw_current() };
	enum sw_port_kind kind = sw_port_kind(&sw_settings, f->port);
	struct sw_origin_key origin;
	struct sw_uid_stats *account;
	struct sw_decision d = {};
	__u64 now;

	if (kind == SW_PORT_OTHER)
		return SW_HOOK_PASS;
	sw_decide(&env, &sw_settings, f, kind, &d);
	if (sw_settings.mode == SW_MODE_REDIRECT)
		sw_forget_peer(ctx);
	if (d.verdict == SW_REDIRECT && !sw_redirect(ctx, f, family)) {
		d.verdict = SW_DENY;
		d.slot = SW_N_DENIED;
	}

	/* The verdict is final before this line; nothing below can change it. */
	now = sw_coarse_now();
	account = sw_count(env.task, f, &d, &origin, now);
	if (d.verdict != SW_ALLOW) {
		sw_after_limit(&d);
		sw_count_dest(f, &d, account, now);
		if (d.charge.row == SW_ROW_UID)
			sw_count_hour(d.charge.uid);
		sw_remember_cgroup();
		if (sw_throttled(account, now))
			sw_bump(SW_CTR_EVENTS_THROTTLED);
		else
			sw_report(ctx, f, &d, family);
	}
	if (d.verdict == SW_ALLOW || d.verdict == SW_OBSERVE || d.verdict == SW_REDIRECT) {
		if (sw_settings.outcomes)
			sw_keep_conn(ctx, &d.charge, &origin);
		return SW_HOOK_PASS;
	}
	if (sw_settings.has_set_retval)
		bpf_set_retval(-sw_settings.refuse_errno);
	return SW_HOOK_DENY;
}

/* 32-bit load of the port on purpose: older verifiers refuse a narrow one. The barrier keeps
 * clang from believing that the upper half is zero and dropping the mask they need. */
static __always_inline __u16 sw_port(struct bpf_sock_addr *ctx)
{
	__u32 port = bpf_ntohs(ctx->user_port);

	asm volatile("" : "+r"(port));
	return port & 0xffff;
}

/* UDP connects come through the same hooks: look at the protocol, not at the socket type. */
static __noinline __attribute__((used)) int sw_slow4(struct bpf_sock_addr *ctx)
{
	struct sw_flow f = {
		.addr = { 0, 0, bpf_htonl(0xffff), ctx->user_ip4 },
		.port = sw_port(ctx),
	};

	if (ctx->protocol != IPPROTO_TCP)
		return SW_HOOK_PASS;
	return sw_connect(ctx, &f, 4);
}

static __noinline __attribute__((used)) int sw_slow6(struct bpf_sock_addr *ctx)
{
	struct sw_flow f = {
		.addr = { ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3] },
		.port = sw_port(ctx),
	};

	if (ctx->protocol != IPPROTO_TCP)
		return SW_HOOK_PASS;
	return sw_connect(ctx, &f, 6);
}

/*
 * What every other connect on the machine pays: one load, one compare a port, two instructions
 * to leave. Written by hand because the ports have to be immediates: the loader replaces
 * SW_PORT_SLOT + i by the i-th port in network order and unused compares by no-ops, which the
 * verifier removes. See user/portpatch.c.
 */
#define SW_STR2(x)	#x
#define SW_STR(x)	SW_STR2(x)
#define SW_SLOT(n)	"if r2 == " SW_STR(n) " goto 1f\n"

#define SW_FAST_PATH(slow)						\
	asm volatile(							\
		"r2 = *(u32 *)(r1 + 24)\n"	/* user_port */		\
		SW_SLOT(0x5a5a0000) SW_SLOT(0x5a5a0001) SW_SLOT(0x5a5a0002) SW_SLOT(0x5a5a0003) \
		SW_SLOT(0x5a5a0004) SW_SLOT(0x5a5a0005) SW_SLOT(0x5a5a0006) SW_SLOT(0x5a5a0007) \
		SW_SLOT(0x5a5a0008) SW_SLOT(0x5a5a0009) SW_SLOT(0x5a5a000a) SW_SLOT(0x5a5a000b) \
		SW_SLOT(0x5a5a000c) SW_SLOT(0x5a5a000d) SW_SLOT(0x5a5a000e) SW_SLOT(0x5a5a000f) \
		"r0 = 1\n"						\
		"exit\n"						\
		"1:\n"							\
		"call " slow "\n"					\
		"exit\n")

_Static_assert(__builtin_offsetof(struct bpf_sock_addr, user_port) == 24, "user_port moved");
_Static_assert(SW_MAX_PORTS == 16, "one compare for each port");

SEC("cgroup/connect4")
__attribute__((naked)) int sw_connect4(void)
{
	SW_FAST_PATH("sw_slow4");
}

SEC("cgroup/connect6")
__attribute__((naked)) int sw_connect6(void)
{
	SW_FAST_PATH("sw_slow6");
}

char _license[] SEC("license") = "GPL";
