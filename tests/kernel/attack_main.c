/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The attack command: single cases for shell tests and for people, and a test of the driver. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attack.h"
#include "netlab.h"

enum { OPT_LIST = 256, OPT_SELFTEST, OPT_UID, OPT_GID, OPT_T4, OPT_T6, OPT_M4, OPT_M6, OPT_LL,
       OPT_DEVICE, OPT_PORT, OPT_CONTROL, OPT_LOCAL, OPT_OWN4, OPT_OWN6, OPT_CGROUP, OPT_TIMEOUT,
       OPT_GREETING, OPT_HELP };

static const struct option options[] = {
	{ "list", no_argument, NULL, OPT_LIST },
	{ "selftest", no_argument, NULL, OPT_SELFTEST },
	{ "uid", required_argument, NULL, OPT_UID },
	{ "gid", required_argument, NULL, OPT_GID },
	{ "target4", required_argument, NULL, OPT_T4 },
	{ "target6", required_argument, NULL, OPT_T6 },
	{ "mptcp4", required_argument, NULL, OPT_M4 },
	{ "mptcp6", required_argument, NULL, OPT_M6 },
	{ "linklocal", required_argument, NULL, OPT_LL },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "port", required_argument, NULL, OPT_PORT },
	{ "control-port", required_argument, NULL, OPT_CONTROL },
	{ "local-port", required_argument, NULL, OPT_LOCAL },
	{ "own4", required_argument, NULL, OPT_OWN4 },
	{ "own6", required_argument, NULL, OPT_OWN6 },
	{ "cgroup", required_argument, NULL, OPT_CGROUP },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "greeting", no_argument, NULL, OPT_GREETING },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static void usage(FILE *f)
{
	fputs("usage: attack --list\n"
	      "       attack --selftest [--cgroup DIR] [NAME...]\n"
	      "       attack [OPTION...] NAME...\n"
	      "  --uid U --gid G         who attacks (default 61001)\n"
	      "  --target4 A --target6 A --port P\n"
	      "  --mptcp4 A --mptcp6 A   MPTCP listener, where it is another one\n"
	      "  --linklocal A --device IF\n"
	      "  --control-port P        needed by cases that connect elsewhere first\n"
	      "  --local-port P --own4 A --own6 A\n"
	      "  --cgroup DIR            cgroup to attack from\n"
	      "  --timeout MS            for one case (default 5000)\n"
	      "  --greeting              connected means that the listener has sent 220\n"
	      "Prints NAME ok, NAME ERRNO, or NAME unsupported|broken (why). Exit status: 0 when\n"
	      "every case ended, 1 when one is broken, 2 for a usage error.\n",
	      f);
}

static const char *kind_of(const struct attack *a)
{
	switch (a->flags & ATTACK_KINDS) {
	case ATTACK_TCP:
		return "tcp";
	case ATTACK_LOCAL:
		return "local";
	case ATTACK_CONTROL:
		return "control";
	case ATTACK_IDENTITY:
		return "identity";
	case ATTACK_LIMIT:
		return "limit";
	}
	return "?";
}

static int list(void)
{
	for (size_t i = 0; i < attack_count(); i++) {
		const struct attack *a = attack_at(i);

		printf("%-28s %-9s %2u %2u  %s\n", a->name, kind_of(a), attack_n_refused(a),
		       attack_n_open(a), a->what);
	}
	return 0;
}

static void print_result(const char *name, int r, const char *why)
{
	if (r == 0)
		printf("%s ok\n", name);
	else if (r < 0)
		printf("%s %s\n", name, strerrorname_np(-r) ? strerrorname_np(-r) : "?");
	else if (r == ATTACK_UNSUPPORTED)
		printf("%s unsupported (%s)\n", name, why);
	else
		printf("%s broken (%s)\n", name, why);
	fflush(stdout);
}

