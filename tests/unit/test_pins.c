/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pin directories that cannot be any, without root. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "pins.h"
#include "util.h"

static void test_places_that_cannot_be(void **state)
{
	static const struct { const char *dir; int want; } rows[] = {
		{ "", -EINVAL }, { "relative/dir", -EINVAL }, { ".", -EINVAL },
		{ "/", -ENOTSUP }, { "//", -ENOTSUP }, { "/tmp", -ENOTSUP }, { "/tmp/", -ENOTSUP },
		{ "/tmp/swtest-none/a/b", -ENOTSUP }, { "/dev/null/a", -ENOTSUP },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_pins p = { .lock_fd = -7 };

		if (sw_pins_open(rows[i].dir, true, &p) != rows[i].want)
			fail_msg("'%s'", rows[i].dir);
		assert_int_equal(p.lock_fd, -7);	/* written on success only */
	}
	assert_int_equal(access("/tmp/swtest-none", F_OK), -1);
}

static void test_looking_makes_nothing(void **state)
{
	struct sw_pins p;

	(void)state;
	assert_int_equal(sw_pins_open("/tmp/swtest-none/a", false, &p), 0);
	assert_string_equal(p.root, "/tmp/swtest-none/a");
	assert_string_equal(p.dir, "/tmp/swtest-none/a/v3");
	assert_false(p.exists);
	assert_int_equal(p.lock_fd, -1);
	sw_pins_close(&p);
	assert_int_equal(p.lock_fd, -1);
	sw_pins_close(&p);	/* twice does no harm */
	assert_int_equal(access("/tmp/swtest-none", F_OK), -1);
}

static void test_pins_that_are_not_there(void **state)
{
	(void)state;
	assert_int_equal(sw_pins_get("/tmp/swtest-none", "link_connect4"), -ENOENT);
	assert_int_equal(sw_pins_remove("/tmp/swtest-none", "link_connect4"), 0);
}

/* Only what carries our names goes: a directory of somebody else's, even an empty one, stays. */
static void test_sweep(void **state)
{
	static const char *const ours[] = { "v0", "v1", "v2", "v3", "v17", "new1", "new4194304" };
	static const char *const others[] = { "v", "new", "v1x", "vendor", "newer", "1", "V1" };
	char root[] = "/tmp/swtest-pins-XXXXXX", path[128];
	struct sw_pins p;

	(void)state;
	assert_non_null(mkdtemp(root));
	for (size_t i = 0; i < ARRAY_SIZE(ours) + ARRAY_SIZE(others); i++) {
		snprintf(path, sizeof(path), "%s/%s", root,
			 i < ARRAY_SIZE(ours) ? ours[i] : others[i - ARRAY_SIZE(ours)]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	assert_int_equal(sw_pins_open(root, false, &p), 0);
	assert_true(p.exists);
	assert_int_equal(sw_pins_sweep(&p, p.dir), 0);
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, ours[i]);
		assert_int_equal(access(path, F_OK), strcmp(ours[i], "v3") ? -1 : 0);
	}
	assert_true(p.exists);
	assert_int_equal(sw_pins_sweep(&p, NULL), 0);
	assert_false(p.exists);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, others[i]);
		assert_int_equal(rmdir(path), 0);
	}
	sw_pins_close(&p);
	assert_int_equal(rmdir(root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places_that_cannot_be),
		cmocka_unit_test(test_looking_makes_nothing),
		cmocka_unit_test(test_pins_that_are_not_there),
		cmocka_unit_test(test_sweep),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
