/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sections, keys and values of smtpwall.conf. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_int.h"
#include "domains.h"
#include "http_listen.h"
#include "names.h"
#include "util.h"
#include "when.h"

#define SEPARATORS	" \t\r\v\f,"	/* between the entries of a list */
#define MAX_WORD	SW_CONFIG_WORD

struct key {
	const char *section, *name;
	void (*set)(struct sw_load *l, const struct key *k, const struct sw_setting *s);
	bool list;		/* may be continued on further lines */
	bool repeat;		/* may be set any number of times */
	size_t field;		/* offset in struct sw_policy; of lists: in struct sw_load */
	const char *const *words;	/* values in the order of the enum, NULL at the end */
	uint32_t min, max;
};

#define WORDS(...)	((const char *const[]){ __VA_ARGS__, NULL })
#define POLICY(f)	.field = offsetof(struct sw_policy, f)

static void set_enum(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void set_bool(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void set_number(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void set_bytes(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void add_ports(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void add_users(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void add_groups(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void add_cgroups(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void add_rule(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void set_quota(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void set_duration(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void set_redirect(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void set_redirect_port(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void set_text(struct sw_load *l, const struct key *k, const struct sw_setting *s);
static void set_alert(struct sw_load *l, const struct key *k, const struct sw_setting *s);

static const struct key keys[] = {
	{ "policy", "mode", set_enum, POLICY(mode),
	  .words = WORDS("enforce", "observe", "redirect") },
	{ "policy", "deny_ports", add_ports, .list = true,
	  .field = offsetof(struct sw_load, deny) },
	{ "policy", "count_ports", add_ports, .list = true,
	  .field = offsetof(struct sw_load, count) },
	{ "policy", "allow_local", set_bool, POLICY(allow_local), .words = WORDS("no", "yes") },
	{ "policy", "refuse_with", set_enum, POLICY(refuse_with),
	  .words = WORDS("refused", "permission", "unreachable") },
	{ "policy", "existing", set_bool, POLICY(existing_close), .words = WORDS("keep", "close") },
	{ "policy", "containers", set_bool, POLICY(containers_exempt),
	  .words = WORDS("deny", "exempt") },
	{ "policy", "strict", set_bool, POLICY(strict), .words = WORDS("no", "yes") },
	{ "policy", "outcomes", set_bool, POLICY(outcomes), .words = WORDS("no", "yes") },
	{ "policy", "identity", set_bool, POLICY(identity_strict),
	  .words = WORDS("effective", "strict") },
	{ "policy", "redirect_to", set_redirect, .list = true },
	{ "policy", "redirect_port", set_redirect_port, POLICY(redirect_port) },
	{ "exempt", "users", add_users, .list = true },
	{ "exempt", "groups", add_groups, .list = true },
	{ "exempt", "cgroups", add_cgroups, .list = true },
	{ "exempt", "mta", set_enum, POLICY(mta), .words = WORDS("auto", "none") },
	{ "allow", "rule", add_rule, .repeat = true },
	{ "limit", "default", set_quota, POLICY(default_quota) },
	{ "limit", "server", set_quota, POLICY(server_quota) },
	{ "limit", "unknown", set_quota, POLICY(unknown_quota) },
	{ "limit", "deny_for", set_duration, POLICY(deny_for_s) },
	{ "domains", "sources", set_text, POLICY(domain_sources) },
	{ "domains", "root", set_text, POLICY(domain_root) },
	{ "history", "days", set_number, POLICY(history_days), .min = 0, .max = 3660 },
	{ "history", "events", set_number, POLICY(history_events), .min = 0, .max = 10000000 },
	{ "metrics", "listen", set_text, POLICY(metrics_listen) },
	{ "metrics", "textfile", set_text, POLICY(metrics_textfile) },
	{ "metrics", "top", set_number, POLICY(metrics_top), .min = 0, .max = 10000 },
	{ "alerts", "rule", set_alert, .repeat = true },
	{ "alerts", "cooldown", set_alert, .list = false },
	{ "alerts", "digest", set_alert, .list = false },
	{ "alerts", "command", set_alert, .list = false },
	{ "alerts", "command_digest", set_alert, .list = false },
	{ "alerts", "mail", set_alert, .list = true },
	{ "alerts", "mail_from", set_alert, .list = false },
	{ "alerts", "mail_template", set_alert, .list = false },
	{ "alerts", "syslog", set_bool, POLICY(alerts.syslog), .words = WORDS("no", "yes") },
	{ "alerts", "csf_log", set_bool, POLICY(alerts.csf_log), .words = WORDS("no", "yes") },
	{ "tables", "uids", set_number, POLICY(max_uids), .min = 16, .max = 4194304 },
	{ "tables", "origins", set_number, POLICY(max_origins), .min = 16, .max = 4194304 },
	{ "tables", "events", set_bytes, POLICY(event_buffer), .min = 64 << 10, .max = 64 << 20 },
};
_Static_assert(ARRAY_SIZE(keys) == SW_CONFIG_KEYS, "SW_CONFIG_KEYS is the length of this table");

static const char *const sections[] = {
	"policy", "exempt", "allow", "limit", "domains", "history", "metrics", "alerts", "tables",
};

static bool is_one_of(const char *text, const char *const *list, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!strcmp(text, list[i]))
			return true;
	return false;
}

bool sw_config_word(const char **text, char word[SW_CONFIG_WORD])
{
	size_t len;

	*text += strspn(*text, SEPARATORS);
	len = strcspn(*text, SEPARATORS);
	snprintf(word, SW_CONFIG_WORD, "%.*s", (int)len, *text);
	*text += len;
	return len > 0;
}

/* Index of the value in k->words, or -1 after a report. */
static int find_word(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	char known[128] = "";
	size_t n = 0;
	int i;

	for (i = 0; k->words[i]; i++) {
		if (!strcmp(s->value, k->words[i]))
			return i;
		n += (size_t)snprintf(known + n, sizeof(known) - n, " %s", k->words[i]);
	}
	sw_config_report(l, s->line, "%s = '%s' is not one of:%s", k->name, s->value, known);
	return -1;
}

static void set_enum(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	_Static_assert(sizeof(enum sw_mode) == sizeof(int), "enums are stored as int");
	_Static_assert(sizeof(enum sw_refuse) == sizeof(int), "enums are stored as int");
	_Static_assert(sizeof(enum sw_mta_choice) == sizeof(int), "enums are stored as int");
	int i = find_word(l, k, s);

	if (i < 0)
		return;
	memcpy((char *)&l->policy + k->field, &i, sizeof(i));
}

static void set_bool(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	int i = find_word(l, k, s);
	bool yes = i == 1;

	if (k->field == offsetof(struct sw_policy, allow_local))
		l->policy.local_at = (struct sw_place){ l->source, s->line };
	if (i >= 0)
		memcpy((char *)&l->policy + k->field, &yes, sizeof(yes));
}

static void set_number(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	uint32_t n = 0;

	if (sw_id_parse(s->value, &n) < 0 || n < k->min || n > k->max)
		sw_config_report(l, s->line, "%s = '%s' is not a number from %u to %u", k->name,
				 s->value, k->min, k->max);
	else
		memcpy((char *)&l->policy + k->field, &n, sizeof(n));
}

static void set_bytes(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	size_t len = strlen(s->value);
	char digits[MAX_WORD];
	uint32_t n = 0;
	uint64_t bytes;
	int shift = 0;

	if (len && strchr("kK", s->value[len - 1]))
		shift = 10;
	else if (len && strchr("mM", s->value[len - 1]))
		shift = 20;
	snprintf(digits, sizeof(digits), "%.*s", (int)(shift ? len - 1 : len), s->value);
	(void)sw_id_parse(digits, &n);
	bytes = (uint64_t)n << shift;
	if (bytes < k->min || bytes > k->max || (bytes & (bytes - 1))) {
		sw_config_report(l, s->line, "%s = '%s' is not a power of two from 64K to 64M",
				 k->name, s->value);
		return;
	}
	n = (uint32_t)bytes;
	memcpy((char *)&l->policy + k->field, &n, sizeof(n));
}

static bool has_port(const struct sw_port_list *list, uint32_t port)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (list->item[i].port == port)
			return true;
	return false;
}

static void add_ports(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	struct sw_port_list *list = (void *)((char *)l + k->field);
	const char *text = s->value;
	char word[MAX_WORD];
	uint32_t port;

	if (!s->more)
		*list = (struct sw_port_list){ .written = true, .source = l->source,
					       .line = s->line };
	while (sw_config_word(&text, word)) {
		size_t n = list->n;

		list->listed = true;
		if (sw_id_parse(word, &port) == -EINVAL) {
			sw_config_report(l, s->line, "'%s' in %s is not a port number", word,
					 k->name);
		} else if (sw_id_parse(word, &port) < 0 || !port || port > UINT16_MAX) {
			sw_config_report(l, s->line, "port %s in %s is not between 1 and 65535",
					 word, k->name);
		} else if (has_port(list, port)) {
			sw_config_report(l, s->line, "port %u is listed twice in %s", port,
					 k->name);
		} else if (n == SW_MAX_PORTS) {
			sw_config_report(l, s->line, "%s lists more than %d ports", k->name,
					 SW_MAX_PORTS);
			return;
		} else {
			list->item[n].port = (uint16_t)port;
			list->item[n].source = l->source;
			list->item[n].line = s->line;
			list->n++;
		}
	}
}

static void add_exempt(struct sw_load *l, enum sw_kind kind, uint64_t id, const char *name,
		       unsigned int line)
{
	if (sw_policy_add_exempt(&l->policy, kind, id, name, l->source, line) < 0)
		l->err = -ENOMEM;
}

bool sw_config_account(struct sw_load *l, unsigned int line, const char *key, enum sw_kind kind,
		       const char *word, uint32_t *id)
{
	const char *what = sw_kind_name(kind);
	/* The name of a number would be a name service request for each of thousands. */
	int r = kind == SW_KIND_UID ? sw_user_resolve(word, id, NULL) :
				      sw_group_resolve(word, id, NULL);

	if (r == -ENOENT)
		sw_config_report(l, line, "unknown %s '%s' in %s; create it, correct the name, or "
					  "take it out", what, word, key);
	else if (r == -ERANGE)
		sw_config_report(l, line, "'%s' in %s is no possible %s number", word, key, what);
	else if (r == -ENOMEM)
		l->err = r;
	else if (r < 0)
		sw_config_report(l, line, "cannot look up %s '%s': %s; check /etc/nsswitch.conf or "
					  "write the number", what, word, strerror(-r));
	return r == 0;
}

static void add_accounts(struct sw_load *l, const struct key *k, const struct sw_setting *s,
			 enum sw_kind kind)
{
	const char *text = s->value;
	char word[MAX_WORD];
	uint32_t id;

	while (sw_config_word(&text, word))
		if (sw_config_account(l, s->line, k->name, kind, word, &id))
			add_exempt(l, kind, id, word, s->line);
}

/* `users` in the main file replaces the default, further lines of it and conf.d add. */
static void add_users(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	if (l->main_file && !s->more)
		sw_policy_drop_source(&l->policy, 0);
	add_accounts(l, k, s, SW_KIND_UID);
}

static void add_groups(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	add_accounts(l, k, s, SW_KIND_GID);
}

static void add_cgroups(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	const char *text = s->value;
	char word[MAX_WORD];

	(void)k;
	while (sw_config_word(&text, word)) {
		struct sw_policy_cgroup *c = sw_config_cgroup_entry(l, s->line, word);

		if (c && !c->exempt) {
			c->exempt = true;
			c->source = l->source;
			c->line = s->line;
		}
	}
}

static void add_rule(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	(void)k;
	sw_config_rule(l, s);
}

static void set_quota(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	struct sw_quotas q;

	if (sw_config_quotas(l, s, &q) < 0)
		return;
	memcpy((char *)&l->policy + k->field, &q, sizeof(q));
	if (k->field == offsetof(struct sw_policy, default_quota))
		l->policy.default_at = (struct sw_place){ l->source, s->line };
	else if (k->field == offsetof(struct sw_policy, server_quota))
		l->policy.server_at = (struct sw_place){ l->source, s->line };
	else
		l->policy.unknown_at = (struct sw_place){ l->source, s->line };
}

static void set_duration(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	uint32_t n = 0;

	if (strcmp(s->value, "none") != 0 && sw_duration_parse(s->value, &n) < 0)
		sw_config_report(l, s->line, "%s = '%s' is neither none nor a time such as 30m, 2h or 1d",
				 k->name, s->value);
	else
		memcpy((char *)&l->policy + k->field, &n, sizeof(n));
}

/* One address of each family at most. */
static void set_redirect(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	const char *text = s->value;
	char word[MAX_WORD];
	uint8_t addr[16];

	while (sw_config_word(&text, word)) {
		static const uint8_t any[16];
		uint32_t *v4 = &l->policy.redirect4;

		if (inet_pton(AF_INET, word, addr) == 1) {
			if (*v4)
				sw_config_report(l, s->line, "%s has two IPv4 addresses", k->name);
			memcpy(v4, addr, sizeof(*v4));
			if (!*v4)
				sw_config_report(l, s->line, "%s = '%s' is no address of a mail server",
						 k->name, word);
		} else if (inet_pton(AF_INET6, word, addr) == 1 && memcmp(addr, any, 16) != 0) {
			if (memcmp(l->policy.redirect6, any, 16) != 0)
				sw_config_report(l, s->line, "%s has two IPv6 addresses", k->name);
			memcpy(l->policy.redirect6, addr, 16);
		} else {
			sw_config_report(l, s->line, "'%s' in %s is no address", word, k->name);
		}
	}
}

static void set_redirect_port(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	uint32_t n = 0;

	if (sw_id_parse(s->value, &n) < 0 || !n || n > UINT16_MAX)
		sw_config_report(l, s->line, "%s = '%s' is not a port from 1 to 65535", k->name,
				 s->value);
	else
		l->policy.redirect_port = (uint16_t)n;
}

static void set_text(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	struct sw_http_listen at_socket;
	const char *bad;
	size_t len;
	char **at = (void *)((char *)&l->policy + k->field), *copy = strdup(s->value);

	if (!copy) {
		l->err = -ENOMEM;
		return;
	}
	if (k->field == offsetof(struct sw_policy, domain_sources) &&
	    sw_domains_check_sources(copy, &bad, &len) < 0)
		sw_config_report(l, s->line, "'%.*s' is no source of domains; see smtpwall.conf(5)",
				 (int)len, bad);
	if ((k->field == offsetof(struct sw_policy, domain_root) ||
	     k->field == offsetof(struct sw_policy, metrics_textfile)) && *copy != '/')
		sw_config_report(l, s->line, "%s = '%s' is no absolute path", k->name, copy);
	if (k->field == offsetof(struct sw_policy, metrics_listen) &&
	    (bad = sw_http_listen_parse(copy, &at_socket)))
		sw_config_report(l, s->line, "%s = '%s' %s", k->name, copy, bad);
	free(*at);
	*at = copy;
}

static void set_alert(struct sw_load *l, const struct key *k, const struct sw_setting *s)
{
	(void)k;
	sw_config_alert(l, s);
}

static int begin_section(struct sw_load *l, const struct sw_setting *s)
{
	if (is_one_of(s->section, sections, ARRAY_SIZE(sections)))
		return 0;
	sw_config_report(l, s->line, "unknown section [%.60s]; known sections: [policy] [exempt] "
				     "[allow] [limit] [domains] [history] [metrics] [alerts] "
				     "[tables]", s->section);
	return -EINVAL;
}

static void report_unknown_key(struct sw_load *l, const struct sw_setting *s)
{
	char known[256] = "";
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		if (!strcmp(keys[i].section, s->section))
			n += (size_t)snprintf(known + n, sizeof(known) - n, " %s", keys[i].name);
	if (!strcmp(s->section, "limit"))
		snprintf(known + n, sizeof(known) - n, " 'user NAME' 'group NAME' "
			 "'domain NAME'");
	sw_config_report(l, s->line, "unknown key '%.60s' in [%s]; known keys:%s", s->key,
			 s->section, known);
}

int sw_config_set(void *load, const struct sw_setting *s)
{
	struct sw_load *l = load;
	const struct key *k = NULL;
	size_t i;

	if (!s->key)
		return begin_section(l, s) < 0 ? (l->err ? l->err : -EINVAL) : 0;
	for (i = 0; i < ARRAY_SIZE(keys) && !k; i++)
		if (!strcmp(s->section, keys[i].section) && !strcmp(s->key, keys[i].name))
			k = &keys[i];
	if (!k && !strcmp(s->section, "limit") && !s->more && sw_config_limit(l, s))
		return l->err;
	if (!k) {
		report_unknown_key(l, s);
	} else if (!s->more && !k->repeat && l->first_line[k - keys]) {
		sw_config_report(l, s->line, "'%s' is set twice; the first is in line %u", k->name,
				 l->first_line[k - keys]);
		k = NULL;
	} else if (s->more && !k->list) {
		sw_config_report(l, s->line, "'%s' takes one value; this line begins with a blank "
					     "and so continues it", k->name);
		k = NULL;
	} else {
		if (!s->more)
			l->first_line[k - keys] = s->line;
		k->set(l, k, s);
	}
	return l->err ? l->err : k ? 0 : -EINVAL;
}
