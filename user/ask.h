/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asking other programs of this machine: no shell, no environment, bounded time and output. */
#ifndef SW_ASK_H
#define SW_ASK_H

#include <stddef.h>

/* Whether root may run the program at `path` (absolute): 0; -EPERM when it is no file of root's, or
 * others can write to it; -ENOENT; other -errno. */
int sw_ask_trusts(const char *path);

/*
 * Runs argv[0] (an absolute path) with an empty environment in / and takes what it prints, up to
 * `max` bytes; the rest is read and dropped. Only a program that root owns and nobody else can
 * write is run; what does not end in `timeout_ms` is killed with everything it started.
 *
 * 0 and `ret`, a string (malloc'd; a NUL byte in the output ends it); -ENOENT: there is no such
 * program; -EPERM: not to be trusted; -ETIMEDOUT; -EPROTO: it failed; else -errno.
 */
int sw_ask(const char *const *argv, int timeout_ms, size_t max, char **ret);

#endif
