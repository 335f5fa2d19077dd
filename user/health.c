/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "canary.h"
#include "cgroup.h"
#include "control.h"
#include "health.h"
#include "util.h"

#define MAX_EFFECTIVE 64
#define TURN_MS 5000	/* a canary takes a few milliseconds */

void sw_texts_add(struct sw_texts *t, const char *fmt, ...)
{
	char **item = reallocarray(t->item, t->n + 1, sizeof(*item));
	va_list ap;

	if (!item)
		return;
	t->item = item;
	va_start(ap, fmt);
	if (vasprintf(&t->item[t->n], fmt, ap) >= 0)
		t->n++;
	va_end(ap);
}

void sw_texts_free(struct sw_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->item[i]);
	free(t->item);
	*t = (struct sw_texts){};
}

static void check_link(const struct sw_live *l, enum sw_hook hook, uint64_t cgroup_id,
		       struct sw_texts *problems)
{
	const struct sw_live_link *k = &l->link[hook];
	const char *name = sw_hooks[hook].name;

	if (k->fd < 0)
		sw_texts_add(problems, "hook %s has no pinned link: %s; run 'smtpwall apply' to repair it",
			     name, sw_hooks[hook].lost ?: "nothing is enforced there");
	else if (!k->attached)
		sw_texts_add(problems, "hook %s is detached: somebody detached its link, or its cgroup is "
			     "gone; run 'smtpwall apply' to repair it", name);
	else if (!k->ours)
		sw_texts_add(problems, "the link of hook %s runs program %u, which is not smtpwall's; run "
			     "'smtpwall apply' to put ours back", name, k->prog_id);
	else if (!sw_hooks[hook].tracepoint && k->cgroup_id != cgroup_id)
		sw_texts_add(problems, "hook %s is attached to another cgroup (id %llu); run 'smtpwall "
			     "apply' to attach it here", name, (unsigned long long)k->cgroup_id);
	else if (k->settings.generation != l->settings.generation)
		sw_texts_add(problems, "hook %s runs generation %u instead of %u: an apply was cut short; "
			     "run 'smtpwall apply'", name, k->settings.generation,
			     l->settings.generation);
}

/* Whose turn it is to count executions: see bpf/exec.bpf.h. */
static void check_turn(const struct sw_live *l, struct sw_texts *problems)
{
	struct sw_control *c;

	if (!l->settings.count_sendmail || !(c = sw_control_map(l->map_fd[SW_MAP_CONTROL])))
		return;
	if (c->exec_generation != l->settings.generation)
		sw_texts_add(problems, "an apply was cut short: %s; run 'smtpwall apply'",
			     sw_hooks[SW_HOOK_EXEC].lost);
	sw_control_unmap(c);
}

static void check_maps(const struct sw_live *l, struct sw_texts *problems)
{
	for (int i = 0; i < _SW_MAP_MAX; i++)
		if (!l->map_pinned[i])
			sw_texts_add(problems, "the pin of map %s is missing or is another map; run "
				     "'smtpwall apply' to repair it", sw_map_names[i]);
}

static void prog_name(uint32_t id, char name[BPF_OBJ_NAME_LEN])
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);

	snprintf(name, BPF_OBJ_NAME_LEN, "?");
	if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
		memcpy(name, info.name, BPF_OBJ_NAME_LEN);
}

/* Ours has to be in the list of programs that take effect, and once. True when others run after
 * it: they can clear a refusal with bpf_set_retval(0). */
static bool check_effective(const struct sw_live *l, int cgroup_fd, enum sw_hook hook,
			    struct sw_texts *after, struct sw_texts *problems)
{
	uint32_t ids[MAX_EFFECTIVE];
	int n = sw_live_effective(cgroup_fd, sw_hooks[hook].attach, ids, MAX_EFFECTIVE);
	int at = -1;

	if (n < 0) {
		sw_texts_add(problems, "cannot see which programs run at hook %s: %s",
			     sw_hooks[hook].name, strerror(-n));
		return false;
	}
	for (int i = 0; i < n; i++)
		if (ids[i] == l->link[hook].prog_id)
			at = i;
	if (at < 0) {
		sw_texts_add(problems, "hook %s: our program %u is not among those that take effect",
			     sw_hooks[hook].name, l->link[hook].prog_id);
		return false;
	}
	for (int i = at + 1; i < n; i++) {
		char name[BPF_OBJ_NAME_LEN];

		prog_name(ids[i], name);
		sw_texts_add(after, "program %u (%s) runs after ours at hook %s", ids[i], name,
			     sw_hooks[hook].name);
	}
	return at + 1 < n;
}

/* Where foreign programs come after ours, only a real connect tells what they do. */
static void check_programs(const struct sw_live *l, int cgroup_fd, struct sw_texts *problems)
{
	struct sw_texts after = {};
	size_t before = problems->n;

	for (int i = 0; i < _SW_HOOK_MAX; i++)
		if (sw_hook_wanted(&l->settings, (enum sw_hook)i) && l->link[i].attached &&
		    !sw_hooks[i].tracepoint)
			check_effective(l, cgroup_fd, (enum sw_hook)i, &after, problems);
	if (after.n && problems->n == before) {
		sw_health_canary(l, cgroup_fd, problems);
		if (problems->n > before)
			for (size_t i = 0; i < after.n; i++)
				sw_texts_add(problems, "%s and may undo its verdict; find its owner with "
					     "'bpftool prog show' and 'bpftool link show'", after.item[i]);
	}
	sw_texts_free(&after);
}

