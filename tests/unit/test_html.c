/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pages for a browser and words for a shell, made of hostile texts. */
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <cmocka.h>

#include "html.h"
#include "util.h"

static void test_escape(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ NULL, "" },
		{ "", "" },
		{ "/home/a b", "/home/a b" },
		{ "<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;" },
		{ "\"'&", "&quot;&#39;&amp;" },
		{ "&lt;", "&amp;lt;" },
		{ "a\nb\tc\033[31m\x7f", "a\\x0ab\\x09c\\x1b[31m\\x7f" },
		{ "x\xe2\x80\xaegpj.php", "x\\xe2\\x80\\xaegpj.php" },	/* turns what follows */
		{ "a\xe2\x80\x8b" "b", "a\\xe2\\x80\\x8bb" },		/* no width */
		{ "caf\xc3\xa9", "caf\xc3\xa9" },
		{ "\xff\xfe<", "\\xff\\xfe&lt;" },
		{ "\xc0\xbc" "b", "\\xc0\\xbcb" },		/* overlong < */
		{ "\\x3cscript", "\\x5cx3cscript" },
		{ "--><!--]]>", "--&gt;&lt;!--]]&gt;" },
		{ "%s%n", "%s%n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *got = sw_html_escape(rows[i].in);

		assert_string_equal(got, rows[i].want);
	}
}

/* Whatever the bytes are: no markup, no control character, nothing beyond UTF-8 left. */
static void test_escape_any(void **state)
{
	char text[4097];
	_cleanup_free_ char *got = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)(i % 255 + 1);
	text[sizeof(text) - 1] = '\0';
	got = sw_html_escape(text);
	for (const char *p = got; *p; p++)
		if ((unsigned char)*p < ' ' || *p == '<' || *p == '>' || *p == '"' || *p == '\'')
			fail_msg("byte %zu is %#x", (size_t)(p - got), (unsigned char)*p);
}

static void test_print(void **state)
{
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(sw_html_print(f, "<a title=\"%s\">100%% %s</a>", "\"><b>", "%s"), 0);
	sw_html_command(f, "ls $'\\012' <x>\nb\033\xc3");
	fclose(f);
	assert_string_equal(text, "<a title=\"&quot;&gt;&lt;b&gt;\">100% %s</a>"
			    "ls $&#39;\\012&#39; &lt;x&gt;\nb??");
}

static void test_quote(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "", "''" },
		{ "/home/a/public_html", "/home/a/public_html" },
		{ "/home/a b", "'/home/a b'" },
		{ "it's", "'it'\\''s'" },
		{ "$(reboot)`x`;!", "'$(reboot)`x`;!'" },
		{ "a\nreboot\n", "$'a\\012reboot\\012'" },
		{ "\033'\\", "$'\\033\\047\\134'" },
		{ "caf\xc3\xa9" "1", "$'caf\\303\\2511'" },
		{ "~root", "'~root'" },
		{ "#x", "'#x'" },
		{ "a=b", "'a=b'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *got = sw_shell_quote(rows[i].in);

		assert_string_equal(got, rows[i].want);
	}
}

