/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "canary.h"
#include "stats.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000LL
#define SKETCH_CELLS	(SW_SKETCH_WORDS * 64)

unsigned int sw_sketch_estimate(const uint64_t sketch[SW_SKETCH_WORDS], bool *full)
{
	double estimate = 0;
	int used = 0;

	for (int i = 0; i < SW_SKETCH_WORDS; i++)
		used += __builtin_popcountll(sketch[i]);
	if (full)
		*full = used == SKETCH_CELLS;
	if (used == SKETCH_CELLS)
		used--;
	/* Linear counting: m ln(m / empty cells), the logarithm as the sum that approximates it. */
	for (int i = SKETCH_CELLS; i > SKETCH_CELLS - used; i--)
		estimate += SKETCH_CELLS / (i - 0.5);
	return (unsigned int)(estimate + 0.5);
}

/* The offset between the clocks is that of this moment: one remembered from an earlier one would
 * be wrong after the wall clock was set. */
static time_t wall_time(const struct sw_stats_raw *raw, uint64_t mono_ns)
{
	if (!mono_ns)
		return 0;
	return (time_t)((raw->wall_ns - raw->mono_ns + (int64_t)mono_ns) / NSEC_PER_SEC);
}

static void fill_times(const struct sw_stats_raw *raw, uint64_t first_ns, uint64_t last_ns,
		       struct sw_stat *s)
{
	/* A row is visible for an instant before its first attempt is written to it. */
	s->last_ns = last_ns ? last_ns : first_ns;
	s->first = wall_time(raw, first_ns);
	s->last = wall_time(raw, s->last_ns);
}

void sw_address_format(const void *addr, char ret[SW_ADDRESS_LEN])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (!memcmp(addr, mapped, sizeof(mapped)))
		inet_ntop(AF_INET, (const char *)addr + sizeof(mapped), ret, SW_ADDRESS_LEN);
	else
		inet_ntop(AF_INET6, addr, ret, SW_ADDRESS_LEN);
}

void sw_destination_format(const void *addr, uint16_t port, char ret[SW_DESTINATION_LEN])
{
	char text[SW_ADDRESS_LEN];

	sw_address_format(addr, text);
	snprintf(ret, SW_DESTINATION_LEN, strchr(text, ':') ? "[%s]:%u" : "%s:%u", text, port);
}

/* The kernel wrote the lengths, but a row is read while it may be written. */
int sw_stat_set_where(const struct sw_where *w, struct sw_stat *s)
{
	size_t off = w->path_off < SW_PATH_LEN ? w->path_off : SW_PATH_LEN - 1;
	size_t len = w->argv_len < SW_ARGV_LEN ? w->argv_len : SW_ARGV_LEN - 1;
	char *directory = NULL, *script, *argv;

	if (asprintf(&directory, "%s%.*s", w->flags & SW_PATH_CUT ? "..." : "",
		     (int)strnlen(w->path + off, SW_PATH_LEN - off), w->path + off) < 0)
		return -ENOMEM;
	s->directory = directory;
	script = w->flags & SW_WHERE_EXEC ? sw_script_exec(w->argv, len, w->comm) :
					    sw_script(w->argv, len, w->comm);
	s->script = script;
	argv = malloc(len + 1);
	s->argv = argv;
	if (!script || !argv)
		return -ENOMEM;
	memcpy(argv, w->argv, len);
	argv[len] = '\0';
	s->argv_len = len;
	memcpy(s->comm, w->comm, SW_COMM_LEN);
	return 0;
}

static enum sw_row origin_row(const struct sw_origin_key *k)
{
	return k->dev == SW_DEV_NONE ? (enum sw_row)k->ino : SW_ROW_UID;
}

/* Names are kept from the cgroup up; a path from the root down. */
static char *join_names(const struct sw_cgroup_name *n)
{
	size_t used = 0, size = SW_CGROUP_NAMES * (SW_CGROUP_NAME_LEN + 1) + 8;
	char *path = malloc(size);

	if (!path)
		return NULL;
	path[0] = '\0';
	if (n->level > SW_CGROUP_NAMES)
		used += (size_t)snprintf(path, size, "...");
	for (int i = SW_CGROUP_NAMES - 1; i >= 0; i--)
		if (n->name[i][0])
			used += (size_t)snprintf(path + used, size - used, "/%.*s",
						 SW_CGROUP_NAME_LEN - 1, n->name[i]);
	if (!used)
		snprintf(path, size, "/");
	return path;
}

