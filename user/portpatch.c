/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>

#include "portpatch.h"
#include "smtpwall_abi.h"

static bool is_slot(const struct bpf_insn *i)
{
	return i->code == (BPF_JMP | BPF_JEQ | BPF_K) && i->imm >= SW_PORT_SLOT &&
	       i->imm < SW_PORT_SLOT + SW_MAX_PORTS;
}

int sw_patch_ports(struct bpf_insn *insn, size_t n_insn, const uint16_t *port, size_t n_port)
{
	unsigned int seen = 0, all = (1u << SW_MAX_PORTS) - 1;

	if (n_port > SW_MAX_PORTS)
		return -EINVAL;
	for (size_t i = 0; i < n_insn; i++) {
		if (!is_slot(&insn[i]))
			continue;
		if (seen & 1u << (insn[i].imm - SW_PORT_SLOT))
			return -EINVAL;
		seen |= 1u << (insn[i].imm - SW_PORT_SLOT);
	}
	if (seen != all)
		return -EINVAL;

	for (size_t i = 0; i < n_insn; i++) {
		size_t slot = (size_t)(insn[i].imm - SW_PORT_SLOT);

		if (!is_slot(&insn[i]))
			continue;
		if (slot < n_port)
			insn[i].imm = htons(port[slot]);
		else
			insn[i] = (struct bpf_insn){ .code = BPF_JMP | BPF_JA };
	}
	return 0;
}
