/* SPDX-License-Identifier: GPL-2.0-or-later */
/* qmail's queue after its INTERNALS: mess, info, local, remote, todo, intd. */
#include "queue_util.h"

#define BY_UID	"Received: (qmail 4711 invoked by uid 61009); 24 Nov 2026 15:17:41 -0000\n"
#define NETWORK	"Received: (qmail 4712 invoked from network); 24 Nov 2026 15:17:41 -0000\n"

struct row {
	const char *text;
	uint32_t uid;
	enum sw_queue_via via;
	const char *auth, *script;
};

static void test_message(void **state)
{
	static const struct row rows[] = {
		{ BY_UID "X-PHP-Originating-Script: 61009:a.php\n\nbody", 61009, SW_QUEUE_SENDMAIL, NULL,
		  "61009:a.php" },
		{ NETWORK "Received: from unknown (HELO c) (127.0.0.1)\n  by mail.example with SMTP;\n\n",
		  SW_UID_NONE, SW_QUEUE_LOCAL, NULL, NULL },
		{ NETWORK "Received: from c.example (HELO c) (203.0.113.9) by mail.example with SMTP\n\n",
		  SW_UID_NONE, SW_QUEUE_REMOTE, NULL, NULL },
		{ NETWORK "Received: from unknown (HELO c) (info@shop.example@203.0.113.9) by mail.example "
		  "with ESMTPA\n\n", SW_UID_NONE, SW_QUEUE_AUTH, "info@shop.example", NULL },
		/* Of ident, which the client answers as it likes. */
		{ NETWORK "Received: from unknown (HELO c) (root@203.0.113.9) by mail.example with SMTP\n",
		  SW_UID_NONE, SW_QUEUE_REMOTE, NULL, NULL },
		{ "Received: (qmail 4713 invoked for bounce); x\n\n", SW_UID_NONE, SW_QUEUE_SERVER, NULL,
		  NULL },
		{ "Received: (qmail 4713 invoked by alias); x\n\n", SW_UID_NONE, SW_QUEUE_VIA_UNKNOWN,
		  NULL, NULL },
		{ "Subject: x\n" BY_UID "\n", SW_UID_NONE, SW_QUEUE_VIA_UNKNOWN, NULL, NULL },
		{ "Received: (qmail 1 invoked by uid -7); x\n", SW_UID_NONE, SW_QUEUE_VIA_UNKNOWN, NULL,
		  NULL },
		{ "Received: (qmail 1 invoked ", SW_UID_NONE, SW_QUEUE_VIA_UNKNOWN, NULL, NULL },
		{ NETWORK "Received: from ) by (", SW_UID_NONE, SW_QUEUE_REMOTE, NULL, NULL },
		{ NETWORK "Received: from (@) by SMTPA", SW_UID_NONE, SW_QUEUE_REMOTE, NULL, NULL },
		{ "", SW_UID_NONE, SW_QUEUE_VIA_UNKNOWN, NULL, NULL },
		{ BY_UID "\nX-PHP-Script: body\n", 61009, SW_QUEUE_SENDMAIL, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_queue_message m = { .uid = SW_UID_NONE };
		struct sw_queue_texts t;
		struct sw_queue_file f;

		put("/mess", rows[i].text);
		open_file("/mess", &f);
		assert_int_equal(sw_queue_qmail_parse_message(&f, &t, &m), 0);
		if (m.uid != rows[i].uid || m.via != rows[i].via)
			fail_msg("row %zu: uid %u via %d", i, m.uid, m.via);
		check_text("auth", i, m.auth, rows[i].auth);
		check_text("script", i, m.script, rows[i].script);
		close_file(&f);
	}
}

static void test_envelope(void **state)
{
#define TEXT(s) s, sizeof(s) - 1
	static const struct {
		const char *text;
		size_t len;
		int r;
		uint64_t recipients;
		const char *sender, *recipient;
	} rows[] = {
		{ TEXT("u61009\0p4711\0Fshop@shop.example\0Ta@x\0Tb@x\0"), 0, 2, "shop@shop.example",
		  "a@x" },
		{ TEXT("F\0"), 0, 0, "", NULL },
		{ TEXT("F#@[]\0Ta@x\0"), 0, 1, "", "a@x" },
		{ TEXT("Da@x\0Tb@x\0Dc@x\0"), 0, 1, NULL, "b@x" },
		{ TEXT(""), 0, 0, NULL, NULL },
		{ TEXT("Fshop@shop.exam"), -ENODATA, 0, NULL, NULL },
		{ TEXT("F\0Zwhat\0"), -EBADMSG, 0, NULL, NULL },
		{ TEXT("\0\0"), -EBADMSG, 0, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_queue_message m = { .uid = SW_UID_NONE };
		struct sw_queue_texts t;
		struct sw_queue_file f;

		put_bytes("/todo", rows[i].text, rows[i].len);
		open_file("/todo", &f);
		assert_int_equal(sw_queue_qmail_parse_envelope(&f, &t, &m), rows[i].r);
		if (m.recipients != rows[i].recipients)
			fail_msg("row %zu: %lu recipients", i, (unsigned long)m.recipients);
		check_text("sender", i, m.sender, rows[i].sender);
		check_text("recipient", i, m.recipient, rows[i].recipient);
		close_file(&f);
	}
}

static void put_message(unsigned int id, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "/qmail/mess/%u/%u", id % 23, id);
	put(path, text);
}

static void test_spool(void **state)
{
	char path[32];
	struct sw_queue q;

	(void)state;
	for (int i = 0; i < 23; i++) {
		snprintf(path, sizeof(path), "/qmail/mess/%d", i);
		put_directory(path);
	}
	put_directory("/qmail/intd");
	/* Taken apart: one recipient is served. */
	put_message(100, BY_UID "\n");
	put_bytes("/qmail/info/8/100", "Fshop@shop.example\0", 19);
	put_bytes("/qmail/remote/8/100", "Ta@x\0Db@x\0", 10);
	put_bytes("/qmail/local/8/100", "Tc@x\0", 5);
	/* Not yet, and half of info is there. */
	put_message(101, NETWORK "\n");
	put_bytes("/qmail/todo/101", "u1\0p2\0F\0Td@x\0", 13);
	put_bytes("/qmail/intd/101", "u1\0p2\0F\0Td@x\0", 13);
	put_bytes("/qmail/info/9/101", "", 0);
	/* Being handed in; without a message; no number; a link. */
	put_bytes("/qmail/intd/102", "u1\0", 3);
	put_bytes("/qmail/info/11/103", "F\0", 2);
	put("/qmail/info/11/x103", "");
	put_link("/qmail/info/12/104", "../8/100");
	put_message(105, BY_UID "\n");
	put_bytes("/qmail/info/13/105", "Fcut", 4);
	put_bytes("/qmail/info/14/106", "F\0", 2);
	put_link("/qmail/mess/14/106", "../8/100");
	q = scan_spool("/qmail");
	assert_int_equal(q.spool[0].mta, SW_QUEUE_QMAIL);
	assert_int_equal(q.sum.messages, 2);
	assert_int_equal(q.sum.recipients, 3);
	assert_int_equal(q.sum.bounces, 1);
	/* 106 cannot be read: its message is a link. */
	check_left_out(&q, 0, 3, 1, 2);
	sw_queue_free(&q);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_message), EACH(test_envelope), EACH(test_spool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
