/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "html.h"
#include "out.h"
#include "util.h"

#define HOUR_S		3600
#define HOURS_A_DAY	24
#define HEIGHT		40.0	/* of the picture; its width is SW_HOURS */
#define LABEL_LEN	24	/* 2026-02-14 10:00 */

_Static_assert(SW_HOURS == 64, "the texts say so");

struct span {
	const struct sw_hours *h;
	uint32_t last;		/* hours of local time since 1970 */
	uint32_t max, peak;	/* most in one hour, and which */
	uint64_t sum;
};

/* Counts of hours that the kernel has not come to yet are leftovers. */
static uint32_t count_of(const struct span *s, uint32_t hour)
{
	uint32_t newest = s->h->newest;

	return hour <= newest && newest - hour < SW_HOURS ? s->h->n[hour % SW_HOURS] : 0;
}

static const char *label(uint32_t hour, char buf[LABEL_LEN])
{
	time_t t = (time_t)hour * HOUR_S;	/* local time, spelt as if it were UTC */
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(buf, LABEL_LEN, "%Y-%m-%d %H:00", &tm);
	return buf;
}

static struct span measure(const struct sw_hours *h, time_t now)
{
	struct span s = { .h = h };
	struct tm tm;

	localtime_r(&now, &tm);
	s.last = (uint32_t)((now + tm.tm_gmtoff) / HOUR_S);
	if (h->newest > s.last)		/* the clock was set back */
		s.last = h->newest;
	s.peak = s.last;
	for (uint32_t hour = s.last - SW_HOURS + 1; hour != s.last + 1; hour++) {
		uint32_t n = count_of(&s, hour);

		s.sum += n;
		if (n > s.max) {
			s.max = n;
			s.peak = hour;
		}
	}
	return s;
}

static int print_bar(FILE *f, const struct span *s, uint32_t hour)
{
	uint32_t n = count_of(s, hour), x = hour - (s->last - SW_HOURS + 1);
	char when[LABEL_LEN], number[SW_NUMBER_LEN];
	double height = n * (HEIGHT - 1) / s->max;

	if (hour % HOURS_A_DAY == 0)
		fprintf(f, "<rect class=\"day\" x=\"%u\" y=\"0\" width=\".15\" height=\"%g\"/>", x, HEIGHT);
	if (!n)
		return 0;
	height = height < 1 ? 1 : height;
	fprintf(f, "<rect x=\"%u.1\" y=\"%.2f\" width=\".8\" height=\"%.2f\">", x, HEIGHT - height, height);
	return sw_html_print(f, "<title>%s: %s</title></rect>\n", label(hour, when),
			     sw_number(n, number));
}

static int print_numbers(FILE *f, const struct span *s)
{
	char when[LABEL_LEN], number[SW_NUMBER_LEN];
	int r = 0;

	fputs("<details><summary>As numbers</summary>\n<table class=\"small\"><thead><tr>"
	      "<th scope=\"col\">Hour</th><th scope=\"col\" class=\"n\">Attempts</th></tr></thead>"
	      "<tbody>\n", f);
	for (uint32_t hour = s->last; hour != s->last - SW_HOURS && !r; hour--)
		if (count_of(s, hour))
			r = sw_html_print(f, "<tr><th scope=\"row\">%s</th><td class=\"n\">%s</td></tr>\n",
					  label(hour, when), sw_number(count_of(s, hour), number));
	fputs("</tbody></table></details>\n", f);
	return r;
}

int sw_html_hours(FILE *f, const struct sw_hours *h, time_t now)
{
	struct span s = measure(h, now);
	char first[LABEL_LEN], last[LABEL_LEN], peak[LABEL_LEN];
	char sum[SW_NUMBER_LEN], max[SW_NUMBER_LEN];
	int r;

	if (!s.sum) {
		fputs("<p>None in the last 64 hours.</p>\n", f);
		return 0;
	}
	r = sw_html_print(f, "<svg role=\"img\" viewBox=\"0 0 64 40\" preserveAspectRatio=\"none\" "
			  "aria-label=\"Attempts by the hour from %s to %s: %s in all, most at %s with "
			  "%s\">\n", label(s.last - SW_HOURS + 1, first), label(s.last, last),
			  sw_number(s.sum, sum), label(s.peak, peak), sw_number(s.max, max));
	for (uint32_t hour = s.last - SW_HOURS + 1; hour != s.last + 1 && !r; hour++)
		r = print_bar(f, &s, hour);
	fputs("</svg>\n", f);
	if (!r)
		r = sw_html_print(f, "<p class=\"axis\"><span>%s</span><span>most: %s at %s</span>"
				  "<span>%s</span></p>\n", first, max, peak, last);
	return r ? r : print_numbers(f, &s);
}
