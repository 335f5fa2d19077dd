/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smtpwall.conf: lines, keys and values. */
#include "config_util.h"

#define LONG_LINE	"# 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 " \
			"0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 " \
			"0123456789 0123456789 0123456789 0123456789 0123456789 0123456789"

static void test_good(void **state)
{
	static const struct {
		const char *text, *want[MAX_WANT];
	} rows[] = {
		{ "",
		  { "mode=enforce refuse=0 mta=0 local=1 close=1 containers=0 strict=0 identity=0 "
		    "uids=32768 origins=16384 events=524288 deny=25, count=465,587, exempt=",
		    "user:root@default:0;" } },
		{ "; nothing\n\n# here\n[policy]\n[exempt]\n[tables]\n", { "mode=enforce" } },
		{ "[policy]\nmode = enforce\n", { "mode=enforce" } },
		{ "[policy]\nmode = observe", { "mode=observe" } },
		{ "[policy]\r\nmode = observe\r\n", { "mode=observe" } },
		{ "\xef\xbb\xbf[policy]\nmode = observe\n", { "mode=observe" } },
		{ "[policy]\nmode = observe\n[exempt]\n  mta = none\n",
		  { "mode=observe", "mta=1" } },
		{ "  [policy]\n  mode = observe\n", { "mode=observe" } },
		{ "[policy] ; text\nmode = observe ; text\n", { "mode=observe" } },
		{ "[policy]\nmode: observe\n", { "mode=observe" } },
		{ "[policy]\n" LONG_LINE LONG_LINE "\nmode = observe\n", { "mode=observe" } },
		{ "[policy]\nmode = observe ;" LONG_LINE LONG_LINE "\n", { "mode=observe" } },
		{ "[policy]\nrefuse_with = refused\n", { "refuse=0" } },
		{ "[policy]\nrefuse_with = permission\n", { "refuse=1" } },
		{ "[policy]\nrefuse_with = unreachable\n", { "refuse=2" } },
		{ "[policy]\nallow_local = no\n", { "local=0" } },
		{ "[policy]\nallow_local = yes\n", { "local=1" } },
		{ "[policy]\nexisting = keep\n", { "close=0" } },
		{ "[policy]\nexisting = close\n", { "close=1" } },
		{ "[policy]\ncontainers = exempt\n", { "containers=1" } },
		{ "[policy]\ncontainers = deny\n", { "containers=0" } },
		{ "[policy]\nstrict = yes\n", { "strict=1 identity=0" } },
		{ "[policy]\nidentity = strict\n", { "strict=0 identity=1" } },
		{ "[policy]\nidentity = effective\n", { "identity=0" } },
		{ "[exempt]\nmta = none\n", { "mta=1" } },
		{ "[exempt]\nmta = auto\n", { "mta=0" } },

		{ "[policy]\ndeny_ports = 1 65535\n", { "deny=1,65535, " } },
		{ "[policy]\ndeny_ports = 25,2525, 26\n", { "deny=25,2525,26, " } },
		{ "[policy]\ndeny_ports = 25\n  26\n\t27\n", { "deny=25,26,27, " } },
		{ "[policy]\ndeny_ports =\n  26\n", { "deny=26, " } },
		/* A default is only counted where it is not denied. */
		{ "[policy]\ndeny_ports = 25,465,587\n", { "deny=25,465,587, count= " } },
		{ "[policy]\ndeny_ports = 25 465\n", { "deny=25,465, count=587, " } },
		{ "[policy]\ncount_ports =\n", { "deny=25, count= " } },
		{ "[policy]\ndeny_ports = 1 2 3 4 5 6 7 8 9 10 11 12 13 14\n",
		  { "deny=1,2,3,4,5,6,7,8,9,10,11,12,13,14, count=465,587, " } },
		{ "[policy]\ndeny_ports = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\ncount_ports =\n",
		  { "15,16, count= " } },

		{ "[tables]\nuids = 16\norigins = 4194304\n", { "uids=16 origins=4194304" } },
		{ "[tables]\nevents = 64K\n", { "events=65536 " } },
		{ "[tables]\nevents = 64M\n", { "events=67108864 " } },
		{ "[tables]\nevents = 1m\n", { "events=1048576 " } },
		{ "[tables]\nevents = 131072\n", { "events=131072 " } },

		/* A list of the file replaces the default users; without one they stay. */
		{ "[exempt]\nusers = daemon\n", { "exempt=user:daemon@main.conf:2;|" } },
		{ "[exempt]\nusers = root,daemon 4100000001\n",
		  { "exempt=user:root@main.conf:2;user:daemon@main.conf:2;"
		    "user:4100000001@main.conf:2;" } },
		{ "[exempt]\nusers =\n", { "exempt=|" } },
		{ "[exempt]\nusers = root\n  daemon ; text\n\n  ; text\n  bin\n",
		  { "exempt=user:root@main.conf:2;user:daemon@main.conf:3;"
		    "user:bin@main.conf:6;|" } },
		{ "[exempt]\nusers = daemon daemon 1\n", { "exempt=user:daemon@main.conf:2;|" } },
		{ "[exempt]\ngroups = daemon 4100000001\n",
		  { "user:root@default:0;",
		    "group:daemon@main.conf:2;group:4100000001@main.conf:2;" } },
		{ "[exempt]\ngroups =\ncgroups =\n", { "user:root@default:0;" } },
		{ "[exempt]\ngroups = daemon\n[policy]\nstrict = yes\n[exempt]\nusers = bin\n",
		  { "strict=1", "exempt=group:daemon@main.conf:2;user:bin@main.conf:6;|" } },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		write_text("main.conf", rows[i].text);
		assert_policy(rows[i].want);
	}
}

