/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A refused connect in the words of the kernel log under CSF, so that parsers of that log go on. */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "journal.h"
#include "names.h"
#include "util.h"

/* IPv6 as the kernel prints it: all eight groups, each with four digits. */
static void format_ipv6(const uint8_t addr[16], char ret[SW_ADDRESS_LEN])
{
	size_t n = 0;

	for (int i = 0; i < 16; i += 2)
		n += (size_t)snprintf(ret + n, SW_ADDRESS_LEN - n, "%s%02x%02x", i ? ":" : "", addr[i],
				      addr[i + 1]);
}

void sw_csf_line(const uint8_t addr[16], uint16_t port, uint32_t uid, uint32_t gid,
		 char ret[SW_CSF_LINE])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	bool v4 = !memcmp(addr, mapped, sizeof(mapped));
	char text[SW_ADDRESS_LEN], group[24] = "";

	if (v4)
		sw_address_format(addr, text);
	else
		format_ipv6(addr, text);
	if (gid != SW_NO_GID)
		snprintf(group, sizeof(group), " GID=%" PRIu32, gid);
	snprintf(ret, SW_CSF_LINE, "Firewall: *%s Blocked* IN= OUT=- DST=%s PROTO=TCP DPT=%u SYN "
		 "UID=%" PRIu32 "%s", v4 ? "TCP_OUT" : "TCP6OUT", text, port, uid, group);
}

/* "addr:port" or "[addr]:port". */
int sw_csf_line_text(const char *destination, uint32_t uid, char ret[SW_CSF_LINE])
{
	const char *colon = strrchr(destination, ':');
	uint8_t addr[16] = { [10] = 0xff, [11] = 0xff };
	char text[SW_ADDRESS_LEN];
	size_t len = colon ? (size_t)(colon - destination) : 0;
	bool brackets = *destination == '[' && len > 1 && destination[len - 1] == ']';
	uint32_t port;

	if (brackets) {
		destination++;
		len -= 2;
	}
	if (!len || len >= sizeof(text) || sw_id_parse(colon + 1, &port) < 0 || port > UINT16_MAX)
		return -EINVAL;
	memcpy(text, destination, len);
	text[len] = '\0';
	if (brackets ? inet_pton(AF_INET6, text, addr) != 1 :
		       inet_pton(AF_INET, text, addr + 12) != 1)
		return -EINVAL;
	sw_csf_line(addr, (uint16_t)port, uid, SW_NO_GID, ret);
	return 0;
}
