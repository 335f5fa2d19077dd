/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "names.h"
#include "policy.h"
#include "util.h"

#define DEFAULT_UIDS		32768
#define DEFAULT_ORIGINS		16384
#define DEFAULT_EVENT_BUFFER	(512 * 1024)

/* root always; mail only where it is the distribution's account and no customer's. */
static int add_default_exempt(struct sw_policy *p)
{
	uid_t uid;
	int r;

	r = sw_policy_add_exempt(p, SW_KIND_UID, 0, "root", 0, 0);
	if (r < 0)
		return r;
	if (sw_user_resolve("mail", &uid, NULL) < 0 || !sw_uid_is_system(uid))
		return 0;
	return sw_policy_add_exempt(p, SW_KIND_UID, uid, "mail", 0, 0);
}

int sw_policy_default(struct sw_policy *ret)
{
	struct sw_policy p = {
		.mode = SW_MODE_ENFORCE,
		.deny_ports = { 25 },
		.n_deny_ports = 1,
		.count_ports = { 465, 587 },
		.n_count_ports = 2,
		.refuse_with = SW_REFUSE_REFUSED,
		.mta = SW_MTA_AUTO,
		.allow_local = true,
		.existing_close = true,
		.max_uids = DEFAULT_UIDS,
		.max_origins = DEFAULT_ORIGINS,
		.event_buffer = DEFAULT_EVENT_BUFFER,
	};
	int r;

	r = sw_policy_add_source(&p, "built-in default");
	if (r >= 0)
		r = add_default_exempt(&p);
	if (r < 0) {
		sw_policy_free(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void sw_policy_free(struct sw_policy *p)
{
	size_t i;

	for (i = 0; i < p->n_exempt; i++)
		free(p->exempt[i].name);
	for (i = 0; i < p->n_sources; i++)
		free(p->sources[i]);
	free(p->exempt);
	free(p->sources);
	memset(p, 0, sizeof(*p));
}

int sw_policy_add_source(struct sw_policy *p, const char *text)
{
	char **grown, *copy;
	size_t i;

	for (i = 0; i < p->n_sources; i++)
		if (!strcmp(p->sources[i], text))
			return (int)i;

	grown = reallocarray(p->sources, p->n_sources + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->sources = grown;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	p->sources[p->n_sources] = copy;
	return (int)p->n_sources++;
}

/* Depth of a cgroup path below the root: "/a.slice/b.service" is 2. */
static uint8_t path_level(const char *path)
{
	unsigned int n = 0;

	for (; *path; path++)
		n += *path != '/' && (path[1] == '/' || !path[1]);
	return n > UINT8_MAX ? UINT8_MAX : (uint8_t)n;
}

int sw_policy_add_exempt(struct sw_policy *p, enum sw_kind kind, uint64_t id, const char *name,
			 uint32_t source, uint32_t line)
{
	struct sw_exempt *grown;
	char *copy;

	if (sw_policy_find(p, kind, id))
		return 0;
	grown = reallocarray(p->exempt, p->n_exempt + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	p->exempt = grown;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	p->exempt[p->n_exempt++] = (struct sw_exempt){
		.kind = kind,
		.id = id,
		.name = copy,
		.source = source,
		.line = line,
		.level = kind == SW_KIND_CGROUP ? path_level(name) : 0,
	};
	return 0;
}

const struct sw_exempt *sw_policy_find(const struct sw_policy *p, enum sw_kind kind, uint64_t id)
{
	size_t i;

	for (i = 0; i < p->n_exempt; i++)
		if (p->exempt[i].kind == kind && p->exempt[i].id == id)
			return &p->exempt[i];
	return NULL;
}

static const char *word(const char *const *words, size_t n, size_t i)
{
	return i < n && words[i] ? words[i] : "unknown";
}

const char *sw_mode_name(enum sw_mode mode)
{
	static const char *const words[] = { "enforce", "observe", "redirect" };

	return word(words, ARRAY_SIZE(words), (size_t)mode);
}

const char *sw_kind_name(enum sw_kind kind)
{
	static const char *const words[] = {
		[SW_KIND_UID] = "user", [SW_KIND_GID] = "group", [SW_KIND_CGROUP] = "cgroup",
	};

	return word(words, ARRAY_SIZE(words), (size_t)kind);
}

const char *sw_verdict_name(enum sw_verdict verdict)
{
	static const char *const words[] = { "allow", "deny", "observe", "limited", "redirect" };

	return word(words, ARRAY_SIZE(words), (size_t)verdict);
}
