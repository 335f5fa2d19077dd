/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Counting. Every attempt adds one to exactly one slot of one account row and, with origins, of
 * one origin row. When a table is full its overflow row counts; the verdict never notices.
 */
#ifndef SW_COUNT_BPF_H
#define SW_COUNT_BPF_H

#include "decision.bpf.h"
#include "where.bpf.h"

/* Who is behind the attempt, and where: known to the includer. */
static __always_inline void sw_read_caller(struct task_struct *task, struct sw_where *w);

static __always_inline void sw_add(__u64 n[_SW_N_MAX], __u32 slot)
{
	if (slot < _SW_N_MAX)
		__sync_fetch_and_add(&n[slot], 1);
}

/* A function of its own, for the stack: see sw_within_limits(). */
static __noinline int sw_uid_make(const struct sw_uid_key *key, __u64 now)
{
	struct sw_uid_stats fresh = { .first_ns = now };

	/* -EEXIST only says that another CPU was first. */
	return bpf_map_update_elem(&sw_uid_stats, key, &fresh, BPF_NOEXIST);
}

/* The account's row, made at first sight; the overflow row when the table is full. */
static __always_inline struct sw_uid_stats *sw_uid_row(const struct sw_uid_key *key, __u64 now)
{
	struct sw_uid_key overflow = { .uid = 0, .row = SW_ROW_OVERFLOW };
	struct sw_uid_stats *row = bpf_map_lookup_elem(&sw_uid_stats, key);

	if (row)
		return row;
	sw_uid_make(key, now);
	row = bpf_map_lookup_elem(&sw_uid_stats, key);
	if (row)
		return row;
	sw_bump(SW_CTR_UID_FULL);
	return bpf_map_lookup_elem(&sw_uid_stats, &overflow);
}

/* Linear counting: one cell for each destination's hash. A bit lost to a race is set by the
 * next connect to that destination; the estimate does not notice. */
static __always_inline void sw_sketch(struct sw_origin *o, const __u32 addr[4])
{
	__u32 h = (addr[0] ^ addr[1]) * 0x85ebca6b ^ (addr[2] ^ addr[3]) * 0x9e3779b1;
	__u64 bit;
	__u32 word;

	h ^= h >> 15;
	h *= 0x2c1b3c6d;
	h ^= h >> 12;
	word = (h >> 6) & (SW_SKETCH_WORDS - 1);
	bit = 1ULL << (h & 63);
	if (!(o->sketch[word] & bit))
		o->sketch[word] |= bit;
}

/* A new origin row. Only the task whose insert succeeds fills it in, in place. Global, with
 * scalars only (all that 5.10 takes): the verifier then looks at the path walk once, not once
 * for each way that leads here. */
int sw_origin_make(__u32 uid, __u32 dev, __u64 ino);
__noinline int sw_origin_make(__u32 uid, __u32 dev, __u64 ino)
{
	struct sw_origin_key key = { .uid = uid, .dev = dev, .ino = ino };
	__u32 zero = 0;
	struct sw_origin *o = bpf_map_lookup_elem(&sw_zero, &zero);
	int r;

	if (!o)
		return -1;
	r = bpf_map_update_elem(&sw_origins, &key, o, BPF_NOEXIST);
	if (r)
		return r;
	o = bpf_map_lookup_elem(&sw_origins, &key);
	if (!o)
		return -1;
	o->first_ns = sw_coarse_now();
	o->cgroup_id = bpf_get_current_cgroup_id();
	if (dev != SW_DEV_NONE)
		sw_read_caller(sw_current(), &o->where);
	o->filled = 1;
	return 0;
}

/* The row of this account and directory. One account may make only its share of rows: past that
 * its further directories are counted together, so that nobody can fill the table for others. */
static __always_inline struct sw_origin *sw_origin_row(struct sw_origin_key *key,
						       struct sw_uid_stats *account)
{
	struct sw_origin *o = bpf_map_lookup_elem(&sw_origins, key);
	bool special = key->dev == SW_DEV_NONE;

