/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "control.h"
#include "mailers.h"
#include "mapread.h"
#include "names.h"
#include "util.h"

/* Where packages and panels put them. Links are followed: /etc/alternatives needs no mention. */
static const char *const paths[] = {
	"/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/sendmail", "/usr/local/sbin/sendmail",
	"/usr/local/bin/sendmail", "/usr/sbin/sendmail.postfix", "/usr/sbin/sendmail.exim",
	"/usr/sbin/sendmail.sendmail", "/usr/sbin/sendmail-mta", "/usr/libexec/sendmail/sendmail",
	"/usr/lib/sm.bin/sendmail", "/usr/sbin/exim4", "/usr/sbin/exim", "/usr/local/sbin/exim",
	"/usr/exim/bin/exim", "/usr/sbin/postdrop", "/usr/local/sbin/postdrop",
	"/var/qmail/bin/sendmail", "/var/qmail/bin/qmail-inject", "/usr/sbin/qmail-inject",
	"/usr/bin/qmail-inject", "/usr/bin/msmtp", "/usr/local/bin/msmtp", "/usr/sbin/ssmtp",
	"/usr/bin/nullmailer-inject", "/usr/sbin/smtpctl", "/usr/sbin/dma", "/usr/libexec/dma",
	"/usr/bin/esmtp", "/usr/sbin/mini_sendmail", "/usr/bin/mini_sendmail",
	"/usr/lib/courier/sendmail", "/usr/sbin/mailwrapper",
};

/* What a file may be called that does nothing else. */
static const char *const words[] = { "mail", "exim", "postdrop", "qmail", "inject", "smtp", "dma" };

/* Users that mail servers run as, of all packagers. */
static const char *const users[] = {
	"Debian-exim", "exim", "mailnull", "mail", "postfix", "smmsp", "smmta", "opensmtpd", "_smtpd",
	"_smtpq", "smtpd", "qmailq", "qmailr", "qmails", "qmaild", "nullmail", "courier",
};

uint32_t sw_mailers_dev(int fd, dev_t st_dev)
{
	_cleanup_free_ char *path = NULL, *line = NULL;
	_cleanup_fclose_ FILE *info = NULL, *mounts = NULL;
	unsigned int id = 0, at, major = major(st_dev), minor = minor(st_dev), x, y;
	size_t size = 0;

	if (asprintf(&path, "/proc/self/fdinfo/%d", fd) < 0) {
		path = NULL;
		return major << 20 | minor;
	}
	info = fopen(path, "re");
	while (info && getline(&line, &size, info) > 0)
		if (sscanf(line, "mnt_id: %u", &id) == 1)
			break;
	mounts = fopen("/proc/self/mountinfo", "re");
	while (mounts && getline(&line, &size, mounts) > 0)
		if (sscanf(line, "%u %*u %u:%u", &at, &x, &y) == 3 && at == id) {
			major = x;
			minor = y;
			break;
		}
	return major << 20 | minor;
}

/* One that is looked at. */
struct found {
	const char *path;	/* as it is called */
	char real[PATH_MAX];	/* and what that leads to, both without the root */
	struct sw_mailer_key key;
	bool script;
};

static bool find_real(int fd, const char *root, char real[PATH_MAX])
{
	_cleanup_free_ char *link = NULL;
	char full[PATH_MAX];
	ssize_t len;

	if (asprintf(&link, "/proc/self/fd/%d", fd) < 0) {
		link = NULL;
		return false;
	}
	len = readlink(link, full, sizeof(full) - 1);
	if (len < 0)
		return false;
	full[len] = '\0';
	snprintf(real, PATH_MAX, "%s", full + (strncmp(full, root, strlen(root)) ? 0 : strlen(root)));
	return true;
}

static bool look_at(const char *root, const char *path, struct found *ret)
{
	_cleanup_free_ char *full = NULL;
	_cleanup_close_ int fd = -1;
	char head[2] = "";
	struct stat st;

	if (asprintf(&full, "%s%s", root, path) < 0) {
		full = NULL;
		return false;
	}
	fd = open(full, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || !(st.st_mode & 0111) ||
	    !find_real(fd, root, ret->real))
		return false;
	ret->path = path;
	ret->key = (struct sw_mailer_key){ .ino = st.st_ino, .dev = sw_mailers_dev(fd, st.st_dev) };
	ret->script = pread(fd, head, sizeof(head), 0) == (ssize_t)sizeof(head) &&
		      !memcmp(head, "#!", sizeof(head));
	return true;
}

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool does_nothing_else(const char *real)
{
	const char *name = base(real);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (strstr(name, words[i]))
			return true;
	return false;
}

/* Does it start another mailer for the same mail? Postfix's sendmail starts postdrop, qmail's
 * qmail-inject, a script whatever it likes. Exim does all by itself. */
static uint32_t flags_of(const struct found *f)
{
	const char *name = base(f->real);
	bool chain = f->script || !strncmp(name, "sendmail", 8) || !strncmp(name, "mailwrap", 8);

	return SW_MAILER | (chain && !strstr(name, "exim") ? SW_MAILER_CHAIN : 0);
}

