/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is remembered of host names, and when it is not trusted or not possible. */
#include <sys/resource.h>

#include "resolve_util.h"

static const struct script good = { "x.test", { 0, NO }, { "203.0.113.5", NULL } };

static void resolve_good(void)
{
	static const char *const name[] = { "x.test" };
	const struct sw_resolver how = resolver(true);
	struct sw_resolved_list l;

	script = &good;
	n_script = 1;
	assert_int_equal(sw_resolve(&how, name, 1, &l), 0);
	assert_int_equal(l.item[0].status, SW_RESOLVE_FOUND);
	assert_null(l.warning);
	sw_resolved_free(&l);
}

static void test_broken_lines(void **state)
{
	static const struct { const char *text; const char *want; } files[] = {
		{ "", "" }, { "\n\n", "" }, { "x.test\n", "" }, { "x.test \n", "" },
		{ "x.test 1600000000\n", "" }, { "x.test 1600000000 \n", "" },
		{ "x.test 0 203.0.113.9\n", "" }, { "x.test -5 203.0.113.9\n", "" },
		{ "x.test 99999999999999999999 203.0.113.9\n", "" },
		{ "x.test now 203.0.113.9\n", "" }, { "x.test 1600000000 203.0.113\n", "" },
		{ "x.test 1600000000 203.0.113.9 x\n", "" },	/* not half a line */
		{ "x.test 1600000000 203.0.113.9/8\n", "" },
		{ "x.test 1600000000 203.0.113.9", "" },	/* cut off */
		{ "y.test 1600000000 203.0.113.9\n", "" },
		{ "xx.test 1600000000 203.0.113.9\nx 1600000000 203.0.113.8\n", "" },
		{ "X.Test 1600000000 203.0.113.9\n", "::ffff:203.0.113.9" },
		{ "?\nx.test 1600000000 203.0.113.9\n", "::ffff:203.0.113.9" },
		{ "x.test 1 x\nx.test 1600000000 203.0.113.9\nx.test 1600000000 203.0.113.8\n",
		  "::ffff:203.0.113.9" },	/* the first good one */
		{ "x.test 1600000000 2001:db8::9 203.0.113.9 203.0.113.9\n",
		  "::ffff:203.0.113.9 2001:db8::9" },
		{ "x.test 1600000000 ::ffff:203.0.113.9\n", "::ffff:203.0.113.9" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct sw_resolved_list l;

		print_message("# file %zu\n", i);
		write_state(files[i].text);
		resolve_failing(resolver(false), &l);
		assert_int_equal(l.item[0].status,
				 *files[i].want ? SW_RESOLVE_KEPT : SW_RESOLVE_UNKNOWN);
		assert_string_equal(text_of(&l.item[0].addrs), files[i].want);
		assert_null(l.warning);
		assert_string_equal(read_state(), files[i].text);	/* only read */
		sw_resolved_free(&l);
	}
}

/* A line that is too long is passed over, and so is its end; 65 addresses are one too many. */
static void test_long_lines(void **state)
{
	static const char *const name[] = { "x.test" };

	(void)state;
	for (unsigned int n = 0; n < 3; n++) {
		struct sw_recalled r = {};
		char many[2048], *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		if (n == 0) {
			for (int i = 0; i < 5000; i++)
				fputc('y', f);
			fputs("x.test 1600000000 203.0.113.1\n", f);
			for (int i = 0; i < 4095; i++)
				fputc('y', f);
			fputs("x.test 1600000000 203.0.113.1\n", f);
		} else {
			make_many(many, sizeof(many), 63 + n);
			fprintf(f, "x.test 1600000000 %s\n", many);
		}
		fclose(f);
		f = fmemopen(text, size, "r");
		sw_recall_stream(f, name, 1, &r);
		assert_int_equal(r.addrs.n, n == 1 ? 64 : 0);
		fclose(f);
		free(r.addrs.item);
		free(text);
	}
}

/* Whatever the file holds: no crash, and no address that does not stand there. */
static void test_random_files(void **state)
{
	static const char *const words[] = { "x.test", " ", " ", "\n", "1600000000", "203.0.113.9",
					     "2001:db8::9", "\xff", "9", ":", "\t", "yyyyyyy" };
	static const char *const name[] = { "x.test", "9" };
	unsigned int seed = 587;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		struct sw_recalled r[2] = {};
		char *text = NULL;
		size_t size;
		FILE *f = open_memstream(&text, &size);

		fputc('x', f);
		for (int n = rand_r(&seed) % 40; n > 0; n--)
			fputs(words[(size_t)rand_r(&seed) % ARRAY_SIZE(words)], f);
		fclose(f);
		f = fmemopen(text, size, "r");
		sw_recall_stream(f, name, 2, r);
		for (int k = 0; k < 2; k++) {
			assert_true(r[k].addrs.n <= 2 && !r[k].addrs.n == !r[k].found);
			free(r[k].addrs.item);
		}
		fclose(f);
		free(text);
	}
}

/* Files that somebody else could have made or may change. */
static void make_untrusted(int kind, const char *path, const char *other)
{
	switch (kind) {
	case 0:
		assert_int_equal(chmod(path, 0660), 0);
		break;
	case 1:
		assert_int_equal(chmod(path, 0642), 0);
		break;
	case 2:
		assert_int_equal(rename(path, other), 0);
		assert_int_equal(symlink(other, path), 0);
		break;
	case 3:
		assert_int_equal(unlink(path), 0);
		assert_int_equal(mkfifo(path, 0600), 0);
		break;
	case 4:
		assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
		break;
	default:
		assert_int_equal(truncate(path, 64 * 1024 * 1024), 0);
	}
}

