/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "cgroup.h"
#include "config.h"
#include "log.h"
#include "mta.h"
#include "pins.h"
#include "setup.h"
#include "util.h"

/* Commands that need no cgroup must not fail for want of one: then -1, and lines that name
 * cgroups are errors of the configuration. */
static int cgroup_root(void)
{
	_cleanup_free_ char *path = NULL;
	int fd;

	return sw_cgroup_open(NULL, &fd, &path) < 0 ? -1 : fd;
}

static int load(const struct sw_options *o, struct sw_policy *ret)
{
	_cleanup_close_ int cgroup_fd = cgroup_root();
	struct sw_diag diag = {};
	int r = sw_config_load(o->config, cgroup_fd, ret, &diag);

	for (size_t i = 0; i < diag.n; i++)
		log_err(0, "%s", diag.text[i]);
	if (r < 0 && !diag.n)
		log_err(r, "cannot read the configuration");
	if (diag.n > 1)
		log_err(0, "%zu errors; nothing was changed", diag.n);
	sw_diag_free(&diag);
	return r;
}

static int check_mta(const struct sw_policy *p, const struct sw_mta_list *mtas, bool force)
{
	struct sw_listener_list listeners = {};
	_cleanup_free_ char *why = NULL;
	bool cut_off;

	if (sw_listeners_find(25, &listeners) < 0)
		log_warn("cannot see who listens on port 25");
	cut_off = sw_mta_would_be_denied(p, mtas, &listeners, &why);
	sw_listeners_free(&listeners);
	if (!cut_off)
		return 0;
	if (p->mode == SW_MODE_OBSERVE || force) {
		log_warn("%s", why);
		return 0;
	}
	log_err(0, "%s", why);
	return log_err(-EINVAL, "enforcing now would cut off the mail server; nothing was changed "
		       "(--force overrides)");
}

/* A path that is misspelt looks like a service that is not running. */
static void warn_of_cgroups(const struct sw_policy *p)
{
	for (size_t i = 0; i < p->n_cgroups; i++) {
		const struct sw_policy_cgroup *c = &p->cgroups[i];

		if (!c->id)
			log_warn("%s:%u: there is no cgroup %s now; it counts from the moment its service "
				 "is started", p->sources[c->source], c->line, c->path);
	}
}

int sw_setup_policy(const struct sw_options *o, bool force, struct sw_policy *ret)
{
	struct sw_mta_list mtas = {};
	struct sw_policy p;
	int r;

	r = load(o, &p);
	if (r < 0)
		return r;
	if (p.mta == SW_MTA_AUTO) {
		r = sw_mta_find("", &mtas);
		if (r < 0)
			log_err(r, "cannot find out which mail servers are installed");
		else
			r = sw_mta_exempt(&mtas, &p);
	}
	if (!r)
		r = check_mta(&p, &mtas, force);
	if (!r && !sw_policy_find(&p, SW_KIND_UID, 0))
		log_warn("root is not exempt: mail servers that deliver as root, and root's own mail, are "
			 "denied; write 'users = root ...' under [exempt] unless that is meant");
	if (!r)
		warn_of_cgroups(&p);
	sw_mta_free(&mtas);
	if (r < 0)
		sw_policy_free(&p);
	else
		*ret = p;
	return r;
}

int sw_setup_live(const struct sw_options *o, struct sw_live *ret)
{
	struct sw_pins pins;
	int r;

	r = sw_pins_open(o->target.pin_dir, false, &pins);
	if (!r) {
		r = sw_live_open(pins.dir, ret);
		sw_pins_close(&pins);
	}
	if (r == -EPERM || r == -EACCES)
		return log_err(SW_EXIT_KERNEL, "not allowed to look at %s; run as root",
			       o->target.pin_dir);
	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot read what is in force in %s: %s",
			       o->target.pin_dir, strerror(-r));
	return SW_EXIT_GOOD;
}
