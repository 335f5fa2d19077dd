/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alerts: how they are told. The runner is the test's own, and may be busy, broken or silent. */
#include "alert_util.h"

static struct fixture f;

static int setup(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	fx_policy(&f);
	fx_rule(&f.p, SLIDING(DENIED, 5, 60), "denied 5/60s per account");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fx_stop(&f);
	return 0;
}

static void start(bool command, bool mail)
{
	f.p.alerts.command = command ? fx_list("/bin/true") : NULL;
	f.p.alerts.mail = mail ? fx_list("root") : NULL;
	fx_start(&f);
	fx_sample(&f);
}

/* An alert of `uid`, in the next second. */
static void alert(uint32_t uid)
{
	fx_count(&f, uid, SW_N_DENIED, 5);
	fx_pass(&f, 1);
}

static void result(size_t i, int status)
{
	assert_true(i < f.n_runs);
	sw_alerts_result(f.a, &f.now, f.run[i].id, status);
}

static struct sw_alerts_sink_state command_state(void)
{
	struct sw_alerts_state s;

	sw_alerts_state(f.a, &s);
	return s.command;
}

static struct json_object *parse(const char *text)
{
	struct json_object *o = json_tokener_parse(text);

	assert_non_null(o);
	return o;
}

static size_t n_alerts(const char *text)
{
	struct json_object *o = parse(text), *list = NULL;
	size_t n;

	assert_true(json_object_object_get_ex(o, "alerts", &list));
	n = json_object_array_length(list);
	json_object_put(o);
	return n;
}

/* The first at once, in the very sample; nothing else while it runs; then the rest together. */
static void test_one_at_a_time(void **state)
{
	(void)state;
	start(true, false);
	alert(1001);
	assert_int_equal(f.n_runs, 1);
	assert_int_equal(f.run[0].kind, SW_RUN_COMMAND);
	assert_int_equal(n_alerts(f.run[0].payload), 1);
	for (uint32_t uid = 1002; uid < 1010; uid++)
		alert(uid);
	assert_int_equal(f.n_runs, 1);
	result(0, 0);
	assert_int_equal(f.n_runs, 2);
	assert_int_equal(n_alerts(f.run[1].payload), 8);
	result(1, 0);
	fx_pass(&f, 100);
	assert_int_equal(f.n_runs, 2);
	assert_int_equal(command_state().sent, 2);
	assert_int_equal(command_state().waiting, 0);
}

/* Mail: the first at once, the others when the digest ends, and after a quiet time at once again. */
static void test_digest(void **state)
{
	(void)state;
	f.p.alerts.digest_s = 300;
	start(false, true);
	alert(1001);
	assert_int_equal(f.n_runs, 1);
	assert_int_equal(f.run[0].kind, SW_RUN_MAIL);
	result(0, 0);
	alert(1002);
	alert(1003);
	fx_pass(&f, 297);
	assert_int_equal(f.n_runs, 1);
	fx_pass(&f, 1);
	assert_int_equal(f.n_runs, 2);
	assert_non_null(strstr(f.run[1].payload, "\nSubject: smtpwall on host.example.com: 2 alerts, "));
	result(1, 0);
	alert(1004);
	assert_int_equal(f.n_runs, 2);	/* that mail began a digest too */
	fx_pass(&f, 300);
	assert_int_equal(f.n_runs, 3);
	result(2, 0);
	fx_pass(&f, 1000);
	assert_int_equal(f.n_runs, 3);
	alert(1005);
	assert_int_equal(f.n_runs, 4);
}

