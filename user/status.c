/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "mapread.h"
#include "setup.h"
#include "status.h"
#include "util.h"

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

static void read_exempt(struct sw_status *s)
{
	struct sw_map_dump d;

	if (s->live.map_fd[SW_MAP_EXEMPT] < 0 || sw_map_dump(s->live.map_fd[SW_MAP_EXEMPT], &d) < 0)
		return;
	s->exempt = calloc(d.n + 1, sizeof(*s->exempt));
	for (size_t i = 0; s->exempt && i < d.n; i++) {
		const struct sw_exempt_key *k = sw_map_key(&d, i);
		const struct sw_exempt_val *v = sw_map_value(&d, i);

		if (k->generation != s->live.settings.generation)
			continue;
		s->exempt[s->n_exempt++] = (struct sw_status_exempt){
			.kind = (enum sw_kind)k->kind,
			.id = k->id,
			.name = account_name((enum sw_kind)k->kind, k->id),
			.why = why_text(&s->live, v->source, v->line),
		};
	}
	if (s->n_exempt)
		qsort(s->exempt, s->n_exempt, sizeof(*s->exempt), compare_exempt);
	sw_map_dump_free(&d);
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
	if (s->stats.counters[SW_CTR_UNCOUNTED])
		sw_texts_add(&s->health.problems, "%llu counts found no row at all; run 'smtpwall apply' to "
			     "put the overflow rows back",
			     (unsigned long long)s->stats.counters[SW_CTR_UNCOUNTED]);
}

int sw_status_read(const struct sw_options *o, struct sw_status *ret)
{
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
	r = sw_stats_read(&s.live, &s.stats);
	if (r < 0 && r != -ENOENT)
		sw_texts_add(&s.health.problems, "the counters cannot be read: %s", strerror(-r));
	judge_tables(&s);
	sw_conflicts_find("", &s.conflicts);
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
	sw_stats_free(&s->stats);
	sw_texts_free(&s->conflicts);
	sw_health_free(&s->health);
	sw_live_close(&s->live);
	*s = (struct sw_status){};
}
