/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mode = redirect at its edges: who is denied instead, sockets that connect more than once, and
 * applies while programs connect. Nothing ever reaches the peer that was asked for.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "log.h"
#include "overhear.h"
#include "talk.h"
#include "usage.h"
#include "util.h"

#define MAIL_UID	61008	/* of the local mail server; not exempt */
#define ERRNOS		134

static struct wall wall;
static struct netlab *lab;
static struct attack_ctx at;

/* What a test has running: a failed one leaves it to clean(). */
static int target4 = -1, target6 = -1;
static pid_t running[8];
static size_t n_running;

static void stop_all(void)
{
	while (n_running) {
		kill(running[--n_running], SIGKILL);
		waitpid(running[n_running], NULL, 0);
	}
}

/* What reached the lab before is nobody's. */
static int begin(void **state)
{
	(void)state;
	talk_escaped();
	return 0;
}

static int clean(void **state)
{
	int r = sw_off(&wall.target);

	(void)state;
	stop_all();
	sw_closep(&target4);
	sw_closep(&target6);
	target4 = target6 = -1;
	talk_serve(false, false);
	return r == 0 || r == -ENOENT ? 0 : -1;
}

/* mode = redirect with these lines of [policy] and what follows; the mail server is MAIL_UID. */
static int apply(const char *more)
{
	struct sw_policy p;
	char text[512];
	int r;

	snprintf(text, sizeof(text), "[policy]\nmode = redirect\nredirect_port = %d\n"
		 "refuse_with = permission\nredirect_to = 127.0.0.1 ::1\n%s", talk_mail_port, more);
	wall_policy(&wall, text, &p);
	r = sw_policy_add_exempt(&p, SW_KIND_MAIL_UID, MAIL_UID, "mta", 0, 0);
	if (!r)
		r = sw_apply(&wall.target, &p);
	sw_policy_free(&p);
	return r;
}

static struct talk run(struct talk t)
{
	talk_run(&t);
	return t;
}

#define RUN(...) run((struct talk){ __VA_ARGS__ })

/* ---- denied, not redirected ---- */

static void assert_denied(struct talk t, enum sw_reason reason)
{
	uint32_t uid = t.uid ?: at.uid;
	uint64_t denied = wall_uid(&wall, uid, SW_N_DENIED);

	talk_run(&t);
	assert_int_equal(t.skipped, 0);
	assert_int_equal(t.error, EPERM);
	assert_int_equal(wall_uid(&wall, uid, SW_N_DENIED), denied + 1);
	assert_int_equal(overhear_reason(&wall, uid), reason);
}

static void who_cannot_get_there(void **state)
{
	(void)state;
	talk_serve(true, true);
	assert_int_equal(apply("deny_ports = 25 2500\n"), 0);
	/* The mail server itself would talk to itself for ever. */
	assert_denied((struct talk){ .uid = MAIL_UID }, SW_BY_LOOP);
	assert_denied((struct talk){ .uid = MAIL_UID, .how = TALK_V6 }, SW_BY_LOOP);
	/* A SYN to this machine would leave through the link. */
	assert_denied((struct talk){ .how = TALK_DEVICE }, SW_BY_DEVICE);
	assert_denied((struct talk){ .how = TALK_DEVICE | TALK_V6 }, SW_BY_DEVICE);
	/* Another namespace has another loopback. */
	assert_denied((struct talk){ .how = TALK_NETNS }, SW_BY_POLICY);
	assert_denied((struct talk){ .how = TALK_NETNS | TALK_V6 }, SW_BY_POLICY);
	/* Other ports speak other protocols. */
	assert_denied((struct talk){ .how = TALK_CONTROL }, SW_BY_POLICY);
	assert_int_equal(wall_uid(&wall, at.uid, SW_N_REDIRECTED), 0);
	assert_int_equal(talk_waiting(TALK_SERVER4) + talk_waiting(TALK_SERVER6), 0);
	assert_int_equal(talk_escaped(), 0);
}

static void denied_and_limited_stay_so(void **state)
{
	struct sw_live live;
	struct talk t;
	int r;

	(void)state;
	talk_serve(true, true);
	assert_int_equal(apply("[allow]\nrule = any to 2001:db8::/32 port 25 limit 0/day\n"), 0);
	t = RUN(.how = TALK_V6);
	assert_int_equal(t.error, EPERM);
	assert_int_equal(overhear_reason(&wall, at.uid), SW_BY_RULE_LIMIT);
	assert_int_equal(wall_uid(&wall, at.uid, SW_N_LIMITED), 1);
	wall_live(&wall, &live);
	r = sw_deny_uid(&live, at.uid, 3600, SW_DENIED_BY_HAND);
	sw_live_close(&live);
	assert_int_equal(r, 0);
	assert_denied((struct talk){ .how = 0 }, SW_BY_DENIED_NOW);
	assert_int_equal(talk_waiting(TALK_SERVER4) + talk_waiting(TALK_SERVER6), 0);
	assert_int_equal(talk_escaped(), 0);
}

