/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Applies in which the kernel says no, memory runs out or the loader dies, at each of their calls
 * of bpf(2) in turn, with traffic running. Afterwards the policy is in force and healthy, or in
 * force and what is wrong is told; where nothing was in force before, it may be open, and says so.
 * Never is it open and claims health.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "hammer.h"
#include "health.h"
#include "log.h"
#include "scene.h"
#include "util.h"
#include "wall.h"

#define POLICY	"[policy]\n[exempt]\nusers = root 61001 61002\nmta = none\n"
#define OTHER	"[policy]\nrefuse_with = permission\n[exempt]\nusers = root 61001 61003\nmta = none\n"
#define ROWS	12	/* of calls that only read or write a row, one in so many is tried */
#define OPENS	4	/* of those that only open what is there, likewise */

static struct wall wall;
static struct caller nobody = CALLER(61009, 61009, wall.cgroup);
static struct caller exempt = CALLER(61001, 61001, wall.cgroup);

/* ---- faults ---- */

enum kind { NONE, ONCE, FROM_THERE, KILL };

static struct {
	enum kind kind;
	unsigned int at;	/* number of the call, from 0 */
	unsigned int n;		/* calls so far */
	bool record;
} fault;

static unsigned char calls[8192];	/* commands of an apply that was recorded */
static unsigned int n_calls;

static bool strikes(int cmd)
{
	unsigned int n = fault.n++;

	if (fault.record && n < sizeof(calls))
		calls[n] = (unsigned char)cmd;
	if (fault.kind == KILL && n == fault.at)
		raise(SIGKILL);
	return (fault.kind == ONCE && n == fault.at) || (fault.kind == FROM_THERE && n >= fault.at);
}

/* libbpf has no other way into the kernel. This is found before the one of the C library. */
long syscall(long number, ...) /* NOLINT(readability-inconsistent-declaration-parameter-name) */
{
	static long (*real)(long, ...);
	long a[6];
	va_list ap;

	if (!real)
		*(void **)&real = dlsym(RTLD_NEXT, "syscall");
	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_bpf && strikes((int)a[0])) {
		errno = ENOMEM;
		return -1;
	}
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void arm(enum kind kind, unsigned int at)
{
	fault.kind = kind;
	fault.at = at;
	fault.n = 0;
}

/* Applies once without a fault and remembers its calls. */
static void record(const char *policy)
{
	arm(NONE, 0);
	fault.record = true;
	assert_int_equal(wall_apply(&wall, policy), 0);
	fault.record = false;
	n_calls = fault.n < sizeof(calls) ? fault.n : sizeof(calls);
	assert_true(n_calls > 100);
}

/* make check-faults tries three times the calls that the whole check has time for. */
static bool is_long(void)
{
	return getenv("SMTPWALL_TEST_LONG") != NULL;
}

/* Whether the call of that number is to be tried. */
static bool worth(unsigned int i)
{
	if (i % 3 && !is_long())
		return false;
	switch (calls[i]) {
	case BPF_MAP_LOOKUP_ELEM:
	case BPF_MAP_UPDATE_ELEM:
	case BPF_MAP_DELETE_ELEM:
	case BPF_MAP_GET_NEXT_KEY:
	case BPF_OBJ_GET_INFO_BY_FD:
		return i % ROWS == 0;
	case BPF_OBJ_GET:
	case BPF_MAP_GET_FD_BY_ID:
	case BPF_PROG_GET_FD_BY_ID:
	case BPF_MAP_LOOKUP_BATCH:
		return i % OPENS == 0;
	default:
		return true;
	}
}

/* ---- what has to hold ---- */

static bool open_now(void)
{
	int v4 = caller_connect(&nobody, CALLER_REMOTE4, 25);
	int v6 = caller_connect(&nobody, CALLER_REMOTE6, 25);

	assert_true(v4 > 0 && v6 > 0);
	return caller_passed(v4) || caller_passed(v6);
}

