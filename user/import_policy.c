/* SPDX-License-Identifier: GPL-2.0-or-later */
/* [policy] and [exempt] from the six settings that CSF and Imunify360 both have. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

#include "import_int.h"
#include "names.h"
#include "util.h"

#define NAME_CHARS	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@+$-"

static bool has_port(const uint16_t *ports, size_t n, uint32_t port)
{
	for (size_t i = 0; i < n; i++)
		if (ports[i] == port)
			return true;
	return false;
}

void sw_import_port(struct sw_importer *im, struct sw_import_smtp *s, unsigned int line,
		    const char *key, const char *word)
{
	_cleanup_free_ char *text = NULL;
	uint32_t port = 0;
	bool range;

	if (asprintf(&text, "%s %s", key, word) < 0) {
		text = NULL;
		im->err = -ENOMEM;
		return;
	}
	range = *word && !word[strspn(word, "0123456789:-_")] && strpbrk(word + 1, ":-_");
	if (range)
		sw_import_left(im, s->file, line, false, text, "smtpwall has no ranges of ports; "
			       "write each port of it into deny_ports");
	else if (sw_id_parse(word, &port) < 0 || !port || port > UINT16_MAX)
		sw_import_left(im, s->file, line, false, text, "is no port from 1 to 65535; write "
			       "the number of the port that is meant into deny_ports");
	else if (has_port(s->ports, s->n_ports, port))
		sw_import_left(im, s->file, line, true, text, "is listed twice; nothing to do");
	else if (s->n_ports == ARRAY_SIZE(s->ports))
		sw_import_left(im, s->file, line, false, text,
			       "is one more than the %zu ports of a rule of iptables; add it to "
			       "deny_ports, which takes %d together with count_ports",
			       ARRAY_SIZE(s->ports), SW_MAX_PORTS);
	else
		s->ports[s->n_ports++] = (uint16_t)port;
}

const char *sw_import_account_word(const char *name, uint32_t id, char buf[16])
{
	bool plain = *name && *name != '-' && !name[strspn(name, NAME_CHARS)] &&
		     name[strspn(name, "0123456789")];

	if (plain)
		return name;
	snprintf(buf, 16, "%u", id);
	return buf;
}

/* By name alone, as getpwnam(3) does it: 0, or -ENOENT. A number is a name here. */
static int find_name(bool group, const char *name, uint32_t *id)
{
	const struct passwd *pw = group ? NULL : getpwnam(name);
	const struct group *gr = group ? getgrnam(name) : NULL;

	if (!pw && !gr)
		return -ENOENT;
	*id = pw ? pw->pw_uid : gr->gr_gid;
	return 0;
}

static bool id_exists(bool group, uint32_t id)
{
	return group ? getgrgid(id) != NULL : getpwuid(id) != NULL;
}

/* A number had no effect; perhaps it was meant to have one. */
static void take_number(struct sw_importer *im, struct sw_import_smtp *s, bool group,
			unsigned int line, const char *text, uint32_t id)
{
	const char *what = group ? "group" : "user";
	_cleanup_free_ char *name = NULL;
	char word[16];

	if (!id_exists(group, id)) {
		sw_import_left(im, s->file, line, true, text, "%s, and no %s has this one; "
			       "nothing to do", s->product->numbers, what);
		return;
	}
	if ((group ? sw_group_resolve(text + strcspn(text, " ") + 1, &id, &name) :
		     sw_user_resolve(text + strcspn(text, " ") + 1, &id, &name)) < 0)
		name = NULL;
	snprintf(word, sizeof(word), "%u", id);
	sw_import_left(im, s->file, line, false, text,
		       "%s, so %s %s is not exempt; if it should be, uncomment the line with %s "
		       "below %ss",
		       s->product->numbers, what, name ? name : word, word, what);
	sw_words_add(im, group ? &s->groups_offer : &s->users_offer, word);
}

void sw_import_account(struct sw_importer *im, struct sw_import_smtp *s, bool group,
		       unsigned int line, const char *key, const char *word)
{
	const char *what = group ? "group" : "user";
	_cleanup_free_ char *text = NULL;
	char number[16];
	uint32_t id;

	if (asprintf(&text, "%s %s", key, word) < 0) {
		text = NULL;
		im->err = -ENOMEM;
		return;
	}
	if (find_name(group, word, &id) == 0) {
		if (id == 0 && (s->product->skips_zero || !group))
			sw_import_left(im, s->file, line, true, text, group ?
				       "GID 0 has no effect in this list; nothing to do" :
				       "root is exempt without it; nothing to do");
		else if (id != UINT32_MAX)
			sw_words_add(im, group ? &s->groups : &s->users,
				     sw_import_account_word(word, id, number));
	} else if (sw_id_parse(word, &id) == 0) {
		take_number(im, s, group, line, text, id);
	} else {
		sw_import_left(im, s->file, line, false, text,
			       "there is no such %s, and %s; correct the name and add it to %ss, "
			       "or forget it",
			       what, s->product->unknown, what);
	}
}

