/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The counters as a report needs them: one row an account, one row an origin (account and
 * directory). Reading never changes anything in the kernel.
 */
#ifndef SW_STATS_H
#define SW_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "live.h"
#include "mapread.h"
#include "options.h"
#include "smtpwall_abi.h"

#define SW_ADDRESS_LEN 46	/* INET6_ADDRSTRLEN */

/* "[v6]:port" and the NUL. */
#define SW_DESTINATION_LEN 56

struct sw_report_site;

struct sw_stat {
	uint32_t uid;		/* means something only where row is SW_ROW_UID or SW_ROW_MORE */
	enum sw_row row;
	uint64_t n[_SW_N_MAX];
	uint64_t last_ns;	/* CLOCK_MONOTONIC: only to compare rows of one reading */
	time_t first, last;	/* wall clock; 0: not known */
	char last_destination[SW_DESTINATION_LEN];	/* "addr:port"; empty: not known */
	uint64_t sketch[SW_SKETCH_WORDS];
	unsigned int destinations;	/* estimate of distinct addresses */
	bool destinations_full;		/* and there may be any number more */
	/* Of the origin itself, or of an account's main origin, which has most attempts that were
	 * denied, would be denied, or limited, then most attempts. The caller's bytes: escape them.
	 * NULL: not known. A directory that begins with "..." has lost its front. */
	const char *directory;
	const char *script;
	const struct sw_hours *hours;	/* of an account: attempts by the hour; NULL: none */
	const char *cgroup;	/* path below the v2 root; one that begins with "..." has lost its top */
	const char *argv;	/* process title as the kernel has it, argv_len bytes; NULL: not known */
	size_t argv_len;
	char comm[SW_COMM_LEN + 1];
	const struct sw_stat *worst;	/* of an account: its main origin; NULL: none */
	uint64_t id;		/* the same in every reading, and no other row's */
	struct sw_outcome outcome;	/* what became of those that were let through */
	/* Of the history: */
	const struct sw_report_site *site;	/* whose it was then; NULL: the domains know */
	uint32_t owner;		/* of accounts that had this UID one after another, which; else 0 */
};

/* Where an account's attempts that were not simply allowed went to. */
struct sw_stat_dest {
	uint32_t uid;
	uint16_t port;		/* 0: the account's further destinations, together */
	char address[SW_ADDRESS_LEN];	/* empty where port is 0 */
	uint64_t would_deny, refused;
	time_t first, last;	/* 0: not known */
};

struct sw_stats {
	struct sw_stat *accounts;	/* ordered by row, then UID */
	struct sw_stat *origins;	/* ordered by row, then UID; own the texts */
	size_t n_accounts, n_origins;	/* without rows that have counted nothing */
	struct sw_stat_dest *dests;	/* n_dests of them, ordered by UID, then worst first, port 0 last */
	size_t n_dests;
	uint64_t counters[_SW_CTR_MAX];
	/* Occupancy; the overflow rows are ours and not counted. */
	struct sw_hours *hours;		/* n_hours of them, for sw_stat.hours */
	size_t n_hours;
	uint64_t uid_rows, uid_rows_max, origin_rows, origin_rows_max;
	uint64_t uid_overflow, origin_overflow;	/* attempts on the overflow rows */
	time_t now;			/* of the reading */
	/* Of the history: what the rows point to. */
	struct sw_report_site *sites;
	char **texts;			/* n_texts of them */
	size_t n_texts;
};

/* What the kernel gave, before anybody interpreted it. */
struct sw_stats_raw {
	struct sw_map_dump uids, origins;	/* of sw_uid_stats and sw_origins */
	struct sw_map_dump cgroups, hours, dests, outcomes;	/* of the maps of these names; may be empty */
	uint64_t counters[_SW_CTR_MAX];	/* summed over CPUs */
	uint64_t uid_rows_max, origin_rows_max;
	int64_t wall_ns, mono_ns;	/* both clocks, read together */
};

/*
 * Reads the tables of `l`. 0; -ENOENT when `l` has none of them; -EINVAL when one has another
 * layout; other -errno. `ret` is written on success only; free it with sw_stats_free().
 */
int sw_stats_read(const struct sw_live *l, struct sw_stats *ret);

