/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "canary.h"
#include "cgroup.h"
#include "crowd.h"

/* One thread, and what all share. */
struct member {
	const struct crowd_opts *o;
	struct crowd_seen *seen;
	uint64_t *done;
};

static void fill(const struct crowd_opts *o, uint64_t i, struct sockaddr_in6 *a, socklen_t *len)
{
	struct sockaddr_in *a4 = (struct sockaddr_in *)a;
	const char *dest = o->dest ?: "192.0.2.1";

	memset(a, 0, sizeof(*a));
	if (inet_pton(AF_INET, dest, &a4->sin_addr) == 1) {
		a4->sin_family = AF_INET;
		a4->sin_port = htons(o->port);
		if (o->dests)
			a4->sin_addr.s_addr = (a4->sin_addr.s_addr & htonl(0xffffff00)) |
					      htonl((uint32_t)(i % o->dests));
		*len = sizeof(*a4);
		return;
	}
	inet_pton(AF_INET6, dest, &a->sin6_addr);
	a->sin6_family = AF_INET6;
	a->sin6_port = htons(o->port);
	*len = sizeof(*a);
}

static int attempt(const struct crowd_opts *o, uint64_t i)
{
	struct sockaddr_in6 a;
	socklen_t len;
	int fd, r;

	fill(o, i, &a, &len);
	fd = socket(a.sin6_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0)
		_exit(1);
	r = connect(fd, (struct sockaddr *)&a, len) < 0 ? errno : 0;
	close(fd);
	return r;
}

/* The number of an attempt, counted down; false when there are no more. */
static bool take(const struct member *m, uint64_t *ret)
{
	uint64_t left = __atomic_load_n(&m->seen->left, __ATOMIC_RELAXED);

	if (!m->o->attempts) {
		*ret = *m->done;
		return true;
	}
	do
		if (!left)
			return false;
	while (!__atomic_compare_exchange_n(&m->seen->left, &left, left - 1, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	*ret = left - 1;
	return true;
}

static void *work(void *arg)
{
	const struct member *m = arg;
	uint64_t i;

	__atomic_fetch_add(&m->seen->ready, 1, __ATOMIC_SEQ_CST);
	while (!__atomic_load_n(&m->seen->go, __ATOMIC_ACQUIRE))
		usleep(100);
	while (take(m, &i)) {
		int r = attempt(m->o, i);

		if (sw_canary_passed(r))
			__atomic_fetch_add(&m->seen->passed, 1, __ATOMIC_RELAXED);
		else
			__atomic_fetch_add(&m->seen->refused[r < HAMMER_ERRNO_MAX ? r : 0], 1,
					   __ATOMIC_RELAXED);
		__atomic_fetch_add(m->done, 1, __ATOMIC_RELEASE);
	}
	return NULL;
}

static void enter(const struct wall *w, const char *cgroup)
{
	int fd;

	if (!cgroup) {
		wall_enter(w);
		return;
	}
	fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || sw_cgroup_enter(fd) < 0)
		_exit(1);
	close(fd);
}

static _Noreturn void crowd_main(const struct wall *w, const struct crowd_opts *o,
				 struct crowd_seen *seen, pid_t parent)
{
	uint32_t gid = o->gid ?: o->uid, ruid = o->ruid ?: o->uid;
	unsigned int threads = o->threads ?: CROWD_MAX;
	struct member m[CROWD_MAX];
	pthread_t t[CROWD_MAX];

	errno = 0;
	if (nice(o->nice) < 0 && errno)
		_exit(1);
	enter(w, o->cgroup);
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(ruid, o->uid, o->uid) < 0)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* only now: changing ids clears it */
	if (getppid() != parent)
		_exit(1);
	for (unsigned int i = 0; i < threads; i++) {
		m[i] = (struct member){ o, seen, &seen->done[i] };
		if (pthread_create(&t[i], NULL, work, &m[i]) != 0)
			_exit(1);
	}
	for (unsigned int i = 0; i < threads; i++)
		pthread_join(t[i], NULL);
	_exit(0);
}

void crowd_gather(const struct wall *w, const struct crowd_opts *o, struct crowd *ret)
{
	pid_t parent = getpid();

	ret->threads = o->threads ?: CROWD_MAX;
	ret->seen = mmap(NULL, sizeof(*ret->seen), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ret->seen == MAP_FAILED)
		exit(99);
	ret->seen->left = o->attempts;
	fflush(NULL);
	ret->pid = fork();
	if (ret->pid < 0)
		exit(99);
	if (ret->pid == 0)
		crowd_main(w, o, ret->seen, parent);
	while (__atomic_load_n(&ret->seen->ready, __ATOMIC_ACQUIRE) < ret->threads) {
		if (waitpid(ret->pid, NULL, WNOHANG) != 0) {
			fprintf(stderr, "a crowd failed to gather\n");
			exit(99);
		}
		usleep(100);
	}
}

void crowd_go(const struct crowd *c)
{
	__atomic_store_n(&c->seen->go, 1, __ATOMIC_RELEASE);
}

struct crowd_seen crowd_end(struct crowd *c, bool wait)
{
	struct crowd_seen seen;
	int status;

	if (!wait)
		kill(c->pid, SIGKILL);
	waitpid(c->pid, &status, 0);
	if (wait && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
		fprintf(stderr, "a crowd failed\n");
		exit(99);
	}
	seen = *c->seen;
	munmap(c->seen, sizeof(*c->seen));
	return seen;
}

struct crowd_seen crowd_run(const struct wall *w, const struct crowd_opts *o)
{
	struct crowd c;

	crowd_gather(w, o, &c);
	crowd_go(&c);
	return crowd_end(&c, true);
}

void crowd_round(const struct crowd *c, uint64_t n)
{
	uint64_t from[CROWD_MAX];

	memcpy(from, c->seen->done, sizeof(from));
	/* One more than asked for: the first may have begun before. */
	for (unsigned int i = 0; i < c->threads; i++)
		while (__atomic_load_n(&c->seen->done[i], __ATOMIC_ACQUIRE) < from[i] + n + 1)
			usleep(100);
}
