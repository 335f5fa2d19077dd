/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All sources together: what is read when, who is believed, and how domains are found again. */
#include <fcntl.h>
#include <time.h>

#include "test_domain_util.h"

#define PASSWD	PASSWD_HEAD "alice:x:1001:1001::/home/alice:/bin/bash\n" \
		"bob:x:1002:1002::/home/bob:/bin/bash\n" \
		"git:x:998:998::/srv/git:/bin/sh\n" \
		"dev:x:1003:1003::/home/dev:/bin/bash\n"

static const char *name_of(const struct sw_domain *d)
{
	return d ? d->name : "(none)";
}

static void test_list(void **state)
{
	static const struct { const char *list; const char *bad; } rows[] = {
		{ "auto", NULL }, { "cpanel", NULL }, { "cpanel, php-fpm\thome", NULL },
		{ "cpanel cpanle", "cpanle" }, { "cpanel;home", "cpanel;home" }, { "", "" },
		{ " , ", "" }, { "auto cpanel", "auto" }, { "CPANEL", "CPANEL" },
	};
	struct sw_domains *d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_domains_config c = { .sources = rows[i].list };
		const char *bad = NULL;
		size_t len = 0;
		int want = rows[i].bad ? -EINVAL : 0;

		if (sw_domains_check_sources(rows[i].list, &bad, &len) != want)
			fail_msg("'%s'", rows[i].list);
		if (want) {
			assert_int_equal(len, strlen(rows[i].bad));
			assert_memory_equal(bad, rows[i].bad, len);
			assert_int_equal(sw_domains_new(&c, &d), -EINVAL);
		}
	}
	assert_int_equal(sw_domains_new(&(struct sw_domains_config){ .root = "/nonexistent" }, &d),
			 -ENOENT);
}

/* Only what the list names, found or not. */
static void test_forced(void **state)
{
	struct sw_domains *d;

	(void)state;
	put("/etc/passwd", PASSWD);
	put("/etc/trueuserdomains", "example.com: alice\n");
	put("/etc/virtual/domainowners", "shop.example: alice\n");
	d = open_domains(root, "directadmin nginx");
	assert_null(sw_domains_find(d, "example.com"));
	assert_non_null(sw_domains_find(d, "shop.example"));
	assert_true(source_state(d, "nginx").loaded);
	assert_false(source_state(d, "cpanel").wanted);
	sw_domains_free(d);
}

/* Nothing is known, and nothing fails: before the first refresh and on an empty machine. */
static void test_empty(void **state)
{
	struct sw_domains_config c = { .root = root };
	struct sw_domains *d;
	size_t n = 1;

	(void)state;
	assert_int_equal(sw_domains_new(&c, &d), 0);
	for (int i = 0; i < 2; i++) {
		assert_null(sw_domains_find(d, "example.com"));
		assert_null(sw_domains_of(d, "alice", &n));
		assert_int_equal(n, 0);
		assert_null(sw_domains_at(d, "/home/alice", NULL, NULL));
		assert_null(sw_domains_at_end(d, "alice/public_html", NULL));
		assert_null(sw_domains_pool(d, "www", "www-data", false));
		assert_null(sw_domains_login(d, 1001));
		assert_null(sw_domains_home(d, "/home/alice"));
		assert_true(sw_domains_is_shared(d, 1001));
		assert_int_equal(sw_domains_refresh(d), 0);
	}
	sw_domains_free(d);
	sw_domains_free(NULL);
}

