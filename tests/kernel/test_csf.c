/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Against the real thing: configurations of CSF as its own rules in a namespace, and as imported
 * policies in the host. Each identity connects to each destination and port on both sides. What
 * differs has to be listed in docs/csf-differences.md, and what is listed there has to differ.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "csf_lab.h"
#include "csf_rules.h"
#include "import.h"
#include "log.h"
#include "util.h"
#include "wall.h"

#define DOCS		"docs/csf-differences.md"
#define MARK		"csf-difference: "
#define ORDINARY	61001
#define OTHER		61002	/* group of its own, listed nowhere */
#define OF_ALLOW	61005	/* in csf.allow */
#define WHOS		17
#define SKIPPED		77

#define PORTS	.ports = "25,465,587"
#define GROUPS	.groups = "mail,mailman"

/* Accounts by their numbers, which CSF ignores. */
static char numbers_of_users[64], numbers_of_groups[64];

static const struct csf_conf confs[] = {
	{ .name = "as installed, and on", .block = true, PORTS, .users = "", GROUPS },
	{ .name = "IPv6 and a user", .block = true, .ipv6 = true, PORTS, .users = "daemon", GROUPS },
	{ .name = "not even local", .block = true, .no_local = true, .ipv6 = true, PORTS,
	  .users = "daemon", GROUPS },
	{ .name = "not even local, no IPv6", .block = true, .no_local = true, PORTS,
	  .users = "daemon", GROUPS },
	{ .name = "unknown names and numbers", .block = true, .ipv6 = true, PORTS,
	  .users = numbers_of_users, .groups = numbers_of_groups },
	{ .name = "port 25 alone", .block = true, .ipv6 = true, .ports = "25", .users = "daemon",
	  .groups = "" },
	{ .name = "csf.allow", .block = true, .ipv6 = true, PORTS, .users = "", GROUPS,
	  .allow = "tcp|out|d=25|d=" CSF_SECOND4_TEXT "\n" CSF_THIRD4_TEXT "\n"
		   "tcp|out|d=25||u=61005\ntcp|out|d=465|d=" CSF_SECOND6_TEXT "\n"
		   CSF_THIRD6_TEXT "\n" },
	{ .name = "csf.deny", .block = true, .ipv6 = true, PORTS, .users = "daemon", GROUPS,
	  .deny = CSF_SECOND4_TEXT "\n" },
	{ .name = "redirect", .block = true, .redirect = true, .ipv6 = true, PORTS,
	  .users = "daemon", GROUPS },
	{ .name = "redirect, not even local", .block = true, .redirect = true, .no_local = true,
	  .ipv6 = true, PORTS, .users = "", GROUPS,
	  .allow = "tcp|out|d=25|d=" CSF_SECOND4_TEXT "\n" CSF_THIRD4_TEXT "\n" },
	{ .name = "redirect, no nat for IPv6", .block = true, .redirect = true, .ipv6 = true,
	  .no_nat6 = true, PORTS, .users = "", GROUPS },
	{ .name = "redirect, no IPv6", .block = true, .redirect = true, PORTS, .users = "", GROUPS },
	{ .name = "silent", .block = true, .ipv6 = true, .drop = true, PORTS, .users = "", GROUPS },
	{ .name = "off, with a packet filter", .ipv6 = true, PORTS, .users = "", GROUPS,
	  .tcp_out = "20,21,22,25,53,80,110,113,443,587,993,995" },
};

/* One connect on both sides. */
struct pair {
	const struct csf_conf *conf;
	const struct csf_who *who;
	enum csf_dest dest;
	uint16_t port;
	enum csf_end csf, ours;
};

static bool passed(enum csf_end e)
{
	return e == CSF_REMOTE || e == CSF_LOCAL;
}

/* Let through by CSF, and denied or redirected here. */
static bool is_stricter(const struct pair *p)
{
	return passed(p->csf) && (p->ours == CSF_REFUSED ||
				  (p->conf->redirect && p->csf == CSF_REMOTE && p->ours == CSF_LOCAL));
}

