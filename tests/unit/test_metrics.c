/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The text for Prometheus: what is in it, how much of it there can be, and the file that holds it. */
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "metrics.h"
#include "test_domain_util.h"

#define ODD_UID	4100000001U

/* The user database where no domains are read. */
struct passwd *getpwuid(uid_t uid)
{
	static struct passwd odd = { .pw_name = "a\"b\\c\033", .pw_dir = "/home/a" };

	return uid == ODD_UID ? &odd : NULL;
}

static struct sw_stat accounts[] = {
	{ .uid = 1001, .n = { [SW_N_DENIED] = 120, [SW_N_ALLOWED] = 1, [SW_N_SENDMAIL] = 7 },
	  .outcome = { 1, 2, 3, 4, 500, 60, 1500000000 } },
	{ .uid = 1002, .n = { [SW_N_ALLOWED] = 90, [SW_N_LOCAL] = 5, [SW_N_SENDMAIL] = 3 },
	  .outcome = { 10, 20, 30, 40, 5000, 600, 700000000 } },
	{ .uid = 1003, .n = { [SW_N_LIMITED] = 2, [SW_N_LOCAL] = 4 } },
	{ .uid = ODD_UID, .n = { [SW_N_DENIED] = 8 } },
	{ .row = SW_ROW_KERNEL, .n = { [SW_N_DENIED] = 16 } },
	{ .row = SW_ROW_OVERFLOW, .n = { [SW_N_WOULD_DENY] = 4 } },
};

/* What the accounts did, by directory; seven attempts of alice found no row. */
static struct sw_stat origins[] = {
	{ .uid = 1001, .n = { [SW_N_DENIED] = 7 }, .directory = "/home/alice/shop/x" },
	{ .uid = 1001, .n = { [SW_N_DENIED] = 100 }, .directory = "/tmp" },
	{ .uid = 1001, .n = { [SW_N_DENIED] = 6 }, .directory = "/home/alice/blog" },
	{ .uid = 1002, .n = { [SW_N_ALLOWED] = 90 }, .directory = "/" },
	{ .uid = 1003, .n = { [SW_N_LIMITED] = 2 }, .directory = "/home/carol" },
	{ .row = SW_ROW_KERNEL, .n = { [SW_N_DENIED] = 16 } },
};

static const struct sw_stats stats = {
	.accounts = accounts, .n_accounts = ARRAY_SIZE(accounts),
	.origins = origins, .n_origins = ARRAY_SIZE(origins),
	.counters = { [SW_CTR_EVENTS_SENT] = 1, [SW_CTR_EVENTS_LOST] = 2,
		      [SW_CTR_EVENTS_THROTTLED] = 3 },
	.uid_rows = 5, .uid_rows_max = 32768, .uid_overflow = 4,
};

static const struct sw_live live = {
	.exists = true, .in_force = true,
	.settings = { .generation = 9, .mode = SW_MODE_OBSERVE },
};

static char *text_of(const struct sw_metrics *m)
{
	char *text = NULL;
	size_t len = 0;

	assert_int_equal(sw_metrics_text(m, &text, &len), 0);
	assert_int_equal(strlen(text), len);
	return text;
}

static void assert_lines(const char *text, const char *const *want, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char line[512];

		snprintf(line, sizeof(line), "\n%s\n", want[i]);
		if (!strstr(text, line))
			fail_msg("no %s in\n%s", want[i], text);
	}
}

static size_t count(const char *text, const char *part)
{
	size_t n = 0;

	for (; (text = strstr(text, part)); text++)
		n++;
	return n;
}

/* Labels are quoted, and nothing stands on a line that is neither a comment nor a sample. */
static void assert_well_formed(const char *text)
{
	assert_string_equal(text + strlen(text) - strlen("\n# EOF\n"), "\n# EOF\n");
	assert_null(strstr(text, "\n\n"));
	for (const char *p = text; *p; p += strcspn(p, "\n") + 1)
		if (strncmp(p, "# HELP smtpwall_", 16) != 0 &&
		    strncmp(p, "# TYPE smtpwall_", 16) != 0 && strncmp(p, "# EOF\n", 6) != 0 &&
		    strncmp(p, "smtpwall_", 9) != 0)
			fail_msg("what is this: %.60s", p);
}