static int run_named(const struct attack_ctx *ctx, char **names)
{
	char why[ATTACK_WHY];
	int status = 0;

	for (; *names; names++) {
		const struct attack *a = attack_find(*names);
		int r;

		if (!a) {
			fprintf(stderr, "attack: no case is named %s; see attack --list\n", *names);
			return 2;
		}
		r = attack_run(a, ctx, why);
		print_result(a->name, r, why);
		if (r == ATTACK_BROKEN)
			status = 1;
	}
	return status;
}

/* ---- selftest ---- */

struct counts {
	uint64_t accepted;
	uint64_t syns;
	uint64_t local;
};

static int count(struct netlab *lab, const struct attack_ctx *ctx, struct counts *ret)
{
	int r = netlab_accepted(lab, ctx->port, &ret->accepted);

	if (r == 0)
		r = netlab_syns(lab, ctx->port, &ret->syns);
	return r < 0 ? r : netlab_local_accepted(lab, &ret->local);
}

/* The difference a case that gets through makes at the listeners; NULL when it is right. */
static const char *judge(const struct attack *a, const struct counts *before,
			 const struct counts *after)
{
	unsigned n = attack_n_open(a);

	switch (a->flags & ATTACK_KINDS) {
	case ATTACK_LOCAL:
		return after->local - before->local == n ? NULL : "accepted by the host's listener";
	case ATTACK_LIMIT:
		/* SCTP has no SYN of TCP's; raw SYNs are answered, never accepted. */
		if (n)
			return after->accepted - before->accepted == n ? NULL : "accepted";
		return after->syns > before->syns ? NULL : "SYNs at the listener";
	case ATTACK_CONTROL:
		return after->syns == before->syns ? NULL : "SYNs at the listener";
	default:
		if (after->accepted - before->accepted != n)
			return "accepted";
		return after->syns - before->syns >= n ? NULL : "SYNs at the listener";
	}
}

static bool selftest_case(struct netlab *lab, const struct attack_ctx *ctx, const struct attack *a,
			  size_t nr)
{
	struct counts before, after;
	char why[ATTACK_WHY];
	const char *wrong;
	int r = count(lab, ctx, &before), got;

	got = attack_run(a, ctx, why);
	if (r == 0)
		r = count(lab, ctx, &after);
	if (r < 0) {
		printf("not ok %zu - %s\n# the lab does not answer: %s\n", nr, a->name,
		       strerror(-r));
		return false;
	}
	if (got == ATTACK_UNSUPPORTED) {
		printf("ok %zu - %s # SKIP %s\n", nr, a->name, why);
		return true;
	}
	wrong = judge(a, &before, &after);
	if (got == 0 && !wrong) {
		printf("ok %zu - %s\n", nr, a->name);
		return true;
	}
	printf("not ok %zu - %s\n", nr, a->name);
	printf("# result: %s %s\n", got > 0 ? "broken:" : got ? strerrorname_np(-got) : "connected",
	       why);
	printf("# accepted %llu, SYNs %llu, accepted locally %llu; wrong: %s\n",
	       (unsigned long long)(after.accepted - before.accepted),
	       (unsigned long long)(after.syns - before.syns),
	       (unsigned long long)(after.local - before.local), wrong ? wrong : "nothing");
	return false;
}

static int selftest(const char *cgroup, char **names)
{
	struct netlab_opts opts = { .instance = -1, .port = 25, .control_port = 2525,
				    .local_port = 2526 };
	struct netlab *lab = NULL;
	struct attack_ctx ctx;
	size_t bad = 0, nr = 0;
	int r;

	/* The listener on the host's loopback is the one thing that two labs could share. */
	while ((r = netlab_open(&opts, &lab)) == -EADDRINUSE && opts.local_port < 2558)
		opts.local_port++;
	if (r < 0) {
		printf("Bail out! cannot build the lab: %s (it needs root and ip from iproute2)\n",
		       strerror(-r));
		return 3;
	}
	netlab_context(lab, &ctx);
	ctx.cgroup = cgroup;
	for (size_t i = 0; i < attack_count(); i++) {
		const struct attack *a = attack_at(i);
		char **name = names;

		while (*name && strcmp(*name, a->name) != 0)
			name++;
		if (*names && !*name)
			continue;
		bad += !selftest_case(lab, &ctx, a, ++nr);
		fflush(stdout);
	}
	netlab_close(lab);
	printf("1..%zu\n", nr);
	if (bad)
		printf("# %zu of %zu failed\n", bad, nr);
	return bad ? 1 : 0;
}

