/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "outside.h"
#include "util.h"

#define SYSTEMD_RUN	"/usr/bin/systemd-run"
#define BUS		"/run/dbus/system_bus_socket"
#define LIMIT_LEN	48

static bool is_wanted(void)
{
	const char *how = getenv(SW_OUTSIDE_ENV);

	return how && !strcmp(how, "systemd-run") && access(SYSTEMD_RUN, X_OK) == 0 &&
	       access(BUS, F_OK) == 0;
}

const char **sw_outside_argv(const char *const *argv, int timeout_s, bool leave)
{
	const char *front[] = {
		SYSTEMD_RUN, "--quiet", "--wait", "--pipe", "--collect", "--service-type=exec",
		"--description=smtpwall monitor: a job", "--setenv=HOME=/root",
		"--setenv=LANG=C.UTF-8", "--property=TimeoutStopSec=5",
		leave ? "--property=KillMode=process" : "--property=KillMode=control-group",
		NULL,	/* the limit */
		"--",
	};
	size_t n = is_wanted() ? ARRAY_SIZE(front) : 0, len = 0;
	const char **all;
	char *limit;

	while (argv[len])
		len++;
	all = calloc(1, (n + len + 1) * sizeof(char *) + LIMIT_LEN);
	if (!all)
		return NULL;
	limit = (char *)(all + n + len + 1);
	snprintf(limit, LIMIT_LEN, "--property=RuntimeMaxSec=%d", timeout_s);
	front[ARRAY_SIZE(front) - 2] = limit;
	memcpy(all, front, n * sizeof(char *));
	memcpy(all + n, argv, len * sizeof(char *));
	return all;
}
