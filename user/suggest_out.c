/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Suggestions as a piece of smtpwall.conf, and as JSON. */
#include <errno.h>
#include <string.h>

#include "container.h"
#include "out.h"
#include "suggest_int.h"
#include "util.h"

/* What stands before it is left out with it. */
static void print_part(FILE *f, const char *before, const char *text, int *err)
{
	_cleanup_free_ char *safe = text ? sw_escape(text, false) : NULL;

	if (text && !safe)
		*err = -ENOMEM;
	if (safe)
		fprintf(f, "%s%s", before, safe);
}

/* Where most attempts of the account came from, as far as it is known. */
static void print_origin(FILE *f, const struct sw_suggest_account *a, int *err)
{
	char container[SW_CONTAINER_LEN];

	print_part(f, "\n;   from ", a->directory, err);
	print_part(f, "\n;   by ", a->script, err);
	if (!a->cgroup)
		return;
	sw_container_describe(a->cgroup, container, sizeof(container));
	print_part(f, "\n;   in ", container, err);
}

static void print_times(FILE *f, const struct sw_suggestion *s)
{
	char first[SW_TIME_LEN], last[SW_TIME_LEN];

	if (s->first && s->last)
		fprintf(f, "\n;   first %s, last %s", sw_time_format(s->first, first),
			sw_time_format(s->last, last));
}

/* "alice (1001)" */
static void print_account(FILE *f, const struct sw_suggest_account *a, int *err)
{
	print_part(f, "", a->user, err);
	fprintf(f, a->user ? " (%u)" : "UID %u", a->uid);
}

/* "5,213 attempts to more than 200 destinations" */
static void print_counts(FILE *f, const struct sw_suggestion *s)
{
	char attempts[SW_NUMBER_LEN], destinations[SW_NUMBER_LEN], addr[INET6_ADDRSTRLEN];

	fprintf(f, "%s attempt%s", sw_number(s->attempts, attempts), s->attempts == 1 ? "" : "s");
	if (s->has_addr)
		fprintf(f, " to %s", sw_suggest_addr(s->addr, addr));
	else if (s->destinations || s->more_destinations)
		fprintf(f, " to %s%s destination%s", s->more_destinations ? "more than " : "",
			sw_number(s->destinations, destinations), s->destinations == 1 ? "" : "s");
	if (s->port)
		fprintf(f, " port %u", s->port);
}

/* Comment lines: what was seen, and what to think of it. */
static void print_evidence(FILE *f, const struct sw_suggestion *s, int *err)
{
	fprintf(f, "\n; %s", s->section == SW_SUGGEST_NONE ? "not suggested: " : "");
	print_account(f, s->account, err);
	fputs(": ", f);
	print_counts(f, s);
	print_times(f, s);
	print_origin(f, s->account, err);
	fprintf(f, "\n;   %s", s->reason);
	print_part(f, ": ", s->section == SW_SUGGEST_EXEMPT ? s->account->mta : NULL, err);
	fputs("\n", f);
}

static void print_line(FILE *f, const struct sw_suggestion *s, bool users_before)
{
	const char *name = strrchr(s->line, ' ');

	/* A second key of the same name would be an error: it continues the first. */
	if (s->active && users_before && name)
		fprintf(f, "\t%s", name + 1);
	else
		fprintf(f, "%s%s", s->active ? "" : ";", s->line);
	if (s->section == SW_SUGGEST_ALLOW && s->per_day)
		fprintf(f, " ;limit %u/day", s->per_day);
	fputs("\n", f);
	if (s->other[0])
		fprintf(f, "; or %s:\n;%s\n", s->other_for, s->other);
}

static void print_section(FILE *f, const struct sw_suggestions *all,
			  enum sw_suggest_section section, const char *title, int *err)
{
	bool begun = false, users = false;

	for (size_t i = 0; i < all->n; i++) {
		const struct sw_suggestion *s = &all->item[i];

		if (s->section != section)
			continue;
		if (!begun)
			fprintf(f, "\n[%s]\n", title);
		begun = true;
		print_evidence(f, s, err);
		print_line(f, s, users);
		users |= s->active && section == SW_SUGGEST_EXEMPT;
	}
}

