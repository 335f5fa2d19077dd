/* SPDX-License-Identifier: GPL-2.0-or-later */
#define NCURSES_WIDECHAR 1
#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "top_screen.h"
#include "util.h"

#define ABOVE	2	/* headline and crumbs; the titles of the table come third */
#define BELOW	1
#define PAIR_LOUD 1

static SCREEN *screen;
static bool utf8, loud;

int sw_top_screen_open(bool color)
{
	if (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		return -ENOTTY;
	setlocale(LC_CTYPE, "");
	utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -EINVAL;
	set_escdelay(100);	/* Escape by itself has a meaning */
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	loud = color && has_colors() && start_color() == OK && use_default_colors() == OK &&
	       init_pair(PAIR_LOUD, COLOR_RED, -1) == OK;
	return 0;
}

void sw_top_screen_close(void)
{
	if (!screen)
		return;
	endwin();
	delscreen(screen);
	screen = NULL;
}

size_t sw_top_screen_height(void)
{
	return LINES > ABOVE + 1 + BELOW ? (size_t)(LINES - ABOVE - 1 - BELOW) : 0;
}

/* One line, whole: what was there before is overwritten. */
static void put_line(int y, const char *text, attr_t attributes, short pair)
{
	if (y >= LINES)
		return;
	attr_set(attributes, pair, NULL);
	mvaddnstr(y, 0, text, -1);
	attr_set(A_NORMAL, 0, NULL);
}

static int put_foreign(int y, char *text, attr_t attributes)
{
	_cleanup_free_ char *owned = text;

	if (!owned)
		return -ENOMEM;
	put_line(y, owned, attributes, 0);
	return 0;
}

static bool is_busy(const struct sw_top_data *d, const struct sw_top *t, size_t i)
{
	return t->view != SW_TOP_EVENTS && i < d->n_lines && d->line[i].rate.per_second > 0;
}

/* Titles, then one line for each of the table's. */
static void put_table(const struct sw_top_data *d, const struct sw_top *t, char *text)
{
	char *line, *save = NULL;
	size_t n = 0;

	for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), n++) {
		size_t at = t->first + n - 1;
		attr_t attributes = n ? A_NORMAL : A_UNDERLINE;

		if (n && at == t->selected)
			attributes |= A_REVERSE;
		if (n && is_busy(d, t, at))
			attributes |= A_BOLD;
		put_line(ABOVE + (int)n, line, attributes,
			 n && loud && is_busy(d, t, at) ? PAIR_LOUD : 0);
	}
}

static int put_lines(const struct sw_top_data *d, const struct sw_top *t)
{
	const struct sw_screen size = { .width = (unsigned int)COLS, .utf8 = utf8 };
	_cleanup_free_ char *text = NULL;
	size_t len;
	FILE *f;
	int r;

	if (!d->n_lines) {
		put_line(ABOVE + 1, *t->filter ? "Nothing holds the text of the filter." :
			 t->view == SW_TOP_EVENTS ? "No event of it has come yet." :
			 t->channel == SW_CHANNEL_DIRECT ?
			 "Nothing was denied, limited or redirected." :
			 "Nobody used that way out.", A_NORMAL, 0);
		return 0;
	}
	f = open_memstream(&text, &len);
	if (!f)
		return -ENOMEM;
	r = sw_top_print(f, d, t, &size);
	if (fclose(f) || !text)
		return -ENOMEM;
	put_table(d, t, text);
	return r;
}

int sw_top_screen_draw(const struct sw_top_data *d, const struct sw_top *t)
{
	int r;

	erase();	/* in memory: what comes out the same is not sent again */
	r = put_foreign(0, sw_top_headline(d, t, utf8), A_BOLD);
	if (!r)
		r = put_foreign(1, sw_top_crumbs(d, t, utf8), A_NORMAL);
	for (int i = 0; t->help && sw_top_help[i]; i++)
		put_line(ABOVE + 1 + i, sw_top_help[i], A_NORMAL, 0);
	if (!r && !t->help)
		r = put_lines(d, t);
	if (!r && LINES > BELOW) {
		move(LINES - 1, 0);
		clrtoeol();
		r = put_foreign(LINES - 1, sw_top_helpline(t, utf8), A_REVERSE);
	}
	refresh();
	return r;
}

int sw_top_screen_key(int ms)
{
	int key;

	timeout(ms);
	errno = 0;
	key = getch();
	switch (key) {
	case ERR:
		return errno == 0 || errno == EINTR || errno == EAGAIN ? 0 : -EIO;
	case KEY_RESIZE:
		return -1;
	case KEY_UP:
		return SW_KEY_UP;
	case KEY_DOWN:
		return SW_KEY_DOWN;
	case KEY_PPAGE:
		return SW_KEY_PAGE_UP;
	case KEY_NPAGE:
		return SW_KEY_PAGE_DOWN;
	case KEY_HOME:
		return SW_KEY_HOME;
	case KEY_END:
		return SW_KEY_END;
	case KEY_ENTER:
	case '\r':
	case '\n':
	case KEY_RIGHT:
		return SW_KEY_ENTER;
	case KEY_BACKSPACE:
	case '\b':
	case 0x7f:
	case KEY_LEFT:
		return SW_KEY_BACK;
	case 033:
		return SW_KEY_ESCAPE;
	default:
		return key < KEY_MIN ? key : ' ' + 0x100000;	/* one that means nothing */
	}
}
