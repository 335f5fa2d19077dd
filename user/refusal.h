/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether this kernel lets a BPF program refuse an execution (CONFIG_BPF_LSM, and "bpf" among the
 * security modules of the boot). */
#ifndef SW_REFUSAL_H
#define SW_REFUSAL_H

#include <stdbool.h>

/*
 * Tries it: a program that refuses one empty file is attached, and the file executed. That the
 * kernel takes and attaches such a program says nothing: it does where no LSM program is ever
 * called. Needs CAP_BPF, CAP_PERFMON and CAP_MAC_ADMIN; false also when there is no telling.
 */
bool sw_refusal_works(void);

#endif
