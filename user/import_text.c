/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Lines in, notes and configuration text out. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "import_int.h"
#include "out.h"
#include "util.h"

#define MAX_FILE	(16 * 1024 * 1024)	/* bytes of one file that is imported */
#define MAX_QUOTE	160			/* bytes of a line that a note repeats */
#define MAX_COMMENT	400			/* bytes of a comment */
#define LIST_WIDTH 90 /* columns of a list, well below what a line may have */
#define LINE_ENDS	"\n\r\v\f"		/* what ends a line for CSF; "\r\n" is one */
#define BLANKS		" \t"

int sw_import_begin(struct sw_importer *im, struct sw_import *ret)
{
	memset(ret, 0, sizeof(*ret));
	*im = (struct sw_importer){ .result = ret };
	im->out = open_memstream(&im->text, &im->len);
	return im->out ? 0 : -ENOMEM;
}

static int by_place(const void *a, const void *b)
{
	const struct sw_import_note *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

static int take_notes(struct sw_importer *im)
{
	struct sw_import *ret = im->result;

	if (!im->n_notes)
		return 0;
	ret->left = calloc(im->n_notes, sizeof(*ret->left));
	if (!ret->left)
		return -ENOMEM;
	qsort(im->note, im->n_notes, sizeof(*im->note), by_place);
	for (size_t i = 0; i < im->n_notes; i++)
		ret->left[i] = im->note[i].left;
	ret->n_left = im->n_notes;
	im->n_notes = 0;
	return 0;
}

int sw_import_end(struct sw_importer *im)
{
	if (fclose(im->out) != 0)
		im->err = -ENOMEM;
	if (!im->err && !im->result->errors.n && im->len > SW_IMPORT_MAX_CONF)
		sw_import_error(im, "smtpwall.conf", 0,
				"the result has %zu bytes, more than the %d that it may have; "
				"shorten the lists", im->len, SW_IMPORT_MAX_CONF);
	if (!im->err && !im->result->errors.n)
		im->err = take_notes(im);
	for (size_t i = 0; i < im->n_notes; i++)
		free(im->note[i].left.text);
	free(im->note);
	if (im->err || im->result->errors.n)
		free(im->text);
	else
		im->result->conf = im->text;
	return im->err ? im->err : im->result->errors.n ? -EINVAL : 0;
}

void sw_import_free(struct sw_import *i)
{
	for (size_t k = 0; k < i->n_left; k++)
		free(i->left[k].text);
	free(i->left);
	free(i->conf);
	sw_diag_free(&i->errors);
	memset(i, 0, sizeof(*i));
}

/* Where an error stands is known only by counting. */
static unsigned int line_of(const char *text, const char *at)
{
	unsigned int n = 1;

	for (; (text = memchr(text, '\n', (size_t)(at - text))); text++)
		n++;
	return n;
}

static int read_all(struct sw_importer *im, int fd, const char *name, char **text)
{
	_cleanup_free_ char *buf = NULL;
	size_t size, used = 0;
	struct stat st;
	const char *nul;
	ssize_t n;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -ENXIO;
	if (st.st_size > MAX_FILE) {
		sw_import_error(im, name, 0, "is larger than 16 MiB; nothing was imported");
		return -EINVAL;
	}
	size = (size_t)st.st_size + 1;	/* one more than there should be */
	buf = malloc(size);
	if (!buf)
		return im->err = -ENOMEM;
	while (used < size && (n = read(fd, buf + used, size - used)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			sw_import_error(im, name, 0, "cannot read the file: %s", strerror(errno));
			return -EINVAL;
		}
		used += (size_t)n;
	}
	if (used == size) {
		sw_import_error(im, name, 0, "the file grew while it was read; try again");
		return -EINVAL;
	}
	nul = memchr(buf, '\0', used);
	if (nul) {
		sw_import_error(im, name, line_of(buf, nul),
				"the line contains a NUL byte; this is no text file");
		return -EINVAL;
	}
	buf[used] = '\0';
	*text = TAKE_PTR(buf);
	return 0;
}

/* It is looked at before it is opened: to open some devices is to use them. What took its place
 * meanwhile must not hang, and is looked at again. */
static int open_regular(int dirfd, const char *file)
{
	int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	bool follow = dirfd == AT_FDCWD;
	struct stat st;

	if (fstatat(dirfd, file, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		return -1;
	if (!S_ISREG(st.st_mode)) {
		errno = ENXIO;
		return -1;
	}
	return openat(dirfd, file, flags | (follow ? 0 : O_NOFOLLOW));
}

int sw_lines_open(struct sw_importer *im, int dirfd, const char *file, const char *name,
		  struct sw_lines *ret)
{
	_cleanup_close_ int fd = open_regular(dirfd, file);
	struct sw_lines l = {};
	struct stat st;
	int r;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return -ENOENT;
	if (fd < 0 && (errno == ELOOP || errno == ENXIO))
		return -ENXIO;
	if (fd < 0 || fstat(fd, &st) < 0) {
		sw_import_error(im, name, 0, "cannot open the file: %s; check its permissions, or "
				"run as root", strerror(errno));
		return -EINVAL;
	}
	r = read_all(im, fd, name, &l.text);
	if (r < 0)
		return r;
	l.path = strdup(name);
	if (!l.path) {
		free(l.text);
		return im->err = -ENOMEM;
	}
	l.next = *l.text ? l.text : NULL;
	l.dev = st.st_dev;
	l.ino = st.st_ino;
	l.file = im->files++;
	*ret = l;
	return 0;
}

void sw_lines_close(struct sw_lines *l)
{
	free(l->path);
	free(l->text);
	memset(l, 0, sizeof(*l));
}

char *sw_lines_next(struct sw_lines *l)
{
	char *s = l->next, *end, *behind;

	if (!s)
		return NULL;
	l->line++;
	end = s + strcspn(s, LINE_ENDS);
	behind = end + (end[0] == '\r' && end[1] == '\n' ? 2 : *end != '\0');
	l->next = *behind ? behind : NULL;
	*end = '\0';
	l->indented = strchr(BLANKS, *s) && *s;
	s += strspn(s, BLANKS);
	while (end > s && strchr(BLANKS, end[-1]))
		*--end = '\0';
	return s;
}

static void add_note(struct sw_importer *im, struct sw_import_note n)
{
	if (im->n_notes == im->room) {
		size_t room = im->room ? im->room * 2 : 64;
		struct sw_import_note *grown = reallocarray(im->note, room, sizeof(*grown));

		if (!grown) {
			free(n.left.text);
			im->err = -ENOMEM;
			return;
		}
		im->note = grown;
		im->room = room;
	}
	n.order = im->n_notes;
	im->note[im->n_notes++] = n;
}

void sw_import_left(struct sw_importer *im, const struct sw_lines *l, unsigned int line, bool idle,
		    const char *text, const char *fmt, ...)
{
	_cleanup_free_ char *why = NULL, *whole = NULL;
	struct sw_import_note n = { .left.idle = idle, .file = l->file, .line = line };
	bool cut = strlen(text) > MAX_QUOTE;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&why, fmt, ap);
	va_end(ap);
	if (r < 0)
		why = NULL;
	if (r < 0 || asprintf(&whole, "%s:%u: %.*s%s: %s", l->path, line, MAX_QUOTE, text,
			      cut ? "..." : "", why) < 0) {
		whole = NULL;
		im->err = -ENOMEM;
		return;
	}
	n.left.text = sw_escape(whole, true);
	if (n.left.text)
		add_note(im, n);
	else
		im->err = -ENOMEM;
}

void sw_import_error(struct sw_importer *im, const char *file, unsigned int line, const char *fmt,
		     ...)
{
	_cleanup_free_ char *what = NULL;
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = vasprintf(&what, fmt, ap);
	va_end(ap);
	if (r < 0)
		what = NULL;
	if (r < 0 || sw_diag_add(&im->result->errors, file, line, "%s", what) < 0)
		im->err = -ENOMEM;
}

void sw_import_comment(struct sw_importer *im, const char *fmt, ...)
{
	_cleanup_free_ char *safe = NULL;
	char text[MAX_COMMENT];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	safe = sw_escape(text, true);
	if (safe)
		fprintf(im->out, "; %s\n", safe);
	else
		im->err = -ENOMEM;
}

void sw_import_list(struct sw_importer *im, const char *key, const char *words)
{
	size_t len, used = (size_t)fprintf(im->out, "%s =", key);
	bool first = true;

	for (words += strspn(words, " "); *words; words += strspn(words, " ")) {
		len = strcspn(words, " ");
		if (!first && used + 1 + len > LIST_WIDTH)
			used = (size_t)fprintf(im->out, "\n ") - 1;
		used += (size_t)fprintf(im->out, " %.*s", (int)len, words);
		words += len;
		first = false;
	}
	fputc('\n', im->out);
}

void sw_import_head(struct sw_importer *im, const char *path, const char *command)
{
	sw_import_comment(im, "Made by 'smtpwall import %s' from %s.", command, path);
	fprintf(im->out,
		"; Check it with 'smtpwall apply --check'; its grammar is in smtpwall.conf(5).\n"
		"; What did not carry over was listed on standard error, with the reasons.\n");
}

void sw_words_add(struct sw_importer *im, struct sw_words *w, const char *word)
{
	size_t len = strlen(word), need = w->len + len + 2;

	if (need > w->room) {
		size_t room = need * 2;
		char *grown = realloc(w->text, room);

		if (!grown) {
			im->err = -ENOMEM;
			return;
		}
		w->text = grown;
		w->room = room;
	}
	if (w->len)
		w->text[w->len++] = ' ';
	memcpy(w->text + w->len, word, len + 1);
	w->len += len;
	w->n++;
}
