/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "close.h"
#include "commands.h"
#include "log.h"
#include "names.h"
#include "options.h"
#include "out.h"
#include "setup.h"
#include "usage.h"
#include "util.h"

enum { OPT_FOR = SW_OPT_OWN, OPT_FORCE };

static const struct option own[] = {
	{ "for", required_argument, NULL, OPT_FOR },
	{ "force", no_argument, NULL, OPT_FORCE },
	{},
};

static const char usage[] =
	"Usage: smtpwall deny USER... [--for TIME] [--force]\n\n"
	"Denies these accounts every SMTP connect for a time, to this machine too, whatever the\n"
	"configuration allows them, and closes the connections they have. An apply does not end it.\n"
	"'smtpwall release USER' does; 'smtpwall status' shows who is denied and until when.\n\n"
	"  --for TIME        90s, 30m, 2h, 1d (default: until released)\n"
	"  --force           also an exempt account, such as that of the mail server\n";

struct flags {
	uint32_t seconds;
	bool force;
};

static int take(int val, const char *arg, void *data)
{
	struct flags *f = data;

	if (val == OPT_FORCE)
		f->force = true;
	else if (sw_duration_parse(arg, &f->seconds) < 0)
		return log_err(SW_EXIT_USAGE, "--for '%s' is no time; use 90s, 30m, 2h or 1d", arg);
	return 0;
}

static bool has_row(const struct sw_live *l, enum sw_kind kind, uint32_t id)
{
	const struct sw_exempt_key key = { l->settings.generation, kind, id };
	struct sw_exempt_val val;

	return bpf_map_lookup_elem(l->map_fd[SW_MAP_EXEMPT], &key, &val) == 0;
}

/* As far as an account alone can tell: not which cgroups its programs run in. */
static bool is_exempt(const struct sw_live *l, uint32_t uid)
{
	const struct passwd *pw = getpwuid(uid);

	return has_row(l, SW_KIND_UID, uid) || (pw && has_row(l, SW_KIND_GID, pw->pw_gid));
}

/* Everybody is known and may be denied, or nobody is denied. */
static int resolve(const struct sw_live *l, char **argv, int n, bool force, uint32_t *uid)
{
	for (int i = 0; i < n; i++) {
		if (sw_user_resolve(argv[i], &uid[i], NULL) < 0)
			return log_err(SW_EXIT_USAGE, "unknown user '%s'; nothing was changed", argv[i]);
		if (!force && is_exempt(l, uid[i]))
			return log_err(SW_EXIT_USAGE, "%s is exempt: denying it may stop the mail server or "
				       "the system's own mail; nothing was changed (--force overrides)",
				       argv[i]);
	}
	return 0;
}

static int deny(const struct sw_live *l, char **argv, int n, const struct flags *f)
{
	_cleanup_free_ uint32_t *uid = calloc((size_t)n, sizeof(*uid));
	char lasts[SW_DURATION_LEN];
	int r;

	if (!uid)
		return log_err(SW_EXIT_KERNEL, "out of memory");
	r = resolve(l, argv, n, f->force, uid);
	for (int i = 0; i < n && !r; i++) {
		r = sw_deny_uid(l, uid[i], f->seconds, SW_DENIED_BY_HAND);
		if (r < 0)
			return log_err(SW_EXIT_KERNEL, "cannot deny %s: %s", argv[i],
				       r == -E2BIG ? "the table is full; raise [tables] uids" :
				       strerror(-r));
		log_info("%s (%u) is denied %s%s", argv[i], uid[i],
			 f->seconds ? "for " : "until it is released",
			 f->seconds ? sw_duration(f->seconds, lasts) : "");
	}
	if (!r && l->settings.mode == SW_MODE_OBSERVE)
		log_warn("the mode is observe: its connects are counted as would_deny and let through");
	else if (!r)
		sw_close_denied(l, true);
	return r;
}

int cmd_deny(int argc, char **argv)
{
	struct flags f = {};
	struct sw_options o;
	struct sw_live live;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &f, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind == argc)
		return log_err(SW_EXIT_USAGE, "deny needs a user; see smtpwall deny --help");
	r = sw_setup_in_force(&o, &live);
	if (r)
		return r;
	r = deny(&live, argv + optind, argc - optind, &f);
	sw_live_close(&live);
	return r;
}
