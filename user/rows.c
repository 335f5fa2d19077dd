/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "mapread.h"
#include "rows.h"
#include "util.h"

#define SW_ENOTSUPP	524	/* the kernel's own ENOTSUPP, in no header of ours */

/* One account may make this many rows of sw_origins: an eighth of the table, at most 1024. And of
 * sw_dests at most 256: who reaches that many needs no list any more. */
#define DEST_SHARE(max)		((max) / 8 < 256 ? (max) / 8 + 1 : 256)
#define ORIGIN_SHARE(max)	((max) / 8 < 1024 ? (max) / 8 + 1 : 1024)

int sw_refuse_errno(enum sw_refuse refuse)
{
	switch (refuse) {
	case SW_REFUSE_PERMISSION:
		return EPERM;
	case SW_REFUSE_UNREACHABLE:
		return EHOSTUNREACH;
	default:
		return ECONNREFUSED;
	}
}

static void copy_ports(const struct sw_policy *p, struct sw_settings *s)
{
	for (size_t i = 0; i < p->n_deny_ports && s->n_ports < SW_MAX_PORTS; i++)
		s->ports[s->n_ports++] = p->deny_ports[i];
	s->n_deny_ports = s->n_ports;
	for (size_t i = 0; i < p->n_count_ports && s->n_ports < SW_MAX_PORTS; i++)
		s->ports[s->n_ports++] = p->count_ports[i];
}

/* The first few exempt UIDs in the policy's order: the built-in ones and those of the mail
 * server lead it. All of them have rows in sw_exempt too, which reports and explain read. */
static void copy_hot_uids(const struct sw_policy *p, struct sw_settings *s)
{
	s->only_hot_uids = 1;
	for (size_t i = 0; i < p->n_exempt; i++) {
		if (p->exempt[i].kind != SW_KIND_UID)
			continue;
		if (s->n_hot_uids < SW_HOT_UIDS)
			s->hot_uid[s->n_hot_uids++] = (__u32)p->exempt[i].id;
		else
			s->only_hot_uids = 0;
	}
}

static void raise(uint8_t *most, uint8_t level)
{
	if (level > *most)
		*most = level;
}

/* What of rules and cgroups there is at all: what there is not costs the hooks nothing. */
static void copy_rules(const struct sw_policy *p, struct sw_settings *s)
{
	for (size_t i = 0; i < p->n_rules; i++)
		s->rules |= (uint8_t)(1 << p->rules[i].kind);
	for (size_t i = 0; i < p->n_cgroups; i++) {
		const struct sw_policy_cgroup *c = &p->cgroups[i];

		s->watch_cgroups = 1;
		if (c->exempt)
			raise(&s->cgroup_levels, c->level);
		if (c->who)
			raise(&s->rule_cgroup_levels, c->level);
	}
}

/* Channels that these are limits of. */
static uint8_t channels(const struct sw_quotas *q)
{
	uint8_t set = 0;

	for (int i = 0; i < _SW_CHANNEL_MAX; i++)
		if (sw_quota_limits(q->of[i]))
			set |= (uint8_t)(1 << i);
	return set;
}

bool sw_limits_sendmail(const struct sw_settings *s)
{
	return s->limit_channels & (1 << SW_CHANNEL_SENDMAIL | 1 << SW_CHANNEL_ALL);
}

static void copy_limits(const struct sw_policy *p, struct sw_settings *s)
{
	s->default_quota = p->default_quota;
	s->server_quota = p->server_quota;
	s->deny_for_s = p->deny_for_s;
	for (size_t i = 0; i < p->n_limits; i++)
		s->limits |= (uint8_t)(1 << p->limits[i].kind);
	for (size_t i = 0; i < p->n_limits; i++)
		s->limit_channels |= channels(&p->limits[i].quotas);
	s->limit_unknown = sw_policy_find_limit(p, SW_KIND_ANY, UINT32_MAX) != NULL;
	s->limit_channels |= channels(&p->default_quota) | channels(&p->server_quota);
	for (size_t i = 0; i < p->n_rules; i++)
		if (sw_quota_limits(p->rules[i].quota))
			s->limits |= 1 << SW_KIND_RULE;
	if (sw_quotas_limit(&p->default_quota))
		s->limits |= 1 << SW_KIND_ANY;
	if (sw_quotas_limit(&p->server_quota))
		s->limits |= 1 << SW_KIND_SERVER;
	if (!sw_limits_sendmail(s))
		s->refuse_sendmail = 0;	/* nothing to refuse: other executions need not pay for it */
}

