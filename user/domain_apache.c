/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Apache: httpd.conf(5) with everything it includes. Of each <VirtualHost>: ServerName,
 * ServerAlias, DocumentRoot, who it runs as (SuexecUserGroup, AssignUserID of mpm_itk, RUidGid of
 * mod_ruid2) and the sockets of php-fpm that it hands requests to.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "domain_int.h"
#include "util.h"

#define DEPTH		16
#define DEFINES		64
#define JOINED_MAX	(64 * 1024)	/* bytes of a line with all its continuations */

struct apache {
	char root[PATH_MAX];		/* ServerRoot */
	struct sw_vhost vhost;
	bool in_vhost;
	unsigned int in_macro;		/* <Macro> sections hold $variables, not sites */
	int depth;
	char *joined;			/* a line that goes on in the next one */
	struct { char *name, *value; } define[DEFINES];
	size_t n_defines;
};

static int read_file(struct sw_reading *r, const char *path, void *data);

/* The next argument of a directive: a word, or what quotes enclose. In place. */
static char *next_argument(char **rest)
{
	char *arg = *rest + strspn(*rest, " \t"), quote = *arg, *out, *in;

	if (!quote)
		return NULL;
	if (quote != '"' && quote != '\'') {
		*rest = arg + strcspn(arg, " \t");
		if (**rest)
			*(*rest)++ = '\0';
		return arg;
	}
	for (in = out = ++arg; *in && *in != quote; in++) {
		if (*in == '\\' && in[1] == quote)
			in++;
		*out++ = *in;
	}
	*rest = *in ? in + 1 : in;
	*out = '\0';
	return arg;
}

/* ${NAME} of Define. What has no value stays, and is no name or path of a site then. */
static void expand(const struct apache *a, const char *text, char *ret, size_t size)
{
	size_t used = 0;

	while (*text && used + 1 < size) {
		size_t len = text[0] == '$' && text[1] == '{' ? strcspn(text, "}") : 0;
		const char *value = NULL;

		for (size_t i = 0; len > 2 && text[len] && i < a->n_defines && !value; i++)
			if (strlen(a->define[i].name) == len - 2 &&
			    !strncmp(a->define[i].name, text + 2, len - 2))
				value = a->define[i].value;
		if (value) {
			used += (size_t)snprintf(ret + used, size - used, "%s", value);
			used = used < size ? used : size - 1;
			text += len + 1;
		} else {
			ret[used++] = *text++;
		}
	}
	ret[used] = '\0';
}

static int define(struct apache *a, const char *name, const char *value)
{
	if (!name || a->n_defines == DEFINES)
		return 0;
	a->define[a->n_defines].name = strdup(name);
	a->define[a->n_defines].value = strdup(value ? value : "");
	if (!a->define[a->n_defines].name || !a->define[a->n_defines].value) {
		free(a->define[a->n_defines].name);
		free(a->define[a->n_defines].value);
		return -ENOMEM;
	}
	a->n_defines++;
	return 0;
}

static int include_directory(struct sw_reading *r, const char *path, struct apache *a)
{
	char pattern[PATH_MAX];

	if (snprintf(pattern, sizeof(pattern), "%s/*", path) >= (int)sizeof(pattern))
		return 0;
	return sw_reading_glob(r, pattern, read_file, a);
}

/* What is missing is no error even for Include: on this machine it might be there. */
static int include(struct sw_reading *r, const char *arg, struct apache *a)
{
	char expanded[PATH_MAX], path[PATH_MAX];

	expand(a, arg, expanded, sizeof(expanded));
	if (snprintf(path, sizeof(path), "%s%s%s", *expanded == '/' ? "" : a->root,
		     *expanded == '/' ? "" : "/", expanded) >= (int)sizeof(path))
		return -EINVAL;
	return sw_reading_glob(r, path, read_file, a);
}

