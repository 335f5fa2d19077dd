/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "redirect.h"
#include "util.h"

#define STATE_LISTEN	0x0a

/* Addresses stand there as four words in the byte order of the machine. */
static bool reaches_loopback(const char *hex)
{
	const uint8_t loopback[16] = { [15] = 1 }, any[16] = { 0 };
	uint32_t word[4];
	uint8_t addr[16];

	if (sscanf(hex, "%8x%8x%8x%8x", &word[0], &word[1], &word[2], &word[3]) != 4)
		return false;
	memcpy(addr, word, sizeof(addr));
	return !memcmp(addr, loopback, sizeof(addr)) || !memcmp(addr, any, sizeof(addr));
}

bool sw_redirect_listens_v6(const char *table, unsigned int port)
{
	unsigned int at, state;
	char addr[33];

	for (const char *line = table; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f:] %x", addr, &at,
			   &state) == 3 && at == port && state == STATE_LISTEN &&
		    strlen(addr) == 32 && reaches_loopback(addr))
			return true;
	}
	return false;
}

/* The sockets of this network namespace; "" where there is no IPv6. */
static char *read_table(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/net/tcp6", "re");
	_cleanup_free_ char *text = NULL;
	size_t size = 0;

	if (!f || getdelim(&text, &size, '\0', f) < 0)
		return strdup("");
	return TAKE_PTR(text);
}

static int mark(struct sw_policy *p, uint32_t uid, const char *name)
{
	return sw_policy_add_exempt(p, SW_KIND_MAIL_UID, uid, name, 0, 0);
}

int sw_redirect_complete(struct sw_policy *p, const struct sw_mta_list *mtas,
			 const struct sw_listener_list *listeners)
{
	static const uint8_t none[16];
	_cleanup_free_ char *table = NULL;
	int r = 0;

	if (p->mode != SW_MODE_REDIRECT)
		return 0;
	for (size_t i = 0; i < mtas->n && !r; i++)
		if (mtas->item[i].user)
			r = mark(p, mtas->item[i].uid, mtas->item[i].user);
	for (size_t i = 0; i < listeners->n && !r; i++)
		r = mark(p, listeners->item[i].uid, "listener");
	if (r < 0 || p->redirect4 || memcmp(p->redirect6, none, sizeof(none)) != 0)
		return r;
	table = read_table();
	if (!table)
		return -ENOMEM;
	if (sw_redirect_listens_v6(table, p->redirect_port)) {
		p->redirect4 = htonl(INADDR_LOOPBACK);
		p->redirect6[15] = 1;
	}
	return 0;
}
