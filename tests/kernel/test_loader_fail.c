/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Applies that fail, are cut short or outgrow their tables: all or nothing, and never stuck. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "caller.h"
#include "foreign.h"
#include "hammer.h"
#include "health.h"
#include "locals.h"
#include "log.h"
#include "mapread.h"
#include "pins.h"
#include "probe.h"
#include "scene.h"
#include "util.h"
#include "wall.h"

#define POLICY	"[policy]\n[exempt]\nusers = root 61001\nmta = none\n"
#define OTHER	"[policy]\nrefuse_with = permission\n[exempt]\nusers = root 61002\nmta = none\n"
#define STRICT	"[policy]\nstrict = yes\n[exempt]\nusers = root 61001\nmta = none\n"
#define KILLS	30

static struct wall outer, wall;	/* the policy is on wall, a cgroup within outer */
static struct caller nobody = CALLER(61009, 61009, wall.cgroup);
static struct caller exempt = CALLER(61001, 61001, wall.cgroup);

/* An exclusive program, taken off again by clean() when a test fails. */
static struct {
	const char *cgroup;
	enum bpf_attach_type attach;
	int prog;
} exclusive = { .prog = -1 };

static void attach_exclusive(const char *cgroup, enum bpf_attach_type attach)
{
	exclusive.cgroup = cgroup;
	exclusive.attach = attach;
	exclusive.prog = foreign_load(attach, FOREIGN_PASS, "exclusive");
	assert_true(exclusive.prog >= 0);
	assert_int_equal(foreign_attach_exclusive(exclusive.prog, cgroup, attach), 0);
}

static void detach_exclusive(void)
{
	if (exclusive.prog < 0)
		return;
	foreign_detach(exclusive.prog, exclusive.cgroup, exclusive.attach);
	close(TAKE_FD(exclusive.prog));
}

/* Likewise the hammers of a case. */
static struct hammer hammers[2];

static struct hammer_seen stop(int i)
{
	struct hammer_seen seen = hammer_stop(&hammers[i], false);

	hammers[i].pid = 0;
	return seen;
}

/* What an apply that fails must not change. */
struct snapshot {
	char pin_dir[SCENE_TEXT], pins[SCENE_TEXT];
	uint32_t generation, prog_id[_SW_HOOK_MAX];
	size_t rows;
};

static void take_snapshot(struct snapshot *s)
{
	struct sw_map_dump d;
	struct sw_live l;

	memset(s, 0, sizeof(*s));
	scene_list(wall.pin_dir, s->pin_dir);
	scene_list_in(wall.pin_dir, WALL_DIR, s->pins);
	wall_live(&wall, &l);
	s->generation = l.settings.generation;
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		s->prog_id[i] = l.link[i].prog_id;
	if (l.map_fd[SW_MAP_EXEMPT] >= 0) {
		assert_int_equal(sw_map_dump(l.map_fd[SW_MAP_EXEMPT], &d), 0);
		s->rows = d.n;
		sw_map_dump_free(&d);
	}
	sw_live_close(&l);
}

static void assert_unchanged(const struct snapshot *before)
{
	struct snapshot now;

	take_snapshot(&now);
	assert_string_equal(now.pin_dir, before->pin_dir);
	assert_string_equal(now.pins, before->pins);
	assert_memory_equal(&now.generation, &before->generation,
			    sizeof(now) - offsetof(struct snapshot, generation));
}

/* Applies and expects `error` with one line that has `word` in it, and nothing changed. */
static void assert_fails(const char *policy, int error, const char *word)
{
	struct snapshot before;
	char text[SCENE_TEXT];
	int r;

	take_snapshot(&before);
	scene_listen();
	r = wall_apply(&wall, policy);
	scene_heard(text);
	assert_int_equal(r, error);
	assert_int_equal(scene_lines(text), 1);
	if (!strstr(text, word))
		fail_msg("'%s' is not in: %s", word, text);
	assert_unchanged(&before);
}

