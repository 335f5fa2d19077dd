/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "suggest.h"
#include "suggest_int.h"
#include "util.h"

#define DAY		86400
#define MAX_PER_DAY	1000000000	/* far from what a limit cannot say */
#define MAIL_PORT	25

/* Who serves the sites of others: with many destinations they are no mail server. */
static const char *const web_accounts[] = {
	"apache", "caddy", "http", "httpd", "lighttpd", "litespeed", "nginx", "nobody", "www",
	"www-data", "wwwrun",
};

struct work {
	const struct sw_suggest_seen *seen;
	struct sw_suggestions out;
	size_t room;
};

/* The rows of one account in the period, ordered by port. */
struct rows {
	const struct sw_suggest_dest **row;
	size_t n;
};

/* A new suggestion about `a`; NULL without memory. */
static struct sw_suggestion *add(struct work *w, const struct sw_suggest_account *a)
{
	struct sw_suggestion *s;

	if (w->out.n == w->room) {
		size_t room = w->room ? w->room * 2 : 16;
		struct sw_suggestion *grown = reallocarray(w->out.item, room, sizeof(*grown));

		if (!grown)
			return NULL;
		w->out.item = grown;
		w->room = room;
	}
	s = &w->out.item[w->out.n++];
	*s = (struct sw_suggestion){
		.account = a, .section = SW_SUGGEST_NONE, .confidence = SW_CONFIDENCE_NO,
	};
	return s;
}

uint32_t sw_suggest_per_day(uint64_t attempts, time_t first, time_t last)
{
	uint64_t days = last > first ? (uint64_t)(last - first) / DAY + 1 : 1, want, step;

	if (!attempts || attempts > UINT64_MAX / SW_SUGGEST_SPARE)
		return 0;
	want = (attempts * SW_SUGGEST_SPARE + days - 1) / days;
	for (step = 10; step <= MAX_PER_DAY; step *= 10) {
		if (want <= step)
			return (uint32_t)step;
		if (want <= step * 5)
			return (uint32_t)(step * 5);
	}
	return 0;
}

static bool is_denied(const struct sw_suggest_dest *d)
{
	return d->now == SW_NOW_DENIED;
}

/* Counts `d` in. */
static void include(struct sw_suggestion *s, const struct sw_suggest_dest *d)
{
	bool one_port = !s->attempts || s->port == d->port;

	s->attempts += d->attempts;
	s->port = one_port ? d->port : 0;
	if (d->more)
		s->more_destinations = true;
	else
		s->destinations++;
	if (d->first && (!s->first || d->first < s->first))
		s->first = d->first;
	if (d->last > s->last)
		s->last = d->last;
}

static int suggest_mta(struct work *w, const struct sw_suggest_account *a, const struct rows *r)
{
	struct sw_suggestion *s = add(w, a);

	if (!s)
		return -ENOMEM;
	for (size_t i = 0; i < r->n; i++)
		if (is_denied(r->row[i]))
			include(s, r->row[i]);
	s->section = SW_SUGGEST_EXEMPT;
	s->confidence = SW_CONFIDENCE_HIGH;
	s->reason = "the mail server of this machine delivers as this account";
	s->active = true;
	sw_suggest_users(w->seen, a, s->line);
	return 0;
}

static int suggest_rule(struct work *w, const struct sw_suggest_account *a,
			const struct sw_suggest_dest *d, unsigned int destinations)
{
	struct sw_suggestion *s = add(w, a);

	if (!s)
		return -ENOMEM;
	include(s, d);
	s->destinations = destinations;
	s->has_addr = true;
	memcpy(s->addr, d->addr, sizeof(s->addr));
	s->section = SW_SUGGEST_ALLOW;
	s->active = true;
	s->per_day = sw_suggest_per_day(d->attempts, d->first, d->last);
	if (sw_suggest_in_container(a)) {
		s->confidence = SW_CONFIDENCE_LOW;
		s->reason = "in a container, where rules of users do not hold; made again, it may "
			    "have another cgroup";
		sw_suggest_cgroup_rule(d, a, s->line);
		sw_suggest_user_rule(d, a, s->other);
		s->other_for = "outside of containers";
	} else {
		s->confidence = a->system ? SW_CONFIDENCE_HIGH : SW_CONFIDENCE_LOW;
		s->reason = a->system
				    ? "a system account with few destinations"
				    : "few destinations; look at what is run before it is allowed";
		sw_suggest_user_rule(d, a, s->line);
		if (a->system)	/* many programs may share it */
			sw_suggest_cgroup_rule(d, a, s->other);
		s->other_for = "for this service alone";
	}
	if (strlen(s->line) + strlen(" limit 1000000000/day") >= sizeof(s->line))
		s->per_day = 0;
	if (!s->line[0]) {	/* no cgroup that can be written */
		s->section = SW_SUGGEST_NONE;
		s->confidence = SW_CONFIDENCE_NO;
		s->active = false;
		s->other[0] = '\0';
		s->reason = "in a container whose cgroup cannot be written into the configuration";
	}
	return 0;
}

