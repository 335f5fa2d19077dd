/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <systemd/sd-event.h>

#include "ask.h"
#include "runner.h"
#include "util.h"

/* What goes over the socket; a request carries its payload as a memfd. */
struct message {
	uint32_t id;
	uint32_t kind;
	int32_t status;		/* of an answer */
};

/* ---- The process that stays root ---- */

struct job {
	struct root *root;
	struct message m;
	pid_t pid;		/* 0: this slot is free */
	bool late;
	sd_event_source *child, *timer;
};

struct root {
	const struct sw_runner_config *config;
	sd_event *event;
	int fd;
	struct job job[SW_RUN_MAX_PENDING];
};

static void answer(struct root *r, struct message m, int status)
{
	m.status = status;
	/* Nobody listens any more: then the socket's own source ends this process. */
	(void)!send(r->fd, &m, sizeof(m), MSG_NOSIGNAL);
}

static void end_job(struct job *j, int status)
{
	if (!j->root->config->leave[j->m.kind])
		kill(-j->pid, SIGKILL);	/* also what it left in the background */
	j->child = sd_event_source_disable_unref(j->child);
	j->timer = sd_event_source_disable_unref(j->timer);
	j->pid = 0;
	answer(j->root, j->m, status);
}

static int on_child(sd_event_source *s, const siginfo_t *si, void *data)
{
	struct job *j = data;

	(void)s;
	if (j->late)
		end_job(j, -ETIMEDOUT);
	else
		end_job(j, si->si_code == CLD_EXITED ? si->si_status : -EINTR);
	return 0;
}

static int on_late(sd_event_source *s, uint64_t now, void *data)
{
	struct job *j = data;

	(void)s;
	(void)now;
	j->late = true;
	kill(-j->pid, SIGKILL);
	kill(j->pid, SIGKILL);	/* before it has its own group */
	return 0;
}

/* In the child: only calls that are safe between fork and exec. */
static void __attribute__((noreturn)) exec_job(const char *const *argv, int in, char *const *env)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	sigset_t none;

	setsid();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(null, STDOUT_FILENO) >= 0 && chdir("/") == 0)
		execve(argv[0], (char *const *)argv, env);
	_exit(127);
}

static char *const *environment(void)
{
	static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	static char home[] = "HOME=/root", lang[] = "LANG=C.UTF-8", tz[280];
	static char *env[] = { path, home, lang, NULL, NULL };
	const char *zone = getenv("TZ");

	if (zone && strlen(zone) < sizeof(tz) - 4) {
		snprintf(tz, sizeof(tz), "TZ=%s", zone);
		env[3] = tz;
	}
	return env;
}

static int start_job(struct job *j, int in)
{
	const char *const *argv = j->root->config->argv[j->m.kind];
	uint64_t limit = (uint64_t)j->root->config->timeout_s[j->m.kind] * 1000000;
	const char *program = j->root->config->program[j->m.kind];
	int r = sw_ask_trusts(argv[0]);

	if (!r && program)
		r = sw_ask_trusts(program);
	if (r < 0)
		return r;
	j->late = false;
	j->pid = fork();
	if (j->pid == 0)
		exec_job(argv, in, environment());
	if (j->pid < 0) {
		j->pid = 0;
		return -errno;
	}
	r = sd_event_add_child(j->root->event, &j->child, j->pid, WEXITED, on_child, j);
	if (r >= 0)
		r = sd_event_add_time_relative(j->root->event, &j->timer, CLOCK_MONOTONIC, limit, 0,
					       on_late, j);
	if (r >= 0)
		return 0;
	kill(j->pid, SIGKILL);
	waitpid(j->pid, NULL, 0);
	j->child = sd_event_source_disable_unref(j->child);
	j->pid = 0;
	return r;
}

static struct job *free_job(struct root *r)
{
	for (size_t i = 0; i < ARRAY_SIZE(r->job); i++)
		if (!r->job[i].pid)
			return &r->job[i];
	return NULL;
}

/* The payload's descriptor, or -1. */
static int passed_fd(struct msghdr *h)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(h);
	int fd = -1;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

static int on_request(sd_event_source *s, int fd, uint32_t events, void *data)
{
	struct root *r = data;
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct message m = {};
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf) };
	_cleanup_close_ int in = -1;
	ssize_t n = recvmsg(fd, &h, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	struct job *j;
	int status;

	(void)events;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n <= 0)	/* the monitor is gone */
		return sd_event_exit(sd_event_source_get_event(s), 0);
	in = passed_fd(&h);
	j = free_job(r);
	if (n != sizeof(m) || in < 0 || m.kind >= _SW_RUN_MAX || !r->config->argv[m.kind]) {
		answer(r, m, -EINVAL);
	} else if (!j) {
		answer(r, m, -EAGAIN);
	} else {
		j->root = r;
		j->m = m;
		status = start_job(j, in);
		if (status < 0)
			answer(r, m, status);
	}
	return 0;
}

