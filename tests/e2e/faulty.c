/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For LD_PRELOAD: one call of the program to its libraries fails, as it does when memory or a disk
 * gives out. A place is a way through the program that ends in a call of one of the functions
 * below: the innermost return addresses. Places are numbered as they are reached. FAULT_PLACE=N:
 * the N-th fails, every time.
 * FAULT_COUNT=FILE: how many places were reached is written there at the end.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACES	8192
#define FRAMES	12	/* looked at */
#define DEPTH	5	/* of those that count: in the program */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *old, size_t size);

static uintptr_t from, to;		/* the program's own code */
static uintptr_t places[PLACES];
static unsigned int n_places, wanted;
static const char *count_file;
static pid_t self;

static int find_program(struct dl_phdr_info *info, size_t size, void *data)
{
	(void)size;
	(void)data;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || !(p->p_flags & PF_X))
			continue;
		from = info->dlpi_addr + p->p_vaddr;
		to = from + p->p_memsz;
	}
	return 1;	/* the first is the program */
}

static void __attribute__((constructor)) begin(void)
{
	const char *place = getenv("FAULT_PLACE");

	if (strcmp(program_invocation_short_name, "smtpwall") != 0)
		return;
	count_file = getenv("FAULT_COUNT");
	wanted = place ? (unsigned int)strtoul(place, NULL, 10) : 0;
	unsetenv("LD_PRELOAD");		/* whom it starts is left alone */
	self = getpid();
	dl_iterate_phdr(find_program, NULL);
}

static void __attribute__((destructor)) end(void)
{
	FILE *f = count_file && getpid() == self ? fopen(count_file, "we") : NULL;

	if (!f)
		return;
	fprintf(f, "%u\n", n_places);
	fclose(f);
}

static uintptr_t here(void)
{
	void *frame[FRAMES];
	int n = backtrace(frame, FRAMES), depth = 0;
	uintptr_t sum = 1;

	for (int i = 0; i < n && depth < DEPTH; i++) {
		uintptr_t a = (uintptr_t)frame[i];

		if (a >= from && a < to) {
			sum = (sum ^ a) * 0x9e3779b97f4a7c15U;
			depth++;
		}
	}
	return sum;
}

/* Whether the call that comes back to `address` fails. */
static bool fails(const void *address)
{
	uintptr_t a = (uintptr_t)address;
	static bool busy;	/* backtrace() allocates too */
	unsigned int i;

	if (busy || a < from || a >= to)
		return false;
	busy = true;
	a = here();
	busy = false;
	for (i = 0; i < n_places && places[i] != a; i++)
		;
	if (i == n_places && n_places < PLACES)
		places[n_places++] = a;
	return i + 1 == wanted;
}

/* The names of parameters are those of no header; a macro that makes functions cannot have
 * parentheses everywhere.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name,bugprone-macro-parentheses) */
#define HERE __builtin_return_address(0)

/* The function behind ours. */
#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* FAULT(type, name, arguments with their types, their names, error, what it returns then) */
#define FAULT(type, name, typed, names, error, result)	\
	type name typed					\
	{						\
		if (fails(HERE)) {			\
			errno = (error);		\
			return (result);		\
		}					\
		return REAL(name) names;		\
	}

void *malloc(size_t size)
{
	return fails(HERE) ? errno = ENOMEM, NULL : __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	return fails(HERE) ? errno = ENOMEM, NULL : __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
	return fails(HERE) ? errno = ENOMEM, NULL : __libc_realloc(old, size);
}

int asprintf(char **text, const char *format, ...)
{
	va_list ap;
	int n;

	if (fails(HERE)) {
		errno = ENOMEM;
		return -1;
	}
	va_start(ap, format);
	n = REAL(vasprintf)(text, format, ap);
	va_end(ap);
	return n;
}

