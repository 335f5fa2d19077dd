/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Configuration files in a directory of their own, and what must come of them. */
#ifndef SW_TEST_CONFIG_UTIL_H
#define SW_TEST_CONFIG_UTIL_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "config.h"
#include "util.h"

static char dir[] = "/tmp/sw-config-XXXXXX";	/* of this test program; emptied by each test */
static char main_file[64];

static inline void run(const char *fmt, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(command, sizeof(command), fmt, ap);
	va_end(ap);
	assert_int_equal(system(command), 0);
}

static inline void write_bytes(const char *name, const char *text, size_t len)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0644), 0);
}

static inline void write_text(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text));
}

static inline int setup_group(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(main_file, sizeof(main_file), "%s/main.conf", dir);
	return chmod(dir, 0755);
}

static inline int teardown_group(void **state)
{
	(void)state;
	run("rm -rf %s", dir);
	return 0;
}

static inline int empty_dir(void **state)
{
	(void)state;
	run("rm -rf %s/*", dir);
	return 0;
}

/* A policy in one line, so that a row can name just what it is about. */
static inline void describe(const struct sw_policy *p, char *out, size_t size)
{
	size_t i, n;

	n = (size_t)snprintf(out, size, "mode=%s refuse=%d mta=%d local=%d close=%d containers=%d "
					"strict=%d identity=%d uids=%u origins=%u events=%u deny=",
			     sw_mode_name(p->mode), p->refuse_with, p->mta, p->allow_local,
			     p->existing_close, p->containers_exempt, p->strict,
			     p->identity_strict, p->max_uids, p->max_origins, p->event_buffer);
	for (i = 0; i < p->n_deny_ports; i++)
		n += (size_t)snprintf(out + n, size - n, "%u,", p->deny_ports[i]);
	n += (size_t)snprintf(out + n, size - n, " count=");
	for (i = 0; i < p->n_count_ports; i++)
		n += (size_t)snprintf(out + n, size - n, "%u,", p->count_ports[i]);
	n += (size_t)snprintf(out + n, size - n, " exempt=");
	for (i = 0; i < p->n_exempt; i++) {
		const char *source = strrchr(p->sources[p->exempt[i].source], '/');

		n += (size_t)snprintf(out + n, size - n, "%s:%s@%s:%u;",
				      sw_kind_name(p->exempt[i].kind), p->exempt[i].name,
				      source ? source + 1 : "default", p->exempt[i].line);
	}
	for (i = 0; i < p->n_cgroups; i++) {
		const char *source = strrchr(p->sources[p->cgroups[i].source], '/');

		if (p->cgroups[i].exempt)
			n += (size_t)snprintf(out + n, size - n, "cgroup:%s@%s:%u;",
					      p->cgroups[i].path, source ? source + 1 : "default",
					      p->cgroups[i].line);
	}
	snprintf(out + n, size - n, "|");
}

static inline void assert_policy_fd(int cgroup_fd, const char *const *want)
{
	struct sw_diag diag = { 0 };
	struct sw_policy p;
	char text[2048];
	int r = sw_config_load(main_file, cgroup_fd, &p, &diag);

	if (diag.n)
		print_message("# unexpected: %s\n", diag.text[0]);
	assert_int_equal(r, 0);
	assert_int_equal(diag.n, 0);
	describe(&p, text, sizeof(text));
	for (; *want; want++)
		if (!strstr(text, *want))
			fail_msg("'%s' is not in: %s", *want, text);
	sw_policy_free(&p);
	sw_diag_free(&diag);
}

/* Exactly these errors in this order, each as "FILE:LINE: beginning or part of the text". */
static inline void assert_errors_fd(int cgroup_fd, const char *const *want)
{
	struct sw_policy p = { .max_uids = 4711 };
	struct sw_diag diag = { 0 };
	size_t i, n;

	assert_int_equal(sw_config_load(main_file, cgroup_fd, &p, &diag), -EINVAL);
	assert_int_equal(p.max_uids, 4711);	/* outputs are written on success only */
	for (n = 0; want[n]; n++)
		;
	for (i = 0; i < diag.n || i < n; i++) {
		const char *text = i < diag.n ? diag.text[i] + strlen(dir) + 1 : "(none)";
		const char *part = i < n ? strchr(want[i], ' ') + 1 : "(none)";
		size_t place = i < n ? (size_t)(part - want[i]) : 0;

		if (i >= n || i >= diag.n || strncmp(text, want[i], place) != 0 ||
		    !strstr(text + place, part))
			fail_msg("error %zu is '%s', not '%s'", i, text, i < n ? want[i] : part);
	}
	sw_diag_free(&diag);
}

#define assert_policy(want)	assert_policy_fd(-1, want)
#define assert_errors(want)	assert_errors_fd(-1, want)

#define MAX_WANT	8	/* strings of a row, and the NULL behind them */

#endif
