/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other programs, and what they cost. */
#ifndef BENCH_RUN_H
#define BENCH_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct run_cost {
	double wall_ms;
	double cpu_ms;		/* user and system */
};

/*
 * Runs a command found in PATH with standard input from `in` (rewound; -1: nothing) and its
 * output thrown away, for at most a minute. 0; -ENOENT: not here; -ETIME: took too long;
 * -EIO: it failed. `cost` may be NULL.
 */
int run_command(const char *const argv[], int in, struct run_cost *cost);

/* The same, slower: the most memory the process itself had (VmHWM), in KiB. What rusage tells
 * begins with the memory of whoever forked it. */
int run_peak(const char *const argv[], int in, long *ret_kib);

/* Lets this process run on one CPU only, counted from 0 and round again. */
void run_on_cpu(int cpu);

/* Becomes an account for good, or until run_as_root(): all of its user and group ids but the
 * saved one. */
void run_as(uint32_t uid);
void run_as_root(void);

/* Waits for a child. 0 when it ended with success, else -EIO. */
int run_wait(pid_t pid);

#endif
