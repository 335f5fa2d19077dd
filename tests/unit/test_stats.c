/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From map rows to what a report says. */
#include <arpa/inet.h>
#include <errno.h>
#include <pwd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "canary.h"
#include "stats.h"
#include "util.h"

#define SEC	1000000000ULL

/* The user database of these tests. */
struct passwd *getpwuid(uid_t uid)
{
	static struct passwd root = { .pw_name = "root", .pw_dir = "/root" };
	static struct passwd odd = { .pw_name = "a\"b\\c\033", .pw_dir = "/home/a" };

	return uid == 0 ? &root : uid == 4100000001U ? &odd : NULL;
}

static void test_script(void **state)
{
#define ARGV(text) text, sizeof(text) - 1
	static const struct { const char *argv; size_t len; const char *want; } rows[] = {
		/* titles that a program wrote itself */
		{ ARGV("php-fpm: pool shop\0\0\0\0\0\0"), "php-fpm: pool shop" },
		{ ARGV("php-fpm: pool a/php\0"), "php-fpm: pool a/php" },
		{ ARGV("lsphp:/home/a/public_html/x.php\0"), "lsphp:/home/a/public_html/x.php" },
		{ ARGV("nginx: worker process   \0"), "nginx: worker process" },
		/* ordinary programs */
		{ ARGV("/usr/sbin/apache2\0-k\0start\0"), "/usr/sbin/apache2 -k start" },
		{ ARGV("./mailer"), "./mailer" },
		{ ARGV("phpize\0x\0"), "phpize x" },
		{ ARGV("a\0\0b\0"), "a  b" },
		/* interpreters, with and without version and path */
		{ ARGV("php\0mail.php\0"), "mail.php" },
		{ ARGV("/usr/bin/php8.2\0/srv/mail.php\0to\0"), "/srv/mail.php" },
		{ ARGV("php-cgi8.2\0x.php\0"), "x.php" },
		{ ARGV("php-cgi\0/home/a/x.php\0"), "/home/a/x.php" },
		{ ARGV("perl5.36.0\0-w\0send.pl\0"), "send.pl" },
		{ ARGV("python3.11\0-u\0/tmp/m.py\0--to\0"), "/tmp/m.py" },
		{ ARGV("-bash\0run.sh\0"), "run.sh" },
		{ ARGV("sh\0run.sh\0"), "run.sh" },
		{ ARGV("ruby\0m.rb\0"), "m.rb" },
		{ ARGV("node\0m.js\0"), "m.js" },
		{ ARGV("python3\0two words.py\0"), "two words.py" },
		/* options that take the next argument, and the end of options */
		{ ARGV("php\0-d\0mail.log=x\0-f\0m.php\0"), "m.php" },
		{ ARGV("php\0-dmail.log=d\0m.php\0"), "m.php" },
		{ ARGV("python\0-W\0ignore\0m.py\0"), "m.py" },
		{ ARGV("bash\0-euo\0pipefail\0m.sh\0"), "m.sh" },
		{ ARGV("perl\0--\0-m.pl\0"), "-m.pl" },
		/* no script at all: the whole title says more */
		{ ARGV("bash\0-c\0echo > /dev/tcp/192.0.2.1/25\0"),
		  "bash -c echo > /dev/tcp/192.0.2.1/25" },
		{ ARGV("perl\0-e\0code\0"), "perl -e code" },
		{ ARGV("python3\0-m\0smtplib\0"), "python3 -m smtplib" },
		{ ARGV("php\0-S\0addr\0"), "php -S addr" },
		{ ARGV("php\0-d"), "php -d" },
		{ ARGV("perl\0-\0"), "perl -" },
		{ ARGV("perl\0--\0"), "perl --" },
		{ ARGV("-bash\0"), "-bash" },
		{ ARGV("php"), "php" },
		/* nothing to go by but the command name */
		{ ARGV(""), "[comm]" },
		{ ARGV("\0\0\0"), "[comm]" },
		{ ARGV("  \0"), "[comm]" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		/* A copy of exactly its size: a read past it would be seen. */
		_cleanup_free_ char *argv = memcpy(malloc(rows[i].len), rows[i].argv, rows[i].len);
		_cleanup_free_ char *script = sw_script(argv, rows[i].len, "comm");
		assert_string_equal(script, rows[i].want);
	}
}

static void test_script_comm_without_nul(void **state)
{
	char comm[SW_COMM_LEN];
	_cleanup_free_ char *script = NULL;

	(void)state;
	memset(comm, 'c', sizeof(comm));
	script = sw_script("", 0, comm);
	assert_string_equal(script, "[cccccccccccccccc]");
}

static void set_cells(uint64_t sketch[SW_SKETCH_WORDS], int n)
{
	memset(sketch, 0, SW_SKETCH_WORDS * sizeof(*sketch));
	for (int i = 0; i < n; i++)
		sketch[i / 64] |= 1ULL << (i % 64);
}

static void test_estimate(void **state)
{
	static const struct { int cells; unsigned int low, high; bool full; } rows[] = {
		{ 0, 0, 0, false },	{ 1, 1, 1, false },	{ 2, 2, 2, false },
		{ 10, 10, 11, false },	{ 128, 177, 178, false },	/* 256 ln 2 */
		{ 255, 1400, 1430, false },	/* 256 ln 256 */
		{ 256, 1400, 1430, true },
	};
	uint64_t sketch[SW_SKETCH_WORDS];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		bool full = !rows[i].full;

		set_cells(sketch, rows[i].cells);
		assert_in_range(sw_sketch_estimate(sketch, &full), rows[i].low, rows[i].high);
		assert_int_equal(full, rows[i].full);
	}
	assert_int_equal(sw_sketch_estimate(sketch, NULL), sw_sketch_estimate(sketch, NULL));
}

