/* SPDX-License-Identifier: GPL-2.0-or-later */
/* [allow] and [limit] of smtpwall.conf. */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "config_int.h"
#include "domains.h"
#include "names.h"
#include "util.h"

#define MAX_WORD	SW_CONFIG_WORD
#define MAX_HOST	253

/* One line while it is taken apart. */
struct line {
	struct sw_load *l;
	const struct sw_setting *s;
	const char *rest;
	char word[MAX_WORD];	/* the next one; empty at the end */
};

static void next(struct line *at)
{
	if (!sw_config_word(&at->rest, at->word))
		at->word[0] = '\0';
}

static bool is(const struct line *at, const char *word)
{
	return !strcmp(at->word, word);
}

#define complain(at, ...) sw_config_report((at)->l, (at)->s->line, __VA_ARGS__)

/* "N/hour" or "N/day", into whichever of the two it is. */
static int one_quota(const char *word, struct sw_quota *q)
{
	const char *slash = strchr(word, '/');
	char digits[16];
	uint32_t n, *to;

	if (!slash || slash - word >= (long)sizeof(digits))
		return -EINVAL;
	snprintf(digits, sizeof(digits), "%.*s", (int)(slash - word), word);
	if (!strcmp(slash, "/hour") || !strcmp(slash, "/h"))
		to = &q->per_hour;
	else if (!strcmp(slash, "/day") || !strcmp(slash, "/d"))
		to = &q->per_day;
	else
		return -EINVAL;
	if (sw_id_parse(digits, &n) < 0 || n == SW_UNLIMITED)
		return -EINVAL;
	if (*to != SW_UNLIMITED)
		return -EEXIST;
	*to = n;
	return 0;
}

int sw_config_quota(struct sw_load *l, const struct sw_setting *s, const char *text,
		    struct sw_quota *ret)
{
	struct sw_quota q = { SW_UNLIMITED, SW_UNLIMITED };
	char word[MAX_WORD];
	int n = 0, r = 0;

	while (sw_config_word(&text, word) && !r) {
		n++;
		if (strcmp(word, "none") != 0)
			r = one_quota(word, &q);
		else if (n > 1 || text[strspn(text, " \t")])
			r = -EINVAL;
	}
	if (!n || r < 0) {
		sw_config_report(l, s->line, "'%.60s' is no limit; write none, N/hour, N/day or both, "
					     "such as 50/hour 200/day, in [limit] behind direct, local, "
				     "sendmail or all if wanted", s->value);
		return -EINVAL;
	}
	*ret = q;
	return 0;
}

static int find_channel(const char *word)
{
	for (int i = 0; i < _SW_CHANNEL_MAX; i++)
		if (!strcmp(word, sw_channel_name((enum sw_channel)i)))
			return i;
	return -1;
}

/* The text up to the next name of a channel, which *text then begins with. */
static void until_channel(const char **text, char *part, size_t size)
{
	char word[MAX_WORD];
	size_t used = 0;

	part[0] = '\0';
	for (const char *at = *text; sw_config_word(&at, word) && find_channel(word) < 0; *text = at)
		if (used < size)
			used += (size_t)snprintf(part + used, size - used, "%s ", word);
}

int sw_config_quotas(struct sw_load *l, const struct sw_setting *s, struct sw_quotas *ret)
{
	struct sw_quotas q = SW_QUOTAS_NONE;
	const char *text = s->value, *ahead = text;
	char word[MAX_WORD], part[256];
	bool named = sw_config_word(&ahead, word) && find_channel(word) >= 0;
	unsigned int seen = 0;

	do {
		int channel = SW_CHANNEL_DIRECT;

		if (named && sw_config_word(&text, word))
			channel = find_channel(word);
		if (seen & 1U << channel) {
			sw_config_report(l, s->line, "'%s' has two limits of %s", s->key, word);
			return -EINVAL;
		}
		seen |= 1U << channel;
		until_channel(&text, part, sizeof(part));
		if (sw_config_quota(l, s, part, &q.of[channel]) < 0)
			return -EINVAL;
		named = true;
	} while (text[strspn(text, " \t")]);
	*ret = q;
	return 0;
}

