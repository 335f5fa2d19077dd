/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plesk. Where its program is, "plesk db" says which domain has which login and document root.
 * The files say the same less completely: homes are /var/www/vhosts/DOMAIN, each domain has
 * /var/www/vhosts/system/DOMAIN, with the web server's configuration in conf/httpd.conf.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "domain_int.h"
#include "names.h"
#include "util.h"

#define VHOSTS		"/var/www/vhosts"
#define PROGRAM		"/usr/sbin/plesk"
#define TIMEOUT_MS	5000
#define MAX_AGE_S	300	/* of what a program said: nothing tells that it changed */

/* name, login, www_root, webspace_id, with tabs between. A webspace of 0 is the main domain of a
 * subscription. */
static int take_row(struct sw_reading *r, char *line, void *data)
{
	char *field[4] = {}, *rest = line;
	struct sw_record rec = {};
	uint32_t webspace;

	(void)data;
	if (!*line)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(field); i++) {
		field[i] = strsep(&rest, "\t");
		if (!field[i])
			return -EINVAL;
	}
	if (rest || sw_id_parse(field[3], &webspace) < 0)
		return -EINVAL;
	rec.domain = field[0];
	rec.user = field[1];
	rec.docroot = field[2];
	rec.kind = webspace ? SW_DOMAIN_ADDON : SW_DOMAIN_MAIN;
	return sw_reading_add(r, &rec);
}

static int ask_database(struct sw_reading *r)
{
	static const char query[] =
		"SELECT d.name, s.login, h.www_root, d.webspace_id FROM domains d "
		"JOIN hosting h ON h.dom_id = d.id JOIN sys_users s ON s.id = h.sys_user_id";
	static const char *const argv[] = { "plesk", "db", "-Ne", query, NULL };

	if (!sw_reading_exists(r, PROGRAM))
		return 0;
	return sw_domain_run(r, PROGRAM, argv, TIMEOUT_MS, take_row, NULL);
}

/* Homes of subscriptions. */
static int read_homes(struct sw_reading *r)
{
	char docroot[PATH_MAX], domain[SW_DOMAIN_LEN];
	int e = 0;

	for (size_t i = 0; i < r->logins->n_homes && e != -ENOMEM; i++) {
		const struct sw_login *l = r->logins->by_home[i];
		const char *name = l->home + strlen(VHOSTS "/");
		struct sw_record rec = {
			.domain = domain, .user = l->name, .docroot = docroot,
			.kind = SW_DOMAIN_MAIN,
		};

		if (strncmp(l->home, VHOSTS "/", strlen(VHOSTS "/")) != 0 ||
		    !sw_domain_normalise(name, strlen(name), domain))
			continue;
		snprintf(docroot, sizeof(docroot), "%s/httpdocs", l->home);
		e = sw_reading_add(r, &rec);
	}
	return e == -ENOMEM ? e : 0;
}

/* The domain itself, even when its web server's configuration cannot be read. */
static int take_system(struct sw_reading *r, const char *path, void *data)
{
	char docroot[PATH_MAX], conf[PATH_MAX];
	const struct sw_login *l;
	struct sw_record rec = { .domain = strrchr(path, '/') + 1, .kind = SW_KIND_UNKNOWN };
	int e;

	(void)data;
	snprintf(docroot, sizeof(docroot), "%s/%s/httpdocs", VHOSTS, rec.domain);
	snprintf(conf, sizeof(conf), "%s/conf/httpd.conf", path);
	l = sw_logins_by_home(r->logins, docroot);
	if (l) {
		rec.user = l->name;
		rec.docroot = docroot;
	}
	e = sw_reading_exists(r, conf) ? sw_apache_read(r, conf, VHOSTS) : 0;
	if (!e)
		e = sw_reading_add(r, &rec);
	return e == -ENOMEM ? e : 0;	/* a directory of another name is no site */
}

static int load(struct sw_reading *r)
{
	int e = ask_database(r);

	if (!e)
		e = read_homes(r);
	return e ? e : sw_reading_glob(r, VHOSTS "/system/*", take_system, NULL);
}

static const char *const markers[] = { VHOSTS "/system", "/usr/local/psa", PROGRAM, NULL };

const struct sw_domain_source sw_source_plesk = { "plesk", markers, load, MAX_AGE_S, false };
