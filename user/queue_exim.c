/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Exim: input/ID-H holds envelope and header, ID-D the body, ID-J what was delivered since -H was
 * written; with split_spool_directory they lie in directories named by one character of the id.
 * The format: chapter "Format of spool files" of the Exim specification, with the "--" before
 * values of foreign origin since 4.94, and the longer ids since 4.97.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "queue_int.h"
#include "util.h"

#define HEAD_FIRST	(16U << 10)	/* nearly always all of it */
#define HEAD_MAX	(4U << 20)	/* about 100,000 recipients */
#define MAX_DONE	(1U << 20)

/* What is left of a file in memory. */
struct cursor {
	char *at, *end;
};

struct list {
	const char **item;
	size_t n, room;
};

/* The next line, without its end, which becomes a NUL; NULL: there is no whole one. */
static char *next_line(struct cursor *c)
{
	char *line = c->at;
	char *end = memchr(line, '\n', (size_t)(c->end - line));

	if (!end)
		return NULL;
	*end = '\0';
	c->at = end + 1;
	return line;
}

static int add(struct list *l, const char *text)
{
	if (l->n == l->room) {
		size_t room = l->room ? 2 * l->room : 64;
		const char **more = l->n < MAX_DONE ?
			reallocarray(l->item, room, sizeof(*more)) : NULL;

		if (!more)
			return -ENOMEM;
		l->item = more;
		l->room = room;
	}
	l->item[l->n++] = text;
	return 0;
}

static int compare_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* "login uid gid" */
static int parse_submitter(const char *line, struct sw_queue_message *m)
{
	const char *gid = strrchr(line, ' '), *uid = gid, *end;
	uint64_t n;

	while (uid && uid > line && uid[-1] != ' ')
		uid--;
	if (!gid || uid == line || !sw_queue_number(uid, gid, &n, &end) || end != gid ||
	    n >= UINT32_MAX)
		return -EBADMSG;
	m->uid = (uint32_t)n;
	return 0;
}

static int parse_sender(const char *line, struct sw_queue_texts *t, struct sw_queue_message *m)
{
	size_t len = strlen(line);

	if (len < 2 || line[0] != '<' || line[len - 1] != '>')
		return -EBADMSG;
	sw_queue_copy(t->sender, line + 1, len - 2);
	m->sender = t->sender;
	return 0;
}

static int parse_time(const char *line, struct sw_queue_message *m)
{
	const char *end;
	uint64_t n;

	if (!sw_queue_number(line, line + strlen(line), &n, &end) || *end != ' ' || n > INT32_MAX * 64ULL)
		return -EBADMSG;
	m->received = (time_t)n;
	return 0;
}

/* The value of variable "-aclc NAME LENGTH": as many bytes, whatever is in them, and a newline. */
static int skip_variable(struct cursor *c, const char *line)
{
	const char *length = strrchr(line, ' '), *end;
	uint64_t n;

	if (!length || !sw_queue_number(length + 1, length + strlen(length), &n, &end) || *end)
		return -EBADMSG;
	if (n >= (uint64_t)(c->end - c->at))
		return -ENODATA;
	c->at += n + 1;
	return 0;
}

/* What follows `name` and a blank in `line`; NULL: it is another one. */
static const char *value_of(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncmp(line, name, len) != 0 || (line[len] && line[len] != ' '))
		return NULL;
	return line[len] ? line + len + 1 : line + len;
}

/* What the options say of where a message came from. */
struct origin {
	const char *address, *auth;
	bool local_error;
};

static int parse_option(struct cursor *c, const char *line, struct origin *o,
			struct sw_queue_message *m)
{
	const char *value;

	line += 1 + (line[1] == '-');
	if (*line == '(' && strchr(line, ')'))	/* how a value is quoted */
		line = strchr(line, ')') + 1;
	if (!strncmp(line, "acl ", 4) || !strncmp(line, "aclc ", 5) || !strncmp(line, "aclm ", 5))
		return skip_variable(c, line);
	if ((value = value_of(line, "host_address")))
		o->address = value;
	else if ((value = value_of(line, "auth_id")))
		o->auth = value;
	else if (value_of(line, "frozen"))
		m->frozen = true;
	else if (value_of(line, "localerror"))
		o->local_error = true;
	return 0;
}

