/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "close.h"
#include "commands.h"
#include "control.h"
#include "log.h"
#include "options.h"
#include "setup.h"
#include "when.h"

enum { OPT_CHECK = SW_OPT_OWN, OPT_FORCE, OPT_FOR, OPT_CONFIRM, OPT_REFRESH };

static const struct option own[] = {
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "for", required_argument, NULL, OPT_FOR },
	{ "confirm", no_argument, NULL, OPT_CONFIRM },
	{ "refresh", no_argument, NULL, OPT_REFRESH },
	{},
};

static const char usage[] =
	"Usage: smtpwall apply [--check] [--force] [--for TIME]\n"
	"       smtpwall apply --confirm | --refresh\n\n"
	"Makes the configuration the policy in force, in one step and without a gap: what is not\n"
	"loaded is loaded, running programs are replaced in place. If anything is wrong the running\n"
	"policy stays.\n\n"
	"  --check           only validate the configuration\n"
	"  --force           enforce even if a mail server would be cut off\n"
	"  --for TIME        on trial: what was in force before comes back after 10m, 2h ... unless\n"
	"                    the policy is confirmed or another one applied\n"
	"  --confirm         keep the policy that is on trial\n"
	"  --refresh         bring the policy in force up to date where host names have other\n"
	"                    addresses, or accounts, groups or mail servers have changed since; for\n"
	"                    cron, where the monitor does not run. Never takes up a changed file\n";

struct flags {
	bool check, force, confirm, refresh;
	uint32_t trial_s;	/* 0: for good */
};

static int take(int val, const char *arg, void *data)
{
	struct flags *f = data;

	switch (val) {
	case OPT_CHECK:
		f->check = true;
		return 0;
	case OPT_CONFIRM:
		f->confirm = true;
		return 0;
	case OPT_REFRESH:
		f->refresh = true;
		return 0;
	case OPT_FOR:
		if (sw_duration_parse(arg, &f->trial_s) == 0)
			return 0;
		return log_err(SW_EXIT_USAGE, "--for '%s' is no time; use 90s, 10m, 2h or 1d", arg);
	default:
		f->force = true;
		return 0;
	}
}

static int confirm(const struct sw_options *o)
{
	int r = sw_apply_confirm(&o->target);

	if (r == -ENOENT)
		return SW_EXIT_BAD;
	if (!r)
		log_info("confirmed: the policy stays in force");
	return sw_exit_status(r);
}

static void after_apply(const struct sw_options *o, const struct sw_policy *p, uint32_t trial_s)
{
	char lasts[SW_DURATION_LEN];
	struct sw_live live;

	log_info("mode %s is in force, %zu identities are exempt", sw_mode_name(p->mode), p->n_exempt);
	if (trial_s)
		log_info("on trial: it takes itself back in %s; 'smtpwall apply --confirm' keeps it",
			 sw_duration(trial_s, lasts));
	if (p->mode == SW_MODE_OBSERVE || sw_setup_live(o, &live) != 0)
		return;
	sw_close_denied(&live, p->existing_close);
	sw_live_close(&live);
}

static bool is_on_trial(const struct sw_live *l)
{
	struct sw_control *c = sw_control_map(l->map_fd[SW_MAP_CONTROL]);
	bool yes = c && c->revert_ns;

	sw_control_unmap(c);
	return yes;
}

/* The policy of the same files as they resolve today; one that was edited since is not taken up
 * behind the administrator's back. */
static int refresh_with(const struct sw_options *o, const struct sw_settings *s)
{
	struct sw_policy p;
	int r = sw_setup_policy(o, s->forced, true, &p);

	if (r < 0)
		return sw_exit_status(r);
	if (p.config_digest != s->config_digest) {
		log_warn("the configuration was changed since it was applied: not refreshed; 'smtpwall apply' "
			 "makes it the policy in force");
		r = SW_EXIT_BAD;
	} else if (sw_policy_digest(&p) != s->policy_digest) {
		r = sw_apply_over(&o->target, &p, s->generation);
		if (r == -ESTALE) {
			log_info("another policy came into force meanwhile, or none: not refreshed");
			r = 0;
		} else if (!r) {
			log_info("refreshed: addresses, accounts or mail servers have changed");
			after_apply(o, &p, 0);
		}
		r = sw_exit_status(r);
	}
	sw_policy_free(&p);
	return r;
}

static int refresh(const struct sw_options *o)
{
	struct sw_settings s;
	struct sw_live live;
	bool trial;
	int r = sw_setup_in_force(o, &live);

	if (r)
		return r;
	s = live.settings;
	trial = is_on_trial(&live);
	sw_live_close(&live);
	if (!trial)
		return refresh_with(o, &s);
	log_info("a policy is on trial: not refreshed");
	return SW_EXIT_GOOD;
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
	if (f.confirm)
		return confirm(&o);
	if (f.refresh)
		return refresh(&o);
	r = sw_setup_policy(&o, f.force, !f.check, &p);
	if (r < 0)
		return sw_exit_status(r);
	if (f.check) {
		log_info("the configuration is good: mode %s, %zu exempt identities",
			 sw_mode_name(p.mode), p.n_exempt);
	} else {
		r = f.trial_s ? sw_apply_trial(&o.target, &p, f.trial_s) : sw_apply(&o.target, &p);
		if (!r)
			after_apply(&o, &p, f.trial_s);
	}
	sw_policy_free(&p);
	return sw_exit_status(r);
}
