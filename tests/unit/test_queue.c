/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Spools of real mail servers, whose their mail is, and how much of it can be taken. */
#include <pthread.h>
#include <time.h>

#include "queue_util.h"

#define QUEUES	"tests/fixtures/queue/"

static struct sw_domains *d;

/* ---- Spools as exim and postfix left them ---- */

static struct sw_queue scan(const char *spool, struct sw_queue_config c)
{
	struct sw_queue q;

	c.spool = spool;
	c.domains = d;
	assert_int_equal(sw_queue_scan(&c, &q), 0);
	return q;
}

/* shop and blog as tests/e2e/queue-cases.sh makes them. */
static void put_accounts(void)
{
	put("/etc/passwd", PASSWD_HEAD "Debian-exim:x:102:106::/var/spool/exim4:/usr/sbin/nologin\n"
	    "shop:x:61009:61009::/home/shop:/bin/bash\nblog:x:61010:61010::/home/blog:/bin/bash\n"
	    "many:x:61011:61011::/home/many:/bin/bash\n");
	put("/etc/trueuserdomains", "shop.example: shop\nblog.example: blog\none.example: many\n");
	put("/etc/userdatadomains",
	    "shop.example: shop==root==main==shop.example==/home/shop/public_html==\n"
	    "blog.example: blog==root==main==blog.example==/home/blog/public_html==\n"
	    "one.example: many==root==main==one.example==/home/many/one==\n"
	    "two.example: many==root==addon==one.example==/home/many/two==\n"
	    "www.two.example: many==root==parked==one.example==/home/many/two==\n");
	d = open_domains(root, "auto");
}

static int set_up(void **state)
{
	if (make_root(state))
		return -1;
	put_accounts();
	return 0;
}

static int tear_down(void **state)
{
	sw_domains_free(d);
	d = NULL;
	return remove_root(state);
}

static const struct sw_queue_row *find_row(const struct sw_queue_rows *rows, const char *domain,
					   uint32_t uid)
{
	for (size_t i = 0; i < rows->n; i++)
		if (rows->row[i].most->uid == uid &&
		    !strcmp(rows->row[i].site.domain ?: "-", domain))
			return &rows->row[i];
	fail_msg("no row of %s, %u", domain, uid);
	return NULL;
}

static void check_spool(const char *spool, uint64_t maildrop)
{
	static const struct sw_queue_rank by_uid = { .by = SW_QUEUE_BY_UID };
	static const struct sw_queue_rank by_domain = { .by = SW_QUEUE_BY_DOMAIN, .top = 1 };
	struct sw_queue q = scan(spool, (struct sw_queue_config){});
	const struct sw_queue_row *row;
	struct sw_queue_rows rows;

	assert_int_equal(q.sum.messages, 10 + maildrop);
	assert_int_equal(q.sum.frozen, 1);
	assert_int_equal(q.sum.bounces, 1);
	assert_int_equal(q.sum.backscatter, 1);
	check_left_out(&q, 0, 0, 0, 0);
	assert_int_equal(sw_queue_rank(&by_uid, &q, d, &rows), 0);
	row = find_row(&rows, "shop.example", 61009);
	assert_int_equal(row->sum.messages, 4);
	assert_int_equal(row->sum.recipients, 7);
	assert_true(row->sum.oldest && row->sum.oldest <= row->sum.newest);
	row = find_row(&rows, "blog.example", 61010);
	assert_int_equal(row->sum.messages, 2);
	assert_int_equal(row->sum.frozen, 1);
	row = find_row(&rows, "blog.example", 33);
	assert_string_equal(row->site.source, "script");
	assert_string_equal(row->most->script, "61010:contact.php");
	free(rows.row);
	assert_int_equal(sw_queue_rank(&by_domain, &q, d, &rows), 0);
	assert_int_equal(rows.n, 1);
	assert_string_equal(rows.row[0].site.domain, "shop.example");
	assert_int_equal(rows.row[0].sum.messages, 6);
	free(rows.row);
	sw_queue_free(&q);
}

static void test_exim(void **state)
{
	(void)state;
	check_spool(QUEUES "exim", 0);
	check_spool(QUEUES "exim-split", 0);
}

/* The owners of files in maildrop are those of this checkout. */
static void test_postfix(void **state)
{
	(void)state;
	check_spool(QUEUES "postfix", 2);
}

