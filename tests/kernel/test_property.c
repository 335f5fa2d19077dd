/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 10,000 random connects under random policies: what the kernel does, what explain says of the
 * live policy and of the configuration, and what an oracle of this test says have to agree.
 * SMTPWALL_TEST_SEED=N gives another sequence, SMTPWALL_TEST_LONG=1 ten times as many.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "cast.h"
#include "log.h"
#include "mapread.h"
#include "observer.h"
#include "probe.h"
#include "usage.h"
#include "util.h"
#include "wall.h"

#define SEED		20260101
#define TUPLES		10000
#define TUPLES_OF_ONE	320	/* under one policy */
#define AT_LEAST	10	/* of each reason, or the test says nothing */
#define DENY_SECONDS	7200

/* One policy while it is asked. */
struct run {
	const struct model *m;
	struct sw_policy policy;
	struct sw_live live;
	struct observer observer;
};

/* One question. */
struct tuple {
	unsigned int who;
	struct actor_target to;
};

static struct wall wall;
static struct cast cast;
static struct model_world world;
static struct sw_addrs own;	/* addresses of this machine, at the last apply */
static struct run run;
static struct dice dice;
static char text[MODEL_TEXT];
static struct oracle_state used;
static unsigned int seen[_SW_VERDICT_MAX], why[_SW_REASON_MAX], not_smtp;

/* ---- one policy ---- */

static void forget_all(struct run *r, enum sw_map_id map)
{
	struct sw_map_dump d;

	assert_int_equal(sw_map_dump(r->live.map_fd[map], &d), 0);
	for (size_t i = 0; i < d.n; i++)
		assert_int_equal(bpf_map_delete_elem(r->live.map_fd[map], sw_map_key(&d, i)), 0);
	sw_map_dump_free(&d);
}

static void release_all(struct run *r)
{
	for (size_t i = 0; i < used.n_denied; i++)
		assert_int_equal(sw_deny_release(&r->live, used.denied[i]), 0);
	used.n_denied = 0;
}

static void empty_windows(struct run *r)
{
	forget_all(r, SW_MAP_USAGE);
	used.n = 0;
}

static int compare_addrs(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sw_addr));
}

/* Networks that tests make their links of come and go: a connect to one that is gone could leave
 * the machine. */
static bool stays(const struct sw_local_key *key)
{
	static const struct { const char *net; unsigned int len; } tests[] = {
		{ "::ffff:198.51.100.0", 120 }, { "::ffff:203.0.113.0", 120 },
		{ "::ffff:198.18.0.0", 111 }, { "2001:db8::", 32 }, { "fe80::", 10 },
	};
	uint8_t addr[16];

	memcpy(addr, key->addr, sizeof(addr));
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		if (oracle_in_network(addr, tests[i].net, tests[i].len))
			return false;
	return true;
}

/* The addresses of this machine as they were at the apply. */
static void read_own(const struct run *r)
{
	struct sw_map_dump d;

	assert_int_equal(sw_map_dump(r->live.map_fd[SW_MAP_LOCAL], &d), 0);
	free(own.item);
	own.item = calloc(d.n + 1, sizeof(*own.item));
	assert_non_null(own.item);
	own.n = 0;
	for (size_t i = 0; i < d.n; i++) {
		struct sw_local_key key;

		memcpy(&key, sw_map_key(&d, i), sizeof(key));
		if (key.generation == r->live.settings.generation && stays(&key))
			memcpy(own.item[own.n++].b, key.addr, sizeof(key.addr));
	}
	sw_map_dump_free(&d);
	qsort(own.item, own.n, sizeof(*own.item), compare_addrs);
	world.own = (const uint8_t (*)[16])(const void *)own.item;
	world.n_own = own.n;
	assert_true(own.n >= 2);	/* loopback of both families is always there */
}

static void begin(struct run *r, const struct model *m)
{
	*r = (struct run){ .m = m };
	model_write(m, &world, text);
	wall_policy(&wall, text, &r->policy);
	model_resolve(m, &r->policy);
	assert_int_equal(sw_apply(&wall.target, &r->policy), 0);
	wall_live(&wall, &r->live);
	assert_true(r->live.in_force);
	observer_open(&r->live, &r->observer);
	read_own(r);
	oracle_applied(m, &used);
	/* Most windows begin anew; the others have survived the apply. */
	if (dice_percent(&dice, 70))
		empty_windows(r);
	if (dice_percent(&dice, 85))
		release_all(r);
}

