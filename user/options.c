/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "options.h"
#include "pins.h"
#include "util.h"

#define STATE_DIR_DEFAULT "/var/lib/smtpwall"
#define MAX_OWN 16

enum { OPT_CONFIG = 1, OPT_CGROUP, OPT_PIN_DIR, OPT_STATE_DIR, OPT_FORMAT, OPT_NO_COLOR };

static const struct option common[] = {
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "cgroup", required_argument, NULL, OPT_CGROUP },
	{ "pin-dir", required_argument, NULL, OPT_PIN_DIR },
	{ "state-dir", required_argument, NULL, OPT_STATE_DIR },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "no-color", no_argument, NULL, OPT_NO_COLOR },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "help", no_argument, NULL, 'h' },
};

static const char common_help[] =
	"\nCommon options:\n"
	"  --config FILE     configuration (default /etc/smtpwall/smtpwall.conf)\n"
	"  --cgroup PATH     attach to this cgroup v2 directory instead of the root\n"
	"  --pin-dir DIR     where links and maps are pinned (default /sys/fs/bpf/smtpwall)\n"
	"  --state-dir DIR   history and state (default /var/lib/smtpwall)\n"
	"  --format FORMAT   table, tsv, json or csv; of reports also html\n"
	"  --no-color        plain text also on a terminal\n"
	"  -q, --quiet       errors only      -v, --verbose  details, libbpf's too\n"
	"  -h, --help        this text\n"
	"Each also as SMTPWALL_CONFIG, SMTPWALL_CGROUP, SMTPWALL_PIN_DIR, SMTPWALL_STATE_DIR.\n"
	"Exit status: 0 good, 1 a bad state was found, 2 usage or configuration error,\n"
	"3 the kernel or the state directory could not be used. See smtpwall(8).\n";

static int parse_format(const char *command, const char *arg, enum sw_format *ret)
{
	static const char *const names[] = { "table", "tsv", "json", "csv", "html" };
	bool html = !strcmp(command, "report");

	for (size_t i = 0; i < ARRAY_SIZE(names) - !html; i++) {
		if (strcmp(arg, names[i]) == 0) {
			*ret = (enum sw_format)i;
			return 0;
		}
	}
	return log_err(SW_EXIT_USAGE, "unknown format '%s'; use table, tsv, json%s", arg,
		       html ? ", csv or html" : " or csv");
}

/* An empty variable counts as not set. */
static const char *from_env(const char *name, const char *otherwise)
{
	const char *value = getenv(name);

	return value && *value ? value : otherwise;
}

static void defaults(struct sw_options *o)
{
	const char *no_color = getenv("NO_COLOR");

	*o = (struct sw_options){
		.target = {
			.pin_dir = from_env("SMTPWALL_PIN_DIR", SW_PIN_DIR_DEFAULT),
			.cgroup = from_env("SMTPWALL_CGROUP", NULL),
			.disable = from_env("SMTPWALL_DISABLE", NULL),
		},
		.config = from_env("SMTPWALL_CONFIG", NULL),
		.state_dir = from_env("SMTPWALL_STATE_DIR", STATE_DIR_DEFAULT),
		.color = isatty(STDOUT_FILENO) && !(no_color && *no_color),
	};
	o->target.state_dir = o->state_dir;
}

static int take_common(const char *command, int c, struct sw_options *o)
{
	switch (c) {
	case OPT_CONFIG:
		o->config = optarg;
		o->config_named = true;
		return 0;
	case OPT_CGROUP:
		o->target.cgroup = optarg;
		return 0;
	case OPT_PIN_DIR:
		o->target.pin_dir = optarg;
		return 0;
	case OPT_STATE_DIR:
		o->state_dir = o->target.state_dir = optarg;
		return 0;
	case OPT_FORMAT:
		return parse_format(command, optarg, &o->format);
	case OPT_NO_COLOR:
		o->color = false;
		return 0;
	case 'q':
		sw_log_max = SW_LOG_ERROR;
		return 0;
	case 'v':
		sw_log_max = SW_LOG_DEBUG;
		return 0;
	default:
		return SW_EXIT_USAGE;
	}
}

static int bad_option(char **argv, int c)
{
	char letter[] = { '-', (char)optopt, '\0' };
	const char *what = argv[optind - 1];

	/* An unknown letter, perhaps one of several in a word: optind may still be at the word
	 * before. Known letters are long options that were given an argument. */
	if (c == '?' && optopt > ' ' && optopt < SW_OPT_OWN && !strchr("qvh", optopt))
		what = letter;
	if (c == ':')
		return log_err(SW_EXIT_USAGE, "option '%s' needs an argument; see smtpwall %s --help",
			       what, argv[0]);
	return log_err(SW_EXIT_USAGE, "unknown option '%s'; see smtpwall %s --help", what, argv[0]);
}

int sw_options_parse(int argc, char **argv, const char *usage, const struct option *own,
		     int (*take)(int val, const char *arg, void *data), void *data,
		     struct sw_options *ret)
{
	struct option all[ARRAY_SIZE(common) + MAX_OWN + 1] = {};
	struct sw_options o;
	size_t n = 0;
	int c, r = 0;

	defaults(&o);
	for (; own && own[n].name && n < MAX_OWN; n++)
		all[n] = own[n];
	memcpy(all + n, common, sizeof(common));
	optind = 0;
	while (!r && (c = getopt_long(argc, argv, ":qvh", all, NULL)) != -1) {
		if (c == 'h') {
			printf("%s%s", usage, common_help);
			return -1;
		}
		if (c == '?' || c == ':')
			r = bad_option(argv, c);
		else if (c >= SW_OPT_OWN && take)
			r = take(c, optarg, data);
		else
			r = take_common(argv[0], c, &o);
	}
	if (!r && o.target.pin_dir[0] != '/')
		r = log_err(SW_EXIT_USAGE, "the pin directory '%s' has to be an absolute path",
			    o.target.pin_dir);
	if (!r)
		*ret = o;
	return r;
}

int sw_exit_status(int r)
{
	if (r >= 0)
		return SW_EXIT_GOOD;
	return r == -EINVAL ? SW_EXIT_USAGE : SW_EXIT_KERNEL;
}
