/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the kernel's counters to rows of hours. An attempt is counted on an account and on an
 * origin. Of both views only the origins are kept, and of an account what these have not counted:
 * so both views are exact, and hardly anything is there twice.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "control.h"
#include "history_int.h"
#include "util.h"

/* What is being added, and where the hours of an account's offences have room. */
struct roll {
	struct sw_history *h;
	struct sw_domains *d;
	const struct sw_stats *s;
	time_t now;		/* the hour of the reading */
	time_t oldest;		/* the hour of the last roll; 0: not known */
	uint64_t pool[SW_HOURS];	/* offences of the account in the hours after that, newest first */
	size_t n_pool;
};

struct delta {
	uint64_t n[_SW_HISTORY_MAX];
	uint64_t sketch[SW_SKETCH_WORDS];
	time_t first, last;
};

static int64_t offset_at(time_t t)
{
	struct tm tm;

	return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

time_t sw_history_hour(time_t t)
{
	int64_t into = (t + offset_at(t)) % SW_HISTORY_HOUR;

	return t - (time_t)(into < 0 ? into + SW_HISTORY_HOUR : into);
}

static bool is_empty(const struct delta *x)
{
	for (int i = 0; i < _SW_HISTORY_MAX; i++)
		if (x->n[i])
			return false;
	return true;
}

/* ---- Rows ---- */

static uint32_t into(time_t t, time_t start, uint32_t length)
{
	return t < start ? 0 : t >= start + (time_t)length ? length - 1 : (uint32_t)(t - start);
}

/* Times of a row that only a part of the attempts went to lie somewhere in it. */
static int add_row(struct roll *r, enum sw_history_statement which, time_t start, uint32_t length,
		   int64_t place, const struct delta *x)
{
	bool day = which == SW_HS_DAY_ADD, any = false;
	sqlite3_stmt *st;
	int e, at = 0;

	st = sw_history_statement(&r->h->d, which, &e);
	if (!st)
		return e;
	for (int i = 0; i < SW_SKETCH_WORDS; i++)
		any |= x->sketch[i] != 0;
	sqlite3_bind_int64(st, ++at, start);
	sqlite3_bind_int64(st, ++at, place);
	sqlite3_bind_int64(st, ++at, into(x->first, start, length));
	sqlite3_bind_int64(st, ++at, into(x->last, start, length));
	if (day && any)
		sqlite3_bind_blob(st, ++at, x->sketch, sizeof(x->sketch), SQLITE_STATIC);
	else if (day)
		sqlite3_bind_null(st, ++at);
	sw_history_bind_slots(st, ++at, x->n);
	return sw_history_run(&r->h->d, st);
}

static int add_at(struct roll *r, time_t start, int64_t place, const struct delta *x)
{
	int e = add_row(r, SW_HS_HOUR_ADD, start, SW_HISTORY_HOUR, place, x);

	return e ?: add_row(r, SW_HS_DAY_ADD, start - start % SW_HISTORY_DAY, SW_HISTORY_DAY, place, x);
}

/* ---- Which hour ---- */

/* Offences by the hour, as the kernel has them, since the hour after the last roll. */
static void fill_pool(struct roll *r, const struct sw_hours *k)
{
	time_t hour = r->now;

	r->n_pool = 0;
	if (!k || hour <= r->oldest)
		return;
	while (hour > r->oldest && r->n_pool < SW_HOURS) {
		uint32_t index = (uint32_t)((hour + offset_at(hour)) / SW_HISTORY_HOUR);
		bool known = index <= k->newest && k->newest - index < SW_HOURS;

		r->pool[r->n_pool++] = known ? k->n[index % SW_HOURS] : 0;
		hour = sw_history_hour(hour - 1);
	}
}

/* The part of `x` that goes to an hour with room for `*room` offences. */
static void take_offences(struct delta *x, uint64_t *room, struct delta *ret)
{
	static const enum sw_slot offences[] = { SW_N_DENIED, SW_N_WOULD_DENY, SW_N_LIMITED,
						 SW_N_REDIRECTED };

	*ret = (struct delta){ .first = x->first, .last = x->last };
	for (size_t i = 0; i < ARRAY_SIZE(offences); i++) {
		uint64_t n = x->n[offences[i]] < *room ? x->n[offences[i]] : *room;

		ret->n[offences[i]] = n;
		x->n[offences[i]] -= n;
		*room -= n;
	}
	if (is_empty(ret))
		return;
	memcpy(ret->sketch, x->sketch, sizeof(ret->sketch));
	memset(x->sketch, 0, sizeof(x->sketch));
}

/* Where what no hour of the kernel's asks for belongs: offences before these hours, the rest to the
 * hour of the last attempt. */
static time_t hour_of_rest(const struct roll *r, const struct delta *x, bool offences)
{
	time_t first = x->first ? sw_history_hour(x->first) : 0;
	time_t last = x->last ? sw_history_hour(x->last) : r->now;
	time_t oldest = first > r->oldest ? first : r->oldest;

	if (last > r->now || r->oldest >= r->now)
		return r->now;
	return offences && oldest ? oldest : last;
}

static int add_spread(struct roll *r, int64_t place, const struct delta *all)
{
	struct delta rest = *all, part;
	uint64_t whole = UINT64_MAX;
	time_t hour = r->now, before;
	int e = 0;

	for (size_t i = 0; i < r->n_pool && !e; i++) {
		take_offences(&rest, &r->pool[i], &part);
		if (!is_empty(&part))
			e = add_at(r, hour, place, &part);
		hour = sw_history_hour(hour - 1);
	}
	if (r->n_pool)
		take_offences(&rest, &whole, &part);
	else
		part = (struct delta){};
	before = hour_of_rest(r, all, true);
	if (!e && !is_empty(&part))
		e = add_at(r, before < hour ? before : hour, place, &part);
	if (!e && !is_empty(&rest))
		e = add_at(r, hour_of_rest(r, all, false), place, &rest);
	return e;
}

/* ---- Which place ---- */

static uint64_t hash_text(uint64_t h, const char *text)
{
	for (const char *c = text ?: "\1"; *c; c++)
		h = (h ^ (unsigned char)*c) * 0x100000001b3ULL;
	return (h ^ 0xff) * 0x100000001b3ULL;
}

static uint64_t hash_place(const struct sw_spot *p)
{
	const char *const texts[] = { p->user, p->account, p->domain, p->source, p->directory, p->script,
				      p->cgroup };
	uint64_t h = 0xcbf29ce484222325ULL ^ p->sites * 64 ^ (unsigned int)p->part * 4U ^ p->guess;

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		h = hash_text(h, texts[i]);
	return h;
}

static int describe(struct roll *r, const struct sw_stat *s, enum sw_place_part part,
		    struct sw_spot *ret)
{
	struct sw_report_site site;
	int e = sw_report_attribute(r->d, s, &site);

	if (e < 0)
		return e;
	*ret = (struct sw_spot){
		.uid = s->uid, .row = s->row, .part = part, .user = site.user, .account = site.account,
		.domain = site.domain, .source = site.source, .sites = site.sites,
		.guess = site.one_of_several, .directory = s->directory, .script = s->script,
		.cgroup = s->cgroup,
	};
	return 0;
}

static struct sw_place_count *count_slot(const struct sw_history *h, uint32_t uid)
{
	size_t i = (uid * 0x9e3779b1U) & (h->count_size - 1);

	while (h->count[i].used && h->count[i].uid != uid)
		i = (i + 1) & (h->count_size - 1);
	return &h->count[i];
}

/* NULL without memory. */
static struct sw_place_count *get_count(struct sw_history *h, uint32_t uid)
{
	struct sw_place_count *c, *before = h->count;
	size_t size = h->count_size;

	if (h->n_count * 2 >= size) {
		struct sw_place_count *larger = calloc(size ? size * 2 : 64, sizeof(*larger));

		if (!larger)
			return NULL;
		h->count = larger;
		h->count_size = size ? size * 2 : 64;
		for (size_t i = 0; i < size; i++)
			if (before[i].used)
				*count_slot(h, before[i].uid) = before[i];
		free(before);
	}
	c = count_slot(h, uid);
	h->n_count += !c->used;
	if (!c->used)
		*c = (struct sw_place_count){ .used = true, .uid = uid };
	return c;
}

/* Counts what the hour has already. */
static int begin_hour(struct sw_history *h, time_t hour)
{
	sqlite3_stmt *st;
	int e, rc;

	if (h->count_hour == hour)
		return 0;
	free(h->count);
	h->count = NULL;
	h->n_count = h->count_size = 0;
	st = sw_history_statement(&h->d, SW_HS_COUNT_PLACES, &e);
	if (!st)
		return e;
	sqlite3_bind_int64(st, 1, hour);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && !e) {
		struct sw_place_count *c = get_count(h, (uint32_t)sqlite3_column_int64(st, 0));

		if (c)
			c->n = (uint32_t)sqlite3_column_int64(st, 1);
		e = c ? 0 : -ENOMEM;
	}
	sqlite3_reset(st);
	h->count_hour = e ? 0 : hour;
	return e ?: sw_history_errno(h->d.db, rc);
}

