/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Existing connections, without any: the kernel's port filter, run here; lists of connections;
 * and who holds one, on a /proc of our own making.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "existing_int.h"
#include "util.h"

static char proc[] = "/tmp/sw-existing-XXXXXX";

/* ---- the filter ---- */

/* What the kernel does with a filter (net/ipv4/inet_diag.c): true when it accepts the port. */
static bool filter_accepts(const struct inet_diag_bc_op *op, size_t bytes, uint16_t port)
{
	long left = (long)bytes;

	while (left > 0) {
		bool yes = op->code == INET_DIAG_BC_D_GE ? port >= op[1].no :
			   op->code == INET_DIAG_BC_D_LE ? port <= op[1].no : false;
		long step = yes ? op->yes : op->no;

		left -= step;
		op += step / (long)sizeof(*op);
	}
	return left == 0;
}

/* Where "yes" alone leads to from the beginning: only there may a jump go. */
static bool is_reachable(const struct inet_diag_bc_op *op, long bytes, long target)
{
	long at = 0;

	while (at < target && at < bytes) {
		long step = op[at / (long)sizeof(*op)].yes;

		if (step < 4 || step & 3)
			return false;
		at += step;
	}
	return at == target;
}

/* Whether the kernel takes the filter at all. */
static bool filter_is_valid(const struct inet_diag_bc_op *op, long bytes)
{
	long at = 0;

	while (at < bytes) {
		const struct inet_diag_bc_op *o = op + at / (long)sizeof(*op);
		long min = o->code == INET_DIAG_BC_JMP ? 4 : 8, left = bytes - at;

		if (left < min || o->no < min || o->no > left + 4 || o->no & 3 ||
		    (o->no < left && !is_reachable(op, bytes, at + o->no)) ||
		    o->yes < min || o->yes > left + 4 || o->yes & 3)
			return false;
		at += o->yes;
	}
	return at == bytes;
}

static void test_filter(void **state)
{
	static const uint16_t ports[SW_MAX_PORTS] = { 25, 465, 587, 2525, 26, 1, 65535, 24, 25, 80,
						      443, 110, 143, 993, 995, 10025 };

	(void)state;
	for (size_t n = 0; n <= SW_MAX_PORTS; n++) {
		struct inet_diag_bc_op op[SW_DIAG_FILTER_MAX];
		size_t bytes = sw_diag_filter(ports, n, op);

		assert_true(bytes <= sizeof(op));
		assert_int_equal(!bytes, !n);
		assert_true(filter_is_valid(op, (long)bytes));
		for (unsigned int port = 0; n && port <= 65535; port++) {
			bool want = false;

			for (size_t i = 0; i < n; i++)
				want |= ports[i] == port;
			if (filter_accepts(op, bytes, (uint16_t)port) != want)
				fail_msg("%zu ports: %u", n, port);
		}
	}
}

/* ---- lists ---- */

static struct sw_conn conn(uint32_t inode, bool mptcp, uint32_t uid)
{
	return (struct sw_conn){ .inode = inode, .mptcp = mptcp, .socket_uid = uid,
				 .family = AF_INET, .id.idiag_dport = htons(25) };
}

static void test_sort(void **state)
{
	/* inode, whole MPTCP connection; the number is its place in the list */
	static const struct { uint32_t inode; bool mptcp; } in[] = {
		{ 9, false }, { 3, false }, { 7, false }, { 7, true }, { 5, false }, { 7, false },
		{ 5, false }, { 11, true }, { 1, false },
	};
	static const struct { uint32_t inode; bool mptcp; } want[] = {
		{ 1, false }, { 3, false }, { 5, false }, { 5, false }, { 7, true }, { 9, false },
		{ 11, true },
	};
	struct sw_conns c = {};

	(void)state;
	sw_conns_sort(&c);
	assert_null(sw_conns_find(&c, 1));
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		struct sw_conn one = conn(in[i].inode, in[i].mptcp, (uint32_t)i);

		assert_int_equal(sw_conns_add(&c, &one), 0);
	}
	sw_conns_sort(&c);
	assert_int_equal(c.n, ARRAY_SIZE(want));
	for (size_t i = 0; i < c.n; i++) {
		assert_int_equal(c.item[i].inode, want[i].inode);
		assert_int_equal(c.item[i].mptcp, want[i].mptcp);
		assert_int_equal(sw_conns_find(&c, want[i].inode)->inode, want[i].inode);
	}
	assert_ptr_equal(sw_conns_find(&c, 5), &c.item[2]);	/* the first of both */
	for (uint32_t none = 0; none <= 12; none += 2)
		assert_null(sw_conns_find(&c, none));
	free(c.item);
}

