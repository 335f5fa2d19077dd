/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * smtpwall.conf with arbitrary bytes, as a file and with a cgroup hierarchy to look into.
 * clang -fsanitize=fuzzer,address,undefined; corpus/config holds the seeds.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever comes out of a file without errors must be a policy that can be loaded. */
static void check(const struct sw_policy *p)
{
	size_t i, j;

	assert(p->mode == SW_MODE_ENFORCE || p->mode == SW_MODE_OBSERVE);
	assert(p->n_deny_ports >= 1 && p->n_deny_ports + p->n_count_ports <= SW_MAX_PORTS);
	for (i = 0; i < p->n_deny_ports; i++) {
		assert(p->deny_ports[i]);
		for (j = 0; j < p->n_count_ports; j++)
			assert(p->deny_ports[i] != p->count_ports[j]);
	}
	assert(p->max_uids >= 16 && p->max_origins >= 16 && p->event_buffer >= 65536);
	assert(!(p->event_buffer & (p->event_buffer - 1)));
	for (i = 0; i < p->n_exempt; i++) {
		const struct sw_exempt *e = &p->exempt[i];

		assert(e->name && e->source < p->n_sources);
		assert(e->id < UINT32_MAX);
	}
	for (i = 0; i < p->n_cgroups; i++) {
		const struct sw_policy_cgroup *c = &p->cgroups[i];

		assert(c->level >= 1 && c->level <= SW_MAX_CGROUP_LEVELS);
		assert(strlen(c->path) < SW_CGROUP_PATH_LEN - 1 && (c->exempt || c->who));
	}
	for (i = 0; i < p->n_rules; i++) {
		const struct sw_allow_rule *a = &p->rules[i];

		assert(a->text && a->n_ports <= SW_MAX_PORTS && a->source < p->n_sources);
		assert(a->host ? !a->n_dest : a->n_dest == 1 && a->dest[0].len <= 128);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int file = -1, root = -1;
	static char path[64];
	struct sw_diag diag = { 0 };
	struct sw_policy p;
	size_t i;
	int r;

	if (file < 0) {
		file = memfd_create("config", MFD_CLOEXEC);
		root = open("/sys", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
	}
	if (ftruncate(file, 0) < 0 || pwrite(file, data, size, 0) != (ssize_t)size)
		return -1;
	r = sw_config_load(path, root, &p, &diag);
	assert(r == 0 || r == -EINVAL);
	assert((r == 0) == (diag.n == 0));
	for (i = 0; i < diag.n; i++)
		assert(!strncmp(diag.text[i], path, strlen(path)) && !strchr(diag.text[i], '\n'));
	if (r == 0) {
		check(&p);
		sw_policy_free(&p);
	}
	sw_diag_free(&diag);
	return 0;
}
