/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * CloudPanel: its SQLite database, table site. The panel must not notice that it is read: no lock
 * is taken and no file is made beside it, unless the panel has its own log open at the moment,
 * which then has to be read as well.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "domain_int.h"
#include "util.h"

#define DATABASE	"/home/clp/htdocs/app/data/db.sq3"
#define TRIES		5
#define STEPS		1000	/* of SQLite's machine between two looks at the budget */
#define BUDGET		20000	/* looks: 250,000 sites take some 3,000 */

static int spend(void *data)
{
	unsigned int *left = data;

	return *left == 0 || --*left == 0;
}

/* A text without NUL in it, or NULL. */
static const char *column(sqlite3_stmt *stmt, int i)
{
	const char *text = (const char *)sqlite3_column_text(stmt, i);

	return text && (int)strlen(text) == sqlite3_column_bytes(stmt, i) ? text : NULL;
}

static int take_row(struct sw_reading *r, sqlite3_stmt *stmt)
{
	const char *domain = column(stmt, 0), *user = column(stmt, 1), *directory = column(stmt, 2);
	char home[PATH_MAX], docroot[PATH_MAX];
	struct sw_record rec = {
		.domain = domain, .user = user, .docroot = docroot, .pool = domain,
		.kind = SW_KIND_UNKNOWN,
	};

	if (!domain || !user || !sw_login_is_valid(user) ||
	    sw_reading_home(r, user, home, sizeof(home)) < 0)
		return -EINVAL;
	if (!directory || !*directory)
		directory = domain;
	if (snprintf(docroot, sizeof(docroot), "%s%s%s", *directory == '/' ? "" : home,
		     *directory == '/' ? "" : "/htdocs/", directory) >= (int)sizeof(docroot))
		return -EINVAL;
	return sw_reading_add(r, &rec);
}

/* SQLite's verdict in *ret. 0 or -ENOMEM. */
static int read_rows(struct sw_reading *r, sqlite3 *db, int *ret)
{
	sqlite3_stmt *stmt = NULL;
	int e = 0;

	*ret = sqlite3_prepare_v2(db, "SELECT domain_name, user, root_directory FROM site ORDER BY id",
				  -1, &stmt, NULL);
	while (*ret == SQLITE_OK || *ret == SQLITE_ROW) {
		*ret = sqlite3_step(stmt);
		if (*ret != SQLITE_ROW || r->full)
			break;
		e = take_row(r, stmt);
		if (e == -EINVAL)
			sw_reading_bad_file(r, DATABASE);
		if (e == -ENOMEM)
			break;
	}
	sqlite3_finalize(stmt);
	return e == -ENOMEM ? e : 0;
}

static bool has_bytes(const struct sw_reading *r, const char *path)
{
	struct stat st;

	return sw_root_stat(r->root, path, &st) == 0 && st.st_size > 0;
}

static int read_database(struct sw_reading *r, int fd, int *ret)
{
	/* With a log that nobody has open SQLite would make files to work with it. */
	bool live = has_bytes(r, DATABASE "-wal") && has_bytes(r, DATABASE "-shm");
	unsigned int left = BUDGET;
	sqlite3 *db = NULL;
	char uri[64];
	int e = 0;

	snprintf(uri, sizeof(uri), "file:/proc/self/fd/%d?mode=ro%s", fd,
		 live ? "" : "&immutable=1");
	*ret = sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
	if (*ret == SQLITE_OK) {
		sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		sqlite3_exec(db, "PRAGMA trusted_schema=OFF", NULL, NULL, NULL);
		sqlite3_progress_handler(db, STEPS, spend, &left);
		e = read_rows(r, db, ret);
	}
	sqlite3_close(db);
	return e;
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Without a lock the panel may write meanwhile: then what was read is thrown away. */
static int load(struct sw_reading *r)
{
	static const struct timespec pause = { .tv_nsec = 20000000 };
	_cleanup_close_ int fd = sw_root_openat(r->root, DATABASE, O_RDONLY | O_NONBLOCK);
	struct stat before, after;
	uint64_t bad = r->bad;
	int verdict = SQLITE_ERROR, e;

	if (fd == -ENOENT || fd == -ENOTDIR)
		return sw_reading_stamp(r, DATABASE, NULL);
	if (fd < 0 || fstat(fd, &before) < 0 || !S_ISREG(before.st_mode)) {
		sw_reading_bad_file(r, DATABASE);
		return 0;
	}
	r->files++;
	for (int i = 0; i < TRIES; i++) {
		if (i)
			nanosleep(&pause, NULL);
		r->n_records = 0;
		r->bad = bad;
		if (fstat(fd, &before) < 0)
			break;
		e = read_database(r, fd, &verdict);
		if (e < 0)
			return e;
		if (fstat(fd, &after) == 0 && is_same(&before, &after) &&
		    !has_bytes(r, DATABASE "-journal") && verdict != SQLITE_BUSY)
			break;
	}
	if (verdict != SQLITE_DONE && !r->full)
		sw_reading_bad_file(r, DATABASE);
	e = sw_reading_stamp(r, DATABASE, &before);
	if (!e)
		e = sw_root_stat(r->root, DATABASE "-wal", &after) == 0 ?
			sw_reading_stamp(r, DATABASE "-wal", &after) :
			sw_reading_stamp(r, DATABASE "-wal", NULL);
	return e;
}

static const char *const markers[] = { DATABASE, NULL };

const struct sw_domain_source sw_source_cloudpanel = { "cloudpanel", markers, load, 0, false };
