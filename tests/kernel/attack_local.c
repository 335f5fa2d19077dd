/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The forms in which this machine's own addresses reach the hook. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "attack_impl.h"

/* The address, as the program writes it. */
#define H_LO		H_FREE(0)
#define H_NET		H_FREE(1)	/* 127.9.9.9 */
#define H_ANY		H_FREE(2)
#define H_OWN		H_FREE(3)
#define H_BOUND		H_FREE(4)	/* the socket is bound to the machine's own address */

static struct in_addr dest4(const struct attack_ctx *ctx, unsigned how)
{
	if (how & H_OWN)
		return ctx->own4;
	if (how & H_ANY)
		return (struct in_addr){ INADDR_ANY };
	return (struct in_addr){ htonl((how & H_NET) ? 0x7f090909 : INADDR_LOOPBACK) };
}

static struct in6_addr mapped(struct in_addr v4)
{
	struct in6_addr a = { .s6_addr = { [10] = 0xff, [11] = 0xff } };

	memcpy(a.s6_addr + 12, &v4, 4);
	return a;
}

static struct in6_addr dest6(const struct attack_ctx *ctx, unsigned how)
{
	if (how & H_MAPPED)
		return mapped(dest4(ctx, how));
	if (how & H_OWN)
		return ctx->own6;
	return (how & H_ANY) ? in6addr_any : in6addr_loopback;
}

static int connect4(const struct attack_ctx *ctx, int fd, unsigned how)
{
	struct sockaddr_in sa = { .sin_family = AF_INET, .sin_addr = ctx->own4 };

	if ((how & H_BOUND) && bind(fd, (void *)&sa, sizeof(sa)) < 0)
		return at_setup_error("bind", errno);
	sa.sin_addr = dest4(ctx, how);
	sa.sin_port = htons(ctx->local_port);
	return at_connect(ctx, fd, &sa, sizeof(sa));
}

static int connect6(const struct attack_ctx *ctx, int fd, unsigned how)
{
	struct sockaddr_in6 sa = { .sin6_family = AF_INET6 };

	sa.sin6_addr = (how & H_MAPPED) ? mapped(ctx->own4) : ctx->own6;
	if ((how & H_BOUND) && bind(fd, (void *)&sa, sizeof(sa)) < 0)
		return at_setup_error("bind", errno);
	sa.sin6_addr = dest6(ctx, how);
	sa.sin6_port = htons(ctx->local_port);
	return at_connect(ctx, fd, &sa, sizeof(sa));
}

static int run_local(const struct attack_ctx *ctx, unsigned how)
{
	int fd = -1, r;

	if (!ctx->local_port)
		return at_unsupported("no local listener given");
	if ((how & (H_OWN | H_BOUND)) && !ctx->own4.s_addr)
		return at_unsupported("no address of this machine given");
	r = at_socket(ctx, how, &fd);
	if (r > 0)
		return r;
	return (how & (H_V6 | H_MAPPED)) ? connect6(ctx, fd, how) : connect4(ctx, fd, how);
}

#define LOCAL	(ATTACK_LOCAL | ATTACK_N(1))

const struct attack attack_local_cases[] = {
	{ "local4-lo", "127.0.0.1", run_local, LOCAL, H_LO },
	{ "local4-net", "127.9.9.9", run_local, LOCAL, H_NET },
	{ "local4-any", "0.0.0.0", run_local, LOCAL, H_ANY },
	{ "local4-any-bound", "0.0.0.0 on a bound socket", run_local, LOCAL, H_ANY | H_BOUND },
	{ "local4-own", "own address", run_local, LOCAL, H_OWN },
	{ "local4-own-mptcp", "own address, MPTCP", run_local, LOCAL, H_OWN | H_MPTCP },
	{ "local6-lo", "::1", run_local, LOCAL, H_LO | H_V6 },
	{ "local6-any", "::", run_local, LOCAL, H_ANY | H_V6 },
	{ "local6-any-bound", ":: on a bound socket", run_local, LOCAL, H_ANY | H_V6 | H_BOUND },
	{ "local6-own", "own v6 address", run_local, LOCAL, H_OWN | H_V6 },
	{ "local6-lo-mapped", "::ffff:127.0.0.1", run_local, LOCAL, H_LO | H_MAPPED },
	{ "local6-net-mapped", "::ffff:127.9.9.9", run_local, LOCAL, H_NET | H_MAPPED },
	{ "local6-any-mapped", "::ffff:0.0.0.0", run_local, LOCAL, H_ANY | H_MAPPED },
	{ "local6-any-mapped-bound", "::ffff:0.0.0.0 on a bound socket", run_local, LOCAL,
	  H_ANY | H_MAPPED | H_BOUND },
	{ "local6-own-mapped", "own address, mapped", run_local, LOCAL, H_OWN | H_MAPPED },
};
const size_t attack_local_cases_n = ARRAY_LEN(attack_local_cases);
