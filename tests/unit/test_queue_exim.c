/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Exim's -H files: what they say, and what they may say instead. */
#include "queue_util.h"

#define ID	"1xVsH7-0000mI-2c"
#define TOP	ID "-H\nshop 61009 61009\n<shop@shop.example>\n1795533461 0\n"
#define ONE	"XX\n1\na@x.example\n\n"
#define PHP	"038  X-PHP-Originating-Script: 61009:a.php\n"

static int parse(const char *text, size_t len, const char *journal, struct sw_queue_texts *t,
		 struct sw_queue_message *m)
{
	struct sw_queue_file f, j;
	int r;

	put_bytes("/head", text, len);
	open_file("/head", &f);
	if (journal) {
		put("/journal", journal);
		open_file("/journal", &j);
	}
	*m = (struct sw_queue_message){ .uid = SW_UID_NONE };
	r = sw_queue_exim_parse(&f, journal ? &j : NULL, t, m);
	close_file(&f);
	if (journal)
		close_file(&j);
	return r;
}

struct row {
	const char *text;
	int r;
	uint32_t uid;
	enum sw_queue_via via;
	uint64_t recipients;
	bool frozen;
	const char *auth, *script, *sender, *recipient;
};

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *w = &rows[i];
		struct sw_queue_message m;
		struct sw_queue_texts t;
		int r = parse(w->text, strlen(w->text), NULL, &t, &m);

		if (r != w->r)
			fail_msg("row %zu: %d, not %d", i, r, w->r);
		if (r)
			continue;
		if (m.uid != w->uid || m.via != w->via || m.recipients != w->recipients ||
		    m.frozen != w->frozen)
			fail_msg("row %zu: uid %u via %d recipients %lu frozen %d", i, m.uid, m.via,
				 (unsigned long)m.recipients, m.frozen);
		check_text("auth", i, m.auth, w->auth);
		check_text("script", i, m.script, w->script);
		check_text("sender", i, m.sender, w->sender);
		check_text("recipient", i, m.recipient, w->recipient);
	}
}

