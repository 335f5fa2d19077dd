/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailer.h"
#include "util.h"

static void __attribute__((noreturn)) give_up(const char *what)
{
	perror(what);
	exit(99);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			give_up("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 199;
}

static void become(uint32_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		give_up("setresuid");
}

void mailer_main(int argc, char **argv)
{
	pid_t pid;

	if (argc < 3 || strcmp(argv[1], "--mailer") != 0)
		return;
	argv += 2;
	pid = fork();
	if (pid < 0)
		give_up("fork");
	if (pid)
		exit(wait_for(pid));
	if (!strcmp(argv[0], "as")) {
		become((uint32_t)strtoul(argv[1], NULL, 10));
		argv += 2;
	}
	if (strcmp(argv[0], "run") != 0)
		_exit(0);
	execv(argv[1], argv + 1);
	_exit(200 + errno);
}

void mailer_world(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", MAILER_DIR, "tmpfs", 0, "mode=755") < 0 ||
	    mount("tmpfs", MAILER_BIN, "tmpfs", 0, "mode=755") < 0)
		give_up("mount");
}

void mailer_install(const char *path, unsigned int mode)
{
	_cleanup_close_ int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int to = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	struct stat st;
	off_t done = 0;

	if (from < 0 || to < 0 || fstat(from, &st) < 0)
		give_up(path);
	while (done < st.st_size)
		if (sendfile(to, from, &done, (size_t)(st.st_size - done)) <= 0)
			give_up(path);
	if (fchmod(to, mode) < 0)
		give_up(path);
}

void mailer_script(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *f = fopen(path, "wxe");

	if (!f || fputs(text, f) < 0 || fchmod(fileno(f), 0755) < 0)
		give_up(path);
}

int mailer_exec(const struct wall *w, const struct mailer_caller *c, const char *const *argv)
{
	pid_t pid = fork();

	if (pid < 0)
		give_up("fork");
	if (pid)
		return wait_for(pid);
	if (!c->outside)
		wall_enter(w);
	if (c->comm)
		prctl(PR_SET_NAME, c->comm);
	if (chdir(c->cwd ?: "/") < 0)
		give_up("chdir");
	become(c->uid);
	/* Whoever hands mail over lives on while the mailer runs: the caller's name is known by that. */
	pid = fork();
	if (pid < 0)
		give_up("fork");
	if (pid)
		_exit(wait_for(pid));
	execv(argv[0], (char *const *)argv);
	_exit(200 + errno);
}
