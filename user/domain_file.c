/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines of foreign files, within limits, and how the files were when they were read. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

#include "domain_int.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000LL
#define FRESH_NS	100000000LL	/* time stamps of files move in steps of up to 10 ms */
#define BOM		"\xef\xbb\xbf"

void sw_reading_free(struct sw_reading *r)
{
	sw_arena_free(&r->arena);
	free(r->records);
	free(r->pools);
	free(r->sockets);
	free(r->stamps);
	free(r->found);
	free(r->buffer);
	*r = (struct sw_reading){};
}

static int64_t in_ns(struct timespec ts)
{
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int sw_reading_stamp(struct sw_reading *r, const char *path, const struct stat *st)
{
	struct sw_stamp *s;
	struct timespec now;

	if (sw_domain_grow(&r->stamps, r->n_stamps, &r->room_stamps, sizeof(*r->stamps)) < 0)
		return -ENOMEM;
	s = &r->stamps[r->n_stamps];
	*s = (struct sw_stamp){ .missing = !st };
	s->path = sw_arena_copy(&r->arena, path, strlen(path));
	if (!s->path)
		return -ENOMEM;
	r->n_stamps++;
	if (!st)
		return 0;
	s->dev = st->st_dev;
	s->ino = st->st_ino;
	s->size = st->st_size;
	s->mtime_ns = in_ns(st->st_mtim);
	s->ctime_ns = in_ns(st->st_ctim);
	clock_gettime(CLOCK_REALTIME, &now);
	s->fresh = s->ctime_ns <= in_ns(now) && in_ns(now) - s->ctime_ns < FRESH_NS;
	return 0;
}

static bool is_same(const struct sw_stamp *s, const struct stat *st)
{
	return !s->missing && st->st_dev == s->dev && st->st_ino == s->ino &&
	       st->st_size == s->size && in_ns(st->st_mtim) == s->mtime_ns &&
	       in_ns(st->st_ctim) == s->ctime_ns;
}

static bool has_changed(const struct sw_root *root, const struct sw_stamp *s)
{
	struct stat st;

	if (s->fresh)
		return true;
	/* One system call instead of three, for what may be thousands of files. Should it follow
	 * a link out of the prefix, it finds another file than the one it looks for. */
	if (root->fd >= 0 && fstatat(root->fd, s->path + 1, &st, AT_NO_AUTOMOUNT) == 0 &&
	    is_same(s, &st))
		return false;
	if (sw_root_stat(root, s->path, &st) < 0)
		return !s->missing;
	return !is_same(s, &st);
}

bool sw_reading_is_stale(const struct sw_reading *r)
{
	for (size_t i = 0; i < r->n_stamps; i++)
		if (has_changed(r->root, &r->stamps[i]))
			return true;
	return false;
}

bool sw_reading_exists(struct sw_reading *r, const char *path)
{
	struct stat st;
	bool is = sw_root_stat(r->root, path, &st) == 0;

	/* Not what it is like: a directory changes whenever something is put into it. */
	if (!is)
		(void)sw_reading_stamp(r, path, NULL);
	return is;
}

static void count_bad(struct sw_reading *r, const char *file, unsigned int line)
{
	if (!r->bad++ && file) {
		r->bad_file = sw_arena_copy(&r->arena, file, strlen(file));
		r->bad_line = line;
	}
}

void sw_reading_bad(struct sw_reading *r)
{
	count_bad(r, r->file, r->line);
}

void sw_reading_bad_file(struct sw_reading *r, const char *path)
{
	count_bad(r, path, 0);
}

/* What was read and not handed on yet. */
struct lines {
	char *buffer;
	size_t have;
	bool skip;	/* the rest of a line that was too long */
	sw_line_fn *take;
	void *data;
};

#define BUFFER (2 * SW_LINE_MAX + 1)

/* One line without its end. */
static int take_line(struct sw_reading *r, struct lines *l, char *line, size_t len)
{
	int e;

	r->line++;
	if (r->line == 1 && len >= strlen(BOM) && !memcmp(line, BOM, strlen(BOM))) {
		line += strlen(BOM);
		len -= strlen(BOM);
	}
	if (len && line[len - 1] == '\r')
		len--;
	line[len] = '\0';
	e = memchr(line, '\0', len) ? -EINVAL : l->take(r, line, l->data);
	if (e == -EINVAL)
		sw_reading_bad(r);
	return e == -EINVAL ? 0 : e;
}

/* All whole lines; what remains moves to the front. */
static int take_lines(struct sw_reading *r, struct lines *l)
{
	char *from = l->buffer, *end;
	int e = 0;

	while (!e && !r->full && (end = memchr(from, '\n', l->have))) {
		l->have -= (size_t)(end + 1 - from);
		if (l->skip)
			l->skip = false;
		else
			e = take_line(r, l, from, (size_t)(end - from));
		from = end + 1;
	}
	if (l->have > SW_LINE_MAX || (l->skip && l->have)) {
		if (!l->skip) {
			r->line++;
			sw_reading_bad(r);
		}
		l->skip = true;
		l->have = 0;
	}
	memmove(l->buffer, from, l->have);
	return e;
}

/* Up to `size` bytes, or to the end. */
static int read_lines(struct sw_reading *r, int fd, uint64_t size, struct lines *l)
{
	ssize_t n = 0;
	int e = 0;

	while (!e && !r->full && size && (n = read(fd, l->buffer + l->have, SW_LINE_MAX)) > 0) {
		l->have += (size_t)n;
		size -= size < (uint64_t)n ? size : (uint64_t)n;
		r->bytes += (uint64_t)n;
		r->full = r->full || r->bytes > SW_BYTES_MAX;
		e = take_lines(r, l);
	}
	if (n < 0)
		sw_reading_bad_file(r, r->file);
	if (!e && !r->full && l->have && !l->skip)
		e = take_line(r, l, l->buffer, l->have);
	return e;
}

static int read_fd(struct sw_reading *r, int fd, uint64_t size, const char *name,
		   sw_line_fn *take, void *data)
{
	/* While a file is read it may include others: each has its buffer, and one is kept. */
	struct lines l = { .buffer = r->buffer, .take = take, .data = data };
	const char *outer_file = r->file;
	unsigned int outer_line = r->line;
	int e;

	r->buffer = NULL;
	if (!l.buffer)
		l.buffer = malloc(BUFFER);
	if (!l.buffer)
		return -ENOMEM;
	r->file = name;
	r->line = 0;
	e = read_lines(r, fd, size, &l);
	r->file = outer_file;
	r->line = outer_line;
	if (r->buffer)
		free(l.buffer);
	else
		r->buffer = l.buffer;
	return e == -ENOMEM ? e : 0;
}

int sw_reading_fd(struct sw_reading *r, int fd, const char *name, sw_line_fn *take, void *data)
{
	return read_fd(r, fd, UINT64_MAX, name, take, data);
}

int sw_reading_lines(struct sw_reading *r, const char *path, sw_line_fn *take, void *data)
{
	_cleanup_close_ int fd = -1;
	struct stat st;
	int e;

	if (r->full)
		return 0;
	if (r->files >= (r->late ? SW_LATE_FILES_MAX : SW_FILES_MAX)) {
		r->full = true;
		return 0;
	}
	/* Not to wait for the other end of a pipe that somebody put there. */
	fd = sw_root_openat(r->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd == -ENOENT || fd == -ENOTDIR)
		return sw_reading_stamp(r, path, NULL);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		sw_reading_bad_file(r, path);
		return sw_root_stat(r->root, path, &st) < 0 ? sw_reading_stamp(r, path, NULL) :
							      sw_reading_stamp(r, path, &st);
	}
	r->files++;
	e = sw_reading_stamp(r, path, &st);
	/* What is added meanwhile is read the next time: the file will not be as stamped. */
	return e < 0 ? e : read_fd(r, fd, (uint64_t)st.st_size, path, take, data);
}
