/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Every source on a fixture in its own format, with broken and hostile lines in it. */
#include <signal.h>
#include <sqlite3.h>
#include <time.h>

#include "test_domain_util.h"

struct want {
	const char *name, *user, *docroot, *source;
	enum sw_domain_kind kind;
};

#define NOT_THERE "-"
#define ABSENT(name) { name, NOT_THERE, NULL, NULL, SW_DOMAIN_MAIN }	/* must not be known */

static void check(const struct sw_domains *d, const struct want *w)
{
	const struct sw_domain *got = sw_domains_find(d, w->name);

	if (w->user && !strcmp(w->user, NOT_THERE)) {
		if (got)
			fail_msg("%s is known, from %s", w->name, got->source);
		return;
	}
	if (!got)
		fail_msg("%s is not known", w->name);
	if (strcmp(got->user ?: "(none)", w->user ?: "(none)") != 0)
		fail_msg("%s is of %s", w->name, got->user);
	if (strcmp(got->docroot ?: "(none)", w->docroot ?: "(none)") != 0)
		fail_msg("%s is in %s", w->name, got->docroot);
	if (strcmp(got->source, w->source) != 0)
		fail_msg("%s is from %s", w->name, got->source);
	if (got->kind != w->kind)
		fail_msg("%s is of kind %d", w->name, got->kind);
}

static void check_all(const char *dir, const char *source, const struct want *w, size_t n,
		      uint64_t bad)
{
	struct sw_domains *d = open_domains(dir, source);
	struct sw_domain_source_state s = source_state(d, source);

	for (size_t i = 0; i < n; i++)
		check(d, &w[i]);
	if (s.bad != bad)
		fail_msg("%s: %llu bad lines, first %s:%u", source, (unsigned long long)s.bad,
			 s.bad_file, s.bad_line);
	assert_true(s.loaded && !s.full);
	sw_domains_free(d);
}

#define CHECK(dir, source, rows, bad) check_all(dir, source, rows, ARRAY_SIZE(rows), bad)

/* How many domains an account has. */
static size_t count(const struct sw_domains *d, const char *user)
{
	size_t n;

	(void)sw_domains_of(d, user, &n);
	return n;
}

static void test_cpanel(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "alice", "/home/alice/public_html", "trueuserdomains", SW_DOMAIN_MAIN },
		{ "bob.example", "bob", "/home2/bob/public_html", "trueuserdomains", SW_DOMAIN_MAIN },
		{ "shop.example.com", "alice", "/home/alice/shop", "userdomains", SW_DOMAIN_ADDON },
		{ "shop-example-com.example.com", "alice", "/home/alice/shop", "userdatadomains",
		  SW_DOMAIN_SUB },
		{ "wiki.example.com", "alice", "/home/alice/public_html/wiki", "userdomains",
		  SW_DOMAIN_SUB },
		{ "parked.example", "alice", "/home/alice/public_html", "userdomains", SW_DOMAIN_ALIAS },
		{ "xn--bcher-kva.example", "alice", NULL, "userdomains", SW_DOMAIN_ADDON },
		{ "crlf.example", "bob", NULL, "userdomains", SW_DOMAIN_ADDON },
		{ "last.example", "bob", NULL, "userdomains", SW_DOMAIN_ADDON },
		{ "escape.example", "bob", NULL, "userdatadomains", SW_DOMAIN_ADDON },
		{ "relative.example", "bob", NULL, "userdatadomains", SW_DOMAIN_ADDON },
		{ "carol.example", "carol", NULL, "cpanel", SW_DOMAIN_MAIN },
		{ "carol-shop.example", "carol", NULL, "cpanel", SW_DOMAIN_ADDON },
		ABSENT("short.example"), ABSENT("good.example"),
		ABSENT("no.example"),	ABSENT("server.example"),
		ABSENT("not-read.example"), /* alice's main domain is known: her file is not read */
		ABSENT("nul"),		ABSENT("-begins.example"),
	};

	(void)state;
	CHECK(FIXTURES "cpanel", "cpanel", rows, 11);
}

