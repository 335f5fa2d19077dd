/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "attribute.h"
#include "report.h"
#include "util.h"

/* An origin on its way to the row that it is summed on. */
struct entry {
	const struct sw_stat *origin;
	struct sw_report_site site;
};

struct work {
	const struct sw_report *what;
	const struct sw_stats *s;
	struct sw_domains *d;
	struct entry *entry;
	size_t n_entries;
	struct sw_report_rows rows;
};

/* ---- Whose is it ---- */

static bool is_account(const struct sw_stat *s)
{
	return s->row == SW_ROW_UID || s->row == SW_ROW_MORE;
}

/* Sources that name one site and not just an account. */
static bool is_exact(const char *source)
{
	static const char *const exact[] = { "docroot", "pool-name", "process-title" };

	for (size_t i = 0; i < ARRAY_SIZE(exact); i++)
		if (!strcmp(source, exact[i]))
			return true;
	return false;
}

int sw_report_attribute(struct sw_domains *d, const struct sw_stat *s, struct sw_report_site *ret)
{
	const struct sw_attribute_query q = {
		.uid = s->uid,
		.row = s->row,
		.directory = s->row == SW_ROW_MORE ? NULL : s->directory,
		.argv = s->argv,
		.argv_len = s->argv_len,
		.comm = s->comm,
	};
	struct sw_attribution a;
	const char *owner;
	int r;

	if (s->site) {
		*ret = *s->site;
		return 0;
	}
	*ret = (struct sw_report_site){ .source = "none" };
	if (!d || !is_account(s))
		return 0;
	r = sw_attribute(d, &q, &a);
	if (r < 0)
		return r;
	owner = a.account ? a.account : a.user;
	*ret = (struct sw_report_site){
		.domain = a.domain,
		.one_of_several = a.domain && a.others && !is_exact(a.source),
		.sites = owner ? sw_domains_count_sites(d, owner) : 0,
		.source = a.source,
		.user = a.user,
		.account = a.account,
	};
	if (a.domain && !ret->sites)
		ret->sites = 1;
	sw_attribution_free(&a);
	return 0;
}

/* ---- Picking ---- */

static bool in_period(const struct sw_report *f, const struct sw_stat *s)
{
	return (!f->is_since || s->last >= f->since) && (!f->is_until || s->last <= f->until);
}

static bool is_wanted_row(const struct sw_report *f, const struct sw_stat *s)
{
	if (f->is_uid && (!is_account(s) || s->uid != f->uid))
		return false;
	return in_period(f, s) && (f->all || sw_stat_by(s, f->channel));
}

static bool is_below(const char *path, const char *directory)
{
	size_t len = directory ? strlen(path) : 0;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (!len || strncmp(directory, path, len) != 0)
		return false;
	return path[len - 1] == '/' || directory[len] == '/' || !directory[len];
}

/* An alias shares the documents of another one, which is what its origins are attributed to. */
const char *sw_report_domain(struct sw_domains *d, const char *name)
{
	const struct sw_domain *found = d ? sw_domains_find(d, name) : NULL;
	const struct sw_domain *at;

	if (!found && d && sw_domains_look_further(d))
		found = sw_domains_find(d, name);
	if (!found)
		return name;
	at = found->kind == SW_DOMAIN_ALIAS && found->docroot ?
		sw_domains_at(d, found->docroot, found->user, NULL) : NULL;
	return at ? at->name : found->name;
}

