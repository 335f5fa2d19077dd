/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Observations for tests of suggest. */
#ifndef SW_TEST_SUGGEST_UTIL_H
#define SW_TEST_SUGGEST_UTIL_H

#include "config_util.h"
#include "suggest.h"

#define NOW	1792836000	/* seconds since 1970 */
#define DAY	86400

/* What was observed; each test fills its own. */
static struct sw_suggest_dest dests[1024];
static struct sw_suggest_seen seen;

static inline int begin(void **state)
{
	memset(dests, 0, sizeof(dests));
	seen = (struct sw_suggest_seen){ .dests = dests, .now = NOW };
	return empty_dir(state);
}

/* `n` destinations of `uid`, one attempt each in the last hour: 192.0.2.1, 192.0.2.2, ... */
static inline struct sw_suggest_dest *add(uint32_t uid, uint16_t port, size_t n)
{
	struct sw_suggest_dest *first = &dests[seen.n_dests];

	for (size_t i = 1; i <= n; i++) {
		struct sw_suggest_dest *d = &dests[seen.n_dests++];

		assert_true(seen.n_dests < ARRAY_SIZE(dests));
		*d = (struct sw_suggest_dest){
			.uid = uid,
			.port = port,
			.attempts = 1,
			.first = NOW - 3600,
			.last = NOW - 60,
			.addr = { [10] = 0xff,
				  [11] = 0xff,
				  [12] = 192,
				  [14] = (uint8_t)(2 + i / 256),
				  [15] = (uint8_t)i },
		};
	}
	return first;
}

static inline struct sw_suggestions suggest(const struct sw_suggest_account *accounts, size_t n)
{
	struct sw_suggestions s;

	seen.accounts = accounts;
	seen.n_accounts = n;
	assert_int_equal(sw_suggest(&seen, &s), 0);
	return s;
}

/* As a piece of smtpwall.conf; malloc'd. */
static inline char *as_conf(const struct sw_suggestions *s)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	assert_non_null(f);
	assert_int_equal(sw_suggest_print_conf(f, &seen, s), 0);
	assert_int_equal(fclose(f), 0);
	return text;
}

#endif
