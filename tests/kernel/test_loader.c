/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Apply and off where nothing stands in the way: pins, rows, counters, descriptors. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "locals.h"
#include "log.h"
#include "mapread.h"
#include "scene.h"
#include "util.h"
#include "wall.h"

#define POLICY	"[policy]\n[exempt]\nusers = root 61001 61002\nmta = none\n"
#define OTHER	"[policy]\nmode = observe\n[exempt]\nusers = root 61003\ngroups = 61004\n" \
		"mta = none\n"

static struct wall wall;
static struct caller nobody = CALLER(61009, 61009, wall.cgroup);
static struct caller exempt = CALLER(61001, 61001, wall.cgroup);

static int fresh(void **state)
{
	(void)state;
	return sw_off(&wall.target) == -ENOENT ? 0 : -1;
}

static int clean(void **state)
{
	int r = sw_off(&wall.target);

	(void)state;
	return r == 0 || r == -ENOENT ? 0 : -1;
}

static void assert_enforced(void)
{
	assert_int_equal(caller_connect(&nobody, CALLER_REMOTE4, 25), wall_refusal());
	assert_int_equal(caller_connect(&nobody, CALLER_REMOTE6, 25), wall_refusal());
	assert_int_equal(caller_connect(&nobody, CALLER_MAPPED, 25), wall_refusal());
	assert_true(caller_passed(caller_connect(&exempt, CALLER_REMOTE4, 25)));
	assert_true(caller_passed(caller_connect(&exempt, CALLER_REMOTE6, 25)));
}

/* The directory a reader looks into is never there without all of its pins: it is made under
 * another name and only then renamed. */
static void first_apply_publishes_at_once(void **state)
{
	char buf[8192] __attribute__((aligned(8))), names[SCENE_TEXT];
	_cleanup_close_ int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	const struct inotify_event *e;
	unsigned int moved = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(mkdir(wall.pin_dir, 0700), 0);
	assert_true(inotify_add_watch(watch, wall.pin_dir, IN_CREATE | IN_MOVED_TO) >= 0);
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	n = read(watch, buf, sizeof(buf));
	assert_true(n > 0);
	for (const char *at = buf; at < buf + n; at += sizeof(*e) + e->len) {
		e = (const struct inotify_event *)at;
		if (e->mask & IN_CREATE)
			assert_string_not_equal(e->name, WALL_DIR);
		moved += e->mask & IN_MOVED_TO && !strcmp(e->name, WALL_DIR);
	}
	assert_int_equal(moved, 1);
	scene_list(wall.pin_dir, names);
	assert_string_equal(names, WALL_DIR " ");
	scene_list_in(wall.pin_dir, WALL_DIR, names);
	assert_string_equal(names, WALL_PINS);
	assert_enforced();
}

static int apply_beside_a_leftover(void *arg)
{
	char path[256];

	(void)arg;
	snprintf(path, sizeof(path), "%s/new%d", wall.pin_dir, (int)getpid());
	if (mkdir(wall.pin_dir, 0700) < 0 || mkdir(path, 0700) < 0)
		return 1;
	return wall_apply(&wall, POLICY) < 0 ? 2 : 0;
}

/* A loader that died left its directory, and its process id came round again. */
static void leftover_of_the_same_pid(void **state)
{
	char names[SCENE_TEXT];

	(void)state;
	assert_int_equal(scene_child(apply_beside_a_leftover, NULL), 0);
	scene_list(wall.pin_dir, names);
	assert_string_equal(names, WALL_DIR " ");
	assert_enforced();
}

