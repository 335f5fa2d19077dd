/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One function a command; each returns an enum sw_exit. */
#ifndef SW_COMMANDS_H
#define SW_COMMANDS_H

int cmd_apply(int argc, char **argv);
int cmd_deny(int argc, char **argv);
int cmd_domains(int argc, char **argv);
int cmd_events(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_metrics(int argc, char **argv);
int cmd_monitor(int argc, char **argv);
int cmd_off(int argc, char **argv);
int cmd_queue(int argc, char **argv);
int cmd_release(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_suggest(int argc, char **argv);
int cmd_top(int argc, char **argv);
int cmd_verify(int argc, char **argv);

#endif
