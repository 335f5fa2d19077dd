/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alerts as mail: what administrators and parsers read, and hostile text in all that others choose. */
#include "alert_util.h"
#include "journal.h"

#define HOSTILE "a\nSubject: x\r\nBcc: all@example.com\r\n\r\n\033[31m\xe2\x80\xae\xff\x7f"

static struct fixture f;

static int setup(void **state)
{
	(void)state;
	setenv("TZ", "CET-1", 1);
	tzset();
	fx_policy(&f);
	f.p.alerts.mail = fx_list("ops@example.com");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_stop(&f);
	return 0;
}

static struct sw_alert *make(void)
{
	struct sw_alert *a = calloc(1, sizeof(*a));

	*a = (struct sw_alert){
		.refs = 1, .metric = SW_METRIC_DENIED, .period = SW_PERIOD_SLIDING, .seconds = 600,
		.count = 1234, .threshold = 100, .time = NOON, .since = NOON - 600,
		.rule = strdup("denied 100/10m per account"), .place = strdup("/etc/x.conf:7"),
		.where = { .is_uid = true, .uid = 1001, .user = strdup("alice"),
			   .domain = strdup("shop.example"), .source = strdup("docroot"),
			   .directory = strdup("/home/alice/www"), .script = strdup("mail.php"),
			   .container = strdup("unit php-fpm.service"),
			   .destination = strdup("198.51.100.25:25"), .destinations = 37,
			   .first = NOON - 86400, .last = NOON - 1 },
	};
	return a;
}

static void replace(char **text, const char *with)
{
	free(*text);
	*text = strdup(with);
}

static char *mail(struct sw_alert *const *list, size_t n, uint64_t dropped)
{
	char *text;
	size_t len;

	text = sw_alert_mail(f.a, list, n, dropped, &len);
	assert_non_null(text);
	assert_int_equal(strlen(text), len);
	return text;
}

static void start(const char *templ)
{
	fx_start(&f);
	f.a->now.wall = NOON;
	assert_int_equal(sw_alerts_set_policy(f.a, &f.p, templ), 0);
}

/* No line that RFC 5322 forbids, headers that are complete, each once, and ASCII. */
static void assert_message(const char *text)
{
	static const char *const headers[] = {
		"From: ", "To: ", "Subject: ", "Date: ", "Message-ID: <",
		"Auto-Submitted: auto-generated\n", "MIME-Version: 1.0\n",
		"Content-Type: text/plain; charset=UTF-8\n", "Content-Transfer-Encoding: 8bit\n",
	};
	const char *body = strstr(text, "\n\n");
	size_t lines = 0;

	assert_non_null(body);
	for (const char *at = text; at <= body; at = strchr(at, '\n') + 1) {
		for (const char *c = at; *c != '\n'; c++)
			assert_in_range(*c, ' ', '~');
		lines += *at != ' ';
		if (*at == ' ')
			continue;
		for (size_t i = 0; i <= ARRAY_SIZE(headers); i++) {
			assert_true(i < ARRAY_SIZE(headers));
			if (!strncmp(at, headers[i], strlen(headers[i])))
				break;
		}
	}
	assert_int_equal(lines, ARRAY_SIZE(headers));
	for (const char *at = text; *at; at = strchr(at, '\n') + 1)
		assert_true(strcspn(at, "\n") <= 998);
	for (const char *at = text; *at; at++)
		assert_true(*at == '\n' || (unsigned char)*at >= ' ');
	assert_null(strstr(text, "\x7f"));
	assert_null(strstr(text, "\xff"));
}

/* A template that repeats itself ends somewhere. */
static void test_endless_template(void **state)
{
	_cleanup_free_ char *templ = malloc(16001), *text = NULL;
	struct sw_alert *list[3] = { make(), make(), make() };

	(void)state;
	for (int i = 0; i < 16000; i++)
		templ[i] = "[directory]"[i % 11];
	templ[16000] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		free(list[i]->where.directory);
		list[i]->where.directory = strndup(templ, 500);
	}
	start(templ);
	text = mail(list, 3, 0);
	assert_message(text);
	assert_true(strlen(text) <= SW_RUN_MAX_PAYLOAD);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		sw_alert_unref(list[i]);
}

static void assert_begins(const char *text, const char *want)
{
	if (strncmp(text, want, strlen(want)) != 0)
		fail_msg("'%s' does not begin: %s", want, text);
}

static void test_text(void **state)
{
	static const char want[] =
		"\n\nDomain:      shop.example\n"
		"Directory:   /home/alice/www\n"
		"Script:      mail.php\n"
		"Account:     alice (UID 1001)\n"
		"Runs in:     unit php-fpm.service\n"
		"What:        1,234 denied connects in the last 10 min\n"
		"Last to:     198.51.100.25:25\n"
		"Destinations:about 37 distinct ones since counting began\n";
	_cleanup_free_ char *text = NULL;
	struct sw_alert *a = make();

	(void)state;
	start(NULL);
	text = mail(&a, 1, 0);
	assert_message(text);
	assert_begins(text, "From: root@host.example.com\nTo: ops@example.com\n"
			    "Subject: smtpwall on host.example.com: shop.example (UID 1001): 1234 "
			    "denied connects in the last 10 min\n"
			    "Date: Thu, 1 Jan 2026 13:00:00 +0100\n"
			    "Message-ID: <smtpwall.1767268800.1.");
	assert_non_null(strstr(text, want));
	assert_non_null(strstr(text, "Rule:        denied 100/10m per account (/etc/x.conf:7)\n"));
	assert_non_null(strstr(text, "\n  smtpwall report --uid 1001 --by directory\n"));
	assert_null(strstr(text, "more: see"));
	sw_alert_unref(a);
}

