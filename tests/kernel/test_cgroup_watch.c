/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The programs that watch for cgroups of the policy are the whole machine's, not a cgroup's: none
 * may be left behind, whatever becomes of the loader, and none may be missing.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "caller.h"
#include "log.h"
#include "scene.h"
#include "util.h"
#include "wall.h"

#define NOBODY	61009
#define MAX_IDS	256

static struct wall wall;
static char service[192];

static const struct caller inside = CALLER(NOBODY, NOBODY, service);

#define PLAIN	"[policy]\nallow_local = yes\n"
#define STRICT	"[policy]\nstrict = yes\n"

/* With the service exempt, and in the second form with other hooks too. */
static int apply(const char *policy, bool with_cgroups)
{
	char text[512];

	if (with_cgroups)
		snprintf(text, sizeof(text), "%s[exempt]\ncgroups = %s/svc\n", policy,
			 strrchr(wall.cgroup, '/'));
	else
		snprintf(text, sizeof(text), "%s", policy);
	return wall_apply(&wall, text);
}

/* ---- programs of this test, by the maps they use ---- */

static __u32 map_ids[MAX_IDS];	/* of every map of this wall so far that only its programs use */
static size_t n_maps;

static void note_map(int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	assert_int_equal(bpf_obj_get_info_by_fd(fd, &info, &len), 0);
	for (size_t i = 0; i < n_maps; i++)
		if (map_ids[i] == info.id)
			return;
	assert_true(n_maps < MAX_IDS);
	map_ids[n_maps++] = info.id;
}

/* Not sw_exempt: the program that counts executions uses it, too. */
static void note_maps(void)
{
	struct sw_live live;

	wall_live(&wall, &live);
	note_map(live.map_fd[SW_MAP_CGROUP_PATHS]);
	note_map(live.map_fd[SW_MAP_PEERS]);
	sw_live_close(&live);
}

static bool is_ours(__u32 prog_id)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(prog_id);
	__u32 ids[32] = {}, len;
	struct bpf_prog_info info = { .nr_map_ids = 32, .map_ids = (uintptr_t)ids };

	len = sizeof(info);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return false;
	for (__u32 i = 0; i < info.nr_map_ids && i < 32; i++)
		for (size_t j = 0; j < n_maps; j++)
			if (ids[i] == map_ids[j])
				return true;
	return false;
}

/* Links of all kinds whose programs are this wall's. */
static unsigned int links(enum bpf_link_type type)
{
	unsigned int n = 0;
	__u32 id = 0;

	while (bpf_link_get_next_id(id, &id) == 0) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
		struct bpf_link_info info = {};
		__u32 len = sizeof(info);

		if (fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0)
			n += info.type == type && is_ours(info.prog_id);
	}
	return n;
}

/* The kernel lets go of them a little later. */
static void assert_links(enum bpf_link_type type, unsigned int want)
{
	for (int i = 0; i < 500 && links(type) != want; i++)
		usleep(1000);
	assert_int_equal(links(type), want);
}

static int clean(void **state)
{
	int r = sw_off(&wall.target);

	(void)state;
	scene_rmdir(service);
	return r == 0 || r == -ENOENT ? 0 : -1;
}

/* The service is restarted; how many of its connects are refused. */
static unsigned int restart(void)
{
	static const char *const remote[] = { CALLER_REMOTE4, CALLER_REMOTE6 };
	unsigned int refused = 0;

	if (mkdir(service, 0755) < 0)
		fail_msg("mkdir %s: %s", service, strerror(errno));
	for (int i = 0; i < 2; i++)
		refused += !caller_passed(caller_connect(&inside, remote[i], 25));
	scene_rmdir(service);
	return refused;
}

/* ---- in good order ---- */

static void two_while_they_are_wanted(void **state)
{
	(void)state;
	assert_int_equal(apply(PLAIN, false), 0);
	note_maps();
	assert_links(BPF_LINK_TYPE_RAW_TRACEPOINT, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(apply(i ? STRICT : PLAIN, true), 0);
		note_maps();
		assert_links(BPF_LINK_TYPE_RAW_TRACEPOINT, 2);
		assert_int_equal(restart(), 0);
	}
	assert_int_equal(apply(PLAIN, false), 0);
	assert_links(BPF_LINK_TYPE_RAW_TRACEPOINT, 0);
	assert_int_equal(restart(), 2);
	assert_int_equal(apply(PLAIN, true), 0);
	assert_int_equal(sw_off(&wall.target), 0);
	assert_links(BPF_LINK_TYPE_RAW_TRACEPOINT, 0);
	assert_links(BPF_LINK_TYPE_CGROUP, 0);
}

static void a_missing_one_is_replaced(void **state)
{
	char pin[160];
	struct sw_live live;

	(void)state;
	assert_int_equal(apply(PLAIN, true), 0);
	note_maps();
	snprintf(pin, sizeof(pin), "%s/" WALL_DIR "/link_cgroup_mkdir", wall.pin_dir);
	assert_int_equal(unlink(pin), 0);
	assert_links(BPF_LINK_TYPE_RAW_TRACEPOINT, 1);
	wall_live(&wall, &live);
	assert_false(live.in_force);
	sw_live_close(&live);
	assert_int_equal(apply(PLAIN, true), 0);
	assert_links(BPF_LINK_TYPE_RAW_TRACEPOINT, 2);
	assert_int_equal(restart(), 0);
	wall_live(&wall, &live);
	assert_true(live.in_force);
	sw_live_close(&live);
}

/* ---- a loader that dies ---- */

