/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Scope cleanup and small helpers every module uses. */
#ifndef SW_UTIL_H
#define SW_UTIL_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static inline void sw_freep(void *p)
{
	free(*(void **)p);
}

static inline void sw_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void sw_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_	 __attribute__((cleanup(sw_freep)))
#define _cleanup_close_	 __attribute__((cleanup(sw_closep)))
#define _cleanup_fclose_ __attribute__((cleanup(sw_fclosep)))
#define TAKE_FD(fd)	({ int fd_ = (fd); (fd) = -1; fd_; })
#define TAKE_PTR(p)	({ __typeof__(p) p_ = (p); (p) = NULL; p_; })

#endif
