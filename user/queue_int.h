/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of reading the queue. Only queue*.c and their tests include this. */
#ifndef SW_QUEUE_INT_H
#define SW_QUEUE_INT_H

#include <dirent.h>
#include <sys/stat.h>

#include "queue.h"

/* A message as its files tell. */
struct sw_queue_message {
	const char *id;
	uint32_t uid;			/* SW_UID_NONE: not known */
	enum sw_queue_via via;
	const char *auth, *script, *sender;	/* as in struct sw_queue_group */
	const char *recipient;		/* the first that waits; NULL: none */
	uint64_t recipients, size;
	time_t received;		/* 0: not known */
	bool frozen;
};

/* A file of a spool, of which only parts are read. */
struct sw_queue_file {
	int fd;				/* -1: none */
	struct stat st;
	char *buf;			/* the part that was read last; a NUL is behind it */
	size_t room, len;
	uint64_t start;			/* where in the file it lies */
};

struct sw_queue_work {
	const struct sw_queue_config *c;
	struct sw_queue *q;
	struct sw_queue_spool *spool;
	bool count_only;
	struct sw_queue_file file, other;	/* their buffers are used again */
	const char *queue;			/* of postfix and qmail: the directory that is read */
	uint64_t bodies, heads;			/* of exim: -D files, and -H files that have one */
	int root;				/* of qmail: the spool */
	uint64_t split;				/* and how many directories mess, info, ... have */
	uint32_t *slot;			/* hash table of q->group: index + 1 */
	size_t n_slots;
	uint64_t *seen;			/* hash set of numbers + 1, see sw_queue_seen() */
	size_t n_seen, seen_room;
	size_t groups_room;
	const char *host;
	int error;			/* -ENOMEM */
};

/* ---- What the scanners use: queue.c ---- */

/*
 * Opens a plain file read-only and without following a link; whatever is wrong is counted. False:
 * leave it. `type` as of readdir(3).
 */
bool sw_queue_open(struct sw_queue_work *w, int dir, const char *name, unsigned char type,
		   struct sw_queue_file *f);
void sw_queue_close(struct sw_queue_file *f);

/* Reads `len` bytes from `start` on, fewer at the end of the file. 0 or -errno. */
int sw_queue_read(struct sw_queue_file *f, uint64_t start, size_t len);

/* Hands every name in directory `name` of `dir` to `fn`, but for "." and "..". One that is not
 * there, or is none, has no names. With `below`, directories with names of one character, and of
 * digits only, are gone through likewise, so deep. */
void sw_queue_walk(struct sw_queue_work *w, int dir, const char *name, int below,
		   void (*fn)(struct sw_queue_work *w, int dir, const struct dirent *e));

/* Adds a message, or only counts it where that is all that is wanted. */
void sw_queue_take(struct sw_queue_work *w, const struct sw_queue_message *m);

/* Whether `number` was asked about before in this spool. */
bool sw_queue_seen(struct sw_queue_work *w, uint64_t number);
void sw_queue_forget(struct sw_queue_work *w);

/* ---- One scanner and one parser for each mail server ---- */

/* `dir`: the spool. */
void sw_queue_exim_scan(struct sw_queue_work *w, int dir);
void sw_queue_postfix_scan(struct sw_queue_work *w, int dir);
void sw_queue_qmail_scan(struct sw_queue_work *w, int dir);

/* Where a parser leaves its texts. */
struct sw_queue_texts {
	char auth[SW_QUEUE_TEXT_MAX + 1], sender[SW_QUEUE_TEXT_MAX + 1];
	char recipient[SW_QUEUE_TEXT_MAX + 1], script[SW_QUEUE_TEXT_MAX + 1];
};

/*
 * Each writes to `ret` what the file says; fields it does not speak of stay. 0; -ENODATA: the file
 * ends too early; -EBADMSG: it is no such file; other -errno.
 */

/* A -H file; of `journal`, the -J file beside it, what was delivered since. */
int sw_queue_exim_parse(struct sw_queue_file *f, struct sw_queue_file *journal,
			struct sw_queue_texts *texts, struct sw_queue_message *ret);

/* A file of any of postfix's queues; `maildrop`: of that one, whose attributes are not asked. */
int sw_queue_postfix_parse(struct sw_queue_file *f, bool maildrop, struct sw_queue_texts *texts,
			   struct sw_queue_message *ret);

/* The envelope as qmail-queue leaves it in todo, and the message itself in mess. */
int sw_queue_qmail_parse_envelope(struct sw_queue_file *f, struct sw_queue_texts *texts,
				  struct sw_queue_message *ret);
int sw_queue_qmail_parse_message(struct sw_queue_file *f, struct sw_queue_texts *texts,
				 struct sw_queue_message *ret);

/* ---- Texts: queue_text.c ---- */

/* A copy for good, cut as struct sw_queue_group says. */
void sw_queue_copy(char ret[SW_QUEUE_TEXT_MAX + 1], const char *text, size_t len);

/* Whether a header line is one that names the script, X-PHP-Originating-Script or X-PHP-Script;
 * *value (of *value_len bytes, on one line) is what it says. */
bool sw_queue_script_header(const char *line, size_t len, const char **value, size_t *value_len);

/* Decimal digits only, and not too many: false for anything else. *end is behind them. */
bool sw_queue_number(const char *text, const char *end_of_text, uint64_t *ret, const char **end);

/* Whether this is the address of this machine's loopback device, perhaps in brackets. */
bool sw_queue_is_loopback(const char *address);

#endif
