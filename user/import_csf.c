/* SPDX-License-Identifier: GPL-2.0-or-later */
/* csf.conf: NAME = "value", one a line. The lists beside it are in import_allow.c. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "import_int.h"
#include "names.h"
#include "util.h"

#define BLANKS	" \t"

enum key {
	SMTP_BLOCK, SMTP_ALLOWLOCAL, SMTP_REDIRECT, SMTP_PORTS, SMTP_ALLOWUSER, SMTP_ALLOWGROUP,
	DROP_OUT, IPV6, N_TAKEN,
};

/* CSF writes all of them into every csf.conf, so that one is missing is an accident. */
#define TAKES_FOR_OFF "CSF would take that for off, the result has what CSF installs; correct it"
static const struct {
	const char *name;
	const char *missing;		/* its value then */
	const char *missing_note;
} taken[N_TAKEN] = {
	[SMTP_BLOCK] = { "SMTP_BLOCK", "0", "CSF takes that for off" },
	[SMTP_ALLOWLOCAL] = { "SMTP_ALLOWLOCAL", "1", TAKES_FOR_OFF },
	[SMTP_REDIRECT] = { "SMTP_REDIRECT", "0", NULL },
	[SMTP_PORTS] = { "SMTP_PORTS", "25,465,587", TAKES_FOR_OFF },
	[SMTP_ALLOWUSER] = { "SMTP_ALLOWUSER", "", NULL },
	[SMTP_ALLOWGROUP] = { "SMTP_ALLOWGROUP", "", NULL },
	[DROP_OUT] = { "DROP_OUT", "REJECT", NULL },
	[IPV6] = { "IPV6", "0", NULL },
};

#define LOGGING "smtpwall counts without it; for such lines in the log set csf_log = yes in [alerts]"
#define MTA_LOG	"watches the log of the mail server, which smtpwall does not read; limit it there"

enum kind {
	ALERT,		/* kept as a comment beside what became of it */
	TRACKING,	/* the same; without effect when UID_INTERVAL is off */
	TAKEN_ALERT,	/* taken over when there is a rule */
	MTA,		/* no direct SMTP */
	OTHER,
};

/* Settings that have to do with outgoing mail and have no equal. */
static const struct unequal {
	const char *name;	/* or the beginning of it, when it ends in '_' */
	enum kind kind;
	const char *why;
} unequal[] = {
	{ "DROP_OUT_LOGGING", ALERT, LOGGING },
	{ "DROP_UID_LOGGING", ALERT, LOGGING },
	{ "UID_INTERVAL", TAKEN_ALERT, NULL },
	{ "UID_LIMIT", TAKEN_ALERT, NULL },
	{ "UID_PORTS", TRACKING,
	  "the rule of [alerts] is about deny_ports; those of other programs are no matter of "
	  "smtpwall" },
	{ "LF_ALERT_TO", TAKEN_ALERT, "there is no rule of [alerts] to tell of; add one, and mail" },
	{ "LF_ALERT_FROM", TAKEN_ALERT, "there is no rule of [alerts] to tell of; add one, and "
					"mail_from" },
	{ "LF_ALERT_SMTP", ALERT, "alerts go through this machine's sendmail; nothing to do" },
	{ "LF_SCRIPT_", MTA, MTA_LOG },
	{ "LF_QUEUE_", MTA, MTA_LOG },
	{ "RT_", MTA, MTA_LOG },
	{ "TESTING", OTHER,
	  "CSF takes its rules away every few minutes, smtpwall does not; begin with "
	  "mode = observe" },
	{ "DOCKER", OTHER,
	  "CSF lets containers pass without judging them, smtpwall denies them too; "
	  "name the cgroups of those that send mail under [exempt]" },
	{ "ETH_DEVICE_SKIP", OTHER,
	  "smtpwall knows no devices; add an allow rule for each network "
	  "behind them that takes mail" },
	{ "DYNDNS", OTHER,
	  "the host names of csf.dyndns are allowed destinations in CSF; add "
	  "'rule = any to NAME' for each that takes mail" },
	{ "GLOBAL_DYNDNS", OTHER,
	  "the host names of that list are allowed destinations in CSF; add "
	  "'rule = any to NAME' for each that takes mail" },
	{ "GLOBAL_ALLOW", OTHER,
	  "the addresses of that list are allowed destinations in CSF; add "
	  "'rule = any to ADDRESS' for each that takes mail" },
};