static bool is_ipv6_off(const struct pair *p)
{
	return !p->conf->ipv6 && csf_dest_is_v6(p->dest) && is_stricter(p);
}

static bool is_without_nat(const struct pair *p)
{
	return p->conf->redirect && p->conf->no_nat6 && csf_dest_is_v6(p->dest) && is_stricter(p);
}

static bool is_container(const struct pair *p)
{
	return p->who->container && p->csf == CSF_REMOTE && p->ours == CSF_REFUSED;
}

/* A socket of root passes there; here one that root connects, whoever made it. */
static bool is_socket_owner(const struct pair *p)
{
	if (p->who->socket == CSF_SOCKET_OF_ROOT)
		return is_stricter(p);
	return p->who->socket == CSF_SOCKET_OF_ORDINARY && p->csf != CSF_REMOTE && passed(p->ours);
}

static bool is_fsuid(const struct pair *p)
{
	return p->who->fsuid != CSF_NO_ID && is_stricter(p);
}

static bool is_loopback_device(const struct pair *p)
{
	return p->dest == CSF_ROUTED4 && !p->conf->no_local && p->csf == CSF_LOCAL &&
	       p->ours == CSF_REFUSED;
}

static bool is_redirected_port(const struct pair *p)
{
	return p->conf->redirect && p->port != 25 && p->csf == CSF_LOCAL && p->ours == CSF_REFUSED;
}

static bool is_csf_deny(const struct pair *p)
{
	return p->conf->deny && (p->dest == CSF_SECOND4) && p->csf == CSF_REFUSED &&
	       p->ours == CSF_REMOTE;
}

static bool is_drop_out(const struct pair *p)
{
	return p->conf->drop && p->csf == CSF_SILENT && p->ours == CSF_REFUSED;
}

static bool is_port_list(const struct pair *p)
{
	return p->conf->tcp_out && p->port != 25 && p->port != 587 && p->csf == CSF_REFUSED &&
	       p->ours == CSF_REMOTE;
}

static struct difference {
	const char *name;	/* in DOCS */
	bool (*is)(const struct pair *p);
	bool documented;
	unsigned int n;
} differences[] = {
	{ .name = "ipv6-off", .is = is_ipv6_off },
	{ .name = "ipv6-without-nat", .is = is_without_nat },
	{ .name = "containers", .is = is_container },
	{ .name = "socket-owner", .is = is_socket_owner },
	{ .name = "file-system-uid", .is = is_fsuid },
	{ .name = "loopback-device", .is = is_loopback_device },
	{ .name = "redirected-ports", .is = is_redirected_port },
	{ .name = "csf-deny", .is = is_csf_deny },
	{ .name = "drop-out", .is = is_drop_out },
	{ .name = "port-list", .is = is_port_list },
};

static struct wall wall;
static struct csf_lab lab;
static struct csf_who whos[WHOS];
static size_t n_whos;
static char dir[] = "/tmp/swcsfXXXXXX";

/* ---- who ---- */

static struct csf_who *add(const char *name, uint32_t uid, uint32_t gid)
{
	whos[n_whos] = (struct csf_who){
		.name = name, .ruid = uid, .euid = uid, .rgid = gid, .egid = gid,
		.member = CSF_NO_ID, .fsuid = CSF_NO_ID,
	};
	return &whos[n_whos++];
}

