/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text that is valid both as OpenMetrics and in the older Prometheus format, which promtool and
 * the node exporter read. The two disagree about the name of a counter's family (x or x_total),
 * so counters carry no TYPE line: their type is "unknown" in both, their name ends in _total.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "metrics.h"
#include "names.h"
#include "out.h"
#include "policy.h"
#include "report.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000ULL

static const char *const slot_names[_SW_N_MAX] = {
	[SW_N_ALLOWED] = "allowed",	  [SW_N_DENIED] = "denied",
	[SW_N_WOULD_DENY] = "would_deny", [SW_N_LIMITED] = "limited",
	[SW_N_REDIRECTED] = "redirected", [SW_N_LOCAL] = "local",
	[SW_N_SENDMAIL] = "sendmail",
};

struct label {
	const char *name, *value;
};

static void put_family(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n", name, help);
	if (type)
		fprintf(f, "# TYPE %s %s\n", name, type);
}

static void put_gauge(FILE *f, const char *name, uint64_t value, const char *help)
{
	put_family(f, name, "gauge", help);
	fprintf(f, "%s %" PRIu64 "\n", name, value);
}

static void put_counter(FILE *f, const char *name, uint64_t value, const char *help)
{
	put_family(f, name, NULL, help);
	fprintf(f, "%s %" PRIu64 "\n", name, value);
}

