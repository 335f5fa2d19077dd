/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ISPConfig: sites are /var/www/clients/clientN/webM, which is the home of login webM.
 * /var/www/DOMAIN is a link to it, and the web server has one file a site.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "domain_int.h"
#include "util.h"

#define WWW	"/var/www"
#define CLIENTS	"/var/www/clients/"

/* Adds `domain` with both of its document roots: as linked, and where it is. */
static int add(struct sw_reading *r, const char *domain, const char *link, const char *site)
{
	const struct sw_login *l = sw_logins_by_home(r->logins, site);
	const char *const places[] = { link, site };
	char docroot[PATH_MAX];
	struct sw_record rec = {
		.domain = domain, .docroot = docroot, .kind = SW_KIND_UNKNOWN,
		.user = l ? l->name : strrchr(site, '/') + 1, .pool = strrchr(site, '/') + 1,
	};
	int e = 0;

	for (size_t i = 0; i < ARRAY_SIZE(places) && !e; i++) {
		if (snprintf(docroot, sizeof(docroot), "%s/web", places[i]) >= (int)sizeof(docroot))
			return -EINVAL;
		e = sw_reading_add(r, &rec);
	}
	return e;
}

static int take_link(struct sw_reading *r, const char *path, void *data)
{
	const char *name = strrchr(path, '/') + 1, *in = NULL;
	char target[PATH_MAX], site[PATH_MAX], domain[SW_DOMAIN_LEN];
	int e;

	(void)data;
	if (!sw_domain_normalise(name, strlen(name), domain) ||
	    !sw_root_readlink(r->root, path, target, sizeof(target)))
		return 0;
	if (!strncmp(target, CLIENTS, strlen(CLIENTS)))
		in = target + strlen(CLIENTS);
	else if (!strncmp(target, "clients/", strlen("clients/")))
		in = target + strlen("clients/");
	if (!in || snprintf(site, sizeof(site), CLIENTS "%s", in) >= (int)sizeof(site) ||
	    !sw_domain_path(site) || strlen(site) <= strlen(CLIENTS))
		return 0;
	e = add(r, domain, path, site);
	if (e == -EINVAL)
		sw_reading_bad_file(r, path);
	return e == -ENOMEM ? e : 0;
}

static int load(struct sw_reading *r)
{
	int e = sw_apache_read(r, "/etc/apache2/sites-enabled/*.vhost", "/etc/apache2");

	if (!e)
		e = sw_apache_read(r, "/etc/httpd/conf/sites-enabled/*.vhost", "/etc/httpd");
	if (!e)
		e = sw_nginx_read(r, "/etc/nginx/sites-enabled/*.vhost", "/etc/nginx");
	return e ? e : sw_reading_glob(r, WWW "/*", take_link, NULL);
}

static const char *const markers[] = { "/usr/local/ispconfig", "/var/www/clients", NULL };

const struct sw_domain_source sw_source_ispconfig = { "ispconfig", markers, load, 0, false };
