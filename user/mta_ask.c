/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>

#include "ask.h"
#include "mta_int.h"
#include "util.h"

int sw_mta_ask(const char *const *argv, int timeout_ms, char **ret)
{
	_cleanup_free_ char *text = NULL;
	int r = sw_ask(argv, timeout_ms, SW_ASK_MAX - 1, &text);

	if (r < 0)
		return r == -ENOENT ? -EPERM : r;
	text[strcspn(text, "\r\n")] = '\0';
	if (!text[0])
		return -EPROTO;
	*ret = TAKE_PTR(text);
	return 0;
}
