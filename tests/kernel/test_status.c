/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What status and verify conclude: other people's programs before and after ours, the canary's
 * exact count, and whether the explanation agrees with the kernel.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"
#include "canary.h"
#include "cgroup.h"
#include "decide.h"
#include "foreign.h"
#include "health.h"
#include "log.h"
#include "mapread.h"
#include "scene.h"
#include "util.h"
#include "wall.h"

#define ENFORCE	"[policy]\n[exempt]\nusers = root 61001\nmta = none\n"
#define OBSERVE	"[policy]\nmode = observe\n[exempt]\nusers = root 61001\nmta = none\n"
#define POLICIES 8
#define QUERIES	50	/* for each random policy */
#define IDS	6	/* 61000 and up; index 0 stands for root */

static struct wall wall;
static char inner[160];		/* a cgroup below the wall's; some policies exempt it */

/* Other people's links of one case. */
static int links[4];
static size_t n_links;

static void foreign(enum sw_hook hook, enum foreign_kind kind)
{
	_cleanup_close_ int prog = foreign_load(sw_hooks[hook].attach, kind, "intruder");

	assert_true(prog >= 0);
	links[n_links] = foreign_link(prog, wall.cgroup, sw_hooks[hook].attach);
	assert_true(links[n_links++] >= 0);
}

static int clean(void **state)
{
	int r = sw_off(&wall.target);

	(void)state;
	while (n_links)
		close(links[--n_links]);
	return r == 0 || r == -ENOENT ? 0 : -1;
}

static void judge(struct sw_health *h)
{
	struct sw_live l;

	wall_live(&wall, &l);
	sw_health_check(&wall.target, &l, h);
	sw_live_close(&l);
}

