/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the domain sources. Only domain*.c and their tests include this. */
#ifndef SW_DOMAIN_INT_H
#define SW_DOMAIN_INT_H

#include <sys/stat.h>
#include <sys/types.h>

#include "domains.h"

/* ---- A root directory: domain_root.c ---- */

struct sw_root {
	int fd;			/* of the prefix; -1: this machine itself */
	bool no_openat2;	/* the kernel has none: links below a prefix are refused */
};

/* `path` NULL or "/" is this machine. 0 or -errno. */
int sw_root_open(const char *path, struct sw_root *ret);
void sw_root_close(struct sw_root *root);

/* Opens an absolute path. Below a prefix no link, no ".." and no magic link leads out of it.
 * A descriptor, or -errno; -ELOOP for a link where they are refused. */
int sw_root_openat(const struct sw_root *root, const char *path, int flags);

/* stat(2) in the root. 0 or -errno. */
int sw_root_stat(const struct sw_root *root, const char *path, struct stat *ret);

/* The path without links as seen from within the root. malloc'd; NULL: it leads nowhere. */
char *sw_root_real(const struct sw_root *root, const char *path);

/* Target of a link, at most `size` - 1 bytes. False: no link, or too long a target. */
bool sw_root_readlink(const struct sw_root *root, const char *path, char *ret, size_t size);

/* ---- Texts: domain_text.c ---- */

/* Memory that is given back all at once. */
struct sw_arena {
	struct sw_chunk *chunk;
	size_t used, size;	/* of the newest chunk */
	size_t total;
};

char *sw_arena_copy(struct sw_arena *a, const char *text, size_t len);	/* NULL: no memory */
void sw_arena_free(struct sw_arena *a);

/* As calloc(3), for what may become large. */
void *sw_domain_alloc(size_t n, size_t size);

/* Makes room for one more element behind the `n` of an array. 0 or -ENOMEM. */
int sw_domain_grow(void *array, size_t n, size_t *room, size_t element);

#define SW_DOMAIN_LEN	254	/* 253 and the NUL */

/* Lower case, no dot at the end. Letters, digits, '-', '_' and '.' alone, labels of 1 to 63 that
 * neither begin nor end with '-', at least two of them, the last not a number. */
bool sw_domain_normalise(const char *text, size_t len, char ret[SW_DOMAIN_LEN]);

/* A login: no blank, no colon, no slash, no control character, 1 to 255 bytes. */
bool sw_login_is_valid(const char *name);

/* Absolute, of less than PATH_MAX bytes, without "..", and more than the root: then without "//",
 * "/./" and a slash at the end, in place. */
bool sw_domain_path(char *path);

/* Whether `path` is `dir` (of `len` bytes, no slash at its end) or lies below it. */
bool sw_domain_path_below(const char *path, const char *dir, size_t len);

char *sw_domain_trim(char *text);	/* blanks and tabs at both ends, in place */
char *sw_domain_unquote(char *text);	/* a pair of " or ' around the whole, in place */

/* The next word up to one of `separators`; moves *rest on. NULL: none left. In place. */
char *sw_domain_word(char **rest, const char *separators);

/* ---- Hash tables: domain_table.c ---- */

#define SW_NONE UINT32_MAX

/* Keyed, because customers choose what is hashed. */
struct sw_domain_key {
	uint64_t k[2];
};

void sw_domain_key_random(struct sw_domain_key *ret);
uint64_t sw_domain_hash(const struct sw_domain_key *key, const char *text, size_t len);

/* Open addressing: each slot has the upper half of a hash, and an index + 1. */
struct sw_domain_table {
	uint64_t *slot;
	size_t mask;
};

int sw_domain_table_make(struct sw_domain_table *t, size_t n);	/* for up to n. 0 or -ENOMEM */
void sw_domain_table_free(struct sw_domain_table *t);

/* The index in or behind slot *at that may be meant: begin with *at = hash, and go on with *at + 1
 * when it was another one. SW_NONE: there is none, and *at is where it would be put. */
uint32_t sw_domain_table_look(const struct sw_domain_table *t, uint64_t hash, size_t *at);
void sw_domain_table_put(struct sw_domain_table *t, size_t at, uint64_t hash, size_t index);