static bool is_web_account(const struct sw_suggest_account *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(web_accounts); i++)
		if (a->user && !strcmp(a->user, web_accounts[i]))
			return true;
	return false;
}

/* A container's whole, if it is a mail server. Users name what is below user.slice as they like. */
static bool exempt_container(const struct sw_suggest_account *a, struct sw_suggestion *s)
{
	if (!sw_suggest_in_container(a) ||
	    !strncmp(a->cgroup, "/user.slice/", strlen("/user.slice/")))
		return false;
	sw_suggest_cgroups(a, s->line);
	s->reason = "a container with many destinations; exempt it only if it is a mail server";
	return s->line[0] != '\0';
}

static bool exempt_account(const struct work *w, const struct sw_suggest_account *a, bool mail_port,
			   struct sw_suggestion *s)
{
	if (!a->system || !mail_port || is_web_account(a) || sw_suggest_in_container(a))
		return false;
	sw_suggest_users(w->seen, a, s->line);
	s->reason =
		"many destinations on port 25: looks like a mail server; exempt it only if it is "
		"one, for then nothing that it sends is denied";
	return s->line[0] != '\0';
}

/* What no rules can be written for: `s` has counted it. */
static void judge_many(const struct work *w, const struct sw_suggest_account *a, bool mail_port,
		       struct sw_suggestion *s)
{
	if (exempt_container(a, s) || exempt_account(w, a, mail_port, s)) {
		s->section = SW_SUGGEST_EXEMPT;
		s->confidence = SW_CONFIDENCE_LOW;
	} else if (a->system && !is_web_account(a)) {
		s->reason = "a system account with many destinations; find out what it runs";
	} else if (a->system) {
		s->reason =
			"many destinations, of an account that sites share: looks like a hacked site";
	} else {
		s->reason = "many destinations: looks like a hacked site";
	}
}

/* Rules for the ports with few destinations, one answer for all others. */
static int judge_ports(struct work *w, const struct sw_suggest_account *a, const struct rows *r)
{
	struct sw_suggestion many = { .account = a };
	bool more = false, mail_port = false;
	struct sw_suggestion *s;
	int err = 0;

	for (size_t i = 0; i < r->n; i++)
		more |= r->row[i]->more && is_denied(r->row[i]);
	for (size_t i = 0, end; i < r->n && !err; i = end) {
		unsigned int n = 0;

		for (end = i; end < r->n && r->row[end]->port == r->row[i]->port; end++)
			n += is_denied(r->row[end]);
		for (size_t k = i; k < end && !err; k++) {
			if (!is_denied(r->row[k]))
				continue;
			if (!more && n <= SW_SUGGEST_FEW) {
				err = suggest_rule(w, a, r->row[k], n);
				continue;
			}
			include(&many, r->row[k]);
			mail_port |= r->row[k]->port == MAIL_PORT;
		}
	}
	if (err || !many.attempts)
		return err;
	many.section = SW_SUGGEST_NONE;
	many.confidence = SW_CONFIDENCE_NO;
	judge_many(w, a, mail_port, &many);
	s = add(w, a);
	if (!s)
		return -ENOMEM;
	*s = many;
	return 0;
}

/* Nothing can be suggested, and why; the numbers are the account's. */
static int leave(struct work *w, const struct sw_suggest_account *a, const char *reason)
{
	struct sw_suggestion *s = add(w, a);

	if (!s)
		return -ENOMEM;
	s->reason = reason;
	s->attempts = a->offences;
	s->first = a->first;
	s->last = a->last;
	return 0;
}

/* More than a limit allowed: that may be what it is for, so only a comment. */
static int suggest_limit(struct work *w, const struct sw_suggest_account *a, const struct rows *r)
{
	struct sw_suggestion count = {}, *s;
	char name[SW_SUGGEST_NAME];

	for (size_t i = 0; i < r->n; i++)
		if (r->row[i]->now == SW_NOW_LIMITED)
			include(&count, r->row[i]);
	if (!count.attempts && !a->limited)
		return 0;
	if (count.attempts < a->limited)
		count.attempts = a->limited;
	s = add(w, a);
	if (!s)
		return -ENOMEM;
	s->section = SW_SUGGEST_LIMIT;
	s->confidence = SW_CONFIDENCE_LOW;
	s->reason =
		"it exceeded a limit: raise that of its own, or of its rule, to this number; this "
		"line is for one that only the default stopped";
	s->attempts = count.attempts;
	s->destinations = count.destinations;
	s->more_destinations = count.more_destinations;
	s->port = count.port;
	s->first = a->first;
	s->last = a->last;
	s->per_day = sw_suggest_per_day(a->passed + count.attempts, a->first, a->last);
	snprintf(s->line, sizeof(s->line), "user %s = %u/day", sw_suggest_name(a, name),
		 s->per_day);
	return 0;
}

