/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <malloc.h>
#include <stdarg.h>
#include <string.h>

#include "kern.h"
#include "log.h"
#include "portpatch.h"
#include "util.h"

#include "cgroup_watch.skel.h"
#include "connect.skel.h"
#include "exec.skel.h"
#include "getpeername.skel.h"
#include "outcome.skel.h"
#include "probe.skel.h"
#include "refuse.skel.h"
#include "sock_create.skel.h"

const struct sw_hook_info sw_hooks[_SW_HOOK_MAX] = {
	[SW_HOOK_CONNECT4] = { "connect4", "sw_connect4", "link_connect4", SW_OBJECT_CONNECT,
			       BPF_CGROUP_INET4_CONNECT, NULL, false, NULL },
	[SW_HOOK_CONNECT6] = { "connect6", "sw_connect6", "link_connect6", SW_OBJECT_CONNECT,
			       BPF_CGROUP_INET6_CONNECT, NULL, false, NULL },
	[SW_HOOK_SOCK_CREATE] = { "sock_create", "sw_sock_create", "link_sock_create",
				  SW_OBJECT_SOCK_CREATE, BPF_CGROUP_INET_SOCK_CREATE, NULL, false, NULL },
	[SW_HOOK_GETPEERNAME4] = { "getpeername4", "sw_getpeername4", "link_getpeername4",
				   SW_OBJECT_GETPEERNAME, BPF_CGROUP_INET4_GETPEERNAME, NULL, false, NULL },
	[SW_HOOK_GETPEERNAME6] = { "getpeername6", "sw_getpeername6", "link_getpeername6",
				   SW_OBJECT_GETPEERNAME, BPF_CGROUP_INET6_GETPEERNAME, NULL, false, NULL },
	[SW_HOOK_CGROUP_MKDIR] = { "cgroup_mkdir", "sw_cgroup_mkdir", "link_cgroup_mkdir",
				   SW_OBJECT_CGROUP_WATCH, 0, "cgroup_mkdir", false, NULL },
	[SW_HOOK_CGROUP_RMDIR] = { "cgroup_rmdir", "sw_cgroup_rmdir", "link_cgroup_rmdir",
				   SW_OBJECT_CGROUP_WATCH, 0, "cgroup_rmdir", false, NULL },
	[SW_HOOK_OUTCOME] = { "outcome", "sw_outcome", "link_outcome", SW_OBJECT_OUTCOME,
			      BPF_CGROUP_SOCK_OPS, NULL, false,
			      "what becomes of SMTP connections is not counted" },
	[SW_HOOK_EXEC] = { "exec", "sw_exec", "link_exec", SW_OBJECT_EXEC, 0, "sched_process_exec",
			   true, "mail handed to the sendmail program is not counted" },
	[SW_HOOK_EXEC_REFUSE] = { "exec_refuse", "sw_exec_refuse", "link_exec_refuse", SW_OBJECT_REFUSE,
				  0, "bprm_check_security", true, "mail handed to the sendmail program "
				  "beyond a limit is counted, not refused" },
};

const char *const sw_map_names[_SW_MAP_MAX] = {
	[SW_MAP_EXEMPT] = "sw_exempt",	     [SW_MAP_SOURCES] = "sw_sources",
	[SW_MAP_LOCAL] = "sw_local",	     [SW_MAP_UID_STATS] = "sw_uid_stats",
	[SW_MAP_ORIGINS] = "sw_origins",     [SW_MAP_EVENTS] = "sw_events",
	[SW_MAP_COUNTERS] = "sw_counters",   [SW_MAP_CONTROL] = "sw_control",
	[SW_MAP_HOURS] = "sw_hours",
	[SW_MAP_DESTS] = "sw_dests",	     [SW_MAP_CGROUPS] = "sw_cgroups",
	[SW_MAP_ALLOW] = "sw_allow",	     [SW_MAP_LIMITS] = "sw_limits",
	[SW_MAP_USAGE] = "sw_usage",	     [SW_MAP_DENIED] = "sw_denied",
	[SW_MAP_CGROUP_PATHS] = "sw_cgroup_paths", [SW_MAP_PEERS] = "sw_peers",
	[SW_MAP_MAILERS] = "sw_mailers",     [SW_MAP_MAILER_NAMES] = "sw_mailer_names",
	[SW_MAP_CHAINS] = "sw_chains",	     [SW_MAP_CONNS] = "sw_conns",
	[SW_MAP_OUTCOMES] = "sw_outcomes",
};

