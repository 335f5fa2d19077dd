/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "scene.h"

static int kept_stderr = -1, heard = -1;

void scene_list(const char *dir, char ret[SCENE_TEXT])
{
	struct dirent **e = NULL;
	int n = scandir(dir, &e, NULL, alphasort);
	size_t used = 0;

	ret[0] = '\0';
	for (int i = 0; i < n; i++) {
		if (strcmp(e[i]->d_name, ".") != 0 && strcmp(e[i]->d_name, "..") != 0 &&
		    used < SCENE_TEXT)
			used += (size_t)snprintf(ret + used, SCENE_TEXT - used, "%s ",
						 e[i]->d_name);
		free(e[i]);
	}
	free(e);
}

void scene_list_in(const char *dir, const char *name, char ret[SCENE_TEXT])
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	scene_list(path, ret);
}

void scene_listen(void)
{
	fflush(stderr);
	kept_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	heard = memfd_create("stderr", MFD_CLOEXEC);
	if (kept_stderr < 0 || heard < 0 || dup2(heard, STDERR_FILENO) < 0)
		abort();
}

void scene_heard(char ret[SCENE_TEXT])
{
	ssize_t n;

	fflush(stderr);
	n = pread(heard, ret, SCENE_TEXT - 1, 0);
	ret[n > 0 ? n : 0] = '\0';
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	close(heard);
}

void scene_rmdir(const char *cgroup)
{
	for (int i = 0; rmdir(cgroup) < 0 && errno == EBUSY && i < 2000; i++)
		poll(NULL, 0, 1);
}

size_t scene_lines(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

int scene_child(int (*fn)(void *), void *arg)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(fn(arg) & 0xff);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}
