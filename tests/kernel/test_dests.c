/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where attempts that were not simply allowed went to, and from which cgroups they came: exact at
 * any rate, no account can use up the room of others, and a name outlives its cgroup.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"
#include "cgroup.h"
#include "crowd.h"
#include "log.h"
#include "mapread.h"
#include "scene.h"
#include "util.h"

#define ALICE	61001
#define BOB	61002
#define SHARE	9	/* of one account, with 64 rows in all */

static struct wall wall;

static void fresh(const char *policy)
{
	int r = sw_off(&wall.target);

	assert_true(r == 0 || r == -ENOENT);
	assert_int_equal(wall_apply(&wall, policy), 0);
}

/* ---- reading the table ---- */

static struct sw_map_dump dump;

static void read_table(enum sw_map_id map)
{
	struct sw_live live;

	sw_map_dump_free(&dump);
	wall_live(&wall, &live);
	assert_int_equal(sw_map_dump(live.map_fd[map], &dump), 0);
	sw_live_close(&live);
}

/* The row of a destination, all zero when there is none. */
static struct sw_dest dest_of(uint32_t uid, const char *addr, uint16_t port)
{
	struct sw_dest_key want = { .uid = uid, .port = port, .row = SW_ROW_UID };
	struct sw_dest ret = {};

	if (inet_pton(AF_INET, addr, &want.addr[3]) == 1)
		want.addr[2] = htonl(0xffff);
	else
		assert_int_equal(inet_pton(AF_INET6, addr, want.addr), 1);
	read_table(SW_MAP_DESTS);
	for (size_t i = 0; i < dump.n; i++)
		if (!memcmp(sw_map_key(&dump, i), &want, sizeof(want)))
			memcpy(&ret, sw_map_value(&dump, i), sizeof(ret));
	return ret;
}

/* All rows of an account: how many, and what they add up to; the row of all others apart. */
struct rows {
	size_t n;
	uint64_t refused, would_deny, more;
};

static struct rows rows_of(uint32_t uid)
{
	struct rows r = {};

	read_table(SW_MAP_DESTS);
	for (size_t i = 0; i < dump.n; i++) {
		const struct sw_dest_key *k = sw_map_key(&dump, i);
		const struct sw_dest *d = sw_map_value(&dump, i);

		if (k->uid != uid)
			continue;
		if (k->row == SW_ROW_MORE) {
			assert_int_equal(k->port, 0);
			r.more += d->refused + d->would_deny;
			continue;
		}
		r.n++;
		r.refused += d->refused;
		r.would_deny += d->would_deny;
		assert_true(d->first_ns && d->last_ns >= d->first_ns);
	}
	return r;
}

static void connect_as(uint32_t uid, const char *dest, uint16_t port, int n)
{
	const struct caller c = CALLER(uid, uid, wall.cgroup);

	for (int i = 0; i < n; i++)
		caller_connect(&c, dest, port);
}

/* ---- destinations ---- */

#define CROWDS	4
#define EACH	1500
#define DESTS	12

static void exact_under_load(void **state)
{
	static const struct crowd_opts o[CROWDS] = {
		{ .uid = ALICE, .port = 25, .dest = "198.19.100.0", .dests = DESTS, .threads = 4,
		  .attempts = EACH },
		{ .uid = ALICE, .port = 25, .dest = "198.19.100.0", .dests = DESTS, .threads = 4,
		  .attempts = EACH },
		{ .uid = BOB, .port = 25, .dest = "198.19.100.0", .dests = DESTS, .threads = 4,
		  .attempts = EACH },
		{ .uid = BOB, .port = 25, .dest = "2001:db8::1", .threads = 4, .attempts = EACH },
	};
	struct crowd c[CROWDS];
	char addr[32];

	(void)state;
	fresh("[policy]\n");
	for (int i = 0; i < CROWDS; i++)
		crowd_gather(&wall, &o[i], &c[i]);
	for (int i = 0; i < CROWDS; i++)
		crowd_go(&c[i]);
	for (int i = 0; i < CROWDS; i++)
		assert_int_equal(crowd_end(&c[i], true).refused[wall_refusal()], EACH);
	for (int i = 0; i < DESTS; i++) {
		snprintf(addr, sizeof(addr), "198.19.100.%d", i);
		assert_int_equal(dest_of(ALICE, addr, 25).refused, 2 * EACH / DESTS);
		assert_int_equal(dest_of(BOB, addr, 25).refused, EACH / DESTS);
	}
	assert_int_equal(dest_of(BOB, "2001:db8::1", 25).refused, EACH);
	assert_int_equal(rows_of(ALICE).n, DESTS);
	assert_int_equal(rows_of(BOB).n, DESTS + 1);
	assert_int_equal(rows_of(ALICE).more + rows_of(BOB).more, 0);
	assert_int_equal(wall_uid(&wall, ALICE, SW_N_DENIED), 2 * EACH);
}

