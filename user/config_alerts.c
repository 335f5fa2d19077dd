/* SPDX-License-Identifier: GPL-2.0-or-later */
/* [alerts] of smtpwall.conf. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config_int.h"
#include "names.h"
#include "util.h"
#include "when.h"

#define MAX_WORD	SW_CONFIG_WORD
#define BLANKS		" \t\r\v\f"
#define MIN_PERIOD_S	5
#define MAX_PERIOD_S	86400
#define MAX_FACTOR	1000
#define DEFAULT_FLOOR	20	/* a factor of next to nothing is nothing */
#define MAX_ADDRESS	254	/* RFC 5321, 4.5.3.1.3 */

/* One rule while it is taken apart. */
struct line {
	struct sw_load *l;
	const struct sw_setting *s;
	const char *rest;
	char word[MAX_WORD];	/* the next one; empty at the end */
};

#define complain(at, ...) sw_config_report((at)->l, (at)->s->line, __VA_ARGS__)

static void next(struct line *at)
{
	if (!sw_config_word(&at->rest, at->word))
		at->word[0] = '\0';
}

static bool is(const struct line *at, const char *word)
{
	return !strcmp(at->word, word);
}

static bool parse_metric(struct line *at, struct sw_alert_rule *r)
{
	char known[128] = "";
	size_t n = 0;

	for (int m = 0; m < _SW_METRIC_MAX; m++) {
		const char *name = sw_alert_metric_name((enum sw_alert_metric)m);

		if (is(at, name)) {
			r->metric = (enum sw_alert_metric)m;
			next(at);
			return true;
		}
		n += (size_t)snprintf(known + n, sizeof(known) - n, " %s", name);
	}
	complain(at, "a rule begins with what is counted, not with '%.60s':%s", at->word, known);
	return false;
}

/* "5x", "2.5x": in hundredths. */
static bool parse_factor(const char *word, uint32_t *ret)
{
	size_t whole = strspn(word, "0123456789"), digits = 0;
	uint32_t n = 0, part = 0;

	if (!whole || whole > 4)
		return false;
	for (size_t i = 0; i < whole; i++)
		n = n * 10 + (uint32_t)(word[i] - '0');
	word += whole;
	if (*word == '.') {
		digits = strspn(++word, "0123456789");
		if (!digits || digits > 2)
			return false;
		for (size_t i = 0; i < 2; i++)
			part = part * 10 + (i < digits ? (uint32_t)(word[i] - '0') : 0);
		word += digits;
	}
	if (strcmp(word, "x") != 0)
		return false;
	*ret = n * SW_ALERT_FACTOR_ONE + part;
	return true;
}

static bool parse_count(const char *word, size_t len, uint64_t *ret)
{
	char digits[16];
	uint32_t n = 0;

	if (len >= sizeof(digits))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)len, word);
	if (sw_id_parse(digits, &n) < 0 || !n)
		return false;
	*ret = n;
	return true;
}

static bool parse_period(const char *word, struct sw_alert_rule *r)
{
	static const struct { const char *word; enum sw_alert_period period; } windows[] = {
		{ "hour", SW_PERIOD_HOUR }, { "h", SW_PERIOD_HOUR },
		{ "day", SW_PERIOD_DAY },   { "d", SW_PERIOD_DAY },
	};

	for (size_t i = 0; i < ARRAY_SIZE(windows); i++)
		if (!strcmp(word, windows[i].word)) {
			r->period = windows[i].period;
			return true;
		}
	r->period = SW_PERIOD_SLIDING;
	return sw_duration_parse(word, &r->seconds) == 0 && r->seconds >= MIN_PERIOD_S &&
	       r->seconds <= MAX_PERIOD_S;
}

static bool parse_floor(struct line *at, struct sw_alert_rule *r)
{
	r->threshold = DEFAULT_FLOOR;
	if (!is(at, "min"))
		return true;
	next(at);
	if (!parse_count(at->word, strlen(at->word), &r->threshold)) {
		complain(at, "'min' is followed by a number, not by '%.60s'", at->word);
		return false;
	}
	next(at);
	return true;
}

