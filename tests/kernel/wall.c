/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "config.h"
#include "log.h"
#include "mapread.h"
#include "pins.h"
#include "util.h"
#include "wall.h"

static void __attribute__((noreturn, format(printf, 1, 2))) give_up(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(99);
}

static int root_of_tree(char **path)
{
	int fd, r = sw_cgroup_open(NULL, &fd, path);

	if (r < 0)
		give_up("no cgroup v2 root: %s", strerror(-r));
	return fd;
}

void wall_open(struct wall *w)
{
	_cleanup_free_ char *root = NULL;
	_cleanup_close_ int fd = root_of_tree(&root);

	memset(w, 0, sizeof(*w));
	snprintf(w->cgroup, sizeof(w->cgroup), "%s/swtest%d", root, (int)getpid());
	snprintf(w->pin_dir, sizeof(w->pin_dir), "/sys/fs/bpf/swtest%d", (int)getpid());
	snprintf(w->config, sizeof(w->config), "/tmp/swtest%d.conf", (int)getpid());
	if (mkdir(w->cgroup, 0755) < 0 && errno != EEXIST)
		give_up("mkdir %s: %s", w->cgroup, strerror(errno));
	w->target = (struct sw_target){ .pin_dir = w->pin_dir, .cgroup = w->cgroup,
					.disable = getenv("SMTPWALL_DISABLE") };
	wall_refusal();	/* children without privilege could not find out */
}

bool wall_has(enum sw_feature_id feature)
{
	struct sw_features f;
	int r = sw_features_probe(getenv("SMTPWALL_DISABLE"), &f);

	if (r < 0)
		give_up("cannot find out what this kernel can do: %s", strerror(-r));
	return f.f[feature].present;
}

int wall_refusal(void)
{
	static int refusal;

	if (!refusal)
		refusal = wall_has(SW_FEAT_CUSTOM_ERRNO) ? ECONNREFUSED : EPERM;
	return refusal;
}

void wall_close(struct wall *w)
{
	int r = sw_off(&w->target);

	if (r < 0 && r != -ENOENT)
		give_up("cannot take the test policy down: %s", strerror(-r));
	unlink(w->config);
	/* A process that just ended may still be listed. */
	for (int i = 0; rmdir(w->cgroup) < 0 && errno == EBUSY && i < 2000; i++)
		usleep(1000);
}

void wall_policy(struct wall *w, const char *text, struct sw_policy *ret)
{
	_cleanup_fclose_ FILE *f = fopen(w->config, "we");
	_cleanup_free_ char *root = NULL;
	_cleanup_close_ int fd = root_of_tree(&root);
	struct sw_diag diag = {};

	if (!f || fputs(text, f) < 0 || fflush(f) < 0)
		give_up("cannot write %s", w->config);
	if (sw_config_load(w->config, fd, ret, &diag) < 0)
		give_up("%s", diag.n ? diag.text[0] : "configuration");
	sw_diag_free(&diag);
}

int wall_apply(struct wall *w, const char *text)
{
	struct sw_policy p;
	int r;

	wall_policy(w, text, &p);
	r = sw_apply(&w->target, &p);
	sw_policy_free(&p);
	return r;
}

void wall_live(const struct wall *w, struct sw_live *ret)
{
	struct sw_pins pins;
	int r;

	if (sw_pins_open(w->pin_dir, false, &pins) < 0)
		give_up("cannot open %s", w->pin_dir);
	r = sw_live_open(pins.dir, ret);
	sw_pins_close(&pins);
	if (r < 0)
		give_up("cannot read %s: %s", w->pin_dir, strerror(-r));
}

static int pinned_map(const struct wall *w, enum sw_map_id map)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/v%d/%s", w->pin_dir, SW_ABI_VERSION, sw_map_names[map]);
	fd = bpf_obj_get(path);
	if (fd < 0)
		give_up("%s: %s", path, strerror(errno));
	return fd;
}

void wall_row(const struct wall *w, struct sw_uid_key key, struct sw_uid_stats *ret)
{
	_cleanup_close_ int fd = pinned_map(w, SW_MAP_UID_STATS);

	if (bpf_map_lookup_elem(fd, &key, ret) < 0)
		memset(ret, 0, sizeof(*ret));
}

uint64_t wall_uid(const struct wall *w, uint32_t uid, enum sw_slot slot)
{
	struct sw_uid_stats s;

	wall_row(w, (struct sw_uid_key){ uid, SW_ROW_UID }, &s);
	return s.n[slot];
}

/* Both kinds of rows begin with their counters. */
static uint64_t total(const struct wall *w, enum sw_map_id map)
{
	_cleanup_close_ int fd = pinned_map(w, map);
	struct sw_map_dump d;
	uint64_t sum = 0;

	if (sw_map_dump(fd, &d) < 0)
		give_up("cannot read %s", sw_map_names[map]);
	for (size_t i = 0; i < d.n; i++) {
		__u64 n[_SW_N_MAX];

		memcpy(n, sw_map_value(&d, i), sizeof(n));
		for (int slot = 0; slot < _SW_N_MAX; slot++)
			sum += n[slot];
	}
	sw_map_dump_free(&d);
	return sum;
}

uint64_t wall_total(const struct wall *w)
{
	return total(w, SW_MAP_UID_STATS);
}

uint64_t wall_total_origins(const struct wall *w)
{
	return total(w, SW_MAP_ORIGINS);
}

uint64_t wall_counter(const struct wall *w, enum sw_counter which)
{
	_cleanup_close_ int fd = pinned_map(w, SW_MAP_COUNTERS);
	int n = libbpf_num_possible_cpus();
	_cleanup_free_ __u64 *cpu = calloc((size_t)n, sizeof(*cpu));
	__u32 key = which;
	uint64_t sum = 0;

	if (!cpu || bpf_map_lookup_elem(fd, &key, cpu) < 0)
		give_up("cannot read counter %d", which);
	for (int i = 0; i < n; i++)
		sum += cpu[i];
	return sum;
}

void wall_enter(const struct wall *w)
{
	_cleanup_close_ int fd = open(w->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || sw_cgroup_enter(fd) < 0)
		give_up("cannot enter %s", w->cgroup);
}
