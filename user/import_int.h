/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the imports: text and notes (import_text.c), the policy that three products share
 * (import_policy.c), one file a product. Nothing else includes this. */
#ifndef SW_IMPORT_INT_H
#define SW_IMPORT_INT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "import.h"

#define SW_IMPORT_MAX_CONF	(1024 * 1024)	/* bytes that sw_config_load() takes */

/* A note and its place among the others. */
struct sw_import_note {
	struct sw_import_left left;
	unsigned int file, line;
	size_t order;		/* qsort() is not stable */
};

/* An import while its files are read. */
struct sw_importer {
	struct sw_import *result;
	FILE *out;		/* the configuration */
	char *text;		/* what `out` has written; valid after a flush */
	size_t len;
	struct sw_import_note *note;
	size_t n_notes, room;
	unsigned int files;	/* read so far */
	int err;		/* -ENOMEM: give up */
};

/* Begins an import, and ends it: 0, -EINVAL or -ENOMEM as the functions of import.h. */
int sw_import_begin(struct sw_importer *im, struct sw_import *ret);
int sw_import_end(struct sw_importer *im);

/* A text file, line by line. */
struct sw_lines {
	char *path;
	char *text, *next;	/* next: behind the line that was read last; NULL at the end */
	unsigned int line;	/* its number */
	unsigned int file;	/* which file of the import it is, for the order of notes */
	bool indented;		/* blanks stood before it */
	uint64_t dev, ino;
};

/*
 * Reads a whole regular file. 0; -ENOENT: it is not there; -ENXIO: no regular file, or, with
 * `dirfd` other than AT_FDCWD, a symbolic link; -EINVAL: an entry in the errors says why it cannot
 * be used; -ENOMEM. `name` is what it is called in messages.
 */
int sw_lines_open(struct sw_importer *im, int dirfd, const char *file, const char *name,
		  struct sw_lines *ret);
void sw_lines_close(struct sw_lines *l);

/* The next line without the blanks around it, or NULL. It may be changed by the caller. */
char *sw_lines_next(struct sw_lines *l);

/* Notes that `text` of line `line` did not carry over; `fmt` says why, and what to do. */
void sw_import_left(struct sw_importer *im, const struct sw_lines *l, unsigned int line, bool idle,
		    const char *text, const char *fmt, ...) __attribute__((format(printf, 6, 7)));

/* An error of the input. */
void sw_import_error(struct sw_importer *im, const char *file, unsigned int line, const char *fmt,
		     ...) __attribute__((format(printf, 4, 5)));

/* A comment line "; TEXT", with whatever could end it escaped; cut where it is very long. */
void sw_import_comment(struct sw_importer *im, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* "KEY = words", continued on indented lines; `words` are separated by single blanks. */
void sw_import_list(struct sw_importer *im, const char *key, const char *words);

/* The first line of every result. */
void sw_import_head(struct sw_importer *im, const char *path, const char *command);

/* A list of words that grows; a failed addition is remembered in the importer. */
struct sw_words {
	char *text;		/* separated by blanks; NULL: none */
	size_t len, room;
	size_t n;
};
void sw_words_add(struct sw_importer *im, struct sw_words *w, const char *word);

/* How an account is written in a list: its name where that needs no quoting, else its number. */
const char *sw_import_account_word(const char *name, uint32_t id, char buf[16]);

/* What is known about a product with such settings; half sentences. */
struct sw_import_product {
	const char *name;
	const char *numbers;	/* what it makes of UIDs and GIDs in lists of names */
	const char *unknown;	/* ... of names that no account has */
	const char *redirect;	/* where it redirects to */
	bool skips_zero;	/* UID 0 and GID 0 have no effect in its lists */
};

/* What CSF's and Imunify360's settings have in common. */
struct sw_import_smtp {
	const struct sw_import_product *product;
	const struct sw_lines *file;
	const char *enabled_said;	/* how the file says it, for comments; NULL: it does not */
	const char *redirect_said, *local_said, *ports_said, *users_said, *groups_said;
	const char *refuse_said;	/* NULL: the product cannot choose it */
	unsigned int redirect_line;
	bool enabled, redirect, allow_local;
	uint16_t ports[15];
	size_t n_ports;
	struct sw_words users, groups;
	struct sw_words users_offer, groups_offer;	/* numbers that had no effect */
};

/* One entry of the list of ports that stands in `line` as `key`. */
void sw_import_port(struct sw_importer *im, struct sw_import_smtp *s, unsigned int line,
		    const char *key, const char *word);

/* One entry of the list of users or groups. */
void sw_import_account(struct sw_importer *im, struct sw_import_smtp *s, bool group,
		       unsigned int line, const char *key, const char *word);

/* Writes [policy] and [exempt]. */
void sw_import_policy(struct sw_importer *im, const struct sw_import_smtp *s);
void sw_import_smtp_free(struct sw_import_smtp *s);

/* A network as it stands in a list of CSF. */
struct sw_import_net {
	int family;
	uint8_t addr[16];
	uint32_t prefix;
};
#define SW_IMPORT_NET_LEN 56
void sw_import_net_text(const struct sw_import_net *n, char buf[SW_IMPORT_NET_LEN]);

/* An entry of csf.allow or csf.deny. Texts point into the entry. */
struct sw_import_filter {
	bool plain;		/* an address alone: has_dest, loopback or everything is true */
	bool filter; /* of several parts; else, when not plain either, neither of the two */
	bool loopback;		/* 127.0.0.1 or ::1, which CSF skips */
	bool everything;	/* the network has all of IPv4 or IPv6 in it */
	bool mapped;		/* `net` is an IPv4 address in IPv6 form */
	bool other_protocol;	/* UDP or ICMP */
	bool out;
	bool has_dest, has_source;	/* which of the two `net` is */
	struct sw_import_net net;
	char *dport, *sport;	/* lists of ports; NULL: not given */
	char *address;		/* in place of an address, whatever it is */
	char *uid, *gid;
};

/* Takes `entry`, which is changed, apart as CSF would. */
void sw_import_filter_parse(char *entry, struct sw_import_filter *ret);

/* Which of the `n` ports a list such as "25,465_587" names, into `hit`. How many; -EINVAL when it
 * is no list of ports; -ENOMEM. */
int sw_import_filter_ports(const char *list, const uint16_t *ports, size_t n, bool *hit);

/* The lists beside csf.conf (import_allow.c): writes [allow], notes the rest. Names of
 * csf.uidignore go to `ignored`. */
void sw_import_csf_lists(struct sw_importer *im, const struct sw_import_smtp *s, const char *dir,
			 struct sw_words *ignored);

#endif
