/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import csf: csf.allow, csf.deny, csf.uidignore, csf.mignore and what they include. */
#include "import_util.h"

#define CONF(ports, redirect)								\
	"SMTP_BLOCK = \"1\"\nSMTP_ALLOWLOCAL = \"1\"\nSMTP_REDIRECT = \"" redirect "\"\n"	\
	"SMTP_PORTS = \"" ports "\"\nIPV6 = \"1\"\n"

struct row {
	const char *text;		/* one line of csf.allow */
	const char *rule;		/* what becomes of it; NULL: no rule */
	const char *left; /* why; NULL: nothing is left. '-' in front: nothing is lost */
};

static void assert_row(const struct row *row)
{
	const char *conf[2] = { row->rule ? row->rule : "![allow]", NULL };
	const char *left[2] = { NULL, NULL };
	char want[256];

	if (row->left) {
		bool idle = row->left[0] == '-';

		snprintf(want, sizeof(want), "%scsf.allow:1: %s", idle ? "-" : "",
			 row->left + idle);
		left[0] = want;
	}
	write_text("csf.allow", row->text);
	assert_import(sw_import_csf, dir, conf, left);
}

static void test_addresses(void **state)
{
	static const struct row rows[] = {
		{ "192.0.2.1", "rule = any to 192.0.2.1", NULL },
		{ "  192.0.2.1\t# office", "rule = any to 192.0.2.1", NULL },
		{ "192.0.2.1 office\r\n", "rule = any to 192.0.2.1", NULL },
		{ "192.0.2.1/32", "rule = any to 192.0.2.1", NULL },
		{ "192.0.2.1/", "rule = any to 192.0.2.1", NULL },
		{ "192.0.2.0/24", "rule = any to 192.0.2.0/24", NULL },
		{ "192.0.2.255/25", "rule = any to 192.0.2.128/25", NULL },
		{ "192.0.2.255/23", "rule = any to 192.0.2.0/23", NULL },
		{ "128.0.0.0/1", "rule = any to 128.0.0.0/1", NULL },
		{ "2001:db8::1", "rule = any to 2001:db8::1", NULL },
		{ "2001:0DB8:0:0::1/128", "rule = any to 2001:db8::1", NULL },
		{ "2001:db8:ffff::1/33", "rule = any to 2001:db8:8000::/33", NULL },
		{ "2001:db8::1/64", "rule = any to 2001:db8::/64", NULL },
		{ "127.0.0.1", NULL, "-127.0.0.1: CSF skips this address" },
		{ "::1", NULL, "-::1: CSF skips this address" },
		{ "0.0.0.0/0", NULL, "0.0.0.0/0: it would open all of IPv4" },
		{ "192.0.2.1/0", NULL, "192.0.2.1/0: it would open all of IPv4" },
		{ "::/0", NULL, "::/0: it would open all of IPv4" },
		{ "::/8", NULL, "::/8: it would open all of IPv4" },
		{ "::ffff:0:0/95", NULL, "::ffff:0:0/95: it would open all of IPv4" },
		{ "::ffff:0:0/96", NULL, "::ffff:0:0/96: it would open all of IPv4" },
		{ "::fffe:0:0/96", "rule = any to ::fffe:0:0/96", NULL },
		{ "::/96", "rule = any to ::/96", NULL },
		{ "2000::/3", "rule = any to 2000::/3", NULL },
		{ "::ffff:192.0.2.1", NULL, "::ffff:192.0.2.1: no packet has an IPv4 address" },
		{ "::ffff:192.0.2.0/120", NULL, "::ffff:192.0.2.0/120: no packet has an IPv4" },
		{ "192.0.2.1/33", NULL, "-192.0.2.1/33: it is no address" },
		{ "192.0.2.1/x", NULL, "-192.0.2.1/x: it is no address" },
		{ "192.0.2", NULL, "-192.0.2: it is no address" },
		{ "mail.example.com", NULL, "-mail.example.com: it is no address" },
		{ "# 192.0.2.1", NULL, NULL },
		{ "", NULL, NULL },
	};

	(void)state;
	write_text("csf.conf", CONF("25,465", "0"));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_row(&rows[i]);
}

