/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mail handed to sendmail programs: each is counted once, on the account that handed it over and in
 * the directory where it did, whatever the program's file is called; what the mail server does by
 * itself is not. Once with plain loads and once with probe reads.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "mailer.h"
#include "mailers.h"
#include "mapread.h"
#include "stats.h"
#include "util.h"

#define POLICY "[policy]\nmode = enforce\n"
#define EXIM	MAILER_DIR "/exim"
#define SENDMAIL MAILER_DIR "/sendmail"
#define POSTDROP MAILER_DIR "/postdrop"
#define WRAPPER	MAILER_BIN "/sendmail"
#define MSMTP	MAILER_BIN "/msmtp"

static struct wall wall;
static char scratch[] = "/tmp/swmailXXXXXX";
static uint32_t next_uid = 61700;

static int call(struct mailer_caller c, const char *const *argv)
{
	return mailer_exec(&wall, &c, argv);
}

#define EXEC(uid_, ...)	call((struct mailer_caller){ .uid = (uid_) }, \
			     (const char *const[]){ __VA_ARGS__, NULL })

static uint64_t mails(uint32_t uid)
{
	return wall_uid(&wall, uid, SW_N_SENDMAIL);
}

static void apply(void)
{
	assert_int_equal(wall_apply(&wall, POLICY), 0);
}

/* The only row of an account's origins. */
static struct sw_origin origin(uint32_t uid)
{
	struct sw_origin found = {};
	struct sw_map_dump d;
	struct sw_live live;
	unsigned int n = 0;

	wall_live(&wall, &live);
	assert_int_equal(sw_map_dump(live.map_fd[SW_MAP_ORIGINS], &d), 0);
	for (size_t i = 0; i < d.n; i++)
		if (((const struct sw_origin_key *)sw_map_key(&d, i))->uid == uid && ++n)
			memcpy(&found, sw_map_value(&d, i), sizeof(found));
	sw_map_dump_free(&d);
	sw_live_close(&live);
	assert_int_equal(n, 1);
	return found;
}

