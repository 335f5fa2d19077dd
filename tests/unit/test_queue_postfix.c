/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Postfix's queue files: what the records say, and what they may say instead. */
#include "queue_util.h"

/* Files are written as lines of "Tdata", one a record. */
#define SIZE(size, start, n)	"C" #size " " #start " " #n "\n"
#define HEAD	"T1795533561 7\n"
#define BY	"NReceived: by mail.example (Postfix, from userid 61009)\nN\tid 7CA8D35C;\n"
#define FROM	"Ashop=x\nSshop@shop.example\n"

/* Of such lines the bytes of the file. */
static size_t make_records(const char *lines, char *ret)
{
	size_t used = 0;

	for (const char *line = lines; *line;) {
		size_t len = strcspn(line, "\n") - 1;

		ret[used++] = *line;
		if (len >= 128) {
			ret[used++] = (char)((len & 0x7f) | 0x80);
			ret[used++] = (char)(len >> 7);
		} else {
			ret[used++] = (char)len;
		}
		memcpy(ret + used, line + 1, len);
		used += len;
		line += len + 2;
	}
	return used;
}

static int parse(const char *bytes, size_t len, bool maildrop, struct sw_queue_texts *t,
		 struct sw_queue_message *m)
{
	struct sw_queue_file f;
	int r;

	put_bytes("/file", bytes, len);
	open_file("/file", &f);
	*m = (struct sw_queue_message){ .uid = SW_UID_NONE };
	r = sw_queue_postfix_parse(&f, maildrop, t, m);
	close_file(&f);
	return r;
}

struct row {
	const char *lines;
	int r;
	uint32_t uid;
	enum sw_queue_via via;
	uint64_t recipients;
	const char *auth, *script, *sender, *recipient;
};

static void check_rows(const struct row *rows, size_t n, bool maildrop)
{
	for (size_t i = 0; i < n; i++) {
		const struct row *w = &rows[i];
		struct sw_queue_message m;
		struct sw_queue_texts t;
		char bytes[8192];
		int r = parse(bytes, make_records(w->lines, bytes), maildrop, &t, &m);

		if (r != w->r)
			fail_msg("row %zu: %d, not %d", i, r, w->r);
		if (r)
			continue;
		if (m.uid != w->uid || m.via != w->via || m.recipients != w->recipients)
			fail_msg("row %zu: uid %u via %d recipients %lu", i, m.uid, m.via,
				 (unsigned long)m.recipients);
		check_text("auth", i, m.auth, w->auth);
		check_text("script", i, m.script, w->script);
		check_text("sender", i, m.sender, w->sender);
		check_text("recipient", i, m.recipient, w->recipient);
	}
}

#define SHOP	"shop@shop.example"
#define END	"N\nNbody\nX\nE\n"

static void test_origin(void **state)
{
	static const struct row rows[] = {
		{ HEAD FROM "Ra@x.example\nM\n" BY "NX-PHP-Script: shop.example/a.php\n" END, 0, 61009,
		  SW_QUEUE_SENDMAIL, 1, NULL, "shop.example/a.php", SHOP, "a@x.example" },
		{ HEAD "Aclient_address=127.0.0.1\nSx@y\nRa@x.example\nM\n" BY END, 0, SW_UID_NONE,
		  SW_QUEUE_LOCAL, 1, NULL, NULL, "x@y", "a@x.example" },	/* a forged line */
		{ HEAD "Aclient_address=2001:db8::1\nSx@y\nRa@x.example\nM\n" END, 0, SW_UID_NONE,
		  SW_QUEUE_REMOTE, 1, NULL, NULL, "x@y", "a@x.example" },
		{ HEAD "Aclient_address=::1\nAsasl_method=PLAIN\nAsasl_username=info@shop.example\nSx@y\n"
		  "Ra@x.example\nM\n" END, 0, SW_UID_NONE, SW_QUEUE_AUTH, 1, "info@shop.example", NULL,
		  "x@y", "a@x.example" },
		{ HEAD "Alog_message_origin=local\nS\nRa@x.example\nM\nNReceived: by h (Postfix)\n" END, 0,
		  SW_UID_NONE, SW_QUEUE_SERVER, 1, NULL, NULL, "", "a@x.example" },
		/* Only the first line of its kind is Postfix's own. */
		{ HEAD FROM "Ra@x.example\nM\nNReceived: from somewhere\n" BY END, 0, SW_UID_NONE,
		  SW_QUEUE_VIA_UNKNOWN, 1, NULL, NULL, SHOP, "a@x.example" },
		{ HEAD FROM "Ra@x.example\nM\nNDKIM-Signature: a\n" BY END, 0, 61009, SW_QUEUE_SENDMAIL,
		  1, NULL, NULL, SHOP, "a@x.example" },
		{ HEAD FROM "Ra@x.example\nM\nNReceived: by h (Postfix, from userid -1)\n" END, 0,
		  SW_UID_NONE, SW_QUEUE_VIA_UNKNOWN, 1, NULL, NULL, SHOP, "a@x.example" },
		{ HEAD FROM "Ra@x.example\nM\nNReceived: by h (Postfix, from userid 4294967295)\n" END, 0,
		  SW_UID_NONE, SW_QUEUE_VIA_UNKNOWN, 1, NULL, NULL, SHOP, "a@x.example" },
		/* A header that begins in the middle of a long line is none. */
		{ HEAD FROM "Ra@x.example\nM\nLSubject: aaaa\nNX-PHP-Script: b\nNX-PHP-Script: c\n" END, 0,
		  SW_UID_NONE, SW_QUEUE_VIA_UNKNOWN, 1, NULL, "c", SHOP, "a@x.example" },
		{ HEAD FROM "Ra@x.example\nM\nN\nNX-PHP-Script: body\n" END, 0, SW_UID_NONE,
		  SW_QUEUE_VIA_UNKNOWN, 1, NULL, NULL, SHOP, "a@x.example" },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows), false);
}