static void end(struct run *r)
{
	if (!r->m)
		return;
	observer_close(&r->observer);
	sw_live_close(&r->live);
	sw_policy_free(&r->policy);
	r->m = NULL;
}

/* What the kernel did. */
struct did {
	struct actor_saw saw;
	struct observed counted;
	unsigned int n_events;
	struct sw_event event;
};

static void act(struct run *r, const struct tuple *t, struct did *d)
{
	observer_begin(&r->observer);
	actor_connect(&cast.actor[t->who], &t->to, &d->saw);
	observer_end(&r->observer, &d->counted);
	d->n_events = r->observer.n_events;
	d->event = r->observer.event;
}

/* ---- agreement ---- */

static void complain(const struct tuple *t, const char *what, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));

static void complain(const struct tuple *t, const char *what, const char *fmt, ...)
{
	char addr[INET6_ADDRSTRLEN], who[160];
	va_list ap;

	inet_ntop(AF_INET6, t->to.addr, addr, sizeof(addr));
	fprintf(stderr, "%s\n# %s, to %s port %u%s%s\n", text,
		cast_describe(&cast, t->who, who, sizeof(who)), addr, t->to.port,
		t->to.bound ? ", bound" : "", t->to.v6_socket ? ", IPv6 socket" : "");
	fprintf(stderr, "# %s: ", what);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	fail();
	abort();	/* fail() has no such attribute */
}

static void same(const struct tuple *t, const char *what, const struct oracle_answer *want,
		 const struct sw_answer *a)
{
	if (a->smtp == want->smtp &&
	    (!a->smtp || (a->verdict == want->verdict && a->reason == want->reason)))
		return;
	complain(t, what, "%s (%s), the oracle says %s (%s)", sw_verdict_name(a->verdict),
		 sw_reason_name(a->reason), want->smtp ? sw_verdict_name(want->verdict) : "no SMTP",
		 sw_reason_name(want->reason));
}

static enum sw_slot slot_of(const struct oracle_answer *a)
{
	static const enum sw_slot slots[] = {
		[SW_ALLOW] = SW_N_ALLOWED, [SW_DENY] = SW_N_DENIED, [SW_OBSERVE] = SW_N_WOULD_DENY,
		[SW_LIMITED] = SW_N_LIMITED, [SW_REDIRECT] = SW_N_REDIRECTED,
	};

	return a->reason == SW_BY_LOCAL ? SW_N_LOCAL : slots[a->verdict];
}

static int refusal(const struct run *r)
{
	static const int errors[] = { ECONNREFUSED, EPERM, EHOSTUNREACH };

	return r->live.settings.has_set_retval ? errors[r->m->refuse_with] : EPERM;
}

/* Does what connect(2) said fit the verdict? A server on this machine may or may not be there, but
 * its refusal comes after connect(2) has returned. */
static bool fits(const struct run *r, const struct tuple *t, const struct oracle_answer *want,
		 const struct did *d)
{
	int error = d->saw.error;

	if (want->smtp && (want->verdict == SW_DENY || want->verdict == SW_LIMITED))
		return error == refusal(r);
	if (want->smtp && want->verdict == SW_REDIRECT)
		return d->saw.connected && d->saw.peer_is_target;
	if (error == ENETUNREACH)
		return true;
	return oracle_is_local(&world, t->to.addr) &&
	       (error == 0 || error == EINPROGRESS || error == EADDRNOTAVAIL || error == EINVAL);
}