static void test_directadmin(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "alice", "/home/alice/domains/example.com/public_html", "domainowners",
		  SW_DOMAIN_ADDON },
		{ "shop.example", "alice", "/home/alice/domains/shop.example/public_html",
		  "domainowners", SW_DOMAIN_MAIN },
		{ "bob.example", "bob", "/home2/bob/domains/bob.example/public_html", "domainowners",
		  SW_DOMAIN_ADDON },
		{ "dave.example", "dave", "/home/dave/domains/dave.example/public_html", "directadmin",
		  SW_DOMAIN_MAIN },
		{ "dave-shop.example", "dave", "/home/dave/domains/dave-shop.example/public_html",
		  "directadmin", SW_DOMAIN_ADDON },
		ABSENT("not-read.example"),
	};
	struct sw_domains *d;
	const struct sw_domain *found;
	const char *docroot;

	(void)state;
	CHECK(FIXTURES "directadmin", "directadmin", rows, 3);
	d = open_domains(FIXTURES "directadmin", "directadmin");
	found = sw_domains_at(d, "/home/alice/domains/shop.example/private_html/x", NULL, &docroot);
	assert_string_equal(found->name, "shop.example");
	assert_string_equal(docroot, "/home/alice/domains/shop.example/private_html");
	sw_domains_free(d);
}

static void test_plesk(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "web_example", "/var/www/vhosts/example.com/httpdocs", "plesk",
		  SW_DOMAIN_MAIN },
		{ "bob.example", "bob_sys", "/var/www/vhosts/bob.example/httpdocs", "plesk",
		  SW_DOMAIN_MAIN },
		{ "shop.example", "web_example", "/var/www/vhosts/example.com/shop.example", "plesk",
		  SW_DOMAIN_ADDON },
		{ "www.example.com", "web_example", "/var/www/vhosts/example.com/httpdocs", "plesk",
		  SW_DOMAIN_ALIAS },
		{ "ipv4.example.com", "web_example", "/var/www/vhosts/example.com/httpdocs", "plesk",
		  SW_DOMAIN_ALIAS },
		ABSENT("not_a_domain"),
	};

	(void)state;
	CHECK(FIXTURES "plesk", "plesk", rows, 0);
}

/* A program that says what "plesk db" would. */
static void put_program(const char *script, mode_t mode)
{
	put("/usr/sbin/plesk", script);
	assert_int_equal(chmod(below("/usr/sbin/plesk"), mode), 0);
	assert_int_equal(chmod(root, 0755), 0);
}

#define SAYS	"#!/bin/sh\n" \
		"[ \"$1 $2\" = 'db -Ne' ] && [ $# -eq 3 ] || exit 1\n" \
		"case $3 in 'SELECT '*sys_user_id) ;; *) exit 1 ;; esac\n" \
		"printf 'example.com\\talice\\t/var/www/vhosts/example.com/httpdocs\\t0\\n'\n" \
		"printf 'shop.example\\talice\\t/var/www/vhosts/example.com/shop\\t1\\n'\n" \
		"printf 'bad row\\nb.example\\tx\\t/y\\tz\\n<b>\\talice\\t/x\\t0\\n\\n'\n"

static void test_plesk_database(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "alice", "/var/www/vhosts/example.com/httpdocs", "plesk",
		  SW_DOMAIN_MAIN },
		{ "shop.example", "alice", "/var/www/vhosts/example.com/shop", "plesk",
		  SW_DOMAIN_ADDON },
		ABSENT("b.example"),
	};

	(void)state;
	put_program(SAYS, 0755);
	CHECK(root, "plesk", rows, 3);
}