/* "proxy:unix:/run/php/site.sock|fcgi://localhost" */
static int take_socket(struct sw_vhost *v, char *args)
{
	char *arg, *path;
	int e = 0;

	while (!e && (arg = next_argument(&args))) {
		path = strstr(arg, "unix:/");
		if (!path)
			continue;
		path += strlen("unix:");
		path[strcspn(path, "|")] = '\0';
		e = sw_vhost_socket(v, path);
	}
	return e;
}

static int take_aliases(struct apache *a, char *args)
{
	char *arg, name[1024];
	int e = 0, bad = 0;

	while (e != -ENOMEM && (arg = next_argument(&args))) {
		expand(a, arg, name, sizeof(name));
		e = sw_vhost_name(&a->vhost, name, true);
		bad = e == -EINVAL ? e : bad;
	}
	return e == -ENOMEM ? e : bad;
}

static int take_in_vhost(struct apache *a, const char *name, char *args)
{
	char value[PATH_MAX], *arg;

	if (!strcasecmp(name, "ServerAlias"))
		return take_aliases(a, args);
	if (!strcasecmp(name, "SetHandler") || !strcasecmp(name, "ProxyPass") ||
	    !strcasecmp(name, "ProxyPassMatch"))
		return take_socket(&a->vhost, args);
	if (strcasecmp(name, "ServerName") != 0 && strcasecmp(name, "DocumentRoot") != 0 &&
	    strcasecmp(name, "SuexecUserGroup") != 0 && strcasecmp(name, "AssignUserID") != 0 &&
	    strcasecmp(name, "RUidGid") != 0)
		return 0;
	arg = next_argument(&args);
	if (!arg)
		return -EINVAL;
	expand(a, arg, value, sizeof(value));
	if (!strcasecmp(name, "ServerName"))
		return sw_vhost_name(&a->vhost, value, false);
	if (strcasecmp(name, "DocumentRoot") != 0)
		return sw_vhost_user(&a->vhost, value);
	if (*value != '/') {	/* relative to ServerRoot */
		char path[PATH_MAX];

		if (snprintf(path, sizeof(path), "%s/%s", a->root, value) >= (int)sizeof(path))
			return -EINVAL;
		return sw_vhost_root(&a->vhost, path);
	}
	return sw_vhost_root(&a->vhost, value);
}

static int take_section(struct sw_reading *r, const char *name, struct apache *a)
{
	int e = 0;

	if (!strcasecmp(name, "<Macro"))
		a->in_macro++;
	else if (!strcasecmp(name, "</Macro>"))
		a->in_macro -= a->in_macro > 0;
	else if (!strcasecmp(name, "</VirtualHost>")) {
		e = a->in_vhost ? sw_vhost_emit(r, &a->vhost) : -EINVAL;
		a->in_vhost = false;
	} else if (!strcasecmp(name, "<VirtualHost") || !strcasecmp(name, "<VirtualHost>")) {
		e = a->in_vhost ? -EINVAL : 0;	/* the one before was never closed */
		sw_vhost_clear(&a->vhost);
		a->in_vhost = true;
	}
	return e;
}

static int take_directive(struct sw_reading *r, char *line, struct apache *a)
{
	char *args = line + strspn(line, " \t"), *name, *arg;

	if (!*args || *args == '#')
		return 0;
	name = args;
	args += strcspn(args, " \t");
	if (*args)
		*args++ = '\0';
	if (*name == '<')
		return take_section(r, name, a);
	if (a->in_macro)
		return 0;
	if (!strcasecmp(name, "Include") || !strcasecmp(name, "IncludeOptional")) {
		arg = next_argument(&args);
		return arg ? include(r, arg, a) : -EINVAL;
	}
	if (!strcasecmp(name, "Define")) {
		name = next_argument(&args);
		return define(a, name, name ? next_argument(&args) : NULL);
	}
	if (!strcasecmp(name, "ServerRoot")) {
		arg = next_argument(&args);
		if (!arg || *arg != '/')
			return -EINVAL;
		snprintf(a->root, sizeof(a->root), "%s", arg);
		return 0;
	}
	return a->in_vhost ? take_in_vhost(a, name, args) : 0;
}

