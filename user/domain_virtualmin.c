/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Virtualmin: one file of key=value a domain, named after its id: dom, user, uid, home, and where
 * the documents are. parent is the id of the server it belongs to, alias of the one it stands
 * for. The id is also the name of its php-fpm pool.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "domain_int.h"
#include "names.h"
#include "util.h"

#define DOMAINS "/etc/webmin/virtual-server/domains"

enum { DOM, USER, UID, HOME, PATH, DIRECTORY, PARENT, ALIAS, SUBDOMAIN, _KEYS };

struct server {
	char *value[_KEYS];
};

static int take_line(struct sw_reading *r, char *line, void *data)
{
	static const char *const keys[_KEYS] = {
		[DOM] = "dom", [USER] = "user", [UID] = "uid", [HOME] = "home",
		[PATH] = "public_html_path", [DIRECTORY] = "public_html_dir",
		[PARENT] = "parent", [ALIAS] = "alias", [SUBDOMAIN] = "subdom",
	};
	struct server *s = data;
	char *value = strchr(line, '=');

	(void)r;
	if (!value)
		return *line && *line != '#' ? -EINVAL : 0;
	*value++ = '\0';
	for (int i = 0; i < _KEYS; i++) {
		if (strcmp(line, keys[i]) != 0 || s->value[i])
			continue;
		s->value[i] = strdup(sw_domain_trim(value));
		return s->value[i] ? 0 : -ENOMEM;
	}
	return 0;
}

static bool has(const struct server *s, int key)
{
	return s->value[key] && *s->value[key];
}

static int add(struct sw_reading *r, const struct server *s, const char *id)
{
	char docroot[PATH_MAX] = "";
	struct sw_record rec = {
		.domain = s->value[DOM], .user = s->value[USER], .docroot = docroot, .pool = id,
		.kind = has(s, ALIAS) ? SW_DOMAIN_ALIAS : has(s, SUBDOMAIN) ? SW_DOMAIN_SUB :
			has(s, PARENT) ? SW_DOMAIN_ADDON : SW_DOMAIN_MAIN,
	};

	if (!has(s, DOM) || !has(s, USER))
		return -EINVAL;
	rec.has_uid = has(s, UID) && sw_id_parse(s->value[UID], &rec.uid) == 0;
	if (has(s, ALIAS))
		rec.docroot = rec.pool = NULL;	/* those of the domain it stands for */
	else if (has(s, PATH))
		snprintf(docroot, sizeof(docroot), "%s", s->value[PATH]);
	else if (has(s, HOME))
		snprintf(docroot, sizeof(docroot), "%s/%s", s->value[HOME],
			 has(s, DIRECTORY) ? s->value[DIRECTORY] : "public_html");
	return sw_reading_add(r, &rec);
}

static int take_file(struct sw_reading *r, const char *path, void *data)
{
	struct server s = {};
	const char *id = strrchr(path, '/') + 1;
	size_t files = r->files;
	int e;

	(void)data;
	if (strstr(id, ".lock") || strstr(id, ".webmintmp"))
		return 0;	/* being written */
	e = sw_reading_lines(r, path, take_line, &s);
	if (!e && r->files > files)
		e = add(r, &s, id);
	if (e == -EINVAL)
		sw_reading_bad_file(r, path);
	for (int i = 0; i < _KEYS; i++)
		free(s.value[i]);
	return e == -ENOMEM ? e : 0;
}

static int load(struct sw_reading *r)
{
	return sw_reading_glob(r, DOMAINS "/*", take_file, NULL);
}

static const char *const markers[] = { DOMAINS, NULL };

const struct sw_domain_source sw_source_virtualmin = { "virtualmin", markers, load, 0, false };