static void verify(struct sw_texts *problems)
{
	_cleanup_close_ int fd = open(wall.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct sw_live l;

	wall_live(&wall, &l);
	sw_health_canary(&l, fd, problems);
	sw_live_close(&l);
}

static bool has(const struct sw_texts *t, const char *word)
{
	for (size_t i = 0; i < t->n; i++)
		if (strstr(t->item[i], word))
			return true;
	return false;
}

static void assert_healthy(void)
{
	struct sw_health h;

	judge(&h);
	if (h.problems.n)
		fail_msg("not healthy: %s", h.problems.item[0]);
	sw_health_free(&h);
}

static void assert_verified(void)
{
	struct sw_texts problems = {};

	verify(&problems);
	if (problems.n)
		fail_msg("not verified: %s", problems.item[0]);
}

static uint64_t canaries(enum sw_slot slot)
{
	return wall_uid(&wall, SW_CANARY_UID, slot);
}

static void canary_is_counted_exactly(void **state)
{
	(void)state;
	assert_int_equal(wall_apply(&wall, ENFORCE), 0);
	for (unsigned int i = 1; i <= 5; i++) {
		assert_verified();
		assert_int_equal(canaries(SW_N_DENIED), i * _SW_CANARY_MAX);
	}
	assert_int_equal(wall_apply(&wall, OBSERVE), 0);
	assert_verified();
	assert_int_equal(canaries(SW_N_DENIED), 5 * _SW_CANARY_MAX);
	assert_int_equal(canaries(SW_N_WOULD_DENY), _SW_CANARY_MAX);
	assert_int_equal(wall_total(&wall), 6 * _SW_CANARY_MAX);
}

/* Looking at a wall where nobody came after us sends nothing. */
static void healthy_without_a_canary(void **state)
{
	(void)state;
	assert_int_equal(wall_apply(&wall, ENFORCE), 0);
	assert_healthy();
	assert_int_equal(wall_total(&wall), 0);
}

static void harmless_program_after_ours(void **state)
{
	(void)state;
	assert_int_equal(wall_apply(&wall, ENFORCE), 0);
	foreign(SW_HOOK_CONNECT4, FOREIGN_PASS);
	foreign(SW_HOOK_CONNECT6, FOREIGN_PASS);
	assert_healthy();
	assert_int_equal(canaries(SW_N_DENIED), _SW_CANARY_MAX);
	assert_int_equal(wall_apply(&wall, OBSERVE), 0);
	assert_healthy();
	assert_verified();
	assert_int_equal(canaries(SW_N_WOULD_DENY), 2 * _SW_CANARY_MAX);
}

/* It clears our refusal. The health check has to name it. */
static void program_that_undoes_ours(void **state)
{
	(void)state;
	for (int i = SW_HOOK_CONNECT4; i <= SW_HOOK_CONNECT6; i++) {
		struct sw_texts problems = {};
		struct sw_health h;

		assert_int_equal(wall_apply(&wall, ENFORCE), 0);
		foreign((enum sw_hook)i, FOREIGN_CLEAR);
		judge(&h);
		assert_true(has(&h.problems, "NOT refused"));
		assert_true(has(&h.problems, "intruder"));
		assert_true(has(&h.problems, sw_hooks[i].name));
		sw_health_free(&h);
		verify(&problems);
		assert_true(has(&problems, i == SW_HOOK_CONNECT4 ? "IPv4" : "IPv6"));
		sw_texts_free(&problems);
		assert_int_equal(clean(NULL), 0);
	}
}

/* The same programs before ours decide nothing: the last word is ours. */
static void programs_before_ours(void **state)
{
	(void)state;
	foreign(SW_HOOK_CONNECT4, FOREIGN_CLEAR);
	foreign(SW_HOOK_CONNECT6, FOREIGN_CLEAR);
	foreign(SW_HOOK_CONNECT4, FOREIGN_PASS);
	assert_int_equal(wall_apply(&wall, ENFORCE), 0);
	assert_healthy();
	assert_int_equal(wall_total(&wall), 0);	/* no reason for a canary */
	assert_verified();
	assert_int_equal(wall_apply(&wall, ENFORCE), 0);	/* in place: still behind them */
	assert_healthy();
	assert_int_equal(canaries(SW_N_DENIED), _SW_CANARY_MAX);
}

/* Another enforcer beside ours, with its own errno. */
static void program_that_refuses_too(void **state)
{
	struct sw_texts problems = {};
	struct sw_health h;

	(void)state;
	assert_int_equal(wall_apply(&wall, OBSERVE), 0);
	foreign(SW_HOOK_CONNECT4, FOREIGN_REFUSE);
	judge(&h);
	assert_true(has(&h.problems, "observe"));
	assert_true(has(&h.problems, "intruder"));
	sw_health_free(&h);
	verify(&problems);
	assert_true(has(&problems, "another program denies it"));
	sw_texts_free(&problems);
	assert_int_equal(wall_apply(&wall, ENFORCE), 0);
	assert_verified();
}

static void nothing_is_in_force(void **state)
{
	struct sw_health h;

	(void)state;
	judge(&h);
	assert_true(has(&h.problems, "nothing is in force"));
	sw_health_free(&h);
	assert_int_equal(access(wall.pin_dir, F_OK), -1);	/* and looking made nothing */
}

/* ---- explain says what the kernel does ---- */

static const char *const dests[] = {
	CALLER_REMOTE4, CALLER_REMOTE6, CALLER_MAPPED, "198.51.100.7", "127.0.0.1",
	"127.255.1.2", "0.0.0.0", "::1", "::", "::ffff:127.0.0.1", "::ffff:0.0.0.0", "::2",
	"126.0.0.1", "128.0.0.1", "0.0.0.1", "::ffff:7f00:1", "::7f00:1", "1::", "fe80::1",
};
static const uint16_t ports[] = { 25, 25, 25, 26, 465, 587, 2525, 6400, 1 };

static uint32_t pick(uint32_t n)
{
	return (uint32_t)random() % n;
}

static uint32_t pick_id(void)
{
	uint32_t i = pick(IDS);

	return i ? 61000 + i : 0;
}

static void list_ids(char *to, size_t room)
{
	size_t used = 0;

	*to = '\0';
	for (uint32_t i = 0; i < IDS && used < room; i++)
		if (pick(2))
			used += (size_t)snprintf(to + used, room - used, " %u",
						 i ? 61000 + i : 0);
}

static void random_policy(char *text, size_t room)
{
	char users[64], groups[64];

	list_ids(users, sizeof(users));
	list_ids(groups, sizeof(groups));
	/* permission: a local connect that nobody listens to ends with ECONNREFUSED anyway */
	snprintf(text, room, "[policy]\nmode = %s\nrefuse_with = permission\nallow_local = %s\n"
		 "identity = %s\ncontainers = %s\ndeny_ports = 25 2525\n[exempt]\nmta = none\n"
		 "users =%s\ngroups =%s\ncgroups = %s\n", pick(4) ? "enforce" : "observe",
		 pick(3) ? "yes" : "no", pick(2) ? "effective" : "strict",
		 pick(3) ? "deny" : "exempt", users, pick(2) ? groups : "",
		 pick(2) ? strstr(inner, "/swtest") : "");
}

static void random_query(struct caller *c, struct sw_query *q, const char **dest, uint64_t ids[2])
{
	bool below = !pick(4);

	*c = (struct caller){
		.euid = pick_id(), .egid = pick_id(), .cgroup = below ? inner : wall.cgroup,
		.container = !pick(6),
	};
	c->ruid = pick(3) ? c->euid : pick_id();
	*dest = dests[pick(ARRAY_SIZE(dests))];
	*q = (struct sw_query){
		.euid = c->euid, .egid = c->egid, .ruid = c->ruid,
		.port = ports[pick(ARRAY_SIZE(ports))], .in_container = c->container,
		.cgroup = { ids[0], below ? ids[1] : 0 },
	};
	if (inet_pton(AF_INET6, *dest, q->addr) == 1)
		return;
	q->addr[10] = q->addr[11] = 0xff;
	assert_int_equal(inet_pton(AF_INET, *dest, q->addr + 12), 1);
}

/* Attempts by slot, over all accounts. */
static void slots(const struct sw_live *l, uint64_t n[_SW_N_MAX])
{
	struct sw_map_dump d;

	memset(n, 0, _SW_N_MAX * sizeof(n[0]));
	assert_int_equal(sw_map_dump(l->map_fd[SW_MAP_UID_STATS], &d), 0);
	for (size_t i = 0; i < d.n; i++)
		for (int slot = 0; slot < _SW_N_MAX; slot++)
			n[slot] += ((const struct sw_uid_stats *)sw_map_value(&d, i))->n[slot];
	sw_map_dump_free(&d);
}

static enum sw_slot slot_of(const struct sw_answer *a)
{
	if (a->reason == SW_BY_LOCAL)
		return SW_N_LOCAL;
	return a->verdict == SW_DENY ? SW_N_DENIED :
	       a->verdict == SW_OBSERVE ? SW_N_WOULD_DENY : SW_N_ALLOWED;
}

static void assert_agreed(const struct sw_live *l, uint64_t ids[2], const char *policy)
{
	uint64_t before[_SW_N_MAX], after[_SW_N_MAX];
	struct sw_answer a;
	const char *dest;
	struct caller c;
	struct sw_query q;
	int err;

	random_query(&c, &q, &dest, ids);
	assert_int_equal(sw_decide_live(l, &q, &a), 0);
	slots(l, before);
	err = caller_connect(&c, dest, q.port);
	assert_true(err >= 0);
	slots(l, after);
	if (a.smtp)
		before[slot_of(&a)]++;
	if ((a.verdict == SW_DENY) != (err == EPERM) || memcmp(before, after, sizeof(before)) != 0)
		fail_msg("uid %u/%u gid %u%s%s to %s port %u: explained as %s (%s), but the kernel "
			 "said '%s'; policy:\n%s", c.ruid, c.euid, c.egid,
			 c.container ? " container" : "", c.cgroup == inner ? " inner" : "", dest,
			 q.port, sw_verdict_name(a.verdict), sw_reason_name(a.reason),
			 strerror(err), policy);
}

static void explanation_is_what_the_kernel_does(void **state)
{
	const char *given = getenv("SMTPWALL_TEST_SEED");
	unsigned int seed = given ? (unsigned int)strtoul(given, NULL, 10) : (unsigned int)getpid();
	uint64_t ids[2];
	char text[512];

	(void)state;
	print_message("# seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < 2; i++) {
		_cleanup_close_ int fd = open(i ? inner : wall.cgroup, O_RDONLY | O_CLOEXEC);

		assert_int_equal(sw_cgroup_id(fd, &ids[i]), 0);
	}
	for (int i = 0; i < POLICIES; i++) {
		struct sw_live l;

		random_policy(text, sizeof(text));
		assert_int_equal(wall_apply(&wall, text), 0);
		wall_live(&wall, &l);
		for (int j = 0; j < QUERIES; j++)
			assert_agreed(&l, ids, text);
		sw_live_close(&l);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, clean)
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_in_force),
		TEST(healthy_without_a_canary),
		TEST(canary_is_counted_exactly),
		TEST(harmless_program_after_ours),
		TEST(program_that_undoes_ours),
		TEST(programs_before_ours),
		TEST(program_that_refuses_too),
		TEST(explanation_is_what_the_kernel_does),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	snprintf(inner, sizeof(inner), "%s/inner", wall.cgroup);
	if (mkdir(inner, 0755) < 0)
		return 99;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	clean(NULL);
	scene_rmdir(inner);
	wall_close(&wall);
	return failed ? 1 : 0;
}
