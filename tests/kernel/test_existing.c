/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Existing connections: which are found, by whom they are held, which are closed, and that every
 * other one still works. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "existing_lab.h"
#include "scene.h"
#include "util.h"

static void assert_addr(const struct sw_existing *e, const char *want)
{
	char text[INET6_ADDRSTRLEN];

	inet_ntop(AF_INET6, e->addr, text, sizeof(text));
	assert_string_equal(text, want);
}

/* ---- one connection of each kind ---- */

static const struct {
	const char *name;
	struct client_opts o;
	const char *cut;	/* the address it is reported with; NULL: it stays */
	bool by_other;		/* its row has another process than the client */
} kinds[] = {
	{ .name = "v4", .o = { WHO(DENIED, DENIED, "203.0.113.1", 25) },
	  .cut = "::ffff:203.0.113.1" },
	{ .name = "v6", .o = { WHO(DENIED, DENIED, "2001:db8::2", 25) }, .cut = "2001:db8::2" },
	{ .name = "v4-mapped", .o = { WHO(DENIED, DENIED, "::ffff:203.0.113.3", 25) },
	  .cut = "::ffff:203.0.113.3" },
	{ .name = "second port", .o = { WHO(DENIED, DENIED, "203.0.113.4", 587) },
	  .cut = "::ffff:203.0.113.4" },
	{ .name = "other port", .o = { WHO(DENIED, DENIED, "203.0.113.5", 26) } },
	{ .name = "port below", .o = { WHO(DENIED, DENIED, "203.0.113.6", 24) } },
	{ .name = "port between", .o = { WHO(DENIED, DENIED, "203.0.113.7", 465) } },
	{ .name = "root", .o = { WHO(0, 0, "203.0.113.8", 25) } },
	{ .name = "root v6", .o = { WHO(0, 0, "2001:db8::8", 25) } },
	{ .name = "other account", .o = { WHO(OTHER, OTHER, "203.0.113.9", 25) } },
	/* who holds it counts, not who made it */
	{ .name = "made by root", .o = { WHO(DENIED, DENIED, "203.0.113.10", 25), .by_root = true },
	  .cut = "::ffff:203.0.113.10" },
	{ .name = "made by root and shared",
	  .o = { WHO(DENIED, DENIED, "203.0.113.11", 25), .by_root = true, .shared = true } },
	{ .name = "shared with root",
	  .o = { WHO(DENIED, DENIED, "203.0.113.12", 25), .shared = true } },
	{ .name = "shared among denied",
	  .o = { WHO(DENIED, DENIED, "203.0.113.13", 25), .shared = true, .second_ruid = DENIED,
		 .second_euid = DENIED },
	  .cut = "::ffff:203.0.113.13", .by_other = true },
	{ .name = "set-uid root", .o = { WHO(DENIED, 0, "203.0.113.14", 25) } },
	{ .name = "inherited by set-uid root",
	  .o = { WHO(DENIED, DENIED, "203.0.113.15", 25), .shared = true, .second_ruid = DENIED },
	  .cut = "::ffff:203.0.113.15", .by_other = true },
	{ .name = "set-uid root of another account",
	  .o = { WHO(DENIED, DENIED, "203.0.113.16", 25), .shared = true, .second_ruid = OTHER } },
	{ .name = "effective counts", .o = { WHO(0, DENIED, "203.0.113.17", 25) },
	  .cut = "::ffff:203.0.113.17" },
};

