/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of domains and logins, paths, and the small helpers of the domain sources. */
#include "test_domain_util.h"

static void test_domain(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "example.com", "example.com" },
		{ "EXAMPLE.Com", "example.com" },
		{ "example.com.", "example.com" },
		{ "a.b", "a.b" },
		{ "_dmarc.example.com", "_dmarc.example.com" },
		{ "under_score.example", "under_score.example" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "a--b.example", "a--b.example" },
		{ "1.example", "1.example" },
		{ "203-0-113-1.example", "203-0-113-1.example" },
		{ "", NULL },
		{ ".", NULL },
		{ "..", NULL },
		{ "localhost", NULL },			/* no site of a customer */
		{ ".example.com", NULL },
		{ "example..com", NULL },
		{ "example.com..", NULL },
		{ "-example.com", NULL },
		{ "example-.com", NULL },
		{ "example.com-", NULL },
		{ "xn--.example", NULL },
		{ "203.0.113.10", NULL },		/* an address */
		{ "example.123", NULL },
		{ "*.example.com", NULL },
		{ "exa mple.com", NULL },
		{ "example.com ", NULL },
		{ "example.com:80", NULL },
		{ "ex/ample.com", NULL },
		{ "ex\xc3\xa4mple.com", NULL },
		{ "ex\x1b[31m.com", NULL },
		{ "<b>.example", NULL },
		{ "a\xff.example", NULL },
	};
	char got[SW_DOMAIN_LEN];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool good = sw_domain_normalise(rows[i].in, strlen(rows[i].in), got);

		if (good != (rows[i].want != NULL) || (good && strcmp(got, rows[i].want) != 0))
			fail_msg("'%s' gives '%s'", rows[i].in, good ? got : "nothing");
	}
}

static void test_domain_length(void **state)
{
	char name[300], got[SW_DOMAIN_LEN];

	(void)state;
	memset(name, 'a', sizeof(name));
	memcpy(name + 63, ".example", 9);
	assert_true(sw_domain_normalise(name, strlen(name), got));
	memset(name, 'a', 64);
	memcpy(name + 64, ".example", 9);
	assert_false(sw_domain_normalise(name, strlen(name), got));
	for (size_t i = 0; i < sizeof(name); i++)
		name[i] = i % 2 ? '.' : 'a';
	assert_true(sw_domain_normalise(name, 253, got));
	assert_int_equal(strlen(got), 253);
	assert_true(sw_domain_normalise(name, 254, got));	/* the last byte is a dot */
	assert_false(sw_domain_normalise(name, 255, got));
}

static void test_login(void **state)
{
	static const struct { const char *in; bool want; } rows[] = {
		{ "alice", true },	{ "web_example.com", true }, { "a-b_c.d", true },
		{ "\xc3\xa4", true },	/* some systems have them; it is escaped where shown */
		{ "", false },		{ "no/login", false },	{ "a b", false },
		{ "a:b", false },	{ "a\tb", false },	{ "a\x1b", false },
		{ "a\x7f", false },
	};
	char name[300];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (sw_login_is_valid(rows[i].in) != rows[i].want)
			fail_msg("'%s'", rows[i].in);
	memset(name, 'a', sizeof(name));
	name[255] = '\0';
	assert_true(sw_login_is_valid(name));
	memcpy(name + 255, "a", 2);
	assert_false(sw_login_is_valid(name));
}

static void test_path(void **state)
{
	static const struct { const char *in, *want; } rows[] = {
		{ "/home/alice", "/home/alice" },
		{ "/home/alice/", "/home/alice" },
		{ "//home///alice//", "/home/alice" },
		{ "/home/./alice/.", "/home/alice" },
		{ "/a", "/a" },
		{ "/...", "/..." },
		{ "/.hidden/..x", "/.hidden/..x" },
		{ "/home/\x1b[0m", "/home/\x1b[0m" },
		{ "", NULL }, { "/", NULL }, { "//", NULL }, { "/.", NULL }, { "home", NULL },
		{ "./home", NULL }, { "/home/..", NULL }, { "/home/../etc", NULL }, { "/..", NULL },
	};
	static char path[PATH_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		bool good;

		snprintf(path, sizeof(path), "%s", rows[i].in);
		good = sw_domain_path(path);
		if (good != (rows[i].want != NULL) || (good && strcmp(path, rows[i].want) != 0))
			fail_msg("'%s' gives '%s'", rows[i].in, good ? path : "nothing");
	}
	memset(path, 'a', sizeof(path) - 1);
	*path = '/';
	path[PATH_MAX - 1] = '\0';
	assert_true(sw_domain_path(path));
	path[PATH_MAX - 1] = 'a';
	assert_false(sw_domain_path(path));
}

