/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whose connect was it? Each row is a process as the kernel saw it, and the answer. */
#include "attribute.h"
#include "test_domain_util.h"

/* argv is written with '|' for the NUL between arguments. */
struct row {
	uint32_t uid;
	const char *directory, *argv;
	const char *domain;		/* NULL: not known */
	const char *source;
	unsigned int others;
	const char *account;
};

static struct sw_domains *d;

static const char *usual_comm(const char *argv)
{
	if (argv && !strncmp(argv, "php-fpm:", 8))
		return "php-fpm8.2";
	return argv && !strncmp(argv, "lsphp:", 6) ? "lsphp" : "comm";
}

static int ask_called(const char *comm, uint32_t uid, enum sw_row row, const char *directory,
		      const char *argv, struct sw_attribution *ret)
{
	char bytes[1024];
	struct sw_attribute_query q = {
		.uid = uid, .row = row, .directory = directory, .argv = bytes,
		.argv_len = argv ? strlen(argv) : 0, .comm = comm,
	};

	snprintf(bytes, sizeof(bytes), "%s", argv ?: "");
	for (size_t i = 0; i < q.argv_len; i++)
		bytes[i] = bytes[i] == '|' ? '\0' : bytes[i];
	return sw_attribute(d, &q, ret);
}

static int ask(uint32_t uid, enum sw_row row, const char *directory, const char *argv,
	       struct sw_attribution *ret)
{
	return ask_called(usual_comm(argv), uid, row, directory, argv, ret);
}

static void check_row(const struct row *r, size_t i, const char *comm)
{
	struct sw_attribution a;

	assert_int_equal(ask_called(comm, r->uid, SW_ROW_UID, r->directory, r->argv, &a), 0);
	if (strcmp(a.domain ?: "-", r->domain ?: "-") != 0 || strcmp(a.source, r->source) != 0 ||
	    a.others != r->others || strcmp(a.account ?: "-", r->account ?: "-") != 0)
		fail_msg("row %zu (%u, %s, %s): %s from %s, %u others, of %s", i, r->uid,
			 r->directory, r->argv, a.domain, a.source, a.others, a.account);
	assert_ptr_equal(a.directory, r->directory);
	sw_attribution_free(&a);
}

static void check_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(&rows[i], i, usual_comm(rows[i].argv));
}

static void put_cpanel(void)
{
	put("/etc/passwd",
	    PASSWD_HEAD "alice:x:1001:1001::/home/alice:/bin/bash\n"
	    "bob:x:1002:1002::/home/bob:/bin/bash\n"
	    "carol:x:1003:1003::/home/carol:/bin/bash\n"
	    "dev:x:1004:1004::/home/dev:/bin/bash\n"
	    "jailed:x:1005:1005::/home/jail/./home/jailed:/usr/sbin/jk_chrootsh\n");
	put("/etc/trueuserdomains", "example.com: alice\nbob.example: bob\njailed.example: jailed\n");
	put("/etc/userdatadomains",
	    "example.com: alice==root==main==example.com==/home/alice/public_html==\n"
	    "shop.example: alice==root==addon==example.com==/home/alice/shop==\n"
	    "www.shop.example: alice==root==parked==example.com==/home/alice/shop==\n"
	    "blog.example: alice==root==addon==example.com==/home/alice/public_html/blog==\n"
	    "bob.example: bob==root==main==bob.example==/home/bob/public_html==\n"
	    "jailed.example: jailed==root==main==x==/home/jailed/public_html==\n"
	    "jshop.example: jailed==root==addon==x==/home/jail/home/jailed/shop==\n");
}

