/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <ctype.h>
#include <errno.h>
#include <pwd.h>
#include <string.h>

#include "canary.h"
#include "stats.h"
#include "util.h"

#define NSEC_PER_SEC	1000000000LL
#define SKETCH_CELLS	(SW_SKETCH_WORDS * 64)

/* What people call it, without its version; and its options that take the next argument. */
static const struct interpreter {
	const char *name;
	const char *takes;	/* option letters whose value is the next argument */
	const char *code;	/* option letters whose value is a program or a module */
	bool shell;		/* options may be joined: -euo pipefail */
} interpreters[] = {
	{ "php", "cdzSt", "rBRE", false },	{ "php-cgi", "cdTb", "", false },
	{ "php-fcgi", "cdTb", "", false },	{ "php-cli", "cdzSt", "rBRE", false },
	{ "lsphp", "cdbs", "r", false },	{ "perl", "I", "eE", false },
	{ "python", "WX", "cm", false },	{ "pypy", "WX", "cm", false },
	{ "ruby", "CIEr", "e", false },		{ "node", "rC", "ep", false },
	{ "nodejs", "rC", "ep", false },	{ "lua", "l", "e", false },
	{ "tclsh", "", "", false },		{ "bash", "oO", "c", true },
	{ "sh", "o", "c", true },		{ "dash", "o", "c", true },
	{ "ksh", "o", "c", true },		{ "zsh", "o", "c", true },
};

/* argv[0] to an interpreter, or NULL. "-bash" is a login shell, "php-cgi8.2" a version. */
static const struct interpreter *find_interpreter(const char *arg0)
{
	const char *base = strrchr(arg0, '/');
	size_t len;

	base = base ? base + 1 : arg0;
	if (*base == '-')
		base++;
	len = strlen(base);
	while (len > 0 && strchr("0123456789.-", base[len - 1]))
		len--;
	for (size_t i = 0; i < ARRAY_SIZE(interpreters); i++)
		if (strlen(interpreters[i].name) == len &&
		    !strncmp(interpreters[i].name, base, len))
			return &interpreters[i];
	return NULL;
}

/* The letter of a short option that has its value, if any, in the next argument; 0: it has none. */
static char option_letter(const struct interpreter *in, const char *arg)
{
	size_t len = strlen(arg);

	if (len == 2 || (in->shell && len > 2 && arg[1] != '-'))
		return arg[len - 1];
	return '\0';
}

/* First argument that is no option: what the interpreter runs. NULL when there is none, and when
 * the program stands on the command line itself: then the whole title says more. */
static const char *find_script(const struct interpreter *in, const char *arg, const char *end)
{
	for (; arg < end; arg += strlen(arg) + 1) {
		char letter;

		if (!strcmp(arg, "--"))
			return arg + 3 < end && arg[3] ? arg + 3 : NULL;
		if (!strcmp(arg, "-"))
			return NULL;	/* standard input */
		if (*arg != '-' && *arg)
			return arg;
		letter = option_letter(in, arg);
		if (letter && strchr(in->code, letter))
			return NULL;
		if (letter && strchr(in->takes, letter))
			arg += strlen(arg) + 1;
		if (arg >= end)
			return NULL;
	}
	return NULL;
}

char *sw_script(const char *argv, size_t len, const char *comm)
{
	_cleanup_free_ char *title = NULL;
	const struct interpreter *in;
	const char *script = NULL;
	char *bracketed;

	while (len > 0 && (argv[len - 1] == '\0' || isspace((unsigned char)argv[len - 1])))
		len--;
	if (!len) {
		if (asprintf(&bracketed, "[%.*s]", SW_COMM_LEN, comm) < 0)
			return NULL;
		return bracketed;
	}
	title = malloc(len + 1);
	if (!title)
		return NULL;
	memcpy(title, argv, len);
	title[len] = '\0';
	in = find_interpreter(title);
	if (in)
		script = find_script(in, title + strlen(title) + 1, title + len);
	if (script)
		return strdup(script);
	for (size_t i = 0; i < len; i++)
		if (title[i] == '\0')
			title[i] = ' ';
	return TAKE_PTR(title);
}

