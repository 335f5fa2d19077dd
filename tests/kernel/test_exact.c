/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Counting is exact at any rate, for accounts and for directories, also when events are lost,
 * when tables are full, and when many CPUs count on one row.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "hammer.h"
#include "log.h"
#include "mapread.h"
#include "util.h"

#define EACH	4000		/* connects of one hammer */
#define HAMMERS	8

static struct wall wall;
static char scratch[] = "/tmp/swexactXXXXXX";

static uint64_t ms_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void fresh(const char *policy)
{
	int r = sw_off(&wall.target);

	assert_true(r == 0 || r == -ENOENT);
	assert_int_equal(wall_apply(&wall, policy), 0);
}

/* The origin row of a directory for one account; fails when there is none. */
static void origin_of(uint32_t uid, const char *dir, struct sw_origin *ret)
{
	struct sw_map_dump d;
	struct sw_live live;
	struct stat st;
	bool found = false;

	assert_int_equal(stat(dir, &st), 0);
	wall_live(&wall, &live);
	assert_int_equal(sw_map_dump(live.map_fd[SW_MAP_ORIGINS], &d), 0);
	for (size_t i = 0; i < d.n; i++) {
		const struct sw_origin_key *k = sw_map_key(&d, i);

		if (k->uid == uid && k->ino == st.st_ino && k->dev != SW_DEV_NONE) {
			memcpy(ret, sw_map_value(&d, i), sizeof(*ret));
			found = true;
		}
	}
	sw_map_dump_free(&d);
	sw_live_close(&live);
	assert_true(found);
}

static const char *dir_named(int i)
{
	static char path[64];

	snprintf(path, sizeof(path), "%s/site%d", scratch, i);
	if (mkdir(path, 0755) < 0)
		assert_int_equal(errno, EEXIST);
	return path;
}

/* Several processes on one row and one directory, others on their own. */
static void every_attempt_once(void **state)
{
	struct hammer h[HAMMERS];
	struct sw_origin o;

	(void)state;
	fresh("[policy]\n");
	for (int i = 0; i < HAMMERS; i++) {
		const char *dir = dir_named(i / 2);
		const struct hammer_opts opts = {
			.uid = 61001 + (i >= HAMMERS / 2), .port = 25, .attempts = EACH,
			.v6 = i & 1, .cwd = dir,
		};

		hammer_start(&wall, &opts, &h[i]);
	}
	for (int i = 0; i < HAMMERS; i++)
		assert_int_equal(hammer_stop(&h[i], true).refused[wall_refusal()], EACH);
	assert_int_equal(wall_uid(&wall, 61001, SW_N_DENIED), EACH * HAMMERS / 2);
	assert_int_equal(wall_uid(&wall, 61002, SW_N_DENIED), EACH * HAMMERS / 2);
	assert_int_equal(wall_total(&wall), EACH * HAMMERS);
	assert_int_equal(wall_total_origins(&wall), EACH * HAMMERS);
	for (int i = 0; i < HAMMERS / 2; i++) {
		origin_of(i < HAMMERS / 4 ? 61001 : 61002, dir_named(i), &o);
		assert_int_equal(o.n[SW_N_DENIED], 2 * EACH);
		assert_string_equal(o.where.path + o.where.path_off, dir_named(i));
		assert_int_equal(o.last_dport, 25);
	}
	/* Each attempt is an event, or throttled, or lost: never nothing. */
	assert_int_equal(wall_counter(&wall, SW_CTR_EVENTS_SENT) +
			 wall_counter(&wall, SW_CTR_EVENTS_LOST) +
			 wall_counter(&wall, SW_CTR_EVENTS_THROTTLED), EACH * HAMMERS);
	assert_int_equal(wall_counter(&wall, SW_CTR_UNCOUNTED), 0);
}

/* Nobody reads the ring and the throttle is off, so that it has to overflow. */
static void exact_while_events_are_lost(void **state)
{
	struct sw_control c = { .event_interval = 0 };
	struct hammer h[2];
	struct sw_live live;
	__u32 zero = 0;

	(void)state;
	fresh("[policy]\n[tables]\nevents = 64K\n");
	wall_live(&wall, &live);
	assert_int_equal(bpf_map_update_elem(live.map_fd[SW_MAP_CONTROL], &zero, &c, BPF_ANY), 0);
	sw_live_close(&live);
	for (int i = 0; i < 2; i++)
		hammer_start(&wall, &(struct hammer_opts){ .uid = 61001, .port = 25,
							   .attempts = EACH, .v6 = i }, &h[i]);
	for (int i = 0; i < 2; i++)
		assert_int_equal(hammer_stop(&h[i], true).refused[wall_refusal()], EACH);
	assert_int_equal(wall_uid(&wall, 61001, SW_N_DENIED), 2 * EACH);
	assert_int_equal(wall_total_origins(&wall), 2 * EACH);
	assert_true(wall_counter(&wall, SW_CTR_EVENTS_LOST) > 0);
	assert_int_equal(wall_counter(&wall, SW_CTR_EVENTS_SENT) +
			 wall_counter(&wall, SW_CTR_EVENTS_LOST), 2 * EACH);
}

struct first_event {
	uint32_t uid;
	bool seen;
	struct sw_event event;
};

