/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where the cgroup root and the pins are found on machines that mount them elsewhere, twice or
 * not at all. Each case is a child with a mount namespace of its own.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "caller.h"
#include "cgroup.h"
#include "log.h"
#include "pins.h"
#include "scene.h"
#include "util.h"
#include "wall.h"

#define POLICY	"[policy]\n[exempt]\nusers = root 61001\nmta = none\n"
#define BPFFS_MAGIC 0xcafe4a11
#define MAX_MOUNTS 16

static struct wall wall;
static struct caller nobody = CALLER(61009, 61009, wall.cgroup);
static char *root_path;		/* the cgroup root as everybody sees it */
static uint64_t root_id;

/* A step of a child that has to succeed; its line is the child's exit status. */
#define MUST(condition)							\
	do {								\
		if (!(condition)) {					\
			fprintf(stderr, "# line %d: %s (%s)\n", __LINE__, #condition, \
				strerror(errno));			\
			return 1;					\
		}							\
	} while (0)

static int own_mounts(void)
{
	MUST(unshare(CLONE_NEWNS) == 0);
	MUST(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	return 0;
}

/* How many cgroup2 mounts this process sees; the mount points of the first. */
static int v2_mounts(char points[MAX_MOUNTS][256])
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	char line[1024];
	int n = 0;

	while (f && n < MAX_MOUNTS && fgets(line, sizeof(line), f))
		if (strstr(line, " - cgroup2 "))
			n += sscanf(line, "%*s %*s %*s %*s %255s", points[n]) == 1;
	return n;
}

static int unmount_v2(void)
{
	char points[MAX_MOUNTS][256];

	for (int n; (n = v2_mounts(points)) > 0;)
		MUST(umount2(points[n - 1], MNT_DETACH) == 0);
	return 0;
}

static int scratch_dir(char dir[64])
{
	snprintf(dir, 64, "/tmp/swtest-mount-XXXXXX");
	MUST(mkdtemp(dir));
	return 0;
}

/* What sw_cgroup_open() finds: the real root, under `path` unless that is NULL. */
static int expect_root(const char *path)
{
	_cleanup_free_ char *found = NULL;
	_cleanup_close_ int fd = -1;
	uint64_t id;

	MUST(sw_cgroup_open(NULL, &fd, &found) == 0);
	MUST(sw_cgroup_id(fd, &id) == 0);
	MUST(id == root_id);
	MUST(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	MUST(!path || !strcmp(found, path));
	return 0;
}

static int nothing_mounted(void *arg)
{
	char points[MAX_MOUNTS][256], before[SCENE_TEXT], after[SCENE_TEXT];

	(void)arg;
	MUST(own_mounts() == 0);
	MUST(unmount_v2() == 0);
	scene_list("/tmp", before);
	MUST(expect_root("(private mount)") == 0);
	MUST(v2_mounts(points) == 0);
	scene_list("/tmp", after);
	MUST(!strcmp(before, after));
	return 0;
}

/* Another file system was mounted over the only cgroup mount. */
static int mounted_over(void *arg)
{
	(void)arg;
	MUST(own_mounts() == 0);
	MUST(mount("none", root_path, "tmpfs", 0, NULL) == 0);
	return expect_root(NULL);
}

/* Only a part of the tree is in sight, bound to another place as containers have it; this is
 * the host all the same. */
static int only_a_part_mounted(void *arg)
{
	char dir[64];
	int r;

	(void)arg;
	MUST(own_mounts() == 0);
	MUST(scratch_dir(dir) == 0);
	MUST(mount(wall.cgroup, dir, NULL, MS_BIND, NULL) == 0);
	MUST(umount2(root_path, MNT_DETACH) == 0);
	r = expect_root(NULL);
	umount(dir);
	rmdir(dir);
	return r;
}

/* A part of the tree and blanks in the path, listed before the real one. */
static int odd_mount_points(void *arg)
{
	char dir[64], odd[128];
	int r;

	(void)arg;
	MUST(own_mounts() == 0);
	MUST(scratch_dir(dir) == 0);
	snprintf(odd, sizeof(odd), "%s/a b\\c\td", dir);
	MUST(mkdir(odd, 0700) == 0);
	MUST(unmount_v2() == 0);
	MUST(mount("none", odd, "cgroup2", 0, NULL) == 0);
	r = expect_root(odd);
	umount(odd);
	rmdir(odd);
	rmdir(dir);
	return r;
}

static int namespaced(bool mounted)
{
	const struct sw_target t = { .pin_dir = wall.pin_dir };
	char dir[64], text[SCENE_TEXT];
	struct sw_policy p;
	char *path = NULL;
	int fd = -1, r;

	wall_policy(&wall, POLICY, &p);
	wall_enter(&wall);
	MUST(own_mounts() == 0);
	MUST(unshare(CLONE_NEWCGROUP) == 0);
	MUST(unmount_v2() == 0);
	MUST(scratch_dir(dir) == 0);
	MUST(!mounted || mount("none", dir, "cgroup2", 0, NULL) == 0);
	MUST(sw_cgroup_open(NULL, &fd, &path) == -EXDEV);
	/* Named on purpose it may be used. */
	MUST(!mounted || sw_cgroup_open(dir, &fd, &path) == 0);
	if (fd >= 0)
		close(fd);
	free(path);
	scene_listen();
	r = sw_apply(&t, &p);
	scene_heard(text);
	if (mounted)
		umount(dir);
	rmdir(dir);
	MUST(r == -EINVAL);
	MUST(strstr(text, "container") && scene_lines(text) == 1);
	MUST(access(wall.pin_dir, F_OK) < 0);
	return 0;
}

static int namespaced_view(void *arg)
{
	(void)arg;
	return namespaced(true);
}

static int namespaced_unmounted(void *arg)
{
	(void)arg;
	return namespaced(false);
}

static int not_a_cgroup(void *arg)
{
	char *path = NULL;
	int fd = -7;

	(void)arg;
	MUST(sw_cgroup_open("/tmp", &fd, &path) == -ENOTSUP);
	MUST(sw_cgroup_open("/sys", &fd, &path) == -ENOTSUP);	/* inode 1 too */
	MUST(sw_cgroup_open("/nonexistent", &fd, &path) == -ENOENT);
	MUST(sw_cgroup_open(wall.config, &fd, &path) < 0);
	MUST(fd == -7 && !path);
	return 0;
}

static bool on_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPFFS_MAGIC;
}

