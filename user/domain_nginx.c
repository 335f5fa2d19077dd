/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * nginx: its configuration with everything it includes. Of each server: server_name, root (also
 * of its locations) and the sockets of php-fpm in fastcgi_pass.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "domain_int.h"
#include "util.h"

#define DEPTH		16
#define BLOCKS		64	/* nesting */
#define WORDS		4096	/* of one directive */
#define DIRECTIVE_MAX	(256 * 1024)

struct nginx {
	const char *prefix;
	struct sw_vhost vhost;
	unsigned int blocks;		/* open ones */
	unsigned int server;		/* number of the block that is a server; 0: outside */
	unsigned int floor;		/* blocks of the files that include this one */
	int depth;
	char *text;			/* words of the directive so far, NUL between */
	size_t len, room;
	size_t n_words;
	char quote;			/* within a word in quotes */
	bool in_word;
};

static int read_file(struct sw_reading *r, const char *path, void *data);

static int put(struct nginx *n, char c)
{
	if (n->len >= DIRECTIVE_MAX)
		return -EINVAL;
	if (sw_domain_grow(&n->text, n->len, &n->room, 1) < 0)
		return -ENOMEM;
	n->text[n->len++] = c;
	return 0;
}

static int end_word(struct nginx *n)
{
	if (!n->in_word)
		return 0;
	n->in_word = false;
	n->n_words++;
	return put(n, '\0');
}

static void forget(struct nginx *n)
{
	n->len = n->n_words = 0;
	n->in_word = false;
	n->quote = '\0';
}

static int include(struct sw_reading *r, const char *arg, struct nginx *n)
{
	_cleanup_free_ char *pattern = NULL;
	char *outer_text = n->text;
	size_t outer_room = n->room;
	int e;

	if (asprintf(&pattern, "%s%s%s", *arg == '/' ? "" : n->prefix, *arg == '/' ? "" : "/",
		     arg) < 0) {
		pattern = NULL;
		return -ENOMEM;
	}
	/* The words of the directive that includes are those of the outer file. */
	n->text = NULL;
	n->len = n->room = n->n_words = 0;
	e = sw_reading_glob(r, pattern, read_file, n);
	free(n->text);
	n->text = outer_text;
	n->room = outer_room;
	return e;
}

static int take_names(struct nginx *n, const char *arg)
{
	int e = 0, bad = 0;

	for (size_t i = 1; i < n->n_words && e != -ENOMEM; i++, arg += strlen(arg) + 1) {
		if (!strcmp(arg, "_") || !*arg)
			continue;
		e = sw_vhost_name(&n->vhost, arg, n->vhost.n_names > 0);
		bad = e == -EINVAL ? e : bad;
	}
	return e == -ENOMEM ? e : bad;
}

/* A whole directive, which ends with ';'. */
static int take_directive(struct sw_reading *r, struct nginx *n)
{
	const char *name = n->text, *arg;

	if (n->n_words < 2)
		return n->n_words ? 0 : -EINVAL;
	arg = name + strlen(name) + 1;
	if (!strcmp(name, "include"))
		return include(r, arg, n);
	if (!n->server)
		return 0;
	if (!strcmp(name, "server_name"))
		return take_names(n, arg);
	if (!strcmp(name, "root"))
		return sw_vhost_root(&n->vhost, arg);
	if (!strcmp(name, "fastcgi_pass") && !strncmp(arg, "unix:", 5))
		return sw_vhost_socket(&n->vhost, arg + 5);
	return 0;
}

static int open_block(struct nginx *n)
{
	if (n->blocks >= BLOCKS)
		return -EINVAL;
	n->blocks++;
	/* "server" inside of "upstream" is a directive; a block of that name is a site. */
	if (n->n_words == 1 && !strcmp(n->text, "server") && !n->server)
		n->server = n->blocks;
	return 0;
}

static int close_block(struct sw_reading *r, struct nginx *n)
{
	if (n->blocks <= n->floor)
		return -EINVAL;
	if (n->blocks-- != n->server)
		return 0;
	n->server = 0;
	return sw_vhost_emit(r, &n->vhost);
}

