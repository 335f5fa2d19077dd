/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * bench [--quick] [--json FILE] [--program SMTPWALL] [NAME...]: what smtpwall costs, against the goals of the
 * project. Exits with 1 when a goal misses that no noise can move, and with 3 when it cannot
 * measure. Needs root; works in a cgroup and in network namespaces of its own, and removes all
 * of it, also when it is interrupted.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "bench.h"
#include "cgroup.h"
#include "kern.h"
#include "live.h"
#include "report.h"
#include "run.h"
#include "util.h"

#define DEPTH		14	/* directories below the scratch one: its path has 16 components */
#define TITLE		"SMTPWALL_BENCH_TITLE"
#define TITLE_LEN	300
#define EXIT_CANNOT	3

static const struct {
	const char *name;
	int (*run)(const struct bench *b);
} parts[] = {
	{ "insns", bench_insns },   { "exact", bench_exact }, { "cycle", bench_cycle },
	{ "stream", bench_stream }, { "scale", bench_scale }, { "memory", bench_memory },
	{ "flood", bench_flood },   { "rules", bench_rules }, { "bulk", bench_bulk },
	{ "rate", bench_rate },
};

/* An event carries the process title, and a long one costs most: start again with a long one. */
static void take_title(char **argv)
{
	char **more, pad[TITLE_LEN + 1];
	int n = 0;

	if (getenv(TITLE))
		return;
	while (argv[n])
		n++;
	more = calloc((size_t)n + 3, sizeof(*more));
	if (!more)
		return;
	memset(pad, 'x', sizeof(pad) - 1);
	pad[sizeof(pad) - 1] = '\0';
	memcpy(more, argv, (size_t)n * sizeof(*more));
	more[n] = pad;
	setenv(TITLE, "1", 1);
	execv("/proc/self/exe", more);
	free(more);
}

/* Into directories as deep as a web site's, since the path is part of an event too. */
static int go_deep(const char *scratch)
{
	char name[32];

	if (chdir(scratch) < 0)
		return -errno;
	for (int i = 0; i < DEPTH; i++) {
		snprintf(name, sizeof(name), "public%02d", i);
		if (mkdir(name, 0755) < 0 || chdir(name) < 0)
			return -errno;
	}
	return 0;
}

static void remove_scratch(const char *scratch)
{
	char path[PATH_MAX];

	bench_bulk_remove(scratch);
	for (int depth = DEPTH; depth >= 0; depth--) {
		size_t n = (size_t)snprintf(path, sizeof(path), "%s", scratch);

		for (int i = 0; i < depth; i++)
			n += (size_t)snprintf(path + n, sizeof(path) - n, "/public%02d", i);
		rmdir(path);
	}
}

/* Other programs on the way would be measured as well. */
static void name_others(int cgroup_fd)
{
	uint32_t ids[64];

	for (int i = SW_HOOK_CONNECT4; i <= SW_HOOK_CONNECT6; i++) {
		int n = sw_live_effective(cgroup_fd, sw_hooks[i].attach, ids, ARRAY_SIZE(ids));

		if (n > 0)
			printf("note: %d other program(s) run at %s on this machine\n", n,
			       sw_hooks[i].name);
	}
}

static bool wanted(const char *name, char **names)
{
	bool any = false;

	for (; *names; names++) {
		if (strlen(*names) == TITLE_LEN)
			continue;
		any = true;
		if (!strcmp(name, *names))
			return true;
	}
	return !any;
}

static int run_parts(const struct bench *b, char **names)
{
	int r = sw_cgroup_enter(b->cgroup_fd), failed = 0;

	if (!r)
		r = go_deep(b->scratch);
	if (r < 0) {
		fprintf(stderr, "bench: cannot set up: %s\n", strerror(-r));
		return EXIT_CANNOT;
	}
	name_others(b->cgroup_fd);
	run_on_cpu(1);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (!wanted(parts[i].name, names))
			continue;
		r = parts[i].run(b);
		if (r < 0) {
			fprintf(stderr, "bench: %s: %s\n", parts[i].name, strerror(-r));
			failed = EXIT_CANNOT;
		}
	}
	r = b->json ? report_json(b->json) : 0;
	if (r < 0) {
		fprintf(stderr, "bench: cannot write %s\n", b->json);
		failed = EXIT_CANNOT;
	}
	printf("\n%u met, %u missed, %u exact goals missed, %u not here\n", row_count(R_MET),
	       row_count(R_MISSED), row_count(R_BROKEN), row_count(R_ABSENT));
	return row_count(R_BROKEN) ? 1 : failed;
}

