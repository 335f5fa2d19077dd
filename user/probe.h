/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What this kernel can do, found by behaviour: a tiny program of the right type is loaded, or a
 * map made. Never by version, by BTF enum or by libbpf's helper probe: all three answer yes
 * wrongly on kernels we support.
 */
#ifndef SW_PROBE_H
#define SW_PROBE_H

#include <stdbool.h>
#include <stddef.h>

enum sw_feature_id {
	SW_FEAT_BTF,
	SW_FEAT_CONNECT_HOOKS,
	SW_FEAT_CGROUP_LINK,
	SW_FEAT_RING_BUFFER,
	SW_FEAT_NETNS_COOKIE,
	SW_FEAT_CUSTOM_ERRNO,
	SW_FEAT_TASK_BTF,
	SW_FEAT_COARSE_CLOCK,
	SW_FEAT_RAW_SOCKET_HOOK,
	SW_FEAT_SOCKET_STORAGE,
	SW_FEAT_CGROUP_EVENTS,
	SW_FEAT_OUTCOMES,
	SW_FEAT_SENDMAIL_COUNT,
	SW_FEAT_SENDMAIL_LIMIT,
	SW_FEAT_SENDMAIL_REFUSAL,
	_SW_FEAT_MAX,
};

struct sw_feature {
	const char *name;	/* stable: key of the JSON contract */
	const char *lost;	/* what an administrator loses without it */
	bool required;
	bool present;
};

struct sw_features {
	struct sw_feature f[_SW_FEAT_MAX];
};

/*
 * Probes every feature. Those named in the comma list `disable` (may be NULL) are reported as
 * missing without being tried; tests use it to force fallbacks. Needs CAP_BPF.
 * 0; -EPERM without the privilege; -EINVAL when `disable` names an unknown feature.
 */
int sw_features_probe(const char *disable, struct sw_features *ret);

/* The first required feature that is missing, or NULL. */
const struct sw_feature *sw_features_missing(const struct sw_features *f);

#endif
