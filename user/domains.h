/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which domain belongs to which account, and where its documents lie: from the files of hosting
 * panels, web servers, php-fpm and /etc/passwd. Nothing is read before the first refresh, nothing
 * is read again unless it changed, and nothing is ever written.
 *
 * Bad lines of foreign files are skipped and counted, never an error. All texts that come out of
 * here may have been chosen by customers: escape them.
 */
#ifndef SW_DOMAINS_H
#define SW_DOMAINS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SW_UID_NONE UINT32_MAX

struct sw_domains_config {
	const char *root;	/* every path is looked up in it; NULL or "/": this machine */
	const char *sources;	/* names, blanks or commas between; NULL or "auto": what is found */
};

enum sw_domain_kind {
	SW_DOMAIN_MAIN,		/* the one that an account was made for */
	SW_DOMAIN_ADDON,
	SW_DOMAIN_SUB,
	SW_DOMAIN_ALIAS,	/* another name of the same site */
	_SW_DOMAIN_KIND_MAX,
};

struct sw_domain {
	const char *name;	/* lower case, no dot at the end, IDN as xn-- */
	const char *user;	/* login of the account; NULL: not known */
	const char *docroot;	/* as the source writes it; NULL: not known */
	const char *pool;	/* of php-fpm; NULL: not known */
	const char *source;	/* of the most trusted source that has it, as in JSON */
	uint32_t uid;		/* SW_UID_NONE: not known */
	uint32_t docroots;	/* for the index: its first document root */
	enum sw_domain_kind kind;
};

struct sw_domains;

/* Whether `list` is a good list of sources. 0, or -EINVAL with *bad (length *len) in it. */
int sw_domains_check_sources(const char *list, const char **bad, size_t *len);

/* Opens the root and no more. 0; -EINVAL: the list of sources is bad; -errno of the root.
 * `ret` is written on success only; free it with sw_domains_free(). */
int sw_domains_new(const struct sw_domains_config *c, struct sw_domains **ret);
void sw_domains_free(struct sw_domains *d);

/*
 * Reads what was not read yet and what has changed since: call it once before a batch of
 * questions. All that earlier answers point to is void after it. 0 or -ENOMEM; then there are no
 * answers until a refresh succeeds.
 *
 * Web servers and php-fpm are left alone as long as a panel's files give the answers:
 * sw_domains_refresh_all() reads them too. The questions below do that by themselves where they
 * say so; what they returned before stays good then.
 */
int sw_domains_refresh(struct sw_domains *d);
int sw_domains_refresh_all(struct sw_domains *d);

/* Reads what was left alone, once. Whether there was anything: then it pays to ask again. Texts
 * of answers stay good, pointers to structures do not. */
bool sw_domains_look_further(struct sw_domains *d);

/* A name as answers have it; malloc'd. NULL, with errno: EINVAL, it is no domain name, or ENOMEM. */
char *sw_domains_clean(const char *name);

/* By name, any case, with or without a dot at the end. NULL: not known. */
const struct sw_domain *sw_domains_find(const struct sw_domains *d, const char *name);

/* The i-th of all that are known, in no order of meaning; NULL: there are no more. */
const struct sw_domain *sw_domains_each(const struct sw_domains *d, size_t i);

/* All domains of an account, the main one first, aliases last. NULL and 0: none. */
const struct sw_domain *const *sw_domains_of(const struct sw_domains *d, const char *user,
					     size_t *n);

/* How many of them are sites of their own: all but aliases. */
size_t sw_domains_count_sites(const struct sw_domains *d, const char *user);

/*
 * The domain with the longest document root that `path` is or lies below, as written or after
 * symbolic links. With `user` only domains of that account and of nobody known. `docroot` (may be
 * NULL) receives it. NULL: none.
 */
const struct sw_domain *sw_domains_at(struct sw_domains *d, const char *path, const char *user,
				      const char **docroot);

/*
 * The same for a path that has lost its front, perhaps within a name. NULL also when document
 * roots of several domains could be meant.
 */
const struct sw_domain *sw_domains_at_end(struct sw_domains *d, const char *rest,
					  const char *user);

/*
 * The domain of php-fpm's pool `name`, when that pool may run as `user`. With `own` only a domain
 * of that very account will do. May look further. NULL: none, or one of several.
 */
const struct sw_domain *sw_domains_pool(struct sw_domains *d, const char *name, const char *user,
					bool own);

/* The next chroot of the php-fpm pools of `user`: start with *at = 0. NULL: no more. */
const char *sw_domains_chroot(const struct sw_domains *d, const char *user, size_t *at);

/* An account. `home` has no "/./" in it; `jail` is what stood before that, or NULL. */
struct sw_login {
	const char *name, *home, *jail;
	uint32_t uid;
};

/* From the root's /etc/passwd, and on this machine from other name services. NULL: no account. */
const struct sw_login *sw_domains_login(struct sw_domains *d, uint32_t uid);
const struct sw_login *sw_domains_login_named(struct sw_domains *d, const char *name);

/* The account of a person with the longest home that `path` is or lies below. NULL: none. */
const struct sw_login *sw_domains_home(const struct sw_domains *d, const char *path);

/* Whether several sites may run as this UID: it owns no domain by a panel's word and is a web
 * server's, a system account, or none with a home of its own. */
bool sw_domains_is_shared(struct sw_domains *d, uint32_t uid);

/* Path without symbolic links, as seen from within the root. malloc'd; NULL: it leads nowhere. */
char *sw_domains_real_path(const struct sw_domains *d, const char *path);

/* For support cases: what each source gave. */
struct sw_domain_source_state {
	const char *name;	/* as in the list of sources */
	bool wanted;		/* by the list, or found on this machine */
	bool loaded;		/* false with `wanted`: only read when needed */
	bool full;		/* a limit was reached, the rest was left out */
	size_t records, files;
	uint64_t bad;		/* lines, or files that could not be read */
	const char *bad_file;	/* the first of them; NULL: none */
	unsigned int bad_line;	/* 0: the file as a whole */
};

/* The source at `i`, in order of trust. False: there are no more. */
bool sw_domains_source(const struct sw_domains *d, size_t i, struct sw_domain_source_state *ret);

#endif
