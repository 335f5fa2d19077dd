/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "commands.h"
#include "log.h"
#include "options.h"
#include "setup.h"

enum { OPT_CHECK = SW_OPT_OWN, OPT_FORCE };

static const struct option own[] = {
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "force", no_argument, NULL, OPT_FORCE },
	{},
};

static const char usage[] =
	"Usage: smtpwall apply [--check] [--force]\n\n"
	"Makes the configuration the policy in force, in one step and without a gap: what is not\n"
	"loaded is loaded, running programs are replaced in place. If anything is wrong the running\n"
	"policy stays.\n\n"
	"  --check           only validate the configuration\n"
	"  --force           enforce even if a mail server would be cut off\n";

struct flags {
	bool check, force;
};

static int take(int val, const char *arg, void *data)
{
	struct flags *f = data;

	(void)arg;
	if (val == OPT_CHECK)
		f->check = true;
	else
		f->force = true;
	return 0;
}

int cmd_apply(int argc, char **argv)
{
	struct sw_options o;
	struct flags f = {};
	struct sw_policy p;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &f, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "apply takes no argument '%s'; a file is named with "
			       "--config", argv[optind]);
	r = sw_setup_policy(&o, f.force, &p);
	if (r < 0)
		return sw_exit_status(r);
	if (f.check) {
		log_info("the configuration is good: mode %s, %zu exempt identities",
			 sw_mode_name(p.mode), p.n_exempt);
	} else {
		r = sw_apply(&o.target, &p);
		if (!r)
			log_info("mode %s is in force, %zu identities are exempt", sw_mode_name(p.mode),
				 p.n_exempt);
	}
	sw_policy_free(&p);
	return sw_exit_status(r);
}