static void test_trust(void **state)
{
	const struct sw_domain *got;
	struct sw_domains *d;

	(void)state;
	put("/etc/passwd", PASSWD);
	put("/etc/trueuserdomains", "example.com: alice\n");
	put("/etc/apache2/apache2.conf",
	    "<VirtualHost *:80>\nServerName example.com\nDocumentRoot /home/bob/www\n"
	    "SuexecUserGroup bob bob\n</VirtualHost>\n"
	    "<VirtualHost *:80>\nServerName other.example\nDocumentRoot /home/bob/other\n"
	    "</VirtualHost>\n<VirtualHost *:80>\nServerName web.example\nDocumentRoot /srv/w\n"
	    "SuexecUserGroup www-data www-data\n</VirtualHost>\n");
	d = open_domains(root, NULL);
	assert_int_equal(sw_domains_refresh_all(d), 0);
	got = sw_domains_find(d, "example.com");
	assert_string_equal(got->user, "alice");	/* the panel says so */
	assert_string_equal(got->source, "trueuserdomains");
	assert_null(got->docroot);			/* that of somebody else */
	assert_null(sw_domains_at(d, "/home/bob/www", NULL, NULL));
	assert_string_equal(sw_domains_find(d, "other.example")->user, "bob");	/* by its home */
	assert_null(sw_domains_find(d, "web.example")->user);			/* not www-data's */
	sw_domains_free(d);
}

/* Web servers are read only where the panel has no answer. */
static void test_late(void **state)
{
	struct sw_domains *d;

	(void)state;
	put("/etc/passwd", PASSWD);
	put("/etc/trueuserdomains", "example.com: alice\n");
	put("/etc/nginx/nginx.conf", "server { server_name late.example; root /srv/late; }\n");
	d = open_domains(root, NULL);
	assert_true(source_state(d, "nginx").wanted);
	assert_false(source_state(d, "nginx").loaded);
	assert_null(sw_domains_find(d, "late.example"));
	assert_true(sw_domains_look_further(d));
	assert_non_null(sw_domains_find(d, "late.example"));
	assert_non_null(sw_domains_find(d, "example.com"));
	assert_false(sw_domains_look_further(d));
	assert_int_equal(sw_domains_refresh(d), 0);
	assert_non_null(sw_domains_find(d, "late.example"));
	sw_domains_free(d);

	put("/etc/trueuserdomains", "");	/* a panel without accounts has no answers */
	d = open_domains(root, NULL);
	assert_non_null(sw_domains_find(d, "late.example"));
	sw_domains_free(d);
}

/* Changes are seen at the next refresh, and only then. */
static void test_refresh(void **state)
{
	struct sw_domains *d;

	(void)state;
	put("/etc/passwd", PASSWD);
	put("/etc/trueuserdomains", "example.com: alice\n");
	d = open_domains(root, NULL);
	put("/etc/trueuserdomains", "example.org: alice\n");	/* same size, same moment */
	assert_non_null(sw_domains_find(d, "example.com"));
	assert_int_equal(sw_domains_refresh(d), 0);
	assert_null(sw_domains_find(d, "example.com"));
	assert_non_null(sw_domains_find(d, "example.org"));
	/* A new account, a new source, one that goes. */
	put("/etc/passwd", PASSWD "new:x:1009:1009::/home/new:/bin/sh\n");
	assert_int_equal(sw_domains_refresh(d), 0);
	assert_string_equal(sw_domains_login(d, 1009)->name, "new");
	put("/etc/virtual/domainowners", "shop.example: new\n");
	assert_int_equal(sw_domains_refresh(d), 0);
	assert_int_equal(sw_domains_find(d, "shop.example")->uid, 1009);
	assert_int_equal(unlink(below("/etc/virtual/domainowners")), 0);
	assert_int_equal(sw_domains_refresh(d), 0);
	assert_null(sw_domains_find(d, "shop.example"));
	assert_false(source_state(d, "directadmin").wanted);
	sw_domains_free(d);
}

/* A refresh without changes reads nothing: structures stay where they are. */
static void test_unchanged(void **state)
{
	static const struct timespec settle = { .tv_nsec = 150000000 };
	const struct sw_domain *before;
	struct sw_domains *d;

	(void)state;
	put("/etc/passwd", PASSWD);
	put("/etc/virtual/domainowners", "example.com: dev\n");
	nanosleep(&settle, NULL);
	d = open_domains(root, NULL);
	before = sw_domains_find(d, "example.com");
	assert_int_equal(sw_domains_refresh(d), 0);
	assert_ptr_equal(sw_domains_find(d, "example.com"), before);
	/* An account moves: so do its document roots, though their source has not changed. */
	put("/etc/passwd", PASSWD_HEAD "dev:x:1003:1003::/home2/dev:/bin/sh\n");
	assert_int_equal(sw_domains_refresh(d), 0);
	assert_string_equal(sw_domains_find(d, "example.com")->docroot,
			    "/home2/dev/domains/example.com/public_html");
	sw_domains_free(d);
}

