/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands.h"
#include "log.h"
#include "options.h"
#include "out.h"
#include "util.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "run", cmd_run, "apply the policy, show a live feed, take everything down on Ctrl-C" },
	{ "apply", cmd_apply, "make the configuration the policy in one step" },
	{ "off", cmd_off, "detach, unpin, and prove that a connect gets through again" },
	{ "status", cmd_status, "hooks, mode, who is exempt and why, losses; 1 if not healthy" },
	{ "verify", cmd_verify, "live test: a connect without privilege must be refused" },
	{ "report", cmd_report, "offenders by UID or directory" },
	{ "top", cmd_top, "live ranking of offenders in the terminal" },
	{ "events", cmd_events, "the event log: text or JSON lines" },
	{ "queue", cmd_queue, "what waits in the mail queue, and who put it there" },
	{ "monitor", cmd_monitor, "the daemon: history, alerts, metrics, and everything kept up to date" },
	{ "deny", cmd_deny, "deny an account all SMTP for a time" },
	{ "release", cmd_release, "end a temporary deny, or empty the window of a limit" },
	{ "explain", cmd_explain, "which rule decides for this UID, destination and port" },
	{ "suggest", cmd_suggest, "from what was observed: the lines that enforcing would need" },
	{ "domains", cmd_domains, "what is known of an account, domain or directory" },
	{ "import", cmd_import, "a smtpwall.conf from CSF, DirectAdmin or Imunify360" },
	{ "metrics", cmd_metrics, "OpenMetrics text on standard output" },
};

static void show_help(FILE *f)
{
	fprintf(f, "smtpwall: kernel-level outbound SMTP enforcer\n\n"
		   "Usage: smtpwall COMMAND [OPTION...]\n\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-8s  %s\n", commands[i].name, commands[i].help);
	fprintf(f, "\n'smtpwall COMMAND --help' explains its options. See smtpwall(8).\n");
}

/* Descriptors 0, 1 and 2 must be taken, or a map would be opened as standard error and have
 * messages written to it. */
static void fill_standard_fds(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR);
	} while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

/* What could not be written is an error, whatever the command found. */
static int finish(int status)
{
	int r = sw_out_flush(stdout);

	if (r < 0 && status <= SW_EXIT_BAD)
		return log_err(SW_EXIT_KERNEL, "cannot write the output: %s", strerror(-r));
	return status;
}

int main(int argc, char **argv)
{
	fill_standard_fds();
	if (argc < 2) {
		show_help(stderr);
		return SW_EXIT_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		show_help(stdout);
		return SW_EXIT_GOOD;
	}
	if (!strcmp(argv[1], "--version")) {
		printf("smtpwall %s\n", SW_VERSION);
		return SW_EXIT_GOOD;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return finish(commands[i].run(argc - 1, argv + 1));
	return log_err(SW_EXIT_USAGE, "unknown command '%s'; see smtpwall --help", argv[1]);
}
