/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rules as iptables-save and nft print them. */
#include <errno.h>
#include <string.h>

#include "conflicts.h"
#include "names.h"
#include "out.h"
#include "util.h"

#define CSF_CHAIN	"SMTPOUTPUT"
#define MAX_CHAINS	4096
#define MAX_WORD	256	/* longer ones are cut: none that matters is */

static const struct {
	const char *name, *family;
} filters[_SW_FILTER_MAX] = {
	[SW_FILTER_IPTABLES] = { "iptables", "ip" },
	[SW_FILTER_IP6TABLES] = { "ip6tables", "ip6" },
	[SW_FILTER_LEGACY] = { "iptables-legacy", "ip" },
	[SW_FILTER_LEGACY6] = { "ip6tables-legacy", "ip6" },
	[SW_FILTER_NFT] = { "nft", NULL },
};

/* Where nft's output is read. */
enum place { IN_NOTHING, IN_TABLE, IN_CHAIN, IN_OTHER };

/* A text that is taken apart, line by line and word by word. */
struct reader {
	struct sw_chains *c;
	enum sw_filter filter;
	size_t known;		/* chains from before */
	char family[8], table[SW_CHAIN_NAME];
	enum place place;
	long chain;		/* IN_CHAIN; -1: one from before */
	const char *line, *at;
	char word[MAX_WORD];	/* the next one; empty at the end of the line */
};

/* What is known about one rule. */
struct rule {
	bool owner, port, tcp, decides;
};

/* Words are parted by blanks; in quotes, with backslashes, they may hold any. */
static bool next(struct reader *r)
{
	const char *start;
	bool quoted = false;
	size_t n = 0;

	r->at += strspn(r->at, " \t");
	start = r->at;
	for (; *r->at && *r->at != '\n' && (quoted || !strchr(" \t", *r->at)); r->at++) {
		if (*r->at == '"') {
			quoted = !quoted;
			continue;
		}
		if (*r->at == '\\' && quoted && r->at[1] && r->at[1] != '\n')
			r->at++;
		if (n < sizeof(r->word) - 1)
			r->word[n++] = *r->at;
	}
	r->word[n] = '\0';
	return r->at > start;
}

static bool is(const struct reader *r, const char *word)
{
	return !strcmp(r->word, word);
}

static bool is_one_of(const struct reader *r, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (is(r, words[i]))
			return true;
	return false;
}

static bool is_legacy(enum sw_filter filter)
{
	return filter == SW_FILTER_LEGACY || filter == SW_FILTER_LEGACY6;
}

/* The chain of this name in the table that is read, or -1. */
static long find(const struct reader *r, const char *name)
{
	for (size_t i = 0; i < r->c->n; i++) {
		const struct sw_chain *chain = &r->c->item[i];

		if (!strcmp(chain->name, name) && !strcmp(chain->table, r->table) &&
		    !strcmp(chain->family, r->family) &&
		    is_legacy(chain->filter) == is_legacy(r->filter))
			return (long)i;
	}
	return -1;
}

/* The same, made where it is new; -1 when it is from before, or one too many; -ENOMEM. */
static long open_chain(struct reader *r, const char *name)
{
	struct sw_chains *c = r->c;
	struct sw_chain *chain;
	long at = find(r, name);

	if (at >= 0)
		return (size_t)at < r->known ? -1 : at;
	if (c->n >= MAX_CHAINS)
		return -1;
	if (c->n == c->room) {
		size_t room = c->room ? c->room * 2 : 32;
		struct sw_chain *grown = reallocarray(c->item, room, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		c->item = grown;
		c->room = room;
	}
	chain = &c->item[c->n];
	*chain = (struct sw_chain){ .filter = r->filter };
	snprintf(chain->family, sizeof(chain->family), "%s", r->family);
	snprintf(chain->table, sizeof(chain->table), "%s", r->table);
	snprintf(chain->name, sizeof(chain->name), "%s", name);
	return (long)c->n++;
}

/* A rule jumps to it; it may stand further down. */
static void call(struct reader *r, const char *name)
{
	long at = r->filter == SW_FILTER_NFT ? open_chain(r, name) : find(r, name);

	if (at >= 0)
		r->c->item[at].called = true;
}

static void count_rule(struct reader *r, struct sw_chain *chain, const struct rule *rule)
{
	const char *text = r->line + strspn(r->line, " \t");

	chain->rules++;
	if (rule->owner && rule->port && rule->tcp && rule->decides && !chain->owner_rules++)
		snprintf(chain->first, sizeof(chain->first), "%.*s", (int)strcspn(text, "\n"), text);
}

/* "25", "20:30", "20-30", or one of the names that older programs print. */
static bool covers(const char *spec, size_t len, uint16_t port)
{
	static const struct {
		const char *name;
		uint16_t port;
	} names[] = {
		{ "smtp", 25 }, { "submission", 587 }, { "submissions", 465 }, { "smtps", 465 },
		{ "urd", 465 }, { "ssmtp", 465 }, { "igmpv3lite", 465 },
	};
	char text[16], *dash;
	uint32_t low, high;

	if (!len || len >= sizeof(text))
		return false;
	memcpy(text, spec, len);
	text[len] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(text, names[i].name))
			return port == names[i].port;
	dash = strpbrk(text, ":-");
	if (dash)
		*dash++ = '\0';
	if (sw_id_parse(*text ? text : "0", &low) < 0)
		return false;
	high = low;
	if (dash && sw_id_parse(*dash ? dash : "65535", &high) < 0)
		return false;
	return port >= low && port <= high;
}

