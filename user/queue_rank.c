/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose the mail is, summed by account, domain, sender, script or authenticated user. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "attribute.h"
#include "queue_int.h"
#include "util.h"

/* ---- Whose is it ---- */

/* A domain by name, an alias by what it is an alias of. NULL: it is not one of this machine's. */
static const struct sw_domain *find_domain(struct sw_domains *d, const char *name)
{
	return *name ? sw_domains_find(d, sw_report_domain(d, name)) : NULL;
}

/* That of a mail address. */
static const struct sw_domain *find_address(struct sw_domains *d, const char *address)
{
	const char *at = address ? strrchr(address, '@') : NULL;

	return at ? find_domain(d, at + 1) : NULL;
}

static void take_domain(struct sw_domains *d, const struct sw_domain *domain, const char *source,
			struct sw_report_site *ret)
{
	ret->domain = domain->name;
	ret->account = domain->user;
	ret->source = source;
	ret->sites = domain->user ? sw_domains_count_sites(d, domain->user) : 1;
	if (!ret->sites)
		ret->sites = 1;
}

/* The main domain of an account, which is a guess where it has several. */
static bool take_account(struct sw_domains *d, const char *user, const char *source,
			 struct sw_report_site *ret)
{
	size_t n;
	const struct sw_domain *const *list = sw_domains_of(d, user, &n);

	if (!n)
		return false;
	take_domain(d, list[0], source, ret);
	ret->one_of_several = ret->sites > 1;
	return true;
}

static bool by_auth(struct sw_domains *d, const char *auth, struct sw_report_site *ret)
{
	const struct sw_domain *domain = find_address(d, auth);

	if (!domain)
		return !strchr(auth, '@') && take_account(d, auth, "auth", ret);
	take_domain(d, domain, "auth", ret);
	return true;
}

/*
 * "1001:contact.php", the number being the owner of the script; "shop.example/contact.php for
 * 203.0.113.9"; or a path. `owner`: the account it has to belong to; NULL: the UID is one that
 * many sites share, and whose it is only the header can tell.
 */
static bool by_script(struct sw_domains *d, const char *script, const char *owner,
		      struct sw_report_site *ret)
{
	size_t len = strcspn(script, "/: ");
	char text[SW_QUEUE_TEXT_MAX + 1];
	const struct sw_domain *domain;
	const struct sw_login *login;
	const char *end;
	uint64_t uid;

	if (script[len] == ':') {
		if (owner || !sw_queue_number(script, script + len, &uid, &end) ||
		    end != script + len || uid >= UINT32_MAX ||
		    sw_domains_is_shared(d, (uint32_t)uid))
			return false;
		login = sw_domains_login(d, (uint32_t)uid);
		return login && take_account(d, login->name, "script", ret);
	}
	sw_queue_copy(text, script, strlen(script));
	if (*script == '/') {
		text[strcspn(text, " ")] = '\0';
		domain = sw_domains_at(d, text, owner, NULL);
	} else {
		text[len] = '\0';
		domain = find_domain(d, text);
	}
	if (!domain || (owner && (!domain->user || strcmp(domain->user, owner) != 0)))
		return false;
	take_domain(d, domain, "script", ret);
	return true;
}

static int by_uid(struct sw_domains *d, uint32_t uid, struct sw_report_site *ret)
{
	const struct sw_attribute_query q = { .uid = uid, .row = SW_ROW_UID };
	struct sw_attribution a;
	int r = sw_attribute(d, &q, &a);

	if (r < 0)
		return r;
	ret->domain = a.domain;
	ret->source = a.source;
	ret->account = a.account;
	ret->sites = a.account ? sw_domains_count_sites(d, a.account) : 0;
	if (a.domain && !ret->sites)
		ret->sites = 1;
	ret->one_of_several = a.domain && a.others;
	sw_attribution_free(&a);
	return 0;
}

/* Who knows only the account, or nothing, may believe the sender. */
static void by_sender(struct sw_domains *d, const char *sender, struct sw_report_site *ret)
{
	const struct sw_domain *domain = find_address(d, sender);

	if (!domain || (ret->domain && (!domain->user || !ret->account ||
					strcmp(domain->user, ret->account) != 0)))
		return;
	take_domain(d, domain, "sender", ret);
	ret->one_of_several = false;
}

int sw_queue_attribute(struct sw_domains *d, const struct sw_queue_group *g,
		       struct sw_report_site *ret)
{
	struct sw_report_site site = { .source = "none" };
	const struct sw_login *login;
	bool shared;
	int r;

	*ret = site;
	if (!d)
		return 0;
	login = g->uid == SW_UID_NONE ? NULL : sw_domains_login(d, g->uid);
	site.user = login ? login->name : NULL;
	if (g->uid == SW_UID_NONE) {
		if (!g->auth || !by_auth(d, g->auth, &site))
			if (g->via == SW_QUEUE_LOCAL)
				by_sender(d, g->sender, &site);
		*ret = site;
		return 0;
	}
	shared = sw_domains_is_shared(d, g->uid);
	if (!g->script || !by_script(d, g->script, shared ? NULL : site.user ?: "", &site)) {
		r = by_uid(d, g->uid, &site);
		if (r < 0)
			return r;
		if ((site.domain && site.one_of_several) || (!site.domain && shared))
			by_sender(d, g->sender, &site);
	}
	*ret = site;
	return 0;
}

/* ---- Summing ---- */

struct entry {
	const struct sw_queue_group *g;
	struct sw_report_site site;
};

