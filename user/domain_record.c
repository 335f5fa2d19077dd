/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "domain_int.h"
#include "util.h"

static bool has_room(struct sw_reading *r)
{
	if (r->n_records >= SW_RECORDS_MAX || r->n_pools >= SW_RECORDS_MAX ||
	    r->n_sockets >= SW_RECORDS_MAX || r->arena.total > SW_TEXT_MAX)
		r->full = true;
	return !r->full;
}

/* A login that several sites share owns none of them. */
static bool owns(const char *user)
{
	return user && !sw_login_is_web(user) && strcmp(user, "root") != 0;
}

/* Lines of one account often follow each other: `last` is what the record before has. */
static const char *copy(struct sw_reading *r, const char *text, const char *last, int *e)
{
	const char *c;

	if (!text)
		return NULL;
	if (last && !strcmp(text, last))
		return last;
	c = sw_arena_copy(&r->arena, text, strlen(text));
	if (!c)
		*e = -ENOMEM;
	return c;
}

/* Normalised; NULL when it is no path of use. */
static const char *copy_path(struct sw_reading *r, const char *path, const char *last, int *e)
{
	char clean[PATH_MAX];

	if (!path || snprintf(clean, sizeof(clean), "%s", path) >= (int)sizeof(clean) ||
	    !sw_domain_path(clean))
		return NULL;
	return copy(r, clean, last, e);
}

int sw_reading_add(struct sw_reading *r, const struct sw_record *rec)
{
	struct sw_record *to, none = {};
	const struct sw_record *last = r->n_records ? &r->records[r->n_records - 1] : &none;
	char domain[SW_DOMAIN_LEN];
	int e = 0;

	if (!sw_domain_normalise(rec->domain, strlen(rec->domain), domain) ||
	    (rec->user && !sw_login_is_valid(rec->user)))
		return -EINVAL;
	if (!has_room(r))
		return 0;
	if (r->n_records == r->room_records) {
		if (last != &none) {	/* it moves */
			none = *last;
			last = &none;
		}
		if (sw_domain_grow(&r->records, r->n_records, &r->room_records,
				   sizeof(*r->records)) < 0)
			return -ENOMEM;
	}
	to = &r->records[r->n_records];
	*to = (struct sw_record){
		.domain = copy(r, domain, last->domain, &e),
		.user = owns(rec->user) ? copy(r, rec->user, last->user, &e) : NULL,
		.docroot = copy_path(r, rec->docroot, last->docroot, &e),
		.pool = copy(r, rec->pool, NULL, &e),
		.label = rec->label ? rec->label : r->label,
		.uid = rec->uid,
		.has_uid = rec->has_uid,
		.kind = rec->kind,
		.rank = r->rank,
	};
	if (!e)
		r->n_records++;
	return e;
}

int sw_reading_add_pool(struct sw_reading *r, const struct sw_pool *pool)
{
	int e = 0;

	if (!*pool->name || (pool->user && !sw_login_is_valid(pool->user)))
		return -EINVAL;
	if (!has_room(r))
		return 0;
	if (sw_domain_grow(&r->pools, r->n_pools, &r->room_pools, sizeof(*r->pools)) < 0)
		return -ENOMEM;
	r->pools[r->n_pools] = (struct sw_pool){
		.name = copy(r, pool->name, NULL, &e),
		.user = copy(r, pool->user, NULL, &e),
		.directory = copy_path(r, pool->directory, NULL, &e),
		.chroot = copy_path(r, pool->chroot, NULL, &e),
		.socket = copy_path(r, pool->socket, NULL, &e),
		.domain = copy(r, pool->domain, NULL, &e),
	};
	if (!e)
		r->n_pools++;
	return e;
}

int sw_reading_add_socket(struct sw_reading *r, const char *path, const char *domain)
{
	struct sw_socket s = {};
	int e = 0;

	if (!has_room(r))
		return 0;
	if (sw_domain_grow(&r->sockets, r->n_sockets, &r->room_sockets, sizeof(*r->sockets)) < 0)
		return -ENOMEM;
	s.path = copy_path(r, path, NULL, &e);
	s.domain = copy(r, domain, NULL, &e);
	if (!e && s.path)
		r->sockets[r->n_sockets++] = s;
	return e;
}

static uint32_t find_user(const struct sw_users *u, const char *user, uint64_t hash, size_t *at)
{
	uint32_t i;

	*at = hash;
	while ((i = sw_domain_table_look(&u->table, hash, at)) != SW_NONE &&
	       strcmp(u->reading->records[i].user, user) != 0)
		++*at;
	return i;
}

int sw_users_collect(const struct sw_reading *r, struct sw_users *ret)
{
	const char *last = NULL;

	*ret = (struct sw_users){ .reading = r };
	sw_domain_key_random(&ret->key);
	if (sw_domain_table_make(&ret->table, r->n_records) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < r->n_records; last = r->records[i++].user) {
		const char *user = r->records[i].user;
		uint64_t hash;
		size_t at;

		if (!user || user == last)
			continue;
		hash = sw_domain_hash(&ret->key, user, strlen(user));
		if (find_user(ret, user, hash, &at) == SW_NONE)
			sw_domain_table_put(&ret->table, at, hash, i);
	}
	return 0;
}

void sw_users_free(struct sw_users *u)
{
	sw_domain_table_free(&u->table);
}

bool sw_users_have(const struct sw_users *u, const char *user)
{
	size_t at;

	return find_user(u, user, sw_domain_hash(&u->key, user, strlen(user)), &at) != SW_NONE;
}

int sw_reading_home(const struct sw_reading *r, const char *user, char *ret, size_t size)
{
	const struct sw_login *l = sw_logins_by_name(r->logins, user);
	int n = l ? snprintf(ret, size, "%s", l->home) : snprintf(ret, size, "/home/%s", user);

	return n < (int)size ? 0 : -EINVAL;
}
