/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
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
	/* From the end, so that a connect in between finds no gap: entries are in order. */
	for (int i = SW_ZONES - 1; i >= 0; i--) {
		__atomic_store_n(&c->zone[i].offset_s, zone[i].offset_s, __ATOMIC_RELEASE);
		__atomic_store_n(&c->zone[i].from_s, zone[i].from_s, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&c->wall_offset_ns,
			 (uint64_t)(real.tv_sec - mono.tv_sec) * NSEC_PER_SEC +
			 (uint64_t)(real.tv_nsec - mono.tv_nsec), __ATOMIC_RELEASE);
}

/* IPv4 where the policy names none; a socket that is not IPv4 may reach it v4-mapped. */
static void set_redirect(struct sw_control *c, const struct sw_policy *p)
{
	static const uint8_t none[16];
	uint32_t v4 = p->redirect4;

	if (!v4 && !memcmp(p->redirect6, none, sizeof(none)))
		v4 = htonl(INADDR_LOOPBACK);
	c->redirect_port = p->redirect_port;
	if (memcmp(p->redirect6, none, sizeof(none)) != 0) {
		memcpy(c->redirect6, p->redirect6, sizeof(c->redirect6));
	} else {
		c->redirect6[0] = c->redirect6[1] = 0;
		c->redirect6[2] = htonl(0xffff);
		c->redirect6[3] = v4;
	}
	c->redirect4 = v4;
}

int sw_control_write(int fd, const struct sw_policy *p)
{
	struct sw_control *c = sw_control_map(fd);

	if (!c)
		return -errno;
	sw_control_set_clock(c);
	c->event_interval = EVENT_INTERVAL;
	c->event_burst = EVENT_BURST;
	set_redirect(c, p);
	sw_control_unmap(c);
	return 0;
}
