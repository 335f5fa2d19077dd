/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Seen by both bpf/ and user/: fixed-width types only, no libc, no kernel headers beyond
 * linux/types.h. Every structure here is a map key, a map value, an event record or read-only
 * program data. A change of any layout bumps SW_ABI_VERSION, and with it the pin directory.
 */
#ifndef SMTPWALL_ABI_H
#define SMTPWALL_ABI_H

#include <linux/types.h>
#ifdef __bpf__
#include <linux/bpf.h>	/* struct bpf_spin_lock */
#endif

#define SW_ABI_VERSION	3
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
	SW_BY_DENIED_NOW,	/* a temporary deny, by hand or after a limit */
	SW_BY_ACCOUNT_LIMIT,	/* the limit of the account is used up */
	SW_BY_RULE_LIMIT,	/* that of the allow rule */
	SW_BY_SERVER_LIMIT,	/* that of the whole server */
	SW_BY_LOOP,		/* mode redirect: the mail server would reach itself */
	SW_BY_DEVICE,		/* mode redirect: bound to a device, cannot reach this machine */
	SW_BY_SENDMAIL,		/* handed to the mail server by executing a mailer */
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
	SW_N_SENDMAIL,		/* executions of a program that hands mail to the mail server */
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
	__u32 shares;		/* rows this UID has made: sw_origins + (sw_dests << 16) */
	__u64 last_exec;	/* the execution that was counted last: see bpf/exec.bpf.h */
};
SW_ABI_SIZE(struct sw_uid_stats, 88);

/* sw_origins: one row a UID and current directory; counters only ever grow. */
struct sw_origin_key {
	__u32 uid;
	__u32 dev;		/* kernel's s_dev: major << 20 | minor; SW_DEV_NONE for special rows */
	__u64 ino;		/* inode of the directory; enum sw_row where dev is SW_DEV_NONE */
};
SW_ABI_SIZE(struct sw_origin_key, 16);

#define SW_DEV_NONE	0xffffffffU
#define SW_SHARE_ORIGIN	1U	/* one row in sw_uid_stats.shares */
#define SW_SHARE_DEST	0x10000U

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
#define SW_WHERE_EXEC	2	/* comm is that of who started a mailer, argv is the mailer's own */

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
	__u64 cgroup_id;	/* of the first caller seen here */
	struct sw_where where;	/* the same */
};
SW_ABI_SIZE(struct sw_origin, 960);	/* with key and kernel header it fills 1024 */

/*
 * sw_outcomes: what became of connects that were let through. Keyed like sw_origins; an account as
 * a whole has the row {uid, SW_DEV_NONE, enum sw_row}. A connect that fails before a packet is sent
 * (no route) is in none of these.
 */
struct sw_outcome {
	__u64 established;
	__u64 refused;		/* by the other side */
	__u64 timed_out;
	__u64 failed;		/* otherwise: unreachable, given up by the caller, ... */
	__u64 bytes_sent;	/* payload that was acknowledged; of connections that have ended */
	__u64 bytes_received;
	__u64 duration_ns;	/* of the same */
};
SW_ABI_SIZE(struct sw_outcome, 56);

/* sw_conns: with an SMTP socket, whose it is. */
struct sw_watched {
	struct sw_origin_key origin;
	struct sw_uid_key account;
	__u64 since_ns;		/* CLOCK_MONOTONIC, once it was established */
	__u32 established;
	__u32 fin_acked;	/* our side is closed, and the other one knows */
};
SW_ABI_SIZE(struct sw_watched, 40);

/* sw_dests: where attempts that were not simply allowed went to. One row a UID, address and port;
 * past its share one account's further destinations are counted on its SW_ROW_MORE row. */
struct sw_dest_key {
	__u32 uid;
	__u16 port;		/* host order; 0 on SW_ROW_MORE */
	__u16 row;		/* SW_ROW_UID or SW_ROW_MORE */
	__u32 addr[4];		/* network order, IPv4 as v4-mapped */
};
SW_ABI_SIZE(struct sw_dest_key, 24);

struct sw_dest {
	__u64 would_deny;
	__u64 refused;		/* denied, limited or redirected */
	__u64 first_ns;		/* CLOCK_MONOTONIC */
	__u64 last_ns;
};
SW_ABI_SIZE(struct sw_dest, 32);

