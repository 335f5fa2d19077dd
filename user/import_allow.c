/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The lists beside csf.conf: one entry a line, '#' comments, and Include lines. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <search.h>
#include <string.h>

#include "import_int.h"
#include "names.h"
#include "util.h"

#define BLANKS		" \t"
#define MAX_DEPTH	8	/* of files that include files */
#define MAX_INCLUDED	64	/* files of one list */
#define MAX_RULES	(SW_IMPORT_MAX_CONF / 4 * 3)	/* bytes of [allow] */

struct list {
	struct sw_importer *im;
	const struct sw_import_smtp *smtp;
	void (*take)(struct list *, const struct sw_lines *, const char *line, char *entry);
	struct { uint64_t dev, ino; bool open; } seen[MAX_INCLUDED];
	size_t n_seen;
	size_t depth;
	struct sw_words *words;	/* csf.uidignore */
	void *rules;		/* tsearch(3) tree of the rules that are written */
	size_t rule_bytes;
	bool begun;		/* [allow] is written */
};

static void note(struct list *t, const struct sw_lines *l, bool idle, const char *line,
		 const char *why)
{
	sw_import_left(t->im, l, l->line, idle, line, "%s", why);
}

/* ---- Files ---- */

static void walk(struct list *t, struct sw_lines *l);

/* Whether the file `l` may be read now; if so it counts as open. */
static bool enter(struct list *t, const struct sw_lines *from, const char *line,
		  const struct sw_lines *l)
{
	for (size_t i = 0; i < t->n_seen; i++) {
		if (t->seen[i].dev != l->dev || t->seen[i].ino != l->ino)
			continue;
		note(t, from, !t->seen[i].open, line, t->seen[i].open ?
		     "the file includes itself; remove this line" :
		     "the file is included already; nothing to do");
		return false;
	}
	if (t->n_seen == MAX_INCLUDED || t->depth == MAX_DEPTH) {
		note(t, from, false, line, "too many files include each other; put their entries "
					   "into one file");
		return false;
	}
	t->seen[t->n_seen].dev = l->dev;
	t->seen[t->n_seen].ino = l->ino;
	t->seen[t->n_seen++].open = true;
	return true;
}

static void walk_included(struct list *t, const struct sw_lines *from, const char *line)
{
	const char *path = line + strlen("Include");
	struct sw_lines l;
	size_t mine;
	int r;

	path += strspn(path, BLANKS);
	if (*path != '/') {
		note(t, from, false, line,
		     "the path does not begin with '/'; write the whole path");
		return;
	}
	r = sw_lines_open(t->im, AT_FDCWD, path, path, &l);
	if (r == -ENOENT)
		note(t, from, false, line, strchr(path, '#') ?
		     "there is no such file, and behind Include CSF takes a comment for a part of "
		     "the path; move the comment" : "there is no such file; correct the path");
	else if (r == -ENXIO)
		note(t, from, false, line, "it is no regular file; correct the path");
	if (r < 0)
		return;
	mine = t->n_seen;
	if (enter(t, from, line, &l)) {
		t->depth++;
		walk(t, &l);
		t->depth--;
		t->seen[mine].open = false;
	}
	sw_lines_close(&l);
}

/* CSF skips every line with the word Include in it, wherever it stands. */
static void walk_line(struct list *t, struct sw_lines *l, const char *line)
{
	_cleanup_free_ char *entry = NULL;

	if (!*line || *line == '#')
		return;
	if (!l->indented && !strncmp(line, "Include", strlen("Include"))) {
		walk_included(t, l, line);
		return;
	}
	if (strstr(line, "Include")) {
		note(t, l, false, line,
		     "CSF skips lines with the word Include in them, and follows them only where "
		     "it is the first; correct the line");
		return;
	}
	entry = strndup(line, strcspn(line, BLANKS));
	if (!entry)
		t->im->err = -ENOMEM;
	else
		t->take(t, l, line, entry);
}

static void walk(struct list *t, struct sw_lines *l)
{
	char *line;

	while (!t->im->err && (line = sw_lines_next(l)))
		walk_line(t, l, line);
}

static void walk_list(struct list *t, const char *dir, const char *name)
{
	_cleanup_free_ char *path = NULL;
	struct sw_lines l;
	int r;

	t->n_seen = 0;
	if (asprintf(&path, "%s/%s", dir, name) < 0) {
		path = NULL;
		t->im->err = -ENOMEM;
		return;
	}
	r = sw_lines_open(t->im, AT_FDCWD, path, path, &l);
	if (r == -ENXIO)
		sw_import_error(t->im, path, 0, "is no regular file");
	if (r < 0)
		return;
	t->seen[0].dev = l.dev;
	t->seen[0].ino = l.ino;
	t->seen[0].open = true;
	t->n_seen = 1;
	walk(t, &l);
	sw_lines_close(&l);
}

