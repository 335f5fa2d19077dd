/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "gate.h"
#include "probe.h"
#include "rows.h"
#include "util.h"

static int fill_policy(const struct gate_opts *o, struct sw_policy *p)
{
	int r = sw_policy_default(p);

	if (r < 0)
		return r;
	for (uint16_t i = 0; i < o->n_ports; i++)
		p->deny_ports[i] = (uint16_t)(25 + i);
	if (o->n_ports) {
		p->n_deny_ports = o->n_ports;
		p->n_count_ports = 0;
	}
	if (o->max_uids)
		p->max_uids = o->max_uids;
	return 0;
}

/* The rows directly: adding so many to a policy is the business of another measurement. */
static int write_exempt(const struct gate *g, uint32_t n)
{
	_cleanup_free_ struct sw_exempt_key *key = calloc(n, sizeof(*key));
	_cleanup_free_ struct sw_exempt_val *val = calloc(n, sizeof(*val));

	if (!key || !val)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		key[i].generation = g->settings.generation;
		key[i].kind = SW_KIND_UID;
		key[i].id = i ? BENCH_EXEMPT + i : 0;
	}
	return sw_rows_write(sw_kern_map_fd(&g->kern, SW_MAP_EXEMPT), key, val, sizeof(*key),
			     sizeof(*val), n);
}

/* The settings that apply would make of the policy and this many UIDs. */
static int make_settings(const struct gate_opts *o, struct sw_settings *ret, struct sw_policy *p)
{
	struct sw_features f;
	int r = sw_features_probe(NULL, &f);

	if (!r)
		r = fill_policy(o, p);
	if (r < 0)
		return r;
	for (uint32_t i = 1; i < o->n_exempt && i < 64 && !r; i++)
		r = sw_policy_add_exempt(p, SW_KIND_UID, BENCH_EXEMPT + i, "bench", 0, 0);
	sw_rows_settings(p, &f, 1, ret);
	ret->count_origins = !o->no_origins;
	return r;
}

