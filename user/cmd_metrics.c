/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "commands.h"
#include "log.h"
#include "metrics.h"
#include "names.h"
#include "out.h"
#include "report_setup.h"
#include "runner.h"
#include "setup.h"
#include "util.h"

enum { OPT_TOP = SW_OPT_OWN, OPT_TEXTFILE, OPT_INPUT, OPT_NO_DOMAINS };

struct arguments {
	uint32_t top;
	const char *textfile;	/* NULL: standard output */
	bool no_domains, input;
};

static const struct option own[] = {
	{ "top", required_argument, NULL, OPT_TOP },
	{ "textfile", required_argument, NULL, OPT_TEXTFILE },
	{ "input", no_argument, NULL, OPT_INPUT },
	{ "no-domains", no_argument, NULL, OPT_NO_DOMAINS },
	{},
};

static const char usage[] =
	"Usage: smtpwall metrics [--top N] [--no-domains] [--textfile FILE]\n\n"
	"Counters and state as OpenMetrics text on standard output. Reads the kernel and changes\n"
	"nothing. With nothing in force it prints smtpwall_in_force 0 and succeeds.\n\n"
	"  --top N           offenders with series of their own (default 20); the others are added\n"
	"                    up as uid=\"rest\" and domain=\"rest\"\n"
	"  --no-domains      series by account only; the files of panels and web servers are not read\n"
	"  --textfile FILE   write FILE instead, in one step, for the textfile collector of a node\n"
	"                    exporter\n"
	"  --input           take the text from standard input: what the monitor, which may not write\n"
	"                    there, has made\n";

static int take(int val, const char *arg, void *data)
{
	struct arguments *a = data;

	switch (val) {
	case OPT_TOP:
		if (sw_id_parse(arg, &a->top) < 0)
			return log_err(SW_EXIT_USAGE, "--top '%s' is no number of accounts", arg);
		break;
	case OPT_TEXTFILE:
		a->textfile = arg;
		break;
	case OPT_INPUT:
		a->input = true;
		break;
	case OPT_NO_DOMAINS:
		a->no_domains = true;
		break;
	}
	return 0;
}

/* `r`: whether there is a text. An exit status. */
static int write_text(int r, const char *text, size_t len, const char *textfile)
{
	if (!r && textfile)
		r = sw_metrics_file(textfile, text, len);
	else if (!r && fwrite(text, 1, len, stdout) != len)
		r = errno ? -errno : -EIO;
	else if (!r)
		r = sw_out_flush(stdout);
	if (!r)
		return SW_EXIT_GOOD;
	return log_err(SW_EXIT_KERNEL, "cannot write the metrics to %s: %s",
		       textfile ?: "standard output", strerror(-r));
}

static int write_metrics(const struct sw_metrics *m, const char *textfile)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = sw_metrics_text(m, &text, &len);

	return write_text(r, text, len, textfile);
}

/* What the monitor has made, and no more of it than it may be. */
static int copy_metrics(const char *textfile)
{
	_cleanup_free_ char *text = malloc(SW_RUN_MAX_PAYLOAD + 1);
	size_t len = text ? fread(text, 1, SW_RUN_MAX_PAYLOAD + 1, stdin) : 0;
	int r = !text ? -ENOMEM : ferror(stdin) ? -EIO : len > SW_RUN_MAX_PAYLOAD ? -E2BIG : 0;

	return write_text(r, text, len, textfile);
}

/* What is in force was opened; what it counted is still to be read. */
static int print_live(const struct sw_options *o, const struct arguments *a,
		      const struct sw_live *live)
{
	struct sw_stats stats = {};
	struct sw_metrics m = { .live = live, .stats = &stats, .top = a->top };
	int r = live->exists ? sw_stats_read(live, &stats) : 0;

	if (r < 0)
		return log_err(SW_EXIT_KERNEL, "cannot read the counters in %s: %s; 'smtpwall apply' "
			       "repairs what is missing", o->target.pin_dir, strerror(-r));
	if (live->exists && !a->no_domains)
		r = sw_report_domains(o, &m.domains);
	if (!r)
		r = write_metrics(&m, a->textfile);
	sw_domains_free(m.domains);
	sw_stats_free(&stats);
	return r;
}

int cmd_metrics(int argc, char **argv)
{
	struct arguments a = { .top = SW_METRICS_TOP };
	struct sw_options o;
	struct sw_live live;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &a, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "metrics takes no argument '%s'", argv[optind]);
	if (a.input)
		return copy_metrics(a.textfile);
	r = sw_setup_live(&o, &live);
	if (r)
		return r;
	r = print_live(&o, &a, &live);
	sw_live_close(&live);
	return r;
}
