/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sending limits of DirectAdmin, in /etc/virtual: limit, limit_USER and limit_unknown, mails a
 * day through the mail server. Directories of domains hold what customers name, so there every step is a
 * directory or a file of its own right, never a symbolic link.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "import_int.h"
#include "names.h"
#include "util.h"

#define MAX_MAILBOXES	100000	/* notes about limits of single mailboxes */
#define DENY_LIST	"black" "list_"	/* DirectAdmin's word, which is none of ours */

struct da {
	struct sw_importer *im;
	const char *dir;
	int fd;
	bool any;		/* there is a limit at all */
	size_t mailboxes;
	uint32_t *uid;		/* that have a line in [limit] */
	size_t n_uids;
};

/* The number in the first line of a file. 0; -EINVAL: it is none; else as sw_lines_open(). With
 * `strict` whatever is there and no number is an error. Close `l` in any case. */
static int read_number(struct da *d, int dirfd, const char *file, const char *name, bool strict,
		       struct sw_lines *l, uint32_t *ret)
{
	int r = sw_lines_open(d->im, dirfd, file, name, l);
	const char *text;

	if (r == -ENXIO && strict)
		sw_import_error(d->im, name, 0, "is no regular file");
	if (r < 0)
		return r;
	text = sw_lines_next(l);
	if (text && sw_id_parse(text, ret) == 0)
		return 0;
	if (strict)
		sw_import_error(d->im, name, 1, "'%.60s' is no number of mails; correct the file",
				text ? text : "");
	return -EINVAL;
}

static char *path_of(struct da *d, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", d->dir, name) < 0) {
		d->im->err = -ENOMEM;
		return NULL;
	}
	return path;
}

/* "200/day"; 0 is no limit for DirectAdmin. */
static const char *rate(uint32_t n, char buf[24])
{
	snprintf(buf, 24, n ? "%u/day" : "none", n);
	return buf;
}

static void write_default(struct da *d)
{
	_cleanup_free_ char *name = path_of(d, "limit");
	struct sw_lines l = {};
	uint32_t n = 0;
	char buf[24];

	if (name && read_number(d, d->fd, "limit", name, true, &l, &n) == 0) {
		d->any = true;
		fprintf(d->im->out, "; limit: %u%s\ndefault = %s\n", n,
			n ? "" : ", which is no limit", rate(n, buf));
	}
	sw_lines_close(&l);
}

/* Two names may stand for one account, which can have one limit only. */
static bool is_new(struct da *d, uint32_t uid)
{
	uint32_t *grown;

	for (size_t i = 0; i < d->n_uids; i++)
		if (d->uid[i] == uid)
			return false;
	grown = reallocarray(d->uid, d->n_uids + 1, sizeof(*grown));
	if (!grown) {
		d->im->err = -ENOMEM;
		return false;
	}
	d->uid = grown;
	d->uid[d->n_uids++] = uid;
	return true;
}

static void take_user(struct da *d, const char *file)
{
	const char *user = strchr(file, '_') + 1;
	_cleanup_free_ char *name = path_of(d, file);
	const struct passwd *pw = getpwnam(user);
	struct sw_lines l = {};
	char number[16], buf[24];
	uint32_t n = 0;

	if (name && read_number(d, d->fd, file, name, true, &l, &n) == 0) {
		d->any = true;
		if (pw && is_new(d, pw->pw_uid))
			fprintf(d->im->out, "user %s = %s\n",
				sw_import_account_word(user, pw->pw_uid, number), rate(n, buf));
		else
			sw_import_left(d->im, &l, 1, false, rate(n, buf), "%s; remove the file, or "
				       "correct its name", pw ? "the account has a limit already, "
				       "under another name" : "there is no account of this name");
	}
	sw_lines_close(&l);
}

/* A file whose number cannot be expressed. */
static void note_number(struct da *d, const char *file, const char *why)
{
	_cleanup_free_ char *name = path_of(d, file);
	struct sw_lines l = {};
	char text[16];
	uint32_t n = 0;

	if (name && read_number(d, d->fd, file, name, true, &l, &n) == 0) {
		d->any = true;
		snprintf(text, sizeof(text), "%u", n);
		sw_import_left(d->im, &l, 1, n == 0, text, "%s",
			       n ? why : "it is no limit; nothing to do");
	}
	sw_lines_close(&l);
}

/* Lists of accounts that may not send: NAME or NAME:TIME, one a line. */
static void note_denied(struct da *d, const char *file)
{
	_cleanup_free_ char *name = path_of(d, file);
	struct sw_lines l = {};
	char *line;

	if (!name || sw_lines_open(d->im, d->fd, file, name, &l) < 0)
		return;
	d->any = true;
	while (!d->im->err && (line = sw_lines_next(&l))) {
		int len = (int)strcspn(line, ": \t");

		if (len)
			sw_import_left(d->im, &l, l.line, false, line,
				       "a deny of one account is no part of smtpwall.conf; use "
				       "'smtpwall deny %.*s'",
				       len > 64 ? 64 : len, line);
	}
	sw_lines_close(&l);
}

