/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all sources found, brought together: one structure a domain, found by name, by account and
 * by document root. Hash tables throughout, and nothing is sorted: a quarter of a million domains
 * have to be ready within a fraction of a second.
 */
#include <errno.h>
#include <string.h>

#include "domain_int.h"
#include "util.h"

#define REAL_MAX_AGE_MS	60000	/* links below homes change without notice */
#define SAME_LOOK_BACK	4	/* document roots of one domain that are compared with a new one */

static uint64_t hash_of(const struct sw_domain_index *x, const char *text)
{
	return sw_domain_hash(&x->key, text, strlen(text));
}

static uint32_t find_domain(const struct sw_domain_index *x, const char *name, uint64_t hash,
			    size_t *at)
{
	uint32_t i;

	*at = hash;
	while ((i = sw_domain_table_look(&x->name, hash, at)) != SW_NONE &&
	       strcmp(x->domains[i].name, name) != 0)
		++*at;
	return i;
}

static uint32_t find_owner(const struct sw_domain_index *x, const char *user, uint64_t hash,
			   size_t *at)
{
	uint32_t i;

	*at = hash;
	while ((i = sw_domain_table_look(&x->user, hash, at)) != SW_NONE &&
	       strcmp(x->owners[i].user, user) != 0)
		++*at;
	return i;
}

static uint32_t find_path(const struct sw_domain_index *x, const char *path, size_t len,
			  uint64_t hash, size_t *at)
{
	uint32_t i;

	*at = hash;
	while ((i = sw_domain_table_look(&x->path, hash, at)) != SW_NONE &&
	       (x->docroots[i].len != len || memcmp(x->docroots[i].path, path, len) != 0))
		++*at;
	return i;
}

/* Whose files they are, where no source says it: by the home they lie in, else as the file system
 * has it. */
static const char *owner_of_files(const struct sw_logins *logins, const char *docroot)
{
	const struct sw_login *l = sw_logins_by_home(logins, docroot);
	struct stat st;

	if (!l && sw_root_stat(logins->reading.root, docroot, &st) == 0 &&
	    st.st_uid >= logins->uid_min)
		l = sw_logins_by_uid(logins, st.st_uid);
	return l && !sw_login_is_web(l->name) ? l->name : NULL;
}

/* Adds what `rec` says to its domain. More trusted sources came before. */
static uint32_t merge(struct sw_domain_index *x, const struct sw_record *rec)
{
	uint64_t hash = hash_of(x, rec->domain);
	size_t at;
	uint32_t i = find_domain(x, rec->domain, hash, &at);
	struct sw_domain *d;

	if (i == SW_NONE) {
		i = (uint32_t)x->n_domains++;
		sw_domain_table_put(&x->name, at, hash, i);
		x->domains[i] = (struct sw_domain){
			.name = rec->domain, .source = rec->label, .uid = SW_UID_NONE,
			.kind = _SW_DOMAIN_KIND_MAX, .docroots = SW_NONE,
		};
	}
	d = &x->domains[i];
	if (d->user && rec->user && strcmp(rec->user, d->user) != 0)
		return SW_NONE;
	d->user = d->user ? d->user : rec->user;
	d->docroot = d->docroot ? d->docroot : rec->docroot;
	d->pool = d->pool ? d->pool : rec->pool;
	if (d->kind == _SW_DOMAIN_KIND_MAX)
		d->kind = (enum sw_domain_kind)rec->kind;
	if (d->uid == SW_UID_NONE && rec->has_uid)
		d->uid = rec->uid;
	return i;
}

static void complete(struct sw_domain_index *x, const struct sw_logins *logins)
{
	for (size_t i = 0; i < x->n_domains; i++) {
		struct sw_domain *d = &x->domains[i];

		if (d->kind == _SW_DOMAIN_KIND_MAX)
			d->kind = SW_DOMAIN_ADDON;
		if (!d->user && d->docroot)
			d->user = owner_of_files(logins, d->docroot);
	}
}

bool sw_domain_is_better(const struct sw_domain *a, const struct sw_domain *b)
{
	size_t a_len, b_len;

	if (a->kind != b->kind)
		return a->kind < b->kind;
	a_len = strlen(a->name);
	b_len = strlen(b->name);
	return a_len != b_len ? a_len < b_len : strcmp(a->name, b->name) < 0;
}

static bool has_docroot(const struct sw_domain_index *x, const struct sw_domain *d,
			const char *path)
{
	uint32_t at = d->docroots;

	for (int i = 0; i < SAME_LOOK_BACK && at != SW_NONE; i++, at = x->docroots[at].next)
		if (!strcmp(x->docroots[at].path, path))
			return true;
	return false;
}

