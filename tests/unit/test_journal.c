/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Records for the log: against sockets of the test's own, which may be full or gone. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <cmocka.h>

#include "alert.h"
#include "journal.h"
#include "util.h"

#define HOSTILE "a\nMESSAGE=x\r\n\033[31m\xe2\x80\xae\xff"

static const char message_event[] = "\nMESSAGE_ID=" SW_MESSAGE_EVENT "\n";
static const char message_alert[] = "\nMESSAGE_ID=" SW_MESSAGE_ALERT "\n";

static char dir[] = "/tmp/sw-journal-XXXXXX";
static char journal_path[64], syslog_path[64];
static struct sw_event event;
static struct sw_event_view view;

static int setup_group(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	if (!mkdtemp(dir))
		return -1;
	snprintf(journal_path, sizeof(journal_path), "%s/journal", dir);
	snprintf(syslog_path, sizeof(syslog_path), "%s/log", dir);
	return 0;
}

static int teardown_group(void **state)
{
	(void)state;
	return rmdir(dir);
}

static int setup(void **state)
{
	static const uint8_t addr[16] = { [10] = 0xff, 0xff, 198, 51, 100, 25 };

	(void)state;
	event = (struct sw_event){ .charged_uid = 1001, .egid = 1003, .dport = 25, .tgid = 4711,
				   .verdict = SW_DENY, .reason = SW_BY_POLICY };
	memcpy(event.daddr, addr, sizeof(addr));
	view = (struct sw_event_view){
		.e = &event, .time = 1767268800, .address = "198.51.100.25",
		.destination = "198.51.100.25:25", .comm = "php",
		.where = { .directory = "/home/alice/www", .script = "mail.php" },
		.container = "unit x.service",
		.site = { .domain = "shop.example", .source = "docroot", .user = "alice",
			  .account = "alice" },
	};
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(journal_path);
	unlink(syslog_path);
	return 0;
}

