/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Postfix: a message is one file of records: a type, a length in groups of seven bits, lowest
 * first, and the data (record(3), rec_type(3) of the Postfix sources). It moves by rename from
 * incoming to active, deferred and back; what sendmail hands in waits in maildrop as a file of the
 * UID that ran it; what is on hold lies in hold.
 */
#include <errno.h>
#include <string.h>

#include "queue_int.h"
#include "util.h"

#define WINDOW		(8U << 10)
#define MAX_RECORD	(1U << 20)	/* more is no record */
#define MAX_READ	(4U << 20)	/* of one message */
#define MAX_JUMPS	1000
#define MAX_HEADERS	500		/* records in which the script is looked for */

/* Record types that tell something here. */
enum {
	REC_SIZE = 'C', REC_TIME = 'T', REC_SENDER = 'S', REC_RECIPIENT = 'R', REC_DONE = 'D',
	REC_ATTRIBUTE = 'A', REC_POINTER = 'p', REC_MESSAGE = 'M', REC_LONG = 'L', REC_LINE = 'N',
	REC_EXTRACTED = 'X', REC_END = 'E',
};

struct reader {
	struct sw_queue_file *f;
	uint64_t at, budget;
	unsigned int jumps;
};

struct record {
	char type;
	const char *text;	/* its beginning, as far as it is in memory */
	size_t len;
};

struct parse {
	struct reader in;
	struct sw_queue_texts *t;
	struct sw_queue_message *m;
	bool maildrop;
	uint64_t data_size, data_start, recipients;	/* of the size record */
	bool sized, sender, client, local;
};

/* `want` bytes at the reading position, or what the file has. 0 or -errno. */
static int fill(struct reader *in, size_t want)
{
	struct sw_queue_file *f = in->f;

	if (in->at >= f->start && in->at + want <= f->start + f->len)
		return 0;
	if (in->budget < WINDOW)
		return -E2BIG;
	in->budget -= WINDOW;
	return sw_queue_read(f, in->at, WINDOW);
}

static size_t available(const struct reader *in)
{
	const struct sw_queue_file *f = in->f;

	return in->at >= f->start && in->at < f->start + f->len ? f->start + f->len - in->at : 0;
}

/* 0; -ENODATA: the file ends; -EBADMSG; -E2BIG: enough was read; -errno. */
static int next_record(struct reader *in, struct record *ret)
{
	const unsigned char *p;
	size_t len = 0, used = 1, left;
	int r = fill(in, 6);

	if (r < 0)
		return r;
	left = available(in);
	p = (const unsigned char *)in->f->buf + (in->at - in->f->start);
	for (;; used++) {
		if (used >= left)
			return -ENODATA;
		if (used > 4)
			return -EBADMSG;
		len |= (size_t)(p[used] & 0x7f) << (7 * (used - 1));
		if (!(p[used] & 0x80))
			break;
	}
	if (len > MAX_RECORD)
		return -EBADMSG;
	ret->type = (char)p[0];
	in->at += used + 1;
	r = fill(in, len < WINDOW ? len : WINDOW);
	if (r < 0)
		return r;
	left = available(in);
	ret->text = in->f->buf + (in->at - in->f->start);
	ret->len = len < left ? len : left;
	if (len > left && left < WINDOW)
		return -ENODATA;
	in->at += len;
	return 0;
}

/* A pointer record of 0 leads nowhere: it only keeps room for one that does. */
static int follow(struct reader *in, const struct record *rec)
{
	const char *text = rec->text, *end = text + rec->len;
	uint64_t to;

	while (text < end && *text == ' ')
		text++;
	if (!sw_queue_number(text, end, &to, &text))
		return -EBADMSG;
	if (!to)
		return 0;
	if (++in->jumps > MAX_JUMPS)
		return -E2BIG;
	in->at = to;
	return 0;
}

static int take_size(struct parse *p, const struct record *rec)
{
	const char *text = rec->text, *end = text + rec->len;
	uint64_t *const to[] = { &p->data_size, &p->data_start, &p->recipients };

	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		while (text < end && *text == ' ')
			text++;
		if (!sw_queue_number(text, end, to[i], &text))
			return -EBADMSG;
	}
	p->sized = true;
	return 0;
}

