/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "close.h"
#include "decide.h"
#include "existing.h"
#include "log.h"
#include "out.h"
#include "stats.h"
#include "util.h"

#define MAX_LINES	20	/* connections that are named one by one */

#define ROOT_CGROUP	1	/* the id of the root of the hierarchy */

/* The programs see what happens below the cgroup they are attached to, and nothing else. */
static bool is_covered(const struct sw_live *l, const struct sw_query *q)
{
	uint64_t attached = l->link[SW_HOOK_CONNECT4].cgroup_id;

	if (attached == ROOT_CGROUP)
		return true;
	for (int i = 0; i < SW_MAX_CGROUP_LEVELS && q->cgroup[i]; i++)
		if (q->cgroup[i] == attached)
			return true;
	return false;
}

/* A limit that is used up is no reason to cut what it let through. */
static bool is_denied(void *arg, const struct sw_query *q)
{
	const struct sw_live *l = *(const struct sw_live **)arg;
	struct sw_answer a;

	if (!is_covered(l, q))
		return false;
	if (sw_decide_live(l, q, &a) < 0)
		return false;	/* what cannot be judged stays */
	return a.verdict == SW_DENY || a.verdict == SW_REDIRECT;
}

static void name_peer(const struct sw_existing *c, char *buf, size_t len)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char addr[INET6_ADDRSTRLEN];
	bool v4 = !memcmp(c->addr, mapped, sizeof(mapped));

	inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? c->addr + 12 : c->addr, addr, sizeof(addr));
	snprintf(buf, len, v4 ? "%s:%u" : "[%s]:%u", addr, c->port);
}

static void tell(const struct sw_existing *c, struct sw_accounts *names)
{
	const char *user = sw_account_get(names, c->uid)->user;
	_cleanup_free_ char *comm = sw_escape(c->comm, false);
	char peer[INET6_ADDRSTRLEN + 10];

	name_peer(c, peer, sizeof(peer));
	log_info("%s an SMTP connection of %s (%u) to %s, pid %d %s%s%s",
		 c->closed ? "closed" : c->error ? "could not close" : "left open",
		 user ?: "no account", c->uid, peer, (int)c->pid, comm ?: "?",
		 c->error ? ": " : "", c->error ? strerror(-c->error) : "");
}

static void tell_all(const struct sw_existing_list *found, bool close)
{
	static struct sw_accounts names;

	for (size_t i = 0; i < found->n && i < MAX_LINES; i++)
		tell(&found->item[i], &names);
	if (found->n > MAX_LINES)
		log_info("and %zu more; %zu of %zu are closed", found->n - MAX_LINES,
			 found->n_closed, found->n);
	if (close && found->cannot_close)
		log_warn("this kernel closes no connections for others: %zu go on until their programs end "
			 "them", found->n);
	if (found->netns_missed || found->conns_missed)
		log_warn("connections of %u network namespaces, and %zu others, could not be looked at",
			 found->netns_missed, found->conns_missed);
	sw_accounts_free(&names);
}

int sw_close_denied(const struct sw_live *l, bool close)
{
	const struct sw_existing_job job = {
		.ports = l->settings.ports,
		.n_ports = l->settings.n_deny_ports,
		.close = close,
		.denied = is_denied,
		.arg = &l,
	};
	struct sw_existing_list found;
	int r = sw_existing_run(&job, &found);

	if (r < 0) {
		log_warn("connections that were made before cannot be looked at: %s", strerror(-r));
		return r;
	}
	tell_all(&found, close);
	sw_existing_free(&found);
	return 0;
}
