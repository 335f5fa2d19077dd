/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of other products with arbitrary bytes. The first letter of an input says which product;
 * a line "==" ends a file and begins the next one. corpus/import holds the seeds.
 */
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "import.h"

#define MAX_FILES	5

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/sw-fuzz-import-XXXXXX";
static bool made;

static const struct product {
	char letter;
	int (*import)(const char *path, struct sw_import *ret);
	const char *path;			/* below the directory */
	const char *file[MAX_FILES];
} products[] = {
	{ 'c',
	  sw_import_csf,
	  "csf",
	  { "csf/csf.conf", "csf/csf.allow", "csf/csf.deny", "csf/csf.uidignore",
	    "csf/csf.mignore" } },
	{ 'd',
	  sw_import_directadmin,
	  "da",
	  { "da/limit", "da/limit_mail", "da/user_limit", "da/example.com/limit/info" } },
	{ 'i', sw_import_imunify, "imunify", { "imunify" } },
};

static const char *path_of(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void remove_dir(void)
{
	static const char *const dirs[] = { "result", "csf", "da/example.com/limit",
					    "da/example.com", "da", "" };

	for (size_t i = 0; i < sizeof(products) / sizeof(*products); i++)
		for (size_t k = 0; k < MAX_FILES && products[i].file[k]; k++)
			unlink(path_of(products[i].file[k]));
	unlink(path_of("result/smtpwall.conf"));
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		rmdir(path_of(dirs[i]));
}

static void make_dir(void)
{
	static const char *const dirs[] = { "result", "csf", "da", "da/example.com",
					    "da/example.com/limit" };

	if (!mkdtemp(dir))
		abort();
	made = true;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(*dirs); i++)
		mkdir(path_of(dirs[i]), 0755);
	atexit(remove_dir);
}

static void write_file(const char *name, const void *data, size_t size)
{
	FILE *f = fopen(path_of(name), "w");

	if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
		abort();
}

static void write_files(const struct product *p, const char *data, size_t size)
{
	for (size_t k = 0; k < MAX_FILES && p->file[k]; k++) {
		const char *end = size ? memmem(data, size, "\n==\n", 4) : NULL;
		size_t len = end ? (size_t)(end - data) + 1 : size;

		write_file(p->file[k], data, len);
		len = end ? len + 3 : len;
		data += len;
		size -= len;
	}
}

/* Whatever comes out without an error is a configuration that can be loaded. */
static void check_conf(const char *conf)
{
	struct sw_diag diag = { 0 };
	struct sw_policy p;
	int r;

	for (const char *s = conf; *s; s++)
		assert((unsigned char)*s >= ' ' || *s == '\n');
	write_file("result/smtpwall.conf", conf, strlen(conf));
	r = sw_config_load(path_of("result/smtpwall.conf"), -1, &p, &diag);
	if (r < 0)
		fprintf(stderr, "%s\n%s\n", diag.text[0], conf);
	assert(r == 0);
	sw_policy_free(&p);
	sw_diag_free(&diag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct product *p = products;
	struct sw_import result;
	char path[128];
	int r;

	if (!made)
		make_dir();
	while (size && p < products + sizeof(products) / sizeof(*products) && p->letter != *data)
		p++;
	/* "Include /path" would read files of this machine. */
	if (!size || p == products + sizeof(products) / sizeof(*products) ||
	    memmem(data, size, "Include", 7))
		return -1;
	write_files(p, (const char *)data + 1, size - 1);
	snprintf(path, sizeof(path), "%s", path_of(p->path));
	r = p->import(path, &result);
	assert(r == 0 || r == -EINVAL);
	assert((r == 0) == (result.errors.n == 0) && (r == 0) == (result.conf != NULL));
	for (size_t i = 0; i < result.n_left; i++)
		assert(!strncmp(result.left[i].text, dir, strlen(dir)) &&
		       !strchr(result.left[i].text, '\n') && !strchr(result.left[i].text, '\x1b'));
	if (r == 0)
		check_conf(result.conf);
	sw_import_free(&result);
	return 0;
}