static void test_below(void **state)
{
	(void)state;
	assert_true(sw_domain_path_below("/home/alice", "/home/alice", 11));
	assert_true(sw_domain_path_below("/home/alice/x", "/home/alice", 11));
	assert_false(sw_domain_path_below("/home/alice2", "/home/alice", 11));
	assert_false(sw_domain_path_below("/home", "/home/alice", 11));
}

static void test_words(void **state)
{
	char list[] = " , a,b ,,c ", quoted[] = "\"a b\"", half[] = "\"a b", blank[] = " \t x y\t ";
	char *rest = list;

	(void)state;
	assert_string_equal(sw_domain_word(&rest, ", "), "a");
	assert_string_equal(sw_domain_word(&rest, ", "), "b");
	assert_string_equal(sw_domain_word(&rest, ", "), "c");
	assert_null(sw_domain_word(&rest, ", "));
	assert_null(sw_domain_word(&rest, ", "));
	assert_string_equal(sw_domain_unquote(quoted), "a b");
	assert_string_equal(sw_domain_unquote(half), "\"a b");
	assert_string_equal(sw_domain_trim(blank), "x y");
}

/* SipHash-1-3 of its authors: key 00..0f, text 00 01 02 ... */
static void test_hash(void **state)
{
	static const struct sw_domain_key key = { { 0x0706050403020100U, 0x0f0e0d0c0b0a0908U } };
	static const struct { size_t len; uint64_t want; } rows[] = {
		{ 0, 0xabac0158050fc4dcU }, { 1, 0xc9f49bf37d57ca93U }, { 7, 0xd3927d989bb11140U },
		{ 8, 0x369095118d299a8eU }, { 15, 0xd320d86d2a519956U },
	};
	struct sw_domain_key other;
	char text[16];

	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)i;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_true(sw_domain_hash(&key, text, rows[i].len) == rows[i].want);
	sw_domain_key_random(&other);
	assert_true(sw_domain_hash(&key, "a", 1) != sw_domain_hash(&other, "a", 1));
}

static void test_arena(void **state)
{
	static char large[10 * 1024 * 1024];
	struct sw_arena a = {};
	const char *first, *second;

	(void)state;
	memset(large, 'x', sizeof(large) - 1);
	first = sw_arena_copy(&a, "first", 5);
	for (int i = 0; i < 100000; i++)
		assert_non_null(sw_arena_copy(&a, "some text of a usual length", 27));
	second = sw_arena_copy(&a, large, sizeof(large) - 1);
	assert_non_null(second);
	assert_int_equal(strlen(second), sizeof(large) - 1);
	assert_string_equal(first, "first");
	assert_string_equal(sw_arena_copy(&a, "", 0), "");
	assert_true(a.total >= sizeof(large) && a.total < 3 * sizeof(large));
	sw_arena_free(&a);
	assert_null(a.chunk);
}

static void test_grow(void **state)
{
	uint64_t *list = NULL;
	size_t room = 0;

	(void)state;
	for (size_t n = 0; n < 2000000; n++) {	/* over the size from which pages are huge */
		assert_int_equal(sw_domain_grow(&list, n, &room, sizeof(*list)), 0);
		list[n] = n;
	}
	for (size_t n = 0; n < 2000000; n++)
		if (list[n] != n)
			fail_msg("%zu was lost", n);
	free(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_domain),
		cmocka_unit_test(test_domain_length),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_below),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_hash),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_grow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
