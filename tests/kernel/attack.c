/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of cases, and running one of them in a child. */
#define _GNU_SOURCE
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attack_cgroup.h"
#include "attack_impl.h"
#include "netlab.h"

static const struct {
	const struct attack *cases;
	const size_t *n;
} tables[] = {
	{ attack_tcp_cases, &attack_tcp_cases_n },
	{ attack_compat32_cases, &attack_compat32_cases_n },
	{ attack_tfo_cases, &attack_tfo_cases_n },
	{ attack_mptcp_cases, &attack_mptcp_cases_n },
	{ attack_uring_cases, &attack_uring_cases_n },
	{ attack_handover_cases, &attack_handover_cases_n },
	{ attack_ns_cases, &attack_ns_cases_n },
	{ attack_cgroup_cases, &attack_cgroup_cases_n },
	{ attack_smc_cases, &attack_smc_cases_n },
	{ attack_id_cases, &attack_id_cases_n },
	{ attack_local_cases, &attack_local_cases_n },
	{ attack_control_cases, &attack_control_cases_n },
	{ attack_raw_cases, &attack_raw_cases_n },
};

size_t attack_count(void)
{
	size_t n = 0;

	for (size_t t = 0; t < ARRAY_LEN(tables); t++)
		n += *tables[t].n;
	return n;
}

const struct attack *attack_at(size_t i)
{
	for (size_t t = 0; t < ARRAY_LEN(tables); t++) {
		if (i < *tables[t].n)
			return &tables[t].cases[i];
		i -= *tables[t].n;
	}
	return NULL;
}

const struct attack *attack_find(const char *name)
{
	for (size_t i = 0; i < attack_count(); i++)
		if (!strcmp(attack_at(i)->name, name))
			return attack_at(i);
	return NULL;
}

uid_t attack_row(const struct attack *a, const struct attack_ctx *ctx)
{
	if (a->flags & ATTACK_ROW_KERNEL)
		return (uid_t)-1;
	if (a->flags & ATTACK_ROW_ROOT)
		return 0;
	return (a->flags & ATTACK_ROW_MAIL) ? ctx->mail_uid : ctx->uid;
}

static int in_child(const struct attack *a, const struct attack_ctx *ctx)
{
	int r;

	/* A case may write to a connection that is already gone. */
	signal(SIGPIPE, SIG_IGN);
	if (ctx->cgroup) {
		r = at_cgroup_enter(ctx->cgroup);
		if (r < 0)
			return at_broken("cannot enter cgroup %s: %s", ctx->cgroup, strerror(-r));
	}
	if (a->flags & ATTACK_AS_ROOT) {
		if (geteuid() != 0)
			return at_unsupported("must be started as root");
	} else {
		r = at_drop(ctx);
		if (r < 0)
			return at_broken("cannot become uid %u: %s", ctx->uid, strerror(-r));
	}
	return a->run(ctx, a->how);
}

static _Noreturn void child_main(const struct attack *a, const struct attack_ctx *ctx, int done_fd)
{
	/* The whole group is killed when the case takes too long. */
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	at_page->r = in_child(a, ctx);
	at_page->done = true;
	(void)!write(done_fd, "", 1);
	_exit(0);
}

static int run_in_child(const struct attack *a, const struct attack_ctx *ctx)
{
	int fds[2], n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return at_broken("pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0) {
		close(fds[0]);
		close(fds[1]);
		return at_broken("fork: %s", strerror(errno));
	}
	if (pid == 0)
		child_main(a, ctx, fds[1]);
	close(fds[1]);

	struct pollfd p = { .fd = fds[0], .events = POLLIN };

	do
		n = poll(&p, 1, ctx->timeout_ms > 0 ? ctx->timeout_ms : 5000);
	while (n < 0 && errno == EINTR);
	/* Before the leader is reaped: its id cannot belong to anybody else yet. */
	kill(pid, SIGKILL);
	kill(-pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(fds[0]);
	if (at_page->done)
		return at_page->r;
	return n == 0 ? -ETIMEDOUT : at_broken("the case died");
}

static int run_with_limits(const struct attack *a, const struct attack_ctx *ctx)
{
	int r;

	if (!(a->flags & ATTACK_MPTCP_LIMITS))
		return run_in_child(a, ctx);
	if (!ctx->lab)
		return at_unsupported("needs the lab at the other end");
	r = netlab_limits_raise(ctx->lab);
	if (r < 0)
		return at_unsupported("MPTCP limits: %s", strerror(-r));
	r = run_in_child(a, ctx);
	netlab_limits_restore(ctx->lab);
	return r;
}

int attack_run(const struct attack *a, const struct attack_ctx *ctx, char why[ATTACK_WHY])
{
	int r;

	at_page = mmap(NULL, sizeof(*at_page), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		       -1, 0);
	if (at_page == MAP_FAILED) {
		snprintf(why, ATTACK_WHY, "mmap: %s", strerror(errno));
		return ATTACK_BROKEN;
	}
	r = run_with_limits(a, ctx);
	snprintf(why, ATTACK_WHY, "%s", r > 0 ? at_page->why : "");
	if (ctx->cgroup)
		at_cgroup_tidy(ctx->cgroup);
	munmap(at_page, sizeof(*at_page));
	return r;
}
