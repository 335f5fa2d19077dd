/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <json-c/json.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "report.h"

static unsigned int counts[R_ABSENT + 1];
static struct json_object *sections, *rows_of;	/* rows_of: the last one's */
static struct json_object *next_figure;

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

static void put(struct json_object *o, const char *name, const char *text)
{
	json_object_object_add(o, name, text ? json_object_new_string(text) : NULL);
}

void section(const char *fmt, ...)
{
	struct json_object *o = json_object_new_object();
	char title[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(title, sizeof(title), fmt, ap);
	va_end(ap);
	printf("\n%s\n", title);
	fflush(stdout);
	if (!sections)
		sections = json_object_new_array();
	rows_of = json_object_new_array();
	put(o, "title", title);
	json_object_object_add(o, "rows", rows_of);
	json_object_array_add(sections, o);
}

void figure(struct spread s, const char *unit)
{
	json_object_put(next_figure);
	next_figure = json_object_new_object();
	json_object_object_add(next_figure, "median", json_object_new_double(s.median));
	json_object_object_add(next_figure, "low", json_object_new_double(s.low));
	json_object_object_add(next_figure, "high", json_object_new_double(s.high));
	put(next_figure, "unit", unit);
}

static void remember(const char *what, const char *goal, const char *result, const char *measured)
{
	struct json_object *o;

	if (!rows_of)
		return;
	o = json_object_new_object();
	put(o, "what", what + strspn(what, " "));
	put(o, "measured", measured);
	put(o, "goal", goal);
	put(o, "result", *result ? result : NULL);
	json_object_object_add(o, "figure", next_figure);
	next_figure = NULL;
	json_object_array_add(rows_of, o);
}

int report_json(const char *path)
{
	return json_object_to_file_ext(path, sections, JSON_C_TO_STRING_PRETTY) < 0 ? -errno : 0;
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
	remember(what, goal, words[r], measured);
	printf("  %-47s %-32s  %-17s %s\n", what, measured, goal ? goal : "", words[r]);
	fflush(stdout);
}

unsigned int row_count(enum result r)
{
	return counts[r];
}
