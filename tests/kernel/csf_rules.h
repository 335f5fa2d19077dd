/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What CSF makes of a configuration: its own files, for the import to read, and the rules it would
 * load, for a namespace. Transcribed from the documented order of its chains, not from its code.
 */
#ifndef CSF_RULES_H
#define CSF_RULES_H

#include <stdbool.h>
#include <stdio.h>

struct csf_conf {
	const char *name;
	bool block;		/* SMTP_BLOCK */
	bool no_local;		/* SMTP_ALLOWLOCAL = 0 */
	bool redirect;		/* SMTP_REDIRECT */
	bool ipv6;		/* IPV6 */
	bool no_nat6;		/* the kernel has no nat table for IPv6 */
	bool drop;		/* DROP_OUT = DROP, else REJECT */
	const char *ports;	/* SMTP_PORTS */
	const char *users, *groups;	/* SMTP_ALLOWUSER, SMTP_ALLOWGROUP */
	const char *tcp_out;	/* TCP_OUT, with the packet filter (LF_SPI) on; NULL: off */
	const char *allow, *deny;	/* csf.allow and csf.deny: an entry a line; may be NULL */
};

/* Writes csf.conf, csf.allow and csf.deny into the directory. Fails the test program when it
 * cannot. */
void csf_write_files(const struct csf_conf *c, const char *dir);
void csf_remove_files(const char *dir);

/* The rules of one family, for iptables-restore or ip6tables-restore. */
void csf_write_rules(const struct csf_conf *c, bool v6, FILE *f);

#endif
