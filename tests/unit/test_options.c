/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line that all commands share: environment, options, errors. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "log.h"
#include "options.h"
#include "util.h"

#define MAX_ARGS 16

enum { OPT_ONE = SW_OPT_OWN, OPT_TWO };

static const struct option own[] = {
	{ "one", no_argument, NULL, OPT_ONE },
	{ "two", required_argument, NULL, OPT_TWO },
	{},
};

static const char *const variables[] = {
	"SMTPWALL_CONFIG", "SMTPWALL_CGROUP", "SMTPWALL_PIN_DIR", "SMTPWALL_STATE_DIR",
	"SMTPWALL_DISABLE", "NO_COLOR",
};

struct taken {
	unsigned int one, two;
	const char *arg;
	int give;	/* returned for --two */
};

static int take(int val, const char *arg, void *data)
{
	struct taken *t = data;

	if (val == OPT_ONE) {
		t->one++;
		return 0;
	}
	assert_int_equal(val, OPT_TWO);
	t->two++;
	t->arg = arg;
	return t->give;
}

static int reset(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(variables); i++)
		unsetenv(variables[i]);
	sw_log_max = SW_LOG_INFO;
	return 0;
}

/* What was printed to `fd` while the line was parsed. */
static char printed[16384];

/* Parses "status" and the words of `line`. */
static int parse(const char *line, struct taken *t, struct sw_options *o, int fd)
{
	int mem = memfd_create("printed", MFD_CLOEXEC), kept = dup(fd), n = 1, r;
	static char words[512];
	char *argv[MAX_ARGS] = { (char[]){ "status" } }, *save = NULL;
	ssize_t got;

	snprintf(words, sizeof(words), "%s", line);
	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[n++] = w;
	fflush(NULL);
	dup2(mem, fd);
	r = sw_options_parse(n, argv, "Usage: smtpwall status\n", own, take, t, o);
	fflush(NULL);
	dup2(kept, fd);
	got = pread(mem, printed, sizeof(printed) - 1, 0);
	printed[got > 0 ? got : 0] = '\0';
	close(mem);
	close(kept);
	return r;
}

static void test_defaults(void **state)
{
	struct sw_options o;
	struct taken t = {};

	(void)state;
	assert_int_equal(parse("", &t, &o, STDERR_FILENO), 0);
	assert_string_equal(o.target.pin_dir, "/sys/fs/bpf/smtpwall");
	assert_null(o.target.cgroup);
	assert_null(o.target.disable);
	assert_null(o.config);
	assert_false(o.config_named);
	assert_string_equal(o.state_dir, "/var/lib/smtpwall");
	assert_int_equal(o.format, SW_FORMAT_TABLE);
	assert_int_equal(sw_log_max, SW_LOG_INFO);
}

static void test_environment(void **state)
{
	struct sw_options o;
	struct taken t = {};

	(void)state;
	for (size_t i = 0; i < 5; i++)
		setenv(variables[i], "", 1);	/* empty is as good as not set */
	assert_int_equal(parse("", &t, &o, STDERR_FILENO), 0);
	assert_string_equal(o.target.pin_dir, "/sys/fs/bpf/smtpwall");
	assert_null(o.config);
	setenv("SMTPWALL_CONFIG", "/a", 1);
	setenv("SMTPWALL_CGROUP", "/b", 1);
	setenv("SMTPWALL_PIN_DIR", "/c", 1);
	setenv("SMTPWALL_STATE_DIR", "/d", 1);
	setenv("SMTPWALL_DISABLE", "e", 1);
	assert_int_equal(parse("", &t, &o, STDERR_FILENO), 0);
	assert_string_equal(o.config, "/a");
	assert_false(o.config_named);
	assert_string_equal(o.target.cgroup, "/b");
	assert_string_equal(o.target.pin_dir, "/c");
	assert_string_equal(o.state_dir, "/d");
	assert_string_equal(o.target.disable, "e");
	assert_int_equal(parse("--config /1 --cgroup /2 --pin-dir=/3 --state-dir /4", &t, &o,
			       STDERR_FILENO), 0);
	assert_string_equal(o.config, "/1");
	assert_true(o.config_named);
	assert_string_equal(o.target.cgroup, "/2");
	assert_string_equal(o.target.pin_dir, "/3");
	assert_string_equal(o.state_dir, "/4");
}