/* Whether one of these ports, with commas between, is one of the policy's; when the match is turned
 * round, whether one of the policy's is not among them. */
static bool has_port(const struct sw_chains *c, const char *list, bool negated)
{
	for (size_t i = 0; i < c->n_ports; i++) {
		bool covered = false;

		for (const char *p = list; *p; p += strspn(p, ",")) {
			size_t len = strcspn(p, ",");

			covered |= covers(p, len, c->ports[i]);
			p += len;
		}
		if (covered != negated)
			return true;
	}
	return false;
}

/* The words behind "-A CHAIN". */
static void iptables_rule(struct reader *r, struct rule *rule)
{
	static const char *const no_decision[] = {
		"LOG", "NFLOG", "ULOG", "MARK", "CONNMARK", "TRACE", "CT",
	};
	bool negated = false;

	while (next(r)) {
		bool was_negated = negated;

		negated = is(r, "!");
		if (is(r, "-m") && next(r)) {
			rule->owner |= is(r, "owner");
		} else if (is(r, "-p") && next(r)) {
			rule->tcp = (is(r, "tcp") || is(r, "6")) && !was_negated;
		} else if ((is(r, "--dport") || is(r, "--dports")) && next(r)) {
			rule->port = has_port(r->c, r->word, was_negated);
		} else if ((is(r, "-j") || is(r, "-g")) && next(r)) {
			rule->decides = !is_one_of(r, no_decision, ARRAY_SIZE(no_decision));
			call(r, r->word);
		}
	}
}

/* "*filter", ":CHAIN POLICY [0:0]" (built in, unless the policy is "-"), "-A CHAIN ...". */
static int iptables_line(struct reader *r)
{
	struct rule rule = {};
	long at;

	if (!next(r))
		return 0;
	if (r->word[0] == '*') {
		snprintf(r->table, sizeof(r->table), "%.*s", SW_CHAIN_NAME - 1, r->word + 1);
	} else if (r->word[0] == ':') {
		at = open_chain(r, r->word + 1);
		if (at < 0)
			return at == -ENOMEM ? -ENOMEM : 0;
		r->c->item[at].output = is(r, ":OUTPUT") || is(r, ":POSTROUTING");
		r->c->item[at].base = next(r) && !is(r, "-");
	} else if (is(r, "-A") && next(r)) {
		at = find(r, r->word);
		iptables_rule(r, &rule);
		if (at >= 0 && (size_t)at >= r->known)
			count_rule(r, &r->c->item[at], &rule);
	}
	return 0;
}

/* "jump NAME" or "goto NAME", also in a map: the name is the next word. */
static bool nft_jump(struct reader *r)
{
	if (!is(r, "jump") && !is(r, "goto"))
		return false;
	if (next(r)) {
		r->word[strcspn(r->word, ",")] = '\0';
		call(r, r->word);
	}
	return true;
}

/* What stands behind "dport": a port, a range, a set, a map of verdicts, the name of a set. */
static bool nft_ports(struct reader *r, struct rule *rule)
{
	bool negated = false, found = false;

	while (next(r) && (is(r, "!=") || is(r, "vmap"))) {
		negated |= is(r, "!=");
		rule->decides |= is(r, "vmap");
	}
	if (r->word[0] == '@')
		return true;	/* what is in it is not looked up */
	if (!is(r, "{"))
		return has_port(r->c, r->word, negated);
	while (next(r) && !is(r, "}"))
		if (!nft_jump(r))
			found |= has_port(r->c, r->word, false);
	return found != negated;
}

