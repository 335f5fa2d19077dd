/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking other programs: bounded in time and output, and never one that others could have changed. */
#include <errno.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "ask.h"
#include "util.h"

#define SH(script)	((const char *const[]){ "/bin/sh", "-c", script, NULL })
#define LINES		200000

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void test_answers(void **state)
{
	static const struct {
		const char *script, *want;
		size_t max;
	} rows[] = {
		{ "echo one; echo two", "one\ntwo\n", 100 },
		{ "echo one; echo two", "one\nt", 5 },
		{ "true", "", 100 },
		{ "echo unseen >&2", "", 100 },
		{ "read line; echo \"$line\"", "\n", 100 },	/* nothing to read */
		{ "echo $HOME$USER$LD_PRELOAD", "\n", 100 },	/* no environment */
		{ "pwd", "/\n", 100 },
		{ "printf 'a\\000b'", "a", 100 },
	};
	char *text;

	(void)state;
	setenv("HOME", "/unseen", 1);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s\n", rows[i].script);
		assert_int_equal(sw_ask(SH(rows[i].script), 10000, rows[i].max, &text), 0);
		assert_string_equal(text, rows[i].want);
		free(text);
	}
}

/* All of it, over many reads; or the beginning, without stopping the program. */
static void test_long_answer(void **state)
{
	char script[64];
	char *text;

	(void)state;
	snprintf(script, sizeof(script), "seq 1 %d", LINES);
	assert_int_equal(sw_ask(SH(script), 10000, 16 << 20, &text), 0);
	assert_non_null(strstr(text, "\n199999\n200000\n"));
	assert_int_equal(strlen(text), 1288895);
	free(text);
	assert_int_equal(sw_ask(SH(script), 10000, 5000, &text), 0);
	assert_int_equal(strlen(text), 5000);
	free(text);
}

static void test_failures(void **state)
{
	static const struct {
		const char *script;
		int want;
	} rows[] = {
		{ "exit 1", -EPROTO }, { "echo text; exit 3", -EPROTO }, { "kill -9 $$", -EPROTO },
		{ "sleep 60", -ETIMEDOUT }, { "exec >&-; sleep 60", -ETIMEDOUT },
		{ "sleep 60 & echo gone", -ETIMEDOUT },	/* its child holds the output */
		{ "while :; do echo x; done", -ETIMEDOUT },
	};
	char *text = NULL;
	int64_t begin;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s\n", rows[i].script);
		begin = now_ms();
		assert_int_equal(sw_ask(SH(rows[i].script), rows[i].want == -EPROTO ? 10000 : 200, 1000,
					&text), rows[i].want);
		assert_null(text);
		assert_true(now_ms() - begin < 10000);
	}
}

/* Whether it has ended, reaped by its new parent or not. */
static bool is_gone(int pid)
{
	char path[64], state = 'Z';
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z';
	if (f)
		fclose(f);
	return state == 'Z';
}

/* What it leaves in the background goes, too. */
static void test_background(void **state)
{
	static const struct timespec pause = { .tv_nsec = 10000000 };
	char *text;
	int pid, tries = 0;

	(void)state;
	assert_int_equal(sw_ask(SH("sleep 60 >/dev/null 2>&1 & echo $!"), 10000, 100, &text), 0);
	assert_int_equal(sscanf(text, "%d", &pid), 1);
	free(text);
	while (!is_gone(pid) && tries++ < 500)
		nanosleep(&pause, NULL);
	assert_true(is_gone(pid));
}

static void test_trust(void **state)
{
	char path[] = "/tmp/swtest-ask-XXXXXX", *text = NULL;
	const char *const missing[] = { "/nonexistent/program", NULL };
	const char *const below[] = { "/bin/sh/program", NULL };
	const char *const relative[] = { "sh", NULL };
	const char *const directory[] = { "/bin", NULL };
	const char *const ours[] = { path, NULL };
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(dprintf(fd, "#!/bin/sh\necho ours\n"), 20);
	close(fd);
	assert_int_equal(sw_ask(missing, 1000, 100, &text), -ENOENT);
	assert_int_equal(sw_ask(below, 1000, 100, &text), -ENOENT);
	assert_int_equal(sw_ask(relative, 1000, 100, &text), -EPERM);
	assert_int_equal(sw_ask(directory, 1000, 100, &text), -EPERM);
	for (mode_t others = 0020; others; others = others == 0020 ? 0002 : 0) {
		assert_int_equal(chmod(path, 0700 | others), 0);
		assert_int_equal(sw_ask(ours, 1000, 100, &text), -EPERM);
	}
	assert_int_equal(chmod(path, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(sw_ask(ours, 10000, 100, &text), 0);
		assert_string_equal(text, "ours\n");
		free(text);
	} else {
		assert_int_equal(sw_ask(ours, 1000, 100, &text), -EPERM);
	}
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_long_answer),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_background),
		cmocka_unit_test(test_trust),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
