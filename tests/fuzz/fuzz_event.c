/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A record of the ring buffer with arbitrary bytes, shown in every form. The first byte says how:
 * bit 0, the terminal knows UTF-8; bit 1, what is missing of the record is zero. What follows the
 * record is the path of its cgroup. Every form is whole lines without anything a terminal acts on.
 * clang -fsanitize=fuzzer,address,undefined; corpus/event holds the seeds.
 */
#include <assert.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "event.h"
#include "event_line.h"
#include "journal.h"
#include "util.h"

#define COLUMNS		24
#define CGROUP_MAX	300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* `end` alone ends it, and is nowhere else; no other control character but `may`. */
static void check_line(const char *text, const char *end, char may)
{
	size_t len = strlen(text), end_len = strlen(end);

	assert(len > end_len && !strcmp(text + len - end_len, end));
	for (size_t i = 0; i < len - end_len; i++)
		assert(((unsigned char)text[i] >= 0x20 && text[i] != 0x7f) || text[i] == may);
}

static void check_ascii(const char *text)
{
	for (; *text; text++)
		assert((signed char)*text > 0);
}

static char *show(const struct sw_event_view *v, enum sw_format format, bool utf8)
{
	size_t len;
	char *text;
	FILE *f = open_memstream(&text, &len);

	assert(f && sw_event_show(f, v, format, utf8) == 0 && fclose(f) == 0);
	assert(strlen(text) == len);
	return text;
}

static void check_tsv(const struct sw_event_view *v)
{
	_cleanup_free_ char *text = show(v, SW_FORMAT_TSV, true);
	size_t tabs = 0;

	check_line(text, "\n", '\t');
	for (const char *p = text; *p; p++)
		tabs += *p == '\t';
	assert(tabs == COLUMNS - 1);
}

static void check_json(const struct sw_event_view *v)
{
	_cleanup_free_ char *text = show(v, SW_FORMAT_JSON, true);
	struct json_object *o = json_tokener_parse(text);

	check_line(text, "\n", '\0');
	assert(o && json_object_object_length(o) == COLUMNS);
	json_object_put(o);
}

/* There is nobody at these sockets: what is lost is counted. */
static void check_journal(const struct sw_event_view *v)
{
	static struct sw_journal *journal;

	if (!journal)
		assert(sw_journal_open("/nonexistent/journal", "/nonexistent/log", &journal) == 0);
	assert(sw_journal_event(journal, v) < 0);
	assert(sw_journal_csf(journal, v) <= 0);
}

static void check_view(const struct sw_event *e, bool utf8)
{
	_cleanup_free_ char *sentence = NULL, *csv = NULL;
	struct sw_event_view v;

	assert(sw_event_view(e, -1, NULL, &v) == 0);
	assert(v.where.argv_len < SW_ARGV_LEN && strlen(v.where.directory) < SW_PATH_LEN + 3);
	sentence = show(&v, SW_FORMAT_TABLE, utf8);
	check_line(sentence, "\n", '\0');
	if (!utf8)
		check_ascii(sentence);
	csv = show(&v, SW_FORMAT_CSV, utf8);
	check_line(csv, "\r\n", '\0');
	check_tsv(&v);
	check_json(&v);
	check_journal(&v);
	sw_event_view_free(&v);
}

static void check_text(const struct sw_event *e, const char *cgroup, bool utf8)
{
	_cleanup_free_ char *line = sw_event_line(e, cgroup, utf8);

	assert(line);
	check_line(line, "", '\0');
	if (!utf8)
		check_ascii(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_cleanup_free_ struct sw_event *e = NULL;
	char cgroup[CGROUP_MAX] = "";
	size_t len, rest = 0;
	bool utf8;

	if (!size--)
		return 0;
	utf8 = *data & 1;
	len = size < sizeof(*e) ? size : sizeof(*e);
	if (*data++ & 2 && len < sizeof(*e)) {
		e = calloc(1, sizeof(*e));
		assert(e);
		memcpy(e, data, len);
		len = sizeof(*e);
	} else {	/* no byte more than the kernel gave */
		e = malloc(len + !len);
		assert(e);
		memcpy(e, data, len);
		rest = size - len;
	}
	if (!sw_event_valid(e, len))
		return 0;
	assert(len == sizeof(*e) && !sw_event_valid(e, len + 1));
	if (rest)
		memcpy(cgroup, data + len, rest < CGROUP_MAX - 1 ? rest : CGROUP_MAX - 1);
	check_text(e, rest ? cgroup : NULL, utf8);
	check_view(e, utf8);
	return 0;
}