static void test_kinds(void **state)
{
	struct client c[ARRAY_SIZE(kinds)];
	struct sw_existing_list l;
	size_t n_cut = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		client_start(&kinds[i].o, &c[i]);
	lab_run(true, &l);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct sw_existing *e = lab_row(&l, &c[i]);

		print_message("# %s\n", kinds[i].name);
		n_cut += kinds[i].cut != NULL;
		assert_int_equal(!e, !kinds[i].cut);
		if (!e) {
			assert_true(client_works(&c[i]));
			client_stop(&c[i]);
			continue;
		}
		assert_true(e->closed);
		assert_int_equal(e->error, 0);
		assert_addr(e, kinds[i].cut);
		assert_int_equal(e->port, kinds[i].o.port);
		assert_int_equal(e->cookie, c[i].cookie);
		assert_string_equal(e->comm, "test_existing");
		if (!kinds[i].by_other) {
			assert_int_equal(e->uid, DENIED);
			assert_int_equal(e->pid, c[i].pid);
		}
		lab_assert_cut(&c[i]);
		client_stop(&c[i]);
	}
	assert_int_equal(l.n, n_cut);
	assert_int_equal(l.n_closed, n_cut);
	sw_existing_free(&l);
}

/* ---- states ---- */

static void test_half_open(void **state)
{
	static const struct client_opts o[] = {
		{ WHO(DENIED, DENIED, SILENT4, 25), .half_open = true },
		{ WHO(DENIED, DENIED, SILENT6, 25), .half_open = true },
		{ WHO(OTHER, OTHER, SILENT4, 25), .half_open = true },
	};
	struct client c[ARRAY_SIZE(o)];
	struct sw_existing_list l;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(o); i++)
		client_start(&o[i], &c[i]);
	lab_run(true, &l);
	assert_int_equal(l.n, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_true(lab_row(&l, &c[i])->closed);
		assert_int_equal(client_read(&c[i]), ECONNABORTED);
	}
	assert_null(lab_row(&l, &c[2]));
	sw_existing_free(&l);
	lab_run(true, &l);
	assert_int_equal(l.n, 0);
	sw_existing_free(&l);
	for (size_t i = 0; i < ARRAY_SIZE(o); i++)
		client_stop(&c[i]);
}

/* The far end has nothing more to say; the near end still may. */
static void test_close_wait(void **state)
{
	static const struct client_opts o = { WHO(DENIED, DENIED, "203.0.113.20", 25) };
	struct sw_existing_list l;
	struct client c;

	(void)state;
	client_start(&o, &c);
	assert_int_equal(shutdown(c.far, SHUT_WR), 0);
	assert_int_equal(client_read(&c), 0);	/* the end has arrived */
	lab_run(true, &l);
	assert_int_equal(l.n, 1);
	assert_true(l.item[0].closed);
	assert_int_equal(client_far_read(&c), ECONNRESET);
	assert_int_equal(client_write(&c), ECONNABORTED);
	sw_existing_free(&l);
	client_stop(&c);
}

/* All is said, but most of it still waits to be sent: it no longer is. */
static void test_queued(void **state)
{
	static const struct client_opts o = { WHO(DENIED, DENIED, "203.0.113.21", 25) };
	static char block[65536];
	struct sw_existing_list l;
	struct client c;
	ssize_t n;

	(void)state;
	client_start(&o, &c);
	client_fill_and_shut(&c);
	lab_run(true, &l);
	assert_int_equal(l.n, 1);
	assert_true(l.item[0].closed);
	do
		n = read(c.far, block, sizeof(block));
	while (n > 0);
	assert_int_equal(n, -1);
	assert_int_equal(errno, ECONNRESET);
	sw_existing_free(&l);
	client_stop(&c);
}

/* All is sent, or the program has closed it: nobody can say anything more. */
static void test_ended(void **state)
{
	static const struct client_opts o[] = {
		{ WHO(DENIED, DENIED, "203.0.113.27", 25) },
		{ WHO(DENIED, DENIED, "203.0.113.28", 25) },
	};
	static char block[65536];
	struct sw_existing_list l;
	struct client c[2];
	ssize_t n;

	(void)state;
	for (int i = 0; i < 2; i++) {
		client_start(&o[i], &c[i]);
		client_fill_and_shut(&c[i]);
	}
	while (read(c[0].far, block, sizeof(block)) > 0)
		;
	kill(c[1].pid, SIGKILL);
	waitid(P_PID, (id_t)c[1].pid, NULL, WEXITED | WNOWAIT);
	lab_run(false, &l);
	for (int i = 0; i < 500 && l.n; i++) {	/* the last acknowledgement may be on its way */
		sw_existing_free(&l);
		usleep(10000);
		lab_run(false, &l);
	}
	assert_int_equal(l.n, 0);
	lab_run(true, &l);
	assert_int_equal(l.n, 0);
	do
		n = read(c[1].far, block, sizeof(block));
	while (n > 0);
	assert_int_equal(n, 0);		/* the end, and no reset */
	sw_existing_free(&l);
	client_stop(&c[0]);
	client_stop(&c[1]);
}

