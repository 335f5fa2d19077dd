/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Connect paths and identity, against the real kernel. Each case of the attack table is run
 * three times or more: with nothing in force it has to connect, or it would prove nothing; with
 * the policy it has to be refused, counted to the unit on the right row, and the listener must
 * not have got anything. All of it once with the kernel's features as found and once with every
 * optional feature forced off.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attack.h"
#include "log.h"
#include "netlab.h"
#include "util.h"
#include "wall.h"

#define PORT		25
#define CONTROL_PORT	2525
#define OPTIONAL	"custom_errno,task_btf,coarse_clock"

static struct netlab *lab;
static struct attack_ctx ctx;
static struct wall wall;

enum mode { OPEN, ENFORCE, OBSERVE, STRICT, GROUP, CONTAINERS };

static const char *const policy[] = {
	[ENFORCE] = "[policy]\n",
	[OBSERVE] = "[policy]\nmode = observe\n",
	[STRICT] = "[policy]\nidentity = strict\n",
	[GROUP] = "[policy]\n[exempt]\nusers = root mail\ngroups = 8\n",
	[CONTAINERS] = "[policy]\ncontainers = exempt\n",
};

struct one {
	const struct attack *a;
	enum mode mode;
	const char *disable;
};

/* What the case must come to under a mode. */
static bool expect_pass(const struct one *t)
{
	const struct attack *a = t->a;
	bool exempt_row = a->flags & (ATTACK_ROW_ROOT | ATTACK_ROW_MAIL);

	if (t->mode == OPEN || t->mode == OBSERVE)
		return true;
	if (!(a->flags & (ATTACK_TCP | ATTACK_IDENTITY)))
		return true;
	/* Root and mail in another namespace are refused, unless containers are exempt. */
	if (a->flags & (ATTACK_CONTAINER | ATTACK_NETNS))
		return t->mode == CONTAINERS && exempt_row;
	if (a->flags & ATTACK_TCP)
		return false;
	if (a->flags & ATTACK_GROUP)
		return t->mode == GROUP;
	if (t->mode == STRICT)
		return a->flags & ATTACK_PASS_STRICT;
	return a->flags & ATTACK_PASS_EFFECTIVE;
}

static enum sw_slot expect_slot(const struct one *t, bool pass)
{
	if (t->a->flags & ATTACK_LOCAL)
		return SW_N_LOCAL;
	if (!pass)
		return SW_N_DENIED;
	if (t->mode != OBSERVE)
		return SW_N_ALLOWED;
	return expect_pass(&(struct one){ t->a, ENFORCE, NULL }) ? SW_N_ALLOWED : SW_N_WOULD_DENY;
}

static struct sw_uid_key row_of(const struct one *t)
{
	const struct attack *a = t->a;

	if (a->flags & ATTACK_ROW_KERNEL)
		return (struct sw_uid_key){ 0, SW_ROW_KERNEL };
	if (a->flags & ATTACK_ROW_REAL)
		return (struct sw_uid_key){ t->mode == STRICT ? ctx.uid : 0, SW_ROW_UID };
	return (struct sw_uid_key){ attack_row(a, &ctx), SW_ROW_UID };
}

static int refusal(const struct one *t)
{
	if (t->a->flags & ATTACK_NO_ERRNO)
		return -ECONNREFUSED;
	return t->disable ? -EPERM : -wall_refusal();
}

static uint64_t accepted(const struct attack *a)
{
	uint64_t n = 0;

	if (a->flags & ATTACK_LOCAL)
		assert_int_equal(netlab_local_accepted(lab, &n), 0);
	else
		assert_int_equal(netlab_accepted(lab, PORT, &n), 0);
	return n;
}

/* Errors of the network that the policy never gives. On a busy machine a forwarded packet may be
 * late or its neighbour not yet known; then the case is run again, three times at most. */
static bool network_failed(int r)
{
	return r == -ETIMEDOUT || r == -EHOSTUNREACH || r == -ENETUNREACH;
}

