/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seen by both bpf/ and user/: fixed-width types only, no libc, no kernel headers beyond
 * linux/types.h. Every structure here is a map key, a map value, an event record or read-only
 * program data. A change of any layout bumps SW_ABI_VERSION, and with it the pin directory.
 */
#ifndef SMTPWALL_ABI_H
#define SMTPWALL_ABI_H

#include <linux/types.h>

#define SW_ABI_VERSION	1
#define SW_ABI_SIZE(type, n) _Static_assert(sizeof(type) == (n), #type " changed size")

#define SW_MAX_PORTS	16	/* deny_ports and count_ports together */
#define SW_HOT_UIDS	8	/* exempt UIDs that need no lookup */
#define SW_PATH_LEN	512	/* power of two: the path walk masks with it */
#define SW_ARGV_LEN	256	/* must be at least one path component: it is the walk's slack */
#define SW_COMM_LEN	16
#define SW_SKETCH_WORDS	4	/* 256 cells of a linear-counting sketch */

/* What the policy does with a connect that nothing exempts. */
enum sw_mode {
	SW_MODE_ENFORCE,
	SW_MODE_OBSERVE,
	SW_MODE_REDIRECT,
	_SW_MODE_MAX,
};

enum sw_verdict {
	SW_ALLOW,
	SW_DENY,
	SW_OBSERVE,	/* would be denied, mode observe lets it through */
	SW_LIMITED,
	SW_REDIRECT,
	_SW_VERDICT_MAX,
};

/* Why: the step of the decision that gave the verdict. */
enum sw_reason {
	SW_BY_NONE,		/* not SMTP, not TCP: not ours */
	SW_BY_LOCAL,		/* this machine, allow_local = yes */
	SW_BY_KTHREAD,		/* a kernel thread is never exempt */
	SW_BY_EXEMPT_UID,
	SW_BY_EXEMPT_GID,
	SW_BY_EXEMPT_CGROUP,
	SW_BY_RULE,		/* an allow rule */
	SW_BY_COUNT_PORT,	/* the port is only counted */
	SW_BY_POLICY,		/* nothing exempts this identity */
	SW_BY_CONTAINER,	/* exempt on the host, but not in another namespace */
	SW_BY_REAL_UID,		/* identity = strict: the real UID is not exempt */
	_SW_REASON_MAX,
};

/* Counter slots of one row. Each attempt adds one to exactly one of them. */
enum sw_slot {
	SW_N_ALLOWED,
	SW_N_DENIED,
	SW_N_WOULD_DENY,
	SW_N_LIMITED,
	SW_N_REDIRECTED,
	SW_N_LOCAL,
	_SW_N_MAX,
};

/* Rows that belong to no single account. */
enum sw_row {
	SW_ROW_UID,		/* an ordinary row */
	SW_ROW_KERNEL,		/* connects made by kernel threads */
	SW_ROW_OVERFLOW,	/* the table was full */
	SW_ROW_MORE,		/* origins only: this UID used up its share of directories */
};

/* sw_uid_stats: one row an account; counters only ever grow. */
struct sw_uid_key {
	__u32 uid;		/* initial user namespace; 0 unless row is SW_ROW_UID */
	__u32 row;		/* enum sw_row */
};
SW_ABI_SIZE(struct sw_uid_key, 8);

struct sw_uid_stats {
	__u64 n[_SW_N_MAX];
	__u64 first_ns;		/* CLOCK_MONOTONIC */
	__u64 last_ns;
	__u32 event_tat;	/* event throttle: when the next one is due, SW_TICK_SHIFT ticks */
	__u32 origins;		/* rows this UID has made in sw_origins */
};
SW_ABI_SIZE(struct sw_uid_stats, 72);	/* with the kernel's 56 bytes it fills 128 */

