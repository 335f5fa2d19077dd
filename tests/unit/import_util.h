/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an import makes of the files in the directory of this test program. */
#ifndef SW_TEST_IMPORT_UTIL_H
#define SW_TEST_IMPORT_UTIL_H

#include <stdio.h>

#include "config_util.h"
#include "import.h"

#define MAX_LINES	24	/* lines that a row wants, and the NULL behind them */

typedef int (*import_fn)(const char *path, struct sw_import *ret);

static inline bool has_line(const char *text, const char *line)
{
	size_t len = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at++)
		if ((at == text || at[-1] == '\n') && (at[len] == '\n' || !at[len]))
			return true;
	return false;
}

static inline const char *in_dir(const char *name)
{
	static char path[2][256];
	static int i;

	i = !i;
	snprintf(path[i], sizeof(path[i]), "%s/%s", dir, name);
	return path[i];
}

/* Text of a message without the directory of this test, wherever it stands in front. */
static inline const char *below_dir(const char *text)
{
	return strncmp(text, dir, strlen(dir)) == 0 ? text + strlen(dir) + 1 : text;
}

/* The result is one that sw_config_load() takes, and every line of it may stand in the file. */
static inline void assert_loads(const char *conf)
{
	struct sw_diag diag = { 0 };
	struct sw_policy p;
	char path[128];
	FILE *f;
	int r;

	snprintf(path, sizeof(path), "%s/result", dir);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/result/smtpwall.conf", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(conf, f) >= 0);
	assert_int_equal(fclose(f), 0);
	r = sw_config_load(path, -1, &p, &diag);
	for (size_t i = 0; i < diag.n; i++)
		print_message("# %s\n", diag.text[i]);
	if (r < 0)
		print_message("# %s\n", conf);
	assert_int_equal(r, 0);
	sw_policy_free(&p);
	sw_diag_free(&diag);
}

/* "FILE:LINE: part": the place is the whole beginning, the part stands behind it. */
static inline bool matches(const char *text, const char *want)
{
	const char *part = strchr(want, ' ') + 1;
	size_t place = (size_t)(part - want);

	text = below_dir(text);
	return !strncmp(text, want, place) && strstr(text + place, part);
}

/* Imports `path`; then `conf` (NULL: do not look) are lines of the result, and `left` (NULL: do
 * not look) all that did not carry over, in order. A line of `left` begins with '-' when nothing
 * is lost by it. Lines of `conf` that begin with '!' are not there. */
static inline void assert_import(import_fn import, const char *path, const char *const *conf,
				 const char *const *left)
{
	struct sw_import i;
	int r = import(path, &i);

	if (i.errors.n)
		print_message("# unexpected: %s\n", i.errors.text[0]);
	assert_int_equal(r, 0);
	assert_non_null(i.conf);
	for (; conf && *conf; conf++)
		if (has_line(i.conf, *conf + (**conf == '!')) == (**conf == '!'))
			fail_msg("line '%s' in: %s", *conf, i.conf);
	for (size_t k = 0; left && (left[k] || k < i.n_left); k++) {
		bool idle = left[k] && left[k][0] == '-';

		if (k >= i.n_left || !left[k] || !matches(i.left[k].text, left[k] + idle))
			fail_msg("note %zu is '%s', not '%s'", k,
				 k < i.n_left ? i.left[k].text : "(none)",
				 left[k] ? left[k] : "(none)");
		if (i.left[k].idle != idle)
			fail_msg("note '%s': idle is %d", i.left[k].text, i.left[k].idle);
		if (left[k + 1] == NULL && k + 1 == i.n_left)
			break;
	}
	assert_loads(i.conf);
	sw_import_free(&i);
}

/* Exactly these errors, each as "FILE:LINE: part", and no result. */
static inline void assert_import_errors(import_fn import, const char *path,
					const char *const *want)
{
	struct sw_import i;
	size_t n;

	assert_int_equal(import(path, &i), -EINVAL);
	assert_null(i.conf);
	assert_int_equal(i.n_left, 0);
	for (n = 0; want[n]; n++)
		if (n >= i.errors.n || !matches(i.errors.text[n], want[n]))
			fail_msg("error %zu is '%s', not '%s'", n,
				 n < i.errors.n ? i.errors.text[n] : "(none)", want[n]);
	if (i.errors.n != n)
		fail_msg("and also '%s'", i.errors.text[n]);
	sw_import_free(&i);
}

#endif
