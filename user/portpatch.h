/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ports become immediates of the connect programs: see the fast path in connect.bpf.c. */
#ifndef SW_PORTPATCH_H
#define SW_PORTPATCH_H

#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>

#define SW_PORT_SLOT 0x5a5a0000	/* + 0 ... SW_MAX_PORTS - 1 */

/*
 * Replaces the placeholder compares in `insn` by compares with `port` (host order) and those
 * left over by no-ops, which the verifier removes. 0; -EINVAL when the placeholders are not
 * there exactly once each, and then `insn` is unchanged: a program that tests the wrong ports
 * must never be loaded.
 */
int sw_patch_ports(struct bpf_insn *insn, size_t n_insn, const uint16_t *port, size_t n_port);

#endif
