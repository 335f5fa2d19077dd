/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kern.h"
#include "mailers.h"
#include "refusal.h"
#include "util.h"

#ifndef MFD_EXEC
#define MFD_EXEC	0x0010U		/* Linux 6.3 */
#endif

/* A file of our own, in memory: no other execution can be meant. */
static int make_file(struct sw_mailer_key *key)
{
	_cleanup_close_ int fd = memfd_create("smtpwall", MFD_CLOEXEC | MFD_EXEC);
	struct stat st;

	if (fd < 0)
		fd = memfd_create("smtpwall", MFD_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0700) < 0 || fstat(fd, &st) < 0)
		return -errno;
	*key = (struct sw_mailer_key){ .ino = st.st_ino, .dev = sw_mailers_dev(fd, st.st_dev) };
	return TAKE_FD(fd);
}

/* How an execution of it ends. It cannot succeed, for nothing executes an empty file: ENOEXEC. */
static int execute(int fd)
{
	char *const none[] = { NULL };
	char *const argv[] = { (char *)"smtpwall", NULL };

	execveat(fd, "", argv, none, AT_EMPTY_PATH);
	return errno;
}

bool sw_refusal_works(void)
{
	struct sw_mailer_key key;
	_cleanup_close_ int file = make_file(&key);
	_cleanup_close_ int link = -1;

	if (file < 0 || execute(file) != ENOEXEC)	/* others refuse it */
		return false;
	link = sw_kern_try_refuse(&key);
	return link >= 0 && execute(file) == EPERM;
}
