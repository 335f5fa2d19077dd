/* SPDX-License-Identifier: GPL-2.0-or-later */
/* For tests of the mail queue: files of a spool below the root of test_domain_util.h. */
#ifndef SW_TEST_QUEUE_UTIL_H
#define SW_TEST_QUEUE_UTIL_H

#include <fcntl.h>

#include "queue_int.h"
#include "test_domain_util.h"

static inline void open_file(const char *path, struct sw_queue_file *f)
{
	*f = (struct sw_queue_file){ .fd = open(below(path), O_RDONLY | O_CLOEXEC) };
	assert_true(f->fd >= 0 && fstat(f->fd, &f->st) == 0);
}

static inline void close_file(struct sw_queue_file *f)
{
	close(f->fd);
	free(f->buf);
}

static inline struct sw_queue scan_spool(const char *spool)
{
	char path[PATH_MAX];
	struct sw_queue_config c = { .spool = path };
	struct sw_queue q;

	snprintf(path, sizeof(path), "%s", below(spool));
	assert_int_equal(sw_queue_scan(&c, &q), 0);
	assert_int_equal(q.n_spools, 1);
	return q;
}

/* What a scan counted that is no message. */
static inline void check_left_out(const struct sw_queue *q, uint64_t vanished, uint64_t incomplete,
				  uint64_t unreadable, uint64_t strange)
{
	const struct sw_queue_spool *s = &q->spool[0];

	if (s->vanished != vanished || s->incomplete != incomplete ||
	    s->unreadable != unreadable || s->strange != strange)
		fail_msg("vanished %lu, incomplete %lu, unreadable %lu, strange %lu",
			 (unsigned long)s->vanished, (unsigned long)s->incomplete,
			 (unsigned long)s->unreadable, (unsigned long)s->strange);
}

static inline void check_text(const char *what, size_t row, const char *got, const char *want)
{
	if (strcmp(got ?: "(null)", want ?: "(null)") != 0)
		fail_msg("row %zu: %s is '%s', not '%s'", row, what, got, want);
}

#endif
