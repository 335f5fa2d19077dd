/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "util.h"

static const uint16_t some_ports[] = { 25, 465, 587, 26, 2525, 24 };

uint32_t dice_below(struct dice *d, uint32_t n)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (uint32_t)((z ^ z >> 31) >> 32) % n;
}

bool dice_percent(struct dice *d, uint32_t percent)
{
	return dice_below(d, 100) < percent;
}

static void map_v4(uint8_t addr[16], uint32_t v4)
{
	v4 = htonl(v4);
	memset(addr, 0, 16);
	addr[10] = addr[11] = 0xff;
	memcpy(addr + 12, &v4, 4);
}

static bool is_v4(const uint8_t addr[16])
{
	uint8_t mapped[16];

	map_v4(mapped, 0);
	return !memcmp(addr, mapped, 12);
}

/* Of the networks for documentation, 233.252.0.0/24 and ff0e::db8:0:0/96. */
static void roll_multicast(struct dice *d, uint8_t addr[16])
{
	if (dice_percent(d, 60)) {
		map_v4(addr, 0xe9fc0000U + dice_below(d, 256));
	} else {
		memset(addr, 0, 16);
		addr[0] = 0xff;
		addr[1] = 0x0e;
		addr[10] = 0x0d;
		addr[11] = 0xb8;
		addr[15] = (uint8_t)dice_below(d, 256);
	}
}

/* Anything else would leave the machine where nothing denies it. */
static void keep_multicast(uint8_t addr[16])
{
	if (is_v4(addr))
		addr[12] = (addr[12] & 0x0f) | 0xe0;
	else
		addr[0] = 0xff;
}

static struct sw_quota roll_quota(struct dice *d)
{
	struct sw_quota q = { SW_UNLIMITED, SW_UNLIMITED };

	if (dice_percent(d, 60))
		q.per_hour = dice_below(d, 6);
	if (q.per_hour == SW_UNLIMITED || dice_percent(d, 20))
		q.per_day = dice_below(d, 8);
	return q;
}

static size_t roll_ids(struct dice *d, const uint32_t *from, size_t n_from, uint32_t percent,
		       uint32_t *to)
{
	size_t n = 0;

	for (size_t i = 0; i < n_from && n < MODEL_LIST; i++)
		if (dice_percent(d, percent))
			to[n++] = from[i];
	return n;
}

/* Both lists together are a part of some_ports; deny_ports may not be empty. Port 25 is the one
 * that is redirected. */
static void roll_ports(struct dice *d, struct model *m)
{
	for (size_t i = 0; i < ARRAY_SIZE(some_ports); i++) {
		uint32_t n = dice_below(d, 100);

		if (n < (i ? 50U : 70U) && m->n_deny < MODEL_PORTS)
			m->deny_port[m->n_deny++] = some_ports[i];
		else if (n < 80 && m->n_count < MODEL_PORTS)
			m->count_port[m->n_count++] = some_ports[i];
	}
	if (!m->n_deny)
		m->deny_port[m->n_deny++] = 2526;
}

static uint16_t policy_port(struct dice *d, const struct model *m)
{
	size_t i = dice_below(d, (uint32_t)(m->n_deny + m->n_count));

	return i < m->n_deny ? m->deny_port[i] : m->count_port[i - m->n_deny];
}

/* Prefixes from everything down to one address. */
static void roll_prefix(struct dice *d, const struct model_world *w, struct model_rule *r)
{
	static const uint8_t v4[] = { 96, 100, 104, 112, 120, 124, 126, 127, 128, 128, 128 };
	static const uint8_t v6[] = { 4, 8, 16, 96, 120, 124, 127, 128, 128, 128 };

	r->n_dest = 1;
	if (dice_percent(d, 15)) {
		memset(r->addr[0], 0, 16);
		r->len[0] = 0;
		return;
	}
	if (w->n_own && dice_percent(d, 10)) {
		memcpy(r->addr[0], w->own[dice_below(d, (uint32_t)w->n_own)], 16);
		r->len[0] = 128;
		return;
	}
	roll_multicast(d, r->addr[0]);
	r->len[0] = is_v4(r->addr[0]) ? v4[dice_below(d, ARRAY_SIZE(v4))] :
					v6[dice_below(d, ARRAY_SIZE(v6))];
}

