/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "canary.h"
#include "cgroup.h"
#include "util.h"

static const struct {
	const char *name;
	int family;
	const char *address;
} tries[_SW_CANARY_MAX] = {
	[SW_CANARY_V4] = { "IPv4", AF_INET, "192.0.2.1" },
	[SW_CANARY_V6] = { "IPv6", AF_INET6, "2001:db8::1" },
	[SW_CANARY_MAPPED] = { "IPv4 in IPv6", AF_INET6, "::ffff:192.0.2.1" },
};

const char *sw_canary_name(enum sw_canary_try t)
{
	return tries[t].name;
}

/* Non-blocking, so a connect that passes the hooks ends at once with EINPROGRESS or a routing
 * error; a refusal of ours comes from connect(2) itself. */
bool sw_canary_passed(int error)
{
	return error == 0 || error == EINPROGRESS || error == ENETUNREACH ||
	       error == EADDRNOTAVAIL;
}

static int try_connect(enum sw_canary_try t, uint16_t port)
{
	_cleanup_close_ int fd = socket(tries[t].family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
					IPPROTO_TCP);
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	const struct sockaddr *addr = (struct sockaddr *)&a4;
	socklen_t len = sizeof(a4);

	if (fd < 0)
		return errno;
	if (setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3) < 0)
		return errno;
	inet_pton(AF_INET, tries[t].address, &a4.sin_addr);
	if (tries[t].family == AF_INET6) {
		inet_pton(AF_INET6, tries[t].address, &a6.sin6_addr);
		addr = (struct sockaddr *)&a6;
		len = sizeof(a6);
	}
	return connect(fd, addr, len) < 0 ? errno : 0;
}

static void perch_name(pid_t pid, char name[32])
{
	snprintf(name, 32, "smtpwall-canary-%d", (int)pid);
}

/* A cgroup with controllers for those below it takes no processes itself (EBUSY): one is made
 * below, where the same programs run. leave_perch() removes it. */
static int enter(int cgroup_fd)
{
	_cleanup_close_ int fd = -1;
	char name[32];
	int r = sw_cgroup_enter(cgroup_fd);

	if (r != -EBUSY)
		return r;
	perch_name(getpid(), name);
	if (mkdirat(cgroup_fd, name, 0755) < 0)
		return -errno;
	fd = openat(cgroup_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : sw_cgroup_enter(fd);
}

/* The kernel may need a moment until it sees that nobody is in it. */
static void leave_perch(int cgroup_fd, pid_t pid)
{
	char name[32];

	perch_name(pid, name);
	for (int i = 0; i < 1000; i++) {
		if (unlinkat(cgroup_fd, name, AT_REMOVEDIR) == 0 || errno != EBUSY)
			break;
		poll(NULL, 0, 1);
	}
}

static int become_nobody(int cgroup_fd)
{
	int r = enter(cgroup_fd);

	if (r < 0)
		return r;
	if (setgroups(0, NULL) < 0 ||
	    setresgid(SW_CANARY_UID, SW_CANARY_UID, SW_CANARY_UID) < 0 ||
	    setresuid(SW_CANARY_UID, SW_CANARY_UID, SW_CANARY_UID) < 0)
		return -errno;
	return 0;
}

/* Effective and permitted capabilities become `caps`, none of which may be new. */
static int set_caps(uint32_t caps)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { { .effective = caps, .permitted = caps } };

	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

/* The socket is closed at once; nothing is sent. The connects that follow have no capability. */
static int try_raw(int *error)
{
	_cleanup_close_ int fd = -1;
	int r = set_caps(1U << CAP_NET_RAW);

	if (r < 0)
		return r;
	fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	*error = fd < 0 ? errno : 0;
	return set_caps(0);
}

static void child(int out, int cgroup_fd, uint16_t port)
{
	struct sw_canary c = {};
	int r;

	if (chdir("/") < 0)
		_exit(1);
	prctl(PR_SET_KEEPCAPS, 1);
	r = become_nobody(cgroup_fd);
	if (r < 0)
		_exit(-r & 0xff);
	prctl(PR_SET_PDEATHSIG, SIGKILL);	/* only now: changing ids clears it */
	r = try_raw(&c.raw_error);
	if (r < 0)
		_exit(-r & 0xff);
	for (int i = 0; i < _SW_CANARY_MAX; i++)
		c.error[i] = try_connect((enum sw_canary_try)i, port);
	_exit(write(out, &c, sizeof(c)) == sizeof(c) ? 0 : EIO);
}

int sw_canary_run(int cgroup_fd, uint16_t port, struct sw_canary *ret)
{
	struct sw_canary c;
	int out[2], status;
	ssize_t n;
	pid_t pid;

	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		int r = -errno;

		close(out[0]);
		close(out[1]);
		return r;
	}
	if (pid == 0)
		child(out[1], cgroup_fd, port);
	close(out[1]);
	n = read(out[0], &c, sizeof(c));
	close(out[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	leave_perch(cgroup_fd, pid);
	if (n != sizeof(c))
		return WIFEXITED(status) && WEXITSTATUS(status) ? -WEXITSTATUS(status) : -EIO;
	*ret = c;
	return 0;
}