/* Two or three origins each of a few accounts, as the kernel would have them. */
static struct sw_uid_key uid_keys[8];
static struct sw_uid_stats uid_values[8];
static struct sw_origin_key origin_keys[8];
static struct sw_origin origin_values[8];

static struct sw_stats_raw empty_raw(void)
{
	memset(uid_values, 0, sizeof(uid_values));
	memset(origin_values, 0, sizeof(origin_values));
	return (struct sw_stats_raw){
		.uids = { .key_size = sizeof(*uid_keys), .value_size = sizeof(*uid_values),
			  .keys = (char *)uid_keys, .values = (char *)uid_values },
		.origins = { .key_size = sizeof(*origin_keys), .value_size = sizeof(*origin_values),
			     .keys = (char *)origin_keys, .values = (char *)origin_values },
		.wall_ns = 5000000 * (int64_t)SEC,	/* the clocks are 4999000 s apart */
		.mono_ns = 1000 * (int64_t)SEC,
		.uid_rows_max = 32768,
	};
}

static struct sw_uid_stats *add_uid(struct sw_stats_raw *raw, uint32_t uid, enum sw_row row)
{
	uid_keys[raw->uids.n] = (struct sw_uid_key){ uid, row };
	return &uid_values[raw->uids.n++];
}

static struct sw_origin *add_origin(struct sw_stats_raw *raw, uint32_t uid, enum sw_row row,
				    const char *path)
{
	struct sw_origin *o = &origin_values[raw->origins.n];
	size_t len = strlen(path) + 1;

	origin_keys[raw->origins.n] = (struct sw_origin_key){
		.uid = uid,
		.dev = row == SW_ROW_UID ? 1 : SW_DEV_NONE,
		.ino = row == SW_ROW_UID ? 100 + raw->origins.n : row,
	};
	o->filled = 1;
	o->where.path_off = (uint16_t)(SW_PATH_LEN - len);
	memcpy(o->where.path + SW_PATH_LEN - len, path, len);
	memcpy(o->where.comm, "worker", sizeof("worker"));
	raw->origins.n++;
	return o;
}

static void set_destination(struct sw_origin *o, const char *v4, uint16_t port, uint64_t last_ns)
{
	memset(o->last_daddr, 0, 10);
	memset(o->last_daddr + 10, 0xff, 2);
	inet_pton(AF_INET, v4, o->last_daddr + 12);
	o->last_dport = port;
	o->last_ns = last_ns;
}

