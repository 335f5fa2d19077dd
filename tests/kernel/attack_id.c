/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Processes whose several ids differ. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include "attack_impl.h"

enum mix { M_REAL, M_EFFECTIVE, M_FS, M_FS_ROOT, M_MAIL_REAL, M_ROOT, M_MAIL,
	   M_GID_PRIMARY, M_GID_EFFECTIVE, M_GID_REAL, M_GID_GROUPS };

static int mix_uids(const struct attack_ctx *ctx, enum mix mix)
{
	uid_t u = ctx->uid, m = ctx->mail_uid;

	switch (mix) {
	case M_REAL:
		return setresuid(u, 0, 0);
	case M_EFFECTIVE:
		return setresuid(0, u, u);
	case M_MAIL_REAL:
		return setresuid(u, m, m);
	case M_MAIL:
		return setresgid(ctx->mail_gid, ctx->mail_gid, ctx->mail_gid) || setresuid(m, m, m);
	case M_FS:
		setfsuid(u);
		return setfsuid(u) == (int)u ? 0 : -1;
	case M_FS_ROOT:
		/* The saved uid is what allows the last step. */
		if (setresuid(u, u, 0) < 0)
			return -1;
		setfsuid(0);
		return setfsuid(0) == 0 ? 0 : -1;
	default:
		return 0;
	}
}

static int mix_gids(const struct attack_ctx *ctx, enum mix mix)
{
	gid_t g = ctx->gid, m = ctx->mail_gid;
	gid_t real = mix == M_GID_PRIMARY || mix == M_GID_REAL ? m : g;
	gid_t effective = mix == M_GID_PRIMARY || mix == M_GID_EFFECTIVE ? m : g;

	if (setgroups(mix == M_GID_GROUPS, &m) < 0 || setresgid(real, effective, g) < 0)
		return -1;
	return setresuid(ctx->uid, ctx->uid, ctx->uid);
}

static int run_mix(const struct attack_ctx *ctx, unsigned how)
{
	enum mix mix = how >> 16;

	if (mix >= M_GID_PRIMARY ? mix_gids(ctx, mix) : mix_uids(ctx, mix))
		return at_broken("cannot take these ids: %s", strerror(errno));
	at_after_setuid();
	return at_run_connect(ctx, how & 0xffff);
}

#define ID(mix)		((unsigned)(mix) << 16)
#define REFUSED		(ATTACK_IDENTITY | ATTACK_AS_ROOT | ATTACK_N(1))
#define EFFECTIVE	(REFUSED | ATTACK_PASS_EFFECTIVE)
#define PASS		(EFFECTIVE | ATTACK_PASS_STRICT)

const struct attack attack_id_cases[] = {
	{ "id-root", "root", run_mix, PASS | ATTACK_ROW_ROOT, ID(M_ROOT) },
	{ "id-root6", "root, v6", run_mix, PASS | ATTACK_ROW_ROOT, ID(M_ROOT) | H_V6 },
	{ "id-mail", "mail", run_mix, PASS | ATTACK_ROW_MAIL, ID(M_MAIL) },
	{ "id-real", "real uid the user, the others 0: set-uid root", run_mix, EFFECTIVE,
	  ID(M_REAL) },
	{ "id-mail-real", "real uid the user, the others mail: set-uid mail", run_mix, EFFECTIVE,
	  ID(M_MAIL_REAL) },
	{ "id-effective", "real uid 0, effective and saved the user", run_mix, REFUSED,
	  ID(M_EFFECTIVE) },
	{ "id-fs", "root with the user's file system uid", run_mix, PASS | ATTACK_ROW_ROOT,
	  ID(M_FS) },
	{ "id-fs-root", "the user with file system uid 0", run_mix, REFUSED, ID(M_FS_ROOT) },
	{ "id-gid-primary", "real and effective gid mail", run_mix, EFFECTIVE | ATTACK_GROUP,
	  ID(M_GID_PRIMARY) },
	{ "id-gid-effective", "effective gid mail: set-gid mail", run_mix, EFFECTIVE | ATTACK_GROUP,
	  ID(M_GID_EFFECTIVE) },
	{ "id-gid-real", "real gid mail", run_mix, REFUSED, ID(M_GID_REAL) },
	{ "id-gid-supplementary", "mail as a supplementary group", run_mix, REFUSED,
	  ID(M_GID_GROUPS) },
};
const size_t attack_id_cases_n = ARRAY_LEN(attack_id_cases);
