/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CyberPanel, on OpenLiteSpeed: conf/vhosts/DOMAIN/vhost.conf with docRoot, vhAliases and extUser.
 * The home of a site is /home/DOMAIN. Customers edit the rewrite rules in these files, which
 * stand there as a text between <<<TAG and TAG.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "domain_int.h"
#include "util.h"

#define VALUE 1024

struct site {
	char name[SW_DOMAIN_LEN];
	char home[SW_DOMAIN_LEN + 8];	/* $VH_ROOT */
	char docroot[PATH_MAX], names[16 * VALUE], user[256];
	char tag[64];			/* end of the text that is being passed over */
};

static void expand(const struct site *s, const char *text, char *ret, size_t size)
{
	const struct { const char *name, *value; } variables[] = {
		{ "$VH_ROOT", s->home }, { "$VH_NAME", s->name }, { "$VH_DOMAIN", s->name },
	};
	size_t used = 0;

	while (*text && used + 1 < size) {
		size_t i = 0;

		while (i < ARRAY_SIZE(variables) &&
		       strncmp(text, variables[i].name, strlen(variables[i].name)) != 0)
			i++;
		if (i == ARRAY_SIZE(variables)) {
			ret[used++] = *text++;
			continue;
		}
		used += (size_t)snprintf(ret + used, size - used, "%s", variables[i].value);
		used = used < size ? used : size - 1;
		text += strlen(variables[i].name);
	}
	ret[used] = '\0';
}

static void add_names(struct site *s, const char *value)
{
	size_t used = strlen(s->names);

	expand(s, value, s->names + used, sizeof(s->names) - used);
	used = strlen(s->names);
	snprintf(s->names + used, sizeof(s->names) - used, ",");
}

static int take_line(struct sw_reading *r, char *line, void *data)
{
	struct site *s = data;
	char *value, *text;
	size_t len;

	(void)r;
	line = sw_domain_trim(line);
	if (*s->tag) {
		if (!strcmp(line, s->tag))
			*s->tag = '\0';
		return 0;
	}
	text = strstr(line, "<<<");
	if (text) {
		len = strlen(text + 3);
		if (!len || len >= sizeof(s->tag))
			return -EINVAL;
		snprintf(s->tag, sizeof(s->tag), "%s", text + 3);
		return 0;
	}
	value = line + strcspn(line, " \t");
	if (!*value)
		return 0;
	*value++ = '\0';
	value = sw_domain_trim(value);
	if (!strcmp(line, "docRoot"))
		expand(s, value, s->docroot, sizeof(s->docroot));
	else if (!strcmp(line, "vhAliases") || !strcmp(line, "vhDomain"))
		add_names(s, value);
	else if (!strcmp(line, "extUser") && !*s->user && sw_login_is_valid(value))
		snprintf(s->user, sizeof(s->user), "%s", value);
	return 0;
}

static int add_aliases(struct sw_reading *r, struct site *s, const struct sw_record *site)
{
	char *rest = s->names, *word, domain[SW_DOMAIN_LEN];
	int e = 0, bad = 0;

	while (e != -ENOMEM && (word = sw_domain_word(&rest, ", \t"))) {
		struct sw_record rec = *site;

		if (*word == '*' || !strcmp(word, "localhost") ||
		    (sw_domain_normalise(word, strlen(word), domain) && !strcmp(domain, s->name)))
			continue;
		rec.domain = word;
		rec.docroot = NULL;
		rec.kind = SW_DOMAIN_ALIAS;
		e = sw_reading_add(r, &rec);
		bad = e == -EINVAL ? e : bad;
	}
	return e == -ENOMEM ? e : bad;
}

static int add(struct sw_reading *r, struct site *s)
{
	const struct sw_login *l = sw_logins_by_home(r->logins, s->home);
	struct sw_record rec = { .domain = s->name, .docroot = s->docroot };
	int e;

	/* A child domain runs as the login of the site that it lies in. */
	if (!l && *s->docroot)
		l = sw_logins_by_home(r->logins, s->docroot);
	rec.user = *s->user ? s->user : l ? l->name : NULL;
	rec.kind = l && !strcmp(l->home, s->home) ? SW_DOMAIN_MAIN : SW_DOMAIN_ADDON;
	if (!*s->docroot)
		snprintf(s->docroot, sizeof(s->docroot), "%s/public_html", s->home);
	e = sw_reading_add(r, &rec);
	return e ? e : add_aliases(r, s, &rec);
}

static int take_file(struct sw_reading *r, const char *path, void *data)
{
	_cleanup_free_ struct site *s = NULL;
	const char *end = strrchr(path, '/'), *name = end;
	size_t files = r->files;
	int e;

	(void)data;
	while (name[-1] != '/')
		name--;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	if (!sw_domain_normalise(name, (size_t)(end - name), s->name))
		return 0;	/* "Example", the server's own */
	snprintf(s->home, sizeof(s->home), "/home/%s", s->name);
	e = sw_reading_lines(r, path, take_line, s);
	if (!e && r->files > files)
		e = add(r, s);
	if (e == -EINVAL)
		sw_reading_bad_file(r, path);
	return e == -ENOMEM ? e : 0;
}

static int load(struct sw_reading *r)
{
	return sw_reading_glob(r, "/usr/local/lsws/conf/vhosts/*/vhost.conf", take_file, NULL);
}

static const char *const markers[] = { "/usr/local/CyberCP", "/usr/local/lsws/conf/vhosts", NULL };

const struct sw_domain_source sw_source_cyberpanel = { "cyberpanel", markers, load, 0, false };
