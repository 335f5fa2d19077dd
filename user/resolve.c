/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdarg.h>
#include <string.h>

#include "out.h"
#include "resolve_int.h"
#include "util.h"

#define N_FAMILIES	2	/* questions a name */
#define MAX_HOST_NAME	253

/* What came of one question. */
enum outcome { ANSWERED, NO_SUCH_NAME, NO_ANSWER };

/* What a name's entry is made of. */
struct answer {
	const char *name;
	const struct sw_lookup *q;	/* N_FAMILIES of them: IPv4, IPv6 */
	const struct sw_recalled *last;
	unsigned int timeout_ms;
	time_t now;
};

bool sw_resolve_is_name(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	size_t len = strlen(text);
	struct in_addr addr;

	return len > 0 && len <= MAX_HOST_NAME && strspn(text, allowed) == len && text[0] != '.' &&
	       text[0] != '-' && !strstr(text, "..") && !inet_aton(text, &addr);
}

int sw_resolve_add(struct sw_addrs *a, int family, const void *addr)
{
	struct sw_addr *item = reallocarray(a->item, a->n + 1, sizeof(*item));
	size_t len = family == AF_INET ? 4 : 16;

	if (!item)
		return -ENOMEM;
	a->item = item;
	item[a->n] = (struct sw_addr){ .b = { [10] = 0xff, [11] = 0xff } };
	memcpy(item[a->n++].b + 16 - len, addr, len);
	return 0;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sw_addr));
}

void sw_resolve_sort(struct sw_addrs *a)
{
	size_t kept = 0;

	if (a->n)
		qsort(a->item, a->n, sizeof(*a->item), compare);
	for (size_t i = 0; i < a->n; i++)
		if (!kept || compare(&a->item[kept - 1], &a->item[i]) != 0)
			a->item[kept++] = a->item[i];
	a->n = kept;
}

static bool is_of_family(const struct sw_addr *a, int family)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	return (memcmp(a->b, mapped, sizeof(mapped)) == 0) == (family == AF_INET);
}

/* Adds those of `from` that are of the family; AF_UNSPEC: all. */
static int add_all(struct sw_addrs *to, const struct sw_addrs *from, int family)
{
	int r = 0;

	for (size_t i = 0; i < from->n && r == 0; i++)
		if (family == AF_UNSPEC || is_of_family(&from->item[i], family))
			r = sw_resolve_add(to, AF_INET6, from->item[i].b);
	return r;
}

static enum outcome outcome_of(const struct sw_lookup *l)
{
	switch (l->error) {
	case 0:
		return l->addrs.n ? ANSWERED : NO_SUCH_NAME;
	case EAI_NONAME:
	case EAI_NODATA:
	case EAI_ADDRFAMILY:
		return NO_SUCH_NAME;
	default:
		return NO_ANSWER;	/* also EAI_FAIL: a server that refuses may not tomorrow */
	}
}

/* Why there was no answer, for people. */
static const char *why(const struct answer *a, const struct sw_lookup *l, char *buf, size_t len)
{
	if (l->error == EAI_INPROGRESS)
		snprintf(buf, len, "no answer within %g s", a->timeout_ms / 1000.0);
	else
		snprintf(buf, len, "%s", gai_strerror(l->error));
	return buf;
}

/* "NAME: " and the rest. */
static int say(struct sw_resolved *r, const struct answer *a, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static int say(struct sw_resolved *r, const struct answer *a, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0) {
		text = NULL;
		return -ENOMEM;
	}
	if (asprintf(&r->message, "%s: %s", a->name, text) < 0) {
		r->message = NULL;
		return -ENOMEM;
	}
	return 0;
}

/* No usable answer: what is remembered stays, and if nothing is, `status` says what that means. */
static int fall_back(struct sw_resolved *r, const struct answer *a, const char *problem,
		     enum sw_resolve_status status)
{
	char time[SW_TIME_LEN];
	int error;

