/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "names.h"
#include "policy.h"
#include "util.h"

/* Every promise of the built-in default. */
static void test_default(void **state)
{
	struct sw_policy p;
	uid_t mail;
	bool has_mail;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	assert_int_equal(p.mode, SW_MODE_ENFORCE);
	assert_int_equal(p.n_deny_ports, 1);
	assert_int_equal(p.deny_ports[0], 25);
	assert_int_equal(p.n_count_ports, 2);
	assert_int_equal(p.count_ports[0], 465);
	assert_int_equal(p.count_ports[1], 587);
	assert_int_equal(p.refuse_with, SW_REFUSE_REFUSED);
	assert_int_equal(p.mta, SW_MTA_AUTO);
	assert_true(p.allow_local);
	assert_true(p.existing_close);
	assert_false(p.containers_exempt);
	assert_false(p.strict);
	assert_false(p.identity_strict);
	assert_int_equal(p.max_uids, 32768);
	assert_int_equal(p.max_origins, 16384);
	assert_int_equal(p.event_buffer, 512 * 1024);

	assert_int_equal(p.n_sources, 1);
	assert_string_equal(p.sources[0], "built-in default");
	has_mail = sw_user_resolve("mail", &mail, NULL) == 0 && sw_uid_is_system(mail);
	assert_int_equal(p.n_exempt, has_mail ? 2 : 1);
	assert_non_null(sw_policy_find(&p, SW_KIND_UID, 0));
	assert_string_equal(p.exempt[0].name, "root");
	if (has_mail)
		assert_string_equal(sw_policy_find(&p, SW_KIND_UID, mail)->name, "mail");
	sw_policy_free(&p);
}

static void test_free_twice(void **state)
{
	struct sw_policy p;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	sw_policy_free(&p);
	assert_int_equal(p.n_exempt, 0);
	assert_null(p.exempt);
	sw_policy_free(&p);
}

static void test_sources(void **state)
{
	static const struct { const char *text; int want; } rows[] = {
		{ "built-in default",	0 },	/* there already */
		{ "/etc/a.conf",	1 },
		{ "/etc/b.conf",	2 },
		{ "/etc/a.conf",	1 },
	};
	struct sw_policy p;
	size_t i;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		assert_int_equal(sw_policy_add_source(&p, rows[i].text), rows[i].want);
	assert_int_equal(p.n_sources, 3);
	sw_policy_free(&p);
}

static void test_exempt(void **state)
{
	static const struct {
		enum sw_kind kind;
		uint64_t id;
		const char *name;
		uint32_t line;
		size_t n;		/* entries afterwards */
		uint32_t want_line;	/* of the entry that is found */
	} rows[] = {
		{ SW_KIND_UID, 7, "alice", 3, 1, 3 },
		{ SW_KIND_UID, 7, "other", 9, 1, 3 },	/* left as it was */
		{ SW_KIND_GID, 7, "web", 4, 2, 4 },	/* another kind */
		{ SW_KIND_MAIL_UID, 7, "exim", 5, 3, 5 },
	};
	struct sw_policy p = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct sw_exempt *e;

		print_message("# %s\n", rows[i].name);
		assert_int_equal(sw_policy_add_exempt(&p, rows[i].kind, rows[i].id, rows[i].name,
						      1, rows[i].line), 0);
		assert_int_equal(p.n_exempt, rows[i].n);
		e = sw_policy_find(&p, rows[i].kind, rows[i].id);
		assert_non_null(e);
		assert_int_equal(e->line, rows[i].want_line);
		assert_int_equal(e->source, 1);
	}
	assert_string_equal(sw_policy_find(&p, SW_KIND_UID, 7)->name, "alice");
	assert_null(sw_policy_find(&p, SW_KIND_UID, 8));
	assert_null(sw_policy_find(&p, SW_KIND_GID, 1ULL << 32 | 7));
	sw_policy_free(&p);
}

static void test_cgroups(void **state)
{
	static const struct { const char *path; uint8_t level; } rows[] = {
		{ "/a", 1 }, { "/a.slice/b.service", 2 }, { "/a/b/c", 3 },
	};
	struct sw_policy p = { 0 };
	struct sw_policy_cgroup *c;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		c = sw_policy_cgroup(&p, rows[i].path, i);
		assert_non_null(c);
		assert_string_equal(c->path, rows[i].path);
		assert_int_equal(c->level, rows[i].level);
		assert_int_equal(c->id, i);
	}
	c = sw_policy_cgroup(&p, "/a", 99);	/* it is there already */
	assert_int_equal(p.n_cgroups, ARRAY_SIZE(rows));
	assert_int_equal(c->id, 0);
	/* Numbers are given once, and none is 0. */
	assert_int_equal(sw_policy_cgroup_who(&p, &p.cgroups[1]), 2);
	assert_int_equal(sw_policy_cgroup_who(&p, &p.cgroups[0]), 1);
	assert_int_equal(sw_policy_cgroup_who(&p, &p.cgroups[1]), 2);
	assert_int_equal(p.cgroups[2].who, 0);
	sw_policy_free(&p);
}