/* Every origin that the filters leave. */
static int collect(struct work *w)
{
	const struct sw_report *f = w->what;
	const char *domain = f->domain ? sw_report_domain(w->d, f->domain) : NULL;
	bool attribute = f->by == SW_REPORT_BY_DOMAIN || domain;

	w->entry = calloc(w->s->n_origins + 1, sizeof(*w->entry));
	if (!w->entry)
		return -ENOMEM;
	for (size_t i = 0; i < w->s->n_origins; i++) {
		const struct sw_stat *o = &w->s->origins[i];
		struct entry *e = &w->entry[w->n_entries];
		int r;

		if ((f->is_uid && (o->uid != f->uid || !is_account(o))) ||
		    (f->path && !is_below(f->path, o->directory)))
			continue;
		e->origin = o;
		r = attribute ? sw_report_attribute(w->d, o, &e->site) : 0;
		if (r < 0)
			return r;
		if (!domain || (e->site.domain && !strcasecmp(e->site.domain, domain)))
			w->n_entries++;
	}
	return 0;
}

/* ---- Summing ---- */

/* Same key, same row. What is only a guess about an account is never mixed with facts. */
static int compare_key(enum sw_report_by by, const struct entry *a, const struct entry *b)
{
	if (by == SW_REPORT_BY_DIRECTORY)
		return a->origin < b->origin ? -1 : a->origin > b->origin;
	if (by == SW_REPORT_BY_UID || (!a->site.domain && !b->site.domain))
		return sw_stat_compare_account(a->origin, b->origin);
	if (!a->site.domain || !b->site.domain)
		return a->site.domain ? -1 : 1;
	return strcmp(a->site.domain, b->site.domain) ?:
	       (int)a->site.one_of_several - (int)b->site.one_of_several;
}

static int compare_worse(const void *a, const void *b, void *report)
{
	enum sw_channel channel = ((const struct sw_report *)report)->channel;
	const struct sw_stat *x = ((const struct entry *)a)->origin;
	const struct sw_stat *y = ((const struct entry *)b)->origin;

	if (sw_stat_is_worse(x, y, channel))
		return -1;
	if (sw_stat_is_worse(y, x, channel))
		return 1;
	return x < y ? -1 : x > y;
}

static int compare_entry(const void *a, const void *b, void *report)
{
	return compare_key(((const struct sw_report *)report)->by, a, b) ?: compare_worse(a, b, report);
}

static void add_counts(struct sw_stat *sum, const struct sw_stat *o)
{
	for (int i = 0; i < _SW_N_MAX; i++)
		sum->n[i] += o->n[i];
	sw_outcome_add(&sum->outcome, &o->outcome);
	for (int i = 0; i < SW_SKETCH_WORDS; i++)
		sum->sketch[i] |= o->sketch[i];
	if (o->first && (!sum->first || o->first < sum->first))
		sum->first = o->first;
	if (o->last_ns < sum->last_ns)
		return;
	sum->last_ns = o->last_ns;
	sum->last = o->last;
	memcpy(sum->last_destination, o->last_destination, sizeof(sum->last_destination));
}

/* One row of `n` entries, the worst first. */
static void sum_entries(const struct entry *e, size_t n, struct sw_report_row *ret)
{
	struct sw_stat *sum = &ret->sum;
	const struct sw_stat *worst = e[0].origin;

	*ret = (struct sw_report_row){ .site = e[0].site, .n_origins = n };
	*sum = *worst;
	memset(sum->n, 0, sizeof(sum->n));
	sum->outcome = (struct sw_outcome){};
	for (size_t i = 0; i < n; i++)
		add_counts(sum, e[i].origin);
	sum->destinations = sw_sketch_estimate(sum->sketch, &sum->destinations_full);
	sum->worst = worst;
}

static const struct sw_stat *find_account(const struct sw_stats *s, const struct sw_stat *like)
{
	const struct sw_stat key = { .uid = like->uid,
				     .row = like->row == SW_ROW_MORE ? SW_ROW_UID : like->row,
				     .owner = like->owner };

	return bsearch(&key, s->accounts, s->n_accounts, sizeof(key), sw_stat_compare_account);
}

