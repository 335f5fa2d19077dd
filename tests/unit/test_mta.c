/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <cmocka.h>

#include "mta.h"
#include "mta_int.h"
#include "util.h"

#define MAIL	"mail:x:8:8::/var/mail:/usr/sbin/nologin\n"
#define CPANEL	"mkdir -p usr/local/cpanel;"
#define DA	"mkdir -p usr/local/directadmin;"

static void run_in(const char *root, const char *command)
{
	char text[2048];

	snprintf(text, sizeof(text), "cd %s && { %s\n}", root, command);
	assert_int_equal(system(text), 0);
}

static void remove_tree(const char *root)
{
	char text[128];

	snprintf(text, sizeof(text), "rm -rf %s", root);
	assert_int_equal(system(text), 0);
}

static void write_below(const char *root, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* "name user=UID:NAME group=GID:NAME problem" of every server that is found. */
static void describe(const struct sw_mta_list *l, char *out, size_t size)
{
	size_t i, n = 0;

	*out = '\0';
	for (i = 0; i < l->n; i++) {
		const struct sw_mta *m = &l->item[i];

		n += (size_t)snprintf(out + n, size - n, "%s %s", m->name, m->binary);
		if (m->user)
			n += (size_t)snprintf(out + n, size - n, " user=%d:%s", (int)m->uid,
					      m->user);
		if (m->group)
			n += (size_t)snprintf(out + n, size - n, " group=%d:%s", (int)m->gid,
					      m->group);
		n += (size_t)snprintf(out + n, size - n, "%s%s;", m->problem ? " problem: " : "",
				      m->problem ? m->problem : "");
	}
}

/* Programs below a root, its accounts, and what is found there. */
static void test_find(void **state)
{
	static const struct {
		const char *programs, *prepare, *passwd, *want;
	} rows[] = {
		{ "", "", MAIL, "" },
		{ "usr/sbin/exim4 usr/sbin/exim", "", MAIL "Debian-exim:x:102:105::/:/bin/false\n",
		  "exim /usr/sbin/exim4 user=102:Debian-exim;" },
		{ "usr/sbin/exim", "", MAIL "exim:x:93:93::/:/sbin/nologin\n",
		  "exim /usr/sbin/exim user=93:exim;" },
		{ "usr/sbin/exim", CPANEL, MAIL "exim:x:93:93::/:/x\nmailnull:x:47:47::/:/x\n",
		  "exim /usr/sbin/exim user=47:mailnull;" },
		{ "usr/sbin/exim", "", MAIL "mailnull:x:47:47::/:/x\n",
		  "exim /usr/sbin/exim user=47:mailnull;" },
		{ "usr/sbin/exim", DA, MAIL "exim:x:93:93::/:/x\n",
		  "exim /usr/sbin/exim user=8:mail;" },
		{ "usr/sbin/exim", "", MAIL, "exim /usr/sbin/exim user=8:mail;" },
		/* exim4-base without a daemon has no exim4; a file that cannot run is none. */
		{ "usr/sbin/eximstats usr/sbin/exim_lock", "", MAIL, "" },
		{ "usr/sbin/exim4", "chmod 644 usr/sbin/exim4", MAIL, "" },
		{ "", "mkdir -p usr/sbin/exim4", MAIL, "" },
		{ "", "mkdir -p usr/sbin; ln -s gone usr/sbin/exim4", MAIL, "" },
		{ "usr/sbin/exim-4.97-1", "ln -s exim-4.97-1 usr/sbin/exim", MAIL,
		  "exim /usr/sbin/exim user=8:mail;" },

		{ "usr/sbin/postfix usr/sbin/sendmail", "", "postfix:x:103:106::/:/x\n",
		  "postfix /usr/sbin/postfix user=103:postfix;" },
		{ "usr/sbin/postfix", "", MAIL,
		  "postfix /usr/sbin/postfix problem: none of its known delivery accounts "
		  "exists;" },
		/* A customer called postfix is no mail server. */
		{ "usr/sbin/postfix", "", "postfix:x:1005:1005::/home/postfix:/bin/bash\n",
		  "postfix /usr/sbin/postfix user=1005:postfix problem: its delivery user "
		  "'postfix' "
		  "(UID 1005) is an ordinary account: system accounts are below 1000;" },
		{ "usr/sbin/exim", "", "exim:x:1005:1005::/:/x\nmailnull:x:47:47::/:/x\n",
		  "exim /usr/sbin/exim user=47:mailnull;" },
		{ "usr/sbin/postfix", "mkdir -p etc; echo UID_MIN 100 > etc/login.defs",
		  "postfix:x:103:106::/:/x\n",
		  "postfix /usr/sbin/postfix user=103:postfix problem: its delivery user 'postfix' "
		  "(UID 103) is an ordinary account: system accounts are below 100;" },

		{ "usr/libexec/sendmail/sendmail", "", "root:x:0:0::/root:/bin/sh\n",
		  "sendmail /usr/libexec/sendmail/sendmail user=0:root;" },
		{ "usr/sbin/sendmail.sendmail", "", "root:x:0:0::/root:/bin/sh\n",
		  "sendmail /usr/sbin/sendmail.sendmail user=0:root;" },
		/* Any mail server brings /usr/sbin/sendmail; so do msmtp and ssmtp. */
		{ "usr/sbin/sendmail", "", "root:x:0:0::/root:/bin/sh\n", "" },
		{ "usr/sbin/sendmail", "mkdir -p etc/mail; touch etc/mail/sendmail.cf",
		  "root:x:0:0::/root:/bin/sh\n", "sendmail /usr/sbin/sendmail user=0:root;" },
		{ "usr/bin/msmtp",
		  "mkdir -p etc/mail usr/sbin; touch etc/mail/sendmail.cf;"
		  "ln -s ../bin/msmtp usr/sbin/sendmail",
		  "root:x:0:0::/root:/bin/sh\n", "" },
		{ "usr/sbin/sendmail usr/sbin/postfix",
		  "mkdir -p etc/mail; touch etc/mail/sendmail.cf",
		  "root:x:0:0::/:/x\npostfix:x:103:106::/:/x\n",
		  "postfix /usr/sbin/postfix user=103:postfix;" },

		{ "usr/sbin/smtpd", "", "opensmtpd:x:104:107::/:/x\n",
		  "opensmtpd /usr/sbin/smtpd user=104:opensmtpd;" },
		{ "usr/sbin/smtpd", "", "_smtpd:x:95:95::/:/x\n",
		  "opensmtpd /usr/sbin/smtpd user=95:_smtpd;" },
		{ "usr/sbin/smtpd", "", "smtpd:x:996:996::/:/x\n",
		  "opensmtpd /usr/sbin/smtpd user=996:smtpd;" },
		{ "var/qmail/bin/qmail-remote", "",
		  "qmailr:x:64016:64010::/:/x\nqmailr2:x:9:9::/:/x\n",
		  "qmail /var/qmail/bin/qmail-remote user=64016:qmailr problem: its delivery user "
		  "'qmailr' (UID 64016) is an ordinary account: system accounts are below 1000;" },
		{ "var/qmail/bin/qmail-remote", "", "qmailr:x:111:64010::/:/x\n",
		  "qmail /var/qmail/bin/qmail-remote user=111:qmailr;" },
		{ "usr/lib/courier/courier/courierd", "",
		  "daemon:x:1:1::/:/x\ncourier:x:105:108::/:/x\n",
		  "courier /usr/lib/courier/courier/courierd user=105:courier;" },
		{ "usr/sbin/courier", "", "daemon:x:1:1::/:/x\n",
		  "courier /usr/sbin/courier user=1:daemon;" },
		{ "usr/sbin/nullmailer-send", "", MAIL,
		  "nullmailer /usr/sbin/nullmailer-send user=8:mail;" },
		{ "usr/sbin/nullmailer-send", "", MAIL "nullmail:x:990:990::/:/x\n",
		  "nullmailer /usr/sbin/nullmailer-send user=990:nullmail;" },
		{ "usr/sbin/dma", "", MAIL, "dma /usr/sbin/dma group=8:mail;" },
		{ "usr/sbin/dma", "sed -i s/:8:/:1008:/ etc/group", MAIL,
		  "dma /usr/sbin/dma problem: none of its known delivery accounts exists;" },
		{ "usr/sbin/exim4 usr/sbin/dma", "", MAIL,
		  "exim /usr/sbin/exim4 user=8:mail;dma /usr/sbin/dma group=8:mail;" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		char root[] = "/tmp/sw-mta-XXXXXX", text[1024];
		struct sw_mta_list l;

		print_message("# row %zu: %s\n", i, rows[i].programs);
		assert_non_null(mkdtemp(root));
		run_in(root, "mkdir etc; echo mail:x:8: > etc/group");
		write_below(root, "etc/passwd", rows[i].passwd);
		snprintf(text, sizeof(text),
			 "for p in %s; do mkdir -p ${p%%/*}; : > $p; chmod 755 $p; "
			 "done",
			 rows[i].programs);
		run_in(root, text);
		run_in(root, *rows[i].prepare ? rows[i].prepare : ":");
		assert_int_equal(sw_mta_find(root, &l), 0);
		describe(&l, text, sizeof(text));
		assert_string_equal(text, rows[i].want);
		sw_mta_free(&l);
		sw_mta_free(&l);
		remove_tree(root);
	}
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Programs of the system stand in for mail servers: root owns them. */
static void test_ask(void **state)
{
	static const struct { const char *argv[4]; int want; const char *answer;
	} rows[] = {
		{ { "/bin/echo", "exim_user = mail" }, 0, "exim_user = mail" },
		{ { "/bin/sh", "-c", "printf 'a\\r\\nb\\n'" }, 0, "a" },
		{ { "/bin/sh", "-c", "printf a" }, 0, "a" },
		{ { "/bin/sh", "-c", "cat; echo end" }, 0, "end" }, /* no standard input */
		{ { "/bin/sh", "-c", "echo x >&2; echo y" }, 0, "y" },
		{ { "/bin/sh", "-c", "pwd" }, 0, "/" },
		{ { "/usr/bin/env" }, -EPROTO, NULL }, /* empty environment */
		{ { "/bin/true" }, -EPROTO, NULL },
		{ { "/bin/sh", "-c", "echo; echo x" }, -EPROTO, NULL },
		{ { "/bin/sh", "-c", "echo x; exit 1" }, -EPROTO, NULL },
		{ { "/bin/sh", "-c", "echo x; kill -9 $$" }, -EPROTO, NULL },
		{ { "/bin/sleep", "60" }, -ETIMEDOUT, NULL },
		{ { "/bin/sh", "-c", "echo x; exec >&-; exec sleep 60" }, -ETIMEDOUT, NULL },
		{ { "/bin/sh", "-c", "echo x; sleep 60 & exit" }, -ETIMEDOUT, NULL },
		{ { "/bin/sh", "-c", "trap '' TERM; while :; do echo x; done" }, -ETIMEDOUT, NULL },
		/* More than a pipe holds does not stop it. */
		{ { "/bin/sh", "-c", "echo x; head -c 300000 /dev/zero" }, 0, "x" },
		{ { "/no/such/program" }, -EPERM, NULL },
		{ { "echo", "x" }, -EPERM, NULL }, /* no PATH */
		{ { "/tmp" }, -EPERM, NULL },
	};
	int hold[2];
	size_t i;

	(void)state;
	/* A standard input that never ends. */
	assert_int_equal(pipe(hold), 0);
	assert_true(dup2(hold[0], STDIN_FILENO) == STDIN_FILENO);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int64_t start = now_ms();
		_cleanup_free_ char *answer = NULL;

		print_message("# %s %s\n", rows[i].argv[0], rows[i].argv[2] ? rows[i].argv[2] : "");
		assert_int_equal(sw_mta_ask(rows[i].argv,
					    rows[i].want == -ETIMEDOUT ? 300 : SW_ASK_TIMEOUT_MS,
					    &answer), rows[i].want);
		assert_true(now_ms() - start < 4000);
		if (rows[i].answer)
			assert_string_equal(answer, rows[i].answer);
		else
			assert_null(answer);
	}
	close(hold[0]);
	close(hold[1]);
}

/* What others could have replaced is not run as root. */
static void test_ask_untrusted(void **state)
{
	static const struct { const char *command; bool root; int want; } rows[] = {
		{ "chmod 755 p",		 true,	0 },
		{ "chmod 775 p",		 true,	-EPERM },
		{ "chmod 757 p",		 true,	-EPERM },
		{ "chown 65534 p; chmod 755 p", true,	-EPERM },
		{ "chmod 755 p",		 false,	-EPERM },	/* as an ordinary account */
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		char dir[] = "/tmp/sw-mta-XXXXXX", path[64];
		const char *argv[] = { path, "x", NULL };
		_cleanup_free_ char *answer = NULL;

		if (rows[i].root != (geteuid() == 0))
			continue;
		print_message("# %s\n", rows[i].command);
		assert_non_null(mkdtemp(dir));
		snprintf(path, sizeof(path), "%s/p", dir);
		run_in(dir, "cp /bin/echo p");
		run_in(dir, rows[i].command);
		assert_int_equal(sw_mta_ask(argv, 2000, &answer), rows[i].want);
		remove_tree(dir);
	}
}

/* A program that was started in the background does not outlive the question. */
static void test_ask_leaves_nothing(void **state)
{
	const char *const argv[] = { "/bin/sh", "-c", "echo $$; sleep 60 >/dev/null & exit 0",
				     NULL };
	_cleanup_free_ char *answer = NULL;
	int i, r = 0;

	(void)state;
	assert_int_equal(sw_mta_ask(argv, 2000, &answer), 0);
	for (i = 0; i < 100 && r == 0; i++) {	/* its group is gone once init has reaped it */
		r = kill(-(pid_t)atoi(answer), 0);
		usleep(20000);
	}
	assert_int_equal(r, -1);
	assert_int_equal(errno, ESRCH);
}

static struct sw_mta exim = { .name = "exim", .binary = (char *)"/usr/sbin/exim4",
			      .user = (char *)"Debian-exim", .uid = 102, .gid = (gid_t)-1 };
static struct sw_mta postfix = { .name = "postfix", .binary = (char *)"/usr/sbin/postfix",
				 .user = (char *)"postfix", .uid = 103, .gid = (gid_t)-1 };
static struct sw_mta courier = { .name = "courier", .binary = (char *)"/usr/sbin/courier",
				 .user = (char *)"courier", .uid = 105, .gid = (gid_t)-1 };
static struct sw_mta dma = { .name = "dma", .binary = (char *)"/usr/sbin/dma", .uid = (uid_t)-1,
			     .group = (char *)"mail", .gid = 8 };
static struct sw_mta customer = { .name = "postfix", .binary = (char *)"/usr/sbin/postfix",
				  .user = (char *)"postfix", .uid = 1005, .gid = (gid_t)-1,
				  .problem = (char *)"it is an ordinary account" };
static struct sw_mta unknown = { .name = "courier",
				 .binary = (char *)"/usr/sbin/courier",
				 .uid = (uid_t)-1,
				 .gid = (gid_t)-1,
				 .problem = (char *)"no account" };

static void test_exempt(void **state)
{
	struct sw_mta items[] = { exim, dma, customer, unknown };
	struct sw_mta_list l = { items, ARRAY_SIZE(items) };
	const struct sw_exempt *e;
	struct sw_policy p;
	size_t before;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	before = p.n_exempt;
	assert_int_equal(sw_mta_exempt(&l, &p), 0);
	assert_int_equal(p.n_exempt, before + 2);
	e = sw_policy_find(&p, SW_KIND_UID, 102);
	assert_non_null(e);
	assert_string_equal(e->name, "Debian-exim");
	assert_string_equal(p.sources[e->source], "delivery user of exim (/usr/sbin/exim4)");
	assert_int_equal(e->line, 0);
	e = sw_policy_find(&p, SW_KIND_GID, 8);
	assert_non_null(e);
	assert_string_equal(p.sources[e->source], "delivery group of dma (/usr/sbin/dma)");
	assert_false(sw_mta_would_be_denied(&p, &(struct sw_mta_list){ items, 2 },
					    &(struct sw_listener_list){ NULL, 0 }, NULL));
	assert_null(sw_policy_find(&p, SW_KIND_UID, 1005));
	assert_null(sw_policy_find(&p, SW_KIND_UID, (uid_t)-1));
	sw_policy_free(&p);
}

static void test_would_be_denied(void **state)
{
	static const struct {
		const char *name;
		const struct sw_mta *server;
		const char *exe;	/* of the listener; NULL: none, "": not known */
		uid_t uid;		/* it runs as */
		uid_t exempt;		/* beside root */
		bool none;		/* mta = none */
		const char *why;	/* NULL: nothing is cut off */
	} rows[] = {
		{ "no mail server", NULL, NULL, 0, 0, false, NULL },
		{ "not exempt", &exim, NULL, 0, 0, false, "delivers as user 'Debian-exim'" },
		{ "not exempt, mta none", &exim, NULL, 0, 0, true,
		  "[exempt] users, or set mta = auto" },
		{ "exempt", &exim, NULL, 0, 102, false, NULL },
		{ "exempt, mta none", &exim, NULL, 0, 102, true, NULL },
		{ "ordinary account", &customer, NULL, 0, 0, false, "ordinary account" },
		{ "listed by hand", &customer, NULL, 0, 1005, false, NULL },
		{ "no account", &unknown, NULL, 0, 0, false, "no account" },
		{ "group", &dma, NULL, 0, 0, false, "group 'mail'" },
		{ "its own listener", &exim, "/usr/sbin/exim4", 102, 102, false, NULL },
		{ "master runs as root", &postfix, "/usr/lib/postfix/sbin/master", 0, 103, false,
		  NULL },
		{ "another path of it", &postfix, "/usr/libexec/postfix/master", 0, 103, false,
		  NULL },
		{ "a single program of it", &courier, "/usr/sbin/couriertcpd", 0, 105, false,
		  NULL },
		{ "not quite that program", &courier, "/usr/sbin/couriertcpd2", 0, 105, false,
		  "is not known" },
		{ "no process beside one", &exim, "", 0, 102, false, "an unknown program" },
		{ "name begins alike", &postfix, "/usr/lib/postfixer/master", 0, 103, false,
		  "the account it delivers as is not known" },
		{ "of another server", &exim, "/usr/lib/postfix/sbin/master", 0, 102, false,
		  "/usr/lib/postfix/sbin/master (pid 7) listens" },
		{ "unknown under root", NULL, "/opt/mta", 0, 0, false, "set mta = none" },
		{ "unknown under root, mta none", NULL, "/opt/mta", 0, 0, true, NULL },
		{ "unknown, not exempt", NULL, "/opt/mta", 77, 0, false,
		  "UID 77, which is not exempt" },
		{ "unknown, not exempt, mta none", NULL, "/opt/mta", 77, 0, true, "UID 77" },
		{ "unknown, exempt", NULL, "/opt/mta", 77, 77, false, NULL },
		{ "no process", NULL, "", 0, 0, false, "an unknown program" },
		{ "no process, exempt", NULL, "", 77, 77, false, NULL },
		{ "inetd for it", &exim, "/usr/sbin/xinetd", 0, 102, false, NULL },
		{ "systemd for it", &exim, "/usr/lib/systemd/systemd", 0, 102, false, NULL },
		{ "inetd for nobody known", NULL, "/usr/sbin/xinetd", 0, 0, false,
		  "/usr/sbin/xinetd" },
		{ "a customer's xinetd", &exim, "/home/a/xinetd", 1001, 102, false, "UID 1001" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_mta_list l = { (struct sw_mta *)rows[i].server, rows[i].server ? 1 : 0 };
		struct sw_listener w = { .pid = 7, .uid = rows[i].uid };
		struct sw_listener_list listeners = { &w, rows[i].exe ? 1 : 0 };
		struct sw_policy p = { .mta = rows[i].none ? SW_MTA_NONE : SW_MTA_AUTO };
		_cleanup_free_ char *why = NULL;

		print_message("# %s\n", rows[i].name);
		w.exe = rows[i].exe && *rows[i].exe ? (char *)rows[i].exe : NULL;
		assert_int_equal(sw_policy_add_exempt(&p, SW_KIND_UID, 0, "root", 0, 0), 0);
		assert_int_equal(sw_policy_add_exempt(&p, SW_KIND_UID, rows[i].exempt, "x", 0, 0),
				 0);
		assert_int_equal(sw_mta_would_be_denied(&p, &l, &listeners, &why), !!rows[i].why);
		assert_int_equal(sw_mta_would_be_denied(&p, &l, &listeners, NULL), !!rows[i].why);
		if (rows[i].why && !strstr(why, rows[i].why))
			fail_msg("'%s' is not in: %s", rows[i].why, why);
		assert_int_equal(!why, !rows[i].why);
		sw_policy_free(&p);
	}
}

/* Root is exempt by default only: without it a root server is cut off, too. */
static void test_root_not_exempt(void **state)
{
	struct sw_mta sendmail = { .name = "sendmail", .user = (char *)"root", .uid = 0,
				   .binary = (char *)"/usr/libexec/sendmail/sendmail" };
	struct sw_listener w = { .pid = 7, .uid = 0, .exe = (char *)"/opt/mta" };
	struct sw_mta_list l = { &sendmail, 1 }, no_server = { NULL, 0 };
	struct sw_listener_list one = { &w, 1 }, none = { NULL, 0 };
	struct sw_policy p = { .mta = SW_MTA_NONE };

	(void)state;
	assert_true(sw_mta_would_be_denied(&p, &l, &none, NULL));
	assert_true(sw_mta_would_be_denied(&p, &no_server, &one, NULL));
	assert_false(sw_mta_would_be_denied(&p, &no_server, &none, NULL));
	assert_int_equal(sw_mta_exempt(&l, &p), 0);
	assert_false(sw_mta_would_be_denied(&p, &l, &none, NULL));
	sw_policy_free(&p);
}

/* Whatever is installed here: nothing hangs, nothing leaks, no ordinary account is taken. */
static void test_this_machine(void **state)
{
	struct sw_mta_list l;
	size_t i;

	(void)state;
	assert_int_equal(sw_mta_find("", &l), 0);
	for (i = 0; i < l.n; i++)
		assert_true(l.item[i].problem || l.item[i].user || l.item[i].group);
	sw_mta_free(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_ask),
		cmocka_unit_test(test_ask_untrusted),
		cmocka_unit_test(test_ask_leaves_nothing),
		cmocka_unit_test(test_exempt),
		cmocka_unit_test(test_would_be_denied),
		cmocka_unit_test(test_root_not_exempt),
		cmocka_unit_test(test_this_machine),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