/* Letters, digits, hyphens and dots, at least one letter in the last part: an address that is
 * written wrongly must not become a name. */
static bool is_host_name(const char *name)
{
	const char *last = strrchr(name, '.');
	size_t label = 0;

	if (strlen(name) > MAX_HOST)
		return false;
	for (const char *p = name; *p; p++) {
		bool good = isalnum((unsigned char)*p) || *p == '_' ||
			    (*p == '-' && label) || (*p == '.' && label && p[-1] != '-');

		label = *p == '.' ? 0 : label + 1;
		if (!good || label > 63)
			return false;
	}
	if (!last || !last[1])
		last = name;
	for (; *last; last++)
		if (isalpha((unsigned char)*last))
			return name[strlen(name) - 1] != '-';
	return false;
}

/* Clears what lies beyond the prefix. */
static void mask(struct sw_prefix *p)
{
	for (unsigned int bit = p->len; bit < 128; bit++)
		p->addr[bit / 8] &= (uint8_t)~(0x80 >> bit % 8);
}

/* An address, with or without a prefix length. */
static bool parse_prefix(const char *word, struct sw_prefix *ret)
{
	const char *slash = strchr(word, '/');
	struct sw_prefix p = { .len = 128 };
	char addr[INET6_ADDRSTRLEN];
	uint32_t len, bits = 128;

	size_t n = slash ? (size_t)(slash - word) : strlen(word);

	if (n >= sizeof(addr))
		return false;
	memcpy(addr, word, n);
	addr[n] = '\0';
	if (inet_pton(AF_INET, addr, p.addr + 12) == 1) {
		p.addr[10] = p.addr[11] = 0xff;
		bits = 32;
	} else if (inet_pton(AF_INET6, addr, p.addr) != 1) {
		return false;
	}
	if (slash) {
		if (sw_id_parse(slash + 1, &len) < 0 || len > bits)
			return false;
		p.len = (uint8_t)(128 - bits + len);
	}
	mask(&p);
	*ret = p;
	return true;
}

/* IPv4 lies inside the IPv6 space: a short prefix of zeros would open it by the way. */
static bool covers_ipv4(const struct sw_prefix *p)
{
	static const uint8_t zero[16];

	return p->len < 96 && !memcmp(p->addr, zero, 10) &&
	       (p->len <= 80 || (p->addr[10] == 0xff));
}

/* user NAME | group NAME | cgroup PATH | any */
static bool parse_who(struct line *at, struct sw_allow_rule *r, FILE *text)
{
	struct sw_policy_cgroup *c;

	if (is(at, "any")) {
		r->kind = SW_KIND_ANY;
		fputs("any", text);
		next(at);
		return true;
	}
	r->kind = is(at, "user") ? SW_KIND_UID : is(at, "group") ? SW_KIND_GID :
		  is(at, "cgroup") ? SW_KIND_CGROUP : (enum sw_kind)0;
	if (!r->kind) {
		complain(at, "a rule begins with user, group, cgroup or any, not with '%.60s'",
			 at->word);
		return false;
	}
	next(at);
	if (!at->word[0]) {
		complain(at, "the rule ends where a %s should be named", sw_kind_name(r->kind));
		return false;
	}
	if (r->kind == SW_KIND_CGROUP) {
		c = sw_config_cgroup_entry(at->l, at->s->line, at->word);
		if (!c)
			return false;
		r->who = sw_policy_cgroup_who(&at->l->policy, c);
		fprintf(text, "cgroup %s", c->path);
	} else {
		if (!sw_config_account(at->l, at->s->line, "the rule", r->kind, at->word, &r->who))
			return false;
		fprintf(text, "%s %u", sw_kind_name(r->kind), r->who);
	}
	next(at);
	return true;
}

