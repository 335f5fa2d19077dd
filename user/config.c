/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "config.h"
#include "config_int.h"
#include "digest.h"
#include "out.h"
#include "util.h"

#define MAX_FILE	(1024 * 1024)	/* bytes of one configuration file */
#define MAX_ERRORS	1000		/* nobody reads more; bounds memory */

void sw_diag_free(struct sw_diag *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		free(d->text[i]);
	free(d->text);
	memset(d, 0, sizeof(*d));
}

/* Configuration text ends up on terminals: no control characters. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
}

static int diag_add(struct sw_diag *d, const char *file, unsigned int line, const char *fmt,
		    va_list ap)
{
	_cleanup_free_ char *what = NULL, *line_text = NULL;
	char **grown, *text;
	int r;

	if (d->n > MAX_ERRORS)
		return 0;
	r = d->n == MAX_ERRORS ? asprintf(&what, "too many errors; the rest is not shown") :
				 vasprintf(&what, fmt, ap);
	if (r < 0) {
		what = NULL;
		return -ENOMEM;
	}
	grown = reallocarray(d->text, d->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	d->text = grown;
	if (asprintf(&line_text, "%s:%u: %s", file, line, what) < 0) {
		line_text = NULL;
		return -ENOMEM;
	}
	clean(line_text);
	text = sw_escape(line_text, true);	/* and no bytes that are not UTF-8 */
	if (!text)
		return -ENOMEM;
	d->text[d->n++] = text;
	return 0;
}

int sw_diag_add(struct sw_diag *d, const char *file, unsigned int line, const char *fmt, ...)
{
	va_list ap;
	int r;

	va_start(ap, fmt);
	r = diag_add(d, file, line, fmt, ap);
	va_end(ap);
	return r;
}

void sw_config_report(struct sw_load *l, unsigned int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (diag_add(l->diag, l->file, line, fmt, ap) < 0)
		l->err = -ENOMEM;
	va_end(ap);
}

static const char *not_regular(const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		return "is a directory, not a configuration file";
	if (!S_ISREG(st->st_mode))
		return "is not a regular file";
	if (st->st_size > MAX_FILE)
		return "is larger than 1 MiB; this is no configuration file";
	return NULL;
}

/* conf.d takes no files that an account without a say in the policy has put there. */
static bool foreign(const struct stat *st, const struct stat *main_file)
{
	return (st->st_mode & S_IWOTH) ||
	       (st->st_uid != 0 && st->st_uid != geteuid() && st->st_uid != main_file->st_uid);
}

/* The whole file, or an entry in l->diag and `text` NULL. O_NONBLOCK: a FIFO must not hang. */
static void read_file(struct sw_load *l, struct stat *main_st, char **text, size_t *len)
{
	_cleanup_close_ int fd = open(l->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	_cleanup_free_ char *buf = NULL;
	struct stat st;
	size_t size, used = 0;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		sw_config_report(l, 0, "cannot open the file: %s; %s", strerror(errno),
				 errno == ENOENT ? "create it or name another with --config" :
						   "check its permissions, or run as root");
		return;
	}
	if (not_regular(&st)) {
		sw_config_report(l, 0, "%s", not_regular(&st));
		return;
	}
	if (l->main_file) {
		*main_st = st;
	} else if (foreign(&st, main_st)) {
		sw_config_report(l, 0, "belongs to UID %u with mode %04o, so others could change "
				       "the policy; chown root and chmod o-w it", st.st_uid,
				 st.st_mode & 07777);
		return;
	}
	size = (size_t)st.st_size + 1;	/* one more than there should be */
	buf = malloc(size);
	if (!buf) {
		l->err = -ENOMEM;
		return;
	}
	while (used < size && (n = read(fd, buf + used, size - used)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			sw_config_report(l, 0, "cannot read the file: %s", strerror(errno));
			return;
		}
		used += (size_t)n;
	}
	if (used == size) {
		sw_config_report(l, 0, "the file grew while it was read; try again");
		return;
	}
	*text = TAKE_PTR(buf);
	*len = used;
}

static void load_file(struct sw_load *l, const char *file, bool main_file, struct stat *main_st)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	int r;

	l->file = file;
	l->main_file = main_file;
	memset(l->first_line, 0, sizeof(l->first_line));
	r = sw_policy_add_source(&l->policy, file);
	if (r < 0) {
		l->err = r;
		return;
	}
	l->source = (uint32_t)r;
	read_file(l, main_st, &text, &len);
	if (!text || l->err)
		return;
	l->policy.config_digest = sw_digest(l->policy.config_digest, &len, sizeof(len));
	l->policy.config_digest = sw_digest(l->policy.config_digest, text, len);
	r = sw_config_text(file, text, len, sw_config_set, l, l->diag);
	if (r < 0)
		l->err = r;
}

