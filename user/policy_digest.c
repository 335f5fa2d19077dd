/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether two policies decide alike: all that reaches the kernel, but for the ids of cgroups, which
 * the kernel side follows by itself. */
#include "digest.h"
#include "policy.h"

struct digest {
	uint64_t h;
};

static void add(struct digest *d, const void *data, size_t len)
{
	uint64_t n = len;

	d->h = sw_digest(sw_digest(d->h, &n, sizeof(n)), data, len);
}

static void add_number(struct digest *d, uint64_t n)
{
	add(d, &n, sizeof(n));
}

static void add_quota(struct digest *d, const struct sw_quota *q)
{
	add_number(d, q->per_hour);
	add_number(d, q->per_day);
}

static void add_quotas(struct digest *d, const struct sw_quotas *q)
{
	for (int i = 0; i < _SW_CHANNEL_MAX; i++)
		add_quota(d, &q->of[i]);
}

static void add_text(struct digest *d, const char *text)
{
	size_t len = 0;

	while (text && text[len])
		len++;
	add(d, text ? text : "", len);
}

static void add_settings(struct digest *d, const struct sw_policy *p)
{
	add_number(d, p->mode);
	add(d, p->deny_ports, p->n_deny_ports * sizeof(*p->deny_ports));
	add(d, p->count_ports, p->n_count_ports * sizeof(*p->count_ports));
	add_number(d, p->refuse_with);
	add_number(d, p->allow_local);
	add_number(d, p->containers_exempt);
	add_number(d, p->strict);
	add_number(d, p->identity_strict);
	add_number(d, p->outcomes);
	add_number(d, p->max_uids);
	add_number(d, p->max_origins);
	add_number(d, p->event_buffer);
	add_quotas(d, &p->default_quota);
	add_quotas(d, &p->server_quota);
	add_number(d, p->deny_for_s);
	add_number(d, p->redirect4);
	add(d, p->redirect6, sizeof(p->redirect6));
	add_number(d, p->redirect_port);
}

static void add_rule(struct digest *d, const struct sw_allow_rule *r)
{
	add_number(d, r->id);
	add_number(d, r->kind);
	add_number(d, r->who);
	add_number(d, r->n_dest);
	for (size_t i = 0; i < r->n_dest; i++) {
		add(d, r->dest[i].addr, sizeof(r->dest[i].addr));
		add_number(d, r->dest[i].len);
	}
	add(d, r->port, r->n_ports * sizeof(*r->port));
	add_quota(d, &r->quota);
}

uint64_t sw_policy_digest(const struct sw_policy *p)
{
	struct digest d = { SW_DIGEST_EMPTY };

	add_settings(&d, p);
	for (size_t i = 0; i < p->n_exempt; i++) {
		add_number(&d, p->exempt[i].kind);
		add_number(&d, p->exempt[i].id);
	}
	for (size_t i = 0; i < p->n_cgroups; i++) {
		add_text(&d, p->cgroups[i].path);
		add_number(&d, p->cgroups[i].exempt);
		add_number(&d, p->cgroups[i].who);
	}
	for (size_t i = 0; i < p->n_rules; i++)
		add_rule(&d, &p->rules[i]);
	for (size_t i = 0; i < p->n_limits; i++) {
		add_number(&d, p->limits[i].kind);
		add_number(&d, p->limits[i].id);
		add_quotas(&d, &p->limits[i].quotas);
	}
	return d.h;
}
