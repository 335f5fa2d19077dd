/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One offender in detail: when, from where, to where, and what to do next. */
#include <errno.h>
#include <string.h>

#include "container.h"
#include "history.h"
#include "html.h"
#include "out.h"
#include "report_html.h"
#include "util.h"

#define MAX_LINES	20	/* destinations, and directories, of one offender */
#define MAX_PORTS	8

static bool has_account(const struct sw_report_row *row)
{
	return row->sum.row == SW_ROW_UID || row->sum.row == SW_ROW_MORE;
}

/* Hours and destinations are only known of a whole account. */
static bool is_whole_account(const struct sw_page *p)
{
	return p->what->by == SW_REPORT_BY_UID && !p->what->domain && !p->what->path;
}

static const char *scope(const struct sw_page *p)
{
	return is_whole_account(p) ? "" : ", of the whole account";
}

/* ---- How it is known ---- */

static int print_source(const struct sw_page *p, const struct sw_report_site *site)
{
	static const struct { const char *source, *text; } known[] = {
		{ "docroot", "the directory lies below this domain's document root" },
		{ "pool-name", "the process said it was this domain's php-fpm pool" },
		{ "process-title", "the process said it ran a script of this domain" },
		{ "home", "the directory lies below the account's home" },
		{ "none", "neither the directory nor the account tells a domain" },
	};
	const char *text = site->one_of_several ?
		"it is the main domain of the account, which has other sites too" :
		"it is the only domain of the account";

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (!strcmp(site->source, known[i].source))
			text = known[i].text;
	return sw_html_print(p->f, "<p class=\"dim\">How that is known: %s (%s).</p>\n", text,
			     site->source);
}

static int print_title(const struct sw_page *p, size_t i)
{
	const struct sw_report_row *row = &p->rows->row[i];
	char n[SW_NUMBER_LEN], first[SW_TIME_LEN], last[SW_TIME_LEN];
	int r;

	fprintf(p->f, "<article aria-labelledby=\"o%zu\">\n<h3 id=\"o%zu\">", i + 1, i + 1);
	r = sw_page_domain(p, &row->site, 0);
	fputs("</h3>\n<p>", p->f);
	r = r ?: sw_page_user(p, row);
	if (!r && row->site.account && strcmp(row->site.account, row->site.user ?: "") != 0)
		r = sw_html_print(p->f, ", site of <bdi>%s</bdi>", row->site.account);
	r = r ?: sw_html_print(p->f, ": <span class=\"loud\">%s</span> attempts past the mail server",
			       sw_number(sw_stat_offences(&row->sum), n));
	if (!r && row->sum.first && row->sum.last)
		r = sw_html_print(p->f, ", first %s, last %s", sw_time_format(row->sum.first, first),
				  sw_time_format(row->sum.last, last));
	fputs(".</p>\n", p->f);
	return r ?: has_account(row) ? r ?: print_source(p, &row->site) : 0;
}

/* ---- By which way out, and what became of it ---- */

static int fact(const struct sw_page *p, const char *name, uint64_t value)
{
	char n[SW_NUMBER_LEN];

	return sw_html_print(p->f, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, sw_number(value, n));
}

static int print_ways(const struct sw_page *p, const struct sw_stat *s)
{
	const struct { const char *name; uint64_t n; } became[] = {
		{ "Established", s->outcome.established },
		{ "Refused by the other side", s->outcome.refused },
		{ "Timed out", s->outcome.timed_out },
		{ "Failed otherwise", s->outcome.failed },
		{ "Bytes sent", s->outcome.bytes_sent },
		{ "Bytes received", s->outcome.bytes_received },
	};
	bool any = false;
	int r;

	fputs("<h4>The three ways out</h4>\n<dl class=\"small\">\n", p->f);
	r = fact(p, "Denied, limited or redirected", sw_stat_offences(s));
	r = r ?: fact(p, "Direct, let through", s->n[SW_N_ALLOWED]);
	r = r ?: fact(p, "Local: SMTP to this machine", s->n[SW_N_LOCAL]);
	r = r ?: fact(p, "Handed to sendmail", s->n[SW_N_SENDMAIL]);
	fputs("</dl>\n", p->f);
	for (size_t i = 0; i < ARRAY_SIZE(became); i++)
		any |= became[i].n != 0;
	if (r || !any)
		return r;
	fputs("<h4>What became of connections that were let through</h4>\n<dl class=\"small\">\n", p->f);
	for (size_t i = 0; i < ARRAY_SIZE(became) && !r; i++)
		r = became[i].n ? fact(p, became[i].name, became[i].n) : 0;
	fputs("</dl>\n", p->f);
	return r;
}

