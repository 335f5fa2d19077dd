/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <arpa/inet.h>
#include <cmocka.h>

#include "redirect.h"
#include "util.h"

#define HEAD	"  sl  local_address                         remote_address" \
		"                        st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
#define LINE(addr, state) "   0: " addr ":0019 00000000000000000000000000000000:0000 " state \
			  " 00000000:00000000 00:00000000 00000000     0        0 1234 1\n"

static void test_table(void **state)
{
	static const struct {
		const char *table;
		bool listens;
	} rows[] = {
		{ "", false },
		{ HEAD, false },
		{ HEAD LINE("00000000000000000000000000000000", "0A"), true },
		{ HEAD LINE("00000000000000000000000001000000", "0A"), true },
		/* another address, another state, v4-mapped loopback */
		{ HEAD LINE("B80D0120000000000000000001000000", "0A"), false },
		{ HEAD LINE("00000000000000000000000001000000", "01"), false },
		{ HEAD LINE("0000000000000000FFFF00000100007F", "0A"), false },
		{ HEAD "   0: 0000:0019 0000:0000 0A\n", false },
		{ HEAD "rubbish\n\n" LINE("00000000000000000000000001000000", "0A"), true },
		{ HEAD "   0: 00000000000000000000000001000000:0019", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (htonl(1) == 1)
			continue;	/* the rows are of a little-endian machine */
		if (sw_redirect_listens_v6(rows[i].table, 25) != rows[i].listens)
			fail_msg("row %zu", i);
		assert_false(sw_redirect_listens_v6(rows[i].table, 26));
	}
}

/* Every account that could be the mail server is kept from reaching itself. */
static void test_marks(void **state)
{
	struct sw_mta mta[] = { { .name = "exim", .user = (char *)"exim", .uid = 101 },
				{ .name = "dma", .group = (char *)"mail", .uid = (uid_t)-1 } };
	struct sw_listener listener[] = { { .uid = 102 }, { .uid = 0 } };
	const struct sw_mta_list mtas = { mta, 2 };
	const struct sw_listener_list listeners = { listener, 2 };
	struct sw_policy p;

	(void)state;
	assert_int_equal(sw_policy_default(&p), 0);
	assert_int_equal(sw_redirect_complete(&p, &mtas, &listeners), 0);
	assert_null(sw_policy_find(&p, SW_KIND_MAIL_UID, 101));	/* mode enforce needs none */
	p.mode = SW_MODE_REDIRECT;
	p.redirect4 = 1;
	assert_int_equal(sw_redirect_complete(&p, &mtas, &listeners), 0);
	assert_non_null(sw_policy_find(&p, SW_KIND_MAIL_UID, 101));
	assert_non_null(sw_policy_find(&p, SW_KIND_MAIL_UID, 102));
	assert_non_null(sw_policy_find(&p, SW_KIND_MAIL_UID, 0));
	assert_null(sw_policy_find(&p, SW_KIND_MAIL_UID, (uid_t)-1));
	assert_int_equal(p.redirect4, 1);
	sw_policy_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
