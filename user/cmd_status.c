/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <grp.h>
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "out.h"
#include "rows.h"
#include "status.h"

static const char usage[] =
	"Usage: smtpwall status [--format table|json|tsv]\n\n"
	"Hooks, mode, policy generation, who is exempt and why, losses, and conflicts with other\n"
	"tools. Everything is read from the kernel now. Exit status 1 if not healthy.\n";

static struct json_object *texts(const struct sw_texts *t)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < t->n; i++)
		json_object_array_add(a, json_object_new_string(t->item[i]));
	return a;
}

static struct json_object *ports(const struct sw_settings *s, unsigned int from, unsigned int to)
{
	struct json_object *a = json_object_new_array();

	for (unsigned int i = from; i < to; i++)
		json_object_array_add(a, json_object_new_int(s->ports[i]));
	return a;
}

static struct json_object *hooks(const struct sw_status *s)
{
	struct json_object *a = json_object_new_array();

	for (int i = 0; i < _SW_HOOK_MAX; i++) {
		const struct sw_live_link *k = &s->live.link[i];
		struct json_object *o;
		char tag[2 * BPF_TAG_SIZE + 1];

		if (!sw_hook_wanted(&s->live.settings, (enum sw_hook)i))
			continue;
		o = json_object_new_object();
		for (int j = 0; j < BPF_TAG_SIZE; j++)
			snprintf(tag + 2 * j, 3, "%02x", k->tag[j]);
		json_object_object_add(o, "name", json_object_new_string(sw_hooks[i].name));
		json_object_object_add(o, "attached", json_object_new_boolean(k->attached && k->ours));
		json_object_object_add(o, "program_id", json_object_new_int64(k->prog_id));
		json_object_object_add(o, "link_id", json_object_new_int64(k->link_id));
		json_object_object_add(o, "tag", json_object_new_string(tag));
		json_object_array_add(a, o);
	}
	return a;
}

static const char *const kinds[_SW_KIND_MAX] = {
	[SW_KIND_UID] = "uid", [SW_KIND_GID] = "gid", [SW_KIND_CGROUP] = "cgroup",
};

static struct json_object *exempt(const struct sw_status *s)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < s->n_exempt; i++) {
		const struct sw_status_exempt *e = &s->exempt[i];
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "kind", json_object_new_string(kinds[e->kind]));
		json_object_object_add(o, "id", json_object_new_int64((int64_t)e->id));
		json_object_object_add(o, "name", e->name ? json_object_new_string(e->name) : NULL);
		json_object_object_add(o, "why", json_object_new_string(e->why));
		json_object_array_add(a, o);
	}
	return a;
}

static struct json_object *features(const struct sw_features *f)
{
	struct json_object *o = json_object_new_object();

	for (int i = 0; i < _SW_FEAT_MAX; i++)
		json_object_object_add(o, f->f[i].name, json_object_new_boolean(f->f[i].present));
	return o;
}

static void add_count(struct json_object *o, const char *key, uint64_t n)
{
	json_object_object_add(o, key, json_object_new_int64((int64_t)n));
}

static struct json_object *table(uint64_t used, uint64_t max, uint64_t overflow)
{
	struct json_object *o = json_object_new_object();

	add_count(o, "used", used);
	add_count(o, "max", max);
	add_count(o, "overflow", overflow);
	return o;
}

static struct json_object *quota(struct sw_quota q)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "per_hour", q.per_hour == SW_UNLIMITED ? NULL :
			       json_object_new_int64(q.per_hour));
	json_object_object_add(o, "per_day", q.per_day == SW_UNLIMITED ? NULL :
			       json_object_new_int64(q.per_day));
	return o;
}

/* That of direct, and within it those of the other channels. */
static struct json_object *quotas(const struct sw_quotas *q, const struct sw_usage *used)
{
	struct json_object *direct = NULL;

	for (int i = 0; i < _SW_CHANNEL_MAX; i++) {
		struct json_object *o = quota(q->of[i]);

		if (used) {
			add_count(o, "hour_used", used[i].hour_used);
			add_count(o, "day_used", used[i].day_used);
		}
		if (direct)
			json_object_object_add(direct, sw_channel_name((enum sw_channel)i), o);
		else
			direct = o;
	}
	return direct;
}