static void assert_enforced(void)
{
	assert_int_equal(caller_connect(&nobody, CALLER_REMOTE4, 25), wall_refusal());
	assert_int_equal(caller_connect(&nobody, CALLER_REMOTE6, 25), wall_refusal());
	assert_true(caller_passed(caller_connect(&exempt, CALLER_REMOTE4, 25)));
	assert_true(caller_passed(caller_connect(&exempt, CALLER_REMOTE6, 25)));
}

static void assert_open(void)
{
	assert_true(caller_passed(caller_connect(&nobody, CALLER_REMOTE4, 25)));
	assert_true(caller_passed(caller_connect(&nobody, CALLER_REMOTE6, 25)));
}

static void assert_healthy(void)
{
	struct sw_health h;
	struct sw_live l;

	wall_live(&wall, &l);
	sw_health_check(&wall.target, &l, &h);
	if (h.problems.n)
		fail_msg("not healthy: %s", h.problems.item[0]);
	sw_health_free(&h);
	sw_live_close(&l);
}

static void second_loader(void **state)
{
	struct sw_pins first;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_int_equal(sw_pins_open(wall.pin_dir, true, &first), 0);
	assert_fails(OTHER, -EAGAIN, "another smtpwall");
	scene_listen();
	assert_int_equal(sw_off(&wall.target), -EAGAIN);
	scene_heard((char[SCENE_TEXT]){ 0 });
	assert_enforced();
	sw_pins_close(&first);
	assert_int_equal(wall_apply(&wall, POLICY), 0);
}

/* A program that tolerates no other beside it, at one hook or at both. */
static void exclusive_program(void **state)
{
	static const enum bpf_attach_type hooks[] = { BPF_CGROUP_INET4_CONNECT,
						      BPF_CGROUP_INET6_CONNECT };
	_cleanup_close_ int cgroup = open(wall.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t ids[8];

	(void)state;
	for (int i = 0; i < 2; i++) {
		attach_exclusive(wall.cgroup, hooks[i]);
		assert_fails(POLICY, -EPERM, "exclusive");
		assert_int_equal(access(wall.pin_dir, F_OK), -1);	/* nothing is left behind */
		assert_int_equal(sw_live_effective(cgroup, hooks[i], ids, 8), 1);
		assert_int_equal(sw_live_effective(cgroup, hooks[!i], ids, 8), 0);
		assert_open();
		detach_exclusive();
	}
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_enforced();
}

/* connect4 could be replaced, connect6 has to be made anew and cannot: connect4 goes back. */
static void fails_half_way(void **state)
{
	char path[256];

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	attach_exclusive(outer.cgroup, BPF_CGROUP_INET6_CONNECT);
	/* Replacing in place needs no permission of anybody. */
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	snprintf(path, sizeof(path), "%s/" WALL_DIR "/link_connect6", wall.pin_dir);
	assert_int_equal(unlink(path), 0);
	assert_fails(OTHER, -EPERM, "exclusive");
	assert_int_equal(caller_connect(&nobody, CALLER_REMOTE4, 25), wall_refusal());
	assert_true(caller_passed(caller_connect(&exempt, CALLER_REMOTE4, 25)));
	detach_exclusive();
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_enforced();
}

/* The policy of another ABI is in force; the new program cannot take over, so it has to stay. */
static void failed_upgrade(void **state)
{
	char v0[128], v1[128];

	(void)state;
	snprintf(v0, sizeof(v0), "%s/v0", wall.pin_dir);
	snprintf(v1, sizeof(v1), "%s/" WALL_DIR, wall.pin_dir);
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_int_equal(rename(v1, v0), 0);
	attach_exclusive(outer.cgroup, BPF_CGROUP_INET6_CONNECT);
	assert_fails(OTHER, -EPERM, "exclusive");
	assert_enforced();
	detach_exclusive();
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_int_equal(access(v0, F_OK), -1);
	assert_healthy();
}

static void features_forced_off(void **state)
{
	const char *usual = wall.target.disable;
	struct sw_features f;

	(void)state;
	assert_int_equal(sw_features_probe(usual, &f), 0);
	assert_null(sw_features_missing(&f));
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	for (int i = 0; i < _SW_FEAT_MAX; i++) {
		wall.target.disable = f.f[i].name;
		if (f.f[i].required)
			assert_fails(OTHER, -EOPNOTSUPP, f.f[i].name);
		else
			assert_int_equal(wall_apply(&wall, POLICY), 0);
	}
	wall.target.disable = "coarse_clock,raw_socket_hook";
	assert_fails(STRICT, -EOPNOTSUPP, "raw_socket_hook");
	wall.target.disable = "coarse_clock,flux_capacitor";
	assert_fails(OTHER, -EINVAL, "flux_capacitor");
	wall.target.disable = usual;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	assert_enforced();
}

/* On a BPF file system that everybody may write to (mounted without a mode) an account can be
 * there first, and would own the directory that says what is in force. */
static void pin_directory_of_somebody_else(void **state)
{
	static const struct { uid_t uid; mode_t mode; } rows[] = { { 61009, 0700 }, { 0, 0777 },
								   { 0, 0770 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(mkdir(wall.pin_dir, 0700), 0);
		assert_int_equal(chown(wall.pin_dir, rows[i].uid, 0), 0);
		assert_int_equal(chmod(wall.pin_dir, rows[i].mode), 0);
		assert_fails(POLICY, -EEXIST, "others");
		assert_open();
		assert_int_equal(rmdir(wall.pin_dir), 0);
	}
	assert_int_equal(wall_apply(&wall, POLICY), 0);
}

static pid_t start_apply(const char *policy)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		_exit(wall_apply(&wall, policy) < 0 ? 1 : 0);
	}
	assert_true(pid > 0);
	return pid;
}