/* php-fpm, mod_php, CGI: they run in the directory of the script. */
static void test_directory(void **state)
{
	static const struct row rows[] = {
		{ 1001, "/home/alice/public_html", "php-fpm: pool example_com", "example.com",
		  "docroot", 2, "alice" },
		{ 1001, "/home/alice/public_html/wp-content", "", "example.com", "docroot", 2, "alice" },
		{ 1001, "/home/alice/public_html/blog/x", NULL, "blog.example", "docroot", 2, "alice" },
		{ 1001, "/home/alice/shop", "lsphp:/home/alice/public_html/x.php", "shop.example",
		  "docroot", 2, "alice" },			/* the title never wins */
		{ 1001, "/home/alice/shop", "php-fpm: pool blog_example", "shop.example", "docroot", 2,
		  "alice" },
		{ 1002, "/home/bob/public_html", NULL, "bob.example", "docroot", 0, "bob" },
		/* One UID for all sites: the directory tells them apart. */
		{ 33, "/home/alice/public_html", "/usr/sbin/apache2|-k|start", "example.com", "docroot",
		  2, "alice" },
		{ 33, "/home/bob/public_html/x", "/usr/sbin/apache2|-k|start", "bob.example", "docroot",
		  0, "bob" },
		{ 0, "/home/bob/public_html/x", "sh", "bob.example", "docroot", 0, "bob" },
		{ 65534, "/home/alice/shop", NULL, "shop.example", "docroot", 2, "alice" },
		{ 4242, "/home/bob/public_html", NULL, "bob.example", "docroot", 0, "bob" },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

/* Whoever can enter the directory of another account does not bring that into the report. */
static void test_foreign_directory(void **state)
{
	static const struct row rows[] = {
		{ 1001, "/home/bob/public_html", "perl|x.pl", "example.com", "trueuserdomains", 2,
		  "alice" },
		{ 1004, "/home/bob/public_html", "perl|x.pl", NULL, "none", 0, "dev" },
		{ 1002, "/home/alice/public_html/blog", NULL, "bob.example", "trueuserdomains", 0,
		  "bob" },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_pool(void **state)
{
	static const struct row rows[] = {
		{ 1001, "/tmp", "php-fpm: pool shop_example", "shop.example", "pool-name", 2, "alice" },
		{ 1001, "/", "php-fpm: pool blog.example   ", "blog.example", "pool-name", 2, "alice" },
		{ 1001, NULL, "php-fpm: pool shop_example||", "shop.example", "pool-name", 2, "alice" },
		/* Somebody else's pool, none, and almost a title. */
		{ 1001, "/tmp", "php-fpm: pool bob_example", "example.com", "trueuserdomains", 2,
		  "alice" },
		{ 1001, "/tmp", "php-fpm: pool nothing", "example.com", "trueuserdomains", 2, "alice" },
		{ 1001, "/tmp", "php-fpm: pool ", "example.com", "trueuserdomains", 2, "alice" },
		{ 1001, "/tmp", "php-fpm: master process", "example.com", "trueuserdomains", 2,
		  "alice" },
		{ 1004, "/tmp", "php-fpm: pool bob_example", NULL, "none", 0, "dev" },
		{ 33, "/tmp", "php-fpm: pool bob_example", NULL, "none", 0, NULL },
		{ 33, "/", "php-fpm: pool www", "shared.example", "pool-name", 0, NULL },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_title(void **state)
{
	static const struct row rows[] = {
		{ 1001, "/tmp", "lsphp:/home/alice/shop/x.php", "shop.example", "process-title", 2,
		  "alice" },
		{ 1001, "/tmp", "lsphp:ice/shop/wp-admin/admin-post.php", "shop.example",
		  "process-title", 2, "alice" },
		{ 1001, "/tmp", "lsphp:html/blog/x.php", "blog.example", "process-title", 2, "alice" },
		{ 33, "/tmp", "lsphp:bob/public_html/x.php", "bob.example", "process-title", 0, "bob" },
		{ 33, "/tmp", "lsphp:html/x.php", NULL, "none", 0, NULL },	/* whose? */
		{ 1001, "/tmp", "lsphp:", "example.com", "trueuserdomains", 2, "alice" },
		{ 1001, "/tmp", "lsphp: ", "example.com", "trueuserdomains", 2, "alice" },
		{ 1001, "/tmp", "/usr/bin/php-cgi8.2|/home/alice/shop/x.php", "shop.example",
		  "process-title", 2, "alice" },
		{ 1001, "/tmp", "php|-q|/home/alice/public_html/blog/cron.php", "blog.example",
		  "process-title", 2, "alice" },
		{ 1001, "/home/alice", "/usr/bin/php|shop/cron.php", "shop.example", "process-title", 2,
		  "alice" },					/* cron: from the home */
		{ 1001, "/home/alice/mail", "python3|../shop/./x.py", "shop.example", "process-title",
		  2, "alice" },
		{ 1001, "/home/alice", "perl|-w|public_html/cgi-bin/x.pl", "example.com",
		  "process-title", 2, "alice" },
		{ 1001, "/home/alice", "/bin/sh|/home/alice/shop/x.sh", "shop.example", "process-title",
		  2, "alice" },
		{ 1001, "/home/alice", "/bin/sh|-c|cd /home/alice/shop && php cron.php", "shop.example",
		  "process-title", 2, "alice" },
		{ 1001, "/tmp", "/home/alice/shop/bot|-v", "shop.example", "process-title", 2,
		  "alice" },					/* a program of its own */
		{ 1001, "/home/alice", "shop/bot|-v", "shop.example", "process-title", 2, "alice" },
		{ 1001, "/home/alice", "shop", "example.com", "trueuserdomains", 2, "alice" },
		{ 33, "/tmp", "/usr/bin/php-cgi|/home/bob/public_html/x.php", "bob.example",
		  "process-title", 0, "bob" },
		{ 1001, "/tmp", "curl|/home/alice/shop/x", "example.com", "trueuserdomains", 2,
		  "alice" },					/* no script */
		{ 1001, "/tmp", "php|-r|/home/alice/shop", "example.com", "trueuserdomains", 2,
		  "alice" },
		/* What it says of others is not believed. */
		{ 1001, "/tmp", "lsphp:/home/bob/public_html/x.php", "example.com", "trueuserdomains",
		  2, "alice" },
		{ 1001, "/tmp", "lsphp:bob/public_html/x.php", "example.com", "trueuserdomains", 2,
		  "alice" },
		{ 1001, "/tmp", "php|/home/bob/public_html/x.php", "example.com", "trueuserdomains", 2,
		  "alice" },
		{ 1001, "/tmp", "php|/home/alice/shop/../../bob/public_html/x.php", "example.com",
		  "trueuserdomains", 2, "alice" },
		{ 1004, "/tmp", "php|/home/bob/public_html/x.php", NULL, "none", 0, "dev" },
		{ 1004, "/tmp", "php|/srv/shared/x.php", NULL, "none", 0, "dev" },	/* nobody's */
		{ 33, "/tmp", "php|/srv/shared/x.php", "shared.example", "process-title", 0, NULL },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

/* cli_set_process_title() changes the title alone: where sites share a UID none can name another. */
static void test_lies(void **state)
{
	static const char lsphp[] = "lsphp:/home/bob/public_html/x.php";
	static const char path[] = "/home/bob/public_html/x.php";
	static const char padded[] = "/home/bob/public_html/x.php||";
	static const char long_path[] = "/home/bob/public_html/a-name-much-too-long";
	static const struct {
		struct row row;
		const char *comm;
	} rows[] = {
		{ { 33, "/tmp", lsphp, NULL, "none", 0, NULL }, "php" },
		{ { 33, "/tmp", lsphp, NULL, "none", 0, NULL }, "lsph" },
		{ { 33, "/tmp", lsphp, NULL, "none", 0, NULL }, "" },
		{ { 33, "/tmp", lsphp, "bob.example", "process-title", 0, "bob" }, "lsphp82" },
		{ { 33, "/tmp", "php-fpm: pool www", NULL, "none", 0, NULL }, "php" },
		{ { 33, "/tmp", "php-fpm: pool www", "shared.example", "pool-name", 0, NULL },
		  "php-fpm" },
		{ { 33, "/tmp", path, NULL, "none", 0, NULL }, "php" },
		{ { 33, "/tmp", path, "bob.example", "process-title", 0, "bob" }, "x.php" },
		{ { 33, "/tmp", path, NULL, "none", 0, NULL }, "x.ph" },
		{ { 33, "/tmp", padded, NULL, "none", 0, NULL }, "php" },
		{ { 33, "/tmp", long_path, "bob.example", "process-title", 0, "bob" },
		  "a-name-much-too" },
		{ { 33, "/tmp", long_path, NULL, "none", 0, NULL }, "a-name" },
		/* What is its own an account may pretend to run. */
		{ { 1001, "/tmp", "lsphp:/home/alice/shop/x.php", "shop.example", "process-title", 2,
		    "alice" }, "php" },
		{ { 1001, "/tmp", "php-fpm: pool shop_example", "shop.example", "pool-name", 2,
		    "alice" }, "php" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_row(&rows[i].row, i, rows[i].comm);
}

static void test_account(void **state)
{
	static const struct row rows[] = {
		{ 1001, "/tmp", "./bot", "example.com", "trueuserdomains", 2, "alice" },
		{ 1001, NULL, NULL, "example.com", "trueuserdomains", 2, "alice" },
		{ 1001, "/home/alice", "bash", "example.com", "trueuserdomains", 2, "alice" },
		{ 1002, "/", NULL, "bob.example", "trueuserdomains", 0, "bob" },
		/* No domain: at least the home. */
		{ 1003, "/home/carol/x", "./bot", NULL, "home", 0, "carol" },
		{ 1003, "/home/carol", "./bot", NULL, "home", 0, "carol" },
		{ 1003, "/home/carolx", "./bot", NULL, "none", 0, "carol" },
		{ 1003, "/tmp", "./bot", NULL, "none", 0, "carol" },
		/* One UID for all sites: by the home that the directory is in. */
		{ 33, "/home/alice/mail", NULL, "example.com", "home", 2, "alice" },
		{ 33, "/home/carol", NULL, NULL, "home", 0, "carol" },
		{ 33, "/tmp", NULL, NULL, "none", 0, NULL },
		{ 33, "/var/www/html", NULL, NULL, "none", 0, NULL },
		{ 0, "/root", "bash", NULL, "none", 0, NULL },
		{ 4242, "/srv", NULL, NULL, "none", 0, NULL },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_cut(void **state)
{
	static const struct row rows[] = {
		{ 1001, ".../alice/public_html/a/b", NULL, "example.com", "docroot", 2, "alice" },
		{ 1001, "...lice/shop/a/b", NULL, "shop.example", "docroot", 2, "alice" },
		{ 33, "...bob/public_html/x", NULL, "bob.example", "docroot", 0, "bob" },
		{ 33, ".../public_html/x", NULL, NULL, "none", 0, NULL },	/* whose? */
		{ 1001, ".../a/b/c", NULL, "example.com", "trueuserdomains", 2, "alice" },
		{ 1001, "...", NULL, "example.com", "trueuserdomains", 2, "alice" },
		{ 1001, "...bob/public_html/a", NULL, "example.com", "trueuserdomains", 2, "alice" },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_jails(void **state)
{
	static const struct row rows[] = {
		{ 1001, "/usr/share/cagefs-skeleton/home/alice/shop/x", NULL, "shop.example", "docroot",
		  2, "alice" },
		{ 1001, "/var/cagefs/01/alice/home/alice/shop", NULL, "shop.example", "docroot", 2,
		  "alice" },
		{ 1001, "/home/virtfs/alice/home/alice/public_html", NULL, "example.com", "docroot", 2,
		  "alice" },
		{ 33, "/home/chroot/home/bob/public_html", NULL, "bob.example", "docroot", 0, "bob" },
		{ 1005, "/home/jail/home/jailed/public_html/x", NULL, "jailed.example", "docroot", 1,
		  "jailed" },
		{ 1005, "/home/jail/home/jailed/shop", NULL, "jshop.example", "docroot", 1, "jailed" },
		{ 1005, "/tmp", "php|/home/jailed/shop/x.php", "jshop.example", "process-title", 1,
		  "jailed" },
		/* A chroot of php-fpm: the script as the pool sees it. */
		{ 1001, "/tmp", "php-cgi|/shop/x.php", "shop.example", "process-title", 2, "alice" },
		{ 1002, "/tmp", "php-cgi|/site/x.php", "bob.example", "process-title", 0, "bob" },
		{ 1001, "/usr/share/cagefs-skeleton/home/bob/public_html", NULL, "example.com",
		  "trueuserdomains", 2, "alice" },
		{ 1003, "/usr/share/cagefs-skeleton/home/carol/x", NULL, NULL, "home", 0, "carol" },
		{ 33, "/home/virtfs/carol/home/carol/x", NULL, NULL, "home", 0, "carol" },
		{ 1001, "/usr/share/cagefs-skeleton", NULL, "example.com", "trueuserdomains", 2,
		  "alice" },
		{ 1001, "/var/cagefs/01", NULL, "example.com", "trueuserdomains", 2, "alice" },
	};

	(void)state;
	check_rows(rows, ARRAY_SIZE(rows));
}

static void test_jail_paths(void **state)
{
	static const struct { const char *path, *want; } rows[] = {
		{ "/usr/share/cagefs-skeleton/home/a", "/home/a" },
		{ "/usr/share/cagefs-skeletonx/home/a", NULL },
		{ "/usr/share/cagefs-skeleton/", NULL }, { "/usr/share/cagefs-skeleton", NULL },
		{ "/var/cagefs/01/a/etc", "/etc" }, { "/var/cagefs/01/a", NULL },
		{ "/var/cagefs", NULL }, { "/var/cagefs/", NULL }, { "/var/cagefs//", NULL },
		{ "/home/virtfs/a/home/a", "/home/a" }, { "/home/virtfs/a", NULL },
		{ "/home/alice/usr/share/cagefs-skeleton/home/bob", NULL },
		{ "", NULL }, { "/", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got = sw_attribute_in_jail(rows[i].path);

		if (strcmp(got ?: "-", rows[i].want ?: "-") != 0)
			fail_msg("%s: %s", rows[i].path, got);
	}
}

/* Rows that belong to no single account, and an account's further directories. */
static void test_special_rows(void **state)
{
	struct sw_attribution a;

	(void)state;
	for (int row = SW_ROW_KERNEL; row <= SW_ROW_OVERFLOW; row++) {
		assert_int_equal(ask(0, (enum sw_row)row, "/home/alice/shop", "x", &a), 0);
		assert_null(a.domain);
		assert_null(a.user);
		assert_string_equal(a.source, "none");
		sw_attribution_free(&a);
	}
	assert_int_equal(ask(1001, SW_ROW_MORE, "(more directories)", NULL, &a), 0);
	assert_string_equal(a.domain, "example.com");
	assert_string_equal(a.user, "alice");
	sw_attribution_free(&a);
}

static void test_texts(void **state)
{
	struct sw_attribution a;

	(void)state;
	assert_int_equal(ask(33, SW_ROW_UID, "/home/alice/shop", "php|x.php", &a), 0);
	assert_string_equal(a.user, "www-data");
	assert_string_equal(a.account, "alice");
	assert_string_equal(a.script, "x.php");
	sw_attribution_free(&a);
	assert_int_equal(ask(4242, SW_ROW_UID, NULL, NULL, &a), 0);
	assert_null(a.user);
	assert_string_equal(a.script, "[comm]");
	sw_attribution_free(&a);
	assert_null(a.script);
}

/* Titles of nothing but what could break a parser. */
static void test_hostile_titles(void **state)
{
	static const char *const titles[] = {
		"lsphp:../../../../etc/passwd", "lsphp:/..", "php|..", "php|../..", "php|/", "php|//",
		"php|", "|||", "sh|-c|", "sh|-c", "sh|-c|/", "sh|-|x", "-sh|-c|/home/alice", "/", "//",
		"php-fpm: pool ../../etc", "php-fpm: pool \x1b[31m", "lsphp:\xff\xfe", "lsphp://///",
	};
	char longest[900];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(titles); i++) {
		const struct row r = { 1001, "/tmp", titles[i], "example.com", "trueuserdomains", 2,
				       "alice" };

		check_rows(&r, 1);
	}
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest, "php-fpm: pool ", 14);
	check_rows(&(const struct row){ 1001, "/tmp", longest, "example.com", "trueuserdomains", 2,
					"alice" }, 1);
	memcpy(longest, "lsphp:///./", 11);
	check_rows(&(const struct row){ 1001, "/tmp", longest, "example.com", "trueuserdomains", 2,
					"alice" }, 1);
}

static void test_mail_of_home(void **state)
{
	static const struct row rows[] = {
		{ 1003, "/home2/carol/x", NULL, NULL, "home", 0, "carol" },	/* the home is a link */
		{ 1001, "/home2/alice/shop/x", NULL, "shop.example", "docroot", 2, "alice" },
	};

	(void)state;
	put("/home2/carol/x/y", "");
	put("/home2/alice/shop/x/y", "");
	put_link("/home/carol", "/home2/carol");
	put_link("/home/alice", "../home2/alice");
	check_rows(rows, ARRAY_SIZE(rows));
}

static int begin(void **state)
{
	struct sw_domains_config c = { .root = root };

	if (make_root(state) < 0)
		return -1;
	put_cpanel();
	put("/etc/nginx/nginx.conf", "server { server_name shared.example; root /srv/shared;\n"
				     "fastcgi_pass unix:/run/php/www.sock; }\n");
	put("/etc/php/8.2/fpm/pool.d/x.conf",
	    "[www]\nuser = www-data\nlisten = /run/php/www.sock\n"
	    "[bob_example]\nuser = bob\nchroot = /home/bob/public_html\n");
	return sw_domains_new(&c, &d) < 0 || sw_domains_refresh(d) < 0 ? -1 : 0;
}

static int end(void **state)
{
	sw_domains_free(d);
	return remove_root(state);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(test_directory),
		TEST(test_foreign_directory),
		TEST(test_pool),
		TEST(test_title),
		TEST(test_lies),
		TEST(test_account),
		TEST(test_cut),
		TEST(test_jails),
		TEST(test_jail_paths),
		TEST(test_special_rows),
		TEST(test_texts),
		TEST(test_hostile_titles),
		TEST(test_mail_of_home),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
