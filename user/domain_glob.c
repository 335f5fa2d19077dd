/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "domain_int.h"
#include "util.h"

#define WILD	"*?["
#define DEPTH	16	/* components with wild cards */

struct walk {
	sw_path_fn *take;
	void *data;
	int depth;
};

struct names {
	char **name;
	size_t n, room;
};

static void free_names(struct names *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->name[i]);
	free(l->name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_link(int dir, const struct dirent *e)
{
	struct stat st;

	if (e->d_type != DT_UNKNOWN)
		return e->d_type == DT_LNK;
	return fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || S_ISLNK(st.st_mode);
}

/* Whoever owns a directory can make a link in it to any file of the machine. */
static bool is_ours(const struct stat *st)
{
	return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Names in `dir` that match. 0 or -ENOMEM. */
static int list(struct sw_reading *r, const char *dir, const char *pattern, struct names *ret)
{
	int fd = sw_root_openat(r->root, dir, O_RDONLY | O_DIRECTORY);
	struct dirent *e;
	struct stat st;
	DIR *d;
	int err = 0;

	if (fd < 0 && fd != -ENOENT && fd != -ENOTDIR)
		sw_reading_bad_file(r, dir);
	if (fd < 0)
		return sw_reading_stamp(r, dir, NULL);
	d = fdopendir(fd);
	if (!d || fstat(fd, &st) < 0) {
		if (d)
			closedir(d);
		else
			close(fd);
		return -ENOMEM;
	}
	err = sw_reading_stamp(r, dir, &st);
	while (!err && (e = readdir(d))) {
		if (fnmatch(pattern, e->d_name, FNM_PERIOD) != 0 || !strcmp(e->d_name, ".") ||
		    !strcmp(e->d_name, "..") || (!is_ours(&st) && is_link(fd, e)))
			continue;
		if (ret->n == SW_GLOB_MAX) {
			r->full = true;
			break;
		}
		err = sw_domain_grow(&ret->name, ret->n, &ret->room, sizeof(*ret->name));
		if (!err && !(ret->name[ret->n] = strdup(e->d_name)))
			err = -ENOMEM;
		ret->n += !err;
	}
	closedir(d);
	if (ret->n)
		qsort(ret->name, ret->n, sizeof(*ret->name), by_name);
	return err;
}

/* `done` is a path without wild cards, `rest` begins behind it: "/" or the end of the pattern. */
static int walk(struct sw_reading *r, const char *done, const char *rest, struct walk *w)
{
	const char *wild = strpbrk(rest, WILD), *from, *to;
	char path[PATH_MAX], pattern[NAME_MAX + 1];
	struct names l = {};
	int e;

	if (!wild) {
		if (snprintf(path, sizeof(path), "%s%s", done, rest) >= (int)sizeof(path))
			return 0;
		return w->take(r, path, w->data);
	}
	for (from = wild; from > rest && from[-1] != '/'; from--)
		;
	to = from + strcspn(from, "/");
	if (snprintf(path, sizeof(path), "%s%.*s", done, (int)(from - rest), rest) >=
		    (int)sizeof(path) || to - from > NAME_MAX || w->depth++ >= DEPTH)
		return 0;
	snprintf(pattern, sizeof(pattern), "%.*s", (int)(to - from), from);
	e = list(r, path, pattern, &l);
	for (size_t i = 0; i < l.n && !e && !r->full; i++) {
		char next[PATH_MAX];

		if (snprintf(next, sizeof(next), "%s%s", path, l.name[i]) < (int)sizeof(next))
			e = walk(r, next, to, w);
	}
	w->depth--;
	free_names(&l);
	return e;
}

int sw_reading_glob(struct sw_reading *r, const char *pattern, sw_path_fn *take, void *data)
{
	struct walk w = { .take = take, .data = data };
	int e;

	if (*pattern != '/')
		return 0;
	e = walk(r, "", pattern, &w);
	return e == -ENOMEM ? e : 0;
}