static void nobody_else_reads_the_pins(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_int_equal(stat(wall.pin_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, 0);
}

static void applying_again_keeps_links_and_counters(void **state)
{
	struct sw_live a, b;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_enforced();
	wall_live(&wall, &a);
	assert_true(a.in_force);
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 3);
	assert_int_equal(wall_uid(&wall, 61001, SW_N_ALLOWED), 2);
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	wall_live(&wall, &b);
	assert_true(b.in_force);
	assert_int_equal(b.settings.generation, a.settings.generation + 1);
	for (int i = 0; i <= SW_HOOK_CONNECT6; i++) {
		assert_int_equal(a.link[i].link_id, b.link[i].link_id);
		assert_int_not_equal(a.link[i].prog_id, b.link[i].prog_id);
		assert_int_equal(b.link[i].settings.generation, b.settings.generation);
	}
	sw_live_close(&a);
	sw_live_close(&b);
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 3);
	assert_int_equal(wall_uid(&wall, 61001, SW_N_ALLOWED), 2);
	assert_int_equal(wall_total_origins(&wall), 5);
	assert_enforced();
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 6);
}

static void assert_exempt_rows(const struct sw_live *l, const struct sw_policy *p)
{
	struct sw_map_dump d;

	assert_int_equal(sw_map_dump(l->map_fd[SW_MAP_EXEMPT], &d), 0);
	assert_int_equal(d.n, p->n_exempt);
	for (size_t i = 0; i < d.n; i++) {
		const struct sw_exempt_key *k = sw_map_key(&d, i);
		const struct sw_exempt_val *v = sw_map_value(&d, i);
		const struct sw_exempt *e = sw_policy_find(p, (enum sw_kind)k->kind, k->id);

		assert_int_equal(k->generation, l->settings.generation);
		assert_non_null(e);
		assert_int_equal(v->source, e->source);
		assert_int_equal(v->line, e->line);
	}
	sw_map_dump_free(&d);
}

static void assert_local_rows(const struct sw_live *l)
{
	struct sw_map_dump d;
	struct sw_addrs a;

	assert_int_equal(sw_locals_read(&a), 0);
	assert_int_equal(sw_map_dump(l->map_fd[SW_MAP_LOCAL], &d), 0);
	assert_int_equal(d.n, a.n);
	for (size_t i = 0; i < a.n; i++) {
		struct sw_local_key k = { .generation = l->settings.generation };
		__u32 one = 0;

		memcpy(k.addr, a.item[i].b, sizeof(k.addr));
		assert_int_equal(bpf_map_lookup_elem(l->map_fd[SW_MAP_LOCAL], &k, &one), 0);
		assert_int_equal(one, 1);
	}
	sw_map_dump_free(&d);
	free(a.item);
}

static void assert_source_rows(const struct sw_live *l, const struct sw_policy *p)
{
	struct sw_map_dump d;

	assert_int_equal(sw_map_dump(l->map_fd[SW_MAP_SOURCES], &d), 0);
	assert_int_equal(d.n, p->n_sources + 5);	/* with those of five settings */
	for (size_t i = 0; i < d.n; i++) {
		const struct sw_source_key *k = sw_map_key(&d, i);
		const struct sw_source *v = sw_map_value(&d, i);

		assert_int_equal(k->generation, l->settings.generation);
		if (k->source >= SW_SOURCE_DENY_PORTS)
			assert_true(k->source <= SW_SOURCE_SERVER_LIMIT);
		else
			assert_string_equal(v->text, p->sources[k->source]);
	}
	sw_map_dump_free(&d);
}

/* Only the newest generation, and all of it. */
static void assert_rows(const char *text)
{
	struct sw_policy p;
	struct sw_live l;

	assert_int_equal(wall_apply(&wall, text), 0);
	wall_policy(&wall, text, &p);
	wall_live(&wall, &l);
	assert_exempt_rows(&l, &p);
	assert_local_rows(&l);
	assert_source_rows(&l, &p);
	sw_live_close(&l);
	sw_policy_free(&p);
}

static void rows_are_those_of_the_policy(void **state)
{
	(void)state;
	assert_rows(POLICY);
	assert_rows(OTHER);
	assert_rows("[policy]\n[exempt]\nusers =\nmta = none\n");
	assert_rows(POLICY);
}

