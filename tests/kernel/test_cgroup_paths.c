/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cgroups named by path: a service keeps its exemption and its rules when it is restarted and gets
 * a new cgroup, from the first moment of its first process, and nobody else gets them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "cgroup.h"
#include "crowd.h"
#include "log.h"
#include "mapread.h"
#include "overhear.h"
#include "scene.h"
#include "util.h"

#define NOBODY	61009

/* Of config_int.h, which does not go together with live.h. */
int sw_config_cgroup(int root_fd, const char *path, uint64_t *id, char **name);

static struct wall wall;
static char service[192];	/* the directory of wall/svc */

static const char *below_root(void)
{
	return strrchr(wall.cgroup, '/');
}

/* "%s" in the policy is the wall's path. */
static int apply(const char *policy)
{
	char text[1024];

	snprintf(text, sizeof(text), policy, below_root(), below_root()); /* NOLINT(*nonliteral*) */
	return wall_apply(&wall, text);
}

#define EXEMPT	"[exempt]\ncgroups = %s/svc\n"
#define RULE	"[allow]\nrule = cgroup %s/svc to 198.19.100.0/24 port 25\n"

static char v1_top[512];	/* cgroup of version 1 that a test has made */

/* What a test left that failed on its way. */
static void sweep(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;

	while (d && (e = readdir(d))) {
		char path[1024];

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		sweep(path);
		scene_rmdir(path);
	}
	if (d)
		closedir(d);
}

static int clean(void **state)
{
	int r = sw_off(&wall.target);

	(void)state;
	sweep(wall.cgroup);
	if (v1_top[0]) {
		sweep(v1_top);
		rmdir(v1_top);
		v1_top[0] = '\0';
	}
	return r == 0 || r == -ENOENT ? 0 : -1;
}

/* What nobody's connect comes to in a cgroup. */
static int connect_in(const char *cgroup, const char *dest)
{
	const struct caller c = CALLER(NOBODY, NOBODY, cgroup);
	int r = caller_connect(&c, dest, 25);

	assert_true(r == wall_refusal() || caller_passed(r));
	return caller_passed(r) ? 0 : r;
}

static bool passes_in(const char *cgroup)
{
	return connect_in(cgroup, CALLER_REMOTE4) == 0;
}

/* Rows of cgroups in sw_exempt. */
static unsigned int rows(void)
{
	struct sw_map_dump d;
	struct sw_live live;
	unsigned int n = 0;

	wall_live(&wall, &live);
	assert_int_equal(sw_map_dump(live.map_fd[SW_MAP_EXEMPT], &d), 0);
	for (size_t i = 0; i < d.n; i++) {
		const struct sw_exempt_key *k = sw_map_key(&d, i);

		n += k->kind == SW_KIND_CGROUP || k->kind == SW_KIND_CGROUP_RULE;
	}
	sw_map_dump_free(&d);
	sw_live_close(&live);
	return n;
}

static void make(const char *cgroup)
{
	if (mkdir(cgroup, 0755) < 0)
		fail_msg("mkdir %s: %s", cgroup, strerror(errno));
}

static void make_below(const char *cgroup, const char *name, char ret[512])
{
	snprintf(ret, 512, "%.400s/%s", cgroup, name);
	make(ret);
}

/* ---- made before, made after, made again ---- */

static void there_before_the_apply(void **state)
{
	(void)state;
	make(service);
	assert_int_equal(apply(EXEMPT RULE), 0);
	assert_true(passes_in(service));
	assert_int_equal(overhear_reason(&wall, NOBODY), SW_BY_NONE);
	assert_false(passes_in(wall.cgroup));
	assert_int_equal(rows(), 2);
	assert_int_equal(apply(RULE), 0);
	assert_int_equal(rows(), 1);
	assert_false(passes_in(service));
	assert_int_equal(connect_in(service, "198.19.100.1"), 0);
}

static void made_after_the_apply(void **state)
{
	(void)state;
	assert_int_equal(apply(EXEMPT RULE), 0);
	assert_int_equal(rows(), 0);
	make(service);
	assert_int_equal(rows(), 2);
	assert_true(passes_in(service));
	assert_int_equal(rmdir(service), 0);
	assert_int_equal(rows(), 0);
	make(service);
	assert_true(passes_in(service));
	assert_int_equal(rows(), 2);
	/* The rule alone. */
	scene_rmdir(service);
	assert_int_equal(apply(RULE), 0);
	make(service);
	assert_false(passes_in(service));
	assert_int_equal(connect_in(service, "198.19.100.1"), 0);
	assert_int_equal(connect_in(service, "198.19.101.1"), wall_refusal());
	assert_int_equal(rows(), 1);
}

