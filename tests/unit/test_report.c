/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Offenders by account, domain and directory, and how they are printed. */
#include <sys/mman.h>
#include <time.h>

#include "report.h"
#include "test_domain_util.h"

#define ARGV(a) .argv = (a), .argv_len = sizeof(a) - 1

/* alice has three sites, bob one; all sites of the web server share UID 33. */
static void put_machine(void)
{
	put("/etc/passwd",
	    PASSWD_HEAD "alice:x:1001:1001::/home/alice:/bin/bash\n"
	    "bob:x:1002:1002::/home/bob:/bin/bash\n"
	    "carol:x:1003:1003::/home/carol:/bin/bash\n");
	put("/etc/trueuserdomains", "example.com: alice\nbob.example: bob\n");
	put("/etc/userdatadomains",
	    "example.com: alice==root==main==example.com==/home/alice/public_html==\n"
	    "shop.example: alice==root==addon==example.com==/home/alice/shop==\n"
	    "www.shop.example: alice==root==parked==example.com==/home/alice/shop==\n"
	    "blog.example: alice==root==addon==example.com==/home/alice/public_html/blog==\n"
	    "bob.example: bob==root==main==bob.example==/home/bob/public_html==\n");
}

enum { O_HTML, O_SHOP, O_TMP, O_MORE, O_BOB, O_SHARED, O_CAROL, O_KERNEL, O_FULL, N_ORIGINS };

static struct sw_stat origins[N_ORIGINS] = {
	[O_HTML] = { .uid = 1001, .n = { 0, 7, 0, 0, 0, 1 }, .first = 1000, .last = 2000,
		     .last_ns = 10, .sketch = { 1 }, .last_destination = "192.0.2.1:25",
		     .directory = "/home/alice/public_html", .script = "m.php", ARGV("php\0m.php") },
	[O_SHOP] = { .uid = 1001, .n = { 0, 5 }, .first = 900, .last = 3000, .last_ns = 20,
		     .sketch = { 6 }, .last_destination = "192.0.2.2:25",
		     .directory = "/home/alice/shop/x", .script = "s.php", ARGV("php\0s.php") },
	[O_TMP] = { .uid = 1001, .n = { 0, 100 }, .first = 1100, .last = 1500, .last_ns = 5,
		    .sketch = { 8 }, .directory = "/tmp", .script = "[perl]",
		    .cgroup = "/system.slice/cron.service" },
	[O_MORE] = { .uid = 1001, .row = SW_ROW_MORE, .n = { 0, 1 }, .first = 1, .last = 2,
		     .last_ns = 1, .directory = "(more directories)" },
	[O_BOB] = { .uid = 1002, .n = { 90 }, .first = 500, .last = 4000, .last_ns = 30,
		    .directory = "/", .script = "b" },
	[O_SHARED] = { .uid = 33, .n = { 0, 0, 3 }, .first = 950, .last = 5000, .last_ns = 40,
		       .directory = "/home/alice/shop", .script = "apache2", ARGV("apache2") },
	[O_CAROL] = { .uid = 1003, .n = { 0, 0, 0, 2 }, .first = 700, .last = 6000, .last_ns = 50,
		      .directory = "/home/carol/x\033<b>", .script = "c", ARGV("c") },
	[O_KERNEL] = { .row = SW_ROW_KERNEL, .n = { 0, 4 }, .first = 800, .last = 7000,
		       .last_ns = 60 },
	[O_FULL] = { .row = SW_ROW_OVERFLOW, .n = { 0, 50 }, .last = 8000, .last_ns = 70 },
};

