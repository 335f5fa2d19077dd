/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the name of a php-fpm pool to a domain. The name comes out of a process title, which
 * whoever runs the process can set: it is believed only as far as that pool runs as the same user.
 */
#include <string.h>

#include "domain_int.h"
#include "util.h"

/* cPanel names the pool of example.com example_com. */
static bool is_named_after(const char *pool, const char *domain)
{
	for (; *pool && *domain; pool++, domain++)
		if (*pool != *domain && !(*pool == '_' && *domain == '.'))
			return false;
	return !*pool && !*domain;
}

/* What panels call a pool of this very account. */
static const struct sw_domain *find_own(const struct sw_domain_index *x, const char *name,
					const char *user)
{
	const struct sw_owner *o = sw_domain_index_owner(x, user);

	for (uint32_t i = 0; o && i < o->n; i++) {
		const struct sw_domain *d = x->by_user[o->first + i];

		if ((d->pool && !strcmp(d->pool, name)) || !strcmp(d->name, name) ||
		    is_named_after(name, d->name))
			return d;
	}
	return NULL;
}

static size_t first_socket(const struct sw_domain_index *x, const char *path)
{
	size_t low = 0, high = x->n_sockets;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(x->sockets[middle]->path, path) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The one site that sends requests to this socket. */
static const struct sw_domain *find_by_socket(const struct sw_domain_index *x, const char *path)
{
	const struct sw_domain *found = NULL, *d;

	for (size_t i = first_socket(x, path); i < x->n_sockets; i++) {
		if (strcmp(x->sockets[i]->path, path) != 0)
			break;
		d = sw_domain_index_domain(x, x->sockets[i]->domain);
		if (found && d && d != found)
			return NULL;
		found = d ? d : found;
	}
	return found;
}

static const struct sw_domain *domain_of(struct sw_domain_index *x, const struct sw_root *root,
					 const struct sw_logins *logins, const struct sw_pool *p)
{
	char name[SW_DOMAIN_LEN];
	const struct sw_domain *d = NULL;

	if (sw_domain_normalise(p->name, strlen(p->name), name))
		d = sw_domain_index_domain(x, name);
	if (!d && p->domain)
		d = sw_domain_index_domain(x, p->domain);
	if (!d && p->socket)
		d = find_by_socket(x, p->socket);
	if (!d && p->directory)
		d = sw_domain_index_at(x, root, logins, p->directory, NULL, NULL);
	return d;	/* a pool of an account as a whole names no site */
}

static size_t first_pool(const struct sw_domain_index *x, const char *name)
{
	size_t low = 0, high = x->n_pools;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(x->pools[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct sw_domain *sw_domain_index_pool(struct sw_domain_index *x, const struct sw_root *root,
					     const struct sw_logins *logins, const char *name,
					     const char *user, bool own)
{
	const struct sw_domain *found = own ? find_own(x, name, user) : NULL, *d;

	if (found)
		return found;
	/* Each version of PHP may have a pool of this name. */
	for (size_t i = first_pool(x, name); i < x->n_pools; i++) {
		const struct sw_pool *p = x->pools[i];

		if (strcmp(p->name, name) != 0)
			break;
		if (p->user && strcmp(p->user, user) != 0)
			continue;
		d = domain_of(x, root, logins, p);
		if (!d || (own && (!d->user || strcmp(d->user, user) != 0)))
			continue;
		if (found && d != found)
			return NULL;
		found = d;
	}
	return found;
}

const char *sw_domain_index_chroot(const struct sw_domain_index *x, const char *user, size_t *at)
{
	for (; *at < x->n_pools; ++*at) {
		const struct sw_pool *p = x->pools[*at];

		if (p->chroot && p->user && !strcmp(p->user, user))
			return x->pools[(*at)++]->chroot;
	}
	return NULL;
}