/* Whatever is made below counts with it. */
static void children_count(void **state)
{
	char a[512], b[512];

	(void)state;
	for (int before = 0; before < 2; before++) {
		if (!before)
			assert_int_equal(apply(EXEMPT RULE), 0);
		make(service);
		make_below(service, "a", a);
		make_below(a, "b", b);
		if (before)
			assert_int_equal(apply(EXEMPT RULE), 0);
		assert_true(passes_in(a) && passes_in(b));
		assert_int_equal(rows(), 2);
		scene_rmdir(b);
		scene_rmdir(a);
		assert_true(passes_in(service));
		scene_rmdir(service);
	}
}

/* Same name elsewhere, a name that begins or ends alike, the parent: none of them. */
static void others_are_not_matched(void **state)
{
	static const char *const names[] = { "svc2", "sv", "SVC", "svc.service", "other" };
	char path[512], inner[512];

	(void)state;
	assert_int_equal(apply(EXEMPT), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		make_below(wall.cgroup, names[i], path);
		make_below(path, "svc", inner);
		assert_false(passes_in(path) || passes_in(inner));
		scene_rmdir(inner);
		scene_rmdir(path);
	}
	assert_false(passes_in(wall.cgroup));
	assert_int_equal(rows(), 0);
}

/* ---- names as long as they may be ---- */

static void fill(char *path, size_t len, char with)
{
	size_t used = strlen(path);

	memset(path + used, with, len - used);
	path[len] = '\0';
}

/* A policy that exempts one path, of any length. */
static int apply_path(const char *path)
{
	struct sw_policy p;
	struct sw_policy_cgroup *c;
	int r;

	wall_policy(&wall, "[policy]\n", &p);
	c = sw_policy_cgroup(&p, path, 0);
	assert_non_null(c);
	c->exempt = true;
	r = sw_apply(&wall.target, &p);
	sw_policy_free(&p);
	return r;
}

static int accepted(const char *path)
{
	_cleanup_free_ char *root = NULL, *name = NULL;
	_cleanup_close_ int fd = -1;
	uint64_t id;

	assert_int_equal(sw_cgroup_open(NULL, &fd, &root), 0);
	return sw_config_cgroup(fd, path, &id, &name);
}

/* Where caller_connect() has no room for the path. */
static bool passes_far_down(const char *cgroup)
{
	const struct crowd_opts o = { .uid = NOBODY, .port = 25, .threads = 1, .attempts = 1,
				      .cgroup = cgroup };

	return crowd_run(&wall, &o).passed == 1;
}

/* The longest path that the parser takes is told from one that is a character longer. */
static void longest_path(void **state)
{
	char path[SW_CGROUP_PATH_LEN + 2], dir[512];
	int root = (int)(strlen(wall.cgroup) - strlen(below_root()));
	size_t most;

	(void)state;
	for (most = SW_CGROUP_PATH_LEN; most > 200; most--) {
		snprintf(path, sizeof(path), "%s/", below_root());
		fill(path, most, 'x');
		if (accepted(path) != -ENAMETOOLONG)
			break;
	}
	assert_in_range(most, 240, SW_CGROUP_PATH_LEN - 1);
	assert_int_equal(accepted(path), 0);
	assert_int_equal(apply_path(path), 0);
	for (int again = 0; again < 2; again++) {
		snprintf(dir, sizeof(dir), "%.*s%s", root, wall.cgroup, path);
		make(dir);
		assert_true(passes_far_down(dir));
		assert_int_equal(rows(), 1);
		scene_rmdir(dir);
		assert_int_equal(rows(), 0);
		snprintf(dir, sizeof(dir), "%.*s%sx", root, wall.cgroup, path);
		make(dir);
		assert_false(passes_far_down(dir));
		assert_int_equal(rows(), 0);
		scene_rmdir(dir);
	}
}

/* ---- another hierarchy ---- */