static struct json_object *limits(const struct sw_status *s)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "default", quotas(&s->live.settings.default_quota, NULL));
	json_object_object_add(o, "unknown", quotas(&s->unknown, NULL));
	json_object_object_add(o, "server", quotas(&s->live.settings.server_quota, s->server));
	add_count(o, "accounts", s->n_limits);
	add_count(o, "deny_for", s->live.settings.deny_for_s);
	json_object_object_add(o, "sendmail_refused",
			       json_object_new_boolean(s->live.settings.refuse_sendmail));
	return o;
}

static const char *user_name(uint32_t uid)
{
	const struct passwd *pw = getpwuid(uid);

	return pw ? pw->pw_name : NULL;
}

static struct json_object *denied(const struct sw_status *s)
{
	struct json_object *a = json_object_new_array();

	for (size_t i = 0; i < s->n_denied; i++) {
		const struct sw_denied_row *d = &s->denied[i];
		struct json_object *o = json_object_new_object();

		json_object_object_add(o, "uid", json_object_new_int64(d->uid));
		json_object_object_add(o, "user", sw_json_text(user_name(d->uid)));
		json_object_object_add(o, "left", d->left_s == UINT64_MAX ? NULL :
				       json_object_new_int64((int64_t)d->left_s));
		json_object_object_add(o, "by", json_object_new_string(d->by == SW_DENIED_BY_HAND ?
								       "hand" : "limit"));
		json_object_array_add(a, o);
	}
	return a;
}

static void show_json(const struct sw_status *s)
{
	const struct sw_settings *set = &s->live.settings;
	struct json_object *o = json_object_new_object(), *e = json_object_new_object();

	json_object_object_add(o, "version", json_object_new_string(SW_VERSION));
	json_object_object_add(o, "mode", s->live.in_force ?
			       json_object_new_string(sw_mode_name((enum sw_mode)set->mode)) : NULL);
	json_object_object_add(o, "healthy", json_object_new_boolean(!s->health.problems.n));
	json_object_object_add(o, "problems", texts(&s->health.problems));
	json_object_object_add(o, "generation", json_object_new_int64(set->generation));
	json_object_object_add(o, "cgroup", s->health.cgroup_path ?
			       json_object_new_string(s->health.cgroup_path) : NULL);
	json_object_object_add(o, "hooks", hooks(s));
	json_object_object_add(o, "deny_ports", ports(set, 0, set->n_deny_ports));
	json_object_object_add(o, "count_ports", ports(set, set->n_deny_ports, set->n_ports));
	json_object_object_add(o, "exempt", exempt(s));
	add_count(o, "allow_rows", s->n_rules);
	json_object_object_add(o, "limits", limits(s));
	json_object_object_add(o, "denied", denied(s));
	json_object_object_add(o, "trial", s->revert_s ?
			       json_object_new_int64((int64_t)s->revert_s) : NULL);
	json_object_object_add(o, "features", features(&s->features));
	add_count(e, "sent", s->stats.counters[SW_CTR_EVENTS_SENT]);
	add_count(e, "lost", s->stats.counters[SW_CTR_EVENTS_LOST]);
	add_count(e, "throttled", s->stats.counters[SW_CTR_EVENTS_THROTTLED]);
	json_object_object_add(o, "events", e);
	json_object_object_add(o, "uid_table", table(s->stats.uid_rows, s->stats.uid_rows_max,
						    s->stats.uid_overflow));
	json_object_object_add(o, "origin_table",
			       table(s->stats.origin_rows, s->stats.origin_rows_max,
				     s->stats.origin_overflow));
	add_count(o, "raw_sockets_denied", s->stats.counters[SW_CTR_RAW_DENIED]);
	json_object_object_add(o, "conflicts", texts(&s->conflicts));
	json_object_object_add(o, "monitor", sw_status_monitor_json(s));
	printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(o);
}

