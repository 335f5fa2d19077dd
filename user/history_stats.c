/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From places and their sums to statistics as a report wants them. */
#include <errno.h>
#include <string.h>

#include "history_read.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000ULL
#define MAX_SITES	1000000

/* A place with what was counted there. Texts belong to the statistics. */
struct item {
	struct sw_spot spot;
	struct sw_place_sum sum;
	char destination[SW_DESTINATION_LEN];
	time_t destination_at;
};

struct text {
	int64_t id;
	char *value;
};

struct work {
	struct sw_stats s;
	struct text *text;	/* of one source, by id */
	size_t n_texts;
	struct item *item;
	size_t n_items, room;
};

/* ---- Texts ---- */

static int load_text(struct work *w, sqlite3_stmt *st, size_t *room)
{
	const char *value = sqlite3_column_blob(st, 1);
	char *copy;

	if (w->n_texts == *room) {
		size_t more = *room ? *room * 2 : 1024;
		struct text *larger = reallocarray(w->text, more, sizeof(*larger));

		if (!larger)
			return -ENOMEM;
		w->text = larger;
		*room = more;
	}
	copy = strndup(value ?: "", (size_t)sqlite3_column_bytes(st, 1));
	if (!copy)
		return -ENOMEM;
	w->text[w->n_texts++] = (struct text){ .id = sqlite3_column_int64(st, 0), .value = copy };
	return 0;
}

/* The texts of a source become the statistics', once it has been read. */
static int keep_texts(struct work *w)
{
	char **larger = reallocarray(w->s.texts, w->s.n_texts + w->n_texts + 1, sizeof(*larger));

	if (larger)
		w->s.texts = larger;
	for (size_t i = 0; i < w->n_texts; i++) {
		if (larger)
			w->s.texts[w->s.n_texts++] = w->text[i].value;
		else
			free(w->text[i].value);
	}
	free(w->text);
	w->text = NULL;
	w->n_texts = 0;
	return larger ? 0 : -ENOMEM;
}

static int load_texts(struct work *w, struct sw_history_db *d)
{
	size_t room = 0;
	sqlite3_stmt *st;
	int r, rc;

	st = sw_history_query(d, "SELECT id, value FROM text ORDER BY id", &r);
	if (!st)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && !r)
		r = load_text(w, st, &room);
	sqlite3_finalize(st);
	return r ?: sw_history_errno(d->db, rc);
}

static int compare_text(const void *a, const void *b)
{
	const struct text *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static const char *text_of(const struct work *w, int64_t id)
{
	const struct text key = { .id = id }, *found = NULL;

	if (w->n_texts)
		found = bsearch(&key, w->text, w->n_texts, sizeof(key), compare_text);
	return found ? found->value : NULL;
}

/* ---- Places ---- */

static struct item *new_item(struct work *w)
{
	if (w->n_items == w->room) {
		size_t more = w->room ? w->room * 2 : 1024;
		struct item *larger = reallocarray(w->item, more, sizeof(*larger));

		if (!larger)
			return NULL;
		w->item = larger;
		w->room = more;
	}
	return &w->item[w->n_items++];
}

/* Whether its sum is worth a row; what a row cannot have becomes 0. */
static bool clean(struct sw_place_sum *s)
{
	bool any = false;

	for (int i = 0; i < _SW_HISTORY_MAX; i++) {
		if (s->n[i] > INT64_MAX)
			s->n[i] = 0;
		any |= s->n[i] != 0;
	}
	return any;
}

static int load_place(struct work *w, sqlite3_stmt *st, const struct sw_place_sums *sums, time_t to)
{
	const struct sw_place_sum *sum = sw_history_find_sum(sums, sqlite3_column_int64(st, 0));
	const unsigned char *destination = sqlite3_column_text(st, 14);
	int64_t row = sqlite3_column_int64(st, 2), sites = sqlite3_column_int64(st, 8);
	struct item *m;

	if (!sum || row < SW_ROW_UID || row > SW_ROW_MORE)
		return 0;
	m = new_item(w);
	if (!m)
		return -ENOMEM;
	*m = (struct item){ .sum = *sum, .destination_at = (time_t)sqlite3_column_int64(st, 13) };
	m->spot = (struct sw_spot){
		.uid = (uint32_t)sqlite3_column_int64(st, 1), .row = (enum sw_row)row,
		.part = (enum sw_place_part)sqlite3_column_int(st, 3),
		.user = text_of(w, sqlite3_column_int64(st, 4)),
		.account = text_of(w, sqlite3_column_int64(st, 5)),
		.domain = text_of(w, sqlite3_column_int64(st, 6)),
		.source = text_of(w, sqlite3_column_int64(st, 7)),
		.sites = sites < 0 || sites > MAX_SITES ? 0 : (size_t)sites,
		.guess = sqlite3_column_int(st, 9) != 0,
		.directory = text_of(w, sqlite3_column_int64(st, 10)),
		.script = text_of(w, sqlite3_column_int64(st, 11)),
		.cgroup = text_of(w, sqlite3_column_int64(st, 12)),
	};
	if (destination && m->destination_at < to)
		snprintf(m->destination, sizeof(m->destination), "%s", (const char *)destination);
	return 0;
}

static int load_places(struct work *w, struct sw_history_db *d, const struct sw_place_sums *sums,
		       time_t to)
{
	sqlite3_stmt *st;
	int r, rc;

	st = sw_history_query(d, "SELECT id, uid, row, part, user, account, domain, source, sites, guess,"
			      " directory, script, cgroup, last, destination FROM place", &r);
	if (!st)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && !r)
		r = load_place(w, st, sums, to);
	sqlite3_finalize(st);
	return r ?: sw_history_errno(d->db, rc);
}