/* ---- without a process, and with one that goes away ---- */

static void test_in_flight(void **state)
{
	static const struct client_opts o[] = {
		{ WHO(DENIED, DENIED, "203.0.113.22", 25), .in_flight = true },
		{ WHO(OTHER, OTHER, "203.0.113.23", 25), .in_flight = true },
	};
	struct client c[2];
	struct sw_existing_list l;

	(void)state;
	for (int i = 0; i < 2; i++)
		client_start(&o[i], &c[i]);
	lab_run(true, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.item[0].pid, 0);
	assert_int_equal(l.item[0].uid, DENIED);
	assert_string_equal(l.item[0].comm, "");
	assert_true(l.item[0].closed);
	assert_int_equal(lab_n_asked, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(lab_asked[i].egid, SW_EXISTING_NO_ID);
		assert_int_equal(lab_asked[i].euid, lab_asked[i].ruid);
		assert_int_equal(lab_asked[i].cgroup[0], 0);
	}
	assert_int_equal(client_far_read(&c[0]), ECONNRESET);
	sw_existing_free(&l);
	client_stop(&c[0]);
	client_stop(&c[1]);
}

static void test_vanishing(void **state)
{
	static const struct client_opts o = { WHO(DENIED, DENIED, SILENT4, 25),
					      .half_open = true };
	struct sw_existing_list l;
	struct client c;

	(void)state;
	client_start(&o, &c);
	lab_victim = c.pid;
	lab_run(true, &l);
	assert_int_equal(lab_victim, 0);	/* it was asked about, */
	assert_int_equal(l.n, 0);	/* and is no connection any more */
	sw_existing_free(&l);
	client_stop(&c);
}

/* ---- only listed; a kernel that cannot close ---- */

static void test_listed(void **state)
{
	static const struct client_opts o = { WHO(DENIED, DENIED, "203.0.113.25", 25) };
	struct sw_existing_list l;
	struct client c;

	(void)state;
	client_start(&o, &c);
	lab_run(false, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.n_closed, 0);
	assert_false(l.item[0].closed);
	assert_int_equal(l.item[0].error, 0);
	assert_int_equal(l.item[0].pid, c.pid);
	assert_true(client_works(&c));
	sw_existing_free(&l);
	client_stop(&c);
}

static int n_destroyed, destroy_result;
static ino_t destroyed_netns;
static uint64_t destroyed_cookie;

static int destroy(void *arg, int netns_fd, const struct sw_existing *c)
{
	struct stat st;

	assert_null(arg);
	assert_int_equal(fstat(netns_fd, &st), 0);
	destroyed_netns = st.st_ino;
	destroyed_cookie = c->cookie;
	n_destroyed++;
	return destroy_result;
}

