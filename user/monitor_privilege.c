/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <bpf/bpf.h>
#include <cap-ng.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "monitor.h"
#include "smtpwall_abi.h"

/* Whether a map that is open may be read: before Linux 5.19 every bpf(2) wants CAP_BPF. */
static bool may_read(int control_fd)
{
	struct sw_control page;
	__u32 zero = 0;

	return bpf_map_lookup_elem(control_fd, &zero, &page) == 0;
}

static int set_bpf(capng_act_t act, capng_type_t sets)
{
	if (capng_update(act, sets, CAP_BPF) < 0 || capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	return 0;
}

/* Effective for the while of a try; kept when reading fails without it. */
static int drop_bpf_if_possible(int control_fd)
{
	int r = set_bpf(CAPNG_DROP, CAPNG_EFFECTIVE);

	if (!r && (control_fd < 0 || may_read(control_fd)))
		return set_bpf(CAPNG_DROP, CAPNG_PERMITTED);
	if (!r)
		r = set_bpf(CAPNG_ADD, CAPNG_EFFECTIVE);
	if (!r && !may_read(control_fd))
		r = -EACCES;
	return r;
}

int sw_monitor_drop(uid_t uid, gid_t gid, int control_fd)
{
	const capng_type_t both = (capng_type_t)(CAPNG_EFFECTIVE | CAPNG_PERMITTED);
	capng_flags_t how = CAPNG_DROP_SUPP_GRP;
	int r;

	capng_get_caps_process();
	if (capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP))
		how = (capng_flags_t)(how | CAPNG_CLEAR_BOUNDING);
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_updatev(CAPNG_ADD, both, CAP_DAC_READ_SEARCH, CAP_BPF, -1) < 0)
		return -EPERM;
	/* As root, where an administrator wants that, only the rights go. */
	if (uid ? capng_change_id((int)uid, (int)gid, how) < 0 : capng_apply(CAPNG_SELECT_CAPS) < 0)
		return -EPERM;
	r = drop_bpf_if_possible(control_fd);
	if (r < 0)
		return r;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}
