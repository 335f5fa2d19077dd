/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Messages for people, on standard error. Errors are logged once, at the edge that knows the
 * object, the cause and the next step; lower layers return codes and stay silent.
 */
#ifndef SW_LOG_H
#define SW_LOG_H

enum sw_log_level { SW_LOG_ERROR, SW_LOG_WARN, SW_LOG_INFO, SW_LOG_DEBUG };

/* Highest level that is printed; -q sets SW_LOG_ERROR, -v SW_LOG_DEBUG. Default SW_LOG_INFO. */
extern enum sw_log_level sw_log_max;

/* Each prints one line "smtpwall: text". With r < 0 log_err() appends the error text of -r;
 * it returns r, so that callers write: return log_err(r, "cannot open %s", path). */
int log_err(int r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
