/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What accounts did by directory: for rules per domain and for distinct destinations. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert_int.h"
#include "canary.h"
#include "stats.h"
#include "util.h"

/* How long an answer to "which domain?" is good: sites come and go. */
#define DOMAINS_NS	(600 * NSEC_PER_SEC)
#define DOMAINS_MAX	65536

void sw_alerts_forget_domains(struct sw_alerts *a)
{
	for (size_t i = 0; i < a->n_domains; i++)
		free(a->domains[i]);
	free(a->domains);
	a->domains = NULL;
	a->n_domains = 0;
	for (size_t i = 0; i < a->origins.n; i++)
		a->origins.row[i].domain = 0;
}

/* Keeps `name` and gives it its number; 0: none, or no room. */
static uint32_t number_domain(struct sw_alerts *a, const char *name)
{
	char **grown, *copy;

	if (!name || a->n_domains == DOMAINS_MAX)
		return 0;
	if (!(a->n_domains & (a->n_domains - 1))) {
		grown = reallocarray(a->domains, a->n_domains ? a->n_domains * 2 : 1, sizeof(*grown));
		if (!grown)
			return 0;
		a->domains = grown;
	}
	copy = strdup(name);
	if (!copy)
		return 0;
	a->domains[a->n_domains] = copy;
	return (uint32_t)++a->n_domains;
}

/* Asked only about origins that move. */
static const char *domain_of(struct sw_alerts *a, struct sw_base *b, const struct sw_origin_key *k,
			     const struct sw_origin *o)
{
	if (!b->domain && a->ops.domain && a->n_scope[SW_SCOPE_DOMAIN])
		b->domain = number_domain(a, a->ops.domain(a->ops.data, k, o));
	return b->domain ? a->domains[b->domain - 1] : NULL;
}

static void count_domain(struct sw_alerts *a, const struct sw_base *b, const struct sw_origin *o,
			 uint32_t uid, const char *domain)
{
	bool same = b->first_ns == o->first_ns;

	for (int m = 0; m < _SW_METRIC_MAX; m++) {
		int slot = sw_alert_metric_slot((enum sw_alert_metric)m);
		uint64_t more;

		if (slot < 0 || !(a->metrics & 1U << m))
			continue;
		more = o->n[slot] - (same && b->n[slot] <= o->n[slot] ? b->n[slot] : 0);
		if (more > INT32_MAX)
			more = INT32_MAX;
		if (more)
			sw_alerts_count(a, SW_SCOPE_DOMAIN, uid, domain, (enum sw_alert_metric)m,
					(int64_t)more);
	}
}

/* Adds the destinations of `from` to `sketch`; about how many of them are new. */
static unsigned int add_destinations(uint64_t sketch[SW_SKETCH_WORDS], const __u64 *from)
{
	unsigned int before = sw_sketch_estimate(sketch, NULL);

	for (int i = 0; i < SW_SKETCH_WORDS; i++)
		sketch[i] |= from[i];
	return sw_sketch_estimate(sketch, NULL) - before;
}

static void count_destinations(struct sw_alerts *a, struct sw_base *b, const struct sw_origin *o,
			       uint32_t uid, const char *domain)
{
	bool fresh;
	struct sw_base *account = sw_bases_get(&a->accounts, uid, &fresh);
	unsigned int n = account ? add_destinations(account->sketch, o->sketch) : 0;

	/* Accounts are sampled first: one that is not there has no row, and all would be new. */
	if (account && fresh)
		account->epoch = a->epoch;
	if (n && !fresh && a->origins_primed)
		sw_alerts_count(a, SW_SCOPE_ACCOUNT, uid, NULL, SW_METRIC_DESTINATIONS, n);
	if (b->first_ns != o->first_ns)
		memset(b->sketch, 0, sizeof(b->sketch));
	n = add_destinations(b->sketch, o->sketch);
	if (n && domain && a->origins_primed)
		sw_alerts_count(a, SW_SCOPE_DOMAIN, uid, domain, SW_METRIC_DESTINATIONS, n);
}

static int take_origin(struct sw_alerts *a, const struct sw_origin_key *k, const struct sw_origin *o)
{
	bool fresh;
	struct sw_base *b = sw_bases_get(&a->origins, sw_origin_id(k), &fresh);
	const char *domain = NULL;

	if (!b)
		return -ENOMEM;
	b->epoch = a->epoch;
	if (!fresh && b->first_ns == o->first_ns && !memcmp(b->n, o->n, sizeof(b->n)) &&
	    (!a->need_sketch || !memcmp(b->sketch, o->sketch, sizeof(b->sketch))))
		return 0;
	if (!b->first_ns && !memcmp(b->n, (uint64_t[_SW_N_MAX]){}, sizeof(b->n)))
		b->first_ns = o->first_ns;
	if (a->origins_primed)
		domain = domain_of(a, b, k, o);
	if (domain)
		count_domain(a, b, o, k->uid, domain);
	if (a->need_sketch)
		count_destinations(a, b, o, k->uid, domain);
	b->first_ns = o->first_ns;
	memcpy(b->n, o->n, sizeof(b->n));
	return 0;
}

static bool is_account(const struct sw_origin_key *k)
{
	return k->uid != SW_CANARY_UID &&
	       (k->dev != SW_DEV_NONE || k->ino == SW_ROW_UID || k->ino == SW_ROW_MORE);
}

int sw_alerts_count_origins(struct sw_alerts *a, const struct sw_map_dump *d)
{
	int r = 0, err;

	if (d->key_size != sizeof(struct sw_origin_key) || d->value_size != sizeof(struct sw_origin))
		return -EINVAL;
	if (a->now.mono_ns - a->domains_ns >= DOMAINS_NS) {
		sw_alerts_forget_domains(a);
		a->domains_ns = a->now.mono_ns;
	}
	for (size_t i = 0; i < d->n; i++) {
		if (!is_account(sw_map_key(d, i)))
			continue;
		err = take_origin(a, sw_map_key(d, i), sw_map_value(d, i));
		r = r ?: err;
	}
	if (d->n < a->origins.n)
		sw_bases_prune(&a->origins, a->epoch);
	a->origins_primed = true;
	return r;
}
