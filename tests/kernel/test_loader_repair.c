/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pins, links and rows that are missing, replaced or left over: seen, and repaired by an apply. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"
#include "foreign.h"
#include "hammer.h"
#include "health.h"
#include "log.h"
#include "mapread.h"
#include "pins.h"
#include "scene.h"
#include "util.h"
#include "wall.h"

#define POLICY	"[policy]\n[exempt]\nusers = root 61001\nmta = none\n"
#define ATTEMPTS 10	/* hammer rounds that have to be seen while something is repaired */

static struct wall wall;
static char pins[128];
static struct caller nobody = CALLER(61009, 61009, wall.cgroup);
static struct caller free_to_go = CALLER(61001, 61001, wall.cgroup);

static int in_force(void **state)
{
	(void)state;
	return wall_apply(&wall, POLICY);
}

/* Hammers of one case, ended by clean() when it fails. */
static struct hammer hammers[2];

static struct hammer_seen stop(int i)
{
	struct hammer_seen seen = hammer_stop(&hammers[i], false);

	hammers[i].pid = 0;
	return seen;
}

static int clean(void **state)
{
	int r;

	(void)state;
	for (int i = 0; i < 2; i++)
		if (hammers[i].pid)
			stop(i);
	r = sw_off(&wall.target);
	return r == 0 || r == -ENOENT ? 0 : -1;
}

static bool healthy(void)
{
	struct sw_health h;
	struct sw_live l;
	bool good;

	wall_live(&wall, &l);
	sw_health_check(&wall.target, &l, &h);
	good = !h.problems.n;
	if (good != l.in_force && !h.problems.n)
		fail_msg("no problem is told, but nothing is in force");
	sw_health_free(&h);
	sw_live_close(&l);
	return good;
}

/* One sentence of the health check that has `word` in it. */
static void assert_problem(const char *word)
{
	struct sw_health h;
	struct sw_live l;
	bool found = false;

	wall_live(&wall, &l);
	sw_health_check(&wall.target, &l, &h);
	for (size_t i = 0; i < h.problems.n; i++)
		found |= strstr(h.problems.item[i], word) != NULL;
	if (!found)
		fail_msg("no problem names '%s'; first: %s", word,
			 h.problems.n ? h.problems.item[0] : "none at all");
	sw_health_free(&h);
	sw_live_close(&l);
}

static void assert_refused(void)
{
	assert_int_equal(caller_connect(&nobody, CALLER_REMOTE4, 25), wall_refusal());
	assert_int_equal(caller_connect(&nobody, CALLER_REMOTE6, 25), wall_refusal());
}

/* An apply makes all good again: the same pins, healthy, and not a stray one. */
static void assert_repaired(void)
{
	char names[SCENE_TEXT];

	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_true(healthy());
	scene_list(pins, names);
	assert_string_equal(names, WALL_PINS);
	scene_list(wall.pin_dir, names);
	assert_string_equal(names, WALL_DIR " ");
	assert_refused();
}

static void unpin(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", pins, name);
	assert_int_equal(unlink(path), 0);
}

/* Each map's pin in turn. The map lives in the programs: nothing is lost, nobody gets through.
 * Only the texts that explain rows are user space's alone, and no program watches cgroups here;
 * both are written anew. */
static void map_pins(void **state)
{
	const struct hammer_opts v4 = { .uid = 61008, .port = 25 };
	const struct hammer_opts v6 = { .uid = 61008, .port = 25, .v6 = true };
	struct hammer_seen seen4, seen6;
	struct sw_live l;

	(void)state;
	hammer_start(&wall, &v4, &hammers[0]);
	hammer_start(&wall, &v6, &hammers[1]);
	for (int i = 0; i < _SW_MAP_MAX; i++) {
		unpin(sw_map_names[i]);
		wall_live(&wall, &l);
		assert_true(l.in_force);	/* the programs run on */
		assert_false(l.map_pinned[i]);
		if (i == SW_MAP_SOURCES || i == SW_MAP_CGROUP_PATHS)
			assert_int_equal(l.map_fd[i], -1);
		else
			assert_true(l.map_fd[i] >= 0);
		sw_live_close(&l);
		assert_problem(sw_map_names[i]);
		assert_repaired();
	}
	seen4 = stop(0);
	seen6 = stop(1);
	assert_true(seen4.attempts > ATTEMPTS && seen6.attempts > ATTEMPTS);
	assert_int_equal(seen4.passed + seen6.passed, 0);
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 2 * _SW_MAP_MAX);
	/* A hammer that is killed may have made one attempt it did not count. */
	assert_in_range(wall_uid(&wall, 61008, SW_N_DENIED), seen4.attempts + seen6.attempts,
			seen4.attempts + seen6.attempts + 2);
}

