/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <time.h>

#include "cgroup.h"
#include "conflicts.h"
#include "control.h"
#include "mapread.h"
#include "rows.h"
#include "setup.h"
#include "status.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000ULL

static char *account_name(enum sw_kind kind, uint64_t id)
{
	const struct passwd *pw;
	const struct group *gr;

	if (kind == SW_KIND_UID && (pw = getpwuid((uid_t)id)))
		return strdup(pw->pw_name);
	if (kind == SW_KIND_GID && (gr = getgrgid((gid_t)id)))
		return strdup(gr->gr_name);
	return NULL;
}

static char *why_text(const struct sw_live *l, uint32_t source, uint32_t line)
{
	struct sw_source_key key = { l->settings.generation, source };
	struct sw_source text = { .text = "unknown" };
	char *why = NULL;

	if (l->map_fd[SW_MAP_SOURCES] >= 0)
		bpf_map_lookup_elem(l->map_fd[SW_MAP_SOURCES], &key, &text);
	text.text[sizeof(text.text) - 1] = '\0';
	if (line ? asprintf(&why, "%s:%u", text.text, line) < 0 : !(why = strdup(text.text)))
		return NULL;
	return why;
}

static int compare_exempt(const void *a, const void *b)
{
	const struct sw_status_exempt *x = a, *y = b;

	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Those named by path: with their id where they are there now. */
static void read_exempt_cgroups(struct sw_status *s)
{
	_cleanup_free_ char *root = NULL;
	_cleanup_close_ int fd = -1;
	struct sw_status_exempt *grown;
	struct sw_map_dump d;

	if (s->live.map_fd[SW_MAP_CGROUP_PATHS] < 0 ||
	    sw_map_dump(s->live.map_fd[SW_MAP_CGROUP_PATHS], &d) < 0)
		return;
	if (sw_cgroup_open(NULL, &fd, &root) < 0)
		fd = -1;
	grown = reallocarray(s->exempt, s->n_exempt + d.n + 1, sizeof(*grown));
	for (size_t i = 0; grown && i < d.n; i++) {
		const struct sw_cgroup_path_key *k = sw_map_key(&d, i);
		const struct sw_cgroup_path *v = sw_map_value(&d, i);
		uint64_t id = 0;

		if (k->generation != s->live.settings.generation || !v->exempt)
			continue;
		sw_cgroup_find(fd, k->path, &id);
		grown[s->n_exempt++] = (struct sw_status_exempt){
			.kind = SW_KIND_CGROUP,
			.id = id,
			.name = strndup(k->path, sizeof(k->path)),
			.why = why_text(&s->live, v->source, v->line),
		};
	}
	if (grown)
		s->exempt = grown;
	sw_map_dump_free(&d);
}

static void read_exempt(struct sw_status *s)
{
	struct sw_map_dump d;

	if (s->live.map_fd[SW_MAP_EXEMPT] < 0 || sw_map_dump(s->live.map_fd[SW_MAP_EXEMPT], &d) < 0)
		return;
	s->exempt = calloc(d.n + 1, sizeof(*s->exempt));
	for (size_t i = 0; s->exempt && i < d.n; i++) {
		const struct sw_exempt_key *k = sw_map_key(&d, i);
		const struct sw_exempt_val *v = sw_map_value(&d, i);

		if (k->generation != s->live.settings.generation || k->kind > SW_KIND_GID)
			continue;
		s->exempt[s->n_exempt++] = (struct sw_status_exempt){
			.kind = (enum sw_kind)k->kind,
			.id = k->id,
			.name = account_name((enum sw_kind)k->kind, k->id),
			.why = why_text(&s->live, v->source, v->line),
		};
	}
	sw_map_dump_free(&d);
	read_exempt_cgroups(s);
	if (s->n_exempt)
		qsort(s->exempt, s->n_exempt, sizeof(*s->exempt), compare_exempt);
}

/* Rows of the generation in force. */
static size_t count_rows(const struct sw_live *l, enum sw_map_id map)
{
	struct sw_map_dump d;
	size_t at, n = 0;
	uint32_t g;

	if (l->map_fd[map] < 0 || sw_map_dump(l->map_fd[map], &d) < 0)
		return 0;
	at = sw_rows_generation_at(l->map_fd[map]);
	for (size_t i = 0; i < d.n; i++) {
		memcpy(&g, (const char *)sw_map_key(&d, i) + at, sizeof(g));
		n += g == l->settings.generation;
	}
	sw_map_dump_free(&d);
	return n;
}

/* Whether the process that waits for the end of a trial is there. */
static bool is_waiting(uint32_t pid)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *path = NULL;
	char comm[SW_COMM_LEN] = "", state = 'Z';

	if (asprintf(&path, "/proc/%u/stat", pid) < 0) {
		path = NULL;
		return true;
	}
	f = fopen(path, "re");
	return f && fscanf(f, "%*d (%15[^)]) %c", comm, &state) == 2 && state != 'Z' &&
	       !strncmp(comm, "smtpwall", strlen("smtpwall"));
}