static bool healthy(void)
{
	struct sw_health h;
	struct sw_live l;
	bool good;

	wall_live(&wall, &l);
	sw_health_check(&wall.target, &l, &h);
	good = !h.problems.n;
	sw_health_free(&h);
	sw_live_close(&l);
	return good;
}

static uint32_t generation(void)
{
	struct sw_live l;
	uint32_t g;

	wall_live(&wall, &l);
	g = l.settings.generation;
	sw_live_close(&l);
	return g;
}

/* Which of the two policies decides for a family: those exempt in one only tell. */
static const char *policy_of(bool v6)
{
	bool a = caller_passed(hammer_once(&wall, 61002, 25, v6));
	bool b = caller_passed(hammer_once(&wall, 61003, 25, v6));

	if (a == b)
		fail_msg("call %u: no policy is whole for IPv%d", fault.at, v6 ? 6 : 4);
	return a ? POLICY : OTHER;
}

/* The policy is in force, old or new, whole. One that is new for one family and old for the other
 * (the loader ended between two links) is told. */
static void assert_in_force(const char *what)
{
	if (open_now())
		fail_msg("%s at call %u: open%s", what, fault.at,
			 healthy() ? ", and claims health" : "");
	assert_true(caller_passed(caller_connect(&exempt, CALLER_REMOTE4, 25)));
	if (strcmp(policy_of(false), policy_of(true)) != 0 && healthy())
		fail_msg("%s at call %u: two policies, and claims health", what, fault.at);
}

/* The one of the two that a successful apply would change something with. */
static const char *next_policy(void)
{
	return strcmp(policy_of(false), POLICY) == 0 ? OTHER : POLICY;
}

static struct hammer hammers[2];

static void begin_traffic(void)
{
	hammer_start(&wall, &(struct hammer_opts){ .uid = 61009, .port = 25 }, &hammers[0]);
	hammer_start(&wall, &(struct hammer_opts){ .uid = 61009, .port = 25, .v6 = true }, &hammers[1]);
}

static uint64_t end_traffic(void)
{
	uint64_t attempts = 0;

	for (int i = 0; i < 2; i++) {
		struct hammer_seen seen = hammer_stop(&hammers[i], false);

		hammers[i].pid = 0;
		assert_int_equal(seen.passed, 0);
		attempts += seen.attempts;
	}
	return attempts;
}

/* An apply that is let alone puts everything in order. */
static void assert_recovers(const char *policy)
{
	arm(NONE, 0);
	assert_int_equal(wall_apply(&wall, policy), 0);
	assert_true(healthy());
}

static int apply_quietly(const char *policy)
{
	char text[SCENE_TEXT];
	int r;

	scene_listen();
	r = wall_apply(&wall, policy);
	fault.kind = NONE;
	scene_heard(text);
	if (r < 0)
		assert_true(scene_lines(text) >= 1);
	return r;
}

/* ---- the cases ---- */

static void fails(enum kind kind, const char *what)
{
	unsigned int tried = 0, failed = 0;
	uint64_t attempts;

	assert_int_equal(wall_apply(&wall, POLICY), 0);
	record(OTHER);
	begin_traffic();
	for (unsigned int i = 0; i < n_calls; i++) {
		uint32_t before = generation();
		const char *policy;
		int r;

		if (!worth(i) || (kind == FROM_THERE && is_long() && i % 3))
			continue;
		tried++;
		policy = next_policy();
		arm(kind, i);
		r = apply_quietly(policy);
		failed += r < 0;
		assert_in_force(what);
		if (r < 0 && generation() != before && healthy())
			fail_msg("%s at call %u: an error, but the new policy is in force", what, i);
		if (r == 0 && generation() == before)
			fail_msg("%s at call %u: success, but the old policy is in force", what, i);
		if (!healthy())
			assert_recovers(POLICY);
	}
	attempts = end_traffic();
	assert_recovers(POLICY);
	print_message("# %s: %u of %u calls tried, %u applies failed, %llu connects denied\n", what,
		      tried, n_calls, failed, (unsigned long long)attempts);
	assert_true(tried > 40 && failed > 10);
}