static const struct sw_import_product product = {
	.name = "CSF",
	.numbers = "CSF ignores numbers",
	.unknown = "CSF ignores it silently",
	.redirect = "CSF redirects each port to the same port of this machine",
	.skips_zero = true,
};

struct setting {
	const char *name, *value;	/* in the text of the file */
	char *line_text;		/* as written */
	unsigned int line;
};

struct csf {
	struct sw_importer *im;
	struct sw_lines file;
	struct setting *setting;
	size_t n, room;
	struct setting set[N_TAKEN];	/* value "" and line 0: not in the file */
	struct sw_import_smtp smtp;
	bool tracking;			/* UID_INTERVAL is on */
};

/* What is true in the language that CSF is written in. */
static bool is_on(const char *value)
{
	return *value && strcmp(value, "0") != 0;
}

static void add_setting(struct csf *c, struct setting s)
{
	if (c->n == c->room) {
		size_t room = c->room ? c->room * 2 : 512;
		struct setting *grown = reallocarray(c->setting, room, sizeof(*grown));

		if (!grown) {
			free(s.line_text);
			c->im->err = -ENOMEM;
			return;
		}
		c->setting = grown;
		c->room = room;
	}
	c->setting[c->n++] = s;
}

/* The name without any blank in it, as CSF reads it. */
static void squeeze(char *text)
{
	char *to = text;

	for (; *text; text++)
		if (!strchr(BLANKS, *text))
			*to++ = *text;
	*to = '\0';
}

/* The value goes from the first quote to the last one; what is beside them does not count. */
static void read_setting(struct csf *c, char *line)
{
	struct setting s = { .line = c->file.line, .line_text = strdup(line) };
	char *equals = strchr(line, '='), *open = strchr(equals, '"');
	char *close = open ? strrchr(open, '"') : NULL;

	if (!s.line_text) {
		c->im->err = -ENOMEM;
		return;
	}
	if (!open || close == open) {
		sw_import_error(c->im, c->file.path, s.line, "'%.80s': the value is not in double "
				"quotes, and CSF refuses such a file; correct the line", line);
		free(s.line_text);
		return;
	}
	*equals = '\0';
	*close = '\0';
	squeeze(line);
	s.name = line;
	s.value = open + 1;
	if (!strcmp(s.name, "UID_INTERVAL"))
		c->tracking = is_on(s.value);
	add_setting(c, s);
}

static int by_name(const void *a, const void *b)
{
	const struct setting *x = a, *y = b;
	int r = strcmp(x->name, y->name);

	return r ? r : (x->line > y->line) - (x->line < y->line);
}

static int by_line(const void *a, const void *b)
{
	const struct setting *x = a, *y = b;

	return (x->line > y->line) - (x->line < y->line);
}

static void check_repeats(struct csf *c)
{
	qsort(c->setting, c->n, sizeof(*c->setting), by_name);
	for (size_t i = 1; i < c->n; i++)
		if (!strcmp(c->setting[i].name, c->setting[i - 1].name))
			sw_import_error(c->im, c->file.path, c->setting[i].line,
					"%.80s is set twice, before this in line %u, and CSF "
					"refuses such a file; remove one of the two",
					c->setting[i].name, c->setting[i - 1].line);
	qsort(c->setting, c->n, sizeof(*c->setting), by_line);
}

static void read_conf(struct csf *c)
{
	char *line;

	while ((line = sw_lines_next(&c->file)))
		if (*line && *line != '#' && strchr(line, '='))
			read_setting(c, line);
	if (c->n)
		check_repeats(c);
	if (!c->n && !c->im->result->errors.n)
		sw_import_error(c->im, c->file.path, 0,
				"there is no setting in it; is it a csf.conf?");
}