/* UDP is nobody's business here; whoever is exempt reaches whom he asked for. */
static void left_alone(void **state)
{
	uint64_t before, after;
	char text[16];
	struct talk t;

	(void)state;
	talk_serve(true, true);
	assert_int_equal(apply("[exempt]\nusers = root 61002\n"), 0);
	t = RUN(.how = TALK_UDP);
	assert_int_equal(t.error, 0);
	assert_true(talk_same(&t.peer, &t.asked));
	assert_int_equal(wall_total(&wall), 0);
	assert_int_equal(netlab_accepted(lab, at.port, &before), 0);
	t = RUN(.uid = 61002);
	assert_int_equal(t.error, 0);
	assert_true(talk_same(&t.peer, &t.asked));
	t = RUN(.uid = 61002, .how = TALK_V6);
	assert_int_equal(t.error, 0);
	assert_true(talk_same(&t.peer, &t.asked));
	assert_int_equal(netlab_accepted(lab, at.port, &after), 0);
	assert_int_equal(after - before, 2);
	assert_int_equal(wall_uid(&wall, 61002, SW_N_ALLOWED), 2);
	t = RUN(.how = TALK_CONTROL);	/* port 2500 is no port of the policy */
	assert_int_equal(t.error, 0);
	assert_true(talk_same(&t.peer, &t.asked));
	assert_int_equal(RUN(.how = 0).error, 0);
	talk_take(TALK_SERVER4, text);
}

/* ---- more than once ---- */

static int disconnect(int fd)
{
	const struct sockaddr a = { .sa_family = AF_UNSPEC };

	return connect(fd, &a, sizeof(a)) < 0 ? errno : 0;
}

/* Redirected and refused, for nobody is there; then somewhere else on the same socket. */
static int refused_then_elsewhere(struct talk *t)
{
	int fd = talk_socket(t->how);

	if (talk_connect(t, fd) != wall_refusal())
		return 1;
	t->how |= TALK_CONTROL;
	t->error = talk_connect(t, fd);
	talk_names(t, fd);
	return 0;
}

/* Redirected, taken apart, and to the mail server in person. */
static int then_the_server_itself(struct talk *t)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT,
				  .sin6_port = htons(talk_mail_port) };
	int fd = talk_socket(t->how);

	if (talk_connect(t, fd) != 0 || disconnect(fd) != 0)
		return 1;
	t->error = connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? errno : 0;
	talk_names(t, fd);
	t->asked = a;
	return 0;
}

/* Redirected twice, to two who were asked for. */
static int redirected_twice(struct talk *t)
{
	int fd = talk_socket(t->how);

	if (talk_connect(t, fd) != 0 || disconnect(fd) != 0)
		return 1;
	t->how |= TALK_MPTCP;	/* of the lab's addresses the other one; the socket is as it was */
	t->error = talk_connect(t, fd);
	talk_names(t, fd);
	return 0;
}

static void one_socket_several_peers(void **state)
{
	struct talk t;
	char text[16], ports[32];

	(void)state;
	/* The server's port belongs to the policy, as port 25 does by itself. */
	snprintf(ports, sizeof(ports), "count_ports = %d\n", talk_mail_port);
	assert_int_equal(apply(ports), 0);
	for (unsigned int how = 0; how <= TALK_V6; how++) {
		t = (struct talk){ .how = how };
		assert_int_equal(talk_child(at.uid, refused_then_elsewhere, &t), 0);
		assert_int_equal(t.error, 0);
		assert_true(talk_same(&t.peer, &t.asked));
	}
	talk_serve(true, true);
	t = (struct talk){ .how = TALK_V6 };
	assert_int_equal(talk_child(at.uid, then_the_server_itself, &t), 0);
	assert_int_equal(t.error, 0);
	assert_true(talk_same(&t.peer, &t.asked));
	talk_take(TALK_SERVER6, text);
	talk_take(TALK_SERVER6, text);
	for (unsigned int how = 0; how <= TALK_V6; how++) {
		t = (struct talk){ .how = how };
		assert_int_equal(talk_child(at.uid, redirected_twice, &t), 0);
		assert_int_equal(t.error, 0);
		assert_true(talk_same(&t.peer, &t.asked));
	}
	assert_int_equal(talk_escaped(), 0);
}

/* ---- while the policy changes ---- */

/* A child that is ended with the test; 0 in it. */
static pid_t start(void)
{
	pid_t pid, parent = getpid();

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0 && n_running < ARRAY_SIZE(running));
	if (pid) {
		running[n_running++] = pid;
		return pid;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return 0;
}