static void print_left(FILE *f, const struct sw_suggestions *all, int *err)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->item[i].section == SW_SUGGEST_NONE)
			print_evidence(f, &all->item[i], err);
}

int sw_suggest_print_conf(FILE *f, const struct sw_suggest_seen *seen,
			  const struct sw_suggestions *s)
{
	char since[SW_TIME_LEN], now[SW_TIME_LEN], n[SW_NUMBER_LEN];
	int err = 0;

	if (!s->n)
		return 0;
	fprintf(f,
		"; smtpwall suggest, %s%s%s\n"
		"; Lines that would have let through what was denied, or would have been. Read the\n"
		"; evidence before you use one. In a file of its own in conf.d they add to those of\n"
		"; smtpwall.conf. A limit behind a rule counts when its semicolon is gone. Counts are\n"
		"; totals since counting began; the place is where most of the account's came from.\n",
		sw_time_format(seen->now, now), seen->since ? ", since " : "",
		seen->since ? sw_time_format(seen->since, since) : "");
	print_section(f, s, SW_SUGGEST_EXEMPT, "exempt", &err);
	print_section(f, s, SW_SUGGEST_ALLOW, "allow", &err);
	print_section(f, s, SW_SUGGEST_LIMIT, "limit", &err);
	print_left(f, s, &err);
	if (s->n_left_out)
		fprintf(f, "\n; and %s more (--top)\n", sw_number(s->n_left_out, n));
	return err;
}

static void add_text(struct json_object *o, const char *key, const char *text)
{
	json_object_object_add(o, key, text && *text ? sw_json_text(text) : NULL);
}

static void add_number(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)n));
}

static void add_time(struct json_object *o, const char *key, time_t t)
{
	char text[SW_TIME_LEN];

	add_text(o, key, t ? sw_time_format(t, text) : NULL);
}

static struct json_object *json_row(const struct sw_suggestion *s)
{
	static const char *const sections[] = {
		[SW_SUGGEST_EXEMPT] = "exempt", [SW_SUGGEST_ALLOW] = "allow",
		[SW_SUGGEST_LIMIT] = "limit", [SW_SUGGEST_NONE] = NULL,
	};
	static const char *const confidences[] = {
		[SW_CONFIDENCE_HIGH] = "high",
		[SW_CONFIDENCE_LOW] = "low",
		[SW_CONFIDENCE_NO] = "no",
	};
	const struct sw_suggest_account *a = s->account;
	char addr[INET6_ADDRSTRLEN], container[SW_CONTAINER_LEN] = "";
	struct json_object *o = json_object_new_object();

	if (a->cgroup)
		sw_container_describe(a->cgroup, container, sizeof(container));
	add_text(o, "line", s->line);
	add_text(o, "section", sections[s->section]);
	add_number(o, "uid", a->uid);
	add_text(o, "user", a->user);
	add_text(o, "address", s->has_addr ? sw_suggest_addr(s->addr, addr) : NULL);
	json_object_object_add(o, "port", s->port ? json_object_new_int(s->port) : NULL);
	add_number(o, "attempts", s->attempts);
	add_time(o, "first_seen", s->first);
	add_time(o, "last_seen", s->last);
	add_text(o, "directory", a->directory);
	add_text(o, "script", a->script);
	add_text(o, "container", container);
	add_text(o, "confidence", confidences[s->confidence]);
	add_text(o, "reason", s->reason);
	json_object_object_add(o, "active", json_object_new_boolean(s->active));
	add_text(o, "alternative", s->other);
	json_object_object_add(o, "limit", s->per_day ? json_object_new_int64(s->per_day) : NULL);
	add_number(o, "destinations", s->destinations);
	json_object_object_add(o, "more_destinations",
			       json_object_new_boolean(s->more_destinations));
	add_text(o, "cgroup", a->cgroup);
	return o;
}

int sw_suggest_print_json(FILE *f, const struct sw_suggest_seen *seen,
			  const struct sw_suggestions *s)
{
	struct json_object *o = json_object_new_object(), *rows = json_object_new_array();
	int r;

	add_time(o, "since", seen->since);
	for (size_t i = 0; i < s->n; i++)
		json_object_array_add(rows, json_row(&s->item[i]));
	json_object_object_add(o, "rows", rows);
	r = sw_json_print(f, o);
	json_object_put(o);
	return r;
}