	if (o)
		return o;
	if (!special && account && (account->shares & 0xffff) >= sw_settings.max_origins_per_uid) {
		key->dev = SW_DEV_NONE;
		key->ino = SW_ROW_MORE;
		special = true;
		o = bpf_map_lookup_elem(&sw_origins, key);
		if (o)
			return o;
	}
	if (!sw_origin_make(key->uid, key->dev, key->ino) && account && !special)
		__sync_fetch_and_add(&account->shares, SW_SHARE_ORIGIN);
	o = bpf_map_lookup_elem(&sw_origins, key);
	if (o)
		return o;
	sw_bump(SW_CTR_ORIGIN_FULL);
	key->uid = 0;
	key->dev = SW_DEV_NONE;
	key->ino = SW_ROW_OVERFLOW;
	return bpf_map_lookup_elem(&sw_origins, key);
}

static __always_inline void sw_count_origin(struct task_struct *task, const struct sw_flow *f,
					    const struct sw_decision *d,
					    struct sw_uid_stats *account,
					    struct sw_origin_key *key, __u64 now)
{
	struct sw_origin *o;

	if (d->charge.row == SW_ROW_UID) {
		sw_read_cwd(task, &key->dev, &key->ino);
	} else {	/* a kernel thread has no directory of its own */
		key->dev = SW_DEV_NONE;
		key->ino = d->charge.row;
	}
	o = sw_origin_row(key, account);
	if (!o) {
		sw_bump(SW_CTR_UNCOUNTED);
		return;
	}
	sw_add(o->n, d->slot);
	o->last_ns = now;
	if (!f)
		return;
	o->last_dport = f->port;
	__builtin_memcpy(o->last_daddr, f->addr, sizeof(o->last_daddr));
	sw_sketch(o, f->addr);
}

/* Counts one decision everywhere it belongs; without `f` it had no destination. The account's row, or
 * NULL if there was none; in *origin the key of the other one. */
static __always_inline struct sw_uid_stats *sw_count(struct task_struct *task,
						     const struct sw_flow *f,
						     const struct sw_decision *d,
						     struct sw_origin_key *origin, __u64 now)
{
	struct sw_uid_stats *account = sw_uid_row(&d->charge, now);

	if (account) {
		sw_add(account->n, d->slot);
		account->last_ns = now;
	} else {
		sw_bump(SW_CTR_UNCOUNTED);
	}
	*origin = (struct sw_origin_key){ .uid = d->charge.uid };
	if (sw_settings.count_origins)
		sw_count_origin(task, f, d, account, origin, now);
	return account;
}

/* Where an attempt that was not simply allowed went to. What has no row of its own, because the
 * account used up its share or the table is full, is counted on the account's SW_ROW_MORE. */
static __always_inline struct sw_dest *sw_dest_row(struct sw_dest_key *key,
						   struct sw_uid_stats *account, __u64 now)
{
	struct sw_dest fresh = { .first_ns = now };
	struct sw_dest *row = bpf_map_lookup_elem(&sw_dests, key);

	if (!row && account->shares >> 16 < sw_settings.max_dests_per_uid) {
		if (!bpf_map_update_elem(&sw_dests, key, &fresh, BPF_NOEXIST))
			__sync_fetch_and_add(&account->shares, SW_SHARE_DEST);
		row = bpf_map_lookup_elem(&sw_dests, key);
	}
	if (row)
		return row;
	*key = (struct sw_dest_key){ .uid = key->uid, .row = SW_ROW_MORE };
	row = bpf_map_lookup_elem(&sw_dests, key);
	if (row)
		return row;
	bpf_map_update_elem(&sw_dests, key, &fresh, BPF_NOEXIST);
	return bpf_map_lookup_elem(&sw_dests, key);
}

static __always_inline void sw_count_dest(const struct sw_flow *f, const struct sw_decision *d,
					  struct sw_uid_stats *account, __u64 now)
{
	struct sw_dest_key key = {
		.uid = d->charge.uid,
		.port = f->port,
		.row = SW_ROW_UID,
		.addr = { f->addr[0], f->addr[1], f->addr[2], f->addr[3] },
	};
	struct sw_dest *row;

	if (!account || d->charge.row != SW_ROW_UID)
		return;
	row = sw_dest_row(&key, account, now);
	if (!row) {
		sw_bump(SW_CTR_DEST_FULL);
		return;
	}
	__sync_fetch_and_add(d->verdict == SW_OBSERVE ? &row->would_deny : &row->refused, 1);
	row->last_ns = now;
}

#endif