/* Ordered by row, then UID, as sw_stats_build() makes them; `accounts` know less than origins. */
static struct sw_stats make_stats(void)
{
	static struct sw_stat accounts[6], sorted[N_ORIGINS];
	static struct sw_hours hours[1] = { { .newest = 1 } };
	static const size_t order[] = { O_SHARED, O_HTML, O_SHOP, O_TMP, O_MORE, O_BOB, O_CAROL,
					O_KERNEL, O_FULL };
	struct sw_stats s = { .accounts = accounts, .n_accounts = 6, .origins = sorted,
			      .n_origins = N_ORIGINS, .counters = { [SW_CTR_EVENTS_LOST] = 3 },
			      .now = 9000, .hours = hours, .n_hours = 1 };

	for (size_t i = 0; i < N_ORIGINS; i++)
		sorted[i] = origins[order[i]];
	accounts[0] = sorted[0];
	accounts[1] = sorted[3];	/* the worst: /tmp */
	accounts[1].n[SW_N_DENIED] = 120;	/* seven found no directory */
	accounts[1].first = 900;
	accounts[1].last = 3000;
	accounts[1].last_ns = 20;
	accounts[1].hours = hours;
	accounts[2] = sorted[5];
	accounts[3] = sorted[6];
	accounts[4] = sorted[7];
	accounts[5] = (struct sw_stat){ .row = SW_ROW_OVERFLOW, .n = { 0, 2 }, .last = 8000,
					.last_ns = 70 };
	accounts[0].worst = &sorted[0];
	accounts[1].worst = &sorted[3];
	accounts[2].worst = &sorted[5];
	accounts[3].worst = &sorted[6];
	accounts[4].worst = &sorted[7];
	return s;
}

static struct sw_domains *d;

static int set_up(void **state)
{
	int r = make_root(state);

	setenv("TZ", "UTC0", 1);
	tzset();
	put_machine();
	d = open_domains(root, NULL);
	return r;
}

static int tear_down(void **state)
{
	sw_domains_free(d);
	return remove_root(state);
}

/* The rows as "name:denied+would+limited" with blanks between; malloc'd. */
static char *rows_of(const struct sw_report *f)
{
	struct sw_stats s = make_stats();
	struct sw_report_rows rows;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(sw_report_build(f, &s, d, &rows), 0);
	for (size_t i = 0; i < rows.n; i++) {
		const struct sw_report_row *r = &rows.row[i];
		const char *name = r->sum.row == SW_ROW_KERNEL ? "kernel" :
				   r->sum.row == SW_ROW_OVERFLOW ? "full" : r->site.user;

		fprintf(out, "%s%s%s:%llu", i ? " " : "",
			f->by == SW_REPORT_BY_DOMAIN && r->site.domain ? r->site.domain : name,
			r->site.one_of_several ? "?" : "",
			(unsigned long long)sw_stat_offences(&r->sum));
	}
	fclose(out);
	sw_report_free(&rows);
	return text;
}

