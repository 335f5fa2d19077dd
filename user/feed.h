/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Events as they come from the kernel, with everything that is known about them.
 *
 * The ring buffer has one reading position: what one process reads, no other will ever see. So
 * whoever reads holds a lock as long as it does.
 */
#ifndef SW_FEED_H
#define SW_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "container.h"
#include "domains.h"
#include "live.h"
#include "report.h"
#include "smtpwall_abi.h"
#include "stats.h"

/*
 * The right to read the events of what is in force below `pin_dir`, until the descriptor that is
 * returned is closed. -EBUSY when somebody has it; `pid` (may be NULL) then receives who, 0 where
 * that cannot be told. Other -errno.
 */
int sw_feed_lock(const char *pin_dir, pid_t *pid);

/* The same descriptor without that right: of the directory with the pins, of which there is one as
 * long as anything is in force. Or -errno. */
int sw_feed_directory(const char *pin_dir);

/* Who holds an exclusive or shared flock(2) on what `fd` is; 0: nobody, or it cannot be told. */
pid_t sw_feed_holder(int fd);

/* Whether such a descriptor still belongs to what is in force there: after an off, or an off and an
 * apply, no event will come any more. */
bool sw_feed_is_current(int dir_fd, const char *pin_dir);

/* An event, ready to be shown. Texts are the caller's bytes: escape them. */
struct sw_event_view {
	const struct sw_event *e;
	time_t time;
	bool no_uid;			/* charged to no account */
	char address[SW_ADDRESS_LEN];
	char destination[SW_DESTINATION_LEN];	/* with its port */
	char comm[SW_COMM_LEN + 1], parent[SW_COMM_LEN + 1];
	struct sw_stat where;		/* uid, row, directory, script, argv and cgroup; own them */
	char container[SW_CONTAINER_LEN];	/* empty: not known */
	struct sw_report_site site;	/* texts belong to the domains */
};

/* Where it went: its address, and that with the port; of an execution "sendmail" both. */
void sw_event_destination(const struct sw_event *e, char address[SW_ADDRESS_LEN],
			  char destination[SW_DESTINATION_LEN]);

/* `e` has to be valid; `cgroups` is the map that names them, -1: none; `d` may be NULL. 0 or
 * -ENOMEM; free `ret` with sw_event_view_free(). */
int sw_event_view(const struct sw_event *e, int cgroups, struct sw_domains *d,
		  struct sw_event_view *ret);
void sw_event_view_free(struct sw_event_view *v);

/* One sentence for people, the domain first; escaped, malloc'd. NULL without memory. */
char *sw_event_sentence(const struct sw_event_view *v, bool utf8);

struct sw_feed;

/*
 * Opens the ring buffer of `l`, which has to stay open as long. Each valid event that is not the
 * canary's is handed to `take`, which returns 0, or -errno to stop.
 * 0 or -errno. `ret` is written on success only; free it with sw_feed_free().
 */
int sw_feed_open(const struct sw_live *l, int (*take)(void *data, const struct sw_event *e),
		 void *data, struct sw_feed **ret);
void sw_feed_free(struct sw_feed *f);

/* Hands on what is there, without waiting. 0, or what `take` returned. */
int sw_feed_drain(struct sw_feed *f);

/* Readable when events have come. */
int sw_feed_fd(const struct sw_feed *f);

#endif