static void settings_reach_the_kernel(void **state)
{
	struct sw_live l;

	(void)state;
	assert_int_equal(wall_apply(&wall, "[policy]\nmode = observe\ndeny_ports = 26 2525\n"
			 "count_ports = 10587\nallow_local = no\nidentity = strict\n"
			 "containers = exempt\n[exempt]\nusers = root\nmta = none\n"), 0);
	wall_live(&wall, &l);
	assert_int_equal(l.settings.mode, SW_MODE_OBSERVE);
	assert_int_equal(l.settings.n_ports, 3);
	assert_int_equal(l.settings.n_deny_ports, 2);
	assert_int_equal(l.settings.ports[0], 26);
	assert_int_equal(l.settings.ports[1], 2525);
	assert_int_equal(l.settings.ports[2], 10587);
	assert_false(l.settings.allow_local);
	assert_true(l.settings.identity_strict);
	assert_true(l.settings.containers_exempt);
	assert_false(l.settings.strict_raw);
	sw_live_close(&l);
	assert_true(caller_passed(caller_connect(&nobody, CALLER_REMOTE4, 25)));
	assert_int_equal(wall_total(&wall), 0);	/* 25 is in no list now */
	assert_true(caller_passed(caller_connect(&nobody, CALLER_REMOTE4, 2525)));
	assert_true(caller_passed(caller_connect(&nobody, CALLER_REMOTE6, 10587)));
	assert_int_equal(wall_uid(&wall, 61009, SW_N_WOULD_DENY), 1);
	assert_int_equal(wall_uid(&wall, 61009, SW_N_ALLOWED), 1);
}

static void same_descriptors_as_before(void **state)
{
	char before[SCENE_TEXT], after[SCENE_TEXT];

	(void)state;
	scene_list("/proc/self/fd", before);
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_int_equal(wall_apply(&wall, OTHER), 0);
	assert_int_equal(sw_off(&wall.target), 0);
	scene_list("/proc/self/fd", after);
	assert_string_equal(before, after);
}

struct census {
	char inherited[SCENE_TEXT];	/* descriptors the loader did not open, each with a blank */
	unsigned int seen;
	char leaked[256];		/* what an open one leads to; "": none */
};

static bool close_on_exec(int dir, const char *fd, bool *ret)
{
	_cleanup_close_ int f = openat(dir, fd, O_RDONLY | O_CLOEXEC);
	char text[512], *at;
	ssize_t n = f < 0 ? -1 : read(f, text, sizeof(text) - 1);

	if (n <= 0)
		return false;	/* closed meanwhile */
	text[n] = '\0';
	at = strstr(text, "flags:");
	if (!at)
		return false;
	*ret = strtoul(at + 6, NULL, 8) & O_CLOEXEC;
	return true;
}

/* A public file is no secret: libbpf opens the kernel's type information like that. By now the number
 * may be another file's: it has to be open, and without the flag, before and after it is named. */
static void note_leak(pid_t pid, const char *fd, int fdinfo, struct census *c)
{
	char path[300], target[256];
	bool cloexec;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	target[n > 0 ? n : 0] = '\0';
	if (n > 0 && strcmp(target, "/sys/kernel/btf/vmlinux") != 0 &&
	    close_on_exec(fdinfo, fd, &cloexec) && !cloexec)
		memcpy(c->leaked, target, (size_t)n + 1);
}

static void take_census(pid_t pid, struct census *c)
{
	char path[64], name[280];
	struct dirent *e;
	bool cloexec;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", (int)pid);
	d = opendir(path);
	while (d && (e = readdir(d))) {
		snprintf(name, sizeof(name), " %s ", e->d_name);
		if (e->d_name[0] == '.' || strstr(c->inherited, name) ||
		    !close_on_exec(dirfd(d), e->d_name, &cloexec))
			continue;
		c->seen++;
		if (!cloexec)
			note_leak(pid, e->d_name, dirfd(d), c);
	}
	if (d)
		closedir(d);
}

/* Whoever holds a link's descriptor may replace its program: none may reach another program.
 * The loader is watched from outside while it works. */
