/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between the files that make the page of a report. */
#ifndef SW_REPORT_HTML_H
#define SW_REPORT_HTML_H

#include "report.h"

struct sw_page {
	FILE *f;
	const struct sw_report *what;
	const struct sw_stats *s;
	struct sw_domains *d;
	const struct sw_report_about *about;
	const struct sw_report_rows *rows;
	size_t n_details;	/* rows shown in detail: the first ones */
};

/* Each prints a part: 0 or -ENOMEM. */
int sw_page_domain(const struct sw_page *p, const struct sw_report_site *site,
		   size_t link);	/* to this offender, 1 and up; 0: to none */
int sw_page_user(const struct sw_page *p, const struct sw_report_row *row);
int sw_page_details(const struct sw_page *p);

/* What to do about it, as commands to copy. */
int sw_page_next_steps(const struct sw_page *p, const struct sw_report_row *row);

#endif
