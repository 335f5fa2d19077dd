/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "history.h"
#include "log.h"
#include "report_past.h"
#include "setup.h"
#include "when.h"

static int fail(const struct sw_options *o, int r)
{
	return log_err(SW_EXIT_KERNEL, "cannot read the history in %s/%s/%s: %s%s; --live shows what was "
		       "counted since 'smtpwall apply'", o->state_dir, SW_HISTORY_DIR, SW_HISTORY_FILE,
		       strerror(-r), sw_history_hint(r));
}

/* What is in force, if anything is: its counters may be ahead of the history. */
static int add_live(const struct sw_options *o, struct sw_report_past *p, struct sw_stats *now)
{
	int r = sw_setup_live(o, &p->live);

	if (r)
		return r;
	r = sw_report_setup(o, &p->live, &p->setup);
	if (r)
		return r;
	p->setup.about.history = p->history;
	p->setup.about.not_live = !p->live.exists;
	if (!p->live.exists)
		return SW_EXIT_GOOD;
	r = sw_stats_read(&p->live, now);
	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot read the counters in %s: %s; 'smtpwall apply' "
			       "repairs what is missing", o->target.pin_dir, strerror(-r));
	r = sw_history_reader_add_live(p->history, &p->live, now, p->setup.domains);
	return r < 0 ? fail(o, r) : SW_EXIT_GOOD;
}

/* What only a reading of now can say. */
static void keep_losses(const struct sw_stats *now, struct sw_stats *s)
{
	memcpy(s->counters, now->counters, sizeof(s->counters));
	s->uid_overflow = now->uid_overflow;
	s->origin_overflow = now->origin_overflow;
}

static int read_period(const struct sw_options *o, struct sw_report *f, struct sw_report_past *p)
{
	time_t now = time(NULL), since = f->is_since ? f->since : 0, until = f->is_until ? f->until : now;
	char from[SW_TIME_LEN];
	int r;

	if (until > now)
		until = now;
	r = sw_history_read(p->history, since, until, &p->s);
	if (r < 0)
		return fail(o, r);
	sw_history_whole_hours(&since, &until);
	if (f->is_since && since != f->since && o->format == SW_FORMAT_TABLE)
		log_info("counts are kept by the hour: these are from %s on", sw_time_format(since, from));
	f->since = since;
	f->until = until < now ? until : now;
	return SW_EXIT_GOOD;
}

int sw_report_past_read(const struct sw_options *o, struct sw_report *f, struct sw_report_past *p)
{
	struct sw_stats now = {};
	int r;

	*p = (struct sw_report_past){};
	sw_live_init(&p->live);
	r = sw_history_reader_open(o->state_dir, &p->history);
	if (r == -ENOENT)
		return SW_EXIT_GOOD;
	if (r < 0)
		return fail(o, r);
	r = add_live(o, p, &now);
	if (!r)
		r = read_period(o, f, p);
	if (!r)
		keep_losses(&now, &p->s);
	sw_stats_free(&now);
	if (r)
		sw_report_past_free(p);
	return r;
}

void sw_report_past_free(struct sw_report_past *p)
{
	sw_report_setup_free(&p->setup);
	sw_stats_free(&p->s);
	sw_live_close(&p->live);
	sw_history_reader_free(p->history);
	p->history = NULL;
}
