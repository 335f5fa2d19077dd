/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "names.h"
#include "util.h"

static void test_id_parse(void **state)
{
	static const struct { const char *in; int want; uint32_t id; } rows[] = {
		{ "0",			0,	 0 },
		{ "1001",		0,	 1001 },
		{ "0010",		0,	 10 },
		{ "4294967294",		0,	 4294967294U },
		{ "4294967295",		-ERANGE, 0 },	/* (uid_t)-1 means "no such user" */
		{ "4294967296",		-ERANGE, 0 },	/* would be 0 in 32 bits */
		{ "18446744073709551616", -ERANGE, 0 },	/* would be 0 in 64 bits */
		{ "",			-EINVAL, 0 },
		{ "-1",			-EINVAL, 0 },
		{ "+1",			-EINVAL, 0 },
		{ " 1",			-EINVAL, 0 },
		{ "1 ",			-EINVAL, 0 },
		{ "0x10",		-EINVAL, 0 },
		{ "root",		-EINVAL, 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t id = 77;
		int r = sw_id_parse(rows[i].in, &id);

		print_message("# '%s'\n", rows[i].in);
		assert_int_equal(r, rows[i].want);
		assert_int_equal(id, r ? 77 : rows[i].id);
	}
}

static void test_resolve(void **state)
{
	static const struct {
		bool group;
		const char *in;
		int want;
		uint32_t id;
		const char *name;
	} rows[] = {
		{ false, "root",	 0,	  0,	      "root" },
		{ false, "0",		 0,	  0,	      "root" },
		{ false, "daemon",	 0,	  1,	      "daemon" },
		{ false, "4100000001",	 0,	  4100000001U, "4100000001" },	/* no account */
		{ false, "no-such-user", -ENOENT, 0,	      NULL },
		{ false, "",		 -EINVAL, 0,	      NULL },
		{ false, "4294967295",	 -ERANGE, 0,	      NULL },
		{ true,	 "root",	 0,	  0,	      "root" },
		{ true,	 "1",		 0,	  1,	      "daemon" },
		{ true,	 "4100000001",	 0,	  4100000001U, "4100000001" },
		{ true,	 "no-such-group", -ENOENT, 0,	      NULL },
		{ true,	 "4294967295",	 -ERANGE, 0,	      NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *name = NULL;
		uint32_t id = 77, bare = 77;
		int (*resolve)(const char *, uint32_t *, char **) =
			rows[i].group ? sw_group_resolve : sw_user_resolve;

		print_message("# %s '%s'\n", rows[i].group ? "group" : "user", rows[i].in);
		assert_int_equal(resolve(rows[i].in, &id, &name), rows[i].want);
		assert_int_equal(resolve(rows[i].in, &bare, NULL), rows[i].want);
		assert_int_equal(id, rows[i].want ? 77 : rows[i].id);
		assert_int_equal(bare, id);
		if (rows[i].name)
			assert_string_equal(name, rows[i].name);
		else
			assert_null(name);
	}
}

static void test_uid_min(void **state)
{
	static const struct { const char *text; uint32_t want; } rows[] = {
		{ NULL,						1000 },	/* no file */
		{ "",						1000 },
		{ "UID_MIN\t\t\t 500\n",			500 },
		{ "  UID_MIN 2000",				2000 },
		{ "#UID_MIN 500\n",				1000 },
		{ "SYS_UID_MIN 100\nUID_MIN 1234\n",		1234 },
		{ "SUB_UID_MIN 100000\nUID_MINIMUM 7\n",	1000 },
		{ "UID_MIN many\n",				1000 },
		{ "UID_MIN\n",					1000 },
	};
	char root[] = "/tmp/sw-names-XXXXXX", dir[64], path[96];
	size_t i;

	(void)state;
	assert_non_null(mkdtemp(root));
	snprintf(dir, sizeof(dir), "%s/etc", root);
	snprintf(path, sizeof(path), "%s/login.defs", dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].text) {
			FILE *f = fopen(path, "w");

			assert_non_null(f);
			fputs(rows[i].text, f);
			fclose(f);
		}
		print_message("# row %zu\n", i);
		assert_int_equal(sw_uid_min(root), rows[i].want);
	}
	unlink(path);
	rmdir(dir);
	rmdir(root);
}

static void test_system_account(void **state)
{
	uint32_t uid_min = sw_uid_min("");

	(void)state;
	assert_true(sw_uid_is_system(0));
	assert_true(sw_uid_is_system(uid_min - 1));
	assert_false(sw_uid_is_system(uid_min));
	assert_false(sw_uid_is_system(65534));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_id_parse),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_uid_min),
		cmocka_unit_test(test_system_account),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
