/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mode = redirect: a denied connect to port 25 arrives at the local mail server, however it is
 * made, and the program is told the peer it asked for. That peer lies behind a veth pair: whatever
 * reaches it is counted there.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "talk.h"
#include "util.h"

static struct wall wall;
static struct netlab *lab;
static struct attack_ctx at;

static void apply(const char *more)
{
	char policy[512];

	snprintf(policy, sizeof(policy), "[policy]\nmode = redirect\nredirect_port = %d\n%s",
		 talk_mail_port, more);
	assert_int_equal(wall_apply(&wall, policy), 0);
	talk_escaped();
}

static int clean(void **state)
{
	int r = sw_off(&wall.target);

	(void)state;
	talk_serve(false, false);
	return r == 0 || r == -ENOENT ? 0 : -1;
}

static uint64_t counted(enum sw_slot slot)
{
	return wall_uid(&wall, at.uid, slot);
}

static const struct talk *run(unsigned int how)
{
	static struct talk t;

	t = (struct talk){ .how = how };
	talk_run(&t);
	return &t;
}

/* ---- every way of connecting ---- */

static const struct {
	const char *name;
	unsigned int how;
	int server;
} ways[] = {
	{ "v4", 0, TALK_SERVER4 },
	{ "v6", TALK_V6, TALK_SERVER6 },
	{ "v4-mapped", TALK_MAPPED, TALK_SERVER4 },
	{ "link-local", TALK_LINKLOCAL, TALK_SERVER6 },
	{ "v4, non-blocking", TALK_NONBLOCK, TALK_SERVER4 },
	{ "v6, non-blocking", TALK_V6 | TALK_NONBLOCK, TALK_SERVER6 },
	{ "v4, bound", TALK_BIND, TALK_SERVER4 },
	{ "v6, bound", TALK_V6 | TALK_BIND, TALK_SERVER6 },
	{ "v4-mapped, bound", TALK_MAPPED | TALK_BIND, TALK_SERVER4 },
	{ "v4, MSG_FASTOPEN", TALK_SENDTO, TALK_SERVER4 },
	{ "v6, MSG_FASTOPEN", TALK_V6 | TALK_SENDTO, TALK_SERVER6 },
	{ "v4-mapped, MSG_FASTOPEN", TALK_MAPPED | TALK_SENDTO, TALK_SERVER4 },
	{ "v4, MSG_FASTOPEN without a cookie", TALK_SENDTO | TALK_NO_COOKIE, TALK_SERVER4 },
	{ "v6, MSG_FASTOPEN without a cookie", TALK_V6 | TALK_SENDTO | TALK_NO_COOKIE,
	  TALK_SERVER6 },
	{ "v4, deferred", TALK_DEFERRED, TALK_SERVER4 },
	{ "v4, deferred, without a cookie", TALK_DEFERRED | TALK_NO_COOKIE, TALK_SERVER4 },
	{ "v6, deferred, without a cookie", TALK_V6 | TALK_DEFERRED | TALK_NO_COOKIE,
	  TALK_SERVER6 },
	{ "v4, io_uring", TALK_URING, TALK_SERVER4 },
	{ "v6, io_uring", TALK_V6 | TALK_URING, TALK_SERVER6 },
	{ "v4, io_uring, by a worker", TALK_URING | TALK_ASYNC, TALK_SERVER4 },
	{ "MPTCP, v4", TALK_MPTCP, TALK_SERVER4 },
	{ "MPTCP, v6", TALK_MPTCP | TALK_V6, TALK_SERVER6 },
	{ "MPTCP, v4-mapped", TALK_MPTCP | TALK_MAPPED, TALK_SERVER4 },
	{ "MPTCP, MSG_FASTOPEN", TALK_MPTCP | TALK_SENDTO, TALK_SERVER4 },
};