static void test_merge(void **state)
{
	struct sw_stats_raw raw = empty_raw();
	struct sw_uid_stats *a = add_uid(&raw, 1001, SW_ROW_UID);
	struct sw_origin *o;
	struct sw_stats s;

	(void)state;
	a->n[SW_N_DENIED] = 7;
	a->n[SW_N_ALLOWED] = 100;
	a->first_ns = 10 * SEC;
	a->last_ns = 999 * SEC + 999999999;
	o = add_origin(&raw, 1001, SW_ROW_UID, "/busy");	/* most attempts, none denied */
	o->n[SW_N_ALLOWED] = 100;
	set_destination(o, "192.0.2.1", 587, 20 * SEC);
	o->sketch[0] = 3;
	o = add_origin(&raw, 1001, SW_ROW_UID, "/guilty");
	o->n[SW_N_LIMITED] = 2;
	o->n[SW_N_WOULD_DENY] = 2;
	o->sketch[0] = 4;
	set_destination(o, "192.0.2.2", 25, 30 * SEC);
	memcpy(o->where.argv, "php\0m.php", 9);
	o->where.argv_len = 9;
	o = add_origin(&raw, 1001, SW_ROW_UID, "/newest");
	o->n[SW_N_DENIED] = 3;
	set_destination(o, "192.0.2.3", 25, 40 * SEC);
	assert_int_equal(sw_stats_build(&raw, &s), 0);

	assert_int_equal(s.n_accounts, 1);
	assert_int_equal(s.n_origins, 3);
	assert_int_equal(sw_stat_attempts(&s.accounts[0]), 107);
	assert_int_equal(sw_stat_offences(&s.accounts[0]), 7);
	assert_string_equal(s.accounts[0].directory, "/guilty");
	assert_string_equal(s.accounts[0].script, "m.php");
	assert_string_equal(s.accounts[0].worst->directory, "/guilty");
	assert_int_equal(s.accounts[0].worst->argv_len, 9);
	assert_memory_equal(s.accounts[0].worst->argv, "php\0m.php", 10);
	assert_string_equal(s.accounts[0].worst->comm, "worker");
	assert_string_equal(s.accounts[0].last_destination, "192.0.2.3:25");
	assert_int_equal(s.accounts[0].destinations, 3);
	assert_int_equal(s.accounts[0].first, 4999010);
	assert_int_equal(s.accounts[0].last, 4999999);
	assert_int_equal(s.now, 5000000);
	assert_int_equal(s.uid_rows_max, 32768);
	sw_stats_free(&s);
	assert_null(s.accounts);
}

static void test_special_rows(void **state)
{
	struct sw_stats_raw raw = empty_raw();
	struct sw_origin *o;
	struct sw_stats s;

	(void)state;
	raw.counters[SW_CTR_EVENTS_LOST] = 5;
	add_uid(&raw, 0, SW_ROW_OVERFLOW)->n[SW_N_DENIED] = 3;
	add_uid(&raw, 0, SW_ROW_KERNEL)->n[SW_N_DENIED] = 4;
	add_uid(&raw, 0, SW_ROW_UID)->n[SW_N_ALLOWED] = 5;
	add_uid(&raw, SW_CANARY_UID, SW_ROW_UID)->n[SW_N_DENIED] = 6;
	add_uid(&raw, 1002, SW_ROW_UID)->n[SW_N_DENIED] = 7;
	add_uid(&raw, 1003, SW_ROW_UID);	/* made, but not counted yet */
	o = add_origin(&raw, 0, SW_ROW_OVERFLOW, "/");
	o->n[SW_N_DENIED] = 8;
	set_destination(o, "192.0.2.1", 25, SEC);
	add_origin(&raw, 0, SW_ROW_KERNEL, "/")->n[SW_N_DENIED] = 4;
	add_origin(&raw, SW_CANARY_UID, SW_ROW_UID, "/")->n[SW_N_DENIED] = 6;
	o = add_origin(&raw, 1002, SW_ROW_UID, "/x");
	o->n[SW_N_DENIED] = 1;
	o->filled = 0;
	add_origin(&raw, 1002, SW_ROW_MORE, "/")->n[SW_N_DENIED] = 6;
	assert_int_equal(sw_stats_build(&raw, &s), 0);

	assert_int_equal(s.n_accounts, 4);
	assert_int_equal(s.accounts[0].row, SW_ROW_UID);
	assert_int_equal(s.accounts[0].uid, 0);
	assert_null(s.accounts[0].directory);	/* neither the kernel's nor the overflow row's */
	assert_int_equal(s.accounts[1].uid, 1002);
	assert_string_equal(s.accounts[1].directory, "(more directories)");
	assert_null(s.accounts[1].script);
	assert_int_equal(s.accounts[2].row, SW_ROW_KERNEL);
	assert_null(s.accounts[2].directory);
	assert_int_equal(s.accounts[3].row, SW_ROW_OVERFLOW);
	assert_string_equal(s.accounts[3].last_destination, "");	/* two tables, two overflows */
	assert_int_equal(s.n_origins, 4);
	for (size_t i = 0; i < s.n_origins; i++)	/* one that is not filled in yet shows nothing */
		assert_true(s.origins[i].row == SW_ROW_MORE || !s.origins[i].directory);
	assert_int_equal(s.uid_rows, 5);
	assert_int_equal(s.uid_overflow, 3);
	assert_int_equal(s.origin_overflow, 8);
	assert_int_equal(s.counters[SW_CTR_EVENTS_LOST], 5);
	sw_stats_free(&s);
}