/* Rows of entries that belong together; each keeps the list of its origins. */
static int group(struct work *w)
{
	enum sw_report_by by = w->what->by;
	const struct sw_stat *account;
	size_t n;

	w->rows.row = calloc(w->n_entries + 1, sizeof(*w->rows.row));
	w->rows.origins = calloc(w->n_entries + 1, sizeof(const struct sw_stat *));
	if (!w->rows.row || !w->rows.origins)
		return -ENOMEM;
	qsort_r(w->entry, w->n_entries, sizeof(*w->entry), compare_entry, (void *)w->what);
	for (size_t i = 0; i < w->n_entries; i += n) {
		struct sw_report_row *row = &w->rows.row[w->rows.n];

		for (n = 1; i + n < w->n_entries; n++)
			if (compare_key(by, &w->entry[i], &w->entry[i + n]) != 0)
				break;
		sum_entries(&w->entry[i], n, row);
		row->origin = w->rows.origins + i;
		for (size_t j = 0; j < n; j++)
			w->rows.origins[i + j] = w->entry[i + j].origin;
		account = find_account(w->s, &row->sum);
		row->sum.hours = account ? account->hours : NULL;
		if (by != SW_REPORT_BY_DIRECTORY && row->sum.row == SW_ROW_MORE)
			row->sum.row = SW_ROW_UID;
		w->rows.n += is_wanted_row(w->what, &row->sum);
	}
	return 0;
}

static void set_worst(struct sw_stat *sum, const struct sw_stat *worst)
{
	sum->directory = worst->directory;
	sum->script = worst->script;
	sum->cgroup = worst->cgroup;
	sum->worst = worst;
}

/* Accounts as the kernel counted them: complete also where a directory found no room. */
static int take_accounts(struct work *w)
{
	const struct sw_stats *s = w->s;
	size_t at = 0, n;

	w->rows.row = calloc(s->n_accounts + 1, sizeof(*w->rows.row));
	w->rows.origins = calloc(w->n_entries + 1, sizeof(const struct sw_stat *));
	if (!w->rows.row || !w->rows.origins)
		return -ENOMEM;
	/* Both are ordered by account. */
	for (size_t i = 0; i < s->n_accounts; i++) {
		const struct sw_stat *a = &s->accounts[i];
		struct sw_report_row *row = &w->rows.row[w->rows.n];

		while (at < w->n_entries && sw_stat_compare_account(w->entry[at].origin, a) < 0)
			at++;
		for (n = 0; at + n < w->n_entries; n++)
			if (sw_stat_compare_account(w->entry[at + n].origin, a) != 0)
				break;
		if (is_wanted_row(w->what, a)) {
			*row = (struct sw_report_row){ .sum = *a, .origin = w->rows.origins + at };
			row->n_origins = a->row == SW_ROW_OVERFLOW ? 0 : n;
			qsort_r(&w->entry[at], n, sizeof(*w->entry), compare_worse, (void *)w->what);
			for (size_t j = 0; j < n; j++)
				w->rows.origins[at + j] = w->entry[at + j].origin;
			if (row->n_origins)
				set_worst(&row->sum, row->origin[0]);
			w->rows.n++;
		}
		at += n;
	}
	return 0;
}

/* ---- Sorting ---- */

