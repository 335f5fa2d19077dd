/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "domain_int.h"
#include "util.h"

#define FIRST_CHUNK	4096	/* most sources of most machines are small */
#define CHUNK_MAX	(4 * 1024 * 1024)
#define HUGE_MIN	(4 * 1024 * 1024)
#define HUGE_ALIGN	(2 * 1024 * 1024)
#define LABEL_MAX	63

/* On a machine with many domains much of the time would go into mapping small pages. */
static void use_huge_pages(void *p, size_t size)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = ((uintptr_t)p + page - 1) / page * page;
	uintptr_t to = ((uintptr_t)p + size) / page * page;

	if (size >= HUGE_MIN && to > from)
		(void)madvise((char *)p + (from - (uintptr_t)p), to - from, MADV_HUGEPAGE);
}

void *sw_domain_alloc(size_t n, size_t size)
{
	void *p = calloc(n, size);

	if (p)
		use_huge_pages(p, n * size);
	return p;
}

struct sw_chunk {
	struct sw_chunk *older;
	char text[];
};

/* Each chunk is four times the one before, with room for `len` bytes at least. */
static bool add_chunk(struct sw_arena *a, size_t len)
{
	size_t size = a->chunk ? 4 * (a->size + sizeof(*a->chunk)) : FIRST_CHUNK;
	struct sw_chunk *chunk;

	if (size >= CHUNK_MAX || len >= CHUNK_MAX / 4) {
		size = CHUNK_MAX;
		while (size < len + sizeof(*chunk))
			size += CHUNK_MAX;
		chunk = aligned_alloc(HUGE_ALIGN, size);
	} else {
		while (size < len + sizeof(*chunk))
			size *= 2;
		chunk = malloc(size);
	}
	if (!chunk)
		return false;
	use_huge_pages(chunk, size);
	chunk->older = a->chunk;
	a->chunk = chunk;
	a->size = size - sizeof(*chunk);
	a->used = 0;
	a->total += size;
	return true;
}

char *sw_arena_copy(struct sw_arena *a, const char *text, size_t len)
{
	char *copy;

	if ((!a->chunk || a->size - a->used < len + 1) && !add_chunk(a, len + 1))
		return NULL;
	copy = a->chunk->text + a->used;
	memcpy(copy, text, len);
	copy[len] = '\0';
	a->used += len + 1;
	return copy;
}

void sw_arena_free(struct sw_arena *a)
{
	while (a->chunk) {
		struct sw_chunk *older = a->chunk->older;

		free(a->chunk);
		a->chunk = older;
	}
	*a = (struct sw_arena){};
}

int sw_domain_grow(void *array, size_t n, size_t *room, size_t element)
{
	size_t more = *room ? 2 * *room : 16, size = more * element;
	void *old = *(void **)array, *grown;

	if (n < *room)
		return 0;
	if (size < HUGE_MIN) {
		grown = reallocarray(old, more, element);
	} else {
		size = (size + HUGE_ALIGN - 1) / HUGE_ALIGN * HUGE_ALIGN;
		grown = aligned_alloc(HUGE_ALIGN, size);
		if (grown) {
			use_huge_pages(grown, size);
			memcpy(grown, old, n * element);
			free(old);
		}
	}
	if (!grown)
		return -ENOMEM;
	*(void **)array = grown;
	*room = more;
	return 0;
}

bool sw_domain_normalise(const char *text, size_t len, char ret[SW_DOMAIN_LEN])
{
	size_t label = 0, labels = 0;
	bool number = true;

	if (len && text[len - 1] == '.')
		len--;
	if (!len || len >= SW_DOMAIN_LEN)
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		ret[i] = c;
		if (c == '.') {
			if (!label || ret[i - 1] == '-')
				return false;
			label = 0;
			number = true;
			continue;
		}
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
		      (c == '-' && label)))
			return false;
		number = number && c >= '0' && c <= '9';
		labels += label == 0;
		if (++label > LABEL_MAX)
			return false;
	}
	ret[len] = '\0';
	return label && labels > 1 && !number && ret[len - 1] != '-';
}

bool sw_login_is_valid(const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] <= ' ' || name[i] == 0x7f || strchr(":/", name[i]))
			return false;
	return len > 0 && len < 256;
}

bool sw_domain_path(char *path)
{
	char *out = path;
	const char *in = path;

	if (*path != '/' || strnlen(path, PATH_MAX) >= PATH_MAX)
		return false;
	while (*in) {
		size_t len;

		in += strspn(in, "/");
		len = strcspn(in, "/");
		if (len == 2 && !memcmp(in, "..", 2))
			return false;
		if (len && !(len == 1 && *in == '.')) {
			*out++ = '/';
			memmove(out, in, len);
			out += len;
		}
		in += len;
	}
	*out = '\0';
	return out > path;
}

bool sw_domain_path_below(const char *path, const char *dir, size_t len)
{
	return !strncmp(path, dir, len) && (path[len] == '/' || !path[len]);
}

char *sw_domain_trim(char *text)
{
	size_t len;

	text += strspn(text, " \t");
	len = strlen(text);
	while (len && strchr(" \t", text[len - 1]))
		text[--len] = '\0';
	return text;
}

char *sw_domain_unquote(char *text)
{
	size_t len = strlen(text);

	if (len < 2 || !strchr("\"'", *text) || text[len - 1] != *text)
		return text;
	text[len - 1] = '\0';
	return text + 1;
}

char *sw_domain_word(char **rest, const char *separators)
{
	char *word = *rest + strspn(*rest, separators);
	size_t len = strcspn(word, separators);

	if (!len)
		return NULL;
	*rest = word + len;
	if (**rest)
		*(*rest)++ = '\0';
	return word;
}

int64_t sw_domain_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
