/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "attribute.h"
#include "stats.h"
#include "util.h"

#define CUT	"..."
#define POOL	"php-fpm: pool "

struct question {
	struct sw_domains *d;
	const struct sw_attribute_query *q;
	const char *script;
	const struct sw_login *login;	/* NULL: the UID has no account */
	const char *owner;		/* domains have to be of this account; NULL: of any */
};

static void found(const struct question *k, const struct sw_domain *domain, const char *source,
		  struct sw_attribution *a)
{
	size_t sites = domain->user ? sw_domains_count_sites(k->d, domain->user) : 0;

	a->domain = domain->name;
	a->source = source;
	a->account = domain->user ? domain->user : k->owner;
	/* An alias is not among the sites. */
	a->others = (unsigned int)(sites - (sites && domain->kind != SW_DOMAIN_ALIAS));
}

/* As it is, as seen from within a jail of a known place, and from within the account's jail. */
static const struct sw_domain *find_at(const struct question *k, const char *path)
{
	const struct sw_domain *domain = sw_domains_at(k->d, path, k->owner, NULL);
	const char *inside = sw_attribute_in_jail(path);
	const char *jail = k->login ? k->login->jail : NULL;

	if (!domain && inside)
		domain = sw_domains_at(k->d, inside, k->owner, NULL);
	if (!domain && jail && !strncmp(path, jail, strlen(jail)) && path[strlen(jail)] == '/')
		domain = sw_domains_at(k->d, path + strlen(jail), k->owner, NULL);
	return domain;
}

static bool by_directory(const struct question *k, struct sw_attribution *a)
{
	const char *path = k->q->directory;
	const struct sw_domain *domain = NULL;

	if (!path)
		return false;
	if (*path == '/')
		domain = find_at(k, path);
	else if (!strncmp(path, CUT, strlen(CUT)) && path[strlen(CUT)])
		domain = sw_domains_at_end(k->d, path + strlen(CUT), k->owner);
	if (domain)
		found(k, domain, "docroot", a);
	return domain != NULL;
}

/* A PHP script can set its title by one call. For a UID that sites share the name of the program
 * has to agree with it, or any of them could name any other. */
static bool is_believed(const struct question *k)
{
	return k->owner || sw_attribute_agrees(k->q->argv, k->q->argv_len, k->q->comm);
}

static bool by_pool(const struct question *k, struct sw_attribution *a)
{
	const struct sw_domain *domain;
	char name[SW_ARGV_LEN + 1];
	size_t len = k->q->argv_len;

	if (len <= strlen(POOL) || memcmp(k->q->argv, POOL, strlen(POOL)) != 0 || !is_believed(k))
		return false;
	len -= strlen(POOL);
	snprintf(name, sizeof(name), "%.*s", (int)len, k->q->argv + strlen(POOL));
	for (len = strlen(name); len && name[len - 1] == ' '; len--)
		name[len - 1] = '\0';
	domain = *name ? sw_domains_pool(k->d, name, k->login ? k->login->name : "",
					 k->owner != NULL) : NULL;
	if (domain)
		found(k, domain, "pool-name", a);
	return domain != NULL;
}

/* The path below `front`, where that is known. */
static const struct sw_domain *find_below(const struct question *k, const char *front,
					  const char *path)
{
	char full[PATH_MAX];

	if (!front || !*front || *path != '/' ||
	    snprintf(full, sizeof(full), "%s%s", front, path) >= (int)sizeof(full))
		return NULL;
	return sw_domains_at(k->d, full, k->owner, NULL);
}

static const struct sw_domain *find_in_chroot(const struct question *k, const char *path)
{
	const struct sw_domain *domain = NULL;
	const char *chroot;
	size_t at = 0;

	while (!domain && (chroot = sw_domains_chroot(k->d, k->login->name, &at)))
		domain = find_below(k, chroot, path);
	return domain;
}

