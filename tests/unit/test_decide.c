/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The decision function, compiled here with a world of its own. The rows are the documentation. */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "decide.bpf.h"
#include "util.h"

#define MAIL	8		/* exempt, like root */
#define GROUP	12		/* an exempt group */
#define REMOTE	"192.0.2.1"
#define OWN	"203.0.113.5"	/* an address of this machine */

/* Who asks, and how often each question was asked. */
struct sw_env {
	uint32_t ruid, euid, egid;
	uint32_t cred_uid;	/* of real_cred: another one under an io_uring personality */
	bool kthread, container, cgroup, unreadable;
	unsigned int asked_exempt, asked_own, asked_host, asked_cgroup, asked_rules;
};

static inline void sw_env_identify(struct sw_env *env, struct sw_ids *ids)
{
	ids->kthread = env->kthread;
	ids->ruid = env->unreadable ? SW_NOBODY : env->ruid;
	ids->euid = env->unreadable ? SW_NOBODY : env->euid;
	ids->egid = env->unreadable ? SW_NOBODY : env->egid;
	ids->real_ruid = env->unreadable ? SW_NOBODY : env->cred_uid;
}

static inline bool sw_env_exempt(struct sw_env *env, __u32 kind, __u64 id)
{
	env->asked_exempt++;
	if (kind == SW_KIND_UID)
		return id == 0 || id == MAIL;
	return kind == SW_KIND_GID && id == GROUP;
}

static inline bool sw_env_own_address(struct sw_env *env, const struct sw_flow *f)
{
	env->asked_own++;
	return f->addr[2] == htonl(0xffff) && f->addr[3] == inet_addr(OWN);
}

static inline bool sw_env_in_host(struct sw_env *env)
{
	env->asked_host++;
	return !env->container;
}

static inline bool sw_env_cgroup_exempt(struct sw_env *env)
{
	env->asked_cgroup++;
	return env->cgroup;
}

/* Rules, limits and redirect: test_decide_rules.c. The policies here have none. */
static inline bool sw_env_denied_now(struct sw_env *env, __u32 uid)
{
	(void)env;
	(void)uid;
	return false;
}

static inline bool sw_env_rule(struct sw_env *env, __u32 kind, __u32 who, const struct sw_flow *f,
			       struct sw_rule *rule)
{
	(void)kind;
	(void)who;
	(void)f;
	(void)rule;
	env->asked_rules++;
	return false;
}

static inline bool sw_env_cgroup_rule(struct sw_env *env, const struct sw_flow *f,
				      struct sw_rule *rule)
{
	return sw_env_rule(env, SW_KIND_CGROUP, 0, f, rule);
}

static inline bool sw_env_limit(struct sw_env *env, __u32 kind, __u64 id, __u32 channel,
				struct sw_pair *quota)
{
	(void)kind;
	(void)id;
	(void)channel;
	(void)quota;
	env->asked_rules++;
	return false;
}

static inline bool sw_env_take(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id,
			       struct sw_quota quota)
{
	(void)channel;
	(void)at;
	(void)id;
	(void)quota;
	env->asked_rules++;
	return true;
}

static inline void sw_env_give_back(struct sw_env *env, enum sw_at at, __u32 channel, __u64 id)
{
	(void)channel;
	(void)env;
	(void)at;
	(void)id;
}

static inline bool sw_env_mail_server(struct sw_env *env, __u32 uid)
{
	(void)env;
	(void)uid;
	return false;
}

static inline bool sw_env_bound_to_device(struct sw_env *env)
{
	(void)env;
	return false;
}

static const struct sw_settings defaults = {
	.mode = SW_MODE_ENFORCE, .allow_local = 1, .has_gids = 1, .cgroup_levels = 3,
	.ports = { 25, 465, 587 }, .n_deny_ports = 1, .n_ports = 3,
};

static struct sw_flow flow_to(const char *dest, uint16_t port)
{
	struct sw_flow f = { .port = port };

