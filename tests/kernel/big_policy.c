/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "big_policy.h"
#include "cgroup.h"
#include "config.h"
#include "util.h"

#define LINE		180	/* characters; a longer one has to be continued */
#define FILE_RULES	10000	/* in one file: it may have a megabyte */
#define FILE_USERS	100000

static void __attribute__((noreturn, format(printf, 1, 2))) give_up(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(99);
}

static FILE *create(const char *dir, const char *name)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "we");
	if (!f)
		give_up("%s: %s", path, strerror(errno));
	return f;
}

static void write_users(FILE *f, uint32_t from, uint32_t n)
{
	int col = fprintf(f, "[exempt]\nusers =");

	for (uint32_t i = from; i < from + n; i++) {
		if (col > LINE - 8)
			col = fprintf(f, "\n\t");
		col += fprintf(f, " %u", BIG_FIRST_UID + i);
	}
	fputc('\n', f);
}

/* Every kind of rule and length of prefix, over the multicast addresses for documentation and
 * beyond; no two the same. */
static void write_rule(FILE *f, uint32_t i, uint32_t turn)
{
	static const uint8_t lens[] = { 32, 32, 31, 28, 24, 32, 30, 32 };
	unsigned int len = lens[i % ARRAY_SIZE(lens)];
	uint32_t addr = 0xe0000000U + (i * 2654435761U >> 4), n = 100000 + i;

	if (len < 32)
		addr &= ~0U << (32 - len);
	fprintf(f, "rule = ");
	switch ((i + turn) % 4) {
	case 0:
		fprintf(f, "user %u", n);
		break;
	case 1:
		fprintf(f, "group %u", n);
		break;
	default:
		fprintf(f, "any");
	}
	if ((i + turn) % 4 == 3)
		fprintf(f, " to ff0e::db8:%x:%x:0/%u port 25\n", turn, i, 128 - i % 4);
	else
		fprintf(f, " to %u.%u.%u.%u/%u port 25\n", addr >> 24, addr >> 16 & 255,
			addr >> 8 & 255, addr & 255, len);
}

static void write_files(const struct big_opts *o, const char *dir)
{
	FILE *f = create(dir, "smtpwall.conf");
	char name[64];

	fprintf(f, "%s", o->head);
	fclose(f);
	for (uint32_t i = 0; i < o->users; i += FILE_USERS) {
		snprintf(name, sizeof(name), "conf.d/users%u.conf", i);
		f = create(dir, name);
		write_users(f, i, o->users - i < FILE_USERS ? o->users - i : FILE_USERS);
		fclose(f);
	}
	for (uint32_t i = 0; i < o->rules; i++) {
		if (i % FILE_RULES == 0) {
			snprintf(name, sizeof(name), "conf.d/rules%u.conf", i);
			f = create(dir, name);
			fprintf(f, "[allow]\n");
		}
		write_rule(f, i, o->turn);
		if (i % FILE_RULES == FILE_RULES - 1 || i + 1 == o->rules)
			fclose(f);
	}
}

static void remove_files(const struct big_opts *o, const char *dir)
{
	char path[128];

	for (uint32_t i = 0; i < o->users; i += FILE_USERS) {
		snprintf(path, sizeof(path), "%s/conf.d/users%u.conf", dir, i);
		unlink(path);
	}
	for (uint32_t i = 0; i < o->rules; i += FILE_RULES) {
		snprintf(path, sizeof(path), "%s/conf.d/rules%u.conf", dir, i);
		unlink(path);
	}
	snprintf(path, sizeof(path), "%s/smtpwall.conf", dir);
	unlink(path);
	snprintf(path, sizeof(path), "%s/conf.d", dir);
	rmdir(path);
	rmdir(dir);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int load(const char *path, struct sw_policy *ret, struct sw_diag *diag)
{
	_cleanup_free_ char *root = NULL;
	_cleanup_close_ int fd = -1;

	if (sw_cgroup_open(NULL, &fd, &root) < 0)
		give_up("no cgroup v2 root");
	return sw_config_load(path, fd, ret, diag);
}

void big_policy(const struct big_opts *o, struct sw_policy *ret, double *ret_ms)
{
	char dir[] = "/tmp/swbigXXXXXX", path[64];
	struct sw_diag diag = {};
	double began;
	int r;

	if (!mkdtemp(dir))
		give_up("mkdtemp: %s", strerror(errno));
	snprintf(path, sizeof(path), "%s/conf.d", dir);
	if (mkdir(path, 0755) < 0)
		give_up("%s: %s", path, strerror(errno));
	write_files(o, dir);
	snprintf(path, sizeof(path), "%s/smtpwall.conf", dir);
	began = now_ms();
	r = load(path, ret, &diag);
	*ret_ms = now_ms() - began;
	remove_files(o, dir);
	if (r < 0)
		give_up("%s", diag.n ? diag.text[0] : "configuration");
	sw_diag_free(&diag);
}