/* All on one row: two CPUs have to meet in a few nanoseconds to miscount. */
static void exact_on_one_row(void **state)
{
	const struct crowd_opts o = { .uid = ALICE, .port = 25, .dest = "198.19.100.1",
				      .attempts = 40000 };

	(void)state;
	fresh("[policy]\n");
	assert_int_equal(crowd_run(&wall, &o).refused[wall_refusal()], 40000);
	assert_int_equal(dest_of(ALICE, "198.19.100.1", 25).refused, 40000);
}

/* What was allowed has no row; a row for each port; v4-mapped is IPv4. */
static void what_is_kept(void **state)
{
	struct sw_dest d;

	(void)state;
	fresh("[policy]\ndeny_ports = 25 2525\n[exempt]\nusers = root 61003\n"
	      "[allow]\nrule = any to 198.19.100.9 port 25 limit 2/day\n"
	      "[limit]\nuser 61004 = 1/day\n");
	connect_as(61003, "198.19.100.1", 25, 3);
	connect_as(ALICE, "198.19.100.1", 587, 3);
	connect_as(ALICE, "127.0.0.1", 25, 2);
	assert_int_equal(rows_of(61003).n + rows_of(ALICE).n, 0);
	connect_as(ALICE, "198.19.100.1", 25, 3);
	connect_as(ALICE, "::ffff:198.19.100.1", 25, 2);
	connect_as(ALICE, "198.19.100.1", 2525, 1);
	connect_as(ALICE, "2001:db8::1", 2525, 1);
	assert_int_equal(dest_of(ALICE, "198.19.100.1", 25).refused, 5);
	assert_int_equal(dest_of(ALICE, "198.19.100.1", 2525).refused, 1);
	assert_int_equal(dest_of(ALICE, "2001:db8::1", 2525).refused, 1);
	assert_int_equal(rows_of(ALICE).n, 3);
	/* Limited is refused. */
	connect_as(BOB, "198.19.100.9", 25, 5);
	connect_as(61004, "198.19.100.9", 587, 4);
	assert_int_equal(dest_of(BOB, "198.19.100.9", 25).refused, 3);
	assert_int_equal(dest_of(61004, "198.19.100.9", 587).refused, 3);
	/* Observed is told apart, and the table survives the apply. */
	assert_int_equal(wall_apply(&wall, "[policy]\nmode = observe\n"), 0);
	connect_as(ALICE, "198.19.100.1", 25, 4);
	d = dest_of(ALICE, "198.19.100.1", 25);
	assert_int_equal(d.refused, 5);
	assert_int_equal(d.would_deny, 4);
}

/* One account's further destinations are counted together: others still find room. */
static void share_of_one_account(void **state)
{
	const struct crowd_opts flood = { .uid = ALICE, .port = 25, .dest = "198.19.100.0",
					  .dests = 200, .threads = 16, .attempts = 2000 };
	struct rows r;

	(void)state;
	fresh("[policy]\n[tables]\norigins = 64\n");
	assert_int_equal(crowd_run(&wall, &flood).refused[wall_refusal()], 2000);
	r = rows_of(ALICE);
	/* Threads that are at it in the same moment may make a row each. */
	assert_in_range(r.n, SHARE, SHARE + 15);
	assert_int_equal(r.refused + r.more, 2000);
	assert_true(r.more > 0);
	connect_as(BOB, "198.19.100.1", 25, 2);
	assert_int_equal(dest_of(BOB, "198.19.100.1", 25).refused, 2);
	/* One after the other it is exact. */
	for (int i = 0; i < 15; i++) {
		char addr[32];

		snprintf(addr, sizeof(addr), "100.66.113.%d", i);
		connect_as(61005, addr, 25, 1);
	}
	r = rows_of(61005);
	assert_int_equal(r.n, SHARE);
	assert_int_equal(r.more, 15 - SHARE);
}

/* Many accounts fill the table: their own counters go on, and so do the verdicts. */
static void full_table(void **state)
{
	size_t n = 0;

	(void)state;
	fresh("[policy]\n[tables]\norigins = 16\n");
	for (uint32_t i = 0; i < 12; i++) {
		connect_as(61100 + i, "198.19.100.1", 25, 1);
		connect_as(61100 + i, "198.19.100.2", 25, 1);
		assert_int_equal(wall_uid(&wall, 61100 + i, SW_N_DENIED), 2);
		n += rows_of(61100 + i).n;
	}
	assert_int_equal(n, 16);
	assert_int_equal(wall_counter(&wall, SW_CTR_DEST_FULL), 24 - 16);
	assert_int_equal(wall_counter(&wall, SW_CTR_UNCOUNTED), 0);
}

