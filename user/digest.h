/* SPDX-License-Identifier: GPL-2.0-or-later */
/* FNV-1a, 64 bits: to notice changes of the administrator's own files. Nobody gains by making two
 * texts collide; what customers choose is hashed with a key (domain_int.h). */
#ifndef SW_DIGEST_H
#define SW_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#define SW_DIGEST_EMPTY 0xcbf29ce484222325ULL

/* `h` with `len` bytes more. */
static inline uint64_t sw_digest(uint64_t h, const void *data, size_t len)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < len; i++)
		h = (h ^ p[i]) * 0x100000001b3ULL;
	return h;
}

#endif
