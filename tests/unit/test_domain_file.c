/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reading below a root: nothing leads out of it, no file is too odd, and changes are noticed. */
#include <fcntl.h>

#include "test_domain_util.h"

struct seen {
	char text[64][256];
	size_t n;
};

static int take(struct sw_reading *r, char *line, void *data)
{
	struct seen *s = data;

	(void)r;
	if (!strcmp(line, "bad"))
		return -EINVAL;
	if (!strcmp(line, "stop"))
		return 1;
	assert_true(s->n < ARRAY_SIZE(s->text));
	snprintf(s->text[s->n++], sizeof(s->text[0]), "%s", line);
	return 0;
}

static int take_path(struct sw_reading *r, const char *path, void *data)
{
	struct seen *s = data;

	(void)r;
	assert_true(s->n < ARRAY_SIZE(s->text));
	snprintf(s->text[s->n++], sizeof(s->text[0]), "%s", path);
	return 0;
}

static struct sw_root prefix;
static struct sw_reading reading;

static void begin(bool openat2)
{
	assert_int_equal(sw_root_open(root, &prefix), 0);
	prefix.no_openat2 = !openat2;
	reading = (struct sw_reading){ .root = &prefix };
}

static void end(void)
{
	sw_reading_free(&reading);
	sw_root_close(&prefix);
}

/* What an attacker could put where a file is expected. */
static void test_escapes(void **state)
{
	static const struct {
		const char *path, *target;
		bool in_root;	/* it is found, below the prefix */
	} links[] = {
		{ "/absolute", "/etc/inside", true },
		{ "/relative", "etc/inside", true },
		{ "/up", "../../../../../../../etc/inside", true },
		{ "/outside", "/etc/hostname-of-nobody", false },
		{ "/passwd", "/etc/passwd", false },
		{ "/magic", "/proc/self/root/etc/passwd", false },
		{ "/loop", "/loop", false },
	};

	(void)state;
	put("/etc/inside", "inside\n");
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		put_link(links[i].path, links[i].target);
	for (int openat2 = 0; openat2 < 2; openat2++) {
		begin(openat2);
		for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
			struct seen s = {};
			struct stat st;
			bool want = links[i].in_root && openat2;

			assert_int_equal(sw_reading_lines(&reading, links[i].path, take, &s), 0);
			if ((s.n == 1) != want || (s.n && strcmp(s.text[0], "inside") != 0))
				fail_msg("%s, openat2 %d: %zu lines", links[i].path, openat2, s.n);
			assert_int_equal(sw_root_stat(&prefix, links[i].path, &st) == 0, want);
		}
		end();
	}
}

/* 0 or -errno. */
static int try_open(const char *path)
{
	_cleanup_close_ int fd = sw_root_openat(&prefix, path, O_PATH);

	return fd < 0 ? fd : 0;
}

/* Links in the middle of a path, "..", and names that are too long. */
static void test_escape_by_directory(void **state)
{
	static char name[300];

	(void)state;
	put("/etc/inside", "inside\n");
	put_link("/d", "/etc");
	put_link("/h", "/");
	memset(name, 'a', sizeof(name) - 1);
	*name = '/';
	for (int openat2 = 0; openat2 < 2; openat2++) {
		begin(openat2);
		assert_int_equal(try_open("/etc/inside"), 0);
		assert_int_equal(try_open("/"), 0);
		assert_int_equal(try_open("//etc//inside"), 0);
		assert_int_equal(try_open("/h/etc/passwd"), openat2 ? -ENOENT : -ELOOP);
		assert_int_equal(try_open("/d/inside"), openat2 ? 0 : -ELOOP);
		assert_int_equal(try_open("/etc/passwd"), -ENOENT);
		assert_int_equal(try_open("/../../../../../etc/passwd"), openat2 ? -ENOENT : -EXDEV);
		assert_int_equal(try_open(name), -ENAMETOOLONG);
		end();
	}
}

static void test_real(void **state)
{
	char *real, target[64];

	(void)state;
	put("/data/site/index.php", "");
	put_link("/home/alice/www", "/data/site");
	put_link("/home/alice/out", "/etc/passwd");
	begin(true);
	real = sw_root_real(&prefix, "/home/alice/www");
	assert_string_equal(real, "/data/site");
	free(real);
	real = sw_root_real(&prefix, "/");
	assert_string_equal(real, "/");
	free(real);
	assert_null(sw_root_real(&prefix, "/home/alice/out"));
	assert_null(sw_root_real(&prefix, "/nothing"));
	assert_true(sw_root_readlink(&prefix, "/home/alice/www", target, sizeof(target)));
	assert_string_equal(target, "/data/site");
	assert_false(sw_root_readlink(&prefix, "/home/alice/www", target, 5));
	assert_false(sw_root_readlink(&prefix, "/home/alice", target, sizeof(target)));
	end();
}