static void one_call_fails(void **state)
{
	(void)state;
	fails(ONCE, "one fails");
}

/* As when memory is used up: what would undo a half-done apply fails as well. */
static void all_calls_fail_from_there(void **state)
{
	(void)state;
	fails(FROM_THERE, "all fail");
}

static void killed_at(const char *policy, unsigned int at)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		arm(KILL, at);
		_exit(wall_apply(&wall, policy) < 0 ? 1 : 0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void loader_dies_at_each_call(void **state)
{
	unsigned int tried = 0;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	record(OTHER);
	begin_traffic();
	for (unsigned int i = 0; i < n_calls; i++) {
		if (!worth(i))
			continue;
		fault.at = i;
		killed_at(next_policy(), i);
		tried++;
		assert_in_force("killed");
	}
	print_message("# killed at %u of %u calls, %llu connects denied\n", tried, n_calls,
		      (unsigned long long)end_traffic());
	assert_recovers(POLICY);
}

/* Nothing is in force yet: it may stay open, and must not claim anything else. */
static void first_apply(void **state)
{
	unsigned int tried = 0, opened = 0;

	(void)state;
	record(POLICY);
	for (unsigned int i = 0; i < n_calls; i++) {
		enum kind kind = i % 3 == 0 ? ONCE : i % 3 == 1 ? FROM_THERE : KILL;
		int r = -1;

		if (!worth(i))
			continue;
		sw_off(&wall.target);
		tried++;
		if (kind == KILL) {
			killed_at(POLICY, i);
		} else {
			arm(kind, i);
			r = apply_quietly(POLICY);
		}
		if (open_now()) {
			opened++;
			if (r == 0)
				fail_msg("call %u: success, and it is open", i);
			if (healthy())
				fail_msg("call %u: open and claims health", i);
		} else if (r < 0 && kind != KILL && healthy()) {
			fail_msg("call %u: an error, and the policy is in force", i);
		}
	}
	print_message("# %u of %u calls tried, left open %u times\n", tried, n_calls, opened);
	assert_true(opened > 5);
	assert_recovers(POLICY);
}

/* A loader that has little memory, in steps of a page or so up to enough. */
static void memory_of_the_loader(void **state)
{
	unsigned int good = 0, bad = 0;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	begin_traffic();
	for (unsigned int kib = 0; kib < 768; kib += 16) {
		const char *policy = next_policy();
		pid_t pid = fork();
		int status;

		if (pid == 0) {
			struct rlimit limit = { 0 };
			unsigned long pages = 0;
			FILE *f = fopen("/proc/self/statm", "re");

			if (!f || fscanf(f, "%lu", &pages) != 1 || !freopen("/dev/null", "w", stderr))
				_exit(98);
			fclose(f);
			limit.rlim_cur = limit.rlim_max = pages * (unsigned long)sysconf(_SC_PAGESIZE) +
							  1024UL * kib;
			if (setrlimit(RLIMIT_AS, &limit) < 0)
				_exit(98);
			_exit(wall_apply(&wall, policy) < 0 ? 1 : 0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		good += WIFEXITED(status) && WEXITSTATUS(status) == 0;
		bad += !WIFEXITED(status) || WEXITSTATUS(status) != 0;
		assert_in_force("little memory");
	}
	end_traffic();
	print_message("# %u loaders had enough, %u had not\n", good, bad);
	assert_true(good > 0);
	assert_recovers(POLICY);
}

/* Several loaders at once: one of them wins each time, the others say so. */
static void storm_of_applies(void **state)
{
	pid_t pid[4];
	int status, done = 0;

	(void)state;
	assert_int_equal(wall_apply(&wall, POLICY), 0);
	begin_traffic();
	for (int i = 0; i < 4; i++) {
		pid[i] = fork();
		if (pid[i])
			continue;
		if (!freopen("/dev/null", "w", stderr))
			_exit(98);
		snprintf(wall.config, sizeof(wall.config), "/tmp/swtest%d.conf", (int)getpid());
		for (int j = 0; j < 12; j++) {
			int r = wall_apply(&wall, (i + j) & 1 ? OTHER : POLICY);

			if (r < 0 && r != -EAGAIN)
				_exit(99);
			done += r == 0;
		}
		unlink(wall.config);
		_exit(done);
	}
	done = 0;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 98);
		done += WEXITSTATUS(status);
	}
	assert_true(end_traffic() > 0);
	assert_in_force("storm");
	assert_true(healthy());
	print_message("# %d applies of 48 won\n", done);
	assert_true(done >= 1);	/* how many get the lock is the scheduler's business */
}

/* With its last mount a BPF file system goes, and with it the pins: nothing is in force. */
static int file_system_of_pins_goes(void *arg)
{
	const char *dir = arg;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("bpf", dir, "bpf", 0, "mode=0700") < 0)
		return 1;
	snprintf(wall.pin_dir, sizeof(wall.pin_dir), "%.40s/pins", dir);
	if (wall_apply(&wall, POLICY) < 0)
		return 2;
	if (open_now() || !healthy())
		return 3;
	if (umount2(dir, MNT_DETACH) < 0)
		return 4;
	for (int i = 0; i < 5000 && !open_now(); i++)
		usleep(1000);
	if (!open_now())
		return 5;
	return healthy() ? 6 : 0;
}

