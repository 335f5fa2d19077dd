/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Output for people and for programs: table, TSV, CSV, JSON, numbers and times. Texts may come
 * from anybody's process: whatever could act on a terminal or break a line is written as \xNN.
 */
#ifndef SW_OUT_H
#define SW_OUT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "when.h"

/* Where a table is shown. */
struct sw_screen {
	unsigned int width;	/* columns; 0: as wide as it comes */
	bool color;
	bool utf8;		/* else everything beyond ASCII is escaped */
};

/* Standard output: width of the terminal, else COLUMNS, else 80; character set of the locale. */
void sw_screen_get(bool color, struct sw_screen *ret);

/*
 * Text that is safe on a terminal and on one line: control characters (C0, DEL, C1), invalid
 * UTF-8, characters that are invisible or turn the direction of writing, and the backslash become
 * \xNN, byte by byte, so that the original can be had back. Without `utf8` so does all that is not
 * ASCII. malloc'd; NULL without memory.
 */
char *sw_escape(const char *text, bool utf8);

struct sw_column {
	const char *title;
	bool right;		/* numbers */
	bool loud;		/* in color, where it is not 0 */
	bool hide_empty;	/* left out when every row has "0" or "-" in it */
	unsigned char min;	/* may be cut down to this width, 4 or more; 0: never cut */
	unsigned char drop;	/* left out when there is no room, highest first; 0: never */
};

#define SW_COLUMNS_MAX 18

struct sw_table {
	const struct sw_column *columns;
	size_t n_columns;	/* up to SW_COLUMNS_MAX */
	struct sw_screen screen;
	char **cells;		/* n_rows * n_columns, escaped */
	size_t n_rows, room;
};

/* Adds a row of n_columns texts, which are copied and escaped. 0 or -ENOMEM. */
int sw_table_add(struct sw_table *t, const char *const *cells);
void sw_table_free(struct sw_table *t);	/* cells only */

/* Prints titles and rows within the width of the screen as far as columns may be cut or dropped.
 * A path loses its front, other text its end; "..." stands there. */
void sw_table_print(FILE *f, const struct sw_table *t);

/* One line of `n` cells, escaped; a NULL cell is empty. No header, no quoting. 0 or -ENOMEM. */
int sw_tsv_row(FILE *f, const char *const *cells, size_t n);

/*
 * One record after RFC 4180, escaped: CRLF at the end, cells with a comma or a quote are quoted.
 * So are cells that begin with = + - or @; spreadsheets may still take those for formulas, and
 * nothing is put in front of them: the data stays what it is. 0 or -ENOMEM.
 */
int sw_csv_row(FILE *f, const char *const *cells, size_t n);

/* A JSON string; bytes that are not UTF-8 become the four characters \xNN. NULL gives NULL,
 * which json-c takes for null. Owned by the caller. */
struct json_object *sw_json_text(const char *text);

/* Prints `o` and a newline, in pure UTF-8; what a terminal would act on as \uNNNN. 0 or -ENOMEM. */
int sw_json_print(FILE *f, struct json_object *o);

#define SW_NUMBER_LEN 32	/* 18,446,744,073,709,551,615 */

/* With thousands separators. Returns buf. */
const char *sw_number(uint64_t n, char buf[SW_NUMBER_LEN]);

/* Whether all of `f` was really written: 0 or -errno. For standard output, at the end. */
int sw_out_flush(FILE *f);

#endif
