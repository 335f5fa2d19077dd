/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * No gap and no mix with large policies: 10,000 allow rules and 100,000 exempt accounts each. Two
 * of them alternate while connects are hammered that only a mixture of both would let through, or
 * refuse.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "actor.h"
#include "big_policy.h"
#include "log.h"
#include "probe.h"
#include "scene.h"
#include "util.h"
#include "wall.h"

#define RULES	10000
#define USERS	100000
#define FLIPS	8

/* What A and B are about, beside the thousands that are the same for both or for nobody. */
#define NEVER	61010	/* denied by both */
#define EITHER	61011	/* A has a rule, B exempts: each alone lets it through */
#define LIMITED	61012	/* A has a rule and the limit 0; B has neither */
#define ONLY_A	61013	/* a rule of A */
#define ONLY_B	61014	/* exempt by B */
#define BOTH	(BIG_FIRST_UID + USERS / 2)	/* exempt by both, in the midst of all others */

/*
 * The cgroups x and y change their numbers, since rules name cgroups by number: in A y is the
 * second, in B the first. Numbers of one policy with rules of the other would let x go where only
 * y may.
 */
static const char head_a[] =
	"[policy]\nrefuse_with = refused\n[exempt]\nmta = none\nusers = root\n[allow]\n"
	"rule = cgroup %1$s/x to 233.252.0.30 port 25\n"
	"rule = cgroup %1$s/y to 233.252.0.31 port 25\n"
	"rule = user 61011 to 233.252.0.11 port 25\n"
	"rule = user 61012 to 233.252.0.12 port 25\n"
	"rule = user 61013 to 233.252.0.13 port 25\n"
	"rule = any to ff0e::db8:ffff:1 port 25\n"
	"[limit]\nuser 61012 = 0/day\n";
static const char head_b[] =
	"[policy]\nrefuse_with = permission\n[exempt]\nmta = none\nusers = root 61011 61014\n[allow]\n"
	"rule = cgroup %1$s/y to 233.252.0.31 port 25\n"
	"rule = cgroup %1$s/x to 233.252.0.30 port 25\n"
	"rule = any to ff0e::db8:ffff:1 port 25\n";

enum expect { ALLOWED, REFUSED, BY_A, BY_B };

/* Each is hammered by a process of its own. */
static const struct scene {
	const char *name;
	uint32_t uid;
	const char *cgroup;	/* below the wall's */
	const char *dest;
	enum expect expect;
} scenes[] = {
	{ "denied by both", NEVER, "", "::ffff:233.252.0.10", REFUSED },
	{ "denied by both, IPv6", NEVER, "", "ff0e::db8:ffff:2", REFUSED },
	{ "exempt by both", BOTH, "", "::ffff:233.252.0.10", ALLOWED },
	{ "a rule of both", NEVER, "", "ff0e::db8:ffff:1", ALLOWED },
	{ "a rule of A, exempt by B", EITHER, "", "::ffff:233.252.0.11", ALLOWED },
	{ "a cgroup's own rule", NEVER, "/x", "::ffff:233.252.0.30", ALLOWED },
	{ "the other cgroup's rule", NEVER, "/x", "::ffff:233.252.0.31", REFUSED },
	{ "a rule of A and its limit", LIMITED, "", "::ffff:233.252.0.12", REFUSED },
	{ "a rule of A alone", ONLY_A, "", "::ffff:233.252.0.13", BY_A },
	{ "exempt by B alone", ONLY_B, "", "::ffff:233.252.0.10", BY_B },
};

static struct wall wall;
static struct actor actor[ARRAY_SIZE(scenes)];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_policy(const char *head, uint32_t turn, struct sw_policy *ret)
{
	struct big_opts o = { .users = USERS, .rules = RULES, .turn = turn };
	char text[1024];
	double ms;

