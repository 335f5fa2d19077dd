/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A policy as settings and rows. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "rows.h"
#include "util.h"

/* A kernel that has everything, or nothing. */
static struct sw_features features(bool present)
{
	struct sw_features f = {};

	for (int i = 0; i < _SW_FEAT_MAX; i++)
		f.f[i].present = present;
	return f;
}

static void test_refuse_errno(void **state)
{
	(void)state;
	assert_int_equal(sw_refuse_errno(SW_REFUSE_REFUSED), ECONNREFUSED);
	assert_int_equal(sw_refuse_errno(SW_REFUSE_PERMISSION), EPERM);
	assert_int_equal(sw_refuse_errno(SW_REFUSE_UNREACHABLE), EHOSTUNREACH);
}

static void test_default_settings(void **state)
{
	struct sw_features all = features(true), none = features(false);
	struct sw_settings s;
	struct sw_policy p;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	sw_rows_settings(&p, &all, 7, &s);
	assert_int_equal(s.generation, 7);
	assert_int_equal(s.mode, SW_MODE_ENFORCE);
	assert_int_equal(s.refuse_errno, ECONNREFUSED);
	assert_int_equal(s.n_ports, 3);
	assert_int_equal(s.n_deny_ports, 1);
	assert_int_equal(s.ports[0], 25);
	assert_int_equal(s.ports[1], 465);
	assert_int_equal(s.ports[2], 587);
	assert_int_equal(s.ports[3], 0);
	assert_int_equal(s.allow_local, 1);
	assert_int_equal(s.identity_strict, 0);
	assert_int_equal(s.containers_exempt, 0);
	assert_int_equal(s.strict_raw, 0);
	assert_int_equal(s.has_gids, 0);
	assert_int_equal(s.cgroup_levels, 0);
	assert_int_equal(s.count_origins, 1);
	assert_int_equal(s.has_task_btf, 1);
	assert_int_equal(s.has_set_retval, 1);
	assert_int_equal(s.has_coarse_clock, 1);

	/* An old kernel cannot choose the errno: what it does is what is said. */
	sw_rows_settings(&p, &none, 8, &s);
	assert_int_equal(s.refuse_errno, EPERM);
	assert_int_equal(s.has_task_btf, 0);
	assert_int_equal(s.has_set_retval, 0);
	assert_int_equal(s.has_coarse_clock, 0);
	sw_policy_free(&p);
}

static void test_each_feature_is_its_own(void **state)
{
	struct sw_policy p;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	for (int i = 0; i < _SW_FEAT_MAX; i++) {
		struct sw_features one = features(false);
		struct sw_settings s;

		one.f[i].present = true;
		sw_rows_settings(&p, &one, 1, &s);
		assert_int_equal(s.has_task_btf, i == SW_FEAT_TASK_BTF);
		assert_int_equal(s.has_set_retval, i == SW_FEAT_CUSTOM_ERRNO);
		assert_int_equal(s.has_coarse_clock, i == SW_FEAT_COARSE_CLOCK);
	}
	sw_policy_free(&p);
}

static void test_settings_of_the_policy(void **state)
{
	struct sw_features all = features(true);
	struct sw_settings s;
	struct sw_policy p;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	p.mode = SW_MODE_OBSERVE;
	p.refuse_with = SW_REFUSE_UNREACHABLE;
	p.allow_local = false;
	p.identity_strict = p.containers_exempt = p.strict = true;
	assert_int_equal(sw_policy_add_exempt(&p, SW_KIND_GID, 12, "mail", 0, 3), 0);
	sw_policy_cgroup(&p, "/a/b/c", 99)->exempt = true;
	sw_policy_cgroup(&p, "/a", 98)->exempt = true;
	sw_policy_cgroup_who(&p, sw_policy_cgroup(&p, "/a/b", 97));
	sw_rows_settings(&p, &all, 1, &s);
	assert_int_equal(s.mode, SW_MODE_OBSERVE);
	assert_int_equal(s.refuse_errno, EHOSTUNREACH);
	assert_int_equal(s.allow_local, 0);
	assert_int_equal(s.identity_strict, 1);
	assert_int_equal(s.containers_exempt, 1);
	assert_int_equal(s.strict_raw, 1);
	assert_int_equal(s.has_gids, 1);
	assert_int_equal(s.cgroup_levels, 3);	/* of the deepest */
	assert_int_equal(s.rule_cgroup_levels, 2);
	assert_int_equal(s.watch_cgroups, 1);
	sw_policy_free(&p);
}