static void test_where(void **state)
{
	struct sw_stats_raw raw = empty_raw();
	struct sw_origin *o = add_origin(&raw, 1001, SW_ROW_UID, "/html/app");
	struct sw_stats s;

	(void)state;
	o->n[SW_N_DENIED] = 1;
	o->where.flags = SW_PATH_CUT;
	o->last_daddr[15] = 1;
	o->last_dport = 25;
	assert_int_equal(sw_stats_build(&raw, &s), 0);
	assert_string_equal(s.origins[0].directory, ".../html/app");
	assert_string_equal(s.origins[0].script, "[worker]");
	assert_string_equal(s.origins[0].last_destination, "[::1]:25");
	assert_int_equal(s.origins[0].last, 0);	/* no time, no date in 1970 */
	sw_stats_free(&s);
}

/* A row is read while it may be written: its lengths may say anything. */
static void test_hostile_row(void **state)
{
	struct sw_stats_raw raw = empty_raw();
	struct sw_origin *o = add_origin(&raw, 1001, SW_ROW_UID, "/");
	_cleanup_free_ struct sw_origin *copy = malloc(sizeof(*copy));
	struct sw_stats s;

	(void)state;
	memset(&o->where, 'x', sizeof(o->where));
	o->n[SW_N_DENIED] = 1;
	o->where.argv_len = o->where.path_off = 0xffff;
	o->where.flags = 0xffff & ~SW_WHERE_EXEC;
	*copy = *o;	/* so that a read past its end is seen */
	raw.origins.values = (char *)copy;
	assert_int_equal(sw_stats_build(&raw, &s), 0);
	assert_string_equal(s.origins[0].directory, "...x");
	assert_int_equal(strlen(s.origins[0].script), SW_ARGV_LEN - 1);
	sw_stats_free(&s);
	copy->where.path_off = 0;
	assert_int_equal(sw_stats_build(&raw, &s), 0);
	assert_int_equal(strlen(s.origins[0].directory), strlen("...") + SW_PATH_LEN);
	sw_stats_free(&s);
}

static void test_layout(void **state)
{
	struct sw_stats_raw raw = empty_raw();
	struct sw_stats s = { .now = 77 };

	(void)state;
	add_uid(&raw, 1, SW_ROW_UID);
	raw.uids.value_size += 8;
	assert_int_equal(sw_stats_build(&raw, &s), -EINVAL);
	raw = empty_raw();
	add_origin(&raw, 1, SW_ROW_UID, "/");
	raw.origins.key_size = 8;
	assert_int_equal(sw_stats_build(&raw, &s), -EINVAL);
	assert_int_equal(s.now, 77);	/* untouched on failure */
}

static void test_dests(void **state)
{
	static const struct {
		uint32_t uid;
		uint16_t port, row;
		const char *addr;
		struct sw_dest v;
	} in[] = {
		{ 1002, 25, SW_ROW_UID, "::ffff:192.0.2.1", { 0, 5, SEC, 2 * SEC } },
		{ 1001, 25, SW_ROW_UID, "2001:db8::1", { 1, 1, SEC, 0 } },
		{ 1001, 0, SW_ROW_MORE, "::", { 0, 9, SEC, 3 * SEC } },
		{ 1001, 465, SW_ROW_UID, "2001:db8::1", { 2, 0, SEC, SEC } },
		{ 1001, 25, SW_ROW_UID, "2001:db8::2", { 0, 0, SEC, 0 } },	/* just made */
		{ SW_CANARY_UID, 25, SW_ROW_UID, "::1", { 0, 7, SEC, SEC } },
	};
	struct sw_dest_key keys[ARRAY_SIZE(in)] = {};
	struct sw_dest values[ARRAY_SIZE(in)];
	struct sw_stats_raw raw = empty_raw();
	const struct sw_stat_dest *d;
	struct sw_stats s;
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		keys[i] = (struct sw_dest_key){ .uid = in[i].uid, .port = in[i].port, .row = in[i].row };
		inet_pton(AF_INET6, in[i].addr, keys[i].addr);
		values[i] = in[i].v;
	}
	raw.dests = (struct sw_map_dump){ ARRAY_SIZE(in), sizeof(*keys), sizeof(*values),
					  (char *)keys, (char *)values };
	assert_int_equal(sw_stats_build(&raw, &s), 0);
	assert_int_equal(s.n_dests, 4);
	d = sw_stat_dests(&s, 1001, &n);
	assert_int_equal(n, 3);
	assert_int_equal(d[0].port, 25);	/* as many as the next: by port */
	assert_string_equal(d[0].address, "2001:db8::1");
	assert_int_equal(d[0].last, 4999001);
	assert_int_equal(d[1].would_deny, 2);
	assert_int_equal(d[2].port, 0);		/* most of all, but of many */
	assert_string_equal(d[2].address, "");
	assert_int_equal(d[2].refused, 9);
	assert_int_equal(d[2].last, 4999003);
	d = sw_stat_dests(&s, 1002, &n);
	assert_int_equal(n, 1);
	assert_string_equal(d[0].address, "192.0.2.1");
	assert_null(sw_stat_dests(&s, 1003, &n));
	assert_int_equal(n, 0);
	sw_stats_free(&s);
	raw.dests.value_size--;
	assert_int_equal(sw_stats_build(&raw, &s), -EINVAL);
}

