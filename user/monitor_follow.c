/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <time.h>

#include "locals.h"
#include "log.h"
#include "mailers.h"
#include "monitor_int.h"
#include "usage.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000LL
#define REFRESH_S	300	/* host names, accounts, mail servers */
#define REFRESH_SOON_S	5	/* after a file of accounts has changed */
#define CLOCK_SLACK_NS	100000000LL	/* the clock was set, not disciplined */

void sw_worker_follow_addresses(struct sw_worker *w)
{
	int r = sw_locals_refresh(w->address_fd, w->live.map_fd[SW_MAP_LOCAL],
				  w->live.map_fd[SW_MAP_CONTROL], w->live.settings.generation);

	if (r < 0)
		log_warn("this machine's addresses changed and could not be stored: %s; run 'smtpwall "
			 "apply'", strerror(-r));
}

static int on_addresses(sd_event_source *s, int fd, uint32_t events, void *data)
{
	(void)s;
	(void)fd;
	(void)events;
	sw_worker_follow_addresses(data);
	return 0;
}

/* Windows of limits follow local time: the clock may be set, the time zone changed. */
static void follow_clock(struct sw_worker *w)
{
	struct timespec real, mono;
	int64_t offset, known = (int64_t)__atomic_load_n(&w->control->wall_offset_ns, __ATOMIC_ACQUIRE);
	struct sw_zone zone[SW_ZONES];

	clock_gettime(CLOCK_REALTIME, &real);
	clock_gettime(CLOCK_MONOTONIC, &mono);
	offset = (real.tv_sec - mono.tv_sec) * NSEC_PER_SEC + real.tv_nsec - mono.tv_nsec;
	tzset();
	if (llabs(offset - known) < CLOCK_SLACK_NS) {
		if (w->second % 60)
			return;
		sw_control_zones(real.tv_sec, zone);
		if (!memcmp(zone, w->control->zone, sizeof(zone)))
			return;
	}
	sw_control_set_clock(w->control);
}

static void ask_for_refresh(struct sw_worker *w)
{
	uint32_t id;

	w->refresh_at = w->second + REFRESH_S;
	/* A package may have brought another sendmail. An apply would do it, but there may be no need
	 * for one. */
	if (w->live.settings.count_sendmail)
		(void)sw_mailers_refresh(w->live.map_fd[SW_MAP_MAILERS],
					 w->live.map_fd[SW_MAP_MAILER_NAMES],
					 w->live.map_fd[SW_MAP_CONTROL]);
	if (!w->refreshing)
		w->refreshing = sw_runner_ask(w->runner, SW_RUN_REFRESH, "", 0, &id) == 0;
}

/* Said once when it begins to fail, and once when it works again. */
void sw_worker_follow_answer(struct sw_worker *w, int status)
{
	bool failed = status != 0;

	w->refreshing = false;
	if (failed && !w->refresh_failed)
		log_warn("cannot bring the policy in force up to date; it stays as it is ('smtpwall apply "
			 "--refresh' says why)");
	else if (!failed && w->refresh_failed)
		log_info("the policy in force is up to date again");
	w->refresh_failed = failed;
}

static int on_accounts(sd_event_source *s, const struct inotify_event *e, void *data)
{
	static const char *const files[] = { "passwd", "group", "hosts", "localtime" };
	struct sw_worker *w = data;

	(void)s;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (e->len && !strcmp(e->name, files[i]) && w->refresh_at > w->second + REFRESH_SOON_S)
			w->refresh_at = w->second + REFRESH_SOON_S;
	return 0;
}

int sw_worker_follow_open(struct sw_worker *w)
{
	w->address_fd = sw_locals_watch();
	if (w->address_fd < 0)
		return log_err(w->address_fd, "cannot watch this machine's addresses");
	sw_worker_follow_addresses(w);	/* they may have changed while nobody looked */
	return 0;
}

int sw_worker_follow_start(struct sw_worker *w)
{
	int r = sd_event_add_io(w->event, NULL, w->address_fd, EPOLLIN, on_addresses, w);

	/* Without it the change is found a little later. */
	(void)sd_event_add_inotify(w->event, NULL, "/etc", IN_CLOSE_WRITE | IN_MOVED_TO, on_accounts, w);
	w->refresh_at = REFRESH_SOON_S;
	return r < 0 ? r : 0;
}

void sw_worker_follow_second(struct sw_worker *w)
{
	follow_clock(w);
	if (w->second >= w->refresh_at)
		ask_for_refresh(w);
	if (w->second % 60 == 0)
		(void)sw_denied_prune(&w->live);
}