/* A failure is tried again, later and later, and then given up; the next alert goes on. */
static void test_failure(void **state)
{
	(void)state;
	start(true, false);
	alert(1001);
	result(0, 1);
	fx_pass(&f, 9);
	assert_int_equal(f.n_runs, 1);
	fx_pass(&f, 1);
	assert_int_equal(f.n_runs, 2);
	assert_string_equal(f.run[0].payload, f.run[1].payload);
	result(1, -ETIMEDOUT);
	fx_pass(&f, 19);
	assert_int_equal(f.n_runs, 2);
	fx_pass(&f, 1);
	assert_int_equal(f.n_runs, 3);
	result(2, 75);
	fx_pass(&f, 100);
	assert_int_equal(f.n_runs, 3);
	assert_int_equal(command_state().failed, 1);
	assert_int_equal(command_state().retried, 2);
	assert_int_equal(command_state().lost, 1);
	assert_int_equal(command_state().last_status, 75);
	assert_true(command_state().last_failure >= NOON);
	alert(1002);
	assert_int_equal(f.n_runs, 4);
	result(3, 0);
	assert_int_equal(command_state().sent, 1);
}

/* A runner that is busy, gone, or refuses. */
static void test_runner(void **state)
{
	(void)state;
	start(true, false);
	f.run_result = -EAGAIN;
	alert(1001);
	fx_pass(&f, 20);
	assert_int_equal(command_state().waiting, 1);
	f.run_result = 0;
	fx_pass(&f, 1);
	assert_int_equal(f.n_runs, 1);
	assert_int_equal(command_state().retried, 0);
	result(0, 0);
	f.run_result = -ENOTSUP;
	alert(1002);
	assert_int_equal(command_state().failed, 1);
	f.run_result = -EPIPE;
	alert(1003);
	fx_pass(&f, 100);
	assert_int_equal(command_state().failed, 2);
	/* Busy for ever is a failure too, and the alert is not kept for ever. */
	f.run_result = -EAGAIN;
	alert(1004);
	fx_pass(&f, 1500);
	assert_int_equal(command_state().failed, 3);
	assert_int_equal(command_state().waiting, 0);
}

/* An answer that never comes, one that comes late, and one that nobody asked for. */
static void test_no_answer(void **state)
{
	(void)state;
	start(true, false);
	alert(1001);
	sw_alerts_result(f.a, &f.now, 4711, 0);
	assert_int_equal(command_state().sent, 0);
	fx_pass(&f, 299);
	assert_int_equal(command_state().retried, 0);
	fx_pass(&f, 1);
	assert_int_equal(command_state().retried, 1);
	result(0, 0);	/* of the run that was given up */
	assert_int_equal(command_state().sent, 0);
	fx_pass(&f, 10);
	assert_int_equal(f.n_runs, 2);
	result(1, 0);
	assert_int_equal(command_state().sent, 1);
}

/* A sink that hangs holds up no other, and its queue ends somewhere. */
static void test_independent(void **state)
{
	(void)state;
	f.p.alerts.digest_s = 0;
	start(true, true);
	alert(1001);
	assert_int_equal(f.n_runs, 2);
	assert_int_equal(f.run[0].kind, SW_RUN_COMMAND);
	assert_int_equal(f.run[1].kind, SW_RUN_MAIL);
	result(1, 0);
	for (uint32_t uid = 1002; uid < 1020; uid++) {
		alert(uid);
		result(f.n_runs - 1, 0);
	}
	assert_int_equal(f.n_runs, 20);
	assert_int_equal(command_state().waiting, 19);
}

static void test_overflow(void **state)
{
	struct sw_sink s;

	(void)state;
	start(true, false);
	sw_sink_init(&s, SW_RUN_COMMAND);
	for (int i = 0; i < SW_QUEUE_MAX + 5; i++) {
		struct sw_alert *one = calloc(1, sizeof(*one));

		one->refs = 1;
		sw_sink_put(&s, one);
		sw_alert_unref(one);
	}
	assert_int_equal(s.state.dropped, 5);
	sw_sink_free(&s);
}

static const char *text_of(struct json_object *o, const char *name)
{
	struct json_object *value = NULL;

	assert_true(json_object_object_get_ex(o, name, &value));
	return value ? json_object_get_string(value) : "(null)";
}