static void add_rule(struct sw_policy *p, const char *text, int want, size_t want_other)
{
	struct sw_allow_rule r = { .kind = SW_KIND_ANY, .text = strdup(text), .n_dest = 0 };
	size_t other = 99;

	assert_int_equal(sw_policy_add_rule(p, &r, &other), want);
	if (!want)
		return;
	assert_int_equal(other, want_other);
	sw_allow_rule_free(&r);
}

static void test_rules(void **state)
{
	static const uint8_t addr[2][16] = { { 1 }, { 2 } };
	struct sw_policy p = { 0 }, q = { 0 };

	(void)state;
	add_rule(&p, "any to ::/0", 0, 0);
	add_rule(&p, "user 7 to ::/0", 0, 0);
	add_rule(&p, "user 7 to ::/0", -EEXIST, 1);
	assert_int_equal(p.n_rules, 2);
	/* The same rule has the same window after an apply, wherever it stands. */
	add_rule(&q, "user 7 to ::/0", 0, 0);
	assert_true(p.rules[1].id == q.rules[0].id);
	assert_true(p.rules[0].id != p.rules[1].id);
	assert_int_equal(sw_policy_set_addresses(&p, 0, addr, 2), 0);
	assert_int_equal(p.rules[0].n_dest, 2);
	assert_int_equal(p.rules[0].dest[1].addr[0], 2);
	assert_int_equal(p.rules[0].dest[1].len, 128);
	assert_int_equal(sw_policy_set_addresses(&p, 0, addr, 0), 0);
	assert_int_equal(p.rules[0].n_dest, 0);
	sw_policy_free(&p);
	sw_policy_free(&q);
}

static void test_limits(void **state)
{
	struct sw_policy_limit l = { .kind = SW_KIND_UID, .id = 7, .quotas = { { { 1, 2 } } }, .line = 1 };
	struct sw_policy p = { 0 };

	(void)state;
	assert_null(sw_policy_find_limit(&p, SW_KIND_UID, 7));
	l.by_group = true;
	assert_int_equal(sw_policy_add_limit(&p, &l), 0);
	assert_int_equal(sw_policy_add_limit(&p, &l), -EEXIST);
	/* The account's own takes the place of its group's, not the other way round. */
	l.by_group = false;
	l.line = 2;
	assert_int_equal(sw_policy_add_limit(&p, &l), 0);
	assert_int_equal(sw_policy_find_limit(&p, SW_KIND_UID, 7)->line, 2);
	l.by_group = true;
	l.line = 3;
	assert_int_equal(sw_policy_add_limit(&p, &l), -EEXIST);
	assert_int_equal(sw_policy_find_limit(&p, SW_KIND_UID, 7)->line, 2);
	assert_int_equal(p.n_limits, 1);
	for (uint32_t i = 0; i < 1000; i++) {
		l.kind = SW_KIND_GID;
		l.id = i;
		assert_int_equal(sw_policy_add_limit(&p, &l), 0);
	}
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(sw_policy_find_limit(&p, SW_KIND_GID, i)->id, i);
	assert_null(sw_policy_find_limit(&p, SW_KIND_GID, 1000));
	sw_policy_free(&p);
}

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(sw_mode_name(SW_MODE_ENFORCE), "enforce");
	assert_string_equal(sw_mode_name(SW_MODE_OBSERVE), "observe");
	assert_string_equal(sw_mode_name(SW_MODE_REDIRECT), "redirect");
	assert_string_equal(sw_kind_name(SW_KIND_UID), "user");
	assert_string_equal(sw_kind_name(SW_KIND_GID), "group");
	assert_string_equal(sw_kind_name(SW_KIND_CGROUP), "cgroup");
	assert_string_equal(sw_verdict_name(SW_ALLOW), "allow");
	assert_string_equal(sw_verdict_name(SW_DENY), "deny");
	assert_string_equal(sw_verdict_name(SW_OBSERVE), "observe");
	assert_string_equal(sw_verdict_name(SW_LIMITED), "limited");
	assert_string_equal(sw_verdict_name(SW_REDIRECT), "redirect");
	/* Values come out of kernel records: never NULL. */
	assert_string_equal(sw_mode_name(_SW_MODE_MAX), "unknown");
	assert_string_equal(sw_kind_name((enum sw_kind)0), "unknown");
	assert_string_equal(sw_kind_name(_SW_KIND_MAX), "unknown");
	assert_string_equal(sw_verdict_name((enum sw_verdict)255), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_free_twice),
		cmocka_unit_test(test_sources),
		cmocka_unit_test(test_exempt),
		cmocka_unit_test(test_cgroups),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_words),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
