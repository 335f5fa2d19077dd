/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * php-fpm: its pools, and of each the user, the directory, the chroot and the socket. A pool that
 * is named after a domain, or whose file is (cPanel: [example_com] in example.com.conf), is a
 * domain by itself.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "domain_int.h"
#include "names.h"
#include "util.h"

#define DEPTH	4
#define VALUE	1024

struct fpm {
	char name[VALUE], user[256], directory[VALUE], chroot[VALUE], socket[VALUE];
	char file[SW_DOMAIN_LEN];	/* domain that the file is named after */
	int depth;
};

static int read_file(struct sw_reading *r, const char *path, void *data);

/* "$pool" stands for the pool's name in every value. */
static void set(const struct fpm *f, const char *value, char *ret, size_t size)
{
	size_t used = 0;

	while (*value && used + 1 < size) {
		if (!strncmp(value, "$pool", 5)) {
			used += (size_t)snprintf(ret + used, size - used, "%s", f->name);
			used = used < size ? used : size - 1;
			value += 5;
		} else {
			ret[used++] = *value++;
		}
	}
	ret[used] = '\0';
}

static int add_domain(struct sw_reading *r, const struct fpm *f, const char *domain,
		      const char *directory)
{
	struct sw_record rec = {
		.domain = domain, .user = *f->user ? f->user : NULL, .docroot = directory,
		.pool = f->name, .kind = SW_KIND_UNKNOWN,
	};

	return sw_reading_add(r, &rec);
}

/* A login; by number where that is what the file has. */
static void set_user(const struct sw_reading *r, struct fpm *f, const char *value)
{
	const struct sw_login *l;
	uint32_t uid;

	set(f, value, f->user, sizeof(f->user));
	if (sw_id_parse(f->user, &uid) < 0)
		return;
	l = sw_logins_by_uid(r->logins, uid);
	if (l)
		snprintf(f->user, sizeof(f->user), "%s", l->name);
}

/* The pool ends: the next one begins, or the file ends. */
static int finish(struct sw_reading *r, struct fpm *f)
{
	char directory[2 * VALUE], domain[SW_DOMAIN_LEN];
	struct sw_pool p = {
		.name = f->name,
		.user = *f->user ? f->user : NULL,
		.directory = *f->directory ? directory : NULL,
		.chroot = *f->chroot ? f->chroot : NULL,
		.socket = *f->socket ? f->socket : NULL,
		.domain = *f->file ? f->file : NULL,
	};
	int e = 0;

	if (!*f->name)
		return 0;
	snprintf(directory, sizeof(directory), "%s%s", f->chroot, f->directory);
	if (!strcasecmp(f->name, "global"))
		goto out;
	e = sw_reading_add_pool(r, &p);
	if (!e && sw_domain_normalise(f->name, strlen(f->name), domain))
		e = add_domain(r, f, domain, p.directory);
	else if (!e && *f->file)
		e = add_domain(r, f, f->file, p.directory);
out:
	f->name[0] = f->user[0] = f->directory[0] = f->chroot[0] = f->socket[0] = '\0';
	return e;
}

static int begin_pool(struct sw_reading *r, char *line, struct fpm *f)
{
	char *end = strchr(line, ']');
	int e = finish(r, f);

	if (e == -ENOMEM)
		return e;
	if (!end || end == line + 1 || end - line - 1 >= VALUE)
		return -EINVAL;
	*end = '\0';
	snprintf(f->name, sizeof(f->name), "%s", sw_domain_trim(line + 1));
	return e;
}

static int include(struct sw_reading *r, const char *value, struct fpm *f)
{
	char file[SW_DOMAIN_LEN];
	int e = finish(r, f);

	if (e || f->depth >= DEPTH)
		return e;
	memcpy(file, f->file, sizeof(file));
	f->depth++;
	e = sw_reading_glob(r, value, read_file, f);
	f->depth--;
	memcpy(f->file, file, sizeof(file));
	return e;
}

static int take_line(struct sw_reading *r, char *line, void *data)
{
	struct fpm *f = data;
	char *value;

	line = sw_domain_trim(line);
	if (!*line || *line == ';' || *line == '#')
		return 0;
	if (*line == '[')
		return begin_pool(r, line, f);
	value = strchr(line, '=');
	if (!value)
		return -EINVAL;
	*value++ = '\0';
	line = sw_domain_trim(line);
	value = sw_domain_trim(value);
	if (*value != '"' && *value != '\'' && strstr(value, " ;"))
		*strstr(value, " ;") = '\0';
	value = sw_domain_unquote(sw_domain_trim(value));
	if (!strcmp(line, "include"))
		return include(r, value, f);
	if (!strcmp(line, "user"))
		set_user(r, f, value);
	else if (!strcmp(line, "chdir"))
		set(f, value, f->directory, sizeof(f->directory));
	else if (!strcmp(line, "chroot"))
		set(f, value, f->chroot, sizeof(f->chroot));
	else if (!strcmp(line, "listen"))
		set(f, value, f->socket, sizeof(f->socket));
	return 0;
}

static int read_file(struct sw_reading *r, const char *path, void *data)
{
	struct fpm *f = data;
	const char *base = strrchr(path, '/') + 1;
	size_t len = strlen(base);
	int e;

	if (len <= strlen(".conf") || strcmp(base + len - strlen(".conf"), ".conf") != 0 ||
	    !sw_domain_normalise(base, len - strlen(".conf"), f->file))
		f->file[0] = '\0';
	e = sw_reading_lines(r, path, take_line, f);
	if (!e)
		e = finish(r, f);
	if (e == -EINVAL)
		sw_reading_bad_file(r, path);
	return e == -ENOMEM ? e : 0;
}

static int load(struct sw_reading *r)
{
	static const char *const patterns[] = {
		"/etc/php/*/fpm/pool.d/*.conf",			/* Debian */
		"/etc/php-fpm.d/*.conf",			/* Enterprise Linux */
		"/etc/opt/remi/php*/php-fpm.d/*.conf",
		"/etc/opt/rh/rh-php*/php-fpm.d/*.conf",
		"/opt/cpanel/ea-php*/root/etc/php-fpm.d/*.conf",
		"/opt/alt/php*/etc/php-fpm.d/*.conf",		/* CloudLinux */
		"/opt/plesk/php/*/etc/php-fpm.d/*.conf",
		"/usr/local/php*/etc/php-fpm.conf",		/* DirectAdmin: it includes the users' */
		"/usr/local/etc/php-fpm.d/*.conf",
	};
	struct fpm *f = calloc(1, sizeof(*f));
	int e = f ? 0 : -ENOMEM;

	for (size_t i = 0; i < ARRAY_SIZE(patterns) && !e; i++)
		e = sw_reading_glob(r, patterns[i], read_file, f);
	free(f);
	return e;
}

static const char *const markers[] = {
	"/etc/php", "/etc/php-fpm.d", "/etc/opt/remi", "/etc/opt/rh", "/opt/cpanel", "/opt/alt",
	"/opt/plesk/php", "/usr/local/directadmin", "/usr/local/etc/php-fpm.d", NULL,
};

const struct sw_domain_source sw_source_fpm = { "php-fpm", markers, load, 0, true };
