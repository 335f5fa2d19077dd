/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Suggestions as configuration and as JSON: the configuration takes what is printed, and no text of
 * a customer ever becomes a line of it. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "suggest_util.h"

#define ID	"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DOCKER	"/system.slice/docker-" ID ".scope"
#define PHP	"/system.slice/php8.2-fpm.service"

/* The configuration takes it; the caller frees the policy. */
static void load(const char *text, struct sw_policy *p)
{
	struct sw_diag diag = { 0 };
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;

	write_text("main.conf", text);
	r = sw_config_load(main_file, fd, p, &diag);	/* `fd` has no cgroups: paths for later */
	close(fd);
	if (diag.n)
		fail_msg("%s in:\n%s", diag.text[0], text);
	assert_int_equal(r, 0);
	sw_diag_free(&diag);
}

/* Each line of the output is a comment, a section, or one of the lines that were suggested. */
static void assert_only(const char *text, const struct sw_suggestions *s)
{
	_cleanup_free_ char *copy = strdup(text);
	char *save = NULL;

	for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		bool known = *line == ';' || !strcmp(line, "[exempt]") ||
			     !strcmp(line, "[allow]") || !strcmp(line, "[limit]");

		for (const char *c = line; *c; c++)
			assert_true(*c == '\t' || (*c >= ' ' && *c <= '~'));
		for (size_t i = 0; i < s->n && !known; i++)
			known = s->item[i].active &&
				!strncmp(line, s->item[i].line, strlen(s->item[i].line));
		if (!known && *line != '\t')
			fail_msg("'%s'", line);
	}
}

/* Texts that try to end their comment line; in every place where there is one. */
static void test_hostile(void **state)
{
	static const char *const texts[] = {
		"/home/x\n[exempt]\nusers = 4711\n;",
		"\r[exempt]\rusers = 4711\r",
		"\n",
		"\x0b\x0c\n\x85x",
		"\xe2\x80\xa8[exempt]",
		"x\033[2K\n",
		"\xff\xfe\n",
		";\n;",
		"\\\nusers = 4711",
		"a\tb", "b\xc3\xb6se",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		char cgroup[256];
		const struct sw_suggest_account accounts[] = {
			{ .uid = 0, .user = texts[i], .system = true, .directory = texts[i],
			  .script = texts[i], .cgroup = cgroup },
			{ .uid = 1, .user = "daemon", .system = true, .mta = texts[i],
			  .directory = texts[i], .script = texts[i], .cgroup = texts[i] },
			{ .uid = 1001, .user = texts[i], .directory = texts[i], .script = texts[i],
			  .cgroup = texts[i], .limited = 3 },
			{ .uid = 1002, .user = texts[i], .directory = texts[i], .script = texts[i],
			  .cgroup = cgroup },
		};
		struct sw_suggestions s;
		struct sw_policy p;
		char *text;

		begin(state);
		snprintf(cgroup, sizeof(cgroup), "/lxc.payload.x%s", texts[i]);
		add(0, 25, 2);
		add(1, 25, 2);
		add(1001, 25, 2);
		add(1002, 25, 20);
		s = suggest(accounts, ARRAY_SIZE(accounts));
		text = as_conf(&s);
		assert_only(text, &s);
		load(text, &p);
		/* daemon, and the default gone: that is what `users` does */
		assert_int_equal(p.n_exempt, 1);
		assert_int_equal(p.exempt[0].id, 1);
		assert_int_equal(p.n_limits, 0);
		for (size_t k = 0; k < p.n_rules; k++)
			assert_true(p.rules[k].who == 0 || p.rules[k].who == 1001);
		assert_true(p.n_rules == 2 || p.n_rules == 4);	/* with a cgroup that is a word */
		sw_policy_free(&p);
		free(text);
		sw_suggestions_free(&s);
	}
}

/* Takes the first comment away that begins with `what`, and only that one. */
static void uncomment(char *text, const char *what)
{
	char *at = strstr(text, what);

	if (!at)
		fail_msg("no '%s' in:\n%s", what, text);
	memmove(at, at + 1, strlen(at));
}

