/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>

#include "commands.h"
#include "log.h"
#include "monitor.h"
#include "util.h"

enum { OPT_USER = SW_OPT_OWN };

static const struct option own[] = {
	{ "user", required_argument, NULL, OPT_USER },
	{},
};

static const char usage[] =
	"Usage: smtpwall monitor [--user USER]\n\n"
	"Stays in the foreground and keeps a history, sends alerts, serves metrics, and keeps the\n"
	"policy in force up to date: this machine's addresses, host names, mail servers, accounts.\n"
	"Enforcement does not need it and does not end with it. Usually started as a service:\n"
	"smtpwall-monitor.service.\n\n"
	"  --user USER       run as this account (default smtpwall), after start-up\n\n"
	"SIGHUP: apply the configuration, and read what concerns the monitor anew.\n"
	"SIGTERM: write what is not written yet, and end.\n";

static int take(int val, const char *arg, void *data)
{
	(void)val;
	*(const char **)data = arg;
	return 0;
}

static int find_user(const char *name, struct sw_monitor_config *c)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(name);
	if (!pw)
		return log_err(SW_EXIT_USAGE, "there is no account '%s' for the monitor to run as; make it "
			       "with 'useradd --system --no-create-home --shell /usr/sbin/nologin %s', or "
			       "name another with --user", name, name);
	c->user = name;
	c->uid = pw->pw_uid;
	c->gid = pw->pw_gid;
	return 0;
}

int cmd_monitor(int argc, char **argv)
{
	const char *user = SW_MONITOR_USER;
	char self[PATH_MAX];
	struct sw_options o;
	struct sw_monitor_config c = { .o = &o, .self = self, .supervisor = getpid() };
	ssize_t len;
	int r = sw_options_parse(argc, argv, usage, own, take, &user, &o);

	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "monitor takes no argument '%s'", argv[optind]);
	if (geteuid() != 0)
		return log_err(SW_EXIT_KERNEL, "the monitor has to be started as root; it gives that up "
			       "by itself");
	len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len < 0)
		return log_err(SW_EXIT_KERNEL, "cannot find out where this program is: %s",
			       strerror(errno));
	self[len] = '\0';
	r = find_user(user, &c);
	return r ? r : sw_monitor_supervise(&c);
}
