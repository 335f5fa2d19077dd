/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The kernel's side of the alerts: its tables for samples, and what they tell about an alert. */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert.h"
#include "container.h"
#include "report.h"
#include "stats.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000ULL
#define ORIGIN_SHARE	50	/* reading origins takes at most this part of the time */

struct table {
	struct sw_map_dump d;
	size_t room;
};

struct sw_alert_kernel {
	const struct sw_live *l;
	struct sw_domains *d;
	struct table uids, origins;
	struct sw_alert_clock now;
	uint64_t next_origins_ns;
	bool have_origins;	/* those of this sample */
};

int sw_alert_kernel_new(const struct sw_live *l, struct sw_domains *d, struct sw_alert_kernel **ret)
{
	struct sw_alert_kernel *k = calloc(1, sizeof(*k));

	if (!k)
		return -ENOMEM;
	sw_alert_kernel_set(k, l, d);
	*ret = k;
	return 0;
}

void sw_alert_kernel_set(struct sw_alert_kernel *k, const struct sw_live *l, struct sw_domains *d)
{
	k->l = l;
	k->d = d;
}

void sw_alert_kernel_free(struct sw_alert_kernel *k)
{
	if (!k)
		return;
	sw_map_dump_free(&k->uids.d);
	sw_map_dump_free(&k->origins.d);
	free(k);
}

static int read_table(const struct sw_alert_kernel *k, enum sw_map_id map, struct table *t)
{
	int fd = k->l->map_fd[map];

	return fd < 0 ? -ENOENT : sw_map_dump_again(fd, &t->d, &t->room);
}

static int read_origins(struct sw_alert_kernel *k)
{
	struct sw_alert_clock before, after;
	int r;

	sw_alert_clock_now(&before);
	r = read_table(k, SW_MAP_ORIGINS, &k->origins);
	sw_alert_clock_now(&after);
	k->next_origins_ns = after.mono_ns + (after.mono_ns - before.mono_ns) * ORIGIN_SHARE;
	k->have_origins = r == 0;
	return r;
}

int sw_alert_kernel_sample(struct sw_alert_kernel *k, struct sw_alerts *a)
{
	int r = read_table(k, SW_MAP_UID_STATS, &k->uids), err = 0;
	const bool have_uids = r == 0;

	sw_alert_clock_now(&k->now);
	k->have_origins = false;
	if (have_uids && sw_alerts_wants_origins(a) && k->now.mono_ns >= k->next_origins_ns)
		err = read_origins(k);
	r = r ?: err;
	/* Also without tables: what waits is told. */
	err = sw_alerts_sample(a, &k->now, have_uids ? &k->uids.d : NULL,
			       k->have_origins ? &k->origins.d : NULL);
	return r ?: err;
}

/* ---- What is known ---- */

static enum sw_row row_of(const struct sw_origin_key *key)
{
	return key->dev == SW_DEV_NONE ? (enum sw_row)key->ino : SW_ROW_UID;
}

/* Whose an origin is; the texts of *s have to be freed in any case. */
static int attribute(const struct sw_alert_kernel *k, const struct sw_origin_key *key,
		     const struct sw_origin *o, struct sw_stat *s, struct sw_report_site *site)
{
	*s = (struct sw_stat){ .uid = key->uid, .row = row_of(key) };
	*site = (struct sw_report_site){ .source = "none" };
	if (o->filled && sw_stat_set_where(&o->where, s) < 0)
		return -ENOMEM;
	return sw_report_attribute(k->d, s, site);
}

const char *sw_alert_kernel_domain(void *kernel, const struct sw_origin_key *key,
				   const struct sw_origin *o)
{
	const struct sw_alert_kernel *k = kernel;
	struct sw_report_site site;
	struct sw_stat s;
	int r = attribute(k, key, o, &s, &site);

	sw_stat_free_texts(&s);
	return r ? NULL : site.domain;
}

static void take(char **to, const char *text)
{
	if (!*to && text && *text)
		*to = strdup(text);
}