static int has_row(struct roll *r, int64_t place, bool *ret)
{
	sqlite3_stmt *st;
	int e, rc;

	st = sw_history_statement(&r->h->d, SW_HS_HOUR_HAS, &e);
	if (!st)
		return e;
	sqlite3_bind_int64(st, 1, r->now);
	sqlite3_bind_int64(st, 2, place);
	rc = sqlite3_step(st);
	*ret = rc == SQLITE_ROW;
	sqlite3_reset(st);
	return sw_history_errno(r->h->d.db, rc);
}

/* An account that has its share of places in this hour gets no further ones. */
static int within_share(struct roll *r, struct sw_base *b, const struct sw_spot *p, int64_t *place)
{
	struct sw_spot more = *p;
	struct sw_place_count *c;
	bool is_there = false;
	int e;

	if (p->row != SW_ROW_UID || p->part != SW_PLACE_BOTH || b->hour == r->now)
		return 0;
	e = begin_hour(r->h, r->now);
	if (e < 0)
		return e;
	c = get_count(r->h, p->uid);
	if (!c)
		return -ENOMEM;
	e = has_row(r, *place, &is_there);
	if (e < 0)
		return e;
	if (is_there || c->n < SW_HISTORY_MAX_PLACES) {
		c->n += !is_there;
		b->hour = r->now;
		return 0;
	}
	more.row = SW_ROW_MORE;
	more.directory = "(more directories)";
	more.script = more.cgroup = NULL;
	return sw_history_place(&r->h->d, &more, r->now, place);
}