static void test_cannot_close(void **state)
{
	static const struct client_opts o = { WHO(DENIED, DENIED, "203.0.113.26", 25),
					      .own_net = true };
	static const struct { int result; bool closed, cannot; size_t n; } rows[] = {
		{ 0, true, false, 1 }, { -EOPNOTSUPP, false, true, 1 }, { -EPERM, false, false, 1 },
		{ -ENOENT, false, false, 0 },
	};
	struct sw_existing_job job = lab_job(true);
	struct sw_existing_list l;
	struct client c;

	(void)state;
	client_start(&o, &c);
	job.no_sock_destroy = true;
	assert_int_equal(sw_existing_run(&job, &l), 0);
	assert_true(l.cannot_close);
	assert_int_equal(l.n, 1);
	assert_false(l.item[0].closed);
	assert_int_equal(l.item[0].error, -EOPNOTSUPP);
	sw_existing_free(&l);

	job.destroy = destroy;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		destroy_result = rows[i].result;
		n_destroyed = 0;
		assert_int_equal(sw_existing_run(&job, &l), 0);
		assert_int_equal(n_destroyed, 1);
		assert_int_equal(l.n, rows[i].n);
		assert_int_equal(l.n_closed, rows[i].closed);
		assert_int_equal(l.cannot_close, rows[i].cannot);
		assert_int_equal(destroyed_cookie, c.cookie);
		if (l.n)
			assert_int_equal(destroyed_netns, l.item[0].netns);
		sw_existing_free(&l);
	}
	assert_true(client_works(&c));
	client_stop(&c);
}

static size_t open_files(void)
{
	char list[SCENE_TEXT];
	size_t n = 0;

	scene_list("/proc/self/fd", list);
	for (const char *s = list; *s; s++)
		n += *s == ' ';
	return n;
}

static void test_nothing_left_open(void **state)
{
	static const struct client_opts o = { WHO(OTHER, OTHER, "203.0.113.61", 25) };
	struct sw_existing_list l;
	struct client c;
	size_t before;

	(void)state;
	client_start(&o, &c);
	lab_run(true, &l);
	sw_existing_free(&l);
	before = open_files();
	for (int i = 0; i < 20; i++) {
		lab_run(true, &l);
		assert_int_equal(l.n, 0);
		sw_existing_free(&l);
	}
	assert_int_equal(open_files(), before);
	client_stop(&c);
}

/* Starts processes for as long as the test runs. */
static pid_t start_restless(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	alarm(60);
	while (getppid() == parent)
		if (fork() == 0)
			_exit(0);
	_exit(0);
}

/* Processes that come and go all the time are no reason to fail, or never to end. */
static void test_restless(void **state)
{
	static const struct client_opts o = { WHO(OTHER, OTHER, "203.0.113.63", 25) };
	struct sw_existing_list l[20];
	struct client c;
	pid_t pid[2];
	int r = 0, n = 0;

	(void)state;
	client_start(&o, &c);
	for (size_t i = 0; i < ARRAY_SIZE(pid); i++)
		pid[i] = start_restless();
	while (r == 0 && n < (int)ARRAY_SIZE(l)) {
		const struct sw_existing_job job = lab_job(true);

		r = sw_existing_run(&job, &l[n]);
		n += r == 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(pid); i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
	client_stop(&c);
	assert_int_equal(r, 0);
	while (n > 0) {
		assert_int_equal(l[--n].n, 0);
		sw_existing_free(&l[n]);
	}
}

static void test_no_ports(void **state)
{
	struct sw_existing_job job = lab_job(true);
	static const struct client_opts o = { WHO(DENIED, DENIED, "203.0.113.62", 25) };
	struct sw_existing_list l = { .n = 7 };
	struct client c;

	(void)state;
	client_start(&o, &c);
	job.n_ports = SW_MAX_PORTS + 1;
	assert_int_equal(sw_existing_run(&job, &l), -EINVAL);
	assert_int_equal(l.n, 7);
	job.n_ports = 0;
	assert_int_equal(sw_existing_run(&job, &l), 0);
	assert_int_equal(l.n, 0);	/* not every connection there is */
	assert_true(client_works(&c));
	client_stop(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_half_open),
		cmocka_unit_test(test_close_wait),
		cmocka_unit_test(test_queued),
		cmocka_unit_test(test_ended),
		cmocka_unit_test(test_in_flight),
		cmocka_unit_test(test_vanishing),
		cmocka_unit_test(test_listed),
		cmocka_unit_test(test_cannot_close),
		cmocka_unit_test(test_nothing_left_open),
		cmocka_unit_test(test_restless),
		cmocka_unit_test(test_no_ports),
	};

	if (lab_set_up() < 0)
		return 99;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
