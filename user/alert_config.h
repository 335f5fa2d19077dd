/* SPDX-License-Identifier: GPL-2.0-or-later */
/* [alerts] of smtpwall.conf as user space holds it: when somebody is told, and how. */
#ifndef SW_ALERT_CONFIG_H
#define SW_ALERT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SW_ALERT_RULES_MAX	32
#define SW_ALERT_ARGS_MAX	16	/* of the command, with its path */
#define SW_ALERT_MAILS_MAX	16

enum sw_alert_metric {
	SW_METRIC_DENIED,
	SW_METRIC_LIMITED,
	SW_METRIC_WOULD_DENY,
	SW_METRIC_REDIRECTED,
	SW_METRIC_ALLOWED,
	SW_METRIC_LOCAL,
	SW_METRIC_SENDMAIL,
	SW_METRIC_DESTINATIONS,	/* distinct ones that are new */
	SW_METRIC_QUEUE,	/* of the mail server: its length, or its growth in a period */
	_SW_METRIC_MAX,
};

enum sw_alert_scope {
	SW_SCOPE_ACCOUNT,
	SW_SCOPE_DOMAIN,
	SW_SCOPE_SERVER,
	_SW_SCOPE_MAX,
};

enum sw_alert_period {
	SW_PERIOD_SLIDING,	/* the last `seconds` */
	SW_PERIOD_HOUR,		/* this hour of local time */
	SW_PERIOD_DAY,		/* this day of local time */
	SW_PERIOD_FACTOR,	/* the last hour against the average hour of the last week */
	SW_PERIOD_LEVEL,	/* no period: how much there is now */
};

#define SW_ALERT_FACTOR_ONE	100	/* factors are in hundredths */

struct sw_alert_rule {
	enum sw_alert_metric metric;
	enum sw_alert_scope scope;
	enum sw_alert_period period;
	uint32_t seconds;	/* length of a sliding period, also of SW_PERIOD_FACTOR */
	uint32_t factor;	/* SW_PERIOD_FACTOR, in hundredths */
	uint64_t threshold;	/* the alert comes with this many; SW_PERIOD_FACTOR: not with fewer */
	char *text;		/* canonical: "denied 100/hour per account" */
	uint32_t source, line;	/* source: index into sw_policy.sources */
};

struct sw_alert_config {
	struct sw_alert_rule *rules;
	size_t n_rules;
	uint32_t cooldown_s;	/* of a rule and whom it is about; 0: only the rule's own period */
	uint32_t digest_s;	/* between two mails; 0: none */
	uint32_t command_digest_s;	/* between two runs of the command; 0: none */
	char **command;		/* absolute path and arguments, NULL at the end; NULL: none */
	char **mail;		/* recipients, NULL at the end; NULL: none */
	char *mail_from;	/* NULL: root */
	char *mail_template;	/* absolute path; NULL: the built-in text */
	bool syslog;
	bool csf_log;
	uint32_t sink_source, sink_line;	/* where the first of command and mail stands */
};

/* Words of the configuration for these; never NULL. */
const char *sw_alert_metric_name(enum sw_alert_metric m);
const char *sw_alert_scope_name(enum sw_alert_scope s);

/* Index of the kernel's counter (enum sw_slot) that a metric is; -1: it is none, or this version
 * does not count it. */
int sw_alert_metric_slot(enum sw_alert_metric m);

void sw_alert_config_default(struct sw_alert_config *c);

/* Frees what `c` owns and leaves it empty. */
void sw_alert_config_free(struct sw_alert_config *c);

/* A list as above: texts, NULL at the end. */
void sw_alert_list_free(char **list);

/* A copy that lives on its own. 0 or -ENOMEM. */
int sw_alert_config_copy(const struct sw_alert_config *from, struct sw_alert_config *ret);

#endif