	if (strchr(dest, ':')) {
		assert_int_equal(inet_pton(AF_INET6, dest, f.addr), 1);
		return f;
	}
	f.addr[2] = htonl(0xffff);
	assert_int_equal(inet_pton(AF_INET, dest, &f.addr[3]), 1);
	return f;
}

static struct sw_decision ask(struct sw_env *env, const struct sw_settings *set, const char *dest,
			      uint16_t port)
{
	struct sw_flow f = flow_to(dest, port);
	struct sw_decision d = { .verdict = 0xff, .reason = 0xff, .slot = 0xff };

	sw_decide(env, set, &f, sw_port_kind(set, port), &d);
	return d;
}

struct want {
	enum sw_verdict verdict;
	enum sw_reason reason;
	uint32_t charged;
};

struct who {
	const char *name;
	struct sw_env env;
	struct want effective, strict;	/* identity = ... */
};

#define ALL(u)		.ruid = (u), .euid = (u), .egid = 1000, .cred_uid = (u)
#define REAL_EFF(r, e)	.ruid = (r), .euid = (e), .egid = 1000, .cred_uid = (r)
#define DENIED(who)	{ SW_DENY, SW_BY_POLICY, who }
#define BY_UID(who)	{ SW_ALLOW, SW_BY_EXEMPT_UID, who }
#define BY_GID(who)	{ SW_ALLOW, SW_BY_EXEMPT_GID, who }
#define BY_REAL(who)	{ SW_DENY, SW_BY_REAL_UID, who }

static const struct who identities[] = {
	{ "an ordinary account", { ALL(1001) }, DENIED(1001), DENIED(1001) },
	{ "root", { ALL(0) }, BY_UID(0), BY_UID(0) },
	{ "mail", { ALL(MAIL) }, BY_UID(MAIL), BY_UID(MAIL) },
	{ "seteuid(1001) of root", { REAL_EFF(0, 1001) }, DENIED(1001), DENIED(1001) },
	{ "set-uid root program of 1001", { REAL_EFF(1001, 0) }, BY_UID(1001), BY_REAL(1001) },
	{ "set-uid mail program of 1001", { REAL_EFF(1001, MAIL) }, BY_UID(1001), BY_REAL(1001) },
	{ "set-uid 1002 program of 1001", { REAL_EFF(1001, 1002) }, DENIED(1002), DENIED(1002) },
	{ "set-uid mail program of root", { REAL_EFF(0, MAIL) }, BY_UID(MAIL), BY_UID(MAIL) },
	{ "set-uid root program of mail", { REAL_EFF(MAIL, 0) }, BY_UID(0), BY_UID(0) },
	{ "setresuid(1000, 1001, 1002)", { REAL_EFF(1000, 1001) }, DENIED(1001), DENIED(1001) },
	/* setfsuid, fchown and the socket's creator do not come into it: only the caller's ids. */
	{ "setfsuid(1001) of root", { ALL(0) }, BY_UID(0), BY_UID(0) },
	{ "root with the socket of 1001", { ALL(0) }, BY_UID(0), BY_UID(0) },
	{ "1001 with the socket of root", { ALL(1001) }, DENIED(1001), DENIED(1001) },
	{ "root of a user namespace of 1001", { ALL(1001) }, DENIED(1001), DENIED(1001) },
	{ "1001 under root's io_uring personality",
	  { .ruid = 0, .euid = 0, .egid = 0, .cred_uid = 1001 }, BY_UID(0), BY_REAL(1001) },
	{ "root under 1001's io_uring personality",
	  { .ruid = 1001, .euid = 1001, .egid = 1001, .cred_uid = 0 }, DENIED(1001),
	  DENIED(1001) },
	{ "member of an exempt primary group", { .ruid = 1001, .euid = 1001, .egid = GROUP,
	  .cred_uid = 1001 }, BY_GID(1001), BY_REAL(1001) },
	{ "set-gid program run by mail", { .ruid = MAIL, .euid = 1001, .egid = GROUP,
	  .cred_uid = MAIL }, BY_GID(1001), BY_GID(1001) },
	{ "root whose group is exempt too", { .ruid = 0, .euid = 0, .egid = GROUP },
	  BY_UID(0), BY_UID(0) },
	{ "ids that cannot be read", { .unreadable = true }, DENIED(SW_NOBODY),
	  DENIED(SW_NOBODY) },
};

