/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A remote server, and two machines that connect to it: a namespace where CSF's rules are, and
 * the host, where smtpwall is. A container is behind the first; what it sends is forwarded.
 *
 *	rules 198.51.100.210 ==== .209 remote 198.51.100.200 to 202
 *	host 198.51.100.214 ==== .213 remote
 *	container 198.51.100.218 ==== .217 rules
 *
 * Everything is gone with the process that made it.
 */
#ifndef CSF_LAB_H
#define CSF_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Destinations. The remote server has three addresses of each family. */
enum csf_dest {
	CSF_LOOPBACK4, CSF_LOOPBACK6,
	CSF_OWN4, CSF_OWN6,	/* of the machine's own link */
	CSF_ROUTED4,		/* routed to this machine, but no address of it */
	CSF_REMOTE4, CSF_REMOTE6,
	CSF_MAPPED,		/* CSF_REMOTE4 from an IPv6 socket */
	CSF_SECOND4, CSF_SECOND6,
	CSF_THIRD4, CSF_THIRD6,
	_CSF_DEST_MAX,
};

#define CSF_SECOND4_TEXT	"198.51.100.201"
#define CSF_SECOND6_TEXT	"2001:db8:c5f::201"
#define CSF_THIRD4_TEXT		"198.51.100.202"
#define CSF_THIRD6_TEXT		"2001:db8:c5f::202"

#define CSF_PORTS	4
extern const uint16_t csf_port[CSF_PORTS];	/* 25, 465, 587 and one that is not SMTP */

bool csf_dest_is_v6(enum csf_dest d);		/* as the packet filter sees it */
bool csf_dest_is_local(enum csf_dest d);
const char *csf_dest_name(enum csf_dest d);

/* How a connect ends. */
enum csf_end {
	CSF_NOT_TRIED,
	CSF_REMOTE,	/* at the remote server */
	CSF_LOCAL,	/* at this machine */
	CSF_REFUSED,	/* with an error */
	CSF_SILENT,	/* not at all */
};
const char *csf_end_name(enum csf_end e);

enum csf_socket { CSF_SOCKET_OWN, CSF_SOCKET_OF_ROOT, CSF_SOCKET_OF_ORDINARY };

#define CSF_NO_ID	0xffffffffU
struct csf_who {
	const char *name;
	uint32_t ruid, euid, rgid, egid;
	uint32_t member;	/* supplementary group, or CSF_NO_ID */
	uint32_t fsuid;		/* CSF_NO_ID: that of euid */
	enum csf_socket socket;	/* who made it */
	bool container;
};

enum csf_place { CSF_RULES, CSF_HOST, _CSF_PLACE_MAX };

struct csf_lab {
	pid_t remote, rules, container, mail_server;
	int lock;
	uint16_t mail_port;	/* of the host's mail server, on loopback */
};

/* 0 or -errno; -ETIME when another lab of this kind stays. */
int csf_lab_open(struct csf_lab *ret);
void csf_lab_close(struct csf_lab *lab);

/* Runs a command in the namespace of the rules, with standard input from `in`. Its exit status. */
int csf_lab_run(const struct csf_lab *lab, const char *command, int in);

/*
 * Starts all connects of one identity at once, and waits for how they end. In the host a refusal
 * has to be EPERM, and what is not refused and goes to the machine itself counts as CSF_LOCAL
 * whether a server is there or not. `cgroup` is entered first unless it is NULL.
 */
struct csf_probe {
	pid_t pid;
	int out;
};
struct csf_result {
	uint8_t end[_CSF_DEST_MAX][CSF_PORTS];	/* enum csf_end */
};
void csf_probe_start(const struct csf_lab *lab, enum csf_place place, const struct csf_who *who,
		     const char *cgroup, struct csf_probe *ret);
/* False when the identity could not be taken. */
bool csf_probe_end(struct csf_probe *p, struct csf_result *ret);

#endif