static int listen_at(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	unlink(path);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

static struct sw_journal *open_journal(void)
{
	struct sw_journal *j;

	assert_int_equal(sw_journal_open(journal_path, syslog_path, &j), 0);
	return j;
}

/* The next datagram. */
static char *take(int fd)
{
	static char buf[65536];
	ssize_t n = recv(fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);

	assert_true(n > 0);
	buf[n] = '\0';
	assert_int_equal(strlen(buf), n);
	return buf;
}

/* Every line is NAME=value, so no value is binary or begins a field of its own. */
static void assert_fields(const char *record, const char *const *want)
{
	size_t messages = 0;

	for (const char *at = record; *at; at = strchr(at, '\n') + 1) {
		size_t name = strspn(at, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_");

		assert_true(name && at[name] == '=');
		messages += !strncmp(at, "MESSAGE=", 8);
	}
	assert_int_equal(messages, 1);
	for (; *want; want++)
		if (!strstr(record, *want))
			fail_msg("'%s' is not in: %s", *want, record);
}

static void test_event(void **state)
{
	static const char *const want[] = {
		"MESSAGE=shop.example 2026-01-01T12:00:00Z DENIED alice (1001) to 198.51.100.25:25 in ",
		message_event, "\nPRIORITY=5\n", "\nSYSLOG_FACILITY=3\n",
		"\nSYSLOG_IDENTIFIER=smtpwall\n", "\nSMTPWALL_UID=1001\n", "\nSMTPWALL_USER=alice\n",
		"\nSMTPWALL_DOMAIN=shop.example\n", "\nSMTPWALL_SOURCE=docroot\n",
		"\nSMTPWALL_ACCOUNT=alice\n", "\nSMTPWALL_DIRECTORY=/home/alice/www\n",
		"\nSMTPWALL_SCRIPT=mail.php\n", "\nSMTPWALL_DESTINATION=198.51.100.25\n",
		"\nSMTPWALL_PORT=25\n", "\nSMTPWALL_VERDICT=deny\n", "\nSMTPWALL_REASON=",
		"\nSMTPWALL_PID=4711\n", "\nSMTPWALL_COMM=php\n",
		"\nSMTPWALL_CONTAINER=unit x.service\n", NULL
	};
	_cleanup_close_ int fd = listen_at(journal_path);
	struct sw_journal *j = open_journal();

	(void)state;
	assert_int_equal(sw_journal_event(j, &view), 0);
	assert_fields(take(fd), want);
	sw_journal_close(j);
}

static void test_alert(void **state)
{
	static const char *const want[] = {
		"MESSAGE=shop.example alice (1001): 7 denied connects this hour", "\nPRIORITY=4\n",
		message_alert, "\nSMTPWALL_RULE=denied 5/hour per account\n",
		"\nSMTPWALL_LINE=x.conf:3\n", "\nSMTPWALL_METRIC=denied\n", "\nSMTPWALL_COUNT=7\n",
		"\nSMTPWALL_THRESHOLD=5\n", "\nSMTPWALL_SECONDS=3600\n", "\nSMTPWALL_SCOPE=account\n",
		"\nSMTPWALL_UID=1001\n", "\nSMTPWALL_DOMAIN=shop.example\n", NULL
	};
	char rule[] = "denied 5/hour per account", place[] = "x.conf:3", user[] = "alice",
	     domain[] = "shop.example";
	const struct sw_alert a = {
		.metric = SW_METRIC_DENIED, .period = SW_PERIOD_HOUR, .seconds = 3600, .count = 7,
		.threshold = 5, .rule = rule, .place = place,
		.where = { .is_uid = true, .uid = 1001, .user = user, .domain = domain },
	};
	_cleanup_close_ int fd = listen_at(journal_path);
	struct sw_journal *j = open_journal();

	(void)state;
	assert_int_equal(sw_journal_alert(j, &a), 0);
	assert_fields(take(fd), want);
	sw_journal_close(j);
}

static void test_hostile(void **state)
{
	static const char *const want[] = {
		"\nSMTPWALL_DIRECTORY=a\\x0aMESSAGE=x\\x0d\\x0a\\x1b[31m\\xe2\\x80\\xae\\xff\n",
		"\nSMTPWALL_SCRIPT=a\\x0a", "\nSMTPWALL_CONTAINER=a\\x0a", "\nSMTPWALL_USER=a\\x0a", NULL
	};
	_cleanup_close_ int fd = listen_at(journal_path);
	struct sw_journal *j = open_journal();

	(void)state;
	view.where.directory = view.where.script = view.site.user = view.site.domain = HOSTILE;
	snprintf(view.container, sizeof(view.container), "%s", HOSTILE);
	assert_int_equal(sw_journal_event(j, &view), 0);
	assert_fields(take(fd), want);
	sw_journal_close(j);
}

/* Without a journal a line to syslog, of one line whatever is in it. */
static void test_syslog(void **state)
{
	_cleanup_close_ int fd = listen_at(syslog_path);
	struct sw_journal *j = open_journal();
	char *line, tag[32];

	(void)state;
	view.where.directory = HOSTILE;
	assert_int_equal(sw_journal_event(j, &view), 0);
	line = take(fd);
	snprintf(tag, sizeof(tag), " smtpwall[%d]: shop.example ", (int)getpid());
	assert_int_equal(strncmp(line, "<29>", 4), 0);
	assert_non_null(strstr(line, tag));
	assert_null(strchr(line, '\n'));
	assert_null(strchr(line, '\033'));
	sw_journal_close(j);
}

/* A log that is full costs the record at once; when it is read again, records go on. */
static void test_full(void **state)
{
	_cleanup_close_ int fd = listen_at(journal_path), other = listen_at(syslog_path);
	struct sw_journal *j = open_journal();
	struct sw_journal_state s;
	struct timespec from, to;
	char byte;

	(void)state;
	clock_gettime(CLOCK_MONOTONIC, &from);
	for (int i = 0; i < 5000; i++)
		(void)sw_journal_event(j, &view);
	clock_gettime(CLOCK_MONOTONIC, &to);
	assert_true(to.tv_sec - from.tv_sec < 20);
	sw_journal_state(j, &s);
	assert_true(s.lost > 0 && s.sent > 0);
	assert_int_equal(s.sent + s.lost, 5000);
	assert_int_equal(s.last_error, -EAGAIN);
	/* And nothing of it goes elsewhere. */
	assert_int_equal(recv(other, &byte, 1, MSG_DONTWAIT), -1);
	while (recv(fd, &byte, 1, MSG_DONTWAIT) >= 0)
		;
	assert_int_equal(sw_journal_event(j, &view), 0);
	sw_journal_close(j);
}

/* Neither of them there; then a journal comes, goes, and comes again. */
static void test_restart(void **state)
{
	struct sw_journal *j = open_journal();
	struct sw_journal_state s;
	int fd;

	(void)state;
	assert_int_equal(sw_journal_event(j, &view), -ENOENT);
	sw_journal_state(j, &s);
	assert_int_equal(s.lost, 1);
	for (int i = 0; i < 3; i++) {
		fd = listen_at(journal_path);
		assert_int_equal(sw_journal_event(j, &view), 0);
		(void)take(fd);
		close(fd);
		assert_true(sw_journal_event(j, &view) < 0);	/* its socket is there, and dead */
	}
	sw_journal_close(j);
}

static void test_sendmail(void **state)
{
	static const char *const want[] = { "SMTPWALL_DESTINATION=sendmail", "SMTPWALL_VERDICT=limited", NULL };
	_cleanup_close_ int fd = listen_at(journal_path), log = listen_at(syslog_path);
	struct sw_journal *j = open_journal();
	const char *record;
	char byte;

	(void)state;
	event.channel = SW_CHANNEL_SENDMAIL;
	event.verdict = SW_LIMITED;
	sw_event_destination(&event, view.address, view.destination);
	assert_int_equal(sw_journal_event(j, &view), 0);
	record = take(fd);
	assert_fields(record, want);
	assert_non_null(strstr(record, " LIMITED alice (1001) to sendmail in "));
	assert_null(strstr(record, "SMTPWALL_PORT"));
	/* Lines of CSF are of packets. */
	assert_int_equal(sw_journal_csf(j, &view), 0);
	assert_int_equal(recv(log, &byte, 1, MSG_DONTWAIT), -1);
	sw_journal_close(j);
}

/* For parsers of CSF's log, and only what was refused. */
static void test_csf(void **state)
{
	static const struct { enum sw_verdict verdict; bool no_uid, want; } rows[] = {
		{ SW_DENY, false, true },    { SW_LIMITED, false, true }, { SW_DENY, true, false },
		{ SW_OBSERVE, false, false }, { SW_REDIRECT, false, false }, { SW_ALLOW, false, false },
	};
	_cleanup_close_ int fd = listen_at(syslog_path);
	struct sw_journal *j = open_journal();
	char byte;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		event.verdict = rows[i].verdict;
		view.no_uid = rows[i].no_uid;
		assert_int_equal(sw_journal_csf(j, &view), 0);
		if (rows[i].want)
			assert_non_null(strstr(take(fd), " kernel: Firewall: *TCP_OUT Blocked* IN= OUT=- "
						"DST=198.51.100.25 PROTO=TCP DPT=25 SYN UID=1001 GID=1003"));
		else
			assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
	}
	sw_journal_close(j);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_event), TEST(test_alert), TEST(test_hostile), TEST(test_syslog),
		TEST(test_full), TEST(test_restart), TEST(test_csf),
		TEST(test_sendmail),
	};

	return cmocka_run_group_tests_name("journal", tests, setup_group, teardown_group);
}
