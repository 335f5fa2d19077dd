/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "top.h"
#include "util.h"

#define MIN_INTERVAL_MS	250
#define MAX_INTERVAL_MS	60000

const char *sw_top_sort_name(enum sw_top_sort sort)
{
	static const char *const names[_SW_TOP_SORT_MAX] = {
		[SW_TOP_BY_SECOND] = "rate", [SW_TOP_BY_MINUTE] = "minute",
		[SW_TOP_BY_DENIED] = "denied", [SW_TOP_BY_LAST] = "last", [SW_TOP_BY_NAME] = "name",
	};

	return sort < _SW_TOP_SORT_MAX ? names[sort] : "?";
}

void sw_top_clamp(struct sw_top *t, size_t n_lines, size_t height)
{
	t->n_lines = n_lines;
	t->height = height;
	if (t->selected >= n_lines)
		t->selected = n_lines ? n_lines - 1 : 0;
	if (t->first > t->selected)
		t->first = t->selected;
	if (height && t->selected >= t->first + height)
		t->first = t->selected - height + 1;
	if (t->first + height > n_lines)	/* no empty space below when there are lines above */
		t->first = n_lines > height ? n_lines - height : 0;
}

static enum sw_top_action move_to(struct sw_top *t, size_t line)
{
	t->selected = line;
	sw_top_clamp(t, t->n_lines, t->height);
	return SW_TOP_REDRAW;
}

static enum sw_top_action show(struct sw_top *t, enum sw_top_view view)
{
	t->view = view;
	t->selected = t->first = 0;
	return SW_TOP_REDRAW;
}

/* One character of the filter, or the end of typing it. */
static enum sw_top_action type(struct sw_top *t, int key)
{
	size_t len = strlen(t->typed);

	if (key == SW_KEY_ENTER) {
		memcpy(t->filter, t->typed, sizeof(t->filter));
		t->typing = false;
		t->selected = t->first = 0;
	} else if (key == SW_KEY_ESCAPE) {
		t->typing = false;
	} else if (key == SW_KEY_BACK) {
		if (len)
			t->typed[len - 1] = '\0';
	} else if (key >= ' ' && key < 0x7f && len + 1 < sizeof(t->typed)) {
		t->typed[len] = (char)key;
		t->typed[len + 1] = '\0';
	}
	return SW_TOP_REDRAW;
}

static enum sw_top_action back(struct sw_top *t)
{
	if (t->view != SW_TOP_RANKING)
		return show(t, (enum sw_top_view)(t->view - 1));
	if (!*t->filter)
		return SW_TOP_NOTHING;
	*t->filter = '\0';
	return SW_TOP_REDRAW;
}

static enum sw_top_action set_interval(struct sw_top *t, uint32_t ms)
{
	t->interval_ms = ms < MIN_INTERVAL_MS ? MIN_INTERVAL_MS :
			 ms > MAX_INTERVAL_MS ? MAX_INTERVAL_MS : ms;
	return SW_TOP_REDRAW;
}

static enum sw_top_action set_sort(struct sw_top *t, enum sw_top_sort sort)
{
	t->sort = sort;
	t->selected = t->first = 0;
	return SW_TOP_REDRAW;
}

static enum sw_top_action move(struct sw_top *t, int key)
{
	size_t page = t->height ? t->height : 1;

	switch (key) {
	case SW_KEY_UP:
	case 'k':
		return move_to(t, t->selected - (t->selected > 0));
	case SW_KEY_DOWN:
	case 'j':
		return move_to(t, t->selected + 1);
	case SW_KEY_PAGE_UP:
		return move_to(t, t->selected > page ? t->selected - page : 0);
	case SW_KEY_PAGE_DOWN:
		return move_to(t, t->selected + page);
	case SW_KEY_HOME:
		return move_to(t, 0);
	case SW_KEY_END:
		return move_to(t, t->n_lines);
	default:
		return SW_TOP_NOTHING;
	}
}

static enum sw_top_action choose(struct sw_top *t, int key)
{
	switch (key) {
	case 's':
		return set_sort(t, (enum sw_top_sort)((t->sort + 1) % _SW_TOP_SORT_MAX));
	case 'r':
		return set_sort(t, SW_TOP_BY_SECOND);
	case 'm':
		return set_sort(t, SW_TOP_BY_MINUTE);
	case 'd':
		return set_sort(t, SW_TOP_BY_DENIED);
	case 'l':
		return set_sort(t, SW_TOP_BY_LAST);
	case 'n':
		return set_sort(t, SW_TOP_BY_NAME);
	case '+':
		return set_interval(t, t->interval_ms * 2);
	case '-':
		return set_interval(t, t->interval_ms / 2);
	default:
		return move(t, key);
	}
}

enum sw_top_action sw_top_press(struct sw_top *t, int key)
{
	if (t->typing)
		return type(t, key);
	if (t->help) {		/* any key closes it */
		t->help = false;
		return SW_TOP_REDRAW;
	}
	switch (key) {
	case 'q':
		return SW_TOP_QUIT;
	case '?':
	case 'h':
		t->help = true;
		return SW_TOP_REDRAW;
	case '/':
		t->typing = true;
		memcpy(t->typed, t->filter, sizeof(t->typed));
		return SW_TOP_REDRAW;
	case 'p':
		t->paused = !t->paused;
		return SW_TOP_REDRAW;
	case 'b':
		t->by_uid = !t->by_uid;
		show(t, SW_TOP_RANKING);
		return SW_TOP_READ;
	case 'c':
		t->channel = (enum sw_channel)((t->channel + 1) % _SW_CHANNEL_MAX);
		show(t, SW_TOP_RANKING);
		return SW_TOP_READ;
	case ' ':
		return SW_TOP_READ;
	case SW_KEY_ENTER:
		return t->n_lines && t->view != SW_TOP_EVENTS ? SW_TOP_OPEN : SW_TOP_NOTHING;
	case SW_KEY_BACK:
	case SW_KEY_ESCAPE:
		return back(t);
	default:
		return choose(t, key);
	}
}
