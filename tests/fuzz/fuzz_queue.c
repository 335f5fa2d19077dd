/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One file of a mail queue with arbitrary bytes; the first byte says whose. What comes out has its
 * form, and no file makes a parser read more than its share.
 * clang -fsanitize=fuzzer,address,undefined; corpus/queue holds the seeds.
 */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "queue_int.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	if (text)
		assert(strlen(text) <= SW_QUEUE_TEXT_MAX);
}

static void check(const struct sw_queue_message *m)
{
	check_text(m->auth);
	check_text(m->script);
	check_text(m->sender);
	check_text(m->recipient);
	assert(m->via >= 0 && m->via < _SW_QUEUE_VIA_MAX);
	assert(m->received >= 0);
	assert(!m->recipient || m->recipients);
	assert(!m->auth || m->via == SW_QUEUE_AUTH);
}

static void fill(struct sw_queue_file *f, const uint8_t *data, size_t size)
{
	if (f->fd <= 0)
		f->fd = memfd_create("queue", MFD_CLOEXEC);
	assert(f->fd > 0 && ftruncate(f->fd, 0) == 0);
	assert(pwrite(f->fd, data, size, 0) == (ssize_t)size && fstat(f->fd, &f->st) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct sw_queue_file file, journal;
	struct sw_queue_message m = { .uid = SW_UID_NONE };
	struct sw_queue_texts t;
	const uint8_t *split;
	int r;

	if (!size)
		return 0;
	fill(&file, data + 1, size - 1);
	switch (data[0]) {
	case 'E':
		r = sw_queue_exim_parse(&file, NULL, &t, &m);
		break;
	case 'J':	/* a journal in front, which ends with "===" */
		split = memmem(data, size, "===", 3);
		if (!split)
			return -1;
		fill(&journal, data + 1, (size_t)(split - data) - 1);
		fill(&file, split + 3, size - (size_t)(split + 3 - data));
		r = sw_queue_exim_parse(&file, &journal, &t, &m);
		break;
	case 'P':
		r = sw_queue_postfix_parse(&file, false, &t, &m);
		break;
	case 'M':
		r = sw_queue_postfix_parse(&file, true, &t, &m);
		break;
	case 'Q':
		r = sw_queue_qmail_parse_envelope(&file, &t, &m);
		break;
	case 'q':
		r = sw_queue_qmail_parse_message(&file, &t, &m);
		break;
	default:
		return -1;
	}
	if (!r)
		check(&m);
	else
		assert(r == -ENODATA || r == -EBADMSG);
	return 0;
}
