/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "csf_rules.h"
#include "util.h"

#define MAX_RULE	160

/* ---- its files ---- */

static FILE *create(const char *dir, const char *name)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	if (!f) {
		perror(path);
		exit(99);
	}
	return f;
}

static void write_list(const char *dir, const char *name, const char *entries)
{
	FILE *f = create(dir, name);

	fprintf(f, "# %s\n%s", name, entries ? entries : "");
	fclose(f);
}

void csf_write_files(const struct csf_conf *c, const char *dir)
{
	FILE *f = create(dir, "csf.conf");

	fprintf(f, "TESTING = \"0\"\nSMTP_BLOCK = \"%d\"\nSMTP_ALLOWLOCAL = \"%d\"\n"
		   "SMTP_REDIRECT = \"%d\"\nSMTP_PORTS = \"%s\"\nSMTP_ALLOWUSER = \"%s\"\n"
		   "SMTP_ALLOWGROUP = \"%s\"\nDROP_OUT = \"%s\"\nDROP_OUT_LOGGING = \"1\"\n"
		   "IPV6 = \"%d\"\nLF_SPI = \"%d\"\nTCP_OUT = \"%s\"\n",
		c->block, !c->no_local, c->redirect, c->ports, c->users, c->groups,
		c->drop ? "DROP" : "REJECT", c->ipv6, c->tcp_out != NULL,
		c->tcp_out ? c->tcp_out : "");
	fclose(f);
	write_list(dir, "csf.allow", c->allow);
	write_list(dir, "csf.deny", c->deny);
}

void csf_remove_files(const char *dir)
{
	static const char *const names[] = { "csf.conf", "csf.allow", "csf.deny" };
	char path[256];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

/* ---- its rules ---- */

struct rules {
	const struct csf_conf *c;
	bool v6;
	FILE *f;
};

/* One rule of a chain for the SMTP ports. */
static void smtp(const struct rules *r, const char *chain, const char *match, const char *target)
{
	fprintf(r->f, "-A %s%s -p tcp -m multiport --dports %s -j %s\n", chain, match, r->c->ports,
		target);
}

/* Names alone count: a number is looked up as a name, and UID or GID 0 in a list is skipped. */
static void owners(const struct rules *r, const char *chain, const char *list, bool group,
		   const char *target)
{
	_cleanup_free_ char *copy = strdup(list);
	char *next = copy, *word, match[MAX_RULE];

	while ((word = strsep(&next, ","))) {
		const struct passwd *pw = group ? NULL : getpwnam(word);
		const struct group *gr = group ? getgrnam(word) : NULL;
		unsigned int id = pw ? pw->pw_uid : gr ? gr->gr_gid : 0;

		if (!id)
			continue;
		snprintf(match, sizeof(match), " -m owner --%cid-owner %u", group ? 'g' : 'u', id);
		smtp(r, chain, match, target);
	}
}

/* Loopback, groups, users, root: the first that matches lets pass. */
static void exceptions(const struct rules *r, const char *chain, const char *target)
{
	if (!r->c->no_local)
		smtp(r, chain, " -o lo", target);
	owners(r, chain, r->c->groups, true, target);
	owners(r, chain, r->c->users, false, target);
	smtp(r, chain, " -m owner --uid-owner 0", target);
}

/* An address alone, tcp|out|d=PORT|d=ADDRESS, or tcp|out|d=PORT||u=UID. */
static void list_entry(const struct rules *r, const char *chain, const char *entry,
		       const char *target)
{
	char port[8], what[64];

	if (sscanf(entry, "tcp|out|d=%7[0-9]||u=%60s", port, what) == 2)
		fprintf(r->f, "-A %s -p tcp --dport %s -m owner --uid-owner %s -j %s\n", chain,
			port, what, target);
	else if (sscanf(entry, "tcp|out|d=%7[0-9]|d=%60s", port, what) == 2 &&
		 (strchr(what, ':') != NULL) == r->v6)
		fprintf(r->f, "-A %s -p tcp -d %s --dport %s -j %s\n", chain, what, port, target);
	else if (!strchr(entry, '|') && (strchr(entry, ':') != NULL) == r->v6)
		fprintf(r->f, "-A %s -d %s -j %s\n", chain, entry, target);
}

static void list(const struct rules *r, const char *chain, const char *entries, const char *target)
{
	_cleanup_free_ char *copy = strdup(entries ? entries : "");
	char *next = copy, *entry;

	while ((entry = strsep(&next, "\n")))
		if (*entry)
			list_entry(r, chain, entry, target);
}

/* The packet filter: what is no port of TCP_OUT, root's connects as well. */
static void port_list(const struct rules *r)
{
	_cleanup_free_ char *copy = strdup(r->c->tcp_out);
	char *next = copy, *port;

	fprintf(r->f, "-A OUTPUT -o lo -j ACCEPT\n"
		      "-A OUTPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT\n");
	while ((port = strsep(&next, ",")))
		fprintf(r->f, "-A OUTPUT -p tcp -m conntrack --ctstate NEW --dport %s -j ACCEPT\n",
			port);
	fprintf(r->f, "-A OUTPUT -p tcp -j LOGDROPOUT\n");
}

/* With SMTP_REDIRECT the last rule, which denies, is left out: for IPv6 even where no rule of a
 * nat table takes its place. */
static void filter_table(const struct rules *r)
{
	const char *verdict = r->c->drop ? "DROP" : "REJECT";

	fprintf(r->f, "*filter\n:OUTPUT ACCEPT [0:0]\n:LOCALOUTPUT - [0:0]\n:ALLOWOUT - [0:0]\n"
		      ":DENYOUT - [0:0]\n:SMTPOUTPUT - [0:0]\n:LOGDROPOUT - [0:0]\n"
		      "-A LOGDROPOUT -p tcp --syn -m limit --limit 30/min --limit-burst 5 -j LOG "
		      "--log-uid --log-prefix \"Firewall: *TCP%sOUT Blocked* \"\n"
		      "-A LOGDROPOUT -j %s\n"
		      "-A OUTPUT ! -o lo -j LOCALOUTPUT\n-A LOCALOUTPUT -j ALLOWOUT\n"
		      "-A LOCALOUTPUT -j DENYOUT\n-A OUTPUT -j SMTPOUTPUT\n",
		r->v6 ? "6" : "_", verdict);
	list(r, "ALLOWOUT", r->c->allow, "ACCEPT");
	list(r, "DENYOUT", r->c->deny, verdict);
	if (r->c->block) {
		exceptions(r, "SMTPOUTPUT", "ACCEPT");
		if (!r->c->redirect)
			smtp(r, "SMTPOUTPUT", "", "LOGDROPOUT");
	}
	if (r->c->tcp_out)
		port_list(r);
	fprintf(r->f, "COMMIT\n");
}

static void nat_table(const struct rules *r)
{
	fprintf(r->f, "*nat\n:OUTPUT ACCEPT [0:0]\n");
	exceptions(r, "OUTPUT", "RETURN");
	smtp(r, "OUTPUT", "", "REDIRECT");
	fprintf(r->f, "COMMIT\n");
}

void csf_write_rules(const struct csf_conf *c, bool v6, FILE *f)
{
	const struct rules r = { .c = c, .v6 = v6, .f = f };

	if (v6 && !c->ipv6)
		return;
	if (c->block && c->redirect && !(v6 && c->no_nat6))
		nat_table(&r);
	filter_table(&r);
}