static void test_find(void **state)
{
	const struct sw_domain *const *list;
	struct sw_domains *d;
	size_t n;

	(void)state;
	d = open_domains(FIXTURES "cpanel", NULL);
	assert_string_equal(name_of(sw_domains_find(d, "EXAMPLE.com.")), "example.com");
	assert_null(sw_domains_find(d, "*"));
	assert_null(sw_domains_find(d, "nothing.example"));
	list = sw_domains_of(d, "alice", &n);
	assert_int_equal(n, 6);
	assert_string_equal(list[0]->name, "example.com");
	assert_string_equal(list[1]->name, "shop.example.com");
	assert_string_equal(list[n - 1]->name, "parked.example");
	assert_int_equal(sw_domains_count_sites(d, "alice"), 5);
	assert_int_equal(sw_domains_count_sites(d, "nobody"), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(list[i]->uid, 1001);
	sw_domains_free(d);
}

static void check_at(struct sw_domains *d, const char *path, const char *user, const char *want)
{
	const char *got = name_of(sw_domains_at(d, path, user, NULL));

	if (strcmp(got, want) != 0)
		fail_msg("%s of %s: %s", path, user ?: "anybody", got);
}

static void test_at(void **state)
{
	static const struct { const char *path, *user, *want; } rows[] = {
		{ "/home/alice/public_html", NULL, "example.com" },
		{ "/home/alice/public_html/wp/x.php", NULL, "example.com" },
		{ "/home/alice/public_html/wiki/a", NULL, "wiki.example.com" },
		{ "/home/alice/public_html/wiki2", NULL, "example.com" },
		{ "/home/alice/public_htm", NULL, "(none)" },
		{ "/home/alice/shop", NULL, "shop.example.com" },	/* rather than the sub */
		{ "/home/alice", NULL, "(none)" },
		{ "/home2/bob/public_html", NULL, "bob.example" },
		{ "/home2/bob/public_html", "bob", "bob.example" },
		{ "/home2/bob/public_html", "alice", "(none)" },
		{ "/home/alice/public_html", "bob", "(none)" },
		{ "/", NULL, "(none)" }, { "", NULL, "(none)" }, { "relative", NULL, "(none)" },
	};
	struct sw_domains *d;

	(void)state;
	d = open_domains(FIXTURES "cpanel", "cpanel");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check_at(d, rows[i].path, rows[i].user, rows[i].want);
	sw_domains_free(d);
}

/* Two sites with the same end are told apart by what comes before, if that is there. */
static void test_at_end_of_many(void **state)
{
	static char text[3000 * 64];
	struct sw_domains *d;
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 3000; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"n%04d.example: u%04d==root==main==x==/home/u%04d/www==\n", i, i,
					i);
	put("/etc/userdatadomains", text);
	d = open_domains(root, NULL);
	assert_string_equal(name_of(sw_domains_at_end(d, "1234/www/x", NULL)), "n1234.example");
	assert_string_equal(name_of(sw_domains_at_end(d, "u0000/www", NULL)), "n0000.example");
	assert_string_equal(name_of(sw_domains_at_end(d, "/home/u2999/www/x", NULL)), "n2999.example");
	assert_null(sw_domains_at_end(d, "34/www/x", NULL));	/* 0034, 0134, ... */
	assert_null(sw_domains_at_end(d, "/www/x", NULL));
	assert_null(sw_domains_at_end(d, "x/home/u2999/www/x", NULL));
	assert_string_equal(name_of(sw_domains_at_end(d, "/www/x", "u0007")), "n0007.example");
	sw_domains_free(d);
}

