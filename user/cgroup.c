/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "cgroup.h"
#include "util.h"

/* The root of the hierarchy has inode 1; a cgroup namespace shows another directory as root.
 * sysfs has inode 1 too, so the magic is checked as well. */
#define SW_CGROUP2_ROOT_INO 1

static int open_v2(const char *path, int *ret)
{
	_cleanup_close_ int fd = -1;
	struct statfs fs;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if (fs.f_type != CGROUP2_SUPER_MAGIC)
		return -ENOTSUP;
	*ret = TAKE_FD(fd);
	return 0;
}

static int open_root(const char *path, int *ret)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int r;

	r = open_v2(path, &fd);
	if (r < 0)
		return r;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_ino != SW_CGROUP2_ROOT_INO)
		return -EXDEV;
	*ret = TAKE_FD(fd);
	return 0;
}

/* Undoes the octal escapes of mountinfo (blank, tab, newline, backslash) in place. */
static void unescape(char *s)
{
	char *to = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
		    s[3] >= '0' && s[3] <= '7') {
			*to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
			s += 4;
		} else {
			*to++ = *s++;
		}
	}
	*to = '\0';
}

/* Mount point of one line of /proc/self/mountinfo when it is cgroup v2, else NULL. The format
 * is documented in proc(5). */
static char *v2_mount_point(char *line)
{
	char *dash = strstr(line, " - "), *save = NULL, *field = NULL;

	if (!dash || strncmp(dash + 3, "cgroup2 ", 8) != 0)
		return NULL;
	for (int i = 0; i < 5; i++)
		field = strtok_r(i ? NULL : line, " ", &save);
	if (field)
		unescape(field);
	return field;
}

/* -ENOENT: no v2 mount in sight shows the real root. */
static int find_mounted_root(int *ret_fd, char **ret_path)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/mountinfo", "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;

	if (!f)
		return -errno;
	while (getline(&line, &size, f) > 0) {
		char *point = v2_mount_point(line);
		int fd;

		if (!point)
			continue;
		if (open_root(point, &fd) < 0)
			continue;	/* a part of the tree, or something is mounted over it */
		*ret_path = strdup(point);
		if (!*ret_path) {
			close(fd);
			return -ENOMEM;
		}
		*ret_fd = fd;
		return 0;
	}
	return -ENOENT;
}

/* The mount is detached at once: it lives as long as the descriptor does. -EXDEV in a cgroup
 * namespace, where this too shows a container's view only. */
static int mount_private_root(int *ret_fd, char **ret_path)
{
	char dir[] = "/tmp/smtpwall-cgroup2-XXXXXX";
	_cleanup_free_ char *path = strdup("(private mount)");
	int fd = -1, r;

	if (!path)
		return -ENOMEM;
	if (!mkdtemp(dir))
		return -errno;
	if (mount("none", dir, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0) {
		r = -errno;
	} else {
		r = open_root(dir, &fd);
		umount2(dir, MNT_DETACH);
	}
	rmdir(dir);
	if (r < 0)
		return r;
	*ret_fd = fd;
	*ret_path = TAKE_PTR(path);
	return 0;
}

int sw_cgroup_open(const char *path, int *ret_fd, char **ret_path)
{
	_cleanup_free_ char *copy = NULL;
	int r;

	if (!path) {
		r = find_mounted_root(ret_fd, ret_path);
		return r == -ENOENT ? mount_private_root(ret_fd, ret_path) : r;
	}
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	r = open_v2(path, ret_fd);
	if (r < 0)
		return r;
	*ret_path = TAKE_PTR(copy);
	return 0;
}

int sw_cgroup_id(int fd, uint64_t *ret)
{
	struct {
		struct file_handle head;
		uint64_t id;
	} h = { .head = { .handle_bytes = sizeof(uint64_t) } };
	int mount_id;

	if (name_to_handle_at(fd, "", &h.head, &mount_id, AT_EMPTY_PATH) < 0)
		return -errno;
	memcpy(ret, h.head.f_handle, sizeof(*ret));
	return 0;
}

int sw_cgroup_find(int root_fd, const char *path, uint64_t *ret)
{
	_cleanup_close_ int fd = -1;
	char part[NAME_MAX + 1];
	struct stat root, st;

	if (fstat(root_fd, &root) < 0)
		return -errno;
	while (*(path += strspn(path, "/"))) {
		size_t len = strcspn(path, "/");
		int next;

		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(part, path, len);
		part[len] = '\0';
		path += len;
		next = openat(fd < 0 ? root_fd : fd, part,
			      O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		sw_closep(&fd);
		fd = next;
		if (fstat(fd, &st) < 0)
			return -errno;
		if (st.st_dev != root.st_dev)
			return -EXDEV;
	}
	*ret = st.st_ino;
	return 0;
}

int sw_cgroup_enter(int fd)
{
	_cleanup_close_ int procs = openat(fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

	if (procs < 0)
		return -errno;
	return write(procs, "0", 1) == 1 ? 0 : -errno;
}
