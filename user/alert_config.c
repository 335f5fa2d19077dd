/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alert_config.h"
#include "smtpwall_abi.h"
#include "util.h"

#define DEFAULT_COOLDOWN_S	3600
#define DEFAULT_DIGEST_S	300

const char *sw_alert_metric_name(enum sw_alert_metric m)
{
	static const char *const words[_SW_METRIC_MAX] = {
		"denied", "limited", "would_deny", "redirected", "allowed", "local", "sendmail",
		"destinations", "queue",
	};

	return m < _SW_METRIC_MAX ? words[m] : "unknown";
}

const char *sw_alert_scope_name(enum sw_alert_scope s)
{
	static const char *const words[_SW_SCOPE_MAX] = { "account", "domain", "server" };

	return s < _SW_SCOPE_MAX ? words[s] : "unknown";
}

int sw_alert_metric_slot(enum sw_alert_metric m)
{
	/* Mails to the sendmail binary have the slot behind the others, where it exists. */
	static const int slots[_SW_METRIC_MAX] = {
		[SW_METRIC_DENIED] = SW_N_DENIED,
		[SW_METRIC_LIMITED] = SW_N_LIMITED,
		[SW_METRIC_WOULD_DENY] = SW_N_WOULD_DENY,
		[SW_METRIC_REDIRECTED] = SW_N_REDIRECTED,
		[SW_METRIC_ALLOWED] = SW_N_ALLOWED,
		[SW_METRIC_LOCAL] = SW_N_LOCAL,
		[SW_METRIC_SENDMAIL] = SW_N_LOCAL + 1,
		[SW_METRIC_DESTINATIONS] = _SW_N_MAX,
		[SW_METRIC_QUEUE] = _SW_N_MAX,
	};

	return m < _SW_METRIC_MAX && slots[m] < _SW_N_MAX ? slots[m] : -1;
}

void sw_alert_config_default(struct sw_alert_config *c)
{
	*c = (struct sw_alert_config){
		.cooldown_s = DEFAULT_COOLDOWN_S,
		.digest_s = DEFAULT_DIGEST_S,
		.syslog = true,
	};
}

void sw_alert_list_free(char **list)
{
	for (char **at = list; at && *at; at++)
		free(*at);
	free(list);
}

void sw_alert_config_free(struct sw_alert_config *c)
{
	for (size_t i = 0; i < c->n_rules; i++)
		free(c->rules[i].text);
	free(c->rules);
	sw_alert_list_free(c->command);
	sw_alert_list_free(c->mail);
	free(c->mail_from);
	free(c->mail_template);
	*c = (struct sw_alert_config){};
}

static int copy_text(const char *from, char **ret)
{
	*ret = from ? strdup(from) : NULL;
	return from && !*ret ? -ENOMEM : 0;
}

static int copy_list(char *const *from, char ***ret)
{
	size_t n = 0;

	*ret = NULL;
	if (!from)
		return 0;
	while (from[n])
		n++;
	*ret = calloc(n + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (copy_text(from[i], &(*ret)[i]) < 0)
			return -ENOMEM;
	return 0;
}

static int copy_rules(const struct sw_alert_config *from, struct sw_alert_config *to)
{
	to->rules = calloc(from->n_rules + 1, sizeof(*to->rules));
	if (!to->rules)
		return -ENOMEM;
	for (; to->n_rules < from->n_rules; to->n_rules++) {
		struct sw_alert_rule *r = &to->rules[to->n_rules];

		*r = from->rules[to->n_rules];
		if (copy_text(from->rules[to->n_rules].text, &r->text) < 0)
			return -ENOMEM;
	}
	return 0;
}

int sw_alert_config_copy(const struct sw_alert_config *from, struct sw_alert_config *ret)
{
	struct sw_alert_config c = {
		.cooldown_s = from->cooldown_s,
		.digest_s = from->digest_s,
		.command_digest_s = from->command_digest_s,
		.syslog = from->syslog,
		.csf_log = from->csf_log,
		.sink_source = from->sink_source,
		.sink_line = from->sink_line,
	};

	if (copy_rules(from, &c) < 0 || copy_list(from->command, &c.command) < 0 ||
	    copy_list(from->mail, &c.mail) < 0 || copy_text(from->mail_from, &c.mail_from) < 0 ||
	    copy_text(from->mail_template, &c.mail_template) < 0) {
		sw_alert_config_free(&c);
		return -ENOMEM;
	}
	*ret = c;
	return 0;
}
