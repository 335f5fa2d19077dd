/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Pages for a browser and commands for a shell, with texts in them that anybody may have chosen:
 * file names, process titles, domains.
 */
#ifndef SW_HTML_H
#define SW_HTML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "smtpwall_abi.h"

/*
 * Text that means itself between tags and within quoted attributes. What sw_escape() makes visible
 * is made visible here too, so that no text can hide or turn around. NULL is an empty text.
 * malloc'd; NULL without memory.
 */
char *sw_html_escape(const char *text);

/*
 * Prints a template. %s is a text, escaped; nothing else is known, and a percent sign is %%. Beside
 * sw_html_command() the only way by which texts get into a page. 0 or -ENOMEM.
 */
int sw_html_print(FILE *f, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints commands made of words of sw_shell_quote(), one a line, to be copied as they are: what is
 * neither printable ASCII nor the end of a line cannot be in them and becomes "?". */
void sw_html_command(FILE *f, const char *command);

/*
 * One word of a shell's command line that means `text` and nothing else, also when it is pasted
 * into a terminal: plain where it can be, in '...', or with anything but printable ASCII in it as
 * $'...' of bash, zsh and ksh. malloc'd; NULL without memory.
 */
char *sw_shell_quote(const char *text);

/*
 * A domain with its xn-- labels (RFC 3492) as people write them, in UTF-8. Look-alike characters
 * are not noticed: show it beside the real one, escaped. False: it has none, one is broken, or
 * there is no room.
 */
bool sw_idn_decode(const char *domain, char *ret, size_t size);

/* Attempts by the hour until `now` as a picture of bars, and as a table to unfold. 0 or -errno. */
int sw_html_hours(FILE *f, const struct sw_hours *h, time_t now);

struct sw_timeline;

/* The same of the history, by the hour or by the day. 0 or -errno. */
int sw_html_timeline(FILE *f, const struct sw_timeline *t);

#endif
