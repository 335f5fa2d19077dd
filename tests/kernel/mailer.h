/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mailers of our own, in directories of our own: a mount namespace with a fresh /usr/local/sbin and
 * /usr/local/bin, where an apply looks for them. Each is a copy of the test program.
 */
#ifndef MAILER_H
#define MAILER_H

#include <stdint.h>

#include "wall.h"

#define MAILER_DIR "/usr/local/sbin"
#define MAILER_BIN "/usr/local/bin"

/* The first thing main() does: as a mailer it does what its arguments say and never returns.
 *   --mailer exit            --mailer run PROGRAM ARGUMENT...      --mailer as UID run PROGRAM... */
void mailer_main(int argc, char **argv);

/* Leaves the machine's mounts and makes both directories empty. */
void mailer_world(void);

/* Puts a copy of the program, or a script of this text, at `path` with `mode`. */
void mailer_install(const char *path, unsigned int mode);
void mailer_script(const char *path, const char *text);

/* Who executes: a child in the wall's cgroup, or in the caller's own with `outside`. */
struct mailer_caller {
	uint32_t uid;
	const char *cwd;	/* NULL: / */
	const char *comm;	/* its name; NULL: that of the test */
	bool outside;
};

/* fork and exec of argv[0] (a path); the exit status, or 200 + errno when it could not be executed. */
int mailer_exec(const struct wall *w, const struct mailer_caller *c, const char *const *argv);

#endif