/* What bash makes of the word `quoted`, malloc'd. */
static char *read_back(const char *quoted)
{
	_cleanup_free_ char *command = NULL;
	char *argv[] = { "bash", "-c", NULL, NULL }, *got = calloc(1, 1024);
	posix_spawn_file_actions_t actions;
	int out[2], status;
	pid_t pid;

	assert_true(asprintf(&command, "printf %%s %s", quoted) > 0);
	argv[2] = command;
	assert_int_equal(pipe(out), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
	posix_spawn_file_actions_addclose(&actions, out[0]);
	assert_int_equal(posix_spawnp(&pid, "bash", &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(out[1]);
	for (size_t used = 0; used < 1023;) {
		ssize_t n = read(out[0], got + used, 1023 - used);

		if (n <= 0)
			break;
		used += (size_t)n;
	}
	close(out[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return got;
}

/* All bytes there are come back from a real shell. */
static void test_quote_in_shell(void **state)
{
	char text[256];
	_cleanup_free_ char *quoted = NULL, *got = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)(i + 1);
	text[sizeof(text) - 1] = '\0';
	quoted = sw_shell_quote(text);
	for (const char *p = quoted; *p; p++)
		assert_true(*p >= ' ' && *p < 0x7f);
	got = read_back(quoted);
	assert_string_equal(got, text);
}

/* Samples of RFC 3492 section 7.1 and of registries. */
static void test_idn(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "xn--mnchen-3ya.example", "m\xc3\xbcnchen.example" },
		{ "www.xn--bcher-kva.example", "www.b\xc3\xbc" "cher.example" },
		{ "XN--MNCHEN-3YA.example", "M\xc3\xbcNCHEN.example" },
		{ "xn--ihqwcrb4cv8a8dqg056pqjye.example",
		  "\xe4\xbb\x96\xe4\xbb\xac\xe4\xb8\xba\xe4\xbb\x80\xe4\xb9\x88\xe4\xb8\x8d\xe8\xaf\xb4"
		  "\xe4\xb8\xad\xe6\x96\x87.example" },
		{ "xn--fsqu00a.xn--0zwm56d", "\xe4\xbe\x8b\xe5\xad\x90.\xe6\xb5\x8b\xe8\xaf\x95" },
		{ "xn--ls8h.example", "\xf0\x9f\x92\xa9.example" },
		{ "plain.example", NULL },
		{ "xn--", NULL },
		{ "xn--99999999.example", NULL },	/* too large */
		{ "xn--a!.example", NULL },
		{ "xn--mnchen-3y.example", NULL },	/* cut short */
		{ "", NULL },
	};
	char got[1024], small[12];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool r = sw_idn_decode(rows[i].in, got, sizeof(got));

		if (r != (rows[i].want != NULL) || (r && strcmp(got, rows[i].want) != 0))
			fail_msg("%s: %d, %s", rows[i].in, r, r ? got : "-");
	}
	assert_false(sw_idn_decode(rows[0].in, small, sizeof(small)));
}

/* The rest of a long label of one letter, and of every letter: nothing is written past the end. */
static void test_idn_hostile(void **state)
{
	static const char letters[] = "a0z9-A";
	char got[300];

	(void)state;
	for (size_t len = 0; len < 70; len++) {
		for (size_t l = 0; letters[l]; l++) {
			char domain[80] = "xn--";

			memset(domain + 4, letters[l], len);
			(void)sw_idn_decode(domain, got, sizeof(got));
		}
	}
}

static char *hours(const struct sw_hours *h, time_t now)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	assert_int_equal(sw_html_hours(f, h, now), 0);
	fclose(f);
	return text;
}

static void test_hours(void **state)
{
	/* 2026-02-14 10:30 UTC, 11:30 in CET */
	const time_t now = 1771065000;
	const uint32_t hour = (uint32_t)(now / 3600) + 1;
	struct sw_hours h = { .newest = hour };
	_cleanup_free_ char *text = NULL, *none = NULL, *later = NULL;

	(void)state;
	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	tzset();
	none = hours(&h, now);
	assert_string_equal(none, "<p>None in the last 64 hours.</p>\n");
	h.n[hour % SW_HOURS] = 1234;
	h.n[(hour - 63) % SW_HOURS] = 1;
	text = hours(&h, now);
	assert_non_null(strstr(text, "aria-label=\"Attempts by the hour from 2026-02-11 20:00 to "
			       "2026-02-14 11:00: 1,235 in all, most at 2026-02-14 11:00 with 1,234\""));
	assert_non_null(strstr(text, "<rect x=\"63.1\" y=\"1.00\" width=\".8\" height=\"39.00\">"
			       "<title>2026-02-14 11:00: 1,234</title>"));
	assert_non_null(strstr(text, "<rect x=\"0.1\" y=\"39.00\" width=\".8\" height=\"1.00\">"
			       "<title>2026-02-11 20:00: 1</title>"));
	/* Two hours later, nothing since: the oldest fell out, though its slot is not emptied yet. */
	later = hours(&h, now + 7200);
	assert_non_null(strstr(later, ": 1,234 in all"));
	assert_non_null(strstr(later, "<rect x=\"61.1\""));
	free(later);
	later = hours(&h, now + 100 * 3600);
	assert_string_equal(later, none);
	free(later);
	later = hours(&h, now - 7200);	/* the clock was set back */
	assert_non_null(strstr(later, ": 1,235 in all"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_escape_any),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_quote),
		cmocka_unit_test(test_quote_in_shell),
		cmocka_unit_test(test_idn),
		cmocka_unit_test(test_idn_hostile),
		cmocka_unit_test(test_hours),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
