/* SPDX-License-Identifier: GPL-2.0-or-later */
/* AF_SMC opens an inner TCP socket; SCTP is no TCP, and out of reach of the hooks. */
#include "attack_impl.h"

#define ONE	(ATTACK_TCP | ATTACK_N(1))

const struct attack attack_smc_cases[] = {
	{ "smc4", "AF_SMC", at_run_connect, ONE, H_SMC },
	{ "smc6", "AF_SMC, v6", at_run_connect, ONE, H_SMC | H_V6 },
	{ "smc6-mapped", "AF_SMC, mapped", at_run_connect, ONE, H_SMC | H_MAPPED },
	{ "smc4-nonblock", "AF_SMC, non-blocking", at_run_connect, ONE, H_SMC | H_NONBLOCK },
	{ "smc4-retry", "AF_SMC, three tries on one socket", at_run_connect,
	  ATTACK_TCP | ATTACK_N2(AT_TRIES, 1), H_SMC | H_RETRY },
	{ "smc4-proto", "IPPROTO_SMC", at_run_connect, ONE, H_SMC_PROTO },
	{ "smc6-proto", "IPPROTO_SMC, v6", at_run_connect, ONE, H_SMC_PROTO | H_V6 },
	{ "sctp4", "SCTP", at_run_connect, ATTACK_LIMIT | ATTACK_N2(0, 1), H_SCTP },
};
const size_t attack_smc_cases_n = ARRAY_LEN(attack_smc_cases);
