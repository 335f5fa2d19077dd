/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Hestia, Vesta and myVesta: data/users/LOGIN/web.conf, one line a domain, the account's first
 * one first: DOMAIN='example.com' IP='203.0.113.10' CUSTOM_DOCROOT='' ALIAS='www.example.com' ...
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "domain_int.h"
#include "util.h"

struct account {
	char user[256], home[PATH_MAX];
	bool any;	/* it had a domain already */
};

/* Value of KEY='...' in a line of such; NULL: not there, or not closed. malloc'd. */
static int find_value(const char *line, const char *key, char **ret)
{
	size_t len = strlen(key);

	*ret = NULL;
	for (const char *at = line; (at = strstr(at, key)); at += len) {
		const char *value = at + len, *end;

		if ((at > line && at[-1] != ' ') || strncmp(value, "='", 2) != 0)
			continue;
		value += 2;
		end = strchr(value, '\'');
		if (!end)
			return -EINVAL;
		*ret = strndup(value, (size_t)(end - value));
		return *ret ? 0 : -ENOMEM;
	}
	return 0;
}

static int add_aliases(struct sw_reading *r, const char *line, const struct sw_record *site)
{
	_cleanup_free_ char *list = NULL;
	char *rest, *word;
	int e = find_value(line, "ALIAS", &list), bad = 0;

	if (e || !list || !strcmp(list, "none"))
		return e;
	rest = list;
	while (e != -ENOMEM && (word = sw_domain_word(&rest, ", "))) {
		struct sw_record rec = *site;

		if (*word == '*')	/* a wild card */
			continue;
		rec.domain = word;
		rec.kind = SW_DOMAIN_ALIAS;
		rec.pool = NULL;
		e = sw_reading_add(r, &rec);
		bad = e == -EINVAL ? e : bad;
	}
	return e == -ENOMEM ? e : bad;
}

static int take_line(struct sw_reading *r, char *line, void *data)
{
	static const char *const directories[] = { "public_html", "public_shtml" };
	struct account *a = data;
	_cleanup_free_ char *domain = NULL, *custom = NULL;
	char docroot[PATH_MAX], clean[SW_DOMAIN_LEN];
	struct sw_record rec = { .user = a->user, .docroot = docroot, .pool = clean };
	int e;

	line = sw_domain_trim(line);
	if (!*line || *line == '#')
		return 0;
	e = find_value(line, "DOMAIN", &domain);
	if (!e)
		e = find_value(line, "CUSTOM_DOCROOT", &custom);
	if (e)
		return e;
	if (!domain || !sw_domain_normalise(domain, strlen(domain), clean))
		return -EINVAL;
	rec.domain = clean;
	rec.kind = a->any ? SW_DOMAIN_ADDON : SW_DOMAIN_MAIN;
	a->any = true;
	for (size_t i = 0; i < ARRAY_SIZE(directories) && !e; i++) {
		if (snprintf(docroot, sizeof(docroot), "%s/web/%s/%s", a->home, clean,
			     directories[i]) >= (int)sizeof(docroot))
			return -EINVAL;
		e = sw_reading_add(r, &rec);
	}
	if (!e && custom && *custom) {
		rec.docroot = custom;
		e = sw_reading_add(r, &rec);
	}
	rec.docroot = NULL;	/* the site's: an alias is no site of its own */
	return e ? e : add_aliases(r, line, &rec);
}

static int take_file(struct sw_reading *r, const char *path, void *data)
{
	struct account a = {};
	const char *end = strrchr(path, '/'), *user = end;

	(void)data;
	while (user > path && user[-1] != '/')
		user--;
	if (end - user >= (int)sizeof(a.user))
		return 0;
	snprintf(a.user, sizeof(a.user), "%.*s", (int)(end - user), user);
	if (!sw_login_is_valid(a.user) ||
	    sw_reading_home(r, a.user, a.home, sizeof(a.home)) < 0)
		return 0;
	return sw_reading_lines(r, path, take_line, &a);
}

static int load(struct sw_reading *r)
{
	int e = sw_reading_glob(r, "/usr/local/hestia/data/users/*/web.conf", take_file, NULL);

	if (!e)
		e = sw_reading_glob(r, "/usr/local/vesta/data/users/*/web.conf", take_file, NULL);
	return e;
}

static const char *const markers[] = {
	"/usr/local/hestia/data/users", "/usr/local/vesta/data/users", NULL,
};

const struct sw_domain_source sw_source_hestia = { "hestia", markers, load, 0, false };
