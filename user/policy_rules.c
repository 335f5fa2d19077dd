/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Allow rules, limits and cgroup paths of a policy. */
#include <errno.h>
#include <string.h>

#include "digest.h"
#include "policy.h"
#include "util.h"

/* The array with room for one more, for arrays that double; NULL without memory, and then the
 * old one is as it was. */
static void *grow(void *array, size_t n, size_t size)
{
	if (n && (n & (n - 1)))
		return array;	/* there is room up to the next power of two */
	return reallocarray(array, n ? n * 2 : 1, size);
}

/* Depth of a cgroup path below the root: "/a.slice/b.service" is 2. */
static uint8_t path_level(const char *path)
{
	unsigned int n = 0;

	for (; *path; path++)
		n += *path != '/' && (path[1] == '/' || !path[1]);
	return n > UINT8_MAX ? UINT8_MAX : (uint8_t)n;
}

struct sw_policy_cgroup *sw_policy_cgroup(struct sw_policy *p, const char *path, uint64_t id)
{
	struct sw_policy_cgroup *grown;
	char *copy;

	for (size_t i = 0; i < p->n_cgroups; i++)
		if (!strcmp(p->cgroups[i].path, path))
			return &p->cgroups[i];
	grown = grow(p->cgroups, p->n_cgroups, sizeof(*grown));
	if (!grown)
		return NULL;
	p->cgroups = grown;
	copy = strdup(path);
	if (!copy)
		return NULL;
	p->cgroups[p->n_cgroups] = (struct sw_policy_cgroup){
		.path = copy,
		.id = id,
		.level = path_level(path),
	};
	return &p->cgroups[p->n_cgroups++];
}

uint32_t sw_policy_cgroup_who(struct sw_policy *p, struct sw_policy_cgroup *c)
{
	if (!c->who)
		c->who = (uint32_t)(c - p->cgroups) + 1;
	return c->who;
}

void sw_allow_rule_free(struct sw_allow_rule *r)
{
	free(r->dest);
	free(r->host);
	free(r->text);
	*r = (struct sw_allow_rule){};
}

#define INDEX_MIN 64

/* The slot of a rule: the one it is in, or the free one where it belongs. With `text` NULL that of
 * the first rule with this id. */
static uint32_t *rule_slot(const struct sw_policy *p, uint64_t id, const char *text)
{
	for (size_t i = id;; i++) {
		uint32_t *slot = &p->rule_index[i & (p->n_rule_index - 1)];
		const struct sw_allow_rule *r = *slot ? &p->rules[*slot - 1] : NULL;

		if (!r || (r->id == id && (!text || !strcmp(r->text, text))))
			return slot;
	}
}

