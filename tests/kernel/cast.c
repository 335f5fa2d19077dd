/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cast.h"
#include "cgroup.h"
#include "scene.h"
#include "util.h"

#define THERE	(MODEL_CGROUPS - 1)	/* cgroups that exist; the last does not */

static const uint32_t uids[] = { 0, 61001, 61002, 61003, 61004, 61005 };
static const uint32_t gids[] = { 0, 61001, 61002, 61003, 61004 };
static const char *const below[MODEL_CGROUPS] = { "", "/a", "/a/b", "/c", "/none" };

/* `in` is an index of `below`. */
static const struct {
	uint32_t ruid, euid, egid;
	unsigned int in;
	bool new_net, new_pid;
} members[CAST_MEMBERS] = {
	{ 0, 0, 0, 0, false, false },
	{ 0, 0, 0, 3, false, false },
	{ 61001, 61001, 61001, 0, false, false },
	{ 61002, 61002, 61002, 2, false, false },
	{ 61003, 61003, 61003, 1, false, false },
	{ 61004, 61004, 61001, 3, false, false },
	{ 61005, 61005, 0, 0, false, false },
	{ 61001, 61002, 61003, 0, false, false },	/* set-uid programs */
	{ 61002, 0, 0, 1, false, false },
	{ 0, 61003, 61002, 2, false, false },
	{ 61001, 61001, 61002, 2, true, false },	/* containers */
	{ 0, 0, 0, 0, true, false },
	{ 61004, 61004, 61004, 1, false, true },
	{ 61003, 61001, 61001, 3, true, false },
	{ 0, 0, 61003, 3, true, true },
};

static void __attribute__((noreturn)) give_up(const char *what)
{
	perror(what);
	exit(99);
}

static uint16_t start_mail_server(struct cast *c)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof(a);

	c->mail_server = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->mail_server < 0 || bind(c->mail_server, (void *)&a, len) < 0 ||
	    listen(c->mail_server, 4096) < 0 || getsockname(c->mail_server, (void *)&a, &len) < 0)
		give_up("mail server");
	return ntohs(a.sin6_port);
}

static void make_cgroups(const struct wall *w, struct cast *c, struct model_world *world)
{
	_cleanup_free_ char *root = NULL;
	_cleanup_close_ int fd = -1;

	if (sw_cgroup_open(NULL, &fd, &root) < 0)
		give_up("cgroup v2 root");
	for (int i = 0; i < MODEL_CGROUPS; i++) {
		char dir[256];

		snprintf(dir, sizeof(dir), "%s%s", w->cgroup, below[i]);
		if (i && i < THERE && mkdir(dir, 0755) < 0)
			give_up(dir);
		snprintf(c->cgroup[i], sizeof(c->cgroup[i]), "%.60s", dir + strlen(root));
		world->cgroup[i] = c->cgroup[i];
		if (i < THERE && sw_cgroup_find(fd, c->cgroup[i], &c->cgroup_id[i]) < 0)
			give_up(dir);
	}
}

static void start_member(const struct wall *w, struct cast *c, size_t i)
{
	struct actor_opts o = {
		.ruid = members[i].ruid, .euid = members[i].euid, .egid = members[i].egid,
		.new_net = members[i].new_net, .new_pid = members[i].new_pid,
	};
	char dir[256];

	snprintf(dir, sizeof(dir), "%s%s", w->cgroup, below[members[i].in]);
	o.cgroup = dir;
	actor_start(&o, &c->actor[i]);
	c->who[i] = (struct oracle_who){
		.ruid = o.ruid, .euid = o.euid, .egid = o.egid,
		.container = o.new_net || o.new_pid,
		.cgroup = { true },
	};
	c->who[i].cgroup[members[i].in] = true;
	if (members[i].in == 2)
		c->who[i].cgroup[1] = true;
}

void cast_open(const struct wall *w, struct cast *ret, struct model_world *world)
{
	*world = (struct model_world){
		.uid = uids, .n_uids = ARRAY_SIZE(uids), .gid = gids, .n_gids = ARRAY_SIZE(gids),
	};
	memset(ret, 0, sizeof(*ret));
	make_cgroups(w, ret, world);
	world->redirect_port = start_mail_server(ret);
	for (size_t i = 0; i < CAST_MEMBERS; i++)
		start_member(w, ret, i);
}

void cast_close(const struct wall *w, struct cast *c)
{
	for (size_t i = 0; i < CAST_MEMBERS; i++)
		actor_stop(&c->actor[i], NULL);
	for (int i = THERE - 1; i > 0; i--) {
		char dir[256];

		snprintf(dir, sizeof(dir), "%s%s", w->cgroup, below[i]);
		scene_rmdir(dir);
	}
	close(c->mail_server);
}

void cast_drain(const struct cast *c)
{
	int fd;

	while ((fd = accept4(c->mail_server, NULL, NULL, SOCK_CLOEXEC)) >= 0)
		close(fd);
}

void cast_query(const struct cast *c, unsigned int member, struct sw_query *ret)
{
	const struct oracle_who *w = &c->who[member];
	size_t level = 0;

	*ret = (struct sw_query){ .euid = w->euid, .egid = w->egid, .ruid = w->ruid,
				  .in_container = w->container };
	for (int i = 0; i < MODEL_CGROUPS; i++)
		if (w->cgroup[i])
			ret->cgroup[level++] = c->cgroup_id[i];
}

const char *cast_describe(const struct cast *c, unsigned int member, char *text, size_t size)
{
	const struct oracle_who *w = &c->who[member];

	snprintf(text, size, "real UID %u, effective UID %u, GID %u, in %s%s%s", w->ruid, w->euid,
		 w->egid, c->cgroup[members[member].in],
		 members[member].new_net ? ", own network" : "",
		 members[member].new_pid ? ", own PIDs" : "");
	return text;
}
