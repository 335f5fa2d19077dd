/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "ask.h"
#include "queue_int.h"
#include "util.h"

#define ASK_TIMEOUT_MS	5000
#define SEEN_MAX	(1U << 21)	/* 16 MiB; beyond that a message that moves counts twice */

const char *const sw_queue_mta_names[_SW_QUEUE_MTA_MAX] = {
	[SW_QUEUE_EXIM] = "exim", [SW_QUEUE_POSTFIX] = "postfix", [SW_QUEUE_QMAIL] = "qmail",
};

const char *const sw_queue_via_names[_SW_QUEUE_VIA_MAX] = {
	[SW_QUEUE_SENDMAIL] = "sendmail", [SW_QUEUE_LOCAL] = "local", [SW_QUEUE_AUTH] = "auth",
	[SW_QUEUE_REMOTE] = "remote", [SW_QUEUE_SERVER] = "server",
};

static const struct server {
	const char *binary[3], *argument[3];	/* who knows where the spool is, and how to ask */
	const char *label;			/* what precedes the answer */
	const char *spool[3];			/* where it is otherwise */
	const char *mark[3];			/* directories by which a spool is known */
	void (*scan)(struct sw_queue_work *w, int dir);
} servers[_SW_QUEUE_MTA_MAX] = {
	[SW_QUEUE_EXIM] = {
		.binary = { "/usr/sbin/exim4", "/usr/sbin/exim" },
		.argument = { "-bP", "spool_directory" },
		.label = "spool_directory = ",
		.spool = { "/var/spool/exim4", "/var/spool/exim" },
		.mark = { "input" },
		.scan = sw_queue_exim_scan,
	},
	[SW_QUEUE_POSTFIX] = {
		.binary = { "/usr/sbin/postconf" },
		.argument = { "-h", "queue_directory" },
		.label = "",
		.spool = { "/var/spool/postfix" },
		.mark = { "maildrop", "incoming", "deferred" },
		.scan = sw_queue_postfix_scan,
	},
	[SW_QUEUE_QMAIL] = {
		.spool = { "/var/qmail/queue", "/var/lib/qmail/queue" },
		.mark = { "mess", "info", "todo" },
		.scan = sw_queue_qmail_scan,
	},
};

/* ---- Files ---- */

static void count_failure(struct sw_queue_work *w, int error)
{
	if (error == ENOENT)
		w->spool->vanished++;
	else if (error == ELOOP || error == ENXIO)
		w->spool->strange++;
	else
		w->spool->unreadable++;
}

bool sw_queue_open(struct sw_queue_work *w, int dir, const char *name, unsigned char type,
		   struct sw_queue_file *f)
{
	/* Only a plain file may be opened at all: with devices that alone does something. */
	if (type != DT_REG) {
		w->spool->strange++;
		return false;
	}
	if (w->count_only) {
		w->spool->sum.messages++;
		return false;
	}
	f->len = 0;
	f->fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (f->fd >= 0 && fstat(f->fd, &f->st) == 0 && S_ISREG(f->st.st_mode))
		return true;
	if (f->fd < 0)
		count_failure(w, errno);
	else
		w->spool->strange++;
	sw_queue_close(f);
	return false;
}

void sw_queue_close(struct sw_queue_file *f)
{
	if (f->fd >= 0)
		close(f->fd);
	f->fd = -1;
}

int sw_queue_read(struct sw_queue_file *f, uint64_t start, size_t len)
{
	size_t used = 0;

	if (f->st.st_size >= 0 && start + len > (uint64_t)f->st.st_size)
		len = start < (uint64_t)f->st.st_size ? (size_t)((uint64_t)f->st.st_size - start) : 0;
	if (len + 1 > f->room) {
		char *more = realloc(f->buf, len + 1);

		if (!more)
			return -ENOMEM;
		f->buf = more;
		f->room = len + 1;
	}
	while (used < len) {
		ssize_t n = pread(f->fd, f->buf + used, len - used, (off_t)(start + used));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		used += (size_t)n;
	}
	f->buf[used] = '\0';
	f->start = start;
	f->len = used;
	return 0;
}