/* Room for one more: a policy of thousands of rules is read in one go. */
static int grow_rules(struct sw_policy *p)
{
	size_t n_index = p->n_rule_index ? p->n_rule_index * 2 : INDEX_MIN;
	struct sw_allow_rule *grown = grow(p->rules, p->n_rules, sizeof(*grown));
	uint32_t *fresh;

	if (!grown)
		return -ENOMEM;
	p->rules = grown;
	if (p->n_rules < p->n_rule_index / 2)
		return 0;
	fresh = calloc(n_index, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	free(p->rule_index);
	p->rule_index = fresh;
	p->n_rule_index = n_index;
	for (size_t i = 0; i < p->n_rules; i++)
		*rule_slot(p, p->rules[i].id, p->rules[i].text) = (uint32_t)i + 1;
	return 0;
}

int sw_policy_add_rule(struct sw_policy *p, const struct sw_allow_rule *r, size_t *ret_other)
{
	uint64_t id = sw_digest(SW_DIGEST_EMPTY, r->text, strlen(r->text));
	uint32_t *slot;
	int err = grow_rules(p);

	if (err < 0)
		return err;
	slot = rule_slot(p, id, r->text);
	if (*slot) {
		*ret_other = *slot - 1;
		return -EEXIST;
	}
	p->rules[p->n_rules] = *r;
	p->rules[p->n_rules++].id = id;
	*slot = (uint32_t)p->n_rules;
	return 0;
}

const struct sw_allow_rule *sw_policy_find_rule(const struct sw_policy *p, uint64_t id)
{
	const uint32_t *slot = p->n_rule_index ? rule_slot(p, id, NULL) : NULL;

	return slot && *slot ? &p->rules[*slot - 1] : NULL;
}

int sw_policy_set_addresses(struct sw_policy *p, size_t i, const uint8_t (*addr)[16], size_t n)
{
	struct sw_prefix *dest = calloc(n + 1, sizeof(*dest));

	if (!dest)
		return -ENOMEM;
	for (size_t j = 0; j < n; j++) {
		memcpy(dest[j].addr, addr[j], 16);
		dest[j].len = 128;
	}
	free(p->rules[i].dest);
	p->rules[i].dest = dest;
	p->rules[i].n_dest = n;
	return 0;
}

/* The slot of (kind, id): the one it is in, or the free one where it belongs. */
static uint32_t *limit_slot(const struct sw_policy *p, enum sw_kind kind, uint32_t id)
{
	uint64_t h = ((uint64_t)id * _SW_KIND_MAX + kind) * 0x9e3779b97f4a7c15ULL;

	for (size_t i = h >> 32;; i++) {
		uint32_t *slot = &p->limit_index[i & (p->n_limit_index - 1)];
		const struct sw_policy_limit *l = *slot ? &p->limits[*slot - 1] : NULL;

		if (!l || (l->kind == kind && l->id == id))
			return slot;
	}
}

static int grow_limits(struct sw_policy *p)
{
	size_t n_index = p->n_limit_index ? p->n_limit_index * 2 : INDEX_MIN;
	struct sw_policy_limit *grown = grow(p->limits, p->n_limits, sizeof(*grown));
	uint32_t *fresh;

	if (!grown)
		return -ENOMEM;
	p->limits = grown;
	if (p->n_limits < p->n_limit_index / 2)
		return 0;
	fresh = calloc(n_index, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	free(p->limit_index);
	p->limit_index = fresh;
	p->n_limit_index = n_index;
	for (size_t i = 0; i < p->n_limits; i++)
		*limit_slot(p, p->limits[i].kind, p->limits[i].id) = (uint32_t)i + 1;
	return 0;
}

int sw_policy_add_limit(struct sw_policy *p, const struct sw_policy_limit *l)
{
	uint32_t *slot;
	int r = grow_limits(p);

	if (r < 0)
		return r;
	slot = limit_slot(p, l->kind, l->id);
	if (*slot) {
		struct sw_policy_limit *old = &p->limits[*slot - 1];

		if (!old->by_group || l->by_group)
			return -EEXIST;
		*old = *l;
		return 0;
	}
	p->limits[p->n_limits++] = *l;
	*slot = (uint32_t)p->n_limits;
	return 0;
}

const struct sw_policy_limit *sw_policy_find_limit(const struct sw_policy *p, enum sw_kind kind,
						   uint32_t id)
{
	const uint32_t *slot = p->n_limit_index ? limit_slot(p, kind, id) : NULL;

	return slot && *slot ? &p->limits[*slot - 1] : NULL;
}

bool sw_quota_limits(struct sw_quota q)
{
	return q.per_hour != SW_UNLIMITED || q.per_day != SW_UNLIMITED;
}

bool sw_quotas_limit(const struct sw_quotas *q)
{
	for (int i = 0; i < _SW_CHANNEL_MAX; i++)
		if (sw_quota_limits(q->of[i]))
			return true;
	return false;
}

const char *sw_channel_name(enum sw_channel channel)
{
	static const char *const names[_SW_CHANNEL_MAX] = {
		[SW_CHANNEL_DIRECT] = "direct",	    [SW_CHANNEL_LOCAL] = "local",
		[SW_CHANNEL_SENDMAIL] = "sendmail", [SW_CHANNEL_ALL] = "all",
	};

	return channel < _SW_CHANNEL_MAX ? names[channel] : "?";
}
