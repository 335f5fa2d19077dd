/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block SMTP_BLOCKING of Imunify360's YAML. Only what that block is made of is understood:
 * KEY: VALUE, lists as [a, b] and as lines "- a". Anything else in it is an error.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>

#include "import_int.h"
#include "util.h"

#define BLANKS	" \t"
#define BLOCK	"SMTP_BLOCKING"

enum key { ENABLE, PORTS, ALLOW_USERS, ALLOW_GROUPS, ALLOW_LOCAL, REDIRECT, N_KEYS };

static const struct {
	const char *name;
	bool list;
	const char *missing;	/* its value when it is not in the block */
} keys[N_KEYS] = {
	[ENABLE] = { "enable", false, "false" },
	[PORTS] = { "ports", true, "[25, 587, 465]" },
	[ALLOW_USERS] = { "allow_users", true, "[]" },
	[ALLOW_GROUPS] = { "allow_groups", true, "[mail]" },
	[ALLOW_LOCAL] = { "allow_local", false, "false" },
	[REDIRECT] = { "redirect", false, "false" },
};

static const struct sw_import_product product = {
	.name = "Imunify360",
	.numbers = "Imunify360 has names here, no numbers",
	.unknown = "smtpwall.conf may name only what is there",
	.redirect = "Imunify360 redirects the ports to this machine",
};

struct imunify {
	struct sw_importer *im;
	struct sw_lines file;
	size_t indent;		/* of the keys of the block; 0: not seen yet */
	enum key key;		/* whose list goes on in further lines; N_KEYS: none */
	bool unknown;		/* the key that goes on is not known */
	unsigned int line[N_KEYS];
	bool on[N_KEYS];
	struct sw_words said[N_KEYS];
	struct sw_import_smtp smtp;
};

#define bad(i, ...) sw_import_error((i)->im, (i)->file.path, (i)->file.line, __VA_ARGS__)

/* Cuts a comment: '#' at the beginning or behind a blank, outside of quotes. */
static void cut_comment(char *line)
{
	char quote = '\0', before = ' ';

	for (char *s = line; *s; before = *s++) {
		if (!quote && *s == '#' && strchr(BLANKS, before)) {
			*s = '\0';
			return;
		}
		if (quote)
			quote = *s == quote ? '\0' : quote;
		else if ((*s == '"' || *s == '\'') && strchr(" \t[,", before))
			quote = *s;
	}
}

/* Without the blanks around it; what it points to is changed. */
static char *trim(char *s)
{
	size_t len;

	s += strspn(s, BLANKS);
	for (len = strlen(s); len && strchr(BLANKS, s[len - 1]); len--)
		;
	s[len] = '\0';
	return s;
}

/* A plain or quoted word, or NULL when it is neither. "" is no word. */
static char *scalar(char *s)
{
	size_t len = strlen(s);

	if (*s == '"' || *s == '\'') {
		if (len < 3 || s[len - 1] != *s || strcspn(s + 1, "\"'\\") != len - 2)
			return NULL;
		s[len - 1] = '\0';
		return s + 1;
	}
	return !*s || strpbrk(s, "[]{},&*!|>%@`\"':#") || s[strcspn(s, BLANKS)] ? NULL : s;
}

static void take_entry(struct imunify *i, enum key key, const char *word, bool written)
{
	unsigned int line = written ? i->file.line : 0;

	if (written)
		sw_words_add(i->im, &i->said[key], word);
	if (key == PORTS)
		sw_import_port(i->im, &i->smtp, line, keys[key].name, word);
	else
		sw_import_account(i->im, &i->smtp, key == ALLOW_GROUPS, line, keys[key].name, word);
}

/* [a, b] */
static void take_flow(struct imunify *i, enum key key, char *value, bool written)
{
	size_t len = strlen(value);
	char *next = value + 1, *word;

	if (value[0] != '[' || len < 2 || value[len - 1] != ']') {
		bad(i, "%s is no list; write [a, b], in one line", keys[key].name);
		return;
	}
	value[len - 1] = '\0';
	if (!*trim(next))
		return;
	while ((word = strsep(&next, ","))) {
		word = scalar(trim(word));
		if (!word) {
			bad(i, "an entry of %s is not a name or number; correct it",
			    keys[key].name);
			return;
		}
		take_entry(i, key, word, written);
	}
}