static int touch(struct roll *r, int64_t place, const struct sw_stat *s)
{
	sqlite3_stmt *st;
	int e;

	st = sw_history_statement(&r->h->d, SW_HS_PLACE_TOUCH, &e);
	if (!st)
		return e;
	sqlite3_bind_int64(st, 1, r->s->now);
	sqlite3_bind_int64(st, 2, s->last);
	if (*s->last_destination)
		sqlite3_bind_text(st, 3, s->last_destination, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(st, 3);
	sqlite3_bind_int64(st, 4, place);
	return sw_history_run(&r->h->d, st);
}

static int add(struct roll *r, struct sw_base *b, const struct sw_stat *s, enum sw_place_part part,
	       const struct delta *x)
{
	struct sw_spot p;
	uint64_t names;
	int64_t place;
	int e = describe(r, s, part, &p);

	if (e < 0)
		return e;
	names = hash_place(&p);
	if (!b->place || b->names != names) {
		e = sw_history_place(&r->h->d, &p, r->s->now, &b->place);
		b->names = names;
		b->hour = 0;
	}
	place = b->place;
	if (!e)
		e = within_share(r, b, &p, &place);
	if (!e)
		e = touch(r, place, s);
	return e ?: add_spread(r, place, x);
}

/* ---- Differences ---- */

/* What the kernel has more than the base; the base then has it too. A base that is ahead, because
 * an account's origins were read after it, waits. */
static bool advance(struct sw_base *b, const struct sw_stat *s, struct delta *ret)
{
	uint64_t n[_SW_HISTORY_MAX];

	sw_history_counts(s, n);
	*ret = (struct delta){ .first = s->first, .last = s->last };
	for (int i = 0; i < _SW_HISTORY_MAX; i++) {
		ret->n[i] = n[i] > b->n[i] ? n[i] - b->n[i] : 0;
		b->n[i] += ret->n[i];
	}
	for (int i = 0; i < SW_SKETCH_WORDS; i++) {
		ret->sketch[i] = s->sketch[i] & ~b->sketch[i];
		b->sketch[i] |= s->sketch[i];
	}
	b->changed |= !is_empty(ret);
	return !is_empty(ret);
}

/* Origins `o` of one account, which counts in `sum` what they had more. */
static int add_origins(struct roll *r, const struct sw_stat *o, size_t n, bool has_account,
		       uint64_t sum[_SW_HISTORY_MAX])
{
	int e = 0;

	for (size_t i = 0; i < n && !e; i++) {
		struct sw_base *b = sw_history_base(&r->h->base[SW_BASE_ORIGINS], o[i].id);
		bool of_account = has_account && o[i].row != SW_ROW_OVERFLOW;
		struct delta x;

		if (!b)
			return -ENOMEM;
		if (!advance(b, &o[i], &x))
			continue;
		for (int j = 0; j < _SW_HISTORY_MAX && of_account; j++)
			sum[j] += x.n[j];
		e = add(r, b, &o[i], of_account ? SW_PLACE_BOTH : SW_PLACE_ORIGIN, &x);
	}
	return e;
}

static int add_account(struct roll *r, const struct sw_stat *a, const uint64_t sum[_SW_HISTORY_MAX])
{
	struct sw_base *b = sw_history_base(&r->h->base[SW_BASE_ACCOUNTS], a->id);
	struct sw_stat whole = *a;
	struct delta x;

	if (!b)
		return -ENOMEM;
	for (int i = 0; i < _SW_HISTORY_MAX; i++) {
		b->changed |= sum[i] != 0;
		b->n[i] += sum[i];
	}
	/* Cells and names of the account as a whole; its directories are its origins'. */
	memset(whole.sketch, 0, sizeof(whole.sketch));
	whole.directory = whole.script = whole.cgroup = NULL;
	whole.last_destination[0] = '\0';
	return advance(b, &whole, &x) ? add(r, b, &whole, SW_PLACE_ACCOUNT, &x) : 0;
}

/* Both are ordered by account. */
static int add_all(struct roll *r)
{
	const struct sw_stats *s = r->s;
	size_t at = 0, n;
	int e = 0;

	for (size_t i = 0; i < s->n_accounts && !e; i++) {
		const struct sw_stat *a = &s->accounts[i];
		uint64_t sum[_SW_HISTORY_MAX] = {};

		for (n = 0; at + n < s->n_origins; n++)
			if (sw_stat_compare_account(&s->origins[at + n], a) >= 0)
				break;
		r->n_pool = 0;
		e = add_origins(r, s->origins + at, n, false, sum);
		at += n;
		for (n = 0; at + n < s->n_origins; n++)
			if (sw_stat_compare_account(&s->origins[at + n], a) != 0)
				break;
		fill_pool(r, a->hours);
		if (!e)
			e = add_origins(r, s->origins + at, n, true, sum);
		at += n;
		if (!e)
			e = add_account(r, a, sum);
	}
	r->n_pool = 0;
	return e ?: add_origins(r, s->origins + at, s->n_origins - at, false, (uint64_t[_SW_HISTORY_MAX]){});
}

int sw_history_add(struct sw_history *h, const struct sw_history_reading *reading,
		   struct sw_domains *d)
{
	struct roll r = { .h = h, .d = d, .s = reading->s, .now = sw_history_hour(reading->s->now) };
	bool anew;
	int e = sw_history_begin_base(h, reading->instance, &anew);

	if (e < 0)
		return e;
	r.oldest = h->rolled ? sw_history_hour(h->rolled) : 0;
	e = h->limits.days ? add_all(&r) : 0;
	if (!e && h->limits.days)
		e = sw_history_save_base(h, reading->s->now);
	return e ?: sw_history_save_limits(h, reading, anew);
}

/* ---- One roll ---- */

int sw_history_roll_reading(struct sw_history *h, const struct sw_history_reading *r,
			    struct sw_domains *d)
{
	int e = h->stale ? sw_history_load_base(h, &h->d) : 0;

	if (!e)
		e = sw_history_exec(&h->d, "BEGIN IMMEDIATE");
	if (!e)
		e = sw_history_add(h, r, d);
	if (!e)
		e = sw_history_write_events(h);
	if (!e)
		e = sw_history_exec(&h->d, "COMMIT");
	if (!e) {
		sw_history_drop_events(h);
		return 0;
	}
	/* What is in memory is ahead of what was written. */
	h->stale = true;
	sqlite3_exec(h->d.db, "ROLLBACK", NULL, NULL, NULL);
	return e;
}

static int map_id(int fd, uint32_t *ret)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	*ret = info.id;
	return 0;
}

/* Ids of maps begin anew with each boot; the number in the control page does not. */
int sw_history_instance(const struct sw_live *l, uint64_t ret[_SW_BASE_MAX])
{
	static const enum sw_map_id map[_SW_BASE_MAX] = { SW_MAP_UID_STATS, SW_MAP_ORIGINS };
	uint64_t instance;
	uint32_t id = 0;
	int r = sw_control_instance(l->map_fd[SW_MAP_CONTROL], &instance);

	for (int i = 0; i < _SW_BASE_MAX && !r; i++) {
		r = map_id(l->map_fd[map[i]], &id);
		ret[i] = (instance ^ id) * 0x9e3779b97f4a7c15ULL ?: 1;
	}
	return r;
}

int sw_history_roll(struct sw_history *h, const struct sw_live *l, const struct sw_stats *s,
		    struct sw_domains *d)
{
	struct sw_history_reading reading = { .s = s };
	int r = sw_history_instance(l, reading.instance);

	if (!r)
		r = sw_history_read_limits(l, &reading);
	if (!r)
		r = sw_history_roll_reading(h, &reading, d);
	sw_history_free_limits(&reading);
	return r;
}