static void add_docroot(struct sw_domain_index *x, const char *path, uint32_t domain)
{
	struct sw_domain *d = &x->domains[domain];
	size_t len = strlen(path), at;
	uint64_t hash = sw_domain_hash(&x->key, path, len);
	uint32_t first = find_path(x, path, len, hash, &at), i = (uint32_t)x->n_docroots++;
	struct sw_docroot *r = &x->docroots[i];

	*r = (struct sw_docroot){
		.path = path, .len = (uint32_t)len, .domain = domain, .next = d->docroots,
		.same = SW_NONE,
	};
	d->docroots = i;
	if (first == SW_NONE) {
		sw_domain_table_put(&x->path, at, hash, i);
	} else if (sw_domain_is_better(d, &x->domains[x->docroots[first].domain])) {
		r->same = first;
		sw_domain_table_put(&x->path, at, hash, i);
	} else {
		r->same = x->docroots[first].same;
		x->docroots[first].same = i;
	}
}

/* A document root that homes lie below (/home, /var/www/vhosts) says nothing about a site. */
static int add_docroots(struct sw_domain_index *x, struct sw_reading *const *readings, size_t n,
			const uint32_t *domain, const struct sw_logins *logins)
{
	size_t total = 0, at = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; readings[i] && j < readings[i]->n_records; j++)
			total += readings[i]->records[j].docroot != NULL;
	x->docroots = sw_domain_alloc(total + 1, sizeof(*x->docroots));
	if (!x->docroots || sw_domain_table_make(&x->path, total) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; readings[i] && j < readings[i]->n_records; j++, at++) {
			const char *path = readings[i]->records[j].docroot;

			if (path && domain[at] != SW_NONE &&
			    !has_docroot(x, &x->domains[domain[at]], path) &&
			    !sw_logins_any_below(logins, path))
				add_docroot(x, path, domain[at]);
		}
	return 0;
}

static int merge_all(struct sw_domain_index *x, struct sw_reading *const *readings, size_t n,
		     const struct sw_logins *logins)
{
	_cleanup_free_ uint32_t *domain = NULL;		/* of each record */
	size_t total = 0, at = 0;

	for (size_t i = 0; i < n; i++)
		total += readings[i] ? readings[i]->n_records : 0;
	x->domains = sw_domain_alloc(total + 1, sizeof(*x->domains));
	domain = sw_domain_alloc(total + 1, sizeof(*domain));
	if (!x->domains || !domain || total >= SW_NONE || sw_domain_table_make(&x->name, total) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; readings[i] && j < readings[i]->n_records; j++)
			domain[at++] = merge(x, &readings[i]->records[j]);
	complete(x, logins);
	return add_docroots(x, readings, n, domain, logins);
}

static uint32_t owner_index(struct sw_domain_index *x, const char *user,
			    const struct sw_logins *logins)
{
	uint64_t hash = hash_of(x, user);
	size_t at;
	uint32_t i = find_owner(x, user, hash, &at);
	const struct sw_login *l;

	if (i != SW_NONE)
		return i;
	l = sw_logins_by_name(logins, user);
	i = (uint32_t)x->n_owners++;
	sw_domain_table_put(&x->user, at, hash, i);
	x->owners[i] = (struct sw_owner){ .user = user, .uid = l ? l->uid : SW_UID_NONE };
	return i;
}

/* Counts, then puts each domain into its owner's share, one kind after the other. */
static int group_by_user(struct sw_domain_index *x, const struct sw_logins *logins)
{
	_cleanup_free_ uint32_t *owner = sw_domain_alloc(x->n_domains + 1, sizeof(*owner));
	uint32_t first = 0;

	x->by_user = sw_domain_alloc(x->n_domains + 1, sizeof(const struct sw_domain *));
	x->owners = sw_domain_alloc(x->n_domains + 1, sizeof(*x->owners));
	if (!owner || !x->by_user || !x->owners || sw_domain_table_make(&x->user, x->n_domains) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < x->n_domains; i++) {
		struct sw_domain *d = &x->domains[i];

		owner[i] = d->user ? owner_index(x, d->user, logins) : SW_NONE;
		if (!d->user)
			continue;
		x->owners[owner[i]].n++;
		if (x->owners[owner[i]].uid != SW_UID_NONE)
			d->uid = x->owners[owner[i]].uid;
	}
	for (size_t i = 0; i < x->n_owners; i++) {
		x->owners[i].first = first;
		first += x->owners[i].n;
		x->owners[i].n = 0;
	}
	for (int kind = 0; kind < _SW_DOMAIN_KIND_MAX; kind++)
		for (size_t i = 0; i < x->n_domains; i++) {
			struct sw_owner *o = owner[i] != SW_NONE ? &x->owners[owner[i]] : NULL;

			if (o && (int)x->domains[i].kind == kind)
				x->by_user[o->first + o->n++] = &x->domains[i];
		}
	return 0;
}

