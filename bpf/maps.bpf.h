/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every map, once. Each object file that includes this declares the same set; the loader makes
 * the maps with the first object, pins them, and hands the same ones to all later loads. Sizes
 * that depend on the configuration are set by the loader before the maps are made.
 */
#ifndef SW_MAPS_BPF_H
#define SW_MAPS_BPF_H

#include "kernel.bpf.h"
#include "smtpwall_abi.h"

/* Filled in between open and load. The verifier knows the values, so branches on them cost
 * nothing and calls that this kernel does not offer disappear with their branch. A section of its
 * own: `status` reads it back from the running program. */
const volatile struct sw_settings sw_settings SEC(".rodata.settings") = {};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct sw_exempt_key);
	__type(value, struct sw_exempt_val);
} sw_exempt SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct sw_source_key);
	__type(value, struct sw_source);
} sw_sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct sw_local_key);
	__type(value, __u32);
} sw_local SEC(".maps");

/* No LRU anywhere: an offender must not be forgotten. No preallocation: rows cost memory only
 * for those who send. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, struct sw_uid_key);
	__type(value, struct sw_uid_stats);
} sw_uid_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct sw_origin_key);
	__type(value, struct sw_origin);
} sw_origins SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, struct sw_dest_key);
	__type(value, struct sw_dest);
} sw_dests SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct sw_hours);
} sw_hours SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u64);
	__type(value, struct sw_cgroup_name);
} sw_cgroups SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct sw_allow_key);
	__type(value, struct sw_rule);
} sw_allow SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct sw_limit_key);
	__type(value, struct sw_limit);
} sw_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, struct sw_usage_key);
	__type(value, struct sw_usage);
} sw_usage SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 32768);
	__type(key, __u32);
	__type(value, struct sw_denied);
} sw_denied SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, struct sw_cgroup_path_key);
	__type(value, struct sw_cgroup_path);
} sw_cgroup_paths SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sw_peer);
} sw_peers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct sw_watched);
} sw_conns SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 49152);
	__type(key, struct sw_origin_key);
	__type(value, struct sw_outcome);
} sw_outcomes SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 256);
	__type(key, struct sw_mailer_key);
	__type(value, __u32);
} sw_mailers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 256);
	__type(key, struct sw_mailer_name);
	__type(value, __u32);
} sw_mailer_names SEC(".maps");

/* Processes that were counted and may start another mailer for the same mail, and what was found
 * about executions that are under way: see exec.bpf.h. Who does neither is pushed out in time. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, __u64);
	__type(value, __u32);
} sw_chains SEC(".maps");

/* One all-zero origin: the template of a new row, which is too large for the stack, and of a
 * new cgroup name. Nothing ever writes it. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sw_origin);
} sw_zero SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 512 * 1024);
} sw_events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, _SW_CTR_MAX);
	__type(key, __u32);
	__type(value, __u64);
} sw_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sw_control);
} sw_control SEC(".maps");

/* Per CPU against contention, atomic all the same: these hooks turn off migration, not
 * preemption, and a plain increment loses counts when another task gets the CPU in between. */
static __always_inline void sw_bump(__u32 counter)
{
	__u64 *n = bpf_map_lookup_elem(&sw_counters, &counter);

	if (n)
		__sync_fetch_and_add(n, 1);
}

/*
 * One field of a kernel structure. With a typed task pointer (5.15 and later) this is a plain
 * load, which costs nothing measurable; elsewhere a probe read of the same field. Only one of
 * the two branches is ever loaded. Both leave 0 when the memory cannot be read, and 0 is root:
 * where that matters `otherwise` is what a failed read has to mean.
 */
#define sw_read_or(dst, obj, field, otherwise)					\
	do {									\
		__typeof__(obj) obj_ = (obj);					\
										\
		if (!obj_)							\
			(dst) = (otherwise);					\
		else if (sw_settings.has_task_btf)				\
			(dst) = obj_->field;					\
		else if (bpf_core_read(&(dst), sizeof(dst), &obj_->field))	\
			(dst) = (otherwise);					\
	} while (0)

#define sw_read(dst, obj, field) sw_read_or(dst, obj, field, 0)

static __always_inline struct task_struct *sw_current(void)
{
	if (sw_settings.has_task_btf)
		return bpf_get_current_task_btf();
	return (struct task_struct *)bpf_get_current_task();
}

/* CLOCK_MONOTONIC to a few milliseconds: what the counters need, at a tenth of the cost. Tracing
 * programs have not got it. */
static __always_inline __u64 sw_coarse_now(void)
{
#ifndef SW_TRACING
	if (sw_settings.has_coarse_clock)
		return bpf_ktime_get_coarse_ns();
#endif
	return bpf_ktime_get_ns();
}

#endif
