/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report as one page that needs nothing but itself: no script, no font, no picture from outside.
 * All text goes through sw_html_print(). */
#include <errno.h>
#include <string.h>

#include "html.h"
#include "out.h"
#include "policy.h"
#include "report_html.h"
#include "util.h"

#define DETAILS_DEFAULT	20	/* offenders that are shown in detail, unless --top says otherwise */

static const char style[] =
	":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#57606a;--line:#d0d7de;"
	"--box:#f6f8fa;--loud:#b3261e;--link:#0550ae;--bar:#b3261e}\n"
	"@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e6e9ec;--dim:#a0a9b3;"
	"--line:#343b44;--box:#1d2127;--loud:#ff8a80;--link:#7ab7ff;--bar:#ff6f61}}\n"
	"*{box-sizing:border-box}\n"
	"body{margin:0 auto;max-width:70rem;padding:1rem;background:var(--bg);color:var(--fg);"
	"font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\n"
	"h1{font-size:1.6rem;line-height:1.2;margin:.5rem 0}h2{margin:2rem 0 .5rem}"
	"h3{margin:0}h4{margin:1.2rem 0 .3rem}\n"
	".uid{white-space:nowrap}a{color:var(--link)}"
	".dim,caption{color:var(--dim)}.loud{color:var(--loud);font-weight:600}\n"
	"dl{display:flex;flex-wrap:wrap;gap:.5rem 2rem;margin:1rem 0}dt{color:var(--dim);"
	"font-size:.85rem}dd{margin:0;font-size:1.1rem}\n"
	"table{width:100%;border-collapse:collapse;margin:.5rem 0}"
	"caption{text-align:left;font-size:.85rem}\n"
	"th,td{text-align:left;vertical-align:top;padding:.35rem .6rem;"
	"border-bottom:1px solid var(--line)}thead th{font-size:.85rem;color:var(--dim);"
	"white-space:nowrap}\n"
	"tbody th{font-weight:600;min-width:9rem}td{min-width:4.5rem}"
	".n{text-align:right;font-variant-numeric:tabular-nums}"
	"td.n{white-space:nowrap}.small{font-size:.9rem}\n"
	"article{border:1px solid var(--line);border-radius:.5rem;padding:1rem;margin:1rem 0}\n"
	"svg{display:block;width:100%;height:7rem;background:var(--box);"
	"border-bottom:1px solid var(--line)}rect{fill:var(--bar)}.day{fill:var(--line)}\n"
	".axis{display:flex;justify-content:space-between;gap:1rem;margin:.2rem 0;"
	"color:var(--dim);font-size:.85rem}\n"
	"pre{margin:.2rem 0 .8rem;padding:.5rem .7rem;background:var(--box);border-radius:.3rem;"
	"white-space:pre-wrap}code{font:.9rem/1.5 ui-monospace,monospace}ol{padding-left:1.3rem}\n"
	"summary{cursor:pointer;color:var(--link)}footer{margin-top:2rem;font-size:.9rem;"
	"color:var(--dim)}\n"
	"@media(max-width:45rem){body{padding:.6rem}article{padding:.7rem}"
	"thead{position:absolute;left:-999rem}table,tbody,tr,td,tbody th{display:block}"
	"tr{border-bottom:1px solid var(--line);padding:.4rem 0}th,td,.n{border:0;padding:.1rem 0;"
	"text-align:left;min-width:0}td[data-label]::before{content:attr(data-label)\": \";color:var(--dim)}"
	"svg{height:5rem}}\n"
	"@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--dim:#444;--line:#bbb;"
	"--box:#f4f4f4;--loud:#900;--link:#000;--bar:#900}body{max-width:none;padding:0;"
	"font-size:10pt}article{break-inside:auto;border:0;border-top:1px solid #bbb;padding:.5rem 0}"
	"tr,svg,pre,li,h3,h4{break-inside:avoid}h2,h3,h4{break-after:avoid}"
	"svg,rect{print-color-adjust:exact}details{display:none}}\n";

/* Columns of numbers in the ranking; one that is 0 everywhere is left out. */
static const struct {
	const char *title;
	bool loud;
	enum sw_slot slot;
} counts[] = {
	{ "Denied", true, SW_N_DENIED },       { "Would deny", true, SW_N_WOULD_DENY },
	{ "Limited", true, SW_N_LIMITED },     { "Redirected", true, SW_N_REDIRECTED },
	{ "Allowed", false, SW_N_ALLOWED },    { "Local", false, SW_N_LOCAL },
	{ "Sendmail", false, SW_N_SENDMAIL },
};

static int print_head(const struct sw_page *p)
{
	const char *host = p->about->host ?: "this host";
	char until[SW_TIME_LEN];
	int r;

	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	      "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta name=\"color-scheme\" content=\"light dark\">\n"
	      "<meta name=\"referrer\" content=\"no-referrer\">\n"
	      "<meta name=\"robots\" content=\"noindex\">\n", p->f);
	r = sw_html_print(p->f, "<title>SMTP offenders on %s until %s</title>\n<style>\n", host,
			  sw_time_format(p->what->is_until ? p->what->until : p->s->now, until));
	fputs(style, p->f);
	fputs("</style>\n</head>\n<body>\n", p->f);
	return r;
}

