/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The programs under measurement: loaded as apply loads them, attached to a cgroup of ours. */
#ifndef BENCH_GATE_H
#define BENCH_GATE_H

#include <stdbool.h>
#include <stdint.h>

#include "kern.h"
#include "policy.h"

#define BENCH_UID	61001U	/* nobody's account; never exempt */
#define BENCH_QUIET_UID	61002U
#define BENCH_EXEMPT	100000U	/* further exempt UIDs begin here */

/* What apply sets: sixteen events at once, then about one a second. */
#define BENCH_INTERVAL	15
#define BENCH_BURST	16

#define CHAIN_MAX	16

enum family { V4, V6, _FAMILY_MAX };

struct gate_opts {
	uint32_t n_exempt;	/* root and this many less one from BENCH_EXEMPT on */
	uint32_t max_exempt;	/* room for so many, if that is more */
	uint16_t n_ports;	/* 0: the default 25, 465, 587; else 25 and up */
	bool no_origins;
	uint32_t max_uids;	/* 0: the default */
};

struct gate {
	struct sw_kern kern;
	struct sw_settings settings;
	int prog[_FAMILY_MAX];
	struct ring_buffer *ring;
	struct sw_control *control;
};

/* Links that all run the same program for each connect, one after the other. */
struct chain {
	enum family family;
	int n;
	int link[CHAIN_MAX];
};

/* 0 or -errno; free it with gate_close(). */
int gate_open(const struct gate_opts *o, struct gate *ret);

/* The same for a policy: its exempt accounts, allow rules and limits. */
int gate_open_policy(const struct sw_policy *p, struct gate *ret);
void gate_close(struct gate *g);

/* A program that only lets through: what every hook costs at least. A descriptor or -errno. */
int gate_empty_prog(enum family family);

/* The event throttle: interval 0 sends every event; burst 0 (and an interval) none. */
void gate_throttle(const struct gate *g, uint32_t interval, uint32_t burst);

/* Throws away the events that wait. */
void gate_drain(const struct gate *g);

/* Counters of an account, all zero when it has no row. */
void gate_account(const struct gate *g, uint32_t uid, struct sw_uid_stats *ret);
uint64_t gate_counter(const struct gate *g, enum sw_counter which);

/* Attaches `prog` n times. 0 or -errno. */
int chain_open(int cgroup_fd, enum family family, int prog, int n, struct chain *ret);
int chain_set(const struct chain *c, int prog);
void chain_close(struct chain *c);

/* What BPF statistics, while they are on, have for a program. */
struct prog_time {
	uint64_t ns, runs;
};

int prog_time(int prog, struct prog_time *ret);

#endif