/* ---- One reading of one source: domain_file.c, domain_glob.c, domain_record.c ---- */

#define SW_LINE_MAX	(128 * 1024)		/* longer lines are bad */
#define SW_FILES_MAX	300000			/* of one panel */
#define SW_LATE_FILES_MAX 50000			/* of a web server: its includes may be loops */
#define SW_BYTES_MAX	(1024ULL * 1024 * 1024)
#define SW_RECORDS_MAX	2000000
#define SW_TEXT_MAX	(512 * 1024 * 1024)	/* bytes kept of one source */
#define SW_GLOB_MAX	1000000			/* names of one directory */

struct sw_record {
	const char *domain, *docroot, *pool;	/* NULL: not known; domain never */
	const char *user;	/* NULL also where it is one that sites share */
	const char *label;	/* static */
	uint32_t uid;		/* where the source has it */
	bool has_uid;
	uint8_t kind;		/* enum sw_domain_kind; SW_KIND_UNKNOWN */
	uint8_t rank;		/* of the source: 0 is trusted most */
};

#define SW_KIND_UNKNOWN _SW_DOMAIN_KIND_MAX

struct sw_pool {
	const char *name;
	const char *user;	/* NULL: not known; so below */
	const char *directory;	/* chdir, from outside of the chroot */
	const char *chroot;
	const char *socket;	/* path of its Unix socket */
	const char *domain;	/* that its file is named after */
};

struct sw_socket {		/* of a virtual host */
	const char *path, *domain;
};

/* How a file was when it was read. */
struct sw_stamp {
	const char *path;
	dev_t dev;
	ino_t ino;
	off_t size;
	int64_t mtime_ns, ctime_ns;
	bool missing;
	bool fresh;		/* so young that a change now would not show */
};

struct sw_logins;

struct sw_reading {
	const struct sw_root *root;
	const struct sw_logins *logins;	/* NULL while they are read themselves */
	uint8_t rank;
	const char *label;
	struct sw_arena arena;
	struct sw_record *records;
	struct sw_pool *pools;
	struct sw_socket *sockets;
	struct sw_stamp *stamps;
	struct sw_login *found;		/* of domain_home.c alone */
	size_t n_records, n_pools, n_sockets, n_stamps, n_found;
	size_t room_records, room_pools, room_sockets, room_stamps, room_found;
	size_t files;
	uint64_t bytes;
	bool full;
	bool late;			/* a web server or php-fpm */
	uint64_t bad;
	const char *bad_file;
	unsigned int bad_line;
	const char *file;		/* being read */
	unsigned int line;
	char *buffer;			/* kept for the next file */
	int64_t read_ms;		/* monotonic */
};

void sw_reading_free(struct sw_reading *r);

/* Takes one line, which it may change. 0: good or of no interest; -EINVAL: bad, to be counted;
 * 1: no more of this file; -ENOMEM: stop everything. */
typedef int sw_line_fn(struct sw_reading *r, char *line, void *data);

/*
 * Each line of the regular file `path` goes to `take`, without line end; lines that are too long
 * or have a NUL in them are counted as bad. A file that is not there has no lines; one that
 * cannot be read is bad as a whole. 0, or -ENOMEM.
 */
int sw_reading_lines(struct sw_reading *r, const char *path, sw_line_fn *take, void *data);

/* The same for a descriptor, which stays the caller's. `name` is for the counting. */
int sw_reading_fd(struct sw_reading *r, int fd, const char *name, sw_line_fn *take, void *data);

/* Counts something bad at the line being read, or a whole file with line 0. */
void sw_reading_bad(struct sw_reading *r);
void sw_reading_bad_file(struct sw_reading *r, const char *path);

/* Remembers how `path` is now; `st` NULL: it is missing. 0 or -ENOMEM. */
int sw_reading_stamp(struct sw_reading *r, const char *path, const struct stat *st);

/* Whether it exists, which is remembered: when that changes the source is read again. */
bool sw_reading_exists(struct sw_reading *r, const char *path);

/* Whether anything that was remembered has changed. */
bool sw_reading_is_stale(const struct sw_reading *r);