static void assert_want(const char *name, const struct sw_decision *d, const struct want *w)
{
	enum sw_slot slot = w->verdict == SW_DENY ? SW_N_DENIED : SW_N_ALLOWED;

	if (d->verdict != w->verdict || d->reason != w->reason || d->charge.uid != w->charged ||
	    d->charge.row != SW_ROW_UID || d->slot != slot)
		fail_msg("%s: verdict %u reason %u slot %u charged %u row %u", name, d->verdict,
			 d->reason, d->slot, d->charge.uid, d->charge.row);
}

static void test_identities(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(identities); i++) {
		const struct who *who = &identities[i];
		struct sw_settings set = defaults;
		struct sw_env env = who->env;
		struct sw_decision d;

		d = ask(&env, &set, REMOTE, 25);
		assert_want(who->name, &d, &who->effective);
		assert_int_equal(env.asked_rules, 0);
		set.identity_strict = 1;
		env = who->env;
		d = ask(&env, &set, REMOTE, 25);
		assert_want(who->name, &d, &who->strict);
	}
}

/* In another network or PID namespace no UID and no group counts, but a cgroup does. */
static void test_containers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(identities); i++) {
		const struct who *who = &identities[i];
		struct want want = who->effective;
		struct sw_settings set = defaults;
		struct sw_env env = who->env;
		struct sw_decision d;

		env.container = true;
		if (want.verdict == SW_ALLOW)
			want = (struct want){ SW_DENY, SW_BY_CONTAINER, want.charged };
		d = ask(&env, &set, REMOTE, 25);
		assert_want(who->name, &d, &want);

		env.cgroup = true;
		want = (struct want){ SW_ALLOW, SW_BY_EXEMPT_CGROUP, want.charged };
		d = ask(&env, &set, REMOTE, 25);
		assert_want(who->name, &d, &want);
		set.cgroup_levels = 0;	/* the policy names no cgroup: none is asked for */
		env.asked_cgroup = 0;
		ask(&env, &set, REMOTE, 25);
		assert_int_equal(env.asked_cgroup, 0);

		set.containers_exempt = 1;
		env = who->env;
		env.container = true;
		d = ask(&env, &set, REMOTE, 25);
		assert_want(who->name, &d, &who->effective);
		assert_int_equal(env.asked_host, 0);
	}
}

static void test_cgroups(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(identities); i++) {
		const struct who *who = &identities[i];
		struct sw_settings set = defaults;
		struct want want = who->strict;
		struct sw_env env = who->env;
		struct sw_decision d;

		set.identity_strict = 1;
		env.cgroup = true;
		if (want.verdict == SW_DENY)
			want = (struct want){ SW_ALLOW, SW_BY_EXEMPT_CGROUP, want.charged };
		d = ask(&env, &set, REMOTE, 25);
		assert_want(who->name, &d, &want);
	}
}

static void test_no_group_rows(void **state)
{
	struct sw_env env = { .ruid = 1001, .euid = 1001, .egid = GROUP, .cred_uid = 1001 };
	struct sw_settings set = defaults;
	struct sw_decision d;

	(void)state;
	set.has_gids = 0;
	d = ask(&env, &set, REMOTE, 25);
	assert_want("group without group rows", &d, &(struct want)DENIED(1001));
	assert_int_equal(env.asked_exempt, 1);
}

