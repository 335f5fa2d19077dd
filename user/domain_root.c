/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "domain_int.h"
#include "util.h"

#define TRIES 8		/* the kernel says EAGAIN while somebody renames directories */

int sw_root_open(const char *path, struct sw_root *ret)
{
	*ret = (struct sw_root){ .fd = -1 };
	if (!path || !*path || !path[strspn(path, "/")])
		return 0;
	ret->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return ret->fd < 0 ? -errno : 0;
}

void sw_root_close(struct sw_root *root)
{
	sw_closep(&root->fd);
	root->fd = -1;
}

/* Without openat2(2) component by component, and no links at all. */
static int open_plainly(int root, const char *path, int flags)
{
	_cleanup_close_ int dir = fcntl(root, F_DUPFD_CLOEXEC, 0);
	char name[NAME_MAX + 1];
	size_t len;
	int fd;

	if (dir < 0)
		return -errno;
	for (;;) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		snprintf(name, sizeof(name), "%.*s", (int)len, len ? path : ".");
		path += len;
		if (!strcmp(name, ".."))
			return -EXDEV;
		if (!path[strspn(path, "/")])
			break;
		fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0)
			return errno == ENOTDIR ? -ELOOP : -errno;
		close(dir);
		dir = fd;
	}
	fd = openat(dir, len ? name : ".", flags | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int open_below(const struct sw_root *root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned int)flags | O_CLOEXEC,
		.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
	};
	long fd = -1;

	for (int i = 0; i < TRIES; i++) {
		fd = syscall(SYS_openat2, root->fd, path, &how, sizeof(how));
		if (fd >= 0 || errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

int sw_root_openat(const struct sw_root *root, const char *path, int flags)
{
	int fd;

	if (root->fd < 0) {
		fd = open(path, flags | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	if (!root->no_openat2) {
		fd = open_below(root, path, flags);
		/* EPERM is how sandboxes refuse system calls that they do not know. */
		if (fd != -ENOSYS && fd != -EPERM)
			return fd;
	}
	return open_plainly(root->fd, path, flags);
}

int sw_root_stat(const struct sw_root *root, const char *path, struct stat *ret)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (root->fd < 0) {
		if (stat(path, &st) < 0)
			return -errno;
		*ret = st;
		return 0;
	}
	fd = sw_root_openat(root, path, O_PATH);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	/* O_PATH with O_NOFOLLOW opens the link itself. */
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	*ret = st;
	return 0;
}

/* What /proc says about a descriptor; false when that is not below `prefix` (of `len` bytes). */
static bool name_of(int fd, const char *prefix, size_t len, char *ret, size_t size)
{
	char link[32], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0 || (size_t)n >= sizeof(path) - 1)
		return false;
	path[n] = '\0';
	if (len && !sw_domain_path_below(path, prefix, len))
		return false;
	snprintf(ret, size, "%s", path[len] ? path + len : "/");
	return true;
}

char *sw_root_real(const struct sw_root *root, const char *path)
{
	_cleanup_close_ int fd = sw_root_openat(root, path, O_PATH);
	char prefix[PATH_MAX] = "", real[PATH_MAX];
	size_t len = 0;

	if (fd < 0)
		return NULL;
	if (root->fd >= 0) {
		if (!name_of(root->fd, "", 0, prefix, sizeof(prefix)))
			return NULL;
		len = strcmp(prefix, "/") != 0 ? strlen(prefix) : 0;
	}
	return name_of(fd, prefix, len, real, sizeof(real)) ? strdup(real) : NULL;
}

bool sw_root_readlink(const struct sw_root *root, const char *path, char *ret, size_t size)
{
	_cleanup_close_ int fd = sw_root_openat(root, path, O_PATH | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return false;
	n = readlinkat(fd, "", ret, size);
	if (n <= 0 || (size_t)n >= size)
		return false;
	ret[n] = '\0';
	return true;
}
