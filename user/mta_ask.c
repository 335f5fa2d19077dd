/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "mta_int.h"
#include "util.h"

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool is_trusted(const char *path)
{
	struct stat st;

	return *path == '/' && stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == 0 &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
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

/* Until the end of output. 0, -ETIMEDOUT or -errno; `buf` is always a string. */
static int read_all(int fd, char *buf, size_t size, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char rest[512];
	size_t used = 0;
	int64_t left;
	ssize_t n;

	buf[0] = '\0';
	for (;;) {
		left = deadline - now_ms();
		n = left > 0 ? poll(&p, 1, (int)left) : 0;
		if (n == 0)
			return -ETIMEDOUT;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		/* What does not fit is read all the same: a full pipe would stop the program. */
		n = used < size - 1 ? read(fd, buf + used, size - 1 - used) :
				      read(fd, rest, sizeof(rest));
		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && used < size - 1) {
			used += (size_t)n;
			buf[used] = '\0';
		}
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

int sw_mta_ask(const char *const *argv, int timeout_ms, char **ret)
{
	_cleanup_close_ int null = -1, in = -1, out = -1;
	int64_t deadline = now_ms() + timeout_ms;
	char buf[SW_ASK_MAX];
	int fds[2], r;
	pid_t pid;

	if (!is_trusted(argv[0]))
		return -EPERM;
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

	r = reap(pid, read_all(in, buf, sizeof(buf), deadline), deadline);
	if (r < 0)
		return r;
	buf[strcspn(buf, "\r\n")] = '\0';
	if (!buf[0])
		return -EPROTO;
	*ret = strdup(buf);
	return *ret ? 0 : -ENOMEM;
}