static void roll_dest(struct dice *d, const struct model_world *w, struct model_rule *r)
{
	if (!dice_percent(d, 15)) {
		roll_prefix(d, w, r);
		return;
	}
	snprintf(r->host, sizeof(r->host), "host%u.example", dice_below(d, 1000));
	r->n_dest = dice_below(d, MODEL_DESTS + 1);	/* a name may not be known yet */
	for (size_t i = 0; i < r->n_dest; i++) {
		roll_multicast(d, r->addr[i]);
		r->len[i] = 128;
	}
}

static void roll_who(struct dice *d, const struct model_world *w, struct model_rule *r)
{
	static const enum sw_kind kinds[] = { SW_KIND_UID, SW_KIND_UID, SW_KIND_GID,
					      SW_KIND_CGROUP, SW_KIND_CGROUP, SW_KIND_ANY };

	r->kind = kinds[dice_below(d, ARRAY_SIZE(kinds))];
	if (r->kind == SW_KIND_UID)
		r->who = w->uid[dice_below(d, (uint32_t)w->n_uids)];
	else if (r->kind == SW_KIND_GID)
		r->who = w->gid[dice_below(d, (uint32_t)w->n_gids)];
	else
		r->who = r->kind == SW_KIND_CGROUP ? dice_below(d, MODEL_CGROUPS) : 0;
}

static void write_dest(const struct model_rule *r, char *text, size_t size)
{
	char addr[INET6_ADDRSTRLEN];
	bool v4 = is_v4(r->addr[0]);

	if (r->host[0]) {
		snprintf(text, size, "%s", r->host);
	} else if (!r->len[0]) {
		snprintf(text, size, "any");
	} else {
		inet_ntop(v4 ? AF_INET : AF_INET6, r->addr[0] + (v4 ? 12 : 0), addr, sizeof(addr));
		snprintf(text, size, "%s/%d", addr, r->len[0] - (v4 ? 96 : 0));
	}
}