/* Looking never mounts; an apply does, and everything works on what it mounted. */
static int bpffs_not_mounted(void *arg)
{
	struct sw_pins pins;
	struct sw_live l;
	struct stat st;

	(void)arg;
	MUST(own_mounts() == 0);
	while (on_bpffs("/sys/fs/bpf"))
		MUST(umount2("/sys/fs/bpf", MNT_DETACH) == 0);
	MUST(sw_pins_open(wall.pin_dir, false, &pins) == 0);
	MUST(!pins.exists && pins.lock_fd < 0);
	MUST(sw_live_open(pins.dir, &l) == 0);
	MUST(!l.exists);
	sw_live_close(&l);
	sw_pins_close(&pins);
	MUST(!on_bpffs("/sys/fs/bpf"));

	MUST(wall_apply(&wall, POLICY) == 0);
	MUST(on_bpffs("/sys/fs/bpf"));
	MUST(stat("/sys/fs/bpf", &st) == 0);
	MUST((st.st_mode & 0777) == 0700);
	MUST(caller_connect(&nobody, CALLER_REMOTE4, 25) == wall_refusal());
	MUST(sw_off(&wall.target) == 0);
	MUST(caller_passed(caller_connect(&nobody, CALLER_REMOTE4, 25)));
	return 0;
}

static int bpffs_elsewhere(void *arg)
{
	struct sw_target t = wall.target;
	struct sw_policy p;
	char dir[64], deep[128];
	int r;

	(void)arg;
	MUST(own_mounts() == 0);
	MUST(scratch_dir(dir) == 0);
	snprintf(deep, sizeof(deep), "%s/one/two/", dir);
	wall_policy(&wall, POLICY, &p);
	t.pin_dir = deep;
	scene_listen();
	r = sw_apply(&t, &p);
	scene_heard((char[SCENE_TEXT]){ 0 });
	MUST(r == -ENOTSUP);	/* an ordinary directory: and nothing is made in it */
	MUST(rmdir(dir) == 0 && mkdir(dir, 0700) == 0);
	MUST(mount("bpf", dir, "bpf", 0, NULL) == 0);
	MUST(sw_apply(&t, &p) == 0);
	MUST(caller_connect(&nobody, CALLER_REMOTE4, 25) == wall_refusal());
	MUST(sw_apply(&t, &p) == 0);
	MUST(sw_off(&t) == 0);
	MUST(umount(dir) == 0 && rmdir(dir) == 0);
	return 0;
}

struct one {
	const char *name;
	int (*fn)(void *);
};

static void run_one(void **state)
{
	const struct one *t = *state;

	assert_int_equal(scene_child(t->fn, NULL), 0);
}

int main(void)
{
#define TEST(f) { #f, run_one, NULL, NULL, &(struct one){ #f, f } }
	const struct CMUnitTest tests[] = {
		TEST(nothing_mounted),
		TEST(mounted_over),
		TEST(only_a_part_mounted),
		TEST(odd_mount_points),
		TEST(namespaced_view),
		TEST(namespaced_unmounted),
		TEST(not_a_cgroup),
		TEST(bpffs_not_mounted),
		TEST(bpffs_elsewhere),
	};
	int failed, fd;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	fd = -1;
	if (sw_cgroup_open(NULL, &fd, &root_path) < 0 || sw_cgroup_id(fd, &root_id) < 0)
		return 99;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(root_path);
	wall_close(&wall);
	return failed ? 1 : 0;
}
