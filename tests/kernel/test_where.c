/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who and where: the path of the current directory and the process title, as the kernel side
 * writes them, for every kind of directory. Once with plain loads and once with probe reads.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "hammer.h"
#include "log.h"
#include "mapread.h"
#include "stats.h"

static struct wall wall;
static char scratch[] = "/tmp/swwhereXXXXXX";
static uint32_t next_uid = 61300;

/* The only origin row of an account. */
static struct sw_where where_of(uint32_t uid)
{
	struct sw_where w = {};
	struct sw_map_dump d;
	struct sw_live live;
	unsigned int found = 0;

	wall_live(&wall, &live);
	assert_int_equal(sw_map_dump(live.map_fd[SW_MAP_ORIGINS], &d), 0);
	for (size_t i = 0; i < d.n; i++) {
		const struct sw_origin_key *k = sw_map_key(&d, i);
		const struct sw_origin *o = sw_map_value(&d, i);

		if (k->uid == uid && k->dev != SW_DEV_NONE) {
			assert_int_equal(o->filled, 1);
			w = o->where;
			found++;
		}
	}
	sw_map_dump_free(&d);
	sw_live_close(&live);
	assert_int_equal(found, 1);
	return w;
}

/* One connect from `dir` by a new account; what the kernel side wrote about it. */
static struct sw_where connect_from(const char *dir)
{
	const struct hammer_opts o = { .uid = next_uid++, .port = 25, .attempts = 1, .cwd = dir };
	struct hammer h;

	hammer_start(&wall, &o, &h);
	assert_int_equal(hammer_stop(&h, true).refused[wall_refusal()], 1);
	return where_of(o.uid);
}

static void assert_path(const struct sw_where *w, const char *want)
{
	assert_string_equal(w->path + w->path_off, want);
	assert_int_equal(w->flags & SW_PATH_CUT, 0);
}