/* Without its pin a link is gone and its family is open: that is why it has to be reported. */
static void link_pins(void **state)
{
	struct sw_live l;

	(void)state;
	for (int i = 0; i <= SW_HOOK_CONNECT6; i++) {
		assert_refused();
		unpin(sw_hooks[i].pin);
		wall_live(&wall, &l);
		assert_false(l.in_force);
		assert_int_equal(l.link[i].fd, -1);
		sw_live_close(&l);
		assert_problem(sw_hooks[i].name);
		assert_int_equal(caller_connect(&nobody, i == SW_HOOK_CONNECT4 ? CALLER_REMOTE6 :
						CALLER_REMOTE4, 25), wall_refusal());
		assert_true(caller_passed(caller_connect(&nobody, i == SW_HOOK_CONNECT4 ?
							 CALLER_REMOTE4 : CALLER_REMOTE6, 25)));
		assert_repaired();
	}
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 2 * 5);
}

/* Only the maps are left: counters survive, the generation goes on. */
static void both_link_pins(void **state)
{
	struct sw_live l;
	uint32_t generation;

	(void)state;
	wall_live(&wall, &l);
	generation = l.settings.generation;
	sw_live_close(&l);
	assert_refused();
	unpin("link_connect4");
	unpin("link_connect6");
	assert_false(healthy());
	assert_repaired();
	wall_live(&wall, &l);
	assert_true(l.settings.generation > generation);
	sw_live_close(&l);
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 4);
}

static void empty_directory(void **state)
{
	char names[SCENE_TEXT], *name, *save;

	(void)state;
	scene_list(pins, names);
	for (name = strtok_r(names, " ", &save); name; name = strtok_r(NULL, " ", &save))
		unpin(name);
	assert_false(healthy());
	assert_repaired();
}

static void detached_link(void **state)
{
	struct sw_live l;

	(void)state;
	assert_refused();
	for (int i = 0; i <= SW_HOOK_CONNECT6; i++) {
		wall_live(&wall, &l);
		assert_int_equal(bpf_link_detach(l.link[i].fd), 0);
		sw_live_close(&l);
		wall_live(&wall, &l);
		assert_false(l.in_force);
		assert_false(l.link[i].attached);
		sw_live_close(&l);
		assert_problem("detached");
		assert_repaired();
	}
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 6);
}

/* Whoever holds our link can put another program into it. */
static void foreign_program_in_our_link(void **state)
{
	for (int i = 0; i <= SW_HOOK_CONNECT6; i++) {
		_cleanup_close_ int prog = foreign_load(sw_hooks[i].attach, FOREIGN_PASS,
							sw_hooks[i].prog);
		struct sw_live l;

		(void)state;
		assert_true(prog >= 0);
		wall_live(&wall, &l);
		assert_int_equal(bpf_link_update(l.link[i].fd, prog, NULL), 0);
		sw_live_close(&l);
		wall_live(&wall, &l);
		assert_false(l.in_force);	/* the name alone makes it none of ours */
		assert_false(l.link[i].ours);
		sw_live_close(&l);
		assert_problem("not smtpwall's");
		assert_repaired();
	}
}

/* Somebody else's object under the name of one of our pins. */
static void replace_pin(const char *name, int fd)
{
	assert_true(fd >= 0);
	assert_int_equal(sw_pins_put(pins, name, fd), 0);
}