/* Without a client's address the id is the login of whoever ran exim. */
static void settle_origin(const struct origin *o, struct sw_queue_texts *t,
			  struct sw_queue_message *m)
{
	if (!o->address) {
		m->via = o->local_error ? SW_QUEUE_SERVER : SW_QUEUE_SENDMAIL;
		return;
	}
	m->uid = SW_UID_NONE;
	m->via = sw_queue_is_loopback(o->address) ? SW_QUEUE_LOCAL : SW_QUEUE_REMOTE;
	if (!o->auth || !*o->auth)
		return;
	m->via = SW_QUEUE_AUTH;
	sw_queue_copy(t->auth, o->auth, strlen(o->auth));
	m->auth = t->auth;
}

/* A binary tree, each node before what hangs on its left and on its right. */
static int parse_tree(struct cursor *c, const char *line, struct list *done)
{
	uint64_t waiting = 1;

	if (!strcmp(line, "XX"))
		return 0;
	do {
		if ((line[0] != 'Y' && line[0] != 'N') || (line[1] != 'Y' && line[1] != 'N') ||
		    line[2] != ' ')
			return -EBADMSG;
		waiting += (uint64_t)(line[0] == 'Y') + (line[1] == 'Y');
		if (add(done, line + 3) < 0)
			return -ENOMEM;
	} while (--waiting && (line = next_line(c)));
	return waiting ? -ENODATA : 0;
}

/* Cuts off what may stand behind an address: parent, error address and flags, after a blank. */
static void end_address(char *line)
{
	char *at = line;

	if (*at == '"')
		for (at++; *at && *at != '"'; at++)
			at += *at == '\\' && at[1];
	at[strcspn(at, " ")] = '\0';
}

static int parse_recipients(struct cursor *c, bool cut, const struct list *done,
			    struct sw_queue_texts *t, struct sw_queue_message *m)
{
	char *line = next_line(c);
	const char *end, *key;
	uint64_t n;

	if (!line)
		return -ENODATA;
	if (!sw_queue_number(line, line + strlen(line), &n, &end) || *end || n > MAX_DONE)
		return -EBADMSG;
	for (uint64_t i = 0; i < n; i++) {
		line = next_line(c);
		if (!line && !cut)
			return -ENODATA;
		if (!line) {	/* more than are read: it says itself how many */
			m->recipients += n - i;
			return 0;
		}
		end_address(line);
		key = line;
		if (done->n && bsearch(&key, done->item, done->n, sizeof(key), compare_text))
			continue;
		if (!m->recipients++) {
			sw_queue_copy(t->recipient, line, strlen(line));
			m->recipient = t->recipient;
		}
	}
	return 0;
}

/* "029T To: ...": length, type, a blank, and so many bytes; a "*" is a line that was removed. */
static void parse_headers(struct cursor *c, struct sw_queue_texts *t, struct sw_queue_message *m)
{
	const char *end, *value;
	uint64_t n;
	size_t len;

	if (c->at < c->end && *c->at == '\n')
		c->at++;
	while (c->at < c->end && sw_queue_number(c->at, c->end, &n, &end) && c->end - end > 2) {
		const char *text = end + 2;
		size_t left = (size_t)(c->end - text);

		len = n < left ? (size_t)n : left;
		if (*end != '*' && sw_queue_script_header(text, len, &value, &len)) {
			sw_queue_copy(t->script, value, len);
			m->script = t->script;
			return;
		}
		if (n >= left)
			return;
		c->at += text - c->at + (ptrdiff_t)n;
	}
}

static int parse_envelope(struct cursor *c, bool cut, struct list *done, struct sw_queue_texts *t,
			  struct sw_queue_message *m)
{
	char *name = next_line(c), *submitter = name ? next_line(c) : NULL;
	char *sender = submitter ? next_line(c) : NULL, *when = sender ? next_line(c) : NULL;
	struct origin o = {};
	char *line;
	int r;

	if (name && (strlen(name) < 2 || strcmp(name + strlen(name) - 2, "-H") != 0))
		return -EBADMSG;
	if (!when)
		return -ENODATA;
	r = parse_submitter(submitter, m) ?: parse_sender(sender, t, m) ?: parse_time(when, m);
	while (!r && (line = next_line(c)) && *line == '-')
		r = parse_option(c, line, &o, m);
	if (r)
		return r;
	if (!line)
		return -ENODATA;
	settle_origin(&o, t, m);
	r = parse_tree(c, line, done);
	if (r)
		return r;
	if (done->n)
		qsort(done->item, done->n, sizeof(*done->item), compare_text);
	return parse_recipients(c, cut, done, t, m);
}