static void note_mailbox(struct da *d, int dirfd, const char *domain, const char *mailbox)
{
	_cleanup_free_ char *file = NULL, *name = NULL;
	struct sw_lines l = {};
	uint32_t n = 0;
	int r;

	if (asprintf(&file, "%s/limit/%s", domain, mailbox) < 0) {
		file = NULL;
		d->im->err = -ENOMEM;
		return;
	}
	name = path_of(d, file);
	if (!name)
		return;
	r = read_number(d, dirfd, mailbox, name, false, &l, &n);
	if (r == 0 || r == -EINVAL) {
		char text[16] = "no number";

		if (r == 0)
			snprintf(text, sizeof(text), "%u", n);
		sw_import_left(d->im, &l, 1, r < 0, text,
			       "smtpwall knows accounts of the system, no mailboxes; DirectAdmin's "
			       "mail server keeps this limit");
	}
	sw_lines_close(&l);
}

static int visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

/* Not alphasort(): the order must not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Calls `take` for each name in the directory, in byte order. */
static int each_name(struct da *d, int fd, void (*take)(struct da *, int, const char *, void *),
		     void *arg)
{
	struct dirent **entry = NULL;
	int n = scandirat(fd, ".", &entry, visible, by_name);

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (!d->im->err)
			take(d, fd, entry[i]->d_name, arg);
		free(entry[i]);
	}
	free(entry);
	return 0;
}

static void take_mailbox(struct da *d, int fd, const char *name, void *domain)
{
	if (d->mailboxes++ < MAX_MAILBOXES) {
		note_mailbox(d, fd, domain, name);
	} else if (d->mailboxes == MAX_MAILBOXES + 1) {
		char *path = path_of(d, domain);
		struct sw_lines place = { .path = path, .file = d->im->files };

		if (path)
			sw_import_left(d->im, &place, 0, true, "and further mailboxes", "there are "
				       "more than %d limits of mailboxes; the rest is not listed",
				       MAX_MAILBOXES);
		free(path);
	}
}

static void take_domain(struct da *d, int fd, const char *name, void *arg)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	_cleanup_close_ int domain =
		openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int limits = domain < 0 ? -1 : openat(domain, "limit", flags);

	(void)arg;
	if (limits >= 0)
		each_name(d, limits, take_mailbox, (void *)name);
}

/* Mail of no account it knows, such as that of a web server's own user. */
static void take_unknown(struct da *d)
{
	_cleanup_free_ char *name = path_of(d, "limit_unknown");
	struct sw_lines l = {};
	uint32_t n = 0;
	char buf[24];

	if (name && read_number(d, d->fd, "limit_unknown", name, true, &l, &n) == 0) {
		d->any = true;
		fprintf(d->im->out, "; limit_unknown: %u%s\nunknown = %s\n", n,
			n ? "" : ", which is no limit", rate(n, buf));
	}
	sw_lines_close(&l);
}

static void take_name(struct da *d, int fd, const char *name, void *arg)
{
	(void)arg;
	(void)fd;
	if (!strcmp(name, "limit_unknown"))
		take_unknown(d);
	else if (!strncmp(name, "limit_", 6) && name[6])
		take_user(d, name);
	else if (!strcmp(name, "user_limit"))
		note_number(d, name,
			    "it limits each mailbox, and smtpwall knows accounts of the system "
			    "only; DirectAdmin's mail server keeps this limit");
	else if (!strncmp(name, DENY_LIST, strlen(DENY_LIST)))
		note_denied(d, name);
}

static void write_policy(struct da *d)
{
	sw_import_head(d->im, d->dir, "directadmin");
	fprintf(d->im->out,
		"\n[policy]\n"
		"; DirectAdmin denies no connect, so nothing is denied here either: what would\n"
		"; be is counted. When 'smtpwall report' is as it should be: mode = enforce\n"
		"; Root, mail and the delivery account of the mail server are exempt anyway.\n"
		"mode = observe\n"
		"\n[limit]\n"
		"; DirectAdmin counts mails through the mail server, and its limits stay there.\n"
		"; These count connects to other machines on count_ports, past the mail server;\n"
		"; one connect may carry several mails. See smtpwall.conf(5).\n");
}

static void import(struct da *d)
{
	int r;

	write_policy(d);
	write_default(d);
	r = each_name(d, d->fd, take_name, NULL);
	if (r == 0)
		r = each_name(d, d->fd, take_domain, NULL);
	if (r < 0)
		sw_import_error(d->im, d->dir, 0, "cannot read the directory: %s", strerror(-r));
	else if (!d->any && !d->mailboxes && !d->im->result->errors.n)
		sw_import_error(d->im, d->dir, 0,
				"there is no file limit, limit_USER or user_limit in it; name the "
				"directory that is /etc/virtual with DirectAdmin");
}

int sw_import_directadmin(const char *path, struct sw_import *ret)
{
	_cleanup_free_ char *below = NULL;
	_cleanup_close_ int fd = -1;
	struct sw_importer im;
	struct da d = { .im = &im, .dir = path };
	int r = sw_import_begin(&im, ret);

	if (r < 0)
		return r;
	if (asprintf(&below, "%s/etc/virtual", path) < 0)
		below = NULL;
	else
		fd = open(below, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0)
		d.dir = below;
	else
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d.fd = fd;
	if (!below)
		im.err = -ENOMEM;
	else if (fd < 0)
		sw_import_error(&im, path, 0, "cannot open the directory: %s; name the one that is "
				"/etc/virtual with DirectAdmin", strerror(errno));
	else
		import(&d);
	free(d.uid);
	return sw_import_end(&im);
}
