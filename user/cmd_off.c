/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "canary.h"
#include "cgroup.h"
#include "commands.h"
#include "log.h"
#include "options.h"
#include "util.h"

static const char usage[] =
	"Usage: smtpwall off\n\n"
	"Detaches the programs, removes the pins with all counters, and proves that a connect to\n"
	"port 25 is let through again. The only command that ends enforcement.\n";

/* Nothing of ours may refuse any more. Something else still may; that is worth telling. */
static int prove(const struct sw_options *o)
{
	_cleanup_close_ int cgroup_fd = -1;
	_cleanup_free_ char *path = NULL;
	struct sw_canary c;
	int r;

	r = sw_cgroup_open(o->target.cgroup, &cgroup_fd, &path);
	if (!r)
		r = sw_canary_run(cgroup_fd, 25, &c);
	if (r < 0)
		return log_err(SW_EXIT_BAD, "everything is detached, but the test connect could not "
			       "be made: %s", strerror(-r));
	for (int i = 0; i < _SW_CANARY_MAX; i++)
		if (c.error[i] != EAFNOSUPPORT && !sw_canary_passed(c.error[i]))
			return log_err(SW_EXIT_BAD, "everything of smtpwall is detached, but another program "
				       "still refuses port 25 over %s: %s", sw_canary_name(i),
				       strerror(c.error[i]));
	log_info("off: port 25 is open to everybody");
	return SW_EXIT_GOOD;
}

int cmd_off(int argc, char **argv)
{
	struct sw_options o;
	int r;

	r = sw_options_parse(argc, argv, usage, NULL, NULL, NULL, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "off takes no argument '%s'", argv[optind]);
	r = sw_off(&o.target);
	if (r == -ENOENT) {
		log_info("nothing was in force in %s", o.target.pin_dir);
		return SW_EXIT_GOOD;
	}
	return r < 0 ? sw_exit_status(r) : prove(&o);
}
