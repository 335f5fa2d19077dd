/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The live test: a child without any privilege tries port 25. Its sockets are bound to the
 * loopback device and aim at documentation addresses, so no packet ever leaves the machine.
 */
#ifndef SW_CANARY_H
#define SW_CANARY_H

#include <stdbool.h>
#include <stdint.h>

/* No account has this UID; reports leave its row out. */
#define SW_CANARY_UID 4294967293U

enum sw_canary_try { SW_CANARY_V4, SW_CANARY_V6, SW_CANARY_MAPPED, _SW_CANARY_MAX };

struct sw_canary {
	/* What connect(2) said: 0 or a positive errno; EAFNOSUPPORT where the family is off. */
	int error[_SW_CANARY_MAX];
	/* What socket(2) said to a raw IPv4 socket, asked for with CAP_NET_RAW. */
	int raw_error;
};

/*
 * Makes a raw socket and runs the three connects to `port` from the cgroup behind `cgroup_fd`, as
 * SW_CANARY_UID. 0 with the results in `ret`; -errno when the child could not be run.
 */
int sw_canary_run(int cgroup_fd, uint16_t port, struct sw_canary *ret);

const char *sw_canary_name(enum sw_canary_try t);

/* Whether `error` can only mean that the connect went past the hooks. */
bool sw_canary_passed(int error);

#endif
