/* SPDX-License-Identifier: GPL-2.0-or-later */
/* strict = yes: raw IP sockets, with which a TCP handshake can be made by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caller.h"
#include "foreign.h"
#include "health.h"
#include "log.h"
#include "util.h"
#include "wall.h"

#define EXEMPT	"[exempt]\nusers = root 61001\ngroups = 61002\nmta = none\n"
#define STRICT	"[policy]\nstrict = yes\n" EXEMPT
#define OBSERVE	"[policy]\nstrict = yes\nmode = observe\n" EXEMPT
#define LAX	"[policy]\n" EXEMPT
#define TOGGLES	8

static struct wall wall;
static const struct caller nobody = CALLER(61009, 61009, wall.cgroup);
static const struct caller exempt_user = CALLER(61001, 61009, wall.cgroup);
static const struct caller exempt_group = CALLER(61009, 61002, wall.cgroup);
static const struct caller root = CALLER(0, 0, wall.cgroup);

static const struct {
	const char *name;
	int family, type, protocol;
	bool raw;
} sockets[] = {
	{ "IPv4 with its own header", AF_INET, SOCK_RAW, IPPROTO_RAW, true },
	{ "IPv4 TCP", AF_INET, SOCK_RAW, IPPROTO_TCP, true },
	{ "IPv4 ICMP", AF_INET, SOCK_RAW, IPPROTO_ICMP, true },
	{ "IPv6 with its own header", AF_INET6, SOCK_RAW, IPPROTO_RAW, true },
	{ "IPv6 TCP", AF_INET6, SOCK_RAW, IPPROTO_TCP, true },
	{ "IPv6 ICMP", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, true },
	{ "IPv4 stream", AF_INET, SOCK_STREAM, 0, false },
	{ "IPv6 stream", AF_INET6, SOCK_STREAM, 0, false },
	{ "IPv4 datagram", AF_INET, SOCK_DGRAM, 0, false },
	{ "IPv6 datagram", AF_INET6, SOCK_DGRAM, 0, false },
	{ "Unix stream", AF_UNIX, SOCK_STREAM, 0, false },
	{ "netlink", AF_NETLINK, SOCK_RAW, 0, false },
	/* A known limit: the hook is one of IP sockets. */
	{ "packet", AF_PACKET, SOCK_RAW, 0, false },
};

static int clean(void **state)
{
	int r = sw_off(&wall.target);

	(void)state;
	return r == 0 || r == -ENOENT ? 0 : -1;
}

/* What each kind of socket comes to for `c`; returns how many were raw. */
static unsigned int assert_sockets(const struct caller *c, bool raw_refused)
{
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(sockets); i++) {
		int err = caller_socket(c, sockets[i].family, sockets[i].type, sockets[i].protocol);

		if (err == EAFNOSUPPORT)
			continue;
		if (err != (sockets[i].raw && raw_refused ? EPERM : 0))
			fail_msg("%s, uid %u gid %u: %s", sockets[i].name, c->euid, c->egid,
				 strerror(err));
		n += sockets[i].raw;
	}
	return n;
}

static void refused_and_counted(void **state)
{
	struct caller inside = root;
	unsigned int denied, allowed;

	(void)state;
	inside.container = true;
	assert_int_equal(wall_apply(&wall, STRICT), 0);
	denied = assert_sockets(&nobody, true);
	allowed = assert_sockets(&exempt_user, false);
	assert_true(denied >= 3);
	assert_int_equal(wall_counter(&wall, SW_CTR_RAW_DENIED), denied);
	assert_int_equal(wall_counter(&wall, SW_CTR_RAW_ALLOWED), allowed);
	allowed += assert_sockets(&exempt_group, false);
	allowed += assert_sockets(&root, false);
	/* Root of a container is not root of the host. */
	denied += assert_sockets(&inside, true);
	assert_int_equal(wall_counter(&wall, SW_CTR_RAW_DENIED), denied);
	assert_int_equal(wall_counter(&wall, SW_CTR_RAW_ALLOWED), allowed);
	assert_int_equal(wall_total(&wall), 0);	/* no connect was made */
	assert_int_equal(caller_connect(&nobody, CALLER_REMOTE4, 25), wall_refusal());
}

static void observed(void **state)
{
	unsigned int n;

	(void)state;
	assert_int_equal(wall_apply(&wall, OBSERVE), 0);
	n = assert_sockets(&nobody, false);
	n += assert_sockets(&root, false);
	assert_int_equal(wall_counter(&wall, SW_CTR_RAW_ALLOWED), n);
	assert_int_equal(wall_counter(&wall, SW_CTR_RAW_DENIED), 0);
}