static int fact(const struct sw_page *p, const char *name, const char *value)
{
	return sw_html_print(p->f, "<div><dt>%s</dt><dd>%s</dd></div>\n", name, value);
}

static int print_facts(const struct sw_page *p)
{
	const struct sw_report *w = p->what;
	time_t since = w->is_since ? w->since : sw_report_first_attempt(p->s);
	char from[SW_TIME_LEN], until[SW_TIME_LEN], n[SW_NUMBER_LEN];
	int r;

	r = sw_html_print(p->f, "<header>\n<h1>SMTP offenders on %s</h1>\n<dl>\n",
			  p->about->host ?: "this host");
	r = r ?: fact(p, w->is_since ? "Since" : "First attempt",
		      since ? sw_time_format(since, from) : "none yet");
	r = r ?: fact(p, "Until", sw_time_format(w->is_until ? w->until : p->s->now, until));
	r = r ?: fact(p, "Mode", p->about->generation ? sw_mode_name(p->about->mode) :
		      "enforcement is not whole");
	r = r ?: fact(p, "Offenders", sw_number(p->rows->n_all, n));
	for (size_t i = 0; i < ARRAY_SIZE(counts) && !r; i++)
		if (p->rows->total[counts[i].slot])
			r = fact(p, counts[i].title,
				 sw_number(p->rows->total[counts[i].slot], n));
	if (!r && w->domain)
		r = fact(p, "Only domain", w->domain);
	if (!r && w->path)
		r = fact(p, "Only below", w->path);
	fputs("</dl>\n</header>\n<main>\n", p->f);
	return r;
}

int sw_page_domain(const struct sw_page *p, const struct sw_report_site *site, size_t link)
{
	char decoded[1024], sites[SW_NUMBER_LEN];
	int r;

	if (link)
		fprintf(p->f, "<a href=\"#o%zu\">", link);
	r = sw_html_print(p->f, "%s", site->domain ?: "(no domain known)");
	if (link)
		fputs("</a>", p->f);

	if (!r && site->domain && sw_idn_decode(site->domain, decoded, sizeof(decoded)))
		r = sw_html_print(p->f, " <bdi class=\"dim\">(%s)</bdi>", decoded);
	if (!r && site->one_of_several)
		r = sw_html_print(p->f, " <span class=\"dim\">or another of the account's %s sites"
				  "</span>", sw_number(site->sites, sites));
	return r;
}

int sw_page_user(const struct sw_page *p, const struct sw_report_row *row)
{
	char uid[16];

	if (row->sum.row == SW_ROW_KERNEL)
		return sw_html_print(p->f, "the kernel's own threads");
	if (row->sum.row == SW_ROW_OVERFLOW)
		return sw_html_print(p->f, "accounts that found no room in the table");
	snprintf(uid, sizeof(uid), "%u", row->sum.uid);
	if (!row->site.user)
		return sw_html_print(p->f, "UID %s", uid);
	return sw_html_print(p->f, "<bdi>%s</bdi> <span class=\"dim uid\">(UID %s)</span>", row->site.user,
			     uid);
}

static int print_ranking_row(const struct sw_page *p, size_t i)
{
	const struct sw_report_row *row = &p->rows->row[i];
	char n[SW_NUMBER_LEN], ago[SW_TIME_LEN], at[SW_TIME_LEN];
	int r;

	fputs("<tr role=\"row\"><th role=\"rowheader\" scope=\"row\">", p->f);
	r = sw_page_domain(p, &row->site, i < p->n_details ? i + 1 : 0);
	fputs("</th><td role=\"cell\" data-label=\"User\">", p->f);
	r = r ?: sw_page_user(p, row);
	fputs("</td>", p->f);
	for (size_t c = 0; c < ARRAY_SIZE(counts) && !r; c++) {
		uint64_t count = row->sum.n[counts[c].slot];

		if (!p->rows->total[counts[c].slot])
			continue;
		fprintf(p->f, "<td role=\"cell\" class=\"n%s\" data-label=\"%s\">",
			counts[c].loud && count ? " loud" : "", counts[c].title);
		r = sw_html_print(p->f, "%s</td>", sw_number(count, n));
	}
	r = r ?: sw_html_print(p->f, "<td role=\"cell\" class=\"n\" data-label=\"Destinations\">%s%s</td>",
			       row->sum.destinations_full ? ">" : "",
			       sw_number(row->sum.destinations, n));
	r = r ?: sw_html_print(p->f, "<td role=\"cell\" class=\"n\" data-label=\"Last seen\" "
			       "title=\"%s\">%s</td></tr>\n",
			       row->sum.last ? sw_time_format(row->sum.last, at) : "not known",
			       row->sum.last ? sw_time_ago(row->sum.last, p->s->now, ago) : "-");
	return r;
}

