/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Command lines of the monitor's jobs. That systemd runs them is an end-to-end test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "outside.h"
#include "util.h"

static int have_systemd;

/* The machine of these tests. */
int access(const char *name, int type)
{
	(void)type;
	return have_systemd && (!strcmp(name, "/usr/bin/systemd-run") ||
				!strcmp(name, "/run/dbus/system_bus_socket")) ? 0 : -1;
}

static const char *const job[] = { "/usr/sbin/sendmail", "-t", "-i", NULL };

static void test_inside(void **state)
{
	static const struct { const char *env; int systemd; } rows[] = {
		{ NULL, 1 }, { "", 1 }, { "yes", 1 }, { "systemd-run", 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ const char **argv = NULL;

		if (rows[i].env)
			setenv(SW_OUTSIDE_ENV, rows[i].env, 1);
		else
			unsetenv(SW_OUTSIDE_ENV);
		have_systemd = rows[i].systemd;
		argv = sw_outside_argv(job, 10, false);
		for (size_t j = 0; j < ARRAY_SIZE(job); j++)
			assert_ptr_equal(argv[j], job[j]);
	}
}

static void test_outside(void **state)
{
	(void)state;
	setenv(SW_OUTSIDE_ENV, "systemd-run", 1);
	have_systemd = 1;
	for (int leave = 0; leave < 2; leave++) {
		_cleanup_free_ const char **argv = sw_outside_argv(job, 90, leave);
		size_t n = 0;
		bool limit = false, mode = false;

		assert_string_equal(argv[0], "/usr/bin/systemd-run");
		for (; strcmp(argv[n], "--") != 0; n++) {
			limit |= !strcmp(argv[n], "--property=RuntimeMaxSec=90");
			mode |= !strcmp(argv[n], leave ? "--property=KillMode=process" :
							 "--property=KillMode=control-group");
		}
		assert_true(limit && mode);
		for (size_t j = 0; j < ARRAY_SIZE(job); j++)
			assert_ptr_equal(argv[n + 1 + j], job[j]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inside),
		cmocka_unit_test(test_outside),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