/* ---- Directories ---- */

static bool goes_below(const char *name)
{
	return !name[1] || strspn(name, "0123456789") == strlen(name);
}

static unsigned char type_of(int dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type;
	if (fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return DT_REG;	/* gone: the open will tell */
	return IFTODT(st.st_mode);
}

void sw_queue_walk(struct sw_queue_work *w, int dir, const char *name, int below,
		   void (*fn)(struct sw_queue_work *w, int dir, const struct dirent *e))
{
	int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		if (fd >= 0)
			close(fd);
		else if (errno != ENOENT)
			count_failure(w, errno == ENOTDIR ? ELOOP : errno);
		return;
	}
	while (!w->error && (e = readdir(d))) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		e->d_type = type_of(fd, e);
		if (e->d_type == DT_DIR && below && goes_below(e->d_name))
			sw_queue_walk(w, fd, e->d_name, below - 1, fn);
		else
			fn(w, fd, e);
	}
	closedir(d);
}

/* ---- What was seen already ---- */

static uint64_t mix(uint64_t n)
{
	n ^= n >> 33;
	n *= 0xff51afd7ed558ccdULL;
	return n ^ n >> 33;
}

static bool put_seen(uint64_t *set, size_t room, uint64_t number)
{
	size_t at = mix(number) & (room - 1);

	for (; set[at]; at = (at + 1) & (room - 1))
		if (set[at] == number + 1)
			return false;
	set[at] = number + 1;
	return true;
}

bool sw_queue_seen(struct sw_queue_work *w, uint64_t number)
{
	if (2 * w->n_seen >= w->seen_room && w->seen_room < SEEN_MAX) {
		size_t room = w->seen_room ? 4 * w->seen_room : 1024;
		uint64_t *more = calloc(room, sizeof(*more));

		if (!more) {
			w->error = -ENOMEM;
			return true;
		}
		for (size_t i = 0; i < w->seen_room; i++)
			if (w->seen[i])
				put_seen(more, room, w->seen[i] - 1);
		free(w->seen);
		w->seen = more;
		w->seen_room = room;
	}
	if (2 * w->n_seen >= w->seen_room)
		return false;
	if (!put_seen(w->seen, w->seen_room, number))
		return true;
	w->n_seen++;
	return false;
}

void sw_queue_forget(struct sw_queue_work *w)
{
	free(w->seen);
	w->seen = NULL;
	w->n_seen = w->seen_room = 0;
}

/* ---- Spools ---- */

static int open_spool(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static bool is_spool_of(int dir, const struct server *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->mark) && s->mark[i]; i++) {
		struct stat st;

		if (fstatat(dir, s->mark[i], &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(st.st_mode))
			return false;
	}
	return true;
}

/* Where the mail server says that its spool is; malloc'd. NULL: it is not there, or silent. */
static char *ask(const struct server *s)
{
	for (size_t i = 0; i < ARRAY_SIZE(s->binary) && s->binary[i]; i++) {
		const char *argv[] = { s->binary[i], s->argument[0], s->argument[1], NULL };
		_cleanup_free_ char *text = NULL;

		if (sw_ask(argv, ASK_TIMEOUT_MS, PATH_MAX, &text) < 0)
			continue;
		text[strcspn(text, "\r\n")] = '\0';
		if (!strncmp(text, s->label, strlen(s->label)) && text[strlen(s->label)] == '/')
			return strdup(text + strlen(s->label));
	}
	return NULL;
}

