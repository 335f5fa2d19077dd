/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Existing connections: of containers, of MPTCP, without rights; what the policy is asked. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "existing_int.h"
#include "existing_lab.h"
#include "scene.h"
#include "util.h"

/* ---- namespaces ---- */

static void test_containers(void **state)
{
	static const struct client_opts o[] = {
		{ WHO(DENIED, DENIED, "203.0.113.30", 25), .own_net = true },
		{ WHO(DENIED, DENIED, "2001:db8::31", 25), .own_net = true, .own_pid = true },
		{ WHO(OTHER, OTHER, "203.0.113.32", 25), .own_net = true },
		{ WHO(0, 0, "203.0.113.33", 25), .own_net = true },
	};
	const ino_t before = lab_inode("/proc/thread-self/ns/net");
	struct client c[ARRAY_SIZE(o)];
	struct sw_existing_list l;
	char path[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(o); i++)
		client_start(&o[i], &c[i]);
	lab_run(true, &l);
	assert_int_equal(lab_inode("/proc/thread-self/ns/net"), before);
	assert_int_equal(l.n_closed, 2);
	for (size_t i = 0; i < ARRAY_SIZE(o); i++) {
		const struct sw_existing *e = lab_row(&l, &c[i]);

		assert_int_equal(!!e, i < 2);
		if (e) {
			snprintf(path, sizeof(path), "/proc/%d/ns/net", c[i].pid);
			assert_int_equal(e->netns, lab_inode(path));
			assert_true(e->in_container);
			lab_assert_cut(&c[i]);
		} else {
			assert_true(client_works(&c[i]));
		}
		client_stop(&c[i]);
	}
	for (size_t i = 0; i < lab_n_asked; i++)
		assert_true(lab_asked[i].in_container);
	sw_existing_free(&l);
}

