/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cgroup.h"
#include "config.h"
#include "log.h"
#include "mta.h"
#include "report_setup.h"
#include "setup.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000LL

int sw_report_read(const struct sw_options *o, struct sw_live *live, struct sw_stats *s)
{
	int r = sw_setup_live(o, live);

	if (r)
		return r;
	if (!live->exists) {
		sw_live_close(live);
		return log_err(SW_EXIT_KERNEL, "nothing is in force in %s, so nothing was counted; start "
			       "with 'smtpwall apply'", o->target.pin_dir);
	}
	if (!live->in_force)
		log_warn("enforcement is not whole; see 'smtpwall status'");
	r = sw_stats_read(live, s);
	if (!r)
		return SW_EXIT_GOOD;
	sw_live_close(live);
	return log_err(SW_EXIT_KERNEL, "cannot read the counters in %s: %s; 'smtpwall apply' repairs what "
		       "is missing", o->target.pin_dir, strerror(-r));
}

int sw_report_take_channel(const char *arg, enum sw_channel *ret)
{
	for (int i = 0; i < _SW_CHANNEL_MAX; i++) {
		if (!strcmp(arg, sw_channel_name((enum sw_channel)i))) {
			*ret = (enum sw_channel)i;
			return SW_EXIT_GOOD;
		}
	}
	return log_err(SW_EXIT_USAGE, "there is no channel '%s'; use direct, local, sendmail or all", arg);
}

/* [domains] of the configuration, malloc'd; NULL where it says nothing or cannot be read. */
static void read_config(const struct sw_options *o, char **sources, char **root)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int cgroup_fd = -1;
	struct sw_diag diag = {};
	struct sw_policy p;
	int r;

	if (sw_cgroup_open(NULL, &cgroup_fd, &path) < 0)
		cgroup_fd = -1;
	r = sw_config_load(o->config, cgroup_fd, &p, &diag);
	if (r < 0) {
		log_warn("%s; until that is right, domains are taken from every source that is found",
			 diag.n ? diag.text[0] : "the configuration cannot be read");
	} else {
		*sources = TAKE_PTR(p.domain_sources);
		*root = TAKE_PTR(p.domain_root);
		sw_policy_free(&p);
	}
	sw_diag_free(&diag);
}

int sw_report_domains(const struct sw_options *o, struct sw_domains **ret)
{
	_cleanup_free_ char *sources = NULL, *root = NULL;
	struct sw_domains_config c;
	struct sw_domains *d = NULL;
	int r;

	read_config(o, &sources, &root);
	c = (struct sw_domains_config){ .root = root, .sources = sources };
	r = sw_domains_new(&c, &d);
	if (r < 0) {
		log_warn("cannot use [domains] of the configuration (root '%s', sources '%s'): %s; "
			 "domains are taken from every source that is found here", root ?: "/",
			 sources ?: "auto", strerror(-r));
		c = (struct sw_domains_config){};
		r = sw_domains_new(&c, &d);
	}
	if (!r)
		r = sw_domains_refresh(d);
	if (r < 0) {
		sw_domains_free(d);
		return log_err(SW_EXIT_KERNEL, "cannot find out which domains there are: %s",
			       strerror(-r));
	}
	*ret = d;
	return SW_EXIT_GOOD;
}

/* When this program was loaded, on the wall; 0: not known. */
static time_t loaded_at(uint32_t prog_id)
{
	_cleanup_close_ int fd = prog_id ? bpf_prog_get_fd_by_id(prog_id) : -1;
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	struct timespec wall, boot;

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &wall);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	return wall.tv_sec - boot.tv_sec + (time_t)(info.load_time / NSEC_PER_SEC);
}

void sw_report_describe(const struct sw_live *live, struct sw_report_setup *s)
{
	struct sw_report_about *a = &s->about;
	size_t used = 0;

	if (gethostname(s->host, sizeof(s->host) - 1) == 0)
		a->host = s->host;
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		if (live->link[i].attached && live->link[i].ours && used < sizeof(s->hooks))
			used += (size_t)snprintf(s->hooks + used, sizeof(s->hooks) - used, "%s%s",
						 used ? " " : "", sw_hooks[i].name);
	a->hooks = used ? s->hooks : NULL;
	a->generation = 0;
	if (!live->in_force)
		return;
	a->mode = (enum sw_mode)live->settings.mode;
	a->generation = live->settings.generation;
	a->applied = loaded_at(live->link[SW_HOOK_CONNECT4].prog_id);
}

int sw_report_setup(const struct sw_options *o, const struct sw_live *live,
		    struct sw_report_setup *ret)
{
	int r;

	*ret = (struct sw_report_setup){};
	r = sw_report_domains(o, &ret->domains);
	if (!r)
		sw_report_describe(live, ret);
	return r;
}

void sw_report_setup_free(struct sw_report_setup *s)
{
	sw_domains_free(s->domains);
	s->domains = NULL;
}