static void said(struct sw_importer *im, const char *text)
{
	if (text)
		sw_import_comment(im, "%s", text);
}

static void write_mode(struct sw_importer *im, const struct sw_import_smtp *s)
{
	const char *mode = s->redirect ? "redirect" : "enforce";

	said(im, s->enabled_said);
	said(im, s->redirect_said);
	if (!s->enabled)
		fprintf(im->out,
			"; %s denies nothing, so nothing is denied here either; it is counted.\n"
			"; To do what the other settings say: mode = %s\n",
			s->product->name, mode);
	else if (!s->n_ports)
		fprintf(im->out,
			"; No port is left that %s would deny, so nothing is denied here.\n"
			"; With ports in deny_ports: mode = %s\n",
			s->product->name, mode);
	fprintf(im->out, "mode = %s\n", s->enabled && s->n_ports ? mode : "observe");
	if (s->redirect && s->enabled)
		sw_import_left(im, s->file, s->redirect_line, false, s->redirect_said,
			       "%s; smtpwall redirects port 25 and denies the other ports of "
			       "deny_ports; let programs use port 25, or add allow rules",
			       s->product->redirect);
}

static void write_ports(struct sw_importer *im, const struct sw_import_smtp *s)
{
	static const uint16_t counted[] = { 465, 587 };
	struct sw_words deny = {}, count = {};
	char word[8];

	for (size_t i = 0; i < s->n_ports; i++) {
		snprintf(word, sizeof(word), "%u", s->ports[i]);
		sw_words_add(im, &deny, word);
	}
	for (size_t i = 0; i < ARRAY_SIZE(counted); i++) {
		if (has_port(s->ports, s->n_ports, counted[i]) || deny.n + count.n == SW_MAX_PORTS)
			continue;
		snprintf(word, sizeof(word), "%u", counted[i]);
		sw_words_add(im, &count, word);
	}
	said(im, s->ports_said);
	if (deny.n)
		sw_import_list(im, "deny_ports", deny.text);
	fprintf(im->out, "; What %s leaves alone of 465 and 587 is counted.\n", s->product->name);
	sw_import_list(im, "count_ports", count.n ? count.text : "");
	free(deny.text);
	free(count.text);
}

static void write_offer(struct sw_importer *im, const struct sw_words *offer, const char *why)
{
	const char *word = offer->text;

	if (!offer->n)
		return;
	fprintf(im->out, "; %s. To exempt these too, take out the ';' in front:\n", why);
	for (size_t len; *word; word += len + (word[len] == ' ')) {
		len = strcspn(word, " ");
		fprintf(im->out, ";    %.*s\n", (int)len, word);
	}
}

void sw_import_policy(struct sw_importer *im, const struct sw_import_smtp *s)
{
	_cleanup_free_ char *users = NULL;

	fprintf(im->out, "\n[policy]\n");
	write_mode(im, s);
	write_ports(im, s);
	said(im, s->local_said);
	fprintf(im->out, "allow_local = %s\n", s->allow_local ? "yes" : "no");
	said(im, s->refuse_said);
	if (s->refuse_said)
		fprintf(im->out, "refuse_with = refused\n");

	if (asprintf(&users, "root %s", s->users.n ? s->users.text : "") < 0) {
		users = NULL;
		im->err = -ENOMEM;
		return;
	}
	fprintf(im->out, "\n[exempt]\n; root is exempt in any case.\n");
	said(im, s->users_said);
	sw_import_list(im, "users", users);
	write_offer(im, &s->users_offer, s->product->numbers);
	said(im, s->groups_said);
	sw_import_list(im, "groups", s->groups.n ? s->groups.text : "");
	write_offer(im, &s->groups_offer, s->product->numbers);
	fprintf(im->out,
		"; auto adds the delivery accounts of the mail servers installed here, which %s\n"
		"; does not. With none, only the lists above are exempt.\n"
		"mta = auto\n",
		s->product->name);
}

void sw_import_smtp_free(struct sw_import_smtp *s)
{
	free(s->users.text);
	free(s->groups.text);
	free(s->users_offer.text);
	free(s->groups_offer.text);
	memset(s, 0, sizeof(*s));
}
