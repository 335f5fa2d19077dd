/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the monitor still needs root for once it runs as its own user: a process of its own that
 * stays root, and does nothing but what the configuration named when the monitor was started.
 * A request can choose among these, never bring a program of its own.
 *
 * Requests are carried out beside each other, each bounded in time; none ever makes the monitor
 * wait.
 */
#ifndef SW_RUNNER_H
#define SW_RUNNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sw_run_kind {
	SW_RUN_APPLY,		/* smtpwall apply */
	SW_RUN_REFRESH,		/* smtpwall apply --refresh */
	SW_RUN_COMMAND,		/* the alert command; the payload is its standard input */
	SW_RUN_MAIL,		/* sendmail -t -i; the payload is a whole message */
	SW_RUN_TEXTFILE,	/* smtpwall metrics --textfile FILE --input; the payload is the text */
	_SW_RUN_MAX,
};

#define SW_RUN_MAX_PAYLOAD	(4 * 1024 * 1024)
#define SW_RUN_MAX_PENDING	32	/* requests that were not answered yet */

struct sw_runner_config {
	const char *const *argv[_SW_RUN_MAX];	/* NULL: cannot be asked for. Absolute paths */
	const char *program[_SW_RUN_MAX];	/* that argv starts in the end; NULL: argv[0] */
	bool leave[_SW_RUN_MAX];	/* what it left in the background goes on */
	int timeout_s[_SW_RUN_MAX];
};

struct sw_runner;

/*
 * Starts the process. It ends by itself when the monitor does, whatever that dies of.
 * 0 or -errno. `ret` is written on success only; free it with sw_runner_free().
 */
int sw_runner_start(const struct sw_runner_config *c, struct sw_runner **ret);
void sw_runner_free(struct sw_runner *r);

/*
 * Asks for a run with `len` bytes on its standard input. Never waits. 0 and *id; -EAGAIN: as many
 * as may be are under way; -ENOTSUP: not configured; -E2BIG; -EPIPE: the process is gone.
 */
int sw_runner_ask(struct sw_runner *r, enum sw_run_kind kind, const void *payload, size_t len,
		  uint32_t *id);

/* Readable when an answer is there. */
int sw_runner_fd(const struct sw_runner *r);

/* Takes an answer: 1 and *id, *kind and *status (exit status, or -errno: -ETIMEDOUT when it was
 * ended after its time, -EINTR when a signal ended it); 0: there is none; -EPIPE: the process is
 * gone. */
int sw_runner_take(struct sw_runner *r, uint32_t *id, enum sw_run_kind *kind, int *status);

#endif
