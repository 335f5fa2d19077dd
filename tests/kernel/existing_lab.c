/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "existing_lab.h"
#include "util.h"

static const uint16_t ports[] = { 25, 587 };

struct sw_query lab_asked[LAB_ASKED_MAX];
size_t lab_n_asked;
pid_t lab_victim;

static bool denies(void *arg, const struct sw_query *q)
{
	bool ours = q->ruid == DENIED || q->ruid == OTHER || q->euid == DENIED;

	assert_null(arg);
	if (lab_n_asked < LAB_ASKED_MAX && ours)
		lab_asked[lab_n_asked++] = *q;
	if (lab_victim > 0) {
		kill(lab_victim, SIGKILL);
		waitid(P_PID, (id_t)lab_victim, NULL, WEXITED | WNOWAIT);
		lab_victim = 0;
	}
	return q->euid == DENIED;
}

struct sw_existing_job lab_job(bool closing)
{
	lab_n_asked = 0;
	return (struct sw_existing_job){ .ports = ports, .n_ports = ARRAY_SIZE(ports),
					 .close = closing, .denied = denies };
}

void lab_run(bool closing, struct sw_existing_list *l)
{
	const struct sw_existing_job job = lab_job(closing);

	assert_int_equal(sw_existing_run(&job, l), 0);
	assert_false(l->cannot_close);
	assert_int_equal(l->netns_missed, 0);
	assert_int_equal(l->conns_missed, 0);
}

const struct sw_existing *lab_row(const struct sw_existing_list *l, const struct client *c)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->item[i].local_port == c->local_port &&
		    (l->item[i].pid == c->pid || l->item[i].cookie == c->cookie))
			return &l->item[i];
	return NULL;
}

void lab_assert_cut(const struct client *c)
{
	assert_int_equal(client_far_read(c), ECONNRESET);
	assert_int_equal(client_read(c), ECONNABORTED);
	assert_int_equal(client_write(c), EPIPE);
}

ino_t lab_inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

int lab_set_up(void)
{
	return unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	       mount("swexist", "/run", "tmpfs", 0, NULL) < 0 ||
	       system("ip link set lo up && ip addr add 203.0.113.1/24 dev lo && "
		      "ip -6 route add local 2001:db8::/64 dev lo && "
		      "echo 1 >/proc/sys/net/ipv6/ip_nonlocal_bind && "
		      "ip link add v0 type veth peer name v1 && ip link set v1 up && "
		      "ip addr add 198.51.100.1/24 dev v0 && "
		      "ip addr add 2001:db8:1::1/64 dev v0 nodad && ip link set v0 up && "
		      "ip neigh add " SILENT4 " lladdr 02:00:00:00:00:09 dev v0 nud permanent && "
		      "ip neigh add " SILENT6 " lladdr 02:00:00:00:00:09 dev v0 nud permanent") ?
	       -1 : 0;
}
