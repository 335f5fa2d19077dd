/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Alerts from tables in the kernel: what a sample costs, and what it finds out about an account. */
#include <bpf/bpf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <cmocka.h>

#include "alert.h"
#include "util.h"

#define NSEC_PER_SEC 1000000000ULL

static struct sw_live live;
static struct sw_domains *domains;
static char root[] = "/tmp/sw-alerts-XXXXXX";
static char told[16][4096];
static size_t n_told;

static int run(void *data, enum sw_run_kind kind, const void *payload, size_t len, uint32_t *id)
{
	(void)data;
	assert_int_equal(kind, SW_RUN_COMMAND);
	assert_true(n_told < ARRAY_SIZE(told) && len < sizeof(told[0]));
	memcpy(told[n_told], payload, len);
	told[n_told][len] = '\0';
	*id = (uint32_t)++n_told;
	return 0;
}

static int make_map(const char *name, __u32 key, __u32 value, __u32 rows)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_NO_PREALLOC);
	int fd = bpf_map_create(BPF_MAP_TYPE_HASH, name, key, value, rows, &opts);

	assert_true(fd >= 0);
	return fd;
}

static void make_maps(__u32 accounts)
{
	sw_live_close(&live);
	sw_live_init(&live);
	live.map_fd[SW_MAP_UID_STATS] = make_map("sw_uid_stats", sizeof(struct sw_uid_key),
						 sizeof(struct sw_uid_stats), accounts);
	live.map_fd[SW_MAP_ORIGINS] = make_map("sw_origins", sizeof(struct sw_origin_key),
					       sizeof(struct sw_origin), 16384);
	live.map_fd[SW_MAP_CGROUPS] = make_map("sw_cgroups", 8, sizeof(struct sw_cgroup_name), 64);
}

static void write_file(const char *name, const char *text)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	const struct sw_domains_config c = { .root = root };
	char path[64];

	(void)state;
	sw_live_init(&live);
	if (!mkdtemp(root))
		return -1;
	snprintf(path, sizeof(path), "%s/etc", root);
	if (mkdir(path, 0755) < 0)
		return -1;
	write_file("etc/passwd", "alice:x:61009:61009::/home/alice:/bin/sh\n");
	write_file("etc/trueuserdomains", "shop.example: alice\n");
	write_file("etc/userdatadomains", "shop.example: alice==root==main==x==/home/alice/shop==\n"
		   "blog.example: alice==root==addon==x==/home/alice/blog==\n");
	make_maps(1024);
	return sw_domains_new(&c, &domains) ?: sw_domains_refresh(domains);
}

static int teardown(void **state)
{
	static const char *const files[] = { "etc/passwd", "etc/trueuserdomains",
					     "etc/userdatadomains", "etc", "" };
	char path[128];

	(void)state;
	sw_domains_free(domains);
	sw_live_close(&live);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", root, files[i]);
		(void)remove(path);
	}
	return 0;
}

static uint64_t now_ns(void)
{
	struct sw_alert_clock now;

	sw_alert_clock_now(&now);
	return now.mono_ns;
}

static void put_account(uint32_t uid, uint64_t denied, uint64_t first_ns)
{
	const struct sw_uid_key k = { .uid = uid };
	const struct sw_uid_stats s = { .n[SW_N_DENIED] = denied, .first_ns = first_ns,
					.last_ns = now_ns() };

	assert_int_equal(bpf_map_update_elem(live.map_fd[SW_MAP_UID_STATS], &k, &s, 0), 0);
}

static void put_origin(uint64_t ino, const char *path, uint64_t denied, uint64_t first_ns)
{
	const struct sw_origin_key k = { .uid = 61009, .dev = 1, .ino = ino };
	struct sw_origin o = { .n[SW_N_DENIED] = denied, .first_ns = first_ns, .last_ns = now_ns(),
			       .last_daddr = { [10] = 0xff, 0xff, 198, 51, 100, 25 },
			       .last_dport = 25, .filled = 1, .cgroup_id = 7, .sketch = { 7 } };

	snprintf(o.where.path, sizeof(o.where.path), "%s", path);
	o.where.argv_len = (__u16)snprintf(o.where.argv, sizeof(o.where.argv), "lsphp:%s/x.php", path);
	assert_int_equal(bpf_map_update_elem(live.map_fd[SW_MAP_ORIGINS], &k, &o, 0), 0);
}

static struct sw_alerts *start(struct sw_alert_kernel **k, enum sw_alert_scope scope)
{
	static struct sw_alert_rule rule = { .metric = SW_METRIC_DENIED, .threshold = 10,
					     .period = SW_PERIOD_SLIDING, .seconds = 60 };
	static char *command[] = { (char *)"/bin/true", NULL }, *sources[] = { (char *)"x.conf" };
	struct sw_policy p = { .sources = sources, .n_sources = 1,
			       .alerts = { .rules = &rule, .n_rules = 1, .command = command } };
	struct sw_alert_ops ops = { .run = run, .describe = sw_alert_kernel_describe,
				    .domain = sw_alert_kernel_domain };
	struct sw_alerts *a;

	rule.scope = scope;
	rule.text = (char *)"denied 10/60s";
	assert_int_equal(sw_alert_kernel_new(&live, domains, k), 0);
	ops.data = *k;
	/* `run` of this test needs no data. */
	assert_int_equal(sw_alerts_new(&p, "h", NULL, &ops, &a), 0);
	n_told = 0;
	return a;
}