/* The object files as they are compiled in. */
static const void *(*const elf_bytes[_SW_OBJECT_MAX])(size_t *size) = {
	[SW_OBJECT_CONNECT] = sw_connect_bpf__elf_bytes,
	[SW_OBJECT_SOCK_CREATE] = sw_sock_create_bpf__elf_bytes,
	[SW_OBJECT_GETPEERNAME] = sw_getpeername_bpf__elf_bytes,
	[SW_OBJECT_CGROUP_WATCH] = sw_cgroup_watch_bpf__elf_bytes,
	[SW_OBJECT_OUTCOME] = sw_outcome_bpf__elf_bytes,
	[SW_OBJECT_EXEC] = sw_exec_bpf__elf_bytes,
	[SW_OBJECT_REFUSE] = sw_refuse_bpf__elf_bytes,
};

static bool object_wanted(const struct sw_settings *s, enum sw_object object)
{
	switch (object) {
	case SW_OBJECT_SOCK_CREATE:
		return s->strict_raw;
	case SW_OBJECT_GETPEERNAME:
		return s->mode == SW_MODE_REDIRECT;
	case SW_OBJECT_CGROUP_WATCH:
		return s->watch_cgroups;
	case SW_OBJECT_OUTCOME:
		return s->outcomes;
	case SW_OBJECT_EXEC:
		return s->count_sendmail;
	case SW_OBJECT_REFUSE:
		return s->refuse_sendmail;
	default:
		return true;
	}
}

bool sw_kern_do_without(struct sw_settings *s, enum sw_object object)
{
	switch (object) {
	case SW_OBJECT_OUTCOME:
		s->outcomes = 0;
		return true;
	case SW_OBJECT_EXEC:
		s->count_sendmail = s->refuse_sendmail = 0;
		return true;
	case SW_OBJECT_REFUSE:
		s->refuse_sendmail = 0;
		return true;
	default:
		return false;
	}
}

const char *sw_kern_object_name(enum sw_object object)
{
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		if (sw_hooks[i].object == object)
			return sw_hooks[i].lost ? sw_hooks[i].name : "the gate";
	return "?";
}

bool sw_hook_wanted(const struct sw_settings *s, enum sw_hook hook)
{
	return object_wanted(s, sw_hooks[hook].object);
}

/* libbpf's words are details for -v: users see our own first. */
static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	if (level == LIBBPF_DEBUG || sw_log_max < SW_LOG_DEBUG)
		return 0;
	return vfprintf(stderr, fmt, ap);	/* a verifier log has many lines */
}

/* libbpf reads the kernel's types anew for each object, 5 MB that it copies once more. Memory that
 * goes back to the kernel in between costs a page fault a page: half the time of an apply. */