static void check_kernel(const struct run *r, const struct tuple *t,
			 const struct oracle_answer *want, const struct did *d)
{
	if (!fits(r, t, want, d))
		complain(t, "connect(2)", "%s%s, the oracle says %s (%s)", strerror(d->saw.error),
			 d->saw.connected ? d->saw.peer_is_target ? ", connected" :
			 ", connected, but getpeername shows another" : "",
			 want->smtp ? sw_verdict_name(want->verdict) : "no SMTP",
			 sw_reason_name(want->reason));
	if (!want->smtp) {
		if (d->counted.n || d->n_events)
			complain(t, "the kernel", "counted what is no SMTP");
		return;
	}
	if (d->counted.n != 1 || d->counted.slot != slot_of(want) ||
	    d->counted.uid != want->charged)
		complain(t, "the counters", "slot %d of UID %u got %u; the oracle says slot %d of UID %u",
			 (int)d->counted.slot, d->counted.uid, d->counted.n, (int)slot_of(want),
			 want->charged);
	if (want->verdict == SW_ALLOW ? d->n_events != 0 :
	    d->n_events != 1 || d->event.verdict != want->verdict ||
	    d->event.reason != want->reason || d->event.charged_uid != want->charged)
		complain(t, "the event", "%u of them, verdict %s, reason %s; the oracle says %s (%s)",
			 d->n_events, sw_verdict_name((enum sw_verdict)d->event.verdict),
			 sw_reason_name((enum sw_reason)d->event.reason),
			 sw_verdict_name(want->verdict), sw_reason_name(want->reason));
}

/* Both ways of explaining name the same row, and an allow rule by its own line. */
static void check_place(const struct run *r, const struct tuple *t,
			const struct oracle_answer *want, const struct sw_answer *live,
			const struct sw_answer *file)
{
	bool by_rule = want->reason == SW_BY_RULE || want->reason == SW_BY_RULE_LIMIT;

	if (file->reason == live->reason &&
	    (live->line != file->line || strcmp(live->source, file->source) != 0 ||
	     live->kind != file->kind || (live->kind != SW_KIND_CGROUP && live->id != file->id)))
		complain(t, "the place", "live %s:%u, of the file %s:%u", live->source, live->line,
			 file->source, file->line);
	if (by_rule && live->line != r->policy.rules[want->rule].line)
		complain(t, "the rule", "line %u, the oracle says %u", live->line,
			 r->policy.rules[want->rule].line);
}

static void make_query(const struct tuple *t, struct sw_query *q)
{
	cast_query(&cast, t->who, q);
	q->port = t->to.port;
	q->bound_to_device = t->to.bound;
	memcpy(q->addr, t->to.addr, sizeof(q->addr));
}

/* An hour that turns in between makes all windows new; then nothing was learnt. */
static bool ask_all(struct run *r, const struct tuple *t)
{
	const struct oracle_who *w = &cast.who[t->who];
	static struct oracle_state fresh;
	struct oracle_answer want, of_file;
	struct sw_answer live, file;
	struct sw_query q;
	struct did did;
	uint32_t hour = sw_usage_hour(&r->live);

	make_query(t, &q);
	assert_int_equal(sw_decide_live(&r->live, &q, &live), 0);
	sw_decide_policy(&r->policy, &own, &q, &file);
	act(r, t, &did);
	if (sw_usage_hour(&r->live) != hour) {
		empty_windows(r);
		return false;
	}
	oracle_decide(r->m, &used, w, &world, t->to.addr, t->to.port, t->to.bound, &want);
	fresh.n = fresh.n_denied = 0;
	oracle_decide(r->m, &fresh, w, &world, t->to.addr, t->to.port, t->to.bound, &of_file);
	check_kernel(r, t, &want, &did);
	same(t, "explain, live", &want, &live);
	same(t, "explain --config", &of_file, &file);
	if (want.smtp)
		check_place(r, t, &want, &live, &file);
	if (want.smtp) {
		seen[want.verdict]++;
		why[want.reason]++;
	} else {
		not_smtp++;
	}
	return true;
}

/* Now and then the mail server itself, which must not be sent to itself. */
static unsigned int roll_who(const struct model *m)
{
	unsigned int who = dice_below(&dice, CAST_MEMBERS);

	if (m->mode == SW_MODE_REDIRECT && m->mail_uid && dice_percent(&dice, 10))
		while (cast.who[who].euid != m->mail_uid)
			who = (who + 1) % CAST_MEMBERS;
	return who;
}