/* What is not ours to run, or fails: no domains, and one bad line to tell so. */
static void test_plesk_program(void **state)
{
	static const struct { const char *script; mode_t mode; } rows[] = {
		{ SAYS, 0775 }, { SAYS, 0757 }, { SAYS, 0644 },
		{ SAYS "exit 1\n", 0755 },
		{ SAYS "kill -9 $$\n", 0755 },
		{ "no program", 0755 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_domains *d;

		put_program(rows[i].script, rows[i].mode);
		d = open_domains(root, "plesk");
		assert_null(sw_domains_find(d, "example.com"));
		assert_int_equal(source_state(d, "plesk").bad, 1);
		assert_string_equal(source_state(d, "plesk").bad_file, "/usr/sbin/plesk");
		sw_domains_free(d);
	}
}

static int take_pid(struct sw_reading *r, char *line, void *data)
{
	(void)r;
	*(pid_t *)data = atoi(line);
	return 0;
}

static bool is_gone(pid_t pid)
{
	static const struct timespec pause = { .tv_nsec = 5000000 };

	for (int i = 0; i < 400 && kill(pid, 0) == 0; i++)
		nanosleep(&pause, NULL);
	return kill(pid, 0) < 0 && errno == ESRCH;
}

/* It never ends, or leaves something behind that does not: both are killed. */
static void test_program_time(void **state)
{
	static const struct { const char *script; uint64_t bad; } rows[] = {
		{ "#!/bin/sh\nsleep 60 & echo $!\nwait\n", 1 },
		{ "#!/bin/sh\nsleep 60 & echo $!\n", 0 },
		{ "#!/bin/sh\necho $$; exec sleep 60\n", 1 },
	};
	static const char *const argv[] = { "plesk", NULL };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_root prefix;
		struct sw_reading r = { .root = &prefix };
		int64_t begin = sw_domain_now_ms();
		pid_t pid = 0;

		put_program(rows[i].script, 0755);
		assert_int_equal(sw_root_open(root, &prefix), 0);
		assert_int_equal(sw_domain_run(&r, "/usr/sbin/plesk", argv, 300, take_pid, &pid), 0);
		assert_int_equal(r.bad, rows[i].bad);
		assert_true(sw_domain_now_ms() - begin < 5000);
		assert_true(rows[i].bad || (pid > 1 && is_gone(pid)));
		sw_reading_free(&r);
		sw_root_close(&prefix);
	}
}

/* Below a prefix it is not our program: it gets no privilege. */
static void test_plesk_privilege(void **state)
{
	struct sw_domains *d;

	(void)state;
	if (geteuid() != 0)
		skip();
	put_program("#!/bin/sh\nprintf 'uid%s.example\\talice\\t/x\\t0\\n' \"$(id -u)-$(id -g)\"\n"
		    "printf 'env.example\\t%s\\t/x\\t0\\n' \"$(env | grep -c .)\"\n", 0755);
	d = open_domains(root, "plesk");
	assert_non_null(sw_domains_find(d, "uid65534-65534.example"));
	sw_domains_free(d);
}

static void test_hestia(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "alice", "/home/alice/web/example.com/public_html", "hestia",
		  SW_DOMAIN_MAIN },
		{ "www.example.com", "alice", NULL, "hestia", SW_DOMAIN_ALIAS },
		{ "shop.example", "alice", "/home/alice/web/shop.example/public_html", "hestia",
		  SW_DOMAIN_ADDON },
		{ "store.example", "alice", NULL, "hestia", SW_DOMAIN_ALIAS },
		{ "evil.example", "alice", "/home/alice/web/evil.example/public_html", "hestia",
		  SW_DOMAIN_ADDON },
		{ "fine.example", "alice", NULL, "hestia", SW_DOMAIN_ALIAS },
		{ "bob.example", "bob", "/home/bob/web/bob.example/public_html", "hestia",
		  SW_DOMAIN_MAIN },
		{ "eve.example", "eve", "/home/eve/web/eve.example/public_html", "hestia",
		  SW_DOMAIN_MAIN },
		ABSENT("wrong.example"),		ABSENT("unfinished.example"),
		ABSENT("www.nobody.example"),	ABSENT("none"),
	};
	struct sw_domains *d;

	(void)state;
	CHECK(FIXTURES "hestia", "hestia", rows, 4);
	d = open_domains(FIXTURES "hestia", "hestia");
	assert_string_equal(sw_domains_at(d, "/home/alice/web/shop.example/public_html/public/x", NULL,
					  NULL)->name, "shop.example");
	assert_string_equal(sw_domains_at(d, "/home/eve/web/eve.example/public_shtml", NULL, NULL)->name,
			    "eve.example");
	assert_int_equal(sw_domains_count_sites(d, "alice"), 3);
	assert_int_equal(count(d, "alice"), 7);
	sw_domains_free(d);
}

