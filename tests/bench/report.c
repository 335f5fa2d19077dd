/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"

static unsigned int counts[R_ABSENT + 1];

void sample_add(struct sample *s, double v)
{
	if (s->n < BENCH_ROUNDS)
		s->v[s->n++] = v;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

struct spread sample_spread(const struct sample *s)
{
	struct sample sorted = *s;

	if (!s->n)
		return (struct spread){ 0 };
	qsort(sorted.v, sorted.n, sizeof(sorted.v[0]), compare);
	return (struct spread){
		.low = sorted.v[s->n / 4],
		.median = sorted.v[s->n / 2],
		.high = sorted.v[s->n - 1 - s->n / 4],
	};
}

struct spread sample_ratio(const struct sample *a, const struct sample *b)
{
	struct sample s = { 0 };

	for (size_t i = 0; i < a->n && i < b->n; i++)
		if (b->v[i] > 0)
			sample_add(&s, a->v[i] / b->v[i]);
	return sample_spread(&s);
}

struct spread sample_diff(const struct sample *a, const struct sample *b)
{
	struct sample s = { 0 };

	for (size_t i = 0; i < a->n && i < b->n; i++)
		sample_add(&s, a->v[i] - b->v[i]);
	return sample_spread(&s);
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000U + (uint64_t)ts.tv_nsec;
}

void section(const char *fmt, ...)
{
	va_list ap;

	printf("\n");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

void row(const char *what, const char *goal, enum result r, const char *fmt, ...)
{
	static const char *const words[] = { "", "met", "missed", "MISSED", "not here" };
	char measured[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(measured, sizeof(measured), fmt, ap);
	va_end(ap);
	counts[r]++;
	printf("  %-47s %-32s  %-17s %s\n", what, measured, goal ? goal : "", words[r]);
	fflush(stdout);
}

unsigned int row_count(enum result r)
{
	return counts[r];
}