static const struct unequal *find_unequal(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(unequal); i++) {
		const char *known = unequal[i].name;
		size_t len = strlen(known);

		if (known[len - 1] == '_' ? !strncmp(name, known, len) : !strcmp(name, known))
			return &unequal[i];
	}
	return NULL;
}

static bool is_alert(const struct unequal *u)
{
	return u->kind == ALERT || u->kind == TRACKING || u->kind == TAKEN_ALERT;
}

static void note_unequal(struct csf *c, const struct setting *s, const struct unequal *u)
{
	if (u->kind == TAKEN_ALERT && c->tracking)
		return;
	if (!is_on(s->value) || !u->why || (u->kind == TRACKING && !c->tracking))
		sw_import_left(c->im, &c->file, s->line, true, s->line_text,
			       "it is off, so nothing is lost; nothing to do");
	else
		sw_import_left(c->im, &c->file, s->line, u->kind == MTA, s->line_text, "%s",
			       u->why);
}

/* Settings that are taken go to c->set; all others are noted, most of them by their number. */
static void sort_settings(struct csf *c)
{
	size_t n_other = 0;

	for (size_t k = 0; k < N_TAKEN; k++)
		c->set[k] = (struct setting){ .name = taken[k].name, .value = taken[k].missing };
	for (size_t i = 0; i < c->n; i++) {
		const struct setting *s = &c->setting[i];
		const struct unequal *u = find_unequal(s->name);
		size_t k;

		for (k = 0; k < N_TAKEN && strcmp(s->name, taken[k].name) != 0; k++)
			;
		if (k < N_TAKEN)
			c->set[k] = *s;
		else if (u && (is_alert(u) || is_on(s->value)))
			note_unequal(c, s, u);
		else
			n_other++;
	}
	if (n_other)
		sw_import_left(c->im, &c->file, 0, true, "all other settings",
			       "%zu of them are off, or no matter of outgoing SMTP; leave them to "
			       "CSF or another firewall", n_other);
	for (size_t k = 0; k < N_TAKEN; k++)
		if (taken[k].missing_note && !c->set[k].line)
			sw_import_left(c->im, &c->file, 0, false, taken[k].name, "is not set; %s",
				       taken[k].missing_note);
}

/* A switch; CSF takes whatever is not "" or "0" for on. */
static bool read_switch(struct csf *c, enum key key)
{
	const struct setting *s = &c->set[key];

	if (is_on(s->value) && strcmp(s->value, "1") != 0)
		sw_import_left(c->im, &c->file, s->line, false, s->line_text, "is neither 0 nor 1; "
			       "CSF takes it for on and so does this import");
	return is_on(s->value);
}

/* Entries of a list are separated by commas; blanks do not count, not even within an entry. */
static void read_list(struct csf *c, enum key key,
		      void (*take)(struct csf *, const struct setting *, const char *))
{
	const struct setting *s = &c->set[key];
	_cleanup_free_ char *list = strdup(s->value);
	char *next = list, *word;

	if (!list) {
		c->im->err = -ENOMEM;
		return;
	}
	squeeze(list);
	while ((word = strsep(&next, ",")) && !c->im->err)
		if (*word)
			take(c, s, word);
}

static void take_port(struct csf *c, const struct setting *s, const char *word)
{
	sw_import_port(c->im, &c->smtp, s->line, s->name, word);
}

static void take_user(struct csf *c, const struct setting *s, const char *word)
{
	sw_import_account(c->im, &c->smtp, false, s->line, s->name, word);
}

static void take_group(struct csf *c, const struct setting *s, const char *word)
{
	sw_import_account(c->im, &c->smtp, true, s->line, s->name, word);
}