	/* The cgroup's path begins at the root of the hierarchy, where this one lies. */
	snprintf(text, sizeof(text), head, strrchr(wall.cgroup, '/'));
	o.head = text;
	big_policy(&o, ret, &ms);
	assert_true(ret->n_rules >= RULES && ret->n_exempt >= USERS);
	print_message("# %zu rules, %zu exempt accounts: read in %.0f ms\n", ret->n_rules,
		      ret->n_exempt, ms);
}

static void start_hammers(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++) {
		struct actor_target t = { .port = 25 };
		char dir[256];

		snprintf(dir, sizeof(dir), "%s%s", wall.cgroup, scenes[i].cgroup);
		inet_pton(AF_INET6, scenes[i].dest, t.addr);
		actor_start(&(struct actor_opts){ .ruid = scenes[i].uid, .euid = scenes[i].uid,
						  .egid = scenes[i].uid, .cgroup = dir },
			    &actor[i]);
		actor_hammer(&actor[i], &t, 1);
	}
}

/* A refuses with ECONNREFUSED, B with EPERM: an error of a policy that lets the connect through
 * would be a mix as well. Where the kernel cannot choose, both say EPERM. */
static bool is_right(const struct scene *s, const struct actor_count *c, bool can_choose)
{
	uint64_t by_a = c->refused[ECONNREFUSED], by_b = c->refused[EPERM], other = 0;

	for (int i = 0; i < ACTOR_ERRNO_MAX; i++)
		if (i != ECONNREFUSED && i != EPERM)
			other += c->refused[i];
	print_message("# %-28s passed %8llu, refused by A %8llu, by B %8llu\n", s->name,
		      (unsigned long long)c->passed, (unsigned long long)by_a,
		      (unsigned long long)by_b);
	if (other)
		return false;
	switch (s->expect) {
	case ALLOWED:
		return c->passed && !by_a && !by_b;
	case REFUSED:
		return !c->passed && (by_a || !can_choose) && by_b;
	case BY_A:
		return c->passed && !by_a && by_b;
	default:
		return c->passed && (can_choose ? by_a && !by_b : by_b);
	}
}

static void no_gap_and_no_mix(void **state)
{
	struct sw_policy a, b;
	double longest = 0, total = 0;
	unsigned int wrong = 0;
	struct sw_features f;

	(void)state;
	assert_int_equal(sw_features_probe(wall.target.disable, &f), 0);
	if (!f.f[SW_FEAT_CGROUP_EVENTS].present) {
		print_message("# the policies name cgroups, which this kernel cannot follow\n");
		skip();
	}
	make_policy(head_a, 0, &a);
	make_policy(head_b, 1, &b);
	assert_int_equal(sw_apply(&wall.target, &a), 0);
	start_hammers();
	for (int i = 0; i < FLIPS; i++) {
		double began = now(), took;

		assert_int_equal(sw_apply(&wall.target, i & 1 ? &a : &b), 0);
		took = now() - began;
		total += took;
		longest = took > longest ? took : longest;
	}
	for (size_t i = 0; i < ARRAY_SIZE(scenes); i++) {
		struct actor_count saw[ACTOR_TARGETS];

		actor_stop(&actor[i], saw);
		wrong += !is_right(&scenes[i], &saw[0], f.f[SW_FEAT_CUSTOM_ERRNO].present);
	}
	print_message("# %d applies under load, %.0f ms each, %.0f ms at most\n", FLIPS,
		      total / FLIPS * 1e3, longest * 1e3);
	sw_policy_free(&a);
	sw_policy_free(&b);
	assert_int_equal(wrong, 0);
}

static int make_cgroups(void **state)
{
	char dir[256];

	(void)state;
	wall_open(&wall);
	snprintf(dir, sizeof(dir), "%s/x", wall.cgroup);
	return mkdir(dir, 0755);
}

static int remove_all(void **state)
{
	char dir[256];

	(void)state;
	snprintf(dir, sizeof(dir), "%s/x", wall.cgroup);
	scene_rmdir(dir);
	wall_close(&wall);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(no_gap_and_no_mix) };

	sw_log_max = SW_LOG_WARN;
	return cmocka_run_group_tests(tests, make_cgroups, remove_all) ? 1 : 0;
}
