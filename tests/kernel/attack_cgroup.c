/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Cases that move between cgroups: a socket belongs to the cgroup it was made in. */
#define _GNU_SOURCE
#include "attack_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attack_impl.h"

/* Below ctx->cgroup, in the order of making; removed in the reverse order. */
static const char *const below[] = { "attack-a", "attack-a/b", "attack-c" };

int at_cgroup_enter(const char *dir)
{
	char path[PATH_MAX];
	int fd, r = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/cgroup.procs", dir) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, "0", 1) < 0)
		r = -errno;
	close(fd);
	return r;
}

void at_cgroup_tidy(const char *dir)
{
	char path[PATH_MAX];

	for (size_t i = ARRAY_LEN(below); i-- > 0;)
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, below[i]) < sizeof(path))
			rmdir(path);
}

/* Enters one of `below`, making what is missing on the way. */
static int enter_below(const struct attack_ctx *ctx, size_t which)
{
	char path[PATH_MAX];

	for (size_t i = 0; i <= which; i++) {
		if ((size_t)snprintf(path, sizeof(path), "%s/%s", ctx->cgroup, below[i]) >=
		    sizeof(path))
			return -ENAMETOOLONG;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -errno;
	}
	return at_cgroup_enter(path);
}

static int enter_parent(const struct attack_ctx *ctx)
{
	char path[PATH_MAX];

	if ((size_t)snprintf(path, sizeof(path), "%s/..", ctx->cgroup) >= sizeof(path))
		return -ENAMETOOLONG;
	return at_cgroup_enter(path);
}

static int dropped_connect(const struct attack_ctx *ctx, unsigned how)
{
	int r = at_drop(ctx);

	return r < 0 ? at_broken("setuid: %s", strerror(-r)) : at_run_connect(ctx, how);
}

static int run_child(const struct attack_ctx *ctx, unsigned how)
{
	int r;

	if (!ctx->cgroup)
		return at_unsupported("no cgroup given");
	r = enter_below(ctx, (how & H_FREE(0)) ? 1 : 0);
	if (r < 0)
		return at_broken("cgroup: %s", strerror(-r));
	return dropped_connect(ctx, how);
}

/* The socket is made in one child, and the process is in the other when it connects. */
static int run_sibling(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, r;

	if (!ctx->cgroup)
		return at_unsupported("no cgroup given");
	r = enter_below(ctx, 0);
	if (r < 0)
		return at_broken("cgroup: %s", strerror(-r));
	r = at_socket(ctx, how, &fd);
	if (r > 0)
		return r;
	r = enter_below(ctx, 2);
	if (r == 0)
		r = at_drop(ctx);
	return r < 0 ? at_broken("cgroup: %s", strerror(-r)) : at_try(ctx, fd, how);
}

static int run_moved(const struct attack_ctx *ctx, unsigned how)
{
	bool in = how & H_FREE(0);
	int fd = -1, r;

	if (!ctx->cgroup)
		return at_unsupported("no cgroup given");
	r = in ? enter_parent(ctx) : 0;
	if (r == -ENOENT)
		return at_unsupported("%s is the root: there is no outside", ctx->cgroup);
	if (r < 0)
		return at_broken("cgroup: %s", strerror(-r));
	r = at_socket(ctx, how, &fd);
	if (r > 0)
		return r;
	r = in ? at_cgroup_enter(ctx->cgroup) : enter_parent(ctx);
	if (r == -ENOENT)
		return at_unsupported("%s is the root: there is no outside", ctx->cgroup);
	if (r == 0)
		r = at_drop(ctx);
	return r < 0 ? at_broken("cgroup: %s", strerror(-r)) : at_try(ctx, fd, how);
}

#define ROOTED	(ATTACK_TCP | ATTACK_AS_ROOT | ATTACK_N(1))

const struct attack attack_cgroup_cases[] = {
	{ "cgroup-child", "from a child cgroup", run_child, ROOTED, 0 },
	{ "cgroup-child6", "from a child cgroup, v6", run_child, ROOTED, H_V6 },
	{ "cgroup-grandchild", "from a grandchild cgroup", run_child, ROOTED, H_FREE(0) },
	{ "cgroup-sibling", "socket made in one child cgroup, used in another", run_sibling, ROOTED,
	  0 },
	{ "cgroup-moved-out", "socket made inside, process left", run_moved, ROOTED, 0 },
	/* Out of reach only for a hook below the root: the socket was made outside of it. */
	{ "cgroup-moved-in", "socket made outside, process entered", run_moved,
	  ATTACK_LIMIT | ATTACK_AS_ROOT | ATTACK_N2(0, 1), H_FREE(0) },
};
const size_t attack_cgroup_cases_n = ARRAY_LEN(attack_cgroup_cases);