/* daemon, bin and mail are accounts of every distribution. */
static void make_whos(void)
{
	uint32_t daemon = getpwnam("daemon")->pw_uid, mail = getgrnam("mail")->gr_gid;
	uint32_t bin = getpwnam("bin")->pw_uid, bin_group = getgrnam("bin")->gr_gid;

	snprintf(numbers_of_users, sizeof(numbers_of_users), "daemon,nosuchuser,%u,root", bin);
	snprintf(numbers_of_groups, sizeof(numbers_of_groups), "mail,nosuchgroup,%u,root",
		 bin_group);
	add("root", 0, 0);
	add("ordinary", ORDINARY, ORDINARY);
	add("of group mail", ORDINARY, mail);
	add("member of mail only", ORDINARY, ORDINARY)->member = mail;
	add("set-gid mail", ORDINARY, mail)->rgid = ORDINARY;
	add("group root", ORDINARY, 0);
	add("user daemon", daemon, OTHER);
	add("set-uid daemon", daemon, OTHER)->ruid = ORDINARY;
	add("daemon as ordinary", ORDINARY, OTHER)->ruid = daemon;
	add("user by number", bin, OTHER);
	add("group by number", ORDINARY, bin_group);
	add("user of csf.allow", OF_ALLOW, OF_ALLOW);
	add("socket made by root", ORDINARY, ORDINARY)->socket = CSF_SOCKET_OF_ROOT;
	add("root, socket of other", 0, 0)->socket = CSF_SOCKET_OF_ORDINARY;
	add("fsuid of root", ORDINARY, ORDINARY)->fsuid = 0;
	add("root in container", 0, 0)->container = true;
	add("ordinary in container", ORDINARY, ORDINARY)->container = true;
}

/* ---- both sides ---- */

static int load_rules(const struct csf_conf *c, bool v6)
{
	_cleanup_close_ int fd = memfd_create("rules", MFD_CLOEXEC);
	FILE *f = fd < 0 ? NULL : fdopen(dup(fd), "w");

	if (!f)
		return -1;
	/* Tables that these rules do not have must not keep those from before. */
	fprintf(f, "*nat\nCOMMIT\n*filter\nCOMMIT\n");
	csf_write_rules(c, v6, f);
	if (fclose(f) != 0 || lseek(fd, 0, SEEK_SET) < 0)
		return -1;
	return csf_lab_run(&lab, v6 ? "ip6tables-restore" : "iptables-restore", fd);
}

static void import(const struct csf_conf *c)
{
	struct sw_import imported;
	struct sw_policy p;

	csf_write_files(c, dir);
	assert_int_equal(sw_import_csf(dir, &imported), 0);
	wall_policy(&wall, imported.conf, &p);
	sw_import_free(&imported);
	/* A refusal has to look different from a port where nobody listens. */
	p.refuse_with = SW_REFUSE_PERMISSION;
	p.redirect_port = lab.mail_port;
	assert_int_equal(sw_apply(&wall.target, &p), 0);
	sw_policy_free(&p);
}

static void ask(enum csf_place place, struct csf_result res[WHOS])
{
	struct csf_probe probe[WHOS];
	bool good = true;

	for (size_t i = 0; i < n_whos; i++)
		csf_probe_start(&lab, place, &whos[i], place == CSF_HOST ? wall.cgroup : NULL,
				&probe[i]);
	for (size_t i = 0; i < n_whos; i++)
		good = csf_probe_end(&probe[i], &res[i]) && good;
	assert_true(good);
}

/* ---- what differs ---- */

static struct difference *find(const struct pair *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++)
		if (differences[i].is(p))
			return &differences[i];
	return NULL;
}

static void describe(const struct pair *p, char *text, size_t size)
{
	snprintf(text, size, "%s, %s port %u: CSF %s, smtpwall %s", p->who->name,
		 csf_dest_name(p->dest), p->port, csf_end_name(p->csf), csf_end_name(p->ours));
}

/* Of one configuration; how many are on no list. */
struct tally {
	unsigned int same, unknown, n[ARRAY_SIZE(differences)];
	char example[ARRAY_SIZE(differences)][160];
};

static void judge(const struct pair *p, struct tally *t)
{
	struct difference *d;
	char text[160];

	if (p->csf == p->ours) {
		t->same++;
		return;
	}
	d = find(p);
	describe(p, text, sizeof(text));
	if (!d || !d->documented) {
		print_message("# %s: %s: %s%s\n", p->conf->name, text,
			      d ? "not in " DOCS ": " : "not known", d ? d->name : "");
		t->unknown++;
		return;
	}
	d->n++;
	if (!t->n[d - differences]++)
		memcpy(t->example[d - differences], text, sizeof(text));
}

