/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report.h"
#include "run.h"

#define LIMIT_SECONDS	60
#define NOT_FOUND	127

static double timeval_ms(struct timeval tv)
{
	return (double)tv.tv_sec * 1e3 + (double)tv.tv_usec / 1e3;
}

static _Noreturn void child(const char *const argv[], int in)
{
	const union {
		const char *const *in;
		char *const *out;	/* execvp() changes nothing, but does not say so */
	} args = { .in = argv };
	int null = open("/dev/null", O_RDWR);
	cpu_set_t all;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memset(&all, 0xff, sizeof(all));
	sched_setaffinity(0, sizeof(all), &all);
	if (in >= 0)
		lseek(in, 0, SEEK_SET);
	if (dup2(in < 0 ? null : in, 0) < 0 || dup2(null, 1) < 0)
		_exit(NOT_FOUND);
	if (!getenv("BENCH_VERBOSE"))
		dup2(null, 2);
	alarm(LIMIT_SECONDS);
	execvp(argv[0], args.out);
	_exit(NOT_FOUND);
}

int run_command(const char *const argv[], int in, struct run_cost *cost)
{
	uint64_t t0 = now_ns();
	struct rusage ru = { 0 };
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -errno;
	if (!pid)
		child(argv, in);
	while (wait4(pid, &status, 0, &ru) < 0)
		if (errno != EINTR)
			return -errno;
	if (cost) {
		cost->wall_ms = (double)(now_ns() - t0) / 1e6;
		cost->cpu_ms = timeval_ms(ru.ru_utime) + timeval_ms(ru.ru_stime);
	}
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGALRM ? -ETIME : -EIO;
	if (WEXITSTATUS(status) == NOT_FOUND)
		return -ENOENT;
	return WEXITSTATUS(status) ? -EIO : 0;
}

static long read_peak(pid_t pid)
{
	char path[64], line[128];
	long kib = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmHWM: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

/* Stops it where it has ended but still has its memory, and where it got a signal. */
static int watch(pid_t pid, long *ret_kib)
{
	int status, sig;

	for (;;) {
		while (waitpid(pid, &status, 0) < 0)
			if (errno != EINTR)
				return -errno;
		if (!WIFSTOPPED(status))
			break;
		sig = WSTOPSIG(status);
		if (status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8)) {
			*ret_kib = read_peak(pid);
			sig = 0;
		}
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): ptrace(2) takes numbers so */
		ptrace(PTRACE_CONT, pid, NULL, (void *)(long)sig);
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_FOUND)
		return -ENOENT;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}

int run_peak(const char *const argv[], int in, long *ret_kib)
{
	int go[2], r;
	pid_t pid;
	char c;

	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (!pid) {
		close(go[1]);
		(void)!read(go[0], &c, 1);	/* end of file: it is watched */
		child(argv, in);
	}
	close(go[0]);
	if (pid < 0) {
		close(go[1]);
		return -EAGAIN;
	}
	*ret_kib = 0;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): the same */
	r = ptrace(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_TRACEEXIT) < 0 ? -errno : 0;
	close(go[1]);
	return r < 0 ? r : watch(pid, ret_kib);
}

void run_on_cpu(int cpu)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)(cpu % (n > 0 ? n : 1)), &set);
	sched_setaffinity(0, sizeof(set), &set);
}

void run_as(uint32_t uid)
{
	if (setresgid(uid, uid, 0) < 0 || setresuid(uid, uid, 0) < 0) {
		perror("cannot become another user");
		_exit(1);
	}
}

void run_as_root(void)
{
	if (setresuid(0, 0, 0) < 0 || setresgid(0, 0, 0) < 0) {
		perror("cannot become root again");
		_exit(1);
	}
}

int run_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EIO;
}
