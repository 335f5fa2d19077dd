/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Allow rules, limits and cgroup paths as rows. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "mapread.h"
#include "rows.h"
#include "util.h"

void sw_rows_free(struct sw_rows *r)
{
	free(r->key);
	free(r->val);
	*r = (struct sw_rows){};
}

/* Room for `n` rows. */
static int make(struct sw_rows *r, size_t key_size, size_t value_size, size_t n)
{
	*r = (struct sw_rows){
		.key = calloc(n + 1, key_size),
		.val = calloc(n + 1, value_size),
		.key_size = key_size,
		.value_size = value_size,
	};
	if (r->key && r->val)
		return 0;
	sw_rows_free(r);
	return -ENOMEM;
}

static void *key_at(const struct sw_rows *r, size_t i)
{
	return (char *)r->key + i * r->key_size;
}

static void *val_at(const struct sw_rows *r, size_t i)
{
	return (char *)r->val + i * r->value_size;
}

/* What is sorted: where a row was. */
struct place {
	const struct sw_rows *rows;
	size_t at;
};

static int compare(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int r = memcmp(key_at(x->rows, x->at), key_at(y->rows, y->at), x->rows->key_size);

	return r ?: x->at < y->at ? -1 : x->at > y->at;
}

/* Sorts the rows by key; of equal keys only the first stays. */
static int sort(struct sw_rows *r)
{
	_cleanup_free_ struct place *order = calloc(r->n + 1, sizeof(*order));
	struct sw_rows sorted;

	if (!order || make(&sorted, r->key_size, r->value_size, r->n) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < r->n; i++)
		order[i] = (struct place){ r, i };
	qsort(order, r->n, sizeof(*order), compare);
	for (size_t i = 0; i < r->n; i++) {
		const void *key = key_at(r, order[i].at);

		if (sorted.n && !memcmp(key_at(&sorted, sorted.n - 1), key, r->key_size))
			continue;
		memcpy(key_at(&sorted, sorted.n), key, r->key_size);
		memcpy(val_at(&sorted, sorted.n++), val_at(r, order[i].at), r->value_size);
	}
	sw_rows_free(r);
	*r = sorted;
	return 0;
}

static void add_allow(struct sw_rows *r, uint32_t generation, const struct sw_allow_rule *rule,
		      const struct sw_prefix *dest, uint16_t port)
{
	struct sw_allow_key key = {
		.prefixlen = SW_ALLOW_BITS + dest->len,
		.generation = generation,
		.kind = rule->kind,
		.port = port,
		.who = rule->who,
	};
	const struct sw_rule val = {
		.quota = rule->quota,
		.id = rule->id,
		.source = rule->source,
		.line = rule->line,
	};

	memcpy(key.addr, dest->addr, sizeof(key.addr));
	memcpy(key_at(r, r->n), &key, sizeof(key));
	memcpy(val_at(r, r->n++), &val, sizeof(val));
}

int sw_rows_allow(const struct sw_policy *p, uint32_t generation, struct sw_rows *ret)
{
	uint16_t all[2 * SW_MAX_PORTS];
	size_t n_all = 0, n = 0;
	struct sw_rows r;
	int err;

	for (size_t i = 0; i < p->n_deny_ports; i++)
		all[n_all++] = p->deny_ports[i];
	for (size_t i = 0; i < p->n_count_ports; i++)
		all[n_all++] = p->count_ports[i];
	for (size_t i = 0; i < p->n_rules; i++)
		n += p->rules[i].n_dest * (p->rules[i].n_ports ?: n_all);
	err = make(&r, sizeof(struct sw_allow_key), sizeof(struct sw_rule), n);
	if (err < 0)
		return err;
	for (size_t i = 0; i < p->n_rules; i++) {
		const struct sw_allow_rule *rule = &p->rules[i];
		const uint16_t *port = rule->n_ports ? rule->port : all;
		size_t n_ports = rule->n_ports ?: n_all;

		for (size_t j = 0; j < rule->n_dest; j++)
			for (size_t k = 0; k < n_ports; k++)
				add_allow(&r, generation, rule, &rule->dest[j], port[k]);
	}
	err = sort(&r);
	if (err < 0)
		sw_rows_free(&r);
	else
		*ret = r;
	return err;
}