static void test_filters(void **state)
{
	static const struct row rows[] = {
		/* Destination */
		{ "tcp|out|d=25|d=192.0.2.1", "rule = any to 192.0.2.1 port 25", NULL },
		{ "TCP|OUT|D=25|D=192.0.2.1 # x", "rule = any to 192.0.2.1 port 25", NULL },
		{ "out|d=25|d=192.0.2.1", "rule = any to 192.0.2.1 port 25", NULL },
		{ "tcp:out:d=25:d=192.0.2.1", "rule = any to 192.0.2.1 port 25", NULL },
		{ "tcp|out|d=25|d=2001:db8::1/48", "rule = any to 2001:db8::/48 port 25", NULL },
		{ "tcp|out|d=25,587|d=192.0.2.1", "rule = any to 192.0.2.1 port 25 587", NULL },
		{ "tcp|out|d=587,22,25|d=192.0.2.1", "rule = any to 192.0.2.1 port 25 587", NULL },
		{ "tcp|out|d=20_30|d=192.0.2.1", "rule = any to 192.0.2.1 port 25", NULL },
		{ "tcp|out|d=20:30|d=192.0.2.1", "rule = any to 192.0.2.1 port 25", NULL },
		{ "tcp|out|d=22,465:|d=192.0.2.1", "rule = any to 192.0.2.1 port 465 587", NULL },
		{ "tcp|out|d=_465|d=192.0.2.1", "rule = any to 192.0.2.1 port 25 465", NULL },
		{ "tcp|out|d=22|d=192.0.2.1", NULL, "-tcp|out|d=22|d=192.0.2.1: it names no port" },
		{ "tcp|out|d=26_464|d=192.0.2.1", NULL,
		  "-tcp|out|d=26_464|d=192.0.2.1: it names no" },
		{ "tcp|out|d=smtp|d=192.0.2.1", NULL,
		  "tcp|out|d=smtp|d=192.0.2.1: its ports are not" },
		{ "tcp|out|d=30_20|d=192.0.2.1", NULL,
		  "tcp|out|d=30_20|d=192.0.2.1: its ports are" },
		{ "tcp|out|d=70000|d=192.0.2.1", NULL,
		  "tcp|out|d=70000|d=192.0.2.1: its ports are" },
		{ "tcp|out|d=25|d=0.0.0.0/0", NULL,
		  "tcp|out|d=25|d=0.0.0.0/0: it would open all" },
		{ "tcp|out|d=25|d=mail.example.com", NULL,
		  "tcp|out|d=25|d=mail.example.com: CSF skips filters without both" },
		{ "tcp|out|d=25|d=127.0.0.1", NULL, "tcp|out|d=25|d=127.0.0.1: CSF skips filters" },
		{ "tcp|out|d=25", NULL, "tcp|out|d=25: CSF skips filters" },
		{ "tcp|out|d=192.0.2.1", NULL, "tcp|out|d=192.0.2.1: CSF skips filters" },
		{ "tcp|out|25|192.0.2.1", NULL, "tcp|out|25|192.0.2.1: CSF skips filters" },

		/* Source */
		{ "tcp|out|d=25|s=192.0.2.1", NULL,
		  "tcp|out|d=25|s=192.0.2.1: smtpwall knows no source" },
		{ "tcp|out|s=25|d=192.0.2.1", NULL,
		  "tcp|out|s=25|d=192.0.2.1: smtpwall knows no source" },

		/* Owner: to any address, whatever the rest says */
		{ "tcp|out|d=25||u=33", "rule = user 33 to any port 25", NULL },
		{ "tcp|out|d=25|u=33", "rule = user 33 to any port 25", NULL },
		{ "tcp|out|d=25||u=61234", "rule = user 61234 to any port 25", NULL },
		{ "tcp|out|d=25||u=www-data", "rule = user www-data to any port 25", NULL },
		{ "tcp|out|d=25,465||g=8", "rule = group 8 to any port 25 465", NULL },
		{ "tcp|out|d=25||g=0", "rule = group 0 to any port 25", NULL },
		{ "tcp|out|||u=33", "rule = user 33 to any", NULL },
		{ "tcp|in|d=25||u=33", "rule = user 33 to any port 25", NULL },
		{ "d=25||u=33", "rule = user 33 to any port 25", NULL },
		{ "tcp|out|d=25|d=192.0.2.1|u=33", "rule = user 33 to any port 25",
		  "-tcp|out|d=25|d=192.0.2.1|u=33: beside u= and g= CSF ignores an address" },
		{ "tcp|out|d=80||u=33", NULL, "-tcp|out|d=80||u=33: it names no port" },
		{ "tcp|out|d=25||u=0", NULL, "-tcp|out|d=25||u=0: root is exempt" },
		{ "tcp|out|d=25||u=root", NULL, "-tcp|out|d=25||u=root: root is exempt" },
		{ "tcp|out|d=25||u=nosuch", NULL,
		  "tcp|out|d=25||u=nosuch: there is no such account" },
		{ "tcp|out|d=25||u=", NULL, "tcp|out|d=25||u=: there is no such account" },
		{ "tcp|out|d=25||u=4294967295", NULL, "tcp|out|d=25||u=4294967295: there is no" },
		{ "tcp|out|d=25||u=1000-2000", NULL,
		  "tcp|out|d=25||u=1000-2000: an allow rule has" },

		/* No outgoing TCP */
		{ "tcp|in|d=25|s=192.0.2.1", NULL,
		  "-tcp|in|d=25|s=192.0.2.1: it is about incoming" },
		{ "d=25|d=192.0.2.1", NULL, "-d=25|d=192.0.2.1: it is about incoming" },
		{ "udp|out|d=25|d=192.0.2.1", NULL,
		  "-udp|out|d=25|d=192.0.2.1: it is not about TCP" },
		{ "udp|out|d=25||u=33", NULL, "-udp|out|d=25||u=33: it is not about TCP" },
		{ "icmp|out|d=8|d=192.0.2.1", NULL,
		  "-icmp|out|d=8|d=192.0.2.1: it is not about TCP" },
		{ "|", NULL, "-|: it is about incoming" },
		{ "|||||||||||||||||||||", NULL, "-|||||||||||||||||||||: it is about incoming" },
	};

	(void)state;
	write_text("csf.conf", CONF("25,465,587", "0"));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_row(&rows[i]);
}

