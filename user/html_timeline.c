/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "history.h"
#include "html.h"
#include "out.h"

#define HEIGHT		40.0	/* of the picture; each bar is 1 wide */
#define LABEL_LEN	24	/* 2026-02-14 10:00 */

static const char *label(const struct sw_timeline *t, size_t i, char buf[LABEL_LEN])
{
	struct tm tm;

	localtime_r(&t->start[i], &tm);
	strftime(buf, LABEL_LEN, t->by_day ? "%Y-%m-%d" : "%Y-%m-%d %H:%M", &tm);
	return buf;
}

static bool is_midnight(const struct sw_timeline *t, size_t i)
{
	struct tm tm;

	localtime_r(&t->start[i], &tm);
	return !t->by_day && !tm.tm_hour && !tm.tm_min;
}

static int print_bar(FILE *f, const struct sw_timeline *t, size_t i, uint64_t max)
{
	double height = (double)t->count[i] / (double)max * (HEIGHT - 1);
	char when[LABEL_LEN], number[SW_NUMBER_LEN];

	if (is_midnight(t, i))
		fprintf(f, "<rect class=\"day\" x=\"%zu\" y=\"0\" width=\".15\" height=\"%g\"/>", i, HEIGHT);
	if (!t->count[i])
		return 0;
	height = height < 1 ? 1 : height;
	fprintf(f, "<rect x=\"%zu.1\" y=\"%.2f\" width=\".8\" height=\"%.2f\">", i, HEIGHT - height, height);
	return sw_html_print(f, "<title>%s: %s</title></rect>\n", label(t, i, when),
			     sw_number(t->count[i], number));
}

static int print_numbers(FILE *f, const struct sw_timeline *t)
{
	char when[LABEL_LEN], number[SW_NUMBER_LEN];
	int r;

	r = sw_html_print(f, "<details><summary>As numbers</summary>\n<table class=\"small\"><thead><tr>"
			  "<th scope=\"col\">%s</th><th scope=\"col\" class=\"n\">Attempts</th></tr>"
			  "</thead><tbody>\n", t->by_day ? "Day" : "Hour");
	for (size_t i = t->n; i-- && !r;)
		if (t->count[i])
			r = sw_html_print(f, "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td></tr>\n",
					  label(t, i, when), sw_number(t->count[i], number));
	fputs("</tbody></table></details>\n", f);
	return r;
}

int sw_html_timeline(FILE *f, const struct sw_timeline *t)
{
	char first[LABEL_LEN], last[LABEL_LEN], when[LABEL_LEN], number[SW_NUMBER_LEN], all[SW_NUMBER_LEN];
	uint64_t sum = 0;
	size_t peak = 0;
	int r;

	for (size_t i = 0; i < t->n; i++) {
		sum += t->count[i];
		if (t->count[i] > t->count[peak])
			peak = i;
	}
	if (!sum) {
		fputs("<p>None in this time.</p>\n", f);
		return 0;
	}
	fprintf(f, "<svg role=\"img\" viewBox=\"0 0 %zu 40\" preserveAspectRatio=\"none\" ", t->n);
	r = sw_html_print(f, "aria-label=\"Attempts by the %s from %s to %s: %s in all, most at %s with "
			  "%s\">\n", t->by_day ? "day" : "hour", label(t, 0, first),
			  label(t, t->n - 1, last), sw_number(sum, all), label(t, peak, when),
			  sw_number(t->count[peak], number));
	for (size_t i = 0; i < t->n && !r; i++)
		r = print_bar(f, t, i, t->count[peak]);
	fputs("</svg>\n", f);
	if (!r)
		r = sw_html_print(f, "<p class=\"axis\"><span>%s</span><span>most: %s at %s</span>"
				  "<span>%s</span></p>\n", first, number, when, last);
	return r ?: print_numbers(f, t);
}