	r->addrs.n = 0;
	if (!a->last->addrs.n) {
		r->status = status;
		return say(r, a, "%s%s", problem, status == SW_RESOLVE_UNKNOWN ?
			   "; no address of it is known, so its rules allow nothing yet" : "");
	}
	r->status = SW_RESOLVE_KEPT;
	r->found = a->last->found;
	error = add_all(&r->addrs, &a->last->addrs, AF_UNSPEC);
	return error < 0 ? error : say(r, a, "%s; its last addresses, of %s, stay", problem,
				       sw_time_format(r->found, time));
}

/* One family did not answer: its last addresses join the new ones of the other. */
static int complete(struct sw_resolved *r, const struct answer *a, const struct sw_lookup *l)
{
	const char *family = l->family == AF_INET ? "IPv4" : "IPv6";
	char time[SW_TIME_LEN], reason[128];
	size_t before = r->addrs.n;

	if (add_all(&r->addrs, &a->last->addrs, l->family) < 0)
		return -ENOMEM;
	why(a, l, reason, sizeof(reason));
	if (r->addrs.n == before)
		return say(r, a, "DNS does not answer for its %s addresses (%s)", family, reason);
	if (a->last->found < r->found)
		r->found = a->last->found;
	return say(r, a, "DNS does not answer for its %s addresses (%s); the last ones, of %s, "
		   "stay", family, reason, sw_time_format(a->last->found, time));
}

static int take_answers(struct sw_resolved *r, const struct answer *a)
{
	int error = 0;

	r->status = SW_RESOLVE_FOUND;
	r->found = a->now;
	for (int i = 0; i < N_FAMILIES && !error; i++)
		if (outcome_of(&a->q[i]) == ANSWERED)
			error = add_all(&r->addrs, &a->q[i].addrs, AF_UNSPEC);
	for (int i = 0; i < N_FAMILIES && !error; i++)
		if (outcome_of(&a->q[i]) == NO_ANSWER)
			error = complete(r, a, &a->q[i]);
	return error;
}

/* What becomes of one name. */
static int judge(struct sw_resolved *r, const struct answer *a)
{
	bool answered = false;
	const struct sw_lookup *silent = NULL;
	char problem[256], reason[128];
	int error;

	if (!sw_resolve_is_name(a->name)) {
		r->status = SW_RESOLVE_INVALID;
		return say(r, a, "is no host name");
	}
	for (int i = 0; i < N_FAMILIES; i++) {
		answered |= outcome_of(&a->q[i]) == ANSWERED;
		if (!silent && outcome_of(&a->q[i]) == NO_ANSWER)
			silent = &a->q[i];
	}
	if (answered) {
		error = take_answers(r, a);
		sw_resolve_sort(&r->addrs);
		if (error < 0 || r->addrs.n <= SW_RESOLVE_MAX_ADDRS)
			return error;
		snprintf(problem, sizeof(problem), "has %zu addresses, more than the %d that a "
			 "name may have; use its networks instead", r->addrs.n,
			 SW_RESOLVE_MAX_ADDRS);
		r->found = 0;
		free(TAKE_PTR(r->message));
		return fall_back(r, a, problem, SW_RESOLVE_INVALID);
	}
	if (silent) {
		snprintf(problem, sizeof(problem), "DNS does not answer (%s)",
			 why(a, silent, reason, sizeof(reason)));
		return fall_back(r, a, problem, SW_RESOLVE_UNKNOWN);
	}
	return fall_back(r, a, "no such host, or it has no address", SW_RESOLVE_INVALID);
}

static void set_warning(struct sw_resolved_list *l, const char *state_dir, int r, const char *what)
{
	if (l->warning)
		return;
	if (r == -EPERM && !strcmp(what, "recall"))
		r = asprintf(&l->warning, "%s/names is not used: it has to be a plain file of "
			     "root's, writable by nobody else", state_dir);
	else
		r = asprintf(&l->warning, "cannot %s host names in %s: %s; the next failure of DNS "
			     "may leave them without addresses", what, state_dir, strerror(-r));
	if (r < 0)
		l->warning = NULL;
}

