/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "import.h"
#include "log.h"
#include "options.h"
#include "util.h"

static const char usage[] =
	"Usage: smtpwall import csf [DIR|FILE] [OPTION...]\n"
	"       smtpwall import directadmin [DIR] [OPTION...]\n"
	"       smtpwall import imunify [FILE] [OPTION...]\n\n"
	"What another product says about outgoing SMTP, as a smtpwall.conf on standard output.\n"
	"Each line that did not carry over is on standard error with its place, the reason, and\n"
	"what to do. Nothing is changed on this machine; accounts are looked up on it.\n\n"
	"  csf           csf.conf and the lists beside it (default /etc/csf)\n"
	"  directadmin   sending limits (default /etc/virtual; or a root directory above it)\n"
	"  imunify       the block SMTP_BLOCKING\n"
	"                (default /etc/sysconfig/imunify360/imunify360.config)\n\n"
	"With -q lines that lose nothing are left out: what is off, or no outgoing SMTP.\n";

static const struct product {
	const char *name, *path;
	int (*import)(const char *path, struct sw_import *ret);
} products[] = {
	{ "csf", "/etc/csf", sw_import_csf },
	{ "directadmin", "/etc/virtual", sw_import_directadmin },
	{ "imunify", "/etc/sysconfig/imunify360/imunify360.config", sw_import_imunify },
};

static int show(const struct sw_import *i)
{
	for (size_t k = 0; k < i->n_left; k++)
		if (!i->left[k].idle || sw_log_max >= SW_LOG_INFO)
			fprintf(stderr, "%s\n", i->left[k].text);
	fputs(i->conf, stdout);
	return SW_EXIT_GOOD;
}

static int run(const struct product *p, const char *path)
{
	struct sw_import result;
	int r = p->import(path ? path : p->path, &result);

	for (size_t i = 0; i < result.errors.n; i++)
		log_err(0, "%s", result.errors.text[i]);
	if (r == 0)
		r = show(&result);
	else if (r == -EINVAL)
		r = SW_EXIT_USAGE;
	else
		r = log_err(SW_EXIT_KERNEL, "cannot import: %s", strerror(-r));
	sw_import_free(&result);
	return r;
}

int cmd_import(int argc, char **argv)
{
	struct sw_options o;
	int r = sw_options_parse(argc, argv, usage, NULL, NULL, NULL, &o);

	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind == argc)
		return log_err(SW_EXIT_USAGE,
			       "import needs csf, directadmin or imunify; see import --help");
	if (optind + 2 < argc)
		return log_err(SW_EXIT_USAGE, "import takes no argument '%s'", argv[optind + 2]);
	for (size_t i = 0; i < ARRAY_SIZE(products); i++)
		if (!strcmp(argv[optind], products[i].name))
			return run(&products[i], argv[optind + 1]);
	return log_err(SW_EXIT_USAGE, "cannot import '%s'; use csf, directadmin or imunify",
		       argv[optind]);
}
