/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A mail template of the administrator: text in which [token] stands for a value of the alert, in
 * any case. It may begin with header lines and an empty line, as the templates of CSF do
 * (/usr/local/csf/tpl/uidscan.txt, with [hostname], [time], [uid], [count] and [ports]); of those
 * Subject, From and To count.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "alert_int.h"
#include "journal.h"
#include "out.h"
#include "util.h"
#include "when.h"

#define MAX_TOKEN	32

/* What is being written. */
struct source {
	const struct sw_alert *a;
	const char *host;
	bool utf8;	/* else every value is ASCII: a header */
};

typedef void (*write_fn)(const struct source *s, FILE *f);

static void write_text(const struct source *s, FILE *f, const char *text)
{
	_cleanup_free_ char *safe = sw_escape(text && *text ? text : "-", s->utf8);

	if (safe)
		fputs(safe, f);
}

static void write_time(FILE *f, time_t t)
{
	char buf[SW_TIME_LEN];

	fputs(t ? sw_time_format(t, buf) : "-", f);
}

static void write_host(const struct source *s, FILE *f) { write_text(s, f, s->host); }
static void write_now(const struct source *s, FILE *f) { write_time(f, s->a->time); }
static void write_since(const struct source *s, FILE *f) { write_time(f, s->a->since); }
static void write_first(const struct source *s, FILE *f) { write_time(f, s->a->where.first); }
static void write_last(const struct source *s, FILE *f) { write_time(f, s->a->where.last); }
static void write_user(const struct source *s, FILE *f) { write_text(s, f, s->a->where.user); }
static void write_rule(const struct source *s, FILE *f) { write_text(s, f, s->a->rule); }
static void write_line(const struct source *s, FILE *f) { write_text(s, f, s->a->place); }
static void write_what(const struct source *s, FILE *f) { fputs(sw_alert_what(s->a), f); }
static void write_domain(const struct source *s, FILE *f) { write_text(s, f, s->a->where.domain); }
static void write_script(const struct source *s, FILE *f) { write_text(s, f, s->a->where.script); }
static void write_count(const struct source *s, FILE *f) { fprintf(f, "%" PRIu64, s->a->count); }

static void write_account(const struct source *s, FILE *f)
{
	write_text(s, f, s->a->where.account);
}

static void write_directory(const struct source *s, FILE *f)
{
	write_text(s, f, s->a->where.directory);
}

static void write_container(const struct source *s, FILE *f)
{
	write_text(s, f, s->a->where.container);
}

static void write_destination(const struct source *s, FILE *f)
{
	write_text(s, f, s->a->where.destination);
}

static void write_metric(const struct source *s, FILE *f)
{
	fputs(sw_alert_metric_name(s->a->metric), f);
}

static void write_threshold(const struct source *s, FILE *f)
{
	fprintf(f, "%" PRIu64, s->a->threshold);
}

static void write_destinations(const struct source *s, FILE *f)
{
	fprintf(f, "%u", s->a->where.destinations);
}

static void write_period(const struct source *s, FILE *f)
{
	char buf[64];

	fputs(sw_alert_period_text(s->a, buf, sizeof(buf)), f);
}

static void write_uid(const struct source *s, FILE *f)
{
	if (!s->a->where.is_uid) {
		fputs("server", f);
		return;
	}
	fprintf(f, "%" PRIu32 " (", s->a->where.uid);
	write_text(s, f, s->a->where.user);
	fputc(')', f);
}

static void write_summary(const struct source *s, FILE *f)
{
	_cleanup_free_ char *text = sw_alert_sentence(s->a, s->utf8);

	if (text)
		fputs(text, f);
}

static void write_next(const struct source *s, FILE *f)
{
	char *step[8] = {};
	size_t n = sw_alert_next_steps(s->a, step, ARRAY_SIZE(step));

	for (size_t i = 0; i < n; i++) {
		if (i)
			fputs(s->utf8 ? "\n" : "; ", f);
		write_text(s, f, step[i]);
		free(step[i]);
	}
}

