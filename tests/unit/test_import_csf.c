/* SPDX-License-Identifier: GPL-2.0-or-later */
/* import csf: csf.conf. The lists beside it are in test_import_lists.c. */
#include <sys/inotify.h>

#include "import_util.h"

/* A csf.conf in which nothing but the added lines is of interest. */
#define BASE	"SMTP_BLOCK = \"1\"\nSMTP_ALLOWLOCAL = \"1\"\nSMTP_REDIRECT = \"0\"\n"	\
		"SMTP_PORTS = \"25\"\nIPV6 = \"1\"\n"
/* The same without one of them, for rows that write it themselves. */
#define NO_BLOCK \
	"SMTP_ALLOWLOCAL = \"1\"\nSMTP_REDIRECT = \"0\"\nSMTP_PORTS = \"25\"\nIPV6 = \"1\"\n"
#define NO_LOCAL "SMTP_BLOCK = \"1\"\nSMTP_REDIRECT = \"0\"\nSMTP_PORTS = \"25\"\nIPV6 = \"1\"\n"
#define NO_PORTS \
	"SMTP_BLOCK = \"1\"\nSMTP_ALLOWLOCAL = \"1\"\nSMTP_REDIRECT = \"0\"\nIPV6 = \"1\"\n"
#define NO_IPV6	 "SMTP_BLOCK = \"1\"\nSMTP_ALLOWLOCAL = \"1\"\nSMTP_REDIRECT = \"0\"\n"	\
		 "SMTP_PORTS = \"25\"\n"
#define NO_REDIRECT "SMTP_BLOCK = \"1\"\nSMTP_ALLOWLOCAL = \"1\"\nSMTP_PORTS = \"25,587\"\n"	\
		    "IPV6 = \"1\"\n"