char *sw_cgroup_path(const struct sw_cgroup_name *n)
{
	return n->filled ? join_names(n) : strdup("?");
}

/* Names of cgroups in order of their ids: origins are many. */
struct cgroups {
	struct cgroup {
		uint64_t id;
		const struct sw_cgroup_name *name;
	} *item;
	size_t n;
};

static int compare_cgroup(const void *a, const void *b)
{
	const struct cgroup *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static int index_cgroups(const struct sw_map_dump *d, struct cgroups *ret)
{
	ret->item = calloc(d->n + 1, sizeof(*ret->item));
	if (!ret->item)
		return -ENOMEM;
	for (ret->n = 0; ret->n < d->n; ret->n++) {
		memcpy(&ret->item[ret->n].id, sw_map_key(d, ret->n), sizeof(uint64_t));
		ret->item[ret->n].name = sw_map_value(d, ret->n);
	}
	qsort(ret->item, ret->n, sizeof(*ret->item), compare_cgroup);
	return 0;
}

static int fill_cgroup(const struct cgroups *c, uint64_t id, struct sw_stat *s)
{
	const struct cgroup key = { .id = id };
	const struct cgroup *found = bsearch(&key, c->item, c->n, sizeof(key), compare_cgroup);

	if (!found)
		return 0;
	s->cgroup = sw_cgroup_path(found->name);
	return s->cgroup ? 0 : -ENOMEM;
}

/* One number for a row's key: 64 bits that are mixed well enough never to meet. */
static uint64_t mix(uint64_t seed, uint64_t value)
{
	uint64_t h = (seed ^ value) * 0x9e3779b97f4a7c15ULL;

	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ULL;
	return h ^ h >> 29;
}

uint64_t sw_origin_id(const struct sw_origin_key *k)
{
	return mix(mix(mix(1, k->uid), k->dev), k->ino);
}

static int fill_origin(const struct sw_stats_raw *raw, const struct cgroups *c,
		       const struct sw_origin_key *k, const struct sw_origin *o, struct sw_stat *s)
{
	*s = (struct sw_stat){ .uid = k->uid, .row = origin_row(k) };
	s->id = sw_origin_id(k);
	memcpy(s->n, o->n, sizeof(s->n));
	memcpy(s->sketch, o->sketch, sizeof(s->sketch));
	s->destinations = sw_sketch_estimate(s->sketch, &s->destinations_full);
	fill_times(raw, o->first_ns, o->last_ns, s);
	if (o->last_dport)
		sw_destination_format(o->last_daddr, o->last_dport, s->last_destination);
	if (s->row == SW_ROW_MORE && !(s->directory = strdup("(more directories)")))
		return -ENOMEM;
	if (s->row != SW_ROW_UID || !o->filled)
		return 0;
	return fill_cgroup(c, o->cgroup_id, s) ?: sw_stat_set_where(&o->where, s);
}

/* The canary of `verify` is ours and no account's. */
static bool is_canary(const struct sw_stat *s)
{
	return (s->row == SW_ROW_UID || s->row == SW_ROW_MORE) && s->uid == SW_CANARY_UID;
}

void sw_stat_free_texts(struct sw_stat *s)
{
	free((char *)s->directory);
	free((char *)s->script);
	free((char *)s->cgroup);
	free((char *)s->argv);
	s->directory = s->script = s->cgroup = s->argv = NULL;
}

static int read_origins(const struct sw_stats_raw *raw, const struct cgroups *c,
			struct sw_stats *ret)
{
	const struct sw_map_dump *d = &raw->origins;

	ret->origins = calloc(d->n + 1, sizeof(*ret->origins));
	if (!ret->origins)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++) {
		struct sw_stat *s = &ret->origins[ret->n_origins];
		int r = fill_origin(raw, c, sw_map_key(d, i), sw_map_value(d, i), s);

		ret->n_origins++;
		if (r < 0)
			return r;
		if (s->row == SW_ROW_OVERFLOW)
			ret->origin_overflow += sw_stat_attempts(s);
		else
			ret->origin_rows++;
		if (is_canary(s) || !sw_stat_attempts(s)) {
			sw_stat_free_texts(s);
			*s = (struct sw_stat){};
			ret->n_origins--;
		}
	}
	return 0;
}