int sw_rows_limits(const struct sw_policy *p, uint32_t generation, struct sw_rows *ret)
{
	struct sw_rows r;
	int err = make(&r, sizeof(struct sw_limit_key), sizeof(struct sw_limit), p->n_limits);

	if (err < 0)
		return err;
	for (size_t i = 0; i < p->n_limits; i++) {
		const struct sw_policy_limit *l = &p->limits[i];
		const struct sw_limit_key key = { generation, l->kind, l->id };
		const struct sw_limit val = { l->quotas, l->source, l->line };

		memcpy(key_at(&r, r.n), &key, sizeof(key));
		memcpy(val_at(&r, r.n++), &val, sizeof(val));
	}
	err = sort(&r);
	if (err < 0)
		sw_rows_free(&r);
	else
		*ret = r;
	return err;
}

int sw_rows_cgroup_paths(const struct sw_policy *p, uint32_t generation, struct sw_rows *ret)
{
	struct sw_rows r;
	int err = make(&r, sizeof(struct sw_cgroup_path_key), sizeof(struct sw_cgroup_path),
		       p->n_cgroups);

	if (err < 0)
		return err;
	for (size_t i = 0; i < p->n_cgroups; i++) {
		const struct sw_policy_cgroup *c = &p->cgroups[i];
		struct sw_cgroup_path_key *key = key_at(&r, r.n);
		const struct sw_cgroup_path val = { c->exempt, c->who, c->source, c->line };

		key->generation = generation;
		snprintf(key->path, sizeof(key->path), "%s", c->path);
		memcpy(val_at(&r, r.n++), &val, sizeof(val));
	}
	err = sort(&r);
	if (err < 0)
		sw_rows_free(&r);
	else
		*ret = r;
	return err;
}

int sw_rows_store(int map_fd, const struct sw_rows *r)
{
	return sw_rows_write(map_fd, r->key, r->val, r->key_size, r->value_size, r->n);
}

/* Whether `r` has exactly this row. */
static bool has(const struct sw_rows *r, const void *key, const void *val)
{
	size_t low = 0, high = r->n;

	while (low < high) {
		size_t mid = (low + high) / 2;
		int c = memcmp(key_at(r, mid), key, r->key_size);

		if (!c)
			return !memcmp(val_at(r, mid), val, r->value_size);
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* Keys are unique on both sides: as many rows, and each of them right, is all. */
int sw_rows_verify(int map_fd, const struct sw_rows *r, uint32_t generation)
{
	size_t at = sw_rows_generation_at(map_fd), n = 0, right = 0;
	struct sw_map_dump d;
	int err = sw_map_dump(map_fd, &d);

	if (err < 0)
		return err;
	for (size_t i = 0; i < d.n; i++) {
		uint32_t g;

		memcpy(&g, (const char *)sw_map_key(&d, i) + at, sizeof(g));
		if (g != generation)
			continue;
		n++;
		right += has(r, sw_map_key(&d, i), sw_map_value(&d, i));
	}
	sw_map_dump_free(&d);
	return n == r->n && right == n ? 0 : -EIO;
}

static int store(int fd, uint32_t generation, enum sw_kind kind, uint64_t id, uint32_t source,
		 uint32_t line)
{
	const struct sw_exempt_key key = { generation, kind, id };
	const struct sw_exempt_val val = { source, line };

	return bpf_map_update_elem(fd, &key, &val, BPF_ANY) < 0 ? -errno : 0;
}

int sw_rows_store_cgroup(int exempt_fd, uint32_t generation, const struct sw_policy_cgroup *c,
			 uint64_t id)
{
	int r = 0;

	if (c->exempt)
		r = store(exempt_fd, generation, SW_KIND_CGROUP, id, c->source, c->line);
	if (!r && c->who)
		r = store(exempt_fd, generation, SW_KIND_CGROUP_RULE, id, c->who, 0);
	return r;
}