/* A label's value: made safe as a line of text first, then as a quoted string. */
static void put_label(FILE *f, const char *name, const char *value)
{
	_cleanup_free_ char *text = sw_escape(value, true);

	fprintf(f, "%s=\"", name);
	for (const char *p = text ? text : ""; *p; p++)
		fprintf(f, *p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
	fputc('"', f);
}

/* A series for each verdict, with two more labels. */
static void put_verdicts(FILE *f, const char *name, const struct label label[2],
			 const uint64_t n[_SW_N_MAX])
{
	for (int i = 0; i < _SW_N_MAX; i++) {
		fprintf(f, "%s{", name);
		for (int j = 0; j < 2; j++) {
			put_label(f, label[j].name, label[j].value);
			fputc(',', f);
		}
		fprintf(f, "verdict=\"%s\"} %" PRIu64 "\n", slot_names[i], n[i]);
	}
}

/* ---- By account ---- */

static void put_uid_row(FILE *f, const char *uid, const char *user, const uint64_t n[_SW_N_MAX])
{
	const struct label label[] = { { "uid", uid }, { "user", user } };

	put_verdicts(f, "smtpwall_uid_attempts_total", label, n);
}

static const char *user_name(const struct sw_metrics *m, struct sw_accounts *accounts, uint32_t uid)
{
	const struct sw_login *l;

	if (!m->domains)
		return sw_account_get(accounts, uid)->user ?: "";
	l = sw_domains_login(m->domains, uid);
	return l ? l->name : "";
}

static void put_account(FILE *f, const struct sw_metrics *m, struct sw_accounts *accounts,
			const struct sw_stat *s)
{
	char uid[16];

	if (s->row == SW_ROW_KERNEL) {
		put_uid_row(f, "kernel", "(kernel)", s->n);
	} else if (s->row == SW_ROW_OVERFLOW) {
		put_uid_row(f, "overflow", "(table full)", s->n);
	} else {
		snprintf(uid, sizeof(uid), "%u", s->uid);
		put_uid_row(f, uid, user_name(m, accounts, s->uid), s->n);
	}
}

static int worst_first(const void *a, const void *b)
{
	const struct sw_stat *x = *(const struct sw_stat *const *)a;
	const struct sw_stat *y = *(const struct sw_stat *const *)b;
	uint64_t x_bad = sw_stat_offences(x), y_bad = sw_stat_offences(y);

	if (x_bad != y_bad)
		return x_bad > y_bad ? -1 : 1;
	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

/* The offenders, worst first, and their number; NULL without memory. */
static const struct sw_stat **find_offenders(const struct sw_stats *s, size_t *n)
{
	const struct sw_stat **found = calloc(s->n_accounts + 1, sizeof(const struct sw_stat *));

	*n = 0;
	if (!found)
		return NULL;
	for (size_t i = 0; i < s->n_accounts; i++)
		if (sw_stat_offences(&s->accounts[i]))
			found[(*n)++] = &s->accounts[i];
	qsort(found, *n, sizeof(const struct sw_stat *), worst_first);
	return found;
}

/* The tables are read one after the other: a sum of directories may be ahead of the accounts'. */
static void take_from(uint64_t rest[_SW_N_MAX], const uint64_t n[_SW_N_MAX])
{
	for (int i = 0; i < _SW_N_MAX; i++)
		rest[i] -= n[i] < rest[i] ? n[i] : rest[i];
}

static int put_accounts(FILE *f, const struct sw_metrics *m, const uint64_t all[_SW_N_MAX])
{
	_cleanup_free_ struct sw_accounts *names = calloc(1, sizeof(*names));
	_cleanup_free_ const struct sw_stat **offender = NULL;
	uint64_t rest[_SW_N_MAX];
	size_t n;

	offender = find_offenders(m->stats, &n);
	if (!names || !offender)
		return -ENOMEM;
	memcpy(rest, all, sizeof(rest));
	put_gauge(f, "smtpwall_offenders", n, "Accounts that were ever denied, would be denied, "
		  "limited or redirected.");
	put_family(f, "smtpwall_uid_attempts_total", NULL, "SMTP connects of the worst offenders, by "
		   "account and verdict. An account moves between its own series and uid rest.");
	for (size_t i = 0; i < n && i < m->top; i++) {
		put_account(f, m, names, offender[i]);
		take_from(rest, offender[i]->n);
	}
	put_uid_row(f, "rest", "", rest);
	sw_accounts_free(names);
	return 0;
}

static void put_attempts(FILE *f, const struct sw_stats *s, uint64_t all[_SW_N_MAX])
{
	for (size_t i = 0; i < s->n_accounts; i++)
		for (int j = 0; j < _SW_N_MAX; j++)
			all[j] += s->accounts[i].n[j];
	put_family(f, "smtpwall_attempts_total", NULL, "SMTP connects of all accounts, by verdict.");
	for (int i = 0; i < _SW_N_MAX; i++)
		fprintf(f, "smtpwall_attempts_total{verdict=\"%s\"} %" PRIu64 "\n", slot_names[i],
			all[i]);
}

/* ---- Handed to the mail server ---- */

static const enum sw_slot submitted[] = { SW_N_LOCAL, SW_N_SENDMAIL };

static uint64_t submissions(const struct sw_stat *s)
{
	return s->n[SW_N_LOCAL] + s->n[SW_N_SENDMAIL];
}

static int most_first(const void *a, const void *b)
{
	const struct sw_stat *x = *(const struct sw_stat *const *)a;
	const struct sw_stat *y = *(const struct sw_stat *const *)b;

	if (submissions(x) != submissions(y))
		return submissions(x) > submissions(y) ? -1 : 1;
	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static void put_submitted(FILE *f, const char *uid, const char *user, const uint64_t n[_SW_N_MAX])
{
	for (size_t i = 0; i < ARRAY_SIZE(submitted); i++) {
		fputs("smtpwall_uid_submitted_total{", f);
		put_label(f, "uid", uid);
		fputc(',', f);
		put_label(f, "user", user);
		fprintf(f, ",channel=\"%s\"} %" PRIu64 "\n", slot_names[submitted[i]], n[submitted[i]]);
	}
}

/* Accounts that use the mail server most: they need not be offenders. */
static int put_submitters(FILE *f, const struct sw_metrics *m, const uint64_t all[_SW_N_MAX])
{
	_cleanup_free_ struct sw_accounts *names = calloc(1, sizeof(*names));
	_cleanup_free_ const struct sw_stat **by = NULL;
	uint64_t rest[_SW_N_MAX];
	size_t n = 0;
	char uid[16];

	by = calloc(m->stats->n_accounts + 1, sizeof(const struct sw_stat *));
	if (!names || !by)
		return -ENOMEM;
	for (size_t i = 0; i < m->stats->n_accounts; i++)
		if (m->stats->accounts[i].row == SW_ROW_UID && submissions(&m->stats->accounts[i]))
			by[n++] = &m->stats->accounts[i];
	qsort(by, n, sizeof(const struct sw_stat *), most_first);
	memcpy(rest, all, sizeof(rest));
	put_family(f, "smtpwall_uid_submitted_total", NULL, "SMTP connects to this machine (channel "
		   "local) and executions of sendmail, of the accounts with most of both. An account "
		   "moves between its own series and uid rest.");
	for (size_t i = 0; i < n && i < m->top; i++) {
		snprintf(uid, sizeof(uid), "%u", by[i]->uid);
		put_submitted(f, uid, user_name(m, names, by[i]->uid), by[i]->n);
		take_from(rest, by[i]->n);
	}
	put_submitted(f, "rest", "", rest);
	sw_accounts_free(names);
	return 0;
}

/* What became of connects that were let through. */
static void put_outcomes(FILE *f, const struct sw_stats *s)
{
	struct sw_outcome sum = {};

	for (size_t i = 0; i < s->n_accounts; i++)
		sw_outcome_add(&sum, &s->accounts[i].outcome);
	put_family(f, "smtpwall_connections_total", NULL, "SMTP connects that were let through, by what "
		   "became of them: refused is by the other side.");
	fprintf(f, "smtpwall_connections_total{result=\"established\"} %" PRIu64 "\n"
		"smtpwall_connections_total{result=\"refused\"} %" PRIu64 "\n"
		"smtpwall_connections_total{result=\"timed_out\"} %" PRIu64 "\n"
		"smtpwall_connections_total{result=\"failed\"} %" PRIu64 "\n",
		(uint64_t)sum.established, (uint64_t)sum.refused, (uint64_t)sum.timed_out,
		(uint64_t)sum.failed);
	put_family(f, "smtpwall_connection_bytes_total", NULL, "Payload of those that have ended.");
	fprintf(f, "smtpwall_connection_bytes_total{direction=\"sent\"} %" PRIu64 "\n"
		"smtpwall_connection_bytes_total{direction=\"received\"} %" PRIu64 "\n",
		(uint64_t)sum.bytes_sent, (uint64_t)sum.bytes_received);
	put_counter(f, "smtpwall_connection_seconds_total", sum.duration_ns / NSEC_PER_SEC,
		    "How long they lasted, together.");
}

/* ---- By domain ---- */

static void put_domain(FILE *f, const char *domain, const char *guess, const uint64_t n[_SW_N_MAX])
{
	const struct label label[] = { { "domain", domain }, { "guess", guess } };

	put_verdicts(f, "smtpwall_domain_attempts_total", label, n);
}

static int put_domains(FILE *f, const struct sw_metrics *m, const uint64_t all[_SW_N_MAX])
{
	static const struct sw_report what = { .by = SW_REPORT_BY_DOMAIN };
	uint64_t none[_SW_N_MAX] = {}, rest[_SW_N_MAX];
	struct sw_report_rows rows;
	size_t shown = 0;
	int r = sw_report_build(&what, m->stats, m->domains, &rows);

	if (r < 0)
		return r;
	memcpy(rest, all, sizeof(rest));
	put_family(f, "smtpwall_domain_attempts_total", NULL, "SMTP connects of the worst offenders, "
		   "by domain and verdict. With guess yes only the account is sure. Domain none: no "
		   "domain is known. A domain moves between its own series and domain rest.");
	for (size_t i = 0; i < rows.n; i++) {
		const struct sw_report_row *row = &rows.row[i];

		if (!row->site.domain) {
			for (int j = 0; j < _SW_N_MAX; j++)
				none[j] += row->sum.n[j];
			take_from(rest, row->sum.n);
		} else if (shown < m->top) {
			shown++;
			put_domain(f, row->site.domain, row->site.one_of_several ? "yes" : "no",
				   row->sum.n);
			take_from(rest, row->sum.n);
		}
	}
	put_domain(f, "none", "no", none);
	put_domain(f, "rest", "no", rest);
	sw_report_free(&rows);
	return 0;
}

/* ---- The rest ---- */

static void put_losses(FILE *f, const struct sw_stats *s)
{
	put_family(f, "smtpwall_events_total", NULL, "Reports of single connects, by what became of "
		   "them. Counters do not depend on them.");
	fprintf(f, "smtpwall_events_total{result=\"sent\"} %" PRIu64 "\n"
		"smtpwall_events_total{result=\"lost\"} %" PRIu64 "\n"
		"smtpwall_events_total{result=\"throttled\"} %" PRIu64 "\n",
		s->counters[SW_CTR_EVENTS_SENT], s->counters[SW_CTR_EVENTS_LOST],
		s->counters[SW_CTR_EVENTS_THROTTLED]);
	put_gauge(f, "smtpwall_uid_rows", s->uid_rows, "Accounts in the account table.");
	put_gauge(f, "smtpwall_uid_rows_max", s->uid_rows_max, "Rows the account table has room for.");
	put_family(f, "smtpwall_overflow_attempts_total", NULL,
		   "SMTP connects counted together because a table was full.");
	fprintf(f, "smtpwall_overflow_attempts_total{table=\"uids\"} %" PRIu64 "\n"
		"smtpwall_overflow_attempts_total{table=\"origins\"} %" PRIu64 "\n",
		s->uid_overflow, s->origin_overflow);
}

static void put_state(FILE *f, const struct sw_live *l)
{
	put_family(f, "smtpwall_info", "gauge", "Version, and mode of the policy; always 1.");
	fprintf(f, "smtpwall_info{");
	put_label(f, "version", SW_VERSION);
	fputc(',', f);
	put_label(f, "mode", sw_mode_name((enum sw_mode)l->settings.mode));
	fprintf(f, "} 1\n");
	put_gauge(f, "smtpwall_generation", l->settings.generation,
		  "Generation of the policy: one more with each apply.");
}

static void put_monitor(FILE *f, const struct sw_metrics_monitor *m)
{
	put_gauge(f, "smtpwall_monitor_start_time_seconds", (uint64_t)m->started,
		  "When the monitor was started, in seconds since 1970.");
	put_counter(f, "smtpwall_monitor_events_total", m->events,
		    "Events that the monitor took from the kernel.");
	put_counter(f, "smtpwall_monitor_scrapes_total", m->scrapes,
		    "Answers with metrics that the monitor gave.");
	put_family(f, "smtpwall_history_rolls_total", NULL,
		   "Times that counters were written to the history, by result.");
	fprintf(f, "smtpwall_history_rolls_total{result=\"written\"} %" PRIu64 "\n"
		"smtpwall_history_rolls_total{result=\"failed\"} %" PRIu64 "\n",
		m->rolls, m->rolls_failed);
	put_gauge(f, "smtpwall_history_last_roll_timestamp_seconds", (uint64_t)m->rolled,
		  "When the history was last written, in seconds since 1970; 0 for never.");
	put_gauge(f, "smtpwall_history_size_bytes", m->history_bytes,
		  "Size of the history on the disk.");
	put_family(f, "smtpwall_alerts_total", NULL, "Alerts, by what became of them.");
	fprintf(f, "smtpwall_alerts_total{result=\"sent\"} %" PRIu64 "\n"
		"smtpwall_alerts_total{result=\"failed\"} %" PRIu64 "\n"
		"smtpwall_alerts_total{result=\"held\"} %" PRIu64 "\n",
		m->alerts_sent, m->alerts_failed, m->alerts_held);
}

int sw_metrics_write(FILE *f, const struct sw_metrics *m)
{
	uint64_t all[_SW_N_MAX] = {};
	int r = 0;

	put_gauge(f, "smtpwall_in_force", m->live->in_force,
		  "1 while every hook is in place, else 0.");
	if (m->live->exists) {
		put_state(f, m->live);
		put_attempts(f, m->stats, all);
		put_outcomes(f, m->stats);
		r = put_accounts(f, m, all) ?: put_submitters(f, m, all);
		if (!r && m->domains)
			r = put_domains(f, m, all);
		put_losses(f, m->stats);
	}
	if (m->monitor)
		put_monitor(f, m->monitor);
	fputs("# EOF\n", f);
	return r;
}

int sw_metrics_text(const struct sw_metrics *m, char **text, size_t *len)
{
	_cleanup_free_ char *buf = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&buf, &size);
	int r;

	if (!f)
		return -errno;
	r = sw_metrics_write(f, m);
	if (ferror(f) && !r)
		r = -ENOMEM;
	if (fclose(f) != 0 && !r)
		r = -ENOMEM;
	if (r < 0)
		return r;
	*text = TAKE_PTR(buf);
	*len = size;
	return 0;
}