static void test_ports(void **state)
{
	struct sw_features all = features(true);
	struct sw_settings s;
	struct sw_policy p;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	for (size_t i = 0; i < SW_MAX_PORTS; i++) {
		p.deny_ports[i] = (uint16_t)(100 + i);
		p.count_ports[i] = (uint16_t)(200 + i);
	}
	p.n_deny_ports = 10;
	p.n_count_ports = SW_MAX_PORTS - 10;
	sw_rows_settings(&p, &all, 1, &s);
	assert_int_equal(s.n_deny_ports, 10);
	assert_int_equal(s.n_ports, SW_MAX_PORTS);
	assert_int_equal(s.ports[9], 109);
	assert_int_equal(s.ports[10], 200);

	/* More than fit must not run over, whatever let them in: deny ports go first. */
	p.n_deny_ports = p.n_count_ports = SW_MAX_PORTS;
	sw_rows_settings(&p, &all, 1, &s);
	assert_int_equal(s.n_deny_ports, SW_MAX_PORTS);
	assert_int_equal(s.n_ports, SW_MAX_PORTS);
	assert_int_equal(s.ports[SW_MAX_PORTS - 1], 115);
	sw_policy_free(&p);
}

/* One account's share of the table: enough for a real one, never all of it. */
static void test_share_of_origins(void **state)
{
	static const struct { uint32_t table, share; } rows[] = {
		{ 16, 3 }, { 64, 9 }, { 8191, 1024 }, { 8192, 1024 }, { 16384, 1024 },
		{ 4194304, 1024 },
	};
	struct sw_features all = features(true);
	struct sw_settings s;
	struct sw_policy p;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		p.max_origins = rows[i].table;
		sw_rows_settings(&p, &all, 1, &s);
		assert_int_equal(s.max_origins_per_uid, rows[i].share);
	}
	sw_policy_free(&p);
}

static void test_exempt_rows(void **state)
{
	struct sw_exempt_key *key;
	struct sw_exempt_val *val;
	struct sw_policy p;
	uint32_t file;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	file = (uint32_t)sw_policy_add_source(&p, "/etc/smtpwall/smtpwall.conf");
	assert_int_equal(file, 1);
	assert_int_equal(sw_policy_add_exempt(&p, SW_KIND_GID, 4294967294U, "g", file, 12), 0);
	assert_int_equal(sw_policy_add_exempt(&p, SW_KIND_MAIL_UID, 7, "exim", file, 13), 0);
	assert_int_equal(sw_rows_exempt(&p, 42, &key, &val), 0);
	for (size_t i = 0; i < p.n_exempt; i++) {
		assert_int_equal(key[i].generation, 42);
		assert_int_equal(key[i].kind, p.exempt[i].kind);
		assert_int_equal(key[i].id, p.exempt[i].id);
		assert_int_equal(val[i].source, p.exempt[i].source);
		assert_int_equal(val[i].line, p.exempt[i].line);
	}
	free(key);
	free(val);
	sw_policy_free(&p);
}

static void test_no_exempt_rows(void **state)
{
	struct sw_exempt_key *key = NULL;
	struct sw_exempt_val *val = NULL;
	struct sw_policy p = {};

	(void)state;
	assert_int_equal(sw_rows_exempt(&p, 1, &key, &val), 0);
	assert_non_null(key);
	assert_non_null(val);
	free(key);
	free(val);
	/* Nothing to write: the map is not even looked at. */
	assert_int_equal(sw_rows_write(-1, NULL, NULL, sizeof(*key), sizeof(*val), 0), 0);
}

static void test_a_map_that_is_none(void **state)
{
	struct sw_policy p = {};

	(void)state;
	assert_int_equal(sw_rows_newest(-1), 0);
	assert_true(sw_rows_verify_exempt(-1, &p, 1) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refuse_errno),
		cmocka_unit_test(test_default_settings),
		cmocka_unit_test(test_each_feature_is_its_own),
		cmocka_unit_test(test_settings_of_the_policy),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_share_of_origins),
		cmocka_unit_test(test_exempt_rows),
		cmocka_unit_test(test_no_exempt_rows),
		cmocka_unit_test(test_a_map_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