/* ---- csf.allow ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Where CSF redirects it does so before it looks at csf.allow. */
static bool in_vain(const struct list *t)
{
	return t->smtp->redirect && t->smtp->enabled;
}

static void begin_rules(struct list *t)
{
	if (t->begun)
		return;
	t->begun = true;
	fprintf(t->im->out, "\n[allow]\n; csf.allow, which CSF looks at before SMTP_BLOCK.\n");
	if (in_vain(t))
		fprintf(t->im->out,
			"; But SMTP_REDIRECT comes before both: CSF lets none of these through.\n");
}

/* Who a rule is for: as it is written, and by number, since an account may have two names. */
struct who {
	char text[300], number[24];
};

/* Remembers the rule; false when it is written already, or after a failure. */
static bool is_new(struct list *t, const struct who *who, const char *dest, const char *ports)
{
	_cleanup_free_ char *key = NULL;

	if (asprintf(&key, "%s to %s%s", who->number, dest, ports) < 0) {
		key = NULL;
		t->im->err = -ENOMEM;
		return false;
	}
	if (tfind(key, &t->rules, by_text))
		return false;
	if (!tsearch(key, &t->rules, by_text)) {
		t->im->err = -ENOMEM;
		return false;
	}
	(void)TAKE_PTR(key);
	return true;
}

static void add_rule(struct list *t, const struct sw_lines *l, const char *line,
		     const struct who *who, const char *dest, const char *ports)
{
	size_t len = strlen("rule =  to \n;") + strlen(who->text) + strlen(dest) + strlen(ports);

	if (!is_new(t, who, dest, ports))
		return;
	if (in_vain(t))
		note(t, l, false, line, "with SMTP_REDIRECT on CSF redirects connects to this "
		     "destination as well; uncomment its rule to let them through");
	if (t->rule_bytes + len >= MAX_RULES) {
		note(t, l, false, line,
		     "the result would be larger than a smtpwall.conf may be; name networks in "
		     "place of single addresses");
		return;
	}
	begin_rules(t);
	t->rule_bytes += len;
	fprintf(t->im->out, "%srule = %s to %s%s\n", in_vain(t) ? ";" : "", who->text, dest, ports);
}

/* Ports of SMTP_PORTS that the filter is about, as " port 25 465"; "" when it is about all TCP
 * ports. False, after a note, when there is none. */
static bool filter_ports(struct list *t, const struct sw_lines *l, const char *line,
			 const char *list, char *text, size_t size)
{
	bool hit[ARRAY_SIZE(t->smtp->ports)];
	size_t used;
	int r;

	*text = '\0';
	if (!list)
		return true;
	r = sw_import_filter_ports(list, t->smtp->ports, t->smtp->n_ports, hit);
	if (r == -ENOMEM)
		t->im->err = r;
	else if (r < 0)
		note(t, l, false, line,
		     "its ports are not numbers from 0 to 65535; write the rule with the port "
		     "that is meant");
	else if (r == 0)
		note(t, l, true, line,
		     "it names no port of SMTP_PORTS, and smtpwall denies no other port; nothing "
		     "to do");
	if (r <= 0)
		return false;
	used = (size_t)snprintf(text, size, " port");
	for (size_t i = 0; i < t->smtp->n_ports; i++)
		if (hit[i])
			used += (size_t)snprintf(text + used, size - used, " %u",
						 t->smtp->ports[i]);
	return true;
}

/* The account `name` of a filter, which was in lower case for CSF. */
static bool find_owner(struct list *t, const struct sw_lines *l, const char *line, bool group,
		       const char *name, struct who *ret)
{
	const char *kind = group ? "group" : "user";
	char number[16];
	uint32_t id;
	int r = group ? sw_group_resolve(name, &id, NULL) : sw_user_resolve(name, &id, NULL);

	if (r == -ENOMEM) {
		t->im->err = r;
		return false;
	}
	if (r < 0) {
		note(t, l, false, line, strpbrk(name, "-:") ?
		     "an allow rule has one account; write a rule for each of the range" :
		     "there is no such account (CSF reads it in lower case); write the rule with "
		     "the name or number that is meant");
		return false;
	}
	if (id == 0 && !group) {
		note(t, l, true, line, "root is exempt anyway; nothing to do");
		return false;
	}
	snprintf(ret->text, sizeof(ret->text), "%s %s", kind,
		 sw_import_account_word(name, id, number));
	snprintf(ret->number, sizeof(ret->number), "%s %u", kind, id);
	return true;
}

