/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "resolve_int.h"
#include "util.h"

#define FILE_NAME	"names"
#define MAX_FILE	(16 * 1024 * 1024)	/* some thousand names with 64 addresses */
#define MAX_LINE	4096	/* a name, a time, 64 addresses of 46 bytes */

static int parse_addr(const char *text, struct sw_addrs *a)
{
	unsigned char addr[16];
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;

	if (inet_pton(family, text, addr) != 1 || a->n >= SW_RESOLVE_MAX_ADDRS)
		return -EINVAL;
	return sw_resolve_add(a, family, addr);
}

static int parse_time(const char *text, time_t *ret)
{
	char *end;
	long long n;

	if (!text || text[strspn(text, "0123456789")])
		return -EINVAL;
	errno = 0;
	n = strtoll(text, &end, 10);
	if (errno || end == text || n <= 0)
		return -EINVAL;
	*ret = (time_t)n;
	return 0;
}

/* What stands behind the name of a line; `ret` is written on success only. */
static int parse_answer(char *rest, struct sw_recalled *ret)
{
	struct sw_recalled found = {};
	const char *word;
	char *save;
	int r = parse_time(strtok_r(rest, " ", &save), &found.found);

	while (r == 0 && (word = strtok_r(NULL, " ", &save)))
		r = parse_addr(word, &found.addrs);
	if (r < 0 || !found.addrs.n) {
		free(found.addrs.item);
		return r < 0 ? r : -EINVAL;
	}
	sw_resolve_sort(&found.addrs);
	*ret = found;
	return 0;
}

static void parse_line(char *line, const char *const *names, size_t n, struct sw_recalled *ret)
{
	struct sw_recalled found = {};
	char *rest = strchr(line, ' ');

	if (!rest)
		return;
	*rest++ = '\0';
	for (size_t i = 0; i < n; i++) {
		if (strcasecmp(names[i], line) != 0 || ret[i].addrs.n)
			continue;
		/* Parsed for each: the same name may be asked for twice. */
		if (!found.addrs.n && parse_answer(rest, &found) < 0)
			return;
		ret[i].addrs.item = calloc(found.addrs.n, sizeof(*found.addrs.item));
		if (!ret[i].addrs.item)
			break;
		memcpy(ret[i].addrs.item, found.addrs.item,
		       found.addrs.n * sizeof(*found.addrs.item));
		ret[i].addrs.n = found.addrs.n;
		ret[i].found = found.found;
	}
	free(found.addrs.item);
}

void sw_recall_stream(FILE *f, const char *const *names, size_t n, struct sw_recalled *ret)
{
	char line[MAX_LINE];
	bool whole = true;	/* the line begins where the buffer does */

	while (fgets(line, sizeof(line), f)) {
		size_t len = strlen(line);
		bool ends = len && line[len - 1] == '\n';

		if (ends)
			line[len - 1] = '\0';
		if (whole && ends)
			parse_line(line, names, n, ret);
		whole = ends;
	}
}

/* Ours, or root's, and nobody else may write it: its addresses become holes in the policy. */
static bool is_trusted(const struct stat *st)
{
	return S_ISREG(st->st_mode) && (st->st_uid == 0 || st->st_uid == geteuid()) &&
	       !(st->st_mode & (S_IWGRP | S_IWOTH)) && st->st_size <= MAX_FILE;
}

int sw_recall(const char *state_dir, const char *const *names, size_t n, struct sw_recalled *ret)
{
	_cleanup_close_ int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_close_ int fd = -1;
	_cleanup_fclose_ FILE *f = NULL;
	struct stat st;

	if (dir < 0)
		return -errno;
	/* A FIFO must not hold us up. */
	fd = openat(dir, FILE_NAME, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP || errno == ENXIO ? -EPERM : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!is_trusted(&st))
		return -EPERM;
	f = fdopen(fd, "r");
	if (!f)
		return -errno;
	(void)TAKE_FD(fd);
	sw_recall_stream(f, names, n, ret);
	return ferror(f) ? -EIO : 0;
}

static void write_line(FILE *f, const char *name, const struct sw_resolved *r)
{
	static const unsigned char mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];

	fprintf(f, "%s %" PRId64, name, (int64_t)r->found);
	for (size_t i = 0; i < r->addrs.n; i++) {
		const unsigned char *b = r->addrs.item[i].b;
		bool v4 = !memcmp(b, mapped, sizeof(mapped));

		inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? b + 12 : b, text, sizeof(text));
		fprintf(f, " %s", text);
	}
	fputc('\n', f);
}

/* Takes `fd`. All of it is on the disk afterwards, or it fails. */
static int write_file(int fd, const char *const *names, size_t n, const struct sw_resolved *what)
{
	FILE *f;
	int r = 0;

	if (fchmod(fd, 0640) < 0 || !(f = fdopen(fd, "w"))) {
		r = -errno;
		close(fd);
		return r;
	}
	for (size_t i = 0; i < n; i++)
		if (what[i].addrs.n)
			write_line(f, names[i], &what[i]);
	errno = 0;
	if (fflush(f) != 0 || ferror(f) || fsync(fileno(f)) < 0)
		r = errno ? -errno : -EIO;
	if (fclose(f) != 0 && r == 0)
		r = -errno;
	return r;
}

/* The name of the new file is this process's own: two may write at the same time. */
int sw_remember(const char *state_dir, const char *const *names, size_t n,
		const struct sw_resolved *what)
{
	_cleanup_close_ int dir = -1;
	char temp[48];
	int fd, r;

	if (mkdir(state_dir, 0750) < 0 && errno != EEXIST)
		return -errno;
	dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	snprintf(temp, sizeof(temp), FILE_NAME ".%ld", (long)getpid());
	if (unlinkat(dir, temp, 0) < 0 && errno != ENOENT)	/* left by one that was killed */
		return -errno;
	fd = openat(dir, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = write_file(fd, names, n, what);
	if (r == 0 && renameat(dir, temp, dir, FILE_NAME) < 0)
		r = -errno;
	if (r < 0)
		unlinkat(dir, temp, 0);
	else
		(void)fsync(dir);	/* else the answer before this one is back after a crash */
	return r;
}