/* The same from what was read already: pure. 0, -EINVAL (layout), -ENOMEM. `raw` stays the
 * caller's and is not referred to afterwards. */
int sw_stats_build(const struct sw_stats_raw *raw, struct sw_stats *ret);
void sw_stats_free(struct sw_stats *s);

/* Gives accounts what only origins know; both are in order. */
void sw_stats_join(struct sw_stats *s);

/* All attempts of a row. */
uint64_t sw_stat_attempts(const struct sw_stat *s);

/* Adds what became of the connects of `s` to `sum`. */
void sw_outcome_add(struct sw_outcome *sum, const struct sw_outcome *o);

/* Those that make an offender: denied, would be denied, limited, redirected. */
uint64_t sw_stat_offences(const struct sw_stat *s);

/* Those by one way out; of SW_CHANNEL_DIRECT those that make an offender. */
uint64_t sw_stat_by(const struct sw_stat *s, enum sw_channel c);

/* Gives the rows of `s` their outcomes. 0 or -ENOMEM. Part of sw_stats_build(). */
int sw_outcomes_join(const struct sw_map_dump *d, struct sw_stats *s);

/* Whether `a` says more about what an account does by this way out than `b`. */
bool sw_stat_is_worse(const struct sw_stat *a, const struct sw_stat *b, enum sw_channel c);

/* By the account that two rows belong to, as qsort(3) wants it. SW_ROW_MORE is an account's. */
int sw_stat_compare_account(const void *a, const void *b);

/* The destinations of an account, worst first; NULL and 0: none. */
const struct sw_stat_dest *sw_stat_dests(const struct sw_stats *s, uint32_t uid, size_t *n);

/* How many distinct destinations set these cells. `full` (may be NULL): every cell is set, the
 * result is the largest estimate and the truth is anything above. */
unsigned int sw_sketch_estimate(const uint64_t sketch[SW_SKETCH_WORDS], bool *full);

/* Address, and address and port, as people write them. `addr`: 16 bytes, IPv4 as v4-mapped. */
void sw_address_format(const void *addr, char ret[SW_ADDRESS_LEN]);
void sw_destination_format(const void *addr, uint16_t port, char ret[SW_DESTINATION_LEN]);

/* sw_stat.id of an origin. */
uint64_t sw_origin_id(const struct sw_origin_key *k);

/* Directory, script and process title of `w` into `s`, malloc'd; its lengths are not trusted. 0 or
 * -ENOMEM; what there is already has to be freed in any case. */
int sw_stat_set_where(const struct sw_where *w, struct sw_stat *s);
void sw_stat_free_texts(struct sw_stat *s);	/* also the cgroup's; of an origin only */

/* The path that the names of a cgroup make; malloc'd, untrusted bytes. NULL without memory. */
char *sw_cgroup_path(const struct sw_cgroup_name *n);

/*
 * What a process runs, for people. `argv` are `len` bytes as the process shows them: NUL between
 * arguments. The script of an interpreter, else the title with blanks for NULs, else `comm` (up
 * to SW_COMM_LEN bytes) in brackets. malloc'd, untrusted bytes; NULL without memory.
 */
char *sw_script(const char *argv, size_t len, const char *comm);

/* The same for who started a mailer: `comm` in brackets, then the mailer's own command line. */
char *sw_script_exec(const char *argv, size_t len, const char *comm);

/* Names of accounts, looked up when first asked for: each costs a pass over the user database,
 * and many directories belong to one account. Accounts that share a slot push each other out. */
#define SW_ACCOUNT_SLOTS 4096

struct sw_account {
	bool known;	/* was looked up */
	uint32_t uid;
	char *user, *home;	/* NULL: no such account */
};

struct sw_accounts {
	struct sw_account slot[SW_ACCOUNT_SLOTS];
};

/* Belongs to `c` (all zero at first) and is good until the next call. Never NULL. */
const struct sw_account *sw_account_get(struct sw_accounts *c, uint32_t uid);
void sw_accounts_free(struct sw_accounts *c);

/* Whether `path` is the account's home or lies below it. Without an account, or with a home like
 * "/", nothing does. */
bool sw_account_has_home(const struct sw_account *a, const char *path);

#endif