static void show_ports(const char *label, const struct sw_settings *s, unsigned int from,
		       unsigned int to)
{
	printf("%-12s", label);
	for (unsigned int i = from; i < to; i++)
		printf("%s%u", i > from ? " " : "", s->ports[i]);
	printf("%s\n", from == to ? "none" : "");
}

static void show_hooks(const struct sw_status *s)
{
	for (int i = 0; i < _SW_HOOK_MAX; i++) {
		const struct sw_live_link *k = &s->live.link[i];

		if (!sw_hook_wanted(&s->live.settings, (enum sw_hook)i))
			continue;
		if (k->attached && k->ours)
			printf("%-12s%s: program %u, link %u\n", i ? "" : "hooks", sw_hooks[i].name,
			       k->prog_id, k->link_id);
		else
			printf("%-12s%s: NOT ATTACHED\n", i ? "" : "hooks", sw_hooks[i].name);
	}
}

static void show_exempt(const struct sw_status *s)
{
	const size_t most = 20;

	for (size_t i = 0; i < s->n_exempt && i < most; i++) {
		const struct sw_status_exempt *e = &s->exempt[i];

		printf("%-12s%s %s (%llu): %s\n", i ? "" : "exempt", sw_kind_name(e->kind),
		       e->name ?: "?", (unsigned long long)e->id, e->why);
	}
	if (s->n_exempt > most)
		printf("%-12sand %zu more (--format json lists all)\n", "", s->n_exempt - most);
	if (!s->n_exempt)
		printf("exempt      nobody\n");
}

static void print_quota(const char *whose, enum sw_channel channel, struct sw_quota q)
{
	printf("%-12s%s, %s:", "limit", whose, sw_channel_name(channel));
	if (q.per_hour != SW_UNLIMITED)
		printf(" %u/hour", q.per_hour);
	if (q.per_day != SW_UNLIMITED)
		printf(" %u/day", q.per_day);
}

static void show_limits(const struct sw_status *s)
{
	const struct sw_settings *set = &s->live.settings;

	if (s->n_rules)
		printf("allow       %zu rows of allow rules\n", s->n_rules);
	for (int i = 0; i < _SW_CHANNEL_MAX; i++) {
		if (!sw_quota_limits(set->default_quota.of[i]))
			continue;
		print_quota(i ? "default" : "default, on the count ports", (enum sw_channel)i,
			    set->default_quota.of[i]);
		printf("\n");
	}
	for (int i = 0; i < _SW_CHANNEL_MAX && set->limit_unknown; i++) {
		print_quota("accounts without a domain", (enum sw_channel)i, s->unknown.of[i]);
		printf("%s\n", sw_quota_limits(s->unknown.of[i]) ? "" : " none");
	}
	for (int i = 0; i < _SW_CHANNEL_MAX; i++) {
		if (!sw_quota_limits(set->server_quota.of[i]))
			continue;
		print_quota("server", (enum sw_channel)i, set->server_quota.of[i]);
		printf("; used this hour %u, today %u\n", s->server[i].hour_used,
		       s->server[i].day_used);
	}
	if (sw_limits_sendmail(set) && !set->refuse_sendmail)
		printf("limit       of sendmail: counted only; this kernel cannot refuse what is beyond it "
		       "(sendmail_refusal)\n");
	if (s->n_limits)
		printf("limit       %zu accounts and groups have one of their own\n", s->n_limits);
	for (size_t i = 0; i < s->n_denied; i++) {
		const struct sw_denied_row *d = &s->denied[i];
		const char *user = user_name(d->uid);
		char left[SW_DURATION_LEN];

		printf("denied      %s (%u) %s%s, %s\n", user ?: "?", d->uid,
		       d->left_s == UINT64_MAX ? "until released" : "for ",
		       d->left_s == UINT64_MAX ? "" : sw_duration(d->left_s, left),
		       d->by == SW_DENIED_BY_HAND ? "by hand" : "after a limit");
	}
}

