/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "canary.h"
#include "decide.h"
#include "event.h"
#include "feed.h"
#include "out.h"
#include "pins.h"
#include "policy.h"
#include "util.h"

#define NSEC_PER_SEC 1000000000LL

/* ---- Who reads ---- */

int sw_feed_directory(const char *pin_dir)
{
	struct sw_pins pins;
	int fd, r = sw_pins_open(pin_dir, false, &pins);

	if (r < 0)
		return r;
	fd = open(pins.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : fd;
	sw_pins_close(&pins);
	return r;
}

/* /proc/locks: "1: FLOCK  ADVISORY  WRITE 812 00:1f:2345 0 EOF", device in hexadecimal; see
 * proc(5). */
pid_t sw_feed_holder(int fd)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/locks", "re");
	unsigned int high, low;
	unsigned long ino;
	char line[256];
	struct stat st;
	int pid;

	if (!f || fstat(fd, &st) < 0)
		return 0;
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*d: FLOCK %*s %*s %d %x:%x:%lu", &pid, &high, &low, &ino) == 4 &&
		    ino == st.st_ino && high == major(st.st_dev) && low == minor(st.st_dev))
			return pid > 0 ? pid : 0;
	return 0;
}

int sw_feed_lock(const char *pin_dir, pid_t *pid)
{
	_cleanup_close_ int fd = sw_feed_directory(pin_dir);

	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return TAKE_FD(fd);
	if (errno != EWOULDBLOCK)
		return -errno;
	if (pid)
		*pid = sw_feed_holder(fd);
	return -EBUSY;
}

bool sw_feed_is_current(int dir_fd, const char *pin_dir)
{
	_cleanup_close_ int fd = sw_feed_directory(pin_dir);
	struct stat ours, theirs;

	return fd >= 0 && fstat(dir_fd, &ours) == 0 && fstat(fd, &theirs) == 0 &&
	       ours.st_ino == theirs.st_ino && ours.st_dev == theirs.st_dev;
}

/* ---- What an event says ---- */

/* The kernel stamps with the clock that never jumps; what it means on the wall is decided now. */
static time_t wall_time(uint64_t mono_ns)
{
	struct timespec real, mono;
	uint64_t ns;

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	ns = (uint64_t)((real.tv_sec - mono.tv_sec) * NSEC_PER_SEC + real.tv_nsec - mono.tv_nsec);
	return (time_t)((int64_t)(ns + mono_ns) / NSEC_PER_SEC);
}

static char *read_cgroup(int map, uint64_t id)
{
	struct sw_cgroup_name names;

	if (map < 0 || bpf_map_lookup_elem(map, &id, &names) < 0)
		return NULL;
	return sw_cgroup_path(&names);
}

void sw_event_destination(const struct sw_event *e, char address[SW_ADDRESS_LEN],
			  char destination[SW_DESTINATION_LEN])
{
	if (e->channel == SW_CHANNEL_SENDMAIL) {
		snprintf(address, SW_ADDRESS_LEN, "%s", sw_channel_name(SW_CHANNEL_SENDMAIL));
		snprintf(destination, SW_DESTINATION_LEN, "%s", address);
		return;
	}
	sw_address_format(e->daddr, address);
	sw_destination_format(e->daddr, e->dport, destination);
}

int sw_event_view(const struct sw_event *e, int cgroups, struct sw_domains *d,
		  struct sw_event_view *ret)
{
	struct sw_event_view v = {
		.e = e,
		.time = wall_time(e->time_ns),
		.where = { .uid = e->charged_uid, .row = (enum sw_row)e->charged_row },
	};
	int r;

	v.no_uid = e->charged_row == SW_ROW_KERNEL || e->charged_row == SW_ROW_OVERFLOW;
	sw_event_destination(e, v.address, v.destination);
	memcpy(v.comm, e->where.comm, SW_COMM_LEN);
	memcpy(v.parent, e->parent_comm, SW_COMM_LEN);
	r = sw_stat_set_where(&e->where, &v.where);
	v.where.cgroup = read_cgroup(cgroups, e->cgroup_id);
	if (v.where.cgroup)
		sw_container_describe(v.where.cgroup, v.container, sizeof(v.container));
	if (!r)
		r = sw_report_attribute(d, &v.where, &v.site);
	if (r < 0)
		sw_event_view_free(&v);
	else
		*ret = v;
	return r;
}

void sw_event_view_free(struct sw_event_view *v)
{
	sw_stat_free_texts(&v->where);
}

static void describe_user(const struct sw_event_view *v, char *buf, size_t len)
{
	if (v->no_uid)
		snprintf(buf, len, "(kernel)");
	else if (v->site.user)
		snprintf(buf, len, "%s (%u)", v->site.user, v->e->charged_uid);
	else
		snprintf(buf, len, "uid %u", v->e->charged_uid);
}

char *sw_event_sentence(const struct sw_event_view *v, bool utf8)
{
	static const char *const words[_SW_VERDICT_MAX] = {
		[SW_ALLOW] = "allowed",	  [SW_DENY] = "DENIED",		[SW_OBSERVE] = "WOULD DENY",
		[SW_LIMITED] = "LIMITED", [SW_REDIRECT] = "REDIRECTED",
	};
	char several[32] = "", user[300], when[SW_TIME_LEN];
	_cleanup_free_ char *text = NULL;

	if (v->site.one_of_several)
		snprintf(several, sizeof(several), " +%zu", v->site.sites - 1);
	describe_user(v, user, sizeof(user));
	if (asprintf(&text, "%s%s %s %s %s to %s in %s by %s, pid %u%s%s: %s",
		     v->site.domain ?: "-", several, sw_time_format(v->time, when),
		     words[v->e->verdict], user, v->destination, v->where.directory,
		     v->where.script, v->e->tgid, *v->container ? " of " : "", v->container,
		     sw_reason_name((enum sw_reason)v->e->reason)) < 0) {
		text = NULL;
		return NULL;
	}
	return sw_escape(text, utf8);
}

/* ---- Reading ---- */

struct sw_feed {
	struct ring_buffer *ring;
	int (*take)(void *data, const struct sw_event *e);
	void *data;
};

static int on_record(void *data, void *record, size_t len)
{
	const struct sw_event *e = record;
	struct sw_feed *f = data;

	if (!sw_event_valid(record, len) || e->charged_uid == SW_CANARY_UID)
		return 0;
	return f->take(f->data, e);
}

int sw_feed_open(const struct sw_live *l, int (*take)(void *data, const struct sw_event *e),
		 void *data, struct sw_feed **ret)
{
	struct sw_feed *f = malloc(sizeof(*f));
	int r;

	if (!f)
		return -ENOMEM;
	*f = (struct sw_feed){ .take = take, .data = data };
	f->ring = ring_buffer__new(l->map_fd[SW_MAP_EVENTS], on_record, f, NULL);
	if (!f->ring) {
		r = -errno;
		free(f);
		return r;
	}
	*ret = f;
	return 0;
}

void sw_feed_free(struct sw_feed *f)
{
	if (f)
		ring_buffer__free(f->ring);
	free(f);
}

int sw_feed_drain(struct sw_feed *f)
{
	int r = ring_buffer__consume(f->ring);

	return r < 0 ? r : 0;
}

int sw_feed_fd(const struct sw_feed *f)
{
	return ring_buffer__epoll_fd(f->ring);
}
