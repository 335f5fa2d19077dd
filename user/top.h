/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live ranking: what is shown, and what keys do to it. Nothing here knows a terminal; that is
 * top_screen.h.
 */
#ifndef SW_TOP_H
#define SW_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "feed.h"
#include "out.h"
#include "report.h"

/* ---- Rates: top_rate.c ---- */

#define SW_TOP_WINDOW_NS	60000000000ULL
#define SW_TOP_SNAPSHOTS	64	/* kept at most; more than the window is never asked for */

/* Counts of one reading, in order of the rows' ids. */
struct sw_top_snapshot {
	uint64_t time_ns;	/* CLOCK_MONOTONIC */
	struct sw_top_count {
		uint64_t id, n[_SW_CHANNEL_MAX];	/* sw_stat_by() */
	} *count;
	size_t n;
};

struct sw_top_history {
	struct sw_top_snapshot snapshot[SW_TOP_SNAPSHOTS];	/* oldest first */
	size_t n;
};

/* Keeps what `s` counts and forgets what is older than the window. 0 or -ENOMEM. */
int sw_top_history_add(struct sw_top_history *h, const struct sw_stats *s, uint64_t now_ns);
void sw_top_history_free(struct sw_top_history *h);

/* Of the rows with these ids, by this way out, between the last two readings and over the window. */
struct sw_top_rate {
	bool known;		/* there are two readings */
	double per_second, per_minute;
};
struct sw_top_rate sw_top_rate(const struct sw_top_history *h, const uint64_t *id, size_t n,
			       enum sw_channel channel);

/* ---- What is looked at: top.c ---- */

enum sw_top_view { SW_TOP_RANKING, SW_TOP_DIRECTORIES, SW_TOP_EVENTS };

enum sw_top_sort {
	SW_TOP_BY_SECOND, SW_TOP_BY_MINUTE, SW_TOP_BY_DENIED, SW_TOP_BY_LAST, SW_TOP_BY_NAME,
	_SW_TOP_SORT_MAX,
};

enum sw_top_key {
	SW_KEY_UP = 0x110000,	/* beyond every character */
	SW_KEY_DOWN, SW_KEY_PAGE_UP, SW_KEY_PAGE_DOWN, SW_KEY_HOME, SW_KEY_END, SW_KEY_ENTER,
	SW_KEY_BACK, SW_KEY_ESCAPE,
};

#define SW_TOP_FILTER_LEN 64

struct sw_top {
	enum sw_top_view view;
	enum sw_top_sort sort;
	enum sw_channel channel;	/* whose attempts are ranked: of SW_CHANNEL_DIRECT offences */
	bool by_uid;		/* the ranking is of accounts, not of domains */
	bool paused, help, typing;
	char filter[SW_TOP_FILTER_LEN];	/* rows have to hold this text; empty: all */
	char typed[SW_TOP_FILTER_LEN];	/* while typing */
	uint32_t interval_ms;
	size_t selected, first;	/* of n_lines; the first one on the screen */
	size_t n_lines, height;	/* as of the last drawing */
	uint64_t opened[2];	/* ids of the row of the ranking, and of the directory, looked into */
};

enum sw_top_action {
	SW_TOP_NOTHING,
	SW_TOP_REDRAW,
	SW_TOP_OPEN,		/* what is selected: the caller fills in `opened` */
	SW_TOP_READ,		/* now, not when the interval is over */
	SW_TOP_QUIT,
};

/* What a key does: a character, or enum sw_top_key. */
enum sw_top_action sw_top_press(struct sw_top *t, int key);

/* Keeps the selection within the lines and on the screen. */
void sw_top_clamp(struct sw_top *t, size_t n_lines, size_t height);

const char *sw_top_sort_name(enum sw_top_sort sort);

/* ---- What is shown: top_page.c ---- */

#define SW_TOP_EVENTS_MAX	500	/* remembered of those that came */

struct sw_top_event {
	time_t time;
	uint64_t origin;	/* sw_stat.id */
	char *verdict, *destination, *script, *reason;
	uint32_t pid;
};

struct sw_top_line {
	uint64_t id;
	struct sw_top_rate rate;
	const struct sw_report_row *row;	/* ranking */
	const struct sw_stat *origin;		/* directories */
	const struct sw_top_event *event;
	struct sw_report_site site;
};

struct sw_top_data {
	struct sw_stats stats;
	struct sw_report_rows rows;
	struct sw_domains *domains;
	const struct sw_report_about *about;
	struct sw_top_history history;
	struct sw_top_event *event;	/* oldest first */
	size_t n_events;
	char *event_problem;	/* why none are read; NULL: they are */
	/* Lines of the view, filtered and sorted: sw_top_lines(). */
	struct sw_top_line *line;
	size_t n_lines;
};

/* Takes over a reading and sums it up anew, as `t` looks at it; lines are void until
 * sw_top_lines(). 0 or -ENOMEM. */
int sw_top_take(struct sw_top_data *d, struct sw_stats *s, const struct sw_top *t, uint64_t now_ns);
void sw_top_data_free(struct sw_top_data *d);	/* not the domains */

/* Lines of what `t` looks at. When what was opened is gone, there are none. 0 or -ENOMEM. */
int sw_top_lines(struct sw_top_data *d, const struct sw_top *t);

/* Remembers an event. 0 or -ENOMEM. */
int sw_top_add_event(struct sw_top_data *d, const struct sw_event_view *v);

/* Forgets all of them; lines are void until sw_top_lines(). */
void sw_top_forget_events(struct sw_top_data *d);

/* Titles and the lines from t->first on, up to t->height of them, as text of that width. */
int sw_top_print(FILE *f, const struct sw_top_data *d, const struct sw_top *t,
		 const struct sw_screen *screen);

/* What stands above and below: one line each, malloc'd and escaped. NULL: no memory. */
char *sw_top_headline(const struct sw_top_data *d, const struct sw_top *t, bool utf8);
char *sw_top_crumbs(const struct sw_top_data *d, const struct sw_top *t, bool utf8);
char *sw_top_helpline(const struct sw_top *t, bool utf8);
extern const char *const sw_top_help[];	/* lines; ends with NULL */

#endif
