/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Accounts, from passwd(5): who has which UID and which home. As a source of domains: some panels
 * name the home after the domain (/home/example.com, /var/www/vhosts/example.com).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "domain_int.h"
#include "names.h"
#include "util.h"

#define PASSWD		"/etc/passwd"
#define LOGIN_DEFS	"/etc/login.defs"
#define UID_MIN		1000
#define JAIL		"/./"	/* jailkit: the jail, and the home as seen from inside */

static int copy_login(struct sw_reading *r, const char *name, uint32_t uid, const char *home,
		      const char *jail)
{
	struct sw_login *l;

	if (r->n_found >= SW_RECORDS_MAX) {
		r->full = true;
		return 0;
	}
	if (sw_domain_grow(&r->found, r->n_found, &r->room_found, sizeof(*r->found)) < 0)
		return -ENOMEM;
	l = &r->found[r->n_found];
	*l = (struct sw_login){
		.name = sw_arena_copy(&r->arena, name, strlen(name)),
		.home = sw_arena_copy(&r->arena, home, strlen(home)),
		.jail = jail ? sw_arena_copy(&r->arena, jail, strlen(jail)) : NULL,
		.uid = uid,
	};
	if (!l->name || !l->home || (jail && !l->jail))
		return -ENOMEM;
	r->n_found++;
	return 0;
}

/* name:password:uid:gid:comment:home:shell */
static int take_passwd(struct sw_reading *r, char *line, void *data)
{
	char *field[7] = {}, *home, *inside;
	_cleanup_free_ char *jail = NULL;
	uint32_t uid;
	int n = 0;

	(void)data;
	if (!*line || *line == '#' || *line == '+' || *line == '-')	/* the last two: NIS */
		return 0;
	for (char *rest = line; rest && n < 7; n++)
		field[n] = strsep(&rest, ":");
	if (n != 7 || !sw_login_is_valid(field[0]) || sw_id_parse(field[2], &uid) < 0)
		return -EINVAL;
	home = field[5];
	inside = strstr(home, JAIL);
	if (inside) {
		jail = strndup(home, (size_t)(inside - home));
		if (!jail)
			return -ENOMEM;
	}
	/* What is no home of use is none: "/", "", "nowhere". */
	return copy_login(r, field[0], uid, sw_domain_path(home) ? home : "",
			  jail && sw_domain_path(jail) ? jail : NULL);
}

static int take_defs(struct sw_reading *r, char *line, void *data)
{
	char word[16];

	(void)r;
	if (sscanf(line, " UID_MIN %15s", word) == 1)
		(void)sw_id_parse(word, data);
	return 0;
}

bool sw_login_is_web(const char *name)
{
	static const char *const names[] = {
		"www-data", "nobody", "apache", "nginx", "httpd", "http", "www", "wwwrun",
		"lsadm", "psaadm", "caddy", "lighttpd", "php-fpm", "nfsnobody",
	};

	if (!strchr("wnahlpc", *name))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (*name == *names[i] && !strcmp(name, names[i]))
			return true;
	return false;
}

bool sw_login_has_home(const struct sw_login *l)
{
	static const char *const homes[] = {	/* of several accounts of the system */
		"/var/www", "/var/www/html", "/var/empty", "/var/lib/nginx", "/usr/share/httpd",
		"/var/cache/nginx", "/srv/http", "/srv/www", "/var/www/vhosts", "/dev/null",
	};

	for (size_t i = 0; i < ARRAY_SIZE(homes); i++)
		if (!strcmp(l->home, homes[i]))
			return false;
	return *l->home && strchr(l->home + 1, '/');	/* "/home", "/nonexistent" are none */
}

static const struct sw_login *at(const void *p)
{
	return *(const struct sw_login *const *)p;
}

/* Of several with the same key the first line counts, as for getpwnam(3): lines are in order of
 * their addresses. */
static int in_order(const struct sw_login *a, const struct sw_login *b)
{
	return a < b ? -1 : a > b;
}

static int by_uid(const void *a, const void *b)
{
	if (at(a)->uid != at(b)->uid)
		return at(a)->uid < at(b)->uid ? -1 : 1;
	return in_order(at(a), at(b));
}