/* ---- cgroups ---- */

static uint64_t id_of(const char *cgroup)
{
	_cleanup_close_ int fd = open(cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	uint64_t id;

	assert_true(fd >= 0);
	assert_int_equal(sw_cgroup_id(fd, &id), 0);
	return id;
}

static struct sw_cgroup_name name_of(uint64_t id)
{
	struct sw_cgroup_name n = {};

	read_table(SW_MAP_CGROUPS);
	for (size_t i = 0; i < dump.n; i++) {
		uint64_t key;

		memcpy(&key, sw_map_key(&dump, i), sizeof(key));
		if (key == id)
			memcpy(&n, sw_map_value(&dump, i), sizeof(n));
	}
	return n;
}

/* The cgroup kept with the directory that an account connects from. */
static uint64_t cgroup_of_origin(uint32_t uid)
{
	uint64_t id = 0;

	read_table(SW_MAP_ORIGINS);
	for (size_t i = 0; i < dump.n; i++) {
		const struct sw_origin_key *k = sw_map_key(&dump, i);

		if (k->uid == uid && k->dev != SW_DEV_NONE)
			id = ((const struct sw_origin *)sw_map_value(&dump, i))->cgroup_id;
	}
	return id;
}

static void names_outlive_cgroups(void **state)
{
	static const char *const below[] = { "a", "b", "docker-0123456789abcdef.scope", "d", "e" };
	char dir[6][256];
	uint64_t id[6];
	struct sw_cgroup_name n;

	(void)state;
	fresh("[exempt]\nusers = root 61003\n");
	snprintf(dir[0], sizeof(dir[0]), "%s", wall.cgroup);
	for (int i = 0; i < 6; i++) {
		const struct caller c = CALLER(61200 + (uint32_t)i, 61200, dir[i]);
		const struct caller exempt = CALLER(61003, 61003, dir[i]);

		if (i)
			snprintf(dir[i], sizeof(dir[i]), "%.200s/%s", dir[i - 1], below[i - 1]);
		if (i && mkdir(dir[i], 0755) < 0)
			fail_msg("mkdir %s: %s", dir[i], strerror(errno));
		id[i] = id_of(dir[i]);
		caller_connect(&exempt, CALLER_REMOTE4, 25);
		assert_int_equal(name_of(id[i]).filled, 0);	/* nobody offended there */
		assert_int_equal(caller_connect(&c, CALLER_REMOTE4, 25), wall_refusal());
	}
	for (int i = 5; i > 0; i--)
		scene_rmdir(dir[i]);
	for (int i = 0; i < 6; i++) {
		n = name_of(id[i]);
		assert_int_equal(n.filled, 1);
		assert_int_equal(n.level, i + 1);
		assert_string_equal(n.name[0], strrchr(dir[i], '/') + 1);
		if (i)
			assert_string_equal(n.name[1], strrchr(dir[i - 1], '/') + 1);
		else
			assert_string_equal(n.name[1], "");
		assert_int_equal(cgroup_of_origin(61200 + (uint32_t)i), id[i]);
	}
	assert_string_equal(n.name[3], "b");	/* of six levels the lower four */
}

/* A name as long as cgroups allow is cut, not left out. */
static void long_names(void **state)
{
	char dir[512], name[256];
	const struct crowd_opts o = { .uid = ALICE, .port = 25, .threads = 1, .attempts = 1,
				      .cgroup = dir };
	struct sw_cgroup_name n;
	uint64_t id;

	(void)state;
	fresh("[policy]\n");
	memset(name, 'n', 255);
	name[255] = '\0';
	snprintf(dir, sizeof(dir), "%s/%s", wall.cgroup, name);
	assert_int_equal(mkdir(dir, 0755), 0);
	id = id_of(dir);
	crowd_run(&wall, &o);
	scene_rmdir(dir);
	n = name_of(id);
	assert_int_equal(n.filled, 1);
	assert_int_equal(strnlen(n.name[0], SW_CGROUP_NAME_LEN), SW_CGROUP_NAME_LEN - 1);
	assert_int_equal(strspn(n.name[0], "n"), SW_CGROUP_NAME_LEN - 1);
	assert_string_equal(n.name[1], strrchr(wall.cgroup, '/') + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_under_load),
		cmocka_unit_test(exact_on_one_row),
		cmocka_unit_test(what_is_kept),
		cmocka_unit_test(share_of_one_account),
		cmocka_unit_test(full_table),
		cmocka_unit_test(names_outlive_cgroups),
		cmocka_unit_test(long_names),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	wall_open(&wall);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	sw_map_dump_free(&dump);
	wall_close(&wall);
	return failed ? 1 : 0;
}
