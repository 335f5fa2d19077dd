/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "container.h"
#include "decide.h"
#include "event.h"
#include "feed.h"
#include "out.h"
#include "policy.h"
#include "stats.h"
#include "util.h"

#define NSEC_PER_SEC 1000000000LL

bool sw_event_valid(const void *record, size_t len)
{
	const struct sw_event *e = record;

	return len == sizeof(*e) && e->verdict < _SW_VERDICT_MAX && e->reason < _SW_REASON_MAX &&
	       e->charged_row <= SW_ROW_MORE && e->where.path_off < SW_PATH_LEN &&
	       e->where.argv_len < SW_ARGV_LEN &&
	       memchr(e->where.path + e->where.path_off, '\0', SW_PATH_LEN - e->where.path_off);
}

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

static void account(const struct sw_event *e, char *buf, size_t len)
{
	const struct passwd *pw;

	if (e->charged_row == SW_ROW_KERNEL) {
		snprintf(buf, len, "(kernel)");
		return;
	}
	pw = getpwuid(e->charged_uid);
	if (pw)
		snprintf(buf, len, "%s (%u)", pw->pw_name, e->charged_uid);
	else
		snprintf(buf, len, "uid %u", e->charged_uid);
}

char *sw_event_line(const struct sw_event *e, const char *cgroup, bool utf8)
{
	static const char *const words[_SW_VERDICT_MAX] = {
		[SW_ALLOW] = "allowed",	      [SW_DENY] = "DENIED",	[SW_OBSERVE] = "WOULD DENY",
		[SW_LIMITED] = "LIMITED", [SW_REDIRECT] = "REDIRECTED",
	};
	_cleanup_free_ char *script = sw_script(e->where.argv, e->where.argv_len, e->where.comm);
	_cleanup_free_ char *shown = script ? sw_escape(script, utf8) : NULL;
	_cleanup_free_ char *path = sw_escape(e->where.path + e->where.path_off, utf8);
	char address[SW_ADDRESS_LEN], dest[SW_DESTINATION_LEN], who[80], when[16], runs_in[SW_CONTAINER_LEN];
	_cleanup_free_ char *place = NULL;
	time_t t = wall_time(e->time_ns);
	struct tm tm;
	char *line;

	if (!shown || !path)
		return NULL;
	if (cgroup) {
		sw_container_describe(cgroup, runs_in, sizeof(runs_in));
		place = sw_escape(runs_in, utf8);
	}
	localtime_r(&t, &tm);
	strftime(when, sizeof(when), "%H:%M:%S", &tm);
	sw_event_destination(e, address, dest);
	account(e, who, sizeof(who));
	if (asprintf(&line, "%s %s %s to %s in %s%s by %s, pid %u%s%s: %s", when, words[e->verdict], who,
		     dest, e->where.flags & SW_PATH_CUT ? "..." : "", path, shown, e->tgid,
		     place ? " of " : "", place ?: "", sw_reason_name((enum sw_reason)e->reason)) < 0)
		return NULL;
	return line;
}
