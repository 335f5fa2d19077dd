/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The configuration file (smtpwall.conf(5)): INI text to struct sw_policy. Needs no root. */
#ifndef SW_CONFIG_H
#define SW_CONFIG_H

#include <stddef.h>

#include "policy.h"

#define SW_CONFIG_DEFAULT "/etc/smtpwall/smtpwall.conf"

/* Everything that is wrong, each with the place it was found at. */
struct sw_diag {
	char **text;	/* "file:line: what is wrong; what to do" */
	size_t n;
};

void sw_diag_free(struct sw_diag *d);
int sw_diag_add(struct sw_diag *d, const char *file, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/*
 * Reads `path` and then every *.conf in the directory conf.d beside it, in name order.
 *
 * path:      the file; with NULL the default path, which may be missing: then `ret` is the
 *            built-in default policy. A named file must exist.
 * cgroup_fd: root of the cgroup v2 tree, for [exempt] cgroups; -1 makes those lines an error.
 * ret:       written on success only.
 * diag:      all errors of all files, in order; empty on success. The caller frees it.
 *
 * 0; -EINVAL with at least one entry in `diag`; -ENOMEM.
 * A file that cannot be read is an entry in `diag` too (file:0).
 */
int sw_config_load(const char *path, int cgroup_fd, struct sw_policy *ret, struct sw_diag *diag);

#endif
