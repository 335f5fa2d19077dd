/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What suggestions are made from: the kernel's tables, the policy in force, the accounts. */
#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "canary.h"
#include "cgroup.h"
#include "container.h"
#include "decide.h"
#include "mta.h"
#include "names.h"
#include "suggest_read.h"
#include "usage.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000LL

/* 192.0.2.1 stands for any destination. */
static const uint8_t somewhere[16] = { [10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 1 };

/* How the policy in force is asked about one account. */
struct asker {
	const struct sw_live *live;
	int cgroup_fd;		/* root of the v2 hierarchy; -1: none */
	struct sw_query q;
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

static time_t wall_time(int64_t offset_ns, uint64_t mono_ns)
{
	return mono_ns ? (time_t)((offset_ns + (int64_t)mono_ns) / NSEC_PER_SEC) : 0;
}

static int read_dests(const struct sw_live *l, struct sw_suggest_reading *ret)
{
	int64_t offset = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
	struct sw_map_dump d;
	int r = sw_map_dump(l->map_fd[SW_MAP_DESTS], &d);

	if (r < 0)
		return r;
	ret->dests = calloc(d.n + 1, sizeof(*ret->dests));
	for (size_t i = 0; ret->dests && i < d.n; i++) {
		const struct sw_dest_key *k = sw_map_key(&d, i);
		struct sw_suggest_dest *to = &ret->dests[ret->seen.n_dests];
		struct sw_dest v;

		memcpy(&v, sw_map_value(&d, i), sizeof(v));
		if (k->uid == SW_CANARY_UID || !(v.would_deny + v.refused))
			continue;
		*to = (struct sw_suggest_dest){
			.uid = k->uid,
			.more = k->row == SW_ROW_MORE,
			.port = k->port,
			.attempts = v.would_deny + v.refused,
			.first = wall_time(offset, v.first_ns),
			.last = wall_time(offset, v.last_ns ?: v.first_ns),
		};
		memcpy(to->addr, k->addr, sizeof(to->addr));
		ret->seen.n_dests++;
	}
	sw_map_dump_free(&d);
	ret->seen.dests = ret->dests;
	return ret->dests ? 0 : -ENOMEM;
}

static int by_uid(const void *a, const void *b)
{
	const struct sw_suggest_account *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* Every account that offended, and every one that has destinations: when the table of accounts is
 * full some have only these. */
static int list_accounts(struct sw_suggest_reading *ret)
{
	size_t room = ret->stats.n_accounts + ret->seen.n_dests, n = 0, kept = 0;
	struct sw_suggest_account *a = calloc(room + 1, sizeof(*a));

	if (!a)
		return -ENOMEM;
	ret->accounts = a;
	for (size_t i = 0; i < ret->stats.n_accounts; i++) {
		const struct sw_stat *s = &ret->stats.accounts[i];

		if (s->row != SW_ROW_UID || !sw_stat_offences(s))
			continue;
		a[n++] = (struct sw_suggest_account){
			.uid = s->uid, .directory = s->directory, .script = s->script,
			.cgroup = s->cgroup, .passed = s->n[SW_N_ALLOWED],
			.limited = s->n[SW_N_LIMITED], .offences = sw_stat_offences(s),
			.first = s->first, .last = s->last,
		};
	}
	for (size_t i = 0; i < ret->seen.n_dests; i++)
		a[n++].uid = ret->dests[i].uid;
	qsort(a, n, sizeof(*a), by_uid);
	/* Of equal ones that with the numbers. */
	for (size_t i = 0; i < n; i++) {
		if (!kept || a[kept - 1].uid != a[i].uid)
			a[kept++] = a[i];
		else if (a[i].offences)
			a[kept - 1] = a[i];
	}
	ret->seen.accounts = a;
	ret->seen.n_accounts = kept;
	return 0;
}

static const char *find_mta(const struct sw_mta_list *mtas, uint32_t uid)
{
	for (size_t i = 0; i < mtas->n; i++)
		if (mtas->item[i].user && !mtas->item[i].problem && mtas->item[i].uid == uid)
			return mtas->item[i].name;
	return NULL;
}

/* A name that leads back to the account. */
static char *find_name(uint32_t uid)
{
	const struct passwd *pw = getpwuid(uid);
	_cleanup_free_ char *name = pw ? strdup(pw->pw_name) : NULL;
	uint32_t same;

	return name && sw_user_resolve(name, &same, NULL) == 0 && same == uid ? TAKE_PTR(name)
									      : NULL;
}

static void name_accounts(struct sw_suggest_reading *ret)
{
	uint32_t uid_min = sw_uid_min("");
	struct sw_mta_list mtas = {};

	if (sw_mta_find("", &mtas) < 0)
		mtas = (struct sw_mta_list){};
	for (size_t i = 0; i < ret->seen.n_accounts; i++) {
		struct sw_suggest_account *a = &ret->accounts[i];

		a->user = find_name(a->uid);
		a->system = a->uid < uid_min;
		a->mta = find_mta(&mtas, a->uid);
	}
	sw_mta_free(&mtas);
}

/* The ids of the cgroup and all above it, as far as they are there now. */
static void find_cgroups(int root_fd, const char *path, uint64_t ids[SW_MAX_CGROUP_LEVELS])
{
	int level = 0;

	memset(ids, 0, sizeof(*ids) * SW_MAX_CGROUP_LEVELS);
	if (root_fd < 0 || !path || *path != '/')
		return;	/* one that has lost its top has no place */
	for (const char *end = path + 1; *end && level < SW_MAX_CGROUP_LEVELS; end += *end == '/') {
		_cleanup_free_ char *part = NULL;

		end += strcspn(end, "/");
		part = strndup(path, (size_t)(end - path));
		if (!part || sw_cgroup_find(root_fd, part, &ids[level++]) < 0) {
			ids[level ? level - 1 : 0] = 0;
			return;
		}
	}
}

static void ask_about(struct asker *k, const struct sw_suggest_account *a)
{
	const struct passwd *pw = getpwuid(a->uid);

	k->q = (struct sw_query){
		.euid = a->uid,
		.ruid = a->uid,
		.egid = pw ? pw->pw_gid : a->uid,
		.in_container = a->cgroup && sw_container_is_one(a->cgroup),
		.hour = sw_usage_hour(k->live),
	};
	find_cgroups(k->cgroup_fd, a->cgroup, k->q.cgroup);
}

static int ask(struct asker *k, const uint8_t addr[16], uint16_t port, enum sw_suggest_now *ret)
{
	const struct sw_settings *set = &k->live->settings;
	struct sw_answer a;
	int r;

	memcpy(k->q.addr, addr, sizeof(k->q.addr));
	k->q.port = port;
	r = sw_decide_live(k->live, &k->q, &a);
	if (r < 0)
		return r;
	switch (a.reason) {
	case SW_BY_DENIED_NOW:
		*ret = SW_NOW_BY_HAND;
		break;
	case SW_BY_ACCOUNT_LIMIT:
	case SW_BY_RULE_LIMIT:
	case SW_BY_SERVER_LIMIT:
		*ret = SW_NOW_LIMITED;
		break;
	case SW_BY_COUNT_PORT:	/* where nothing but a limit refuses */
		*ret = set->limits ? SW_NOW_LIMITED : SW_NOW_ALLOWED;
		break;
	default:
		*ret = a.verdict == SW_ALLOW ? SW_NOW_ALLOWED : SW_NOW_DENIED;
	}
	return 0;
}

static int by_account(const void *a, const void *b)
{
	const struct sw_suggest_dest *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* Asks the policy in force about every destination. */
static int judge(struct asker *k, struct sw_suggest_reading *ret)
{
	size_t n = ret->seen.n_dests, at = 0;
	int r = 0;

	qsort(ret->dests, n, sizeof(*ret->dests), by_account);
	for (size_t i = 0; i < ret->seen.n_accounts && !r; i++) {
		struct sw_suggest_account *a = &ret->accounts[i];
		bool recorded = at < n && ret->dests[at].uid == a->uid;
		enum sw_suggest_now now;

		ask_about(k, a);
		for (; at < n && ret->dests[at].uid == a->uid && !r; at++) {
			struct sw_suggest_dest *d = &ret->dests[at];

			r = ask(k, d->more ? somewhere : d->addr,
				d->more ? k->live->settings.ports[0] : d->port, &d->now);
		}
		if (r || recorded)
			continue;
		r = ask(k, somewhere, k->live->settings.ports[0], &now);
		if (!r && now != SW_NOW_DENIED)
			a->offences = 0;	/* nothing is to be suggested */
	}
	return r;
}

/* Exempt by the built-in default, which is source 0. */
static int read_default_users(const struct sw_live *l, struct sw_suggest_reading *ret)
{
	struct sw_map_dump d;
	int r = sw_map_dump(l->map_fd[SW_MAP_EXEMPT], &d);
	size_t len;
	FILE *f;

	if (r < 0)
		return r;
	f = open_memstream(&ret->default_users, &len);
	for (size_t i = 0; f && i < d.n; i++) {
		const struct sw_exempt_key *k = sw_map_key(&d, i);
		const struct sw_exempt_val *v = sw_map_value(&d, i);
		_cleanup_free_ char *name = NULL;

		if (k->generation != l->settings.generation || k->kind != SW_KIND_UID || v->source)
			continue;
		name = find_name((uint32_t)k->id);
		if (name)
			fprintf(f, "%s%s", ftell(f) ? " " : "", name);
		else
			fprintf(f, "%s%llu", ftell(f) ? " " : "", (unsigned long long)k->id);
	}
	sw_map_dump_free(&d);
	if (!f || fclose(f) != 0)
		return -ENOMEM;
	ret->seen.default_users = ret->default_users;
	return 0;
}

int sw_suggest_read(const struct sw_live *l, struct sw_suggest_reading *ret)
{
	struct asker k = { .live = l, .cgroup_fd = -1 };
	_cleanup_free_ char *path = NULL;
	int r;

	*ret = (struct sw_suggest_reading){ .seen.now = time(NULL) };
	if (l->map_fd[SW_MAP_DESTS] < 0 || l->map_fd[SW_MAP_EXEMPT] < 0)
		return -ENOENT;
	if (sw_cgroup_open(NULL, &k.cgroup_fd, &path) < 0)
		k.cgroup_fd = -1;
	r = sw_stats_read(l, &ret->stats);
	if (!r)
		r = read_dests(l, ret);
	if (!r)
		r = list_accounts(ret);
	if (!r)
		r = read_default_users(l, ret);
	if (!r) {
		name_accounts(ret);
		r = judge(&k, ret);
	}
	sw_closep(&k.cgroup_fd);
	if (r < 0)
		sw_suggest_reading_free(ret);
	return r;
}

void sw_suggest_reading_free(struct sw_suggest_reading *r)
{
	for (size_t i = 0; i < r->seen.n_accounts; i++)
		free((char *)r->accounts[i].user);
	free(r->accounts);
	free(r->dests);
	free(r->default_users);
	sw_stats_free(&r->stats);
	*r = (struct sw_suggest_reading){};
}
