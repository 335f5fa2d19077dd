/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Samples, their medians and quartiles, and the table that is printed. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_ROUNDS	512

/* One value a round. What is compared is measured in the same round. */
struct sample {
	size_t n;
	double v[BENCH_ROUNDS];
};

struct spread {
	double low, median, high;	/* quartiles */
};

enum result {
	R_INFO,		/* no goal */
	R_MET,
	R_MISSED,	/* by a figure that noise can move */
	R_BROKEN,	/* by a figure that is exact: the run fails */
	R_ABSENT,	/* this machine cannot measure it */
};

void sample_add(struct sample *s, double v);
struct spread sample_spread(const struct sample *s);

/* Formed inside each round, so that what slows a whole round down cancels out. */
struct spread sample_ratio(const struct sample *a, const struct sample *b);
struct spread sample_diff(const struct sample *a, const struct sample *b);

uint64_t now_ns(void);

void section(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* One line. `goal` may be NULL. The format is that of the measured column. */
void row(const char *what, const char *goal, enum result r, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Gives the next row its figure for the file of report_json(): quartiles in `unit`, "x" for a
 * ratio. Without it the row has its text only. */
void figure(struct spread s, const char *unit);

/* Writes all sections and rows so far into a file. 0 or -errno. */
int report_json(const char *path);

static inline enum result met(bool ok)
{
	return ok ? R_MET : R_MISSED;
}

static inline enum result exactly(bool ok)
{
	return ok ? R_MET : R_BROKEN;
}

/* How many rows were printed with this result so far. */
unsigned int row_count(enum result r);

#endif
