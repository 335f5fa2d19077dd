/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Text that is valid both as OpenMetrics and in the older Prometheus format, which promtool and
 * the node exporter read. The two disagree about the name of a counter's family (x or x_total),
 * so counters carry no TYPE line: their type is "unknown" in both, their name ends in _total.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "commands.h"
#include "log.h"
#include "names.h"
#include "out.h"
#include "setup.h"
#include "stats.h"
#include "util.h"

#define TOP_DEFAULT 20

enum { OPT_TOP = SW_OPT_OWN };

static const struct option own[] = {
	{ "top", required_argument, NULL, OPT_TOP },
	{},
};

static const char usage[] =
	"Usage: smtpwall metrics [--top N]\n\n"
	"Counters and state as OpenMetrics text on standard output. Reads the kernel and changes\n"
	"nothing. With nothing in force it prints smtpwall_in_force 0 and succeeds.\n\n"
	"  --top N           offenders with series of their own (default 20); the others are added\n"
	"                    up as uid=\"rest\"\n";

static const char *const slot_names[_SW_N_MAX] = {
	[SW_N_ALLOWED] = "allowed",	  [SW_N_DENIED] = "denied",
	[SW_N_WOULD_DENY] = "would_deny", [SW_N_LIMITED] = "limited",
	[SW_N_REDIRECTED] = "redirected", [SW_N_LOCAL] = "local",
};

static struct sw_accounts accounts;

static int take(int val, const char *arg, void *data)
{
	uint32_t *top = data;

	(void)val;
	if (sw_id_parse(arg, top) < 0)
		return log_err(SW_EXIT_USAGE, "--top '%s' is no number of accounts", arg);
	return 0;
}

static void put_family(const char *name, const char *type, const char *help)
{
	printf("# HELP %s %s\n", name, help);
	if (type)
		printf("# TYPE %s %s\n", name, type);
}

static void put_gauge(const char *name, uint64_t value, const char *help)
{
	put_family(name, "gauge", help);
	printf("%s %" PRIu64 "\n", name, value);
}