static void make_dirs(char *path)
{
	for (char *slash = path + 1; (slash = strchr(slash, '/')); *slash++ = '/') {
		*slash = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			exit(99);
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		exit(99);
}

static void plain_directories(void **state)
{
	static const char *const below[] = {
		"a", "home/alice/public_html", "with blank/and\ttab", "back\\slash/quote\"s",
		"\xc3\xbcmlaut", "bad\xff\x1b[31mbytes", ".hidden/...",
	};
	char path[256];
	struct sw_where w;

	(void)state;
	w = connect_from("/");
	assert_path(&w, "/");
	w = connect_from("/usr");
	assert_path(&w, "/usr");
	w = connect_from("/proc/self");	/* another file system; the shell's way through a link */
	assert_memory_equal(w.path + w.path_off, "/proc/", 6);
	for (size_t i = 0; i < sizeof(below) / sizeof(*below); i++) {
		snprintf(path, sizeof(path), "%s/%s", scratch, below[i]);
		make_dirs(path);
		w = connect_from(path);
		assert_path(&w, path);
	}
}

static void longest_name_and_longest_path(void **state)
{
	char path[1200], name[256];
	struct sw_where w;

	(void)state;
	memset(name, 'n', 255);
	name[255] = '\0';
	snprintf(path, sizeof(path), "%s/%s", scratch, name);
	make_dirs(path);
	w = connect_from(path);
	assert_path(&w, path);

	/* 511 bytes fit, one more does not: then the front is lost, at a slash, and marked. */
	snprintf(path, sizeof(path), "%s/%s/%.*s", scratch, name,
		 (int)(511 - strlen(scratch) - 257), name);
	assert_int_equal(strlen(path), 511);
	make_dirs(path);
	w = connect_from(path);
	assert_path(&w, path);
	snprintf(path, sizeof(path), "%s/%s/%.*s", scratch, name,
		 (int)(512 - strlen(scratch) - 257), name);
	make_dirs(path);
	w = connect_from(path);
	assert_int_equal(w.flags & SW_PATH_CUT, SW_PATH_CUT);
	assert_string_equal(w.path + w.path_off, path + strlen("/tmp"));
}

static void deep_directory(void **state)
{
	char path[400];
	struct sw_where w;
	size_t len = (size_t)snprintf(path, sizeof(path), "%s", scratch);

	(void)state;
	for (int i = 0; i < 50; i++)
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/%d", i % 10);
	make_dirs(path);
	w = connect_from(path);
	assert_path(&w, path);
	for (int i = 50; i < 90; i++)
		len += (size_t)snprintf(path + len, sizeof(path) - len, "/%d", i % 10);
	make_dirs(path);
	w = connect_from(path);
	assert_int_equal(w.flags & SW_PATH_CUT, SW_PATH_CUT);
	assert_string_equal(w.path + w.path_off, path + len - strlen(w.path + w.path_off));
}

/* In a mount namespace of its own, so that the mounts go with it. */
static void across_mounts(void **state)
{
	char outer[128], inner[160], deep[192];
	uint32_t uid = next_uid;
	struct sw_where w;
	int status;
	pid_t pid;

	(void)state;
	snprintf(outer, sizeof(outer), "%s/mnt", scratch);
	snprintf(inner, sizeof(inner), "%s/one/two", outer);
	snprintf(deep, sizeof(deep), "%s/x/y", inner);
	make_dirs(outer);
	pid = fork();
	if (pid == 0) {
		if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
		    mount("t", outer, "tmpfs", 0, NULL) < 0)
			_exit(1);
		make_dirs(inner);
		if (mount("t", inner, "tmpfs", 0, NULL) < 0)
			_exit(1);
		make_dirs(deep);
		for (int i = 0; i < 2; i++) {
			const struct hammer_opts o = { .uid = uid + (uint32_t)i, .port = 25,
						       .attempts = 1, .cwd = i ? inner : deep };
			struct hammer h;

			hammer_start(&wall, &o, &h);
			hammer_stop(&h, true);
		}
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	next_uid += 2;
	w = where_of(uid);
	assert_path(&w, deep);
	w = where_of(uid + 1);
	assert_path(&w, inner);
}

static void removed_directory(void **state)
{
	const uint32_t uid = next_uid++;
	char path[128];
	struct sw_where w;
	int status;
	pid_t pid;

	(void)state;
	snprintf(path, sizeof(path), "%s/gone", scratch);
	make_dirs(path);
	pid = fork();
	if (pid == 0) {
		const struct hammer_opts o = { .uid = uid, .port = 25, .attempts = 1 };
		struct hammer h;

		if (chdir(path) < 0 || rmdir(path) < 0)
			_exit(1);
		hammer_start(&wall, &o, &h);
		hammer_stop(&h, true);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	w = where_of(uid);
	assert_path(&w, path);
}

/* A program that connects once and is gone, with a title of `n` bytes. */
static void title(size_t n)
{
	const uint32_t uid = next_uid++;
	char cmd[400], arg[512], want[600];
	struct sw_where w;
	int status;
	pid_t pid;

	snprintf(cmd, sizeof(cmd), "echo $$ > %s/cgroup.procs && cd / && exec setpriv --reuid %u "
		 "--regid %u --clear-groups /bin/bash -c 'echo > /dev/tcp/192.0.2.1/25' \"$0\" 2>&-",
		 wall.cgroup, uid, uid);
	memset(arg, 'x', n);
	arg[n] = '\0';
	pid = fork();
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", cmd, arg, NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	w = where_of(uid);
	assert_string_equal(w.comm, "bash");
	snprintf(want, sizeof(want), "/bin/bash -c echo > /dev/tcp/192.0.2.1/25 %s", arg);
	for (int i = 0; i < w.argv_len; i++)
		if (!w.argv[i])
			w.argv[i] = ' ';
	assert_int_equal(w.argv_len, strlen(want) + 1 < 255 ? strlen(want) + 1 : 255);
	assert_memory_equal(w.argv, want, w.argv_len < strlen(want) ? w.argv_len : strlen(want));
}

static void process_titles(void **state)
{
	(void)state;
	title(1);
	title(40);
	title(212);
	title(213);
	title(214);
	title(500);
}

static int run_all(const char *disable)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_directories),
		cmocka_unit_test(longest_name_and_longest_path),
		cmocka_unit_test(deep_directory),
		cmocka_unit_test(across_mounts),
		cmocka_unit_test(removed_directory),
		cmocka_unit_test(process_titles),
	};

	wall.target.disable = disable ?: getenv("SMTPWALL_DISABLE");
	if (wall_apply(&wall, "[policy]\n") < 0)
		return 99;
	return cmocka_run_group_tests_name(disable ?: "plain loads", tests, NULL, NULL);
}

int main(void)
{
	char command[64];
	int failed;

	sw_log_max = SW_LOG_WARN;
	if (!mkdtemp(scratch) || chmod(scratch, 0755) < 0)
		return 99;
	wall_open(&wall);
	failed = run_all(NULL);
	failed += run_all("task_btf,coarse_clock");
	wall_close(&wall);
	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command) || failed ? 1 : 0;
}