/* NULL comes last. */
static int compare_text(const char *a, const char *b)
{
	if (!a || !b)
		return a ? -1 : b != NULL;
	return strcmp(a, b);
}

/* The account; who has none, by the way it came. */
static int compare_account(const struct sw_queue_group *a, const struct sw_queue_group *b)
{
	if (a->uid != b->uid)
		return a->uid < b->uid ? -1 : 1;
	return a->uid == SW_UID_NONE ? (int)a->via - (int)b->via : 0;
}

static int compare_key(enum sw_queue_by by, const struct entry *a, const struct entry *b)
{
	int r = 0;

	switch (by) {
	case SW_QUEUE_BY_DOMAIN:
		r = compare_text(a->site.domain, b->site.domain);
		if (r || a->site.domain)
			return r ?: (int)a->site.one_of_several - (int)b->site.one_of_several;
		break;
	case SW_QUEUE_BY_SENDER:
		return compare_text(a->g->sender, b->g->sender);
	case SW_QUEUE_BY_SCRIPT:
		r = compare_text(a->g->script, b->g->script);
		break;
	case SW_QUEUE_BY_AUTH:
		r = compare_text(a->g->auth, b->g->auth);
		if (r || a->g->auth)
			return r;
		break;
	default:
		break;
	}
	return r ?: compare_account(a->g, b->g);
}

static int compare_entry(const void *a, const void *b, void *by)
{
	const struct entry *x = a, *y = b;

	return compare_key(*(const enum sw_queue_by *)by, x, y) ?:
	       (x->g < y->g ? -1 : x->g > y->g);
}

static void add_group(struct sw_queue_row *row, const struct entry *e)
{
	const struct sw_queue_sum *s = &e->g->sum;
	struct sw_queue_sum *sum = &row->sum;

	sum->messages += s->messages;
	sum->recipients += s->recipients;
	sum->size += s->size;
	sum->frozen += s->frozen;
	sum->bounces += s->bounces;
	sum->backscatter += s->backscatter;
	if (s->newest > sum->newest)
		sum->newest = s->newest;
	if (!row->oldest || (s->oldest && (!sum->oldest || s->oldest < sum->oldest))) {
		row->oldest = e->g;
		sum->oldest = s->oldest;
	}
	if (row->most && row->most->sum.messages >= s->messages)
		return;
	row->most = e->g;
	row->site = e->site;
}

static int collect(const struct sw_queue_rank *what, const struct sw_queue *q,
		   struct sw_domains *d, struct entry **ret)
{
	struct entry *entry = calloc(q->n_groups + 1, sizeof(*entry));
	int r = 0;

	if (!entry)
		return -ENOMEM;
	for (size_t i = 0; i < q->n_groups && !r; i++) {
		entry[i].g = &q->group[i];
		if (what->by == SW_QUEUE_BY_DOMAIN)
			r = sw_queue_attribute(d, &q->group[i], &entry[i].site);
	}
	*ret = entry;
	return r;
}

/* ---- Sorting ---- */

static int descending(uint64_t a, uint64_t b)
{
	return a > b ? -1 : a < b;
}

static int compare_row(const void *a, const void *b, void *sort)
{
	const struct sw_queue_sum *x = &((const struct sw_queue_row *)a)->sum;
	const struct sw_queue_sum *y = &((const struct sw_queue_row *)b)->sum;
	int r = 0;

	switch (*(const enum sw_queue_sort *)sort) {
	case SW_QUEUE_SORT_RECIPIENTS:
		r = descending(x->recipients, y->recipients);
		break;
	case SW_QUEUE_SORT_AGE:
		if (x->oldest != y->oldest)
			r = !y->oldest || (x->oldest && x->oldest < y->oldest) ? -1 : 1;
		break;
	case SW_QUEUE_SORT_SIZE:
		r = descending(x->size, y->size);
		break;
	default:
		break;
	}
	return r ?: descending(x->messages, y->messages) ?: descending(x->recipients, y->recipients);
}

static int finish(const struct sw_queue_rank *what, struct sw_domains *d,
		  struct sw_queue_rows *rows)
{
	enum sw_queue_sort sort = what->sort;
	int r = 0;

	qsort_r(rows->row, rows->n, sizeof(*rows->row), compare_row, &sort);
	rows->n_all = rows->n;
	if (what->top && rows->n > what->top)
		rows->n = what->top;
	for (size_t i = 0; i < rows->n && !r; i++)
		if (!rows->row[i].site.source)
			r = sw_queue_attribute(d, rows->row[i].most, &rows->row[i].site);
	return r;
}

int sw_queue_rank(const struct sw_queue_rank *what, const struct sw_queue *q, struct sw_domains *d,
		  struct sw_queue_rows *ret)
{
	struct sw_queue_rows rows = { .row = calloc(q->n_groups + 1, sizeof(*rows.row)) };
	_cleanup_free_ struct entry *entry = NULL;
	enum sw_queue_by by = what->by;
	int r = rows.row ? collect(what, q, d, &entry) : -ENOMEM;

	if (!r) {
		qsort_r(entry, q->n_groups, sizeof(*entry), compare_entry, &by);
		for (size_t i = 0; i < q->n_groups; i++) {
			if (!i || compare_key(by, &entry[i - 1], &entry[i]) != 0)
				rows.n++;
			add_group(&rows.row[rows.n - 1], &entry[i]);
		}
		r = finish(what, d, &rows);
	}
	if (r < 0)
		free(rows.row);
	else
		*ret = rows;
	return r;
}
