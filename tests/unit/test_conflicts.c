/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other tools that handle outgoing SMTP, found by their files below a root directory. */
#include <ftw.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "health.h"
#include "util.h"

#define CSF	"/etc/csf/csf.conf"
#define IMUNIFY	"/etc/sysconfig/imunify360/imunify360.config"
#define CPANEL	"/var/cpanel/smtpgidonlytweak"

static char root[] = "/tmp/swtest-conflicts-XXXXXX";

static int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/swtest-conflicts-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level ? remove(path) : 0;	/* the root itself stays */
}

static void empty(void)
{
	assert_int_equal(nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static int remove_root(void **state)
{
	(void)state;
	empty();
	return rmdir(root);
}

/* A file below the root, with its directories. */
static void put(const char *path, const char *text)
{
	char full[PATH_MAX];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root); (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	f = fopen(full, "we");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

/* How many are found, and whether the first one is about `word`. */
static size_t found(const char *word)
{
	struct sw_texts t = {};
	size_t n;

	sw_conflicts_find(root, &t);
	n = t.n;
	if (n && word)
		assert_non_null(strstr(t.item[0], word));
	sw_texts_free(&t);
	return n;
}

static void test_none(void **state)
{
	struct sw_texts t = {};

	(void)state;
	assert_int_equal(found(NULL), 0);
	sw_conflicts_find("/nonexistent", &t);
	assert_int_equal(t.n, 0);
}

static void test_csf(void **state)
{
	static const struct { const char *text; size_t n; } rows[] = {
		{ "SMTP_BLOCK = \"1\"\n", 1 },
		{ "TESTING = \"0\"\n\n# text\nSMTP_BLOCK = \"1\"\nSMTP_PORTS = \"25\"\n", 1 },
		{ "SMTP_BLOCK=\"1\"\n", 1 },
		{ "  SMTP_BLOCK   =   \"1\"  \r\n", 1 },
		{ "SMTP_BLOCK = \"1\"", 1 },		/* no newline at the end */
		{ "SMTP_BLOCK = \"0\"\n", 0 },
		{ "SMTP_BLOCK = \"\"\n", 0 },
		{ "#SMTP_BLOCK = \"1\"\n", 0 },
		{ "# SMTP_BLOCK = \"1\" blocks mail\nSMTP_BLOCK = \"0\"\n", 0 },
		{ "SMTP_BLOCKED = \"1\"\n", 0 },
		{ "SMTP_PORTS = \"1\"\n", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put(CSF, rows[i].text);
		if (found("CSF") != rows[i].n)
			fail_msg("%s", rows[i].text);
	}
}

static void test_imunify(void **state)
{
	static const struct { const char *text; size_t n; } rows[] = {
		{ "SMTP_BLOCKING:\n  allow_groups: []\n  allow_local: false\n  enable: true\n", 1 },
		{ "SMTP_BLOCKING:\n  enable: True\n", 1 },
		{ "SMTP_BLOCKING:\n    enable: yes\n", 1 },
		{ "SMTP_BLOCKING:\n\tenable:   true\n", 1 },
		{ "SMTP_BLOCKING:\n\n# a comment\n  enable: true\n", 1 },
		{ "WEBSHIELD:\n  enable: false\nSMTP_BLOCKING:\n  enable: true\n", 1 },
		{ "SMTP_BLOCKING:\n  enable: false\nWEBSHIELD:\n  enable: true\n", 0 },
		{ "SMTP_BLOCKING:\n  ports:\n  - 25\nWEBSHIELD:\n  enable: true\n", 0 },
		{ "WEBSHIELD:\n  enable: true\n", 0 },
		{ "#SMTP_BLOCKING:\n  enable: true\n", 0 },
		{ "SMTP_BLOCKING:\n  # enable: true\n", 0 },
		{ "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		put(IMUNIFY, rows[i].text);
		if (found("Imunify360") != rows[i].n)
			fail_msg("%s", rows[i].text);
	}
}

static void test_cpanel(void **state)
{
	(void)state;
	put(CPANEL, "");
	assert_int_equal(found("cPanel"), 1);
}

static void test_csm(void **state)
{
	static const char *const paths[] = { "/opt/csm/csm.yaml", "/etc/csm/csm.yaml" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		put(paths[i], "");
		assert_int_equal(found("CSM"), 1);
		empty();
	}
}

static void test_all_at_once(void **state)
{
	(void)state;
	put(CSF, "SMTP_BLOCK = \"1\"\n");
	put(IMUNIFY, "SMTP_BLOCKING:\n  enable: true\n");
	put(CPANEL, "");
	put("/etc/csm/csm.yaml", "");
	put("/opt/csm/csm.yaml", "");
	assert_int_equal(found(NULL), 4);
}

/* Files of any content, a directory in a file's place: no more than "not found". */
static void test_odd_files(void **state)
{
	static char text[200000];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	put(CSF, text);
	put(IMUNIFY, text);
	assert_int_equal(found(NULL), 0);
	empty();
	put(CSF "/file", "");
	put(IMUNIFY "/file", "");
	assert_int_equal(found(NULL), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		TEST(test_none),
		TEST(test_csf),
		TEST(test_imunify),
		TEST(test_cpanel),
		TEST(test_csm),
		TEST(test_all_at_once),
		TEST(test_odd_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