/* The contract, field by field. */
static void test_json(void **state)
{
	static const struct { const char *name, *want; } rows[] = {
		{ "time", "2026-01-01T12:00:01Z" },
		{ "summary", "shop.example +2 alice (1001): 5 denied connects in the last 1 min, in "
			     "/home/alice/www by mail.php of unit x, last to 192.0.2.7:25 (rule denied "
			     "5/60s per account)" },
		{ "rule", "denied 5/60s per account" }, { "line", "test.conf:2" },
		{ "metric", "denied" },		{ "scope", "account" },
		{ "count", "5" },		{ "threshold", "5" },
		{ "period", "sliding" },	{ "seconds", "60" },
		{ "since", "2026-01-01T12:00:00Z" }, { "average", "(null)" },
		{ "uid", "1001" },		{ "user", "alice" },
		{ "domain", "shop.example" },	{ "other_domains", "2" },
		{ "source", "trueuserdomains" }, { "account", "alice" },
		{ "directory", "/home/alice/www" }, { "script", "mail.php" },
		{ "container", "unit x" },	{ "last_destination", "192.0.2.7:25" },
		{ "destinations", "(null)" },	{ "first_seen", "(null)" },
		{ "last_seen", "(null)" },
	};
	struct sw_event e = { .charged_uid = 1001, .time_ns = 999 * NSEC_PER_SEC };
	struct sw_event_view v = { .e = &e, .destination = "192.0.2.7:25", .container = "unit x",
		.where = { .directory = "/home/alice/www", .script = "mail.php" },
		.site = { .domain = "shop.example", .one_of_several = true, .sites = 3,
			  .source = "trueuserdomains", .user = "alice", .account = "alice" } };
	struct json_object *o, *list = NULL, *one, *next = NULL;

	(void)state;
	start(true, false);
	sw_alerts_event(f.a, &v);
	alert(1001);
	o = parse(f.run[0].payload);
	assert_string_equal(text_of(o, "version"), "1");
	assert_string_equal(text_of(o, "host"), "host.example.com");
	assert_string_equal(text_of(o, "time"), "2026-01-01T12:00:01Z");
	assert_string_equal(text_of(o, "dropped"), "0");
	assert_int_equal(strncmp(text_of(o, "program"), "smtpwall ", 9), 0);
	assert_true(json_object_object_get_ex(o, "alerts", &list));
	one = json_object_array_get_idx(list, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		print_message("# %s\n", rows[i].name);
		assert_string_equal(text_of(one, rows[i].name), rows[i].want);
	}
	assert_true(json_object_object_get_ex(one, "next", &next));
	assert_true(json_object_array_length(next) >= 3);
	assert_int_equal(json_object_object_length(one), ARRAY_SIZE(rows) + 1);
	json_object_put(o);
	/* Of another account nothing of it is said, nor when it is long ago. */
	result(0, 0);
	alert(1001 + SW_HINTS);
	assert_null(strstr(f.run[1].payload, "alice"));
	result(1, 0);
	fx_pass(&f, 7200);
	alert(1001);
	assert_null(strstr(f.run[2].payload, "alice"));
}

/* Thousands of alerts with the longest texts go in pieces that the runner takes. */
static void test_large(void **state)
{
	size_t told = 0;
	char path[513];

	(void)state;
	memset(path, 1, sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	start(true, false);
	for (int i = 0; i < 300; i++) {
		struct sw_alert *one = calloc(1, sizeof(*one));

		*one = (struct sw_alert){ .refs = 1, .rule = strdup("x"), .place = strdup("y"),
			.where = { .is_uid = true, .directory = strdup(path), .script = strdup(path),
				   .domain = strdup(path), .user = strdup(path) } };
		sw_sink_put(&f.a->command, one);
		sw_alert_unref(one);
	}
	for (size_t i = 0; told < 300 && i < 60; i++) {
		fx_pass(&f, 1);
		assert_int_equal(f.n_runs, i + 1);
		told += n_alerts(f.run[i].payload);
		result(i, 0);
	}
	assert_int_equal(told, 300);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_at_a_time), TEST(test_digest), TEST(test_failure), TEST(test_runner),
		TEST(test_no_answer), TEST(test_independent), TEST(test_overflow), TEST(test_json),
		TEST(test_large),
	};

	return cmocka_run_group_tests_name("alert_sink", tests, NULL, NULL);
}