static int read_accounts(const struct sw_stats_raw *raw, struct sw_stats *ret)
{
	const struct sw_map_dump *d = &raw->uids;

	ret->accounts = calloc(d->n + 1, sizeof(*ret->accounts));
	if (!ret->accounts)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++) {
		const struct sw_uid_key *k = sw_map_key(d, i);
		const struct sw_uid_stats *v = sw_map_value(d, i);
		struct sw_stat s = { .uid = k->uid, .row = (enum sw_row)k->row };

		s.id = mix(mix(2, k->uid), k->row);
		memcpy(s.n, v->n, sizeof(s.n));
		fill_times(raw, v->first_ns, v->last_ns, &s);
		if (s.row == SW_ROW_OVERFLOW)
			ret->uid_overflow += sw_stat_attempts(&s);
		else
			ret->uid_rows++;
		if (!is_canary(&s) && sw_stat_attempts(&s))
			ret->accounts[ret->n_accounts++] = s;
	}
	return 0;
}

int sw_stat_compare_account(const void *a, const void *b)
{
	const struct sw_stat *x = a, *y = b;
	int x_row = x->row == SW_ROW_MORE ? SW_ROW_UID : x->row;
	int y_row = y->row == SW_ROW_MORE ? SW_ROW_UID : y->row;

	if (x_row != y_row)
		return x_row < y_row ? -1 : 1;
	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return x->owner < y->owner ? -1 : x->owner > y->owner;
}

/* What only origins know, for account `a` from its `n` origins. */
static void merge_origins(struct sw_stat *a, const struct sw_stat *origins, size_t n)
{
	const struct sw_stat *worst = origins, *newest = origins;

	for (size_t i = 0; i < n; i++) {
		for (int j = 0; j < SW_SKETCH_WORDS; j++)
			a->sketch[j] |= origins[i].sketch[j];
		if (sw_stat_is_worse(&origins[i], worst, SW_CHANNEL_DIRECT))
			worst = &origins[i];
		if (origins[i].last_ns > newest->last_ns)
			newest = &origins[i];
	}
	a->destinations = sw_sketch_estimate(a->sketch, &a->destinations_full);
	if (!n)
		return;
	memcpy(a->last_destination, newest->last_destination, sizeof(a->last_destination));
	a->directory = worst->directory;
	a->script = worst->script;
	a->cgroup = worst->cgroup;
	a->worst = worst;
}

/* One pass over each. */
void sw_stats_join(struct sw_stats *s)
{
	size_t o = 0, n;

	for (size_t i = 0; i < s->n_accounts; i++) {
		struct sw_stat *a = &s->accounts[i];

		while (o < s->n_origins && sw_stat_compare_account(&s->origins[o], a) < 0)
			o++;
		for (n = 0; o + n < s->n_origins; n++)
			if (sw_stat_compare_account(&s->origins[o + n], a) != 0)
				break;
		/* Directories that found no room are of many accounts, not of those without one. */
		merge_origins(a, s->origins + o, a->row == SW_ROW_OVERFLOW ? 0 : n);
		o += n;
	}
}