static void test_at_end(void **state)
{
	static const struct { const char *rest, *user, *want; } rows[] = {
		{ "ice/public_html/wp-login.php", "alice", "example.com" },
		{ "ice/public_html/wp-login.php", NULL, "example.com" },
		{ "/public_html/wiki/a.php", "alice", "wiki.example.com" },
		{ "html/wiki/a.php", NULL, "wiki.example.com" },
		{ "alice/shop/x.php", NULL, "shop.example.com" },
		{ "html/x.php", NULL, "(none)" },	/* example.com or bob.example */
		{ "html/x.php", "bob", "bob.example" },
		{ "ice/public_html/x.php", "bob", "(none)" },
		{ "/home/alice/public_html/x.php", NULL, "example.com" },
		{ "/home/alice/x.php", NULL, "(none)" },
		{ "x/home/alice/public_html/x.php", NULL, "(none)" },
		{ "", NULL, "(none)" }, { "/", NULL, "(none)" }, { "//", NULL, "(none)" },
		{ "ice/public_htm", NULL, "(none)" },
	};
	struct sw_domains *d;

	(void)state;
	d = open_domains(FIXTURES "cpanel", "cpanel");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got = name_of(sw_domains_at_end(d, rows[i].rest, rows[i].user));

		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s of %s: %s", rows[i].rest, rows[i].user ?: "anybody", got);
	}
	sw_domains_free(d);
}

/* Where links of document roots lead is the same site, unless they lead into another home. */
static void test_links(void **state)
{
	struct sw_domains *d;

	(void)state;
	put("/etc/passwd", PASSWD);
	put("/etc/userdatadomains",
	    "alice.example: alice==root==main==x==/home/alice/www==\n"
	    "thief.example: alice==root==addon==x==/home/alice/thief==\n"
	    "all.example: alice==root==addon==x==/home/alice/all==\n"
	    "bob.example: bob==root==main==x==/home/bob/site==\n");
	put("/etc/nginx/nginx.conf", "server { server_name linked.example; root /srv/linked; }\n");
	put("/data/linked/x/index.php", "");
	put("/data/alice/x/index.php", "");
	put("/home/bob/site/x", "");
	put("/home/bob/mail/x", "");
	put_link("/srv/linked", "/data/linked");
	put_link("/home/alice/www", "/data/alice");
	put_link("/home/alice/thief", "../bob/mail");
	put_link("/home/alice/all", "/home");
	d = open_domains(root, NULL);
	assert_int_equal(sw_domains_refresh_all(d), 0);
	check_at(d, "/srv/linked/x", NULL, "linked.example");
	check_at(d, "/data/linked/x", NULL, "linked.example");
	check_at(d, "/data/linkedx", NULL, "(none)");
	check_at(d, "/data/alice/x", NULL, "alice.example");
	check_at(d, "/data/alice/x", "alice", "alice.example");
	check_at(d, "/data/alice/x", "bob", "(none)");
	check_at(d, "/home/bob/site/x", NULL, "bob.example");
	check_at(d, "/home/bob/mail/x", NULL, "(none)");	/* in another's home */
	check_at(d, "/home/bob/mail/x", "alice", "(none)");
	check_at(d, "/home/dev/x", "alice", "(none)");		/* above all homes */
	sw_domains_free(d);
}

/* A link to a place within another site of the account: the longer one is meant. */
static void test_link_into_site(void **state)
{
	struct sw_domains *d;

	(void)state;
	put("/etc/passwd", PASSWD);
	put("/etc/userdatadomains", "alice.example: alice==root==main==x==/home/alice/www==\n"
				    "inner.example: alice==root==addon==x==/home/alice/inner==\n"
				    "outer.example: alice==root==addon==x==/home/alice/outer==\n");
	put("/home/alice/www/deep/er/index.php", "");
	put_link("/home/alice/inner", "www/deep");
	put_link("/home/alice/outer", "www");
	d = open_domains(root, NULL);
	check_at(d, "/home/alice/www/deep/er", "alice", "inner.example");
	check_at(d, "/home/alice/www/deep/er", NULL, "inner.example");
	check_at(d, "/home/alice/www/other", NULL, "alice.example");
	sw_domains_free(d);
}

