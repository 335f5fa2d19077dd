/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The history as statistics of a period. What is not in the file yet is rolled into a database in
 * memory, by the code that writes the file, and read from there in the same way.
 */
#include <errno.h>
#include <string.h>

#include "history_read.h"
#include "util.h"

#define MIN_SLOTS	1024

/* ---- Opening ---- */

int sw_history_reader_open(const char *state_dir, struct sw_history_reader **ret)
{
	struct sw_history_reader *h = calloc(1, sizeof(*h));
	_cleanup_free_ char *path = NULL;
	int64_t rolled;
	int r;

	if (!h)
		return -ENOMEM;
	h->live.lock_fd = -1;
	h->live.limits.days = 1;
	r = sw_history_path(state_dir, &path);
	if (!r)
		r = sw_history_db_read(path, &h->file);
	/* From the first statement on it is one moment of the file that is seen. */
	if (!r)
		r = sw_history_exec(&h->file, "BEGIN");
	if (!r)
		r = sw_history_meta(&h->file, "rolled", &rolled);
	if (r < 0)
		sw_history_reader_free(h);
	else
		*ret = h;
	return r;
}

void sw_history_reader_free(struct sw_history_reader *h)
{
	if (!h)
		return;
	sw_history_free_base(&h->live);
	sw_history_db_close(&h->live.d);
	sw_history_db_close(&h->file);
	free(h);
}

int sw_history_reader_add(struct sw_history_reader *h, const struct sw_history_reading *reading,
			  struct sw_domains *d)
{
	int r = sw_history_db_memory(&h->live.d);

	if (!r)
		r = sw_history_load_base(&h->live, &h->file);
	if (!r)
		r = sw_history_exec(&h->live.d, "BEGIN");
	if (!r)
		r = sw_history_add(&h->live, reading, d);
	if (!r)
		r = sw_history_exec(&h->live.d, "COMMIT");
	h->has_live = !r;
	return r;
}

int sw_history_reader_add_live(struct sw_history_reader *h, const struct sw_live *l,
			       const struct sw_stats *s, struct sw_domains *d)
{
	struct sw_history_reading reading = { .s = s };
	int r = sw_history_instance(l, reading.instance);

	return r ?: sw_history_reader_add(h, &reading, d);
}

/* ---- Sums of places ---- */

static struct sw_place_sum *slot_of(const struct sw_place_sums *t, int64_t place)
{
	size_t i = ((uint64_t)place * 0x9e3779b97f4a7c15ULL >> 20) & (t->size - 1);

	while (t->slot[i].used && t->slot[i].place != place)
		i = (i + 1) & (t->size - 1);
	return &t->slot[i];
}

static struct sw_place_sum *sum_of(struct sw_place_sums *t, int64_t place)
{
	struct sw_place_sum *s;

	if (t->n * 2 >= t->size) {
		struct sw_place_sums larger = { .size = t->size ? t->size * 2 : MIN_SLOTS, .n = t->n };

		larger.slot = calloc(larger.size, sizeof(*larger.slot));
		if (!larger.slot)
			return NULL;
		for (size_t i = 0; i < t->size; i++)
			if (t->slot[i].used)
				*slot_of(&larger, t->slot[i].place) = t->slot[i];
		free(t->slot);
		*t = larger;
	}
	s = slot_of(t, place);
	t->n += !s->used;
	if (!s->used)
		*s = (struct sw_place_sum){ .used = true, .place = place };
	return s;
}

const struct sw_place_sum *sw_history_find_sum(const struct sw_place_sums *t, int64_t place)
{
	const struct sw_place_sum *s = t->size ? slot_of(t, place) : NULL;

	return s && s->used ? s : NULL;
}

static void add_cells(struct sw_place_sum *s, sqlite3_stmt *st, int column)
{
	const void *blob = sqlite3_column_blob(st, column);
	uint64_t sketch[SW_SKETCH_WORDS];

	if (!blob || sqlite3_column_bytes(st, column) != sizeof(sketch))
		return;
	memcpy(sketch, blob, sizeof(sketch));
	for (int i = 0; i < SW_SKETCH_WORDS; i++)
		s->sketch[i] |= sketch[i];
}