/* An owner makes it a filter of outgoing connections to any address, whatever else it says. */
static void allow_owner(struct list *t, const struct sw_lines *l, const char *line,
			const struct sw_import_filter *f)
{
	char ports[160];
	struct who who;

	if (!find_owner(t, l, line, !f->uid, f->uid ? f->uid : f->gid, &who) ||
	    !filter_ports(t, l, line, f->dport, ports, sizeof(ports)))
		return;
	if (f->address)
		note(t, l, true, line,
		     "beside u= and g= CSF ignores an address, and the rule in the result has "
		     "none; nothing to do");
	add_rule(t, l, line, &who, "any", ports);
}

/* Why a filter without an owner is no rule, and whether nothing is lost; NULL when it is one. */
static const char *why_no_rule(const struct sw_import_filter *f, bool *idle)
{
	*idle = true;
	if (f->other_protocol)
		return "it is not about TCP, and smtpwall judges nothing else; leave it to the "
		       "firewall";
	if (f->filter && !f->out)
		return "it is about incoming connections; leave it to the firewall";
	if (f->loopback)
		return "CSF skips this address, it is local; nothing to do";
	if (!f->plain && !f->filter)
		return "it is no address, so CSF skips it; for a host name as destination add "
		       "'rule = any to NAME'";
	*idle = false;
	if (f->everything)
		return "it would open all of IPv4 or IPv6 to everybody; if that is meant, take the "
		       "port out of deny_ports";
	if (f->mapped)
		return "no packet has an IPv4 address in this form, so it had no effect; write the "
		       "IPv4 address if it should have one";
	if (f->has_source || f->sport)
		return "smtpwall knows no source address or source port; write the rule with who "
		       "may connect, or with the destination";
	if (f->filter && (!f->has_dest || !f->dport))
		return "CSF skips filters without both a port and an address; for a host name as "
		       "destination add 'rule = any to NAME port N'";
	return NULL;
}

static void take_allow(struct list *t, const struct sw_lines *l, const char *line, char *entry)
{
	static const struct who anybody = { "any", "any" };
	char ports[160], dest[SW_IMPORT_NET_LEN];
	struct sw_import_filter f;
	const char *why;
	bool idle;

	sw_import_filter_parse(entry, &f);
	why = why_no_rule(&f, &idle);
	if ((f.uid || f.gid) && !f.other_protocol) {
		allow_owner(t, l, line, &f);
	} else if (why) {
		note(t, l, idle, line, why);
	} else if (filter_ports(t, l, line, f.dport, ports, sizeof(ports))) {
		sw_import_net_text(&f.net, dest);
		add_rule(t, l, line, &anybody, dest, ports);
	}
}

/* ---- The others ---- */

static void take_deny(struct list *t, const struct sw_lines *l, const char *line, char *entry)
{
	bool hit[ARRAY_SIZE(t->smtp->ports)], idle, owner;
	struct sw_import_filter f;
	const char *why;

	sw_import_filter_parse(entry, &f);
	owner = (f.uid || f.gid) && !f.other_protocol;
	why = why_no_rule(&f, &idle);
	if (why && idle && !owner)
		note(t, l, true, line, why);
	else if (f.dport && sw_import_filter_ports(f.dport, t->smtp->ports, t->smtp->n_ports,
						   hit) == 0)
		note(t, l, true, line, "it names no port of SMTP_PORTS; leave it to the firewall");
	else if (owner)
		note(t, l, false, line,
		     "CSF denies it even to who is exempt, which smtpwall cannot; take the "
		     "account out of [exempt] and of allow rules, or use 'smtpwall deny'");
	else
		note(t, l, false, line,
		     "CSF denies it even to the mail server, and smtpwall denies no single "
		     "destination; leave it to the firewall");
}

static void take_uidignore(struct list *t, const struct sw_lines *l, const char *line, char *entry)
{
	note(t, l, false, line,
	     "lfd sends no alert about this UID; rules of [alerts] are about every account, so "
	     "its mails have to be sorted out");
	sw_words_add(t->im, t->words, entry);
}

static void take_mignore(struct list *t, const struct sw_lines *l, const char *line, char *entry)
{
	(void)entry;
	note(t, l, false, line,
	     "lfd does not count its mails in the mail server's log, which smtpwall does not "
	     "read; nothing to do");
}

void sw_import_csf_lists(struct sw_importer *im, const struct sw_import_smtp *s, const char *dir,
			 struct sw_words *ignored)
{
	struct list t = { .im = im, .smtp = s, .words = ignored };

	t.take = take_allow;
	walk_list(&t, dir, "csf.allow");
	t.take = take_deny;
	walk_list(&t, dir, "csf.deny");
	t.take = take_uidignore;
	walk_list(&t, dir, "csf.uidignore");
	t.take = take_mignore;
	walk_list(&t, dir, "csf.mignore");
	tdestroy(t.rules, free);
}