static void test_common(void **state)
{
	static const struct { const char *line; enum sw_format format; enum sw_log_level level; }
	rows[] = {
		{ "--format table", SW_FORMAT_TABLE, SW_LOG_INFO },
		{ "--format tsv", SW_FORMAT_TSV, SW_LOG_INFO },
		{ "--format=json -q", SW_FORMAT_JSON, SW_LOG_ERROR },
		{ "--format csv --quiet", SW_FORMAT_CSV, SW_LOG_ERROR },
		{ "-v", SW_FORMAT_TABLE, SW_LOG_DEBUG },
		{ "--verbose", SW_FORMAT_TABLE, SW_LOG_DEBUG },
		{ "--format json --format tsv", SW_FORMAT_TSV, SW_LOG_INFO },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_options o;
		struct taken t = {};

		reset(NULL);
		assert_int_equal(parse(rows[i].line, &t, &o, STDERR_FILENO), 0);
		assert_int_equal(o.format, rows[i].format);
		assert_int_equal(sw_log_max, rows[i].level);
	}
}

static void test_own_options(void **state)
{
	struct sw_options o;
	struct taken t = {};

	(void)state;
	assert_int_equal(parse("--one --two x --one rest of it", &t, &o, STDERR_FILENO), 0);
	assert_int_equal(t.one, 2);
	assert_int_equal(t.two, 1);
	assert_string_equal(t.arg, "x");
	assert_int_equal(optind, 5);	/* "rest" */

	t.give = SW_EXIT_USAGE;
	assert_int_equal(parse("--two x --one", &t, &o, STDERR_FILENO), SW_EXIT_USAGE);
	assert_int_equal(t.one, 2);	/* stopped at the bad one */
}

/* One line on standard error that has the bad word in it; nothing is written to the result. */
static void test_errors(void **state)
{
	static const struct { const char *line, *word; } rows[] = {
		{ "--bogus", "'--bogus'" },
		{ "-z", "'-z'" },
		{ "-qz", "'-z'" },
		{ "-zq", "'-z'" },
		{ "--quiet -zq", "'-z'" },
		{ "--one=yes", "'--one=yes'" },
		{ "--quiet=yes", "'--quiet=yes'" },
		{ "--config", "'--config'" },
		{ "--two", "'--two'" },
		{ "--c", "'--c'" },	/* could be --config or --cgroup */
		{ "--format xml", "'xml'" },
		{ "--format JSON", "'JSON'" },
		{ "--pin-dir relative", "'relative'" },
		{ "--pin-dir=", "''" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_options o = { .state_dir = "untouched" };
		struct taken t = {};

		assert_int_equal(parse(rows[i].line, &t, &o, STDERR_FILENO), SW_EXIT_USAGE);
		assert_string_equal(o.state_dir, "untouched");
		if (!strstr(printed, rows[i].word) ||
		    strchr(printed, '\n') != strrchr(printed, '\n'))
			fail_msg("%s: %s", rows[i].line, printed);
	}
}

static void test_help(void **state)
{
	static const char *const lines[] = { "--help", "-h", "--one --help", "-qh" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct sw_options o;
		struct taken t = {};

		assert_int_equal(parse(lines[i], &t, &o, STDOUT_FILENO), -1);
		assert_non_null(strstr(printed, "Usage: smtpwall status"));
		assert_non_null(strstr(printed, "--pin-dir"));
		assert_non_null(strstr(printed, "Exit status"));
	}
}

static void test_color(void **state)
{
	struct sw_options o;
	struct taken t = {};

	(void)state;
	assert_int_equal(parse("", &t, &o, STDOUT_FILENO), 0);	/* a file, no terminal */
	assert_false(o.color);
	assert_int_equal(parse("--no-color", &t, &o, STDOUT_FILENO), 0);
	assert_false(o.color);
}

static void test_exit_status(void **state)
{
	(void)state;
	assert_int_equal(sw_exit_status(0), 0);
	assert_int_equal(sw_exit_status(5), 0);
	assert_int_equal(sw_exit_status(-EINVAL), 2);
	assert_int_equal(sw_exit_status(-EPERM), 3);
	assert_int_equal(sw_exit_status(-EAGAIN), 3);
	assert_int_equal(sw_exit_status(-ENOMEM), 3);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, reset)
	const struct CMUnitTest tests[] = {
		TEST(test_defaults),
		TEST(test_environment),
		TEST(test_common),
		TEST(test_own_options),
		TEST(test_errors),
		TEST(test_help),
		TEST(test_color),
		TEST(test_exit_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