static void test_virtualmin(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "alice", "/home/alice/public_html", "virtualmin", SW_DOMAIN_MAIN },
		{ "shop.example", "alice", "/home/alice/domains/shop.example/public_html", "virtualmin",
		  SW_DOMAIN_ADDON },
		{ "alias.example", "alice", NULL, "virtualmin", SW_DOMAIN_ALIAS },
		{ "escape.example", "alice", NULL, "virtualmin", SW_DOMAIN_MAIN },
	};
	struct sw_domains *d;

	(void)state;
	CHECK(FIXTURES "virtualmin", "virtualmin", rows, 2);
	d = open_domains(FIXTURES "virtualmin", "virtualmin");
	assert_int_equal(sw_domains_find(d, "shop.example")->uid, 1001);
	assert_string_equal(sw_domains_find(d, "shop.example")->pool, "1700000000200");
	sw_domains_free(d);
}

static void test_ispconfig(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "web5", "/var/www/example.com/web", "ispconfig", SW_DOMAIN_ADDON },
		{ "www.example.com", "web5", "/var/www/example.com/web", "ispconfig", SW_DOMAIN_ALIAS },
		{ "other.example", "web6", "/var/www/other.example/web", "ispconfig", SW_DOMAIN_ADDON },
		{ "gone.example", "web7", "/var/www/gone.example/web", "ispconfig", SW_DOMAIN_ADDON },
		ABSENT("elsewhere.example"), ABSENT("escape.example"),
	};
	struct sw_domains *d;

	(void)state;
	CHECK(FIXTURES "ispconfig", "ispconfig", rows, 0);
	d = open_domains(FIXTURES "ispconfig", "ispconfig");
	assert_string_equal(sw_domains_at(d, "/var/www/clients/client1/web5/web/wp", NULL, NULL)->name,
			    "example.com");
	assert_string_equal(sw_domains_at(d, "/var/www/other.example/web", NULL, NULL)->name,
			    "other.example");
	/* Its directory is gone, and with it where the link leads. */
	assert_string_equal(sw_domains_at(d, "/var/www/clients/client3/web7/web/x", NULL, NULL)->name,
			    "gone.example");
	assert_int_equal(sw_domains_find(d, "other.example")->uid, 5006);
	sw_domains_free(d);
}

static void test_cyberpanel(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "examp4821", "/home/example.com/public_html", "cyberpanel",
		  SW_DOMAIN_MAIN },
		{ "www.example.com", "examp4821", NULL, "cyberpanel", SW_DOMAIN_ALIAS },
		{ "shop.example", "examp4821", "/home/example.com/shop.example", "cyberpanel",
		  SW_DOMAIN_ADDON },
		{ "www.shop.example", "examp4821", NULL, "cyberpanel", SW_DOMAIN_ALIAS },
		{ "bob.example", "bobex1234", "/home/bob.example/public_html", "cyberpanel",
		  SW_DOMAIN_MAIN },
		{ "www.bob.example", "bobex1234", NULL, "cyberpanel", SW_DOMAIN_ALIAS },
		ABSENT("not_a_domain"), ABSENT("example"),
	};

	(void)state;
	CHECK(FIXTURES "cyberpanel", "cyberpanel", rows, 1);
}