/* ---- When ---- */

static int print_timeline(const struct sw_page *p, const struct sw_report_row *row)
{
	time_t since = p->what->is_since ? p->what->since : row->sum.first;
	struct sw_timeline t;
	int r;

	r = sw_history_timeline(p->about->history, &row->sum, since,
				p->what->is_until ? p->what->until : p->s->now, &t);
	if (r < 0)
		return r;
	fprintf(p->f, "<h4>By the %s%s</h4>\n", t.by_day ? "day" : "hour", scope(p));
	r = sw_html_timeline(p->f, &t);
	sw_timeline_free(&t);
	return r;
}

static int print_hours(const struct sw_page *p, const struct sw_report_row *row)
{
	if (p->about->history)
		return print_timeline(p, row);
	if (!row->sum.hours)
		return 0;
	fprintf(p->f, "<h4>By the hour%s</h4>\n", scope(p));
	return sw_html_hours(p->f, row->sum.hours, p->s->now);
}

/* ---- To where ---- */

struct port_sum {
	uint16_t port;
	uint64_t n;
};

static int print_ports(const struct sw_page *p, const struct sw_stat_dest *d, size_t n)
{
	struct port_sum sum[MAX_PORTS] = {};
	char port[8], number[SW_NUMBER_LEN];
	size_t used = 0, at;
	int r = 0;

	for (size_t i = 0; i < n; i++) {
		for (at = 0; at < used && sum[at].port != d[i].port; at++)
			;
		if (!d[i].port || at == MAX_PORTS)
			continue;
		used += at == used;
		sum[at].port = d[i].port;
		sum[at].n += d[i].refused + d[i].would_deny;
	}
	fputs("<p>", p->f);
	for (at = 0; at < used && !r; at++) {
		snprintf(port, sizeof(port), "%u", sum[at].port);
		r = sw_html_print(p->f, "%sport %s: %s attempts", at ? ", " : "", port,
				  sw_number(sum[at].n, number));
	}
	fputs("</p>\n", p->f);
	return r;
}

static int print_dest(const struct sw_page *p, const struct sw_stat_dest *d)
{
	char port[8], n[SW_NUMBER_LEN], ago[SW_TIME_LEN];

	snprintf(port, sizeof(port), "%u", d->port);
	return sw_html_print(p->f, "<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">%s</th>"
			     "<td role=\"cell\" class=\"n\" data-label=\"Port\">%s</td>"
			     "<td role=\"cell\" class=\"n\" data-label=\"Attempts\">%s</td>"
			     "<td role=\"cell\" class=\"n\" data-label=\"Last\">%s</td></tr>\n",
			     d->port ? d->address : "(further addresses)", d->port ? port : "-",
			     sw_number(d->refused + d->would_deny, n),
			     d->last ? sw_time_ago(d->last, p->s->now, ago) : "-");
}

static int print_left_out(const struct sw_page *p, size_t n)
{
	char left[SW_NUMBER_LEN];

	return n > MAX_LINES ? sw_html_print(p->f, "<p class=\"dim\">and %s more.</p>\n",
					     sw_number(n - MAX_LINES, left)) : 0;
}