static bool parse_when(struct line *at, struct sw_alert_rule *r)
{
	const char *slash = strchr(at->word, '/');
	size_t len = slash ? (size_t)(slash - at->word) : strlen(at->word);

	if (!slash && parse_factor(at->word, &r->factor)) {
		if (r->factor <= SW_ALERT_FACTOR_ONE || r->factor > MAX_FACTOR * SW_ALERT_FACTOR_ONE) {
			complain(at, "'%.60s' is not more than 1x and at most %dx", at->word, MAX_FACTOR);
			return false;
		}
		r->period = SW_PERIOD_FACTOR;
		r->seconds = 3600;
		next(at);
		return parse_floor(at, r);
	}
	if (!slash && r->metric == SW_METRIC_QUEUE && parse_count(at->word, len, &r->threshold)) {
		r->period = SW_PERIOD_LEVEL;
		next(at);
		return true;
	}
	if (!slash || !parse_count(at->word, len, &r->threshold) || !parse_period(slash + 1, r)) {
		complain(at, "'%.60s' is no threshold; write N/hour, N/day, N within 5 s to 1 d such as "
			 "50/90s or 200/10m, or 5x for so many times the usual", at->word);
		return false;
	}
	next(at);
	return true;
}

static bool parse_scope(struct line *at, struct sw_alert_rule *r)
{
	r->scope = r->metric == SW_METRIC_QUEUE ? SW_SCOPE_SERVER : SW_SCOPE_ACCOUNT;
	if (!at->word[0])
		return true;
	if (!is(at, "per")) {
		complain(at, "'%.60s' should be per: METRIC N/PERIOD [per account|domain|server], or "
			 "METRIC Kx [min N] [per account|server]", at->word);
		return false;
	}
	next(at);
	for (int s = 0; s < _SW_SCOPE_MAX; s++) {
		if (!is(at, sw_alert_scope_name((enum sw_alert_scope)s)))
			continue;
		r->scope = (enum sw_alert_scope)s;
		next(at);
		if (at->word[0])
			complain(at, "'%.60s' follows the end of the rule", at->word);
		return !at->word[0];
	}
	complain(at, "'per' is followed by account, domain or server, not by '%.60s'", at->word);
	return false;
}

/* What cannot be told apart, or is not counted. */
static bool makes_sense(struct line *at, const struct sw_alert_rule *r)
{
	const char *metric = sw_alert_metric_name(r->metric);
	bool counted = sw_alert_metric_slot(r->metric) >= 0;

	if (r->metric == SW_METRIC_QUEUE && r->scope != SW_SCOPE_SERVER)
		complain(at, "the mail server has one queue: queue is only per server");
	else if (r->metric == SW_METRIC_DESTINATIONS && r->scope == SW_SCOPE_SERVER)
		complain(at, "destinations are counted per account and per domain, not per server");
	else if (!counted && r->metric == SW_METRIC_SENDMAIL)
		complain(at, "%s is not counted in this version; take the rule out", metric);
	else if (!counted && r->period == SW_PERIOD_FACTOR)
		complain(at, "the history has no average of %s; write a number", metric);
	else if (r->scope == SW_SCOPE_DOMAIN && r->period == SW_PERIOD_FACTOR)
		complain(at, "the history has averages of accounts and of the server, not of domains");
	else
		return true;
	return false;
}

static void write_rule(const struct sw_alert_rule *r, FILE *f)
{
	fprintf(f, "%s ", sw_alert_metric_name(r->metric));
	switch (r->period) {
	case SW_PERIOD_HOUR:
	case SW_PERIOD_DAY:
		fprintf(f, "%llu/%s", (unsigned long long)r->threshold,
			r->period == SW_PERIOD_DAY ? "day" : "hour");
		break;
	case SW_PERIOD_FACTOR:
		fprintf(f, "%u", r->factor / SW_ALERT_FACTOR_ONE);
		if (r->factor % SW_ALERT_FACTOR_ONE)
			fprintf(f, ".%02u", r->factor % SW_ALERT_FACTOR_ONE);
		fprintf(f, "x min %llu", (unsigned long long)r->threshold);
		break;
	case SW_PERIOD_LEVEL:
		fprintf(f, "%llu", (unsigned long long)r->threshold);
		break;
	default:
		fprintf(f, "%llu/", (unsigned long long)r->threshold);
		if (r->seconds % 3600 == 0)
			fprintf(f, "%uh", r->seconds / 3600);
		else if (r->seconds % 60 == 0)
			fprintf(f, "%um", r->seconds / 60);
		else
			fprintf(f, "%us", r->seconds);
	}
	fprintf(f, " per %s", sw_alert_scope_name(r->scope));
}

