/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "domain_int.h"
#include "names.h"
#include "util.h"

/* Most trusted first. */
static const struct sw_domain_source *const sources[] = {
	&sw_source_cpanel, &sw_source_directadmin, &sw_source_plesk, &sw_source_hestia,
	&sw_source_virtualmin, &sw_source_ispconfig, &sw_source_cyberpanel, &sw_source_cloudpanel,
	&sw_source_apache, &sw_source_nginx, &sw_source_fpm, &sw_source_home,
};

#define N_SOURCES ARRAY_SIZE(sources)
#define OTHERS_MAX	4096	/* accounts of other name services that are remembered */
#define OTHERS_AGE_MS	60000

struct sw_domains {
	struct sw_root root;
	bool forced[N_SOURCES], automatic;
	bool wanted[N_SOURCES];		/* as of the last refresh */
	bool further;			/* late sources have been asked for */
	struct sw_logins logins;
	struct sw_reading *reading[N_SOURCES];
	struct sw_domain_index index;
	bool ready;
	struct sw_login *others;	/* OTHERS_MAX; name NULL: there is no such account */
	size_t n_others;
	struct sw_arena arena;		/* of others */
	int64_t others_ms;
};

#define BLANKS " \t,"

static int find_source(const char *name, size_t len)
{
	for (size_t i = 0; i < N_SOURCES; i++)
		if (strlen(sources[i]->name) == len && !strncmp(sources[i]->name, name, len))
			return (int)i;
	return -1;
}

/* `ret` (may be NULL) gets true for each source of the list. */
static int parse_sources(const char *list, bool *ret, const char **bad, size_t *bad_len)
{
	bool any = false;
	size_t len;
	int at;

	for (list += strspn(list, BLANKS); *list; list += len + strspn(list + len, BLANKS)) {
		len = strcspn(list, BLANKS);
		at = find_source(list, len);
		any = true;
		if (at < 0) {
			*bad = list;
			*bad_len = len;
			return -EINVAL;
		}
		if (ret)
			ret[at] = true;
	}
	if (any)
		return 0;
	*bad = "";
	*bad_len = 0;
	return -EINVAL;
}

int sw_domains_check_sources(const char *list, const char **bad, size_t *len)
{
	return strcmp(list, "auto") != 0 ? parse_sources(list, NULL, bad, len) : 0;
}

int sw_domains_new(const struct sw_domains_config *c, struct sw_domains **ret)
{
	struct sw_domains *d = calloc(1, sizeof(*d));
	const char *bad;
	size_t len;
	int r;

	if (!d)
		return -ENOMEM;
	d->root.fd = -1;
	d->automatic = !c->sources || !strcmp(c->sources, "auto");
	r = d->automatic ? 0 : parse_sources(c->sources, d->forced, &bad, &len);
	if (!r)
		r = sw_root_open(c->root, &d->root);
	if (r < 0) {
		free(d);
		return r;
	}
	*ret = d;
	return 0;
}

static void drop_reading(struct sw_domains *d, size_t i)
{
	if (!d->reading[i])
		return;
	sw_reading_free(d->reading[i]);
	free(d->reading[i]);
	d->reading[i] = NULL;
}

void sw_domains_free(struct sw_domains *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < N_SOURCES; i++)
		drop_reading(d, i);
	sw_domain_index_free(&d->index);
	sw_logins_free(&d->logins);
	sw_arena_free(&d->arena);
	free(d->others);
	sw_root_close(&d->root);
	free(d);
}

static bool is_found(const struct sw_domains *d, const struct sw_domain_source *s)
{
	struct stat st;

	for (const char *const *m = s->markers; *m; m++)
		if (sw_root_stat(&d->root, *m, &st) == 0)
			return true;
	return false;
}

static bool is_panel(size_t i)
{
	return !sources[i]->late && sources[i] != &sw_source_home;
}

/* Late sources are left alone while a panel has answers, unless the list names them. */
static bool is_due(const struct sw_domains *d, size_t i)
{
	if (!d->wanted[i])
		return false;
	if (!sources[i]->late || !d->automatic || d->further)
		return true;
	for (size_t j = 0; j < N_SOURCES; j++)
		if (is_panel(j) && d->reading[j] && d->reading[j]->n_records)
			return false;
	return true;
}

