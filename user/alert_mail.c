/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Alerts as a message for "sendmail -t -i" (RFC 5322, lines of its own end in LF as that program
 * wants them). Nothing that an account chooses gets into a header but as printable ASCII, and
 * nothing into the body but as one line.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "alert_int.h"
#include "out.h"
#include "util.h"
#include "when.h"

#define MAX_BLOCKS	10	/* alerts that are told in full */
#define MAX_LINES	200	/* and in a line each */
#define MAX_SUBJECT	180
#define MAX_LINE	900	/* RFC 5322 allows 998 */
#define MAX_BODY	(128 * 1024)	/* then nothing more is begun */
#define MAX_TEMPLATE	(64 * 1024)	/* of one alert */

/* In a header: printable ASCII, cut at `max`. */
static void put_ascii(FILE *f, const char *text, size_t max)
{
	_cleanup_free_ char *safe = sw_escape(text, false);

	if (safe)
		fprintf(f, "%.*s", (int)max, safe);
}

/* Escaped UTF-8 as one line of the body, which may have to go on in further ones. */
static void put_line(FILE *f, const char *text)
{
	while (strlen(text) > MAX_LINE) {
		size_t n = MAX_LINE;

		while (n > 1 && ((unsigned char)text[n] & 0xc0) == 0x80)
			n--;
		fprintf(f, "%.*s\n    ", (int)n, text);
		text += n;
	}
	fprintf(f, "%s\n", text);
}

static void put_field(FILE *f, const char *name, const char *text)
{
	_cleanup_free_ char *safe = text && *text ? sw_escape(text, true) : NULL;

	if (!safe)
		return;
	fprintf(f, "%-13s", name);
	put_line(f, safe);
}

/* Date of RFC 5322, whatever the locale. */
static void put_date(FILE *f, time_t t)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	struct tm tm = {};
	char zone[8] = "+0000";

	localtime_r(&t, &tm);
	strftime(zone, sizeof(zone), "%z", &tm);
	fprintf(f, "Date: %.3s, %d %.3s %d %02d:%02d:%02d %s\n", days + tm.tm_wday * 3, tm.tm_mday,
		months + tm.tm_mon * 3, tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, zone);
}

/* The host as the right side of an address. */
static void put_host(FILE *f, const char *host)
{
	size_t n = 0;

	for (; *host && n < 255; host++)
		if ((*host >= 'a' && *host <= 'z') || (*host >= 'A' && *host <= 'Z') ||
		    (*host >= '0' && *host <= '9') || *host == '-' || (*host == '.' && n && host[1])) {
			fputc(*host, f);
			n++;
		}
	if (!n)
		fputs("localhost", f);
}

/* An address without a domain gets this host's: RFC 5322 wants one in From. */
static void put_address(struct sw_alerts *a, FILE *f, const char *address)
{
	put_ascii(f, address, 300);
	if (!strchr(address, '@')) {
		fputc('@', f);
		put_host(f, a->host);
	}
}

static void put_recipients(struct sw_alerts *a, FILE *f)
{
	fputs("To: ", f);
	for (size_t i = 0; a->config.mail && a->config.mail[i]; i++) {
		if (i)
			fputs(",\n ", f);
		put_ascii(f, a->config.mail[i], 300);
	}
	fputc('\n', f);
}

static void put_message_id(struct sw_alerts *a, FILE *f)
{
	uint64_t random = 0;

	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
	fprintf(f, "Message-ID: <smtpwall.%lld.%" PRIu64 ".%016" PRIx64 "@", (long long)a->now.wall,
		++a->serial, random);
	put_host(f, a->host);
	fputs(">\n", f);
}

static void put_subject(struct sw_alerts *a, FILE *f, const struct sw_alert *first, size_t n,
			const char *subject)
{
	char period[64];

	fputs("Subject: ", f);
	if (subject) {
		put_ascii(f, subject, MAX_SUBJECT);
		if (n > 1)
			fprintf(f, " (and %zu more)", n - 1);
		fputc('\n', f);
		return;
	}
	fputs("smtpwall on ", f);
	put_ascii(f, a->host, 64);
	fputs(": ", f);
	if (n > 1)
		fprintf(f, "%zu alerts, first: ", n);
	if (first->where.is_uid) {
		put_ascii(f, first->where.domain ?: first->where.user ?: "unknown site", 80);
		fprintf(f, " (UID %" PRIu32 ")", first->where.uid);
	} else {
		fputs("whole server", f);
	}
	fprintf(f, ": %" PRIu64 " %s %s\n", first->count, sw_alert_what(first),
		sw_alert_period_text(first, period, sizeof(period)));
}

static void put_headers(struct sw_alerts *a, FILE *f, const struct sw_alert *first, size_t n,
			const struct sw_template_headers *h)
{
	fputs("From: ", f);
	if (a->config.mail_from || !h->from)
		put_address(a, f, a->config.mail_from ?: "root");
	else
		put_ascii(f, h->from, 300);
	fputc('\n', f);
	put_recipients(a, f);
	put_subject(a, f, first, n, h->subject);
	put_date(f, a->now.wall);
	put_message_id(a, f);
	fputs("Auto-Submitted: auto-generated\n"
	      "MIME-Version: 1.0\n"
	      "Content-Type: text/plain; charset=UTF-8\n"
	      "Content-Transfer-Encoding: 8bit\n", f);
	fputs("\n", f);
}