/* Homes alone: the domain where the home is named after one, not where the login is. */
static void test_home(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "examp4821", NULL, "home", SW_DOMAIN_MAIN },
		{ "bob.example", "bobex1234", NULL, "home", SW_DOMAIN_MAIN },
		ABSENT("john.doe"),
	};

	(void)state;
	CHECK(FIXTURES "cyberpanel", "home", rows, 0);
}

#define CLP "/home/clp/htdocs/app/data/db.sq3"
#define CLP_TABLE "CREATE TABLE site (id INTEGER PRIMARY KEY, domain_name VARCHAR(255), " \
		  "type VARCHAR(255), user VARCHAR(255), root_directory VARCHAR(255));"
#define CLP_ROWS "INSERT INTO site VALUES " \
		 "(1, 'example.com', 'php', 'example-user', 'example.com'), " \
		 "(2, 'app.example', 'php', 'example-user', 'app.example/public'), " \
		 "(3, 'bad domain', 'php', 'example-user', 'x'), (4, NULL, 'php', 'x', 'x'), " \
		 "(5, 'nul.example' || char(0) || 'x', 'php', 'x', 'x'), " \
		 "(6, 'user.example', 'php', 'no/login', 'x'), (7, 'up.example', 'php', 'bob', '../x'), " \
		 "(8, 'empty.example', 'static', 'bob', '');"