static bool parse_dest(struct line *at, struct sw_allow_rule *r, FILE *text)
{
	struct sw_prefix p = {};
	char addr[INET6_ADDRSTRLEN];

	if (!is(at, "to")) {
		complain(at, "'to' should stand where the rule has '%.60s'", at->word);
		return false;
	}
	next(at);
	if (!is(at, "any") && parse_prefix(at->word, &p) && covers_ipv4(&p)) {
		complain(at, "'%s' covers IPv4 addresses too; write any, or 2000::/3 for all of "
			 "IPv6", at->word);
		return false;
	}
	if (!is(at, "any") && !parse_prefix(at->word, &p)) {
		if (!is_host_name(at->word)) {
			complain(at, "'%.60s' is no address, prefix or host name", at->word);
			return false;
		}
		for (char *c = at->word; *c; c++)
			*c = (char)tolower((unsigned char)*c);
		fprintf(text, " to %s", at->word);
		r->host = strdup(at->word);
	} else {
		inet_ntop(AF_INET6, p.addr, addr, sizeof(addr));
		fprintf(text, " to %s/%u", addr, p.len);
		r->dest = malloc(sizeof(*r->dest));
		if (r->dest)
			*r->dest = p;
		r->n_dest = 1;
	}
	if (!r->host && !r->dest)
		at->l->err = -ENOMEM;
	next(at);
	return true;
}

static bool parse_ports(struct line *at, struct sw_allow_rule *r, FILE *text)
{
	uint32_t port;

	if (!is(at, "port") && !is(at, "ports"))
		return true;
	for (next(at); at->word[0] && !is(at, "limit"); next(at)) {
		if (sw_id_parse(at->word, &port) < 0 || !port || port > UINT16_MAX) {
			complain(at, "'%.60s' is no port from 1 to 65535", at->word);
			return false;
		}
		if (r->n_ports == SW_MAX_PORTS) {
			complain(at, "a rule may name %d ports", SW_MAX_PORTS);
			return false;
		}
		r->port[r->n_ports++] = (uint16_t)port;
		fprintf(text, " port %u", port);
	}
	if (!r->n_ports)
		complain(at, "'port' is followed by no port");
	return r->n_ports > 0;
}

static bool parse_limit(struct line *at, struct sw_allow_rule *r)
{
	r->quota = (struct sw_quota){ SW_UNLIMITED, SW_UNLIMITED };
	if (is(at, "limit")) {
		const char *quota = at->rest;

		if (sw_config_quota(at->l, at->s, quota, &r->quota) < 0)
			return false;
		at->word[0] = '\0';
	}
	if (at->word[0])
		complain(at, "'%.60s' should be port or limit: WHO to DEST [port N...] [limit "
			 "N/day]", at->word);
	return !at->word[0];
}

static bool parse_rule(struct line *at, struct sw_allow_rule *r, FILE *text)
{
	return parse_who(at, r, text) && parse_dest(at, r, text) && parse_ports(at, r, text) &&
	       parse_limit(at, r);
}

static void add(struct line *at, struct sw_allow_rule *r)
{
	struct sw_policy *p = &at->l->policy;
	size_t other = 0;
	int err = sw_policy_add_rule(p, r, &other);

	if (!err)
		return;
	if (err == -EEXIST)
		complain(at, "the same rule as in %s:%u", p->sources[p->rules[other].source],
			 p->rules[other].line);
	else
		at->l->err = err;
	sw_allow_rule_free(r);
}

void sw_config_rule(struct sw_load *l, const struct sw_setting *s)
{
	struct line at = { .l = l, .s = s, .rest = s->value };
	struct sw_allow_rule r = { .source = l->source, .line = s->line };
	size_t len;
	FILE *text = open_memstream(&r.text, &len);
	bool good;

	if (!text) {
		l->err = -ENOMEM;
		return;
	}
	next(&at);
	good = parse_rule(&at, &r, text);
	if (fclose(text) != 0 || !r.text)
		l->err = -ENOMEM;
	if (good && !l->err)
		add(&at, &r);
	else
		sw_allow_rule_free(&r);
}

static bool is_policy_port(const struct sw_policy *p, uint16_t port)
{
	for (size_t i = 0; i < p->n_deny_ports; i++)
		if (p->deny_ports[i] == port)
			return true;
	for (size_t i = 0; i < p->n_count_ports; i++)
		if (p->count_ports[i] == port)
			return true;
	return false;
}