/* With the first `len` bytes of the file. */
static int parse_head(struct sw_queue_file *f, size_t len, struct sw_queue_file *journal,
		      struct sw_queue_texts *texts, struct sw_queue_message *m)
{
	struct list done = {};
	struct cursor c;
	char *line;
	int r = sw_queue_read(f, 0, len);

	if (!r && journal)
		r = sw_queue_read(journal, 0, HEAD_MAX);
	if (!r && journal) {
		c = (struct cursor){ journal->buf, journal->buf + journal->len };
		while (!r && (line = next_line(&c)))
			r = add(&done, line);
	}
	if (!r) {
		c = (struct cursor){ f->buf, f->buf + f->len };
		r = parse_envelope(&c, f->len == HEAD_MAX, &done, texts, m);
	}
	if (!r)
		parse_headers(&c, texts, m);
	free(done.item);
	return r;
}

int sw_queue_exim_parse(struct sw_queue_file *f, struct sw_queue_file *journal,
			struct sw_queue_texts *texts, struct sw_queue_message *ret)
{
	struct sw_queue_message m = *ret;
	int r = parse_head(f, HEAD_FIRST, journal, texts, &m);

	if (r == -ENODATA && f->len == HEAD_FIRST) {
		m = *ret;
		r = parse_head(f, HEAD_MAX, journal, texts, &m);
	}
	if (!r)
		*ret = m;
	return r;
}

/* ---- The spool ---- */

/* ID-H, ID-D or ID-J, with an id of 6-6-2 or 6-11-4 letters and digits. */
static bool is_name(const char *name, size_t len)
{
	static const char id[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	size_t middle = len == 18 ? 6 : 11;

	return (len == 18 || len == 25) && strspn(name, id) == 6 && name[6] == '-' &&
	       strspn(name + 7, id) == middle && name[7 + middle] == '-' &&
	       strspn(name + 8 + middle, id) == len - 10 - middle && name[len - 2] == '-';
}

/* What else Exim keeps there for a moment. */
static bool is_passing(const char *name)
{
	return !strncmp(name, "hdr.", 4) || !strncmp(name, "msg.", 4) || strchr(name, '.');
}

static void take_message(struct sw_queue_work *w, int dir, char *name, size_t len,
			 unsigned char type)
{
	struct sw_queue_message m = { .uid = SW_UID_NONE };
	struct sw_queue_file *journal = NULL;
	struct sw_queue_texts texts;
	struct stat body;
	int r;

	if (!sw_queue_open(w, dir, name, type, &w->file))
		return;
	name[len - 1] = 'D';
	r = fstatat(dir, name, &body, AT_SYMLINK_NOFOLLOW);
	w->heads += r == 0;
	m.size = (uint64_t)w->file.st.st_size + (r == 0 ? (uint64_t)body.st_size : 0);
	name[len - 1] = 'J';
	w->other.fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (w->other.fd >= 0 && fstat(w->other.fd, &w->other.st) == 0 &&
	    S_ISREG(w->other.st.st_mode))
		journal = &w->other;
	if (r == 0)
		r = sw_queue_exim_parse(&w->file, journal, &texts, &m);
	else
		r = -ENODATA;
	name[len - 2] = '\0';
	m.id = name;
	if (r == 0)
		sw_queue_take(w, &m);
	else if (r == -ENOMEM)
		w->error = r;
	else if (r == -ENODATA || r == -EBADMSG)
		w->spool->incomplete++;
	else
		w->spool->unreadable++;
	sw_queue_close(&w->file);
	sw_queue_close(&w->other);
}

static void take_name(struct sw_queue_work *w, int dir, const struct dirent *e)
{
	size_t len = strlen(e->d_name);
	char name[32];

	if (!is_name(e->d_name, len)) {
		w->spool->strange += !is_passing(e->d_name);
		return;
	}
	memcpy(name, e->d_name, len + 1);
	if (name[len - 1] == 'H')
		take_message(w, dir, name, len, e->d_type);
	else if (name[len - 1] == 'D')
		w->bodies++;
}

void sw_queue_exim_scan(struct sw_queue_work *w, int dir)
{
	sw_queue_walk(w, dir, "input", 1, take_name);
	/* The body is written first. */
	if (w->bodies > w->heads && !w->count_only)
		w->spool->incomplete += w->bodies - w->heads;
}