static void show_losses(const struct sw_status *s)
{
	printf("accounts    %llu rows of %llu, %llu attempts on the overflow row\n",
	       (unsigned long long)s->stats.uid_rows, (unsigned long long)s->stats.uid_rows_max,
	       (unsigned long long)s->stats.uid_overflow);
	printf("directories %llu rows of %llu, %llu attempts on the overflow row\n",
	       (unsigned long long)s->stats.origin_rows, (unsigned long long)s->stats.origin_rows_max,
	       (unsigned long long)s->stats.origin_overflow);
	printf("events      %llu sent, %llu throttled, %llu lost (counters are exact all the same)\n",
	       (unsigned long long)s->stats.counters[SW_CTR_EVENTS_SENT],
	       (unsigned long long)s->stats.counters[SW_CTR_EVENTS_THROTTLED],
	       (unsigned long long)s->stats.counters[SW_CTR_EVENTS_LOST]);
	if (s->live.settings.strict_raw)
		printf("raw sockets %llu denied\n", (unsigned long long)s->stats.counters[SW_CTR_RAW_DENIED]);
}

static void show_features(const struct sw_features *f)
{
	bool first = true;

	for (int i = 0; i < _SW_FEAT_MAX; i++, first = false)
		printf("%-12s%-16s %s%s%s\n", first ? "kernel" : "", f->f[i].name,
		       f->f[i].present ? "yes" : "MISSING", f->f[i].present ? "" : ": ",
		       f->f[i].present ? "" : f->f[i].lost);
}

static void show_table(const struct sw_status *s, bool color)
{
	const struct sw_settings *set = &s->live.settings;
	bool healthy = !s->health.problems.n;
	char left[SW_DURATION_LEN];

	printf("smtpwall    %s%s%s\n", color ? (healthy ? "\033[32m" : "\033[1;31m") : "",
	       healthy ? "healthy" : "NOT HEALTHY", color ? "\033[0m" : "");
	for (size_t i = 0; i < s->health.problems.n; i++)
		printf("problem     %s\n", s->health.problems.item[i]);
	if (s->live.exists) {
		printf("mode        %s, generation %u\n", sw_mode_name((enum sw_mode)set->mode),
		       set->generation);
		if (s->revert_s)
			printf("trial       takes itself back in %s; 'smtpwall apply --confirm' keeps it\n",
			       sw_duration(s->revert_s, left));
		printf("cgroup      %s\n", s->health.cgroup_path ?: "?");
		show_hooks(s);
		show_ports("deny", set, 0, set->n_deny_ports);
		show_ports("count", set, set->n_deny_ports, set->n_ports);
		show_exempt(s);
		show_limits(s);
		show_losses(s);
	}
	sw_status_monitor_print(s);
	show_features(&s->features);
	for (size_t i = 0; i < s->conflicts.n; i++)
		printf("conflict    %s\n", s->conflicts.item[i]);
}

static void show_tsv(const struct sw_status *s)
{
	const struct sw_settings *set = &s->live.settings;

	printf("%s\t%s\t%u\t%llu\t%llu\t%llu\t%llu\t%zu\n", s->health.problems.n ? "bad" : "good",
	       s->live.in_force ? sw_mode_name((enum sw_mode)set->mode) : "off", set->generation,
	       (unsigned long long)s->stats.counters[SW_CTR_EVENTS_SENT],
	       (unsigned long long)s->stats.counters[SW_CTR_EVENTS_LOST],
	       (unsigned long long)s->stats.counters[SW_CTR_EVENTS_THROTTLED],
	       (unsigned long long)s->stats.uid_overflow, s->health.problems.n);
}

int cmd_status(int argc, char **argv)
{
	struct sw_options o;
	struct sw_status s;
	int r;

	r = sw_options_parse(argc, argv, usage, NULL, NULL, NULL, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "status takes no argument '%s'", argv[optind]);
	r = sw_status_read(&o, &s);
	if (r)
		return r;
	if (o.format == SW_FORMAT_JSON)
		show_json(&s);
	else if (o.format == SW_FORMAT_TABLE)
		show_table(&s, o.color);
	else
		show_tsv(&s);
	r = s.health.problems.n ? SW_EXIT_BAD : SW_EXIT_GOOD;
	sw_status_free(&s);
	return r;
}
