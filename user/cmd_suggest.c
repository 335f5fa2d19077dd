/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "commands.h"
#include "log.h"
#include "names.h"
#include "options.h"
#include "out.h"
#include "setup.h"
#include "suggest_read.h"

enum { OPT_SINCE = SW_OPT_OWN, OPT_TOP };

static const struct option own[] = {
	{ "since", required_argument, NULL, OPT_SINCE },
	{ "top", required_argument, NULL, OPT_TOP },
	{},
};

static const char usage[] =
	"Usage: smtpwall suggest [--since TIME] [--top N] [--format table|json]\n\n"
	"The lines of smtpwall.conf that would have let through what was denied, or would have been\n"
	"in mode observe: best first, each with its evidence, ready to be pasted. What the policy in\n"
	"force allows by now is left out. Accounts that look like hacked sites are named, and nothing\n"
	"is suggested for them. Reads the kernel and changes nothing.\n\n"
	"  --since TIME      only destinations whose last attempt is not older; counts stay totals\n"
	"                    since 'apply'. TIME is RFC 3339, a date, today, or 90s, 30m, 1h, 2d ago\n"
	"  --top N           only the best N\n";

struct flags {
	time_t since;
	uint32_t top;
};

static int take(int val, const char *arg, void *data)
{
	struct flags *f = data;

	if (val == OPT_TOP) {
		if (sw_id_parse(arg, &f->top) == 0 && f->top)
			return 0;
		return log_err(SW_EXIT_USAGE, "--top '%s' is no number of suggestions", arg);
	}
	if (sw_time_parse(arg, time(NULL), &f->since) == 0)
		return 0;
	return log_err(SW_EXIT_USAGE,
		       "--since '%s' is no time; use 2026-02-14T10:00:00Z, 2026-02-14, "
		       "today, or how long ago: 30m, 1h, 2d",
		       arg);
}

/* What was looked at, when there is nothing to say. */
static void note_nothing(const struct sw_suggest_seen *seen, const struct sw_suggestions *s)
{
	char n[SW_NUMBER_LEN], since[SW_TIME_LEN];
	const char *from = seen->since ? " since " : "";
	const char *when = seen->since ? sw_time_format(seen->since, since) : "";

	if (!s->n_looked_at)
		log_info("nothing to suggest: no destination was denied or limited%s%s", from, when);
	else if (s->n_looked_at == 1)
		log_info("nothing to suggest: one destination was denied or limited%s%s, and the policy "
			 "in force allows it now", from, when);
	else
		log_info("nothing to suggest: %s destinations were denied or limited%s%s, and the policy "
			 "in force allows all of them now", sw_number(s->n_looked_at, n), from, when);
}

static int suggest(const struct sw_suggest_seen *seen, enum sw_format format)
{
	struct sw_suggestions s;
	int r = sw_suggest(seen, &s);

	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "out of memory");
	if (format == SW_FORMAT_JSON)
		r = sw_suggest_print_json(stdout, seen, &s);
	else
		r = sw_suggest_print_conf(stdout, seen, &s);
	if (!s.n && format != SW_FORMAT_JSON)
		note_nothing(seen, &s);
	sw_suggestions_free(&s);
	return r < 0 ? log_err(SW_EXIT_KERNEL, "out of memory") : SW_EXIT_GOOD;
}

int cmd_suggest(int argc, char **argv)
{
	struct sw_suggest_reading reading;
	struct flags f = {};
	struct sw_options o;
	struct sw_live live;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &f, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "suggest takes no argument '%s'", argv[optind]);
	if (o.format != SW_FORMAT_TABLE && o.format != SW_FORMAT_JSON)
		return log_err(SW_EXIT_USAGE, "suggest has no such format; use table or json");
	r = sw_setup_in_force(&o, &live);
	if (r)
		return r;
	r = sw_suggest_read(&live, &reading);
	sw_live_close(&live);
	if (r < 0)
		return log_err(SW_EXIT_KERNEL,
			       "cannot read the counters in %s: %s; 'smtpwall apply' "
			       "repairs what is missing",
			       o.target.pin_dir, strerror(-r));
	reading.seen.since = f.since;
	reading.seen.top = f.top;
	r = suggest(&reading.seen, o.format);
	sw_suggest_reading_free(&reading);
	return r;
}