static int is_snippet(const struct dirent *d)
{
	size_t len = strlen(d->d_name);

	return d->d_name[0] != '.' && len > 5 && !strcmp(d->d_name + len - 5, ".conf");
}

/* Not alphasort(): the order must not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void load_dir(struct sw_load *l, const char *path, struct stat *main_st)
{
	const char *slash = strrchr(path, '/');
	_cleanup_free_ char *dir = NULL;
	struct dirent **entry = NULL;
	int i, n;

	if (asprintf(&dir, "%.*sconf.d", slash ? (int)(slash - path + 1) : 0, path) < 0) {
		dir = NULL;
		l->err = -ENOMEM;
		return;
	}
	n = scandir(dir, &entry, is_snippet, by_name);
	if (n < 0 && errno == ENOENT)
		return;
	if (n < 0) {
		l->file = dir;
		sw_config_report(l, 0, "cannot read the directory: %s", strerror(errno));
		return;
	}
	for (i = 0; i < n; i++) {
		_cleanup_free_ char *file = NULL;

		if (asprintf(&file, "%s/%s", dir, entry[i]->d_name) < 0) {
			file = NULL;
			l->err = -ENOMEM;
		}
		if (!l->err)
			load_file(l, file, false, main_st);
		free(entry[i]);
	}
	free(entry);
}

static void report_at(struct sw_load *l, uint32_t source, unsigned int line, const char *what)
{
	l->file = l->policy.sources[source];
	sw_config_report(l, line, "%s", what);
}

/* A port may not be denied and counted; a default that is denied now is no longer counted. */
static void check_both(struct sw_load *l)
{
	struct sw_port_list *count = &l->count, *deny = &l->deny;
	size_t i, j, kept = 0;
	char what[128];

	for (i = 0; i < count->n; i++) {
		for (j = 0; j < deny->n && deny->item[j].port != count->item[i].port; j++)
			;
		if (j == deny->n) {
			count->item[kept++] = count->item[i];
		} else if (count->written) {
			snprintf(what, sizeof(what), "port %u is in count_ports and in deny_ports; "
						     "take it out of one", count->item[i].port);
			report_at(l, count->item[i].source, count->item[i].line, what);
		}
	}
	count->n = kept;
}

/* What can only be judged when all files are read. */
static void check_ports(struct sw_load *l)
{
	struct sw_port_list *count = &l->count, *deny = &l->deny, *last;
	struct sw_policy *p = &l->policy;
	size_t i;
	char what[128];

	if (!deny->n && !deny->listed)
		report_at(l, deny->source, deny->line, "deny_ports may not be empty; to deny "
						       "nothing use mode = observe");
	check_both(l);
	if (deny->n + count->n > SW_MAX_PORTS) {
		last = count->written ? count : deny;
		snprintf(what, sizeof(what), "deny_ports and count_ports list more than %d ports "
					     "together; shorten one", SW_MAX_PORTS);
		report_at(l, last->source, last->line, what);
	}
	for (i = 0; i < deny->n; i++)
		p->deny_ports[i] = deny->item[i].port;
	for (i = 0; i < count->n; i++)
		p->count_ports[i] = count->item[i].port;
	p->n_deny_ports = deny->n;
	p->n_count_ports = count->n;
	p->deny_at = (struct sw_place){ deny->source, deny->line };
	p->count_at = (struct sw_place){ count->source, count->line };
}

static void take_default_ports(struct sw_load *l)
{
	const struct sw_policy *p = &l->policy;
	size_t i;

	for (i = 0; i < p->n_deny_ports; i++)
		l->deny.item[i].port = p->deny_ports[i];
	for (i = 0; i < p->n_count_ports; i++)
		l->count.item[i].port = p->count_ports[i];
	l->deny.n = p->n_deny_ports;
	l->count.n = p->n_count_ports;
}

int sw_config_load(const char *path, int cgroup_fd, struct sw_policy *ret, struct sw_diag *diag)
{
	struct sw_load l = { .diag = diag, .cgroup_fd = cgroup_fd };
	struct stat main_st = { .st_uid = 0 };
	int r;

	r = sw_policy_default(&l.policy);
	if (r < 0)
		return r;
	take_default_ports(&l);
	if (path || access(SW_CONFIG_DEFAULT, F_OK) == 0 || errno != ENOENT)
		load_file(&l, path ? path : SW_CONFIG_DEFAULT, true, &main_st);
	if (!l.err)
		load_dir(&l, path ? path : SW_CONFIG_DEFAULT, &main_st);
	if (!l.err)
		check_ports(&l);
	if (!l.err)
		sw_config_check_rules(&l);
	if (!l.err)
		sw_config_check_alerts(&l);
	if (l.err || diag->n) {
		sw_policy_free(&l.policy);
		return l.err ? l.err : -EINVAL;
	}
	*ret = l.policy;
	return 0;
}