/* A mount of cgroup version 1, with `name` below it; false where there is none. */
static bool find_v1(char ret[512])
{
	FILE *f = fopen("/proc/self/mounts", "re");
	char line[1024], point[256], type[32];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s %255s %31s", point, type) == 2 && !strcmp(type, "cgroup") &&
		    access(point, W_OK) == 0 && !strstr(point, "cpuset"))
			found = true;
	if (f)
		fclose(f);
	snprintf(ret, 512, "%s%s", point, below_root());
	return found;
}

/* The same path in a hierarchy of version 1: its ids have nothing to do with ours. */
static void version_one_is_not_matched(void **state)
{
	char top[512], dir[512];

	(void)state;
	if (!find_v1(top)) {
		print_message("# no cgroup of version 1 on this machine\n");
		skip();
	}
	assert_int_equal(apply(EXEMPT RULE), 0);
	make(top);
	snprintf(v1_top, sizeof(v1_top), "%s", top);
	snprintf(dir, sizeof(dir), "%.480s/svc", top);
	make(dir);
	assert_int_equal(rows(), 0);
	make(service);
	assert_int_equal(rows(), 2);
	assert_int_equal(rmdir(dir), 0);
	assert_int_equal(rmdir(top), 0);
	assert_int_equal(rows(), 2);
	assert_true(passes_in(service));
}

/* ---- restarts ---- */

#define RESTARTS	100
#define EMPTY_RESTARTS	1000

static pid_t apply_for_ever(const char *policy)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		for (;;)
			if (apply(policy) < 0)
				_exit(1);
	return pid;
}

/* The service's first process connects at once, again and again, while policies are applied. */
static unsigned int restart(int n)
{
	unsigned int refused = 0;

	for (int i = 0; i < n; i++) {
		make(service);
		refused += !passes_in(service);
		scene_rmdir(service);
	}
	return refused;
}

static void restarts(void **state)
{
	(void)state;
	assert_int_equal(apply(EXEMPT RULE), 0);
	assert_int_equal(restart(RESTARTS), 0);
	for (int i = 0; i < EMPTY_RESTARTS; i++) {
		make(service);
		assert_int_equal(rmdir(service), 0);
	}
	assert_int_equal(rows(), 0);
	assert_int_equal(wall_counter(&wall, SW_CTR_CGROUP_FULL), 0);
}

static void restarts_while_applying(void **state)
{
	unsigned int refused;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(apply(EXEMPT RULE), 0);
	pid = apply_for_ever(EXEMPT RULE);
	refused = restart(RESTARTS);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(refused, 0);
	assert_int_equal(apply(EXEMPT RULE), 0);
	assert_int_equal(rows(), 0);
	assert_int_equal(restart(3), 0);
}

/* As many cgroups as a policy may want, made and removed at random. */
static void many_cgroups(void **state)
{
	static char policy[20000];
	char dir[512];
	size_t n = (size_t)snprintf(policy, sizeof(policy), "[exempt]\ncgroups =\n");

	(void)state;
	for (int i = 0; i < 200; i++)
		n += (size_t)snprintf(policy + n, sizeof(policy) - n, "\t%s/svc/%d\n", below_root(),
				      i);
	assert_int_equal(wall_apply(&wall, policy), 0);
	make(service);
	for (int i = 0; i < 200; i += 3) {
		snprintf(dir, sizeof(dir), "%s/%d", service, i);
		make(dir);
	}
	assert_int_equal(rows(), 67);
	snprintf(dir, sizeof(dir), "%s/198", service);
	assert_true(passes_in(dir));
	assert_false(passes_in(service));
	for (int i = 0; i < 200; i += 3) {
		snprintf(dir, sizeof(dir), "%s/%d", service, i);
		scene_rmdir(dir);
	}
	assert_int_equal(rows(), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, clean)
	const struct CMUnitTest tests[] = {
		TEST(there_before_the_apply),
		TEST(made_after_the_apply),
		TEST(children_count),
		TEST(others_are_not_matched),
		TEST(longest_path),
		TEST(version_one_is_not_matched),
		TEST(restarts),
		TEST(restarts_while_applying),
		TEST(many_cgroups),
	};
	int failed;

	sw_log_max = SW_LOG_ERROR;
	wall_open(&wall);
	snprintf(service, sizeof(service), "%s/svc", wall.cgroup);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
