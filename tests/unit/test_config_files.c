/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smtpwall.conf: files that cannot be read, conf.d, and the cgroups a file names. */
#include <fcntl.h>
#include <sys/wait.h>

#include "config_util.h"

/* Files of conf.d override what has one value and add to lists, in name order. */
static void test_conf_d(void **state)
{
	static const char *const want[] = {
		"mode=enforce refuse=2", "strict=1", "deny=26, ",
		"exempt=user:daemon@main.conf:5;user:bin@10-a.conf:5;group:daemon@9-b.conf:4;|",
		NULL
	};

	(void)state;
	run("mkdir %s/conf.d", dir);
	write_text("main.conf",
		   "[policy]\nmode = observe\nstrict = yes\n[exempt]\nusers = daemon\n");
	write_text("conf.d/10-a.conf",
		   "[policy]\nmode = enforce\ndeny_ports = 25\n[exempt]\nusers = bin\n");
	write_text("conf.d/9-b.conf",
		   "[policy]\nrefuse_with = unreachable\n[exempt]\ngroups = daemon\n"
		   "[policy]\ndeny_ports = 26\n");
	write_text("conf.d/ignored.conf.bak", "rubbish\n");
	write_text("conf.d/.hidden.conf", "rubbish\n");
	write_text("conf.d/README", "rubbish\n");
	assert_policy(want);
}

/* Only the main file replaces the default users. */
static void test_conf_d_adds_to_default(void **state)
{
	static const char *const want[] = { "exempt=user:root@default:0;", "user:bin@a.conf:2;|",
					    NULL };

	(void)state;
	run("mkdir %s/conf.d", dir);
	write_text("main.conf", "");
	write_text("conf.d/a.conf", "[exempt]\nusers = bin\n");
	assert_policy(want);
}

static void test_conf_d_errors(void **state)
{
	static const char *const want[] = { "main.conf:2: mode = 'x' is not one of",
					    "conf.d/a.conf:1: unknown section [nope]",
					    "conf.d/b.conf:2: 'y' in deny_ports",
					    "conf.d/c.conf:0: cannot open the file: No such file",
					    "conf.d/d.conf:0: is a directory",
					    "conf.d/b.conf:3: port 26 is in count_ports and",
					    NULL };

	(void)state;
	run("mkdir -p %s/conf.d/d.conf && ln -s nowhere %s/conf.d/c.conf", dir, dir);
	write_text("main.conf", "[policy]\nmode = x\ndeny_ports = 26\n");
	write_text("conf.d/a.conf", "[nope]\n");
	write_text("conf.d/b.conf", "[policy]\ndeny_ports = y 26\ncount_ports = 26\n");
	assert_errors(want);
}

/* What others can write is no part of the policy. */
static void test_conf_d_foreign(void **state)
{
	static const char *const writable[] = { "conf.d/a.conf:0: with mode 0666", NULL };
	static const char *const owned[] = { "conf.d/a.conf:0: belongs to UID 65534", NULL };
	static const char *const same_owner[] = { "strict=1", NULL };

	(void)state;
	run("mkdir %s/conf.d", dir);
	write_text("main.conf", "");
	write_text("conf.d/a.conf", "[policy]\nstrict = yes\n");
	run("chmod 666 %s/conf.d/a.conf", dir);
	assert_errors(writable);
	if (geteuid() != 0)
		return;
	run("chmod 644 %s/conf.d/a.conf && chown 65534 %s/conf.d/a.conf", dir, dir);
	assert_errors(owned);
	run("chown 65534 %s", main_file);
	assert_policy(same_owner);
}