/* A process that takes whatever comes to both targets. */
static void start_server(void)
{
	if (start())
		return;
	for (;;) {
		int fd = accept4(target4, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			fd = accept4(target6, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0)
			usleep(100);
		else
			close(fd);
	}
}

struct seen {
	uint64_t n[ERRNOS];	/* by errno of connecting */
	uint64_t wrong;		/* told another peer than was asked for */
};

/* Connects as fast as it can; its sockets do not linger. */
static void start_talker(unsigned int how, struct seen *seen)
{
	const struct linger linger = { .l_onoff = 1 };
	struct talk t = { .how = how };

	if (start())
		return;
	wall_enter(&wall);
	if (nice(10) < 0 || setresgid(at.uid, at.uid, at.uid) < 0 ||
	    setresuid(at.uid, at.uid, at.uid) < 0)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* changing ids has cleared it */
	for (;;) {
		int fd = talk_socket(how), r;

		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		r = talk_connect(&t, fd);
		if (r == 0) {
			talk_names(&t, fd);
			/* The other end may be gone already. */
			seen->wrong += t.peer.sin6_family && !talk_same(&t.peer, &t.asked);
		}
		__atomic_fetch_add(&seen->n[r < ERRNOS ? r : 0], 1, __ATOMIC_RELEASE);
		close(fd);
	}
}

/* Waits until each of them has come to `result` once more. */
static void wait_for(const struct seen *seen, size_t n, int result)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t before = __atomic_load_n(&seen[i].n[result], __ATOMIC_ACQUIRE);

		for (int ms = 0; ms < 10000; ms++) {
			if (__atomic_load_n(&seen[i].n[result], __ATOMIC_ACQUIRE) > before + 1)
				break;
			usleep(1000);
		}
		assert_true(seen[i].n[result] > before + 1);
	}
}

static struct seen *share(size_t n)
{
	struct seen *s = mmap(NULL, n * sizeof(*s), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(s != MAP_FAILED);
	return s;
}

/* Nothing else came of connecting than these. A connection may be cut before the text is sent. */
static void assert_only(const struct seen *s, int result, int other)
{
	for (int i = 0; i < ERRNOS; i++)
		if (s->n[i] && i != result && i != other && i != ECONNRESET && i != EPIPE)
			fail_msg("%llu times: %s", (unsigned long long)s->n[i], strerror(i));
}

#define SWITCHES	3

/* Redirected, or denied by the policy without redirect; never through. */
static void redirect_comes_and_goes(void **state)
{
	static const unsigned int hows[] = { 0, TALK_V6, TALK_MAPPED };
	const size_t n = ARRAY_SIZE(hows);
	struct seen *seen = share(n);

	(void)state;
	target4 = talk_listen("127.0.0.1", talk_mail_port);
	target6 = talk_listen("::1", talk_mail_port);
	start_server();
	assert_int_equal(apply(""), 0);
	for (size_t i = 0; i < n; i++)
		start_talker(hows[i], &seen[i]);
	for (int i = 0; i < SWITCHES; i++) {
		wait_for(seen, n, 0);
		assert_int_equal(wall_apply(&wall, "[policy]\nrefuse_with = permission\n"), 0);
		wait_for(seen, n, EPERM);
		assert_int_equal(apply(""), 0);
	}
	stop_all();
	for (size_t i = 0; i < n; i++)
		assert_only(&seen[i], 0, EPERM);
	munmap(seen, n * sizeof(*seen));
	assert_int_equal(talk_escaped(), 0);
}

/* Two targets of which each is an address and a port: never the address of one and the port, or
 * half the address, of the other. Nobody would be there. */
static void the_target_changes(void **state)
{
	struct seen *seen = share(1);
	char elsewhere[128];

	(void)state;
	snprintf(elsewhere, sizeof(elsewhere), "[policy]\nmode = redirect\nredirect_port = %d\n"
		 "redirect_to = 127.0.0.1\n", talk_mail_port + 1);
	target4 = talk_listen("127.0.0.1", talk_mail_port + 1);
	target6 = talk_listen("::1", talk_mail_port);
	start_server();
	assert_int_equal(apply(""), 0);
	start_talker(TALK_V6, seen);
	for (int i = 0; i < SWITCHES; i++) {
		wait_for(seen, 1, 0);
		assert_int_equal(wall_apply(&wall, elsewhere), 0);
		wait_for(seen, 1, 0);
		assert_int_equal(apply(""), 0);
	}
	stop_all();
	assert_only(seen, 0, 0);
	assert_int_equal(seen->wrong, 0);
	munmap(seen, sizeof(*seen));
	assert_int_equal(talk_escaped(), 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, clean)
	const struct CMUnitTest tests[] = {
		TEST(who_cannot_get_there),
		TEST(denied_and_limited_stay_so),
		TEST(left_alone),
		TEST(one_socket_several_peers),
		TEST(redirect_comes_and_goes),
		TEST(the_target_changes),
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