static void roll_tuple(const struct model *m, struct tuple *t)
{
	*t = (struct tuple){ .who = roll_who(m) };
	model_roll_address(&dice, &world, m, t->to.addr);
	t->to.port = model_roll_port(&dice, m);
	t->to.v6_socket = dice_percent(&dice, 30);
	t->to.bound = dice_percent(&dice, 20);
	t->to.wait = m->mode == SW_MODE_REDIRECT && t->to.port == 25 && !t->to.bound;
}

static void maybe_deny_somebody(struct run *r)
{
	uint32_t uid = world.uid[dice_below(&dice, (uint32_t)world.n_uids)];

	if (dice_percent(&dice, 4))
		release_all(r);
	if (!dice_percent(&dice, 1) || oracle_denied(&used, uid))
		return;
	assert_int_equal(sw_deny_uid(&r->live, uid, DENY_SECONDS, SW_DENIED_BY_HAND), 0);
	used.denied[used.n_denied++] = uid;
}

static unsigned int under_one_policy(unsigned int n)
{
	static struct model m;
	unsigned int done = 0;

	model_roll(&dice, &world, &m);
	begin(&run, &m);
	while (done < n) {
		struct tuple t;

		roll_tuple(&m, &t);
		maybe_deny_somebody(&run);
		done += ask_all(&run, &t);
	}
	end(&run);
	cast_drain(&cast);
	return done;
}

static void say_what_was_seen(void)
{
	print_message("# not SMTP %u", not_smtp);
	for (int i = 0; i < _SW_VERDICT_MAX; i++)
		print_message(", %s %u", sw_verdict_name((enum sw_verdict)i), seen[i]);
	print_message("\n#");
	for (int i = SW_BY_LOCAL; i < _SW_REASON_MAX; i++)
		print_message(" %s %u", sw_reason_name((enum sw_reason)i), why[i]);
	print_message("\n");
}

/* No process can be a kernel thread; the others a kernel may lack. */
static bool cannot_be(enum sw_reason reason)
{
	return reason == SW_BY_KTHREAD || reason == SW_BY_SENDMAIL ||
	       (world.no_redirect && (reason == SW_BY_LOOP || reason == SW_BY_DEVICE)) ||
	       (world.no_cgroups && reason == SW_BY_EXEMPT_CGROUP);
}

static void all_agree(void **state)
{
	const char *seed = getenv("SMTPWALL_TEST_SEED");
	unsigned int want = getenv("SMTPWALL_TEST_LONG") ? 10 * TUPLES : TUPLES, n = 0;

	(void)state;
	dice.state = seed ? strtoull(seed, NULL, 10) : SEED;
	print_message("# seed %llu\n", (unsigned long long)dice.state);
	while (n < want)
		n += under_one_policy(TUPLES_OF_ONE);
	say_what_was_seen();
	if (seed)
		return;
	for (int i = SW_BY_LOCAL; i < _SW_REASON_MAX; i++)
		assert_true(why[i] >= AT_LEAST || cannot_be((enum sw_reason)i));
	for (int i = 0; i < _SW_VERDICT_MAX; i++)
		assert_true(seen[i] >= AT_LEAST || (i == SW_REDIRECT && world.no_redirect));
}

static int build_world(void **state)
{
	struct sw_features f;

	(void)state;
	wall_open(&wall);
	cast_open(&wall, &cast, &world);
	if (sw_features_probe(wall.target.disable, &f) < 0)
		return -1;
	world.no_redirect = !f.f[SW_FEAT_SOCKET_STORAGE].present;
	world.no_cgroups = !f.f[SW_FEAT_CGROUP_EVENTS].present;
	return 0;
}

static int leave_world(void **state)
{
	(void)state;
	end(&run);	/* of a test that failed */
	cast_close(&wall, &cast);
	wall_close(&wall);
	free(own.item);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(all_agree) };

	sw_log_max = SW_LOG_WARN;
	/* Ten thousand questions and answers between processes: each would wait for its turn. */
	setpriority(PRIO_PROCESS, 0, -15);
	return cmocka_run_group_tests(tests, build_world, leave_world) ? 1 : 0;
}
