/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Who writes the history, and where it lies. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "history_int.h"
#include "util.h"

#define TRIM_HOURS	48	/* hours that one call forgets, and days; a call each minute is ahead */
#define TRIM_EVENTS	50000
#define TRIM_PLACES	1000
#define TRIM_PAGES	"256"

const char *sw_history_hint(int r)
{
	switch (r) {
	case -ENOTSUP:
		return "; a newer smtpwall wrote it: install that one, or move the file away";
	case -EBADMSG:
		return "; it is no history of smtpwall, or damaged: move it away, and a new one is begun";
	case -EPERM:
		return "; others own it or its directory, or may write to them: find out who made it";
	case -EBUSY:
		return "; another process is writing it";
	case -ENOSPC:
		return "; make room on that file system";
	case -EROFS:
		return "; make that file system writable";
	default:
		return "";
	}
}

/* ---- Where ---- */

/* Nobody but root and ourselves may have made it, or change it. */
static bool is_safe(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static int open_directory(const char *state_dir, bool make)
{
	_cleanup_close_ int dir = -1, fd = -1;
	struct stat st;

	if (make && mkdir(state_dir, 0750) < 0 && errno != EEXIST)
		return -errno;
	dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* The monitor's user may pass through, but not list it. */
	if (dir < 0 && errno == EACCES)
		dir = open(state_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return -errno;
	if (make && mkdirat(dir, SW_HISTORY_DIR, 0750) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(dir, SW_HISTORY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ELOOP || errno == ENOTDIR ? -EPERM : -errno;
	if (make && (fstat(fd, &st) < 0 || !is_safe(&st)))
		return -EPERM;
	return TAKE_FD(fd);
}

/* A FIFO, a link or a device would be opened by the library as well. */
static int check_file(int dir, bool ours)
{
	struct stat st;

	if (fstatat(dir, SW_HISTORY_FILE, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return S_ISREG(st.st_mode) && st.st_nlink == 1 && (!ours || is_safe(&st)) ? 0 : -EPERM;
}

static int file_path(const char *state_dir, char **ret)
{
	_cleanup_free_ char *real = realpath(state_dir, NULL);

	if (!real)
		return -errno;
	if (asprintf(ret, "%s/" SW_HISTORY_DIR "/" SW_HISTORY_FILE, real) < 0)
		return -ENOMEM;
	return 0;
}

int sw_history_path(const char *state_dir, char **ret)
{
	_cleanup_close_ int dir = open_directory(state_dir, false);
	int r;

	if (dir < 0)
		return dir;
	r = check_file(dir, false);
	return r ?: file_path(state_dir, ret);
}

bool sw_history_has_writer(const char *state_dir, pid_t *pid)
{
	_cleanup_close_ int dir = open_directory(state_dir, false);

	*pid = 0;
	if (dir < 0)
		return false;
	*pid = sw_feed_holder(dir);
	/* For a moment it is ours: who wants to write just then tries again. */
	return *pid || (flock(dir, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
}

/* Made by us, so that it and what SQLite puts beside it are nobody else's to read. */
static int make_file(int dir)
{
	_cleanup_close_ int fd = openat(dir, SW_HISTORY_FILE,
					O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);

	if (fd < 0)
		return errno == EEXIST ? check_file(dir, true) : -errno;
	return fchmod(fd, 0640) < 0 ? -errno : 0;
}

/* What root had made so far becomes `uid`'s; after that root gives nothing away any more. */
static int hand_over(int dir, uid_t uid, gid_t gid)
{
	static const char *const files[] = { SW_HISTORY_FILE, SW_HISTORY_FILE "-wal",
					     SW_HISTORY_FILE "-shm" };
	struct stat st;

	if (fstat(dir, &st) < 0)
		return -errno;
	if (st.st_uid == uid)
		return 0;
	if (!is_safe(&st))
		return -EPERM;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_cleanup_close_ int fd = openat(dir, files[i],
						O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_nlink != 1)
			return -EPERM;
		if (fchown(fd, uid, gid) < 0)
			return -errno;
	}
	return fchown(dir, uid, gid) < 0 || fchmod(dir, 0750) < 0 ? -errno : 0;
}

int sw_history_prepare(const char *state_dir, uid_t uid, gid_t gid)
{
	_cleanup_close_ int dir = -1, history = -1;
	struct stat st;

	if (mkdir(state_dir, 0750) < 0 && errno != EEXIST)
		return -errno;
	dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fstat(dir, &st) < 0)
		return -errno;
	if (!is_safe(&st))
		return -EPERM;
	/* Passing through is all that is given. */
	if (!(st.st_mode & S_IXOTH) && (st.st_gid != gid || !(st.st_mode & S_IXGRP)) &&
	    (fchown(dir, (uid_t)-1, gid) < 0 || fchmod(dir, (st.st_mode & 07777) | S_IXGRP) < 0))
		return -errno;
	if (mkdirat(dir, SW_HISTORY_DIR, 0750) < 0 && errno != EEXIST)
		return -errno;
	history = openat(dir, SW_HISTORY_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (history < 0)
		return errno == ELOOP || errno == ENOTDIR ? -EPERM : -errno;
	return hand_over(history, uid, gid);
}

/* ---- Opening ---- */

static int open_locked(const char *state_dir, struct sw_history *h)
{
	_cleanup_free_ char *path = NULL;
	int r;

	h->lock_fd = open_directory(state_dir, true);
	if (h->lock_fd < 0)
		return h->lock_fd;
	if (flock(h->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	/* SQLite would open what it cannot write for reading. */
	if (faccessat(h->lock_fd, ".", W_OK, AT_EACCESS) < 0)
		return -errno;
	r = make_file(h->lock_fd);
	if (!r)
		r = file_path(state_dir, &path);
	if (!r)
		r = sw_history_db_write(path, &h->d);
	return r ?: sw_history_load_base(h, &h->d);
}

int sw_history_open(const char *state_dir, const struct sw_history_limits *limits,
		    struct sw_history **ret)
{
	struct sw_history *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return -ENOMEM;
	h->lock_fd = -1;
	h->limits = *limits;
	r = open_locked(state_dir, h);
	if (r < 0)
		sw_history_close(h);
	else
		*ret = h;
	return r;
}

void sw_history_close(struct sw_history *h)
{
	if (!h)
		return;
	sw_history_drop_events(h);
	free(h->event);
	sw_history_free_base(h);
	sw_history_db_close(&h->d);
	sw_closep(&h->lock_fd);
	free(h);
}

/* ---- Writing ---- */

int sw_history_flush(struct sw_history *h)
{
	int r;

	if (!h->n_events)
		return 0;
	r = sw_history_exec(&h->d, "BEGIN IMMEDIATE");
	if (!r)
		r = sw_history_write_events(h);
	if (!r)
		r = sw_history_exec(&h->d, "COMMIT");
	if (r < 0)
		sqlite3_exec(h->d.db, "ROLLBACK", NULL, NULL, NULL);
	else
		sw_history_drop_events(h);
	return r;
}

uint64_t sw_history_dropped(const struct sw_history *h)
{
	return h->events_dropped;
}

/* ---- Forgetting ---- */

/* Runs `sql` with one number. 0 or -errno; *changed (may be NULL) is how many rows it took. */
static int trim(struct sw_history *h, const char *sql, int64_t number, int *changed)
{
	sqlite3_stmt *st;
	int r;

	st = sw_history_query(&h->d, sql, &r);
	if (!st)
		return r;
	sqlite3_bind_int64(st, 1, number);
	r = sw_history_run(&h->d, st);
	sqlite3_finalize(st);
	if (changed)
		*changed = r < 0 ? 0 : sqlite3_changes(h->d.db);
	return r;
}

/* Whole hours and days, so that what is left is still right. */
static int trim_counts(struct sw_history *h, time_t before)
{
	static const char *const oldest[] = {
		"DELETE FROM hour WHERE start = (SELECT min(start) FROM hour) AND start < ?",
		"DELETE FROM day WHERE start = (SELECT min(start) FROM day) AND start < ?",
	};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(oldest) && !r; i++) {
		int changed = 1;

		for (int n = 0; n < TRIM_HOURS && changed && !r; n++)
			r = trim(h, oldest[i], before, &changed);
	}
	return r;
}

/* Places that nothing names any more, then texts. What the base knows of them is looked up anew. */
static int trim_places(struct sw_history *h, time_t before)
{
	int changed, r;

	r = trim(h, "DELETE FROM place WHERE id IN (SELECT id FROM place WHERE seen < ? AND id NOT IN"
		 " (SELECT place FROM event) LIMIT 1000)", before, &changed);
	_Static_assert(TRIM_PLACES == 1000, "as the statement says");
	if (r < 0 || !changed)
		return r;
	for (int i = 0; i < _SW_BASE_MAX; i++)
		for (size_t n = 0; n < h->base[i].size; n++)
			h->base[i].slot[n].place = 0;
	return trim(h, "DELETE FROM text WHERE id > ? AND id NOT IN (SELECT user FROM place UNION ALL"
		    " SELECT account FROM place UNION ALL SELECT domain FROM place UNION ALL"
		    " SELECT source FROM place UNION ALL SELECT directory FROM place UNION ALL"
		    " SELECT script FROM place UNION ALL SELECT cgroup FROM place)", 0, NULL);
}

static int trim_events(struct sw_history *h)
{
	_Static_assert(TRIM_EVENTS == 50000, "as the statement says");
	return trim(h, "DELETE FROM event WHERE id IN (SELECT id FROM event WHERE id <="
		    " (SELECT max(id) FROM event) - ? ORDER BY id LIMIT 50000)", h->limits.events, NULL);
}

int sw_history_trim(struct sw_history *h, time_t now)
{
	time_t before = now - (time_t)h->limits.days * SW_HISTORY_DAY;
	int r;

	before -= before % SW_HISTORY_DAY;	/* the block that it lies in stays whole */
	if (!h->limits.days)
		before = now + SW_HISTORY_DAY;
	r = sw_history_exec(&h->d, "BEGIN IMMEDIATE");
	if (!r)
		r = trim_counts(h, before);
	if (!r)
		r = trim_events(h);
	if (!r)
		r = trim_places(h, before);
	if (!r)
		r = sw_history_exec(&h->d, "COMMIT");
	if (r < 0) {
		sqlite3_exec(h->d.db, "ROLLBACK", NULL, NULL, NULL);
		h->stale = true;
		return r;
	}
	return sw_history_exec(&h->d, "PRAGMA incremental_vacuum(" TRIM_PAGES ")");
}
