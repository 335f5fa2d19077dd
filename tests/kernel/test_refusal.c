/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Executions of sendmail programs beyond a limit are refused, where the kernel runs LSM programs: each
 * is counted once and refused once, whatever starts what, and nobody is who should not be. Where it
 * does not, they are counted, and that is said.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "caller.h"
#include "log.h"
#include "mailer.h"
#include "overhear.h"
#include "stats.h"
#include "usage.h"
#include "util.h"

#define EXIM	MAILER_DIR "/exim"
#define SENDMAIL MAILER_DIR "/sendmail"
#define POSTDROP MAILER_DIR "/postdrop"
#define WRAPPER	MAILER_BIN "/sendmail"
#define SHELL	MAILER_BIN "/shell"	/* a script that is an interpreter */
#define MSMTP	MAILER_BIN "/msmtp"
#define REFUSED	(200 + EPERM)
#define NOON	1907323200	/* 2030-06-10 12:00 UTC: no window turns during a test */
#define POLICY(mode, limits) "[policy]\nmode = " mode "\nrefuse_with = permission\n" \
	"[exempt]\nusers = root 61990\n[limit]\n" limits "\n"

/* One policy for most: an account each. */
#define LIMITS	"default = none sendmail 0/day\nuser 61920 = none\nuser 61921 = sendmail 3/day\n" \
		"user 61928 = sendmail 2/day\nuser 61930 = sendmail 1/day\nuser 61935 = all 20/day"

static struct wall wall;
static bool refuses;
static const char *in_force = "";

/* Puts the policy into force unless it is; skips the test where nothing can be refused. */
static void begin(const char *policy)
{
	int r;

	if (!refuses)
		skip();
	if (!strcmp(policy, in_force))
		return;
	r = sw_off(&wall.target);
	assert_true(r == 0 || r == -ENOENT);
	assert_int_equal(wall_apply(&wall, policy), 0);
	overhear_set_clock(&wall, NOON);
	in_force = policy;
}

#define EXEC(uid_, ...) mailer_exec(&wall, &(const struct mailer_caller){ .uid = (uid_) }, \
				    (const char *const[]){ __VA_ARGS__, NULL })

static int send(uint32_t uid)
{
	return EXEC(uid, MSMTP, "--mailer", "exit");
}

static uint32_t used(enum sw_kind kind, enum sw_channel channel, uint64_t id)
{
	struct sw_usage u = {};
	struct sw_live live;

	wall_live(&wall, &live);
	sw_usage_get_channel(&live, kind, channel, id, &u);
	sw_live_close(&live);
	return u.day_used;
}

/* Every execution is counted, on both tables, and once. */
static void assert_counted(uint32_t uid, uint64_t sendmail, uint64_t limited)
{
	assert_int_equal(wall_uid(&wall, uid, SW_N_SENDMAIL), sendmail);
	assert_int_equal(wall_uid(&wall, uid, SW_N_LIMITED), limited);
	assert_int_equal(wall_total(&wall), wall_total_origins(&wall));
}

static void beyond_the_limit(void **state)
{
	(void)state;
	begin(POLICY("enforce", LIMITS));
	for (int i = 0; i < 5; i++)
		assert_int_equal(send(61921), i < 3 ? 0 : REFUSED);
	assert_counted(61921, 3, 2);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_SENDMAIL, 61921), 3);
	/* Others, and other programs of the same account. */
	assert_int_equal(send(61920), 0);
	assert_int_equal(EXEC(61921, "/bin/sh", "-c", ":"), 0);
}

static void none_at_all(void **state)
{
	(void)state;
	begin(POLICY("enforce", LIMITS));
	assert_int_equal(send(61923), REFUSED);
	assert_counted(61923, 0, 1);
	assert_int_equal(send(61990), 0);	/* exempt */
	assert_int_equal(send(0), 0);
	assert_int_equal(send(8), 0);		/* the mail server's own user */
	assert_counted(61990, 1, 0);
}

/* The kernel asks for a script, and again for its interpreter, and for that one's. */
static void script_and_interpreter(void **state)
{
	(void)state;
	begin(POLICY("enforce", LIMITS));
	assert_int_equal(EXEC(61928, WRAPPER, "exec"), 0);
	assert_int_equal(EXEC(61928, WRAPPER, "child"), 0);
	assert_int_equal(EXEC(61928, WRAPPER, "exec"), REFUSED);
	assert_counted(61928, 2, 1);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_SENDMAIL, 61928), 2);
}

static void front_end_and_back_end(void **state)
{
	(void)state;
	begin(POLICY("enforce", LIMITS));
	assert_int_equal(EXEC(61930, SENDMAIL, "--mailer", "run", POSTDROP, "--mailer", "exit"), 0);
	assert_int_equal(EXEC(61930, SENDMAIL, "--mailer", "exit"), REFUSED);
	assert_int_equal(EXEC(61930, POSTDROP, "--mailer", "exit"), REFUSED);
	assert_counted(61930, 1, 2);
}