/* sw_hours: when an account's attempts that were not simply allowed were made. */
#define SW_HOURS	64	/* power of two */
struct sw_hours {
#ifdef __bpf__
	struct bpf_spin_lock lock;
#else
	__u32 lock;
#endif
	__u32 newest;		/* hours of local time since 1970; of hour h the count is n[h % SW_HOURS] */
	__u32 n[SW_HOURS];	/* of `newest` and the SW_HOURS - 1 before it */
};
SW_ABI_SIZE(struct sw_hours, 264);

/* sw_cgroups: names of cgroups that offended, by id, so that a container can still be named when
 * it is gone. name[0] is the cgroup's own, name[1] its parent's; empty at the root. */
#define SW_CGROUP_NAMES		4
#define SW_CGROUP_NAME_LEN	96
struct sw_cgroup_name {
	__u32 filled;		/* 1 once the names are complete */
	__u32 level;		/* depth below the root: more than SW_CGROUP_NAMES lose the top */
	char  name[SW_CGROUP_NAMES][SW_CGROUP_NAME_LEN];
};
SW_ABI_SIZE(struct sw_cgroup_name, 392);

/* Identities of exemptions, allow rules and limits. */
enum sw_kind {
	SW_KIND_UID = 1,
	SW_KIND_GID,
	SW_KIND_CGROUP,
	SW_KIND_ANY,		/* allow rules */
	SW_KIND_RULE,		/* windows of limits: an allow rule */
	SW_KIND_SERVER,		/* windows of limits: the whole server */
	SW_KIND_CGROUP_RULE,	/* sw_exempt: `source` is the `who` of allow rules for this cgroup */
	SW_KIND_MAIL_UID,	/* sw_exempt: never redirected to the mail server, for it is that */
	_SW_KIND_MAX,
};

/* sw_exempt: who is never denied. */

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

/* The ways out. */
enum sw_channel {
	SW_CHANNEL_DIRECT,	/* SMTP to another machine */
	SW_CHANNEL_LOCAL,	/* SMTP to this machine */
	SW_CHANNEL_SENDMAIL,	/* an execution of a mailer */
	SW_CHANNEL_ALL,		/* of limits: the sum of the three */
	_SW_CHANNEL_MAX,
};

/* A limit: how many an hour and a day. */
#define SW_UNLIMITED	0xffffffffU
struct sw_quota {
	__u32 per_hour;
	__u32 per_day;
};

struct sw_quotas {
	struct sw_quota of[_SW_CHANNEL_MAX];
};
SW_ABI_SIZE(struct sw_quotas, 32);

/* sw_allow: the allow rules, one LPM trie for both families. Everything before the address is
 * matched whole. */
struct sw_allow_key {
	__u32 prefixlen;	/* SW_ALLOW_BITS and the address's own prefix */
	__u32 generation;
	__u16 kind;		/* SW_KIND_UID, _GID, _CGROUP, _ANY */
	__u16 port;		/* host order; a rule for every port has a row for each */
	__u32 who;		/* UID, GID, number of the cgroup path, 0 */
	__u32 addr[4];		/* network order, IPv4 as v4-mapped */
};
SW_ABI_SIZE(struct sw_allow_key, 32);
#define SW_ALLOW_BITS	96

struct sw_rule {
	struct sw_quota quota;
	__u64 id;		/* of its window in sw_usage; the same in every generation */
	__u32 source;		/* index into sw_sources of the same generation */
	__u32 line;
};
SW_ABI_SIZE(struct sw_rule, 24);

/* sw_limits: the limits of accounts. */
struct sw_limit_key {
	__u32 generation;
	__u32 kind;		/* SW_KIND_UID, SW_KIND_GID; SW_KIND_ANY: see limit_unknown */
	__u64 id;
};
SW_ABI_SIZE(struct sw_limit_key, 16);

struct sw_limit {
	struct sw_quotas quotas;
	__u32 source;
	__u32 line;
};
SW_ABI_SIZE(struct sw_limit, 40);

/* sw_usage: how much of its limits everybody has used, in calendar windows of local time. Not
 * keyed by generation: applying again resets nothing. */
struct sw_usage_key {
	__u64 id;
	__u32 kind;		/* SW_KIND_UID, SW_KIND_RULE, SW_KIND_SERVER */
	__u32 channel;		/* enum sw_channel */
};
SW_ABI_SIZE(struct sw_usage_key, 16);