static int print_dests(const struct sw_page *p, const struct sw_report_row *row)
{
	const struct sw_stat_dest *d;
	size_t n;
	int r;

	d = sw_stat_dests(p->s, row->sum.uid, &n);
	if (!d)
		return 0;
	fprintf(p->f, "<h4>Destinations and ports%s</h4>\n", scope(p));
	r = print_ports(p, d, n);
	fputs("<table role=\"table\" class=\"small\"><thead role=\"rowgroup\"><tr role=\"row\">"
	      "<th role=\"columnheader\" scope=\"col\">Address</th>"
	      "<th role=\"columnheader\" scope=\"col\" class=\"n\">Port</th>"
	      "<th role=\"columnheader\" scope=\"col\" class=\"n\">Attempts</th>"
	      "<th role=\"columnheader\" scope=\"col\" class=\"n\">Last</th></tr></thead>\n"
	      "<tbody role=\"rowgroup\">\n", p->f);
	for (size_t i = 0; i < n && i < MAX_LINES && !r; i++)
		r = print_dest(p, &d[i]);
	fputs("</tbody></table>\n", p->f);
	return r ?: print_left_out(p, n);
}

/* ---- From where ---- */

static int print_origin(const struct sw_page *p, const struct sw_stat *o)
{
	char n[SW_NUMBER_LEN], runs_in[SW_CONTAINER_LEN] = "-", ago[SW_TIME_LEN];
	char local[SW_NUMBER_LEN], sendmail[SW_NUMBER_LEN];
	struct sw_report_site site;
	int r = sw_report_attribute(p->d, o, &site);

	if (r < 0)
		return r;
	if (o->cgroup)
		sw_container_describe(o->cgroup, runs_in, sizeof(runs_in));
	fputs("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">", p->f);
	r = sw_page_domain(p, &site, 0);
	return r ?: sw_html_print(p->f, "</th>"
				  "<td role=\"cell\" data-label=\"Directory\"><bdi>%s</bdi></td>"
				  "<td role=\"cell\" data-label=\"Script\"><bdi>%s</bdi></td>"
				  "<td role=\"cell\" data-label=\"Runs in\"><bdi>%s</bdi></td>"
				  "<td role=\"cell\" class=\"n\" data-label=\"Attempts\">%s</td>"
				  "<td role=\"cell\" class=\"n\" data-label=\"Local\">%s</td>"
				  "<td role=\"cell\" class=\"n\" data-label=\"Sendmail\">%s</td>"
				  "<td role=\"cell\" class=\"n\" data-label=\"Last\">%s</td></tr>\n",
				  o->directory ?: "-", o->script ?: "-", runs_in,
				  sw_number(sw_stat_offences(o), n),
				  sw_number(o->n[SW_N_LOCAL], local),
				  sw_number(o->n[SW_N_SENDMAIL], sendmail),
				  o->last ? sw_time_ago(o->last, p->s->now, ago) : "-");
}

static int print_origins(const struct sw_page *p, const struct sw_report_row *row)
{
	size_t n = 0;
	int r = 0;

	/* Worst first: those that did nothing wrong are at the end. */
	while (n < row->n_origins && (p->what->all || sw_stat_by(row->origin[n], p->what->channel)))
		n++;
	if (!n || !has_account(row))
		return 0;
	fputs("<h4>Directories and scripts</h4>\n"
	      "<table role=\"table\" class=\"small\"><thead role=\"rowgroup\"><tr role=\"row\">"
	      "<th role=\"columnheader\" scope=\"col\">Domain</th>"
	      "<th role=\"columnheader\" scope=\"col\">Directory</th>"
	      "<th role=\"columnheader\" scope=\"col\">Script</th>"
	      "<th role=\"columnheader\" scope=\"col\">Runs in</th>"
	      "<th role=\"columnheader\" scope=\"col\" class=\"n\">Attempts</th>"
	      "<th role=\"columnheader\" scope=\"col\" class=\"n\">Local</th>"
	      "<th role=\"columnheader\" scope=\"col\" class=\"n\">Sendmail</th>"
	      "<th role=\"columnheader\" scope=\"col\" class=\"n\">Last</th></tr></thead>\n"
	      "<tbody role=\"rowgroup\">\n", p->f);
	for (size_t i = 0; i < n && i < MAX_LINES && !r; i++)
		r = print_origin(p, row->origin[i]);
	fputs("</tbody></table>\n", p->f);
	return r ?: print_left_out(p, n);
}

/* ---- What to do next ---- */

static int step(const struct sw_page *p, const char *why, const char *command)
{
	int r = sw_html_print(p->f, "<li>%s<pre><code>", why);

	sw_html_command(p->f, command);
	fputs("</code></pre></li>\n", p->f);
	return r;
}

/* What the commands call the account: its login, unless that could be taken for an option. */
static char *account_word(const struct sw_report_row *row)
{
	char *uid;

	if (row->site.user && *row->site.user != '-')
		return sw_shell_quote(row->site.user);
	return asprintf(&uid, "%u", row->sum.uid) < 0 ? NULL : uid;
}

static int step_explain(const struct sw_page *p, const struct sw_report_row *row)
{
	const struct sw_stat_dest *d;
	char command[160];
	size_t n, i = 0;

	d = sw_stat_dests(p->s, row->sum.uid, &n);
	while (i < n && !d[i].port)
		i++;
	if (i == n)
		return 0;
	snprintf(command, sizeof(command), "smtpwall explain --uid %u --dest %s --port %u",
		 row->sum.uid, d[i].address, d[i].port);
	return step(p, "See which rule decides, and where it is written:", command);
}

static int step_directory(const struct sw_page *p, const struct sw_report_row *row)
{
	_cleanup_free_ char *quoted = NULL, *command = NULL;
	const char *path = row->sum.directory;

	if (row->sum.worst && row->sum.worst->directory)
		path = row->sum.worst->directory;
	if (!path || *path != '/' || !path[1])
		return 0;	/* not known, its front is missing, or there is too much in it */
	quoted = sw_shell_quote(path);
	if (!quoted || asprintf(&command, "ls -lact -- %s\nfind %s -xdev -type f -ctime -7 -ls", quoted,
				quoted) < 0) {
		command = NULL;
		return -ENOMEM;
	}
	return step(p, "Look into the directory: what is new there, and what changed within a week?",
		    command);
}

int sw_page_next_steps(const struct sw_page *p, const struct sw_report_row *row)
{
	_cleanup_free_ char *word = account_word(row), *watch = NULL, *deny = NULL;
	int r;

	if (!word || asprintf(&watch, "smtpwall events --follow --uid %s", word) < 0) {
		watch = NULL;
		return -ENOMEM;
	}
	if (asprintf(&deny, "smtpwall deny %s --for 2h", word) < 0) {
		deny = NULL;
		return -ENOMEM;
	}
	fputs("<h4>What to do next</h4>\n<ol>\n", p->f);
	r = step_explain(p, row);
	r = r ?: step_directory(p, row);
	r = r ?: step(p, "Watch what it does now:", watch);
	r = r ?: step(p, "Deny it all SMTP for two hours, on every port and whatever is allowed to it:",
		      deny);
	r = r ?: step(p, "Look for its mail in the mail server's queue:", "mailq");
	fputs("</ol>\n", p->f);
	return r;
}

/* ---- All of it ---- */

static int print_one(const struct sw_page *p, size_t i)
{
	const struct sw_report_row *row = &p->rows->row[i];
	int r = print_title(p, i) ?: print_ways(p, &row->sum);

	if (!r && has_account(row)) {
		r = print_hours(p, row);
		r = r ?: print_origins(p, row);
		r = r ?: print_dests(p, row);
		r = r ?: sw_page_next_steps(p, row);
	}
	fputs("</article>\n", p->f);
	return r;
}

int sw_page_details(const struct sw_page *p)
{
	int r = 0;

	fputs("<section aria-labelledby=\"details\">\n<h2 id=\"details\">In detail</h2>\n", p->f);
	for (size_t i = 0; i < p->n_details && !r; i++)
		r = print_one(p, i);
	fputs("</section>\n", p->f);
	return r;
}