static void test_recipients(void **state)
{
	static const struct row rows[] = {
		{ HEAD FROM "Da@x.example\nRb@x.example\nOc\nRc@x.example\n/d@x\nM\n" END, 0, SW_UID_NONE,
		  SW_QUEUE_VIA_UNKNOWN, 2, NULL, NULL, SHOP, "b@x.example" },
		/* sendmail -t: behind the message. */
		{ HEAD FROM "M\nN\nNbody\nX\nRa@x.example\nRb@x.example\nE\n", 0, SW_UID_NONE,
		  SW_QUEUE_VIA_UNKNOWN, 2, NULL, NULL, SHOP, "a@x.example" },
		{ SIZE(8, 29, 1) HEAD "Sx@y\nM\nN\nNbody\nX\nRa@x.example\nE\n", 0, SW_UID_NONE,
		  SW_QUEUE_VIA_UNKNOWN, 1, NULL, NULL, "x@y", "a@x.example" },
	};
	static const struct row maildrop[] = {
		{ HEAD "Aclient_address=203.0.113.9\nAsasl_username=forged\nSx@y\nRa@x.example\nM\n" BY
		  END, 0, SW_UID_NONE, SW_QUEUE_VIA_UNKNOWN, 1, NULL, NULL, "x@y", "a@x.example" },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows), false);
	check_rows(maildrop, ARRAY_SIZE(maildrop), true);
}

static void test_no_file_of_postfix(void **state)
{
	static const struct row rows[] = {
		{ "", .r = -ENODATA },
		{ HEAD, .r = -ENODATA },
		{ HEAD FROM, .r = -ENODATA },
		{ HEAD "Ra@x.example\nM\n" END, .r = -EBADMSG },	/* no sender */
		{ HEAD FROM "E\n", .r = -EBADMSG },
		{ HEAD FROM "X\n", .r = -EBADMSG },
		{ HEAD FROM "Ra@x.example\nM\nNa\n", .r = -ENODATA },
		{ SIZE(-1, 5, 5) HEAD FROM "Ra@x\nM\n" END, .r = -EBADMSG },
		{ SIZE(99999999999999999999, 5, 5) HEAD FROM "Ra@x\nM\n" END, .r = -EBADMSG },
		{ "C\n" HEAD FROM "Ra@x\nM\n" END, .r = -EBADMSG },
		{ HEAD FROM "p-7\nM\n" END, .r = -EBADMSG },
		{ HEAD FROM "p\nM\n" END, .r = -EBADMSG },
		{ HEAD FROM "p99999\nM\n" END, .r = -ENODATA },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows), false);
}