/*
 * Each path that matches goes to `take`, in order of names; wild cards as in fnmatch(3), of any
 * component. Links in directories that neither root nor this process owns are passed over.
 * What `take` returns other than 0 ends it: 1 without, -errno with an error. 0 or -ENOMEM.
 */
typedef int sw_path_fn(struct sw_reading *r, const char *path, void *data);
int sw_reading_glob(struct sw_reading *r, const char *pattern, sw_path_fn *take, void *data);

/* Adds what a source found. Texts are copied; `domain` may be in any case. What is no document
 * root is left out. `label` NULL is the name of the source.
 * 0; -EINVAL: no domain or no login; -ENOMEM. */
int sw_reading_add(struct sw_reading *r, const struct sw_record *rec);
int sw_reading_add_pool(struct sw_reading *r, const struct sw_pool *pool);
int sw_reading_add_socket(struct sw_reading *r, const char *path, const char *domain);

/* The logins of all records so far, to see which a source has not named yet. */
struct sw_users {
	struct sw_domain_key key;
	struct sw_domain_table table;
	const struct sw_reading *reading;
};

int sw_users_collect(const struct sw_reading *r, struct sw_users *ret);	/* 0 or -ENOMEM */
void sw_users_free(struct sw_users *u);
bool sw_users_have(const struct sw_users *u, const char *user);

/* Where an account's files are: its home, else /home/LOGIN. */
int sw_reading_home(const struct sw_reading *r, const char *user, char *ret, size_t size);

/* ---- Accounts: domain_home.c ---- */

struct sw_logins {
	struct sw_reading reading;
	uint32_t uid_min;
	const struct sw_login **by_uid, **by_home;	/* n and n_homes */
	struct sw_domain_key key;
	struct sw_domain_table by_name;
	const char **above;	/* directories that homes lie in */
	size_t n, n_homes, n_above;
};

int sw_logins_read(struct sw_logins *l);	/* reading.root is set. 0 or -ENOMEM */
void sw_logins_free(struct sw_logins *l);
const struct sw_login *sw_logins_by_uid(const struct sw_logins *l, uint32_t uid);
const struct sw_login *sw_logins_by_name(const struct sw_logins *l, const char *name);

/* People's accounts only. The longest home that `path` is or lies below; whether any home lies
 * below `path`. */
const struct sw_login *sw_logins_by_home(const struct sw_logins *l, const char *path);
bool sw_logins_any_below(const struct sw_logins *l, const char *path);

/* A login that web servers run as, whatever its number. */
bool sw_login_is_web(const char *name);

/* Whether the home is one account's own. */
bool sw_login_has_home(const struct sw_login *l);

/* ---- Virtual hosts: domain_vhost.c ---- */

#define SW_VHOST_TEXTS	4096

struct sw_vhost {
	struct sw_arena arena;
	const char *names[SW_VHOST_TEXTS];	/* the first is its own, others are aliases */
	const char *roots[32];
	const char *sockets[32];
	const char *user;
	size_t n_names, n_roots, n_sockets;
};

/* Names as web servers write them: scheme and port are cut off. What is no domain of one site
 * (wild card, pattern, variable, address, no dot) is left out without a word.
 * -EINVAL: it has bytes in it that no domain has. */
int sw_vhost_name(struct sw_vhost *v, const char *name, bool alias);
int sw_vhost_root(struct sw_vhost *v, const char *path);
int sw_vhost_socket(struct sw_vhost *v, const char *path);
int sw_vhost_user(struct sw_vhost *v, const char *user);

/* Adds its domains to `r` and empties it. 0 or -ENOMEM. */
int sw_vhost_emit(struct sw_reading *r, struct sw_vhost *v);
void sw_vhost_clear(struct sw_vhost *v);

/* One configuration file of a web server with all that it includes. 0 or -ENOMEM. */
int sw_apache_read(struct sw_reading *r, const char *path, const char *server_root);
int sw_nginx_read(struct sw_reading *r, const char *path, const char *prefix);

/* ---- Programs: domain_exec.c ---- */

/*
 * Runs the program `path` of the root with a fixed environment and hands the lines it writes to
 * `take`. Only what root (below a prefix: or this process) owns and nobody else can write is run;
 * below a prefix without any privilege. What does not end in time is killed with all it started.
 * 0 also when it failed, which is counted as bad; -ENOMEM.
 */
