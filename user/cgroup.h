/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The cgroup the hooks attach to: the root of the v2 hierarchy, or one named on purpose. */
#ifndef SW_CGROUP_H
#define SW_CGROUP_H

#include <stdint.h>

/*
 * Opens the cgroup to attach to.
 *
 * path:     a cgroup v2 directory named on purpose (--cgroup), or NULL for the real root. With
 *           NULL the mount table is searched (pure v2 and hybrid hosts); where v2 is mounted
 *           nowhere it is mounted privately for as long as the descriptor is open.
 * ret_path: what was opened, malloc'd. Both outputs are written on success only.
 *
 * 0; -EXDEV when the only v2 tree in sight is a container's view of it; -ENOTSUP when `path` is
 * not on cgroup v2; other -errno.
 */
int sw_cgroup_open(const char *path, int *ret_fd, char **ret_path);

#define SW_CGROUP_ROOT_ID 1	/* of the root of the v2 hierarchy */

/* The kernel's id of the cgroup behind `fd`. 0 or -errno. */
int sw_cgroup_id(int fd, uint64_t *ret);

/* The kernel's id of the cgroup at `path` below the one behind `fd`: one component at a time, over
 * no symbolic link and no other file system. 0; -ENOENT; -EXDEV; -ENOTDIR; other -errno. */
int sw_cgroup_find(int fd, const char *path, uint64_t *ret);

/* Moves the calling process into the cgroup behind `fd`. 0 or -errno. */
int sw_cgroup_enter(int fd);

#endif