unsigned int sw_sketch_estimate(const uint64_t sketch[SW_SKETCH_WORDS], bool *full)
{
	double estimate = 0;
	int used = 0;

	for (int i = 0; i < SW_SKETCH_WORDS; i++)
		used += __builtin_popcountll(sketch[i]);
	if (full)
		*full = used == SKETCH_CELLS;
	if (used == SKETCH_CELLS)
		used--;
	/* Linear counting: m ln(m / empty cells), the logarithm as the sum that approximates it. */
	for (int i = SKETCH_CELLS; i > SKETCH_CELLS - used; i--)
		estimate += SKETCH_CELLS / (i - 0.5);
	return (unsigned int)(estimate + 0.5);
}

uint64_t sw_stat_attempts(const struct sw_stat *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < _SW_N_MAX; i++)
		sum += s->n[i];
	return sum;
}

uint64_t sw_stat_offences(const struct sw_stat *s)
{
	return s->n[SW_N_DENIED] + s->n[SW_N_WOULD_DENY] + s->n[SW_N_LIMITED];
}

/* The offset between the clocks is that of this moment: one remembered from an earlier one would
 * be wrong after the wall clock was set. */
static time_t wall_time(const struct sw_stats_raw *raw, uint64_t mono_ns)
{
	if (!mono_ns)
		return 0;
	return (time_t)((raw->wall_ns - raw->mono_ns + (int64_t)mono_ns) / NSEC_PER_SEC);
}

static void fill_times(const struct sw_stats_raw *raw, uint64_t first_ns, uint64_t last_ns,
		       struct sw_stat *s)
{
	/* A row is visible for an instant before its first attempt is written to it. */
	s->last_ns = last_ns ? last_ns : first_ns;
	s->first = wall_time(raw, first_ns);
	s->last = wall_time(raw, s->last_ns);
}

static void format_destination(const uint8_t addr[16], uint16_t port, char *ret)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char text[INET6_ADDRSTRLEN];

	if (!port)
		return;
	if (!memcmp(addr, mapped, sizeof(mapped))) {
		inet_ntop(AF_INET, addr + 12, text, sizeof(text));
		snprintf(ret, SW_DESTINATION_LEN, "%s:%u", text, port);
	} else {
		inet_ntop(AF_INET6, addr, text, sizeof(text));
		snprintf(ret, SW_DESTINATION_LEN, "[%s]:%u", text, port);
	}
}

/* Directory and script of an ordinary origin, malloc'd. The kernel wrote the lengths, but a row
 * is read while it may be written: nothing here trusts them. */
static int fill_where(const struct sw_where *w, struct sw_stat *s)
{
	size_t off = w->path_off < SW_PATH_LEN ? w->path_off : SW_PATH_LEN - 1;
	size_t len = w->argv_len < SW_ARGV_LEN ? w->argv_len : SW_ARGV_LEN - 1;
	char *directory = NULL, *script;

	if (asprintf(&directory, "%s%.*s", w->flags & SW_PATH_CUT ? "..." : "",
		     (int)strnlen(w->path + off, SW_PATH_LEN - off), w->path + off) < 0)
		return -ENOMEM;
	s->directory = directory;
	script = sw_script(w->argv, len, w->comm);
	s->script = script;
	return script ? 0 : -ENOMEM;
}

static enum sw_row origin_row(const struct sw_origin_key *k)
{
	return k->dev == SW_DEV_NONE ? (enum sw_row)k->ino : SW_ROW_UID;
}

static int fill_origin(const struct sw_stats_raw *raw, const struct sw_origin_key *k,
		       const struct sw_origin *o, struct sw_stat *s)
{
	*s = (struct sw_stat){ .uid = k->uid, .row = origin_row(k) };
	memcpy(s->n, o->n, sizeof(s->n));
	memcpy(s->sketch, o->sketch, sizeof(s->sketch));
	s->destinations = sw_sketch_estimate(s->sketch, &s->destinations_full);
	fill_times(raw, o->first_ns, o->last_ns, s);
	format_destination(o->last_daddr, o->last_dport, s->last_destination);
	if (s->row == SW_ROW_MORE && !(s->directory = strdup("(more directories)")))
		return -ENOMEM;
	return s->row == SW_ROW_UID && o->filled ? fill_where(&o->where, s) : 0;
}

/* The canary of `verify` is ours and no account's. */
static bool is_canary(const struct sw_stat *s)
{
	return (s->row == SW_ROW_UID || s->row == SW_ROW_MORE) && s->uid == SW_CANARY_UID;
}

