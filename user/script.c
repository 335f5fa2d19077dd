/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process runs, read off its title. */
#include <ctype.h>
#include <string.h>

#include "stats.h"
#include "util.h"

/* What people call it, without its version; and its options that take the next argument. */
static const struct interpreter {
	const char *name;
	const char *takes;	/* option letters whose value is the next argument */
	const char *code;	/* option letters whose value is a program or a module */
	bool shell;		/* options may be joined: -euo pipefail */
} interpreters[] = {
	{ "php", "cdzSt", "rBRE", false },	{ "php-cgi", "cdTb", "", false },
	{ "php-fcgi", "cdTb", "", false },	{ "php-cli", "cdzSt", "rBRE", false },
	{ "lsphp", "cdbs", "r", false },	{ "perl", "I", "eE", false },
	{ "python", "WX", "cm", false },	{ "pypy", "WX", "cm", false },
	{ "ruby", "CIEr", "e", false },		{ "node", "rC", "ep", false },
	{ "nodejs", "rC", "ep", false },	{ "lua", "l", "e", false },
	{ "tclsh", "", "", false },		{ "bash", "oO", "c", true },
	{ "sh", "o", "c", true },		{ "dash", "o", "c", true },
	{ "ksh", "o", "c", true },		{ "zsh", "o", "c", true },
};

/* argv[0] to an interpreter, or NULL. "-bash" is a login shell, "php-cgi8.2" a version. */
static const struct interpreter *find_interpreter(const char *arg0)
{
	const char *base = strrchr(arg0, '/');
	size_t len;

	base = base ? base + 1 : arg0;
	if (*base == '-')
		base++;
	len = strlen(base);
	while (len > 0 && strchr("0123456789.-", base[len - 1]))
		len--;
	for (size_t i = 0; i < ARRAY_SIZE(interpreters); i++)
		if (strlen(interpreters[i].name) == len &&
		    !strncmp(interpreters[i].name, base, len))
			return &interpreters[i];
	return NULL;
}

/* The letter of a short option that has its value, if any, in the next argument; 0: it has none. */
static char option_letter(const struct interpreter *in, const char *arg)
{
	size_t len = strlen(arg);

	if (len == 2 || (in->shell && len > 2 && arg[1] != '-'))
		return arg[len - 1];
	return '\0';
}

/* First argument that is no option: what the interpreter runs. NULL when there is none, and when
 * the program stands on the command line itself: then the whole title says more. */
static const char *find_script(const struct interpreter *in, const char *arg, const char *end)
{
	for (; arg < end; arg += strlen(arg) + 1) {
		char letter;

		if (!strcmp(arg, "--"))
			return arg + 3 < end && arg[3] ? arg + 3 : NULL;
		if (!strcmp(arg, "-"))
			return NULL;	/* standard input */
		if (*arg != '-' && *arg)
			return arg;
		letter = option_letter(in, arg);
		if (letter && strchr(in->code, letter))
			return NULL;
		if (letter && strchr(in->takes, letter))
			arg += strlen(arg) + 1;
		if (arg >= end)
			return NULL;
	}
	return NULL;
}

char *sw_script(const char *argv, size_t len, const char *comm)
{
	_cleanup_free_ char *title = NULL;
	const struct interpreter *in;
	const char *script = NULL;
	char *bracketed;

	while (len > 0 && (argv[len - 1] == '\0' || isspace((unsigned char)argv[len - 1])))
		len--;
	if (!len) {
		if (asprintf(&bracketed, "[%.*s]", SW_COMM_LEN, comm) < 0)
			return NULL;
		return bracketed;
	}
	title = malloc(len + 1);
	if (!title)
		return NULL;
	memcpy(title, argv, len);
	title[len] = '\0';
	in = find_interpreter(title);
	if (in)
		script = find_script(in, title + strlen(title) + 1, title + len);
	if (script)
		return strdup(script);
	for (size_t i = 0; i < len; i++)
		if (title[i] == '\0')
			title[i] = ' ';
	return TAKE_PTR(title);
}

char *sw_script_exec(const char *argv, size_t len, const char *comm)
{
	_cleanup_free_ char *mailer = sw_script(argv, len, "");
	char *text;

	if (!mailer || asprintf(&text, "[%.*s] %s", SW_COMM_LEN, comm, mailer) < 0)
		return NULL;
	return text;
}