/* A script's path is as its process sees it, which may be from within a chroot. */
static const struct sw_domain *find_script(const struct question *k, const char *path)
{
	const struct sw_domain *domain = *path == '/' ? find_at(k, path) : NULL;

	if (domain || !k->owner || *path != '/')
		return domain;
	domain = find_below(k, k->login->jail, path);
	if (!domain)
		domain = find_below(k, k->login->home, path);
	if (!domain)
		domain = find_in_chroot(k, path);
	if (!domain && sw_domains_look_further(k->d))
		domain = find_in_chroot(k, path);
	return domain;
}

static bool by_script(const struct question *k, struct sw_attribution *a)
{
	const struct sw_domain *domain;
	char path[PATH_MAX];
	bool cut;

	if (!k->q->argv_len || !is_believed(k) ||
	    !sw_attribute_script(k->q->argv, k->q->argv_len, k->script, k->q->directory, path,
				 sizeof(path), &cut))
		return false;
	domain = find_script(k, path);
	if (!domain && cut)
		domain = sw_domains_at_end(k->d, path, k->owner);
	/* For a directory it is enough that nobody else is known to own the domain. */
	if (!domain || (k->owner && (!domain->user || strcmp(domain->user, k->owner) != 0)))
		return false;
	found(k, domain, "process-title", a);
	return true;
}

static bool by_account(const struct question *k, struct sw_attribution *a)
{
	const struct sw_domain *const *list;
	size_t n;

	if (!k->owner)
		return false;
	list = sw_domains_of(k->d, k->owner, &n);
	if (n)
		found(k, list[0], list[0]->source, a);
	return n > 0;
}

static bool is_below(const char *path, const char *home)
{
	size_t len = strlen(home);

	return len && !strncmp(path, home, len) && (path[len] == '/' || !path[len]);
}

/* The row's own home: it has no domain, or this would not be asked. */
static bool in_own_home(const struct question *k, const char *path)
{
	_cleanup_free_ char *real = NULL;
	const char *inside = sw_attribute_in_jail(path);

	if (is_below(path, k->login->home) || (inside && is_below(inside, k->login->home)))
		return true;
	real = *k->login->home ? sw_domains_real_path(k->d, k->login->home) : NULL;
	return real && is_below(path, real);
}

static bool by_home(const struct question *k, struct sw_attribution *a)
{
	const char *path = k->q->directory, *inside;
	const struct sw_domain *const *list;
	const struct sw_login *l;
	size_t n;

	if (!path || *path != '/')
		return false;
	if (k->owner) {
		a->account = k->owner;
		if (!in_own_home(k, path))
			return false;
		a->source = "home";
		return true;
	}
	inside = sw_attribute_in_jail(path);
	l = sw_domains_home(k->d, path);
	if (inside && sw_domains_home(k->d, inside))
		l = sw_domains_home(k->d, inside);
	if (!l)
		return false;
	list = sw_domains_of(k->d, l->name, &n);
	if (n)
		found(k, list[0], "home", a);
	a->account = l->name;
	a->source = "home";
	return true;
}

static bool answer(struct question *k, struct sw_attribution *a)
{
	k->login = sw_domains_login(k->d, k->q->uid);
	a->user = k->login ? k->login->name : NULL;
	k->owner = sw_domains_is_shared(k->d, k->q->uid) ? NULL : a->user;
	return by_directory(k, a) || by_pool(k, a) || by_script(k, a) || by_account(k, a);
}

int sw_attribute(struct sw_domains *d, const struct sw_attribute_query *q,
		 struct sw_attribution *ret)
{
	struct question k = { .d = d, .q = q };
	struct sw_attribution a = { .source = "none", .directory = q->directory };

	a.script = sw_script(q->argv ? q->argv : "", q->argv_len, q->comm ? q->comm : "");
	if (!a.script)
		return -ENOMEM;
	k.script = a.script;
	/* Web servers may know of a site that the panel does not. */
	if ((q->row == SW_ROW_UID || q->row == SW_ROW_MORE) && !answer(&k, &a) &&
	    !(sw_domains_look_further(d) && answer(&k, &a)))
		by_home(&k, &a);
	*ret = a;
	return 0;
}

void sw_attribution_free(struct sw_attribution *a)
{
	free(TAKE_PTR(a->script));
}
