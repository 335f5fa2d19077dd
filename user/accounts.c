/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pwd.h>
#include <string.h>

#include "stats.h"
#include "util.h"

const struct sw_account *sw_account_get(struct sw_accounts *c, uint32_t uid)
{
	struct sw_account *a = &c->slot[uid % SW_ACCOUNT_SLOTS];
	const struct passwd *pw;

	if (a->known && a->uid == uid)
		return a;
	free(a->user);
	free(a->home);
	pw = getpwuid(uid);
	*a = (struct sw_account){
		.known = true,
		.uid = uid,
		.user = pw ? strdup(pw->pw_name) : NULL,
		.home = pw ? strdup(pw->pw_dir) : NULL,
	};
	return a;
}

void sw_accounts_free(struct sw_accounts *c)
{
	for (size_t i = 0; i < SW_ACCOUNT_SLOTS; i++) {
		free(c->slot[i].user);
		free(c->slot[i].home);
	}
	*c = (struct sw_accounts){};
}

bool sw_account_has_home(const struct sw_account *a, const char *path)
{
	size_t len = a->home ? strlen(a->home) : 0;

	while (len > 0 && a->home[len - 1] == '/')
		len--;
	return len > 0 && !strncmp(path, a->home, len) && (path[len] == '/' || !path[len]);
}
