/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ports as immediates: the right ones, all of them, or the program is left alone. */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "portpatch.h"
#include "smtpwall_abi.h"
#include "util.h"

#define N	(SW_MAX_PORTS + 6)
#define JEQ	(BPF_JMP | BPF_JEQ | BPF_K)

/* As in connect.bpf.c: a load, the compares, a way out, and look-alikes that are no slots. */
static void make_program(struct bpf_insn insn[N])
{
	size_t n = 0;

	memset(insn, 0, N * sizeof(*insn));
	insn[n++] = (struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_W, .off = 24, .dst_reg = 2,
				       .src_reg = 1 };
	for (int i = 0; i < SW_MAX_PORTS; i++)
		insn[n++] = (struct bpf_insn){ .code = JEQ, .dst_reg = 2, .imm = SW_PORT_SLOT + i,
					       .off = (__s16)(SW_MAX_PORTS - i + 1) };
	insn[n++] = (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K, .imm = SW_PORT_SLOT };
	insn[n++] = (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
	insn[n++] = (struct bpf_insn){ .code = JEQ, .imm = SW_PORT_SLOT - 1 };
	insn[n++] = (struct bpf_insn){ .code = JEQ, .imm = SW_PORT_SLOT + SW_MAX_PORTS };
	insn[n++] = (struct bpf_insn){ .code = BPF_JMP | BPF_JNE | BPF_K, .imm = SW_PORT_SLOT };
	assert_int_equal(n, N);
}

/* What the kernel will do with `port`: where the compare jumps to, or 0 when none matches. */
static int jumps(const struct bpf_insn *insn, uint16_t port)
{
	for (int i = 1; i <= SW_MAX_PORTS; i++)
		if (insn[i].code == JEQ && insn[i].imm == htons(port))
			return i + 1 + insn[i].off;
	return 0;
}

static void test_ports(void **state)
{
	static const size_t counts[] = { 0, 1, 3, SW_MAX_PORTS };
	uint16_t port[SW_MAX_PORTS];

	(void)state;
	for (int i = 0; i < SW_MAX_PORTS; i++)
		port[i] = (uint16_t)(i ? 1000 + i : 25);
	for (size_t c = 0; c < ARRAY_SIZE(counts); c++) {
		struct bpf_insn insn[N], before[N];

		make_program(before);
		make_program(insn);
		assert_int_equal(sw_patch_ports(insn, N, port, counts[c]), 0);
		for (size_t i = 0; i < SW_MAX_PORTS; i++) {
			const struct bpf_insn *one = &insn[1 + i];

			if (i < counts[c]) {
				assert_int_equal(jumps(insn, port[i]), SW_MAX_PORTS + 3);
				assert_int_equal(one->dst_reg, 2);
			} else {	/* to the next instruction: does nothing */
				assert_memory_equal(one, &((struct bpf_insn){
						    .code = BPF_JMP | BPF_JA }), sizeof(*one));
			}
		}
		assert_int_equal(jumps(insn, 26), 0);
		assert_int_equal(jumps(insn, htons(25)), 0);
		assert_memory_equal(insn, before, sizeof(*insn));
		assert_memory_equal(insn + 1 + SW_MAX_PORTS, before + 1 + SW_MAX_PORTS,
				    (N - 1 - SW_MAX_PORTS) * sizeof(*insn));
	}
}

static void assert_refused(struct bpf_insn *insn, size_t n, const uint16_t *port, size_t n_port)
{
	struct bpf_insn before[N];

	memcpy(before, insn, sizeof(before));
	assert_int_equal(sw_patch_ports(insn, n, port, n_port), -EINVAL);
	assert_memory_equal(insn, before, sizeof(before));
}

static void test_too_many(void **state)
{
	const uint16_t port[SW_MAX_PORTS + 1] = { 25 };
	struct bpf_insn insn[N];

	(void)state;
	make_program(insn);
	assert_refused(insn, N, port, SW_MAX_PORTS + 1);
}

/* A program that tests the wrong ports would let mail through: it is never loaded. */
static void test_slots_that_do_not_add_up(void **state)
{
	const uint16_t port = 25;

	(void)state;
	for (int i = 1; i <= SW_MAX_PORTS; i++) {
		struct bpf_insn insn[N];

		make_program(insn);
		insn[i].imm = 0;			/* one is missing */
		assert_refused(insn, N, &port, 1);
		insn[i].imm = SW_PORT_SLOT + (i % SW_MAX_PORTS);	/* one is there twice */
		assert_refused(insn, N, &port, 1);
		make_program(insn);
		insn[N - 1] = insn[i];			/* and a seventeenth */
		assert_refused(insn, N, &port, 1);
	}
}

static void test_patched_already(void **state)
{
	const uint16_t port = 25;
	struct bpf_insn insn[N];

	(void)state;
	make_program(insn);
	assert_int_equal(sw_patch_ports(insn, N, &port, 1), 0);
	assert_refused(insn, N, &port, 1);
	assert_refused(insn, 0, &port, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_slots_that_do_not_add_up),
		cmocka_unit_test(test_patched_already),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