int sw_domain_run(struct sw_reading *r, const char *path, const char *const *argv, int timeout_ms,
		 sw_line_fn *take, void *data);

/* ---- Sources ---- */

struct sw_domain_source {
	const char *name;
	const char *const *markers;	/* it is here when one of these exists; ends with NULL */
	int (*load)(struct sw_reading *r);	/* 0 or -ENOMEM */
	int max_age_s;			/* 0: the files say when to read again */
	bool late;			/* not a panel: only read where panels have no answer */
};

extern const struct sw_domain_source sw_source_cpanel, sw_source_directadmin, sw_source_plesk,
	sw_source_hestia, sw_source_virtualmin, sw_source_ispconfig, sw_source_cyberpanel,
	sw_source_cloudpanel, sw_source_apache, sw_source_nginx, sw_source_fpm, sw_source_home;

/* ---- The index: domain_index.c ---- */

struct sw_docroot {
	const char *path;
	const char *real;	/* NULL: not looked up yet; the same as path: no link in it */
	uint32_t len;		/* of path */
	uint32_t domain;	/* index */
	uint32_t next;		/* of the same domain; SW_NONE: no more */
	uint32_t same;		/* the same path of another domain; the best one is first */
};

struct sw_owner {		/* of domains by_user[first] on */
	const char *user;
	uint32_t first, n;
	uint32_t uid;		/* SW_UID_NONE: no such account */
};

struct sw_domain_index {
	struct sw_domain_key key;
	struct sw_domain *domains;		/* in the order of the sources */
	struct sw_owner *owners;
	const struct sw_domain **by_user;	/* of one owner: by kind, then in that order */
	struct sw_docroot *docroots;
	struct sw_domain_table name, user, path;	/* of the above */
	struct sw_docroot **by_real;		/* those that are links; lazily */
	const struct sw_docroot **by_end;	/* all, compared from the back; lazily */
	const struct sw_pool **pools;		/* by name */
	const struct sw_socket **sockets;	/* by path */
	size_t n_domains, n_owners, n_docroots, n_by_real, n_pools, n_sockets;
	bool have_real;
	int64_t real_ms;			/* since when real paths are kept */
	struct sw_arena arena;			/* real paths */
};

/* From `n` readings (NULL: not there), which it goes on to point into. 0 or -ENOMEM. */
int sw_domain_index_build(struct sw_domain_index *x, struct sw_reading *const *readings, size_t n,
			  const struct sw_logins *logins);
void sw_domain_index_free(struct sw_domain_index *x);
const struct sw_domain *sw_domain_index_domain(const struct sw_domain_index *x, const char *name);
const struct sw_owner *sw_domain_index_owner(const struct sw_domain_index *x, const char *user);

/* The document root that is these bytes; the best domain's one, others follow by `same`. */
struct sw_docroot *sw_domain_index_docroot(const struct sw_domain_index *x, const char *path,
					   size_t len);

/* Of several domains with one document root the one that a report names: main before addon and
 * so on, then the shorter name. */
bool sw_domain_is_better(const struct sw_domain *a, const struct sw_domain *b);

/* Forgets real paths when they are old: links may have changed. */
void sw_domain_index_age(struct sw_domain_index *x);

/* As sw_domains_at() and sw_domains_at_end(): domain_docroot.c, domain_end.c. */
const struct sw_domain *sw_domain_index_at(struct sw_domain_index *x, const struct sw_root *root,
					   const struct sw_logins *logins, const char *path,
					   const char *user, const char **docroot);
const struct sw_domain *sw_domain_index_at_end(struct sw_domain_index *x, const char *rest,
					       const char *user);

/* As sw_domains_pool() and sw_domains_chroot(), of what was read: domain_pool.c. */
const struct sw_domain *sw_domain_index_pool(struct sw_domain_index *x, const struct sw_root *root,
					     const struct sw_logins *logins, const char *name,
					     const char *user, bool own);
const char *sw_domain_index_chroot(const struct sw_domain_index *x, const char *user, size_t *at);

int64_t sw_domain_now_ms(void);

#endif
