/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Other people's programs on the same cgroup: three-instruction ones, by bpf(2) alone. */
#ifndef FOREIGN_H
#define FOREIGN_H

#include <linux/bpf.h>

enum foreign_kind {
	FOREIGN_PASS,	/* agrees with everything */
	FOREIGN_CLEAR,	/* bpf_set_retval(0): undoes what a program before it refused */
	FOREIGN_REFUSE,	/* refuses everything, with EPERM */
};

/* Loads one for `attach` (a connect hook, or sock_create). Descriptor or -errno. */
int foreign_load(enum bpf_attach_type attach, enum foreign_kind kind, const char *name);

/* As a link, behind what is attached already. Descriptor or -errno. */
int foreign_link(int prog_fd, const char *cgroup, enum bpf_attach_type attach);

/* The old way, which tolerates no other program beside it. 0 or -errno. */
int foreign_attach_exclusive(int prog_fd, const char *cgroup, enum bpf_attach_type attach);
int foreign_detach(int prog_fd, const char *cgroup, enum bpf_attach_type attach);

#endif