static void test_rows(void **state)
{
	static const struct { struct sw_report f; const char *want; } rows[] = {
		{ {}, "alice?:120 kernel:4 www-data:3 carol:2 full:2" },
		{ { .all = true }, "alice?:120 kernel:4 www-data:3 carol:2 full:2 bob:0" },
		{ { .top = 2 }, "alice?:120 kernel:4" },
		{ { .all = true, .sort = SW_SORT_ATTEMPTS },
		  "alice?:120 bob:0 kernel:4 www-data:3 carol:2 full:2" },
		{ { .sort = SW_SORT_LAST }, "full:2 kernel:4 carol:2 www-data:3 alice?:120" },
		{ { .sort = SW_SORT_UID }, "www-data:3 alice?:120 carol:2 kernel:4 full:2" },
		{ { .sort = SW_SORT_DOMAIN }, "alice?:120 www-data:3 kernel:4 carol:2 full:2" },
		{ { .is_since = true, .since = 6000 }, "kernel:4 carol:2 full:2" },
		{ { .is_until = true, .until = 5000, .all = true }, "alice?:120 www-data:3 bob:0" },
		{ { .is_uid = true, .uid = 1003 }, "carol:2" },
		{ { .is_uid = true, .uid = 0, .all = true }, "" },	/* not the kernel's row */
		/* summed from directories: what found no row there is missing */
		{ { .path = "/home/alice" }, "alice:12 www-data:3" },
		{ { .path = "/home/alice/" }, "alice:12 www-data:3" },
		{ { .path = "/home/alice/shop" }, "alice:5 www-data:3" },
		{ { .path = "/home/alice/sho" }, "" },
		{ { .path = "/" }, "alice?:112 www-data:3 carol:2" },
		{ { .path = "/", .is_uid = true, .uid = 33 }, "www-data:3" },
		{ { .domain = "shop.example" }, "alice:5 www-data:3" },
		{ { .domain = "Shop.Example." }, "alice:5 www-data:3" },
		{ { .domain = "www.shop.example" }, "alice:5 www-data:3" },	/* an alias */
		{ { .domain = "nowhere.example" }, "" },
		{ { .by = SW_REPORT_BY_DOMAIN },
		  "example.com?:101 full:50 shop.example:8 example.com:7 kernel:4 carol:2" },
		{ { .by = SW_REPORT_BY_DOMAIN, .all = true, .sort = SW_SORT_DOMAIN },
		  "bob.example:0 example.com?:101 example.com:7 shop.example:8 full:50 kernel:4 "
		  "carol:2" },
		{ { .by = SW_REPORT_BY_DOMAIN, .domain = "shop.example" }, "shop.example:8" },
		{ { .by = SW_REPORT_BY_DOMAIN, .is_uid = true, .uid = 33 }, "shop.example:3" },
		{ { .by = SW_REPORT_BY_DOMAIN, .sort = SW_SORT_DESTINATIONS, .top = 2 },
		  "shop.example:8 example.com?:101" },
		{ { .by = SW_REPORT_BY_DIRECTORY },
		  "alice?:100 full:50 alice:7 alice:5 kernel:4 www-data:3 carol:2 alice?:1" },
		{ { .by = SW_REPORT_BY_DIRECTORY, .domain = "example.com" },
		  "alice?:100 alice:7 alice?:1" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *got = rows_of(&rows[i].f);

		if (strcmp(got, rows[i].want) != 0)
			fail_msg("row %zu: %s, not %s", i, got, rows[i].want);
	}
}

/* What a row by domain is made of. */
static void test_sum(void **state)
{
	const struct sw_report f = { .by = SW_REPORT_BY_DOMAIN, .domain = "shop.example" };
	struct sw_stats s = make_stats();
	struct sw_report_rows rows;
	const struct sw_report_row *r;

	(void)state;
	assert_int_equal(sw_report_build(&f, &s, d, &rows), 0);
	assert_int_equal(rows.n, 1);
	r = &rows.row[0];
	assert_int_equal(r->sum.n[SW_N_DENIED], 5);
	assert_int_equal(r->sum.n[SW_N_WOULD_DENY], 3);
	assert_int_equal(r->sum.first, 900);
	assert_int_equal(r->sum.last, 5000);
	assert_int_equal(r->sum.uid, 1001);	/* the worst's, with what it runs */
	assert_string_equal(r->sum.directory, "/home/alice/shop/x");
	assert_string_equal(r->sum.script, "s.php");
	assert_string_equal(r->site.source, "docroot");
	assert_string_equal(r->site.account, "alice");
	assert_int_equal(r->site.sites, 3);
	assert_int_equal(r->sum.destinations, 2);
	assert_ptr_equal(r->sum.hours, s.hours);
	assert_int_equal(r->n_origins, 2);
	assert_int_equal(r->origin[0]->uid, 1001);
	assert_int_equal(r->origin[1]->uid, 33);
	sw_report_free(&rows);
	assert_null(rows.row);
}

/* Of an account the list of its directories, worst first; of those that found no room none. */
static void test_origins_of_accounts(void **state)
{
	const struct sw_report f = { .sort = SW_SORT_UID, .all = true };
	struct sw_stats s = make_stats();
	struct sw_report_rows rows;

	(void)state;
	assert_int_equal(sw_report_build(&f, &s, d, &rows), 0);
	assert_int_equal(rows.n, 6);
	assert_int_equal(rows.row[1].sum.uid, 1001);
	assert_int_equal(rows.row[1].n_origins, 4);
	assert_string_equal(rows.row[1].origin[0]->directory, "/tmp");
	assert_string_equal(rows.row[1].origin[1]->directory, "/home/alice/public_html");
	assert_int_equal(rows.row[1].origin[3]->row, SW_ROW_MORE);
	assert_int_equal(rows.row[5].sum.row, SW_ROW_OVERFLOW);
	assert_int_equal(rows.row[5].n_origins, 0);
	sw_report_free(&rows);
}

/* What the report prints to standard output, malloc'd. */
static char *print(const struct sw_report *f, enum sw_format format, bool color,
		   const struct sw_stats *s)
{
	const struct sw_report_about about = {
		.host = "srv1", .hooks = "connect4 connect6", .mode = SW_MODE_ENFORCE,
		.generation = 7, .applied = 100,
	};
	const struct sw_options o = { .format = format, .color = color };
	int saved = dup(STDOUT_FILENO), fd = memfd_create("out", 0);
	char *text = calloc(1, 1 << 20);

	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	assert_int_equal(sw_report_print(f, &o, s, d, &about), 0);
	dup2(saved, STDOUT_FILENO);
	assert_true(pread(fd, text, (1 << 20) - 1, 0) >= 0);
	close(saved);
	close(fd);
	return text;
}

static void test_machine(void **state)
{
	const struct sw_report f = { .top = 2 }, carol = { .is_uid = true, .uid = 1003 };
	const struct sw_stats s = make_stats();
	_cleanup_free_ char *tsv = print(&f, SW_FORMAT_TSV, false, &s);
	_cleanup_free_ char *csv = print(&carol, SW_FORMAT_CSV, false, &s);

	(void)state;
	assert_string_equal(tsv,
		"1001\talice\texample.com\t3\ttrueuserdomains\t/tmp\t[perl]\t120\t0\t120\t0\t0\t0\t0\t"
		"0\t0\t0\t0\t0\t1970-01-01T00:15:00Z\t1970-01-01T00:50:00Z\t\taccount\t"
		"unit cron.service\t/system.slice/cron.service\talice\t0\t0\t0\t0\n"
		"\t(kernel)\t\t0\tnone\t\t\t4\t0\t4\t0\t0\t0\t0\t0\t0\t0\t0\t0\t"
		"1970-01-01T00:13:20Z\t1970-01-01T01:56:40Z\t\tkernel\t\t\t\t0\t0\t0\t0\n");
	assert_string_equal(csv, "uid,user,domain,domains,source,directory,script,attempts,"
		"allowed,denied,would_deny,limited,redirected,local,sendmail,destinations,"
		"bytes_sent,established,failed,first_seen,last_seen,last_destination,row,"
		"container,cgroup,account,refused,timed_out,bytes_received,seconds\r\n"
		"1003,carol,,0,home,/home/carol/x\\x1b<b>,c,2,0,0,0,2,0,0,0,0,0,0,0,"
		"1970-01-01T00:11:40Z,1970-01-01T01:40:00Z,,account,,,carol,0,0,0,0\r\n");
}

static void test_json(void **state)
{
	const struct sw_report f = { .by = SW_REPORT_BY_DOMAIN, .domain = "shop.example" };
	const struct sw_stats s = make_stats();
	_cleanup_free_ char *text = print(&f, SW_FORMAT_JSON, false, &s);

	(void)state;
	assert_string_equal(text,
		"{\"since\":\"1970-01-01T00:08:20Z\",\"until\":\"1970-01-01T02:30:00Z\",\"live\":true,"
		"\"events_lost\":3,\"rows\":[{\"uid\":1001,\"user\":\"alice\","
		"\"domain\":\"shop.example\",\"domains\":3,\"source\":\"docroot\","
		"\"directory\":\"/home/alice/shop/x\",\"script\":\"s.php\","
		"\"attempts\":8,\"allowed\":0,\"denied\":5,\"would_deny\":3,\"limited\":0,"
		"\"redirected\":0,\"local\":0,\"sendmail\":0,\"destinations\":2,\"bytes_sent\":0,"
		"\"established\":0,\"failed\":0,\"first_seen\":\"1970-01-01T00:15:00Z\","
		"\"last_seen\":\"1970-01-01T01:23:20Z\",\"last_destination\":null,"
		"\"row\":\"account\",\"container\":null,\"cgroup\":null,\"account\":\"alice\","
		"\"refused\":0,\"timed_out\":0,\"bytes_received\":0,\"seconds\":0}]}\n");
}

/* The other ways out: who used them most, which directory it was, and what became of connects. */
static struct sw_stats make_senders(void)
{
	static struct sw_stat accounts[3], o[4];
	const struct sw_stats s = { .accounts = accounts, .n_accounts = 3, .origins = o, .n_origins = 4,
				    .now = 9000 };

	o[0] = (struct sw_stat){ .uid = 33, .n = { 0, 0, 0, 0, 0, 2, 9 }, .directory = "/srv/x",
				 .first = 1, .last = 2 };
	o[1] = (struct sw_stat){ .uid = 1001, .n = { 0, 7, 0, 0, 0, 1, 0 }, .first = 1, .last = 2,
				 .directory = "/home/alice/public_html", .script = "m.php",
				 .outcome = { 1, 2, 3, 4, 500, 60, 7900000000 } };
	o[2] = (struct sw_stat){ .uid = 1001, .n = { 0, 0, 0, 0, 0, 20, 3 }, .first = 1, .last = 2,
				 .directory = "/home/alice/shop", .script = "s.php" };
	o[3] = (struct sw_stat){ .uid = 1003, .n = { 4, 0, 0, 0, 0, 0, 5 }, .directory = "/c",
				 .first = 1, .last = 2 };
	accounts[0] = o[0];
	accounts[1] = o[1];
	accounts[1].n[SW_N_LOCAL] = 21;
	accounts[1].n[SW_N_SENDMAIL] = 3;
	accounts[2] = o[3];
	for (size_t i = 0; i < 3; i++)
		accounts[i].worst = &o[i < 2 ? i : 3];
	return s;
}

/* The rows as "user:count:directory" with blanks between; malloc'd. */
static char *senders(const struct sw_report *f)
{
	const struct sw_stats s = make_senders();
	struct sw_report_rows rows;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(sw_report_build(f, &s, d, &rows), 0);
	for (size_t i = 0; i < rows.n; i++)
		fprintf(out, "%s%s:%llu:%s", i ? " " : "", rows.row[i].site.user,
			(unsigned long long)sw_stat_by(&rows.row[i].sum, f->channel),
			rows.row[i].sum.directory);
	fclose(out);
	sw_report_free(&rows);
	return text;
}

static void test_channels(void **state)
{
	static const struct { struct sw_report f; const char *want; } rows[] = {
		{ {}, "alice:7:/home/alice/public_html" },
		{ { .channel = SW_CHANNEL_LOCAL }, "alice:21:/home/alice/shop www-data:2:/srv/x" },
		{ { .channel = SW_CHANNEL_SENDMAIL },
		  "www-data:9:/srv/x carol:5:/c alice:3:/home/alice/shop" },
		{ { .channel = SW_CHANNEL_ALL },
		  "alice:31:/home/alice/shop www-data:11:/srv/x carol:9:/c" },
		{ { .channel = SW_CHANNEL_LOCAL, .all = true },
		  "alice:21:/home/alice/shop www-data:2:/srv/x carol:0:/c" },
		{ { .channel = SW_CHANNEL_SENDMAIL, .sort = SW_SORT_UID, .top = 1 }, "www-data:9:/srv/x" },
		{ { .channel = SW_CHANNEL_LOCAL, .by = SW_REPORT_BY_DIRECTORY, .is_uid = true,
		    .uid = 1001 }, "alice:20:/home/alice/shop alice:1:/home/alice/public_html" },
		{ { .channel = SW_CHANNEL_LOCAL, .by = SW_REPORT_BY_DOMAIN, .domain = "shop.example" },
		  "alice:20:/home/alice/shop" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *got = senders(&rows[i].f);

		if (strcmp(got, rows[i].want) != 0)
			fail_msg("row %zu: %s, not %s", i, got, rows[i].want);
	}
}

/* The three side by side, and what became of connections, in every format. */
static void test_side_by_side(void **state)
{
	const struct sw_report f = { .by = SW_REPORT_BY_DIRECTORY, .all = true };
	const struct sw_report mail = { .channel = SW_CHANNEL_SENDMAIL };
	const struct sw_report nobody = { .channel = SW_CHANNEL_LOCAL, .is_uid = true, .uid = 1003 };
	const struct sw_stats s = make_senders();
	_cleanup_free_ char *json = print(&f, SW_FORMAT_JSON, false, &s), *table = NULL, *page = NULL;
	_cleanup_free_ char *none = print(&nobody, SW_FORMAT_TABLE, false, &s);

	(void)state;
	assert_non_null(strstr(json, "\"denied\":7,\"would_deny\":0,\"limited\":0,\"redirected\":0,"
			       "\"local\":1,\"sendmail\":0,"));
	assert_non_null(strstr(json, "\"bytes_sent\":500,\"established\":1,\"failed\":9,"));
	assert_non_null(strstr(json, "\"refused\":2,\"timed_out\":3,\"bytes_received\":60,"
			       "\"seconds\":7}"));
	setenv("COLUMNS", "80", 1);
	table = print(&mail, SW_FORMAT_TABLE, false, &s);
	assert_non_null(strstr(table, "DENIED  "));
	assert_non_null(strstr(table, "  LOCAL  SENDMAIL  "));
	page = print(&mail, SW_FORMAT_HTML, false, &s);
	assert_non_null(strstr(page, "<div><dt>Denied, limited or redirected</dt><dd>7</dd></div>\n"
			       "<div><dt>Direct, let through</dt><dd>0</dd></div>\n"
			       "<div><dt>Local: SMTP to this machine</dt><dd>21</dd></div>\n"
			       "<div><dt>Handed to sendmail</dt><dd>3</dd></div>\n"));
	assert_non_null(strstr(page, "<dt>Timed out</dt><dd>3</dd>"));
	assert_non_null(strstr(page, "<dt>Bytes received</dt><dd>60</dd>"));
	assert_non_null(strstr(page, "data-label=\"Local\">20</td>"
			       "<td role=\"cell\" class=\"n\" data-label=\"Sendmail\">3</td>"));
	assert_non_null(strstr(none, "nobody: nothing was sent by SMTP to this machine\n"));
}

static size_t longest_line(const char *text)
{
	size_t longest = 0;

	for (; *text; text += strcspn(text, "\n") + 1)
		if (strcspn(text, "\n") > longest)
			longest = strcspn(text, "\n");
	return longest;
}

static void test_table(void **state)
{
	const struct sw_report f = {};
	const struct sw_stats s = make_stats();
	_cleanup_free_ char *wide = NULL;

	(void)state;
	setenv("LC_ALL", "C", 1);
	setenv("COLUMNS", "300", 1);
	wide = print(&f, SW_FORMAT_TABLE, false, &s);
	assert_string_equal(wide,
		"DOMAIN          USER           UID  DENIED  WOULD DENY  LIMITED  LAST SEEN  "
		"RUNS IN            FOUND BY         DIRECTORY             SCRIPT\n"
		"example.com +2  alice         1001     120           0        0   100m ago  "
		"unit cron.service  trueuserdomains  /tmp                  [perl]\n"
		"-               (kernel)         -       4           0        0    33m ago  "
		"-                  -                -                     -\n"
		"shop.example    www-data        33       0           3        0    66m ago  "
		"-                  docroot          /home/alice/shop      apache2\n"
		"-               carol         1003       0           0        2    50m ago  "
		"-                  home             /home/carol/x\\x1b<b>  c\n"
		"-               (table full)     -       2           0        0    16m ago  "
		"-                  -                -                     -\n");
}

/* 80 columns hold it, whatever is in it. */
static void test_width(void **state)
{
	const struct sw_report f = { .all = true };
	struct sw_stats s = make_stats();
	_cleanup_free_ char *text = NULL, *extreme = NULL;

	(void)state;
	setenv("COLUMNS", "80", 1);
	text = print(&f, SW_FORMAT_TABLE, false, &s);
	assert_string_equal(text,
		"DOMAIN          USER          DENIED  WOULD DENY  LIMITED  DIRECTORY     "
		"SCRIPT\n"
		"example.com +2  alice            120           0        0  /tmp          "
		"[perl]\n"
		"-               (kernel)           4           0        0  -             -\n"
		"shop.example    www-data           0           3        0  ...lice/shop  "
		"apache2\n"
		"-               carol              0           0        2  .../x\\x1b<b>  c\n"
		"-               (table full)       2           0        0  -             -\n"
		"bob.example     bob                0           0        0  /             b\n");
	for (size_t i = 0; i < s.n_accounts; i++)
		for (int j = 0; j < _SW_N_MAX; j++)
			s.accounts[i].n[j] = 123456789;
	extreme = print(&f, SW_FORMAT_TABLE, false, &s);
	assert_true(longest_line(extreme) <= 80);
	assert_int_equal(strncmp(extreme, "DOMAIN ", 7), 0);
}

static void test_color(void **state)
{
	const struct sw_report f = { .is_uid = true, .uid = 1001 };
	const struct sw_stats s = make_stats();
	_cleanup_free_ char *plain = print(&f, SW_FORMAT_TABLE, false, &s);
	_cleanup_free_ char *color = print(&f, SW_FORMAT_TABLE, true, &s);

	(void)state;
	assert_null(strchr(plain, 033));
	assert_non_null(strstr(color, "\033[31m120\033[0m"));
}

static void test_nobody(void **state)
{
	const struct sw_report f = {}, bob = { .is_uid = true, .uid = 1002 };
	const struct sw_report later = { .is_since = true, .since = 99999 };
	const struct sw_stats s = make_stats(), none = { .now = 9000 };
	_cleanup_free_ char *a = print(&f, SW_FORMAT_TABLE, false, &none);
	_cleanup_free_ char *b = print(&bob, SW_FORMAT_TABLE, false, &s);
	_cleanup_free_ char *c = print(&later, SW_FORMAT_TABLE, false, &s);

#define LOOKED_AT "looked at: hooks connect4 connect6, mode enforce, generation 7 in force since " \
		  "1970-01-01T00:01:40Z; domains by cpanel\n"
	(void)state;
	assert_string_equal(a, "no offenders: no SMTP connect was seen\n" LOOKED_AT);
	assert_string_equal(b, "no offenders: 1 account of what was asked for made 90 SMTP connects "
			    "since 1970-01-01T00:08:20Z, none was denied\n" LOOKED_AT);
	assert_string_equal(c, "no offenders: no SMTP connect was seen of what was asked for\n"
			    LOOKED_AT);
}

/* Nothing of what accounts chose is taken for markup, and the page says what it has to. */
static void test_page(void **state)
{
	static const char *const want[] = {
		"<h1>SMTP offenders on srv1</h1>", "<dt>Mode</dt><dd>enforce</dd>",
		"<dt>Denied</dt><dd>126</dd>", "<dt>Limited</dt><dd>2</dd>",
		"<a href=\"#o1\">example.com</a> <span class=\"dim\">or another of the account's 3 sites",
		"the kernel's own threads", "accounts that found no room in the table",
		"/home/carol/x\\x1b&lt;b&gt;", "ls -lact -- $&#39;/home/carol/x\\033&lt;b&gt;&#39;",
		"smtpwall deny carol --for 2h", "unit cron.service",
		"and none", ", site of <bdi>alice</bdi>", "Domains by cpanel",
	};
	static const char *const never[] = { "<b>", "<script", "http:", "https:", "\033" };
	const struct sw_report f = {}, bob = { .is_uid = true, .uid = 1002 };
	const struct sw_stats s = make_stats();
	_cleanup_free_ char *page = print(&f, SW_FORMAT_HTML, false, &s);
	_cleanup_free_ char *none = print(&bob, SW_FORMAT_HTML, false, &s);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		if (!strstr(page, want[i]) && !strstr(none, want[i]))
			fail_msg("no '%s' in\n%s", want[i], page);
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		if (strstr(page, never[i]))
			fail_msg("'%s' in\n%s", never[i], page);
	assert_non_null(strstr(none, "90 SMTP connects of 1 account seen"));
}

/* --top says how many are shown in detail; without it twenty are. */
static void test_page_top(void **state)
{
	const struct sw_report f = { .top = 1 };
	const struct sw_stats s = make_stats();
	_cleanup_free_ char *page = print(&f, SW_FORMAT_HTML, false, &s);

	(void)state;
	assert_non_null(strstr(page, "<caption>The first 1 of 5.</caption>"));
	assert_non_null(strstr(page, "id=\"o1\""));
	assert_null(strstr(page, "id=\"o2\""));
	assert_non_null(strstr(page, "<dt>Denied</dt><dd>126</dd>"));	/* of all */
}

static void test_page_details(void **state)
{
	const struct sw_report f = {}, more = { .top = 25 };
	struct sw_stat many[30] = {};
	const struct sw_stats s = { .accounts = many, .n_accounts = ARRAY_SIZE(many), .now = 9000 };
	_cleanup_free_ char *page = NULL, *longer = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct sw_stat){ .uid = 4100000000U + (uint32_t)i, .n = { 0, 1 } };
	page = print(&f, SW_FORMAT_HTML, false, &s);
	assert_non_null(strstr(page, "id=\"o20\""));
	assert_null(strstr(page, "id=\"o21\""));
	assert_null(strstr(page, "href=\"#o21\""));
	longer = print(&more, SW_FORMAT_HTML, false, &s);
	assert_non_null(strstr(longer, "id=\"o25\""));
}

/* Without domains the counters are still good. */
static void test_no_domains(void **state)
{
	const struct sw_report f = { .by = SW_REPORT_BY_DOMAIN };
	const struct sw_stats s = make_stats();
	struct sw_report_rows rows;

	(void)state;
	assert_int_equal(sw_report_build(&f, &s, NULL, &rows), 0);
	assert_int_equal(rows.n, 5);
	assert_int_equal(sw_stat_offences(&rows.row[0].sum), 113);
	assert_null(rows.row[0].site.domain);
	assert_string_equal(rows.row[0].site.source, "none");
	sw_report_free(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_origins_of_accounts),
		cmocka_unit_test(test_machine),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_side_by_side),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_width),
		cmocka_unit_test(test_color),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_page_top),
		cmocka_unit_test(test_page_details),
		cmocka_unit_test(test_no_domains),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
