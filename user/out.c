/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <langinfo.h>
#include <locale.h>
#include <string.h>
#include <sys/ioctl.h>
#include <wchar.h>

#include "out.h"
#include "util.h"

#define CUT		"..."
#define GAP		2	/* blanks between columns */
#define SGR_TITLE	"\033[1m"
#define SGR_LOUD	"\033[31m"
#define SGR_OFF		"\033[0m"

/* Length of the character at `s` and its code point; 0 when it is not UTF-8. Shortest forms only,
 * no surrogates: RFC 3629. A NUL is no continuation byte, so nothing is read past it. */
static size_t decode(const char *s, uint32_t *cp)
{
	static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const unsigned char *p = (const unsigned char *)s;
	size_t len = 0;

	if (*p < 0x80)
		len = 1;
	else if (*p >= 0xc2 && *p < 0xf5)
		len = *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : 4;
	*cp = len < 2 ? *p : *p & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		*cp = *cp << 6 | (p[i] & 0x3f);
	}
	if (len && (*cp < smallest[len] || *cp > 0x10ffff || (*cp >= 0xd800 && *cp < 0xe000)))
		return 0;
	return len;
}

/* What a terminal would act on, and what makes text look like other text. */
static bool is_active(uint32_t cp)
{
	return cp < 0x20 || (cp >= 0x7f && cp < 0xa0) || cp == 0x61c ||
	       (cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	       (cp >= 0x2060 && cp <= 0x206f) || cp == 0xfeff || (cp >= 0xfff9 && cp <= 0xfffb);
}

enum keep { KEEP_UTF8, KEEP_LINE, KEEP_ASCII };	/* each keeps less than the one before */

/* Copies what `keep` says and writes the rest as \xNN. */
static char *escape(const char *text, enum keep keep)
{
	char *out = malloc(4 * strlen(text) + 1), *p = out;
	uint32_t cp;

	if (!out)
		return NULL;
	while (*text) {
		size_t len = decode(text, &cp);
		bool good = len && (keep == KEEP_UTF8 || (!is_active(cp) && cp != '\\')) &&
			    (len == 1 || keep != KEEP_ASCII);

		len = len ? len : 1;
		if (good)
			p = mempcpy(p, text, len);
		for (size_t i = 0; !good && i < len; i++)
			p += snprintf(p, sizeof("\\xNN"), "\\x%02x", (unsigned char)text[i]);
		text += len;
	}
	*p = '\0';
	return out;
}

char *sw_escape(const char *text, bool utf8)
{
	return escape(text, utf8 ? KEEP_LINE : KEEP_ASCII);
}

void sw_screen_get(bool color, struct sw_screen *ret)
{
	locale_t loc = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	*ret = (struct sw_screen){ .width = 80, .color = color };
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col)
		ret->width = size.ws_col;
	else if (columns && atoi(columns) > 0)
		ret->width = (unsigned int)atoi(columns);
	if (loc) {
		ret->utf8 = !strcmp(nl_langinfo_l(CODESET, loc), "UTF-8");
		freelocale(loc);
	}
}

int sw_table_add(struct sw_table *t, const char *const *cells)
{
	size_t at = t->n_rows * t->n_columns;

	if (t->n_rows == t->room) {
		size_t room = t->room ? 2 * t->room : 64;
		char **more = reallocarray(t->cells, room * t->n_columns, sizeof(*more));

		if (!more)
			return -ENOMEM;
		t->cells = more;
		t->room = room;
	}
	memset(t->cells + at, 0, t->n_columns * sizeof(*t->cells));
	t->n_rows++;
	for (size_t i = 0; i < t->n_columns; i++) {
		t->cells[at + i] = sw_escape(cells[i], t->screen.utf8);
		if (!t->cells[at + i])
			return -ENOMEM;
	}
	return 0;
}

void sw_table_free(struct sw_table *t)
{
	for (size_t i = 0; i < t->n_rows * t->n_columns; i++)
		free(t->cells[i]);
	free(t->cells);
	t->cells = NULL;
	t->n_rows = t->room = 0;
}

/* Columns the character at `s` takes; *len is its length. For escaped text, where \xNN is one. */
static unsigned int char_width(const char *s, size_t *len)
{
	uint32_t cp;
	int width;

	if (*s == '\\')
		return (unsigned int)(*len = strlen("\\xNN"));
	*len = decode(s, &cp);
	if (*len < 2) {
		*len = 1;
		return 1;
	}
	width = wcwidth((wchar_t)cp);
	return width < 0 ? 1 : (unsigned int)width;
}

static unsigned int text_width(const char *s)
{
	unsigned int width = 0;
	size_t len;

	for (; *s; s += len)
		width += char_width(s, &len);
	return width;
}

/* Prints `s` in at most `width` columns; the number of columns it took. */
static unsigned int print_cut(FILE *f, const char *s, unsigned int width)
{
	unsigned int have = text_width(s), used = 0;
	size_t len;

	if (have <= width) {
		fputs(s, f);
		return have;
	}
	if (*s == '/' || *s == '.') {	/* of a path the end says most */
		for (; have > width - strlen(CUT); s += len)
			have -= char_width(s, &len);
		fprintf(f, CUT "%s", s);
		return have + strlen(CUT);
	}
	while (used + char_width(s, &len) <= width - strlen(CUT)) {
		used += char_width(s, &len);
		fwrite(s, 1, len, f);
		s += len;
	}
	fputs(CUT, f);
	return used + strlen(CUT);
}