/* An explicit list without root leaves root out. */
static void test_users_replace(void **state)
{
	struct sw_diag diag = { 0 };
	struct sw_policy p;

	(void)state;
	write_text("main.conf", "[exempt]\nusers = daemon\n");
	assert_int_equal(sw_config_load(main_file, -1, &p, &diag), 0);
	assert_int_equal(p.n_exempt, 1);
	assert_null(sw_policy_find(&p, SW_KIND_UID, 0));
	sw_policy_free(&p);
}

static void test_bad_text(void **state)
{
	static const struct {
		const char *text, *want[MAX_WANT];
	} rows[] = {
		{ "mode = observe\n", { "main.conf:1: 'mode' stands before the first [section]" } },
		{ "[policy]\nmode\n",
		  { "main.conf:2: 'mode' is neither [section] nor key = value" } },
		{ "[policy]\nmode\n\nrubbish\nstrict = yes\nmore\n",
		  { "main.conf:2: 'mode' is neither", "main.conf:4: 'rubbish' is neither",
		    "main.conf:6: 'more' is neither" } },
		{ "[policy]\nmode ; = observe\n", { "main.conf:2: is neither" } },
		{ "[policy\nmode = observe\n",
		  { "main.conf:1: '[policy' has no closing bracket" } },
		{ "[policy] mode = observe\n",
		  { "main.conf:1: unexpected text after '[policy]'" } },
		{ "[polcy]\nmode = x\n\n[exmpt]\n",
		  { "main.conf:1: unknown section [polcy]; known sections: [policy] "
		    "[exempt] [allow] [limit] [domains] [history] [metrics] [alerts] [tables]",
		    "main.conf:4: unknown section [exmpt]" } },
		{ "[]\n", { "main.conf:1: unknown section []" } },
		/* inih would cut this name to 49 characters. */
		{ "[policyxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]\n",
		  { "main.conf:1: unknown section "
		    "[policyxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" } },
		{ "[polcy]\nrubbish\n",
		  { "main.conf:1: unknown section", "main.conf:2: 'rubbish'" } },
		{ "[metrics]\nlisten = 0.0.0.0:9825\n",
		  { "main.conf:2: listen = '0.0.0.0:9825' is no loopback address" } },
		{ "[metrics]\ntop = 5\nlisten = /run/metrics\ntextfile = m.prom\n",
		  { "main.conf:3: listen = '/run/metrics' is neither unix:/PATH nor",
		    "main.conf:4: textfile = 'm.prom' is no absolute path" } },

		{ "[policy]\nmdoe = enforce\n",
		  { "main.conf:2: unknown key 'mdoe' in [policy]; known keys: mode deny_ports "
		    "count_ports "
		    "allow_local refuse_with existing containers strict outcomes identity" } },
		{ "[exempt]\nmode = enforce\n",
		  { "main.conf:2: unknown key 'mode' in [exempt]; known keys: users groups "
		    "cgroups mta" } },
		{ "[tables]\nx = 1\n  2\n  3\n", /* once, not for each line of its value */
		  { "main.conf:2: unknown key 'x' in [tables]; known keys: uids origins events" } },
		{ "[tables]\n= 1\n", { "main.conf:2: unknown key ''" } },
		{ "[policy]\nMode = enforce\n", { "main.conf:2: unknown key 'Mode'" } },
		/* inih cuts names to 49 characters on continuation lines. */
		{ "[policy]\nmodexxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx = enforce\n"
		  " observe\n",
		  { "main.conf:2: unknown key 'modexxx" } },

		{ "[policy]\nmode = enforce\n\nmode = enforce\n",
		  { "main.conf:4: 'mode' is set twice; the first is in line 2" } },
		{ "[exempt]\nusers = root\n[policy]\nmode = enforce\n[exempt]\nusers = daemon\n"
		  " nobody-x\n",
		  { "main.conf:6: 'users' is set twice; the first is in line 2" } },
		{ "[policy]\nmode = enforce\n  observe\n",
		  { "main.conf:3: 'mode' takes one value; this line begins with a blank" } },
		{ "[policy]\n  mode = enforce\n  strict = yes\n",
		  { "main.conf:3: the line begins with a blank and so continues 'mode'" } },
		{ "[policy]\nmode = enforce # text\nstrict = yes\n",
		  { "main.conf:2: a comment behind a value begins with ';'" } },
		{ "[policy]\nmode = \x1b[31mred\n",
		  { "main.conf:2: mode = '?[31mred' is not one of" } },
		/* What belongs to a bad line is not judged, what follows is. */
		{ "[exempt]\nrubbish\n  no-such\nusers = no-such\n",
		  { "main.conf:2: 'rubbish' is", "main.conf:4: unknown user 'no-such'" } },
		{ "[policy]\n  rubbish\n  strict = 1\n",
		  { "main.conf:2: '  rubbish' is", "main.conf:3: strict = '1' is" } },
		{ "[exempt]\nusers = root\nrubbish\n no-such-1\n no-such-2\ngroups = no-such-3\n",
		  { "main.conf:3: 'rubbish'", "main.conf:6: unknown group 'no-such-3'" } },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		write_text("main.conf", rows[i].text);
		assert_errors(rows[i].want);
	}
}

