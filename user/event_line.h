/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An event as a line of `smtpwall events`, wherever it comes from. */
#ifndef SW_EVENT_LINE_H
#define SW_EVENT_LINE_H

#include <stdio.h>

#include "options.h"
#include "feed.h"

/* What stands above the lines of a format: the names of csv. 0 or -ENOMEM. */
int sw_event_show_head(FILE *f, enum sw_format format);

/* One line, escaped: a sentence, the columns, or an object. `utf8` is for the sentence, see
 * sw_escape(). 0 or -ENOMEM. */
int sw_event_show(FILE *f, const struct sw_event_view *v, enum sw_format format, bool utf8);

#endif