static void test_accounts(void **state)
{
	static const char odd[] = "smtpwall_uid_attempts_total{uid=\"4100000001\","
				  "user=\"a\\\"b\\\\x5cc\\\\x1b\",verdict=\"denied\"} 8";
	static const char *const want[] = {
		"smtpwall_in_force 1", "smtpwall_generation 9", "smtpwall_offenders 5",
		"smtpwall_attempts_total{verdict=\"denied\"} 144",
		"smtpwall_attempts_total{verdict=\"allowed\"} 91",
		"smtpwall_uid_attempts_total{uid=\"1001\",user=\"\",verdict=\"denied\"} 120",
		"smtpwall_uid_attempts_total{uid=\"kernel\",user=\"(kernel)\",verdict=\"denied\"} 16",
		odd,
		"smtpwall_uid_attempts_total{uid=\"rest\",user=\"\",verdict=\"denied\"} 0",
		"smtpwall_uid_attempts_total{uid=\"rest\",user=\"\",verdict=\"would_deny\"} 4",
		"smtpwall_uid_attempts_total{uid=\"rest\",user=\"\",verdict=\"limited\"} 2",
		"smtpwall_uid_attempts_total{uid=\"rest\",user=\"\",verdict=\"allowed\"} 90",
		"smtpwall_events_total{result=\"sent\"} 1",
		"smtpwall_events_total{result=\"lost\"} 2",
		"smtpwall_events_total{result=\"throttled\"} 3",
		"smtpwall_uid_rows 5", "smtpwall_uid_rows_max 32768",
		"smtpwall_overflow_attempts_total{table=\"uids\"} 4",
		"smtpwall_overflow_attempts_total{table=\"origins\"} 0",
	};
	const struct sw_metrics m = { .live = &live, .stats = &stats, .top = 3 };
	_cleanup_free_ char *text = text_of(&m);

	(void)state;
	assert_well_formed(text);
	assert_lines(text, want, ARRAY_SIZE(want));
	assert_non_null(strstr(text, "mode=\"observe\"} 1\n"));
	assert_null(strstr(text, "uid=\"overflow\""));	/* the fourth */
	assert_null(strstr(text, "attempts_total{uid=\"1003"));
	assert_null(strstr(text, "domain"));
	assert_null(strstr(text, "monitor"));
}

/* Who hands mail to the mail server, and what became of connections. */
static void test_channels(void **state)
{
	static const char *const want[] = {
		"smtpwall_attempts_total{verdict=\"local\"} 9",
		"smtpwall_attempts_total{verdict=\"sendmail\"} 10",
		"smtpwall_uid_submitted_total{uid=\"1002\",user=\"\",channel=\"local\"} 5",
		"smtpwall_uid_submitted_total{uid=\"1002\",user=\"\",channel=\"sendmail\"} 3",
		"smtpwall_uid_submitted_total{uid=\"1001\",user=\"\",channel=\"local\"} 0",
		"smtpwall_uid_submitted_total{uid=\"1001\",user=\"\",channel=\"sendmail\"} 7",
		"smtpwall_uid_submitted_total{uid=\"rest\",user=\"\",channel=\"local\"} 4",
		"smtpwall_uid_submitted_total{uid=\"rest\",user=\"\",channel=\"sendmail\"} 0",
		"smtpwall_connections_total{result=\"established\"} 11",
		"smtpwall_connections_total{result=\"refused\"} 22",
		"smtpwall_connections_total{result=\"timed_out\"} 33",
		"smtpwall_connections_total{result=\"failed\"} 44",
		"smtpwall_connection_bytes_total{direction=\"sent\"} 5500",
		"smtpwall_connection_bytes_total{direction=\"received\"} 660",
		"smtpwall_connection_seconds_total 2",
	};
	const struct sw_metrics m = { .live = &live, .stats = &stats, .top = 2 };
	_cleanup_free_ char *text = text_of(&m);

	(void)state;
	assert_well_formed(text);
	assert_lines(text, want, ARRAY_SIZE(want));
	assert_int_equal(count(text, "smtpwall_uid_submitted_total{"), 6);
}