static void pins_unmounted(void **state)
{
	char dir[] = "/tmp/swfault-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(scene_child(file_system_of_pins_goes, dir), 0);
	rmdir(dir);
}

/* The state directory is full, cannot be written, or is no directory. An apply wants nothing of
 * it that it could not do without. */
static int state_directory(void *arg)
{
	const char *dir = arg;
	char name[64], path[80];
	int n = 0;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", dir, "tmpfs", 0, "size=16k,nr_inodes=4") < 0)
		return 1;
	do
		snprintf(name, sizeof(name), "%.40s/full%d", dir, n++);
	while (n < 100 && mkdir(name, 0700) == 0);
	wall.target.state_dir = dir;
	if (wall_apply(&wall, POLICY) < 0 || open_now() || !healthy())
		return 2;
	if (mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return 3;
	if (wall_apply(&wall, OTHER) < 0 || open_now() || !healthy())
		return 4;
	snprintf(path, sizeof(path), "%.40s/full0/none", dir);
	wall.target.state_dir = path;
	if (wall_apply(&wall, POLICY) < 0 || open_now() || !healthy())
		return 5;
	return 0;
}

static void state_directory_of_no_use(void **state)
{
	char dir[] = "/tmp/swfault-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(scene_child(state_directory, dir), 0);
	rmdir(dir);
}

static int clean(void **state)
{
	int r;

	(void)state;
	arm(NONE, 0);
	fault.record = false;
	for (int i = 0; i < 2; i++) {
		if (hammers[i].pid)
			hammer_stop(&hammers[i], false);
		hammers[i].pid = 0;
	}
	r = sw_off(&wall.target);
	return r == 0 || r == -ENOENT ? 0 : -1;
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, clean)
	const struct CMUnitTest tests[] = {
		TEST(one_call_fails),
		TEST(all_calls_fail_from_there),
		TEST(loader_dies_at_each_call),
		TEST(first_apply),
		TEST(memory_of_the_loader),
		TEST(storm_of_applies),
		TEST(pins_unmounted),
		TEST(state_directory_of_no_use),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	wall.target.pin_dir = wall.pin_dir;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