/* Milters leave pointers to where the rest is, which may lead in circles. */
static void test_pointers(void **state)
{
	static const char good[] = HEAD "Sx@y\np48\nSforged@x\nM\n";
	static const char circle[] = HEAD "p14\nSx@y\nM\nE\n";
	struct sw_queue_message m;
	struct sw_queue_texts t;
	char bytes[4096];
	size_t len;

	(void)state;
	len = make_records(good, bytes);
	assert_true(len < 48);
	memset(bytes + len, 'x', 48 - len);
	len = 48 + make_records("Ra@x.example\np0\nM\n" BY END, bytes + 48);
	assert_int_equal(parse(bytes, len, false, &t, &m), 0);
	assert_string_equal(m.sender, "x@y");
	assert_int_equal(m.recipients, 1);
	assert_int_equal(m.uid, 61009);
	len = make_records(circle, bytes);
	assert_memory_equal(bytes + 14, "p\00214", 4);	/* it points at itself */
	assert_int_equal(parse(bytes, len, false, &t, &m), -EBADMSG);
}

static void test_lengths(void **state)
{
	static const char *const bad[] = {
		"S\xff\xff\xff\xff\x7f", "S\x80\x80\x80\x80\x01", "S\xff\xff\xff\x7f", "S\x80", "S",
	};
	size_t len = 2U << 20, used;
	struct sw_queue_message m;
	struct sw_queue_texts t;
	char *bytes = calloc(1, len);

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		int r = parse(bad[i], strlen(bad[i]), false, &t, &m);

		if (r != -EBADMSG && r != -ENODATA)
			fail_msg("length %zu: %d", i, r);
	}
	/* A sender of 900,000 bytes, and then a message. */
	memcpy(bytes, "S\xa0\xf7\x36", 4);
	memset(bytes + 4, 'x', 900000);
	used = 4 + 900000;
	used += make_records("Ra@x.example\nM\n" BY END, bytes + used);
	assert_int_equal(parse(bytes, used, false, &t, &m), 0);
	assert_int_equal(strlen(m.sender), SW_QUEUE_TEXT_MAX);
	assert_int_equal(m.uid, 61009);
	free(bytes);
}

static void test_half_written(void **state)
{
	static const char lines[] = HEAD FROM "Ra@x.example\nM\n" BY "N\nNbody\nX\nRb@x.example\nE\n";
	struct sw_queue_message m;
	struct sw_queue_texts t;
	char bytes[4096];
	size_t len = make_records(lines, bytes);

	(void)state;
	assert_int_equal(parse(bytes, len, false, &t, &m), 0);
	assert_int_equal(m.recipients, 2);
	for (size_t i = 0; i < len; i++)
		if (parse(bytes, i, false, &t, &m) == 0)
			fail_msg("%zu of %zu bytes are a message", i, len);
}

/* ---- Spools ---- */

static void put_message(const char *path, const char *lines, mode_t mode)
{
	char bytes[4096];

	put_bytes(path, bytes, make_records(lines, bytes));
	assert_int_equal(chmod(below(path), mode), 0);
}

static void test_spool(void **state)
{
	static const char mail[] = HEAD FROM "Ra@x.example\nM\n" BY END;
	struct sw_queue q;

	(void)state;
	put_message("/postfix/maildrop/5A48B37E", HEAD "Sx@y\nRa@x.example\nM\n" END, 0744);
	put_message("/postfix/maildrop/5A48B37F", HEAD "Sx@y\nRa@x.example\nM\n" END, 0600);
	put_message("/postfix/incoming/3XyZb2c4d5e6f7", mail, 0700);
	put_message("/postfix/active/C483E372", mail, 0700);
	put_message("/postfix/deferred/3/32EEF352", mail, 0700);
	put_message("/postfix/deferred/3/4/32EEF353", mail, 0700);
	put_message("/postfix/hold/B2F4E361", mail, 0700);
	put_message("/postfix/defer/3/32EEF352", mail, 0700);	/* why, not what */
	put("/postfix/deferred/3/not-an-id", "");
	put_link("/postfix/hold/B2F4E362", "B2F4E361");
	put_link("/postfix/deferred/5", "3");
	put_directory("/postfix/hold/B2F4E363");
	assert_int_equal(mkfifo(below("/postfix/hold/B2F4E364"), 0700), 0);
	/* While it is deferred again it is seen in both places. */
	assert_int_equal(link(below("/postfix/active/C483E372"),
			      below("/postfix/deferred/C483E372")), 0);
	q = scan_spool("/postfix");
	assert_int_equal(q.sum.messages, 6);
	assert_int_equal(q.sum.frozen, 1);
	check_left_out(&q, 0, 1, 0, 5);
	assert_int_equal(q.n_groups, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(q.group[i].uid, q.group[i].sum.messages == 5 ? 61009 : getuid());
	sw_queue_free(&q);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_origin), EACH(test_recipients), EACH(test_no_file_of_postfix),
		EACH(test_pointers), EACH(test_lengths), EACH(test_half_written), EACH(test_spool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