/* ---- The built-in text ---- */

static void put_who(FILE *f, const struct sw_alert *a)
{
	const struct sw_alert_where *w = &a->where;
	_cleanup_free_ char *domain = NULL, *account = NULL;

	if (!w->is_uid) {
		put_field(f, "Who:", "the whole server");
		return;
	}
	if (w->domain && w->others && a->scope != SW_SCOPE_DOMAIN &&
	    asprintf(&domain, "%s (the account has %zu more)", w->domain, w->others) < 0)
		domain = NULL;
	if (asprintf(&account, "%s (UID %" PRIu32 ")", w->user ?: "no such account", w->uid) < 0)
		account = NULL;
	put_field(f, "Domain:", domain ?: w->domain ?: "not known");
	put_field(f, "Directory:", w->directory ?: "not known");
	put_field(f, "Script:", w->script);
	put_field(f, "Account:", account);
	put_field(f, "Runs in:", w->container);
}

static void put_what(FILE *f, const struct sw_alert *a)
{
	char period[64], number[SW_NUMBER_LEN], text[256];

	snprintf(text, sizeof(text), "%s %s %s", sw_number(a->count, number), sw_alert_what(a),
		 sw_alert_period_text(a, period, sizeof(period)));
	put_field(f, "What:", text);
}

static void put_where_to(FILE *f, const struct sw_alert *a)
{
	char text[64] = "";

	put_field(f, "Last to:", a->where.destination);
	if (a->where.destinations)
		snprintf(text, sizeof(text), "about %u distinct ones since counting began",
			 a->where.destinations);
	put_field(f, "Destinations:", text);
}

static void put_times(FILE *f, const struct sw_alert *a)
{
	char from[SW_TIME_LEN], to[SW_TIME_LEN], text[128];

	put_field(f, "Counted since:", sw_time_format(a->since, from));
	if (!a->where.first)
		return;
	snprintf(text, sizeof(text), "first %s, last %s", sw_time_format(a->where.first, from),
		 sw_time_format(a->where.last, to));
	put_field(f, "Attempts:", text);
}

static void put_alert(FILE *f, const char *host, const struct sw_alert *a)
{
	char when[SW_TIME_LEN], *step[8] = {};
	_cleanup_free_ char *rule = NULL;
	size_t n;

	put_who(f, a);
	put_what(f, a);
	put_where_to(f, a);
	put_times(f, a);
	if (asprintf(&rule, "%s (%s)", a->rule, a->place) < 0)
		rule = NULL;
	put_field(f, "Rule:", rule);
	put_field(f, "Host:", host);
	put_field(f, "Time:", sw_time_format(a->time, when));
	fputs("\nWhat to do next:\n", f);
	n = sw_alert_next_steps(a, step, ARRAY_SIZE(step));
	for (size_t i = 0; i < n; i++) {
		fprintf(f, "  %s\n", step[i]);
		free(step[i]);
	}
}

/* ---- All of it ---- */

/* A template's body, in lines that a mail may have. */
static void put_template(struct sw_alerts *a, FILE *f, const struct sw_alert *alert)
{
	_cleanup_free_ char *text = NULL;
	char *at, *line;
	size_t len;
	FILE *body = open_memstream(&text, &len);

	if (!body)
		return;
	(void)sw_alert_template(a->templ, a->host, alert, NULL, body);
	if (fclose(body) != 0)
		return;
	if (len > MAX_TEMPLATE)
		text[MAX_TEMPLATE] = '\0';
	for (at = text; at && *at;) {
		line = strsep(&at, "\n");
		put_line(f, line);
	}
}

static bool is_full(FILE *f)
{
	return ftello(f) > MAX_BODY;
}

/* How many it told. */
static size_t put_body(struct sw_alerts *a, FILE *f, struct sw_alert *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n && i < MAX_BLOCKS && !is_full(f); i++) {
		if (i)
			fputs("\n----------------------------------------\n\n", f);
		if (a->templ)
			put_template(a, f, list[i]);
		else
			put_alert(f, a->host, list[i]);
	}
	if (i < n)
		fputs("\nFurther alerts:\n", f);
	for (; i < n && i < MAX_LINES && !is_full(f); i++) {
		_cleanup_free_ char *text = sw_alert_sentence(list[i], true);

		fputs("  ", f);
		put_line(f, text ?: "-");
	}
	return i;
}

char *sw_alert_mail(struct sw_alerts *a, struct sw_alert *const *list, size_t n, uint64_t dropped,
		    size_t *len)
{
	struct sw_template_headers h = {};
	char *text = NULL;
	uint64_t more;
	int r = 0;
	FILE *f;

	if (a->templ)
		r = sw_alert_template(a->templ, a->host, list[0], &h, NULL);
	f = r ? NULL : open_memstream(&text, len);
	if (f) {
		put_headers(a, f, list[0], n + dropped, &h);
		more = dropped + n - put_body(a, f, list, n);
		if (more)
			fprintf(f, "\nAnd %" PRIu64 " more: see smtpwall report.\n", more);
		if (fclose(f) != 0) {
			free(text);
			text = NULL;
		}
	}
	free(h.subject);
	free(h.from);
	free(h.to);
	return text;
}