static int read_origins(const struct sw_stats_raw *raw, struct sw_stats *ret)
{
	const struct sw_map_dump *d = &raw->origins;

	ret->origins = calloc(d->n + 1, sizeof(*ret->origins));
	if (!ret->origins)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++) {
		struct sw_stat *s = &ret->origins[ret->n_origins];
		int r = fill_origin(raw, sw_map_key(d, i), sw_map_value(d, i), s);

		ret->n_origins++;
		if (r < 0)
			return r;
		if (s->row == SW_ROW_OVERFLOW)
			ret->origin_overflow += sw_stat_attempts(s);
		else
			ret->origin_rows++;
		if (is_canary(s) || !sw_stat_attempts(s)) {
			free((char *)s->directory);
			free((char *)s->script);
			*s = (struct sw_stat){};
			ret->n_origins--;
		}
	}
	return 0;
}

static int read_accounts(const struct sw_stats_raw *raw, struct sw_stats *ret)
{
	const struct sw_map_dump *d = &raw->uids;

	ret->accounts = calloc(d->n + 1, sizeof(*ret->accounts));
	if (!ret->accounts)
		return -ENOMEM;
	for (size_t i = 0; i < d->n; i++) {
		const struct sw_uid_key *k = sw_map_key(d, i);
		const struct sw_uid_stats *v = sw_map_value(d, i);
		struct sw_stat s = { .uid = k->uid, .row = (enum sw_row)k->row };

		memcpy(s.n, v->n, sizeof(s.n));
		fill_times(raw, v->first_ns, v->last_ns, &s);
		if (s.row == SW_ROW_OVERFLOW)
			ret->uid_overflow += sw_stat_attempts(&s);
		else
			ret->uid_rows++;
		if (!is_canary(&s) && sw_stat_attempts(&s))
			ret->accounts[ret->n_accounts++] = s;
	}
	return 0;
}

/* By the account a row belongs to. SW_ROW_MORE is an account's; SW_ROW_OVERFLOW is nobody's. */
static int compare_account(const void *a, const void *b)
{
	const struct sw_stat *x = a, *y = b;
	int x_row = x->row == SW_ROW_MORE ? SW_ROW_UID : x->row;
	int y_row = y->row == SW_ROW_MORE ? SW_ROW_UID : y->row;

	if (x_row != y_row)
		return x_row < y_row ? -1 : 1;
	if (x->uid != y->uid)
		return x->uid < y->uid ? -1 : 1;
	return 0;
}

/* Whether `a` says more about what an account does wrong than `b`. */
static bool is_more_telling(const struct sw_stat *a, const struct sw_stat *b)
{
	uint64_t a_bad = sw_stat_offences(a), b_bad = sw_stat_offences(b);

	if (a_bad != b_bad)
		return a_bad > b_bad;
	return sw_stat_attempts(a) > sw_stat_attempts(b);
}

/* What only origins know, for account `a` from its `n` origins. */
static void merge_origins(struct sw_stat *a, const struct sw_stat *origins, size_t n)
{
	const struct sw_stat *worst = origins, *newest = origins;

	for (size_t i = 0; i < n; i++) {
		for (int j = 0; j < SW_SKETCH_WORDS; j++)
			a->sketch[j] |= origins[i].sketch[j];
		if (is_more_telling(&origins[i], worst))
			worst = &origins[i];
		if (origins[i].last_ns > newest->last_ns)
			newest = &origins[i];
	}
	a->destinations = sw_sketch_estimate(a->sketch, &a->destinations_full);
	if (!n)
		return;
	memcpy(a->last_destination, newest->last_destination, sizeof(a->last_destination));
	a->directory = worst->directory;
	a->script = worst->script;
}

/* Both arrays are in the same order: one pass over each. */
static void join(struct sw_stats *s)
{
	size_t o = 0, n;

	for (size_t i = 0; i < s->n_accounts; i++) {
		struct sw_stat *a = &s->accounts[i];

		while (o < s->n_origins && compare_account(&s->origins[o], a) < 0)
			o++;
		for (n = 0; o + n < s->n_origins; n++)
			if (compare_account(&s->origins[o + n], a) != 0)
				break;
		/* Directories that found no room are of many accounts, not of those without one. */
		merge_origins(a, s->origins + o, a->row == SW_ROW_OVERFLOW ? 0 : n);
		o += n;
	}
}