static int add_row(struct sw_place_sums *t, sqlite3_stmt *st, bool subtract)
{
	struct sw_place_sum *s = sum_of(t, sqlite3_column_int64(st, 0));
	time_t first = (time_t)sqlite3_column_int64(st, 1), last = (time_t)sqlite3_column_int64(st, 2);
	int64_t n[_SW_HISTORY_MAX];

	if (!s)
		return -ENOMEM;
	sw_history_get_slots(st, 4, n);
	for (int i = 0; i < _SW_HISTORY_MAX; i++)
		s->n[i] += subtract ? -(uint64_t)n[i] : (uint64_t)n[i];
	if (subtract)
		return 0;
	if (!s->first || first < s->first)
		s->first = first;
	if (last > s->last)
		s->last = last;
	add_cells(s, st, 3);
	return 0;
}

/* Rows of `sql` that begin at `from` or later and before `to`. */
static int scan(struct sw_history_db *d, const char *sql, time_t from, time_t to, bool subtract,
		struct sw_place_sums *t)
{
	sqlite3_stmt *st;
	int r, rc;

	if (from >= to)
		return 0;
	st = sw_history_query(d, sql, &r);
	if (!st)
		return r;
	sqlite3_bind_int64(st, 1, from);
	sqlite3_bind_int64(st, 2, to);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && !r)
		r = add_row(t, st, subtract);
	sqlite3_finalize(st);
	return r ?: sw_history_errno(d->db, rc);
}

#define HOURS	"SELECT place, start + first, start + last, NULL, %C FROM hour " \
		"WHERE start >= ? AND start < ?"
#define DAYS	"SELECT place, start + first, start + last, sketch, %C FROM day " \
		"WHERE start >= ? AND start < ?"

/* Destinations are only kept by the day: a day of which some hours count tells its own too. */
static int add_cells_of_day(struct sw_history_db *d, time_t day, struct sw_place_sums *t)
{
	sqlite3_stmt *st;
	int r, rc;

	st = sw_history_query(d, "SELECT place, sketch FROM day WHERE start = ? AND sketch IS NOT NULL", &r);
	if (!st)
		return r;
	sqlite3_bind_int64(st, 1, day);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t place = sqlite3_column_int64(st, 0);
		struct sw_place_sum *s = t->size ? slot_of(t, place) : NULL;

		if (s && s->used)
			add_cells(s, st, 1);
	}
	sqlite3_finalize(st);
	return sw_history_errno(d->db, rc);
}

/* Whole days where there are such, hours before and after. */
int sw_history_sum(struct sw_history_db *d, time_t from, time_t to, struct sw_place_sums *t)
{
	time_t first_day = from + (SW_HISTORY_DAY - from % SW_HISTORY_DAY) % SW_HISTORY_DAY;
	time_t end_day = to - to % SW_HISTORY_DAY;
	int r;

	if (first_day > end_day) {	/* all within one day */
		r = scan(d, HOURS, from, to, false, t);
		return r ?: add_cells_of_day(d, end_day, t);
	}
	r = scan(d, HOURS, from, first_day, false, t);
	if (!r)
		r = scan(d, HOURS, end_day, to, false, t);
	if (!r && from < first_day)
		r = add_cells_of_day(d, first_day - SW_HISTORY_DAY, t);
	if (!r && end_day < to)
		r = add_cells_of_day(d, end_day, t);
	return r ?: scan(d, DAYS, first_day, end_day, false, t);
}

/* ---- Averages ---- */

struct average {
	uint32_t uid;
	time_t first;
	uint64_t n[_SW_N_MAX];
};

static int compare_average(const void *a, const void *b)
{
	const struct average *x = a, *y = b;

	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static int list_accounts(struct sw_history *h, const struct sw_place_sums *sums, struct average *all,
			 size_t *n)
{
	sqlite3_stmt *st;
	int r, rc;

	st = sw_history_query(&h->d, "SELECT p.id, p.uid, (SELECT min(first) FROM place q WHERE"
			      " q.uid = p.uid) FROM place p WHERE p.row IN (0, 3) AND p.part < 2", &r);
	if (!st)
		return r;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
		const struct sw_place_sum *s = sw_history_find_sum(sums, sqlite3_column_int64(st, 0));

		if (!s || *n >= sums->n)
			continue;
		all[*n].uid = (uint32_t)sqlite3_column_int64(st, 1);
		all[*n].first = (time_t)sqlite3_column_int64(st, 2);
		memcpy(all[*n].n, s->n, sizeof(all[*n].n));
		++*n;
	}
	sqlite3_finalize(st);
	return sw_history_errno(h->d.db, rc);
}