/* Each row: a csf.conf, lines of the result, everything that did not carry over. */
static void test_settings(void **state)
{
	static const struct {
		const char *text;
		const char *conf[MAX_LINES], *left[MAX_LINES];
	} rows[] = {
		/* The block itself */
		{ BASE,
		  { "mode = enforce", "deny_ports = 25", "count_ports = 465 587",
		    "allow_local = yes", "users = root", "groups =", "mta = auto",
		    "; SMTP_BLOCK = \"1\"", "!refuse_with = permission" },
		  { NULL } },
		{ NO_BLOCK "SMTP_BLOCK = \"0\"\n",
		  { "mode = observe", "; SMTP_BLOCK = \"0\"", "deny_ports = 25",
		    "; To do what the other settings say: mode = enforce" },
		  { NULL } },
		{ NO_BLOCK "SMTP_BLOCK = \"\"\n", { "mode = observe" }, { NULL } },
		{ NO_BLOCK "SMTP_BLOCK = \"2\"\n",
		  { "mode = enforce" },
		  { "csf.conf:5: SMTP_BLOCK = \"2\": is neither 0 nor 1" } },
		{ NO_BLOCK, { "mode = observe" }, { "csf.conf:0: SMTP_BLOCK: is not set" } },

		{ NO_LOCAL "SMTP_ALLOWLOCAL = \"0\"\n", { "allow_local = no" }, { NULL } },
		{ NO_LOCAL,
		  { "allow_local = yes" },
		  { "csf.conf:0: SMTP_ALLOWLOCAL: is not set" } },

		{ NO_REDIRECT "SMTP_REDIRECT = \"1\"\n",
		  { "mode = redirect", "deny_ports = 25 587", "; SMTP_REDIRECT = \"1\"" },
		  { "csf.conf:5: SMTP_REDIRECT = \"1\": CSF redirects each port" } },
		{ NO_REDIRECT, { "mode = enforce" }, { NULL } }, /* missing is the same as off */

		/* Ports */
		{ NO_PORTS "SMTP_PORTS = \"25,465,587\"\n",
		  { "deny_ports = 25 465 587", "count_ports =" },
		  { NULL } },
		{ NO_PORTS "SMTP_PORTS = \" 25 , 465\t\"\n",
		  { "deny_ports = 25 465", "count_ports = 587" },
		  { NULL } },
		{ NO_PORTS "SMTP_PORTS = \"587,25,2525,\"\n",
		  { "deny_ports = 587 25 2525", "count_ports = 465" },
		  { NULL } },
		{ NO_PORTS "SMTP_PORTS = \"\"\n",
		  { "mode = observe", "count_ports = 465 587", "!deny_ports =" },
		  { NULL } },
		{ NO_PORTS,
		  { "deny_ports = 25 465 587" },
		  { "csf.conf:0: SMTP_PORTS: is not set" } },
		{ NO_PORTS "SMTP_PORTS = \"25,25,smtp,0,65536,465:587,25-30,4_5,-1, 46 5\"\n",
		  { "deny_ports = 25 465", "count_ports = 587" },
		  { "-csf.conf:5: SMTP_PORTS 25: is listed twice",
		    "csf.conf:5: SMTP_PORTS smtp: is no port",
		    "csf.conf:5: SMTP_PORTS 0: is no port",
		    "csf.conf:5: SMTP_PORTS 65536: is no port",
		    "csf.conf:5: SMTP_PORTS 465:587: smtpwall has no ranges",
		    "csf.conf:5: SMTP_PORTS 25-30: smtpwall has no ranges",
		    "csf.conf:5: SMTP_PORTS 4_5: smtpwall has no ranges",
		    "csf.conf:5: SMTP_PORTS -1: is no port" } },
		{ NO_PORTS "SMTP_PORTS = \"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\"\n",
		  { "deny_ports = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "count_ports = 465" },
		  { "csf.conf:5: SMTP_PORTS 16: is one more than the 15",
		    "csf.conf:5: SMTP_PORTS 17: is one more than the 15" } },

		/* The verdict */
		{ BASE "DROP_OUT = \"REJECT\"\n", { "refuse_with = refused" }, { NULL } },
		{ BASE "DROP_OUT = \"DROP\"\n",
		  { "refuse_with = refused" },
		  { "csf.conf:6: DROP_OUT = \"DROP\": it has no exact equal" } },
		{ BASE "DROP_OUT = \"TARPIT\"\n",
		  { "refuse_with = refused" },
		  { "csf.conf:6: DROP_OUT = \"TARPIT\": CSF takes it for DROP" } },
		{ NO_IPV6 "IPV6 = \"0\"\n",
		  { NULL },
		  { "csf.conf:5: IPV6 = \"0\": CSF lets all SMTP over IPv6 pass" } },
		{ NO_IPV6, { NULL }, { "csf.conf:0: IPV6: CSF lets all SMTP over IPv6 pass" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		write_text("csf.conf", rows[i].text);
		assert_import(sw_import_csf, dir, rows[i].conf, rows[i].left);
	}
}

static void test_accounts(void **state)
{
	static const struct {
		const char *text;
		const char *conf[MAX_LINES], *left[MAX_LINES];
	} rows[] = {
		{ BASE "SMTP_ALLOWUSER = \"\"\nSMTP_ALLOWGROUP = \"\"\n",
		  { "users = root", "groups =" }, { NULL } },
		{ BASE "SMTP_ALLOWUSER = \"mail, www-data ,nobody,\"\nSMTP_ALLOWGROUP = \"mail\"\n",
		  { "users = root mail www-data nobody", "groups = mail" }, { NULL } },
		/* Blanks do not count, not even within a name */
		{ BASE "SMTP_ALLOWUSER = \"no body,m ail\"\n", { "users = root nobody mail" },
		  { NULL } },
		/* CSF is silent about all of these */
		{ BASE "SMTP_ALLOWUSER = \"root,nosuch,12345678,8,4294967295,mail;x\"\n",
		  { "users = root", ";    8", "!   8" },
		  { "-csf.conf:6: SMTP_ALLOWUSER root: root is exempt",
		    "csf.conf:6: SMTP_ALLOWUSER nosuch: there is no such user",
		    "-csf.conf:6: SMTP_ALLOWUSER 12345678: CSF ignores numbers, and no user has",
		    "csf.conf:6: SMTP_ALLOWUSER 8: CSF ignores numbers, so user mail is not exempt",
		    "csf.conf:6: SMTP_ALLOWUSER 4294967295: there is no such user",
		    "csf.conf:6: SMTP_ALLOWUSER mail;x: there is no such user" } },
		{ BASE "SMTP_ALLOWGROUP = \"root,nosuch,12345678,33,mail\"\n",
		  { "groups = mail", ";    33" },
		  { "-csf.conf:6: SMTP_ALLOWGROUP root: GID 0 has no effect",
		    "csf.conf:6: SMTP_ALLOWGROUP nosuch: there is no such group",
		    "-csf.conf:6: SMTP_ALLOWGROUP 12345678: CSF ignores numbers, and no group",
		    "csf.conf:6: SMTP_ALLOWGROUP 33: CSF ignores numbers, so group www-data" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		write_text("csf.conf", rows[i].text);
		assert_import(sw_import_csf, dir, rows[i].conf, rows[i].left);
	}
}

/* A number that CSF ignored becomes exempt when its line loses the ';', as the result says. */
static void test_offer(void **state)
{
	static const char *const want[] = { "user:root@", "user:www-data@", "user:8@",
					    "group:33@", NULL };
	struct sw_import i;

	(void)state;
	write_text("csf.conf", BASE "SMTP_ALLOWUSER = \"www-data,8\"\nSMTP_ALLOWGROUP = \"33\"\n");
	assert_int_equal(sw_import_csf(dir, &i), 0);
	write_text("main.conf", i.conf);
	sw_import_free(&i);
	run("sed -i 's/^;    /    /' %s", main_file);
	assert_policy(want);
}

/* NAME = "value" as CSF reads it, and what it dies of. */
static void test_grammar(void **state)
{
	static const struct { const char *text; const char *conf[4]; } good[] = {
		{ "SMTP_BLOCK=\"1\"\nSMTP_PORTS=\"26\"", { "mode = enforce", "deny_ports = 26" } },
		{ "  SMTP_BLOCK\t=\t\"1\"  \r\n\r\n S M T P _PORTS = \"26\"\r\n",
		  { "mode = enforce", "deny_ports = 26" } },
		{ "SMTP_BLOCK = \"1\" # and so on\nSMTP_PORTS = \"26\"\n#SMTP_PORTS = \"27\"\n"
		  "SMTP_PORTS without an equals sign\n# = x\n",
		  { "mode = enforce", "deny_ports = 26" } },
		{ "SMTP_BLOCK = x\"1\"\rSMTP_PORTS = \"26\"\r",
		  { "mode = enforce", "deny_ports = 26" } },
		{ "SMTP_BLOCK = \"1\"\nSMTP_PORTS = \"26=\"\nX = \"a\"b\"\nx = \"\"\n",
		  { "mode = observe" } },
		{ "smtp_block = \"1\"\nSMTP_PORTS = \"26\"\n", { "mode = observe" } },
	};
	static const struct { const char *text; const char *want[4]; } bad[] = {
		{ "SMTP_BLOCK = 1\n", { "csf.conf:1: not in double quotes" } },
		{ "A = \"1\"\nB = \"1\nC = '1'\nD =\n",
		  { "csf.conf:2: 'B = \"1'", "csf.conf:3: 'C = '1''", "csf.conf:4: quotes" } },
		{ "A = \"1\"\n\nSMTP_PORTS = \"25\"\nA = \"1\"\n",
		  { "csf.conf:4: A is set twice, before this in line 1" } },
		{ "A = \"1\"\n A= \"2\"\nA = \"3\"\n",
		  { "csf.conf:2: line 1", "csf.conf:3: line 2" } },
		{ "", { "csf.conf:0: no setting" } },
		{ "# nothing\n", { "csf.conf:0: no setting" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		write_text("csf.conf", good[i].text);
		assert_import(sw_import_csf, dir, good[i].conf, NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		write_text("csf.conf", bad[i].text);
		assert_import_errors(sw_import_csf, dir, bad[i].want);
	}
	write_bytes("csf.conf", "A = \"1\"\nB = \"\0\"\n", 16);
	assert_import_errors(sw_import_csf, dir,
			     (const char *const[]){ "csf.conf:2: NUL byte", NULL });
}

/* UID tracking becomes a rule; what has no equal is kept as a comment where it is about alerts, and
 * named in any case. */
static void test_alerts(void **state)
{
	static const char *const conf[] = {
		"; DROP_OUT_LOGGING = \"1\"", "; UID_INTERVAL = \"30\"", "; UID_LIMIT = \"10\"",
		"; UID_PORTS = \"25\"", "; LF_ALERT_TO = \"a@example.com\"", "[alerts]",
		"rule = denied 11/60s", "mail = a@example.com", "!mail_from = root", NULL
	};
	static const char *const odd[] = { "rule = denied 1/600s", "mail = root", "mail_from = b", NULL };
	static const char *const none[] = { "; [alerts]", "![alerts]", "!rule = denied 11/60s", "!mail = root", NULL };
	static const char *const left[] = {
		"-csf.conf:0: all other settings: 3 of them",
		"csf.conf:6: DROP_OUT_LOGGING = \"1\": smtpwall counts without it",
		"-csf.conf:7: DROP_UID_LOGGING = \"0\": it is off",
		"csf.conf:10: UID_PORTS = \"25\": the rule of [alerts] is about deny_ports",
		"-csf.conf:15: RT_RELAY_ALERT = \"1\": watches the log",
		"csf.conf:17: TESTING = \"1\": CSF takes its rules away",
		"csf.conf:18: DOCKER = \"1\": CSF lets containers pass",
		NULL
	};
	static const char *const off[] = { "-csf.conf:6: UID_INTERVAL = \"0\": it is off",
					   "-csf.conf:7: UID_LIMIT = \"10\": it is off", NULL };

	(void)state;
	write_text("csf.conf", BASE "DROP_OUT_LOGGING = \"1\"\nDROP_UID_LOGGING = \"0\"\n"
		   "UID_INTERVAL = \"30\"\nUID_LIMIT = \"10\"\nUID_PORTS = \"25\"\n"
		   "LF_ALERT_TO = \"a@example.com\"\nLF_ALERT_FROM = \"\"\nTCP_OUT = \"25\"\n"
		   "DYNDNS = \"0\"\nRT_RELAY_ALERT = \"1\"\nRT_RELAY_BLOCK = \"0\"\n"
		   "TESTING = \"1\"\nDOCKER = \"1\"\n");
	assert_import(sw_import_csf, dir, conf, left);
	write_text("csf.conf", BASE "UID_INTERVAL = \"0\"\nUID_LIMIT = \"10\"\n");
	assert_import(sw_import_csf, dir, none, off);
	write_text("csf.conf", BASE "UID_INTERVAL = \"600\"\nUID_LIMIT = \"0\"\n"
		   "LF_ALERT_TO = \"a@b@c, x\"\nLF_ALERT_FROM = \"b\"\n");
	assert_import(sw_import_csf, dir, odd, NULL);
}

/* Text of the file cannot leave the comment or the line it is put into. */
static void test_hostile_text(void **state)
{
	static const char *const conf[] = { "; LF_ALERT_TO = \"\\x1b[31m\\x7f\"",
					    "; SMTP_ALLOWUSER = \"x\\x08y\"", NULL };
	static const char *const left[] = {
		"csf.conf:6: \\x1b[31m\\x7f\": there is no rule of [alerts]",
		"csf.conf:7: SMTP_ALLOWUSER x\\x08y: there is no such user", NULL
	};

	(void)state;
	write_text("csf.conf", BASE "LF_ALERT_TO = \"\x1b[31m\x7f\"\nSMTP_ALLOWUSER = \"x\by\"\n");
	assert_import(sw_import_csf, dir, conf, left);
}

/* Long lists go on in further lines, none longer than a configuration may have. */
static void test_long_list(void **state)
{
	_cleanup_free_ char *text = malloc(20000);
	size_t used, longest = 0, users = 0;
	struct sw_import i;

	(void)state;
	used = (size_t)snprintf(text, 20000, BASE "SMTP_ALLOWUSER = \"");
	for (int n = 0; n < 500; n++)
		used += (size_t)snprintf(text + used, 20000 - used, "%s,",
					 n % 2 ? "www-data" : "nobody");
	snprintf(text + used, 20000 - used, "\"\n");
	write_text("csf.conf", text);
	assert_int_equal(sw_import_csf(dir, &i), 0);
	for (const char *s = strstr(i.conf, "users = "), *end; (end = strchr(s, '\n'));
	     s = end + 1) {
		if ((size_t)(end - s) > longest)
			longest = (size_t)(end - s);
		if (*s != 'u' && *s != ' ')
			break;
		for (const char *w = s; (w = strstr(w, " nobody")) && w < end; w++)
			users++;
	}
	assert_int_equal(users, 250);
	assert_in_range(longest, 60, 100);
	assert_loads(i.conf);
	sw_import_free(&i);
}

/* The path may be the directory, with slashes behind it, or the file; all else is an error. */
static void test_paths(void **state)
{
	static const char *const none[] = { "csf.conf:0: there is no such file", NULL };
	static const char *const odd[] = { "csf.conf:0: is no regular file", NULL };
	char made[128];
	const char *const conf[] = { "rule = any to 192.0.2.1", made, NULL };
	static const char *const large[] = { "csf.conf:0: is larger than 16 MiB", NULL };

	(void)state;
	assert_import_errors(sw_import_csf, dir, none);
	assert_import_errors(sw_import_csf, in_dir("csf.conf"), none);
	write_text("csf.conf", BASE);
	write_text("csf.allow", "192.0.2.1\n");
	snprintf(made, sizeof(made), "; Made by 'smtpwall import csf' from %s/csf.conf.", dir);
	assert_import(sw_import_csf, dir, conf, NULL);
	assert_import(sw_import_csf, in_dir(""), conf, NULL);
	assert_import(sw_import_csf, in_dir("//"), conf, NULL);
	assert_import(sw_import_csf, in_dir("csf.conf"), conf, NULL);
	run("mv %s/csf.conf %s/other && ln -s other %s/csf.conf", dir, dir, dir);
	assert_import(sw_import_csf, dir, conf, NULL);
	snprintf(made, sizeof(made), "; Made by 'smtpwall import csf' from %s/other.", dir);
	assert_import(sw_import_csf, in_dir("other"), conf, NULL);
	run("rm %s/csf.conf && mkfifo %s/csf.conf", dir, dir);
	assert_import_errors(sw_import_csf, dir, odd);
	run("rm %s/csf.conf && mkdir %s/csf.conf", dir, dir);
	assert_import_errors(sw_import_csf, dir, odd);
	run("rmdir %s/csf.conf && truncate -s 17M %s/csf.conf", dir, dir);
	assert_import_errors(sw_import_csf, dir, large);
}

/* To open some devices is to use them: what is no regular file is not even opened. */
static void test_not_opened(void **state)
{
	static const char *const odd[] = { "csf.conf:0: is no regular file", NULL };
	_cleanup_close_ int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char event[512];

	(void)state;
	assert_true(watch >= 0);
	run("mkfifo %s/csf.conf", dir);
	assert_true(inotify_add_watch(watch, in_dir("csf.conf"), IN_OPEN) >= 0);
	assert_import_errors(sw_import_csf, dir, odd);
	assert_int_equal(read(watch, event, sizeof(event)), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Files whose mere presence says something. */
static void test_beside(void **state)
{
	static const char *const left[] = {
		"csfpre.sh:0: the file is there: CSF runs it before",
		"csfpost.sh:0: the file is there: CSF runs it after",
		"csf.disable:0: the file is there: CSF is disabled", NULL
	};

	(void)state;
	write_text("csf.conf", BASE);
	write_text("csf.disable", "");
	write_text("csfpre.sh", "");
	write_text("csfpost.sh", "");
	assert_import(sw_import_csf, dir, NULL, left);
}

/* A whole directory: what the result is, line by line. */
static void test_fixture(void **state)
{
	static const char *const conf[] = {
		"mode = enforce", "deny_ports = 25 465 587", "count_ports =", "allow_local = yes",
		"refuse_with = refused", "users = root www-data nobody", "groups = mail",
		"rule = any to 192.0.2.10", "rule = any to 203.0.113.6 port 25 587",
		"rule = user 33 to any port 25", "; csf.uidignore: 33 65534", NULL
	};

	(void)state;
	assert_import(sw_import_csf, "tests/fixtures/csf/cpanel", conf, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_settings, empty_dir),
		cmocka_unit_test_teardown(test_accounts, empty_dir),
		cmocka_unit_test_teardown(test_offer, empty_dir),
		cmocka_unit_test_teardown(test_grammar, empty_dir),
		cmocka_unit_test_teardown(test_alerts, empty_dir),
		cmocka_unit_test_teardown(test_hostile_text, empty_dir),
		cmocka_unit_test_teardown(test_long_list, empty_dir),
		cmocka_unit_test_teardown(test_paths, empty_dir),
		cmocka_unit_test_teardown(test_not_opened, empty_dir),
		cmocka_unit_test_teardown(test_beside, empty_dir),
		cmocka_unit_test_teardown(test_fixture, empty_dir),
	};

	return cmocka_run_group_tests_name("import csf", tests, setup_group, teardown_group);
}
