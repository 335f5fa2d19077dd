/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of the decision, in words. */
#include "decide.h"

static const struct {
	const char *name, *text;
} reasons[_SW_REASON_MAX] = {
	[SW_BY_NONE] = { "other-port", "the port is in no list; smtpwall does not look at it" },
	[SW_BY_LOCAL] = { "local", "the destination is this machine, and allow_local = yes" },
	[SW_BY_KTHREAD] = { "kernel-thread", "a kernel thread is never exempt" },
	[SW_BY_EXEMPT_UID] = { "exempt-uid", "the effective UID is exempt" },
	[SW_BY_EXEMPT_GID] = { "exempt-gid", "the effective primary group is exempt" },
	[SW_BY_EXEMPT_CGROUP] = { "exempt-cgroup", "the cgroup, or one above it, is exempt" },
	[SW_BY_RULE] = { "allow-rule", "an allow rule matches" },
	[SW_BY_COUNT_PORT] = { "count-port", "connects to this port are counted, not denied" },
	[SW_BY_POLICY] = { "policy", "nothing exempts this identity" },
	[SW_BY_CONTAINER] = { "container", "the identity is exempt on the host, but not inside a "
			      "container or another namespace" },
	[SW_BY_DENIED_NOW] = { "denied-now", "the account is denied for the time being" },
	[SW_BY_ACCOUNT_LIMIT] = { "account-limit", "the account's limit is used up" },
	[SW_BY_RULE_LIMIT] = { "rule-limit", "an allow rule matches, but its limit is used up" },
	[SW_BY_SERVER_LIMIT] = { "server-limit", "the limit of the whole server is used up" },
	[SW_BY_LOOP] = { "loop", "mode = redirect, and it is the mail server that connects" },
	[SW_BY_DEVICE] = { "device", "mode = redirect, but the socket is bound to a device" },
	[SW_BY_SENDMAIL] = { "sendmail", "handed to the mail server by its sendmail program" },
	[SW_BY_REAL_UID] = { "real-uid", "identity = strict, and the real UID is not exempt" },
};

const char *sw_reason_text(enum sw_reason reason)
{
	return reason < _SW_REASON_MAX && reasons[reason].text ? reasons[reason].text : "unknown";
}

const char *sw_reason_name(enum sw_reason reason)
{
	return reason < _SW_REASON_MAX && reasons[reason].name ? reasons[reason].name : "unknown";
}