/* CSF gives lines of the kernel log. */
static void write_ports(const struct source *s, FILE *f)
{
	const struct sw_alert_where *w = &s->a->where;
	char line[SW_CSF_LINE], when[SW_TIME_LEN];

	if (!w->destination || sw_csf_line_text(w->destination, w->uid, line) < 0) {
		fputc('-', f);
		return;
	}
	fprintf(f, "%s ", sw_time_format(w->last ? w->last : s->a->time, when));
	write_host(s, f);
	fprintf(f, " kernel: %s", line);
}

static const struct {
	const char *name;
	write_fn write;
} tokens[] = {
	{ "hostname", write_host },	{ "time", write_now },
	{ "uid", write_uid },		{ "count", write_count },
	{ "ports", write_ports },	{ "domain", write_domain },
	{ "directory", write_directory }, { "script", write_script },
	{ "user", write_user },		{ "account", write_account },
	{ "container", write_container }, { "rule", write_rule },
	{ "line", write_line },		{ "metric", write_metric },
	{ "what", write_what },		{ "threshold", write_threshold },
	{ "period", write_period },	{ "since", write_since },
	{ "first", write_first },	{ "last", write_last },
	{ "destination", write_destination }, { "destinations", write_destinations },
	{ "summary", write_summary },	{ "next", write_next },
};

/* The token that `text` begins with, and how long it is with its brackets. */
static write_fn find_token(const char *text, size_t len, size_t *ret_len)
{
	const char *end = memchr(text, ']', len < MAX_TOKEN ? len : MAX_TOKEN);

	for (size_t i = 0; end && i < ARRAY_SIZE(tokens); i++) {
		size_t n = strlen(tokens[i].name);

		if ((size_t)(end - text) != n + 1 || strncasecmp(text + 1, tokens[i].name, n) != 0)
			continue;
		*ret_len = n + 2;
		return tokens[i].write;
	}
	return NULL;
}

static void expand(const struct source *s, const char *text, size_t len, FILE *f)
{
	for (size_t i = 0; i < len;) {
		size_t n = 1;
		write_fn fn = text[i] == '[' ? find_token(text + i, len - i, &n) : NULL;

		if (fn)
			fn(s, f);
		else if (s->utf8 ? text[i] != '\r' : isprint((unsigned char)text[i]))
			fputc(text[i], f);
		i += n;
	}
}

/* The length of "Name:" at the beginning of a line; 0: it has none. */
static size_t header_name(const char *line, size_t len)
{
	size_t n = 0;

	while (n < len && (isalnum((unsigned char)line[n]) || line[n] == '-'))
		n++;
	return n && n < len && line[n] == ':' ? n + 1 : 0;
}

static int take_header(const struct source *s, const char *line, size_t len, size_t name,
		       struct sw_template_headers *h)
{
	const struct { const char *name; char **to; } known[] = {
		{ "Subject:", &h->subject }, { "From:", &h->from }, { "To:", &h->to },
	};
	const struct source ascii = { .a = s->a, .host = s->host };
	size_t size;

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		FILE *f;

		if (strlen(known[i].name) != name || strncasecmp(line, known[i].name, name) != 0 ||
		    *known[i].to)
			continue;
		while (name < len && isblank((unsigned char)line[name]))
			name++;
		f = open_memstream(known[i].to, &size);
		if (!f)
			return -ENOMEM;
		expand(&ascii, line + name, len - name, f);
		return fclose(f) == 0 ? 0 : -ENOMEM;
	}
	return 0;
}

static size_t line_length(const char *text)
{
	size_t len = strcspn(text, "\n");

	return text[len] ? len + 1 : len;
}

/* Where the body begins: behind the header lines and their empty line, if there are any. */
static const char *find_body(const char *templ)
{
	const char *at = templ;
	size_t len;

	while ((len = line_length(at)) && header_name(at, len))
		at += len;
	if (at == templ || (*at != '\n' && *at != '\r'))
		return templ;
	return at + len;
}

int sw_alert_template(const char *templ, const char *host, const struct sw_alert *a,
		      struct sw_template_headers *headers, FILE *body)
{
	const struct source s = { .a = a, .host = host, .utf8 = true };
	const char *end = find_body(templ);
	int r = 0;

	for (const char *at = templ; at < end && headers && !r; at += line_length(at)) {
		size_t len = line_length(at), name = header_name(at, len);

		if (name)
			r = take_header(&s, at, len, name, headers);
	}
	if (body)
		expand(&s, end, strlen(end), body);
	return r;
}
