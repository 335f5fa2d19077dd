/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The 32-bit system call table, entered from a 64-bit program by int 0x80: pointers are cut to
 * 32 bits, so everything they name is below 4 GiB.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "attack_impl.h"

#define H_SOCKETCALL	H_FREE(0)
#define H_SENDTO	H_FREE(1)	/* socketcall sendto with MSG_FASTOPEN */

#ifdef __x86_64__

enum { I386_GETPID = 20, I386_SOCKETCALL = 102, I386_CONNECT = 362 };
enum { CALL_CONNECT = 3, CALL_SENDTO = 11 };	/* of socketcall */

/* Everything the kernel reads through a 32-bit pointer. */
struct low {
	struct sockaddr_storage sa;
	uint32_t args[6];
	char data[8];
};

static sigjmp_buf no_int80;

static void on_fault(int sig)
{
	siglongjmp(no_int80, sig);
}

static uint32_t low32(const void *p)
{
	return (uint32_t)(uintptr_t)p;
}

static long call32(uint32_t nr, uint32_t a, uint32_t b, uint32_t c)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"((long)nr), "b"((long)a), "c"((long)b), "d"((long)c)
			 : "memory", "cc", "r8", "r9", "r10", "r11");
	return (int32_t)r;
}

static bool have_int80(void)
{
	const struct sigaction fault = { .sa_handler = on_fault };
	bool ok = false;

	sigaction(SIGSEGV, &fault, NULL);
	if (sigsetjmp(no_int80, 1) == 0)
		ok = call32(I386_GETPID, 0, 0, 0) == getpid();
	signal(SIGSEGV, SIG_DFL);
	return ok;
}

static long attempt(int fd, struct low *low, socklen_t len, unsigned how)
{
	const uint32_t sendto_args[6] = { (uint32_t)fd, low32(low->data), sizeof(low->data),
					  MSG_FASTOPEN, low32(&low->sa), len };
	const uint32_t connect_args[6] = { (uint32_t)fd, low32(&low->sa), len };

	if (how & H_SENDTO) {
		memcpy(low->data, "HELO x\r\n", sizeof(low->data));
		memcpy(low->args, sendto_args, sizeof(low->args));
		return call32(I386_SOCKETCALL, CALL_SENDTO, low32(low->args), 0);
	}
	if (how & H_SOCKETCALL) {
		memcpy(low->args, connect_args, sizeof(low->args));
		return call32(I386_SOCKETCALL, CALL_CONNECT, low32(low->args), 0);
	}
	return call32(I386_CONNECT, (uint32_t)fd, low32(&low->sa), len);
}

static int run_compat(const struct attack_ctx *ctx, unsigned how)
{
	struct low *low;
	int fd = -1, r;
	long n;

	if (!have_int80())
		return at_unsupported("no 32-bit system calls");
	low = mmap(NULL, sizeof(*low), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	if (low == MAP_FAILED)
		return at_broken("MAP_32BIT: %s", strerror(errno));
	r = at_socket(ctx, how, &fd);
	if (r > 0)
		return r;
	n = attempt(fd, low, at_addr(ctx, how, &low->sa), how);
	if (n == -EOPNOTSUPP && (how & H_SENDTO))
		return at_unsupported("net.ipv4.tcp_fastopen has no client bit");
	return n < 0 ? (int)n : at_greeting(ctx, fd);
}

#else

static int run_compat(const struct attack_ctx *ctx, unsigned how)
{
	(void)ctx;
	(void)how;
	return at_unsupported("x86-64 only");
}

#endif

#define ONE	(ATTACK_TCP | ATTACK_N(1))

const struct attack attack_compat32_cases[] = {
	{ "tcp4-compat32", "32-bit connect", run_compat, ONE, 0 },
	{ "tcp6-compat32", "32-bit connect, v6", run_compat, ONE, H_V6 },
	{ "tcp6-mapped-compat32", "32-bit connect, mapped", run_compat, ONE, H_MAPPED },
	{ "tcp4-socketcall", "32-bit socketcall", run_compat, ONE, H_SOCKETCALL },
	{ "tcp6-socketcall", "32-bit socketcall, v6", run_compat, ONE, H_V6 | H_SOCKETCALL },
	{ "mptcp4-compat32", "32-bit connect, MPTCP", run_compat, ONE, H_MPTCP },
	{ "tfo4-socketcall", "32-bit sendto with MSG_FASTOPEN", run_compat, ONE, H_SENDTO },
};
const size_t attack_compat32_cases_n = ARRAY_LEN(attack_compat32_cases);
