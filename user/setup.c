/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "cgroup.h"
#include "config.h"
#include "limit_known.h"
#include "log.h"
#include "mta.h"
#include "pins.h"
#include "redirect.h"
#include "resolve.h"
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

static int check_mta(const struct sw_policy *p, const struct sw_mta_list *mtas,
		     const struct sw_listener_list *listeners, bool force)
{
	_cleanup_free_ char *why = NULL;

	if (!sw_mta_would_be_denied(p, mtas, listeners, &why))
		return 0;
	if (p->mode == SW_MODE_OBSERVE || force) {
		log_warn("%s", why);
		return 0;
	}
	log_err(0, "%s", why);
	log_err(0, "enforcing now would cut off the mail server; nothing was changed (--force "
		"overrides)");
	return -EINVAL;
}

/* One sentence for each name whose addresses are not fresh. An error only where a name cannot
 * exist: a resolver that does not answer must not keep a policy from coming into force. */
static int use_addresses(struct sw_policy *p, size_t i, const struct sw_resolved *a)
{
	const struct sw_allow_rule *r = &p->rules[i];

	if (a->status == SW_RESOLVE_INVALID)
		return log_err(-EINVAL, "%s:%u: %s", p->sources[r->source], r->line, a->message);
	if (a->message)
		log_warn("%s:%u: %s", p->sources[r->source], r->line, a->message);
	return sw_policy_set_addresses(p, i, (const uint8_t (*)[16])a->addrs.item, a->addrs.n);
}

static int resolve_hosts(const struct sw_options *o, bool remember, struct sw_policy *p)
{
	const struct sw_resolver how = { .state_dir = o->state_dir, .remember = remember };
	_cleanup_free_ const char **name = calloc(p->n_rules + 1, sizeof(*name));
	struct sw_resolved_list found = {};
	size_t n = 0;
	int r;

	if (!name)
		return log_err(-ENOMEM, "cannot look up the names in allow rules");
	for (size_t i = 0; i < p->n_rules; i++)
		if (p->rules[i].host)
			name[n++] = p->rules[i].host;
	if (!n)
		return 0;
	r = sw_resolve(&how, name, n, &found);
	if (r < 0)
		return log_err(r, "cannot look up the names in allow rules");
	if (found.warning)
		log_warn("%s", found.warning);
	n = 0;
	for (size_t i = 0; i < p->n_rules; i++) {
		int one = p->rules[i].host ? use_addresses(p, i, &found.item[n++]) : 0;

		if (one < 0)
			r = one;
	}
	sw_resolved_free(&found);
	return r;
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

/* Mail servers are looked for in any case: with mta = none they are not exempt by themselves, but
 * one that is there and would be cut off is still noticed. */
static int spare_mta(struct sw_policy *p, bool force)
{
	struct sw_listener_list listeners = {};
	struct sw_mta_list mtas = {};
	int r;

	if (sw_listeners_find(25, &listeners) < 0)
		log_warn("cannot see who listens on port 25");
	r = sw_mta_find("", &mtas);
	if (r < 0)
		log_err(r, "cannot find out which mail servers are installed");
	if (!r && p->mta == SW_MTA_AUTO)
		r = sw_mta_exempt(&mtas, p);
	if (!r)
		r = check_mta(p, &mtas, &listeners, force);
	if (!r)
		r = sw_redirect_complete(p, &mtas, &listeners);
	sw_listeners_free(&listeners);
	sw_mta_free(&mtas);
	return r;
}

int sw_setup_policy(const struct sw_options *o, bool force, bool remember, struct sw_policy *ret)
{
	struct sw_policy p;
	int r;

	r = load(o, &p);
	if (r < 0)
		return r;
	p.forced = force;
	r = spare_mta(&p, force);
	if (!r)
		r = resolve_hosts(o, remember && geteuid() == 0, &p);
	if (!r && sw_limit_known_needed(&p))
		r = sw_limit_known_read(&p);
	if (!r && !sw_policy_find(&p, SW_KIND_UID, 0))
		log_warn("root is not exempt: mail servers that deliver as root, and root's own mail, are "
			 "denied; write 'users = root ...' under [exempt] unless that is meant");
	if (!r)
		warn_of_cgroups(&p);
	if (r < 0)
		sw_policy_free(&p);
	else
		*ret = p;
	return r;
}

int sw_setup_in_force(const struct sw_options *o, struct sw_live *ret)
{
	int r = sw_setup_live(o, ret);

	if (r || ret->in_force)
		return r;
	sw_live_close(ret);
	return log_err(SW_EXIT_KERNEL, "no policy is in force in %s; see 'smtpwall status', and "
		       "'smtpwall apply' first", o->target.pin_dir);
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
