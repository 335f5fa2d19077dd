/* SPDX-License-Identifier: GPL-2.0-or-later */
/* smtpwall.conf: [alerts]. */
#include "config_util.h"

/* What [alerts] came to, one line: rules with their place, then the rest. */
static void describe_alerts(const struct sw_policy *p, char *out, size_t size)
{
	const struct sw_alert_config *c = &p->alerts;
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < c->n_rules; i++) {
		const struct sw_alert_rule *r = &c->rules[i];
		const char *file = strrchr(p->sources[r->source], '/');

		n += (size_t)snprintf(out + n, size - n, "{%s|%d %u %u %llu|%s:%u}", r->text, r->period,
				      r->seconds, r->factor, (unsigned long long)r->threshold,
				      file ? file + 1 : "-", r->line);
	}
	n += (size_t)snprintf(out + n, size - n, " cooldown=%u digest=%u/%u syslog=%d csf=%d",
			      c->cooldown_s, c->digest_s, c->command_digest_s, c->syslog, c->csf_log);
	for (char **at = c->command; at && *at; at++)
		n += (size_t)snprintf(out + n, size - n, " c<%s>", *at);
	for (char **at = c->mail; at && *at; at++)
		n += (size_t)snprintf(out + n, size - n, " m<%s>", *at);
	n += (size_t)snprintf(out + n, size - n, " from=%s template=%s", c->mail_from ?: "-",
			      c->mail_template ?: "-");
	assert_true(n < size);
}

static void assert_alerts(const char *text, const char *const *want)
{
	struct sw_alert_config copy;
	struct sw_diag diag = { 0 };
	char got[4096], again[4096];
	struct sw_policy p;

	write_text("main.conf", text);
	if (sw_config_load(main_file, -1, &p, &diag) < 0)
		fail_msg("%s: %s", text, diag.n ? diag.text[0] : "no memory");
	describe_alerts(&p, got, sizeof(got));
	for (; *want; want++)
		if (!strstr(got, *want))
			fail_msg("'%s' is not in: %s", *want, got);
	/* A copy says the same when the policy is gone. */
	assert_int_equal(sw_alert_config_copy(&p.alerts, &copy), 0);
	sw_alert_config_free(&p.alerts);
	p.alerts = copy;
	describe_alerts(&p, again, sizeof(again));
	assert_string_equal(got, again);
	sw_policy_free(&p);
}

