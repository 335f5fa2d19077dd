/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "oracle.h"
#include "util.h"

static bool in_ports(const uint16_t *list, size_t n, uint16_t port)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == port)
			return true;
	return false;
}

static bool in_ids(const uint32_t *list, size_t n, uint32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == id)
			return true;
	return false;
}

static bool is_bit(const uint8_t addr[16], unsigned int bit)
{
	return addr[bit / 8] >> (7 - bit % 8) & 1;
}

bool oracle_in_network(const uint8_t addr[16], const char *net, unsigned int len)
{
	uint8_t other[16];

	inet_pton(AF_INET6, net, other);
	for (unsigned int bit = 0; bit < len; bit++)
		if (is_bit(addr, bit) != is_bit(other, bit))
			return false;
	return true;
}

bool oracle_is_local(const struct model_world *w, const uint8_t addr[16])
{
	if (oracle_in_network(addr, "::1", 128) || oracle_in_network(addr, "::", 128) ||
	    oracle_in_network(addr, "::ffff:127.0.0.0", 104) ||
	    oracle_in_network(addr, "::ffff:0.0.0.0", 128))
		return true;
	for (size_t i = 0; i < w->n_own; i++)
		if (!memcmp(w->own[i], addr, 16))
			return true;
	return false;
}

bool oracle_denied(const struct oracle_state *s, uint32_t uid)
{
	return in_ids(s->denied, s->n_denied, uid);
}

static uint32_t charged(const struct model *m, const struct oracle_who *who)
{
	if (in_ids(m->uid, m->n_uids, who->euid) && !in_ids(m->uid, m->n_uids, who->ruid))
		return who->ruid;
	return who->euid;
}

/* With identity = strict what is said of a user or group needs an exempt real user as well. */
static bool real_is_good(const struct model *m, const struct oracle_who *who)
{
	return !m->strict || in_ids(m->uid, m->n_uids, who->ruid);
}

static bool is_exempt(const struct model *m, const struct oracle_who *who, enum sw_reason *why)
{
	bool user = in_ids(m->uid, m->n_uids, who->euid);
	bool group = in_ids(m->gid, m->n_gids, who->egid);
	bool here = m->containers_exempt || !who->container;

	*why = SW_BY_POLICY;
	if (user || group) {
		*why = user ? SW_BY_EXEMPT_UID : SW_BY_EXEMPT_GID;
		if (here && real_is_good(m, who))
			return true;
		*why = here ? SW_BY_REAL_UID : SW_BY_CONTAINER;
	}
	for (size_t i = 0; i < MODEL_CGROUPS; i++) {
		if (m->cgroup[i] && who->cgroup[i]) {
			*why = SW_BY_EXEMPT_CGROUP;
			return true;
		}
	}
	return false;
}

/* The best rule of one kind and identity for this destination; -1: none. */
static int best_rule(const struct model *m, enum sw_kind kind, uint32_t id, const uint8_t addr[16],
		     uint16_t port)
{
	int best = -1, longest = -1;

	for (size_t i = 0; i < m->n_rules; i++) {
		const struct model_rule *r = &m->rule[i];

		if (r->kind != kind || r->who != id ||
		    (r->n_ports && !in_ports(r->port, r->n_ports, port)))
			continue;
		for (size_t j = 0; j < r->n_dest; j++) {
			unsigned int bit = 0;

			while (bit < r->len[j] && is_bit(addr, bit) == is_bit(r->addr[j], bit))
				bit++;
			if (bit == r->len[j] && (int)r->len[j] > longest) {
				longest = r->len[j];
				best = (int)i;
			}
		}
	}
	return best;
}

/* Users, then groups, then cgroups from the nearest up (deeper ones have the higher index on one
 * path), then everybody. */
static int find_rule(const struct model *m, const struct oracle_who *who, const uint8_t addr[16],
		     uint16_t port)
{
	bool ids = (m->containers_exempt || !who->container) &&
		   (who->ruid == who->euid || real_is_good(m, who));
	int r = ids ? best_rule(m, SW_KIND_UID, who->euid, addr, port) : -1;

	if (r < 0 && ids)
		r = best_rule(m, SW_KIND_GID, who->egid, addr, port);
	for (uint32_t i = MODEL_CGROUPS; r < 0 && i > 0; i--)
		if (who->cgroup[i - 1])
			r = best_rule(m, SW_KIND_CGROUP, i - 1, addr, port);
	return r < 0 ? best_rule(m, SW_KIND_ANY, 0, addr, port) : r;
}

static uint32_t *window(struct oracle_state *s, const char *key)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strcmp(s->window[i].key, key))
			return &s->window[i].used;
	if (s->n == ORACLE_WINDOWS)
		abort();
	snprintf(s->window[s->n].key, MODEL_KEY, "%s", key);
	s->window[s->n].used = 0;
	return &s->window[s->n++].used;
}

static bool is_limit(struct sw_quota q)
{
	return q.per_hour != SW_UNLIMITED || q.per_day != SW_UNLIMITED;
}

