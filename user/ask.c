/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "ask.h"
#include "util.h"

#define FIRST_READ	4096	/* bytes; doubled as more comes */

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int sw_ask_trusts(const char *path)
{
	struct stat st;

	if (*path != '/')
		return -EPERM;
	if (stat(path, &st) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	return S_ISREG(st.st_mode) && st.st_uid == 0 && !(st.st_mode & (S_IWGRP | S_IWOTH)) ? 0 : -EPERM;
}

/* In the child: only calls that are safe between fork and exec. */
static void __attribute__((noreturn)) exec_child(const char *const *argv, int null, int out)
{
	static char *const no_environment[] = { NULL };
	sigset_t none;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(null, STDERR_FILENO) >= 0 && chdir("/") == 0)
		execve(argv[0], (char *const *)argv, no_environment);
	_exit(127);
}

/* What a program has printed so far; always a string. */
struct output {
	char *text;
	size_t used, room, max;
};

static int make_room(struct output *o)
{
	size_t room = o->room ? o->room * 2 : FIRST_READ;
	char *grown;

	if (o->used + 1 < o->room || o->used >= o->max)
		return 0;
	grown = realloc(o->text, room > o->max ? o->max + 1 : room);
	if (!grown)
		return -ENOMEM;
	o->text = grown;
	o->room = room > o->max ? o->max + 1 : room;
	return 0;
}

/* What does not fit is read all the same: a full pipe would stop the program. */
static ssize_t read_some(int fd, struct output *o)
{
	size_t left = o->room - o->used - 1;
	char rest[4096];
	ssize_t n;

	if (!left)
		return read(fd, rest, sizeof(rest));
	n = read(fd, o->text + o->used, left);
	if (n > 0)
		o->used += (size_t)n;
	o->text[o->used] = '\0';
	return n;
}

/* Until the end of output. 0, -ETIMEDOUT or -errno. */
static int read_all(int fd, struct output *o, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int64_t left;
	ssize_t n;

	for (;;) {
		if (make_room(o) < 0)
			return -ENOMEM;
		left = deadline - now_ms();
		n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0) {
			n = read_some(fd, o);
			if (n == 0)
				return 0;
		}
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

/* It has closed its output, but may still run. */
static int reap(pid_t pid, int r, int64_t deadline)
{
	static const struct timespec pause = { .tv_nsec = 2000000 };
	int status = -1;
	pid_t done = 0;

	while (r == 0 && (done = waitpid(pid, &status, WNOHANG)) == 0) {
		if (now_ms() >= deadline)
			r = -ETIMEDOUT;
		else
			nanosleep(&pause, NULL);
	}
	kill(-pid, SIGKILL);	/* also what it left in the background */
	if (done == 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	if (r < 0)
		return r;
	return done == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPROTO;
}

int sw_ask(const char *const *argv, int timeout_ms, size_t max, char **ret)
{
	_cleanup_close_ int null = -1, in = -1, out = -1;
	int64_t deadline = now_ms() + timeout_ms;
	struct output o = { .max = max };
	int fds[2], r;
	pid_t pid;

	r = sw_ask_trusts(argv[0]);
	if (r < 0)
		return r;
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	in = fds[0];
	out = fds[1];
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		exec_child(argv, null, out);
	setpgid(pid, pid);
	close(TAKE_FD(out));

	r = reap(pid, read_all(in, &o, deadline), deadline);
	if (r < 0)
		free(o.text);
	else
		*ret = o.text;
	return r;
}