static void read_smtp(struct csf *c)
{
	c->smtp = (struct sw_import_smtp){
		.product = &product,
		.file = &c->file,
		.enabled_said = c->set[SMTP_BLOCK].line_text,
		.redirect_said = c->set[SMTP_REDIRECT].line_text,
		.local_said = c->set[SMTP_ALLOWLOCAL].line_text,
		.ports_said = c->set[SMTP_PORTS].line_text,
		.users_said = c->set[SMTP_ALLOWUSER].line_text,
		.groups_said = c->set[SMTP_ALLOWGROUP].line_text,
		.refuse_said = c->set[DROP_OUT].line_text,
		.redirect_line = c->set[SMTP_REDIRECT].line,
		.enabled = read_switch(c, SMTP_BLOCK),
		.redirect = read_switch(c, SMTP_REDIRECT),
		.allow_local = read_switch(c, SMTP_ALLOWLOCAL),
	};
	read_list(c, SMTP_PORTS, take_port);
	read_list(c, SMTP_ALLOWUSER, take_user);
	read_list(c, SMTP_ALLOWGROUP, take_group);
}

static void note_drop_out(struct csf *c)
{
	const struct setting *s = &c->set[DROP_OUT];

	if (!strcmp(s->value, "REJECT"))
		return;
	sw_import_left(c->im, &c->file, s->line, false, s->line_text,
		       "%s: a connect that smtpwall denies fails at once, it cannot time out; the "
		       "result says refuse_with = refused", !strcmp(s->value, "DROP") ?
		       "it has no exact equal" : "CSF takes it for DROP, which has no exact equal");
}

static void note_ipv6(struct csf *c)
{
	const struct setting *s = &c->set[IPV6];

	if (!is_on(s->value))
		sw_import_left(c->im, &c->file, s->line, false, s->line ? s->line_text : "IPV6",
			       "CSF lets all SMTP over IPv6 pass; smtpwall denies the same over "
			       "both, add allow rules for what has to go on");
}

static void write_differences(struct sw_importer *im)
{
	fprintf(im->out,
		"; Where smtpwall differs from CSF in any case, see smtpwall.conf(5):\n"
		"; - the effective UID and group at connect count; CSF: of who made the socket;\n"
		"; - local is an address of this machine; CSF: the loopback device;\n"
		"; - 'existing' says what becomes of open connections; CSF cuts them;\n"
		"; - IPv6 and containers are always covered.\n");
}

static const char *value_of(const struct csf *c, const char *name)
{
	for (size_t i = 0; i < c->n; i++)
		if (!strcmp(c->setting[i].name, name))
			return c->setting[i].value;
	return "";
}

/* A number of CSF's, or `missing` where it is none. */
static uint32_t number_of(const struct csf *c, const char *name, uint32_t missing, uint32_t max)
{
	uint32_t n;

	return sw_id_parse(value_of(c, name), &n) == 0 && n <= max ? n : missing;
}

