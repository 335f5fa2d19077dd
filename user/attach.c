/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "attach.h"
#include "cgroup.h"
#include "control.h"
#include "log.h"
#include "pins.h"
#include "util.h"

/* One hook's way into force, and back. */
struct step {
	enum sw_hook hook;
	int old_prog_fd;	/* program that was replaced in place, or -1 */
	int new_link_fd;	/* link that was made, or -1 */
};

static int replace_program(int link_fd, int prog_fd, uint32_t old_prog_id, struct step *s)
{
	_cleanup_close_ int old = bpf_prog_get_fd_by_id(old_prog_id);

	if (old < 0)
		return -errno;
	if (bpf_link_update(link_fd, prog_fd, NULL) < 0)
		return -errno;
	s->old_prog_fd = TAKE_FD(old);
	return 0;
}

/* The pin goes last: until then the link lives by its descriptor, and goes with it. */
static int make_link(const struct sw_kern *k, int cgroup_fd, const char *dir, struct step *s)
{
	const struct sw_hook_info *h = &sw_hooks[s->hook];
	int fd = bpf_link_create(sw_kern_prog_fd(k, s->hook), cgroup_fd, h->attach, NULL);
	int r;

	if (fd < 0)
		return -errno;
	r = sw_pins_put(dir, h->pin, fd);
	if (r < 0)
		close(fd);
	else
		s->new_link_fd = fd;
	return r;
}

static int take(const struct sw_kern *k, const struct sw_live_link *live, int cgroup_fd,
		uint64_t cgroup_id, const char *dir, struct step *s)
{
	int r;

	/* An update of a link whose cgroup is gone succeeds and does nothing: hence the id. */
	if (live->fd >= 0 && live->attached && live->cgroup_id == cgroup_id) {
		r = replace_program(live->fd, sw_kern_prog_fd(k, s->hook), live->prog_id, s);
		if (r != -ENOLINK)
			return r;
	}
	return make_link(k, cgroup_fd, dir, s);
}

/* Puts back what was there: the old program in its link, or the old link under its pin. */
static void undo(const struct sw_live *live, const char *dir, struct step *s)
{
	const struct sw_live_link *old = &live->link[s->hook];

	if (s->old_prog_fd >= 0)
		bpf_link_update(old->fd, s->old_prog_fd, NULL);
	if (s->new_link_fd >= 0) {
		if (old->fd >= 0)
			sw_pins_put(dir, sw_hooks[s->hook].pin, old->fd);
		else
			sw_pins_remove(dir, sw_hooks[s->hook].pin);
	}
}

/* A link of ours that another one took over from, on a cgroup that is no longer wanted. Closing
 * it would do too, but later, when the rows it looks at may be gone. */
static void retire(const struct sw_live *live, const struct step *s)
{
	const struct sw_live_link *old = &live->link[s->hook];

	if (s->new_link_fd >= 0 && old->fd >= 0 && old->ours && old->attached)
		bpf_link_detach(old->fd);
}

int sw_attach_watch(const struct sw_kern *k, uint32_t generation, struct sw_watch *ret)
{
	ret->generation = generation;
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		ret->fd[i] = -1;
	for (int i = 0; i < _SW_HOOK_MAX; i++) {
		int prog = sw_kern_prog_fd(k, (enum sw_hook)i);

		if (!sw_hooks[i].tracepoint || prog < 0)
			continue;
		ret->fd[i] = bpf_raw_tracepoint_open(sw_hook_tracepoint((enum sw_hook)i), prog);
		if (ret->fd[i] < 0 && sw_hooks[i].lost) {
			log_warn("hook %s cannot be attached: %s; the gate is not affected, but %s",
				 sw_hooks[i].name, strerror(errno), sw_hooks[i].lost);
		} else if (ret->fd[i] < 0) {
			int r = -errno;

			sw_attach_unwatch(ret);
			return r;
		}
	}
	return 0;
}

void sw_attach_unwatch(struct sw_watch *w)
{
	for (int i = 0; i < _SW_HOOK_MAX; i++)
		sw_closep(&w->fd[i]);
}