static void another_link_under_our_name(void **state)
{
	struct sw_live l;

	(void)state;
	assert_refused();
	wall_live(&wall, &l);
	replace_pin("link_connect4", l.link[SW_HOOK_CONNECT6].fd);
	sw_live_close(&l);
	assert_false(healthy());
	assert_repaired();
	wall_live(&wall, &l);
	replace_pin("link_connect6", l.map_fd[SW_MAP_EXEMPT]);
	sw_live_close(&l);
	assert_false(healthy());
	assert_repaired();
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 6);
}

static void another_map_under_our_name(void **state)
{
	struct bpf_map_create_opts opts = { .sz = sizeof(opts), .map_flags = BPF_F_NO_PREALLOC };
	_cleanup_close_ int twin = -1, other = -1;
	struct sw_live l;

	(void)state;
	assert_refused();
	/* The same name and layout, but not the one that is counted in. */
	twin = bpf_map_create(BPF_MAP_TYPE_HASH, "sw_uid_stats", sizeof(struct sw_uid_key),
			      sizeof(struct sw_uid_stats), 100, &opts);
	other = bpf_map_create(BPF_MAP_TYPE_ARRAY, "other", 4, 4, 1, NULL);
	replace_pin("sw_uid_stats", twin);
	replace_pin("sw_exempt", other);
	wall_live(&wall, &l);
	assert_false(l.map_pinned[SW_MAP_UID_STATS]);
	assert_false(l.map_pinned[SW_MAP_EXEMPT]);
	sw_live_close(&l);
	assert_problem("sw_uid_stats");
	assert_problem("sw_exempt");
	assert_repaired();
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 4);
}

/* The kernel lets go of a removed cgroup a little later, and sends no event. */
static void wait_until_dead(void)
{
	struct sw_live l;

	for (int i = 0; i < 10000; i++) {
		bool alive;

		wall_live(&wall, &l);
		alive = l.link[SW_HOOK_CONNECT4].attached || l.link[SW_HOOK_CONNECT6].attached;
		assert_true(alive || !l.in_force);
		sw_live_close(&l);
		if (!alive)
			return;
		poll(NULL, 0, 1);
	}
	fail_msg("the links outlive their cgroup");
}

/* A link whose cgroup was removed stays and does nothing; a new cgroup of that name is another. */
static void cgroup_made_again(void **state)
{
	(void)state;
	assert_refused();
	assert_int_equal(rmdir(wall.cgroup), 0);
	assert_int_equal(mkdir(wall.cgroup, 0755), 0);
	assert_false(healthy());
	assert_repaired();	/* however soon */

	assert_int_equal(rmdir(wall.cgroup), 0);
	wait_until_dead();
	assert_int_equal(mkdir(wall.cgroup, 0755), 0);
	assert_problem("detached");
	assert_repaired();
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 6);
}

static void apply_on(const struct wall *w)
{
	struct sw_policy p;

	wall_policy(&wall, POLICY, &p);
	assert_int_equal(sw_apply(&w->target, &p), 0);
	sw_policy_free(&p);
}

/* The policy moves to a cgroup within the first one, and back. A process in the inner one is
 * below both and never gets through; an exempt one in the outer one is never refused. */