static void every_name_of_the_file(void **state)
{
	char path[64], other[64];
	uint32_t uid = next_uid++;

	(void)state;
	snprintf(path, sizeof(path), "%s/mailq", scratch);	/* whatever it is called */
	assert_int_equal(EXEC(uid, MSMTP, "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 1);
	assert_int_equal(symlink(MSMTP, path), 0);
	assert_int_equal(EXEC(uid, path, "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 2);
	unlink(path);

	assert_int_equal(link(MSMTP, MAILER_BIN "/innocent"), 0);
	assert_int_equal(EXEC(uid, MAILER_BIN "/innocent", "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 3);
	assert_int_equal(rename(MSMTP, MAILER_BIN "/renamed"), 0);
	assert_int_equal(EXEC(uid, MAILER_BIN "/renamed", "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 4);
	assert_int_equal(rename(MAILER_BIN "/renamed", MSMTP), 0);
	unlink(MAILER_BIN "/innocent");

	/* A copy is another file. It has not got the set-uid bit, and cannot queue mail. */
	snprintf(other, sizeof(other), "%s/msmtp", scratch);
	unlink(other);
	mailer_install(other, 0755);
	assert_int_equal(EXEC(uid, other, "--mailer", "exit"), 0);
	assert_int_equal(EXEC(uid, "/bin/true"), 0);
	assert_int_equal(mails(uid), 4);
	assert_int_equal(wall_uid(&wall, uid, SW_N_DENIED), 0);
}

static void new_file_of_a_package(void **state)
{
	uint32_t uid = next_uid++;

	(void)state;
	/* As dpkg does it. Somebody has to look again. */
	mailer_install(MSMTP ".new", 0755);
	assert_int_equal(rename(MSMTP ".new", MSMTP), 0);
	apply();
	assert_int_equal(EXEC(uid, MSMTP, "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 1);
}

static void set_uid_program(void **state)
{
	uint32_t uid = next_uid++, root = (uint32_t)mails(0);

	(void)state;
	assert_int_equal(EXEC(uid, EXIM, "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 1);
	assert_int_equal(mails(0), root);
}

static void script_of_that_name(void **state)
{
	uint32_t uid = next_uid++;

	(void)state;
	/* It is the interpreter that the kernel shows; what the script starts is the same mail. */
	assert_int_equal(EXEC(uid, WRAPPER, "exec"), 0);
	assert_int_equal(mails(uid), 1);
	assert_int_equal(EXEC(uid, WRAPPER, "child"), 0);
	assert_int_equal(mails(uid), 2);
	assert_int_equal(EXEC(uid, WRAPPER, "nothing"), 0);
	assert_int_equal(mails(uid), 3);
	assert_int_equal(EXEC(uid, EXIM, "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 4);
}

static void front_end_and_back_end(void **state)
{
	uint32_t uid = next_uid++;

	(void)state;
	assert_int_equal(EXEC(uid, SENDMAIL, "--mailer", "run", POSTDROP, "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 1);
	assert_int_equal(EXEC(uid, POSTDROP, "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 2);
}

static void mail_server_itself(void **state)
{
	uint32_t uid = next_uid++;
	char number[16];

	(void)state;
	snprintf(number, sizeof(number), "%u", uid);
	/* A vacation notice: the server, as the account. */
	assert_int_equal(EXEC(0, EXIM, "--mailer", "as", number, "run", EXIM, "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 0);
	assert_int_equal(EXEC(0, EXIM, "--mailer", "as", number, "run", EXIM, "--mailer", "run", EXIM,
			      "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 0);
	/* Delivery, as its own user. */
	assert_int_equal(EXEC(8, EXIM, "--mailer", "exit"), 0);
	assert_int_equal(mails(8), 0);
	/* An account that has it run a command hands in one mail more each time. */
	assert_int_equal(EXEC(uid, EXIM, "--mailer", "run", EXIM, "--mailer", "exit"), 0);
	assert_int_equal(mails(uid), 2);
}

static void other_cgroups(void **state)
{
	struct mailer_caller c = { .uid = next_uid++, .outside = true };

	(void)state;
	assert_int_equal(call(c, (const char *const[]){ MSMTP, "--mailer", "exit", NULL }), 0);
	assert_int_equal(mails(c.uid), 0);
}

static void who_and_where(void **state)
{
	struct mailer_caller c = { .uid = next_uid++, .cwd = scratch, .comm = "php-fpm8.2" };
	_cleanup_free_ char *argv = NULL;
	struct sw_stat s = {};
	struct sw_origin o;

	(void)state;
	assert_int_equal(call(c, (const char *const[]){ "/bin/sh", "-c", EXIM " --mailer exit; :",
							NULL }), 0);
	o = origin(c.uid);
	assert_int_equal(o.n[SW_N_SENDMAIL], 1);
	assert_int_equal(sw_stat_set_where(&o.where, &s), 0);
	assert_string_equal(s.directory, scratch);
	assert_string_equal(s.script, "[php-fpm8.2] " EXIM " --mailer exit");
	sw_stat_free_texts(&s);
}

/* ---- nothing is lost or counted twice while policies are applied ---- */

#define SENDERS	4
#define EACH	30

static void send_many(uint32_t uid)
{
	for (int i = 0; i < EACH; i++)
		if (EXEC(uid, MSMTP, "--mailer", "exit") != 0)
			_exit(1);
	_exit(0);
}

static void applies_meanwhile(void **state)
{
	uint32_t uid = next_uid++;
	pid_t pid[SENDERS];
	int status;

	(void)state;
	for (int i = 0; i < SENDERS; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		if (!pid[i])
			send_many(uid);
	}
	while (waitpid(pid[0], &status, WNOHANG) == 0)
		apply();
	assert_int_equal(status, 0);
	for (int i = 1; i < SENDERS; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(mails(uid), SENDERS * EACH);
	assert_int_equal(wall_total(&wall), wall_total_origins(&wall));
}

static void off_ends_it(void **state)
{
	struct sw_live live;
	uint32_t id;

	(void)state;
	wall_live(&wall, &live);
	id = live.link[SW_HOOK_EXEC].prog_id;
	assert_true(live.link[SW_HOOK_EXEC].attached);
	sw_live_close(&live);
	assert_int_not_equal(id, 0);
	assert_int_equal(sw_off(&wall.target), 0);
	assert_int_equal(EXEC(next_uid++, MSMTP, "--mailer", "exit"), 0);
}

static int run_all(const char *disable)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_of_the_file),
		cmocka_unit_test(new_file_of_a_package),
		cmocka_unit_test(set_uid_program),
		cmocka_unit_test(script_of_that_name),
		cmocka_unit_test(front_end_and_back_end),
		cmocka_unit_test(mail_server_itself),
		cmocka_unit_test(other_cgroups),
		cmocka_unit_test(who_and_where),
		cmocka_unit_test(applies_meanwhile),
		cmocka_unit_test(off_ends_it),
	};

	wall.target.disable = disable;
	if (wall_apply(&wall, POLICY) < 0)
		return 1;
	return cmocka_run_group_tests_name(disable ?: "all features", tests, NULL, NULL);
}

int main(int argc, char **argv)
{
	char command[64];
	int failed;

	mailer_main(argc, argv);
	sw_log_max = SW_LOG_ERROR;
	if (!mkdtemp(scratch) || chmod(scratch, 0755) < 0)
		return 99;
	mailer_world();
	mailer_install(MSMTP, 0755);
	mailer_install(EXIM, 04755);
	mailer_install(SENDMAIL, 0755);
	mailer_install(POSTDROP, 02755);
	mailer_script(WRAPPER, "#!/bin/sh\ncase $1 in\nexec) exec " EXIM " --mailer exit ;;\n"
		      "child) " EXIM " --mailer exit; : ;;\nesac\n");
	wall_open(&wall);
	failed = run_all(NULL);
	failed += run_all("task_btf,coarse_clock");
	wall_close(&wall);
	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return (system(command) != 0) + failed;
}
