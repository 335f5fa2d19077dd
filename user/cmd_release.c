/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "log.h"
#include "mapread.h"
#include "names.h"
#include "options.h"
#include "setup.h"
#include "usage.h"
#include "util.h"

enum { OPT_SERVER = SW_OPT_OWN, OPT_RULES };

static const struct option own[] = {
	{ "server", no_argument, NULL, OPT_SERVER },
	{ "rules", no_argument, NULL, OPT_RULES },
	{},
};

static const char usage[] =
	"Usage: smtpwall release USER... | --server | --rules\n\n"
	"Lets go of these accounts: a temporary deny ends, and a limit that was reached begins anew\n"
	"with an empty window. The limits themselves stay as they are configured.\n\n"
	"  --server          empty the window of the whole server's limit\n"
	"  --rules           empty the windows of all allow rules\n";

struct flags {
	bool server, rules;
};

static int take(int val, const char *arg, void *data)
{
	struct flags *f = data;

	(void)arg;
	if (val == OPT_SERVER)
		f->server = true;
	else
		f->rules = true;
	return 0;
}

static int release_user(const struct sw_live *l, const char *name)
{
	struct sw_usage used = {};
	bool denied, limited = false;
	uint32_t uid;
	int r;

	if (sw_user_resolve(name, &uid, NULL) < 0)
		return log_err(SW_EXIT_USAGE, "unknown user '%s'", name);
	r = sw_deny_release(l, uid);
	denied = r == 0;
	if (r == -ENOENT)
		r = 0;
	for (int i = 0; i < _SW_CHANNEL_MAX; i++)
		limited |= sw_usage_get_channel(l, SW_KIND_UID, (enum sw_channel)i, uid, &used) == 0 &&
			   (used.hour_used || used.day_used);
	if (!r)
		r = sw_usage_reset(l, SW_KIND_UID, uid);
	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot release %s: %s", name, strerror(-r));
	log_info("%s (%u): %s%s%s", name, uid, denied ? "no longer denied" : "",
		 denied && limited ? ", " : "",
		 limited ? "the windows of its limit are empty" : denied ? "" : "nothing to release");
	return 0;
}

/* Every window of a kind. */
static int release_kind(const struct sw_live *l, enum sw_kind kind)
{
	struct sw_map_dump d = {};
	int r = sw_map_dump(l->map_fd[SW_MAP_USAGE], &d);

	for (size_t i = 0; i < d.n && !r; i++) {
		struct sw_usage_key key;

		memcpy(&key, sw_map_key(&d, i), sizeof(key));
		if (key.kind == kind)
			r = sw_usage_reset(l, kind, key.id);
	}
	sw_map_dump_free(&d);
	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot empty the windows: %s", strerror(-r));
	log_info("%s: the windows are empty", kind == SW_KIND_SERVER ? "server" : "rules");
	return 0;
}

int cmd_release(int argc, char **argv)
{
	struct flags f = {};
	struct sw_options o;
	struct sw_live live;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &f, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind == argc && !f.server && !f.rules)
		return log_err(SW_EXIT_USAGE, "release needs a user; see smtpwall release --help");
	r = sw_setup_in_force(&o, &live);
	if (r)
		return r;
	for (int i = optind; i < argc && !r; i++)
		r = release_user(&live, argv[i]);
	if (!r && f.server)
		r = release_kind(&live, SW_KIND_SERVER);
	if (!r && f.rules)
		r = release_kind(&live, SW_KIND_RULE);
	sw_live_close(&live);
	return r;
}
