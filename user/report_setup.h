/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What commands that show offenders need: the counters, the domains, and where both come from. */
#ifndef SW_REPORT_SETUP_H
#define SW_REPORT_SETUP_H

#include "report.h"

/*
 * Opens what is in force and reads its counters. SW_EXIT_GOOD, `live` (to be closed) and `s` (to
 * be freed); or the exit status, after one error was logged, and nothing is to be freed.
 */
int sw_report_read(const struct sw_options *o, struct sw_live *live, struct sw_stats *s);

/*
 * The domain sources that the configuration names, refreshed. They are worth reading also where
 * the configuration has errors: then all that are found are used, and a warning says so.
 * SW_EXIT_GOOD and `ret` (free it with sw_domains_free()), or the exit status after one error.
 */
int sw_report_domains(const struct sw_options *o, struct sw_domains **ret);

/* The argument of --channel. SW_EXIT_GOOD and `ret`, or SW_EXIT_USAGE after one error. */
int sw_report_take_channel(const char *arg, enum sw_channel *ret);

struct sw_report_setup {
	struct sw_domains *domains;
	struct sw_report_about about;
	char host[256], hooks[256];	/* for `about` */
};

/* The domains, and what is in force. SW_EXIT_GOOD and `ret` (its address must not change), or the
 * exit status after one error. */
int sw_report_setup(const struct sw_options *o, const struct sw_live *live,
		    struct sw_report_setup *ret);

/* Brings `about` up to date. */
void sw_report_describe(const struct sw_live *live, struct sw_report_setup *s);
void sw_report_setup_free(struct sw_report_setup *s);

#endif
