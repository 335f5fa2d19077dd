/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What smtpwall costs, beside what does the same without it. One file for each kind of cost. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

struct bench {
	bool quick;
	int cgroup_fd;		/* ours; this process is in it */
	const char *cgroup;
	const char *program;	/* smtpwall */
	const char *scratch;	/* a directory of ours */
	const char *pin_dir;	/* not there yet */
	const char *json;	/* file for the figures, an absolute path, or NULL */
};

/* Each prints its section of the table. 0, or -errno when it could not measure. */
int bench_insns(const struct bench *b);
int bench_exact(const struct bench *b);
int bench_cycle(const struct bench *b);
int bench_stream(const struct bench *b);
int bench_scale(const struct bench *b);
int bench_memory(const struct bench *b);
int bench_rules(const struct bench *b);
int bench_bulk(const struct bench *b);

/* What bench_bulk() left in the scratch directory when it was interrupted. */
void bench_bulk_remove(const char *scratch);

/* Bytes of a map, as the kernel accounts them. */
uint64_t bench_map_bytes(int fd);
int bench_flood(const struct bench *b);
int bench_rate(const struct bench *b);

#endif
