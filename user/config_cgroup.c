/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cgroups named by path in smtpwall.conf. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "cgroup.h"
#include "config_int.h"
#include "util.h"

/* The path without empty components. */
static int clean_path(const char *path, char **ret)
{
	_cleanup_free_ char *clean = calloc(1, strlen(path) + 2);
	unsigned int level = 0;
	size_t used = 0;

	if (!clean)
		return -ENOMEM;
	if (*path != '/')
		return -EINVAL;
	while (*(path += strspn(path, "/"))) {
		size_t len = strcspn(path, "/");

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		if ((len == 1 && path[0] == '.') || (len == 2 && !strncmp(path, "..", 2)))
			return -EINVAL;
		if (++level > SW_MAX_CGROUP_LEVELS)
			return -E2BIG;
		clean[used] = '/';
		memcpy(clean + used + 1, path, len);
		used += len + 1;
		path += len;
	}
	if (!level)
		return -EINVAL;	/* the root would exempt everybody */
	/* One less than fits: the hook must be able to tell a path that was cut. */
	if (used > SW_CGROUP_PATH_LEN - 2)
		return -ENAMETOOLONG;
	*ret = TAKE_PTR(clean);
	return 0;
}

int sw_config_cgroup(int root_fd, const char *path, uint64_t *id, char **name)
{
	_cleanup_free_ char *clean = NULL;
	int r = clean_path(path, &clean);

	if (r < 0)
		return r;
	r = sw_cgroup_find(root_fd, clean, id);
	if (r == -ENOENT) {	/* its service is not running: it is known when it comes */
		*id = 0;
		r = 0;
	}
	if (!r)
		*name = TAKE_PTR(clean);
	return r;
}

static void report(struct sw_load *l, unsigned int line, const char *path, int r)
{
	switch (r) {
	case -EINVAL:
		sw_config_report(l, line, "cgroup '%s' is not a path such as "
					  "/system.slice/NAME.service", path);
		break;
	case -E2BIG:
		sw_config_report(l, line, "cgroup '%s' is more than %d levels deep; name one of "
					  "its parents", path, SW_MAX_CGROUP_LEVELS);
		break;
	case -ENAMETOOLONG:
		sw_config_report(l, line, "cgroup '%.60s...' is longer than %d characters; name one of "
					  "its parents", path, SW_CGROUP_PATH_LEN - 2);
		break;
	case -EXDEV:
		sw_config_report(l, line, "cgroup '%s' leads out of the cgroup v2 hierarchy", path);
		break;
	case -ENOTDIR:
		sw_config_report(l, line, "'%s' is a file of a cgroup, not a cgroup", path);
		break;
	case -ENOMEM:
		l->err = r;
		break;
	default:
		sw_config_report(l, line, "cannot open cgroup '%s': %s", path, strerror(-r));
	}
}

struct sw_policy_cgroup *sw_config_cgroup_entry(struct sw_load *l, unsigned int line,
						const char *path)
{
	_cleanup_free_ char *name = NULL;
	struct sw_policy_cgroup *c;
	uint64_t id;
	int r;

	if (l->cgroup_fd < 0) {
		sw_config_report(l, line, "cgroup '%s' cannot be used: there is no cgroup v2 "
					  "hierarchy", path);
		return NULL;
	}
	r = sw_config_cgroup(l->cgroup_fd, path, &id, &name);
	if (r < 0) {
		report(l, line, path, r);
		return NULL;
	}
	c = sw_policy_cgroup(&l->policy, name, id);
	if (!c)
		l->err = -ENOMEM;
	else if (!c->line) {	/* of an exemption it becomes that one's place */
		c->source = l->source;
		c->line = line;
	}
	return c;
}