static int print_ranking(const struct sw_page *p)
{
	char shown[SW_NUMBER_LEN], all[SW_NUMBER_LEN];
	int r = 0;

	fputs("<section aria-labelledby=\"ranking\">\n<h2 id=\"ranking\">Ranking</h2>\n"
	      "<table role=\"table\">", p->f);
	if (p->rows->n < p->rows->n_all)
		r = sw_html_print(p->f, "<caption>The first %s of %s.</caption>",
				  sw_number(p->rows->n, shown), sw_number(p->rows->n_all, all));
	fputs("<thead role=\"rowgroup\"><tr role=\"row\">"
	      "<th role=\"columnheader\" scope=\"col\">Domain</th>"
	      "<th role=\"columnheader\" scope=\"col\">User</th>", p->f);
	for (size_t c = 0; c < ARRAY_SIZE(counts); c++)
		if (p->rows->total[counts[c].slot])
			fprintf(p->f, "<th role=\"columnheader\" scope=\"col\" class=\"n\">%s</th>",
				counts[c].title);
	fputs("<th role=\"columnheader\" scope=\"col\" class=\"n\">Destinations</th>"
	      "<th role=\"columnheader\" scope=\"col\" class=\"n\">Last seen</th></tr></thead>\n"
	      "<tbody role=\"rowgroup\">\n", p->f);
	for (size_t i = 0; i < p->rows->n && !r; i++)
		r = print_ranking_row(p, i);
	fputs("</tbody></table>\n</section>\n", p->f);
	return r;
}

static int print_nobody(const struct sw_page *p)
{
	struct sw_report everybody = *p->what;
	char accounts[SW_NUMBER_LEN], attempts[SW_NUMBER_LEN];
	struct sw_report_rows rows;
	uint64_t sum = 0;
	int r;

	if (p->what->channel != SW_CHANNEL_DIRECT)
		return sw_html_print(p->f, "<p>Nobody used that way out.</p>\n");
	everybody.all = true;
	everybody.top = 0;
	everybody.by = SW_REPORT_BY_UID;
	r = sw_report_build(&everybody, p->s, p->d, &rows);
	if (r < 0)
		return r;
	for (int i = 0; i < _SW_N_MAX; i++)
		sum += i == SW_N_SENDMAIL ? 0 : rows.total[i];
	r = sw_html_print(p->f, "<p>No offenders: %s SMTP connect%s of %s account%s seen, and none was "
			  "denied, limited or redirected.</p>\n", sw_number(sum, attempts),
			  sum == 1 ? "" : "s", sw_number(rows.n_all, accounts),
			  rows.n_all == 1 ? "" : "s");
	sw_report_free(&rows);
	return r;
}

static int print_foot(const struct sw_page *p)
{
	_cleanup_free_ char *sources = sw_report_sources(p->d);
	char applied[SW_TIME_LEN], generation[16], lost[SW_NUMBER_LEN];
	int r;

	if (!sources)
		return -ENOMEM;
	snprintf(generation, sizeof(generation), "%u", p->about->generation);
	if (!p->about->generation)
		snprintf(generation, sizeof(generation), "not known");
	fputs("</main>\n<footer>\n", p->f);
	r = sw_html_print(p->f, "<p>Counted in the kernel by hooks %s, policy generation %s%s%s. Counts "
			  "are exact", p->about->hooks ?: "that are not known", generation,
			  p->about->applied ? " in force since " : "",
			  p->about->applied ? sw_time_format(p->about->applied, applied) : "");
	if (!r && p->s->counters[SW_CTR_EVENTS_LOST])
		r = sw_html_print(p->f, ", although %s events were lost",
				  sw_number(p->s->counters[SW_CTR_EVENTS_LOST], lost));
	if (!r && p->about->history)
		r = sw_html_print(p->f, ", by whole hours, with the names of that time; destinations are "
				  "those that were new then");
	r = r ?: sw_html_print(p->f, "; distinct destinations are an estimate. Domains by %s. "
			       "\"or another\" marks a guess: the account is sure, which of its "
			       "sites it was is not. Made by smtpwall %s.</p>\n",
			       *sources ? sources : "no source, since none was found", SW_VERSION);
	fputs("</footer>\n</body>\n</html>\n", p->f);
	return r;
}

int sw_report_print_html(const struct sw_report *what, const struct sw_stats *s,
			 struct sw_domains *d, const struct sw_report_about *about,
			 const struct sw_report_rows *rows)
{
	struct sw_page p = { .f = stdout, .what = what, .s = s, .d = d, .about = about, .rows = rows };
	int r;

	p.n_details = what->top ? what->top : DETAILS_DEFAULT;
	if (p.n_details > rows->n)
		p.n_details = rows->n;
	r = print_head(&p);
	r = r ?: print_facts(&p);
	if (!r && !rows->n)
		r = print_nobody(&p);
	else if (!r)
		r = print_ranking(&p) ?: sw_page_details(&p);
	return r ?: print_foot(&p);
}
