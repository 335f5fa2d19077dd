/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a path that has lost its front to a document root: the end of the one is the beginning of
 * the other. "ice/shop/wp-admin/x.php" and "/home/alice/shop" have "ice/shop" in common.
 */
#include <string.h>

#include "domain_int.h"
#include "util.h"

#define OWN_MAX		4096	/* document roots of one account that are compared */
#define SAME_MAX	4096	/* document roots with the same end */

struct candidate {
	const struct sw_docroot *found;
	bool several;		/* of different domains: nobody knows which is meant */
};

static void consider(const struct sw_domain_index *x, const struct sw_docroot *r,
		     struct candidate *c)
{
	const struct sw_domain *d = &x->domains[r->domain];

	if (!c->found) {
		c->found = r;
		return;
	}
	if (r->len != c->found->len || memcmp(r->path, c->found->path, r->len) != 0)
		c->several = c->several || r->domain != c->found->domain;
	else if (sw_domain_is_better(d, &x->domains[c->found->domain]))
		c->found = r;
}

/* Compares the last bytes of a document root with the first `len` of `rest`, from the back. */
static int compare_end(const struct sw_docroot *r, const char *rest, size_t len)
{
	for (size_t i = 1; i <= len; i++) {
		if (i > r->len)
			return -1;
		if (r->path[r->len - i] != rest[len - i])
			return (unsigned char)r->path[r->len - i] <
			       (unsigned char)rest[len - i] ? -1 : 1;
	}
	return 0;
}

static int by_end(const void *a, const void *b)
{
	const struct sw_docroot *x = *(const struct sw_docroot *const *)a;
	const struct sw_docroot *y = *(const struct sw_docroot *const *)b;
	int c = compare_end(x, y->path, y->len);

	return c ? c : x->len > y->len;
}

/* Once, when a UID that sites share asks first. */
static bool sort_ends(struct sw_domain_index *x)
{
	if (x->by_end)
		return true;
	x->by_end = sw_domain_alloc(x->n_docroots + 1, sizeof(const struct sw_docroot *));
	for (size_t i = 0; x->by_end && i < x->n_docroots; i++)
		x->by_end[i] = &x->docroots[i];
	if (x->by_end)
		qsort(x->by_end, x->n_docroots, sizeof(const struct sw_docroot *), by_end);
	return x->by_end != NULL;
}

static void find_all(const struct sw_domain_index *x, const char *rest, size_t len,
		     struct candidate *c)
{
	size_t low = 0, high = x->n_docroots;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare_end(x->by_end[middle], rest, len) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (int i = 0; low < x->n_docroots && !c->several; i++, low++) {
		if (compare_end(x->by_end[low], rest, len) != 0)
			break;
		consider(x, x->by_end[low], c);
		c->several = c->several || i == SAME_MAX;
	}
}

static void find_own(const struct sw_domain_index *x, const struct sw_owner *o, const char *rest,
		     size_t len, struct candidate *c)
{
	int left = OWN_MAX;

	for (uint32_t i = 0; i < o->n; i++) {
		uint32_t at = x->by_user[o->first + i]->docroots;

		for (; at != SW_NONE && left > 0; at = x->docroots[at].next, left--)
			if (compare_end(&x->docroots[at], rest, len) == 0)
				consider(x, &x->docroots[at], c);
	}
}

/* Up to each end of a name, the longest first. */
const struct sw_domain *sw_domain_index_at_end(struct sw_domain_index *x, const char *rest,
					       const char *user)
{
	const struct sw_owner *o = user ? sw_domain_index_owner(x, user) : NULL;
	struct candidate c = {};

	if (user ? !o : !sort_ends(x))
		return NULL;
	for (size_t len = strlen(rest); len > 0 && !c.found; len--) {
		if ((rest[len] && rest[len] != '/') || rest[len - 1] == '/')
			continue;
		if (o)
			find_own(x, o, rest, len, &c);
		else
			find_all(x, rest, len, &c);
	}
	return c.found && !c.several ? &x->domains[c.found->domain] : NULL;
}
