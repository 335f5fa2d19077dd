/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines of a configuration file, by inih. Builds of inih differ between distributions (inline
 * comments, line numbers, what happens to long lines), and it forgets every syntax error but
 * the first. So it gets its lines one by one from here, already checked, and this file knows
 * the line each call is about.
 */
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <string.h>

#include "config_int.h"
#include "util.h"

#define MAX_TEXT	256	/* more than any line that inih can take */
#define MAX_QUOTE	60	/* characters of a bad line that its error repeats */

struct text {
	const char *next, *end;
	const char *file;
	sw_setting_fn fn;
	void *arg;
	struct sw_diag *diag;
	int err;

	/* The line that inih has. */
	const char *raw;
	int raw_len;
	unsigned int line;
	bool indented;
	bool awaited;		/* inih must call back for it */

	char section[MAX_TEXT];	/* "": none yet */
	char key[MAX_TEXT];	/* that an indented line continues; "": none */
	bool skip_section;
	bool skip_key;
};

#define report(t, ...)                                                          \
	do {                                                                    \
		if (sw_diag_add((t)->diag, (t)->file, (t)->line, __VA_ARGS__) < 0) \
			(t)->err = -ENOMEM;                                     \
	} while (0)

static int quote(int len)
{
	return len < MAX_QUOTE ? len : MAX_QUOTE;
}

static bool is_blank(char c)
{
	return isspace((unsigned char)c);
}

static bool continues(const struct text *t)
{
	return t->indented && t->key[0];
}

/* The line was reported: what continues it is not judged. */
static void skip_key(struct text *t)
{
	if (!t->indented)
		t->skip_key = true;
}

/* inih keeps silent about a line that is neither section nor setting. */
static void finish_line(struct text *t)
{
	if (!t->awaited)
		return;
	t->awaited = false;
	report(t, "'%.*s' is neither [section] nor key = value", quote(t->raw_len), t->raw);
	skip_key(t);
}

static void begin_section(struct text *t, const char *name, int len)
{
	struct sw_setting s = { .section = t->section, .line = t->line };
	int r;

	snprintf(t->section, sizeof(t->section), "%.*s", len, name);
	r = t->fn(t->arg, &s);
	t->skip_section = r < 0;
	if (r == -ENOMEM)
		t->err = r;
}

/* `s` begins with the bracket. inih would not tell of an empty section, would cut a long name
 * and would ignore what follows the bracket. */
static void section_line(struct text *t, const char *s, int len)
{
	const char *close = memchr(s, ']', (size_t)len);
	const char *rest = close ? close + 1 : NULL;

	t->key[0] = '\0';
	t->skip_key = false;
	while (rest && rest < s + len && is_blank(*rest))
		rest++;
	if (rest && (rest == s + len || *rest == ';' || *rest == '#')) {
		begin_section(t, s + 1, (int)(close - s - 1));
		return;
	}
	t->skip_section = true;
	snprintf(t->section, sizeof(t->section), "?");
	if (rest)
		report(t, "unexpected text after '%.*s'", quote((int)(close - s + 1)), s);
	else
		report(t, "'%.*s' has no closing bracket", quote(len), s);
}

/* Without a comment that begins with " ;". */
static int cut_comment(const char *s, int len)
{
	int i;

	for (i = 1; i < len; i++)
		if (s[i] == ';' && is_blank(s[i - 1])) {
			len = i;
			break;
		}
	while (len && is_blank(s[len - 1]))
		len--;
	return len;
}

/* Whether inih may see the setting `s`; what is wrong with it is reported. */
static bool setting_line_ok(struct text *t, const char *s, int len, int max)
{
	int i;

	if (len > max) {
		report(t, "the line is longer than %d characters; continue the value on an "
			  "indented next line", max);
		return false;
	}
	for (i = 1; i < len; i++)
		if (s[i] == '#' && is_blank(s[i - 1])) {
			report(t, "a comment behind a value begins with ';', not with '#'");
			return false;
		}
	if (continues(t) && *s != '/' && memchr(s, '=', (size_t)len)) {
		report(t, "the line begins with a blank and so continues '%s'; remove the blank "
			  "to begin a new key", t->key);
		return false;
	}
	return true;
}

/* Takes the next line into `t`; where its text begins behind the blanks. */
static const char *cut_line(struct text *t)
{
	const char *nl = memchr(t->next, '\n', (size_t)(t->end - t->next));
	const char *s;

	t->raw = t->next;
	t->raw_len = (int)((nl ? nl : t->end) - t->raw);
	t->next = nl ? nl + 1 : t->end;
	t->line++;
	while (t->raw_len && is_blank(t->raw[t->raw_len - 1]))
		t->raw_len--;
	for (s = t->raw; s < t->raw + t->raw_len && is_blank(*s); s++)
		;
	t->indented = s > t->raw;
	return s;
}

/* ini_reader: exactly one line of the file for each call. */
static char *next_line(char *buf, int num, void *stream)
{
	struct text *t = stream;
	const char *s;
	int len;

	finish_line(t);
	if (t->err || t->next == t->end)
		return NULL;
	s = cut_line(t);
	len = (int)(t->raw + t->raw_len - s);

	snprintf(buf, (size_t)num, "\n");
	if (memchr(t->raw, '\0', (size_t)t->raw_len)) {
		report(t, "the line contains a NUL byte; save the file as plain text");
		skip_key(t);
		return buf;
	}
	if (!len || *s == ';' || *s == '#' || (t->indented && t->skip_key && *s != '['))
		return buf;
	if (*s == '[') {
		section_line(t, s, len);
		snprintf(buf, (size_t)num, "[section]\n");
		return buf;
	}
	len = cut_comment(s, len);
	/* The newline matters: without it newer inih takes a full buffer for half a line. */
	if (setting_line_ok(t, s, len, num - 3)) {
		snprintf(buf, (size_t)num, "%s%.*s\n", continues(t) ? " " : "", len, s);
		t->awaited = true;
	} else {
		skip_key(t);
	}
	return buf;
}

/* ini_handler. */
static int on_setting(void *user, const char *section, const char *name, const char *value)
{
	struct text *t = user;
	struct sw_setting s = { .section = t->section, .key = t->key, .value = value };
	int r;

	(void)section;
	t->awaited = false;
	s.line = t->line;
	s.more = continues(t);
	if (!s.more) {
		snprintf(t->key, sizeof(t->key), "%s", name);
		t->skip_key = false;
	}
	if (t->err || t->skip_key || t->skip_section)
		return 1;
	if (!t->section[0]) {
		report(t, "'%s' stands before the first [section]", t->key);
		t->skip_key = true;
		return 1;
	}
	r = t->fn(t->arg, &s);
	t->skip_key = r < 0;
	if (r == -ENOMEM)
		t->err = r;
	return 1;
}

int sw_config_text(const char *file, const char *text, size_t len, sw_setting_fn fn, void *arg,
		   struct sw_diag *diag)
{
	struct text t = {
		.next = text, .end = text + len, .file = file, .fn = fn, .arg = arg, .diag = diag,
	};
	size_t before = diag->n;
	int r;

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))	/* byte order mark */
		t.next += 3;
	r = ini_parse_stream(next_line, &t, on_setting, &t);
	if (t.err)
		return t.err;
	if (r < 0)
		return -ENOMEM;
	/* Whatever inih has against a line that passed here must not pass for success. */
	if (r > 0 && diag->n == before)
		return sw_diag_add(diag, file, (unsigned int)r, "syntax error");
	return 0;
}