static void test_filters(void **state)
{
	struct sw_queue q = scan(QUEUES "exim", (struct sw_queue_config){ .frozen = true });

	(void)state;
	assert_int_equal(q.sum.messages, 1);
	assert_string_equal(q.group[0].sender, "news@blog.example");
	sw_queue_free(&q);
	q = scan(QUEUES "postfix", (struct sw_queue_config){ .bounces = true });
	assert_int_equal(q.sum.messages, 1);
	assert_string_equal(q.group[0].sender, "");
	assert_int_equal(q.group[0].via, SW_QUEUE_SERVER);
	sw_queue_free(&q);
}

static void test_no_spool(void **state)
{
	static const struct { const char *spool; bool one; enum sw_queue_mta mta; } rows[] = {
		{ "/nonexistent", false, 0 }, { "/etc", false, 0 },
		{ QUEUES "exim", true, SW_QUEUE_POSTFIX }, { QUEUES "postfix", true, SW_QUEUE_QMAIL },
	};
	struct sw_queue q;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_queue_config c = {
			.spool = rows[i].spool, .one_mta = rows[i].one, .mta = rows[i].mta,
		};

		assert_int_equal(sw_queue_scan(&c, &q), -ENOENT);
	}
}

/* ---- Whose it is ---- */

static void test_attribution(void **state)
{
	static const struct {
		struct sw_queue_group g;
		const char *domain, *source, *account;
		bool guess;
	} rows[] = {
		{ { .uid = 61009 }, "shop.example", "trueuserdomains", "shop", false },
		{ { .uid = 61011 }, "one.example", "trueuserdomains", "many", true },
		{ { .uid = 61011, .sender = (char *)"x@two.example" }, "two.example", "sender", "many",
		  false },
		{ { .uid = 61011, .sender = (char *)"x@www.two.example" }, "two.example", "sender", "many",
		  false },
		{ { .uid = 61011, .script = (char *)"two.example/a.php for 203.0.113.9" }, "two.example",
		  "script", "many", false },
		{ { .uid = 61011, .script = (char *)"/home/many/two/x/a.php" }, "two.example", "script",
		  "many", false },
		{ { .uid = 61011, .script = (char *)"61009:a.php" }, "one.example", "trueuserdomains",
		  "many", true },
		/* Nobody puts mail on somebody else's account. */
		{ { .uid = 61011, .script = (char *)"shop.example/a.php" }, "one.example",
		  "trueuserdomains", "many", true },
		{ { .uid = 61011, .script = (char *)"/home/shop/public_html/a.php",
		    .sender = (char *)"x@blog.example" }, "one.example", "trueuserdomains", "many", true },
		/* One UID for all: the header is all there is. */
		{ { .uid = 33, .script = (char *)"61009:a.php" }, "shop.example", "script", "shop",
		  false },
		{ { .uid = 33, .script = (char *)"61011:a.php" }, "one.example", "script", "many", true },
		{ { .uid = 33, .script = (char *)"blog.example/x" }, "blog.example", "script", "blog",
		  false },
		{ { .uid = 33, .script = (char *)"33:a.php", .sender = (char *)"x@blog.example" },
		  "blog.example", "sender", "blog", false },
		{ { .uid = 33, .script = (char *)"-1:a.php" }, NULL, "none", NULL, false },
		{ { .uid = 33, .script = (char *)":::" }, NULL, "none", NULL, false },
		{ { .uid = 33, .script = (char *)"/" }, NULL, "none", NULL, false },
		{ { .uid = 33, .script = (char *)"" }, NULL, "none", NULL, false },
		{ { .uid = 61999 }, NULL, "none", NULL, false },
		{ { .uid = SW_UID_NONE, .via = SW_QUEUE_AUTH, .auth = (char *)"x@two.example",
		    .sender = (char *)"x@shop.example" }, "two.example", "auth", "many", false },
		{ { .uid = SW_UID_NONE, .via = SW_QUEUE_AUTH, .auth = (char *)"shop" }, "shop.example",
		  "auth", "shop", false },
		{ { .uid = SW_UID_NONE, .via = SW_QUEUE_AUTH, .auth = (char *)"x@elsewhere.example" }, NULL,
		  "none", NULL, false },
		{ { .uid = SW_UID_NONE, .via = SW_QUEUE_LOCAL, .sender = (char *)"x@shop.example" },
		  "shop.example", "sender", "shop", false },
		/* From elsewhere anybody may call himself so. */
		{ { .uid = SW_UID_NONE, .via = SW_QUEUE_REMOTE, .sender = (char *)"x@shop.example" }, NULL,
		  "none", NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct sw_report_site site;

		assert_int_equal(sw_queue_attribute(d, &rows[i].g, &site), 0);
		check_text("domain", i, site.domain, rows[i].domain);
		check_text("source", i, site.source, rows[i].source);
		check_text("account", i, site.account, rows[i].account);
		if (site.one_of_several != rows[i].guess)
			fail_msg("row %zu: a guess: %d", i, site.one_of_several);
		assert_int_equal(sw_queue_attribute(NULL, &rows[i].g, &site), 0);
		assert_null(site.domain);
	}
}

/* ---- Taking messages ---- */

struct bench {
	struct sw_queue q;
	struct sw_queue_spool spool;
	struct sw_queue_config c;
	struct sw_queue_work w;
};

static void begin(struct bench *b)
{
	*b = (struct bench){ .c.domains = d };
	b->w = (struct sw_queue_work){ .c = &b->c, .q = &b->q, .spool = &b->spool, .host = "mail" };
}

static void end(struct bench *b)
{
	free(b->w.slot);
	sw_queue_free(&b->q);
}

static void test_backscatter(void **state)
{
	static const struct { const char *recipient, *sender; enum sw_queue_via via; uint64_t n; } rows[] = {
		{ "x@elsewhere.example", "", SW_QUEUE_SERVER, 1 },
		{ "x@shop.example", "", SW_QUEUE_SERVER, 0 },		/* a site of ours */
		{ "x@SHOP.example", "", SW_QUEUE_SERVER, 0 },
		{ "x@mail.example", "", SW_QUEUE_SERVER, 0 },		/* this machine */
		{ "x@localhost", "", SW_QUEUE_SERVER, 0 },
		{ "x", "", SW_QUEUE_SERVER, 0 },
		{ NULL, "", SW_QUEUE_SERVER, 0 },
		{ "x@elsewhere.example", "a@b", SW_QUEUE_SERVER, 0 },
		{ "x@elsewhere.example", "", SW_QUEUE_REMOTE, 0 },	/* a bounce for somebody */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct sw_queue_message m = {
			.id = "x", .uid = SW_UID_NONE, .via = rows[i].via, .sender = rows[i].sender,
			.recipient = rows[i].recipient, .recipients = 1,
		};
		struct bench b;

		begin(&b);
		sw_queue_take(&b.w, &m);
		if (b.q.sum.backscatter != rows[i].n)
			fail_msg("row %zu: %lu", i, (unsigned long)b.q.sum.backscatter);
		end(&b);
	}
}

/* Mail by SMTP brings such a header from wherever it was written. */
static void test_foreign_script(void **state)
{
	(void)state;
	for (int via = 0; via < _SW_QUEUE_VIA_MAX; via++) {
		const struct sw_queue_message m = {
			.id = "x", .uid = 33, .via = (enum sw_queue_via)via, .sender = "a", .script = "s",
		};
		struct bench b;

		begin(&b);
		sw_queue_take(&b.w, &m);
		assert_int_equal(b.q.n_groups, 1);
		assert_int_equal(b.q.group[0].script != NULL, via == SW_QUEUE_SENDMAIL);
		end(&b);
	}
}

/* A sender of its own for each message: memory is bounded, sums stay right. */
static void test_many_senders(void **state)
{
	const uint64_t n = 3 * SW_QUEUE_GROUPS_MAX;
	struct sw_queue_rows rows;
	struct bench b;

	(void)state;
	begin(&b);
	for (uint64_t i = 0; i < n; i++) {
		char sender[32];
		const struct sw_queue_message m = {
			.id = "x", .uid = (uint32_t)(1000 + i % 3), .via = SW_QUEUE_SENDMAIL,
			.sender = sender, .recipients = 2, .received = (time_t)(1000 + i),
		};

		snprintf(sender, sizeof(sender), "s%lu@x.example", (unsigned long)i);
		sw_queue_take(&b.w, &m);
		assert_int_equal(b.w.error, 0);
	}
	assert_int_equal(b.q.n_groups, SW_QUEUE_GROUPS_MAX + 3);
	assert_int_equal(b.q.sum.messages, n);
	assert_int_equal(b.q.sum.oldest, 1000);
	assert_int_equal(sw_queue_rank(&(struct sw_queue_rank){}, &b.q, NULL, &rows), 0);
	assert_int_equal(rows.n, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(rows.row[i].sum.messages, n / 3);
	free(rows.row);
	end(&b);
}

static void test_sort(void **state)
{
	static const struct { uint64_t messages, recipients, size; time_t received; } in[] = {
		{ 3, 1, 10, 50 }, { 2, 9, 5, 70 }, { 1, 1, 90, 60 }, { 1, 1, 1, 0 },
	};
	static const uint32_t want[_SW_QUEUE_SORT_MAX][4] = {
		[SW_QUEUE_SORT_MESSAGES] = { 1, 2, 3, 4 },
		[SW_QUEUE_SORT_RECIPIENTS] = { 2, 1, 3, 4 },
		[SW_QUEUE_SORT_AGE] = { 1, 3, 2, 4 },
		[SW_QUEUE_SORT_SIZE] = { 3, 1, 2, 4 },
	};
	struct bench b;

	(void)state;
	begin(&b);
	for (uint32_t i = 0; i < ARRAY_SIZE(in); i++)
		for (uint64_t j = 0; j < in[i].messages; j++)
			sw_queue_take(&b.w, &(struct sw_queue_message){
				.id = "x", .uid = i + 1, .received = in[i].received, .sender = "a",
				.recipients = j ? 0 : in[i].recipients, .size = j ? 0 : in[i].size,
			});
	for (int sort = 0; sort < _SW_QUEUE_SORT_MAX; sort++) {
		const struct sw_queue_rank rank = { .sort = (enum sw_queue_sort)sort };
		struct sw_queue_rows rows;

		assert_int_equal(sw_queue_rank(&rank, &b.q, NULL, &rows), 0);
		assert_int_equal(rows.n, 4);
		for (size_t i = 0; i < 3; i++)
			if (rows.row[i].most->uid != want[sort][i])
				fail_msg("sort %d: place %zu has %u", sort, i, rows.row[i].most->uid);
		free(rows.row);
	}
	end(&b);
}

/* ---- Size, and a spool that changes ---- */

#define MANY	100000

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* So many messages that are names of a few files: a file has at most some 65,000 names. */
static void put_many(size_t n)
{
	char name[64], first[64];

	put_directory("/big/input");
	for (size_t i = 0; i < n; i++) {
		int dir = open(below("/big/input"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_true(dir >= 0);
		for (size_t stop = i + 20000 < n ? i + 20000 : n, at = i; i < stop; i++) {
			for (const char *kind = "HD"; *kind; kind++) {
				snprintf(name, sizeof(name), "1xVsH7-%06zu-2c-%c", i, *kind);
				snprintf(first, sizeof(first), "1xVsH7-%06zu-2c-%c", at, *kind);
				if (i > at) {
					assert_int_equal(linkat(dir, first, dir, name, 0), 0);
					continue;
				}
				put(*kind == 'D' ? "/body" : "/head",
				    "1xVsH7-000000-2c-H\nshop 61009 1\n<x@shop.example>\n1795533461 0\n"
				    "-local\nXX\n1\na@x.example\n\n");
				assert_int_equal(renameat(AT_FDCWD, below(*kind == 'D' ? "/body" : "/head"),
							  dir, name), 0);
			}
		}
		close(dir);
		i--;
	}
}

/* The bound is for a build with sanitizers; as it is shipped it takes about two seconds. */
static void test_scale(void **state)
{
	struct sw_queue q;
	double start;

	(void)state;
	put_many(MANY);
	start = seconds();
	q = scan_spool("/big");
	assert_int_equal(q.sum.messages, MANY);
	check_left_out(&q, 0, 0, 0, 0);
	assert_true(seconds() - start < 60);
	sw_queue_free(&q);
}

static void *deliver(void *data)
{
	int dir = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[64];

	for (size_t i = 0; i < 4000; i++)
		for (const char *kind = "HD"; *kind; kind++) {
			snprintf(name, sizeof(name), "1xVsH7-%06zu-2c-%c", 3999 - i, *kind);
			unlinkat(dir, name, 0);
		}
	close(dir);
	return NULL;
}

/* All that is delivered meanwhile was seen, is counted as gone, or never turned up. */
static void test_changing(void **state)
{
	char path[PATH_MAX];
	struct sw_queue q;
	pthread_t thread;
	int scans = 0;

	(void)state;
	put_many(4000);
	snprintf(path, sizeof(path), "%s", below("/big/input"));
	assert_int_equal(pthread_create(&thread, NULL, deliver, path), 0);
	do {
		q = scan_spool("/big");
		scans++;
		assert_true(q.sum.messages + q.spool[0].vanished <= 4000);
		assert_int_equal(q.spool[0].unreadable + q.spool[0].strange, 0);
		sw_queue_free(&q);
	} while (pthread_tryjoin_np(thread, NULL) != 0);
	q = scan_spool("/big");
	assert_int_equal(q.sum.messages, 0);
	check_left_out(&q, 0, 0, 0, 0);
	sw_queue_free(&q);
	assert_true(scans > 0);
}

#define EACH(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(test_exim), EACH(test_postfix), EACH(test_filters), EACH(test_no_spool),
		EACH(test_attribution), EACH(test_backscatter), EACH(test_foreign_script),
		EACH(test_many_senders), EACH(test_sort),
		EACH(test_scale), EACH(test_changing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
