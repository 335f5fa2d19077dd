/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of mountinfo, and cgroup paths that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* The parser is the module's own: it is compiled here under other names. */
#define sw_cgroup_open	own_cgroup_open
#define sw_cgroup_id	own_cgroup_id
#define sw_cgroup_enter	own_cgroup_enter
#define sw_cgroup_find	own_cgroup_find
#include "../../user/cgroup.c"

static const struct {
	const char *line;
	const char *point;	/* NULL: no cgroup v2 */
} lines[] = {
	{ "40 30 0:37 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw",
	  "/sys/fs/cgroup/unified" },
	{ "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate",
	  "/sys/fs/cgroup" },
	{ "30 24 0:26 / /a rw shared:9 master:2 propagate_from:3 - cgroup2 none rw", "/a" },
	{ "30 24 0:26 /docker/1 /mnt/part rw - cgroup2 cgroup2 rw", "/mnt/part" },
	{ "30 24 0:26 / /with\\040blank rw - cgroup2 c rw", "/with blank" },
	{ "30 24 0:26 / /tab\\011and\\012newline rw - cgroup2 c rw", "/tab\tand\nnewline" },
	{ "30 24 0:26 / /back\\134slash rw - cgroup2 c rw", "/back\\slash" },
	{ "30 24 0:26 / /\\134040 rw - cgroup2 c rw", "/\\040" },	/* decoded once */
	{ "30 24 0:26 / /no\\escape\\9 rw - cgroup2 c rw", "/no\\escape\\9" },
	{ "30 24 0:26 / /ends\\04 rw - cgroup2 c rw", "/ends\\04" },
	{ "30 24 0:26 / /\\377 rw - cgroup2 c rw", "/\xff" },
	{ "31 30 0:28 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu", NULL },
	{ "41 22 0:38 / /sys/fs/bpf rw - bpf bpf rw", NULL },
	{ "41 22 0:38 / /cgroup2 rw - tmpfs cgroup2 rw", NULL },
	{ "41 22 0:38 / /x rw - cgroup2x cgroup2 rw", NULL },
	{ "no mountinfo at all", NULL },
	{ "", NULL },
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		char line[256];
		const char *point;

		snprintf(line, sizeof(line), "%s", lines[i].line);
		point = v2_mount_point(line);
		if (!lines[i].point != !point)
			fail_msg("%s: %s", lines[i].line, point ? point : "none");
		if (point)
			assert_string_equal(point, lines[i].point);
	}
}

static void test_not_a_cgroup(void **state)
{
	static const struct { const char *path; int want; } rows[] = {
		{ "/tmp", -ENOTSUP }, { "/proc", -ENOTSUP }, { "/sys", -ENOTSUP },
		{ "/dev/null", -ENOTDIR }, { "/nonexistent", -ENOENT }, { "", -ENOENT },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char *path = NULL;
		int fd = -7;

		assert_int_equal(sw_cgroup_open(rows[i].path, &fd, &path), rows[i].want);
		assert_int_equal(fd, -7);	/* written on success only */
		assert_null(path);
	}
}

static void test_bad_descriptor(void **state)
{
	uint64_t id = 7;

	(void)state;
	assert_int_equal(sw_cgroup_id(-1, &id), -EBADF);
	assert_int_equal(id, 7);
	assert_int_equal(sw_cgroup_enter(-1), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_not_a_cgroup),
		cmocka_unit_test(test_bad_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