static sqlite3 *put_database(const char *sql)
{
	sqlite3 *db = NULL;

	make_way(CLP);
	assert_int_equal(sqlite3_open(below(CLP), &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static size_t files_beside_database(void)
{
	static const char *const ends[] = { "-wal", "-shm", "-journal" };
	char path[PATH_MAX];
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		snprintf(path, sizeof(path), "%s%s", below(CLP), ends[i]);
		n += access(path, F_OK) == 0;
	}
	return n;
}

static const struct want cloudpanel_rows[] = {
	{ "example.com", "example-user", "/home/example-user/htdocs/example.com", "cloudpanel",
	  SW_DOMAIN_ADDON },
	{ "app.example", "example-user", "/home/example-user/htdocs/app.example/public", "cloudpanel",
	  SW_DOMAIN_ADDON },
	{ "empty.example", "bob", "/home/bob/htdocs/empty.example", "cloudpanel", SW_DOMAIN_ADDON },
	{ "up.example", "bob", NULL, "cloudpanel", SW_DOMAIN_ADDON },
	ABSENT("nul.example"), ABSENT("user.example"),
};

static void test_cloudpanel(void **state)
{
	(void)state;
	put("/etc/passwd", PASSWD_HEAD);
	sqlite3_close(put_database(CLP_TABLE CLP_ROWS));
	CHECK(root, "cloudpanel", cloudpanel_rows, 4);
	assert_int_equal(files_beside_database(), 0);
}

/* The panel has it open, with what is new only in its log. */
static void test_cloudpanel_log(void **state)
{
	sqlite3 *db;

	(void)state;
	put("/etc/passwd", PASSWD_HEAD);
	db = put_database("PRAGMA journal_mode=WAL; " CLP_TABLE);
	assert_int_equal(sqlite3_exec(db, CLP_ROWS, NULL, NULL, NULL), SQLITE_OK);
	CHECK(root, "cloudpanel", cloudpanel_rows, 4);
	sqlite3_close(db);
	assert_int_equal(files_beside_database(), 0);
	CHECK(root, "cloudpanel", cloudpanel_rows, 4);
	assert_int_equal(files_beside_database(), 0);	/* reading has made none */
}

/* The panel is in the middle of writing: no lock of it stops the reader, nor does the reader's. */
static void test_cloudpanel_locked(void **state)
{
	sqlite3 *db;
	struct sw_domains *d;

	(void)state;
	put("/etc/passwd", PASSWD_HEAD);
	db = put_database(CLP_TABLE CLP_ROWS "BEGIN EXCLUSIVE;");
	d = open_domains(root, "cloudpanel");
	assert_non_null(sw_domains_find(d, "example.com"));
	assert_int_equal(sqlite3_exec(db, "INSERT INTO site VALUES (9,'n.example','php','bob','n');"
				      "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(sw_domains_refresh(d), 0);
	assert_non_null(sw_domains_find(d, "n.example"));
	sw_domains_free(d);
}

/* No database, no such table, a view that never ends, a link out of the root. */
static void test_cloudpanel_hostile(void **state)
{
	static const char *const sql[] = {
		"CREATE TABLE site (id INTEGER)",
		"CREATE TABLE other (id INTEGER)",
		"CREATE VIEW site AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
		"SELECT x AS id, 'no' AS domain_name, 'x' AS user, 'x' AS root_directory FROM c "
		"WHERE x < 0",
	};
	struct sw_domains *d;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sql); i++) {
		sqlite3_close(put_database(sql[i]));
		d = open_domains(root, "cloudpanel");
		assert_int_equal(source_state(d, "cloudpanel").bad, 1);
		assert_int_equal(source_state(d, "cloudpanel").records, 0);
		sw_domains_free(d);
		assert_int_equal(unlink(below(CLP)), 0);
	}
	put(CLP, "SQLite format 3\0 and then nothing of the kind");
	d = open_domains(root, "cloudpanel");
	assert_int_equal(source_state(d, "cloudpanel").bad, 1);
	sw_domains_free(d);
}

static void test_apache(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "alice", "/home/alice/www/example site", "apache", SW_DOMAIN_ADDON },
		{ "www.example.com", "alice", "/home/alice/www/example site", "apache",
		  SW_DOMAIN_ALIAS },
		{ "static.example.com", "alice", "/home/alice/www/example site", "apache",
		  SW_DOMAIN_ALIAS },
		{ "bob.example", "bob", "/srv/sites/bob", "apache", SW_DOMAIN_ADDON },
		{ "extra.example", "alice", "/srv/extra", "apache", SW_DOMAIN_ADDON },
		{ "whole-machine.example", NULL, NULL, "apache", SW_DOMAIN_ADDON },
		{ "all-homes.example", NULL, "/home", "apache", SW_DOMAIN_ADDON },
		ABSENT("unclosed.example"), ABSENT("192.0.2.7"),
		ABSENT("evil.example"),
	};
	struct sw_domains *d;

	(void)state;
	d = open_domains(FIXTURES "apache", "apache");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		check(d, &rows[i]);
	/* Neither the whole machine nor all homes are one site. */
	assert_null(sw_domains_at(d, "/home/alice/mail", NULL, NULL));
	assert_null(sw_domains_at(d, "/etc", NULL, NULL));
	assert_null(sw_domains_at(d, "/home/alice/macro", NULL, NULL));
	/* It includes itself: that ends. */
	assert_true(source_state(d, "apache").files < 200);
	assert_string_equal(source_state(d, "apache").bad_file,
			    "/etc/apache2/sites-enabled/itk.conf");
	assert_int_equal(source_state(d, "apache").bad_line, 16);
	sw_domains_free(d);
}

static void test_nginx(void **state)
{
	static const struct want rows[] = {
		{ "example.com", "alice", "/home/alice/www", "nginx", SW_DOMAIN_ADDON },
		{ "www.example.com", "alice", "/home/alice/www", "nginx", SW_DOMAIN_ALIAS },
		{ "bob.example", "bob", "/home/bob/www", "nginx", SW_DOMAIN_ADDON },
		{ "quoted.example", NULL, "/srv/with space", "nginx", SW_DOMAIN_ADDON },
		{ "closes.example", NULL, "/srv/closes", "nginx", SW_DOMAIN_ADDON },
		{ "last.example", NULL, "/srv/last", "nginx", SW_DOMAIN_ADDON },
		{ "other.example", NULL, "/srv/other", "nginx", SW_DOMAIN_ADDON },
		ABSENT("half.example"),
	};
	struct sw_domains *d;

	(void)state;
	CHECK(FIXTURES "nginx", "nginx", rows, 5);
	d = open_domains(FIXTURES "nginx", "nginx");
	assert_string_equal(sw_domains_at(d, "/srv/blog/wp", NULL, NULL)->name, "example.com");
	assert_null(sw_domains_at(d, "/var/www/html", NULL, NULL));
	sw_domains_free(d);
}

