/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What status says this kernel has is what a policy gets here, and what it says is missing is
 * refused by name. With every optional feature gone the decision stays the same.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "caller.h"
#include "log.h"
#include "scene.h"
#include "util.h"
#include "wall.h"

#define EXEMPT		"[exempt]\nusers = root 61001\nmta = none\n"

static struct wall wall;
static struct caller nobody = CALLER(61009, 61009, wall.cgroup);
static struct caller exempt = CALLER(61001, 61001, wall.cgroup);

static int clean(void **state)
{
	int r = sw_off(&wall.target);

	(void)state;
	wall.target.disable = getenv("SMTPWALL_DISABLE");
	return r == 0 || r == -ENOENT ? 0 : -1;
}

/* Applies what needs the feature. False: it is missing, and the error named it. */
static bool apply(const char *policy, enum sw_feature_id feature, const char *name)
{
	char text[SCENE_TEXT];
	bool has = wall_has(feature);
	int r;

	scene_listen();
	r = wall_apply(&wall, policy);
	scene_heard(text);
	assert_int_equal(r, has ? 0 : -EOPNOTSUPP);
	if (!has && !strstr(text, name))
		fail_msg("%s is not in: %s", name, text);
	return has;
}

static void assert_decides(int refusal)
{
	static const char *const dests[] = { CALLER_REMOTE4, CALLER_REMOTE6, CALLER_MAPPED };

	for (size_t i = 0; i < ARRAY_SIZE(dests); i++) {
		assert_int_equal(caller_connect(&nobody, dests[i], 25), refusal);
		assert_true(caller_passed(caller_connect(&exempt, dests[i], 25)));
		assert_true(caller_passed(caller_connect(&nobody, dests[i], 26)));
	}
	assert_true(caller_passed(caller_connect(&nobody, "127.0.0.1", 25)));	/* local */
	assert_int_equal(wall_uid(&wall, 61009, SW_N_DENIED), ARRAY_SIZE(dests));
	assert_int_equal(wall_uid(&wall, 61001, SW_N_ALLOWED), ARRAY_SIZE(dests));
}

static void custom_errno(void **state)
{
	static const struct { const char *word; int error; } rows[] = {
		{ "refused", ECONNREFUSED }, { "permission", EPERM }, { "unreachable", EHOSTUNREACH },
	};
	char policy[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(policy, sizeof(policy), "[policy]\nrefuse_with = %s\n" EXEMPT, rows[i].word);
		assert_int_equal(wall_apply(&wall, policy), 0);
		assert_decides(wall_has(SW_FEAT_CUSTOM_ERRNO) ? rows[i].error : EPERM);
		assert_int_equal(sw_off(&wall.target), 0);
	}
}

static void raw_socket_hook(void **state)
{
	(void)state;
	if (!apply("[policy]\nstrict = yes\n" EXEMPT, SW_FEAT_RAW_SOCKET_HOOK, "raw_socket_hook"))
		return;
	assert_decides(wall_refusal());
	assert_int_equal(caller_socket(&nobody, AF_INET, SOCK_RAW, IPPROTO_RAW), EPERM);
	assert_int_equal(caller_socket(&exempt, AF_INET, SOCK_RAW, IPPROTO_RAW), 0);
}

/* What redirecting comes to is the matter of test_redirect. */
static void socket_storage(void **state)
{
	(void)state;
	if (!apply("[policy]\nmode = redirect\nredirect_to = 127.0.0.1 ::1\nredirect_port = 7\n" EXEMPT,
		   SW_FEAT_SOCKET_STORAGE, "socket_storage"))
		return;
	caller_connect(&nobody, CALLER_REMOTE4, 25);
	assert_int_equal(wall_uid(&wall, 61009, SW_N_ALLOWED), 0);
	assert_int_equal(wall_uid(&wall, 61009, SW_N_REDIRECTED) +
			 wall_uid(&wall, 61009, SW_N_DENIED), 1);
}

static void cgroup_events(void **state)
{
	char policy[256];

	(void)state;
	snprintf(policy, sizeof(policy), "[policy]\n[exempt]\nusers = root\nmta = none\ncgroups = %s\n",
		 strstr(wall.cgroup, "/swtest"));
	if (apply(policy, SW_FEAT_CGROUP_EVENTS, "cgroup_events"))
		assert_true(caller_passed(caller_connect(&nobody, CALLER_REMOTE4, 25)));
}

/* As on a kernel that has none of them. */
static void same_decision_without(void **state)
{
	(void)state;
	wall.target.disable = "custom_errno,task_btf,coarse_clock,raw_socket_hook,socket_storage,"
			      "cgroup_events";
	assert_int_equal(wall_apply(&wall, "[policy]\nrefuse_with = unreachable\n" EXEMPT), 0);
	assert_decides(EPERM);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, clean)
	const struct CMUnitTest tests[] = {
		TEST(custom_errno),
		TEST(raw_socket_hook),
		TEST(socket_storage),
		TEST(cgroup_events),
		TEST(same_decision_without),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	return failed ? 1 : 0;
}