/* A line between "chain NAME {" and "}". */
static void nft_rule(struct reader *r, struct rule *rule)
{
	static const char *const verdicts[] = {
		"accept", "drop", "reject", "redirect", "dnat", "return", "queue", "vmap",
	};
	bool behind_tcp = false, is_tcp;

	for (; r->word[0]; next(r)) {
		is_tcp = is(r, "tcp") || is(r, "th");
		rule->owner |= is(r, "skuid") || is(r, "skgid");
		rule->decides |= is_one_of(r, verdicts, ARRAY_SIZE(verdicts)) || nft_jump(r);
		if (is(r, "dport") && behind_tcp) {
			rule->tcp = true;
			rule->port |= nft_ports(r, rule);
		}
		behind_tcp = is_tcp;
	}
}

/* "type filter hook output priority filter; policy accept;" */
static void nft_hook(struct reader *r, struct sw_chain *chain)
{
	while (next(r))
		if (is(r, "hook") && next(r)) {
			chain->base = true;
			chain->output = is(r, "output") || is(r, "postrouting");
		}
}

static void nft_in_chain(struct reader *r)
{
	struct rule rule = {};

	if (is(r, "}")) {
		r->place = IN_TABLE;
	} else if (is(r, "type") && r->chain >= 0) {
		nft_hook(r, &r->c->item[r->chain]);
	} else {
		nft_rule(r, &rule);
		if (r->chain >= 0)
			count_rule(r, &r->c->item[r->chain], &rule);
	}
}

static int nft_in_table(struct reader *r)
{
	if (is(r, "}")) {
		r->place = IN_NOTHING;
	} else if (is(r, "chain") && next(r)) {
		r->chain = open_chain(r, r->word);
		r->place = IN_CHAIN;
		return r->chain == -ENOMEM ? -ENOMEM : 0;
	} else {	/* a set, a map, a counter: its elements are no rules */
		while (next(r))
			if (is(r, "{"))
				r->place = IN_OTHER;
	}
	return 0;
}

static int nft_line(struct reader *r)
{
	if (!next(r))
		return 0;
	switch (r->place) {
	case IN_NOTHING:
		if (is(r, "table") && next(r)) {
			snprintf(r->family, sizeof(r->family), "%.*s", (int)sizeof(r->family) - 1,
				 r->word);
			next(r);
			snprintf(r->table, sizeof(r->table), "%.*s", SW_CHAIN_NAME - 1, r->word);
			r->place = IN_TABLE;
		}
		return 0;
	case IN_TABLE:
		return nft_in_table(r);
	case IN_CHAIN:
		nft_in_chain(r);
		return 0;
	default:
		if (is(r, "}"))
			r->place = IN_TABLE;
		return 0;
	}
}

int sw_chains_add(struct sw_chains *c, enum sw_filter filter, const char *text)
{
	struct reader r = { .c = c, .filter = filter, .known = c->n };
	int err = 0;

	if (filters[filter].family)
		snprintf(r.family, sizeof(r.family), "%s", filters[filter].family);
	while (*text && !err) {
		r.line = r.at = text;
		err = filter == SW_FILTER_NFT ? nft_line(&r) : iptables_line(&r);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return err;
}

void sw_chains_free(struct sw_chains *c)
{
	free(c->item);
	c->item = NULL;
	c->n = c->room = 0;
}

static void tell_csf(const struct sw_chain *chain, struct sw_texts *ret)
{
	sw_texts_add(ret, "%s still has CSF's chain " CSF_CHAIN " with %u rule%s: it denies beside "
		     "smtpwall; set SMTP_BLOCK = \"0\" and run 'csf -r', or without CSF remove it with "
		     "'%s -F " CSF_CHAIN "'", filters[chain->filter].name, chain->rules,
		     chain->rules == 1 ? "" : "s", filters[chain->filter].name);
}

static void tell(const struct sw_chain *chain, struct sw_texts *ret)
{
	_cleanup_free_ char *table = sw_escape(chain->table, false);
	_cleanup_free_ char *name = sw_escape(chain->name, false);
	_cleanup_free_ char *first = sw_escape(chain->first, false);
	bool nft = chain->filter == SW_FILTER_NFT;

	sw_texts_add(ret, "%s decides by owner about SMTP: %u rule%s in chain %s of table %s%s%s, such as "
		     "'%s'; what smtpwall lets through it may still stop; take them out once smtpwall "
		     "enforces", filters[chain->filter].name, chain->owner_rules,
		     chain->owner_rules == 1 ? "" : "s", name ?: "?", nft ? chain->family : "",
		     nft ? " " : "", table ?: "?", first ?: "?");
}

void sw_chains_tell(const struct sw_chains *c, struct sw_texts *ret)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct sw_chain *chain = &c->item[i];

		if (!(chain->base ? chain->output : chain->called))
			continue;
		if (!strcmp(chain->name, CSF_CHAIN) && chain->rules && chain->filter != SW_FILTER_NFT)
			tell_csf(chain, ret);
		else if (chain->owner_rules)
			tell(chain, ret);
	}
}