/* IPv4 where the policy names none; a socket that is not IPv4 may reach it v4-mapped. */
static void copy_redirect(const struct sw_policy *p, struct sw_settings *s)
{
	static const uint8_t none[16];
	uint32_t v4 = p->redirect4;

	if (!v4 && !memcmp(p->redirect6, none, sizeof(none)))
		v4 = htonl(INADDR_LOOPBACK);
	s->redirect_port = p->redirect_port;
	if (memcmp(p->redirect6, none, sizeof(none)) != 0) {
		memcpy(s->redirect6, p->redirect6, sizeof(s->redirect6));
	} else {
		s->redirect6[0] = s->redirect6[1] = 0;
		s->redirect6[2] = htonl(0xffff);
		s->redirect6[3] = v4;
	}
	s->redirect4 = v4;
}

void sw_rows_settings(const struct sw_policy *p, const struct sw_features *f,
		      uint32_t generation, struct sw_settings *ret)
{
	struct sw_settings s = {
		.generation = generation,
		.mode = p->mode,
		.refuse_errno = EPERM,
		.max_origins_per_uid = ORIGIN_SHARE(p->max_origins),
		.max_dests_per_uid = DEST_SHARE(p->max_origins),
		.allow_local = p->allow_local,
		.identity_strict = p->identity_strict,
		.containers_exempt = p->containers_exempt,
		.strict_raw = p->strict,
		.count_origins = 1,
		.has_task_btf = f->f[SW_FEAT_TASK_BTF].present,
		.has_set_retval = f->f[SW_FEAT_CUSTOM_ERRNO].present,
		.has_coarse_clock = f->f[SW_FEAT_COARSE_CLOCK].present,
		.forced = p->forced,
		.config_digest = p->config_digest,
		.policy_digest = sw_policy_digest(p),
		.outcomes = p->outcomes && f->f[SW_FEAT_OUTCOMES].present,
		.limit_sendmail = f->f[SW_FEAT_SENDMAIL_LIMIT].present,
		.count_sendmail = f->f[SW_FEAT_SENDMAIL_COUNT].present,
		.refuse_sendmail = f->f[SW_FEAT_SENDMAIL_REFUSAL].present,
	};

	if (s.has_set_retval)
		s.refuse_errno = sw_refuse_errno(p->refuse_with);
	copy_ports(p, &s);
	copy_hot_uids(p, &s);
	for (size_t i = 0; i < p->n_exempt; i++)
		if (p->exempt[i].kind == SW_KIND_GID)
			s.has_gids = 1;
	copy_rules(p, &s);
	copy_limits(p, &s);
	copy_redirect(p, &s);
	*ret = s;
}

int sw_rows_exempt(const struct sw_policy *p, uint32_t generation, struct sw_exempt_key **ret_key,
		   struct sw_exempt_val **ret_val)
{
	_cleanup_free_ struct sw_exempt_key *key = calloc(p->n_exempt + 1, sizeof(*key));
	_cleanup_free_ struct sw_exempt_val *val = calloc(p->n_exempt + 1, sizeof(*val));

	if (!key || !val)
		return -ENOMEM;
	for (size_t i = 0; i < p->n_exempt; i++) {
		key[i] = (struct sw_exempt_key){
			.generation = generation,
			.kind = p->exempt[i].kind,
			.id = p->exempt[i].id,
		};
		val[i] = (struct sw_exempt_val){
			.source = p->exempt[i].source,
			.line = p->exempt[i].line,
		};
	}
	*ret_key = TAKE_PTR(key);
	*ret_val = TAKE_PTR(val);
	return 0;
}

int sw_rows_write(int map_fd, const void *keys, const void *values, size_t key_size,
		  size_t value_size, size_t n)
{
	__u32 count = (__u32)n;

	if (!n)
		return 0;
	if (bpf_map_update_batch(map_fd, keys, values, &count, NULL) == 0)
		return 0;
	if (errno != EINVAL && errno != SW_ENOTSUPP)
		return -errno;
	for (size_t i = 0; i < n; i++)
		if (bpf_map_update_elem(map_fd, (const char *)keys + i * key_size,
					(const char *)values + i * value_size, BPF_ANY) < 0)
			return -errno;
	return 0;
}

/* Whether the policy has exactly this row. */
static bool row_is_right(const struct sw_policy *p, const struct sw_exempt_key *key,
			 const struct sw_exempt_val *val)
{
	const struct sw_exempt *e = sw_policy_find(p, (enum sw_kind)key->kind, key->id);

	return e && e->source == val->source && e->line == val->line;
}

static bool is_cgroup(const struct sw_exempt_key *key)
{
	return key->kind == SW_KIND_CGROUP || key->kind == SW_KIND_CGROUP_RULE;
}