static void test_good(void **state)
{
	static const struct {
		const char *text, *want[MAX_WANT];
	} rows[] = {
		{ "", { " cooldown=3600 digest=300/0 syslog=1 csf=0 from=- template=-" } },
		{ "[alerts]\nrule = denied 100/hour\n",
		  { "{denied 100/hour per account|1 0 0 100|main.conf:2}" } },
		{ "[alerts]\nrule = limited 1/d per domain\n", { "{limited 1/day per domain|2 0 0 1|" } },
		{ "[alerts]\nrule = would_deny 5/5s per server\n",
		  { "{would_deny 5/5s per server|0 5 0 5|" } },
		{ "[alerts]\nrule = redirected 7/90s\nrule = allowed 8/10m\nrule = local 9/2h\n"
		  "rule = local 9/1d\n",
		  { "{redirected 7/90s per account|0 90 0 7|", "{allowed 8/10m per account|0 600 0 8|",
		    "{local 9/2h per account|0 7200 0 9|main.conf:4}",
		    "{local 9/24h per account|0 86400 0 9|" } },
		{ "[alerts]\nrule = destinations 50/10m\nrule = destinations 51/10m per domain\n",
		  { "{destinations 50/10m per account|", "{destinations 51/10m per domain|" } },
		{ "[alerts]\nrule = queue 2000\nrule = queue 500/10m\nrule = queue 9/hour per server\n",
		  { "{queue 2000 per server|4 0 0 2000|", "{queue 500/10m per server|0 600 0 500|",
		    "{queue 9/hour per server|1 0 0 9|" } },
		{ "[alerts]\nrule = denied 5x\nrule = denied 2.5x min 50\nrule = denied 10.25x per server\n",
		  { "{denied 5x min 20 per account|3 3600 500 20|",
		    "{denied 2.50x min 50 per account|3 3600 250 50|",
		    "{denied 10.25x min 20 per server|3 3600 1025 20|" } },
		{ "[alerts]\ncooldown = none\ndigest = 1d\ncommand_digest = 10s\n",
		  { "cooldown=0 digest=86400/10" } },
		{ "[alerts]\ncooldown = 90s\ndigest = none\nsyslog = no\ncsf_log = yes\n",
		  { "cooldown=90 digest=0/0 syslog=0 csf=1" } },
		/* No shell: a quote is a letter, and so is a comma. */
		{ "[alerts]\nrule = denied 1/hour\ncommand =  /bin/a  -x \"y z\" a,b\n",
		  { " c</bin/a> c<-x> c<\"y> c<z\"> c<a,b> from" } },
		{ "[alerts]\nrule = denied 1/hour\nmail = root, ops@example.com\n  x+y@[192.0.2.1]\n"
		  "mail_from = smtpwall@example.com\nmail_template = /etc/a b\n",
		  { " m<root> m<ops@example.com> m<x+y@[192.0.2.1]> from=smtpwall@example.com "
		    "template=/etc/a b" } },
		/* An empty value takes it back, and then no rule is needed. */
		{ "[alerts]\nmail =\ncommand =\nmail_template =\n", { "csf=0 from=- template=-" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		assert_alerts(rows[i].text, rows[i].want);
	}
}

#define ERROR(text, ...) { "[alerts]\n" text "\n", { __VA_ARGS__ } }

static void test_bad(void **state)
{
	static const struct {
		const char *text, *want[MAX_WANT];
	} rows[] = {
		ERROR("rule =", "main.conf:2: a rule begins with what is counted, not with ''"),
		ERROR("rule = blocked 5/hour", "main.conf:2: not with 'blocked': denied limited would_deny "
		      "redirected allowed local sendmail destinations queue"),
		ERROR("rule = denied", "main.conf:2: '' is no threshold"),
		ERROR("rule = denied 5", "main.conf:2: '5' is no threshold; write N/hour"),
		ERROR("rule = denied 0/hour", "main.conf:2: '0/hour' is no threshold"),
		ERROR("rule = denied -1/hour", "main.conf:2: '-1/hour' is no threshold"),
		ERROR("rule = denied 99999999999999999999/hour", "main.conf:2: is no threshold"),
		ERROR("rule = denied 5/week", "main.conf:2: '5/week' is no threshold"),
		ERROR("rule = denied 5/4s", "main.conf:2: '5/4s' is no threshold"),
		ERROR("rule = denied 5/25h", "main.conf:2: '5/25h' is no threshold"),
		ERROR("rule = denied 5/", "main.conf:2: '5/' is no threshold"),
		ERROR("rule = denied 1x", "main.conf:2: '1x' is not more than 1x and at most 1000x"),
		ERROR("rule = denied 0.5x", "main.conf:2: '0.5x' is not more than 1x"),
		ERROR("rule = denied 1001x", "main.conf:2: '1001x' is not more than 1x"),
		ERROR("rule = denied 5.x", "main.conf:2: '5.x' is no threshold"),
		ERROR("rule = denied 5.123x", "main.conf:2: '5.123x' is no threshold"),
		ERROR("rule = denied 5x min", "main.conf:2: 'min' is followed by a number, not by ''"),
		ERROR("rule = denied 5/hour min 7", "main.conf:2: 'min' should be per"),
		ERROR("rule = denied 5/hour per", "main.conf:2: 'per' is followed by account, domain"),
		ERROR("rule = denied 5/hour per uid", "main.conf:2: not by 'uid'"),
		ERROR("rule = denied 5/hour per account now", "main.conf:2: 'now' follows the end"),
		ERROR("rule = denied 5x per domain", "main.conf:2: the history has averages of accounts"),
		ERROR("rule = destinations 5x", "main.conf:2: the history has no average of destinations"),
		ERROR("rule = destinations 5/hour per server", "main.conf:2: destinations are counted per"),
		ERROR("rule = queue 5 per account", "main.conf:2: the mail server has one queue"),
		ERROR("rule = queue 5x", "main.conf:2: the history has no average of queue"),
		ERROR("rule = denied 5/hour\nrule = denied 5/h per account",
		      "main.conf:3: the same rule as in"),
		ERROR("cooldown = 0", "main.conf:2: cooldown = '0' is no time"),
		ERROR("digest = soon", "main.conf:2: digest = 'soon' is no time"),
		ERROR("cooldown = 1h\ncooldown = 2h", "main.conf:3: 'cooldown' is set twice"),
		ERROR("command = suspend", "main.conf:2: command = 'suspend' is no absolute path"),
		ERROR("command = /a 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17",
		      "main.conf:2: command has more than 16 words"),
		ERROR("mail = a@b@c", "main.conf:2: 'a@b@c' in mail is no mail address"),
		ERROR("mail = -oQ/tmp", "main.conf:2: '-oQ/tmp' in mail is no mail address"),
		ERROR("mail = a<b>", "main.conf:2: 'a<b>' in mail is no mail address"),
		ERROR("mail = @x", "main.conf:2: '@x' in mail is no mail address"),
		ERROR("mail_from = a b", "main.conf:2: 'a b' in mail_from is no mail address"),
		ERROR("mail_from =", "main.conf:2: '' in mail_from is no mail address"),
		ERROR("mail_template = x", "main.conf:2: mail_template = 'x' is no absolute path"),
		ERROR("syslog = 1", "main.conf:2: syslog = '1' is not one of: no yes"),
		ERROR("rules = x", "main.conf:2: unknown key 'rules' in [alerts]; known keys: rule "
		      "cooldown digest command command_digest mail mail_from mail_template syslog "
		      "csf_log"),
		/* Nobody is left in the belief that somebody would tell. */
		ERROR("\nmail = root", "main.conf:3: nobody will ever be told: [alerts] has no rule"),
		ERROR("command = /bin/true", "main.conf:2: nobody will ever be told"),
		ERROR("rule = denied 3x\n[history]\ndays = 0", "main.conf:2: needs averages of the history"),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# row %zu\n", i);
		write_text("main.conf", rows[i].text);
		assert_errors(rows[i].want);
	}
}

static void test_many_rules(void **state)
{
	static const char *const want[] = { "main.conf:34: more than 32 rules of alerts", NULL };
	char text[2048] = "[alerts]\n";
	size_t n = strlen(text);

	(void)state;
	for (int i = 1; i <= 33; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "rule = denied %d/hour\n", i);
	write_text("main.conf", text);
	assert_errors(want);
}

/* Rules add up over files; of keys with one value the last file wins. */
static void test_files(void **state)
{
	static const char *const want[] = {
		"{denied 1/hour per account|1 0 0 1|main.conf:2}{denied 2/hour per account|1 0 0 2|a.conf:2}",
		"cooldown=7200", " m<b> from", NULL
	};

	(void)state;
	run("mkdir -m 755 %s/conf.d", dir);
	write_text("conf.d/a.conf", "[alerts]\nrule = denied 2/hour\ncooldown = 2h\nmail = b\n");
	assert_alerts("[alerts]\nrule = denied 1/hour\nmail = a\n", want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_good, empty_dir),
		cmocka_unit_test_teardown(test_bad, empty_dir),
		cmocka_unit_test_teardown(test_many_rules, empty_dir),
		cmocka_unit_test_teardown(test_files, empty_dir),
	};

	return cmocka_run_group_tests_name("config_alerts", tests, setup_group, teardown_group);
}