/* A namespace that only has a name: its process took the connection and went elsewhere. */
static void test_named(void **state)
{
	static const struct client_opts o = { WHO(DENIED, DENIED, "203.0.113.34", 25),
					      .by_root = true, .own_net = true,
					      .leaves = "/run/netns/left" };
	struct sw_existing_list l;
	struct client c;

	(void)state;
	assert_int_equal(mkdir("/run/netns", 0755), 0);
	close(open("/run/netns/left", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	close(open("/run/netns/plain", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(mkfifo("/run/netns/fifo", 0600), 0);
	client_start(&o, &c);
	lab_run(false, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.item[0].pid, c.pid);
	assert_int_equal(l.item[0].netns, lab_inode("/run/netns/left"));
	sw_existing_free(&l);

	/* Without a name it is one of those that are not seen. */
	assert_int_equal(umount2("/run/netns/left", MNT_DETACH), 0);
	lab_run(true, &l);
	assert_int_equal(l.n, 0);
	assert_true(client_works(&c));
	sw_existing_free(&l);
	client_stop(&c);
}

/* The host's namespaces are the initial ones, wherever the search is started. */
static void test_host(void **state)
{
	static const struct client_opts o[] = {
		{ WHO(DENIED, DENIED, "127.25.25.25", 42525) },
		{ WHO(DENIED, DENIED, "127.25.25.26", 42525), .own_pid = true },
	};
	static const uint16_t port[] = { 42525 };
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	int host = open("/proc/2/ns/net", O_RDONLY | O_CLOEXEC);
	struct sw_existing_job job = lab_job(true);
	struct sw_existing_list l;
	struct client c[2];

	(void)state;
	if (host < 0)
		skip();		/* not on the host */
	job.ports = port;
	job.n_ports = 1;
	assert_int_equal(setns(host, CLONE_NEWNET), 0);
	for (int i = 0; i < 2; i++)
		client_start(&o[i], &c[i]);
	assert_int_equal(setns(home, CLONE_NEWNET), 0);
	assert_int_equal(sw_existing_run(&job, &l), 0);
	assert_int_equal(l.n_closed, 2);
	assert_false(lab_row(&l, &c[0])->in_container);
	assert_true(lab_row(&l, &c[1])->in_container);
	assert_int_equal(lab_n_asked, 2);
	assert_int_equal(lab_asked[0].in_container + lab_asked[1].in_container, 1);
	for (int i = 0; i < 2; i++) {
		lab_assert_cut(&c[i]);
		client_stop(&c[i]);
	}
	sw_existing_free(&l);
	close(home);
	close(host);
}

/* ---- what the policy is asked ---- */

static void put_into(const char *cgroup, pid_t pid)
{
	char path[512], text[16];
	int len = snprintf(text, sizeof(text), "%d", pid), fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(write(fd, text, (size_t)len), len);
	close(fd);
}

static void test_query(void **state)
{
	static const struct client_opts o = { WHO(DENIED, OTHER, "2001:db8::40", 587) };
	_cleanup_free_ char *root = NULL;
	char outer[256], inner[280];
	struct sw_existing_list l;
	uint64_t want[2];
	struct client c;
	int fd, dir;

	(void)state;
	client_start(&o, &c);
	assert_int_equal(sw_cgroup_open(NULL, &fd, &root), 0);
	snprintf(outer, sizeof(outer), "%s/swexist-%d", root, getpid());
	snprintf(inner, sizeof(inner), "%s/in ner", outer);
	assert_int_equal(mkdir(outer, 0755), 0);
	assert_int_equal(mkdir(inner, 0755), 0);
	for (int i = 0; i < 2; i++) {
		dir = open(i ? inner : outer, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		assert_int_equal(sw_cgroup_id(dir, &want[i]), 0);
		close(dir);
	}
	put_into(inner, c.pid);
	lab_run(true, &l);
	assert_int_equal(l.n, 0);
	assert_int_equal(lab_n_asked, 1);
	assert_int_equal(lab_asked[0].euid, OTHER);
	assert_int_equal(lab_asked[0].egid, OTHER);
	assert_int_equal(lab_asked[0].ruid, DENIED);
	assert_int_equal(lab_asked[0].port, 587);
	assert_memory_equal(lab_asked[0].addr, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x40", 16);
	assert_int_equal(lab_asked[0].cgroup[0], want[0]);
	assert_int_equal(lab_asked[0].cgroup[1], want[1]);
	assert_int_equal(lab_asked[0].cgroup[2], 0);
	sw_existing_free(&l);
	client_stop(&c);
	close(fd);
	scene_rmdir(inner);
	scene_rmdir(outer);
}

/* ---- MPTCP: one row, all subflows ---- */

static int count_flows(const uint16_t *ports, size_t n)
{
	const struct sw_diag_dump d = { .ports = ports, .n_ports = n };
	struct sw_conns conns = {};
	struct mnl_socket *nl;
	int found;

	assert_int_equal(sw_diag_open(&nl), 0);
	assert_int_equal(sw_diag_dump(nl, &d, &conns), 0);
	found = (int)conns.n;
	mnl_socket_close(nl);
	free(conns.item);
	return found;
}

static bool mptcp_works(void)
{
	return access("/proc/sys/net/mptcp/enabled", F_OK) == 0 &&
	       system("ip mptcp limits set subflows 8 add_addr_accepted 8") == 0 &&
	       system("ip mptcp endpoint add 203.0.113.201 dev lo subflow") == 0 &&
	       system("ip mptcp endpoint add 203.0.113.202 port 2600 dev lo signal") == 0;
}

/* Each IPv4 connection gets a subflow from another address, and ones to another port. */
static void wait_for_flows(const struct client *c, size_t n)
{
	static const uint16_t smtp[] = { 25 }, other[] = { 2600 };

	for (size_t i = 0; i < n; i++)
		for (int k = 0; k < 3; k++)
			assert_true(client_works(&c[i]));	/* only then others may join */
	for (int i = 0; i < 500 && (count_flows(smtp, 1) < 5 || count_flows(other, 1) < 2); i++)
		usleep(10000);
	assert_int_equal(count_flows(smtp, 1), 5);
	assert_true(count_flows(other, 1) >= 2);
}

static void test_mptcp(void **state)
{
	static const struct client_opts o[] = {
		{ WHO(DENIED, DENIED, "203.0.113.50", 25), .mptcp = true },
		{ WHO(OTHER, OTHER, "203.0.113.51", 25), .mptcp = true },
		{ WHO(DENIED, DENIED, "2001:db8::52", 25), .mptcp = true },
	};
	static const uint16_t smtp[] = { 25 };
	struct client c[ARRAY_SIZE(o)];
	struct sw_existing_list l;

	(void)state;
	if (!mptcp_works())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(o); i++)
		client_start(&o[i], &c[i]);
	wait_for_flows(c, ARRAY_SIZE(o));
	lab_run(true, &l);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.n_closed, 2);
	for (size_t i = 0; i < l.n; i++) {
		assert_true(l.item[i].pid == c[0].pid || l.item[i].pid == c[2].pid);
		assert_int_equal(l.item[i].port, 25);
	}
	assert_int_equal(count_flows(smtp, 1), 2);
	assert_true(client_works(&c[1]));
	assert_true(client_is_cut(&c[0]));
	assert_true(client_is_cut(&c[2]));
	sw_existing_free(&l);
	for (int closing = 0; closing < 2; closing++) {
		lab_run(closing, &l);
		assert_int_equal(l.n, 0);	/* the kernel still keeps them, without subflows */
		sw_existing_free(&l);
	}
	for (size_t i = 0; i < ARRAY_SIZE(o); i++) {
		close(c[i].far);		/* no end comes from one that is dead */
		c[i].far = -1;
		client_stop(&c[i]);
	}
}

/* With a peer that does not speak it, as most mail servers. */
static void test_mptcp_fallback(void **state)
{
	static const struct client_opts o = { WHO(DENIED, DENIED, "203.0.113.53", 25),
					      .mptcp = true, .plain_peer = true };
	struct sw_existing_list l;
	struct client c;

	(void)state;
	if (access("/proc/sys/net/mptcp/enabled", F_OK) < 0)
		skip();
	client_start(&o, &c);
	assert_true(client_works(&c));
	lab_run(false, &l);
	assert_int_equal(l.n, 1);
	assert_true(client_works(&c));
	sw_existing_free(&l);
	lab_run(true, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.n_closed, 1);
	assert_int_equal(l.item[0].pid, c.pid);
	assert_int_equal(client_far_read(&c), ECONNRESET);
	assert_int_not_equal(client_read(&c), ETIMEDOUT);
	assert_int_not_equal(client_write(&c), 0);
	sw_existing_free(&l);
	client_stop(&c);
}

/* ---- without rights ---- */

static int unprivileged(void *arg)
{
	const struct client *c = arg;
	const struct sw_existing_job job = lab_job(true);
	struct sw_existing_list l;
	int r;

	if (setgroups(0, NULL) < 0 || setresgid(DENIED, DENIED, DENIED) < 0 ||
	    setresuid(DENIED, DENIED, DENIED) < 0)
		return 2;
	if (sw_existing_run(&job, &l) < 0)
		return 3;
	r = l.n == 1 && l.item[0].error == -EPERM && !l.n_closed && l.processes_missed > 0 &&
	    lab_row(&l, c) ? 0 : 4;
	sw_existing_free(&l);
	return r;
}

static void test_unprivileged(void **state)
{
	static const struct client_opts o = { WHO(DENIED, DENIED, "203.0.113.60", 25) };
	struct client c;

	(void)state;
	client_start(&o, &c);
	assert_int_equal(scene_child(unprivileged, &c), 0);
	assert_true(client_works(&c));
	client_stop(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_named),
		cmocka_unit_test(test_host),
		cmocka_unit_test(test_query),
		cmocka_unit_test(test_mptcp_fallback),
		cmocka_unit_test(test_mptcp),
		cmocka_unit_test(test_unprivileged),
	};

	if (lab_set_up() < 0)
		return 99;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
