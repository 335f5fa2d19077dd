/* SPDX-License-Identifier: GPL-2.0-or-later */
/* User, network and PID namespaces: what a container, or a user without a container, can do. */
#define _GNU_SOURCE
#include "attack_ns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "netlab.h"

/* Who connects; the user of ctx when none is given. */
#define H_ROOT		H_FREE(0)
#define H_MAIL		H_FREE(1)
#define H_USERNS	H_FREE(2)	/* uid 0 of a user namespace of the user */
#define H_PIDNS		H_FREE(3)	/* in the container's PID and mount namespaces */
#define H_NETNS		H_FREE(4)	/* in its network namespace */

int at_ns_enter(const struct attack_ctx *ctx, unsigned which)
{
	static const struct { unsigned bit; const char *name; int type; } all[] = {
		/* The mount namespace last: /proc is another one after it. */
		{ AT_NS_NET, "net", CLONE_NEWNET },
		{ AT_NS_PID, "pid", CLONE_NEWPID },
		{ AT_NS_MNT, "mnt", CLONE_NEWNS },
	};
	char path[64];

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		int fd, r;

		if (!(which & all[i].bit))
			continue;
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", netlab_container(ctx->lab),
			 all[i].name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		r = setns(fd, all[i].type) < 0 ? -errno : 0;
		close(fd);
		if (r < 0)
			return r;
	}
	return 0;
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* Unprivileged: the caller's own ids appear as `as` in a new user namespace. */
static int enter_userns(const struct attack_ctx *ctx, uid_t as)
{
	char map[64];
	int r;

	if (ctx->uid == 0)
		return at_unsupported("of interest for an ordinary uid only");
	if (unshare(CLONE_NEWUSER) < 0)
		return at_unsupported("no user namespaces for users: %s", strerror(errno));
	r = write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", as, ctx->uid);
	if (r == 0)
		r = write_text("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", as, ctx->gid);
	if (r == 0)
		r = write_text("/proc/self/gid_map", map);
	if (r < 0)
		return at_unsupported("user namespace: %s", strerror(-r));
	if (setresgid(as, as, as) < 0 || setresuid(as, as, as) < 0)
		return at_broken("uid %u in a user namespace: %s", as, strerror(errno));
	at_after_setuid();
	return 0;
}

static int run_userns(const struct attack_ctx *ctx, unsigned how)
{
	int r = enter_userns(ctx, (how & H_MAIL) ? ctx->mail_uid : 0);

	return r > 0 ? r : at_run_connect(ctx, how);
}

static int as_asked(const struct attack_ctx *ctx, unsigned how)
{
	int r;

	if (how & H_ROOT)
		r = at_become(0, 0);
	else if (how & H_MAIL)
		r = at_become(ctx->mail_uid, ctx->mail_gid);
	else
		r = at_drop(ctx);
	if (r < 0)
		return at_broken("setuid: %s", strerror(-r));
	if (how & H_USERNS)
		r = enter_userns(ctx, 0);
	return r > 0 ? r : at_run_connect(ctx, how);
}

/* A process of the container: its network alone, or PID and mount namespaces as well. */
static int run_box(const struct attack_ctx *ctx, unsigned how)
{
	unsigned which = (how & H_NETNS) ? AT_NS_NET : 0;
	int r;

	if (how & H_PIDNS)
		which |= AT_NS_PID | AT_NS_MNT;
	if (!ctx->lab)
		return at_unsupported("needs the lab's container");
	r = at_ns_enter(ctx, which);
	if (r < 0)
		return at_broken("setns: %s", strerror(-r));
	return (how & H_PIDNS) ? at_fork(ctx, as_asked, how) : as_asked(ctx, how);
}

/* A container on the host's network. */
static int run_own_pidns(const struct attack_ctx *ctx, unsigned how)
{
	if (unshare(CLONE_NEWPID) < 0)
		return at_unsupported("PID namespace: %s", strerror(errno));
	return at_fork(ctx, as_asked, how);
}