static char *describe_cgroup(const struct sw_alert_kernel *k, uint64_t id)
{
	char name[SW_CONTAINER_LEN];
	struct sw_cgroup_name names;
	int fd = k->l->map_fd[SW_MAP_CGROUPS];
	_cleanup_free_ char *path = NULL;

	if (!id || fd < 0 || bpf_map_lookup_elem(fd, &id, &names) < 0)
		return NULL;
	path = sw_cgroup_path(&names);
	if (!path)
		return NULL;
	sw_container_describe(path, name, sizeof(name));
	return strdup(name);
}

/* What only an event would know better: the origin that moved last. */
static void take_place(const struct sw_alert_kernel *k, const struct sw_origin_key *key,
		       const struct sw_origin *o, struct sw_alert_where *w)
{
	struct sw_report_site site;
	struct sw_stat s;
	char destination[SW_DESTINATION_LEN];

	if (attribute(k, key, o, &s, &site) == 0) {
		take(&w->user, site.user);
		take(&w->account, site.account);
		if (!w->domain && site.one_of_several)
			w->others = site.sites - 1;
		take(&w->domain, site.domain);
		take(&w->source, site.source);
		take(&w->directory, s.directory);
		take(&w->script, s.script);
		if (!w->container)
			w->container = describe_cgroup(k, o->cgroup_id);
	}
	if (o->last_dport) {
		sw_destination_format(o->last_daddr, o->last_dport, destination);
		take(&w->destination, destination);
	}
	sw_stat_free_texts(&s);
}

static bool is_of(const struct sw_alert_kernel *k, const struct sw_alert *a, size_t i)
{
	const struct sw_origin_key *key = sw_map_key(&k->origins.d, i);
	const char *domain;

	if (key->uid != a->where.uid || (row_of(key) != SW_ROW_UID && row_of(key) != SW_ROW_MORE))
		return false;
	if (a->scope != SW_SCOPE_DOMAIN)
		return true;
	domain = sw_alert_kernel_domain((void *)k, key, sw_map_value(&k->origins.d, i));
	return domain && a->where.domain && !strcmp(domain, a->where.domain);
}

static time_t wall_time(const struct sw_alert_kernel *k, uint64_t mono_ns)
{
	if (!mono_ns || mono_ns > k->now.mono_ns)
		return mono_ns ? k->now.wall : 0;
	return k->now.wall - (time_t)((k->now.mono_ns - mono_ns) / NSEC_PER_SEC);
}

static void describe(const struct sw_alert_kernel *k, struct sw_alert *a)
{
	uint64_t sketch[SW_SKETCH_WORDS] = {}, first = 0, last = 0;
	const struct sw_origin *latest = NULL;
	size_t at = 0;

	for (size_t i = 0; i < k->origins.d.n; i++) {
		const struct sw_origin *o = sw_map_value(&k->origins.d, i);

		if (!is_of(k, a, i))
			continue;
		for (int j = 0; j < SW_SKETCH_WORDS; j++)
			sketch[j] |= o->sketch[j];
		if (o->first_ns && (!first || o->first_ns < first))
			first = o->first_ns;
		if (!latest || o->last_ns > last) {
			last = o->last_ns;
			latest = o;
			at = i;
		}
	}
	if (!latest)
		return;
	a->where.destinations = sw_sketch_estimate(sketch, NULL);
	a->where.first = wall_time(k, first);
	a->where.last = wall_time(k, last);
	take_place(k, sw_map_key(&k->origins.d, at), latest, &a->where);
}

void sw_alert_kernel_describe(void *kernel, struct sw_alert *const *alerts, size_t n)
{
	struct sw_alert_kernel *k = kernel;

	if (!k->have_origins && read_origins(k) < 0)
		return;
	for (size_t i = 0; i < n; i++) {
		const struct sw_login *login = NULL;

		if (!alerts[i]->where.is_uid)
			continue;
		describe(k, alerts[i]);
		if (!alerts[i]->where.user && k->d)
			login = sw_domains_login(k->d, alerts[i]->where.uid);
		take(&alerts[i]->where.user, login ? login->name : NULL);
	}
}
