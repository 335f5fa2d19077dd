/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * DirectAdmin: /etc/virtual/domainowners has all domains. Below data/users each account has
 * user.conf with its default domain, and domains.list, which is read only for accounts that the
 * first one does not have. Documents lie in /home/LOGIN/domains/DOMAIN.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "domain_int.h"
#include "util.h"

#define OWNERS	"/etc/virtual/domainowners"
#define USERS	"/usr/local/directadmin/data/users"

static int add(struct sw_reading *r, const char *domain, const char *user, const char *label,
	       uint8_t kind)
{
	static const char *const directories[] = { "public_html", "private_html" };
	char home[PATH_MAX], clean[SW_DOMAIN_LEN], docroot[PATH_MAX];
	struct sw_record rec = {
		.domain = clean, .user = user, .docroot = docroot, .label = label, .kind = kind,
	};
	int e = 0, len;

	if (!sw_domain_normalise(domain, strlen(domain), clean) || !sw_login_is_valid(user) ||
	    sw_reading_home(r, user, home, sizeof(home)) < 0)
		return -EINVAL;
	len = snprintf(docroot, sizeof(docroot), "%s/domains/%s/", home, clean);
	for (size_t i = 0; i < ARRAY_SIZE(directories) && !e; i++) {
		if (len + strlen(directories[i]) >= sizeof(docroot))
			return -EINVAL;
		memcpy(docroot + len, directories[i], strlen(directories[i]) + 1);
		e = sw_reading_add(r, &rec);
	}
	return e;
}

/* "example.com: alice" */
static int take_owner(struct sw_reading *r, char *line, void *data)
{
	char *colon;

	(void)data;
	line = sw_domain_trim(line);
	if (!*line || *line == '#')
		return 0;
	colon = strchr(line, ':');
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	return add(r, sw_domain_trim(line), sw_domain_trim(colon + 1), "domainowners",
		   SW_KIND_UNKNOWN);
}

/* domains.list: one a line */
static int take_domain(struct sw_reading *r, char *line, void *data)
{
	line = sw_domain_trim(line);
	if (!*line || *line == '#')
		return 0;
	return add(r, line, data, NULL, SW_KIND_UNKNOWN);
}

/* user.conf: domain=example.com */
static int take_conf(struct sw_reading *r, char *line, void *data)
{
	struct sw_record rec = { .user = data, .kind = SW_DOMAIN_MAIN };
	char *value = strchr(line, '=');

	if (!value)
		return 0;
	*value++ = '\0';
	if (strcmp(sw_domain_trim(line), "domain") != 0)
		return 0;
	rec.domain = sw_domain_trim(value);
	return *rec.domain ? sw_reading_add(r, &rec) : 0;	/* resellers may have none */
}

static int take_user(struct sw_reading *r, const char *path, void *data)
{
	const struct sw_users *known = data;
	char user[256], file[PATH_MAX];
	const char *name = strrchr(path, '/') + 1;
	int e = 0;

	if (!sw_login_is_valid(name))
		return 0;
	snprintf(user, sizeof(user), "%s", name);
	if (!sw_users_have(known, name) &&
	    snprintf(file, sizeof(file), "%s/domains.list", path) < (int)sizeof(file))
		e = sw_reading_lines(r, file, take_domain, user);
	if (!e && snprintf(file, sizeof(file), "%s/user.conf", path) < (int)sizeof(file))
		e = sw_reading_lines(r, file, take_conf, user);
	return e;
}

static int load(struct sw_reading *r)
{
	struct sw_users known;
	int e = sw_reading_lines(r, OWNERS, take_owner, NULL);

	if (!e)
		e = sw_users_collect(r, &known);
	if (e)
		return e;
	e = sw_reading_glob(r, USERS "/*", take_user, &known);
	sw_users_free(&known);
	return e;
}

static const char *const markers[] = { OWNERS, USERS, NULL };

const struct sw_domain_source sw_source_directadmin = {
	"directadmin", markers, load, 0, false
};