static void descriptors_stay_private(void **state)
{
	struct census c = { .inherited = " " };
	char names[SCENE_TEXT];
	int status = 0;
	pid_t pid;

	(void)state;
	scene_list("/proc/self/fd", names);
	memcpy(c.inherited + 1, names, strnlen(names, SCENE_TEXT - 2));
	for (int i = 0; i < 2; i++) {
		pid = fork();
		if (pid == 0)
			_exit(wall_apply(&wall, POLICY) < 0 ? 1 : 0);
		assert_true(pid > 0);
		while (waitpid(pid, &status, WNOHANG) == 0)
			take_census(pid, &c);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	assert_true(c.seen > 100);	/* or nothing was watched */
	if (c.leaked[0])
		fail_msg("a descriptor of %s is passed on by exec", c.leaked);
}

static void off_waits_and_removes_everything(void **state)
{
	_cleanup_close_ int cgroup = open(wall.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t ids[64];

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_int_equal(wall_apply(&wall, POLICY), 0);
		assert_true(sw_live_effective(cgroup, BPF_CGROUP_INET4_CONNECT, ids, 64) > 0);
		assert_int_equal(sw_off(&wall.target), 0);
		assert_int_equal(access(wall.pin_dir, F_OK), -1);
		for (int h = 0; h < _SW_HOOK_MAX; h++)
			assert_int_equal(sw_live_effective(cgroup, sw_hooks[h].attach, ids, 64), 0);
	}
	assert_true(caller_passed(caller_connect(&nobody, CALLER_REMOTE4, 25)));
	assert_true(caller_passed(caller_connect(&nobody, CALLER_REMOTE6, 25)));
}

static void off_when_nothing_is_there(void **state)
{
	(void)state;
	assert_int_equal(sw_off(&wall.target), -ENOENT);
	assert_int_equal(sw_off(&wall.target), -ENOENT);
	assert_int_equal(access(wall.pin_dir, F_OK), -1);
}

/* A link that another process holds keeps its program attached: off has to say so. */
static void off_says_who_is_in_the_way(void **state)
{
	char text[SCENE_TEXT];
	struct sw_live l;
	int r;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	wall_live(&wall, &l);
	scene_listen();
	r = sw_off(&wall.target);
	scene_heard(text);
	assert_int_equal(r, -EBUSY);
	assert_non_null(strstr(text, "another process holds"));
	assert_int_equal(scene_lines(text), 1);
	sw_live_close(&l);
}

/* off must not depend on the cgroup that the policy was attached to. */
static void off_after_the_cgroup_is_gone(void **state)
{
	int r;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_int_equal(rmdir(wall.cgroup), 0);
	r = sw_off(&wall.target);
	assert_int_equal(mkdir(wall.cgroup, 0755), 0);
	assert_int_equal(r, 0);
	assert_int_equal(access(wall.pin_dir, F_OK), -1);
}

/* A refresh looks first and applies later. Meanwhile somebody may have applied another policy, or
 * turned everything off: that must not come back. */
static void apply_over_what_was_seen(void **state)
{
	struct sw_policy p;
	struct sw_live l;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	wall_policy(&wall, OTHER, &p);
	assert_int_equal(sw_apply_over(&wall.target, &p, 1), 0);
	assert_int_equal(sw_apply_over(&wall.target, &p, 1), -ESTALE);
	wall_live(&wall, &l);
	assert_int_equal(l.settings.generation, 2);
	sw_live_close(&l);
	assert_int_equal(sw_off(&wall.target), 0);
	assert_int_equal(sw_apply_over(&wall.target, &p, 2), -ESTALE);
	assert_int_equal(access(wall.pin_dir, F_OK), -1);
	sw_policy_free(&p);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, clean)
	const struct CMUnitTest tests[] = {
		TEST(first_apply_publishes_at_once),
		TEST(leftover_of_the_same_pid),
		TEST(nobody_else_reads_the_pins),
		TEST(applying_again_keeps_links_and_counters),
		TEST(rows_are_those_of_the_policy),
		TEST(settings_reach_the_kernel),
		TEST(same_descriptors_as_before),
		TEST(descriptors_stay_private),
		TEST(off_waits_and_removes_everything),
		TEST(off_when_nothing_is_there),
		TEST(off_says_who_is_in_the_way),
		TEST(off_after_the_cgroup_is_gone),
		TEST(apply_over_what_was_seen),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
