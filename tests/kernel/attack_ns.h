/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ATTACK_NS_H
#define ATTACK_NS_H

#include "attack_impl.h"

#define AT_NS_NET	1u
#define AT_NS_PID	2u	/* of the children, as setns(2) has it */
#define AT_NS_MNT	4u

/* Enters namespaces of the lab's container: 0 or -errno. */
int at_ns_enter(const struct attack_ctx *ctx, unsigned which);

#endif