static void test_bad_values(void **state)
{
	static const struct {
		const char *text, *want[MAX_WANT];
	} rows[] = {
		{ "[policy]\nmode = block\n",
		  { "main.conf:2: mode = 'block' is not one of: enforce observe redirect" } },
		{ "[policy]\nmode =\n", { "main.conf:2: mode = '' is not one of" } },
		{ "[policy]\nredirect_to = 127.0.0.1 127.0.0.2\n",
		  { "main.conf:2: redirect_to has two IPv4 addresses" } },
		{ "[policy]\nredirect_to = ::1 0.0.0.0 mail.example.net\nredirect_port = 0\n",
		  { "main.conf:2: '0.0.0.0' is no address of a mail server",
		    "main.conf:2: 'mail.example.net' in redirect_to is no address",
		    "main.conf:3: redirect_port = '0' is not a port" } },
		{ "[policy]\nallow_local = true\n", { "main.conf:2: is not one of: no yes" } },
		{ "[policy]\nrefuse_with = drop\n",
		  { "main.conf:2: is not one of: refused permission unreachable" } },
		{ "[policy]\nexisting = no\n", { "main.conf:2: is not one of: keep close" } },
		{ "[policy]\ncontainers = allow\n", { "main.conf:2: is not one of: deny exempt" } },
		{ "[policy]\nstrict = 1\n", { "main.conf:2: is not one of: no yes" } },
		{ "[policy]\nidentity = real\n",
		  { "main.conf:2: is not one of: effective strict" } },
		{ "[exempt]\nmta = exim\n", { "main.conf:2: is not one of: auto none" } },

		{ "[policy]\ndeny_ports = 70000\n",
		  { "main.conf:2: port 70000 in deny_ports is not between 1 and 65535" } },
		{ "[policy]\ndeny_ports = 25\n  0\n 65536\n  99999999999\n",
		  { "main.conf:3: port 0 in", "main.conf:4: port 65536 in",
		    "main.conf:5: port 99999999999 in" } },
		{ "[policy]\ncount_ports = smtp -1 25:30\n",
		  { "main.conf:2: 'smtp' in count_ports is not a port number",
		    "main.conf:2: '-1' in", "main.conf:2: '25:30' in" } },
		{ "[policy]\ndeny_ports =\n",
		  { "main.conf:2: deny_ports may not be empty; to deny nothing use mode "
		    "= observe" } },
		{ "[policy]\ndeny_ports = 25 26\n 25\n",
		  { "main.conf:3: port 25 is listed twice in deny_ports" } },
		{ "[policy]\ncount_ports = 587 26 25\ndeny_ports = 25 26\n",
		  { "main.conf:2: port 26 is in count_ports and in deny_ports",
		    "main.conf:2: port 25 is in count_ports and in deny_ports" } },
		{ "[policy]\ncount_ports = 25\n",
		  { "main.conf:2: port 25 is in count_ports and" } },
		{ "[policy]\ndeny_ports = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17\n"
		  "count_ports =\n",
		  { "main.conf:2: deny_ports lists more than 16 ports" } },
		{ "[policy]\ndeny_ports = 1 2 3 4 5 6 7 8\n"
		  "count_ports = 11 12 13 14 15 16 17 18 19\n",
		  { "main.conf:3: deny_ports and count_ports list more than 16 ports together" } },
		{ "[policy]\ndeny_ports = 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15\n",
		  { "main.conf:2: deny_ports and count_ports list more than 16 ports together" } },

		{ "[exempt]\nusers = root no-such-user,\n  no-such-either 4100000001\n",
		  { "main.conf:2: unknown user 'no-such-user' in users; create it, "
		    "correct the name, or",
		    "main.conf:3: unknown user 'no-such-either' in users" } },
		{ "[exempt]\ngroups = no-such-group\n",
		  { "main.conf:2: unknown group 'no-such-group' in groups; create it" } },
		{ "[exempt]\nusers = 4294967295 99999999999\n",
		  { "main.conf:2: '4294967295' in users is no possible user number",
		    "main.conf:2: '99999" } },
		{ "[exempt]\ngroups = 4294967295\n",
		  { "main.conf:2: '4294967295' in groups is no possible group number" } },
		{ "[exempt]\ncgroups = /a\n",
		  { "main.conf:2: cgroup '/a' cannot be used: there is no cgroup v2 hierarchy" } },

		{ "[tables]\nuids = 15\norigins = 4194305\n",
		  { "main.conf:2: uids = '15' is not a number from 16 to 4194304",
		    "main.conf:3: origins = '4194305' is not a number from 16 to 4194304" } },
		{ "[tables]\nuids = 1K\n", { "main.conf:2: uids = '1K' is not a number" } },
		{ "[tables]\nuids =\n", { "main.conf:2: uids = '' is not a number" } },
		{ "[tables]\nevents = 32K\n",
		  { "main.conf:2: is not a power of two from 64K to 64M" } },
		{ "[tables]\nevents = 128M\n", { "main.conf:2: is not a power of two" } },
		{ "[tables]\nevents = 100000\n", { "main.conf:2: is not a power of two" } },
		{ "[tables]\nevents = K\n", { "main.conf:2: is not a power of two" } },
		{ "[tables]\nevents = 1G\n", { "main.conf:2: is not a power of two" } },
		{ "[tables]\nevents = -64K\n", { "main.conf:2: is not a power of two" } },
		{ "[tables]\nevents = 4194368K\n", { "main.conf:2: is not a power of two" } },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		write_text("main.conf", rows[i].text);
		assert_errors(rows[i].want);
	}
}