static void mail_server_itself(void **state)
{
	(void)state;
	begin(POLICY("enforce", LIMITS));
	/* Exim, as the account, and once more from there. */
	assert_int_equal(EXEC(0, EXIM, "--mailer", "as", "61931", "run", EXIM, "--mailer", "run", EXIM,
			      "--mailer", "exit"), 0);
	assert_counted(61931, 0, 0);
	assert_int_equal(EXEC(61931, EXIM, "--mailer", "exit"), REFUSED);	/* set-uid root */
	assert_counted(61931, 0, 1);
}

static void what_the_event_says(void **state)
{
	struct mailer_caller c = { .uid = 61933, .cwd = "/tmp", .comm = "php-fpm8.2" };
	struct sw_stat s = {};
	struct sw_event e;

	(void)state;
	begin(POLICY("enforce", LIMITS));
	assert_int_equal(mailer_exec(&wall, &c, (const char *const[]){ "/bin/sh", "-c",
			 MSMTP " --mailer exit; exit 3", NULL }), 3);
	assert_true(overhear(&wall, 61933, &e));
	assert_int_equal(e.verdict, SW_LIMITED);
	assert_int_equal(e.reason, SW_BY_ACCOUNT_LIMIT);
	assert_int_equal(e.channel, SW_CHANNEL_SENDMAIL);
	assert_int_equal(e.dport, 0);
	assert_int_equal(e.ruid, 61933);
	assert_int_equal(sw_stat_set_where(&e.where, &s), 0);
	assert_string_equal(s.directory, "/tmp");
	assert_string_equal(s.script, "[php-fpm8.2] /bin/sh -c " MSMTP " --mailer exit; exit 3");
	sw_stat_free_texts(&s);
}

/* How often the kernel left the program out, because the CPU was in it already. */
static uint64_t missed(void)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	struct sw_live live;
	int fd;

	wall_live(&wall, &live);
	fd = bpf_prog_get_fd_by_id(live.link[SW_HOOK_EXEC_REFUSE].prog_id);
	assert_true(fd >= 0 && bpf_obj_get_info_by_fd(fd, &info, &len) == 0);
	close(fd);
	sw_live_close(&live);
	return info.recursion_misses;
}

/* Sixteen processes, the three ways in turn, each beginning at another one. */
static void any_interleaving(void **state)
{
	const struct caller c = CALLER(61935, 61935, wall.cgroup);
	uint64_t smtp;
	pid_t pid[16];

	(void)state;
	begin(POLICY("enforce", LIMITS));
	for (unsigned int i = 0; i < 16; i++) {
		pid[i] = fork();
		assert_true(pid[i] >= 0);
		for (unsigned int k = 0; !pid[i] && k < 6; k++)
			if ((i + k) % 3 == 2)
				send(61935);
			else
				caller_connect(&c, (i + k) % 3 ? "127.0.0.1" : CALLER_REMOTE4,
					       (i + k) % 3 ? 25 : 587);
		if (!pid[i])
			_exit(0);
	}
	for (unsigned int i = 0; i < 16; i++)
		waitpid(pid[i], NULL, 0);
	smtp = wall_uid(&wall, 61935, SW_N_ALLOWED) + wall_uid(&wall, 61935, SW_N_LOCAL);
	assert_in_range(smtp + wall_uid(&wall, 61935, SW_N_SENDMAIL), 20, 20 + missed());
	assert_int_equal(smtp + wall_uid(&wall, 61935, SW_N_SENDMAIL) +
			 wall_uid(&wall, 61935, SW_N_LIMITED), 16 * 6);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_ALL, 61935), 20);
}

static void of_the_whole_server(void **state)
{
	const struct caller c = CALLER(61934, 61934, wall.cgroup), other = CALLER(61925, 61925, wall.cgroup);

	(void)state;
	begin(POLICY("enforce", "server = sendmail 3/day\nuser 61934 = sendmail 1/day\ndeny_for = 1h"));
	assert_int_equal(send(61934), 0);
	assert_true(caller_passed(caller_connect(&c, "127.0.0.1", 25)));
	assert_int_equal(send(61934), REFUSED);
	assert_int_equal(caller_connect(&c, "127.0.0.1", 25), EPERM);	/* for an hour */
	assert_int_equal(send(61924), 0);
	assert_int_equal(send(61925), 0);
	assert_int_equal(send(61925), REFUSED);
	assert_true(caller_passed(caller_connect(&other, "127.0.0.1", 25)));
	assert_int_equal(send(61990), 0);
	assert_int_equal(used(SW_KIND_SERVER, SW_CHANNEL_SENDMAIL, 0), 3);
}

static void mode_observe(void **state)
{
	(void)state;
	begin(POLICY("observe", "user 61932 = sendmail 1/day"));
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(61932), 0);
	assert_counted(61932, 1, 0);
	assert_int_equal(wall_uid(&wall, 61932, SW_N_WOULD_DENY), 2);
	assert_int_equal(used(SW_KIND_UID, SW_CHANNEL_SENDMAIL, 61932), 1);
	/* Both ends of it are one. */
	assert_int_equal(EXEC(61932, SENDMAIL, "--mailer", "run", POSTDROP, "--mailer", "exit"), 0);
	assert_int_equal(wall_uid(&wall, 61932, SW_N_WOULD_DENY), 3);
	assert_counted(61932, 1, 0);
}