static void test_lines(void **state)
{
	static const char text[] = "\xef\xbb\xbf" "first\r\n\nbad\nnul\0byte\nthird\nlast";
	struct seen s = {};

	(void)state;
	put_bytes("/f", text, sizeof(text) - 1);
	begin(true);
	assert_int_equal(sw_reading_lines(&reading, "/f", take, &s), 0);
	assert_int_equal(s.n, 4);
	assert_string_equal(s.text[0], "first");
	assert_string_equal(s.text[1], "");
	assert_string_equal(s.text[2], "third");
	assert_string_equal(s.text[3], "last");
	assert_int_equal(reading.bad, 2);
	assert_int_equal(reading.bad_line, 3);
	assert_string_equal(reading.bad_file, "/f");
	assert_int_equal(reading.files, 1);
	end();

	put("/f", "one\nstop\ntwo\n");
	s.n = 0;
	begin(true);
	assert_int_equal(sw_reading_lines(&reading, "/f", take, &s), 0);
	assert_int_equal(s.n, 1);
	end();
}

/* Lines of every length around the limits; what is too long is one bad line and no more. */
static void test_long_lines(void **state)
{
	static const size_t lengths[] = {
		SW_LINE_MAX - 1, SW_LINE_MAX, SW_LINE_MAX + 1, 2 * SW_LINE_MAX,
		2 * SW_LINE_MAX + 1, 5 * SW_LINE_MAX,
	};
	static char text[5 * SW_LINE_MAX + 64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++)
		for (int newline = 0; newline < 2; newline++) {
			struct seen s = {};
			size_t len = 0;

			memcpy(text, "before\n", 7);
			memset(text + 7, 'x', lengths[i]);
			len = 7 + lengths[i];
			if (newline) {
				memcpy(text + len, "\nafter\n", 7);
				len += 7;
			}
			put_bytes("/f", text, len);
			begin(true);
			assert_int_equal(sw_reading_lines(&reading, "/f", take, &s), 0);
			assert_string_equal(s.text[0], "before");
			if (newline)
				assert_string_equal(s.text[s.n - 1], "after");
			/* Up to twice the limit depends on where a read ends. */
			if (lengths[i] <= SW_LINE_MAX - 7)
				assert_int_equal(reading.bad, 0);
			if (lengths[i] > 2 * SW_LINE_MAX)
				assert_int_equal(reading.bad, 1);
			assert_int_equal(reading.bad + s.n, 2 + newline);
			end();
		}
}

/* Nothing here may block, be read, or fail. */
static void test_no_files(void **state)
{
	static const char *const paths[] = { "/pipe", "/dir", "/missing", "/dir/x/y" };
	struct seen s = {};

	(void)state;
	put_directory("/dir");
	assert_int_equal(mkfifo(below("/pipe"), 0644), 0);
	begin(true);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++)
		assert_int_equal(sw_reading_lines(&reading, paths[i], take, &s), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(reading.files, 0);
	assert_int_equal(reading.bad, 2);
	assert_int_equal(reading.bad_line, 0);
	assert_string_equal(reading.bad_file, "/pipe");
	end();
}

static void test_limits(void **state)
{
	struct seen s = {};

	(void)state;
	put("/f", "a\nb\n");
	begin(true);
	reading.files = SW_FILES_MAX;
	assert_int_equal(sw_reading_lines(&reading, "/f", take, &s), 0);
	assert_true(reading.full);
	end();
	begin(true);
	reading.bytes = SW_BYTES_MAX;
	assert_int_equal(sw_reading_lines(&reading, "/f", take, &s), 0);
	assert_true(reading.full);
	end();
	begin(true);
	reading.n_records = SW_RECORDS_MAX;
	assert_int_equal(sw_reading_add(&reading, &(struct sw_record){ .domain = "a.example" }), 0);
	assert_true(reading.full);
	assert_int_equal(reading.n_records, SW_RECORDS_MAX);
	end();
	assert_int_equal(s.n, 0);
}

