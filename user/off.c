/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>

#include "apply.h"
#include "attach.h"
#include "cgroup.h"
#include "live.h"
#include "log.h"
#include "pins.h"
#include "util.h"

/* Unpins everything and waits for the kernel to let go of the programs; without a cgroup
 * (cgroup_fd -1) there is nothing to wait for. */
static int take_down(struct sw_pins *pins, const struct sw_live *live, int cgroup_fd)
{
	uint32_t prog_id[_SW_HOOK_MAX];
	int r;

	for (int i = 0; i < _SW_HOOK_MAX; i++)
		prog_id[i] = live->link[i].prog_id;
	r = sw_pins_sweep(pins, NULL);
	if (r < 0)
		return log_err(r, "cannot remove the pins in %s", pins->root);
	if (cgroup_fd < 0)
		return 0;
	r = sw_attach_wait_gone(cgroup_fd, prog_id);
	if (r == -ETIME)
		return log_err(-EBUSY, "the programs are still attached: another process holds their "
			       "links; find it with 'bpftool link show' and end it");
	if (r < 0)
		return log_err(r, "cannot see which programs are attached");
	return 0;
}

int sw_off(const struct sw_target *t)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_close_ int cgroup_fd = -1;
	struct sw_pins pins = { .lock_fd = -1 };
	struct sw_live live;
	int r;

	r = sw_pins_open(t->pin_dir, true, &pins);
	if (r == -EAGAIN)
		return log_err(r, "another smtpwall is changing %s right now; nothing was changed, try "
			       "again when it is done", t->pin_dir);
	if (r == -EEXIST)
		return log_err(r, "others own the pin directory %s or may write to it; find out who made "
			       "it, and remove it", t->pin_dir);
	if (r < 0)
		return log_err(r, "cannot open the pin directory %s", t->pin_dir);
	r = sw_live_open(pins.dir, &live);
	if (r < 0) {
		log_err(r, "cannot read what is pinned in %s", pins.dir);
		sw_pins_close(&pins);
		return r;
	}
	/* Our own descriptors would keep the links alive. */
	for (int i = 0; i < _SW_HOOK_MAX; i++) {
		sw_closep(&live.link[i].fd);
		live.link[i].fd = -1;
	}
	r = sw_cgroup_open(t->cgroup, &cgroup_fd, &path);
	if (r < 0 && r != -ENOENT)	/* a cgroup that was removed took its programs along */
		log_err(r, "cannot open cgroup %s", t->cgroup ?: "v2 root");
	else
		r = take_down(&pins, &live, cgroup_fd);
	if (!r && !live.exists)
		r = -ENOENT;
	sw_live_close(&live);
	sw_pins_close(&pins);
	return r;
}