int sw_stats_build(const struct sw_stats_raw *raw, struct sw_stats *ret)
{
	struct sw_stats s = {
		.uid_rows_max = raw->uid_rows_max,
		.origin_rows_max = raw->origin_rows_max,
		.now = (time_t)(raw->wall_ns / NSEC_PER_SEC),
	};
	int r = 0;

	if ((raw->uids.n && (raw->uids.key_size != sizeof(struct sw_uid_key) ||
			     raw->uids.value_size != sizeof(struct sw_uid_stats))) ||
	    (raw->origins.n && (raw->origins.key_size != sizeof(struct sw_origin_key) ||
				raw->origins.value_size != sizeof(struct sw_origin))))
		return -EINVAL;
	memcpy(s.counters, raw->counters, sizeof(s.counters));
	r = read_origins(raw, &s);
	if (!r)
		r = read_accounts(raw, &s);
	if (r < 0) {
		sw_stats_free(&s);
		return r;
	}
	qsort(s.origins, s.n_origins, sizeof(*s.origins), compare_account);
	qsort(s.accounts, s.n_accounts, sizeof(*s.accounts), compare_account);
	join(&s);
	*ret = s;
	return 0;
}

void sw_stats_free(struct sw_stats *s)
{
	for (size_t i = 0; i < s->n_origins; i++) {
		free((char *)s->origins[i].directory);
		free((char *)s->origins[i].script);
	}
	free(s->origins);
	free(s->accounts);
	*s = (struct sw_stats){};
}

static int read_counters(int fd, uint64_t ret[_SW_CTR_MAX])
{
	int n = libbpf_num_possible_cpus();
	_cleanup_free_ __u64 *cpu = n > 0 ? calloc((size_t)n, sizeof(*cpu)) : NULL;

	if (!cpu)
		return n > 0 ? -ENOMEM : n;
	for (__u32 i = 0; i < _SW_CTR_MAX; i++) {
		if (bpf_map_lookup_elem(fd, &i, cpu) < 0)
			return -errno;
		ret[i] = 0;
		for (int j = 0; j < n; j++)
			ret[i] += cpu[j];
	}
	return 0;
}

static int rows_max(int fd, uint64_t *ret)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	*ret = info.max_entries;
	return 0;
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

int sw_stats_read(const struct sw_live *l, struct sw_stats *ret)
{
	struct sw_stats_raw raw = {};
	int r;

	if (l->map_fd[SW_MAP_UID_STATS] < 0 || l->map_fd[SW_MAP_ORIGINS] < 0 ||
	    l->map_fd[SW_MAP_COUNTERS] < 0)
		return -ENOENT;
	r = rows_max(l->map_fd[SW_MAP_UID_STATS], &raw.uid_rows_max);
	if (!r)
		r = rows_max(l->map_fd[SW_MAP_ORIGINS], &raw.origin_rows_max);
	if (r < 0)
		return r;
	raw.wall_ns = clock_ns(CLOCK_REALTIME);
	raw.mono_ns = clock_ns(CLOCK_MONOTONIC);
	r = sw_map_dump(l->map_fd[SW_MAP_UID_STATS], &raw.uids);
	if (!r)
		r = sw_map_dump(l->map_fd[SW_MAP_ORIGINS], &raw.origins);
	if (!r)
		r = read_counters(l->map_fd[SW_MAP_COUNTERS], raw.counters);
	if (!r)
		r = sw_stats_build(&raw, ret);
	sw_map_dump_free(&raw.uids);
	sw_map_dump_free(&raw.origins);
	return r;
}

const struct sw_account *sw_account_get(struct sw_accounts *c, uint32_t uid)
{
	struct sw_account *a = &c->slot[uid % SW_ACCOUNT_SLOTS];
	const struct passwd *pw;

	if (a->known && a->uid == uid)
		return a;
	free(a->user);
	free(a->home);
	pw = getpwuid(uid);
	*a = (struct sw_account){
		.known = true,
		.uid = uid,
		.user = pw ? strdup(pw->pw_name) : NULL,
		.home = pw ? strdup(pw->pw_dir) : NULL,
	};
	return a;
}

void sw_accounts_free(struct sw_accounts *c)
{
	for (size_t i = 0; i < SW_ACCOUNT_SLOTS; i++) {
		free(c->slot[i].user);
		free(c->slot[i].home);
	}
	*c = (struct sw_accounts){};
}

bool sw_account_has_home(const struct sw_account *a, const char *path)
{
	size_t len = a->home ? strlen(a->home) : 0;

	while (len > 0 && a->home[len - 1] == '/')
		len--;
	return len > 0 && !strncmp(path, a->home, len) && (path[len] == '/' || !path[len]);
}
