/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "commands.h"
#include "health.h"
#include "log.h"
#include "options.h"
#include "refusal.h"
#include "setup.h"

static const char usage[] =
	"Usage: smtpwall verify\n\n"
	"A child without any privilege tries port 25 over IPv4, IPv6 and IPv4 in IPv6. Its sockets\n"
	"are bound to the loopback device, so no packet leaves. Each try must be refused and\n"
	"counted; in observe mode counted and let through. Exit status 1 if not.\n";

static int verify(const struct sw_options *o, const struct sw_live *live)
{
	struct sw_health h;
	int r = SW_EXIT_GOOD;

	sw_health_check(&o->target, live, &h);
	if (!h.problems.n)
		sw_health_canary(live, h.cgroup_fd, &h.problems);
	if (live->settings.refuse_sendmail && !sw_refusal_works())
		sw_texts_add(&h.problems, "the kernel does not do what LSM programs say any more: executions "
			     "of sendmail beyond a limit are not refused");
	for (size_t i = 0; i < h.problems.n; i++)
		r = log_err(SW_EXIT_BAD, "%s", h.problems.item[i]);
	if (!r && live->settings.mode == SW_MODE_OBSERVE)
		printf("good: connects without privilege are counted as would_deny and let through "
		       "(mode observe)\n");
	else if (!r)
		printf("good: connects without privilege are refused over IPv4, IPv6 and IPv4 in IPv6\n");
	sw_health_free(&h);
	return r;
}

int cmd_verify(int argc, char **argv)
{
	struct sw_options o;
	struct sw_live live;
	int r;

	r = sw_options_parse(argc, argv, usage, NULL, NULL, NULL, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "verify takes no argument '%s'", argv[optind]);
	r = sw_setup_live(&o, &live);
	if (r)
		return r;
	r = verify(&o, &live);
	sw_live_close(&live);
	return r;
}