static bool is_stale(const struct sw_domains *d, size_t i)
{
	const struct sw_reading *r = d->reading[i];

	if (!r)
		return true;
	if (sources[i]->max_age_s &&
	    sw_domain_now_ms() - r->read_ms > sources[i]->max_age_s * 1000LL)
		return true;
	return sw_reading_is_stale(r);
}

static int read_source(struct sw_domains *d, size_t i)
{
	struct sw_reading *r = calloc(1, sizeof(*r));
	int e;

	drop_reading(d, i);
	if (!r)
		return -ENOMEM;
	r->root = &d->root;
	r->logins = &d->logins;
	r->rank = (uint8_t)i;
	r->label = sources[i]->name;
	r->late = sources[i]->late;
	r->read_ms = sw_domain_now_ms();
	d->reading[i] = r;
	e = sources[i]->load(r);
	if (e == -ENOMEM)
		drop_reading(d, i);
	return e == -ENOMEM ? e : 0;
}

/* Sources look up homes and names of accounts: new accounts make all of them old. */
static int read_logins(struct sw_domains *d, bool *changed)
{
	if (d->logins.reading.root && !sw_reading_is_stale(&d->logins.reading))
		return 0;
	for (size_t i = 0; i < N_SOURCES; i++)
		drop_reading(d, i);
	sw_logins_free(&d->logins);
	d->logins.reading.root = &d->root;
	d->logins.reading.label = "passwd";
	*changed = true;
	return sw_logins_read(&d->logins);
}

static void forget_others(struct sw_domains *d)
{
	if (d->others_ms && sw_domain_now_ms() - d->others_ms < OTHERS_AGE_MS)
		return;
	d->n_others = 0;
	sw_arena_free(&d->arena);
	d->others_ms = sw_domain_now_ms();
}

static int read_due(struct sw_domains *d, bool *changed)
{
	int e = 0;

	for (size_t i = 0; i < N_SOURCES && !e; i++) {
		d->wanted[i] = d->automatic ? is_found(d, sources[i]) : d->forced[i];
		if (!is_due(d, i)) {
			*changed = *changed || d->reading[i];
			drop_reading(d, i);
		} else if (is_stale(d, i)) {
			*changed = true;
			e = read_source(d, i);
		}
	}
	return e;
}

int sw_domains_refresh(struct sw_domains *d)
{
	bool changed = !d->ready;
	int e;

	forget_others(d);
	e = read_logins(d, &changed);
	if (!e)
		e = read_due(d, &changed);
	if (!e && !changed) {
		sw_domain_index_age(&d->index);
		return 0;
	}
	d->ready = false;
	sw_domain_index_free(&d->index);
	if (!e)
		e = sw_domain_index_build(&d->index, d->reading, N_SOURCES, &d->logins);
	d->ready = !e;
	if (e)	/* an empty one answers that nothing is known */
		sw_logins_free(&d->logins);
	return e;
}

int sw_domains_refresh_all(struct sw_domains *d)
{
	d->further = true;
	return sw_domains_refresh(d);
}

bool sw_domains_look_further(struct sw_domains *d)
{
	bool changed = false;

	if (d->further || !d->ready)
		return false;
	d->further = true;
	/* Only what was not read yet: texts of what was read stay where they are. */
	for (size_t i = 0; i < N_SOURCES; i++)
		if (!d->reading[i] && is_due(d, i)) {
			changed = true;
			if (read_source(d, i) < 0)
				return false;
		}
	if (!changed)
		return false;
	sw_domain_index_free(&d->index);
	d->ready = sw_domain_index_build(&d->index, d->reading, N_SOURCES, &d->logins) == 0;
	return d->ready;
}

char *sw_domains_clean(const char *name)
{
	char clean[SW_DOMAIN_LEN];

	if (sw_domain_normalise(name, strlen(name), clean))
		return strdup(clean);
	errno = EINVAL;
	return NULL;
}

const struct sw_domain *sw_domains_find(const struct sw_domains *d, const char *name)
{
	char clean[SW_DOMAIN_LEN];

	return sw_domain_normalise(name, strlen(name), clean) ?
		sw_domain_index_domain(&d->index, clean) : NULL;
}

const struct sw_domain *sw_domains_each(const struct sw_domains *d, size_t i)
{
	return i < d->index.n_domains ? &d->index.domains[i] : NULL;
}

const struct sw_domain *const *sw_domains_of(const struct sw_domains *d, const char *user,
					     size_t *n)
{
	const struct sw_owner *o = sw_domain_index_owner(&d->index, user);

	*n = o ? o->n : 0;
	return o ? (const struct sw_domain *const *)&d->index.by_user[o->first] : NULL;
}