static void add_rule(struct sw_load *l, const struct sw_setting *s, struct sw_alert_rule *r)
{
	struct sw_alert_config *c = &l->policy.alerts;
	struct sw_alert_rule *grown;

	for (size_t i = 0; i < c->n_rules; i++)
		if (!strcmp(c->rules[i].text, r->text)) {
			sw_config_report(l, s->line, "the same rule as in %s:%u",
					 l->policy.sources[c->rules[i].source], c->rules[i].line);
			return;
		}
	if (c->n_rules == SW_ALERT_RULES_MAX) {
		sw_config_report(l, s->line, "more than %d rules of alerts", SW_ALERT_RULES_MAX);
		return;
	}
	grown = reallocarray(c->rules, c->n_rules + 1, sizeof(*grown));
	if (!grown) {
		l->err = -ENOMEM;
		return;
	}
	c->rules = grown;
	c->rules[c->n_rules++] = *r;
	r->text = NULL;
}

static void set_rule(struct sw_load *l, const struct sw_setting *s)
{
	struct line at = { .l = l, .s = s, .rest = s->value };
	struct sw_alert_rule r = { .source = l->source, .line = s->line };
	size_t len;
	FILE *f;

	next(&at);
	if (!parse_metric(&at, &r) || !parse_when(&at, &r) || !parse_scope(&at, &r) ||
	    !makes_sense(&at, &r))
		return;
	f = open_memstream(&r.text, &len);
	if (f)
		write_rule(&r, f);
	if (!f || fclose(f) != 0)
		l->err = -ENOMEM;
	if (!l->err)
		add_rule(l, s, &r);
	free(r.text);
}

static void set_time(struct sw_load *l, const struct sw_setting *s, uint32_t *to)
{
	uint32_t n = 0;

	if (strcmp(s->value, "none") != 0 && sw_duration_parse(s->value, &n) < 0)
		sw_config_report(l, s->line, "%s = '%s' is no time; write none, or a length such as "
				 "90s, 5m, 1h or 1d", s->key, s->value);
	else
		*to = n;
}

static void set_path(struct sw_load *l, const struct sw_setting *s, char **to)
{
	char *copy = *s->value ? strdup(s->value) : NULL;

	if (!copy && *s->value)
		l->err = -ENOMEM;
	else if (copy && *copy != '/')
		sw_config_report(l, s->line, "%s = '%s' is no absolute path", s->key, copy);
	else
		*to = (free(*to), TAKE_PTR(copy));
	free(copy);
}

static void free_list(char ***list)
{
	sw_alert_list_free(*list);
	*list = NULL;
}

/* Room for `max` words and the NULL behind them. */
static bool begin_list(struct sw_load *l, const struct sw_setting *s, char ***list, size_t max)
{
	if (!s->more)
		free_list(list);
	if (!*list)
		*list = calloc(max + 1, sizeof(**list));
	if (!*list)
		l->err = -ENOMEM;
	if (!l->policy.alerts.sink_line) {
		l->policy.alerts.sink_source = l->source;
		l->policy.alerts.sink_line = s->line;
	}
	return *list;
}

static bool add_to_list(struct sw_load *l, const struct sw_setting *s, char **list, size_t max,
			const char *word, size_t len)
{
	size_t n = 0;

	while (list[n])
		n++;
	if (n == max) {
		sw_config_report(l, s->line, "%s has more than %zu words", s->key, max);
		return false;
	}
	list[n] = strndup(word, len);
	if (!list[n])
		l->err = -ENOMEM;
	return list[n];
}