void sw_health_check(const struct sw_target *t, const struct sw_live *l, struct sw_health *ret)
{
	struct sw_health h = { .cgroup_fd = -1 };
	uint64_t id = 0;
	int r;

	r = sw_cgroup_open(t->cgroup, &h.cgroup_fd, &h.cgroup_path);
	if (!r)
		r = sw_cgroup_id(h.cgroup_fd, &id);
	if (r < 0)
		sw_texts_add(&h.problems, "cannot open cgroup %s: %s", t->cgroup ?: "v2 root",
			     strerror(-r));
	if (!l->exists) {
		sw_texts_add(&h.problems, "nothing is in force: no pins in %s; run 'smtpwall apply'",
			     t->pin_dir);
	} else if (!r) {
		for (int i = 0; i < _SW_HOOK_MAX; i++)
			if (sw_hook_wanted(&l->settings, (enum sw_hook)i))
				check_link(l, (enum sw_hook)i, id, &h.problems);
		check_turn(l, &h.problems);
		check_maps(l, &h.problems);
		check_programs(l, h.cgroup_fd, &h.problems);
	}
	*ret = h;
}

void sw_health_free(struct sw_health *h)
{
	sw_texts_free(&h->problems);
	free(h->cgroup_path);
	sw_closep(&h->cgroup_fd);
	*h = (struct sw_health){ .cgroup_fd = -1 };
}

/* Denied plus would_deny of a row; false when it is not there. */
static bool row_count(const struct sw_live *l, uint32_t uid, enum sw_row row, uint64_t *ret)
{
	const struct sw_uid_key key = { .uid = uid, .row = row };
	struct sw_uid_stats stats;

	*ret = 0;
	if (l->map_fd[SW_MAP_UID_STATS] < 0 ||
	    bpf_map_lookup_elem(l->map_fd[SW_MAP_UID_STATS], &key, &stats) < 0)
		return false;
	*ret = stats.n[SW_N_DENIED] + stats.n[SW_N_WOULD_DENY];
	return true;
}

/* What was counted before the canary. */
struct canary_counts {
	uint64_t own, overflow;
};

static void read_counts(const struct sw_live *l, struct canary_counts *c)
{
	row_count(l, SW_CANARY_UID, SW_ROW_UID, &c->own);
	row_count(l, 0, SW_ROW_OVERFLOW, &c->overflow);
}

/* Exactly `expected` on its row; where the table is full, at least as many on the overflow row,
 * which others use too. */
static void judge_counts(const struct sw_live *l, const struct canary_counts *before,
			 unsigned int expected, struct sw_texts *problems)
{
	uint64_t own, overflow, counted;

	if (row_count(l, SW_CANARY_UID, SW_ROW_UID, &own)) {
		counted = own - before->own;
	} else {
		row_count(l, 0, SW_ROW_OVERFLOW, &overflow);
		counted = overflow - before->overflow;
		if (counted >= expected)
			return;
	}
	if (counted != expected)
		sw_texts_add(problems, "%u test connects were made, but %llu counted", expected,
			     (unsigned long long)counted);
}

static void judge_answer(const struct sw_live *l, enum sw_canary_try t, int error,
			 struct sw_texts *problems)
{
	bool observe = l->settings.mode == SW_MODE_OBSERVE;
	const char *name = sw_canary_name(t);

	if (observe && !sw_canary_passed(error))
		sw_texts_add(problems, "a test connect to port %u over %s was refused (%s) although the "
			     "mode is observe: another program denies it", l->settings.ports[0], name,
			     strerror(error));
	else if (!observe && sw_canary_passed(error))
		sw_texts_add(problems, "a test connect to port %u over %s was NOT refused",
			     l->settings.ports[0], name);
	else if (!observe && error != l->settings.refuse_errno)
		sw_texts_add(problems, "a test connect to port %u over %s was refused with '%s' instead of "
			     "'%s': another program decides", l->settings.ports[0], name,
			     strerror(error), strerror(l->settings.refuse_errno));
}

/* One canary at a time on a cgroup, or each would count the other's connects too. Anybody may
 * lock a directory; whoever holds it for long is no canary and is not waited for. */
static void take_turn(int cgroup_fd)
{
	for (int i = 0; i < TURN_MS; i++) {
		if (flock(cgroup_fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
			break;
		poll(NULL, 0, 1);
	}
}

static void send_canary(const struct sw_live *l, int cgroup_fd, struct sw_texts *problems)
{
	struct canary_counts before;
	unsigned int expected = 0;
	struct sw_canary c;
	int r;

	read_counts(l, &before);
	r = sw_canary_run(cgroup_fd, l->settings.ports[0], &c);
	if (r < 0) {
		sw_texts_add(problems, "the test connect could not be made: %s", strerror(-r));
		return;
	}
	for (int i = 0; i < _SW_CANARY_MAX; i++) {
		if (c.error[i] == EAFNOSUPPORT)	/* this family is off */
			continue;
		expected++;
		judge_answer(l, (enum sw_canary_try)i, c.error[i], problems);
	}
	if (l->settings.strict_raw && l->settings.mode != SW_MODE_OBSERVE && !c.raw_error)
		sw_texts_add(problems, "a raw socket of an account without exemption was NOT refused "
			     "although strict = yes");
	judge_counts(l, &before, expected, problems);
}

void sw_health_canary(const struct sw_live *l, int cgroup_fd, struct sw_texts *problems)
{
	take_turn(cgroup_fd);
	send_canary(l, cgroup_fd, problems);
	flock(cgroup_fd, LOCK_UN);
}
