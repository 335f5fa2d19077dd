/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The metrics as a file for the node exporter's textfile collector, which reads all *.prom of a
 * directory whenever it is asked. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "metrics.h"
#include "util.h"

static int write_all(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A new file `name` in `dir`; all of it is on the disk afterwards, or it fails. */
static int write_file(int dir, const char *name, const char *text, size_t len)
{
	_cleanup_close_ int fd = -1;
	int r;

	if (unlinkat(dir, name, 0) < 0 && errno != ENOENT)	/* left by one that was killed */
		return -errno;
	fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_all(fd, text, len);
	if (!r && (fchmod(fd, 0644) < 0 || fsync(fd) < 0))
		r = -errno;
	if (r < 0)
		unlinkat(dir, name, 0);
	return r;
}

/* Directory of `path`, opened, and its last component. */
static int open_directory(const char *path, const char **name)
{
	_cleanup_free_ char *dir = NULL;
	const char *slash = strrchr(path, '/');
	int fd;

	*name = slash ? slash + 1 : path;
	if (!**name || !strcmp(*name, ".") || !strcmp(*name, ".."))
		return -EISDIR;
	dir = !slash ? strdup(".") : slash == path ? strdup("/") :
						     strndup(path, (size_t)(slash - path));
	if (!dir)
		return -ENOMEM;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int sw_metrics_file(const char *path, const char *text, size_t len)
{
	_cleanup_close_ int dir = -1;
	const char *name;
	char temp[64];
	int r;

	dir = open_directory(path, &name);
	if (dir < 0)
		return dir;
	/* This process's own: two may write at the same time. */
	snprintf(temp, sizeof(temp), ".smtpwall-metrics.%ld", (long)getpid());
	r = write_file(dir, temp, text, len);
	if (!r && renameat(dir, temp, dir, name) < 0) {
		r = -errno;
		unlinkat(dir, temp, 0);
	}
	if (!r)
		(void)fsync(dir);
	return r;
}
