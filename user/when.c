/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "names.h"
#include "util.h"
#include "when.h"

#define MAX_SECONDS	(366 * 86400)

const char *sw_time_format(time_t t, char buf[SW_TIME_LEN])
{
	struct tm tm;
	size_t len;

	localtime_r(&t, &tm);
	if (!tm.tm_gmtoff) {
		strftime(buf, SW_TIME_LEN, "%Y-%m-%dT%H:%M:%SZ", &tm);
		return buf;
	}
	len = strftime(buf, SW_TIME_LEN - 1, "%Y-%m-%dT%H:%M:%S%z", &tm);
	if (len > 2) {	/* +0100 to +01:00 */
		memmove(buf + len - 1, buf + len - 2, 3);
		buf[len - 2] = ':';
	}
	return buf;
}

const char *sw_duration(uint64_t seconds, char buf[SW_DURATION_LEN])
{
	static const struct {
		uint64_t seconds;
		const char *name;
	} units[] = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } };
	size_t i = 0;
	uint64_t rest;

	while (i < ARRAY_SIZE(units) - 1 && seconds < units[i].seconds)
		i++;
	rest = i + 1 < ARRAY_SIZE(units) ? seconds % units[i].seconds / units[i + 1].seconds : 0;
	if (rest)
		snprintf(buf, SW_DURATION_LEN, "%" PRIu64 " %s %" PRIu64 " %s",
			 seconds / units[i].seconds, units[i].name, rest, units[i + 1].name);
	else
		snprintf(buf, SW_DURATION_LEN, "%" PRIu64 " %s", seconds / units[i].seconds,
			 units[i].name);
	return buf;
}

const char *sw_time_ago(time_t t, time_t now, char buf[SW_TIME_LEN])
{
	long long s = now > t ? now - t : 0;

	if (s < 120)
		snprintf(buf, SW_TIME_LEN, "%llds ago", s);
	else if (s < 7200)
		snprintf(buf, SW_TIME_LEN, "%lldm ago", s / 60);
	else if (s < 2 * 86400)
		snprintf(buf, SW_TIME_LEN, "%lldh ago", s / 3600);
	else
		snprintf(buf, SW_TIME_LEN, "%lldd ago", s / 86400);
	return buf;
}

/* Whether `s` begins like `pattern`, in which 0 is any digit and T also t or a blank. */
static bool looks_like(const char *s, const char *pattern)
{
	for (; *pattern; s++, pattern++)
		if (*pattern == '0' ? !isdigit((unsigned char)*s) :
		    *pattern == 'T' ? !*s || !strchr("Tt ", *s) : *s != *pattern)
			return false;
	return true;
}

static int parse_rfc3339(const char *s, time_t *ret)
{
	struct tm tm = { .tm_isdst = -1 }, real;
	int hours = 0, minutes = 0;

	if (!looks_like(s, "0000-00-00"))
		return -EINVAL;
	sscanf(s, "%4d-%2d-%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday);
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	s += strlen("0000-00-00");
	if (*s && !looks_like(s, "T00:00:00"))
		return -EINVAL;
	if (*s) {
		sscanf(s + 1, "%2d:%2d:%2d", &tm.tm_hour, &tm.tm_min, &tm.tm_sec);
		s += strlen("T00:00:00");
		if (looks_like(s, ".0"))
			s += 1 + strspn(s + 1, "0123456789");
	}
	real = tm;
	*ret = timegm(&real);
	if (real.tm_mon != tm.tm_mon || real.tm_hour != tm.tm_hour || real.tm_sec != tm.tm_sec)
		return -EINVAL;	/* there is no 31 February and no 25 o'clock */
	if (!*s)
		*ret = mktime(&tm);
	if (!*s || !strcmp(s, "Z") || !strcmp(s, "z"))
		return 0;
	if ((*s != '+' && *s != '-') || !looks_like(s + 1, "00:00") || s[6])
		return -EINVAL;
	sscanf(s + 1, "%2d:%2d", &hours, &minutes);
	*ret -= (*s == '-' ? -60 : 60) * (hours * 60 + minutes);
	return hours < 24 && minutes < 60 ? 0 : -EINVAL;
}

static int parse_ago(const char *s, time_t now, time_t *ret)
{
	static const struct { char unit; int seconds; } units[] = {
		{ 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 }, { 'w', 7 * 86400 },
	};
	size_t digits = strspn(s, "0123456789");

	for (size_t i = 0; digits && i < ARRAY_SIZE(units); i++) {
		if (s[digits] != units[i].unit || s[digits + 1])
			continue;
		*ret = digits > 10 ? -1 : now - strtoll(s, NULL, 10) * units[i].seconds;
		return 0;
	}
	return -EINVAL;
}

int sw_time_parse(const char *text, time_t now, time_t *ret)
{
	struct tm tm;
	time_t t;
	int r;

	if (!strcmp(text, "today")) {
		localtime_r(&now, &tm);
		tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
		tm.tm_isdst = -1;
		*ret = mktime(&tm);
		return 0;
	}
	r = parse_ago(text, now, &t) ? parse_rfc3339(text, &t) : 0;
	if (!r && t < 0)
		r = -ERANGE;
	if (!r)
		*ret = t;
	return r;
}

int sw_duration_parse(const char *text, uint32_t *ret)
{
	static const struct {
		char unit;
		uint32_t seconds;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	size_t len = strlen(text);
	char digits[16];
	uint32_t n;

	if (len < 2 || len >= sizeof(digits))
		return -EINVAL;
	memcpy(digits, text, len - 1);
	digits[len - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		if (text[len - 1] != units[i].unit)
			continue;
		if (sw_id_parse(digits, &n) < 0 || !n)
			return -EINVAL;
		if (n > MAX_SECONDS / units[i].seconds)
			return -ERANGE;
		*ret = n * units[i].seconds;
		return 0;
	}
	return -EINVAL;
}
