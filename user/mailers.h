/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs that hand mail to the mail server: sendmail and what stands in for it. The kernel counts
 * their executions by file, so the files have to be known, and known again after an upgrade of
 * their package.
 */
#ifndef SW_MAILERS_H
#define SW_MAILERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "smtpwall_abi.h"

/* One row of sw_mailers: a file, or a user of a mail server (dev SW_DEV_NONE). */
struct sw_mailer_row {
	struct sw_mailer_key key;
	uint32_t flags;		/* SW_MAILER_* */
};

/* One row of sw_mailer_names. */
struct sw_mailer_name_row {
	struct sw_mailer_name name;
	uint32_t flags;
};

#define SW_MAILERS_MAX 128	/* of each; far more than the names that are looked for */

struct sw_mailers {
	struct sw_mailer_row file[SW_MAILERS_MAX];
	struct sw_mailer_name_row name[SW_MAILERS_MAX];
	size_t n_files, n_names;
};

/*
 * Looks below `root` ("" for this machine). A file that serves other purposes too, such as busybox
 * or true under the name of sendmail, is known by its name only. Opens files and runs nothing, so
 * CAP_DAC_READ_SEARCH is enough. Never fails: what cannot be opened is not there.
 */
void sw_mailers_find(const char *root, struct sw_mailers *ret);

/* The device number that the kernel has for the file system of the open file `fd`, as in
 * sw_mailer_key. st_dev is another one on btrfs and overlayfs, hence /proc/self/mountinfo
 * (proc_pid_mountinfo(5)). `st_dev` where that cannot be read. */
uint32_t sw_mailers_dev(int fd, dev_t st_dev);

/* Makes the rows of the maps sw_mailers and sw_mailer_names those of `m`, with their filters in the
 * control page. 0 or -errno. */
int sw_mailers_store(int files_fd, int names_fd, int control_fd, const struct sw_mailers *m);

/* Finds and stores: what an apply does, and the monitor from time to time, with descriptors of
 * SW_MAP_MAILERS, SW_MAP_MAILER_NAMES and SW_MAP_CONTROL. 0 or -errno. */
int sw_mailers_refresh(int files_fd, int names_fd, int control_fd);

#endif