/* No shell will ever see it: words with blanks between, and nothing is quoted. */
static void set_command(struct sw_load *l, const struct sw_setting *s)
{
	struct sw_alert_config *c = &l->policy.alerts;
	const char *at = s->value;
	size_t len;

	if (!begin_list(l, s, &c->command, SW_ALERT_ARGS_MAX))
		return;
	while (at += strspn(at, BLANKS), (len = strcspn(at, BLANKS)) != 0) {
		if (!add_to_list(l, s, c->command, SW_ALERT_ARGS_MAX, at, len))
			return;
		at += len;
	}
	if (!c->command[0])
		free_list(&c->command);
	else if (c->command[0][0] != '/')
		sw_config_report(l, s->line, "command = '%.60s' is no absolute path", c->command[0]);
}

/* An address that is safe in a header without any quoting: local@domain, or a local account. */
static bool is_address(const char *word)
{
	const char *at = strchr(word, '@');

	if (!*word || *word == '-' || strlen(word) > MAX_ADDRESS)
		return false;
	for (const char *p = word; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr(p < at || !at ? "!#$%&'*+-/=?^_`{|}~.@" :
							   ".-@:[]", *p))
			return false;
	return !at || (at > word && at[1] && !strchr(at + 1, '@'));
}

static bool check_address(struct sw_load *l, const struct sw_setting *s, const char *word)
{
	if (is_address(word))
		return true;
	sw_config_report(l, s->line, "'%.60s' in %s is no mail address", word, s->key);
	return false;
}

static void set_mail(struct sw_load *l, const struct sw_setting *s)
{
	struct sw_alert_config *c = &l->policy.alerts;
	const char *text = s->value;
	char word[MAX_WORD];

	if (!begin_list(l, s, &c->mail, SW_ALERT_MAILS_MAX))
		return;
	while (sw_config_word(&text, word))
		if (check_address(l, s, word) &&
		    !add_to_list(l, s, c->mail, SW_ALERT_MAILS_MAX, word, strlen(word)))
			return;
}

static void set_from(struct sw_load *l, const struct sw_setting *s)
{
	char **from = &l->policy.alerts.mail_from, *copy;

	if (!check_address(l, s, s->value))
		return;
	copy = strdup(s->value);
	if (!copy)
		l->err = -ENOMEM;
	else
		*from = (free(*from), copy);
}

void sw_config_alert(struct sw_load *l, const struct sw_setting *s)
{
	struct sw_alert_config *c = &l->policy.alerts;

	if (!strcmp(s->key, "rule"))
		set_rule(l, s);
	else if (!strcmp(s->key, "cooldown"))
		set_time(l, s, &c->cooldown_s);
	else if (!strcmp(s->key, "digest"))
		set_time(l, s, &c->digest_s);
	else if (!strcmp(s->key, "command_digest"))
		set_time(l, s, &c->command_digest_s);
	else if (!strcmp(s->key, "command"))
		set_command(l, s);
	else if (!strcmp(s->key, "mail"))
		set_mail(l, s);
	else if (!strcmp(s->key, "mail_from"))
		set_from(l, s);
	else
		set_path(l, s, &c->mail_template);
}

void sw_config_check_alerts(struct sw_load *l)
{
	struct sw_alert_config *c = &l->policy.alerts;

	/* An empty value takes back what an earlier file said. */
	if (c->command && !c->command[0])
		free_list(&c->command);
	if (c->mail && !c->mail[0])
		free_list(&c->mail);
	if ((c->command || c->mail) && !c->n_rules && !l->diag->n) {
		l->file = l->policy.sources[c->sink_source];
		sw_config_report(l, c->sink_line, "nobody will ever be told: [alerts] has no rule; add "
				 "one, such as rule = denied 100/hour");
	}
	for (size_t i = 0; i < c->n_rules; i++) {
		const struct sw_alert_rule *r = &c->rules[i];

		l->file = l->policy.sources[r->source];
		if (r->period == SW_PERIOD_FACTOR && !l->policy.history_days)
			sw_config_report(l, r->line, "the rule needs averages of the history, but [history] "
					 "days = 0; write a number, or keep a history");
	}
}