static int scan_spool(struct sw_queue_work *w, enum sw_queue_mta mta, const char *path, int dir)
{
	struct sw_queue *q = w->q;
	struct sw_queue_spool *more = reallocarray(q->spool, q->n_spools + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	q->spool = more;
	w->spool = &more[q->n_spools];
	*w->spool = (struct sw_queue_spool){ .mta = mta, .path = strdup(path) };
	if (!w->spool->path)
		return -ENOMEM;
	q->n_spools++;
	w->bodies = w->heads = 0;
	servers[mta].scan(w, dir);
	sw_queue_forget(w);
	return w->error;
}

/* The spool of a mail server of this machine. 0; -ENOENT: it has none; -errno. */
static int scan_server(struct sw_queue_work *w, enum sw_queue_mta mta)
{
	const struct server *s = &servers[mta];
	_cleanup_free_ char *asked = ask(s);
	const char *path[ARRAY_SIZE(s->spool) + 1] = { asked };
	int r = -ENOENT;

	for (size_t i = 0; i < ARRAY_SIZE(s->spool) && !asked; i++)
		path[i] = s->spool[i];
	for (size_t i = 0; path[i]; i++) {
		_cleanup_close_ int dir = open_spool(path[i]);

		if (dir >= 0 && is_spool_of(dir, s))
			return scan_spool(w, mta, path[i], dir);
		if (dir < 0 && dir != -ENOENT && dir != -ENOTDIR)
			r = dir;
	}
	return r;
}

/* The spool that was named. */
static int scan_named(struct sw_queue_work *w)
{
	const struct sw_queue_config *c = w->c;
	_cleanup_close_ int dir = open_spool(c->spool);

	if (dir < 0)
		return dir;
	for (int mta = 0; mta < _SW_QUEUE_MTA_MAX; mta++)
		if ((!c->one_mta || mta == (int)c->mta) && is_spool_of(dir, &servers[mta]))
			return scan_spool(w, (enum sw_queue_mta)mta, c->spool, dir);
	return -ENOENT;
}

static int scan_machine(struct sw_queue_work *w)
{
	int failed = -ENOENT, r;

	for (int mta = 0; mta < _SW_QUEUE_MTA_MAX; mta++) {
		if (w->c->one_mta && mta != (int)w->c->mta)
			continue;
		r = scan_server(w, (enum sw_queue_mta)mta);
		if (r == -ENOMEM)
			return r;
		if (r < 0 && r != -ENOENT)
			failed = r;
	}
	return w->q->n_spools ? 0 : failed;
}

static int scan(const struct sw_queue_config *c, bool count_only, struct sw_queue *q)
{
	char host[256] = "";
	struct sw_queue_work w = {
		.c = c, .q = q, .count_only = count_only, .file.fd = -1, .other.fd = -1,
	};
	int r;

	gethostname(host, sizeof(host) - 1);
	w.host = host;
	q->now = time(NULL);
	r = c->spool ? scan_named(&w) : scan_machine(&w);
	free(w.file.buf);
	free(w.other.buf);
	free(w.slot);
	free(w.seen);
	if (r < 0)
		sw_queue_free(q);
	return r;
}

int sw_queue_scan(const struct sw_queue_config *c, struct sw_queue *ret)
{
	struct sw_queue q = {};
	int r = scan(c, false, &q);

	if (!r)
		*ret = q;
	return r;
}

int sw_queue_count(const struct sw_queue_config *c, uint64_t ret[_SW_QUEUE_MTA_MAX])
{
	struct sw_queue q = {};
	int r = scan(c, true, &q);

	if (r < 0)
		return r;
	for (int i = 0; i < _SW_QUEUE_MTA_MAX; i++)
		ret[i] = 0;
	for (size_t i = 0; i < q.n_spools; i++)
		ret[q.spool[i].mta] += q.spool[i].sum.messages;
	sw_queue_free(&q);
	return 0;
}

void sw_queue_free(struct sw_queue *q)
{
	for (size_t i = 0; i < q->n_spools; i++)
		free(q->spool[i].path);
	for (size_t i = 0; i < q->n_groups; i++) {
		free(q->group[i].auth);
		free(q->group[i].script);
		free(q->group[i].sender);
	}
	free(q->spool);
	free(q->group);
	*q = (struct sw_queue){};
}