/* An address that needs no quoting anywhere; `missing` for all others. */
static const char *address_of(const struct csf *c, const char *name, const char *missing)
{
	static const char good[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				   "._+-@";
	const char *value = value_of(c, name), *at = strchr(value, '@');

	if (!*value || *value == '-' || *value == '@' || value[strspn(value, good)] ||
	    strlen(value) > 120 || (at && (!at[1] || strchr(at + 1, '@') || strpbrk(at, "_+"))))
		return missing;
	return value;
}

/* lfd tells when there are more than UID_LIMIT lines in UID_INTERVAL seconds, of 60 at least. */
static void write_rule(struct csf *c)
{
	uint32_t seconds = number_of(c, "UID_INTERVAL", 60, 86400);

	fprintf(c->im->out, "rule = denied %u/%us\nmail = %s\n",
		number_of(c, "UID_LIMIT", 10, 1000000) + 1, seconds < 60 ? 60 : seconds,
		address_of(c, "LF_ALERT_TO", "root"));
	if (*address_of(c, "LF_ALERT_FROM", ""))
		fprintf(c->im->out, "mail_from = %s\n", address_of(c, "LF_ALERT_FROM", ""));
}

static void write_alerts(struct csf *c, const struct sw_words *ignored)
{
	bool begun = false;

	for (size_t i = 0; i < c->n; i++) {
		const struct setting *s = &c->setting[i];
		const struct unequal *u = find_unequal(s->name);

		if (!u || !is_alert(u))
			continue;
		if (!begun)
			fprintf(c->im->out, c->tracking ? "\n[alerts]\n; CSF has:\n" :
							  "\n; [alerts]\n; CSF has, and tells nothing:\n");
		begun = true;
		sw_import_comment(c->im, "%s", s->line_text);
	}
	if (c->tracking)
		write_rule(c);
	if (ignored->n)
		sw_import_comment(c->im, "csf.uidignore: %s", ignored->text);
}

/* Files beside csf.conf whose mere presence matters. */
static void note_beside(struct csf *c, const char *dir)
{
	static const struct {
		const char *name, *why;
	} known[] = {
		{ "csfpre.sh", "CSF runs it before it makes its rules; look for SMTP in it" },
		{ "csfpost.sh", "CSF runs it after it made its rules; look for SMTP in it" },
		{ "csf.disable", "CSF is disabled, so it denies nothing now, whatever csf.conf "
				 "says; to deny nothing, set mode = observe" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		_cleanup_free_ char *path = NULL;
		struct sw_lines place = { .file = c->im->files++ };

		if (asprintf(&path, "%s/%s", dir, known[i].name) < 0) {
			path = NULL;
			c->im->err = -ENOMEM;
			return;
		}
		place.path = path;
		if (access(path, F_OK) == 0)
			sw_import_left(c->im, &place, 0, false, "the file is there", "%s",
				       known[i].why);
	}
}

static void convert(struct csf *c, const char *dir)
{
	struct sw_words ignored = {};

	sort_settings(c);
	read_smtp(c);
	note_drop_out(c);
	note_ipv6(c);
	sw_import_head(c->im, c->file.path, "csf");
	write_differences(c->im);
	sw_import_policy(c->im, &c->smtp);
	sw_import_csf_lists(c->im, &c->smtp, dir, &ignored);
	write_alerts(c, &ignored);
	note_beside(c, dir);
	free(ignored.text);
}

/* The directory and the csf.conf that `path` means. */
static int find_conf(const char *path, char **dir, char **conf)
{
	size_t len = strlen(path);
	const char *slash;
	struct stat st;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
		*dir = strndup(path, len);
		if (!*dir || asprintf(conf, "%s/csf.conf", *dir) < 0) {
			*conf = NULL;
			return -ENOMEM;
		}
		return 0;
	}
	slash = strrchr(path, '/');
	*dir = slash ? strndup(path, slash > path ? (size_t)(slash - path) : 1) : strdup(".");
	*conf = strdup(path);
	return *dir && *conf ? 0 : -ENOMEM;
}

static void import(struct csf *c, const char *path)
{
	_cleanup_free_ char *dir = NULL, *conf = NULL;
	int r = find_conf(path, &dir, &conf);

	if (r < 0) {
		c->im->err = r;
		return;
	}
	r = sw_lines_open(c->im, AT_FDCWD, conf, conf, &c->file);
	if (r == -ENOENT)
		sw_import_error(c->im, conf, 0,
				"there is no such file; name the directory of CSF or its csf.conf");
	else if (r == -ENXIO)
		sw_import_error(c->im, conf, 0, "is no regular file");
	if (r < 0)
		return;
	read_conf(c);
	if (!c->im->err && !c->im->result->errors.n)
		convert(c, dir);
}

int sw_import_csf(const char *path, struct sw_import *ret)
{
	struct sw_importer im;
	struct csf c = { .im = &im };
	int r = sw_import_begin(&im, ret);

	if (r < 0)
		return r;
	import(&c, path);
	for (size_t i = 0; i < c.n; i++)
		free(c.setting[i].line_text);
	free(c.setting);
	sw_import_smtp_free(&c.smtp);
	sw_lines_close(&c.file);
	return sw_import_end(&im);
}