/* A socket of the container's network, used by a process of the host's. */
static int run_socket(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, home, r;

	if (!ctx->lab)
		return at_unsupported("needs the lab's container");
	home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	r = at_ns_enter(ctx, AT_NS_NET);
	if (home < 0 || r < 0)
		return at_broken("setns: %s", strerror(-r));
	r = at_socket(ctx, how, &fd);
	if (r > 0)
		return r;
	if (setns(home, CLONE_NEWNET) < 0)
		return at_broken("setns: %s", strerror(errno));
	if (!(how & H_ROOT))
		r = at_drop(ctx);
	return r < 0 ? at_broken("setuid: %s", strerror(-r)) : at_try(ctx, fd, how);
}

#define USER	(ATTACK_TCP | ATTACK_N(1))
#define ROOTED	(USER | ATTACK_AS_ROOT)
#define BOX	(ATTACK_NETNS | ATTACK_CONTAINER)
#define H_INSIDE	(H_PIDNS | H_NETNS)
/* Exempt on the host, refused here (containers = deny): no ATTACK_PASS_*. */
#define ID_ROOT	(ATTACK_IDENTITY | ATTACK_ROW_ROOT | ATTACK_AS_ROOT | ATTACK_N(1))

const struct attack attack_ns_cases[] = {
	{ "userns-root", "uid 0 of a user namespace", run_userns, USER, 0 },
	{ "userns-root6", "uid 0 of a user namespace, v6", run_userns, USER, H_V6 },
	{ "userns-mail", "mail's uid in a user namespace", run_userns, USER, H_MAIL },
	{ "netns-user4", "another network namespace", run_box, ROOTED | ATTACK_NETNS, H_NETNS },
	{ "netns-user6", "another network namespace, v6", run_box, ROOTED | ATTACK_NETNS,
	  H_NETNS | H_V6 },
	{ "netns-mptcp", "another network namespace, MPTCP", run_box, ROOTED | ATTACK_NETNS,
	  H_NETNS | H_MPTCP },
	{ "netns-socket", "a socket of another network namespace", run_socket,
	  ROOTED | ATTACK_NETNS, 0 },
	{ "netns-socket6", "the same, v6", run_socket, ROOTED | ATTACK_NETNS, H_V6 },
	{ "pidns-user4", "another PID namespace, the host's network", run_own_pidns,
	  ROOTED | ATTACK_CONTAINER, 0 },
	{ "container-user4", "a container's user", run_box, ROOTED | BOX, H_INSIDE },
	{ "container-user6", "a container's user, v6", run_box, ROOTED | BOX, H_INSIDE | H_V6 },
	{ "container-userns", "a container's user as uid 0 of a user namespace", run_box,
	  ROOTED | BOX, H_INSIDE | H_USERNS },
	{ "container-root4", "uid 0 of a container without user namespace", run_box, ID_ROOT | BOX,
	  H_INSIDE | H_ROOT },
	{ "container-root6", "the same, v6", run_box, ID_ROOT | BOX, H_INSIDE | H_ROOT | H_V6 },
	{ "container-mail4", "mail's uid in a container", run_box,
	  ATTACK_IDENTITY | ATTACK_ROW_MAIL | ATTACK_AS_ROOT | ATTACK_N(1) | BOX,
	  H_INSIDE | H_MAIL },
	{ "netns-root4", "uid 0 in another network namespace only", run_box, ID_ROOT | ATTACK_NETNS,
	  H_NETNS | H_ROOT },
	{ "netns-socket-root", "uid 0 with a socket of another network namespace", run_socket,
	  ID_ROOT | ATTACK_NETNS, H_ROOT },
	{ "pidns-root4", "uid 0 in another PID namespace, the host's network", run_own_pidns,
	  ID_ROOT | ATTACK_CONTAINER, H_ROOT },
};
const size_t attack_ns_cases_n = ARRAY_LEN(attack_ns_cases);