/* Only ports that CSF denies need a rule. */
static void test_ports_that_are_denied(void **state)
{
	static const struct row rows[] = {
		{ "tcp|out|d=25,587|d=192.0.2.1", "rule = any to 192.0.2.1 port 25", NULL },
		{ "tcp|out|d=587|d=192.0.2.1", NULL,
		  "-tcp|out|d=587|d=192.0.2.1: it names no port" },
	};

	(void)state;
	write_text("csf.conf", CONF("25", "0"));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_row(&rows[i]);
}

/* With SMTP_REDIRECT csf.allow is no way out: netfilter redirects before it filters. */
static void test_redirect(void **state)
{
	static const char *const conf[] = { ";rule = any to 192.0.2.1", "!rule = any to 192.0.2.1",
					    "mode = redirect", NULL };
	static const char *const left[] = {
		"csf.conf:3: SMTP_REDIRECT", "csf.allow:1: 192.0.2.1: with SMTP_REDIRECT on", NULL
	};

	(void)state;
	write_text("csf.conf", CONF("25", "1"));
	write_text("csf.allow", "192.0.2.1\n");
	assert_import(sw_import_csf, dir, conf, left);
}

/* An account under two names, an address in two forms: one rule, and the parser wants it once. */
static void test_same_rule(void **state)
{
	static const char *const conf[] = { "rule = user 33 to any port 25",
					    "!rule = user www-data to any port 25",
					    "rule = group mail to any port 25",
					    "!rule = group 8 to any port 25",
					    "rule = any to 2001:db8::/32", NULL };
	static const char *const left[] = { NULL };

	(void)state;
	write_text("csf.conf", CONF("25", "0"));
	write_text("csf.allow",
		   "tcp|out|d=25||u=33\ntcp|out|d=25||u=www-data\n"
		   "tcp|out|d=25||g=mail\ntcp|out|d=25||g=8\n2001:db8::1/32\n2001:0db8::2/32\n");
	assert_import(sw_import_csf, dir, conf, left);
}

