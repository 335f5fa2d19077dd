/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single lines of smtpwall.conf about an account. */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "container.h"
#include "suggest_int.h"

/* A name that is nothing but a name to the configuration: no separator, no comment, no number. */
static bool is_plain(const char *name)
{
	bool letter = false;

	for (const char *p = name; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("._-", *p))
			return false;
		letter |= !isdigit((unsigned char)*p);
	}
	return letter && *name != '-' && strlen(name) < SW_SUGGEST_NAME;
}

const char *sw_suggest_name(const struct sw_suggest_account *a, char buf[SW_SUGGEST_NAME])
{
	if (a->user && is_plain(a->user))
		snprintf(buf, SW_SUGGEST_NAME, "%s", a->user);
	else
		snprintf(buf, SW_SUGGEST_NAME, "%u", a->uid);
	return buf;
}

const char *sw_suggest_addr(const uint8_t addr[16], char buf[INET6_ADDRSTRLEN])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	if (!memcmp(addr, mapped, sizeof(mapped)))
		inet_ntop(AF_INET, addr + 12, buf, INET6_ADDRSTRLEN);
	else
		inet_ntop(AF_INET6, addr, buf, INET6_ADDRSTRLEN);
	return buf;
}

/* Whether the configuration takes this path as one word. One that has lost its top is none. */
static bool is_path(const char *path, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (path[i] <= ' ' || path[i] > '~' || path[i] == ',')
			return false;
	return len > 1 && *path == '/';
}

/* Up to and with the first component that ends in `suffix`, the whole path without one. */
static size_t cut_behind(const char *path, const char *suffix)
{
	size_t len = strlen(suffix);

	for (const char *p = path; (p = strstr(p, suffix)); p += len)
		if (!p[len] || p[len] == '/')
			return (size_t)(p - path) + len;
	return strlen(path);
}

bool sw_suggest_in_container(const struct sw_suggest_account *a)
{
	return a->cgroup && sw_container_is_one(a->cgroup);
}

/* The part of its cgroup that the account's container or service has; 0: neither, or it cannot be
 * written. What users name in their own part of the tree is no service. */
static size_t cgroup_len(const struct sw_suggest_account *a)
{
	size_t len;

	if (!a->cgroup)
		return 0;
	if (sw_suggest_in_container(a))
		len = cut_behind(a->cgroup, ".scope");
	else if (!strncmp(a->cgroup, "/system.slice/", strlen("/system.slice/")))
		len = cut_behind(a->cgroup, ".service");
	else
		return 0;
	return is_path(a->cgroup, len) ? len : 0;
}

/* A line that is too long is none. */
#define put_line(line, ...)						\
	do {								\
		if (snprintf(line, SW_SUGGEST_LINE, __VA_ARGS__) >= SW_SUGGEST_LINE) \
			(line)[0] = '\0';				\
	} while (0)

void sw_suggest_user_rule(const struct sw_suggest_dest *d, const struct sw_suggest_account *a,
		      char line[SW_SUGGEST_LINE])
{
	char name[SW_SUGGEST_NAME], addr[INET6_ADDRSTRLEN];

	put_line(line, "rule = user %s to %s port %u", sw_suggest_name(a, name),
		 sw_suggest_addr(d->addr, addr), d->port);
}

void sw_suggest_cgroup_rule(const struct sw_suggest_dest *d, const struct sw_suggest_account *a,
			char line[SW_SUGGEST_LINE])
{
	size_t len = cgroup_len(a);
	char addr[INET6_ADDRSTRLEN];

	line[0] = '\0';
	if (len)
		put_line(line, "rule = cgroup %.*s to %s port %u", (int)len, a->cgroup,
			 sw_suggest_addr(d->addr, addr), d->port);
}

void sw_suggest_users(const struct sw_suggest_seen *seen, const struct sw_suggest_account *a,
		      char line[SW_SUGGEST_LINE])
{
	const char *others = seen->default_users ?: "";
	char name[SW_SUGGEST_NAME];

	put_line(line, "users = %s%s%s", others, *others ? " " : "", sw_suggest_name(a, name));
}

void sw_suggest_cgroups(const struct sw_suggest_account *a, char line[SW_SUGGEST_LINE])
{
	size_t len = cgroup_len(a);

	line[0] = '\0';
	if (len)
		put_line(line, "cgroups = %.*s", (int)len, a->cgroup);
}