/* Several domains in one place: each account finds its own, others the most telling one. */
static void test_same_docroot(void **state)
{
	static char text[2000 * 64];
	struct sw_domains *d;
	size_t len = 0;

	(void)state;
	put("/etc/passwd", PASSWD);
	for (int i = 0; i < 2000; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"n%04d.example: bob==root==%s==x==/srv/www==\n", i,
					i == 1500 ? "main" : i % 2 ? "parked" : "addon");
	snprintf(text + len, sizeof(text) - len, "own.example: alice==root==sub==x==/srv/www==\n");
	put("/etc/userdatadomains", text);
	d = open_domains(root, NULL);
	assert_string_equal(name_of(sw_domains_at(d, "/srv/www/x", NULL, NULL)), "n1500.example");
	assert_string_equal(name_of(sw_domains_at(d, "/srv/www/x", "alice", NULL)), "own.example");
	assert_null(sw_domains_at(d, "/srv/www/x", "dev", NULL));
	sw_domains_free(d);
}

static void test_shared(void **state)
{
	static const struct { uint32_t uid; bool want; } rows[] = {
		{ 0, true }, { 33, true }, { 65534, true },
		{ 1001, false }, { 1003, false },
		{ 998, true },		/* a system account without a site */
		{ 4242, true },		/* no account */
	};
	struct sw_domains *d;

	(void)state;
	put("/etc/passwd", PASSWD);
	put("/etc/trueuserdomains", "example.com: alice\nbad.example: root\nw.example: www-data\n");
	d = open_domains(root, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (sw_domains_is_shared(d, rows[i].uid) != rows[i].want)
			fail_msg("%u", rows[i].uid);
	sw_domains_free(d);
	put("/etc/trueuserdomains", "git.example: git\n");
	d = open_domains(root, NULL);
	assert_false(sw_domains_is_shared(d, 998));
	sw_domains_free(d);

	put("/etc/login.defs", "UID_MIN 500\n");	/* an old Enterprise Linux */
	put("/etc/passwd", PASSWD_HEAD "old:x:501:501::/home/old:/bin/sh\n");
	put("/etc/trueuserdomains", "");
	d = open_domains(root, NULL);
	assert_false(sw_domains_is_shared(d, 501));
	sw_domains_free(d);
}

static void test_logins(void **state)
{
	struct sw_domains *d;
	const struct sw_login *l;

	(void)state;
	put("/etc/passwd",
	    PASSWD
	    "second:x:1001:1001::/home/alice:/bin/sh\n"	/* the first line counts */
	    "jailed:x:1010:1010::/home/jail/./home/jailed:/usr/sbin/jk_chrootsh\n"
	    "nohome:x:1011:1011:::/bin/sh\n"
	    "broken:x:10x:1:::\n" "too:few:fields\n" "evil/name:x:1012:1::/home/e:/bin/sh\n"
	    "+::::::\n# comment\n" "big:x:4294967295:1::/home/big:/bin/sh\n"
	    "up:x:1013:1013::/home/../etc:/bin/sh\n");
	d = open_domains(root, NULL);
	assert_string_equal(sw_domains_login(d, 1001)->name, "alice");
	l = sw_domains_login(d, 1010);
	assert_string_equal(l->home, "/home/jail/home/jailed");
	assert_string_equal(l->jail, "/home/jail");
	assert_string_equal(sw_domains_login(d, 1011)->home, "");
	assert_string_equal(sw_domains_login(d, 1013)->home, "");
	assert_null(sw_domains_login(d, 1012));
	assert_null(sw_domains_login_named(d, "broken"));
	assert_string_equal(sw_domains_home(d, "/home/alice/x/y")->name, "alice");
	assert_string_equal(sw_domains_home(d, "/home/jail/home/jailed")->name, "jailed");
	assert_null(sw_domains_home(d, "/home/alicex"));
	assert_null(sw_domains_home(d, "/home"));
	assert_null(sw_domains_home(d, "/var/www/html"));	/* the web server's */
	assert_null(sw_domains_home(d, "/srv/git/x"));		/* a system account's */
	sw_domains_free(d);
}

static void test_pool(void **state)
{
	static const struct { const char *name, *user; bool own; const char *want; } rows[] = {
		{ "alice.example", "alice", true, "alice.example" },
		{ "alice_example", "alice", true, "alice.example" },	/* as cPanel writes it */
		{ "shop_example", "alice", true, "shop.example" },
		{ "alice", "alice", true, "(none)" },	/* the account's as a whole */
		{ "bob", "bob", true, "bob.example" },
		{ "jailed", "bob", true, "bob.example" },
		{ "alice.example", "bob", true, "(none)" },		/* not his */
		{ "alice.example", "www-data", false, "(none)" },	/* never runs as that */
		{ "www", "www-data", false, "shared.example" },	/* by the socket */
		{ "www", "alice", true, "(none)" },
		{ "several", "www-data", false, "(none)" },		/* two sites use it */
		{ "by-directory", "www-data", false, "dir.example" },
		{ "nothing", "alice", true, "(none)" }, { "nothing", "", false, "(none)" },
	};
	struct sw_domains *d;

	(void)state;
	put("/etc/passwd", PASSWD);
	put("/etc/php/8.2/fpm/pool.d/a.conf",
	    "[alice.example]\nuser = alice\n[alice]\nuser = alice\n"
	    "[bob]\nuser = bob\nchdir = /home/bob/www\n"
	    "[jailed]\nuser = bob\nchroot = /home/bob\nchdir = /www\n"
	    "[www]\nuser = www-data\nlisten = /run/php/www.sock\n"
	    "[several]\nuser = www-data\nlisten = /run/php/several.sock\n"
	    "[by-directory]\nuser = www-data\nchdir = /srv/dir/sub\n");
	put("/etc/php/7.4/fpm/pool.d/shop.example.conf", "[shop_example]\nuser = alice\n");
	put("/etc/nginx/nginx.conf",
	    "server { server_name shared.example; root /srv/shared;\n"
	    "fastcgi_pass unix:/run/php/www.sock; }\n"
	    "server { server_name one.example; fastcgi_pass unix:/run/php/several.sock; }\n"
	    "server { server_name two.example; fastcgi_pass unix:/run/php/several.sock; }\n"
	    "server { server_name dir.example; root /srv/dir; }\n"
	    "server { server_name bob.example; root /home/bob/www; }\n");
	d = open_domains(root, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *got = name_of(sw_domains_pool(d, rows[i].name, rows[i].user,
							  rows[i].own));

		if (strcmp(got, rows[i].want) != 0)
			fail_msg("%s of %s: %s", rows[i].name, rows[i].user, got);
	}
	sw_domains_free(d);
}

/* Files of a site without any other hint belong to whom the file system says. */
static void test_owner_of_files(void **state)
{
	struct sw_domains *d;

	(void)state;
	if (geteuid() != 0)
		skip();
	put("/etc/passwd", PASSWD);
	put("/etc/nginx/nginx.conf", "server { server_name a.example; root /srv/a; }\n"
				     "server { server_name w.example; root /srv/w; }\n");
	put_directory("/srv/a");
	put_directory("/srv/w");
	assert_int_equal(chown(below("/srv/a"), 1003, 1003), 0);
	assert_int_equal(chown(below("/srv/w"), 33, 33), 0);
	d = open_domains(root, NULL);
	assert_string_equal(sw_domains_find(d, "a.example")->user, "dev");
	assert_null(sw_domains_find(d, "w.example")->user);
	sw_domains_free(d);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		TEST(test_list),
		TEST(test_forced),
		TEST(test_empty),
		TEST(test_trust),
		TEST(test_late),
		TEST(test_refresh),
		TEST(test_unchanged),
		TEST(test_find),
		TEST(test_at),
		TEST(test_at_end),
		TEST(test_at_end_of_many),
		TEST(test_links),
		TEST(test_link_into_site),
		TEST(test_same_docroot),
		TEST(test_shared),
		TEST(test_logins),
		TEST(test_pool),
		TEST(test_owner_of_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