static void test_bound(void **state)
{
	const struct sw_conn one = conn(1, false, 0);
	struct sw_conns c = {};

	(void)state;
	for (size_t i = 0; i < SW_EXISTING_MAX_CONNS + 3; i++)
		assert_int_equal(sw_conns_add(&c, &one), 0);
	assert_int_equal(c.n, SW_EXISTING_MAX_CONNS);
	assert_int_equal(c.missed, 3);
	free(c.item);
}

static void test_peer(void **state)
{
	static const struct { int family; const char *text, *want; } rows[] = {
		{ AF_INET, "203.0.113.5", "::ffff:203.0.113.5" },
		{ AF_INET6, "2001:db8::5", "2001:db8::5" },
		{ AF_INET6, "::ffff:203.0.113.5", "::ffff:203.0.113.5" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_conn c = conn(1, false, 0);
		char text[INET6_ADDRSTRLEN];
		uint8_t addr[16];

		memset(&c.id.idiag_dst, 0xee, sizeof(c.id.idiag_dst));
		c.family = (uint8_t)rows[i].family;
		assert_int_equal(inet_pton(rows[i].family, rows[i].text, c.id.idiag_dst), 1);
		sw_conn_peer(&c, addr);
		inet_ntop(AF_INET6, addr, text, sizeof(text));
		assert_string_equal(text, rows[i].want);
	}
}

/* ---- a /proc of our own ---- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	return at->level == 0 && !strcmp(path, proc) ? 0 : remove(path);
}

/* Everything below a name of our /proc; "": all of it. */
static void remove_below(const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s%s%s", proc, *name ? "/" : "", name);
	(void)nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void make_dir(const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void make_link(const char *target, const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	assert_int_equal(symlink(target, path), 0);
}

static void put_file(const char *name)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", proc, name);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static void put_text(pid_t pid, const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%d/%s", proc, pid, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* A process with sockets on descriptors 3 and 4; `ns`: a file that stands for its PID namespace. */
static void put_process(pid_t pid, const char *ids, const char *comm, uint32_t inode,
			const char *ns)
{
	char path[128], target[160];

	snprintf(path, sizeof(path), "%d", pid);
	make_dir(path);
	snprintf(path, sizeof(path), "%d/fd", pid);
	make_dir(path);
	snprintf(path, sizeof(path), "%d/ns", pid);
	make_dir(path);
	put_text(pid, "status", ids);
	put_text(pid, "comm", comm);
	put_text(pid, "cgroup", "4:memory:/x\n0::/\n");
	snprintf(path, sizeof(path), "%s/%d/ns/pid", proc, pid);
	snprintf(target, sizeof(target), "%s/%s", proc, ns);
	assert_int_equal(link(target, path), 0);
	snprintf(target, sizeof(target), "socket:[%u]", inode);
	for (int fd = 3; fd < 5; fd++) {
		snprintf(path, sizeof(path), "%d/fd/%d", pid, fd);
		make_link(target, path);
	}
	snprintf(path, sizeof(path), "%d/fd/9", pid);
	make_link("anon_inode:[eventpoll]", path);
}

static void empty_proc(void)
{
	remove_below("");
	put_file("host");
	put_file("container");
	/* process 1, which says what the host is */
	put_process(1, "Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n", "init\n", 1, "host");
}

#define IDS(r, e, g) "Name:\tx\nUid:\t" r "\t" e "\t0\t0\nGid:\t" g "\t" g "\t0\t0\n"
#define HOST(r, e)	{ IDS(r, e, "7"), "host" }
#define BOX(r, e)	{ IDS(r, e, "7"), "container" }

static int open_process(pid_t pid)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%d", proc, pid);
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void test_holder(void **state)
{
	static const struct { const char *status; int want; uint32_t ruid, euid, egid; } rows[] = {
		{ "Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nGroups:\t\n", 0, 1, 2, 6 },
		{ "Uid:\t4294967294\t0\t0\t0\nGid:\t1\t4294967294\t0\t0\n", 0, 4294967294U, 0,
		  4294967294U },
		/* a name that looks like a line; the kernel escapes line ends in it */
		{ "Name:\tUid: 0 0\nUid:\t1001\t1001\t1\t1\nGid:\t7\t7\t1\t1\n", 0, 1001, 1001, 7 },
		{ "Name:\tx\\nUid:\t0\t0\nUid:\t9\t9\t1\t1\nGid:\t7\t7\t1\t1\n", 0, 9, 9, 7 },
		{ "Uid:\t1\t2\t3\t4\n", -ESRCH, 0, 0, 0 },
		{ "Gid:\t1\t2\t3\t4\n", -ESRCH, 0, 0, 0 },
		{ "Uid:\t1\nGid:\t1\n", -ESRCH, 0, 0, 0 },
		{ "", -ESRCH, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_holder h = { .pid = 7 };
		int fd, r;

		empty_proc();
		put_process(42, rows[i].status, "a \033]0;b\n", 1, "host");
		fd = open_process(42);
		r = sw_holder_read(fd, 0, -1, &h);
		close(fd);
		assert_int_equal(r, rows[i].want);
		assert_int_equal(h.query.ruid, rows[i].ruid);
		assert_int_equal(h.query.euid, rows[i].euid);
		assert_int_equal(h.query.egid, rows[i].egid);
		assert_false(h.query.in_container);
		assert_string_equal(h.comm, r ? "" : "a \033]0;b");
	}
}

static void test_comm(void **state)
{
	static const struct { const char *file, *want; } rows[] = {
		{ "php\n", "php" }, { "", "" }, { "\n", "" }, { "a\nb\n", "a\nb" },
		{ "fifteen-letters\n", "fifteen-letters" },
		{ "kworker/R-longer-than-that\n", "kworker/R-longe" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_holder h;
		int fd;

		empty_proc();
		put_process(42, IDS("1", "1", "1"), rows[i].file, 1, "host");
		fd = open_process(42);
		assert_int_equal(sw_holder_read(fd, 0, -1, &h), 0);
		close(fd);
		assert_string_equal(h.comm, rows[i].want);
	}
}

static void test_gone(void **state)
{
	struct sw_holder h = { .pid = 7 };
	int fd;

	(void)state;
	empty_proc();
	put_process(42, IDS("1", "1", "1"), "x\n", 1, "host");
	fd = open_process(42);
	remove_below("42");
	assert_int_equal(sw_holder_read(fd, 0, -1, &h), -ENOENT);
	assert_int_equal(h.pid, 7);
	close(fd);
}

/* ---- verdicts ---- */

static size_t n_asked;

/* Denies user 1001, and everybody in a container. */
static bool denies(void *arg, const struct sw_query *q)
{
	assert_ptr_equal(arg, proc);
	assert_int_equal(q->port, 25);
	n_asked++;
	return q->euid == 1001 || q->in_container;
}

static const struct sw_existing_job job = { .denied = denies, .arg = proc };

#define PROCS 3

static const struct {
	const char *name;
	struct { const char *ids, *ns; } proc[PROCS];
	uint32_t socket_uid;
	bool other_netns;
	bool spared;
} verdicts[] = {
	{ "one, denied", { HOST("1001", "1001") }, 1001, false, false },
	{ "one, not denied", { HOST("0", "0") }, 1001, false, true },
	{ "two denied", { HOST("1001", "1001"), HOST("1001", "1001") }, 1001, false, false },
	{ "last not denied", { HOST("1001", "1001"), HOST("1001", "1001"), HOST("8", "8") },
	  1001, false, true },
	{ "first not denied", { HOST("8", "8"), HOST("1001", "1001") }, 1001, false, true },
	{ "nobody, denied", {}, 1001, false, false },
	{ "nobody, not denied", {}, 8, false, true },
	/* a set-uid program that its caller handed a socket to */
	{ "set-uid, inherited", { HOST("1001", "0") }, 1001, false, false },
	{ "set-uid, its own", { HOST("1001", "0") }, 0, false, true },
	{ "set-uid, another's", { HOST("1002", "0") }, 1001, false, true },
	{ "set-uid beside its caller", { HOST("1001", "0"), HOST("1001", "1001") },
	  1001, false, false },
	{ "set-uid to denied", { HOST("8", "1001") }, 8, false, false },
	/* containers */
	{ "root in a PID namespace", { BOX("0", "0") }, 0, false, false },
	{ "socket in a network namespace", { HOST("0", "0") }, 0, true, false },
	{ "nobody, in a network namespace", {}, 0, true, false },
	/* who is in a container says nothing about the others; in both orders of the directory */
	{ "container and host", { BOX("0", "0"), HOST("0", "0") }, 0, false, true },
	{ "host and container", { HOST("0", "0"), BOX("0", "0") }, 0, false, true },
	{ "all in containers", { BOX("0", "0"), BOX("0", "0") }, 0, false, false },
};

static void test_verdicts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(verdicts); i++) {
		struct sw_conn item[] = {
			conn(76, false, 1001), conn(77, false, verdicts[i].socket_uid),
			conn(78, false, 0),
		};
		struct sw_conns c = { .item = item, .n = 3 };
		size_t n = 0;

		print_message("# %s\n", verdicts[i].name);
		empty_proc();
		item[1].other_netns = verdicts[i].other_netns;
		for (; n < PROCS && verdicts[i].proc[n].ids; n++)
			put_process((pid_t)(40 + n), verdicts[i].proc[n].ids, "x\n", 77,
				    verdicts[i].proc[n].ns);
		n_asked = 0;
		assert_int_equal(sw_conns_judge(proc, &c, &job), 0);
		assert_int_equal(item[1].spared, verdicts[i].spared);
		assert_int_equal(item[1].held, n > 0);
		assert_int_equal(!item[1].pid, !n);
		assert_string_equal(item[1].comm, n ? "x" : "");
		if (!n)
			assert_int_equal(item[1].uid, verdicts[i].socket_uid);
		/* The neighbours are nobody's, and judged by their own UIDs. */
		assert_false(item[0].held || item[0].spared || item[2].held || !item[2].spared);
		assert_true(n_asked >= 3);
	}
}

/* Two sockets with one inode, and two connections of one process, are all judged. */
static void test_same_inode(void **state)
{
	struct sw_conn item[] = { conn(76, false, 1001), conn(77, false, 1001),
				  conn(77, false, 1001), conn(78, false, 1001) };
	struct sw_conns c = { .item = item, .n = 4 };

	(void)state;
	empty_proc();
	put_process(40, IDS("0", "0", "0"), "x\n", 77, "host");
	assert_int_equal(sw_conns_judge(proc, &c, &job), 0);
	assert_false(item[0].spared);
	assert_true(item[1].spared);
	assert_true(item[2].spared);
	assert_false(item[3].spared);
}

/* Without a connection in question no process is looked at. */
static void test_nothing_in_question(void **state)
{
	struct sw_conns c = {};

	(void)state;
	assert_int_equal(sw_conns_judge("/nonexistent", &c, &job), 0);
}

/* What is no process, and links that are no sockets, are passed over. */
static void test_odd_entries(void **state)
{
	static const char *const links[] = { "socket:[]", "socket:[-77]", "socket:77", "pipe:[77]",
					     "/socket:[77]", "" };
	struct sw_conn item[] = { conn(77, false, 8) };
	struct sw_conns c = { .item = item, .n = 1 };
	char path[128];

	(void)state;
	empty_proc();
	make_dir("41");		/* without descriptors */
	make_dir("fs");
	make_dir("fs/fd");
	make_link("socket:[77]", "fs/fd/3");
	put_process(42, IDS("1001", "1001", "1"), "x\n", 1, "host");
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		snprintf(path, sizeof(path), "42/fd/%zu", 20 + i);
		if (*links[i])
			make_link(links[i], path);
		else
			put_file(path);
	}
	assert_int_equal(sw_conns_judge(proc, &c, &job), 0);
	assert_false(item[0].held);
	assert_true(item[0].spared);
}

static void test_host_namespace(void **state)
{
	char path[SW_HOST_NS_LEN], want[SW_HOST_NS_LEN];

	(void)state;
	empty_proc();
	sw_host_namespace(proc, "pid", path);
	snprintf(want, sizeof(want), "%s/1/ns/pid", proc);
	assert_string_equal(path, want);

	put_process(2, IDS("0", "0", "0"), "kthreadd\n", 1, "host");	/* no program */
	sw_host_namespace(proc, "pid", path);
	snprintf(want, sizeof(want), "%s/2/ns/pid", proc);
	assert_string_equal(path, want);

	make_link("/bin/sh", "2/exe");		/* just another process */
	sw_host_namespace(proc, "pid", path);
	snprintf(want, sizeof(want), "%s/1/ns/pid", proc);
	assert_string_equal(path, want);

	remove_below("1");
	sw_host_namespace(proc, "net", path);
	assert_string_equal(path, "/proc/self/ns/net");
}

static int tidy_up(void **state)
{
	(void)state;
	remove_below("");
	return rmdir(proc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_holder),
		cmocka_unit_test(test_comm),
		cmocka_unit_test(test_gone),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_same_inode),
		cmocka_unit_test(test_nothing_in_question),
		cmocka_unit_test(test_odd_entries),
		cmocka_unit_test(test_host_namespace),
	};

	if (!mkdtemp(proc))
		return 99;
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, tidy_up);
}