static void test_unknown(void **state)
{
	struct sw_alert *a = calloc(1, sizeof(*a));
	_cleanup_free_ char *text = NULL;

	(void)state;
	*a = (struct sw_alert){ .refs = 1, .rule = strdup("r"), .place = strdup("p"),
				.where = { .is_uid = true, .uid = 7 } };
	start(NULL);
	text = mail(&a, 1, 0);
	assert_message(text);
	assert_non_null(strstr(text, "unknown site (UID 7)"));
	assert_non_null(strstr(text, "Domain:      not known\nDirectory:   not known\nAccount:"));
	sw_alert_unref(a);
}

static void set_hostile(struct sw_alert *a)
{
	replace(&a->where.user, HOSTILE);
	replace(&a->where.domain, HOSTILE);
	replace(&a->where.directory, HOSTILE);
	replace(&a->where.script, HOSTILE);
	replace(&a->where.container, HOSTILE);
	replace(&a->where.destination, HOSTILE);
	replace(&a->rule, HOSTILE);
	replace(&a->place, HOSTILE);
}

static void test_hostile(void **state)
{
	static const char templ[] = "To: x@example.com\nSubject: [domain] [script] [uid] [summary] "
				    "[next] [ports] [rule] [container]\nX-Bad: [domain]\n\n[domain]\n"
				    "[directory] [script] [user] [uid] [ports] [summary]\n";
	struct sw_alert *a = make();

	(void)state;
	set_hostile(a);
	start(NULL);
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ char *text = mail(&a, 1, 0);

		assert_message(text);
		assert_null(strstr(text, "\nBcc:"));
		assert_null(strstr(text, "\nSubject: x"));
		assert_non_null(strstr(text, "a\\x0aSubject: x\\x0d\\x0aBcc: all@example.com"));
		assert_int_equal(sw_alerts_set_policy(f.a, &f.p, templ), 0);
	}
	sw_alert_unref(a);
}

/* Paths of many bytes, each of them four when escaped, and long UTF-8 that must not be cut in a
 * character. */
static void test_long(void **state)
{
	_cleanup_free_ char *text = NULL, *path = malloc(2001), *utf8 = malloc(3001);
	struct sw_alert *a = make();

	(void)state;
	memset(path, 1, 2000);
	path[2000] = '\0';
	utf8[0] = utf8[2999] = 'x';	/* so that no character ends where a line would */
	for (int i = 1; i < 2999; i++)
		utf8[i] = "\xe2\x82\xac"[(i - 1) % 3];
	utf8[2998] = 'x';
	utf8[3000] = '\0';
	replace(&a->where.directory, path);
	replace(&a->where.script, utf8);
	replace(&a->where.domain, path);
	start(NULL);
	text = mail(&a, 1, 0);
	assert_message(text);
	for (const char *at = text; *at; at = strchr(at, '\n') + 1)
		assert_true(((unsigned char)at[strspn(at, " ")] & 0xc0) != 0x80);
	sw_alert_unref(a);
}