static int die_at = -1;	/* so many steps from now */

/* The loader of the child ends right after one of its steps. */
static void step(int r)
{
	if (r >= 0 && die_at >= 0 && die_at-- == 0)
		raise(SIGKILL);
}

/* These take the place of the library's: each of them changes what others see. */
int bpf_obj_pin(int fd, const char *path)
{
	union bpf_attr attr = { .pathname = (uintptr_t)path, .bpf_fd = (__u32)fd };
	int r = (int)syscall(SYS_bpf, BPF_OBJ_PIN, &attr, sizeof(attr));

	step(r);
	return r < 0 ? -errno : r;
}

int bpf_link_update(int link_fd, int new_prog_fd, const struct bpf_link_update_opts *opts)
{
	union bpf_attr attr = { .link_update = { .link_fd = (__u32)link_fd,
						 .new_prog_fd = (__u32)new_prog_fd } };
	int r = (int)syscall(SYS_bpf, BPF_LINK_UPDATE, &attr, sizeof(attr));

	(void)opts;
	step(r);
	return r < 0 ? -errno : r;
}

int rename(const char *from, const char *to)	/* NOLINT(*-parameter-name) */
{
	int r = renameat(AT_FDCWD, from, AT_FDCWD, to);

	step(r);
	return r;
}

int unlink(const char *path)	/* NOLINT(*-parameter-name) */
{
	int r = unlinkat(AT_FDCWD, path, 0);

	step(r);
	return r;
}

/* An apply that dies at that step; false when it came to its end before. */
static bool die_in_apply(const char *policy, bool with_cgroups, int at_step)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		sw_log_max = SW_LOG_ERROR;
		die_at = at_step;
		_exit(apply(policy, with_cgroups) < 0 ? 1 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status))
		assert_int_equal(WEXITSTATUS(status), 0);
	return WIFSIGNALED(status);
}

static void die_and_restart(int n, bool *died)
{
	*died = die_in_apply(PLAIN, true, n);
	if (restart() != 0)
		fail_msg("after a loader that died at step %d the service is refused", n);
}

/* Between policies that all exempt the service: at no step of the way is it refused, nor when the
 * next loader dies a step later, or a step earlier. */
static void killed_at_every_step(void **state)
{
	bool died = true;
	int n = 0;

	(void)state;
	assert_int_equal(apply(PLAIN, true), 0);
	note_maps();
	while (died)
		die_and_restart(n++, &died);
	assert_true(n > 6);
	while (n > 0)
		die_and_restart(--n, &died);
	assert_int_equal(apply(PLAIN, true), 0);
	note_maps();
	assert_links(BPF_LINK_TYPE_RAW_TRACEPOINT, 2);
	assert_links(BPF_LINK_TYPE_CGROUP, 2);
}

/* The next apply wants less than the one that died: whatever that had made is gone. */
static void nothing_is_left_behind(void **state)
{
	const struct caller root = CALLER(0, 0, wall.cgroup);
	bool died = true;
	int n;

	(void)state;
	assert_int_equal(apply(PLAIN, false), 0);
	note_maps();
	for (n = 0; died; n++) {
		died = die_in_apply(STRICT, true, n);
		assert_int_equal(apply(PLAIN, false), 0);
		note_maps();
		if (links(BPF_LINK_TYPE_RAW_TRACEPOINT) || links(BPF_LINK_TYPE_CGROUP) != 2)
			usleep(100000);
		if (links(BPF_LINK_TYPE_RAW_TRACEPOINT) || links(BPF_LINK_TYPE_CGROUP) != 2)
			fail_msg("after a loader that died at step %d: %u and %u links", n,
				 links(BPF_LINK_TYPE_RAW_TRACEPOINT), links(BPF_LINK_TYPE_CGROUP));
		assert_int_equal(caller_socket(&root, AF_INET, SOCK_RAW, IPPROTO_RAW), 0);
	}
	print_message("# %d steps\n", n);
	assert_true(n > 6);
	assert_int_equal(sw_off(&wall.target), 0);
	assert_links(BPF_LINK_TYPE_RAW_TRACEPOINT, 0);
	assert_links(BPF_LINK_TYPE_CGROUP, 0);
}

#define STORM	4

/* At any point of time, not only between two steps; from nothing, too. */
static void killed_at_random(void **state)
{
	int status;

	(void)state;
	srand(3);
	for (int i = 0; i < STORM; i++) {
		pid_t pid;

		if (i % 2 == 0) {
			assert_int_equal(clean(NULL), 0);
			assert_links(BPF_LINK_TYPE_RAW_TRACEPOINT, 0);
		}
		fflush(NULL);
		pid = fork();
		if (pid == 0)
			_exit(apply(i & 1 ? STRICT : PLAIN, i % 4 != 0) < 0 ? 1 : 0);
		usleep((useconds_t)(rand() % 150000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
	}
	assert_int_equal(apply(PLAIN, true), 0);
	note_maps();
	assert_links(BPF_LINK_TYPE_RAW_TRACEPOINT, 2);
	assert_int_equal(restart(), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, clean)
	const struct CMUnitTest tests[] = {
		TEST(two_while_they_are_wanted),
		TEST(a_missing_one_is_replaced),
		TEST(killed_at_every_step),
		TEST(nothing_is_left_behind),
		TEST(killed_at_random),
	};
	int failed;

	sw_log_max = SW_LOG_ERROR;
	wall_open(&wall);
	snprintf(service, sizeof(service), "%s/svc", wall.cgroup);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