static int by_home(const void *a, const void *b)
{
	int c = strcmp(at(a)->home, at(b)->home);

	return c ? c : in_order(at(a), at(b));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All directories above homes, once each: homes are in order, the same ones follow each other. */
static int collect_above(struct sw_logins *l)
{
	const char *last = "";
	size_t room = 0;

	for (size_t i = 0; i < l->n_homes; last = l->by_home[i++]->home) {
		const char *home = l->by_home[i]->home;

		for (const char *end = home; (end = strchr(end + 1, '/'));) {
			size_t len = (size_t)(end - home);

			if (!strncmp(last, home, len + 1))
				continue;
			if (sw_domain_grow(&l->above, l->n_above, &room, sizeof(*l->above)) < 0 ||
			    !(l->above[l->n_above] = sw_arena_copy(&l->reading.arena, home, len)))
				return -ENOMEM;
			l->n_above++;
		}
	}
	if (l->n_above)
		qsort(l->above, l->n_above, sizeof(*l->above), by_text);
	return 0;
}

static uint32_t find_name(const struct sw_logins *l, const char *name, uint64_t hash, size_t *at)
{
	uint32_t i;

	*at = hash;
	while ((i = sw_domain_table_look(&l->by_name, hash, at)) != SW_NONE &&
	       strcmp(l->reading.found[i].name, name) != 0)
		++*at;
	return i;
}

static void add_name(struct sw_logins *l, const char *name, size_t i)
{
	uint64_t hash = sw_domain_hash(&l->key, name, strlen(name));
	size_t at;

	if (find_name(l, name, hash, &at) == SW_NONE)
		sw_domain_table_put(&l->by_name, at, hash, i);
}

int sw_logins_read(struct sw_logins *l)
{
	struct sw_reading *r = &l->reading;

	l->uid_min = UID_MIN;
	if (sw_reading_lines(r, LOGIN_DEFS, take_defs, &l->uid_min) < 0 ||
	    sw_reading_lines(r, PASSWD, take_passwd, NULL) < 0)
		return -ENOMEM;
	l->n = r->n_found;
	l->by_uid = calloc(l->n + 1, sizeof(const struct sw_login *));
	l->by_home = calloc(l->n + 1, sizeof(const struct sw_login *));
	sw_domain_key_random(&l->key);
	if (!l->by_uid || !l->by_home || sw_domain_table_make(&l->by_name, l->n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < l->n; i++) {
		const struct sw_login *login = &r->found[i];

		l->by_uid[i] = login;
		add_name(l, login->name, i);
		if (login->uid >= l->uid_min && !sw_login_is_web(login->name) &&
		    sw_login_has_home(login))
			l->by_home[l->n_homes++] = login;
	}
	qsort(l->by_uid, l->n, sizeof(const struct sw_login *), by_uid);
	qsort(l->by_home, l->n_homes, sizeof(const struct sw_login *), by_home);
	return collect_above(l);
}

void sw_logins_free(struct sw_logins *l)
{
	sw_reading_free(&l->reading);
	free(l->by_uid);
	sw_domain_table_free(&l->by_name);
	free(l->by_home);
	free(l->above);
	*l = (struct sw_logins){};
}

const struct sw_login *sw_logins_by_uid(const struct sw_logins *l, uint32_t uid)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->by_uid[middle]->uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->n && l->by_uid[low]->uid == uid ? l->by_uid[low] : NULL;
}

const struct sw_login *sw_logins_by_name(const struct sw_logins *l, const char *name)
{
	size_t at;
	uint32_t i = SW_NONE;

	if (l->n)
		i = find_name(l, name, sw_domain_hash(&l->key, name, strlen(name)), &at);
	return i != SW_NONE ? &l->reading.found[i] : NULL;
}

/* The home that is the first `len` bytes of `path`. */
static const struct sw_login *find_home(const struct sw_logins *l, const char *path, size_t len)
{
	size_t low = 0, high = l->n_homes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strncmp(l->by_home[middle]->home, path, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == l->n_homes || strncmp(l->by_home[low]->home, path, len) != 0 ||
	    l->by_home[low]->home[len])
		return NULL;
	return l->by_home[low];
}

const struct sw_login *sw_logins_by_home(const struct sw_logins *l, const char *path)
{
	const struct sw_login *found = NULL;

	for (size_t len = strlen(path); len > 1 && !found; len--)
		if (!path[len] || path[len] == '/')
			found = find_home(l, path, len);
	return found;
}

bool sw_logins_any_below(const struct sw_logins *l, const char *path)
{
	return l->n_above &&
	       bsearch(&path, l->above, l->n_above, sizeof(*l->above), by_text) != NULL;
}

/* A home that is named after a domain and not after the login: john.doe is no domain. */
static int load(struct sw_reading *r)
{
	char domain[SW_DOMAIN_LEN];
	int e = 0;

	for (size_t i = 0; i < r->logins->n_homes && e != -ENOMEM; i++) {
		const struct sw_login *l = r->logins->by_home[i];
		const char *name = strrchr(l->home, '/') + 1;
		struct sw_record rec = {
			.domain = domain, .user = l->name, .kind = SW_DOMAIN_MAIN,
		};

		if (!strcmp(name, l->name) || !sw_domain_normalise(name, strlen(name), domain))
			continue;
		e = sw_reading_add(r, &rec);
	}
	return e == -ENOMEM ? e : 0;
}

static const char *const markers[] = { PASSWD, NULL };

const struct sw_domain_source sw_source_home = { "home", markers, load, 0, false };
