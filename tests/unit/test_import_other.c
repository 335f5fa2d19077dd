/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import imunify and import directadmin. */
#include "import_util.h"

#define DENIED	"black" "list_"	/* DirectAdmin's word for its lists of accounts that may not send */

static void test_imunify(void **state)
{
	static const struct {
		const char *text;
		const char *conf[MAX_LINES], *left[MAX_LINES];
	} rows[] = {
		/* As the product writes it */
		{ "SMTP_BLOCKING:\n  allow_groups:\n  - mail\n  allow_local: false\n"
		  "  allow_users: []\n  enable: true\n  ports:\n  - 25\n  - 587\n  - 465\n"
		  "  redirect: false\n",
		  { "mode = enforce", "deny_ports = 25 587 465",
		    "count_ports =", "allow_local = no", "users = root", "groups = mail",
		    "mta = auto", "; ports: 25 587 465" },
		  { NULL } },
		/* As the documentation writes it, among other blocks */
		{ "---\nWEBSHIELD:\n  enable: false\n  ports: [1]\n\nSMTP_BLOCKING:\n"
		  "  enable: True # on\n  ports: [25,587]\n"
		  "  allow_users: [ 'www-data', \"nobody\" ]\n"
		  "  allow_groups: [mail]\n  allow_local: True\n  redirect: False\n"
		  "# end\n---\nOTHER:\n- 1\n  enable: false\n",
		  { "mode = enforce", "deny_ports = 25 587", "count_ports = 465",
		    "allow_local = yes", "users = root www-data nobody", "groups = mail" },
		  { NULL } },
		{ "SMTP_BLOCKING:\n  enable: false\n  redirect: true\n  ports: [25]\n"
		  "  allow_users: []\n  allow_groups: []\n  allow_local: false\n",
		  { "mode = observe", "; To do what the other settings say: mode = redirect" },
		  { NULL } },
		{ "SMTP_BLOCKING:\n  enable: yes\n  redirect: on\n  ports: [25]\n"
		  "  allow_users: []\n  allow_groups: []\n  allow_local: no\n",
		  { "mode = redirect" },
		  { "f:3: redirect: on: Imunify360 redirects the ports" } },
		/* What is missing has the value that is installed */
		{ "SMTP_BLOCKING:\n  enable: true\n",
		  { "deny_ports = 25 587 465", "groups = mail", "users = root", "allow_local = no",
		    "mode = enforce" },
		  { "-f:0: ports: is not set, which means [25, 587, 465]",
		    "-f:0: allow_users: is not", "-f:0: allow_groups: is not",
		    "-f:0: allow_local: is not", "-f:0: redirect: is" } },
		/* Accounts and ports that cannot be taken */
		{ "SMTP_BLOCKING:\n  enable: true\n  allow_users: [nosuch, root, 8]\n"
		  "  allow_groups:\n    - nosuch # x\n    - mail\n    - root\n"
		  "  ports: [25, smtp, 25-30, 0]\n  allow_local: true\n  redirect: false\n"
		  "  extra: 1\n  more:\n    - x\n    y: z\n",
		  { "users = root", ";    8", "groups = mail root", "deny_ports = 25" },
		  { "f:3: allow_users nosuch: there is no such user",
		    "-f:3: allow_users root: root is exempt",
		    "f:3: allow_users 8: Imunify360 has names here",
		    "f:5: allow_groups nosuch: there is no such group",
		    "f:8: ports smtp: is no port", "f:8: ports 25-30: smtpwall has no ranges",
		    "f:8: ports 0: is no port", "f:11: extra: 1: smtpwall knows no such setting",
		    "f:12: more:: smtpwall knows", "f:13: - x: it belongs to a setting",
		    "f:14: y: z: it belongs to a setting" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		write_text("f", rows[i].text);
		assert_import(sw_import_imunify, in_dir("f"), rows[i].conf, rows[i].left);
	}
}

static void test_imunify_errors(void **state)
{
	static const struct { const char *text; const char *want[4]; } rows[] = {
		{ "", { "f:0: there is no block SMTP_BLOCKING" } },
		{ "OTHER:\n  enable: true\n", { "f:0: there is no block" } },
		{ "#SMTP_BLOCKING:\n#  enable: true\n", { "f:0: there is no block" } },
		{ "SMTP_BLOCKING: {enable: true}\n", { "f:1: '{enable: true}' stands behind" } },
		{ "SMTP_BLOCKING:\n  enable: maybe\n", { "f:2: enable is 'maybe', neither" } },
		{ "SMTP_BLOCKING:\n  enable:\n", { "f:2: enable is '', neither" } },
		{ "SMTP_BLOCKING:\n  enable: true\n  enable: true\n",
		  { "f:3: enable is set twice" } },
		{ "SMTP_BLOCKING:\n  enable: true\nSMTP_BLOCKING:\n  ports: []\n",
		  { "f:3: SMTP_BLOCKING is there twice" } },
		{ "SMTP_BLOCKING:\n\tenable: true\n", { "f:2: tab" } },
		{ "SMTP_BLOCKING:\n  enable: true\n   ports: []\n",
		  { "f:3: 'ports: []' is not indented" } },
		{ "SMTP_BLOCKING:\n  ports: [25\n", { "f:2: ports is no list" } },
		{ "SMTP_BLOCKING:\n  ports: 25\n", { "f:2: ports is no list" } },
		{ "SMTP_BLOCKING:\n  ports: [25,,26]\n", { "f:2: an entry of ports is not" } },
		{ "SMTP_BLOCKING:\n  ports: [[25]]\n", { "f:2: an entry of ports is not" } },
		{ "SMTP_BLOCKING:\n  allow_users: ['a]\n",
		  { "f:2: an entry of allow_users is not" } },
		{ "SMTP_BLOCKING:\n  allow_users: [*x]\n",
		  { "f:2: an entry of allow_users is not" } },
		{ "SMTP_BLOCKING:\n  allow_users:\n  - a b\n",
		  { "f:3: an entry of allow_users is" } },
		{ "SMTP_BLOCKING:\n  allow_users:\n  -\n", { "f:3: an entry of allow_users is" } },
		{ "SMTP_BLOCKING:\n  - a\n", { "f:2: '- a' belongs to no list" } },
		{ "SMTP_BLOCKING:\n  enable: true\n  - a\n", { "f:3: '- a' belongs to no list" } },
		{ "SMTP_BLOCKING:\n  enable true\n  x:y\n",
		  { "f:2: 'enable true' is not KEY", "f:3: 'x:y' is not KEY" } },
	};
	static const char *const none[] = { "none:0: there is no such file", NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		write_text("f", rows[i].text);
		assert_import_errors(sw_import_imunify, in_dir("f"), rows[i].want);
	}
	assert_import_errors(sw_import_imunify, in_dir("none"), none);
}

/* A directory of DirectAdmin with a bit of everything. */
static void make_directadmin(const char *below)
{
	static const struct { const char *name, *text; } files[] = {
		{ "limit", "200\n" },
		{ "limit_www-data", "1000\n" },
		{ "limit_nobody", "0\n" },
		{ "limit_nosuch", "50\n" },
		{ "limit_8", "50\n" },
		{ "limit_unknown", "150\n" },
		{ "user_limit", "0\n" },
		{ DENIED "usernames", "alice:1409557166\n\nbob\n" },
		{ DENIED "smtp_usernames", "alice@example.com:1\n" },
		{ "domains", "example.com\n" },
		{ "example.com/limit/info", "30" },
		{ "example.com/limit/x\ny", "many\n" },
		{ "example.net/passwd", "x\n" },
	};

	run("mkdir -p '%s%s/example.com/limit' '%s%s/example.net/limit'", dir, below, dir, below);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char name[64];

		snprintf(name, sizeof(name), "%s/%s", below, files[i].name);
		write_text(name, files[i].text);
	}
}

static void test_directadmin(void **state)
{
	static const char *const conf[] = {
		"mode = observe", "default = 200/day", "user www-data = 1000/day",
		"user nobody = none", "unknown = 150/day", "[limit]", "!user nosuch = 50/day", "!user 8 = 50/day", NULL
	};
	static const char *const left[] = {
		DENIED "smtp_usernames:1: alice@example.com:1: a deny of one account",
		DENIED "usernames:1: use 'smtpwall deny alice'",
		DENIED "usernames:3: use 'smtpwall deny bob'",
		"limit_8:1: 50/day: there is no account",
		"limit_nosuch:1: 50/day: there is no account",
		"-user_limit:1: 0: it is no limit",
		"example.com/limit/info:1: 30: smtpwall knows accounts of the system",
		"-example.com/limit/x\\x0ay:1: no number: smtpwall knows accounts",
		NULL
	};

	(void)state;
	make_directadmin("");
	assert_import(sw_import_directadmin, dir, conf, left);
}

/* The argument may be a root directory. */
static void test_directadmin_root(void **state)
{
	static const char *const conf[] = { "default = 200/day", NULL };

	(void)state;
	make_directadmin("/etc/virtual");
	assert_import(sw_import_directadmin, dir, conf, NULL);
	assert_import(sw_import_directadmin, in_dir("etc/virtual"), conf, NULL);
}

static void test_directadmin_values(void **state)
{
	static const struct { const char *text, *line; } good[] = {
		{ "0\n", "default = none" },
		{ "1", "default = 1/day" },
		{ " 200 \r\n300\n", "default = 200/day" },
		{ "4294967294\n", "default = 4294967294/day" },
	};
	static const char *const bad[] = {
		"", "\n", "x\n", "-1\n", "2OO\n", "4294967295\n", "1 2\n"
	};
	static const char *const want[] = { "limit:1: is no number of mails", NULL };
	static const char *const user[] = { "limit_mail:1: 'x' is no number", NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		write_text("limit", good[i].text);
		assert_import(sw_import_directadmin, dir,
			      (const char *const[]){ good[i].line, NULL }, NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_text("limit", bad[i]);
		assert_import_errors(sw_import_directadmin, dir, want);
	}
	write_text("limit", "1\n");
	write_text("limit_mail", "x\n");
	assert_import_errors(sw_import_directadmin, dir, user);
}

/* No symbolic link that a customer could have made is followed, and no pipe waited for. */
static void test_directadmin_links(void **state)
{
	static const char *const conf[] = { "default = 200/day", NULL };
	static const char *const left[] = { NULL };
	static const char *const odd[] = { "limit_mail:0: is no regular file", NULL };

	(void)state;
	write_text("limit", "200\n");
	run("mkdir -p %s/away/limit %s/a.example/limit %s/b.example %s/c.example/limit/dir", dir,
	    dir, dir, dir);
	write_text("away/number", "7\n");
	run("rmdir %s/away/limit && mkdir %s/away/deep && echo 7 > %s/away/deep/box", dir, dir,
	    dir);
	run("ln -s %s/away/number %s/a.example/limit/box", dir, dir);
	run("ln -s %s/away/deep %s/b.example/limit", dir, dir);
	run("mkfifo %s/c.example/limit/pipe", dir);
	run("mkdir -p %s/away/dom/limit && echo 7 > %s/away/dom/limit/box", dir, dir);
	run("ln -s %s/away/dom %s/d.example", dir, dir);
	assert_import(sw_import_directadmin, dir, conf, left);
	run("mkfifo %s/limit_mail", dir);
	assert_import_errors(sw_import_directadmin, dir, odd);
}

static void test_directadmin_errors(void **state)
{
	static const char *const none[] = { "none:0: cannot open the directory", NULL };
	static const char *const empty[] = { "x:0: there is no file limit", NULL };

	(void)state;
	assert_import_errors(sw_import_directadmin, in_dir("none"), none);
	run("mkdir %s/x", dir);
	assert_import_errors(sw_import_directadmin, in_dir("x"), empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_imunify, empty_dir),
		cmocka_unit_test_teardown(test_imunify_errors, empty_dir),
		cmocka_unit_test_teardown(test_directadmin, empty_dir),
		cmocka_unit_test_teardown(test_directadmin_root, empty_dir),
		cmocka_unit_test_teardown(test_directadmin_values, empty_dir),
		cmocka_unit_test_teardown(test_directadmin_links, empty_dir),
		cmocka_unit_test_teardown(test_directadmin_errors, empty_dir),
	};

	return cmocka_run_group_tests_name("import others", tests, setup_group, teardown_group);
}