/* Seconds until the policy on trial is taken back; 0: none is. */
static uint64_t read_trial(struct sw_status *s)
{
	struct sw_control *c;
	struct timespec ts;
	uint64_t now, revert;
	uint32_t guardian;

	if (!s->live.in_force || !(c = sw_control_map(s->live.map_fd[SW_MAP_CONTROL])))
		return 0;
	revert = c->revert_ns;
	guardian = c->guardian;
	sw_control_unmap(c);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	now = (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
	if (revert && ((guardian && !is_waiting(guardian)) || revert + NSEC_PER_SEC * 60 < now))
		sw_texts_add(&s->health.problems, "a policy is on trial, but the process that should take "
			     "it back is gone: it stays; keep it with 'smtpwall apply --confirm', or "
			     "apply another one");
	return revert > now ? (revert - now) / NSEC_PER_SEC + 1 : revert ? 1 : 0;
}

/* Of accounts and groups; rows of another kind only say which accounts are known. */
static size_t count_limits(const struct sw_live *l)
{
	struct sw_map_dump d;
	size_t n = 0;

	if (l->map_fd[SW_MAP_LIMITS] < 0 || sw_map_dump(l->map_fd[SW_MAP_LIMITS], &d) < 0)
		return 0;
	for (size_t i = 0; i < d.n; i++) {
		const struct sw_limit_key *k = sw_map_key(&d, i);

		n += k->generation == l->settings.generation && k->kind != SW_KIND_ANY;
	}
	sw_map_dump_free(&d);
	return n;
}

static void read_unknown(struct sw_status *s)
{
	const struct sw_limit_key key = { s->live.settings.generation, SW_KIND_ANY, UINT32_MAX };
	struct sw_limit limit;

	s->unknown = s->live.settings.default_quota;
	if (s->live.settings.limit_unknown && s->live.map_fd[SW_MAP_LIMITS] >= 0 &&
	    bpf_map_lookup_elem(s->live.map_fd[SW_MAP_LIMITS], &key, &limit) == 0)
		s->unknown = limit.quotas;
}

static void read_limits(struct sw_status *s)
{
	s->n_rules = count_rows(&s->live, SW_MAP_ALLOW);
	s->n_limits = count_limits(&s->live);
	read_unknown(s);
	for (int i = 0; i < _SW_CHANNEL_MAX; i++)
		if (s->live.map_fd[SW_MAP_USAGE] >= 0 && s->live.map_fd[SW_MAP_CONTROL] >= 0 &&
		    sw_usage_get_channel(&s->live, SW_KIND_SERVER, (enum sw_channel)i, 0,
					 &s->server[i]) == 0)
			sw_usage_turn(&s->server[i], sw_usage_hour(&s->live));
	s->revert_s = read_trial(s);
	if (s->live.map_fd[SW_MAP_DENIED] >= 0)
		sw_denied_list(&s->live, &s->denied, &s->n_denied);
}

static void judge_tables(struct sw_status *s)
{
	if (s->stats.uid_overflow)
		sw_texts_add(&s->health.problems, "the account table is full (%llu rows): %llu attempts are "
			     "counted together on its overflow row; verdicts are not affected; raise [tables] "
			     "uids and start afresh with 'smtpwall off' and 'smtpwall apply'",
			     (unsigned long long)s->stats.uid_rows_max, (unsigned long long)s->stats.uid_overflow);
	if (s->stats.origin_overflow)
		sw_texts_add(&s->health.problems, "the directory table is full (%llu rows): %llu attempts "
			     "are counted together on its overflow row; verdicts are not affected; raise "
			     "[tables] origins and start afresh with 'smtpwall off' and 'smtpwall apply'",
			     (unsigned long long)s->stats.origin_rows_max, (unsigned long long)s->stats.origin_overflow);
	if (s->stats.counters[SW_CTR_USAGE_FULL])
		sw_texts_add(&s->health.problems, "the table of limits is full: %llu connects were limited "
			     "because they could not be counted; raise [tables] uids and start afresh with "
			     "'smtpwall off' and 'smtpwall apply'",
			     (unsigned long long)s->stats.counters[SW_CTR_USAGE_FULL]);
	if (s->stats.counters[SW_CTR_DENIED_FULL])
		sw_texts_add(&s->health.problems, "the table of temporary denies is full: %llu accounts that "
			     "exceeded a limit are not denied for a time; raise [tables] uids and start "
			     "afresh with 'smtpwall off' and 'smtpwall apply'",
			     (unsigned long long)s->stats.counters[SW_CTR_DENIED_FULL]);
	if (s->stats.counters[SW_CTR_CGROUP_FULL])
		sw_texts_add(&s->health.problems, "%llu cgroups of the policy found no room when they were "
			     "made, and are denied; run 'smtpwall apply'",
			     (unsigned long long)s->stats.counters[SW_CTR_CGROUP_FULL]);
	if (s->stats.counters[SW_CTR_UNCOUNTED])
		sw_texts_add(&s->health.problems, "%llu counts found no row at all; run 'smtpwall apply' to "
			     "put the overflow rows back",
			     (unsigned long long)s->stats.counters[SW_CTR_UNCOUNTED]);
}

int sw_status_read(const struct sw_options *o, struct sw_status *ret)
{
	static const uint16_t usual[] = { 25, 465, 587 };
	struct sw_status s = {};
	int r;

	r = sw_setup_live(o, &s.live);
	if (r)
		return r;
	r = sw_features_probe(o->target.disable, &s.features);
	if (r < 0) {
		sw_live_close(&s.live);
		return log_err(SW_EXIT_KERNEL, r == -EPERM ? "not allowed to use BPF; run as root" :
			       "cannot find out what this kernel can do");
	}
	sw_health_check(&o->target, &s.live, &s.health);
	read_exempt(&s);
	read_limits(&s);
	r = sw_stats_read(&s.live, &s.stats);
	if (r < 0 && r != -ENOENT)
		sw_texts_add(&s.health.problems, "the counters cannot be read: %s", strerror(-r));
	judge_tables(&s);
	s.has_monitor = sw_monitor_state_read(o->state_dir, &s.monitor) == 0;
	sw_conflicts_find("", &s.conflicts);
	if (s.live.settings.n_ports)
		sw_conflicts_rules(s.live.settings.ports, s.live.settings.n_ports, &s.conflicts);
	else
		sw_conflicts_rules(usual, ARRAY_SIZE(usual), &s.conflicts);
	*ret = s;
	return SW_EXIT_GOOD;
}

void sw_status_free(struct sw_status *s)
{
	for (size_t i = 0; i < s->n_exempt; i++) {
		free(s->exempt[i].name);
		free(s->exempt[i].why);
	}
	free(s->exempt);
	free(s->denied);
	sw_stats_free(&s->stats);
	sw_texts_free(&s->conflicts);
	sw_health_free(&s->health);
	sw_live_close(&s->live);
	*s = (struct sw_status){};
}
