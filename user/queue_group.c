/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages on their way into groups: memory depends on how many origins there are. */
#include <errno.h>
#include <string.h>

#include "queue_int.h"
#include "util.h"

#define FNV_START	14695981039346656037ULL
#define FNV_PRIME	1099511628211ULL

/* ---- Backscatter ---- */

static bool is_name_of_host(const char *domain, const char *host)
{
	size_t len = strlen(host);

	/* Either of the two may be the short one. */
	return !strcasecmp(domain, "localhost") || !strcasecmp(domain, host) ||
	       (len && !strncasecmp(domain, host, len) && domain[len] == '.') ||
	       !strcasecmp(domain, "localhost.localdomain");
}

/* A bounce that this machine made, to somebody who has no mailbox here: the sender of the mail
 * that bounced, who is forged more often than not. */
static bool is_backscatter(const struct sw_queue_work *w, const struct sw_queue_message *m)
{
	const char *at = m->recipient ? strrchr(m->recipient, '@') : NULL;

	if (m->via != SW_QUEUE_SERVER || !at || is_name_of_host(at + 1, w->host))
		return false;
	return !w->c->domains || !sw_domains_find(w->c->domains, at + 1);
}

/* ---- Groups ---- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
	hash = (hash ^ (text ? 1 : 2)) * FNV_PRIME;
	for (; text && *text; text++)
		hash = (hash ^ (unsigned char)*text) * FNV_PRIME;
	return hash;
}

static uint64_t hash_key(const struct sw_queue_message *m)
{
	uint64_t hash = (FNV_START ^ m->uid) * FNV_PRIME;

	hash = (hash ^ (uint64_t)m->via) * FNV_PRIME;
	hash = hash_text(hash_text(hash_text(hash, m->auth), m->script), m->sender);
	return hash ^ hash >> 32;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool is_of(const struct sw_queue_group *g, const struct sw_queue_message *m)
{
	return g->uid == m->uid && g->via == m->via && same_text(g->sender, m->sender) &&
	       same_text(g->script, m->script) && same_text(g->auth, m->auth);
}

static int grow_slots(struct sw_queue_work *w)
{
	size_t n = w->n_slots ? 4 * w->n_slots : 1024;
	uint32_t *slot = calloc(n, sizeof(*slot));

	if (!slot)
		return -ENOMEM;
	for (size_t i = 0; i < w->q->n_groups; i++) {
		const struct sw_queue_group *g = &w->q->group[i];
		const struct sw_queue_message key = {
			.uid = g->uid, .via = g->via, .auth = g->auth, .script = g->script,
			.sender = g->sender,
		};
		size_t at = hash_key(&key) & (n - 1);

		while (slot[at])
			at = (at + 1) & (n - 1);
		slot[at] = (uint32_t)i + 1;
	}
	free(w->slot);
	w->slot = slot;
	w->n_slots = n;
	return 0;
}

static int copy_text(const char *text, char **ret)
{
	*ret = text ? strdup(text) : NULL;
	return text && !*ret ? -ENOMEM : 0;
}

static int add_group(struct sw_queue_work *w, const struct sw_queue_message *m,
		     struct sw_queue_group **ret)
{
	struct sw_queue *q = w->q;
	struct sw_queue_group *g;

	if (q->n_groups == w->groups_room) {
		size_t room = w->groups_room ? 2 * w->groups_room : 64;

		g = reallocarray(q->group, room, sizeof(*g));
		if (!g)
			return -ENOMEM;
		q->group = g;
		w->groups_room = room;
	}
	g = &q->group[q->n_groups++];
	*g = (struct sw_queue_group){ .uid = m->uid, .via = m->via };
	*ret = g;
	return copy_text(m->auth, &g->auth) ?: copy_text(m->script, &g->script) ?:
	       copy_text(m->sender, &g->sender);
}

/* The group of `m`, made where there is room: up to `max` of them. 0; -ENOSPC; -ENOMEM. */
static int find_group(struct sw_queue_work *w, const struct sw_queue_message *m, size_t max,
		      struct sw_queue_group **ret)
{
	size_t at;
	int r = 2 * w->q->n_groups >= w->n_slots ? grow_slots(w) : 0;

	if (r < 0)
		return r;
	for (at = hash_key(m) & (w->n_slots - 1); w->slot[at]; at = (at + 1) & (w->n_slots - 1)) {
		*ret = &w->q->group[w->slot[at] - 1];
		if (is_of(*ret, m))
			return 0;
	}
	if (w->q->n_groups >= max)
		return -ENOSPC;
	r = add_group(w, m, ret);
	w->slot[at] = (uint32_t)w->q->n_groups;
	return r;
}

/* Of its own; else of its UID; else of what is left. */
static int group_of(struct sw_queue_work *w, const struct sw_queue_message *m,
		    struct sw_queue_group **ret)
{
	const struct sw_queue_message coarse = { .uid = m->uid, .via = m->via };
	const struct sw_queue_message rest = { .uid = SW_UID_NONE };
	int r = find_group(w, m, SW_QUEUE_GROUPS_MAX, ret);

	if (r == -ENOSPC)
		r = find_group(w, &coarse, SW_QUEUE_GROUPS_MAX + SW_QUEUE_GROUPS_MAX / 2, ret);
	return r == -ENOSPC ? find_group(w, &rest, SIZE_MAX, ret) : r;
}

static void add_to(struct sw_queue_sum *sum, const struct sw_queue_message *m, bool backscatter)
{
	sum->messages++;
	sum->recipients += m->recipients;
	sum->size += m->size;
	sum->frozen += m->frozen;
	sum->bounces += m->sender && !*m->sender;
	sum->backscatter += backscatter;
	if (!m->received)
		return;
	if (!sum->oldest || m->received < sum->oldest)
		sum->oldest = m->received;
	if (m->received > sum->newest)
		sum->newest = m->received;
}

void sw_queue_take(struct sw_queue_work *w, const struct sw_queue_message *message)
{
	struct sw_queue_message m = *message;
	bool bounce = m.sender && !*m.sender;
	struct sw_queue_group *g;
	bool backscatter;

	if ((w->c->frozen && !m.frozen) || (w->c->bounces && !bounce))
		return;
	/* Of other mail the header may have come from anywhere. */
	if (m.via != SW_QUEUE_SENDMAIL)
		m.script = NULL;
	w->error = group_of(w, &m, &g);
	if (w->error)
		return;
	if (!g->sum.messages || (m.received && m.received < g->sum.oldest)) {
		g->mta = w->spool->mta;
		snprintf(g->message, sizeof(g->message), "%s", m.id);
	}
	backscatter = bounce && is_backscatter(w, &m);
	add_to(&g->sum, &m, backscatter);
	add_to(&w->spool->sum, &m, backscatter);
	add_to(&w->q->sum, &m, backscatter);
}
