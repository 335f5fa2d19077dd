/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A period of the history, and what the kernel has counted beyond it. */
#ifndef SW_REPORT_PAST_H
#define SW_REPORT_PAST_H

#include "history.h"
#include "report_setup.h"

struct sw_report_past {
	struct sw_history_reader *history;	/* NULL: there is none */
	struct sw_live live;
	struct sw_stats s;
	struct sw_report_setup setup;
};

/*
 * Reads the period of `f`, whose ends become those of whole hours. SW_EXIT_GOOD and `p`, whose
 * address must not change (free it with sw_report_past_free(), unless `history` is NULL), or the
 * exit status after one error was logged.
 */
int sw_report_past_read(const struct sw_options *o, struct sw_report *f, struct sw_report_past *p);
void sw_report_past_free(struct sw_report_past *p);

#endif