static void run_and_judge(const struct one *t, int tries_left)
{
	const struct attack *a = t->a;
	uint64_t before = accepted(a), syns = 0, syns_after = 0;
	bool pass = expect_pass(t);
	bool counted = !(a->flags & (ATTACK_CONTROL | ATTACK_LIMIT));
	unsigned int n = pass ? attack_n_open(a) : attack_n_refused(a);
	struct sw_uid_stats row_before, row;
	uint64_t total = 0, origins = 0;
	char why[ATTACK_WHY];
	int r;

	if (t->mode != OPEN) {
		wall_row(&wall, row_of(t), &row_before);
		total = wall_total(&wall);
		origins = wall_total_origins(&wall);
	}
	assert_int_equal(netlab_syns(lab, PORT, &syns), 0);
	r = attack_run(a, &ctx, why);
	if (r == ATTACK_UNSUPPORTED) {
		print_message("# %s: not supported here: %s\n", a->name, why);
		skip();
	}
	if (r == ATTACK_BROKEN)
		fail_msg("%s is broken: %s", a->name, why);
	if (pass && network_failed(r) && tries_left) {
		print_message("# %s: %s; once more\n", a->name, strerror(-r));
		run_and_judge(t, tries_left - 1);
		return;
	}
	assert_int_equal(r, pass ? 0 : refusal(t));
	if (!pass) {
		assert_int_equal(accepted(a), before);
		assert_int_equal(netlab_syns(lab, PORT, &syns_after), 0);
		assert_int_equal(syns_after, syns);
	} else if (a->flags & (ATTACK_TCP | ATTACK_IDENTITY | ATTACK_LOCAL)) {
		assert_int_equal(accepted(a), before + attack_n_open(a));
	}
	if (t->mode == OPEN)
		return;
	wall_row(&wall, row_of(t), &row);
	assert_int_equal(row.n[expect_slot(t, pass)],
			 row_before.n[expect_slot(t, pass)] + (counted ? n : 0));
	assert_int_equal(wall_total(&wall), total + (counted ? n : 0));
	assert_int_equal(wall_total_origins(&wall), origins + (counted ? n : 0));
}

static void run_one(void **state)
{
	run_and_judge(*state, 2);
}

static bool wanted(const struct attack *a, enum mode mode)
{
	switch (mode) {
	case STRICT:
		return a->flags & ATTACK_IDENTITY;
	case GROUP:
		return a->flags & ATTACK_GROUP;
	case CONTAINERS:
		return a->flags & (ATTACK_CONTAINER | ATTACK_NETNS);
	default:
		return true;
	}
}

static int run_mode(enum mode mode, const char *disable, const char *label)
{
	size_t n = 0, count = attack_count();
	struct CMUnitTest *tests = calloc(count, sizeof(*tests));
	struct one *ones = calloc(count, sizeof(*ones));
	int failed;

	if (!tests || !ones)
		exit(99);
	wall.target.disable = disable ?: getenv("SMTPWALL_DISABLE");
	if (mode != OPEN && wall_apply(&wall, policy[mode]) < 0)
		exit(99);
	for (size_t i = 0; i < count; i++) {
		char *name;

		if (!wanted(attack_at(i), mode))
			continue;
		if (asprintf(&name, "%s: %s", label, attack_at(i)->name) < 0)
			exit(99);
		ones[n] = (struct one){ attack_at(i), mode, disable };
		tests[n] = (struct CMUnitTest){ .name = name, .test_func = run_one,
						.initial_state = &ones[n] };
		n++;
	}
	failed = _cmocka_run_group_tests(label, tests, n, NULL, NULL);
	for (size_t i = 0; i < n; i++)
		free((char *)tests[i].name);
	free(tests);
	free(ones);
	return failed;
}

/* One of the modes alone, or all; how long a case may take, in ms. */
int main(int argc, char **argv)
{
	struct netlab_opts opts = {
		.instance = -1, .port = PORT, .control_port = CONTROL_PORT, .local_port = PORT,
	};
	static const struct {
		enum mode mode;
		const char *disable, *label;
	} modes[] = {
		{ OPEN, NULL, "open" },
		{ ENFORCE, NULL, "enforce" },
		{ OBSERVE, NULL, "observe" },
		{ STRICT, NULL, "strict identity" },
		{ GROUP, NULL, "group" },
		{ CONTAINERS, NULL, "containers exempt" },
		{ ENFORCE, OPTIONAL, "enforce, old kernel" },
		{ STRICT, OPTIONAL, "strict, old kernel" },
	};
	int failed = 0, r;

	sw_log_max = SW_LOG_WARN;
	r = netlab_open(&opts, &lab);
	if (r < 0) {
		fprintf(stderr, "cannot build the test network: %s\n", strerror(-r));
		return 99;
	}
	netlab_context(lab, &ctx);
	wall_open(&wall);
	ctx.cgroup = wall.cgroup;
	if (argc > 2)
		ctx.timeout_ms = (int)strtol(argv[2], NULL, 10);

	for (size_t i = 0; i < ARRAY_SIZE(modes); i++)
		if (argc < 2 || strcmp(argv[1], modes[i].label) == 0)
			failed += run_mode(modes[i].mode, modes[i].disable, modes[i].label);

	wall_close(&wall);
	netlab_close(lab);
	return failed ? 1 : 0;
}