static int map_control(struct gate *g)
{
	int fd = sw_kern_map_fd(&g->kern, SW_MAP_CONTROL);
	void *m = mmap(NULL, sizeof(*g->control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (m == MAP_FAILED)
		return -errno;
	g->control = m;
	gate_throttle(g, BENCH_INTERVAL, BENCH_BURST);
	return 0;
}

static int ignore_event(void *ctx, void *data, size_t len)
{
	(void)ctx;
	(void)data;
	(void)len;
	return 0;
}

static int prepare(struct gate *g)
{
	int r = map_control(g);

	if (r < 0)
		return r;
	g->ring = ring_buffer__new(sw_kern_map_fd(&g->kern, SW_MAP_EVENTS), ignore_event, NULL,
				   NULL);
	if (!g->ring)
		return -errno;
	g->prog[V4] = sw_kern_prog_fd(&g->kern, SW_HOOK_CONNECT4);
	g->prog[V6] = sw_kern_prog_fd(&g->kern, SW_HOOK_CONNECT6);
	return 0;
}

/* The programs on maps of their own, with room for so many identities and rules. */
static int load(const struct sw_policy *p, uint32_t max_exempt, uint32_t max_rules, struct gate *g)
{
	struct sw_load l = { .settings = g->settings };

	for (int i = 0; i < _SW_MAP_MAX; i++)
		l.map_fd[i] = -1;
	l.max_entries[SW_MAP_EXEMPT] = 4096 + 4 * max_exempt;
	l.max_entries[SW_MAP_ALLOW] = 4096 + 4 * max_rules;
	l.max_entries[SW_MAP_UID_STATS] = p->max_uids;
	l.max_entries[SW_MAP_ORIGINS] = p->max_origins;
	l.max_entries[SW_MAP_EVENTS] = p->event_buffer;
	return sw_kern_load(&l, &g->kern, NULL);
}

int gate_open(const struct gate_opts *o, struct gate *ret)
{
	struct sw_policy p = { 0 };
	struct gate g = { 0 };
	int r = make_settings(o, &g.settings, &p);

	if (!r)
		r = load(&p, o->max_exempt > o->n_exempt ? o->max_exempt : o->n_exempt, 0, &g);
	sw_policy_free(&p);
	if (r < 0)
		return r;
	r = write_exempt(&g, o->n_exempt);
	if (!r)
		r = prepare(&g);
	if (r < 0) {
		gate_close(&g);
		return r;
	}
	*ret = g;
	return 0;
}

static int write_policy(const struct sw_policy *p, const struct sw_rows *allow,
			const struct gate *g)
{
	_cleanup_free_ struct sw_exempt_key *key = NULL;
	_cleanup_free_ struct sw_exempt_val *val = NULL;
	struct sw_rows limits;
	int r = sw_rows_exempt(p, g->settings.generation, &key, &val);

	if (!r)
		r = sw_rows_write(sw_kern_map_fd(&g->kern, SW_MAP_EXEMPT), key, val, sizeof(*key),
				  sizeof(*val), p->n_exempt);
	if (!r)
		r = sw_rows_store(sw_kern_map_fd(&g->kern, SW_MAP_ALLOW), allow);
	if (!r)
		r = sw_rows_limits(p, g->settings.generation, &limits);
	if (r < 0)
		return r;
	r = sw_rows_store(sw_kern_map_fd(&g->kern, SW_MAP_LIMITS), &limits);
	sw_rows_free(&limits);
	return r;
}

int gate_open_policy(const struct sw_policy *p, struct gate *ret)
{
	struct sw_features f;
	struct sw_rows allow;
	struct gate g = { 0 };
	int r = sw_features_probe(NULL, &f);

	if (r < 0)
		return r;
	sw_rows_settings(p, &f, 1, &g.settings);
	r = sw_rows_allow(p, g.settings.generation, &allow);
	if (r < 0)
		return r;
	r = load(p, (uint32_t)p->n_exempt, (uint32_t)allow.n, &g);
	if (!r)
		r = write_policy(p, &allow, &g);
	if (!r)
		r = prepare(&g);
	sw_rows_free(&allow);
	if (r < 0) {
		gate_close(&g);
		return r;
	}
	*ret = g;
	return 0;
}

void gate_close(struct gate *g)
{
	if (g->ring)
		ring_buffer__free(g->ring);
	if (g->control)
		munmap(g->control, sizeof(*g->control));
	sw_kern_free(&g->kern);
	*g = (struct gate){ 0 };
}

static enum bpf_attach_type attach_type(enum family family)
{
	return sw_hooks[family == V4 ? SW_HOOK_CONNECT4 : SW_HOOK_CONNECT6].attach;
}

int gate_empty_prog(enum family family)
{
	const struct bpf_insn insn[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 1 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type(family));
	int fd = bpf_prog_load(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, "bench_empty", "GPL", insn,
			       ARRAY_SIZE(insn), &opts);

	return fd < 0 ? -errno : fd;
}

void gate_throttle(const struct gate *g, uint32_t interval, uint32_t burst)
{
	g->control->event_interval = interval;
	g->control->event_burst = burst;
}

void gate_drain(const struct gate *g)
{
	ring_buffer__consume(g->ring);
}

void gate_account(const struct gate *g, uint32_t uid, struct sw_uid_stats *ret)
{
	struct sw_uid_key key = { .uid = uid, .row = SW_ROW_UID };

	if (bpf_map_lookup_elem(sw_kern_map_fd(&g->kern, SW_MAP_UID_STATS), &key, ret) < 0)
		memset(ret, 0, sizeof(*ret));
}

uint64_t gate_counter(const struct gate *g, enum sw_counter which)
{
	int n = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *v = calloc(n > 0 ? (size_t)n : 1, sizeof(*v));
	__u32 key = which;
	uint64_t sum = 0;

	if (!v || bpf_map_lookup_elem(sw_kern_map_fd(&g->kern, SW_MAP_COUNTERS), &key, v) < 0)
		return 0;
	for (int i = 0; i < n; i++)
		sum += v[i];
	return sum;
}

int chain_open(int cgroup_fd, enum family family, int prog, int n, struct chain *ret)
{
	struct chain c = { .family = family };

	while (c.n < n) {
		int fd = bpf_link_create(prog, cgroup_fd, attach_type(family), NULL);

		if (fd < 0) {
			int r = -errno;

			chain_close(&c);
			return r;
		}
		c.link[c.n++] = fd;
	}
	*ret = c;
	return 0;
}

int chain_set(const struct chain *c, int prog)
{
	for (int i = 0; i < c->n; i++)
		if (bpf_link_update(c->link[i], prog, NULL) < 0)
			return -errno;
	return 0;
}

/* Detached first: what only loses its last descriptor goes at some later time. */
void chain_close(struct chain *c)
{
	for (int i = 0; i < c->n; i++) {
		bpf_link_detach(c->link[i]);
		close(c->link[i]);
	}
	c->n = 0;
}

int prog_time(int prog, struct prog_time *ret)
{
	struct bpf_prog_info info = { 0 };
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog, &info, &len) < 0)
		return -errno;
	ret->ns = info.run_time_ns;
	ret->runs = info.run_cnt;
	return 0;
}