/* A connect the kernel itself makes (an MPTCP join): never exempt, on a row of its own. */
static void test_kernel_threads(void **state)
{
	static const struct {
		const char *dest;
		uint16_t port;
		enum sw_mode mode;
		enum sw_verdict verdict;
		enum sw_reason reason;
		enum sw_slot slot;
	} rows[] = {
		{ REMOTE, 25, SW_MODE_ENFORCE, SW_DENY, SW_BY_KTHREAD, SW_N_DENIED },
		{ REMOTE, 587, SW_MODE_ENFORCE, SW_DENY, SW_BY_KTHREAD, SW_N_DENIED },
		{ REMOTE, 25, SW_MODE_OBSERVE, SW_OBSERVE, SW_BY_KTHREAD, SW_N_WOULD_DENY },
		{ "127.0.0.1", 25, SW_MODE_ENFORCE, SW_ALLOW, SW_BY_LOCAL, SW_N_LOCAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_env env = { ALL(0), .kthread = true, .cgroup = true };
		struct sw_settings set = defaults;
		struct sw_decision d;

		set.mode = rows[i].mode;
		d = ask(&env, &set, rows[i].dest, rows[i].port);
		assert_int_equal(d.verdict, rows[i].verdict);
		assert_int_equal(d.reason, rows[i].reason);
		assert_int_equal(d.slot, rows[i].slot);
		assert_int_equal(d.charge.row, SW_ROW_KERNEL);
		assert_int_equal(d.charge.uid, 0);
		assert_int_equal(env.asked_exempt + env.asked_cgroup, 0);
	}
}

static const struct {
	const char *dest;
	bool loopback;
} places[] = {
	{ "127.0.0.1", true }, { "127.0.0.0", true }, { "127.255.255.255", true },
	{ "127.200.1.2", true }, { "0.0.0.0", true }, { "::1", true }, { "::", true },
	{ "::ffff:127.0.0.1", true }, { "::ffff:127.9.9.9", true }, { "::ffff:0.0.0.0", true },
	{ "126.255.255.255", false }, { "128.0.0.0", false }, { "0.0.0.1", false },
	{ "0.127.0.0", false }, { "1.0.0.127", false }, { "192.0.2.127", false },
	{ "::2", false }, { "::127.0.0.1", false }, { "::7f00:1:0", false }, { "1::", false },
	{ "::1:0:0:1", false }, { "1::1", false }, { "::fffe:127.0.0.1", false },
	{ "::ffff:0:127.0.0.1", false }, { "64:ff9b::127.0.0.1", false }, { "fe80::1", false },
	{ "::ffff:192.0.2.1", false }, { "2001:db8::1", false }, { "0:0:0:1::1", false },
};

static void test_local(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		struct sw_flow f = flow_to(places[i].dest, 25);
		struct sw_settings set = defaults;
		struct sw_env env = { ALL(1001) };
		struct sw_decision d;

		if (sw_flow_is_loopback(&f) != places[i].loopback)
			fail_msg("%s", places[i].dest);
		d = ask(&env, &set, places[i].dest, 25);
		assert_int_equal(d.verdict, places[i].loopback ? SW_ALLOW : SW_DENY);
		assert_int_equal(d.slot, places[i].loopback ? SW_N_LOCAL : SW_N_DENIED);
		assert_int_equal(d.charge.uid, 1001);
		assert_int_equal(env.asked_own, !places[i].loopback);
		set.allow_local = 0;
		d = ask(&env, &set, places[i].dest, 25);
		assert_int_equal(d.reason, SW_BY_POLICY);
		assert_int_equal(d.slot, SW_N_DENIED);
	}
}

static void test_own_address(void **state)
{
	static const char *const forms[] = { OWN, "::ffff:" OWN };
	struct sw_settings set = defaults;
	struct sw_env env = { ALL(1001) };
	struct sw_decision d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		d = ask(&env, &set, forms[i], 25);
		assert_int_equal(d.reason, SW_BY_LOCAL);
		assert_int_equal(d.slot, SW_N_LOCAL);
	}
	/* Local comes before exempt: the slot is that of local, whoever asks. */
	env = (struct sw_env){ ALL(0) };
	d = ask(&env, &set, OWN, 587);
	assert_int_equal(d.reason, SW_BY_LOCAL);
	assert_int_equal(env.asked_host + env.asked_cgroup, 0);
	set.allow_local = 0;
	env = (struct sw_env){ ALL(1001) };
	d = ask(&env, &set, OWN, 25);
	assert_int_equal(d.reason, SW_BY_POLICY);
	assert_int_equal(env.asked_own, 0);
}