/* Keys of rules begin with their kind, a number. */
static bool is_kept(const struct model *m, const char *key)
{
	for (size_t i = 0; i < m->n_rules; i++)
		if (!strcmp(m->rule[i].key, key))
			return is_limit(m->rule[i].quota);
	return !(key[0] >= '0' && key[0] <= '9');
}

void oracle_applied(const struct model *m, struct oracle_state *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		if (is_kept(m, s->window[i].key))
			s->window[kept++] = s->window[i];
	s->n = kept;
}

static bool is_left(const uint32_t *used, struct sw_quota q)
{
	return *used < q.per_hour && *used < q.per_day;
}

static struct sw_quota account_quota(const struct model *m, const struct oracle_who *who,
				     const struct oracle_answer *a)
{
	for (size_t i = 0; i < m->n_limits; i++)
		if (m->limit[i].kind == SW_KIND_UID && m->limit[i].id == a->charged)
			return m->limit[i].quota;
	for (size_t i = 0; i < m->n_limits; i++)
		if (m->limit[i].kind == SW_KIND_GID && m->limit[i].id == who->egid)
			return m->limit[i].quota;
	if (a->reason == SW_BY_COUNT_PORT)
		return m->by_default;
	return (struct sw_quota){ SW_UNLIMITED, SW_UNLIMITED };
}

/* All limits have one left, or none is touched. */
static bool within_limits(const struct model *m, struct oracle_state *s,
			  const struct oracle_who *who, struct oracle_answer *a)
{
	const struct model_rule *rule = a->reason == SW_BY_RULE ? &m->rule[a->rule] : NULL;
	struct sw_quota account = account_quota(m, who, a);
	uint32_t *of_account, *of_rule = NULL, *of_server;
	char key[MODEL_KEY];

	snprintf(key, sizeof(key), "account %u", a->charged);
	of_account = window(s, key);
	of_server = window(s, "server");
	if (is_limit(account) && !is_left(of_account, account)) {
		a->reason = SW_BY_ACCOUNT_LIMIT;
		return false;
	}
	if (rule && is_limit(rule->quota)) {
		of_rule = window(s, rule->key);
		if (!is_left(of_rule, rule->quota)) {
			a->reason = SW_BY_RULE_LIMIT;
			return false;
		}
	}
	if (is_limit(m->server) && !is_left(of_server, m->server)) {
		a->reason = SW_BY_SERVER_LIMIT;
		return false;
	}
	*of_account += is_limit(account);
	if (of_rule)
		(*of_rule)++;
	*of_server += is_limit(m->server);
	return true;
}

/* Nothing allows it. */
static void refuse(const struct model *m, const struct oracle_who *who, const uint8_t addr[16],
		   uint16_t port, bool bound, struct oracle_answer *a)
{
	bool no_v4 = m->redirect6 && !m->redirect4;

	a->verdict = m->mode == SW_MODE_OBSERVE ? SW_OBSERVE : SW_DENY;
	if (m->mode != SW_MODE_REDIRECT || port != 25 || who->container)
		return;
	if (m->mail_uid && who->euid == m->mail_uid)
		a->reason = SW_BY_LOOP;
	else if (bound)
		a->reason = SW_BY_DEVICE;
	else if (!no_v4 || !oracle_in_network(addr, "::ffff:0.0.0.0", 96))
		a->verdict = SW_REDIRECT;
}

static void over_limit(const struct model *m, struct oracle_state *s, bool exempt,
		       struct oracle_answer *a)
{
	a->verdict = m->mode == SW_MODE_OBSERVE ? SW_OBSERVE : SW_LIMITED;
	if (m->deny_for && a->verdict == SW_LIMITED && !exempt && a->reason != SW_BY_SERVER_LIMIT &&
	    !oracle_denied(s, a->charged))
		s->denied[s->n_denied++] = a->charged;
}

void oracle_decide(const struct model *m, struct oracle_state *s, const struct oracle_who *who,
		   const struct model_world *w, const uint8_t addr[16], uint16_t port, bool bound,
		   struct oracle_answer *ret)
{
	bool deny_port = in_ports(m->deny_port, m->n_deny, port);
	struct oracle_answer a = { .rule = -1, .charged = charged(m, who) };
	bool exempt = false;

	*ret = a;
	if (!deny_port && !in_ports(m->count_port, m->n_count, port))
		return;
	a.smtp = true;
	a.verdict = SW_ALLOW;
	if (oracle_denied(s, a.charged)) {
		a.reason = SW_BY_DENIED_NOW;
		a.verdict = m->mode == SW_MODE_OBSERVE ? SW_OBSERVE : SW_DENY;
	} else if (m->allow_local && oracle_is_local(w, addr)) {
		a.reason = SW_BY_LOCAL;
	} else {
		exempt = is_exempt(m, who, &a.reason);
		if (!exempt)
			a.rule = find_rule(m, who, addr, port);
		if (a.rule >= 0)
			a.reason = SW_BY_RULE;
		else if (!exempt && !deny_port)
			a.reason = SW_BY_COUNT_PORT;
		if (!exempt && a.rule < 0 && deny_port)
			refuse(m, who, addr, port, bound, &a);
		else if (!within_limits(m, s, who, &a))
			over_limit(m, s, exempt, &a);
	}
	*ret = a;
}
