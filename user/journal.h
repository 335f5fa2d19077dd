/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Lines for the system's log: fields for the journal where there is one, else a line for syslog.
 * Everything is one datagram that is sent without waiting: a log that is full or gone costs the
 * record, which is counted, and never time.
 *
 * Formats: systemd's "native journal protocol" (systemd.io/JOURNAL_NATIVE_PROTOCOL), which
 * sd_journal_sendv(3) speaks too, but waits; RFC 3164 as local syslog daemons read it from
 * /dev/log; kernel lines of CSF's LOGDROPOUT rule, as lfd(8)'s UID tracking reads them.
 */
#ifndef SW_JOURNAL_H
#define SW_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "feed.h"

struct sw_alert;

/* For journalctl MESSAGE_ID=...: a denied, limited, redirected or would-be-denied connect, and an
 * alert. */
#define SW_MESSAGE_EVENT	"964518b585f84900a0b22cbbf7b4ef7f"
#define SW_MESSAGE_ALERT	"e49181cd8d704bf98b5a180fed51d98d"

#define SW_JOURNAL_SOCKET	"/run/systemd/journal/socket"
#define SW_SYSLOG_SOCKET	"/dev/log"

struct sw_journal;

/* `journal` and `syslog`: paths of the sockets, NULL for those of the system. The journal is used
 * when its socket is there, at each record anew. 0 or -errno. */
int sw_journal_open(const char *journal, const char *syslog, struct sw_journal **ret);
void sw_journal_close(struct sw_journal *j);

/* Each: 0; -errno when it is lost: -EAGAIN when the log is full. */
int sw_journal_event(struct sw_journal *j, const struct sw_event_view *v);
int sw_journal_alert(struct sw_journal *j, const struct sw_alert *a);

/* In CSF's words, through syslog, for connects that were refused; 0 also where nothing is to be
 * said. */
int sw_journal_csf(struct sw_journal *j, const struct sw_event_view *v);

struct sw_journal_state {
	uint64_t sent, lost;
	int last_error;		/* -errno of the last loss; 0: there was none */
};

void sw_journal_state(const struct sw_journal *j, struct sw_journal_state *ret);

#define SW_CSF_LINE 256

#define SW_NO_GID UINT32_MAX

/* "Firewall: *TCP_OUT Blocked* ..." for a destination as 16 bytes, or as text with its port:
 * -EINVAL when it is none. What the kernel does not tell (device, source) is "-" or left out. */
void sw_csf_line(const uint8_t addr[16], uint16_t port, uint32_t uid, uint32_t gid,
		 char ret[SW_CSF_LINE]);
int sw_csf_line_text(const char *destination, uint32_t uid, char ret[SW_CSF_LINE]);

#endif
