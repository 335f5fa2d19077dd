/* SPDX-License-Identifier: GPL-2.0-or-later */
#define _GNU_SOURCE
#include "attack_ring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same number everywhere; older headers lack the names. */
#define NR_SETUP	425
#define NR_ENTER	426
#define NR_REGISTER	427

static void *map(int fd, size_t len, off_t what)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, what);

	return p == MAP_FAILED ? NULL : p;
}

int at_ring_open(struct at_ring *ring, unsigned setup_flags)
{
	struct io_uring_params p = { .flags = setup_flags };
	char *sq, *cq;

	ring->fd = (int)syscall(NR_SETUP, 4, &p);
	if (ring->fd < 0 && errno == EPERM)
		return at_unsupported("io_uring is not for this user (kernel.io_uring_disabled)");
	if (ring->fd < 0)
		return at_setup_error("io_uring_setup", errno);
	sq = map(ring->fd, p.sq_off.array + p.sq_entries * sizeof(unsigned), IORING_OFF_SQ_RING);
	cq = map(ring->fd, p.cq_off.cqes + p.cq_entries * sizeof(struct io_uring_cqe),
		 IORING_OFF_CQ_RING);
	ring->sqes = map(ring->fd, p.sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
	if (!sq || !cq || !ring->sqes)
		return at_broken("io_uring mmap: %s", strerror(errno));
	ring->sq_tail = (unsigned *)(void *)(sq + p.sq_off.tail);
	ring->sq_mask = *(unsigned *)(void *)(sq + p.sq_off.ring_mask);
	ring->sq_array = (unsigned *)(void *)(sq + p.sq_off.array);
	ring->cq_head = (unsigned *)(void *)(cq + p.cq_off.head);
	ring->cq_tail = (unsigned *)(void *)(cq + p.cq_off.tail);
	ring->cq_mask = *(unsigned *)(void *)(cq + p.cq_off.ring_mask);
	ring->cqes = (struct io_uring_cqe *)(void *)(cq + p.cq_off.cqes);
	return 0;
}

int at_ring_do(struct at_ring *ring, const struct io_uring_sqe *sqe)
{
	unsigned tail = *ring->sq_tail, head = *ring->cq_head, n = 1;
	int res;

	ring->sqes[tail & ring->sq_mask] = *sqe;
	ring->sq_array[tail & ring->sq_mask] = tail & ring->sq_mask;
	__atomic_store_n(ring->sq_tail, tail + 1, __ATOMIC_RELEASE);
	/* Waking a polling thread that is awake, or absent, does no harm. */
	while (__atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE) == head) {
		if (syscall(NR_ENTER, ring->fd, n, 1,
			    IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP, NULL, 0) < 0 &&
		    errno != EINTR)
			return -errno;
		n = 0;
	}
	res = ring->cqes[head & ring->cq_mask].res;
	__atomic_store_n(ring->cq_head, head + 1, __ATOMIC_RELEASE);
	return res;
}

int at_ring_register(struct at_ring *ring, unsigned op, void *arg, unsigned n)
{
	long r = syscall(NR_REGISTER, ring->fd, op, arg, n);

	return r < 0 ? -errno : (int)r;
}
