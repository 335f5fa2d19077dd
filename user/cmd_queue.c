/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "commands.h"
#include "log.h"
#include "names.h"
#include "queue.h"
#include "report_setup.h"
#include "util.h"

enum { OPT_MTA = SW_OPT_OWN, OPT_SPOOL, OPT_BY, OPT_SORT, OPT_TOP, OPT_FROZEN, OPT_BOUNCES };

static const struct option own[] = {
	{ "mta", required_argument, NULL, OPT_MTA },
	{ "spool", required_argument, NULL, OPT_SPOOL },
	{ "by", required_argument, NULL, OPT_BY },
	{ "sort", required_argument, NULL, OPT_SORT },
	{ "top", required_argument, NULL, OPT_TOP },
	{ "frozen", no_argument, NULL, OPT_FROZEN },
	{ "bounces", no_argument, NULL, OPT_BOUNCES },
	{},
};

static const char usage[] =
	"Usage: smtpwall queue [OPTION...]\n\n"
	"What waits in the mail queue, and who put it there: read from the spool of exim, postfix and\n"
	"qmail. Changes nothing, and needs no policy in force.\n\n"
	"  --by uid|domain|sender|script|auth   one row an account (default), a domain, an envelope\n"
	"                   sender, a script as X-PHP-Originating-Script or X-PHP-Script names it,\n"
	"                   or an authenticated user. What else a row shows is that of most messages\n"
	"  --sort KEY       messages (default), recipients, age (oldest first) or size\n"
	"  --top N          only the first N rows\n"
	"  --frozen         only frozen messages; of postfix those on hold\n"
	"  --bounces        only bounces: messages with the null sender, <>\n"
	"  --mta NAME       auto (default: what is found here), exim, postfix or qmail\n"
	"  --spool DIR      this spool directory instead of the one that the mail server names\n\n"
	"Backscatter are bounces made here for somebody who is not: the sender was forged.\n"
	"VIA: sendmail (the program), local (SMTP from this machine), auth (SMTP of an authenticated\n"
	"user), remote (SMTP from elsewhere), server (made by the mail server itself).\n"
	"The UID, the authenticated user and the sender are the mail server's word. The script is\n"
	"what a header says: it names a domain of the same account, or, of a UID that many sites\n"
	"share, any.\n"
	"Columns of tsv (no header) and csv, names of json:\n"
	"  uid user domain domains source account auth script sender via messages recipients size\n"
	"  frozen bounces backscatter oldest newest mta message\n"
	"'message' is the id of the oldest one: exim -Mvh ID, postcat -q ID.\n";

struct request {
	struct sw_queue_config c;
	struct sw_queue_rank rank;
};

/* The place of `arg` among `n` names, or -1. */
static int find(const char *arg, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(arg, names[i]))
			return (int)i;
	return -1;
}

static int take_mta(const char *arg, struct sw_queue_config *c)
{
	int i = find(arg, sw_queue_mta_names, _SW_QUEUE_MTA_MAX);

	c->one_mta = i >= 0;
	if (i >= 0)
		c->mta = (enum sw_queue_mta)i;
	else if (strcmp(arg, "auto") != 0)
		return log_err(SW_EXIT_USAGE, "the queue of '%s' cannot be read; use auto, exim, postfix "
			       "or qmail", arg);
	return 0;
}

static int take_by(const char *arg, struct sw_queue_rank *rank)
{
	static const char *const names[_SW_QUEUE_BY_MAX] = {
		[SW_QUEUE_BY_UID] = "uid", [SW_QUEUE_BY_DOMAIN] = "domain",
		[SW_QUEUE_BY_SENDER] = "sender", [SW_QUEUE_BY_SCRIPT] = "script",
		[SW_QUEUE_BY_AUTH] = "auth",
	};
	int i = find(arg, names, ARRAY_SIZE(names));

	if (i < 0)
		return log_err(SW_EXIT_USAGE, "cannot rank by '%s'; use uid, domain, sender, script or "
			       "auth", arg);
	rank->by = (enum sw_queue_by)i;
	return 0;
}

static int take_sort(const char *arg, struct sw_queue_rank *rank)
{
	static const char *const names[_SW_QUEUE_SORT_MAX] = {
		[SW_QUEUE_SORT_MESSAGES] = "messages", [SW_QUEUE_SORT_RECIPIENTS] = "recipients",
		[SW_QUEUE_SORT_AGE] = "age", [SW_QUEUE_SORT_SIZE] = "size",
	};
	int i = find(arg, names, ARRAY_SIZE(names));

	if (i < 0)
		return log_err(SW_EXIT_USAGE, "cannot sort by '%s'; use messages, recipients, age or size",
			       arg);
	rank->sort = (enum sw_queue_sort)i;
	return 0;
}

static int take(int val, const char *arg, void *data)
{
	struct request *q = data;

	switch (val) {
	case OPT_MTA:
		return take_mta(arg, &q->c);
	case OPT_SPOOL:
		q->c.spool = arg;
		return *arg ? 0 : log_err(SW_EXIT_USAGE, "--spool needs a directory");
	case OPT_BY:
		return take_by(arg, &q->rank);
	case OPT_SORT:
		return take_sort(arg, &q->rank);
	case OPT_TOP:
		if (sw_id_parse(arg, &q->rank.top) == 0 && q->rank.top)
			return 0;
		return log_err(SW_EXIT_USAGE, "--top '%s' is no number of rows", arg);
	case OPT_FROZEN:
		q->c.frozen = true;
		return 0;
	default:
		q->c.bounces = true;
		return 0;
	}
}

static int fail(const struct sw_queue_config *c, int r)
{
	const char *mta = c->one_mta ? sw_queue_mta_names[c->mta] : "exim, postfix or qmail";

	if (r == -ENOENT && c->spool && access(c->spool, F_OK) == 0)
		return log_err(SW_EXIT_KERNEL, "'%s' is no spool directory of %s", c->spool, mta);
	if (c->spool)
		return log_err(SW_EXIT_KERNEL, "cannot read the spool directory '%s': %s", c->spool,
			       strerror(-r));
	if (r == -ENOENT)
		return log_err(SW_EXIT_KERNEL, "no spool of %s was found here; --spool names one", mta);
	return log_err(SW_EXIT_KERNEL, "cannot read the spool of %s: %s%s", mta, strerror(-r),
		       r == -EACCES ? "; it takes root" : "");
}

static int show(struct request *request, const struct sw_options *o, struct sw_domains *d)
{
	struct sw_queue q;
	int r;

	request->c.domains = d;
	r = sw_queue_scan(&request->c, &q);
	if (r < 0)
		return fail(&request->c, r);
	for (size_t i = 0; i < q.n_spools; i++)
		if (q.spool[i].unreadable)
			log_warn("%llu messages in '%s' could not be read; it takes root",
				 (unsigned long long)q.spool[i].unreadable, q.spool[i].path);
	r = sw_queue_print(&request->rank, o, &q, d);
	sw_queue_free(&q);
	return r < 0 ? log_err(SW_EXIT_KERNEL, "cannot write the ranking: %s", strerror(-r)) :
		       SW_EXIT_GOOD;
}

int cmd_queue(int argc, char **argv)
{
	struct sw_domains *d = NULL;
	struct request request = {};
	struct sw_options o;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &request, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "queue takes no argument '%s'", argv[optind]);
	r = sw_report_domains(&o, &d);
	if (!r)
		r = show(&request, &o, d);
	sw_domains_free(d);
	return r;
}