/* The links of tracepoints take no other program, so the new ones live beside the old, pinned, while
 * the other hooks are swapped: a loader that dies in between leaves both to watch. Each generation
 * has a name of its own there: what such a loader left may be of the one in force. */
static int each_watch(const struct sw_watch *w, const char *dir,
		      int (*fn)(const char *dir, const char *aside, const char *pin, int fd))
{
	int r = 0;

	for (int i = 0; i < _SW_HOOK_MAX && !r; i++) {
		_cleanup_free_ char *aside = NULL;

		if (w->fd[i] < 0)
			continue;
		if (asprintf(&aside, "%s_%u", sw_hooks[i].pin, w->generation) < 0)
			return -ENOMEM;
		r = fn(dir, aside, sw_hooks[i].pin, w->fd[i]);
	}
	return r;
}

static int put_aside(const char *dir, const char *aside, const char *pin, int fd)
{
	(void)pin;
	return sw_pins_put_aside(dir, aside, fd);
}

static int move_in(const char *dir, const char *aside, const char *pin, int fd)
{
	(void)fd;
	return sw_pins_move_in(dir, aside, pin);
}

static int remove_aside(const char *dir, const char *aside, const char *pin, int fd)
{
	(void)pin;
	(void)fd;
	sw_pins_remove_aside(dir, aside);
	return 0;
}

int sw_attach_swap(const struct sw_kern *k, const struct sw_live *live,
		   const struct sw_watch *watch, int cgroup_fd, const char *dir)
{
	struct step step[_SW_HOOK_MAX];
	uint64_t cgroup_id;
	int n = 0, r;

	r = sw_cgroup_id(cgroup_fd, &cgroup_id);
	if (!r)
		r = each_watch(watch, dir, put_aside);
	/* Pinned they will stay, whatever becomes of this process: now the new ones count. */
	if (!r)
		sw_control_count_execs(sw_kern_map_fd(k, SW_MAP_CONTROL), watch->generation);
	for (int i = 0; i < _SW_HOOK_MAX && !r; i++) {
		if (sw_kern_prog_fd(k, (enum sw_hook)i) < 0 || sw_hooks[i].tracepoint)
			continue;
		step[n] = (struct step){ (enum sw_hook)i, -1, -1 };
		r = take(k, &live->link[i], cgroup_fd, cgroup_id, dir, &step[n]);
		n += !r;
		if (r < 0 && sw_hooks[i].lost) {
			log_warn("hook %s cannot be attached: %s; the gate is not affected, but %s",
				 sw_hooks[i].name, strerror(-r), sw_hooks[i].lost);
			r = 0;
		}
	}
	if (!r)
		r = each_watch(watch, dir, move_in);
	for (int i = n - 1; i >= 0 && r < 0; i--)
		undo(live, dir, &step[i]);
	if (r < 0) {
		sw_control_count_execs(sw_kern_map_fd(k, SW_MAP_CONTROL), live->settings.generation);
		each_watch(watch, dir, remove_aside);
	}
	for (int i = 0; i < n; i++) {
		if (!r)
			retire(live, &step[i]);
		sw_closep(&step[i].old_prog_fd);
		sw_closep(&step[i].new_link_fd);
	}
	return r;
}

static int any_effective(int cgroup_fd, const uint32_t prog_id[_SW_HOOK_MAX])
{
	uint32_t ids[64];

	for (int i = 0; i < _SW_HOOK_MAX; i++) {
		int n = sw_hooks[i].tracepoint ? 0 : sw_live_effective(cgroup_fd, sw_hooks[i].attach, ids, ARRAY_SIZE(ids));

		if (n < 0)
			return n;
		for (int j = 0; j < n; j++)
			if (prog_id[i] && ids[j] == prog_id[i])
				return 1;
	}
	return 0;
}

int sw_attach_wait_gone(int cgroup_fd, const uint32_t prog_id[_SW_HOOK_MAX])
{
	/* There is no event to wait for: the kernel detaches in deferred work. */
	for (int i = 0; i < 5000; i++) {
		int r = any_effective(cgroup_fd, prog_id);

		if (r <= 0)
			return r;
		poll(NULL, 0, 1);
	}
	return -ETIME;
}