/* Widths that columns are shown with; 0: left out. */
static void measure(const struct sw_table *t, unsigned int shown[])
{
	for (size_t c = 0; c < t->n_columns; c++) {
		bool empty = t->n_rows > 0;

		shown[c] = text_width(t->columns[c].title);
		for (size_t r = 0; r < t->n_rows; r++) {
			const char *cell = t->cells[r * t->n_columns + c];
			unsigned int width = text_width(cell);

			if (width > shown[c])
				shown[c] = width;
			empty = empty && (!strcmp(cell, "0") || !strcmp(cell, "-"));
		}
		if (empty && t->columns[c].hide_empty)
			shown[c] = 0;
	}
}

/* Width of the whole table, as it is or cut as far as columns may be. */
static unsigned int total_width(const struct sw_table *t, const unsigned int shown[], bool cut)
{
	unsigned int total = 0;

	for (size_t c = 0; c < t->n_columns; c++) {
		unsigned int width = shown[c], min = t->columns[c].min;

		if (width)
			total += GAP + (cut && min && min < width ? min : width);
	}
	return total > GAP ? total - GAP : 0;
}

/* The column to leave out next, or n_columns. */
static size_t next_drop(const struct sw_table *t, const unsigned int shown[])
{
	size_t found = t->n_columns;

	for (size_t c = 0; c < t->n_columns; c++)
		if (shown[c] && t->columns[c].drop &&
		    (found == t->n_columns || t->columns[c].drop > t->columns[found].drop))
			found = c;
	return found;
}

/* First whole columns go, then the widest of those that may be cut gives way. */
static void fit(const struct sw_table *t, unsigned int shown[])
{
	size_t c;

	if (!t->screen.width)
		return;
	while (total_width(t, shown, true) > t->screen.width &&
	       (c = next_drop(t, shown)) < t->n_columns)
		shown[c] = 0;
	while (total_width(t, shown, false) > t->screen.width) {
		size_t widest = t->n_columns;

		for (c = 0; c < t->n_columns; c++)
			if (t->columns[c].min && shown[c] > t->columns[c].min &&
			    (widest == t->n_columns || shown[c] > shown[widest]))
				widest = c;
		if (widest == t->n_columns)
			return;
		shown[widest]--;
	}
}

/* `cells` NULL prints the titles. */
static void print_row(FILE *f, const struct sw_table *t, const unsigned int shown[], char **cells)
{
	unsigned int pad = 0;

	for (size_t c = 0; c < t->n_columns; c++) {
		const struct sw_column *col = &t->columns[c];
		const char *text = cells ? cells[c] : col->title;
		bool loud = cells ? col->loud && strcmp(text, "0") != 0 : true;
		unsigned int width = text_width(text);

		if (!shown[c])
			continue;
		if (col->right && width < shown[c])
			pad += shown[c] - width;
		fprintf(f, "%*s", (int)pad, "");
		if (loud && t->screen.color)
			fputs(cells ? SGR_LOUD : SGR_TITLE, f);
		width = print_cut(f, text, shown[c]);
		if (loud && t->screen.color)
			fputs(SGR_OFF, f);
		pad = GAP + (col->right || width > shown[c] ? 0 : shown[c] - width);
	}
	fputc('\n', f);
}

void sw_table_print(FILE *f, const struct sw_table *t)
{
	/* Widths of characters are the same in every UTF-8 locale; the program's own is C. */
	locale_t loc = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t old = loc ? uselocale(loc) : (locale_t)0;
	unsigned int shown[SW_COLUMNS_MAX];

	measure(t, shown);
	fit(t, shown);
	print_row(f, t, shown, NULL);
	for (size_t r = 0; r < t->n_rows; r++)
		print_row(f, t, shown, t->cells + r * t->n_columns);
	if (loc) {
		uselocale(old);
		freelocale(loc);
	}
}

int sw_tsv_row(FILE *f, const char *const *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *text = sw_escape(cells[i] ? cells[i] : "", true);

		if (!text)
			return -ENOMEM;
		fprintf(f, "%s%s", i ? "\t" : "", text);
	}
	fputc('\n', f);
	return 0;
}

static void put_csv(FILE *f, const char *text)
{
	if (!strpbrk(text, ",\"") && (!*text || !strchr("=+-@", *text))) {
		fputs(text, f);
		return;
	}
	fputc('"', f);
	for (; *text; text++)
		fprintf(f, *text == '"' ? "\"\"" : "%c", *text);
	fputc('"', f);
}

int sw_csv_row(FILE *f, const char *const *cells, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *text = sw_escape(cells[i] ? cells[i] : "", true);

		if (!text)
			return -ENOMEM;
		if (i)
			fputc(',', f);
		put_csv(f, text);
	}
	fputs("\r\n", f);
	return 0;
}

struct json_object *sw_json_text(const char *text)
{
	_cleanup_free_ char *valid = text ? escape(text, KEEP_UTF8) : NULL;

	return valid ? json_object_new_string(valid) : NULL;
}

int sw_json_print(FILE *f, struct json_object *o)
{
	const char *text = json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE);
	uint32_t cp;

	if (!text)
		return -ENOMEM;
	/* json-c escapes C0 only. The rest can occur within strings alone. */
	while (*text) {
		size_t len = decode(text, &cp);

		if (len && is_active(cp))
			fprintf(f, "\\u%04x", cp);
		else
			fwrite(text, 1, len ? len : 1, f);
		text += len ? len : 1;
	}
	fputc('\n', f);
	return 0;
}

const char *sw_number(uint64_t n, char buf[SW_NUMBER_LEN])
{
	char plain[SW_NUMBER_LEN], *out = buf;
	int len = snprintf(plain, sizeof(plain), "%" PRIu64, n);

	for (int i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			*out++ = ',';
		*out++ = plain[i];
	}
	*out = '\0';
	return buf;
}

int sw_out_flush(FILE *f)
{
	errno = 0;
	if (fflush(f) == 0 && !ferror(f))
		return 0;
	return errno ? -errno : -EIO;
}
