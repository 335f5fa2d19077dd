/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "html.h"
#include "out.h"
#include "util.h"

static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

char *sw_html_escape(const char *text)
{
	_cleanup_free_ char *visible = sw_escape(text ? text : "", true);
	char *out = visible ? malloc(6 * strlen(visible) + 1) : NULL, *p = out;

	if (!out)
		return NULL;
	for (const char *s = visible; *s; s++) {
		const char *name = entity(*s);

		if (name)
			p = mempcpy(p, name, strlen(name));
		else
			*p++ = *s;
	}
	*p = '\0';
	return out;
}

int sw_html_print(FILE *f, const char *fmt, ...)
{
	va_list ap;
	int r = 0;

	va_start(ap, fmt);
	for (; *fmt; fmt++) {
		if (*fmt == '%' && fmt[1] == 's') {
			_cleanup_free_ char *text = sw_html_escape(va_arg(ap, const char *));

			if (!text)
				r = -ENOMEM;
			else
				fputs(text, f);
			fmt++;
			continue;
		}
		if (*fmt == '%' && fmt[1])
			fmt++;
		fputc(*fmt, f);
	}
	va_end(ap);
	return r;
}

void sw_html_command(FILE *f, const char *command)
{
	for (; *command; command++) {
		const char *name = entity(*command);

		if (name)
			fputs(name, f);
		else
			fputc(*command == '\n' || (*command >= ' ' && *command < 0x7f) ? *command : '?', f);
	}
}

char *sw_shell_quote(const char *text)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				    "_./:@%+,-";
	bool ascii = true;
	char *out, *p;

	if (*text && !text[strspn(text, plain)])
		return strdup(text);
	p = out = malloc(4 * strlen(text) + 4);
	if (!out)
		return NULL;
	for (const char *s = text; *s; s++)
		ascii = ascii && *s >= ' ' && *s < 0x7f;
	if (!ascii)
		*p++ = '$';
	*p++ = '\'';
	for (; *text; text++) {
		if (!ascii && (*text < ' ' || *text >= 0x7f || *text == '\'' || *text == '\\'))
			p += snprintf(p, sizeof("\\ooo"), "\\%03o", (unsigned char)*text);
		else if (*text == '\'')
			p = mempcpy(p, "'\\''", 4);
		else
			*p++ = *text;
	}
	*p++ = '\'';
	*p = '\0';
	return out;
}
