/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "pins.h"
#include "smtpwall_abi.h"
#include "util.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif
#define BPFFS "/sys/fs/bpf"
#define LINK_PREFIX "link_"
#define ASIDE_SUFFIX	"_new"

#define MAX_TRIES 100	/* of a directory that others remove at the same time */

static bool on_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

/* Makes `root` and its missing parents, private to root. The first existing parent has to be on
 * bpffs already; only /sys/fs/bpf itself is mounted when needed. */
static int make_root(const char *root)
{
	_cleanup_free_ char *path = strdup(root);

	if (!path)
		return -ENOMEM;
	if (!strncmp(root, BPFFS "/", strlen(BPFFS "/")) && !on_bpffs(BPFFS) &&
	    mount("bpf", BPFFS, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") < 0)
		return -errno;
	for (char *slash = path; slash; *slash = '/') {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		if (access(path, F_OK) < 0) {
			char *last = strrchr(path, '/');

			*last = '\0';
			if (!on_bpffs(*path ? path : "/"))
				return -ENOTSUP;
			*last = '/';
			if (mkdir(path, 0700) < 0 && errno != EEXIST)
				return -errno;
		}
		if (!slash)
			break;
	}
	return 0;
}

/* Opens and locks `root`; -ESTALE when it was removed in between, and the caller tries again. */
static int lock_root(const char *root, int *ret)
{
	_cleanup_close_ int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat locked, now;
	struct statfs fs;

	if (fd < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (fstatfs(fd, &fs) < 0)
		return -errno;
	if ((unsigned long)fs.f_type != BPF_FS_MAGIC)
		return -ENOTSUP;
	if (fstat(fd, &locked) < 0)
		return -errno;
	if (locked.st_uid != geteuid() || locked.st_mode & (S_IWGRP | S_IWOTH))
		return -EEXIST;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	if (stat(root, &now) < 0 || locked.st_ino != now.st_ino)
		return -ESTALE;
	*ret = TAKE_FD(fd);
	return 0;
}

static int open_for_writing(const char *root, int *ret)
{
	int r = -ESTALE;

	for (int i = 0; i < MAX_TRIES && r == -ESTALE; i++) {
		r = make_root(root);
		if (!r)
			r = lock_root(root, ret);
	}
	return r;
}

int sw_pins_open(const char *pin_dir, bool write, struct sw_pins *ret)
{
	_cleanup_free_ char *root = strdup(pin_dir), *dir = NULL;
	_cleanup_close_ int fd = -1;
	bool exists;
	int r = 0;

	if (!root || asprintf(&dir, "%s/v%d", pin_dir, SW_ABI_VERSION) < 0)
		return -ENOMEM;
	if (pin_dir[0] != '/')
		return -EINVAL;
	if (write)
		r = open_for_writing(root, &fd);
	if (r < 0)
		return r;
	exists = access(dir, F_OK) == 0;
	*ret = (struct sw_pins){
		.exists = exists,
		.lock_fd = TAKE_FD(fd),
		.dir = TAKE_PTR(dir),
		.root = TAKE_PTR(root),
	};
	return 0;
}

void sw_pins_close(struct sw_pins *p)
{
	/* Made by us perhaps and never filled: it goes. One with anything in it stays. */
	if (p->lock_fd >= 0)
		rmdir(p->root);
	free(p->dir);
	free(p->root);
	if (p->lock_fd >= 0)
		close(p->lock_fd);
	*p = (struct sw_pins){ .lock_fd = -1 };
}

int sw_pins_get(const char *dir, const char *name)
{
	_cleanup_free_ char *path = NULL;
	int fd;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : fd;
}

static char *aside_path(const char *dir, const char *name)
{
	char *path;

	return asprintf(&path, "%s/%s" ASIDE_SUFFIX, dir, name) < 0 ? NULL : path;
}

int sw_pins_put_aside(const char *dir, const char *aside, int fd)
{
	_cleanup_free_ char *path = aside_path(dir, aside);

	if (!path)
		return -ENOMEM;
	unlink(path);
	return bpf_obj_pin(fd, path) < 0 ? -errno : 0;
}

int sw_pins_move_in(const char *dir, const char *aside, const char *name)
{
	_cleanup_free_ char *to = NULL, *from = aside_path(dir, aside);

	if (!from || asprintf(&to, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	return rename(from, to) < 0 ? -errno : 0;
}

void sw_pins_remove_aside(const char *dir, const char *aside)
{
	_cleanup_free_ char *path = aside_path(dir, aside);

	if (path)
		unlink(path);
}

int sw_pins_put(const char *dir, const char *name, int fd)
{
	int r = sw_pins_put_aside(dir, name, fd);

	if (r < 0)
		return r;
	r = sw_pins_move_in(dir, name, name);
	if (r < 0)
		sw_pins_remove_aside(dir, name);
	return r;
}

int sw_pins_remove(const char *dir, const char *name)
{
	_cleanup_free_ char *path = NULL;

	if (asprintf(&path, "%s/%s", dir, name) < 0)
		return -ENOMEM;
	return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int sw_pins_stage(const struct sw_pins *p, char **ret)
{
	/* A loader that died may have left a directory with our process id. */
	for (unsigned int n = (unsigned int)getpid();; n++) {
		_cleanup_free_ char *path = NULL;

		/* No dots: bpffs refuses them with EPERM. */
		if (asprintf(&path, "%s/new%u", p->root, n) < 0)
			return -ENOMEM;
		if (mkdir(path, 0700) == 0) {
			*ret = TAKE_PTR(path);
			return 0;
		}
		if (errno != EEXIST)
			return -errno;
	}
}

int sw_pins_publish(struct sw_pins *p, const char *staged)
{
	if (renameat2(AT_FDCWD, staged, AT_FDCWD, p->dir, RENAME_NOREPLACE) < 0)
		return -errno;
	p->exists = true;
	return 0;
}

/* Pins that a loader which died had put aside: nobody knows them, and a link would live on. */
static int remove_asides(const char *dir)
{
	const size_t suffix = strlen(ASIDE_SUFFIX);
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		size_t len = strlen(e->d_name);

		if (len > suffix && !strcmp(e->d_name + len - suffix, ASIDE_SUFFIX) &&
		    unlinkat(dirfd(d), e->d_name, 0) < 0)
			r = -errno;
	}
	closedir(d);
	return r;
}

/* Unlinks the files of one directory whose names do (or do not) start with the link prefix. */
static int unlink_all(const char *dir, bool links)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while ((e = readdir(d))) {
		bool is_link = !strncmp(e->d_name, LINK_PREFIX, strlen(LINK_PREFIX));

		if (e->d_name[0] == '.' || is_link != links)
			continue;
		if (unlinkat(dirfd(d), e->d_name, 0) < 0)
			r = -errno;
	}
	closedir(d);
	return r;
}

/* Only names that this program gives: PIN_DIR may hold other people's directories. */
static bool is_ours(const char *name)
{
	const char *digits = !strncmp(name, "new", 3) ? name + 3 : name[0] == 'v' ? name + 1 : "";

	return *digits && strspn(digits, "0123456789") == strlen(digits);
}

static int remove_dir(const char *dir)
{
	int r = unlink_all(dir, true);

	if (!r)
		r = unlink_all(dir, false);
	if (!r && rmdir(dir) < 0)
		r = -errno;
	return r;
}

int sw_pins_discard(const char *staged)
{
	return remove_dir(staged);
}

int sw_pins_sweep(struct sw_pins *p, const char *keep)
{
	DIR *d = opendir(p->root);
	struct dirent *e;
	int r = 0;

	if (!d)
		return errno == ENOENT ? 0 : -errno;
	while ((e = readdir(d))) {
		_cleanup_free_ char *path = NULL;
		int one;

		if (!is_ours(e->d_name))
			continue;
		if (asprintf(&path, "%s/%s", p->root, e->d_name) < 0) {
			r = -ENOMEM;
			break;
		}
		one = keep && !strcmp(path, keep) ? remove_asides(path) : remove_dir(path);
		if (one < 0)
			r = one;
	}
	closedir(d);
	p->exists = access(p->dir, F_OK) == 0;
	return r;
}