static void test_glob(void **state)
{
	static const struct { const char *pattern, *want; } rows[] = {
		{ "/etc/php/*/fpm/*.conf", "/etc/php/7.4/fpm/a.conf /etc/php/8.2/fpm/a.conf "
					   "/etc/php/8.2/fpm/b.conf " },
		{ "/etc/php/[0-7]*/fpm/?.conf", "/etc/php/7.4/fpm/a.conf " },
		{ "/etc/php/8.2/fpm/a.conf", "/etc/php/8.2/fpm/a.conf " },
		{ "/etc/php/*/nothing.conf", "/etc/php/7.4/nothing.conf /etc/php/8.2/nothing.conf " },
		{ "/etc/no/*/x", "" },
		{ "/etc/php/8.2/fpm/*", "/etc/php/8.2/fpm/a.conf /etc/php/8.2/fpm/b.conf " },
		{ "relative/*", "" },
		{ "/*/*/*/*/*/*/*", "" },
	};

	(void)state;
	put("/etc/php/8.2/fpm/b.conf", "");
	put("/etc/php/8.2/fpm/a.conf", "");
	put("/etc/php/8.2/fpm/.hidden.conf", "");
	put("/etc/php/7.4/fpm/a.conf", "");
	begin(true);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct seen s = {};
		char all[1024] = "";

		assert_int_equal(sw_reading_glob(&reading, rows[i].pattern, take_path, &s), 0);
		for (size_t j = 0; j < s.n; j++)
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s ", s.text[j]);
		assert_string_equal(all, rows[i].want);
	}
	end();
}

/* In a directory of a customer a link could be to anybody's file. */
static void test_glob_of_customer(void **state)
{
	struct seen s = {};

	(void)state;
	if (geteuid() != 0)
		skip();
	put("/etc/secret.conf", "secret\n");
	put("/home/alice/conf/real.conf", "");
	put_link("/home/alice/conf/link.conf", "/etc/secret.conf");
	begin(true);
	assert_int_equal(sw_reading_glob(&reading, "/home/*/conf/*.conf", take_path, &s), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(chown(below("/home/alice/conf"), 61009, 61009), 0);
	s.n = 0;
	assert_int_equal(sw_reading_glob(&reading, "/home/*/conf/*.conf", take_path, &s), 0);
	assert_int_equal(s.n, 1);
	assert_string_equal(s.text[0], "/home/alice/conf/real.conf");
	end();
}

/* As if the file were from long ago: a change of the same moment would not show by its times. */
static void settle(void)
{
	for (size_t i = 0; i < reading.n_stamps; i++)
		reading.stamps[i].fresh = false;
}

static void read_one(const char *path)
{
	struct seen s = {};

	begin(true);
	assert_int_equal(sw_reading_lines(&reading, path, take, &s), 0);
}

static void test_stale(void **state)
{
	static const struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };

	(void)state;
	put("/f", "one\n");
	read_one("/f");
	assert_true(sw_reading_is_stale(&reading));	/* too young to be sure */
	settle();
	assert_false(sw_reading_is_stale(&reading));
	put("/f", "three\n");				/* another size */
	assert_true(sw_reading_is_stale(&reading));
	end();

	read_one("/f");
	settle();
	assert_int_equal(utimensat(AT_FDCWD, below("/f"), old, 0), 0);
	assert_true(sw_reading_is_stale(&reading));
	end();

	read_one("/f");
	settle();
	put("/g", "three\n");				/* another inode with the same times */
	assert_int_equal(utimensat(AT_FDCWD, below("/g"), old, 0), 0);
	assert_int_equal(rename(below("/g"), below("/f")), 0);
	assert_true(sw_reading_is_stale(&reading));
	end();

	read_one("/f");
	settle();
	assert_int_equal(unlink(below("/f")), 0);
	assert_true(sw_reading_is_stale(&reading));
	end();

	read_one("/f");
	settle();
	assert_false(sw_reading_is_stale(&reading));
	put("/f", "");					/* now there is one */
	assert_true(sw_reading_is_stale(&reading));
	end();
}

static void test_stale_directory(void **state)
{
	struct seen s = {};

	(void)state;
	put("/d/a", "");
	begin(true);
	assert_int_equal(sw_reading_glob(&reading, "/d/*", take_path, &s), 0);
	settle();
	assert_false(sw_reading_is_stale(&reading));
	put("/d/b", "");
	assert_true(sw_reading_is_stale(&reading));
	end();
}

static void test_machine(void **state)
{
	struct sw_root machine;
	struct stat st;

	(void)state;
	assert_int_equal(sw_root_open(NULL, &machine), 0);
	assert_int_equal(machine.fd, -1);
	assert_int_equal(sw_root_open("//", &machine), 0);
	assert_int_equal(machine.fd, -1);
	assert_int_equal(sw_root_stat(&machine, "/etc/passwd", &st), 0);
	assert_int_equal(sw_root_open("/nonexistent", &machine), -ENOENT);
	assert_int_equal(sw_root_open("/etc/passwd", &machine), -ENOTDIR);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_root, remove_root)
	const struct CMUnitTest tests[] = {
		TEST(test_escapes),
		TEST(test_escape_by_directory),
		TEST(test_real),
		TEST(test_lines),
		TEST(test_long_lines),
		TEST(test_no_files),
		TEST(test_limits),
		TEST(test_glob),
		TEST(test_glob_of_customer),
		TEST(test_stale),
		TEST(test_stale_directory),
		TEST(test_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
