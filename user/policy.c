/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "digest.h"
#include "names.h"
#include "policy.h"
#include "util.h"

#define DEFAULT_UIDS		32768
#define DEFAULT_ORIGINS		16384
#define DEFAULT_EVENT_BUFFER	(512 * 1024)

/* root always; mail only where it is the distribution's account and no customer's. */
static int add_default_exempt(struct sw_policy *p)
{
	uid_t uid;
	int r;

	r = sw_policy_add_exempt(p, SW_KIND_UID, 0, "root", 0, 0);
	if (r < 0)
		return r;
	if (sw_user_resolve("mail", &uid, NULL) < 0 || !sw_uid_is_system(uid))
		return 0;
	return sw_policy_add_exempt(p, SW_KIND_UID, uid, "mail", 0, 0);
}

int sw_policy_default(struct sw_policy *ret)
{
	struct sw_policy p = {
		.mode = SW_MODE_ENFORCE,
		.deny_ports = { 25 },
		.n_deny_ports = 1,
		.count_ports = { 465, 587 },
		.n_count_ports = 2,
		.refuse_with = SW_REFUSE_REFUSED,
		.mta = SW_MTA_AUTO,
		.allow_local = true,
		.outcomes = true,
		.existing_close = true,
		.max_uids = DEFAULT_UIDS,
		.max_origins = DEFAULT_ORIGINS,
		.event_buffer = DEFAULT_EVENT_BUFFER,
		.history_days = 90,
		.config_digest = SW_DIGEST_EMPTY,
		.history_events = 100000,
		.metrics_top = 20,
		.default_quota = SW_QUOTAS_NONE,
		.server_quota = SW_QUOTAS_NONE,
		.redirect_port = 25,
	};
	int r;

	sw_alert_config_default(&p.alerts);
	r = sw_policy_add_source(&p, "built-in default");
	if (r >= 0)
		r = add_default_exempt(&p);
	if (r < 0) {
		sw_policy_free(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void sw_policy_free(struct sw_policy *p)
{
	size_t i;

	for (i = 0; i < p->n_exempt; i++)
		free(p->exempt[i].name);
	for (i = 0; i < p->n_sources; i++)
		free(p->sources[i]);
	for (i = 0; i < p->n_cgroups; i++)
		free(p->cgroups[i].path);
	for (i = 0; i < p->n_rules; i++)
		sw_allow_rule_free(&p->rules[i]);
	free(p->cgroups);
	free(p->rules);
	free(p->rule_index);
	for (i = 0; i < p->n_domain_limits; i++)
		free(p->domain_limits[i].domain);
	free(p->domain_limits);
	free(p->limits);
	free(p->limit_index);
	free(p->domain_sources);
	free(p->domain_root);
	free(p->metrics_listen);
	free(p->metrics_textfile);
	sw_alert_config_free(&p->alerts);
	free(p->exempt);
	free(p->exempt_index);
	free(p->sources);
	memset(p, 0, sizeof(*p));
}

int sw_policy_add_source(struct sw_policy *p, const char *text)
{
	char **grown, *copy;
	size_t i;

	for (i = 0; i < p->n_sources; i++)
		if (!strcmp(p->sources[i], text))
			return (int)i;

	grown = reallocarray(p->sources, p->n_sources + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->sources = grown;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	p->sources[p->n_sources] = copy;
	return (int)p->n_sources++;
}

#define INDEX_MIN 64

/* The slot of (kind, id) in the index: the one it is in, or the free one where it belongs. */
static uint32_t *index_slot(const struct sw_policy *p, enum sw_kind kind, uint64_t id)
{
	uint64_t h = (id * _SW_KIND_MAX + kind) * 0x9e3779b97f4a7c15ULL;

	for (size_t i = h >> 32;; i++) {
		uint32_t *slot = &p->exempt_index[i & (p->n_index - 1)];
		const struct sw_exempt *e = *slot ? &p->exempt[*slot - 1] : NULL;

		if (!e || (e->kind == kind && e->id == id))
			return slot;
	}
}

static void fill_index(struct sw_policy *p)
{
	for (size_t i = 0; i < p->n_exempt; i++)
		*index_slot(p, p->exempt[i].kind, p->exempt[i].id) = (uint32_t)i + 1;
}

/* Room for one more: a policy of a hundred thousand accounts is read in one go. */
static int grow(struct sw_policy *p)
{
	size_t n_index = p->n_index ? p->n_index * 2 : INDEX_MIN;
	struct sw_exempt *exempt;
	uint32_t *fresh;

	if (p->n_exempt < p->n_index / 2)
		return 0;
	exempt = reallocarray(p->exempt, n_index / 2, sizeof(*exempt));
	if (!exempt)
		return -ENOMEM;
	p->exempt = exempt;
	fresh = calloc(n_index, sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;
	free(p->exempt_index);
	p->exempt_index = fresh;
	p->n_index = n_index;
	fill_index(p);
	return 0;
}

int sw_policy_add_exempt(struct sw_policy *p, enum sw_kind kind, uint64_t id, const char *name,
			 uint32_t source, uint32_t line)
{
	uint32_t *slot;
	char *copy;
	int r = grow(p);

	if (r < 0)
		return r;
	slot = index_slot(p, kind, id);
	if (*slot)
		return 0;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	p->exempt[p->n_exempt++] = (struct sw_exempt){
		.kind = kind,
		.id = id,
		.name = copy,
		.source = source,
		.line = line,
	};
	*slot = (uint32_t)p->n_exempt;
	return 0;
}

void sw_policy_drop_source(struct sw_policy *p, uint32_t source)
{
	size_t kept = 0;

	for (size_t i = 0; i < p->n_exempt; i++) {
		if (p->exempt[i].source == source)
			free(p->exempt[i].name);
		else
			p->exempt[kept++] = p->exempt[i];
	}
	p->n_exempt = kept;
	memset(p->exempt_index, 0, p->n_index * sizeof(*p->exempt_index));
	fill_index(p);
}

const struct sw_exempt *sw_policy_find(const struct sw_policy *p, enum sw_kind kind, uint64_t id)
{
	const uint32_t *slot = p->n_index ? index_slot(p, kind, id) : NULL;

	return slot && *slot ? &p->exempt[*slot - 1] : NULL;
}

static const char *word(const char *const *words, size_t n, size_t i)
{
	return i < n && words[i] ? words[i] : "unknown";
}

const char *sw_mode_name(enum sw_mode mode)
{
	static const char *const words[] = { "enforce", "observe", "redirect" };

	return word(words, ARRAY_SIZE(words), (size_t)mode);
}

const char *sw_kind_name(enum sw_kind kind)
{
	static const char *const words[] = {
		[SW_KIND_UID] = "user", [SW_KIND_GID] = "group", [SW_KIND_CGROUP] = "cgroup",
		[SW_KIND_ANY] = "any", [SW_KIND_RULE] = "rule", [SW_KIND_SERVER] = "server",
	};

	return word(words, ARRAY_SIZE(words), (size_t)kind);
}

const char *sw_verdict_name(enum sw_verdict verdict)
{
	static const char *const words[] = { "allow", "deny", "observe", "limited", "redirect" };

	return word(words, ARRAY_SIZE(words), (size_t)verdict);
}