/* At the edge of inih's line buffer, and with NUL bytes. */
static void test_long_lines(void **state)
{
	static const char *const too_long[] = {
		"main.conf:2: the line is longer than 197 characters; continue the value on an "
		"indented",
		NULL,
	};
	static const char *const all_users[] = {
		"exempt=user:root@main.conf:2;user:daemon@main.conf:3;", NULL
	};
	static const struct { const char *text; size_t len; const char *want[MAX_WANT];
	} nul[] = {
#define NUL(t)	t, sizeof(t) - 1
		{ NUL("[policy]\nmode = observe\0x\n"),
		  { "main.conf:2: the line contains a NUL byte" } },
		{ NUL("[policy\0]\nmode = observe\n"),
		  { "main.conf:1: the line contains a NUL byte",
		    "main.conf:2: 'mode' stands before" } },
		{ NUL("\0\n\n\0"), { "main.conf:1: NUL byte", "main.conf:3: NUL byte" } },
	};
	size_t len, i;
	char text[512];

	(void)state;
	for (len = 190; len < 210; len++) {
		print_message("# %zu characters\n", len);
		memset(text, ' ', sizeof(text));
		memcpy(text, "[exempt]\nusers = ", 17);
		memcpy(text + 9 + len - 4, "root\n daemon\n", 13);
		write_bytes("main.conf", text, 9 + len - 4 + 13);
		if (len <= 197)
			assert_policy(all_users);
		else
			assert_errors(too_long);
	}
	for (i = 0; i < ARRAY_SIZE(nul); i++) {
		print_message("# NUL row %zu\n", i);
		write_bytes("main.conf", nul[i].text, nul[i].len);
		assert_errors(nul[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_good, empty_dir),
		cmocka_unit_test_setup(test_users_replace, empty_dir),
		cmocka_unit_test_setup(test_bad_text, empty_dir),
		cmocka_unit_test_setup(test_bad_values, empty_dir),
		cmocka_unit_test_setup(test_long_lines, empty_dir),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
