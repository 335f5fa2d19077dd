/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <limits.h>
#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "mta.h"
#include "mta_int.h"
#include "names.h"
#include "util.h"

/* What is known about each mail server that delivers to other machines. */
struct server {
	const char *name;
	const char *binary[6];	/* any of them means that it is installed */
	const char *user[6];	/* its packagers' delivery users, most telling first */
	const char *group;	/* delivers as its caller with this set-group-id */
	const char *ask[4];	/* argv of the program that tells the delivery user */
	const char *label;	/* what precedes the answer */
	const char *program[4];	/* its other programs; a directory when it ends in '/' */
	const char *needs;	/* only where this file exists, and no other server */
};

static const struct server servers[] = {
	{
		.name = "exim",
		.binary = { "/usr/sbin/exim4", "/usr/sbin/exim" },
		.user = { "Debian-exim", "exim", "mailnull", "mail" },
		.ask = { "", "-bP", "exim_user" },
		.label = "exim_user = ",
	}, {
		.name = "postfix",
		.binary = { "/usr/sbin/postfix" },
		.user = { "postfix" },
		.ask = { "/usr/sbin/postconf", "-h", "mail_owner" },
		.label = "",
		.program = { "/usr/lib/postfix/", "/usr/libexec/postfix/" },
	}, {
		.name = "sendmail",
		.binary = { "/usr/sbin/sendmail-mta", "/usr/sbin/sendmail.sendmail",
			    "/usr/libexec/sendmail/sendmail", "/usr/lib/sm.bin/sendmail" },
		.user = { "root" },
		.program = { "/usr/libexec/sendmail/", "/usr/lib/sm.bin/" },
	}, {
		.name = "opensmtpd",
		.binary = { "/usr/sbin/smtpd" },
		.user = { "opensmtpd", "_smtpd", "smtpd" },
	}, {
		.name = "qmail",
		.binary = { "/var/qmail/bin/qmail-remote", "/usr/sbin/qmail-remote" },
		.user = { "qmailr" },
		.program = { "/var/qmail/bin/" },
	}, {
		.name = "courier",
		.binary = { "/usr/lib/courier/courier/courierd",
			    "/usr/libexec/courier/courierd", "/usr/sbin/courier" },
		.user = { "courier", "daemon" },
		.program = { "/usr/sbin/couriertcpd", "/usr/lib/courier/",
			     "/usr/libexec/courier/" },
	}, {
		.name = "nullmailer",
		.binary = { "/usr/sbin/nullmailer-send" },
		.user = { "nullmail", "mail" },
	}, {
		.name = "dma",
		.binary = { "/usr/sbin/dma", "/usr/libexec/dma" },
		.group = "mail",
	}, {
		/* Built from source. Every mail server brings a program of this name, hence
		 * only where there is no other. */
		.name = "sendmail",
		.binary = { "/usr/sbin/sendmail" },
		.user = { "root" },
		.needs = "/etc/mail/sendmail.cf",
	},
};

/* Panels build Exim with a user of their own, beside what the distribution left behind. */
static const struct { const char *directory, *user; } panels[] = {
	{ "/usr/local/cpanel", "mailnull" },
	{ "/usr/local/directadmin", "mail" },
};

static bool is_program(const char *root, const char *path)
{
	_cleanup_free_ char *full = NULL;
	struct stat st;

	if (asprintf(&full, "%s%s", root, path) < 0) {
		full = NULL;
		return false;
	}
	return stat(full, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111);
}

static bool exists(const char *root, const char *path)
{
	_cleanup_free_ char *full = NULL;

	if (asprintf(&full, "%s%s", root, path) < 0) {
		full = NULL;
		return false;
	}
	return access(full, F_OK) == 0;
}

/* Whether the links of `path` end at a program of the same name. */
static bool keeps_its_name(const char *root, const char *path)
{
	_cleanup_free_ char *full = NULL, *real = NULL;

	if (asprintf(&full, "%s%s", root, path) < 0) {
		full = NULL;
		return false;
	}
	real = realpath(full, NULL);
	return real && !strcmp(basename(real), basename(full));
}

/* 0, or -ENOENT. Below a root it is the passwd file there; here, every name service. */
static int find_user(const char *root, const char *name, uid_t *ret)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *path = NULL;
	const struct passwd *pw;

	if (!*root)
		return sw_user_resolve(name, ret, NULL) < 0 ? -ENOENT : 0;
	if (asprintf(&path, "%s/etc/passwd", root) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	f = fopen(path, "re");
	while (f && (pw = fgetpwent(f)))
		if (!strcmp(pw->pw_name, name)) {
			*ret = pw->pw_uid;
			return 0;
		}
	return -ENOENT;
}

static int find_group(const char *root, const char *name, gid_t *ret)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *path = NULL;
	const struct group *gr;

	if (!*root)
		return sw_group_resolve(name, ret, NULL) < 0 ? -ENOENT : 0;
	if (asprintf(&path, "%s/etc/group", root) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	f = fopen(path, "re");
	while (f && (gr = fgetgrent(f)))
		if (!strcmp(gr->gr_name, name)) {
			*ret = gr->gr_gid;
			return 0;
		}
	return -ENOENT;
}

