/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Internationalised domains: RFC 3492, decoding only, with the parameters of section 5. */
#include <string.h>
#include <strings.h>

#include "html.h"

#define BASE		36
#define T_MIN		1
#define T_MAX		26
#define SKEW		38
#define DAMP		700
#define FIRST_BIAS	72
#define FIRST_CODE	128
#define MAX_LABEL	63
#define PREFIX		"xn--"

static int digit(char c)
{
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	return c >= '0' && c <= '9' ? c - '0' + 26 : -1;
}

static uint32_t adapt(uint32_t delta, uint32_t points, bool first)
{
	uint32_t k = 0;

	delta = first ? delta / DAMP : delta / 2;
	delta += delta / points;
	for (; delta > (BASE - T_MIN) * T_MAX / 2; k += BASE)
		delta /= BASE - T_MIN;
	return k + (BASE - T_MIN + 1) * delta / (delta + SKEW);
}

/* One variable-length number, which is added to *i. The text behind it; NULL when it is broken. */
static const char *take_number(const char *s, const char *end, uint32_t bias, uint32_t *i)
{
	uint32_t weight = 1;

	for (uint32_t k = BASE;; k += BASE) {
		uint32_t t = k <= bias ? T_MIN : k >= bias + T_MAX ? T_MAX : k - bias;
		int d = s < end ? digit(*s++) : -1;
		uint64_t sum = *i + (uint64_t)(d < 0 ? 0 : d) * weight;

		if (d < 0 || sum > 0x10ffff * (MAX_LABEL + 1ULL))
			return NULL;
		*i = (uint32_t)sum;
		if ((uint32_t)d < t)
			return s;
		if (weight > 0xffffff)
			return NULL;
		weight *= BASE - t;
	}
}

/* `len` bytes behind the prefix to code points; their number, or -1. */
static int decode_label(const char *s, size_t len, uint32_t ret[MAX_LABEL])
{
	const char *end = s + len, *basic = memrchr(s, '-', len);
	uint32_t code = FIRST_CODE, bias = FIRST_BIAS, i = 0, old, n = 0;

	if (len > MAX_LABEL)
		return -1;
	for (; basic && s < basic; s++)
		ret[n++] = (unsigned char)*s;
	if (basic)
		s++;
	while (s < end) {
		old = i;
		s = take_number(s, end, bias, &i);
		if (!s || n == MAX_LABEL)
			return -1;
		bias = adapt(i - old, n + 1, !old);
		code += i / (n + 1);
		i %= n + 1;
		if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return -1;
		memmove(ret + i + 1, ret + i, (n - i) * sizeof(*ret));
		ret[i++] = code;
		n++;
	}
	return (int)n;
}

/* Room for four bytes and a NUL is needed. */
static char *put_utf8(char *p, uint32_t c)
{
	static const unsigned char lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	int len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;

	for (int i = len - 1; i > 0; i--, c >>= 6)
		p[i] = (char)(0x80 | (c & 0x3f));
	*p = (char)(lead[len] | c);
	return p + len;
}

bool sw_idn_decode(const char *domain, char *ret, size_t size)
{
	char *p = ret, *end = ret + size;
	uint32_t code[MAX_LABEL];
	bool any = false;

	for (const char *s = domain; *s;) {
		size_t len = strcspn(s, ".");
		int n = 0;

		if (!strncasecmp(s, PREFIX, strlen(PREFIX)) && len > strlen(PREFIX)) {
			n = decode_label(s + strlen(PREFIX), len - strlen(PREFIX), code);
			if (n < 0)
				return false;
			any = true;
		}
		if ((size_t)(end - p) < 4 * (n ? (size_t)n : len) + 2)
			return false;
		if (!n)
			p = mempcpy(p, s, len);
		for (int i = 0; i < n; i++)
			p = put_utf8(p, code[i]);
		s += len;
		if (*s)
			*p++ = *s++;
	}
	*p = '\0';
	return any;
}
