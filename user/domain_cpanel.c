/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * cPanel: /etc/trueuserdomains has the main domain of each account, /etc/userdomains all domains,
 * /etc/userdatadomains their kinds and document roots. /var/cpanel/users has a file for each
 * account, which is read only for accounts that the first one does not have.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "domain_int.h"
#include "util.h"

#define USERS "/var/cpanel/users"

struct file {
	const char *path, *label;
	sw_line_fn *take;
	uint8_t kind;
};

/* "example.com: alice". A line for "*" stands for what is nobody's. */
static int take_owner(struct sw_reading *r, char *line, void *data)
{
	const struct file *f = data;
	struct sw_record rec = { .label = f->label, .kind = f->kind };
	char *colon;

	line = sw_domain_trim(line);
	if (!*line || *line == '#' || *line == '*')
		return 0;
	colon = strrchr(line, ':');
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	rec.domain = sw_domain_trim(line);
	rec.user = sw_domain_trim(colon + 1);
	return sw_reading_add(r, &rec);
}

/* "alice: example.com" */
static int take_main(struct sw_reading *r, char *line, void *data)
{
	const struct file *f = data;
	struct sw_record rec = { .label = f->label, .kind = f->kind };
	char *colon;

	line = sw_domain_trim(line);
	if (!*line || *line == '#')
		return 0;
	colon = strchr(line, ':');
	if (!colon)
		return -EINVAL;
	*colon = '\0';
	rec.user = sw_domain_trim(line);
	rec.domain = sw_domain_trim(colon + 1);
	return sw_reading_add(r, &rec);
}

static uint8_t kind_of(const char *text)
{
	static const struct { const char *name; uint8_t kind; } kinds[] = {
		{ "main", SW_DOMAIN_MAIN },	{ "addon", SW_DOMAIN_ADDON },
		{ "sub", SW_DOMAIN_SUB },	{ "parked", SW_DOMAIN_ALIAS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (!strcmp(text, kinds[i].name))
			return kinds[i].kind;
	return SW_KIND_UNKNOWN;
}

/* The next field of fields that "==" separates; moves *rest on, to NULL behind the last one. */
static char *next_field(char **rest)
{
	char *field = *rest, *end = field ? strstr(field, "==") : NULL;

	if (end)
		*end = '\0';
	*rest = end ? end + 2 : NULL;
	return field;
}

/* "shop.example.com: alice==root==addon==example.com==/home/alice/shop==203.0.113.10:80==..." */
static int take_data(struct sw_reading *r, char *line, void *data)
{
	const struct file *f = data;
	struct sw_record rec = { .label = f->label };
	char *rest, *user, *kind, *parent;

	line = sw_domain_trim(line);
	if (!*line || *line == '#' || *line == '*')
		return 0;
	rest = strchr(line, ':');
	if (!rest)
		return -EINVAL;
	*rest++ = '\0';
	rec.domain = sw_domain_trim(line);
	user = next_field(&rest);
	next_field(&rest);	/* the reseller */
	kind = next_field(&rest);
	parent = next_field(&rest);
	rec.docroot = next_field(&rest);
	if (!rec.docroot || !parent)
		return -EINVAL;
	rec.user = sw_domain_trim(user);
	rec.kind = kind_of(kind);
	return sw_reading_add(r, &rec);
}

struct user {
	const char *name;
};

/* DNS=example.com, DNS1=shop.example.com, ... among other keys. */
static int take_user(struct sw_reading *r, char *line, void *data)
{
	const struct user *u = data;
	struct sw_record rec = { .user = u->name, .label = "cpanel", .kind = SW_DOMAIN_MAIN };
	size_t key = strcspn(line, "=");

	if (strncmp(line, "DNS", 3) != 0 || line[key] != '=' ||
	    strspn(line + 3, "0123456789") != key - 3)
		return 0;
	if (key > 3)
		rec.kind = SW_KIND_UNKNOWN;
	rec.domain = sw_domain_trim(line + key + 1);
	return sw_reading_add(r, &rec);
}

static int take_user_file(struct sw_reading *r, const char *path, void *data)
{
	const struct sw_users *known = data;
	struct user u = { strrchr(path, '/') + 1 };

	/* Files that are no account: "system", and what editors leave behind. */
	if (!strcmp(u.name, "system") || !sw_login_is_valid(u.name) ||
	    sw_users_have(known, u.name))
		return 0;
	return sw_reading_lines(r, path, take_user, &u);
}

static int load(struct sw_reading *r)
{
	static struct file files[] = {	/* most trusted first */
		{ "/etc/trueuserdomains", "trueuserdomains", take_owner, SW_DOMAIN_MAIN },
		{ "/etc/domainusers", "domainusers", take_main, SW_DOMAIN_MAIN },
		{ "/etc/userdomains", "userdomains", take_owner, SW_KIND_UNKNOWN },
		{ "/etc/userdatadomains", "userdatadomains", take_data, SW_KIND_UNKNOWN },
	};
	struct sw_users known = {};
	int e = 0;

	for (size_t i = 0; i < ARRAY_SIZE(files) && !e; i++) {
		e = sw_reading_lines(r, files[i].path, files[i].take, &files[i]);
		if (!e && i == 0)	/* the others have each account many times */
			e = sw_users_collect(r, &known);
	}
	if (!e)
		e = sw_reading_glob(r, USERS "/*", take_user_file, &known);
	sw_users_free(&known);
	return e;
}

static const char *const markers[] = {
	"/etc/trueuserdomains", "/etc/userdomains", "/etc/userdatadomains", "/etc/domainusers", USERS,
	NULL,
};

const struct sw_domain_source sw_source_cpanel = { "cpanel", markers, load, 0, false };