static pid_t measuring;

static void end_measuring(int sig)
{
	(void)sig;
	kill(measuring, SIGKILL);
}

/* The child measures, and what it leaves behind is removed here: whatever ends this process
 * early ends the child instead. */
static int guard(const struct bench *b, char **names)
{
	static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE };
	int status = 0;

	fflush(NULL);
	measuring = fork();
	if (measuring < 0)
		return EXIT_CANNOT;
	if (!measuring) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		exit(run_parts(b, names));
	}
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++)
		signal(ends[i], end_measuring);
	while (waitpid(measuring, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_CANNOT;
}

static void remove_pins(const struct bench *b)
{
	const char *const off[] = {
		b->program, "off", "--pin-dir", b->pin_dir, "--cgroup", b->cgroup, NULL,
	};

	if (access(b->pin_dir, F_OK) == 0)
		run_command(off, -1, NULL);
}

static int with_cgroup(const struct bench *common, char **names)
{
	_cleanup_close_ int root = -1, fd = -1;
	struct bench b = *common;
	_cleanup_free_ char *root_path = NULL;
	char name[32], path[PATH_MAX], pins[64];
	int r = sw_cgroup_open(NULL, &root, &root_path);

	snprintf(name, sizeof(name), "swbench%d", (int)getpid());
	if (r < 0 || mkdirat(root, name, 0700) < 0) {
		fprintf(stderr, "bench: cannot make a cgroup: %s\n", strerror(r < 0 ? -r : errno));
		return EXIT_CANNOT;
	}
	fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/%s", root_path, name);
	snprintf(pins, sizeof(pins), "/sys/fs/bpf/%s", name);
	b.cgroup_fd = fd;
	b.cgroup = path;
	b.pin_dir = pins;
	r = fd < 0 ? EXIT_CANNOT : guard(&b, names);
	remove_pins(&b);
	for (int i = 0; i < 200 && unlinkat(root, name, AT_REMOVEDIR) < 0 && errno == EBUSY; i++)
		usleep(10000);
	return r;
}

/* The smtpwall beside which this program was built. */
static const char *beside(char *buf, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", buf, size - 1);

	if (n <= 0)
		return "smtpwall";
	buf[n] = '\0';
	for (int up = 0; up < 3; up++) {
		char *slash = strrchr(buf, '/');

		if (slash)
			*slash = '\0';
	}
	n = (ssize_t)strlen(buf);
	snprintf(buf + n, size - (size_t)n, "/smtpwall");
	return buf;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "quick", no_argument, NULL, 'q' },
		{ "json", required_argument, NULL, 'j' },
		{ "program", required_argument, NULL, 'p' },
		{ 0 },
	};
	const struct rlimit lots = { RLIM_INFINITY, RLIM_INFINITY };
	char program[PATH_MAX], scratch[] = "/tmp/swbench.XXXXXX";
	struct bench b = { .program = beside(program, sizeof(program)) };
	int c, r;

	take_title(argv);
	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (c == 'q')
			b.quick = true;
		else if (c == 'j')
			b.json = optarg;
		else if (c == 'p')
			b.program = optarg;
		else
			return 2;
	}
	if (geteuid() != 0) {
		fprintf(stderr, "bench: needs root\n");
		return EXIT_CANNOT;
	}
	setrlimit(RLIMIT_MEMLOCK, &lots);	/* kernels before 5.11 */
	b.scratch = mkdtemp(scratch);
	if (!b.scratch || chmod(scratch, 0755) < 0)
		return EXIT_CANNOT;
	r = with_cgroup(&b, argv + optind);
	remove_scratch(scratch);
	return r;
}