/* What tells one rule from another: bits beyond the prefix do not. */
static void make_key(struct model_rule *r)
{
	struct model_rule copy = *r;
	char dest[64];
	size_t n;

	for (unsigned int bit = copy.len[0]; !copy.host[0] && bit < 128; bit++)
		copy.addr[0][bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
	write_dest(&copy, dest, sizeof(dest));
	n = (size_t)snprintf(r->key, sizeof(r->key), "%d %u %s", (int)r->kind, r->who, dest);
	for (size_t i = 0; i < r->n_ports && n < sizeof(r->key); i++)
		n += (size_t)snprintf(r->key + n, sizeof(r->key) - n, " %u", r->port[i]);
}

static bool has_rule(const struct model *m, const char *key)
{
	for (size_t i = 0; i < m->n_rules; i++)
		if (!strcmp(m->rule[i].key, key))
			return true;
	return false;
}

/* Often for the same destination as one before it, or even for the same caller as well: then the
 * order of kinds decides, or that of the lines. */
static void roll_rule(struct dice *d, const struct model_world *w, struct model *m)
{
	struct model_rule r = { .n_dest = 0 };
	uint32_t like = dice_below(d, 100);

	if (m->n_rules && like < 50) {
		r = m->rule[dice_below(d, (uint32_t)m->n_rules)];
		r.n_ports = 0;
	} else {
		roll_dest(d, w, &r);
	}
	r.quota = (struct sw_quota){ SW_UNLIMITED, SW_UNLIMITED };
	if (!m->n_rules || like >= 20)
		roll_who(d, w, &r);
	for (uint32_t n = dice_below(d, 3); r.n_ports < n;)
		r.port[r.n_ports++] = policy_port(d, m);
	if (dice_percent(d, 35))
		r.quota = roll_quota(d);
	make_key(&r);
	if (!has_rule(m, r.key) && !(w->no_cgroups && r.kind == SW_KIND_CGROUP))
		m->rule[m->n_rules++] = r;
}

static void roll_limit(struct dice *d, const struct model_world *w, struct model *m)
{
	struct model_limit l = { .kind = dice_percent(d, 60) ? SW_KIND_UID : SW_KIND_GID };

	l.id = l.kind == SW_KIND_UID ? w->uid[dice_below(d, (uint32_t)w->n_uids)] :
				       w->gid[dice_below(d, (uint32_t)w->n_gids)];
	l.quota = dice_percent(d, 15) ? (struct sw_quota){ SW_UNLIMITED, SW_UNLIMITED } :
					roll_quota(d);
	for (size_t i = 0; i < m->n_limits; i++)
		if (m->limit[i].kind == l.kind && m->limit[i].id == l.id)
			return;
	m->limit[m->n_limits++] = l;
}

static void roll_limits(struct dice *d, const struct model_world *w, struct model *m)
{
	m->by_default = m->server = (struct sw_quota){ SW_UNLIMITED, SW_UNLIMITED };
	if (dice_percent(d, 50))
		return;
	for (uint32_t n = dice_below(d, 6); n; n--)
		roll_limit(d, w, m);
	if (dice_percent(d, 40))
		m->by_default = roll_quota(d);
	if (dice_percent(d, 30))
		m->server = (struct sw_quota){ dice_below(d, 30), SW_UNLIMITED };
	m->deny_for = dice_percent(d, 20);
}

void model_roll(struct dice *d, const struct model_world *w, struct model *ret)
{
	static const enum sw_mode modes[] = { SW_MODE_ENFORCE, SW_MODE_ENFORCE, SW_MODE_OBSERVE,
					      SW_MODE_REDIRECT, SW_MODE_REDIRECT };
	struct model m = {
		.mode = modes[dice_below(d, ARRAY_SIZE(modes))],
		.refuse_with = (enum sw_refuse)dice_below(d, 3),
		.allow_local = dice_percent(d, 70),
		.strict = dice_percent(d, 30),
		.containers_exempt = dice_percent(d, 30),
		.redirect_port = w->redirect_port,
		.redirect4 = dice_percent(d, 40),
		.redirect6 = dice_percent(d, 30),
	};

	roll_ports(d, &m);
	m.n_uids = roll_ids(d, w->uid, w->n_uids, 25, m.uid);
	m.n_gids = roll_ids(d, w->gid, w->n_gids, 12, m.gid);
	for (size_t i = 0; i < MODEL_CGROUPS; i++)
		m.cgroup[i] = dice_percent(d, i ? 12 : 4) && !w->no_cgroups;
	if (w->no_redirect && m.mode == SW_MODE_REDIRECT)
		m.mode = SW_MODE_ENFORCE;
	if (dice_percent(d, 80))
		m.mail_uid = w->uid[dice_below(d, (uint32_t)w->n_uids)];
	for (uint32_t n = dice_percent(d, 15) ? 0 : dice_below(d, MODEL_LIST + 1); n; n--)
		roll_rule(d, w, &m);
	roll_limits(d, w, &m);
	*ret = m;
}

void model_roll_address(struct dice *d, const struct model_world *w, const struct model *m,
			uint8_t ret[16])
{
	static const char *const local[] = { "::ffff:127.0.0.1", "::ffff:127.200.3.4", "::1", "::",
					     "::ffff:0.0.0.0" };
	const struct model_rule *r;
	unsigned int bit;

	if (dice_percent(d, 12)) {
		inet_pton(AF_INET6, local[dice_below(d, ARRAY_SIZE(local))], ret);
		return;
	}
	if (w->n_own && dice_percent(d, 6)) {
		memcpy(ret, w->own[dice_below(d, (uint32_t)w->n_own)], 16);
		return;
	}
	roll_multicast(d, ret);
	r = m->n_rules && dice_percent(d, 80) ? &m->rule[dice_below(d, (uint32_t)m->n_rules)] : NULL;
	if (!r || !r->n_dest)
		return;
	memcpy(ret, r->addr[dice_below(d, (uint32_t)r->n_dest)], 16);
	bit = dice_below(d, 128);
	if (is_v4(ret) && bit < 96)
		bit = 96 + bit % 32;
	if (dice_percent(d, 50))
		ret[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	keep_multicast(ret);
}

uint16_t model_roll_port(struct dice *d, const struct model *m)
{
	if (m->mode == SW_MODE_REDIRECT && dice_percent(d, 40))
		return 25;
	if (dice_percent(d, 85))
		return policy_port(d, m);
	return some_ports[dice_below(d, ARRAY_SIZE(some_ports))];
}

static void write_quota(FILE *f, struct sw_quota q)
{
	if (q.per_hour == SW_UNLIMITED && q.per_day == SW_UNLIMITED)
		fprintf(f, " none");
	if (q.per_hour != SW_UNLIMITED)
		fprintf(f, " %u/hour", q.per_hour);
	if (q.per_day != SW_UNLIMITED)
		fprintf(f, " %u/day", q.per_day);
	fprintf(f, "\n");
}

static void write_numbers(FILE *f, const char *key, const uint32_t *n, size_t count)
{
	fprintf(f, "%s =", key);
	for (size_t i = 0; i < count; i++)
		fprintf(f, " %u", n[i]);
	fprintf(f, "\n");
}

static void write_ports(FILE *f, const char *key, const uint16_t *port, size_t count)
{
	fprintf(f, "%s =", key);
	for (size_t i = 0; i < count; i++)
		fprintf(f, " %u", port[i]);
	fprintf(f, "\n");
}

static void write_rule(FILE *f, const struct model_world *w, const struct model_rule *r)
{
	char dest[64];

	write_dest(r, dest, sizeof(dest));
	fprintf(f, "rule = %s ", sw_kind_name(r->kind));
	if (r->kind == SW_KIND_CGROUP)
		fprintf(f, "%s ", w->cgroup[r->who]);
	else if (r->kind != SW_KIND_ANY)
		fprintf(f, "%u ", r->who);
	fprintf(f, "to %s", dest);
	for (size_t i = 0; i < r->n_ports; i++)
		fprintf(f, "%s %u", i ? "" : " port", r->port[i]);
	if (r->quota.per_hour == SW_UNLIMITED && r->quota.per_day == SW_UNLIMITED) {
		fprintf(f, "\n");
		return;
	}
	fprintf(f, " limit");
	write_quota(f, r->quota);
}

static void write_policy(FILE *f, const struct model *m)
{
	static const char *const refuse[] = { "refused", "permission", "unreachable" };

	fprintf(f, "[policy]\nmode = %s\nrefuse_with = %s\nallow_local = %s\nidentity = %s\n"
		   "containers = %s\nredirect_port = %u\n",
		sw_mode_name(m->mode), refuse[m->refuse_with], m->allow_local ? "yes" : "no",
		m->strict ? "strict" : "effective", m->containers_exempt ? "exempt" : "deny",
		m->redirect_port);
	if (m->redirect4 || m->redirect6)
		fprintf(f, "redirect_to =%s%s\n", m->redirect4 ? " 127.0.0.1" : "",
			m->redirect6 ? " ::1" : "");
	write_ports(f, "deny_ports", m->deny_port, m->n_deny);
	write_ports(f, "count_ports", m->count_port, m->n_count);
}

static void write_limits(FILE *f, const struct model *m)
{
	fprintf(f, "[limit]\ndefault =");
	write_quota(f, m->by_default);
	fprintf(f, "server =");
	write_quota(f, m->server);
	fprintf(f, "deny_for = %s\n", m->deny_for ? "2h" : "none");
	for (size_t i = 0; i < m->n_limits; i++) {
		fprintf(f, "%s %u =", sw_kind_name(m->limit[i].kind), m->limit[i].id);
		write_quota(f, m->limit[i].quota);
	}
}

void model_write(const struct model *m, const struct model_world *w, char text[MODEL_TEXT])
{
	FILE *f = fmemopen(text, MODEL_TEXT, "w");

	if (!f)
		abort();
	write_policy(f, m);
	fprintf(f, "[exempt]\nmta = none\n");
	write_numbers(f, "users", m->uid, m->n_uids);
	write_numbers(f, "groups", m->gid, m->n_gids);
	fprintf(f, "cgroups =");
	for (size_t i = 0; i < MODEL_CGROUPS; i++)
		if (m->cgroup[i])
			fprintf(f, " %s", w->cgroup[i]);
	fprintf(f, "\n[allow]\n");
	for (size_t i = 0; i < m->n_rules; i++)
		write_rule(f, w, &m->rule[i]);
	write_limits(f, m);
	fprintf(f, "[tables]\nuids = 256\n");
	if (fclose(f) != 0 || strlen(text) + 1 >= MODEL_TEXT)
		abort();
}

void model_resolve(const struct model *m, struct sw_policy *p)
{
	for (size_t i = 0; i < m->n_rules; i++)
		if (m->rule[i].host[0] &&
		    sw_policy_set_addresses(p, i, m->rule[i].addr, m->rule[i].n_dest) < 0)
			abort();
	if (m->mail_uid && sw_policy_add_exempt(p, SW_KIND_MAIL_UID, m->mail_uid, "mail", 0, 0) < 0)
		abort();
}