/* What the server says about itself, or NULL. Below a root nothing is run. */
static char *ask_server(const char *root, const struct server *s, const char *binary)
{
	const char *argv[ARRAY_SIZE(s->ask) + 1] = { NULL };
	_cleanup_free_ char *answer = NULL;
	size_t i;

	if (*root || !s->ask[0])
		return NULL;
	for (i = 0; i < ARRAY_SIZE(s->ask); i++)
		argv[i] = s->ask[i] && !*s->ask[i] ? binary : s->ask[i];
	if (sw_mta_ask(argv, SW_ASK_TIMEOUT_MS, &answer) < 0 ||
	    strncmp(answer, s->label, strlen(s->label)) != 0)
		return NULL;
	return strdup(answer + strlen(s->label));
}

/* Takes `name` as the delivery user if it is a system account; else says what is wrong. */
static int try_user(const char *root, const char *name, struct sw_mta *m)
{
	uint32_t uid_min = sw_uid_min(root);
	uid_t uid;
	int r;

	r = find_user(root, name, &uid);
	if (r < 0)
		return r;
	free(m->user);
	free(TAKE_PTR(m->problem));
	m->user = strdup(name);
	m->uid = uid;
	if (!m->user)
		return -ENOMEM;
	if (uid >= uid_min && asprintf(&m->problem,
				       "its delivery user '%s' (UID %u) is an ordinary "
				       "account: system accounts are below %u",
				       name, uid, uid_min) < 0) {
		m->problem = NULL;
		return -ENOMEM;
	}
	return m->problem ? -EPERM : 0;
}

static int try_group(const char *root, const char *name, struct sw_mta *m)
{
	gid_t gid;
	int r;

	r = find_group(root, name, &gid);
	if (r < 0)
		return r;
	if (gid >= sw_uid_min(root))
		return -ENOENT;
	m->group = strdup(name);
	m->gid = gid;
	return m->group ? 0 : -ENOMEM;
}

static int try_known_users(const char *root, const struct server *s, struct sw_mta *m)
{
	size_t i;
	int r = -ENOENT;

	for (i = 0; i < ARRAY_SIZE(panels) && !strcmp(s->name, "exim"); i++)
		if (exists(root, panels[i].directory) && try_user(root, panels[i].user, m) == 0)
			return 0;
	for (i = 0; i < ARRAY_SIZE(s->user) && s->user[i]; i++) {
		r = try_user(root, s->user[i], m);
		if (r == 0 || r == -ENOMEM)
			return r;
	}
	return m->problem ? -EPERM : r;
}

/* 0 with user, group or problem set; -ENOMEM. */
static int settle(const char *root, const struct server *s, struct sw_mta *m)
{
	_cleanup_free_ char *answer = ask_server(root, s, m->binary);
	int r;

	if (s->group)
		r = try_group(root, s->group, m);
	else if (answer)
		r = try_user(root, answer, m);
	else
		r = try_known_users(root, s, m);
	if (r == 0 || r == -ENOMEM || m->problem)
		return r == -ENOMEM ? r : 0;
	if (answer)
		r = asprintf(&m->problem, "it says that it delivers as '%s', which does not exist",
			     answer);
	else
		r = asprintf(&m->problem, "none of its known delivery accounts exists");
	if (r < 0) {
		m->problem = NULL;
		return -ENOMEM;
	}
	return 0;
}

static void free_mta(struct sw_mta *m)
{
	free(m->binary);
	free(m->user);
	free(m->group);
	free(m->problem);
}

static int add_server(const char *root, const struct server *s, struct sw_mta_list *l)
{
	struct sw_mta m = { .name = s->name, .uid = (uid_t)-1, .gid = (gid_t)-1 };
	struct sw_mta *grown;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->binary) && s->binary[i]; i++)
		if (is_program(root, s->binary[i]))
			break;
	if (i == ARRAY_SIZE(s->binary) || !s->binary[i])
		return 0;
	if (s->needs && (l->n || !exists(root, s->needs) || !keeps_its_name(root, s->binary[i])))
		return 0;

	grown = reallocarray(l->item, l->n + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->item = grown;
	m.binary = strdup(s->binary[i]);
	if (!m.binary || settle(root, s, &m) < 0) {
		free_mta(&m);
		return -ENOMEM;
	}
	l->item[l->n++] = m;
	return 0;
}

int sw_mta_find(const char *root, struct sw_mta_list *ret)
{
	struct sw_mta_list l = { 0 };
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(servers); i++) {
		r = add_server(root, &servers[i], &l);
		if (r < 0) {
			sw_mta_free(&l);
			return r;
		}
	}
	*ret = l;
	return 0;
}

void sw_mta_free(struct sw_mta_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free_mta(&l->item[i]);
	free(l->item);
	memset(l, 0, sizeof(*l));
}

bool sw_mta_has_program(const struct sw_mta *m, const char *exe)
{
	_cleanup_free_ char *real = realpath(m->binary, NULL);
	size_t i, j;

	if (!strcmp(exe, m->binary) || (real && !strcmp(exe, real)))
		return true;
	for (i = 0; i < ARRAY_SIZE(servers); i++)
		for (j = 0; j < ARRAY_SIZE(servers[i].program) && servers[i].program[j]; j++) {
			const char *known = servers[i].program[j];
			size_t len = strlen(known);

			if (!strcmp(m->name, servers[i].name) && !strncmp(exe, known, len) &&
			    (known[len - 1] == '/' || !exe[len]))
				return true;
		}
	return false;
}
