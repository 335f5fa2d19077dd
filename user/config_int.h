/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the configuration parser: text (config_text.c), keys (config_keys.c), files
 * (config.c). Nothing else includes this. */
#ifndef SW_CONFIG_INT_H
#define SW_CONFIG_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config.h"

#define SW_CONFIG_KEYS	41	/* rows of the key table */

/* What one line of a file sets. */
struct sw_setting {
	const char *section;
	const char *key;	/* NULL: the section begins */
	const char *value;
	unsigned int line;
	bool more;		/* the line continues the value of `key` */
};

/* 0; -EINVAL: reported, ignore what belongs to it (the keys of the section, the continuation
 * lines of the key); -ENOMEM: stop. */
typedef int (*sw_setting_fn)(void *arg, const struct sw_setting *s);

/* Calls `fn` for each section and setting of `text`; what is no setting becomes an entry in
 * `diag` with its line. 0 (whatever was reported) or -ENOMEM. */
int sw_config_text(const char *file, const char *text, size_t len, sw_setting_fn fn, void *arg,
		   struct sw_diag *diag);

struct sw_port_list {
	struct {
		uint16_t port;
		uint32_t source;
		unsigned int line;
	} item[SW_MAX_PORTS];
	size_t n;
	bool written;		/* by a file; else the built-in default */
	bool listed;		/* an entry is there, perhaps a bad one that was left out */
	uint32_t source;	/* where the key stands */
	unsigned int line;
};

/* A policy while its files are read. */
struct sw_load {
	struct sw_policy policy;
	struct sw_diag *diag;
	int err;		/* -ENOMEM: give up */
	int cgroup_fd;
	const char *file;	/* being read */
	uint32_t source;	/* its index in policy.sources */
	bool main_file;		/* it is not one of conf.d */
	unsigned int first_line[SW_CONFIG_KEYS];	/* of each key in `file`; 0: not there */
	struct sw_port_list deny, count;
};

#define SW_CONFIG_WORD	256	/* more than any line that inih can take */

/* The next entry of a list (blanks and commas between them), cut at SW_CONFIG_WORD; false at its
 * end. */
bool sw_config_word(const char **text, char word[SW_CONFIG_WORD]);

/* One line of [allow]; the ports are judged when all files are read. */
void sw_config_rule(struct sw_load *l, const struct sw_setting *s);
void sw_config_check_rules(struct sw_load *l);

/* A key of [alerts], except those that are yes or no; what they mean together is judged when all
 * files are read. */
void sw_config_alert(struct sw_load *l, const struct sw_setting *s);
void sw_config_check_alerts(struct sw_load *l);

/* A line of [limit] whose key is "user NAME", "group NAME" or "domain NAME". False: the key is none of
 * these. */
bool sw_config_limit(struct sw_load *l, const struct sw_setting *s);

/* "none", or up to one N/hour and one N/day: 0 and `ret`, or an entry in l->diag and -EINVAL. */
int sw_config_quota(struct sw_load *l, const struct sw_setting *s, const char *text,
		    struct sw_quota *ret);

/* The same with channels: each quota behind the name of its channel, the first one without being
 * that of direct; those not named are unlimited. */
int sw_config_quotas(struct sw_load *l, const struct sw_setting *s, struct sw_quotas *ret);

/* The id of a user or group (UID, GID or name), or an entry in l->diag and false. */
bool sw_config_account(struct sw_load *l, unsigned int line, const char *key, enum sw_kind kind,
		       const char *word, uint32_t *id);

/* The policy's entry for a cgroup path; NULL after an entry in l->diag, or without memory. One
 * that does not exist is good: it has no id yet. */
struct sw_policy_cgroup *sw_config_cgroup_entry(struct sw_load *l, unsigned int line,
						const char *path);

/* An entry in l->diag for `line` of the file that is being read. */
void sw_config_report(struct sw_load *l, unsigned int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The sw_setting_fn of struct sw_load. */
int sw_config_set(void *load, const struct sw_setting *s);

/* Id (inode number) of the cgroup at `path` below `root_fd`, 0 where there is none, and the path
 * without empty components in `name`. -EINVAL: the root itself, or "." or ".."; -EXDEV: it leaves
 * the hierarchy; -E2BIG: deeper than SW_MAX_CGROUP_LEVELS; -ENAMETOOLONG: longer than paths of the
 * policy may be; else -errno. */
int sw_config_cgroup(int root_fd, const char *path, uint64_t *id, char **name);

#endif