static int tell_averages(struct average *all, size_t n, time_t begin, time_t end,
			 int (*fn)(void *data, uint32_t uid, const double n[_SW_N_MAX]), void *data)
{
	size_t next;
	int r = 0;

	qsort(all, n, sizeof(*all), compare_average);
	for (size_t i = 0; i < n && !r; i = next) {
		time_t first = sw_history_hour(all[i].first);
		double hours = (double)(end - (first > begin ? first : begin)) / SW_HISTORY_HOUR;
		double average[_SW_N_MAX] = {};

		for (next = i; next < n && all[next].uid == all[i].uid; next++)
			for (int j = 0; j < _SW_N_MAX; j++)
				average[j] += (double)(int64_t)all[next].n[j];
		for (int j = 0; j < _SW_N_MAX; j++)
			average[j] = average[j] > 0 && hours > 0 ? average[j] / hours : 0;
		if (hours >= 1)
			r = fn(data, all[i].uid, average);
	}
	return r;
}

int sw_history_averages(struct sw_history *h, unsigned int days, time_t now,
			int (*fn)(void *data, uint32_t uid, const double n[_SW_N_MAX]), void *data)
{
	time_t end = sw_history_hour(now), begin = end - end % SW_HISTORY_DAY - (time_t)days * SW_HISTORY_DAY;
	_cleanup_free_ struct average *all = NULL;
	struct sw_place_sums sums = {};
	size_t n = 0;
	int r;

	r = scan(&h->d, DAYS, begin, end + 1, false, &sums);
	if (!r)		/* what has begun is not whole */
		r = scan(&h->d, HOURS, end, end - end % SW_HISTORY_DAY + SW_HISTORY_DAY, true, &sums);
	if (!r) {
		all = calloc(sums.n + 1, sizeof(*all));
		r = all ? list_accounts(h, &sums, all, &n) : -ENOMEM;
	}
	free(sums.slot);
	return r ?: tell_averages(all, n, begin, end, fn, data);
}

/* ---- What was counted lately ---- */

static void tell_count(sqlite3_stmt *st, void (*fn)(void *data, const struct sw_history_count *c),
		       void *data)
{
	int64_t uid = sqlite3_column_int64(st, 0), row = sqlite3_column_int64(st, 1);
	int part = sqlite3_column_int(st, 2);
	_cleanup_free_ char *domain = NULL;
	struct sw_history_count c = { .uid = (uint32_t)uid, .row = (enum sw_row)row };
	int64_t n[_SW_HISTORY_MAX];

	if (row < SW_ROW_UID || row > SW_ROW_MORE)
		return;
	if (sqlite3_column_bytes(st, 3) > 0)
		domain = strndup(sqlite3_column_blob(st, 3), (size_t)sqlite3_column_bytes(st, 3));
	sw_history_get_slots(st, 4, n);
	for (int i = 0; i < _SW_N_MAX; i++)
		c.n[i] = n[i] > 0 ? (uint64_t)n[i] : 0;
	if (part != SW_PLACE_ORIGIN)
		fn(data, &c);
	c.is_origin = true;
	c.domain = domain;
	if (part != SW_PLACE_ACCOUNT)
		fn(data, &c);
}

int sw_history_counted(struct sw_history *h, time_t since, time_t until,
		       void (*fn)(void *data, const struct sw_history_count *c), void *data)
{
	sqlite3_stmt *st;
	int r, rc;

	st = sw_history_query(&h->d, "SELECT p.uid, p.row, p.part, t.value, %S FROM hour h"
			      " JOIN place p ON p.id = h.place LEFT JOIN text t ON t.id = p.domain"
			      " WHERE h.start >= ? AND h.start <= ?"
			      " GROUP BY p.uid, p.row, p.part, p.domain", &r);
	if (!st)
		return r;
	sqlite3_bind_int64(st, 1, since);
	sqlite3_bind_int64(st, 2, until);
	while ((rc = sqlite3_step(st)) == SQLITE_ROW)
		tell_count(st, fn, data);
	sqlite3_finalize(st);
	return sw_history_errno(h->d.db, rc);
}