static void check_names(size_t i, const struct talk *t)
{
	const struct sockaddr_in *name4 = (const struct sockaddr_in *)&t->name;
	uint16_t mail_port = htons(talk_mail_port);

	/* The kernel asks with another socket than the one that was sent elsewhere. */
	if (ways[i].how & TALK_MPTCP) {
		assert_int_equal(t->peer.sin6_port, mail_port);
		return;
	}
	if (!talk_same(&t->peer, &t->asked))
		fail_msg("%s: the peer is another one, port %u", ways[i].name,
			 ntohs(t->peer.sin6_port));
	if (ways[i].how & TALK_BIND && !(ways[i].how & (TALK_V6 | TALK_MAPPED)))
		assert_int_equal(name4->sin_addr.s_addr, at.own4.s_addr);
	else if (ways[i].how & TALK_BIND && ways[i].how & TALK_V6)
		assert_memory_equal(&t->name.sin6_addr, &at.own6, 16);
	else if (ways[i].server == TALK_SERVER6)
		assert_memory_equal(&t->name.sin6_addr, &in6addr_loopback, 16);
	else if (!ways[i].how)
		assert_int_equal(name4->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

static void every_way_of_connecting(void **state)
{
	unsigned int n = 0;
	char text[16];

	(void)state;
	talk_serve(true, true);
	apply("redirect_to = 127.0.0.1 ::1\n");
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		const struct talk *t = run(ways[i].how);

		if (t->skipped) {
			print_message("# %s: %s\n", ways[i].name, strerror(t->skipped));
			continue;
		}
		if (t->error)
			fail_msg("%s: %s", ways[i].name, strerror(t->error));
		talk_take(ways[i].server, text);
		if (strcmp(text, TALK_TEXT) != 0)
			fail_msg("%s: what was sent did not arrive", ways[i].name);
		check_names(i, t);
		if (counted(SW_N_REDIRECTED) != ++n)
			fail_msg("%s: not counted once", ways[i].name);
	}
	assert_true(n > 12);
	assert_int_equal(wall_total(&wall), n);
	assert_int_equal(talk_escaped(), 0);
	assert_int_equal(talk_waiting(TALK_SERVER4) + talk_waiting(TALK_SERVER6), 0);
}

/* ---- where it goes ---- */

/* Where only IPv4 is served, IPv6 gets there as v4-mapped; a socket that takes no IPv4, or
 * that is bound to an IPv6 address, cannot. */
static void v6_by_v4(void **state)
{
	const struct talk *t;
	char text[16];

	(void)state;
	talk_serve(true, false);
	apply("");
	t = run(TALK_V6);
	assert_int_equal(t->error, 0);
	talk_take(TALK_SERVER4, text);
	assert_true(talk_same(&t->peer, &t->asked));
	assert_int_equal(run(TALK_V6 | TALK_V6ONLY)->error, ENETUNREACH);
	assert_int_equal(run(TALK_V6 | TALK_BIND)->error, ENETUNREACH);
	assert_int_equal(counted(SW_N_REDIRECTED), 3);
	assert_int_equal(talk_escaped(), 0);
}

/* Where only an IPv6 address is named, IPv4 cannot get there and is denied. */
static void v4_without_a_server(void **state)
{
	char text[16];

	(void)state;
	talk_serve(true, true);
	apply("redirect_to = ::1\n");
	assert_int_equal(run(TALK_V6)->error, 0);
	talk_take(TALK_SERVER6, text);
	assert_int_equal(run(0)->error, wall_refusal());
	assert_int_equal(run(TALK_MAPPED)->error, wall_refusal());
	assert_int_equal(counted(SW_N_REDIRECTED), 1);
	assert_int_equal(counted(SW_N_DENIED), 2);
	assert_int_equal(talk_waiting(TALK_SERVER4), 0);
}

static void another_address_and_port(void **state)
{
	_cleanup_close_ int fd = -1;
	char policy[128];

	(void)state;
	fd = talk_listen("127.0.0.9", talk_mail_port + 1);
	snprintf(policy, sizeof(policy), "[policy]\nmode = redirect\nredirect_to = 127.0.0.9\n"
		 "redirect_port = %d\n", talk_mail_port + 1);
	assert_int_equal(wall_apply(&wall, policy), 0);
	assert_int_equal(run(0)->error, 0);
	assert_int_equal(run(TALK_MAPPED)->error, 0);
	for (int i = 0; i < 2; i++) {
		int c = accept4(fd, NULL, NULL, SOCK_CLOEXEC);

		assert_true(c >= 0);
		close(c);
	}
}

/* A plain refusal, as from any machine without a mail server. */
static void server_is_down(void **state)
{

	(void)state;
	talk_serve(false, false);
	apply("refuse_with = permission\nredirect_to = 127.0.0.1 ::1\n");
	assert_int_equal(run(0)->error, wall_refusal());
	assert_int_equal(run(TALK_V6)->error, wall_refusal());
	assert_int_equal(run(TALK_MAPPED | TALK_NONBLOCK)->error, wall_refusal());
	assert_int_equal(counted(SW_N_REDIRECTED), 3);
	assert_int_equal(talk_escaped(), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, clean)
	const struct CMUnitTest tests[] = {
		TEST(every_way_of_connecting),
		TEST(v6_by_v4),
		TEST(v4_without_a_server),
		TEST(another_address_and_port),
		TEST(server_is_down),
	};
	int failed;

	sw_log_max = SW_LOG_WARN;
	failed = talk_open(&wall, &lab, &at);
	if (failed)
		return failed;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	talk_close(&wall, lab);
	return failed ? 1 : 0;
}
