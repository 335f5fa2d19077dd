/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A resolver that answers what it is told, and a state directory, for tests of host names. */
#ifndef SW_TEST_RESOLVE_UTIL_H
#define SW_TEST_RESOLVE_UTIL_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "resolve_int.h"
#include "util.h"

#define T	EAI_AGAIN
#define NO	EAI_NONAME

#define NOW	1700000000
#define LAST	1600000000

static char scratch[] = "/tmp/sw-resolve-XXXXXX";

struct script {
	const char *name;
	int error[2];		/* IPv4, IPv6 */
	const char *addrs[2];	/* separated by blanks */
};

static const struct script *script;
static size_t n_script;
static unsigned int n_calls, seen_timeout;
static size_t n_questions;

static inline void add_text(struct sw_addrs *a, int family, const char *text)
{
	char copy[8192], *save, *word;
	unsigned char addr[16];

	snprintf(copy, sizeof(copy), "%s", text ? text : "");
	for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		assert_int_equal(inet_pton(family, word, addr), 1);
		assert_int_equal(sw_resolve_add(a, family, addr), 0);
	}
}

static inline void answer(void *arg, struct sw_lookup *l, size_t n, unsigned int timeout_ms)
{
	assert_ptr_equal(arg, scratch);
	n_calls++;
	n_questions += n;
	seen_timeout = timeout_ms;
	for (size_t i = 0; i < n; i++) {
		int v6 = l[i].family == AF_INET6;
		size_t s = 0;

		while (s < n_script && strcmp(script[s].name, l[i].name) != 0)
			s++;
		assert_true(s < n_script);
		l[i].error = script[s].error[v6];
		add_text(&l[i].addrs, l[i].family, script[s].addrs[v6]);
	}
}

static inline const char *text_of(const struct sw_addrs *a)
{
	static char text[SW_RESOLVE_MAX_ADDRS * INET6_ADDRSTRLEN];
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < a->n; i++) {
		char one[INET6_ADDRSTRLEN];

		inet_ntop(AF_INET6, a->item[i].b, one, sizeof(one));
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s", i ? " " : "",
					 one);
	}
	return text;
}

static inline void state_path(char path[128], const char *name)
{
	snprintf(path, 128, "%s/state%s%s", scratch, name ? "/" : "", name ? name : "");
}

static inline void write_state(const char *text)
{
	char path[128];
	FILE *f;

	state_path(path, NULL);
	(void)mkdir(path, 0750);
	state_path(path, "names");
	unlink(path);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fchmod(fileno(f), 0640), 0);
	fclose(f);
}

static inline const char *read_state(void)
{
	static char text[16384];
	char path[128];
	ssize_t n;
	int fd;

	state_path(path, "names");
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? NULL : text;
}

static inline void remove_state(void)
{
	char path[128];

	state_path(path, "names");
	unlink(path);
	rmdir(path);
	state_path(path, NULL);
	unlink(path);
	rmdir(path);
}

static inline struct sw_resolver resolver(bool remember)
{
	static char path[128];

	state_path(path, NULL);
	n_calls = 0;
	n_questions = 0;
	return (struct sw_resolver){ .state_dir = path, .remember = remember, .now = NOW,
				     .lookup = answer, .arg = scratch };
}

static inline void make_many(char *text, size_t size, unsigned int n)
{
	size_t used = 0;

	text[0] = '\0';
	for (unsigned int i = 0; i < n; i++)
		used += (size_t)snprintf(text + used, size - used, "203.0.113.%u ", i);
}

/* One question that nobody answers. */
static inline void resolve_failing(struct sw_resolver how, struct sw_resolved_list *l)
{
	static const struct script s = { "x.test", { T, T }, {} };
	static const char *const name[] = { "x.test" };

	script = &s;
	n_script = 1;
	assert_int_equal(sw_resolve(&how, name, 1, l), 0);
}

static inline int enter_scratch(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return mkdtemp(scratch) ? 0 : -1;
}

static inline int leave_scratch(void **state)
{
	(void)state;
	remove_state();
	return rmdir(scratch);
}

#endif