static int descending(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static const struct sw_stat *sum_of(const void *row)
{
	return &((const struct sw_report_row *)row)->sum;
}

static int by_uid(const void *a, const void *b)
{
	const struct sw_stat *x = sum_of(a), *y = sum_of(b);

	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	if (x->owner != y->owner)
		return x->owner < y->owner ? -1 : 1;
	return strcmp(x->directory ?: "", y->directory ?: "");
}

static int by_attempts(const void *a, const void *b)
{
	return descending(sw_stat_attempts(sum_of(a)), sw_stat_attempts(sum_of(b))) ?:
	       by_uid(a, b);
}

static int by_denied(const void *a, const void *b)
{
	return descending(sw_stat_offences(sum_of(a)), sw_stat_offences(sum_of(b))) ?:
	       by_attempts(a, b);
}

static int by_local(const void *a, const void *b)
{
	return descending(sum_of(a)->n[SW_N_LOCAL], sum_of(b)->n[SW_N_LOCAL]) ?: by_denied(a, b);
}

static int by_sendmail(const void *a, const void *b)
{
	return descending(sum_of(a)->n[SW_N_SENDMAIL], sum_of(b)->n[SW_N_SENDMAIL]) ?: by_denied(a, b);
}

static int by_last(const void *a, const void *b)
{
	return descending(sum_of(a)->last_ns, sum_of(b)->last_ns) ?: by_denied(a, b);
}

static int by_destinations(const void *a, const void *b)
{
	return descending(sum_of(a)->destinations, sum_of(b)->destinations) ?: by_denied(a, b);
}

static int by_domain(const void *a, const void *b)
{
	const char *x = ((const struct sw_report_row *)a)->site.domain;
	const char *y = ((const struct sw_report_row *)b)->site.domain;

	if (!x || !y)
		return x ? -1 : y ? 1 : by_denied(a, b);
	return strcmp(x, y) ?: by_denied(a, b);
}

static void sort(struct work *w)
{
	static int (*const by_channel[_SW_CHANNEL_MAX])(const void *a, const void *b) = {
		[SW_CHANNEL_DIRECT] = by_denied,      [SW_CHANNEL_LOCAL] = by_local,
		[SW_CHANNEL_SENDMAIL] = by_sendmail, [SW_CHANNEL_ALL] = by_attempts,
	};
	static int (*const compare[_SW_SORT_MAX])(const void *a, const void *b) = {
		[SW_SORT_ATTEMPTS] = by_attempts,
		[SW_SORT_LAST] = by_last,     [SW_SORT_UID] = by_uid,
		[SW_SORT_DOMAIN] = by_domain, [SW_SORT_DESTINATIONS] = by_destinations,
	};

	qsort(w->rows.row, w->rows.n, sizeof(*w->rows.row),
	      w->what->sort == SW_SORT_DENIED ? by_channel[w->what->channel] :
						compare[w->what->sort]);
	w->rows.n_all = w->rows.n;
	for (size_t i = 0; i < w->rows.n; i++)
		for (int j = 0; j < _SW_N_MAX; j++)
			w->rows.total[j] += w->rows.row[i].sum.n[j];
	if (w->what->top && w->rows.n > w->what->top)
		w->rows.n = w->what->top;
}

/* The site of each row whose entries were not asked before. */
static int attribute_rows(struct work *w)
{
	int r = 0;

	for (size_t i = 0; i < w->rows.n && !r; i++) {
		struct sw_report_row *row = &w->rows.row[i];

		if (!row->site.source)
			r = sw_report_attribute(w->d, row->sum.worst ? row->sum.worst : &row->sum,
						&row->site);
	}
	return r;
}

int sw_report_build(const struct sw_report *what, const struct sw_stats *s, struct sw_domains *d,
		    struct sw_report_rows *ret)
{
	struct work w = { .what = what, .s = s, .d = d };
	bool whole = what->by == SW_REPORT_BY_UID && !what->domain && !what->path;
	int r = collect(&w);

	if (!r)
		r = whole ? take_accounts(&w) : group(&w);
	/* What is left out needs no name; only the order by name needs all of them. */
	if (!r && what->sort == SW_SORT_DOMAIN)
		r = attribute_rows(&w);
	if (!r) {
		sort(&w);
		r = attribute_rows(&w);
	}
	free(w.entry);
	if (r < 0)
		sw_report_free(&w.rows);
	else
		*ret = w.rows;
	return r;
}

void sw_report_free(struct sw_report_rows *r)
{
	free(r->row);
	free(r->origins);
	*r = (struct sw_report_rows){};
}

time_t sw_report_first_attempt(const struct sw_stats *s)
{
	time_t first = 0;

	for (size_t i = 0; i < s->n_accounts; i++)
		if (s->accounts[i].first && (!first || s->accounts[i].first < first))
			first = s->accounts[i].first;
	return first;
}
