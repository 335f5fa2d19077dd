/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef ATTACK_TFO_H
#define ATTACK_TFO_H

#include "attack_impl.h"

#define AT_TFO_DATA	"HELO x\r\n"
#define AT_TFO_LEN	8

/* Gets a cookie for the target from its control port: 0 or a result > 0. */
int at_tfo_prime(const struct attack_ctx *ctx, unsigned how);

/* Connected, and with data in the SYN: 0, -errno or broken. */
int at_tfo_proof(const struct attack_ctx *ctx, int fd);

#endif