static void take_attribute(struct parse *p, const struct record *rec)
{
	static const char auth[] = "sasl_username=", client[] = "client_address=",
		local[] = "log_message_origin=local";
	char address[64];

	if (p->maildrop)
		return;
	if (rec->len > strlen(auth) && !strncmp(rec->text, auth, strlen(auth))) {
		sw_queue_copy(p->t->auth, rec->text + strlen(auth), rec->len - strlen(auth));
		p->m->auth = p->t->auth;
	} else if (rec->len > strlen(client) && !strncmp(rec->text, client, strlen(client))) {
		snprintf(address, sizeof(address), "%.*s", (int)(rec->len - strlen(client)),
			 rec->text + strlen(client));
		p->client = true;
		p->m->via = sw_queue_is_loopback(address) ? SW_QUEUE_LOCAL : SW_QUEUE_REMOTE;
	} else if (rec->len == strlen(local) && !strncmp(rec->text, local, rec->len)) {
		p->local = true;
	}
}

static void take_recipient(struct parse *p, const struct record *rec)
{
	if (p->m->recipients++)
		return;
	sw_queue_copy(p->t->recipient, rec->text, rec->len);
	p->m->recipient = p->t->recipient;
}

static int take_envelope(struct parse *p, const struct record *rec)
{
	const char *end;
	uint64_t n;

	switch (rec->type) {
	case REC_SIZE:
		return take_size(p, rec);
	case REC_TIME:
		if (sw_queue_number(rec->text, rec->text + rec->len, &n, &end) && n < INT32_MAX * 64ULL)
			p->m->received = (time_t)n;
		return 0;
	case REC_SENDER:
		sw_queue_copy(p->t->sender, rec->text, rec->len);
		p->m->sender = p->t->sender;
		p->sender = true;
		return 0;
	case REC_RECIPIENT:
		take_recipient(p, rec);
		return 0;
	case REC_ATTRIBUTE:
		take_attribute(p, rec);
		return 0;
	case REC_POINTER:
		return follow(&p->in, rec);
	default:
		return 0;
	}
}

/* Records up to one of `type`; up to the end as well where `or_end`. */
static int read_envelope(struct parse *p, char type)
{
	struct record rec;
	int r;

	for (;;) {
		r = next_record(&p->in, &rec);
		if (r < 0)
			return r;
		if (rec.type == type)
			return 0;
		if (rec.type == REC_END || rec.type == REC_MESSAGE || rec.type == REC_EXTRACTED)
			return -EBADMSG;
		r = take_envelope(p, &rec);
		if (r < 0)
			return r;
	}
}

/* "Received: by host (Postfix, from userid 1001)", which pickup puts in front of everything. */
static void take_userid(struct parse *p, const char *line, size_t len)
{
	static const char word[] = "(Postfix, from userid ";
	const char *at = memmem(line, len, word, strlen(word)), *end;
	uint64_t n;

	if (!at || p->client || p->maildrop)
		return;
	at += strlen(word);
	if (!sw_queue_number(at, line + len, &n, &end) || end == line + len || *end != ')' ||
	    n >= UINT32_MAX)
		return;
	p->m->uid = (uint32_t)n;
	p->m->via = SW_QUEUE_SENDMAIL;
}

/* The header of the message, until what it is read for was found. */
static int read_header(struct parse *p)
{
	static const char received[] = "Received:";
	bool whole = true, saw_received = false;
	struct record rec;
	size_t len;
	int r;

	for (int i = 0; i < MAX_HEADERS; i++) {
		const char *value;

		r = next_record(&p->in, &rec);
		if (r < 0)
			return r == -E2BIG ? 0 : r;
		if (rec.type == REC_POINTER) {
			r = follow(&p->in, &rec);
			if (r < 0)
				return r == -E2BIG ? 0 : r;
			continue;
		}
		if (rec.type == REC_EXTRACTED || rec.type == REC_END) {
			p->in.at -= rec.len + 2;	/* its length is one byte */
			return 0;
		}
		if ((rec.type != REC_LINE && rec.type != REC_LONG) || !whole) {
			whole = rec.type != REC_LONG;
			continue;
		}
		whole = rec.type == REC_LINE;
		if (!rec.len)
			return 0;
		if (!saw_received && rec.len > strlen(received) &&
		    !strncasecmp(rec.text, received, strlen(received))) {
			saw_received = true;
			take_userid(p, rec.text, rec.len);
		}
		if (!p->m->script && sw_queue_script_header(rec.text, rec.len, &value, &len)) {
			sw_queue_copy(p->t->script, value, len);
			p->m->script = p->t->script;
		}
	}
	return 0;
}