/* A label's value: made safe as a line of text first, then as a quoted string. */
static void put_label(const char *name, const char *value)
{
	_cleanup_free_ char *text = sw_escape(value, true);

	printf("%s=\"", name);
	for (const char *p = text ? text : ""; *p; p++)
		printf(*p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
	putchar('"');
}

static void put_uid_row(const char *uid, const char *user, const uint64_t n[_SW_N_MAX])
{
	for (int i = 0; i < _SW_N_MAX; i++) {
		printf("smtpwall_uid_attempts_total{");
		put_label("uid", uid);
		putchar(',');
		put_label("user", user);
		printf(",verdict=\"%s\"} %" PRIu64 "\n", slot_names[i], n[i]);
	}
}

static void put_account(const struct sw_stat *s)
{
	char uid[16];

	if (s->row == SW_ROW_KERNEL) {
		put_uid_row("kernel", "(kernel)", s->n);
	} else if (s->row == SW_ROW_OVERFLOW) {
		put_uid_row("overflow", "(table full)", s->n);
	} else {
		snprintf(uid, sizeof(uid), "%u", s->uid);
		put_uid_row(uid, sw_account_get(&accounts, s->uid)->user ?: "", s->n);
	}
}

static int worst_first(const void *a, const void *b)
{
	const struct sw_stat *x = a, *y = b;
	uint64_t x_bad = sw_stat_offences(x), y_bad = sw_stat_offences(y);

	if (x_bad != y_bad)
		return x_bad > y_bad ? -1 : 1;
	if (x->row != y->row)
		return x->row < y->row ? -1 : 1;
	return x->uid < y->uid ? -1 : x->uid > y->uid;
}

static void put_attempts(struct sw_stats *s, uint32_t top)
{
	uint64_t all[_SW_N_MAX] = {}, rest[_SW_N_MAX] = {};
	size_t shown = 0;

	qsort(s->accounts, s->n_accounts, sizeof(*s->accounts), worst_first);
	while (shown < s->n_accounts && shown < top && sw_stat_offences(&s->accounts[shown]))
		shown++;
	for (size_t i = 0; i < s->n_accounts; i++) {
		for (int j = 0; j < _SW_N_MAX; j++) {
			all[j] += s->accounts[i].n[j];
			rest[j] += i < shown ? 0 : s->accounts[i].n[j];
		}
	}
	put_family("smtpwall_attempts_total", NULL, "SMTP connects of all accounts, by verdict.");
	for (int i = 0; i < _SW_N_MAX; i++)
		printf("smtpwall_attempts_total{verdict=\"%s\"} %" PRIu64 "\n", slot_names[i], all[i]);
	put_family("smtpwall_uid_attempts_total", NULL, "SMTP connects of the worst offenders, by "
		   "account and verdict. An account moves between its own series and uid rest.");
	for (size_t i = 0; i < shown; i++)
		put_account(&s->accounts[i]);
	put_uid_row("rest", "", rest);
}

static void put_losses(const struct sw_stats *s)
{
	put_family("smtpwall_events_total", NULL, "Reports of single connects, by what became of "
		   "them. Counters do not depend on them.");
	printf("smtpwall_events_total{result=\"sent\"} %" PRIu64 "\n"
	       "smtpwall_events_total{result=\"lost\"} %" PRIu64 "\n"
	       "smtpwall_events_total{result=\"throttled\"} %" PRIu64 "\n",
	       s->counters[SW_CTR_EVENTS_SENT], s->counters[SW_CTR_EVENTS_LOST],
	       s->counters[SW_CTR_EVENTS_THROTTLED]);
	put_gauge("smtpwall_uid_rows", s->uid_rows, "Accounts in the account table.");
	put_gauge("smtpwall_uid_rows_max", s->uid_rows_max, "Rows the account table has room for.");
	put_family("smtpwall_overflow_attempts_total", NULL,
		   "SMTP connects counted together because a table was full.");
	printf("smtpwall_overflow_attempts_total{table=\"uids\"} %" PRIu64 "\n"
	       "smtpwall_overflow_attempts_total{table=\"origins\"} %" PRIu64 "\n",
	       s->uid_overflow, s->origin_overflow);
}

static void put_state(const struct sw_live *l)
{
	put_family("smtpwall_info", "gauge", "Version, and mode of the policy; always 1.");
	printf("smtpwall_info{");
	put_label("version", SW_VERSION);
	putchar(',');
	put_label("mode", sw_mode_name((enum sw_mode)l->settings.mode));
	printf("} 1\n");
	put_gauge("smtpwall_generation", l->settings.generation,
		  "Generation of the policy: one more with each apply.");
}

int sw_metrics_print(const struct sw_live *l, struct sw_stats *s, uint32_t top)
{
	put_gauge("smtpwall_in_force", l->in_force, "1 while every hook is in place, else 0.");
	if (l->exists) {
		put_state(l);
		put_attempts(s, top);
		put_losses(s);
	}
	printf("# EOF\n");
	sw_accounts_free(&accounts);
	return sw_out_flush(stdout);
}

int cmd_metrics(int argc, char **argv)
{
	uint32_t top = TOP_DEFAULT;
	struct sw_stats s = {};
	struct sw_options o;
	struct sw_live live;
	int r;

	r = sw_options_parse(argc, argv, usage, own, take, &top, &o);
	if (r)
		return r < 0 ? SW_EXIT_GOOD : r;
	if (optind < argc)
		return log_err(SW_EXIT_USAGE, "metrics takes no argument '%s'", argv[optind]);
	r = sw_setup_live(&o, &live);
	if (r)
		return r;
	if (live.exists)
		r = sw_stats_read(&live, &s);
	if (r < 0) {
		log_err(SW_EXIT_KERNEL, "cannot read the counters in %s: %s; 'smtpwall apply' repairs "
			"what is missing", o.target.pin_dir, strerror(-r));
	} else {
		r = sw_metrics_print(&live, &s, top);
		if (r < 0)
			log_err(SW_EXIT_KERNEL, "cannot write the metrics: %s", strerror(-r));
	}
	sw_live_close(&live);
	sw_stats_free(&s);
	return r < 0 ? SW_EXIT_KERNEL : SW_EXIT_GOOD;
}