/* A file of several names: what one of them says about it holds for all. */
static void add_file(struct sw_mailers *m, struct sw_mailer_key key, uint32_t flags)
{
	size_t i = 0;

	while (i < m->n_files && memcmp(&m->file[i].key, &key, sizeof(key)) != 0)
		i++;
	if (i < m->n_files)
		m->file[i].flags &= flags;
	else if (i < SW_MAILERS_MAX)
		m->file[m->n_files++] = (struct sw_mailer_row){ key, flags };
}

static void add_name(struct sw_mailers *m, const char *path, uint32_t flags)
{
	struct sw_mailer_name_row row = { .flags = flags };

	if (strlen(path) >= sizeof(row.name.path) || m->n_names == SW_MAILERS_MAX)
		return;
	memcpy(row.name.path, path, strlen(path));
	for (size_t i = 0; i < m->n_names; i++)
		if (!memcmp(&m->name[i].name, &row.name, sizeof(row.name)))
			return;
	m->name[m->n_names++] = row;
}

void sw_mailers_find(const char *root, struct sw_mailers *ret)
{
	struct found f;

	*ret = (struct sw_mailers){};
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		if (!look_at(root, paths[i], &f))
			continue;
		if (does_nothing_else(f.real)) {
			add_file(ret, f.key, flags_of(&f));
			add_name(ret, f.real, flags_of(&f));
		}
		add_name(ret, f.path, flags_of(&f));
	}
	for (size_t i = 0; i < ARRAY_SIZE(users) && ret->n_files; i++) {
		struct sw_mailer_key key = { .dev = SW_DEV_NONE };
		uid_t uid;

		if (sw_user_resolve(users[i], &uid, NULL) < 0 || !uid || !sw_uid_is_system(uid))
			continue;
		key.ino = uid;
		add_file(ret, key, SW_MAILER);
	}
}

static int delete_others(int fd, const void *rows, size_t n, size_t row_size)
{
	struct sw_map_dump d;
	int r = sw_map_dump(fd, &d);

	if (r < 0)
		return r;
	for (size_t i = 0; i < d.n && !r; i++) {
		bool there = false;

		for (size_t j = 0; j < n && !there; j++)
			there = !memcmp((const char *)rows + j * row_size, sw_map_key(&d, i), d.key_size);
		if (!there && bpf_map_delete_elem(fd, sw_map_key(&d, i)) < 0 && errno != ENOENT)
			r = -errno;
	}
	sw_map_dump_free(&d);
	return r;
}

/* The bits that spare nearly every execution a lookup. */
static void set_bits(const struct sw_mailers *m, uint64_t file[SW_MAILER_WORDS],
		     uint64_t name[SW_MAILER_WORDS])
{
	for (size_t i = 0; i < m->n_files; i++) {
		uint32_t bit = sw_mailer_bit(m->file[i].key.ino, m->file[i].key.dev);

		file[bit / 64] |= 1ULL << bit % 64;
	}
	for (size_t i = 0; i < m->n_names; i++) {
		uint32_t bit = sw_mailer_name_bit(&m->name[i].name);

		name[bit / 64] |= 1ULL << bit % 64;
	}
}

static int store_filters(int control_fd, const struct sw_mailers *m, bool keep)
{
	uint64_t file[SW_MAILER_WORDS] = { 0 }, name[SW_MAILER_WORDS] = { 0 };
	struct sw_control *c = sw_control_map(control_fd);

	if (!c)
		return -errno;
	set_bits(m, file, name);
	for (size_t i = 0; i < SW_MAILER_WORDS; i++) {
		__atomic_store_n(&c->mailer_filter[i], file[i] | (keep ? c->mailer_filter[i] : 0),
				 __ATOMIC_SEQ_CST);
		__atomic_store_n(&c->name_filter[i], name[i] | (keep ? c->name_filter[i] : 0),
				 __ATOMIC_SEQ_CST);
	}
	sw_control_unmap(c);
	return 0;
}

static int store_rows(int files_fd, int names_fd, const struct sw_mailers *m)
{
	for (size_t i = 0; i < m->n_files; i++)
		if (bpf_map_update_elem(files_fd, &m->file[i].key, &m->file[i].flags, BPF_ANY) < 0)
			return -errno;
	for (size_t i = 0; i < m->n_names; i++)
		if (bpf_map_update_elem(names_fd, &m->name[i].name, &m->name[i].flags, BPF_ANY) < 0)
			return -errno;
	return 0;
}

/* What is new first: at no time is one that stays not there. */
int sw_mailers_store(int files_fd, int names_fd, int control_fd, const struct sw_mailers *m)
{
	int r = store_rows(files_fd, names_fd, m);

	if (!r)
		r = store_filters(control_fd, m, true);
	if (!r)
		r = delete_others(files_fd, m->file, m->n_files, sizeof(m->file[0]));
	if (!r)
		r = delete_others(names_fd, m->name, m->n_names, sizeof(m->name[0]));
	return r ?: store_filters(control_fd, m, false);
}

int sw_mailers_refresh(int files_fd, int names_fd, int control_fd)
{
	_cleanup_free_ struct sw_mailers *m = malloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	sw_mailers_find("", m);
	return sw_mailers_store(files_fd, names_fd, control_fd, m);
}