static int hooks_on_sock_create(void)
{
	_cleanup_close_ int fd = open(wall.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint32_t ids[8];

	return sw_live_effective(fd, BPF_CGROUP_INET_SOCK_CREATE, ids, 8);
}

/* Nothing is attached unless it is asked for, and nothing stays. */
static void comes_and_goes(void **state)
{
	char pin[160];

	(void)state;
	snprintf(pin, sizeof(pin), "%s/v%d/link_sock_create", wall.pin_dir, SW_ABI_VERSION);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(wall_apply(&wall, LAX), 0);
		assert_int_equal(hooks_on_sock_create(), 0);
		assert_int_equal(access(pin, F_OK), -1);
		assert_sockets(&nobody, false);
		assert_int_equal(wall_apply(&wall, STRICT), 0);
		assert_int_equal(hooks_on_sock_create(), 1);
		assert_int_equal(access(pin, F_OK), 0);
		assert_sockets(&nobody, true);
		assert_int_equal(wall_apply(&wall, STRICT), 0);
		assert_int_equal(hooks_on_sock_create(), 1);
	}
	assert_int_equal(sw_off(&wall.target), 0);
	assert_int_equal(hooks_on_sock_create(), 0);
	assert_sockets(&nobody, false);
}

static bool problem(const char *word)
{
	struct sw_health h;
	struct sw_live l;
	bool found = false;

	wall_live(&wall, &l);
	sw_health_check(&wall.target, &l, &h);
	for (size_t i = 0; i < h.problems.n; i++)
		found |= !word || strstr(h.problems.item[i], word);
	if (!h.problems.n && !l.in_force)
		fail_msg("not in force, and no problem is told");
	sw_health_free(&h);
	sw_live_close(&l);
	return found;
}

static void missing_hook_is_told_and_repaired(void **state)
{
	char pin[160];

	(void)state;
	snprintf(pin, sizeof(pin), "%s/v%d/link_sock_create", wall.pin_dir, SW_ABI_VERSION);
	assert_int_equal(wall_apply(&wall, STRICT), 0);
	assert_false(problem(NULL));
	assert_int_equal(unlink(pin), 0);
	assert_true(problem("sock_create"));
	assert_int_equal(wall_apply(&wall, STRICT), 0);
	assert_false(problem(NULL));
	assert_sockets(&nobody, true);
}

/* A program behind ours that clears the refusal. */
static void undone_by_another_program(void **state)
{
	_cleanup_close_ int prog = foreign_load(BPF_CGROUP_INET_SOCK_CREATE, FOREIGN_CLEAR,
						"intruder");
	_cleanup_close_ int link = -1;

	(void)state;
	if (prog < 0)
		skip();		/* this kernel offers no way to clear it */
	assert_int_equal(wall_apply(&wall, STRICT), 0);
	link = foreign_link(prog, wall.cgroup, BPF_CGROUP_INET_SOCK_CREATE);
	assert_true(link >= 0);
	if (caller_socket(&nobody, AF_INET, SOCK_RAW, IPPROTO_RAW) == EPERM)
		return;		/* nor does the order of programs */
	assert_true(problem("intruder"));
}

struct tally {
	uint64_t made, refused;
};

/* Root makes raw sockets all the time: whatever is applied, it is never refused. */
static pid_t hammer_raw(struct tally *t)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	wall_enter(&wall);
	for (;;) {
		int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

		t->made++;
		t->refused += fd < 0;
		close(fd);
	}
}

static void exempt_are_never_refused(void **state)
{
	struct tally *t = mmap(NULL, sizeof(*t), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			       -1, 0);
	pid_t pid;

	(void)state;
	assert_true(t != MAP_FAILED);
	pid = hammer_raw(t);
	assert_true(pid > 0);
	for (int i = 0; i < TOGGLES; i++) {
		assert_int_equal(wall_apply(&wall, STRICT), 0);
		assert_int_equal(wall_apply(&wall, LAX), 0);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_true(t->made > 1000);
	assert_int_equal(t->refused, 0);
	munmap(t, sizeof(*t));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, clean)
	const struct CMUnitTest tests[] = {
		TEST(refused_and_counted),
		TEST(observed),
		TEST(comes_and_goes),
		TEST(missing_hook_is_told_and_repaired),
		TEST(undone_by_another_program),
		TEST(exempt_are_never_refused),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