/* None of them may hang. */
static void test_bad_files(void **state)
{
	static const struct { const char *command, *want[MAX_WANT];
	} rows[] = {
		{ "true",
		  { "main.conf:0: cannot open the file: No such file or directory; "
		    "create it or" } },
		{ "mkdir main.conf", { "main.conf:0: is a directory, not a configuration file" } },
		{ "mkfifo main.conf", { "main.conf:0: is not a regular file" } },
		{ "ln -s /dev/zero main.conf", { "main.conf:0: is not a regular file" } },
		{ "ln -s main.conf main.conf",
		  { "main.conf:0: cannot open the file: Too many levels" } },
		{ "truncate -s 1048577 main.conf", { "main.conf:0: is larger than 1 MiB" } },
		{ "ln -s /proc/self/status main.conf",
		  { "main.conf:0: the file grew while it was read" } },
		{ "touch main.conf conf.d",
		  { "conf.d:0: cannot read the directory: Not a directory" } },
		{ "touch main.conf; mkdir conf.d; mkfifo conf.d/a.conf",
		  { "conf.d/a.conf:0: is not a regular file" } },
	};
	size_t i;

	(void)state;
	alarm(20);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s\n", rows[i].command);
		empty_dir(NULL);
		run("cd %s && { %s; }", dir, rows[i].command);
		assert_errors(rows[i].want);
	}
	alarm(0);
}

/* As an ordinary account: root may read everything. */
static void test_unreadable(void **state)
{
	static const char *const want[] = {
		"main.conf:0: cannot open the file: Permission denied; check its permissions, or "
		"run as",
		NULL
	};
	int status = -1;

	(void)state;
	write_text("main.conf", "");
	run("chmod 000 %s", main_file);
	if (geteuid() != 0) {
		assert_errors(want);
		return;
	}
	if (fork() == 0) {
		struct sw_diag diag = { 0 };
		struct sw_policy p;

		_exit(seteuid(65534) || sw_config_load(main_file, -1, &p, &diag) != -EINVAL ||
		      diag.n != 1 || !strstr(diag.text[0], strchr(want[0], ' ') + 1));
	}
	wait(&status);
	assert_int_equal(status, 0);
}

/* 1 MiB of nothing but errors, or of one line: bounded in time and memory. */
static void test_many_errors(void **state)
{
	struct sw_diag diag = { 0 };
	struct sw_policy p;
	char *text = malloc(1024 * 1024);

	(void)state;
	assert_non_null(text);
	memset(text, 'x', 1024 * 1024);
	write_bytes("main.conf", text, 1024 * 1024);
	assert_int_equal(sw_config_load(main_file, -1, &p, &diag), -EINVAL);
	assert_int_equal(diag.n, 1);
	sw_diag_free(&diag);
	for (size_t i = 1; i < 1024 * 1024; i += 2)
		text[i] = '\n';
	write_bytes("main.conf", text, 1024 * 1024);
	free(text);
	alarm(20);
	assert_int_equal(sw_config_load(main_file, -1, &p, &diag), -EINVAL);
	alarm(0);
	assert_int_equal(diag.n, 1001);
	assert_non_null(strstr(diag.text[1000], "too many errors"));
	sw_diag_free(&diag);
	sw_diag_free(&diag);
}

static void test_default_path(void **state)
{
	struct sw_diag diag = { 0 };
	struct sw_policy p;

	(void)state;
	if (access("/etc/smtpwall", F_OK) == 0)
		skip();	/* this machine has a policy of its own */
	assert_int_equal(sw_config_load(NULL, -1, &p, &diag), 0);
	assert_int_equal(p.n_sources, 1);
	assert_non_null(sw_policy_find(&p, SW_KIND_UID, 0));
	sw_policy_free(&p);
}

