/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Hash tables of indexes, keyed, because customers choose what is hashed. */
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "domain_int.h"
#include "util.h"

void sw_domain_key_random(struct sw_domain_key *ret)
{
	if (getrandom(ret, sizeof(*ret), GRND_NONBLOCK) != (ssize_t)sizeof(*ret)) {
		struct timespec ts;

		clock_gettime(CLOCK_REALTIME, &ts);
		*ret = (struct sw_domain_key){ { (uint64_t)ts.tv_nsec ^ (uintptr_t)ret,
						 (uint64_t)ts.tv_sec * 0x9e3779b97f4a7c15U } };
	}
}

static inline uint64_t rotate(uint64_t x, int bits)
{
	return x << bits | x >> (64 - bits);
}

static inline void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012): nobody without the key can make texts collide. */
uint64_t sw_domain_hash(const struct sw_domain_key *key, const char *text, size_t len)
{
	uint64_t v[4] = {
		key->k[0] ^ 0x736f6d6570736575U, key->k[1] ^ 0x646f72616e646f6dU,
		key->k[0] ^ 0x6c7967656e657261U, key->k[1] ^ 0x7465646279746573U,
	};
	uint64_t last = (uint64_t)len << 56, word;
	size_t i = 0;

	for (; i + 8 <= len; i += 8) {
		memcpy(&word, text + i, 8);
		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	for (size_t shift = 0; i < len; i++, shift += 8)
		last |= (uint64_t)(unsigned char)text[i] << shift;
	v[3] ^= last;
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int sw_domain_table_make(struct sw_domain_table *t, size_t n)
{
	size_t slots = 16;

	while (slots < n + n / 2)
		slots *= 2;
	t->slot = sw_domain_alloc(slots, sizeof(*t->slot));
	t->mask = slots - 1;
	return t->slot ? 0 : -ENOMEM;
}

void sw_domain_table_free(struct sw_domain_table *t)
{
	free(t->slot);
	*t = (struct sw_domain_table){};
}

uint32_t sw_domain_table_look(const struct sw_domain_table *t, uint64_t hash, size_t *at)
{
	for (*at &= t->mask; t->slot[*at]; *at = (*at + 1) & t->mask)
		if (t->slot[*at] >> 32 == hash >> 32)
			return (uint32_t)t->slot[*at] - 1;
	return SW_NONE;
}

void sw_domain_table_put(struct sw_domain_table *t, size_t at, uint64_t hash, size_t index)
{
	t->slot[at] = (hash >> 32) << 32 | (uint32_t)(index + 1);
}
