/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * 20,000 accounts with 250,000 domains: the first answer within a second and 200 MiB, later ones
 * within 100 ms, looking for changes included. With sanitizers a tenth of that in generous time;
 * built without them (see "Scale" in smtpwall(8) for the figures) the goals themselves.
 */
#include <time.h>

#include "attribute.h"
#include "test_domain_util.h"

#ifdef __SANITIZE_ADDRESS__
#define ACCOUNTS	2000
#define DOMAINS		25000
#define FIRST_MS	20000
#define WARM_MS		5000
#define MEMORY_MIB	4096
#else
#define ACCOUNTS	20000
#define DOMAINS		250000
#define FIRST_MS	1000
#define WARM_MS		100
#define MEMORY_MIB	200
#endif
#define QUERIES		1000
#define TRIES		5	/* the best counts */

static FILE *open_file(const char *path)
{
	FILE *f;

	make_way(path);
	f = fopen(below(path), "we");
	assert_non_null(f);
	return f;
}

static void put_passwd(void)
{
	FILE *f = open_file("/etc/passwd");

	fputs(PASSWD_HEAD, f);
	for (int i = 0; i < ACCOUNTS; i++)
		fprintf(f, "user%05d:x:%d:%d::/home/user%05d:/bin/bash\n", i, 1001 + i, 1001 + i, i);
	assert_int_equal(fclose(f), 0);
}

/* Domain `i` of `DOMAINS`; the first `ACCOUNTS` are the main ones. */
static void domain_name(int i, char ret[64])
{
	if (i < ACCOUNTS)
		snprintf(ret, 64, "main%d.example.com", i);
	else
		snprintf(ret, 64, "shop-%06d.customer-%d.example", i, i % 977);
}

static void put_cpanel(void)
{
	FILE *true_domains = open_file("/etc/trueuserdomains");
	FILE *domains = open_file("/etc/userdomains"), *data = open_file("/etc/userdatadomains");
	char name[64];

	for (int i = 0; i < DOMAINS; i++) {
		int user = i % ACCOUNTS;

		domain_name(i, name);
		if (i < ACCOUNTS)
			fprintf(true_domains, "%s: user%05d\n", name, user);
		fprintf(domains, "%s: user%05d\n", name, user);
		fprintf(data, "%s: user%05d==root==%s==main%d.example.com==/home/user%05d/%s=="
			"203.0.113.10:80==203.0.113.10:443====0==ea-php82\n", name, user,
			i < ACCOUNTS ? "main" : "addon", user, user,
			i < ACCOUNTS ? "public_html" : name);
	}
	assert_int_equal(fclose(true_domains) | fclose(domains) | fclose(data), 0);
}

static void put_directadmin(void)
{
	FILE *owners = open_file("/etc/virtual/domainowners");
	char name[64], path[128], text[128];

	for (int i = 0; i < DOMAINS; i++) {
		domain_name(i, name);
		fprintf(owners, "%s: user%05d\n", name, i % ACCOUNTS);
	}
	assert_int_equal(fclose(owners), 0);
	for (int i = 0; i < ACCOUNTS; i++) {
		snprintf(path, sizeof(path), "/usr/local/directadmin/data/users/user%05d/user.conf", i);
		snprintf(text, sizeof(text), "username=user%05d\ndomain=main%d.example.com\n", i, i);
		put(path, text);
	}
}

static void put_hestia(void)
{
	char name[64], path[128];

	for (int i = 0; i < ACCOUNTS; i++) {
		FILE *f;

		snprintf(path, sizeof(path), "/usr/local/hestia/data/users/user%05d/web.conf", i);
		f = open_file(path);
		for (int j = i; j < DOMAINS; j += ACCOUNTS) {
			domain_name(j, name);
			fprintf(f, "DOMAIN='%s' IP='203.0.113.10' IP6='' CUSTOM_DOCROOT='' ALIAS='' "
				"TPL='default' SSL='no' SUSPENDED='no' TIME='10:15:01' "
				"DATE='2026-01-02'\n", name);
		}
		assert_int_equal(fclose(f), 0);
	}
}

/* KiB of this process at most so far; with `reset` from now on. */
static long memory_peak(bool reset)
{
	FILE *f = fopen(reset ? "/proc/self/clear_refs" : "/proc/self/status", reset ? "we" : "re");
	char line[256];
	long kib = 0;

	assert_non_null(f);
	if (reset)
		fputs("5\n", f);
	while (!reset && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	fclose(f);
	return kib;
}

/* Of this process, in user space and kernel: other programs run too. Nothing waits for a disk. */
static double now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static void ask_many(struct sw_domains *d, const char *below_home)
{
	char directory[256], name[64];

	for (int i = 0; i < QUERIES; i++) {
		int n = ACCOUNTS + i * 7 % (DOMAINS - ACCOUNTS);
		struct sw_attribute_query q = {
			.uid = (uint32_t)(i % 2 ? 33 : 1001 + n % ACCOUNTS), .row = SW_ROW_UID,
			.directory = directory,
		};
		struct sw_attribution a;

		domain_name(n, name);
		snprintf(directory, sizeof(directory), "/home/user%05d/", n % ACCOUNTS);
		snprintf(directory + strlen(directory), sizeof(directory) - strlen(directory),
			 below_home, name);
		assert_int_equal(sw_attribute(d, &q, &a), 0);
		assert_string_equal(a.domain, name);
		assert_string_equal(a.source, "docroot");
		sw_attribution_free(&a);
	}
}

static double best(double a, double b)
{
	return a && a < b ? a : b;
}

static void measure(const char *panel, const char *below_home)
{
	static const struct timespec settle = { .tv_nsec = 200000000 };
	double first = 0, warm = 0, queries = 0, begin;
	long before, mib = 0;

	nanosleep(&settle, NULL);	/* or the files count as being written */
	for (int i = 0; i < TRIES; i++) {
		struct sw_domains_config c = { .root = root };
		struct sw_domains *d;

		(void)memory_peak(true);
		before = memory_peak(false);
		begin = now_ms();
		assert_int_equal(sw_domains_new(&c, &d), 0);
		assert_int_equal(sw_domains_refresh(d), 0);
		first = best(first, now_ms() - begin);
		assert_true(source_state(d, panel).records >= DOMAINS);
		mib = mib ? mib : (memory_peak(false) - before) / 1024;
		begin = now_ms();
		ask_many(d, below_home);
		queries = best(queries, now_ms() - begin);
		begin = now_ms();
		assert_int_equal(sw_domains_refresh(d), 0);
		ask_many(d, below_home);
		warm = best(warm, now_ms() - begin);
		sw_domains_free(d);
	}
	printf("# %s, %d accounts, %d domains: first %.0f ms, %ld MiB; warm with %d questions "
	       "%.1f ms, %.1f of them for the questions\n", panel, ACCOUNTS, DOMAINS, first, mib, QUERIES,
	       warm, queries);
	assert_true(first < FIRST_MS);
	assert_true(warm < WARM_MS);
	assert_true(mib < MEMORY_MIB);
}

static void test_cpanel(void **state)
{
	(void)state;
	put_passwd();
	put_cpanel();
	measure("cpanel", "%s/wp-admin");
}

static void test_directadmin(void **state)
{
	(void)state;
	put_passwd();
	put_directadmin();
	measure("directadmin", "domains/%s/public_html/wp-admin");
}

static void test_hestia(void **state)
{
	(void)state;
	put_passwd();
	put_hestia();
	measure("hestia", "web/%s/public_html/wp-admin");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		TEST(test_cpanel),
		TEST(test_directadmin),
		TEST(test_hestia),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
