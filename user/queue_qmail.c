/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * qmail: mess/N/ID is the message, whose first line qmail-queue wrote; todo/ID its envelope until
 * qmail-send has taken it apart into info/N/ID (sender), local/N/ID and remote/N/ID (recipients,
 * "T" waiting and "D" done), where N is ID modulo the number of directories. The format: INTERNALS
 * and qmail-queue(8) of qmail 1.03; with the big-todo patch todo is split likewise.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "queue_int.h"
#include "util.h"

#define HEAD_MAX	(16U << 10)	/* of a message */
#define ENVELOPE_MAX	(4U << 20)

/* ---- Files ---- */

/* The next record of an envelope: a letter and a text that ends with NUL. 0: there are no more;
 * -ENODATA: its end is missing. */
static int next_field(const struct sw_queue_file *f, size_t *at, const char **ret)
{
	const char *end;

	if (*at >= f->len)
		return 0;
	*ret = f->buf + *at;
	end = memchr(*ret, '\0', f->len - *at);
	if (!end)
		return -ENODATA;
	*at += (size_t)(end - *ret) + 1;
	return 1;
}

int sw_queue_qmail_parse_envelope(struct sw_queue_file *f, struct sw_queue_texts *texts,
				  struct sw_queue_message *ret)
{
	struct sw_queue_message m = *ret;
	const char *field = "";
	size_t at = 0;
	int r = sw_queue_read(f, 0, ENVELOPE_MAX);

	if (r < 0)
		return r;
	while ((r = next_field(f, &at, &field)) > 0) {
		switch (*field) {
		case 'F':
			/* "#@[]": the sender of bounces of bounces */
			sw_queue_copy(texts->sender, field + 1, strcmp(field, "F#@[]") == 0 ? 0 :
				      strlen(field + 1));
			m.sender = texts->sender;
			break;
		case 'T':
			if (!m.recipients++) {
				sw_queue_copy(texts->recipient, field + 1, strlen(field + 1));
				m.recipient = texts->recipient;
			}
			break;
		case 'D':
		case 'u':
		case 'p':
			break;
		default:
			return -EBADMSG;
		}
	}
	if (r < 0 && f->len < ENVELOPE_MAX)
		return r;
	*ret = m;
	return 0;
}

/* "Received: (qmail 123 invoked by uid 1001); date": qmail-queue puts it in front. */
static bool take_invocation(const char *line, size_t len, struct sw_queue_message *m)
{
	static const char word[] = " invoked ", uid[] = "by uid ", network[] = "from network)",
		bounce[] = "for bounce)";
	const char *at = memmem(line, len, word, strlen(word)), *end;
	size_t left;
	uint64_t n;

	if (len < 17 || strncmp(line, "Received: (qmail ", 17) != 0 || !at)
		return false;
	at += strlen(word);
	left = len - (size_t)(at - line);
	if (left > strlen(uid) && !strncmp(at, uid, strlen(uid)) &&
	    sw_queue_number(at + strlen(uid), line + len, &n, &end) && n < UINT32_MAX) {
		m->uid = (uint32_t)n;
		m->via = SW_QUEUE_SENDMAIL;
	} else if (left >= strlen(network) && !strncmp(at, network, strlen(network))) {
		m->via = SW_QUEUE_REMOTE;
	} else if (left >= strlen(bounce) && !strncmp(at, bounce, strlen(bounce))) {
		m->via = SW_QUEUE_SERVER;
	}
	return true;
}

/* "Received: from name (HELO x) (info@shop.example@203.0.113.9)" and on the next line "  by host
 * with ESMTPA": which qmail-smtpd puts in front where mail came from the network. What the client
 * says of itself has no parentheses and no blanks there. */
static void take_client(const char *line, size_t len, struct sw_queue_texts *t,
			struct sw_queue_message *m)
{
	const char *by = memmem(line, len, ")\n  by ", 7) ?: memmem(line, len, ") by ", 5);
	const char *open = by, *at;
	char client[SW_QUEUE_TEXT_MAX + 1];

	while (open && open > line && *open != '(')
		open--;
	if (strncmp(line, "Received: from ", len < 15 ? len : 15) != 0 || !open || *open != '(')
		return;
	sw_queue_copy(client, open + 1, (size_t)(by - open - 1));
	at = strrchr(client, '@');
	if (sw_queue_is_loopback(at ? at + 1 : client))
		m->via = SW_QUEUE_LOCAL;
	if (!at || at == client || !memmem(by, (size_t)(line + len - by), "SMTPA", 5))
		return;
	m->via = SW_QUEUE_AUTH;
	sw_queue_copy(t->auth, client, (size_t)(at - client));
	m->auth = t->auth;
}

int sw_queue_qmail_parse_message(struct sw_queue_file *f, struct sw_queue_texts *texts,
				 struct sw_queue_message *ret)
{
	struct sw_queue_message m = *ret;
	int r = sw_queue_read(f, 0, HEAD_MAX), number = 0;

