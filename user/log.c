/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

enum sw_log_level sw_log_max = SW_LOG_INFO;

static void print_line(const char *tag, const char *fmt, va_list ap, int err)
{
	char text[2048];

	vsnprintf(text, sizeof(text), fmt, ap);
	if (err)
		fprintf(stderr, "smtpwall: %s%s: %s\n", tag, text, strerror(err));
	else
		fprintf(stderr, "smtpwall: %s%s\n", tag, text);
}

int log_err(int r, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	print_line("", fmt, ap, r < 0 ? -r : 0);
	va_end(ap);
	return r;
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	if (sw_log_max < SW_LOG_WARN)
		return;
	va_start(ap, fmt);
	print_line("warning: ", fmt, ap, 0);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	if (sw_log_max < SW_LOG_INFO)
		return;
	va_start(ap, fmt);
	print_line("", fmt, ap, 0);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	if (sw_log_max < SW_LOG_DEBUG)
		return;
	va_start(ap, fmt);
	print_line("debug: ", fmt, ap, 0);
	va_end(ap);
}