void sw_config_check_rules(struct sw_load *l)
{
	const struct sw_policy *p = &l->policy;

	for (size_t i = 0; i < p->n_rules; i++) {
		const struct sw_allow_rule *r = &p->rules[i];

		l->file = p->sources[r->source];
		for (size_t j = 0; j < r->n_ports; j++)
			if (!is_policy_port(p, r->port[j]))
				sw_config_report(l, r->line, "port %u of the rule is in neither deny_ports "
						 "nor count_ports: it is open to everybody; add it there "
						 "or take the rule out", r->port[j]);
	}
}

static void add_limit(struct sw_load *l, const struct sw_setting *s, enum sw_kind kind,
		      uint32_t id, struct sw_quotas quotas, bool by_group)
{
	const struct sw_policy_limit limit = {
		.kind = kind, .id = id, .quotas = quotas, .by_group = by_group,
		.source = l->source, .line = s->line,
	};
	const struct sw_policy_limit *old;
	int r = sw_policy_add_limit(&l->policy, &limit);

	if (r == -EEXIST && !by_group) {
		old = sw_policy_find_limit(&l->policy, kind, id);
		sw_config_report(l, s->line, "the limit of this %s is set already, in %s:%u",
				 sw_kind_name(kind), l->policy.sources[old->source], old->line);
	} else if (r < 0 && r != -EEXIST) {
		l->err = r;
	}
}

/* The kernel knows a caller's primary group; those who are members by /etc/group get a limit each
 * of their own. */
static void add_members(struct sw_load *l, const struct sw_setting *s, gid_t gid,
			struct sw_quotas quotas)
{
	const struct group *gr = getgrgid(gid);
	uint32_t uid;

	for (char **name = gr ? gr->gr_mem : NULL; name && *name; name++)
		if (sw_user_resolve(*name, &uid, NULL) == 0)
			add_limit(l, s, SW_KIND_UID, uid, quotas, true);
}

/* Whose it is, domain sources say when the policy is applied. */
static void add_domain(struct sw_load *l, const struct sw_setting *s, const char *name)
{
	struct sw_policy *p = &l->policy;
	struct sw_domain_limit *grown, d = { .source = l->source, .line = s->line };
	_cleanup_free_ char *clean = sw_domains_clean(name);

	if (!clean && errno == EINVAL)
		sw_config_report(l, s->line, "'%.60s' is no domain name", name);
	else if (!clean)
		l->err = -ENOMEM;
	if (!clean || sw_config_quotas(l, s, &d.quotas) < 0)
		return;
	for (size_t i = 0; i < p->n_domain_limits; i++) {
		const struct sw_domain_limit *old = &p->domain_limits[i];

		if (!strcmp(old->domain, clean)) {
			sw_config_report(l, s->line, "the limit of this domain is set already, in %s:%u",
					 p->sources[old->source], old->line);
			return;
		}
	}
	grown = reallocarray(p->domain_limits, p->n_domain_limits + 1, sizeof(*grown));
	if (!grown) {
		l->err = -ENOMEM;
		return;
	}
	p->domain_limits = grown;
	d.domain = TAKE_PTR(clean);
	p->domain_limits[p->n_domain_limits++] = d;
}

bool sw_config_limit(struct sw_load *l, const struct sw_setting *s)
{
	const char *text = s->key;
	char word[MAX_WORD], name[MAX_WORD];
	enum sw_kind kind;
	struct sw_quotas quotas;
	uint32_t id;

	if (!sw_config_word(&text, word))
		return false;
	if (!strcmp(word, "user"))
		kind = SW_KIND_UID;
	else if (!strcmp(word, "group"))
		kind = SW_KIND_GID;
	else if (!strcmp(word, "domain"))
		kind = SW_KIND_ANY;
	else
		return false;
	if (!sw_config_word(&text, name) || text[strspn(text, " \t")]) {
		sw_config_report(l, s->line, "'%.60s' should be %s and one name", s->key, word);
		return true;
	}
	if (kind == SW_KIND_ANY) {
		add_domain(l, s, name);
		return true;
	}
	if (!sw_config_account(l, s->line, "[limit]", kind, name, &id) ||
	    sw_config_quotas(l, s, &quotas) < 0)
		return true;
	add_limit(l, s, kind, id, quotas, false);
	if (kind == SW_KIND_GID)
		add_members(l, s, id, quotas);
	return true;
}
