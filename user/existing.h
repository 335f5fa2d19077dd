/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SMTP connections that were there before the policy. The hooks judge a connect; what is connected
 * already is looked for once, after a policy came into force, and closed or only listed.
 */
#ifndef SW_EXISTING_H
#define SW_EXISTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "decide.h"
#include "smtpwall_abi.h"

#define SW_EXISTING_MAX_CONNS	(256 * 1024)	/* looked at in one run; some 30 MB */
#define SW_EXISTING_MAX_NETNS	4096		/* network namespaces looked into */
#define SW_EXISTING_MAX_OPEN	512		/* of these, with a connection in question */

/* No GID: of a socket that no process was found for. */
#define SW_EXISTING_NO_ID	((uint32_t)-1)

/* A connection that the policy denies. */
struct sw_existing {
	uint8_t addr[16];	/* the peer; IPv4 as v4-mapped */
	uint16_t port, local_port;
	uint32_t uid;		/* effective UID of its process; of the socket without one */
	pid_t pid;		/* first process found that holds it; 0: none was found */
	char comm[SW_COMM_LEN];	/* of that process: any bytes, print it through sw_escape() */
	uint64_t netns;		/* inode of its network namespace, as in /proc/PID/ns/net */
	uint64_t cookie;	/* what SO_COOKIE says of its socket; 0 for an MPTCP connection */
	bool in_container;	/* another network or PID namespace than the host's */
	bool closed;
	int error;		/* why it could not be closed: -errno; 0 when that was not tried */
};

struct sw_existing_list {
	struct sw_existing *item;
	size_t n, n_closed;
	bool cannot_close;	/* this kernel closes no connection for others: -EOPNOTSUPP */
	unsigned int netns_missed;	/* could not be read, or beyond the bounds above */
	unsigned int processes_missed;	/* may not be looked into: who they are, or where */
	size_t conns_missed;		/* beyond SW_EXISTING_MAX_CONNS */
};

struct sw_existing_job {
	const uint16_t *ports;	/* destination ports in question, up to SW_MAX_PORTS */
	size_t n_ports;
	bool close;		/* else they are only listed */

	/* Whether the policy would deny this connect. Asked once for each process that holds the
	 * connection. q->egid is SW_EXISTING_NO_ID, and q->cgroup empty, where there is none. */
	bool (*denied)(void *arg, const struct sw_query *q);

	/* Closes `c`, whose network namespace is behind `netns_fd`, by other means than sock_diag,
	 * which this kernel lacks. 0, -ENOENT when it is gone, else -errno. NULL: no such means. */
	int (*destroy)(void *arg, int netns_fd, const struct sw_existing *c);
	void *arg;		/* for both */

	bool no_sock_destroy;	/* for tests: as a kernel without CONFIG_INET_DIAG_DESTROY */
};

/*
 * Looks through every network namespace that is this process's, that of a process in /proc, or
 * named in /run/netns, for TCP and MPTCP connections to job->ports that can still send: from
 * SYN-SENT until what was written has been acknowledged. SYN-RECEIVED is somebody else's connect.
 *
 * A connection is denied when every process that holds it is, so that one which a mail server
 * shares is never cut off. A set-uid program counts as whoever ran it for a socket that was made
 * by that user: it only inherited it. A connection that no process was found for (its descriptor
 * is on its way between two, or only io_uring has it) is judged by the UID its socket was made
 * with. One that its program has closed is let go: what had been written still leaves.
 *
 * Not seen: namespaces that only a thread, a descriptor or a mount elsewhere keeps; descriptors
 * that a thread does not share with its process. Not told apart: a connection accepted from a
 * peer that called from one of the ports; it is treated as one made to it.
 *
 * The owner of a closed connection gets ECONNABORTED, the peer a reset. Of an MPTCP connection all
 * subflows are closed: nothing gets through any more, but the owner hears of it a minute later.
 *
 * The calling thread's namespaces are not touched (a thread enters them). Root is needed to see
 * and close what is not the caller's own; without, the rest counts as missed. So does, for root, a
 * process with a capability that the caller lacks.
 * 0, -EINVAL for too many ports, or -errno when not even one namespace could be read. The caller
 * frees `ret`.
 */
int sw_existing_run(const struct sw_existing_job *job, struct sw_existing_list *ret);
void sw_existing_free(struct sw_existing_list *l);

#endif
