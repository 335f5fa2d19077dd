/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>

#include "alert.h"
#include "decide.h"
#include "journal.h"
#include "out.h"
#include "util.h"

#define MAX_SYSLOG	2000	/* RFC 3164 has 1024; daemons of today take more */

struct sw_journal {
	int fd;
	struct sockaddr_un journal, syslog;
	struct sw_journal_state state;
};

static int set_path(struct sockaddr_un *to, const char *path)
{
	*to = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(to->sun_path))
		return -ENAMETOOLONG;
	memcpy(to->sun_path, path, strlen(path));
	return 0;
}

int sw_journal_open(const char *journal, const char *syslog, struct sw_journal **ret)
{
	struct sw_journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	r = set_path(&j->journal, journal ?: SW_JOURNAL_SOCKET);
	r = r ?: set_path(&j->syslog, syslog ?: SW_SYSLOG_SOCKET);
	/* Not connected: a log daemon that is started again is found again. */
	j->fd = r ? -1 : socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (!r && j->fd < 0)
		r = -errno;
	if (r < 0) {
		sw_journal_close(j);
		return r;
	}
	*ret = j;
	return 0;
}

void sw_journal_close(struct sw_journal *j)
{
	if (j)
		sw_closep(&j->fd);
	free(j);
}

void sw_journal_state(const struct sw_journal *j, struct sw_journal_state *ret)
{
	*ret = j->state;
}

static int send_to(struct sw_journal *j, const struct sockaddr_un *to, const void *data, size_t len)
{
	if (sendto(j->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)to,
		   sizeof(*to)) < 0)
		return -errno;
	return 0;
}

static int note(struct sw_journal *j, int r)
{
	if (r < 0) {
		j->state.lost++;
		j->state.last_error = r;
	} else {
		j->state.sent++;
	}
	return r;
}

/* ---- The journal ---- */

/* NAME=value: escaped, so it is one line. */
static void put(FILE *f, const char *name, const char *value)
{
	_cleanup_free_ char *safe = value && *value ? sw_escape(value, true) : NULL;

	if (safe)
		fprintf(f, "%s=%s\n", name, safe);
}

static void put_number(FILE *f, const char *name, uint64_t n)
{
	fprintf(f, "%s=%" PRIu64 "\n", name, n);
}

static void begin(FILE *f, const char *id, int priority, const char *text)
{
	fprintf(f, "MESSAGE=%s\nMESSAGE_ID=%s\nPRIORITY=%d\nSYSLOG_FACILITY=%d\n"
		"SYSLOG_IDENTIFIER=smtpwall\n", text, id, priority, LOG_DAEMON >> 3);
}

/* ---- Syslog ---- */

static int send_syslog(struct sw_journal *j, int priority, const char *tag, const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char line[MAX_SYSLOG];
	time_t now = time(NULL);
	struct tm tm = {};
	int len;

	localtime_r(&now, &tm);
	len = snprintf(line, sizeof(line), "<%d>%.3s %2d %02d:%02d:%02d %s: %s", priority,
		       months + tm.tm_mon * 3, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, tag, text);
	if (len < 0)
		return -EINVAL;
	return send_to(j, &j->syslog, line, len < (int)sizeof(line) ? (size_t)len : sizeof(line) - 1);
}

/* The record to the journal; where there is none, its text to syslog. */
static int send_record(struct sw_journal *j, const char *record, size_t len, int priority,
		       const char *text)
{
	char tag[32];
	int r = send_to(j, &j->journal, record, len);

	/* A full journal is no reason to write everything twice, once it goes on. */
	if (r != -ENOENT && r != -ECONNREFUSED)
		return r;
	snprintf(tag, sizeof(tag), "smtpwall[%d]", (int)getpid());
	return send_syslog(j, LOG_DAEMON | priority, tag, text);
}

/* ---- What is told ---- */

