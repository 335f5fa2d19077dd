// SPDX-License-Identifier: GPL-2.0-only
/*
 * What becomes of SMTP connections: established or not, bytes, duration. Only sockets that the
 * connect hook has marked are asked for more than their first packet; nothing is done per packet. An
 * object of its own, so that a kernel that does not take it still gets the gate.
 */
#include "maps.bpf.h"

#define SW_SOCKOPS_DONE	1
#define SW_SOCK_DONE	1	/* enum sock_flags: the other side's FIN was received */
#define SW_ECONNREFUSED	111
#define SW_ETIMEDOUT	110

static __always_inline void sw_add_up(__u64 *to, __u64 n)
{
	if (n)
		__sync_fetch_and_add(to, n);
}

static __noinline int sw_add_outcome(const struct sw_origin_key *key, const struct sw_outcome *o)
{
	struct sw_outcome fresh = {}, *row = bpf_map_lookup_elem(&sw_outcomes, key);

	if (!row) {
		/* -EEXIST only says that another CPU was first. */
		bpf_map_update_elem(&sw_outcomes, key, &fresh, BPF_NOEXIST);
		row = bpf_map_lookup_elem(&sw_outcomes, key);
	}
	if (!row) {
		sw_bump(SW_CTR_OUTCOME_FULL);
		return 0;
	}
	sw_add_up(&row->established, o->established);
	sw_add_up(&row->refused, o->refused);
	sw_add_up(&row->timed_out, o->timed_out);
	sw_add_up(&row->failed, o->failed);
	sw_add_up(&row->bytes_sent, o->bytes_sent);
	sw_add_up(&row->bytes_received, o->bytes_received);
	sw_add_up(&row->duration_ns, o->duration_ns);
	return 0;
}

static __always_inline void sw_count_outcome(const struct sw_watched *conn, const struct sw_outcome *o)
{
	struct sw_origin_key account = {
		.uid = conn->account.uid,
		.dev = SW_DEV_NONE,
		.ino = conn->account.row,
	}, origin = conn->origin;

	sw_add_outcome(&account, o);
	if (origin.uid != account.uid || origin.dev != account.dev || origin.ino != account.ino)
		sw_add_outcome(&origin, o);
}

/* The kernel's byte counters have the sequence numbers of SYN and FIN too. */
static __always_inline void sw_ended(struct bpf_sock_ops *ctx, const struct sw_watched *conn, __u32 before,
				     int err, unsigned long flags, struct sw_outcome *o)
{
	__u64 sent = ctx->bytes_acked, received = ctx->bytes_received, no_payload = 1;

	if (conn->fin_acked || (!err && (before == BPF_TCP_LAST_ACK || before == BPF_TCP_CLOSING)))
		no_payload++;
	if (sent > no_payload)
		o->bytes_sent = sent - no_payload;
	if (received && flags & 1UL << SW_SOCK_DONE)
		received--;
	o->bytes_received = received;
	o->duration_ns = bpf_ktime_get_ns() - conn->since_ns;
}

static __always_inline void sw_never_began(int err, struct sw_outcome *o)
{
	if (err == SW_ECONNREFUSED)
		o->refused = 1;
	else if (err == SW_ETIMEDOUT)
		o->timed_out = 1;
	else
		o->failed = 1;
}

static __noinline int sw_new_state(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;	/* loaded once: each load wants a check of its own */
	__u32 before = ctx->args[0], state = ctx->args[1];
	struct sw_outcome o = {};
	unsigned long flags = 0;
	struct sw_watched *conn;
	struct sock *raw;
	int err = 0;

	if (!sk)
		return 0;
	conn = bpf_sk_storage_get(&sw_conns, sk, NULL, 0);
	if (!conn)
		return 0;
	if (state == BPF_TCP_ESTABLISHED) {
		conn->since_ns = bpf_ktime_get_ns();
		conn->established = 1;
		o.established = 1;
	} else if (state == BPF_TCP_FIN_WAIT2) {
		conn->fin_acked = 1;
		return 0;
	} else if (state == BPF_TCP_CLOSE) {
		raw = (struct sock *)bpf_skc_to_tcp_sock(sk);
		if (raw) {
			err = raw->sk_err;
			flags = raw->__sk_common.skc_flags;
		}
		if (conn->established)
			sw_ended(ctx, conn, before, err, flags, &o);
		else
			sw_never_began(err, &o);
		conn->established = conn->fin_acked = 0;
	} else {
		return 0;
	}
	sw_count_outcome(conn, &o);
	return 0;
}

static __noinline int sw_first_packet(struct bpf_sock_ops *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	if (sk && bpf_sk_storage_get(&sw_conns, sk, NULL, 0))
		bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags |
					  BPF_SOCK_OPS_STATE_CB_FLAG);
	return 0;
}

SEC("sockops")
int sw_outcome(struct bpf_sock_ops *ctx)
{
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB)
		sw_first_packet(ctx);
	else if (ctx->op == BPF_SOCK_OPS_STATE_CB)
		sw_new_state(ctx);
	return SW_SOCKOPS_DONE;
}

char _license[] SEC("license") = "GPL";