/* Two questions for each host name. What is none is not asked for: the resolver takes "1.2" for
 * an address. Returns how many there are. */
static size_t make_questions(const char *const *names, size_t n, struct sw_lookup *q)
{
	size_t used = 0;

	for (size_t i = 0; i < n; i++) {
		if (!sw_resolve_is_name(names[i]))
			continue;
		for (int f = 0; f < N_FAMILIES; f++)
			q[used++] = (struct sw_lookup){
				.name = names[i],
				.family = f ? AF_INET6 : AF_INET,
				.error = EAI_AGAIN,
			};
	}
	return used;
}

static int judge_all(const struct sw_resolver *how, const char *const *names,
		     const struct sw_lookup *q, const struct sw_recalled *last,
		     struct sw_resolved_list *l)
{
	int r = 0;

	for (size_t i = 0; i < l->n && r == 0; i++) {
		const struct answer a = {
			.name = names[i], .q = q, .last = &last[i],
			.timeout_ms = how->timeout_ms, .now = how->now,
		};

		if (sw_resolve_is_name(names[i]))
			q += N_FAMILIES;
		r = judge(&l->item[i], &a);
	}
	return r;
}

static int look_up(const struct sw_resolver *how, const char *const *names,
		   const struct sw_recalled *last, struct sw_resolved_list *l)
{
	_cleanup_free_ struct sw_lookup *q = calloc(l->n, N_FAMILIES * sizeof(*q));
	size_t n;
	int r;

	if (!q)
		return -ENOMEM;
	n = make_questions(names, l->n, q);
	if (n)
		(how->lookup ? how->lookup : sw_resolve_dns)(how->arg, q, n, how->timeout_ms);
	r = judge_all(how, names, q, last, l);
	for (size_t i = 0; i < n; i++)
		free(q[i].addrs.item);
	return r;
}

/* The look-up between what is recalled and what is remembered. */
static int look_up_with_state(const struct sw_resolver *how, const char *const *names,
			      struct sw_recalled *last, struct sw_resolved_list *l)
{
	int recalled = how->state_dir ? sw_recall(how->state_dir, names, l->n, last) : 0, r;

	if (recalled < 0 && recalled != -ENOENT)
		set_warning(l, how->state_dir, recalled, "recall");
	r = look_up(how, names, last, l);
	if (r < 0 || !how->state_dir || !how->remember)
		return r;
	/* What could not be read may still be good: it is not written over. */
	if (recalled < 0 && recalled != -ENOENT && recalled != -EPERM)
		return 0;
	recalled = sw_remember(how->state_dir, names, l->n, l->item);
	if (recalled < 0)
		set_warning(l, how->state_dir, recalled, "remember");
	return 0;
}

int sw_resolve(const struct sw_resolver *how, const char *const *names, size_t n,
	       struct sw_resolved_list *ret)
{
	_cleanup_free_ struct sw_recalled *last = calloc(n ? n : 1, sizeof(*last));
	struct sw_resolved_list l = { .item = calloc(n ? n : 1, sizeof(*l.item)), .n = n };
	struct sw_resolver h = *how;
	int r = last && l.item ? 0 : -ENOMEM;

	h.timeout_ms = h.timeout_ms ? h.timeout_ms : SW_RESOLVE_TIMEOUT_MS;
	h.now = h.now ? h.now : time(NULL);
	if (r == 0 && n)
		r = look_up_with_state(&h, names, last, &l);
	for (size_t i = 0; last && i < n; i++)
		free(last[i].addrs.item);
	if (r < 0)
		sw_resolved_free(&l);
	else
		*ret = l;
	return r;
}

void sw_resolved_free(struct sw_resolved_list *l)
{
	for (size_t i = 0; l->item && i < l->n; i++) {
		free(l->item[i].addrs.item);
		free(l->item[i].message);
	}
	free(l->item);
	free(l->warning);
	memset(l, 0, sizeof(*l));
}
