/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of domain sources: a root directory of their own, and the fixtures of panels. */
#ifndef SW_TEST_DOMAIN_UTIL_H
#define SW_TEST_DOMAIN_UTIL_H

#include <errno.h>
#include <ftw.h>
#include <limits.h>
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

#include "domain_int.h"
#include "util.h"

#define FIXTURES	"tests/fixtures/panels/"
#define PASSWD_HEAD	"root:x:0:0:root:/root:/bin/bash\n" \
			"www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\n" \
			"nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"

static char root[64];

static inline int make_root(void **state)
{
	(void)state;
	snprintf(root, sizeof(root), "/tmp/swtest-domain-XXXXXX");
	return mkdtemp(root) ? 0 : -1;
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline int remove_root(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline const char *below(const char *path)
{
	static char full[2][PATH_MAX];
	static int turn;

	turn = !turn;
	snprintf(full[turn], sizeof(full[turn]), "%s%s", root, path);
	return full[turn];
}

/* The directories above a path. */
static inline void make_way(const char *path)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s", below(path));
	for (char *slash = full + strlen(root); (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
}

/* A file of `len` bytes below the root, with its directories. */
static inline void put_bytes(const char *path, const char *text, size_t len)
{
	FILE *f;

	make_way(path);
	f = fopen(below(path), "we");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static inline void put(const char *path, const char *text)
{
	put_bytes(path, text, strlen(text));
}

static inline void put_link(const char *path, const char *target)
{
	make_way(path);
	assert_int_equal(symlink(target, below(path)), 0);
}

static inline void put_directory(const char *path)
{
	make_way(path);
	assert_int_equal(mkdir(below(path), 0755), 0);
}


static inline struct sw_domains *open_domains(const char *dir, const char *sources)
{
	struct sw_domains_config c = { .root = dir, .sources = sources };
	struct sw_domains *d = NULL;

	assert_int_equal(sw_domains_new(&c, &d), 0);
	assert_int_equal(sw_domains_refresh(d), 0);
	return d;
}

static inline struct sw_domain_source_state source_state(const struct sw_domains *d,
							 const char *name)
{
	struct sw_domain_source_state s;

	for (size_t i = 0; sw_domains_source(d, i, &s); i++)
		if (!strcmp(s.name, name))
			return s;
	fail_msg("no source %s", name);
	return s;
}

#endif