struct sw_usage {
#ifdef __bpf__
	struct bpf_spin_lock lock;
#else
	__u32 lock;		/* the kernel's: read and write with BPF_F_LOCK */
#endif
	__u32 hour;		/* the window: hours of local time since 1970; / 24 is the day */
	__u32 hour_used;
	__u32 day_used;
};
SW_ABI_SIZE(struct sw_usage, 16);

/* sw_denied: temporary denies, by UID. Not keyed by generation either. */
enum sw_denied_by { SW_DENIED_BY_HAND, SW_DENIED_BY_LIMIT };

struct sw_denied {
	__u64 until_ns;		/* CLOCK_MONOTONIC */
	__u64 since_ns;
	__u32 by;		/* enum sw_denied_by */
	__u32 pad;
};
SW_ABI_SIZE(struct sw_denied, 24);

/* sw_cgroup_paths: cgroups named by path. When one is made under such a path, its id gets the
 * rows in sw_exempt that the path has here: a service keeps them when it is restarted. */
#define SW_CGROUP_PATH_LEN 252
struct sw_cgroup_path_key {
	__u32 generation;
	char  path[SW_CGROUP_PATH_LEN];	/* below the v2 root, NUL to the end */
};
SW_ABI_SIZE(struct sw_cgroup_path_key, 256);

struct sw_cgroup_path {
	__u32 exempt;		/* 1: exempt */
	__u32 who;		/* of allow rules; 0: none */
	__u32 source;		/* of the exemption */
	__u32 line;
};
SW_ABI_SIZE(struct sw_cgroup_path, 16);

/* sw_peers: with a redirected socket, the peer its owner asked for, and the one it has. */
struct sw_peer {
	__u32 asked[4];		/* network order, IPv4 as v4-mapped */
	__u32 asked_port;	/* network order, as the hooks have it */
	__u32 given[4];
	__u32 given_port;
};
SW_ABI_SIZE(struct sw_peer, 40);

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
#define SW_SOURCE_DEFAULT_LIMIT	0xfffffff3U
#define SW_SOURCE_SERVER_LIMIT	0xfffffff4U

struct sw_source {
	char text[248];		/* a file name or a sentence, NUL-terminated */
};
SW_ABI_SIZE(struct sw_source, 248);

/*
 * sw_mailers: programs that hand mail to the mail server, by file: any name of it, link or not, is
 * the same. Rows with dev SW_DEV_NONE are users of the mail server itself, whose own executions
 * are no submissions. Not keyed by generation: kept current from the file system.
 */
struct sw_mailer_key {
	__u64 ino;		/* or a UID */
	__u32 dev;		/* kernel's s_dev, or SW_DEV_NONE */
	__u32 pad;
};
SW_ABI_SIZE(struct sw_mailer_key, 16);

#define SW_MAILER	1	/* always set */
#define SW_MAILER_CHAIN	2	/* may start another one for the same mail: a script, postfix's sendmail */

/* sw_mailer_names: the paths they are started by, for scripts: there the kernel shows the
 * interpreter's file. */
#define SW_MAILER_NAME_LEN 64
struct sw_mailer_name {
	char path[SW_MAILER_NAME_LEN];	/* NUL to the end */
};
SW_ABI_SIZE(struct sw_mailer_name, 64);

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
	SW_CTR_USAGE_FULL,	/* limited because sw_usage had no row left */
	SW_CTR_DENIED_FULL,	/* a temporary deny found no row in sw_denied */
	SW_CTR_DEST_FULL,	/* attempts that no row of sw_dests has */
	SW_CTR_CGROUP_FULL,	/* a cgroup of the policy found no row in sw_exempt */
	SW_CTR_OUTCOME_FULL,	/* what became of a connect found no row in sw_outcomes */
	_SW_CTR_MAX,
};

/* sw_control: the one page that user space changes without an apply. Fixed size for ever. */
#define SW_LOCAL_WORDS	8
#define SW_TICK_SHIFT	26	/* throttle ticks of 2^26 ns, about 67 ms */
#define SW_ZONES	8
#define SW_MAILER_WORDS	32

/* Local time from a moment on. */
struct sw_zone {
	__u64 from_s;		/* since 1970; the first one is 0, those not used ~0 */
	__s64 offset_s;		/* local time - UTC */
};

