/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What process titles say about the script that runs, and paths as jails show them. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "attribute.h"
#include "util.h"

#define LSPHP "lsphp:"

const char *sw_attribute_in_jail(const char *path)
{
	static const struct {
		const char *place;
		int names;	/* that follow it: of the account, or a number and the account */
	} jails[] = {
		{ "/usr/share/cagefs-skeleton", 0 },	{ "/home/cagefs-skeleton", 0 },
		{ "/var/cagefs", 2 },			{ "/home/virtfs", 1 },
		{ "/home/jail", 0 },			{ "/home/chroot", 0 },
		{ "/var/jail", 0 },			{ "/jail", 0 },
		{ "/chroot", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(jails); i++) {
		const char *rest = path + strlen(jails[i].place);

		if (strncmp(path, jails[i].place, strlen(jails[i].place)) != 0 || *rest != '/')
			continue;
		for (int j = 0; j < jails[i].names && *rest; j++)
			rest += 1 + strcspn(rest + 1, "/");
		return *rest && rest[1] ? rest : NULL;
	}
	return NULL;
}

/* `name` as seen from `directory`, "." and ".." taken out as they stand: what runs there has no
 * links to follow any more. False: it does not fit, or leads above the root. */
static bool join(const char *directory, const char *name, char *ret, size_t size)
{
	size_t used = 0, len;

	if (snprintf(ret, size, "%s", directory) >= (int)size)
		return false;
	used = strlen(ret);
	while (used && ret[used - 1] == '/')
		ret[--used] = '\0';
	for (; *name; name += len) {
		name += strspn(name, "/");
		len = strcspn(name, "/");
		if (!len || (len == 1 && *name == '.'))
			continue;
		if (len == 2 && !memcmp(name, "..", 2)) {
			while (used && ret[used - 1] != '/')
				used--;
			if (!used)
				return false;
			ret[--used] = '\0';
			continue;
		}
		if (used + 1 + len >= size)
			return false;
		ret[used++] = '/';
		memcpy(ret + used, name, len);
		used += len;
		ret[used] = '\0';
	}
	return used > 0;
}

/* Whether `script` is the whole title and not what an interpreter runs. */
static bool is_title(const char *title, size_t len, const char *script)
{
	if (strlen(script) > len)
		return false;
	for (size_t i = 0; script[i]; i++)
		if (script[i] != title[i] && !(script[i] == ' ' && !title[i]))
			return false;
	return true;
}

/* sh -c "cd /home/alice/public_html && php cron.php": the first path in it. */
static bool find_in_command(const char *title, size_t len, char *ret, size_t size)
{
	static const char ends[] = " \t\n\"'`;&|()<>$={}";
	size_t shell = strlen(title), option = shell + 1, at;
	const char *base = strrchr(title, '/');

	base = base ? base + 1 : title;
	base += *base == '-';
	if (strcmp(base, "sh") != 0 && strcmp(base, "bash") != 0 && strcmp(base, "dash") != 0)
		return false;
	if (option >= len || title[option] != '-' || !strchr(title + option, 'c'))
		return false;
	for (at = option + strlen(title + option) + 1; at < len && title[at]; at++) {
		size_t path = strcspn(title + at, ends);

		if (title[at] == '/' && strchr(ends, title[at - 1]) && path > 1 && path < size) {
			snprintf(ret, size, "%.*s", (int)path, title + at);
			return true;
		}
	}
	return false;
}

bool sw_attribute_script(const char *title, size_t len, const char *script, const char *directory,
			 char *ret, size_t size, bool *cut)
{
	_cleanup_free_ char *copy = malloc(len + 2);

	*cut = false;
	if (!copy)
		return false;
	memcpy(copy, title, len);
	copy[len] = copy[len + 1] = '\0';
	if (!strncmp(copy, LSPHP, strlen(LSPHP))) {
		const char *path = copy + strlen(LSPHP);

		*cut = true;	/* LiteSpeed keeps the end where it does not fit */
		return *path && *path != ' ' && snprintf(ret, size, "%s", path) < (int)size;
	}
	if (is_title(copy, len, script)) {
		if (find_in_command(copy, len, ret, size))
			return true;
		script = copy;	/* a program of the account's own */
	}
	if (*script == '/')
		return join("", script, ret, size);
	/* Without a slash a program is one that was found in PATH. */
	return directory && *directory == '/' && (script != copy || strchr(script, '/')) &&
	       join(directory, script, ret, size);
}

/* The kernel keeps what fits of a program's name. */
static bool is_called(const char *comm, const char *name)
{
	size_t len = strnlen(comm, SW_COMM_LEN);

	return len == strnlen(name, SW_COMM_LEN - 1) && !memcmp(comm, name, len);
}

bool sw_attribute_agrees(const char *title, size_t len, const char *comm)
{
	static const char *const workers[] = { LSPHP, "php-fpm: " };
	char first[SW_ARGV_LEN + 1];
	const char *base;

	if (!comm)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(workers); i++) {
		size_t n = strlen(workers[i]);

		/* lsphp, lsphp82; php-fpm, php-fpm8.2 */
		if (len >= n && !memcmp(title, workers[i], n))
			return !strncmp(comm, workers[i], strcspn(workers[i], ":"));
	}
	while (len && !title[len - 1])	/* the rest of where the command line was */
		len--;
	snprintf(first, sizeof(first), "%.*s", (int)len, title);
	if (strlen(first) < len)
		return true;
	base = strrchr(first, '/');
	return is_called(comm, base ? base + 1 : first);
}