static void test_untrusted_file(void **state)
{
	static const char *const name[] = { "x.test" };
	char path[128], other[128];

	(void)state;
	state_path(path, "names");
	snprintf(other, sizeof(other), "%s/other", scratch);
	for (int kind = 0; kind < 6; kind++) {
		const struct sw_resolver how = resolver(true);
		struct sw_resolved_list l;

		if (kind == 4 && geteuid() != 0)
			continue;
		print_message("# kind %d\n", kind);
		remove_state();
		write_state("x.test 1600000000 203.0.113.9\n");
		make_untrusted(kind, path, other);
		resolve_failing(resolver(false), &l);
		assert_int_equal(l.item[0].status, SW_RESOLVE_UNKNOWN);
		assert_int_equal(l.item[0].addrs.n, 0);
		assert_non_null(strstr(l.warning, "/names is not used"));
		sw_resolved_free(&l);

		/* The next good answer replaces it, and only it. */
		script = &good;
		assert_int_equal(sw_resolve(&how, name, 1, &l), 0);
		assert_string_equal(read_state(), "x.test 1700000000 203.0.113.5\n");
		sw_resolved_free(&l);
		if (kind == 2)
			assert_int_equal(access(other, F_OK), 0);
		unlink(other);
	}
}

static void test_modes(void **state)
{
	const mode_t mask = umask(0);
	struct sw_resolved_list l;
	char path[128];
	struct stat st;

	(void)state;
	remove_state();
	resolve_failing(resolver(false), &l);
	assert_null(l.warning);		/* nothing there yet is nothing to warn of */
	sw_resolved_free(&l);
	state_path(path, NULL);
	assert_int_equal(access(path, F_OK), -1);

	resolve_good();
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0750);
	state_path(path, "names");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	umask(0077);
	remove_state();
	resolve_good();
	umask(mask);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

/* The old file stays whole until the new one is; no temporary file is left. */
static void test_one_step(void **state)
{
	char path[128], temp[160];
	struct sw_resolved_list l;
	struct stat before, after;
	int fd;

	(void)state;
	resolve_good();
	state_path(path, "names");
	snprintf(temp, sizeof(temp), "%s.%ld", path, (long)getpid());
	fd = open(temp, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);	/* of one that was killed */
	assert_int_equal(write(fd, "rubbish", 7), 7);
	close(fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	resolve_failing(resolver(true), &l);
	sw_resolved_free(&l);
	assert_int_equal(fstat(fd, &before), 0);
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_nlink, 0);			/* replaced, */
	assert_int_equal(before.st_size, after.st_size);	/* never emptied */
	close(fd);
	assert_string_equal(read_state(), "x.test 1700000000 203.0.113.5\n");
	assert_int_equal(access(temp, F_OK), -1);
}

static void answer_with_files(void *arg, struct sw_lookup *l, size_t n, unsigned int timeout_ms)
{
	const struct rlimit enough = { 256, 256 };

	assert_int_equal(setrlimit(RLIMIT_NOFILE, &enough), 0);
	answer(arg, l, n, timeout_ms);
}

/* What could not be read for a reason that will pass is not written over. */
static void test_unreadable_for_now(void **state)
{
	static const char *const name[] = { "x.test" };
	static const struct script failing = { "x.test", { T, T }, {} };
	const struct rlimit none = { 3, 256 };
	struct sw_resolver how = resolver(true);
	struct sw_resolved_list l;

	(void)state;
	write_state("x.test 1600000000 203.0.113.9\n");
	script = &failing;
	n_script = 1;
	how.lookup = answer_with_files;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	assert_int_equal(sw_resolve(&how, name, 1, &l), 0);
	assert_int_equal(l.item[0].status, SW_RESOLVE_UNKNOWN);
	assert_non_null(strstr(l.warning, "cannot recall"));
	assert_string_equal(read_state(), "x.test 1600000000 203.0.113.9\n");
	sw_resolved_free(&l);
}

/* A directory that cannot be used costs the memory, not the look-up. */
static void test_unusable_directory(void **state)
{
	static const char *const name[] = { "x.test" };
	char path[128];

	(void)state;
	for (int kind = 0; kind < 3; kind++) {
		struct sw_resolver how = resolver(true);
		struct sw_resolved_list l;

		remove_state();
		state_path(path, NULL);
		if (kind == 0)
			close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
		else if (kind == 1)
			how.state_dir = "/nonexistent/state";
		else
			how.state_dir = "/proc/self";	/* nothing can be made there */
		script = &good;
		n_script = 1;
		assert_int_equal(sw_resolve(&how, name, 1, &l), 0);
		assert_int_equal(l.item[0].status, SW_RESOLVE_FOUND);
		assert_string_equal(text_of(&l.item[0].addrs), "::ffff:203.0.113.5");
		assert_null(l.item[0].message);
		assert_non_null(l.warning);
		assert_non_null(strstr(l.warning, how.state_dir));
		sw_resolved_free(&l);
		how.state_dir = NULL;
		assert_int_equal(sw_resolve(&how, name, 1, &l), 0);
		assert_null(l.warning);
		sw_resolved_free(&l);
	}
	remove_state();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_broken_lines),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_random_files),
		cmocka_unit_test(test_untrusted_file),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_one_step),
		cmocka_unit_test(test_unusable_directory),
		cmocka_unit_test(test_unreadable_for_now),
	};

	return enter_scratch() < 0 ? 99 : cmocka_run_group_tests(tests, NULL, leave_scratch);
}