static int on_event(void *data, void *record, size_t len)
{
	struct first_event *f = data;
	const struct sw_event *e = record;

	if (len == sizeof(*e) && e->charged_uid == f->uid && !f->seen) {
		f->event = *e;
		f->seen = true;
	}
	return 0;
}

/* One account floods on all CPUs; the first event of another arrives within 100 ms. */
static void flood_does_not_hide_others(void **state)
{
	struct first_event f = { .uid = 61009 };
	struct ring_buffer *ring;
	struct hammer h[3];
	struct sw_live live;
	uint64_t began;

	(void)state;
	fresh("[policy]\n");
	wall_live(&wall, &live);
	for (int i = 0; i < 3; i++)
		hammer_start(&wall, &(struct hammer_opts){ .uid = 61001, .port = 25, .v6 = i & 1 },
			     &h[i]);
	ring = ring_buffer__new(live.map_fd[SW_MAP_EVENTS], on_event, &f, NULL);
	assert_non_null(ring);
	assert_int_equal(hammer_once(&wall, 61009, 25, false), wall_refusal());
	began = ms_now();
	while (!f.seen && ms_now() - began < 100)
		ring_buffer__poll(ring, 10);
	for (int i = 0; i < 3; i++)
		hammer_stop(&h[i], false);
	ring_buffer__free(ring);
	sw_live_close(&live);
	assert_true(f.seen);
	assert_int_equal(f.event.ruid, 61009);
	assert_int_equal(f.event.dport, 25);
	assert_int_equal(f.event.verdict, SW_DENY);
	assert_int_equal(f.event.reason, SW_BY_POLICY);
	assert_true(wall_counter(&wall, SW_CTR_EVENTS_THROTTLED) > 0);
	assert_int_equal(wall_counter(&wall, SW_CTR_EVENTS_LOST), 0);
}

static void full_account_table(void **state)
{
	const struct sw_uid_key overflow = { 0, SW_ROW_OVERFLOW };
	struct sw_uid_stats row;

	(void)state;
	fresh("[policy]\n[tables]\nuids = 16\n");
	for (uint32_t i = 0; i < 40; i++)
		assert_int_equal(hammer_once(&wall, 61100 + i, 25, i & 1), wall_refusal());
	assert_int_equal(hammer_once(&wall, 0, 25, false), 0);	/* exempt, table full or not */
	wall_row(&wall, overflow, &row);
	assert_int_equal(row.n[SW_N_DENIED], 40 - 15);
	assert_int_equal(row.n[SW_N_ALLOWED], 1);
	assert_int_equal(wall_total(&wall), 41);
	assert_int_equal(wall_total_origins(&wall), 41);
	assert_int_equal(wall_counter(&wall, SW_CTR_UID_FULL), 40 - 15 + 1);
}

static void full_directory_table(void **state)
{
	struct hammer h;

	(void)state;
	fresh("[policy]\n[tables]\norigins = 16\n");
	for (int i = 0; i < 40; i++) {
		const struct hammer_opts o = { .uid = 61200 + (uint32_t)i, .port = 25,
					       .attempts = 3, .cwd = dir_named(i) };

		hammer_start(&wall, &o, &h);
		assert_int_equal(hammer_stop(&h, true).refused[wall_refusal()], 3);
	}
	assert_int_equal(wall_total(&wall), 120);
	assert_int_equal(wall_total_origins(&wall), 120);
	assert_int_equal(wall_counter(&wall, SW_CTR_ORIGIN_FULL), 3 * (40 - 15));
}

/* One account makes directories at will: past its share they are counted together, and other
 * accounts still get rows of their own. */
static void one_account_cannot_fill_the_table(void **state)
{
	struct sw_origin o;
	struct hammer h;

	(void)state;
	fresh("[policy]\n[tables]\norigins = 64\n");	/* a share of 9 */
	for (int i = 0; i < 80; i++) {
		const struct hammer_opts opts = { .uid = 61001, .port = 25, .attempts = 1,
						  .cwd = dir_named(i) };

		hammer_start(&wall, &opts, &h);
		hammer_stop(&h, true);
	}
	hammer_start(&wall, &(struct hammer_opts){ .uid = 61002, .port = 25, .attempts = 5,
						   .cwd = dir_named(3) }, &h);
	hammer_stop(&h, true);
	origin_of(61002, dir_named(3), &o);
	assert_int_equal(o.n[SW_N_DENIED], 5);
	assert_int_equal(wall_uid(&wall, 61001, SW_N_DENIED), 80);
	assert_int_equal(wall_total_origins(&wall), 85);
	assert_int_equal(wall_counter(&wall, SW_CTR_ORIGIN_FULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_attempt_once),
		cmocka_unit_test(exact_while_events_are_lost),
		cmocka_unit_test(flood_does_not_hide_others),
		cmocka_unit_test(full_account_table),
		cmocka_unit_test(full_directory_table),
		cmocka_unit_test(one_account_cannot_fill_the_table),
	};
	char command[64];
	int failed;

	sw_log_max = SW_LOG_WARN;
	if (!mkdtemp(scratch) || chmod(scratch, 0755) < 0)
		return 99;
	wall_open(&wall);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	wall_close(&wall);
	snprintf(command, sizeof(command), "rm -rf %s", scratch);
	return system(command) || failed ? 1 : 0;
}
