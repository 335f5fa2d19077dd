/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What runs in a cgroup, in a few words for people, read off its path: the unit, container or
 * account that an administrator would look for. Nothing is opened.
 *
 * Sources of the formats: systemd's unit names and their \xHH escapes (systemd.unit(5)); the scope
 * and directory names of runc's two cgroup drivers (docker, containerd, cri-o), of libpod, of LXC
 * (lxc.container.conf(5)), of the kubelet (QoS class, then pod, then container), and of CloudLinux.
 */
#ifndef SW_CONTAINER_H
#define SW_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>

#define SW_CONTAINER_LEN 256	/* enough for every name that systemd allows */

/*
 * Describes the cgroup v2 `path` ("/system.slice/php8.2-fpm.service", as in /proc/PID/cgroup):
 *
 *	unit php8.2-fpm.service		docker 0123456789ab		lxc NAME
 *	user 1001 unit x.service	podman 0123456789ab		machine NAME
 *	user 1001 podman 0123456789ab	kubernetes POD/0123456789ab	lve 1001
 *
 * or the path itself. The outermost name counts, since whoever runs a container or owns a part of
 * the tree names what is further in; a container of a unit or of a user has both. A path whose top
 * is missing is read as far as it can be.
 *
 * The text is not fit for a terminal: a container's name may hold any byte but NUL and slash, and
 * \xHH is decoded. Print it through sw_escape(). `buf` is always terminated (len 0: not touched).
 * 0; -ENAMETOOLONG: the text was cut to `len`.
 */
int sw_container_describe(const char *path, char *buf, size_t len);

/*
 * Whether the path is that of a container. By name only: a user may name a cgroup below
 * user@UID.service as it pleases, and no decision may rest on it.
 */
bool sw_container_is_one(const char *path);

#endif