static void moved_to_another_cgroup(void **state)
{
	const struct hammer_opts denied = { .uid = 61008, .port = 25 };
	const struct hammer_opts exempt = { .uid = 61001, .port = 25 };
	struct hammer_seen a, b;
	struct wall inner = wall;
	struct sw_live l;
	uint64_t id;

	(void)state;
	snprintf(inner.cgroup, sizeof(inner.cgroup), "%.100s/inner", wall.cgroup);
	assert_int_equal(mkdir(inner.cgroup, 0755), 0);
	inner.target.cgroup = inner.cgroup;
	hammer_start(&inner, &denied, &hammers[0]);
	hammer_start(&wall, &exempt, &hammers[1]);
	wall_live(&wall, &l);
	apply_on(&inner);
	/* Even while somebody has the old links open: their rows are gone. */
	assert_true(caller_passed(caller_connect(&free_to_go, CALLER_REMOTE4, 25)));
	sw_live_close(&l);
	assert_true(caller_passed(caller_connect(&nobody, CALLER_REMOTE4, 25)));
	assert_true(caller_passed(caller_connect(&nobody, CALLER_REMOTE6, 25)));
	wall_live(&wall, &l);
	assert_true(l.in_force);
	id = l.link[SW_HOOK_CONNECT4].cgroup_id;
	assert_int_equal(l.link[SW_HOOK_CONNECT6].cgroup_id, id);
	sw_live_close(&l);
	assert_problem("another cgroup");
	assert_repaired();
	wall_live(&wall, &l);
	assert_int_not_equal(l.link[SW_HOOK_CONNECT4].cgroup_id, id);
	assert_int_not_equal(l.link[SW_HOOK_CONNECT6].cgroup_id, id);
	sw_live_close(&l);
	for (int i = 0; i < 3; i++) {
		apply_on(&inner);
		apply_on(&wall);
	}
	a = stop(0);
	b = stop(1);
	assert_true(a.attempts > ATTEMPTS && b.attempts > ATTEMPTS);
	assert_int_equal(a.passed, 0);
	assert_int_equal(b.passed, b.attempts);
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), 2);
	scene_rmdir(inner.cgroup);
}

static void leftovers_are_swept(void **state)
{
	char path[256], names[SCENE_TEXT];
	struct sw_live l;

	(void)state;
	wall_live(&wall, &l);
	for (int i = 0; i < 3; i++) {
		static const char *const dirs[] = { "new12345", "v0", "v17" };

		snprintf(path, sizeof(path), "%s/%s", wall.pin_dir, dirs[i]);
		assert_int_equal(mkdir(path, 0700), 0);
		assert_int_equal(sw_pins_put(path, "link_connect4", l.link[0].fd), 0);
		assert_int_equal(sw_pins_put(path, "sw_exempt", l.map_fd[SW_MAP_EXEMPT]), 0);
	}
	sw_live_close(&l);
	assert_repaired();

	/* Other people's directories are not ours to remove, by an apply or by off. */
	snprintf(path, sizeof(path), "%s/vendor", wall.pin_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/newer", wall.pin_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	scene_list(wall.pin_dir, names);
	assert_string_equal(names, "newer " WALL_DIR " vendor ");
	assert_int_equal(sw_off(&wall.target), 0);
	scene_list(wall.pin_dir, names);
	assert_string_equal(names, "newer vendor ");
	rmdir(path);
	snprintf(path, sizeof(path), "%s/vendor", wall.pin_dir);
	rmdir(path);
}

/* Rows of applies that were killed before they came into force belong to nobody. They must not
 * fill the table for good. */
static void stray_rows(void **state)
{
	struct sw_map_dump d;
	struct sw_live l;
	__u32 max = 0;
	int r = 0;

	(void)state;
	wall_live(&wall, &l);
	for (; !r; max++) {
		struct sw_exempt_key k = { .kind = SW_KIND_UID, .id = max };
		struct sw_exempt_val v = {};

		k.generation = l.settings.generation + 1 + max / 1000;
		r = bpf_map_update_elem(l.map_fd[SW_MAP_EXEMPT], &k, &v, BPF_NOEXIST);
	}
	assert_true(max > 1000);
	sw_live_close(&l);
	assert_repaired();
	wall_live(&wall, &l);
	assert_int_equal(sw_map_dump(l.map_fd[SW_MAP_EXEMPT], &d), 0);
	assert_int_equal(d.n, 2);
	sw_map_dump_free(&d);
	sw_live_close(&l);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, in_force, clean)
	const struct CMUnitTest tests[] = {
		TEST(map_pins),
		TEST(link_pins),
		TEST(both_link_pins),
		TEST(empty_directory),
		TEST(detached_link),
		TEST(foreign_program_in_our_link),
		TEST(another_link_under_our_name),
		TEST(another_map_under_our_name),
		TEST(cgroup_made_again),
		TEST(moved_to_another_cgroup),
		TEST(leftovers_are_swept),
		TEST(stray_rows),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	snprintf(pins, sizeof(pins), "%s/v%d", wall.pin_dir, SW_ABI_VERSION);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