struct sw_control {
	__u64 wall_offset_ns;	/* CLOCK_REALTIME - CLOCK_MONOTONIC */
	__u32 event_interval;	/* ticks between two events of one UID, once its burst is used up */
	__u32 event_burst;	/* events of one UID that may come at once */
	__u64 local_filter[SW_LOCAL_WORDS];	/* an address of sw_local has its bit set */
	struct sw_zone zone[SW_ZONES];	/* the changes of local time to come, in order */
	__u32 denies;		/* each temporary deny adds one, after its row is there */
	__u32 denies_gone;	/* what `denies` was when sw_denied was empty: equal, nobody is denied */
	__u32 confirmed;	/* the generation that `apply --confirm` was told to keep */
	__u64 revert_ns;	/* CLOCK_MONOTONIC when it takes itself back; 0: it stays */
	__u32 before;		/* with revert_ns: the generation that comes back; its rows stay */
	__u32 guardian;		/* the process that waits for the time; 0: not known */
	__u32 applied;		/* the generation that came into force last: the monitor looks */
	__u32 reopen;		/* one more with each whose maps or configuration are others */
	__u64 instance;		/* random: tells these maps from any others; 0: not chosen yet */
	__u32 exec_generation;	/* whose programs count executions: old and new ones run side by
				 * side for a moment */
	__u32 pad;
	__u64 mailer_filter[SW_MAILER_WORDS];	/* a row of sw_mailers has its bit set, */
	__u64 name_filter[SW_MAILER_WORDS];	/* and one of sw_mailer_names */
	__u8  spare[3320];
};
SW_ABI_SIZE(struct sw_control, 4096);

/* The bits of a file and of a name, 0 to SW_MAILER_WORDS * 64 - 1. */
static inline __u32 sw_mailer_bit(__u64 ino, __u32 dev)
{
	return (ino ^ (__u64)dev << 24) * 0x9e3779b97f4a7c15ULL >> 53;
}

static inline __u32 sw_mailer_name_bit(const struct sw_mailer_name *name)
{
	__u64 h = 0, word;

	for (int i = 0; i < SW_MAILER_NAME_LEN / 8; i++) {
		__builtin_memcpy(&word, name->path + 8 * i, 8);
		h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
	}
	return h >> 53;
}

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
	__u8  rules;		/* kinds that have allow rules: 1 << enum sw_kind */
	__u8  limits;		/* kinds that have limits: 1 << enum sw_kind; ANY: the default */
	__u8  rule_cgroup_levels;	/* depth of the deepest cgroup of an allow rule */
	__u8  watch_cgroups;	/* the policy names cgroups: cgroup_watch is attached too */
	__u32 deny_for_s;	/* who exceeds a limit is denied for so long; 0: not */
	struct sw_quotas default_quota;	/* of each account; direct: on the count ports */
	struct sw_quotas server_quota;
	__u32 max_dests_per_uid;
	__u32 redirect_port;	/* host order */
	__u32 redirect4;	/* network order; 0: IPv4 cannot be redirected */
	__u32 redirect6[4];	/* network order; may be v4-mapped */
	__u32 forced;		/* it may cut a mail server off; only user space asks */
	__u64 config_digest;	/* of the files it was read from; the same */
	__u64 policy_digest;	/* of what they resolved to; the same */
	__u8  count_sendmail;	/* executions of mailers are watched */
	__u8  scoped;		/* only those below one cgroup: the programs are not at the root */
	__u8  outcomes;		/* what becomes of SMTP connections is watched */
	__u8  limit_channels;	/* that have limits: 1 << enum sw_channel; direct need not be there */
	__u8  limit_sendmail;	/* executions use up limits: the kernel has what that takes */
	__u8  refuse_sendmail;	/* and are refused beyond them: the kernel runs LSM programs */
	__u8  limit_unknown;	/* accounts without a row of kind ANY have another default */
	__u8  pad;
};
SW_ABI_SIZE(struct sw_settings, 224);

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
	__u8  family;		/* 4 or 6: the hook that saw it; 0: an execution */
	__u8  verdict;		/* enum sw_verdict */
	__u8  reason;		/* enum sw_reason */
	__u8  charged_row;	/* enum sw_row */
	__u8  channel;		/* enum sw_channel; without destination where it is sendmail */
	__u8  pad;
	char  parent_comm[SW_COMM_LEN];
	struct sw_where where;
};
SW_ABI_SIZE(struct sw_event, 936);

#endif