/* A byte outside of words and quotes that has a meaning. */
static int take_mark(struct sw_reading *r, struct nginx *n, char c)
{
	int e = end_word(n);

	if (e)
		return e;
	if (c == ';')
		e = take_directive(r, n);
	else if (c == '{')
		e = open_block(n);
	else
		e = close_block(r, n);
	forget(n);
	return e;
}

static int take_byte(struct nginx *n, const char **at)
{
	char c = **at;

	if (n->quote && c == n->quote) {
		n->quote = '\0';
		return 0;
	}
	if (c == '\\' && (*at)[1] && (n->quote || strchr(" \"'\\;{}", (*at)[1])))
		c = *++*at;
	else if (!n->quote && !n->in_word && (c == '"' || c == '\'')) {
		n->quote = c;
		n->in_word = true;
		return 0;
	}
	n->in_word = true;
	return n->n_words < WORDS ? put(n, c) : -EINVAL;
}

/* "${name}" is a variable, and '}' is only special where a directive could begin. */
static bool is_mark(const struct nginx *n, const char *line, const char *at)
{
	if (n->quote)
		return false;
	return *at == ';' || (*at == '}' && !n->in_word) ||
	       (*at == '{' && !(n->in_word && at > line && at[-1] == '$'));
}

static int take_line(struct sw_reading *r, char *line, void *data)
{
	struct nginx *n = data;
	int e = 0, bad = 0;

	for (const char *at = line; *at && e != -ENOMEM && !r->full; at++) {
		if (!n->quote && !n->in_word && *at == '#')
			break;
		if (!n->quote && strchr(" \t", *at))
			e = end_word(n);
		else if (is_mark(n, line, at))
			e = take_mark(r, n, *at);
		else
			e = take_byte(n, &at);
		if (e == -EINVAL) {
			bad = e;
			forget(n);
		}
	}
	if (!e && n->quote)	/* a quote may go on in the next line */
		e = put(n, '\n');
	else if (!e)
		e = end_word(n);
	return e == -ENOMEM ? e : bad ? bad : e;
}

static int read_file(struct sw_reading *r, const char *path, void *data)
{
	struct nginx *n = data;
	unsigned int blocks = n->blocks, server = n->server, outer_floor = n->floor;
	int e;

	if (n->depth >= DEPTH)
		return 0;
	n->depth++;
	n->floor = blocks;
	e = sw_reading_lines(r, path, take_line, n);
	n->floor = outer_floor;
	n->depth--;
	/* What a file leaves open ends with it. */
	if (n->blocks != blocks || n->len) {
		sw_reading_bad_file(r, path);
		if (server != n->server)
			sw_vhost_clear(&n->vhost);
		n->blocks = blocks;
		n->server = server;
	}
	forget(n);
	return e;
}

int sw_nginx_read(struct sw_reading *r, const char *path, const char *prefix)
{
	struct nginx *n = calloc(1, sizeof(*n));
	int e;

	if (!n)
		return -ENOMEM;
	n->prefix = prefix;
	e = sw_reading_glob(r, path, read_file, n);
	sw_vhost_clear(&n->vhost);
	free(n->text);
	free(n);
	return e;
}

static const struct {
	const char *path, *prefix;
} mains[] = {
	{ "/etc/nginx/nginx.conf", "/etc/nginx" },
	{ "/usr/local/nginx/conf/nginx.conf", "/usr/local/nginx/conf" },
	{ "/usr/local/openresty/nginx/conf/nginx.conf", "/usr/local/openresty/nginx/conf" },
};

/* Sites, where there is no main configuration to include them. */
static const char *const sites[] = { "/etc/nginx/sites-enabled/*", "/etc/nginx/conf.d/*.conf" };

static int load(struct sw_reading *r)
{
	int e = 0;

	for (size_t i = 0; i < ARRAY_SIZE(mains) && !e; i++)
		if (sw_reading_exists(r, mains[i].path))
			e = sw_nginx_read(r, mains[i].path, mains[i].prefix);
	for (size_t i = 0; i < ARRAY_SIZE(sites) && !e && !r->files; i++)
		e = sw_nginx_read(r, sites[i], "/etc/nginx");
	return e;
}

static const char *const markers[] = {
	"/etc/nginx", "/usr/local/nginx", "/usr/local/openresty", NULL,
};

const struct sw_domain_source sw_source_nginx = { "nginx", markers, load, 0, true };
