/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "container.h"
#include "util.h"

#define ID_SHOWN	12	/* digits of a container's id, as docker ps shows them */
#define POD_ID_MIN	32	/* a UUID, with or without its dashes */
#define HEX		"0123456789abcdef"

struct part {
	const char *s;
	size_t len;
};

/* What has been read so far of a path, from the top. */
struct reading {
	struct part user;	/* number */
	struct part unit;
	struct part pod;
	const char *kind;	/* of the container; NULL: none */
	struct part name;	/* of the container */
};

static struct part part_of(const char *s)
{
	return (struct part){ s, strlen(s) };
}

static bool is_word(struct part p, const char *word)
{
	return p.len == strlen(word) && !memcmp(p.s, word, p.len);
}

/* Takes `prefix` off; false, and `p` as it was, when it does not begin so or nothing is left. */
static bool take_prefix(struct part *p, const char *prefix)
{
	size_t n = strlen(prefix);

	if (p->len <= n || memcmp(p->s, prefix, n) != 0)
		return false;
	*p = (struct part){ p->s + n, p->len - n };
	return true;
}

static bool take_suffix(struct part *p, const char *suffix)
{
	size_t n = strlen(suffix);

	if (p->len <= n || memcmp(p->s + p->len - n, suffix, n) != 0)
		return false;
	p->len -= n;
	return true;
}

/* What stands between the two; `ret` is written on success only. */
static bool between(struct part p, const char *prefix, const char *suffix, struct part *ret)
{
	if (!take_prefix(&p, prefix) || !take_suffix(&p, suffix))
		return false;
	*ret = p;
	return true;
}

/* Number of leading bytes out of `set`. */
static size_t span(struct part p, const char *set)
{
	size_t n = 0;

	while (n < p.len && strchr(set, p.s[n]))
		n++;
	return n;
}

static bool is_number(struct part p)
{
	return p.len > 0 && p.len <= 10 && span(p, "0123456789") == p.len;
}

/* Hex digits up to the end or a dot; the suffix may be cut off. Leaves what is to be shown. */
static bool take_id(struct part *p)
{
	size_t n = span(*p, HEX);

	if (n < ID_SHOWN || (n < p->len && p->s[n] != '.'))
		return false;
	p->len = ID_SHOWN;
	return true;
}

/* The next name of the path. A kubelet and a containerd that disagree about their driver make one
 * directory "...-podUID.slice:cri-containerd:ID", which is read as the names it is made of. */
static bool next_part(const char **path, struct part *ret)
{
	const char *slice;

	*path += strspn(*path, "/");
	*ret = (struct part){ *path, strcspn(*path, "/") };
	slice = memmem(ret->s, ret->len, ".slice:", 7);
	if (slice)
		ret->len = (size_t)(slice - ret->s) + 6;
	else if (take_prefix(ret, ":cri-containerd:"))
		*path = ret->s;
	*path += ret->len;
	return ret->len > 0;
}

/* kubepods-burstable-podUID.slice, with _ for the dashes of the UID, or podUID. */
static bool is_pod(struct part p, struct part *ret)
{
	const char *dash = NULL;

	if (take_suffix(&p, ".slice")) {
		dash = memmem(p.s, p.len, "-pod", 4);
		if (!dash || !memmem(p.s, p.len, "kubepods", 8))
			return false;
		p = (struct part){ dash + 1, p.len - (size_t)(dash + 1 - p.s) };
	}
	if (!take_prefix(&p, "pod") || p.len < POD_ID_MIN || span(p, HEX "-_") != p.len)
		return false;
	*ret = p;
	return true;
}

static bool is_unit(struct part p)
{
	static const char *const suffixes[] = {
		".service", ".scope", ".socket", ".mount", ".swap",
	};

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		struct part rest = p;

		if (take_suffix(&rest, suffixes[i]))
			return true;
	}
	return false;
}

/* Containers that are known by an id. `parent` is the name above. */
static bool read_id(struct reading *r, struct part parent, struct part p)
{
	static const struct { const char *prefix, *kind; } names[] = {
		{ "docker-",		"docker" },
		{ "libpod-payload-",	"podman" },	/* --cgroups=split */
		{ "libpod-",		"podman" },
		{ "cri-containerd-",	"containerd" },
		{ "nerdctl-",		"containerd" },
		{ "crio-",		"cri-o" },
	};

	r->name = p;
	if ((r->pod.len || is_word(parent, "docker")) && take_id(&r->name)) {
		r->kind = "docker";	/* not shown for a pod */
		return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		r->name = p;
		if (take_prefix(&r->name, names[i].prefix) && take_id(&r->name)) {
			r->kind = names[i].kind;
			return true;
		}
	}
	return false;
}

