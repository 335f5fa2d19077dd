/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <grp.h>
#include <netinet/in.h>
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
#include "hammer.h"

static int try(const char *addr, uint16_t port, bool v4)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), r;

	if (fd < 0)
		return errno;
	setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
	inet_pton(v4 ? AF_INET : AF_INET6, addr, v4 ? (void *)&a4.sin_addr : &a6.sin6_addr);
	r = connect(fd, v4 ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6,
		    v4 ? sizeof(a4) : sizeof(a6)) < 0 ? errno : 0;
	close(fd);
	return r;
}

static int attempt(const struct hammer_opts *o, uint64_t i)
{
	if (o->v6)
		return try("2001:db8::1", o->port, false);
	return i & 1 ? try("::ffff:192.0.2.1", o->port, false) : try("192.0.2.1", o->port, true);
}

static void __attribute__((noreturn)) run(const struct wall *w, const struct hammer_opts *o,
					  struct hammer_seen *seen, int ready,
					  pid_t parent)
{
	if (nice(10) < 0 && errno)	/* whoever changes the policy gets its turn */
		_exit(1);
	wall_enter(w);
	if (o->cwd && chdir(o->cwd) < 0)
		_exit(1);
	if (setgroups(0, NULL) < 0 || setresgid(o->uid, o->uid, o->uid) < 0 ||
	    setresuid(o->uid, o->uid, o->uid) < 0)
		_exit(1);
	/* Only now: changing ids clears it. A hammer must not outlive a failed test. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	for (uint64_t i = 0; !o->attempts || i < o->attempts; i++) {
		int r = attempt(o, i);

		if (sw_canary_passed(r))
			seen->passed++;
		else
			seen->refused[r < HAMMER_ERRNO_MAX ? r : 0]++;
		__atomic_store_n(&seen->attempts, i + 1, __ATOMIC_RELEASE);
		if (i == 0)
			close(ready);
	}
	_exit(0);
}

void hammer_start(const struct wall *w, const struct hammer_opts *o, struct hammer *ret)
{
	pid_t parent = getpid();
	int ready[2];
	char c;

	ret->seen = mmap(NULL, sizeof(*ret->seen), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ret->seen == MAP_FAILED || pipe(ready) < 0)
		exit(99);
	ret->pid = fork();
	if (ret->pid < 0)
		exit(99);
	if (ret->pid == 0) {
		close(ready[0]);
		run(w, o, ret->seen, ready[1], parent);
	}
	close(ready[1]);
	while (read(ready[0], &c, 1) < 0 && errno == EINTR)	/* end of file: it runs */
		;
	close(ready[0]);
}

struct hammer_seen hammer_stop(struct hammer *h, bool wait)
{
	struct hammer_seen seen;
	int status;

	if (!wait)
		kill(h->pid, SIGKILL);
	waitpid(h->pid, &status, 0);
	if (wait && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) {
		fprintf(stderr, "a hammer failed\n");
		exit(99);
	}
	seen = *h->seen;
	munmap(h->seen, sizeof(*h->seen));
	return seen;
}

int hammer_once(const struct wall *w, uint32_t uid, uint16_t port, bool v6)
{
	const struct hammer_opts o = { .uid = uid, .port = port, .attempts = 1, .v6 = v6 };
	struct hammer_seen seen;
	struct hammer h;

	hammer_start(w, &o, &h);
	seen = hammer_stop(&h, true);
	for (int i = 0; i < HAMMER_ERRNO_MAX; i++)
		if (seen.refused[i])
			return i;
	return 0;
}
