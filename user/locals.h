/* SPDX-License-Identifier: GPL-2.0-or-later */
/* This machine's own addresses, from netlink. */
#ifndef SW_LOCALS_H
#define SW_LOCALS_H

#include <stddef.h>
#include <stdint.h>

struct sw_addr {
	uint8_t b[16];	/* IPv4 as v4-mapped */
};

struct sw_addrs {
	struct sw_addr *item;	/* sorted, each once */
	size_t n;
};

/* All addresses of this network namespace, both families. 0 or -errno; the caller frees
 * ret->item. */
int sw_locals_read(struct sw_addrs *ret);

/* A non-blocking socket that becomes readable when an address comes or goes; or -errno. */
int sw_locals_watch(void);

/* Reads away what made `fd` readable. Lost notifications are no error: the caller reads all
 * addresses anew in any case. 0 or -errno. */
int sw_locals_drain(int fd);

/* Makes the rows of `generation` in the sw_local map equal to `a`, and the filter in sw_control
 * that spares the hooks most lookups. New ones first, bits before rows, so that an address of
 * this machine is never missing in between. 0 or -errno. */
int sw_locals_store(int map_fd, int control_fd, uint32_t generation, const struct sw_addrs *a);

/*
 * After `watch_fd` became readable: reads the addresses anew and stores them. 0 or -errno.
 */
int sw_locals_refresh(int watch_fd, int map_fd, int control_fd, uint32_t generation);

#endif