/* Everything that the monitor had open is closed here: it is not this process's business. */
static void __attribute__((noreturn)) serve(const struct sw_runner_config *c, int fd)
{
	struct root r = { .config = c };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_SETMASK, &set, NULL);
	signal(SIGINT, SIG_IGN);	/* of the terminal: the monitor decides when to end */
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	r.fd = dup2(fd, STDERR_FILENO + 1);
	fcntl(r.fd, F_SETFD, FD_CLOEXEC);
	close_range(STDERR_FILENO + 2, ~0U, 0);
	prctl(PR_SET_NAME, "smtpwall-root");
	if (r.fd >= 0 && sd_event_new(&r.event) >= 0 &&
	    sd_event_add_io(r.event, NULL, r.fd, EPOLLIN, on_request, &r) >= 0)
		sd_event_loop(r.event);
	for (size_t i = 0; i < ARRAY_SIZE(r.job); i++) {
		/* An apply is one step or none: it may end by itself. */
		if (r.job[i].pid && r.job[i].m.kind != SW_RUN_APPLY &&
		    r.job[i].m.kind != SW_RUN_REFRESH)
			kill(-r.job[i].pid, SIGKILL);
	}
	_exit(0);
}

/* ---- The monitor's side ---- */

struct sw_runner {
	const struct sw_runner_config *config;
	int fd;
	pid_t pid;
	uint32_t next_id;
	unsigned int pending;
};

int sw_runner_start(const struct sw_runner_config *c, struct sw_runner **ret)
{
	struct sw_runner *r = calloc(1, sizeof(*r));
	int pair[2];

	if (!r)
		return -ENOMEM;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		free(r);
		return -errno;
	}
	r->config = c;
	r->fd = pair[0];
	r->pid = fork();
	if (r->pid == 0)
		serve(c, pair[1]);
	close(pair[1]);
	if (r->pid < 0) {
		int error = -errno;

		close(pair[0]);
		free(r);
		return error;
	}
	*ret = r;
	return 0;
}

void sw_runner_free(struct sw_runner *r)
{
	if (!r)
		return;
	close(r->fd);	/* tells the process to end */
	while (waitpid(r->pid, NULL, 0) < 0 && errno == EINTR)
		;
	free(r);
}

static int make_payload(const void *payload, size_t len)
{
	int fd = memfd_create("smtpwall", MFD_CLOEXEC);
	size_t done = 0;

	while (fd >= 0 && done < len) {
		ssize_t n = write(fd, (const char *)payload + done, len - done);

		if (n < 0 && errno != EINTR) {
			sw_closep(&fd);
			return -ENOSPC;
		}
		if (n > 0)
			done += (size_t)n;
	}
	if (fd >= 0 && lseek(fd, 0, SEEK_SET) < 0)
		sw_closep(&fd);
	return fd < 0 ? -errno : fd;
}

int sw_runner_ask(struct sw_runner *r, enum sw_run_kind kind, const void *payload, size_t len,
		  uint32_t *id)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {};
	struct message m = { .kind = kind };
	struct iovec iov = { &m, sizeof(m) };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.buf,
			    .msg_controllen = sizeof(control.buf) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	_cleanup_close_ int fd = -1;

	if (kind >= _SW_RUN_MAX || !r->config->argv[kind])
		return -ENOTSUP;
	if (len > SW_RUN_MAX_PAYLOAD)
		return -E2BIG;
	if (r->pending >= SW_RUN_MAX_PENDING)
		return -EAGAIN;
	fd = make_payload(payload, len);
	if (fd < 0)
		return fd;
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	m.id = r->next_id + 1;
	if (sendmsg(r->fd, &h, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		return errno == EAGAIN ? -EAGAIN : errno == ECONNRESET ? -EPIPE : -errno;
	r->next_id++;
	r->pending++;
	*id = m.id;
	return 0;
}

int sw_runner_fd(const struct sw_runner *r)
{
	return r->fd;
}

int sw_runner_take(struct sw_runner *r, uint32_t *id, enum sw_run_kind *kind, int *status)
{
	struct message m;
	ssize_t n = recv(r->fd, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != sizeof(m) || m.kind >= _SW_RUN_MAX)
		return -EPIPE;
	if (r->pending)
		r->pending--;
	*id = m.id;
	*kind = (enum sw_run_kind)m.kind;
	*status = m.status;
	return 1;
}