/* Where sendmail -t took the recipients from the header they stand behind the message. */
static int read_extracted(struct parse *p)
{
	struct record rec;
	int r = 0;

	if (p->sized) {
		p->in.at = p->data_start + p->data_size;
		r = next_record(&p->in, &rec);
		if (r < 0 || rec.type != REC_EXTRACTED)
			return r == -ENODATA ? r : 0;
	} else {
		do {
			r = next_record(&p->in, &rec);
			if (!r && rec.type == REC_POINTER)
				r = follow(&p->in, &rec);
		} while (!r && rec.type != REC_EXTRACTED && rec.type != REC_END);
		if (r < 0 || rec.type == REC_END)
			return r;
	}
	return read_envelope(p, REC_END);
}

static int parse(struct parse *p)
{
	int r = read_envelope(p, REC_MESSAGE);

	/* Of very many recipients the size record says how many there were. */
	if (r == -E2BIG && p->sized && p->sender) {
		p->m->recipients = p->recipients;
		return 0;
	}
	if (r < 0)
		return r;
	if (!p->sender)
		return -EBADMSG;
	r = read_header(p);
	if (r < 0)
		return r;
	if (p->m->recipients && p->sized && p->m->recipients == p->recipients)
		return 0;
	r = read_extracted(p);
	if (r != -E2BIG)
		return r;
	if (p->sized)
		p->m->recipients = p->recipients;
	return 0;
}

int sw_queue_postfix_parse(struct sw_queue_file *f, bool maildrop, struct sw_queue_texts *texts,
			   struct sw_queue_message *ret)
{
	struct sw_queue_message m = *ret;
	struct parse p = {
		.in = { .f = f, .budget = MAX_READ },
		.t = texts, .m = &m, .maildrop = maildrop,
	};
	int r;

	f->len = 0;
	r = parse(&p);
	if (r < 0)
		return r == -E2BIG ? -EBADMSG : r;
	if (m.auth)
		m.via = SW_QUEUE_AUTH;
	else if (p.local && m.via == SW_QUEUE_VIA_UNKNOWN)
		m.via = SW_QUEUE_SERVER;
	*ret = m;
	return 0;
}

/* ---- The spool ---- */

static void take_name(struct sw_queue_work *w, int dir, const struct dirent *e)
{
	static const char id[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	struct sw_queue_message m = { .id = e->d_name, .uid = SW_UID_NONE };
	bool maildrop = !strcmp(w->queue, "maildrop");
	struct sw_queue_texts texts;
	size_t len = strlen(e->d_name);
	int r;

	if (len < 5 || len > 31 || strspn(e->d_name, id) != len) {
		w->spool->strange++;
		return;
	}
	/* It may have moved on meanwhile. */
	if (sw_queue_seen(w, e->d_ino) || !sw_queue_open(w, dir, e->d_name, e->d_type, &w->file))
		return;
	m.size = (uint64_t)w->file.st.st_size;
	m.received = w->file.st.st_mtime;
	m.frozen = !strcmp(w->queue, "hold");
	if (maildrop) {
		m.uid = w->file.st.st_uid;
		m.via = SW_QUEUE_SENDMAIL;
	}
	/* Not before it is complete may others run it, so to speak. */
	r = w->file.st.st_mode & S_IXUSR ?
		sw_queue_postfix_parse(&w->file, maildrop, &texts, &m) : -ENODATA;
	if (r == 0)
		sw_queue_take(w, &m);
	else if (r == -ENOMEM)
		w->error = r;
	else if (r == -ENODATA || r == -EBADMSG)
		w->spool->incomplete++;
	else
		w->spool->unreadable++;
	sw_queue_close(&w->file);
}

void sw_queue_postfix_scan(struct sw_queue_work *w, int dir)
{
	/* In the order in which messages move on; and active again for those that moved back. */
	static const char *const queues[] = {
		"maildrop", "incoming", "active", "deferred", "hold", "active",
	};

	for (size_t i = 0; i < ARRAY_SIZE(queues) && !w->error; i++) {
		w->queue = queues[i];
		sw_queue_walk(w, dir, queues[i], 4, take_name);
	}
}