static void set_up_libbpf(void)
{
	libbpf_set_print(print_libbpf);
	mallopt(M_MMAP_THRESHOLD, 32 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

static bool same_layout(const struct bpf_map *m, const struct bpf_map_info *info)
{
	return info->type == bpf_map__type(m) && info->key_size == bpf_map__key_size(m) &&
	       info->value_size == bpf_map__value_size(m) &&
	       info->map_flags == bpf_map__map_flags(m);
}

static int use_map(struct bpf_map *m, int fd)
{
	struct bpf_map_info info = {};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0)
		return -errno;
	if (!same_layout(m, &info))
		return -EINVAL;
	return bpf_map__reuse_fd(m, fd);
}

/* Gives each map of `obj` its descriptor or its size. An object need not use all of them. */
static int prepare_maps(struct bpf_object *obj, const struct sw_load *l)
{
	for (int i = 0; i < _SW_MAP_MAX; i++) {
		struct bpf_map *m = bpf_object__find_map_by_name(obj, sw_map_names[i]);
		int r = 0;

		if (!m)
			continue;
		if (l->map_fd[i] >= 0)
			r = use_map(m, l->map_fd[i]);
		else if (l->max_entries[i])
			r = bpf_map__set_max_entries(m, l->max_entries[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int patch(struct bpf_program *prog, const struct sw_settings *s)
{
	size_t n = bpf_program__insn_cnt(prog);
	_cleanup_free_ struct bpf_insn *insn = malloc(n * sizeof(*insn));
	int r;

	if (!insn)
		return -ENOMEM;
	memcpy(insn, bpf_program__insns(prog), n * sizeof(*insn));
	r = sw_patch_ports(insn, n, s->ports, s->n_ports);
	return r < 0 ? r : bpf_program__set_insns(prog, insn, n);
}

static int patch_hooks(struct bpf_object *obj, const struct sw_settings *s)
{
	static const enum sw_hook fast[] = { SW_HOOK_CONNECT4, SW_HOOK_CONNECT6 };
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(fast) && !r; i++)
		r = patch(bpf_object__find_program_by_name(obj, sw_hooks[fast[i]].prog), s);
	return r;
}

static int set_settings(struct bpf_object *obj, const struct sw_settings *s)
{
	struct bpf_map *m = bpf_object__find_map_by_name(obj, ".rodata.settings");

	return m ? bpf_map__set_initial_value(m, s, sizeof(*s)) : 0;	/* it may use none */
}

/* The cgroup that programs for the whole machine are held to. */
static int set_scope(struct bpf_object *obj, const struct sw_load *l)
{
	int fd = bpf_object__find_map_fd_by_name(obj, "sw_scope");
	__u32 zero = 0;

	if (fd < 0 || !l->settings.scoped)
		return 0;
	return bpf_map_update_elem(fd, &zero, &l->cgroup_fd, BPF_ANY) < 0 ? -errno : 0;
}

static int load_object(const struct sw_load *l, enum sw_object object, struct bpf_object **ret)
{
	struct bpf_object *obj;
	const void *elf;
	size_t size;
	int r;

	elf = elf_bytes[object](&size);
	obj = bpf_object__open_mem(elf, size, NULL);
	if (!obj)
		return -errno;
	r = set_settings(obj, &l->settings);
	if (!r)
		r = prepare_maps(obj, l);
	if (!r && object == SW_OBJECT_CONNECT)
		r = patch_hooks(obj, &l->settings);
	if (!r)
		r = bpf_object__load(obj);
	if (!r)
		r = set_scope(obj, l);
	if (r < 0)
		bpf_object__close(obj);
	else
		*ret = obj;
	return r;
}

/* The connect object goes first: the others run on its maps. */
int sw_kern_load(const struct sw_load *l, struct sw_kern *ret, enum sw_object *failed)
{
	enum sw_object at = SW_OBJECT_CONNECT;
	struct sw_load mine = *l;
	struct sw_kern k = {};
	int r;

	set_up_libbpf();
	r = load_object(l, at, &k.obj[at]);
	for (int i = 0; i < _SW_MAP_MAX && !r; i++)
		mine.map_fd[i] = sw_kern_map_fd(&k, (enum sw_map_id)i);
	for (int i = 0; i < _SW_OBJECT_MAX && !r; i++) {
		at = (enum sw_object)i;
		if (!k.obj[i] && object_wanted(&l->settings, at))
			r = load_object(&mine, at, &k.obj[i]);
	}
	if (r < 0) {
		sw_kern_free(&k);
		if (failed)
			*failed = at;
	} else {
		*ret = k;
	}
	return r;
}

/* Loads one of the tiny programs. NULL, with errno, when the kernel does not take it. */
static struct bpf_object *load_try(enum sw_try what, const struct sw_mailer_key *file)
{
	static const char *const name[] = { [SW_TRY_EXEC] = "sw_try_exec",
					    [SW_TRY_EXEC_LOCK] = "sw_try_exec_lock",
					    [SW_TRY_OUTCOME] = "sw_try_outcome",
					    [SW_TRY_REFUSE] = "sw_try_refuse" };
	struct bpf_program *prog;
	struct bpf_object *obj;
	const void *elf;
	size_t size;
	int r;

	set_up_libbpf();
	elf = sw_probe_bpf__elf_bytes(&size);
	obj = bpf_object__open_mem(elf, size, NULL);
	if (!obj)
		return NULL;
	bpf_object__for_each_program(prog, obj)
		bpf_program__set_autoload(prog, !strcmp(bpf_program__name(prog), name[what]));
	r = !file ? 0 : bpf_map__set_initial_value(bpf_object__find_map_by_name(obj, ".rodata.try"), file,
						   sizeof(*file));
	r = r ?: bpf_object__load(obj);
	if (!r)
		return obj;
	bpf_object__close(obj);
	errno = -r;
	return NULL;
}

bool sw_kern_try(enum sw_try what)
{
	struct bpf_object *obj = load_try(what, NULL);

	bpf_object__close(obj);
	return obj != NULL;
}

int sw_kern_try_refuse(const struct sw_mailer_key *file)
{
	struct bpf_object *obj = load_try(SW_TRY_REFUSE, file);
	int fd, r;

	if (!obj)
		return -errno;
	fd = bpf_program__fd(bpf_object__find_program_by_name(obj, "sw_try_refuse"));
	r = bpf_raw_tracepoint_open(NULL, fd);
	r = r < 0 ? -errno : r;
	bpf_object__close(obj);
	return r;
}

void sw_kern_free(struct sw_kern *k)
{
	for (int i = 0; i < _SW_OBJECT_MAX; i++)
		bpf_object__close(k->obj[i]);
	*k = (struct sw_kern){};
}

int sw_kern_prog_fd(const struct sw_kern *k, enum sw_hook hook)
{
	const struct bpf_object *obj = k->obj[sw_hooks[hook].object];
	struct bpf_program *prog;

	if (!obj)
		return -1;
	prog = bpf_object__find_program_by_name(obj, sw_hooks[hook].prog);
	return prog ? bpf_program__fd(prog) : -1;
}

int sw_kern_map_fd(const struct sw_kern *k, enum sw_map_id map)
{
	return bpf_object__find_map_fd_by_name(k->obj[SW_OBJECT_CONNECT], sw_map_names[map]);
}