static mode_t mode_of(int flags, va_list ap)
{
	return flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	if (fails(HERE)) {
		errno = EIO;
		return -1;
	}
	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return REAL(open)(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	va_list ap;
	mode_t mode;

	if (fails(HERE)) {
		errno = EIO;
		return -1;
	}
	va_start(ap, flags);
	mode = mode_of(flags, ap);
	va_end(ap);
	return REAL(openat)(dir, path, flags, mode);
}

FAULT(int, vasprintf, (char **text, const char *format, va_list ap), (text, format, ap), ENOMEM, -1)
FAULT(char *, strdup, (const char *text), (text), ENOMEM, NULL)
FAULT(char *, strndup, (const char *text, size_t n), (text, n), ENOMEM, NULL)
FAULT(FILE *, open_memstream, (char **text, size_t *len), (text, len), ENOMEM, NULL)
FAULT(FILE *, fopen, (const char *path, const char *mode), (path, mode), EIO, NULL)
FAULT(FILE *, fdopen, (int fd, const char *mode), (fd, mode), ENOMEM, NULL)
FAULT(int, fstat, (int fd, struct stat *st), (fd, st), EIO, -1)
FAULT(int, stat, (const char *path, struct stat *st), (path, st), EIO, -1)
FAULT(int, lstat, (const char *path, struct stat *st), (path, st), EIO, -1)
FAULT(int, fstatat, (int dir, const char *path, struct stat *st, int flags), (dir, path, st, flags),
      EIO, -1)
FAULT(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n), EIO, -1)
FAULT(ssize_t, pread, (int fd, void *buf, size_t n, off_t at), (fd, buf, n, at), EIO, -1)
FAULT(DIR *, opendir, (const char *path), (path), EIO, NULL)
FAULT(DIR *, fdopendir, (int fd), (fd), ENOMEM, NULL)
FAULT(int, socket, (int domain, int type, int protocol), (domain, type, protocol), EMFILE, -1)
FAULT(void *, mmap, (void *at, size_t len, int prot, int flags, int fd, off_t off),
      (at, len, prot, flags, fd, off), ENOMEM, MAP_FAILED)
FAULT(int, pipe2, (int fd[2], int flags), (fd, flags), EMFILE, -1)
FAULT(int, dup, (int fd), (fd), EMFILE, -1)
FAULT(int, mkdir, (const char *path, mode_t mode), (path, mode), ENOSPC, -1)
FAULT(int, mkdirat, (int dir, const char *path, mode_t mode), (dir, path, mode), ENOSPC, -1)
FAULT(int, rename, (const char *old, const char *path), (old, path), EIO, -1)
FAULT(int, poll, (struct pollfd *fds, nfds_t n, int timeout), (fds, n, timeout), ENOMEM, -1)
FAULT(pid_t, fork, (void), (), EAGAIN, -1)
FAULT(int, bpf_obj_get, (const char *path), (path), EIO, -EIO)
FAULT(int, bpf_obj_get_info_by_fd, (int fd, void *info, __u32 *len), (fd, info, len), EIO, -EIO)
FAULT(int, bpf_map_lookup_elem, (int fd, const void *key, void *value), (fd, key, value), EIO, -EIO)
FAULT(int, bpf_map_update_elem, (int fd, const void *key, const void *value, __u64 flags),
      (fd, key, value, flags), ENOMEM, -ENOMEM)
FAULT(int, bpf_map_get_next_key, (int fd, const void *key, void *next), (fd, key, next), EIO, -EIO)
FAULT(int, bpf_map_create, (enum bpf_map_type type, const char *name, __u32 key, __u32 value,
			    __u32 max, const struct bpf_map_create_opts *opts),
      (type, name, key, value, max, opts), ENOMEM, -ENOMEM)
FAULT(int, bpf_map_update_batch, (int fd, const void *keys, const void *values, __u32 *n,
				  const struct bpf_map_batch_opts *opts),
      (fd, keys, values, n, opts), ENOMEM, -ENOMEM)
FAULT(int, bpf_map_lookup_batch, (int fd, void *in, void *out, void *keys, void *values, __u32 *n,
				  const struct bpf_map_batch_opts *opts),
      (fd, in, out, keys, values, n, opts), ENOMEM, -ENOMEM)
FAULT(int, bpf_link_create, (int prog, int target, enum bpf_attach_type type,
			     const struct bpf_link_create_opts *opts),
      (prog, target, type, opts), ENOMEM, -ENOMEM)
FAULT(int, bpf_link_update, (int link, int prog, const struct bpf_link_update_opts *opts),
      (link, prog, opts), ENOMEM, -ENOMEM)
FAULT(int, bpf_obj_pin, (int fd, const char *path), (fd, path), ENOSPC, -ENOSPC)
FAULT(int, bpf_prog_query, (int target, enum bpf_attach_type type, __u32 flags, __u32 *attach,
			    __u32 *ids, __u32 *n), (target, type, flags, attach, ids, n), EIO, -EIO)
/* NOLINTEND(readability-inconsistent-declaration-parameter-name,bugprone-macro-parentheses) */