static void test_cgroups(void **state)
{
	struct sw_stats_raw raw = empty_raw();
	uint64_t ids[] = { 70, 7, 40 };
	struct sw_cgroup_name names[] = {
		{ .filled = 1, .level = 2, .name = { "x.service", "system.slice" } },
		{ .filled = 0 },
		{ .filled = 1, .level = 9, .name = { "d", "c", "b", "a" } },
	};
	struct sw_origin *o;
	struct sw_stats s;

	(void)state;
	for (uint32_t i = 0; i < 4; i++) {
		add_uid(&raw, 1000 + i, SW_ROW_UID)->n[SW_N_DENIED] = 1;
		o = add_origin(&raw, 1000 + i, SW_ROW_UID, "/");
		o->n[SW_N_DENIED] = 1;
		o->cgroup_id = i < 3 ? ids[i] : 999;
	}
	raw.cgroups = (struct sw_map_dump){ ARRAY_SIZE(ids), sizeof(*ids), sizeof(*names),
					    (char *)ids, (char *)names };
	assert_int_equal(sw_stats_build(&raw, &s), 0);
	assert_string_equal(s.accounts[0].cgroup, "/system.slice/x.service");
	assert_string_equal(s.accounts[1].cgroup, "?");
	assert_string_equal(s.accounts[2].cgroup, ".../a/b/c/d");
	assert_null(s.accounts[3].cgroup);
	sw_stats_free(&s);
}

static void test_no_tables(void **state)
{
	struct sw_live live = { .exists = true };
	struct sw_stats s = { .now = 77 };

	(void)state;
	for (int i = 0; i < _SW_MAP_MAX; i++)
		live.map_fd[i] = -1;
	assert_int_equal(sw_stats_read(&live, &s), -ENOENT);
	assert_int_equal(s.now, 77);
}

static void test_account_names(void **state)
{
	static struct sw_accounts cache;
	const struct sw_account *a = sw_account_get(&cache, 0);

	(void)state;
	assert_string_equal(a->user, "root");
	assert_ptr_equal(sw_account_get(&cache, 0)->user, a->user);	/* not looked up again */
	assert_null(sw_account_get(&cache, 4100000002U)->user);
	assert_null(sw_account_get(&cache, SW_ACCOUNT_SLOTS * 10)->user);	/* root's slot */
	assert_string_equal(sw_account_get(&cache, 0)->user, "root");
	sw_accounts_free(&cache);
}

static void test_home(void **state)
{
	static const struct { const char *path, *home; bool want; } rows[] = {
		{ "/home/al", "/home/al", true },	{ "/home/al/html", "/home/al", true },
		{ "/home/al/html", "/home/al/", true },	{ "/home/alice", "/home/al", false },
		{ "/home", "/home/al", false },		{ "/srv", "/", false },
		{ "/srv", "", false },			{ ".../al", "/home/al", false },
		{ "/srv", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct sw_account a = { .known = true, .home = (char *)rows[i].home };

		assert_int_equal(sw_account_has_home(&a, rows[i].path), rows[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_script),
		cmocka_unit_test(test_script_comm_without_nul),
		cmocka_unit_test(test_estimate),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_special_rows),
		cmocka_unit_test(test_where),
		cmocka_unit_test(test_hostile_row),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_dests),
		cmocka_unit_test(test_cgroups),
		cmocka_unit_test(test_no_tables),
		cmocka_unit_test(test_account_names),
		cmocka_unit_test(test_home),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
