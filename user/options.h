/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The command line that all commands share. */
#ifndef SW_OPTIONS_H
#define SW_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>

#include "apply.h"

enum sw_exit {
	SW_EXIT_GOOD = 0,
	SW_EXIT_BAD = 1,	/* a bad state was found */
	SW_EXIT_USAGE = 2,	/* command line or configuration */
	SW_EXIT_KERNEL = 3,	/* the kernel or the state directory could not be used */
};

enum sw_format {
	SW_FORMAT_TABLE,
	SW_FORMAT_TSV,
	SW_FORMAT_JSON,
	SW_FORMAT_CSV,
	SW_FORMAT_HTML,		/* of reports only */
};

struct sw_options {
	struct sw_target target;
	const char *config;	/* NULL: the default path, which may be missing */
	bool config_named;	/* by --config, not by the environment */
	const char *state_dir;
	enum sw_format format;
	bool color;
};

/* Long options of one command, beside the common ones; val from SW_OPT_OWN up. */
#define SW_OPT_OWN 256

/*
 * Reads environment and command line. `own` (may be NULL) ends with an all-zero entry; each of
 * its options is handed to `take` with its val and argument, which returns 0 or an exit status.
 * `usage` is the text for --help. Arguments that are not options are left from argv[optind] on.
 *
 * SW_EXIT_GOOD: go on. -1: help was shown, stop with success. Otherwise the exit status, after
 * one error was logged.
 */
int sw_options_parse(int argc, char **argv, const char *usage, const struct option *own,
		     int (*take)(int val, const char *arg, void *data), void *data,
		     struct sw_options *ret);

/* Exit status for a library result: 0, -EINVAL and so on. */
int sw_exit_status(int r);

#endif