static int compare_uid(const void *a, const void *b)
{
	const struct sw_stat *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* Accounts are in order: those of ordinary rows lead. */
static int read_hours(const struct sw_stats_raw *raw, struct sw_stats *s)
{
	const struct sw_map_dump *d = &raw->hours;
	size_t n = 0;

	s->hours = calloc(d->n + 1, sizeof(*s->hours));
	if (!s->hours)
		return -ENOMEM;
	while (n < s->n_accounts && s->accounts[n].row == SW_ROW_UID)
		n++;
	for (size_t i = 0; i < d->n; i++) {
		struct sw_stat key = { .row = SW_ROW_UID }, *account;

		memcpy(&key.uid, sw_map_key(d, i), sizeof(key.uid));
		account = bsearch(&key, s->accounts, n, sizeof(key), compare_uid);
		if (!account)
			continue;
		memcpy(&s->hours[s->n_hours], sw_map_value(d, i), sizeof(*s->hours));
		account->hours = &s->hours[s->n_hours++];
	}
	return 0;
}

static int compare_dest(const void *a, const void *b)
{
	const struct sw_stat_dest *x = a, *y = b;
	uint64_t x_all = x->would_deny + x->refused, y_all = y->would_deny + y->refused;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	if (!x->port != !y->port)	/* what stands for many comes last */
		return x->port ? -1 : 1;
	if (x_all != y_all)
		return x_all > y_all ? -1 : 1;
	return strcmp(x->address, y->address) ?: x->port - y->port;
}

static int read_dests(const struct sw_stats_raw *raw, struct sw_stats *s)
{
	const struct sw_map_dump *d = &raw->dests;

	s->dests = calloc(d->n + 1, sizeof(*s->dests));
	if (!s->dests)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++) {
		const struct sw_dest_key *k = sw_map_key(d, i);
		const struct sw_dest *v = sw_map_value(d, i);
		struct sw_stat_dest *one = &s->dests[s->n_dests];

		if (k->uid == SW_CANARY_UID || !(v->would_deny + v->refused))
			continue;
		*one = (struct sw_stat_dest){
			.uid = k->uid,
			.port = k->port,
			.would_deny = v->would_deny,
			.refused = v->refused,
			.first = wall_time(raw, v->first_ns),
			.last = wall_time(raw, v->last_ns ? v->last_ns : v->first_ns),
		};
		if (k->port)
			sw_address_format(k->addr, one->address);
		s->n_dests++;
	}
	qsort(s->dests, s->n_dests, sizeof(*s->dests), compare_dest);
	return 0;
}

const struct sw_stat_dest *sw_stat_dests(const struct sw_stats *s, uint32_t uid, size_t *n)
{
	size_t low = 0, high = s->n_dests;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->dests[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	*n = 0;
	while (low + *n < s->n_dests && s->dests[low + *n].uid == uid)
		++*n;
	return *n ? &s->dests[low] : NULL;
}

/* Whether rows of this map are those that we know. */
static bool fits(const struct sw_map_dump *d, size_t key_size, size_t value_size)
{
	return !d->n || (d->key_size == key_size && d->value_size == value_size);
}

int sw_stats_build(const struct sw_stats_raw *raw, struct sw_stats *ret)
{
	struct sw_stats s = {
		.uid_rows_max = raw->uid_rows_max,
		.origin_rows_max = raw->origin_rows_max,
		.now = (time_t)(raw->wall_ns / NSEC_PER_SEC),
	};
	struct cgroups cgroups = {};
	int r;

	if (!fits(&raw->uids, sizeof(struct sw_uid_key), sizeof(struct sw_uid_stats)) ||
	    !fits(&raw->origins, sizeof(struct sw_origin_key), sizeof(struct sw_origin)) ||
	    !fits(&raw->hours, sizeof(uint32_t), sizeof(struct sw_hours)) ||
	    !fits(&raw->dests, sizeof(struct sw_dest_key), sizeof(struct sw_dest)) ||
	    !fits(&raw->outcomes, sizeof(struct sw_origin_key), sizeof(struct sw_outcome)) ||
	    !fits(&raw->cgroups, sizeof(uint64_t), sizeof(struct sw_cgroup_name)))
		return -EINVAL;
	memcpy(s.counters, raw->counters, sizeof(s.counters));
	r = index_cgroups(&raw->cgroups, &cgroups);
	if (!r)
		r = read_origins(raw, &cgroups, &s);
	free(cgroups.item);
	if (!r)
		r = read_accounts(raw, &s);
	if (r < 0) {
		sw_stats_free(&s);
		return r;
	}
	qsort(s.origins, s.n_origins, sizeof(*s.origins), sw_stat_compare_account);
	qsort(s.accounts, s.n_accounts, sizeof(*s.accounts), sw_stat_compare_account);
	sw_stats_join(&s);
	r = read_hours(raw, &s) ?: read_dests(raw, &s) ?: sw_outcomes_join(&raw->outcomes, &s);
	if (r < 0)
		sw_stats_free(&s);
	else
		*ret = s;
	return r;
}

void sw_stats_free(struct sw_stats *s)
{
	for (size_t i = 0; i < s->n_origins; i++)
		sw_stat_free_texts(&s->origins[i]);
	free(s->origins);
	free(s->dests);
	free(s->accounts);
	free(s->hours);
	free(s->sites);
	for (size_t i = 0; i < s->n_texts; i++)
		free(s->texts[i]);
	free(s->texts);
	*s = (struct sw_stats){};
}