static unsigned int compare(const struct csf_conf *c, const struct csf_result *csf,
			    const struct csf_result *ours)
{
	struct tally t = { 0 };

	for (size_t i = 0; i < n_whos; i++) {
		for (int d = 0; d < _CSF_DEST_MAX; d++) {
			for (size_t k = 0; k < CSF_PORTS; k++) {
				const struct pair p = {
					.conf = c, .who = &whos[i], .dest = (enum csf_dest)d,
					.port = csf_port[k],
					.csf = (enum csf_end)csf[i].end[d][k],
					.ours = (enum csf_end)ours[i].end[d][k],
				};

				judge(&p, &t);
			}
		}
	}
	print_message("# %s: %u the same\n", c->name, t.same);
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++)
		if (t.n[i])
			print_message("#   %-17s %3u, such as %s\n", differences[i].name, t.n[i],
				      t.example[i]);
	return t.unknown;
}

static void every_difference_is_listed(void **state)
{
	static struct csf_result csf[WHOS], ours[WHOS];
	unsigned int unknown = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(confs); i++) {
		assert_int_equal(load_rules(&confs[i], false), 0);
		assert_int_equal(load_rules(&confs[i], true), 0);
		import(&confs[i]);
		ask(CSF_RULES, csf);
		ask(CSF_HOST, ours);
		unknown += compare(&confs[i], csf, ours);
	}
	assert_int_equal(unknown, 0);
}

static void everything_listed_differs(void **state)
{
	unsigned int idle = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
		if (!differences[i].documented || differences[i].n)
			continue;
		print_message("# %s: %s does not happen any more\n", DOCS, differences[i].name);
		idle++;
	}
	assert_int_equal(idle, 0);
}

/* ---- the list ---- */

/* False when it names something that is not known here. */
static bool read_mark(char *name)
{
	name[strcspn(name, " \n")] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
		if (strcmp(differences[i].name, name) != 0)
			continue;
		differences[i].documented = true;
		return true;
	}
	print_message("# %s: '%s' is no difference that this test knows\n", DOCS, name);
	return false;
}

static int read_docs(void **state)
{
	_cleanup_fclose_ FILE *f = fopen(DOCS, "re");
	char line[256];
	bool good = true;

	(void)state;
	if (!f) {
		print_message("# cannot open %s; run the test in the directory of the sources\n", DOCS);
		return -1;
	}
	while (fgets(line, sizeof(line), f)) {
		char *mark = strstr(line, MARK);

		if (mark)
			good = read_mark(mark + strlen(MARK)) && good;
	}
	return good ? 0 : -1;
}

/* NULL, or why the rules cannot be loaded here. */
static const char *why_not(void)
{
	int r = load_rules(&confs[1], false);

	if (r == 127)
		return "iptables-restore is not installed";
	if (r != 0)
		return "iptables-restore does not take CSF's rules: is xt_owner there?";
	if (load_rules(&confs[8], true) != 0)
		return "ip6tables-restore does not take CSF's rules";
	if (!getpwnam("daemon") || !getpwnam("bin") || !getgrnam("mail") || !getgrnam("bin"))
		return "there are no users daemon and bin, or no groups mail and bin";
	return NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_difference_is_listed),
		cmocka_unit_test(everything_listed_differs),
	};
	const char *why;
	int r = csf_lab_open(&lab);

	if (r < 0) {
		fprintf(stderr, "cannot make the namespaces: %s\n", strerror(-r));
		return 99;
	}
	why = why_not();
	if (why) {
		printf("1..0 # SKIP %s\n", why);
		csf_lab_close(&lab);
		return SKIPPED;
	}
	sw_log_max = SW_LOG_WARN;
	make_whos();
	if (!mkdtemp(dir))
		return 99;
	wall_open(&wall);
	r = cmocka_run_group_tests(tests, read_docs, NULL);
	wall_close(&wall);
	csf_remove_files(dir);
	csf_lab_close(&lab);
	return r ? 1 : 0;
}