static void test_count_ports(void **state)
{
	static const uint16_t ports[] = { 465, 587 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		struct sw_settings set = defaults;
		struct sw_env env = { ALL(1001) };
		struct sw_decision d = ask(&env, &set, REMOTE, ports[i]);

		assert_want("count port", &d, &(struct want){ SW_ALLOW, SW_BY_COUNT_PORT, 1001 });
		env = (struct sw_env){ ALL(0) };
		d = ask(&env, &set, REMOTE, ports[i]);
		assert_want("exempt at a count port", &d, &(struct want)BY_UID(0));
		/* Exempt on the host only: that is what a count port is for all the same. */
		env.container = true;
		d = ask(&env, &set, REMOTE, ports[i]);
		assert_want("container", &d, &(struct want){ SW_ALLOW, SW_BY_COUNT_PORT, 0 });
	}
}

/* Observe counts what enforce would deny, and changes nothing else. */
static void test_observe(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(identities); i++) {
		struct sw_settings set = defaults;
		struct sw_env a = identities[i].env, b = a;
		struct sw_decision enforce = ask(&a, &set, REMOTE, 25), observe;

		set.mode = SW_MODE_OBSERVE;
		observe = ask(&b, &set, REMOTE, 25);
		if (enforce.verdict == SW_DENY) {
			enforce.verdict = SW_OBSERVE;
			enforce.slot = SW_N_WOULD_DENY;
		}
		assert_int_equal(observe.verdict, enforce.verdict);
		assert_int_equal(observe.reason, enforce.reason);
		assert_int_equal(observe.slot, enforce.slot);
		assert_int_equal(observe.charge.uid, enforce.charge.uid);
	}
}

/* In the kernel each question costs a lookup: what need not be known is not asked. */
static void test_nothing_is_asked_in_vain(void **state)
{
	struct sw_settings set = defaults;
	struct sw_env env = { ALL(1001) };

	(void)state;
	set.cgroup_levels = 0;
	ask(&env, &set, REMOTE, 25);
	assert_int_equal(env.asked_exempt, 2);	/* UID, group */
	assert_int_equal(env.asked_host, 0);	/* nothing to confirm */
	env = (struct sw_env){ ALL(0) };
	ask(&env, &set, REMOTE, 25);
	assert_int_equal(env.asked_exempt, 1);
	assert_int_equal(env.asked_host, 1);
	assert_int_equal(env.asked_cgroup, 0);
}

static void test_port_kind(void **state)
{
	struct sw_settings set = {
		.ports = { 25, 2525, 465, 587 }, .n_deny_ports = 2, .n_ports = 4,
	};

	(void)state;
	assert_int_equal(sw_port_kind(&set, 25), SW_PORT_DENY);
	assert_int_equal(sw_port_kind(&set, 2525), SW_PORT_DENY);
	assert_int_equal(sw_port_kind(&set, 465), SW_PORT_COUNT);
	assert_int_equal(sw_port_kind(&set, 587), SW_PORT_COUNT);
	assert_int_equal(sw_port_kind(&set, 0), SW_PORT_OTHER);	/* unused entries are zero */
	assert_int_equal(sw_port_kind(&set, 6400), SW_PORT_OTHER);	/* 25 the other way round */
	for (__u16 i = 0; i < SW_MAX_PORTS; i++)
		set.ports[i] = 100 + i;
	set.n_deny_ports = set.n_ports = SW_MAX_PORTS;
	assert_int_equal(sw_port_kind(&set, 100 + SW_MAX_PORTS - 1), SW_PORT_DENY);
	assert_int_equal(sw_port_kind(&set, 100 + SW_MAX_PORTS), SW_PORT_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_identities),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_cgroups),
		cmocka_unit_test(test_no_group_rows),
		cmocka_unit_test(test_kernel_threads),
		cmocka_unit_test(test_local),
		cmocka_unit_test(test_own_address),
		cmocka_unit_test(test_count_ports),
		cmocka_unit_test(test_observe),
		cmocka_unit_test(test_nothing_is_asked_in_vain),
		cmocka_unit_test(test_port_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
