/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Texts of queue files: none of them is trusted to have an end. */
#include <arpa/inet.h>
#include <string.h>

#include "queue_int.h"
#include "util.h"

void sw_queue_copy(char ret[SW_QUEUE_TEXT_MAX + 1], const char *text, size_t len)
{
	len = strnlen(text, len);
	if (len <= SW_QUEUE_TEXT_MAX) {
		memcpy(ret, text, len);
		ret[len] = '\0';
		return;
	}
	memcpy(ret, text, SW_QUEUE_TEXT_MAX - 3);
	memcpy(ret + SW_QUEUE_TEXT_MAX - 3, "...", 4);
}

bool sw_queue_script_header(const char *line, size_t len, const char **value, size_t *value_len)
{
	static const char *const names[] = { "X-PHP-Originating-Script:", "X-PHP-Script:" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t name = strlen(names[i]), end;

		if (len <= name || strncasecmp(line, names[i], name) != 0)
			continue;
		while (name < len && (line[name] == ' ' || line[name] == '\t'))
			name++;
		for (end = name; end < len && line[end] && !strchr("\r\n", line[end]);)
			end++;
		while (end > name && (line[end - 1] == ' ' || line[end - 1] == '\t'))
			end--;
		*value = line + name;
		*value_len = end - name;
		return end > name;
	}
	return false;
}

bool sw_queue_number(const char *text, const char *end_of_text, uint64_t *ret, const char **end)
{
	const char *at = text;
	uint64_t n = 0;

	while (at < end_of_text && *at >= '0' && *at <= '9' && at - text < 18)
		n = n * 10 + (uint64_t)(*at++ - '0');
	if (at == text || (at < end_of_text && *at >= '0' && *at <= '9'))
		return false;
	*ret = n;
	*end = at;
	return true;
}

bool sw_queue_is_loopback(const char *address)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr v6;
	struct in_addr v4;
	size_t len;

	address += *address == '[';
	if (!strncasecmp(address, "IPv6:", 5))
		address += 5;
	len = strcspn(address, "]");
	if (len >= sizeof(text))
		return false;
	memcpy(text, address, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, &v4) == 1)
		return (ntohl(v4.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, text, &v6) == 1 &&
	       (IN6_IS_ADDR_LOOPBACK(&v6) ||
		(IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127));
}
