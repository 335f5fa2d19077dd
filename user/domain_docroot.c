/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a path to the domain whose document root it lies below. Customers own what is in their
 * homes and can make a document root a link to anywhere: what is there only by a link counts
 * where it does not lead into another account's home.
 */
#include <errno.h>
#include <string.h>

#include "domain_int.h"
#include "util.h"

#define OWN_MAX		4096	/* document roots of one account whose links are followed */
#define SAME_MAX	4096	/* domains with one document root */
#define ALL_MAX		50000	/* the same of all, for UIDs that sites share */

static bool may_be(const struct sw_domain *d, const char *user)
{
	return !user || !d->user || !strcmp(d->user, user);
}

/* The best domain of `user` whose document root is the first `len` bytes of `path`. */
static struct sw_docroot *find(const struct sw_domain_index *x, const char *path, size_t len,
			       const char *user)
{
	struct sw_docroot *r = sw_domain_index_docroot(x, path, len), *best = NULL;
	uint32_t at;

	if (!r || may_be(&x->domains[r->domain], user))
		return r;
	at = r->same;
	for (int i = 0; i < SAME_MAX && at != SW_NONE; i++, at = r->same) {
		r = &x->docroots[at];
		if (may_be(&x->domains[r->domain], user) &&
		    (!best || sw_domain_is_better(&x->domains[r->domain], &x->domains[best->domain])))
			best = r;
	}
	return best;
}

static struct sw_docroot *find_longest(const struct sw_domain_index *x, const char *path,
				       const char *user)
{
	struct sw_docroot *found = NULL;

	for (size_t len = strlen(path); len > 1 && !found; len--)
		if (!path[len] || path[len] == '/')
			found = find(x, path, len, user);
	return found;
}

/* Where the links of a document root lead; its own path when there are none, when it is not
 * there, or when it would be in the home of somebody else than `user`. */
static const char *real_path(struct sw_domain_index *x, const struct sw_root *root,
			     const struct sw_logins *logins, struct sw_docroot *r)
{
	_cleanup_free_ char *real = NULL;
	const struct sw_domain *d = &x->domains[r->domain];
	const struct sw_login *l;
	const char *kept;

	if (r->real)
		return r->real;
	r->real = r->path;
	real = sw_root_real(root, r->path);
	if (!real || !strcmp(real, r->path) || !sw_domain_path(real) ||
	    sw_logins_any_below(logins, real))
		return r->real;
	l = sw_logins_by_home(logins, real);
	if (l && (!d->user || strcmp(l->name, d->user) != 0))
		return r->real;
	kept = sw_arena_copy(&x->arena, real, strlen(real));
	r->real = kept ? kept : r->path;
	return r->real;
}

/* Among the document roots of one account: when links make a longer one match than `found`. */
static struct sw_docroot *find_own_link(struct sw_domain_index *x, const struct sw_root *root,
					const struct sw_logins *logins, const char *path,
					const char *user, struct sw_docroot *found)
{
	const struct sw_owner *o = sw_domain_index_owner(x, user);
	size_t best = found ? found->len : 0;
	int left = OWN_MAX;

	for (uint32_t i = 0; o && i < o->n; i++) {
		uint32_t at = x->by_user[o->first + i]->docroots;

		for (; at != SW_NONE && left > 0; at = x->docroots[at].next, left--) {
			struct sw_docroot *r = &x->docroots[at];
			const char *real = real_path(x, root, logins, r);
			size_t len = strlen(real);

			if (real != r->path && len > best && sw_domain_path_below(path, real, len)) {
				best = len;
				found = r;
			}
		}
	}
	return found;
}

static int by_real(const void *a, const void *b)
{
	const struct sw_docroot *x = *(struct sw_docroot *const *)a;
	const struct sw_docroot *y = *(struct sw_docroot *const *)b;

	return strcmp(x->real, y->real);
}

/* Once: all document roots that are links. */
static void follow_all(struct sw_domain_index *x, const struct sw_root *root,
		       const struct sw_logins *logins)
{
	x->have_real = true;
	if (x->n_docroots > ALL_MAX)
		return;
	x->by_real = calloc(x->n_docroots + 1, sizeof(struct sw_docroot *));
	for (size_t i = 0; x->by_real && i < x->n_docroots; i++)
		if (real_path(x, root, logins, &x->docroots[i]) != x->docroots[i].path)
			x->by_real[x->n_by_real++] = &x->docroots[i];
	if (x->n_by_real)
		qsort(x->by_real, x->n_by_real, sizeof(struct sw_docroot *), by_real);
}

/* The best of those that lead to the first `len` bytes of `path`. */
static struct sw_docroot *find_real(const struct sw_domain_index *x, const char *path, size_t len)
{
	size_t low = 0, high = x->n_by_real;
	struct sw_docroot *best = NULL;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strncmp(x->by_real[middle]->real, path, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	/* The shortest come first: what is longer than `len` is another path. */
	for (int i = 0; i < SAME_MAX && low < x->n_by_real; i++, low++) {
		struct sw_docroot *r = x->by_real[low];

		if (strncmp(r->real, path, len) != 0 || r->real[len])
			break;
		if (!best || sw_domain_is_better(&x->domains[r->domain], &x->domains[best->domain]))
			best = r;
	}
	return best;
}

static struct sw_docroot *find_any_link(const struct sw_domain_index *x, const char *path)
{
	struct sw_docroot *found = NULL;

	for (size_t len = strlen(path); len > 1 && !found; len--)
		if (!path[len] || path[len] == '/')
			found = find_real(x, path, len);
	return found;
}

const struct sw_domain *sw_domain_index_at(struct sw_domain_index *x, const struct sw_root *root,
					   const struct sw_logins *logins, const char *path,
					   const char *user, const char **docroot)
{
	struct sw_docroot *found = find_longest(x, path, user);
	const char *owner = user ? user : found ? x->domains[found->domain].user : NULL;

	if (owner) {
		found = find_own_link(x, root, logins, path, owner, found);
	} else if (!found) {
		if (!x->have_real)
			follow_all(x, root, logins);
		found = find_any_link(x, path);
	}
	if (found && docroot)
		*docroot = found->path;
	return found ? &x->domains[found->domain] : NULL;
}
