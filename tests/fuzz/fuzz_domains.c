/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One file of a panel or web server with arbitrary bytes, below a root of its own; the first byte
 * says which file. Or, with '@', a directory and a process title to attribute.
 * clang -fsanitize=fuzzer,address,undefined; corpus/domains holds the seeds.
 */
#include <assert.h>
#include <ftw.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attribute.h"
#include "domain_int.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char root[] = "/tmp/swfuzz-domains-XXXXXX";

/* 'a' is the first. */
static const struct { const char *path, *source; } files[] = {
	{ "/etc/trueuserdomains", "cpanel" },
	{ "/etc/userdatadomains", "cpanel" },
	{ "/var/cpanel/users/alice", "cpanel" },
	{ "/etc/virtual/domainowners", "directadmin" },
	{ "/usr/local/directadmin/data/users/alice/user.conf", "directadmin" },
	{ "/var/www/vhosts/system/a.example/conf/httpd.conf", "plesk" },
	{ "/usr/local/hestia/data/users/alice/web.conf", "hestia" },
	{ "/etc/webmin/virtual-server/domains/1", "virtualmin" },
	{ "/usr/local/lsws/conf/vhosts/a.example/vhost.conf", "cyberpanel" },
	{ "/etc/apache2/apache2.conf", "apache" },
	{ "/etc/nginx/nginx.conf", "nginx" },
	{ "/etc/php/8.2/fpm/pool.d/a.example.conf", "php-fpm" },
	{ "/etc/passwd", "home" },
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_root(void)
{
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void put(const char *path, const void *data, size_t size)
{
	char full[PATH_MAX];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *slash = full + strlen(root); (slash = strchr(slash + 1, '/'));) {
		*slash = '\0';
		mkdir(full, 0755);
		*slash = '/';
	}
	f = fopen(full, "we");
	assert(f && fwrite(data, 1, size, f) == size && fclose(f) == 0);
}

static void put_text(const char *path, const char *text)
{
	put(path, text, strlen(text));
}

static void begin(void)
{
	assert(mkdtemp(root));
	atexit(remove_root);
	put_text("/etc/passwd", "root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/sh\n"
				"alice:x:1001:1001::/home/alice:/bin/sh\n"
				"jailed:x:1002:1002::/home/jail/./home/jailed:/bin/sh\n");
}

/* Whatever a file says, what comes out of it has its form. */
static void check(struct sw_domains *d)
{
	static const char *const logins[] = { "alice", "jailed", "root", "www-data" };

	for (size_t i = 0; i < ARRAY_SIZE(logins); i++) {
		size_t n;
		const struct sw_domain *const *list = sw_domains_of(d, logins[i], &n);

		for (size_t j = 0; j < n; j++) {
			char name[SW_DOMAIN_LEN], path[PATH_MAX];

			assert(sw_domain_normalise(list[j]->name, strlen(list[j]->name), name));
			assert(!strcmp(name, list[j]->name) && !strcmp(list[j]->user, logins[i]));
			assert(list[j]->kind < _SW_DOMAIN_KIND_MAX && list[j]->source);
			assert(sw_domains_find(d, name) == list[j]);
			if (!list[j]->docroot)
				continue;
			assert(snprintf(path, sizeof(path), "%s", list[j]->docroot) < PATH_MAX);
			assert(sw_domain_path(path) && !strcmp(path, list[j]->docroot));
			(void)sw_domains_at(d, path, logins[i], NULL);
			(void)sw_domains_at_end(d, path + 1, NULL);
		}
	}
}

static void read_file(const char *source)
{
	struct sw_domains_config c = { .root = root, .sources = source };
	struct sw_domains *d;

	assert(sw_domains_new(&c, &d) == 0);
	assert(sw_domains_refresh(d) == 0);
	check(d);
	(void)sw_domains_pool(d, "a", "alice", true);
	(void)sw_domains_pool(d, "a", "www-data", false);
	sw_domains_free(d);
}

/* UID, directory and title, with a newline between; the title may hold NULs. */
static void attribute(const uint8_t *data, size_t size)
{
	static struct sw_domains *d;
	static const uint32_t uids[] = { 0, 33, 1001, 1002, 4242 };
	const char *text = (const char *)data, *end;
	char directory[1024];
	struct sw_attribute_query q = { .directory = directory, .comm = "comm" };
	struct sw_attribution a;

	if (!d) {
		struct sw_domains_config c = { .root = root };

		put_text("/etc/userdatadomains",
			 "a.example: alice==root==main==x==/home/alice/public_html==\n"
			 "b.example: alice==root==addon==x==/home/alice/shop==\n"
			 "c.example: jailed==root==main==x==/home/jailed/www==\n");
		assert(sw_domains_new(&c, &d) == 0 && sw_domains_refresh(d) == 0);
	}
	end = size ? memchr(text + 1, '\n', size - 1) : NULL;
	if (!end)
		return;
	q.uid = uids[data[0] % ARRAY_SIZE(uids)];
	snprintf(directory, sizeof(directory), "%.*s", (int)(end - text - 1), text + 1);
	q.argv = end + 1;
	q.argv_len = size - (size_t)(end + 1 - text);
	assert(sw_attribute(d, &q, &a) == 0);
	assert(a.source && a.script);
	/* An account never gets the domain of another. */
	if (a.domain && q.uid >= 1001 && q.uid <= 1002)
		assert(a.account && !strcmp(a.account, a.user));
	sw_attribution_free(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool begun;
	size_t which;

	if (!begun)
		begin();
	begun = true;
	if (!size)
		return 0;
	if (data[0] == '@') {
		attribute(data + 1, size - 1);
		return 0;
	}
	which = (size_t)(data[0] - 'a');
	if (which >= ARRAY_SIZE(files))
		return -1;
	if (strcmp(files[which].source, "home") == 0)
		return -1;	/* it would take the accounts away from the others */
	put(files[which].path, data + 1, size - 1);
	read_file(files[which].source);
	return 0;
}