static void assert_told(const char *const *want)
{
	assert_int_equal(n_told, 1);
	for (; *want; want++)
		if (!strstr(told[0], *want))
			fail_msg("'%s' is not in: %s", *want, told[0]);
}

/* The site is that of the directory that moved last, not the one with most attempts ever. */
static void test_account(void **state)
{
	static const char *const want[] = {
		"\"uid\":61009", "\"user\":\"alice\"", "\"domain\":\"blog.example\"",
		"\"source\":\"docroot\"", "\"directory\":\"/home/alice/blog\"",
		"\"script\":\"lsphp:/home/alice/blog/x.php\"", "\"container\":\"unit mail.service\"",
		"\"last_destination\":\"198.51.100.25:25\"", "\"destinations\":3", "\"count\":12",
		"\"first_seen\":\"2", "\"last_seen\":\"2", NULL
	};
	const struct sw_cgroup_name name = { .filled = 1, .level = 2,
					     .name = { "mail.service", "system.slice" } };
	const uint64_t id = 7, first = now_ns() - 3600 * NSEC_PER_SEC;
	struct sw_alert_kernel *k;
	struct sw_alerts *a;

	(void)state;
	assert_int_equal(bpf_map_update_elem(live.map_fd[SW_MAP_CGROUPS], &id, &name, 0), 0);
	a = start(&k, SW_SCOPE_ACCOUNT);
	put_origin(1, "/home/alice/shop", 90000, first);
	put_account(61009, 90000, first);
	assert_int_equal(sw_alert_kernel_sample(k, a), 0);
	put_origin(2, "/home/alice/blog", 12, now_ns());
	put_account(61009, 90012, first);
	assert_int_equal(sw_alert_kernel_sample(k, a), 0);
	assert_told(want);
	sw_alerts_free(a);
	sw_alert_kernel_free(k);
}

static void test_domain(void **state)
{
	static const char *const want[] = {
		"\"domain\":\"shop.example\"", "\"directory\":\"/home/alice/shop/sub\"",
		"\"count\":10", "\"scope\":\"domain\"", "\"user\":\"alice\"", NULL
	};
	const uint64_t first = now_ns();
	struct sw_alert_kernel *k;
	struct sw_alerts *a;

	(void)state;
	make_maps(1024);
	a = start(&k, SW_SCOPE_DOMAIN);
	put_account(61009, 1, first);
	assert_int_equal(sw_alert_kernel_sample(k, a), 0);
	put_origin(1, "/home/alice/shop", 5, first);
	put_origin(2, "/home/alice/blog", 9, first);
	put_origin(3, "/home/alice/shop/sub", 5, first);
	put_account(61009, 20, first);
	/* Origins are read as seldom as they are dear; for three rows that is soon. */
	for (uint64_t end = now_ns() + 20 * NSEC_PER_SEC; !n_told && now_ns() < end; usleep(10000))
		assert_int_equal(sw_alert_kernel_sample(k, a), 0);
	assert_told(want);
	sw_alerts_free(a);
	sw_alert_kernel_free(k);
}

/* off and apply: the tables go, and come again. */
static void test_replaced(void **state)
{
	struct sw_alert_kernel *k;
	struct sw_alerts *a;

	(void)state;
	make_maps(1024);
	a = start(&k, SW_SCOPE_ACCOUNT);
	put_account(61009, 500, 5);
	assert_int_equal(sw_alert_kernel_sample(k, a), 0);
	sw_live_close(&live);
	sw_live_init(&live);
	assert_int_equal(sw_alert_kernel_sample(k, a), -ENOENT);
	make_maps(1024);
	assert_int_equal(sw_alert_kernel_sample(k, a), 0);
	put_account(61009, 9, now_ns());
	assert_int_equal(sw_alert_kernel_sample(k, a), 0);
	assert_int_equal(n_told, 0);
	put_account(61009, 10, now_ns());
	assert_int_equal(sw_alert_kernel_sample(k, a), 0);
	assert_int_equal(n_told, 1);
	sw_alerts_free(a);
	sw_alert_kernel_free(k);
}

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Tables as large as they get, with reading them: time of the processor, the best of ten, for the
 * machine is shared. */
static void test_cost(void **state)
{
	static const struct { uint32_t rows, max; double goal_ms; } steps[] = {
		{ 5000, 32768, 1 }, { 100000, 131072, 60 },	/* reading them takes nearly all of it */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		uint64_t best = UINT64_MAX;
		struct sw_alert_kernel *k;
		struct sw_alerts *a;

		make_maps(steps[i].max);
		for (uint32_t uid = 100000; uid < 100000 + steps[i].rows; uid++)
			put_account(uid, 1, 1);
		a = start(&k, SW_SCOPE_ACCOUNT);
		assert_int_equal(sw_alert_kernel_sample(k, a), 0);
		for (int j = 0; j < 10; j++) {
			uint64_t before = cpu_ns(), took;

			assert_int_equal(sw_alert_kernel_sample(k, a), 0);
			took = cpu_ns() - before;
			best = took < best ? took : best;
		}
		print_message("# %u accounts: %.3f ms\n", steps[i].rows, (double)best / 1e6);
		assert_true((double)best / 1e6 < steps[i].goal_ms);
		sw_alerts_free(a);
		sw_alert_kernel_free(k);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_account), cmocka_unit_test(test_domain),
		cmocka_unit_test(test_replaced), cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests_name("alerts", tests, setup, teardown);
}