size_t sw_domains_count_sites(const struct sw_domains *d, const char *user)
{
	size_t n, sites = 0;
	const struct sw_domain *const *list = sw_domains_of(d, user, &n);

	while (sites < n && list[sites]->kind != SW_DOMAIN_ALIAS)	/* aliases are last */
		sites++;
	return sites;
}

const struct sw_domain *sw_domains_at(struct sw_domains *d, const char *path, const char *user,
				      const char **docroot)
{
	return sw_domain_index_at(&d->index, &d->root, &d->logins, path, user, docroot);
}

const struct sw_domain *sw_domains_at_end(struct sw_domains *d, const char *rest,
					  const char *user)
{
	return sw_domain_index_at_end(&d->index, rest, user);
}

const struct sw_domain *sw_domains_pool(struct sw_domains *d, const char *name, const char *user,
					bool own)
{
	const struct sw_domain *found =
		sw_domain_index_pool(&d->index, &d->root, &d->logins, name, user, own);

	if (!found && sw_domains_look_further(d))
		found = sw_domain_index_pool(&d->index, &d->root, &d->logins, name, user, own);
	return found;
}

const char *sw_domains_chroot(const struct sw_domains *d, const char *user, size_t *at)
{
	return sw_domain_index_chroot(&d->index, user, at);
}

/* Another name service is asked once a minute for each UID, also when it knows nothing. */
static const struct sw_login *ask_others(struct sw_domains *d, uint32_t uid)
{
	const struct passwd *pw;
	struct sw_login *o;
	char *home;

	if (!d->others)
		d->others = calloc(OTHERS_MAX, sizeof(*d->others));
	for (size_t i = 0; i < d->n_others; i++)
		if (d->others[i].uid == uid)
			return d->others[i].name ? &d->others[i] : NULL;
	if (!d->others || d->n_others == OTHERS_MAX)
		return NULL;
	o = &d->others[d->n_others++];
	*o = (struct sw_login){ .uid = uid };
	pw = getpwuid(uid);
	if (!pw || !sw_login_is_valid(pw->pw_name))
		return NULL;
	home = sw_arena_copy(&d->arena, pw->pw_dir, strlen(pw->pw_dir));
	if (!home)
		return NULL;
	o->home = sw_domain_path(home) ? home : "";
	o->name = sw_arena_copy(&d->arena, pw->pw_name, strlen(pw->pw_name));
	return o->name ? o : NULL;
}

const struct sw_login *sw_domains_login(struct sw_domains *d, uint32_t uid)
{
	const struct sw_login *l = sw_logins_by_uid(&d->logins, uid);

	return l || d->root.fd >= 0 ? l : ask_others(d, uid);
}

const struct sw_login *sw_domains_login_named(struct sw_domains *d, const char *name)
{
	const struct sw_login *l = sw_logins_by_name(&d->logins, name);
	uid_t uid;

	if (l || d->root.fd >= 0 || sw_user_resolve(name, &uid, NULL) < 0)
		return l;
	return sw_domains_login(d, uid);
}

const struct sw_login *sw_domains_home(const struct sw_domains *d, const char *path)
{
	return sw_logins_by_home(&d->logins, path);
}

bool sw_domains_is_shared(struct sw_domains *d, uint32_t uid)
{
	const struct sw_login *l = sw_domains_login(d, uid);

	if (!l || sw_login_is_web(l->name))
		return true;
	if (sw_domain_index_owner(&d->index, l->name))
		return false;
	return uid < d->logins.uid_min || !sw_login_has_home(l);
}

char *sw_domains_real_path(const struct sw_domains *d, const char *path)
{
	return sw_root_real(&d->root, path);
}

bool sw_domains_source(const struct sw_domains *d, size_t i, struct sw_domain_source_state *ret)
{
	const struct sw_reading *r = i < N_SOURCES ? d->reading[i] : NULL;

	if (i >= N_SOURCES)
		return false;
	*ret = (struct sw_domain_source_state){
		.name = sources[i]->name,
		.wanted = d->wanted[i],
		.loaded = r != NULL,
	};
	if (!r)
		return true;
	ret->full = r->full;
	ret->records = r->n_records + r->n_pools;
	ret->files = r->files;
	ret->bad = r->bad;
	ret->bad_file = r->bad_file;
	ret->bad_line = r->bad_line;
	return true;
}
