/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "limit_known.h"
#include "log.h"
#include "util.h"

bool sw_limit_known_needed(const struct sw_policy *p)
{
	return p->n_domain_limits || p->unknown_at.line;
}

/* Its account; SW_UID_NONE where several sites share it, or nobody knows. */
static uint32_t owner_of(struct sw_domains *d, const struct sw_domain *domain)
{
	const struct sw_login *l = NULL;
	uint32_t uid = domain->uid;

	if (uid == SW_UID_NONE && domain->user && (l = sw_domains_login_named(d, domain->user)))
		uid = l->uid;
	return uid == SW_UID_NONE || sw_domains_is_shared(d, uid) ? SW_UID_NONE : uid;
}

static void lower(uint32_t *n, uint32_t other)
{
	if (other < *n)	/* unlimited is the largest number */
		*n = other;
}

static void lower_all(struct sw_quotas *q, const struct sw_quotas *other)
{
	for (int i = 0; i < _SW_CHANNEL_MAX; i++) {
		lower(&q->of[i].per_hour, other->of[i].per_hour);
		lower(&q->of[i].per_day, other->of[i].per_day);
	}
}

/* Accounts that got a limit here; it is not theirs by a line of their own. */
struct given {
	struct sw_policy_limit *item;
	size_t n;
};

static struct sw_policy_limit *given_to(struct given *g, uint32_t uid)
{
	for (size_t i = 0; i < g->n; i++)
		if (g->item[i].id == uid)
			return &g->item[i];
	return NULL;
}

/* The lowest of all domains of each account. */
static void give(struct given *g, const struct sw_domain_limit *l, uint32_t uid)
{
	struct sw_policy_limit *at = given_to(g, uid);

	if (at)
		lower_all(&at->quotas, &l->quotas);
	else
		g->item[g->n++] = (struct sw_policy_limit){
			.kind = SW_KIND_UID, .id = uid, .quotas = l->quotas,
			.source = l->source, .line = l->line,
		};
}

static int limit_owners(struct sw_policy *p, struct sw_domains *d)
{
	_cleanup_free_ struct sw_policy_limit *item = calloc(p->n_domain_limits + 1, sizeof(*item));
	struct given g = { .item = item };
	int r = 0;

	if (!item)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_domain_limits; i++) {
		const struct sw_domain_limit *l = &p->domain_limits[i];
		const struct sw_domain *domain = sw_domains_find(d, l->domain);
		uint32_t uid = domain ? owner_of(d, domain) : SW_UID_NONE;

		if (uid != SW_UID_NONE)
			give(&g, l, uid);
		else
			log_warn("%s:%u: %s %s: this limit holds for nobody; see 'smtpwall domains %s'",
				 p->sources[l->source], l->line, domain ? "no account owns" :
				 "no source of domains knows", l->domain, l->domain);
	}
	for (size_t i = 0; i < g.n && !r; i++) {
		r = sw_policy_add_limit(p, &g.item[i]);
		if (r == -EEXIST)	/* its own line says more */
			r = 0;
	}
	return r;
}

static int add_known(struct sw_policy *p, uint32_t uid, const struct sw_quotas *q, struct sw_place at)
{
	const struct sw_policy_limit l = {
		.kind = SW_KIND_ANY, .id = uid, .quotas = *q, .source = at.source, .line = at.line,
	};
	int r = sw_policy_add_limit(p, &l);

	return r == -EEXIST ? 0 : r;
}

static int tell_known(struct sw_policy *p, struct sw_domains *d)
{
	const struct sw_domain *domain;
	int r = add_known(p, SW_UID_NONE, &p->unknown_quota, p->unknown_at);

	for (size_t i = 0; !r && (domain = sw_domains_each(d, i)); i++) {
		uint32_t uid = owner_of(d, domain);

		if (uid != SW_UID_NONE)
			r = add_known(p, uid, &p->default_quota, p->default_at);
	}
	return r;
}

int sw_limit_known(struct sw_policy *p, struct sw_domains *d)
{
	int r = limit_owners(p, d);

	return r || !p->unknown_at.line ? r : tell_known(p, d);
}

int sw_limit_known_read(struct sw_policy *p)
{
	const struct sw_domains_config c = { .root = p->domain_root, .sources = p->domain_sources };
	struct sw_domains *d;
	int r = sw_domains_new(&c, &d);

	if (r < 0)
		return log_err(r, "cannot use [domains] of the configuration (root '%s', sources '%s'), which "
			       "limits of domains and of unknown accounts need", p->domain_root ?: "/",
			       p->domain_sources ?: "auto");
	r = sw_domains_refresh_all(d);
	if (!r)
		r = sw_limit_known(p, d);
	sw_domains_free(d);
	return r;
}