/* The same rule is written once, and tens of thousands of them fit. */
static void test_many(void **state)
{
	_cleanup_free_ char *text = malloc(2000000);
	size_t used = 0, rules = 0;
	struct sw_import i;

	(void)state;
	for (int n = 0; n < 60000; n++)
		used += (size_t)snprintf(text + used, 2000000 - used, "198.18.%d.%d # x\n",
					 n / 256 % 256, n % 256);
	snprintf(text + used, 2000000 - used, "198.18.0.0\n198.18.0.1/32\n");
	write_text("csf.conf", CONF("25", "0"));
	write_text("csf.allow", text);
	assert_int_equal(sw_import_csf(dir, &i), 0);
	for (const char *s = i.conf; (s = strstr(s, "\nrule = ")); s++)
		rules++;
	assert_in_range(rules, 20000, 59999);
	assert_int_equal(rules + i.n_left, 60000);	/* every other one is noted */
	assert_non_null(strstr(i.left[0].text, "the result would be larger than"));
	assert_true(strlen(i.conf) <= 1024 * 1024);
	sw_import_free(&i);
}

static void test_include(void **state)
{
	char text[512];
	static const char *const conf[] = { "rule = any to 192.0.2.1", "rule = any to 192.0.2.2",
					    "rule = any to 192.0.2.3", "!rule = any to 192.0.2.4",
					    NULL };
	static const char *const left[] = {
		"csf.allow:3: Include other.allow: the path does not begin",
		"csf.allow:4: no such file; correct",
		"csf.allow:5: and behind Include CSF takes a comment for a part",
		"csf.allow:6: it is no regular file",
		"csf.allow:7: it is no regular file",
		"csf.allow:8: CSF skips lines with the word Include",
		"csf.allow:9: CSF skips lines with the word Include",
		"-csf.allow:10: the file is included already",
		"csf.allow:11: the file includes itself",
		"csf.allow:13: Include: the path does not begin",
		"b.allow:2: the file includes itself",
		NULL
	};

	(void)state;
	write_text("csf.conf", CONF("25", "0"));
	snprintf(text, sizeof(text),
		 "192.0.2.1\nInclude %s/a.allow\nInclude other.allow\nInclude %s/none\n"
		 "Include %s/a.allow # comment\nInclude %s\nInclude %s/fifo\n  Include %s/b.allow\n"
		 "192.0.2.4 # Include this\nInclude%s/a.allow\nInclude %s/csf.allow\n#Include /x\n"
		 "Include\n", dir, dir, dir, dir, dir, dir, dir, dir);
	write_text("csf.allow", text);
	snprintf(text, sizeof(text), "192.0.2.2\nInclude\t%s/b.allow\r\n", dir);
	write_text("a.allow", text);
	snprintf(text, sizeof(text), "192.0.2.3\nInclude %s/a.allow\n", dir);
	write_text("b.allow", text);
	run("mkfifo %s/fifo", dir);
	assert_import(sw_import_csf, dir, conf, left);
}

/* A chain of files ends somewhere, and says where. */
static void test_include_depth(void **state)
{
	static const char *const conf[] = { "rule = any to 192.0.2.8", "!rule = any to 192.0.2.9",
					    NULL };
	static const char *const left[] = { "8.allow:2: too many files include each other", NULL };
	char name[16], text[128];

	(void)state;
	write_text("csf.conf", CONF("25", "0"));
	for (int n = 0; n < 20; n++) {
		snprintf(name, sizeof(name), n ? "%d.allow" : "csf.allow", n);
		snprintf(text, sizeof(text), "192.0.2.%d\nInclude %s/%d.allow\n", n, dir, n + 1);
		write_text(name, text);
	}
	assert_import(sw_import_csf, dir, conf, left);
}

