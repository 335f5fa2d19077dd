/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that runs commands for the monitor: bounded, beside each other, and gone with it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runner.h"
#include "util.h"

#define SH(command) (const char *const[]){ "/bin/sh", "-c", command, NULL }

static char dir[] = "/tmp/swtest-runner-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) && chdir(dir) == 0 ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	unlink("out");
	return chdir("/") || rmdir(dir);
}

static struct sw_runner *start(const struct sw_runner_config *c)
{
	struct sw_runner *r;

	assert_int_equal(sw_runner_start(c, &r), 0);
	return r;
}

/* Waits for the next answer. */
static int take(struct sw_runner *r, uint32_t *id, enum sw_run_kind *kind)
{
	struct pollfd p = { .fd = sw_runner_fd(r), .events = POLLIN };
	int status = 0, got;

	assert_int_equal(poll(&p, 1, 20000), 1);
	got = sw_runner_take(r, id, kind, &status);
	assert_int_equal(got, 1);
	return status;
}

static int ask(struct sw_runner *r, enum sw_run_kind kind, const char *payload)
{
	uint32_t id, answered;
	enum sw_run_kind of;
	int status;

	assert_int_equal(sw_runner_ask(r, kind, payload, strlen(payload), &id), 0);
	status = take(r, &answered, &of);
	assert_int_equal(answered, id);
	assert_int_equal(of, kind);
	return status;
}

static void read_out(char *ret, size_t size)
{
	_cleanup_close_ int fd = open("out", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, ret, size - 1);

	assert_true(n >= 0);
	ret[n] = '\0';
}

static void test_payload(void **state)
{
	char command[128], text[64];
	const struct sw_runner_config c = {
		.argv[SW_RUN_COMMAND] = SH(command), .timeout_s[SW_RUN_COMMAND] = 20,
	};
	struct sw_runner *r;
	_cleanup_free_ char *big = calloc(1, SW_RUN_MAX_PAYLOAD + 1);
	uint32_t id;

	(void)state;
	snprintf(command, sizeof(command), "cat >%s/out", dir);
	r = start(&c);
	assert_int_equal(ask(r, SW_RUN_COMMAND, "hello"), 0);
	read_out(text, sizeof(text));
	assert_string_equal(text, "hello");
	assert_non_null(big);
	memset(big, 'x', SW_RUN_MAX_PAYLOAD);
	assert_int_equal(ask(r, SW_RUN_COMMAND, big), 0);
	assert_int_equal(sw_runner_ask(r, SW_RUN_COMMAND, big, SW_RUN_MAX_PAYLOAD + 1, &id), -E2BIG);
	assert_int_equal(sw_runner_ask(r, SW_RUN_MAIL, "", 0, &id), -ENOTSUP);
	sw_runner_free(r);
}

static void test_endings(void **state)
{
	const struct sw_runner_config c = {
		.argv = {
			[SW_RUN_APPLY] = SH("exit 3"),
			[SW_RUN_REFRESH] = SH("kill -9 $$"),
			[SW_RUN_COMMAND] = SH("sleep 60"),
			[SW_RUN_MAIL] = (const char *const[]){ "/nonexistent", NULL },
		},
		.timeout_s = { 20, 20, 1, 20 },
	};
	struct sw_runner *r = start(&c);

	(void)state;
	assert_int_equal(ask(r, SW_RUN_APPLY, ""), 3);
	assert_int_equal(ask(r, SW_RUN_REFRESH, ""), -EINTR);
	assert_int_equal(ask(r, SW_RUN_COMMAND, ""), -ETIMEDOUT);
	assert_int_equal(ask(r, SW_RUN_MAIL, ""), -ENOENT);
	sw_runner_free(r);
}