static void test_fpm(void **state)
{
	static const struct want rows[] = {
		{ "alice.example", "alice", "/home/alice/www", "php-fpm", SW_DOMAIN_ADDON },
		{ "shop.example", "alice", "/home/alice/shop", "php-fpm", SW_DOMAIN_ADDON },
		{ "pool.example", "alice", "/srv/pool.example", "php-fpm", SW_DOMAIN_ADDON },
		ABSENT("www"), ABSENT("bob"),
	};
	struct sw_domains *d;
	const char *chroot;
	size_t at = 0;

	(void)state;
	CHECK(FIXTURES "php-fpm", "php-fpm", rows, 3);
	d = open_domains(FIXTURES "php-fpm", "php-fpm");
	chroot = sw_domains_chroot(d, "bob", &at);
	assert_string_equal(chroot, "/home/bob");
	assert_null(sw_domains_chroot(d, "bob", &at));
	sw_domains_free(d);
}

/* Files of nothing but noise, in every place that is read. */
static void test_noise(void **state)
{
	static const char *const paths[] = {
		"/etc/trueuserdomains", "/etc/userdomains", "/etc/userdatadomains", "/etc/domainusers",
		"/var/cpanel/users/alice", "/etc/virtual/domainowners",
		"/usr/local/directadmin/data/users/alice/user.conf",
		"/usr/local/directadmin/data/users/alice/domains.list",
		"/var/www/vhosts/system/a.example/conf/httpd.conf",
		"/usr/local/hestia/data/users/alice/web.conf",
		"/etc/webmin/virtual-server/domains/1", "/etc/apache2/sites-enabled/a.vhost",
		"/usr/local/ispconfig/x", "/usr/local/lsws/conf/vhosts/a.example/vhost.conf",
		CLP, "/etc/apache2/apache2.conf", "/etc/nginx/nginx.conf",
		"/etc/php/8.2/fpm/pool.d/a.conf", "/etc/passwd", "/etc/login.defs",
	};
	static char noise[100000];
	struct sw_domains *d;
	struct sw_domain_source_state s;

	(void)state;
	srand(1);
	for (size_t i = 0; i < sizeof(noise); i++)
		noise[i] = (char)(rand() % 16 ? rand() : "\n:='{};[]<"[rand() % 10]);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		put_bytes(paths[i], noise, sizeof(noise));
	d = open_domains(root, NULL);
	assert_int_equal(sw_domains_refresh_all(d), 0);
	for (size_t i = 0; sw_domains_source(d, i, &s); i++)
		if (strcmp(s.name, "home") != 0)
			assert_true(s.loaded && s.bad > 0);
	sw_domains_free(d);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		TEST(test_cpanel),
		TEST(test_directadmin),
		TEST(test_plesk),
		TEST(test_plesk_database),
		TEST(test_plesk_program),
		TEST(test_program_time),
		TEST(test_plesk_privilege),
		TEST(test_hestia),
		TEST(test_virtualmin),
		TEST(test_ispconfig),
		TEST(test_cyberpanel),
		TEST(test_home),
		TEST(test_cloudpanel),
		TEST(test_cloudpanel_log),
		TEST(test_cloudpanel_locked),
		TEST(test_cloudpanel_hostile),
		TEST(test_apache),
		TEST(test_nginx),
		TEST(test_fpm),
		TEST(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