	if (r < 0)
		return r;
	for (const char *line = f->buf, *end = line + f->len; line < end; number++) {
		const char *stop = memchr(line, '\n', (size_t)(end - line)), *value;
		size_t len;

		while (number == 1 && stop && stop + 1 < end && strchr(" \t", stop[1]) && stop[1])
			stop = memchr(stop + 1, '\n', (size_t)(end - stop - 1));
		len = (size_t)((stop ? stop : end) - line);
		if (!len)
			break;
		if (number == 0)
			take_invocation(line, len, &m);
		else if (number == 1 && m.via == SW_QUEUE_REMOTE)
			take_client(line, len, texts, &m);
		if (!m.script && sw_queue_script_header(line, len, &value, &len)) {
			sw_queue_copy(texts->script, value, len);
			m.script = texts->script;
		}
		line = stop ? stop + 1 : end;
	}
	*ret = m;
	return 0;
}

/* ---- The spool ---- */

/* Opens DIRECTORY/N/NAME, N as for the number; 0 or -errno. */
static int open_part(struct sw_queue_work *w, const char *directory, const char *name,
		     struct sw_queue_file *f)
{
	char path[64];
	struct stat st;
	int fd = -1, r = -ENOENT;

	if (w->split) {
		snprintf(path, sizeof(path), "%s/%llu", directory,
			 strtoull(name, NULL, 10) % (unsigned long long)w->split);
		fd = openat(w->root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = fd < 0 ? -errno : 0;
	}
	if (fd < 0)
		return r;
	f->len = 0;
	/* Links and devices are no messages: looked at before they are opened. */
	if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	else if (!S_ISREG(st.st_mode))
		r = -ELOOP;
	else
		f->fd = openat(fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (!r && (f->fd < 0 || fstat(f->fd, &f->st) < 0))
		r = -errno;
	close(fd);
	return r;
}

/* What mess says; without it there is no message. */
static int read_message(struct sw_queue_work *w, const char *name, struct sw_queue_texts *texts,
			struct sw_queue_message *m)
{
	int r = open_part(w, "mess", name, &w->other);

	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	m->size = (uint64_t)w->other.st.st_size;
	if (!m->received)
		m->received = w->other.st.st_mtime;
	r = sw_queue_qmail_parse_message(&w->other, texts, m);
	sw_queue_close(&w->other);
	return r;
}

/* Adds the recipients in local or remote; none there is good. */
static int read_recipients(struct sw_queue_work *w, const char *directory, const char *name,
			   struct sw_queue_texts *texts, struct sw_queue_message *m)
{
	int r = open_part(w, directory, name, &w->other);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	r = sw_queue_qmail_parse_envelope(&w->other, texts, m);
	sw_queue_close(&w->other);
	return r;
}

static void finish(struct sw_queue_work *w, int r, const struct sw_queue_message *m)
{
	if (!r && !m->sender)
		r = -EBADMSG;
	if (r == 0)
		sw_queue_take(w, m);
	else if (r == -ENOMEM)
		w->error = r;
	else if (r == -ENODATA || r == -EBADMSG)
		w->spool->incomplete++;
	else
		w->spool->unreadable++;
}

static void take_name(struct sw_queue_work *w, int dir, const struct dirent *e)
{
	struct sw_queue_message m = { .id = e->d_name, .uid = SW_UID_NONE };
	bool preprocessed = !strcmp(w->queue, "info");
	struct sw_queue_texts texts;
	const char *end;
	uint64_t id;
	int r;

	if (!sw_queue_number(e->d_name, e->d_name + strlen(e->d_name), &id, &end) || *end) {
		w->spool->strange++;
		return;
	}
	/* A message is in todo and in intd until info is complete. */
	if (sw_queue_seen(w, id))
		return;
	if (!strcmp(w->queue, "intd")) {
		w->spool->incomplete += !w->count_only;
		return;
	}
	if (!sw_queue_open(w, dir, e->d_name, e->d_type, &w->file))
		return;
	m.received = w->file.st.st_mtime;
	r = sw_queue_qmail_parse_envelope(&w->file, &texts, &m);
	sw_queue_close(&w->file);
	if (!r && preprocessed)
		r = read_recipients(w, "local", e->d_name, &texts, &m) ?:
		    read_recipients(w, "remote", e->d_name, &texts, &m);
	if (!r)
		r = read_message(w, e->d_name, &texts, &m);
	finish(w, r, &m);
}

/* How many directories mess has. */
static uint64_t count_directories(int dir)
{
	int fd = openat(dir, "mess", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	uint64_t n = 0;

	if (!d) {
		sw_closep(&fd);
		return 0;
	}
	while ((e = readdir(d)))
		n += strspn(e->d_name, "0123456789") == strlen(e->d_name);
	closedir(d);
	return n;
}

void sw_queue_qmail_scan(struct sw_queue_work *w, int dir)
{
	static const char *const queues[] = { "todo", "info", "intd" };

	w->root = dir;
	w->split = count_directories(dir);
	for (size_t i = 0; i < ARRAY_SIZE(queues) && !w->error; i++) {
		w->queue = queues[i];
		sw_queue_walk(w, dir, queues[i], 1, take_name);
	}
}
