/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An io_uring of one request at a time, by system calls: no library decides what is submitted. */
#ifndef ATTACK_RING_H
#define ATTACK_RING_H

#include <linux/io_uring.h>

#include "attack_impl.h"

struct at_ring {
	int fd;
	unsigned *sq_tail, sq_mask, *sq_array;
	unsigned *cq_head, *cq_tail, cq_mask;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
};

/* 0 or a result > 0. The ring lives until the case ends. */
int at_ring_open(struct at_ring *ring, unsigned setup_flags);

/* Submits one request and waits: the result of its completion. */
int at_ring_do(struct at_ring *ring, const struct io_uring_sqe *sqe);

int at_ring_register(struct at_ring *ring, unsigned op, void *arg, unsigned n);

#endif
