/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "names.h"
#include "util.h"

#define DEFAULT_UID_MIN	1000
#define MAX_ENTRY	(1024 * 1024)	/* bytes of one passwd or group entry */

int sw_id_parse(const char *text, uint32_t *ret)
{
	uint64_t n = 0;

	if (!*text || text[strspn(text, "0123456789")])
		return -EINVAL;
	for (; *text; text++) {
		n = n * 10 + (uint64_t)(*text - '0');
		if (n >= UINT32_MAX)
			return -ERANGE;
	}
	*ret = (uint32_t)n;
	return 0;
}

/* Name services disagree on how they say "no such entry": see getpwnam(3). */
static int lookup_error(int err)
{
	return err == 0 || err == ENOENT || err == ESRCH || err == EBADF || err == EPERM ?
		-ENOENT : -err;
}

/* By name, or by `id` when `name` is NULL. */
static int find_user(const char *name, uid_t id, uid_t *ret, char **ret_name)
{
	_cleanup_free_ char *buf = NULL;
	struct passwd pw, *found = NULL;
	size_t size;
	int err = ERANGE;

	for (size = 1024; err == ERANGE && size <= MAX_ENTRY; size *= 2) {
		free(TAKE_PTR(buf));
		buf = malloc(size);
		if (!buf)
			return -ENOMEM;
		err = name ? getpwnam_r(name, &pw, buf, size, &found) :
			     getpwuid_r(id, &pw, buf, size, &found);
	}
	if (!found)
		return lookup_error(err);
	if (pw.pw_uid == (uid_t)-1)
		return -ERANGE;
	if (ret_name && !(*ret_name = strdup(pw.pw_name)))
		return -ENOMEM;
	*ret = pw.pw_uid;
	return 0;
}

static int find_group(const char *name, gid_t id, gid_t *ret, char **ret_name)
{
	_cleanup_free_ char *buf = NULL;
	struct group gr, *found = NULL;
	size_t size;
	int err = ERANGE;

	for (size = 1024; err == ERANGE && size <= MAX_ENTRY; size *= 2) {
		free(TAKE_PTR(buf));
		buf = malloc(size);
		if (!buf)
			return -ENOMEM;
		err = name ? getgrnam_r(name, &gr, buf, size, &found) :
			     getgrgid_r(id, &gr, buf, size, &found);
	}
	if (!found)
		return lookup_error(err);
	if (gr.gr_gid == (gid_t)-1)
		return -ERANGE;
	if (ret_name && !(*ret_name = strdup(gr.gr_name)))
		return -ENOMEM;
	*ret = gr.gr_gid;
	return 0;
}

static int resolve(const char *text, uint32_t *ret, char **name,
		   int (*find)(const char *, uint32_t, uint32_t *, char **))
{
	_cleanup_free_ char *found = NULL;
	uint32_t id, same;
	int r;

	if (!*text)
		return -EINVAL;
	r = sw_id_parse(text, &id);
	if (r == -EINVAL)
		return find(text, 0, ret, name);
	if (r < 0)
		return r;
	if (name && find(NULL, id, &same, &found) < 0 && asprintf(&found, "%u", id) < 0) {
		found = NULL;
		return -ENOMEM;
	}
	if (name)
		*name = TAKE_PTR(found);
	*ret = id;
	return 0;
}

int sw_user_resolve(const char *text, uid_t *ret, char **name)
{
	return resolve(text, ret, name, find_user);
}

int sw_group_resolve(const char *text, gid_t *ret, char **name)
{
	return resolve(text, ret, name, find_group);
}

uint32_t sw_uid_min(const char *root)
{
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_free_ char *path = NULL, *line = NULL;
	uint32_t uid_min = DEFAULT_UID_MIN;
	size_t size = 0;
	char word[16];

	if (asprintf(&path, "%s/etc/login.defs", root) < 0) {
		path = NULL;
		return uid_min;
	}
	f = fopen(path, "re");
	if (!f)
		return uid_min;
	while (getline(&line, &size, f) > 0)
		if (sscanf(line, " UID_MIN %15s", word) == 1)
			(void)sw_id_parse(word, &uid_min);
	return uid_min;
}

bool sw_uid_is_system(uid_t uid)
{
	return uid < sw_uid_min("");
}
