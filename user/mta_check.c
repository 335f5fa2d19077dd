/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the policy means for the mail servers of this machine. */
#include <errno.h>
#include <string.h>

#include "mta.h"
#include "mta_int.h"
#include "util.h"

/* Programs that accept connections on behalf of others. */
static const char *const super_servers[] = {
	"systemd", "xinetd", "inetd", "inetutils-inetd", "tcpserver", "tcpsvd", "ipsvd",
};

int sw_mta_exempt(const struct sw_mta_list *l, struct sw_policy *p)
{
	size_t i;
	int r;

	for (i = 0; i < l->n; i++) {
		const struct sw_mta *m = &l->item[i];
		_cleanup_free_ char *text = NULL;

		if (m->problem)
			continue;
		if (asprintf(&text, "delivery %s of %s (%s)", m->user ? "user" : "group", m->name,
			     m->binary) < 0) {
			text = NULL;
			return -ENOMEM;
		}
		r = sw_policy_add_source(p, text);
		if (r >= 0 && m->user)
			r = sw_policy_add_exempt(p, SW_KIND_UID, m->uid, m->user, (uint32_t)r, 0);
		else if (r >= 0)
			r = sw_policy_add_exempt(p, SW_KIND_GID, m->gid, m->group, (uint32_t)r, 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_exempt(const struct sw_policy *p, const struct sw_mta *m)
{
	return (m->user && sw_policy_find(p, SW_KIND_UID, m->uid)) ||
	       (m->group && sw_policy_find(p, SW_KIND_GID, m->gid));
}

/* The sentence may be missing when memory is short; the answer stays. */
static void explain_server(const struct sw_mta *m, char **why)
{
	int r;

	if (m->problem)
		r = asprintf(why, "%s is installed (%s), but %s; exempt the account it delivers as "
				  "under [exempt] users", m->name, m->binary, m->problem);
	else
		r = asprintf(why,
			     "%s is installed (%s) and delivers as %s '%s', which is not exempt; "
			     "add it to [exempt] %s, or set mta = auto",
			     m->name, m->binary, m->user ? "user" : "group",
			     m->user ? m->user : m->group, m->user ? "users" : "groups");
	if (r < 0)
		*why = NULL;
}

static void explain_listener(const struct sw_listener *w, bool exempt, char **why)
{
	const char *exe = w->exe ? w->exe : "an unknown program";
	int r;

	if (exempt)
		r = asprintf(why,
			     "%s (pid %d) listens on the mail port as UID %u, and the account it "
			     "delivers as is not known; exempt that account under [exempt] and "
			     "set mta = none",
			     exe, (int)w->pid, w->uid);
	else
		r = asprintf(why, "%s (pid %d) listens on the mail port as UID %u, which is not "
				  "exempt; add the UID to [exempt] users, or stop the program", exe,
			     (int)w->pid, w->uid);
	if (r < 0)
		*why = NULL;
}

static bool is_super_server(const char *exe)
{
	const char *slash = strrchr(exe, '/');
	size_t i;

	for (i = 0; i < ARRAY_SIZE(super_servers); i++)
		if (slash && !strcmp(slash + 1, super_servers[i]))
			return true;
	return false;
}

/* All servers of `l` are exempt by now. What listens for them from inetd or systemd is theirs. */
static bool is_covered(const struct sw_mta_list *l, const struct sw_listener *w)
{
	size_t i;

	if (!w->exe)
		return false;
	for (i = 0; i < l->n; i++)
		if (sw_mta_has_program(&l->item[i], w->exe))
			return true;
	return l->n && w->uid == 0 && is_super_server(w->exe);
}

bool sw_mta_would_be_denied(const struct sw_policy *p, const struct sw_mta_list *l,
			    const struct sw_listener_list *listeners, char **why)
{
	_cleanup_free_ char *text = NULL;
	bool denied = false, exempt;
	size_t i;

	for (i = 0; i < l->n && !denied; i++) {
		denied = !is_exempt(p, &l->item[i]);
		if (denied)
			explain_server(&l->item[i], &text);
	}
	for (i = 0; i < listeners->n && !denied; i++) {
		const struct sw_listener *w = &listeners->item[i];

		if (is_covered(l, w))
			continue;
		exempt = sw_policy_find(p, SW_KIND_UID, w->uid);
		denied = !exempt || (w->uid == 0 && p->mta == SW_MTA_AUTO);
		if (denied)
			explain_listener(w, exempt, &text);
	}
	if (denied && why)
		*why = TAKE_PTR(text);
	return denied;
}
