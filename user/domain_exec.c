/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Running a panel's own program, for what is in its database only. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "domain_int.h"
#include "util.h"

#define OUTPUT_MAX	(64 * 1024 * 1024)	/* bytes */
#define NOBODY		65534

struct program {
	char path[PATH_MAX];	/* as this process sees it */
	bool unprivileged;
};

/* Where it is, when it is to be trusted. Below a prefix it is somebody else's program: there it
 * gets no privilege at all. */
static bool find_program(const struct sw_root *root, const char *path, struct program *ret)
{
	_cleanup_close_ int fd = sw_root_openat(root, path, O_PATH);
	char link[32];
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    (st.st_mode & (S_IWGRP | S_IWOTH)))
		return false;
	if (st.st_uid != 0 && (root->fd < 0 || st.st_uid != geteuid()))
		return false;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, ret->path, sizeof(ret->path));
	if (n <= 0 || (size_t)n >= sizeof(ret->path))
		return false;
	ret->path[n] = '\0';
	ret->unprivileged = root->fd >= 0 && geteuid() == 0;
	return true;
}

/* In the child: only calls that are safe between fork and exec. */
static void __attribute__((noreturn)) exec_child(const struct program *p, const char *const *argv,
						 int null, int out)
{
	static const char *const environment[] = {
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL,
	};
	static const struct rlimit limit = { OUTPUT_MAX, OUTPUT_MAX };
	sigset_t none;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0 || dup2(null, STDIN_FILENO) < 0 ||
	    dup2(out, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 || chdir("/") < 0)
		_exit(127);
	if (p->unprivileged &&
	    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || setgroups(0, NULL) < 0 ||
	     setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
		_exit(127);
	execve(p->path, (char *const *)argv, (char *const *)environment);
	_exit(127);
}

/* Whether it ended well in time. It does not outlive this, nor does what it started. */
static bool wait_for(pid_t pid, int timeout_ms)
{
	static const struct timespec pause = { .tv_nsec = 5000000 };
	int64_t deadline = sw_domain_now_ms() + timeout_ms;
	int status = -1;
	pid_t done;

	while ((done = waitpid(pid, &status, WNOHANG)) == 0 && sw_domain_now_ms() < deadline)
		nanosleep(&pause, NULL);
	kill(-pid, SIGKILL);
	if (done == 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return done == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int sw_domain_run(struct sw_reading *r, const char *path, const char *const *argv, int timeout_ms,
		  sw_line_fn *take, void *data)
{
	_cleanup_close_ int null = -1, out = -1;
	struct program p;
	pid_t pid = -1;

	if (find_program(r->root, path, &p)) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		out = memfd_create("output", MFD_CLOEXEC);
		if (null >= 0 && out >= 0)
			pid = fork();
	}
	if (pid == 0)
		exec_child(&p, argv, null, out);
	if (pid > 0)
		setpgid(pid, pid);
	if (pid < 0 || !wait_for(pid, timeout_ms) || lseek(out, 0, SEEK_SET) < 0) {
		sw_reading_bad_file(r, path);
		return 0;
	}
	return sw_reading_fd(r, out, path, take, data);
}