static unsigned int apply_time_us(void)
{
	struct timespec a, b;

	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	return (unsigned int)((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
}

/* The end may come before the first pin, between two links, before the publishing rename. What is
 * left is healed by the next apply, whether a policy was in force or not. */
static void killed_loader(void **state)
{
	unsigned int us = apply_time_us(), cut = 0;
	struct sw_map_dump d;
	struct sw_live l;
	int status;

	(void)state;
	srandom((unsigned int)getpid());
	for (int i = 0; i < KILLS; i++) {
		pid_t pid;

		if (i % 3 == 0)
			assert_int_equal(sw_off(&wall.target), 0);
		pid = start_apply(i & 1 ? OTHER : POLICY);
		usleep((unsigned int)random() % (us + us / 4));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		cut += WIFSIGNALED(status);
		assert_int_equal(wall_apply(&wall, POLICY), 0);
		assert_healthy();
		assert_enforced();
	}
	print_message("# %u of %d loaders were cut short\n", cut, KILLS);
	assert_true(cut > KILLS / 2);
	wall_live(&wall, &l);
	for (int i = SW_MAP_EXEMPT; i <= SW_MAP_LOCAL; i++) {
		assert_int_equal(sw_map_dump(l.map_fd[i], &d), 0);
		for (size_t j = 0; j < d.n; j++)
			assert_memory_equal(sw_map_key(&d, j), &l.settings.generation, 4);
		sw_map_dump_free(&d);
	}
	sw_live_close(&l);
}

/* `n` exempt users from 100000 up beside those of the text. */
static void large_policy(size_t n, struct sw_policy *p)
{
	wall_policy(&wall, POLICY, p);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(sw_policy_add_exempt(p, SW_KIND_UID, 100000 + i, "many", 0, 0), 0);
}

static void assert_large_policy(size_t n)
{
	const uint32_t some[] = { 100000, 100001, 100000 + (uint32_t)n / 2, 99999 + (uint32_t)n };
	struct snapshot now;
	struct sw_policy p;
	struct sw_live l;

	large_policy(n, &p);
	assert_int_equal(sw_apply(&wall.target, &p), 0);
	take_snapshot(&now);
	assert_int_equal(now.rows, p.n_exempt);
	assert_string_equal(now.pins, WALL_PINS);
	wall_live(&wall, &l);
	for (size_t i = 0; i < p.n_exempt; i++) {
		struct sw_exempt_key k = { now.generation, p.exempt[i].kind, p.exempt[i].id };
		struct sw_exempt_val v;

		assert_int_equal(bpf_map_lookup_elem(l.map_fd[SW_MAP_EXEMPT], &k, &v), 0);
	}
	sw_live_close(&l);
	for (size_t i = 0; i < ARRAY_SIZE(some); i++)
		assert_int_equal(hammer_once(&wall, some[i], 25, i & 1), 0);
	assert_int_equal(hammer_once(&wall, 100000 + (uint32_t)n, 25, false), wall_refusal());
	assert_healthy();
	sw_policy_free(&p);
}

/* A policy outgrows its table: a larger one takes its place. Nobody who is denied gets through
 * meanwhile, and nobody who is exempt in both is refused. */
static void table_of_exempt_identities_grows(void **state)
{
	static const size_t sizes[] = { 6000, 60000, 10, 20000 };
	const struct hammer_opts denied = { .uid = 61009, .port = 25 };
	const struct hammer_opts free_to_go = { .uid = 61001, .port = 25, .v6 = true };
	struct hammer_seen a, b;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	hammer_start(&wall, &denied, &hammers[0]);
	hammer_start(&wall, &free_to_go, &hammers[1]);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_large_policy(sizes[i]);
	a = stop(0);
	b = stop(1);
	assert_true(a.attempts > 100 && b.attempts > 100);
	assert_int_equal(a.passed, 0);
	assert_int_equal(b.passed, b.attempts);
}

/* A machine with more addresses than the table was made for; on hosts with many containers every
 * veth pair brings one. */
static int many_addresses(void *arg)
{
	struct sw_addrs a;
	FILE *ip;

	(void)arg;
	if (unshare(CLONE_NEWNET) < 0)
		return 1;
	ip = popen("ip -batch - >/dev/null", "w");
	if (!ip)
		return 2;
	for (int i = 0; i < 5000; i++)
		fprintf(ip, "address add 10.9.%d.%d/32 dev lo\n", i >> 8, i & 255);
	if (pclose(ip) != 0 || sw_locals_read(&a) < 0 || a.n < 5000)
		return 3;
	free(a.item);
	for (int i = 0; i < 3; i++)
		if (wall_apply(&wall, POLICY) < 0)
			return 10 + i;
	return 0;
}

static void many_local_addresses(void **state)
{
	struct sw_map_dump d;
	struct sw_live l;

	(void)state;
	assert_int_equal(scene_child(many_addresses, NULL), 0);
	wall_live(&wall, &l);
	assert_int_equal(sw_map_dump(l.map_fd[SW_MAP_LOCAL], &d), 0);
	assert_in_range(d.n, 5000, 5010);
	sw_map_dump_free(&d);
	sw_live_close(&l);
}

static int fresh(void **state)
{
	(void)state;
	return sw_off(&wall.target) == -ENOENT ? 0 : -1;
}

static int clean(void **state)
{
	int r;

	(void)state;
	for (int i = 0; i < 2; i++)
		if (hammers[i].pid)
			stop(i);
	r = sw_off(&wall.target);
	wall.target.disable = outer.target.disable;
	detach_exclusive();
	return r == 0 || r == -ENOENT ? 0 : -1;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh, clean)
	const struct CMUnitTest tests[] = {
		TEST(second_loader),
		TEST(exclusive_program),
		TEST(fails_half_way),
		TEST(failed_upgrade),
		TEST(features_forced_off),
		TEST(pin_directory_of_somebody_else),
		TEST(killed_loader),
		TEST(table_of_exempt_identities_grows),
		TEST(many_local_addresses),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&outer);
	wall = outer;
	snprintf(wall.cgroup, sizeof(wall.cgroup), "%.100s/inner", outer.cgroup);
	wall.target.cgroup = wall.cgroup;
	wall.target.pin_dir = wall.pin_dir;
	if (mkdir(wall.cgroup, 0755) < 0)
		return 99;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	sw_off(&wall.target);
	scene_rmdir(wall.cgroup);
	wall_close(&outer);
	return failed ? 1 : 0;
}
