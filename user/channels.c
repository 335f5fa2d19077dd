/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Counts of a row, all of them or by one way out. */
#include "stats.h"

uint64_t sw_stat_attempts(const struct sw_stat *s)
{
	uint64_t sum = 0;

	for (int i = 0; i < _SW_N_MAX; i++)
		sum += s->n[i];
	return sum;
}

uint64_t sw_stat_offences(const struct sw_stat *s)
{
	return s->n[SW_N_DENIED] + s->n[SW_N_WOULD_DENY] + s->n[SW_N_LIMITED] +
	       s->n[SW_N_REDIRECTED];
}

uint64_t sw_stat_by(const struct sw_stat *s, enum sw_channel c)
{
	switch (c) {
	case SW_CHANNEL_LOCAL:
		return s->n[SW_N_LOCAL];
	case SW_CHANNEL_SENDMAIL:
		return s->n[SW_N_SENDMAIL];
	case SW_CHANNEL_ALL:
		return sw_stat_attempts(s);
	default:
		return sw_stat_offences(s);
	}
}

bool sw_stat_is_worse(const struct sw_stat *a, const struct sw_stat *b, enum sw_channel c)
{
	uint64_t a_bad = sw_stat_by(a, c), b_bad = sw_stat_by(b, c);

	if (a_bad != b_bad)
		return a_bad > b_bad;
	return sw_stat_attempts(a) > sw_stat_attempts(b);
}