/* And a file may not include any number of others. */
static void test_include_breadth(void **state)
{
	char name[16], text[8000];
	size_t used = 0;
	struct sw_import i;

	(void)state;
	write_text("csf.conf", CONF("25", "0"));
	for (int n = 0; n < 100; n++) {
		snprintf(name, sizeof(name), "%d.allow", n);
		write_text(name, "192.0.2.1\n");
		used += (size_t)snprintf(text + used, sizeof(text) - used, "Include %s/%s\n", dir,
					 name);
	}
	write_text("csf.allow", text);
	assert_int_equal(sw_import_csf(dir, &i), 0);
	assert_int_equal(i.n_left, 37);
	assert_true(matches(i.left[0].text, "csf.allow:64: too many files"));
	sw_import_free(&i);
}

static void test_others(void **state)
{
	static const char *const conf[] = { "; csf.uidignore: 33 1001", "![allow]", NULL };
	static const char *const left[] = {
		"csf.deny:1: 192.0.2.1 # x: CSF denies it even to the mail server",
		"csf.deny:2: tcp|out|d=25|d=192.0.2.1: CSF denies it even to the mail server",
		"-csf.deny:3: tcp|out|d=443|d=192.0.2.1: it names no port",
		"-csf.deny:4: tcp|in|d=25|s=192.0.2.1: it is about incoming",
		"csf.deny:5: tcp|out|d=25||u=33: CSF denies it even to who is exempt",
		"-csf.deny:6: udp|out|d=25|d=192.0.2.1: it is not about TCP",
		"csf.deny:8: tcp|out|d=1:65535|s=192.0.2.9: CSF denies it even to the mail",
		"csf.uidignore:2: 33: lfd sends no alert",
		"csf.uidignore:3: 1001 # x: lfd sends no",
		"csf.mignore:1: alice: lfd does not count",
		NULL
	};

	(void)state;
	write_text("csf.conf", CONF("25", "0"));
	write_text("csf.deny",
		   "192.0.2.1 # x\ntcp|out|d=25|d=192.0.2.1\ntcp|out|d=443|d=192.0.2.1\n"
		   "tcp|in|d=25|s=192.0.2.1\ntcp|out|d=25||u=33\nudp|out|d=25|d=192.0.2.1\n"
		   "# nothing\ntcp|out|d=1:65535|s=192.0.2.9\n");
	write_text("csf.uidignore", "# UIDs\n33\n1001 # x\n");
	write_text("csf.mignore", "alice\n");
	assert_import(sw_import_csf, dir, conf, left);
}

/* A list that is there and cannot be read is an error, not an empty list. */
static void test_unreadable(void **state)
{
	static const char *const names[] = { "csf.allow", "csf.deny", "csf.uidignore",
					     "csf.mignore" };

	(void)state;
	write_text("csf.conf", CONF("25", "0"));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		char want[64];

		snprintf(want, sizeof(want), "%s:0: is no regular file", names[i]);
		run("mkdir %s/%s", dir, names[i]);
		assert_import_errors(sw_import_csf, dir, (const char *const[]){ want, NULL });
		run("rmdir %s/%s", dir, names[i]);
		snprintf(want, sizeof(want), "%s:2: NUL byte", names[i]);
		write_bytes(names[i], "# x\n\0\n", 6);
		assert_import_errors(sw_import_csf, dir, (const char *const[]){ want, NULL });
		run("rm %s/%s", dir, names[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_addresses, empty_dir),
		cmocka_unit_test_teardown(test_filters, empty_dir),
		cmocka_unit_test_teardown(test_ports_that_are_denied, empty_dir),
		cmocka_unit_test_teardown(test_redirect, empty_dir),
		cmocka_unit_test_teardown(test_same_rule, empty_dir),
		cmocka_unit_test_teardown(test_many, empty_dir),
		cmocka_unit_test_teardown(test_include, empty_dir),
		cmocka_unit_test_teardown(test_include_depth, empty_dir),
		cmocka_unit_test_teardown(test_include_breadth, empty_dir),
		cmocka_unit_test_teardown(test_others, empty_dir),
		cmocka_unit_test_teardown(test_unreadable, empty_dir),
	};

	return cmocka_run_group_tests_name("import lists", tests, setup_group, teardown_group);
}
