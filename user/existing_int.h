/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the search for existing connections. Only existing*.c and their tests include this. */
#ifndef SW_EXISTING_INT_H
#define SW_EXISTING_INT_H

#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <sys/stat.h>

#include "existing.h"

/* One connection to a port in question, denied or not. */
struct sw_conn {
	struct inet_diag_sockid id;	/* as the kernel wrote it, with the cookie */
	uint32_t inode;
	uint32_t socket_uid;	/* filesystem UID that the socket was made with */
	uint32_t ns;		/* index of its namespace */
	uint8_t family;
	bool mptcp;		/* the connection as a whole: its subflows have the same inode */
	bool other_netns;	/* than the host's: the socket's, which is what the hooks look at */
	bool in_container;	/* that, or its first process is in another PID namespace */
	bool held;		/* by a process that was found */
	bool spared;		/* by one that is not denied */
	uint32_t uid;		/* of the first process found */
	pid_t pid;
	char comm[SW_COMM_LEN];
};

struct sw_conns {
	struct sw_conn *item;
	size_t n, room;
	size_t missed;		/* beyond SW_EXISTING_MAX_CONNS */
};

/* Adds a copy. 0 or -ENOMEM; one too many is only counted. */
int sw_conns_add(struct sw_conns *c, const struct sw_conn *conn);

/* Sorts by inode, and leaves one entry for an MPTCP connection and its subflows. */
void sw_conns_sort(struct sw_conns *c);

/* The first entry with this inode in a sorted list, or NULL; others follow it. */
struct sw_conn *sw_conns_find(const struct sw_conns *c, uint32_t inode);

/* ---- sock_diag, in the network namespace the socket was opened in ---- */

/* Words: two comparisons of two, and a jump, for each port. */
#define SW_DIAG_FILTER_MAX	(5 * SW_MAX_PORTS)

/* The kernel's filter for destination ports (INET_DIAG_REQ_BYTECODE, see linux/inet_diag.h): its
 * length in bytes, 0 for no port. */
size_t sw_diag_filter(const uint16_t *ports, size_t n, struct inet_diag_bc_op *ret);

/* What to dump. */
struct sw_diag_dump {
	bool mptcp;
	const uint16_t *ports;
	size_t n_ports;			/* 0: any */
	const struct sw_conns *inodes;	/* only these (sorted); NULL: any */
	uint32_t ns;			/* of the entries made */
};

int sw_diag_open(struct mnl_socket **ret);

/* Adds what matches, of both families. A socket without an inode was closed by its program and is
 * left out. 0 or -errno; MPTCP that the kernel lacks is none. */
int sw_diag_dump(struct mnl_socket *nl, const struct sw_diag_dump *d, struct sw_conns *ret);

/* 0; -ENOENT: gone; -EOPNOTSUPP: not with this kernel; else -errno. */
int sw_diag_destroy(struct mnl_socket *nl, const struct sw_conn *c);

/* IPv4 becomes v4-mapped. */
void sw_conn_peer(const struct sw_conn *c, uint8_t addr[16]);

/* ---- namespaces ---- */

struct sw_netns {
	dev_t dev;
	ino_t ino;
	struct mnl_socket *diag;	/* NULL: nothing in question there, or missed */
};

struct sw_netns_list {
	struct sw_netns *item;
	size_t n, room, n_open;
	unsigned int n_read;
	unsigned int missed;
	unsigned int processes_missed;
	int error;		/* the first one, of a namespace that was missed */
};

/* Adds every namespace in reach, and the connections to `ports` in it. 0 or -errno. */
int sw_netns_collect(const uint16_t *ports, size_t n_ports, struct sw_netns_list *ns,
		     struct sw_conns *conns);
void sw_netns_free(struct sw_netns_list *ns);

/* ---- processes ---- */

#define SW_HOST_NS_LEN	64

/* Path of the host's namespace of a kind ("net", "pid") below `proc`: that of a kernel thread,
 * else (in a container) of process 1, else of this process. */
void sw_host_namespace(const char *proc, const char *kind, char path[SW_HOST_NS_LEN]);

/* The numbers of all processes below `proc`, for the caller to free. Whoever looked into each while
 * going through the directory could be kept there by somebody who starts new ones all the time:
 * they have higher numbers. 0 or -errno. */
int sw_pids_read(const char *proc, pid_t **ret, size_t *ret_n);

/* Who holds a connection. */
struct sw_holder {
	struct sw_query query;	/* all but address, port and the socket's namespace */
	pid_t pid;
	char comm[SW_COMM_LEN];
};

/* Reads /proc/PID, open as `proc_fd`. `host_pid_ns` is the inode of the host's PID namespace (0:
 * unknown: then nobody is in another), `cgroup_fd` the root of the v2 hierarchy (-1: none).
 * 0, or -errno when the process is gone or may not be looked into. */
int sw_holder_read(int proc_fd, ino_t host_pid_ns, int cgroup_fd, struct sw_holder *ret);

/* Asks job->denied about `c` for one process that holds it. */
void sw_conn_judge(struct sw_conn *c, const struct sw_holder *h, const struct sw_existing_job *job);

/* Judges all of `conns` (sorted) by the processes below `proc` ("/proc"), then those without one
 * by their UID. 0 or -errno. */
int sw_conns_judge(const char *proc, struct sw_conns *conns, const struct sw_existing_job *job);

#endif