/* The words that YAML 1.1 has for yes and no. */
static int read_bool(const char *word)
{
	static const char *const words[] = { "false", "true", "no", "yes", "off", "on" };

	for (size_t n = 0; n < ARRAY_SIZE(words); n++)
		if (!strcasecmp(word, words[n]))
			return (int)(n % 2);
	return -EINVAL;
}

static void take_switch(struct imunify *i, enum key key, char *value)
{
	int on = read_bool(value);

	if (on < 0)
		bad(i, "%s is '%.60s', neither true nor false; correct it", keys[key].name, value);
	else
		i->on[key] = on;
	sw_words_add(i->im, &i->said[key], value);
}

static enum key find_key(const char *name)
{
	enum key key = 0;

	while (key < N_KEYS && strcmp(name, keys[key].name) != 0)
		key++;
	return key;
}

static void take_key(struct imunify *i, char *line)
{
	_cleanup_free_ char *whole = strdup(line);
	char *colon = strchr(line, ':'), *value;
	enum key key;

	i->key = N_KEYS;
	if (!whole) {
		i->im->err = -ENOMEM;
		return;
	}
	if (!colon || (colon[1] && !strchr(BLANKS, colon[1]))) {
		bad(i, "'%.60s' is not KEY: VALUE; correct the line", line);
		return;
	}
	*colon = '\0';
	value = trim(colon + 1);
	key = find_key(trim(line));
	i->unknown = key == N_KEYS;
	if (i->unknown) {
		sw_import_left(i->im, &i->file, i->file.line, false, whole,
			       "smtpwall knows no such setting of Imunify360; see smtpwall.conf(5) "
			       "for what comes near");
		return;
	}
	if (i->line[key]) {
		bad(i, "%s is set twice, before this in line %u; remove one of the two",
		    keys[key].name, i->line[key]);
		return;
	}
	i->line[key] = i->file.line;
	if (!keys[key].list)
		take_switch(i, key, value);
	else if (*value)
		take_flow(i, key, value, true);
	else
		i->key = key;
}

/* "- a" of the list that the last key began. */
static void take_item(struct imunify *i, char *line)
{
	char *word = scalar(trim(line + 1));

	if (i->unknown)
		sw_import_left(i->im, &i->file, i->file.line, false, line,
			       "it belongs to a setting that is not known; nothing to do");
	else if (i->key == N_KEYS)
		bad(i, "'%.60s' belongs to no list; correct the line", line);
	else if (!word)
		bad(i, "an entry of %s is not a name or number; correct it", keys[i->key].name);
	else
		take_entry(i, i->key, word, true);
}

/* One line of the block; `line` has no blanks around it, `indent` stood before it. */
static void take_line(struct imunify *i, char *line, size_t indent)
{
	bool item = *line == '-' && (!line[1] || strchr(BLANKS, line[1]));

	if (!i->indent)
		i->indent = indent;
	if (item && indent >= i->indent)
		take_item(i, line);
	else if (indent == i->indent)
		take_key(i, line);
	else if (i->unknown && indent > i->indent)
		sw_import_left(i->im, &i->file, i->file.line, false, line,
			       "it belongs to a setting that is not known; nothing to do");
	else
		bad(i, "'%.60s' is not indented like the line above it; correct the line", line);
}

/* Whether `line` begins the block. */
static bool begins(struct imunify *i, char *line)
{
	size_t len = strlen(BLOCK);

	if (strncmp(line, BLOCK, len) != 0 || line[len + strspn(line + len, BLANKS)] != ':')
		return false;
	line = trim(strchr(line, ':') + 1);
	if (*line)
		bad(i, "'%.60s' stands behind " BLOCK ":; write its settings on lines of their own",
		    line);
	return true;
}

