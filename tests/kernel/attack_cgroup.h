/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ATTACK_CGROUP_H
#define ATTACK_CGROUP_H

/* Moves the calling process into a cgroup v2 directory: 0 or -errno. */
int at_cgroup_enter(const char *dir);

/* Removes the children that cases made below it. */
void at_cgroup_tidy(const char *dir);

#endif