/* However many offend: as many series as `top` says. */
static void test_cardinality(void **state)
{
	static const uint32_t tops[] = { 0, 1, 5, 100 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tops); i++) {
		const struct sw_metrics m = { .live = &live, .stats = &stats, .top = tops[i] };
		_cleanup_free_ char *text = text_of(&m);
		size_t n = tops[i] < 5 ? tops[i] : 5;

		assert_int_equal(count(text, "smtpwall_uid_attempts_total{"), (n + 1) * _SW_N_MAX);
	}
}

static void test_domains(void **state)
{
	static const char *const want[] = {
		"smtpwall_domain_attempts_total{domain=\"shop.example\",guess=\"no\","
		"verdict=\"denied\"} 7",
		"smtpwall_domain_attempts_total{domain=\"example.com\",guess=\"yes\","
		"verdict=\"denied\"} 100",
		/* the kernel's, and carol, who has no domain */
		"smtpwall_domain_attempts_total{domain=\"none\",guess=\"no\",verdict=\"denied\"} 16",
		"smtpwall_domain_attempts_total{domain=\"none\",guess=\"no\",verdict=\"limited\"} 2",
		/* blog.example, the seven, and the account of the odd name */
		"smtpwall_domain_attempts_total{domain=\"rest\",guess=\"no\",verdict=\"denied\"} 21",
		"smtpwall_domain_attempts_total{domain=\"rest\",guess=\"no\",verdict=\"allowed\"} 91",
		"smtpwall_uid_attempts_total{uid=\"1001\",user=\"alice\",verdict=\"denied\"} 120",
	};
	struct sw_metrics m = { .live = &live, .stats = &stats, .top = 2 };
	_cleanup_free_ char *text = NULL;

	(void)state;
	put("/etc/passwd", PASSWD_HEAD "alice:x:1001:1001::/home/alice:/bin/bash\n"
	    "bob:x:1002:1002::/home/bob:/bin/bash\ncarol:x:1003:1003::/home/carol:/bin/bash\n");
	put("/etc/trueuserdomains", "example.com: alice\nbob.example: bob\n");
	put("/etc/userdatadomains",
	    "example.com: alice==root==main==example.com==/home/alice/html==\n"
	    "shop.example: alice==root==addon==example.com==/home/alice/shop==\n"
	    "blog.example: alice==root==addon==example.com==/home/alice/blog==\n");
	m.domains = open_domains(root, NULL);
	text = text_of(&m);
	assert_well_formed(text);
	assert_lines(text, want, ARRAY_SIZE(want));
	assert_int_equal(count(text, "smtpwall_domain_attempts_total{"), 4 * _SW_N_MAX);
	assert_null(strstr(text, "bob.example"));	/* no offender */
	sw_domains_free(m.domains);
}