/* Everything that is offered is good configuration: as it comes, and with each proposal taken. */
static void test_paste(void **state)
{
	static const struct sw_suggest_account accounts[] = {
		{ .uid = 0, .user = "root", .system = true, .cgroup = DOCKER },
		{ .uid = 1, .user = "daemon", .system = true, .mta = "exim", .directory = "/" },
		{ .uid = 2, .system = true, .mta = "postfix" },
		{ .uid = 3, .system = true, .cgroup = PHP, .script = "x.php" },
		{ .uid = 4, .system = true },
		{ .uid = 1001, .limited = 3, .passed = 10, .first = NOW - DAY, .last = NOW },
		{ .uid = 1002, .directory = "/home/bob" },
	};
	static const char *const proposals[] = {
		";limit 10/day", ";rule = cgroup " PHP, ";rule = user root to", ";user 1001 = ",
	};
	struct sw_suggestions s;
	struct sw_policy p;
	char *text, *copy;

	(void)state;
	seen.default_users = "root 8";
	add(0, 25, 1);
	add(1, 25, 30);
	add(2, 25, 30);
	add(3, 25, 3);
	add(4, 25, 30);
	inet_pton(AF_INET6, "2001:db8:1111:2222:3333:4444:5555:6666", add(1001, 587, 1)->addr);
	add(1002, 25, 400);
	s = suggest(accounts, ARRAY_SIZE(accounts));
	text = as_conf(&s);
	assert_only(text, &s);
	load(text, &p);
	assert_int_equal(p.n_rules, 5);
	assert_int_equal(p.n_exempt, 4);	/* root and 8 again, daemon, 2 */
	assert_non_null(sw_policy_find(&p, SW_KIND_UID, 0));
	assert_non_null(sw_policy_find(&p, SW_KIND_UID, 8));
	assert_non_null(sw_policy_find(&p, SW_KIND_UID, 1));
	assert_non_null(sw_policy_find(&p, SW_KIND_UID, 2));
	assert_int_equal(p.n_limits, 0);
	sw_policy_free(&p);
	for (size_t i = 0; i < ARRAY_SIZE(proposals); i++) {
		copy = strdup(text);
		uncomment(copy, proposals[i]);
		load(copy, &p);
		assert_int_equal(p.n_rules + p.n_limits + (i == 0), 6);
		sw_policy_free(&p);
		free(copy);
	}
	assert_non_null(strstr(text, "\n;users = root 8 4\n"));
	assert_non_null(strstr(text,
			       "\n; not suggested: UID 1002: 400 attempts to 400 destinations port "
			       "25\n"));
	assert_non_null(strstr(text, "\n;   from /home/bob\n;   many destinations"));
	free(text);
	sw_suggestions_free(&s);
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value;

	assert_true(json_object_object_get_ex(o, key, &value));
	return value ? json_object_get_string(value) : "null";
}

static void test_json(void **state)
{
	static const struct sw_suggest_account accounts[] = {
		{ .uid = 33,
		  .user = "www-data",
		  .system = true,
		  .directory = "/var/www\n",
		  .script = "a.php",
		  .cgroup = PHP },
		{ .uid = 1001 },
	};
	static const char *const want[][2] = {
		{ "line", "rule = user www-data to 192.0.2.1 port 25" },
		{ "section", "allow" },
		{ "uid", "33" },
		{ "user", "www-data" },
		{ "address", "192.0.2.1" },
		{ "port", "25" },
		{ "attempts", "1" },
		{ "directory", "/var/www\n" },
		{ "script", "a.php" },
		{ "container", "unit php8.2-fpm.service" },
		{ "confidence", "high" },
		{ "reason", "a system account with few destinations" },
		{ "active", "true" },
		{ "alternative", "rule = cgroup " PHP " to 192.0.2.1 port 25" },
		{ "limit", "10" },
		{ "destinations", "1" },
		{ "more_destinations", "false" },
		{ "cgroup", PHP },
	};
	static const char *const nothing[][2] = {
		{ "line", "null" },	 { "section", "null" },	    { "uid", "1001" },
		{ "user", "null" },	 { "address", "null" },	    { "port", "25" },
		{ "attempts", "6" },	 { "directory", "null" },   { "confidence", "no" },
		{ "active", "false" },	 { "limit", "null" },	    { "cgroup", "null" },
		{ "container", "null" }, { "alternative", "null" },
	};
	struct json_object *o, *rows;
	struct sw_suggestions s;
	char *text = NULL;
	size_t len;
	FILE *f;

	(void)state;
	add(33, 25, 1);
	add(1001, 25, 6);
	seen.since = NOW - 7200;
	s = suggest(accounts, ARRAY_SIZE(accounts));
	f = open_memstream(&text, &len);
	assert_int_equal(sw_suggest_print_json(f, &seen, &s), 0);
	fclose(f);
	o = json_tokener_parse(text);
	assert_non_null(o);
	assert_string_not_equal(text_of(o, "since"), "null");
	assert_true(json_object_object_get_ex(o, "rows", &rows));
	assert_int_equal(json_object_array_length(rows), 2);
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(text_of(json_object_array_get_idx(rows, 0), want[i][0]),
				    want[i][1]);
	for (size_t i = 0; i < ARRAY_SIZE(nothing); i++)
		assert_string_equal(text_of(json_object_array_get_idx(rows, 1), nothing[i][0]),
				    nothing[i][1]);
	text_of(json_object_array_get_idx(rows, 0), "first_seen");
	text_of(json_object_array_get_idx(rows, 0), "last_seen");
	json_object_put(o);
	free(text);
	sw_suggestions_free(&s);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, begin)
	const struct CMUnitTest tests[] = {
		TEST(test_hostile), TEST(test_paste), TEST(test_json),
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
