/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counters and state as text for Prometheus, the node exporter and whatever else reads that
 * format: for standard output, a file, and the listener of the monitor.
 */
#ifndef SW_METRICS_H
#define SW_METRICS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "domains.h"
#include "live.h"
#include "stats.h"

#define SW_METRICS_TOP	20	/* offenders with series of their own, unless somebody says otherwise */

/* How the monitor itself does. Counters are of the running process. */
struct sw_metrics_monitor {
	time_t started;
	uint64_t events;		/* taken out of the kernel's buffer */
	uint64_t rolls, rolls_failed;	/* of the counters into the history */
	time_t rolled;			/* the last one that succeeded; 0: none yet */
	uint64_t history_bytes;		/* of the database and its log */
	uint64_t alerts_sent, alerts_failed;	/* by sink */
	uint64_t alerts_held;		/* by a cool-down or into a digest */
	uint64_t scrapes;		/* answered by the listener */
};

struct sw_metrics {
	const struct sw_live *live;
	const struct sw_stats *stats;	/* not looked at where !live->exists */
	struct sw_domains *domains;	/* refreshed; NULL: no series by domain */
	const struct sw_metrics_monitor *monitor;	/* NULL: this is not the monitor */
	uint32_t top;			/* accounts, and domains, with series of their own */
};

/*
 * Writes `m` to `f`. The text is valid as OpenMetrics 1.0 and as Prometheus text 0.0.4
 * (https://prometheus.io/docs/specs/om/open_metrics_spec/,
 * https://prometheus.io/docs/instrumenting/exposition_formats/). 0 or -ENOMEM; errors of `f` stay
 * with `f`.
 */
int sw_metrics_write(FILE *f, const struct sw_metrics *m);

/* The same, malloc'd; `text` and `len` are written on success only. 0 or -errno. */
int sw_metrics_text(const struct sw_metrics *m, char **text, size_t *len);

/*
 * Puts `text` at `path`, mode 0644, so that a reader sees the old text or the new one and nothing
 * else: through a file beside it, whose name does not end in .prom. 0 or -errno; then `path` is
 * what it was.
 */
int sw_metrics_file(const char *path, const char *text, size_t len);

#endif