static void test_monitor(void **state)
{
	static const char *const want[] = {
		"smtpwall_monitor_start_time_seconds 1700000000",
		"smtpwall_monitor_events_total 5", "smtpwall_monitor_scrapes_total 6",
		"smtpwall_history_rolls_total{result=\"written\"} 7",
		"smtpwall_history_rolls_total{result=\"failed\"} 8",
		"smtpwall_history_last_roll_timestamp_seconds 1700000009",
		"smtpwall_history_size_bytes 10",
		"smtpwall_alerts_total{result=\"sent\"} 11",
		"smtpwall_alerts_total{result=\"failed\"} 12",
		"smtpwall_alerts_total{result=\"held\"} 13",
	};
	const struct sw_metrics_monitor monitor = {
		.started = 1700000000, .events = 5, .scrapes = 6, .rolls = 7, .rolls_failed = 8,
		.rolled = 1700000009, .history_bytes = 10, .alerts_sent = 11, .alerts_failed = 12,
		.alerts_held = 13,
	};
	const struct sw_live nothing = {};
	const struct sw_metrics m = { .live = &nothing, .monitor = &monitor };
	_cleanup_free_ char *text = text_of(&m);

	(void)state;
	assert_well_formed(text);
	assert_lines(text, want, ARRAY_SIZE(want));
	assert_non_null(strstr(text, "smtpwall_in_force 0\n"));
}

static void test_nothing_in_force(void **state)
{
	const struct sw_live nothing = {};
	const struct sw_metrics m = { .live = &nothing };
	_cleanup_free_ char *text = text_of(&m);

	(void)state;
	assert_non_null(strstr(text, "\nsmtpwall_in_force 0\n# EOF\n"));
	assert_null(strstr(text, "attempts"));
}

/* ---- The file ---- */

static char path[sizeof(root) + 64];

static const char *in_root(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", root, name);
	return path;
}

/* How many names the directory has. */
static size_t names_in(const char *dir)
{
	DIR *d = opendir(dir);
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;
}

static void test_file(void **state)
{
	struct stat before, after;
	char text[16] = "";
	int fd;

	(void)state;
	umask(0077);
	assert_int_equal(sw_metrics_file(in_root("smtpwall.prom"), "old\n", 4), 0);
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(before.st_mode & 07777, 0644);
	fd = open(path, O_RDONLY);
	assert_int_equal(sw_metrics_file(path, "new one\n", 8), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(after.st_size, 8);
	/* Who has it open reads the old one to its end. */
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "old\n");
	close(fd);
	assert_int_equal(names_in(root), 1);
	umask(0022);
}

/* What cannot be written changes nothing, and leaves nothing behind. */
static void test_file_fails(void **state)
{
	char big[64 * 1024];
	struct stat st;
	pid_t pid;
	int status;

	(void)state;
	memset(big, 'x', sizeof(big));
	assert_int_equal(sw_metrics_file(in_root("none/m.prom"), "x", 1), -ENOENT);
	assert_int_equal(sw_metrics_file("/", "x", 1), -EISDIR);
	assert_int_equal(sw_metrics_file(in_root(".."), "x", 1), -EISDIR);
	assert_int_equal(sw_metrics_file(in_root("m.prom"), "old\n", 4), 0);
	pid = fork();
	if (!pid) {
		struct rlimit limit = { 4096, 4096 };

		signal(SIGXFSZ, SIG_IGN);
		setrlimit(RLIMIT_FSIZE, &limit);
		_exit(sw_metrics_file(path, big, sizeof(big)) == -EFBIG ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_size, 4);
	assert_int_equal(names_in(root), 1);
}

/* A symbolic link in the way is replaced, not followed. */
static void test_file_link(void **state)
{
	char target[sizeof(path)];
	struct stat st;

	(void)state;
	put("/victim", "precious\n");
	snprintf(target, sizeof(target), "%s", in_root("victim"));
	assert_int_equal(symlink(target, in_root("m.prom")), 0);
	assert_int_equal(sw_metrics_file(path, "x\n", 2), 0);
	assert_int_equal(lstat(path, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	assert_int_equal(stat(target, &st), 0);
	assert_int_equal(st.st_size, 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_cardinality),
		cmocka_unit_test_setup_teardown(test_domains, make_root, remove_root),
		cmocka_unit_test(test_monitor),
		cmocka_unit_test(test_nothing_in_force),
		cmocka_unit_test_setup_teardown(test_file, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_file_fails, make_root, remove_root),
		cmocka_unit_test_setup_teardown(test_file_link, make_root, remove_root),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