/* A backslash at the end joins the next line to this one. */
static int take_line(struct sw_reading *r, char *line, void *data)
{
	struct apache *a = data;
	_cleanup_free_ char *whole = NULL;
	size_t len = strlen(line);
	bool goes_on = len && line[len - 1] == '\\';

	if (goes_on)
		line[len - 1] = '\0';
	if (!a->joined && !goes_on)
		return take_directive(r, line, a);
	if (asprintf(&whole, "%s%s", a->joined ? a->joined : "", line) < 0) {
		whole = NULL;
		return -ENOMEM;
	}
	free(TAKE_PTR(a->joined));
	if (strlen(whole) > JOINED_MAX)
		return -EINVAL;
	if (goes_on) {
		a->joined = TAKE_PTR(whole);
		return 0;
	}
	return take_directive(r, whole, a);
}

static int read_file(struct sw_reading *r, const char *path, void *data)
{
	struct apache *a = data;
	struct stat st;
	int e;

	if (a->depth >= DEPTH)
		return 0;
	a->depth++;
	if (sw_root_stat(r->root, path, &st) == 0 && S_ISDIR(st.st_mode))
		e = include_directory(r, path, a);
	else
		e = sw_reading_lines(r, path, take_line, a);
	a->depth--;
	free(TAKE_PTR(a->joined));	/* a line does not go on in another file */
	return e;
}

int sw_apache_read(struct sw_reading *r, const char *path, const char *server_root)
{
	struct apache *a = calloc(1, sizeof(*a));
	int e;

	if (!a)
		return -ENOMEM;
	snprintf(a->root, sizeof(a->root), "%s", server_root);
	e = sw_reading_glob(r, path, read_file, a);
	if (a->in_vhost)	/* never closed */
		sw_reading_bad_file(r, path);
	sw_vhost_clear(&a->vhost);
	for (size_t i = 0; i < a->n_defines; i++) {
		free(a->define[i].name);
		free(a->define[i].value);
	}
	free(a);
	return e;
}

static const struct {
	const char *path, *root;
} mains[] = {
	{ "/etc/apache2/apache2.conf", "/etc/apache2" },	/* Debian */
	{ "/etc/httpd/conf/httpd.conf", "/etc/httpd" },		/* Enterprise Linux */
	{ "/etc/apache2/conf/httpd.conf", "/etc/apache2" },	/* cPanel */
	{ "/etc/apache2/httpd.conf", "/etc/apache2" },		/* SUSE, Alpine */
	{ "/usr/local/apache2/conf/httpd.conf", "/usr/local/apache2" },
	{ "/usr/local/apache/conf/httpd.conf", "/usr/local/apache" },
};

/* Sites, where there is no main configuration to include them. */
static const struct {
	const char *pattern, *root;
} sites[] = {
	{ "/etc/apache2/sites-enabled/*", "/etc/apache2" },
	{ "/etc/httpd/conf.d/*.conf", "/etc/httpd" },
};

static int load(struct sw_reading *r)
{
	int e = 0;

	for (size_t i = 0; i < ARRAY_SIZE(mains) && !e; i++)
		if (sw_reading_exists(r, mains[i].path))
			e = sw_apache_read(r, mains[i].path, mains[i].root);
	for (size_t i = 0; i < ARRAY_SIZE(sites) && !e && !r->files; i++)
		e = sw_apache_read(r, sites[i].pattern, sites[i].root);
	return e;
}

static const char *const markers[] = {
	"/etc/apache2", "/etc/httpd", "/usr/local/apache2", "/usr/local/apache", NULL,
};

const struct sw_domain_source sw_source_apache = { "apache", markers, load, 0, true };