static int by_pool(const void *a, const void *b)
{
	const struct sw_pool *x = *(const struct sw_pool *const *)a;
	const struct sw_pool *y = *(const struct sw_pool *const *)b;

	return strcmp(x->name, y->name);
}

static int by_socket(const void *a, const void *b)
{
	const struct sw_socket *x = *(const struct sw_socket *const *)a;
	const struct sw_socket *y = *(const struct sw_socket *const *)b;

	return strcmp(x->path, y->path);
}

static int collect_pools(struct sw_domain_index *x, struct sw_reading *const *readings, size_t n)
{
	size_t pools = 0, sockets = 0;

	for (size_t i = 0; i < n; i++) {
		pools += readings[i] ? readings[i]->n_pools : 0;
		sockets += readings[i] ? readings[i]->n_sockets : 0;
	}
	x->pools = sw_domain_alloc(pools + 1, sizeof(const struct sw_pool *));
	x->sockets = sw_domain_alloc(sockets + 1, sizeof(const struct sw_socket *));
	if (!x->pools || !x->sockets)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		for (size_t j = 0; readings[i] && j < readings[i]->n_pools; j++)
			x->pools[x->n_pools++] = &readings[i]->pools[j];
		for (size_t j = 0; readings[i] && j < readings[i]->n_sockets; j++)
			x->sockets[x->n_sockets++] = &readings[i]->sockets[j];
	}
	qsort(x->pools, x->n_pools, sizeof(const struct sw_pool *), by_pool);
	qsort(x->sockets, x->n_sockets, sizeof(const struct sw_socket *), by_socket);
	return 0;
}

int sw_domain_index_build(struct sw_domain_index *x, struct sw_reading *const *readings, size_t n,
			  const struct sw_logins *logins)
{
	int e;

	*x = (struct sw_domain_index){ .real_ms = sw_domain_now_ms() };
	sw_domain_key_random(&x->key);
	e = merge_all(x, readings, n, logins);
	if (!e)
		e = group_by_user(x, logins);
	if (!e)
		e = collect_pools(x, readings, n);
	if (e)
		sw_domain_index_free(x);
	return e;
}

void sw_domain_index_free(struct sw_domain_index *x)
{
	free(x->domains);
	free(x->owners);
	free(x->by_user);
	free(x->docroots);
	sw_domain_table_free(&x->name);
	sw_domain_table_free(&x->user);
	sw_domain_table_free(&x->path);
	free(x->by_real);
	free(x->by_end);
	free(x->pools);
	free(x->sockets);
	sw_arena_free(&x->arena);
	*x = (struct sw_domain_index){};
}

void sw_domain_index_age(struct sw_domain_index *x)
{
	int64_t now = sw_domain_now_ms();

	if (now - x->real_ms < REAL_MAX_AGE_MS)
		return;
	for (size_t i = 0; i < x->n_docroots; i++)
		x->docroots[i].real = NULL;
	free(TAKE_PTR(x->by_real));
	x->n_by_real = 0;
	x->have_real = false;
	sw_arena_free(&x->arena);
	x->real_ms = now;
}

const struct sw_domain *sw_domain_index_domain(const struct sw_domain_index *x, const char *name)
{
	size_t at;
	uint32_t i = x->n_domains ? find_domain(x, name, hash_of(x, name), &at) : SW_NONE;

	return i != SW_NONE ? &x->domains[i] : NULL;
}

const struct sw_owner *sw_domain_index_owner(const struct sw_domain_index *x, const char *user)
{
	size_t at;
	uint32_t i = x->n_owners ? find_owner(x, user, hash_of(x, user), &at) : SW_NONE;

	return i != SW_NONE ? &x->owners[i] : NULL;
}

struct sw_docroot *sw_domain_index_docroot(const struct sw_domain_index *x, const char *path,
					   size_t len)
{
	uint64_t hash = sw_domain_hash(&x->key, path, len);
	size_t at;
	uint32_t i = x->n_docroots ? find_path(x, path, len, hash, &at) : SW_NONE;

	return i != SW_NONE ? &x->docroots[i] : NULL;
}