static void put_event(FILE *f, const struct sw_event_view *v)
{
	const struct sw_event *e = v->e;

	if (!v->no_uid)
		put_number(f, "SMTPWALL_UID", e->charged_uid);
	put(f, "SMTPWALL_USER", v->no_uid ? "(kernel)" : v->site.user);
	put(f, "SMTPWALL_DOMAIN", v->site.domain);
	put(f, "SMTPWALL_SOURCE", v->site.source);
	put(f, "SMTPWALL_ACCOUNT", v->site.account);
	put(f, "SMTPWALL_DIRECTORY", v->where.directory);
	put(f, "SMTPWALL_SCRIPT", v->where.script);
	put(f, "SMTPWALL_DESTINATION", v->address);
	if (e->channel != SW_CHANNEL_SENDMAIL)
		put_number(f, "SMTPWALL_PORT", e->dport);
	put(f, "SMTPWALL_VERDICT", sw_verdict_name((enum sw_verdict)e->verdict));
	put(f, "SMTPWALL_REASON", sw_reason_name((enum sw_reason)e->reason));
	put_number(f, "SMTPWALL_PID", e->tgid);
	put(f, "SMTPWALL_COMM", v->comm);
	put(f, "SMTPWALL_CONTAINER", v->container);
}

int sw_journal_event(struct sw_journal *j, const struct sw_event_view *v)
{
	_cleanup_free_ char *text = sw_event_sentence(v, true), *record = NULL;
	size_t len;
	FILE *f = text ? open_memstream(&record, &len) : NULL;
	int priority = v->e->verdict == SW_ALLOW ? LOG_INFO : LOG_NOTICE;

	if (!f)
		return note(j, -ENOMEM);
	begin(f, SW_MESSAGE_EVENT, priority, text);
	put_event(f, v);
	if (fclose(f) != 0)
		return note(j, -ENOMEM);
	return note(j, send_record(j, record, len, priority, text));
}

static void put_alert(FILE *f, const struct sw_alert *a)
{
	const struct sw_alert_where *w = &a->where;

	if (w->is_uid)
		put_number(f, "SMTPWALL_UID", w->uid);
	put(f, "SMTPWALL_USER", w->user);
	put(f, "SMTPWALL_DOMAIN", w->domain);
	put(f, "SMTPWALL_SOURCE", w->source);
	put(f, "SMTPWALL_ACCOUNT", w->account);
	put(f, "SMTPWALL_DIRECTORY", w->directory);
	put(f, "SMTPWALL_SCRIPT", w->script);
	put(f, "SMTPWALL_DESTINATION", w->destination);
	put(f, "SMTPWALL_CONTAINER", w->container);
	put(f, "SMTPWALL_RULE", a->rule);
	put(f, "SMTPWALL_LINE", a->place);
	put(f, "SMTPWALL_METRIC", sw_alert_metric_name(a->metric));
	put(f, "SMTPWALL_SCOPE", sw_alert_scope_name(a->scope));
	put_number(f, "SMTPWALL_COUNT", a->count);
	put_number(f, "SMTPWALL_THRESHOLD", a->threshold);
	if (a->seconds)
		put_number(f, "SMTPWALL_SECONDS", a->seconds);
}

int sw_journal_alert(struct sw_journal *j, const struct sw_alert *a)
{
	_cleanup_free_ char *text = sw_alert_sentence(a, true), *record = NULL;
	size_t len;
	FILE *f = text ? open_memstream(&record, &len) : NULL;

	if (!f)
		return note(j, -ENOMEM);
	begin(f, SW_MESSAGE_ALERT, LOG_WARNING, text);
	put_alert(f, a);
	if (fclose(f) != 0)
		return note(j, -ENOMEM);
	return note(j, send_record(j, record, len, LOG_WARNING, text));
}

int sw_journal_csf(struct sw_journal *j, const struct sw_event_view *v)
{
	char line[SW_CSF_LINE];

	if (v->no_uid || (v->e->verdict != SW_DENY && v->e->verdict != SW_LIMITED))
		return 0;
	if (v->e->channel == SW_CHANNEL_SENDMAIL)	/* a line of a packet has a destination */
		return 0;
	sw_csf_line(v->e->daddr, v->e->dport, v->e->charged_uid, v->e->egid, line);
	return note(j, send_syslog(j, LOG_USER | LOG_WARNING, "kernel", line));
}