static void test_origin(void **state)
{
	static const struct row rows[] = {
		{ TOP "-ident shop\n-received_protocol local\n-auth_id shop\n-local\n" ONE PHP, 0, 61009,
		  SW_QUEUE_SENDMAIL, 1, false, NULL, "61009:a.php", "shop@shop.example", "a@x.example" },
		{ TOP "--host_address [203.0.113.9]:0\n--auth_id info@shop.example\n" ONE, 0, SW_UID_NONE,
		  SW_QUEUE_AUTH, 1, false, "info@shop.example", NULL, "shop@shop.example",
		  "a@x.example" },
		{ TOP "-host_address 127.0.0.1.4711\n" ONE, 0, SW_UID_NONE, SW_QUEUE_REMOTE, 1, false,
		  NULL, NULL, "shop@shop.example", "a@x.example" },	/* no address before 4.5 */
		{ TOP "-host_address [127.0.0.1]:4711\n" ONE, 0, SW_UID_NONE, SW_QUEUE_LOCAL, 1, false,
		  NULL, NULL, "shop@shop.example", "a@x.example" },
		{ TOP "-host_address [::1]:25\n-frozen 1795533464\n" ONE, 0, SW_UID_NONE, SW_QUEUE_LOCAL,
		  1, true, NULL, NULL, "shop@shop.example", "a@x.example" },
		{ TOP "--(file)host_address [203.0.113.9]:1\n-auth_id \n" ONE, 0, SW_UID_NONE,
		  SW_QUEUE_REMOTE, 1, false, NULL, NULL, "shop@shop.example", "a@x.example" },
		{ ID "-H\nDebian-exim 102 106\n<>\n1795533464 0\n-localerror\n" ONE, 0, 102,
		  SW_QUEUE_SERVER, 1, false, NULL, NULL, "", "a@x.example" },
		{ TOP "-frozenish 1\n-local\n-\n--\n-unheard_of\n" ONE, 0, 61009, SW_QUEUE_SENDMAIL, 1,
		  false, NULL, NULL, "shop@shop.example", "a@x.example" },
		{ ID "-H\na user 7 8\n<\"a b\"@x>\n1 0\n" ONE, 0, 7, SW_QUEUE_SENDMAIL, 1, false, NULL,
		  NULL, "\"a b\"@x", "a@x.example" },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

/* What a sender put into a variable is no option. */
static void test_variables(void **state)
{
	static const struct row rows[] = {
		{ TOP "-aclm 0 10\n-frozen 1\n\n" ONE, 0, 61009, SW_QUEUE_SENDMAIL, 1, false, NULL, NULL,
		  "shop@shop.example", "a@x.example" },
		{ TOP "--aclc _x 3\nXX\n\n-acl 3 0\n\n" ONE, 0, 61009, SW_QUEUE_SENDMAIL, 1, false, NULL,
		  NULL, "shop@shop.example", "a@x.example" },
		{ TOP "-aclm 0 -1\n" ONE, .r = -EBADMSG },
		{ TOP "-aclm 0 99999999999999999999\n" ONE, .r = -EBADMSG },
		{ TOP "-aclm 0 99999\n" ONE, .r = -ENODATA },
		{ TOP "-aclm \n" ONE, .r = -EBADMSG },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_recipients(void **state)
{
#define TREE "YY b@x.example\nNN a@x.example\nNN c@x.example\n"
	static const struct row rows[] = {
		{ TOP TREE "4\na@x.example\nb@x.example\nd@x.example\nc@x.example\n\n", 0, 61009,
		  SW_QUEUE_SENDMAIL, 1, false, NULL, NULL, "shop@shop.example", "d@x.example" },
		{ TOP "NN a@x.example\n2\na@x.example 12,3#1\n\"x y\"@x.example o 1,2#2\n\n", 0, 61009,
		  SW_QUEUE_SENDMAIL, 1, false, NULL, NULL, "shop@shop.example", "\"x y\"@x.example" },
		{ TOP "XX\n0\n\n", 0, 61009, SW_QUEUE_SENDMAIL, 0, false, NULL, NULL,
		  "shop@shop.example", NULL },
		{ TOP "YY b@x.example\nNN a@x.example\n1\na@x.example\n\n", .r = -EBADMSG },
		{ TOP "ZZ\n1\na@x.example\n\n", .r = -EBADMSG },
		{ TOP "YN\n1\na@x.example\n\n", .r = -EBADMSG },
		{ TOP "XX\n-1\na@x.example\n\n", .r = -EBADMSG },
		{ TOP "XX\n99999999\na@x.example\n\n", .r = -EBADMSG },
		{ TOP "XX\n\n\n", .r = -EBADMSG },
		{ TOP "XX\n2\na@x.example\n", .r = -ENODATA },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_headers(void **state)
{
#define ROW(text, script) { TOP ONE text, 0, 61009, SW_QUEUE_SENDMAIL, 1, false, NULL, script, \
			    "shop@shop.example", "a@x.example" }
	static const struct row rows[] = {
		ROW("", NULL),
		ROW("no header at all", NULL),
		ROW("-10  X-PHP-Script: x\n", NULL),
		ROW("99999999999999999999  X-PHP-Script: x\n", NULL),
		ROW("020  X-PHP-Script: a/b\n\n", "a/b"),
		ROW("017  x-php-script:\ta\n", "a"),
		ROW("999  X-PHP-Script: cut", "cut"),
		ROW("016* X-PHP-Script: x\n018  X-PHP-Script: two\n", "two"),
		ROW("018  X-PHP-Script: one\n018  X-PHP-Script: two\n", "one"),
		ROW("034  Subject: a\n X-PHP-Script: forged.php\n", NULL),
		ROW("014  X-PHP-Script:\n", NULL),
		ROW("0", NULL),
		ROW("012", NULL),
		ROW("012P", NULL),
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_no_file_of_exim(void **state)
{
	static const struct row rows[] = {
		{ "", .r = -ENODATA },
		{ "\n\n\n\n", .r = -EBADMSG },
		{ ID "-D\nshop 1 1\n<>\n1 0\n" ONE, .r = -EBADMSG },
		{ ID "-H\nshop -1 1\n<>\n1 0\n" ONE, .r = -EBADMSG },
		{ ID "-H\nshop 4294967295 1\n<>\n1 0\n" ONE, .r = -EBADMSG },
		{ ID "-H\nshop\n<>\n1 0\n" ONE, .r = -EBADMSG },
		{ ID "-H\n7 8\n<>\n1 0\n" ONE, .r = -EBADMSG },
		{ ID "-H\nshop 1 1\nshop@shop.example\n1 0\n" ONE, .r = -EBADMSG },
		{ ID "-H\nshop 1 1\n<>\n-5 0\n" ONE, .r = -EBADMSG },
		{ ID "-H\nshop 1 1\n<>\n99999999999999999 0\n" ONE, .r = -EBADMSG },
		{ ID "-H\nshop 1 1\n<>\n", .r = -ENODATA },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

/* Wherever a file is cut off: half of an envelope is never taken for a whole one. */
static void test_half_written(void **state)
{
	static const char text[] = TOP "-aclm 0 3\na\nb\n-host_address [::1]:2\n" TREE
		"2\na@x.example\nd@x.example\n";
	struct sw_queue_message m;
	struct sw_queue_texts t;

	(void)state;
	assert_int_equal(parse(text, strlen(text), NULL, &t, &m), 0);
	assert_int_equal(m.recipients, 1);
	for (size_t len = 0; len < strlen(text); len++) {
		int r = parse(text, len, NULL, &t, &m);

		if (r != -ENODATA && r != -EBADMSG)
			fail_msg("%zu bytes: %d", len, r);
	}
}

static void test_long(void **state)
{
	size_t len = 3U << 20, used;
	char *text = malloc(len + 1);
	struct sw_queue_message m;
	struct sw_queue_texts t;

	(void)state;
	assert_non_null(text);
	/* A sender of some megabytes. */
	memset(text, 'x', len);
	memcpy(text, ID "-H\nshop 1 1\n<", strlen(ID "-H\nshop 1 1\n<"));
	used = len - 100;
	snprintf(text + used, 101, ">\n1 0\n" ONE);
	assert_int_equal(parse(text, used + strlen(text + used), NULL, &t, &m), 0);
	assert_int_equal(strlen(m.sender), SW_QUEUE_TEXT_MAX);
	assert_string_equal(m.sender + SW_QUEUE_TEXT_MAX - 3, "...");
	/* More recipients than are read: it says how many. */
	free(text);
	len = 5U << 20;
	text = malloc(len);
	assert_non_null(text);
	used = (size_t)snprintf(text, len, TOP "XX\n500000\n");
	while (used + 20 < len)
		used += (size_t)snprintf(text + used, len - used, "aaaa@x.example\n");
	assert_int_equal(parse(text, used, NULL, &t, &m), 0);
	assert_int_equal(m.recipients, 500000);
	free(text);
}

/* Who was served since is in the journal. */
static void test_journal(void **state)
{
	static const char text[] = TOP "NN a@x.example\n3\na@x.example\nb@x.example\nc@x.example\n\n";
	struct sw_queue_message m;
	struct sw_queue_texts t;

	(void)state;
	assert_int_equal(parse(text, strlen(text), "b@x.example\nz@x.example\nc@x.exa", &t, &m), 0);
	assert_int_equal(m.recipients, 1);
	assert_string_equal(m.recipient, "c@x.example");
}

/* ---- Spools ---- */

static void put_message(const char *directory, const char *id, const char *head)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s-H", directory, id);
	put(path, head);
	snprintf(path, sizeof(path), "%s/%s-D", directory, id);
	put(path, "body\n");
}

static void test_spool(void **state)
{
	struct sw_queue q;

	(void)state;
	put_message("/exim/input", ID, TOP ONE);
	put_message("/exim/input/7", "1xVsH7-0000mI-2d", TOP "-frozen 9\n" ONE);
	put_message("/exim/input/7", "1xVsH7-00000000000-002d", TOP ONE);	/* since 4.97 */
	put_message("/exim/input/Z", "1xVsH7-0000mI-2e", "half");
	put("/exim/input/1xVsH7-0000mI-2f-D", "being received");
	put("/exim/input/1xVsH7-0000mI-2g-H", TOP ONE);				/* without body */
	put("/exim/input/hdr.1234", "");
	put("/exim/input/readme", "");
	put("/exim/input/" ID "x-H", TOP ONE);
	put("/exim/input/../outside-H", TOP ONE);
	put_link("/exim/input/1xVsH7-0000mI-2h-H", below("/exim/input/" ID "-H"));
	put_link("/exim/input/X", below("/exim/input/7"));
	put_directory("/exim/input/1xVsH7-0000mI-2i-H");
	assert_int_equal(mkfifo(below("/exim/input/1xVsH7-0000mI-2j-H"), 0600), 0);
	q = scan_spool("/exim");
	assert_int_equal(q.sum.messages, 3);
	assert_int_equal(q.sum.frozen, 1);
	assert_int_equal(q.n_groups, 1);
	assert_int_equal(q.group[0].uid, 61009);
	check_left_out(&q, 0, 3, 0, 6);
	sw_queue_free(&q);
}

static void test_count(void **state)
{
	char spool[PATH_MAX];
	struct sw_queue_config c = { .spool = spool };
	uint64_t n[_SW_QUEUE_MTA_MAX];

	(void)state;
	snprintf(spool, sizeof(spool), "%s", below("/exim"));
	put_message("/exim/input", ID, TOP ONE);
	put_message("/exim/input/7", "1xVsH7-0000mI-2d", "whatever");
	assert_int_equal(sw_queue_count(&c, n), 0);
	assert_int_equal(n[SW_QUEUE_EXIM], 2);
	assert_int_equal(n[SW_QUEUE_POSTFIX], 0);
	snprintf(spool, sizeof(spool), "%s", below("/"));
	assert_int_equal(sw_queue_count(&c, n), -ENOENT);
}

static void test_vanished(void **state)
{
	struct sw_queue q = {};
	struct sw_queue_spool s = {};
	struct sw_queue_config c = {};
	struct sw_queue_work w = { .c = &c, .q = &q, .spool = &s };

	(void)state;
	assert_false(sw_queue_open(&w, AT_FDCWD, below("/gone"), DT_REG, &w.file));
	assert_int_equal(s.vanished, 1);
	assert_int_equal(s.unreadable + s.strange, 0);
	/* Exchanged for a link since the directory was read. */
	put_link("/link", "/etc/passwd");
	assert_false(sw_queue_open(&w, AT_FDCWD, below("/link"), DT_REG, &w.file));
	assert_int_equal(s.strange, 1);
	assert_int_equal(mkfifo(below("/fifo"), 0600), 0);
	assert_false(sw_queue_open(&w, AT_FDCWD, below("/fifo"), DT_REG, &w.file));
	assert_int_equal(s.strange, 2);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_origin), EACH(test_variables), EACH(test_recipients), EACH(test_headers),
		EACH(test_no_file_of_exim), EACH(test_half_written), EACH(test_long),
		EACH(test_journal), EACH(test_spool), EACH(test_count), EACH(test_vanished),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