static bool has_now(const struct rows *r, enum sw_suggest_now now)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->row[i]->now == now)
			return true;
	return false;
}

static int judge(struct work *w, const struct sw_suggest_account *a, const struct rows *r,
		 bool recorded)
{
	size_t before = w->out.n;
	int err = 0;

	if (!recorded)
		return a->offences && a->last >= w->seen->since
			       ? leave(w, a,
				       "where to was not recorded: the table of destinations is full")
			       : 0;
	if (has_now(r, SW_NOW_BY_HAND))
		return leave(w, a, "denied for the time being; 'smtpwall release' ends that");
	if (has_now(r, SW_NOW_DENIED))
		err = a->mta ? suggest_mta(w, a, r) : judge_ports(w, a, r);
	/* Who looks like a hacked site needs no higher limit. */
	if (!err && r->n && (w->out.n == before || w->out.item[w->out.n - 1].line[0]))
		err = suggest_limit(w, a, r);
	return err;
}

static int by_account(const void *a, const void *b)
{
	const struct sw_suggest_dest *x = *(const struct sw_suggest_dest *const *)a;
	const struct sw_suggest_dest *y = *(const struct sw_suggest_dest *const *)b;

	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	if (x->port != y->port)
		return x->port < y->port ? -1 : 1;
	return memcmp(x->addr, y->addr, sizeof(x->addr));
}

/* Exemptions of mail servers, then the more certain, what is no mere comment, system accounts, and
 * those with fewer destinations. */
static int by_rank(const void *a, const void *b)
{
	const struct sw_suggestion *x = a, *y = b;
	const int64_t keys[][2] = {
		{ !(x->active && x->section == SW_SUGGEST_EXEMPT),
		  !(y->active && y->section == SW_SUGGEST_EXEMPT) },
		{ x->confidence, y->confidence },
		{ !x->active, !y->active },
		{ !x->account->system, !y->account->system },
		{ x->more_destinations, y->more_destinations },
		{ x->destinations, y->destinations },
		{ x->account->uid, y->account->uid },
		{ x->port, y->port },
		{ x->attempts < y->attempts, y->attempts < x->attempts },
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		if (keys[i][0] != keys[i][1])
			return keys[i][0] < keys[i][1] ? -1 : 1;
	return memcmp(x->addr, y->addr, sizeof(x->addr));
}

/* Account by account; both are in the order of UIDs. */
static int judge_all(struct work *w, const struct sw_suggest_dest **all, size_t n_all)
{
	const struct sw_suggest_seen *seen = w->seen;
	size_t at = 0;
	int r = 0;

	for (size_t i = 0; i < seen->n_accounts && !r; i++) {
		const struct sw_suggest_account *a = &seen->accounts[i];
		struct rows rows;
		bool recorded;

		while (at < n_all && all[at]->uid < a->uid)
			at++;
		rows = (struct rows){ .row = all + at };
		recorded = at < n_all && all[at]->uid == a->uid;
		for (; at < n_all && all[at]->uid == a->uid; at++)
			if (all[at]->last >= seen->since)
				rows.row[rows.n++] = all[at];
		w->out.n_looked_at += rows.n;
		r = judge(w, a, &rows, recorded);
	}
	return r;
}

int sw_suggest(const struct sw_suggest_seen *seen, struct sw_suggestions *ret)
{
	_cleanup_free_ const struct sw_suggest_dest **all = NULL;
	struct work w = { .seen = seen };
	int r;

	all = calloc(seen->n_dests + 1, sizeof(const struct sw_suggest_dest *));
	if (!all)
		return -ENOMEM;
	for (size_t i = 0; i < seen->n_dests; i++)
		all[i] = &seen->dests[i];
	qsort(all, seen->n_dests, sizeof(const struct sw_suggest_dest *), by_account);
	r = judge_all(&w, all, seen->n_dests);
	if (r < 0) {
		sw_suggestions_free(&w.out);
		return r;
	}
	if (w.out.n)
		qsort(w.out.item, w.out.n, sizeof(*w.out.item), by_rank);
	if (seen->top && w.out.n > seen->top) {
		w.out.n_left_out = w.out.n - seen->top;
		w.out.n = seen->top;
	}
	*ret = w.out;
	return 0;
}

void sw_suggestions_free(struct sw_suggestions *s)
{
	free(s->item);
	*s = (struct sw_suggestions){};
}