/* ---- options ---- */

static bool number(const char *s, unsigned long max, unsigned long *ret)
{
	char *end;

	errno = 0;
	*ret = strtoul(s, &end, 10);
	return *s >= '0' && *s <= '9' && !*end && !errno && *ret <= max;
}

static bool set_number(int opt, const char *arg, struct attack_ctx *ctx)
{
	bool port = opt == OPT_PORT || opt == OPT_CONTROL || opt == OPT_LOCAL;
	unsigned long n;

	if (!number(arg, port ? 65535 : 0x7ffffffe, &n))
		return false;
	switch (opt) {
	case OPT_UID:
		ctx->uid = (uid_t)n;
		break;
	case OPT_GID:
		ctx->gid = (gid_t)n;
		break;
	case OPT_PORT:
		ctx->port = (uint16_t)n;
		break;
	case OPT_CONTROL:
		ctx->control_port = (uint16_t)n;
		break;
	case OPT_LOCAL:
		ctx->local_port = (uint16_t)n;
		break;
	case OPT_TIMEOUT:
		ctx->timeout_ms = (int)n;
		break;
	}
	return true;
}

static bool set_option(int opt, const char *arg, struct attack_ctx *ctx)
{
	switch (opt) {
	case OPT_T4:
		return inet_pton(AF_INET, arg, &ctx->target4) == 1;
	case OPT_T6:
		return inet_pton(AF_INET6, arg, &ctx->target6) == 1;
	case OPT_M4:
		return inet_pton(AF_INET, arg, &ctx->mptcp4) == 1;
	case OPT_M6:
		return inet_pton(AF_INET6, arg, &ctx->mptcp6) == 1;
	case OPT_LL:
		return inet_pton(AF_INET6, arg, &ctx->linklocal6) == 1;
	case OPT_OWN4:
		return inet_pton(AF_INET, arg, &ctx->own4) == 1;
	case OPT_OWN6:
		return inet_pton(AF_INET6, arg, &ctx->own6) == 1;
	case OPT_DEVICE:
		ctx->device = arg;
		return if_nametoindex(arg) != 0;
	case OPT_CGROUP:
		ctx->cgroup = arg;
		return true;
	case OPT_GREETING:
		ctx->greeting = true;
		return true;
	default:
		return set_number(opt, arg, ctx);
	}
}

int main(int argc, char **argv)
{
	struct attack_ctx ctx = { .uid = 61001, .gid = 61001, .mail_uid = 8, .mail_gid = 8,
				  .port = 25 };
	bool self = false;
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (opt == OPT_LIST)
			return list();
		if (opt == OPT_SELFTEST) {
			self = true;
		} else if (opt == OPT_HELP) {
			usage(stdout);
			return 0;
		} else if (opt == '?' || !set_option(opt, optarg, &ctx)) {
			if (opt != '?')
				fprintf(stderr, "attack: bad value %s\n", optarg);
			usage(stderr);
			return 2;
		}
	}
	if (self)
		return selftest(ctx.cgroup, argv + optind);
	if (optind == argc) {
		usage(stderr);
		return 2;
	}
	if (ctx.device)
		ctx.scope = ctx.linklocal6.s6_addr[0] ? if_nametoindex(ctx.device) : 0;
	return run_named(&ctx, argv + optind);
}