static void test_digest(void **state)
{
	struct sw_alert *list[300];
	_cleanup_free_ char *text = NULL;

	(void)state;
	start(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		list[i] = make();
	text = mail(list, 300, 7);
	assert_message(text);
	assert_non_null(strstr(text, "\nSubject: smtpwall on host.example.com: 307 alerts, first: shop."));
	assert_non_null(strstr(text, "\nFurther alerts:\n  shop.example alice (1001): 1,234 denied"));
	assert_non_null(strstr(text, "\nAnd 107 more: see smtpwall report.\n"));
	assert_true(strlen(text) < SW_RUN_MAX_PAYLOAD);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		sw_alert_unref(list[i]);
}

/* The worst that can be told fits into what the runner takes. */
static void test_largest(void **state)
{
	struct sw_alert *list[SW_QUEUE_MAX];
	_cleanup_free_ char *text = NULL, *path = malloc(516);

	(void)state;
	memset(path, 1, 515);
	path[515] = '\0';
	start(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(list); i++) {
		list[i] = make();
		replace(&list[i]->where.directory, path);
		replace(&list[i]->where.script, path);
		replace(&list[i]->where.domain, path);
		replace(&list[i]->where.container, path);
	}
	text = mail(list, SW_QUEUE_MAX, 0);
	assert_message(text);
	assert_true(strlen(text) <= SW_RUN_MAX_PAYLOAD);
	assert_non_null(strstr(text, " more: see smtpwall report.\n"));
	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		sw_alert_unref(list[i]);
}

/* CSF's template as it comes, and what a parser of its mails looks for. */
static void test_csf_template(void **state)
{
	static const char templ[] =
		"From: root\nTo: root\nSubject: lfd on [hostname]: UID [uid] Tracking Hit\n\n"
		"Time:  [time]\nUID:   [uid]\nHits:  [count]\n\nSample of port hits:\n\n[ports]\n";
	static const char want[] =
		"\n\nTime:  2026-01-01T13:00:00+01:00\nUID:   1001 (alice)\nHits:  1234\n\n"
		"Sample of port hits:\n\n2026-01-01T12:59:59+01:00 host.example.com kernel: Firewall: "
		"*TCP_OUT Blocked* IN= OUT=- DST=198.51.100.25 PROTO=TCP DPT=25 SYN UID=1001\n";
	_cleanup_free_ char *text = NULL;
	struct sw_alert *a = make();

	(void)state;
	start(templ);
	text = mail(&a, 1, 0);
	assert_message(text);
	assert_begins(text, "From: root\nTo: ops@example.com\nSubject: lfd on host.example.com: UID 1001 "
			    "(alice) Tracking Hit\n");
	assert_non_null(strstr(text, want));
	sw_alert_unref(a);
}

static void test_templates(void **state)
{
	static const struct { const char *templ, *want; } rows[] = {
		{ "[DOMAIN] [Directory] [nothing] [", "\n\nshop.example /home/alice/www [nothing] [" },
		{ "No: header, for no empty line follows", "\n\nNo: header, for no empty line follows" },
		{ "Subject: [count]\n\n[user]", "\nSubject: 1234\n" },
		{ "subject: [what] [period]\r\n\r\nx\r\n",
		  "\nSubject: denied connects in the last 10 min\n" },
		{ "", "\n\n" },
		{ "\n\n[metric] [threshold] [destination] [destinations] [line]",
		  "\n\n\n\ndenied 100 198.51.100.25:25 37 /etc/x.conf:7" },
		{ "[since] [first] [last] [container] [account]",
		  "2026-01-01T12:50:00+01:00 2025-12-31T13:00:00+01:00 2026-01-01T12:59:59+01:00 unit "
		  "php-fpm.service -" },
		{ "From: a b <x@y>\n\nb", "From: a b <x@y>\nTo: ops" },
	};
	struct sw_alert *a = make();

	(void)state;
	start(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = NULL;

		print_message("# row %zu\n", i);
		assert_int_equal(sw_alerts_set_policy(f.a, &f.p, rows[i].templ), 0);
		text = mail(&a, 1, 0);
		assert_message(text);
		if (!strstr(text, rows[i].want))
			fail_msg("'%s' is not in: %s", rows[i].want, text);
	}
	sw_alert_unref(a);
}

/* A host name that is none makes no header. */
static void test_host(void **state)
{
	static const char *const rows[] = { HOSTILE, "...", "<>", "-", "a.b." };
	struct sw_alert *a = make();

	(void)state;
	start(NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = NULL;

		replace(&f.a->host, rows[i]);
		text = mail(&a, 1, 0);
		assert_message(text);
		assert_null(strstr(text, "@>"));
		assert_null(strstr(text, "@\n"));
	}
	sw_alert_unref(a);
}

static void test_csf_line(void **state)
{
	static const uint8_t v6[16] = { 0x20, 0x01, 0x0d, 0xb8, [15] = 1 };
	static const uint8_t v4[16] = { [10] = 0xff, 0xff, 192, 0, 2, 1 };
	static const char *const bad[] = { "", ":", "x", "1.2.3.4", "1.2.3:25", "[::1:25", "::1:25",
					   "1.2.3.4:x", "1.2.3.4:70000", "[]:25", HOSTILE };
	char line[SW_CSF_LINE];

	(void)state;
	sw_csf_line(v4, 25, 1001, 1003, line);
	assert_string_equal(line, "Firewall: *TCP_OUT Blocked* IN= OUT=- DST=192.0.2.1 PROTO=TCP DPT=25 "
				  "SYN UID=1001 GID=1003");
	sw_csf_line(v6, 587, 0, SW_NO_GID, line);
	assert_string_equal(line, "Firewall: *TCP6OUT Blocked* IN= OUT=- DST="
				  "2001:0db8:0000:0000:0000:0000:0000:0001 PROTO=TCP DPT=587 SYN UID=0");
	assert_int_equal(sw_csf_line_text("[2001:db8::1]:587", 0, line), 0);
	assert_non_null(strstr(line, "DST=2001:0db8:0000:0000:0000:0000:0000:0001 "));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(sw_csf_line_text(bad[i], 0, line), -EINVAL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_text), TEST(test_unknown), TEST(test_hostile), TEST(test_long),
		TEST(test_digest), TEST(test_largest), TEST(test_csf_template), TEST(test_templates),
		TEST(test_host), TEST(test_endless_template), cmocka_unit_test(test_csf_line),
	};

	return cmocka_run_group_tests_name("alert_mail", tests, NULL, NULL);
}