/* sw_origins: one row a UID and current directory; counters only ever grow. */
struct sw_origin_key {
	__u32 uid;
	__u32 dev;		/* kernel's s_dev: major << 20 | minor; SW_DEV_NONE for special rows */
	__u64 ino;		/* inode of the directory; enum sw_row where dev is SW_DEV_NONE */
};
SW_ABI_SIZE(struct sw_origin_key, 16);

#define SW_DEV_NONE	0xffffffffU

/* State of a path walk. It lies in memory, not on the stack, so that the verifier forgets it
 * between steps and does not multiply loop states. */
struct sw_walk {
	__u64 mnt;		/* struct mount */
	__u64 dentry;
	__u64 mnt_root;		/* dentry at which this mount begins */
	__u32 off;		/* where the path written so far begins */
	__u32 pad;
};
SW_ABI_SIZE(struct sw_walk, 32);

#define SW_PATH_CUT	1	/* the front of the path did not fit or was too deep */

/* Who and where, as found in the kernel at the moment of the connect. The path is written
 * backwards: it is the NUL-terminated string at path + path_off. argv holds NUL between
 * arguments; all text is the caller's and untrusted. */
struct sw_where {
	struct sw_walk walk;
	__u16 path_off;
	__u16 argv_len;
	__u16 flags;		/* SW_PATH_* */
	__u16 pad;
	char comm[SW_COMM_LEN];	/* of the thread group leader */
	char path[SW_PATH_LEN];
	char argv[SW_ARGV_LEN];	/* follows path: the walk may spill into it */
};
SW_ABI_SIZE(struct sw_where, 824);

struct sw_origin {
	__u64 n[_SW_N_MAX];
	__u64 first_ns;		/* CLOCK_MONOTONIC */
	__u64 last_ns;
	__u8  last_daddr[16];	/* IPv4 as v4-mapped */
	__u16 last_dport;	/* host order */
	__u8  filled;		/* 1 once `where` is complete */
	__u8  pad[5];
	__u64 sketch[SW_SKETCH_WORDS];	/* distinct destinations; rows of one UID merge by OR */
	struct sw_where where;	/* the first caller seen here */
};
SW_ABI_SIZE(struct sw_origin, 944);	/* with key and kernel header it fits 1024 */

/* sw_exempt: who is never denied. */
enum sw_kind { SW_KIND_UID = 1, SW_KIND_GID, SW_KIND_CGROUP, _SW_KIND_MAX };

struct sw_exempt_key {
	__u32 generation;
	__u32 kind;		/* enum sw_kind */
	__u64 id;		/* UID, primary group or cgroup id */
};
SW_ABI_SIZE(struct sw_exempt_key, 16);

struct sw_exempt_val {
	__u32 source;		/* index into sw_sources of the same generation */
	__u32 line;		/* 0: the source as a whole */
};
SW_ABI_SIZE(struct sw_exempt_val, 8);

/* sw_sources: where a row of the policy comes from, as text for people. */
struct sw_source_key {
	__u32 generation;
	__u32 source;
};
SW_ABI_SIZE(struct sw_source_key, 8);

/* Reserved sources: where the settings stand that decide when no row does. */
#define SW_SOURCE_DENY_PORTS	0xfffffff0U
#define SW_SOURCE_COUNT_PORTS	0xfffffff1U
#define SW_SOURCE_ALLOW_LOCAL	0xfffffff2U

struct sw_source {
	char text[248];		/* a file name or a sentence, NUL-terminated */
};
SW_ABI_SIZE(struct sw_source, 248);

/* sw_local: this machine's own addresses. */
struct sw_local_key {
	__u32 generation;
	__u32 addr[4];		/* network order, IPv4 as v4-mapped */
};
SW_ABI_SIZE(struct sw_local_key, 20);