/* Containers that are known by a name. */
static bool read_name(struct reading *r, struct part parent, struct part p, unsigned int level)
{
	if (take_prefix(&p, "lxc.payload.") || (level == 2 && is_word(parent, "lxc")))
		r->kind = "lxc";
	else if (between(p, "machine-", ".scope", &p) ||
		 between(p, "systemd-nspawn@", ".service", &p))
		r->kind = "machine";
	r->name = p;
	return r->kind != NULL;
}

/* user-N.slice and user@N.service: whose the rest is. */
static bool read_user(struct reading *r, struct part p)
{
	if (!between(p, "user-", ".slice", &p) && !between(p, "user@", ".service", &p))
		return false;
	if (!is_number(p))
		return false;
	if (!r->user.len)
		r->user = p;
	return true;
}

static void read_path(const char *path, struct reading *r)
{
	struct part p, parent = {};
	unsigned int level = 0;

	memset(r, 0, sizeof(*r));
	for (; next_part(&path, &p); parent = p) {
		level++;
		if (!r->unit.len && !r->pod.len && read_user(r, p))
			continue;
		if (!r->pod.len && is_pod(p, &r->pod))
			continue;
		if (read_id(r, parent, p) || (!r->pod.len && read_name(r, parent, p, level)))
			return;
		if (!r->unit.len && is_unit(p))
			r->unit = p;
		if (level == 1 && take_prefix(&p, "lve") && is_number(p)) {
			r->kind = "lve";
			r->name = p;
			return;
		}
	}
	r->name = (struct part){};
}

struct text {
	char *buf;
	size_t len, used;
	bool cut;
};

static void put_char(struct text *t, char c)
{
	if (t->used + 1 < t->len)
		t->buf[t->used++] = c;
	else
		t->cut = true;
}

static void put(struct text *t, struct part p)
{
	for (size_t i = 0; i < p.len; i++)
		put_char(t, p.s[i]);
}

static int hex_digit(char c)
{
	const char *at = c ? strchr(HEX, c) : NULL;

	return at ? (int)(at - HEX) : -1;
}

/* \xHH as systemd writes it; \x00 would end the text and stays. */
static void put_unescaped(struct text *t, struct part p)
{
	for (size_t i = 0; i < p.len; i++) {
		int high = -1, low = -1;

		if (p.len - i >= 4 && p.s[i] == '\\' && p.s[i + 1] == 'x') {
			high = hex_digit(p.s[i + 2]);
			low = hex_digit(p.s[i + 3]);
		}
		if (high < 0 || low < 0 || (high == 0 && low == 0)) {
			put_char(t, p.s[i]);
		} else {
			put_char(t, (char)(high << 4 | low));
			i += 3;
		}
	}
}

static void put_words(struct text *t, const char *word, struct part name)
{
	if (t->used)
		put_char(t, ' ');
	put(t, part_of(word));
	put_char(t, ' ');
	put_unescaped(t, name);
}

/* The kubelet writes _ for the dashes of a pod's UID where a dash would nest slices. */
static void put_pod(struct text *t, const struct reading *r)
{
	if (t->used)
		put_char(t, ' ');
	put(t, part_of("kubernetes "));
	for (size_t i = 0; i < r->pod.len; i++)
		put_char(t, (char)(r->pod.s[i] == '_' ? '-' : r->pod.s[i]));
	if (r->kind) {
		put_char(t, '/');
		put_unescaped(t, r->name);
	}
}

int sw_container_describe(const char *path, char *buf, size_t len)
{
	struct text t = { .buf = buf, .len = len };
	struct reading r;

	read_path(path, &r);
	if (r.user.len)
		put_words(&t, "user", r.user);
	if (r.unit.len)
		put_words(&t, "unit", r.unit);
	if (r.pod.len)
		put_pod(&t, &r);
	else if (r.kind)
		put_words(&t, r.kind, r.name);
	if (!t.used)
		put(&t, part_of(path));
	if (len)
		buf[t.used] = '\0';
	return t.cut ? -ENAMETOOLONG : 0;
}

bool sw_container_is_one(const char *path)
{
	struct reading r;

	read_path(path, &r);
	return r.pod.len > 0 || (r.kind && strcmp(r.kind, "lve") != 0);
}