static int load_source(struct work *w, struct sw_history_db *d, time_t from, time_t to)
{
	struct sw_place_sums sums = {};
	int r = sw_history_sum(d, from, to, &sums), kept;

	if (!r)
		r = load_texts(w, d);
	if (!r)
		r = load_places(w, d, &sums, to);
	kept = keep_texts(w);
	free(sums.slot);
	return r ?: kept;
}

/* ---- Together ---- */

static int compare_maybe(const char *a, const char *b)
{
	if (!a || !b)
		return (a != NULL) - (b != NULL);
	return strcmp(a, b);
}

static int compare_number(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* By the account that had the UID then. */
static int compare_owner(const struct sw_spot *x, const struct sw_spot *y)
{
	const struct sw_stat a = { .uid = x->uid, .row = x->row }, b = { .uid = y->uid, .row = y->row };

	return sw_stat_compare_account(&a, &b) ?: compare_maybe(x->user, y->user);
}

static int compare_item(const void *a, const void *b)
{
	const struct sw_spot *x = &((const struct item *)a)->spot, *y = &((const struct item *)b)->spot;

	return compare_owner(x, y) ?: compare_number(x->part, y->part) ?: compare_number(x->row, y->row) ?:
	       compare_maybe(x->directory, y->directory) ?: compare_maybe(x->script, y->script) ?:
	       compare_maybe(x->cgroup, y->cgroup) ?: compare_maybe(x->domain, y->domain) ?:
	       compare_maybe(x->account, y->account) ?: compare_maybe(x->source, y->source) ?:
	       compare_number(x->sites, y->sites) ?: compare_number(x->guess, y->guess);
}

static void merge(struct item *a, const struct item *b)
{
	for (int i = 0; i < _SW_HISTORY_MAX; i++)
		a->sum.n[i] += b->sum.n[i];
	for (int i = 0; i < SW_SKETCH_WORDS; i++)
		a->sum.sketch[i] |= b->sum.sketch[i];
	if (b->sum.first && (!a->sum.first || b->sum.first < a->sum.first))
		a->sum.first = b->sum.first;
	if (b->sum.last > a->sum.last)
		a->sum.last = b->sum.last;
	if (*b->destination && b->destination_at >= a->destination_at) {
		memcpy(a->destination, b->destination, sizeof(a->destination));
		a->destination_at = b->destination_at;
	}
}

/* The same place in the file and in memory is one. */
static void merge_items(struct work *w)
{
	size_t n = 0, next;

	if (w->n_items)
		qsort(w->item, w->n_items, sizeof(*w->item), compare_item);
	for (size_t i = 0; i < w->n_items; i = next) {
		struct item m = w->item[i];

		for (next = i + 1; next < w->n_items; next++) {
			if (compare_item(&m, &w->item[next]) != 0)
				break;
			merge(&m, &w->item[next]);
		}
		if (clean(&m.sum))
			w->item[n++] = m;
	}
	w->n_items = n;
}

/* ---- Rows ---- */

static void fill_stat(const struct item *m, const struct sw_report_site *site, uint32_t owner,
		      struct sw_stat *s)
{
	*s = (struct sw_stat){
		.uid = m->spot.uid, .row = m->spot.row, .first = m->sum.first, .last = m->sum.last,
		.last_ns = (uint64_t)m->sum.last * NSEC_PER_SEC, .site = site, .owner = owner,
	};
	sw_history_set_counts(m->sum.n, s);
	memcpy(s->sketch, m->sum.sketch, sizeof(s->sketch));
	memcpy(s->last_destination, m->destination, sizeof(s->last_destination));
	s->destinations = sw_sketch_estimate(s->sketch, &s->destinations_full);
}

static int add_origin(struct sw_stats *s, const struct item *m, const struct sw_report_site *site,
		      uint32_t owner)
{
	struct sw_stat *o = &s->origins[s->n_origins++];

	fill_stat(m, site, owner, o);
	o->id = s->n_origins;
	o->directory = m->spot.directory ? strdup(m->spot.directory) : NULL;
	o->script = m->spot.script ? strdup(m->spot.script) : NULL;
	o->cgroup = m->spot.cgroup ? strdup(m->spot.cgroup) : NULL;
	return (m->spot.directory && !o->directory) || (m->spot.script && !o->script) ||
	       (m->spot.cgroup && !o->cgroup) ? -ENOMEM : 0;
}

static void add_to_account(struct sw_stats *s, const struct item *m, const struct sw_report_site *site,
			   uint32_t owner)
{
	struct sw_stat *a = s->n_accounts ? &s->accounts[s->n_accounts - 1] : NULL, one;

	fill_stat(m, site, owner, &one);
	one.row = one.row == SW_ROW_MORE ? SW_ROW_UID : one.row;
	if (!a || sw_stat_compare_account(a, &one) != 0) {
		a = &s->accounts[s->n_accounts++];
		*a = one;
		a->id = s->n_accounts;
		return;
	}
	for (int i = 0; i < _SW_N_MAX; i++)
		a->n[i] += one.n[i];
	sw_outcome_add(&a->outcome, &one.outcome);
	if (one.first && (!a->first || one.first < a->first))
		a->first = one.first;
	if (one.last > a->last) {
		a->last = one.last;
		a->last_ns = one.last_ns;
	}
}

static void fill_site(const struct sw_spot *p, struct sw_report_site *ret)
{
	*ret = (struct sw_report_site){
		.domain = p->domain, .one_of_several = p->guess, .sites = p->sites,
		.source = p->source ?: "none", .user = p->user, .account = p->account,
	};
}

static int make_rows(struct work *w)
{
	struct sw_stats *s = &w->s;
	uint32_t owner = 0;
	int r = 0;

	s->accounts = calloc(w->n_items + 1, sizeof(*s->accounts));
	s->origins = calloc(w->n_items + 1, sizeof(*s->origins));
	s->sites = calloc(w->n_items + 1, sizeof(*s->sites));
	if (!s->accounts || !s->origins || !s->sites)
		return -ENOMEM;
	for (size_t i = 0; i < w->n_items && !r; i++) {
		const struct item *m = &w->item[i], *before = i ? &w->item[i - 1] : NULL;

		if (before && before->spot.uid == m->spot.uid)
			owner += compare_owner(&before->spot, &m->spot) != 0;
		else
			owner = 0;
		fill_site(&m->spot, &s->sites[i]);
		if (m->spot.part != SW_PLACE_ORIGIN)
			add_to_account(s, m, &s->sites[i], owner);
		if (m->spot.part != SW_PLACE_ACCOUNT)
			r = add_origin(s, m, &s->sites[i], owner);
	}
	return r;
}

void sw_history_whole_hours(time_t *since, time_t *until)
{
	*since = sw_history_hour(*since > 0 ? *since : 0);
	if (*since < 0)
		*since = 0;
	/* "Until midnight" does not mean the hour that begins then. */
	*until = sw_history_hour(*until - 1) + SW_HISTORY_HOUR - 1;
}

int sw_history_read(struct sw_history_reader *h, time_t since, time_t until, struct sw_stats *ret)
{
	struct work w = {};
	int r;

	sw_history_whole_hours(&since, &until);
	w.s.now = time(NULL);
	r = load_source(&w, &h->file, since, until + 1);
	if (!r && h->has_live)
		r = load_source(&w, &h->live.d, since, until + 1);
	if (!r) {
		merge_items(&w);
		r = make_rows(&w);
	}
	free(w.item);
	if (r < 0) {
		sw_stats_free(&w.s);
		return r;
	}
	sw_stats_join(&w.s);
	*ret = w.s;
	return 0;
}
