/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>

#include "control.h"
#include "util.h"

#define EVENT_BURST	16	/* events of one UID at once */
#define EVENT_INTERVAL	15	/* then one in 15 ticks: about a second */
#define NSEC_PER_SEC	1000000000ULL
#define DAY		86400
#define LOOK_AHEAD	(6 * 366 * DAY)	/* nobody leaves a server without an apply for longer */

struct sw_control *sw_control_map(int fd)
{
	void *c = mmap(NULL, sizeof(struct sw_control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return c == MAP_FAILED ? NULL : c;
}

void sw_control_unmap(struct sw_control *c)
{
	munmap(c, sizeof(*c));
}

static int64_t offset_at(time_t t)
{
	struct tm tm;

	return localtime_r(&t, &tm) ? tm.tm_gmtoff : 0;
}

/* The first second after `low` at which local time is not what it is at `low`; it is at `high`. */
static int64_t find_change(int64_t low, int64_t high)
{
	int64_t before = offset_at(low);

	while (high - low > 1) {
		int64_t mid = low + (high - low) / 2;

		if (offset_at(mid) == before)
			low = mid;
		else
			high = mid;
	}
	return high;
}

void sw_control_zones(int64_t now, struct sw_zone zone[SW_ZONES])
{
	size_t n = 1;

	tzset();
	for (size_t i = 0; i < SW_ZONES; i++)
		zone[i] = (struct sw_zone){ .from_s = ~0ULL };
	zone[0] = (struct sw_zone){ .from_s = 0, .offset_s = offset_at(now) };
	/* Changes lie weeks apart: a step of a day misses none. */
	for (int64_t t = now; t < now + LOOK_AHEAD && n < SW_ZONES; t += DAY) {
		if (offset_at(t + DAY) == offset_at(t))
			continue;
		zone[n].from_s = (uint64_t)find_change(t, t + DAY);
		zone[n++].offset_s = offset_at(t + DAY);
	}
}

void sw_control_set_clock(struct sw_control *c)
{
	struct sw_zone zone[SW_ZONES];
	struct timespec real, mono;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	sw_control_zones(real.tv_sec, zone);
	/* At every moment the table says what local time is now: first the entry that holds from
	 * the beginning of time gets the offset of today, then each later one is taken out of
	 * force, changed, and put into force again. */
	__atomic_store_n(&c->zone[0].offset_s, zone[0].offset_s, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->zone[0].from_s, zone[0].from_s, __ATOMIC_SEQ_CST);
	for (int i = 1; i < SW_ZONES; i++) {
		__atomic_store_n(&c->zone[i].from_s, ~0ULL, __ATOMIC_SEQ_CST);
		__atomic_store_n(&c->zone[i].offset_s, zone[i].offset_s, __ATOMIC_SEQ_CST);
		__atomic_store_n(&c->zone[i].from_s, zone[i].from_s, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(&c->wall_offset_ns,
			 (uint64_t)(real.tv_sec - mono.tv_sec) * NSEC_PER_SEC +
			 (uint64_t)(real.tv_nsec - mono.tv_nsec), __ATOMIC_RELEASE);
}

void sw_control_set_applied(int fd, uint32_t generation, bool reopen)
{
	struct sw_control *c = sw_control_map(fd);

	if (!c)
		return;
	__atomic_store_n(&c->applied, generation, __ATOMIC_SEQ_CST);
	if (reopen)
		__atomic_add_fetch(&c->reopen, 1, __ATOMIC_SEQ_CST);
	sw_control_unmap(c);
}

void sw_control_end_trial(int fd)
{
	struct sw_control *c = sw_control_map(fd);

	if (!c)
		return;
	__atomic_store_n(&c->revert_ns, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&c->confirmed, 0, __ATOMIC_SEQ_CST);
	sw_control_unmap(c);
}

int sw_control_instance(int fd, uint64_t *ret)
{
	struct sw_control *c = sw_control_map(fd);
	uint64_t fresh, none = 0;
	int r = 0;

	if (!c)
		return -errno;
	*ret = __atomic_load_n(&c->instance, __ATOMIC_SEQ_CST);
	if (!*ret && getrandom(&fresh, sizeof(fresh), 0) != sizeof(fresh))
		r = -EIO;
	if (!*ret && !r) {
		fresh |= 1;
		if (!__atomic_compare_exchange_n(&c->instance, &none, fresh, false, __ATOMIC_SEQ_CST,
						 __ATOMIC_SEQ_CST))
			fresh = none;	/* somebody else was first */
		*ret = fresh;
	}
	sw_control_unmap(c);
	return r;
}

void sw_control_count_execs(int fd, uint32_t generation)
{
	struct sw_control *c = sw_control_map(fd);

	if (!c)
		return;
	__atomic_store_n(&c->exec_generation, generation, __ATOMIC_SEQ_CST);
	sw_control_unmap(c);
}

int sw_control_write(int fd)
{
	struct sw_control *c = sw_control_map(fd);
	uint64_t instance;

	if (!c)
		return -errno;
	sw_control_set_clock(c);
	c->event_interval = EVENT_INTERVAL;
	c->event_burst = EVENT_BURST;
	sw_control_unmap(c);
	return sw_control_instance(fd, &instance);
}