/* A program that others could change is not run as root. */
static void test_trust(void **state)
{
	char path[128];
	const struct sw_runner_config c = {
		.argv[SW_RUN_COMMAND] = (const char *const[]){ path, NULL },
		.timeout_s[SW_RUN_COMMAND] = 20,
	};
	struct sw_runner *r;
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/program", dir);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0755);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "#!/bin/sh\n", 10), 10);
	assert_int_equal(fchmod(fd, 0777), 0);
	close(fd);
	r = start(&c);
	assert_int_equal(ask(r, SW_RUN_COMMAND, ""), -EPERM);
	sw_runner_free(r);
	unlink(path);
}

/* One that hangs delays no other, and no more are under way than may be. */
static void test_beside(void **state)
{
	const struct sw_runner_config c = {
		.argv = { [SW_RUN_COMMAND] = SH("sleep 60"), [SW_RUN_MAIL] = SH("exit 5") },
		.timeout_s = { [SW_RUN_COMMAND] = 60, [SW_RUN_MAIL] = 20 },
	};
	struct sw_runner *r = start(&c);
	enum sw_run_kind kind;
	uint32_t id;

	(void)state;
	for (int i = 0; i < SW_RUN_MAX_PENDING - 1; i++)
		assert_int_equal(sw_runner_ask(r, SW_RUN_COMMAND, "", 0, &id), 0);
	assert_int_equal(sw_runner_ask(r, SW_RUN_MAIL, "", 0, &id), 0);
	assert_int_equal(sw_runner_ask(r, SW_RUN_MAIL, "", 0, &id), -EAGAIN);
	assert_int_equal(take(r, &id, &kind), 5);
	assert_int_equal(kind, SW_RUN_MAIL);
	sw_runner_free(r);	/* returns although commands hang */
}

/* Descriptors of the monitor, which can change the policy, do not reach a command. */
static void test_descriptors(void **state)
{
	char command[160], text[64];
	const struct sw_runner_config c = {
		.argv[SW_RUN_COMMAND] = SH(command), .timeout_s[SW_RUN_COMMAND] = 20,
	};
	struct sw_runner *r;
	int fd = open("/dev/null", O_RDONLY);	/* on purpose not O_CLOEXEC */
	int far = fcntl(fd, F_DUPFD, 100);

	(void)state;
	snprintf(command, sizeof(command), "test -e /proc/self/fd/%d -o -e /proc/self/fd/%d; echo $? "
		 ">%s/out; pwd >>%s/out", fd, far, dir, dir);
	r = start(&c);
	assert_int_equal(ask(r, SW_RUN_COMMAND, ""), 0);
	read_out(text, sizeof(text));
	assert_string_equal(text, "1\n/\n");
	sw_runner_free(r);
	close(fd);
	close(far);
}

/* The monitor dies: the process and the commands it runs end, too. */
static void test_orphan(void **state)
{
	char command[192], fifo[128], byte;
	const struct sw_runner_config c = {
		.argv[SW_RUN_COMMAND] = SH(command), .timeout_s[SW_RUN_COMMAND] = 600,
	};
	struct sw_runner *r;
	uint32_t id;

	(void)state;
	snprintf(fifo, sizeof(fifo), "%s/started", dir);
	snprintf(command, sizeof(command), "echo >%s; sleep 600", fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);	/* orphans become ours */
	if (fork() == 0) {
		if (sw_runner_start(&c, &r) == 0 &&
		    sw_runner_ask(r, SW_RUN_COMMAND, "", 0, &id) == 0 &&
		    read(open(fifo, O_RDONLY | O_CLOEXEC), &byte, 1) == 1)
			raise(SIGKILL);
		_exit(1);
	}
	alarm(60);	/* long before the command ends by itself */
	while (waitpid(-1, NULL, 0) > 0)
		;
	alarm(0);
	assert_int_equal(errno, ECHILD);
	unlink(fifo);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_payload),	   cmocka_unit_test(test_endings),
		cmocka_unit_test(test_trust),	   cmocka_unit_test(test_beside),
		cmocka_unit_test(test_descriptors), cmocka_unit_test(test_orphan),
	};

	if (geteuid() != 0) {
		print_message("1..0 # SKIP needs root: only programs of root are run\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