/* sw_counters: one __u64 per CPU each. */
enum sw_counter {
	SW_CTR_EVENTS_SENT,
	SW_CTR_EVENTS_LOST,	/* ring buffer full */
	SW_CTR_EVENTS_THROTTLED,
	SW_CTR_UID_FULL,	/* attempts counted on the overflow row of sw_uid_stats */
	SW_CTR_ORIGIN_FULL,	/* attempts counted on the overflow row of sw_origins */
	SW_CTR_UNCOUNTED,	/* not even the overflow row was there */
	SW_CTR_RAW_ALLOWED,	/* strict = yes: raw sockets of exempt identities */
	SW_CTR_RAW_DENIED,
	_SW_CTR_MAX,
};

/* sw_control: the one page that user space changes without an apply. Fixed size for ever. */
#define SW_LOCAL_WORDS	8
#define SW_TICK_SHIFT	26	/* throttle ticks of 2^26 ns, about 67 ms */
struct sw_control {
	__u64 wall_offset_ns;	/* CLOCK_REALTIME - CLOCK_MONOTONIC */
	__u32 event_interval;	/* ticks between two events of one UID, once its burst is used up */
	__u32 event_burst;	/* events of one UID that may come at once */
	__u64 local_filter[SW_LOCAL_WORDS];	/* an address of sw_local has its bit set */
	__u8  spare[4016];
};
SW_ABI_SIZE(struct sw_control, 4096);

/* The address's bit in local_filter, 0 to 511. `addr` in network order. */
static inline __u32 sw_local_bit(const __u32 addr[4])
{
	return (addr[0] ^ addr[1] ^ addr[2] ^ addr[3]) * 0x9e3779b1 >> 23;
}

/* Read-only data of the loaded programs: folded to constants by the verifier. */
struct sw_settings {
	__u32 generation;
	__u32 mode;		/* enum sw_mode */
	__s32 refuse_errno;	/* positive; EPERM where the kernel cannot choose */
	__u32 max_origins_per_uid;
	__u16 ports[SW_MAX_PORTS];	/* host order: first the deny ports, then the count ports */
	__u16 n_deny_ports;
	__u16 n_ports;
	__u8  allow_local;
	__u8  identity_strict;
	__u8  containers_exempt;
	__u8  has_gids;		/* the generation has group rows */
	__u8  cgroup_levels;	/* depth of the deepest exempt cgroup; 0: none */
	__u8  strict_raw;	/* sock_create is attached too */
	__u8  count_origins;	/* 0 only in measurements of what origins cost */
	__u8  has_task_btf;	/* features of this kernel, found by probing */
	__u8  has_set_retval;
	__u8  has_coarse_clock;
	__u8  n_hot_uids;
	__u8  only_hot_uids;	/* sw_exempt has no UID rows besides hot_uid */
	__u32 hot_uid[SW_HOT_UIDS];	/* exempt; each has its row in sw_exempt as well */
};
SW_ABI_SIZE(struct sw_settings, 96);

#define SW_MAX_CGROUP_LEVELS	16

/* sw_events: one record for each reported decision. */
struct sw_event {
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	__u64 cgroup_id;
	__u64 netns_cookie;
	__u64 cwd_ino;
	__u32 cwd_dev;
	__u32 generation;
	__u32 pid;		/* thread */
	__u32 tgid;		/* process */
	__u32 ppid;
	__u32 ruid;
	__u32 euid;
	__u32 egid;
	__u32 loginuid;		/* 0xffffffff: none, or a kernel without audit */
	__u32 charged_uid;
	__u8  daddr[16];	/* IPv4 as v4-mapped */
	__u16 dport;		/* host order */
	__u8  family;		/* 4 or 6: the hook that saw it */
	__u8  verdict;		/* enum sw_verdict */
	__u8  reason;		/* enum sw_reason */
	__u8  charged_row;	/* enum sw_row */
	__u8  pad[2];
	char  parent_comm[SW_COMM_LEN];
	struct sw_where where;
};
SW_ABI_SIZE(struct sw_event, 936);

#endif