/* Keys are unique on both sides: as many rows as identities, and each of them right, is all. */
int sw_rows_verify_exempt(int map_fd, const struct sw_policy *p, uint32_t generation)
{
	struct sw_map_dump d;
	size_t right = 0, n = 0;
	int r = sw_map_dump(map_fd, &d);

	if (r < 0)
		return r;
	for (size_t i = 0; i < d.n; i++) {
		struct sw_exempt_key key;
		struct sw_exempt_val val;

		memcpy(&key, sw_map_key(&d, i), sizeof(key));
		memcpy(&val, sw_map_value(&d, i), sizeof(val));
		if (key.generation != generation || is_cgroup(&key))
			continue;
		n++;
		right += row_is_right(p, &key, &val);
	}
	sw_map_dump_free(&d);
	return n == p->n_exempt && right == n ? 0 : -EIO;
}

static int write_source(int map_fd, uint32_t generation, uint32_t source, const char *text)
{
	const struct sw_source_key key = { generation, source };
	struct sw_source value = {};

	snprintf(value.text, sizeof(value.text), "%s", text);
	return bpf_map_update_elem(map_fd, &key, &value, BPF_ANY) < 0 ? -errno : 0;
}

void sw_rows_place(const struct sw_policy *p, struct sw_place at, struct sw_source *ret)
{
	const char *source = at.source < p->n_sources ? p->sources[at.source] : "unknown";

	*ret = (struct sw_source){};
	if (at.line)
		snprintf(ret->text, sizeof(ret->text), "%s:%u", source, at.line);
	else
		snprintf(ret->text, sizeof(ret->text), "%s", source);
}

int sw_rows_write_sources(int map_fd, const struct sw_policy *p, uint32_t generation)
{
	const struct {
		uint32_t source;
		struct sw_place at;
	} settings[] = {
		{ SW_SOURCE_DENY_PORTS, p->deny_at },
		{ SW_SOURCE_COUNT_PORTS, p->count_at },
		{ SW_SOURCE_ALLOW_LOCAL, p->local_at },
		{ SW_SOURCE_DEFAULT_LIMIT, p->default_at },
		{ SW_SOURCE_SERVER_LIMIT, p->server_at },
	};
	int r = 0;

	for (size_t i = 0; i < p->n_sources && !r; i++)
		r = write_source(map_fd, generation, (uint32_t)i, p->sources[i]);
	for (size_t i = 0; i < ARRAY_SIZE(settings) && !r; i++) {
		struct sw_source text;

		sw_rows_place(p, settings[i].at, &text);
		r = write_source(map_fd, generation, settings[i].source, text.text);
	}
	return r;
}

size_t sw_rows_generation_at(int map_fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(map_fd, &info, &len) == 0 &&
	    info.type == BPF_MAP_TYPE_LPM_TRIE)
		return offsetof(struct sw_allow_key, generation);
	return 0;
}

static uint32_t generation_of(const void *key, size_t at)
{
	uint32_t g;

	memcpy(&g, (const char *)key + at, sizeof(g));
	return g;
}

static bool is_listed(uint32_t generation, const uint32_t *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i] == generation)
			return true;
	return false;
}

int sw_rows_delete(int map_fd, const uint32_t *generation, size_t n_generations, bool keep)
{
	size_t at = sw_rows_generation_at(map_fd), n = 0;
	struct sw_map_dump d;
	__u32 count;
	int r;

	r = sw_map_dump(map_fd, &d);
	if (r < 0)
		return r;
	for (size_t i = 0; i < d.n; i++)
		if (is_listed(generation_of(sw_map_key(&d, i), at), generation, n_generations) != keep)
			memmove(d.keys + n++ * d.key_size, sw_map_key(&d, i), d.key_size);
	count = (__u32)n;
	if (n && bpf_map_delete_batch(map_fd, d.keys, &count, NULL) < 0)
		r = -errno;
	if (r == -EINVAL || r == -SW_ENOTSUPP) {	/* no batches for this map */
		count = 0;
		r = 0;
	}
	for (size_t i = count; i < n && !r; i++)
		if (bpf_map_delete_elem(map_fd, d.keys + i * d.key_size) < 0 && errno != ENOENT)
			r = -errno;
	sw_map_dump_free(&d);
	return r;
}

uint32_t sw_rows_newest(int map_fd)
{
	size_t at = sw_rows_generation_at(map_fd);
	struct sw_map_dump d;
	uint32_t newest = 0;

	if (sw_map_dump(map_fd, &d) < 0)
		return 0;
	for (size_t i = 0; i < d.n; i++)
		if (generation_of(sw_map_key(&d, i), at) > newest)
			newest = generation_of(sw_map_key(&d, i), at);
	sw_map_dump_free(&d);
	return newest;
}
