/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One entry of csf.allow or csf.deny: an address, or a filter such as tcp|out|d=25|d=192.0.2.1.
 * CSF looks for the parts of a filter in a fixed order and skips what it does not expect there,
 * without a word; this reads them in the same way (csf.pl, linefilter).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "import_int.h"
#include "names.h"
#include "util.h"

#define MAX_FIELDS	6

/* Whether an IPv6 network has all of IPv4, as it looks in a v4-mapped address, within it. */
static bool covers_ipv4(const struct sw_import_net *n)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

	for (uint32_t i = 0; i < n->prefix && i < 96; i++)
		if ((n->addr[i / 8] ^ mapped[i / 8]) & (0x80 >> i % 8))
			return false;
	return n->prefix <= 96;
}

/* 0; -ENOENT: no address; -EDOM: a loopback address, which CSF skips; -ERANGE: all of IPv4 or
 * IPv6. */
static int parse_net(const char *text, struct sw_import_net *ret)
{
	struct sw_import_net n = { .family = AF_INET, .prefix = 32 };
	size_t len = strcspn(text, "/");
	char addr[INET6_ADDRSTRLEN];
	uint32_t prefix;

	if (len >= sizeof(addr))
		return -ENOENT;
	snprintf(addr, sizeof(addr), "%.*s", (int)len, text);
	if (inet_pton(AF_INET, addr, n.addr) != 1) {
		n.family = AF_INET6;
		n.prefix = 128;
		if (inet_pton(AF_INET6, addr, n.addr) != 1)
			return -ENOENT;
	}
	if (text[len] == '/' && text[len + 1]) {
		if (sw_id_parse(text + len + 1, &prefix) < 0 || prefix > n.prefix)
			return -ENOENT;
		if (!prefix)
			return -ERANGE;
		n.prefix = prefix;
	}
	if (n.family == AF_INET6 && covers_ipv4(&n))
		return -ERANGE;
	if (!strcmp(addr, "127.0.0.1") ||
	    (n.family == AF_INET6 && IN6_IS_ADDR_LOOPBACK((struct in6_addr *)n.addr)))
		return -EDOM;
	*ret = n;
	return 0;
}

void sw_import_net_text(const struct sw_import_net *n, char buf[SW_IMPORT_NET_LEN])
{
	uint32_t bits = n->family == AF_INET ? 32 : 128;
	char addr[INET6_ADDRSTRLEN];
	uint8_t masked[16];

	for (uint32_t i = 0; i < bits / 8; i++) {
		uint32_t kept = n->prefix > i * 8 ? n->prefix - i * 8 : 0;

		masked[i] = n->addr[i] & (kept >= 8 ? 0xff : (uint8_t)(0xff00 >> kept));
	}
	inet_ntop(n->family, masked, addr, sizeof(addr));
	if (n->prefix == bits)
		snprintf(buf, SW_IMPORT_NET_LEN, "%s", addr);
	else
		snprintf(buf, SW_IMPORT_NET_LEN, "%s/%u", addr, n->prefix);
}

static bool is_mapped(const struct sw_import_net *n)
{
	return n->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)n->addr) &&
	       n->prefix >= 96;
}

/* The text behind the first `tag` in `field`, or NULL. */
static char *behind(char *field, const char *tag)
{
	char *at = strstr(field, tag);

	return at ? at + strlen(tag) : NULL;
}

static void lower(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

/* Finds "d=" or "s=" in the fields from `from` up to before `to`; the field behind it, or 0. */
static int find_either(char **field, int from, int to, char **dest, char **source)
{
	for (int i = from; i < to; i++) {
		*dest = behind(field[i], "d=");
		*source = *dest ? NULL : behind(field[i], "s=");
		if (*dest || *source)
			return i + 1;
	}
	return 0;
}

static void find_address(char **field, int from, struct sw_import_filter *f)
{
	char *dest = NULL, *source = NULL;
	int r;

	if (!find_either(field, from, 4, &dest, &source))
		return;
	r = parse_net(dest ? dest : source, &f->net);
	f->has_dest = dest && r == 0;
	f->has_source = source && r == 0;
	f->everything = dest && r == -ERANGE;
	f->mapped = f->has_dest && is_mapped(&f->net);
	f->address = dest ? dest : source;
}

static void find_owner(char **field, int from, struct sw_import_filter *f)
{
	for (int i = from; i < 5 && !f->uid && !f->gid; i++) {
		f->uid = behind(field[i], "u=");
		f->gid = f->uid ? NULL : behind(field[i], "g=");
	}
}

static void read_fields(char *text, char **field)
{
	static char none[] = "";

	for (int i = 0; i < MAX_FIELDS; i++) {
		field[i] = text ? strsep(&text, "|") : none;
		if (!field[i])
			field[i] = none;
	}
}

static void read_filter(char *text, struct sw_import_filter *f)
{
	static const char *const protocols[] = { "tcp", "udp", "icmp" };
	char *field[MAX_FIELDS];
	int from = 0, next;

	if (!strchr(text, '|'))		/* the old separator */
		for (char *s = text; (s = strchr(s, ':'));)
			*s = '|';
	read_fields(text, field);
	for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
		if (!strcmp(field[0], protocols[i])) {
			f->other_protocol = i > 0;
			from = 1;
		}
	for (int i = from; i < 2; i++)
		if (!strcmp(field[i], "out") || !strcmp(field[i], "in")) {
			f->out = field[i][0] == 'o';
			from = i + 1;
			break;
		}
	next = find_either(field, from, 3, &f->dport, &f->sport);
	from = next ? next : from;
	find_address(field, from, f);
	find_owner(field, from, f);
}

void sw_import_filter_parse(char *entry, struct sw_import_filter *ret)
{
	struct sw_import_filter f = {};
	int r;

	lower(entry);
	r = parse_net(entry, &f.net);
	f.plain = r == 0 || r == -EDOM || r == -ERANGE;
	f.has_dest = r == 0;
	f.loopback = r == -EDOM;
	f.everything = r == -ERANGE;
	f.mapped = f.has_dest && is_mapped(&f.net);
	f.filter = !f.plain && strpbrk(entry, ":|");
	if (f.filter)
		read_filter(entry, &f);
	*ret = f;
}

/* "25", "25_30", "25:30", ":30" or "25:" into first and last. 0 or -EINVAL. */
static int parse_range(char *text, uint32_t *first, uint32_t *last)
{
	char *colon = strpbrk(text, "_:");

	*first = 0;
	*last = UINT16_MAX;
	if (!colon) {
		if (sw_id_parse(text, first) < 0)
			return -EINVAL;
		*last = *first;
	} else {
		*colon = '\0';
		if ((*text && sw_id_parse(text, first) < 0) ||
		    (colon[1] && sw_id_parse(colon + 1, last) < 0))
			return -EINVAL;
	}
	return *first <= *last && *last <= UINT16_MAX ? 0 : -EINVAL;
}

int sw_import_filter_ports(const char *list, const uint16_t *ports, size_t n, bool *hit)
{
	_cleanup_free_ char *copy = strdup(list);
	char *next = copy, *word;
	uint32_t first, last;
	int hits = 0;

	if (!copy)
		return -ENOMEM;
	memset(hit, 0, n * sizeof(*hit));
	while ((word = strsep(&next, ","))) {
		if (parse_range(word, &first, &last) < 0)
			return -EINVAL;
		for (size_t i = 0; i < n; i++)
			hit[i] |= ports[i] >= first && ports[i] <= last;
	}
	for (size_t i = 0; i < n; i++)
		hits += hit[i];
	return hits;
}