static int today(void)
{
	time_t now = time(NULL);
	struct tm tm;

	localtime_r(&now, &tm);
	return tm.tm_yday;
}

/* Sends until the other end of the pipe is closed, and longer than the limit. */
static int send_until(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int passed = 0;

	for (int n = 0; n < 60 || poll(&p, 1, 0) == 0; n++)
		passed += !send(61936);
	return passed;
}

/* Old and new programs stand side by side: each execution is looked at, and paid for once. An apply
 * sets the clock right, so a day may end in between. */
static void applies_meanwhile(void **state)
{
	const char *policy = POLICY("enforce", "user 61936 = sendmail 40/day");
	int began = today(), status, end[2];
	pid_t pid;

	(void)state;
	begin(policy);
	assert_int_equal(wall_apply(&wall, policy), 0);
	assert_int_equal(pipe(end), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(end[1]);
		_exit(send_until(end[0]));
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(wall_apply(&wall, policy), 0);
	close(end[0]);
	close(end[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (began == today())
		assert_int_equal(WEXITSTATUS(status), 40);
	assert_counted(61936, (uint64_t)WEXITSTATUS(status), wall_uid(&wall, 61936, SW_N_LIMITED));
}

/* A policy without such a limit takes the program away: others do not pay for it. So does off. */
static void goes_away(void **state)
{
	struct sw_live live;

	(void)state;
	begin(POLICY("enforce", "user 61936 = sendmail 0/day"));
	assert_int_equal(send(61936), REFUSED);
	wall_live(&wall, &live);
	assert_true(live.link[SW_HOOK_EXEC_REFUSE].attached && live.link[SW_HOOK_EXEC_REFUSE].ours);
	sw_live_close(&live);
	in_force = "";
	assert_int_equal(wall_apply(&wall, POLICY("enforce", "user 61936 = local 0/day")), 0);
	assert_int_equal(send(61936), 0);
	wall_live(&wall, &live);
	assert_int_equal(live.link[SW_HOOK_EXEC_REFUSE].fd, -1);
	sw_live_close(&live);
	assert_int_equal(wall_apply(&wall, POLICY("enforce", "user 61936 = sendmail 0/day")), 0);
	assert_int_equal(send(61936), REFUSED);
	assert_int_equal(sw_off(&wall.target), 0);
	assert_int_equal(send(61936), 0);
}

/* The feature says what is so, and where it is missing nothing is refused and all is counted. */
static void counted_only(void **state)
{
	const char *disable = wall.target.disable;
	struct sw_features f;

	(void)state;
	wall.target.disable = "sendmail_refusal";
	assert_int_equal(sw_features_probe(wall.target.disable, &f), 0);
	assert_false(f.f[SW_FEAT_SENDMAIL_REFUSAL].present);
	assert_true(f.f[SW_FEAT_SENDMAIL_COUNT].present);
	sw_off(&wall.target);
	assert_int_equal(wall_apply(&wall, POLICY("enforce", "user 61938 = sendmail 1/day all 2/day")), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(send(61938), 0);
	assert_counted(61938, 3, 0);
	wall.target.disable = disable;
	/* What is not counted cannot be refused either. */
	assert_int_equal(sw_features_probe("sendmail_limit", &f), 0);
	assert_false(f.f[SW_FEAT_SENDMAIL_REFUSAL].present);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beyond_the_limit),	  cmocka_unit_test(none_at_all),
		cmocka_unit_test(script_and_interpreter), cmocka_unit_test(front_end_and_back_end),
		cmocka_unit_test(mail_server_itself),	  cmocka_unit_test(what_the_event_says),
		cmocka_unit_test(any_interleaving),	  cmocka_unit_test(of_the_whole_server),
		cmocka_unit_test(mode_observe),		  cmocka_unit_test(applies_meanwhile),
		cmocka_unit_test(goes_away),		  cmocka_unit_test(counted_only),
	};
	int failed;

	mailer_main(argc, argv);
	sw_log_max = SW_LOG_ERROR;
	mailer_world();
	mailer_install(MSMTP, 0755);
	mailer_install(EXIM, 04755);
	mailer_install(SENDMAIL, 0755);
	mailer_install(POSTDROP, 02755);
	mailer_script(WRAPPER, "#!" SHELL "\ncase $1 in\nexec) exec " EXIM " --mailer exit ;;\n"
		      "child) " EXIM " --mailer exit; : ;;\nesac\n");
	mailer_script(SHELL, "#!/bin/sh\nscript=$1\nshift\n. $script\n");
	wall_open(&wall);
	refuses = wall_has(SW_FEAT_SENDMAIL_REFUSAL);
	if (!refuses)
		fprintf(stderr, "# this kernel runs no LSM programs (CONFIG_BPF_LSM and lsm=...,bpf): "
			"nothing can be refused here; run make check-vm\n");
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed;
}