/* False when there is no block in the file. */
static bool read_block(struct imunify *i)
{
	bool inside = false, found = false;
	const char *start = i->file.next;
	char *line;

	for (; (line = sw_lines_next(&i->file)); start = i->file.next) {
		size_t indent = (size_t)(line - start);

		cut_comment(line);
		line = trim(line);
		if (!*line)
			continue;
		if (inside && indent && memchr(start, '\t', indent)) {
			bad(i, "the line is indented with a tab, which YAML does not allow");
			continue;
		}
		if (indent || (*line == '-' && strncmp(line, "---", 3) != 0)) {
			if (inside)
				take_line(i, line, indent);
			continue;
		}
		inside = begins(i, line);
		if (inside && found)
			bad(i, BLOCK " is there twice; remove one of the two");
		found |= inside;
	}
	return found;
}

/* "allow_users: alice bob", for a comment. */
static char *said(struct imunify *i, enum key key)
{
	char *text = NULL;

	if (i->line[key] && asprintf(&text, "%s: %s", keys[key].name,
				     i->said[key].n ? i->said[key].text : "[]") < 0) {
		text = NULL;
		i->im->err = -ENOMEM;
	}
	return text;
}

/* Keys that are not in the block have the value that Imunify360 installs. */
static void fill_in(struct imunify *i)
{
	for (enum key key = 0; key < N_KEYS; key++) {
		_cleanup_free_ char *value = strdup(keys[key].missing);

		if (i->line[key] || !value)
			continue;
		sw_import_left(i->im, &i->file, 0, true, keys[key].name,
			       "is not set, which means %s; nothing to do", value);
		if (keys[key].list)
			take_flow(i, key, value, false);
	}
}

static void convert(struct imunify *i)
{
	_cleanup_free_ char *enable = said(i, ENABLE), *ports = said(i, PORTS);
	_cleanup_free_ char *users = said(i, ALLOW_USERS), *groups = said(i, ALLOW_GROUPS);
	_cleanup_free_ char *local = said(i, ALLOW_LOCAL), *redirect = said(i, REDIRECT);

	i->smtp.enabled = i->on[ENABLE];
	i->smtp.redirect = i->on[REDIRECT];
	i->smtp.allow_local = i->on[ALLOW_LOCAL];
	i->smtp.redirect_line = i->line[REDIRECT];
	i->smtp.enabled_said = enable;
	i->smtp.ports_said = ports;
	i->smtp.users_said = users;
	i->smtp.groups_said = groups;
	i->smtp.local_said = local;
	i->smtp.redirect_said = redirect;
	sw_import_head(i->im, i->file.path, "imunify");
	sw_import_policy(i->im, &i->smtp);
}

static void import(struct imunify *i, const char *path)
{
	int r = sw_lines_open(i->im, AT_FDCWD, path, path, &i->file);
	bool found;

	if (r == -ENOENT)
		sw_import_error(i->im, path, 0,
				"there is no such file; name the configuration file "
				"of Imunify360");
	else if (r == -ENXIO)
		sw_import_error(i->im, path, 0, "is no regular file");
	if (r < 0)
		return;
	found = read_block(i);
	if (!found && !i->im->result->errors.n)
		sw_import_error(i->im, path, 0, "there is no block " BLOCK ": in it");
	if (i->im->err || i->im->result->errors.n)
		return;
	fill_in(i);
	convert(i);
}

int sw_import_imunify(const char *path, struct sw_import *ret)
{
	struct sw_importer im;
	struct imunify i = { .im = &im, .key = N_KEYS };
	int r = sw_import_begin(&im, ret);

	if (r < 0)
		return r;
	i.smtp.product = &product;
	i.smtp.file = &i.file;
	import(&i, path);
	for (size_t k = 0; k < N_KEYS; k++)
		free(i.said[k].text);
	sw_import_smtp_free(&i.smtp);
	sw_lines_close(&i.file);
	return sw_import_end(&im);
}
