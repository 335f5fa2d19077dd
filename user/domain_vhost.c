/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What Apache and nginx have in common: names, directories and sockets of one virtual host. */
#include <errno.h>
#include <string.h>

#include "domain_int.h"
#include "util.h"

#define VHOST_TEXT_MAX (1024 * 1024)	/* bytes kept of one virtual host */

static int keep(struct sw_vhost *v, const char **list, size_t *n, size_t max, const char *text)
{
	if (*n == max || v->arena.total > VHOST_TEXT_MAX)
		return 0;
	list[*n] = sw_arena_copy(&v->arena, text, strlen(text));
	if (!list[*n])
		return -ENOMEM;
	++*n;
	return 0;
}

/* Bytes of patterns, wild cards and variables, and of addresses of IPv6. */
#define NO_DOMAIN "*?~^$(){}[]|\\+%@<>"

int sw_vhost_name(struct sw_vhost *v, const char *name, bool alias)
{
	char domain[SW_DOMAIN_LEN];
	const char *scheme = strstr(name, "://");
	size_t len;
	int e;

	name = scheme ? scheme + 3 : name;
	if (strpbrk(name, NO_DOMAIN))
		return 0;
	name += *name == '.';	/* nginx: the domain and all below it */
	len = strcspn(name, ":");
	for (size_t i = 0; i < len; i++)
		if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.",
			    name[i]))
			return -EINVAL;
	if (!sw_domain_normalise(name, len, domain))
		return 0;
	if (!alias && v->n_names) {
		/* A second name of its own, as of nested sections: the last one counts. */
		v->names[0] = sw_arena_copy(&v->arena, domain, strlen(domain));
		return v->names[0] ? 0 : -ENOMEM;
	}
	if (alias && !v->n_names) {	/* an alias before the name: leave room for that */
		e = keep(v, v->names, &v->n_names, SW_VHOST_TEXTS, "");
		if (e)
			return e;
	}
	return keep(v, v->names, &v->n_names, SW_VHOST_TEXTS, domain);
}

int sw_vhost_root(struct sw_vhost *v, const char *path)
{
	if (*path != '/' || strpbrk(path, "$%"))
		return 0;
	return keep(v, v->roots, &v->n_roots, ARRAY_SIZE(v->roots), path);
}

int sw_vhost_socket(struct sw_vhost *v, const char *path)
{
	if (*path != '/' || strchr(path, '$'))
		return 0;
	return keep(v, v->sockets, &v->n_sockets, ARRAY_SIZE(v->sockets), path);
}

int sw_vhost_user(struct sw_vhost *v, const char *user)
{
	if (!sw_login_is_valid(user))
		return -EINVAL;
	v->user = sw_arena_copy(&v->arena, user, strlen(user));
	return v->user ? 0 : -ENOMEM;
}

void sw_vhost_clear(struct sw_vhost *v)
{
	sw_arena_free(&v->arena);
	v->user = NULL;
	v->n_names = v->n_roots = v->n_sockets = 0;
}

static int emit_names(struct sw_reading *r, const struct sw_vhost *v, size_t first)
{
	int e = 0;

	for (size_t i = first; i < v->n_names && !e; i++) {
		struct sw_record rec = {
			.domain = v->names[i], .user = v->user,
			.docroot = v->n_roots ? v->roots[0] : NULL,
			.kind = i == first ? SW_KIND_UNKNOWN : SW_DOMAIN_ALIAS,
		};

		e = sw_reading_add(r, &rec);
	}
	return e;
}

int sw_vhost_emit(struct sw_reading *r, struct sw_vhost *v)
{
	size_t first = v->n_names && !*v->names[0];	/* it has aliases only */
	int e;

	if (first >= v->n_names) {
		sw_vhost_clear(v);
		return 0;
	}
	e = emit_names(r, v, first);
	for (size_t i = 1; i < v->n_roots && !e; i++) {
		struct sw_record rec = {
			.domain = v->names[first], .user = v->user, .docroot = v->roots[i],
			.kind = SW_KIND_UNKNOWN,
		};

		e = sw_reading_add(r, &rec);
	}
	for (size_t i = 0; i < v->n_sockets && !e; i++)
		e = sw_reading_add_socket(r, v->sockets[i], v->names[first]);
	sw_vhost_clear(v);
	return e == -ENOMEM ? e : 0;
}