/* A directory stands in for the cgroup hierarchy. */
static void test_cgroups(void **state)
{
	static const struct { const char *text, *good[MAX_WANT], *bad[MAX_WANT];
	} rows[] = {
		{ "/a.slice/b.service", { "cgroup:/a.slice/b.service@main.conf:2;" }, { NULL } },
		{ "//a.slice//b.service/", { "cgroup:/a.slice/b.service@main.conf:2;" }, { NULL } },
		{ "/a.slice, /a.slice/b.service",
		  { "cgroup:/a.slice@main.conf:2;cgroup:/a.slice/b.service@main.conf:2;" },
		  { NULL } },
		{ "/a.slice\n  /a.slice/x=y", /* an equal sign in a path begins no key */
		  { "cgroup:/a.slice@main.conf:2;cgroup:/a.slice/x=y@main.conf:3;" },
		  { NULL } },
		{ "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", { "/15/16@main.conf:2;" }, { NULL } },
		{ "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
		  { NULL },
		  { "main.conf:2: is more than 16 levels deep; name one of its parents" } },
		/* A service that is not running is no mistake. */
		{ "/nope /a.slice/nope",
		  { "cgroup:/nope@main.conf:2;cgroup:/a.slice/nope@main.conf:2;" },
		  { NULL } },
		{ "/a.slice/file",
		  { NULL },
		  { "main.conf:2: '/a.slice/file' is a file of a cgroup, not a cgroup" } },
		{ "/ /a.slice/.. /. a.slice ../x",
		  { NULL },
		  { "main.conf:2: cgroup '/' is not a path such as",
		    "main.conf:2: '/a.slice/..' is not", "main.conf:2: '/.' is not",
		    "main.conf:2: 'a.slice' is not", "main.conf:2: '../x' is" } },
		{ "/link/b.service", { NULL }, { "main.conf:2: '/link/b.service'" } },
	};
	char text[256], root[128];
	size_t i;
	int fd;

	(void)state;
	run("cd %s && mkdir -p root/a.slice/b.service root/a.slice/x=y "
	    "root/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17 && touch root/a.slice/file && "
	    "ln -s a.slice root/link", dir);
	snprintf(root, sizeof(root), "%s/root", dir);
	fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(fd >= 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s\n", rows[i].text);
		snprintf(text, sizeof(text), "[exempt]\ncgroups = %s\n", rows[i].text);
		write_text("main.conf", text);
		if (rows[i].good[0])
			assert_policy_fd(fd, rows[i].good);
		else
			assert_errors_fd(fd, rows[i].bad);
	}
	close(fd);
}

static void test_cgroup_id(void **state)
{
	struct sw_diag diag = { 0 };
	struct sw_policy p;
	char path[128];
	struct stat st;
	int fd;

	(void)state;
	run("mkdir -p %s/root/a/b", dir);
	write_text("main.conf", "[exempt]\ncgroups = /a/b\n");
	snprintf(path, sizeof(path), "%s/root/a/b", dir);
	assert_int_equal(stat(path, &st), 0);
	snprintf(path, sizeof(path), "%s/root", dir);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(sw_config_load(main_file, fd, &p, &diag), 0);
	assert_int_equal(p.n_cgroups, 1);
	assert_int_equal(p.cgroups[0].id, st.st_ino);
	assert_int_equal(p.cgroups[0].level, 2);
	assert_true(p.cgroups[0].exempt);
	assert_int_equal(p.cgroups[0].line, 2);
	sw_policy_free(&p);
	close(fd);

	/* Another file system in the hierarchy has inode numbers of its own. */
	write_text("main.conf", "[exempt]\ncgroups = /proc\n");
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_errors_fd(fd, ((const char *const[]){
		"main.conf:2: cgroup '/proc' leads out of the cgroup v2 hierarchy", NULL }));
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_conf_d, empty_dir),
		cmocka_unit_test_setup(test_conf_d_adds_to_default, empty_dir),
		cmocka_unit_test_setup(test_conf_d_errors, empty_dir),
		cmocka_unit_test_setup(test_conf_d_foreign, empty_dir),
		cmocka_unit_test_setup(test_bad_files, empty_dir),
		cmocka_unit_test_setup(test_unreadable, empty_dir),
		cmocka_unit_test_setup(test_many_errors, empty_dir),
		cmocka_unit_test_setup(test_default_path, empty_dir),
		cmocka_unit_test_setup(test_cgroups, empty_dir),
		cmocka_unit_test_setup(test_cgroup_id, empty_dir),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
