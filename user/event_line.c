/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An event as a line of `smtpwall events`. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "decide.h"
#include "event_line.h"
#include "out.h"
#include "policy.h"
#include "util.h"

/* The columns, in their order for ever: new ones go at the end. */
enum field {
	F_TIME, F_UID, F_USER, F_EUID, F_RUID, F_GID, F_LOGINUID, F_PID, F_PPID, F_COMM, F_PARENT,
	F_DESTINATION, F_PORT, F_FAMILY, F_VERDICT, F_REASON, F_DIRECTORY, F_SCRIPT, F_ARGV, F_CGROUP,
	F_CONTAINER, F_DOMAIN, F_SOURCE, F_ACCOUNT,
	_F_MAX,
};

static const char *const names[_F_MAX] = {
	[F_TIME] = "time", [F_UID] = "uid", [F_USER] = "user", [F_EUID] = "euid", [F_RUID] = "ruid",
	[F_GID] = "gid", [F_LOGINUID] = "loginuid", [F_PID] = "pid", [F_PPID] = "ppid",
	[F_COMM] = "comm", [F_PARENT] = "parent", [F_DESTINATION] = "destination",
	[F_PORT] = "port", [F_FAMILY] = "family", [F_VERDICT] = "verdict", [F_REASON] = "reason",
	[F_DIRECTORY] = "directory", [F_SCRIPT] = "script", [F_ARGV] = "argv",
	[F_CGROUP] = "cgroup", [F_CONTAINER] = "container", [F_DOMAIN] = "domain",
	[F_SOURCE] = "source", [F_ACCOUNT] = "account",
};

/* One event; texts belong to others. */
struct line {
	const char *text[_F_MAX];	/* NULL: null, or a number */
	char number[_F_MAX][12];	/* empty: null, or a text */
	char time[SW_TIME_LEN];
	char title[SW_ARGV_LEN];
};

static void set_number(struct line *l, enum field f, uint32_t n)
{
	snprintf(l->number[f], sizeof(l->number[f]), "%" PRIu32, n);
}

/* The arguments with blanks between. */
static void join_title(const struct sw_stat *w, char title[SW_ARGV_LEN])
{
	size_t len = w->argv_len < SW_ARGV_LEN ? w->argv_len : SW_ARGV_LEN - 1;

	while (len && !w->argv[len - 1])
		len--;
	for (size_t i = 0; i < len; i++)
		title[i] = w->argv[i] ? w->argv[i] : ' ';
	title[len] = '\0';
}

static void fill_line(const struct sw_event_view *v, struct line *l)
{
	const struct sw_event *e = v->e;

	*l = (struct line){};
	l->text[F_TIME] = sw_time_format(v->time, l->time);
	if (!v->no_uid)
		set_number(l, F_UID, e->charged_uid);
	set_number(l, F_EUID, e->euid);
	set_number(l, F_RUID, e->ruid);
	set_number(l, F_GID, e->egid);
	if (e->loginuid != UINT32_MAX)
		set_number(l, F_LOGINUID, e->loginuid);
	set_number(l, F_PID, e->tgid);
	set_number(l, F_PPID, e->ppid);
	if (e->channel != SW_CHANNEL_SENDMAIL) {
		set_number(l, F_PORT, e->dport);
		set_number(l, F_FAMILY, e->family);
	}
	l->text[F_USER] = v->no_uid ? "(kernel)" : v->site.user;
	l->text[F_COMM] = v->comm;
	l->text[F_PARENT] = v->parent;
	l->text[F_DESTINATION] = v->address;
	l->text[F_VERDICT] = sw_verdict_name((enum sw_verdict)e->verdict);
	l->text[F_REASON] = sw_reason_name((enum sw_reason)e->reason);
	l->text[F_DIRECTORY] = v->where.directory;
	l->text[F_SCRIPT] = v->where.script;
	join_title(&v->where, l->title);
	l->text[F_ARGV] = l->title;
	l->text[F_CGROUP] = v->where.cgroup;
	l->text[F_CONTAINER] = *v->container ? v->container : NULL;
	l->text[F_DOMAIN] = v->site.domain;
	l->text[F_SOURCE] = v->site.source;
	l->text[F_ACCOUNT] = v->site.account;
}

static struct json_object *json_argv(const struct sw_stat *w)
{
	struct json_object *list = json_object_new_array();
	size_t len = w->argv_len;

	while (len && !w->argv[len - 1])
		len--;
	for (size_t at = 0; at < len; at += strlen(w->argv + at) + 1)
		json_object_array_add(list, sw_json_text(w->argv + at));
	return list;
}

static int print_json(FILE *f, const struct sw_event_view *v, const struct line *l)
{
	struct json_object *o = json_object_new_object();
	int r;

	for (int i = 0; i < _F_MAX; i++)
		json_object_object_add(o, names[i], i == F_ARGV ? json_argv(&v->where) :
				       *l->number[i] ?
				       json_object_new_int64(strtoll(l->number[i], NULL, 10)) :
				       sw_json_text(l->text[i]));
	r = sw_json_print(f, o);
	json_object_put(o);
	return r;
}

static int print_cells(FILE *f, const struct line *l,
		       int (*print)(FILE *, const char *const *, size_t))
{
	const char *cells[_F_MAX];

	for (int i = 0; i < _F_MAX; i++)
		cells[i] = *l->number[i] ? l->number[i] : l->text[i];
	return print(f, cells, _F_MAX);
}

static int print_sentence(FILE *f, const struct sw_event_view *v, bool utf8)
{
	_cleanup_free_ char *text = sw_event_sentence(v, utf8);

	if (!text)
		return -ENOMEM;
	fprintf(f, "%s\n", text);
	return 0;
}

int sw_event_show_head(FILE *f, enum sw_format format)
{
	return format == SW_FORMAT_CSV ? sw_csv_row(f, names, _F_MAX) : 0;
}

int sw_event_show(FILE *f, const struct sw_event_view *v, enum sw_format format, bool utf8)
{
	struct line l;

	if (format == SW_FORMAT_TABLE)
		return print_sentence(f, v, utf8);
	fill_line(v, &l);
	if (format == SW_FORMAT_JSON)
		return print_json(f, v, &l);
	return print_cells(f, &l, format == SW_FORMAT_CSV ? sw_csv_row : sw_tsv_row);
}
